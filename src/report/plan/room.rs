//! Is there room for the load balancers of a plan, each after the ones before it?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::bill::Bill;
use super::{FirstWall, PlannedSubnet};
use crate::checks::security_groups::QUOTA as RULES;
use crate::checks::security_groups::counting::RuleCount;
use crate::checks::{self, Context, headroom, quotas};
use crate::controller::desired::managed_group::RuleKey;
use crate::controller::security_groups::planned::added;
use crate::controller::subnets::NEEDED_ADDRESSES;
use crate::inventory::aws::{IpFamily, PrefixList, Rule, SecurityGroup, Subnet};
use crate::inventory::ids::{AllocationId, PrefixListId, SubnetId};
use crate::inventory::parts::List;

/// The name under which free addresses stand among the walls.
const SUBNETS: &str = "subnets_current_zones";

/// What a load balancer takes of something, and what is left of that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// A quota by its name.
    pub quota: &'static str,
    /// What it holds for, where it holds for each of something: a security group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// How much of it.
    pub takes: u64,
    /// What is left after it; below 0: it does not fit; `None` where the limit or the use is not known.
    pub left: Option<i64>,
    /// The limit could not be read: AWS's default is taken for it.
    pub assumed: bool,
    /// It is used up by this load balancer alone: the next one begins anew.
    #[serde(skip)]
    pub(super) own: bool,
}

impl Cost {
    /// It is more than there is.
    pub fn is_short(&self) -> bool {
        self.left.is_some_and(|left| left < 0)
    }
}

/// A limit.
#[derive(Debug, Clone, Copy)]
struct Limit {
    value: i64,
    assumed: bool,
}

/// What is left while a plan goes on.
#[derive(Debug, Clone)]
pub(super) struct Room {
    limits: BTreeMap<String, Limit>,
    /// By quota of the Region or the VPC.
    used: BTreeMap<String, i64>,
    /// Groups on targets, with more and more rules.
    endpoint_groups: Vec<SecurityGroup>,
    prefix_lists: List<PrefixListId, PrefixList>,
    /// Elastic IPs that the plan gave away.
    pub(super) allocated: BTreeSet<AllocationId>,
    /// The cluster's shared group is made by one of them.
    pub(super) backend_made: bool,
    /// Subnets, with fewer and fewer free addresses.
    pub(super) subnets: BTreeMap<SubnetId, Arc<Subnet>>,
}

impl Room {
    pub(super) fn of(context: &Context<'_>) -> Self {
        let outcome = checks::run(&[&quotas::CHECK], context.snapshot, context.policy, context.now, || Duration::ZERO);
        let values = |name: &str| {
            let family = outcome.families.iter().find(|family| family.description.name == name);
            let samples = family.into_iter().flat_map(|family| &family.samples);
            samples
                .filter_map(|sample| Some((sample.labels.first()?.as_str().to_owned(), sample.value)))
                .collect::<BTreeMap<_, _>>()
        };
        let assumed = values("quota_limit_assumed");
        let limit = |(name, value): (String, f64)| {
            let assumed = assumed.get(&name).is_some_and(|assumed| *assumed > 0.0);
            (name, Limit { value: value.floor() as i64, assumed })
        };
        let parts = &context.snapshot.parts;
        Self {
            limits: values("quota_limit").into_iter().map(limit).collect(),
            used: values("quota_usage").into_iter().map(|(name, used)| (name, used.ceil() as i64)).collect(),
            endpoint_groups: headroom::endpoint_groups(context),
            prefix_lists: parts.prefix_lists.clone(),
            allocated: BTreeSet::new(),
            backend_made: false,
            subnets: parts.subnets.get().cloned().unwrap_or_default(),
        }
    }

    /// What a load balancer takes, and what is left after it. What it takes nothing of is left out.
    pub(super) fn costs(&self, bill: &Bill) -> Vec<Cost> {
        let mut costs = Vec::new();
        let zones = bill.subnets.len() as u64;
        for (quota, takes) in [
            ("network_load_balancers", bill.load_balancers),
            ("target_groups", bill.target_groups),
            ("network_load_balancer_enis_per_vpc", zones),
            ("network_interfaces_per_availability_zone", zones.min(1)),
            ("security_groups", bill.security_groups),
        ] {
            if takes == 0 {
                continue;
            }
            let limit = self.limits.get(quota);
            let mut left = limit.zip(self.used.get(quota)).map(|(limit, used)| limit.value - used - takes as i64);
            // The fullest zone may be another one: then this says nothing of those that it gets.
            left = left.filter(|left| *left >= 0 || quota != "network_interfaces_per_availability_zone");
            costs.push(Cost { quota, of: None, takes, left, assumed: limit.is_some_and(|limit| limit.assumed), own: false });
        }
        for (quota, takes) in [
            ("listeners_per_network_load_balancer", bill.listeners),
            ("certificates_per_network_load_balancer", bill.certificates),
            ("security_groups_per_network_interface", bill.groups_on_interface),
        ] {
            if takes.new == 0 {
                continue;
            }
            let limit = self.limits.get(quota);
            let left = limit.map(|limit| limit.value - takes.all as i64);
            costs.push(Cost {
                quota,
                of: None,
                takes: takes.new,
                left,
                assumed: limit.is_some_and(|limit| limit.assumed),
                own: true,
            });
        }
        if let Some((rules, before)) = &bill.own_rules {
            // The controller takes every other rule away from this one.
            let after: Vec<Rule> = rules.iter().map(as_rule).collect();
            costs.extend(self.rules(before, &after, "its own security group").map(|cost| Cost { own: true, ..cost }));
        }
        for group in &self.endpoint_groups {
            let more = added(&bill.endpoint_rules, group).map(as_rule);
            let after: Vec<Rule> = group.inbound.iter().cloned().chain(more).collect();
            let of = if group.name.is_empty() { group.id.to_string() } else { format!("{} ({})", group.id, group.name) };
            costs.extend(self.rules(&group.inbound, &after, &of));
        }
        costs
    }

