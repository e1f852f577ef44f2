//! How many inbound rules does one more load balancer put on an endpoint group?
//!
//! It depends on how the cluster's load balancers reach their targets. The cost of *one more* is that of the median load
//! balancer the cluster has in that mode.

use std::collections::BTreeSet;
use std::sync::Arc;

use ipnet::IpNet;

use super::{Role, Roles};
use crate::controller::annotations::{Annotations, name};
use crate::controller::desired::load_balancer::without_security_groups;
use crate::controller::settings::Settings;
use crate::inventory::aws::{IpFamily, Scheme, TargetType};
use crate::inventory::kube::{Service, Version};
use crate::inventory::snapshot::{ClusterLoadBalancer, ClusterTargetGroup, Controller, Owner, Snapshot};

/// How load balancers reach targets through the endpoint groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// One shared group is let in, by one rule per protocol for the whole cluster.
    SharedGroup,
    /// Each load balancer's own group is let in, by one rule per protocol each.
    OwnGroup,
    /// The controller adds no rules: custom groups whose rules are the user's duty.
    Manual,
    /// Load balancers without groups: one rule per port and address range.
    Ranges,
    /// The in-tree provider's: one rule per port and address range, health checks apart.
    InTree,
}

/// The rules that one more load balancer adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleCost {
    /// How it would reach its targets.
    pub mode: Mode,
    /// Rules that count in IPv4.
    pub ipv4: u64,
    /// Rules that count in IPv6.
    pub ipv6: u64,
}

impl RuleCost {
    /// Rules of a family that must be free for the next load balancer to come up: its cost, and at least one wherever
    /// the controller writes rules at all, since a changed port range is granted before the old one is revoked. 0 where
    /// the family does not matter.
    pub fn reserve(&self, family: IpFamily) -> u64 {
        let (own, other) = match family {
            IpFamily::Ipv4 => (self.ipv4, self.ipv6),
            IpFamily::Ipv6 => (self.ipv6, self.ipv4),
        };
        match self.mode {
            Mode::Manual => 0,
            // A rule that names a group counts in both families.
            Mode::SharedGroup | Mode::OwnGroup => own.max(1),
            Mode::Ranges | Mode::InTree if own == 0 && other == 0 => u64::from(family == IpFamily::Ipv4),
            Mode::Ranges | Mode::InTree => own,
        }
    }

    /// The same mode with another number of rules, in the families in which it writes any.
    pub fn with_rules(self, number: u64) -> Self {
        let writes = |family| self.reserve(family) > 0;
        let of = |family| if writes(family) { number } else { 0 };
        Self { mode: self.mode, ipv4: of(IpFamily::Ipv4), ipv6: of(IpFamily::Ipv6) }
    }

    /// The cost of one more load balancer of this cluster; `None` where nothing tells in which mode it would be.
    pub fn of_one_more(snapshot: &Snapshot, roles: &Roles) -> Option<Self> {
        let existing: Vec<_> = snapshot
            .load_balancers
            .values()
            .filter_map(|load_balancer| Some((load_balancer, mode_of(snapshot, load_balancer, roles)?)))
            .collect();
        let mode = next_mode(snapshot, &existing)?;
        let costs: Vec<_> = existing
            .iter()
            .filter(|(_, of)| *of == mode)
            .map(|(load_balancer, _)| cost_of(mode, &Shape::of(snapshot, load_balancer)))
            .collect();
        let cost = median(costs.iter().map(|cost| cost.ipv4))
            .zip(median(costs.iter().map(|cost| cost.ipv6)))
            .map(|(ipv4, ipv6)| Self { mode, ipv4, ipv6 });
        Some(cost.unwrap_or_else(|| cost_of(mode, &Shape::plain(snapshot))))
    }
}

