//! For how many more load balancers of a scheme are there addresses?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::Context;
use crate::controller::annotations::{Annotations, name};
use crate::controller::settings::Settings;
use crate::controller::subnets::{Choice, Discovery, NEEDED_ADDRESSES, Network, Routes, Rules, discover};
use crate::inventory::aws::{Scheme, Subnet};
use crate::inventory::ids::{SubnetId, ZoneName};
use crate::inventory::snapshot::{ClusterLoadBalancer, Controller, Owner, Snapshot};

/// Load balancers that find addresses. `None` is unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rooms {
    /// In every zone in which this cluster's load balancers of the scheme are now; `None` where there is none yet.
    pub(super) current_zones: Option<u64>,
    /// In at least one zone.
    pub(super) any_zone: Option<u64>,
}

/// Counts the room for a scheme. `demand` is that of Services that leave the choice of subnets to the controller.
pub(super) fn rooms(context: &Context<'_>, scheme: Scheme, demand: &BTreeSet<(Scheme, bool)>, addresses: u64) -> Rooms {
    let parts = &context.snapshot.parts;
    let Some(subnets) = parts.subnets.complete().filter(|subnets| !subnets.is_empty()) else { return Rooms::default() };
    let plain = demand.contains(&(scheme, false));
    if !plain && !demand.contains(&(scheme, true)) {
        return in_use(context.snapshot, scheme, subnets, addresses);
    }
    let Some(cluster_name) = parts.scope.cluster_name.as_deref() else { return Rooms::default() };
    let routes = Routes::of(&parts.route_tables);
    let network = Network { cluster_name, subnets, routes: &routes, locales: parts.availability_zones.get() };
    let rules = Settings::in_cluster(parts).deployment().map_or(Rules::NEWEST, Rules::of);
    let discovery = discover(&network, rules, scheme, !plain);
    let current = current_zones(context.snapshot, scheme);
    discovered(&discovery, rules, subnets, &current, addresses)
}

/// Load balancers that fit into a subnet: each needs 8 free addresses at first, and keeps `addresses` of them.
fn room(subnet: &Subnet, addresses: u64) -> u64 {
    let free = subnet.available_ip_addresses.unwrap_or(0);
    free.checked_sub(NEEDED_ADDRESSES).map_or(0, |rest| rest / addresses.max(1) + 1)
}

fn discovered(
    discovery: &Discovery,
    rules: Rules,
    subnets: &BTreeMap<SubnetId, Arc<Subnet>>,
    current: &BTreeSet<ZoneName>,
    addresses: u64,
) -> Rooms {
    let known_if_current = |room| Some(room).filter(|_| !current.is_empty());
    match &discovery.choice {
        Choice::Unknown => return Rooms::default(),
        Choice::Refused(_) => return Rooms { current_zones: known_if_current(0), any_zone: Some(0) },
        Choice::Subnets(_) => {}
    }
    let mut zones: BTreeMap<&ZoneName, u64> = BTreeMap::new();
    for subnet in subnets.values() {
        // A controller that does not look at free addresses never goes on to the next subnet.
        let counts = if rules.free_addresses { discovery.passes(&subnet.id) } else { discovery.winners.contains(&subnet.id) };
        if counts {
            *zones.entry(&subnet.zone).or_default() += room(subnet, addresses);
        }
    }
    let of_current = current.iter().map(|zone| zones.get(zone).copied().unwrap_or(0)).min();
    if rules.free_addresses {
        return Rooms { current_zones: of_current, any_zone: zones.into_values().max() };
    }
    // It would ask AWS for all of them, full ones included, and get nothing.
    let of_all = zones.into_values().min();
    Rooms { current_zones: of_current.min(of_all).or(of_current), any_zone: of_all }
}

/// Zones of the scheme's load balancers whose Services leave the choice to the controller.
fn current_zones(snapshot: &Snapshot, scheme: Scheme) -> BTreeSet<ZoneName> {
    let chosen_by_controller = |it: &&ClusterLoadBalancer| {
        let of_scheme = it.controller == Controller::LoadBalancerController && it.load_balancer.scheme == scheme;
        of_scheme && !names_subnets(snapshot, it)
    };
    let load_balancers = snapshot.load_balancers.values().filter(chosen_by_controller);
    load_balancers.flat_map(|it| &it.load_balancer.zones).map(|zone| zone.zone.clone()).collect()
}

fn names_subnets(snapshot: &Snapshot, load_balancer: &ClusterLoadBalancer) -> bool {
    let Owner::Service(service) = &load_balancer.owner else { return false };
    let service = snapshot.parts.services.get().and_then(|services| services.get(service));
    service.is_some_and(|service| Annotations(&service.annotations).text(name::SUBNETS).is_some())
}

/// Where no Service leaves the choice to the controller: the subnets in use will be named again, or found again by the
/// in-tree provider, which does not look at free addresses and so needs room in all of them. What Auto Mode would choose
/// is not known.
fn in_use(snapshot: &Snapshot, scheme: Scheme, subnets: &BTreeMap<SubnetId, Arc<Subnet>>, addresses: u64) -> Rooms {
    let by_known_means = |it: &&ClusterLoadBalancer| {
        let known = matches!(it.controller, Controller::LoadBalancerController | Controller::InTree);
        known && it.load_balancer.scheme == scheme
    };
    let load_balancers = || snapshot.load_balancers.values().filter(by_known_means);
    let used: BTreeSet<_> = load_balancers().flat_map(|it| &it.load_balancer.zones).map(|zone| &zone.subnet_id).collect();
    let mut zones: BTreeMap<&ZoneName, u64> = BTreeMap::new();
    for id in used {
        let Some(subnet) = subnets.get(id) else { return Rooms::default() };
        *zones.entry(&subnet.zone).or_default() += room(subnet, addresses);
    }
    let least = zones.values().copied().min();
    let in_tree_only = load_balancers().all(|it| it.controller == Controller::InTree);
    Rooms { current_zones: least, any_zone: if in_tree_only { least } else { zones.into_values().max() } }
}
