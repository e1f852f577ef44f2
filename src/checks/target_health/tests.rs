use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::checks::fixtures::{Change, LONG_AGO, NOW, TARGET_GROUP, Verdict, World, at, endpoint, target};
use crate::config::policy::TargetSeries;
use crate::inventory::aws::{LoadBalancerState, Target, TargetType};
use crate::inventory::kube::{BindingGroup, ConditionStatus, EndpointPort, PortReference, Protocol, TrafficPolicy};
use crate::inventory::part::Part;

const EXACT: [&str; 4] = [
    "target_group_expected_targets",
    "target_group_expected_healthy_targets",
    "target_group_missing_targets",
    "target_group_unexpected_targets",
];

/// Expected, expected healthy, missing, unexpected.
fn exact(verdict: &Verdict) -> [Option<f64>; 4] {
    EXACT.map(|family| verdict.value(family, &[TARGET_GROUP]))
}

fn endpoints(verdict: &Verdict) -> [Option<f64>; 3] {
    ["ready", "not_ready", "terminating"].map(|condition| verdict.value("target_group_endpoints", &[TARGET_GROUP, condition]))
}

fn judge(world: &World) -> Verdict {
    world.judge(&CHECK)
}

#[test]
fn a_healthy_group_counts_every_state_and_finds_nothing() {
    let verdict = judge(&World::healthy());
    for state in TargetState::ALL {
        let expected = if *state == TargetState::Healthy { 3.0 } else { 0.0 };
        assert_eq!(verdict.value("target_group_targets", &[TARGET_GROUP, state.as_str()]), Some(expected), "{state}");
    }
    assert!(verdict.series("target_group_unhealthy_targets").is_empty());
    assert_eq!(endpoints(&verdict), [Some(3.0), Some(0.0), Some(0.0)]);
    assert_eq!(exact(&verdict), [Some(3.0), Some(3.0), Some(0.0), Some(0.0)]);
    assert_eq!(verdict.value("target_group_sampled_timestamp_seconds", &[TARGET_GROUP]), Some(NOW as f64));
    assert_eq!(verdict.value("target_group_changed_timestamp_seconds", &[TARGET_GROUP]), Some(LONG_AGO as f64));
    assert!(verdict.series("target_health").is_empty());
    assert_eq!(verdict.value("target_health_series_dropped", &[]), Some(0.0));
    assert!(verdict.codes().is_empty());
    assert!(judge(&World::instances()).codes().is_empty());
}

#[test]
fn reasons_are_counted_for_what_is_not_healthy() {
    let mut world = World::healthy();
    world.state("10.0.0.10", TargetState::Unhealthy);
    world.state("10.0.1.10", TargetState::Draining);
    world.health(|health| {
        health.targets[2].state = TargetState::Unavailable;
        health.targets[2].reason = None;
    });
    assert_eq!(
        judge(&world).series("target_group_unhealthy_targets"),
        [[TARGET_GROUP, "Target.DeregistrationInProgress"], [TARGET_GROUP, "Target.FailedHealthChecks"], [TARGET_GROUP, "other"]]
    );
}

// --- NLB101

fn crash(world: &mut World) {
    for address in ["10.0.0.10", "10.0.1.10", "10.0.2.10"] {
        world.endpoint(address, |endpoint| endpoint.ready = false);
    }
}

#[test]
fn an_emptied_group_of_a_crashing_service_has_no_healthy_target() {
    let mut world = World::healthy();
    crash(&mut world);
    world.health(|health| health.targets.clear());
    let verdict = judge(&world);
    assert_eq!(verdict.codes(), ["NLB101"]);
    assert_eq!(verdict.message("NLB101"), "0 of 0 targets are healthy while shop/web has 0 ready and 3 not ready endpoints.");
}

#[test]
fn failing_targets_behind_ready_pods_are_told_with_their_reasons() {
    let mut world = World::healthy();
    world.all_states(TargetState::Unhealthy);
    assert_eq!(
        judge(&world).message("NLB101"),
        "0 of 3 targets are healthy (3 Target.FailedHealthChecks) while shop/web has 3 ready and 0 not ready endpoints."
    );
}

