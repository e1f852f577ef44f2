//! How long is each round, so that all of them fit into the budget?

use std::time::Duration;

use tokio::time::Instant;

use super::Resources;
use crate::sources::aws::elb;
use crate::sources::schedule::Cadence;

impl Resources {
    /// Stretches all rounds to what the budget allows: settings get what half of it leaves beside the lists, health the
    /// rest. A round that means to take longer says so, and what is known lives as much longer.
    pub(super) fn fit_cadence(&mut self) {
        let now = Instant::now();
        let (rate, intervals) = (self.elb.dispatcher().rate(), &self.intervals);
        let per_second = |calls: usize, interval: Duration| calls as f64 / interval.as_secs_f64().max(0.001);
        let tagged_listeners = self.tagged.len();
        let listed = self.tags.plan.len().saturating_sub(tagged_listeners);
        let lists = per_second(listed / 400 + 2, intervals.load_balancers);
        let batches = listed.div_ceil(elb::TAGS_A_CALL) + tagged_listeners.div_ceil(elb::TAGS_A_CALL);
        let settings = per_second(batches, intervals.tags)
            + per_second(self.listeners.plan.len(), intervals.listeners)
            + per_second(self.load_balancer_attributes.plan.len(), intervals.attributes)
            + per_second(self.target_group_attributes.plan.len(), intervals.attributes)
            + per_second(self.certificates.plan.len(), intervals.listeners)
            + per_second(self.listener_attributes.plan.len(), intervals.attributes)
            + per_second(self.capacities.plan.len(), intervals.attributes);
        let stretch = (settings / (rate / 2.0 - lists).max(rate / 8.0)).max(1.0);
        self.tags.set_interval(intervals.tags.mul_f64(stretch), now);
        self.listeners.set_interval(intervals.listeners.mul_f64(stretch), now);
        self.load_balancer_attributes.set_interval(intervals.attributes.mul_f64(stretch), now);
        self.target_group_attributes.set_interval(intervals.attributes.mul_f64(stretch), now);
        self.certificates.set_interval(intervals.listeners.mul_f64(stretch), now);
        self.listener_attributes.set_interval(intervals.attributes.mul_f64(stretch), now);
        self.capacities.set_interval(intervals.attributes.mul_f64(stretch), now);
        let wish = Cadence { unsteady: intervals.unsteady_health, steady: intervals.steady_health };
        let unsteady = self.steadiness.short_turns();
        let steady = self.health.plan.len().saturating_sub(unsteady);
        let others = lists + settings / stretch;
        self.cadence = Cadence::fit(wish, (rate - others).max(rate / 2.0), unsteady, steady);
        self.health.set_interval(self.cadence.steady, now);
    }
}
