//! What is there in the simulated Region and its cluster? Plain state, as near to what AWS and Kubernetes keep as needed.
//!
//! Values that AWS may extend (states, reasons, protocols) are text here, so that a test can put in what no SDK knows.

mod build;
mod edit;
mod kind;
mod partition;
mod plan;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};
use jiff::Timestamp;

pub use build::{ACCOUNT_ID, CLUSTER_NAME, CONTROLLER_VERSION, REGION, annotation};
pub use edit::{Change, EditError};
pub use kind::WorldKind;
pub use partition::Partition;

use crate::inventory::aws::{Attributes, Forward, HealthCheck, Rule, Tags};
use crate::inventory::ids::{
    AllocationId, Arn, InstanceId, LoadBalancerId, NetworkInterfaceId, NodeName, ObjectName, PrefixListId, SecurityGroupId,
    SubnetId, TargetGroupId, VpcId, ZoneName,
};
use crate::inventory::kube::{BindingGroup, Gateway, GatewayClass, Protocol, Route, ServiceType, StringMap};
use crate::inventory::parts::RouteKey;

/// Text that is mostly the program's own.
pub type Text = Cow<'static, str>;

/// The simulated Region and cluster.
#[derive(Debug, Clone)]
pub struct World {
    /// Names of the account, the Region and the cluster.
    pub scope: WorldScope,
    /// When everything in it was made.
    pub created_at: Timestamp,
    /// Zones of the Region.
    pub zones: Vec<Zone>,
    /// VPCs: the cluster's and the account's default one.
    pub vpcs: BTreeMap<VpcId, Vpc>,
    /// Subnets of all VPCs.
    pub subnets: BTreeMap<SubnetId, Subnet>,
    /// Route tables of all VPCs.
    pub route_tables: BTreeMap<Arc<str>, RouteTable>,
    /// Security groups of the Region.
    pub security_groups: BTreeMap<SecurityGroupId, SecurityGroup>,
    /// Prefix lists of the Region.
    pub prefix_lists: BTreeMap<PrefixListId, PrefixList>,
    /// Network interfaces of the Region.
    pub network_interfaces: BTreeMap<NetworkInterfaceId, NetworkInterface>,
    /// Elastic IPs of the Region.
    pub addresses: BTreeMap<AllocationId, Address>,
    /// Load balancers of the Region.
    pub load_balancers: BTreeMap<LoadBalancerId, LoadBalancer>,
    /// Target groups of the Region.
    pub target_groups: BTreeMap<TargetGroupId, TargetGroup>,
    /// Quotas by service code and quota code.
    pub quotas: BTreeMap<(&'static str, &'static str), QuotaEntry>,
    /// Requests for more of a quota, decided or not, by `Id`.
    pub quota_requests: BTreeMap<Arc<str>, QuotaChange>,
    /// Nodes of the cluster.
    pub nodes: BTreeMap<NodeName, Node>,
    /// Services of the cluster.
    pub services: BTreeMap<ObjectName, Service>,
    /// TargetGroupBindings of the cluster.
    pub bindings: BTreeMap<ObjectName, Binding>,
    /// GatewayClasses of the cluster, by name.
    pub gateway_classes: BTreeMap<Arc<str>, GatewayClass>,
    /// Gateways of the cluster.
    pub gateways: BTreeMap<ObjectName, Gateway>,
    /// TCPRoutes, TLSRoutes and UDPRoutes of the cluster.
    pub routes: BTreeMap<RouteKey, Route>,
    /// Events of the cluster by namespace and name.
    pub events: BTreeMap<ObjectName, Event>,
    /// The AWS Load Balancer Controller's Deployment; `None` in a cluster without.
    pub controller: Option<Controller>,
    /// Whether the DaemonSet `kube-system/aws-node` exists.
    pub vpc_cni: bool,
    /// `kubernetesNetworkConfig.elasticLoadBalancing.enabled` of `eks:DescribeCluster`: EKS Auto Mode makes load balancers.
    pub auto_mode: bool,
    /// What changed in the cluster since it was last published.
    pub(crate) changes: BTreeSet<Change>,
    pub(crate) sequence: u64,
}

