//! A small healthy world for unit tests, and ways to spoil it one fact at a time.
//!
//! One Service `shop/web` (port 80 → `http` 8080, node port 30080) with three ready pods on three nodes in three zones, its
//! internal load balancer `net/web/1` and one target group that is registered as it should be. Every part is complete and
//! was fetched at `NOW`; everything was made at `LONG_AGO`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::model::{Finding, Report};
use super::{Check, Context};
use crate::config::policy::Policy;
use crate::inventory::aws::{
    Forward, HealthCheck, IpAddressType, IpFamily, Listener, LoadBalancer, LoadBalancerState, LoadBalancerZone, Locale,
    RouteTable, Scheme, Subnet, Target, TargetGroup, TargetHealth, TargetReason, TargetState, TargetType, Vpc,
};
use crate::inventory::ids::{Arn, InstanceId, LoadBalancerId, NodeName, ObjectName, SubnetId, TargetGroupId, VpcId, ZoneName};
use crate::inventory::kube::{
    BindingGroup, ConditionStatus, ControllerDeployment, Endpoint, EndpointPort, EndpointSlice, Node, PortReference, Protocol,
    Service, ServicePort, ServiceType, StringMap, TargetGroupBinding, TrafficPolicy, Version,
};
use crate::inventory::part::Part;
use crate::inventory::parts::{List, Parts};
use crate::inventory::snapshot::{Expiry, Snapshot};

/// 2026-11-24T12:00:00Z.
pub(crate) const NOW: i64 = 1_795_521_600;
/// A day before.
pub(crate) const LONG_AGO: i64 = NOW - 86_400;

pub(crate) const LOAD_BALANCER_ARN: &str = "arn:aws:elasticloadbalancing:us-east-1:111122223333:loadbalancer/net/web/1";
pub(crate) const TARGET_GROUP_ARN: &str = "arn:aws:elasticloadbalancing:us-east-1:111122223333:targetgroup/web/1";
pub(crate) const TARGET_GROUP: &str = "targetgroup/web/1";

/// Zone, subnet, node, instance and pod of each of the three.
const PLACES: [(&str, &str, &str, &str, &str); 3] = [
    ("us-east-1a", "subnet-a", "node-a", "i-a", "10.0.0.10"),
    ("us-east-1b", "subnet-b", "node-b", "i-b", "10.0.1.10"),
    ("us-east-1c", "subnet-c", "node-c", "i-c", "10.0.2.10"),
];

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// One fact that differs from the healthy world.
pub(crate) type Change = fn(&mut World);

/// The world, and how it is judged.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) parts: Parts,
    pub(crate) policy: Policy,
    pub(crate) now: Timestamp,
}

impl World {
    /// The Service with `ip` targets.
    pub(crate) fn healthy() -> Self {
        let mut parts = Parts::default();
        parts.scope.cluster_name = Some("demo".into());
        parts.scope.account_id = Some("111122223333".into());
        parts.scope.partition = Some("aws".into());
        parts.scope.region = Some("us-east-1".into());
        parts.scope.vpc_id = Some(VpcId::from("vpc-1"));
        network(&mut parts);
        balancing(&mut parts);
        cluster(&mut parts);
        let targets = PLACES.iter().map(|place| target(place.4, Some(8080))).collect();
        Arc::make_mut(&mut parts.target_health)
            .insert(TARGET_GROUP.into(), fetched(TargetHealth { targets, changed_at: at(LONG_AGO) }));
        Self { parts, policy: Policy::default(), now: at(NOW) }
    }

    /// The Service with `instance` targets and policy Cluster.
    pub(crate) fn instances() -> Self {
        let mut world = Self::healthy();
        world.target_group(|group| group.target_type = TargetType::Instance);
        world.binding(|binding| binding.target_type = Some(TargetType::Instance));
        world.health(|health| health.targets = PLACES.iter().map(|place| target(place.3, Some(30080))).collect());
        world
    }

    pub(crate) fn service<R>(&mut self, change: impl FnOnce(&mut Service) -> R) {
        edit(&mut self.parts.services, &ObjectName::new("shop", "web"), change);
    }

    pub(crate) fn slice<R>(&mut self, change: impl FnOnce(&mut EndpointSlice) -> R) {
        edit(&mut self.parts.endpoint_slices, &ObjectName::new("shop", "web-1"), change);
    }

