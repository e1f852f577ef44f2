//! Is there one AWS Load Balancer Controller, new enough and running?

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::seconds;
use crate::checks::Context;
use crate::checks::catalogue::{CONTROLLER_UNAVAILABLE, NO_CONTROLLER, OLD_CONTROLLER, TWO_CONTROLLERS};
use crate::checks::model::{FamilyDescription, FamilyKind, FindingKind, Label, Report, Subject};
use crate::controller::ownership::{Ownership, owner_in};
use crate::inventory::kube::{ControllerDeployment, Version};
use crate::inventory::parts::Parts;
use crate::inventory::snapshot::Controller;

pub(super) static INFO: FamilyDescription = FamilyDescription {
    name: "controller_info",
    help: "The AWS Load Balancer Controller and its version, from its Deployment's image or labels.",
    kind: FamilyKind::Info,
    labels: &["controller", "version"],
};
pub(super) static LEADER_SINCE: FamilyDescription = FamilyDescription {
    name: "controller_leader_since_timestamp_seconds",
    help: "Since when the controller's leader leads (spec.acquireTime of its Lease): it restarted or moved then.",
    kind: FamilyKind::Gauge,
    labels: &["controller"],
};
pub(super) static REPLICAS: FamilyDescription = FamilyDescription {
    name: "controller_replicas",
    help: "Replicas that the controller's Deployments ask for (spec.replicas).",
    kind: FamilyKind::Gauge,
    labels: &["controller"],
};
pub(super) static AVAILABLE_REPLICAS: FamilyDescription = FamilyDescription {
    name: "controller_available_replicas",
    help: "Available replicas of the controller's Deployments (status.availableReplicas); absent until a status was written.",
    kind: FamilyKind::Gauge,
    labels: &["controller"],
};

/// The version that EKS recommends at least.
const RECOMMENDED: Version = Version::new(2, 7, 2);

/// The oldest version whose rules are modelled as a whole. Of older ones only the choice of subnets is.
const MODELLED: Version = Version::new(2, 4, 0);

/// How long after its last renewal a Lease still shows a living controller. Leaders renew every few seconds.
const LEASE_ALIVE: SignedDuration = SignedDuration::from_mins(5);
/// The same where the Deployment itself says that nobody is available: long enough for a pod to move to another node.
const LEASE_WARM: SignedDuration = SignedDuration::from_mins(2);

pub(super) fn judge(context: &Context<'_>, report: &mut Report) {
    let name = Controller::LoadBalancerController.as_str();
    let parts = &context.snapshot.parts;
    let deployments: Vec<&ControllerDeployment> =
        parts.controllers.get().into_iter().flat_map(BTreeMap::values).map(|deployment| &**deployment).collect();
    let versions: BTreeSet<Option<Version>> = deployments.iter().map(|deployment| deployment.version).collect();
    for version in versions {
        let label: Label = version.map(|version| version.to_string()).into();
        report.family(&INFO).sample([name.into(), label], 1.0);
    }
    if !deployments.is_empty() {
        let wanted: u32 = deployments.iter().map(|deployment| deployment.replicas).sum();
        report.family(&REPLICAS).sample([name.into()], wanted.into());
    }
    if let Some(available) = available(&deployments) {
        report.family(&AVAILABLE_REPLICAS).sample([name.into()], available.into());
    }
    for deployment in &deployments {
        if let Some(version) = deployment.version.filter(|version| *version < RECOMMENDED) {
            let modelled = if version < MODELLED { "; what it does differs from what this program judges by" } else { "" };
            let message =
                format!("Deployment {} runs {version}; {RECOMMENDED} or newer is recommended{modelled}.", deployment.name);
            report.find(&OLD_CONTROLLER, Subject::Cluster, None, message);
        }
    }
    let lease = parts.leader_lease.get().and_then(Option::as_ref);
    if let Some(acquired_at) = lease.filter(|lease| lease.holder.is_some()).and_then(|lease| lease.acquired_at) {
        report.family(&LEADER_SINCE).sample([name.into()], seconds(acquired_at));
    }
    find_idle(context, report);
    find_several(&deployments, report);
}

/// `None` where there is no Deployment, or one whose status is not written yet.
fn available(deployments: &[&ControllerDeployment]) -> Option<u32> {
    if deployments.is_empty() { None } else { deployments.iter().map(|deployment| deployment.available_replicas).sum() }
}

/// Services that wait for the controller or would be changed by it.
fn needed_by(parts: &Parts) -> usize {
    let services = parts.services.get().into_iter().flat_map(BTreeMap::values);
    services
        .filter(|service| service.deleted_at.is_none() && owner_in(service, parts) == Ownership::LoadBalancerController)
        .count()
}

fn leads_since(context: &Context<'_>, longest: SignedDuration) -> bool {
    let lease = context.snapshot.parts.leader_lease.get().and_then(Option::as_ref);
    lease.and_then(|lease| lease.renewed_at).is_some_and(|renewed_at| context.now.duration_since(renewed_at) < longest)
}

/// That nobody works on the controller's Services at the moment: what a check finds of it, and a sentence without its end.
pub fn idle(context: &Context<'_>) -> Option<(&'static FindingKind, String)> {
    let parts = &context.snapshot.parts;
    let deployments = parts.controllers.complete()?;
    if deployments.is_empty() {
        let sentence = || (&NO_CONTROLLER, "No Deployment of the controller and no living leader Lease".to_owned());
        return (!leads_since(context, LEASE_ALIVE)).then(sentence);
    }
    let deployments: Vec<&ControllerDeployment> = deployments.values().map(|deployment| &**deployment).collect();
    // A Lease that is not known could be a living one.
    parts.leader_lease.complete()?;
    let down = available(&deployments) == Some(0) && !leads_since(context, LEASE_WARM);
    down.then(|| {
        let names: Vec<_> = deployments.iter().map(|deployment| deployment.name.to_string()).collect();
        let wanted: u32 = deployments.iter().map(|deployment| deployment.replicas).sum();
        let sentence = format!(
            "Deployment {} has 0 available of {wanted} replicas and its leader Lease is not renewed",
            names.join(" and ")
        );
        (&CONTROLLER_UNAVAILABLE, sentence)
    })
}

fn find_idle(context: &Context<'_>, report: &mut Report) {
    let Some((kind, sentence)) = idle(context) else { return };
    let need = needed_by(&context.snapshot.parts);
    if need > 0 {
        report.find(kind, Subject::Cluster, None, format!("{sentence}; {need} Services are its to serve."));
    }
}

/// Controllers that watch different namespaces do not meet; one that is scaled to zero meets nobody.
fn find_several(deployments: &[&ControllerDeployment], report: &mut Report) {
    let running: Vec<_> = deployments.iter().filter(|deployment| deployment.replicas > 0).collect();
    let namespace = |deployment: &ControllerDeployment| deployment.flag("watch-namespace").unwrap_or("").to_owned();
    let meets = |one: usize| {
        running.iter().enumerate().any(|(other, deployment)| {
            let (mine, theirs) = (namespace(running[one]), namespace(deployment));
            one != other && (mine.is_empty() || theirs.is_empty() || mine == theirs)
        })
    };
    let names: Vec<_> = (0..running.len()).filter(|one| meets(*one)).map(|one| running[one].name.to_string()).collect();
    if names.len() > 1 {
        let message = format!("Deployments {} run side by side and watch the same namespaces.", names.join(" and "));
        report.find(&TWO_CONTROLLERS, Subject::Cluster, None, message);
    }
}
