//! What may this program do, and what for? One table of AWS actions and one of Kubernetes requests: policies, roles and documentation
//! are printed from them, and the tests compare them with what is really called.

mod render;

use std::collections::BTreeSet;

use crate::inventory::parts::source;

pub use render::{aws_table, kubernetes_table, policy_json, policy_terraform};

/// What a permission is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Feature {
    /// Which load balancers and target groups there are, and whose they are. Everything else builds on it: it is always granted.
    LoadBalancers,
    /// Health of the targets, zones without a healthy target.
    TargetHealth,
    /// Free addresses, the controller's choice of subnets, usable zones.
    Subnets,
    /// Rules of security groups against their quota.
    SecurityGroups,
    /// The account's quotas and how much of them is used.
    Quotas,
    /// Differences between the annotations and AWS.
    Drift,
    /// The cluster as EKS knows it: its subnets, its security group, EKS Auto Mode.
    Cluster,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::LoadBalancers, Self::TargetHealth, Self::Subnets, Self::SecurityGroups, Self::Quotas, Self::Drift, Self::Cluster];

    /// As it is said on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::LoadBalancers => "load-balancers",
            Self::TargetHealth => "target-health",
            Self::Subnets => "subnets",
            Self::SecurityGroups => "security-groups",
            Self::Quotas => "quotas",
            Self::Drift => "drift",
            Self::Cluster => "cluster",
        }
    }
}

/// An AWS action that this program calls and that has to be granted.
#[derive(Debug, Clone, Copy)]
pub struct AwsAction {
    /// As IAM names it.
    pub action: &'static str,
    /// The source that fails without it: the `source` label of `eks_nlb_source_up`.
    pub source: &'static str,
    /// What it is for.
    pub features: &'static [Feature],
    /// When it is called at all, other than always.
    pub only_when: &'static str,
}

const fn action(action: &'static str, source: &'static str, features: &'static [Feature]) -> AwsAction {
    AwsAction { action, source, features, only_when: "" }
}

const fn action_when(
    action: &'static str,
    source: &'static str,
    features: &'static [Feature],
    only_when: &'static str,
) -> AwsAction {
    AwsAction { action, source, features, only_when }
}

/// Every AWS action, by service. None of them writes.
pub const AWS_ACTIONS: &[AwsAction] = {
    use Feature::{Cluster, Drift, LoadBalancers, Quotas, SecurityGroups, Subnets, TargetHealth};
    &[
        action("elasticloadbalancing:DescribeLoadBalancers", source::LOAD_BALANCERS, &[LoadBalancers]),
        action("elasticloadbalancing:DescribeTargetGroups", source::TARGET_GROUPS, &[LoadBalancers]),
        action("elasticloadbalancing:DescribeTags", source::TAGS, &[LoadBalancers]),
        action("elasticloadbalancing:DescribeTargetHealth", source::TARGET_HEALTH, &[TargetHealth]),
        action("elasticloadbalancing:DescribeTargetGroupAttributes", source::TARGET_GROUP_ATTRIBUTES, &[TargetHealth, Drift]),
        action("elasticloadbalancing:DescribeLoadBalancerAttributes", source::LOAD_BALANCER_ATTRIBUTES, &[TargetHealth, Drift]),
        action("elasticloadbalancing:DescribeListeners", source::LISTENERS, &[TargetHealth, Drift]),
        action_when(
            "elasticloadbalancing:DescribeListenerCertificates",
            source::LISTENER_CERTIFICATES,
            &[Drift],
            "a Service's annotations name certificates",
        ),
        action_when(
            "elasticloadbalancing:DescribeListenerAttributes",
            source::LISTENER_ATTRIBUTES,
            &[Drift],
            "a Service's annotations name attributes of listeners",
        ),
        action_when(
            "elasticloadbalancing:DescribeCapacityReservation",
            source::CAPACITY_RESERVATIONS,
            &[Drift],
            "a Service's annotations name a minimum capacity",
        ),
        action("elasticloadbalancing:DescribeAccountLimits", source::ACCOUNT_LIMITS, &[Quotas]),
        action("ec2:DescribeSubnets", source::SUBNETS, &[Subnets]),
        action("ec2:DescribeRouteTables", source::ROUTE_TABLES, &[Subnets]),
        action("ec2:DescribeAvailabilityZones", source::AVAILABILITY_ZONES, &[Subnets]),
        action("ec2:DescribeVpcs", source::VPCS, &[Subnets]),
        action("ec2:DescribeSecurityGroups", source::SECURITY_GROUPS, &[SecurityGroups]),
        action("ec2:DescribeNetworkInterfaces", source::NETWORK_INTERFACES, &[SecurityGroups, Quotas]),
        action("ec2:DescribeManagedPrefixLists", source::PREFIX_LISTS, &[SecurityGroups]),
        action("ec2:DescribeAddresses", source::ADDRESSES, &[Quotas]),
        action("servicequotas:ListServiceQuotas", source::SERVICE_QUOTAS, &[SecurityGroups, Quotas]),
        action("servicequotas:GetServiceQuota", source::SERVICE_QUOTAS, &[Quotas]),
        action("servicequotas:GetAWSDefaultServiceQuota", source::SERVICE_QUOTAS, &[SecurityGroups, Quotas]),
        action("servicequotas:ListRequestedServiceQuotaChangeHistory", source::QUOTA_REQUESTS, &[SecurityGroups, Quotas]),
        action_when("eks:DescribeCluster", source::EKS_CLUSTER, &[Cluster], "`aws.describe_cluster` is not `false`"),
    ]
};

