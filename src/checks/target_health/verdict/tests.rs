use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::checks::fixtures::{Change, NOW, Verdict, World, at, endpoint, target};
use crate::checks::target_health::CHECK;
use crate::inventory::kube::{ConditionStatus, TrafficPolicy};
use crate::inventory::part::Part;

fn judge(world: &World) -> Verdict {
    world.judge(&CHECK)
}

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
        "0 of 3 targets are healthy (3 Target.FailedHealthChecks) while shop/web has 3 ready and 0 not ready endpoints; \
         AWS sends traffic to all of them all the same (fail open)."
    );
}

/// The API server was last heard this many seconds before the sample.
fn lose_the_cluster(world: &mut World, seconds: i64) {
    let parts = &mut world.parts;
    let sampled = parts.target_health.values().next().unwrap().fetched_at.unwrap();
    let seen = Some(sampled - jiff::SignedDuration::from_secs(seconds));
    parts.services.fetched_at = seen;
    parts.endpoint_slices.fetched_at = seen;
    parts.target_group_bindings.fetched_at = seen;
    parts.nodes.fetched_at = seen;
}

#[test]
fn while_the_api_server_is_lost_nothing_is_missing_and_nothing_unexpected() {
    for (seconds, judged) in [(0, true), (150, true), (151, false)] {
        let mut world = World::healthy();
        world.health(|health| {
            health.targets.pop();
            health.targets.push(target("10.0.1.99", Some(8080)));
        });
        lose_the_cluster(&mut world, seconds);
        let verdict = judge(&world);
        assert_eq!(verdict.codes().contains(&"NLB104"), judged, "{seconds} s: {:?}", verdict.codes());
        assert_eq!(verdict.value("target_group_missing_targets", &["targetgroup/web/1"]), judged.then_some(1.0), "{seconds} s");
        assert_eq!(
            verdict.value("target_group_unexpected_targets", &["targetgroup/web/1"]),
            judged.then_some(1.0),
            "{seconds} s"
        );
    }
}

#[test]
fn while_the_api_server_is_lost_an_emptied_group_may_be_scaled_to_zero_and_a_failing_one_is_not() {
    let mut emptied = World::healthy();
    emptied.health(|health| health.targets.clear());
    assert_eq!(judge(&emptied).codes(), ["NLB101", "NLB104"]);
    lose_the_cluster(&mut emptied, 600);
    assert_eq!(judge(&emptied).codes(), [""; 0]);
    let mut failing = World::healthy();
    failing.all_states(TargetState::Unhealthy);
    lose_the_cluster(&mut failing, 600);
    assert_eq!(judge(&failing).codes(), ["NLB101"]);
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
    assert_eq!(
        judge(&world).message("NLB101"),
        "0 of 3 targets are healthy (3 Target.FailedHealthChecks); AWS sends traffic to all of them all the same (fail open)."
    );
}

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
    assert_eq!(judge(&world).registration(), [Some(3.0), Some(1.0), Some(0.0), Some(0.0)]);
    assert!(judge(&world).codes().is_empty());
    let mut world = local();
    world.slice(|slice| slice.endpoints.push(endpoint("10.0.1.10", "node-b")));
    assert_eq!(judge(&world).registration()[1], Some(2.0));
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
    assert_eq!(verdict.registration(), [None; 4]);
    assert_eq!(verdict.endpoints(), [None; 3]);
}

#[test]
fn an_endless_hold_down_waits_and_does_no_harm() {
    let mut world = World::healthy();
    world.policy.target_hold_down_seconds = u64::MAX;
    world.health(|health| health.targets.remove(0));
    assert!(judge(&world).codes().is_empty());
}

/// Since when the finding of a code is, in seconds before `NOW`.
fn ago(world: &World, code: &str) -> Option<i64> {
    let verdict = judge(world);
    let finding = verdict.findings().iter().find(|finding| finding.kind.code == code);
    finding.unwrap_or_else(|| panic!("{:?}", verdict.codes())).since.map(|at| NOW - at.as_second())
}

#[test]
fn since_when_is_told_of_what_was_seen_and_of_what_came_last() {
    // A day ago they became as they are; the first sample of a group only says that it was taken.
    let mut world = World::healthy();
    world.all_states(TargetState::Unhealthy);
    assert_eq!(ago(&world, "NLB101"), Some(86_400));
    world.health(|health| health.changed_at = at(NOW));
    assert_eq!(ago(&world, "NLB101"), None);

    // AWS has had no target for a day, and the pods are there for ten minutes.
    let mut world = World::healthy();
    world.health(|health| health.targets.clear());
    world.slice(|slice| slice.changed_at = Some(at(NOW - 600)));
    assert_eq!(ago(&world, "NLB101"), Some(600));

    // One pod that came ten minutes ago is not registered; the others are as they were for a day.
    let mut world = World::healthy();
    world.slice(|slice| {
        slice.endpoints.push(endpoint("10.0.1.11", "node-b"));
        slice.changed_at = Some(at(NOW - 600));
    });
    assert_eq!(ago(&world, "NLB104"), Some(600));
    // Somebody deregistered one a minute ago that was there for long.
    let mut world = World::healthy();
    world.health(|health| {
        health.targets.pop();
        health.changed_at = at(NOW - 60);
    });
    assert_eq!(ago(&world, "NLB104"), Some(60));
}
