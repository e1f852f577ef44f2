//! Is AWS as the Service's annotations say? And where the controller cannot go on: why?
//!
//! A Service is judged when the AWS Load Balancer Controller owns it, it is not being deleted, exactly one load balancer
//! carries its tags and that one is active. A blocked Service is told once and not compared: AWS lags behind all of its
//! annotations then.
//!
//! A difference counts only where AWS was looked at after everything that could have changed or repaired it: the Service's
//! and the load balancer's last change and the controller's last start, each with the hold-down, and the last success that
//! the controller reported. Until then the row is unknown. `service_drifted_annotations` is written only where every row
//! could be judged: a count of what is known would look like an all-clear.
//!
//! Load balancers of EKS Auto Mode are not compared: its controller is closed source, and all that is written about it is
//! which annotations it does *not* read. What it enforces without an annotation is not known, so that a difference would be
//! a guess. Its blocked Services are told like the others.

pub mod applied;
mod blocked;
mod case;
mod comparison;
mod rows;

use jiff::{SignedDuration, Timestamp};

use super::catalogue::{BINDING_BLOCKED, DRIFT, DRIFT_NEVER_REPAIRED, QUOTA_NAMED_BY_EVENT, SERVICE_BLOCKED};
use super::model::{FamilyDescription, FamilyKind, Report, Subject};
use super::{Check, Context};
use crate::controller::annotations::{AnnotationError, Annotations, name};
use crate::controller::ownership::{Ownership, owner_in};
use crate::inventory::aws::LoadBalancerState;
use crate::inventory::ids::ObjectName;
use crate::inventory::kube::{EventObject, LeaderLease, ReconcileFailure, ReconcileState, Service};
use crate::inventory::parts::{EventKey, source};
use crate::inventory::snapshot::{ClusterLoadBalancer, Controller};
use case::{Case, World};
use comparison::{Comparison, Difference};
use rows::{ROWS, Repair, Row, SPEC_PORTS};

static SERVICE_ANNOTATION_DRIFT: FamilyDescription = FamilyDescription {
    name: "service_annotation_drift",
    help: "1 for each annotation of the Service from which AWS differs, by who repairs that: the controller, or nobody.",
    kind: FamilyKind::Gauge,
    labels: &["namespace", "service", "annotation", "repair"],
};
static SERVICE_DRIFTED_ANNOTATIONS: FamilyDescription = FamilyDescription {
    name: "service_drifted_annotations",
    help: "Annotations of the Service from which AWS differs; absent where not all of them could be compared.",
    kind: FamilyKind::Gauge,
    labels: &["namespace", "service"],
};
static SERVICE_BLOCKED_FAMILY: FamilyDescription = FamilyDescription {
    name: "service_blocked",
    help: "1 while the newest event of the controller about the Service is a failure, by its cause.",
    kind: FamilyKind::Gauge,
    labels: &["namespace", "service", "reason"],
};
static BINDING_BLOCKED_FAMILY: FamilyDescription = FamilyDescription {
    name: "target_group_binding_blocked",
    help: "1 while the newest event of the controller about the TargetGroupBinding is a failure, by its cause.",
    kind: FamilyKind::Gauge,
    labels: &["namespace", "target_group_binding", "reason"],
};

/// The check.
pub static CHECK: Check = Check {
    name: "drift",
    families: &[&SERVICE_ANNOTATION_DRIFT, &SERVICE_DRIFTED_ANNOTATIONS, &SERVICE_BLOCKED_FAMILY, &BINDING_BLOCKED_FAMILY],
    findings: &[&DRIFT, &DRIFT_NEVER_REPAIRED, &SERVICE_BLOCKED, &BINDING_BLOCKED, &QUOTA_NAMED_BY_EVENT],
    sources: &[
        source::LOAD_BALANCERS,
        source::TARGET_GROUPS,
        source::TAGS,
        source::LOAD_BALANCER_ATTRIBUTES,
        source::TARGET_GROUP_ATTRIBUTES,
        source::SUBNETS,
        source::SECURITY_GROUPS,
        source::SERVICES,
        source::CONTROLLER,
        source::EVENTS,
        source::TARGET_GROUP_BINDINGS,
        source::LISTENERS,
        source::LISTENER_CERTIFICATES,
        source::LISTENER_ATTRIBUTES,
        source::CAPACITY_RESERVATIONS,
    ],
    run,
};

