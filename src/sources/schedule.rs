//! What is asked next, and when again? Pure: plans over keys, cadences out of a budget; the sources act on them.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// Which share of a service's budget a call is paid from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Target health.
    Health = 0,
    /// Everything else.
    Other = 1,
}

/// How urgent a call is; the first is the most urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// What it asks about just changed in Kubernetes or AWS.
    Changed,
    /// A list, or something about a resource that has just appeared.
    List,
    /// Never known yet.
    First,
    /// Not steady.
    Unsteady,
    /// Its turn in the round.
    Routine,
}

/// No turn is further off than this share of its interval: the longest that jitter makes it, and a little.
const LATEST: f64 = 1.06;

/// More wishes than this for one key are not remembered apart.
const MOST_REQUESTS: usize = 32;

/// When which of many resources is asked about next.
///
/// A scan per question: a few thousand keys, a few questions a second.
#[derive(Debug)]
pub(crate) struct Plan<K> {
    entries: BTreeMap<K, Entry>,
    /// Nobody is asked before: the whole operation is refused or cannot be reached.
    paused_until: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    due: Instant,
    urgency: Urgency,
    /// Further times at which somebody wants it asked.
    requests: Vec<(Instant, Urgency)>,
    /// Since when a call about it is under way.
    taken_at: Option<Instant>,
    tried: bool,
}

impl Entry {
    /// When it should be asked, and how urgently: a request that is due goes before its turn.
    fn next(&self, now: Instant) -> (Urgency, Instant) {
        let due = self.requests.iter().filter(|(at, _)| *at <= now).map(|(at, urgency)| (*urgency, *at)).min();
        if let Some((urgency, at)) = due {
            return if self.due <= now { (urgency, at).min((self.urgency, self.due)) } else { (urgency, at) };
        }
        let request = self.requests.iter().copied().min();
        match request {
            Some((at, urgency)) if at < self.due => (urgency, at),
            _ => (self.urgency, self.due),
        }
    }
}

impl<K> Default for Plan<K> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), paused_until: None }
    }
}

impl<K: Ord + Clone> Plan<K> {
    /// Makes these the keys of the plan. New ones are due at once; returns those that left.
    pub(crate) fn set_keys(&mut self, keys: impl IntoIterator<Item = K>, now: Instant, urgency: Urgency) -> Vec<K> {
        let mut old = std::mem::take(&mut self.entries);
        for key in keys {
            let entry = old.remove(&key).unwrap_or_else(|| Entry {
                due: now,
                urgency,
                requests: Vec::new(),
                taken_at: None,
                tried: false,
            });
            self.entries.insert(key, entry);
        }
        old.into_keys().collect()
    }

