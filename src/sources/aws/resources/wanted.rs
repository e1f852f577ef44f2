//! Of which listeners and load balancers is more asked than of all others? Of those whose Service speaks of it. Pure.
//!
//! Each of these questions costs a call per listener or load balancer, and nobody compares the answer with anything unless
//! an annotation of the Service, or a flag of the controller, says what it should be.

use std::collections::{BTreeMap, BTreeSet};

use crate::inventory::aws::Listener;
use crate::inventory::ids::{Arn, LoadBalancerId};
use crate::inventory::kube::Service;
use crate::inventory::membership::Membership;
use crate::inventory::parts::{Parts, PerResource};
use crate::inventory::snapshot::{Controller, Owner};

/// What the names of the annotations begin with.
const PREFIX: &str = "service.beta.kubernetes.io/aws-load-balancer-";

/// What is wanted beyond what is asked of every load balancer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Listeners whose further certificates are asked for.
    pub(super) certificates: BTreeSet<Arn>,
    /// Listeners whose attributes are.
    pub(super) attributes: BTreeSet<Arn>,
    /// Listeners whose tags are.
    pub(super) tags: BTreeSet<Arn>,
    /// Load balancers whose reserved capacity is.
    pub(super) capacities: BTreeMap<LoadBalancerId, Arn>,
    /// Whose each of those listeners is.
    pub(super) listeners: BTreeMap<Arn, LoadBalancerId>,
}

/// What a Service speaks of.
#[derive(Debug, Clone, Copy, Default)]
struct Spoken {
    certificates: bool,
    listener_attributes: bool,
    tags: bool,
    capacity: bool,
}

impl Spoken {
    /// Empty annotations say the same as none.
    fn of(service: &Service) -> Self {
        let mut spoken = Self::default();
        for (key, value) in &service.annotations {
            let Some(name) = key.strip_prefix(PREFIX).filter(|_| !value.trim().is_empty()) else { continue };
            match name {
                "ssl-cert" => spoken.certificates = true,
                "additional-resource-tags" => spoken.tags = true,
                "minimum-load-balancer-capacity" => spoken.capacity = true,
                name => spoken.listener_attributes |= name.starts_with("listener-attributes."),
            }
        }
        spoken
    }
}

impl Wanted {
    /// What is wanted of these load balancers, as far as their listeners and Services are known.
    pub(super) fn of(parts: &Parts, membership: &Membership) -> Self {
        let default_tags = parts.controllers.get().into_iter().flat_map(BTreeMap::values);
        let default_tags = default_tags.filter_map(|one| one.flag("default-tags")).any(|tags| !tags.trim().is_empty());
        let mut wanted = Self::default();
        for (id, member) in &membership.load_balancers {
            let Owner::Service(name) = &member.owner else { continue };
            let Some(service) = parts.services.get().and_then(|services| services.get(name)) else { continue };
            let mut spoken = match member.controller {
                // It reads none of these annotations as the others do, and its listeners carry no tags.
                Controller::InTree => continue,
                _ => Spoken::of(service),
            };
            spoken.tags |= default_tags && member.controller == Controller::LoadBalancerController;
            if spoken.capacity {
                wanted.capacities.insert(id.clone(), member.load_balancer.arn.clone());
            }
            let listeners = parts.listeners.get(id).and_then(|listeners| listeners.get());
            listeners.into_iter().flatten().for_each(|listener| wanted.add_listener(id, listener, spoken));
        }
        wanted
    }

    fn add_listener(&mut self, id: &LoadBalancerId, listener: &Listener, spoken: Spoken) {
        let tls = &*listener.protocol == "TLS";
        // The controller leaves the attributes of TLS listeners alone: they have none.
        for (set, wanted) in [
            (&mut self.certificates, spoken.certificates && tls),
            (&mut self.attributes, spoken.listener_attributes && !tls),
            (&mut self.tags, spoken.tags),
        ] {
            if wanted {
                set.insert(listener.arn.clone());
                self.listeners.insert(listener.arn.clone(), id.clone());
            }
        }
    }
}

/// Whether this is a listener's ARN.
pub(super) fn is_listener(arn: &Arn) -> bool {
    arn.as_str().contains(":listener/")
}

/// Listeners that are new or differ, of load balancers whose listeners were known before.
pub(super) fn changed_listeners(
    before: &PerResource<LoadBalancerId, Vec<Listener>>,
    now: &PerResource<LoadBalancerId, Vec<Listener>>,
) -> Vec<Arn> {
    let mut changed = Vec::new();
    for (id, part) in now.iter() {
        let (Some(new), Some(old)) = (&part.value, before.get(id).and_then(|part| part.value.as_ref())) else { continue };
        if !std::sync::Arc::ptr_eq(old, new) {
            changed.extend(new.iter().filter(|listener| !old.contains(listener)).map(|listener| listener.arn.clone()));
        }
    }
    changed
}
