//! What does AWS have? Plain types, every `Option` of the SDK resolved; field names follow the API's.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ids::{
    AllocationId, Arn, InstanceId, LoadBalancerId, NetworkInterfaceId, PrefixListId, SecurityGroupId, SubnetId, TargetGroupId,
    VpcId, ZoneName,
};

/// Tags or attributes: key to value, in a stable order.
pub type Tags = BTreeMap<Arc<str>, Arc<str>>;

/// Attributes of a load balancer or target group, as `Describe…Attributes` answers them: raw text on both sides.
pub type Attributes = BTreeMap<Arc<str>, Arc<str>>;

macro_rules! closed_set {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant),+
        }

        impl $name {
            /// All values, in the order they are exposed.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The text AWS uses; `other` for what AWS may add.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// Reads AWS's text; `None` when it is none of the set.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use closed_set;

closed_set!(
    /// `LoadBalancer.Scheme`.
    Scheme { InternetFacing = "internet-facing", Internal = "internal" }
);
closed_set!(
    /// `LoadBalancer.State.Code`.
    LoadBalancerState {
        Active = "active",
        Provisioning = "provisioning",
        ActiveImpaired = "active_impaired",
        Failed = "failed",
        /// A code this program does not know.
        Other = "other",
    }
);
closed_set!(
    /// `LoadBalancer.IpAddressType`.
    IpAddressType {
        Ipv4 = "ipv4",
        Dualstack = "dualstack",
        /// `dualstack-without-public-ipv4` is for ALBs; anything AWS adds.
        Other = "other",
    }
);
closed_set!(
    /// `TargetGroup.TargetType`.
    TargetType {
        Instance = "instance",
        Ip = "ip",
        Alb = "alb",
        /// `lambda` (ALB only) and anything AWS adds.
        Other = "other",
    }
);
closed_set!(
    /// `TargetHealth.State`, in the order of `target_group_targets`.
    TargetState {
        Initial = "initial",
        Healthy = "healthy",
        Unhealthy = "unhealthy",
        UnhealthyDraining = "unhealthy.draining",
        Draining = "draining",
        Unused = "unused",
        Unavailable = "unavailable",
        /// A state this program does not know.
        Other = "other",
    }
);
closed_set!(
    /// `TargetHealth.Reason`; healthy targets have none.
    TargetReason {
        RegistrationInProgress = "Elb.RegistrationInProgress",
        InitialHealthChecking = "Elb.InitialHealthChecking",
        ElbInternalError = "Elb.InternalError",
        FailedHealthChecks = "Target.FailedHealthChecks",
        Timeout = "Target.Timeout",
        ResponseCodeMismatch = "Target.ResponseCodeMismatch",
        NotRegistered = "Target.NotRegistered",
        NotInUse = "Target.NotInUse",
        DeregistrationInProgress = "Target.DeregistrationInProgress",
        InvalidState = "Target.InvalidState",
        IpUnusable = "Target.IpUnusable",
        HealthCheckDisabled = "Target.HealthCheckDisabled",
        /// A reason this program does not know.
        Other = "other",
    }
);
closed_set!(
    /// `AvailabilityZone.ZoneType`, and Outposts, which a subnet shows by its `OutpostArn`.
    Locale {
        AvailabilityZone = "availability-zone",
        LocalZone = "local-zone",
        WavelengthZone = "wavelength-zone",
        Outpost = "outpost",
        Other = "other",
    }
);
closed_set!(
    /// An address family.
    IpFamily { Ipv4 = "ipv4", Ipv6 = "ipv6" }
);

/// A Network Load Balancer (`DescribeLoadBalancers`, `Type` = `network`; others are not kept).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadBalancer {
    /// `net/NAME/ID`.
    pub id: LoadBalancerId,
    /// The full ARN.
    pub arn: Arn,
    /// `LoadBalancerName`.
    pub name: Arc<str>,
    /// `DNSName`, as AWS spells it.
    pub dns_name: Arc<str>,
    /// `Scheme`.
    pub scheme: Scheme,
    /// `VpcId`.
    pub vpc_id: VpcId,
    /// `State.Code`.
    pub state: LoadBalancerState,
    /// `State.Reason`, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_reason: Option<Arc<str>>,
    /// `CreatedTime`; `None` where the answer has none.
    pub created_at: Option<Timestamp>,
    /// `IpAddressType`.
    pub ip_address_type: IpAddressType,
    /// `AvailabilityZones`.
    pub zones: Vec<LoadBalancerZone>,
    /// `SecurityGroups`; empty for a load balancer born without.
    pub security_groups: BTreeSet<SecurityGroupId>,
    /// `EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic` (`on`/`off`); absent without security groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforce_inbound_rules_on_private_link: Option<Arc<str>>,
    /// `EnablePrefixForIpv6SourceNat` (`on`/`off`); absent means off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_prefix_for_ipv6_source_nat: Option<Arc<str>>,
}

