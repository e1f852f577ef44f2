//! The cluster's Services and what the controller made in AWS for each: load balancer, target groups, security group, bindings.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};
use jiff::{SignedDuration, Timestamp};

use super::{Builder, CONTROLLER_VERSION, annotation, group_id, hex, network, uuid};
use crate::{
    inventory::{
        aws::{Attributes, Forward, HealthCheck, Peer, Rule, Tags},
        ids::{
            AllocationId, LoadBalancerId, NodeName, ObjectName, PrefixListId, SecurityGroupId, SubnetId, TargetGroupId, ZoneName,
        },
        kube::{Protocol, ServiceType, StringMap},
    },
    simulator::world::{
        Binding, Change, Controller, Endpoint, Health, Listener, LoadBalancer, Service, ServicePort, Target, TargetGroup, Text,
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
struct Making<'a> {
    number: usize,
    cluster: &'a str,
    stack: ObjectName,
    scheme: &'static str,
    tags: Tags,
    zones: Vec<(ZoneName, SubnetId, Option<AllocationId>)>,
    groups: BTreeSet<SecurityGroupId>,
    attributes: Attributes,
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
        self.node_rules();
        self.world.controller = Some(Controller {
            version: CONTROLLER_VERSION.into(),
            arguments: vec!["--ingress-class=alb".into()],
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
        let ports = self.ports(flavour, plan.ports, instance);
        let local_health_port = (flavour == Flavour::Local).then(|| self.node_port());
        let endpoints = self.endpoints(number, plan.endpoints);

        let mut annotations = StringMap::new();
        let mut note = |short: &str, value: &str| annotations.insert(annotation(short).into(), value.into());
        if flavour != Flavour::Class {
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
        let group = self.frontend_group(number, &name, &tags, &ports, &ranges, prefix_list);
        let groups = BTreeSet::from([group, self.world.scope.backend_group.clone()]);
        let cluster = Arc::clone(&self.world.scope.cluster_name);
        let making = Making { number, cluster: &cluster, stack: name.clone(), scheme, tags, zones, groups, attributes };
        let (id, dns_name) = self.load_balancer(&making);

        let service = Service {
            uid: uuid("service", number),
            created_at: self.world.created_at,
            deleted_at: None,
            annotations_written_at: self.world.created_at,
            annotations,
            service_type: ServiceType::LoadBalancer,
            load_balancer_class: (flavour == Flavour::Class).then(|| "service.k8s.aws/nlb".into()),
            ports,
            local_health_port,
            source_ranges: ranges,
            hostname: Some(dns_name),
            endpoints,
        };
        for port in &service.ports {
            let tls = flavour == Flavour::Tls && &*port.name == "https";
            let targets = self.targets(flavour, &service, port);
            let group = self.target_group(&making, &id, port, tls, instance, &check, &group_attributes, targets);
            self.binding(&name, port, group, instance, service.local_health_port);
        }
        self.world.services.insert(name, service);
    }

    /// The ports of a Service: the usual two first.
    fn ports(&mut self, flavour: Flavour, count: usize, instance: bool) -> Vec<ServicePort> {
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
            annotations: StringMap::new(),
            service_type: ServiceType::ClusterIp,
            load_balancer_class: None,
            ports: vec![port],
            local_health_port: None,
            source_ranges: Vec::new(),
            hostname: None,
            endpoints,
        };
        self.world.services.insert(name, service);
    }

    /// A load balancer of another cluster in the same VPC: it counts against quotas and is nobody's business otherwise.
    fn neighbour(&mut self, number: usize, ports: usize, targets: usize) {
        let stack = ObjectName::new("neighbour", format!("svc-{number:05}"));
        let ports = self.ports(Flavour::Internal, ports, false);
        let tags = Tags::new();
        let group = self.group_of("neighbour", number, &stack, &tags, &ports, &[], None);
        let zones = self.private.clone().into_iter().map(|(zone, subnet)| (zone, subnet, None)).collect();
        let groups = BTreeSet::from([group]);
        let making = Making {
            number,
            cluster: "neighbour",
            stack,
            scheme: "internal",
            tags,
            zones,
            groups,
            attributes: Attributes::new(),
        };
        let (id, _) = self.load_balancer(&making);
        let check = HealthCheck {
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
        let addresses: Vec<_> = (0..targets)
            .map(|index| {
                let (zone, subnet) = self.private[index % self.private.len()].clone();
                (Arc::<str>::from(self.address_in(&subnet).to_string()), zone)
            })
            .collect();
        for port in &ports {
            let targets = addresses
                .iter()
                .map(|(id, zone)| Target {
                    id: Arc::clone(id),
                    port: port.target_port,
                    zone: Some(zone.clone()),
                    health: Health::HEALTHY,
                })
                .collect();
            self.target_group(&making, &id, port, false, false, &check, &Attributes::new(), targets);
        }
    }

    fn frontend_group(
        &mut self,
        number: usize,
        name: &ObjectName,
        tags: &Tags,
        ports: &[ServicePort],
        ranges: &[Arc<str>],
        prefix_list: Option<PrefixListId>,
    ) -> SecurityGroupId {
        let cluster = Arc::clone(&self.world.scope.cluster_name);
        self.group_of(&cluster, number, name, tags, ports, ranges, prefix_list)
    }

    #[allow(clippy::too_many_arguments, reason = "what a managed group depends on")]
    fn group_of(
        &mut self,
        cluster: &str,
        number: usize,
        stack: &ObjectName,
        tags: &Tags,
        ports: &[ServicePort],
        ranges: &[Arc<str>],
        prefix_list: Option<PrefixListId>,
    ) -> SecurityGroupId {
        let mut tags = tags.clone();
        track(&mut tags, cluster, stack, "ManagedLBSecurityGroup");
        let sources: Vec<Peer> = match (ranges, prefix_list) {
            ([], None) => vec![Peer::Cidr(IpNet::V4(Ipv4Net::default()))],
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

    fn load_balancer(&mut self, making: &Making<'_>) -> (LoadBalancerId, Arc<str>) {
        let name = controller_name(&making.stack, &hex("load-balancer-name", making.number, 10));
        let suffix = hex("load-balancer", making.number, 16);
        let id = LoadBalancerId::new(format!("net/{name}/{suffix}"));
        let dns_name: Arc<str> = format!("{name}-{suffix}.elb.{}.amazonaws.com", self.world.scope.region).into();
        let mut tags = making.tags.clone();
        track(&mut tags, making.cluster, &making.stack, "LoadBalancer");
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
            ip_address_type: "ipv4".into(),
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
    fn target_group(
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
        let name = controller_name(&making.stack, &hex("target-group-name", number, 10));
        let id = TargetGroupId::new(format!("targetgroup/{name}/{}", hex("target-group", number, 16)));
        let mut tags = making.tags.clone();
        track(&mut tags, making.cluster, &making.stack, &format!("{}:{}", making.stack, port.port));
        let protocol: Text = port.protocol.as_str().into();
        let group = TargetGroup {
            name: name.into(),
            protocol: protocol.clone(),
            port: if instance { port.node_port } else { port.target_port },
            target_type: if instance { "instance" } else { "ip" }.into(),
            vpc_id: self.world.scope.vpc_id.clone(),
            load_balancers: BTreeSet::from([lb.clone()]),
            health_check: check.clone(),
            attributes: attributes.clone(),
            tags,
            targets,
        };
        let mut listener_tags = making.tags.clone();
        track(&mut listener_tags, making.cluster, &making.stack, &port.port.to_string());
        let listener = Listener {
            id: hex("listener", number, 16).into(),
            port: port.port,
            protocol: if tls { "TLS".into() } else { protocol },
            forwards: vec![Forward { target_group: id.clone(), weight: 1 }],
            tls: tls.then(|| (SSL_POLICY.into(), self.certificate().into())),
            certificates: BTreeSet::new(),
            attributes: Attributes::new(),
            tags: listener_tags,
        };
        self.world.load_balancers.get_mut(lb).expect("made before its groups").listeners.push(listener);
        self.world.target_groups.insert(id.clone(), group);
        id
    }

    fn certificate(&self) -> String {
        let scope = &self.world.scope;
        format!("arn:aws:acm:{}:{}:certificate/{}", scope.region, scope.account_id, uuid("certificate", 0))
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

    fn binding(&mut self, service: &ObjectName, port: &ServicePort, group: TargetGroupId, instance: bool, local: Option<u16>) {
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
            target_type: if instance { "instance" } else { "ip" }.into(),
            service: Arc::clone(&service.name),
            service_port: port.port,
            ingress,
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
        for name in names {
            world.reconciled_service(&name, lately);
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

fn lower(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    }
}

/// The controller's tracking tags.
fn track(tags: &mut Tags, cluster: &str, stack: &ObjectName, resource: &str) {
    tags.insert("elbv2.k8s.aws/cluster".into(), cluster.into());
    tags.insert("service.k8s.aws/stack".into(), stack.to_string().into());
    tags.insert("service.k8s.aws/resource".into(), resource.into());
}

/// `k8s-NAMESPACE-NAME-HASH`, the names without punctuation and cut to eight.
fn controller_name(object: &ObjectName, hash: &str) -> String {
    let short = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).take(8).collect::<String>();
    format!("k8s-{}-{}-{hash}", short(&object.namespace), short(&object.name))
}
