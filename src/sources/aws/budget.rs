//! May one more call be made now, and if not, when? A token bucket whose rate gives way to throttling. Pure.

use std::time::Duration;

/// Below this share of the configured rate throttling does not push.
const FLOOR: f64 = 1.0 / 16.0;

/// Within this time after a slow-down further throttled answers change nothing: they belong to the same burst.
const ONE_BURST: Duration = Duration::from_secs(1);

/// How long it takes to climb from nothing to the configured rate.
const RECOVERY: Duration = Duration::from_secs(300);

/// A token bucket. Time is a duration since an origin of the caller's choice and never goes back: an earlier time than one
/// seen before counts as that one.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    /// Tokens a second when nobody complains.
    configured: f64,
    /// Tokens a second now.
    rate: f64,
    /// Most tokens that can be saved up.
    burst: f64,
    tokens: f64,
    seen: Duration,
    throttled_at: Option<Duration>,
}

impl Budget {
    /// A full bucket. A rate or burst that is no positive number would never let anything pass: they are raised to a
    /// call in a thousand seconds and to one token.
    pub(crate) fn new(rate: f64, burst: f64) -> Self {
        let rate = if rate.is_finite() { rate.max(0.001) } else { 0.001 };
        let burst = if burst.is_finite() { burst.max(1.0) } else { 1.0 };
        Self { configured: rate, rate, burst, tokens: burst, seen: Duration::ZERO, throttled_at: None }
    }

    /// Takes a token, or says how long to wait until there is one (if nobody else takes it).
    pub(crate) fn take(&mut self, now: Duration) -> Result<(), Duration> {
        self.refill(now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        // A nanosecond more than computed, so that rounding never makes the next try fail too.
        let wait = Duration::from_secs_f64((1.0 - self.tokens) / self.rate) + Duration::from_nanos(1);
        Err(wait)
    }

    /// Puts a token back that was taken for nobody.
    pub(crate) fn give_back(&mut self) {
        self.tokens = (self.tokens + 1.0).min(self.burst);
    }

    /// The other side asked to slow down: half the rate, and what was saved up is gone.
    pub(crate) fn throttled(&mut self, now: Duration) {
        self.refill(now);
        if self.throttled_at.is_some_and(|at| self.seen.saturating_sub(at) < ONE_BURST) {
            return;
        }
        self.throttled_at = Some(self.seen);
        self.rate = (self.rate / 2.0).max(self.configured * FLOOR);
        self.tokens = self.tokens.min(0.0);
    }

    /// Tokens a second at `now`.
    pub(crate) fn rate(&mut self, now: Duration) -> f64 {
        self.refill(now);
        self.rate
    }

    /// Whether throttling has left less than half of the configured rate: more than one answer that asked to slow down.
    pub(crate) fn is_slowed(&mut self, now: Duration) -> bool {
        self.rate(now) < self.configured / 2.0
    }

    fn refill(&mut self, now: Duration) {
        let elapsed = now.saturating_sub(self.seen);
        if elapsed.is_zero() {
            return;
        }
        self.seen = now;
        // At the rate as it was, not as it is after the recovery: a little less than due, never more.
        self.tokens = (self.tokens + elapsed.as_secs_f64() * self.rate).min(self.burst);
        let step = self.configured * elapsed.as_secs_f64() / RECOVERY.as_secs_f64();
        self.rate = (self.rate + step).min(self.configured);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn taken(budget: &mut Budget, now: Duration) -> u32 {
        let mut count = 0;
        while budget.take(now).is_ok() {
            count += 1;
        }
        count
    }

    #[test]
    fn a_full_bucket_gives_its_burst_and_then_its_rate() {
        let mut budget = Budget::new(5.0, 10.0);
        assert_eq!(taken(&mut budget, seconds(0)), 10);
        assert_eq!(taken(&mut budget, seconds(1)), 5);
        assert_eq!(taken(&mut budget, seconds(100)), 10, "no more than the burst is saved up");
        let wait = budget.take(seconds(100)).unwrap_err();
        assert!((wait.as_secs_f64() - 0.2).abs() < 0.001, "{wait:?}");
    }

    #[test]
    fn one_answer_that_asks_to_slow_down_is_no_slow_down_yet() {
        let mut budget = Budget::new(8.0, 8.0);
        budget.throttled(seconds(10));
        assert!(!budget.is_slowed(seconds(10)));
        budget.throttled(seconds(12));
        assert!(budget.is_slowed(seconds(12)));
        assert!(!budget.is_slowed(seconds(200)), "it has recovered");
    }

    #[test]
    fn throttling_halves_once_a_burst_and_recovers_slowly() {
        let mut budget = Budget::new(8.0, 8.0);
        budget.throttled(seconds(10));
        budget.throttled(seconds(10));
        assert_eq!(budget.rate(seconds(10)), 4.0);
        assert!(budget.take(seconds(10)).is_err(), "what was saved up is gone");
        assert!(budget.rate(seconds(40)) < 5.0);
        assert_eq!(budget.rate(seconds(400)), 8.0);
        for second in 1_000..1_020 {
            budget.throttled(seconds(second));
        }
        assert!(budget.rate(seconds(1_020)) >= 0.5, "there is a floor");
    }

    #[test]
    fn nonsense_lets_little_through_but_something() {
        for (rate, burst) in [(0.0, 0.0), (-1.0, -1.0), (f64::NAN, f64::NAN), (f64::INFINITY, f64::INFINITY)] {
            let mut budget = Budget::new(rate, burst);
            assert_eq!(taken(&mut budget, seconds(0)), 1);
            assert_eq!(taken(&mut budget, seconds(1_001)), 1);
        }
    }

    #[test]
    fn a_token_given_back_can_be_taken() {
        let mut budget = Budget::new(1.0, 1.0);
        budget.take(seconds(0)).unwrap();
        budget.give_back();
        budget.take(seconds(0)).unwrap();
    }

    #[derive(Debug, Clone)]
    enum Step {
        Pass(u64),
        Take,
        Throttle,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![(0u64..5_000).prop_map(Step::Pass), Just(Step::Take), Just(Step::Take), Just(Step::Throttle)];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn no_more_than_burst_and_rate_allow(steps in steps(), rate in 0.1f64..50.0, burst in 1.0f64..100.0) {
            let mut budget = Budget::new(rate, burst);
            let (mut now, mut taken) = (Duration::ZERO, 0u32);
            for step in steps {
                match step {
                    Step::Pass(millis) => now += Duration::from_millis(millis),
                    Step::Take => taken += u32::from(budget.take(now).is_ok()),
                    Step::Throttle => budget.throttled(now),
                }
                prop_assert!(f64::from(taken) <= burst + rate * now.as_secs_f64() + 0.001);
                let current = budget.rate(now);
                prop_assert!(current <= rate && current >= rate * FLOOR - 1e-9);
            }
        }

        #[test]
        fn waiting_as_long_as_told_is_enough(steps in steps(), rate in 0.1f64..50.0, burst in 1.0f64..100.0) {
            let mut budget = Budget::new(rate, burst);
            let mut now = Duration::ZERO;
            for step in steps {
                match step {
                    Step::Pass(millis) => now += Duration::from_millis(millis),
                    Step::Throttle => budget.throttled(now),
                    Step::Take => if let Err(wait) = budget.take(now) {
                        now += wait;
                        prop_assert!(budget.take(now).is_ok());
                    },
                }
            }
        }
    }
}
