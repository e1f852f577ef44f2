//! How do the real programs run beside a test, and what do people's own receivers hear from them?

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::routing::any;
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::support::{Program, eventually, free_port, get};

/// Labels of one alert.
pub(crate) type Labels = BTreeMap<String, String>;

/// Labels out of JSON.
pub(crate) fn labels(object: &Value) -> Labels {
    object.as_object().unwrap().iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

/// Runs a program to its end.
pub(crate) fn run(command: &mut Command) -> Output {
    let name = command.get_program().to_string_lossy().into_owned();
    command.output().unwrap_or_else(|error| panic!("{name} does not start: {error}; `make peers` installs it"))
}

/// Runs a program that has to succeed.
pub(crate) fn succeeds(command: &mut Command) -> String {
    let output = run(command);
    let words = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {words}");
    words
}

/// A Prometheus.
pub(crate) struct Prometheus {
    port: u16,
    _program: Program,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts one with this configuration (JSON, which is YAML) and these rules.
    pub(crate) async fn start(mut config: Value, rules: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        if let Some(rules) = rules {
            let file = folder.path().join("rules.yaml");
            fs::write(&file, rules).unwrap();
            config["rule_files"] = serde_json::json!([file]);
        }
        let file = folder.path().join("prometheus.yml");
        fs::write(&file, config.to_string()).unwrap();
        let port = free_port();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--rules.alert.resend-delay=3s", "--query.lookback-delta=5s"]);
        let this = Self { port, _program: Program::start(&mut command), _folder: folder };
        eventually("Prometheus is ready", Duration::from_secs(30), async || {
            let (status, body) = get(&format!("http://127.0.0.1:{port}/-/ready")).await?;
            if status == 200 { Ok(()) } else { Err(body) }
        })
        .await;
        this
    }

    /// Asks for a vector, now or at a moment in seconds.
    pub(crate) async fn query(&self, expression: &str, at: Option<f64>) -> Result<Vec<(Labels, f64)>, String> {
        let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let at = at.map_or_else(String::new, |at| format!("&time={at:.3}"));
        let (_, body) = get(&format!("http://127.0.0.1:{}/api/v1/query?query={encoded}{at}", self.port)).await?;
        let answer: Value = serde_json::from_str(&body).map_err(|error| error.to_string())?;
        if answer["status"] != "success" {
            return Err(format!("{expression}: {body}"));
        }
        let number = |sample: &Value| sample["value"][1].as_str().unwrap().parse().unwrap();
        let vector = answer["data"]["result"].as_array().unwrap();
        Ok(vector.iter().map(|sample| (labels(&sample["metric"]), number(sample))).collect())
    }
}

impl Prometheus {
    /// The alerts of its rules that fire, and whether one of them only goes on for its `keep_firing_for`.
    pub(crate) async fn firing(&self) -> Result<(BTreeSet<Labels>, bool), String> {
        let (_, body) = get(&format!("http://127.0.0.1:{}/api/v1/alerts", self.port)).await?;
        let answer: Value = serde_json::from_str(&body).map_err(|error| error.to_string())?;
        let alerts = answer["data"]["alerts"].as_array().ok_or(body)?;
        let firing: Vec<&Value> = alerts.iter().filter(|alert| alert["state"] == "firing").collect();
        let kept = firing.iter().any(|alert| alert.get("keepFiringSince").is_some());
        Ok((firing.into_iter().map(|alert| labels(&alert["labels"])).collect(), kept))
    }
}

/// An Alertmanager.
pub(crate) struct Alertmanager {
    pub(crate) port: u16,
    _program: Program,
    _folder: TempDir,
}

impl Alertmanager {
    /// Starts one with this configuration on a free port.
    pub(crate) fn start(config: &str) -> Self {
        Self::start_at(free_port(), config, None)
    }

    /// Starts one on a port, with TLS and authentication if there is a file for that.
    pub(crate) fn start_at(port: u16, config: &str, web: Option<&Path>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("alertmanager.yml");
        fs::write(&file, config).unwrap();
        let mut command = Command::new("prometheus-alertmanager");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address=");
        if let Some(web) = web {
            command.arg(format!("--web.config.file={}", web.display()));
        }
        Self { port, _program: Program::start(&mut command), _folder: folder }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The labels of the alerts that fire.
    pub(crate) async fn alerts(&self) -> Result<Vec<Labels>, String> {
        let (status, body) = get(&format!("{}/api/v2/alerts", self.url())).await?;
        if status != 200 {
            return Err(format!("{status}: {body}"));
        }
        let alerts: Vec<Value> = serde_json::from_str(&body).map_err(|error| error.to_string())?;
        let mut alerts: Vec<Labels> = alerts.iter().map(|alert| labels(&alert["labels"])).collect();
        alerts.sort();
        Ok(alerts)
    }
}

/// What somebody sent: the path, and the body if it is JSON.
pub(crate) type Message = (String, Value);

/// A receiver of notifications that keeps what it hears.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<Message>>>,
    _task: JoinSet<()>,
}

impl Receiver {
    /// One that accepts everything.
    pub(crate) async fn start() -> Self {
        Self::answering(StatusCode::OK).await
    }

    /// One that gives the same answer to everything.
    pub(crate) async fn answering(status: StatusCode) -> Self {
        type Shared = (StatusCode, Arc<Mutex<Vec<Message>>>);
        async fn hear(State((status, heard)): State<Shared>, UrlPath(path): UrlPath<String>, body: String) -> StatusCode {
            heard.lock().unwrap().push((path, serde_json::from_str(&body).unwrap_or_default()));
            status
        }
        let heard = Arc::new(Mutex::new(Vec::new()));
        let app = Router::new().route("/{*path}", any(hear)).with_state((status, Arc::clone(&heard)));
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut task = JoinSet::new();
        task.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, heard, _task: task }
    }

    /// Everything that came under a path.
    pub(crate) fn heard(&self, path: &str) -> Vec<Value> {
        let heard = self.heard.lock().unwrap();
        heard.iter().filter(|(at, _)| at == path).map(|(_, body)| body.clone()).collect()
    }
}
