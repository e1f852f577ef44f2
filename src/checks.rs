//! Stage 3, judge: pure functions from a picture to samples and findings. The table below is the list of checks.

pub mod beginnings;
pub mod catalogue;
pub mod drift;
pub mod edited;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod freshness;
pub mod headroom;
pub mod labels;
pub mod lint;
pub mod model;
pub mod mute;
pub mod orphans;
pub mod quotas;
pub mod security_groups;
pub mod services;
pub mod subnets;
pub mod target_health;
#[cfg(test)]
pub(crate) mod testing;
pub mod zones;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::config::policy::Policy;
use crate::inventory::expiry::oldest_shown;
use crate::inventory::snapshot::{Expiry, Snapshot};
use model::{CheckRun, Family, FamilyDescription, FamilyKind, FindingKind, Outcome, Report, Sample};

/// A check as data.
#[derive(Debug)]
pub struct Check {
    /// The `check` label.
    pub name: &'static str,
    /// The families it writes, in the order they are exposed.
    pub families: &'static [&'static FamilyDescription],
    /// The findings it can make.
    pub findings: &'static [&'static FindingKind],
    /// What it cannot judge without, as names of sources. While one of them is lost, no finding is no good news.
    pub sources: &'static [&'static str],
    /// The judgement.
    pub run: fn(&Context<'_>, &mut Report),
}

/// What a check may look at.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The picture.
    pub snapshot: &'a Snapshot,
    /// The thresholds.
    pub policy: &'a Policy,
    /// The moment of judgement.
    pub now: Timestamp,
}

/// A picture with what is said of it. Both are of the same moment: who tells of one may look things up in the other.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The picture.
    pub snapshot: Arc<Snapshot>,
    /// What the checks say of it.
    pub outcome: Arc<Outcome>,
    /// By what measure they judged.
    pub policy: Arc<Policy>,
}

impl Judged {
    /// What the checks looked at: asked again, a check says the same again.
    pub fn context(&self) -> Context<'_> {
        Context { snapshot: &self.snapshot, policy: &self.policy, now: self.outcome.evaluated_at }
    }
}

/// All checks, in the order their families are exposed.
pub static CHECKS: &[&Check] = &[
    &services::CHECK,
    &labels::CHECK,
    &target_health::CHECK,
    &zones::CHECK,
    &subnets::CHECK,
    &security_groups::CHECK,
    &quotas::CHECK,
    &headroom::CHECK,
    &drift::CHECK,
    &lint::CHECK,
    &edited::CHECK,
    &mute::CHECK,
    &orphans::CHECK,
    &freshness::CHECK,
];

static FINDINGS: FamilyDescription = FamilyDescription {
    name: "findings",
    help: "Findings of this code at the moment, muted ones left out; 0 only where the check ran and saw everything it judges by.",
    kind: FamilyKind::Gauge,
    labels: &["code", "severity"],
};

/// Every observed family, in the order of exposition.
pub fn families() -> impl Iterator<Item = &'static FamilyDescription> {
    CHECKS.iter().flat_map(|check| check.families.iter().copied()).chain([&FINDINGS, &mute::FINDINGS_MUTED])
}

/// Runs every check over a picture; see [`run`].
pub fn run_all(snapshot: &Snapshot, policy: &Policy, now: Timestamp, stopwatch: impl FnMut() -> Duration) -> Outcome {
    run(CHECKS, snapshot, policy, now, stopwatch)
}