    /// What more rules take of a group's quota: of the family in which less is left.
    fn rules(&self, before: &[Rule], after: &[Rule], of: &str) -> Option<Cost> {
        let list = |id: &PrefixListId| self.prefix_lists.get().and_then(|lists| lists.get(id)).map(|list| &**list);
        let (before, after) = (RuleCount::of(before, list), RuleCount::of(after, list));
        let takes = |family: &IpFamily| after.family(*family).saturating_sub(before.family(*family));
        let family = IpFamily::ALL.iter().filter(|family| takes(family) > 0).max_by_key(|family| after.family(**family))?;
        let limit = self.limits.get(RULES);
        // With lists of unknown size the count is a lower bound: what does not fit by it does not fit.
        let left = limit.map(|limit| limit.value - after.family(*family) as i64);
        let left = left.filter(|left| *left < 0 || after.unknown.is_empty());
        let assumed = limit.is_some_and(|limit| limit.assumed);
        Some(Cost { quota: RULES, of: Some(of.to_owned()), takes: takes(family), left, assumed, own: false })
    }

    /// The subnets with what the load balancer keeps of each. `kept` are those that it has already.
    pub(super) fn planned_subnets(&self, chosen: &[SubnetId], bill: &Bill) -> Vec<PlannedSubnet> {
        let planned = |id: &SubnetId| {
            let subnet = self.subnets.get(id)?;
            let is_new = bill.subnets.contains(id);
            let takes = if is_new { bill.addresses_per_subnet } else { 0 };
            let free = subnet.available_ip_addresses;
            Some(PlannedSubnet {
                subnet_id: id.clone(),
                availability_zone: subnet.zone.shared(),
                free_addresses: free,
                takes_addresses: free.map_or(0, |_| takes),
                // The one before it gives its address back.
                too_few: (is_new || bill.anew)
                    && bill.needs_free_addresses
                    && free.is_some_and(|free| free + u64::from(!is_new) < NEEDED_ADDRESSES.max(takes)),
            })
        };
        chosen.iter().filter_map(planned).collect()
    }

    /// The load balancer is made: what comes after it finds less.
    pub(super) fn take(&mut self, costs: &[Cost], bill: &Bill) {
        for cost in costs.iter().filter(|cost| !cost.own && cost.of.is_none()) {
            if let Some(used) = self.used.get_mut(cost.quota) {
                *used += cost.takes as i64;
            }
        }
        for group in &mut self.endpoint_groups {
            let more: Vec<Rule> = added(&bill.endpoint_rules, group).map(as_rule).collect();
            group.inbound.extend(more);
        }
        self.backend_made |= bill.makes_backend;
        self.allocated.extend(bill.elastic_ips.iter().cloned());
        for id in &bill.subnets {
            if let Some(subnet) = self.subnets.get_mut(id) {
                let subnet = Arc::make_mut(subnet);
                let taken = bill.addresses_per_subnet;
                subnet.available_ip_addresses = subnet.available_ip_addresses.map(|free| free.saturating_sub(taken));
            }
        }
    }
}

fn as_rule(rule: &RuleKey<'_>) -> Rule {
    Rule { protocol: rule.protocol.into(), ports: rule.ports, peer: rule.peer.clone(), description: None }
}

/// Under which constraint the fewest load balancers like this one still fit after it; of several the first.
pub(super) fn first_wall(costs: &[Cost], subnets: &[PlannedSubnet]) -> Option<FirstWall> {
    let of_costs = costs.iter().filter(|cost| !cost.own).filter_map(|cost| {
        let left = u64::try_from(cost.left?).ok()?;
        Some(FirstWall { constraint: cost.quota, of: cost.of.clone(), load_balancers: left / cost.takes })
    });
    let of_subnets = subnets.iter().filter_map(|subnet| {
        let left = subnet.free_addresses?.saturating_sub(subnet.takes_addresses);
        let takes = subnet.takes_addresses.max(1);
        let load_balancers = left.checked_sub(NEEDED_ADDRESSES).map_or(0, |spare| 1 + spare / takes);
        Some(FirstWall { constraint: SUBNETS, of: Some(subnet.subnet_id.to_string()), load_balancers })
    });
    of_costs.chain(of_subnets).min_by_key(|wall| wall.load_balancers)
}
