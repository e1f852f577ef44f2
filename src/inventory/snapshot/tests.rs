use super::*;
use crate::inventory::aws::{
    HealthCheck, IpAddressType, IpFamily, LoadBalancerState, Scheme, Subnet, Tags, TargetState, TargetType,
};
use crate::inventory::ids::{Arn, VpcId};
use crate::inventory::kube::{BindingGroup, ConditionStatus, Node};
use crate::inventory::part::Part;
use crate::inventory::parts::{SourceStatus, source};

const LB: &str = "arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/net/web/1";
const TG: &str = "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/web/1";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn expiry() -> Expiry {
    Expiry { max_staleness: Duration::from_secs(1800) }
}

fn load_balancer(arn: &str) -> LoadBalancer {
    let arn = Arn::from(arn);
    LoadBalancer {
        id: arn.load_balancer().unwrap(),
        arn,
        name: "web".into(),
        dns_name: "web.elb.amazonaws.com".into(),
        scheme: Scheme::Internal,
        vpc_id: VpcId::from("vpc-1"),
        state: LoadBalancerState::Active,
        state_reason: None,
        created_at: None,
        ip_address_type: IpAddressType::Ipv4,
        zones: Vec::new(),
        security_groups: BTreeSet::new(),
        enforce_inbound_rules_on_private_link: None,
        enable_prefix_for_ipv6_source_nat: None,
    }
}

fn target_group(arn: &str, load_balancers: &[&str]) -> TargetGroup {
    let arn = Arn::from(arn);
    TargetGroup {
        id: arn.target_group().unwrap(),
        arn,
        name: "web".into(),
        protocol: "TCP".into(),
        target_type: TargetType::Ip,
        vpc_id: None,
        load_balancers: load_balancers.iter().map(|arn| Arn::from(*arn).load_balancer().unwrap()).collect(),
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
    }
}

fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

fn binding(arn: &str) -> TargetGroupBinding {
    TargetGroupBinding {
        name: ObjectName::new("shop", "web-1"),
        group: BindingGroup::LoadBalancerController,
        created_at: at(0),
        deleted_at: None,
        target_group_arn: Some(Arn::from(arn)),
        target_type: Some(TargetType::Ip),
        service: ObjectName::new("shop", "web"),
        service_port: PortReference::Number(80),
        networking: true,
        node_selector: None,
        multi_cluster: false,
        other_account: false,
        vpc_id: None,
        stack: None,
    }
}

fn world() -> Parts {
    let mut parts = Parts::default();
    parts.scope.cluster_name = Some("demo".into());
    let lb = load_balancer(LB);
    let tg = target_group(TG, &[LB]);
    parts.load_balancers = Part::fetched(BTreeMap::from([(lb.id.clone(), Arc::new(lb))]), at(100));
    parts.target_groups = Part::fetched(BTreeMap::from([(tg.id.clone(), Arc::new(tg))]), at(100));
    parts
}

fn tag(parts: &mut Parts, arn: &str, pairs: &[(&str, &str)]) {
    Arc::make_mut(&mut parts.tags).insert(Arn::from(arn), Part::fetched(tags(pairs), at(100)));
}

fn bind(parts: &mut Parts, bindings: Vec<TargetGroupBinding>) {
    let bindings = bindings.into_iter().map(|binding| (binding.name.clone(), Arc::new(binding))).collect();
    parts.target_group_bindings = Part::fetched(bindings, at(100));
}

#[test]
fn a_tagged_load_balancer_is_joined_to_its_service_and_groups() {
    let mut parts = world();
    tag(&mut parts, LB, &[("elbv2.k8s.aws/cluster", "demo"), ("service.k8s.aws/stack", "shop/web")]);
    let picture = Snapshot::join(parts, at(100), expiry());
    let service = ObjectName::new("shop", "web");
    let id = Arn::from(LB).load_balancer().unwrap();
    assert_eq!(picture.service_load_balancers[&service], BTreeSet::from([id.clone()]));
    assert_eq!(picture.load_balancers[&id].target_groups.len(), 1, "an untagged group on our load balancer is ours too");
}

