//! Is a target group serving as it should? The findings of one group.
//!
//! They say what is so now. How long it has to be so before anybody is called is the business of the alert that stands on them;
//! what is waited for here is only that a sample can know of the last change in Kubernetes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use super::backing::{Backing, Key, Standing, after};
use crate::checks::catalogue::{MISSING_TARGETS, NO_HEALTHY_TARGET, UNEXPECTED_TARGETS, UNHEALTHY_TARGETS};
use crate::checks::model::{Report, Subject};
use crate::inventory::aws::{LoadBalancerState, Target, TargetReason, TargetState, TargetType};
use crate::inventory::ids::{ObjectName, TargetGroupId, ZoneName};
use crate::inventory::snapshot::{ClusterTargetGroup, Snapshot};

/// What AWS does when every target of a group fails: it serves on, badly, and nobody should take that for health.
const FAIL_OPEN: &str = "; AWS sends traffic to all of them all the same (fail open)";

/// How many targets a message names.
const NAMED: usize = 3;

/// One target group with its newest sample.
#[derive(Debug, Clone, Copy)]
pub(in crate::checks) struct Sampled<'a> {
    /// Its identity.
    pub(in crate::checks) id: &'a TargetGroupId,
    /// The group.
    pub(in crate::checks) group: &'a ClusterTargetGroup,
    /// Its targets.
    pub(in crate::checks) targets: &'a [Target],
    /// When they were asked for.
    pub(in crate::checks) sampled_at: Timestamp,
    /// Since when they are as they are.
    pub(in crate::checks) changed_at: Timestamp,
}

impl<'a> Sampled<'a> {
    /// A group of a picture; `None` while it has no sample.
    pub(in crate::checks) fn of(id: &'a TargetGroupId, group: &'a ClusterTargetGroup, snapshot: &'a Snapshot) -> Option<Self> {
        let part = snapshot.parts.target_health.get(id)?;
        let health = part.complete()?;
        Some(Self { id, group, targets: &health.targets, sampled_at: part.fetched_at?, changed_at: health.changed_at })
    }

    /// Since when the targets are as they are, where that was seen: the first sample's own time says nothing.
    pub(in crate::checks) fn unchanged_since(&self) -> Option<Timestamp> {
        (self.changed_at < self.sampled_at).then_some(self.changed_at)
    }

    /// How many targets are in a state.
    pub(in crate::checks) fn count(&self, state: TargetState) -> usize {
        self.targets.iter().filter(|target| target.state == state).count()
    }

    /// Whether AWS calls any target unhealthy: only such a one can be failing.
    pub(in crate::checks) fn has_unhealthy(&self) -> bool {
        self.targets.iter().any(is_unhealthy)
    }

    /// Whether clients can come to this group: a listener forwards to it with a weight, and its load balancer is up.
    ///
    /// While the listeners are not known, `LoadBalancerArns` says whether one forwards here; its weight is then taken for granted.
    pub(in crate::checks) fn is_in_use(&self, snapshot: &Snapshot) -> bool {
        let Some(id) = &self.group.load_balancer else { return false };
        let state = snapshot.load_balancers.get(id).map(|of| of.load_balancer.state);
        if matches!(state, Some(LoadBalancerState::Provisioning | LoadBalancerState::Failed)) {
            return false;
        }
        snapshot.parts.listeners.get(id).and_then(|listeners| listeners.complete()).is_none_or(|listeners| {
            listeners.iter().flat_map(|listener| &listener.forwards).any(|to| to.target_group == *self.id && to.weight > 0)
        })
    }

