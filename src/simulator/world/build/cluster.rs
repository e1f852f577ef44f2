//! The cluster's Services and what the controller made in AWS for each: load balancer, target groups, security group, bindings.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use jiff::{SignedDuration, Timestamp};

use super::{Builder, annotation, group_id, hex, maker::Maker, network, uuid};
use crate::{
    inventory::{
        aws::{Attributes, Forward, HealthCheck, Peer, Rule, Tags},
        ids::{
            AllocationId, LoadBalancerId, NodeName, ObjectName, PrefixListId, SecurityGroupId, SubnetId, TargetGroupId, ZoneName,
        },
        kube::{BindingGroup, Protocol, ServiceType, StringMap},
    },
    simulator::world::{
        Binding, Change, Controller, Endpoint, Health, Listener, LoadBalancer, Service, ServicePort, Target, TargetGroup, Text,
        WorldKind,
        plan::{Flavour, ServicePlan},
    },
};

/// What the controller marks its rules on the endpoints' group with.
pub(super) const SHARED_RULE: &str = "elbv2.k8s.aws/targetGroupBinding=shared";

/// The controller's `--default-ssl-policy`.
const SSL_POLICY: &str = "ELBSecurityPolicy-2016-08";

/// How many Services have a recent `SuccessfullyReconciled`: events live for an hour only.
const RECENTLY_RECONCILED: usize = 20;

/// A load balancer to be made, whoever owns it.
pub(super) struct Making<'a> {
    pub(super) number: usize,
    pub(super) maker: Maker,
    pub(super) cluster: &'a str,
    pub(super) stack: ObjectName,
    /// Whose pods it serves.
    pub(super) service: ObjectName,
    pub(super) scheme: &'static str,
    pub(super) tags: Tags,
    pub(super) zones: Vec<(ZoneName, SubnetId, Option<AllocationId>)>,
    pub(super) groups: BTreeSet<SecurityGroupId>,
    pub(super) attributes: Attributes,
}

impl Builder {
    /// Services, their load balancers and the controller.
    pub(super) fn cluster(&mut self) {
        let plan = self.plan.clone();
        for (number, service) in plan.owned.iter().enumerate() {
            self.service(number, service);
        }
        for (number, (namespace, name, endpoints)) in plan.plain.iter().enumerate() {
            self.plain_service(plan.owned.len() + number, ObjectName::new(&**namespace, &**name), *endpoints);
        }
        for (number, (ports, targets)) in plan.foreign.iter().enumerate() {
            self.neighbour(plan.owned.len() + number, *ports, *targets);
        }
        self.neighbouring_cluster();
        match self.kind {
            WorldKind::Legacy => self.rules_by_network(),
            WorldKind::InTree => self.in_tree_rules(),
            _ => self.node_rules(),
        }
        if !self.kind.has_controller() {
            return;
        }
        self.world.controller = Some(Controller {
            version: self.kind.controller_version().into(),
            arguments: self.kind.controller_arguments().iter().map(|argument| (*argument).into()).collect(),
            replicas: 2,
            available: 2,
            leader: format!("aws-load-balancer-controller-{}-{}_{}", hex("rs", 0, 10), hex("pod", 0, 5), uuid("leader", 0))
                .into(),
            leading_since: self.world.created_at,
            transitions: 3,
        });
    }

