//! Is what is healthy left alone, and what is broken told? One simulated world, read through the real clients, is changed
//! piece by piece into situations that clusters are in every day and into faults, and judged anew.

mod everyday;
mod faults;
mod unknown;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use eks_nlb_exporter::checks::catalogue;
use eks_nlb_exporter::checks::model::Outcome;
use eks_nlb_exporter::inventory::aws::{
    IpAddressType, IpFamily, LoadBalancerState, Peer, QuotaOrigin, Rule, Scheme, SecurityGroup, Subnet, Target, TargetHealth,
    TargetReason, TargetState,
};
use eks_nlb_exporter::inventory::ids::{
    LoadBalancerId, NodeName, ObjectName, SecurityGroupId, SubnetId, TargetGroupId, ZoneName,
};
use eks_nlb_exporter::inventory::kube::{
    ConditionStatus, Endpoint, EndpointSlice, EventObject, Node, ReconcileFailure, ReconcileState, Service, ServiceType,
    TrafficPolicy, Version,
};
use eks_nlb_exporter::inventory::part::{Failure, FailureCategory, Part};
use eks_nlb_exporter::inventory::parts::{EventKey, List, Parts, source};
use eks_nlb_exporter::inventory::snapshot::{Expiry, Snapshot};
use eks_nlb_exporter::simulator::{self, SimulatorSettings, WorldKind};
use jiff::{SignedDuration, Timestamp};

use crate::gather::{gather_simulated, judge_at, series, told};

const ANNOTATION: &str = "service.beta.kubernetes.io/aws-load-balancer-";

/// A world that can be changed, and the moment it is judged at.
#[derive(Clone)]
pub(crate) struct Situation {
    pub(crate) parts: Parts,
    pub(crate) now: Timestamp,
}

pub(crate) fn edit<K: Ord + Clone, V: Clone>(list: &mut List<K, V>, key: &K, change: impl FnOnce(&mut V)) {
    let all = Arc::make_mut(list.value.as_mut().expect("the list was read"));
    change(Arc::make_mut(all.get_mut(key).expect("the world has it")));
}

pub(crate) fn all<K: Ord + Clone, V: Clone>(list: &mut List<K, V>) -> &mut BTreeMap<K, Arc<V>> {
    Arc::make_mut(list.value.as_mut().expect("the list was read"))
}

impl Situation {
    pub(crate) async fn healthy() -> Self {
        Self::of(WorldKind::Mixed).await
    }

    pub(crate) async fn of(kind: WorldKind) -> Self {
        let simulator = simulator::start(SimulatorSettings { world: kind, ..SimulatorSettings::default() }).await.unwrap();
        let parts = gather_simulated(&simulator).await;
        Self { parts, now: eks_nlb_exporter::clock::now() }
    }

    pub(crate) fn ago(&self, seconds: i64) -> Timestamp {
        self.now - SignedDuration::from_secs(seconds)
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot::join(self.parts.clone(), self.now, Expiry { max_staleness: std::time::Duration::from_secs(1800) })
    }

    pub(crate) fn judge(&self) -> Outcome {
        judge_at(self.parts.clone(), self.now).1
    }

    /// The one load balancer of a Service.
    pub(crate) fn lb(&self, service: &str) -> LoadBalancerId {
        self.snapshot().service_load_balancers[&name(service)].first().unwrap().clone()
    }

    /// The target groups that hold a Service's pods.
    pub(crate) fn groups(&self, service: &str) -> Vec<TargetGroupId> {
        let name = name(service);
        let snapshot = self.snapshot();
        let of = snapshot.target_groups.iter().filter(|(_, group)| group.backend.as_ref().is_some_and(|(of, _)| *of == name));
        of.map(|(id, _)| id.clone()).collect()
    }

    pub(crate) fn health(&mut self, group: &TargetGroupId, change: impl FnOnce(&mut Vec<Target>)) {
        let part = Arc::make_mut(&mut self.parts.target_health).get_mut(group).unwrap();
        let health: &mut TargetHealth = Arc::make_mut(part.value.as_mut().unwrap());
        change(&mut health.targets);
    }

    /// Every target of a Service, in all its groups.
    pub(crate) fn targets(&mut self, service: &str, change: impl Fn(&mut Target)) {
        for group in self.groups(service) {
            self.health(&group, |targets| targets.iter_mut().for_each(&change));
        }
    }

