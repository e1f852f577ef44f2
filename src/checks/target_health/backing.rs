//! What does the cluster have for a target group, and what should be registered in it?
//!
//! As the AWS Load Balancer Controller registers: `ip` groups get the ready endpoints of the Service's port, `instance` groups get every
//! eligible node on the node port. Whatever is not known makes this `None`, never an empty set.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use super::nodes::Nodes;
use super::verdict::is_unhealthy;
use crate::inventory::aws::{IpFamily, Target, TargetState, TargetType};
use crate::inventory::ids::NodeName;
use crate::inventory::kube::{
    BindingGroup, EndpointSlice, PortReference, Service, ServicePort, ServiceType, TargetGroupBinding, TrafficPolicy,
};
use crate::inventory::parts::Parts;
use crate::inventory::snapshot::{ClusterTargetGroup, Snapshot};

/// What makes two targets the same one. The zone is left out: the controller matches without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::checks) enum Key<'a> {
    /// An address and a port.
    Address(IpAddr, u16),
    /// Anything else (an instance) and a port.
    Named(&'a str, u16),
}

impl<'a> Key<'a> {
    /// A target's; `None` where the answer has no port.
    pub(in crate::checks) fn of(target: &'a Target) -> Option<Self> {
        let port = target.port?;
        Some(target.id.parse().map_or(Self::Named(&target.id, port), |address| Self::Address(address, port)))
    }
}

impl std::fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(IpAddr::V6(address), port) => write!(f, "[{address}]:{port}"),
            Self::Address(address, port) => write!(f, "{address}:{port}"),
            Self::Named(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

/// The endpoints of a Service in one address family.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::checks) struct EndpointCounts {
    /// Ready and not terminating.
    pub(in crate::checks) ready: usize,
    /// Neither ready nor terminating.
    pub(in crate::checks) not_ready: usize,
    /// Terminating.
    pub(in crate::checks) terminating: usize,
}

/// A target that should be registered.
#[derive(Debug, Clone, Copy)]
pub(in crate::checks) struct Expected {
    /// It should be healthy, too.
    pub(in crate::checks) healthy: bool,
    /// When what stands behind it last changed.
    pub(in crate::checks) changed_at: Option<Timestamp>,
}

/// A target that may be registered or not.
#[derive(Debug, Clone, Copy)]
pub(in crate::checks) enum Tolerated {
    /// An endpoint that is not ready: a readiness gate waits for its target, or it is about to be deregistered.
    NotReady { changed_at: Option<Timestamp> },
    /// A terminating endpoint, or a node that is about to be deleted.
    Leaving,
}

/// What should be registered.
#[derive(Debug, Default)]
pub(in crate::checks) struct Expectation<'a> {
    /// What has to be registered.
    pub(in crate::checks) expected: BTreeMap<Key<'a>, Expected>,
    /// What may be.
    pub(in crate::checks) tolerated: BTreeMap<Key<'a>, Tolerated>,
    /// When the Service, its binding or the addresses it was made of last changed, what was taken away included.
    pub(in crate::checks) changed_at: Option<Timestamp>,
}

/// What the cluster has for a target group.
#[derive(Debug)]
pub(in crate::checks) struct Backing<'a> {
    /// The Service whose pods it holds.
    pub(in crate::checks) service: Option<&'a Service>,
    /// That Service's endpoints, in the family of the group.
    pub(in crate::checks) endpoints: Option<EndpointCounts>,
    /// When the Service, its slices or the binding last changed.
    pub(in crate::checks) changed_at: Option<Timestamp>,
    /// What should be registered.
    pub(in crate::checks) expectation: Option<Expectation<'a>>,
    /// The expectation is all there should be: nobody else registers here, and the controller leaves nothing out on purpose.
    pub(in crate::checks) exact: bool,
    target_type: TargetType,
    shared: bool,
    /// When the cluster was last seen whole: the oldest of the lists it was looked up in.
    seen_at: Option<Timestamp>,
}

/// How much older than the sample of a group the view of the cluster may be to be compared with it. A watch proves that it
/// is alive every minute; beyond two of these and a margin it is not.
const CLUSTER_LAG: Duration = Duration::from_secs(150);

