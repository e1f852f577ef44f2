//! Which target groups were unwell when this was written? They are asked first after a restart: in a large Region a round of all of them
//! takes longer than an alert goes on by itself.

use std::collections::BTreeSet;

use super::History;
use crate::inventory::aws::{TargetHealth, TargetState};
use crate::inventory::ids::TargetGroupId;
use crate::inventory::parts::Parts;

/// So many are remembered at most: beyond that a round of these alone takes minutes, and it is no news which is asked first.
const MOST: usize = 500;

impl History {
    /// Takes note of the groups that are unwell. One that was not asked about yet stays as it was remembered; one that is gone is
    /// forgotten.
    pub fn note_unwell(&mut self, parts: &Parts) {
        let known = parts.target_groups.complete();
        let remembered = std::mem::take(&mut self.unwell).into_iter();
        let unasked = remembered.filter(|id| parts.target_health.get(id).and_then(|part| part.get()).is_none());
        let unasked = unasked.filter(|id| known.is_none_or(|known| known.contains_key(id)));
        let sampled = parts.target_health.iter().filter(|(_, part)| part.get().is_some_and(is_unwell)).map(|(id, _)| id.clone());
        let all: BTreeSet<TargetGroupId> = unasked.chain(sampled).collect();
        self.unwell = all.into_iter().take(MOST).collect();
    }
}

/// Some target fails, or none is healthy.
fn is_unwell(health: &TargetHealth) -> bool {
    let has = |state| health.targets.iter().any(|target| target.state == state);
    has(TargetState::Unhealthy) || !has(TargetState::Healthy)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::checks::fixtures::target;
    use crate::inventory::aws::Target;
    use crate::inventory::part::Part;

    fn group(name: &str) -> TargetGroupId {
        TargetGroupId::from(name)
    }

    fn sampled(parts: &mut Parts, name: &str, states: &[TargetState]) {
        let at = Timestamp::UNIX_EPOCH;
        let targets = states.iter().map(|state| Target { state: *state, ..target("10.0.0.1", Some(80)) }).collect();
        let health = TargetHealth { targets, changed_at: at };
        Arc::make_mut(&mut parts.target_health).insert(group(name), Part::fetched(health, at));
    }

    #[test]
    fn what_fails_or_serves_nobody_is_remembered_until_it_is_seen_well() {
        let mut parts = Parts::default();
        sampled(&mut parts, "healthy", &[TargetState::Healthy, TargetState::Draining]);
        sampled(&mut parts, "partly", &[TargetState::Healthy, TargetState::Unhealthy]);
        sampled(&mut parts, "beginning", &[TargetState::Initial]);
        sampled(&mut parts, "empty", &[]);
        let mut history = History::default();
        history.note_unwell(&parts);
        assert_eq!(history.unwell, ["beginning", "empty", "partly"].map(group).into());

        // After a restart: of one group alone it is known how it is, and another one is gone.
        let mut parts = Parts::default();
        sampled(&mut parts, "partly", &[TargetState::Healthy]);
        history.note_unwell(&parts);
        assert_eq!(history.unwell, ["beginning", "empty"].map(group).into());
        parts.target_groups = Part::fetched(BTreeMap::new(), Timestamp::UNIX_EPOCH);
        history.note_unwell(&parts);
        assert!(history.unwell.is_empty());
    }

    #[test]
    fn what_an_older_program_kept_says_nothing_of_groups() {
        let history: History = serde_json::from_str("{\"services\": {}}").unwrap();
        assert!(history.unwell.is_empty());
        assert!(!serde_json::to_string(&history).unwrap().contains("unwell"));
    }
}
