//! Which targets of a group serve, which do not and why, and what does the cluster have behind it?

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::zones::{EVERYWHERE, undecided};
use crate::expose::view::load_balancers::{QuotaUseView, quota_uses};
use crate::expose::view::{Families, Text, label, text, whole};
use crate::inventory::ids::{TargetGroupId, ZoneName};
use crate::inventory::snapshot::Snapshot;

/// Everything of a target group.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TargetGroupView {
    /// `targetgroup/NAME/ID`, the `target_group` label.
    pub id: Text,
    /// Its name in AWS.
    pub name: Option<Text>,
    /// The load balancer that forwards to it.
    pub load_balancer: Option<Text>,
    /// The namespace of the Service whose pods it holds.
    pub namespace: Option<Text>,
    /// The Service whose pods it holds.
    pub service: Option<Text>,
    /// The port of that Service, by number or by name.
    pub service_port: Option<Text>,
    /// The TargetGroupBinding that registers its targets, `namespace/name`.
    pub binding: Option<String>,
    /// `instance`, `ip` or `alb`.
    pub target_type: Text,
    /// `TCP`, `TLS`, `UDP`, `TCP_UDP`.
    pub protocol: Text,
    /// Whether targets of all zones serve each zone.
    pub cross_zone: Option<bool>,
    /// How listeners weigh it; empty where it is the only group of its listeners.
    pub weights: Vec<WeightView>,
    /// Registered targets by state, zeros included; `null` until its health is known.
    pub targets: Option<Vec<StateCount>>,
    /// Targets that are not healthy by AWS's reason.
    pub unhealthy_reasons: Vec<ReasonCount>,
    /// Registered targets by zone; `null` while the zone of a healthy target is not known.
    pub zones: Option<Vec<ZoneTargets>>,
    /// Endpoints of the Service behind it; `null` where they are not known.
    pub endpoints: Option<EndpointCounts>,
    /// Targets that the controller should have registered; `null` where that cannot be judged.
    pub expected: Option<u64>,
    /// Of the expected ones, those that should be healthy.
    pub expected_healthy: Option<u64>,
    /// Expected targets that are not registered.
    pub missing: Option<u64>,
    /// Registered targets with nothing behind them.
    pub unexpected: Option<u64>,
    /// When AWS last answered for its health.
    pub sampled_at: Option<Timestamp>,
    /// Since when its targets and their states are as they are.
    pub changed_at: Option<Timestamp>,
    /// What it uses of quotas that hold for each target group.
    pub quotas: Vec<QuotaUseView>,
    /// Its targets with a series of their own; which those are is configured (`policy.target_series`).
    pub shown_targets: Vec<TargetView>,
}

/// How a listener weighs a target group among several.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct WeightView {
    /// The listener's load balancer.
    pub load_balancer: Text,
    /// The listener's port.
    pub port: Text,
    /// The weight; 0 means that it gets no new flows.
    pub weight: u64,
}

/// Targets in a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct StateCount {
    /// AWS's word: `healthy`, `unhealthy`, `initial`, `draining`, `unhealthy.draining`, `unused`, `unavailable`; `other`.
    pub state: Text,
    /// How many.
    pub count: u64,
}

/// Targets that are not healthy for one reason.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ReasonCount {
    /// AWS's word, `Target.FailedHealthChecks`.
    pub reason: Text,
    /// How many.
    pub count: u64,
}

/// Targets of a zone. With cross-zone off the zone leaves DNS when one group has no healthy target there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ZoneTargets {
    /// The zone.
    pub zone: Text,
    /// Healthy ones.
    pub healthy: u64,
    /// Those in any other state.
    pub other: u64,
    /// Of the others, those that fail though something serves behind them; `null` where none is known to and it cannot be known
    /// of all.
    pub failing: Option<u64>,
}

/// Endpoints of a Service.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct EndpointCounts {
    /// Ready.
    pub ready: u64,
    /// Neither ready nor terminating.
    pub not_ready: u64,
    /// Terminating.
    pub terminating: u64,
}

