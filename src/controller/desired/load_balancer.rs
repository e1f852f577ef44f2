//! What would the controller make of the load balancer itself: scheme, address type, subnets, attributes, tags?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::controller::annotations::{AnnotationError, Annotations, name, parse_bool, parse_integer};
use crate::controller::settings::{DEFAULT_TAGS_LOW_PRIORITY, Gate, Settings};
use crate::inventory::aws::{IpAddressType, Scheme, Subnet};
use crate::inventory::ids::SubnetId;
use crate::inventory::kube::{Service, Version};

use super::{Desired, Wanted, WantedAttributes, read_map};

/// Minimum capacities are set.
static CAPACITY_RESERVATION: Gate =
    Gate { name: "LBCapacityReservation", since: Version::new(2, 11, 0), default: true, before: false };
/// Tags are set on listeners too.
pub static LISTENER_TAGGING: Gate =
    Gate { name: "ListenerRulesTagging", since: Version::new(2, 3, 1), default: true, before: false };

/// The scheme that the annotations name, and which annotation does; `None` when neither of the two is there: an existing
/// load balancer then keeps its scheme.
pub fn annotated_scheme(service: &Service, settings: Settings<'_>) -> Result<Option<(Scheme, &'static str)>, AnnotationError> {
    let annotations = Annotations(&service.annotations);
    if let Some(raw) = annotations.text(name::SCHEME).filter(|_| settings.at_least(Version::new(2, 2, 0))) {
        let scheme =
            Scheme::parse(raw).ok_or_else(|| AnnotationError::value(name::SCHEME, raw, "internal or internet-facing"))?;
        return Ok(Some((scheme, name::SCHEME)));
    }
    let internal = annotations.boolean(name::INTERNAL)?;
    Ok(internal.map(|yes| (if yes { Scheme::Internal } else { Scheme::InternetFacing }, name::INTERNAL)))
}

/// The scheme a Service's load balancer has or would get: annotation, else the existing one's, else the flag.
pub fn scheme(service: &Service, existing: Option<Scheme>, settings: Settings<'_>) -> Desired<Scheme> {
    if let Some((scheme, _)) = annotated_scheme(service, settings)? {
        return Ok(Wanted::Value(scheme));
    }
    if let Some(scheme) = existing {
        return Ok(Wanted::Value(scheme));
    }
    if !settings.at_least(Version::new(2, 2, 0)) {
        return Ok(Wanted::Value(Scheme::InternetFacing));
    }
    if !settings.at_least(Version::new(2, 11, 0)) {
        return Ok(Wanted::Value(Scheme::Internal));
    }
    Ok(match settings.flag("default-load-balancer-scheme", "internal").map(Scheme::parse) {
        Some(Some(scheme)) => Wanted::Value(scheme),
        _ => Wanted::Likely(Scheme::Internal, "the controller's --default-load-balancer-scheme is not known"),
    })
}

/// The address type: `ipv4` is enforced when nothing is said.
pub fn ip_address_type(service: &Service) -> Result<IpAddressType, AnnotationError> {
    match Annotations(&service.annotations).text(name::IP_ADDRESS_TYPE) {
        None | Some("ipv4") => Ok(IpAddressType::Ipv4),
        Some("dualstack") => Ok(IpAddressType::Dualstack),
        Some(raw) => Err(AnnotationError::value(name::IP_ADDRESS_TYPE, raw, "ipv4 or dualstack")),
    }
}