    /// Asks for one more call at `at` (or as soon after as the budget allows), on top of the key's turn.
    pub(crate) fn request(&mut self, key: &K, at: Instant, urgency: Urgency) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        // Somebody edits in a loop: the newest wish stands for those before it.
        if entry.requests.len() >= MOST_REQUESTS {
            entry.requests.pop();
        }
        entry.requests.push((at, urgency));
    }

    /// The most urgent key that is due, and since when.
    pub(crate) fn most_urgent(&self, now: Instant) -> Option<(Urgency, Instant)> {
        self.due(now).map(|(when, _)| when).min()
    }

    /// When the next key becomes due that is not due yet.
    pub(crate) fn next_due(&self, now: Instant) -> Option<Instant> {
        let soonest = self.waiting().map(|entry| entry.next(now).1).filter(|at| *at > now).min();
        match self.paused_until.filter(|until| *until > now) {
            Some(until) if self.waiting().next().is_some() => Some(soonest.map_or(until, |at| at.max(until))),
            _ => soonest,
        }
    }

    /// Takes the most urgent key that is due.
    pub(crate) fn take(&mut self, now: Instant) -> Option<K> {
        let key = self.due(now).min_by_key(|(when, _)| *when)?.1.clone();
        self.mark_taken(&key, now);
        Some(key)
    }

    /// Takes up to `most` keys: the most urgent ones that are due and, where those are fewer, the ones that would have
    /// been due soonest within `early`, so that calls that can carry several are sent full. All are `alike` the most urgent.
    pub(crate) fn take_batch(&mut self, now: Instant, most: usize, early: Duration, alike: impl Fn(&K, &K) -> bool) -> Vec<K> {
        let mut due: Vec<_> = self.due(now).map(|(when, key)| (when, key.clone())).collect();
        due.sort();
        let Some((_, first)) = due.first().cloned() else { return Vec::new() };
        due.retain(|(_, key)| alike(&first, key));
        due.truncate(most);
        let mut keys: Vec<K> = due.into_iter().map(|(_, key)| key).collect();
        if keys.len() < most {
            let mut soon: Vec<_> = (self.entries.iter())
                .filter(|(key, entry)| entry.taken_at.is_none() && alike(&first, key))
                .map(|(key, entry)| (entry.next(now).1, key))
                .filter(|(at, _)| *at > now && *at <= now + early)
                .map(|(at, key)| (at, key.clone()))
                .collect();
            soon.sort();
            keys.extend(soon.into_iter().map(|(_, key)| key).take(most - keys.len()));
        }
        for key in &keys {
            self.mark_taken(key, now);
        }
        keys
    }

    /// A call about `key` ended: its next turn is at `due`. What was asked for while it was under way stays asked for.
    pub(crate) fn done(&mut self, key: &K, due: Instant, urgency: Urgency) {
        if let Some(entry) = self.entries.get_mut(key) {
            let taken_at = entry.taken_at.take();
            entry.requests.retain(|(at, _)| taken_at.is_none_or(|taken| *at > taken));
            (entry.due, entry.urgency, entry.tried) = (due, urgency, true);
        }
    }

    /// The rounds became shorter: turns that lie further off than one of them are planned anew. What was put off while AWS
    /// asked for room would else be asked so late that what is known of it is forgotten first.
    pub(crate) fn bring_forward(&mut self, interval: Duration, now: Instant) {
        let latest = now + interval.mul_f64(LATEST);
        for entry in self.entries.values_mut().filter(|entry| entry.due > latest) {
            entry.due = now + jittered(interval, random());
        }
    }

    /// Asks about nobody before `until`; then one probe tells.
    pub(crate) fn pause(&mut self, until: Instant) {
        self.paused_until = Some(until);
    }

    /// The operation works again.
    pub(crate) fn resume(&mut self) {
        self.paused_until = None;
    }

    /// Whether every key was asked about at least once, or cannot be for now.
    pub(crate) fn first_round_over(&self) -> bool {
        self.paused_until.is_some() || self.entries.values().all(|entry| entry.tried)
    }

    /// Whether the plan knows this key.
    pub(crate) fn contains(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn waiting(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values().filter(|entry| entry.taken_at.is_none())
    }

    fn due(&self, now: Instant) -> impl Iterator<Item = ((Urgency, Instant), &K)> {
        // After a pause has run out one probe goes; the others follow when it succeeded.
        let probing = self.paused_until.is_some();
        let held = self.paused_until.is_some_and(|until| until > now)
            || (probing && self.entries.values().any(|entry| entry.taken_at.is_some()));
        (self.entries.iter())
            .filter(move |(_, entry)| !held && entry.taken_at.is_none())
            .map(move |(key, entry)| (entry.next(now), key))
            .filter(move |((_, at), _)| *at <= now)
    }

    fn mark_taken(&mut self, key: &K, now: Instant) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.taken_at = Some(now);
        }
    }
}

/// How often target health is asked, as the budget allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cadence {
    /// Between two samples of a group that is not steady.
    pub(crate) unsteady: Duration,
    /// Between two samples of a steady one: the length of a sweep.
    pub(crate) steady: Duration,
}

impl Cadence {
    /// Stretches the wished intervals until `unsteady` and `steady` groups fit into `rate` calls a second. The ones that
    /// are not steady may use three quarters of it, so that the round of the others always goes on.
    pub(crate) fn fit(wish: Self, rate: f64, unsteady: usize, steady: usize) -> Self {
        let rate = rate.max(0.001);
        let stretched = |wish: Duration, groups: usize, rate: f64| {
            wish.max(Duration::try_from_secs_f64(groups as f64 / rate).unwrap_or(Duration::MAX))
        };
        let unsteady_interval = stretched(wish.unsteady, unsteady, rate * 0.75);
        let spent = unsteady as f64 / unsteady_interval.as_secs_f64().max(0.001);
        Self { unsteady: unsteady_interval, steady: stretched(wish.steady, steady, (rate - spent).max(rate * 0.25)) }
    }
}