/// Names of the account, the Region and the cluster.
#[derive(Debug, Clone)]
pub struct WorldScope {
    /// The account.
    pub account_id: Arc<str>,
    /// The partition of its Region.
    pub partition: Partition,
    /// The Region.
    pub region: Arc<str>,
    /// The controller's `--cluster-name`.
    pub cluster_name: Arc<str>,
    /// The cluster's VPC.
    pub vpc_id: VpcId,
    /// The security group of the nodes: the one endpoint group of this cluster.
    pub node_group: SecurityGroupId,
    /// The controller's shared backend group.
    pub backend_group: SecurityGroupId,
}

/// A zone of the Region.
#[derive(Debug, Clone)]
pub struct Zone {
    /// `us-east-1a`.
    pub name: ZoneName,
    /// `use1-az4`.
    pub id: Arc<str>,
    /// `availability-zone`, `local-zone`, `wavelength-zone`.
    pub kind: &'static str,
}

/// A VPC.
#[derive(Debug, Clone)]
pub struct Vpc {
    /// Its IPv4 blocks, the primary one first.
    pub cidrs: Vec<Ipv4Net>,
    /// Its IPv6 blocks.
    pub ipv6_cidrs: Vec<Arc<str>>,
    /// The account's default VPC.
    pub default: bool,
}

/// A subnet.
#[derive(Debug, Clone)]
pub struct Subnet {
    /// The VPC.
    pub vpc_id: VpcId,
    /// The zone.
    pub zone: ZoneName,
    /// `CidrBlock`; `None` for an IPv6-only subnet.
    pub cidr: Option<Ipv4Net>,
    /// `AvailableIpAddressCount`.
    pub free_addresses: i64,
    /// Associated IPv6 blocks.
    pub ipv6_cidrs: Vec<Arc<str>>,
    /// `OutpostArn`.
    pub outpost_arn: Option<Arc<str>>,
    /// The account that shares it with this one; `None` for one of this account's own.
    pub shared_by: Option<Arc<str>>,
    /// Tags.
    pub tags: Tags,
}

/// A route table.
#[derive(Debug, Clone)]
pub struct RouteTable {
    /// The VPC.
    pub vpc_id: VpcId,
    /// The VPC's main table.
    pub main: bool,
    /// Explicit associations.
    pub subnets: BTreeSet<SubnetId>,
    /// Destination and `GatewayId` or NAT gateway.
    pub routes: Vec<(Text, Text)>,
}

/// A security group.
#[derive(Debug, Clone)]
pub struct SecurityGroup {
    /// `GroupName`.
    pub name: Arc<str>,
    /// `Description`.
    pub description: Text,
    /// The VPC.
    pub vpc_id: VpcId,
    /// Tags.
    pub tags: Tags,
    /// Inbound rules, one a source.
    pub inbound: Vec<Rule>,
    /// Outbound rules, one a destination.
    pub outbound: Vec<Rule>,
}

/// A prefix list.
#[derive(Debug, Clone)]
pub struct PrefixList {
    /// `PrefixListName`.
    pub name: Arc<str>,
    /// `AddressFamily`.
    pub family: &'static str,
    /// `MaxEntries`; AWS-managed lists have none here.
    pub max_entries: Option<i32>,
}

/// A network interface.
#[derive(Debug, Clone)]
pub struct NetworkInterface {
    /// `InterfaceType`.
    pub kind: Text,
    /// `Description`.
    pub description: Arc<str>,
    /// The VPC.
    pub vpc_id: VpcId,
    /// The subnet.
    pub subnet_id: SubnetId,
    /// The zone.
    pub zone: ZoneName,
    /// Its security groups.
    pub groups: Vec<SecurityGroupId>,
    /// The instance it is the primary interface of.
    pub instance: Option<InstanceId>,
    /// The primary address.
    pub address: Ipv4Addr,
    /// Secondary addresses (pods).
    pub secondary: Vec<Ipv4Addr>,
    /// Delegated prefixes (pods).
    pub prefixes: Vec<Ipv4Net>,
    /// Delegated IPv6 prefixes (pods of an IPv6 cluster).
    pub ipv6_prefixes: Vec<Arc<str>>,
}

