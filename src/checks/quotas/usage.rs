//! How much of each quota is in use? Counted from complete lists only: of an incomplete one, nothing follows.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Context;
use super::fresh_since;
use crate::inventory::aws::{Listener, Target, TargetState, TargetType};
use crate::inventory::ids::TargetGroupId;
use crate::inventory::parts::{List, Parts, source};
use crate::inventory::snapshot::{ClusterLoadBalancer, ClusterTargetGroup, Snapshot};

/// The use of one quota by one object.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::checks) struct Usage {
    /// The quota's name.
    pub(in crate::checks) quota: &'static str,
    /// How much of it is used.
    pub(in crate::checks) used: f64,
    /// The lists it was counted from are new enough to page on.
    pub(in crate::checks) fresh: bool,
}

/// The use of quotas that hold for the Region or the VPC, or for each of its parts: then that of the fullest.
pub(in crate::checks) fn shared_usage(context: &Context<'_>) -> Vec<Usage> {
    let parts = &context.snapshot.parts;
    let mut usages = Vec::new();
    let mut add = |quota, used: Option<(usize, bool)>| {
        usages.extend(used.map(|(used, fresh)| Usage { quota, used: used as f64, fresh }));
    };
    let now = context.now;
    // What exists and could not be read takes its place all the same; of what kind it is, is known for these two only.
    let unread = |name| parts.sources.get(name).map_or(0, |status| usize::try_from(status.missing).unwrap_or(usize::MAX));
    add("network_load_balancers", number(&parts.load_balancers, now, |all| all.len() + unread(source::LOAD_BALANCERS)));
    add("target_groups", number(&parts.target_groups, now, |all| all.len() + unread(source::TARGET_GROUPS)));
    if let Some(vpc) = parts.scope.vpc_id.as_ref().filter(|_| owns_vpc(parts) != Some(false)) {
        let of_load_balancers = read_whole(parts, source::NETWORK_INTERFACES, &parts.network_interfaces, now, |all| {
            all.values().filter(|interface| interface.of_network_load_balancer && interface.vpc_id == *vpc).count()
        });
        add("network_load_balancer_enis_per_vpc", of_load_balancers);
        add("subnets_per_vpc", read_whole(parts, source::SUBNETS, &parts.subnets, now, BTreeMap::len));
        add("route_tables_per_vpc", read_whole(parts, source::ROUTE_TABLES, &parts.route_tables, now, BTreeMap::len));
    }
    let account = parts.scope.account_id.as_deref();
    let own_groups = read_whole(parts, source::SECURITY_GROUPS, &parts.security_groups, now, |all| {
        let is_own = |owner: &str| owner.is_empty() || account.is_none_or(|account| account == owner);
        all.values().filter(|group| is_own(&group.owner_id)).count()
    });
    add("security_groups", own_groups);
    let fullest_zone = read_whole(parts, source::NETWORK_INTERFACES, &parts.network_interfaces, now, |all| {
        fullest(all.values().map(|interface| (&interface.zone, 1)))
    });
    add("network_interfaces_per_availability_zone", fullest_zone);
    let routes = read_whole(parts, source::ROUTE_TABLES, &parts.route_tables, now, |all| {
        all.values().map(|table| table.routes as usize).max().unwrap_or(0)
    });
    add("routes_per_route_table", routes);
    // Absent without a load balancer: which ones are the cluster's is not known before their tags are.
    let groups_of_one = context.snapshot.load_balancers.values().map(|it| it.load_balancer.security_groups.len()).max();
    let groups_of_one = groups_of_one.filter(|_| parts.load_balancers.complete().is_some());
    add("security_groups_per_network_interface", groups_of_one.map(|used| (used, true)));
    let own_addresses = read_whole(parts, source::ADDRESSES, &parts.addresses, now, |all| {
        all.values().filter(|address| !address.service_managed).count()
    });
    add("elastic_ips", own_addresses);
    usages
}

fn number<K, V>(
    list: &List<K, V>,
    now: jiff::Timestamp,
    count: impl Fn(&BTreeMap<K, std::sync::Arc<V>>) -> usize,
) -> Option<(usize, bool)> {
    Some((count(list.complete()?), list.fresh_since(fresh_since(now)).is_some()))
}

/// As `number`, but of a list in which nothing was unreadable: what that was is not known, and so neither is the count.
fn read_whole<K, V>(
    parts: &Parts,
    name: &str,
    list: &List<K, V>,
    now: jiff::Timestamp,
    count: impl Fn(&BTreeMap<K, std::sync::Arc<V>>) -> usize,
) -> Option<(usize, bool)> {
    parts.sources.get(name).is_none_or(|status| status.missing == 0).then(|| number(list, now, count))?
}

