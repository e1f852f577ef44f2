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
    service_and_port(resource)
}

fn service_and_port(resource: &str) -> Option<(ObjectName, PortReference)> {
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
        .or_else(|| gateway_backend(parts, tags?, provenance.as_ref()?))
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

/// Whose pods a Gateway's target group holds where no binding says it: the resource tag, if it names a Service that exists,
/// else the one Service and port that all routes of the Gateway send to.
fn gateway_backend(parts: &Parts, tags: &Tags, provenance: &Provenance) -> Option<(ObjectName, PortReference)> {
    let Owner::Gateway(gateway) = &provenance.owner else { return None };
    let services = parts.services.get()?;
    let tagged = tags.get("gateway.k8s.aws.nlb/resource").and_then(|resource| service_and_port(resource));
    if let Some(backend) = tagged.filter(|(service, _)| services.contains_key(service)) {
        return Some(backend);
    }
    let routes = parts.routes.complete()?.values().filter(|route| route.gateways.contains(gateway));
    let backends: BTreeSet<_> = routes.flat_map(|route| &route.backends).collect();
    let mut backends = backends.into_iter();
    match (backends.next(), backends.next()) {
        (Some((service, port)), None) => Some((service.clone(), PortReference::Number(*port))),
        _ => None,
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

    #[test]
    fn only_the_cluster_named_by_the_tag_counts_in_every_family_t34_t37() {
        let families = [
            ("elbv2.k8s.aws/cluster", "service.k8s.aws/stack"),
            ("elbv2.k8s.aws/cluster", "ingress.k8s.aws/stack"),
            ("elbv2.k8s.aws/cluster", "gateway.k8s.aws.nlb/stack"),
            ("elbv2.k8s.aws/cluster", "gateway.k8s.aws.alb/stack"),
            ("eks:eks-cluster-name", "service.eks.amazonaws.com/stack"),
            ("eks:eks-cluster-name", "ingress.eks.amazonaws.com/stack"),
        ];
        for (cluster, stack) in families {
            assert!(owner(&[(cluster, "demo"), (stack, "shop/web")]).is_some(), "{stack}");
            for foreign in ["other", "Demo", "demo-2", ""] {
                assert_eq!(owner(&[(cluster, foreign), (stack, "shop/web")]), None, "{stack} {foreign}");
            }
        }
        let in_tree = |key: &str, value: &str| owner(&[(key, value), ("kubernetes.io/service-name", "shop/web")]);
        assert!(in_tree("KubernetesCluster", "demo").is_some(), "the older form");
        assert_eq!(in_tree("KubernetesCluster", "other"), None);
    }

    mod gateways {
        use super::*;
        use crate::checks::testing::{World, at, fetched, insert, service};
        use crate::inventory::kube::{Route, RouteKind};
        use crate::inventory::part::Part;
        use crate::inventory::parts::RouteKey;

        /// The load balancer of a Gateway `shop/gw` whose one group has this resource tag.
        fn world(resource: &str) -> World {
            let mut world = World::of(&service("shop/web"));
            let stack = [("elbv2.k8s.aws/cluster", "demo"), ("gateway.k8s.aws.nlb/stack", "shop/gw")];
            for part in Arc::make_mut(&mut world.parts.tags).values_mut() {
                let mut with = tags(&stack);
                with.insert("gateway.k8s.aws.nlb/resource".into(), resource.into());
                *part = Part::fetched(with, at(1));
            }
            world.parts.routes = fetched([]);
            world
        }

        fn route(world: &mut World, name: &str, backends: &[(&str, u16)]) {
            let route = Route {
                kind: RouteKind::Tcp,
                name: ObjectName::new("shop", name),
                created_at: at(1),
                gateways: vec![ObjectName::new("shop", "gw")],
                backends: backends.iter().map(|(service, port)| (ObjectName::new("shop", *service), *port)).collect(),
            };
            insert(&mut world.parts.routes, RouteKey { kind: RouteKind::Tcp, name: route.name.clone() }, route);
        }

        fn backend(world: &World) -> Option<(ObjectName, PortReference)> {
            let membership = Membership::of(&world.parts);
            let (_, lb) = membership.load_balancers.iter().next().unwrap();
            assert_eq!(lb.owner, Owner::Gateway(ObjectName::new("shop", "gw")));
            assert_eq!(lb.target_groups.len(), 1, "its target groups are this cluster's");
            membership.target_groups.values().next().unwrap().backend.clone()
        }

        fn web(port: u16) -> Option<(ObjectName, PortReference)> {
            Some((ObjectName::new("shop", "web"), PortReference::Number(port)))
        }

        #[test]
        fn the_resource_tag_counts_where_it_names_a_service() {
            assert_eq!(backend(&world("shop/web:80")), web(80));
            assert_eq!(backend(&world("shop/gw-web:80")), None, "an id of another form");
        }

        #[test]
        fn else_the_one_backend_of_its_routes_and_never_a_guess() {
            let mut one = world("x");
            route(&mut one, "a", &[("web", 80)]);
            assert_eq!(backend(&one), web(80));
            let mut two = one;
            route(&mut two, "b", &[("api", 81)]);
            assert_eq!(backend(&two), None);
        }
    }

    #[test]
    fn the_load_balancer_in_front_of_an_alb_is_an_ingresss_and_its_group_holds_no_service_t40() {
        use crate::checks::testing::{World, at, service};
        use crate::inventory::part::Part;
        let mut world = World::of(&service("shop/web"));
        for part in Arc::make_mut(&mut world.parts.tags).values_mut() {
            let front = [
                ("elbv2.k8s.aws/cluster", "demo"),
                ("ingress.k8s.aws/stack", "shop/ing"),
                ("ingress.k8s.aws/resource", "FrontendNlb-tg-TCP-443"),
            ];
            *part = Part::fetched(tags(&front), at(1));
        }
        let membership = Membership::of(&world.parts);
        let (_, lb) = membership.load_balancers.iter().next().unwrap();
        assert_eq!((&lb.owner, lb.target_groups.len()), (&Owner::Ingress("shop/ing".into()), 1));
        let group = membership.target_groups.values().next().unwrap();
        assert_eq!((&group.stack, &group.backend), (&None, &None));
    }
}
