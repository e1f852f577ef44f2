//! What is kept of a Service, and when did it change?

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1 as api;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};

use super::batch::{Batch, Patch};
use super::fields::{created_at, non_empty, object_name, optional_port, port, port_reference, protocol};
use super::reconciles;
use super::report::Change;
use super::watch::{Subject, Undecodable};
use crate::inventory::ids::ObjectName;
use crate::inventory::kube::{EventObject, PortReference, Service, ServicePort, ServiceType, TrafficPolicy};
use crate::inventory::parts::Parts;
use crate::sources::intern::Interner;

/// `kubectl apply` writes the whole object into it: it doubles every Service and says nothing new.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

pub(super) struct Services {
    pub(super) interner: Arc<Interner>,
}

impl Subject for Services {
    type Object = api::Service;
    type Value = Service;

    fn read(&self, object: api::Service) -> Result<Option<Service>, Undecodable> {
        service(&object, &self.interner).map(Some)
    }

    fn commit(&mut self, known: &Parts, batch: Batch<Service>, now: Timestamp) -> Option<Change> {
        let listed = batch.list.is_some();
        let patch = Patch::new(
            batch,
            known.services.get(),
            ObjectName::clone,
            |_, _| true,
            |old, new| {
                if let Some(old) = old {
                    seen_again(old, new, now);
                }
            },
        );
        if patch.is_empty() && !listed {
            return None;
        }
        Some(Box::new(move |parts| {
            let touched: Vec<_> = patch.entries().map(|(name, service)| (name.clone(), service.map(|s| s.created_at))).collect();
            let gone = touched.iter().filter(|(_, created)| created.is_none()).map(|(name, _)| name.clone());
            parts.departed_services.record(gone, now);
            patch.apply(&mut parts.services);
            reconciles::settle(parts, EventObject::Service, &touched, listed, now);
        }))
    }
}

/// Completes a Service that was known: when its spec or annotations changed while this program watched.
fn seen_again(old: &Service, new: &mut Service, now: Timestamp) {
    if old.uid != new.uid {
        return;
    }
    // The controller itself writes finalizers and the status.
    let same = old.annotations == new.annotations
        && old.labels == new.labels
        && old.service_type == new.service_type
        && old.load_balancer_class == new.load_balancer_class
        && old.ports == new.ports
        && old.external_traffic_policy == new.external_traffic_policy
        && old.health_check_node_port == new.health_check_node_port
        && old.ipv6 == new.ipv6
        && old.source_ranges == new.source_ranges;
    new.changed_at = if same { old.changed_at } else { Some(now) };
}

fn service(object: &api::Service, interner: &Interner) -> Result<Service, Undecodable> {
    let metadata = &object.metadata;
    let spec = object.spec.as_ref().ok_or_else(|| Undecodable("it has no spec".into()))?;
    let service_type = spec.type_.as_deref().unwrap_or("ClusterIP");
    let policy = spec.external_traffic_policy.as_deref().filter(|policy| !policy.is_empty()).unwrap_or("Cluster");
    let mut annotations = metadata.annotations.clone().unwrap_or_default();
    annotations.remove(LAST_APPLIED);
    let ingress = object.status.as_ref().and_then(|status| status.load_balancer.as_ref()).and_then(|lb| lb.ingress.as_ref());
    Ok(Service {
        name: object_name(metadata, interner)?,
        uid: metadata.uid.as_deref().unwrap_or_default().into(),
        created_at: created_at(metadata)?,
        deleted_at: metadata.deletion_timestamp.as_ref().map(|time| time.0),
        finalizers: metadata.finalizers.iter().flatten().map(|name| interner.get(name)).collect(),
        annotations: interner.map(&annotations),
        annotations_written_at: annotations_written_at(metadata),
        changed_at: None,
        labels: interner.map(metadata.labels.as_ref().unwrap_or(&Default::default())),
        service_type: ServiceType::parse(service_type)
            .ok_or_else(|| Undecodable(format!("spec.type {service_type:?} is unknown")))?,
        load_balancer_class: non_empty(spec.load_balancer_class.as_deref(), interner),
        ports: spec.ports.iter().flatten().map(|port| service_port(port, interner)).collect::<Result<_, _>>()?,
        external_traffic_policy: TrafficPolicy::parse(policy)
            .ok_or_else(|| Undecodable(format!("spec.externalTrafficPolicy {policy:?} is unknown")))?,
        health_check_node_port: optional_port(spec.health_check_node_port)?,
        ipv6: spec.ip_families.iter().flatten().any(|family| family == "IPv6"),
        source_ranges: spec.load_balancer_source_ranges.iter().flatten().map(|range| interner.get(range)).collect(),
        hostnames: ingress.into_iter().flatten().filter_map(|ingress| non_empty(ingress.hostname.as_deref(), interner)).collect(),
    })
}

/// A Service as it is written in a manifest, before the API server has seen it: it is of this moment, and of `namespace` where
/// it names none. What is wrong with it, in one sentence.
pub fn manifest(object: serde_json::Value, namespace: &str, now: Timestamp) -> Result<Service, String> {
    let mut object: api::Service = serde_json::from_value(object).map_err(|error| error.to_string())?;
    // An empty one is none, as a chart writes it.
    let named = object.metadata.namespace.take().filter(|named| !named.is_empty());
    object.metadata.namespace = Some(named.unwrap_or_else(|| namespace.to_owned()));
    object.metadata.creation_timestamp.get_or_insert(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now));
    service(&object, &Interner::default()).map_err(|error| error.0.to_string())
}

