//! What does one more load balancer use up? As much as the median one this cluster has.

use crate::controller::security_groups::Roles;
use crate::controller::security_groups::cost::{Mode, RuleCost, median};
use crate::inventory::snapshot::{ClusterLoadBalancer, Controller, Snapshot};

/// What the next load balancer would use up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneMore {
    /// Zones, and with them network interfaces and subnets.
    pub zones: u64,
    /// Target groups.
    pub target_groups: u64,
    /// Elastic IPs of the account's own; those that AWS brings along do not count.
    pub elastic_ips: u64,
    /// Security groups the controller would make for it.
    pub security_groups: u64,
    /// Inbound rules on each endpoint group; `None` where nothing tells how it would reach its targets.
    pub rules: Option<RuleCost>,
}

impl OneMore {
    /// Of this cluster; the least there is, where it has none.
    pub fn of(snapshot: &Snapshot, roles: &Roles) -> Self {
        // What a user made by hand and bound does not show what the controller will make.
        let made = || snapshot.load_balancers.values().filter(|it| it.controller != Controller::None);
        let typical = |count: fn(&ClusterLoadBalancer) -> usize| median(made().map(|it| count(it) as u64)).unwrap_or(0);
        let rules = RuleCost::of_one_more(snapshot, roles);
        Self {
            zones: typical(|it| it.load_balancer.zones.len()).max(1),
            target_groups: typical(|it| it.target_groups.len()).max(1),
            elastic_ips: typical(|it| {
                let addresses = it.load_balancer.zones.iter().flat_map(|zone| &zone.addresses);
                addresses.filter(|address| address.allocation_id.is_some()).count()
            }),
            security_groups: match rules.map(|cost| cost.mode) {
                Some(Mode::SharedGroup | Mode::OwnGroup) => 1,
                _ => 0,
            },
            rules,
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
}
