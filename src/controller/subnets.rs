//! In which subnets would the controller put a new load balancer whose Service names none?
//!
//! Used by the controller only where neither a `subnets` annotation nor an existing load balancer of the same scheme
//! settles it. Free addresses decide whether a subnet may be used, never which one is preferred.

pub mod placement;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::inventory::aws::{Locale, RouteTable, Scheme, Subnet, closed_set};
use crate::inventory::ids::{SubnetId, ZoneName};
use crate::inventory::kube::{ControllerDeployment, Version};
use crate::inventory::parts::List;

/// Free IPv4 addresses that a subnet must have: the controller's constant, and what AWS asks of a new load balancer.
pub const NEEDED_ADDRESSES: u64 = 8;

closed_set!(
    /// What discovery makes of one subnet for one scheme: the first test it fails.
    Verdict {
        /// A new load balancer would be put here.
        Chosen = "chosen",
        /// It could be used, and another subnet of its zone is preferred.
        Outranked = "outranked",
        /// Fewer than `NEEDED_ADDRESSES` free addresses; an IPv6-only subnet counts as having none.
        FewAddresses = "few_addresses",
        /// It carries a cluster tag, and not this cluster's.
        ForeignCluster = "foreign_cluster",
        /// Only controllers up to 2.1.1: it lacks this cluster's tag.
        NoClusterTag = "no_cluster_tag",
        /// It lacks the scheme's role tag while another subnet has it.
        NoRoleTag = "no_role_tag",
        /// It has the scheme's role tag with a value other than `1` or the empty string.
        OddRoleTagValue = "odd_role_tag_value",
        /// No subnet has the role tag, so routes decide, and this one has no route to an internet gateway.
        NotPublic = "not_public",
        /// No subnet has the role tag, so routes decide, and this one has a route to an internet gateway.
        NotPrivate = "not_private",
        /// A dual-stack load balancer needs an IPv6 block here.
        NoIpv6Cidr = "no_ipv6_cidr",
        /// It would be chosen, but the chosen ones are of different kinds of zones, which is an error for all of them.
        MixedLocale = "mixed_locale",
        /// It would be chosen, but the controller does not know its kind of zone, which is an error for all of them.
        UnknownLocale = "unknown_locale",
    }
);
closed_set!(
    /// Where a subnet's effective route table leads.
    Route {
        /// It has a route whose gateway is an internet gateway.
        Public = "public",
        /// It has none; NAT, transit and egress-only gateways do not count.
        Private = "private",
    }
);

/// Effective routes: a subnet's explicitly associated table, else the VPC's main one.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    explicit: BTreeMap<SubnetId, (Route, bool)>,
    main: Option<(Route, bool)>,
}

impl Routes {
    /// Reads the route tables of one VPC. While the list is incomplete, a subnet without a known association has no
    /// known route: the table that names it may be on the page that is missing.
    pub fn of(tables: &List<Arc<str>, RouteTable>) -> Self {
        let leads =
            |table: &RouteTable| (if table.internet_gateway { Route::Public } else { Route::Private }, table.firewall_endpoint);
        let known = || tables.get().into_iter().flat_map(BTreeMap::values);
        let explicit = known().flat_map(|table| table.subnets.iter().map(|id| (id.clone(), leads(table)))).collect();
        let main = tables.complete().and_then(|all| all.values().find(|table| table.main)).map(|table| leads(table));
        Self { explicit, main }
    }

    /// A subnet's route; `None` while unknown.
    pub fn route(&self, subnet: &SubnetId) -> Option<Route> {
        self.of_subnet(subnet).map(|(route, _)| route)
    }

    /// Whether a firewall stands between a subnet and the internet gateway: the controller takes it for private, and it is
    /// public all the same.
    pub fn behind_firewall(&self, subnet: &SubnetId) -> bool {
        self.of_subnet(subnet).is_some_and(|(_, firewall)| firewall)
    }

    fn of_subnet(&self, subnet: &SubnetId) -> Option<(Route, bool)> {
        self.explicit.get(subnet).copied().or(self.main)
    }
}

/// How the cluster tag `kubernetes.io/cluster/<name>` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterTag {
    /// Not examined (gate `SubnetsClusterTagCheck` off).
    Ignored,
    /// Subnets with other clusters' tags only are refused.
    ForeignRefused,
    /// This cluster's tag must be there with the value `owned` or `shared` (up to 2.1.1).
    Required,
}

/// When an existing load balancer keeps its subnets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// Never: each reconcile discovers anew (before 2.3.0).
    Never,
    /// Always (before 2.9.0).
    Always,
    /// While its scheme is the one wanted.
    SameScheme,
}

