//! What changed since the last look, so that some health or some settings should be asked about now? Pure.
//!
//! What was not known before is not a change: neither the first list from Kubernetes nor a new target group. Values are
//! compared by where they are in memory first, so that an unchanged cluster costs next to nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::inventory::aws::{Listener, LoadBalancer, TargetGroup, TargetType};
use crate::inventory::ids::{LoadBalancerId, NodeName, ObjectName, TargetGroupId};
use crate::inventory::kube::{EndpointSlice, Node, Service, TargetGroupBinding};
use crate::inventory::membership::Membership;
use crate::inventory::parts::Parts;
use crate::inventory::snapshot::ClusterTargetGroup;

/// What changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Groups whose endpoints, binding, listener, load balancer or own settings changed.
    pub(crate) groups: BTreeSet<TargetGroupId>,
    /// Groups of instances, when a node came, went or changed in a way that matters to them.
    pub(crate) instance_groups: BTreeSet<TargetGroupId>,
    /// Load balancers that look different in their list.
    pub(crate) load_balancers: BTreeSet<LoadBalancerId>,
    /// Target groups that look different in their list.
    pub(crate) target_groups: BTreeSet<TargetGroupId>,
    /// Services that were edited.
    pub(crate) services: BTreeSet<ObjectName>,
}

/// What was seen at the last look. A part that was never complete is `None`.
#[derive(Debug, Default)]
pub(crate) struct Picture {
    groups: BTreeMap<TargetGroupId, Group>,
    load_balancers: BTreeMap<LoadBalancerId, Arc<LoadBalancer>>,
    nodes: Option<BTreeMap<NodeName, Arc<Node>>>,
    services: Option<Arc<BTreeMap<ObjectName, Arc<Service>>>>,
}

#[derive(Debug)]
struct Group {
    target_group: Arc<TargetGroup>,
    load_balancer: Option<Arc<LoadBalancer>>,
    listeners: Option<Arc<Vec<Listener>>>,
    /// `None` while the bindings are not known; then whether there is one.
    binding: Option<Option<Arc<TargetGroupBinding>>>,
    /// Of which Service, and its slices; `None` while either is not known.
    slices: Option<(ObjectName, Vec<Arc<EndpointSlice>>)>,
}

impl Picture {
    /// Looks again, and says what changed since.
    pub(crate) fn look(&mut self, parts: &Parts, membership: &Membership) -> Changes {
        let mut changes = Changes::default();
        self.look_at_services(parts, &mut changes);
        let nodes_changed = self.look_at_nodes(parts);
        let slices = slices_by_service(parts);
        let mut groups = BTreeMap::new();
        for (id, member) in &membership.target_groups {
            let new = Group::of(parts, membership, member, slices.as_ref());
            if let Some(old) = self.groups.get(id) {
                if !same(&old.target_group, &new.target_group) {
                    changes.target_groups.insert(id.clone());
                }
                if old.differs(&new) {
                    changes.groups.insert(id.clone());
                }
                if nodes_changed && new.target_group.target_type == TargetType::Instance {
                    changes.instance_groups.insert(id.clone());
                }
            }
            groups.insert(id.clone(), new);
        }
        self.groups = groups;
        let load_balancers: BTreeMap<_, _> =
            membership.load_balancers.iter().map(|(id, member)| (id.clone(), Arc::clone(&member.load_balancer))).collect();
        for (id, new) in &load_balancers {
            if self.load_balancers.get(id).is_some_and(|old| !same(old, new)) {
                changes.load_balancers.insert(id.clone());
            }
        }
        self.load_balancers = load_balancers;
        changes
    }

    fn look_at_services(&mut self, parts: &Parts, changes: &mut Changes) {
        if parts.services.complete().is_none() {
            return;
        }
        let Some(new) = parts.services.value.as_ref() else { return };
        if let Some(old) = self.services.as_ref().filter(|old| !Arc::ptr_eq(old, new)) {
            let edited = old.iter().filter(|(name, old)| new.get(*name).is_some_and(|new| edited(old, new)));
            changes.services.extend(edited.map(|(name, _)| name.clone()));
        }
        self.services = Some(Arc::clone(new));
    }