#[test]
fn scaled_to_zero_is_silent_with_and_without_leftovers() {
    for leftovers in [false, true] {
        for mut world in [World::healthy(), World::instances()] {
            world.slice(|slice| slice.endpoints.clear());
            if leftovers || world.parts.target_groups.get().unwrap().values().any(|g| g.target_type == TargetType::Instance) {
                world.all_states(if leftovers { TargetState::Draining } else { TargetState::Unhealthy });
            } else {
                world.health(|health| health.targets.clear());
            }
            let codes = judge(&world).codes();
            assert!(!codes.contains(&"NLB101") && !codes.contains(&"NLB102"), "{codes:?}");
        }
    }
}

#[test]
fn what_keeps_a_group_without_healthy_targets_silent() {
    let cases: [(&str, Change); 13] = [
        ("only terminating pods", |world| {
            for address in ["10.0.0.10", "10.0.1.10", "10.0.2.10"] {
                world.endpoint(address, |endpoint| endpoint.terminating = true);
            }
        }),
        ("weight 0", |world| world.listeners(|listeners| listeners[0].forwards[0].weight = 0)),
        ("no listener", |world| world.listeners(Vec::clear)),
        ("no load balancer", |world| world.target_group(|group| group.load_balancers.clear())),
        ("provisioning", |world| world.load_balancer(|lb| lb.state = LoadBalancerState::Provisioning)),
        ("health of one not known", |world| world.state("10.0.0.10", TargetState::Unavailable)),
        ("endpoints not known", |world| world.parts.endpoint_slices.fetched_at = None),
        ("health not sampled", |world| world.parts.target_health = Arc::default()),
        ("a new Service", |world| world.service(|service| service.created_at = at(NOW - 179))),
        ("a new binding", |world| world.binding(|binding| binding.created_at = at(NOW - 179))),
        ("a Service that is being deleted", |world| world.service(|service| service.deleted_at = Some(at(NOW)))),
        ("a sample older than the change", |world| world.slice(|slice| slice.changed_at = Some(at(NOW + 1)))),
        ("a first health check", |world| {
            world.slice(|slice| slice.changed_at = Some(at(NOW - 179)));
            world.state("10.0.0.10", TargetState::Initial);
        }),
    ];
    for (name, change) in cases {
        let mut world = World::healthy();
        world.all_states(TargetState::Unhealthy);
        assert_eq!(judge(&world).codes(), ["NLB101"]);
        change(&mut world);
        assert!(!judge(&world).codes().contains(&"NLB101"), "{name}");
    }
}

#[test]
fn the_waiting_ends() {
    let cases: [(&str, Change); 4] = [
        ("a Service of three minutes", |world| world.service(|service| service.created_at = at(NOW - 180))),
        ("a sample of the moment of the change", |world| world.slice(|slice| slice.changed_at = Some(at(NOW)))),
        ("a first health check that should be over", |world| {
            world.slice(|slice| slice.changed_at = Some(at(NOW - 180)));
            world.state("10.0.0.10", TargetState::Initial);
        }),
        ("an old sample, but no pod is ready even now", |world| {
            crash(world);
            world.slice(|slice| slice.changed_at = Some(at(NOW + 1)));
        }),
    ];
    for (name, change) in cases {
        let mut world = World::healthy();
        world.all_states(TargetState::Unhealthy);
        change(&mut world);
        assert_eq!(judge(&world).codes(), ["NLB101"], "{name}");
    }
}

#[test]
fn unknown_listeners_leave_the_word_to_the_target_group() {
    let mut world = World::healthy();
    world.all_states(TargetState::Unhealthy);
    world.parts.listeners = Arc::default();
    assert_eq!(judge(&world).codes(), ["NLB101"]);
}

#[test]
fn the_load_balancer_in_front_of_an_alb_has_no_endpoints_and_is_judged_by_its_target() {
    let mut world = World::healthy();
    world.target_group(|group| group.target_type = TargetType::Alb);
    world.parts.target_group_bindings = Part::fetched(BTreeMap::new(), at(NOW));
    world.parts.tags = Arc::new(
        world
            .parts
            .tags
            .iter()
            .map(|(arn, tags)| {
                let mut tags = tags.clone();
                Arc::make_mut(tags.value.as_mut().unwrap()).remove("service.k8s.aws/resource");
                (arn.clone(), tags)
            })
            .collect(),
    );
    assert!(judge(&world).codes().is_empty());
    assert!(judge(&world).series("target_group_endpoints").is_empty());
    world.all_states(TargetState::Unhealthy);
    assert_eq!(judge(&world).message("NLB101"), "0 of 3 targets are healthy (3 Target.FailedHealthChecks).");
}

