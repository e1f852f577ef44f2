//! Which subnets does the load balancer of one Service get: those it names, those it has, or discovered ones?

use std::collections::BTreeSet;

use super::{Choice, Discovery, Network, Refusal, Reuse, Rules, discover, settle_locales};
use crate::inventory::aws::Scheme;
use crate::inventory::ids::SubnetId;

/// What the choice for one Service depends on.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The scheme it gets.
    pub scheme: Scheme,
    /// It is to be dual-stack.
    pub dualstack: bool,
    /// The annotation `subnets`, resolved.
    pub named: Option<&'a BTreeSet<SubnetId>>,
    /// The scheme and the subnets of its load balancer, where it has one.
    pub existing: Option<(Scheme, &'a BTreeSet<SubnetId>)>,
    /// The annotation `private-ipv4-addresses` is there.
    pub private_addresses: bool,
}

/// Where the subnets come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The Service names them.
    Named,
    /// The load balancer has them, and keeps them.
    Kept,
    /// The controller looks for them.
    Discovered,
}

/// The choice and where it comes from. The discovery itself where there is one: it tells why other subnets are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Where the subnets come from.
    pub origin: Origin,
    /// The subnets, or why there are none.
    pub choice: Choice,
    /// What discovery makes of every subnet.
    pub discovery: Option<Discovery>,
}

/// Chooses the subnets for one Service. Named and kept subnets need no tag, and free addresses are AWS's to judge.
pub fn place(network: &Network<'_>, mut rules: Rules, request: &Request<'_>) -> Placement {
    if let Some(named) = request.named {
        let choice = settle(network, rules, named, request.dualstack);
        return Placement { origin: Origin::Named, choice, discovery: None };
    }
    let kept = request.existing.filter(|(scheme, _)| match rules.reuse {
        Reuse::Never => false,
        Reuse::Always => true,
        Reuse::SameScheme => *scheme == request.scheme,
    });
    if let Some((_, subnets)) = kept {
        let choice = settle(network, rules, subnets, request.dualstack);
        return Placement { origin: Origin::Kept, choice, discovery: None };
    }
    if rules.fixed_addresses_exempt && request.private_addresses && request.scheme == Scheme::Internal {
        rules.free_addresses = false;
    }
    let discovery = discover(network, rules, request.scheme, request.dualstack);
    Placement { origin: Origin::Discovered, choice: discovery.choice.clone(), discovery: Some(discovery) }
}

/// What holds for subnets that are given.
fn settle(network: &Network<'_>, rules: Rules, ids: &BTreeSet<SubnetId>, dualstack: bool) -> Choice {
    let mut subnets = Vec::with_capacity(ids.len());
    let mut zones = BTreeSet::new();
    for id in ids {
        let Some(subnet) = network.subnets.get(id) else { return Choice::Refused(Refusal::NotFound(id.clone())) };
        subnets.push(&**subnet);
    }
    if subnets.is_empty() {
        let refusal = Refusal::NoneLeft { evaluated: 0, other_clusters: 0, few_addresses: 0, no_ipv6_cidr: 0 };
        return Choice::Refused(refusal);
    }
    for subnet in &subnets {
        if !zones.insert(&subnet.zone) {
            return Choice::Refused(Refusal::SameZone(subnet.zone.clone()));
        }
    }
    if let Some(bare) = subnets.iter().find(|subnet| rules.ipv6_cidr && dualstack && subnet.ipv6_cidrs.is_empty()) {
        return Choice::Refused(Refusal::NoIpv6Cidr(bare.id.clone()));
    }
    settle_locales(network, rules, &subnets).0
}
