//! Which inbound rules would the controller add to an endpoint group for one Service, as its manifest says?
//!
//! `cost` answers for a load balancer like the others of the cluster; this for one that is described. The same modes.

use std::collections::BTreeSet;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::cost::Mode;
use crate::controller::annotations::{AnnotationError, Annotations, name};
use crate::controller::desired::health_check::HealthChecks;
use crate::controller::desired::listener::{WantedListener, listeners};
use crate::controller::desired::load_balancer::without_security_groups;
use crate::controller::desired::managed_group::RuleKey;
use crate::controller::desired::security_groups::{NLB_SECURITY_GROUP, names_its_own};
use crate::controller::desired::target_group::{attributes, target_type};
use crate::controller::desired::{Desired, Wanted};
use crate::controller::settings::Settings;
use crate::inventory::aws::{IpFamily, Peer, Scheme, SecurityGroup, Subnet, TargetType, Vpc};
use crate::inventory::ids::SecurityGroupId;
use crate::inventory::kube::{PortReference, Service, Version};

/// Whose rules they are where the group that they name does not exist yet.
const NEW_GROUP: &str = "sg-to-be-made";

/// How the load balancer of a Service would reach its targets. `bare` says that it has no security groups and therefore never
/// gets any; `None` that it is yet to be made.
pub fn mode(service: &Service, settings: Settings<'_>, bare: Option<bool>) -> Desired<Mode> {
    let annotations = Annotations(&service.annotations);
    let manage = if settings.at_least(Version::new(2, 4, 0)) { annotations.boolean(name::MANAGE_BACKEND_RULES)? } else { None };
    let gate = settings.gate(&NLB_SECURITY_GROUP);
    let born_bare = without_security_groups(service, settings)? || gate == Some(false);
    if bare.unwrap_or(born_bare) {
        return Ok(Wanted::Value(if manage == Some(false) { Mode::Manual } else { Mode::Ranges }));
    }
    let unknown = "the controller's flags on security groups are not known";
    if names_its_own(service) {
        let by_flag = match settings.switch("enable-manage-backend-security-group-rules", false) {
            Some(by_flag) => by_flag && settings.at_least(Version::new(2, 13, 0)),
            None if manage.is_none() => return Ok(Wanted::Likely(Mode::Manual, unknown)),
            None => false,
        };
        return Ok(Wanted::Value(if manage.unwrap_or(by_flag) { Mode::SharedGroup } else { Mode::Manual }));
    }
    Ok(match settings.switch("enable-backend-security-group", true) {
        Some(true) => Wanted::Value(Mode::SharedGroup),
        Some(false) => Wanted::Value(Mode::OwnGroup),
        None => Wanted::Likely(Mode::SharedGroup, unknown),
    })
}

/// Ports are below this. Those that are not given out yet stand below 0, each Service's in a range of its own.
const PORTS: i32 = 1 << 16;

/// As many ranges there are; further Services share the last one.
const MOST_SERVICES: u16 = (1 << 15) - 1;

/// What the rules depend on beside the Service and the controller.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// The load balancer's scheme.
    pub scheme: Scheme,
    /// Its subnets.
    pub subnets: &'a [&'a Subnet],
    /// Its VPC; without it the clients of an internal load balancer are not known.
    pub vpc: Option<&'a Vpc>,
    /// The cluster's shared group, where it exists.
    pub backend: Option<&'a SecurityGroupId>,
    /// The load balancer's own group that the controller made, where it exists.
    pub own: Option<&'a SecurityGroupId>,
    /// Which of several Services that are looked at together: each gets ports of its own.
    pub nth: u16,
}

