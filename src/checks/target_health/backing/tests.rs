use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::checks::fixtures::{Change, NOW, Verdict, World, at, endpoint, target};
use crate::checks::target_health::CHECK;
use crate::inventory::aws::{Target, TargetState, TargetType};
use crate::inventory::kube::{BindingGroup, ConditionStatus, Endpoint, EndpointPort, PortReference, Protocol, TrafficPolicy};
use crate::inventory::part::Part;

fn judge(world: &World) -> Verdict {
    world.judge(&CHECK)
}

#[test]
fn a_ready_pod_that_is_not_registered_is_missing() {
    let mut world = World::healthy();
    world.health(|health| health.targets.remove(0));
    let verdict = judge(&world);
    assert_eq!(verdict.registration(), [Some(3.0), Some(3.0), Some(1.0), Some(0.0)]);
    assert_eq!(verdict.message("NLB104"), "1 of 3 expected targets of shop/web are not registered: 10.0.0.10:8080.");
}

#[test]
fn the_metric_says_what_is_and_the_finding_waits() {
    let mut world = World::healthy();
    world.health(|health| health.targets.remove(0));
    world.slice(|slice| slice.changed_at = Some(at(NOW - 179)));
    assert_eq!(judge(&world).registration()[2], Some(1.0));
    assert!(judge(&world).codes().is_empty());
    world.slice(|slice| slice.changed_at = Some(at(NOW - 180)));
    assert_eq!(judge(&world).codes(), ["NLB104"]);
    world.sampled_at(NOW - 1);
    assert!(judge(&world).codes().is_empty(), "it is the sample that has to be so much newer");
}

#[test]
fn a_draining_target_is_neither_registered_nor_unexpected() {
    let mut world = World::healthy();
    world.state("10.0.0.10", TargetState::Draining);
    assert_eq!(judge(&world).registration(), [Some(3.0), Some(3.0), Some(1.0), Some(0.0)]);
    world.slice(|slice| slice.endpoints.remove(0));
    assert_eq!(judge(&world).registration(), [Some(2.0), Some(2.0), Some(0.0), Some(0.0)]);
}

#[test]
fn pods_that_are_not_ready_or_terminate_may_be_registered_or_not() {
    for (ready, terminating) in [(false, false), (false, true), (true, true)] {
        for registered in [true, false] {
            let mut world = World::healthy();
            world.endpoint("10.0.0.10", |endpoint| (endpoint.ready, endpoint.terminating) = (ready, terminating));
            if !registered {
                world.health(|health| health.targets.remove(0));
            }
            assert_eq!(judge(&world).registration(), [Some(2.0), Some(2.0), Some(0.0), Some(0.0)]);
        }
    }
}

#[test]
fn a_target_of_nobody_is_unexpected() {
    let mut world = World::healthy();
    world.health(|health| {
        health.targets.push(target("10.0.0.99", Some(8080)));
        health.targets.push(target("10.0.0.10", Some(9090)));
    });
    let verdict = judge(&world);
    assert_eq!(verdict.registration()[3], Some(2.0));
    assert_eq!(
        verdict.message("NLB105"),
        "2 of 5 registered targets belong to no endpoint or node of shop/web: 10.0.0.10:9090, 10.0.0.99:8080."
    );
    world.slice(|slice| slice.changed_at = Some(at(NOW - 10)));
    assert!(judge(&world).codes().is_empty(), "its pod may just have gone");
}

#[test]
fn a_node_that_stopped_being_eligible_is_waited_for() {
    let mut world = World::instances();
    world.node("node-b", |node| (node.ready, node.ready_changed_at) = (ConditionStatus::False, Some(at(NOW - 10))));
    assert_eq!(judge(&world).registration(), [Some(2.0), Some(2.0), Some(0.0), Some(1.0)]);
    assert!(judge(&world).codes().is_empty());
    world.node("node-b", |node| node.ready_changed_at = Some(at(NOW - 180)));
    assert_eq!(judge(&world).codes(), ["NLB105"]);
}

