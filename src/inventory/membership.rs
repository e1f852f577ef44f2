//! What of all that the Region has belongs to this cluster, and for what was it made?
//!
//! Decided by tags and by this cluster's TargetGroupBindings, never by a name: an in-tree target group is called like one
//! of the controller's, and DNS names are shared by Services that fight for one load balancer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::aws::{Tags, TargetGroup};
use super::ids::{Arn, LoadBalancerId, ObjectName, TargetGroupId};
use super::kube::{PortReference, TargetGroupBinding};
use super::parts::Parts;
use super::snapshot::{ClusterLoadBalancer, ClusterTargetGroup, Controller, Owner};

/// This cluster's load balancers and target groups.
#[derive(Debug, Clone, Default)]
pub struct Membership {
    /// Load balancers tagged as this cluster's, or serving a target group that one of its bindings names.
    pub load_balancers: BTreeMap<LoadBalancerId, ClusterLoadBalancer>,
    /// Target groups tagged as this cluster's, bound by one of its bindings, or used by one of its load balancers.
    pub target_groups: BTreeMap<TargetGroupId, ClusterTargetGroup>,
}

/// Who made a resource, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// Who.
    pub controller: Controller,
    /// For what.
    pub owner: Owner,
}

/// Reads who made a resource from its tags; `None` when they do not say that it is `cluster`'s.
pub fn provenance(tags: &Tags, cluster: &str) -> Option<Provenance> {
    let tag = |key: &str| tags.get(key).map(|value| &**value);
    let object = |value: &str| ObjectName::parse(value);

    if tag("elbv2.k8s.aws/cluster") == Some(cluster) {
        let owner = tag("service.k8s.aws/stack")
            .and_then(object)
            .map(Owner::Service)
            .or_else(|| tag("ingress.k8s.aws/stack").map(|group| Owner::Ingress(group.into())))
            .or_else(|| {
                tag("gateway.k8s.aws.nlb/stack").or(tag("gateway.k8s.aws.alb/stack")).and_then(object).map(Owner::Gateway)
            })
            .unwrap_or(Owner::None);
        return Some(Provenance { controller: Controller::LoadBalancerController, owner });
    }
    if tag("eks:eks-cluster-name") == Some(cluster) {
        let owner = tag("service.eks.amazonaws.com/stack")
            .and_then(object)
            .map(Owner::Service)
            .or_else(|| tag("ingress.eks.amazonaws.com/stack").map(|group| Owner::Ingress(group.into())))
            .unwrap_or(Owner::None);
        return Some(Provenance { controller: Controller::AutoMode, owner });
    }
    // The controller leaves these tags in place after a migration, so they count only without its own.
    let in_tree = tag(&format!("kubernetes.io/cluster/{cluster}")).is_some() || tag("KubernetesCluster") == Some(cluster);
    let foreign = tag("elbv2.k8s.aws/cluster").is_some() || tag("eks:eks-cluster-name").is_some();
    let service = tag("kubernetes.io/service-name").and_then(object);
    match service {
        Some(service) if in_tree && !foreign => {
            Some(Provenance { controller: Controller::InTree, owner: Owner::Service(service) })
        }
        _ => None,
    }
}

/// Which Service's pods a target group holds, by its resource tag: `namespace/service:port`, split at the last colon.
fn tagged_backend(tags: &Tags) -> Option<(ObjectName, PortReference)> {
    let resource = tags.get("service.k8s.aws/resource").or_else(|| tags.get("service.eks.amazonaws.com/resource"))?;
    let (service, port) = resource.rsplit_once(':')?;
    let port = match port.parse() {
        Ok(number) => PortReference::Number(number),
        Err(_) => PortReference::Name(port.into()),
    };
    Some((ObjectName::parse(service)?, port))
}

impl Membership {
    /// Sorts out what is known; resources whose tags are not known yet are in it only if a binding names them.
    pub fn of(parts: &Parts) -> Self {
        let bindings = bindings_by_arn(parts);
        let mut membership = Self::default();
        membership.add_tagged_load_balancers(parts);
        membership.add_target_groups(parts, &bindings);
        membership.add_bound_load_balancers(parts);
        membership.connect();
        membership
    }

