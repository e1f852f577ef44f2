//! A small healthy cluster for the tests of subnets, security groups and quotas: one Service with one load balancer in
//! three zones, its targets three nodes, everything known at `NOW`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::checks::model::Report;
use crate::checks::{Check, Context};
use crate::config::policy::Policy;
use crate::inventory::aws::*;
use crate::inventory::ids::*;
use crate::inventory::kube::*;
use crate::inventory::part::{Failure, FailureCategory, Part};
use crate::inventory::parts::{List, Parts};
use crate::inventory::quota::QUOTAS;
use crate::inventory::snapshot::{Expiry, Snapshot};

pub(crate) const ZONES: [&str; 3] = ["a", "b", "c"];
pub(crate) const NODE: &str = "sg-node";
pub(crate) const FRONT: &str = "sg-front";
pub(crate) const BACK: &str = "sg-back";

pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(1_000_000).unwrap()
}

pub(crate) fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

pub(crate) fn failure() -> Failure {
    Failure { category: FailureCategory::Timeout, operation: "x".into(), message: String::new() }
}

/// The list as it is while one of its pages never arrived.
pub(crate) fn incomplete<K: Ord + Clone, V>(list: &mut List<K, V>) {
    list.fetched_at = None;
    list.fail(failure(), now());
}

/// Changes, adds or removes entries of a list.
pub(crate) fn edit<K: Ord + Clone, V: Clone>(list: &mut List<K, V>, change: impl FnOnce(&mut BTreeMap<K, Arc<V>>)) {
    change(Arc::make_mut(list.value.as_mut().unwrap()));
}

pub(crate) fn subnet(id: &str, zone: &str, free: u64, pairs: &[(&str, &str)]) -> Subnet {
    Subnet {
        id: SubnetId::from(id),
        vpc_id: VpcId::from("vpc-1"),
        zone: ZoneName::from(zone),
        zone_id: format!("use1-{zone}").into(),
        cidr: Some("10.0.0.0/24".parse().unwrap()),
        ipv6_cidrs: Vec::new(),
        available_ip_addresses: Some(free),
        on_outpost: false,
        owner_id: "1".into(),
        tags: tags(pairs),
    }
}

pub(crate) fn group(id: &str, pairs: &[(&str, &str)], inbound: Vec<Rule>) -> SecurityGroup {
    let everywhere = Rule { protocol: "-1".into(), ports: None, peer: cidr("0.0.0.0/0"), description: None };
    SecurityGroup {
        id: SecurityGroupId::from(id),
        name: format!("{id}-name").into(),
        vpc_id: VpcId::from("vpc-1"),
        owner_id: "1".into(),
        tags: tags(pairs),
        inbound,
        outbound: vec![everywhere],
    }
}

pub(crate) fn cidr(text: &str) -> Peer {
    Peer::Cidr(text.parse().unwrap())
}

pub(crate) fn rule(port: i32, peer: Peer) -> Rule {
    Rule { protocol: "tcp".into(), ports: Some((port, port)), peer, description: None }
}

/// Distinct rules in one family.
pub(crate) fn rules(ipv4: u32, ipv6: u32) -> Vec<Rule> {
    let ipv4 = (0..ipv4).map(|n| rule(443, cidr(&format!("10.{}.{}.0/24", n / 256, n % 256))));
    ipv4.chain((0..ipv6).map(|n| rule(443, cidr(&format!("2001:db8:{n:x}::/48"))))).collect()
}

pub(crate) fn interface(id: &str, groups: &[&str]) -> NetworkInterface {
    NetworkInterface {
        id: NetworkInterfaceId::from(id),
        of_network_load_balancer: false,
        vpc_id: VpcId::from("vpc-1"),
        subnet_id: SubnetId::from("s-private-a"),
        zone: ZoneName::from("a"),
        security_groups: groups.iter().map(|id| SecurityGroupId::from(*id)).collect(),
        attachment: None,
        addresses: Vec::new(),
        prefixes: Vec::new(),
    }
}

pub(crate) fn target(id: &str) -> Target {
    Target { id: id.into(), port: Some(30080), zone: None, state: TargetState::Healthy, reason: None, zonal_shift: false }
}

pub(crate) fn service(name: &str, annotations: &[(&str, &str)]) -> Service {
    let annotations = annotations
        .iter()
        .map(|(key, value)| (format!("service.beta.kubernetes.io/aws-load-balancer-{key}").into(), (*value).into()))
        .collect();
    Service {
        name: ObjectName::new("shop", name),
        uid: name.into(),
        created_at: Timestamp::UNIX_EPOCH,
        deleted_at: None,
        finalizers: Vec::new(),
        annotations,
        annotations_written_at: None,
        changed_at: None,
        labels: StringMap::new(),
        service_type: ServiceType::LoadBalancer,
        load_balancer_class: Some("service.k8s.aws/nlb".into()),
        ports: Vec::new(),
        external_traffic_policy: TrafficPolicy::Cluster,
        health_check_node_port: None,
        ipv6: false,
        source_ranges: Vec::new(),
        hostnames: Vec::new(),
    }
}

