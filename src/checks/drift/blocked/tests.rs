use super::*;

/// Where the text is from, the text, and the cause.
const TEXTS: &[(&str, &str, &str)] = &[
    // 3.2, the subnets.
    (
        "3.2",
        "Failed build model due to unable to resolve at least one subnet. Evaluated 3 subnets: 1 are tagged for other clusters, \
         and 2 have insufficient available IP addresses",
        "subnets",
    ),
    (
        "3.2",
        "unable to resolve at least one subnet. Evaluated 3 subnets: 1 are tagged for other clusters, 1 have insufficient \
         available IP addresses, and 1 don't have an associated IPv6 CIDR block, which is required for dualstack load balancers",
        "subnets",
    ),
    ("3.2", "Failed build model due to unable to resolve at least one subnet", "subnets"),
    (
        "3.2",
        "unable to resolve at least one subnet (0 match VPC and tags: [kubernetes.io/role/elb], 2 tagged for other cluster)",
        "subnets",
    ),
    ("3.2", "unable to discover at least one subnet", "subnets"),
    ("3.2", "subnets in multiple locales: [availability-zone local-zone]", "subnets"),
    ("3.2", "subnets count less than minimal required count: 0 < 1", "subnets"),
    ("3.2", "multiple subnets in same Availability Zone us-east-1a: [subnet-1 subnet-2]", "subnets"),
    ("3.2", "couldn't find all subnets, want: [subnet-1 subnet-2], found: [subnet-1]", "subnets"),
    ("3.2", "couldn't find all subnets, missing names: [private-a]", "subnets"),
    ("3.2", "subnet ID not found: subnet-1", "subnets"),
    ("3.2", "subnet with Name tag not found: private-a", "subnets"),
    ("3.2", "subnet with Name tag \"a\" requested 2 times but only 1 subnet(s) found with that name", "subnets"),
    (
        "3.2",
        "subnets [subnet-1] do not have an associated IPv6 CIDR block, which is required for dualstack load balancers",
        "subnets",
    ),
    ("3.2", "unknown zone type for subnet subnet-1", "subnets"),
    ("3.2", "[this shall never happen] could not identify main route table for vpc: vpc-1", "subnets"),
    ("3.2", "failed to list subnets by role tag: x", "subnets"),
    ("3.2", "failed to list subnets by reachability: x", "subnets"),
    ("3.2", "failed to list subnets by names or IDs: x", "subnets"),
    ("3.2", "failed to list subnets by role tag: api error UnauthorizedOperation: You are not authorized", "access_denied"),
    // A role that the controller cannot take is no trouble of the network, whatever else the text says.
    (
        "3.3",
        "Failed build model due to operation error Elastic Load Balancing v2: DescribeLoadBalancers, get identity: get \
         credentials: failed to refresh cached credentials, no EC2 IMDS role found, operation error ec2imds: GetMetadata, \
         canceled, context deadline exceeded",
        "access_denied",
    ),
    (
        "3.3",
        "Failed build model due to WebIdentityErr: failed to retrieve credentials caused by: InvalidIdentityToken: No \
         OpenIDConnect provider found in your account",
        "access_denied",
    ),
    (
        "3.2",
        "Failed deploy model due to InvalidSubnet: Not enough IP space available in subnet-1. ELB requires at least 8 free IP \
         addresses in each subnet.",
        "subnet_full",
    ),
    ("3.5", "could not find any suitable subnets for creating the ELB", "subnets"),
    // 3.3, events of bindings whose reason says it.
    ("3.3", "BackendNotFound", "backend_not_found"),
    ("3.3", "backend not found: Endpoints \"web\" not found", "backend_not_found"),
    (
        "3.3",
        "Failed update status due to Operation cannot be fulfilled on services \"web\": the object has been modified; please \
         apply your changes to the latest version and try again",
        "conflict",
    ),
    ("3.3", "Failed add finalizer due to Patch \"https://10.0.0.1\": dial tcp 10.0.0.1:443: i/o timeout", "unreachable"),
    // 6.5, 6.1 and 1.5, the security groups.
    ("6.5", "RulesPerSecurityGroupLimitExceeded: The maximum number of rules per security group has been reached.", QUOTA),
    (
        "6.1",
        "expected exactly one securityGroup tagged with kubernetes.io/cluster/demo for eni eni-1, got: [] (clusterName: demo)",
        "security_groups",
    ),
    ("1.5", "couldn't find all security groups: requested ids [sg-1] but found []", "security_groups"),
    ("1.5", "couldn't find all security groups: requested names [edge] but found []", "security_groups"),
    ("1.5", "conflicting security groups configuration", "security_groups"),
    (
        "1.5",
        "backendSG feature is required to manage worker node SG rules when frontendSG is manually specified",
        "security_groups",
    ),
    ("1.5", "unsupported v6 cidr 2001:db8::/32 when lb is not dualstack", "invalid_annotation"),
    ("10", "InvalidPermission.Duplicate: the specified rule already exists", "security_groups"),
    // 1.2 to 1.8, what is refused.
    ("1.2", "failed to parse bool annotation, service.beta.kubernetes.io/x: y", "invalid_annotation"),
    ("1.2", "failed to parse stringMap annotation, service.beta.kubernetes.io/x: y", "invalid_annotation"),
    ("1.2", "count of EIP allocations (1) and subnets (3) must match", "invalid_annotation"),
    ("1.4", "load balancer name cannot be longer than 32 characters", "invalid_annotation"),
    ("1.4", "unknown scheme: public", "invalid_annotation"),
    ("1.4", "unknown IPAddressType: ipv6", "invalid_annotation"),
    ("1.4", "deletion_protection is enabled, cannot delete the service: web", "deletion_protection"),
    ("1.6", "Unused port in ssl-ports annotation [*]", "invalid_annotation"),
    ("1.6", "Unsupported QUIC upgrade for protocol TCP", "invalid_annotation"),
    ("1.7", "unsupported IPv6 configuration, lb not dual-stack", "invalid_annotation"),
    ("1.8", "external managed tag key team cannot be specified on Service", "invalid_annotation"),
    // AWS's own.
    ("aws", "operation error ELBv2: CreateLoadBalancer, TooManyLoadBalancers: The maximum …", QUOTA),
    ("aws", "Failed deploy model due to TooManyTargetGroups: x", QUOTA),
    ("aws", "operation error Elastic Load Balancing v2: RegisterTargets, TooManyTargets: x", QUOTA),
    ("aws", "SecurityGroupLimitExceeded: x", QUOTA),
    ("aws", "AccessDenied: User: arn:aws:sts::1:assumed-role/x is not authorized to perform: x", "access_denied"),
    ("aws", "Throttling: Rate exceeded", "throttled"),
    ("aws", "AllocationIdNotFound: The allocation IDs 'eipalloc-1' are not available for use", "elastic_ip"),
    ("aws", "CertificateNotFound: Certificate ARN 'x' is not found", "certificate"),
    ("aws", "DuplicateLoadBalancerName: A load balancer with the same name exists, but with different settings", "name_taken"),
    ("aws", "TargetGroupNotFound: One or more target groups not found", "target_group_not_found"),
    ("aws", "DependencyViolation: resource sg-1 has a dependent object", "in_use"),
    ("", "the moon is full", OTHER),
    ("", "", OTHER),
];