/// One zone in which a load balancer is enabled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadBalancerZone {
    /// `ZoneName`.
    pub zone: ZoneName,
    /// `SubnetId`.
    pub subnet_id: SubnetId,
    /// `LoadBalancerAddresses`; empty where AWS chose the addresses and does not tell them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<LoadBalancerAddress>,
    /// `SourceNatIpv6Prefixes`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_nat_ipv6_prefixes: Vec<Arc<str>>,
}

/// One of `LoadBalancerAddresses`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadBalancerAddress {
    /// `AllocationId` of an Elastic IP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocation_id: Option<AllocationId>,
    /// `PrivateIPv4Address`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_ipv4: Option<IpAddr>,
    /// `IPv6Address`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<IpAddr>,
}

/// A target group (`DescribeTargetGroups`). All of the Region: they share one quota.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetGroup {
    /// `targetgroup/NAME/ID`.
    pub id: TargetGroupId,
    /// The full ARN.
    pub arn: Arn,
    /// `TargetGroupName`.
    pub name: Arc<str>,
    /// `Protocol` (`TCP`, `TLS`, `UDP`, …), upper case as AWS spells it; empty where the answer has none.
    pub protocol: Arc<str>,
    /// `TargetType`.
    pub target_type: TargetType,
    /// `VpcId`; `None` for lambda groups.
    pub vpc_id: Option<VpcId>,
    /// `LoadBalancerArns` as identities: the load balancers whose listeners forward here.
    pub load_balancers: BTreeSet<LoadBalancerId>,
    /// `IpAddressType`: the family of its targets.
    pub ip_family: IpFamily,
    /// The health check.
    pub health_check: HealthCheck,
}

/// The health check of a target group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// `HealthCheckEnabled`.
    pub enabled: bool,
    /// `HealthCheckProtocol`, upper case.
    pub protocol: Arc<str>,
    /// `HealthCheckPort`: `traffic-port` or digits.
    pub port: Arc<str>,
    /// `HealthCheckPath`; only HTTP and HTTPS have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Arc<str>>,
    /// `Matcher.HttpCode`; only HTTP and HTTPS have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_codes: Option<Arc<str>>,
    /// `HealthCheckIntervalSeconds`.
    pub interval_seconds: i32,
    /// `HealthCheckTimeoutSeconds`.
    pub timeout_seconds: i32,
    /// `HealthyThresholdCount`.
    pub healthy_threshold: i32,
    /// `UnhealthyThresholdCount`.
    pub unhealthy_threshold: i32,
}

/// A listener (`DescribeListeners`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listener {
    /// `ListenerArn`.
    pub arn: Arn,
    /// `Port`.
    pub port: u16,
    /// `Protocol`, upper case.
    pub protocol: Arc<str>,
    /// `DefaultActions` of type forward: target group and weight; a plain forward weighs 1.
    pub forwards: Vec<Forward>,
    /// `SslPolicy` of a TLS listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssl_policy: Option<Arc<str>>,
    /// `Certificates[0].CertificateArn`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_arn: Option<Arc<str>>,
    /// `AlpnPolicy[0]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpn_policy: Option<Arc<str>>,
}

