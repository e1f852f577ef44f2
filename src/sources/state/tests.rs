//! What was noticed survives a restart of the daemon, and whatever is found in the place of the state makes it neither fall
//! nor lie.
#![cfg(feature = "simulator")]

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::*;
use crate::checks::testing::{World, service};
use crate::controller::annotations::name::NAME;
use crate::inventory::history::{Record, When};
use crate::inventory::ids::ObjectName;
use crate::inventory::parts::Parts;
use crate::simulator::kube_api::{CONFIG_MAPS, KubeStore, router};

const DEADLINE: Duration = Duration::from_secs(20);

async fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "{what}: not within {DEADLINE:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

fn quick() -> StateSettings {
    StateSettings {
        coalesce: Duration::from_millis(10),
        least_pause: Duration::from_millis(20),
        shortest_wait: Duration::from_millis(20),
        longest_wait: Duration::from_millis(50),
        patience: Duration::from_millis(50),
        ..StateSettings::default()
    }
}

fn in_file(path: &Path) -> StateSettings {
    StateSettings { path: Some(path.to_owned()), ..quick() }
}

fn in_config_map() -> StateSettings {
    StateSettings { config_map: Some("state".to_owned()), ..quick() }
}

/// One moment for all worlds: a load balancer with another one is another load balancer.
static MADE: LazyLock<Timestamp> = LazyLock::new(|| now() - SignedDuration::from_hours(1));

/// A Service that was made an hour ago, as is its load balancer, under this name of the load balancer.
fn cluster(name: &str) -> Parts {
    let world = World::of(&service("shop/web").external("ip").annotate(NAME, name));
    world.load_balancer(|lb| lb.created_at = Some(*MADE)).parts
}

/// The daemon's part that is tested here.
struct Daemon {
    store: Store,
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Daemon {
    fn start(settings: StateSettings, kube: KubeSettings, parts: Parts) -> Self {
        let store = Store::new(parts);
        let (end, ended) = oneshot::channel();
        let task = tokio::spawn(run(settings, kube, store.clone(), ended));
        Self { store, end, task }
    }

    fn annotate(&self, name: &str) {
        let services = cluster(name).services;
        self.store.update(|parts| parts.services = services);
    }

    fn record(&self) -> Option<Arc<Record>> {
        self.store.read().history.get()?.services.get(&ObjectName::new("shop", "web")).map(Arc::clone)
    }

    async fn knows(&self, edited: usize) -> Arc<Record> {
        eventually("it is noticed", || self.record().filter(|record| record.edited.len() == edited)).await
    }

    async fn status(&self, up: bool) -> String {
        eventually("the source says how it is", || {
            let status = self.store.read().sources.get(source::STATE)?.clone();
            (status.failure.is_none() == up).then(|| status.failure.map(|f| f.to_string()).unwrap_or_default())
        })
        .await
    }

    async fn finish(self) {
        self.end.send(()).unwrap();
        self.task.await.unwrap();
    }
}

async fn api_server() -> (KubeStore, KubeSettings) {
    let store = KubeStore::new();
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let served = router(store.clone());
    tokio::spawn(async move { axum::serve(listener, served).await });
    (store, KubeSettings { url: Some(url), ..KubeSettings::default() })
}

async fn restart_finds_an_edit(settings: StateSettings, kube: KubeSettings) {
    let first = Daemon::start(settings.clone(), kube.clone(), cluster("one"));
    first.knows(0).await;
    first.finish().await;
    let before = now();
    let second = Daemon::start(settings.clone(), kube.clone(), cluster("two"));
    let record = second.knows(1).await;
    let at = record.edited.values().next().unwrap().at;
    assert!(matches!(at, Some(When::Between(from, to)) if from <= before && to >= whole(before)), "{at:?}");
    second.finish().await;
    let third = Daemon::start(settings, kube, cluster("two"));
    assert_eq!(third.knows(1).await, record, "and it is still known after one more");
}

fn whole(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap()
}

#[tokio::test]
async fn an_edit_made_while_the_daemon_was_down_is_found_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    restart_finds_an_edit(in_file(&folder.path().join("state")), KubeSettings::default()).await;
}

#[tokio::test]
async fn an_edit_made_while_the_daemon_was_down_is_found_from_a_config_map() {
    let (_, kube) = api_server().await;
    restart_finds_an_edit(in_config_map(), kube).await;
}

#[tokio::test]
async fn without_a_place_it_is_remembered_until_the_end_and_no_source_is_blamed() {
    let kube = KubeSettings { url: Some("http://127.0.0.1:1".parse().unwrap()), ..KubeSettings::default() };
    let daemon = Daemon::start(quick(), kube, cluster("one"));
    daemon.knows(0).await;
    daemon.annotate("two");
    daemon.knows(1).await;
    assert!(!daemon.store.read().sources.contains_key(source::STATE));
    daemon.finish().await;
}

#[tokio::test]
async fn a_corrupt_file_is_put_aside_and_the_loss_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    fs::write(&path, b"half of someth").unwrap();
    let daemon = Daemon::start(in_file(&path), KubeSettings::default(), cluster("one"));
    daemon.knows(0).await;
    let lost = daemon.store.read().history.get().unwrap().lost.clone().unwrap();
    assert!(lost.why.contains("it is corrupt") && lost.why.ends_with(".corrupt"), "{lost:?}");
    daemon.finish().await;
    assert_eq!(fs::read(folder.path().join("state.corrupt")).unwrap(), b"half of someth");
    assert!(format::decode(&fs::read(&path).unwrap()).unwrap().lost.is_some());
}

