//! The watches against the simulated API server, over real connections.

#![cfg(feature = "simulator")]

mod gateways;
mod recorded;
mod world;

use std::time::Duration;

use serde_json::json;

use self::world::{World, binding, node, quick, service, slice};
use crate::inventory::ids::{NodeName, ObjectName};
use crate::inventory::kube::BindingGroup;
use crate::inventory::part::FailureCategory;
use crate::inventory::parts::{EventKey, Parts, source};
use crate::simulator::kube_api::{
    AUTO_MODE_TARGET_GROUP_BINDINGS, DAEMON_SETS, DEPLOYMENTS, ENDPOINT_SLICES, EVENTS, KubeStore, LEASES, NODES, SERVICES,
    TARGET_GROUP_BINDINGS, Verb,
};

fn a(name: &str) -> ObjectName {
    ObjectName::new("a", name)
}

fn has_service(parts: &Parts, name: &str) -> bool {
    parts.services.complete().is_some_and(|services| services.contains_key(&a(name)))
}

/// Everything is complete, as an empty but healthy cluster is at once.
fn all_complete(parts: &Parts) -> bool {
    parts.services.complete().is_some()
        && parts.endpoint_slices.complete().is_some()
        && parts.nodes.complete().is_some()
        && parts.target_group_bindings.complete().is_some()
        && parts.reconciles.complete().is_some()
        && parts.controllers.complete().is_some()
        && parts.leader_lease.complete().is_some()
        && parts.vpc_cni.complete().is_some()
        && parts.gateways.complete().is_some()
        && parts.gateway_classes.complete().is_some()
        && parts.routes.complete().is_some()
}

#[tokio::test]
async fn an_empty_cluster_is_known_to_be_empty() {
    let world = World::start(KubeStore::new(), quick()).await;
    let parts = world.until("everything is complete", all_complete).await;
    assert!(parts.services.get().unwrap().is_empty());
    assert_eq!((parts.vpc_cni.get(), parts.leader_lease.get()), (Some(&false), Some(&None)));
    for name in source::ALL.iter().filter(|name| name.starts_with("kube_")) {
        let status = &parts.sources[*name];
        assert!(status.last_success.is_some() && status.failure.is_none(), "{name}: {status:?}");
    }
}

#[tokio::test]
async fn objects_come_change_and_go() {
    let api = KubeStore::new();
    api.upsert(SERVICES, service("one"));
    api.upsert(ENDPOINT_SLICES, slice("one", "10.0.0.1"));
    api.upsert(NODES, node("n"));
    let world = World::start(api.clone(), quick()).await;
    let parts = world.until("the list is there", all_complete).await;
    assert!(has_service(&parts, "one") && parts.nodes.get().unwrap().contains_key(&NodeName::from("n")));
    assert_eq!(parts.services.get().unwrap()[&a("one")].changed_at, None, "the first list is no change");
    assert_eq!(parts.endpoint_slices.get().unwrap()[&a("one-x")].service, a("one"));

    let mut changed = service("one");
    changed["metadata"]["annotations"] = json!({"x": "y"});
    api.upsert(SERVICES, changed);
    api.upsert(SERVICES, service("two"));
    api.upsert(
        DAEMON_SETS,
        json!({"metadata": {"namespace": "kube-system", "name": "aws-node"}, "spec": {"selector": {}, "template": {}}}),
    );
    let parts = world.until("the second is there", |parts| has_service(parts, "two") && parts.vpc_cni.get() == Some(&true)).await;
    assert_eq!(parts.services.get().unwrap()[&a("two")].changed_at, None, "a new one did not change");
    let parts = world.until("the first has changed", |parts| parts.services.get().unwrap()[&a("one")].changed_at.is_some()).await;
    assert_eq!(parts.services.get().unwrap()[&a("one")].annotations.get("x").map(|text| &**text), Some("y"));

    api.delete(SERVICES, "a", "one");
    api.delete(NODES, "", "n");
    api.delete(DAEMON_SETS, "kube-system", "aws-node");
    let parts = world
        .until("they are gone", |parts| {
            !has_service(parts, "one") && parts.nodes.get().unwrap().is_empty() && parts.vpc_cni.get() == Some(&false)
        })
        .await;
    assert!(parts.departed_services.lately(&a("one"), crate::clock::now(), jiff::SignedDuration::from_mins(15)));
    assert_eq!(api.requests(Verb::List, SERVICES), 1, "one list, the rest are watches");
}

