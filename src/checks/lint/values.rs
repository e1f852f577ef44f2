//! Is every value one that the controller takes, and takes for what it seems to be?

use std::net::IpAddr;

use ipnet::IpNet;

use super::case::Case;
use super::grammar::{Form, find};
use super::problem::{Rule, quoted};
use super::spelling::nearest;
use crate::controller::annotations::{
    AnnotationError, MapGrammar, PREFIX, Pairs, name, parse_bool, parse_integer, parse_list, parse_map,
};
use crate::controller::desired::health_check::HealthChecks;
use crate::controller::ownership::Ownership;
use crate::inventory::kube::Version;

pub(super) fn check(case: &mut Case<'_>) {
    let keys: Vec<(&str, &str)> = case.service.annotations.iter().map(|(key, value)| (&**key, &**value)).collect();
    for (text, value) in keys.iter().filter_map(|(key, value)| Some((key.strip_prefix(PREFIX)?, *value))) {
        let Some((annotation, _)) = find(text) else { continue };
        if case.settings.at_least(annotation.since) && !passed_over(case, text) {
            form(case, text, annotation.form, value);
        }
    }
    ending(case);
    name_of_load_balancer(case);
    health_check(case);
    attributes(case);
    capacity(case);
    tags(case);
    misread(case);
    ranges(case);
}

/// Whether the controller does not even look at an annotation here, so that no value of it is refused.
fn passed_over(case: &Case<'_>, text: &str) -> bool {
    match text {
        name::INTERNAL => case.read(name::SCHEME).is_some(),
        // Of listeners that end TLS only.
        name::ALPN_POLICY => case.annotations.list(name::SSL_CERT).is_none_or(|list| list.is_empty()),
        // With the managed group there is nothing to decide; a load balancer without any group has rules to decide on.
        name::MANAGE_BACKEND_RULES => {
            !case.has_custom_groups() && case.known.load_balancer.is_none_or(|lb| !lb.security_groups.is_empty())
        }
        name::PROXY_PROTOCOL_PER_GROUP => case.read(name::PROXY_PROTOCOL).is_some(),
        _ => false,
    }
}

fn refuse(case: &mut Case<'_>, text: &str, value: &str, wanted: &str) {
    let ending = match value.trim_end() {
        trimmed if trimmed.len() < value.len() => " (mind the blank or line break at its end)",
        _ => "",
    };
    let message = format!("{text} is {}{ending}, and the controller refuses the Service: it takes {wanted}.", quoted(value));
    case.tell(Rule::Refused, text, message);
}

fn refuse_by_aws(case: &mut Case<'_>, text: &str, value: &str, wanted: &str) {
    case.tell(Rule::Refused, text, format!("{text} has {}, which AWS refuses: it takes {wanted}.", quoted(value)));
}

fn form(case: &mut Case<'_>, text: &str, form: Form, value: &str) {
    match form {
        Form::Text => {}
        Form::Bool if parse_bool(value).is_some() => {}
        Form::Bool => refuse(case, text, value, "true or false"),
        Form::OneOf(all) if all.contains(&value) => {}
        Form::OneOf(all) => {
            let meant = nearest(value.trim(), all.iter().copied()).map(|meant| format!("; {meant} is probably meant"));
            refuse(case, text, value, &format!("{}{}", all.join(" or "), meant.unwrap_or_default()));
        }
        Form::Integer(least, most) => match parse_integer(value) {
            None => refuse(case, text, value, "a whole number"),
            Some(number) if (least..=most).contains(&number) => {}
            Some(_) => refuse_by_aws(case, text, value, &format!("{least} to {most}")),
        },
        Form::Numbers => {
            if let Some(bad) = parse_list(value).into_iter().find(|item| parse_integer(item).is_none()) {
                refuse(case, text, bad, "a list of port numbers");
            }
        }
        Form::Ids(start) => {
            if let Some(bad) = parse_list(value).into_iter().find(|item| !item.starts_with(start)) {
                refuse_by_aws(case, text, bad, &format!("what begins with {start}"));
            }
        }
        Form::Addresses(family) => {
            let right = |item: &&str| item.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6() == (family == 6));
            if let Some(bad) = parse_list(value).into_iter().find(|item| !right(item)) {
                refuse(case, text, bad, &format!("a list of IPv{family} addresses"));
            }
        }
        Form::Map => map(case, text, value),
    }
}

