//! Which objects does the simulated cluster have, and how did they change? Objects as bytes, with a bounded history.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::{ABSENT_AT_FIRST, ALL, Resource};

/// Changes a watch can still be resumed over; older ones are answered with 410 Gone, as a real server's cache does.
const HISTORY: usize = 20_000;

/// What was asked of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// A list, or one page of it.
    List,
    /// A watch being opened.
    Watch,
    /// A single object.
    Get,
    /// A new object.
    Create,
    /// An object replaced.
    Update,
}

impl Verb {
    /// As RBAC names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Watch => "watch",
            Self::Get => "get",
            Self::Create => "create",
            Self::Update => "update",
        }
    }
}

/// A request as RBAC sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Access {
    /// What was asked.
    pub verb: Verb,
    /// The API group.
    pub group: &'static str,
    /// The kind's name in paths.
    pub resource: &'static str,
    /// The namespace; `None` across all of them.
    pub namespace: Option<String>,
    /// The object's name: from the path, else from a field selector for it, as a real API server takes it.
    pub name: Option<String>,
}

/// Namespace (empty where there is none) and name.
pub(super) type Key = (String, String);

/// An object as it is served.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) body: Bytes,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) fields: BTreeMap<&'static str, String>,
    uid: String,
    created: String,
    /// Of everything but the version: an upsert that changes nothing is no event.
    fingerprint: u64,
}

/// One entry of the history.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) version: u64,
    pub(super) before: Option<Arc<Stored>>,
    /// `None` after a deletion; then `before` has the last state, under the version of the deletion.
    pub(super) after: Option<Arc<Stored>>,
}

#[derive(Debug)]
pub(super) struct Kind {
    pub(super) served: bool,
    pub(super) refusal: Option<u16>,
    pub(super) objects: BTreeMap<Key, Arc<Stored>>,
    pub(super) history: VecDeque<Change>,
    /// A watch can start at this version or later.
    pub(super) oldest: u64,
    pub(super) changed: watch::Sender<u64>,
    /// Raised to end all open watches.
    pub(super) hung_up: watch::Sender<u64>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) version: u64,
    pub(super) kinds: BTreeMap<Resource, Kind>,
    requests: BTreeMap<(Verb, Resource), u64>,
    accesses: BTreeSet<Access>,
    pub(super) bookmark_interval: Duration,
    objects_made: u64,
}

/// The objects of a simulated cluster. Cloning it is sharing it.
#[derive(Clone)]
pub struct KubeStore {
    state: Arc<Mutex<State>>,
}

impl fmt::Debug for KubeStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubeStore").finish_non_exhaustive()
    }
}

impl Default for KubeStore {
    fn default() -> Self {
        Self::new()
    }
}

