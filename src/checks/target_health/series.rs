//! Which targets get a series of their own, and what is known of each?

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::verdict::Sampled;
use crate::checks::model::{FamilyDescription, FamilyKind, Label, Report};
use crate::config::policy::{Policy, TargetSeries};
use crate::inventory::aws::{Target, TargetReason, TargetState};
use crate::inventory::ids::ZoneName;
use crate::inventory::kube::Endpoint;
use crate::inventory::snapshot::Snapshot;

pub(super) static TARGET_HEALTH: FamilyDescription = FamilyDescription {
    name: "target_health",
    help: "1 for a registered target with its TargetHealth.State and Reason of DescribeTargetHealth, and the pod or node behind it; which targets are shown is configured.",
    kind: FamilyKind::Gauge,
    labels: &["target_group", "target", "target_port", "availability_zone", "pod", "node", "state", "reason"],
};

pub(super) static TARGET_HEALTH_SERIES_DROPPED: FamilyDescription = FamilyDescription {
    name: "target_health_series_dropped",
    help: "Targets of DescribeTargetHealth that would have a series of their own and are beyond the configured limit.",
    kind: FamilyKind::Gauge,
    labels: &[],
};

/// Writes the per-target series, the worst first, up to the limit.
pub(super) fn write(report: &mut Report, snapshot: &Snapshot, policy: &Policy) {
    if policy.target_series == TargetSeries::Off {
        return;
    }
    let sampled: Vec<_> = snapshot.target_groups.iter().filter_map(|(id, group)| Sampled::of(id, group, snapshot)).collect();
    // Without a sample nothing is known, not even that nothing was dropped.
    if sampled.is_empty() {
        return;
    }
    let mut chosen: Vec<(u8, Sampled<'_>, &Target)> = sampled
        .into_iter()
        .flat_map(|sampled| sampled.targets.iter().map(move |target| (urgency(target.state), sampled, target)))
        .filter(|(_, _, target)| policy.target_series == TargetSeries::All || target.state != TargetState::Healthy)
        .collect();
    // By identity within an urgency, so that the choice does not depend on the order of the answers.
    chosen.sort_by(|a, b| (a.0, a.1.id, a.2).cmp(&(b.0, b.1.id, b.2)));
    let mut endpoints = EndpointIndex::default();
    let mut seen = BTreeSet::new();
    let mut dropped = 0_usize;
    let mut family = report.family(&TARGET_HEALTH);
    for (_, sampled, target) in chosen {
        let zone = zone_label(snapshot, target);
        // A series twice would make the whole exposition unreadable.
        if !seen.insert((sampled.id, &target.id, target.port, zone.as_ref().map(ToString::to_string))) {
            continue;
        }
        if seen.len() > policy.target_series_limit {
            dropped += 1;
            continue;
        }
        let (pod, node) = endpoints.behind(&sampled, target, snapshot);
        family.sample(
            [
                sampled.id.into(),
                (&target.id).into(),
                target.port.map(|port| port.to_string()).into(),
                zone.as_ref().into(),
                pod,
                node,
                target.state.as_str().into(),
                target.reason.map(TargetReason::as_str).into(),
            ],
            1.0,
        );
    }
    report.family(&TARGET_HEALTH_SERIES_DROPPED).sample([], dropped as f64);
}

/// Small is shown first.
fn urgency(state: TargetState) -> u8 {
    match state {
        TargetState::Unhealthy => 0,
        TargetState::UnhealthyDraining => 1,
        TargetState::Unavailable | TargetState::Other => 2,
        TargetState::Unused => 3,
        TargetState::Initial => 4,
        TargetState::Draining => 5,
        TargetState::Healthy => 6,
    }
}

/// An address outside the VPC is of all zones, which AWS spells `all`.
fn zone_label(snapshot: &Snapshot, target: &Target) -> Option<ZoneName> {
    target.zone.clone().or_else(|| snapshot.zone_of_target(target))
}

/// The endpoints of a group's Service by address; made once a group, since a Service can have thousands.
#[derive(Default)]
struct EndpointIndex<'a> {
    by_group: BTreeMap<&'a str, BTreeMap<IpAddr, &'a Endpoint>>,
}

impl<'a> EndpointIndex<'a> {
    /// The pod and the node behind a target, as labels.
    fn behind(&mut self, sampled: &Sampled<'a>, target: &Target, snapshot: &'a Snapshot) -> (Label, Label) {
        if let Some(node) = snapshot.nodes_by_instance.get(&*target.id) {
            return ("".into(), node.into());
        }
        let Ok(address) = target.id.parse::<IpAddr>() else { return ("".into(), "".into()) };
        let endpoints = self.by_group.entry(sampled.id.as_str()).or_insert_with(|| {
            let slices = sampled.group.backend.as_ref().and_then(|(service, _)| snapshot.endpoint_slices.get(service));
            slices.into_iter().flatten().flat_map(|slice| &slice.endpoints).map(|endpoint| (endpoint.address, endpoint)).collect()
        });
        let endpoint = endpoints.get(&address);
        (endpoint.and_then(|endpoint| endpoint.pod.as_ref()).into(), endpoint.and_then(|endpoint| endpoint.node.as_ref()).into())
    }
}

#[cfg(test)]
mod tests;