/// The rules that differ between versions and settings of the controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How the cluster tag counts.
    pub cluster_tag: ClusterTag,
    /// Free addresses are examined (since 2.3.0).
    pub free_addresses: bool,
    /// Routes decide where no subnet has the role tag (gate `SubnetDiscoveryByReachability`, since 2.13.0).
    pub reachability: bool,
    /// Dual-stack load balancers need an IPv6 block in each subnet (since 3.5.0).
    pub ipv6_cidr: bool,
    /// All subnets must be of one kind of zone (since 2.2.0).
    pub locales: bool,
    /// Free addresses do not matter to internal load balancers with `private-ipv4-addresses` (2.3.0 to 2.12).
    pub fixed_addresses_exempt: bool,
    /// When an existing load balancer keeps its subnets.
    pub reuse: Reuse,
}

impl Rules {
    /// Those of the newest version with its default gates.
    pub const NEWEST: Self = Self {
        cluster_tag: ClusterTag::ForeignRefused,
        free_addresses: true,
        reachability: true,
        ipv6_cidr: true,
        locales: true,
        fixed_addresses_exempt: false,
        reuse: Reuse::SameScheme,
    };

    /// Those of a controller; an unknown version counts as the newest.
    pub fn of(controller: &ControllerDeployment) -> Self {
        let since = |version: Version| controller.version.is_none_or(|running| running >= version);
        let cluster_tag = if !since(Version::new(2, 1, 2)) {
            ClusterTag::Required
        } else if since(Version::new(2, 4, 3)) && !controller.gate("SubnetsClusterTagCheck", true) {
            ClusterTag::Ignored
        } else {
            ClusterTag::ForeignRefused
        };
        Self {
            cluster_tag,
            free_addresses: since(Version::new(2, 3, 0)),
            reachability: since(Version::new(2, 13, 0)) && controller.gate("SubnetDiscoveryByReachability", true),
            ipv6_cidr: since(Version::new(3, 5, 0)),
            locales: since(Version::new(2, 2, 0)),
            fixed_addresses_exempt: !since(Version::new(2, 13, 0)),
            reuse: if since(Version::new(2, 9, 0)) {
                Reuse::SameScheme
            } else if since(Version::new(2, 3, 0)) {
                Reuse::Always
            } else {
                Reuse::Never
            },
        }
    }
}

/// What discovery looks at.
#[derive(Debug, Clone, Copy)]
pub struct Network<'a> {
    /// The controller's `--cluster-name`.
    pub cluster_name: &'a str,
    /// All subnets of the controller's VPC.
    pub subnets: &'a BTreeMap<SubnetId, Arc<Subnet>>,
    /// Their routes.
    pub routes: &'a Routes,
    /// What the zones are; `None` while unknown.
    pub locales: Option<&'a BTreeMap<ZoneName, Locale>>,
}

/// What discovery finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// The verdict of each subnet; absent where it depends on something unknown.
    pub verdicts: BTreeMap<SubnetId, Verdict>,
    /// The preferred subnet of each zone, before the kinds of zones are compared; empty where candidates are unknown.
    pub winners: Vec<SubnetId>,
    /// The result.
    pub choice: Choice,
}

/// The result of discovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// One subnet a zone, by subnet ID.
    Subnets(Vec<SubnetId>),
    /// The controller would fail with `FailedBuildModel`.
    Refused(Refusal),
    /// It depends on something unknown.
    Unknown,
}

/// Why discovery fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing passed the tests.
    NoneLeft {
        /// Candidates by role tag or by route.
        evaluated: usize,
        /// Of those, refused by the cluster tag.
        other_clusters: usize,
        /// Of those, with too few free addresses.
        few_addresses: usize,
        /// Of those, without an IPv6 block.
        no_ipv6_cidr: usize,
    },
    /// The chosen subnets are of more than one kind of zone.
    MixedLocales(BTreeSet<Locale>),
    /// The controller does not know this zone's kind.
    UnknownLocale(ZoneName),
    /// A subnet that the Service names, or that the load balancer has, is not in the VPC.
    NotFound(SubnetId),
    /// Several of the subnets that the Service names are in this zone.
    SameZone(ZoneName),
    /// A subnet that the Service names, or that the load balancer has, lacks the IPv6 block that a dual-stack one needs.
    NoIpv6Cidr(SubnetId),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoneLeft { evaluated: 0, .. } => {
                f.write_str("no subnet of the VPC is a candidate by its role tag or its routes")
            }
            Self::NoneLeft { evaluated, other_clusters, few_addresses, no_ipv6_cidr } => {
                write!(
                    f,
                    "of {evaluated} candidate subnets {other_clusters} are tagged for other clusters and {few_addresses} have fewer \
                     than {NEEDED_ADDRESSES} free addresses"
                )?;
                if *no_ipv6_cidr > 0 { write!(f, " and {no_ipv6_cidr} have no IPv6 block") } else { Ok(()) }
            }
            Self::MixedLocales(locales) => {
                let locales: Vec<_> = locales.iter().map(|locale| locale.as_str()).collect();
                write!(f, "the chosen subnets are in zones of different kinds ({})", locales.join(", "))
            }
            Self::UnknownLocale(zone) => write!(f, "the kind of zone {zone} is not known to the controller"),
            Self::NotFound(subnet) => write!(f, "{subnet} is not a subnet of the VPC"),
            Self::SameZone(zone) => write!(f, "several of the named subnets are in zone {zone}"),
            Self::NoIpv6Cidr(subnet) => write!(f, "{subnet} has no IPv6 block"),
        }
    }
}

