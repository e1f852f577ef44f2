mod gone;

use std::sync::Arc;

use super::*;
use crate::checks::testing::{
    BORN, FETCHED, NOW, Said, ServiceBuilder, World, at, controller as deployment, fetched, insert, map, service,
};
use crate::controller::annotations::name;
use crate::inventory::aws::Forward;
use crate::inventory::ids::ObjectName;
use crate::inventory::kube::{ConditionStatus, EventObject, Gateway, GatewayClass, LeaderLease};
use crate::inventory::part::Part;

fn web() -> ServiceBuilder {
    service("shop/web").external("ip")
}

fn judge(world: &World) -> Said {
    world.judge(&CHECK)
}

#[test]
fn a_healthy_world_is_told_without_a_finding() {
    let world = World::of(&web())
        .with(|world| {
            world.parts.scope.account_id = Some("1".into());
            world.parts.scope.region = Some("us-east-1".into());
        })
        .change_service(|service| service.hostnames.push("one.elb.amazonaws.com".into()));
    let said = judge(&world);
    assert_eq!(said.codes(), [""; 0]);
    assert_eq!(
        said.family("load_balancer_info"),
        ["net/one/1,arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/net/one/1,one.elb.amazonaws.com,internal,vpc-1,\
          aws-load-balancer-controller,Service,web,shop,web 1"]
    );
    assert_eq!(
        said.family("load_balancer_state"),
        ["net/one/1,active 1", "net/one/1,active_impaired 0", "net/one/1,failed 0", "net/one/1,provisioning 0"]
    );
    assert_eq!(said.family("load_balancer_created_timestamp_seconds"), [format!("net/one/1 {}", BORN + 20)]);
    assert_eq!(
        said.family("target_group_info"),
        ["targetgroup/p80/1,net/one/1,arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/p80/1,shop,web,80,ip,TCP 1"]
    );
    assert!(said.family("target_group_weight").is_empty(), "the only group of a listener gets everything");
    assert_eq!(said.family("service_info"), ["shop,web,aws-load-balancer-controller, 1"]);
    assert_eq!(said.family("service_created_timestamp_seconds"), [format!("shop,web {BORN}")]);
    assert_eq!(said.family("service_provisioned"), ["shop,web 1"]);
    assert_eq!(said.family("service_load_balancers"), ["shop,web 1"]);
    assert_eq!(said.family("controller_info"), ["aws-load-balancer-controller,v2.8.2 1"]);
    assert_eq!(said.family("exporter_scope_info"), ["1,us-east-1,demo,vpc-1 1"]);
}

#[test]
fn services_that_ask_for_no_load_balancer_are_left_out() {
    let plain = || World::of(&service("shop/web")).change_service(|service| service.service_type = ServiceType::ClusterIp);
    assert_eq!(judge(&plain()).family("service_info"), [""; 0]);
    let node_port = World::of(&web()).change_service(|service| service.service_type = ServiceType::NodePort);
    let said = judge(&node_port);
    assert_eq!(said.family("service_info"), ["shop,web,aws-load-balancer-controller, 1"], "2, rule 2");
    assert_eq!(said.family("service_provisioned"), ["shop,web 1"], "it has no status of its own, and a load balancer");
}

#[test]
fn a_service_without_host_name_is_not_provisioned() {
    assert_eq!(judge(&World::of(&web())).family("service_provisioned"), ["shop,web 0"]);
}

#[test]
fn load_balancers_are_counted_only_where_that_is_known() {
    let mut two = World::of(&web());
    two.add_load_balancer("two");
    assert_eq!(judge(&two).family("service_load_balancers"), ["shop,web 2"]);

    let none = World::of(&web()).with(|world| world.parts.load_balancers = fetched([]));
    assert_eq!(judge(&none).family("service_load_balancers"), ["shop,web 0"]);
    let unknown = World::of(&web()).with(|world| world.parts.load_balancers = Part::default());
    assert_eq!(judge(&unknown).family("service_load_balancers"), [""; 0]);
    let untagged = World::of(&web()).with(|world| world.parts.tags = Arc::default());
    assert_eq!(judge(&untagged).family("service_load_balancers"), [""; 0], "it may be the one whose tags are not known");

    let classic = World::of(&service("shop/web")).with(|world| world.parts.load_balancers = fetched([]));
    assert_eq!(judge(&classic).family("service_load_balancers"), [""; 0], "Classic Load Balancers are not listed");
}