// --- NLB102

#[test]
fn one_failing_target_among_healthy_ones_is_a_warning() {
    let mut world = World::healthy();
    world.state("10.0.1.10", TargetState::Unhealthy);
    assert_eq!(judge(&world).message("NLB102"), "1 of 3 targets are not healthy (1 Target.FailedHealthChecks).");
    world.state("10.0.1.10", TargetState::UnhealthyDraining);
    assert!(judge(&world).codes().contains(&"NLB102"), "its connections are being ended because it fails");
}

#[test]
fn rollouts_drains_and_interruptions_are_silent() {
    let cases: [(&str, Change); 6] = [
        ("a new pod is checked for the first time", |world| {
            world.slice(|slice| slice.endpoints.push(endpoint("10.0.1.11", "node-b")));
            world.health(|health| health.targets.push(target("10.0.1.11", Some(8080))));
            world.state("10.0.1.11", TargetState::Initial);
        }),
        ("an old pod is draining", |world| {
            world.endpoint("10.0.1.10", |endpoint| (endpoint.ready, endpoint.terminating) = (false, true));
            world.state("10.0.1.10", TargetState::Draining);
        }),
        ("an old pod terminates and is still registered", |world| {
            world.endpoint("10.0.1.10", |endpoint| (endpoint.ready, endpoint.terminating) = (false, true));
            world.state("10.0.1.10", TargetState::Unhealthy);
        }),
        ("a node was lost and its pod is not ready any more", |world| {
            world.node("node-b", |node| (node.ready, node.ready_changed_at) = (ConditionStatus::Unknown, Some(at(NOW - 5))));
            world.endpoint("10.0.1.10", |endpoint| endpoint.ready = false);
            world.slice(|slice| slice.changed_at = Some(at(NOW - 5)));
            world.state("10.0.1.10", TargetState::Unhealthy);
        }),
        ("the sample is older than the change", |world| {
            world.slice(|slice| slice.changed_at = Some(at(NOW + 1)));
            world.state("10.0.1.10", TargetState::Unhealthy);
        }),
        ("the group has no listener", |world| {
            world.listeners(Vec::clear);
            world.state("10.0.1.10", TargetState::Unhealthy);
        }),
    ];
    for (name, change) in cases {
        let mut world = World::healthy();
        change(&mut world);
        assert!(judge(&world).codes().is_empty(), "{name}: {:?}", judge(&world).findings());
    }
}

#[test]
fn a_pod_that_waits_for_its_readiness_gate_in_vain_is_told() {
    let mut world = World::healthy();
    world.endpoint("10.0.1.10", |endpoint| endpoint.ready = false);
    world.state("10.0.1.10", TargetState::Unhealthy);
    world.slice(|slice| slice.changed_at = Some(at(NOW - 180)));
    assert_eq!(judge(&world).codes(), ["NLB102"]);
}

#[test]
fn a_node_under_drain_of_an_instance_group_is_silent() {
    let cases: [Change; 3] = [
        |world| world.taint_node("node-b", "karpenter.sh/disrupted"),
        |world| world.taint_node("node-b", "ToBeDeletedByClusterAutoscaler"),
        |world| {
            world.node("node-b", |node| {
                (node.ready, node.ready_changed_at) = (ConditionStatus::Unknown, Some(at(NOW - 10)));
            });
        },
    ];
    for change in cases {
        let mut world = World::instances();
        change(&mut world);
        for state in [TargetState::Healthy, TargetState::Unhealthy, TargetState::Draining] {
            world.state("i-b", state);
            assert!(judge(&world).codes().is_empty(), "{:?}", judge(&world).findings());
        }
    }
}

// --- policy Local

fn local() -> World {
    let mut world = World::instances();
    world.service(|service| service.external_traffic_policy = TrafficPolicy::Local);
    world.slice(|slice| slice.endpoints.truncate(1));
    world.state("i-b", TargetState::Unhealthy);
    world.state("i-c", TargetState::Unhealthy);
    world
}

