//! Which annotations were edited after the load balancer was created, and which of those can never take effect?
//!
//! EKS says never to edit them (the user guide's page on Network Load Balancers). What the controller makes of an edit depends
//! on the annotation (lbc.md 1.3): most are followed, and those that are read at creation only (class C, T2) are ignored
//! without a word.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::catalogue::{EDITED, EDITED_IN_VAIN, HISTORY_LOST};
use super::drift::told_never_repaired;
use super::model::{FamilyDescription, FamilyKind, Report, Subject};
use super::{Check, Context};
use crate::controller::annotations::{PREFIX, name, parse_bool, parse_list};
use crate::inventory::aws::IpAddressType;
use crate::inventory::history::{Edited, History, Record, When};
use crate::inventory::kube::Service;
use crate::inventory::parts::source;
use crate::inventory::snapshot::{ClusterLoadBalancer, Controller};

static EDITED_ANNOTATIONS: FamilyDescription = FamilyDescription {
    name: "service_edited_annotations",
    help: "Annotations of the Service that differ from what they were when its load balancer was created, or when this exporter first saw it if that was later; one that is put back counts no more.",
    kind: FamilyKind::Gauge,
    labels: &["namespace", "service"],
};

/// The check.
pub static CHECK: Check = Check {
    name: "edited",
    families: &[&EDITED_ANNOTATIONS],
    findings: &[&EDITED, &EDITED_IN_VAIN, &HISTORY_LOST],
    sources: &[source::SERVICES, source::LOAD_BALANCERS, source::TAGS],
    run,
};

/// A loss is news for so long.
const LOSS_TOLD: SignedDuration = SignedDuration::from_hours(24);

/// Edits that one finding names; the rest is counted.
const NAMED: usize = 5;

fn run(context: &Context<'_>, report: &mut Report) {
    let snapshot = context.snapshot;
    let Some(history) = snapshot.parts.history.get() else { return };
    tell_loss(history, context.now, report);
    for (name, service) in snapshot.parts.services.get().into_iter().flatten() {
        let Some(record) = history.services.get(name).filter(|record| record.is_of(service)) else { continue };
        let owned = snapshot.service_load_balancers.get(name).into_iter().flatten();
        let owned = owned.filter_map(|id| snapshot.load_balancers.get(id));
        // The newest: an older one is on its way out.
        let Some(owned) = owned.max_by_key(|owned| owned.load_balancer.created_at) else { continue };
        if record.load_balancer_created_at.is_none() {
            continue;
        }
        report.family(&EDITED_ANNOTATIONS).sample([(&name.namespace).into(), (&name.name).into()], record.edited.len() as f64);
        if !record.edited.is_empty() && service.deleted_at.is_none() {
            find(context, service, record, owned, report);
        }
    }
}

fn tell_loss(history: &History, now: Timestamp, report: &mut Report) {
    if let Some(loss) = history.lost.as_ref().filter(|loss| now.duration_since(loss.at) < LOSS_TOLD) {
        report.find(&HISTORY_LOST, Subject::Cluster, Some(loss.at), format!("{}.", loss.why));
    }
}

fn find(context: &Context<'_>, service: &Service, record: &Record, owned: &ClusterLoadBalancer, report: &mut Report) {
    let (mut in_vain, mut plain): (Vec<_>, Vec<_>) =
        record.edited.iter().partition(|(key, edited)| is_in_vain(key, edited, service, owned));
    if !in_vain.is_empty() {
        // That AWS is otherwise for ever is told by the comparison with AWS; here remains what was edited when.
        let told = told_never_repaired(context, service);
        let (elsewhere, here): (Vec<_>, Vec<_>) = in_vain.into_iter().partition(|(key, _)| told.contains(&base_name(key)));
        in_vain = here;
        plain.extend(elsewhere);
        plain.sort_by_key(|(key, _)| Arc::clone(key));
    }
    for (kind, edits) in [(&EDITED, plain), (&EDITED_IN_VAIN, in_vain)] {
        if edits.is_empty() {
            continue;
        }
        let since = edits.iter().filter_map(|(_, edited)| edited.at).map(When::latest).min();
        let mut told: Vec<String> = edits.iter().take(NAMED).map(|(key, edited)| describe(key, edited, record)).collect();
        if edits.len() > NAMED {
            told.push(format!("{} more", edits.len() - NAMED));
        }
        let since_when = since_when(record);
        let message = format!("Since {since_when} these annotations of the Service were edited: {}.", told.join("; "));
        report.find(kind, Subject::Service(service.name.clone()), since, message);
    }
}

