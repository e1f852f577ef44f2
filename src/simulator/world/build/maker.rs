//! Who makes a load balancer in a simulated world, and by what does one see it?

use std::sync::Arc;

use crate::{
    inventory::{aws::Tags, ids::ObjectName},
    simulator::world::WorldKind,
};

/// Who makes a load balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    /// The AWS Load Balancer Controller, for a Service.
    Controller,
    /// The AWS Load Balancer Controller, for a Gateway.
    Gateway,
    /// EKS Auto Mode, for a Service.
    AutoMode,
    /// The in-tree provider, for a Service.
    InTree,
}

impl Maker {
    /// Who makes the `number`th load balancer.
    pub(super) fn of(kind: WorldKind, number: usize) -> Self {
        match kind {
            WorldKind::AutoMode => Self::AutoMode,
            WorldKind::InTree => Self::InTree,
            WorldKind::GatewayApi if number.is_multiple_of(2) => Self::Gateway,
            _ => Self::Controller,
        }
    }

    /// The finalizer that it puts on a Service.
    pub(super) fn service_finalizer(self) -> Option<&'static str> {
        match self {
            Self::Controller => Some("service.k8s.aws/resources"),
            Self::Gateway => None,
            Self::AutoMode => Some("service.eks.amazonaws.com/resources"),
            Self::InTree => Some("service.kubernetes.io/load-balancer-cleanup"),
        }
    }

    /// How the keys of tags and of the bindings' labels begin; the in-tree provider makes no binding.
    pub(super) fn label(self) -> Option<&'static str> {
        match self {
            Self::Controller => Some("service.k8s.aws"),
            Self::Gateway => Some("gateway.k8s.aws.nlb"),
            Self::AutoMode => Some("service.eks.amazonaws.com"),
            Self::InTree => None,
        }
    }

    /// Adds the tags by which it finds again what it made.
    pub(super) fn track(self, tags: &mut Tags, cluster: &str, stack: &ObjectName, resource: &str) {
        let mut tag = |key: String, value: Arc<str>| tags.insert(key.into(), value);
        let Some(label) = self.label() else {
            tag(format!("kubernetes.io/cluster/{cluster}"), "owned".into());
            tag("kubernetes.io/service-name".to_owned(), stack.to_string().into());
            return;
        };
        let owner = if self == Self::AutoMode { "eks:eks-cluster-name" } else { "elbv2.k8s.aws/cluster" };
        tag(owner.to_owned(), cluster.into());
        tag(format!("{label}/stack"), stack.to_string().into());
        tag(format!("{label}/resource"), resource.into());
    }
}
