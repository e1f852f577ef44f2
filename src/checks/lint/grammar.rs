//! Which annotations does the controller read, since when, and in what form? One row a name (names and versions of 1.4–1.8).

use crate::controller::annotations::name;
use crate::inventory::kube::Version;

/// The form of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Any text.
    Text,
    /// A boolean of Go.
    Bool,
    /// A whole number, within what AWS accepts.
    Integer(i32, i32),
    /// A map of `key=value` pairs.
    Map,
    /// One of these, exactly; the controller refuses anything else.
    OneOf(&'static [&'static str]),
    /// A list of which every element begins so; AWS refuses anything else.
    Ids(&'static str),
    /// A list of IP addresses of one family (4 or 6).
    Addresses(u8),
    /// A list of port numbers.
    Numbers,
}

/// What stands after a dot at the end of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suffix {
    /// Nothing.
    None,
    /// A port's number, or nothing.
    Port,
    /// `PROTOCOL-PORT`, always.
    Listener,
}

/// An annotation that the controller reads.
#[derive(Debug)]
pub(super) struct Annotation {
    pub(super) name: &'static str,
    pub(super) since: Version,
    pub(super) form: Form,
    pub(super) suffix: Suffix,
}

const fn row(name: &'static str, (major, minor, patch): (u32, u32, u32), form: Form) -> Annotation {
    Annotation { name, since: Version::new(major, minor, patch), form, suffix: Suffix::None }
}

const fn with(annotation: Annotation, suffix: Suffix) -> Annotation {
    Annotation { suffix, ..annotation }
}

/// Policies of ALPN.
const ALPN: &[&str] = &["None", "HTTP1Only", "HTTP2Only", "HTTP2Optional", "HTTP2Preferred"];

/// Every annotation of 1.1. Ranges of numbers are those of `CreateTargetGroup`.
pub(super) static ANNOTATIONS: &[Annotation] = &[
    row(name::SOURCE_RANGES, (2, 0, 0), Form::Text),
    with(row(name::ACTIONS, (2, 16, 0), Form::Text), Suffix::Listener),
    row(name::ACCESS_LOG_ENABLED, (2, 0, 0), Form::Bool),
    row(name::ACCESS_LOG_BUCKET, (2, 0, 0), Form::Text),
    row(name::ACCESS_LOG_PREFIX, (2, 0, 0), Form::Text),
    row(name::ADDITIONAL_TAGS, (2, 0, 0), Form::Map),
    row(name::ALPN_POLICY, (2, 1, 0), Form::OneOf(ALPN)),
    row(name::ATTRIBUTES, (2, 3, 0), Form::Map),
    row(name::BACKEND_PROTOCOL, (2, 0, 0), Form::Text),
    row(name::CROSS_ZONE, (2, 0, 0), Form::Bool),
    row(name::DISABLE_NLB_SG, (2, 14, 0), Form::Bool),
    row(name::EIP_ALLOCATIONS, (2, 0, 0), Form::Ids("eipalloc-")),
    row(name::ENABLE_ICMP, (2, 12, 0), Form::Text),
    row(name::ENABLE_IPV6_SOURCE_NAT, (2, 10, 0), Form::Text),
    row(name::ENABLE_TCP_UDP_LISTENER, (2, 13, 0), Form::Text),
    row(name::HEALTHY_THRESHOLD, (2, 0, 0), Form::Integer(2, 10)),
    row(name::HEALTH_CHECK_INTERVAL, (2, 0, 0), Form::Integer(5, 300)),
    row(name::HEALTH_CHECK_PATH, (2, 0, 0), Form::Text),
    row(name::HEALTH_CHECK_PORT, (2, 0, 0), Form::Text),
    row(name::HEALTH_CHECK_PROTOCOL, (2, 0, 0), Form::Text),
    row(name::SUCCESS_CODES, (2, 4, 6), Form::Text),
    row(name::HEALTH_CHECK_TIMEOUT, (2, 4, 6), Form::Integer(2, 120)),
    row(name::UNHEALTHY_THRESHOLD, (2, 0, 0), Form::Integer(2, 10)),
    row(name::PRIVATE_LINK_RULES, (2, 8, 0), Form::OneOf(&["on", "off"])),
    row(name::INTERNAL, (2, 0, 0), Form::Bool),
    row(name::IP_ADDRESS_TYPE, (2, 1, 0), Form::OneOf(&["ipv4", "dualstack"])),
    row(name::IPV6_ADDRESSES, (2, 4, 4), Form::Addresses(6)),
    with(row(name::LISTENER_ATTRIBUTES, (2, 9, 0), Form::Map), Suffix::Listener),
    row(name::MANAGE_BACKEND_RULES, (2, 4, 0), Form::Bool),
    row(name::MINIMUM_CAPACITY, (2, 11, 0), Form::Map),
    row(name::MULTI_CLUSTER, (2, 10, 0), Form::Bool),
    row(name::NAME, (2, 2, 0), Form::Text),
    row(name::TARGET_TYPE, (2, 2, 0), Form::Text),
    row(name::PRIVATE_IPV4_ADDRESSES, (2, 2, 0), Form::Addresses(4)),
    row(name::PROXY_PROTOCOL, (2, 0, 0), Form::OneOf(&["*"])),
    row(name::PROXY_PROTOCOL_PER_GROUP, (2, 13, 0), Form::Numbers),
    row(name::QUIC_PORTS, (2, 15, 0), Form::Text),
    row(name::SCHEME, (2, 2, 0), Form::OneOf(&["internal", "internet-facing"])),
    row(name::PREFIX_LISTS, (2, 8, 0), Form::Ids("pl-")),
    row(name::SECURITY_GROUPS, (2, 6, 0), Form::Text),
    row(name::SOURCE_NAT_PREFIXES, (2, 10, 0), Form::Text),
    row(name::SSL_CERT, (2, 0, 0), Form::Ids("arn:")),
    row(name::SSL_POLICY, (2, 0, 0), Form::Text),
    row(name::SSL_PORTS, (2, 0, 0), Form::Text),
    row(name::SUBNETS, (2, 1, 0), Form::Text),
    with(row(name::TARGET_GROUP_ATTRIBUTES, (2, 1, 0), Form::Map), Suffix::Port),
    row(name::TARGET_NODE_LABELS, (2, 2, 0), Form::Map),
    row(name::TYPE, (2, 0, 0), Form::Text),
];