#[test]
fn under_policy_local_only_nodes_with_a_ready_pod_have_to_be_healthy() {
    let world = local();
    assert_eq!(exact(&judge(&world)), [Some(3.0), Some(1.0), Some(0.0), Some(0.0)]);
    assert!(judge(&world).codes().is_empty());
    let mut world = local();
    world.slice(|slice| slice.endpoints.push(endpoint("10.0.1.10", "node-b")));
    assert_eq!(exact(&judge(&world))[1], Some(2.0));
    assert_eq!(judge(&world).codes(), ["NLB102"], "node-b has a pod and fails");
    world.slice(|slice| slice.changed_at = Some(at(NOW - 60)));
    assert!(judge(&world).codes().is_empty(), "but the pod has just come");
}

#[test]
fn under_policy_local_unknown_endpoints_are_no_verdict() {
    let mut world = local();
    world.parts.endpoint_slices.fetched_at = None;
    let verdict = judge(&world);
    assert!(verdict.codes().is_empty());
    assert_eq!(exact(&verdict), [None; 4]);
    assert_eq!(endpoints(&verdict), [None; 3]);
}

// --- expected, missing, unexpected

#[test]
fn a_ready_pod_that_is_not_registered_is_missing() {
    let mut world = World::healthy();
    world.health(|health| health.targets.remove(0));
    let verdict = judge(&world);
    assert_eq!(exact(&verdict), [Some(3.0), Some(3.0), Some(1.0), Some(0.0)]);
    assert_eq!(verdict.message("NLB104"), "1 of 3 expected targets of shop/web are not registered: 10.0.0.10:8080.");
}

#[test]
fn the_metric_says_what_is_and_the_finding_waits() {
    let mut world = World::healthy();
    world.health(|health| health.targets.remove(0));
    world.slice(|slice| slice.changed_at = Some(at(NOW - 179)));
    assert_eq!(exact(&judge(&world))[2], Some(1.0));
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
    assert_eq!(exact(&judge(&world)), [Some(3.0), Some(3.0), Some(1.0), Some(0.0)]);
    world.slice(|slice| slice.endpoints.remove(0));
    assert_eq!(exact(&judge(&world)), [Some(2.0), Some(2.0), Some(0.0), Some(0.0)]);
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
            assert_eq!(exact(&judge(&world)), [Some(2.0), Some(2.0), Some(0.0), Some(0.0)]);
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
    assert_eq!(exact(&verdict)[3], Some(2.0));
    assert_eq!(
        verdict.message("NLB105"),
        "2 registered targets belong to no endpoint or node of shop/web: 10.0.0.10:9090, 10.0.0.99:8080."
    );
    world.slice(|slice| slice.changed_at = Some(at(NOW - 10)));
    assert!(judge(&world).codes().is_empty(), "its pod may just have gone");
}

#[test]
fn a_node_that_stopped_being_eligible_is_waited_for() {
    let mut world = World::instances();
    world.node("node-b", |node| (node.ready, node.ready_changed_at) = (ConditionStatus::False, Some(at(NOW - 10))));
    assert_eq!(exact(&judge(&world)), [Some(2.0), Some(2.0), Some(0.0), Some(1.0)]);
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
        assert_eq!(exact(&verdict)[2..], [None; 2], "{name}");
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
        assert_eq!(exact(&judge(&world)), [None; 4]);
        assert!(judge(&world).codes().is_empty());
    }
}

#[test]
fn a_limit_of_zero_targets_means_none() {
    let mut world = World::healthy();
    world.flag("max-targets-per-target-group", "0");
    assert_eq!(exact(&judge(&world))[0], Some(3.0));
}

#[test]
fn the_service_port_finds_its_container_port_by_name() {
    let mut world = World::healthy();
    world.slice(|slice| {
        slice.ports.insert(0, EndpointPort { name: "metrics".into(), port: Some(9090), protocol: Protocol::Tcp });
    });
    assert_eq!(exact(&judge(&world)), [Some(3.0), Some(3.0), Some(0.0), Some(0.0)]);
    world.binding(|binding| binding.service_port = PortReference::Name("http".into()));
    assert_eq!(exact(&judge(&world))[0], Some(3.0));
    world.slice(|slice| slice.ports[1].name = "web".into());
    assert_eq!(exact(&judge(&world)), [Some(0.0), Some(0.0), Some(0.0), Some(3.0)], "no pod has the port");
}

