//! How do the objects of the Gateway API look to a Kubernetes client?

use jiff::Timestamp;
use serde_json::{Value, json};

use super::seconds;
use crate::{
    inventory::kube::{Gateway, GatewayClass, Route, RouteKind},
    simulator::kube_api::{Resource, TCP_ROUTES, TLS_ROUTES, UDP_ROUTES},
};

/// Under which resource routes of a kind are published.
pub(super) fn resource(kind: RouteKind) -> Resource {
    match kind {
        RouteKind::Tcp => TCP_ROUTES,
        RouteKind::Tls => TLS_ROUTES,
        RouteKind::Udp => UDP_ROUTES,
    }
}

pub(super) fn class(class: &GatewayClass, created_at: Timestamp) -> Value {
    json!({
        "metadata": { "name": &*class.name, "generation": 1, "creationTimestamp": seconds(created_at) },
        "spec": { "controllerName": &*class.controller },
        "status": {
            "conditions": [{
                "type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "observedGeneration": 1,
                "lastTransitionTime": seconds(created_at),
            }],
        },
    })
}

pub(super) fn gateway(gateway: &Gateway) -> Value {
    let listeners = gateway.listeners.iter().map(|listener| {
        json!({
            "name": &*listener.name, "port": listener.port, "protocol": &*listener.protocol,
            "allowedRoutes": { "namespaces": { "from": "Same" } },
        })
    });
    let mut metadata = json!({
        "name": &*gateway.name.name,
        "namespace": &*gateway.name.namespace,
        "uid": &*gateway.uid,
        "generation": 1,
        "creationTimestamp": seconds(gateway.created_at),
    });
    if !gateway.finalizers.is_empty() {
        metadata["finalizers"] = gateway.finalizers.iter().map(|name| &**name).collect();
    }
    if let Some(time) = gateway.deleted_at {
        metadata["deletionTimestamp"] = seconds(time).into();
    }
    let condition = |kind: &str, status: &str| {
        json!({
            "type": kind, "status": status, "reason": kind, "message": "", "observedGeneration": 1,
            "lastTransitionTime": seconds(gateway.created_at),
        })
    };
    let addresses = gateway.addresses.iter().map(|address| json!({ "type": "Hostname", "value": &**address }));
    json!({
        "metadata": metadata,
        "spec": { "gatewayClassName": &*gateway.class, "listeners": listeners.collect::<Vec<_>>() },
        "status": {
            "addresses": addresses.collect::<Vec<_>>(),
            "conditions": [condition("Accepted", "True"), condition("Programmed", gateway.programmed.as_str())],
        },
    })
}

pub(super) fn route(route: &Route) -> Value {
    let parents = route.gateways.iter().map(|gateway| {
        let mut parent = json!({ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": &*gateway.name });
        if gateway.namespace != route.name.namespace {
            parent["namespace"] = (&*gateway.namespace).into();
        }
        parent
    });
    let backends = route.backends.iter().map(|(service, port)| {
        let mut backend = json!({ "group": "", "kind": "Service", "name": &*service.name, "port": port, "weight": 1 });
        if service.namespace != route.name.namespace {
            backend["namespace"] = (&*service.namespace).into();
        }
        backend
    });
    json!({
        "metadata": {
            "name": &*route.name.name,
            "namespace": &*route.name.namespace,
            "generation": 1,
            "creationTimestamp": seconds(route.created_at),
        },
        "spec": {
            "parentRefs": parents.collect::<Vec<_>>(),
            "rules": [{ "backendRefs": backends.collect::<Vec<_>>() }],
        },
        "status": { "parents": [] },
    })
}
