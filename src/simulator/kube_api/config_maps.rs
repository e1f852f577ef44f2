//! How are ConfigMaps created and replaced? The one kind that the exporter writes: where it keeps what it remembers.

use std::sync::Mutex;

use axum::body::Body;
use axum::response::Response;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::serve::{json_body, status};
use super::{CONFIG_MAPS, KubeStore};

/// One write at a time: what is compared must not change before it is replaced.
static WRITES: Mutex<()> = Mutex::new(());

/// Whether a request writes a ConfigMap.
pub(super) fn takes(method: &Method, path: &str) -> bool {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        ["api", "v1", "namespaces", _, "configmaps"] => method == Method::POST,
        ["api", "v1", "namespaces", _, "configmaps", _] => method == Method::PUT,
        _ => false,
    }
}

/// Creates (`POST`, without a name in the path) or replaces (`PUT`) a ConfigMap.
pub(super) fn write(store: &KubeStore, method: &Method, namespace: Option<&str>, name: Option<&str>, body: &[u8]) -> Response {
    let Ok(mut object) = serde_json::from_slice::<Value>(body) else {
        return status(StatusCode::BAD_REQUEST, "BadRequest", "the object provided is not JSON");
    };
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let name = name.map_or_else(|| text("/metadata/name"), str::to_owned);
    let version = text("/metadata/resourceVersion");
    if name.is_empty() {
        return status(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", "name or generateName is required");
    }
    let key = (namespace.unwrap_or_default().to_owned(), name.clone());
    let _one_at_a_time = WRITES.lock().expect("no holder of this lock panics");
    let found = || store.state().kinds[&CONFIG_MAPS].objects.get(&key).map(|stored| stored.body.clone());
    match (found(), *method == Method::POST) {
        (Some(_), true) => {
            let message = format!("configmaps {name:?} already exists");
            return status(StatusCode::CONFLICT, "AlreadyExists", &message);
        }
        (None, false) => return status(StatusCode::NOT_FOUND, "NotFound", &format!("configmaps {name:?} not found")),
        (Some(known), false) => {
            let known: Value = serde_json::from_slice(&known).expect("bytes this store wrote");
            if !version.is_empty() && known["metadata"]["resourceVersion"] != version.as_str() {
                let message = format!(
                    "Operation cannot be fulfilled on configmaps {name:?}: the object has been modified; please apply your \
                     changes to the latest version and try again"
                );
                return status(StatusCode::CONFLICT, "Conflict", &message);
            }
        }
        (None, true) => {}
    }
    if let Some(metadata) = object.as_object_mut().map(|object| object.entry("metadata").or_insert_with(|| json!({}))) {
        metadata["name"] = name.into();
        metadata["namespace"] = key.0.as_str().into();
    }
    store.upsert(CONFIG_MAPS, object);
    let code = if *method == Method::POST { StatusCode::CREATED } else { StatusCode::OK };
    match found() {
        Some(body) => json_body(code, Body::from(body)),
        None => status(StatusCode::BAD_REQUEST, "BadRequest", "the object provided is no object"),
    }
}
