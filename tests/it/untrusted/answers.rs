//! What do broken answers of AWS and of the Kubernetes API do? Between the daemon and both stands somebody who cuts, changes and
//! prolongs half of all answers. The daemon lives through it in bounded memory, and what it tells afterwards is the truth again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use eks_nlb_exporter::simulator::kube_api::ALL;
use eks_nlb_exporter::simulator::{self, SimulatorSettings};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::mutation::{damage, damaged, edited, edits, odd_text};
use crate::support::{Daemon, Scrape, eventually, exporter};

/// A number below this one, from the tests' own random source.
fn below(runner: &mut TestRunner, number: usize) -> usize {
    (0..number.max(1)).new_tree(runner).unwrap().current()
}

/// Somebody in between.
struct Between {
    url: String,
    broken: Arc<AtomicBool>,
    changed: Arc<AtomicUsize>,
}

impl Between {
    async fn start(upstream: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (broken, changed) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
        let runner = TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let spoiler =
            Spoiler { runner: Arc::new(Mutex::new(runner)), broken: Arc::clone(&broken), changed: Arc::clone(&changed) };
        let upstream = upstream.trim_end_matches('/').to_owned();
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
            let (client, spoiler, upstream) = (client.clone(), spoiler.clone(), upstream.clone());
            async move {
                let (mut head, body) = request.into_parts();
                head.uri = format!("{upstream}{}", head.uri.path_and_query().unwrap()).parse().unwrap();
                let body = body.collect().await.unwrap().to_bytes();
                let answer = client.request(http::Request::from_parts(head, Full::new(body))).await.unwrap();
                let (mut head, body) = answer.into_parts();
                head.headers.remove("content-length");
                let body = body.map_frame(move |frame| frame.map_data(|bytes| spoiler.spoil(&bytes)));
                http::Response::from_parts(head, Body::new(body))
            }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, broken, changed }
    }
}

/// Changes every other answer.
#[derive(Clone)]
struct Spoiler {
    runner: Arc<Mutex<TestRunner>>,
    broken: Arc<AtomicBool>,
    changed: Arc<AtomicUsize>,
}

impl Spoiler {
    fn spoil(&self, bytes: &Bytes) -> Bytes {
        let mut runner = self.runner.lock().unwrap();
        if !self.broken.load(Ordering::Relaxed) || below(&mut runner, 2) == 0 {
            return bytes.clone();
        }
        self.changed.fetch_add(1, Ordering::Relaxed);
        let text = String::from_utf8_lossy(bytes);
        let spoilt = match (below(&mut runner, 4), text.trim_start().chars().next()) {
            (0, _) => damaged(bytes, &damage().new_tree(&mut runner).unwrap().current()),
            // Watches send a line for each change.
            (_, Some('{')) => {
                let edits = edits().new_tree(&mut runner).unwrap().current();
                let line = |line: &str| {
                    let tree = serde_json::from_str(line).map(|tree| edited(&tree, &edits).to_string());
                    tree.unwrap_or_else(|_| line.to_owned())
                };
                text.lines().map(line).collect::<Vec<_>>().join("\n").into_bytes()
            }
            (1, Some('<')) => prolonged(&text, below(&mut runner, 3)).into_bytes(),
            (_, Some('<')) => {
                let odd = odd_text().new_tree(&mut runner).unwrap().current();
                let odd = odd.replace('&', "&amp;").replace('<', "&lt;");
                let at = below(&mut runner, text.matches("</").count());
                replaced(&text, at, &odd).into_bytes()
            }
            _ => b"\x00garbage\n".to_vec(),
        };
        spoilt.into()
    }
}

/// The text of the n-th element becomes another.
fn replaced(xml: &str, nth: usize, by: &str) -> String {
    let Some((end, _)) = xml.match_indices("</").nth(nth) else { return xml.to_owned() };
    let start = xml[..end].rfind('>').map_or(end, |at| at + 1);
    format!("{}{by}{}", &xml[..start], &xml[end..])
}

/// The list says that there is more of it.
fn prolonged(xml: &str, token: usize) -> String {
    let more = format!("<nextToken>t{token}</nextToken><NextMarker>t{token}</NextMarker><NextToken>t{token}</NextToken>");
    let end = xml.rfind("</").unwrap_or(0);
    let end = xml[..end].rfind("Result>").and_then(|at| xml[..at].rfind("</")).unwrap_or(end);
    format!("{}{more}{}", &xml[..end], &xml[end..])
}

