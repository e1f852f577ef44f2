//! What becomes of each port, and do the annotations about ports and listeners reach one? TLS, QUIC, TCP with UDP.

use std::collections::BTreeMap;

use super::case::Case;
use super::grammar::{Suffix, find};
use super::problem::{Rule, quoted};
use super::values::UNUSED_SSL_PORTS;
use crate::controller::annotations::{PREFIX, name, parse_bool, parse_list};
use crate::controller::settings::Gate;
use crate::inventory::kube::{Protocol, ServicePort, Version};

/// TCP and UDP of one port number share a listener.
static TCP_UDP_LISTENER: Gate =
    Gate { name: "EnableTCPUDPListener", since: Version::new(2, 13, 0), default: false, before: false };

pub(super) fn check(case: &mut Case<'_>) {
    let merged = merging(case);
    shared_ports(case, merged);
    tls(case);
    let listeners = listeners(case, merged);
    quic(case, &listeners);
    suffixes(case, &listeners);
    proxy_ports(case);
}

/// Whether TCP and UDP of one number become one listener; `None` where it depends on what is not known.
fn merging(case: &Case<'_>) -> Option<bool> {
    let annotated = case.read(name::ENABLE_TCP_UDP_LISTENER).and_then(parse_bool);
    annotated.or_else(|| case.or_default(case.settings.gate(&TCP_UDP_LISTENER), TCP_UDP_LISTENER.default))
}

fn by_number<'a>(case: &Case<'a>) -> BTreeMap<u16, Vec<&'a ServicePort>> {
    let mut ports: BTreeMap<u16, Vec<&ServicePort>> = BTreeMap::new();
    for port in &case.service.ports {
        ports.entry(port.port).or_default().push(port);
    }
    ports
}

/// T22.
fn shared_ports(case: &mut Case<'_>, merged: Option<bool>) {
    for (number, ports) in by_number(case).into_iter().filter(|(_, ports)| ports.len() > 1) {
        let protocols: Vec<&str> = ports.iter().map(|port| port.protocol.as_str()).collect();
        let pair = ports.len() == 2 && ports[0].protocol != ports[1].protocol;
        let message = match merged {
            Some(true) if pair => continue,
            Some(true) => format!(
                "Port {number} is there {} times ({}), and the controller refuses the Service: one TCP and one UDP may share a number.",
                ports.len(),
                protocols.join(", ")
            ),
            Some(false) => format!(
                "Port {number} is there with {}, and only {} gets a listener: {} \"true\" (v2.13.0 and newer) would make one for both.",
                protocols.join(" and "),
                protocols[0],
                name::ENABLE_TCP_UDP_LISTENER
            ),
            None => continue,
        };
        case.tell_spec(Rule::SharedPort, "spec.ports", message);
    }
}

fn certificates(case: &Case<'_>) -> bool {
    case.annotations.list(name::SSL_CERT).is_some_and(|list| !list.is_empty())
}

/// Whether an entry of a list of ports means this port: by number or by name.
fn means(entry: &str, port: &ServicePort) -> bool {
    entry == port.port.to_string() || (!entry.is_empty() && entry == &*port.name)
}

fn is_tls(case: &Case<'_>, port: &ServicePort) -> bool {
    let ports = case.annotations.list(name::SSL_PORTS).unwrap_or_default();
    port.protocol != Protocol::Udp && certificates(case) && (ports.is_empty() || ports.iter().any(|entry| means(entry, port)))
}

fn tls(case: &mut Case<'_>) {
    let service = case.service;
    if case.settings.at_least(UNUSED_SSL_PORTS) {
        for entry in case.annotations.list(name::SSL_PORTS).unwrap_or_default() {
            if service.ports.iter().any(|port| means(entry, port)) {
                continue;
            }
            // T12.
            let hint = if entry == "*" {
                "* means all ports to the in-tree provider only; leave the annotation out for all"
            } else {
                "it is neither the number nor the name of a port of the Service"
            };
            let message = format!("{} has {}, and the controller refuses the Service: {hint}.", name::SSL_PORTS, quoted(entry));
            case.tell(Rule::Refused, name::SSL_PORTS, message);
        }
    }
    if !certificates(case) {
        for text in [name::SSL_PORTS, name::SSL_POLICY, name::ALPN_POLICY, name::BACKEND_PROTOCOL] {
            // An empty one, as a chart writes it that has nothing to say, asks for nothing.
            let said = case.read(text).filter(|value| !value.trim().is_empty());
            let asks = said.is_some_and(|value| text != name::BACKEND_PROTOCOL || value == "ssl");
            if asks && !(text == name::ALPN_POLICY && case.read(text) == Some("None")) {
                let message = format!("{text} has no effect: without {} no listener is TLS.", name::SSL_CERT);
                case.tell(Rule::InVain, text, message);
            }
        }
    } else if !service.ports.is_empty() && service.ports.iter().all(|port| port.protocol == Protocol::Udp) {
        let message = format!("{} has no effect: all ports are UDP.", name::SSL_CERT);
        case.tell(Rule::InVain, name::SSL_CERT, message);
    }
}

