//! Is every value true? Whole simulated worlds are read through the real clients, and every family is compared with what the
//! world itself holds, counted here anew in the plainest way. A healthy world has no finding at all.

use std::collections::{BTreeMap, BTreeSet};

use eks_nlb_exporter::inventory::aws::{Peer, Rule, Tags};
use eks_nlb_exporter::inventory::ids::{ObjectName, SubnetId, ZoneName};
use eks_nlb_exporter::inventory::kube::ServiceType;
use eks_nlb_exporter::inventory::quota::QUOTAS;
use eks_nlb_exporter::simulator::world::{LoadBalancer, Service, Target, TargetGroup, World};
use eks_nlb_exporter::simulator::{self, SimulatorSettings, Sizes, WorldKind};

use crate::gather::{gather_simulated, judge, series, told};

/// Families that say how the reading went, not what the world is like.
const OF_THE_READING: &[&str] = &[
    "findings",
    "source_up",
    "source_last_success_timestamp_seconds",
    "source_last_attempt_timestamp_seconds",
    "source_refresh_interval_seconds",
    "source_missing_resources",
    "target_group_sampled_timestamp_seconds",
    "target_group_changed_timestamp_seconds",
];

/// What should be shown.
#[derive(Default)]
struct Truth(BTreeMap<String, f64>);

impl Truth {
    fn is(&mut self, family: &str, labels: &[(&str, &str)], value: impl Into<f64>) {
        let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        let name = format!("{family}{{{}}}", labels.join(","));
        assert_eq!(self.0.insert(name.clone(), value.into()), None, "{name}");
    }

    fn counts(&mut self, family: &str, labels: &[(&str, &str)], count: usize) {
        self.is(family, labels, count as f64);
    }
}

fn tag<'a>(tags: &'a Tags, key: &str) -> Option<&'a str> {
    tags.get(key).map(|value| &**value)
}

/// Who made something of this cluster, and for which kind of object.
fn owner(tags: &Tags) -> Option<(&'static str, &'static str, ObjectName)> {
    let families = [
        ("elbv2.k8s.aws/cluster", "demo", "service.k8s.aws/stack", "aws-load-balancer-controller", "Service"),
        ("elbv2.k8s.aws/cluster", "demo", "gateway.k8s.aws.nlb/stack", "aws-load-balancer-controller", "Gateway"),
        ("eks:eks-cluster-name", "demo", "service.eks.amazonaws.com/stack", "eks-auto-mode", "Service"),
        ("kubernetes.io/cluster/demo", "owned", "kubernetes.io/service-name", "in-tree", "Service"),
    ];
    families.into_iter().find_map(|(key, value, stack, controller, kind)| {
        let name = tag(tags, stack).filter(|_| tag(tags, key) == Some(value))?;
        Some((controller, kind, ObjectName::parse(name).unwrap()))
    })
}

fn is_ours(tags: &Tags) -> bool {
    owner(tags).is_some()
}

fn ours(world: &World) -> Vec<&LoadBalancer> {
    world.load_balancers.values().filter(|lb| is_ours(&lb.tags)).collect()
}

fn truth(world: &World) -> Truth {
    let mut truth = Truth::default();
    headroom(world, &mut truth);
    load_balancers(world, &mut truth);
    for (id, group) in world.target_groups.iter().filter(|(_, group)| is_ours(&group.tags)) {
        target_group(world, id.as_str(), group, &mut truth);
    }
    services(world, &mut truth);
    subnets(world, &mut truth);
    security_groups(world, &mut truth);
    quotas(world, &mut truth);
    truth
}

