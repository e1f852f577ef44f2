//! What would the controller make of the listeners: protocol, certificates, policies, attributes?

pub mod actions;

use crate::controller::annotations::{AnnotationError, Annotations, name, parse_bool};
use crate::controller::settings::{Gate, Settings};
use crate::inventory::kube::{Protocol, Service, ServicePort, Version};

use super::{Desired, Wanted, read_map};
use crate::controller::annotations::Pairs;

/// TCP and UDP on one port number make one listener.
pub static ENABLE_TCP_UDP_LISTENER: Gate =
    Gate { name: "EnableTCPUDPListener", since: Version::new(2, 13, 0), default: false, before: false };
/// Without the annotation ALPN is switched off instead of left alone.
static ENHANCED_DEFAULT_BEHAVIOR: Gate =
    Gate { name: "EnhancedDefaultBehavior", since: Version::new(2, 14, 0), default: false, before: false };

const GATES_UNKNOWN: &str = "the controller's gates are not known";

/// The listener of one port number, and its target group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WantedListener<'a> {
    /// The port it is made of: of two with one number the first in `spec.ports` (T22).
    pub port: &'a ServicePort,
    /// `Protocol` of the listener.
    pub protocol: &'static str,
    /// `Protocol` of the target group.
    pub group_protocol: &'static str,
    /// The protocols are only likely, and why.
    pub doubt: Option<&'static str>,
}

impl WantedListener<'_> {
    /// The protocol, with the doubt there is.
    pub fn wanted(&self) -> Wanted<&'static str> {
        Wanted::Value(self.protocol).doubtful(self.doubt)
    }

    /// The target group's protocol, with the doubt there is.
    pub fn wanted_group(&self) -> Wanted<&'static str> {
        Wanted::Value(self.group_protocol).doubtful(self.doubt)
    }

    /// Whether it ends TLS.
    pub fn tls(&self) -> bool {
        self.protocol == TLS
    }
}

/// The protocol of a listener that ends TLS.
pub const TLS: &str = "TLS";

/// Whether a list of port names and numbers names a port.
fn names(list: &[&str], port: &ServicePort) -> bool {
    list.iter().any(|item| (!item.is_empty() && **item == *port.name) || **item == *port.port.to_string())
}

/// The listeners of a Service, one a port number, in the order of `spec.ports`.
///
/// In this order: TCP and UDP of one number are merged where that is switched on; what is plain TCP then ends TLS where there
/// is a certificate and the port is one of the TLS ports; UDP becomes QUIC where the port is one of QUIC's.
pub fn listeners<'a>(service: &'a Service, settings: Settings<'_>) -> Result<Vec<WantedListener<'a>>, AnnotationError> {
    let annotations = Annotations(&service.annotations);
    let tls_ports = tls_ports(service, settings)?;
    let certified = !certificates(service).is_empty();
    let quic_ports = match annotations.list(name::QUIC_PORTS) {
        Some(list) if settings.at_least(Version::new(2, 15, 0)) => list,
        _ => Vec::new(),
    };
    let backend = if annotations.text(name::BACKEND_PROTOCOL) == Some("ssl") { TLS } else { "TCP" };

    let mut all: Vec<WantedListener<'a>> = Vec::with_capacity(service.ports.len());
    for port in &service.ports {
        if all.iter().any(|known| known.port.port == port.port) {
            continue;
        }
        let Start { protocol, mut doubt } = start(service, settings, port)?;
        let ends_tls = protocol == "TCP" && certified && (tls_ports.is_empty() || names(&tls_ports, port));
        let (listener, group) = if ends_tls { (TLS, backend) } else { (protocol, protocol) };

        let shared = service.ports.iter().filter(|other| other.port == port.port);
        let quic = shared.clone().any(|other| names(&quic_ports, other));
        let (listener, group) = match (quic, listener) {
            (false, _) => (listener, group),
            (true, "UDP") => ("QUIC", "QUIC"),
            (true, "TCP_UDP") => ("TCP_QUIC", "TCP_QUIC"),
            // The controller refuses it, unless what made it so is not sure.
            (true, _) if doubt.is_some() => (listener, group),
            (true, _) => {
                let raw = annotations.text(name::QUIC_PORTS).unwrap_or_default();
                return Err(AnnotationError::value(name::QUIC_PORTS, raw, "UDP ports only"));
            }
        };
        // Whether the port that is dropped counts here is not written anywhere.
        if quic && protocol != "TCP_UDP" && shared.count() > 1 {
            doubt = doubt.or(Some("two ports of one number, one of which is dropped, are named as QUIC ports"));
        }
        all.push(WantedListener { port, protocol: listener, group_protocol: group, doubt });
    }
    Ok(all)
}

/// What the protocol is before TLS and QUIC.
struct Start {
    protocol: &'static str,
    doubt: Option<&'static str>,
}

