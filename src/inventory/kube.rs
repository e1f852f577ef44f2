//! What does the cluster want? Slim types: only what a check, a join or the controller's model needs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::aws::closed_set;
use super::ids::{Arn, InstanceId, NodeName, ObjectName, VpcId, ZoneName};

/// Annotations or labels.
pub type StringMap = BTreeMap<Arc<str>, Arc<str>>;

closed_set!(
    /// `spec.type` of a Service.
    ServiceType { ClusterIp = "ClusterIP", NodePort = "NodePort", LoadBalancer = "LoadBalancer", ExternalName = "ExternalName" }
);
closed_set!(
    /// `spec.externalTrafficPolicy`.
    TrafficPolicy { Cluster = "Cluster", Local = "Local" }
);
closed_set!(
    /// A port's protocol.
    Protocol { Tcp = "TCP", Udp = "UDP", Sctp = "SCTP" }
);
closed_set!(
    /// The status of a condition.
    ConditionStatus { True = "True", False = "False", Unknown = "Unknown" }
);

/// A Service. Every Service of the cluster is kept: NodePort and ClusterIP ones can own load balancers too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Namespace and name.
    pub name: ObjectName,
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// `metadata.creationTimestamp`.
    pub created_at: Timestamp,
    /// `metadata.deletionTimestamp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// `metadata.finalizers`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub finalizers: Vec<Arc<str>>,
    /// Annotations, but `kubectl.kubernetes.io/last-applied-configuration`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: StringMap,
    /// When `managedFields` says that annotations were last written: the newest entry that owns one; evidence, not proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations_written_at: Option<Timestamp>,
    /// When this program last saw its spec or annotations change; `None` when they never changed while it watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Timestamp>,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: StringMap,
    /// `spec.type`.
    pub service_type: ServiceType,
    /// `spec.loadBalancerClass`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer_class: Option<Arc<str>>,
    /// `spec.ports`, in their order.
    #[serde(default)]
    pub ports: Vec<ServicePort>,
    /// `spec.externalTrafficPolicy`.
    #[serde(default = "cluster_policy")]
    pub external_traffic_policy: TrafficPolicy,
    /// `spec.healthCheckNodePort`; `None` when 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check_node_port: Option<u16>,
    /// `spec.ipFamilies` contains IPv6.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ipv6: bool,
    /// `spec.loadBalancerSourceRanges`, raw.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_ranges: Vec<Arc<str>>,
    /// `status.loadBalancer.ingress[].hostname`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hostnames: Vec<Arc<str>>,
}

fn cluster_policy() -> TrafficPolicy {
    TrafficPolicy::Cluster
}

/// One of `spec.ports`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicePort {
    /// `name`; empty when the only port has none.
    #[serde(default)]
    pub name: Arc<str>,
    /// `protocol`.
    pub protocol: Protocol,
    /// `port`.
    pub port: u16,
    /// `targetPort`; a Service that leaves it out means its `port`.
    pub target_port: PortReference,
    /// `nodePort`; `None` when 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_port: Option<u16>,
}

/// A port by number or by name (`IntOrString`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PortReference {
    /// By number.
    Number(u16),
    /// By name.
    Name(Arc<str>),
}

/// An EndpointSlice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointSlice {
    /// Namespace and name of the slice.
    pub name: ObjectName,
    /// The Service it belongs to (label `kubernetes.io/service-name`).
    pub service: ObjectName,
    /// `ports`.
    #[serde(default)]
    pub ports: Vec<EndpointPort>,
    /// `endpoints`, one entry an address.
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
    /// When this program last saw its ports or endpoints change, or the slice appear; `None` when they never did while it watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Timestamp>,
}

/// One of a slice's `ports`; it holds for all of its endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointPort {
    /// The *Service port's* name; empty when it has none.
    #[serde(default)]
    pub name: Arc<str>,
    /// The container's port; `None` means all ports.
    pub port: Option<u16>,
    /// `protocol`.
    pub protocol: Protocol,
}