    fn look_at_nodes(&mut self, parts: &Parts) -> bool {
        let Some(new) = parts.nodes.complete() else { return false };
        let changed = self.nodes.as_ref().is_some_and(|old| {
            old.len() != new.len()
                || !old.iter().zip(new).all(|((old_name, old), (new_name, new))| old_name == new_name && same_node(old, new))
        });
        self.nodes = Some(new.clone());
        changed
    }
}

impl Group {
    fn of(
        parts: &Parts,
        membership: &Membership,
        member: &ClusterTargetGroup,
        slices: Option<&BTreeMap<&ObjectName, Vec<&Arc<EndpointSlice>>>>,
    ) -> Self {
        let load_balancer = member.load_balancer.as_ref();
        Self {
            target_group: Arc::clone(&member.target_group),
            load_balancer: load_balancer
                .and_then(|id| membership.load_balancers.get(id))
                .map(|member| Arc::clone(&member.load_balancer)),
            listeners: load_balancer.and_then(|id| parts.listeners.get(id)).and_then(|part| part.value.as_ref().map(Arc::clone)),
            binding: parts.target_group_bindings.complete().map(|_| member.binding.as_ref().map(Arc::clone)),
            slices: slices.zip(member.backend.as_ref()).map(|(slices, (service, _))| {
                let own = slices.get(service).into_iter().flatten().map(|slice| Arc::clone(slice)).collect();
                (service.clone(), own)
            }),
        }
    }

    fn differs(&self, new: &Self) -> bool {
        // A group that gets its first load balancer looks different itself.
        let load_balancer = both(&self.load_balancer, &new.load_balancer).is_some_and(|(old, new)| !same(old, new));
        let listeners = both(&self.listeners, &new.listeners).is_some_and(|(old, new)| !same(old, new));
        let binding = both(&self.binding, &new.binding).is_some_and(|(old, new)| match (old, new) {
            (Some(old), Some(new)) => !same(old, new),
            (None, None) => false,
            _ => true,
        });
        let slices = both(&self.slices, &new.slices).is_some_and(|((old_service, old), (new_service, new))| {
            old_service == new_service && (old.len() != new.len() || !old.iter().zip(new).all(|(old, new)| same(old, new)))
        });
        load_balancer || listeners || binding || slices || !same(&self.target_group, &new.target_group)
    }
}

fn both<'a, T>(old: &'a Option<T>, new: &'a Option<T>) -> Option<(&'a T, &'a T)> {
    old.as_ref().zip(new.as_ref())
}

fn same<T: PartialEq>(old: &Arc<T>, new: &Arc<T>) -> bool {
    Arc::ptr_eq(old, new) || old == new
}

/// A heartbeat of a node is not a change; only what decides whether it is a target, and where, is.
fn same_node(old: &Arc<Node>, new: &Arc<Node>) -> bool {
    Arc::ptr_eq(old, new)
        || (old.ready, &old.labels, &old.taints, &old.instance_id) == (new.ready, &new.labels, &new.taints, &new.instance_id)
}

/// What the controller acts upon. That a host name appeared in the status is its own work.
fn edited(old: &Arc<Service>, new: &Arc<Service>) -> bool {
    if Arc::ptr_eq(old, new) {
        return false;
    }
    let spec = |service: &Service| {
        let mut spec = service.clone();
        (spec.hostnames, spec.annotations_written_at, spec.changed_at) = (Vec::new(), None, None);
        spec
    };
    spec(old) != spec(new)
}