    /// The targets that should be healthy and are not, as far as this sample can tell.
    pub(in crate::checks) fn failing(&self, backing: &Backing<'_>, hold_down: Duration) -> impl Iterator<Item = &'a Target> {
        let sampled_at = self.sampled_at;
        self.targets.iter().filter(move |target| match backing.standing(target, hold_down) {
            Standing::Failing { judge_from } => judge_from.is_none_or(|from| sampled_at >= from),
            Standing::Fine | Standing::Unknown => false,
        })
    }
}

/// What AWS calls unhealthy, leaving or not.
pub(in crate::checks) fn is_unhealthy(target: &Target) -> bool {
    matches!(target.state, TargetState::Unhealthy | TargetState::UnhealthyDraining)
}

/// Writes the findings of one group.
pub(super) fn judge(report: &mut Report, sampled: &Sampled<'_>, backing: &Backing<'_>, snapshot: &Snapshot, hold_down: Duration) {
    let subject = || Subject::TargetGroup(sampled.id.clone());
    let since = sampled.unchanged_since();
    if sampled.is_in_use(snapshot) {
        if let Some(message) = no_healthy_target(sampled, backing, snapshot, hold_down) {
            // While nothing is registered AWS may be as it is for days: it is the endpoints that came.
            let empty = sampled.targets.iter().all(|target| target.state == TargetState::Draining);
            let since = if empty { since.max(backing.changed_at) } else { since };
            report.find(&NO_HEALTHY_TARGET, subject(), since, message);
        } else if let Some(message) = unhealthy_targets(sampled, backing, snapshot, hold_down) {
            report.find(&UNHEALTHY_TARGETS, subject(), since, message);
        }
    }
    let Some((missing, unexpected)) = backing.difference(sampled.targets, sampled.sampled_at) else { return };
    let Some(expectation) = &backing.expectation else { return };
    let settled = |changed_at: Option<Timestamp>| changed_at.is_none_or(|at| sampled.sampled_at >= after(at, hold_down));

    let missing: Vec<_> = missing.into_iter().filter(|key| settled(expectation.expected[key].changed_at)).collect();
    if !missing.is_empty() {
        let message = format!(
            "{} of {} expected targets of {} are not registered: {}.",
            missing.len(),
            expectation.expected.len(),
            backing_name(sampled.group),
            list(&missing)
        );
        // Since the first of them was to be there, or since AWS lost it.
        let began = missing.iter().map(|key| since.max(expectation.expected[key].changed_at)).min().flatten();
        report.find(&MISSING_TARGETS, subject(), began, message);
    }
    let node_changed_at = |key: &Key<'_>| {
        let Key::Named(instance, _) = key else { return None };
        let node = snapshot.parts.nodes.get()?.get(snapshot.nodes_by_instance.get(*instance)?)?;
        node.ready_changed_at.max(node.changed_at)
    };
    let unexpected: Vec<_> = unexpected
        .into_iter()
        .filter(|key| settled(expectation.changed_at.max(node_changed_at(key))) && !has_left(key, sampled, snapshot))
        .collect();
    if !unexpected.is_empty() {
        let message = format!(
            "{} of {} registered targets belong to no endpoint or node of {}: {}.",
            unexpected.len(),
            sampled.targets.len(),
            backing_name(sampled.group),
            list(&unexpected)
        );
        // Since what stood behind them went, or since AWS got them.
        let began = unexpected.iter().map(|key| since.max(expectation.changed_at).max(node_changed_at(key))).min().flatten();
        report.find(&UNEXPECTED_TARGETS, subject(), began, message);
    }
}

/// An instance whose Node is gone goes by itself: Nodes are deleted after their instances, and AWS deregisters those. When the
/// Node went is not known, so only one that still serves is told.
fn has_left(key: &Key<'_>, sampled: &Sampled<'_>, snapshot: &Snapshot) -> bool {
    let Key::Named(instance, _) = key else { return false };
    let serves = |target: &Target| target.state == TargetState::Healthy && Key::of(target).as_ref() == Some(key);
    !snapshot.nodes_by_instance.contains_key(*instance) && !sampled.targets.iter().any(serves)
}

/// No target is healthy though there are endpoints that could be.
fn no_healthy_target(sampled: &Sampled<'_>, backing: &Backing<'_>, snapshot: &Snapshot, hold_down: Duration) -> Option<String> {
    // `unavailable` and what AWS may add mean that the health is not known.
    let known = [TargetState::Healthy, TargetState::Unavailable, TargetState::Other];
    if known.iter().any(|state| sampled.count(*state) > 0) {
        return None;
    }
    if is_being_deleted(sampled.group, backing) || is_young(sampled, backing, snapshot, hold_down) {
        return None;
    }
    let reasons = reasons(sampled.targets.iter());
    let Some(endpoints) = backing.endpoints else {
        // The load balancer in front of an ALB: the target itself is what stands behind the group.
        let failing = sampled.count(TargetState::Unhealthy);
        let alb = sampled.group.target_group.target_type == TargetType::Alb && failing > 0;
        return alb.then(|| format!("0 of {} targets are healthy{reasons}{FAIL_OPEN}.", sampled.targets.len()));
    };
    if endpoints.ready + endpoints.not_ready == 0 {
        return None;
    }
    // The endpoints of a cluster that cannot be seen may be gone, scaled to zero for one: then only targets that fail count.
    if !backing.is_current(sampled.sampled_at) && sampled.count(TargetState::Unhealthy) == 0 {
        return None;
    }
    // What is ready may have become so after the sample. Without a ready endpoint no newer sample can be better than this one.
    let newer = backing.changed_at.is_none_or(|at| sampled.sampled_at >= at);
    if endpoints.ready > 0 && !newer {
        return None;
    }
    // A first health check is under way: it ends within minutes, one way or the other.
    let settled = backing.changed_at.is_none_or(|at| sampled.sampled_at >= after(at, hold_down));
    if sampled.count(TargetState::Initial) > 0 && !settled {
        return None;
    }
    // A group whose targets are all leaving or arriving has nobody to send to.
    let fail_open = if sampled.count(TargetState::Unhealthy) > 0 { FAIL_OPEN } else { "" };
    Some(format!(
        "0 of {} targets are healthy{reasons} while {} has {} ready and {} not ready endpoints{fail_open}.",
        sampled.targets.len(),
        backing_name(sampled.group),
        endpoints.ready,
        endpoints.not_ready
    ))
}

