//! On which security groups does the controller add rules? Those of the interfaces that hold this cluster's targets.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::{Role, Roles};
use crate::controller::settings::Settings;
use crate::inventory::aws::{NetworkInterface, Peer, SecurityGroup, TargetType};
use crate::inventory::ids::{NetworkInterfaceId, SecurityGroupId};
use crate::inventory::snapshot::{Controller, Snapshot};

type Groups = BTreeMap<SecurityGroupId, Arc<SecurityGroup>>;

/// The endpoint groups: by the interfaces of registered targets; before there are targets, by those of the nodes; while
/// interfaces are unknown, by the marks that controllers leave on the groups themselves.
pub(super) fn endpoint_groups(snapshot: &Snapshot, cluster: &str, roles: &Roles) -> BTreeSet<SecurityGroupId> {
    let Some(groups) = snapshot.parts.security_groups.get() else { return BTreeSet::new() };
    let Some(interfaces) = snapshot.parts.network_interfaces.complete() else {
        return marked_groups(snapshot, cluster, groups, roles);
    };
    let index = InterfaceIndex::of(interfaces);
    let choose = Chooser::of(snapshot, cluster, groups);
    let targets = registered_targets(snapshot);
    let of_targets: BTreeSet<_> = targets.iter().filter_map(|id| choose.group(index.of_target(id)?)).collect();
    if !of_targets.is_empty() {
        return of_targets;
    }
    snapshot.nodes_by_instance.keys().filter_map(|instance| choose.group(index.primary.get(instance.as_str())?)).collect()
}

/// Distinct ids of all targets known to be registered: thousands of targets are often tens of nodes. Groups that several
/// clusters share are left out, since their targets may be another cluster's.
fn registered_targets(snapshot: &Snapshot) -> HashSet<&str> {
    let by_interface = |id| {
        snapshot
            .target_groups
            .get(id)
            .is_some_and(|group| !group.shared && matches!(group.target_group.target_type, TargetType::Instance | TargetType::Ip))
    };
    let samples = snapshot.parts.target_health.iter().filter(|(id, _)| by_interface(*id)).filter_map(|(_, health)| health.get());
    samples.flat_map(|health| &health.targets).map(|target| &*target.id).collect()
}

/// Which interface holds a target.
struct InterfaceIndex<'a> {
    /// Primary interfaces by instance: instance targets are reached through these.
    primary: HashMap<&'a str, &'a NetworkInterface>,
    addresses: HashMap<IpAddr, &'a NetworkInterface>,
    prefixes: HashMap<IpNet, &'a NetworkInterface>,
    prefix_lengths: BTreeSet<u8>,
}

impl<'a> InterfaceIndex<'a> {
    fn of(interfaces: &'a BTreeMap<NetworkInterfaceId, Arc<NetworkInterface>>) -> Self {
        let mut index = Self {
            primary: HashMap::new(),
            addresses: HashMap::new(),
            prefixes: HashMap::new(),
            prefix_lengths: BTreeSet::new(),
        };
        for interface in interfaces.values().filter(|interface| !interface.of_network_load_balancer) {
            if let Some(attachment) = interface.attachment.as_ref().filter(|attachment| attachment.device_index == 0) {
                index.primary.insert(attachment.instance_id.as_str(), interface);
            }
            index.addresses.extend(interface.addresses.iter().map(|address| (*address, &**interface)));
            index.prefixes.extend(interface.prefixes.iter().map(|prefix| (prefix.trunc(), &**interface)));
            index.prefix_lengths.extend(interface.prefixes.iter().map(IpNet::prefix_len));
        }
        index
    }

    fn of_target(&self, id: &str) -> Option<&'a NetworkInterface> {
        let Ok(address) = id.parse::<IpAddr>() else { return self.primary.get(id).copied() };
        let by_prefix = |length: &u8| self.prefixes.get(&IpNet::new(address, *length).ok()?.trunc());
        self.addresses.get(&address).or_else(|| self.prefix_lengths.iter().rev().find_map(by_prefix)).copied()
    }
}

/// Which of an interface's groups gets the rules.
struct Chooser<'a> {
    groups: &'a Groups,
    cluster_tag: String,
    /// `--service-target-eni-security-group-tags`.
    further_tags: Vec<(&'a str, &'a str)>,
}