/// Reads a map as the running version does; `None` where that is refused or not sure.
pub(super) fn read_pairs(case: &Case<'_>, value: &str) -> Option<Pairs> {
    match grammar(case) {
        Some(grammar) => parse_map(value, grammar),
        None => {
            let read = parse_map(value, MapGrammar::Escaped);
            read.filter(|read| parse_map(value, MapGrammar::Plain).as_ref() == Some(read))
        }
    }
}

fn grammar(case: &Case<'_>) -> Option<MapGrammar> {
    MapGrammar::of(case.settings).or(case.known.assume_defaults.then_some(MapGrammar::Escaped))
}

fn map(case: &mut Case<'_>, text: &str, value: &str) {
    let (plain, escaped) = (parse_map(value, MapGrammar::Plain), parse_map(value, MapGrammar::Escaped));
    let refused = match grammar(case) {
        Some(MapGrammar::Plain) => plain.is_none(),
        Some(MapGrammar::Escaped) => escaped.is_none(),
        None => plain.is_none() && escaped.is_none(),
    };
    if refused {
        return refuse(case, text, value, "key=value pairs with commas between them");
    }
    if value.trim_end().ends_with(',') && escaped != plain {
        // T8.
        match grammar(case) {
            Some(MapGrammar::Escaped) => {
                let message = format!("{text} ends with a comma, which is part of the last value since v2.14.1.");
                case.tell(Rule::Misread, text, message);
            }
            _ => {
                let message = format!("{text} ends with a comma, which becomes part of the last value with v2.14.1.");
                case.tell(Rule::Style, text, message);
            }
        }
    }
}

/// Texts are taken as they are, with a line break that a YAML block leaves at their end.
fn ending(case: &mut Case<'_>) {
    let raw = [name::BACKEND_PROTOCOL, name::SSL_POLICY, name::HEALTH_CHECK_PATH, name::SUCCESS_CODES, name::NAME];
    for text in raw {
        if let Some(value) = case.read(text).filter(|value| value.trim_end().len() < value.len()) {
            let message = format!("{text} is {}, and the blank or line break at its end is not cut off.", quoted(value));
            case.tell(Rule::Misread, text, message);
        }
    }
}

fn name_of_load_balancer(case: &mut Case<'_>) {
    let Some(value) = case.read(name::NAME) else { return };
    let length = value.len();
    if length > 32 {
        let message = format!(
            "{} is {} with {length} characters, and the controller refuses the Service: 32 are allowed.",
            name::NAME,
            quoted(value)
        );
        case.tell(Rule::Refused, name::NAME, message);
    } else if !value.trim_end().is_empty()
        && (!value.trim_end().chars().all(|it| it.is_ascii_alphanumeric() || it == '-')
            || value.starts_with(['-', ' '])
            || value.trim_end().ends_with('-')
            || value.starts_with("internal-"))
    {
        let wanted = "letters, digits and hyphens, with no hyphen at either end and no internal- at the start";
        refuse_by_aws(case, name::NAME, value, wanted);
    }
}

