//! When is a new picture made, judged and shown? When something changed, and once a tick so that ages move.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;

use crate::checks::beginnings::Beginnings;
use crate::checks::model::Outcome;
use crate::checks::{self, CHECKS, Check, Judged};
use crate::clock;
use crate::config::policy::Policy;
use crate::expose::exposition::Exposition;
use crate::expose::readiness::Readiness;
use crate::inventory::parts::Parts;
use crate::inventory::readiness::{Pending, pending};
use crate::inventory::snapshot::{Expiry, Snapshot};
use crate::sources::store::Store;

/// At most one picture in this time: five samples a second must not mean five renderings.
const LEAST_PAUSE: Duration = Duration::from_secs(2);
/// Until the first full picture people wait for it.
const LEAST_PAUSE_BEFORE_READY: Duration = Duration::from_millis(100);
/// A picture is made this often even when nothing changed: hold-downs end and values grow too old.
const TICK: Duration = Duration::from_secs(15);

/// Before it is known what belongs to the cluster, only how the sources are doing can be told without guessing.
static BEFORE_IDENTITY: &[&Check] = &[&checks::freshness::CHECK];

/// Of which moment the pictures are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Moment {
    /// Of now.
    Now,
    /// A recorded picture is always of the moment at which it was taken.
    At(Timestamp),
}

impl Moment {
    fn get(self) -> Timestamp {
        match self {
            Self::Now => clock::now(),
            Self::At(moment) => moment,
        }
    }
}

/// Makes pictures for ever; `outcomes` has what was said of the latest.
pub(super) async fn run(
    store: Store,
    moment: Moment,
    mut policies: watch::Receiver<Arc<Policy>>,
    exposition: Arc<Exposition>,
    readiness: Arc<Readiness>,
    outcomes: watch::Sender<Option<Arc<Outcome>>>,
) {
    let mut changes = store.subscribe();
    let (mut ready, mut identified) = (false, false);
    let mut failing = BTreeSet::new();
    // A recorded picture is one: nothing begins in it.
    let beginnings = matches!(moment, Moment::Now).then(|| Arc::new(Mutex::new(Beginnings::new(clock::now()))));
    loop {
        let began = tokio::time::Instant::now();
        let parts = changes.borrow_and_update().clone();
        let policy = Arc::clone(&policies.borrow_and_update());
        let beginnings = beginnings.clone();
        let judging = tokio::task::spawn_blocking(move || {
            let (mut judged, pending) = judge(parts, &policy, identified, moment.get());
            if let (Some(beginnings), Some(outcome)) = (beginnings, Arc::get_mut(&mut judged.outcome)) {
                beginnings.lock().unwrap_or_else(PoisonError::into_inner).note(outcome);
            }
            (judged, pending)
        });
        let Ok((judged, pending)) = judging.await else {
            // `judge` catches what a check does; the join has no way to fail but a defect, which the panic's own message names.
            tracing::error!("the picture could not be made; the one before stays");
            tokio::time::sleep(LEAST_PAUSE).await;
            continue;
        };
        tell_failures(&judged.outcome, &mut failing);
        identified |= pending.identity.is_empty();
        outcomes.send_replace(Some(Arc::clone(&judged.outcome)));
        if let Err(error) = exposition.publish(judged).await {
            tracing::error!(%error, "the picture could not be rendered; the one before stays");
        }
        readiness.waits_for(pending.names());
        if pending.is_empty() && !ready {
            ready = true;
            tracing::info!("the first full picture is shown");
        }
        let least = if ready { LEAST_PAUSE } else { LEAST_PAUSE_BEFORE_READY };
        // Never more than a quarter of one core, however large the cluster.
        tokio::time::sleep_until(began + least.max(began.elapsed() * 4)).await;
        let tick = tokio::time::sleep_until(began + TICK);
        tokio::select! {
            // A sender that has gone means that the daemon ends.
            Ok(()) = changes.changed() => {}
            Ok(()) = policies.changed() => {}
            () = tick => {}
        }
    }
}