#[test]
fn a_failed_or_impaired_load_balancer_is_found_and_others_are_not() {
    for (state, found) in [
        (LoadBalancerState::Failed, true),
        (LoadBalancerState::ActiveImpaired, true),
        (LoadBalancerState::Provisioning, false),
        (LoadBalancerState::Active, false),
        (LoadBalancerState::Other, false),
    ] {
        let world = World::of(&web()).load_balancer(|lb| lb.state = state);
        assert_eq!(!judge(&world).findings(&LOAD_BALANCER_NOT_ACTIVE).is_empty(), found, "{state}");
    }
    let failed = World::of(&web()).load_balancer(|lb| {
        lb.state = LoadBalancerState::Failed;
        lb.state_reason = Some("no room".into());
    });
    assert_eq!(judge(&failed).findings(&LOAD_BALANCER_NOT_ACTIVE), ["load balancer net/one/1: Its state is failed: no room."]);
}

#[test]
fn a_state_that_this_program_does_not_know_has_a_series_of_its_own_only_then() {
    let world = World::of(&web()).load_balancer(|lb| lb.state = LoadBalancerState::Other);
    let said = judge(&world).family("load_balancer_state");
    assert_eq!((said.len(), said.contains(&"net/one/1,other 1".to_owned())), (LoadBalancerState::ALL.len(), true), "{said:?}");
}

#[test]
fn weights_are_told_where_a_listener_has_a_choice_or_sends_nothing() {
    let weights = |weights: &[(&str, u32)]| {
        let world = World::of(&web()).with(|world| {
            let listeners = Arc::make_mut(&mut world.parts.listeners).get_mut("net/one/1").unwrap();
            let listener = &mut Arc::make_mut(listeners.value.as_mut().unwrap())[0];
            let forward = |(group, weight): &(&str, u32)| Forward { target_group: (*group).into(), weight: *weight };
            listener.forwards = weights.iter().map(forward).collect();
        });
        judge(&world).family("target_group_weight")
    };
    let (blue, green) = ("targetgroup/blue/1", "targetgroup/green/1");
    assert_eq!(weights(&[(blue, 1), (green, 0)]), ["net/one/1,80,targetgroup/blue/1 1", "net/one/1,80,targetgroup/green/1 0"]);
    assert_eq!(weights(&[(blue, 1)]), [""; 0]);
    assert_eq!(weights(&[(blue, 0)]), ["net/one/1,80,targetgroup/blue/1 0"]);
}

#[test]
fn a_service_that_nobody_owns_is_found_2_2_s13() {
    let nobody = World::of(&service("legacy/nobody").annotate(name::TYPE, "external"));
    assert_eq!(judge(&nobody).codes(), ["NLB701"]);
    let dying = World::of(&service("legacy/nobody").annotate(name::TYPE, "external"))
        .change_service(|service| service.deleted_at = Some(at(NOW)));
    assert_eq!(judge(&dying).codes(), [""; 0]);
}

#[test]
fn in_tree_services_are_found_with_what_they_get_s1() {
    let network = judge(&World::of(&service("legacy/intree").annotate(name::TYPE, "nlb")));
    assert_eq!(network.codes(), ["NLB702"]);
    assert!(network.findings(&IN_TREE_OWNED)[0].contains("Network"));
    let classic = judge(&World::of(&service("legacy/intree")));
    assert!(classic.findings(&IN_TREE_OWNED)[0].contains("Classic"));
    let third = judge(&World::of(&service("legacy/intree").class("example.com/lb")));
    assert_eq!(third.codes(), [""; 0]);
}

#[test]
fn a_missing_controller_is_found_only_where_it_is_needed_and_really_missing() {
    let without = |builder: &ServiceBuilder| World::of(builder).with(|world| world.controllers(&[]));
    assert_eq!(judge(&without(&web())).codes(), ["NLB710"]);
    assert_eq!(judge(&without(&service("shop/web").class("eks.amazonaws.com/nlb"))).codes(), [""; 0], "Auto Mode alone");
    let unknown = World::of(&web()).with(|world| world.parts.controllers = Part::default());
    assert_eq!(judge(&unknown).codes(), [""; 0]);

    let lease = |renewed| {
        let lease = LeaderLease {
            holder: Some("pod".into()),
            acquired_at: Some(at(BORN)),
            renewed_at: Some(at(renewed)),
            transitions: 3,
        };
        without(&web()).with(|world| world.parts.leader_lease = Part::fetched(Some(lease), at(NOW)))
    };
    assert_eq!(judge(&lease(NOW - 5)).codes(), [""; 0], "somebody leads: its Deployment is called otherwise");
    assert_eq!(judge(&lease(NOW - 3600)).codes(), ["NLB710"]);
    assert_eq!(
        judge(&lease(NOW)).family("controller_leader_since_timestamp_seconds"),
        [format!("aws-load-balancer-controller {BORN}")]
    );
}

