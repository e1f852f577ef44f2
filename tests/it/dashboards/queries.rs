//! Does every query of every panel have an answer? A real Prometheus with the shipped rules scrapes the daemon beside a simulated
//! AWS that fails now and then, and pictures of worlds in which enough is wrong that no panel is empty.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::http::header::CONTENT_TYPE;
use axum::routing::{get, post};
use eks_nlb_exporter::expose::negotiate::Format;
use eks_nlb_exporter::expose::render::observed_text;
use eks_nlb_exporter::inventory::history::History;
use eks_nlb_exporter::inventory::kube::EventObject;
use eks_nlb_exporter::simulator::WorldKind;
use jiff::SignedDuration;
use serde_json::Value;
use tokio::net::TcpListener;

use super::{Dashboard, dashboards, root, text};
use crate::prometheus::query;
use crate::situations::{Situation, all, name, unhealthy};
use crate::support::{Daemon, Program, eventually, free_port};

/// Queries that have no answer in any of the worlds, and why.
const EMPTY: &[(&str, &str, usize, &str)] = &[];

/// How many clusters a page has to be readable with, and how many series a drawing may have then.
const CLUSTERS: usize = 50;
const READABLE: usize = 24;

/// A world with something wrong for every panel.
async fn troubled() -> Situation {
    let mut it = Situation::healthy().await;
    let mut history = History::default();
    history.observe(&it.parts, it.ago(3600));
    // Edited after creation, in a way that nobody repairs, and a name that does not exist.
    it.annotate("shop/api", "name", "another");
    it.annotate("shop/api", "hleathcheck-path", "/");
    history.observe(&it.parts, it.ago(60));
    it.parts.history.value = Some(Arc::new(history));
    // One zone dark, all of another Service, and one that is muted.
    it.targets("shop/web", |target| {
        if target.zone == Some("us-east-1a".into()) {
            unhealthy(target);
        }
    });
    it.targets("pay/checkout", unhealthy);
    it.targets("data/ingest", unhealthy);
    let until = (it.now + SignedDuration::from_hours(48)).to_string();
    let mute = format!("all until {}: moving house", until.split('T').next().unwrap());
    it.service("data/ingest", |service| drop(service.annotations.insert("eks-nlb-exporter.io/mute".into(), mute.into())));
    // The controller is stuck, with a Service and a binding.
    it.event(EventObject::Service, &name("shop/cart"), "FailedDeployModel", "TooManyLoadBalancers: no more");
    let binding = it.parts.target_group_bindings.get().unwrap().keys().next().unwrap().clone();
    it.event(EventObject::TargetGroupBinding, &binding, "FailedReconcile", "AccessDenied: no");
    // A weighted listener.
    let lb = it.lb("media/stream");
    let part = Arc::make_mut(&mut it.parts.listeners).get_mut(&lb).unwrap();
    let listeners = Arc::make_mut(part.value.as_mut().unwrap());
    listeners.iter_mut().flat_map(|listener| &mut listener.forwards).for_each(|to| to.weight = 0);
    // Pods on Windows nodes.
    for node in it.nodes() {
        it.node(&node, |node| drop(node.labels.insert("kubernetes.io/os".into(), "windows".into())));
    }
    // One Service never gets its load balancer, one is being deleted.
    let (long_ago, then) = (it.ago(7200), it.ago(3000));
    let mut service = (*it.parts.services.get().unwrap()[&name("shop/web")]).clone();
    service.name = name("shop/waiting");
    service.hostnames.clear();
    service.created_at = long_ago;
    all(&mut it.parts.services).insert(service.name.clone(), Arc::new(service));
    it.service("ops/dns", |service| service.deleted_at = Some(then));
    it
}

/// Serves texts under their names, and takes alerts as an Alertmanager does.
async fn serve(texts: BTreeMap<String, String>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let texts = Arc::new(texts);
    let answer =
        move |Path(name): Path<String>| async move { ([(CONTENT_TYPE, Format::Text.content_type())], texts[&name].clone()) };
    let app = Router::new().route("/{name}", get(answer)).route("/api/v2/alerts", post(async || ()));
    tokio::spawn(async move { axum::serve(listener, app).await });
    port
}

