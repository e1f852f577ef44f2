//! How many more load balancers fit, and which wall stands first?
//!
//! For each scheme in use and each constraint: how many load balancers still fit if nothing else changes, each of them like
//! the median one of this cluster (`policy.load_balancer_cost` overrides its numbers).
//!
//! - Quotas: `floor((limit - used) / need)`. Of Elastic IPs, those that the account has and nobody uses are free too, and
//!   only internet-facing load balancers take any. A quota of which a load balancer needs nothing is no constraint.
//! - `rules_per_security_group`: the least of all endpoint groups and of the address families the rules go into,
//!   `floor((limit - used) / need)`. Where load balancers share one rule the need is 1: a changed port range is granted
//!   before the old one is revoked. Where the controller adds no rules at all, there is no such constraint.
//! - Addresses: a subnet takes load balancers as long as 8 addresses are free, and each keeps `a` of them, mostly 1:
//!   `floor((free - 8) / a) + 1` from 8 free addresses on and 0 below, which is `max(0, free - 7)`. A zone takes as many as
//!   its subnets together, since the controller goes on to the next one when the preferred one is full.
//!   `subnets_current_zones` is the least of the zones in which this cluster's load balancers of the scheme are now, be there
//!   a subnet left or not; `subnets_any_zone` is the most of any zone, since a zone without room is left out in silence. So a
//!   zone that falls out lowers the first to 0 and never raises either, with one exception that is true: subnets in zones
//!   of different kinds block each other.
//!
//! A number is absent where the limit or the use is unknown, or where more is counted than the limit allows, which proves that
//! one of the two is wrong. With an assumed limit the number is shown and is as good as the guess.

mod addresses;
mod walls;

use std::collections::BTreeMap;

use super::model::{FamilyDescription, FamilyKind, Outcome, Report};
use super::quotas::cost::OneMore;
use super::quotas::usage::shared_usage;
use super::{Check, Context, security_groups};
use crate::controller::security_groups::Roles;
use crate::inventory::aws::{IpFamily, Scheme, SecurityGroup};
use crate::inventory::quota::{QuotaScope, quota};
pub use walls::{CONSTRAINTS, Wall};

static HEADROOM: FamilyDescription = FamilyDescription {
    name: "headroom_load_balancers",
    help: "Load balancers like the median one of this cluster (or as policy.load_balancer_cost says) that still fit under a \
           constraint, for schemes in use: quotas by name, subnets_current_zones with room in every zone in use now, \
           subnets_any_zone with room in one. Absent where a limit or its use is unknown.",
    kind: FamilyKind::Gauge,
    labels: &["scheme", "constraint"],
};
static QUOTA_NEEDED: FamilyDescription = FamilyDescription {
    name: "quota_needed_per_load_balancer",
    help: "How much of a quota of the Region or the VPC one more load balancer takes: as much as the median one of this cluster, \
           unless policy.load_balancer_cost says otherwise. Only quotas of which it takes any.",
    kind: FamilyKind::Gauge,
    labels: &["quota"],
};
static RULES_NEEDED: FamilyDescription = FamilyDescription {
    name: "security_group_rules_needed_per_load_balancer",
    help: "Rules that must be free on an endpoint group for one more load balancer: those of the median one of this cluster in the \
           way in which the next one will reach its targets (or as policy.load_balancer_cost says), and at least 1.",
    kind: FamilyKind::Gauge,
    labels: &["security_group_id", "direction", "ip_family"],
};

/// The check.
pub static CHECK: Check = Check {
    name: "headroom",
    families: &[&HEADROOM, &QUOTA_NEEDED, &RULES_NEEDED],
    findings: &[],
    // No findings of its own: what is too little is found by the checks of quotas, security groups and subnets.
    sources: &[],
    run,
};

fn run(context: &Context<'_>, report: &mut Report) {
    let roles = Roles::of(context.snapshot);
    let one_more = OneMore::of(context, &roles);
    for (scheme, walls) in walls::walls(context, &roles, &one_more) {
        for wall in walls {
            report.family(&HEADROOM).sample([scheme.as_str().into(), wall.constraint.into()], wall.load_balancers as f64);
        }
    }
    for usage in shared_usage(context) {
        let is_shared = quota(usage.quota).is_some_and(|quota| matches!(quota.scope, QuotaScope::Region | QuotaScope::Vpc));
        let need = one_more.need(usage.quota);
        if is_shared && need > 0 && walls::is_cost_known(context, usage.quota) {
            report.family(&QUOTA_NEEDED).sample([usage.quota.into()], need as f64);
        }
    }
    let Some(cost) = one_more.rules.filter(|_| walls::is_cost_known(context, security_groups::QUOTA)) else { return };
    for group in walls::endpoint_groups(context, &roles) {
        for family in IpFamily::ALL.iter().filter(|family| cost.reserve(**family) > 0) {
            let labels = [(&group.id).into(), "inbound".into(), family.as_str().into()];
            report.family(&RULES_NEEDED).sample(labels, cost.reserve(*family) as f64);
        }
    }
}

/// Every wall of every scheme in use, in the order of [`CONSTRAINTS`].
pub fn walls(context: &Context<'_>) -> BTreeMap<Scheme, Vec<Wall>> {
    let roles = Roles::of(context.snapshot);
    walls::walls(context, &roles, &OneMore::of(context, &roles))
}

/// The security groups on this cluster's targets, as far as their rules are known.
pub fn endpoint_groups(context: &Context<'_>) -> Vec<SecurityGroup> {
    walls::endpoint_groups(context, &Roles::of(context.snapshot)).cloned().collect()
}

/// The first wall of each scheme in use, by a judged picture: the constraint under which the fewest load balancers still
/// fit; of several, the first of [`CONSTRAINTS`].
pub fn first_walls(outcome: &Outcome) -> BTreeMap<Scheme, Wall> {
    let mut first: BTreeMap<Scheme, Wall> = BTreeMap::new();
    let family = outcome.families.iter().find(|family| std::ptr::eq(family.description, &HEADROOM));
    for sample in family.into_iter().flat_map(|family| &family.samples) {
        let [scheme, constraint] = &*sample.labels else { continue };
        let Some(scheme) = Scheme::parse(scheme.as_str()) else { continue };
        let Some(constraint) = CONSTRAINTS.iter().copied().find(|known| *known == constraint.as_str()) else { continue };
        let wall = Wall { constraint, load_balancers: sample.value as u64 };
        let known = first.entry(scheme).or_insert(wall);
        *known = (*known).min(wall);
    }
    first
}

#[cfg(test)]
mod tests;
