//! What is known of one Service and of the one load balancer it has, and how old each piece of that is?

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::controller::annotations::AnnotationError;
use crate::controller::desired::Wanted;
use crate::controller::desired::listener::{WantedListener, listeners};
use crate::controller::desired::managed_group::RuleKey;
use crate::controller::desired::security_groups::KnownGroups;
use crate::controller::desired::target_group::target_type;
use crate::controller::settings::Settings;
use crate::inventory::aws::{Attributes, CapacityReservation, Listener, SecurityGroup, Subnet, Tags, TargetGroup};
use crate::inventory::ids::{Arn, ObjectName, SubnetId, TargetGroupId};
use crate::inventory::kube::{PortReference, Service, TargetGroupBinding};
use crate::inventory::part::Part;
use crate::inventory::snapshot::{ClusterLoadBalancer, ClusterTargetGroup, Snapshot};

/// Something of AWS, and when it was last completely fetched; a list that never was complete has no such moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<T> {
    pub(super) value: T,
    pub(super) at: Option<Timestamp>,
}

fn seen<T>(part: Option<&Part<T>>) -> Option<Seen<&T>> {
    let part = part?;
    Some(Seen { value: part.complete()?, at: part.fetched_at })
}

/// One target group of the Service.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group<'a> {
    pub(super) port: u16,
    pub(super) group: Seen<&'a TargetGroup>,
    pub(super) attributes: Option<Seen<&'a Attributes>>,
    pub(super) binding: Option<&'a TargetGroupBinding>,
}

/// What all Services have in common.
#[derive(Debug)]
pub(super) struct World<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) settings: Settings<'a>,
    security_groups: Option<KnownGroups<'a>>,
}

impl<'a> World<'a> {
    pub(super) fn of(snapshot: &'a Snapshot) -> Self {
        let parts = &snapshot.parts;
        let groups = parts.security_groups.complete().zip(parts.scope.cluster_name.as_deref());
        Self {
            snapshot,
            settings: Settings::in_cluster(parts),
            security_groups: groups.map(|(all, cluster)| KnownGroups::of(all, cluster)),
        }
    }
}

/// One Service with one load balancer.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) service: &'a Service,
    pub(super) settings: Settings<'a>,
    pub(super) load_balancer: Seen<&'a ClusterLoadBalancer>,
    pub(super) attributes: Option<Seen<&'a Attributes>>,
    /// Those in use whose target type is the wanted one: one of another type will be replaced as a whole, so nothing else
    /// of it is worth a word.
    pub(super) groups: Vec<Group<'a>>,
    /// Those in use whose target type is not the wanted one.
    pub(super) replaced: Vec<Group<'a>>,
    /// Those that hold other Services' pods for this load balancer (weighted actions).
    pub(super) weighted: Vec<Group<'a>>,
    /// Not every port of the Service has exactly one known target group in use.
    pub(super) groups_missing: bool,
    pub(super) subnets: Option<Seen<&'a BTreeMap<SubnetId, Arc<Subnet>>>>,
    pub(super) security_groups: Option<Seen<&'a KnownGroups<'a>>>,
    /// All listeners of the load balancer.
    pub(super) listeners: Option<Seen<&'a Vec<Listener>>>,
    wanted_listeners: Result<Vec<WantedListener<'a>>, AnnotationError>,
    /// What three rows ask about the managed security group.
    pub(super) rules: OnceCell<Result<RuleDifferences<'a>, AnnotationError>>,
    snapshot: &'a Snapshot,
}

/// How the inbound rules of the managed security group differ from the wanted ones.
#[derive(Debug, Default)]
pub(super) struct RuleDifferences<'a> {
    /// The group; `None` where nothing is compared.
    pub(super) group: Option<&'a SecurityGroup>,
    pub(super) missing: Vec<RuleKey<'a>>,
    pub(super) extra: Vec<RuleKey<'a>>,
    pub(super) unknown: Option<&'static str>,
}