    /// The endpoint of the pod with this address.
    pub(crate) fn endpoint<R>(&mut self, address: &str, change: impl FnOnce(&mut Endpoint) -> R) {
        let address = address.parse::<std::net::IpAddr>().unwrap();
        self.slice(|slice| change(slice.endpoints.iter_mut().find(|endpoint| endpoint.address == address).unwrap()))
    }

    pub(crate) fn node<R>(&mut self, name: &str, change: impl FnOnce(&mut Node) -> R) {
        edit(&mut self.parts.nodes, &NodeName::from(name), change);
    }

    pub(crate) fn label_node(&mut self, name: &str, key: &str, value: &str) {
        self.node(name, |node| node.labels.insert(key.into(), value.into()));
    }

    pub(crate) fn taint_node(&mut self, name: &str, key: &str) {
        self.node(name, |node| node.taints.insert(key.into()));
    }

    /// A flag of the controller, without its dashes.
    pub(crate) fn flag(&mut self, name: &str, value: &str) {
        self.controller(|controller| controller.flags.insert(name.into(), value.into()));
    }

    pub(crate) fn binding<R>(&mut self, change: impl FnOnce(&mut TargetGroupBinding) -> R) {
        edit(&mut self.parts.target_group_bindings, &ObjectName::new("shop", "web-80"), change);
    }

    pub(crate) fn controller<R>(&mut self, change: impl FnOnce(&mut ControllerDeployment) -> R) {
        edit(&mut self.parts.controllers, &ObjectName::new("kube-system", "aws-load-balancer-controller"), change);
    }

    pub(crate) fn load_balancer<R>(&mut self, change: impl FnOnce(&mut LoadBalancer) -> R) {
        edit(&mut self.parts.load_balancers, &LoadBalancerId::from("net/web/1"), change);
    }

    pub(crate) fn target_group<R>(&mut self, change: impl FnOnce(&mut TargetGroup) -> R) {
        edit(&mut self.parts.target_groups, &TargetGroupId::from(TARGET_GROUP), change);
    }

    pub(crate) fn listeners<R>(&mut self, change: impl FnOnce(&mut Vec<Listener>) -> R) {
        let part = Arc::make_mut(&mut self.parts.listeners).get_mut(&LoadBalancerId::from("net/web/1")).unwrap();
        change(Arc::make_mut(part.value.as_mut().unwrap()));
    }

    pub(crate) fn health<R>(&mut self, change: impl FnOnce(&mut TargetHealth) -> R) {
        let part = Arc::make_mut(&mut self.parts.target_health).get_mut(&TargetGroupId::from(TARGET_GROUP)).unwrap();
        change(Arc::make_mut(part.value.as_mut().unwrap()));
    }

    /// When the health was sampled.
    pub(crate) fn sampled_at(&mut self, second: i64) {
        let part = Arc::make_mut(&mut self.parts.target_health).get_mut(&TargetGroupId::from(TARGET_GROUP)).unwrap();
        part.fetched_at = Some(at(second));
    }

    /// The state and the usual reason of the target with this id.
    pub(crate) fn state(&mut self, id: &str, state: TargetState) {
        self.health(|health| {
            let target = health.targets.iter_mut().find(|target| &*target.id == id).unwrap();
            target.state = state;
            target.reason = usual_reason(state);
        })
    }

    /// Everything but the target health and the clock stays; all targets get this state.
    pub(crate) fn all_states(&mut self, state: TargetState) {
        self.health(|health| {
            for target in &mut health.targets {
                target.state = state;
                target.reason = usual_reason(state);
            }
        })
    }

    /// An attribute of the target group.
    pub(crate) fn target_group_attribute(&mut self, key: &str, value: &str) {
        let part = Arc::make_mut(&mut self.parts.target_group_attributes).get_mut(&TargetGroupId::from(TARGET_GROUP)).unwrap();
        Arc::make_mut(part.value.as_mut().unwrap()).insert(key.into(), value.into());
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot::join(self.parts.clone(), self.now, Expiry { max_staleness: Duration::from_secs(1800) })
    }

