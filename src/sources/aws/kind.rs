//! How is one kind of per-resource call doing? Its plan, what is known of it, what fails, and how that reaches the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::ledger;
use super::settings::Intervals;
use crate::inventory::ids::Arn;
use crate::inventory::part::{Failure, FailureCategory};
use crate::inventory::parts::{Parts, PerResource, SourceStatus};
use crate::sources::schedule::{Plan, Urgency, retry_after};
use crate::sources::store::Store;

/// One kind of call that is made for each of many resources.
#[derive(Debug)]
pub(crate) struct Kind<K, V> {
    /// The source's name.
    pub(crate) source: &'static str,
    /// Which resource is asked about next.
    pub(crate) plan: Plan<K>,
    select: fn(&mut Parts) -> &mut PerResource<K, V>,
    arns: BTreeMap<K, Arn>,
    known: BTreeSet<K>,
    /// Failures in a row by resource, and the newest.
    failing: BTreeMap<K, u32>,
    failure: Option<Arc<Failure>>,
    /// Why it has nothing to ask about, where that is not known.
    cannot: Option<Arc<Failure>>,
    /// That nobody may ask, and since when that is known; what is new meanwhile will not be told anything else.
    refusal: Option<(Arc<Failure>, Timestamp)>,
    /// AWS says they do not exist; the list will follow.
    gone: BTreeSet<K>,
    last_attempt: Option<Timestamp>,
    last_success: Option<Timestamp>,
    interval: Duration,
    /// How urgent a turn of the round is, and a further try.
    urgency: (Urgency, Urgency),
    /// Resources without which the source is still a whole one: they are missing, and nothing more.
    secondary: fn(&K) -> bool,
}

impl<K: Ord + Clone, V: Clone> Kind<K, V> {
    /// A kind without resources.
    pub(crate) fn new(source: &'static str, interval: Duration, select: fn(&mut Parts) -> &mut PerResource<K, V>) -> Self {
        Self {
            source,
            plan: Plan::default(),
            select,
            arns: BTreeMap::new(),
            known: BTreeSet::new(),
            failing: BTreeMap::new(),
            failure: None,
            cannot: None,
            refusal: None,
            gone: BTreeSet::new(),
            last_attempt: None,
            last_success: None,
            interval,
            urgency: (Urgency::Routine, Urgency::First),
            secondary: |_| false,
        }
    }

    /// Everything else depends on it: its rounds and further tries go before what was never known of other kinds.
    pub(crate) fn leading(mut self) -> Self {
        self.urgency = (Urgency::List, Urgency::List);
        self
    }

    /// Some of its resources are not everybody's business: that they cannot be had neither fails the source nor says anything
    /// of the others.
    pub(crate) fn with_secondary(mut self, secondary: fn(&K) -> bool) -> Self {
        self.secondary = secondary;
        self
    }

    /// The resources it is responsible for from now on. What is not among them any more is forgotten, in the store as well.
    pub(crate) fn set_resources(&mut self, arns: BTreeMap<K, Arn>, urgency: Urgency, store: &Store, now: Instant) {
        let left = self.plan.set_keys(arns.keys().cloned(), now, urgency);
        self.arns = arns;
        for key in &left {
            self.known.remove(key);
            self.failing.remove(key);
            self.gone.remove(key);
        }
        self.forgive();
        store.update(|parts| {
            let resources = (self.select)(parts);
            let stale: Vec<K> = resources.keys().filter(|key| !self.arns.contains_key(*key)).cloned().collect();
            if !stale.is_empty() {
                let resources = Arc::make_mut(resources);
                stale.iter().for_each(|key| drop(resources.remove(key)));
            }
            if let Some((failure, at)) = &self.refusal {
                let new: Vec<&K> = self.arns.keys().filter(|key| !resources.contains_key(*key)).collect();
                if !new.is_empty() {
                    let resources = Arc::make_mut(resources);
                    new.into_iter().for_each(|key| resources.entry(key.clone()).or_default().fail((**failure).clone(), *at));
                }
            }
            self.publish(parts);
        });
    }

    /// The ARN of one of its resources.
    pub(crate) fn arn(&self, key: &K) -> Option<&Arn> {
        self.arns.get(key)
    }

