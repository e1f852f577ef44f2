//! Which healthy clusters can be simulated? Each is one that people run, as its controllers leave it.

use clap::ValueEnum;

use crate::simulator::kube_api::{
    AUTO_MODE_TARGET_GROUP_BINDINGS, GATEWAY_CLASSES, GATEWAYS, Resource, TARGET_GROUP_BINDINGS, TCP_ROUTES, TLS_ROUTES,
    UDP_ROUTES,
};

/// The kind of cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, ValueEnum)]
pub enum WorldKind {
    /// A shop's cluster with a Service of every flavour.
    #[default]
    Mixed,
    /// The newest AWS Load Balancer Controller, address targets only.
    Newest,
    /// Instance targets with externalTrafficPolicy Local only.
    InstanceLocal,
    /// Load balancers without security groups (gate NLBSecurityGroup off): rules by CIDR on the nodes' group.
    Legacy,
    /// No AWS Load Balancer Controller: the in-tree provider's load balancers.
    InTree,
    /// EKS Auto Mode, and no AWS Load Balancer Controller.
    AutoMode,
    /// Every other load balancer belongs to a Gateway.
    GatewayApi,
    /// An IPv6 cluster with dual-stack load balancers.
    DualStack,
    /// No public subnet and internal load balancers only.
    PrivateOnly,
    /// Subnets that another account shares with this one, so that their tags cannot be seen.
    SharedVpc,
    /// A second cluster with its load balancers in the same VPC, subnets tagged for one or both.
    TwoClusters,
}

impl WorldKind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Mixed,
        Self::Newest,
        Self::InstanceLocal,
        Self::Legacy,
        Self::InTree,
        Self::AutoMode,
        Self::GatewayApi,
        Self::DualStack,
        Self::PrivateOnly,
        Self::SharedVpc,
        Self::TwoClusters,
    ];

    /// Whether the AWS Load Balancer Controller runs in it.
    pub fn has_controller(self) -> bool {
        !matches!(self, Self::InTree | Self::AutoMode)
    }

    /// The version of its controller.
    pub(super) fn controller_version(self) -> &'static str {
        match self {
            Self::Newest | Self::GatewayApi | Self::DualStack => "v3.5.0",
            _ => super::CONTROLLER_VERSION,
        }
    }

    /// Its controller's arguments beyond the usual ones.
    pub(super) fn controller_arguments(self) -> &'static [&'static str] {
        match self {
            Self::Legacy => &["--ingress-class=alb", "--feature-gates=NLBSecurityGroup=false"],
            _ => &["--ingress-class=alb"],
        }
    }

    /// Kinds that its API server serves or does not, other than from the start.
    pub(crate) fn served(self) -> Vec<(Resource, bool)> {
        let gateway_api = [GATEWAY_CLASSES, GATEWAYS, TCP_ROUTES, TLS_ROUTES, UDP_ROUTES];
        let mut served = Vec::new();
        if !matches!(self, Self::Mixed | Self::GatewayApi) {
            served.extend(gateway_api.map(|resource| (resource, false)));
        }
        if !self.has_controller() {
            served.push((TARGET_GROUP_BINDINGS, false));
        }
        if self == Self::AutoMode {
            served.push((AUTO_MODE_TARGET_GROUP_BINDINGS, true));
        }
        served
    }
}