#[test]
fn what_a_user_bound_is_ours_without_any_tag() {
    let mut parts = world();
    bind(&mut parts, vec![binding(TG)]);
    let picture = Snapshot::join(parts, at(100), expiry());
    let group = picture.target_groups.values().next().unwrap();
    assert_eq!(group.backend, Some((ObjectName::new("shop", "web"), PortReference::Number(80))));
    let load_balancer = picture.load_balancers.values().next().unwrap();
    assert_eq!((load_balancer.controller, &load_balancer.owner), (Controller::None, &Owner::None));
    assert!(picture.service_load_balancers.is_empty());
}

#[test]
fn resources_of_nobody_are_not_in_the_picture() {
    let picture = Snapshot::join(world(), at(100), expiry());
    assert!(picture.load_balancers.is_empty() && picture.target_groups.is_empty());
}

#[test]
fn with_weighted_backends_the_binding_says_whose_pods() {
    let mut parts = world();
    let tagged = [
        ("elbv2.k8s.aws/cluster", "demo"),
        ("service.k8s.aws/stack", "shop/front"),
        ("service.k8s.aws/resource", "shop/canary:80"),
    ];
    tag(&mut parts, TG, &tagged);
    let group = |parts: Parts| Snapshot::join(parts, at(100), expiry()).target_groups.into_values().next().unwrap();
    let by_tag = group(parts.clone());
    assert_eq!(by_tag.stack, Some(ObjectName::new("shop", "front")));
    assert_eq!(by_tag.backend.unwrap().0, ObjectName::new("shop", "canary"));
    bind(&mut parts, vec![binding(TG)]);
    assert_eq!(group(parts).backend.unwrap().0, ObjectName::new("shop", "web"));
}

#[test]
fn two_bindings_or_a_multi_cluster_one_make_a_group_shared() {
    let mut other = binding(TG);
    other.name = ObjectName::new("shop", "web-2");
    let mut multi = binding(TG);
    multi.multi_cluster = true;
    for (bindings, shared) in [(vec![binding(TG)], false), (vec![binding(TG), other], true), (vec![multi], true)] {
        let mut parts = world();
        bind(&mut parts, bindings);
        assert_eq!(Snapshot::join(parts, at(100), expiry()).target_groups.values().next().unwrap().shared, shared);
    }
}

#[test]
fn the_effective_cross_zone_setting_needs_what_it_depends_on() {
    let lb = Arn::from(LB).load_balancer().unwrap();
    let tg = Arn::from(TG).target_group().unwrap();
    let key = "load_balancing.cross_zone.enabled";
    let cases = [
        (None, None, None),
        (Some("true"), None, Some(true)),
        (Some("false"), Some("true"), Some(false)),
        (Some("use_load_balancer_configuration"), Some("true"), Some(true)),
        (Some("use_load_balancer_configuration"), None, None),
    ];
    for (own, of_lb, effective) in cases {
        let mut parts = world();
        bind(&mut parts, vec![binding(TG)]);
        if let Some(own) = own {
            Arc::make_mut(&mut parts.target_group_attributes).insert(tg.clone(), Part::fetched(tags(&[(key, own)]), at(100)));
        }
        if let Some(of_lb) = of_lb {
            Arc::make_mut(&mut parts.load_balancer_attributes).insert(lb.clone(), Part::fetched(tags(&[(key, of_lb)]), at(100)));
        }
        let picture = Snapshot::join(parts, at(100), expiry());
        assert_eq!(picture.target_groups[&tg].cross_zone, effective, "{own:?} {of_lb:?}");
    }
}