#[tokio::test]
async fn a_long_list_comes_in_pages_and_is_never_seen_half() {
    let api = KubeStore::new();
    for number in 0..250 {
        api.upsert(SERVICES, service(&format!("s{number}")));
    }
    let settings = super::KubeSettings { page_size: 100, ..quick() };
    let world = World::start(api.clone(), settings).await;
    let sizes = world.observe(|parts| parts.services.get().map(|services| services.len()));
    world.until("the list is there", |parts| parts.services.complete().is_some()).await;
    assert_eq!(api.requests(Verb::List, SERVICES), 3);
    // The list again, one object fewer.
    api.delete(SERVICES, "a", "s7");
    api.compact(SERVICES);
    world.until("it is gone", |parts| parts.services.get().unwrap().len() == 249).await;
    let seen: Vec<Option<usize>> = sizes.stop().await;
    assert!(seen.iter().flatten().all(|size| [249, 250].contains(size)), "{seen:?}");
}

#[tokio::test]
async fn a_quiet_cluster_stays_fresh() {
    let api = KubeStore::new();
    api.upsert(SERVICES, service("one"));
    let world = World::start(api.clone(), quick()).await;
    let first = world.until("all is there", all_complete).await;
    for round in 0..2 {
        let before = world.store.read();
        world
            .until("every part is fresher", |parts| {
                parts.services.fetched_at > before.services.fetched_at
                    && parts.nodes.fetched_at > before.nodes.fetched_at
                    && parts.target_group_bindings.fetched_at > before.target_group_bindings.fetched_at
                    && parts.controllers.fetched_at > before.controllers.fetched_at
                    && parts.leader_lease.fetched_at > before.leader_lease.fetched_at
                    && parts.reconciles.fetched_at > before.reconciles.fetched_at
                    && parts.sources[source::SERVICES].last_success > before.sources[source::SERVICES].last_success
            })
            .await;
        assert_eq!(api.requests(Verb::List, SERVICES), 1, "round {round}: without a list");
    }
    let last = world.store.read();
    assert!(std::sync::Arc::ptr_eq(first.services.value.as_ref().unwrap(), last.services.value.as_ref().unwrap()));
}

#[tokio::test]
async fn a_restarted_api_server_heals() {
    let api = KubeStore::new();
    api.upsert(SERVICES, service("one"));
    api.upsert(SERVICES, service("two"));
    let mut world = World::start(api.clone(), quick()).await;
    let before = world.until("all is there", all_complete).await;
    world.kill();
    let down = world
        .until("it is noticed", |parts| {
            parts.services.failure.is_some() && parts.nodes.failure.is_some() && parts.vpc_cni.failure.is_some()
        })
        .await;
    let failure = down.services.failure.as_ref().unwrap();
    assert_eq!((failure.category, failure.operation.as_str()), (FailureCategory::Unreachable, "watch services"));
    assert!(has_service(&down, "one"), "what is known stays");
    assert_eq!(down.sources[source::SERVICES].last_success, down.services.fetched_at);

    // A new process with the same objects, but the one that was deleted meanwhile.
    let api = KubeStore::new();
    api.upsert(SERVICES, service("one"));
    world.restart(api.clone()).await;
    let healed = world
        .until("it is healed", |parts| {
            parts.services.failure.is_none()
                && parts.services.fetched_at > before.services.fetched_at
                && parts.nodes.fetched_at > before.nodes.fetched_at
                && !has_service(parts, "two")
        })
        .await;
    assert!(has_service(&healed, "one"));
    let quiet = world.store.read();
    world
        .until("it stays fresh", |parts| {
            parts.services.fetched_at > quiet.services.fetched_at && parts.services.failure.is_none()
        })
        .await;
}

#[tokio::test]
async fn a_server_that_comes_back_unchanged_is_not_listed_again() {
    let api = KubeStore::new();
    api.upsert(SERVICES, service("one"));
    let mut world = World::start(api.clone(), quick()).await;
    let before = world.until("all is there", all_complete).await;
    world.kill();
    world.until("it is noticed", |parts| parts.services.failure.is_some()).await;
    world.restart(api.clone()).await;
    world
        .until("it is healed", |parts| parts.services.failure.is_none() && parts.services.fetched_at > before.services.fetched_at)
        .await;
    assert_eq!(api.requests(Verb::List, SERVICES), 1);
    api.upsert(SERVICES, service("two"));
    world.until("news come again", |parts| has_service(parts, "two")).await;
}

