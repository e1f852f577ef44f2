//! Is there a subnet for the next load balancer, in which zones, and how long will its addresses last?

pub(crate) mod demand;
mod private;
mod rivals;

use std::collections::BTreeMap;

use super::catalogue::{
    NO_PRIVATE_SUBNET, NO_USABLE_ZONE, ODD_ROLE_TAG_VALUE, ROLE_CONTRADICTS_ROUTE, SHARED_UNTAGGED_SUBNETS, SUBNET_LOW,
    SUBNET_NEARLY_FULL,
};
use super::model::{FamilyDescription, FamilyKind, Label, Report, Subject};
use super::{Check, Context};
use crate::controller::settings::Settings;
use crate::controller::subnets::{
    Choice, Discovery, NEEDED_ADDRESSES, Network, Route, Routes, Rules, discover, is_foreign, role, role_tag,
};
use crate::inventory::aws::{Locale, Scheme, Subnet};
use crate::inventory::ids::SubnetId;
use crate::inventory::parts::source;

static INFO: FamilyDescription = FamilyDescription {
    name: "subnet_info",
    help: "A subnet of the cluster's VPC (DescribeSubnets); subnet_name is its tag Name.",
    kind: FamilyKind::Info,
    labels: &["subnet_id", "subnet_name", "vpc_id", "availability_zone", "zone_id", "cidr"],
};
static AVAILABLE: FamilyDescription = FamilyDescription {
    name: "subnet_available_ip_addresses",
    help: "Free IPv4 addresses (AvailableIpAddressCount); a new load balancer needs 8. Absent for IPv6-only subnets.",
    kind: FamilyKind::Gauge,
    labels: &["subnet_id"],
};
static TOTAL: FamilyDescription = FamilyDescription {
    name: "subnet_ip_addresses",
    help: "Usable IPv4 addresses of the subnet's CidrBlock, the five that AWS reserves left out. Absent for IPv6-only subnets.",
    kind: FamilyKind::Gauge,
    labels: &["subnet_id"],
};
static DISCOVERY: FamilyDescription = FamilyDescription {
    name: "subnet_discovery",
    help: "1 for what the controller's subnet discovery makes of a subnet for a new IPv4 load balancer of a scheme.",
    kind: FamilyKind::Gauge,
    labels: &["subnet_id", "scheme", "verdict"],
};
static ROUTE: FamilyDescription = FamilyDescription {
    name: "subnet_route",
    help: "1 for where the subnet's effective route table leads: public with a route to an internet gateway (DescribeRouteTables).",
    kind: FamilyKind::Gauge,
    labels: &["subnet_id", "route"],
};
static USABLE_ZONES: FamilyDescription = FamilyDescription {
    name: "scheme_usable_zones",
    help: "Zones in which the controller's subnet discovery would put a new IPv4 load balancer of a scheme; 0 where it would fail.",
    kind: FamilyKind::Gauge,
    labels: &["scheme"],
};

/// The check.
pub static CHECK: Check = Check {
    name: "subnets",
    families: &[&INFO, &AVAILABLE, &TOTAL, &DISCOVERY, &ROUTE, &USABLE_ZONES],
    findings: &[
        &SUBNET_NEARLY_FULL,
        &NO_USABLE_ZONE,
        &ODD_ROLE_TAG_VALUE,
        &SHARED_UNTAGGED_SUBNETS,
        &ROLE_CONTRADICTS_ROUTE,
        &SUBNET_LOW,
        &NO_PRIVATE_SUBNET,
    ],
    sources: &[source::SUBNETS, source::ROUTE_TABLES, source::AVAILABILITY_ZONES, source::SERVICES],
    run,
};

/// Below this many free addresses a subnet is low.
const LOW_ADDRESSES: u64 = 2 * NEEDED_ADDRESSES;

