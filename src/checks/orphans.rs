//! What stands in AWS under this cluster's name and belongs to nobody any more?
//!
//! An owner is gone only where that is proven: the list of its kind is complete and every object of it could be read, the
//! resource is old enough, and the object did not go away just now, when the last list of AWS may still be older. Only tags
//! with this cluster's own name count, in this cluster's VPC. What belongs to an Ingress is never accused, since Ingresses
//! are not watched; what belongs to a Gateway is, while all Gateways are known.

mod owners;
mod rules;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::catalogue::{
    ORPHANED_LOAD_BALANCER, ORPHANED_RULES, ORPHANED_SECURITY_GROUP, ORPHANED_TARGET_GROUP, UNUSED_TARGET_GROUP,
};
use super::model::{FamilyDescription, FamilyKind, Report, Subject};
use super::{Check, Context};
use crate::inventory::aws::{SecurityGroup, TargetState};
use crate::inventory::ids::{LoadBalancerId, SecurityGroupId};
use crate::inventory::kube::EventObject;
use crate::inventory::membership::{Provenance, provenance};
use crate::inventory::parts::{EventKey, Parts, source};
use crate::inventory::snapshot::{ClusterLoadBalancer, ClusterTargetGroup, Controller, Owner, Snapshot};
use owners::{Fate, Owners};

static ORPHANED: FamilyDescription = FamilyDescription {
    name: "orphaned_resources",
    help: "Resources of AWS with this cluster's tags or marks whose Service or Gateway does not exist; absent where not everything needed is known. Ingresses are not watched, so that nothing of theirs is counted.",
    kind: FamilyKind::Gauge,
    labels: &["kind"],
};

/// The check.
pub static CHECK: Check = Check {
    name: "orphans",
    families: &[&ORPHANED],
    findings: &[&ORPHANED_LOAD_BALANCER, &ORPHANED_TARGET_GROUP, &ORPHANED_SECURITY_GROUP, &ORPHANED_RULES, &UNUSED_TARGET_GROUP],
    sources: &[
        source::LOAD_BALANCERS,
        source::TARGET_GROUPS,
        source::TAGS,
        source::SECURITY_GROUPS,
        source::SERVICES,
        source::TARGET_GROUP_BINDINGS,
    ],
    run,
};

/// How long an owner has to be gone, and a resource to exist, before it counts: the slowest creation or deletion of a load
/// balancer, and several refreshes of AWS's lists.
const GRACE: SignedDuration = SignedDuration::from_mins(15);

fn run(context: &Context<'_>, report: &mut Report) {
    let Some(owners) = Owners::of(context.snapshot) else { return };
    let load_balancers = load_balancers(context.snapshot, &owners, report);
    target_groups(context.snapshot, &owners, &load_balancers, report);
    let groups = security_groups(context.snapshot, &owners, &load_balancers, report);
    rules::judge(context.snapshot, &owners, &groups, report);
    unused_target_groups(context, &owners, report);
}

fn count(kind: &'static str, counted: Option<usize>, report: &mut Report) {
    if let Some(counted) = counted {
        report.family(&ORPHANED).sample([kind.into()], counted as f64);
    }
}

/// What a tag says of an owner, as part of a sentence.
fn told(controller: Controller, owner: &Owner, cluster: &str) -> String {
    let (kind, name) = match owner {
        Owner::Service(name) => ("Service", name.to_string()),
        Owner::Gateway(name) => ("Gateway", name.to_string()),
        Owner::Ingress(name) => ("Ingress", name.to_string()),
        Owner::None => ("object", String::new()),
    };
    let controller = match controller {
        Controller::LoadBalancerController => "the AWS Load Balancer Controller",
        Controller::AutoMode => "EKS Auto Mode",
        Controller::InTree => "the in-tree provider",
        Controller::None => "nobody",
    };
    format!("is tagged by {controller} for {kind} {name} of cluster {cluster}, which has no such {kind}")
}

fn load_balancers(snapshot: &Snapshot, owners: &Owners<'_>, report: &mut Report) -> BTreeSet<LoadBalancerId> {
    let parts = &snapshot.parts;
    let mut gone = BTreeSet::new();
    let mut unknown = false;
    for (id, found) in &snapshot.load_balancers {
        if found.load_balancer.vpc_id != *owners.vpc || found.controller == Controller::None {
            continue;
        }
        match owners.fate(&found.owner, parts.load_balancers.fetched_at, found.load_balancer.created_at) {
            Fate::Gone if !is_bound_elsewhere(snapshot, found) => drop(gone.insert(id.clone())),
            Fate::Unknown => unknown = true,
            _ => {}
        }
    }
    for id in &gone {
        let found = &snapshot.load_balancers[id];
        let created =
            found.load_balancer.created_at.map_or_else(String::new, |at| format!("; it was created {}", whole_seconds(at)));
        let message = format!(
            "{id} {}{created}, and {} target groups are on it{}.",
            told(found.controller, &found.owner, owners.cluster),
            found.target_groups.len(),
            signs_of_life(snapshot, found),
        );
        report.find(&ORPHANED_LOAD_BALANCER, Subject::LoadBalancer(id.clone()), None, message);
    }
    let judgeable = !unknown && owners.services_known() && all_load_balancers_tagged(parts, owners);
    count("load_balancer", judgeable.then_some(gone.len()), report);
    gone
}

