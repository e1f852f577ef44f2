//! Where would the next load balancer go, and how long will the addresses there last?

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::Judged;
use crate::controller::subnets::{NEEDED_ADDRESSES, Verdict};
use crate::expose::view::findings::{ByOwner, FindingView};
use crate::expose::view::query::Query;
use crate::expose::view::{Families, Text, is_complete, label, text, whole};
use crate::inventory::snapshot::Snapshot;

/// The subnets of the cluster's VPC.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SubnetsView {
    /// When the picture was judged.
    pub evaluated_at: Timestamp,
    /// Whether everything needed was seen. Where not, what the list lacks may exist.
    pub complete: bool,
    /// Free addresses that a subnet must have for a new load balancer: the controller's constant, and what AWS asks for.
    pub needed_addresses: u64,
    /// Zones in which a new load balancer would be, by scheme.
    pub schemes: Vec<SchemeZonesView>,
    /// Subnets that fit what was asked for, on this page or not.
    pub total: u64,
    /// The subnets of this page, by their id.
    pub subnets: Vec<SubnetRow>,
}

/// How many zones a new load balancer of a scheme would be in.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SchemeZonesView {
    /// `internal` or `internet-facing`.
    pub scheme: Text,
    /// The number of zones; 0 where it would fail.
    pub usable_zones: u64,
}

/// A subnet.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SubnetRow {
    /// `subnet-…`
    pub id: Text,
    /// Its tag `Name`.
    pub name: Option<Text>,
    /// Its VPC.
    pub vpc_id: Text,
    /// Its zone by name.
    pub zone: Text,
    /// Its zone by id, the same in every account.
    pub zone_id: Text,
    /// Its IPv4 block, or its first IPv6 block where it has none.
    pub cidr: Option<Text>,
    /// Free IPv4 addresses; `null` for an IPv6-only subnet.
    pub available_addresses: Option<u64>,
    /// Usable IPv4 addresses, the five that AWS keeps left out; `null` for an IPv6-only subnet.
    pub addresses: Option<u64>,
    /// Where its route table leads: `public` with a route to an internet gateway, else `private`.
    pub route: Option<Text>,
    /// What the controller's discovery makes of it, by scheme; none where that depends on something unknown.
    pub discovery: Vec<DiscoveryView>,
    /// How many of the cluster's load balancers are in it.
    pub load_balancer_count: u64,
    /// Findings about it, the worst first.
    pub findings: Vec<FindingView>,
}

/// What the controller's discovery makes of a subnet.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DiscoveryView {
    /// For a new load balancer of this scheme.
    pub scheme: Text,
    /// `chosen`, or the first test that it fails.
    pub verdict: Text,
    /// The same as a sentence.
    pub reason: &'static str,
}

/// One subnet with its load balancers.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SubnetView {
    /// When the picture was judged.
    pub evaluated_at: Timestamp,
    /// Free addresses that a subnet must have for a new load balancer.
    pub needed_addresses: u64,
    /// What the list says of it.
    pub subnet: SubnetRow,
    /// The cluster's load balancers that are in it, the `load_balancer` label.
    pub load_balancers: Vec<Text>,
}

impl SubnetsView {
    /// Those of a picture.
    pub fn of(judged: &Judged, query: &Query) -> Self {
        let families = Families::of(&judged.outcome);
        let findings = ByOwner::of(judged);
        let all = families.samples("subnet_info", &[]).iter();
        let rows = all.filter_map(|sample| row(sample.labels[0].as_str(), judged, &families, &findings));
        let wanted = |row: &SubnetRow| !query.by_finding() || row.findings.iter().any(|finding| query.wants_kind(finding));
        let (subnets, total) = query.page(rows.filter(wanted).collect());
        let schemes = families.samples("scheme_usable_zones", &[]).iter();
        Self {
            evaluated_at: judged.outcome.evaluated_at,
            complete: is_complete(judged, &["subnets"]),
            needed_addresses: NEEDED_ADDRESSES,
            schemes: schemes
                .map(|sample| SchemeZonesView { scheme: label(sample, 0), usable_zones: whole(sample.value) })
                .collect(),
            total,
            subnets,
        }
    }
}

impl SubnetView {
    /// That of one subnet; `None` where the cluster's VPC has none of this id.
    pub fn of(judged: &Judged, id: &str) -> Option<Self> {
        Some(Self {
            evaluated_at: judged.outcome.evaluated_at,
            needed_addresses: NEEDED_ADDRESSES,
            subnet: row(id, judged, &Families::of(&judged.outcome), &ByOwner::of(judged))?,
            load_balancers: load_balancers(&judged.snapshot, id),
        })
    }
}

fn row(id: &str, judged: &Judged, families: &Families<'_>, findings: &ByOwner) -> Option<SubnetRow> {
    let info = families.samples("subnet_info", &[id]).first()?;
    let discovery = families.samples("subnet_discovery", &[id]).iter();
    Some(SubnetRow {
        id: label(info, 0),
        name: text(&info.labels[1]),
        vpc_id: label(info, 2),
        zone: label(info, 3),
        zone_id: label(info, 4),
        cidr: text(&info.labels[5]),
        available_addresses: families.count("subnet_available_ip_addresses", &[id]),
        addresses: families.count("subnet_ip_addresses", &[id]),
        route: families.samples("subnet_route", &[id]).first().map(|sample| label(sample, 1)),
        discovery: discovery
            .map(|sample| DiscoveryView {
                scheme: label(sample, 1),
                verdict: label(sample, 2),
                reason: Verdict::parse(sample.labels[2].as_str()).map_or("", reason),
            })
            .collect(),
        load_balancer_count: load_balancers(&judged.snapshot, id).len() as u64,
        findings: findings.subject("subnet", id).to_vec(),
    })
}

fn load_balancers(snapshot: &Snapshot, subnet: &str) -> Vec<Text> {
    let is_here = |found: &crate::inventory::snapshot::ClusterLoadBalancer| {
        found.load_balancer.zones.iter().any(|zone| zone.subnet_id.as_str() == subnet)
    };
    snapshot.load_balancers.iter().filter(|(_, found)| is_here(found)).map(|(id, _)| id.shared()).collect()
}

/// A verdict as a sentence.
fn reason(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Chosen => "A new load balancer would be put here.",
        Verdict::Outranked => "It could be used, and another subnet of its zone is preferred.",
        Verdict::FewAddresses => "It has too few free addresses.",
        Verdict::ForeignCluster => "It carries the tag of another cluster and not this one's.",
        Verdict::NoClusterTag => "It lacks this cluster's tag, which controllers up to 2.1.1 need.",
        Verdict::NoRoleTag => "It lacks the scheme's role tag, which another subnet has.",
        Verdict::OddRoleTagValue => "Its role tag has a value other than 1 or the empty string.",
        Verdict::NotPublic => "No subnet has the role tag, and this one has no route to an internet gateway.",
        Verdict::NotPrivate => "No subnet has the role tag, and this one has a route to an internet gateway.",
        Verdict::NoIpv6Cidr => "It has no IPv6 block, which a dual-stack load balancer needs.",
        Verdict::MixedLocale => "The chosen subnets are of different kinds of zones, which is an error for all of them.",
        Verdict::UnknownLocale => "The controller does not know its kind of zone, which is an error for all chosen subnets.",
    }
}
