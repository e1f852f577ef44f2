//! Which events are a controller's word about a Service or a TargetGroupBinding, and what do they say?

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1 as api;

use super::batch::Batch;
use super::reconciles::{self, Fact};
use super::report::Change;
use super::watch::{Subject, Undecodable};
use crate::inventory::kube::EventObject;
use crate::inventory::parts::{EventKey, Parts};
use crate::sources::intern::Interner;

/// What is kept of a message at most.
const LONGEST_MESSAGE: usize = 1000;

/// The AWS Load Balancer Controller about a Service (its component is `service`) and about a binding
/// (`targetGroupBinding`), the cloud controller manager about a Service (`service-controller`). Others' events about
/// the same objects say nothing about the load balancer.
const FAILURES: &[(EventObject, &str, &[&str])] = &[
    (
        EventObject::Service,
        "service",
        &[
            "FailedBuildModel",
            "FailedDeployModel",
            "FailedAddFinalizer",
            "FailedRemoveFinalizer",
            "FailedUpdateStatus",
            "FailedCleanupStatus",
        ],
    ),
    (EventObject::Service, "service-controller", &["SyncLoadBalancerFailed"]),
    (
        EventObject::TargetGroupBinding,
        "targetGroupBinding",
        &[
            "FailedAddFinalizer",
            "FailedRemoveFinalizer",
            "FailedUpdateStatus",
            "FailedCleanup",
            "FailedNetworkReconcile",
            "BackendNotFound",
            "FailedReconcile",
        ],
    ),
];

/// What clears them.
const SUCCESSES: &[(EventObject, &str, &str)] = &[
    (EventObject::Service, "service", "SuccessfullyReconciled"),
    (EventObject::Service, "service-controller", "EnsuredLoadBalancer"),
    (EventObject::TargetGroupBinding, "targetGroupBinding", "SuccessfullyReconciled"),
];

pub(super) struct Events {
    pub(super) about: EventObject,
    pub(super) interner: Arc<Interner>,
}

impl Subject for Events {
    type Object = api::Event;
    type Value = Fact;

    fn read(&self, object: api::Event) -> Result<Option<Fact>, Undecodable> {
        Ok(fact(&object, self.about, &self.interner))
    }

    /// An event that expires takes nothing back.
    fn commit(&mut self, known: &Parts, batch: Batch<Fact>, now: Timestamp) -> Option<Change> {
        let listed = batch.list.into_iter().flatten().map(|(_, fact)| fact);
        let facts = listed.chain(batch.changes.into_values().flatten());
        let states = reconciles::fold(known, facts, now);
        if states.is_empty() {
            return None;
        }
        Some(Box::new(move |parts| reconciles::take(parts, states, now)))
    }
}

fn fact(object: &api::Event, about: EventObject, interner: &Interner) -> Option<Fact> {
    let involved = &object.involved_object;
    if involved.kind.as_deref() != Some(about.as_str()) {
        return None;
    }
    let component = object.source.as_ref().and_then(|source| source.component.as_deref()).filter(|text| !text.is_empty());
    let component = component.or(object.reporting_component.as_deref())?;
    let reason = object.reason.as_deref()?;
    let failure = if SUCCESSES.contains(&(about, component, reason)) {
        None
    } else {
        let known =
            FAILURES.iter().any(|(kind, name, reasons)| (*kind, *name) == (about, component) && reasons.contains(&reason));
        if !known || object.type_.as_deref() != Some("Warning") {
            return None;
        }
        Some((interner.get(reason), message(object.message.as_deref().unwrap_or_default())))
    };
    let name = interner.name(involved.namespace.as_deref()?, involved.name.as_deref()?);
    Some(Fact { about: EventKey { kind: about, name }, at: seen_at(object)?, failure })
}

fn message(text: &str) -> Arc<str> {
    match text.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

/// When it was last seen. Clients of the older and the newer events API fill in different fields, some of them all.
fn seen_at(object: &api::Event) -> Option<Timestamp> {
    let series = object.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
    let last = object.last_timestamp.as_ref().map(|time| time.0);
    let event = object.event_time.as_ref().map(|time| time.0);
    let first = object.first_timestamp.as_ref().map(|time| time.0);
    let newest = [series, last, event, first].into_iter().flatten().max();
    newest.or_else(|| object.metadata.creation_timestamp.as_ref().map(|time| time.0))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(change: impl FnOnce(&mut Value)) -> Option<Fact> {
        let mut object = json!({
            "metadata": {"namespace": "a", "name": "b.1", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "involvedObject": {"kind": "Service", "namespace": "a", "name": "b"},
            "type": "Warning", "reason": "FailedBuildModel", "message": "no", "source": {"component": "service"},
        });
        change(&mut object);
        fact(&serde_json::from_value(object).unwrap(), EventObject::Service, &Interner::default())
    }

    #[test]
    fn only_the_controllers_own_words_count() {
        assert_eq!(read(|_| {}).unwrap().failure, Some(("FailedBuildModel".into(), "no".into())));
        assert!(read(|e| e["source"]["component"] = json!("external-dns")).is_none());
        assert!(read(|e| e["reason"] = json!("Unheard")).is_none());
        assert!(read(|e| e["reason"] = json!("SyncLoadBalancerFailed")).is_none(), "not this controller's");
        assert!(read(|e| e["type"] = json!("Normal")).is_none());
        assert!(read(|e| e["involvedObject"]["kind"] = json!("Pod")).is_none());
        let success = |e: &mut Value| (e["type"], e["reason"]) = (json!("Normal"), json!("SuccessfullyReconciled"));
        assert_eq!(read(success).unwrap().failure, None);
    }

    #[test]
    fn the_cloud_controllers_failure_and_its_end_are_known() {
        let by_ccm = |reason: &'static str| {
            read(move |e| {
                e["source"]["component"] = json!("service-controller");
                e["reason"] = json!(reason);
            })
        };
        assert!(by_ccm("SyncLoadBalancerFailed").unwrap().failure.is_some());
        assert!(by_ccm("EnsuredLoadBalancer").unwrap().failure.is_none());
        assert!(by_ccm("UpdatedLoadBalancer").is_none());
    }

    #[test]
    fn a_repeated_event_has_the_time_it_was_last_seen() {
        let at = |change: fn(&mut Value)| read(change).unwrap().at.to_string();
        assert_eq!(at(|_| {}), "2026-01-01T00:00:00Z");
        assert_eq!(at(|e| e["firstTimestamp"] = json!("2026-01-01T00:00:01Z")), "2026-01-01T00:00:01Z");
        let newer = |e: &mut Value| {
            e["eventTime"] = json!("2026-01-01T00:00:02.000000Z");
            e["series"] = json!({"count": 3, "lastObservedTime": "2026-01-01T00:00:09.000000Z"});
        };
        assert_eq!(read(newer).unwrap().at.to_string(), "2026-01-01T00:00:09Z");
    }
}
