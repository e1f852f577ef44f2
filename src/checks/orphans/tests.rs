use std::sync::Arc;

use super::*;
use crate::checks::testing::{BORN, FETCHED, Said, World, at, controller, fetched, insert, map, security_group, service};
use crate::inventory::aws::{Peer, Rule, Target, TargetHealth};
use crate::inventory::ids::{Arn, ObjectName, TargetGroupId};
use crate::inventory::kube::{BindingGroup, ConditionStatus, Gateway, LeaderLease, PortReference, TargetGroupBinding};
use crate::inventory::part::{Failure, FailureCategory, Part};
use crate::inventory::parts::SourceStatus;

const LB: &str = "arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/net/one/1";
const TG: &str = "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/p80/1";

fn web() -> ObjectName {
    ObjectName::new("shop", "web")
}

/// A Service with its load balancer, target group and managed security group.
fn healthy() -> World {
    World::of(&service("shop/web").external("ip"))
}

/// The same after the Service was deleted long ago and all of that was left behind.
fn left_behind() -> World {
    healthy().with(|world| world.parts.services = fetched([]))
}

fn judge(world: &World) -> Said {
    world.judge(&CHECK)
}

fn counts(load_balancers: usize, target_groups: usize, groups: usize, rules: usize) -> [String; 4] {
    [
        format!("load_balancer {load_balancers}"),
        format!("security_group {groups}"),
        format!("security_group_rule {rules}"),
        format!("target_group {target_groups}"),
    ]
}

fn retag(world: &mut World, arn: &str, pairs: &[(&str, &str)]) {
    Arc::make_mut(&mut world.parts.tags).insert(arn.into(), Part::fetched(map(pairs), at(FETCHED)));
}

fn binding(stack: Option<ObjectName>, multi_cluster: bool) -> TargetGroupBinding {
    TargetGroupBinding {
        name: ObjectName::new("shop", "b"),
        group: BindingGroup::LoadBalancerController,
        created_at: at(BORN),
        deleted_at: None,
        target_group_arn: Some(TG.into()),
        target_type: None,
        service: ObjectName::new("shop", "other"),
        service_port: PortReference::Number(80),
        networking: false,
        node_selector: None,
        multi_cluster,
        other_account: false,
        vpc_id: None,
        stack,
    }
}

fn bind(world: &mut World, binding: TargetGroupBinding) {
    insert(&mut world.parts.target_group_bindings, binding.name.clone(), binding);
}

fn detach(world: &mut World) {
    world.parts.load_balancers = fetched([]);
    let list = Arc::make_mut(world.parts.target_groups.value.as_mut().unwrap());
    list.values_mut().for_each(|group| Arc::make_mut(group).load_balancers.clear());
}

#[test]
fn a_service_with_what_belongs_to_it_is_no_orphan() {
    let said = judge(&healthy());
    assert_eq!(said.codes(), [""; 0]);
    assert_eq!(said.family("orphaned_resources"), counts(0, 0, 0, 0));
}

#[test]
fn what_a_service_left_behind_is_counted_and_told_once_t34() {
    let world = left_behind();
    let said = judge(&world);
    assert_eq!(said.codes(), ["NLB704"], "its group and security group are told with the load balancer");
    assert_eq!(said.family("orphaned_resources"), counts(1, 1, 1, 0));
    assert_eq!(
        said.findings(&ORPHANED_LOAD_BALANCER),
        [
            "load balancer net/one/1: net/one/1 is tagged by the AWS Load Balancer Controller for Service shop/web of cluster demo, \
          which has no such Service; it was created 1970-01-12T13:47:00Z, and 1 target groups are on it."
        ]
    );
    let serving = world.with(|world| {
        let target = Target {
            id: "10.0.0.1".into(),
            port: Some(1),
            zone: None,
            state: TargetState::Healthy,
            reason: None,
            zonal_shift: false,
        };
        let health = TargetHealth { targets: vec![target], changed_at: at(BORN) };
        Arc::make_mut(&mut world.parts.target_health).insert("targetgroup/p80/1".into(), Part::fetched(health, at(FETCHED)));
    });
    assert!(judge(&serving).findings(&ORPHANED_LOAD_BALANCER)[0].ends_with("with 1 healthy targets, so it may serve somebody."));
}

