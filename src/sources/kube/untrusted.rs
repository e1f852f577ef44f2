//! What do odd objects become? Everything below `metadata`, `spec` and `status` is written by tenants, other controllers and
//! other versions of the API.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::Index;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::batch::Batch;
use super::bindings::Bindings;
use super::controllers::Controllers;
use super::endpoint_slices::EndpointSlices;
use super::events::Events;
use super::gateway_api::{Classes, Gateways, Routes};
use super::leader::Leader;
use super::nodes::Nodes;
use super::services::Services;
use super::watch::Subject;
use crate::inventory::ids::ObjectName;
use crate::inventory::kube::{BindingGroup, EventObject, RouteKind};
use crate::inventory::parts::Parts;
use crate::mutation::{Edit, damage, damaged_text, edited, edits, odd_text};
use crate::sources::intern::Interner;

/// The objects of a kind in the recorded cluster.
fn recorded(kind: &str) -> Vec<Value> {
    let path = format!("{}/tests/fixtures/worlds/lbc-2.8.2/kube/{kind}.json", env!("CARGO_MANIFEST_DIR"));
    let list: Value = serde_json::from_slice(&std::fs::read(Path::new(&path)).unwrap()).unwrap();
    list["items"].as_array().unwrap().clone()
}

fn interner() -> Arc<Interner> {
    Arc::default()
}

/// Reads an object after edits as the watch does, and puts what comes of it where it belongs.
fn read<S: Subject>(mut subject: S, object: &Value, edits: &[Edit]) -> Option<S::Value>
where
    S::Object: DeserializeOwned,
    S::Value: Clone + Debug,
{
    let object = serde_json::from_value::<S::Object>(edited(object, edits)).ok()?;
    let value = subject.read(object).ok()??;
    let now: Timestamp = "2026-11-25T12:00:00Z".parse().unwrap();
    let mut parts = Parts::default();
    for round in 0..2 {
        let changes = [(ObjectName::new("a", "b"), Some(value.clone()))].into();
        let list = (round == 0).then(|| [(ObjectName::new("a", "c"), value.clone())].into());
        let batch = Batch { list, changes, ..Batch::default() };
        if let Some(change) = subject.commit(&parts, batch, now) {
            change(&mut parts);
        }
    }
    // What was taken can be kept in a file and read back.
    let kept = serde_json::to_value(&parts).unwrap();
    assert_eq!(serde_json::to_value(serde_json::from_value::<Parts>(kept.clone()).unwrap()).unwrap(), kept);
    Some(value)
}

fn one<'a>(objects: &'a [Value], at: &Index) -> &'a Value {
    at.get(objects)
}

proptest! {
    #[test]
    fn an_untrusted_service_is_read_or_left_out(at: Index, edits in edits()) {
        if let Some(service) = read(Services { interner: interner() }, one(&recorded("services"), &at), &edits) {
            prop_assert!(service.ports.iter().all(|port| port.port > 0));
            prop_assert!(!service.annotations.contains_key("kubectl.kubernetes.io/last-applied-configuration"));
        }
    }

    #[test]
    fn an_untrusted_event_is_a_bounded_fact_about_its_object_or_none(at: Index, edits in edits(), message in odd_text(), damage in damage()) {
        let mut object = one(&recorded("events"), &at).clone();
        object["message"] = damaged_text(&message.repeat(40), &damage).into();
        for about in [EventObject::Service, EventObject::TargetGroupBinding] {
            if let Some(fact) = read(Events { about, interner: interner() }, &object, &edits) {
                prop_assert_eq!(fact.about.kind, about);
                prop_assert!(fact.failure.is_none_or(|(_, message)| message.chars().count() <= 1_001));
            }
        }
    }

    #[test]
    fn an_untrusted_slice_node_or_deployment_is_read_or_left_out(at: Index, edits in edits()) {
        read(EndpointSlices { interner: interner() }, one(&recorded("endpointslices"), &at), &edits);
        read(Nodes { interner: interner() }, one(&recorded("nodes"), &at), &edits);
        for labelled in [true, false] {
            let (found, _) = watch::channel(None);
            read(Controllers { labelled, interner: interner(), found }, one(&recorded("deployments"), &at), &edits);
        }
    }

    #[test]
    fn an_untrusted_binding_is_of_its_own_namespace_or_left_out(at: Index, edits in edits()) {
        for group in [BindingGroup::LoadBalancerController, BindingGroup::AutoMode] {
            let bindings = Bindings { group, interner: interner() };
            if let Some(binding) = read(bindings, one(&recorded("targetgroupbindings"), &at), &edits) {
                prop_assert_eq!(binding.service.namespace, binding.name.namespace, "nobody speaks for another's Service");
            }
        }
    }

    #[test]
    fn untrusted_gateways_and_leases_are_read_or_left_out(edits in edits()) {
        let metadata = json!({"namespace": "a", "name": "b", "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"x": "y"}});
        let gateway = json!({
            "metadata": metadata, "spec": {"gatewayClassName": "nlb", "listeners": [{"name": "tcp", "port": 80, "protocol": "TCP"}],
                "infrastructure": {"parametersRef": {"group": "g", "kind": "k", "name": "n"}}},
            "status": {"conditions": [{"type": "Programmed", "status": "True"}], "addresses": [{"type": "Hostname", "value": "x.elb"}]},
        });
        let class = json!({"metadata": metadata, "spec": {"controllerName": "gateway.k8s.aws/nlb", "parametersRef": {"name": "x"}}});
        let route = json!({
            "metadata": metadata,
            "spec": {"parentRefs": [{"name": "edge", "sectionName": "tcp", "port": 80}],
                "rules": [{"backendRefs": [{"name": "web", "namespace": "c", "port": 80, "weight": 3}]}]},
        });
        let lease = json!({
            "metadata": metadata,
            "spec": {"holderIdentity": "pod_1", "leaseDurationSeconds": 15, "acquireTime": "2026-01-01T00:00:00.000000Z",
                "renewTime": "2026-01-01T00:00:00.000000Z", "leaseTransitions": 3},
        });
        read(Gateways { interner: interner() }, &gateway, &edits);
        read(Classes { interner: interner() }, &class, &edits);
        for kind in [RouteKind::Tcp, RouteKind::Tls, RouteKind::Udp] {
            read(Routes { kind, interner: interner() }, &route, &edits);
        }
        read(Leader { interner: interner() }, &lease, &edits);
    }
}