/// One address of a slice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The address (`addresses[0]`: all addresses of an endpoint are interchangeable, and the controller takes the first).
    pub address: IpAddr,
    /// `conditions.ready`; a missing one means ready.
    pub ready: bool,
    /// `conditions.serving`; a missing one means as ready.
    pub serving: bool,
    /// `conditions.terminating`; a missing one means no.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub terminating: bool,
    /// `nodeName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeName>,
    /// `zone`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<ZoneName>,
    /// `targetRef.name` where it is a Pod; its namespace is the slice's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Arc<str>>,
}

/// A Node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// The name.
    pub name: NodeName,
    /// From `spec.providerID` (`aws:///ZONE/i-…`); `None` for Fargate and others that are no instance.
    pub instance_id: Option<InstanceId>,
    /// Label `topology.kubernetes.io/zone`.
    pub zone: Option<ZoneName>,
    /// `status.addresses` of type InternalIP.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub internal_ips: Vec<IpAddr>,
    /// Condition `Ready`; Unknown when it has none.
    pub ready: ConditionStatus,
    /// When that condition last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_changed_at: Option<Timestamp>,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: StringMap,
    /// Keys of its taints.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub taints: BTreeSet<Arc<str>>,
    /// When this program last saw its labels, taints or readiness change, or the node appear; `None` when they never did
    /// while it watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Timestamp>,
}

closed_set!(
    /// The API group a TargetGroupBinding is of.
    BindingGroup {
        /// The AWS Load Balancer Controller's.
        LoadBalancerController = "elbv2.k8s.aws",
        /// EKS Auto Mode's.
        AutoMode = "eks.amazonaws.com",
    }
);

/// A TargetGroupBinding: which Service's endpoints are registered in which target group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetGroupBinding {
    /// Namespace and name.
    pub name: ObjectName,
    /// Its API group.
    pub group: BindingGroup,
    /// `metadata.creationTimestamp`.
    pub created_at: Timestamp,
    /// `metadata.deletionTimestamp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// `spec.targetGroupARN`; `None` until the webhook filled it from the name.
    pub target_group_arn: Option<Arn>,
    /// `spec.targetType`: `instance` or `ip`; `None` until the webhook filled it.
    pub target_type: Option<super::aws::TargetType>,
    /// `spec.serviceRef.name`, in the binding's namespace.
    pub service: ObjectName,
    /// `spec.serviceRef.port`.
    pub service_port: PortReference,
    /// `spec.networking` is set: the controller manages rules for it.
    pub networking: bool,
    /// `spec.nodeSelector`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<LabelSelector>,
    /// `spec.multiClusterTargetGroup`: foreign targets are legitimate.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub multi_cluster: bool,
    /// `spec.iamRoleArnToAssume` is set: the group is in another account and invisible here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub other_account: bool,
    /// `spec.vpcID`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc_id: Option<VpcId>,
    /// Labels `service.k8s.aws/stack-namespace` and `-name`: made by the controller for this Service; `None` for one
    /// that a user made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<ObjectName>,
}

/// A label selector.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelSelector {
    /// `matchLabels`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: StringMap,
    /// `matchExpressions`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<LabelExpression>,
}

/// One of `matchExpressions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelExpression {
    /// `key`.
    pub key: Arc<str>,
    /// `operator`.
    pub operator: LabelOperator,
    /// `values`.
    #[serde(default)]
    pub values: Vec<Arc<str>>,
}

closed_set!(
    /// The operator of a label expression.
    LabelOperator { In = "In", NotIn = "NotIn", Exists = "Exists", DoesNotExist = "DoesNotExist" }
);