#[test]
fn a_target_group_and_a_security_group_without_their_load_balancer_are_told_themselves() {
    let said = judge(&left_behind().with(detach));
    assert_eq!(said.codes(), ["NLB705", "NLB706"]);
    assert_eq!(said.family("orphaned_resources"), counts(0, 1, 1, 0));
}

#[test]
fn every_tag_family_is_looked_at_and_foreign_ones_never_t34_t37() {
    type Pairs = [(&'static str, &'static str); 2];
    let cases: [(Pairs, bool); 9] = [
        ([("elbv2.k8s.aws/cluster", "demo"), ("service.k8s.aws/stack", "shop/gone")], true),
        ([("eks:eks-cluster-name", "demo"), ("service.eks.amazonaws.com/stack", "shop/gone")], true),
        ([("kubernetes.io/cluster/demo", "owned"), ("kubernetes.io/service-name", "shop/gone")], true),
        ([("elbv2.k8s.aws/cluster", "other"), ("service.k8s.aws/stack", "shop/gone")], false),
        ([("eks:eks-cluster-name", "other"), ("service.eks.amazonaws.com/stack", "shop/gone")], false),
        ([("kubernetes.io/cluster/other", "owned"), ("kubernetes.io/service-name", "shop/gone")], false),
        ([("elbv2.k8s.aws/cluster", "demo"), ("ingress.k8s.aws/stack", "shop/gone")], false),
        ([("elbv2.k8s.aws/cluster", "demo"), ("something", "else")], false),
        ([("elbv2.k8s.aws/cluster", "demo"), ("service.k8s.aws/stack", "shop/web")], false),
    ];
    for (pairs, orphan) in cases {
        let world = healthy().with(|world| {
            retag(world, LB, &pairs);
            retag(world, TG, &pairs);
        });
        assert_eq!(judge(&world).codes(), if orphan { vec!["NLB704"] } else { vec![] }, "{pairs:?}");
    }
}

#[test]
fn a_gateways_load_balancer_is_judged_only_while_all_gateways_are_known() {
    for stack in ["gateway.k8s.aws.nlb/stack", "gateway.k8s.aws.alb/stack"] {
        let pairs = [("elbv2.k8s.aws/cluster", "demo"), (stack, "shop/gw")];
        let unknown = || {
            healthy().with(|world| {
                retag(world, LB, &pairs);
                retag(world, TG, &pairs);
            })
        };
        let said = judge(&unknown());
        assert_eq!(said.codes(), [""; 0]);
        assert_eq!(said.family("orphaned_resources"), ["security_group 0", "security_group_rule 0"], "{stack}");

        let gone = unknown().with(|world| world.parts.gateways = fetched([]));
        assert_eq!(judge(&gone).codes(), ["NLB704"]);
        let not_served = unknown().with(|world| {
            world.parts.gateways = fetched([]);
            let status = SourceStatus { absent: true, ..SourceStatus::default() };
            Arc::make_mut(&mut world.parts.sources).insert(source::GATEWAYS.into(), status);
        });
        assert_eq!(judge(&not_served).codes(), [""; 0], "the kind is being installed anew, perhaps");
        let just_gone = gone.with(|world| world.parts.departed_gateways.record([ObjectName::new("shop", "gw")], at(FETCHED - 5)));
        assert_eq!(judge(&just_gone).codes(), [""; 0]);
        let there = unknown().with(|world| {
            let gateway = Gateway {
                name: ObjectName::new("shop", "gw"),
                uid: "u".into(),
                created_at: at(BORN),
                deleted_at: None,
                finalizers: vec![],
                class: "nlb".into(),
                listeners: vec![],
                programmed: ConditionStatus::True,
                addresses: vec![],
            };
            world.parts.gateways = fetched([(gateway.name.clone(), gateway)]);
        });
        assert_eq!(judge(&there).codes(), [""; 0]);
    }
}