/// The subnets that the annotation names, by ID or by the tag `Name` (T9); free without it: the existing load balancer's
/// are kept for ever (T3). `subnets` are those of the cluster's VPC, all of them.
pub fn subnets(
    service: &Service,
    settings: Settings<'_>,
    subnets: &BTreeMap<SubnetId, Arc<Subnet>>,
) -> Desired<BTreeSet<SubnetId>> {
    let Some(list) = Annotations(&service.annotations).list(name::SUBNETS) else { return Ok(Wanted::Free) };
    if list.is_empty() {
        return Err(AnnotationError::value(name::SUBNETS, "", "at least one subnet"));
    }
    let mut wanted = BTreeSet::new();
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for element in list {
        if element.starts_with("subnet-") {
            wanted.insert(SubnetId::from(element));
        } else if element.contains(['*', '?']) {
            // EC2 takes the name for a pattern then.
            return Ok(Wanted::Unknown("a subnet's name in the annotation is a pattern"));
        } else {
            *names.entry(element).or_default() += 1;
        }
    }
    for (text, times) in names {
        let mut found: Vec<&SubnetId> =
            subnets.values().filter(|subnet| named(&subnet.tags, text)).map(|subnet| &subnet.id).collect();
        found.sort();
        if found.is_empty() {
            return Err(AnnotationError::unresolved(name::SUBNETS, text, "a subnet's tag Name"));
        }
        // Since 3.2.0 a name used n times takes the first n subnets of that name; before, several of one name were refused.
        if found.len() > 1 && settings.version().is_none_or(|version| version < Version::new(3, 2, 0)) {
            return Ok(Wanted::Unknown("several subnets bear a name that the annotation uses"));
        }
        if times > found.len() {
            return Err(AnnotationError::unresolved(name::SUBNETS, text, "another subnet of this name"));
        }
        wanted.extend(found.into_iter().take(times).cloned());
    }
    Ok(Wanted::Value(wanted))
}

fn named(tags: &crate::inventory::aws::Tags, text: &str) -> bool {
    tags.get("Name").is_some_and(|name| &**name == text)
}

/// Attributes of the load balancer. The three deprecated annotations win over `attributes` where they write the same key.
pub fn attributes(service: &Service, settings: Settings<'_>) -> Result<WantedAttributes, AnnotationError> {
    const ROUTING: &str = "dns_record.client_routing_policy";
    const POLICIES: &[&str] = &["any_availability_zone", "partial_availability_zone_affinity", "availability_zone_affinity"];
    let annotations = Annotations(&service.annotations);
    let mut wanted = WantedAttributes::default();
    if settings.at_least(Version::new(2, 3, 0)) {
        match read_map(annotations, name::ATTRIBUTES, settings)? {
            Wanted::Value(pairs) => {
                if let Some(policy) = pairs.get(ROUTING).filter(|policy| !POLICIES.contains(&policy.as_str())) {
                    return Err(AnnotationError::value(name::ATTRIBUTES, policy, "a known client routing policy"));
                }
                for (key, value) in pairs {
                    wanted.set(&key, value, name::ATTRIBUTES);
                }
            }
            Wanted::Free => {}
            Wanted::Likely(_, why) | Wanted::Unknown(why) => wanted.unknown = Some(why),
        }
    }
    // `false` switches nothing off: it says nothing (T6).
    if annotations.boolean(name::ACCESS_LOG_ENABLED)? == Some(true) {
        wanted.set("access_logs.s3.enabled", "true", name::ACCESS_LOG_ENABLED);
        if let Some(bucket) = annotations.text(name::ACCESS_LOG_BUCKET) {
            wanted.set("access_logs.s3.bucket", bucket, name::ACCESS_LOG_BUCKET);
        }
        if let Some(prefix) = annotations.text(name::ACCESS_LOG_PREFIX) {
            wanted.set("access_logs.s3.prefix", prefix, name::ACCESS_LOG_PREFIX);
        }
    }
    // Here `false` is enforced too (T6).
    if let Some(cross_zone) = annotations.boolean(name::CROSS_ZONE)? {
        wanted.set("load_balancing.cross_zone.enabled", cross_zone.to_string(), name::CROSS_ZONE);
    }
    Ok(wanted)
}

/// What the value of a tag should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WantedTag {
    /// This.
    Value(String),
    /// Something: `--default-tags`, which are not known, may give it another value than the annotation does.
    Any,
}

