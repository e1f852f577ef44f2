//! A simulated API server that can be killed, and a daemon's watches upon it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::inventory::part::FailureCategory;
use crate::inventory::parts::Parts;
use crate::simulator::kube_api::{KubeStore, router};
use crate::sources::CallObserver;
use crate::sources::kube::{KubeSettings, client, run};
use crate::sources::store::Store;

/// Short waits, so that a test lasts seconds.
pub(super) fn quick() -> KubeSettings {
    KubeSettings {
        watch_timeout: Duration::from_secs(1),
        coalesce: Duration::from_millis(20),
        shortest_wait: Duration::from_millis(50),
        longest_wait: Duration::from_millis(200),
        absent_after: Duration::from_millis(500),
        ..KubeSettings::default()
    }
}

/// Counts what was told.
#[derive(Debug, Default)]
struct Counts {
    unknown: Mutex<BTreeMap<&'static str, u64>>,
}

impl CallObserver for Counts {
    fn attempted(&self, _: &'static str, _: &'static str, _: Result<(), FailureCategory>, _: Duration) {}

    fn waited(&self, _: &'static str, _: &'static str, _: Duration) {}

    fn unknown_value(&self, source: &'static str) {
        *self.unknown.lock().unwrap().entry(source).or_default() += 1;
    }
}

/// The server lives in a runtime of its own: dropping that cuts every connection, as killing a process does.
pub(super) struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    async fn start(store: KubeStore, address: SocketAddr) -> Self {
        let (ready, address_known) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind(address).await.unwrap();
                ready.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    _ = axum::serve(listener, router(store)) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address: address_known.await.unwrap(), stop: Some(stop), thread: Some(thread) }
    }

    fn kill(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A server and a daemon that watches it.
pub(super) struct World {
    pub(super) store: Store,
    daemon: tokio::task::JoinHandle<()>,
    counts: Arc<Counts>,
    server: Option<Server>,
    settings: KubeSettings,
}

impl Drop for World {
    fn drop(&mut self) {
        self.daemon.abort();
    }
}

impl World {
    pub(super) async fn start(api: KubeStore, settings: KubeSettings) -> Self {
        let server = Server::start(api, ([127, 0, 0, 1], 0).into()).await;
        let settings = KubeSettings { url: Some(format!("http://{}", server.address).parse().unwrap()), ..settings };
        Self::daemon(Some(server), settings).await
    }

    pub(super) async fn daemon(server: Option<Server>, settings: KubeSettings) -> Self {
        let store = Store::new(Parts::default());
        let counts = Arc::new(Counts::default());
        let client = client(&settings).await.unwrap();
        let observer = Arc::clone(&counts) as Arc<dyn CallObserver>;
        let daemon = tokio::spawn(run(client, settings.clone(), store.clone(), observer));
        Self { store, daemon, counts, server, settings }
    }

    /// Another daemon that watches the same server.
    pub(super) async fn second_daemon(&self) -> Self {
        Self::daemon(None, self.settings.clone()).await
    }

    pub(super) fn kill(&mut self) {
        self.server.as_mut().unwrap().kill();
    }

    pub(super) async fn restart(&mut self, api: KubeStore) {
        let address = self.server.as_ref().unwrap().address;
        self.server = Some(Server::start(api, address).await);
    }

    /// Waits until the parts are as they should be.
    pub(super) async fn until(&self, what: &str, is_so: impl Fn(&Parts) -> bool) -> Parts {
        let mut receiver = self.store.subscribe();
        let found = tokio::time::timeout(Duration::from_secs(20), receiver.wait_for(|parts| is_so(parts))).await;
        match found {
            Ok(parts) => parts.unwrap().clone(),
            Err(_) => panic!("waited in vain until {what}: {:#?}", self.store.read().sources),
        }
    }

    /// Notes something of every state the parts go through.
    pub(super) fn observe<T: Send + 'static>(&self, note: impl Fn(&Parts) -> T + Send + 'static) -> Observation<T> {
        let mut receiver = self.store.subscribe();
        let (stop, mut stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let mut notes = vec![note(&receiver.borrow_and_update())];
            loop {
                tokio::select! {
                    _ = receiver.changed() => notes.push(note(&receiver.borrow_and_update())),
                    _ = &mut stopped => return notes,
                }
            }
        });
        Observation { stop, task }
    }

    pub(super) fn unknown_values(&self, source: &str) -> u64 {
        self.counts.unknown.lock().unwrap().get(source).copied().unwrap_or_default()
    }
}

pub(super) struct Observation<T> {
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Vec<T>>,
}

impl<T> Observation<T> {
    pub(super) async fn stop(self) -> Vec<T> {
        drop(self.stop);
        self.task.await.unwrap()
    }
}

pub(super) fn service(name: &str) -> Value {
    json!({"metadata": {"namespace": "a", "name": name}, "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}})
}

pub(super) fn slice(service: &str, address: &str) -> Value {
    json!({
        "metadata": {"namespace": "a", "name": format!("{service}-x"), "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4", "ports": [{"port": 8080}], "endpoints": [{"addresses": [address]}],
    })
}

pub(super) fn node(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"providerID": "aws:///us-east-1a/i-1"}})
}

pub(super) fn binding(name: &str) -> Value {
    json!({"metadata": {"namespace": "a", "name": name}, "spec": {"serviceRef": {"name": "one", "port": 80}}})
}
