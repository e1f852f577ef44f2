//! How soon should a group's health be asked again? By what the last sample showed and what happened since. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::inventory::aws::{TargetHealth, TargetState};
use crate::inventory::ids::TargetGroupId;
use crate::sources::schedule::Cadence;

/// A group that is partly unhealthy and stays so is asked again after this share of the time it has been so.
const PATIENCE: u32 = 20;

/// What is remembered of each group.
#[derive(Debug)]
pub(crate) struct Steadiness {
    settle: Duration,
    groups: BTreeMap<TargetGroupId, Group>,
}

#[derive(Debug, Default)]
struct Group {
    /// When something about it changed last, here or in Kubernetes.
    touched_at: Option<Instant>,
    /// Its turn comes sooner than that of a steady one.
    short_turn: bool,
}

impl Steadiness {
    /// A group counts as not steady for `settle` after a change.
    pub(crate) fn new(settle: Duration) -> Self {
        Self { settle, groups: BTreeMap::new() }
    }

    /// Forgets groups that are not asked about any more.
    pub(crate) fn retain(&mut self, keep: impl Fn(&TargetGroupId) -> bool) {
        self.groups.retain(|id, _| keep(id));
    }

    /// Something around the group changed.
    pub(crate) fn touched(&mut self, id: &TargetGroupId, now: Instant) {
        self.groups.entry(id.clone()).or_default().touched_at = Some(now);
    }

    /// How many groups are asked more often than steady ones.
    pub(crate) fn short_turns(&self) -> usize {
        self.groups.values().filter(|group| group.short_turn).count()
    }

    /// A sample arrived, `moved` if it differs from the one before; returns how long until the next one.
    ///
    /// Not steady: some target is not healthy, or something changed within the settling time. Where a Service has policy
    /// Local, the nodes without its pods are unhealthy by design and for ever: a group of which a part is healthy and
    /// nothing changes is asked ever less often, down to the pace of a steady one.
    pub(crate) fn sampled(
        &mut self,
        id: &TargetGroupId,
        sample: &TargetHealth,
        moved: bool,
        cadence: Cadence,
        (now, instant): (Timestamp, Instant),
    ) -> Duration {
        let group = self.groups.entry(id.clone()).or_default();
        if moved {
            group.touched_at = Some(instant);
        }
        let settling = group.touched_at.is_some_and(|at| instant.duration_since(at) < self.settle);
        let healthy = sample.targets.iter().filter(|target| target.state == TargetState::Healthy).count();
        let turn = if settling {
            cadence.unsteady
        } else if healthy == sample.targets.len() {
            cadence.steady
        } else if healthy == 0 {
            cadence.unsteady
        } else {
            let unchanged_for = Duration::try_from(now.duration_since(sample.changed_at)).unwrap_or_default();
            (unchanged_for / PATIENCE).clamp(cadence.unsteady, cadence.steady.max(cadence.unsteady))
        };
        group.short_turn = turn < cadence.steady;
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::aws::Target;

    const CADENCE: Cadence = Cadence { unsteady: Duration::from_secs(15), steady: Duration::from_secs(120) };

    fn sample(states: &[TargetState]) -> TargetHealth {
        let target = |state: &TargetState| Target {
            id: "10.0.0.1".into(),
            port: Some(80),
            zone: None,
            state: *state,
            reason: None,
            zonal_shift: false,
        };
        TargetHealth { targets: states.iter().map(target).collect(), changed_at: Timestamp::UNIX_EPOCH }
    }

    fn turn(steadiness: &mut Steadiness, states: &[TargetState], moved: bool, second: i64, instant: Instant) -> u64 {
        let now = Timestamp::from_second(second).unwrap();
        steadiness.sampled(&"targetgroup/a/1".into(), &sample(states), moved, CADENCE, (now, instant)).as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_healthy_group_waits_for_its_round_and_a_dead_one_does_not() {
        use TargetState::{Healthy, Unhealthy};
        let (mut steadiness, now) = (Steadiness::new(Duration::from_secs(180)), Instant::now());
        assert_eq!(turn(&mut steadiness, &[Healthy, Healthy], false, 0, now), 120);
        assert_eq!(turn(&mut steadiness, &[], false, 0, now), 120);
        assert_eq!(steadiness.short_turns(), 0);
        assert_eq!(turn(&mut steadiness, &[Unhealthy], false, 100_000, now), 15);
        assert_eq!(steadiness.short_turns(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_keeps_a_group_unsteady_for_a_while() {
        use TargetState::Healthy;
        let (mut steadiness, now) = (Steadiness::new(Duration::from_secs(180)), Instant::now());
        assert_eq!(turn(&mut steadiness, &[Healthy], true, 0, now), 15);
        assert_eq!(turn(&mut steadiness, &[Healthy], false, 0, now + Duration::from_secs(179)), 15);
        assert_eq!(turn(&mut steadiness, &[Healthy], false, 0, now + Duration::from_secs(181)), 120);
        steadiness.touched(&"targetgroup/a/1".into(), now + Duration::from_secs(200));
        assert_eq!(turn(&mut steadiness, &[Healthy], false, 0, now + Duration::from_secs(201)), 15);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_partly_unhealthy_by_design_is_asked_less_and_less() {
        use TargetState::{Healthy, Unhealthy};
        let (mut steadiness, now) = (Steadiness::new(Duration::from_secs(180)), Instant::now());
        let mut after = |second| turn(&mut steadiness, &[Healthy, Unhealthy], false, second, now);
        assert_eq!([after(60), after(600), after(86_400)], [15, 30, 120]);
    }
}