fn service_port(object: &api::ServicePort, interner: &Interner) -> Result<ServicePort, Undecodable> {
    let number = port(object.port)?;
    // The API server writes the port where `targetPort` is left out or 0; one that came without says the same.
    let target_port = match &object.target_port {
        None | Some(k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::Int(0)) => PortReference::Number(number),
        Some(reference) => port_reference(reference, interner)?,
    };
    Ok(ServicePort {
        name: interner.get(object.name.as_deref().unwrap_or_default()),
        protocol: protocol(object.protocol.as_deref())?,
        port: number,
        target_port,
        node_port: optional_port(object.node_port)?,
    })
}

/// The time of the newest entry of `managedFields` that owns an annotation other than kubectl's own. Entries of the
/// status are somebody else's, and an entry's time is that of its last write to any field: evidence, not proof.
fn annotations_written_at(metadata: &ObjectMeta) -> Option<Timestamp> {
    let owns_one = |entry: &&ManagedFieldsEntry| {
        entry.subresource.as_deref().unwrap_or_default().is_empty()
            && entry
                .fields_v1
                .as_ref()
                .and_then(|fields| fields.0.get("f:metadata")?.get("f:annotations")?.as_object())
                .is_some_and(|owned| owned.keys().any(|key| key.strip_prefix("f:").is_some_and(|key| key != LAST_APPLIED)))
    };
    metadata.managed_fields.iter().flatten().filter(owns_one).filter_map(|entry| entry.time.as_ref().map(|time| time.0)).max()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(object: Value) -> Result<Service, Undecodable> {
        service(&serde_json::from_value(object).unwrap(), &Interner::default())
    }

    fn plain() -> Value {
        json!({
            "metadata": {"namespace": "a", "name": "b", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"ports": [{"port": 80}]},
        })
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_is_left_out_has_the_apis_default() {
        let service = read(plain()).unwrap();
        assert_eq!((service.service_type, service.external_traffic_policy), (ServiceType::ClusterIp, TrafficPolicy::Cluster));
        let port = &service.ports[0];
        assert_eq!((&port.target_port, port.node_port, &*port.name), (&PortReference::Number(80), None, ""));
    }

    #[test]
    fn an_odd_value_makes_it_undecodable_and_not_wrong() {
        for (pointer, value) in [
            ("/spec/type", json!("Mesh")),
            ("/spec/externalTrafficPolicy", json!("Zone")),
            ("/spec/ports", json!([{"port": 80, "protocol": "QUIC"}])),
            ("/spec/ports", json!([{"port": 70000}])),
        ] {
            let mut object = plain();
            let key = pointer.rsplit('/').next().unwrap();
            object["spec"][key] = value;
            assert!(read(object).is_err(), "{pointer}");
        }
    }

    #[test]
    fn the_newest_writer_of_an_annotation_counts() {
        let entry = |time: &str, subresource: &str, annotation: &str| {
            json!({"manager": "m", "time": time, "subresource": subresource,
                   "fieldsV1": {"f:metadata": {"f:annotations": {".": {}, annotation: {}}}}})
        };
        let mut object = plain();
        object["metadata"]["managedFields"] = json!([
            entry("2026-01-02T00:00:00Z", "", "f:a"),
            entry("2026-01-01T00:00:00Z", "", "f:b"),
            entry("2026-01-03T00:00:00Z", "status", "f:c"),
            entry("2026-01-04T00:00:00Z", "", "f:kubectl.kubernetes.io/last-applied-configuration"),
            {"manager": "m", "time": "2026-01-05T00:00:00Z", "fieldsV1": {"f:spec": {}}},
        ]);
        assert_eq!(read(object).unwrap().annotations_written_at, Some("2026-01-02T00:00:00Z".parse().unwrap()));
        assert_eq!(read(plain()).unwrap().annotations_written_at, None);
    }

    #[test]
    fn a_change_of_the_spec_has_a_time_and_the_controllers_writes_have_none() {
        let old = read(plain()).unwrap();
        let mut status = old.clone();
        status.hostnames.push("x.elb.amazonaws.com".into());
        status.finalizers.push("service.k8s.aws/resources".into());
        seen_again(&old, &mut status, at(10));
        assert_eq!(status.changed_at, None);
        let mut edited = status.clone();
        edited.annotations.insert("a".into(), "b".into());
        seen_again(&status, &mut edited, at(20));
        assert_eq!(edited.changed_at, Some(at(20)));
        let mut listed = edited.clone();
        listed.changed_at = None;
        seen_again(&edited, &mut listed, at(30));
        assert_eq!(listed.changed_at, Some(at(20)), "a list that shows the same keeps it");
        let mut another = edited.clone();
        (another.uid, another.changed_at) = ("v".into(), None);
        another.ports.clear();
        seen_again(&edited, &mut another, at(40));
        assert_eq!(another.changed_at, None, "a new object of the same name");
    }
}
