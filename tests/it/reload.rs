//! What does a reload take, and what not? A real process, SIGHUP, and files that are good, wrong, and half written.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::support::{Daemon, Program, Scrape, eventually, exporter, post};

/// No step takes this long unless it is stuck.
const DEADLINE: Duration = Duration::from_secs(60);

const GOOD: &str = "policy:\n  target_series: all\n  quota_overrides: {network_load_balancers: 77}\n";

/// A daemon over the simulated cluster, and its configuration file.
struct Running {
    daemon: Daemon,
    folder: tempfile::TempDir,
}

impl Running {
    async fn start(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        fs::write(&path, text).unwrap();
        let daemon = Daemon::start(["demo", "--config.file", &path.display().to_string()]).await;
        daemon.ready(DEADLINE).await;
        Self { daemon, folder }
    }

    fn write(&self, text: &str) {
        fs::write(self.folder.path().join("config.yaml"), text).unwrap();
    }

    fn hang_up(&self) {
        let id = self.daemon.program.id().to_string();
        assert!(Command::new("kill").args(["-s", "HUP", &id]).status().unwrap().success());
    }

    /// How often the log says this.
    fn said(&self, words: &str) -> usize {
        self.daemon.program.output().matches(words).count()
    }

    /// Sends SIGHUP and waits until the log has said so once more.
    async fn reload(&self, outcome: &str) -> Scrape {
        let before = self.said(outcome);
        self.hang_up();
        eventually(outcome, DEADLINE, async || if self.said(outcome) > before { Ok(()) } else { Err("not said") }).await;
        self.daemon.scrape().await
    }

    async fn shows(&self, what: &str, condition: impl Fn(&Scrape) -> bool) {
        eventually(what, DEADLINE, async || if condition(&self.daemon.scrape().await) { Ok(()) } else { Err("not yet") }).await;
    }
}

const TAKEN: &str = "the configuration was read again";
const REFUSED: &str = "the configuration was not read again; the one before stays in force";

fn loaded_at(scrape: &Scrape) -> f64 {
    scrape.value("config_last_reload_success_timestamp_seconds").unwrap()
}

fn nlb_limit(scrape: &Scrape) -> Option<f64> {
    scrape.value("quota_limit{quota=\"network_load_balancers\"}")
}

#[tokio::test]
async fn a_file_that_is_being_written_changes_nothing_and_the_whole_one_is_taken() {
    let running = Running::start(GOOD).await;
    running.shows("the override holds", |scrape| nlb_limit(scrape) == Some(77.0)).await;
    let started = loaded_at(&running.daemon.scrape().await);
    let next = "policy:\n  target_series: not_healthy\n  quota_overrides: {network_load_balancers: 88}\n";
    // Each of these ends in the middle of a word, a value or a bracket.
    for end in ["  target_ser", "not_hea", "network_load_bal", ": {network_load_balancers: 8"] {
        let at = next.find(end).unwrap() + end.len();
        running.write(&next[..at]);
        let scrape = running.reload(REFUSED).await;
        assert_eq!(scrape.value("config_last_reload_successful"), Some(0.0), "{end:?}");
        assert_eq!(loaded_at(&scrape), started, "{end:?}: the time of the last good load");
        assert_eq!(nlb_limit(&scrape), Some(77.0), "{end:?}");
    }
    // Alone it would be a good one, of the defaults.
    running.write("");
    let scrape = running.reload(REFUSED).await;
    assert_eq!((scrape.value("config_last_reload_successful"), nlb_limit(&scrape)), (Some(0.0), Some(77.0)));
    fs::remove_file(running.folder.path().join("config.yaml")).unwrap();
    let scrape = running.reload(REFUSED).await;
    assert_eq!((scrape.value("config_last_reload_successful"), nlb_limit(&scrape)), (Some(0.0), Some(77.0)));

    running.write(next);
    let scrape = running.reload(TAKEN).await;
    assert_eq!(scrape.value("config_last_reload_successful"), Some(1.0));
    assert!(loaded_at(&scrape) > started);
    running.shows("the new override holds", |scrape| nlb_limit(scrape) == Some(88.0)).await;
}

#[tokio::test]
async fn a_change_that_needs_a_restart_is_named_and_the_rest_is_taken() {
    let running = Running::start(GOOD).await;
    let warning = "a change of them needs a restart";
    running
        .write(&format!("aws:\n  refresh_seconds: {{tags: 60}}\nkubernetes: {{context: other}}\n{}", GOOD.replace("77", "99")));
    running.reload(TAKEN).await;
    let log = running.daemon.program.output();
    let line = log.lines().find(|line| line.contains(warning)).unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains("aws.refresh_seconds.tags,kubernetes.context"), "{line}");
    running.shows("the policy holds", |scrape| nlb_limit(scrape) == Some(99.0)).await;
    running.write(&GOOD.replace("77", "66"));
    running.reload(TAKEN).await;
    assert_eq!(running.said(warning), 1, "nothing of that is changed any more");
}