#[tokio::test]
async fn what_a_newer_version_wrote_is_left_alone() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"{\"version\":99}").unwrap();
    let newer = packed.finish().unwrap();
    fs::write(&path, &newer).unwrap();
    let daemon = Daemon::start(in_file(&path), KubeSettings::default(), cluster("one"));
    daemon.knows(0).await;
    daemon.annotate("two");
    daemon.knows(1).await;
    let lost = daemon.store.read().history.get().unwrap().lost.clone().unwrap();
    assert!(lost.why.contains("schema 99"), "{lost:?}");
    daemon.finish().await;
    assert_eq!(fs::read(&path).unwrap(), newer);
}

#[tokio::test]
async fn a_refused_permission_is_told_and_what_was_noticed_meanwhile_is_kept_once_it_is_granted() {
    let (store, kube) = api_server().await;
    let first = Daemon::start(in_config_map(), kube.clone(), cluster("one"));
    first.knows(0).await;
    first.finish().await;
    store.set_forbidden(CONFIG_MAPS, true);
    let second = Daemon::start(in_config_map(), kube.clone(), cluster("two"));
    let failure = second.status(false).await;
    assert!(failure.starts_with("get configmaps: denied (ConfigMap state: "), "{failure}");
    assert!(second.knows(0).await.adopted.is_some(), "for now it knows no better");
    store.set_forbidden(CONFIG_MAPS, false);
    second.status(true).await;
    second.knows(1).await;
    second.finish().await;
    assert_eq!(Daemon::start(in_config_map(), kube, cluster("two")).knows(1).await.edited.len(), 1);
}

#[tokio::test]
async fn two_that_write_the_same_config_map_lose_nothing() {
    let (store, kube) = api_server().await;
    let [one, two] = [(); 2].map(|()| Daemon::start(in_config_map(), kube.clone(), cluster("one")));
    one.knows(0).await;
    two.knows(0).await;
    two.status(true).await;
    one.annotate("two");
    one.knows(1).await;
    one.finish().await;
    // It wrote before, and was overtaken.
    two.annotate("two");
    two.knows(1).await;
    two.finish().await;
    assert_eq!(store.len(CONFIG_MAPS), 1);
    let third = Daemon::start(in_config_map(), kube, cluster("two"));
    let record = third.knows(1).await;
    assert!(!record.edits.is_empty(), "{record:?}");
    assert!(third.status(true).await.is_empty());
}

#[tokio::test]
async fn what_else_is_in_the_config_map_stays_and_one_that_is_deleted_is_made_again() {
    let (store, kube) = api_server().await;
    let namespace = "default";
    let made = json!({"metadata": {"name": "state", "namespace": namespace, "labels": {"team": "x"}}, "data": {"note": "kept"}});
    store.upsert(CONFIG_MAPS, made);
    let read = async |kube: &KubeSettings| {
        let api: kube::Api<k8s_openapi::api::core::v1::ConfigMap> =
            kube::Api::default_namespaced(crate::sources::kube::client(kube).await.unwrap());
        serde_json::to_value(api.get("state").await.unwrap()).unwrap()
    };
    let daemon = Daemon::start(in_config_map(), kube.clone(), cluster("one"));
    daemon.knows(0).await;
    daemon.finish().await;
    let found: Value = read(&kube).await;
    assert_eq!((&found["data"]["note"], &found["metadata"]["labels"]["team"]), (&json!("kept"), &json!("x")));
    assert!(found["binaryData"]["history.json.gz"].is_string());
    let daemon = Daemon::start(in_config_map(), kube.clone(), cluster("one"));
    daemon.knows(0).await;
    daemon.status(true).await;
    assert!(store.delete(CONFIG_MAPS, namespace, "state"));
    daemon.finish().await;
    assert!(read(&kube).await["binaryData"]["history.json.gz"].is_string());
}

#[tokio::test(start_paused = true)]
async fn it_writes_at_most_once_in_thirty_seconds_and_once_an_hour_without_news() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let settings = StateSettings { path: Some(path), ..StateSettings::default() };
    let store = Store::new(cluster("one"));
    let mut keeper = Keeper::new(Place::of(&settings, &KubeSettings::default()), settings, store.clone());
    keeper.work(false).await;
    let first = keeper.saved.unwrap();
    assert!(!keeper.unsaved);
    for second in 0..29 {
        tokio::time::advance(Duration::from_secs(1)).await;
        let services = cluster(&format!("n{second}")).services;
        store.update(|parts| parts.services = services);
        keeper.work(false).await;
        assert_eq!(keeper.saved, Some(first), "at {second} s");
    }
    assert_eq!(keeper.next(), first + Duration::from_secs(30));
    tokio::time::advance(Duration::from_secs(1)).await;
    keeper.work(false).await;
    let second = keeper.saved.unwrap();
    assert_eq!((second.duration_since(first), keeper.unsaved), (Duration::from_secs(30), false));
    assert_eq!(keeper.next(), second + Duration::from_secs(3600));
    tokio::time::advance(Duration::from_secs(3599)).await;
    keeper.work(false).await;
    assert_eq!(keeper.saved, Some(second));
    tokio::time::advance(Duration::from_secs(1)).await;
    keeper.work(false).await;
    assert!(keeper.saved > Some(second));
}
