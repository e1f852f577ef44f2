//! How are listeners compared, and where they send to: 1.6?

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use crate::controller::annotations::{AnnotationError, name};
use crate::controller::desired::listener as desired;
use crate::controller::desired::listener::TLS;
use crate::controller::desired::listener::WantedListener;
use crate::controller::desired::listener::actions::{Destination, WantedForward, forwards};
use crate::controller::desired::{Wanted, same_attribute};
use crate::inventory::aws::Listener;
use crate::inventory::ids::{LoadBalancerId, TargetGroupId};
use crate::inventory::kube::{PortReference, Version};

use crate::checks::drift::case::{Case, Seen};
use crate::checks::drift::comparison::{Comparison, GROUPS_MISSING, Listed, NOT_FETCHED};

use super::SPEC_PORTS;

const ALPN_UNSURE: &str = "whether this version of the controller sets ALPN beside target groups without TLS is not known";

/// A listener, for a message.
fn of(port: u16, lb: &LoadBalancerId) -> impl Display {
    std::fmt::from_fn(move |f| write!(f, "the listener of port {port} of {lb}"))
}

/// Which annotation explains that a protocol is another: the last step of the derivation that takes part in either.
fn explained_by(wanted: &str, actual: &str, tls: &'static str) -> &'static str {
    let either = |protocol: &str| wanted == protocol || actual == protocol;
    if either("QUIC") || either("TCP_QUIC") {
        name::QUIC_PORTS
    } else if either("TCP_UDP") {
        name::ENABLE_TCP_UDP_LISTENER
    } else if either(TLS) {
        tls
    } else {
        SPEC_PORTS
    }
}

/// 1.6: one listener a port number and none beside, each with its protocol, and its target group with its own.
pub(super) fn protocols(case: &Case<'_>, annotation: &str) -> Result<Comparison, AnnotationError> {
    let mut comparison = Comparison::default();
    let wanted = case.wanted_listeners()?;
    let lb = &case.load_balancer.value.load_balancer.id;
    let Some(actual) = case.listeners else { return Ok(Comparison::unknown(NOT_FETCHED)) };
    for listener in wanted {
        let port = listener.port.port;
        match case.listener(port) {
            None if annotation == SPEC_PORTS => {
                comparison.differs(of(port, lb), listener.protocol, "missing", actual.at);
            }
            None => {}
            Some(found) => {
                let protocol = &*found.value.protocol;
                if explained_by(listener.protocol, protocol, name::SSL_PORTS) == annotation {
                    comparison.field(format_args!("Protocol of {}", of(port, lb)), listener.wanted(), &protocol, found.at);
                }
            }
        }
        for group in case.groups.iter().filter(|group| group.port == port) {
            let protocol = &*group.group.value.protocol;
            if explained_by(listener.group_protocol, protocol, name::BACKEND_PROTOCOL) == annotation {
                let place = format_args!("Protocol of {}", group.group.value.id);
                comparison.field(place, listener.wanted_group(), &protocol, group.group.at);
            }
        }
    }
    if annotation == SPEC_PORTS {
        if case.groups_missing {
            comparison.leave_out(GROUPS_MISSING);
        }
        for listener in actual.value {
            if !wanted.iter().any(|wanted| wanted.port.port == listener.port) {
                comparison.differs(of(listener.port, lb), "absent", format_args!("present ({})", listener.protocol), actual.at);
            }
        }
    }
    Ok(comparison)
}

/// The listeners that end TLS and should: what TLS needs is compared only there.
fn ending_tls<'a>(case: &Case<'a>, wanted: &[WantedListener<'_>], comparison: &mut Comparison) -> Vec<Seen<&'a Listener>> {
    let mut found = Vec::new();
    for listener in wanted.iter().filter(|listener| listener.tls()) {
        match (case.listeners, case.listener(listener.port.port)) {
            (None, _) => comparison.leave_out(NOT_FETCHED),
            (_, Some(actual)) if *actual.value.protocol == *TLS => found.push(actual),
            // It is missing or something else, which is another row's.
            (_, _) => {}
        }
    }
    found
}

/// 1.6, T11: the default certificate exactly, the others as a set. Since 3.4.1 the default one is among the others too;
/// either is well.
pub(super) fn certificates(case: &Case<'_>) -> Result<Comparison, AnnotationError> {
    let mut comparison = Comparison::default();
    let wanted = desired::certificates(case.service);
    let Some((default, others)) = wanted.split_first() else { return Ok(comparison) };
    let lb = &case.load_balancer.value.load_balancer.id;
    for listener in ending_tls(case, case.wanted_listeners()?, &mut comparison) {
        let place = of(listener.value.port, lb);
        let found = listener.value.certificate_arn.as_deref().unwrap_or("none");
        comparison.field(format_args!("default certificate of {place}"), Wanted::Value(*default), &found, listener.at);
        let Some(more) = case.more_certificates(&listener.value.arn) else {
            comparison.leave_out(NOT_FETCHED);
            continue;
        };
        let wanted: BTreeSet<&str> = others.iter().copied().filter(|arn| arn != default).collect();
        let actual: BTreeSet<&str> = more.value.iter().map(|arn| &**arn).filter(|arn| arn != default).collect();
        let place = format_args!("further certificates of {place}");
        comparison.field(place, Wanted::Value(Listed(wanted)), &Listed(actual), more.at);
    }
    Ok(comparison)
}

/// 1.6, T5: enforced, annotated or not.
pub(super) fn policy(case: &Case<'_>) -> Result<Comparison, AnnotationError> {
    let mut comparison = Comparison::default();
    let lb = &case.load_balancer.value.load_balancer.id;
    for listener in ending_tls(case, case.wanted_listeners()?, &mut comparison) {
        let wanted = desired::ssl_policy(case.service, case.settings);
        match listener.value.ssl_policy.as_deref() {
            Some(actual) => {
                let place = format_args!("SslPolicy of {}", of(listener.value.port, lb));
                comparison.field(place, wanted, &actual, listener.at);
            }
            None => comparison.leave_out(NOT_FETCHED),
        }
    }
    Ok(comparison)
}

/// 1.6: nothing means `None`.
pub(super) fn alpn(case: &Case<'_>) -> Result<Comparison, AnnotationError> {
    let mut comparison = Comparison::default();
    let listeners = case.wanted_listeners()?;
    // Without a listener that ends TLS the annotation is not looked at.
    if !listeners.iter().any(WantedListener::tls) {
        return Ok(comparison);
    }
    // Some version before 2.5.0 began to set it also where the target group does not speak TLS.
    let since_then = case.settings.version().is_some_and(|version| version >= Version::new(2, 5, 0));
    let sure = since_then || listeners.iter().all(|it| !it.tls() || it.group_protocol == TLS);
    let wanted = match desired::alpn_policy(case.service, case.settings) {
        Err(_) if !sure => return Ok(Comparison::unknown(ALPN_UNSURE)),
        wanted => wanted?.doubtful((!sure).then_some(ALPN_UNSURE)),
    };
    if wanted == Wanted::Free {
        return Ok(comparison);
    }
    let lb = &case.load_balancer.value.load_balancer.id;
    for listener in ending_tls(case, listeners, &mut comparison) {
        let actual = listener.value.alpn_policy.as_deref().filter(|text| !text.is_empty()).unwrap_or("None");
        let place = format_args!("AlpnPolicy of {}", of(listener.value.port, lb));
        comparison.field(place, wanted.clone(), &actual, listener.at);
    }
    Ok(comparison)
}

/// 1.6, T4: the keys that are named, and never for TLS.
pub(super) fn attributes(case: &Case<'_>) -> Result<Comparison, AnnotationError> {
    let mut comparison = Comparison::default();
    let lb = &case.load_balancer.value.load_balancer.id;
    for listener in case.wanted_listeners()? {
        let port = listener.port.port;
        let wanted = match desired::attributes(case.service, case.settings, listener)? {
            Wanted::Value(wanted) => wanted,
            Wanted::Free => continue,
            Wanted::Likely(_, why) | Wanted::Unknown(why) => {
                comparison.leave_out(why);
                continue;
            }
        };
        if case.listeners.is_none() {
            return Ok(Comparison::unknown(NOT_FETCHED));
        }
        // A listener that is missing or of another protocol is another row's.
        let Some(found) = case.listener(port).filter(|found| *found.value.protocol == *listener.protocol) else { continue };
        let Some(actual) = case.listener_attributes(&found.value.arn) else {
            comparison.leave_out(NOT_FETCHED);
            continue;
        };
        for (key, value) in &wanted {
            match actual.value.get(key.as_str()) {
                Some(found) if same_attribute(value, found) => {}
                Some(found) => comparison.differs(format_args!("attribute {key} of {}", of(port, lb)), value, found, actual.at),
                None => comparison.leave_out("AWS's answer does not have the attribute"),
            }
        }
    }
    Ok(comparison)
}

/// Target groups with weights, for a message; a weight that does not matter is left out.
struct Forwards(BTreeMap<TargetGroupId, Option<u32>>);

impl Display for Forwards {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let told = self.0.iter().map(|(id, weight)| match weight {
            Some(weight) => format!("{id} with weight {weight}"),
            None => id.to_string(),
        });
        Listed(told.collect()).fmt(f)
    }
}

/// 1.6: where a listener sends to, in no order.
pub(super) fn actions(case: &Case<'_>) -> Result<Comparison, AnnotationError> {
    let mut comparison = Comparison::default();
    let lb = &case.load_balancer.value.load_balancer.id;
    for listener in case.wanted_listeners()? {
        let wanted = match forwards(case.service, case.settings, listener)? {
            Wanted::Value(wanted) => wanted,
            Wanted::Free => continue,
            Wanted::Likely(_, why) | Wanted::Unknown(why) => {
                comparison.leave_out(why);
                continue;
            }
        };
        if case.listeners.is_none() {
            return Ok(Comparison::unknown(NOT_FETCHED));
        }
        let Some(found) = case.listener(listener.port.port) else { continue };
        let groups: Option<Vec<_>> =
            wanted.iter().map(|forward| Some((destination(case, listener, forward)?, forward.weight))).collect();
        let Some(groups) = groups else {
            comparison.leave_out("a target group that the listener should send to was not found");
            continue;
        };
        if !same_forwards(&groups, found.value) {
            let weighted = groups.iter().any(|(_, weight)| weight.is_some());
            let actual = found.value.forwards.iter().map(|to| (to.target_group.clone(), weighted.then_some(to.weight))).collect();
            let wanted = groups.into_iter().map(|(id, weight)| (id.clone(), weight)).collect();
            let at = found.at.min(case.groups_at());
            let place = format_args!("default action of {}", of(listener.port.port, lb));
            comparison.differs(place, Forwards(wanted), Forwards(actual), at);
        }
    }
    Ok(comparison)
}

/// The weight of a group that stands alone says nothing, and one of weight 0 may as well not be there.
fn same_forwards(wanted: &[(&TargetGroupId, Option<u32>)], actual: &Listener) -> bool {
    let alone = wanted.len() == 1;
    let all_there = wanted.iter().all(|(id, weight)| match actual.forwards.iter().find(|to| to.target_group == **id) {
        Some(to) => alone || weight.is_none_or(|weight| weight == to.weight),
        None => *weight == Some(0),
    });
    all_there && actual.forwards.iter().all(|to| wanted.iter().any(|(id, _)| to.target_group == **id))
}

fn destination<'c>(case: &'c Case<'_>, listener: &WantedListener<'_>, forward: &'c WantedForward) -> Option<&'c TargetGroupId> {
    match &forward.to {
        Destination::Own => {
            let port = listener.port.port;
            let in_use = case.groups.iter().chain(&case.replaced).find(|group| group.port == port);
            in_use.map(|group| &group.group.value.id).or_else(|| case.group_for(case.service, port))
        }
        Destination::Backend(backend, port) => {
            let backend = case.service_named(backend)?;
            let number = match port {
                PortReference::Number(number) => *number,
                PortReference::Name(name) => backend.ports.iter().find(|port| port.name == *name)?.port,
            };
            case.group_for(backend, number)
        }
        Destination::Group(id) => Some(id),
    }
}