/// `interval`, up to a twentieth shorter or longer: rounds of many things, or of many exporters, drift apart.
pub(crate) fn jittered(interval: Duration, random: u64) -> Duration {
    let share = (random % 1_001) as f64 / 1_000.0;
    interval.mul_f64(0.95 + 0.1 * share)
}

/// A number that differs from call to call. Enough for jitter.
pub(crate) fn random() -> u64 {
    use std::hash::BuildHasher;
    std::hash::RandomState::new().hash_one(0)
}

/// When to try again after so many failures in a row: soon at first, then ever later, but never later than the next round.
pub(crate) fn retry_after(first: Duration, failures: u32, interval: Duration) -> Duration {
    let longest = (first * 20).min(interval);
    first.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(longest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn plan(keys: &[char], now: Instant) -> Plan<char> {
        let mut plan = Plan::default();
        plan.set_keys(keys.iter().copied(), now, Urgency::First);
        plan
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_key_is_due_at_once_and_a_vanished_one_is_named() {
        let now = Instant::now();
        let mut plan = plan(&['a', 'b'], now);
        assert!(!plan.first_round_over());
        assert_eq!(plan.take(now), Some('a'));
        plan.done(&'a', now + seconds(60), Urgency::Routine);
        assert_eq!(plan.set_keys(['a', 'c'], now, Urgency::List), ['b']);
        assert_eq!(plan.most_urgent(now), Some((Urgency::List, now)));
        assert_eq!(plan.take(now), Some('c'));
        assert_eq!(plan.take(now), None, "a has been asked about");
        plan.done(&'c', now + seconds(60), Urgency::Routine);
        assert!(plan.first_round_over());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_goes_before_the_round_and_does_not_cancel_it() {
        let now = Instant::now();
        let mut plan = plan(&['a', 'b'], now);
        for key in ['a', 'b'] {
            plan.take(now).unwrap();
            plan.done(&key, now + seconds(120), Urgency::Routine);
        }
        plan.request(&'b', now + seconds(1), Urgency::Changed);
        assert_eq!(plan.next_due(now), Some(now + seconds(1)));
        let later = now + seconds(1);
        assert_eq!(plan.most_urgent(later), Some((Urgency::Changed, later)));
        assert_eq!(plan.take(later), Some('b'));
        plan.request(&'b', later + seconds(2), Urgency::Changed);
        plan.done(&'b', later + seconds(120), Urgency::Routine);
        assert_eq!(plan.next_due(later), Some(later + seconds(2)), "asked for while the call was under way");
        assert_eq!(plan.take(later + seconds(2)), Some('b'));
        plan.done(&'b', later + seconds(122), Urgency::Routine);
        assert_eq!(plan.next_due(later + seconds(2)), Some(now + seconds(120)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_wished_for_in_a_loop_remembers_the_first_and_the_last_wish() {
        let now = Instant::now();
        let mut plan = plan(&['a'], now);
        plan.done(&'a', now + seconds(9_999), Urgency::Routine);
        for second in 1..1_000 {
            plan.request(&'a', now + seconds(second), Urgency::Unsteady);
        }
        assert_eq!(plan.next_due(now), Some(now + seconds(1)));
        let late = now + seconds(998);
        plan.take(late).unwrap();
        plan.done(&'a', now + seconds(9_999), Urgency::Routine);
        assert_eq!(plan.next_due(late), Some(now + seconds(999)));
    }

    #[tokio::test(start_paused = true)]
    async fn turns_that_lie_too_far_off_are_brought_forward_and_the_others_stay() {
        let now = Instant::now();
        let mut plan = plan(&['a', 'b'], now);
        plan.done(&'a', now + seconds(5_000), Urgency::Routine);
        plan.done(&'b', now + seconds(100), Urgency::Routine);
        plan.bring_forward(seconds(200), now);
        assert_eq!(plan.next_due(now), Some(now + seconds(100)));
        let later = now + seconds(211);
        assert_eq!([plan.take(later), plan.take(later)], [Some('b'), Some('a')]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_overdue_of_equally_urgent_keys_goes_first() {
        let now = Instant::now();
        let mut plan = plan(&['a', 'b', 'c'], now);
        for (key, due) in [('a', 30), ('b', 10), ('c', 20)] {
            plan.done(&key, now + seconds(due), Urgency::Routine);
        }
        let later = now + seconds(60);
        assert_eq!([plan.take(later), plan.take(later), plan.take(later)], [Some('b'), Some('c'), Some('a')]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_filled_with_what_would_be_due_soon() {
        let now = Instant::now();
        let mut plan = plan(&['a', 'b', 'c', 'd'], now);
        for (key, due) in [('b', 30), ('c', 10), ('d', 500)] {
            plan.done(&key, now + seconds(due), Urgency::Routine);
        }
        assert_eq!(plan.take_batch(now, 3, seconds(60), |_, _| true), ['a', 'c', 'b']);
        assert!(plan.take_batch(now, 3, seconds(60), |_, _| true).is_empty(), "nothing is due");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_operation_is_probed_once_and_not_for_every_key() {
        let now = Instant::now();
        let mut plan = plan(&['a', 'b', 'c'], now);
        let key = plan.take(now).unwrap();
        plan.done(&key, now, Urgency::First);
        plan.pause(now + seconds(60));
        assert!(plan.first_round_over(), "nobody waits for what is refused");
        assert_eq!(plan.take(now + seconds(59)), None);
        assert_eq!(plan.next_due(now + seconds(1)), Some(now + seconds(60)));
        let later = now + seconds(60);
        let probe = plan.take(later).unwrap();
        assert_eq!(plan.take(later), None, "one probe");
        plan.done(&probe, later + seconds(600), Urgency::Routine);
        plan.resume();
        assert!(plan.take(later).is_some());
    }

    #[test]
    fn a_small_cluster_is_asked_as_often_as_wished() {
        let wish = Cadence { unsteady: seconds(15), steady: seconds(120) };
        assert_eq!(Cadence::fit(wish, 2.5, 10, 200), wish);
    }

    #[test]
    fn a_large_cluster_is_swept_as_fast_as_the_budget_allows() {
        let wish = Cadence { unsteady: seconds(15), steady: seconds(120) };
        let fit = Cadence::fit(wish, 4.0, 0, 3_000);
        assert_eq!(fit, Cadence { unsteady: seconds(15), steady: seconds(750) });
    }

    proptest! {
        #[test]
        fn the_cadence_never_asks_for_more_than_the_budget(
            rate in 0.05f64..50.0, unsteady in 0usize..5_000, steady in 0usize..5_000,
        ) {
            let wish = Cadence { unsteady: seconds(15), steady: seconds(120) };
            let fit = Cadence::fit(wish, rate, unsteady, steady);
            let spent = unsteady as f64 / fit.unsteady.as_secs_f64() + steady as f64 / fit.steady.as_secs_f64();
            prop_assert!(spent <= rate * 1.001, "{spent} of {rate}");
            prop_assert!(fit.unsteady >= wish.unsteady && fit.steady >= wish.steady);
        }

        #[test]
        fn jitter_stays_within_a_twentieth(millis in 0u64..10_000_000, random: u64) {
            let interval = Duration::from_millis(millis);
            let jittered = jittered(interval, random);
            prop_assert!(jittered >= interval.mul_f64(0.949) && jittered <= interval.mul_f64(1.051));
        }
    }

    #[test]
    fn retries_come_later_and_later_but_not_later_than_the_next_round() {
        let after = |failures| retry_after(seconds(15), failures, seconds(3_600)).as_secs();
        assert_eq!([after(1), after(2), after(3), after(9)], [15, 30, 60, 300]);
        assert_eq!(retry_after(seconds(15), 3, seconds(20)), seconds(20));
    }
}
