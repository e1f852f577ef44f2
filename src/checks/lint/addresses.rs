//! Do static addresses fit the scheme, the address type and the number of subnets?

use super::case::Case;
use super::problem::{Rule, quoted};
use crate::controller::annotations::{name, parse_list};
use crate::inventory::aws::Scheme;

pub(super) fn check(case: &mut Case<'_>) {
    scheme(case);
    address_type(case);
    counts(case);
    containment(case);
}

fn scheme(case: &mut Case<'_>) {
    for (text, needed) in [(name::EIP_ALLOCATIONS, Scheme::InternetFacing), (name::PRIVATE_IPV4_ADDRESSES, Scheme::Internal)] {
        if case.read(text).is_some() && case.scheme().is_some_and(|scheme| scheme != needed) {
            let message = format!(
                "{text} is for {needed} load balancers, and this one is {}: the controller refuses the Service.",
                if needed == Scheme::Internal { Scheme::InternetFacing } else { Scheme::Internal }
            );
            case.tell(Rule::Addresses, text, message);
        }
    }
}

fn address_type(case: &mut Case<'_>) {
    if case.dualstack() != Some(false) {
        let prefixes = case.read(name::SOURCE_NAT_PREFIXES).is_some();
        if prefixes && case.read(name::ENABLE_IPV6_SOURCE_NAT) != Some("on") {
            let message = format!("{} needs {} on.", name::SOURCE_NAT_PREFIXES, name::ENABLE_IPV6_SOURCE_NAT);
            case.tell(Rule::Addresses, name::SOURCE_NAT_PREFIXES, message);
        }
        return;
    }
    for text in [name::IPV6_ADDRESSES, name::SOURCE_NAT_PREFIXES] {
        if case.read(text).is_some() {
            let message = format!("{text} needs {} dualstack: the controller refuses the Service.", name::IP_ADDRESS_TYPE);
            case.tell(Rule::Addresses, text, message);
        }
    }
}

/// One address a subnet (1.4).
fn counts(case: &mut Case<'_>) {
    for text in [name::EIP_ALLOCATIONS, name::PRIVATE_IPV4_ADDRESSES, name::IPV6_ADDRESSES, name::SOURCE_NAT_PREFIXES] {
        let Some(list) = case.read(text).map(parse_list) else { continue };
        if list.is_empty() {
            let message = format!("{text} is there and empty: the controller refuses the Service, for it needs one a subnet.");
            case.tell(Rule::Addresses, text, message);
        } else if let Some((subnets, how)) = case.subnets().filter(|(subnets, _)| *subnets != list.len()) {
            let message = format!(
                "{text} has {} entries and {how} {subnets} subnets: the controller refuses the Service, for it needs one each.",
                list.len()
            );
            case.tell(Rule::Addresses, text, message);
        }
    }
}

/// Each address lies in one of the subnets that the annotation names by ID.
fn containment(case: &mut Case<'_>) {
    let Some((network, _)) = case.known.network else { return };
    let Some(named) = case.annotations.list(name::SUBNETS) else { return };
    let Some(subnets) = named.iter().map(|id| network.subnets.get(*id)).collect::<Option<Vec<_>>>() else { return };
    for text in [name::PRIVATE_IPV4_ADDRESSES, name::IPV6_ADDRESSES] {
        let Some(list) = case.read(text).map(parse_list) else { continue };
        for item in list {
            let Ok(address) = item.parse::<std::net::IpAddr>() else { continue };
            let holds = |subnet: &std::sync::Arc<crate::inventory::aws::Subnet>| {
                subnet.cidr.iter().chain(&subnet.ipv6_cidrs).any(|cidr| cidr.contains(&address))
            };
            if !subnets.iter().any(|subnet| holds(subnet)) {
                let message = format!("{text} has {}, which lies in none of the subnets of {}.", quoted(item), name::SUBNETS);
                case.tell(Rule::Addresses, text, message);
            }
        }
    }
}
