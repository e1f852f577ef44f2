//! Which pictures are looked at, and how are they served and read?

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use eks_nlb_exporter::checks::{self, Judged};
use eks_nlb_exporter::clock;
use eks_nlb_exporter::config::policy::{Policy, TargetSeries};
use eks_nlb_exporter::expose::exposition::{Exposition, ExpositionSettings};
use eks_nlb_exporter::expose::own::OwnMetrics;
use eks_nlb_exporter::expose::readiness::Readiness;
use eks_nlb_exporter::expose::server::{Sources, WebSettings, WebState, bind};
use eks_nlb_exporter::inventory::part::FailureCategory;
use eks_nlb_exporter::inventory::parts::Parts;
use eks_nlb_exporter::inventory::snapshot::{Expiry, Snapshot};
use eks_nlb_exporter::simulator::{self, SimulatorSettings, WorldKind};
use eks_nlb_exporter::sources::CallObserver;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::gather::gather_simulated;
use crate::situations::{self, Situation};
use crate::support::{Scrape, eventually};

/// By what measure is judged: every target is shown, and what waits for minutes in a real cluster does not here.
fn policy() -> Policy {
    Policy {
        drift_hold_down_seconds: 0,
        target_hold_down_seconds: 0,
        target_series: TargetSeries::All,
        target_series_limit: 20,
        service_labels: vec!["team".to_owned()],
        ..Policy::default()
    }
}

/// A judged picture of these parts.
pub(super) fn judged(parts: Parts, now: Timestamp) -> Judged {
    let policy = policy();
    let snapshot = Snapshot::join(parts, now, Expiry { max_staleness: policy.max_staleness() });
    let outcome = checks::run_all(&snapshot, &policy, now, || Duration::ZERO);
    assert!(outcome.runs.iter().all(|run| run.success), "{:?}", outcome.runs);
    Judged { snapshot: snapshot.into(), outcome: outcome.into(), policy: policy.into() }
}

/// Pictures of every kind of world as it is, of one with each fault, and of the demonstration in the midst of its incidents.
pub(super) async fn pictures() -> &'static [(String, Judged)] {
    static PICTURES: OnceCell<Vec<(String, Judged)>> = OnceCell::const_new();
    PICTURES.get_or_init(make_pictures).await
}

async fn make_pictures() -> Vec<(String, Judged)> {
    let mut all = Vec::new();
    for kind in WorldKind::ALL {
        let Situation { parts, now } = Situation::of(kind).await;
        all.push((format!("{kind:?}"), judged(parts, now)));
    }
    let healthy = Situation::healthy().await;
    for (what, change) in situations::faults() {
        let mut broken = healthy.clone();
        change(&mut broken);
        all.push((what.to_owned(), judged(broken.parts, broken.now)));
    }
    let mut muted = healthy.clone();
    muted.targets("shop/web", situations::unhealthy);
    let week = muted.now + SignedDuration::from_hours(7 * 24);
    let mute = format!("NLB101 until {}: known", week.strftime("%Y-%m-%d"));
    muted.service("shop/web", |it| drop(it.annotations.insert("eks-nlb-exporter.io/mute".into(), mute.into())));
    all.push(("a muted finding".to_owned(), judged(muted.parts, muted.now)));
    let mut weighted = healthy;
    let lb = weighted.lb("shop/web");
    let listeners = Arc::make_mut(&mut weighted.parts.listeners).get_mut(&lb).unwrap();
    let listeners = Arc::make_mut(listeners.value.as_mut().unwrap());
    listeners[0].forwards.iter_mut().for_each(|forward| forward.weight = 0);
    all.push(("a weight of 0".to_owned(), judged(weighted.parts, weighted.now)));
    all.push(("the demonstration".to_owned(), demonstration().await));
    all
}

