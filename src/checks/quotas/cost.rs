//! What does one more load balancer use up? As much as the median one this cluster has, unless the policy says otherwise.

use super::super::Context;
use super::super::security_groups::QUOTA as RULES;
use crate::config::policy::LoadBalancerCost;
use crate::controller::security_groups::Roles;
use crate::controller::security_groups::cost::{Mode, RuleCost, median};
use crate::inventory::aws::Scheme;
use crate::inventory::snapshot::{ClusterLoadBalancer, Controller, Snapshot};

/// What the next load balancer would use up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneMore {
    /// Zones, and with them network interfaces and subnets.
    pub zones: u64,
    /// Target groups.
    pub target_groups: u64,
    /// Free IPv4 addresses that it keeps in each of its subnets.
    pub addresses_per_zone: u64,
    /// Elastic IPs of the account's own, for an internet-facing one; those that AWS brings along do not count.
    pub elastic_ips: u64,
    /// Security groups the controller would make for it.
    pub security_groups: u64,
    /// Inbound rules on each endpoint group; `None` where nothing tells how it would reach its targets.
    pub rules: Option<RuleCost>,
    configured: LoadBalancerCost,
    has_median: bool,
}

impl OneMore {
    /// Of this cluster; the least there is, where it has none.
    pub fn of(context: &Context<'_>, roles: &Roles) -> Self {
        let snapshot = context.snapshot;
        let configured = context.policy.load_balancer_cost;
        // What a user made by hand and bound does not show what the controller will make.
        let made = || snapshot.load_balancers.values().filter(|it| it.controller != Controller::None);
        let typical = |count: fn(&ClusterLoadBalancer) -> usize| median(made().map(|it| count(it) as u64)).unwrap_or(0);
        let mut rules = RuleCost::of_one_more(snapshot, roles);
        if let (Some(rules), Some(number)) = (&mut rules, configured.security_group_rules) {
            *rules = rules.with_rules(number);
        }
        let internet_facing = made().filter(|it| it.load_balancer.scheme == Scheme::InternetFacing);
        let elastic_ips = median(internet_facing.map(own_addresses));
        let kept = median(made().filter_map(|it| kept_addresses(snapshot, it)));
        Self {
            zones: configured.zones.unwrap_or_else(|| typical(|it| it.load_balancer.zones.len())).max(1),
            target_groups: configured.target_groups.unwrap_or_else(|| typical(|it| it.target_groups.len())).max(1),
            addresses_per_zone: configured.addresses_per_zone.or(kept).unwrap_or(1).max(1),
            elastic_ips: configured.elastic_ips.or(elastic_ips).unwrap_or(0),
            security_groups: match rules.map(|cost| cost.mode) {
                Some(Mode::SharedGroup | Mode::OwnGroup) => 1,
                _ => 0,
            },
            rules,
            configured,
            has_median: made().next().is_some(),
        }
    }

    /// Of a quota by name; of quotas that hold for each object, one more of what they count. 0 where a load balancer uses
    /// none.
    pub fn need(&self, quota: &str) -> u64 {
        match quota {
            "target_groups" => self.target_groups,
            "network_load_balancer_enis_per_vpc" => self.zones,
            "security_groups" => self.security_groups,
            "elastic_ips" => self.elastic_ips,
            "subnets_per_vpc" | "route_tables_per_vpc" | "routes_per_route_table" => 0,
            // One load balancer; one interface in the fullest zone; one target, listener or group.
            _ => 1,
        }
    }

    /// Where the number of `need` comes from; `None` where it is the same for every load balancer.
    pub fn basis(&self, quota: &str) -> Option<&'static str> {
        let adds_no_rules = self.rules.is_none_or(|cost| cost.ipv4 == 0 && cost.ipv6 == 0);
        let configured = match quota {
            RULES if adds_no_rules => return None,
            RULES => self.configured.security_group_rules,
            "target_groups" => self.configured.target_groups,
            "network_load_balancer_enis_per_vpc" => self.configured.zones,
            "elastic_ips" => self.configured.elastic_ips,
            _ => return None,
        };
        Some(match configured {
            Some(_) => "as policy.load_balancer_cost says",
            None if self.has_median => "as the median one of this cluster does",
            None => "the least there is",
        })
    }
}

/// Elastic IPs of the account's own that a load balancer holds.
fn own_addresses(load_balancer: &ClusterLoadBalancer) -> u64 {
    let addresses = load_balancer.load_balancer.zones.iter().flat_map(|zone| &zone.addresses);
    addresses.filter(|address| address.allocation_id.is_some()).count() as u64
}

/// Addresses that a load balancer keeps in each subnet: its interface's own, and those of its attribute
/// `secondary_ips.auto_assigned.per_subnet`. `None` while its attributes are unknown.
fn kept_addresses(snapshot: &Snapshot, load_balancer: &ClusterLoadBalancer) -> Option<u64> {
    let attributes = snapshot.parts.load_balancer_attributes.get(&load_balancer.load_balancer.id)?.get()?;
    let secondary = attributes.get("secondary_ips.auto_assigned.per_subnet").map_or(Ok(0), |value| value.parse::<u64>());
    Some(1 + secondary.ok()?)
}