pub(crate) fn controller(version: &str, flags: &[(&str, &str)]) -> ControllerDeployment {
    ControllerDeployment {
        name: ObjectName::new("kube-system", "aws-load-balancer-controller"),
        version: Version::parse(version),
        image: "x".into(),
        flags: flags.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        replicas: 2,
        available_replicas: Some(2),
    }
}

/// The ids of the load balancer and target group called `name`.
pub(crate) fn load_balancer_id(name: &str) -> LoadBalancerId {
    LoadBalancerId::new(format!("net/{name}/1"))
}

pub(crate) fn target_group_id(name: &str) -> TargetGroupId {
    TargetGroupId::new(format!("targetgroup/{name}/1"))
}

const ARN: &str = "arn:aws:elasticloadbalancing:us-east-1:1:";

#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) parts: Parts,
    pub(crate) policy: Policy,
}

fn list<K: Ord, V>(values: impl IntoIterator<Item = (K, V)>) -> List<K, V> {
    Part::fetched(values.into_iter().map(|(key, value)| (key, Arc::new(value))).collect(), now())
}

impl World {
    pub(crate) fn healthy() -> Self {
        let mut parts = Parts::default();
        parts.scope.cluster_name = Some("demo".into());
        parts.scope.account_id = Some("1".into());
        parts.scope.vpc_id = Some(VpcId::from("vpc-1"));
        let mut subnets = Vec::new();
        for zone in ZONES {
            subnets.push(subnet(&format!("s-public-{zone}"), zone, 200, &[("kubernetes.io/role/elb", "1")]));
            subnets.push(subnet(&format!("s-private-{zone}"), zone, 200, &[("kubernetes.io/role/internal-elb", "1")]));
        }
        parts.subnets = list(subnets.into_iter().map(|it| (it.id.clone(), it)));
        let public = ZONES.map(|zone| SubnetId::new(format!("s-public-{zone}")));
        let table = |id: &str, main, subnets: BTreeSet<_>, internet_gateway| RouteTable {
            id: id.into(),
            main,
            subnets,
            internet_gateway,
            firewall_endpoint: false,
            routes: 3,
        };
        let tables = [table("rtb-main", true, BTreeSet::new(), false), table("rtb-public", false, public.into(), true)];
        parts.route_tables = list(tables.map(|it| (Arc::clone(&it.id), it)));
        let zones = ZONES.map(|zone| (ZoneName::from(zone), Locale::AvailabilityZone));
        parts.availability_zones = Part::fetched(zones.into(), now());
        let vpc = Vpc { id: VpcId::from("vpc-1"), cidrs: vec!["10.0.0.0/16".parse().unwrap()], ipv6_cidrs: Vec::new() };
        parts.vpcs = list([(vpc.id.clone(), vpc)]);
        let shared = Rule {
            description: Some("elbv2.k8s.aws/targetGroupBinding=shared".into()),
            ..rule(30080, Peer::SecurityGroup(SecurityGroupId::from(BACK)))
        };
        let managed = [
            ("elbv2.k8s.aws/cluster", "demo"),
            ("service.k8s.aws/resource", "ManagedLBSecurityGroup"),
            ("service.k8s.aws/stack", "shop/web"),
        ];
        let backend = [("elbv2.k8s.aws/cluster", "demo"), ("elbv2.k8s.aws/resource", "backend-sg")];
        let groups = [
            group(NODE, &[("kubernetes.io/cluster/demo", "owned")], vec![shared]),
            group(FRONT, &managed, vec![rule(80, cidr("0.0.0.0/0"))]),
            group(BACK, &backend, Vec::new()),
            group("sg-unrelated", &[], rules(59, 0)),
        ];
        parts.security_groups = list(groups.map(|it| (it.id.clone(), it)));
        parts.prefix_lists = list([]);
        let addresses =
            ["eipalloc-1", "eipalloc-2"].map(|id| Address { id: id.into(), associated: true, service_managed: false });
        parts.addresses = list(addresses.map(|it| (it.id.clone(), it)));
        let quota = |value| QuotaValue { value, origin: QuotaOrigin::Applied };
        parts.quotas = Part::fetched(QUOTAS.iter().map(|it| (Arc::from(it.name), quota(it.default))).collect(), now());
        let deployment = controller("v3.5.0", &[]);
        parts.controllers = list([(deployment.name.clone(), deployment)]);
        parts.services = list([]);
        parts.load_balancers = list([]);
        parts.target_groups = list([]);
        let mut interfaces = Vec::new();
        let mut nodes = Vec::new();
        for (n, zone) in ZONES.iter().enumerate() {
            let id = InstanceId::new(format!("i-{n}"));
            let mut eni = interface(&format!("eni-{n}"), &[NODE]);
            eni.attachment = Some(Attachment { instance_id: id.clone(), device_index: 0 });
            eni.zone = ZoneName::from(*zone);
            interfaces.push((eni.id.clone(), eni));
            let mut eni = interface(&format!("eni-lb-{n}"), &[FRONT, BACK]);
            eni.of_network_load_balancer = true;
            eni.zone = ZoneName::from(*zone);
            interfaces.push((eni.id.clone(), eni));
            let node = Node {
                name: NodeName::new(format!("node-{n}")),
                instance_id: Some(id),
                zone: Some(ZoneName::from(*zone)),
                internal_ips: Vec::new(),
                ready: ConditionStatus::True,
                ready_changed_at: None,
                labels: StringMap::new(),
                taints: BTreeSet::new(),
                changed_at: None,
            };
            nodes.push((node.name.clone(), node));
        }
        parts.network_interfaces = list(interfaces);
        parts.nodes = list(nodes);
        parts.target_group_bindings = list([]);
        let mut world = Self { parts, policy: Policy::default() };
        world.add_load_balancer("web", &["i-0", "i-1", "i-2"]);
        world
    }