/// An Elastic IP.
#[derive(Debug, Clone)]
pub struct Address {
    /// `PublicIp`.
    pub public_ip: Ipv4Addr,
    /// `AssociationId` is set.
    pub associated: bool,
    /// `ServiceManaged`.
    pub service_managed: Option<&'static str>,
}

/// A load balancer.
#[derive(Debug, Clone)]
pub struct LoadBalancer {
    /// `LoadBalancerName`.
    pub name: Arc<str>,
    /// `DNSName`.
    pub dns_name: Arc<str>,
    /// `Scheme`.
    pub scheme: Text,
    /// `Type`.
    pub kind: Text,
    /// `State.Code`.
    pub state: Text,
    /// `State.Reason`.
    pub state_reason: Option<Text>,
    /// `CreatedTime`.
    pub created_at: Timestamp,
    /// `IpAddressType`.
    pub ip_address_type: Text,
    /// `VpcId`.
    pub vpc_id: VpcId,
    /// Zone, subnet and, where given at creation, the Elastic IP.
    pub zones: Vec<(ZoneName, SubnetId, Option<AllocationId>)>,
    /// `SecurityGroups`.
    pub security_groups: BTreeSet<SecurityGroupId>,
    /// Attributes that differ from AWS's defaults.
    pub attributes: Attributes,
    /// Tags.
    pub tags: Tags,
    /// Listeners.
    pub listeners: Vec<Listener>,
    /// `MinimumLoadBalancerCapacity.CapacityUnits`; `None` where nothing is reserved.
    pub capacity_units: Option<i32>,
}

/// A listener.
#[derive(Debug, Clone)]
pub struct Listener {
    /// The last part of its ARN.
    pub id: Arc<str>,
    /// `Port`.
    pub port: u16,
    /// `Protocol`.
    pub protocol: Text,
    /// Where it forwards to.
    pub forwards: Vec<Forward>,
    /// `SslPolicy` and `Certificates[0]` of a TLS listener.
    pub tls: Option<(Arc<str>, Arc<str>)>,
    /// Certificates beside the default one (SNI). With the controller's 3.4.1 and later the default one is among them too.
    pub certificates: BTreeSet<Arc<str>>,
    /// Attributes that differ from AWS's defaults.
    pub attributes: Attributes,
    /// Tags.
    pub tags: Tags,
}

/// A target group.
#[derive(Debug, Clone)]
pub struct TargetGroup {
    /// `TargetGroupName`.
    pub name: Arc<str>,
    /// `Protocol`.
    pub protocol: Text,
    /// `Port`.
    pub port: u16,
    /// `TargetType`.
    pub target_type: Text,
    /// `IpAddressType`: the family of its targets.
    pub ip_address_type: &'static str,
    /// `VpcId`.
    pub vpc_id: VpcId,
    /// `LoadBalancerArns`.
    pub load_balancers: BTreeSet<LoadBalancerId>,
    /// The health check.
    pub health_check: HealthCheck,
    /// Attributes that differ from AWS's defaults.
    pub attributes: Attributes,
    /// Tags.
    pub tags: Tags,
    /// Registered and draining targets.
    pub targets: Vec<Target>,
}

/// A target and its health.
#[derive(Debug, Clone)]
pub struct Target {
    /// `Target.Id`.
    pub id: Arc<str>,
    /// `Target.Port`.
    pub port: u16,
    /// `Target.AvailabilityZone`; AWS gives it for addresses, not for instances.
    pub zone: Option<ZoneName>,
    /// Its health.
    pub health: Health,
}

/// `TargetHealth` of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// `State`.
    pub state: Text,
    /// `Reason`.
    pub reason: Option<Text>,
}