fn run(context: &Context<'_>, report: &mut Report) {
    let parts = &context.snapshot.parts;
    let routes = Routes::of(&parts.route_tables);
    for subnet in parts.subnets.get().into_iter().flat_map(BTreeMap::values) {
        write_facts(subnet, &routes, report);
    }
    // Discovery needs every subnet: one that is missing could be the one that is chosen. And no cluster runs in a VPC
    // without subnets, so an empty list is a sign of looking at the wrong VPC.
    let Some(subnets) = parts.subnets.complete().filter(|subnets| !subnets.is_empty()) else { return };
    let Some(cluster_name) = parts.scope.cluster_name.as_deref() else { return };
    let network = Network { cluster_name, subnets, routes: &routes, locales: parts.availability_zones.get() };
    let rules = Settings::in_cluster(parts).deployment().map_or(Rules::NEWEST, Rules::of);
    for scheme in Scheme::ALL {
        let discovery = discover(&network, rules, *scheme, false);
        write_discovery(*scheme, &discovery, report);
        judge_addresses(&network, *scheme, &discovery, report);
    }
    let demand = demand::demand(context.snapshot);
    for (scheme, dualstack) in &demand {
        judge_zones(&network, rules, *scheme, *dualstack, report);
    }
    private::judge(context.snapshot, &network, rules, &demand, report);
    rivals::judge(context.snapshot, &network, rules, &demand, report);
    for subnet in subnets.values().filter(|subnet| !is_foreign(subnet, cluster_name)) {
        judge_tags(subnet, &network, report);
    }
}

fn write_facts(subnet: &Subnet, routes: &Routes, report: &mut Report) {
    let id = || Label::from(&subnet.id);
    let cidr = subnet.cidr.as_ref().or(subnet.ipv6_cidrs.first()).map(ToString::to_string);
    let labels = [
        id(),
        Label::from(subnet.tags.get("Name")),
        (&subnet.vpc_id).into(),
        (&subnet.zone).into(),
        (&subnet.zone_id).into(),
        Label::from(cidr),
    ];
    report.family(&INFO).sample(labels, 1.0);
    if let Some(available) = subnet.available_ip_addresses {
        report.family(&AVAILABLE).sample([id()], available as f64);
    }
    if let Some(size) = size(subnet) {
        report.family(&TOTAL).sample([id()], size.saturating_sub(RESERVED_ADDRESSES) as f64);
    }
    if let Some(route) = routes.route(&subnet.id) {
        report.family(&ROUTE).sample([id(), route.as_str().into()], 1.0);
    }
}

/// AWS keeps five addresses of every subnet for itself.
const RESERVED_ADDRESSES: u64 = 5;

/// IPv4 addresses of the block, those reserved included.
fn size(subnet: &Subnet) -> Option<u64> {
    subnet.cidr.map(|cidr| 1_u64 << (cidr.max_prefix_len() - cidr.prefix_len()))
}

fn write_discovery(scheme: Scheme, discovery: &Discovery, report: &mut Report) {
    let mut writer = report.family(&DISCOVERY);
    for (id, verdict) in &discovery.verdicts {
        writer.sample([id.into(), scheme.as_str().into(), verdict.as_str().into()], 1.0);
    }
    if let Some(zones) = discovery.usable_zones() {
        report.family(&USABLE_ZONES).sample([scheme.as_str().into()], zones as f64);
    }
}

/// Free addresses of the candidates of a scheme. A full subnet beside one that serves its zone does no harm: adding that
/// one was the remedy.
fn judge_addresses(network: &Network<'_>, scheme: Scheme, discovery: &Discovery, report: &mut Report) {
    let candidates = || network.subnets.values().filter(|subnet| discovery.is_candidate(&subnet.id));
    for subnet in candidates() {
        let Some(available) = subnet.available_ip_addresses else { continue };
        // The best of the zone's other subnets that pass every test.
        let others = candidates().filter(|other| other.zone == subnet.zone && other.id != subnet.id);
        let passing = others.filter(|other| discovery.passes(&other.id)).filter_map(|other| other.available_ip_addresses).max();
        let Some((kind, floor)) = threshold(subnet, scheme, available) else { continue };
        if passing.is_some_and(|free| free >= floor) || already_found(report, &subnet.id) {
            continue;
        }
        let total = size(subnet).map_or(0, |size| size.saturating_sub(RESERVED_ADDRESSES));
        let message = format!(
            "{} in zone {} has {available} free addresses of {total}, and a new load balancer needs {NEEDED_ADDRESSES}; no other \
             subnet of the zone stands in for {scheme} load balancers",
            named(subnet),
            subnet.zone,
        );
        report.find(kind, Subject::Subnet(subnet.id.clone()), None, message);
    }
}