#[test]
fn a_controller_before_2_7_2_is_found_s1() {
    let with = |version: &str| World::of(&web()).with(|world| world.controllers(&[deployment(version)]));
    assert_eq!(judge(&with("v2.7.1")).codes(), ["NLB711"]);
    assert_eq!(judge(&with("v2.7.2")).codes(), [""; 0]);
    for (version, differs) in [("v2.4.0", false), ("v2.3.1", true), ("v2.1.1", true)] {
        let said = judge(&with(version));
        // Before 2.2.0 a Service of type external is nobody's (2, rule 4).
        let expected = if version == "v2.1.1" { vec!["NLB701", "NLB711"] } else { vec!["NLB711"] };
        let mut codes = said.codes();
        codes.sort_unstable();
        assert_eq!(codes, expected, "{version}");
        assert_eq!(said.findings(&OLD_CONTROLLER)[0].contains("differs from what this program judges by"), differs, "{version}");
    }
    let digest = judge(&with("sha256:0123"));
    assert_eq!(digest.codes(), [""; 0], "an unknown version is not an old one");
    assert_eq!(digest.family("controller_info"), ["aws-load-balancer-controller, 1"]);
}

#[test]
fn owners_other_than_services_have_their_names_4_1() {
    let owned = |tag: &str, value: &str| {
        let world = World::of(&web()).with(|world| {
            let arn = "arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/net/one/1".into();
            let tags = map(&[("elbv2.k8s.aws/cluster", "demo"), (tag, value)]);
            Arc::make_mut(&mut world.parts.tags).insert(arn, Part::fetched(tags, at(BORN)));
        });
        let line = judge(&world).family("load_balancer_info").remove(0);
        line.split_once("aws-load-balancer-controller,").unwrap().1.to_owned()
    };
    assert_eq!(owned("gateway.k8s.aws.nlb/stack", "shop/gw"), "Gateway,gw,shop, 1");
    assert_eq!(owned("ingress.k8s.aws/stack", "shop/ing"), "Ingress,ing,shop, 1");
    assert_eq!(owned("ingress.k8s.aws/stack", "group"), "Ingress,group,, 1");
    assert_eq!(owned("other", "x"), "none,,, 1");
}

#[test]
fn nothing_known_is_nothing_said() {
    let world = World::of(&web()).with(|world| world.parts = Parts::default());
    let said = judge(&world);
    assert!(said.report.families().is_empty() && said.codes().is_empty());
}

#[test]
fn a_second_service_is_told_beside_the_first() {
    let world = World::of(&web()).with(|world| {
        let other = service("ops/dns").annotate(name::TYPE, "nlb-ip").build();
        insert(&mut world.parts.services, ObjectName::new("ops", "dns"), other);
    });
    assert_eq!(judge(&world).family("service_load_balancers"), ["ops,dns 0", "shop,web 1"]);
}

/// The Service has a second load balancer, as old as the first.
fn two() -> World {
    World::of(&web()).with(|world| world.add_load_balancer("two"))
}

#[test]
fn several_load_balancers_of_one_service_are_found_when_they_stay_t23() {
    let world = two().change_service(|service| service.hostnames.push("TWO.elb.amazonaws.com".into()));
    assert_eq!(
        judge(&world).findings(&DUPLICATE_LOAD_BALANCERS),
        [
            "Service shop/web: 2 load balancers carry its tags: net/one/1 (made by aws-load-balancer-controller), net/two/1 (made by \
          aws-load-balancer-controller, named by its status)."
        ]
    );
    let silent = |world: World, what: &str| assert_eq!(judge(&world).codes(), [""; 0], "{what}");
    silent(two().load_balancer(|lb| lb.created_at = Some(at(FETCHED - 899))), "a replacement is on its way");
    silent(two().load_balancer(|lb| lb.created_at = None), "nobody knows how old it is");
    silent(two().change_service(|service| service.changed_at = Some(at(FETCHED - 60))), "it was edited just now");
    silent(two().load_balancer(|lb| lb.vpc_id = "vpc-2".into()), "a cluster of the same name in another VPC");
    silent(World::of(&web()), "one is as it should be");
}

#[test]
fn an_in_tree_load_balancer_beside_the_controllers_is_a_duplicate_s12() {
    let world = two().with(|world| {
        let arn = "arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/net/two/1".into();
        let tags = map(&[("kubernetes.io/cluster/demo", "owned"), ("kubernetes.io/service-name", "shop/web")]);
        Arc::make_mut(&mut world.parts.tags).insert(arn, Part::fetched(tags, at(BORN)));
    });
    let found = judge(&world).findings(&DUPLICATE_LOAD_BALANCERS);
    assert!(found[0].contains("net/one/1 (made by aws-load-balancer-controller), net/two/1 (made by in-tree)"), "{found:?}");
}