#[test]
fn an_owner_that_went_away_just_now_or_a_new_load_balancer_accuses_nobody() {
    let departed = |second| left_behind().with(|world| world.parts.departed_services.record([web()], at(second)));
    assert_eq!(judge(&departed(FETCHED + 5)).codes(), [""; 0], "the list of AWS is older than the departure");
    assert_eq!(judge(&departed(FETCHED - 899)).codes(), [""; 0]);
    assert_eq!(judge(&departed(FETCHED - 900)).codes(), ["NLB704"]);

    let made = |second| left_behind().load_balancer(|lb| lb.created_at = second);
    assert!(!judge(&made(Some(at(FETCHED - 899)))).codes().contains(&"NLB704"));
    assert!(judge(&made(Some(at(FETCHED - 900)))).codes().contains(&"NLB704"));
    assert!(!judge(&made(None)).codes().contains(&"NLB704"), "nobody knows how old it is");

    // The cluster was last seen before the load balancer was old enough: its Service may have come since.
    let blind = left_behind().with(|world| world.parts.services.fetched_at = Some(at(BORN + 20 + 899)));
    assert_eq!(judge(&blind).codes(), [""; 0]);
    let lagging = left_behind().with(detach).with(|world| world.parts.services.fetched_at = Some(at(FETCHED - 151)));
    assert_eq!(judge(&lagging).codes(), [""; 0], "groups have no age of their own");
}

#[test]
fn whatever_is_not_known_accuses_nobody_and_counts_nothing() {
    let failure = Failure { category: FailureCategory::Denied, operation: "x".into(), message: String::new() };
    type Change = fn(&mut World);
    let cases: [(&str, Change); 9] = [
        ("no cluster name", |world| world.parts.scope.cluster_name = None),
        ("no VPC", |world| world.parts.scope.vpc_id = None),
        ("no Services", |world| world.parts.services = Part::default()),
        ("a page of Services is missing", |world| world.parts.services.fetched_at = None),
        ("a Service could not be read", |world| {
            let status = SourceStatus { missing: 1, ..SourceStatus::default() };
            Arc::make_mut(&mut world.parts.sources).insert(source::SERVICES.into(), status);
        }),
        ("no bindings", |world| world.parts.target_group_bindings = Part::default()),
        ("the controller has another cluster's name", |world| {
            world.controllers(&[controller("2.8.2").flag("cluster-name", "other")]);
        }),
        ("another VPC", |world| world.parts.scope.vpc_id = Some("vpc-2".into())),
        ("nothing", |world| world.parts = Parts::default()),
    ];
    for (what, spoil) in cases {
        let mut world = left_behind();
        spoil(&mut world);
        let said = judge(&world);
        assert_eq!(said.codes(), [""; 0], "{what}");
        let counted = said.family("orphaned_resources");
        assert!(counted.iter().all(|line| line.ends_with(" 0")), "{what}: {counted:?}");
        assert!(counted.is_empty() || what == "another VPC", "{what}: {counted:?}");
    }
    let failing = left_behind().with(|world| world.parts.services.fail(failure, at(FETCHED)));
    assert_eq!(judge(&failing).codes(), ["NLB704"], "a failure alone is no recovery");
    let untagged = healthy().with(|world| drop(Arc::make_mut(&mut world.parts.tags).remove(&Arn::from(LB))));
    assert_eq!(judge(&untagged).family("orphaned_resources").len(), 3, "one load balancer may be anybody's");
}

