//! Is every zone of every load balancer served?
//!
//! With cross-zone off a zone's address stays in DNS only while *each* target group has a healthy target in that zone; when
//! no target is healthy anywhere, all zones stay and take everything (fail open): that is another finding.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::catalogue::DARK_ZONE;
use super::model::{FamilyDescription, FamilyKind, Report, Subject};
use super::target_health::backing::{Backing, Standing};
use super::target_health::nodes::Nodes;
use super::target_health::verdict::Sampled;
use super::{Check, Context};
use crate::inventory::aws::{Target, TargetState};
use crate::inventory::ids::{TargetGroupId, ZoneName};
use crate::inventory::parts::source;
use crate::inventory::snapshot::Snapshot;

/// The check.
pub static CHECK: Check = Check {
    name: "zones",
    families: &[&ZONE_TARGETS, &FAILING, &CROSS_ZONE],
    findings: &[&DARK_ZONE],
    sources: &[
        source::LOAD_BALANCERS,
        source::TARGET_GROUPS,
        source::TAGS,
        source::TARGET_HEALTH,
        source::LOAD_BALANCER_ATTRIBUTES,
        source::TARGET_GROUP_ATTRIBUTES,
    ],
    run,
};

static ZONE_TARGETS: FamilyDescription = FamilyDescription {
    name: "target_group_zone_targets",
    help: "Registered targets of the group by zone, healthy or in any other TargetHealth.State, for every zone of its load balancer (AvailabilityZones of DescribeLoadBalancers) and every zone with a target; targets of zone all count in each; absent while the zone of a healthy target is not known.",
    kind: FamilyKind::Gauge,
    labels: &["target_group", "availability_zone", "state"],
};

static FAILING: FamilyDescription = FamilyDescription {
    name: "target_group_failing_targets",
    help: "Registered targets of the group whose TargetHealth.State is unhealthy or unhealthy.draining though a ready pod or a serving Node stands behind them; Nodes without a ready pod under externalTrafficPolicy Local, terminating pods and zones shifted away are left out; zones without one have no series.",
    kind: FamilyKind::Gauge,
    labels: &["target_group", "availability_zone"],
};

static CROSS_ZONE: FamilyDescription = FamilyDescription {
    name: "target_group_cross_zone_enabled",
    help: "1 if the group's targets of all zones serve each zone: load_balancing.cross_zone.enabled of DescribeTargetGroupAttributes, else of DescribeLoadBalancerAttributes.",
    kind: FamilyKind::Gauge,
    labels: &["target_group"],
};

fn run(context: &Context<'_>, report: &mut Report) {
    let snapshot = context.snapshot;
    let hold_down = Duration::from_secs(context.policy.target_hold_down_seconds);
    let nodes = Nodes::of(snapshot);
    for (id, group) in &snapshot.target_groups {
        if let Some(enabled) = group.cross_zone {
            report.family(&CROSS_ZONE).sample([id.into()], f64::from(u8::from(enabled)));
        }
        let Some(sampled) = Sampled::of(id, group, snapshot) else { continue };
        // What stands behind a group is asked of its unhealthy targets only, and most groups have none.
        let backing = sampled.has_unhealthy().then(|| Backing::of(group, snapshot, nodes.as_ref()));
        write_failing(report, &sampled, backing.as_ref(), snapshot);
        let Some(zones) = Zones::of(&sampled, backing.as_ref(), snapshot, hold_down) else { continue };
        for (zone, counts) in &zones.counts {
            report
                .family(&ZONE_TARGETS)
                .sample([id.into(), zone.into(), "healthy".into()], counts.healthy as f64)
                .sample([id.into(), zone.into(), "other".into()], counts.other as f64);
        }
        if group.cross_zone == Some(false) && sampled.is_in_use(snapshot) {
            judge(report, &sampled, &zones);
        }
    }
}

/// The zone of targets outside the VPC, in AWS's words: they serve every zone.
pub(crate) const EVERYWHERE: &str = "all";

/// Where a target serves.
enum Place {
    /// In one zone.
    Zone(ZoneName),
    /// In all: an address outside the VPC.
    Everywhere,
    /// Not known.
    Unknown,
}

fn place(target: &Target, snapshot: &Snapshot) -> Place {
    if target.zone.as_ref().is_some_and(|zone| zone.as_str() == EVERYWHERE) {
        return Place::Everywhere;
    }
    snapshot.zone_of_target(target).map_or(Place::Unknown, Place::Zone)
}

