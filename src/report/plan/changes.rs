//! What would applying a manifest change about a load balancer that exists?
//!
//! The drift check answers: with the manifest in the place of the Service, what differs from AWS is what the controller would
//! change, or would never change. What only this page knows is which change replaces something.

mod staying;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use serde::Serialize;

use crate::checks::drift::applied::Difference;
use crate::controller::annotations::{PREFIX, name};
use crate::controller::desired::listener::listeners;
use crate::controller::desired::security_groups::names_its_own;
use crate::controller::settings::{HEALTH_CHECK_ADVANCED_CONFIG, Settings};
use crate::inventory::kube::{Protocol, Service, ServiceType};

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

/// The same, where the controller does not set what they say later on (before 2.4.6, and without a gate).
const REPLACES_SIMPLE_TARGET_GROUPS: &[&str] =
    &[name::HEALTH_CHECK_PROTOCOL, name::SUCCESS_CODES, name::HEALTH_CHECK_INTERVAL, name::HEALTH_CHECK_TIMEOUT];

/// What decides the listeners beside annotations.
const PORTS: &str = "spec.ports";

/// A Service in the cluster and in the manifest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edit<'a> {
    pub(super) before: &'a Service,
    pub(super) after: &'a Service,
    /// How the load balancer differs from the manifest.
    pub(super) differences: &'a [Difference],
    pub(super) settings: Settings<'a>,
    /// The load balancer has security groups.
    pub(super) has_groups: bool,
}

/// The changes of one Service.
pub(super) fn changes(edit: Edit<'_>) -> Vec<Change> {
    let Edit { before, after, settings, .. } = edit;
    let mut changes = ports(before, after, settings);
    let told_of_ports = !changes.is_empty();
    for difference in edit.differences.iter().filter(|it| it.annotation != PORTS || !told_of_ports) {
        let field = difference.annotation;
        let (effect, what) = effect(difference, settings);
        changes.push(Change { field: field.to_owned(), effect, message: format!("{} {what}.", told(before, after, field)) });
    }
    if changes.iter().any(|change| change.effect == Effect::Replaced) {
        // The new one is made as everything says.
        changes.retain(|change| change.effect != Effect::Ignored);
    } else {
        changes.extend(groups(edit));
        let is_anew = changes.iter().any(|change| change.effect == Effect::TargetGroupsReplaced);
        changes.extend(staying::staying(edit, is_anew));
    }
    changes.sort_by(|a, b| (std::cmp::Reverse(a.effect), &a.field).cmp(&(std::cmp::Reverse(b.effect), &b.field)));
    changes
}

const NEW_TARGET_GROUPS: &str =
    "cannot be changed of a target group: new ones are made and their targets must become healthy first";

fn effect(difference: &Difference, settings: Settings<'_>) -> (Effect, &'static str) {
    let field = difference.annotation;
    let is_simple = settings.gate(&HEALTH_CHECK_ADVANCED_CONFIG) == Some(false);
    if !difference.repaired {
        (Effect::Ignored, "is read only when the load balancer is made: the load balancer stays as it is")
    } else if REPLACES.contains(&field) {
        (Effect::Replaced, REPLACEMENT)
    } else if REPLACES_TARGET_GROUPS.contains(&field) || (is_simple && REPLACES_SIMPLE_TARGET_GROUPS.contains(&field)) {
        (Effect::TargetGroupsReplaced, NEW_TARGET_GROUPS)
    } else {
        (Effect::InPlace, "is changed in place")
    }
}

const REPLACEMENT: &str =
    "cannot be changed: the load balancer is deleted and a new one made, with a new DNS name, and until it is up there is none";

/// That the load balancer is replaced, by the annotations on its scheme.
pub(super) fn replaced(before: &Service, after: &Service) -> Change {
    let annotated = |field: &&&str| after.annotations.contains_key(&*format!("{PREFIX}{field}"));
    let field = REPLACES.iter().find(annotated).copied().unwrap_or(name::SCHEME);
    let message = format!("{} {REPLACEMENT}.", told(before, after, field));
    Change { field: field.to_owned(), effect: Effect::Replaced, message }
}

/// Why the API server refuses a manifest, whoever would own the Service.
pub(super) fn refused(before: Option<&Service>, after: &Service) -> Option<Change> {
    let of = |field: &str, why: String| {
        let message = format!("{field} {why}: the API server refuses the manifest.");
        Some(Change { field: field.to_owned(), effect: Effect::Blocked, message })
    };
    let balances = |service: &Service| service.service_type == ServiceType::LoadBalancer;
    let class = |service: &Service| service.load_balancer_class.as_deref().unwrap_or("none").to_owned();
    let keeps_its_class = before.is_some_and(|before| before.load_balancer_class == after.load_balancer_class);
    if let Some(before) = before.filter(|before| balances(before) && balances(after) && !keeps_its_class) {
        return of(
            "spec.loadBalancerClass",
            format!("({} in the cluster, {} in the manifest) cannot be changed", class(before), class(after)),
        );
    }
    // One that it had while it was of that type is dropped.
    if !balances(after) && after.load_balancer_class.is_some() && !keeps_its_class {
        return of("spec.loadBalancerClass", "is only for Services of type LoadBalancer".to_owned());
    }
    if after.ports.is_empty() && matches!(after.service_type, ServiceType::LoadBalancer | ServiceType::NodePort) {
        return of(PORTS, "is empty".to_owned());
    }
    let mut names = BTreeSet::new();
    let mut numbers = BTreeSet::new();
    for port in &after.ports {
        if after.ports.len() > 1 && port.name.is_empty() {
            return of(PORTS, format!("has several ports and {} has no name", port.port));
        }
        if !port.name.is_empty() && !names.insert(&port.name) {
            return of(PORTS, format!("has two ports of the name {:?}", port.name));
        }
        if !numbers.insert((port.port, port.protocol)) {
            return of(PORTS, format!("has {} {} twice", port.protocol.as_str(), port.port));
        }
    }
    None
}

