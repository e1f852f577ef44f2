use super::*;
use crate::checks::fixtures::{TARGET_GROUP, Verdict, World, target};
use crate::checks::target_health::CHECK;

fn judge(world: &World) -> Verdict {
    world.judge(&CHECK)
}

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
fn without_a_sample_the_number_dropped_is_not_known() {
    let mut world = World::healthy();
    world.parts.target_health = std::sync::Arc::default();
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