/// Called as well, but AWS answers it whatever the policies say: it cannot be granted, nor denied by leaving it out.
pub const UNGRANTED: &[&str] = &["sts:GetCallerIdentity"];

/// The actions of these features, and of those that are always granted, in the order of the table.
pub fn actions_for(features: &BTreeSet<Feature>) -> impl Iterator<Item = &'static AwsAction> {
    let wanted = |feature: &Feature| *feature == Feature::LoadBalancers || features.contains(feature);
    AWS_ACTIONS.iter().filter(move |action| action.features.iter().any(wanted))
}

/// Where a Kubernetes permission holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In all namespaces, or on a kind that lives in none: a ClusterRole.
    Cluster,
    /// In the namespace of the AWS Load Balancer Controller: a Role.
    ControllerNamespace,
    /// In `kube-system`: a Role.
    KubeSystem,
    /// In the exporter's own namespace: a Role.
    OwnNamespace,
}

/// Requests to the Kubernetes API that have to be allowed.
#[derive(Debug, Clone, Copy)]
pub struct KubeAccess {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The kind's name in paths.
    pub resource: &'static str,
    /// What is done with it.
    pub verbs: &'static [&'static str],
    /// Where.
    pub place: Place,
    /// The one object it is done with (`resourceNames`; for lists and watches the API server goes by their field selector).
    pub name: Option<&'static str>,
    /// The source that fails without it.
    pub source: &'static str,
    /// What it is for.
    pub purpose: &'static str,
}

const fn watched(group: &'static str, resource: &'static str, source: &'static str, purpose: &'static str) -> KubeAccess {
    KubeAccess { group, resource, verbs: &["list", "watch"], place: Place::Cluster, name: None, source, purpose }
}

const GATEWAY_API: &str = "gateway.networking.k8s.io";

