//! What is kept of the Gateway API: Gateways, their classes, and the routes that an NLB can have?
//!
//! Its CRDs are a bundle that a cluster may not have, or have in an older version: the newest served version is watched.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::{ClusterResourceScope, NamespaceResourceScope};
use serde::Deserialize;

use super::batch::{Batch, Patch};
use super::fields::{created_at, non_empty, object_name, port};
use super::report::Change;
use super::watch::{Subject, Undecodable};
use crate::inventory::ids::ObjectName;
use crate::inventory::kube::{ConditionStatus, Gateway, GatewayClass, GatewayListener, Route, RouteKind};
use crate::inventory::parts::{Parts, RouteKey};
use crate::sources::intern::Interner;

/// The group of all of it.
const GROUP: &str = "gateway.networking.k8s.io";

/// Versions in which Gateways and GatewayClasses are served, the newest first: v1 since 1.0 of the Gateway API.
pub(super) const GATEWAY_VERSIONS: &[&str] = &["v1", "v1beta1"];

/// Versions in which a kind of route is served, the newest first.
pub(super) fn versions(kind: RouteKind) -> &'static [&'static str] {
    match kind {
        RouteKind::Tls => &["v1", "v1alpha3", "v1alpha2"],
        RouteKind::Tcp | RouteKind::Udp => &["v1", "v1alpha2"],
    }
}

/// What a person calls a kind of route.
pub(super) fn label(kind: RouteKind) -> &'static str {
    match kind {
        RouteKind::Tcp => "tcproutes.gateway.networking.k8s.io",
        RouteKind::Tls => "tlsroutes.gateway.networking.k8s.io",
        RouteKind::Udp => "udproutes.gateway.networking.k8s.io",
    }
}

/// A Gateway as it comes: the fields that are read.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ApiGateway {
    metadata: ObjectMeta,
    spec: GatewaySpec,
    #[serde(default)]
    status: Option<GatewayStatus>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GatewaySpec {
    gateway_class_name: String,
    #[serde(default)]
    listeners: Vec<ApiListener>,
}

#[derive(Debug, Clone, Deserialize)]
struct ApiListener {
    name: String,
    port: i32,
    protocol: String,
}

#[derive(Debug, Clone, Deserialize)]
struct GatewayStatus {
    #[serde(default)]
    addresses: Option<Vec<Address>>,
    #[serde(default)]
    conditions: Option<Vec<Condition>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Address {
    #[serde(default)]
    value: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

/// A GatewayClass as it comes.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ApiClass {
    metadata: ObjectMeta,
    spec: ClassSpec,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClassSpec {
    controller_name: String,
}

/// A route as it comes.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ApiRoute {
    metadata: ObjectMeta,
    spec: RouteSpec,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RouteSpec {
    #[serde(default)]
    parent_refs: Option<Vec<Reference>>,
    #[serde(default)]
    rules: Option<Vec<Rule>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    #[serde(default)]
    backend_refs: Option<Vec<Reference>>,
}

/// A reference to a parent or a back end.
#[derive(Debug, Clone, Deserialize)]
struct Reference {
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    namespace: Option<String>,
    name: String,
    #[serde(default)]
    port: Option<i32>,
}

impl Reference {
    /// Whether it names an object of this kind; both kinds of references have it as their default.
    fn is_of(&self, group: &str, kind: &str) -> bool {
        self.group.as_deref().unwrap_or(group) == group && self.kind.as_deref().unwrap_or(kind) == kind
    }

    /// What it names; in the referring object's namespace where it names none.
    fn target(&self, from: &ObjectName, interner: &Interner) -> ObjectName {
        let namespace = self.namespace.as_deref().filter(|namespace| !namespace.is_empty());
        interner.name(namespace.unwrap_or(&from.namespace), &self.name)
    }
}

/// Of which version an object is watched; of a route also its kind.
macro_rules! resource {
    ($type:ty, $dynamic:ty, $scope:ty, $kind:expr, $plural:expr, $version:expr) => {
        impl Resource for $type {
            type DynamicType = $dynamic;
            type Scope = $scope;

            fn kind(dynamic: &$dynamic) -> Cow<'_, str> {
                $kind(dynamic).into()
            }

            fn group(_: &$dynamic) -> Cow<'_, str> {
                GROUP.into()
            }

            fn version(dynamic: &$dynamic) -> Cow<'_, str> {
                $version(dynamic).into()
            }

            fn plural(dynamic: &$dynamic) -> Cow<'_, str> {
                $plural(dynamic).into()
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

/// A version.
pub(super) type Version = &'static str;

fn itself(version: &Version) -> &'static str {
    version
}

resource!(ApiGateway, Version, NamespaceResourceScope, |_| "Gateway", |_| "gateways", itself);
resource!(ApiClass, Version, ClusterResourceScope, |_| "GatewayClass", |_| "gatewayclasses", itself);
resource!(
    ApiRoute,
    (RouteKind, Version),
    NamespaceResourceScope,
    |of: &(RouteKind, Version)| of.0.as_str(),
    |of: &(RouteKind, Version)| plural(of.0),
    |of: &(RouteKind, Version)| of.1
);

fn plural(kind: RouteKind) -> &'static str {
    label(kind).split('.').next().expect("a split has a first part")
}

