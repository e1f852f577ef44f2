//! Which annotations can do nothing beside what else is set? Security groups, health checks, attributes, schemes.

use super::case::Case;
use super::problem::{Rule, quoted};
use super::values::read_pairs;
use crate::controller::annotations::{name, parse_bool, parse_list};
use crate::controller::desired::health_check::HealthChecks;
use crate::controller::settings::{Gate, HEALTH_CHECK_ADVANCED_CONFIG};
use crate::inventory::aws::TargetType;
use crate::inventory::kube::Version;

/// Minimum capacities are set.
static CAPACITY_RESERVATION: Gate =
    Gate { name: "LBCapacityReservation", since: Version::new(2, 11, 0), default: true, before: false };

pub(super) fn check(case: &mut Case<'_>) {
    security_groups(case);
    health_checks(case);
    load_balancer(case);
    logs(case);
    target_groups(case);
    creation_only(case);
}

/// With groups of the user's own, nothing that makes rules of the managed group is read; without any group, nothing at all
/// about groups is (1.5).
fn security_groups(case: &mut Case<'_>) {
    let without = without_groups(case);
    let custom = case.has_custom_groups();
    let why = if let Some(why) = without {
        why
    } else if custom {
        "aws-load-balancer-security-groups is set, and the controller makes no rules in groups of your own"
    } else {
        return backend_rules(case);
    };
    for text in [name::PREFIX_LISTS, name::ENABLE_ICMP] {
        let on = if text == name::ENABLE_ICMP { case.read(text) == Some("on") } else { !list(case, text).is_empty() };
        if on {
            case.tell(Rule::InVain, text, format!("{text} has no effect: {why}."));
        }
    }
    if without.is_some() {
        if custom {
            case.tell(Rule::InVain, name::SECURITY_GROUPS, format!("{} has no effect: {why}.", name::SECURITY_GROUPS));
        }
        if case.read(name::PRIVATE_LINK_RULES) == Some("on") {
            case.tell(Rule::InVain, name::PRIVATE_LINK_RULES, format!("{} has no effect: {why}.", name::PRIVATE_LINK_RULES));
        }
        // Source ranges go to the rules of the nodes then.
        return;
    }
    if !case.service.source_ranges.is_empty() {
        let message = format!("spec.loadBalancerSourceRanges restricts nothing: {why}.");
        case.tell_spec(Rule::InVain, "spec.loadBalancerSourceRanges", message);
    } else if !list(case, name::SOURCE_RANGES).is_empty() {
        case.tell(Rule::InVain, name::SOURCE_RANGES, format!("{} restricts nothing: {why}.", name::SOURCE_RANGES));
    }
    let managed = case.read(name::MANAGE_BACKEND_RULES).and_then(parse_bool) == Some(true);
    if managed && case.settings.switch("enable-backend-security-group", true) == Some(false) {
        let message = format!(
            "{} is true beside security groups of your own, and the controller refuses the Service: it runs with \
             --enable-backend-security-group=false.",
            name::MANAGE_BACKEND_RULES
        );
        case.tell(Rule::Refused, name::MANAGE_BACKEND_RULES, message);
    }
}

/// Why the load balancer has no security groups, if it has none.
fn without_groups(case: &mut Case<'_>) -> Option<&'static str> {
    let disabled = case.read(name::DISABLE_NLB_SG).and_then(parse_bool) == Some(true);
    match case.known.load_balancer {
        Some(load_balancer) if load_balancer.security_groups.is_empty() => {
            Some("its load balancer was created without security groups, and AWS cannot add them later")
        }
        Some(load_balancer) if disabled && case.scheme() == Some(load_balancer.scheme) => {
            let message = format!(
                "{} is true, and the controller refuses the Service: its load balancer {} was created with security groups.",
                name::DISABLE_NLB_SG,
                load_balancer.name
            );
            case.tell(Rule::Refused, name::DISABLE_NLB_SG, message);
            None
        }
        Some(_) => None,
        None => disabled.then_some("aws-load-balancer-disable-nlb-sg is true"),
    }
}

/// With the managed group the rules of the nodes are always managed.
fn backend_rules(case: &mut Case<'_>) {
    let unmanaged = case.read(name::MANAGE_BACKEND_RULES).and_then(parse_bool) == Some(false);
    if unmanaged && case.known.load_balancer.is_some_and(|lb| !lb.security_groups.is_empty()) {
        let message = format!(
            "{} has no effect: the controller manages the rules of its own security group, and of yours only when you name some.",
            name::MANAGE_BACKEND_RULES
        );
        case.tell(Rule::InVain, name::MANAGE_BACKEND_RULES, message);
    }
}

fn list<'a>(case: &Case<'a>, text: &str) -> Vec<&'a str> {
    case.read(text).map(parse_list).unwrap_or_default()
}

/// Paths and codes belong to HTTP checks (1.7).
fn health_checks(case: &mut Case<'_>) {
    if let Some(target_type) = case.target_type()
        && HealthChecks::of(case.service, case.settings, target_type).protocol() == Ok("TCP")
    {
        for text in [name::HEALTH_CHECK_PATH, name::SUCCESS_CODES] {
            if case.read(text).is_some() {
                let message = format!(
                    "{text} has no effect: health checks are TCP unless aws-load-balancer-healthcheck-protocol says http."
                );
                case.tell(Rule::InVain, text, message);
            }
        }
    }
    for (text, gate) in [
        (name::SUCCESS_CODES, &HEALTH_CHECK_ADVANCED_CONFIG),
        (name::HEALTH_CHECK_TIMEOUT, &HEALTH_CHECK_ADVANCED_CONFIG),
        (name::MINIMUM_CAPACITY, &CAPACITY_RESERVATION),
    ] {
        if case.read(text).is_some() && case.settings.gate(gate) == Some(false) {
            case.tell(Rule::InVain, text, format!("{text} has no effect: the controller runs with {}=false.", gate.name));
        }
    }
}

