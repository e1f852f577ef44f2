//! What would a Kubernetes API server answer? Lists, watches and single objects over HTTP, from objects kept as bytes.
//!
//! It knows no world: whoever owns one upserts objects into a [`KubeStore`] and serves its [`router`].

mod config_maps;
mod selector;
mod serve;
mod store;

pub use serve::router;
pub use store::{Access, KubeStore, Verb};

/// A kind of object the server serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The version.
    pub version: &'static str,
    /// The name in paths.
    pub plural: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

impl Resource {
    const fn new(group: &'static str, version: &'static str, plural: &'static str, kind: &'static str, namespaced: bool) -> Self {
        Self { group, version, plural, kind, namespaced }
    }

    /// `group/version`, or the version alone in the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }
}

/// Services.
pub const SERVICES: Resource = Resource::new("", "v1", "services", "Service", true);
/// Nodes.
pub const NODES: Resource = Resource::new("", "v1", "nodes", "Node", false);
/// Events of the core group.
pub const EVENTS: Resource = Resource::new("", "v1", "events", "Event", true);
/// Pods: nobody watches them; here for readers of a served world.
pub const PODS: Resource = Resource::new("", "v1", "pods", "Pod", true);
/// EndpointSlices.
pub const ENDPOINT_SLICES: Resource = Resource::new("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", true);
/// ConfigMaps: the one kind that can be written.
pub const CONFIG_MAPS: Resource = Resource::new("", "v1", "configmaps", "ConfigMap", true);
/// Deployments.
pub const DEPLOYMENTS: Resource = Resource::new("apps", "v1", "deployments", "Deployment", true);
/// DaemonSets.
pub const DAEMON_SETS: Resource = Resource::new("apps", "v1", "daemonsets", "DaemonSet", true);
/// Leases.
pub const LEASES: Resource = Resource::new("coordination.k8s.io", "v1", "leases", "Lease", true);
/// The AWS Load Balancer Controller's TargetGroupBindings.
pub const TARGET_GROUP_BINDINGS: Resource =
    Resource::new("elbv2.k8s.aws", "v1beta1", "targetgroupbindings", "TargetGroupBinding", true);
/// EKS Auto Mode's TargetGroupBindings; not served unless asked for.
pub const AUTO_MODE_TARGET_GROUP_BINDINGS: Resource =
    Resource::new("eks.amazonaws.com", "v1", "targetgroupbindings", "TargetGroupBinding", true);

/// The group of the Gateway API.
const GATEWAY_API: &str = "gateway.networking.k8s.io";
/// GatewayClasses.
pub const GATEWAY_CLASSES: Resource = Resource::new(GATEWAY_API, "v1", "gatewayclasses", "GatewayClass", false);
/// GatewayClasses as the Gateway API served them before 1.0; not served unless asked for.
pub const OLD_GATEWAY_CLASSES: Resource = Resource::new(GATEWAY_API, "v1beta1", "gatewayclasses", "GatewayClass", false);
/// Gateways.
pub const GATEWAYS: Resource = Resource::new(GATEWAY_API, "v1", "gateways", "Gateway", true);
/// Gateways as the Gateway API served them before 1.0; not served unless asked for.
pub const OLD_GATEWAYS: Resource = Resource::new(GATEWAY_API, "v1beta1", "gateways", "Gateway", true);
/// TCPRoutes, in the version that all releases of the Gateway API so far serve.
pub const TCP_ROUTES: Resource = Resource::new(GATEWAY_API, "v1alpha2", "tcproutes", "TCPRoute", true);
/// TCPRoutes of a newer Gateway API; not served unless asked for.
pub const NEW_TCP_ROUTES: Resource = Resource::new(GATEWAY_API, "v1", "tcproutes", "TCPRoute", true);
/// TLSRoutes of the Gateway API before 1.5.
pub const TLS_ROUTES: Resource = Resource::new(GATEWAY_API, "v1alpha2", "tlsroutes", "TLSRoute", true);
/// TLSRoutes of a newer Gateway API; not served unless asked for.
pub const NEW_TLS_ROUTES: Resource = Resource::new(GATEWAY_API, "v1", "tlsroutes", "TLSRoute", true);
/// UDPRoutes, in the version that all releases of the Gateway API so far serve.
pub const UDP_ROUTES: Resource = Resource::new(GATEWAY_API, "v1alpha2", "udproutes", "UDPRoute", true);
/// UDPRoutes of a newer Gateway API; not served unless asked for.
pub const NEW_UDP_ROUTES: Resource = Resource::new(GATEWAY_API, "v1", "udproutes", "UDPRoute", true);

/// Every resource a store knows from the start.
pub const ALL: &[Resource] = &[
    SERVICES,
    NODES,
    EVENTS,
    PODS,
    ENDPOINT_SLICES,
    CONFIG_MAPS,
    DEPLOYMENTS,
    DAEMON_SETS,
    LEASES,
    TARGET_GROUP_BINDINGS,
    AUTO_MODE_TARGET_GROUP_BINDINGS,
    GATEWAY_CLASSES,
    OLD_GATEWAY_CLASSES,
    GATEWAYS,
    OLD_GATEWAYS,
    TCP_ROUTES,
    NEW_TCP_ROUTES,
    TLS_ROUTES,
    NEW_TLS_ROUTES,
    UDP_ROUTES,
    NEW_UDP_ROUTES,
];

/// Kinds that a store serves only when asked to: few clusters have them.
pub(super) const ABSENT_AT_FIRST: &[Resource] =
    &[AUTO_MODE_TARGET_GROUP_BINDINGS, OLD_GATEWAY_CLASSES, OLD_GATEWAYS, NEW_TCP_ROUTES, NEW_TLS_ROUTES, NEW_UDP_ROUTES];

#[cfg(test)]
mod tests;