/// Gateways.
pub(super) struct Gateways {
    pub(super) interner: Arc<Interner>,
}

impl Subject for Gateways {
    type Object = ApiGateway;
    type Value = Gateway;

    fn read(&self, object: ApiGateway) -> Result<Option<Gateway>, Undecodable> {
        gateway(&object, &self.interner).map(Some)
    }

    fn knows_any(&self, known: &Parts) -> bool {
        known.gateways.get().is_some_and(|gateways| !gateways.is_empty())
    }

    fn commit(&mut self, known: &Parts, batch: Batch<Gateway>, now: Timestamp) -> Option<Change> {
        let listed = batch.list.is_some();
        let patch = Patch::new(batch, known.gateways.get(), ObjectName::clone, |_, _| true, |_, _| {});
        if patch.is_empty() && !listed {
            return None;
        }
        Some(Box::new(move |parts| {
            let gone: Vec<_> = patch.entries().filter(|(_, kept)| kept.is_none()).map(|(name, _)| name.clone()).collect();
            parts.departed_gateways.record(gone, now);
            patch.apply(&mut parts.gateways);
        }))
    }
}

/// GatewayClasses.
pub(super) struct Classes {
    pub(super) interner: Arc<Interner>,
}

impl Subject for Classes {
    type Object = ApiClass;
    type Value = GatewayClass;

    fn read(&self, object: ApiClass) -> Result<Option<GatewayClass>, Undecodable> {
        let name = object.metadata.name.as_deref().ok_or_else(|| Undecodable("it has no name".into()))?;
        let controller = self.interner.get(&object.spec.controller_name);
        Ok(Some(GatewayClass { name: self.interner.get(name), controller }))
    }

    fn knows_any(&self, known: &Parts) -> bool {
        known.gateway_classes.get().is_some_and(|classes| !classes.is_empty())
    }

    fn commit(&mut self, known: &Parts, batch: Batch<GatewayClass>, _: Timestamp) -> Option<Change> {
        let listed = batch.list.is_some();
        let key = |name: &ObjectName| Arc::clone(&name.name);
        let patch = Patch::new(batch, known.gateway_classes.get(), key, |_, _| true, |_, _| {});
        (listed || !patch.is_empty()).then(|| -> Change { Box::new(move |parts| patch.apply(&mut parts.gateway_classes)) })
    }
}

/// Routes of one kind.
pub(super) struct Routes {
    pub(super) kind: RouteKind,
    pub(super) interner: Arc<Interner>,
}

impl Subject for Routes {
    type Object = ApiRoute;
    type Value = Route;

    fn read(&self, object: ApiRoute) -> Result<Option<Route>, Undecodable> {
        route(&object, self.kind, &self.interner).map(Some)
    }

    fn knows_any(&self, known: &Parts) -> bool {
        known.routes.get().is_some_and(|routes| routes.keys().any(|key| key.kind == self.kind))
    }

    fn commit(&mut self, known: &Parts, batch: Batch<Route>, _: Timestamp) -> Option<Change> {
        let (listed, kind) = (batch.list.is_some(), self.kind);
        let key = |name: &ObjectName| RouteKey { kind, name: name.clone() };
        let patch = Patch::new(batch, known.routes.get(), key, |key, _| key.kind == kind, |_, _| {});
        (listed || !patch.is_empty()).then(|| -> Change { Box::new(move |parts| patch.apply(&mut parts.routes)) })
    }
}

fn gateway(object: &ApiGateway, interner: &Interner) -> Result<Gateway, Undecodable> {
    let (metadata, spec) = (&object.metadata, &object.spec);
    let listeners = spec.listeners.iter().map(|listener| {
        let name = interner.get(&listener.name);
        Ok(GatewayListener { name, port: port(listener.port)?, protocol: interner.get(&listener.protocol) })
    });
    let conditions = object.status.as_ref().and_then(|status| status.conditions.as_ref());
    let programmed = conditions.into_iter().flatten().find(|condition| condition.kind == "Programmed");
    let addresses = object.status.as_ref().and_then(|status| status.addresses.as_ref()).into_iter().flatten();
    Ok(Gateway {
        name: object_name(metadata, interner)?,
        uid: metadata.uid.as_deref().unwrap_or_default().into(),
        created_at: created_at(metadata)?,
        deleted_at: metadata.deletion_timestamp.as_ref().map(|time| time.0),
        finalizers: metadata.finalizers.iter().flatten().map(|name| interner.get(name)).collect(),
        class: interner.get(&spec.gateway_class_name),
        listeners: listeners.collect::<Result<_, _>>()?,
        programmed: programmed
            .and_then(|condition| ConditionStatus::parse(&condition.status))
            .unwrap_or(ConditionStatus::Unknown),
        addresses: addresses.filter_map(|address| non_empty(address.value.as_deref(), interner)).collect(),
    })
}