    pub(crate) fn sampled(&mut self, service: &str, at: Timestamp) {
        for group in self.groups(service) {
            Arc::make_mut(&mut self.parts.target_health).get_mut(&group).unwrap().fetched_at = Some(at);
        }
    }

    pub(crate) fn service(&mut self, service: &str, change: impl FnOnce(&mut Service)) {
        edit(&mut self.parts.services, &name(service), change);
    }

    pub(crate) fn annotate(&mut self, service: &str, key: &str, value: &str) {
        self.service(service, |it| drop(it.annotations.insert(format!("{ANNOTATION}{key}").into(), value.into())));
    }

    pub(crate) fn slices(&mut self, service: &str, change: impl Fn(&mut EndpointSlice)) {
        let name = name(service);
        for slice in all(&mut self.parts.endpoint_slices).values_mut().filter(|slice| slice.service == name) {
            change(Arc::make_mut(slice));
        }
    }

    pub(crate) fn endpoints(&self, service: &str) -> Vec<Endpoint> {
        self.snapshot().endpoint_slices[&name(service)].iter().flat_map(|slice| slice.endpoints.clone()).collect()
    }

    pub(crate) fn nodes(&self) -> Vec<NodeName> {
        self.parts.nodes.get().unwrap().keys().cloned().collect()
    }

    pub(crate) fn node(&mut self, node: &NodeName, change: impl FnOnce(&mut Node)) {
        edit(&mut self.parts.nodes, node, change);
    }

    pub(crate) fn subnets(&mut self, change: impl Fn(&mut Subnet)) {
        all(&mut self.parts.subnets).values_mut().for_each(|subnet| change(Arc::make_mut(subnet)));
    }

    /// Subnets with the role tag of a scheme.
    pub(crate) fn subnets_for(&self, scheme: Scheme) -> Vec<SubnetId> {
        let tag = if scheme == Scheme::Internal { "kubernetes.io/role/internal-elb" } else { "kubernetes.io/role/elb" };
        let all = self.parts.subnets.get().unwrap().values().filter(|subnet| subnet.tags.contains_key(tag));
        all.map(|subnet| subnet.id.clone()).collect()
    }

    /// The nodes' security group.
    pub(crate) fn node_group(&self) -> SecurityGroupId {
        let groups = self.parts.security_groups.get().unwrap().values();
        let mut named = groups.filter(|group| &*group.name == "demo-node").map(|group| group.id.clone());
        named.next().unwrap()
    }

    /// The managed security group of a Service's load balancer.
    pub(crate) fn frontend_group(&self, service: &str) -> SecurityGroupId {
        let groups = self.parts.security_groups.get().unwrap().values();
        let mut owned = groups.filter(|group| {
            let tag = |key: &str, value: &str| group.tags.get(key).is_some_and(|tag| **tag == *value);
            tag("service.k8s.aws/stack", service) && tag("service.k8s.aws/resource", "ManagedLBSecurityGroup")
        });
        owned.next().expect("the Service has a managed group").id.clone()
    }

    /// Gives the nodes' group so many inbound rules in IPv4.
    pub(crate) fn node_rules(&mut self, count: usize) {
        let id = self.node_group();
        edit(&mut self.parts.security_groups, &id, |group: &mut SecurityGroup| {
            for number in 0..count.saturating_sub(group.inbound.len()) {
                let port = i32::try_from(number).unwrap();
                group.inbound.push(Rule {
                    protocol: "tcp".into(),
                    ports: Some((port, port)),
                    peer: Peer::Cidr("198.51.100.0/24".parse().unwrap()),
                    description: None,
                });
            }
        });
    }

    pub(crate) fn limit(&mut self, quota: &str, value: f64, origin: Option<QuotaOrigin>) {
        let quotas = Arc::make_mut(self.parts.quotas.value.as_mut().unwrap());
        let known = quotas.get_mut(quota).unwrap();
        known.value = value;
        known.origin = origin.unwrap_or(known.origin);
    }

    pub(crate) fn event(&mut self, kind: EventObject, object: &ObjectName, reason: &str, message: &str) {
        let failure = ReconcileFailure { reason: reason.into(), message: message.into(), at: self.now };
        let state = ReconcileState { failure: Some(failure), succeeded_at: None };
        Arc::make_mut(self.parts.reconciles.value.as_mut().unwrap()).insert(EventKey { kind, name: object.clone() }, state);
    }

    fn source(&mut self, name: &str, change: impl FnOnce(&mut eks_nlb_exporter::inventory::parts::SourceStatus)) {
        change(Arc::make_mut(&mut self.parts.sources).get_mut(name).unwrap());
    }

