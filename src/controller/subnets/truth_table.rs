//! Which subnets does each version of the controller choose? One row a case, with the paragraph of its rules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::placement::{Origin, Request, place};
use super::tests::subnet;
use super::*;
use crate::checks::security_groups::fixtures::controller;
use crate::inventory::aws::Subnet;

/// A case. `asks` is the scheme, then `dualstack`, `private-addresses`, `names=ID,…`, `has=SCHEME:ID,…`. A subnet is its ID,
/// zone and free addresses, then tags as `elb=VALUE`, `int=VALUE`, `cluster/NAME=VALUE`, any other `KEY=VALUE`, and `igw`, `v6`,
/// `outpost`. Zones: `a`, `b`, `c` are plain, `lax` is a local zone, `wlz` a Wavelength zone, `odd` of a kind unknown to all.
struct Row {
    source: &'static str,
    version: &'static str,
    gates: &'static str,
    asks: &'static str,
    subnets: &'static [&'static str],
    gets: &'static str,
}

const fn row(
    source: &'static str,
    version: &'static str,
    gates: &'static str,
    asks: &'static str,
    subnets: &'static [&'static str],
    gets: &'static str,
) -> Row {
    Row { source, version, gates, asks, subnets, gets }
}

const REACHABILITY_OFF: &str = "SubnetDiscoveryByReachability=false";
const TAG_CHECK_OFF: &str = "SubnetsClusterTagCheck=false";

const OWN_AND_BARE: &[&str] = &["s-1 a 100 elb=1", "s-2 b 100 elb=1 cluster/demo=owned", "s-3 c 100 elb=1 cluster/demo=yes"];
const LOCAL_ZONE: &[&str] = &["s-1 a 100 elb=1", "s-2 lax 100 elb=1"];
const LOW: &[&str] = &["s-1 a 7 int=1", "s-2 b 8 int=1"];
const FOREIGN: &[&str] = &["s-1 a 100 elb=1 cluster/other=shared", "s-2 b 100 elb=1"];
const UNTAGGED: &[&str] = &["s-1 a 100 igw", "s-2 b 100", "s-3 c 100 igw"];
const IPV6: &[&str] = &["s-1 a 100 elb=1 v6", "s-2 b 100 elb=1"];
const TWO_IN_A: &[&str] = &["s-1 a 100 elb=1", "s-2 a 100 elb=1 cluster/demo=shared", "s-3 b 100 elb=1"];

