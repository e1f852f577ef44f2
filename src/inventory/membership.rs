//! What of all that the Region has belongs to this cluster, and for what was it made?

use std::collections::BTreeMap;

use super::ids::{LoadBalancerId, TargetGroupId};
use super::parts::Parts;
use super::snapshot::{ClusterLoadBalancer, ClusterTargetGroup};

/// This cluster's load balancers and target groups.
#[derive(Debug, Clone, Default)]
pub struct Membership {
    /// Load balancers tagged as this cluster's, or serving a target group that one of its bindings names.
    pub load_balancers: BTreeMap<LoadBalancerId, ClusterLoadBalancer>,
    /// Target groups tagged as this cluster's, bound by one of its bindings, or used by one of its load balancers.
    pub target_groups: BTreeMap<TargetGroupId, ClusterTargetGroup>,
}

impl Membership {
    /// Sorts out what is known; resources whose tags are not known yet are not in it.
    pub fn of(_parts: &Parts) -> Self {
        Self::default()
    }
}
