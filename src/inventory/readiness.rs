//! Is there enough of a picture to show? What is still pending, by name.

use super::part::{FailureCategory, Part};
use super::parts::source;
use super::snapshot::Snapshot;

/// What a picture still lacks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pending {
    /// Without these nobody knows what belongs to the cluster, and zeros would be lies: only the sources are shown.
    pub identity: Vec<String>,
    /// Without these what is shown is true and not yet whole.
    pub health: Vec<String>,
}

impl Pending {
    /// Everything, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.identity.iter().chain(&self.health).map(String::as_str)
    }

    /// Whether nothing is pending.
    pub fn is_empty(&self) -> bool {
        self.identity.is_empty() && self.health.is_empty()
    }
}

/// A part is settled once it was complete, or once it is known that it cannot be had: a missing permission must not keep
/// the rest from being shown.
fn settled<T>(part: &Part<T>) -> bool {
    part.fetched_at.is_some() || part.failure.as_ref().is_some_and(|failure| failure.category == FailureCategory::Denied)
}

/// What the picture still lacks.
pub fn pending(snapshot: &Snapshot) -> Pending {
    let parts = &snapshot.parts;
    let mut pending = Pending::default();
    if parts.scope.cluster_name.is_none() {
        pending.identity.push("cluster_name".to_owned());
    }
    let lists = [
        (source::LOAD_BALANCERS, settled(&parts.load_balancers)),
        (source::TARGET_GROUPS, settled(&parts.target_groups)),
        (source::SERVICES, settled(&parts.services)),
        (source::ENDPOINT_SLICES, settled(&parts.endpoint_slices)),
        (source::NODES, settled(&parts.nodes)),
        (source::TARGET_GROUP_BINDINGS, settled(&parts.target_group_bindings)),
    ];
    pending.identity.extend(lists.into_iter().filter(|(_, settled)| !settled).map(|(name, _)| name.to_owned()));

    let load_balancers = parts.load_balancers.get().into_iter().flatten().map(|(_, load_balancer)| &load_balancer.arn);
    let target_groups = parts.target_groups.get().into_iter().flatten().map(|(_, target_group)| &target_group.arn);
    if load_balancers.chain(target_groups).any(|arn| !parts.tags.get(arn).is_some_and(settled)) {
        pending.identity.push(source::TAGS.to_owned());
    }
    // A group that was asked about once is settled, whatever the answer: its failure is its own.
    let asked = |id| parts.target_health.get(id).is_some_and(|part| part.attempted_at.is_some());
    let unasked = snapshot.target_groups.iter().filter(|(id, group)| group.load_balancer.is_some() && !asked(*id)).count();
    if unasked > 0 {
        pending.health.push(format!("{} ({unasked} of {} groups)", source::TARGET_HEALTH, snapshot.target_groups.len()));
    }
    pending
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::inventory::part::Failure;
    use crate::inventory::parts::Parts;
    use crate::inventory::snapshot::Expiry;

    fn now() -> Timestamp {
        Timestamp::from_second(1000).unwrap()
    }

    fn pending_of(parts: &Parts) -> Pending {
        pending(&Snapshot::join(parts.clone(), now(), Expiry { max_staleness: Duration::from_secs(1800) }))
    }

    fn known() -> Parts {
        let mut parts = Parts::default();
        parts.scope.cluster_name = Some("demo".into());
        parts.load_balancers = Part::fetched(BTreeMap::new(), now());
        parts.target_groups = Part::fetched(BTreeMap::new(), now());
        parts.services = Part::fetched(BTreeMap::new(), now());
        parts.endpoint_slices = Part::fetched(BTreeMap::new(), now());
        parts.nodes = Part::fetched(BTreeMap::new(), now());
        parts.target_group_bindings = Part::fetched(BTreeMap::new(), now());
        parts
    }

    #[test]
    fn everything_is_pending_at_first_and_named() {
        let pending = pending_of(&Parts::default());
        assert_eq!(
            pending.names().collect::<Vec<_>>(),
            [
                "cluster_name",
                "aws_load_balancers",
                "aws_target_groups",
                "kube_services",
                "kube_endpoint_slices",
                "kube_nodes",
                "kube_target_group_bindings"
            ]
        );
    }

    #[test]
    fn an_empty_cluster_is_ready() {
        assert!(pending_of(&known()).is_empty());
    }

    #[test]
    fn a_denied_list_holds_nothing_up_and_an_unreachable_one_does() {
        let failure = |category| Failure { category, operation: "x".into(), message: String::new() };
        let mut parts = known();
        parts.nodes = Part::default();
        parts.nodes.fail(failure(FailureCategory::Denied), now());
        assert!(pending_of(&parts).is_empty());
        parts.nodes.fail(failure(FailureCategory::Unreachable), now());
        assert_eq!(pending_of(&parts).identity, ["kube_nodes"]);
    }
}
