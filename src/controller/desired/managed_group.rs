//! Which inbound rules would the controller keep on the security group it made for a Service's load balancer? All of them:
//! it revokes every other.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::controller::annotations::{AnnotationError, Annotations, name};
use crate::controller::settings::Settings;
use crate::inventory::aws::{IpAddressType, Peer, Rule};
use crate::inventory::kube::{Protocol, Service, Version};

use super::load_balancer::ip_address_type;
use super::{Desired, Wanted};

/// What makes a rule the same as another. Descriptions do not count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleKey<'a> {
    /// `tcp`, `udp`, `icmp`, `icmpv6`, `-1` or a number.
    pub protocol: &'a str,
    /// From and to, or ICMP's type and code; `None` for all.
    pub ports: Option<(i32, i32)>,
    /// The source; a network by its first address.
    pub peer: Peer,
}

impl<'a> RuleKey<'a> {
    /// That of a rule in AWS, which may spell a protocol by its number.
    pub fn of(rule: &'a Rule) -> Self {
        let protocol = match &*rule.protocol {
            "1" => "icmp",
            "6" => "tcp",
            "17" => "udp",
            "58" => "icmpv6",
            other => other,
        };
        let peer = match &rule.peer {
            Peer::Cidr(cidr) => Peer::Cidr(cidr.trunc()),
            other => other.clone(),
        };
        Self { protocol, ports: rule.ports, peer }
    }

    /// The annotation that decides rules of this kind.
    pub fn annotation(&self) -> &'static str {
        match (self.protocol, &self.peer) {
            ("icmp" | "icmpv6", _) => name::ENABLE_ICMP,
            (_, Peer::PrefixList(_)) => name::PREFIX_LISTS,
            _ => name::SOURCE_RANGES,
        }
    }
}

impl std::fmt::Display for RuleKey<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.protocol)?;
        match self.ports {
            None => {}
            Some((from, to)) if self.protocol.starts_with("icmp") => write!(f, " {from}/{to}")?,
            Some((from, to)) if from == to => write!(f, " {from}")?,
            Some((from, to)) => write!(f, " {from}-{to}")?,
        }
        match &self.peer {
            Peer::Cidr(cidr) => write!(f, " from {cidr}"),
            Peer::SecurityGroup(id) => write!(f, " from {id}"),
            Peer::PrefixList(id) => write!(f, " from {id}"),
        }
    }
}

/// The client networks: `spec.loadBalancerSourceRanges` wins over the annotation (T39); without either everybody, unless
/// prefix lists are named.
pub fn source_ranges(service: &Service, settings: Settings<'_>) -> Result<BTreeSet<IpNet>, AnnotationError> {
    let annotations = Annotations(&service.annotations);
    let dualstack = ip_address_type(service)? == IpAddressType::Dualstack;
    let list: Vec<&str> = if service.source_ranges.is_empty() {
        annotations.list(name::SOURCE_RANGES).unwrap_or_default()
    } else {
        service.source_ranges.iter().map(|range| range.trim()).collect()
    };
    let mut ranges = BTreeSet::new();
    for text in &list {
        let range: IpNet = text.parse().map_err(|_| AnnotationError::value(name::SOURCE_RANGES, text, "CIDR blocks"))?;
        if range.addr().is_ipv6() && !dualstack {
            return Err(AnnotationError::value(name::SOURCE_RANGES, text, "IPv4 only, since the load balancer is not dualstack"));
        }
        ranges.insert(range.trunc());
    }
    if list.is_empty() && prefix_lists(annotations, settings).is_empty() {
        ranges.insert(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0).into());
        if dualstack {
            ranges.insert(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0).into());
        }
    }
    Ok(ranges)
}

fn prefix_lists<'a>(annotations: Annotations<'a>, settings: Settings<'_>) -> Vec<&'a str> {
    if settings.at_least(Version::new(2, 8, 0)) { annotations.list(name::PREFIX_LISTS).unwrap_or_default() } else { Vec::new() }
}