/// Final protocol of each listener, by port number; `None` where it depends on what is not known.
fn listeners(case: &Case<'_>, merged: Option<bool>) -> BTreeMap<u16, Option<&'static str>> {
    let quic = case.read(name::QUIC_PORTS).map(parse_list).unwrap_or_default();
    let decide = |ports: &[&ServicePort]| -> Option<&'static str> {
        let first = *ports.first()?;
        let both = ports.iter().any(|port| port.protocol != first.protocol);
        let upgraded = quic.iter().any(|entry| ports.iter().any(|port| means(entry, port)));
        match (both, merged) {
            (true, None) => None,
            (true, Some(true)) => Some(if upgraded { "TCP_QUIC" } else { "TCP_UDP" }),
            _ if first.protocol == Protocol::Udp => Some(if upgraded { "QUIC" } else { "UDP" }),
            _ if is_tls(case, first) => Some("TLS"),
            _ => Some("TCP"),
        }
    };
    by_number(case).iter().map(|(number, ports)| (*number, decide(ports))).collect()
}

fn quic(case: &mut Case<'_>, listeners: &BTreeMap<u16, Option<&'static str>>) {
    for entry in case.read(name::QUIC_PORTS).map(parse_list).unwrap_or_default() {
        let port = case.service.ports.iter().find(|port| means(entry, port)).map(|port| port.port);
        let Some(protocol @ ("TCP" | "TLS")) = port.and_then(|port| listeners.get(&port).copied().flatten()) else { continue };
        let message = format!(
            "{} has {}, whose listener is {protocol}, and the controller refuses the Service: QUIC needs UDP.",
            name::QUIC_PORTS,
            quoted(entry)
        );
        case.tell(Rule::Refused, name::QUIC_PORTS, message);
    }
}

/// Annotations with a port or a listener in their name.
fn suffixes(case: &mut Case<'_>, listeners: &BTreeMap<u16, Option<&'static str>>) {
    let keys: Vec<&str> = case.service.annotations.keys().filter_map(|key| key.strip_prefix(PREFIX)).collect();
    for text in keys {
        let Some((annotation, Some(suffix))) = find(text) else { continue };
        if !case.settings.at_least(annotation.since) {
            continue;
        }
        let why = match annotation.suffix {
            Suffix::Port => match suffix.parse::<u16>() {
                Ok(port) if listeners.contains_key(&port) => None,
                _ => Some(format!("the Service has no port {}", quoted(suffix))),
            },
            _ => unreached(suffix, annotation.name, listeners),
        };
        if let Some(why) = why {
            case.tell(Rule::InVain, text, format!("{text} is never read: {why}."));
        }
    }
}

fn unreached(suffix: &str, base: &str, listeners: &BTreeMap<u16, Option<&'static str>>) -> Option<String> {
    let Some((protocol, port)) = suffix.rsplit_once('-').and_then(|(p, n)| Some((p, n.parse::<u16>().ok()?))) else {
        return Some(format!("{} is not of the form PROTOCOL-PORT", quoted(suffix)));
    };
    let Some(listener) = listeners.get(&port) else { return Some(format!("the Service has no port {port}")) };
    let actual = (*listener)?;
    if actual != protocol {
        return Some(format!("the listener of port {port} is {actual}, so it would be {base}.{actual}-{port}"));
    }
    // Attributes of TLS listeners are left out by the controller (1.6).
    (actual == "TLS" && base == name::LISTENER_ATTRIBUTES)
        .then(|| "the controller sets no attributes of TLS listeners".to_owned())
}

fn proxy_ports(case: &mut Case<'_>) {
    for entry in case.read(name::PROXY_PROTOCOL_PER_GROUP).map(parse_list).unwrap_or_default() {
        let Ok(number) = entry.parse::<u16>() else { continue };
        if !case.service.ports.iter().any(|port| port.port == number) {
            let message = format!("{} has {number}, and the Service has no such port.", name::PROXY_PROTOCOL_PER_GROUP);
            case.tell(Rule::InVain, name::PROXY_PROTOCOL_PER_GROUP, message);
        }
    }
}
