//! Which part does each security group play for this cluster's load balancers?

pub mod cost;
mod endpoints;
pub mod planned;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::controller::settings::Settings;
use crate::inventory::aws::{SecurityGroup, closed_set};
use crate::inventory::ids::{ObjectName, SecurityGroupId};
use crate::inventory::snapshot::{Owner, Snapshot};

closed_set!(
    /// The part a security group plays.
    Role {
        /// On a load balancer, made and kept by the controller for one Service.
        FrontendManaged = "frontend_managed",
        /// On a load balancer, a user's own.
        FrontendCustom = "frontend_custom",
        /// The shared group that endpoint groups let in; on every load balancer whose rules the controller manages.
        Backend = "backend",
        /// On the network interfaces of this cluster's targets: where the controller adds rules.
        Endpoint = "endpoint",
        /// The group EKS made for the cluster.
        Cluster = "cluster",
    }
);

/// The roles of all groups that have one. A group may play several parts, and a custom one may serve several Services.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roles {
    by_group: BTreeMap<SecurityGroupId, BTreeSet<(Role, Option<ObjectName>)>>,
}

impl Roles {
    /// Works out the roles; empty while the cluster's name is unknown.
    pub fn of(snapshot: &Snapshot) -> Self {
        let mut roles = Self::of_load_balancers(snapshot);
        let Some(cluster) = snapshot.parts.scope.cluster_name.as_deref() else { return roles };
        for id in endpoints::endpoint_groups(snapshot, cluster, &roles) {
            roles.add(&id, Role::Endpoint, None);
        }
        roles
    }

    /// All roles but `Endpoint`, which needs every target and interface and is not for free.
    pub fn of_load_balancers(snapshot: &Snapshot) -> Self {
        let mut roles = Self::default();
        let parts = &snapshot.parts;
        let Some(cluster) = parts.scope.cluster_name.as_deref() else { return roles };
        for group in parts.security_groups.get().into_iter().flat_map(BTreeMap::values) {
            if parts.scope.vpc_id.as_ref().is_none_or(|vpc| *vpc == group.vpc_id) {
                roles.add_tagged(group, cluster);
            }
        }
        let named = Settings::in_cluster(parts).flag("backend-security-group", "");
        if let Some(id) = named.filter(|id| !id.is_empty()) {
            roles.add(&SecurityGroupId::from(id), Role::Backend, None);
        }
        roles.add_attached(snapshot);
        roles
    }

    /// Groups with their roles; the Service is that of a frontend group.
    pub fn iter(&self) -> impl Iterator<Item = (&SecurityGroupId, Role, Option<&ObjectName>)> {
        self.by_group.iter().flat_map(|(id, roles)| roles.iter().map(move |(role, service)| (id, *role, service.as_ref())))
    }

    /// Whether a group plays this part.
    pub fn has(&self, id: &SecurityGroupId, role: Role) -> bool {
        self.by_group.get(id).is_some_and(|roles| roles.iter().any(|(known, _)| *known == role))
    }

    /// Whether a group plays any part.
    pub fn any(&self, id: &SecurityGroupId) -> bool {
        self.by_group.contains_key(id)
    }

    fn add(&mut self, id: &SecurityGroupId, role: Role, service: Option<ObjectName>) {
        self.by_group.entry(id.clone()).or_default().insert((role, service));
    }

    fn add_tagged(&mut self, group: &SecurityGroup, cluster: &str) {
        let tag = |key: &str| group.tags.get(key).map(|value| &**value);
        let stack = |key: &str| tag(key).and_then(ObjectName::parse);
        if tag("elbv2.k8s.aws/cluster") == Some(cluster) {
            if tag("service.k8s.aws/resource") == Some(MANAGED) {
                self.add(&group.id, Role::FrontendManaged, stack("service.k8s.aws/stack"));
            } else if tag("gateway.k8s.aws.nlb/resource") == Some(MANAGED) {
                self.add(&group.id, Role::FrontendManaged, None);
            }
            if tag("elbv2.k8s.aws/resource") == Some("backend-sg") {
                self.add(&group.id, Role::Backend, None);
            }
        }
        if tag("eks:eks-cluster-name") == Some(cluster) && tag("service.eks.amazonaws.com/resource") == Some(MANAGED) {
            self.add(&group.id, Role::FrontendManaged, stack("service.eks.amazonaws.com/stack"));
        }
        if tag("aws:eks:cluster-name") == Some(cluster) && group.name.starts_with("eks-cluster-sg-") {
            self.add(&group.id, Role::Cluster, None);
        }
    }

    fn add_attached(&mut self, snapshot: &Snapshot) {
        let groups = snapshot.parts.security_groups.get();
        let cluster = snapshot.parts.scope.cluster_name.as_deref();
        for load_balancer in snapshot.load_balancers.values() {
            let service = match &load_balancer.owner {
                Owner::Service(service) => Some(service),
                _ => None,
            };
            for id in &load_balancer.load_balancer.security_groups {
                if self.has(id, Role::FrontendManaged) || self.has(id, Role::Backend) {
                    continue;
                }
                // What an untagged-so-far group is cannot be told: it may be a managed one whose tags are not known yet.
                let Some(group) = groups.and_then(|groups| groups.get(id)) else { continue };
                // What Auto Mode made beside the groups of its load balancers: it is shared, and no user's.
                if group.tags.get("eks:eks-cluster-name").is_some_and(|name| Some(&**name) == cluster) {
                    self.add(id, Role::Backend, None);
                    continue;
                }
                let managed = group.tags.get("ingress.k8s.aws/resource").is_some_and(|value| &**value == MANAGED);
                let role = if managed { Role::FrontendManaged } else { Role::FrontendCustom };
                self.add(id, role, service.cloned());
            }
        }
    }
}

const MANAGED: &str = "ManagedLBSecurityGroup";

#[cfg(test)]
mod tests;