/// One target.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TargetView {
    /// An address, an instance's id or an ALB's ARN.
    pub target: Text,
    /// Its port.
    pub port: Option<Text>,
    /// Its zone; `all` for an address outside the VPC.
    pub zone: Option<Text>,
    /// The pod behind it.
    pub pod: Option<Text>,
    /// The node behind it.
    pub node: Option<Text>,
    /// Its state in AWS's words.
    pub state: Text,
    /// AWS's reason, where it is not healthy.
    pub reason: Option<Text>,
}

impl TargetGroupView {
    /// That of a target group of the picture.
    pub(super) fn of(id: &TargetGroupId, snapshot: &Snapshot, families: &Families<'_>, undecided: &Undecided) -> Option<Self> {
        let info = families.samples("target_group_info", &[id.as_str()]).first()?;
        let found = snapshot.target_groups.get(id);
        let key = [id.as_str()];
        let count = |family| families.count(family, &key);
        let endpoints = |condition| families.count("target_group_endpoints", &[id.as_str(), condition]);
        let reasons = families.samples("target_group_unhealthy_targets", &key).iter();
        let shown = families.samples("target_health", &key).iter();
        let load_balancer = text(&info.labels[1]);
        Some(Self {
            id: id.shared(),
            name: found.map(|found| Text::clone(&found.target_group.name)),
            namespace: text(&info.labels[3]),
            service: text(&info.labels[4]),
            service_port: text(&info.labels[5]),
            binding: found.and_then(|found| found.binding.as_ref()).map(|binding| binding.name.to_string()),
            target_type: label(info, 6),
            protocol: label(info, 7),
            cross_zone: families.truth("target_group_cross_zone_enabled", &key),
            weights: load_balancer.as_ref().map(|lb| weights(id, lb, families)).unwrap_or_default(),
            targets: targets(id, families),
            unhealthy_reasons: reasons.map(|it| ReasonCount { reason: label(it, 1), count: whole(it.value) }).collect(),
            zones: zones(id, families, undecided),
            endpoints: endpoints("ready").map(|ready| EndpointCounts {
                ready,
                not_ready: endpoints("not_ready").unwrap_or(0),
                terminating: endpoints("terminating").unwrap_or(0),
            }),
            expected: count("target_group_expected_targets"),
            expected_healthy: count("target_group_expected_healthy_targets"),
            missing: count("target_group_missing_targets"),
            unexpected: count("target_group_unexpected_targets"),
            sampled_at: families.moment("target_group_sampled_timestamp_seconds", &key),
            changed_at: families.moment("target_group_changed_timestamp_seconds", &key),
            quotas: quota_uses("target_group_quota_usage", id.as_str(), families),
            shown_targets: shown
                .map(|it| TargetView {
                    target: label(it, 1),
                    port: text(&it.labels[2]),
                    zone: text(&it.labels[3]),
                    pod: text(&it.labels[4]),
                    node: text(&it.labels[5]),
                    state: label(it, 6),
                    reason: text(&it.labels[7]),
                })
                .collect(),
            load_balancer,
        })
    }
}

fn weights(id: &TargetGroupId, load_balancer: &Text, families: &Families<'_>) -> Vec<WeightView> {
    let samples = families.samples("target_group_weight", &[load_balancer]).iter();
    samples
        .filter(|sample| sample.labels[2].as_str() == id.as_str())
        .map(|it| WeightView { load_balancer: label(it, 0), port: label(it, 1), weight: whole(it.value) })
        .collect()
}

/// A group's registered targets by state; `None` until its health is known.
pub(super) fn targets(id: &TargetGroupId, families: &Families<'_>) -> Option<Vec<StateCount>> {
    let samples = families.samples("target_group_targets", &[id.as_str()]);
    let counts = samples.iter().map(|it| StateCount { state: label(it, 1), count: whole(it.value) }).collect();
    (!samples.is_empty()).then_some(counts)
}

/// Where it cannot be said whether targets fail: what is not told of failing is not 0 there.
#[derive(Debug)]
pub(super) struct Undecided(BTreeSet<(TargetGroupId, ZoneName)>);

impl Undecided {
    /// Those of a picture.
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        Self(undecided(snapshot))
    }

    fn has(&self, id: &TargetGroupId, zone: &str) -> bool {
        // Of most pictures nothing is undecided.
        !self.0.is_empty() && self.0.contains(&(id.clone(), ZoneName::from(zone)))
    }
}

