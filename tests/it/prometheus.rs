//! Does a real Prometheus understand what it scrapes? In both formats, over the wire, and then by its query language.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use tokio::net::TcpListener;

use crate::support::{Daemon, Program, eventually, free_port, get};

/// Prometheus 2 cannot be told to ask for the classic format, so a relay asks in its place.
async fn classic_relay(upstream: String) -> u16 {
    async fn relay(State(upstream): State<String>) -> impl IntoResponse {
        match get(&upstream).await {
            Ok((status, body)) => {
                let mut headers = HeaderMap::new();
                headers.insert("content-type", "text/plain; version=0.0.4; charset=utf-8".parse().unwrap());
                (StatusCode::from_u16(status).unwrap(), headers, body)
            }
            Err(error) => (StatusCode::BAD_GATEWAY, HeaderMap::new(), error),
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let app = Router::new().route("/metrics", axum::routing::get(relay)).with_state(upstream);
    tokio::spawn(async move { axum::serve(listener, app).await });
    port
}

/// What an instant query finds.
pub(crate) async fn query(port: u16, expression: &str) -> Result<Vec<serde_json::Value>, String> {
    let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let (status, body) = get(&format!("http://127.0.0.1:{port}/api/v1/query?query={encoded}")).await?;
    let answer: serde_json::Value = serde_json::from_str(&body).map_err(|error| format!("{status}: {error}"))?;
    if answer["status"] != "success" {
        return Err(format!("{expression}: {body}"));
    }
    Ok(answer["data"]["result"].as_array().cloned().unwrap_or_default())
}

fn number(sample: &serde_json::Value) -> f64 {
    sample["value"][1].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn prometheus_scrapes_both_formats_and_answers_queries() {
    let daemon = Daemon::start(["demo"]).await;
    daemon.ready(Duration::from_secs(60)).await;
    let classic = classic_relay(daemon.url("/metrics")).await;

    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("prometheus.yml");
    let text = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n\
         - {{job_name: openmetrics, honor_labels: true, static_configs: [{{targets: ['{}']}}]}}\n\
         - {{job_name: classic, honor_labels: true, static_configs: [{{targets: ['127.0.0.1:{classic}']}}]}}\n",
        daemon.address
    );
    fs::write(&config, text).unwrap();
    let port = free_port();
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let prometheus = Program::start(&mut command);

    eventually("both jobs are up", Duration::from_secs(60), async || {
        let up = query(port, "up == 1").await?;
        if up.len() == 2 { Ok(()) } else { Err(format!("{up:?}")) }
    })
    .await;
    // Same families and series whatever the format, but the suffix that OpenMetrics' own metadata carries.
    eventually("both formats hold the same series", Duration::from_secs(30), async || {
        let series = query(port, r#"count by (__name__, job) ({__name__=~"eks_nlb_.+"})"#).await?;
        let of = |job: &str| {
            let mut found: Vec<(String, f64)> = series
                .iter()
                .filter(|sample| sample["metric"]["job"] == job)
                .map(|sample| (sample["metric"]["__name__"].as_str().unwrap().to_owned(), number(sample)))
                .collect();
            found.sort_by(|a, b| a.0.cmp(&b.0));
            found
        };
        let (openmetrics, classic) = (of("openmetrics"), of("classic"));
        if openmetrics.len() > 50 && openmetrics == classic { Ok(()) } else { Err(format!("{openmetrics:?}\n{classic:?}")) }
    })
    .await;
    // The joins that the metrics are made for.
    for expression in [
        r#"eks_nlb_target_group_targets{job="classic",state="healthy"} * on (target_group) group_left (namespace, service) eks_nlb_target_group_info{job="classic"}"#,
        r#"eks_nlb_subnet_available_ip_addresses{job="openmetrics"} * on (subnet_id) group_left (availability_zone) eks_nlb_subnet_info{job="openmetrics"}"#,
        r#"eks_nlb_security_group_rules{job="openmetrics",direction="inbound"} / on () group_left () eks_nlb_quota_limit{job="openmetrics",quota="rules_per_security_group"}"#,
        r#"eks_nlb_service_drifted_annotations{job="openmetrics"} >= 0"#,
        r#"time() - eks_nlb_source_last_success_timestamp_seconds{job="openmetrics"} < 120"#,
    ] {
        eventually(expression, Duration::from_secs(90), async || {
            let found = query(port, expression).await?;
            if found.is_empty() { Err("no data".to_owned()) } else { Ok(()) }
        })
        .await;
    }
    let log = prometheus.output();
    for complaint in ["duplicate", "out of order", "Error on ingesting", "level=error"] {
        assert!(!log.contains(complaint), "Prometheus complains: {log}");
    }
}

/// promtool reads standard input.
pub(crate) fn check_metrics(text: &[u8]) -> Result<(), String> {
    use std::io::Write;
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("promtool does not start: {error}; `make peers` installs it"))?;
    child.stdin.take().unwrap().write_all(text).map_err(|error| error.to_string())?;
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let words = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if output.status.success() && words.trim().is_empty() { Ok(()) } else { Err(words) }
}

#[test]
fn promtool_accepts_every_golden_exposition() {
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut checked = 0;
    for entry in fs::read_dir(scenarios).unwrap() {
        let golden = entry.unwrap().path().join("expected.prom");
        if golden.exists() {
            check_metrics(&fs::read(&golden).unwrap()).unwrap_or_else(|words| panic!("{}: {words}", golden.display()));
            checked += 1;
        }
    }
    assert!(checked > 5, "only {checked} goldens were found");
}

#[tokio::test]
async fn promtool_accepts_what_the_daemon_serves() {
    let daemon = Daemon::start(["demo"]).await;
    daemon.ready(Duration::from_secs(60)).await;
    let (_, text) = get(&daemon.url("/metrics")).await.unwrap();
    check_metrics(text.as_bytes()).unwrap();
}

#[test]
fn promtool_refuses_a_bad_exposition() {
    assert!(check_metrics(b"# TYPE x counter\nx 1\n").is_err(), "the check would not see anything");
}