    /// How often it means to refresh each of its resources.
    pub(crate) fn set_interval(&mut self, interval: Duration, now: Instant) {
        if interval < self.interval {
            self.plan.bring_forward(interval, now);
        }
        self.interval = interval;
    }

    /// See [`Self::set_interval`].
    pub(crate) fn interval(&self) -> Duration {
        self.interval
    }

    /// Everything of the kind was asked about and known at `now`: also when there is nothing to ask about.
    pub(crate) fn nothing_to_ask(&mut self, now: Timestamp) {
        if self.plan.len() == 0 {
            (self.last_attempt, self.last_success, self.failure) = (Some(now), Some(now), None);
        }
    }

    /// An answer arrived. The next one is due at `due`.
    pub(crate) fn succeeded(&mut self, key: &K, value: V, due: Instant, store: &Store, now: Timestamp) {
        self.plan.done(key, due, self.urgency.0);
        self.plan.resume();
        self.refusal = None;
        if !self.plan.contains(key) {
            return;
        }
        self.known.insert(key.clone());
        self.failing.remove(key);
        self.gone.remove(key);
        self.forgive();
        self.last_attempt = Some(now);
        self.note_success();
        store.update(|parts| {
            let part = Arc::make_mut((self.select)(parts)).entry(key.clone()).or_default();
            part.succeed(value, now);
            self.publish(parts);
        });
    }

    /// A call failed for good. The resource keeps what is known of it, unless AWS says that it does not exist.
    pub(crate) fn failed(
        &mut self,
        key: &K,
        failure: &Failure,
        intervals: &Intervals,
        store: &Store,
        (now, instant): (Timestamp, Instant),
    ) {
        self.last_attempt = Some(now);
        if failure.category == FailureCategory::NotFound {
            self.plan.resume();
            self.refusal = None;
            self.lose(key, intervals, store, instant);
            return;
        }
        let row = self.failing.entry(key.clone()).or_default();
        *row += 1;
        let due = instant + retry_after(intervals.retry, *row, self.interval);
        self.plan.done(key, due, self.urgency.1);
        if !self.plan.contains(key) {
            self.failing.remove(key);
            return;
        }
        let failure = Arc::new(failure.clone());
        if (self.secondary)(key) {
            store.update(|parts| {
                Arc::make_mut((self.select)(parts)).entry(key.clone()).or_default().fail((*failure).clone(), now);
                self.publish(parts);
            });
            return;
        }
        self.failure = Some(Arc::clone(&failure));
        let refused = matches!(failure.category, FailureCategory::Denied | FailureCategory::Expired);
        if refused {
            self.refusal = Some((Arc::clone(&failure), now));
            self.plan.pause(instant + intervals.retry_refused);
        } else if failure.category == FailureCategory::Unreachable {
            self.plan.pause(instant + intervals.retry);
        }
        // A refusal is about the operation: what was never known will not be tried one by one to hear it again.
        let unknown: Vec<K> =
            if refused { self.arns.keys().filter(|key| !self.known.contains(*key)).cloned().collect() } else { Vec::new() };
        store.update(|parts| {
            let resources = Arc::make_mut((self.select)(parts));
            for key in unknown.iter().chain([key]) {
                resources.entry(key.clone()).or_default().fail((*failure).clone(), now);
            }
            self.publish(parts);
        });
    }

    /// The resource does not exist: it leaves its list now rather than with the next refresh.
    fn lose(&mut self, key: &K, intervals: &Intervals, store: &Store, instant: Instant) {
        self.plan.done(key, instant + intervals.load_balancers, Urgency::Routine);
        self.known.remove(key);
        self.failing.remove(key);
        self.forgive();
        if self.plan.contains(key) {
            self.gone.insert(key.clone());
        }
        self.note_success();
        store.update(|parts| {
            Arc::make_mut((self.select)(parts)).remove(key);
            if let Some(arn) = self.arns.get(key) {
                remove_from_lists(parts, arn);
            }
            self.publish(parts);
        });
    }

    /// Something of the status changed without a call.
    pub(crate) fn publish_to(&self, store: &Store) {
        store.update(|parts| self.publish(parts));
    }

    /// Says why nobody knows what to ask about, or with `None` that it is known. Resources that are known all the same are
    /// asked about, and how that goes is what counts then.
    pub(crate) fn cannot_ask(&mut self, why: Option<&Arc<Failure>>, store: &Store) {
        // Whoever writes into the store wakes the one who asks this.
        if self.cannot.as_ref() != why {
            self.cannot = why.map(Arc::clone);
            self.publish_to(store);
        }
    }