    fn service(&mut self, number: usize, plan: &ServicePlan) {
        let name = ObjectName::new(&*plan.namespace, &*plan.name);
        let flavour = plan.flavour;
        let instance = matches!(flavour, Flavour::Local | Flavour::Instance);
        let maker = Maker::of(self.kind, number);
        let dual_stack = self.kind == WorldKind::DualStack;
        let ports = self.ports(flavour, plan.ports, instance);
        let local_health_port = (flavour == Flavour::Local).then(|| self.node_port());
        let endpoints = self.endpoints(number, plan.endpoints);

        let mut annotations = StringMap::new();
        let mut note = |short: &str, value: &str| annotations.insert(annotation(short).into(), value.into());
        if flavour != Flavour::Class && maker == Maker::Controller {
            note("type", "external");
        }
        note("nlb-target-type", if instance { "instance" } else { "ip" });
        let scheme = match flavour {
            Flavour::Public | Flavour::Local | Flavour::Tls | Flavour::Explicit => "internet-facing",
            _ => "internal",
        };
        if flavour != Flavour::Checked {
            note("scheme", scheme);
        }
        if dual_stack {
            note("ip-address-type", "dualstack");
        }
        let mut zones: Vec<_> = if scheme == "internal" { self.private.clone() } else { self.public.clone() }
            .into_iter()
            .map(|(zone, subnet)| (zone, subnet, None))
            .collect();

        let mut tags = Tags::new();
        let mut attributes = Attributes::new();
        let mut group_attributes = Attributes::new();
        let mut check = HealthCheck {
            enabled: true,
            protocol: "TCP".into(),
            port: "traffic-port".into(),
            path: None,
            success_codes: None,
            interval_seconds: 10,
            timeout_seconds: 10,
            healthy_threshold: 3,
            unhealthy_threshold: 3,
        };
        let mut prefix_list = None;
        match flavour {
            Flavour::Checked => {
                note("attributes", "load_balancing.cross_zone.enabled=true");
                note("healthcheck-protocol", "http");
                note("healthcheck-path", "/ready");
                note("additional-resource-tags", "team=shop,env=prod");
                attributes.insert("load_balancing.cross_zone.enabled".into(), "true".into());
                tags = Tags::from([("team".into(), "shop".into()), ("env".into(), "prod".into())]);
                check.protocol = "HTTP".into();
                check.path = Some("/ready".into());
                check.success_codes = Some("200-399".into());
            }
            Flavour::Local => {
                let port = local_health_port.expect("set for this flavour");
                check = HealthCheck {
                    protocol: "HTTP".into(),
                    port: port.to_string().into(),
                    path: Some("/healthz".into()),
                    success_codes: Some("200-399".into()),
                    timeout_seconds: 6,
                    healthy_threshold: 2,
                    unhealthy_threshold: 2,
                    ..check
                };
            }
            Flavour::Tls => {
                note("ssl-cert", &self.certificate());
                note("ssl-ports", "https");
            }
            Flavour::Attributes => {
                note("target-group-attributes", "deregistration_delay.timeout_seconds=30,preserve_client_ip.enabled=true");
                group_attributes.insert("deregistration_delay.timeout_seconds".into(), "30".into());
                group_attributes.insert("preserve_client_ip.enabled".into(), "true".into());
            }
            Flavour::Proxy => {
                note("proxy-protocol", "*");
                group_attributes.insert("proxy_protocol_v2.enabled".into(), "true".into());
            }
            Flavour::Class if self.sizes.rules_per_group == 0 => {
                let (id, list) = self
                    .world
                    .prefix_lists
                    .iter()
                    .find(|(_, list)| list.max_entries.is_some())
                    .expect("every world has a list of its own");
                debug_assert_eq!(list.family, "IPv4");
                note("security-group-prefix-lists", id.as_str());
                prefix_list = Some(id.clone());
            }
            Flavour::Explicit => {
                for zone in &mut zones {
                    zone.2 = Some(self.elastic_ip(None));
                }
                let subnets: Vec<&str> = zones.iter().map(|(_, subnet, _)| subnet.as_str()).collect();
                let addresses: Vec<&str> = zones.iter().filter_map(|(_, _, eip)| eip.as_ref().map(|id| id.as_str())).collect();
                note("subnets", &subnets.join(","));
                note("eip-allocations", &addresses.join(","));
            }
            Flavour::Interval => {
                note("healthcheck-interval", "15");
                note("healthcheck-timeout", "5");
                note("healthcheck-healthy-threshold", "2");
                check.interval_seconds = 15;
                check.timeout_seconds = 5;
                check.healthy_threshold = 2;
            }
            Flavour::Public | Flavour::Internal | Flavour::Udp | Flavour::Instance | Flavour::Class => {}
        }
        if self.kind == WorldKind::SharedVpc {
            // Whoever cannot rely on tags names the subnets.
            let subnets: Vec<&str> = zones.iter().map(|(_, subnet, _)| subnet.as_str()).collect();
            note("subnets", &subnets.join(","));
        }
        if maker == Maker::InTree {
            annotations = super::in_tree::annotations(scheme);
            super::in_tree::health_check(&mut check);
        }
        if maker == Maker::Gateway {
            annotations.clear();
        }
        if scheme == "internet-facing" && flavour != Flavour::Explicit {
            for _ in 0..zones.len() {
                // AWS's own, taken for the load balancer; `LoadBalancerAddresses` does not tell them.
                self.elastic_ip(Some("nlb"));
            }
        }

        let ranges: Vec<Arc<str>> = match self.sizes.rules_per_group {
            0 => Vec::new(),
            rules => (0..((rules - 1) / plan.ports).max(1)).map(|index| network::source(index).to_string().into()).collect(),
        };
        let stack = if maker == Maker::Gateway { super::gateways::gateway_of(&name) } else { name.clone() };
        let cluster = Arc::clone(&self.world.scope.cluster_name);
        let groups = if matches!(self.kind, WorldKind::Legacy | WorldKind::InTree) {
            BTreeSet::new()
        } else {
            let group = self.group_of(maker, &cluster, number, &stack, &tags, &ports, &ranges, prefix_list);
            BTreeSet::from([group, self.world.scope.backend_group.clone()])
        };
        let service_name = name.clone();
        let making =
            Making { number, maker, cluster: &cluster, stack, service: service_name, scheme, tags, zones, groups, attributes };
        let (id, dns_name) = self.load_balancer(&making);
        if maker == Maker::Gateway {
            self.gateway(number, &making, &ports, &dns_name);
        }

        let service = Service {
            uid: uuid("service", number),
            created_at: self.world.created_at,
            deleted_at: None,
            annotations_written_at: self.world.created_at,
            finalizers: maker.service_finalizer().map(Text::from).into_iter().collect(),
            annotations,
            service_type: if maker == Maker::Gateway { ServiceType::ClusterIp } else { ServiceType::LoadBalancer },
            load_balancer_class: match maker {
                Maker::AutoMode => Some("eks.amazonaws.com/nlb".into()),
                Maker::Controller if flavour == Flavour::Class => Some("service.k8s.aws/nlb".into()),
                _ => None,
            },
            ports,
            local_health_port,
            ipv6: dual_stack,
            source_ranges: ranges,
            hostname: (maker != Maker::Gateway).then_some(dns_name),
            endpoints,
        };
        for port in &service.ports {
            let tls = flavour == Flavour::Tls && &*port.name == "https";
            let targets = self.targets(flavour, &service, port);
            let group = self.target_group(&making, &id, port, tls, instance, &check, &group_attributes, targets);
            self.binding(&making, port, group, instance, service.local_health_port);
        }
        self.world.services.insert(name, service);
    }

