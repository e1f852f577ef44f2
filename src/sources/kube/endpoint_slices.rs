//! What is kept of an EndpointSlice?

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::discovery::v1 as api;

use super::batch::{Batch, Patch};
use super::fields::{object_name, port, protocol};
use super::report::Change;
use super::watch::{Subject, Undecodable};
use crate::inventory::ids::{NodeName, ObjectName, ZoneName};
use crate::inventory::kube::{Endpoint, EndpointPort, EndpointSlice};
use crate::inventory::parts::Parts;
use crate::sources::intern::Interner;

/// The label that says which Service a slice belongs to.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

pub(super) struct EndpointSlices {
    pub(super) interner: Arc<Interner>,
}

impl Subject for EndpointSlices {
    type Object = api::EndpointSlice;
    type Value = EndpointSlice;

    fn read(&self, object: api::EndpointSlice) -> Result<Option<EndpointSlice>, Undecodable> {
        slice(&object, &self.interner)
    }

    fn commit(&mut self, known: &Parts, batch: Batch<EndpointSlice>, now: Timestamp) -> Option<Change> {
        let patch =
            Patch::new(batch, known.endpoint_slices.get(), ObjectName::clone, |_, _| true, |old, new| seen_again(old, new, now));
        if patch.is_empty() {
            return None;
        }
        Some(Box::new(move |parts| patch.apply(&mut parts.endpoint_slices)))
    }
}

/// When its ports or endpoints changed, or it appeared.
fn seen_again(old: Option<&EndpointSlice>, new: &mut EndpointSlice, now: Timestamp) {
    let same = old.filter(|old| old.ports == new.ports && old.endpoints == new.endpoints && old.service == new.service);
    new.changed_at = same.map_or(Some(now), |old| old.changed_at);
}

/// `None` for a slice of no Service, and for one of host names: no target is ever registered by a name.
fn slice(object: &api::EndpointSlice, interner: &Interner) -> Result<Option<EndpointSlice>, Undecodable> {
    let Some(service) = object.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME)) else { return Ok(None) };
    if object.address_type == "FQDN" {
        return Ok(None);
    }
    let name = object_name(&object.metadata, interner)?;
    let endpoints = object.endpoints.iter().flatten();
    let endpoints: Vec<_> = endpoints.filter_map(|object| endpoint(object, interner).transpose()).collect::<Result<_, _>>()?;
    Ok(Some(EndpointSlice {
        service: interner.name(&name.namespace, service),
        name,
        ports: object.ports.iter().flatten().map(|port| endpoint_port(port, interner)).collect::<Result<_, _>>()?,
        endpoints,
        changed_at: None,
    }))
}

fn endpoint_port(object: &api::EndpointPort, interner: &Interner) -> Result<EndpointPort, Undecodable> {
    Ok(EndpointPort {
        name: interner.get(object.name.as_deref().unwrap_or_default()),
        port: object.port.map(port).transpose()?,
        protocol: protocol(object.protocol.as_deref())?,
    })
}

fn endpoint(object: &api::Endpoint, interner: &Interner) -> Result<Option<Endpoint>, Undecodable> {
    let Some(address) = object.addresses.first() else { return Ok(None) };
    let conditions = object.conditions.clone().unwrap_or_default();
    let ready = conditions.ready.unwrap_or(true);
    let pod = object.target_ref.as_ref().filter(|target| target.kind.as_deref() == Some("Pod"));
    Ok(Some(Endpoint {
        address: address.parse().map_err(|_| Undecodable(format!("{address:?} is no IP address")))?,
        ready,
        serving: conditions.serving.unwrap_or(ready),
        terminating: conditions.terminating.unwrap_or(false),
        node: object.node_name.as_deref().map(|name| NodeName::new(interner.get(name))),
        zone: object.zone.as_deref().map(|zone| ZoneName::new(interner.get(zone))),
        // A pod's name stands in one slice only: nothing to share.
        pod: pod.and_then(|pod| pod.name.as_deref()).map(Arc::from),
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_slice_changed_when_it_appeared_or_its_endpoints_did() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let slice = |endpoints: Value| {
            let metadata = json!({"name": "web-1", "namespace": "shop", "labels": {SERVICE_NAME: "web"}});
            read(json!({"metadata": metadata, "addressType": "IPv4", "endpoints": endpoints})).unwrap().unwrap()
        };
        let mut first = slice(json!([]));
        seen_again(None, &mut first, at(10));
        assert_eq!(first.changed_at, Some(at(10)));
        let mut same = slice(json!([]));
        seen_again(Some(&first), &mut same, at(20));
        assert_eq!(same.changed_at, Some(at(10)));
        let mut grown = slice(json!([{"addresses": ["10.0.0.1"]}]));
        seen_again(Some(&first), &mut grown, at(20));
        assert_eq!(grown.changed_at, Some(at(20)));
    }

    fn read(object: Value) -> Result<Option<EndpointSlice>, Undecodable> {
        slice(&serde_json::from_value(object).unwrap(), &Interner::default())
    }

    fn one(endpoint: Value) -> Value {
        json!({
            "metadata": {"namespace": "a", "name": "b-x", "labels": {"kubernetes.io/service-name": "b"}},
            "addressType": "IPv4", "ports": [{"port": 8080}], "endpoints": [endpoint],
        })
    }

    #[test]
    fn a_missing_condition_means_ready_and_staying() {
        let slice = read(one(json!({"addresses": ["10.0.0.1", "10.0.0.2"]}))).unwrap().unwrap();
        let endpoint = &slice.endpoints[0];
        assert_eq!((endpoint.ready, endpoint.serving, endpoint.terminating), (true, true, false));
        assert_eq!(endpoint.address.to_string(), "10.0.0.1");
        assert_eq!(slice.service, ObjectName::new("a", "b"));
    }

    #[test]
    fn a_missing_serving_follows_ready() {
        let slice = read(one(json!({"addresses": ["10.0.0.1"], "conditions": {"ready": false}}))).unwrap().unwrap();
        assert!(!slice.endpoints[0].serving);
        let conditions = json!({"ready": false, "serving": true, "terminating": true});
        let slice = read(one(json!({"addresses": ["10.0.0.1"], "conditions": conditions}))).unwrap().unwrap();
        assert!(slice.endpoints[0].serving && slice.endpoints[0].terminating);
    }

    #[test]
    fn only_a_pod_is_a_pod() {
        let endpoint = |kind| json!({"addresses": ["10.0.0.1"], "targetRef": {"kind": kind, "name": "n", "namespace": "a"}});
        assert_eq!(read(one(endpoint("Pod"))).unwrap().unwrap().endpoints[0].pod.as_deref(), Some("n"));
        assert_eq!(read(one(endpoint("Node"))).unwrap().unwrap().endpoints[0].pod, None);
    }

    #[test]
    fn slices_that_can_have_no_targets_are_not_kept_and_odd_ones_are_told() {
        let mut names = one(json!({"addresses": ["example.com"]}));
        names["addressType"] = json!("FQDN");
        assert!(read(names).unwrap().is_none());
        let mut nobodys = one(json!({"addresses": ["10.0.0.1"]}));
        nobodys["metadata"]["labels"] = json!({});
        assert!(read(nobodys).unwrap().is_none());
        assert!(read(one(json!({"addresses": ["10.0.0"]}))).is_err());
        assert!(read(one(json!({"addresses": []}))).unwrap().unwrap().endpoints.is_empty());
    }
}
