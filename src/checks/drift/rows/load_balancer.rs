//! How are the load balancer's own fields compared: 1.4 and 1.8?

use std::collections::BTreeSet;
use std::fmt::Display;

use crate::controller::annotations::{AnnotationError, Annotations, name};
use crate::controller::desired::addresses;
use crate::controller::desired::load_balancer as desired;
use crate::controller::desired::load_balancer::{LISTENER_TAGGING, WantedTag, additional_tags, annotated_scheme};
use crate::controller::desired::{Desired, Wanted};
use crate::inventory::aws::{IpAddressType, LoadBalancerAddress, Scheme, Tags};

use crate::checks::drift::case::{Case, Seen};
use crate::checks::drift::comparison::{Comparison, Listed, NOT_FETCHED};

/// 1.4: never compared by the controller after creation.
pub(super) fn name(case: &Case<'_>) -> Result<Comparison, AnnotationError> {
    let mut comparison = Comparison::default();
    // An empty one, as a chart writes it that has no name to give, asks for none.
    let wanted = Annotations(&case.service.annotations).text(name::NAME).filter(|wanted| !wanted.is_empty());
    let Some(wanted) = wanted else { return Ok(comparison) };
    if wanted.len() > 32 {
        return Err(AnnotationError::value(name::NAME, wanted, "at most 32 characters"));
    }
    let lb = &case.load_balancer.value.load_balancer;
    comparison.field(format_args!("LoadBalancerName of {}", lb.id), Wanted::Value(wanted), &&*lb.name, case.load_balancer.at);
    Ok(comparison)
}

/// 1.4: compared only where one of the two annotations is there; `scheme` first.
pub(super) fn scheme(case: &Case<'_>, annotation: &str) -> Result<Comparison, AnnotationError> {
    let mut comparison = Comparison::default();
    if let Some((wanted, by)) = annotated_scheme(case.service, case.settings)?
        && by == annotation
    {
        let lb = &case.load_balancer.value.load_balancer;
        comparison.field::<Scheme>(format_args!("Scheme of {}", lb.id), Wanted::Value(wanted), &lb.scheme, case.load_balancer.at);
    }
    Ok(comparison)
}

/// 1.4, T5: ipv4 is enforced without the annotation.
pub(super) fn ip_address_type(case: &Case<'_>) -> Result<Comparison, AnnotationError> {
    let wanted = desired::ip_address_type(case.service)?;
    let lb = &case.load_balancer.value.load_balancer;
    if lb.ip_address_type == IpAddressType::Other {
        return Ok(Comparison::unknown("AWS answers an address type that is not known here"));
    }
    let mut comparison = Comparison::default();
    comparison.field(
        format_args!("IpAddressType of {}", lb.id),
        Wanted::Value(wanted),
        &lb.ip_address_type,
        case.load_balancer.at,
    );
    Ok(comparison)
}

/// 1.4, T3, T9, T10.
pub(super) fn subnets(case: &Case<'_>) -> Result<Comparison, AnnotationError> {
    let mut comparison = Comparison::default();
    if Annotations(&case.service.annotations).text(name::SUBNETS).is_none() {
        return Ok(comparison);
    }
    let Some(known) = case.subnets else { return Ok(Comparison::unknown("the VPC's subnets are not known")) };
    let wanted = desired::subnets(case.service, case.settings, known.value)?.map(Listed);
    let lb = &case.load_balancer.value.load_balancer;
    let actual = Listed(lb.zones.iter().map(|zone| zone.subnet_id.clone()).collect());
    let at = case.load_balancer.at.min(known.at);
    comparison.field(format_args!("subnets of {}", lb.id), wanted, &actual, at);
    Ok(comparison)
}

/// 1.4, T4, T6, T7.
pub(super) fn attributes(case: &Case<'_>, annotation: &str) -> Result<Comparison, AnnotationError> {
    let wanted = desired::attributes(case.service, case.settings)?;
    let mut comparison = Comparison::default();
    comparison.attributes(&wanted, annotation, case.attributes, &case.load_balancer.value.load_balancer.id);
    if annotation == name::ATTRIBUTES {
        comparison.unknown = comparison.unknown.or(wanted.unknown);
    }
    Ok(comparison)
}

/// 1.4, T2, T10: the addresses of all zones, as a set.
fn addresses<T: Ord + Clone + Display>(
    case: &Case<'_>,
    what: &str,
    wanted: Desired<BTreeSet<T>>,
    of: impl Fn(&LoadBalancerAddress) -> Option<T>,
) -> Result<Comparison, AnnotationError> {
    let mut comparison = Comparison::default();
    let wanted = wanted?;
    if wanted != Wanted::Free {
        let lb = &case.load_balancer.value.load_balancer;
        let actual = Listed(lb.zones.iter().flat_map(|zone| &zone.addresses).filter_map(of).collect());
        comparison.field(format_args!("{what} of {}", lb.id), wanted.map(Listed), &actual, case.load_balancer.at);
    }
    Ok(comparison)
}

pub(super) fn eip_allocations(case: &Case<'_>) -> Result<Comparison, AnnotationError> {
    let wanted = addresses::eip_allocations(case.service, case.load_balancer.value.load_balancer.scheme);
    addresses(case, "AllocationId", wanted, |address| address.allocation_id.clone())
}

