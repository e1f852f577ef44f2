//! How is a source doing? Ages, failures and gaps of its watches, added up into its part and its status.
//!
//! A source may have more than one watch (two API groups, two kinds of events): it is as old as its oldest.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use crate::inventory::part::{Failure, FailureCategory, Part};
use crate::inventory::parts::{Parts, SourceStatus};
use crate::sources::store::Store;

/// A change of the parts, to be made under the store's lock.
pub(super) type Change = Box<dyn FnOnce(&mut Parts) + Send>;

/// What a part is told of its age.
#[derive(Debug, Clone, Default)]
pub(super) struct Stamp {
    pub(super) fetched_at: Option<Timestamp>,
    pub(super) attempted_at: Option<Timestamp>,
    pub(super) failure: Option<Arc<Failure>>,
}

/// The age and the failure of a part, whatever it holds.
pub(super) trait Aged {
    /// Writes all three; a part that is complete has a value, if an empty one.
    fn stamp(&mut self, stamp: Stamp);
}

impl<T: Default> Aged for Part<T> {
    fn stamp(&mut self, stamp: Stamp) {
        if stamp.fetched_at.is_some() {
            self.value.get_or_insert_with(Arc::default);
        }
        self.fetched_at = stamp.fetched_at;
        self.attempted_at = stamp.attempted_at;
        self.failure = stamp.failure;
    }
}

/// One watch of a source.
#[derive(Debug, Clone, Default)]
pub(super) struct Member {
    /// Nothing rides on it where it is denied: a kind that most clusters do not have.
    optional: bool,
    /// Not wanted at the moment.
    pub(super) dormant: bool,
    complete_at: Option<Timestamp>,
    attempted_at: Option<Timestamp>,
    failure: Option<Arc<Failure>>,
    missing: u64,
    absent: bool,
    /// Since it last succeeded it was denied. An API server that cannot be reached for a moment does not unsay that.
    refused: bool,
}

/// The watches of one source.
pub(super) struct Source {
    name: &'static str,
    part: fn(&mut Parts) -> &mut dyn Aged,
    members: Mutex<Vec<Member>>,
    store: Store,
}

/// How one watch reports.
#[derive(Clone)]
pub(super) struct Report {
    source: Arc<Source>,
    index: usize,
}

impl Source {
    /// A source and the reports of its watches; each says whether it is optional.
    pub(super) fn watched_by<const N: usize>(
        name: &'static str,
        store: &Store,
        part: fn(&mut Parts) -> &mut dyn Aged,
        optional: [bool; N],
    ) -> [Report; N] {
        let members = optional.map(|optional| Member { optional, ..Member::default() });
        let source = Self { name, part, members: Mutex::new(members.to_vec()), store: store.clone() };
        let source = Arc::new(source);
        std::array::from_fn(|index| Report { source: Arc::clone(&source), index })
    }
}

impl Report {
    /// The source's name.
    pub(super) fn source(&self) -> &'static str {
        self.source.name
    }

    /// The parts as they are.
    pub(super) fn known(&self) -> Parts {
        self.source.store.read()
    }

    /// The watch is complete as of `now`, with `missing` objects that could not be read.
    pub(super) fn succeeded(&self, change: Option<Change>, missing: u64, now: Timestamp) {
        self.publish(change, |member| {
            member.complete_at = Some(now);
            member.attempted_at = Some(now);
            member.failure = None;
            member.refused = false;
            member.absent = false;
            member.missing = missing;
        });
    }

    /// The kind does not exist: known, and empty.
    pub(super) fn absent(&self, change: Option<Change>, now: Timestamp) {
        self.publish(change, |member| {
            member.complete_at = Some(now);
            member.attempted_at = Some(now);
            member.failure = None;
            member.refused = false;
            member.absent = true;
            member.missing = 0;
        });
    }

    /// A try failed; what is known stays, with its age. Whether the category is another one than before.
    pub(super) fn failed(&self, failure: Failure, now: Timestamp) -> bool {
        let category = failure.category;
        let mut news = false;
        self.publish(None, |member| {
            news = member.failure.as_ref().is_none_or(|before| before.category != category);
            member.attempted_at = Some(now);
            member.refused |= category == FailureCategory::Denied;
            member.failure = Some(Arc::new(failure));
        });
        news
    }

    /// Whether the watch is wanted at the moment; one that is not wanted knows nothing and holds nothing up.
    pub(super) fn set_dormant(&self, dormant: bool, change: Option<Change>) {
        self.publish(change, |member| *member = Member { optional: member.optional, dormant, ..Member::default() });
    }

    /// Whether the last try failed.
    pub(super) fn is_failing(&self) -> bool {
        self.source.members.lock().expect("no holder of this lock panics")[self.index].failure.is_some()
    }

    /// Whether it was told another number of objects that could not be read.
    pub(super) fn is_behind(&self, missing: u64) -> bool {
        self.source.members.lock().expect("no holder of this lock panics")[self.index].missing != missing
    }

    fn publish(&self, change: Option<Change>, update: impl FnOnce(&mut Member)) {
        // The lock is held until the store has it: two watches of one source must not overwrite newer news with older.
        let mut members = self.source.members.lock().expect("no holder of this lock panics");
        update(&mut members[self.index]);
        let (stamp, mut status) = add_up(&members);
        self.source.store.update(|parts| {
            if let Some(change) = change {
                change(parts);
            }
            (self.source.part)(parts).stamp(stamp);
            let sources = Arc::make_mut(&mut parts.sources);
            let known = sources.entry(self.source.name.into()).or_default();
            // A source that is no longer complete keeps telling when it last was.
            status.last_success = status.last_success.or(known.last_success);
            *known = status;
        });
    }
}

