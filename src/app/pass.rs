//! How is everything asked once? The daemon's own sources run until each has answered, or will not.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::serve::watch_kubernetes;
use crate::clock;
use crate::inventory::part::{FailureCategory, Part};
use crate::inventory::parts::{Parts, PerResource, SourceStatus, source};
use crate::inventory::readiness::pending;
use crate::inventory::snapshot::{Expiry, Snapshot};
use crate::sources::CallObserver;
use crate::sources::aws::{self, AwsSettings};
use crate::sources::kube::KubeSettings;
use crate::sources::store::Store;

/// How often it is looked whether everything has answered.
const LOOK: Duration = Duration::from_millis(200);
/// So long nothing may be outstanding before that is believed: what one answer shows, others are asked about.
const QUIET: Duration = Duration::from_secs(1);
/// What only fails is tried so long after the last news: one further try is made in this time.
const PATIENCE: Duration = Duration::from_secs(20);
/// The same for what has not answered yet, and may wait its turn.
const PATIENCE_FOR_THE_SILENT: Duration = Duration::from_secs(90);

/// What a pass brought, and when it ended.
#[derive(Debug)]
pub(super) struct Gathered {
    /// Everything the sources said.
    pub(super) parts: Parts,
    /// The moment of the picture.
    pub(super) taken_at: Timestamp,
}

/// Counts calls.
#[derive(Debug, Default)]
struct Calls(AtomicU64);

impl CallObserver for Calls {
    fn attempted(&self, _: &'static str, _: &'static str, _: Result<(), FailureCategory>, _: Duration) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn waited(&self, _: &'static str, _: &'static str, _: Duration) {}

    fn unknown_value(&self, _: &'static str) {}
}

/// Asks everything once, within `limit`; progress is told on standard error where that is a terminal.
pub(super) async fn gather(aws: AwsSettings, kube: KubeSettings, limit: Duration) -> Gathered {
    let store = Store::new(Parts::default());
    let calls = Arc::new(Calls::default());
    // Dropped at the end of this function, and with it every task.
    let mut tasks = JoinSet::new();
    tasks.spawn(aws::run(aws, store.clone(), Arc::<Calls>::clone(&calls)));
    tasks.spawn(watch_kubernetes(kube, store.clone(), Arc::<Calls>::clone(&calls)));
    let mut vpc_known = tokio::spawn(when_the_vpc_is_known(store.clone()));
    let mut vpc_known_at = None;

    let screen = Screen::default();
    let began = Instant::now();
    let (mut news_at, mut most_known, mut quiet_since) = (began, 0, None);
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            Ok(at) = &mut vpc_known, if vpc_known_at.is_none() => vpc_known_at = Some(at),
        }
        let parts = store.read();
        let Ok(standing) = tokio::task::spawn_blocking(move || Standing::of(&parts, vpc_known_at)).await else { continue };
        screen.show(&standing, calls.0.load(Ordering::Relaxed));
        let now = Instant::now();
        if standing.known > most_known {
            (most_known, news_at) = (standing.known, now);
        }
        let patience = if standing.silent == 0 { PATIENCE } else { PATIENCE_FOR_THE_SILENT };
        let outstanding = !standing.outstanding.is_empty();
        let since = *quiet_since.get_or_insert(now);
        if outstanding {
            quiet_since = None;
        }
        let whole = !outstanding && now.duration_since(since) >= QUIET;
        if whole || now.duration_since(news_at) >= patience || now.duration_since(began) >= limit {
            break;
        }
    }
    screen.clear();
    vpc_known.abort();
    Gathered { parts: store.read(), taken_at: clock::now() }
}

async fn when_the_vpc_is_known(store: Store) -> Timestamp {
    let mut changes = store.subscribe();
    // The sender lives as long as this borrow of its store.
    let _ = changes.wait_for(|parts| parts.scope.vpc_id.is_some()).await;
    clock::now()
}

/// How far the pass is.
#[derive(Debug, Default, PartialEq, Eq)]
struct Standing {
    /// Sources that have answered for everything, and resources that have been asked about: it only grows while there is news.
    known: usize,
    /// What is waited for.
    outstanding: Vec<String>,
    /// How much of that has not even failed.
    silent: usize,
    /// How many calls are still to be made, about.
    calls: u64,
}

