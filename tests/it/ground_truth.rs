//! Is every value true? Whole simulated worlds are read through the real clients, and every family is compared with what the
//! world itself holds, counted here anew in the plainest way. A healthy world has no finding at all.

use std::collections::{BTreeMap, BTreeSet};

use eks_nlb_exporter::inventory::aws::{Peer, Rule, Tags};
use eks_nlb_exporter::inventory::ids::{ObjectName, SubnetId, ZoneName};
use eks_nlb_exporter::inventory::kube::ServiceType;
use eks_nlb_exporter::inventory::quota::QUOTAS;
use eks_nlb_exporter::simulator::world::{LoadBalancer, Service, Target, TargetGroup, World};
use eks_nlb_exporter::simulator::{self, SimulatorSettings, Sizes};

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

fn is_ours(tags: &Tags) -> bool {
    tag(tags, "elbv2.k8s.aws/cluster") == Some("demo")
}

fn truth(world: &World) -> Truth {
    let mut truth = Truth::default();
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
        let (namespace, service) = tag(&lb.tags, "service.k8s.aws/stack").unwrap().split_once('/').unwrap();
        let arn = world.load_balancer_arn(id);
        let info = [
            of,
            ("arn", arn.as_str()),
            ("dns_name", &lb.dns_name),
            ("scheme", &lb.scheme),
            ("vpc_id", lb.vpc_id.as_str()),
            ("controller", "aws-load-balancer-controller"),
            ("owner_kind", "Service"),
            ("owner_name", service),
            ("namespace", namespace),
            ("service", service),
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
    let (backend, port) = tag(&group.tags, "service.k8s.aws/resource").unwrap().rsplit_once(':').unwrap();
    let name = ObjectName::parse(backend).unwrap();
    let service = &world.services[&name];
    let found = world.target_groups.iter().find(|(_, other)| std::ptr::eq(*other, group)).unwrap().0;
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
    truth.counts("target_group_expected_targets", &[of], expected);
    truth.counts("target_group_expected_healthy_targets", &[of], healthy);
    truth.is("target_group_missing_targets", &[of], 0);
    truth.is("target_group_unexpected_targets", &[of], 0);
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
        let info = [one, two, ("controller", "aws-load-balancer-controller"), ("load_balancer_class", class)];
        truth.is("service_info", &info, 1);
        truth.is("service_created_timestamp_seconds", &of, created_at.as_second() as f64);
        truth.is("service_provisioned", &of, 1);
        truth.is("service_load_balancers", &of, 1);
        truth.is("service_drifted_annotations", &of, 0);
    }
    let controller = world.controller.as_ref().unwrap();
    let name = ("controller", "aws-load-balancer-controller");
    truth.is("controller_info", &[name, ("version", &controller.version)], 1);
    truth.is("controller_leader_since_timestamp_seconds", &[name], controller.leading_since.as_second() as f64);
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
    let is_public = |id: &SubnetId| {
        let explicit = world.route_tables.values().find(|table| table.subnets.contains(id));
        let main = || world.route_tables.values().find(|table| table.main && table.vpc_id == world.scope.vpc_id);
        explicit.or_else(main).unwrap().routes.iter().any(|(_, gateway)| gateway.starts_with("igw-"))
    };
    for (id, subnet) in ours() {
        let of = ("subnet_id", id.as_str());
        let zone = world.zones.iter().find(|zone| zone.name == subnet.zone).unwrap();
        let cidr = subnet.cidr.unwrap();
        let info = [
            of,
            ("subnet_name", tag(&subnet.tags, "Name").unwrap()),
            ("vpc_id", subnet.vpc_id.as_str()),
            ("availability_zone", zone.name.as_str()),
            ("zone_id", &zone.id),
            ("cidr", &cidr.to_string()),
        ];
        truth.is("subnet_info", &info, 1);
        truth.is("subnet_available_ip_addresses", &[of], subnet.free_addresses as f64);
        truth.counts("subnet_ip_addresses", &[of], cidr.hosts().count() + 2 - 5);
        truth.is("subnet_route", &[of, ("route", if is_public(id) { "public" } else { "private" })], 1);
        for (scheme, role) in [("internet-facing", "kubernetes.io/role/elb"), ("internal", "kubernetes.io/role/internal-elb")] {
            let first =
                ours().filter(|(_, other)| other.zone == subnet.zone && other.tags.contains_key(role)).map(|(id, _)| id).min();
            let verdict = match subnet.tags.contains_key(role) {
                false => "no_role_tag",
                true if first == Some(id) => "chosen",
                true => "outranked",
            };
            truth.is("subnet_discovery", &[of, ("scheme", scheme), ("verdict", verdict)], 1);
        }
    }
    for scheme in ["internet-facing", "internal"] {
        truth.counts("scheme_usable_zones", &[("scheme", scheme)], world.zones.len());
    }
}

fn security_groups(world: &World, truth: &mut Truth) {
    for (id, group) in &world.security_groups {
        let (role, namespace, service) = if *id == world.scope.node_group {
            ("endpoint", "", "")
        } else if *id == world.scope.backend_group {
            ("backend", "", "")
        } else if group.name.starts_with("eks-cluster-sg-") {
            ("cluster", "", "")
        } else if is_ours(&group.tags) {
            let (namespace, service) = tag(&group.tags, "service.k8s.aws/stack").unwrap().split_once('/').unwrap();
            ("frontend_managed", namespace, service)
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
        ("security_groups_per_network_interface", 2),
        ("network_interfaces_per_availability_zone", world.zones.iter().map(|zone| in_zone(&zone.name)).max().unwrap()),
        ("subnets_per_vpc", world.subnets.values().filter(|subnet| ours(&subnet.vpc_id)).count()),
        ("route_tables_per_vpc", tables().count()),
        ("routes_per_route_table", tables().map(|table| table.routes.len()).max().unwrap()),
        ("elastic_ips", own_addresses(true, false) + own_addresses(false, false)),
    ] {
        truth.counts("quota_usage", &[("quota", quota)], used);
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
    let simulator = simulator::start(SimulatorSettings { sizes, ..SimulatorSettings::default() }).await.unwrap();
    let (_, outcome) = judge(gather_simulated(&simulator).await);
    assert!(outcome.findings.is_empty(), "{:#?}", told(&outcome));
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
    assert!(
        differences.is_empty(),
        "{} of {} differ:\n{}",
        differences.len(),
        truth.len(),
        differences[..differences.len().min(40)].join("\n")
    );
    names
}

#[tokio::test]
async fn every_value_of_the_default_world_is_true_and_nothing_is_found() {
    compare(Sizes::default()).await;
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
