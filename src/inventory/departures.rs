//! Which objects went away lately, and when? What is gone from Kubernetes may still stand in an older list of AWS.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::ids::ObjectName;

/// For how long a departure is remembered: longer than any check waits.
const KEPT: SignedDuration = SignedDuration::from_hours(1);

/// Objects of one kind that went away while this program watched, with the time; those of the last hour.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Departures {
    gone: Arc<BTreeMap<ObjectName, Timestamp>>,
}

impl Departures {
    /// Remembers objects that are gone as of `now`, and forgets what is long past.
    pub fn record(&mut self, names: impl IntoIterator<Item = ObjectName>, now: Timestamp) {
        let mut names = names.into_iter().peekable();
        if names.peek().is_some() {
            let gone = Arc::make_mut(&mut self.gone);
            gone.retain(|_, at| now.duration_since(*at) < KEPT);
            gone.extend(names.map(|name| (name, now)));
        }
    }

    /// Whether this object went away less than `grace` ago.
    pub fn lately(&self, name: &ObjectName, now: Timestamp, grace: SignedDuration) -> bool {
        self.gone.get(name).is_some_and(|at| now.duration_since(*at) < grace)
    }

    /// Whether any object went away less than `grace` ago.
    pub fn any_lately(&self, now: Timestamp, grace: SignedDuration) -> bool {
        self.gone.values().any(|at| now.duration_since(*at) < grace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_departure_is_remembered_for_its_grace_and_forgotten_after_an_hour() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let name = |text| ObjectName::new("a", text);
        let grace = SignedDuration::from_mins(15);
        let mut departures = Departures::default();
        departures.record([], at(0));
        departures.record([name("one")], at(0));
        assert!(departures.lately(&name("one"), at(899), grace) && !departures.lately(&name("one"), at(900), grace));
        assert!(!departures.lately(&name("two"), at(1), grace) && departures.any_lately(at(1), grace));
        departures.record([name("two")], at(3600));
        assert_eq!(departures.gone.len(), 1);
    }
}
