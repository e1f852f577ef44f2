//! Whose turn is it? One dispatcher per AWS service: it takes a token first and then lets the most urgent caller through.
//!
//! A caller asks for a [`Permit`] and holds it while it makes *one* attempt; a retry asks again and so costs a token of its
//! own. Callers of the same urgency go in the order they came. Nothing is decided before the token is there, so a call that
//! becomes urgent while the budget is empty still goes first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

use super::budget::Budget;
use super::settings::BudgetSettings;
use crate::sources::schedule::{Lane, Urgency};

/// Of four permits in a row at most this many go to target health while other calls wait.
const MOST_HEALTH_IN_A_ROW: u32 = 3;

/// One service's queue and budget. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Dispatcher {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    arrived: Notify,
    slots: Arc<Semaphore>,
    origin: Instant,
}

#[derive(Debug)]
struct State {
    budget: Budget,
    queue: Queue<oneshot::Sender<Permit>>,
}

/// Leave to make one attempt; dropping it frees its place among the calls under way.
#[derive(Debug)]
pub(crate) struct Permit {
    /// How long the caller waited for it.
    pub(crate) waited: Duration,
    _slot: OwnedSemaphorePermit,
}

impl Dispatcher {
    /// A dispatcher and its driver: the future that hands out the permits, to be run beside the callers.
    pub(crate) fn new(settings: &BudgetSettings) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let inner = Arc::new(Inner {
            state: Mutex::new(State { budget: Budget::new(settings.rate, settings.burst), queue: Queue::default() }),
            arrived: Notify::new(),
            slots: Arc::new(Semaphore::new(settings.concurrency.max(1))),
            origin: Instant::now(),
        });
        let driver = Arc::clone(&inner);
        (Self { inner }, async move { driver.drive().await })
    }

    /// Waits for leave to make one attempt. Dropping the future gives the place in the queue up.
    pub(crate) async fn permit(&self, lane: Lane, urgency: Urgency) -> Permit {
        let (sender, receiver) = oneshot::channel();
        self.inner.lock().queue.push(lane, urgency, sender, Instant::now());
        self.inner.arrived.notify_one();
        match receiver.await {
            Ok(permit) => permit,
            // The driver is gone, so this task is about to be dropped as well.
            Err(_) => std::future::pending().await,
        }
    }

    /// The service asked to slow down.
    pub(crate) fn throttled(&self) {
        let now = self.inner.elapsed();
        self.inner.lock().budget.throttled(now);
    }

    /// Whether throttling has left less than half of the configured rate.
    pub(crate) fn is_slowed(&self) -> bool {
        let now = self.inner.elapsed();
        self.inner.lock().budget.is_slowed(now)
    }

    /// Attempts a second, as throttling left them.
    pub(crate) fn rate(&self) -> f64 {
        let now = self.inner.elapsed();
        self.inner.lock().budget.rate(now)
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds this lock")
    }

    fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    async fn drive(&self) {
        loop {
            // Nothing is spent before somebody wants it.
            while self.lock().queue.is_empty() {
                self.arrived.notified().await;
            }
            let slot = Arc::clone(&self.slots).acquire_owned().await.expect("the semaphore is never closed");
            loop {
                let taken = self.lock().budget.take(self.elapsed());
                match taken {
                    Ok(()) => break,
                    Err(wait) => tokio::time::sleep(wait).await,
                }
            }
            self.grant(slot);
        }
    }

    /// Gives a paid-for slot to the most urgent caller that still waits.
    fn grant(&self, mut slot: OwnedSemaphorePermit) {
        let mut state = self.lock();
        while let Some((sender, since)) = state.queue.pop() {
            match sender.send(Permit { waited: since.elapsed(), _slot: slot }) {
                Ok(()) => return,
                Err(refused) => slot = refused._slot,
            }
        }
        state.budget.give_back();
    }
}

/// Who waits, in the order in which they may go.
///
/// While target health and other calls wait at once, health gets at least every second turn and at most three of four; in
/// between the more urgent one goes, and of two equally urgent ones the one whose lane did not go last.
#[derive(Debug)]
struct Queue<T> {
    lanes: [BTreeMap<(Urgency, u64), (T, Instant)>; 2],
    arrivals: u64,
    /// Which lane went last while both waited, and how often in a row.
    last: Option<(Lane, u32)>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { lanes: [BTreeMap::new(), BTreeMap::new()], arrivals: 0, last: None }
    }
}

impl<T> Queue<T> {
    fn push(&mut self, lane: Lane, urgency: Urgency, waiter: T, now: Instant) {
        self.arrivals += 1;
        self.lanes[lane as usize].insert((urgency, self.arrivals), (waiter, now));
    }

    fn is_empty(&self) -> bool {
        self.lanes.iter().all(BTreeMap::is_empty)
    }

    fn head(&self, lane: Lane) -> Option<Urgency> {
        self.lanes[lane as usize].first_key_value().map(|((urgency, _), _)| *urgency)
    }

    fn pop(&mut self) -> Option<(T, Instant)> {
        let lane = match (self.head(Lane::Health), self.head(Lane::Other)) {
            (Some(_), None) => self.alone(Lane::Health),
            (None, Some(_)) => self.alone(Lane::Other),
            (Some(health), Some(other)) => self.contended(health, other),
            (None, None) => return None,
        };
        self.lanes[lane as usize].pop_first().map(|(_, waiter)| waiter)
    }

    fn alone(&mut self, lane: Lane) -> Lane {
        self.last = None;
        lane
    }

