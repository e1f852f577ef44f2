//! What is known at this moment, piece by piece? The sources write it, `Snapshot::join` reads it.
//!
//! Cloning is cheap: every map is shared and copied only when written while a clone lives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::aws::{
    Address, Attributes, CapacityReservation, EksCluster, Listener, LoadBalancer, Locale, NetworkInterface, PrefixList,
    QuotaValue, RouteTable, SecurityGroup, Subnet, Tags, TargetGroup, TargetHealth, Vpc,
};
use super::departures::Departures;
use super::history::History;
use super::ids::{
    AllocationId, Arn, LoadBalancerId, NetworkInterfaceId, NodeName, ObjectName, PrefixListId, SecurityGroupId, SubnetId,
    TargetGroupId, VpcId, ZoneName,
};
use super::kube::{
    ControllerDeployment, EndpointSlice, EventObject, Gateway, GatewayClass, LeaderLease, Node, ReconcileState, Route, RouteKind,
    Service, TargetGroupBinding,
};
use super::part::{Failure, Part};
use super::quota::QuotaRequest;

/// A list of the API: key to object.
pub type List<K, V> = Part<BTreeMap<K, Arc<V>>>;

/// One part per resource: each has an age and a failure of its own.
pub type PerResource<K, V> = Arc<BTreeMap<K, Part<V>>>;

/// Everything the sources know.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Parts {
    /// What this exporter looks at.
    pub scope: Scope,
    /// All NLBs of the Region.
    pub load_balancers: List<LoadBalancerId, LoadBalancer>,
    /// All target groups of the Region.
    pub target_groups: List<TargetGroupId, TargetGroup>,
    /// Tags of load balancers and target groups by full ARN.
    pub tags: PerResource<Arn, Tags>,
    /// Certificates of listeners other than the default one's (SNI), for listeners of Services that name certificates.
    pub listener_certificates: PerResource<Arn, BTreeSet<Arc<str>>>,
    /// Attributes of listeners, for those of Services that name such attributes.
    pub listener_attributes: PerResource<Arn, Attributes>,
    /// Reserved capacity, for load balancers of Services that name one.
    pub capacity_reservations: PerResource<LoadBalancerId, CapacityReservation>,
    /// The cluster as EKS knows it; optional.
    pub eks_cluster: Part<EksCluster>,
    /// Listeners of this cluster's load balancers.
    pub listeners: PerResource<LoadBalancerId, Vec<Listener>>,
    /// Attributes of this cluster's load balancers.
    pub load_balancer_attributes: PerResource<LoadBalancerId, Attributes>,
    /// Attributes of this cluster's target groups.
    pub target_group_attributes: PerResource<TargetGroupId, Attributes>,
    /// Health of this cluster's targets.
    pub target_health: PerResource<TargetGroupId, TargetHealth>,
    /// Subnets of the cluster's VPC.
    pub subnets: List<SubnetId, Subnet>,
    /// Route tables of the cluster's VPC, by id.
    pub route_tables: List<Arc<str>, RouteTable>,
    /// Zones of the Region and what they are.
    pub availability_zones: Part<BTreeMap<ZoneName, Locale>>,
    /// The cluster's VPC.
    pub vpcs: List<VpcId, Vpc>,
    /// All security groups of the Region, with rules for those of the cluster's VPC.
    pub security_groups: List<SecurityGroupId, SecurityGroup>,
    /// All network interfaces of the Region.
    pub network_interfaces: List<NetworkInterfaceId, NetworkInterface>,
    /// Prefix lists of the Region.
    pub prefix_lists: List<PrefixListId, PrefixList>,
    /// Elastic IPs of the Region.
    pub addresses: List<AllocationId, Address>,
    /// Quota values by our quota names (`inventory::quota::Quota::name`).
    pub quotas: Part<BTreeMap<Arc<str>, QuotaValue>>,
    /// Requests for more of a quota that are not decided yet, by our quota names, the oldest first; quotas without one are
    /// left out.
    pub quota_requests: Part<BTreeMap<Arc<str>, Vec<QuotaRequest>>>,
    /// Services.
    pub services: List<ObjectName, Service>,
    /// Services that went away lately.
    pub departed_services: Departures,
    /// EndpointSlices by their own name.
    pub endpoint_slices: List<ObjectName, EndpointSlice>,
    /// Nodes.
    pub nodes: List<NodeName, Node>,
    /// TargetGroupBindings; complete and empty when the CRD does not exist.
    pub target_group_bindings: List<ObjectName, TargetGroupBinding>,
    /// Gateways; complete and empty when the CRD does not exist.
    pub gateways: List<ObjectName, Gateway>,
    /// Gateways that went away lately.
    pub departed_gateways: Departures,
    /// GatewayClasses, by name; complete and empty when the CRD does not exist.
    pub gateway_classes: List<Arc<str>, GatewayClass>,
    /// TCPRoutes, TLSRoutes and UDPRoutes, by `(kind, name)`; complete and empty when none of the CRDs exists.
    pub routes: List<RouteKey, Route>,
    /// What the events say, accumulated.
    pub reconciles: Part<BTreeMap<EventKey, ReconcileState>>,
    /// Deployments of the AWS Load Balancer Controller: none, one, or a misconfigured two.
    pub controllers: List<ObjectName, ControllerDeployment>,
    /// Its leader Lease; complete and `None` when there is none.
    pub leader_lease: Part<Option<LeaderLease>>,
    /// Whether the DaemonSet `kube-system/aws-node` (the VPC CNI) exists.
    pub vpc_cni: Part<bool>,
    /// What was edited since the load balancers were made. This program's own memory: it does not grow old.
    pub history: Part<History>,
    /// How each source is doing, by its name.
    pub sources: Arc<BTreeMap<Arc<str>, SourceStatus>>,
}

