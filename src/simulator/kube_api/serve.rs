//! How are lists, pages and watches spoken over HTTP? The Kubernetes API's paths, parameters and errors.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State as Extracted};
use axum::response::Response;
use bytes::{BufMut, Bytes, BytesMut};
use futures::stream;
use http::{HeaderValue, Method, StatusCode, Uri, header};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::config_maps;
use super::selector::Selector;
use super::store::{Access, Key, Kind, KubeStore, Verb};
use super::{ALL, Resource};

/// A watch without `timeoutSeconds` lasts this long; a real server takes a random time from half an hour on.
const WATCH_TIMEOUT: Duration = Duration::from_secs(1800);

/// Serves a store.
pub fn router(store: KubeStore) -> Router {
    Router::new().fallback(answer).with_state(store)
}

/// What a path of the API names.
struct Target {
    resource: Resource,
    /// `None` across all namespaces.
    namespace: Option<String>,
    name: Option<String>,
}

async fn answer(
    Extracted(store): Extracted<KubeStore>,
    method: Method,
    uri: Uri,
    Query(parameters): Query<HashMap<String, String>>,
    body: Bytes,
) -> Response {
    if method != Method::GET && !config_maps::takes(&method, uri.path()) {
        return status(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "this server is read only");
    }
    match uri.path().trim_end_matches('/') {
        "/version" => {
            let version = json!({
                "major": "1", "minor": "33", "gitVersion": "v1.33.0-simulated", "gitCommit": "", "gitTreeState": "clean",
                "buildDate": "2026-01-01T00:00:00Z", "goVersion": "", "compiler": "gc", "platform": "linux/amd64",
            });
            return document(StatusCode::OK, &version);
        }
        "/healthz" | "/readyz" | "/livez" => return plain(StatusCode::OK, "ok"),
        "/api" => return document(StatusCode::OK, &json!({"kind": "APIVersions", "versions": ["v1"]})),
        "/apis" => return document(StatusCode::OK, &groups(&store)),
        _ => {}
    }
    let Some(target) = parse(uri.path()) else { return plain(StatusCode::NOT_FOUND, "404 page not found\n") };
    let is_watch = parameters.get("watch").is_some_and(|value| value == "true" || value == "1");
    let verb = match (&method, &target.name, is_watch) {
        (&Method::POST, _, _) => Verb::Create,
        (&Method::PUT, _, _) => Verb::Update,
        (_, Some(_), _) => Verb::Get,
        (_, None, true) => Verb::Watch,
        (_, None, false) => Verb::List,
    };
    store.count(target.resource, target.access(verb, &parameters));
    let (served, refusal) = {
        let state = store.state();
        let kind = &state.kinds[&target.resource];
        (kind.served, kind.refusal)
    };
    if let Some(code) = refusal {
        return refused(code, &target, verb);
    }
    if !served {
        return plain(StatusCode::NOT_FOUND, "404 page not found\n");
    }
    match verb {
        Verb::Get => get(&store, &target),
        Verb::List => list(&store, &target, &parameters),
        Verb::Watch => start_watch(store, target, &parameters),
        Verb::Create | Verb::Update => {
            config_maps::write(&store, &method, target.namespace.as_deref(), target.name.as_deref(), &body)
        }
    }
}

impl Target {
    /// What RBAC is asked about: a list or watch of one name by its field selector is about that name.
    fn access(&self, verb: Verb, parameters: &HashMap<String, String>) -> Access {
        let selected = || parameters.get("fieldSelector")?.split(',').find_map(|term| term.strip_prefix("metadata.name="));
        Access {
            verb,
            group: self.resource.group,
            resource: self.resource.plural,
            namespace: self.namespace.clone(),
            name: self.name.clone().or_else(|| selected().map(|name| name.trim_start_matches('=').to_owned())),
        }
    }
}

fn parse(path: &str) -> Option<Target> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (group, version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return None,
    };
    let (namespace, plural, name) = match rest {
        ["namespaces", namespace, plural] => (Some((*namespace).to_owned()), *plural, None),
        ["namespaces", namespace, plural, name] => (Some((*namespace).to_owned()), *plural, Some((*name).to_owned())),
        [plural] => (None, *plural, None),
        [plural, name] => (None, *plural, Some((*name).to_owned())),
        _ => return None,
    };
    let resource = *ALL.iter().find(|r| r.group == group && r.version == version && r.plural == plural)?;
    Some(Target { resource, namespace, name })
}

fn get(store: &KubeStore, target: &Target) -> Response {
    let name = target.name.clone().unwrap_or_default();
    let key = (target.namespace.clone().unwrap_or_default(), name);
    let found = store.state().kinds[&target.resource].objects.get(&key).map(|stored| stored.body.clone());
    match found {
        Some(body) => json_body(StatusCode::OK, Body::from(body)),
        None => {
            let message = format!("{}{} \"{}\" not found", target.resource.plural, dotted(target.resource), key.1);
            status(StatusCode::NOT_FOUND, "NotFound", &message)
        }
    }
}