/// An Alertmanager that records the names of the alerts it hears of.
struct Receiver {
    url: String,
    heard: Arc<Mutex<BTreeSet<String>>>,
    _task: JoinSet<()>,
}

impl Receiver {
    async fn start() -> Self {
        let heard = Arc::<Mutex<BTreeSet<String>>>::default();
        let accept = async |State(heard): State<Arc<Mutex<BTreeSet<String>>>>, axum::Json(alerts): axum::Json<Vec<Value>>| {
            let names = alerts.iter().map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned());
            heard.lock().unwrap().extend(names);
        };
        let app = Router::new().route("/api/v2/alerts", get(async || axum::Json(Vec::<Value>::new())).post(accept));
        let app = app.with_state(Arc::clone(&heard));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut task = JoinSet::new();
        task.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, heard, _task: task }
    }

    async fn hears_of(&self, alert: &str) {
        eventually(alert, DEADLINE, async || {
            let heard = self.heard.lock().unwrap();
            if heard.contains(alert) { Ok(()) } else { Err(heard.clone()) }
        })
        .await;
    }
}

fn alerting(receivers: &[&Receiver]) -> String {
    let entries: Vec<_> = receivers.iter().map(|receiver| format!("  - url: {}\n", receiver.url)).collect();
    format!(
        "{GOOD}alerting:\n  external_labels: {{cluster: demo}}\n  resend_delay_seconds: 1\n  alertmanagers:\n{}  thresholds:\n    NLBTargetsFailing: {{warning: {{for: 1s}}}}\n",
        entries.concat()
    )
}

#[tokio::test]
async fn alertmanagers_and_thresholds_are_taken_by_a_reload() {
    let running = Running::start(GOOD).await;
    let (first, second) = (Receiver::start().await, Receiver::start().await);
    assert!(running.daemon.scrape().await.family("alerts").is_empty(), "nobody is told yet");
    running.write(&alerting(&[&first]));
    running.reload(TAKEN).await;
    // With the rule's own wait this would take a quarter of an hour.
    first.hears_of("NLBTargetsFailing").await;

    running.write(&alerting(&[&first, &second]));
    running.reload(TAKEN).await;
    second.hears_of("NLBTargetsFailing").await;

    // What can fail is tried before anything is taken.
    let off = alerting(&[&first]).replace("target_series: all", "target_series: 'off'");
    let broken = format!("{off}  alertmanager: []\n");
    let entry = format!("  - url: {}\n", first.url);
    let no_such_file = off.replace(&entry, "  - url: https://127.0.0.1:9\n    tls_config: {ca_file: /does/not/exist.pem}\n");
    for (text, named) in [(broken, "alertmanager"), (no_such_file, "/does/not/exist.pem")] {
        running.write(&text);
        let (status, words) = post(&running.daemon.url("/-/reload"), "").await.unwrap();
        assert!(status >= 500 && words.contains(named), "{status}: {words}");
        let scrape = running.daemon.scrape().await;
        assert_eq!(scrape.value("config_last_reload_successful"), Some(0.0));
        assert!(!scrape.family("target_health").is_empty(), "the policy before stays in force");
    }
    let sent = |scrape: &Scrape| scrape.value(&format!("notifications_sent_total{{receiver=\"{}\"}}", second.url));
    let before = sent(&running.daemon.scrape().await);
    running.shows("the receivers before go on hearing", |scrape| sent(scrape) > before).await;
}

#[tokio::test]
async fn without_a_file_a_hangup_is_answered_in_the_log_and_ends_nothing() {
    let daemon = Daemon::start(["demo"]).await;
    let id = daemon.program.id().to_string();
    assert!(Command::new("kill").args(["-s", "HUP", &id]).status().unwrap().success());
    eventually("it is said", DEADLINE, async || {
        if daemon.program.output().contains("there is no --config.file to read again") { Ok(()) } else { Err("not yet") }
    })
    .await;
    assert_eq!(daemon.scrape().await.value("config_last_reload_successful"), Some(1.0));
}

#[tokio::test]
async fn a_hangup_before_it_listens_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    // What takes a moment before the daemon listens.
    fs::write(&path, "alerting:\n  external_labels: {cluster: a}\n  alertmanagers:\n  - dns: {name: nobody.invalid}\n").unwrap();
    let mut command = exporter();
    command.args(["--web.listen-address", "127.0.0.1:0", "--config.file", &path.display().to_string()]);
    let mut program = Program::start(command.env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", folder.path()));
    eventually("it starts", DEADLINE, async || if program.output().contains("Starting") { Ok(()) } else { Err("not yet") }).await;
    assert!(Command::new("kill").args(["-s", "HUP", &program.id().to_string()]).status().unwrap().success());
    eventually("it reads again", DEADLINE, async || if program.output().contains(TAKEN) { Ok(()) } else { Err("not yet") }).await;
    assert_eq!(program.exit_code(), None);
}