impl Standing {
    fn of(parts: &Parts, vpc_known_at: Option<Timestamp>) -> Self {
        let mut standing = Self { known: resources_asked(parts), ..Self::default() };
        for name in source::ALL {
            let status = parts.sources.get(*name);
            match answer(name, status, parts, vpc_known_at) {
                Answer::Whole => standing.known += 1,
                Answer::Refused => {}
                Answer::Failing => standing.waits_for(name, status),
                Answer::None => {
                    standing.silent += 1;
                    standing.waits_for(name, status);
                }
            }
        }
        // Nothing grows too old within one pass, however long the budget makes it.
        let snapshot = Snapshot::join(parts.clone(), Timestamp::MIN, Expiry { max_staleness: Duration::ZERO });
        let refused = |name: &str| {
            let name = name.split(' ').next().unwrap_or(name);
            parts.sources.get(name).is_some_and(is_refused)
        };
        for name in pending(&snapshot).names() {
            let told = standing.outstanding.iter().any(|other| name.starts_with(other.as_str()));
            if !told && !refused(name) {
                standing.outstanding.push(name.to_owned());
            }
        }
        standing
    }

    fn waits_for(&mut self, name: &str, status: Option<&SourceStatus>) {
        let missing = status.map_or(0, |status| status.missing);
        // Tags are asked for by twenty.
        self.calls += if name == source::TAGS { missing.div_ceil(20) } else { missing.max(1) };
        self.outstanding.push(name.to_owned());
    }
}

enum Answer {
    Whole,
    /// Nothing will come of asking again.
    Refused,
    Failing,
    None,
}

fn answer(name: &str, status: Option<&SourceStatus>, parts: &Parts, vpc_known_at: Option<Timestamp>) -> Answer {
    let Some(status) = status else { return Answer::None };
    if status.absent {
        return Answer::Whole;
    }
    if status.failure.is_some() {
        return if is_refused(status) { Answer::Refused } else { Answer::Failing };
    }
    let Some(last_success) = status.last_success else { return Answer::None };
    // The first answer may be about the Region alone, before it was known which VPC matters.
    let in_detail = matches!(name, source::SECURITY_GROUPS | source::NETWORK_INTERFACES);
    if in_detail && parts.scope.vpc_id.is_some() && vpc_known_at.is_none_or(|at| last_success < at) {
        return Answer::None;
    }
    let unasked = status.missing.saturating_sub(failed_resources(name, parts));
    if name.starts_with("aws_") && is_per_resource(name) && unasked > 0 { Answer::None } else { Answer::Whole }
}

fn is_refused(status: &SourceStatus) -> bool {
    let category = status.failure.as_ref().map(|failure| failure.category);
    matches!(category, Some(FailureCategory::Denied | FailureCategory::Expired))
}

/// Does the same with every part that is asked for resource by resource.
macro_rules! each_per_resource {
    ($parts:expr, $do:ident, $name:expr) => {
        match $name {
            source::TAGS => $do(&$parts.tags),
            source::LISTENERS => $do(&$parts.listeners),
            source::LISTENER_CERTIFICATES => $do(&$parts.listener_certificates),
            source::LISTENER_ATTRIBUTES => $do(&$parts.listener_attributes),
            source::CAPACITY_RESERVATIONS => $do(&$parts.capacity_reservations),
            source::LOAD_BALANCER_ATTRIBUTES => $do(&$parts.load_balancer_attributes),
            source::TARGET_GROUP_ATTRIBUTES => $do(&$parts.target_group_attributes),
            source::TARGET_HEALTH => $do(&$parts.target_health),
            _ => 0,
        }
    };
}

fn is_per_resource(name: &str) -> bool {
    fn one<K, V>(_: &PerResource<K, V>) -> usize {
        1
    }
    let nothing = Parts::default();
    each_per_resource!(nothing, one, name) == 1
}

/// Resources that were asked about and could not be told.
fn failed_resources(name: &str, parts: &Parts) -> u64 {
    fn failed<K, V>(resources: &PerResource<K, V>) -> usize {
        resources.values().filter(|part| part.value.is_none() && part.failure.is_some()).count()
    }
    each_per_resource!(parts, failed, name) as u64
}

fn resources_asked(parts: &Parts) -> usize {
    fn asked<K, V>(resources: &PerResource<K, V>) -> usize {
        resources.values().filter(|part: &&Part<V>| part.attempted_at.is_some()).count()
    }
    source::ALL.iter().map(|name| each_per_resource!(parts, asked, *name)).sum()
}

/// One line that is written over and over.
struct Screen {
    shown: bool,
}