    /// The try that just ended well was the last that was wanting.
    fn note_success(&mut self) {
        let primary = |key: &K| !(self.secondary)(key);
        if !self.failing.keys().any(primary) && self.missing_of(primary) == 0 {
            self.last_success = self.last_attempt;
        }
    }

    /// How many of its resources it knows nothing of.
    pub(crate) fn missing(&self) -> usize {
        self.plan.len() - self.known.len() - self.gone.len()
    }

    /// The same of a part of its resources.
    pub(crate) fn missing_of(&self, which: impl Fn(&K) -> bool) -> usize {
        let unknown = |key: &&K| which(key) && !self.known.contains(*key) && !self.gone.contains(*key);
        self.arns.keys().filter(unknown).count()
    }

    fn forgive(&mut self) {
        if self.failing.keys().all(self.secondary) {
            self.failure = None;
        }
    }

    fn publish(&self, parts: &mut Parts) {
        let new = SourceStatus {
            interval_seconds: self.interval.as_secs(),
            last_attempt: self.last_attempt,
            last_success: self.last_success,
            failure: self.failure.as_ref().or(self.cannot.as_ref().filter(|_| self.arns.is_empty())).map(Arc::clone),
            missing: self.missing() as u64,
            absent: false,
        };
        if parts.sources.get(self.source) != Some(&new) {
            ledger::note(parts, self.source, |status| *status = new);
        }
    }
}