/// Tags the annotation asks for on the load balancer, its target groups and its managed security group.
///
/// Only these: tracking tags win over them, so do `--default-tags` without the gate, and tags that nobody asked for are not
/// a difference of this annotation.
pub fn additional_tags(service: &Service, settings: Settings<'_>) -> Desired<BTreeMap<String, WantedTag>> {
    let annotations = Annotations(&service.annotations);
    let pairs = match read_map(annotations, name::ADDITIONAL_TAGS, settings)? {
        Wanted::Value(pairs) => pairs,
        Wanted::Free => return Ok(Wanted::Free),
        Wanted::Likely(_, why) | Wanted::Unknown(why) => return Ok(Wanted::Unknown(why)),
    };
    if let Some(key) = settings.list("external-managed-tags").into_iter().flatten().find(|key| pairs.contains_key(*key)) {
        return Err(AnnotationError::value(name::ADDITIONAL_TAGS, key, "a key that --external-managed-tags does not name"));
    }
    let defaults = settings.pairs("default-tags");
    let annotation_wins = settings.gate(&DEFAULT_TAGS_LOW_PRIORITY) == Some(true);
    let mut wanted = BTreeMap::new();
    for (key, value) in pairs {
        if matches!(&*key, "elbv2.k8s.aws/cluster" | "service.k8s.aws/stack" | "service.k8s.aws/resource") {
            continue;
        }
        match &defaults {
            _ if annotation_wins => wanted.insert(key, WantedTag::Value(value)),
            None => wanted.insert(key, WantedTag::Any),
            Some(defaults) if defaults.iter().any(|(default, _)| *default == key) => continue,
            Some(_) => wanted.insert(key, WantedTag::Value(value)),
        };
    }
    Ok(Wanted::Value(wanted))
}

/// The minimum capacity, in units: kept as it is without the annotation.
pub fn minimum_capacity(service: &Service, settings: Settings<'_>) -> Desired<i32> {
    const KEY: &str = name::MINIMUM_CAPACITY;
    const UNITS: &str = "CapacityUnits";
    let pairs = match read_map(Annotations(&service.annotations), KEY, settings)? {
        Wanted::Value(pairs) if !pairs.is_empty() => pairs,
        Wanted::Value(_) | Wanted::Free => return Ok(Wanted::Free),
        Wanted::Likely(_, why) | Wanted::Unknown(why) => return Ok(Wanted::Unknown(why)),
    };
    let units = pairs.get(UNITS).filter(|_| pairs.len() == 1).and_then(|text| parse_integer(text));
    let Some(units) = units else {
        let raw = Annotations(&service.annotations).text(KEY).unwrap_or_default();
        return Err(AnnotationError::value(KEY, raw, "CapacityUnits and a number"));
    };
    Ok(match settings.gate(&CAPACITY_RESERVATION) {
        Some(true) => Wanted::Value(units),
        Some(false) => Wanted::Free,
        None => Wanted::Likely(units, "the controller's gates are not known"),
    })
}

/// `on` or `off`: whether traffic through PrivateLink passes the security groups; kept as it is without the annotation.
pub fn private_link_rules(service: &Service) -> Desired<&str> {
    match Annotations(&service.annotations).text(name::PRIVATE_LINK_RULES) {
        None => Ok(Wanted::Free),
        Some(known @ ("on" | "off")) => Ok(Wanted::Value(known)),
        Some(raw) => Err(AnnotationError::value(name::PRIVATE_LINK_RULES, raw, "on or off")),
    }
}

/// Whether the annotation wants the load balancer to be without security groups.
pub fn without_security_groups(service: &Service, settings: Settings<'_>) -> Result<bool, AnnotationError> {
    if !settings.at_least(Version::new(2, 14, 0)) {
        return Ok(false);
    }
    Ok(Annotations(&service.annotations).boolean(name::DISABLE_NLB_SG)? == Some(true))
}

/// The value that an attribute must have to be a boolean of Go.
pub(super) fn must_be_bool(annotation: &str, key: &str, pairs: &BTreeMap<String, String>) -> Result<(), AnnotationError> {
    match pairs.get(key) {
        Some(value) if parse_bool(value).is_none() => {
            Err(AnnotationError::value(annotation, value, "a boolean for preserve_client_ip.enabled"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
