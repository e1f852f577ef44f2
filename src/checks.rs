//! Stage 3, judge: pure functions from a picture to samples and findings. The table below is the list of checks.

pub mod catalogue;
pub mod drift;
pub mod freshness;
pub mod model;
pub mod quotas;
pub mod security_groups;
pub mod services;
pub mod subnets;
pub mod target_health;
#[cfg(test)]
pub(crate) mod testing;
pub mod zones;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use jiff::Timestamp;

use crate::config::policy::Policy;
use crate::inventory::snapshot::Snapshot;
use model::{CheckRun, Family, FamilyDescription, FamilyKind, FindingKind, Outcome, Report, Severity};

/// A check as data.
#[derive(Debug)]
pub struct Check {
    /// The `check` label.
    pub name: &'static str,
    /// The families it writes, in the order they are exposed.
    pub families: &'static [&'static FamilyDescription],
    /// The findings it can make.
    pub findings: &'static [&'static FindingKind],
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

/// All checks, in the order their families are exposed.
pub static CHECKS: &[&Check] = &[
    &services::CHECK,
    &target_health::CHECK,
    &zones::CHECK,
    &subnets::CHECK,
    &security_groups::CHECK,
    &quotas::CHECK,
    &drift::CHECK,
    &freshness::CHECK,
];

static FINDINGS: FamilyDescription = FamilyDescription {
    name: "findings",
    help: "Findings of this code at the moment; every known code has a series.",
    kind: FamilyKind::Gauge,
    labels: &["code", "severity"],
};

/// Every observed family, in the order of exposition.
pub fn families() -> impl Iterator<Item = &'static FamilyDescription> {
    CHECKS.iter().flat_map(|check| check.families.iter().copied()).chain([&FINDINGS])
}

/// Runs every check over a picture. `stopwatch` gives the time elapsed since some fixed moment.
///
/// A check that panics says nothing and is marked as failed; the others go on.
pub fn run_all(snapshot: &Snapshot, policy: &Policy, now: Timestamp, mut stopwatch: impl FnMut() -> Duration) -> Outcome {
    let context = Context { snapshot, policy, now };
    let mut outcome = Outcome { evaluated_at: now, families: Vec::new(), findings: Vec::new(), runs: Vec::new() };
    for check in CHECKS {
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
        outcome.runs.push(CheckRun { check: check.name, success, duration: stopwatch().saturating_sub(start) });
    }
    outcome.findings.sort_by(|a, b| {
        (std::cmp::Reverse(a.kind.severity), a.kind.code, &a.subject).cmp(&(
            std::cmp::Reverse(b.kind.severity),
            b.kind.code,
            &b.subject,
        ))
    });
    outcome.families.push(count_findings(&outcome));
    outcome
}

fn count_findings(outcome: &Outcome) -> Family {
    let mut report = Report::default();
    let mut writer = report.family(&FINDINGS);
    for kind in catalogue::ALL {
        let count = outcome.findings.iter().filter(|finding| std::ptr::eq(finding.kind, *kind)).count();
        writer.sample([kind.code.into(), Severity::as_str(kind.severity).into()], count as f64);
    }
    report.into_parts().0.remove(0)
}
