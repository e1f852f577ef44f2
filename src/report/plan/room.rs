//! Is there room for the load balancers of a plan, each after the ones before it?

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::checks::quotas::cost::OneMore;
use crate::checks::{self, Context, headroom, quotas};
use crate::controller::security_groups::Roles;
use crate::inventory::aws::{Scheme, Subnet};
use crate::inventory::ids::SubnetId;

/// The constraint of rules, which is counted in load balancers.
const RULES: &str = "rules_per_security_group";

/// What a load balancer takes of something, and what is left of that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// A quota by its name.
    pub quota: &'static str,
    /// How much of it.
    pub takes: u64,
    /// What is left after it; below 0: it does not fit; `None` where the limit or the use is not known.
    pub left: Option<i64>,
    /// The limit could not be read: AWS's default is taken for it.
    pub assumed: bool,
}

/// What is left while a plan goes on.
#[derive(Debug)]
pub(super) struct Room {
    left: BTreeMap<String, (i64, bool)>,
    /// Load balancers that the rules of the fullest group still take.
    rules: Option<i64>,
    one_more: OneMore,
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
        let (limits, used, assumed) = (values("quota_limit"), values("quota_usage"), values("quota_limit_assumed"));
        let left = used.into_iter().filter_map(|(quota, used)| {
            let left = (limits.get(&quota)? - used).floor() as i64;
            let assumed = assumed.get(&quota).is_some_and(|assumed| *assumed > 0.0);
            Some((quota, (left, assumed)))
        });
        let left = left.collect();
        // The rules are the same for every scheme.
        let rules = headroom::walls(context).into_values().flatten().find(|wall| wall.constraint == RULES);
        let roles = Roles::of(context.snapshot);
        Self {
            left,
            rules: rules.map(|wall| i64::try_from(wall.load_balancers).unwrap_or(i64::MAX)),
            one_more: OneMore::of(context, &roles),
            subnets: context.snapshot.parts.subnets.get().cloned().unwrap_or_default(),
        }
    }

    /// What a load balancer with this many zones, target groups and listeners takes.
    pub(super) fn costs(&self, zones: usize, listeners: usize, scheme: Scheme, limit_of_listeners: Option<f64>) -> Vec<Cost> {
        let mut costs = Vec::new();
        for (quota, takes) in [
            ("network_load_balancers", 1),
            ("target_groups", listeners as u64),
            ("network_load_balancer_enis_per_vpc", zones as u64),
            ("security_groups", self.one_more.security_groups),
            ("elastic_ips", if scheme == Scheme::InternetFacing { self.one_more.elastic_ips } else { 0 }),
        ] {
            if takes > 0 {
                let known = self.left.get(quota);
                let left = known.map(|(left, _)| left - takes as i64);
                costs.push(Cost { quota, takes, left, assumed: known.is_some_and(|(_, assumed)| *assumed) });
            }
        }
        let limit = limit_of_listeners.map(|limit| limit as i64);
        costs.push(Cost {
            quota: "listeners_per_network_load_balancer",
            takes: listeners as u64,
            left: limit.map(|limit| limit - listeners as i64),
            assumed: false,
        });
        if let Some(rules) = self.one_more.rules.map(|cost| cost.ipv4.max(cost.ipv6)).filter(|rules| *rules > 0) {
            // What is left of it differs from group to group: whether one more fits is what counts.
            let fits = self.rules.map(|fitting| if fitting > 0 { fitting - 1 } else { -1 });
            costs.push(Cost { quota: RULES, takes: rules, left: fits, assumed: false });
        }
        costs
    }

    /// The load balancer is made: what comes after it finds less.
    pub(super) fn take(&mut self, costs: &[Cost], subnets: &[SubnetId]) {
        for cost in costs {
            if let Some((left, _)) = self.left.get_mut(cost.quota) {
                *left -= cost.takes as i64;
            }
            if cost.quota == RULES {
                self.rules = self.rules.map(|fitting| fitting - 1);
            }
        }
        for id in subnets {
            if let Some(subnet) = self.subnets.get_mut(id) {
                let subnet = Arc::make_mut(subnet);
                let taken = self.one_more.addresses_per_zone;
                subnet.available_ip_addresses = subnet.available_ip_addresses.map(|free| free.saturating_sub(taken));
            }
        }
    }
}
