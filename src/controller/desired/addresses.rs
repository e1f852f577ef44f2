//! Which addresses would the controller give the load balancer: Elastic IPs, own private and IPv6 ones, prefixes?

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::controller::annotations::{AnnotationError, Annotations, name};
use crate::inventory::aws::{IpAddressType, Scheme};
use crate::inventory::ids::AllocationId;
use crate::inventory::kube::Service;

use super::load_balancer::ip_address_type;
use super::{Desired, Wanted};

/// Elastic IPs, as a set: which belongs to which subnet depends on the version (T10).
pub fn eip_allocations(service: &Service, scheme: Scheme) -> Desired<BTreeSet<AllocationId>> {
    let Some(list) = Annotations(&service.annotations).list(name::EIP_ALLOCATIONS) else { return Ok(Wanted::Free) };
    if scheme != Scheme::InternetFacing || list.is_empty() {
        let raw = list.join(",");
        return Err(AnnotationError::value(
            name::EIP_ALLOCATIONS,
            &raw,
            "one for each subnet of an internet-facing load balancer",
        ));
    }
    Ok(Wanted::Value(list.into_iter().map(AllocationId::from).collect()))
}

/// Own private addresses, as a set: each belongs to the subnet that contains it.
pub fn private_ipv4_addresses(service: &Service, scheme: Scheme) -> Desired<BTreeSet<IpAddr>> {
    const KEY: &str = name::PRIVATE_IPV4_ADDRESSES;
    let Some(list) = Annotations(&service.annotations).list(KEY) else { return Ok(Wanted::Free) };
    if scheme != Scheme::Internal || list.is_empty() {
        return Err(AnnotationError::value(KEY, &list.join(","), "one for each subnet of an internal load balancer"));
    }
    let read = |text: &str| text.parse::<Ipv4Addr>().map(IpAddr::V4);
    let all: Result<_, _> =
        list.into_iter().map(|text| read(text).map_err(|_| AnnotationError::value(KEY, text, "IPv4 addresses"))).collect();
    all.map(Wanted::Value)
}

/// Own IPv6 addresses, as a set.
pub fn ipv6_addresses(service: &Service) -> Desired<BTreeSet<IpAddr>> {
    const KEY: &str = name::IPV6_ADDRESSES;
    let Some(list) = Annotations(&service.annotations).list(KEY) else { return Ok(Wanted::Free) };
    if ip_address_type(service)? != IpAddressType::Dualstack || list.is_empty() {
        return Err(AnnotationError::value(KEY, &list.join(","), "one for each subnet of a dualstack load balancer"));
    }
    let read = |text: &str| text.parse::<Ipv6Addr>().map(IpAddr::V6);
    let all: Result<_, _> =
        list.into_iter().map(|text| read(text).map_err(|_| AnnotationError::value(KEY, text, "IPv6 addresses"))).collect();
    all.map(Wanted::Value)
}

/// `on` or `off`: whether UDP over IPv6 has source addresses of its own; off is enforced without the annotation.
pub fn ipv6_source_nat(service: &Service) -> Result<&str, AnnotationError> {
    match Annotations(&service.annotations).text(name::ENABLE_IPV6_SOURCE_NAT) {
        None => Ok("off"),
        Some(known @ ("on" | "off")) => Ok(known),
        Some(raw) => Err(AnnotationError::value(name::ENABLE_IPV6_SOURCE_NAT, raw, "on or off")),
    }
}

/// The prefixes for that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceNatPrefixes {
    /// Those that are named.
    pub named: BTreeSet<IpNet>,
    /// Other subnets have one that AWS chooses.
    pub others: bool,
}

