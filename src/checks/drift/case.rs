//! What is known of one Service and of the one load balancer it has, and how old each piece of that is?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::controller::desired::Wanted;
use crate::controller::desired::security_groups::KnownGroups;
use crate::controller::desired::target_group::target_type;
use crate::controller::settings::Settings;
use crate::inventory::aws::{Attributes, Subnet, Tags, TargetGroup};
use crate::inventory::ids::{Arn, SubnetId};
use crate::inventory::kube::{PortReference, Service};
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
#[derive(Debug, Clone)]
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
    /// Not every port of the Service has exactly one known target group in use.
    pub(super) groups_missing: bool,
    pub(super) subnets: Option<Seen<&'a BTreeMap<SubnetId, Arc<Subnet>>>>,
    pub(super) security_groups: Option<Seen<&'a KnownGroups<'a>>>,
    snapshot: &'a Snapshot,
}

impl<'a> Case<'a> {
    pub(super) fn of(world: &'a World<'a>, service: &'a Service, found: &'a ClusterLoadBalancer) -> Self {
        let World { snapshot, settings, .. } = *world;
        let parts = &snapshot.parts;
        let mut groups = Vec::new();
        let mut groups_missing = false;
        for port in service.ports.iter().map(|port| port.port).collect::<BTreeSet<u16>>() {
            let mut of_port = found.target_groups.iter().filter_map(|id| {
                let group = snapshot.target_groups.get(id)?;
                belongs(group, service, port).then_some(group)
            });
            match (of_port.next(), of_port.next()) {
                (Some(only), None) => groups.push(Group {
                    port,
                    group: Seen { value: &*only.target_group, at: parts.target_groups.fetched_at },
                    attributes: seen(parts.target_group_attributes.get(&only.target_group.id)),
                }),
                // None: not yet made, or its tags are not known. Several: one is about to replace another.
                _ => groups_missing = true,
            }
        }
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
            groups_missing,
            subnets: seen(Some(&parts.subnets)),
            security_groups: world
                .security_groups
                .as_ref()
                .map(|groups| Seen { value: groups, at: parts.security_groups.fetched_at }),
            snapshot,
        }
    }

    /// The tags of a load balancer or target group.
    pub(super) fn tags(&self, arn: &Arn) -> Option<Seen<&'a Tags>> {
        seen(self.snapshot.parts.tags.get(arn))
    }
}

/// Whether a target group is the one of this Service's port. One that holds another Service's pods (a weighted action) is
/// built from this Service's annotations too, but by ports this Service does not have.
fn belongs(group: &ClusterTargetGroup, service: &Service, port: u16) -> bool {
    let bound_for = group.binding.as_ref().and_then(|binding| binding.stack.as_ref());
    if group.stack.as_ref().or(bound_for) != Some(&service.name) {
        return false;
    }
    match &group.backend {
        Some((backend, PortReference::Number(number))) => *backend == service.name && *number == port,
        Some((backend, PortReference::Name(name))) => {
            *backend == service.name && service.ports.iter().any(|own| own.name == *name && own.port == port)
        }
        None => false,
    }
}