fn remove_from_lists(parts: &mut Parts, arn: &Arn) {
    if let (Some(id), Some(list)) = (arn.load_balancer(), parts.load_balancers.value.as_mut())
        && list.contains_key(&id)
    {
        Arc::make_mut(list).remove(&id);
    }
    if let (Some(id), Some(list)) = (arn.target_group(), parts.target_groups.value.as_mut())
        && list.contains_key(&id)
    {
        Arc::make_mut(list).remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::aws::Tags;
    use crate::inventory::parts::source;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn failure(category: FailureCategory) -> Failure {
        Failure { category, operation: "elasticloadbalancing:DescribeTags".into(), message: String::new() }
    }

    fn start(names: &[&str]) -> (Kind<Arn, Tags>, Store) {
        let store = Store::new(Parts::default());
        let mut kind = Kind::new(source::TAGS, Duration::from_secs(900), |parts| &mut parts.tags);
        kind.set_resources(arns(names), Urgency::First, &store, Instant::now());
        (kind, store)
    }

    fn arns(names: &[&str]) -> BTreeMap<Arn, Arn> {
        names.iter().map(|name| (Arn::from(*name), Arn::from(*name))).collect()
    }

    fn status(store: &Store) -> SourceStatus {
        store.read().sources[source::TAGS].clone()
    }

    #[tokio::test(start_paused = true)]
    async fn a_sweep_has_succeeded_when_everything_is_known_and_nothing_fails() {
        let (mut kind, store) = start(&["a", "b"]);
        let (now, intervals) = (Instant::now(), Intervals::default());
        assert_eq!((status(&store).missing, status(&store).last_success), (2, None));
        kind.succeeded(&"a".into(), Tags::new(), now, &store, at(1));
        assert_eq!((status(&store).missing, status(&store).last_success), (1, None));
        kind.failed(&"b".into(), &failure(FailureCategory::Timeout), &intervals, &store, (at(2), now));
        assert_eq!(status(&store).failure.unwrap().category, FailureCategory::Timeout);
        kind.succeeded(&"b".into(), Tags::new(), now, &store, at(3));
        let done = status(&store);
        assert_eq!((done.missing, done.last_success, done.failure), (0, Some(at(3)), None));
        kind.failed(&"a".into(), &failure(FailureCategory::Timeout), &intervals, &store, (at(4), now));
        kind.succeeded(&"b".into(), Tags::new(), now, &store, at(5));
        assert_eq!(status(&store).last_success, Some(at(3)), "a still fails");
        assert!(store.read().tags[&Arn::from("a")].get().is_some(), "what is known stays");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_said_of_everything_unknown_and_probed_later() {
        let (mut kind, store) = start(&["a", "b", "c"]);
        let now = Instant::now();
        kind.plan.take(now).unwrap();
        kind.failed(&"a".into(), &failure(FailureCategory::Denied), &Intervals::default(), &store, (at(1), now));
        let parts = store.read();
        for name in ["a", "b", "c"] {
            assert_eq!(parts.tags[&Arn::from(name)].failure.as_ref().unwrap().category, FailureCategory::Denied);
        }
        assert!(kind.plan.take(now).is_none());
        kind.set_resources(arns(&["a", "b", "c", "new"]), Urgency::List, &store, now);
        assert!(store.read().tags[&Arn::from("new")].failure.is_some(), "what is new is not asked about either");
        assert!(kind.plan.take(now + Duration::from_secs(60)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_secondary_is_missed_and_neither_fails_the_source_nor_stops_the_others() {
        let (kind, store) = start(&[]);
        let mut kind = kind.with_secondary(|arn| arn.as_str().starts_with("listener"));
        let now = Instant::now();
        kind.set_resources(arns(&["a", "listener"]), Urgency::First, &store, now);
        kind.succeeded(&"a".into(), Tags::new(), now + Duration::from_secs(1), &store, at(1));
        assert_eq!((status(&store).last_success, status(&store).missing), (Some(at(1)), 1));
        for category in [FailureCategory::Malformed, FailureCategory::Denied] {
            kind.failed(&"listener".into(), &failure(category), &Intervals::default(), &store, (at(2), now));
            assert_eq!((status(&store).failure, status(&store).missing), (None, 1));
        }
        assert!(store.read().tags[&Arn::from("listener")].failure.is_some(), "its own part says why");
        assert_eq!(kind.plan.take(now + Duration::from_secs(1)), Some("a".into()), "the others go on");
        kind.succeeded(&"a".into(), Tags::new(), now, &store, at(3));
        assert_eq!(status(&store).last_success, Some(at(3)));
        kind.succeeded(&"listener".into(), Tags::new(), now, &store, at(4));
        assert_eq!(status(&store).missing, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_exist_is_neither_missing_nor_failing() {
        let (mut kind, store) = start(&["a", "b"]);
        let now = Instant::now();
        kind.succeeded(&"a".into(), Tags::new(), now, &store, at(1));
        kind.failed(&"b".into(), &failure(FailureCategory::NotFound), &Intervals::default(), &store, (at(2), now));
        let status = status(&store);
        assert_eq!((status.missing, status.failure), (0, None));
        assert!(!store.read().tags.contains_key(&Arn::from("b")));
    }

    #[tokio::test(start_paused = true)]
    async fn that_nobody_knows_what_to_ask_about_is_said_once_and_only_where_nothing_is_asked() {
        let (mut kind, store) = start(&[]);
        let now = Instant::now();
        let why = Arc::new(failure(FailureCategory::NotFound));
        kind.cannot_ask(Some(&why), &store);
        let mut news = store.subscribe();
        kind.cannot_ask(Some(&why), &store);
        assert!(!news.has_changed().unwrap(), "the same again is no news, and wakes nobody");
        kind.set_resources(arns(&[]), Urgency::First, &store, now);
        assert_eq!(status(&store).failure, Some(Arc::clone(&why)), "a list that comes again changes nothing");
        news.mark_unchanged();
        // One that a binding names: it is asked about, with or without the cluster's name.
        kind.set_resources(arns(&["a"]), Urgency::First, &store, now);
        kind.succeeded(&"a".into(), Tags::new(), now, &store, at(1));
        kind.cannot_ask(Some(&why), &store);
        assert_eq!((status(&store).failure, status(&store).last_success), (None, Some(at(1))));
        kind.set_resources(arns(&[]), Urgency::First, &store, now);
        assert!(status(&store).failure.is_some());
        kind.cannot_ask(None, &store);
        assert!(status(&store).failure.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn resources_that_left_are_forgotten() {
        let (mut kind, store) = start(&["a", "b"]);
        let now = Instant::now();
        kind.succeeded(&"a".into(), Tags::new(), now, &store, at(1));
        kind.failed(&"b".into(), &failure(FailureCategory::Server), &Intervals::default(), &store, (at(2), now));
        kind.set_resources(arns(&["a"]), Urgency::First, &store, now);
        assert_eq!(store.read().tags.len(), 1);
        assert!(status(&store).failure.is_none());
    }
}
