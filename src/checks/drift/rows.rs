//! Which annotations are compared, since which version, and who repairs a difference? One row an annotation; a new one is a
//! row and a function.

mod listener;
mod load_balancer;
mod security_group;
mod target_group;

use crate::controller::annotations::{AnnotationError, name};
use crate::controller::desired::Wanted;
use crate::inventory::kube::Version;

use super::case::Case;
use super::comparison::Comparison;

/// Who repairs a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repair {
    /// The controller, at its next reconcile.
    Automatic,
    /// Nobody: the field is written at creation only (T2).
    Never,
}

impl Repair {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::Never => "never",
        }
    }
}

/// One annotation.
#[derive(Debug)]
pub(super) struct Row {
    /// Its name without prefix and port: the label.
    pub(super) annotation: &'static str,
    /// The first version that reads it.
    pub(super) since: Version,
    /// Who repairs a difference.
    pub(super) repair: Repair,
    /// The comparison; an error means that the controller refuses the Service as it is.
    pub(super) compare: fn(&Case<'_>) -> Result<Comparison, AnnotationError>,
}

/// What decides the listeners beside annotations: the label of differences that no annotation explains.
pub(super) const SPEC_PORTS: &str = "spec.ports";

const fn row(
    annotation: &'static str,
    since: (u32, u32, u32),
    repair: Repair,
    compare: fn(&Case<'_>) -> Result<Comparison, AnnotationError>,
) -> Row {
    Row { annotation, since: Version::new(since.0, since.1, since.2), repair, compare }
}

/// All annotations that are compared, in the order of findings.
pub(super) static ROWS: &[Row] = &[
    row(name::NAME, (2, 2, 0), Repair::Never, load_balancer::name),
    row(name::SCHEME, (2, 2, 0), Repair::Automatic, |case| load_balancer::scheme(case, name::SCHEME)),
    row(name::INTERNAL, (2, 0, 0), Repair::Automatic, |case| load_balancer::scheme(case, name::INTERNAL)),
    row(name::IP_ADDRESS_TYPE, (2, 1, 0), Repair::Automatic, load_balancer::ip_address_type),
    row(name::SUBNETS, (2, 1, 0), Repair::Automatic, load_balancer::subnets),
    row(name::EIP_ALLOCATIONS, (2, 0, 0), Repair::Never, load_balancer::eip_allocations),
    row(name::PRIVATE_IPV4_ADDRESSES, (2, 2, 0), Repair::Never, load_balancer::private_ipv4_addresses),
    row(name::IPV6_ADDRESSES, (2, 4, 4), Repair::Never, load_balancer::ipv6_addresses),
    row(name::ENABLE_IPV6_SOURCE_NAT, (2, 10, 0), Repair::Automatic, load_balancer::ipv6_source_nat),
    row(name::SOURCE_NAT_PREFIXES, (2, 10, 0), Repair::Automatic, load_balancer::source_nat_prefixes),
    row(name::ATTRIBUTES, (2, 3, 0), Repair::Automatic, |case| load_balancer::attributes(case, name::ATTRIBUTES)),
    row(name::ACCESS_LOG_ENABLED, (2, 0, 0), Repair::Automatic, |case| load_balancer::attributes(case, name::ACCESS_LOG_ENABLED)),
    row(name::ACCESS_LOG_BUCKET, (2, 0, 0), Repair::Automatic, |case| load_balancer::attributes(case, name::ACCESS_LOG_BUCKET)),
    row(name::ACCESS_LOG_PREFIX, (2, 0, 0), Repair::Automatic, |case| load_balancer::attributes(case, name::ACCESS_LOG_PREFIX)),
    row(name::CROSS_ZONE, (2, 0, 0), Repair::Automatic, |case| load_balancer::attributes(case, name::CROSS_ZONE)),
    row(name::MINIMUM_CAPACITY, (2, 11, 0), Repair::Automatic, load_balancer::minimum_capacity),
    row(name::ADDITIONAL_TAGS, (2, 0, 0), Repair::Automatic, load_balancer::tags),
    row(name::SECURITY_GROUPS, (2, 6, 0), Repair::Automatic, security_group::groups),
    row(name::MANAGE_BACKEND_RULES, (2, 6, 0), Repair::Automatic, security_group::backend),
    row(name::DISABLE_NLB_SG, (2, 14, 0), Repair::Never, security_group::disabled),
    row(name::PRIVATE_LINK_RULES, (2, 8, 0), Repair::Automatic, security_group::private_link),
    row(name::SOURCE_RANGES, (2, 6, 0), Repair::Automatic, |case| security_group::rules(case, name::SOURCE_RANGES)),
    row(name::PREFIX_LISTS, (2, 8, 0), Repair::Automatic, |case| security_group::rules(case, name::PREFIX_LISTS)),
    row(name::ENABLE_ICMP, (2, 12, 0), Repair::Automatic, |case| security_group::rules(case, name::ENABLE_ICMP)),
    row(SPEC_PORTS, (2, 0, 0), Repair::Automatic, |case| listener::protocols(case, SPEC_PORTS)),
    row(name::SSL_PORTS, (2, 0, 0), Repair::Automatic, |case| listener::protocols(case, name::SSL_PORTS)),
    row(name::BACKEND_PROTOCOL, (2, 0, 0), Repair::Automatic, |case| listener::protocols(case, name::BACKEND_PROTOCOL)),
    row(name::ENABLE_TCP_UDP_LISTENER, (2, 0, 0), Repair::Automatic, |case| {
        listener::protocols(case, name::ENABLE_TCP_UDP_LISTENER)
    }),
    row(name::QUIC_PORTS, (2, 0, 0), Repair::Automatic, |case| listener::protocols(case, name::QUIC_PORTS)),
    row(name::SSL_CERT, (2, 0, 0), Repair::Automatic, listener::certificates),
    row(name::SSL_POLICY, (2, 0, 0), Repair::Automatic, listener::policy),
    row(name::ALPN_POLICY, (2, 1, 0), Repair::Automatic, listener::alpn),
    row(name::LISTENER_ATTRIBUTES, (2, 9, 0), Repair::Automatic, listener::attributes),
    row(name::ACTIONS, (2, 0, 0), Repair::Automatic, listener::actions),
    row(name::TARGET_TYPE, (2, 2, 0), Repair::Automatic, target_group::target_type),
    row(name::TARGET_GROUP_ATTRIBUTES, (2, 1, 0), Repair::Automatic, |case| {
        target_group::attributes(case, name::TARGET_GROUP_ATTRIBUTES)
    }),
    row(name::PROXY_PROTOCOL, (2, 0, 0), Repair::Automatic, |case| target_group::attributes(case, name::PROXY_PROTOCOL)),
    row(name::PROXY_PROTOCOL_PER_GROUP, (2, 13, 0), Repair::Automatic, |case| {
        target_group::attributes(case, name::PROXY_PROTOCOL_PER_GROUP)
    }),
    row(name::HEALTH_CHECK_PROTOCOL, (2, 0, 0), Repair::Automatic, |case| {
        target_group::health(
            case,
            "HealthCheckProtocol",
            |c| Ok(Wanted::Value(c.protocol()?.to_owned())),
            |c| c.protocol.to_string(),
        )
    }),
    row(name::HEALTH_CHECK_PORT, (2, 0, 0), Repair::Automatic, |case| {
        target_group::health(case, "HealthCheckPort", |c| c.port(), |c| c.port.to_string())
    }),
    row(name::HEALTH_CHECK_PATH, (2, 0, 0), Repair::Automatic, |case| {
        target_group::http_health(case, "HealthCheckPath", |c| c.path(), |c| c.path.as_deref().unwrap_or_default().to_owned())
    }),
    row(name::SUCCESS_CODES, (2, 4, 6), Repair::Automatic, |case| {
        target_group::http_health(
            case,
            "Matcher.HttpCode",
            |c| c.success_codes(),
            |c| c.success_codes.as_deref().unwrap_or_default().to_owned(),
        )
    }),
    row(name::HEALTH_CHECK_INTERVAL, (2, 0, 0), Repair::Automatic, |case| {
        target_group::health(case, "HealthCheckIntervalSeconds", |c| c.interval().map(Wanted::Value), |c| c.interval_seconds)
    }),
    row(name::HEALTH_CHECK_TIMEOUT, (2, 4, 6), Repair::Automatic, |case| {
        target_group::health(case, "HealthCheckTimeoutSeconds", |c| c.timeout(), |c| c.timeout_seconds)
    }),
    row(name::HEALTHY_THRESHOLD, (2, 0, 0), Repair::Automatic, |case| {
        target_group::health(case, "HealthyThresholdCount", |c| c.healthy_threshold().map(Wanted::Value), |c| c.healthy_threshold)
    }),
    row(name::UNHEALTHY_THRESHOLD, (2, 0, 0), Repair::Automatic, |case| {
        target_group::health(
            case,
            "UnhealthyThresholdCount",
            |c| c.unhealthy_threshold().map(Wanted::Value),
            |c| c.unhealthy_threshold,
        )
    }),
    row(name::TARGET_NODE_LABELS, (2, 2, 0), Repair::Automatic, target_group::node_labels),
    row(name::MULTI_CLUSTER, (2, 10, 0), Repair::Automatic, target_group::multi_cluster),
];
