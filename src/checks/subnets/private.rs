//! Do internal load balancers have a private subnet to be put in?

use std::collections::BTreeSet;

use super::super::catalogue::NO_PRIVATE_SUBNET;
use super::super::model::{Report, Subject};
use super::named;
use crate::controller::subnets::{Choice, Network, Route, Rules, discover};
use crate::inventory::aws::{Scheme, Subnet};
use crate::inventory::ids::SubnetId;
use crate::inventory::snapshot::Snapshot;

/// Speaks where internal load balancers are wanted, discovery finds subnets for them, and every one that it could choose is
/// public. Where it finds none, that is the finding. What EKS knows of the cluster tells where private ones are.
pub(super) fn judge(
    snapshot: &Snapshot,
    network: &Network<'_>,
    rules: Rules,
    demand: &BTreeSet<(Scheme, bool)>,
    report: &mut Report,
) {
    if !demand.iter().any(|(scheme, _)| *scheme == Scheme::Internal) {
        return;
    }
    let discovery = discover(network, rules, Scheme::Internal, false);
    let Choice::Subnets(_) = discovery.choice else { return };
    // One that lacks addresses for now counts as well: it is there, and has a finding of its own.
    let candidates: Vec<&Subnet> =
        network.subnets.values().map(|subnet| &**subnet).filter(|subnet| discovery.is_candidate(&subnet.id)).collect();
    let is_public = |subnet: &&Subnet| is(network, &subnet.id, Route::Public) && !network.routes.behind_firewall(&subnet.id);
    if candidates.is_empty() || !candidates.iter().all(is_public) {
        return;
    }
    let names: Vec<_> = candidates.iter().map(|subnet| named(subnet)).collect();
    let message = format!(
        "new internal load balancers would be put in public subnets only: {} have a route to an internet gateway{}",
        names.join(", "),
        private_of_cluster(snapshot, network),
    );
    report.find(&NO_PRIVATE_SUBNET, Subject::Scheme(Scheme::Internal), None, message);
}

fn is(network: &Network<'_>, subnet: &SubnetId, route: Route) -> bool {
    network.routes.route(subnet) == Some(route)
}

/// What the cluster's own subnets, as EKS knows them, add to it.
fn private_of_cluster(snapshot: &Snapshot, network: &Network<'_>) -> String {
    let Some(cluster) = snapshot.parts.eks_cluster.get() else { return String::new() };
    let known: Vec<_> = cluster.subnets.iter().filter(|id| network.subnets.contains_key(*id)).collect();
    let private: Vec<_> =
        known.iter().filter(|id| is(network, id, Route::Private)).map(|id| named(&network.subnets[*id])).collect();
    match private.as_slice() {
        [] if !known.is_empty() && known.iter().all(|id| is(network, id, Route::Public)) => {
            "; the cluster itself was given no private subnet either".to_owned()
        }
        [] => String::new(),
        some => format!("; of the cluster's own subnets {} are private", some.join(", ")),
    }
}