/// A group's registered targets by zone.
pub(super) fn zones(id: &TargetGroupId, families: &Families<'_>, undecided: &Undecided) -> Option<Vec<ZoneTargets>> {
    let samples = families.samples("target_group_zone_targets", &[id.as_str()]);
    let mut zones: BTreeMap<Text, (u64, u64)> = BTreeMap::new();
    for sample in samples {
        let (healthy, other) = zones.entry(label(sample, 1)).or_default();
        let counted = if sample.labels[2].as_str() == "healthy" { healthy } else { other };
        *counted = whole(sample.value);
    }
    // Targets outside the VPC are counted in every zone.
    let failing = |zone: &Text| {
        let places = [&**zone, EVERYWHERE];
        let known = places.map(|place| families.count("target_group_failing_targets", &[id.as_str(), place]));
        match known.iter().flatten().sum::<u64>() {
            0 if places.iter().any(|place| undecided.has(id, place)) => None,
            failing => Some(failing),
        }
    };
    let of_zone = |(zone, (healthy, other))| ZoneTargets { failing: failing(&zone), zone, healthy, other };
    (!samples.is_empty()).then(|| zones.into_iter().map(of_zone).collect())
}

/// Targets of several groups by state and by zone; `None` where that of one group is not known.
#[derive(Debug, Clone)]
pub(super) struct Sums {
    pub(super) targets: Option<Vec<StateCount>>,
    pub(super) zones: Option<Vec<ZoneTargets>>,
    pub(super) missing: Option<u64>,
    pub(super) unexpected: Option<u64>,
    pub(super) cross_zone: Option<bool>,
}

impl Sums {
    /// Adds up these groups; of no group nothing is known.
    pub(super) fn of<'a>(
        groups: impl Iterator<Item = &'a TargetGroupId> + Clone,
        families: &Families<'_>,
        undecided: &Undecided,
    ) -> Self {
        if groups.clone().next().is_none() {
            return Self { targets: None, zones: None, missing: None, unexpected: None, cross_zone: None };
        }
        let sum = |family| groups.clone().map(|id| families.count(family, &[id.as_str()])).sum::<Option<u64>>();
        Self {
            targets: add_states(groups.clone(), families),
            zones: add_zones(groups.clone(), families, undecided),
            missing: sum("target_group_missing_targets"),
            unexpected: sum("target_group_unexpected_targets"),
            cross_zone: same(groups.map(|id| families.truth("target_group_cross_zone_enabled", &[id.as_str()]))),
        }
    }
}

/// What all of them say; `None` where they differ or one says nothing.
fn same(mut all: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let first = all.next()?;
    first.filter(|_| all.all(|other| other == first))
}

fn add_states<'a>(groups: impl Iterator<Item = &'a TargetGroupId>, families: &Families<'_>) -> Option<Vec<StateCount>> {
    let mut states: BTreeMap<Text, u64> = BTreeMap::new();
    for id in groups {
        for StateCount { state, count } in targets(id, families)? {
            *states.entry(state).or_default() += count;
        }
    }
    Some(states.into_iter().map(|(state, count)| StateCount { state, count }).collect())
}

fn add_zones<'a>(
    groups: impl Iterator<Item = &'a TargetGroupId>,
    families: &Families<'_>,
    undecided: &Undecided,
) -> Option<Vec<ZoneTargets>> {
    let mut sums: BTreeMap<Text, ZoneTargets> = BTreeMap::new();
    for id in groups {
        for ZoneTargets { zone, healthy, other, failing } in zones(id, families, undecided)? {
            let empty = || ZoneTargets { zone: Text::clone(&zone), healthy: 0, other: 0, failing: Some(0) };
            let sum = sums.entry(Text::clone(&zone)).or_insert_with(empty);
            sum.healthy += healthy;
            sum.other += other;
            // What is known to fail fails, whatever is not known of other groups.
            sum.failing = match (sum.failing, failing) {
                (None | Some(0), None) | (None, Some(0)) => None,
                (sum, failing) => Some(sum.unwrap_or(0) + failing.unwrap_or(0)),
            };
        }
    }
    Some(sums.into_values().collect())
}