impl Health {
    /// `healthy`.
    pub const HEALTHY: Self = Self { state: Cow::Borrowed("healthy"), reason: None };
    /// `unhealthy`, Target.FailedHealthChecks.
    pub const FAILED: Self = Self::new("unhealthy", "Target.FailedHealthChecks");
    /// `initial`, Elb.RegistrationInProgress.
    pub const REGISTERING: Self = Self::new("initial", "Elb.RegistrationInProgress");
    /// `draining`, Target.DeregistrationInProgress.
    pub const DRAINING: Self = Self::new("draining", "Target.DeregistrationInProgress");

    /// A state with its reason.
    pub const fn new(state: &'static str, reason: &'static str) -> Self {
        Self { state: Cow::Borrowed(state), reason: Some(Cow::Borrowed(reason)) }
    }
}

/// A quota as Service Quotas and DescribeAccountLimits tell it.
#[derive(Debug, Clone)]
pub struct QuotaEntry {
    /// `QuotaName`.
    pub name: &'static str,
    /// AWS's default.
    pub default: f64,
    /// The applied value; `None` answers NoSuchResourceException.
    pub applied: Option<f64>,
    /// `Adjustable`.
    pub adjustable: bool,
    /// The name DescribeAccountLimits uses.
    pub account_limit: Option<&'static str>,
}

impl QuotaEntry {
    /// The value in force.
    pub fn value(&self) -> f64 {
        self.applied.unwrap_or(self.default)
    }
}

/// A request for more of a quota.
#[derive(Debug, Clone)]
pub struct QuotaChange {
    /// `ServiceCode` and `QuotaCode`.
    pub quota: (&'static str, &'static str),
    /// `DesiredValue`.
    pub desired: f64,
    /// `Status`.
    pub status: &'static str,
    /// `Created`.
    pub created: Timestamp,
}

/// A node.
#[derive(Debug, Clone)]
pub struct Node {
    /// The instance.
    pub instance: InstanceId,
    /// The zone.
    pub zone: ZoneName,
    /// `InternalIP`.
    pub address: Ipv4Addr,
    /// Condition Ready is True.
    pub ready: bool,
    /// When that last changed.
    pub ready_changed_at: Timestamp,
    /// Labels beyond the usual ones.
    pub labels: StringMap,
    /// Keys of its NoSchedule taints.
    pub taints: BTreeSet<Arc<str>>,
}

/// A Service.
#[derive(Debug, Clone)]
pub struct Service {
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// `metadata.creationTimestamp`.
    pub created_at: Timestamp,
    /// `metadata.deletionTimestamp`.
    pub deleted_at: Option<Timestamp>,
    /// The time of the `managedFields` entry that owns its annotations.
    pub annotations_written_at: Timestamp,
    /// `metadata.finalizers`.
    pub finalizers: Vec<Text>,
    /// Annotations.
    pub annotations: StringMap,
    /// `spec.type`.
    pub service_type: ServiceType,
    /// `spec.loadBalancerClass`.
    pub load_balancer_class: Option<Arc<str>>,
    /// `spec.ports`.
    pub ports: Vec<ServicePort>,
    /// `spec.externalTrafficPolicy` is Local; then with `spec.healthCheckNodePort`.
    pub local_health_port: Option<u16>,
    /// `spec.ipFamilies` is IPv6.
    pub ipv6: bool,
    /// `spec.loadBalancerSourceRanges`.
    pub source_ranges: Vec<Arc<str>>,
    /// `status.loadBalancer.ingress[0].hostname`.
    pub hostname: Option<Arc<str>>,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
}

/// One of a Service's ports.
#[derive(Debug, Clone)]
pub struct ServicePort {
    /// `name`.
    pub name: Arc<str>,
    /// `protocol`.
    pub protocol: Protocol,
    /// `port`.
    pub port: u16,
    /// `targetPort`.
    pub target_port: u16,
    /// `nodePort`; 0 for none.
    pub node_port: u16,
}