/// The finalizer by which the controller marks Services it has made something for.
pub const FINALIZER: &str = "service.k8s.aws/resources";

fn run(context: &Context<'_>, report: &mut Report) {
    let parts = &context.snapshot.parts;
    let world = World::of(context.snapshot);
    for service in parts.services.get().into_iter().flat_map(|list| list.values()) {
        let owner = owner_in(service, parts);
        if let Some(failure) = blocked_service(context, service, owner) {
            report_blocked_service(report, service, failure);
            continue;
        }
        if let Some(load_balancer) = comparable(context, service, owner) {
            judge(context, &Case::of(&world, service, load_balancer), report);
        }
    }
    report_blocked_bindings(context, report);
}

fn comparable<'a>(context: &Context<'a>, service: &Service, owner: Ownership) -> Option<&'a ClusterLoadBalancer> {
    let built = owner == Ownership::LoadBalancerController && service.deleted_at.is_none();
    if built { only_load_balancer(context, service) } else { None }
}

/// What is told of a Service that the controller refuses: the event's cause and message. What another check knows of the same
/// refusal need not be told beside it.
pub(super) fn told_blocked<'a>(context: &Context<'a>, service: &Service, owner: Ownership) -> Option<(&'static str, &'a str)> {
    let failure = blocked_service(context, service, owner)?;
    Some((blocked::cause(&failure.message), &failure.message))
}

/// The annotations of a Service of which is told that AWS differs and nobody repairs that. Prepares for all Services and
/// serves one: for the few whose annotations that are read at creation only were edited.
pub(super) fn told_never_repaired(context: &Context<'_>, service: &Service) -> Vec<&'static str> {
    let owner = owner_in(service, &context.snapshot.parts);
    if blocked_service(context, service, owner).is_some() {
        return Vec::new();
    }
    let Some(load_balancer) = comparable(context, service, owner) else { return Vec::new() };
    let world = World::of(context.snapshot);
    let compared = compare_all(&Case::of(&world, service, load_balancer)).unwrap_or_default();
    let settled = settled_at(context, service, load_balancer);
    let never = compared.into_iter().filter(|(row, _)| row.repair == Repair::Never);
    never.filter(|(_, it)| it.differences.iter().any(|it| it.is_after(settled))).map(|(row, _)| row.annotation).collect()
}

fn state_of<'a>(context: &Context<'a>, kind: EventObject, name: &ObjectName) -> Option<&'a ReconcileState> {
    context.snapshot.parts.reconciles.get()?.get(&EventKey { kind, name: name.clone() })
}

/// The failure that stands. Only events of the controller that works on the Service count, and only about this Service, not
/// about an earlier one of its name. One that nobody works on any more gets no success that would clear an old failure.
fn blocked_service<'a>(context: &Context<'a>, service: &Service, owner: Ownership) -> Option<&'a ReconcileFailure> {
    let worked_on = matches!(owner, Ownership::LoadBalancerController | Ownership::AutoMode)
        || service.finalizers.iter().any(|finalizer| &**finalizer == FINALIZER);
    let in_tree = matches!(owner, Ownership::InTreeNetwork | Ownership::InTreeClassic);
    let reasons = [(worked_on, blocked::SERVICE_FAILURES), (in_tree, blocked::IN_TREE_FAILURES)];
    let state = state_of(context, EventObject::Service, &service.name)?;
    reasons.into_iter().find_map(|(theirs, reasons)| standing(state, reasons, service.created_at).filter(|_| theirs))
}

fn standing<'a>(state: &'a ReconcileState, reasons: &[&str], created_at: Timestamp) -> Option<&'a ReconcileFailure> {
    // Creation times have whole seconds, as events have.
    state.blocked().filter(|failure| reasons.contains(&&*failure.reason) && failure.at >= created_at)
}

fn report_blocked_service(report: &mut Report, service: &Service, failure: &ReconcileFailure) {
    let cause = blocked::cause(&failure.message);
    let name = &service.name;
    report.family(&SERVICE_BLOCKED_FAMILY).sample([(&name.namespace).into(), (&name.name).into(), cause.into()], 1.0);
    let kind = if cause == blocked::QUOTA { &QUOTA_NAMED_BY_EVENT } else { &SERVICE_BLOCKED };
    let message =
        format!("The controller's last word on the Service is {}: {}.", failure.reason, blocked::quoted(&failure.message));
    // The event is repeated as long as it lasts, and tells of the last time.
    report.find(kind, Subject::Service(name.clone()), None, message);
}