impl Discovery {
    /// In how many zones a new load balancer would be; 0 where discovery fails, `None` where that is unknown.
    pub fn usable_zones(&self) -> Option<usize> {
        match &self.choice {
            Choice::Subnets(subnets) => Some(subnets.len()),
            Choice::Refused(_) => Some(0),
            Choice::Unknown => None,
        }
    }

    /// Whether a subnet passes every test, be it preferred in its zone or not.
    pub fn passes(&self, subnet: &SubnetId) -> bool {
        self.winners.contains(subnet) || self.verdicts.get(subnet) == Some(&Verdict::Outranked)
    }

    /// Whether a subnet's free addresses count: it passes, or would with more of them.
    pub fn is_candidate(&self, subnet: &SubnetId) -> bool {
        self.passes(subnet) || self.verdicts.get(subnet) == Some(&Verdict::FewAddresses)
    }
}

/// The subnet tag that makes a subnet a candidate for a scheme.
pub fn role_tag(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::InternetFacing => "kubernetes.io/role/elb",
        Scheme::Internal => "kubernetes.io/role/internal-elb",
    }
}

/// What a subnet's role tag for a scheme says: `None` without one, else whether the controller accepts its value.
pub fn role(subnet: &Subnet, scheme: Scheme) -> Option<bool> {
    subnet.tags.get(role_tag(scheme)).map(|value| matches!(&**value, "" | "1"))
}

fn has_cluster_tag(subnet: &Subnet, cluster: &str) -> bool {
    subnet.tags.keys().any(|key| key.strip_prefix("kubernetes.io/cluster/") == Some(cluster))
}

/// Up to 2.1.1 the tag's value counted too.
fn is_tagged_as_before_2_1_2(subnet: &Subnet, cluster: &str) -> bool {
    let of_cluster = |key: &str| key.strip_prefix("kubernetes.io/cluster/") == Some(cluster);
    subnet.tags.iter().any(|(key, value)| of_cluster(key) && matches!(&**value, "owned" | "shared"))
}

/// Whether a subnet is tagged for other clusters only. The controller compares without the trailing slash, so that any key
/// beginning with `kubernetes.io/cluster` counts.
pub fn is_foreign(subnet: &Subnet, cluster: &str) -> bool {
    !has_cluster_tag(subnet, cluster) && subnet.tags.keys().any(|key| key.starts_with("kubernetes.io/cluster"))
}

/// Simulates discovery for a new load balancer.
pub fn discover(network: &Network<'_>, rules: Rules, scheme: Scheme, dualstack: bool) -> Discovery {
    let Some((candidates, mut verdicts)) = candidates(network, rules, scheme) else {
        return Discovery { verdicts: BTreeMap::new(), winners: Vec::new(), choice: Choice::Unknown };
    };
    let mut by_zone: BTreeMap<&ZoneName, Vec<&Subnet>> = BTreeMap::new();
    let evaluated = candidates.len();
    for subnet in candidates {
        match refuse(subnet, network.cluster_name, rules, dualstack) {
            Some(verdict) => drop(verdicts.insert(subnet.id.clone(), verdict)),
            None => by_zone.entry(&subnet.zone).or_default().push(subnet),
        }
    }
    if by_zone.is_empty() {
        let count = |wanted: &[Verdict]| verdicts.values().filter(|verdict| wanted.contains(verdict)).count();
        let refusal = Refusal::NoneLeft {
            evaluated,
            other_clusters: count(&[Verdict::ForeignCluster, Verdict::NoClusterTag]),
            few_addresses: count(&[Verdict::FewAddresses]),
            no_ipv6_cidr: count(&[Verdict::NoIpv6Cidr]),
        };
        return Discovery { verdicts, winners: Vec::new(), choice: Choice::Refused(refusal) };
    }
    let mut winners = Vec::with_capacity(by_zone.len());
    for mut subnets in by_zone.into_values() {
        subnets.sort_by_key(|subnet| (!has_cluster_tag(subnet, network.cluster_name), &subnet.id));
        let mut ranked = subnets.into_iter();
        winners.extend(ranked.next());
        verdicts.extend(ranked.map(|subnet| (subnet.id.clone(), Verdict::Outranked)));
    }
    winners.sort_by_key(|subnet| &subnet.id);
    let (choice, verdict) = settle_locales(network, rules, &winners);
    if let Some(verdict) = verdict {
        verdicts.extend(winners.iter().map(|subnet| (subnet.id.clone(), verdict)));
    }
    Discovery { verdicts, winners: winners.into_iter().map(|subnet| subnet.id.clone()).collect(), choice }
}