/// An annotation by its name without prefix, and what stands after the dot of those that take a port. `None` for a name the
/// controller does not read.
pub(super) fn find(name: &str) -> Option<(&'static Annotation, Option<&str>)> {
    if let Some(found) = ANNOTATIONS.iter().find(|known| known.name == name && known.suffix != Suffix::Listener) {
        return Some((found, None));
    }
    let (base, suffix) = name.split_once('.')?;
    let found = ANNOTATIONS.iter().find(|known| known.name == base && known.suffix != Suffix::None)?;
    Some((found, Some(suffix)))
}

/// Annotations that the in-tree provider reads, and only for Classic Load Balancers (1.9).
pub(super) const CLASSIC_ONLY: &[&str] = &[
    "aws-load-balancer-access-log-emit-interval",
    "aws-load-balancer-connection-draining-enabled",
    "aws-load-balancer-connection-draining-timeout",
    "aws-load-balancer-connection-idle-timeout",
    "aws-load-balancer-extra-security-groups",
];

/// What the controller reads on Pods (1.1).
pub(super) const OF_PODS: &[&str] = &["aws-load-balancer-quic-enabled-containers"];

/// Deprecated forms, since when, and what took their place (1.1, 1.9).
pub(super) const DEPRECATED: &[(&str, Version, &str)] = &[
    (name::INTERNAL, Version::new(2, 2, 0), "aws-load-balancer-scheme"),
    (name::ACCESS_LOG_ENABLED, Version::new(2, 3, 0), "access_logs.s3.enabled in aws-load-balancer-attributes"),
    (name::ACCESS_LOG_BUCKET, Version::new(2, 3, 0), "access_logs.s3.bucket in aws-load-balancer-attributes"),
    (name::ACCESS_LOG_PREFIX, Version::new(2, 3, 0), "access_logs.s3.prefix in aws-load-balancer-attributes"),
    (name::CROSS_ZONE, Version::new(2, 3, 0), "load_balancing.cross_zone.enabled in aws-load-balancer-attributes"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_annotation_of_the_model_has_a_row_and_no_other_has_1_1() {
        let mut rows: Vec<_> = ANNOTATIONS.iter().map(|row| row.name).collect();
        let mut names = name::ALL.to_vec();
        rows.sort_unstable();
        names.sort_unstable();
        assert_eq!(rows, names);
    }

    #[test]
    fn a_suffix_is_split_off_only_where_there_may_be_one_1_1() {
        let found = |name| find(name).map(|(row, suffix)| (row.name, suffix));
        assert_eq!(found(name::SCHEME), Some((name::SCHEME, None)));
        assert_eq!(found("aws-load-balancer-scheme.80"), None);
        assert_eq!(found(name::TARGET_GROUP_ATTRIBUTES), Some((name::TARGET_GROUP_ATTRIBUTES, None)));
        let variant = "aws-load-balancer-target-group-attributes.80";
        assert_eq!(found(variant), Some((name::TARGET_GROUP_ATTRIBUTES, Some("80"))));
        assert_eq!(found(name::LISTENER_ATTRIBUTES), None, "without a listener it is never read");
        assert_eq!(found("actions.TCP-80"), Some((name::ACTIONS, Some("TCP-80"))));
    }
}