    /// Adds the Service `shop/NAME` with an internal load balancer and one target group.
    pub(crate) fn add_load_balancer(&mut self, name: &str, targets: &[&str]) {
        let arn = Arn::new(format!("{ARN}loadbalancer/net/{name}/1"));
        let zone = |zone: &str| LoadBalancerZone {
            zone: ZoneName::from(zone),
            subnet_id: SubnetId::new(format!("s-private-{zone}")),
            addresses: Vec::new(),
            source_nat_ipv6_prefixes: Vec::new(),
        };
        let load_balancer = LoadBalancer {
            id: load_balancer_id(name),
            arn: arn.clone(),
            name: name.into(),
            dns_name: "x".into(),
            scheme: Scheme::Internal,
            vpc_id: VpcId::from("vpc-1"),
            state: LoadBalancerState::Active,
            state_reason: None,
            created_at: Some(Timestamp::UNIX_EPOCH),
            ip_address_type: IpAddressType::Ipv4,
            zones: ZONES.map(zone).into(),
            security_groups: [FRONT, BACK].map(SecurityGroupId::from).into(),
            enforce_inbound_rules_on_private_link: None,
            enable_prefix_for_ipv6_source_nat: None,
        };
        edit(&mut self.parts.load_balancers, |all| drop(all.insert(load_balancer.id.clone(), Arc::new(load_balancer))));
        let stack = format!("shop/{name}");
        let pairs = [("elbv2.k8s.aws/cluster", "demo"), ("service.k8s.aws/stack", &*stack)];
        self.tag(arn, &pairs);
        let service = service(name, &[]);
        edit(&mut self.parts.services, |all| drop(all.insert(service.name.clone(), Arc::new(service))));
        Arc::make_mut(&mut self.parts.listeners).insert(load_balancer_id(name), Part::fetched(vec![listener(80)], now()));
        let off = tags(&[("load_balancing.cross_zone.enabled", "false")]);
        Arc::make_mut(&mut self.parts.load_balancer_attributes).insert(load_balancer_id(name), Part::fetched(off, now()));
        self.add_target_group(name, name, targets);
    }