/// Families that say what AWS and the cluster have, without ages.
const TOLD: &[&str] = &[
    "load_balancer_info",
    "load_balancer_state",
    "target_group_info",
    "target_group_targets",
    "target_group_endpoints",
    "target_group_expected_targets",
    "service_info",
    "service_load_balancers",
    "subnet_info",
    "subnet_available_ip_addresses",
    "subnet_discovery",
    "security_group_info",
    "security_group_rules",
    "quota_limit",
    "quota_usage",
    "headroom_load_balancers",
];

type Told = BTreeMap<&'static str, BTreeMap<BTreeMap<String, String>, f64>>;

fn told(scrape: &Scrape) -> Told {
    TOLD.iter().map(|family| (*family, scrape.family(family))).collect()
}

/// The daemon with these endpoints, in a hurry.
async fn start(folder: &std::path::Path, name: &str, aws: &str, kubeconfig: &str) -> Daemon {
    let kube = folder.join(format!("{name}.kubeconfig"));
    std::fs::write(&kube, kubeconfig).unwrap();
    let config = folder.join(format!("{name}.yaml"));
    let services = ["elasticloadbalancing", "ec2", "servicequotas", "sts", "eks"].map(|name| format!("{name}: 100")).join(", ");
    let parts = [
        "load_balancers",
        "tags",
        "listeners",
        "attributes",
        "subnets",
        "network_interfaces",
        "quotas",
        "unsteady_health",
        "steady_health",
    ];
    let seconds = parts.map(|part| format!("{part}: 2")).join(", ");
    std::fs::write(&config, format!("aws:\n  requests_per_second: {{{services}}}\n  refresh_seconds: {{{seconds}}}\n")).unwrap();
    let mut command = exporter();
    command
        .args(["--aws.endpoint-url", aws, "--aws.region", "us-east-1", "--state.configmap", "", "--config.file"])
        .arg(config)
        .args(["--web.listen-address", "127.0.0.1:0", "--log.format", "json"])
        .env("KUBECONFIG", kube)
        .env("AWS_ACCESS_KEY_ID", "simulated")
        .env("AWS_SECRET_ACCESS_KEY", "simulated");
    Daemon::start_command(&mut command).await
}

fn peak_memory(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.program.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn untrusted_answers_are_lived_through_and_what_is_told_afterwards_is_the_truth() {
    let simulator = simulator::start(SimulatorSettings::default()).await.unwrap();
    let (aws, kube) = (Between::start(&simulator.aws_url).await, Between::start(&simulator.kube_url).await);
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = simulator.kubeconfig();
    let spoilt = kubeconfig.replace(&simulator.kube_url, &kube.url);
    assert_ne!(kubeconfig, spoilt);
    let daemon = start(folder.path(), "spoilt", &aws.url, &spoilt).await;
    let patience = Duration::from_secs(180);
    eventually("many answers are changed", patience, async || {
        assert!(!daemon.program.output().contains("panicked"), "{}", daemon.program.output());
        // Each watch is told that what it knows is too old, and lists again.
        ALL.iter().for_each(|resource| simulator.kube.compact(*resource));
        let changed = (aws.changed.load(Ordering::Relaxed), kube.changed.load(Ordering::Relaxed));
        let scrape = crate::support::get(&daemon.url("/metrics")).await.unwrap();
        assert_eq!(scrape.0, 200);
        if changed.0 > 600 && changed.1 > 60 { Ok(()) } else { Err(changed) }
    })
    .await;
    for between in [&aws, &kube] {
        between.broken.store(false, Ordering::Relaxed);
    }
    // What a watch was told in between it believes until it lists again.
    for resource in ALL {
        simulator.kube.compact(*resource);
    }
    let reference = start(folder.path(), "reference", &simulator.aws_url, &kubeconfig).await;
    reference.ready(patience).await;
    daemon.ready(patience).await;
    eventually("both tell the same", patience, async || {
        let (truth, told) = (told(&reference.scrape().await), told(&daemon.scrape().await));
        assert!(!truth["target_group_targets"].is_empty() && !truth["security_group_rules"].is_empty());
        let differing: Vec<_> = TOLD.iter().filter(|family| truth[*family] != told[*family]).collect();
        if differing.is_empty() { Ok(()) } else { Err(format!("{differing:?}")) }
    })
    .await;
    let memory = peak_memory(&daemon);
    assert!(memory < 400 << 20, "{memory} bytes");
}
