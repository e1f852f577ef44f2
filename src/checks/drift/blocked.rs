//! Why can the controller not go on? Its events' texts, sorted into a closed set of causes.

/// Warnings of the controller about a Service that say its last reconcile failed.
pub(super) const SERVICE_FAILURES: &[&str] = &[
    "FailedBuildModel",
    "FailedDeployModel",
    "FailedAddFinalizer",
    "FailedRemoveFinalizer",
    "FailedUpdateStatus",
    "FailedCleanupStatus",
];

/// The in-tree provider's about a Service that it owns.
pub(super) const IN_TREE_FAILURES: &[&str] = &["SyncLoadBalancerFailed"];

/// The same about a TargetGroupBinding.
pub(super) const BINDING_FAILURES: &[&str] = &[
    "FailedAddFinalizer",
    "FailedRemoveFinalizer",
    "FailedUpdateStatus",
    "FailedCleanup",
    "FailedNetworkReconcile",
    "BackendNotFound",
    "FailedReconcile",
];

/// The cause a quota or limit refusal has; it has a finding of its own.
pub(super) const QUOTA: &str = "quota";
/// What no row of the table knows.
const OTHER: &str = "other";

/// A cause and the fragments that tell it, the first match counts. AWS's codes and the controller's own words.
const CAUSES: &[(&str, &[&str])] = &[
    (
        QUOTA,
        &[
            "RulesPerSecurityGroupLimitExceeded",
            "SecurityGroupLimitExceeded",
            "SecurityGroupsPerInterfaceLimitExceeded",
            "SecurityGroupsPerInstanceLimitExceeded",
            "TooManyLoadBalancers",
            "TooManyTargetGroups",
            "TooManyUniqueTargetGroupsPerLoadBalancer",
            "TooManyTargets",
            "TooManyRegistrationsForTargetId",
            "TooManyListeners",
            "TooManyCertificates",
            "TooManyActions",
            "TargetGroupAssociationLimit",
            "AddressLimitExceeded",
            "NetworkInterfaceLimitExceeded",
            "CapacityUnitsLimitExceeded",
        ],
    ),
    ("throttled", &["Throttling", "RequestLimitExceeded", "Rate exceeded", "TooManyRequests"]),
    (
        "access_denied",
        &["AccessDenied", "UnauthorizedOperation", "is not authorized to perform", "NoCredentialProviders", "ExpiredToken"],
    ),
    ("subnet_full", &["Not enough IP space available", "InsufficientFreeAddressesInSubnet"]),
    (
        "subnets",
        &[
            "unable to resolve at least one subnet",
            "unable to discover at least one subnet",
            "could not find any suitable subnets",
            "subnets in multiple locales",
            "subnets count less than minimal required count",
            "multiple subnets in same Availability Zone",
            "couldn't find all subnets",
            "subnet ID not found",
            "subnet with Name tag",
            "do not have an associated IPv6 CIDR block",
            "unknown zone type for subnet",
            "failed to list subnets",
            "could not identify main route table",
            "InvalidSubnet",
            "SubnetNotFound",
        ],
    ),
    (
        "security_groups",
        &[
            "couldn't find all security groups",
            "expected exactly one securityGroup tagged",
            "conflicting security groups configuration",
            "backendSG feature is required",
            "InvalidGroup.NotFound",
            "InvalidSecurityGroup",
            "InvalidPermission",
        ],
    ),
    ("deletion_protection", &["deletion_protection is enabled"]),
    ("in_use", &["ResourceInUse", "DependencyViolation", "OperationNotPermitted"]),
    ("name_taken", &["DuplicateLoadBalancerName", "DuplicateTargetGroupName", "same name, but with different settings"]),
    ("certificate", &["CertificateNotFound", "UnsupportedCertificate", "failed to discover certificates"]),
    ("backend_not_found", &["backend not found", "BackendNotFound"]),
    ("target_group_not_found", &["TargetGroupNotFound"]),
    (
        "invalid_annotation",
        &[
            "failed to parse",
            "unknown scheme",
            "unknown IPAddressType",
            "load balancer name cannot be longer",
            "must match",
            "Unused port in ssl-ports annotation",
            "Unsupported QUIC upgrade",
            "unsupported v6 cidr",
            "unsupported IPv6 configuration",
            "unsupported health check protocol",
            "unsupported targetType",
            "unsupported service type",
            "failed to resolve healthCheckPort",
            "cannot use named healthCheckPort",
            "invalid port number in proxy-protocol-per-target-group",
            "only value currently supported is *",
            "external managed tag key",
            "InvalidConfigurationRequest",
            "ValidationError",
        ],
    ),
];

/// The cause of a failure: the `reason` label.
pub(super) fn cause(message: &str) -> &'static str {
    let known = CAUSES.iter().find(|(_, fragments)| fragments.iter().any(|fragment| message.contains(fragment)));
    known.map_or(OTHER, |(cause, _)| cause)
}

/// An event's message as part of a sentence: one line, of bounded length.
pub(super) fn quoted(message: &str) -> String {
    const LONGEST: usize = 400;
    let mut line: String = message.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(end);
        line.push('…');
    }
    // The sentence around it has its own full stop.
    line.truncate(line.trim_end_matches('.').len());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_refusal_has_its_cause_3_2_6_5() {
        let cases = [
            ("Failed deploy model due to operation error ELBv2: CreateLoadBalancer, TooManyLoadBalancers: The maximum …", QUOTA),
            ("RulesPerSecurityGroupLimitExceeded: The maximum number of rules per security group has been reached.", QUOTA),
            ("Failed deploy model due to TooManyTargetGroups: x", QUOTA),
            ("operation error Elastic Load Balancing v2: RegisterTargets, TooManyTargets: x", QUOTA),
            ("SecurityGroupLimitExceeded: x", QUOTA),
            ("Failed build model due to unknown scheme: public", "invalid_annotation"),
            ("Failed build model due to count of EIP allocations (1) and subnets (3) must match", "invalid_annotation"),
            ("Failed build model due to failed to parse bool annotation, service.beta.kubernetes.io/x: y", "invalid_annotation"),
            (
                "Failed build model due to unable to resolve at least one subnet. Evaluated 3 subnets: 1 are tagged for other \
                 clusters, and 2 have insufficient available IP addresses",
                "subnets",
            ),
            (
                "Failed deploy model due to InvalidSubnet: Not enough IP space available in subnet-1. ELB requires at least 8 \
                 free IP addresses in each subnet.",
                "subnet_full",
            ),
            (
                "expected exactly one securityGroup tagged with kubernetes.io/cluster/demo for eni eni-1, got: []",
                "security_groups",
            ),
            ("AccessDenied: User: arn:aws:sts::1:assumed-role/x is not authorized to perform: x", "access_denied"),
            ("deletion_protection is enabled, cannot delete the service: web", "deletion_protection"),
            ("Throttling: Rate exceeded", "throttled"),
            ("backend not found: Endpoints \"web\" not found", "backend_not_found"),
            ("the moon is full", OTHER),
            ("", OTHER),
        ];
        for (message, expected) in cases {
            assert_eq!(cause(message), expected, "{message}");
        }
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        assert_eq!(quoted(" a\n b\t"), "a b");
        let long = "ü".repeat(1000);
        assert_eq!(quoted(&long).chars().count(), 401);
    }
}