/// Every Kubernetes request, by group. The only thing that is written is the exporter's own ConfigMap.
pub const KUBE_ACCESS: &[KubeAccess] = &[
    watched("", "services", source::SERVICES, "what is asked for"),
    watched("", "nodes", source::NODES, "zones of the targets, expected instance targets"),
    watched("", "events", source::EVENTS, "why the controller could not do it"),
    watched("discovery.k8s.io", "endpointslices", source::ENDPOINT_SLICES, "expected targets, pods behind them"),
    watched("apps", "deployments", source::CONTROLLER, "the controller: version, flags, name of the cluster"),
    watched("elbv2.k8s.aws", "targetgroupbindings", source::TARGET_GROUP_BINDINGS, "whose target groups they are"),
    watched("eks.amazonaws.com", "targetgroupbindings", source::TARGET_GROUP_BINDINGS, "the same in EKS Auto Mode"),
    watched(GATEWAY_API, "gatewayclasses", source::GATEWAY_CLASSES, "Gateways with load balancers of their own"),
    watched(GATEWAY_API, "gateways", source::GATEWAYS, "Gateways with load balancers of their own"),
    watched(GATEWAY_API, "tcproutes", source::ROUTES, "what stands behind Gateways"),
    watched(GATEWAY_API, "tlsroutes", source::ROUTES, "what stands behind Gateways"),
    watched(GATEWAY_API, "udproutes", source::ROUTES, "what stands behind Gateways"),
    KubeAccess {
        group: "coordination.k8s.io",
        resource: "leases",
        verbs: &["list", "watch"],
        place: Place::ControllerNamespace,
        name: Some("aws-load-balancer-controller-leader"),
        source: source::LEADER_LEASE,
        purpose: "when the controller last began anew",
    },
    KubeAccess {
        group: "apps",
        resource: "daemonsets",
        verbs: &["list", "watch"],
        place: Place::KubeSystem,
        name: Some("aws-node"),
        source: source::VPC_CNI,
        purpose: "whether pods have addresses of the VPC",
    },
    KubeAccess {
        group: "",
        resource: "configmaps",
        verbs: &["get", "update"],
        place: Place::OwnNamespace,
        name: Some(crate::sources::state::CONFIG_MAP),
        source: source::STATE,
        purpose: "edits of annotations, over restarts",
    },
    KubeAccess {
        group: "",
        resource: "configmaps",
        verbs: &["create"],
        place: Place::OwnNamespace,
        name: None,
        source: source::STATE,
        purpose: "the same where it does not exist yet; Kubernetes cannot limit it to a name",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_there_once_reads_only_and_has_a_purpose() {
        let names: BTreeSet<_> = AWS_ACTIONS.iter().map(|action| action.action).collect();
        assert_eq!(names.len(), AWS_ACTIONS.len());
        for action in AWS_ACTIONS {
            let (_, verb) = action.action.split_once(':').unwrap();
            assert!(["Describe", "Get", "List"].iter().any(|prefix| verb.starts_with(prefix)), "{} writes", action.action);
            assert!(!action.features.is_empty() && source::ALL.contains(&action.source), "{}", action.action);
        }
    }

    #[test]
    fn every_source_has_its_permission() {
        let needs = |name: &&&str| **name != source::CALLER_IDENTITY;
        let granted: BTreeSet<_> = AWS_ACTIONS.iter().map(|a| a.source).chain(KUBE_ACCESS.iter().map(|a| a.source)).collect();
        let wanted: BTreeSet<_> = source::ALL.iter().filter(needs).copied().chain([source::STATE]).collect();
        assert_eq!(granted, wanted);
    }

    #[test]
    fn a_feature_brings_its_actions_and_the_basis_and_nothing_else() {
        let names = |features: &[Feature]| -> BTreeSet<&str> {
            actions_for(&features.iter().copied().collect()).map(|action| action.action).collect()
        };
        assert_eq!(names(&[]).len(), 3);
        let subnets = names(&[Feature::Subnets]);
        assert!(subnets.contains("ec2:DescribeSubnets") && subnets.contains("elasticloadbalancing:DescribeTags"));
        assert!(!subnets.contains("ec2:DescribeSecurityGroups") && !subnets.contains("eks:DescribeCluster"));
        assert_eq!(names(&Feature::ALL).len(), AWS_ACTIONS.len());
    }

    #[test]
    fn only_the_own_config_map_is_written() {
        for access in KUBE_ACCESS {
            let writes = access.verbs.iter().any(|verb| !["get", "list", "watch"].contains(verb));
            assert!(!writes || (access.resource == "configmaps" && access.place == Place::OwnNamespace), "{access:?}");
            assert_ne!(access.resource, "secrets");
        }
    }

    #[test]
    fn the_command_line_knows_each_feature_by_its_name() {
        for feature in Feature::ALL {
            let value = clap::ValueEnum::to_possible_value(&feature).unwrap();
            assert_eq!(value.get_name(), feature.name());
        }
    }
}