#[test]
fn a_nameless_port_takes_every_port_of_the_slice() {
    let mut world = World::healthy();
    world.service(|service| service.ports[0].name = "".into());
    world.slice(|slice| slice.ports[0].name = "".into());
    assert_eq!(exact(&judge(&world)), [Some(3.0), Some(3.0), Some(0.0), Some(0.0)]);
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
    assert_eq!(exact(&judge(&world)), [Some(3.0), Some(3.0), Some(0.0), Some(0.0)]);
    assert_eq!(endpoints(&judge(&world))[0], Some(4.0));
}

#[test]
fn instance_targets_are_all_eligible_nodes_and_with_no_ready_pod_none_can_be_healthy() {
    let mut world = World::instances();
    world.slice(|slice| slice.endpoints.truncate(1));
    assert_eq!(exact(&judge(&world)), [Some(3.0), Some(3.0), Some(0.0), Some(0.0)]);
    world.slice(|slice| slice.endpoints.clear());
    assert_eq!(exact(&judge(&world)), [Some(3.0), Some(0.0), Some(0.0), Some(0.0)]);
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
    assert_eq!(exact(&judge(&world)), [None; 4]);
    assert_eq!(endpoints(&judge(&world))[0], Some(3.0));
    world.state("i-b", TargetState::Unhealthy);
    assert_eq!(judge(&world).codes(), ["NLB102"]);
    world.service(|service| service.external_traffic_policy = TrafficPolicy::Local);
    world.slice(|slice| slice.endpoints.remove(1));
    assert!(judge(&world).codes().is_empty(), "by design");
}

// --- per-target series

#[test]
fn a_target_series_is_joined_to_pod_node_and_zone() {
    let mut world = World::healthy();
    world.state("10.0.1.10", TargetState::Unhealthy);
    assert_eq!(
        judge(&world).series("target_health"),
        [[TARGET_GROUP, "10.0.1.10", "8080", "us-east-1b", "web-10.0.1.10", "node-b", "unhealthy", "Target.FailedHealthChecks"]]
    );
    let mut world = World::instances();
    world.policy.target_series = TargetSeries::All;
    assert_eq!(
        judge(&world).series("target_health")[0],
        [TARGET_GROUP, "i-a", "30080", "us-east-1a", "", "node-a", "healthy", ""]
    );
}

#[test]
fn the_policy_chooses_and_the_limit_cuts_the_least_urgent() {
    let mut world = World::healthy();
    world.state("10.0.2.10", TargetState::Unhealthy);
    world.state("10.0.0.10", TargetState::Draining);
    let shown = |world: &World| -> Vec<String> {
        judge(world).series("target_health").into_iter().map(|series| series[1].clone()).collect()
    };
    assert_eq!(shown(&world), ["10.0.0.10", "10.0.2.10"]);
    world.policy.target_series = TargetSeries::All;
    assert_eq!(shown(&world).len(), 3);
    world.policy.target_series_limit = 1;
    assert_eq!(shown(&world), ["10.0.2.10"]);
    assert_eq!(judge(&world).value("target_health_series_dropped", &[]), Some(2.0));
    world.policy.target_series_limit = 3;
    assert_eq!(judge(&world).value("target_health_series_dropped", &[]), Some(0.0));
    world.policy.target_series = TargetSeries::Off;
    assert!(shown(&world).is_empty());
    assert!(judge(&world).series("target_health_series_dropped").is_empty());
}

#[test]
fn a_target_that_an_answer_names_twice_is_one_series() {
    let mut world = World::healthy();
    world.policy.target_series = TargetSeries::All;
    world.health(|health| {
        health.targets.push(Target { zone: Some("us-east-1a".into()), ..target("10.0.0.10", Some(8080)) });
    });
    assert_eq!(judge(&world).series("target_health").len(), 3);
}

// --- sets

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
                slices.push(crate::inventory::kube::Endpoint { ready: *ready, ..endpoint(&address(*n), "node-a") });
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
        let plain = exact(&judge(&world));
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
        prop_assert_eq!(exact(&judge(&world)), plain);
    }
}
#[test]
fn dump_tmp() {
    for (name, world) in [("ip", World::healthy()), ("instance", World::instances())] {
        std::fs::write(format!("/tmp/checks-{name}.yaml"), serde_saphyr::to_string(&world.parts).unwrap()).unwrap();
    }
}
