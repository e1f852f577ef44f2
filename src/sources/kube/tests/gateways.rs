//! The Gateway API against the simulated API server: absent, present, in another version, odd, forbidden.

use serde_json::{Value, json};

use super::world::{World, quick};
use super::{a, all_complete};
use crate::inventory::kube::{ConditionStatus, RouteKind};
use crate::inventory::part::FailureCategory;
use crate::inventory::parts::{Parts, RouteKey, source};
use crate::simulator::kube_api::{
    GATEWAY_CLASSES, GATEWAYS, KubeStore, NEW_TLS_ROUTES, OLD_GATEWAYS, TCP_ROUTES, TLS_ROUTES, UDP_ROUTES,
};

fn gateway(name: &str) -> Value {
    json!({
        "metadata": {"namespace": "a", "name": name},
        "spec": {"gatewayClassName": "nlb", "listeners": [{"name": "tcp", "port": 80, "protocol": "TCP"}]},
        "status": {"conditions": [{"type": "Programmed", "status": "True"}]},
    })
}

fn route(name: &str) -> Value {
    json!({
        "metadata": {"namespace": "a", "name": name},
        "spec": {"parentRefs": [{"name": "edge"}], "rules": [{"backendRefs": [{"name": "web", "port": 80}]}]},
    })
}

fn has_gateway(parts: &Parts, name: &str) -> bool {
    parts.gateways.complete().is_some_and(|gateways| gateways.contains_key(&a(name)))
}

fn has_route(parts: &Parts, kind: RouteKind, name: &str) -> bool {
    parts.routes.complete().is_some_and(|routes| routes.contains_key(&RouteKey { kind, name: a(name) }))
}

#[tokio::test]
async fn gateways_their_classes_and_routes_come_and_go() {
    let api = KubeStore::new();
    api.upsert(
        GATEWAY_CLASSES,
        json!({"metadata": {"name": "nlb"}, "spec": {"controllerName": "gateway.k8s.aws/nlb", "parametersRef": {"name": "x"}}}),
    );
    api.upsert(GATEWAYS, gateway("edge"));
    api.upsert(TCP_ROUTES, route("one"));
    api.upsert(UDP_ROUTES, route("one"));
    let world = World::start(api.clone(), quick()).await;
    let parts = world.until("all is there", |parts| all_complete(parts) && has_gateway(parts, "edge")).await;
    assert_eq!(&*parts.gateway_classes.get().unwrap()["nlb"].controller, "gateway.k8s.aws/nlb");
    assert_eq!(parts.gateways.get().unwrap()[&a("edge")].programmed, ConditionStatus::True);
    assert!(has_route(&parts, RouteKind::Tcp, "one") && has_route(&parts, RouteKind::Udp, "one"));
    assert!(!has_route(&parts, RouteKind::Tls, "one"));
    for name in [source::GATEWAYS, source::GATEWAY_CLASSES, source::ROUTES] {
        assert!(!parts.sources[name].absent, "{name}");
    }
    api.delete(TCP_ROUTES, "a", "one");
    api.upsert(TLS_ROUTES, route("two"));
    api.delete(GATEWAYS, "a", "edge");
    api.delete(GATEWAY_CLASSES, "", "nlb");
    let parts = world
        .until("the changes are there", |parts| {
            has_route(parts, RouteKind::Tls, "two")
                && !has_route(parts, RouteKind::Tcp, "one")
                && !has_gateway(parts, "edge")
                && parts.gateway_classes.get().unwrap().is_empty()
        })
        .await;
    assert!(has_route(&parts, RouteKind::Udp, "one"), "routes of another kind stay");
    assert!(parts.departed_gateways.lately(&a("edge"), crate::clock::now(), jiff::SignedDuration::from_mins(15)));
}

#[tokio::test]
async fn a_cluster_without_the_gateway_api_is_known_to_have_none_and_may_get_it_later() {
    let api = KubeStore::new();
    for resource in [GATEWAY_CLASSES, GATEWAYS, TCP_ROUTES, TLS_ROUTES, UDP_ROUTES] {
        api.set_served(resource, false);
    }
    let world = World::start(api.clone(), quick()).await;
    let parts = world.until("all is complete", all_complete).await;
    assert!(parts.gateways.get().unwrap().is_empty() && parts.routes.get().unwrap().is_empty());
    for name in [source::GATEWAYS, source::GATEWAY_CLASSES, source::ROUTES] {
        let status = &parts.sources[name];
        assert!(status.absent && status.failure.is_none() && status.last_success.is_some(), "{name}: {status:?}");
    }
    // The standard bundle brings no TCP or UDP routes.
    api.upsert(GATEWAYS, gateway("edge"));
    api.upsert(TLS_ROUTES, route("one"));
    for resource in [GATEWAY_CLASSES, GATEWAYS, TLS_ROUTES] {
        api.set_served(resource, true);
    }
    let parts = world.until("it is found", |parts| has_gateway(parts, "edge") && has_route(parts, RouteKind::Tls, "one")).await;
    assert!(!parts.sources[source::ROUTES].absent && parts.sources[source::ROUTES].failure.is_none());
}