/// Ports that come, go, or get another protocol.
fn ports(before: &Service, after: &Service, settings: Settings<'_>) -> Vec<Change> {
    let (Ok(had), Ok(wanted)) = (listeners(before, settings), listeners(after, settings)) else { return Vec::new() };
    let had: BTreeMap<u16, &str> = had.iter().map(|listener| (listener.port.port, listener.group_protocol)).collect();
    let wanted: BTreeMap<u16, &str> = wanted.iter().map(|listener| (listener.port.port, listener.group_protocol)).collect();
    let of_spec = |protocol: &&str| Protocol::parse(protocol).is_some();
    let mut changes = Vec::new();
    let mut tell = |effect, message| changes.push(Change { field: PORTS.to_owned(), effect, message });
    let added = wanted.keys().filter(|port| !had.contains_key(port));
    if let Some(list) = listed(added) {
        tell(Effect::InPlace, format!("{PORTS} has {list} in addition: each new port gets a listener and a target group."));
    }
    let gone = had.keys().filter(|port| !wanted.contains_key(port));
    if let Some(list) = listed(gone) {
        tell(
            Effect::InPlace,
            format!("{PORTS} has {list} no more: its listener is deleted, with every connection, and its target group."),
        );
    }
    for (port, protocol) in &had {
        if let Some(new) = wanted.get(port).filter(|new| *new != protocol && of_spec(new) && of_spec(protocol)) {
            let message =
                format!("{PORTS}, {port} with {protocol} in the cluster and with {new} in the manifest, {NEW_TARGET_GROUPS}.");
            tell(Effect::TargetGroupsReplaced, message);
        }
    }
    changes
}

/// From groups of the user's own to the managed one: the drift check does not know a group that is yet to be made.
fn groups(edit: Edit<'_>) -> Option<Change> {
    let field = name::SECURITY_GROUPS;
    let is_told = edit.differences.iter().any(|difference| difference.annotation == field);
    let from_own_to_managed = names_its_own(edit.before) && !names_its_own(edit.after);
    (edit.has_groups && from_own_to_managed && !is_told).then(|| Change {
        field: field.to_owned(),
        effect: Effect::InPlace,
        message: format!(
            "{} is changed in place: the controller makes a security group for it.",
            told(edit.before, edit.after, field)
        ),
    })
}

fn listed(items: impl Iterator<Item = impl Display>) -> Option<String> {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    (!items.is_empty()).then(|| items.join(", "))
}

/// Annotations of one base name (ports and listeners stand after a dot) that differ, and their names.
fn differing<'a>(before: &'a Service, after: &'a Service, base: &str) -> BTreeSet<&'a str> {
    let keys = before.annotations.keys().chain(after.annotations.keys());
    let names =
        keys.filter(|key| before.annotations.get(*key) != after.annotations.get(*key)).filter_map(|key| key.strip_prefix(PREFIX));
    names.filter(|name| name.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))).collect()
}

fn told(before: &Service, after: &Service, field: &str) -> String {
    let names = differing(before, after, field);
    let mut names_of_it = names.iter();
    let name = match (names_of_it.next(), names_of_it.next()) {
        (Some(only), None) => only,
        (Some(_), Some(_)) => return format!("{}, changed,", listed(names.iter()).unwrap_or_default()),
        (None, _) => return told_of_spec(before, after, field),
    };
    let value = |service: &Service| service.annotations.get(&*format!("{PREFIX}{name}")).cloned();
    let quoted = |value: &str| format!("{:?}", value.chars().take(60).collect::<String>());
    match (value(before), value(after)) {
        (Some(old), Some(new)) => format!("{name}, {} in the cluster and {} in the manifest,", quoted(&old), quoted(&new)),
        (None, Some(new)) => format!("{name}, new with {},", quoted(&new)),
        (Some(old), None) => format!("{name}, removed and {} in the cluster,", quoted(&old)),
        (None, None) => format!("{name},"),
    }
}

/// What of the spec decides it, where its annotation is as it was.
fn told_of_spec(before: &Service, after: &Service, field: &str) -> String {
    let ranges = |service: &Service| match &service.source_ranges[..] {
        [] => "none".to_owned(),
        ranges => ranges.join(","),
    };
    if field == name::SOURCE_RANGES && before.source_ranges != after.source_ranges {
        return format!(
            "spec.loadBalancerSourceRanges, {} in the cluster and {} in the manifest,",
            ranges(before),
            ranges(after)
        );
    }
    if [name::SOURCE_RANGES, name::PREFIX_LISTS].contains(&field) && before.ports != after.ports {
        return format!("What {field} lets in, by the ports of the manifest,");
    }
    if field == name::SOURCE_RANGES && !differing(before, after, name::IP_ADDRESS_TYPE).is_empty() {
        return format!("What {field} lets in, which follows {},", name::IP_ADDRESS_TYPE);
    }
    if [name::SSL_PORTS, name::BACKEND_PROTOCOL].contains(&field) && !differing(before, after, name::SSL_CERT).is_empty() {
        return told(before, after, name::SSL_CERT);
    }
    if field.starts_with("aws-load-balancer-healthcheck-") && before.external_traffic_policy != after.external_traffic_policy {
        return format!("{field}, which follows spec.externalTrafficPolicy where nothing is written,");
    }
    format!("{field}, of which AWS differs,")
}

#[cfg(test)]
mod tests;