impl Default for Screen {
    fn default() -> Self {
        Self { shown: std::io::stderr().is_terminal() }
    }
}

impl Screen {
    fn show(&self, standing: &Standing, calls: u64) {
        if self.shown {
            let line: String = line(standing, calls).chars().take(78).collect();
            let _ = write!(std::io::stderr(), "\r{line}\u{1b}[K");
        }
    }

    fn clear(&self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\u{1b}[K");
        }
    }
}

fn line(standing: &Standing, calls: u64) -> String {
    let waiting = match &standing.outstanding[..] {
        [] => "everything has answered".to_owned(),
        [one] => format!("waiting for {one}"),
        [one, others @ ..] => format!("waiting for {one} and {} more", others.len()),
    };
    format!("{calls} of about {} calls; {waiting}", calls + standing.calls)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::inventory::ids::Arn;
    use crate::inventory::part::Failure;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn failure(category: FailureCategory) -> Arc<Failure> {
        Arc::new(Failure { category, operation: "x".into(), message: String::new() })
    }

    fn well() -> SourceStatus {
        SourceStatus { last_attempt: Some(NOW), last_success: Some(NOW), ..SourceStatus::default() }
    }

    /// An empty cluster of which everything is known.
    fn whole() -> Parts {
        let mut parts = Parts::default();
        parts.scope.cluster_name = Some("demo".into());
        parts.load_balancers = Part::fetched(BTreeMap::new(), NOW);
        parts.target_groups = Part::fetched(BTreeMap::new(), NOW);
        parts.services = Part::fetched(BTreeMap::new(), NOW);
        parts.endpoint_slices = Part::fetched(BTreeMap::new(), NOW);
        parts.nodes = Part::fetched(BTreeMap::new(), NOW);
        parts.target_group_bindings = Part::fetched(BTreeMap::new(), NOW);
        parts.sources = Arc::new(source::ALL.iter().map(|name| (Arc::from(*name), well())).collect());
        parts
    }

    fn with(name: &str, status: SourceStatus) -> Parts {
        let mut parts = whole();
        Arc::make_mut(&mut parts.sources).insert(name.into(), status);
        parts
    }

    fn outstanding(parts: &Parts) -> Vec<String> {
        Standing::of(parts, None).outstanding
    }

    #[test]
    fn nothing_is_known_at_first_and_everything_is_waited_for() {
        let standing = Standing::of(&Parts::default(), None);
        assert_eq!((standing.known, standing.silent), (0, source::ALL.len()));
        assert_eq!(outstanding(&whole()), [""; 0]);
    }

    #[test]
    fn a_refusal_is_an_answer_and_a_failure_is_tried_again() {
        let refused = SourceStatus { failure: Some(failure(FailureCategory::Denied)), ..SourceStatus::default() };
        assert_eq!(outstanding(&with(source::SUBNETS, refused)), [""; 0]);
        let failing = SourceStatus { failure: Some(failure(FailureCategory::Timeout)), ..well() };
        let standing = Standing::of(&with(source::SUBNETS, failing), None);
        assert_eq!((&standing.outstanding[..], standing.silent), (&["aws_subnets".to_owned()][..], 0));
    }

    #[test]
    fn resources_that_nobody_asked_about_are_waited_for_and_counted_as_calls() {
        let mut parts = with(source::TAGS, SourceStatus { missing: 41, ..well() });
        let standing = Standing::of(&parts, None);
        assert_eq!((&standing.outstanding[..], standing.calls), (&["aws_tags".to_owned()][..], 3));
        assert_eq!(line(&standing, 7), "7 of about 10 calls; waiting for aws_tags");
        let mut failed = Part::default();
        failed.fail((*failure(FailureCategory::Malformed)).clone(), NOW);
        let all = (0..41).map(|n| (Arn::from(format!("arn:{n}")), failed.clone())).collect();
        parts.tags = Arc::new(all);
        assert_eq!(outstanding(&parts), [""; 0], "each has said that it cannot be had");
    }

    #[test]
    fn security_groups_count_once_they_were_asked_for_the_vpc() {
        let mut parts = whole();
        parts.scope.vpc_id = Some("vpc-1".into());
        let later = Timestamp::from_second(10).unwrap();
        assert_eq!(Standing::of(&parts, Some(later)).outstanding, ["aws_network_interfaces", "aws_security_groups"]);
        assert_eq!(Standing::of(&parts, Some(NOW)).outstanding, [""; 0]);
    }
}
