//! How does what a call brought get into the store, with how its source is doing?

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::fetch::Fetched;
use super::settings::Intervals;
use crate::inventory::part::Failure;
use crate::inventory::parts::{List, Parts, SourceStatus, source};
use crate::sources::store::Store;

/// Where a list is in the parts.
pub(crate) type SelectList<K, V> = fn(&mut Parts) -> &mut List<K, V>;

/// How often a source means to refresh.
pub(crate) fn interval(source: &str, intervals: &Intervals) -> Duration {
    match source {
        source::LOAD_BALANCERS | source::TARGET_GROUPS => intervals.load_balancers,
        source::TAGS => intervals.tags,
        source::LISTENERS | source::LISTENER_CERTIFICATES => intervals.listeners,
        source::LOAD_BALANCER_ATTRIBUTES
        | source::TARGET_GROUP_ATTRIBUTES
        | source::LISTENER_ATTRIBUTES
        | source::CAPACITY_RESERVATIONS => intervals.attributes,
        source::SUBNETS | source::SECURITY_GROUPS => intervals.subnets,
        source::NETWORK_INTERFACES | source::ADDRESSES | source::ROUTE_TABLES => intervals.network_interfaces,
        source::TARGET_HEALTH => intervals.steady_health,
        _ => intervals.quotas,
    }
}

/// The names of the sources this part of the program feeds.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    source::ALL.iter().copied().filter(|name| name.starts_with("aws_"))
}

/// Puts a list in: whole, or what arrived of it. Objects that did not change keep their place in memory.
pub(crate) fn put_list<K: Ord + Clone, V: PartialEq>(
    store: &Store,
    select: SelectList<K, V>,
    source: &'static str,
    interval: Duration,
    mut fetched: Fetched<K, V>,
    now: Timestamp,
) {
    let mut before = store.read();
    for (key, value) in select(&mut before).get().into_iter().flatten() {
        if let Some(new) = fetched.items.get_mut(key).filter(|new| ***new == **value) {
            *new = Arc::clone(value);
        }
    }
    drop(before);
    let failure = fetched.failure.map(Arc::new);
    store.update(|parts| {
        let list = select(parts);
        match &failure {
            None => list.succeed(std::mem::take(&mut fetched.items), now),
            Some(failure) => list.incomplete(std::mem::take(&mut fetched.items), (**failure).clone(), now),
        }
        note(parts, source, |status| tried(status, interval, failure.clone(), fetched.oddities.objects, now));
    });
}

/// A source's last try ended like this.
pub(crate) fn tried(status: &mut SourceStatus, interval: Duration, failure: Option<Arc<Failure>>, missing: u64, now: Timestamp) {
    status.interval_seconds = interval.as_secs();
    status.last_attempt = Some(now);
    if failure.is_none() {
        status.last_success = Some(now);
    }
    status.failure = failure;
    status.missing = missing;
}

/// Changes a source's status, and tells the log when it begins or ceases to fail.
pub(crate) fn note(parts: &mut Parts, source: &'static str, change: impl FnOnce(&mut SourceStatus)) {
    let status = Arc::make_mut(&mut parts.sources).entry(Arc::from(source)).or_default();
    let before = status.failure.as_ref().map(|failure| failure.category);
    change(status);
    match (before, &status.failure) {
        (before, Some(failure)) if before != Some(failure.category) => {
            tracing::warn!(source, category = %failure.category, operation = failure.operation, message = failure.message, "a source fails");
        }
        (Some(_), None) => tracing::info!(source, "a source works again"),
        _ => {}
    }
}

/// Why nothing can be asked at all, for every source that is wanted; each keeps what it knows.
pub(crate) fn nothing_works(store: &Store, intervals: &Intervals, failure: &Failure, now: Timestamp) {
    let failure = Arc::new(failure.clone());
    store.update(|parts| {
        let sources = Arc::make_mut(&mut parts.sources);
        for name in names() {
            let status = sources.entry(Arc::from(name)).or_default();
            if status.absent {
                continue;
            }
            let missing = status.missing;
            tried(status, interval(name, intervals), Some(Arc::clone(&failure)), missing, now);
        }
    });
}

/// Says how often each source means to refresh, before any was tried.
pub(crate) fn introduce(store: &Store, intervals: &Intervals) {
    store.update(|parts| {
        let sources: &mut BTreeMap<_, SourceStatus> = Arc::make_mut(&mut parts.sources);
        for name in names() {
            sources.entry(Arc::from(name)).or_default().interval_seconds = interval(name, intervals).as_secs();
        }
    });
}

/// Says that a source is not wanted here.
pub(crate) fn absent(store: &Store, source: &'static str) {
    store.update(|parts| {
        Arc::make_mut(&mut parts.sources).insert(Arc::from(source), SourceStatus { absent: true, ..SourceStatus::default() });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::aws::{IpFamily, PrefixList};
    use crate::inventory::ids::PrefixListId;
    use crate::inventory::part::FailureCategory;
    use crate::sources::aws::fetch::Oddities;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn fetched(ids: &[&str], failure: Option<Failure>) -> Fetched<PrefixListId, PrefixList> {
        let list = |id: &str| PrefixList {
            id: id.into(),
            name: "n".into(),
            ip_family: IpFamily::Ipv4,
            max_entries: None,
            aws_managed: true,
        };
        let items = ids.iter().map(|id| (PrefixListId::from(*id), Arc::new(list(id)))).collect();
        Fetched { items, failure, oddities: Oddities::default() }
    }

    fn put(store: &Store, ids: &[&str], failure: Option<Failure>, now: i64) {
        let select: SelectList<_, _> = |parts| &mut parts.prefix_lists;
        put_list(store, select, source::PREFIX_LISTS, Duration::from_secs(60), fetched(ids, failure), at(now));
    }

    #[test]
    fn a_whole_list_replaces_and_a_broken_one_only_adds() {
        let store = Store::new(Parts::default());
        put(&store, &["a", "b"], None, 1);
        let first = store.read();
        let denied = Failure { category: FailureCategory::Denied, operation: "ec2:X".into(), message: String::new() };
        put(&store, &["c"], Some(denied), 2);
        let parts = store.read();
        assert_eq!(parts.prefix_lists.complete().unwrap().len(), 3);
        assert_eq!(parts.prefix_lists.fetched_at, Some(at(1)));
        let status = &parts.sources[source::PREFIX_LISTS];
        assert_eq!((status.last_attempt, status.last_success), (Some(at(2)), Some(at(1))));
        assert_eq!(status.failure.as_ref().unwrap().category, FailureCategory::Denied);
        put(&store, &["b"], None, 3);
        let parts = store.read();
        assert_eq!(parts.prefix_lists.complete().unwrap().len(), 1);
        let same = |parts: &Parts| Arc::clone(&parts.prefix_lists.get().unwrap()[&PrefixListId::from("b")]);
        assert!(Arc::ptr_eq(&same(&first), &same(&parts)), "what did not change stays where it is");
        assert!(parts.sources[source::PREFIX_LISTS].failure.is_none());
    }

    #[test]
    fn every_source_says_why_when_nothing_works() {
        let store = Store::new(Parts::default());
        introduce(&store, &Intervals::default());
        let failure = Failure { category: FailureCategory::Expired, operation: "x".into(), message: "no Region".into() };
        nothing_works(&store, &Intervals::default(), &failure, at(1));
        let parts = store.read();
        assert_eq!(parts.sources.len(), names().count());
        assert!(parts.sources.values().all(|status| status.failure.is_some() && status.interval_seconds > 0));
    }
}