fn load_balancers(world: &World, truth: &mut Truth) {
    for (id, lb) in world.load_balancers.iter().filter(|(_, lb)| is_ours(&lb.tags)) {
        let of = ("load_balancer", id.as_str());
        let (controller, kind, name) = owner(&lb.tags).unwrap();
        let arn = world.load_balancer_arn(id);
        let info = [
            of,
            ("arn", arn.as_str()),
            ("dns_name", &lb.dns_name),
            ("scheme", &lb.scheme),
            ("vpc_id", lb.vpc_id.as_str()),
            ("controller", controller),
            ("owner_kind", kind),
            ("owner_name", &name.name),
            ("namespace", &name.namespace),
            ("service", if kind == "Service" { &name.name } else { "" }),
        ];
        truth.is("load_balancer_info", &info, 1);
        for state in ["active", "provisioning", "active_impaired", "failed"] {
            truth.is("load_balancer_state", &[of, ("state", state)], u8::from(lb.state == state));
        }
        truth.is("load_balancer_created_timestamp_seconds", &[of], lb.created_at.as_second() as f64);
        // The only group of a listener gets everything, and so it is in all of these worlds but where a weight is 0.
        for listener in lb.listeners.iter().filter(|it| it.forwards.len() > 1 || it.forwards.iter().any(|to| to.weight == 0)) {
            for to in &listener.forwards {
                let labels = [of, ("listener_port", &listener.port.to_string()), ("target_group", to.target_group.as_str())];
                truth.is("target_group_weight", &labels, to.weight);
            }
        }
        let groups: Vec<_> = world.target_groups.values().filter(|group| group.load_balancers.contains(id)).collect();
        let usage = "load_balancer_quota_usage";
        truth.counts(usage, &[of, ("quota", "listeners_per_network_load_balancer")], lb.listeners.len());
        // Asked for only where a Service names one.
        if kind == "Service" && lb.listeners.iter().any(|listener| listener.tls.is_some()) {
            let certificates: BTreeSet<_> = lb.listeners.iter().filter_map(|it| Some(&it.tls.as_ref()?.1)).collect();
            truth.counts(usage, &[of, ("quota", "certificates_per_network_load_balancer")], certificates.len());
        }
        let all: usize = groups.iter().map(|group| group.targets.len()).sum();
        truth.counts(usage, &[of, ("quota", "targets_per_network_load_balancer")], all);
        let fullest = if cross_zone(world, lb) {
            all
        } else {
            let in_zone = |zone: &ZoneName| {
                groups.iter().flat_map(|group| &group.targets).filter(|target| zone_of(world, target) == *zone).count()
            };
            world.zones.iter().map(|zone| in_zone(&zone.name)).max().unwrap()
        };
        truth.counts(usage, &[of, ("quota", "targets_per_availability_zone_per_network_load_balancer")], fullest);
    }
}

/// No group of these worlds overrides its load balancer.
fn cross_zone(world: &World, lb: &LoadBalancer) -> bool {
    &*world.load_balancer_attributes(lb)["load_balancing.cross_zone.enabled"] == "true"
}

fn zone_of(world: &World, target: &Target) -> ZoneName {
    target.zone.clone().unwrap_or_else(|| {
        world.nodes.values().find(|node| node.instance.as_str() == &*target.id).expect("an instance is a node").zone.clone()
    })
}