    /// The ports of a Service: the usual two first.
    pub(super) fn ports(&mut self, flavour: Flavour, count: usize, instance: bool) -> Vec<ServicePort> {
        (0..count)
            .map(|index| {
                let high = u16::try_from(9000 + index).expect("at most 50 ports");
                let (name, port, target_port): (Arc<str>, u16, u16) = match (flavour, index) {
                    (Flavour::Udp, 0) => ("dns".into(), 53, 5353),
                    (Flavour::Tls, 1) => ("http".into(), 80, 8080),
                    (Flavour::Tls, 0) | (_, 1) => ("https".into(), 443, 8443),
                    (_, 0) => ("http".into(), 80, 8080),
                    _ => (format!("p{high}").into(), high, high),
                };
                let protocol = if flavour == Flavour::Udp { Protocol::Udp } else { Protocol::Tcp };
                // Port numbers on nodes are scarce: only where they are used.
                let node_port = if instance { self.node_port() } else { 0 };
                ServicePort { name, protocol, port, target_port, node_port }
            })
            .collect()
    }

    fn node_port(&mut self) -> u16 {
        let port = self.next_node_port;
        self.next_node_port = if port == 32_767 { 30_000 } else { port + 1 };
        port
    }

    /// Pods of a Service, in turn over the zones.
    fn endpoints(&mut self, number: usize, count: usize) -> Vec<Endpoint> {
        (0..count)
            .map(|index| {
                let (node, zone) = self.next_node(number + index);
                let address = self.pod_address(&node);
                let pod = u32::try_from(index).expect("few pods");
                Endpoint { address, pod, node, zone, ready: true, terminating: false }
            })
            .collect()
    }