#[tokio::test]
async fn a_forgotten_version_is_listed_again() {
    let api = KubeStore::new();
    api.upsert(SERVICES, service("one"));
    api.upsert(SERVICES, service("two"));
    let world = World::start(api.clone(), quick()).await;
    world.until("the list is there", |parts| has_service(parts, "two")).await;
    api.delete(SERVICES, "a", "two");
    api.upsert(SERVICES, service("three"));
    api.compact(SERVICES);
    let parts = world.until("the new list is there", |parts| has_service(parts, "three") && !has_service(parts, "two")).await;
    assert!(has_service(&parts, "one") && parts.services.failure.is_none(), "being late is no failure");
}

#[tokio::test]
async fn an_absent_kind_is_complete_and_empty_and_found_when_it_appears() {
    let api = KubeStore::new();
    api.set_served(TARGET_GROUP_BINDINGS, false);
    api.upsert(TARGET_GROUP_BINDINGS, binding("lbc"));
    api.upsert(AUTO_MODE_TARGET_GROUP_BINDINGS, binding("auto"));
    let world = World::start(api.clone(), quick()).await;
    let parts = world.until("all is complete", all_complete).await;
    assert!(parts.target_group_bindings.get().unwrap().is_empty());
    let status = &parts.sources[source::TARGET_GROUP_BINDINGS];
    assert!(status.absent && status.failure.is_none() && status.last_success.is_some());

    api.set_served(TARGET_GROUP_BINDINGS, true);
    let group = |parts: &Parts, name| parts.target_group_bindings.complete().and_then(|map| map.get(&a(name)).map(|b| b.group));
    let parts = world.until("its objects are there", |parts| group(parts, "lbc").is_some()).await;
    assert!(!parts.sources[source::TARGET_GROUP_BINDINGS].absent);
    api.set_served(AUTO_MODE_TARGET_GROUP_BINDINGS, true);
    let parts = world.until("both are there", |parts| group(parts, "auto") == Some(BindingGroup::AutoMode)).await;
    assert_eq!(group(&parts, "lbc"), Some(BindingGroup::LoadBalancerController));

    api.set_served(TARGET_GROUP_BINDINGS, false);
    let parts =
        world.until("that it is gone is not believed at once", |parts| parts.target_group_bindings.failure.is_some()).await;
    assert!(group(&parts, "lbc").is_some());
    let parts = world.until("and then it is", |parts| group(parts, "lbc").is_none()).await;
    assert!(group(&parts, "auto").is_some(), "the other group's stay");
}

#[tokio::test]
async fn a_forbidden_kind_holds_up_nothing_and_heals() {
    let api = KubeStore::new();
    api.set_forbidden(NODES, true);
    api.set_forbidden(AUTO_MODE_TARGET_GROUP_BINDINGS, true);
    api.upsert(SERVICES, service("one"));
    let world = World::start(api.clone(), quick()).await;
    let parts = world
        .until("the others are there", |parts| {
            has_service(parts, "one") && parts.nodes.failure.is_some() && parts.target_group_bindings.complete().is_some()
        })
        .await;
    assert!(parts.nodes.get().is_none(), "unknown and not empty");
    let failure = parts.nodes.failure.as_ref().unwrap();
    assert_eq!((failure.category, failure.operation.as_str()), (FailureCategory::Denied, "watch nodes"));
    assert!(failure.message.contains("cannot list resource"), "{failure}");
    assert_eq!(parts.sources[source::NODES].last_success, None);
    let told =
        world.until("the optional kind is told", |parts| parts.sources[source::TARGET_GROUP_BINDINGS].failure.is_some()).await;
    assert!(told.target_group_bindings.complete().is_some(), "what nearly no cluster has blinds nobody");

    api.upsert(NODES, node("n"));
    api.set_forbidden(NODES, false);
    world
        .until("it heals", |parts| parts.nodes.complete().is_some_and(|nodes| nodes.len() == 1) && parts.nodes.failure.is_none())
        .await;
}