type Candidates<'a> = (Vec<&'a Subnet>, BTreeMap<SubnetId, Verdict>);

/// Candidates by role tag; without a single one, by route. `None` where routes decide and one is unknown.
fn candidates<'a>(network: &Network<'a>, rules: Rules, scheme: Scheme) -> Option<Candidates<'a>> {
    let subnets = || network.subnets.values().map(|subnet| &**subnet);
    let tagged: Vec<_> = subnets().filter(|subnet| role(subnet, scheme) == Some(true)).collect();
    if !tagged.is_empty() || !rules.reachability {
        let refused = subnets().filter_map(|subnet| match role(subnet, scheme) {
            Some(true) => None,
            Some(false) => Some((subnet.id.clone(), Verdict::OddRoleTagValue)),
            None => Some((subnet.id.clone(), Verdict::NoRoleTag)),
        });
        return Some((tagged, refused.collect()));
    }
    let (wanted, refusal) = match scheme {
        Scheme::InternetFacing => (Route::Public, Verdict::NotPublic),
        Scheme::Internal => (Route::Private, Verdict::NotPrivate),
    };
    let mut found = Vec::new();
    let mut refused = BTreeMap::new();
    for subnet in subnets() {
        if network.routes.route(&subnet.id)? == wanted {
            found.push(subnet);
        } else {
            refused.insert(subnet.id.clone(), refusal);
        }
    }
    Some((found, refused))
}

/// The first test a candidate fails.
fn refuse(subnet: &Subnet, cluster: &str, rules: Rules, dualstack: bool) -> Option<Verdict> {
    match rules.cluster_tag {
        ClusterTag::ForeignRefused if is_foreign(subnet, cluster) => return Some(Verdict::ForeignCluster),
        ClusterTag::Required if !is_tagged_as_before_2_1_2(subnet, cluster) => return Some(Verdict::NoClusterTag),
        _ => {}
    }
    // AWS counts 0 for an IPv6-only subnet, and the controller takes that number as it is.
    if rules.free_addresses && subnet.available_ip_addresses.unwrap_or(0) < NEEDED_ADDRESSES {
        return Some(Verdict::FewAddresses);
    }
    (rules.ipv6_cidr && dualstack && subnet.ipv6_cidrs.is_empty()).then_some(Verdict::NoIpv6Cidr)
}

/// All chosen subnets must be of one kind of zone. The verdict is theirs; `None` while unknown.
fn settle_locales(network: &Network<'_>, rules: Rules, winners: &[&Subnet]) -> (Choice, Option<Verdict>) {
    let mut locales = BTreeSet::new();
    for subnet in winners.iter().filter(|_| rules.locales) {
        let locale = if subnet.on_outpost {
            Some(Locale::Outpost)
        } else {
            network.locales.and_then(|known| known.get(&subnet.zone)).copied()
        };
        match locale {
            Some(Locale::Other) => {
                let refusal = Refusal::UnknownLocale(subnet.zone.clone());
                return (Choice::Refused(refusal), Some(Verdict::UnknownLocale));
            }
            Some(locale) => drop(locales.insert(locale)),
            // One subnet alone is of one kind, whichever it is.
            None if winners.len() == 1 => {}
            None => return (Choice::Unknown, None),
        }
    }
    if locales.len() > 1 {
        return (Choice::Refused(Refusal::MixedLocales(locales)), Some(Verdict::MixedLocale));
    }
    (Choice::Subnets(winners.iter().map(|subnet| subnet.id.clone()).collect()), Some(Verdict::Chosen))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod truth_table;