#[test]
fn a_targets_zone_is_its_own_word_then_its_nodes_then_its_subnets() {
    let mut parts = world();
    let subnet = Subnet {
        id: SubnetId::from("subnet-1"),
        vpc_id: VpcId::from("vpc-1"),
        zone: ZoneName::from("us-east-1b"),
        zone_id: "use1-az2".into(),
        cidr: Some("10.0.1.0/24".parse().unwrap()),
        ipv6_cidrs: vec!["2001:db8::/64".parse().unwrap()],
        available_ip_addresses: Some(200),
        on_outpost: false,
        owner_id: "1".into(),
        tags: Tags::new(),
    };
    parts.subnets = Part::fetched(BTreeMap::from([(subnet.id.clone(), Arc::new(subnet))]), at(100));
    let node = Node {
        name: NodeName::from("node-1"),
        instance_id: Some(InstanceId::from("i-1")),
        zone: Some(ZoneName::from("us-east-1c")),
        internal_ips: Vec::new(),
        ready: ConditionStatus::True,
        ready_changed_at: None,
        labels: BTreeMap::new(),
        taints: BTreeSet::new(),
        changed_at: None,
    };
    parts.nodes = Part::fetched(BTreeMap::from([(node.name.clone(), Arc::new(node))]), at(100));
    let picture = Snapshot::join(parts, at(100), expiry());
    let zone = |id: &str, zone: Option<&str>| {
        let zone = zone.map(ZoneName::from);
        let target =
            Target { id: id.into(), port: Some(80), zone, state: TargetState::Healthy, reason: None, zonal_shift: false };
        picture.zone_of_target(&target).map(|zone| zone.to_string())
    };
    assert_eq!(zone("10.0.1.7", Some("us-east-1a")).as_deref(), Some("us-east-1a"));
    assert_eq!(zone("i-1", None).as_deref(), Some("us-east-1c"));
    assert_eq!(zone("10.0.1.7", None).as_deref(), Some("us-east-1b"));
    assert_eq!(zone("10.0.1.7", Some("all")).as_deref(), Some("us-east-1b"));
    assert_eq!(zone("2001:db8::7", None).as_deref(), Some("us-east-1b"));
    for unknown in ["10.0.2.7", "10.0.0.255", "i-2", "arn:aws:x"] {
        assert_eq!(zone(unknown, None), None, "{unknown}");
    }
}

#[test]
fn a_value_vanishes_after_its_staleness_and_not_before() {
    let mut parts = world();
    tag(&mut parts, LB, &[("elbv2.k8s.aws/cluster", "demo"), ("service.k8s.aws/stack", "shop/web")]);
    let status = SourceStatus { interval_seconds: 900, ..SourceStatus::default() };
    parts.sources = Arc::new(BTreeMap::from([(source::TAGS.into(), status)]));
    let lists_at = |second| Snapshot::join(parts.clone(), at(second), expiry()).parts.load_balancers.value.is_some();
    assert!(lists_at(100 + 1800));
    assert!(!lists_at(100 + 1801));
    // Tags come every 15 minutes, so they live for at least three of these.
    let tags_at = |second| Snapshot::join(parts.clone(), at(second), expiry()).parts.tags[&Arn::from(LB)].value.is_some();
    assert!(tags_at(100 + 2700));
    assert!(!tags_at(100 + 2701));
}

#[test]
fn what_arrived_of_a_list_that_never_was_complete_vanishes_too() {
    let failure = || crate::inventory::part::Failure {
        category: crate::inventory::part::FailureCategory::Throttled,
        operation: "ec2:DescribeSubnets".into(),
        message: String::new(),
    };
    let mut parts = world();
    let one = load_balancer(LB);
    parts.load_balancers = Part::default();
    parts.load_balancers.incomplete(BTreeMap::from([(one.id.clone(), Arc::new(one))]), failure(), at(100));
    // A try that brings nothing makes it no younger.
    parts.load_balancers.incomplete(BTreeMap::new(), failure(), at(1000));
    let known_at = |second| Snapshot::join(parts.clone(), at(second), expiry()).parts.load_balancers.value.is_some();
    assert!(known_at(100 + 1800));
    assert!(!known_at(100 + 1801));
}
