//! What is kept of a Node?

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1 as api;

use super::batch::{Batch, Patch};
use super::report::Change;
use super::watch::{Subject, Undecodable};
use crate::inventory::ids::{InstanceId, NodeName, ZoneName};
use crate::inventory::kube::{ConditionStatus, Node};
use crate::inventory::parts::Parts;
use crate::sources::intern::Interner;

/// Where a node is, and what that was called before Kubernetes 1.17.
const ZONE_LABELS: [&str; 2] = ["topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"];

pub(super) struct Nodes {
    pub(super) interner: Arc<Interner>,
}

impl Subject for Nodes {
    type Object = api::Node;
    type Value = Node;

    fn read(&self, object: api::Node) -> Result<Option<Node>, Undecodable> {
        node(&object, &self.interner).map(Some)
    }

    fn commit(&mut self, known: &Parts, batch: Batch<Node>, now: Timestamp) -> Option<Change> {
        let key = |name: &crate::inventory::ids::ObjectName| NodeName::new(Arc::clone(&name.name));
        let patch = Patch::new(batch, known.nodes.get(), key, |_, _| true, |old, new| seen_again(old, new, now));
        if patch.is_empty() {
            return None;
        }
        Some(Box::new(move |parts| patch.apply(&mut parts.nodes)))
    }
}

/// When what makes it eligible as a target changed, or it appeared. A heartbeat is no change.
fn seen_again(old: Option<&Node>, new: &mut Node, now: Timestamp) {
    let same = old.filter(|old| old.labels == new.labels && old.taints == new.taints && old.ready == new.ready);
    new.changed_at = same.map_or(Some(now), |old| old.changed_at);
}

fn node(object: &api::Node, interner: &Interner) -> Result<Node, Undecodable> {
    let name = object.metadata.name.as_deref().ok_or_else(|| Undecodable("it has no name".into()))?;
    let labels = object.metadata.labels.clone().unwrap_or_default();
    let status = object.status.clone().unwrap_or_default();
    let ready = status.conditions.iter().flatten().find(|condition| condition.type_ == "Ready");
    let internal = status.addresses.iter().flatten().filter(|address| address.type_ == "InternalIP");
    let internal_ips = internal.map(|address| {
        address.address.parse().map_err(|_| Undecodable(format!("its InternalIP {:?} is no IP address", address.address)))
    });
    let provider_id = object.spec.as_ref().and_then(|spec| spec.provider_id.as_deref());
    Ok(Node {
        name: NodeName::new(interner.get(name)),
        instance_id: provider_id.and_then(instance_id),
        zone: ZONE_LABELS.iter().find_map(|label| labels.get(*label)).map(|zone| ZoneName::new(interner.get(zone))),
        internal_ips: internal_ips.collect::<Result<_, _>>()?,
        ready: ready.and_then(|condition| ConditionStatus::parse(&condition.status)).unwrap_or(ConditionStatus::Unknown),
        ready_changed_at: ready.and_then(|condition| condition.last_transition_time.as_ref()).map(|time| time.0),
        labels: interner.map(&labels),
        taints: object.spec.iter().flat_map(|spec| spec.taints.iter().flatten()).map(|taint| interner.get(&taint.key)).collect(),
        changed_at: None,
    })
}

/// The instance of `aws:///ZONE/i-…`; a Fargate node has `aws:///ZONE/ACCOUNT-…/fargate-ip-…`.
fn instance_id(provider_id: &str) -> Option<InstanceId> {
    let last = provider_id.strip_prefix("aws://")?.rsplit('/').next()?;
    last.starts_with("i-").then(|| InstanceId::from(last))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_instance_is_read_from_the_provider_id() {
        assert_eq!(instance_id("aws:///us-east-1a/i-0123"), Some(InstanceId::from("i-0123")));
        assert_eq!(instance_id("aws:///us-east-1a/d8c2-123/fargate-ip-10-0-0-1.ec2.internal"), None);
        assert_eq!(instance_id("kind://docker/a/i-node"), None);
        assert_eq!(instance_id(""), None);
    }

    #[test]
    fn a_node_changed_when_it_appeared_or_its_eligibility_did_and_not_by_a_heartbeat() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let node = |condition: serde_json::Value| {
            let object = json!({"metadata": {"name": "n"}, "status": {"conditions": [condition]}});
            node(&serde_json::from_value(object).unwrap(), &Interner::default()).unwrap()
        };
        let mut first = node(json!({"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-01T00:00:00Z"}));
        seen_again(None, &mut first, at(10));
        let mut heartbeat = node(json!({"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-01T00:00:10Z"}));
        seen_again(Some(&first), &mut heartbeat, at(20));
        assert_eq!(heartbeat.changed_at, Some(at(10)));
        let mut lost = node(json!({"type": "Ready", "status": "Unknown"}));
        seen_again(Some(&first), &mut lost, at(30));
        assert_eq!(lost.changed_at, Some(at(30)));
    }

    #[test]
    fn a_node_that_says_little_is_unknown_and_not_unready() {
        let bare = serde_json::from_value(json!({"metadata": {"name": "n"}})).unwrap();
        let bare = node(&bare, &Interner::default()).unwrap();
        assert_eq!((bare.ready, bare.instance_id, bare.zone), (ConditionStatus::Unknown, None, None));
    }
}
