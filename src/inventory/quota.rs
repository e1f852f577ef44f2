//! Which quotas are watched? One table: AWS's codes, defaults and names; `reference` facts, dated 2026-11-24.

mod request;

pub use request::{QuotaRequest, RequestStatus, increase_command, next_value};

/// What a quota is counted over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaScope {
    /// Account and Region.
    Region,
    /// The cluster's VPC.
    Vpc,
    /// Each load balancer.
    LoadBalancer,
    /// Each target group.
    TargetGroup,
    /// Each security group.
    SecurityGroup,
    /// Each network interface.
    NetworkInterface,
    /// Each route table.
    RouteTable,
}

/// One quota.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quota {
    /// The `quota` label.
    pub name: &'static str,
    /// Service Quotas' service code.
    pub service_code: &'static str,
    /// Service Quotas' quota code.
    pub quota_code: &'static str,
    /// The name `DescribeAccountLimits` uses, where it knows the quota.
    pub account_limit: Option<&'static str>,
    /// AWS's default value.
    pub default: f64,
    /// Whether AWS raises it on request.
    pub adjustable: bool,
    /// What it is counted over.
    pub scope: QuotaScope,
}

const ELB: &str = "elasticloadbalancing";

const fn elb(
    name: &'static str,
    code: &'static str,
    limit: &'static str,
    default: f64,
    adjustable: bool,
    scope: QuotaScope,
) -> Quota {
    Quota { name, service_code: ELB, quota_code: code, account_limit: Some(limit), default, adjustable, scope }
}

const fn vpc(name: &'static str, code: &'static str, default: f64, scope: QuotaScope) -> Quota {
    Quota { name, service_code: "vpc", quota_code: code, account_limit: None, default, adjustable: true, scope }
}

/// All watched quotas. Source: AWS's quota pages of Elastic Load Balancing, Amazon VPC and Amazon EC2.
pub const QUOTAS: &[Quota] = &[
    elb("network_load_balancers", "L-69A177A2", "network-load-balancers", 50.0, true, QuotaScope::Region),
    elb("target_groups", "L-B22855CB", "target-groups", 3000.0, true, QuotaScope::Region),
    elb("network_load_balancer_enis_per_vpc", "L-23568085", "network-load-balancer-enis-per-vpc", 1200.0, true, QuotaScope::Vpc),
    elb(
        "listeners_per_network_load_balancer",
        "L-57A373D6",
        "listeners-per-network-load-balancer",
        50.0,
        false,
        QuotaScope::LoadBalancer,
    ),
    elb(
        "targets_per_network_load_balancer",
        "L-EEF1AD04",
        "targets-per-network-load-balancer",
        3000.0,
        true,
        QuotaScope::LoadBalancer,
    ),
    elb(
        "targets_per_availability_zone_per_network_load_balancer",
        "L-B211E961",
        "targets-per-availability-zone-per-network-load-balancer",
        500.0,
        true,
        QuotaScope::LoadBalancer,
    ),
    elb(
        "certificates_per_network_load_balancer",
        "L-52964454",
        "certificates-per-network-load-balancer",
        25.0,
        true,
        QuotaScope::LoadBalancer,
    ),
    elb("targets_per_target_group", "L-A0D0B863", "targets-per-target-group", 1000.0, true, QuotaScope::TargetGroup),
    vpc("rules_per_security_group", "L-0EA8095F", 60.0, QuotaScope::SecurityGroup),
    vpc("security_groups_per_network_interface", "L-2AFB9258", 5.0, QuotaScope::NetworkInterface),
    vpc("security_groups", "L-E79EC296", 2500.0, QuotaScope::Region),
    vpc("network_interfaces_per_availability_zone", "L-DF5E4CA3", 5000.0, QuotaScope::Region),
    vpc("subnets_per_vpc", "L-407747CB", 200.0, QuotaScope::Vpc),
    vpc("route_tables_per_vpc", "L-589F43AA", 200.0, QuotaScope::Vpc),
    vpc("routes_per_route_table", "L-93826ACB", 500.0, QuotaScope::RouteTable),
    Quota {
        name: "elastic_ips",
        service_code: "ec2",
        quota_code: "L-0263D0A3",
        account_limit: None,
        default: 5.0,
        adjustable: true,
        scope: QuotaScope::Region,
    },
];

/// A quota by its name.
pub fn quota(name: &str) -> Option<&'static Quota> {
    QUOTAS.iter().find(|quota| quota.name == name)
}

/// Weights of AWS-managed prefix lists: how many rules one reference counts as. Source: "Work with AWS-managed prefix
/// lists" of the VPC guide. Keyed by the name after `com.amazonaws.<region>.` or `com.amazonaws.global.`.
const PREFIX_LIST_WEIGHTS: &[(&str, u32)] = &[
    ("cloudfront.origin-facing", 55),
    ("ipv6.cloudfront.origin-facing", 55),
    ("dynamodb", 1),
    ("s3", 1),
    ("s3express", 6),
    ("ec2-instance-connect", 2),
    ("ipv6.ec2-instance-connect", 2),
    ("groundstation", 5),
    ("route53-healthchecks", 25),
    ("ipv6.route53-healthchecks", 25),
    ("secretsmanager-managed-external-secrets", 20),
    ("vpc-lattice", 10),
    ("ipv6.vpc-lattice", 10),
];

/// The weight of an AWS-managed prefix list by its `PrefixListName`; `None` for one that is not in the table.
pub fn prefix_list_weight(name: &str) -> Option<u32> {
    let rest = name.strip_prefix("com.amazonaws.")?;
    let (_region, rest) = rest.split_once('.')?;
    PREFIX_LIST_WEIGHTS.iter().find(|(known, _)| *known == rest).map(|(_, weight)| *weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_are_unique() {
        for (index, one) in QUOTAS.iter().enumerate() {
            for other in &QUOTAS[index + 1..] {
                assert_ne!(one.name, other.name);
                assert_ne!(one.quota_code, other.quota_code);
            }
        }
    }

    #[test]
    fn a_weight_is_found_whatever_the_region() {
        assert_eq!(prefix_list_weight("com.amazonaws.us-east-1.s3"), Some(1));
        assert_eq!(prefix_list_weight("com.amazonaws.global.cloudfront.origin-facing"), Some(55));
        assert_eq!(prefix_list_weight("com.amazonaws.eu-west-1.ipv6.vpc-lattice"), Some(10));
        assert_eq!(prefix_list_weight("com.amazonaws.eu-west-1.new-thing"), None);
        assert_eq!(prefix_list_weight("my-list"), None);
    }
}
