//! Can this picture be trusted: what is old, missing, denied?

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::catalogue::{RESOURCES_MISSING, SOURCE_DENIED, SOURCE_DOWN, SOURCE_STALE};
use super::model::{FamilyDescription, FamilyKind, Report, Subject};
use super::{Check, Context};
use crate::inventory::part::FailureCategory;
use crate::inventory::parts::SourceStatus;

/// The check.
pub static CHECK: Check = Check {
    name: "freshness",
    families: &[&UP, &LAST_SUCCESS, &LAST_ATTEMPT, &INTERVAL, &MISSING],
    findings: &[&SOURCE_DOWN, &SOURCE_DENIED, &SOURCE_STALE, &RESOURCES_MISSING],
    sources: &[],
    run,
};

/// A source may miss so many of its intervals before it is stale.
const INTERVALS: i32 = 3;

/// A watch is opened again every few minutes at most, which counts as a success.
const WATCH_STALE: SignedDuration = SignedDuration::from_mins(10);

/// One failure among many calls is what throttling looks like on a good day: a source is down when it has not succeeded
/// for two of its intervals, or for this long.
const DOWN_AFTER: SignedDuration = SignedDuration::from_mins(5);

const fn by_source(name: &'static str, help: &'static str) -> FamilyDescription {
    FamilyDescription { name, help, kind: FamilyKind::Gauge, labels: &["source"] }
}

static UP: FamilyDescription = by_source(
    "source_up",
    "1 if the last call or watch of the source succeeded, 0 if it failed; absent before the first and where the cluster does not serve the kind.",
);
static LAST_SUCCESS: FamilyDescription = by_source(
    "source_last_success_timestamp_seconds",
    "When the source last succeeded for everything it is responsible for; absent until it first did.",
);
static LAST_ATTEMPT: FamilyDescription =
    by_source("source_last_attempt_timestamp_seconds", "When the source was last tried; absent before the first try.");
static INTERVAL: FamilyDescription = by_source(
    "source_refresh_interval_seconds",
    "How often the source means to refresh everything; absent for a Kubernetes watch, which is told of changes.",
);
static MISSING: FamilyDescription = by_source(
    "source_missing_resources",
    "Resources the source should know and does not: a call for one of them failed, or an object could not be decoded; absent before the first try.",
);

fn run(context: &Context<'_>, report: &mut Report) {
    for (name, status) in &*context.snapshot.parts.sources {
        if status.interval_seconds > 0 {
            report.family(&INTERVAL).sample([name.into()], status.interval_seconds as f64);
        }
        if let Some(at) = status.last_success {
            report.family(&LAST_SUCCESS).sample([name.into()], seconds(at));
        }
        if let Some(at) = status.last_attempt {
            report.family(&LAST_ATTEMPT).sample([name.into()], seconds(at));
            if !status.absent {
                report.family(&UP).sample([name.into()], if status.failure.is_none() { 1.0 } else { 0.0 });
                report.family(&MISSING).sample([name.into()], status.missing as f64);
            }
        }
        if !status.absent {
            judge(report, &Subject::Source(Arc::clone(name)), status, context.now);
        }
    }
}

fn judge(report: &mut Report, subject: &Subject, status: &SourceStatus, now: Timestamp) {
    let silent_for = status.last_success.map(|at| now.duration_since(at));
    // Longer than a year is as good as a year, and can be multiplied.
    let interval = SignedDuration::from_secs(i64::try_from(status.interval_seconds).unwrap_or(i64::MAX).min(31_536_000));
    let age = silent_for.map_or_else(|| "never succeeded".to_owned(), |age| format!("last succeeded {} s ago", age.as_secs()));
    match &status.failure {
        Some(failure) if failure.category == FailureCategory::Denied => {
            report.find(&SOURCE_DENIED, subject.clone(), status.last_success, format!("{failure}; {age}."));
        }
        Some(failure) if silent_for.is_none_or(|age| age > down_after(interval)) => {
            report.find(&SOURCE_DOWN, subject.clone(), status.last_success, format!("{failure}; {age}."));
        }
        _ => {}
    }
    let stale_after = if interval.is_zero() { WATCH_STALE } else { interval * INTERVALS };
    if silent_for.is_some_and(|age| age > stale_after) {
        let message = if interval.is_zero() {
            format!("The watch {age}.")
        } else {
            format!("The source {age} and means to refresh every {} s.", interval.as_secs())
        };
        report.find(&SOURCE_STALE, subject.clone(), status.last_success, message);
    }
    // While the first round is under way nothing is missing yet.
    if status.missing > 0 && (status.last_success.is_some() || status.failure.is_some()) {
        report.find(&RESOURCES_MISSING, subject.clone(), None, format!("Resources that could not be read: {}.", status.missing));
    }
}

fn down_after(interval: SignedDuration) -> SignedDuration {
    if interval.is_zero() { SignedDuration::from_mins(2) } else { (interval * 2).min(DOWN_AFTER) }
}

fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1e3
}

#[cfg(test)]
mod tests;