/// From when on edits are known, and what stands for the time before.
fn since_when(record: &Record) -> String {
    let created = record.load_balancer_created_at.map(|at| format!("its load balancer was created at {at}")).unwrap_or_default();
    let Some(adopted) = &record.adopted else { return created };
    let evidence = match (adopted.annotations_written_at, record.load_balancer_created_at) {
        (Some(written), Some(created)) if written > created => {
            format!("managedFields tells of a write at {written}, which may have been an earlier edit")
        }
        (Some(_), Some(_)) => "managedFields tells of no write in between".to_owned(),
        _ => "managedFields tells nothing of the time in between".to_owned(),
    };
    format!("this exporter first saw it at {} ({created}; {evidence})", adopted.at)
}

fn describe(key: &Arc<str>, edited: &Edited, record: &Record) -> String {
    let from = record.baseline.get(key);
    let key = base_name(key);
    let change = match (from, &edited.now) {
        (None, Some(to)) => format!("{key} was added as {to}"),
        (Some(from), None) => format!("{key} was removed, it was {from}"),
        (Some(from), Some(to)) => format!("{key} from {from} to {to}"),
        (None, None) => format!("{key} came and went"),
    };
    let when = match edited.at {
        Some(When::At(at)) => format!(" at {at}"),
        Some(When::Written(at)) => format!(" at {at} by managedFields"),
        Some(When::Between(after, before)) => format!(" between {after} and {before}, while this exporter did not look"),
        None => String::new(),
    };
    change + &when
}

/// Whether the controller never follows this edit. Where AWS already is as the annotation says, it is no longer of interest
/// how that came.
fn is_in_vain(key: &Arc<str>, edited: &Edited, service: &Service, owned: &ClusterLoadBalancer) -> bool {
    // Only of these it is known what they make of an edit.
    if !matches!(owned.controller, Controller::LoadBalancerController | Controller::AutoMode) {
        return false;
    }
    let lb = &*owned.load_balancer;
    let scheme = service.annotations.get(&*format!("{PREFIX}{}", name::SCHEME));
    if scheme.is_some_and(|scheme| **scheme != *lb.scheme.as_str()) {
        // Another scheme needs another load balancer, which will be made as all annotations say.
        return false;
    }
    // The picture's own text: what is remembered of a long one is not all of it.
    let to = service.annotations.get(key);
    let is_current = match (&edited.now, to) {
        (Some(now), Some(to)) => now.is(to),
        (None, None) => true,
        _ => false,
    };
    if !is_current {
        return false;
    }
    let addresses = || lb.zones.iter().flat_map(|zone| &zone.addresses);
    match base_name(key) {
        name::NAME => to.is_none_or(|to| **to != *lb.name),
        name::EIP_ALLOCATIONS => {
            let had: BTreeSet<&str> = addresses().filter_map(|a| a.allocation_id.as_ref()).map(|id| id.as_str()).collect();
            to.map_or(!had.is_empty(), |to| parse_list(to).into_iter().collect::<BTreeSet<_>>() != had)
        }
        name::PRIVATE_IPV4_ADDRESSES => differ(to, addresses().filter_map(|address| address.private_ipv4)),
        // They are taken up once more when the load balancer becomes a dualstack one.
        name::IPV6_ADDRESSES => {
            lb.ip_address_type == IpAddressType::Dualstack && differ(to, addresses().filter_map(|address| address.ipv6))
        }
        name::DISABLE_NLB_SG => to.and_then(|to| parse_bool(to)).unwrap_or(false) != lb.security_groups.is_empty(),
        name::SECURITY_GROUPS => lb.security_groups.is_empty() && to.is_some_and(|to| !parse_list(to).is_empty()),
        _ => false,
    }
}

/// Whether a list of addresses asks for others than these. Without the annotation AWS chooses, and what it chose is as good.
fn differ(to: Option<&Arc<str>>, has: impl Iterator<Item = IpAddr>) -> bool {
    to.is_some_and(|to| {
        let wanted: Option<BTreeSet<IpAddr>> = parse_list(to).into_iter().map(|text| text.parse().ok()).collect();
        wanted.is_none_or(|wanted| wanted != has.collect())
    })
}

fn base_name(key: &str) -> &str {
    key.strip_prefix(PREFIX).unwrap_or(key)
}

#[cfg(test)]
mod tests;