/// The demonstration after its first ten incidents.
async fn demonstration() -> Judged {
    let mut simulator = simulator::start(SimulatorSettings { time_scale: 5.0, ..SimulatorSettings::default() }).await.unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    simulator.play(move |sentence| heard.lock().unwrap().push(sentence.to_owned()));
    eventually("the incidents happen", Duration::from_secs(120), async || {
        let told = told.lock().unwrap();
        if told.len() >= 10 { Ok(()) } else { Err(told.clone()) }
    })
    .await;
    let parts = gather_simulated(&simulator).await;
    judged(parts, clock::now())
}

/// A server on a free port of loopback.
pub(super) struct Served {
    address: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    web: WebState,
    task: tokio::task::JoinHandle<()>,
}

/// An answer of the API.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) media_type: String,
    pub(super) cache_control: String,
    pub(super) allow: String,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Served {
    /// Serves no picture yet.
    pub(super) async fn start() -> Self {
        let own = OwnMetrics::new();
        own.attempted("ec2", "DescribeSubnets", Err(FailureCategory::Throttled), Duration::from_millis(5));
        own.attempted("ec2", "DescribeSubnets", Ok(()), Duration::from_millis(5));
        own.attempted("ec2", "DescribeVpcs", Ok(()), Duration::from_millis(5));
        own.waited("ec2", "DescribeVpcs", Duration::from_millis(1500));
        own.allowed("ec2", 2.5);
        let sources = Arc::new([("aws_tags".into(), Default::default())].into());
        let web = WebState {
            exposition: Exposition::new(own, ExpositionSettings::default()),
            readiness: Arc::new(Readiness::pending(["tags"])),
            sources: Sources::new(move || Arc::clone(&sources)),
            reload: None,
        };
        let settings = WebSettings { listen_addresses: vec!["127.0.0.1:0".to_owned()], ..WebSettings::default() };
        let bound = bind(&settings).await.unwrap();
        let address = bound.local_addrs()[0];
        let serving = bound.serve(web.clone(), std::future::pending());
        let task = tokio::spawn(async move { serving.await.unwrap() });
        Self { address, client: Client::builder(TokioExecutor::new()).build_http(), web, task }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) async fn show(&self, picture: &Judged) {
        self.web.exposition.publish(picture.clone()).await.unwrap();
    }

    pub(super) async fn ask(&self, method: &str, path: &str) -> Answer {
        let request = http::Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        let response = self.client.request(request.body(Full::default()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        let (media_type, cache_control, allow) = (header("content-type"), header("cache-control"), header("allow"));
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Answer { status, media_type, cache_control, allow, body }
    }

    /// The JSON of a path that there is.
    pub(super) async fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    pub(super) async fn scrape(&self) -> Scrape {
        let answer = self.ask("GET", "/metrics").await;
        Scrape::parse(std::str::from_utf8(&answer.body).unwrap())
    }

    /// The pages of single things that the lists name: path in the document, and the real one.
    pub(super) async fn details(&self) -> Vec<(&'static str, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let mut all = Vec::new();
        for row in self.get("/api/v1/services").await["services"].as_array().unwrap() {
            let path = format!("/api/v1/services/{}/{}", text(&row["namespace"]), text(&row["name"]));
            all.push(("/api/v1/services/{namespace}/{name}", path));
        }
        for row in self.get("/api/v1/subnets").await["subnets"].as_array().unwrap() {
            all.push(("/api/v1/subnets/{id}", format!("/api/v1/subnets/{}", text(&row["id"]))));
        }
        for row in self.get("/api/v1/security-groups").await["security_groups"].as_array().unwrap() {
            all.push(("/api/v1/security-groups/{id}", format!("/api/v1/security-groups/{}", text(&row["id"]))));
        }
        all
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The paths of lists.
pub(super) const LISTS: &[&str] = &[
    "/api/v1/status",
    "/api/v1/findings",
    "/api/v1/services",
    "/api/v1/subnets",
    "/api/v1/security-groups",
    "/api/v1/quotas",
    "/api/v1/headroom",
    "/api/v1/orphans",
    "/api/v1/sources",
];