#[test]
fn what_cannot_be_judged_has_no_series_and_no_finding() {
    let cases: [(&str, Change); 14] = [
        ("multi-cluster", |world| world.binding(|binding| binding.multi_cluster = true)),
        ("another account", |world| world.binding(|binding| binding.other_account = true)),
        ("a binding that is being deleted", |world| world.binding(|binding| binding.deleted_at = Some(at(NOW)))),
        ("no binding", |world| {
            world.parts.target_group_bindings = Part::fetched(BTreeMap::new(), at(NOW));
        }),
        ("bindings not complete", |world| world.parts.target_group_bindings.fetched_at = None),
        ("a limit of targets", |world| {
            world.flag("max-targets-per-target-group", "100");
        }),
        ("controllers not known", |world| world.parts.controllers.fetched_at = None),
        ("Services not complete", |world| world.parts.services.fetched_at = None),
        ("slices not complete", |world| world.parts.endpoint_slices.fetched_at = None),
        ("a port that the Service has not", |world| {
            world.binding(|binding| binding.service_port = PortReference::Number(81));
        }),
        ("a slice for all ports", |world| world.slice(|slice| slice.ports[0].port = None)),
        ("an ALB as target", |world| world.target_group(|group| group.target_type = TargetType::Alb)),
        ("a Service that is being deleted", |world| world.service(|service| service.deleted_at = Some(at(NOW)))),
        ("a target without a port", |world| world.health(|health| health.targets[0].port = None)),
    ];
    for (name, change) in cases {
        let mut world = World::healthy();
        world.health(|health| health.targets[0].id = "10.0.0.99".into());
        assert_eq!(judge(&world).codes(), ["NLB104", "NLB105"]);
        change(&mut world);
        let verdict = judge(&world);
        assert_eq!(verdict.registration()[2..], [None; 2], "{name}");
        assert!(verdict.codes().is_empty(), "{name}: {:?}", verdict.findings());
    }
}

#[test]
fn instance_groups_also_need_the_nodes_and_a_node_port() {
    let cases: [Change; 3] = [
        |world| world.parts.nodes.fetched_at = None,
        |world| world.service(|service| service.ports[0].node_port = None),
        |world| world.binding(|binding| binding.group = BindingGroup::AutoMode),
    ];
    for change in cases {
        let mut world = World::instances();
        world.health(|health| health.targets.remove(0));
        assert_eq!(judge(&world).codes(), ["NLB104"]);
        change(&mut world);
        assert_eq!(judge(&world).registration(), [None; 4]);
        assert!(judge(&world).codes().is_empty());
    }
}

#[test]
fn a_limit_of_zero_targets_means_none() {
    let mut world = World::healthy();
    world.flag("max-targets-per-target-group", "0");
    assert_eq!(judge(&world).registration()[0], Some(3.0));
}

#[test]
fn the_service_port_finds_its_container_port_by_name() {
    let mut world = World::healthy();
    world.slice(|slice| {
        slice.ports.insert(0, EndpointPort { name: "metrics".into(), port: Some(9090), protocol: Protocol::Tcp });
    });
    assert_eq!(judge(&world).registration(), [Some(3.0), Some(3.0), Some(0.0), Some(0.0)]);
    world.binding(|binding| binding.service_port = PortReference::Name("http".into()));
    assert_eq!(judge(&world).registration()[0], Some(3.0));
    world.slice(|slice| slice.ports[1].name = "web".into());
    assert_eq!(judge(&world).registration(), [Some(0.0), Some(0.0), Some(0.0), Some(3.0)], "no pod has the port");
}

#[test]
fn a_nameless_port_takes_every_port_of_the_slice() {
    let mut world = World::healthy();
    world.service(|service| service.ports[0].name = "".into());
    world.slice(|slice| slice.ports[0].name = "".into());
    assert_eq!(judge(&world).registration(), [Some(3.0), Some(3.0), Some(0.0), Some(0.0)]);
}

#[test]
fn the_other_address_family_and_addresses_without_a_pod_are_not_expected() {
    let mut world = World::healthy();
    world.slice(|slice| {
        slice.endpoints.push(endpoint("2001:db8::1", "node-a"));
        let mut by_hand = endpoint("10.0.0.50", "node-a");
        by_hand.pod = None;
        slice.endpoints.push(by_hand);
    });
    assert_eq!(judge(&world).registration(), [Some(3.0), Some(3.0), Some(0.0), Some(0.0)]);
    assert_eq!(judge(&world).endpoints()[0], Some(4.0));
}