fn route(object: &ApiRoute, kind: RouteKind, interner: &Interner) -> Result<Route, Undecodable> {
    let name = object_name(&object.metadata, interner)?;
    let parents = object.spec.parent_refs.iter().flatten().filter(|parent| parent.is_of(GROUP, "Gateway"));
    let rules = object.spec.rules.iter().flatten();
    let backends = rules.flat_map(|rule| rule.backend_refs.iter().flatten()).filter(|backend| backend.is_of("", "Service"));
    let backends = backends.map(|backend| {
        let number = backend.port.ok_or_else(|| Undecodable("a back end that is a Service has no port".into()))?;
        Ok((backend.target(&name, interner), port(number)?))
    });
    Ok(Route {
        kind,
        created_at: created_at(&object.metadata)?,
        gateways: parents.map(|parent| parent.target(&name, interner)).collect(),
        backends: backends.collect::<Result<_, _>>()?,
        name,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn metadata() -> Value {
        json!({"namespace": "a", "name": "b", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"})
    }

    fn read_gateway(spec: Value, status: Value) -> Result<Gateway, Undecodable> {
        let object = json!({"metadata": metadata(), "spec": spec, "status": status});
        gateway(&serde_json::from_value(object).unwrap(), &Interner::default())
    }

    fn read_route(spec: Value) -> Result<Route, Undecodable> {
        let object = json!({"metadata": metadata(), "spec": spec});
        route(&serde_json::from_value(object).unwrap(), RouteKind::Tcp, &Interner::default())
    }

    fn a(name: &str) -> ObjectName {
        ObjectName::new("a", name)
    }

    #[test]
    fn a_gateway_without_a_status_is_not_known_to_be_programmed() {
        let spec = json!({"gatewayClassName": "nlb", "listeners": [{"name": "tcp", "port": 80, "protocol": "TCP"}]});
        let gateway = read_gateway(spec.clone(), Value::Null).unwrap();
        assert_eq!((gateway.programmed, gateway.addresses.len()), (ConditionStatus::Unknown, 0));
        let listener = GatewayListener { name: "tcp".into(), port: 80, protocol: "TCP".into() };
        assert_eq!((&*gateway.class, gateway.listeners), ("nlb", vec![listener]));
        let status = json!({
            "addresses": [{"type": "Hostname", "value": "x.elb.us-east-1.amazonaws.com"}],
            "conditions": [{"type": "Accepted", "status": "False"}, {"type": "Programmed", "status": "True"}],
        });
        let gateway = read_gateway(spec.clone(), status).unwrap();
        assert_eq!((gateway.programmed, gateway.addresses.len()), (ConditionStatus::True, 1));
        let odd = json!({"conditions": [{"type": "Programmed", "status": "Perhaps"}], "addresses": null});
        assert_eq!(read_gateway(spec, odd).unwrap().programmed, ConditionStatus::Unknown);
    }

    #[test]
    fn an_impossible_port_makes_it_undecodable_and_not_wrong() {
        let listener =
            |port: i64| json!({"gatewayClassName": "c", "listeners": [{"name": "l", "port": port, "protocol": "TCP"}]});
        assert!(read_gateway(listener(70_000), Value::Null).is_err());
        let backend = |backend: Value| json!({"rules": [{"backendRefs": [backend]}]});
        assert!(read_route(backend(json!({"name": "web", "port": 0}))).is_err());
        assert!(read_route(backend(json!({"name": "web"}))).is_err(), "a Service without a port");
    }

    #[test]
    fn references_have_the_apis_defaults_and_others_are_left_out() {
        let route = read_route(json!({
            "parentRefs": [
                {"name": "here"},
                {"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "infra", "name": "there"},
                {"group": "", "kind": "Service", "name": "mesh"},
            ],
            "rules": [
                {"backendRefs": [{"name": "web", "port": 80}, {"group": "example.com", "kind": "Bucket", "name": "x"}]},
                {"backendRefs": [{"group": "", "kind": "Service", "namespace": "c", "name": "api", "port": 8080}]},
                {},
            ],
        }))
        .unwrap();
        assert_eq!(route.gateways, [a("here"), ObjectName::new("infra", "there")]);
        assert_eq!(route.backends, [(a("web"), 80), (ObjectName::new("c", "api"), 8080)]);
        let bare = read_route(json!({})).unwrap();
        assert!(bare.gateways.is_empty() && bare.backends.is_empty());
    }
}