/// An endpoint of a Service: a pod.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The pod's address.
    pub address: IpAddr,
    /// The pod's number; its name is `SERVICE-NUMBER`.
    pub pod: u32,
    /// The pod's node.
    pub node: NodeName,
    /// The node's zone.
    pub zone: ZoneName,
    /// `conditions.ready`.
    pub ready: bool,
    /// `conditions.terminating`.
    pub terminating: bool,
}

/// A TargetGroupBinding.
#[derive(Debug, Clone)]
pub struct Binding {
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// `metadata.creationTimestamp`.
    pub created_at: Timestamp,
    /// The target group.
    pub target_group: TargetGroupId,
    /// The API group it is of.
    pub group: BindingGroup,
    /// For which object it was made: the beginning of the labels' keys that tell it, and its name.
    pub stack: (&'static str, ObjectName),
    /// `spec.targetType`.
    pub target_type: Text,
    /// The Service, in the binding's namespace.
    pub service: Arc<str>,
    /// `spec.serviceRef.port`.
    pub service_port: u16,
    /// `spec.ipAddressType` is ipv6.
    pub ipv6: bool,
    /// Protocols and ports the controller opens.
    pub ingress: Vec<(Protocol, u16)>,
    /// For which networks it opens them; for the backend group where there is none.
    pub sources: Vec<IpNet>,
}

/// An event.
#[derive(Debug, Clone)]
pub struct Event {
    /// `involvedObject.kind`.
    pub kind: &'static str,
    /// `involvedObject.name`, in the event's namespace.
    pub object: Arc<str>,
    /// `involvedObject.uid`.
    pub uid: Arc<str>,
    /// `type` is Warning.
    pub warning: bool,
    /// `reason`.
    pub reason: Text,
    /// `message`.
    pub message: Arc<str>,
    /// `firstTimestamp`.
    pub first_at: Timestamp,
    /// `lastTimestamp`.
    pub last_at: Timestamp,
    /// `count`.
    pub count: u32,
}

/// The controller's Deployment and leader Lease.
#[derive(Debug, Clone)]
pub struct Controller {
    /// The image's tag.
    pub version: Arc<str>,
    /// Container arguments beyond cluster name, Region and VPC.
    pub arguments: Vec<Arc<str>>,
    /// `spec.replicas`.
    pub replicas: u32,
    /// `status.availableReplicas`.
    pub available: u32,
    /// `spec.holderIdentity` of the Lease.
    pub leader: Arc<str>,
    /// `spec.acquireTime` of the Lease.
    pub leading_since: Timestamp,
    /// `spec.leaseTransitions`.
    pub transitions: u32,
}

impl World {
    /// The ARN of a load balancer.
    pub fn load_balancer_arn(&self, id: &LoadBalancerId) -> Arn {
        Arn::new(format!("{}loadbalancer/{id}", self.elb_arn_prefix()))
    }

    /// The ARN of a target group.
    pub fn target_group_arn(&self, id: &TargetGroupId) -> Arn {
        Arn::new(format!("{}{id}", self.elb_arn_prefix()))
    }

    /// The ARN of a listener.
    pub fn listener_arn(&self, id: &LoadBalancerId, listener: &Listener) -> Arn {
        Arn::new(format!("{}listener/{id}/{}", self.elb_arn_prefix(), listener.id))
    }

    fn elb_arn_prefix(&self) -> String {
        format!("arn:{}:elasticloadbalancing:{}:{}:", self.scope.partition.name(), self.scope.region, self.scope.account_id)
    }

    /// The load balancer that was made for a Service of this cluster, whoever made it.
    pub fn load_balancer_of(&self, service: &ObjectName) -> Option<&LoadBalancerId> {
        let stack = service.to_string();
        let made_for = ["service.k8s.aws/stack", "service.eks.amazonaws.com/stack", "kubernetes.io/service-name"];
        self.load_balancers
            .iter()
            .find(|(_, lb)| made_for.iter().any(|key| lb.tags.get(*key).is_some_and(|tag| **tag == *stack)))
            .map(|(id, _)| id)
    }