/// The rules that an endpoint group would need. Those that are there already cost nothing: see [`added`].
pub fn rules(
    service: &Service,
    settings: Settings<'_>,
    mode: Mode,
    around: Surroundings<'_>,
) -> Desired<BTreeSet<RuleKey<'static>>> {
    let weighted = settings.at_least(Version::new(2, 16, 0)) && Annotations(&service.annotations).any_with_suffix(name::ACTIONS);
    if weighted && mode == Mode::Ranges {
        return Ok(Wanted::Unknown("which rules the other Services of a weighted action need is not known"));
    }
    let mut groups = Vec::new();
    for listener in &listeners(service, settings)? {
        match Group::of(service, settings, listener, around.nth)? {
            Wanted::Value(group) | Wanted::Likely(group, _) => groups.push(group),
            Wanted::Free => {}
            Wanted::Unknown(why) => return Ok(Wanted::Unknown(why)),
        }
    }
    match mode {
        Mode::Manual => Ok(Wanted::Value(BTreeSet::new())),
        Mode::SharedGroup => Ok(Wanted::Value(from_group(&groups, around.backend.cloned().unwrap_or_else(|| NEW_GROUP.into())))),
        // Each load balancer has another one.
        Mode::OwnGroup => {
            let own = around.own.cloned().unwrap_or_else(|| SecurityGroupId::new(format!("{NEW_GROUP}-{}", around.nth)));
            Ok(Wanted::Value(from_group(&groups, own)))
        }
        Mode::Ranges => ranges(service, &groups, around),
        Mode::InTree => Ok(Wanted::Unknown("the in-tree provider is not planned")),
    }
}

/// Those of the rules that a group lacks. A rule from a group lets all its ports in: it is widened in place.
pub fn added<'a>(rules: &'a BTreeSet<RuleKey<'static>>, group: &'a SecurityGroup) -> impl Iterator<Item = &'a RuleKey<'static>> {
    let has = |wanted: &RuleKey<'_>| {
        group.inbound.iter().map(RuleKey::of).any(|known| match &wanted.peer {
            Peer::SecurityGroup(_) => known.peer == wanted.peer && (known.protocol == wanted.protocol || known.protocol == "-1"),
            _ => known == *wanted,
        })
    };
    rules.iter().filter(move |rule| !has(rule))
}

/// One target group: one port of the Service.
#[derive(Debug)]
struct Group {
    protocol: &'static str,
    family: IpFamily,
    preserves_client_ip: bool,
    /// Where targets are reached.
    port: i32,
    /// The health check's port where it is not the traffic's.
    health_port: Option<i32>,
}

impl Group {
    fn of(
        service: &Service,
        settings: Settings<'_>,
        listener: &WantedListener<'_>,
        nth: u16,
    ) -> Result<Wanted<Self>, AnnotationError> {
        let kind = match target_type(service, settings) {
            Wanted::Value(kind) | Wanted::Likely(kind, _) => kind,
            Wanted::Free | Wanted::Unknown(_) => return Ok(Wanted::Unknown("the target type is not known")),
        };
        let wanted = attributes(service, settings, listener.port.port)?;
        if let Some(why) = wanted.unknown {
            return Ok(Wanted::Unknown(why));
        }
        let preserves_client_ip = match wanted.keys.get("preserve_client_ip.enabled") {
            Some(wanted) => wanted.value == "true",
            None => kind == TargetType::Instance,
        };
        // A port that is given out later is another one than all that are there.
        let first = i32::MIN + i32::from(nth.min(MOST_SERVICES)) * PORTS;
        let later = first + i32::from(listener.port.port);
        let port = match (kind, &listener.port.target_port) {
            (TargetType::Instance, _) => listener.port.node_port.map_or(later, i32::from),
            (_, PortReference::Number(port)) => i32::from(*port),
            (_, PortReference::Name(_)) => later,
        };
        let health_port = match HealthChecks::of(service, settings, kind).port()? {
            Wanted::Value(port) | Wanted::Likely(port, _) if port == "traffic-port" => None,
            Wanted::Value(text) | Wanted::Likely(text, _) => Some(text.parse().unwrap_or(first)).filter(|health| *health != port),
            // One port for all groups of the Service, which the API server gives out.
            Wanted::Free | Wanted::Unknown(_) => Some(first),
        };
        let family = if service.ipv6 { IpFamily::Ipv6 } else { IpFamily::Ipv4 };
        Ok(Wanted::Value(Self { protocol: listener.group_protocol, family, preserves_client_ip, port, health_port }))
    }