/// What this exporter looks at. A field is `None` until it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scope {
    /// `--cluster-name`, else the controller's own `--cluster-name`.
    pub cluster_name: Option<Arc<str>>,
    /// `sts:GetCallerIdentity`.
    pub account_id: Option<Arc<str>>,
    /// The partition of the caller's ARN (`aws`, `aws-cn`, `aws-us-gov`).
    pub partition: Option<Arc<str>>,
    /// The Region.
    pub region: Option<Arc<str>>,
    /// The cluster's VPC.
    pub vpc_id: Option<VpcId>,
}

/// A map's key is text in JSON: the kind and the object, written `Kind:namespace/name`.
macro_rules! object_key {
    ($(#[$doc:meta])* $name:ident of $kind:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            /// The kind.
            pub kind: $kind,
            /// The object.
            pub name: ObjectName,
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&format_args!("{}:{}", self.kind, self.name))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.split_once(':')
                    .and_then(|(kind, name)| Some(Self { kind: <$kind>::parse(kind)?, name: ObjectName::parse(name)? }))
                    .ok_or_else(|| serde::de::Error::custom(format!("{text:?} is not of the form Kind:namespace/name")))
            }
        }
    };
}
object_key!(
    /// The object an event is about.
    EventKey of EventObject
);
object_key!(
    /// A route.
    RouteKey of RouteKind
);

/// How one source is doing: a kind of AWS call or a Kubernetes watch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// How often it means to refresh, in seconds; 0 for a watch, which is told of changes.
    pub interval_seconds: u64,
    /// When it last tried.
    pub last_attempt: Option<Timestamp>,
    /// When it last succeeded for everything it is responsible for.
    pub last_success: Option<Timestamp>,
    /// The last failure, `None` after a success.
    pub failure: Option<Arc<Failure>>,
    /// Resources it should know and does not (a failed per-resource call, an undecodable object).
    pub missing: u64,
    /// Nothing to watch here: the CRD does not exist, or the kind is not served. Neither up nor down.
    #[serde(default)]
    pub absent: bool,
}

/// Names of the sources: the `source` label, and the keys of `Parts::sources`.
pub mod source {
    macro_rules! names {
        ($($name:ident = $text:literal),+ $(,)?) => {
            $(#[doc = concat!("`", $text, "`")] pub const $name: &str = $text;)+
            /// All of them, in the order they are exposed.
            pub const ALL: &[&str] = &[$($name),+];
        };
    }
    /// Where this program keeps what it remembers. None of [`ALL`]: the picture is whole without it.
    pub const STATE: &str = "exporter_state";

    names! {
        ADDRESSES = "aws_addresses",
        ACCOUNT_LIMITS = "aws_account_limits",
        AVAILABILITY_ZONES = "aws_availability_zones",
        CALLER_IDENTITY = "aws_caller_identity",
        CAPACITY_RESERVATIONS = "aws_capacity_reservations",
        EKS_CLUSTER = "aws_eks_cluster",
        LISTENER_ATTRIBUTES = "aws_listener_attributes",
        LISTENER_CERTIFICATES = "aws_listener_certificates",
        LISTENERS = "aws_listeners",
        LOAD_BALANCER_ATTRIBUTES = "aws_load_balancer_attributes",
        LOAD_BALANCERS = "aws_load_balancers",
        NETWORK_INTERFACES = "aws_network_interfaces",
        PREFIX_LISTS = "aws_prefix_lists",
        QUOTA_REQUESTS = "aws_quota_requests",
        ROUTE_TABLES = "aws_route_tables",
        SECURITY_GROUPS = "aws_security_groups",
        SERVICE_QUOTAS = "aws_service_quotas",
        SUBNETS = "aws_subnets",
        TAGS = "aws_tags",
        TARGET_GROUP_ATTRIBUTES = "aws_target_group_attributes",
        TARGET_GROUPS = "aws_target_groups",
        TARGET_HEALTH = "aws_target_health",
        VPCS = "aws_vpcs",
        CONTROLLER = "kube_controller",
        ENDPOINT_SLICES = "kube_endpoint_slices",
        EVENTS = "kube_events",
        GATEWAY_CLASSES = "kube_gateway_classes",
        GATEWAYS = "kube_gateways",
        LEADER_LEASE = "kube_leader_lease",
        NODES = "kube_nodes",
        ROUTES = "kube_routes",
        SERVICES = "kube_services",
        TARGET_GROUP_BINDINGS = "kube_target_group_bindings",
        VPC_CNI = "kube_vpc_cni",
    }
}