/// How a target that AWS calls unhealthy is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::checks) enum Standing {
    /// It is not unhealthy, or it is so by design, or it is leaving, or it is none of ours.
    Fine,
    /// It should be healthy. Only a sample of `judge_from` or later proves it.
    Failing {
        /// Not before that; `None` for at any time.
        judge_from: Option<Timestamp>,
    },
    /// Whether it should be healthy is not known.
    Unknown,
}

impl<'a> Backing<'a> {
    /// Looks up what stands behind a group. `nodes` is `None` while the list of nodes is not complete.
    pub(in crate::checks) fn of(group: &'a ClusterTargetGroup, snapshot: &'a Snapshot, nodes: Option<&Nodes<'a>>) -> Self {
        let target_type = group.target_group.target_type;
        let mut backing = Self {
            service: None,
            endpoints: None,
            changed_at: group.binding.as_ref().map(|binding| binding.created_at),
            expectation: None,
            exact: false,
            target_type,
            shared: group.shared,
            seen_at: seen_at(&snapshot.parts, target_type),
        };
        let Some((name, port)) = &group.backend else { return backing };
        let parts = &snapshot.parts;
        backing.service = parts.services.complete().and_then(|services| services.get(name)).map(|service| &**service);
        if let Some(service) = backing.service {
            backing.changed_at = backing.changed_at.max(Some(service.created_at)).max(service.changed_at);
        }
        if parts.endpoint_slices.complete().is_none() {
            return backing;
        }
        let slices = snapshot.endpoint_slices.get(name).map_or(&[][..], Vec::as_slice);
        backing.changed_at = backing.changed_at.max(slices.iter().filter_map(|slice| slice.changed_at).max());
        let slices = slices.iter().map(|slice| &**slice);
        let family = group.target_group.ip_family;
        backing.endpoints = Some(count(slices.clone(), family));

        let Some(service) = backing.service else { return backing };
        let Some(port) = service_port(service, port) else { return backing };
        let binding = group.binding.as_deref();
        let base = binding.map(|binding| binding.created_at).max(Some(service.created_at)).max(service.changed_at);
        backing.expectation = match target_type {
            TargetType::Ip => by_address(slices, port, family, base),
            TargetType::Instance => nodes.and_then(|nodes| by_node(slices, service, port, binding, nodes, base)),
            TargetType::Alb | TargetType::Other => None,
        };
        backing.exact = backing.expectation.is_some()
            && service.deleted_at.is_none()
            && is_exact(group, binding)
            && snapshot.parts.target_group_bindings.complete().is_some()
            && leaves_nothing_out(snapshot);
        backing
    }

    /// Whether the cluster was seen about when the group was sampled. An API server that cannot be reached leaves the last
    /// endpoints standing while AWS goes on: what differs then is no difference.
    pub(in crate::checks) fn is_current(&self, sampled_at: Timestamp) -> bool {
        self.seen_at.is_some_and(|seen| after(seen, CLUSTER_LAG) >= sampled_at)
    }

    /// How to take a target, given how long a change may take to reach AWS.
    pub(in crate::checks) fn standing(&self, target: &Target, hold_down: Duration) -> Standing {
        if !is_unhealthy(target) {
            return Standing::Fine;
        }
        // Somebody moved the traffic of this zone away on purpose.
        if target.zonal_shift {
            return Standing::Fine;
        }
        let later = |at: Option<Timestamp>| at.map(|at| after(at, hold_down));
        let Some(expectation) = &self.expectation else {
            let unknown = self.shared || self.target_type == TargetType::Instance && !self.every_node_serves();
            return if unknown { Standing::Unknown } else { Standing::Failing { judge_from: None } };
        };
        let Some(key) = Key::of(target) else { return Standing::Unknown };
        match (expectation.expected.get(&key), expectation.tolerated.get(&key)) {
            (Some(expected), _) if !expected.healthy => Standing::Fine,
            // A new pod's target is `initial` first. A node's may be `unhealthy` for as long as the health check takes to
            // see the pod that has just come.
            (Some(expected), _) => Standing::Failing {
                judge_from: match self.target_type {
                    TargetType::Instance => later(expected.changed_at),
                    _ => expected.changed_at,
                },
            },
            (None, Some(Tolerated::NotReady { changed_at })) => Standing::Failing { judge_from: later(*changed_at) },
            // Nobody stands behind it: another cluster's, or an unexpected one.
            (None, Some(Tolerated::Leaving) | None) => Standing::Fine,
        }
    }

