//! Which values are too old to be shown? They are forgotten in the picture; their age and failure stay.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::part::Part;
use super::parts::{Parts, PerResource, SourceStatus, source};
use super::snapshot::Expiry;

/// How old what a source brought may be at most.
pub(crate) fn oldest_shown(sources: &BTreeMap<Arc<str>, SourceStatus>, name: &str, now: Timestamp, expiry: Expiry) -> Timestamp {
    let interval = sources.get(name).map_or(0, |status| status.interval_seconds);
    let allowed = expiry.max_staleness.as_secs().max(interval.saturating_mul(3));
    let allowed = SignedDuration::from_secs(i64::try_from(allowed).unwrap_or(i64::MAX));
    now.saturating_sub(allowed).unwrap_or(Timestamp::MIN)
}

/// Empties every part whose last complete value is older than allowed.
///
/// Blindness must never read as recovery: a failure alone changes nothing, and a value that vanishes does so together with
/// everything that was judged on it.
pub(super) fn forget_stale(parts: &mut Parts, now: Timestamp, expiry: Expiry) {
    let sources = Arc::clone(&parts.sources);
    let oldest = |name: &str| oldest_shown(&sources, name, now, expiry);
    macro_rules! forget {
        ($($field:ident by $source:ident),+ $(,)?) => { $(forget_one(&mut parts.$field, oldest(source::$source));)+ };
    }
    macro_rules! forget_each {
        ($($field:ident by $source:ident),+ $(,)?) => { $(forget_resources(&mut parts.$field, oldest(source::$source));)+ };
    }
    forget!(
        load_balancers by LOAD_BALANCERS,
        target_groups by TARGET_GROUPS,
        subnets by SUBNETS,
        route_tables by ROUTE_TABLES,
        availability_zones by AVAILABILITY_ZONES,
        vpcs by VPCS,
        security_groups by SECURITY_GROUPS,
        network_interfaces by NETWORK_INTERFACES,
        prefix_lists by PREFIX_LISTS,
        addresses by ADDRESSES,
        quotas by SERVICE_QUOTAS,
        quota_requests by QUOTA_REQUESTS,
        services by SERVICES,
        endpoint_slices by ENDPOINT_SLICES,
        nodes by NODES,
        target_group_bindings by TARGET_GROUP_BINDINGS,
        reconciles by EVENTS,
        controllers by CONTROLLER,
        leader_lease by LEADER_LEASE,
        vpc_cni by VPC_CNI,
        gateways by GATEWAYS,
        gateway_classes by GATEWAY_CLASSES,
        routes by ROUTES,
        eks_cluster by EKS_CLUSTER,
    );
    forget_each!(
        tags by TAGS,
        listeners by LISTENERS,
        listener_certificates by LISTENER_CERTIFICATES,
        listener_attributes by LISTENER_ATTRIBUTES,
        capacity_reservations by CAPACITY_RESERVATIONS,
        load_balancer_attributes by LOAD_BALANCER_ATTRIBUTES,
        target_group_attributes by TARGET_GROUP_ATTRIBUTES,
        target_health by TARGET_HEALTH,
    );
}

fn forget_one<T>(part: &mut Part<T>, oldest: Timestamp) {
    if part.is_stale(oldest) {
        part.value = None;
        part.fetched_at = None;
        part.arrived_at = None;
    }
}

fn forget_resources<K: Ord + Clone, T>(parts: &mut PerResource<K, T>, oldest: Timestamp) {
    // Looked for first, so that the usual case copies nothing.
    if parts.values().any(|part| part.is_stale(oldest)) {
        let kept: &mut BTreeMap<K, Part<T>> = Arc::make_mut(parts);
        kept.values_mut().for_each(|part| forget_one(part, oldest));
    }
}