fn fullest<'a, K: Ord + 'a>(counted: impl Iterator<Item = (&'a K, usize)>) -> usize {
    let mut sums: BTreeMap<&K, usize> = BTreeMap::new();
    counted.for_each(|(key, count)| *sums.entry(key).or_default() += count);
    sums.into_values().max().unwrap_or(0)
}

/// Quotas that hold for all tenants of a VPC together.
pub(super) const OF_THE_VPC: [&str; 3] = ["network_load_balancer_enis_per_vpc", "subnets_per_vpc", "route_tables_per_vpc"];

/// The account that owns the VPC, by its subnets.
pub(super) fn vpc_owner(parts: &Parts) -> Option<&str> {
    let subnet = parts.subnets.get()?.values().find(|subnet| !subnet.owner_id.is_empty())?;
    Some(&subnet.owner_id)
}

/// Whether the VPC is this account's own. In a VPC shared by another account, quotas hold for all tenants together and
/// a tenant sees only its part: nothing can be said.
fn owns_vpc(parts: &Parts) -> Option<bool> {
    let account = parts.scope.account_id.as_deref()?;
    Some(vpc_owner(parts)? == account)
}

/// The use of quotas that hold for each load balancer; those that are not known are left out.
pub(super) fn load_balancer_usage(context: &Context<'_>, load_balancer: &ClusterLoadBalancer) -> Vec<Usage> {
    let snapshot = context.snapshot;
    let mut usages = Vec::new();
    let mut add = |quota, used: Option<f64>, fresh| usages.extend(used.map(|used| Usage { quota, used, fresh }));
    let listeners = snapshot.parts.listeners.get(&load_balancer.load_balancer.id).and_then(|listeners| listeners.complete());
    add("listeners_per_network_load_balancer", listeners.map(|listeners| listeners.len() as f64), true);
    add("certificates_per_network_load_balancer", listeners.and_then(|listeners| certificates(context, listeners)), true);
    // Which groups it has is read from their list: while that is incomplete, no sum over them is known.
    if snapshot.parts.target_groups.complete().is_some() {
        let groups: Vec<_> = load_balancer.target_groups.iter().filter_map(|id| snapshot.target_groups.get(id)).collect();
        let fresh = groups.iter().all(|group| is_fresh(context, &group.target_group.id));
        let all = groups.iter().map(|group| Some(registered(snapshot, group)?.count() as f64 * weight(group)?)).sum();
        add("targets_per_network_load_balancer", all, fresh);
        let fullest = fullest_target_zone(snapshot, load_balancer, &groups);
        add("targets_per_availability_zone_per_network_load_balancer", fullest, fresh);
    }
    usages
}

/// Distinct certificates of all TLS listeners, the default ones included; `None` while those of one of them are unknown, and
/// for a load balancer without such a listener.
fn certificates(context: &Context<'_>, listeners: &[Listener]) -> Option<f64> {
    let mut all = BTreeSet::new();
    for listener in listeners.iter().filter(|listener| &*listener.protocol == "TLS") {
        all.extend(context.snapshot.parts.listener_certificates.get(&listener.arn)?.complete()?);
        all.insert(listener.certificate_arn.as_ref()?);
    }
    (!all.is_empty()).then_some(all.len() as f64)
}

fn is_fresh(context: &Context<'_>, group: &TargetGroupId) -> bool {
    let health = context.snapshot.parts.target_health.get(group);
    health.is_some_and(|health| health.fresh_since(fresh_since(context.now)).is_some())
}

/// Targets in the fullest zone. With cross-zone on, every zone sends to every target, and the quota of one zone holds for
/// all of them together. A target outside the VPC (zone `all`) is in every zone as well.
fn fullest_target_zone(snapshot: &Snapshot, load_balancer: &ClusterLoadBalancer, groups: &[&ClusterTargetGroup]) -> Option<f64> {
    let mut everywhere = 0.0;
    let mut zones: BTreeMap<_, f64> = load_balancer.load_balancer.zones.iter().map(|zone| (zone.zone.clone(), 0.0)).collect();
    for group in groups {
        let mut targets = registered(snapshot, group)?.peekable();
        if targets.peek().is_none() {
            continue;
        }
        let cross_zone = group.cross_zone?;
        let weight = weight(group)?;
        for target in targets {
            if cross_zone || target.zone.as_ref().is_some_and(|zone| zone.as_str() == "all") {
                everywhere += weight;
            } else {
                *zones.entry(snapshot.zone_of_target(target)?).or_default() += weight;
            }
        }
    }
    Some(everywhere + zones.into_values().fold(0.0, f64::max))
}

/// Registered targets; `None` while the group's health is unknown. One that drains was deregistered already.
fn registered<'a>(snapshot: &'a Snapshot, group: &ClusterTargetGroup) -> Option<impl Iterator<Item = &'a Target> + use<'a>> {
    let health = snapshot.parts.target_health.get(&group.target_group.id)?.complete()?;
    Some(health.targets.iter().filter(|target| target.state != TargetState::Draining))
}

/// As how many targets of a load balancer one counts: an ALB as 50, with cross-zone on as 100.
fn weight(group: &ClusterTargetGroup) -> Option<f64> {
    match group.target_group.target_type {
        TargetType::Alb => group.cross_zone.map(|on| if on { 100.0 } else { 50.0 }),
        _ => Some(1.0),
    }
}

/// The use of the quota that holds for each target group.
pub(super) fn target_group_usage(context: &Context<'_>, id: &TargetGroupId) -> Option<Usage> {
    let used = registered(context.snapshot, context.snapshot.target_groups.get(id)?)?.count() as f64;
    Some(Usage { quota: "targets_per_target_group", used, fresh: is_fresh(context, id) })
}