    fn plain_service(&mut self, number: usize, name: ObjectName, endpoints: usize) {
        let endpoints = self.endpoints(number, endpoints);
        let port = ServicePort { name: "http".into(), protocol: Protocol::Tcp, port: 80, target_port: 8080, node_port: 0 };
        let service = Service {
            uid: uuid("service", number),
            created_at: self.world.created_at,
            deleted_at: None,
            annotations_written_at: self.world.created_at,
            finalizers: Vec::new(),
            annotations: StringMap::new(),
            service_type: ServiceType::ClusterIp,
            load_balancer_class: None,
            ports: vec![port],
            local_health_port: None,
            ipv6: self.kind == WorldKind::DualStack,
            source_ranges: Vec::new(),
            hostname: None,
            endpoints,
        };
        self.world.services.insert(name, service);
    }

    #[allow(clippy::too_many_arguments, reason = "what a managed group depends on")]
    pub(super) fn group_of(
        &mut self,
        maker: Maker,
        cluster: &str,
        number: usize,
        stack: &ObjectName,
        tags: &Tags,
        ports: &[ServicePort],
        ranges: &[Arc<str>],
        prefix_list: Option<PrefixListId>,
    ) -> SecurityGroupId {
        let mut tags = tags.clone();
        maker.track(&mut tags, cluster, stack, "ManagedLBSecurityGroup");
        let anywhere = || {
            let ipv6 = (self.kind == WorldKind::DualStack).then(|| Peer::Cidr(IpNet::V6(Ipv6Net::default())));
            std::iter::once(Peer::Cidr(IpNet::V4(Ipv4Net::default()))).chain(ipv6)
        };
        let sources: Vec<Peer> = match (ranges, prefix_list) {
            ([], None) => anywhere().collect(),
            ([], Some(list)) => vec![Peer::PrefixList(list)],
            (ranges, list) => {
                let ranges = ranges.iter().map(|range| Peer::Cidr(range.parse().expect("made from networks")));
                ranges.chain(list.map(Peer::PrefixList)).collect()
            }
        };
        let inbound = ports
            .iter()
            .flat_map(|port| {
                let one = i32::from(port.port);
                let template = network::rule(lower(port.protocol), Some((one, one)), sources[0].clone(), None);
                sources.iter().map(move |source| Rule { peer: source.clone(), ..template.clone() })
            })
            .collect();
        let id = group_id("group-frontend", number);
        let name = controller_name(stack, &hex("group-name", number, 10));
        let vpc = self.world.scope.vpc_id.clone();
        self.group(id.clone(), &name, "[k8s] Managed SecurityGroup for LoadBalancer", &vpc, tags, inbound);
        id
    }

    pub(super) fn load_balancer(&mut self, making: &Making<'_>) -> (LoadBalancerId, Arc<str>) {
        let name = match making.maker {
            Maker::InTree => super::in_tree::load_balancer_name(&uuid("service", making.number)),
            _ => controller_name(&making.stack, &hex("load-balancer-name", making.number, 10)),
        };
        let suffix = hex("load-balancer", making.number, 16);
        let id = LoadBalancerId::new(format!("net/{name}/{suffix}"));
        let dns_name: Arc<str> =
            format!("{name}-{suffix}.elb.{}.{}", self.world.scope.region, self.world.scope.partition.dns_suffix()).into();
        let mut tags = making.tags.clone();
        making.maker.track(&mut tags, making.cluster, &making.stack, "LoadBalancer");
        for (zone, subnet, _) in &making.zones {
            let address = self.address_in(subnet);
            let groups = making.groups.iter().cloned().collect();
            let description = format!("ELB {id}");
            self.interface("network_load_balancer", &description, subnet.clone(), zone.clone(), groups, None, address);
        }
        let lb = LoadBalancer {
            name: name.into(),
            dns_name: Arc::clone(&dns_name),
            scheme: making.scheme.into(),
            kind: "network".into(),
            state: "active".into(),
            state_reason: None,
            created_at: self.world.created_at,
            ip_address_type: if self.kind == WorldKind::DualStack { "dualstack" } else { "ipv4" }.into(),
            vpc_id: self.world.scope.vpc_id.clone(),
            zones: making.zones.clone(),
            security_groups: making.groups.clone(),
            attributes: making.attributes.clone(),
            tags,
            listeners: Vec::new(),
            capacity_units: None,
        };
        self.world.load_balancers.insert(id.clone(), lb);
        (id, dns_name)
    }