    /// Adds a target group to a load balancer.
    pub(crate) fn add_target_group(&mut self, load_balancer: &str, name: &str, targets: &[&str]) {
        let arn = Arn::new(format!("{ARN}targetgroup/{name}/1"));
        let id = target_group_id(name);
        let target_group = TargetGroup {
            id: id.clone(),
            arn: arn.clone(),
            name: name.into(),
            protocol: "TCP".into(),
            target_type: TargetType::Instance,
            vpc_id: Some(VpcId::from("vpc-1")),
            load_balancers: [load_balancer_id(load_balancer)].into(),
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
        edit(&mut self.parts.target_groups, |all| drop(all.insert(id.clone(), Arc::new(target_group))));
        let stack = format!("shop/{load_balancer}");
        self.tag(arn, &[("elbv2.k8s.aws/cluster", "demo"), ("service.k8s.aws/stack", &stack)]);
        Arc::make_mut(&mut self.parts.target_group_attributes).insert(id.clone(), Part::fetched(Attributes::new(), now()));
        self.set_targets(name, targets.iter().map(|id| target(id)).collect());
    }

    pub(crate) fn set_targets(&mut self, group: &str, targets: Vec<Target>) {
        let health = TargetHealth { targets, changed_at: now() };
        Arc::make_mut(&mut self.parts.target_health).insert(target_group_id(group), Part::fetched(health, now()));
    }

    pub(crate) fn tag(&mut self, arn: Arn, pairs: &[(&str, &str)]) {
        Arc::make_mut(&mut self.parts.tags).insert(arn, Part::fetched(tags(pairs), now()));
    }

    pub(crate) fn cross_zone(&mut self, load_balancer: &str) {
        let on = tags(&[("load_balancing.cross_zone.enabled", "true")]);
        Arc::make_mut(&mut self.parts.load_balancer_attributes).insert(load_balancer_id(load_balancer), Part::fetched(on, now()));
    }

    pub(crate) fn edit_subnet(&mut self, id: &str, change: impl FnOnce(&mut Subnet)) {
        edit(&mut self.parts.subnets, |all| change(Arc::make_mut(all.get_mut(id).unwrap())));
    }

    pub(crate) fn edit_group(&mut self, id: &str, change: impl FnOnce(&mut SecurityGroup)) {
        edit(&mut self.parts.security_groups, |all| change(Arc::make_mut(all.get_mut(id).unwrap())));
    }

    pub(crate) fn add_group(&mut self, group: SecurityGroup) {
        edit(&mut self.parts.security_groups, |all| drop(all.insert(group.id.clone(), Arc::new(group))));
    }

    pub(crate) fn edit_load_balancer(&mut self, name: &str, change: impl FnOnce(&mut LoadBalancer)) {
        edit(&mut self.parts.load_balancers, |all| change(Arc::make_mut(all.get_mut(&load_balancer_id(name)).unwrap())));
    }

    pub(crate) fn edit_service(&mut self, name: &str, change: impl FnOnce(&mut Service)) {
        edit(&mut self.parts.services, |all| change(Arc::make_mut(all.get_mut(&ObjectName::new("shop", name)).unwrap())));
    }

    pub(crate) fn add_service(&mut self, service: Service) {
        edit(&mut self.parts.services, |all| drop(all.insert(service.name.clone(), Arc::new(service))));
    }

    pub(crate) fn set_controller(&mut self, version: &str, flags: &[(&str, &str)]) {
        let deployment = controller(version, flags);
        self.parts.controllers = list([(deployment.name.clone(), deployment)]);
    }

    pub(crate) fn set_quota(&mut self, name: &str, value: f64, origin: QuotaOrigin) {
        Arc::make_mut(self.parts.quotas.value.as_mut().unwrap()).insert(name.into(), QuotaValue { value, origin });
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot::join(self.parts.clone(), now(), Expiry { max_staleness: Duration::from_secs(1800) })
    }

    pub(crate) fn run(&self, check: &Check) -> Said {
        let snapshot = self.snapshot();
        let mut report = Report::default();
        (check.run)(&Context { snapshot: &snapshot, policy: &self.policy, now: now() }, &mut report);
        Said(report)
    }
}

pub(crate) fn listener(port: u16) -> Listener {
    Listener {
        arn: Arn::new(format!("listener/{port}")),
        port,
        protocol: "TCP".into(),
        forwards: Vec::new(),
        ssl_policy: None,
        certificate_arn: None,
        alpn_policy: None,
    }
}

/// What a check said.
#[derive(Debug)]
pub(crate) struct Said(Report);

impl Said {
    /// Codes with their subjects, in the order found.
    pub(crate) fn findings(&self) -> Vec<(&'static str, String)> {
        self.0.findings().iter().map(|finding| (finding.kind.code, finding.subject.to_string())).collect()
    }

    pub(crate) fn codes(&self) -> Vec<&'static str> {
        self.0.findings().iter().map(|finding| finding.kind.code).collect()
    }

    pub(crate) fn messages(&self) -> Vec<&str> {
        self.0.findings().iter().map(|finding| &*finding.message).collect()
    }

    /// The value of a series; `None` where it is absent.
    pub(crate) fn value(&self, family: &str, labels: &[&str]) -> Option<f64> {
        let family = self.0.families().iter().find(|it| it.description.name == family)?;
        let matches =
            |sample: &&crate::checks::model::Sample| sample.labels.iter().map(|label| label.as_str()).eq(labels.iter().copied());
        family.samples.iter().find(matches).map(|sample| sample.value)
    }

    /// All label sets of a family.
    pub(crate) fn series(&self, family: &str) -> Vec<Vec<&str>> {
        let family = self.0.families().iter().find(|it| it.description.name == family);
        let samples = family.into_iter().flat_map(|it| &it.samples);
        samples.map(|sample| sample.labels.iter().map(|label| label.as_str()).collect()).collect()
    }
}