fn load_balancer(case: &mut Case<'_>) {
    // `scheme` wins (1.4).
    if let (Some(scheme @ ("internal" | "internet-facing")), Some(internal)) =
        (case.read(name::SCHEME), case.read(name::INTERNAL).and_then(parse_bool))
        && (scheme == "internal") != internal
    {
        let message = format!("{} is {internal} and is not read: {} is {}.", name::INTERNAL, name::SCHEME, quoted(scheme));
        case.tell(Rule::InVain, name::INTERNAL, message);
    }
    let Some(pairs) = case.read(name::ATTRIBUTES).and_then(|value| read_pairs(case, value)) else { return };
    let cross_zone = case.read(name::CROSS_ZONE).and_then(parse_bool).map(|on| on.to_string());
    let logs = case.read(name::ACCESS_LOG_ENABLED).and_then(parse_bool) == Some(true);
    let old = |text| case.read(text).filter(|_| logs).map(str::to_owned);
    for (key, by, wins) in [
        ("load_balancing.cross_zone.enabled", name::CROSS_ZONE, cross_zone),
        ("access_logs.s3.enabled", name::ACCESS_LOG_ENABLED, logs.then(|| "true".to_owned())),
        ("access_logs.s3.bucket", name::ACCESS_LOG_BUCKET, old(name::ACCESS_LOG_BUCKET)),
        ("access_logs.s3.prefix", name::ACCESS_LOG_PREFIX, old(name::ACCESS_LOG_PREFIX)),
    ] {
        if let (Some(value), Some(wins)) = (pairs.get(key), wins)
            && *value != wins
        {
            let message = format!("{} sets {key} to {}, and {by} wins with {}.", name::ATTRIBUTES, quoted(value), quoted(&wins));
            case.tell(Rule::InVain, name::ATTRIBUTES, message);
        }
    }
}

/// `access-log-enabled: "false"` says nothing (T6).
fn logs(case: &mut Case<'_>) {
    let enabled = case.read(name::ACCESS_LOG_ENABLED).map(parse_bool);
    // Off is what a load balancer begins with: it says something only where logs are on.
    let actual = case.known.attributes.and_then(|attributes| attributes.get("access_logs.s3.enabled"));
    if enabled == Some(Some(false)) && actual.is_some_and(|actual| &**actual == "true") {
        let message = format!("{} is false, which switches nothing off, and access logs are on.", name::ACCESS_LOG_ENABLED);
        case.tell(Rule::InVain, name::ACCESS_LOG_ENABLED, message);
    }
    if enabled.is_none() {
        for text in [name::ACCESS_LOG_BUCKET, name::ACCESS_LOG_PREFIX] {
            if case.read(text).is_some() {
                let message = format!("{text} has no effect: {} is not there.", name::ACCESS_LOG_ENABLED);
                case.tell(Rule::InVain, text, message);
            }
        }
    }
}

fn target_groups(case: &mut Case<'_>) {
    let labels = case.read(name::TARGET_NODE_LABELS).is_some_and(|labels| !labels.trim().is_empty());
    if labels && case.target_type() == Some(TargetType::Ip) {
        let message = format!("{} has no effect: it selects nodes, and the targets are pods (ip).", name::TARGET_NODE_LABELS);
        case.tell(Rule::InVain, name::TARGET_NODE_LABELS, message);
    }
    if case.annotations.text(name::TYPE) == Some("nlb-ip") && case.read(name::TARGET_TYPE) == Some("instance") {
        let message = format!("{} has no effect: {} nlb-ip means ip targets.", name::TARGET_TYPE, name::TYPE);
        case.tell(Rule::InVain, name::TARGET_TYPE, message);
    }
    if case.read(name::PROXY_PROTOCOL) == Some("*") && case.read(name::PROXY_PROTOCOL_PER_GROUP).is_some() {
        let message =
            format!("{} has no effect: {} wins and means all ports.", name::PROXY_PROTOCOL_PER_GROUP, name::PROXY_PROTOCOL);
        case.tell(Rule::InVain, name::PROXY_PROTOCOL_PER_GROUP, message);
    }
}

/// What is read at creation only and differs from the load balancer that exists (1.4, class C).
fn creation_only(case: &mut Case<'_>) {
    let Some(load_balancer) = case.known.load_balancer else { return };
    // Another scheme makes a new load balancer, to which all of it applies.
    if case.scheme() != Some(load_balancer.scheme) {
        return;
    }
    if let Some(wanted) = case.read(name::NAME).filter(|wanted| !wanted.is_empty() && **wanted != *load_balancer.name) {
        let message = format!(
            "{} is {}, and the load balancer exists as {}: the name is read at creation only.",
            name::NAME,
            quoted(wanted),
            load_balancer.name
        );
        case.tell(Rule::CreationOnly, name::NAME, message);
    }
    let mut wanted = list(case, name::EIP_ALLOCATIONS);
    let mut actual: Vec<&str> = load_balancer
        .zones
        .iter()
        .flat_map(|zone| &zone.addresses)
        .filter_map(|address| address.allocation_id.as_ref().map(|id| id.as_str()))
        .collect();
    wanted.sort_unstable();
    actual.sort_unstable();
    if !wanted.is_empty() && wanted != actual {
        let message = format!(
            "{} names other addresses than the load balancer {} has: they are read at creation only.",
            name::EIP_ALLOCATIONS,
            load_balancer.name
        );
        case.tell(Rule::CreationOnly, name::EIP_ALLOCATIONS, message);
    }
}
