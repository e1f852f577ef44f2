//! Is a Service written as its controller reads it? Annotations and spec against each other and against the cluster.
//!
//! [`lint`] is pure and works on one Service with whatever is known beside it, with nothing too. A warning means that the
//! controller refuses the Service or silently does not do what it was asked for; what merely could be written better is
//! information. Where something depends on what is not known, nothing is said. What the controller refuses is told by its own
//! event while that stands, and counted here.

mod addresses;
mod case;
mod effects;
mod grammar;
pub mod known;
mod names;
mod others;
mod ports;
pub mod problem;
mod spelling;
mod targets;
mod values;

use std::collections::BTreeMap;

use super::catalogue::{
    LINT_ADDRESSES, LINT_AUTO_MODE, LINT_CLUSTER_IP, LINT_DEPRECATED, LINT_FARGATE_INSTANCE, LINT_FARGATE_PUBLIC, LINT_IN_VAIN,
    LINT_IPV6, LINT_MISPLACED, LINT_MISREAD, LINT_MISSPELT, LINT_NAME_TAKEN, LINT_NOT_READ_YET, LINT_OTHER_CNI, LINT_REFUSED,
    LINT_SHARED_PORT, LINT_STYLE, LINT_UNKNOWN, LINT_WINDOWS,
};
use super::drift::told_blocked;
use super::model::{FamilyDescription, FamilyKind, Report, Subject};
use super::{Check, Context};
use crate::controller::ownership::{Ownership, owner, owner_in};
use crate::controller::settings::Settings;
use crate::inventory::kube::{Service, ServiceType};
use crate::inventory::parts::source;
use crate::inventory::snapshot::Snapshot;
use case::Case;
use known::{Facts, Known};
use problem::{Problem, Rule};

static PROBLEMS: FamilyDescription = FamilyDescription {
    name: "service_lint_problems",
    help: "Problems in the annotations and the spec of a Service that asks for a load balancer, as its controller reads them.",
    kind: FamilyKind::Gauge,
    labels: &["namespace", "service"],
};
static WINDOWS_BACKENDS: FamilyDescription = FamilyDescription {
    name: "service_windows_backends",
    help: "Pods behind a Service of which at least one is on a Windows node, where a Service supports 1,024 (EndpointSlices, Nodes).",
    kind: FamilyKind::Gauge,
    labels: &["namespace", "service"],
};

/// The check.
pub static CHECK: Check = Check {
    name: "lint",
    families: &[&PROBLEMS, &WINDOWS_BACKENDS],
    findings: &[
        &LINT_MISSPELT,
        &LINT_UNKNOWN,
        &LINT_NOT_READ_YET,
        &LINT_REFUSED,
        &LINT_MISREAD,
        &LINT_DEPRECATED,
        &LINT_IN_VAIN,
        &LINT_MISPLACED,
        &LINT_ADDRESSES,
        &LINT_IPV6,
        &LINT_FARGATE_INSTANCE,
        &LINT_FARGATE_PUBLIC,
        &LINT_OTHER_CNI,
        &LINT_SHARED_PORT,
        &LINT_NAME_TAKEN,
        &LINT_WINDOWS,
        &LINT_STYLE,
        &LINT_AUTO_MODE,
        &LINT_CLUSTER_IP,
    ],
    sources: &[source::SERVICES, source::CONTROLLER, source::NODES, source::ENDPOINT_SLICES, source::VPC_CNI],
    run,
};

/// How many problems of one rule a finding spells out.
const SPELT_OUT: usize = 4;

/// What is wrong with a Service, in the order of the rules. `settings` are those of the controller that would build it
/// (`Settings::of(None)` where none is known); `known` is whatever else is known.
///
/// A Service that asks for no load balancer, is of a third party, or is being deleted, has no problems.
pub fn lint(service: &Service, settings: Settings<'_>, known: &Known<'_>) -> Vec<Problem> {
    lint_owned(service, settings, known, owner(service, settings.deployment()))
}

fn lint_owned(service: &Service, settings: Settings<'_>, known: &Known<'_>, owner: Ownership) -> Vec<Problem> {
    if service.deleted_at.is_some() {
        return Vec::new();
    }
    let mut case = Case::of(service, settings, *known, owner);
    match owner {
        Ownership::LoadBalancerController | Ownership::Nobody(_) => {
            names::check(&mut case);
            values::check(&mut case);
            effects::check(&mut case);
            addresses::check(&mut case);
            ports::check(&mut case);
            targets::check(&mut case);
        }
        Ownership::AutoMode => others::auto_mode(&mut case),
        Ownership::InTreeNetwork | Ownership::InTreeClassic => others::in_tree(&mut case),
        Ownership::ThirdParty | Ownership::NotAsked => {}
    }
    case.problems.sort_by(|a, b| (a.rule, &a.field).cmp(&(b.rule, &b.field)));
    case.problems
}

fn run(context: &Context<'_>, report: &mut Report) {
    let snapshot = context.snapshot;
    let parts = &snapshot.parts;
    // Without the controller's Deployment an old version would be taken for the newest.
    if parts.controllers.complete().is_none() {
        return;
    }
    let settings = Settings::in_cluster(parts);
    let facts = Facts::of(snapshot, []);
    for service in parts.services.get().into_iter().flat_map(BTreeMap::values) {
        let owner = owner_in(service, parts);
        if !is_linted(service, owner) {
            continue;
        }
        let known = facts.known(&service.name);
        let labels = || [(&service.name.namespace).into(), (&service.name.name).into()];
        if let Some(backends) = known.backends.filter(|backends| backends.windows > 0) {
            report.family(&WINDOWS_BACKENDS).sample(labels(), backends.pods as f64);
        }
        let problems = lint_owned(service, settings, &known, owner);
        report.family(&PROBLEMS).sample(labels(), problems.len() as f64);
        let refusal = told_blocked(context, service, owner);
        let told_by_event = |problem: &Problem| refusal.is_some_and(|(cause, message)| problem.is_told_by(cause, message));
        tell(service, problems.iter().filter(|problem| !told_by_event(problem)), report);
    }
}

fn is_linted(service: &Service, owner: Ownership) -> bool {
    let asks = service.service_type == ServiceType::LoadBalancer || owner == Ownership::LoadBalancerController;
    asks && service.deleted_at.is_none()
}

/// Every problem that the check counts of one Service; `None` where it counts none of it. Prepares for all Services and serves one.
pub fn counted(snapshot: &Snapshot, service: &Service) -> Option<Vec<Problem>> {
    let parts = &snapshot.parts;
    parts.controllers.complete()?;
    let owner = owner_in(service, parts);
    let facts = Facts::of(snapshot, []);
    is_linted(service, owner).then(|| lint_owned(service, Settings::in_cluster(parts), &facts.known(&service.name), owner))
}

/// One finding a rule.
fn tell<'p>(service: &Service, problems: impl Iterator<Item = &'p Problem>, report: &mut Report) {
    let mut by_rule: BTreeMap<Rule, Vec<&str>> = BTreeMap::new();
    for problem in problems.filter(|problem| !problem.rule.told_elsewhere()) {
        by_rule.entry(problem.rule).or_default().push(&problem.message);
    }
    for (rule, messages) in by_rule {
        let mut message = messages.iter().take(SPELT_OUT).copied().collect::<Vec<_>>().join(" ");
        if let Some(more @ 1..) = messages.len().checked_sub(SPELT_OUT) {
            message.push_str(&format!(" And {more} more."));
        }
        report.find(rule.kind(), Subject::Service(service.name.clone()), None, message);
    }
}

#[cfg(test)]
mod tests;