/// Some targets fail that should not.
fn unhealthy_targets(sampled: &Sampled<'_>, backing: &Backing<'_>, snapshot: &Snapshot, hold_down: Duration) -> Option<String> {
    if is_being_deleted(sampled.group, backing) {
        return None;
    }
    let outside = outside(sampled, backing, snapshot, hold_down);
    let failing: Vec<_> = sampled.failing(backing, hold_down).chain(outside).collect();
    (!failing.is_empty()).then(|| {
        format!("{} of {} targets are not healthy{}.", failing.len(), sampled.targets.len(), reasons(failing.iter().copied()))
    })
}

/// Ready pods in zones that the load balancer is not enabled in: AWS never sends them anything. Nodes there do no harm, since
/// others send on to their pods.
fn outside<'a>(sampled: &Sampled<'a>, backing: &Backing<'_>, snapshot: &Snapshot, hold_down: Duration) -> Vec<&'a Target> {
    let load_balancer = sampled.group.load_balancer.as_ref().and_then(|id| snapshot.load_balancers.get(id));
    let (Some(load_balancer), Some(expectation)) = (load_balancer, &backing.expectation) else { return Vec::new() };
    if sampled.group.target_group.target_type != TargetType::Ip {
        return Vec::new();
    }
    let enabled = |zone: &ZoneName| load_balancer.load_balancer.zones.iter().any(|enabled| enabled.zone == *zone);
    let is_expected = |target: &Target| {
        let expected = Key::of(target).and_then(|key| expectation.expected.get(&key));
        expected.is_some_and(|it| it.changed_at.is_none_or(|at| sampled.sampled_at >= after(at, hold_down)))
    };
    let unused = sampled.targets.iter().filter(|target| target.state == TargetState::Unused && is_expected(target));
    unused.filter(|target| snapshot.zone_of_target(target).is_some_and(|zone| !enabled(&zone))).collect()
}

fn is_being_deleted(group: &ClusterTargetGroup, backing: &Backing<'_>) -> bool {
    backing.service.is_some_and(|service| service.deleted_at.is_some())
        || group.binding.as_ref().is_some_and(|binding| binding.deleted_at.is_some())
}

/// The Service, its load balancer or the binding has just been made: nothing can be healthy yet.
fn is_young(sampled: &Sampled<'_>, backing: &Backing<'_>, snapshot: &Snapshot, hold_down: Duration) -> bool {
    let load_balancer = sampled.group.load_balancer.as_ref().and_then(|id| snapshot.load_balancers.get(id));
    let created = [
        backing.service.map(|service| service.created_at),
        sampled.group.binding.as_ref().map(|binding| binding.created_at),
        load_balancer.and_then(|of| of.load_balancer.created_at),
    ];
    created.into_iter().flatten().max().is_some_and(|at| sampled.sampled_at < after(at, hold_down))
}

fn backing_name(group: &ClusterTargetGroup) -> String {
    group.backend.as_ref().map_or_else(|| "the cluster".to_owned(), |(service, _): &(ObjectName, _)| service.to_string())
}

/// ` (2 Target.FailedHealthChecks, 1 Target.Timeout)`, the commonest first; empty without targets.
fn reasons<'t>(targets: impl Iterator<Item = &'t Target>) -> String {
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    for target in targets {
        *counts.entry(target.reason.map_or(target.state.as_str(), TargetReason::as_str)).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    if counts.is_empty() {
        return String::new();
    }
    let counts: Vec<_> = counts.into_iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    format!(" ({})", counts.join(", "))
}

fn list(keys: &[Key<'_>]) -> String {
    let mut text = String::new();
    for (number, key) in keys.iter().take(NAMED).enumerate() {
        let separator = if number == 0 { "" } else { ", " };
        write!(text, "{separator}{key}").expect("a String takes everything");
    }
    if keys.len() > NAMED {
        write!(text, " and {} more", keys.len() - NAMED).expect("a String takes everything");
    }
    text
}

#[cfg(test)]
mod tests;