fn whole_seconds(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

/// A TargetGroupBinding that was not made for the owner still registers targets: somebody uses it on purpose.
fn is_bound_elsewhere(snapshot: &Snapshot, found: &ClusterLoadBalancer) -> bool {
    let groups = found.target_groups.iter().filter_map(|id| snapshot.target_groups.get(id));
    groups.filter_map(|group| group.binding.as_ref()).any(|binding| match (&binding.stack, &found.owner) {
        (Some(stack), Owner::Service(owner)) => stack != owner,
        _ => true,
    })
}

/// Healthy targets behind what nobody owns: a second cluster of the same name has it, or clients still use what is left.
fn signs_of_life(snapshot: &Snapshot, found: &ClusterLoadBalancer) -> String {
    let health = found.target_groups.iter().filter_map(|id| snapshot.parts.target_health.get(id)?.get());
    let healthy = health.flat_map(|health| &health.targets).filter(|target| target.state == TargetState::Healthy).count();
    if healthy == 0 { String::new() } else { format!(" with {healthy} healthy targets, so it may serve somebody") }
}

fn all_load_balancers_tagged(parts: &Parts, owners: &Owners<'_>) -> bool {
    parts.load_balancers.complete().is_some_and(|all| {
        let ours = all.values().filter(|lb| lb.vpc_id == *owners.vpc);
        ours.map(|lb| &lb.arn).all(|arn| parts.tags.get(arn).is_some_and(|tags| tags.complete().is_some()))
    })
}

fn provenance_of(parts: &Parts, group: &ClusterTargetGroup, cluster: &str) -> Option<Provenance> {
    provenance(parts.tags.get(&group.target_group.arn)?.get()?, cluster)
}

fn target_groups(
    snapshot: &Snapshot,
    owners: &Owners<'_>,
    orphaned_load_balancers: &BTreeSet<LoadBalancerId>,
    report: &mut Report,
) {
    let parts = &snapshot.parts;
    let (mut counted, mut unknown) = (0, false);
    for (id, group) in &snapshot.target_groups {
        // A binding registers targets in it, another cluster shares it, or a living load balancer forwards to it.
        let made_for_its_stack = group.binding.as_ref().is_none_or(|it| it.stack.is_some() && it.stack == group.stack);
        let in_use = group.target_group.load_balancers.iter().any(|lb| !orphaned_load_balancers.contains(lb));
        if group.target_group.vpc_id.as_ref() != Some(owners.vpc) || !made_for_its_stack || group.shared {
            continue;
        }
        let Some(made) = provenance_of(parts, group, owners.cluster) else { continue };
        match owners.fate_now(&made.owner, parts.target_groups.fetched_at) {
            Fate::Gone if in_use => continue,
            Fate::Gone => counted += 1,
            Fate::Unknown => {
                unknown = true;
                continue;
            }
            Fate::Lives => continue,
        }
        // What hangs on an orphaned load balancer is told with it.
        if group.target_group.load_balancers.is_empty() {
            let message = format!("{id} {}, and no load balancer uses it.", told(made.controller, &made.owner, owners.cluster));
            report.find(&ORPHANED_TARGET_GROUP, Subject::TargetGroup(id.clone()), None, message);
        }
    }
    let tagged = parts.target_groups.complete().is_some_and(|all| {
        let ours = all.values().filter(|group| group.vpc_id.as_ref() == Some(owners.vpc));
        ours.map(|group| &group.arn).all(|arn| parts.tags.get(arn).is_some_and(|tags| tags.complete().is_some()))
    });
    let judgeable = !unknown && tagged && owners.services_known();
    count("target_group", judgeable.then_some(counted), report);
}

const MANAGED: &str = "ManagedLBSecurityGroup";

fn is_managed(group: &SecurityGroup) -> bool {
    let keys = [
        "service.k8s.aws/resource",
        "gateway.k8s.aws.nlb/resource",
        "gateway.k8s.aws.alb/resource",
        "service.eks.amazonaws.com/resource",
    ];
    keys.iter().any(|key| group.tags.get(*key).is_some_and(|value| &**value == MANAGED))
}

fn security_groups(
    snapshot: &Snapshot,
    owners: &Owners<'_>,
    orphaned_load_balancers: &BTreeSet<LoadBalancerId>,
    report: &mut Report,
) -> BTreeSet<SecurityGroupId> {
    let parts = &snapshot.parts;
    let mut gone = BTreeSet::new();
    let mut unknown = false;
    let all = parts.security_groups.get().into_iter().flat_map(BTreeMap::values);
    for group in all.filter(|group| group.vpc_id == *owners.vpc && is_managed(group)) {
        let Some(made) = provenance(&group.tags, owners.cluster) else { continue };
        match owners.fate_now(&made.owner, parts.security_groups.fetched_at) {
            Fate::Gone => {}
            Fate::Unknown => {
                unknown = true;
                continue;
            }
            Fate::Lives => continue,
        }
        let on = |id: &LoadBalancerId| {
            parts.load_balancers.get().and_then(|all| all.get(id)).is_some_and(|lb| lb.security_groups.contains(&group.id))
        };
        let Some(load_balancers) = parts.load_balancers.complete() else {
            unknown = true;
            continue;
        };
        let of_orphan = orphaned_load_balancers.iter().any(on);
        let in_use =
            load_balancers.values().any(|lb| lb.security_groups.contains(&group.id) && !orphaned_load_balancers.contains(&lb.id));
        let on_others = parts.network_interfaces.get().into_iter().flat_map(BTreeMap::values);
        let on_others = on_others.filter(|it| !it.of_network_load_balancer).any(|it| it.security_groups.contains(&group.id));
        if in_use || on_others {
            continue;
        }
        gone.insert(group.id.clone());
        if !of_orphan {
            let message = format!("{} ({}) {}.", group.id, group.name, told(made.controller, &made.owner, owners.cluster));
            report.find(&ORPHANED_SECURITY_GROUP, Subject::SecurityGroup(group.id.clone()), None, message);
        }
    }
    let judgeable = !unknown && owners.services_known() && parts.security_groups.complete().is_some();
    count("security_group", judgeable.then_some(gone.len()), report);
    gone
}

/// Target groups of living Services that no load balancer uses: left over from a replacement. While anything is on the move
/// a group without a load balancer is how it has to be.
fn unused_target_groups(context: &Context<'_>, owners: &Owners<'_>, report: &mut Report) {
    let parts = &context.snapshot.parts;
    let Some(listed_at) = parts.target_groups.complete().and(parts.target_groups.fetched_at) else { return };
    let settled = |at: Option<Timestamp>| at.is_none_or(|at| listed_at.duration_since(at) >= GRACE);
    let lease = parts.leader_lease.get().and_then(Option::as_ref);
    let (Some(services), Some(reconciles)) = (parts.services.complete(), parts.reconciles.complete()) else { return };
    // A controller that has just started replaces what its version or its flags make different.
    if !settled(lease.and_then(|lease| lease.acquired_at)) || !owners.services_known() {
        return;
    }
    for (id, group) in &context.snapshot.target_groups {
        let unused = group.target_group.load_balancers.is_empty() && group.target_group.vpc_id.as_ref() == Some(owners.vpc);
        let by_controller = group.binding.as_ref().is_none_or(|binding| binding.stack.is_some());
        if !unused || !by_controller || group.shared || !settled(group.binding.as_ref().map(|binding| binding.created_at)) {
            continue;
        }
        let Some(stack) = &group.stack else { continue };
        let Some(service) = services.get(stack).filter(|service| service.deleted_at.is_none()) else { continue };
        let key = EventKey { kind: EventObject::Service, name: stack.clone() };
        let is_blocked = reconciles.get(&key).is_some_and(|state| state.blocked().is_some());
        if is_blocked || !settled(Some(service.created_at)) || !settled(service.changed_at) {
            continue;
        }
        // Without one the Service waits for it, which is told of the Service.
        let load_balancers = context.snapshot.service_load_balancers.get(stack).into_iter().flatten();
        let made: Vec<_> = load_balancers.filter_map(|id| context.snapshot.load_balancers.get(id)).collect();
        if made.is_empty() || !made.iter().all(|it| it.load_balancer.created_at.is_some() && settled(it.load_balancer.created_at))
        {
            continue;
        }
        let message = format!("{id} is tagged for Service {stack}, and no load balancer uses it.");
        report.find(&UNUSED_TARGET_GROUP, Subject::TargetGroup(id.clone()), None, message);
    }
}

#[cfg(test)]
mod tests;
