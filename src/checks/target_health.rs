//! Which targets serve, which do not and why, and are the right ones registered?

pub(in crate::checks) mod backing;
pub(in crate::checks) mod nodes;
mod series;
pub(in crate::checks) mod verdict;

use std::time::Duration;

use jiff::Timestamp;

use self::backing::Backing;
use self::nodes::Nodes;
use self::series::{TARGET_HEALTH, TARGET_HEALTH_SERIES_DROPPED};
use self::verdict::Sampled;
use super::catalogue::{MISSING_TARGETS, NO_HEALTHY_TARGET, UNEXPECTED_TARGETS, UNHEALTHY_TARGETS};
use super::model::{FamilyDescription, FamilyKind, Report};
use super::{Check, Context};
use crate::inventory::aws::{TargetReason, TargetState};
use crate::inventory::ids::TargetGroupId;
use crate::inventory::parts::source;

/// The check.
pub static CHECK: Check = Check {
    name: "target_health",
    families: &[
        &TARGETS,
        &UNHEALTHY,
        &ENDPOINTS,
        &EXPECTED,
        &EXPECTED_HEALTHY,
        &MISSING,
        &UNEXPECTED,
        &SAMPLED,
        &CHANGED,
        &TARGET_HEALTH,
        &TARGET_HEALTH_SERIES_DROPPED,
    ],
    findings: &[&NO_HEALTHY_TARGET, &UNHEALTHY_TARGETS, &MISSING_TARGETS, &UNEXPECTED_TARGETS],
    sources: &[
        source::LOAD_BALANCERS,
        source::TARGET_GROUPS,
        source::TAGS,
        source::TARGET_HEALTH,
        source::SERVICES,
        source::ENDPOINT_SLICES,
        source::NODES,
        source::TARGET_GROUP_BINDINGS,
    ],
    run,
};

const fn gauge(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> FamilyDescription {
    FamilyDescription { name, help, kind: FamilyKind::Gauge, labels }
}

static TARGETS: FamilyDescription = gauge(
    "target_group_targets",
    "Registered targets of the group by TargetHealth.State of DescribeTargetHealth, zeros included.",
    &["target_group", "state"],
);

static UNHEALTHY: FamilyDescription = gauge(
    "target_group_unhealthy_targets",
    "Registered targets of the group in any state but healthy by TargetHealth.Reason of DescribeTargetHealth; reasons without a target have no series.",
    &["target_group", "reason"],
);

static ENDPOINTS: FamilyDescription = gauge(
    "target_group_endpoints",
    "Distinct endpoints of the group's address family in the EndpointSlices of the Service behind it by their conditions; terminating ones count as nothing else.",
    &["target_group", "condition"],
);

static EXPECTED: FamilyDescription = gauge(
    "target_group_expected_targets",
    "Targets the controller should have registered in the group: ready pods of the Service's EndpointSlices, or eligible Nodes for instance targets; absent where others register too, the controller limits the number, or something is not known.",
    &["target_group"],
);

static EXPECTED_HEALTHY: FamilyDescription = gauge(
    "target_group_expected_healthy_targets",
    "Expected targets that should be healthy: ready pods, or Nodes with a ready endpoint where externalTrafficPolicy is Local, or all eligible Nodes while any endpoint is ready; absent as target_group_expected_targets.",
    &["target_group"],
);

static MISSING: FamilyDescription = gauge(
    "target_group_missing_targets",
    "Expected targets that DescribeTargetHealth does not list or lists as draining, at the moment of the sample and however short; absent as target_group_expected_targets.",
    &["target_group"],
);

static UNEXPECTED: FamilyDescription = gauge(
    "target_group_unexpected_targets",
    "Targets of DescribeTargetHealth that are not draining and have no endpoint or Node behind them, at the moment of the sample and however short; absent as target_group_expected_targets.",
    &["target_group"],
);

static SAMPLED: FamilyDescription =
    gauge("target_group_sampled_timestamp_seconds", "When DescribeTargetHealth last answered for the group.", &["target_group"]);

static CHANGED: FamilyDescription = gauge(
    "target_group_changed_timestamp_seconds",
    "When an answer of DescribeTargetHealth last differed from the one before in its targets or their states; the first answer's own time until then.",
    &["target_group"],
);

fn run(context: &Context<'_>, report: &mut Report) {
    let snapshot = context.snapshot;
    let hold_down = Duration::from_secs(context.policy.target_hold_down_seconds);
    let nodes = Nodes::of(snapshot);
    for (id, group) in &snapshot.target_groups {
        let backing = Backing::of(group, snapshot, nodes.as_ref());
        write_cluster(report, id, &backing);
        let Some(sampled) = Sampled::of(id, group, snapshot) else { continue };
        write_sample(report, &sampled);
        if let Some((missing, unexpected)) = backing.difference(sampled.targets, sampled.sampled_at) {
            report.family(&MISSING).sample([sampled.id.into()], missing.len() as f64);
            report.family(&UNEXPECTED).sample([sampled.id.into()], unexpected.len() as f64);
        }
        verdict::judge(report, &sampled, &backing, snapshot, hold_down);
    }
    series::write(report, snapshot, context.policy);
}

/// What the cluster has for a group.
fn write_cluster(report: &mut Report, id: &TargetGroupId, backing: &Backing<'_>) {
    if let Some(endpoints) = backing.endpoints {
        report
            .family(&ENDPOINTS)
            .sample([id.into(), "ready".into()], endpoints.ready as f64)
            .sample([id.into(), "not_ready".into()], endpoints.not_ready as f64)
            .sample([id.into(), "terminating".into()], endpoints.terminating as f64);
    }
    if let Some(expectation) = backing.expectation.as_ref().filter(|_| backing.exact) {
        let healthy = expectation.expected.values().filter(|expected| expected.healthy).count();
        report.family(&EXPECTED).sample([id.into()], expectation.expected.len() as f64);
        report.family(&EXPECTED_HEALTHY).sample([id.into()], healthy as f64);
    }
}

/// What AWS says of a group.
fn write_sample(report: &mut Report, sampled: &Sampled<'_>) {
    let id = sampled.id;
    let mut targets = report.family(&TARGETS);
    for state in TargetState::ALL {
        let count = sampled.count(*state);
        // None of AWS's states: thousands of groups need no zero for what may never exist.
        if *state != TargetState::Other || count > 0 {
            targets.sample([id.into(), state.as_str().into()], count as f64);
        }
    }
    let not_healthy = || sampled.targets.iter().filter(|target| target.state != TargetState::Healthy);
    let mut unhealthy = report.family(&UNHEALTHY);
    for reason in TargetReason::ALL {
        let count = not_healthy().filter(|target| target.reason.unwrap_or(TargetReason::Other) == *reason).count();
        if count > 0 {
            unhealthy.sample([id.into(), reason.as_str().into()], count as f64);
        }
    }
    report.family(&SAMPLED).sample([id.into()], seconds(sampled.sampled_at));
    report.family(&CHANGED).sample([id.into()], seconds(sampled.changed_at));
}

fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1e3
}

#[cfg(test)]
mod tests;