    #[allow(clippy::too_many_arguments, reason = "what a target group depends on")]
    pub(super) fn target_group(
        &mut self,
        making: &Making<'_>,
        lb: &LoadBalancerId,
        port: &ServicePort,
        tls: bool,
        instance: bool,
        check: &HealthCheck,
        attributes: &Attributes,
        targets: Vec<Target>,
    ) -> TargetGroupId {
        let number = self.world.target_groups.len();
        let name = controller_name(&making.service, &hex("target-group-name", number, 10));
        let id = TargetGroupId::new(format!("targetgroup/{name}/{}", hex("target-group", number, 16)));
        let mut tags = making.tags.clone();
        making.maker.track(&mut tags, making.cluster, &making.stack, &format!("{}:{}", making.service, port.port));
        let protocol: Text = port.protocol.as_str().into();
        let group = TargetGroup {
            name: name.into(),
            protocol: protocol.clone(),
            port: if instance { port.node_port } else { port.target_port },
            target_type: if instance { "instance" } else { "ip" }.into(),
            ip_address_type: if self.kind == WorldKind::DualStack { "ipv6" } else { "ipv4" },
            vpc_id: self.world.scope.vpc_id.clone(),
            load_balancers: BTreeSet::from([lb.clone()]),
            health_check: check.clone(),
            attributes: attributes.clone(),
            tags,
            targets,
        };
        let mut listener_tags = making.tags.clone();
        making.maker.track(&mut listener_tags, making.cluster, &making.stack, &port.port.to_string());
        let listener = Listener {
            id: hex("listener", number, 16).into(),
            port: port.port,
            protocol: if tls { "TLS".into() } else { protocol },
            forwards: vec![Forward { target_group: id.clone(), weight: 1 }],
            tls: tls.then(|| (SSL_POLICY.into(), self.certificate().into())),
            certificates: if tls && self.kind.controller_version() == "v3.5.0" {
                // Since 3.4.1 the default certificate is among the others too.
                BTreeSet::from([self.certificate().into()])
            } else {
                BTreeSet::new()
            },
            attributes: Attributes::new(),
            tags: listener_tags,
        };
        self.world.load_balancers.get_mut(lb).expect("made before its groups").listeners.push(listener);
        self.world.target_groups.insert(id.clone(), group);
        id
    }

    fn certificate(&self) -> String {
        let scope = &self.world.scope;
        format!("arn:{}:acm:{}:{}:certificate/{}", scope.partition.name(), scope.region, scope.account_id, uuid("certificate", 0))
    }

    /// What the controller registers: every node, or every ready endpoint.
    fn targets(&self, flavour: Flavour, service: &Service, port: &ServicePort) -> Vec<Target> {
        if !matches!(flavour, Flavour::Local | Flavour::Instance) {
            return service
                .endpoints
                .iter()
                .map(|endpoint| Target {
                    id: endpoint.address.to_string().into(),
                    port: port.target_port,
                    zone: Some(endpoint.zone.clone()),
                    health: Health::HEALTHY,
                })
                .collect();
        }
        let hosts: BTreeSet<&NodeName> = service.endpoints.iter().map(|endpoint| &endpoint.node).collect();
        let nodes = self.world.nodes.iter();
        nodes
            .map(|(name, node)| Target {
                id: node.instance.shared(),
                port: port.node_port,
                zone: None,
                // With policy Local a node without a pod of the Service fails the check, and that is how it should be.
                health: if flavour == Flavour::Local && !hosts.contains(name) { Health::FAILED } else { Health::HEALTHY },
            })
            .collect()
    }