impl<'a> Case<'a> {
    pub(super) fn of(world: &'a World<'a>, service: &'a Service, found: &'a ClusterLoadBalancer) -> Self {
        let World { snapshot, settings, .. } = *world;
        let parts = &snapshot.parts;
        let known = |port, group: &'a ClusterTargetGroup| Group {
            port,
            group: Seen { value: &*group.target_group, at: parts.target_groups.fetched_at },
            attributes: seen(parts.target_group_attributes.get(&group.target_group.id)),
            binding: group.binding.as_deref(),
        };
        let mut groups = Vec::new();
        let mut groups_missing = false;
        for port in service.ports.iter().map(|port| port.port).collect::<BTreeSet<u16>>() {
            let mut of_port = found.target_groups.iter().filter_map(|id| {
                let group = snapshot.target_groups.get(id)?;
                belongs(group, service, port).then_some(group)
            });
            match (of_port.next(), of_port.next()) {
                (Some(only), None) => groups.push(known(port, only)),
                // None: not yet made, or its tags are not known. Several: one is about to replace another.
                _ => groups_missing = true,
            }
        }
        let others = found.target_groups.iter().filter_map(|id| snapshot.target_groups.get(id)).filter_map(|group| {
            let (backend, port) = group.backend.as_ref().filter(|_| of_stack(group, service))?;
            (*backend != service.name).then(|| known(if let PortReference::Number(port) = port { *port } else { 0 }, group))
        });
        let weighted = others.collect();
        let (groups, replaced) = match target_type(service, settings) {
            Wanted::Value(wanted) => groups.into_iter().partition(|group| group.group.value.target_type == wanted),
            _ => (groups, Vec::new()),
        };
        Self {
            service,
            settings,
            load_balancer: Seen { value: found, at: parts.load_balancers.fetched_at },
            attributes: seen(parts.load_balancer_attributes.get(&found.load_balancer.id)),
            groups,
            replaced,
            weighted,
            groups_missing,
            subnets: seen(Some(&parts.subnets)),
            security_groups: world
                .security_groups
                .as_ref()
                .map(|groups| Seen { value: groups, at: parts.security_groups.fetched_at }),
            listeners: seen(parts.listeners.get(&found.load_balancer.id)),
            wanted_listeners: listeners(service, settings),
            rules: OnceCell::new(),
            snapshot,
        }
    }

    /// The listeners there should be.
    pub(super) fn wanted_listeners(&self) -> Result<&[WantedListener<'a>], AnnotationError> {
        self.wanted_listeners.as_deref().map_err(Clone::clone)
    }

    /// A listener there is, by its port.
    pub(super) fn listener(&self, port: u16) -> Option<Seen<&'a Listener>> {
        let all = self.listeners?;
        all.value.iter().find(|listener| listener.port == port).map(|value| Seen { value, at: all.at })
    }

    /// The certificates of a listener other than the default one.
    pub(super) fn more_certificates(&self, listener: &Arn) -> Option<Seen<&'a BTreeSet<Arc<str>>>> {
        seen(self.snapshot.parts.listener_certificates.get(listener))
    }

    /// The attributes of a listener.
    pub(super) fn listener_attributes(&self, listener: &Arn) -> Option<Seen<&'a Attributes>> {
        seen(self.snapshot.parts.listener_attributes.get(listener))
    }

    /// The reserved capacity.
    pub(super) fn capacity(&self) -> Option<Seen<&'a CapacityReservation>> {
        seen(self.snapshot.parts.capacity_reservations.get(&self.load_balancer.value.load_balancer.id))
    }

    /// When TargetGroupBindings were last completely known.
    pub(super) fn bindings_at(&self) -> Option<Timestamp> {
        self.snapshot.parts.target_group_bindings.fetched_at
    }

    /// When target groups were last completely known.
    pub(super) fn groups_at(&self) -> Option<Timestamp> {
        self.snapshot.parts.target_groups.fetched_at
    }

    /// A Service of the cluster.
    pub(super) fn service_named(&self, name: &ObjectName) -> Option<&'a Service> {
        self.snapshot.parts.services.get()?.get(name).map(|service| &**service)
    }

    /// Whether rules of a security group in this VPC are kept.
    pub(super) fn rules_are_kept(&self, group: &SecurityGroup) -> bool {
        self.snapshot.parts.scope.vpc_id.as_ref() == Some(&group.vpc_id)
    }

    /// The one target group of this load balancer's Service that holds a Service's pods, in use or not.
    pub(super) fn group_for(&self, backend: &Service, port: u16) -> Option<&'a TargetGroupId> {
        // Looks at all groups, which only a Service with weighted actions or with a group out of use needs.
        let mut found =
            self.snapshot.target_groups.iter().filter(|(_, group)| of_stack(group, self.service) && holds(group, backend, port));
        match (found.next(), found.next()) {
            (Some((id, _)), None) => Some(id),
            _ => None,
        }
    }

    /// The tags of a load balancer, target group or listener.
    pub(super) fn tags(&self, arn: &Arn) -> Option<Seen<&'a Tags>> {
        seen(self.snapshot.parts.tags.get(arn))
    }
}

/// Whether a target group is the one of this Service's port. One that holds another Service's pods (a weighted action) is
/// built from this Service's annotations too, but by ports this Service does not have.
fn belongs(group: &ClusterTargetGroup, service: &Service, port: u16) -> bool {
    of_stack(group, service) && holds(group, service, port)
}

/// Whether a target group was made for this Service's load balancer.
fn of_stack(group: &ClusterTargetGroup, service: &Service) -> bool {
    let bound_for = group.binding.as_ref().and_then(|binding| binding.stack.as_ref());
    group.stack.as_ref().or(bound_for) == Some(&service.name)
}

/// Whether a target group holds the pods of a Service's port.
fn holds(group: &ClusterTargetGroup, service: &Service, port: u16) -> bool {
    match &group.backend {
        Some((backend, PortReference::Number(number))) => *backend == service.name && *number == port,
        Some((backend, PortReference::Name(name))) => {
            *backend == service.name && service.ports.iter().any(|own| own.name == *name && own.port == port)
        }
        None => false,
    }
}
