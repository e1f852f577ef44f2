//! How do the pieces belong together? The join: Service ↔ load balancer ↔ listener ↔ target group ↔ endpoint ↔ node ↔ zone.
//!
//! By tags and TargetGroupBindings, never by name.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;

use super::aws::{LoadBalancer, Target, TargetGroup};
use super::ids::{InstanceId, LoadBalancerId, NodeName, ObjectName, SubnetId, TargetGroupId, ZoneName};
use super::kube::{EndpointSlice, PortReference, TargetGroupBinding};
use super::membership::Membership;
use super::parts::Parts;

/// The joined picture at one moment. Immutable.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When it was joined.
    pub taken_at: Timestamp,
    /// The pieces, those beyond their `max_staleness` emptied (age and failure stay).
    pub parts: Parts,
    /// This cluster's load balancers: tagged as its own, or serving a target group that one of its bindings names.
    pub load_balancers: BTreeMap<LoadBalancerId, ClusterLoadBalancer>,
    /// This cluster's target groups: tagged as its own, bound by one of its bindings, or used by one of its load balancers.
    pub target_groups: BTreeMap<TargetGroupId, ClusterTargetGroup>,
    /// Which load balancers carry a Service's stack tag. One is normal, more is a replacement or a leak.
    pub service_load_balancers: BTreeMap<ObjectName, BTreeSet<LoadBalancerId>>,
    /// A Service's slices.
    pub endpoint_slices: BTreeMap<ObjectName, Vec<Arc<EndpointSlice>>>,
    /// Which node an instance is.
    pub nodes_by_instance: BTreeMap<InstanceId, NodeName>,
    subnets_by_start: BTreeMap<IpAddr, (IpNet, SubnetId)>,
}

/// Which controller made a resource, by its tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Controller {
    /// The AWS Load Balancer Controller (`service.k8s.aws/stack`, `ingress.k8s.aws/stack`, `gateway.k8s.aws.nlb/stack`).
    LoadBalancerController,
    /// The in-tree provider (`kubernetes.io/service-name` without the former).
    InTree,
    /// EKS Auto Mode (`service.eks.amazonaws.com/stack`).
    AutoMode,
    /// None of them: a user's own, bound by a TargetGroupBinding.
    None,
}

impl Controller {
    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LoadBalancerController => "aws-load-balancer-controller",
            Self::InTree => "in-tree",
            Self::AutoMode => "eks-auto-mode",
            Self::None => "none",
        }
    }
}

/// The Kubernetes object a load balancer was made for, by its stack tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// A Service.
    Service(ObjectName),
    /// A Gateway.
    Gateway(ObjectName),
    /// An Ingress, or an IngressGroup by its name without a namespace: the NLB in front of its ALB.
    Ingress(Arc<str>),
    /// Nobody's tag.
    None,
}

/// A load balancer of this cluster.
#[derive(Debug, Clone)]
pub struct ClusterLoadBalancer {
    /// What AWS says of it.
    pub load_balancer: Arc<LoadBalancer>,
    /// Who made it.
    pub controller: Controller,
    /// For what.
    pub owner: Owner,
    /// Its target groups.
    pub target_groups: BTreeSet<TargetGroupId>,
}

/// A target group of this cluster.
#[derive(Debug, Clone)]
pub struct ClusterTargetGroup {
    /// What AWS says of it.
    pub target_group: Arc<TargetGroup>,
    /// The load balancer that forwards to it; `None` for an orphan.
    pub load_balancer: Option<LoadBalancerId>,
    /// Which Service's load balancer it is part of (stack tag); with weighted backends not the one whose pods it holds.
    pub stack: Option<ObjectName>,
    /// Whose pods it holds: the binding's `serviceRef` first, the resource tag second.
    pub backend: Option<(ObjectName, PortReference)>,
    /// The binding that registers its targets.
    pub binding: Option<Arc<TargetGroupBinding>>,
    /// More than one binding names it, or its binding is a multi-cluster one: foreign targets are legitimate.
    pub shared: bool,
    /// Effective cross-zone setting: the group's own, else the load balancer's; `None` while either needed one is unknown.
    pub cross_zone: Option<bool>,
}

/// How long a part may age before the picture forgets its value.
#[derive(Debug, Clone, Copy)]
pub struct Expiry {
    /// The least time; each part has at least three of its refresh intervals.
    pub max_staleness: Duration,
}

impl Snapshot {
    /// Joins what is known at `now`.
    pub fn join(mut parts: Parts, now: Timestamp, expiry: Expiry) -> Self {
        super::expiry::forget_stale(&mut parts, now, expiry);
        let Membership { load_balancers, target_groups } = Membership::of(&parts);
        let mut service_load_balancers: BTreeMap<ObjectName, BTreeSet<LoadBalancerId>> = BTreeMap::new();
        for (id, load_balancer) in &load_balancers {
            if let Owner::Service(service) = &load_balancer.owner {
                service_load_balancers.entry(service.clone()).or_default().insert(id.clone());
            }
        }
        let mut endpoint_slices: BTreeMap<ObjectName, Vec<Arc<EndpointSlice>>> = BTreeMap::new();
        for slice in parts.endpoint_slices.get().into_iter().flat_map(BTreeMap::values) {
            endpoint_slices.entry(slice.service.clone()).or_default().push(Arc::clone(slice));
        }
        let nodes = parts.nodes.get().into_iter().flat_map(BTreeMap::values);
        let nodes_by_instance = nodes.filter_map(|node| Some((node.instance_id.clone()?, node.name.clone()))).collect();
        let subnets = parts.subnets.get().into_iter().flat_map(BTreeMap::values);
        let subnets_by_start = subnets
            .flat_map(|subnet| {
                subnet.cidr.iter().chain(&subnet.ipv6_cidrs).map(|cidr| (cidr.network(), (*cidr, subnet.id.clone())))
            })
            .collect();
        Self {
            taken_at: now,
            parts,
            load_balancers,
            target_groups,
            service_load_balancers,
            endpoint_slices,
            nodes_by_instance,
            subnets_by_start,
        }
    }

    /// The subnet of the cluster's VPC that holds an address. Subnets of a VPC never overlap, so it is the last one that
    /// starts at or before the address.
    pub fn subnet_of(&self, address: IpAddr) -> Option<&SubnetId> {
        let (_, (cidr, id)) = self.subnets_by_start.range(..=address).next_back()?;
        cidr.contains(&address).then_some(id)
    }

    /// The zone of a target: its own word, else its node's, else its subnet's.
    pub fn zone_of_target(&self, target: &Target) -> Option<ZoneName> {
        // `all` stands for an address outside the VPC.
        if let Some(zone) = target.zone.as_ref().filter(|zone| zone.as_str() != "all") {
            return Some(zone.clone());
        }
        if let Some(node) = self.nodes_by_instance.get(&*target.id) {
            return self.parts.nodes.get()?.get(node)?.zone.clone();
        }
        let subnet = self.subnet_of(target.id.parse().ok()?)?;
        Some(self.parts.subnets.get()?.get(subnet)?.zone.clone())
    }
}

#[cfg(test)]
mod tests;