    /// Runs one check.
    pub(crate) fn judge(&self, check: &Check) -> Verdict {
        let snapshot = self.snapshot();
        let mut report = Report::default();
        (check.run)(&Context { snapshot: &snapshot, policy: &self.policy, now: self.now }, &mut report);
        Verdict { report }
    }
}

/// What a check said.
#[derive(Debug)]
pub(crate) struct Verdict {
    report: Report,
}

impl Verdict {
    /// The value of the one series of a family with these label values in the description's order; `None` without it.
    ///
    /// # Panics
    /// When there are several: a duplicate series.
    pub(crate) fn value(&self, family: &str, labels: &[&str]) -> Option<f64> {
        let series = self.report.families().iter().filter(|of| of.description.name == family).flat_map(|of| &of.samples);
        let found: Vec<_> =
            series.filter(|sample| sample.labels.iter().map(|label| label.as_str()).eq(labels.iter().copied())).collect();
        assert!(found.len() <= 1, "{family}{labels:?} stands there {} times", found.len());
        found.first().map(|sample| sample.value)
    }

    /// The label values of all series of a family, sorted.
    pub(crate) fn series(&self, family: &str) -> Vec<Vec<String>> {
        let series = self.report.families().iter().filter(|of| of.description.name == family).flat_map(|of| &of.samples);
        let mut series: Vec<Vec<String>> =
            series.map(|sample| sample.labels.iter().map(|label| label.as_str().to_owned()).collect()).collect();
        series.sort();
        series
    }

    /// Expected, expected healthy, missing and unexpected targets of the group.
    pub(crate) fn registration(&self) -> [Option<f64>; 4] {
        ["expected", "expected_healthy", "missing", "unexpected"]
            .map(|what| self.value(&format!("target_group_{what}_targets"), &[TARGET_GROUP]))
    }

    /// Ready, not ready and terminating endpoints of the group.
    pub(crate) fn endpoints(&self) -> [Option<f64>; 3] {
        ["ready", "not_ready", "terminating"].map(|what| self.value("target_group_endpoints", &[TARGET_GROUP, what]))
    }

    pub(crate) fn findings(&self) -> &[Finding] {
        self.report.findings()
    }

    /// The codes of the findings, in order.
    pub(crate) fn codes(&self) -> Vec<&'static str> {
        self.findings().iter().map(|finding| finding.kind.code).collect()
    }

    /// The message of the one finding with this code.
    pub(crate) fn message(&self, code: &str) -> &str {
        let found: Vec<_> = self.findings().iter().filter(|finding| finding.kind.code == code).collect();
        assert_eq!(found.len(), 1, "{code}: {:?}", self.findings());
        &found[0].message
    }
}

/// A healthy target.
pub(crate) fn target(id: &str, port: Option<u16>) -> Target {
    Target { id: id.into(), port, zone: None, state: TargetState::Healthy, reason: None, zonal_shift: false }
}

/// A ready pod.
pub(crate) fn endpoint(address: &str, node: &str) -> Endpoint {
    Endpoint {
        address: address.parse().unwrap(),
        ready: true,
        serving: true,
        terminating: false,
        node: Some(NodeName::from(node)),
        zone: None,
        pod: Some(format!("web-{address}").into()),
    }
}

fn usual_reason(state: TargetState) -> Option<TargetReason> {
    Some(match state {
        TargetState::Healthy => return None,
        TargetState::Initial => TargetReason::InitialHealthChecking,
        TargetState::Unhealthy | TargetState::UnhealthyDraining => TargetReason::FailedHealthChecks,
        TargetState::Draining => TargetReason::DeregistrationInProgress,
        TargetState::Unused => TargetReason::NotInUse,
        TargetState::Unavailable => TargetReason::ElbInternalError,
        TargetState::Other => TargetReason::Other,
    })
}

fn fetched<T>(value: T) -> Part<T> {
    Part::fetched(value, at(NOW))
}

fn list<K: Ord, V>(values: impl IntoIterator<Item = (K, V)>) -> List<K, V> {
    fetched(values.into_iter().map(|(key, value)| (key, Arc::new(value))).collect())
}

fn edit<K: Ord + Clone, V: Clone, R>(list: &mut List<K, V>, key: &K, change: impl FnOnce(&mut V) -> R) {
    change(Arc::make_mut(Arc::make_mut(list.value.as_mut().unwrap()).get_mut(key).unwrap()));
}