impl<'a> Chooser<'a> {
    fn of(snapshot: &'a Snapshot, cluster: &str, groups: &'a Groups) -> Self {
        let flag = Settings::in_cluster(&snapshot.parts).flag("service-target-eni-security-group-tags", "");
        let further_tags = flag
            .unwrap_or_default()
            .split(',')
            .filter_map(|pair| pair.split_once('='))
            .map(|(k, v)| (k.trim(), v.trim()))
            .collect();
        Self { groups, cluster_tag: format!("kubernetes.io/cluster/{cluster}"), further_tags }
    }

    /// The only group; of several, the only one tagged for the cluster. With none or two tagged the controller fails.
    fn group(&self, interface: &NetworkInterface) -> Option<SecurityGroupId> {
        let mut groups = interface.security_groups.iter();
        if let (Some(only), None) = (groups.next(), groups.next()) {
            return Some(only.clone());
        }
        let mut tagged = interface.security_groups.iter().filter(|id| self.groups.get(*id).is_some_and(|it| self.is_tagged(it)));
        match (tagged.next(), tagged.next()) {
            (Some(one), None) => Some(one.clone()),
            _ => None,
        }
    }

    fn is_tagged(&self, group: &SecurityGroup) -> bool {
        group.tags.contains_key(self.cluster_tag.as_str())
            && self.further_tags.iter().all(|(key, value)| group.tags.get(*key).is_some_and(|known| **known == **value))
    }
}

/// Groups that controllers marked: owned by the cluster, or with rules labelled as for load balancers. A label names no
/// cluster, and several clusters may share the VPC: it counts on a group tagged for this cluster, on one whose labelled
/// rule lets this cluster's groups in, or where it names one of this cluster's load balancers.
fn marked_groups(snapshot: &Snapshot, cluster: &str, groups: &Groups, roles: &Roles) -> BTreeSet<SecurityGroupId> {
    let tag = format!("kubernetes.io/cluster/{cluster}");
    let in_tree: HashSet<&str> = snapshot
        .load_balancers
        .values()
        .filter(|load_balancer| load_balancer.controller == Controller::InTree)
        .map(|load_balancer| &*load_balancer.load_balancer.name)
        .collect();
    let is_marked = |group: &SecurityGroup| {
        let owned = group.tags.get(tag.as_str()).map(|value| &**value);
        owned == Some("owned")
            || group.inbound.iter().any(|rule| {
                let Some(description) = rule.description.as_deref() else { return false };
                let ours = owned.is_some()
                    || matches!(&rule.peer, Peer::SecurityGroup(peer)
                        if roles.has(peer, Role::Backend) || roles.has(peer, Role::FrontendManaged));
                (ours && is_labelled(description)) || in_tree_load_balancer(description).is_some_and(|lb| in_tree.contains(lb))
            })
    };
    let own_vpc = |group: &SecurityGroup| snapshot.parts.scope.vpc_id.as_ref().is_none_or(|vpc| *vpc == group.vpc_id);
    // Groups on load balancers are owned by the cluster too; those of the in-tree provider's classic ones are called so.
    let on_targets = |group: &SecurityGroup| {
        let fronts = [Role::FrontendManaged, Role::FrontendCustom, Role::Backend];
        !fronts.iter().any(|role| roles.has(&group.id, *role)) && !group.name.starts_with("k8s-elb-")
    };
    let marked = groups.values().filter(|group| own_vpc(group) && on_targets(group) && is_marked(group));
    marked.map(|group| group.id.clone()).collect()
}

/// The controller's label stands among comma-separated pairs, beside any other text.
fn is_labelled(description: &str) -> bool {
    description.split(',').any(|pair| pair == "elbv2.k8s.aws/targetGroupBinding=shared")
}

/// `kubernetes.io/rule/nlb/client=NAME`, `…/health=NAME`: the in-tree provider's marks.
fn in_tree_load_balancer(description: &str) -> Option<&str> {
    description.strip_prefix("kubernetes.io/rule/nlb/")?.split_once('=').map(|(_, name)| name)
}