#[tokio::test]
async fn refusals_have_their_category() {
    let api = KubeStore::new();
    let world = World::start(api.clone(), quick()).await;
    world.until("all is there", all_complete).await;
    for (code, category) in [
        (401, FailureCategory::Expired),
        (403, FailureCategory::Denied),
        (404, FailureCategory::NotFound),
        (429, FailureCategory::Throttled),
        (500, FailureCategory::Server),
    ] {
        api.set_refusal(SERVICES, Some(code));
        let parts =
            world.until("it is told", |parts| parts.services.failure.as_ref().is_some_and(|f| f.category == category)).await;
        assert!(!parts.sources[source::SERVICES].absent, "{code}: every cluster has Services");
    }
    api.set_refusal(SERVICES, None);
    world.until("it heals", |parts| parts.services.failure.is_none()).await;
}

#[tokio::test]
async fn an_undecodable_object_is_left_out_and_counted() {
    let api = KubeStore::new();
    let mut broken = service("broken");
    broken["spec"]["ports"] = json!("many");
    api.upsert(SERVICES, broken);
    api.upsert(SERVICES, service("one"));
    let world = World::start(api.clone(), quick()).await;
    let missing = |parts: &Parts| parts.sources.get(source::SERVICES).map(|status| status.missing);
    let parts = world.until("the list is there", |parts| has_service(parts, "one")).await;
    assert!(!has_service(&parts, "broken"));
    assert_eq!((missing(&parts), parts.services.failure.is_none()), (Some(1), true));
    assert!(world.unknown_values(source::SERVICES) >= 1);

    let mut odd = service("one");
    odd["spec"]["type"] = json!("Mesh");
    api.upsert(SERVICES, odd);
    let parts = world.until("the second is counted", |parts| missing(parts) == Some(2)).await;
    assert!(has_service(&parts, "one"), "what was known of it stays");

    api.compact(SERVICES);
    let lists = api.requests(Verb::List, SERVICES);
    world.until("it is listed again", |_| api.requests(Verb::List, SERVICES) > lists).await;
    let parts = world.until("the list is there", |parts| parts.services.failure.is_none()).await;
    assert!(has_service(&parts, "one"), "after a list too");

    api.upsert(SERVICES, service("one"));
    api.delete(SERVICES, "a", "broken");
    world.until("nothing is missing", |parts| missing(parts) == Some(0)).await;
}

fn event(name: &str, warning: bool, at: &str) -> serde_json::Value {
    let (kind, reason) = if warning { ("Warning", "FailedBuildModel") } else { ("Normal", "SuccessfullyReconciled") };
    json!({
        "metadata": {"namespace": "a", "name": name}, "type": kind, "reason": reason, "message": "because",
        "involvedObject": {"kind": "Service", "namespace": "a", "name": "one"}, "source": {"component": "service"},
        "lastTimestamp": at,
    })
}