fn strings(pairs: &[(&str, &str)]) -> StringMap {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

fn network(parts: &mut Parts) {
    parts.vpcs = list([(
        VpcId::from("vpc-1"),
        Vpc { id: VpcId::from("vpc-1"), cidrs: vec!["10.0.0.0/16".parse().unwrap()], ipv6_cidrs: Vec::new() },
    )]);
    parts.availability_zones =
        fetched(PLACES.iter().map(|place| (ZoneName::from(place.0), Locale::AvailabilityZone)).collect::<BTreeMap<_, _>>());
    parts.subnets = list(PLACES.iter().enumerate().map(|(number, place)| {
        let subnet = Subnet {
            id: SubnetId::from(place.1),
            vpc_id: VpcId::from("vpc-1"),
            zone: ZoneName::from(place.0),
            zone_id: format!("use1-az{}", number + 1).into(),
            cidr: Some(format!("10.0.{number}.0/24").parse().unwrap()),
            ipv6_cidrs: Vec::new(),
            available_ip_addresses: Some(200),
            on_outpost: false,
            owner_id: "111122223333".into(),
            tags: strings(&[("kubernetes.io/role/internal-elb", "1"), ("kubernetes.io/cluster/demo", "shared")]),
        };
        (subnet.id.clone(), subnet)
    }));
    let main = RouteTable {
        id: "rtb-1".into(),
        main: true,
        subnets: BTreeSet::new(),
        internet_gateway: false,
        firewall_endpoint: false,
        routes: 2,
    };
    parts.route_tables = list([(Arc::clone(&main.id), main)]);
}

fn balancing(parts: &mut Parts) {
    let (lb_arn, tg_arn) = (Arn::from(LOAD_BALANCER_ARN), Arn::from(TARGET_GROUP_ARN));
    let (lb_id, tg_id) = (lb_arn.load_balancer().unwrap(), tg_arn.target_group().unwrap());
    let zones = PLACES.iter().map(|place| LoadBalancerZone {
        zone: ZoneName::from(place.0),
        subnet_id: SubnetId::from(place.1),
        addresses: Vec::new(),
        source_nat_ipv6_prefixes: Vec::new(),
    });
    let load_balancer = LoadBalancer {
        id: lb_id.clone(),
        arn: lb_arn.clone(),
        name: "web".into(),
        dns_name: "web-1.elb.us-east-1.amazonaws.com".into(),
        scheme: Scheme::Internal,
        vpc_id: VpcId::from("vpc-1"),
        state: LoadBalancerState::Active,
        state_reason: None,
        created_at: Some(at(LONG_AGO)),
        ip_address_type: IpAddressType::Ipv4,
        zones: zones.collect(),
        security_groups: BTreeSet::new(),
        enforce_inbound_rules_on_private_link: None,
        enable_prefix_for_ipv6_source_nat: None,
    };
    let group = TargetGroup {
        id: tg_id.clone(),
        arn: tg_arn.clone(),
        name: "web".into(),
        protocol: "TCP".into(),
        target_type: TargetType::Ip,
        vpc_id: Some(VpcId::from("vpc-1")),
        load_balancers: BTreeSet::from([lb_id.clone()]),
        ip_family: IpFamily::Ipv4,
        health_check: HealthCheck {
            enabled: true,
            protocol: "TCP".into(),
            port: "traffic-port".into(),
            path: None,
            success_codes: None,
            interval_seconds: 10,
            timeout_seconds: 10,
            healthy_threshold: 3,
            unhealthy_threshold: 3,
        },
    };
    let listener = Listener {
        arn: Arn::from("arn:aws:elasticloadbalancing:us-east-1:111122223333:listener/net/web/1/1"),
        port: 80,
        protocol: "TCP".into(),
        forwards: vec![Forward { target_group: tg_id.clone(), weight: 1 }],
        ssl_policy: None,
        certificate_arn: None,
        alpn_policy: None,
    };
    let stack = [("elbv2.k8s.aws/cluster", "demo"), ("service.k8s.aws/stack", "shop/web")];
    let tagged = |resource: &'static str| fetched(strings(&[stack[0], stack[1], ("service.k8s.aws/resource", resource)]));
    parts.tags = Arc::new(BTreeMap::from([(lb_arn, tagged("LoadBalancer")), (tg_arn, tagged("shop/web:80"))]));
    parts.listeners = Arc::new(BTreeMap::from([(lb_id.clone(), fetched(vec![listener]))]));
    let cross_zone = |value: &str| fetched(strings(&[("load_balancing.cross_zone.enabled", value)]));
    parts.load_balancer_attributes = Arc::new(BTreeMap::from([(lb_id.clone(), cross_zone("false"))]));
    let mut attributes = cross_zone("use_load_balancer_configuration");
    Arc::make_mut(attributes.value.as_mut().unwrap()).insert("proxy_protocol_v2.enabled".into(), "false".into());
    parts.target_group_attributes = Arc::new(BTreeMap::from([(tg_id.clone(), attributes)]));
    parts.load_balancers = list([(lb_id, load_balancer)]);
    parts.target_groups = list([(tg_id, group)]);
}

fn cluster(parts: &mut Parts) {
    let web = ObjectName::new("shop", "web");
    let service = Service {
        name: web.clone(),
        uid: "00000000-0000-0000-0000-000000000001".into(),
        created_at: at(LONG_AGO),
        deleted_at: None,
        finalizers: vec!["service.k8s.aws/resources".into()],
        annotations: strings(&[
            ("service.beta.kubernetes.io/aws-load-balancer-type", "external"),
            ("service.beta.kubernetes.io/aws-load-balancer-nlb-target-type", "ip"),
        ]),
        annotations_written_at: None,
        changed_at: None,
        labels: StringMap::new(),
        service_type: ServiceType::LoadBalancer,
        load_balancer_class: None,
        ports: vec![ServicePort {
            name: "http".into(),
            protocol: Protocol::Tcp,
            port: 80,
            target_port: PortReference::Name("http".into()),
            node_port: Some(30080),
        }],
        external_traffic_policy: TrafficPolicy::Cluster,
        health_check_node_port: None,
        ipv6: false,
        source_ranges: Vec::new(),
        hostnames: vec!["web-1.elb.us-east-1.amazonaws.com".into()],
    };
    let slice = EndpointSlice {
        name: ObjectName::new("shop", "web-1"),
        service: web.clone(),
        ports: vec![EndpointPort { name: "http".into(), port: Some(8080), protocol: Protocol::Tcp }],
        endpoints: PLACES.iter().map(|place| endpoint(place.4, place.2)).collect(),
        changed_at: None,
    };
    let binding = TargetGroupBinding {
        name: ObjectName::new("shop", "web-80"),
        group: BindingGroup::LoadBalancerController,
        created_at: at(LONG_AGO),
        deleted_at: None,
        target_group_arn: Some(Arn::from(TARGET_GROUP_ARN)),
        target_type: Some(TargetType::Ip),
        service: web.clone(),
        service_port: PortReference::Number(80),
        networking: true,
        node_selector: None,
        multi_cluster: false,
        other_account: false,
        vpc_id: Some(VpcId::from("vpc-1")),
        stack: Some(web.clone()),
    };
    let controller = ControllerDeployment {
        name: ObjectName::new("kube-system", "aws-load-balancer-controller"),
        version: Some(Version::new(2, 8, 2)),
        image: "public.ecr.aws/eks/aws-load-balancer-controller:v2.8.2".into(),
        flags: strings(&[("cluster-name", "demo")]),
        replicas: 2,
        available_replicas: Some(2),
    };
    parts.nodes = list(PLACES.iter().map(|place| {
        let node = Node {
            name: NodeName::from(place.2),
            instance_id: Some(InstanceId::from(place.3)),
            zone: Some(ZoneName::from(place.0)),
            internal_ips: Vec::new(),
            ready: ConditionStatus::True,
            ready_changed_at: Some(at(LONG_AGO)),
            labels: StringMap::new(),
            taints: BTreeSet::new(),
            changed_at: None,
        };
        (node.name.clone(), node)
    }));
    parts.services = list([(web, service)]);
    parts.endpoint_slices = list([(slice.name.clone(), slice)]);
    parts.target_group_bindings = list([(binding.name.clone(), binding)]);
    parts.controllers = list([(controller.name.clone(), controller)]);
    parts.reconciles = fetched(BTreeMap::new());
    parts.leader_lease = fetched(None);
    parts.vpc_cni = fetched(true);
}