fn write_failing(report: &mut Report, sampled: &Sampled<'_>, backing: Option<&Backing<'_>>, snapshot: &Snapshot) {
    let Some(backing) = backing else { return };
    let mut counts: BTreeMap<Option<ZoneName>, usize> = BTreeMap::new();
    for target in sampled.targets {
        if let Standing::Failing { .. } = backing.standing(target, Duration::ZERO) {
            let zone = match place(target, snapshot) {
                Place::Zone(zone) => Some(zone),
                Place::Everywhere => Some(ZoneName::from(EVERYWHERE)),
                Place::Unknown => None,
            };
            *counts.entry(zone).or_default() += 1;
        }
    }
    for (zone, count) in counts {
        report.family(&FAILING).sample([sampled.id.into(), zone.as_ref().into()], count as f64);
    }
}

/// The targets of one group in one zone.
#[derive(Debug, Default)]
struct Counts {
    healthy: usize,
    other: usize,
    /// Of the others those that are proven to fail.
    failing: usize,
    /// The load balancer is enabled here.
    enabled: bool,
}

struct Zones {
    counts: BTreeMap<ZoneName, Counts>,
    /// Healthy targets in any zone.
    healthy: usize,
}

impl Zones {
    /// Counts a group's targets by zone; `None` while a healthy one cannot be placed, since it could be in any of them.
    fn of(sampled: &Sampled<'_>, backing: Option<&Backing<'_>>, snapshot: &Snapshot, hold_down: Duration) -> Option<Self> {
        let mut zones = Self { counts: BTreeMap::new(), healthy: sampled.count(TargetState::Healthy) };
        let load_balancer = sampled.group.load_balancer.as_ref().and_then(|id| snapshot.load_balancers.get(id));
        for enabled in load_balancer.into_iter().flat_map(|of| &of.load_balancer.zones) {
            zones.counts.entry(enabled.zone.clone()).or_default().enabled = true;
        }
        let mut everywhere = Counts::default();
        for target in sampled.targets {
            let healthy = target.state == TargetState::Healthy;
            let counts = match place(target, snapshot) {
                Place::Zone(zone) => zones.counts.entry(zone).or_default(),
                Place::Everywhere => &mut everywhere,
                Place::Unknown if healthy => return None,
                Place::Unknown => continue,
            };
            counts.healthy += usize::from(healthy);
            counts.other += usize::from(!healthy);
        }
        for target in backing.into_iter().flat_map(|backing| sampled.failing(backing, hold_down)) {
            if let Place::Zone(zone) = place(target, snapshot) {
                zones.counts.entry(zone).or_default().failing += 1;
            }
        }
        for counts in zones.counts.values_mut() {
            counts.healthy += everywhere.healthy;
            counts.other += everywhere.other;
        }
        Some(zones)
    }
}

/// Zones of groups with a target that AWS calls unhealthy and of which nobody can say whether it should be healthy.
pub(crate) fn undecided(snapshot: &Snapshot) -> BTreeSet<(TargetGroupId, ZoneName)> {
    let nodes = Nodes::of(snapshot);
    let mut all = BTreeSet::new();
    for (id, group) in &snapshot.target_groups {
        let Some(sampled) = Sampled::of(id, group, snapshot).filter(Sampled::has_unhealthy) else { continue };
        let backing = Backing::of(group, snapshot, nodes.as_ref());
        for target in sampled.targets {
            if backing.standing(target, Duration::ZERO) == Standing::Unknown {
                match place(target, snapshot) {
                    Place::Zone(zone) => _ = all.insert((id.clone(), zone)),
                    Place::Everywhere => _ = all.insert((id.clone(), ZoneName::from(EVERYWHERE))),
                    Place::Unknown => {}
                }
            }
        }
    }
    all
}

/// One finding for a group with its dark zones.
fn judge(report: &mut Report, sampled: &Sampled<'_>, zones: &Zones) {
    // With none healthy anywhere no zone leaves DNS.
    if zones.healthy == 0 {
        return;
    }
    let dark: Vec<_> = zones
        .counts
        .iter()
        .filter(|(_, counts)| counts.enabled && counts.healthy == 0 && counts.failing > 0)
        .map(|(zone, counts)| format!("{zone} (0 of {} targets healthy)", counts.other))
        .collect();
    if dark.is_empty() {
        return;
    }
    let message = format!(
        "{} of {} zones of {} out of service: {}; {} targets are healthy in other zones and cross-zone is off, so AWS takes the zone out of DNS.",
        dark.len(),
        zones.counts.values().filter(|counts| counts.enabled).count(),
        sampled.group.load_balancer.as_ref().map_or("its load balancer", |id| id.as_str()),
        dark.join(", "),
        zones.healthy
    );
    report.find(&DARK_ZONE, Subject::TargetGroup(sampled.id.clone()), sampled.unchanged_since(), message);
}

#[cfg(test)]
mod tests;