fn add_up(members: &[Member]) -> (Stamp, SourceStatus) {
    let awake = || members.iter().filter(|member| !member.dormant);
    let failure = awake().find_map(|member| member.failure.as_ref()).map(Arc::clone);
    let denied = |member: &Member| member.refused && member.complete_at.is_none();
    // `None` sorts first: one watch that never was complete makes the source incomplete.
    let fetched_at =
        awake().filter(|member| !(member.optional && denied(member))).map(|member| member.complete_at).min().flatten();
    let attempted_at = awake().filter_map(|member| member.attempted_at).max();
    let status = SourceStatus {
        interval_seconds: 0,
        last_attempt: attempted_at,
        last_success: fetched_at,
        failure: failure.as_ref().map(Arc::clone),
        missing: awake().map(|member| member.missing).sum(),
        absent: awake().count() > 0 && awake().all(|member| member.absent),
    };
    (Stamp { fetched_at, attempted_at, failure }, status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::parts::source;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn failure(category: FailureCategory) -> Failure {
        Failure { category, operation: "watch targetgroupbindings.elbv2.k8s.aws".into(), message: String::new() }
    }

    fn bindings() -> (Store, [Report; 2]) {
        let store = Store::new(Parts::default());
        let reports =
            Source::watched_by(source::TARGET_GROUP_BINDINGS, &store, |parts| &mut parts.target_group_bindings, [false, true]);
        (store, reports)
    }

    fn status(store: &Store) -> SourceStatus {
        store.read().sources[source::TARGET_GROUP_BINDINGS].clone()
    }

    #[test]
    fn a_source_is_as_old_as_its_oldest_watch() {
        let (store, [first, second]) = bindings();
        first.succeeded(None, 1, at(10));
        assert_eq!(store.read().target_group_bindings.fetched_at, None);
        second.succeeded(None, 2, at(20));
        let part = store.read().target_group_bindings;
        assert_eq!((part.fetched_at, part.complete().unwrap().len()), (Some(at(10)), 0));
        assert_eq!((status(&store).last_success, status(&store).missing), (Some(at(10)), 3));
    }

    #[test]
    fn absent_kinds_are_complete_and_empty() {
        let (store, [first, second]) = bindings();
        first.absent(None, at(10));
        second.absent(None, at(11));
        assert!(store.read().target_group_bindings.complete().is_some());
        assert!(status(&store).absent);
        first.succeeded(None, 0, at(20));
        assert!(!status(&store).absent);
    }

    #[test]
    fn a_failure_keeps_the_age_and_is_told_once() {
        let (store, [first, second]) = bindings();
        first.succeeded(None, 0, at(10));
        second.absent(None, at(10));
        assert!(first.failed(failure(FailureCategory::Unreachable), at(20)));
        assert!(!first.failed(failure(FailureCategory::Unreachable), at(30)));
        let part = store.read().target_group_bindings;
        assert_eq!((part.fetched_at, part.attempted_at, part.up()), (Some(at(10)), Some(at(30)), Some(false)));
        assert_eq!(status(&store).last_success, Some(at(10)));
    }

    #[test]
    fn an_optional_kind_that_is_denied_holds_nothing_up_but_is_told() {
        let (store, [first, second]) = bindings();
        second.failed(failure(FailureCategory::Denied), at(9));
        assert_eq!(store.read().target_group_bindings.fetched_at, None);
        first.succeeded(None, 0, at(10));
        assert_eq!(store.read().target_group_bindings.fetched_at, Some(at(10)));
        assert!(status(&store).failure.is_some());
        first.failed(failure(FailureCategory::Denied), at(20));
        assert_eq!(store.read().target_group_bindings.fetched_at, Some(at(10)));
    }

    #[test]
    fn an_optional_kind_that_is_denied_holds_nothing_up_while_the_server_is_away_either() {
        let (store, [own, optional]) = bindings();
        own.succeeded(None, 0, at(1));
        optional.failed(failure(FailureCategory::Denied), at(1));
        own.failed(failure(FailureCategory::Unreachable), at(2));
        optional.failed(failure(FailureCategory::Unreachable), at(2));
        assert_eq!(store.read().target_group_bindings.fetched_at, Some(at(1)), "what was complete stays so, with its age");
        optional.succeeded(None, 0, at(3));
        optional.failed(failure(FailureCategory::Unreachable), at(4));
        assert_eq!(store.read().target_group_bindings.fetched_at, Some(at(1)));
    }
}