#[test]
fn a_service_that_stays_in_deletion_is_found_t33() {
    let deleting = |ago: i64, finalizer: &str| {
        World::of(&web()).change_service(|service| {
            service.deleted_at = Some(at(NOW - ago));
            service.finalizers = vec![finalizer.into()];
        })
    };
    let said = judge(&deleting(601, "service.k8s.aws/resources"));
    assert_eq!(
        said.findings(&STUCK_DELETION),
        ["Service shop/web: It has been in deletion for 10 minutes, held by the finalizer service.k8s.aws/resources."]
    );
    assert_eq!(said.family("service_deletion_timestamp_seconds"), [format!("shop,web {}", NOW - 601)]);
    let soon = judge(&deleting(600, "service.k8s.aws/resources"));
    assert_eq!((soon.codes().len(), soon.family("service_deletion_timestamp_seconds").len()), (0, 1));
    assert_eq!(judge(&deleting(9999, "example.com/mine")).codes(), [""; 0], "not a controller's");
    assert_eq!(judge(&deleting(9999, "service.kubernetes.io/load-balancer-cleanup")).codes(), ["NLB709"]);
    assert_eq!(judge(&World::of(&web())).family("service_deletion_timestamp_seconds"), [""; 0]);

    let why = ("FailedDeployModel", "deletion_protection is enabled, cannot delete the service: web", NOW - 30);
    let blocked = deleting(601, "service.k8s.aws/resources").event(EventObject::Service, "shop/web", why, None);
    assert!(judge(&blocked).findings(&STUCK_DELETION)[0].contains("FailedDeployModel says: deletion_protection is enabled"));
}

/// A Service of two hours without a load balancer.
fn waiting() -> World {
    World::of(&web()).with(|world| world.parts.load_balancers = fetched([]))
}

#[test]
fn a_service_that_waits_for_long_without_a_reason_is_found() {
    assert_eq!(
        judge(&waiting()).findings(&SERVICE_PENDING),
        [
            "Service shop/web: It was created 120 minutes ago, the AWS Load Balancer Controller owns it, and no load balancer carries \
          its tags; no event tells why."
        ]
    );
    let failure = ("FailedBuildModel", "x", NOW - 60);
    let lease = |acquired| {
        waiting().with(|world| {
            let lease = LeaderLease { holder: None, acquired_at: Some(at(acquired)), renewed_at: Some(at(NOW)), transitions: 0 };
            world.parts.leader_lease = Part::fetched(Some(lease), at(NOW));
        })
    };
    assert_eq!(judge(&lease(BORN)).codes(), ["NLB714"]);
    let silent: [(&str, World); 10] = [
        ("it is new", waiting().change_service(|service| service.created_at = at(FETCHED - 600))),
        ("it was edited just now", waiting().change_service(|service| service.changed_at = Some(at(FETCHED - 60)))),
        ("an event tells", waiting().event(EventObject::Service, "shop/web", failure, None)),
        ("events are not known", waiting().with(|world| world.parts.reconciles = Part::default())),
        ("the list is not complete", waiting().with(|world| world.parts.load_balancers.fetched_at = None)),
        ("the controller has just started", lease(FETCHED - 60)),
        ("its status names one", waiting().change_service(|service| service.hostnames.push("x".into()))),
        ("the controller tags otherwise", {
            waiting().with(|world| world.controllers(&[deployment("2.8.2").flag("cluster-name", "other")]))
        }),
        ("the controllers are not known", waiting().with(|world| world.parts.controllers = Part::default())),
        ("it is deleted", waiting().change_service(|service| service.deleted_at = Some(at(NOW)))),
    ];
    for (what, world) in silent {
        assert!(!judge(&world).codes().contains(&"NLB714"), "{what}");
    }
    let in_tree =
        World::of(&service("shop/web").annotate(name::TYPE, "nlb")).with(|world| world.parts.load_balancers = fetched([]));
    assert!(!judge(&in_tree).codes().contains(&"NLB714"), "it is not the controller's");
}

fn replicas(world: &mut World, wanted: u32, available: Option<u32>) {
    let list = Arc::make_mut(world.parts.controllers.value.as_mut().unwrap());
    for controller in list.values_mut() {
        let controller = Arc::make_mut(controller);
        (controller.replicas, controller.available_replicas) = (wanted, available);
    }
}