    /// Whether every registered node should pass its health check; with policy Local only those with a ready pod do.
    fn every_node_serves(&self) -> bool {
        self.service.is_some_and(|service| service.external_traffic_policy == TrafficPolicy::Cluster)
    }

    /// What is expected and not registered, and what is registered with nobody behind it.
    ///
    /// `None` where that cannot be judged. A draining target is as good as gone, on both sides.
    pub(in crate::checks) fn difference<'t>(
        &self,
        targets: &'t [Target],
        sampled_at: Timestamp,
    ) -> Option<(BTreeSet<Key<'a>>, BTreeSet<Key<'t>>)> {
        let expectation = self.expectation.as_ref().filter(|_| self.exact && self.is_current(sampled_at))?;
        let registered: BTreeSet<Key<'t>> = targets
            .iter()
            .filter(|target| !matches!(target.state, TargetState::Draining | TargetState::UnhealthyDraining))
            .map(Key::of)
            .collect::<Option<_>>()?;
        let missing = expectation.expected.keys().filter(|key| !registered.contains(key)).copied().collect();
        let unexpected = registered
            .into_iter()
            .filter(|key| !expectation.expected.contains_key(key) && !expectation.tolerated.contains_key(key))
            .collect();
        Some((missing, unexpected))
    }
}

/// A moment later; the end of time where there is none so late.
pub(in crate::checks) fn after(at: Timestamp, wait: Duration) -> Timestamp {
    at.checked_add(wait).unwrap_or(Timestamp::MAX)
}

/// Nobody but one binding of this cluster registers in the group, by rules that are known.
/// The oldest of the lists that the backing of a group is looked up in; `None` while one of them never was complete.
fn seen_at(parts: &Parts, target_type: TargetType) -> Option<Timestamp> {
    let lists = parts.services.fetched_at?.min(parts.endpoint_slices.fetched_at?).min(parts.target_group_bindings.fetched_at?);
    if target_type == TargetType::Instance { Some(lists.min(parts.nodes.fetched_at?)) } else { Some(lists) }
}

fn is_exact(group: &ClusterTargetGroup, binding: Option<&TargetGroupBinding>) -> bool {
    let Some(binding) = binding else { return false };
    // Which nodes EKS Auto Mode takes as instance targets is not documented.
    let known = binding.group == BindingGroup::LoadBalancerController || group.target_group.target_type == TargetType::Ip;
    known && !group.shared && !binding.multi_cluster && !binding.other_account && binding.deleted_at.is_none()
}

/// `--max-targets-per-target-group` makes the controller register only a part, and nobody knows which.
fn leaves_nothing_out(snapshot: &Snapshot) -> bool {
    snapshot.parts.controllers.complete().is_some_and(|controllers| {
        controllers.values().all(|controller| controller.flag("max-targets-per-target-group").is_none_or(|limit| limit == "0"))
    })
}

/// The port of a Service that a binding names: the first with the number, or the one with the name.
fn service_port<'a>(service: &'a Service, wanted: &PortReference) -> Option<&'a ServicePort> {
    service.ports.iter().find(|port| match wanted {
        PortReference::Number(number) => port.port == *number,
        PortReference::Name(name) => port.name == *name,
    })
}

fn is_of(address: IpAddr, family: IpFamily) -> bool {
    address.is_ipv4() == (family == IpFamily::Ipv4)
}

/// How an endpoint counts. An address that stands in two slices, as it may while they are rearranged, counts by the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Condition {
    Terminating,
    NotReady,
    Ready,
}

impl Condition {
    fn of(endpoint: &crate::inventory::kube::Endpoint) -> Self {
        // With publishNotReadyAddresses a terminating endpoint says that it is ready.
        match endpoint {
            endpoint if endpoint.terminating => Self::Terminating,
            endpoint if endpoint.ready => Self::Ready,
            _ => Self::NotReady,
        }
    }
}

fn count<'a>(slices: impl Iterator<Item = &'a EndpointSlice>, family: IpFamily) -> EndpointCounts {
    let mut conditions: BTreeMap<IpAddr, Condition> = BTreeMap::new();
    for endpoint in slices.flat_map(|slice| &slice.endpoints).filter(|endpoint| is_of(endpoint.address, family)) {
        let condition = Condition::of(endpoint);
        let best = conditions.entry(endpoint.address).or_insert(condition);
        *best = condition.max(*best);
    }
    let mut counts = EndpointCounts::default();
    for condition in conditions.into_values() {
        match condition {
            Condition::Ready => counts.ready += 1,
            Condition::NotReady => counts.not_ready += 1,
            Condition::Terminating => counts.terminating += 1,
        }
    }
    counts
}