#[tokio::test]
async fn the_newest_version_that_is_served_is_read_whichever_it_is() {
    let api = KubeStore::new();
    api.set_served(GATEWAYS, false);
    api.set_served(OLD_GATEWAYS, true);
    api.upsert(OLD_GATEWAYS, gateway("old"));
    api.set_served(NEW_TLS_ROUTES, true);
    api.upsert(NEW_TLS_ROUTES, route("new"));
    api.upsert(TLS_ROUTES, route("old"));
    let world = World::start(api.clone(), quick()).await;
    let parts = world.until("both are read", |parts| has_gateway(parts, "old") && has_route(parts, RouteKind::Tls, "new")).await;
    assert!(!has_route(&parts, RouteKind::Tls, "old"), "one version is read: they all hold the same objects");
    // The bundle is upgraded, and the old version is not served any more.
    api.upsert(GATEWAYS, gateway("old"));
    api.upsert(GATEWAYS, gateway("new"));
    api.set_served(GATEWAYS, true);
    api.set_served(OLD_GATEWAYS, false);
    world.until("the new version is read", |parts| has_gateway(parts, "new") && has_gateway(parts, "old")).await;
}

#[tokio::test]
async fn an_odd_gateway_is_counted_and_the_others_are_read() {
    let api = KubeStore::new();
    let mut odd = gateway("odd");
    odd["spec"]["listeners"][0]["port"] = json!("eighty");
    api.upsert(GATEWAYS, odd);
    api.upsert(GATEWAYS, gateway("edge"));
    let mut portless = route("portless");
    portless["spec"]["rules"][0]["backendRefs"][0]["port"] = Value::Null;
    api.upsert(TCP_ROUTES, portless);
    let world = World::start(api.clone(), quick()).await;
    let missing = |parts: &Parts, name: &str| parts.sources.get(name).map_or(0, |status| status.missing);
    let parts = world
        .until("both are counted", |parts| {
            has_gateway(parts, "edge") && missing(parts, source::GATEWAYS) == 1 && missing(parts, source::ROUTES) == 1
        })
        .await;
    assert!(!has_gateway(&parts, "odd") && world.unknown_values(source::GATEWAYS) >= 1);
    api.upsert(GATEWAYS, gateway("odd"));
    world.until("it is read once it can be", |parts| has_gateway(parts, "odd") && missing(parts, source::GATEWAYS) == 0).await;
}

#[tokio::test]
async fn a_role_without_the_gateway_api_fails_these_sources_and_no_others() {
    let api = KubeStore::new();
    let kinds = [GATEWAY_CLASSES, GATEWAYS, TCP_ROUTES, TLS_ROUTES, UDP_ROUTES];
    kinds.iter().for_each(|resource| api.set_forbidden(*resource, true));
    // An API server that does not let somebody ask says so of every version.
    for resource in [crate::simulator::kube_api::NEW_TCP_ROUTES, NEW_TLS_ROUTES, crate::simulator::kube_api::NEW_UDP_ROUTES] {
        api.set_forbidden(resource, true);
    }
    api.upsert(GATEWAYS, gateway("edge"));
    let world = World::start(api.clone(), quick()).await;
    let denied = |parts: &Parts, name: &str| {
        let status = parts.sources.get(name).and_then(|status| status.failure.as_ref());
        status.is_some_and(|failure| failure.category == FailureCategory::Denied)
    };
    let own = [source::GATEWAYS, source::GATEWAY_CLASSES, source::ROUTES];
    let parts = world
        .until("it is denied, and the others are there", |parts| {
            own.iter().all(|name| denied(parts, name)) && parts.services.complete().is_some() && parts.nodes.complete().is_some()
        })
        .await;
    assert!(parts.gateways.complete().is_none() && parts.routes.complete().is_none(), "unknown and not empty");
    kinds.iter().for_each(|resource| api.set_forbidden(*resource, false));
    for resource in [crate::simulator::kube_api::NEW_TCP_ROUTES, NEW_TLS_ROUTES, crate::simulator::kube_api::NEW_UDP_ROUTES] {
        api.set_forbidden(resource, false);
    }
    world.until("it is allowed", |parts| all_complete(parts) && has_gateway(parts, "edge")).await;
}
