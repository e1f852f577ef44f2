//! What would applying a manifest change about a load balancer that exists?
//!
//! The drift check answers: with the manifest in the place of the Service, what differs from AWS is what the controller would
//! change, or would never change. What only this page knows is which change replaces something.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use crate::checks::{self, drift};
use crate::config::policy::Policy;
use crate::controller::annotations::{PREFIX, name};
use crate::inventory::ids::ObjectName;
use crate::inventory::kube::{Service, ServiceType};
use crate::inventory::snapshot::Snapshot;

/// What a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The controller changes it in place.
    InPlace,
    /// Target groups are made anew: targets register again.
    TargetGroupsReplaced,
    /// The load balancer is deleted and made anew.
    Replaced,
    /// Nothing ever happens.
    Ignored,
    /// What was set stays set, although nothing asks for it any more.
    Stays,
    /// It is refused.
    Blocked,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The annotation without its prefix, or the field.
    pub field: String,
    /// What it does.
    pub effect: Effect,
    /// One sentence.
    pub message: String,
}

/// Annotations whose change replaces the load balancer.
const REPLACES: &[&str] = &[name::SCHEME, name::INTERNAL];

/// Annotations whose change replaces target groups.
const REPLACES_TARGET_GROUPS: &[&str] =
    &[name::TARGET_TYPE, name::BACKEND_PROTOCOL, name::ENABLE_TCP_UDP_LISTENER, name::QUIC_PORTS];

/// Annotations of which only the keys that are listed are enforced: without them AWS keeps what it has.
const KNOWN_KEYS: &[&str] = &[
    name::ATTRIBUTES,
    name::ACCESS_LOG_ENABLED,
    name::ACCESS_LOG_BUCKET,
    name::ACCESS_LOG_PREFIX,
    name::CROSS_ZONE,
    name::MINIMUM_CAPACITY,
    name::PRIVATE_LINK_RULES,
    name::ALPN_POLICY,
    name::LISTENER_ATTRIBUTES,
    name::TARGET_GROUP_ATTRIBUTES,
];

/// What the drift check says of one annotation of one Service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Drifted {
    pub(super) service: ObjectName,
    pub(super) annotation: String,
    pub(super) repaired: bool,
}

/// Everything that differs from AWS in a picture.
pub(super) fn drifted(snapshot: &Snapshot, policy: &Policy, now: Timestamp) -> BTreeSet<Drifted> {
    // Whoever plans does not wait until a difference is old enough to be somebody's fault.
    let policy = Policy { drift_hold_down_seconds: 0, ..policy.clone() };
    let outcome = checks::run(&[&drift::CHECK], snapshot, &policy, now, || std::time::Duration::ZERO);
    let families = outcome.families.iter().filter(|family| family.description.name == "service_annotation_drift");
    let row = |labels: &[checks::model::Label]| match labels {
        [namespace, service, annotation, repair] => Some(Drifted {
            service: ObjectName::new(namespace.shared(), service.shared()),
            annotation: annotation.as_str().to_owned(),
            repaired: repair.as_str() == "automatic",
        }),
        _ => None,
    };
    families.flat_map(|family| &family.samples).filter_map(|sample| row(&sample.labels)).collect()
}

/// The changes of one Service: `before` is it in the cluster, `after` in the manifest.
pub(super) fn changes(before: &Service, after: &Service, drifted: &BTreeSet<Drifted>) -> Vec<Change> {
    if let Some(refused) = refused(before, after) {
        return vec![refused];
    }
    let mut changes = Vec::new();
    for drift in drifted.iter().filter(|drift| drift.service == after.name) {
        let field = drift.annotation.as_str();
        let (effect, what) = if !drift.repaired {
            (Effect::Ignored, "is read only when the load balancer is made: the load balancer stays as it is")
        } else if REPLACES.contains(&field) {
            (
                Effect::Replaced,
                "cannot be changed: the load balancer is deleted and a new one made, with a new DNS name, and until it is up there is none",
            )
        } else if REPLACES_TARGET_GROUPS.contains(&field) {
            (
                Effect::TargetGroupsReplaced,
                "cannot be changed of a target group: new ones are made and their targets must become healthy first",
            )
        } else {
            (Effect::InPlace, "is changed in place")
        };
        changes.push(Change { field: field.to_owned(), effect, message: format!("{} {what}.", told(before, after, field)) });
    }
    if changes.iter().any(|change| change.effect == Effect::Replaced) {
        // The new one is made as everything says.
        changes.retain(|change| change.effect != Effect::Ignored);
    } else {
        changes.extend(staying(before, after));
    }
    changes.sort_by(|a, b| (std::cmp::Reverse(a.effect), &a.field).cmp(&(std::cmp::Reverse(b.effect), &b.field)));
    changes
}