impl LabelSelector {
    /// Whether `labels` satisfy it; an empty selector matches everything.
    pub fn matches(&self, labels: &StringMap) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|expression| {
                let value = labels.get(&expression.key);
                match expression.operator {
                    LabelOperator::In => value.is_some_and(|v| expression.values.contains(v)),
                    LabelOperator::NotIn => !value.is_some_and(|v| expression.values.contains(v)),
                    LabelOperator::Exists => value.is_some(),
                    LabelOperator::DoesNotExist => value.is_none(),
                }
            })
    }
}

/// A Gateway (`gateway.networking.k8s.io`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gateway {
    /// Namespace and name.
    pub name: ObjectName,
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// `metadata.creationTimestamp`.
    pub created_at: Timestamp,
    /// `metadata.deletionTimestamp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// `metadata.finalizers`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub finalizers: Vec<Arc<str>>,
    /// `spec.gatewayClassName`.
    pub class: Arc<str>,
    /// `spec.listeners`.
    #[serde(default)]
    pub listeners: Vec<GatewayListener>,
    /// Condition `Programmed`; Unknown when it has none.
    pub programmed: ConditionStatus,
    /// `status.addresses[].value`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Arc<str>>,
}

/// One of a Gateway's listeners.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayListener {
    /// `name`.
    pub name: Arc<str>,
    /// `port`.
    pub port: u16,
    /// `protocol`: `TCP`, `TLS`, `UDP`, `HTTP`, …
    pub protocol: Arc<str>,
}

/// A GatewayClass: which controller answers for the Gateways of this class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayClass {
    /// The name.
    pub name: Arc<str>,
    /// `spec.controllerName`; `gateway.k8s.aws/nlb` for the NLBs of the AWS Load Balancer Controller.
    pub controller: Arc<str>,
}

closed_set!(
    /// A kind of route that a Gateway's NLB can have.
    RouteKind { Tcp = "TCPRoute", Tls = "TLSRoute", Udp = "UDPRoute" }
);

/// A TCPRoute, TLSRoute or UDPRoute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Its kind.
    pub kind: RouteKind,
    /// Namespace and name.
    pub name: ObjectName,
    /// `metadata.creationTimestamp`.
    pub created_at: Timestamp,
    /// `spec.parentRefs` that name Gateways.
    #[serde(default)]
    pub gateways: Vec<ObjectName>,
    /// `spec.rules[].backendRefs` that name Services, with their port.
    #[serde(default)]
    pub backends: Vec<(ObjectName, u16)>,
}

closed_set!(
    /// What an event is about.
    EventObject { Service = "Service", TargetGroupBinding = "TargetGroupBinding" }
);

/// What the events about one object add up to. It outlives the events, which expire after about an hour.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileState {
    /// The newest failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<ReconcileFailure>,
    /// The newest `SuccessfullyReconciled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeded_at: Option<Timestamp>,
}

/// A Warning event of a controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileFailure {
    /// The event's reason, e.g. `FailedBuildModel`.
    pub reason: Arc<str>,
    /// The event's message, untrusted text.
    pub message: Arc<str>,
    /// When it was last seen.
    pub at: Timestamp,
}

impl ReconcileState {
    /// The failure that no later success cleared. Events have whole seconds, and the controller writes a warning and
    /// its success in the same one: equal times count as cleared.
    pub fn blocked(&self) -> Option<&ReconcileFailure> {
        self.failure.as_ref().filter(|failure| self.succeeded_at.is_none_or(|success| failure.at > success))
    }

    /// Folds one more event in; older news than what is known changes nothing.
    pub fn record_failure(&mut self, failure: ReconcileFailure) {
        if self.failure.as_ref().is_none_or(|known| failure.at >= known.at) {
            self.failure = Some(failure);
        }
    }

    /// Folds a success in.
    pub fn record_success(&mut self, at: Timestamp) {
        self.succeeded_at = self.succeeded_at.max(Some(at));
    }
}