fn report_blocked_bindings(context: &Context<'_>, report: &mut Report) {
    for binding in context.snapshot.parts.target_group_bindings.get().into_iter().flat_map(|list| list.values()) {
        let state = state_of(context, EventObject::TargetGroupBinding, &binding.name);
        let Some(failure) = state.and_then(|state| standing(state, blocked::BINDING_FAILURES, binding.created_at)) else {
            continue;
        };
        // The event's reason says it where the message does not.
        let cause = match blocked::cause(&failure.message) {
            "other" => blocked::cause(&failure.reason),
            cause => cause,
        };
        let name = &binding.name;
        report.family(&BINDING_BLOCKED_FAMILY).sample([(&name.namespace).into(), (&name.name).into(), cause.into()], 1.0);
        let kind = if cause == blocked::QUOTA { &QUOTA_NAMED_BY_EVENT } else { &BINDING_BLOCKED };
        let message = format!(
            "The controller's last word on the TargetGroupBinding of Service {} is {}: {}.",
            binding.service,
            failure.reason,
            blocked::quoted(&failure.message)
        );
        report.find(kind, Subject::TargetGroupBinding(name.clone()), None, message);
    }
}

/// The Service's load balancer, if there is exactly one, the controller made it and it is up. Several are a replacement or
/// a leak, and another check's business.
fn only_load_balancer<'a>(context: &Context<'a>, service: &Service) -> Option<&'a ClusterLoadBalancer> {
    let snapshot = context.snapshot;
    let mut ids = snapshot.service_load_balancers.get(&service.name)?.iter();
    let (Some(only), None) = (ids.next(), ids.next()) else { return None };
    let found = snapshot.load_balancers.get(only)?;
    let up = matches!(found.load_balancer.state, LoadBalancerState::Active | LoadBalancerState::ActiveImpaired);
    (up && found.controller == Controller::LoadBalancerController).then_some(found)
}

fn judge(context: &Context<'_>, case: &Case<'_>, report: &mut Report) {
    let Some(Found { drifted, all_known }) = find(context, case) else { return };
    let service = case.service;
    for (row, differences) in &drifted {
        report_drift(report, service, row, differences);
    }
    if all_known {
        let name = &service.name;
        let labels = [(&name.namespace).into(), (&name.name).into()];
        report.family(&SERVICE_DRIFTED_ANNOTATIONS).sample(labels, drifted.len() as f64);
    }
}

/// Where AWS differs from one Service.
struct Found {
    drifted: Vec<(&'static Row, Vec<Difference>)>,
    /// Every row could be judged.
    all_known: bool,
}

/// `None` where the controller must refuse what it cannot read, and says so in an event. Where it did not, this program's idea of
/// the value is wrong, or no controller runs: either way nothing is known.
fn find(context: &Context<'_>, case: &Case<'_>) -> Option<Found> {
    let settled = settled_at(context, case.service, case.load_balancer.value);
    let mut found = Found { drifted: Vec::new(), all_known: true };
    for (row, comparison) in compare_all(case).ok()? {
        let (old_enough, too_early): (Vec<_>, Vec<_>) =
            comparison.differences.into_iter().partition(|difference| difference.is_after(settled));
        found.all_known &= comparison.unknown.is_none() && too_early.is_empty();
        if !old_enough.is_empty() {
            found.drifted.push((row, old_enough));
        }
    }
    Some(found)
}

/// One field of AWS that is not as an annotation says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drifted {
    /// The `annotation` label.
    pub annotation: &'static str,
    /// The `repair` label: `automatic` or `never`.
    pub repair: &'static str,
    /// The field, and of what.
    pub place: String,
    /// What it should be. May hold untrusted text, cut where it is long.
    pub expected: String,
    /// What it is.
    pub actual: String,
}