/// What the API server refuses is refused as a whole.
fn refused(before: &Service, after: &Service) -> Option<Change> {
    let stays_one = [before, after].iter().all(|service| service.service_type == ServiceType::LoadBalancer);
    if !stays_one || before.load_balancer_class == after.load_balancer_class {
        return None;
    }
    let class = |service: &Service| service.load_balancer_class.as_deref().unwrap_or("none").to_owned();
    let message = format!(
        "spec.loadBalancerClass ({} in the cluster, {} in the manifest) cannot be changed: the API server refuses the manifest.",
        class(before),
        class(after)
    );
    Some(Change { field: "spec.loadBalancerClass".to_owned(), effect: Effect::Blocked, message })
}

fn told(before: &Service, after: &Service, field: &str) -> String {
    let value = |service: &Service| service.annotations.get(&*format!("{PREFIX}{field}")).cloned();
    let quoted = |value: &str| format!("{:?}", value.chars().take(60).collect::<String>());
    match (value(before), value(after)) {
        (Some(old), Some(new)) if old != new => {
            format!("{field}, {} in the cluster and {} in the manifest,", quoted(&old), quoted(&new))
        }
        (None, Some(new)) => format!("{field}, new with {},", quoted(&new)),
        (Some(old), None) => format!("{field}, removed and {} in the cluster,", quoted(&old)),
        _ => format!("{field}, of which AWS differs,"),
    }
}

/// Keys that are listed no more.
fn staying(before: &Service, after: &Service) -> Vec<Change> {
    let mut changes = Vec::new();
    for (key, old) in &before.annotations {
        let Some(field) = key.strip_prefix(PREFIX) else { continue };
        let base = field.split('.').next().unwrap_or(field);
        if !KNOWN_KEYS.contains(&base) {
            continue;
        }
        let new = after.annotations.get(key);
        let keys = |text: &str| {
            text.split(',').filter_map(|pair| Some(pair.split_once('=')?.0.trim().to_owned())).collect::<BTreeSet<_>>()
        };
        let gone: Vec<String> = match new {
            None if keys(old).is_empty() => vec![field.to_owned()],
            None => keys(old).into_iter().collect(),
            Some(new) => keys(old).difference(&keys(new)).cloned().collect(),
        };
        if !gone.is_empty() {
            let message = format!(
                "{field} names {} no more, and nothing sets it back: AWS keeps the last value; write the value that you want.",
                gone.join(", ")
            );
            changes.push(Change { field: field.to_owned(), effect: Effect::Stays, message });
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::service;

    #[test]
    fn what_is_listed_no_more_stays_and_is_said() {
        let before = service("shop/web").annotate(name::ATTRIBUTES, "a=1,b=2").annotate(name::CROSS_ZONE, "true").build();
        let after = service("shop/web").annotate(name::ATTRIBUTES, "a=3").build();
        let found = changes(&before, &after, &BTreeSet::new());
        let told: Vec<_> = found.iter().map(|change| (change.field.as_str(), change.effect)).collect();
        assert_eq!(told, [(name::ATTRIBUTES, Effect::Stays), (name::CROSS_ZONE, Effect::Stays)]);
        assert!(found[0].message.contains("names b no more"), "{}", found[0].message);
        assert!(changes(&before, &before, &BTreeSet::new()).is_empty());
    }

    #[test]
    fn each_difference_has_the_effect_of_its_class() {
        let before = service("shop/web").annotate(name::SCHEME, "internal").build();
        let after = service("shop/web").annotate(name::SCHEME, "internet-facing").build();
        let drifted =
            |annotation: &str, repaired| Drifted { service: after.name.clone(), annotation: annotation.to_owned(), repaired };
        let all = BTreeSet::from([
            drifted(name::NAME, false),
            drifted(name::TARGET_TYPE, true),
            drifted(name::HEALTH_CHECK_PATH, true),
        ]);
        let effects = |all: &BTreeSet<Drifted>| -> Vec<(String, Effect)> {
            changes(&before, &after, all).into_iter().map(|change| (change.field, change.effect)).collect()
        };
        let expected = [
            (name::NAME.to_owned(), Effect::Ignored),
            (name::TARGET_TYPE.to_owned(), Effect::TargetGroupsReplaced),
            (name::HEALTH_CHECK_PATH.to_owned(), Effect::InPlace),
        ];
        assert_eq!(effects(&all), expected);
        let with_scheme: BTreeSet<_> = all.into_iter().chain([drifted(name::SCHEME, true)]).collect();
        let found = changes(&before, &after, &with_scheme);
        assert_eq!(found[0].effect, Effect::Replaced);
        assert!(
            found[0].message.contains("\"internal\" in the cluster and \"internet-facing\" in the manifest"),
            "{}",
            found[0].message
        );
        assert!(found.iter().all(|change| change.effect != Effect::Ignored), "a new one gets its name");
    }

    #[test]
    fn another_class_is_refused_and_then_nothing_else_happens() {
        let before = service("shop/web").annotate(name::ATTRIBUTES, "a=1").build();
        let after = service("shop/web").class("x").build();
        let found = changes(&before, &after, &BTreeSet::new());
        assert_eq!(found.iter().map(|change| change.effect).collect::<Vec<_>>(), [Effect::Blocked]);
    }
}