#[tokio::test]
async fn a_blocked_service_is_known_beyond_its_event_and_cleared_by_a_success() {
    let api = KubeStore::new();
    let mut old = service("one");
    old["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
    api.upsert(SERVICES, old);
    api.upsert(EVENTS, event("one.1", true, "2026-01-01T01:00:00Z"));
    let world = World::start(api.clone(), quick()).await;
    let key = EventKey { kind: crate::inventory::kube::EventObject::Service, name: a("one") };
    let blocked = |parts: &Parts| parts.reconciles.complete()?.get(&key)?.blocked().map(|failure| failure.message.to_string());
    world.until("it is blocked", |parts| blocked(parts).as_deref() == Some("because")).await;

    api.delete(EVENTS, "a", "one.1");
    api.compact(EVENTS);
    let before = world.store.read();
    let parts = world.until("a later moment", |parts| parts.reconciles.fetched_at > before.reconciles.fetched_at).await;
    assert!(blocked(&parts).is_some(), "the event expired, the trouble did not");

    api.upsert(EVENTS, event("one.2", false, "2026-01-01T02:00:00Z"));
    world.until("it is cleared", |parts| blocked(parts).is_none()).await;
    api.upsert(EVENTS, event("one.3", true, "2026-01-01T03:00:00Z"));
    world.until("it is blocked again", |parts| blocked(parts).is_some()).await;
    api.delete(SERVICES, "a", "one");
    world.until("it ends with the Service", |parts| parts.reconciles.get().is_some_and(|map| map.is_empty())).await;
}

fn deployment(namespace: &str, name: &str, labels: serde_json::Value) -> serde_json::Value {
    json!({
        "metadata": {"namespace": namespace, "name": name, "labels": labels},
        "spec": {"replicas": 2, "selector": {}, "template": {"spec": {"containers": [
            {"name": "lbc", "image": "public.ecr.aws/eks/aws-load-balancer-controller:v2.13.0", "args": ["--cluster-name=c"]},
        ]}}},
    })
}

#[tokio::test]
async fn a_controller_under_another_name_is_found_by_its_image_and_its_lease_beside_it() {
    let api = KubeStore::new();
    let lease = json!({
        "metadata": {"namespace": "net", "name": "aws-load-balancer-controller-leader"},
        "spec": {"holderIdentity": "pod-1_x", "acquireTime": "2026-01-01T00:00:00.000000Z", "leaseTransitions": 3},
    });
    api.upsert(LEASES, lease);
    let labels = json!({"app.kubernetes.io/name": "lb", "helm.sh/chart": "aws-load-balancer-controller-1.13.0"});
    api.upsert(DEPLOYMENTS, deployment("net", "lb", labels));
    let mut other = deployment("net", "web", json!({"helm.sh/chart": "web-1.0.0"}));
    other["spec"]["template"]["spec"]["containers"][0]["image"] = json!("nginx:1");
    api.upsert(DEPLOYMENTS, other);
    let world = World::start(api.clone(), quick()).await;
    let names = |parts: &Parts| -> Vec<String> {
        parts.controllers.complete().into_iter().flatten().map(|(name, _)| name.to_string()).collect()
    };
    let parts = world
        .until("it and its leader are found", |parts| {
            names(parts) == ["net/lb"] && parts.leader_lease.get().is_some_and(Option::is_some)
        })
        .await;
    let lease = parts.leader_lease.complete().unwrap().clone().unwrap();
    assert_eq!((lease.holder.as_deref(), lease.transitions), (Some("pod-1_x"), 3));

    // One with the label appears: the search among the others ends, and what it found is let go.
    let labels = json!({"app.kubernetes.io/name": "aws-load-balancer-controller"});
    api.upsert(DEPLOYMENTS, deployment("kube-system", "aws-load-balancer-controller", labels));
    world.until("the labelled one counts", |parts| names(parts) == ["kube-system/aws-load-balancer-controller"]).await;
    world.until("its Lease is looked for", |parts| parts.leader_lease.complete() == Some(&None)).await;
    api.delete(DEPLOYMENTS, "kube-system", "aws-load-balancer-controller");
    world.until("the other is found again", |parts| names(parts) == ["net/lb"]).await;
    api.delete(DEPLOYMENTS, "net", "lb");
    world.until("there is none", |parts| parts.controllers.complete().is_some_and(|map| map.is_empty())).await;
}

#[tokio::test]
async fn an_unreachable_server_is_told_and_found_when_it_starts() {
    let mut world = World::start(KubeStore::new(), quick()).await;
    world.kill();
    let world_store = KubeStore::new();
    world_store.upsert(SERVICES, service("one"));
    let fresh = world.second_daemon().await;
    let parts = fresh.until("it is told", |parts| parts.services.failure.is_some()).await;
    assert!(parts.services.get().is_none() && parts.sources[source::SERVICES].last_attempt.is_some());
    world.restart(world_store).await;
    fresh.until("it is found", |parts| has_service(parts, "one")).await;
}

#[tokio::test]
async fn an_absent_kind_is_asked_for_ever_more_seldom() {
    let api = KubeStore::new();
    let settings =
        super::KubeSettings { shortest_wait: Duration::from_millis(300), longest_wait: Duration::from_secs(30), ..quick() };
    let world = World::start(api.clone(), settings).await;
    world.until("all is there", all_complete).await;
    let before = world.store.read();
    let later = before.services.fetched_at.unwrap() + Duration::from_secs(3);
    world.until("some time later", |parts| parts.services.fetched_at > Some(later)).await;
    let lists = api.requests(Verb::List, AUTO_MODE_TARGET_GROUP_BINDINGS);
    assert!((2..=5).contains(&lists), "{lists} lists in three seconds");
}

#[tokio::test]
async fn a_server_that_accepts_and_never_answers_is_a_timeout() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap()).parse().unwrap();
    let settings = super::KubeSettings { url: Some(url), answer_timeout: Duration::from_millis(300), ..quick() };
    let world = World::daemon(None, settings).await;
    let category = |parts: &Parts| parts.services.failure.as_ref().map(|failure| failure.category);
    let parts = world.until("it is told", |parts| category(parts).is_some()).await;
    assert_eq!(category(&parts), Some(FailureCategory::Timeout));
}
