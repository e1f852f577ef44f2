//! Do several clusters of one VPC put their load balancers into the same subnets because these carry no cluster tag?

use std::collections::{BTreeMap, BTreeSet};

use super::super::catalogue::SHARED_UNTAGGED_SUBNETS;
use super::super::model::{Report, Subject};
use super::named;
use crate::controller::subnets::{ClusterTag, Network, Rules, discover};
use crate::inventory::aws::{Scheme, Subnet, Tags};
use crate::inventory::ids::SubnetId;
use crate::inventory::snapshot::Snapshot;

/// Speaks where tags in the VPC name another cluster, and this one would choose subnets that no cluster tag reserves.
pub(super) fn judge(
    snapshot: &Snapshot,
    network: &Network<'_>,
    rules: Rules,
    demand: &BTreeSet<(Scheme, bool)>,
    report: &mut Report,
) {
    // A controller that does not look at the tag is not helped by one.
    if rules.cluster_tag == ClusterTag::Ignored {
        return;
    }
    let schemes: BTreeSet<Scheme> = demand.iter().map(|(scheme, _)| *scheme).collect();
    let winners: BTreeSet<_> = schemes.iter().flat_map(|scheme| discover(network, rules, *scheme, false).winners).collect();
    let account = snapshot.parts.scope.account_id.as_deref();
    let open: Vec<&Subnet> = winners
        .iter()
        .filter_map(|id| network.subnets.get(id))
        .map(|subnet| &**subnet)
        .filter(|it| is_open(it, account))
        .collect();
    if open.is_empty() {
        return;
    }
    let others = others(snapshot, network.cluster_name);
    if others.is_empty() {
        return;
    }
    // Each prefers subnets with its own tag in a zone, so that only what both come to is shared.
    let chosen_by = |other: &str| -> BTreeSet<SubnetId> {
        let network = Network { cluster_name: other, ..*network };
        schemes.iter().flat_map(|scheme| discover(&network, rules, *scheme, false).winners).collect()
    };
    let mut shared: BTreeSet<&SubnetId> = BTreeSet::new();
    let mut rivals = Vec::new();
    for (name, what) in others {
        let theirs = chosen_by(name);
        let both: Vec<_> = open.iter().map(|subnet| &subnet.id).filter(|id| theirs.contains(*id)).collect();
        if !both.is_empty() {
            rivals.push(format!("{name} (tags of {what})"));
            shared.extend(both);
        }
    }
    if rivals.is_empty() {
        return;
    }
    let names: Vec<_> = shared.iter().map(|id| named(&network.subnets[*id])).collect();
    let message = format!(
        "the VPC also has cluster {}, and {} carry no cluster tag: load balancers of each cluster are put there",
        rivals.join(" and "),
        names.join(", "),
    );
    report.find(&SHARED_UNTAGGED_SUBNETS, Subject::Cluster, None, message);
}

/// No cluster tag at all: every controller may choose it. Another account's subnet without a single tag hides them.
fn is_open(subnet: &Subnet, account: Option<&str>) -> bool {
    let hidden = subnet.tags.is_empty() && account != Some(&*subnet.owner_id);
    !hidden && !subnet.tags.keys().any(|key| key.starts_with("kubernetes.io/cluster"))
}

/// Other clusters that tags in the VPC name, and on what. Tags of subnets are no evidence: they outlive their clusters.
fn others<'a>(snapshot: &'a Snapshot, cluster: &str) -> BTreeMap<&'a str, &'static str> {
    let parts = &snapshot.parts;
    let Some(vpc) = &parts.scope.vpc_id else { return BTreeMap::new() };
    let tagged = |arn| parts.tags.get(arn).and_then(|tags| tags.get());
    let load_balancers = parts.load_balancers.get().into_iter().flat_map(BTreeMap::values);
    let load_balancers =
        load_balancers.filter(|lb| lb.vpc_id == *vpc).filter_map(|lb| Some(("a load balancer", tagged(&lb.arn)?)));
    let target_groups = parts.target_groups.get().into_iter().flat_map(BTreeMap::values);
    let target_groups =
        target_groups.filter(|it| it.vpc_id.as_ref() == Some(vpc)).filter_map(|it| Some(("a target group", tagged(&it.arn)?)));
    let groups = parts.security_groups.get().into_iter().flat_map(BTreeMap::values);
    let groups = groups.filter(|group| group.vpc_id == *vpc).map(|group| ("a security group", &group.tags));
    let mut found = BTreeMap::new();
    for (what, tags) in load_balancers.chain(target_groups).chain(groups) {
        for name in named_by(tags).filter(|name| !name.is_empty() && *name != cluster) {
            found.entry(name).or_insert(what);
        }
    }
    found
}

fn named_by(tags: &Tags) -> impl Iterator<Item = &str> {
    let by_value = ["elbv2.k8s.aws/cluster", "eks:eks-cluster-name", "aws:eks:cluster-name"];
    let by_value = by_value.into_iter().filter_map(|key| tags.get(key)).map(|name| &**name);
    by_value.chain(tags.keys().filter_map(|key| key.strip_prefix("kubernetes.io/cluster/")))
}