    /// The target groups bound to a Service, by its port.
    pub fn target_groups_of(&self, service: &ObjectName) -> BTreeMap<u16, TargetGroupId> {
        self.bindings
            .iter()
            .filter(|(name, binding)| name.namespace == service.namespace && binding.service == service.name)
            .map(|(_, binding)| (binding.service_port, binding.target_group.clone()))
            .collect()
    }

    /// Services of type LoadBalancer, in the order of their names.
    pub fn load_balanced(&self) -> impl Iterator<Item = (&ObjectName, &Service)> {
        self.services.iter().filter(|(_, service)| service.service_type == ServiceType::LoadBalancer)
    }

    /// The attributes of a load balancer as AWS answers them: its own over the defaults.
    pub fn load_balancer_attributes(&self, lb: &LoadBalancer) -> Attributes {
        merged(LOAD_BALANCER_ATTRIBUTES, &lb.attributes)
    }

    /// The attributes of a listener as AWS answers them: its own over the defaults.
    pub fn listener_attributes(&self, listener: &Listener) -> Attributes {
        // Only TCP listeners have an attribute. Source: "Update the TCP idle timeout for your Network Load Balancer listener".
        let defaults: &[(&str, &str)] = if listener.protocol == "TCP" { &[("tcp.idle_timeout.seconds", "350")] } else { &[] };
        merged(defaults, &listener.attributes)
    }

    /// The attributes of a target group as AWS answers them: its own over the defaults.
    pub fn target_group_attributes(&self, group: &TargetGroup) -> Attributes {
        let mut all = merged(TARGET_GROUP_ATTRIBUTES, &group.attributes);
        // AWS preserves the client's address by default, except for address targets of TCP and TLS groups.
        let preserved = group.target_type == "instance" || matches!(&*group.protocol, "UDP" | "TCP_UDP" | "QUIC" | "TCP_QUIC");
        all.entry("preserve_client_ip.enabled".into()).or_insert_with(|| if preserved { "true" } else { "false" }.into());
        all
    }
}

fn merged(defaults: &[(&str, &str)], own: &Attributes) -> Attributes {
    let mut all: Attributes = defaults.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    all.extend(own.iter().map(|(key, value)| (Arc::clone(key), Arc::clone(value))));
    all
}

/// What a new Network Load Balancer's attributes are. Source: "Edit attributes for your Network Load Balancer".
const LOAD_BALANCER_ATTRIBUTES: &[(&str, &str)] = &[
    ("access_logs.s3.bucket", ""),
    ("access_logs.s3.enabled", "false"),
    ("access_logs.s3.prefix", ""),
    ("deletion_protection.enabled", "false"),
    ("dns_record.client_routing_policy", "any_availability_zone"),
    ("ipv6.deny_all_igw_traffic", "false"),
    ("load_balancing.cross_zone.enabled", "false"),
    ("secondary_ips.auto_assigned.per_subnet", "0"),
    ("zonal_shift.config.enabled", "false"),
];

/// What a new target group's attributes are. Source: "Edit target group attributes for your Network Load Balancer".
const TARGET_GROUP_ATTRIBUTES: &[(&str, &str)] = &[
    ("deregistration_delay.connection_termination.enabled", "false"),
    ("deregistration_delay.timeout_seconds", "300"),
    ("load_balancing.cross_zone.enabled", "use_load_balancer_configuration"),
    ("proxy_protocol_v2.enabled", "false"),
    ("stickiness.enabled", "false"),
    ("stickiness.type", "source_ip"),
    ("target_group_health.dns_failover.minimum_healthy_targets.count", "1"),
    ("target_group_health.dns_failover.minimum_healthy_targets.percentage", "off"),
    ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", "1"),
    ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", "off"),
    ("target_health_state.unhealthy.connection_termination.enabled", "true"),
    ("target_health_state.unhealthy.draining_interval_seconds", "0"),
];