fn target_group(world: &World, id: &str, group: &TargetGroup, truth: &mut Truth) {
    let of = ("target_group", id);
    let (id, lb) = (group.load_balancers.first().unwrap(), &world.load_balancers[group.load_balancers.first().unwrap()]);
    let found = world.target_groups.iter().find(|(_, other)| std::ptr::eq(*other, group)).unwrap().0;
    // A listener has the number of its Service's port, and a route that of its Gateway's.
    let is_forwarded = |it: &&simulator::world::Listener| it.forwards.iter().any(|to| to.target_group == *found);
    let port = &lb.listeners.iter().find(is_forwarded).unwrap().port.to_string();
    let (controller, kind, mut name) = owner(&group.tags).unwrap();
    if kind == "Gateway" {
        // Their routes lead to the Services.
        let mut routes = world.routes.values().filter(|route| route.gateways.contains(&name));
        name = routes.next().unwrap().backends[0].0.clone();
    }
    let service = &world.services[&name];
    let arn = world.target_group_arn(found);
    let info = [
        of,
        ("load_balancer", id.as_str()),
        ("arn", arn.as_str()),
        ("namespace", &name.namespace),
        ("service", &name.name),
        ("service_port", port),
        ("target_type", &group.target_type),
        ("protocol", &group.protocol),
    ];
    truth.is("target_group_info", &info, 1);
    let in_state = |state: &str| group.targets.iter().filter(|target| target.health.state == state).count();
    for state in ["initial", "healthy", "unhealthy", "unhealthy.draining", "draining", "unused", "unavailable"] {
        truth.counts("target_group_targets", &[of, ("state", state)], in_state(state));
    }
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in group.targets.iter().filter_map(|target| target.health.reason.as_deref()) {
        *reasons.entry(reason).or_default() += 1;
    }
    for (reason, count) in reasons {
        truth.counts("target_group_unhealthy_targets", &[of, ("reason", reason)], count);
    }
    for (zone, ..) in &lb.zones {
        let here = || group.targets.iter().filter(|target| zone_of(world, target) == *zone);
        let healthy = here().filter(|target| target.health.state == "healthy").count();
        let labels = |state| [of, ("availability_zone", zone.as_str()), ("state", state)];
        truth.counts("target_group_zone_targets", &labels("healthy"), healthy);
        truth.counts("target_group_zone_targets", &labels("other"), here().count() - healthy);
    }
    truth.is("target_group_cross_zone_enabled", &[of], u8::from(cross_zone(world, lb)));
    for (condition, count) in [("ready", service.endpoints.len()), ("not_ready", 0), ("terminating", 0)] {
        truth.counts("target_group_endpoints", &[of, ("condition", condition)], count);
    }
    let hosts: BTreeSet<_> = service.endpoints.iter().map(|endpoint| &endpoint.node).collect();
    let (expected, healthy) = match (&*group.target_type, service.local_health_port) {
        ("ip", _) => (service.endpoints.len(), service.endpoints.len()),
        (_, None) => (world.nodes.len(), world.nodes.len()),
        (_, Some(_)) => (world.nodes.len(), hosts.len()),
    };
    // Which nodes the in-tree provider registers is not modelled.
    if controller != "in-tree" {
        truth.counts("target_group_expected_targets", &[of], expected);
        truth.counts("target_group_expected_healthy_targets", &[of], healthy);
        truth.is("target_group_missing_targets", &[of], 0);
        truth.is("target_group_unexpected_targets", &[of], 0);
    }
    truth.counts("target_group_quota_usage", &[of, ("quota", "targets_per_target_group")], group.targets.len());
    for target in group.targets.iter().filter(|target| target.health.state != "healthy") {
        let (node, _) = world.nodes.iter().find(|(_, node)| node.instance.as_str() == &*target.id).unwrap();
        let zone = zone_of(world, target);
        let labels = [
            of,
            ("target", &target.id),
            ("target_port", &target.port.to_string()),
            ("availability_zone", zone.as_str()),
            ("pod", ""),
            ("node", node.as_str()),
            ("state", &target.health.state),
            ("reason", target.health.reason.as_deref().unwrap()),
        ];
        truth.is("target_health", &labels, 1);
    }
}

fn services(world: &World, truth: &mut Truth) {
    for (name, service) in world.services.iter().filter(|(_, service)| service.service_type == ServiceType::LoadBalancer) {
        let Service { load_balancer_class, created_at, .. } = service;
        let of = [("namespace", &*name.namespace), ("service", &*name.name)];
        let class = load_balancer_class.as_deref().unwrap_or_default();
        let [one, two] = of;
        let mut owners = world.load_balancers.values().filter_map(|lb| owner(&lb.tags));
        let controller = owners.find(|(_, kind, of)| *kind == "Service" && of == name).unwrap().0;
        let info = [one, two, ("controller", controller), ("load_balancer_class", class)];
        truth.is("service_info", &info, 1);
        truth.is("service_created_timestamp_seconds", &of, created_at.as_second() as f64);
        truth.is("service_provisioned", &of, 1);
        truth.is("service_load_balancers", &of, 1);
        truth.is("service_load_balancer_missing", &of, 0);
        truth.is("service_lint_problems", &of, 0);
        // What the others make of annotations is not modelled.
        if controller == "aws-load-balancer-controller" {
            truth.is("service_drifted_annotations", &of, 0);
        }
    }
    for (name, gateway) in &world.gateways {
        let of = [("namespace", &*name.namespace), ("gateway", &*name.name)];
        let controller = &world.gateway_classes[&gateway.class].controller;
        truth.is("gateway_info", &[of[0], of[1], ("class", &gateway.class), ("controller", controller)], 1);
    }
    for kind in ["load_balancer", "security_group", "security_group_rule", "target_group"] {
        truth.is("orphaned_resources", &[("kind", kind)], 0);
    }
    if let Some(controller) = &world.controller {
        let name = ("controller", "aws-load-balancer-controller");
        truth.is("controller_info", &[name, ("version", &controller.version)], 1);
        truth.is("controller_leader_since_timestamp_seconds", &[name], controller.leading_since.as_second() as f64);
        truth.is("controller_replicas", &[name], controller.replicas);
        truth.is("controller_available_replicas", &[name], controller.available);
    }
    let scope = [
        ("account_id", "123456789012"),
        ("aws_region", "us-east-1"),
        ("cluster_name", "demo"),
        ("vpc_id", world.scope.vpc_id.as_str()),
    ];
    truth.is("exporter_scope_info", &scope, 1);
    truth.is("target_health_series_dropped", &[], 0);
}