/// Every difference that the check tells of one Service, with both sides. Prepares for all Services and serves one.
pub fn drifted(context: &Context<'_>, service: &Service) -> Vec<Drifted> {
    let owner = owner_in(service, &context.snapshot.parts);
    if blocked_service(context, service, owner).is_some() {
        return Vec::new();
    }
    let Some(load_balancer) = comparable(context, service, owner) else { return Vec::new() };
    let world = World::of(context.snapshot);
    let found = find(context, &Case::of(&world, service, load_balancer));
    let rows = found.into_iter().flat_map(|found| found.drifted);
    rows.flat_map(|(row, differences)| {
        differences.into_iter().map(|Difference { place, wanted, actual, .. }| Drifted {
            annotation: row.annotation,
            repair: row.repair.as_str(),
            place,
            expected: blocked::quoted(&wanted),
            actual: blocked::quoted(&actual),
        })
    })
    .collect()
}

fn compare_all(case: &Case<'_>) -> Result<Vec<(&'static Row, Comparison)>, AnnotationError> {
    let read = ROWS.iter().filter(|row| case.settings.at_least(row.since));
    read.map(|row| (row.compare)(case).map(|comparison| (row, comparison))).collect()
}

/// After which moment AWS must have been looked at for a difference to be one.
fn settled_at(context: &Context<'_>, service: &Service, load_balancer: &ClusterLoadBalancer) -> Timestamp {
    let hold_down = SignedDuration::try_from(std::time::Duration::from_secs(context.policy.drift_hold_down_seconds))
        .unwrap_or(SignedDuration::MAX);
    let leader = context.snapshot.parts.leader_lease.get().and_then(Option::as_ref);
    let changed = [
        Some(service.created_at),
        service.changed_at,
        service.annotations_written_at,
        load_balancer.load_balancer.created_at,
        // A controller that starts reconciles everything, perhaps with other flags.
        leader.and_then(|lease: &LeaderLease| lease.acquired_at),
    ];
    let changed = changed.into_iter().flatten().max().unwrap_or(service.created_at);
    let settled = changed.checked_add(hold_down).unwrap_or(Timestamp::MAX);
    let success = state_of(context, EventObject::Service, &service.name).and_then(|state| state.succeeded_at);
    success.map_or(settled, |success| settled.max(success))
}

fn report_drift(report: &mut Report, service: &Service, row: &Row, differences: &[Difference]) {
    let name = &service.name;
    let labels = [(&name.namespace).into(), (&name.name).into(), row.annotation.into(), row.repair.as_str().into()];
    report.family(&SERVICE_ANNOTATION_DRIFT).sample(labels, 1.0);

    let told: Vec<String> = differences
        .iter()
        .map(|difference| {
            let Difference { place, wanted, actual, .. } = difference;
            format!("{place} is {}, not {}", blocked::quoted(actual), blocked::quoted(wanted))
        })
        .collect();
    let because = because(service, row.annotation);
    let (kind, outlook) = match row.repair {
        Repair::Automatic => (&DRIFT, "the controller changes it back when it next reconciles the Service"),
        Repair::Never => (&DRIFT_NEVER_REPAIRED, "the controller never changes it after creation"),
    };
    let message = format!("{because}, and in AWS {}; {outlook}.", told.join("; "));
    report.find(kind, Subject::Service(name.clone()), None, message);
}

/// Where the expected value comes from.
fn because(service: &Service, annotation: &str) -> String {
    if annotation == SPEC_PORTS {
        return "The controller makes one listener for each port number of spec.ports".to_owned();
    }
    if annotation == name::SOURCE_RANGES && !service.source_ranges.is_empty() {
        let ranges = service.source_ranges.join(",");
        return format!("spec.loadBalancerSourceRanges says {:?}", blocked::quoted(&ranges));
    }
    let annotations = Annotations(&service.annotations);
    let said = annotations.text(annotation).map(|raw| (annotation, raw)).into_iter();
    let mut said: Vec<_> = said.chain(annotations.with_suffix(annotation)).collect();
    match (said.pop(), said.is_empty()) {
        (Some((name, raw)), true) => format!("The annotation {name} says {:?}", blocked::quoted(raw)),
        (Some((last, _)), false) => {
            let names: Vec<&str> = said.into_iter().map(|(name, _)| name).collect();
            format!("The annotations {} and {last} say otherwise", names.join(", "))
        }
        (None, _) => format!("Without the annotation {annotation} the controller enforces its default"),
    }
}

#[cfg(test)]
mod tests;