fn health_check(case: &mut Case<'_>) {
    if let Some(value) = case.read(name::HEALTH_CHECK_PROTOCOL)
        && !["tcp", "http", "https"].iter().any(|known| known.eq_ignore_ascii_case(value))
    {
        refuse(case, name::HEALTH_CHECK_PROTOCOL, value, "tcp, http or https");
    }
    if let (Some(value), Some(target_type)) = (case.read(name::HEALTH_CHECK_PORT), case.target_type()) {
        match HealthChecks::of(case.service, case.settings, target_type).port() {
            Err(AnnotationError::Value { expected, .. }) => refuse(case, name::HEALTH_CHECK_PORT, value, expected),
            Err(_) => refuse(case, name::HEALTH_CHECK_PORT, value, "traffic-port, a number or the name of a port of the Service"),
            Ok(_) => {}
        }
        if let Some(number) = parse_integer(value).filter(|number| !(1..=65_535).contains(number)) {
            refuse_by_aws(case, name::HEALTH_CHECK_PORT, &number.to_string(), "1 to 65535");
        }
    }
}

fn attributes(case: &mut Case<'_>) {
    const ROUTING: &str = "dns_record.client_routing_policy";
    const POLICIES: &[&str] = &["any_availability_zone", "partial_availability_zone_affinity", "availability_zone_affinity"];
    let keys: Vec<(String, &str)> = case
        .service
        .annotations
        .iter()
        .filter_map(|(key, value)| Some((key.strip_prefix(PREFIX)?.to_owned(), &**value)))
        .filter(|(text, _)| {
            [name::ATTRIBUTES, name::TARGET_GROUP_ATTRIBUTES, name::LISTENER_ATTRIBUTES].iter().any(|it| text.starts_with(it))
        })
        .collect();
    for (text, value) in keys {
        let Some(pairs) = find(&text).and_then(|_| read_pairs(case, value)) else { continue };
        for (key, value) in &pairs {
            if text == name::ATTRIBUTES && key == ROUTING && !POLICIES.contains(&value.as_str()) {
                refuse(case, &text, value, &format!("for {ROUTING} {}", POLICIES.join(" or ")));
            } else if key == "preserve_client_ip.enabled" && parse_bool(value).is_none() && !value.is_empty() {
                refuse(case, &text, value, "true or false for preserve_client_ip.enabled");
            } else if !matches!(&**value, "true" | "false") && ["true", "false"].iter().any(|it| it.eq_ignore_ascii_case(value)) {
                // T7.
                let message = format!(
                    "{text} sets {key} to {value}; AWS knows {}, and the controller, which compares letters, may send it again and again.",
                    value.to_lowercase()
                );
                case.tell(Rule::Style, &text, message);
            }
        }
    }
}

fn capacity(case: &mut Case<'_>) {
    let Some(value) = case.read(name::MINIMUM_CAPACITY) else { return };
    let Some(pairs) = read_pairs(case, value) else { return };
    let right = pairs.len() == 1 && pairs.get("CapacityUnits").is_some_and(|units| parse_integer(units).is_some());
    if !right {
        refuse(case, name::MINIMUM_CAPACITY, value, "CapacityUnits= with a whole number");
    }
}

fn tags(case: &mut Case<'_>) {
    let Some(pairs) = case.read(name::ADDITIONAL_TAGS).and_then(|value| read_pairs(case, value)) else { return };
    for key in case.settings.list("external-managed-tags").into_iter().flatten().filter(|key| pairs.contains_key(*key)) {
        let message = format!(
            "{} sets the tag {}, and the controller refuses the Service: its flag --external-managed-tags names that key.",
            name::ADDITIONAL_TAGS,
            quoted(key)
        );
        case.tell(Rule::Refused, name::ADDITIONAL_TAGS, message);
    }
}

