//! Under which constraint do how many more load balancers fit?

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::super::Context;
use super::super::quotas::cost::OneMore;
use super::super::quotas::usage::shared_usage;
use super::super::quotas::{Limit, fresh_since};
use super::super::security_groups::{QUOTA as RULES, count_inbound, is_counted};
use super::super::subnets::demand::demand;
use super::addresses::{Rooms, rooms};
use crate::controller::security_groups::{Role, Roles};
use crate::inventory::aws::{IpFamily, LoadBalancer, Scheme, SecurityGroup};
use crate::inventory::snapshot::Controller;

const CURRENT_ZONES: &str = "subnets_current_zones";
const ANY_ZONE: &str = "subnets_any_zone";

/// The `constraint` label, in the order in which the first of equally near walls is named.
pub const CONSTRAINTS: &[&str] = &[
    "network_load_balancers",
    "target_groups",
    "network_load_balancer_enis_per_vpc",
    RULES,
    ANY_ZONE,
    CURRENT_ZONES,
    "security_groups",
    "network_interfaces_per_availability_zone",
    "elastic_ips",
];

/// How many more load balancers fit under one constraint. The nearer wall is the smaller one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wall {
    /// One of [`CONSTRAINTS`].
    pub constraint: &'static str,
    /// Load balancers that still fit.
    pub load_balancers: u64,
}

impl Ord for Wall {
    fn cmp(&self, other: &Self) -> Ordering {
        let place = |wall: &Self| CONSTRAINTS.iter().position(|constraint| *constraint == wall.constraint);
        (self.load_balancers, place(self)).cmp(&(other.load_balancers, place(other)))
    }
}