    fn binding(&mut self, making: &Making<'_>, port: &ServicePort, group: TargetGroupId, instance: bool, local: Option<u16>) {
        let (Some(label), service) = (making.maker.label(), &making.service) else { return };
        let name = group.as_str().split('/').nth(1).expect("targetgroup/NAME/ID").to_owned();
        let traffic = if instance { port.node_port } else { port.target_port };
        let mut ingress = vec![(port.protocol, traffic)];
        if port.protocol == Protocol::Udp {
            // The health check of a UDP group is TCP on the traffic port.
            ingress.push((Protocol::Tcp, traffic));
        }
        ingress.extend(local.map(|health| (Protocol::Tcp, health)));
        let binding = Binding {
            uid: uuid("binding", self.world.target_groups.len()),
            created_at: self.world.created_at,
            target_group: group,
            group: if making.maker == Maker::AutoMode { BindingGroup::AutoMode } else { BindingGroup::LoadBalancerController },
            stack: (label, making.stack.clone()),
            target_type: if instance { "instance" } else { "ip" }.into(),
            service: Arc::clone(&service.name),
            service_port: port.port,
            ipv6: self.kind == WorldKind::DualStack,
            ingress,
            sources: Vec::new(),
        };
        self.world.bindings.insert(ObjectName::new(Arc::clone(&service.namespace), name), binding);
    }

    /// One rule a protocol, from the smallest to the largest port of all bindings, from the backend group.
    fn node_rules(&mut self) {
        let mut ranges = BTreeMap::<&str, (u16, u16)>::new();
        for (protocol, port) in self.world.bindings.values().flat_map(|binding| &binding.ingress) {
            let range = ranges.entry(lower(*protocol)).or_insert((*port, *port));
            *range = (range.0.min(*port), range.1.max(*port));
        }
        let backend = Peer::SecurityGroup(self.world.scope.backend_group.clone());
        let nodes = self.world.security_groups.get_mut(&self.world.scope.node_group).expect("every world has it");
        for (protocol, (from, to)) in ranges {
            let ports = Some((i32::from(from), i32::from(to)));
            nodes.inbound.push(network::rule(protocol, ports, backend.clone(), Some(SHARED_RULE)));
        }
    }

    /// Everything is news to a cluster that has just started; some Services were reconciled lately.
    pub(super) fn note_everything(&mut self, now: Timestamp) {
        let world = &mut self.world;
        let lately = now - SignedDuration::from_mins(5);
        let names: Vec<ObjectName> = world.load_balanced().map(|(name, _)| name.clone()).take(RECENTLY_RECONCILED).collect();
        for name in names.iter().filter(|_| self.kind.has_controller()) {
            world.reconciled_service(name, lately);
        }
        for name in world.services.keys() {
            world.changes.insert(Change::Service(name.clone()));
            world.changes.insert(Change::Endpoints(name.clone()));
        }
        world.changes.extend(world.nodes.keys().cloned().map(Change::Node));
        world.changes.extend(world.bindings.keys().cloned().map(Change::Binding));
        world.changes.extend(world.gateway_classes.keys().cloned().map(Change::GatewayClass));
        world.changes.extend(world.gateways.keys().cloned().map(Change::Gateway));
        world.changes.extend(world.routes.keys().cloned().map(Change::Route));
        world.changes.extend([Change::Controller, Change::VpcCni]);
    }
}

pub(super) fn lower(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    }
}

/// `k8s-NAMESPACE-NAME-HASH`, the names without punctuation and cut to eight.
fn controller_name(object: &ObjectName, hash: &str) -> String {
    let short = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).take(8).collect::<String>();
    format!("k8s-{}-{}-{hash}", short(&object.namespace), short(&object.name))
}