/// Accepted, and taken for something else.
fn misread(case: &mut Case<'_>) {
    if case.owner == Ownership::LoadBalancerController
        && case.annotations.text(name::TYPE) != Some("nlb-ip")
        && let Some(value) = case.read(name::TARGET_TYPE).filter(|value| !matches!(*value, "ip" | "instance"))
    {
        // T38.
        let message =
            format!("{} is {}, which means instance: only ip, in small letters, means ip.", name::TARGET_TYPE, quoted(value));
        case.tell(Rule::Misread, name::TARGET_TYPE, message);
    }
    if let Some(value) = case.read(name::BACKEND_PROTOCOL)
        && ["ssl", "tls", "https"].iter().any(|it| it.eq_ignore_ascii_case(value))
        && value != "ssl"
        && case.annotations.list(name::SSL_CERT).is_some_and(|list| !list.is_empty())
    {
        let message =
            format!("{} is {}, which means TCP: only ssl, in small letters, means TLS.", name::BACKEND_PROTOCOL, quoted(value));
        case.tell(Rule::Misread, name::BACKEND_PROTOCOL, message);
    }
    if let Some(value) = case.read(name::ENABLE_ICMP)
        && value != "on"
        && (parse_bool(value) == Some(true) || value.trim().eq_ignore_ascii_case("on"))
    {
        let message =
            format!("{} is {}, which means off: only on, in small letters, means on.", name::ENABLE_ICMP, quoted(value));
        case.tell(Rule::Misread, name::ENABLE_ICMP, message);
    }
    if let Some(value) = case.read(name::ENABLE_TCP_UDP_LISTENER).filter(|value| parse_bool(value).is_none()) {
        let message = format!(
            "{} is {}, which is no boolean and is ignored: the gate EnableTCPUDPListener decides.",
            name::ENABLE_TCP_UDP_LISTENER,
            quoted(value)
        );
        case.tell(Rule::Misread, name::ENABLE_TCP_UDP_LISTENER, message);
    }
    if let Some(value) = case.read(name::ENABLE_IPV6_SOURCE_NAT).filter(|value| !matches!(*value, "on" | "off")) {
        let message = format!("{} is {}, which is neither on nor off.", name::ENABLE_IPV6_SOURCE_NAT, quoted(value));
        case.tell(Rule::Misread, name::ENABLE_IPV6_SOURCE_NAT, message);
    }
    if case.read(name::SUBNETS).is_some_and(|value| parse_list(value).is_empty()) {
        refuse(case, name::SUBNETS, "", "at least one subnet");
    }
}

/// Source ranges: those of the spec win (T39); raw text is compared, so a block must be written as AWS writes it (1.5).
fn ranges(case: &mut Case<'_>) {
    let annotated = case.read(name::SOURCE_RANGES).map(parse_list).unwrap_or_default();
    let specified: Vec<&str> = case.service.source_ranges.iter().map(|range| &**range).collect();
    if !annotated.is_empty() && !specified.is_empty() {
        let same = annotated.len() == specified.len() && annotated.iter().all(|range| specified.contains(range));
        let rule = if same { Rule::Style } else { Rule::InVain };
        let message = format!(
            "{} is not read, since spec.loadBalancerSourceRanges is set{}.",
            name::SOURCE_RANGES,
            if same { " to the same" } else { " to other ranges" }
        );
        case.tell(rule, name::SOURCE_RANGES, message);
    }
    let (from_spec, ranges) = if specified.is_empty() { (false, annotated) } else { (true, specified) };
    if case.has_custom_groups() {
        return;
    }
    for range in ranges {
        let told = match range.trim().parse::<IpNet>() {
            Err(_) => Some((Rule::Refused, "is no address range, and the controller cannot make a rule of it")),
            Ok(net @ IpNet::V6(_)) if case.dualstack() == Some(false) => {
                let _ = net;
                Some((
                    Rule::Refused,
                    "is an IPv6 range, and the controller refuses the Service: its load balancer is not dualstack",
                ))
            }
            Ok(net) if net.addr() != net.network() => {
                Some((Rule::Style, "is not the first address of its block: rules are compared as text, so write it as AWS does"))
            }
            Ok(_) => None,
        };
        let Some((rule, what)) = told else { continue };
        let message = format!("The source range {} {what}.", quoted(range));
        if from_spec {
            case.tell_spec(rule, "spec.loadBalancerSourceRanges", message);
        } else {
            case.tell(rule, name::SOURCE_RANGES, message);
        }
    }
}

/// Since when an entry of `ssl-ports` without a port is refused.
pub(super) const UNUSED_SSL_PORTS: Version = Version::new(2, 5, 0);