    fn add_tagged_load_balancers(&mut self, parts: &Parts) {
        for (id, load_balancer) in parts.load_balancers.get().into_iter().flatten() {
            let Some(Provenance { controller, owner }) = known_provenance(parts, &load_balancer.arn) else { continue };
            let load_balancer = Arc::clone(load_balancer);
            self.load_balancers
                .insert(id.clone(), ClusterLoadBalancer { load_balancer, controller, owner, target_groups: BTreeSet::new() });
        }
    }

    fn add_target_groups(&mut self, parts: &Parts, bindings: &BTreeMap<&Arn, Vec<&Arc<TargetGroupBinding>>>) {
        for (id, target_group) in parts.target_groups.get().into_iter().flatten() {
            let bound = bindings.get(&target_group.arn).map_or(&[][..], Vec::as_slice);
            let provenance = known_provenance(parts, &target_group.arn);
            let on_ours = target_group.load_balancers.iter().any(|lb| self.load_balancers.contains_key(lb));
            if bound.is_empty() && provenance.is_none() && !on_ours {
                continue;
            }
            self.target_groups.insert(id.clone(), describe(parts, target_group, bound, provenance));
        }
    }

    fn add_bound_load_balancers(&mut self, parts: &Parts) {
        let Some(known) = parts.load_balancers.get() else { return };
        for id in
            self.target_groups.values().filter(|group| group.binding.is_some()).filter_map(|group| group.load_balancer.as_ref())
        {
            if let (false, Some(load_balancer)) = (self.load_balancers.contains_key(id), known.get(id)) {
                let load_balancer = Arc::clone(load_balancer);
                let entry = ClusterLoadBalancer {
                    load_balancer,
                    controller: Controller::None,
                    owner: Owner::None,
                    target_groups: BTreeSet::new(),
                };
                self.load_balancers.insert(id.clone(), entry);
            }
        }
    }

    fn connect(&mut self) {
        for (id, group) in &self.target_groups {
            if let Some(load_balancer) = group.load_balancer.as_ref().and_then(|lb| self.load_balancers.get_mut(lb)) {
                load_balancer.target_groups.insert(id.clone());
            }
        }
    }
}

fn known_provenance(parts: &Parts, arn: &Arn) -> Option<Provenance> {
    provenance(parts.tags.get(arn)?.get()?, parts.scope.cluster_name.as_deref()?)
}

fn bindings_by_arn(parts: &Parts) -> BTreeMap<&Arn, Vec<&Arc<TargetGroupBinding>>> {
    let mut by_arn: BTreeMap<&Arn, Vec<&Arc<TargetGroupBinding>>> = BTreeMap::new();
    for binding in parts.target_group_bindings.get().into_iter().flatten().map(|(_, binding)| binding) {
        if let Some(arn) = &binding.target_group_arn {
            by_arn.entry(arn).or_default().push(binding);
        }
    }
    by_arn
}

fn describe(
    parts: &Parts,
    target_group: &Arc<TargetGroup>,
    bound: &[&Arc<TargetGroupBinding>],
    provenance: Option<Provenance>,
) -> ClusterTargetGroup {
    let binding = bound.first().map(|binding| Arc::clone(binding));
    let tags = parts.tags.get(&target_group.arn).and_then(|tags| tags.get());
    let stack = match &provenance {
        Some(Provenance { owner: Owner::Service(service), .. }) => Some(service.clone()),
        _ => None,
    };
    let backend = binding
        .as_ref()
        .map(|binding| (binding.service.clone(), binding.service_port.clone()))
        .or_else(|| tags.and_then(tagged_backend))
        .or_else(|| in_tree_backend(parts, target_group, provenance.as_ref()));
    // An NLB's target group can be used by one load balancer only.
    let load_balancer = target_group.load_balancers.first().cloned();
    ClusterTargetGroup {
        load_balancer: load_balancer.clone(),
        stack,
        backend,
        shared: bound.len() > 1 || bound.iter().any(|binding| binding.multi_cluster),
        binding,
        cross_zone: cross_zone(parts, &target_group.id, load_balancer.as_ref()),
        target_group: Arc::clone(target_group),
    }
}