fn subnets(world: &World, truth: &mut Truth) {
    let ours = || world.subnets.iter().filter(|(_, subnet)| subnet.vpc_id == world.scope.vpc_id);
    for (id, subnet) in ours() {
        let of = ("subnet_id", id.as_str());
        let zone = world.zones.iter().find(|zone| zone.name == subnet.zone).unwrap();
        let cidr = subnet.cidr.unwrap();
        let info = [
            of,
            ("subnet_name", tag(&subnet.tags, "Name").unwrap_or_default()),
            ("vpc_id", subnet.vpc_id.as_str()),
            ("availability_zone", zone.name.as_str()),
            ("zone_id", &zone.id),
            ("cidr", &cidr.to_string()),
        ];
        truth.is("subnet_info", &info, 1);
        truth.is("subnet_available_ip_addresses", &[of], subnet.free_addresses as f64);
        truth.counts("subnet_ip_addresses", &[of], cidr.hosts().count() + 2 - 5);
        truth.is("subnet_route", &[of, ("route", if is_public(world, id) { "public" } else { "private" })], 1);
    }
    for scheme in ["internet-facing", "internal"] {
        for (id, verdict) in verdicts(world, scheme, &free(world)) {
            truth.is("subnet_discovery", &[("subnet_id", id.as_str()), ("scheme", scheme), ("verdict", verdict)], 1);
        }
        truth.counts("scheme_usable_zones", &[("scheme", scheme)], chosen(world, scheme, &free(world)).len());
    }
}

fn is_public(world: &World, id: &SubnetId) -> bool {
    let explicit = world.route_tables.values().find(|table| table.subnets.contains(id));
    let main = || world.route_tables.values().find(|table| table.main && table.vpc_id == world.scope.vpc_id);
    explicit.or_else(main).unwrap().routes.iter().any(|(_, gateway)| gateway.starts_with("igw-"))
}

/// Free addresses of each subnet of the cluster's VPC.
type Free = BTreeMap<SubnetId, i64>;

fn free(world: &World) -> Free {
    let ours = world.subnets.iter().filter(|(_, subnet)| subnet.vpc_id == world.scope.vpc_id);
    ours.map(|(id, subnet)| (id.clone(), subnet.free_addresses)).collect()
}

fn tagged_clusters(tags: &Tags) -> BTreeSet<&str> {
    tags.keys().filter_map(|key| key.strip_prefix("kubernetes.io/cluster/")).collect()
}

/// What the controller makes of each subnet, of the versions that these worlds have.
fn verdicts(world: &World, scheme: &str, free: &Free) -> BTreeMap<SubnetId, &'static str> {
    let role = if scheme == "internal" { "kubernetes.io/role/internal-elb" } else { "kubernetes.io/role/elb" };
    let nobody_has_the_role = free.keys().all(|id| !world.subnets[id].tags.contains_key(role));
    let mut verdicts: BTreeMap<SubnetId, &'static str> = BTreeMap::new();
    for (id, addresses) in free {
        let tags = &world.subnets[id].tags;
        let clusters = tagged_clusters(tags);
        let verdict = if nobody_has_the_role && is_public(world, id) == (scheme == "internal") {
            if scheme == "internal" { "not_private" } else { "not_public" }
        } else if !nobody_has_the_role && !tags.contains_key(role) {
            "no_role_tag"
        } else if !clusters.is_empty() && !clusters.contains("demo") {
            "foreign_cluster"
        } else if *addresses < 8 {
            "few_addresses"
        } else {
            "outranked"
        };
        verdicts.insert(id.clone(), verdict);
    }
    for zone in &world.zones {
        let of_zone = |id: &&SubnetId| world.subnets[*id].zone == zone.name && verdicts[*id] == "outranked";
        let rank = |id: &&SubnetId| (!tagged_clusters(&world.subnets[*id].tags).contains("demo"), (*id).clone());
        if let Some(first) = verdicts.keys().filter(of_zone).min_by_key(rank).cloned() {
            verdicts.insert(first, "chosen");
        }
    }
    verdicts
}

