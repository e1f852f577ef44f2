//! How does a test of ownership, drift and the info families make a world? Small builders with healthy defaults.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::model::{FindingKind, Report};
use super::{Check, Context};
use crate::config::policy::Policy;
use crate::controller::annotations::{PREFIX, name};
use crate::inventory::aws::{
    Attributes, Forward, HealthCheck, IpAddressType, IpFamily, Listener, LoadBalancer, LoadBalancerState, LoadBalancerZone, Peer,
    Rule, Scheme, SecurityGroup, Subnet, Tags, TargetGroup, TargetType,
};
use crate::inventory::ids::{Arn, LoadBalancerId, ObjectName, SubnetId, TargetGroupId, VpcId};
use crate::inventory::kube::{
    ControllerDeployment, EventObject, PortReference, Protocol, ReconcileFailure, Service, ServicePort, ServiceType,
    TrafficPolicy, Version,
};
use crate::inventory::part::Part;
use crate::inventory::parts::{EventKey, Parts};
use crate::inventory::snapshot::{Expiry, Snapshot};

/// When the Services of a test were made, in seconds.
pub(crate) const BORN: i64 = 1_000_000;
/// When everything in AWS was last fetched: long after.
pub(crate) const FETCHED: i64 = BORN + 7_200;
/// When it is judged.
pub(crate) const NOW: i64 = FETCHED + 10;

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(crate) fn map(pairs: &[(&str, &str)]) -> BTreeMap<Arc<str>, Arc<str>> {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

pub(crate) struct ServiceBuilder(Service);

/// A Service of type LoadBalancer without annotations and with one port, 80.
pub(crate) fn service(full_name: &str) -> ServiceBuilder {
    ServiceBuilder(Service {
        name: ObjectName::parse(full_name).unwrap(),
        uid: full_name.into(),
        created_at: at(BORN),
        deleted_at: None,
        finalizers: vec![],
        annotations: BTreeMap::new(),
        annotations_written_at: None,
        changed_at: None,
        labels: BTreeMap::new(),
        service_type: ServiceType::LoadBalancer,
        load_balancer_class: None,
        ports: vec![],
        external_traffic_policy: TrafficPolicy::Cluster,
        health_check_node_port: None,
        ipv6: false,
        source_ranges: vec![],
        hostnames: vec![],
    })
}

impl ServiceBuilder {
    pub(crate) fn annotate(mut self, key: &str, value: &str) -> Self {
        self.0.annotations.insert(format!("{PREFIX}{key}").into(), value.into());
        self
    }

    pub(crate) fn external(self, target_type: &str) -> Self {
        self.annotate(name::TYPE, "external").annotate(name::TARGET_TYPE, target_type)
    }

    pub(crate) fn class(mut self, class: &str) -> Self {
        self.0.load_balancer_class = Some(class.into());
        self
    }

    pub(crate) fn local(mut self, health_check_node_port: u16) -> Self {
        self.0.external_traffic_policy = TrafficPolicy::Local;
        self.0.health_check_node_port = Some(health_check_node_port);
        self
    }

    pub(crate) fn port(mut self, name: &str, port: u16, target: u16, node: u16) -> Self {
        self.0.ports.push(ServicePort {
            name: name.into(),
            protocol: Protocol::Tcp,
            port,
            target_port: PortReference::Number(target),
            node_port: Some(node),
        });
        self
    }

    pub(crate) fn build(&self) -> Service {
        let mut service = self.0.clone();
        if service.ports.is_empty() {
            service = ServiceBuilder(service).port("http", 80, 8080, 30080).0;
        }
        service
    }
}

pub(crate) struct ControllerBuilder(ControllerDeployment);

/// A controller of a version, without flags.
pub(crate) fn controller(version: &str) -> ControllerBuilder {
    ControllerBuilder(ControllerDeployment {
        name: ObjectName::new("kube-system", "aws-load-balancer-controller"),
        version: Version::parse(version),
        image: version.into(),
        flags: BTreeMap::new(),
        replicas: 2,
        available_replicas: Some(2),
    })
}

impl ControllerBuilder {
    pub(crate) fn flag(mut self, key: &str, value: &str) -> Self {
        self.0.flags.insert(key.into(), value.into());
        self
    }

    pub(crate) fn build(&self) -> ControllerDeployment {
        self.0.clone()
    }
}

pub(crate) fn security_group(id: &str, vpc: &str, tags: &[(&str, &str)]) -> SecurityGroup {
    SecurityGroup {
        id: id.into(),
        name: id.into(),
        vpc_id: vpc.into(),
        owner_id: "1".into(),
        tags: map(tags),
        inbound: vec![],
        outbound: vec![],
    }
}

/// An inbound rule for one port from one network.
pub(crate) fn rule(protocol: Protocol, port: u16, source: &str) -> Rule {
    let ports = Some((i32::from(port), i32::from(port)));
    let protocol = protocol.as_str().to_lowercase().into();
    Rule { protocol, ports, peer: Peer::Cidr(source.parse().unwrap()), description: None }
}

pub(crate) fn subnet(id: &str, name: &str) -> Subnet {
    Subnet {
        id: id.into(),
        vpc_id: VPC.into(),
        zone: "us-east-1a".into(),
        zone_id: "use1-az1".into(),
        cidr: None,
        ipv6_cidrs: vec![],
        available_ip_addresses: Some(200),
        on_outpost: false,
        owner_id: "1".into(),
        tags: map(&[("Name", name)]),
    }
}

pub(crate) const VPC: &str = "vpc-1";
const PREFIX_OF_ARNS: &str = "arn:aws:elasticloadbalancing:us-east-1:1:";

/// One Service of a 2.8.2 controller and what that controller makes of it in AWS, all known and long settled.
pub(crate) struct World {
    pub(crate) parts: Parts,
    pub(crate) policy: Policy,
    pub(crate) service: ObjectName,
}

impl World {
    pub(crate) fn of(builder: &ServiceBuilder) -> Self {
        let service = builder.build();
        let name = service.name.clone();
        let mut world = Self { parts: Parts::default(), policy: Policy::default(), service: name.clone() };
        world.parts.scope.cluster_name = Some("demo".into());
        world.parts.scope.vpc_id = Some(VPC.into());
        world.parts.services = fetched([(name.clone(), service.clone())]);
        world.parts.reconciles = Part::fetched(BTreeMap::new(), at(FETCHED));
        world.controllers(&[controller("2.8.2")]);
        world.parts.leader_lease = Part::fetched(None, at(FETCHED));
        world.parts.load_balancers = fetched([]);
        world.parts.target_groups = fetched([]);
        world.parts.target_group_bindings = fetched([]);
        world.parts.subnets = fetched(["a", "b", "c"].map(|zone| {
            let subnet = subnet(&format!("subnet-{zone}"), &format!("private-{zone}"));
            (subnet.id.clone(), subnet)
        }));
        let stack = name.to_string();
        let managed = [
            ("elbv2.k8s.aws/cluster", "demo"),
            ("service.k8s.aws/stack", &*stack),
            ("service.k8s.aws/resource", "ManagedLBSecurityGroup"),
        ];
        world.parts.security_groups = fetched(
            [
                security_group("sg-managed", VPC, &managed),
                security_group("sg-backend", VPC, &[("elbv2.k8s.aws/cluster", "demo"), ("elbv2.k8s.aws/resource", "backend-sg")]),
            ]
            .map(|group| (group.id.clone(), group)),
        );
        world.add_load_balancer("one");
        for port in service.ports.iter().map(|port| port.port).collect::<BTreeSet<_>>() {
            world.add_target_group(port);
        }
        let everybody = |port: &ServicePort| rule(port.protocol, port.port, "0.0.0.0/0");
        let rules = service.ports.iter().map(everybody).collect();
        world.rules(|inbound| *inbound = rules)
    }

    pub(crate) fn controllers(&mut self, all: &[ControllerBuilder]) {
        let list = all.iter().map(|builder| (builder.0.name.clone(), Arc::new(builder.build()))).collect();
        self.parts.controllers = Part::fetched(list, at(FETCHED));
    }

    pub(crate) fn add_load_balancer(&mut self, id: &str) {
        let lb = LoadBalancer {
            id: LoadBalancerId::new(format!("net/{id}/1")),
            arn: Arn::new(format!("{PREFIX_OF_ARNS}loadbalancer/net/{id}/1")),
            name: id.into(),
            dns_name: format!("{id}.elb.amazonaws.com").into(),
            scheme: Scheme::Internal,
            vpc_id: VpcId::from(VPC),
            state: LoadBalancerState::Active,
            state_reason: None,
            created_at: Some(at(BORN + 20)),
            ip_address_type: IpAddressType::Ipv4,
            zones: ["a", "b", "c"]
                .map(|zone| LoadBalancerZone {
                    zone: format!("us-east-1{zone}").into(),
                    subnet_id: SubnetId::new(format!("subnet-{zone}")),
                    addresses: vec![],
                    source_nat_ipv6_prefixes: vec![],
                })
                .into(),
            security_groups: BTreeSet::from(["sg-managed".into(), "sg-backend".into()]),
            enforce_inbound_rules_on_private_link: None,
            enable_prefix_for_ipv6_source_nat: None,
        };
        let tags = self.tracking("LoadBalancer");
        self.set_tags(&lb.arn, tags);
        let attributes = map(&[
            ("deletion_protection.enabled", "false"),
            ("load_balancing.cross_zone.enabled", "false"),
            ("access_logs.s3.enabled", "false"),
            ("access_logs.s3.bucket", ""),
            ("access_logs.s3.prefix", ""),
        ]);
        Arc::make_mut(&mut self.parts.load_balancer_attributes).insert(lb.id.clone(), Part::fetched(attributes, at(FETCHED)));
        Arc::make_mut(&mut self.parts.listeners).insert(lb.id.clone(), Part::fetched(vec![], at(FETCHED)));
        insert(&mut self.parts.load_balancers, lb.id.clone(), lb);
    }

    fn add_target_group(&mut self, port: u16) {
        let id = self.add_group_of(&format!("p{port}"), &format!("{}:{port}", self.service));
        let arn = Arn::new(format!("{PREFIX_OF_ARNS}listener/net/one/1/{port}"));
        let tags = self.tracking(&port.to_string());
        self.set_tags(&arn, tags);
        let listeners = Arc::make_mut(&mut self.parts.listeners).get_mut("net/one/1").unwrap();
        Arc::make_mut(listeners.value.as_mut().unwrap()).push(Listener {
            arn,
            port,
            protocol: "TCP".into(),
            forwards: vec![Forward { target_group: id, weight: 1 }],
            ssl_policy: None,
            certificate_arn: None,
            alpn_policy: None,
        });
    }

    /// Adds a target group of the load balancer that holds the pods `resource` names.
    pub(crate) fn add_group_of(&mut self, name: &str, resource: &str) -> TargetGroupId {
        let id = TargetGroupId::new(format!("targetgroup/{name}/1"));
        let group = TargetGroup {
            id: id.clone(),
            arn: Arn::new(format!("{PREFIX_OF_ARNS}{id}")),
            name: name.into(),
            protocol: "TCP".into(),
            target_type: TargetType::Ip,
            vpc_id: Some(VPC.into()),
            load_balancers: BTreeSet::from(["net/one/1".into()]),
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
        let tags = self.tracking(resource);
        self.set_tags(&group.arn, tags);
        let attributes = map(&[
            ("proxy_protocol_v2.enabled", "false"),
            ("preserve_client_ip.enabled", "false"),
            ("deregistration_delay.timeout_seconds", "300"),
        ]);
        Arc::make_mut(&mut self.parts.target_group_attributes).insert(id.clone(), Part::fetched(attributes, at(FETCHED)));
        insert(&mut self.parts.target_groups, id.clone(), group);
        id
    }

    fn tracking(&self, resource: &str) -> Tags {
        let stack = self.service.to_string();
        map(&[("elbv2.k8s.aws/cluster", "demo"), ("service.k8s.aws/stack", &stack), ("service.k8s.aws/resource", resource)])
    }

    fn set_tags(&mut self, arn: &Arn, tags: Tags) {
        Arc::make_mut(&mut self.parts.tags).insert(arn.clone(), Part::fetched(tags, at(FETCHED)));
    }

    /// Changes the load balancer in AWS.
    pub(crate) fn load_balancer(mut self, change: impl FnOnce(&mut LoadBalancer)) -> Self {
        let list = Arc::make_mut(self.parts.load_balancers.value.as_mut().unwrap());
        change(Arc::make_mut(list.get_mut("net/one/1").unwrap()));
        self
    }

    /// Changes every target group in AWS.
    pub(crate) fn target_groups(mut self, change: impl Fn(&mut TargetGroup)) -> Self {
        let list = Arc::make_mut(self.parts.target_groups.value.as_mut().unwrap());
        list.values_mut().for_each(|group| change(Arc::make_mut(group)));
        self
    }

    /// Changes every listener in AWS.
    pub(crate) fn listeners(mut self, change: impl Fn(&mut Listener)) -> Self {
        let part = Arc::make_mut(&mut self.parts.listeners).get_mut("net/one/1").unwrap();
        Arc::make_mut(part.value.as_mut().unwrap()).iter_mut().for_each(change);
        self
    }

    /// Changes the inbound rules of the managed security group in AWS.
    pub(crate) fn rules(mut self, change: impl FnOnce(&mut Vec<Rule>)) -> Self {
        let groups = Arc::make_mut(self.parts.security_groups.value.as_mut().unwrap());
        change(&mut Arc::make_mut(groups.get_mut("sg-managed").unwrap()).inbound);
        self
    }

    /// Sets an attribute of the load balancer in AWS.
    pub(crate) fn attribute(mut self, key: &str, value: &str) -> Self {
        let part = Arc::make_mut(&mut self.parts.load_balancer_attributes).get_mut("net/one/1").unwrap();
        set(part, key, value);
        self
    }

    /// Sets an attribute of every target group in AWS.
    pub(crate) fn group_attribute(mut self, key: &str, value: &str) -> Self {
        Arc::make_mut(&mut self.parts.target_group_attributes).values_mut().for_each(|part| set(part, key, value));
        self
    }

    /// Sets a tag on everything in AWS that the Service's annotation tags.
    pub(crate) fn tag(mut self, key: &str, value: &str) -> Self {
        Arc::make_mut(&mut self.parts.tags).values_mut().for_each(|part| set(part, key, value));
        let groups = Arc::make_mut(self.parts.security_groups.value.as_mut().unwrap());
        let managed = Arc::make_mut(groups.get_mut("sg-managed").unwrap());
        managed.tags.insert(key.into(), value.into());
        self
    }

    /// Changes the Service.
    pub(crate) fn change_service(mut self, change: impl FnOnce(&mut Service)) -> Self {
        let list = Arc::make_mut(self.parts.services.value.as_mut().unwrap());
        change(Arc::make_mut(list.get_mut(&self.service).unwrap()));
        self
    }

    /// Anything else.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// A failure event about the Service or a binding, and maybe a success.
    pub(crate) fn event(mut self, kind: EventObject, name: &str, failure: (&str, &str, i64), success: Option<i64>) -> Self {
        let map = Arc::make_mut(self.parts.reconciles.value.as_mut().unwrap());
        let state = map.entry(EventKey { kind, name: ObjectName::parse(name).unwrap() }).or_default();
        let (reason, message, second) = failure;
        state.record_failure(ReconcileFailure { reason: reason.into(), message: message.into(), at: at(second) });
        if let Some(second) = success {
            state.record_success(at(second));
        }
        self
    }

    pub(crate) fn judge(&self, check: &Check) -> Said {
        let expiry = Expiry { max_staleness: Duration::from_secs(1_000_000_000) };
        let snapshot = Snapshot::join(self.parts.clone(), at(NOW), expiry);
        let mut report = Report::default();
        (check.run)(&Context { snapshot: &snapshot, policy: &self.policy, now: at(NOW) }, &mut report);
        Said { report }
    }
}

fn set(part: &mut Part<Attributes>, key: &str, value: &str) {
    Arc::make_mut(part.value.as_mut().unwrap()).insert(key.into(), value.into());
}

pub(crate) fn fetched<K: Ord, V>(items: impl IntoIterator<Item = (K, V)>) -> Part<BTreeMap<K, Arc<V>>> {
    Part::fetched(items.into_iter().map(|(key, value)| (key, Arc::new(value))).collect(), at(FETCHED))
}

pub(crate) fn insert<K: Ord + Clone, V>(part: &mut Part<BTreeMap<K, Arc<V>>>, key: K, value: V) {
    Arc::make_mut(part.value.as_mut().unwrap()).insert(key, Arc::new(value));
}

/// What a check said.
pub(crate) struct Said {
    pub(crate) report: Report,
}

impl Said {
    /// `label,label value` of each sample of a family, sorted.
    pub(crate) fn family(&self, name: &str) -> Vec<String> {
        let families = self.report.families().iter().filter(|family| family.description.name == name);
        let mut lines: Vec<String> = families
            .flat_map(|family| &family.samples)
            .map(|sample| {
                let labels: Vec<&str> = sample.labels.iter().map(|label| label.as_str()).collect();
                format!("{} {}", labels.join(","), sample.value)
            })
            .collect();
        lines.sort();
        lines
    }

    /// `CODE message` of each finding of a kind.
    pub(crate) fn findings(&self, kind: &'static FindingKind) -> Vec<String> {
        let found = self.report.findings().iter().filter(|finding| std::ptr::eq(finding.kind, kind));
        found.map(|finding| format!("{}: {}", finding.subject, finding.message)).collect()
    }

    /// Codes of all findings.
    pub(crate) fn codes(&self) -> Vec<&'static str> {
        self.report.findings().iter().map(|finding| finding.kind.code).collect()
    }
}
