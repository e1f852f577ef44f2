//! Which nodes does the controller register in an instance target group?

use crate::inventory::ids::InstanceId;
use crate::inventory::kube::{ConditionStatus, ControllerDeployment, LabelSelector, Node};
use crate::inventory::snapshot::Snapshot;

/// Labels that keep a node out by being there, whatever their value.
const EXCLUDING_LABELS: &[&str] = &[
    "node-role.kubernetes.io/master",
    "node.kubernetes.io/exclude-from-external-load-balancers",
    "alpha.service-controller.kubernetes.io/exclude-balancer",
];

/// Taints of a node that is about to go. Older controllers know only the first; since such a node lives for minutes at
/// most, it is neither asked for nor held against anybody, whatever the version.
const LEAVING_TAINTS: &[&str] = &["ToBeDeletedByClusterAutoscaler", "karpenter.sh/disrupted"];

/// The nodes that can be targets at all, sorted by how the controller treats them.
#[derive(Debug, Default)]
pub(in crate::checks) struct Nodes<'a> {
    ready: Vec<Candidate<'a>>,
    /// Readiness unknown: taken when no node is ready (`EndpointsFailOpen`).
    unknown: Vec<Candidate<'a>>,
    leaving: Vec<Candidate<'a>>,
    fail_open: bool,
}

/// A node that is an instance.
#[derive(Debug, Clone, Copy)]
pub(in crate::checks) struct Candidate<'a> {
    /// Its instance.
    pub(in crate::checks) instance: &'a InstanceId,
    /// The node.
    pub(in crate::checks) node: &'a Node,
}

impl<'a> Nodes<'a> {
    /// The nodes of a picture; `None` while the list of nodes was never complete.
    pub(in crate::checks) fn of(snapshot: &'a Snapshot) -> Option<Self> {
        let mut nodes = Self {
            fail_open: controllers(snapshot).all(|controller| controller.gate("EndpointsFailOpen", true)),
            ..Self::default()
        };
        for node in snapshot.parts.nodes.complete()?.values() {
            let Some(instance) = &node.instance_id else { continue };
            if !is_suitable(node) {
                continue;
            }
            let candidate = Candidate { instance, node };
            if LEAVING_TAINTS.iter().any(|taint| node.taints.contains(*taint)) {
                nodes.leaving.push(candidate);
            } else {
                match node.ready {
                    ConditionStatus::True => nodes.ready.push(candidate),
                    ConditionStatus::Unknown => nodes.unknown.push(candidate),
                    ConditionStatus::False => {}
                }
            }
        }
        Some(nodes)
    }

    /// The nodes that have to be registered.
    pub(in crate::checks) fn eligible(&self, selector: Option<&LabelSelector>) -> impl Iterator<Item = Candidate<'a>> {
        let selected = move |candidate: &&Candidate<'a>| selector.is_none_or(|selector| selector.matches(&candidate.node.labels));
        let open = self.fail_open && !self.ready.iter().any(|candidate| selected(&candidate));
        let nodes = if open { &self.unknown } else { &self.ready };
        nodes.iter().filter(selected).copied()
    }

    /// The nodes that may be registered or not: about to be deleted.
    pub(in crate::checks) fn leaving(&self) -> impl Iterator<Item = Candidate<'a>> {
        self.leaving.iter().copied()
    }
}

fn controllers(snapshot: &Snapshot) -> impl Iterator<Item = &ControllerDeployment> {
    snapshot.parts.controllers.get().into_iter().flat_map(|controllers| controllers.values().map(|controller| &**controller))
}

fn is_suitable(node: &Node) -> bool {
    !EXCLUDING_LABELS.iter().any(|label| node.labels.contains_key(*label))
        && node.labels.get("eks.amazonaws.com/compute-type").is_none_or(|kind| &**kind != "fargate")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::World;

    fn eligible(world: &World) -> Vec<String> {
        let snapshot = world.snapshot();
        let nodes = Nodes::of(&snapshot).unwrap();
        nodes.eligible(None).map(|candidate| candidate.node.name.to_string()).collect()
    }

    #[test]
    fn ready_instances_are_eligible_and_a_cordon_changes_nothing() {
        let mut world = World::instances();
        world.taint_node("node-a", "node.kubernetes.io/unschedulable");
        assert_eq!(eligible(&world), ["node-a", "node-b", "node-c"]);
    }

    #[test]
    fn labels_taints_and_readiness_keep_a_node_out() {
        let cases: [fn(&mut World); 7] = [
            |world| world.label_node("node-b", "node.kubernetes.io/exclude-from-external-load-balancers", ""),
            |world| world.label_node("node-b", "node-role.kubernetes.io/master", "false"),
            |world| world.label_node("node-b", "eks.amazonaws.com/compute-type", "fargate"),
            |world| world.taint_node("node-b", "ToBeDeletedByClusterAutoscaler"),
            |world| world.taint_node("node-b", "karpenter.sh/disrupted"),
            |world| world.node("node-b", |node| node.ready = ConditionStatus::False),
            |world| world.node("node-b", |node| node.instance_id = None),
        ];
        for (number, change) in cases.iter().enumerate() {
            let mut world = World::instances();
            change(&mut world);
            assert_eq!(eligible(&world), ["node-a", "node-c"], "case {number}");
        }
    }

    #[test]
    fn when_no_node_is_ready_the_unknown_ones_stay() {
        let mut world = World::instances();
        world.node("node-a", |node| node.ready = ConditionStatus::Unknown);
        assert_eq!(eligible(&world), ["node-b", "node-c"], "while others are ready it is out");
        world.node("node-b", |node| node.ready = ConditionStatus::Unknown);
        world.node("node-c", |node| node.ready = ConditionStatus::False);
        assert_eq!(eligible(&world), ["node-a", "node-b"]);
        world.flag("feature-gates", "EndpointsFailOpen=false");
        assert!(eligible(&world).is_empty(), "unless the gate is off");
    }

    #[test]
    fn a_selector_narrows_the_choice() {
        let mut world = World::instances();
        world.label_node("node-c", "tier", "edge");
        let snapshot = world.snapshot();
        let selector = LabelSelector { match_labels: [("tier".into(), "edge".into())].into(), ..LabelSelector::default() };
        let nodes = Nodes::of(&snapshot).unwrap();
        let chosen: Vec<_> = nodes.eligible(Some(&selector)).map(|candidate| candidate.node.name.as_str()).collect();
        assert_eq!(chosen, ["node-c"]);
    }
}
