//! What do the controllers' events add up to? States by object that outlive the events and end with the object.
//!
//! An event names its object by kind and name; an earlier object of the same name may have left some behind. What is
//! older than the object's creation is not about it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::inventory::ids::ObjectName;
use crate::inventory::kube::{EventObject, ReconcileFailure, ReconcileState};
use crate::inventory::parts::{EventKey, Parts};

/// An event may be seen before its object is: only older ones count as left over from an object that is gone.
const GRACE: Duration = Duration::from_secs(60);

/// What one event says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fact {
    pub(super) about: EventKey,
    pub(super) at: Timestamp,
    /// Reason and message; `None` for a success.
    pub(super) failure: Option<(Arc<str>, Arc<str>)>,
}

/// What is known of an event's object.
enum Subject {
    /// It exists since then.
    Since(Timestamp),
    /// It does not exist.
    Gone,
    /// Its kind is not known completely.
    Unknown,
}

fn subject(parts: &Parts, key: &EventKey) -> Subject {
    let (found, complete) = match key.kind {
        EventObject::Service => {
            let part = &parts.services;
            (part.get().and_then(|map| map.get(&key.name)).map(|service| service.created_at), part.complete().is_some())
        }
        EventObject::TargetGroupBinding => {
            let part = &parts.target_group_bindings;
            (part.get().and_then(|map| map.get(&key.name)).map(|binding| binding.created_at), part.complete().is_some())
        }
    };
    match found {
        Some(created) => Subject::Since(created),
        None if complete => Subject::Gone,
        None => Subject::Unknown,
    }
}

/// The states that these facts change.
pub(super) fn fold(known: &Parts, facts: impl Iterator<Item = Fact>, now: Timestamp) -> BTreeMap<EventKey, ReconcileState> {
    let before = |key: &EventKey| known.reconciles.get().and_then(|map| map.get(key)).cloned().unwrap_or_default();
    let mut states: BTreeMap<EventKey, ReconcileState> = BTreeMap::new();
    for fact in facts {
        let stale = match subject(known, &fact.about) {
            Subject::Since(created) => fact.at < created,
            Subject::Gone => fact.at < now - GRACE,
            Subject::Unknown => false,
        };
        if stale {
            continue;
        }
        let state = states.entry(fact.about).or_insert_with_key(before);
        match fact.failure {
            Some((reason, message)) => state.record_failure(ReconcileFailure { reason, message, at: fact.at }),
            None => state.record_success(fact.at),
        }
    }
    states.retain(|key, state| *state != before(key));
    states
}

/// Takes the states over.
pub(super) fn take(parts: &mut Parts, states: BTreeMap<EventKey, ReconcileState>, now: Timestamp) {
    Arc::make_mut(parts.reconciles.value.get_or_insert_with(Arc::default)).extend(states);
    let gone = left_over(parts, now);
    forget(parts, gone);
}

/// Lets states end with their objects: `touched` are the objects that were deleted (`None`) or written (with their
/// creation), `listed` says that a complete list of the kind just arrived.
pub(super) fn settle(
    parts: &mut Parts,
    kind: EventObject,
    touched: &[(ObjectName, Option<Timestamp>)],
    listed: bool,
    now: Timestamp,
) {
    let Some(known) = parts.reconciles.get() else { return };
    let mut gone = Vec::new();
    let mut older = Vec::new();
    for (name, created) in touched {
        let key = EventKey { kind, name: name.clone() };
        let Some(state) = known.get(&key) else { continue };
        match created {
            None => gone.push(key),
            Some(created) => {
                let state = ReconcileState {
                    failure: state.failure.clone().filter(|failure| failure.at >= *created),
                    succeeded_at: state.succeeded_at.filter(|at| at >= created),
                };
                older.push((key, state));
            }
        }
    }
    older.retain(|(key, state)| known.get(key) != Some(state));
    if !older.is_empty() {
        Arc::make_mut(parts.reconciles.value.get_or_insert_with(Arc::default)).extend(older);
    }
    if listed {
        gone.extend(left_over(parts, now));
    }
    forget(parts, gone);
}