/// The endpoints of an `ip` group; `None` when a slice leaves the container's port open.
fn by_address<'a>(
    slices: impl Iterator<Item = &'a EndpointSlice>,
    port: &ServicePort,
    family: IpFamily,
    base: Option<Timestamp>,
) -> Option<Expectation<'a>> {
    let mut found: BTreeMap<Key<'a>, (Condition, bool, Option<Timestamp>)> = BTreeMap::new();
    let mut changed_at = base;
    for slice in slices {
        let slice_changed_at = base.max(slice.changed_at);
        changed_at = changed_at.max(slice_changed_at);
        // A Service's only port may have no name; then every port of the slice is it.
        for of_slice in slice.ports.iter().filter(|of_slice| port.name.is_empty() || of_slice.name == port.name) {
            let number = of_slice.port?;
            for endpoint in slice.endpoints.iter().filter(|endpoint| is_of(endpoint.address, family)) {
                let condition = Condition::of(endpoint);
                let key = Key::Address(endpoint.address, number);
                let entry = found.entry(key).or_insert((condition, endpoint.pod.is_some(), slice_changed_at));
                entry.0 = entry.0.max(condition);
                entry.1 |= endpoint.pod.is_some();
                entry.2 = entry.2.max(slice_changed_at);
            }
        }
    }
    let mut expectation = Expectation { changed_at, ..Expectation::default() };
    for (key, (condition, pod, changed_at)) in found {
        match condition {
            // The controller registers pods only; an address without one was written by hand.
            Condition::Ready if pod => {
                expectation.expected.insert(key, Expected { healthy: true, changed_at });
            }
            Condition::Ready | Condition::NotReady => {
                expectation.tolerated.insert(key, Tolerated::NotReady { changed_at });
            }
            Condition::Terminating => {
                expectation.tolerated.insert(key, Tolerated::Leaving);
            }
        }
    }
    Some(expectation)
}

/// The nodes of an `instance` group; `None` when the Service has no node port.
fn by_node<'a>(
    slices: impl Iterator<Item = &'a EndpointSlice>,
    service: &Service,
    port: &ServicePort,
    binding: Option<&TargetGroupBinding>,
    nodes: &Nodes<'a>,
    base: Option<Timestamp>,
) -> Option<Expectation<'a>> {
    let number = port.node_port?;
    if !matches!(service.service_type, ServiceType::NodePort | ServiceType::LoadBalancer) {
        return None;
    }
    let mut hosts: BTreeMap<&NodeName, Option<Timestamp>> = BTreeMap::new();
    let mut any_ready = false;
    for slice in slices {
        for endpoint in slice.endpoints.iter().filter(|endpoint| Condition::of(endpoint) == Condition::Ready) {
            any_ready = true;
            if let Some(node) = &endpoint.node {
                let changed_at = hosts.entry(node).or_default();
                *changed_at = slice.changed_at.max(*changed_at);
            }
        }
    }
    let local = service.external_traffic_policy == TrafficPolicy::Local;
    let mut expectation = Expectation { changed_at: base, ..Expectation::default() };
    for candidate in nodes.eligible(binding.and_then(|binding| binding.node_selector.as_ref())) {
        let node = candidate.node;
        let node_changed_at = base.max(node.ready_changed_at).max(node.changed_at);
        let (healthy, changed_at) = if local {
            let host = hosts.get(&node.name);
            (host.is_some(), node_changed_at.max(host.copied().flatten()))
        } else {
            // Any node sends on to any pod, but with no ready endpoint in the cluster none can pass.
            (any_ready, node_changed_at)
        };
        expectation.expected.insert(Key::Named(candidate.instance.as_str(), number), Expected { healthy, changed_at });
    }
    for candidate in nodes.leaving() {
        expectation.tolerated.insert(Key::Named(candidate.instance.as_str(), number), Tolerated::Leaving);
    }
    Some(expectation)
}

#[cfg(test)]
mod tests;