/// The in-tree provider does not tag the port: it is the port of the one listener that forwards here.
fn in_tree_backend(
    parts: &Parts,
    target_group: &TargetGroup,
    provenance: Option<&Provenance>,
) -> Option<(ObjectName, PortReference)> {
    let Some(Provenance { controller: Controller::InTree, owner: Owner::Service(service) }) = provenance else { return None };
    let listeners = parts.listeners.get(target_group.load_balancers.first()?)?.complete()?;
    let listener = listeners.iter().find(|listener| listener.forwards.iter().any(|to| to.target_group == target_group.id))?;
    Some((service.clone(), PortReference::Number(listener.port)))
}

/// The effective setting: the group's own, else its load balancer's.
fn cross_zone(parts: &Parts, target_group: &TargetGroupId, load_balancer: Option<&LoadBalancerId>) -> Option<bool> {
    const KEY: &str = "load_balancing.cross_zone.enabled";
    let own = parts.target_group_attributes.get(target_group)?.complete()?.get(KEY);
    match own.map(|value| &**value) {
        Some("true") => Some(true),
        Some("false") => Some(false),
        _ => parts.load_balancer_attributes.get(load_balancer?)?.complete()?.get(KEY)?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    }

    fn owner(pairs: &[(&str, &str)]) -> Option<(Controller, Owner)> {
        provenance(&tags(pairs), "demo").map(|found| (found.controller, found.owner))
    }

    #[test]
    fn each_tag_family_names_its_owner() {
        let shop = || Owner::Service(ObjectName::new("shop", "web"));
        assert_eq!(
            owner(&[("elbv2.k8s.aws/cluster", "demo"), ("service.k8s.aws/stack", "shop/web")]),
            Some((Controller::LoadBalancerController, shop()))
        );
        assert_eq!(
            owner(&[("elbv2.k8s.aws/cluster", "demo"), ("ingress.k8s.aws/stack", "group")]),
            Some((Controller::LoadBalancerController, Owner::Ingress("group".into())))
        );
        assert_eq!(
            owner(&[("elbv2.k8s.aws/cluster", "demo"), ("gateway.k8s.aws.nlb/stack", "shop/gw")]),
            Some((Controller::LoadBalancerController, Owner::Gateway(ObjectName::new("shop", "gw"))))
        );
        assert_eq!(
            owner(&[("eks:eks-cluster-name", "demo"), ("service.eks.amazonaws.com/stack", "shop/web")]),
            Some((Controller::AutoMode, shop()))
        );
        assert_eq!(
            owner(&[("kubernetes.io/cluster/demo", "owned"), ("kubernetes.io/service-name", "shop/web")]),
            Some((Controller::InTree, shop()))
        );
    }

    #[test]
    fn another_clusters_resources_are_not_ours() {
        assert_eq!(owner(&[("elbv2.k8s.aws/cluster", "other"), ("service.k8s.aws/stack", "shop/web")]), None);
        assert_eq!(owner(&[("kubernetes.io/cluster/other", "owned"), ("kubernetes.io/service-name", "shop/web")]), None);
        assert_eq!(owner(&[("Name", "mine")]), None);
    }

    #[test]
    fn tags_left_over_from_a_migration_do_not_override_the_controllers() {
        let pairs = [
            ("kubernetes.io/cluster/demo", "owned"),
            ("kubernetes.io/service-name", "shop/web"),
            ("elbv2.k8s.aws/cluster", "other"),
            ("service.k8s.aws/stack", "shop/web"),
        ];
        assert_eq!(owner(&pairs), None);
    }

    #[test]
    fn a_backend_is_split_at_the_last_colon() {
        let backend = |text: &str| tagged_backend(&tags(&[("service.k8s.aws/resource", text)]));
        assert_eq!(backend("shop/web:80"), Some((ObjectName::new("shop", "web"), PortReference::Number(80))));
        assert_eq!(backend("shop/web:http"), Some((ObjectName::new("shop", "web"), PortReference::Name("http".into()))));
        for bad in ["LoadBalancer", "80", ":80", "shop:80"] {
            assert_eq!(backend(bad), None, "{bad:?}");
        }
    }
}