fn list(store: &KubeStore, target: &Target, parameters: &HashMap<String, String>) -> Response {
    let selector = match Selector::parse(target.namespace.clone(), parameters) {
        Ok(selector) => selector,
        Err(message) => return status(StatusCode::BAD_REQUEST, "BadRequest", &message),
    };
    let limit = parameters.get("limit").and_then(|text| text.parse().ok()).filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let state = store.state();
    let kind = &state.kinds[&target.resource];
    // A token says which version the first page was of and where to go on. Later pages hold newer objects than a real
    // server's would; the watch that follows starts at the first page's version and replays what changed in between.
    let (version, start) = match parameters.get("continue").filter(|token| !token.is_empty()) {
        None => (state.version, None),
        Some(token) => match read_token(token) {
            None => return status(StatusCode::BAD_REQUEST, "BadRequest", "continue key is not valid"),
            Some((version, _)) if version < kind.oldest => {
                let message = "The provided continue parameter is too old to display a consistent list result.";
                return status(StatusCode::GONE, "Expired", message);
            }
            Some((version, key)) => (version, Some(key)),
        },
    };
    let mut items = BytesMut::new();
    let mut token = String::new();
    let range = match &start {
        Some(key) => kind.objects.range(key.clone()..),
        None => kind.objects.range::<Key, _>(..),
    };
    for (taken, (key, stored)) in range.filter(|(_, stored)| selector.matches(stored)).enumerate() {
        if taken == limit {
            token = format!("{version}/{}/{}", key.0, key.1);
            break;
        }
        if taken > 0 {
            items.put_u8(b',');
        }
        items.extend_from_slice(&stored.body);
    }
    drop(state);
    let metadata = json!({"resourceVersion": version.to_string(), "continue": token});
    let (api_version, kind) = (target.resource.api_version(), target.resource.kind);
    let head = format!(r#"{{"kind":"{kind}List","apiVersion":"{api_version}","metadata":{metadata},"items":["#);
    let mut body = BytesMut::with_capacity(head.len() + items.len() + 2);
    body.extend_from_slice(head.as_bytes());
    body.unsplit(items);
    body.extend_from_slice(b"]}");
    json_body(StatusCode::OK, Body::from(body.freeze()))
}

fn read_token(token: &str) -> Option<(u64, Key)> {
    let mut parts = token.splitn(3, '/');
    let version = parts.next()?.parse().ok()?;
    Some((version, (parts.next()?.to_owned(), parts.next()?.to_owned())))
}

/// An open watch.
struct Watch {
    store: KubeStore,
    resource: Resource,
    selector: Selector,
    /// Everything up to here was sent.
    version: u64,
    news: watch::Receiver<u64>,
    hung_up: watch::Receiver<u64>,
    deadline: Instant,
    /// `None` where bookmarks were not asked for.
    bookmarks: Option<Duration>,
    next_bookmark: Instant,
    state: Phase,
}

enum Phase {
    Open,
    /// The time is nearly over and the last bookmark is sent.
    Ending,
    Ended,
}

fn start_watch(store: KubeStore, target: Target, parameters: &HashMap<String, String>) -> Response {
    if parameters.contains_key("sendInitialEvents") {
        let message =
            "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
        return status(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
    }
    let selector = match Selector::parse(target.namespace.clone(), parameters) {
        Ok(selector) => selector,
        Err(message) => return status(StatusCode::BAD_REQUEST, "BadRequest", &message),
    };
    let timeout = parameters.get("timeoutSeconds").and_then(|text| text.parse().ok()).map_or(WATCH_TIMEOUT, Duration::from_secs);
    let asked = parameters.get("resourceVersion").and_then(|text| text.parse::<u64>().ok()).filter(|version| *version > 0);
    let resource = target.resource;
    let state = store.state();
    let kind = &state.kinds[&resource];
    // A real server lets a client wait for a version of the future; here it can only come from another world's server.
    let too_old = asked.is_some_and(|version| version < kind.oldest || version > state.version);
    // Without a version a watch begins with everything that exists.
    let existing = if asked.is_none() {
        kind.objects.values().filter(|stored| selector.matches(stored)).map(|stored| event("ADDED", &stored.body)).collect()
    } else {
        Vec::new()
    };
    let interval = state.bookmark_interval;
    let wants_bookmarks = parameters.get("allowWatchBookmarks").is_some_and(|value| value == "true");
    let watch = Watch {
        version: asked.unwrap_or(state.version),
        news: kind.changed.subscribe(),
        hung_up: kind.hung_up.subscribe(),
        deadline: Instant::now() + timeout,
        bookmarks: wants_bookmarks.then_some(interval),
        next_bookmark: Instant::now() + interval,
        state: if too_old { Phase::Ended } else { Phase::Open },
        store: store.clone(),
        resource,
        selector,
    };
    drop(state);
    let mut first: BytesMut = existing.iter().flatten().copied().collect();
    if too_old {
        let error = failure(StatusCode::GONE, "Expired", "too old resource version");
        first.extend_from_slice(&event("ERROR", error.to_string().as_bytes()));
    }
    let rest = stream::unfold(watch, |mut watch| async move {
        let chunk = watch.next().await?;
        Some((Ok::<_, Infallible>(chunk), watch))
    });
    let body = futures::StreamExt::chain(stream::iter([Ok(first.freeze())]), rest);
    json_body(StatusCode::OK, Body::from_stream(body))
}

impl Watch {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            match self.state {
                Phase::Ended => return None,
                Phase::Ending => {
                    self.state = Phase::Ended;
                    if self.bookmarks.is_some() {
                        return Some(self.bookmark());
                    }
                    return None;
                }
                Phase::Open => {}
            }
            let news = self.catch_up();
            if !news.is_empty() {
                return Some(news);
            }
            let wake = self.bookmarks.map_or(self.deadline, |_| self.next_bookmark.min(self.deadline));
            tokio::select! {
                changed = self.news.changed() => if changed.is_err() { return None },
                _ = self.hung_up.changed() => return None,
                () = sleep_until(wake) => {
                    if Instant::now() >= self.deadline {
                        self.state = Phase::Ending;
                    } else if let Some(interval) = self.bookmarks {
                        self.next_bookmark = Instant::now() + interval;
                        return Some(self.bookmark());
                    }
                }
            }
        }
    }

    /// The events since the last look, as one chunk.
    fn catch_up(&mut self) -> Bytes {
        self.news.mark_unchanged();
        let state = self.store.state();
        let Kind { history, .. } = &state.kinds[&self.resource];
        let start = history.partition_point(|change| change.version <= self.version);
        let mut chunk = BytesMut::new();
        for change in history.range(start..) {
            if let Some((name, object)) = self.selector.event(change) {
                chunk.extend_from_slice(&event(name, object));
            }
        }
        self.version = state.version;
        chunk.freeze()
    }

    fn bookmark(&self) -> Bytes {
        let object = json!({
            "kind": self.resource.kind,
            "apiVersion": self.resource.api_version(),
            "metadata": {"resourceVersion": self.version.to_string(), "creationTimestamp": null},
        });
        event("BOOKMARK", object.to_string().as_bytes()).into()
    }
}

