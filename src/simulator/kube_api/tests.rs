//! The simulated API server answers as a real one does.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;

async fn ask(store: &KubeStore, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = router(store.clone()).oneshot(request).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn list(store: &KubeStore, path: &str) -> Value {
    let (status, body) = ask(store, path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// The events of a watch, as `TYPE name`.
async fn watch(store: &KubeStore, path: &str) -> Vec<String> {
    let (status, body) = ask(store, path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    let events = body.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events
        .map(|e| format!("{} {}", e["type"].as_str().unwrap(), e["object"]["metadata"]["name"].as_str().unwrap_or("-")))
        .collect()
}

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

fn service(namespace: &str, name: &str, team: &str) -> Value {
    json!({"metadata": {"namespace": namespace, "name": name, "labels": {"team": team}}, "spec": {"type": "LoadBalancer"}})
}

fn three() -> KubeStore {
    let store = KubeStore::new();
    store.upsert(SERVICES, service("a", "one", "x"));
    store.upsert(SERVICES, service("a", "two", "y"));
    store.upsert(SERVICES, service("b", "three", "x"));
    store
}

#[tokio::test]
async fn a_list_has_what_an_api_server_fills_in() {
    let store = three();
    let all = list(&store, "/api/v1/services").await;
    assert_eq!(names(&all), ["one", "two", "three"]);
    assert_eq!((all["kind"].as_str(), all["apiVersion"].as_str()), (Some("ServiceList"), Some("v1")));
    let metadata = &all["items"][0]["metadata"];
    for filled in ["uid", "resourceVersion", "creationTimestamp"] {
        assert!(metadata[filled].is_string(), "{filled}");
    }
    assert_eq!(names(&list(&store, "/api/v1/namespaces/b/services").await), ["three"]);
    let one = list(&store, "/api/v1/namespaces/a/services/one").await;
    assert_eq!(one["metadata"]["name"], "one");
    assert_eq!(ask(&store, "/api/v1/namespaces/a/services/none").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn selectors_choose() {
    let store = three();
    for (query, expected) in [
        ("labelSelector=team%3Dx", vec!["one", "three"]),
        ("labelSelector=team%21%3Dx", vec!["two"]),
        ("labelSelector=team%20in%20(y,z)", vec!["two"]),
        ("labelSelector=team%20notin%20(y),team", vec!["one", "three"]),
        ("labelSelector=%21team", vec![]),
        ("fieldSelector=metadata.name%3Dtwo", vec!["two"]),
        ("fieldSelector=metadata.namespace!%3Da", vec!["three"]),
    ] {
        assert_eq!(names(&list(&store, &format!("/api/v1/services?{query}")).await), expected, "{query}");
    }
}

#[tokio::test]
async fn pages_add_up_to_the_list() {
    let store = three();
    let first = list(&store, "/api/v1/services?limit=2").await;
    assert_eq!(names(&first), ["one", "two"]);
    let token = first["metadata"]["continue"].as_str().unwrap();
    let second = list(&store, &format!("/api/v1/services?limit=2&continue={token}")).await;
    assert_eq!(names(&second), ["three"]);
    assert_eq!(second["metadata"]["continue"], "");
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    store.compact(SERVICES);
    let (status, _) = ask(&store, &format!("/api/v1/services?limit=2&continue={token}")).await;
    assert_eq!(status, StatusCode::GONE);
}

#[tokio::test(start_paused = true)]
async fn a_watch_replays_what_changed_since_its_version() {
    let store = three();
    let version = list(&store, "/api/v1/services").await["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    store.upsert(SERVICES, service("a", "one", "x"));
    store.upsert(SERVICES, service("a", "two", "x"));
    store.upsert(SERVICES, service("c", "four", "y"));
    assert!(store.delete(SERVICES, "b", "three"));
    assert!(!store.delete(SERVICES, "b", "three"));
    let path = format!("/api/v1/services?watch=true&timeoutSeconds=5&resourceVersion={version}");
    assert_eq!(watch(&store, &path).await, ["MODIFIED two", "ADDED four", "DELETED three"], "the first changed nothing");
    let selected = format!("{path}&labelSelector=team%3Dy");
    assert_eq!(watch(&store, &selected).await, ["DELETED two", "ADDED four"], "two no longer matches");
    assert_eq!(store.requests(Verb::Watch, SERVICES), 2);
    assert_eq!(store.open_watches(SERVICES), 0);
}

#[tokio::test(start_paused = true)]
async fn an_open_watch_sees_a_later_change_and_bookmarks() {
    let store = three();
    let later = store.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(90)).await;
        later.upsert(SERVICES, service("c", "four", "y"));
    });
    let version = list(&store, "/api/v1/services").await["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/services?watch=true&timeoutSeconds=100&allowWatchBookmarks=true&resourceVersion={version}");
    assert_eq!(watch(&store, &path).await, ["BOOKMARK -", "ADDED four", "BOOKMARK -"]);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_forgotten_or_not_yet_made_is_gone() {
    let store = three();
    let version: u64 = list(&store, "/api/v1/services").await["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    store.compact(SERVICES);
    for version in [version, version + 1000] {
        let (status, body) = ask(&store, &format!("/api/v1/services?watch=1&resourceVersion={version}")).await;
        assert_eq!(status, StatusCode::OK);
        let event: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((event["type"].as_str(), event["object"]["code"].as_u64()), (Some("ERROR"), Some(410)));
    }
}

#[tokio::test]
async fn what_is_not_served_or_forbidden_says_so() {
    let store = KubeStore::new();
    let auto_mode = "/apis/eks.amazonaws.com/v1/targetgroupbindings";
    assert_eq!(ask(&store, auto_mode).await.0, StatusCode::NOT_FOUND);
    store.set_served(AUTO_MODE_TARGET_GROUP_BINDINGS, true);
    assert_eq!(ask(&store, auto_mode).await.0, StatusCode::OK);
    store.set_forbidden(NODES, true);
    let (status, body) = ask(&store, "/api/v1/nodes").await;
    assert_eq!((status, body.contains("cannot list resource")), (StatusCode::FORBIDDEN, true));
    store.set_forbidden(NODES, false);
    assert_eq!(ask(&store, "/api/v1/nodes").await.0, StatusCode::OK);
    assert_eq!(ask(&store, "/api/v1/unknown").await.0, StatusCode::NOT_FOUND);
    let initial = "/api/v1/services?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
    assert_eq!(ask(&store, initial).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(ask(&store, "/apis").await.1.contains("elbv2.k8s.aws/v1beta1"));
    assert!(ask(&store, "/version").await.1.contains("gitVersion"));
}