#[test]
fn what_a_users_binding_or_several_clusters_use_is_not_accused_t14_t20() {
    for (what, bound) in
        [("a user's own", binding(None, false)), ("another Service's", binding(Some(ObjectName::new("shop", "other")), false))]
    {
        let world = left_behind().with(|world| bind(world, bound));
        let said = judge(&world);
        assert!(!said.codes().contains(&"NLB704") && !said.codes().contains(&"NLB705"), "{what}: {:?}", said.codes());
    }
    let multi = left_behind().with(detach).with(|world| bind(world, binding(Some(web()), true)));
    assert!(!judge(&multi).codes().contains(&"NLB705"));
    let own = left_behind().with(|world| bind(world, binding(Some(web()), false)));
    assert_eq!(judge(&own).codes(), ["NLB704"], "its own binding is left over with it");
}

#[test]
fn a_group_that_is_not_tagged_is_a_users_t14_t21() {
    let world = left_behind().with(|world| {
        retag(world, LB, &[]);
        retag(world, TG, &[]);
        bind(world, TargetGroupBinding { other_account: true, ..binding(None, false) });
    });
    assert_eq!(judge(&world).codes(), [""; 0]);
}

#[test]
fn a_managed_group_that_something_uses_is_not_accused() {
    let used = left_behind().with(detach).with(|world| {
        world.add_load_balancer("two");
        retag(world, "arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/net/two/1", &[]);
    });
    assert_eq!(judge(&used).codes(), ["NLB705"]);
    let backend = left_behind().with(detach).with(|world| {
        let tags = [("elbv2.k8s.aws/cluster", "demo"), ("service.k8s.aws/stack", "shop/web")];
        world.parts.security_groups = fetched([("sg-x".into(), security_group("sg-x", "vpc-1", &tags))]);
    });
    assert_eq!(judge(&backend).codes(), ["NLB705"], "not a managed one");
}

fn rule(description: &str, peer: Peer) -> Rule {
    Rule { protocol: "tcp".into(), ports: Some((30080, 30080)), peer, description: Some(description.into()) }
}

fn any() -> Peer {
    Peer::Cidr("0.0.0.0/0".parse().unwrap())
}

fn with_rules(world: World, tags: &[(&str, &str)], rules: Vec<Rule>) -> World {
    world.with(|world| {
        let mut nodes = security_group("sg-nodes", "vpc-1", tags);
        nodes.inbound = rules;
        insert(&mut world.parts.security_groups, nodes.id.clone(), nodes);
    })
}

const OURS: &[(&str, &str)] = &[("kubernetes.io/cluster/demo", "owned")];

#[test]
fn rules_of_in_tree_load_balancers_that_are_gone_are_found_4_3() {
    let rules = |name: &str| {
        vec![
            rule(&format!("kubernetes.io/rule/nlb/client={name}"), any()),
            rule(&format!("kubernetes.io/rule/nlb/health={name}"), any()),
            rule("kubernetes.io/rule/nlb/mtu", any()),
            rule("by hand", any()),
        ]
    };
    let said = judge(&with_rules(healthy(), OURS, rules("a0123")));
    assert_eq!(
        said.findings(&ORPHANED_RULES),
        ["security group sg-nodes: sg-nodes (sg-nodes) has 2 inbound rules of what is gone (load balancer a0123), by their \
          descriptions."]
    );
    assert_eq!(said.family("orphaned_resources"), counts(0, 0, 0, 2));

    let silent = |world: World, what: &str| assert_eq!(judge(&world).codes(), [""; 0], "{what}");
    silent(with_rules(healthy(), OURS, rules("one")), "the load balancer exists");
    silent(with_rules(healthy(), OURS, rules("ashop/web")), "its Service exists and may get it any moment");
    silent(with_rules(healthy(), &[("kubernetes.io/cluster/other", "owned")], rules("a0123")), "another cluster's nodes");
    let both = [("kubernetes.io/cluster/demo", "owned"), ("kubernetes.io/cluster/other", "owned")];
    silent(with_rules(healthy(), &both, rules("a0123")), "shared nodes");
    let departed = with_rules(healthy(), OURS, rules("a0123"))
        .with(|world| world.parts.departed_services.record([ObjectName::new("shop", "x")], at(FETCHED)));
    silent(departed, "a Service has just gone");
    let unknown = with_rules(healthy(), OURS, rules("a0123")).with(|world| world.parts.load_balancers = Part::default());
    silent(unknown, "load balancers are not known");
}