fn event(name: &str, object: &[u8]) -> Vec<u8> {
    let mut line = Vec::with_capacity(object.len() + 40);
    line.extend_from_slice(br#"{"type":""#);
    line.extend_from_slice(name.as_bytes());
    line.extend_from_slice(br#"","object":"#);
    line.extend_from_slice(object);
    line.extend_from_slice(b"}\n");
    line
}

fn groups(store: &KubeStore) -> Value {
    let state = store.state();
    let mut names: Vec<(&str, &str)> = Vec::new();
    for (resource, kind) in &state.kinds {
        if kind.served && !resource.group.is_empty() && !names.contains(&(resource.group, resource.version)) {
            names.push((resource.group, resource.version));
        }
    }
    let groups: Vec<Value> = names
        .into_iter()
        .map(|(group, version)| {
            let version = json!({"groupVersion": format!("{group}/{version}"), "version": version});
            json!({"name": group, "versions": [version], "preferredVersion": version})
        })
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `.group` as errors spell it; nothing in the core group.
fn dotted(resource: Resource) -> String {
    if resource.group.is_empty() { String::new() } else { format!(".{}", resource.group) }
}

fn refused(code: u16, target: &Target, verb: Verb) -> Response {
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let Resource { group, plural, .. } = target.resource;
    let verb = verb.name();
    match code {
        StatusCode::FORBIDDEN => {
            let message = format!(
                "{plural}{} is forbidden: User \"system:serviceaccount:monitoring:eks-nlb-exporter\" cannot {verb} resource \
                 \"{plural}\" in API group \"{group}\" at the cluster scope",
                dotted(target.resource)
            );
            status(code, "Forbidden", &message)
        }
        StatusCode::UNAUTHORIZED => status(code, "Unauthorized", "Unauthorized"),
        StatusCode::TOO_MANY_REQUESTS => status(code, "TooManyRequests", "too many requests, please try again later"),
        _ => status(code, "InternalError", "an error on the server prevented the request from succeeding"),
    }
}

fn failure(code: StatusCode, reason: &str, message: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code.as_u16(),
    })
}

pub(super) fn status(code: StatusCode, reason: &str, message: &str) -> Response {
    document(code, &failure(code, reason, message))
}

fn document(code: StatusCode, value: &Value) -> Response {
    json_body(code, Body::from(value.to_string()))
}

pub(super) fn json_body(code: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn plain(code: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