/// Prometheus with the shipped rules, but for the time that conditions have to hold.
fn prometheus(folder: &std::path::Path, targets: &str) -> (Program, u16) {
    let rules = fs::read_to_string(root().join("alerts/rules.yaml")).unwrap();
    let at_once = rules.lines().map(|line| match line.split_once("for: ") {
        Some((before, _)) if before.trim().is_empty() => format!("{before}for: 0s\n"),
        _ => format!("{line}\n"),
    });
    fs::write(folder.join("rules.yaml"), at_once.collect::<String>()).unwrap();
    let config = folder.join("prometheus.yml");
    let text = format!(
        "global: {{scrape_interval: 5s, evaluation_interval: 5s}}\nrule_files: [rules.yaml]\nscrape_configs:\n\
         - job_name: eks-nlb-exporter\n  honor_labels: true\n  static_configs:\n{targets}"
    );
    fs::write(&config, text).unwrap();
    let port = free_port();
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    (Program::start(&mut command), port)
}

/// A legend with a series' labels filled in.
fn legend(format: &str, sample: &Value) -> String {
    let mut legend = String::new();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once("{{") {
        let (label, after) = after.split_once("}}").unwrap();
        legend += before;
        legend += sample["metric"][label].as_str().unwrap_or_default();
        rest = after;
    }
    legend + rest
}

/// What is wrong with a panel's drawing when everything is chosen: series that read alike, or too many of them.
async fn unreadable(port: u16, dashboard: &Dashboard, panel: &Value) -> Result<Vec<String>, String> {
    let (mut wrong, mut legends, mut count) = (Vec::new(), BTreeSet::new(), 0);
    for target in super::list(panel, "targets") {
        for sample in query(port, &dashboard.expand(text(target, "expr"), &BTreeMap::new())).await? {
            count += 1;
            let legend = legend(text(target, "legendFormat"), &sample);
            if !legends.insert(legend.clone()) {
                wrong.push(format!("{}: {}: two series are called {legend:?}", dashboard.uid(), panel["title"]));
            }
        }
    }
    // A timeline has pages, and of one load balancer there is never so much.
    let bounded = text(panel, "type") == "state-timeline" || dashboard.uid() == "eks-nlb-load-balancer";
    if count > READABLE && !bounded {
        wrong.push(format!("{}: {}: {count} series", dashboard.uid(), panel["title"]));
    }
    Ok(wrong)
}

