use super::*;
use crate::checks::fixtures::{Change, NOW, TARGET_GROUP, World, at, endpoint, target};
use crate::inventory::kube::TrafficPolicy;

fn zone_row(world: &World, zone: &str) -> (Option<f64>, Option<f64>) {
    let verdict = world.judge(&CHECK);
    let value = |state| verdict.value("target_group_zone_targets", &[TARGET_GROUP, zone, state]);
    (value("healthy"), value("other"))
}

#[test]
fn a_healthy_group_has_one_row_a_zone_and_no_finding() {
    let world = World::healthy();
    for zone in ["us-east-1a", "us-east-1b", "us-east-1c"] {
        assert_eq!(zone_row(&world, zone), (Some(1.0), Some(0.0)));
    }
    let verdict = world.judge(&CHECK);
    assert!(verdict.codes().is_empty());
    assert!(verdict.series("target_group_failing_targets").is_empty());
    assert_eq!(verdict.value("target_group_cross_zone_enabled", &[TARGET_GROUP]), Some(0.0));
}

#[test]
fn a_zone_whose_targets_all_fail_is_dark() {
    let mut world = World::healthy();
    world.state("10.0.1.10", TargetState::Unhealthy);
    let verdict = world.judge(&CHECK);
    assert_eq!(
        verdict.message("NLB103"),
        "1 of 3 zones of net/web/1 out of service: us-east-1b (0 of 1 targets healthy); 2 targets are healthy in other zones and cross-zone is off, so AWS takes the zone out of DNS."
    );
    assert_eq!(verdict.value("target_group_failing_targets", &[TARGET_GROUP, "us-east-1b"]), Some(1.0));
    assert_eq!(zone_row(&world, "us-east-1b"), (Some(0.0), Some(1.0)));
}

#[test]
fn one_healthy_target_keeps_a_zone_lit() {
    let mut world = World::healthy();
    world.state("10.0.1.10", TargetState::Unhealthy);
    world.slice(|slice| slice.endpoints.push(endpoint("10.0.1.11", "node-b")));
    world.health(|health| health.targets.push(target("10.0.1.11", Some(8080))));
    assert!(world.judge(&CHECK).codes().is_empty());
    assert_eq!(zone_row(&world, "us-east-1b"), (Some(1.0), Some(1.0)));
}

#[test]
fn an_empty_zone_is_shown_with_zeros_and_is_not_dark() {
    let mut world = World::healthy();
    world.health(|health| health.targets.remove(1));
    assert_eq!(zone_row(&world, "us-east-1b"), (Some(0.0), Some(0.0)));
    assert!(world.judge(&CHECK).codes().is_empty());
}

#[test]
fn what_makes_a_zone_without_healthy_targets_normal() {
    let cases: [(&str, Change); 9] = [
        ("draining", |world| world.state("10.0.1.10", TargetState::Draining)),
        ("a first health check", |world| world.state("10.0.1.10", TargetState::Initial)),
        ("health not known", |world| world.state("10.0.1.10", TargetState::Unavailable)),
        ("a zonal shift", |world| world.health(|health| health.targets[1].zonal_shift = true)),
        ("cross-zone of the group", |world| world.target_group_attribute("load_balancing.cross_zone.enabled", "true")),
        ("weight 0", |world| world.listeners(|listeners| listeners[0].forwards[0].weight = 0)),
        ("no listener", |world| world.listeners(Vec::clear)),
        ("all fail, so nothing leaves DNS", |world| {
            world.all_states(TargetState::Unhealthy);
        }),
        ("a terminating pod", |world| world.endpoint("10.0.1.10", |endpoint| endpoint.terminating = true)),
    ];
    for (name, change) in cases {
        let mut world = World::healthy();
        world.state("10.0.1.10", TargetState::Unhealthy);
        assert_eq!(world.judge(&CHECK).codes(), ["NLB103"]);
        change(&mut world);
        assert!(world.judge(&CHECK).codes().is_empty(), "{name}");
    }
}

#[test]
fn unknown_cross_zone_is_no_verdict_and_no_series() {
    let mut world = World::healthy();
    world.state("10.0.1.10", TargetState::Unhealthy);
    world.parts.load_balancer_attributes = std::sync::Arc::default();
    let verdict = world.judge(&CHECK);
    assert!(verdict.codes().is_empty());
    assert!(verdict.series("target_group_cross_zone_enabled").is_empty());
}

#[test]
fn under_policy_local_a_zone_without_a_pod_is_normal_and_one_with_a_pod_is_not() {
    let mut world = World::instances();
    world.service(|service| service.external_traffic_policy = TrafficPolicy::Local);
    world.slice(|slice| slice.endpoints.remove(1));
    world.state("i-b", TargetState::Unhealthy);
    assert!(world.judge(&CHECK).codes().is_empty());
    assert_eq!(zone_row(&world, "us-east-1b"), (Some(0.0), Some(1.0)), "the count stays");
    assert!(world.judge(&CHECK).series("target_group_failing_targets").is_empty());
    world.state("i-c", TargetState::Unhealthy);
    assert!(world.judge(&CHECK).message("NLB103").contains("us-east-1c (0 of 1"));
}

#[test]
fn a_pod_that_has_just_come_to_a_node_is_waited_for() {
    let mut world = World::instances();
    world.service(|service| service.external_traffic_policy = TrafficPolicy::Local);
    world.state("i-b", TargetState::Unhealthy);
    world.slice(|slice| slice.changed_at = Some(at(NOW - 179)));
    assert!(world.judge(&CHECK).codes().is_empty());
    world.slice(|slice| slice.changed_at = Some(at(NOW - 180)));
    assert_eq!(world.judge(&CHECK).codes(), ["NLB103"]);
}

#[test]
fn a_healthy_target_that_cannot_be_placed_leaves_the_zones_unknown() {
    let mut world = World::healthy();
    world.state("10.0.1.10", TargetState::Unhealthy);
    world.health(|health| health.targets.push(target("192.168.0.1", Some(8080))));
    let verdict = world.judge(&CHECK);
    assert!(verdict.series("target_group_zone_targets").is_empty());
    assert!(verdict.codes().is_empty());
    // An unhealthy one hides nothing.
    world.state("192.168.0.1", TargetState::Unhealthy);
    assert_eq!(world.judge(&CHECK).codes(), ["NLB103"]);
}

#[test]
fn an_address_outside_the_vpc_serves_every_zone() {
    let mut world = World::healthy();
    world.state("10.0.1.10", TargetState::Unhealthy);
    world.health(|health| {
        health.targets.push(Target { zone: Some("all".into()), ..target("192.168.0.1", Some(8080)) });
    });
    assert_eq!(zone_row(&world, "us-east-1b"), (Some(1.0), Some(1.0)));
    assert!(world.judge(&CHECK).codes().is_empty());
}

#[test]
fn a_zone_that_is_not_enabled_has_a_row_and_is_never_dark() {
    let mut world = World::healthy();
    world.load_balancer(|load_balancer| load_balancer.zones.remove(1));
    world.state("10.0.1.10", TargetState::Unused);
    assert_eq!(zone_row(&world, "us-east-1b"), (Some(0.0), Some(1.0)));
    assert!(world.judge(&CHECK).codes().is_empty());
}