/// The minimum capacity of a load balancer (`DescribeCapacityReservation`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapacityReservation {
    /// `MinimumLoadBalancerCapacity.CapacityUnits`; 0 where the answer has none: nothing is reserved.
    pub capacity_units: i32,
}

/// The cluster as EKS knows it (`eks:DescribeCluster`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EksCluster {
    /// `name`.
    pub name: Arc<str>,
    /// `version`: of Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Arc<str>>,
    /// `resourcesVpcConfig.vpcId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc_id: Option<VpcId>,
    /// `resourcesVpcConfig.subnetIds`: where the cluster was told to live.
    pub subnets: BTreeSet<SubnetId>,
    /// `resourcesVpcConfig.clusterSecurityGroupId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_security_group: Option<SecurityGroupId>,
    /// `kubernetesNetworkConfig.elasticLoadBalancing.enabled`: EKS Auto Mode makes load balancers here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub auto_mode: bool,
}

/// Where a listener sends to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// The target group.
    pub target_group: TargetGroupId,
    /// Its weight; 0 means no new flows.
    pub weight: u32,
}

/// The targets of one group with their health, as `DescribeTargetHealth` answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetHealth {
    /// Every registered (and draining) target.
    pub targets: Vec<Target>,
    /// When the set of targets or a state in it last differed from the sample before; the first sample's own time.
    pub changed_at: Timestamp,
}

/// One target and its health. Identity is (id, port, zone).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// `Target.Id`: an instance id, an IP address or an ALB's ARN.
    pub id: Arc<str>,
    /// `Target.Port`; `None` where the answer has none.
    pub port: Option<u16>,
    /// `Target.AvailabilityZone`: often absent, and `all` for addresses outside the VPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<ZoneName>,
    /// `TargetHealth.State`.
    pub state: TargetState,
    /// `TargetHealth.Reason`; healthy targets have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<TargetReason>,
    /// `AdministrativeOverride.State` is a zonal shift (`zonal_shift_active`, `zonal_shift_delegated_to_dns`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub zonal_shift: bool,
}

/// A subnet (`DescribeSubnets`), of the cluster's VPC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subnet {
    /// `SubnetId`.
    pub id: SubnetId,
    /// `VpcId`.
    pub vpc_id: VpcId,
    /// `AvailabilityZone`.
    pub zone: ZoneName,
    /// `AvailabilityZoneId` (`use1-az1`).
    pub zone_id: Arc<str>,
    /// `CidrBlock`; `None` for an IPv6-only subnet.
    pub cidr: Option<IpNet>,
    /// `Ipv6CidrBlockAssociationSet` entries in state `associated`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ipv6_cidrs: Vec<IpNet>,
    /// `AvailableIpAddressCount`: unused IPv4 addresses, AWS's five reserved ones left out; `None` for an IPv6-only
    /// subnet, whose count of 0 means nothing.
    pub available_ip_addresses: Option<u64>,
    /// `OutpostArn` is set.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_outpost: bool,
    /// `OwnerId`: another account's in a shared VPC.
    pub owner_id: Arc<str>,
    /// `TagSet`.
    pub tags: Tags,
}

/// A route table (`DescribeRouteTables`), of the cluster's VPC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTable {
    /// `RouteTableId`.
    pub id: Arc<str>,
    /// It is its VPC's main table.
    pub main: bool,
    /// Subnets associated explicitly.
    pub subnets: BTreeSet<SubnetId>,
    /// A route has a `GatewayId` that starts with `igw`. Only that makes a subnet public for the controller.
    pub internet_gateway: bool,
    /// All IPv4 traffic (`0.0.0.0/0`) goes to a VPC endpoint (`GatewayId` starts with `vpce`), which for a whole address range
    /// is one of a Gateway Load Balancer: a firewall stands between the subnet and its internet gateway.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub firewall_endpoint: bool,
    /// Number of routes.
    pub routes: u32,
}

/// The cluster's VPC (`DescribeVpcs`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vpc {
    /// `VpcId`.
    pub id: VpcId,
    /// IPv4 blocks in state `associated`, the primary one first.
    pub cidrs: Vec<IpNet>,
    /// IPv6 blocks in state `associated`.
    pub ipv6_cidrs: Vec<IpNet>,
}