#[test]
fn every_refusal_that_is_written_down_has_its_cause_3_2_3_3_6_5() {
    for (paragraph, message, expected) in TEXTS {
        assert_eq!(cause(message), *expected, "{paragraph}: {message}");
    }
}

#[test]
fn every_cause_has_a_text_that_leads_to_it() {
    for (cause, _) in CAUSES {
        assert!(TEXTS.iter().any(|(_, _, expected)| expected == cause), "{cause}");
    }
}

#[test]
fn every_failure_of_the_controller_is_one_3_3() {
    for reason in ["FailedBuildModel", "FailedDeployModel", "FailedAddFinalizer", "FailedRemoveFinalizer", "FailedUpdateStatus"] {
        assert!(SERVICE_FAILURES.contains(&reason), "{reason}");
    }
    assert!(SERVICE_FAILURES.contains(&"FailedCleanupStatus"));
    for reason in ["FailedAddFinalizer", "FailedRemoveFinalizer", "FailedUpdateStatus", "FailedCleanup"] {
        assert!(BINDING_FAILURES.contains(&reason), "{reason}");
    }
    for reason in ["FailedNetworkReconcile", "BackendNotFound", "FailedReconcile"] {
        assert!(BINDING_FAILURES.contains(&reason), "{reason}");
    }
}

#[test]
fn a_long_message_is_cut_between_characters() {
    assert_eq!(quoted(" a\n b\t"), "a b");
    let long = "ü".repeat(1000);
    assert_eq!(quoted(&long).chars().count(), 401);
}
