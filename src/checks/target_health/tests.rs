use super::*;
use crate::checks::fixtures::{LONG_AGO, NOW, TARGET_GROUP, Verdict, World};

fn judge(world: &World) -> Verdict {
    world.judge(&CHECK)
}

#[test]
fn a_healthy_group_counts_every_state_and_finds_nothing() {
    let verdict = judge(&World::healthy());
    for state in TargetState::ALL {
        let expected = match state {
            TargetState::Healthy => Some(3.0),
            TargetState::Other => None,
            _ => Some(0.0),
        };
        assert_eq!(verdict.value("target_group_targets", &[TARGET_GROUP, state.as_str()]), expected, "{state}");
    }
    let mut odd = World::healthy();
    odd.state("10.0.0.10", TargetState::Other);
    assert_eq!(judge(&odd).value("target_group_targets", &[TARGET_GROUP, "other"]), Some(1.0));
    assert!(verdict.series("target_group_unhealthy_targets").is_empty());
    assert_eq!(verdict.endpoints(), [Some(3.0), Some(0.0), Some(0.0)]);
    assert_eq!(verdict.registration(), [Some(3.0), Some(3.0), Some(0.0), Some(0.0)]);
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