pub(super) fn private_ipv4_addresses(case: &Case<'_>) -> Result<Comparison, AnnotationError> {
    let wanted = addresses::private_ipv4_addresses(case.service, case.load_balancer.value.load_balancer.scheme);
    addresses(case, "PrivateIPv4Address", wanted, |address| address.private_ipv4)
}

pub(super) fn ipv6_addresses(case: &Case<'_>) -> Result<Comparison, AnnotationError> {
    addresses(case, "IPv6Address", addresses::ipv6_addresses(case.service), |address| address.ipv6)
}

/// 1.4: off is enforced, and nothing means off.
pub(super) fn ipv6_source_nat(case: &Case<'_>) -> Result<Comparison, AnnotationError> {
    let mut comparison = Comparison::default();
    let wanted = Wanted::Value(addresses::ipv6_source_nat(case.service)?);
    let lb = &case.load_balancer.value.load_balancer;
    let actual = lb.enable_prefix_for_ipv6_source_nat.as_deref().filter(|text| !text.is_empty()).unwrap_or("off");
    comparison.field(format_args!("EnablePrefixForIpv6SourceNat of {}", lb.id), wanted, &actual, case.load_balancer.at);
    Ok(comparison)
}

/// 1.4: those that AWS chose are whatever they are.
pub(super) fn source_nat_prefixes(case: &Case<'_>) -> Result<Comparison, AnnotationError> {
    let mut comparison = Comparison::default();
    let wanted = match addresses::source_nat_prefixes(case.service)? {
        Wanted::Value(wanted) => wanted,
        Wanted::Free => return Ok(comparison),
        Wanted::Likely(_, why) | Wanted::Unknown(why) => return Ok(Comparison::unknown(why)),
    };
    let lb = &case.load_balancer.value.load_balancer;
    let mut actual = BTreeSet::new();
    for text in lb.zones.iter().filter_map(|zone| zone.source_nat_ipv6_prefixes.first()) {
        let Ok(prefix) = text.parse::<ipnet::IpNet>() else {
            return Ok(Comparison::unknown("AWS answers a prefix that is none"));
        };
        actual.insert(prefix.trunc());
    }
    let as_wanted = if wanted.others { wanted.named.is_subset(&actual) } else { wanted.named == actual };
    if !as_wanted {
        let place = format_args!("SourceNatIpv6Prefixes of {}", lb.id);
        let also = if wanted.others { " and others" } else { "" };
        let told = format!("{}{also}", Listed(wanted.named));
        comparison.differs(place, told, Listed(actual), case.load_balancer.at);
    }
    Ok(comparison)
}

/// 1.4: 0 and nothing reserved are the same.
pub(super) fn minimum_capacity(case: &Case<'_>) -> Result<Comparison, AnnotationError> {
    let mut comparison = Comparison::default();
    let wanted = desired::minimum_capacity(case.service, case.settings)?;
    if wanted != Wanted::Free {
        let Some(actual) = case.capacity() else { return Ok(Comparison::unknown(NOT_FETCHED)) };
        let lb = &case.load_balancer.value.load_balancer.id;
        comparison.field(format_args!("CapacityUnits of {lb}"), wanted, &actual.value.capacity_units, actual.at);
    }
    Ok(comparison)
}

/// 1.8: on the load balancer, its target groups, its listeners and its managed security group.
pub(super) fn tags(case: &Case<'_>) -> Result<Comparison, AnnotationError> {
    let wanted = match additional_tags(case.service, case.settings)? {
        Wanted::Value(wanted) if !wanted.is_empty() => wanted,
        Wanted::Value(_) | Wanted::Free => return Ok(Comparison::default()),
        Wanted::Likely(_, why) | Wanted::Unknown(why) => return Ok(Comparison::unknown(why)),
    };
    let mut comparison = Comparison::default();
    let mut compare = |tags: Option<Seen<&Tags>>, of: &dyn Display| {
        let Some(tags) = tags else {
            comparison.leave_out(NOT_FETCHED);
            return;
        };
        for (key, value) in &wanted {
            let place = || format!("tag {key} of {of}");
            match (tags.value.get(key.as_str()), value) {
                (Some(found), WantedTag::Value(value)) if **found == **value => {}
                (Some(_), WantedTag::Any) => {}
                (Some(found), WantedTag::Value(value)) => comparison.differs(place(), value, found, tags.at),
                (None, WantedTag::Value(value)) => comparison.differs(place(), value, "missing", tags.at),
                (None, WantedTag::Any) => comparison.differs(place(), "some value", "missing", tags.at),
            }
        }
    };
    let lb = &case.load_balancer.value.load_balancer;
    compare(case.tags(&lb.arn), &lb.id);
    for group in case.groups.iter().chain(&case.replaced).chain(&case.weighted) {
        let group = group.group.value;
        compare(case.tags(&group.arn), &group.id);
    }
    if case.settings.gate(&LISTENER_TAGGING) != Some(false) {
        for listener in case.listeners.iter().flat_map(|all| all.value) {
            compare(case.tags(&listener.arn), &format_args!("the listener of port {} of {}", listener.port, lb.id));
        }
    }
    if let Some(known) = case.security_groups {
        for id in known.value.managed(&case.service.name, &lb.vpc_id) {
            compare(known.value.tags(&id).map(|tags| Seen { value: tags, at: known.at }), &id);
        }
    }
    Ok(comparison)
}
