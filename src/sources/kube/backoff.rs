//! How long does a watch that failed wait before it tries again?

use std::time::Duration;

use tokio::time::Instant;

/// A success has to last this long before the waiting starts over: a server that accepts a watch and drops it at once
/// is not well.
const STEADY: Duration = Duration::from_secs(5);

/// Doubling waits. The stream of a watch resets an ordinary back-off with every try of its first list, which for an
/// absent kind means a list a second for ever; this one recovers only by a success that lasted.
#[derive(Debug)]
pub(super) struct Backoff {
    shortest: Duration,
    longest: Duration,
    next: Duration,
    succeeded_at: Option<Instant>,
    /// A forgotten version was already excused since the last success that lasted.
    excused: bool,
}

impl Backoff {
    pub(super) fn new(shortest: Duration, longest: Duration) -> Self {
        Self { shortest, longest, next: shortest, succeeded_at: None, excused: false }
    }

    /// The server opened a watch.
    pub(super) fn succeeded(&mut self, now: Instant) {
        self.succeeded_at.get_or_insert(now);
    }

    /// The version asked for is forgotten. The server answers again, and what it has is to be listed soon; but not over and
    /// over from one that forgets each version at once.
    pub(super) fn forgotten(&mut self, now: Instant) -> Duration {
        self.recover(now);
        if std::mem::replace(&mut self.excused, true) { self.failed(now) } else { self.shortest }
    }

    fn recover(&mut self, now: Instant) {
        if self.succeeded_at.take().is_some_and(|at| now.duration_since(at) >= STEADY) {
            self.next = self.shortest;
            self.excused = false;
        }
    }

    /// A try failed: how long to wait.
    pub(super) fn failed(&mut self, now: Instant) -> Duration {
        self.recover(now);
        let wait = self.next;
        self.next = (wait * 2).min(self.longest);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_over_after_a_success_that_lasted() {
        let start = Instant::now();
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
        let mut failed = |at| backoff.failed(start + Duration::from_secs(at)).as_secs();
        assert_eq!([failed(0), failed(1), failed(2), failed(3), failed(99)], [1, 2, 4, 5, 5]);
        backoff.succeeded(start + Duration::from_secs(100));
        backoff.succeeded(start + Duration::from_secs(104));
        assert_eq!(backoff.failed(start + Duration::from_secs(105)).as_secs(), 1);
        backoff.succeeded(start + Duration::from_secs(106));
        assert_eq!(backoff.failed(start + Duration::from_secs(107)).as_secs(), 2, "it was dropped at once");
    }

    #[test]
    fn after_an_outage_a_forgotten_version_is_listed_soon_and_only_once() {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        for second in 0..6 {
            backoff.failed(at(second));
        }
        assert_eq!(backoff.forgotten(at(60)).as_secs(), 1);
        backoff.succeeded(at(61));
        assert_eq!(backoff.forgotten(at(62)).as_secs(), 30, "it forgets each version at once");
        backoff.succeeded(at(100));
        assert_eq!(backoff.forgotten(at(200)).as_secs(), 1);
    }
}