    /// A node whose pods and instance are on their way out: in every group its targets are in this state.
    fn leave(&mut self, node: &NodeName, state: TargetState, terminating: bool) {
        let now = self.now;
        let instance = self.parts.nodes.get().unwrap()[node].instance_id.clone().unwrap();
        let mut gone: BTreeSet<String> = BTreeSet::from([instance.to_string()]);
        for slice in all(&mut self.parts.endpoint_slices).values_mut() {
            let slice = Arc::make_mut(slice);
            for endpoint in slice.endpoints.iter_mut().filter(|endpoint| endpoint.node.as_ref() == Some(node)) {
                gone.insert(endpoint.address.to_string());
                if terminating {
                    (endpoint.ready, endpoint.terminating) = (false, true);
                    slice.changed_at = Some(now);
                }
            }
        }
        let groups: Vec<_> = self.parts.target_health.keys().cloned().collect();
        for group in groups {
            self.health(&group, |targets| {
                for target in targets.iter_mut().filter(|target| gone.contains(&*target.id)) {
                    set(target, state);
                }
            });
        }
    }
}

pub(crate) fn name(service: &str) -> ObjectName {
    ObjectName::parse(service).unwrap()
}

pub(crate) fn set(target: &mut Target, state: TargetState) {
    target.state = state;
    target.reason = match state {
        TargetState::Unhealthy => Some(TargetReason::FailedHealthChecks),
        TargetState::Initial => Some(TargetReason::RegistrationInProgress),
        TargetState::Draining => Some(TargetReason::DeregistrationInProgress),
        TargetState::Unused => Some(TargetReason::NotInUse),
        _ => None,
    };
}

pub(crate) fn unhealthy(target: &mut Target) {
    set(target, TargetState::Unhealthy);
}

type Case = (&'static str, fn(&mut Situation));

/// What is broken, and the codes that tell it.
type Fault = (&'static str, &'static [&'static str], fn(&mut Situation));

/// Every fault of the one world, for whoever else looks at broken pictures.
pub(crate) fn faults() -> impl Iterator<Item = (&'static str, fn(&mut Situation))> {
    faults::FAULTS.iter().map(|(what, _, change)| (*what, *change))
}

pub(crate) fn failure(category: FailureCategory) -> Arc<Failure> {
    Arc::new(Failure { category, operation: "x:Y".into(), message: "no".into() })
}

#[tokio::test]
async fn what_happens_every_day_is_not_told() {
    let healthy = Situation::healthy().await;
    let mut told_wrongly = String::new();
    for (what, change) in everyday::EVERYDAY {
        let mut situation = healthy.clone();
        change(&mut situation);
        let outcome = situation.judge();
        series(&outcome);
        for finding in told(&outcome) {
            told_wrongly.push_str(&format!("{what}:\n    {finding}\n"));
        }
    }
    assert!(told_wrongly.is_empty(), "{told_wrongly}");
}

#[tokio::test]
async fn what_is_broken_is_told_by_its_codes_and_nothing_else_is() {
    let healthy = Situation::healthy().await;
    let mut wrong = String::new();
    let mut made = BTreeSet::new();
    for (what, expected, change) in faults::FAULTS {
        let mut situation = healthy.clone();
        change(&mut situation);
        let outcome = situation.judge();
        series(&outcome);
        let codes: BTreeSet<&str> = outcome.findings.iter().map(|finding| finding.kind.code).collect();
        made.extend(codes.iter().copied());
        if codes != expected.iter().copied().collect() {
            wrong.push_str(&format!("{what}: expected {expected:?}, told {:#?}\n", told(&outcome)));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    let never: Vec<_> = catalogue::ALL.iter().filter(|kind| !made.contains(kind.code)).map(|kind| kind.code).collect();
    assert!(never.is_empty(), "no fault here makes {never:?}");
}

/// ClusterIP Services that own a load balancer are as good as others.
#[tokio::test]
async fn a_service_of_another_type_can_own_a_load_balancer() {
    let mut situation = Situation::healthy().await;
    situation.service("shop/web", |service| {
        service.service_type = ServiceType::ClusterIp;
        service.hostnames.clear();
    });
    let outcome = situation.judge();
    assert!(outcome.findings.is_empty(), "{:#?}", told(&outcome));
    let shown = series(&outcome);
    assert_eq!(shown.get(r#"service_provisioned{namespace="shop",service="web"}"#), Some(&1.0));
}