#[test]
fn instance_targets_are_all_eligible_nodes_and_with_no_ready_pod_none_can_be_healthy() {
    let mut world = World::instances();
    world.slice(|slice| slice.endpoints.truncate(1));
    assert_eq!(judge(&world).registration(), [Some(3.0), Some(3.0), Some(0.0), Some(0.0)]);
    world.slice(|slice| slice.endpoints.clear());
    assert_eq!(judge(&world).registration(), [Some(3.0), Some(0.0), Some(0.0), Some(0.0)]);
}

#[test]
fn another_clusters_targets_in_a_shared_group_are_its_own_affair() {
    let mut world = World::healthy();
    world.binding(|binding| binding.multi_cluster = true);
    world.health(|health| health.targets.push(target("172.16.0.1", Some(8080))));
    world.state("172.16.0.1", TargetState::Unhealthy);
    assert!(judge(&world).codes().is_empty());
    world.state("10.0.0.10", TargetState::Unhealthy);
    assert_eq!(judge(&world).codes(), ["NLB102"], "our own are ours");
}

#[test]
fn an_in_tree_group_has_no_binding_and_is_judged_by_its_health_alone() {
    let mut world = World::instances();
    world.parts.target_group_bindings = Part::fetched(BTreeMap::new(), at(NOW));
    assert_eq!(judge(&world).registration(), [None; 4]);
    assert_eq!(judge(&world).endpoints()[0], Some(3.0));
    world.state("i-b", TargetState::Unhealthy);
    assert_eq!(judge(&world).codes(), ["NLB102"]);
    world.service(|service| service.external_traffic_policy = TrafficPolicy::Local);
    world.slice(|slice| slice.endpoints.remove(1));
    assert!(judge(&world).codes().is_empty(), "by design");
}

/// An address of a small range, so that collisions happen, with what the cluster and AWS say of it.
fn fact() -> impl Strategy<Value = (u8, bool, bool, bool, bool)> {
    (1_u8..20, any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>())
}

proptest! {
    /// The counts are those of plain set arithmetic, whatever the order and however often a thing is said.
    #[test]
    fn order_and_repetition_never_matter(
        facts in proptest::collection::btree_map(1_u8..20, (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()), 0..20),
        seed in any::<u64>(),
        repeat in fact(),
    ) {
        let address = |n: u8| format!("10.0.0.{n}");
        let (mut slices, mut targets) = (Vec::new(), Vec::new());
        let (mut expected, mut missing, mut unexpected) = (0, 0, 0);
        for (n, (exists, ready, registered, draining)) in &facts {
            if *exists {
                slices.push(Endpoint { ready: *ready, ..endpoint(&address(*n), "node-a") });
            }
            if *registered {
                let state = if *draining { TargetState::Draining } else { TargetState::Healthy };
                targets.push(Target { state, ..target(&address(*n), Some(8080)) });
            }
            let counts = *registered && !draining;
            expected += usize::from(*exists && *ready);
            missing += usize::from(*exists && *ready && !counts);
            unexpected += usize::from(!exists && counts);
        }
        let mut world = World::healthy();
        world.slice(|slice| slice.endpoints = slices.clone());
        world.health(|health| health.targets = targets.clone());
        let plain = judge(&world).registration();
        prop_assert_eq!(plain, [Some(expected as f64), Some(expected as f64), Some(missing as f64), Some(unexpected as f64)]);

        let rotate = |len: usize| if len == 0 { 0 } else { usize::try_from(seed % len as u64).unwrap() };
        let (by_slices, by_targets) = (rotate(slices.len()), rotate(targets.len()));
        slices.rotate_left(by_slices);
        targets.rotate_left(by_targets);
        targets.reverse();
        slices.extend(slices.iter().find(|one| one.address == address(repeat.0).parse::<std::net::IpAddr>().unwrap()).cloned());
        targets.extend(targets.iter().find(|one| *one.id == *address(repeat.0)).cloned());
        world.slice(|slice| slice.endpoints = slices);
        world.health(|health| health.targets = targets);
        prop_assert_eq!(judge(&world).registration(), plain);
    }
}