fn left_over(parts: &Parts, now: Timestamp) -> Vec<EventKey> {
    let oldest = now - GRACE;
    let states = parts.reconciles.get().into_iter().flatten();
    let old =
        states.filter(|(_, state)| state.failure.as_ref().map(|f| f.at).max(state.succeeded_at).is_none_or(|at| at < oldest));
    old.filter(|(key, _)| matches!(subject(parts, key), Subject::Gone)).map(|(key, _)| key.clone()).collect()
}

fn forget(parts: &mut Parts, keys: Vec<EventKey>) {
    if keys.is_empty() {
        return;
    }
    let map = Arc::make_mut(parts.reconciles.value.get_or_insert_with(Arc::default));
    for key in keys {
        map.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::kube::{BindingGroup, PortReference, TargetGroupBinding};
    use crate::inventory::part::Part;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn key(name: &str) -> EventKey {
        EventKey { kind: EventObject::TargetGroupBinding, name: ObjectName::new("a", name) }
    }

    fn failed(name: &str, second: i64) -> Fact {
        Fact { about: key(name), at: at(second), failure: Some(("BackendNotFound".into(), "x".into())) }
    }

    fn succeeded(name: &str, second: i64) -> Fact {
        Fact { about: key(name), at: at(second), failure: None }
    }

    /// The binding `a/b`, made at 100.
    fn world() -> Parts {
        let binding = TargetGroupBinding {
            name: ObjectName::new("a", "b"),
            group: BindingGroup::LoadBalancerController,
            created_at: at(100),
            deleted_at: None,
            target_group_arn: None,
            target_type: None,
            service: ObjectName::new("a", "s"),
            service_port: PortReference::Number(80),
            networking: false,
            node_selector: None,
            multi_cluster: false,
            other_account: false,
            vpc_id: None,
            stack: None,
        };
        let bindings = BTreeMap::from([(binding.name.clone(), Arc::new(binding))]);
        Parts { target_group_bindings: Part::fetched(bindings, at(100)), ..Parts::default() }
    }

    fn after(parts: &mut Parts, facts: Vec<Fact>, now: i64) {
        let states = fold(parts, facts.into_iter(), at(now));
        take(parts, states, at(now));
    }

    fn blocked(parts: &Parts, name: &str) -> Option<Timestamp> {
        parts.reconciles.get()?.get(&key(name))?.blocked().map(|failure| failure.at)
    }

    #[test]
    fn a_failure_blocks_until_a_success() {
        let mut parts = world();
        after(&mut parts, vec![failed("b", 110)], 111);
        assert_eq!(blocked(&parts, "b"), Some(at(110)));
        after(&mut parts, vec![succeeded("b", 120)], 121);
        assert_eq!(blocked(&parts, "b"), None);
        assert!(fold(&parts, [failed("b", 110), succeeded("b", 120)].into_iter(), at(122)).is_empty(), "old news");
    }

    #[test]
    fn events_of_an_earlier_object_of_that_name_are_not_about_this_one() {
        let mut parts = world();
        after(&mut parts, vec![failed("b", 90)], 111);
        assert_eq!(blocked(&parts, "b"), None);
        // The same where the event came first.
        let mut parts = Parts { target_group_bindings: Part::default(), ..world() };
        after(&mut parts, vec![failed("b", 90)], 111);
        assert_eq!(blocked(&parts, "b"), Some(at(90)));
        settle(&mut parts, EventObject::TargetGroupBinding, &[(ObjectName::new("a", "b"), Some(at(100)))], true, at(112));
        assert_eq!(blocked(&parts, "b"), None);
    }

    #[test]
    fn a_state_ends_with_its_object() {
        let mut parts = world();
        after(&mut parts, vec![failed("b", 110)], 111);
        parts.target_group_bindings = Part::fetched(BTreeMap::new(), at(112));
        settle(&mut parts, EventObject::TargetGroupBinding, &[(ObjectName::new("a", "b"), None)], false, at(112));
        assert!(parts.reconciles.get().unwrap().is_empty());
    }

    #[test]
    fn an_event_seen_before_its_object_waits_for_it_but_not_for_ever() {
        let mut parts = world();
        after(&mut parts, vec![failed("new", 990), failed("gone", 900)], 1000);
        assert_eq!((blocked(&parts, "new"), blocked(&parts, "gone")), (Some(at(990)), None));
        settle(&mut parts, EventObject::TargetGroupBinding, &[], true, at(1100));
        assert_eq!(blocked(&parts, "new"), None);
    }
}