    fn contended(&mut self, health: Urgency, other: Urgency) -> Lane {
        let lane = match self.last {
            Some((Lane::Other, _)) => Lane::Health,
            Some((Lane::Health, MOST_HEALTH_IN_A_ROW..)) => Lane::Other,
            Some((Lane::Health, _)) if other <= health => Lane::Other,
            None if other < health => Lane::Other,
            Some((Lane::Health, _)) | None => Lane::Health,
        };
        let row = match self.last {
            Some((last, row)) if last == lane => row + 1,
            _ => 1,
        };
        self.last = Some((lane, row));
        lane
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(rate: f64, burst: f64, concurrency: usize) -> BudgetSettings {
        BudgetSettings { rate, burst, concurrency }
    }

    fn start(rate: f64, burst: f64, concurrency: usize) -> Dispatcher {
        let (dispatcher, driver) = Dispatcher::new(&settings(rate, burst, concurrency));
        tokio::spawn(driver);
        dispatcher
    }

    /// Lets the tasks run without letting time pass.
    async fn settle() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    /// Starts one caller that notes its name when it gets its permit and lets it go at once.
    fn caller(
        dispatcher: &Dispatcher,
        log: &Arc<Mutex<Vec<(&'static str, Duration)>>>,
        name: &'static str,
        lane: Lane,
        urgency: Urgency,
    ) -> tokio::task::JoinHandle<()> {
        let (dispatcher, log) = (dispatcher.clone(), Arc::clone(log));
        let start = Instant::now();
        tokio::spawn(async move {
            let _permit = dispatcher.permit(lane, urgency).await;
            log.lock().unwrap().push((name, start.elapsed()));
        })
    }

    fn names(log: &Arc<Mutex<Vec<(&'static str, Duration)>>>) -> Vec<&'static str> {
        log.lock().unwrap().iter().map(|(name, _)| *name).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_burst_goes_at_once_and_the_rest_at_the_rate() {
        let dispatcher = start(5.0, 10.0, 100);
        let log = Arc::default();
        for _ in 0..20 {
            caller(&dispatcher, &log, "x", Lane::Other, Urgency::Routine);
        }
        settle().await;
        assert_eq!(log.lock().unwrap().len(), 10);
        tokio::time::sleep(Duration::from_millis(1_010)).await;
        assert_eq!(log.lock().unwrap().len(), 15);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(log.lock().unwrap().len(), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_late_and_is_urgent_goes_first() {
        let dispatcher = start(1.0, 1.0, 1);
        let log = Arc::default();
        for name in ["first", "a", "b"] {
            caller(&dispatcher, &log, name, Lane::Other, Urgency::Routine);
            settle().await;
        }
        caller(&dispatcher, &log, "urgent", Lane::Other, Urgency::Changed);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(names(&log), ["first", "urgent", "a", "b"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_gave_up_costs_nothing() {
        let dispatcher = start(1.0, 1.0, 1);
        let log = Arc::default();
        caller(&dispatcher, &log, "first", Lane::Other, Urgency::Routine);
        settle().await;
        let given_up = caller(&dispatcher, &log, "given up", Lane::Other, Urgency::Routine);
        settle().await;
        given_up.abort();
        caller(&dispatcher, &log, "second", Lane::Other, Urgency::Routine);
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        assert_eq!(names(&log), ["first", "second"]);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_calls_are_under_way_than_allowed() {
        let dispatcher = start(100.0, 100.0, 2);
        let (one, two) =
            (dispatcher.permit(Lane::Other, Urgency::Routine).await, dispatcher.permit(Lane::Other, Urgency::Routine).await);
        let log = Arc::default();
        caller(&dispatcher, &log, "third", Lane::Other, Urgency::Routine);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(names(&log).is_empty());
        drop(one);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(names(&log), ["third"]);
        drop(two);
    }

    #[tokio::test(start_paused = true)]
    async fn throttling_slows_the_hand_out() {
        let dispatcher = start(10.0, 1.0, 10);
        let log = Arc::default();
        let _ = dispatcher.permit(Lane::Other, Urgency::Routine).await;
        dispatcher.throttled();
        for _ in 0..100 {
            caller(&dispatcher, &log, "x", Lane::Other, Urgency::Routine);
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        let count = log.lock().unwrap().len();
        assert!((9..=11).contains(&count), "5 a second for two seconds, not {count}");
        assert!(dispatcher.rate() < 5.2);
    }

    fn order(health: &[Urgency], other: &[Urgency]) -> String {
        let mut queue = Queue::default();
        for urgency in health {
            queue.push(Lane::Health, *urgency, 'h', Instant::now());
        }
        for urgency in other {
            queue.push(Lane::Other, *urgency, 'o', Instant::now());
        }
        std::iter::from_fn(|| queue.pop().map(|(name, _)| name)).collect()
    }

    #[tokio::test]
    async fn health_has_at_least_half_while_both_wait() {
        assert_eq!(order(&[Urgency::Routine; 4], &[Urgency::Changed; 6]), "ohohohohoo");
    }

    #[tokio::test]
    async fn the_lists_are_never_starved_by_health() {
        assert_eq!(order(&[Urgency::Changed; 8], &[Urgency::Routine; 2]), "hhhohhhohh");
    }

    #[tokio::test]
    async fn equally_urgent_lanes_take_turns() {
        assert_eq!(order(&[Urgency::Routine; 3], &[Urgency::Routine; 3]), "hohoho");
    }
}