#[test]
fn the_name_of_an_in_tree_load_balancer_comes_from_the_uid_4_3() {
    assert_eq!(rules::in_tree_load_balancer("01234567-89ab-cdef-0123-456789abcdef"), "a0123456789abcdef0123456789abcde");
}

#[test]
fn rules_that_let_in_an_orphaned_group_are_found_and_others_of_the_controller_are_not() {
    let mark = "elbv2.k8s.aws/targetGroupBinding=shared";
    let from = |id: &str| vec![rule(mark, Peer::SecurityGroup(SecurityGroupId::from(id)))];
    let gone = with_rules(left_behind().with(detach), &[], from("sg-managed"));
    assert_eq!(judge(&gone).codes(), ["NLB705", "NLB706", "NLB707"]);
    assert_eq!(judge(&with_rules(healthy(), &[], from("sg-managed"))).codes(), [""; 0]);
    assert_eq!(judge(&with_rules(left_behind().with(detach), &[], from("sg-backend"))).codes(), ["NLB705", "NLB706"]);
}

/// A second group of the living Service that nothing forwards to.
fn unused() -> World {
    healthy().with(|world| {
        let one = TargetGroupId::from("targetgroup/p80/1");
        let mut old = (*world.parts.target_groups.get().unwrap()[&one]).clone();
        old.id = "targetgroup/old/1".into();
        old.arn = "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/old/1".into();
        old.load_balancers.clear();
        let tags = [
            ("elbv2.k8s.aws/cluster", "demo"),
            ("service.k8s.aws/stack", "shop/web"),
            ("service.k8s.aws/resource", "shop/web:80"),
        ];
        retag(world, old.arn.as_str(), &tags);
        insert(&mut world.parts.target_groups, old.id.clone(), old);
    })
}

#[test]
fn a_group_that_a_replacement_left_is_information_once_all_has_settled_t18_t23() {
    let said = judge(&unused());
    assert_eq!(
        said.findings(&UNUSED_TARGET_GROUP),
        ["target group targetgroup/old/1: targetgroup/old/1 is tagged for Service shop/web, and no load balancer uses it."]
    );
    assert_eq!(said.family("orphaned_resources"), counts(0, 0, 0, 0), "its owner lives");

    let recent = || Some(at(FETCHED - 60));
    let changes: [(&str, World); 6] = [
        ("the Service was edited", unused().change_service(|service| service.changed_at = Some(at(FETCHED - 60)))),
        ("the load balancer is new", unused().load_balancer(|lb| lb.created_at = Some(at(FETCHED - 60)))),
        ("the Service is going", unused().change_service(|service| service.deleted_at = Some(at(FETCHED - 60)))),
        ("the Service is blocked", unused().event(EventObject::Service, "shop/web", ("FailedDeployModel", "x", FETCHED), None)),
        ("the controller has just started", {
            unused().with(|world| {
                let lease = LeaderLease { holder: None, acquired_at: recent(), renewed_at: recent(), transitions: 0 };
                world.parts.leader_lease = Part::fetched(Some(lease), at(FETCHED));
            })
        }),
        ("events are not known", unused().with(|world| world.parts.reconciles = Part::default())),
    ];
    for (what, world) in changes {
        assert_eq!(judge(&world).codes(), [""; 0], "{what}");
    }
    let bound = unused().with(|world| {
        let arn = Some("arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/old/1".into());
        bind(world, TargetGroupBinding { target_group_arn: arn, ..binding(None, false) });
    });
    assert_eq!(judge(&bound).codes(), [""; 0], "a user holds it ready");
}