/// The prefixes of the subnets, as a set.
pub fn source_nat_prefixes(service: &Service) -> Desired<SourceNatPrefixes> {
    const KEY: &str = name::SOURCE_NAT_PREFIXES;
    let Some(list) = Annotations(&service.annotations).list(KEY) else { return Ok(Wanted::Free) };
    if ipv6_source_nat(service)? != "on" || ip_address_type(service)? != IpAddressType::Dualstack || list.is_empty() {
        return Err(AnnotationError::value(
            KEY,
            &list.join(","),
            "one for each subnet, with source NAT for IPv6 on, and dualstack",
        ));
    }
    let mut wanted = SourceNatPrefixes { named: BTreeSet::new(), others: false };
    for text in list {
        if text == "auto_assigned" {
            wanted.others = true;
            continue;
        }
        let prefix = text.parse::<IpNet>().ok().filter(|prefix| prefix.addr().is_ipv6() && prefix.prefix_len() == 80);
        wanted.named.insert(prefix.ok_or_else(|| AnnotationError::value(KEY, text, "auto_assigned or an IPv6 /80"))?.trunc());
    }
    Ok(Wanted::Value(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::service;

    const DUALSTACK: (&str, &str) = (name::IP_ADDRESS_TYPE, "dualstack");

    fn with(says: &[(&str, &str)]) -> Service {
        says.iter().fold(service("a/b"), |builder, (key, value)| builder.annotate(key, value)).build()
    }

    #[test]
    fn elastic_ips_are_for_internet_facing_load_balancers_1_4() {
        let some = with(&[(name::EIP_ALLOCATIONS, "eipalloc-b, eipalloc-a,eipalloc-a")]);
        let both = BTreeSet::from(["eipalloc-a".into(), "eipalloc-b".into()]);
        assert_eq!(eip_allocations(&some, Scheme::InternetFacing), Ok(Wanted::Value(both)));
        assert!(eip_allocations(&some, Scheme::Internal).is_err());
        assert!(eip_allocations(&with(&[(name::EIP_ALLOCATIONS, "")]), Scheme::InternetFacing).is_err(), "1.2");
        assert_eq!(eip_allocations(&with(&[]), Scheme::Internal), Ok(Wanted::Free));
    }

    #[test]
    fn private_addresses_are_for_internal_load_balancers_1_4() {
        let some = with(&[(name::PRIVATE_IPV4_ADDRESSES, "10.0.1.5,10.0.0.5")]);
        let both = BTreeSet::from(["10.0.0.5".parse().unwrap(), "10.0.1.5".parse().unwrap()]);
        assert_eq!(private_ipv4_addresses(&some, Scheme::Internal), Ok(Wanted::Value(both)));
        assert!(private_ipv4_addresses(&some, Scheme::InternetFacing).is_err());
        for bad in ["10.0.0.256", "fd00::1", "web"] {
            assert!(private_ipv4_addresses(&with(&[(name::PRIVATE_IPV4_ADDRESSES, bad)]), Scheme::Internal).is_err(), "{bad}");
        }
    }

    #[test]
    fn ipv6_addresses_need_dualstack_and_have_one_spelling_1_4() {
        let key = name::IPV6_ADDRESSES;
        let one = Ok(Wanted::Value(BTreeSet::from(["2001:db8::1".parse().unwrap()])));
        assert_eq!(ipv6_addresses(&with(&[DUALSTACK, (key, "2001:0DB8:0::0001, 2001:db8::1")])), one);
        assert!(ipv6_addresses(&with(&[(key, "2001:db8::1")])).is_err());
        assert!(ipv6_addresses(&with(&[DUALSTACK, (key, "10.0.0.1")])).is_err());
    }

    #[test]
    fn prefixes_need_dualstack_and_the_switch_1_4() {
        let on = (name::ENABLE_IPV6_SOURCE_NAT, "on");
        let key = name::SOURCE_NAT_PREFIXES;
        let wanted = source_nat_prefixes(&with(&[DUALSTACK, on, (key, "auto_assigned,2001:DB8:0:1::/80")]));
        let named = BTreeSet::from(["2001:db8:0:1::/80".parse().unwrap()]);
        assert_eq!(wanted, Ok(Wanted::Value(SourceNatPrefixes { named, others: true })));
        assert!(source_nat_prefixes(&with(&[DUALSTACK, (key, "auto_assigned")])).is_err());
        assert!(source_nat_prefixes(&with(&[on, (key, "auto_assigned")])).is_err());
        for bad in ["2001:db8::/64", "10.0.0.0/8", "x"] {
            assert!(source_nat_prefixes(&with(&[DUALSTACK, on, (key, bad)])).is_err(), "{bad}");
        }
        assert_eq!(ipv6_source_nat(&with(&[])), Ok("off"));
        assert!(ipv6_source_nat(&with(&[(name::ENABLE_IPV6_SOURCE_NAT, "true")])).is_err());
    }
}