/// Runs these checks over a picture and takes out the findings that Services mute. `stopwatch` gives the time elapsed since some fixed moment.
///
/// A check that panics says nothing and is marked as failed; the others go on.
pub fn run(
    checks: &[&'static Check],
    snapshot: &Snapshot,
    policy: &Policy,
    now: Timestamp,
    mut stopwatch: impl FnMut() -> Duration,
) -> Outcome {
    let context = Context { snapshot, policy, now };
    let mut outcome =
        Outcome { evaluated_at: now, families: Vec::new(), findings: Vec::new(), muted: Vec::new(), runs: Vec::new() };
    for check in checks {
        let start = stopwatch();
        let result = catch_unwind(AssertUnwindSafe(|| {
            let mut report = Report::default();
            (check.run)(&context, &mut report);
            report.into_parts()
        }));
        let success = result.is_ok();
        if let Ok((mut families, findings)) = result {
            for description in check.families {
                if let Some(at) = families.iter().position(|family| std::ptr::eq(family.description, *description)) {
                    let mut family = families.swap_remove(at);
                    family.samples.sort_by(|a, b| a.labels.cmp(&b.labels));
                    outcome.families.push(family);
                }
            }
            debug_assert!(families.is_empty(), "check {} writes families that its table does not name: {families:?}", check.name);
            outcome.findings.extend(findings);
        }
        let duration = stopwatch().saturating_sub(start);
        outcome.runs.push(CheckRun { check: check.name, success, duration, blind: is_blind(check, &context) });
    }
    outcome.findings.sort_by(|a, b| {
        (std::cmp::Reverse(a.kind.severity), a.kind.code, &a.subject).cmp(&(
            std::cmp::Reverse(b.kind.severity),
            b.kind.code,
            &b.subject,
        ))
    });
    let (muted, counts) = mute::take_out(&mut outcome.findings, &context);
    outcome.muted = muted;
    let counted = count_findings(checks, &outcome);
    outcome.families.push(counted);
    outcome.families.push(Family::new(&mute::FINDINGS_MUTED, counts));
    outcome
}

fn count_findings(checks: &[&'static Check], outcome: &Outcome) -> Family {
    let mut samples: Vec<Sample> = Vec::new();
    for (check, run) in checks.iter().zip(&outcome.runs).filter(|(_, run)| run.success) {
        for kind in check.findings {
            let count = outcome.findings.iter().filter(|finding| std::ptr::eq(finding.kind, *kind)).count();
            if count > 0 || !run.blind {
                samples.push(Sample { labels: Box::new([kind.code.into(), kind.severity.as_str().into()]), value: count as f64 });
            }
        }
    }
    samples.sort_by(|a, b| a.labels.cmp(&b.labels));
    Family::new(&FINDINGS, samples)
}

/// Whether a source that the check cannot judge without never succeeded, or so long ago that its values have vanished.
fn is_blind(check: &Check, context: &Context<'_>) -> bool {
    let sources = &context.snapshot.parts.sources;
    let expiry = Expiry { max_staleness: context.policy.max_staleness() };
    check.sources.iter().any(|name| {
        let Some(status) = sources.get(*name).filter(|status| !status.absent) else { return false };
        status.last_success.is_none_or(|at| at < oldest_shown(sources, name, context.now, expiry))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::inventory::parts::{Parts, SourceStatus, source};

    fn counted_in(outcome: &Outcome) -> &Family {
        outcome.families.iter().find(|family| std::ptr::eq(family.description, &FINDINGS)).expect("findings are always counted")
    }

    fn nothing_known() -> Snapshot {
        Snapshot::join(Parts::default(), Timestamp::UNIX_EPOCH, Expiry { max_staleness: Duration::from_secs(1800) })
    }

    fn outcome_of(checks: &[&'static Check]) -> Outcome {
        run(checks, &nothing_known(), &Policy::default(), Timestamp::UNIX_EPOCH, || Duration::ZERO)
    }

    #[test]
    fn every_finding_of_the_catalogue_belongs_to_one_check() {
        let of_checks: Vec<_> = CHECKS.iter().flat_map(|check| check.findings).map(|kind| kind.code).collect();
        let unique: BTreeSet<_> = of_checks.iter().collect();
        assert_eq!(unique.len(), of_checks.len(), "a code belongs to two checks");
        let missing: Vec<_> = catalogue::ALL.iter().filter(|kind| !unique.contains(&kind.code)).map(|kind| kind.code).collect();
        assert!(missing.is_empty(), "no check can make {missing:?}");
    }

    #[test]
    fn names_of_families_are_unique_and_end_as_their_kind_says() {
        let names: Vec<_> = families().map(|family| family.name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        for family in families() {
            assert_eq!(family.name.ends_with("_info"), family.kind == FamilyKind::Info, "{}", family.name);
            assert!(family.help.ends_with('.') && !family.help.contains(['\n', '"', '\\']), "{}", family.help);
        }
    }

    #[test]
    fn knowing_nothing_says_nothing() {
        let outcome = outcome_of(CHECKS);
        assert!(outcome.runs.iter().all(|run| run.success));
        assert!(outcome.findings.is_empty(), "{:?}", outcome.findings);
        let said: Vec<_> =
            outcome.families.iter().filter(|family| !family.samples.is_empty()).map(|family| family.description.name).collect();
        assert_eq!(said, ["findings"]);
    }

    #[test]
    fn a_check_without_its_sources_counts_no_zeros() {
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        let counted = |last_success, absent| {
            let status = SourceStatus { last_success, absent, ..SourceStatus::default() };
            let parts = Parts {
                sources: std::sync::Arc::new([(source::SUBNETS.into(), status)].into_iter().collect()),
                ..Parts::default()
            };
            let policy = Policy::default();
            let now = Timestamp::from_second(10_000).unwrap();
            let snapshot = Snapshot::join(parts, now, Expiry { max_staleness: policy.max_staleness() });
            let outcome = run(&[&subnets::CHECK], &snapshot, &policy, now, || Duration::ZERO);
            counted_in(&outcome).samples.len()
        };
        assert_eq!(counted(at(8_200), false), subnets::CHECK.findings.len(), "1800 s old is still shown");
        assert_eq!(counted(at(8_199), false), 0);
        assert_eq!(counted(None, false), 0);
        assert_eq!(counted(None, true), subnets::CHECK.findings.len(), "what does not exist is not lost");
    }

    #[test]
    fn a_check_that_panics_takes_nothing_with_it() {
        static FAMILY: FamilyDescription = FamilyDescription { name: "x", help: "X.", kind: FamilyKind::Gauge, labels: &[] };
        static BAD: Check = Check {
            name: "bad",
            families: &[&FAMILY],
            findings: &[&catalogue::DRIFT],
            sources: &[],
            run: |_, _| panic!("a defect in this test"),
        };
        let outcome = outcome_of(&[&BAD, &freshness::CHECK]);
        assert_eq!(
            outcome.runs.iter().map(|run| (run.check, run.success)).collect::<Vec<_>>(),
            [("bad", false), ("freshness", true)]
        );
        let counted = counted_in(&outcome);
        assert!(counted.samples.iter().all(|sample| sample.labels[0].as_str() != catalogue::DRIFT.code), "a zero would be a lie");
    }
}
