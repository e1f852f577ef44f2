//! Which findings does somebody not want to hear of, until when and why? A Service's own annotation, followed and told.
//!
//! A mute silences the findings whose subject is the Service, a load balancer made for it, a target group or a
//! TargetGroupBinding of its. Whose a target group is, is what `target_group_info` says: the Service whose pods it holds. The
//! finding about a mute itself cannot be muted.

mod annotation;

use std::collections::{BTreeMap, BTreeSet};

use super::catalogue::MUTE_NOT_FOLLOWED;
use super::model::{FamilyDescription, FamilyKind, Finding, Report, Sample, Subject};
use super::{Check, Context};
use crate::inventory::ids::ObjectName;
use crate::inventory::parts::source;
use crate::inventory::snapshot::{Owner, Snapshot};
pub use annotation::{LONGEST, MUTE};
use annotation::{Muted, Mutes, read};

static SERVICE_MUTED: FamilyDescription = FamilyDescription {
    name: "service_muted",
    help: "1 while an annotation eks-nlb-exporter.io/mute of the Service silences findings of this code, or of all; absent where nothing is muted.",
    kind: FamilyKind::Gauge,
    labels: &["namespace", "service", "code"],
};

/// Counted by [`super::run`], after all checks: see [`take_out`].
pub(super) static FINDINGS_MUTED: FamilyDescription = FamilyDescription {
    name: "findings_muted",
    help: "Findings of this code that annotations of Services silence at the moment; absent where there are none.",
    kind: FamilyKind::Gauge,
    labels: &["code", "severity"],
};

/// The check.
pub static CHECK: Check =
    Check { name: "mute", families: &[&SERVICE_MUTED], findings: &[&MUTE_NOT_FOLLOWED], sources: &[source::SERVICES], run };

fn run(context: &Context<'_>, report: &mut Report) {
    for (name, mutes) in annotated(context) {
        let codes: BTreeSet<_> = mutes.in_force.iter().flat_map(Muted::labels).collect();
        for code in codes {
            report.family(&SERVICE_MUTED).sample([(&name.namespace).into(), (&name.name).into(), code.into()], 1.0);
        }
        if !mutes.problems.is_empty() {
            let message = format!("Its annotation {MUTE} is not followed in full: {}.", mutes.problems.join("; "));
            report.find(&MUTE_NOT_FOLLOWED, Subject::Service(name.clone()), mutes.expired_at, message);
        }
    }
}

fn annotated<'a>(context: &Context<'a>) -> impl Iterator<Item = (&'a ObjectName, Mutes)> {
    let now = context.now;
    let services = context.snapshot.parts.services.get().into_iter().flatten();
    services.filter_map(move |(name, service)| Some((name, read(service.annotations.get(MUTE)?, now))))
}

/// Takes the findings that are muted out of `findings`, and gives them, and their number by code and severity.
pub(super) fn take_out(findings: &mut Vec<Finding>, context: &Context<'_>) -> (Vec<Finding>, Vec<Sample>) {
    let in_force: BTreeMap<&ObjectName, Vec<Muted>> = annotated(context).map(|(name, mutes)| (name, mutes.in_force)).collect();
    let mut taken = Vec::new();
    if in_force.values().any(|muted| !muted.is_empty()) {
        let is_muted = |finding: &mut Finding| {
            let Finding { kind, subject, .. } = finding;
            !std::ptr::eq(*kind, &MUTE_NOT_FOLLOWED)
                && service_of(subject, context.snapshot)
                    .and_then(|service| in_force.get(service))
                    .is_some_and(|mutes| mutes.iter().any(|mute| mute.covers(kind)))
        };
        taken = findings.extract_if(.., is_muted).collect();
    }
    let mut counts: BTreeMap<_, u32> = BTreeMap::new();
    for Finding { kind, .. } in &taken {
        *counts.entry((kind.code, kind.severity.as_str())).or_default() += 1;
    }
    let sample = |((code, severity), count): ((&'static str, &'static str), u32)| Sample {
        labels: Box::new([code.into(), severity.into()]),
        value: count.into(),
    };
    (taken, counts.into_iter().map(sample).collect())
}

/// The Service that a finding is about.
pub(crate) fn service_of<'a>(subject: &'a Subject, snapshot: &'a Snapshot) -> Option<&'a ObjectName> {
    match subject {
        Subject::Service(name) => Some(name),
        Subject::LoadBalancer(id) => match &snapshot.load_balancers.get(id)?.owner {
            Owner::Service(name) => Some(name),
            _ => None,
        },
        Subject::TargetGroup(id) => {
            let group = snapshot.target_groups.get(id)?;
            group.backend.as_ref().map(|(name, _)| name).or(group.stack.as_ref())
        }
        Subject::TargetGroupBinding(name) => Some(&snapshot.parts.target_group_bindings.get()?.get(name)?.service),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