/// The median, of an even number the larger of the two in the middle; `None` of nothing.
pub fn median(values: impl Iterator<Item = u64>) -> Option<u64> {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

/// The mode of an existing load balancer; `None` for those of Auto Mode and of users, and while its groups are unknown.
fn mode_of(snapshot: &Snapshot, load_balancer: &ClusterLoadBalancer, roles: &Roles) -> Option<Mode> {
    let groups = &load_balancer.load_balancer.security_groups;
    match load_balancer.controller {
        Controller::AutoMode | Controller::None => None,
        Controller::InTree if groups.is_empty() => Some(Mode::InTree),
        Controller::InTree => Some(Mode::OwnGroup),
        Controller::LoadBalancerController if groups.is_empty() => {
            let managed = |service: &Service| Annotations(&service.annotations).boolean(name::MANAGE_BACKEND_RULES);
            let unmanaged = service_of(snapshot, load_balancer).is_some_and(|service| managed(service) == Ok(Some(false)));
            Some(if unmanaged { Mode::Manual } else { Mode::Ranges })
        }
        Controller::LoadBalancerController => {
            if groups.iter().any(|id| roles.has(id, Role::Backend)) {
                Some(Mode::SharedGroup)
            } else if groups.iter().any(|id| roles.has(id, Role::FrontendManaged)) {
                Some(Mode::OwnGroup)
            } else {
                groups.iter().all(|id| roles.any(id)).then_some(Mode::Manual)
            }
        }
    }
}

/// The mode of the next one: the controller's settings decide, unless the cluster's own habit overrides them.
fn next_mode(snapshot: &Snapshot, existing: &[(&ClusterLoadBalancer, Mode)]) -> Option<Mode> {
    let parts = &snapshot.parts;
    let by_controller = || existing.iter().filter(|(it, _)| it.controller == Controller::LoadBalancerController);
    let settings = Settings::in_cluster(parts);
    let controller = settings.deployment();
    if controller.is_none() && by_controller().next().is_none() {
        // Only the in-tree provider, or Auto Mode, or nobody is there to make the next one.
        return existing.iter().any(|(it, _)| it.controller == Controller::InTree).then_some(Mode::InTree);
    }
    if by_controller().next().is_some() && by_controller().all(|(_, mode)| *mode == Mode::Manual) {
        return Some(Mode::Manual);
    }
    let mut services = parts.services.get().into_iter().flatten().map(|(_, service)| service);
    if services.any(|service| service.deleted_at.is_none() && without_security_groups(service, settings) == Ok(true)) {
        return Some(Mode::Ranges);
    }
    let Some(controller) = controller else {
        // Its settings are unknown: as the newest load balancer is, so will the next one be.
        return by_controller().max_by_key(|(it, _)| it.load_balancer.created_at).map(|(_, mode)| *mode);
    };
    let old = controller.version.is_some_and(|version| version < Version::new(2, 6, 0));
    Some(if old || !controller.gate("NLBSecurityGroup", true) {
        Mode::Ranges
    } else if controller.flag("enable-backend-security-group").is_some_and(|value| value.eq_ignore_ascii_case("false")) {
        Mode::OwnGroup
    } else {
        Mode::SharedGroup
    })
}

/// What the number of rules depends on.
#[derive(Debug, Clone)]
struct Shape {
    /// Subnets of the load balancer, each with one block of a family.
    subnets: u64,
    /// Client ranges of the Service; empty for the default.
    ranges: Vec<IpNet>,
    /// What the default stands for: everywhere, or all blocks of the VPC for an internal load balancer.
    default_ipv4: u64,
    default_ipv6: u64,
    groups: Vec<GroupShape>,
}

/// One target group: one port.
#[derive(Debug, Clone)]
struct GroupShape {
    protocol: Arc<str>,
    family: IpFamily,
    preserves_client_ip: bool,
    /// The health check's port where it is not the traffic's.
    health_port: Option<Arc<str>>,
}

impl GroupShape {
    fn is_datagram(&self) -> bool {
        matches!(&*self.protocol, "UDP" | "TCP_UDP" | "QUIC" | "TCP_QUIC")
    }

    fn of(snapshot: &Snapshot, group: &ClusterTargetGroup) -> Self {
        let aws = &group.target_group;
        let attributes = snapshot.parts.target_group_attributes.get(&aws.id).and_then(|attributes| attributes.get());
        let preserves_client_ip = match attributes.and_then(|known| known.get("preserve_client_ip.enabled")) {
            Some(value) => &**value == "true",
            None => aws.target_type == TargetType::Instance,
        };
        let health_port = (&*aws.health_check.port != "traffic-port").then(|| Arc::clone(&aws.health_check.port));
        Self { protocol: Arc::clone(&aws.protocol), family: aws.ip_family, preserves_client_ip, health_port }
    }
}

impl Shape {
    fn of(snapshot: &Snapshot, load_balancer: &ClusterLoadBalancer) -> Self {
        let aws = &load_balancer.load_balancer;
        let ranges = service_of(snapshot, load_balancer).map(source_ranges).unwrap_or_default();
        let groups = load_balancer.target_groups.iter().filter_map(|id| snapshot.target_groups.get(id));
        let groups = groups.map(|group| GroupShape::of(snapshot, group)).collect();
        let mut shape = Self { subnets: aws.zones.len() as u64, ranges, default_ipv4: 1, default_ipv6: 1, groups };
        let internal = aws.scheme == Scheme::Internal && load_balancer.controller == Controller::LoadBalancerController;
        let vpc = snapshot.parts.vpcs.get().and_then(|vpcs| vpcs.get(&aws.vpc_id));
        if let Some(vpc) = vpc.filter(|_| internal) {
            shape.default_ipv4 = vpc.cidrs.len() as u64;
            shape.default_ipv6 = vpc.ipv6_cidrs.len() as u64;
        }
        shape
    }

    /// A load balancer as nobody has one yet: one TCP port to instances, in as many zones as the others.
    fn plain(snapshot: &Snapshot) -> Self {
        let zones = median(snapshot.load_balancers.values().map(|it| it.load_balancer.zones.len() as u64)).unwrap_or(1);
        let group = GroupShape { protocol: "TCP".into(), family: IpFamily::Ipv4, preserves_client_ip: true, health_port: None };
        Self { subnets: zones, ranges: Vec::new(), default_ipv4: 1, default_ipv6: 1, groups: vec![group] }
    }

    /// Clients' address ranges that count in a family, for a group of a family.
    fn clients(&self, group: &GroupShape, family: IpFamily) -> u64 {
        if self.ranges.is_empty() {
            return match family {
                _ if family != group.family => 0,
                IpFamily::Ipv4 => self.default_ipv4,
                IpFamily::Ipv6 => self.default_ipv6,
            };
        }
        let of_family =
            |range: &&IpNet| matches!((range, family), (IpNet::V4(_), IpFamily::Ipv4) | (IpNet::V6(_), IpFamily::Ipv6));
        self.ranges.iter().filter(of_family).count() as u64
    }

    /// The ranges hold everywhere: by default, or written out.
    fn open_to_all(&self) -> bool {
        self.ranges.is_empty() || self.ranges.iter().any(|range| range.prefix_len() == 0)
    }
}

fn cost_of(mode: Mode, shape: &Shape) -> RuleCost {
    let both = |count| RuleCost { mode, ipv4: count, ipv6: count };
    match mode {
        Mode::SharedGroup | Mode::Manual => both(0),
        Mode::OwnGroup => {
            // A datagram group is probed by TCP beside its own protocol.
            let datagrams = shape.groups.iter().any(GroupShape::is_datagram);
            both(1 + u64::from(datagrams))
        }
        Mode::Ranges => {
            let count = |family| range_rules(shape, family);
            RuleCost { mode, ipv4: count(IpFamily::Ipv4), ipv6: count(IpFamily::Ipv6) }
        }
        Mode::InTree => RuleCost { mode, ipv4: in_tree_rules(shape), ipv6: 0 },
    }
}

/// Rules of a load balancer without groups: traffic from clients (or from its subnets where the client's address is not
/// preserved), and health checks from its subnets unless the traffic rules already let them in.
fn range_rules(shape: &Shape, family: IpFamily) -> u64 {
    let mut traffic = 0;
    let mut health_on_traffic_port = 0;
    let mut health_ports = BTreeSet::new();
    for group in &shape.groups {
        let from_clients = group.is_datagram() || group.preserves_client_ip;
        let subnets = if group.family == family { shape.subnets } else { 0 };
        let protocols = if matches!(&*group.protocol, "TCP_UDP" | "TCP_QUIC") { 2 } else { 1 };
        traffic += protocols * if from_clients { shape.clients(group, family) } else { subnets };
        let datagrams_only = matches!(&*group.protocol, "UDP" | "QUIC");
        match &group.health_port {
            // One port for all groups of the Service: identical rules are one.
            Some(port) if group.family == family => drop(health_ports.insert(port)),
            Some(_) => {}
            None if !datagrams_only && (!from_clients || shape.open_to_all()) => {}
            None => health_on_traffic_port += subnets,
        }
    }
    traffic + health_on_traffic_port + health_ports.len() as u64 * shape.subnets
}

/// The in-tree provider's: client ranges for each port, and subnets for each port that is probed, in IPv4 only. One datagram
/// port makes the client rules of all ports datagram ones, and then none of them lets health checks in.
fn in_tree_rules(shape: &Shape) -> u64 {
    let only_everywhere = shape.ranges.is_empty() || (shape.ranges.len() == 1 && shape.ranges[0].prefix_len() == 0);
    let clients_are_datagrams = shape.groups.iter().any(GroupShape::is_datagram);
    let probed_with_traffic = only_everywhere && !clients_are_datagrams;
    let clients = if shape.ranges.is_empty() { 1 } else { shape.ranges.len() as u64 };
    let traffic_ports = shape.groups.iter().filter(|group| group.health_port.is_none() && !probed_with_traffic).count() as u64;
    // One port for all groups of the Service: identical rules are one.
    let health_ports: BTreeSet<_> = shape.groups.iter().filter_map(|group| group.health_port.as_ref()).collect();
    shape.groups.len() as u64 * clients + (traffic_ports + health_ports.len() as u64) * shape.subnets
}

/// The spec's ranges, else the annotation's; what does not parse is left out.
fn source_ranges(service: &Service) -> Vec<IpNet> {
    let parse = |text: &str| text.trim().parse().ok();
    if !service.source_ranges.is_empty() {
        return service.source_ranges.iter().filter_map(|range| parse(range)).collect();
    }
    let annotated = Annotations(&service.annotations).list(name::SOURCE_RANGES).unwrap_or_default();
    annotated.into_iter().filter_map(parse).collect()
}

fn service_of<'a>(snapshot: &'a Snapshot, load_balancer: &ClusterLoadBalancer) -> Option<&'a Service> {
    let Owner::Service(name) = &load_balancer.owner else { return None };
    snapshot.parts.services.get()?.get(name).map(Arc::as_ref)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod truth_table;