impl PartialOrd for Wall {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The walls of each scheme in use: of load balancers that a controller made for this cluster, and of Services that want one.
pub(super) fn walls(context: &Context<'_>, roles: &Roles, one_more: &OneMore) -> BTreeMap<Scheme, Vec<Wall>> {
    let demand = demand(context.snapshot);
    let made = context.snapshot.load_balancers.values().filter(|it| it.controller != Controller::None);
    let mut schemes: BTreeSet<_> = made.map(|it| it.load_balancer.scheme).collect();
    schemes.extend(demand.iter().map(|(scheme, _)| *scheme));
    if schemes.is_empty() {
        return BTreeMap::new();
    }
    let mut shared = quotas(context, one_more);
    shared.extend(rules(context, roles, one_more).map(|load_balancers| Wall { constraint: RULES, load_balancers }));
    let of_scheme = |scheme| {
        let rooms = match is_cost_known(context, CURRENT_ZONES) {
            true => rooms(context, scheme, &demand, one_more.addresses_per_zone),
            false => Rooms::default(),
        };
        let by_addresses = [(ANY_ZONE, rooms.any_zone), (CURRENT_ZONES, rooms.current_zones)];
        let by_addresses = by_addresses
            .into_iter()
            .filter_map(|(constraint, room)| room.map(|load_balancers| Wall { constraint, load_balancers }));
        let applies = |wall: &&Wall| wall.constraint != "elastic_ips" || scheme == Scheme::InternetFacing;
        let mut walls: Vec<_> = shared.iter().filter(applies).copied().chain(by_addresses).collect();
        walls.sort_by_key(|wall| CONSTRAINTS.iter().position(|constraint| *constraint == wall.constraint));
        walls
    };
    schemes.into_iter().map(|scheme| (scheme, of_scheme(scheme))).collect()
}

/// Whether enough is known to say what one more load balancer takes of a constraint. A median of some is not that of all, and
/// which load balancers are the cluster's is not known before their tags are; those of a new one are on their way.
pub(super) fn is_cost_known(context: &Context<'_>, constraint: &str) -> bool {
    let parts = &context.snapshot.parts;
    let has_tags = |lb: &LoadBalancer| parts.tags.get(&lb.arn).is_some_and(|tags| tags.get().is_some());
    let is_new = |lb: &LoadBalancer| lb.created_at.is_some_and(|at| at >= fresh_since(context.now));
    let load_balancers = || {
        let all = parts.load_balancers.complete();
        all.is_some_and(|all| all.values().all(|lb| has_tags(lb) || is_new(lb))) && parts.target_groups.complete().is_some()
    };
    let controller = || parts.controllers.complete().is_some() && parts.services.complete().is_some();
    let groups = || parts.security_groups.complete().is_some() && parts.vpcs.complete().is_some();
    let endpoints = || parts.network_interfaces.complete().is_some() && parts.nodes.complete().is_some();
    match constraint {
        "target_groups" | "network_load_balancer_enis_per_vpc" | "elastic_ips" => load_balancers(),
        "security_groups" => load_balancers() && controller() && groups(),
        RULES => load_balancers() && controller() && groups() && endpoints(),
        ANY_ZONE | CURRENT_ZONES => load_balancers() && controller(),
        // One load balancer, and one interface in the fullest zone.
        _ => true,
    }
}

fn quotas(context: &Context<'_>, one_more: &OneMore) -> Vec<Wall> {
    let wall = |usage: super::super::quotas::usage::Usage| {
        let constraint = CONSTRAINTS.iter().copied().find(|constraint| *constraint == usage.quota)?;
        let mut left = Limit::of(context, constraint)?.value - usage.used;
        let need = one_more.need(constraint);
        if need == 0 || left < 0.0 || !is_cost_known(context, constraint) {
            return None;
        }
        if constraint == "elastic_ips" {
            left += unused_addresses(context) as f64;
        }
        Some(Wall { constraint, load_balancers: fitting(left, need) })
    };
    shared_usage(context).into_iter().filter_map(wall).collect()
}

/// How many times a need fits into what is left.
fn fitting(left: f64, need: u64) -> u64 {
    // Limits are whole numbers far below the 2^53 up to which the conversion is exact.
    (left / need as f64).floor() as u64
}

/// Elastic IPs that the account has and nobody uses: the next load balancer can have them.
fn unused_addresses(context: &Context<'_>) -> usize {
    let addresses = context.snapshot.parts.addresses.complete();
    let unused = addresses.into_iter().flat_map(BTreeMap::values);
    unused.filter(|address| !address.service_managed && !address.associated).count()
}

/// The endpoint groups whose rules are known.
pub(super) fn endpoint_groups<'a>(context: &Context<'a>, roles: &'a Roles) -> impl Iterator<Item = &'a SecurityGroup> {
    let groups = context.snapshot.parts.security_groups.get().into_iter().flat_map(BTreeMap::values);
    let context = *context;
    groups.map(|group| &**group).filter(move |group| roles.has(&group.id, Role::Endpoint) && is_counted(&context, roles, group))
}

/// Load balancers whose inbound rules fit on every endpoint group; `None` where they need none, and while that is unknown.
fn rules(context: &Context<'_>, roles: &Roles, one_more: &OneMore) -> Option<u64> {
    let cost = one_more.rules?;
    let limit = Limit::of(context, RULES)?.value;
    // A group that is missing from the list could be the fullest.
    is_cost_known(context, RULES).then_some(())?;
    let mut least: Option<u64> = None;
    let mut all_known = true;
    for group in endpoint_groups(context, roles) {
        let Some(inbound) = count_inbound(context, group) else {
            all_known = false;
            continue;
        };
        all_known &= inbound.unknown.is_empty();
        for family in IpFamily::ALL.iter().filter(|family| cost.reserve(**family) > 0) {
            let left = limit - inbound.family(*family) as f64;
            if left < 0.0 {
                // The count or the limit is wrong.
                all_known = false;
                continue;
            }
            let fitting = fitting(left, cost.reserve(*family));
            least = Some(least.map_or(fitting, |least| least.min(fitting)));
        }
    }
    // What is full by a lower bound is full; what has room by one may have none.
    least.filter(|least| all_known || *least == 0)
}