fn start(service: &Service, settings: Settings<'_>, port: &ServicePort) -> Result<Start, AnnotationError> {
    let own = match port.protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
        Protocol::Sctp => return Ok(Start { protocol: "SCTP", doubt: Some("what becomes of an SCTP port is not known") }),
    };
    let mut others = service.ports.iter().filter(|other| other.port == port.port && !std::ptr::eq(*other, port));
    let (other, more) = (others.next(), others.next().is_some());
    let Some(other) = other else { return Ok(Start { protocol: own, doubt: None }) };
    match merges(service, settings) {
        Some(false) => Ok(Start { protocol: own, doubt: None }),
        None => Ok(Start { protocol: own, doubt: Some(GATES_UNKNOWN) }),
        Some(true) if more || other.protocol == port.protocol || other.protocol == Protocol::Sctp => {
            let raw = Annotations(&service.annotations).text(name::ENABLE_TCP_UDP_LISTENER).unwrap_or("on by its gate");
            Err(AnnotationError::value(name::ENABLE_TCP_UDP_LISTENER, raw, "one TCP and one UDP port of a number"))
        }
        Some(true) => Ok(Start { protocol: "TCP_UDP", doubt: None }),
    }
}

/// Whether TCP and UDP of one port number make one listener. A value that is no boolean is passed over, and the gate decides.
fn merges(service: &Service, settings: Settings<'_>) -> Option<bool> {
    let annotated = Annotations(&service.annotations).text(name::ENABLE_TCP_UDP_LISTENER).and_then(parse_bool);
    if settings.at_least(ENABLE_TCP_UDP_LISTENER.since)
        && let Some(annotated) = annotated
    {
        return Some(annotated);
    }
    settings.gate(&ENABLE_TCP_UDP_LISTENER)
}

/// The ports that end TLS; empty means all. `*` is no wildcard (T12).
fn tls_ports<'a>(service: &'a Service, settings: Settings<'_>) -> Result<Vec<&'a str>, AnnotationError> {
    let list = Annotations(&service.annotations).list(name::SSL_PORTS).unwrap_or_default();
    let unused = list.iter().find(|item| !service.ports.iter().any(|port| names(&[**item], port)));
    match unused {
        Some(unused) if settings.at_least(Version::new(2, 5, 0)) => {
            Err(AnnotationError::unresolved(name::SSL_PORTS, unused, "a port of the Service"))
        }
        _ => Ok(list),
    }
}

/// The certificates that are named, the default one first; empty without TLS.
pub fn certificates(service: &Service) -> Vec<&str> {
    Annotations(&service.annotations).list(name::SSL_CERT).unwrap_or_default()
}

/// The security policy of listeners that end TLS: enforced, annotated or not.
pub fn ssl_policy<'a>(service: &'a Service, settings: Settings<'a>) -> Wanted<&'a str> {
    const DEFAULT: &str = "ELBSecurityPolicy-2016-08";
    if let Some(policy) = Annotations(&service.annotations).text(name::SSL_POLICY) {
        return Wanted::Value(policy);
    }
    match settings.flag("default-ssl-policy", DEFAULT) {
        Some(policy) => Wanted::Value(policy),
        None => Wanted::Likely(DEFAULT, "the controller's --default-ssl-policy is not known"),
    }
}

/// The ALPN policy of listeners that end TLS; AWS's empty answer is `None`.
pub fn alpn_policy<'a>(service: &'a Service, settings: Settings<'a>) -> Desired<&'a str> {
    const POLICIES: &[&str] = &["None", "HTTP1Only", "HTTP2Only", "HTTP2Optional", "HTTP2Preferred"];
    match Annotations(&service.annotations).text(name::ALPN_POLICY) {
        Some(policy) if POLICIES.contains(&policy) => Ok(Wanted::Value(policy)),
        Some(raw) => Err(AnnotationError::value(name::ALPN_POLICY, raw, "a policy that AWS knows")),
        None => Ok(match settings.gate(&ENHANCED_DEFAULT_BEHAVIOR) {
            Some(true) => Wanted::Value("None"),
            Some(false) => Wanted::Free,
            None => Wanted::Likely("None", GATES_UNKNOWN),
        }),
    }
}

/// The attributes a listener's own annotation names; none for one that ends TLS. Its name has the final protocol.
pub fn attributes(service: &Service, settings: Settings<'_>, listener: &WantedListener<'_>) -> Desired<Pairs> {
    let annotations = Annotations(&service.annotations);
    if listener.tls() || !annotations.any_with_suffix(name::LISTENER_ATTRIBUTES) {
        return Ok(Wanted::Free);
    }
    if let Some(why) = listener.doubt {
        return Ok(Wanted::Unknown(why));
    }
    read_map(annotations, &format!("{}.{}-{}", name::LISTENER_ATTRIBUTES, listener.protocol, listener.port.port), settings)
}

#[cfg(test)]
mod tests;