fn slices_by_service(parts: &Parts) -> Option<BTreeMap<&ObjectName, Vec<&Arc<EndpointSlice>>>> {
    let mut by_service: BTreeMap<&ObjectName, Vec<&Arc<EndpointSlice>>> = BTreeMap::new();
    for slice in parts.endpoint_slices.complete()?.values() {
        by_service.entry(&slice.service).or_default().push(slice);
    }
    Some(by_service)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::inventory::aws::{HealthCheck, IpFamily};
    use crate::inventory::ids::Arn;
    use crate::inventory::kube::{BindingGroup, ConditionStatus, Endpoint, PortReference};
    use crate::inventory::part::Part;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn target_group(name: &str, target_type: TargetType) -> Arc<TargetGroup> {
        let arn = Arn::new(format!("arn:aws:elasticloadbalancing:r:1:targetgroup/{name}/1"));
        Arc::new(TargetGroup {
            id: arn.target_group().unwrap(),
            arn,
            name: name.into(),
            protocol: "TCP".into(),
            target_type,
            vpc_id: None,
            load_balancers: BTreeSet::from([LoadBalancerId::from("net/a/1")]),
            ip_family: IpFamily::Ipv4,
            health_check: HealthCheck {
                enabled: true,
                protocol: "TCP".into(),
                port: "traffic-port".into(),
                path: None,
                success_codes: None,
                interval_seconds: 10,
                timeout_seconds: 10,
                healthy_threshold: 3,
                unhealthy_threshold: 3,
            },
        })
    }

    fn slice(name: &str, service: &str, addresses: &[&str]) -> Arc<EndpointSlice> {
        let endpoint = |address: &&str| Endpoint {
            address: address.parse().unwrap(),
            ready: true,
            serving: true,
            terminating: false,
            node: None,
            zone: None,
            pod: None,
        };
        Arc::new(EndpointSlice {
            name: ObjectName::new("shop", name),
            service: ObjectName::new("shop", service),
            ports: Vec::new(),
            endpoints: addresses.iter().map(endpoint).collect(),
            changed_at: None,
        })
    }

    fn node(name: &str, ready: ConditionStatus) -> (NodeName, Arc<Node>) {
        let node = Node {
            name: name.into(),
            instance_id: Some(format!("i-{name}").into()),
            zone: None,
            internal_ips: Vec::new(),
            ready,
            ready_changed_at: None,
            changed_at: None,
            labels: BTreeMap::new(),
            taints: BTreeSet::new(),
        };
        (node.name.clone(), Arc::new(node))
    }

    fn service(name: &str) -> (ObjectName, Arc<Service>) {
        let name = ObjectName::new("shop", name);
        let text = format!(r#"{{"name":"{name}","uid":"u","created_at":"1970-01-01T00:00:00Z","service_type":"LoadBalancer"}}"#);
        (name, Arc::new(serde_json::from_str(&text).unwrap()))
    }

    fn binding(service: &str, arn: &Arn) -> Arc<TargetGroupBinding> {
        Arc::new(TargetGroupBinding {
            name: ObjectName::new("shop", "b"),
            group: BindingGroup::LoadBalancerController,
            created_at: NOW,
            deleted_at: None,
            target_group_arn: Some(arn.clone()),
            target_type: None,
            service: ObjectName::new("shop", service),
            service_port: PortReference::Number(80),
            networking: true,
            node_selector: None,
            multi_cluster: false,
            other_account: false,
            vpc_id: None,
            stack: None,
        })
    }

    /// Two groups, `web` by address and `api` by instance, each bound to the Service of its name.
    fn world() -> Parts {
        let mut parts = Parts::default();
        parts.scope.cluster_name = Some("demo".into());
        let groups = [target_group("web", TargetType::Ip), target_group("api", TargetType::Instance)];
        let bindings = groups.iter().map(|group| {
            let mut binding = (*binding(&group.name, &group.arn)).clone();
            binding.name = ObjectName::new("shop", group.name.to_string());
            (binding.name.clone(), Arc::new(binding))
        });
        parts.target_group_bindings = Part::fetched(bindings.collect(), NOW);
        parts.target_groups = Part::fetched(groups.into_iter().map(|group| (group.id.clone(), group)).collect(), NOW);
        let slices = [slice("web-1", "web", &["10.0.0.1"]), slice("api-1", "api", &["10.0.0.2"])];
        parts.endpoint_slices = Part::fetched(slices.into_iter().map(|slice| (slice.name.clone(), slice)).collect(), NOW);
        parts.nodes = Part::fetched(BTreeMap::from([node("n1", ConditionStatus::True)]), NOW);
        parts.services = Part::fetched(BTreeMap::from([service("web"), service("api")]), NOW);
        parts
    }

    fn look(picture: &mut Picture, parts: &Parts) -> Changes {
        picture.look(parts, &Membership::of(parts))
    }

    fn id(name: &str) -> TargetGroupId {
        TargetGroupId::new(format!("targetgroup/{name}/1"))
    }

    #[test]
    fn the_first_look_and_an_unchanged_world_change_nothing() {
        let mut picture = Picture::default();
        let parts = world();
        assert_eq!(look(&mut picture, &parts), Changes::default());
        assert_eq!(look(&mut picture, &world()), Changes::default(), "equal copies are no change");
    }

    #[test]
    fn kubernetes_becoming_known_is_not_a_change() {
        let mut picture = Picture::default();
        let whole = world();
        let mut blind = whole.clone();
        (blind.endpoint_slices, blind.nodes, blind.services) = Default::default();
        look(&mut picture, &blind);
        assert_eq!(look(&mut picture, &whole), Changes::default());
    }

    #[test]
    fn other_endpoints_change_the_group_of_their_service_only() {
        let mut picture = Picture::default();
        let mut parts = world();
        look(&mut picture, &parts);
        let mut slices = parts.endpoint_slices.complete().unwrap().clone();
        slices.insert(ObjectName::new("shop", "web-1"), slice("web-1", "web", &["10.0.0.9"]));
        parts.endpoint_slices = Part::fetched(slices, NOW);
        assert_eq!(look(&mut picture, &parts).groups, BTreeSet::from([id("web")]));
        assert_eq!(look(&mut picture, &parts), Changes::default(), "once");
    }

    #[test]
    fn a_nodes_heartbeat_is_silent_and_its_fall_touches_the_groups_of_instances() {
        let mut picture = Picture::default();
        let mut parts = world();
        look(&mut picture, &parts);
        let (name, mut beating) = node("n1", ConditionStatus::True);
        Arc::make_mut(&mut beating).ready_changed_at = Some(NOW);
        parts.nodes = Part::fetched(BTreeMap::from([(name, beating)]), NOW);
        assert_eq!(look(&mut picture, &parts), Changes::default());
        parts.nodes = Part::fetched(BTreeMap::from([node("n1", ConditionStatus::False)]), NOW);
        let changes = look(&mut picture, &parts);
        assert_eq!((changes.instance_groups, changes.groups), (BTreeSet::from([id("api")]), BTreeSet::new()));
        parts.nodes = Part::fetched(BTreeMap::from([node("n1", ConditionStatus::False), node("n2", ConditionStatus::True)]), NOW);
        assert_eq!(look(&mut picture, &parts).instance_groups, BTreeSet::from([id("api")]), "a new node");
    }

    #[test]
    fn a_deleted_binding_changes_its_group() {
        let mut picture = Picture::default();
        let mut parts = world();
        let tag = BTreeMap::from([
            ("elbv2.k8s.aws/cluster".into(), "demo".into()),
            ("service.k8s.aws/stack".into(), "shop/web".into()),
            ("service.k8s.aws/resource".into(), "shop/web:80".into()),
        ]);
        let arn = parts.target_groups.get().unwrap()[&id("web")].arn.clone();
        parts.tags = Arc::new(BTreeMap::from([(arn, Part::fetched(tag, NOW))]));
        look(&mut picture, &parts);
        parts.target_group_bindings = Part::fetched(BTreeMap::new(), NOW);
        assert_eq!(look(&mut picture, &parts).groups, BTreeSet::from([id("web")]));
    }

    #[test]
    fn an_edited_service_is_told_and_its_status_is_not_an_edit() {
        let mut picture = Picture::default();
        let mut parts = world();
        look(&mut picture, &parts);
        let (name, mut web) = service("web");
        Arc::make_mut(&mut web).hostnames = vec!["x".into()];
        let with = |web: &Arc<Service>| Part::fetched(BTreeMap::from([(name.clone(), Arc::clone(web)), service("api")]), NOW);
        parts.services = with(&web);
        assert_eq!(look(&mut picture, &parts), Changes::default());
        Arc::make_mut(&mut web).annotations.insert("a".into(), "b".into());
        parts.services = with(&web);
        assert_eq!(look(&mut picture, &parts).services, BTreeSet::from([name.clone()]));
    }

    #[test]
    fn another_health_check_changes_group_and_settings() {
        let mut picture = Picture::default();
        let mut parts = world();
        look(&mut picture, &parts);
        let mut groups = parts.target_groups.complete().unwrap().clone();
        let mut web = (*groups[&id("web")]).clone();
        web.health_check.interval_seconds = 30;
        groups.insert(id("web"), Arc::new(web));
        parts.target_groups = Part::fetched(groups, NOW);
        let changes = look(&mut picture, &parts);
        assert_eq!(changes.groups, BTreeSet::from([id("web")]));
        assert_eq!(changes.target_groups, BTreeSet::from([id("web")]));
    }
}