/// The AWS Load Balancer Controller's Deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ControllerDeployment {
    /// Namespace and name of the Deployment.
    pub name: ObjectName,
    /// From the image tag, else the label `app.kubernetes.io/version`; `None` when neither tells.
    pub version: Option<Version>,
    /// The image, as written.
    pub image: Arc<str>,
    /// `--key=value` arguments, without the dashes; a bare flag is `true`.
    pub flags: StringMap,
    /// `spec.replicas`.
    pub replicas: u32,
    /// `status.availableReplicas`; `None` where the status has none.
    pub available_replicas: Option<u32>,
}

impl ControllerDeployment {
    /// A flag's value.
    pub fn flag(&self, name: &str) -> Option<&str> {
        self.flags.get(name).map(|value| &**value)
    }

    /// Whether a feature gate is on: `--feature-gates=A=true,B=false`, else its default.
    pub fn gate(&self, name: &str, default: bool) -> bool {
        self.flag("feature-gates")
            .and_then(|gates| {
                gates
                    .split(',')
                    .filter_map(|gate| gate.split_once('='))
                    .find(|(key, _)| key.trim() == name)
                    .map(|(_, v)| v.trim())
            })
            .and_then(|value| value.to_ascii_lowercase().parse().ok())
            .unwrap_or(default)
    }
}

/// A controller's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Major.
    pub major: u32,
    /// Minor.
    pub minor: u32,
    /// Patch.
    pub patch: u32,
}

impl Version {
    /// `v2.8.2`.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// Reads `v?MAJOR.MINOR.PATCH`, with or without a `-suffix`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let text = text.split(['-', '+', '_']).next()?;
        let mut numbers = text.split('.').map(|part| part.parse().ok());
        let version = Self::new(numbers.next()??, numbers.next()??, numbers.next()??);
        numbers.next().is_none().then_some(version)
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "v{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("{text:?} is not a version")))
    }
}

/// The controller's leader Lease (`aws-load-balancer-controller-leader`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaderLease {
    /// `spec.holderIdentity`; `None` when nobody leads.
    pub holder: Option<Arc<str>>,
    /// `spec.acquireTime`: since when this holder leads.
    pub acquired_at: Option<Timestamp>,
    /// `spec.renewTime`, up to half a minute old: the leader renews every two seconds, which is not told each time.
    pub renewed_at: Option<Timestamp>,
    /// `spec.leaseTransitions`.
    pub transitions: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_an_image_tag() {
        assert_eq!(Version::parse("v2.8.2"), Some(Version::new(2, 8, 2)));
        assert_eq!(Version::parse("2.13.0-linux_amd64"), Some(Version::new(2, 13, 0)));
        for bad in ["", "latest", "v2", "v2.8", "v2.8.2.1", "v2.x.1"] {
            assert_eq!(Version::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_success_in_the_same_second_clears_a_failure() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let failure = |second| ReconcileFailure { reason: "FailedBuildModel".into(), message: "x".into(), at: at(second) };
        let mut state = ReconcileState::default();
        state.record_failure(failure(10));
        assert!(state.blocked().is_some());
        state.record_success(at(10));
        assert!(state.blocked().is_none());
        state.record_failure(failure(11));
        state.record_success(at(5));
        assert!(state.blocked().is_some(), "an older success clears nothing");
        state.record_failure(failure(3));
        assert_eq!(state.failure.as_ref().unwrap().at, at(11), "older news changes nothing");
    }

    #[test]
    fn gates_are_read_from_the_arguments() {
        let deployment = |gates: &str| ControllerDeployment {
            name: ObjectName::new("kube-system", "c"),
            version: None,
            image: "x".into(),
            flags: StringMap::from([("feature-gates".into(), gates.into())]),
            replicas: 1,
            available_replicas: None,
        };
        let some = deployment("A=false, B=true,C=maybe");
        assert!(!some.gate("A", true));
        assert!(some.gate("B", false));
        assert!(some.gate("C", true), "what does not parse leaves the default");
        assert!(!some.gate("D", false));
    }
}
