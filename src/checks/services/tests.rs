use std::sync::Arc;

use super::*;
use crate::checks::testing::{
    BORN, NOW, Said, ServiceBuilder, World, at, controller as deployment, fetched, insert, map, service,
};
use crate::controller::annotations::name;
use crate::inventory::aws::Forward;
use crate::inventory::ids::ObjectName;
use crate::inventory::kube::LeaderLease;
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
        assert_eq!(said.codes(), ["NLB711"], "{version}");
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