/// Says in the log which checks begin or cease to fail; each picture would be too often.
fn tell_failures(outcome: &Outcome, failing: &mut BTreeSet<&'static str>) {
    for run in &outcome.runs {
        if !run.success && failing.insert(run.check) {
            tracing::error!(check = run.check, "a check fails; its families are missing from the pictures");
        } else if run.success && failing.remove(run.check) {
            tracing::info!(check = run.check, "a check works again");
        }
    }
}

/// Judges what is known. `identified`: some picture before this one knew what belongs to the cluster. From then on a source that
/// is lost, or a newcomer whose tags are still being asked for, takes away its own part of the picture and nobody else's.
pub(super) fn judge(parts: Parts, policy: &Policy, identified: bool, now: Timestamp) -> (Judged, Pending) {
    let snapshot = Snapshot::join(parts, now, Expiry { max_staleness: policy.max_staleness() });
    let pending = pending(&snapshot);
    let table = if identified || pending.identity.is_empty() { CHECKS } else { BEFORE_IDENTITY };
    let started = Instant::now();
    let outcome = checks::run(table, &snapshot, policy, now, || started.elapsed());
    (Judged { snapshot: Arc::new(snapshot), outcome: Arc::new(outcome), policy: Arc::new(policy.clone()) }, pending)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::checks::model::Subject;
    use crate::expose::exposition::ExpositionSettings;
    use crate::expose::own::OwnMetrics;
    use crate::inventory::aws::{IpAddressType, LoadBalancer, LoadBalancerState, Scheme};
    use crate::inventory::ids::{Arn, VpcId};
    use crate::inventory::part::{Failure, FailureCategory};
    use crate::inventory::parts::{SourceStatus, source};

    /// Everything is known, and there is nothing.
    fn empty_cluster() -> Parts {
        let now = clock::now();
        let mut parts = Parts::default();
        parts.scope.cluster_name = Some("demo".into());
        parts.load_balancers.succeed(BTreeMap::new(), now);
        parts.target_groups.succeed(BTreeMap::new(), now);
        parts.services.succeed(BTreeMap::new(), now);
        parts.endpoint_slices.succeed(BTreeMap::new(), now);
        parts.nodes.succeed(BTreeMap::new(), now);
        parts.target_group_bindings.succeed(BTreeMap::new(), now);
        parts
    }

    fn newcomer() -> LoadBalancer {
        let arn = Arn::from("arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/net/new/1");
        LoadBalancer {
            id: arn.load_balancer().unwrap(),
            arn,
            name: "new".into(),
            dns_name: "new.elb.amazonaws.com".into(),
            scheme: Scheme::Internal,
            vpc_id: VpcId::from("vpc-1"),
            state: LoadBalancerState::Active,
            state_reason: None,
            created_at: None,
            ip_address_type: IpAddressType::Ipv4,
            zones: Vec::new(),
            security_groups: BTreeSet::new(),
            enforce_inbound_rules_on_private_link: None,
            enable_prefix_for_ipv6_source_nat: None,
        }
    }

    fn checks_run(outcome: &Outcome) -> usize {
        outcome.runs.len()
    }

    fn counted(outcome: &Outcome) -> Vec<&str> {
        let family = outcome.families.iter().find(|family| family.description.name == "findings").unwrap();
        family.samples.iter().map(|sample| sample.labels[0].as_str()).collect()
    }

    /// What the exposition shows of a source's finding, as soon as it does.
    async fn shown(exposition: &Exposition, source: &str) -> (Option<Timestamp>, Option<Timestamp>) {
        let subject = Subject::Source(source.into());
        loop {
            let latest = exposition.latest();
            let found = latest.as_ref().and_then(|it| it.outcome.findings.iter().find(|finding| finding.subject == subject));
            if let Some(finding) = found {
                return (finding.since, finding.seen_since);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[tokio::test]
    async fn what_begins_while_it_looks_has_a_beginning_and_what_was_there_before_has_none() {
        let denied = |source: &str, last_success| {
            let failure = Failure { category: FailureCategory::Denied, operation: "x:Y".to_owned(), message: String::new() };
            let status = SourceStatus {
                failure: Some(Arc::new(failure)),
                last_attempt: Some(clock::now()),
                last_success,
                ..SourceStatus::default()
            };
            (Arc::from(source), status)
        };
        let sources = Arc::new(BTreeMap::from([denied(source::SUBNETS, None)]));
        let store = Store::new(Parts { sources, ..Parts::default() });
        let exposition = Exposition::new(OwnMetrics::new(), ExpositionSettings::default());
        let (policies, judged) = (watch::Sender::new(Arc::default()), watch::Sender::new(None));
        let readiness = Arc::new(Readiness::pending(["first picture"]));
        let began = clock::now();
        let evaluator =
            tokio::spawn(run(store.clone(), Moment::Now, policies.subscribe(), Arc::clone(&exposition), readiness, judged));
        let look = async {
            let (since, seen_since) = shown(&exposition, source::SUBNETS).await;
            assert!(since.is_none() && seen_since.is_some_and(|at| at >= began), "{since:?} {seen_since:?}");
            let well = clock::now();
            store.update(|parts| Arc::make_mut(&mut parts.sources).extend([denied(source::VPCS, Some(well))]));
            let (since, seen_since) = shown(&exposition, source::VPCS).await;
            assert!(since == Some(well) && seen_since.is_some_and(|at| at >= well), "{since:?} {seen_since:?}");
        };
        tokio::time::timeout(Duration::from_secs(60), look).await.expect("no picture in a minute");
        evaluator.abort();
    }

    #[test]
    fn before_it_is_known_what_is_ours_only_the_sources_are_told_about() {
        let (judged, pending) = judge(Parts::default(), &Policy::default(), false, clock::now());
        assert!(!pending.identity.is_empty());
        assert_eq!(checks_run(&judged.outcome), BEFORE_IDENTITY.len());
        let (judged, pending) = judge(empty_cluster(), &Policy::default(), false, clock::now());
        assert!(pending.is_empty());
        assert_eq!(checks_run(&judged.outcome), CHECKS.len());
    }

    #[test]
    fn a_new_load_balancer_without_tags_hides_nothing() {
        let (whole, _) = judge(empty_cluster(), &Policy::default(), false, clock::now());
        let mut parts = empty_cluster();
        let new = newcomer();
        parts.load_balancers.succeed(BTreeMap::from([(new.id.clone(), Arc::new(new))]), clock::now());
        let (judged, pending) = judge(parts, &Policy::default(), true, clock::now());
        assert_eq!(pending.identity, [source::TAGS]);
        assert_eq!(checks_run(&judged.outcome), CHECKS.len());
        assert_eq!(counted(&judged.outcome), counted(&whole.outcome));
    }

    #[test]
    fn a_lost_source_takes_its_own_part_and_the_good_news_and_no_more() {
        let mut parts = empty_cluster();
        parts.services = Default::default();
        let failure =
            Failure { category: FailureCategory::Unreachable, operation: "watch services".to_owned(), message: String::new() };
        parts.services.fail(failure, clock::now());
        let lost = SourceStatus { last_attempt: Some(clock::now()), ..SourceStatus::default() };
        parts.sources = Arc::new(BTreeMap::from([(source::SERVICES.into(), lost)]));
        let (judged, pending) = judge(parts, &Policy::default(), true, clock::now());
        assert_eq!(pending.identity, [source::SERVICES]);
        assert_eq!(checks_run(&judged.outcome), CHECKS.len());
        let counted = counted(&judged.outcome);
        let judged_by_services = checks::services::CHECK.findings.iter().any(|kind| counted.contains(&kind.code));
        assert!(!judged_by_services && counted.contains(&"NLB901") && counted.contains(&"NLB401"), "{counted:?}");
    }
}