#[tokio::test]
async fn every_query_has_an_answer_and_is_readable_with_fifty_clusters() {
    let texts = [
        ("healthy", Situation::healthy().await),
        ("troubled", troubled().await),
        ("gateways", Situation::of(WorldKind::GatewayApi).await),
    ];
    let texts = texts.map(|(name, it)| (name.to_owned(), observed_text(Format::Text, &Arc::new(it.judge())).unwrap()));
    let pictures = serve(BTreeMap::from(texts)).await;
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("exporter.yaml");
    fs::write(&settings, format!("alerting: {{alertmanagers: [{{url: 'http://127.0.0.1:{pictures}'}}]}}\n")).unwrap();
    let settings = settings.display().to_string();
    let daemon = Daemon::start(["demo", "--fault", "DescribeTargetHealth=error:0.3", "--config.file", settings.as_str()]).await;
    let target = |address: &str, labels: &str| format!("  - {{targets: ['{address}'], labels: {{{labels}}}}}\n");
    // The daemon's own series have no label cluster.
    let mut targets = target(&daemon.address.to_string(), "");
    for (number, path) in [(0, "troubled"), (1, "gateways")].into_iter().chain((2..CLUSTERS).map(|number| (number, "healthy"))) {
        let labels = format!("cluster: 'c{number:02}', __metrics_path__: /{path}");
        targets += &target(&format!("127.0.0.1:{pictures}"), &labels);
    }
    let (program, port) = prometheus(folder.path(), &targets);

    let dashboards = dashboards();
    let mut waiting: Vec<_> = dashboards.iter().flat_map(|it| it.queries().into_iter().map(move |query| (it, query))).collect();
    let known_empty = |query: &super::Query<'_>| {
        EMPTY.iter().any(|(uid, panel, index, _)| (*uid, *panel, *index) == (query.dashboard, query.panel, query.index))
    };
    waiting.retain(|(_, query)| !known_empty(query));
    assert!(waiting.len() > 100, "the queries are not found");
    eventually("every query has an answer", Duration::from_secs(240), async || {
        let mut left = Vec::new();
        for (dashboard, asked) in &waiting {
            if query(port, &dashboard.expand(asked.expr, &BTreeMap::new())).await?.is_empty() {
                left.push((*dashboard, *asked));
            }
        }
        waiting = left;
        let named =
            |(_, it): &(&Dashboard, super::Query<'_>)| format!("{}: {} ({}) {}", it.dashboard, it.panel, it.kind, it.index);
        if waiting.is_empty() { Ok(()) } else { Err(waiting.iter().map(named).collect::<Vec<_>>().join("\n")) }
    })
    .await;
    for (uid, panel, index, reason) in EMPTY {
        let asked = dashboards.iter().flat_map(|it| it.queries().into_iter().map(move |query| (it, query)));
        let (dashboard, asked) = asked
            .into_iter()
            .find(|(_, it)| (it.dashboard, it.panel, it.index) == (*uid, *panel, *index))
            .expect("the query exists");
        let found = query(port, &dashboard.expand(asked.expr, &BTreeMap::new())).await.unwrap();
        assert!(found.is_empty() && !reason.is_empty(), "{uid}: {panel} has an answer: its exception is idle");
    }

    eventually("all clusters are seen", Duration::from_secs(60), async || {
        let seen = query(port, "count by (cluster) (eks_nlb_findings)").await?.len();
        if seen == CLUSTERS + 1 { Ok(()) } else { Err(format!("{seen} clusters")) }
    })
    .await;
    let mut wrong = Vec::new();
    for dashboard in &dashboards {
        for panel in dashboard.panels().into_iter().filter(|panel| text(panel, "type") != "table") {
            wrong.extend(unreadable(port, dashboard, panel).await.unwrap());
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");

    // As the link of an alert sets them, in a Prometheus with and without a label cluster.
    for (cluster, namespace, service) in [("", "shop", "web"), ("c00", "shop", "web")] {
        let chosen = BTreeMap::from([("cluster", cluster), ("namespace", namespace), ("service", service)]);
        let one = dashboards.iter().find(|it| it.uid() == "eks-nlb-load-balancer").unwrap();
        for asked in one.queries().into_iter().filter(|query| query.kind == "stat") {
            // The daemon reads what matters least last.
            eventually(asked.panel, Duration::from_secs(60), async || {
                let found = query(port, &one.expand(asked.expr, &chosen)).await?;
                if found.len() == 1 { Ok(()) } else { Err(format!("{chosen:?}: {found:?}")) }
            })
            .await;
        }
        let groups = one.queries().into_iter().find(|query| query.panel == "Target groups").unwrap();
        for sample in query(port, &one.expand(groups.expr, &chosen)).await.unwrap() {
            assert_eq!((&sample["metric"]["namespace"], &sample["metric"]["service"]), (&namespace.into(), &service.into()));
        }
    }
    // Its lists are in the variables.
    for dashboard in &dashboards {
        for variable in dashboard.variables() {
            let asked = dashboard.expand(text(&variable["query"], "query"), &BTreeMap::new());
            let (selector, label) = asked.strip_prefix("label_values(").unwrap().trim_end_matches(')').rsplit_once(", ").unwrap();
            let found = query(port, &format!("group by ({label}) ({selector})")).await.unwrap();
            let named = found.iter().any(|sample| sample["metric"][label].is_string());
            // Only the daemon tells of itself, and its series have no label cluster.
            assert!(named || label == "cluster", "{}: {label} has no values", dashboard.uid());
        }
    }
    let log = program.output();
    assert!(!log.contains("level=error") && !log.contains("many-to-many"), "Prometheus complains: {log}");
}