#[test]
fn a_controller_without_an_available_replica_is_critical_where_it_is_needed() {
    let down = || World::of(&web()).with(|world| replicas(world, 2, Some(0)));
    let said = judge(&down());
    assert_eq!(
        said.findings(&CONTROLLER_UNAVAILABLE),
        [
            "cluster: Deployment kube-system/aws-load-balancer-controller has 0 available of 2 replicas and its leader Lease is not \
          renewed; 1 Services are its to serve."
        ]
    );
    assert_eq!(said.family("controller_replicas"), ["aws-load-balancer-controller 2"]);
    assert_eq!(said.family("controller_available_replicas"), ["aws-load-balancer-controller 0"]);

    let renewed = |ago| {
        down().with(|world| {
            let renewed_at = Some(at(NOW - ago));
            let lease = LeaderLease { holder: Some("x".into()), acquired_at: Some(at(BORN)), renewed_at, transitions: 0 };
            world.parts.leader_lease = Part::fetched(Some(lease), at(NOW));
        })
    };
    assert_eq!(judge(&renewed(119)).codes(), [""; 0], "its pod has just moved");
    assert_eq!(judge(&renewed(120)).codes(), ["NLB713"]);
    let unknown = World::of(&web()).with(|world| replicas(world, 2, None));
    assert_eq!(judge(&unknown).codes(), [""; 0]);
    assert_eq!(judge(&unknown).family("controller_available_replicas"), [""; 0]);
    let lease_unknown = down().with(|world| world.parts.leader_lease = Part::default());
    assert_eq!(judge(&lease_unknown).codes(), [""; 0]);
    assert_eq!(judge(&down().with(|world| world.parts.services = fetched([]))).codes(), [""; 0], "nobody needs it");
    let scaled = World::of(&web()).with(|world| replicas(world, 0, Some(0)));
    assert_eq!(judge(&scaled).codes(), ["NLB713"], "scaled to zero is away, too");
    assert_eq!(judge(&World::of(&web())).codes(), [""; 0]);
}

#[test]
fn two_controllers_are_found_unless_they_never_meet() {
    let beside = |first: &[(&str, &str)], second: &[(&str, &str)], wanted: u32| {
        let flags =
            |flags: &[(&str, &str)]| flags.iter().fold(deployment("2.8.2"), |it, (key, value)| it.flag(key, value)).build();
        let one = flags(first);
        let mut other = flags(second);
        other.name = ObjectName::new("ops", "aws-load-balancer-controller");
        (other.replicas, other.available_replicas) = (wanted, Some(wanted));
        World::of(&web()).with(|world| world.parts.controllers = fetched([one, other].map(|it| (it.name.clone(), it))))
    };
    assert_eq!(
        judge(&beside(&[], &[], 1)).findings(&TWO_CONTROLLERS),
        [
            "cluster: Deployments kube-system/aws-load-balancer-controller and ops/aws-load-balancer-controller run side by side and \
          watch the same namespaces."
        ]
    );
    assert_eq!(judge(&beside(&[], &[("watch-namespace", "ops")], 1)).codes(), ["NLB712"], "one watches all of them");
    assert_eq!(judge(&beside(&[], &[], 0)).codes(), [""; 0], "one is scaled to zero");
    let apart = beside(&[("watch-namespace", "shop")], &[("watch-namespace", "ops")], 1);
    assert_eq!(judge(&apart).codes(), [""; 0]);
    assert_eq!(judge(&apart).family("controller_replicas"), ["aws-load-balancer-controller 3"]);
}

#[test]
fn gateways_of_the_network_load_balancer_class_are_told() {
    let world = World::of(&web()).with(|world| {
        let gateway = |name: &str, class: &str| Gateway {
            name: ObjectName::new("shop", name),
            uid: name.into(),
            created_at: at(BORN),
            deleted_at: None,
            finalizers: vec![],
            class: class.into(),
            listeners: vec![],
            programmed: ConditionStatus::True,
            addresses: vec![],
        };
        let class =
            |name: &str, controller: &str| (Arc::from(name), GatewayClass { name: name.into(), controller: controller.into() });
        world.parts.gateway_classes = fetched([class("nlb", "gateway.k8s.aws/nlb"), class("alb", "gateway.k8s.aws/alb")]);
        let gateways = [gateway("tcp", "nlb"), gateway("http", "alb"), gateway("odd", "unknown")];
        world.parts.gateways = fetched(gateways.map(|it| (it.name.clone(), it)));
    });
    let said = judge(&world);
    assert_eq!(said.family("gateway_info"), ["shop,tcp,nlb,gateway.k8s.aws/nlb 1"]);
    assert_eq!(said.codes(), [""; 0]);
}