#[rustfmt::skip]
const TABLE: &[Row] = &[
    row("3.4 up to 2.1.1: the cluster tag must say owned or shared", "v2.1.1", "", "internet-facing", OWN_AND_BARE, "s-2"),
    row("3.4 up to 2.1.1: other tags do not matter beside it", "v2.0.0", "", "internet-facing", &["s-1 a 100 elb=1 cluster/demo=shared cluster/other=owned"], "s-1"),
    row("3.4 up to 2.1.1: without the tag there is none", "v2.1.1", "", "internet-facing", &["s-1 a 100 elb=1"], "none"),
    row("3.4 2.1.2: the cluster tag is optional", "v2.1.2", "", "internet-facing", OWN_AND_BARE, "s-1 s-2 s-3"),
    row("3.4 2.1.2: subnets of other clusters are left out", "v2.1.2", "", "internet-facing", FOREIGN, "s-2"),
    row("3.4 2.1.2: the cluster tag breaks ties", "v2.1.2", "", "internet-facing", TWO_IN_A, "s-2 s-3"),
    row("3.4 2.1.2: kinds of zones are not compared", "v2.1.3", "", "internet-facing", LOCAL_ZONE, "s-1 s-2"),
    row("3.4 2.2.0: kinds of zones are compared", "v2.2.0", "", "internet-facing", LOCAL_ZONE, "mixed"),
    row("3.4 2.2.0: free addresses are not looked at", "v2.2.4", "", "internal", LOW, "s-1 s-2"),
    row("3.4 2.3.0: eight free addresses", "v2.3.0", "", "internal", LOW, "s-2"),
    row("3.4 2.3.0: fixed private addresses are exempt", "v2.3.0", "", "internal private-addresses", LOW, "s-1 s-2"),
    row("3.4 2.12: they still are", "v2.12.0", "", "internal private-addresses", LOW, "s-1 s-2"),
    row("3.4 2.13.0: and no longer", "v2.13.0", "", "internal private-addresses", LOW, "s-2"),
    row("3.4 2.2: an existing load balancer does not keep its subnets", "v2.2.0", "", "internet-facing has=internet-facing:s-3", TWO_IN_A, "s-2 s-3"),
    row("3 2.3.0: it does", "v2.3.0", "", "internet-facing has=internet-facing:s-1", TWO_IN_A, "kept s-1"),
    row("3 before 2.9.0: of whichever scheme", "v2.8.2", "", "internet-facing has=internal:s-1", TWO_IN_A, "kept s-1"),
    row("3 2.9.0: of the same scheme only", "v2.9.0", "", "internet-facing has=internal:s-1", TWO_IN_A, "s-2 s-3"),
    row("T3 kept subnets need no tag and no free address", "v3.5.0", "", "internet-facing has=internet-facing:s-1,s-2", &["s-1 a 0", "s-2 b 3 cluster/other=owned", "s-3 c 99 elb=1"], "kept s-1 s-2"),
    row("3.4 2.4.2: the gate of the cluster tag is not known yet", "v2.4.2", TAG_CHECK_OFF, "internet-facing", FOREIGN, "s-2"),
    row("3.4 2.4.3: the gate switches the check off", "v2.4.3", TAG_CHECK_OFF, "internet-facing", FOREIGN, "s-1 s-2"),
    row("3.1.3a the tag's value does not matter", "v2.4.3", "", "internet-facing", &["s-1 a 100 elb=1 cluster/demo=whatever cluster/other=owned"], "s-1"),
    row("T26 the prefix has no trailing slash", "v2.9.0", "", "internet-facing", &["s-1 a 100 elb=1 kubernetes.io/cluster-name=demo", "s-2 b 100 elb=1"], "s-2"),
    row("3.4 2.12: no role tag, no candidate", "v2.12.0", "", "internet-facing", UNTAGGED, "none"),
    row("3.4 2.13.0: routes stand in for role tags", "v2.13.0", "", "internet-facing", UNTAGGED, "s-1 s-3"),
    row("3.1.2 internal: subnets without an internet gateway", "v2.13.0", "", "internal", UNTAGGED, "s-2"),
    row("3.1.2 the fallback has a gate", "v3.5.0", REACHABILITY_OFF, "internet-facing", UNTAGGED, "none"),
    row("T28 one tagged subnet disables the fallback", "v2.13.0", "", "internet-facing", &["s-1 a 100 igw", "s-2 b 100 elb=1"], "s-2"),
    row("T28 even one that is refused later", "v3.5.0", "", "internet-facing", &["s-1 a 100 igw", "s-2 b 7 elb=1"], "none"),
    row("T28 the other scheme's tag does not", "v3.5.0", "", "internet-facing", &["s-1 a 100 igw int=1", "s-2 b 100"], "s-1"),
    row("3.1.2 routes do not lift the cluster tag", "v3.5.0", "", "internet-facing", &["s-1 a 100 igw cluster/other=owned", "s-2 b 100 igw"], "s-2"),
    row("T27 the role tag is 1 or empty", "v2.9.0", "", "internet-facing", &["s-1 a 100 elb=", "s-2 b 100 elb=true", "s-3 c 100 elb=yes"], "s-1"),
    row("T27 an odd value makes no candidate, so that routes decide", "v2.13.0", "", "internet-facing", &["s-1 a 100 elb=true igw", "s-2 b 100 elb=0"], "s-1"),
    row("S3 the smallest ID of a zone", "v3.5.0", "", "internal", &["s-2 a 999 int=1", "s-10 a 8 int=1", "s-3 b 8 int=1"], "s-10 s-3"),
    row("3.1.4 the cluster's own before the smaller ID", "v3.5.0", "", "internet-facing", TWO_IN_A, "s-2 s-3"),
    row("3.1.4 a full one hands over to the next", "v3.5.0", "", "internal", &["s-1 a 7 int=1", "s-2 a 8 int=1"], "s-2"),
    row("T29 a zone is lost in silence", "v3.5.0", "", "internal", LOW, "s-2"),
    row("3.1.3b nothing left", "v3.5.0", "", "internal", &["s-1 a 7 int=1", "s-2 b 0 int=1"], "none"),
    row("3.1.5 local zone and zone", "v3.5.0", "", "internet-facing", LOCAL_ZONE, "mixed"),
    row("3.1.5 local zones only", "v3.5.0", "", "internet-facing", &["s-2 lax 100 elb=1"], "s-2"),
    row("3.1.5 Wavelength and local zone", "v2.9.0", "", "internet-facing", &["s-1 wlz 100 elb=1", "s-2 lax 100 elb=1"], "mixed"),
    row("3.1.5 an Outpost is a kind of its own", "v2.4.3", "", "internal", &["s-1 a 100 int=1", "s-2 b 100 int=1 outpost"], "mixed"),
    row("3.1.5 a zone of a kind that nobody knows", "v3.5.0", "", "internet-facing", &["s-1 odd 100 elb=1"], "unknown-locale"),
    row("3.4 3.4: IPv6 blocks are not looked at", "v3.4.1", "", "internet-facing dualstack", IPV6, "s-1 s-2"),
    row("3.4 3.5.0: a dual-stack one needs them", "v3.5.0", "", "internet-facing dualstack", IPV6, "s-1"),
    row("3.1.3c and an IPv4 one does not", "v3.5.0", "", "internet-facing", IPV6, "s-1 s-2"),
    row("3.1 named: no tag, no free address", "v3.5.0", "", "internal names=s-1,s-2", &["s-1 a 0 cluster/other=owned", "s-2 b 3", "s-3 c 99 int=1"], "named s-1 s-2"),
    row("3.1 named before kept", "v3.5.0", "", "internal names=s-1 has=internal:s-2", LOW, "named s-1"),
    row("3.2 named twice in a zone", "v2.9.0", "", "internet-facing names=s-1,s-2", TWO_IN_A, "same-zone"),
    row("3.2 named and not there", "v2.9.0", "", "internet-facing names=s-9", TWO_IN_A, "not-found"),
    row("3.2 named in zones of two kinds", "v2.9.0", "", "internet-facing names=s-1,s-2", LOCAL_ZONE, "mixed"),
    row("3.2 named without an IPv6 block, 3.4", "v3.4.0", "", "internet-facing dualstack names=s-1,s-2", IPV6, "named s-1 s-2"),
    row("3.2 named without an IPv6 block, 3.5.0", "v3.5.0", "", "internet-facing dualstack names=s-1,s-2", IPV6, "no-ipv6"),
];