fn chosen(world: &World, scheme: &str, free: &Free) -> Vec<SubnetId> {
    let all = verdicts(world, scheme, free).into_iter();
    all.filter(|(_, verdict)| *verdict == "chosen").map(|(id, _)| id).collect()
}

fn median(mut values: Vec<usize>) -> usize {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

/// Puts load balancers into the subnets, one after the other, until a zone that they are in now gets none, and until none
/// gets any.
fn simulated(world: &World, scheme: &str) -> (usize, usize) {
    let mut free = free(world);
    let of_scheme = ours(world).into_iter().filter(|lb| lb.scheme == scheme && lb.kind == "network");
    let leaves_the_choice = |lb: &&LoadBalancer| {
        let (_, _, name) = owner(&lb.tags).unwrap();
        let annotation = "service.beta.kubernetes.io/aws-load-balancer-subnets";
        world.services.get(&name).is_none_or(|service| !service.annotations.contains_key(annotation))
    };
    let (discovering, naming): (Vec<_>, Vec<_>) = of_scheme.partition(leaves_the_choice);
    let discovers = world.controller.is_some() && !discovering.is_empty();
    let now_in = if discovers { &discovering } else { if naming.is_empty() { &discovering } else { &naming } };
    let zones: BTreeSet<_> = now_in.iter().flat_map(|lb| &lb.zones).map(|(zone, ..)| zone.clone()).collect();
    let named: BTreeSet<SubnetId> = now_in.iter().flat_map(|lb| &lb.zones).map(|(_, subnet, _)| subnet.clone()).collect();
    let in_tree = world.controller.is_none();
    let mut in_all_zones = None;
    for placed in 0.. {
        let got: Vec<SubnetId> =
            if discovers { chosen(world, scheme, &free) } else { named.iter().filter(|id| free[*id] >= 8).cloned().collect() };
        let zones_got: BTreeSet<_> = got.iter().map(|id| world.subnets[id].zone.clone()).collect();
        if in_all_zones.is_none() && !zones.is_subset(&zones_got) {
            in_all_zones = Some(placed);
        }
        // The in-tree provider does not look at addresses: AWS refuses as soon as one subnet is full.
        if got.is_empty() || in_tree && in_all_zones.is_some() {
            return (in_all_zones.unwrap(), placed);
        }
        for id in got {
            *free.get_mut(&id).unwrap() -= 1;
        }
    }
    unreachable!("addresses are finite")
}

/// Inbound rules that one load balancer without security groups puts on the nodes' group, were it the only one.
fn rules_of(world: &World, lb: &LoadBalancer) -> usize {
    let mut rules = BTreeSet::new();
    let in_tree = world.controller.is_none();
    let subnets: Vec<String> = lb.zones.iter().map(|(_, id, _)| id.to_string()).collect();
    let clients: Vec<String> = if lb.scheme == "internal" && !in_tree {
        world.vpcs[&lb.vpc_id].cidrs.iter().map(ToString::to_string).collect()
    } else {
        vec!["0.0.0.0/0".to_owned()]
    };
    let id = world.load_balancers.iter().find(|(_, other)| std::ptr::eq(*other, lb)).unwrap().0;
    for group in world.target_groups.values().filter(|group| group.load_balancers.contains(id)) {
        let preserves = group.target_type == "instance"
            || group.protocol == "UDP"
            || tag(&group.attributes, "preserve_client_ip.enabled") == Some("true");
        let sources = if preserves { &clients } else { &subnets };
        rules.extend(sources.iter().map(|from| (group.protocol.to_string(), group.port.to_string(), from.clone())));
        let elsewhere = &*group.health_check.port != "traffic-port";
        if elsewhere || group.protocol == "UDP" {
            let port = if elsewhere { group.health_check.port.to_string() } else { group.port.to_string() };
            rules.extend(subnets.iter().map(|from| ("TCP".to_owned(), port.clone(), from.clone())));
        }
    }
    rules.len()
}

/// Of a VPC that another account shares, what else is in it cannot be seen.
fn is_seen_whole(world: &World, quota: &str) -> bool {
    let shared = world.subnets.values().any(|subnet| subnet.shared_by.is_some());
    !shared || !["network_load_balancer_enis_per_vpc", "route_tables_per_vpc", "subnets_per_vpc"].contains(&quota)
}

/// How many more fit, and what one more takes.
fn headroom(world: &World, truth: &mut Truth) {
    let ours = ours(world);
    let in_vpc = |kind: &str| {
        let all = world.network_interfaces.values().filter(|it| it.vpc_id == world.scope.vpc_id || kind.is_empty());
        all.filter(|it| kind.is_empty() || it.kind == kind).collect::<Vec<_>>()
    };
    let groups_of = |lb: &&&LoadBalancer| {
        let id = world.load_balancers.iter().find(|(_, other)| std::ptr::eq(*other, **lb)).unwrap().0;
        world.target_groups.values().filter(|group| group.load_balancers.contains(id)).count()
    };
    let has_groups = ours.iter().any(|lb| !lb.security_groups.is_empty());
    let public = ours.iter().filter(|lb| lb.scheme == "internet-facing");
    let own_addresses = median(public.map(|lb| lb.zones.iter().filter(|zone| zone.2.is_some()).count()).collect());
    let fullest = world.zones.iter().map(|zone| in_vpc("").iter().filter(|it| it.zone == zone.name).count()).max().unwrap();
    let own = || world.addresses.values().filter(|it| it.service_managed.is_none());
    let takes = [
        ("network_load_balancers", world.load_balancers.len(), 1),
        ("target_groups", world.target_groups.len(), median(ours.iter().map(|lb| groups_of(&lb)).collect())),
        (
            "network_load_balancer_enis_per_vpc",
            in_vpc("network_load_balancer").len(),
            median(ours.iter().map(|lb| lb.zones.len()).collect()),
        ),
        // Auto Mode makes a group too, and the controller where its load balancers have any.
        ("security_groups", world.security_groups.len(), usize::from(has_groups && world.controller.is_some())),
        ("network_interfaces_per_availability_zone", fullest, 1),
        // One that nobody uses can be had as well.
        ("elastic_ips", own().filter(|it| it.associated).count(), own_addresses),
    ];
    let limit = |name: &str| {
        let quota = QUOTAS.iter().find(|quota| quota.name == name).unwrap();
        world.quotas[&(quota.service_code, quota.quota_code)].value() as usize
    };
    let node_group = &world.security_groups[&world.scope.node_group];
    let used = |family| node_group.inbound.iter().map(|rule| weight(world, rule, family)).sum::<usize>();
    let rules: Vec<(&str, usize)> = match (&world.controller, has_groups) {
        // One rule lets in the shared group, and counts in both families; it may have to be split.
        (Some(_), true) => vec![("ipv4", 1), ("ipv6", 1)],
        (None, true) => vec![],
        (_, false) => vec![("ipv4", median(ours.iter().map(|lb| rules_of(world, lb)).collect()))],
    };
    for (family, need) in &rules {
        let of = ("security_group_id", world.scope.node_group.as_str());
        let labels = [of, ("direction", "inbound"), ("ip_family", family)];
        truth.counts("security_group_rules_needed_per_load_balancer", &labels, *need);
    }
    let takes: Vec<_> = takes.into_iter().filter(|(quota, _, need)| *need > 0 && is_seen_whole(world, quota)).collect();
    for (quota, _, need) in &takes {
        truth.counts("quota_needed_per_load_balancer", &[("quota", quota)], *need);
    }
    let schemes: BTreeSet<&str> = ours.iter().map(|lb| &*lb.scheme).collect();
    for scheme in schemes {
        let mut is = |constraint, count| {
            truth.counts("headroom_load_balancers", &[("scheme", scheme), ("constraint", constraint)], count);
        };
        for (quota, used, need) in &takes {
            if *quota != "elastic_ips" || scheme == "internet-facing" {
                is(quota, (limit(quota) - used) / need);
            }
        }
        let by_rules = rules.iter().map(|(family, need)| (limit("rules_per_security_group") - used(family)) / need);
        if let Some(least) = by_rules.min() {
            is("rules_per_security_group", least);
        }
        if owner(&ours[0].tags).unwrap().0 != "eks-auto-mode" {
            let (current, any) = simulated(world, scheme);
            is("subnets_current_zones", current);
            is("subnets_any_zone", any);
        }
    }
}

fn security_groups(world: &World, truth: &mut Truth) {
    for (id, group) in &world.security_groups {
        let frontend;
        let (role, namespace, service) = if *id == world.scope.node_group {
            ("endpoint", "", "")
        } else if *id == world.scope.backend_group {
            ("backend", "", "")
        } else if group.name.starts_with("eks-cluster-sg-") {
            ("cluster", "", "")
        } else if is_ours(&group.tags) {
            let (_, kind, name) = owner(&group.tags).unwrap();
            frontend = name;
            let of_service = kind == "Service";
            let label = |text| if of_service { text } else { "" };
            ("frontend_managed", label(&*frontend.namespace), label(&*frontend.name))
        } else {
            continue;
        };
        let of = ("security_group_id", id.as_str());
        truth.is("security_group_info", &[of, ("group_name", &group.name), ("vpc_id", group.vpc_id.as_str())], 1);
        truth.is("security_group_role", &[of, ("role", role), ("namespace", namespace), ("service", service)], 1);
        for (direction, rules) in [("inbound", &group.inbound), ("outbound", &group.outbound)] {
            for family in ["ipv4", "ipv6"] {
                let labels = [of, ("direction", direction), ("ip_family", family)];
                truth.counts("security_group_rules", &labels, rules.iter().map(|rule| weight(world, rule, family)).sum());
            }
        }
    }
}

/// As how many rules of a family one counts.
fn weight(world: &World, rule: &Rule, family: &str) -> usize {
    match &rule.peer {
        Peer::SecurityGroup(_) => 1,
        Peer::Cidr(net) => usize::from(net.addr().is_ipv4() == (family == "ipv4")),
        Peer::PrefixList(id) => {
            let list = &world.prefix_lists[id];
            let size = usize::try_from(list.max_entries.expect("only the account's own list is used")).unwrap();
            if list.family.eq_ignore_ascii_case(family) { size } else { 0 }
        }
    }
}

fn quotas(world: &World, truth: &mut Truth) {
    for quota in QUOTAS {
        let value = world.quotas[&(quota.service_code, quota.quota_code)].value();
        truth.is("quota_limit", &[("quota", quota.name)], value);
        truth.is("quota_limit_assumed", &[("quota", quota.name)], 0);
    }
    let ours_all = self::ours(world);
    let ours = |vpc: &eks_nlb_exporter::inventory::ids::VpcId| *vpc == world.scope.vpc_id;
    let interfaces = || world.network_interfaces.values();
    let tables = || world.route_tables.values().filter(|table| ours(&table.vpc_id));
    let in_zone = |zone: &ZoneName| interfaces().filter(|interface| interface.zone == *zone).count();
    let own_addresses = |associated: bool, managed: bool| {
        let addresses = world.addresses.values();
        addresses.filter(|it| it.associated == associated && it.service_managed.is_some() == managed).count()
    };
    for (quota, used) in [
        ("network_load_balancers", world.load_balancers.len()),
        ("target_groups", world.target_groups.len()),
        (
            "network_load_balancer_enis_per_vpc",
            interfaces().filter(|it| it.kind == "network_load_balancer" && ours(&it.vpc_id)).count(),
        ),
        ("security_groups", world.security_groups.len()),
        ("security_groups_per_network_interface", ours_all.iter().map(|lb| lb.security_groups.len()).max().unwrap()),
        ("network_interfaces_per_availability_zone", world.zones.iter().map(|zone| in_zone(&zone.name)).max().unwrap()),
        ("subnets_per_vpc", world.subnets.values().filter(|subnet| ours(&subnet.vpc_id)).count()),
        ("route_tables_per_vpc", tables().count()),
        ("routes_per_route_table", tables().map(|table| table.routes.len()).max().unwrap()),
        ("elastic_ips", own_addresses(true, false) + own_addresses(false, false)),
    ] {
        if is_seen_whole(world, quota) {
            truth.counts("quota_usage", &[("quota", quota)], used);
        }
    }
    for (managed_by, managed) in [("account", false), ("service", true)] {
        for (text, associated) in [("true", true), ("false", false)] {
            let labels = [("managed_by", managed_by), ("associated", text)];
            truth.counts("elastic_ips", &labels, own_addresses(associated, managed));
        }
    }
}

/// Builds, reads, judges and compares a world. Returns the names of its series.
async fn compare(sizes: Sizes) -> Vec<String> {
    compare_kind(WorldKind::Mixed, sizes).await.unwrap_or_else(|differences| panic!("{differences}"))
}

async fn compare_kind(world: WorldKind, sizes: Sizes) -> Result<Vec<String>, String> {
    let simulator = simulator::start(SimulatorSettings { world, sizes, ..SimulatorSettings::default() }).await.unwrap();
    let (_, outcome) = judge(gather_simulated(&simulator).await);
    // Information and no complaint: the in-tree provider's Services, and that a VPC is another account's.
    let informs = match world {
        WorldKind::InTree => "NLB702",
        WorldKind::SharedVpc => "NLB405",
        _ => "none",
    };
    assert!(outcome.findings.iter().all(|it| it.kind.code == informs), "{:#?}", told(&outcome));
    let all = series(&outcome);
    let names = all.keys().cloned().collect();
    let family = |name: &str| name.split('{').next().unwrap_or_default().to_owned();
    let shown: BTreeMap<_, _> = all.into_iter().filter(|(name, _)| !OF_THE_READING.contains(&family(name).as_str())).collect();
    let Truth(truth) = simulator.world.read(truth);
    let mut differences: Vec<String> = Vec::new();
    for (name, value) in &truth {
        match shown.get(name) {
            Some(shown) if shown == value => {}
            other => differences.push(format!("{name} is {value} and shown as {other:?}")),
        }
    }
    differences.extend(
        shown
            .iter()
            .filter(|(name, _)| !truth.contains_key(*name))
            .map(|(name, value)| format!("{name} {value} is shown and not true")),
    );
    if differences.is_empty() {
        return Ok(names);
    }
    let told = differences[..differences.len().min(40)].join("\n");
    Err(format!("{world:?}: {} of {} differ:\n{told}\n", differences.len(), truth.len()))
}

#[tokio::test]
async fn every_value_of_every_kind_of_world_is_true() {
    let mut differences = String::new();
    for kind in WorldKind::ALL {
        differences.extend(compare_kind(kind, Sizes::default()).await.err());
    }
    assert!(differences.is_empty(), "{differences}");
}

#[tokio::test]
async fn every_value_of_a_shared_region_is_true_and_the_neighbours_are_nobodys_business() {
    compare(Sizes { load_balancers: 20, target_groups: 45, targets: 200, services: 11, security_groups: 60, ..Sizes::default() })
        .await;
}

/// The proportions of the biggest world that is promised, a twentieth of its size: how many series a load balancer costs.
#[tokio::test]
async fn every_value_of_a_middling_world_is_true_and_its_series_are_within_their_budget() {
    let sizes = Sizes {
        load_balancers: 50,
        target_groups: 150,
        targets: 1_500,
        services: 50,
        endpoints: 1_500,
        subnets: 12,
        zones: 3,
        security_groups: 55,
        rules_per_group: 40,
        nodes: 12,
    };
    let names = compare(sizes).await;
    let with = |label: &str| names.iter().filter(|name| name.contains(label) && !name.starts_with("target_health{")).count();
    let growing: usize = ["{load_balancer=", "{target_group=", "{namespace=", "{security_group_id="].into_iter().map(with).sum();
    // The biggest has five times as many subnets, and what the exporter says of itself is some hundreds.
    let fixed = names.len() - growing;
    let at_the_biggest = 20 * growing + 5 * with("{subnet_id=") + fixed + 500;
    assert!(at_the_biggest <= 100_000, "{at_the_biggest} series");
}