    fn is_datagram(&self) -> bool {
        matches!(self.protocol, "UDP" | "TCP_UDP" | "QUIC" | "TCP_QUIC")
    }

    fn protocols(&self) -> &'static [&'static str] {
        match self.protocol {
            "UDP" | "QUIC" => &["udp"],
            "TCP_UDP" | "TCP_QUIC" => &["tcp", "udp"],
            _ => &["tcp"],
        }
    }
}

/// One rule a protocol lets a group in, from its lowest to its highest port. Groups are probed by TCP.
fn from_group(groups: &[Group], source: SecurityGroupId) -> BTreeSet<RuleKey<'static>> {
    let peer = Peer::SecurityGroup(source);
    let tcp = (!groups.is_empty()).then_some("tcp");
    let udp = groups.iter().any(Group::is_datagram).then_some("udp");
    tcp.into_iter().chain(udp).map(|protocol| RuleKey { protocol, ports: None, peer: peer.clone() }).collect()
}

/// A load balancer without groups: a rule for each port and network.
fn ranges(service: &Service, groups: &[Group], around: Surroundings<'_>) -> Desired<BTreeSet<RuleKey<'static>>> {
    let given = given_ranges(service)?;
    let open_to_all = given.is_empty() || given.iter().any(|range| range.prefix_len() == 0);
    let mut rules = BTreeSet::new();
    for group in groups {
        let subnets: Vec<IpNet> = around.subnets.iter().flat_map(|subnet| blocks(subnet, group.family)).collect();
        let from_clients = group.is_datagram() || group.preserves_client_ip;
        let sources = match (from_clients, given.is_empty()) {
            (false, _) => subnets.clone(),
            (true, false) => given.iter().copied().collect(),
            (true, true) if around.scheme == Scheme::Internal => match around.vpc {
                Some(vpc) if group.family == IpFamily::Ipv4 => vpc.cidrs.clone(),
                Some(vpc) => vpc.ipv6_cidrs.clone(),
                None => return Ok(Wanted::Unknown("the VPC's address blocks are not known")),
            },
            (true, true) => vec![everywhere(group.family)],
        };
        let mut add = |protocol, port, networks: &[IpNet]| {
            let rule = |network: &IpNet| RuleKey { protocol, ports: Some((port, port)), peer: Peer::Cidr(network.trunc()) };
            rules.extend(networks.iter().map(rule));
        };
        group.protocols().iter().for_each(|protocol| add(protocol, group.port, &sources));
        let datagrams_only = matches!(group.protocol, "UDP" | "QUIC");
        match group.health_port {
            Some(port) => add("tcp", port, &subnets),
            None if !datagrams_only && (!from_clients || open_to_all) => {}
            None => add("tcp", group.port, &subnets),
        }
    }
    Ok(Wanted::Value(rules))
}

/// The spec's ranges, else the annotation's; prefix lists play no role without groups.
fn given_ranges(service: &Service) -> Result<BTreeSet<IpNet>, AnnotationError> {
    let annotated = || Annotations(&service.annotations).list(name::SOURCE_RANGES).unwrap_or_default();
    let list: Vec<&str> = match service.source_ranges.is_empty() {
        true => annotated(),
        false => service.source_ranges.iter().map(|range| range.trim()).collect(),
    };
    let read = |text: &&str| text.parse().map_err(|_| AnnotationError::value(name::SOURCE_RANGES, text, "CIDR blocks"));
    list.iter().map(read).collect()
}

fn blocks(subnet: &Subnet, family: IpFamily) -> Vec<IpNet> {
    match family {
        IpFamily::Ipv4 => subnet.cidr.into_iter().collect(),
        IpFamily::Ipv6 => subnet.ipv6_cidrs.clone(),
    }
}

fn everywhere(family: IpFamily) -> IpNet {
    match family {
        IpFamily::Ipv4 => Ipv4Net::default().into(),
        IpFamily::Ipv6 => Ipv6Net::default().into(),
    }
}

#[cfg(test)]
mod tests;