/// A security group (`DescribeSecurityGroups`). All of the Region are listed, for the quota on their number; rules are kept
/// for those of the cluster's VPC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecurityGroup {
    /// `GroupId`.
    pub id: SecurityGroupId,
    /// `GroupName`.
    pub name: Arc<str>,
    /// `VpcId`.
    pub vpc_id: VpcId,
    /// `OwnerId`.
    pub owner_id: Arc<str>,
    /// `Tags`.
    pub tags: Tags,
    /// `IpPermissions`, one entry a source; empty outside the cluster's VPC.
    pub inbound: Vec<Rule>,
    /// `IpPermissionsEgress`, one entry a destination; empty outside the cluster's VPC.
    pub outbound: Vec<Rule>,
}

/// One rule as AWS counts them: a protocol, a port range and *one* source or destination.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rule {
    /// `IpProtocol`: `tcp`, `udp`, `icmp`, `-1`, a number.
    pub protocol: Arc<str>,
    /// `FromPort` and `ToPort`; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<(i32, i32)>,
    /// The source (inbound) or destination (outbound).
    pub peer: Peer,
    /// The rule's description, where the controller and the in-tree provider leave their marks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Arc<str>>,
}

/// The other side of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Peer {
    /// A CIDR as AWS spells it; the family is its own.
    Cidr(IpNet),
    /// Another security group.
    SecurityGroup(SecurityGroupId),
    /// A prefix list.
    PrefixList(PrefixListId),
}

/// A prefix list (`DescribeManagedPrefixLists`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixList {
    /// `PrefixListId`.
    pub id: PrefixListId,
    /// `PrefixListName`.
    pub name: Arc<str>,
    /// `AddressFamily`.
    pub ip_family: IpFamily,
    /// `MaxEntries`; AWS-managed lists may have none.
    pub max_entries: Option<u32>,
    /// `OwnerId` is `AWS`.
    pub aws_managed: bool,
}

/// A network interface (`DescribeNetworkInterfaces`). All of the Region are counted; addresses are kept for the cluster's VPC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkInterface {
    /// `NetworkInterfaceId`.
    pub id: NetworkInterfaceId,
    /// `InterfaceType` is `network_load_balancer`.
    pub of_network_load_balancer: bool,
    /// `VpcId`.
    pub vpc_id: VpcId,
    /// `SubnetId`.
    pub subnet_id: SubnetId,
    /// `AvailabilityZone`.
    pub zone: ZoneName,
    /// `Groups`.
    pub security_groups: BTreeSet<SecurityGroupId>,
    /// `Attachment.InstanceId`, with `DeviceIndex` 0 for the primary interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment: Option<Attachment>,
    /// `PrivateIpAddresses` and `Ipv6Addresses`; empty outside the cluster's VPC.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
    /// `Ipv4Prefixes` and `Ipv6Prefixes` (prefix delegation); empty outside the cluster's VPC.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<IpNet>,
}

/// To which instance an interface is attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// `InstanceId`.
    pub instance_id: InstanceId,
    /// `DeviceIndex`; 0 is the primary interface.
    pub device_index: i32,
}

/// An Elastic IP (`DescribeAddresses`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// `AllocationId`.
    pub id: AllocationId,
    /// It is associated with something.
    pub associated: bool,
    /// `ServiceManaged` is set (an address AWS manages, e.g. of an NLB): counted apart from the user's own.
    pub service_managed: bool,
}

/// Where a quota's value came from, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotaOrigin {
    /// The configuration says so.
    Override,
    /// The applied value (Service Quotas, DescribeAccountLimits).
    Applied,
    /// Service Quotas has no applied value: nobody raised it, so AWS's default holds.
    AwsDefault,
    /// The lookup was denied or failed: the built-in table's default. Nothing may page on it.
    Assumed,
}

/// One quota's value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct QuotaValue {
    /// The limit.
    pub value: f64,
    /// Where it is from.
    pub origin: QuotaOrigin,
}
