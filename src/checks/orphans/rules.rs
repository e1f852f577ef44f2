//! Which rules of security groups were made for load balancers that do not exist any more?
//!
//! Two marks tell whose a rule is: the in-tree provider writes the load balancer's name into the description, and a rule of
//! the controller may let in the managed security group of one Service.

use std::collections::{BTreeMap, BTreeSet};

use super::owners::{CLUSTER_LAG, Owners};
use super::{GRACE, count};
use crate::checks::catalogue::ORPHANED_RULES;
use crate::checks::model::{Report, Subject};
use crate::inventory::aws::{Peer, Rule, SecurityGroup};
use crate::inventory::ids::SecurityGroupId;
use crate::inventory::snapshot::Snapshot;

/// The in-tree provider's marks that name a load balancer; that of ICMP rules names none, since all share them.
const IN_TREE: [&str; 2] = ["kubernetes.io/rule/nlb/client=", "kubernetes.io/rule/nlb/health="];
/// The controller's mark.
const CONTROLLER: &str = "elbv2.k8s.aws/targetGroupBinding=shared";

pub(super) fn judge(snapshot: &Snapshot, owners: &Owners<'_>, orphaned_groups: &BTreeSet<SecurityGroupId>, report: &mut Report) {
    let parts = &snapshot.parts;
    let names = LivingNames::of(snapshot, owners);
    let mut counted = 0;
    for group in parts.security_groups.get().into_iter().flat_map(BTreeMap::values) {
        if group.vpc_id != *owners.vpc || orphaned_groups.contains(&group.id) {
            continue;
        }
        let in_tree = names.as_ref().filter(|_| is_of_cluster(group, owners.cluster));
        let mut gone = BTreeSet::new();
        let mut rules = 0;
        for rule in &group.inbound {
            let Some(description) = rule.description.as_deref() else { continue };
            let owner = match in_tree_name(description) {
                Some(name) => in_tree.filter(|names| !names.contains(name)).map(|_| format!("load balancer {name}")),
                None => orphaned_peer(rule, description, orphaned_groups).map(|id| format!("security group {id}")),
            };
            if let Some(owner) = owner {
                rules += 1;
                gone.insert(owner);
            }
        }
        if rules > 0 {
            counted += rules;
            let of = named(&gone);
            let message =
                format!("{} ({}) has {rules} inbound rules of what is gone ({of}), by their descriptions.", group.id, group.name);
            report.find(&ORPHANED_RULES, Subject::SecurityGroup(group.id.clone()), None, message);
        }
    }
    let judgeable = names.is_some() && parts.security_groups.complete().is_some();
    count("security_group_rule", judgeable.then_some(counted), report);
}

fn named(gone: &BTreeSet<String>) -> String {
    const SHOWN: usize = 5;
    let mut names: Vec<_> = gone.iter().take(SHOWN).cloned().collect();
    if gone.len() > SHOWN {
        names.push(format!("and {} more", gone.len() - SHOWN));
    }
    names.join(", ")
}

fn in_tree_name(description: &str) -> Option<&str> {
    IN_TREE.iter().find_map(|mark| description.strip_prefix(mark)).filter(|name| !name.is_empty())
}

fn orphaned_peer<'a>(rule: &'a Rule, description: &str, orphaned: &BTreeSet<SecurityGroupId>) -> Option<&'a SecurityGroupId> {
    let marked = description.split(',').any(|pair| pair == CONTROLLER);
    match &rule.peer {
        Peer::SecurityGroup(id) if marked && orphaned.contains(id) => Some(id),
        _ => None,
    }
}

/// Groups that are this cluster's and no other's: the marks do not say of which cluster they are.
fn is_of_cluster(group: &SecurityGroup, cluster: &str) -> bool {
    let tagged: Vec<_> = group.tags.keys().filter_map(|key| key.strip_prefix("kubernetes.io/cluster/")).collect();
    let by_eks = group.tags.get("aws:eks:cluster-name").map(|name| &**name);
    (tagged.contains(&cluster) || by_eks == Some(cluster))
        && tagged.iter().all(|name| *name == cluster)
        && by_eks.is_none_or(|name| name == cluster)
}

/// Names of load balancers that exist, and those that the in-tree provider would give the Services that do.
struct LivingNames<'a> {
    existing: BTreeSet<&'a str>,
    of_services: BTreeSet<String>,
}

impl<'a> LivingNames<'a> {
    /// `None` while that is not known, or while rules of a Service that has just gone may still stand.
    fn of(snapshot: &'a Snapshot, owners: &Owners<'_>) -> Option<Self> {
        let parts = &snapshot.parts;
        let (services, seen_at) = owners.services()?;
        let listed_at = parts.security_groups.fetched_at?;
        if parts.departed_services.any_lately(listed_at, GRACE) || listed_at.duration_since(seen_at) > CLUSTER_LAG {
            return None;
        }
        let existing = parts.load_balancers.complete()?.values().map(|lb| &*lb.name).collect();
        let of_services = services.values().map(|service| in_tree_load_balancer(&service.uid)).collect();
        Some(Self { existing, of_services })
    }

    fn contains(&self, name: &str) -> bool {
        self.existing.contains(name) || self.of_services.contains(name)
    }
}

/// `a` and the Service's UID without dashes, cut to 32 characters.
pub(super) fn in_tree_load_balancer(uid: &str) -> String {
    std::iter::once('a').chain(uid.chars().filter(|c| *c != '-')).take(32).collect()
}