/// The finding a number of free addresses makes, and how many another subnet of the zone needs to make up for it.
fn threshold(subnet: &Subnet, scheme: Scheme, available: u64) -> Option<(&'static super::model::FindingKind, u64)> {
    let roomy = size(subnet).is_some_and(|size| size >= 32);
    if available < NEEDED_ADDRESSES {
        // Small subnets made for the control plane or for appliances are candidates by their routes only because no subnet
        // is tagged; one that carries the role tag was meant for load balancers, whatever its size.
        return (roomy || role(subnet, scheme) == Some(true)).then_some((&SUBNET_NEARLY_FULL, NEEDED_ADDRESSES));
    }
    (available < LOW_ADDRESSES && roomy).then_some((&SUBNET_LOW, LOW_ADDRESSES))
}

/// One subnet, one finding, even where it serves both schemes.
fn already_found(report: &Report, subnet: &SubnetId) -> bool {
    report.findings().iter().any(|finding| matches!(&finding.subject, Subject::Subnet(id) if id == subnet))
}

fn judge_zones(network: &Network<'_>, rules: Rules, scheme: Scheme, dualstack: bool, report: &mut Report) {
    let Choice::Refused(refusal) = discover(network, rules, scheme, dualstack).choice else { return };
    // One finding a scheme: the IPv4 case comes first and includes the other.
    let is_known = report.findings().iter().any(|finding| finding.subject == Subject::Scheme(scheme));
    if !is_known {
        let kind = if dualstack { "dual-stack " } else { "" };
        let message = format!("a new {scheme} {kind}load balancer would get no subnet: {refusal}");
        report.find(&NO_USABLE_ZONE, Subject::Scheme(scheme), None, message);
    }
}

fn judge_tags(subnet: &Subnet, network: &Network<'_>, report: &mut Report) {
    let subject = || Subject::Subnet(subnet.id.clone());
    let odd: Vec<_> = Scheme::ALL.iter().filter(|scheme| role(subnet, **scheme) == Some(false)).map(|it| role_tag(*it)).collect();
    if !odd.is_empty() {
        let tags: Vec<_> =
            odd.into_iter().map(|tag| format!("{tag}={:?}", subnet.tags.get(tag).map_or("", |value| value))).collect();
        let message =
            format!("{} carries {}, and the controller accepts 1 or the empty string", named(subnet), tags.join(" and "));
        report.find(&ODD_ROLE_TAG_VALUE, subject(), None, message);
    }
    // Outposts and Wavelength zones reach the outside by gateways of their own.
    let locale = network.locales.and_then(|locales| locales.get(&subnet.zone));
    let by_internet_gateway = !subnet.on_outpost && matches!(locale, None | Some(Locale::AvailabilityZone | Locale::LocalZone));
    let is_private = network.routes.route(&subnet.id) == Some(Route::Private) && !network.routes.behind_firewall(&subnet.id);
    if by_internet_gateway && is_private && role(subnet, Scheme::InternetFacing) == Some(true) {
        let tag = role_tag(Scheme::InternetFacing);
        let message = format!("{} carries {tag}, and its route table has no route to an internet gateway", named(subnet));
        report.find(&ROLE_CONTRADICTS_ROUTE, subject(), None, message);
    }
}

fn named(subnet: &Subnet) -> String {
    match subnet.tags.get("Name").filter(|name| !name.is_empty()) {
        Some(name) => format!("{} ({name})", subnet.id),
        None => subnet.id.to_string(),
    }
}

#[cfg(test)]
mod tests;
