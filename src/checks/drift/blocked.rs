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
        &[
            "AccessDenied",
            "UnauthorizedOperation",
            "is not authorized to perform",
            // The controller has no identity, or one that AWS does not accept.
            "NoCredentialProviders",
            "no EC2 IMDS role found",
            "ExpiredToken",
            "InvalidIdentityToken",
            "InvalidClientTokenId",
            "UnrecognizedClientException",
            "AuthFailure",
        ],
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
    ("elastic_ip", &["AllocationIdNotFound", "InvalidAllocationID", "Resource.AlreadyAssociated"]),
    ("deletion_protection", &["deletion_protection is enabled"]),
    ("in_use", &["ResourceInUse", "DependencyViolation", "OperationNotPermitted"]),
    ("name_taken", &["DuplicateLoadBalancerName", "DuplicateTargetGroupName", "same name, but with different settings"]),
    ("certificate", &["CertificateNotFound", "UnsupportedCertificate", "failed to discover certificates"]),
    ("backend_not_found", &["backend not found", "BackendNotFound"]),
    ("target_group_not_found", &["TargetGroupNotFound"]),
    // The API server: another writer was faster, or it, AWS or a webhook did not answer.
    ("conflict", &["the object has been modified"]),
    (
        "unreachable",
        &[
            "connection refused",
            "connection reset",
            "i/o timeout",
            "no such host",
            "context deadline exceeded",
            "TLS handshake timeout",
        ],
    ),
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
mod tests;