fn ids(list: &str) -> BTreeSet<SubnetId> {
    list.split(',').map(SubnetId::from).collect()
}

fn read_subnet(text: &str) -> (Subnet, bool) {
    let words: Vec<_> = text.split(' ').collect();
    let mut made = subnet(words[0], words[1], words[2].parse().unwrap(), &[]);
    let mut public = false;
    for word in &words[3..] {
        match *word {
            "igw" => public = true,
            "v6" => made.ipv6_cidrs = vec!["2001:db8::/64".parse().unwrap()],
            "outpost" => made.on_outpost = true,
            tag => {
                let (key, value) = tag.split_once('=').unwrap();
                let key = match key {
                    "elb" => role_tag(Scheme::InternetFacing).to_owned(),
                    "int" => role_tag(Scheme::Internal).to_owned(),
                    _ if key.starts_with("cluster/") => format!("kubernetes.io/{key}"),
                    _ => key.to_owned(),
                };
                made.tags.insert(key.into(), value.into());
            }
        }
    }
    (made, public)
}

fn outcome(row: &Row) -> String {
    let read: Vec<_> = row.subnets.iter().map(|text| read_subnet(text)).collect();
    let public: Vec<_> = read.iter().filter(|(_, public)| *public).map(|(subnet, _)| subnet.id.as_str()).collect();
    let routes = Routes::of(&super::tests::tables(vec![
        super::tests::table("main", true, false, &[]),
        super::tests::table("public", false, true, &public),
    ]));
    let subnets: BTreeMap<_, _> = read.iter().map(|(subnet, _)| (subnet.id.clone(), Arc::new(subnet.clone()))).collect();
    let plain = ["a", "b", "c"].map(|zone| (zone, Locale::AvailabilityZone));
    let special = [("lax", Locale::LocalZone), ("wlz", Locale::WavelengthZone), ("odd", Locale::Other)];
    let locales = plain.into_iter().chain(special).map(|(zone, locale)| (ZoneName::from(zone), locale)).collect();
    let network = Network { cluster_name: "demo", subnets: &subnets, routes: &routes, locales: Some(&locales) };
    let words: Vec<_> = row.asks.split(' ').collect();
    let named = words.iter().find_map(|word| word.strip_prefix("names=")).map(ids);
    let existing = words.iter().find_map(|word| word.strip_prefix("has=")).map(|text| {
        let (scheme, list) = text.split_once(':').unwrap();
        (Scheme::parse(scheme).unwrap(), ids(list))
    });
    let request = Request {
        scheme: Scheme::parse(words[0]).unwrap(),
        dualstack: words.contains(&"dualstack"),
        named: named.as_ref(),
        existing: existing.as_ref().map(|(scheme, list)| (*scheme, list)),
        private_addresses: words.contains(&"private-addresses"),
    };
    let rules = Rules::of(&controller(row.version, &[("feature-gates", row.gates)]));
    let placement = place(&network, rules, &request);
    let origin = match placement.origin {
        Origin::Named => "named ",
        Origin::Kept => "kept ",
        Origin::Discovered => "",
    };
    match placement.choice {
        Choice::Subnets(chosen) => origin.to_owned() + &chosen.iter().map(SubnetId::as_str).collect::<Vec<_>>().join(" "),
        Choice::Refused(refusal) => match refusal {
            Refusal::NoneLeft { .. } => "none",
            Refusal::MixedLocales(_) => "mixed",
            Refusal::UnknownLocale(_) => "unknown-locale",
            Refusal::NotFound(_) => "not-found",
            Refusal::SameZone(_) => "same-zone",
            Refusal::NoIpv6Cidr(_) => "no-ipv6",
        }
        .to_owned(),
        Choice::Unknown => "unknown".to_owned(),
    }
}

#[test]
fn every_version_chooses_as_its_rules_say() {
    assert!(TABLE.len() >= 25);
    let sorted = |text: &str| text.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
    for row in TABLE {
        let found = outcome(row);
        assert_eq!(sorted(&found), sorted(row.gets), "{} ({}, {}): {found}", row.source, row.version, row.asks);
    }
}