/// All inbound rules of the managed group: each port of the Service from each network and list, and ICMP for finding the
/// path's MTU. Both protocols of one port number are let in, also where only one of them has a listener (T22).
pub fn inbound(service: &Service, settings: Settings<'_>) -> Desired<BTreeSet<RuleKey<'static>>> {
    let annotations = Annotations(&service.annotations);
    let ranges = source_ranges(service, settings)?;
    let lists = prefix_lists(annotations, settings);
    let mut rules = BTreeSet::new();
    for port in &service.ports {
        let protocol = match port.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => return Ok(Wanted::Unknown("what becomes of an SCTP port is not known")),
        };
        let ports = Some((i32::from(port.port), i32::from(port.port)));
        let networks = ranges.iter().map(|range| Peer::Cidr(*range));
        let lists = lists.iter().map(|list| Peer::PrefixList((*list).into()));
        rules.extend(networks.chain(lists).map(|peer| RuleKey { protocol, ports, peer }));
    }
    if settings.at_least(Version::new(2, 12, 0)) && annotations.text(name::ENABLE_ICMP) == Some("on") {
        rules.extend(ranges.iter().map(|range| match range {
            IpNet::V4(_) => RuleKey { protocol: "icmp", ports: Some((3, 4)), peer: Peer::Cidr(*range) },
            IpNet::V6(_) => RuleKey { protocol: "icmpv6", ports: Some((2, 0)), peer: Peer::Cidr(*range) },
        }));
    }
    Ok(Wanted::Value(rules))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::checks::testing::{ServiceBuilder, controller, service};

    fn rules(builder: &ServiceBuilder, spec: &[&str], version: &str) -> Result<Vec<String>, AnnotationError> {
        let controller = controller(version).build();
        let mut service = builder.build();
        service.source_ranges = spec.iter().map(|range| (*range).into()).collect();
        match inbound(&service, Settings::of(Some(&controller)))? {
            Wanted::Value(rules) => Ok(rules.iter().map(ToString::to_string).collect()),
            other => panic!("{other:?}"),
        }
    }

    fn says(pairs: &[(&str, &str)]) -> ServiceBuilder {
        pairs.iter().fold(service("a/b"), |builder, (key, value)| builder.annotate(key, value))
    }

    #[test]
    fn everybody_may_come_unless_somebody_is_named_1_5_t30() {
        let all = |pairs: &[(&str, &str)]| rules(&says(pairs), &[], "3.5.0").unwrap();
        assert_eq!(all(&[]), ["tcp 80 from 0.0.0.0/0"]);
        assert_eq!(all(&[(name::SOURCE_RANGES, "")]), ["tcp 80 from 0.0.0.0/0"]);
        assert_eq!(all(&[(name::IP_ADDRESS_TYPE, "dualstack")]), ["tcp 80 from 0.0.0.0/0", "tcp 80 from ::/0"]);
        assert_eq!(all(&[(name::PREFIX_LISTS, "pl-b, pl-a")]), ["tcp 80 from pl-a", "tcp 80 from pl-b"]);
        assert_eq!(
            all(&[(name::PREFIX_LISTS, "pl-a"), (name::SOURCE_RANGES, "10.0.0.0/8")]),
            ["tcp 80 from 10.0.0.0/8", "tcp 80 from pl-a"]
        );
        assert_eq!(rules(&says(&[(name::PREFIX_LISTS, "pl-a")]), &[], "2.7.2").unwrap(), ["tcp 80 from 0.0.0.0/0"], "2.8.0");
    }

    #[test]
    fn the_spec_wins_over_the_annotation_t39() {
        let annotated = says(&[(name::SOURCE_RANGES, "10.0.0.0/8")]);
        assert_eq!(rules(&annotated, &["192.168.0.0/16"], "3.5.0").unwrap(), ["tcp 80 from 192.168.0.0/16"]);
    }

    #[test]
    fn networks_are_canonical_and_of_the_load_balancers_families_1_5() {
        let written = says(&[(name::SOURCE_RANGES, "10.1.2.3/8,10.0.0.0/8")]);
        assert_eq!(rules(&written, &[], "3.5.0").unwrap(), ["tcp 80 from 10.0.0.0/8"]);
        assert!(rules(&says(&[(name::SOURCE_RANGES, "2001:db8::/32")]), &[], "3.5.0").is_err());
        assert!(rules(&says(&[(name::SOURCE_RANGES, "office")]), &[], "3.5.0").is_err());
    }

    #[test]
    fn icmp_is_let_in_from_each_network_1_5() {
        let on = |value: &str| says(&[(name::ENABLE_ICMP, value), (name::IP_ADDRESS_TYPE, "dualstack")]);
        let with = ["icmp 3/4 from 0.0.0.0/0", "icmpv6 2/0 from ::/0", "tcp 80 from 0.0.0.0/0", "tcp 80 from ::/0"];
        assert_eq!(rules(&on("on"), &[], "2.12.0").unwrap(), with);
        assert_eq!(rules(&on("true"), &[], "2.12.0").unwrap(), with[2..], "any other text is off");
        assert_eq!(rules(&on("on"), &[], "2.11.0").unwrap(), with[2..], "it is of 2.12.0");
    }

    #[test]
    fn both_protocols_of_a_port_are_let_in_t22() {
        let mut service = service("a/b").port("a", 53, 53, 30053).port("b", 53, 53, 30054).build();
        service.ports[1].protocol = Protocol::Udp;
        let controller = controller("3.5.0").build();
        let Ok(Wanted::Value(rules)) = inbound(&service, Settings::of(Some(&controller))) else { panic!("known") };
        assert_eq!(rules.len(), 2);
    }

    proptest! {
        #[test]
        fn order_duplicates_and_host_bits_make_no_difference_t10(
            ranges in proptest::collection::vec((any::<u32>(), 0_u8..=32), 1..6),
            seed in any::<u32>(),
        ) {
            let text = |items: &[(u32, u8)]| {
                items.iter().map(|(bits, length)| format!("{}/{length}", Ipv4Addr::from(*bits))).collect::<Vec<_>>().join(",")
            };
            let mut other: Vec<(u32, u8)> = ranges
                .iter()
                .map(|(bits, length)| {
                    let mask = u32::MAX.checked_shl(32 - u32::from(*length)).unwrap_or(0);
                    ((bits & mask) | (seed & !mask), *length)
                })
                .collect();
            other.reverse();
            other.push(other[0]);
            let read = |raw: &str| rules(&says(&[(name::SOURCE_RANGES, raw)]), &[], "3.5.0").unwrap();
            prop_assert_eq!(read(&text(&ranges)), read(&text(&other)));
        }
    }
}