impl KubeStore {
    /// An empty cluster that serves everything but the objects of EKS Auto Mode and other versions of the Gateway API.
    pub fn new() -> Self {
        // Versions go on growing over a restart, as etcd's do: a client that comes back with an old one must be told
        // to list again, not be left waiting for a version that was long ago.
        let version = u64::try_from(crate::clock::now().as_millisecond()).unwrap_or_default();
        let kinds = ALL.iter().map(|resource| {
            let kind = Kind {
                served: !ABSENT_AT_FIRST.contains(resource),
                refusal: None,
                objects: BTreeMap::new(),
                history: VecDeque::new(),
                oldest: version,
                changed: watch::Sender::new(version),
                hung_up: watch::Sender::new(0),
            };
            (*resource, kind)
        });
        let state = State {
            version,
            kinds: kinds.collect(),
            requests: BTreeMap::new(),
            accesses: BTreeSet::new(),
            bookmark_interval: Duration::from_secs(60),
            objects_made: 0,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    fn kind<T>(&self, resource: Resource, change: impl FnOnce(&mut Kind) -> T) -> T {
        change(self.state().kinds.get_mut(&resource).expect("a resource of this module's list"))
    }

    /// Creates or replaces an object; one that is the same already is left alone and makes no event.
    ///
    /// Name and namespace come from its metadata. `apiVersion`, `kind`, `resourceVersion`, and where absent `uid` and
    /// `creationTimestamp` are filled in; an existing object keeps its own.
    pub fn upsert(&self, resource: Resource, object: Value) {
        let mut guard = self.state();
        let state = &mut *guard;
        let Value::Object(mut object) = object else { return };
        object.insert("apiVersion".into(), resource.api_version().into());
        object.insert("kind".into(), resource.kind.into());
        let kind = state.kinds.get_mut(&resource).expect("a resource of this module's list");
        let key = key_of(&object);
        let before = kind.objects.get(&key).map(Arc::clone);
        let metadata = object.entry("metadata").or_insert_with(|| json!({}));
        let Value::Object(metadata) = metadata else { return };
        metadata.remove("resourceVersion");
        if let Some(before) = &before {
            metadata.entry("uid").or_insert_with(|| before.uid.as_str().into());
            metadata.entry("creationTimestamp").or_insert_with(|| before.created.as_str().into());
        } else {
            state.objects_made += 1;
            let number = state.objects_made;
            metadata.entry("uid").or_insert_with(|| format!("00000000-0000-4000-8000-{number:012x}").into());
            let now = || crate::clock::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into();
            metadata.entry("creationTimestamp").or_insert_with(now);
        }
        let fingerprint = fingerprint(&object);
        if before.as_ref().is_some_and(|before| before.fingerprint == fingerprint) {
            return;
        }
        state.version += 1;
        let stored = Arc::new(stored(object, state.version, fingerprint));
        kind.objects.insert(key, Arc::clone(&stored));
        kind.record(Change { version: state.version, before, after: Some(stored) });
    }

    /// Removes an object; whether it existed. `namespace` is empty for kinds without one.
    pub fn delete(&self, resource: Resource, namespace: &str, name: &str) -> bool {
        let mut guard = self.state();
        let state = &mut *guard;
        let kind = state.kinds.get_mut(&resource).expect("a resource of this module's list");
        let Some(before) = kind.objects.remove(&(namespace.to_owned(), name.to_owned())) else { return false };
        state.version += 1;
        let last: Map<String, Value> = serde_json::from_slice(&before.body).expect("bytes this store wrote");
        let last = Arc::new(stored(last, state.version, before.fingerprint));
        kind.record(Change { version: state.version, before: Some(last), after: None });
        true
    }

    /// Whether the kind is served; an absent CRD answers 404, and its open watches end.
    pub fn set_served(&self, resource: Resource, served: bool) {
        self.kind(resource, |kind| {
            kind.served = served;
            kind.hang_up();
        });
    }

    /// Whether requests for the kind are answered with 403.
    pub fn set_forbidden(&self, resource: Resource, forbidden: bool) {
        self.set_refusal(resource, forbidden.then_some(403));
    }

    /// Answers every request for the kind with this HTTP status (401, 403, 429, 500, …); `None` heals it. Open watches end.
    pub fn set_refusal(&self, resource: Resource, status: Option<u16>) {
        self.kind(resource, |kind| {
            kind.refusal = status;
            kind.hang_up();
        });
    }

    /// Forgets the history of the kind and ends its watches: who resumes is told 410 Gone and has to list again.
    pub fn compact(&self, resource: Resource) {
        let mut guard = self.state();
        let state = &mut *guard;
        // Somebody may be at exactly the present version, so it has to move on as well.
        state.version += 1;
        let version = state.version;
        let kind = state.kinds.get_mut(&resource).expect("a resource of this module's list");
        kind.history.clear();
        kind.oldest = version;
        kind.hang_up();
    }

    /// Ends the open watches of the kind, as a server does that is shut down in good order.
    pub fn end_watches(&self, resource: Resource) {
        self.kind(resource, Kind::hang_up);
    }

    /// How long a watch that allows bookmarks is quiet before it gets one; a minute unless told.
    pub fn set_bookmark_interval(&self, interval: Duration) {
        self.state().bookmark_interval = interval;
    }

    /// How many requests came, refused ones included.
    pub fn requests(&self, verb: Verb, resource: Resource) -> u64 {
        self.state().requests.get(&(verb, resource)).copied().unwrap_or_default()
    }

    /// How many watches of the kind are open.
    pub fn open_watches(&self, resource: Resource) -> usize {
        self.kind(resource, |kind| kind.changed.receiver_count())
    }

    /// How many objects of the kind there are.
    pub fn len(&self, resource: Resource) -> usize {
        self.kind(resource, |kind| kind.objects.len())
    }

    /// Every request so far that differs from the others in what RBAC looks at, refused ones included.
    pub fn accesses(&self) -> BTreeSet<Access> {
        self.state().accesses.clone()
    }

    pub(super) fn count(&self, resource: Resource, access: Access) {
        let mut state = self.state();
        *state.requests.entry((access.verb, resource)).or_default() += 1;
        state.accesses.insert(access);
    }
}

impl Kind {
    fn record(&mut self, change: Change) {
        let version = change.version;
        self.history.push_back(change);
        if self.history.len() > HISTORY {
            self.oldest = self.history.pop_front().map_or(self.oldest, |dropped| dropped.version);
        }
        self.changed.send_replace(version);
    }

    fn hang_up(&mut self) {
        self.hung_up.send_modify(|times| *times += 1);
    }
}

fn key_of(object: &Map<String, Value>) -> Key {
    let text = |name| object.get("metadata").and_then(|m| m.get(name)).and_then(Value::as_str).unwrap_or_default().to_owned();
    (text("namespace"), text("name"))
}

fn fingerprint(object: &Map<String, Value>) -> u64 {
    let mut hasher = DefaultHasher::new();
    serde_json::to_vec(object).expect("JSON values serialize").hash(&mut hasher);
    hasher.finish()
}

fn stored(mut object: Map<String, Value>, version: u64, fingerprint: u64) -> Stored {
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.insert("resourceVersion".into(), version.to_string().into());
    }
    let object = Value::Object(object);
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let fields = [
        ("metadata.name", "/metadata/name"),
        ("metadata.namespace", "/metadata/namespace"),
        ("involvedObject.kind", "/involvedObject/kind"),
        ("involvedObject.namespace", "/involvedObject/namespace"),
        ("involvedObject.name", "/involvedObject/name"),
        ("involvedObject.uid", "/involvedObject/uid"),
        ("reason", "/reason"),
        ("type", "/type"),
        ("reportingComponent", "/reportingComponent"),
        ("spec.nodeName", "/spec/nodeName"),
    ];
    let labels = object.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
    Stored {
        labels: labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect(),
        fields: fields.into_iter().map(|(field, pointer)| (field, text(pointer))).collect(),
        uid: text("/metadata/uid"),
        created: text("/metadata/creationTimestamp"),
        body: serde_json::to_vec(&object).expect("JSON values serialize").into(),
        fingerprint,
    }
}
