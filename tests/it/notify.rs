//! Does every Alertmanager hear of every alert, whatever the others do? Receivers that misbehave, on loopback.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use eks_nlb_exporter::checks::CHECKS;
use eks_nlb_exporter::checks::model::{CheckRun, Family, Label, Outcome, Sample, Severity};
use eks_nlb_exporter::config::alerting::{Alerting, Alertmanager, Authorization, BasicAuth, Dns};
use eks_nlb_exporter::expose::own::OwnMetrics;
use eks_nlb_exporter::notify::lifecycle::Count;
use eks_nlb_exporter::notify::{self, NotificationObserver, Notifier, NotifySettings};
use eks_nlb_exporter::rules::{Rule, RuleGroup, Rules};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::support::{Daemon, eventually, free_port};

/// No step takes this long unless it is stuck.
const DEADLINE: Duration = Duration::from_secs(30);

/// What a receiver answers to the next requests; then it accepts everything.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Status(StatusCode),
    Never,
}

#[derive(Debug, Default)]
struct Heard {
    alerts: Vec<Value>,
    headers: Vec<HeaderMap>,
    answers: VecDeque<Answer>,
    holds: Vec<Value>,
}

/// An Alertmanager that records.
struct Receiver {
    address: SocketAddr,
    heard: Arc<Mutex<Heard>>,
    _task: JoinSet<()>,
}

impl Receiver {
    async fn start(answers: &[Answer]) -> Self {
        let heard = Arc::new(Mutex::new(Heard { answers: answers.iter().copied().collect(), ..Heard::default() }));
        let route = get(held).post(accept);
        let app = Router::new().route("/prefix/api/v2/alerts", route.clone()).route("/api/v2/alerts", route);
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut task = JoinSet::new();
        let app = app.with_state(Arc::clone(&heard));
        task.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, heard, _task: task }
    }

    fn entry(&self) -> Alertmanager {
        Alertmanager { url: Some(format!("http://{}", self.address)), ..Alertmanager::default() }
    }

    /// What it accepted of alerts about one Service, as `starts/ends`.
    fn about(&self, service: &str) -> Vec<(String, String)> {
        let heard = self.heard.lock().unwrap();
        let of = heard.alerts.iter().filter(|alert| alert["labels"]["service"] == service);
        of.map(|alert| (alert["startsAt"].to_string(), alert["endsAt"].to_string())).collect()
    }

    async fn hears_of(&self, service: &str) {
        eventually("the alert arrives", DEADLINE, async || if self.about(service).is_empty() { Err(()) } else { Ok(()) }).await;
    }
}

async fn held(State(heard): State<Arc<Mutex<Heard>>>) -> axum::Json<Vec<Value>> {
    axum::Json(heard.lock().unwrap().holds.clone())
}

async fn accept(State(heard): State<Arc<Mutex<Heard>>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let answer = heard.lock().unwrap().answers.pop_front();
    match answer {
        Some(Answer::Status(status)) => status,
        Some(Answer::Never) => std::future::pending().await,
        None => {
            let mut heard = heard.lock().unwrap();
            heard.headers.push(headers);
            let alerts: Vec<Value> = serde_json::from_slice(&body).unwrap();
            heard.alerts.extend(alerts);
            StatusCode::OK
        }
    }
}

/// Counts by receiver: sent, failed, dropped.
#[derive(Debug, Default)]
struct Counts(Mutex<BTreeMap<String, [usize; 3]>>);

impl Counts {
    fn add(&self, receiver: &str, place: usize, alerts: usize) {
        self.0.lock().unwrap().entry(receiver.to_owned()).or_default()[place] += alerts;
    }

    fn of(&self, receiver: &Receiver) -> [usize; 3] {
        self.0.lock().unwrap()[&format!("http://{}", receiver.address)]
    }
}

impl NotificationObserver for Counts {
    fn known(&self, receiver: &str) {
        self.add(receiver, 0, 0);
    }

    fn sent(&self, receiver: &str, alerts: usize) {
        self.add(receiver, 0, alerts);
    }

    fn failed(&self, receiver: &str, alerts: usize) {
        self.add(receiver, 1, alerts);
    }

    fn dropped(&self, receiver: &str, alerts: usize) {
        self.add(receiver, 2, alerts);
    }

    fn alerts(&self, _: Count) {}
}

const URL: &str = "http://exporter:10669/";

fn settings(alertmanagers: Vec<Alertmanager>) -> NotifySettings {
    NotifySettings {
        alerting: Alerting { alertmanagers, resend_delay_seconds: 1, external_url: Some(URL.to_owned()), ..Alerting::default() },
        rules: rules(Duration::ZERO),
        blind_limit: Duration::from_secs(1800),
        generator_url: URL.into(),
    }
}

/// One rule: a Service has drifted for so long.
fn rules(hold: Duration) -> Rules {
    let rule = Rule {
        name: "NLBAnnotationDrift",
        severity: Severity::Warning,
        expr: "eks_nlb_service_drifted_annotations > 0".to_owned(),
        hold,
        keep_firing: Duration::ZERO,
        identity: &["namespace", "service"],
        annotations: BTreeMap::from([("summary", "AWS is not as annotated.".to_owned())]),
        code: None,
        needs_history: false,
    };
    Rules { groups: vec![RuleGroup { name: "test", records: Vec::new(), alerts: vec![rule] }] }
}

/// A picture in which these Services have drifted.
fn picture(services: &[&str]) -> Option<Arc<Outcome>> {
    let mut families = CHECKS.iter().flat_map(|check| check.families.iter().copied());
    let description = families.find(|family| family.name == "service_drifted_annotations").unwrap();
    let sample =
        |service: &&str| Sample { labels: Box::new([Label::from("pay"), Label::from((*service).to_owned())]), value: 1.0 };
    let runs = CHECKS.iter().map(|check| CheckRun { check: check.name, success: true, duration: Duration::ZERO, blind: false });
    Some(Arc::new(Outcome {
        evaluated_at: eks_nlb_exporter::clock::now(),
        families: vec![Family::new(description, services.iter().map(sample).collect())],
        findings: Vec::new(),
        muted: Vec::new(),
        runs: runs.collect(),
    }))
}

/// A notifier that runs, and what it looks at.
struct Running {
    pictures: watch::Sender<Option<Arc<Outcome>>>,
    counts: Arc<Counts>,
    _task: JoinSet<()>,
}

async fn run(settings: &NotifySettings) -> Running {
    let counts = Arc::new(Counts::default());
    let observer: Arc<dyn NotificationObserver> = Arc::<Counts>::clone(&counts);
    let notifier = Notifier::new(settings, observer).await.unwrap();
    let pictures = watch::Sender::new(None);
    let mut task = JoinSet::new();
    task.spawn(notifier.run(pictures.subscribe()));
    Running { pictures, counts, _task: task }
}

#[tokio::test]
async fn a_successor_goes_on_with_the_alerts_and_tells_its_own_receivers_at_their_next_turn() {
    let (before, after) = (Receiver::start(&[]).await, Receiver::start(&[]).await);
    let counts: Arc<dyn NotificationObserver> = Arc::new(Counts::default());
    let notifier =
        async |receiver: &Receiver| Notifier::new(&settings(vec![receiver.entry()]), Arc::clone(&counts)).await.unwrap();
    let pictures = watch::Sender::new(picture(&["ledger"]));
    let (successors, coming) = mpsc::unbounded_channel();
    let mut task = JoinSet::new();
    task.spawn(notify::run(Some(notifier(&before).await), pictures.subscribe(), coming));
    before.hears_of("ledger").await;
    let (start, _) = before.about("ledger")[0].clone();

    successors.send(Some(notifier(&after).await)).unwrap();
    after.hears_of("ledger").await;
    assert_eq!(after.about("ledger")[0].0, start, "the alert fires since it fired first");

    // Nobody for a while, then somebody again: what holds fires anew.
    successors.send(None).unwrap();
    successors.send(Some(notifier(&before).await)).unwrap();
    let heard = before.about("ledger").len();
    eventually("the first receiver hears again", DEADLINE, async || {
        if before.about("ledger").len() > heard { Ok(()) } else { Err(before.about("ledger").len()) }
    })
    .await;
    assert!(task.try_join_next().is_none(), "the notifier goes on");
}

#[tokio::test]
async fn an_alert_is_repeated_while_it_fires_and_its_end_is_told() {
    let receiver = Receiver::start(&[]).await;
    let running = run(&settings(vec![receiver.entry()])).await;
    running.pictures.send_replace(picture(&["ledger"]));
    eventually("it is repeated", DEADLINE, async || match receiver.about("ledger").as_slice() {
        [(start, end), (again, later), ..] if start == again && later > end => Ok(()),
        said => Err(format!("{said:?}")),
    })
    .await;
    running.pictures.send_replace(picture(&[]));
    eventually("its end is told", DEADLINE, async || {
        let now = format!("\"{}\"", eks_nlb_exporter::clock::now());
        receiver.about("ledger").last().filter(|(_, end)| *end < now).map(|_| ()).ok_or("it still fires")
    })
    .await;
    let alert = receiver.heard.lock().unwrap().alerts[0].clone();
    assert_eq!(
        alert["labels"],
        serde_json::json!({"alertname": "NLBAnnotationDrift", "severity": "warning", "namespace": "pay", "service": "ledger"})
    );
    assert_eq!((&alert["generatorURL"], &alert["annotations"]["summary"]), (&URL.into(), &"AWS is not as annotated.".into()));
}

#[tokio::test]
async fn a_receiver_that_fails_or_hangs_or_is_not_there_delays_no_other() {
    let good = Receiver::start(&[]).await;
    let failing = Receiver::start(&[Answer::Status(StatusCode::INTERNAL_SERVER_ERROR); 2]).await;
    let hanging = Receiver::start(&[Answer::Never; 1000]).await;
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let slow = Alertmanager { timeout_seconds: Some(1), ..hanging.entry() };
    let absent = Alertmanager { url: Some(nobody.clone()), ..Alertmanager::default() };
    let running = run(&settings(vec![slow, absent, failing.entry(), good.entry()])).await;
    running.pictures.send_replace(picture(&["ledger"]));
    good.hears_of("ledger").await;
    failing.hears_of("ledger").await;
    eventually("failures are counted", DEADLINE, async || {
        let counts = running.counts.0.lock().unwrap().clone();
        let failed = |receiver: &str| counts[receiver][1] > 0 && counts[receiver][0] == 0;
        if failed(&nobody) && failed(&format!("http://{}", hanging.address)) { Ok(()) } else { Err(counts) }
    })
    .await;
    assert_eq!(running.counts.of(&failing)[1], 2, "it was tried again until it was accepted");
    assert_eq!(running.counts.of(&good)[1..], [0, 0]);
}

#[tokio::test]
async fn alerts_that_are_refused_are_counted_and_not_pressed_upon_the_receiver() {
    let receiver = Receiver::start(&[Answer::Status(StatusCode::BAD_REQUEST)]).await;
    let mut settings = settings(vec![receiver.entry()]);
    settings.alerting.resend_delay_seconds = 3600;
    let running = run(&settings).await;
    running.pictures.send_replace(picture(&["ledger"]));
    eventually("the refusal is counted", DEADLINE, async || match running.counts.of(&receiver) {
        [0, 1, 0] => Ok(()),
        counts => Err(counts),
    })
    .await;
    running.pictures.send_replace(picture(&["ledger", "other"]));
    receiver.hears_of("other").await;
    assert!(receiver.about("ledger").is_empty(), "it was refused, and its next turn is an hour away");
}

#[tokio::test]
async fn a_restart_makes_no_second_start_and_ends_what_ended_meanwhile() {
    let receiver = Receiver::start(&[]).await;
    let held = |service: &str| {
        let now = eks_nlb_exporter::clock::now();
        serde_json::json!({
            "labels": {"alertname": "NLBAnnotationDrift", "severity": "warning", "namespace": "pay", "service": service},
            "annotations": {}, "startsAt": "2026-01-01T00:00:00.000Z", "endsAt": now + Duration::from_secs(100), "generatorURL": URL,
        })
    };
    receiver.heard.lock().unwrap().holds = vec![held("goes-on"), held("ended")];
    let mut settings = settings(vec![receiver.entry()]);
    settings.rules = rules(Duration::from_secs(3600));
    let running = run(&settings).await;
    receiver.hears_of("goes-on").await;
    running.pictures.send_replace(picture(&["goes-on", "new"]));
    eventually("the end is told", DEADLINE, async || {
        let now = format!("\"{}\"", eks_nlb_exporter::clock::now());
        receiver.about("ended").last().filter(|(_, end)| *end < now).map(|_| ()).ok_or("it still fires")
    })
    .await;
    assert!(receiver.about("goes-on").iter().all(|(start, _)| start == "\"2026-01-01T00:00:00Z\""));
    assert!(receiver.about("new").is_empty(), "what is new waits as ever");
}

#[tokio::test]
async fn a_name_stands_for_its_addresses_and_credentials_come_from_files() {
    let receiver = Receiver::start(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let (password, token) = (folder.path().join("password"), folder.path().join("token"));
    std::fs::write(&password, "s3cret\n").unwrap();
    std::fs::write(&token, "t0ken\n").unwrap();
    let basic = BasicAuth { username: "nlb".to_owned(), password_file: password };
    let bearer = Authorization { scheme: "Bearer".to_owned(), credentials_file: token.clone() };
    let dns = Dns {
        name: "localhost".to_owned(),
        port: receiver.address.port(),
        scheme: "http".to_owned(),
        path_prefix: "/prefix".to_owned(),
    };
    let settings = settings(vec![
        Alertmanager { dns: Some(dns), basic_auth: Some(basic), ..Alertmanager::default() },
        Alertmanager { authorization: Some(bearer), ..receiver.entry() },
    ]);
    let running = run(&settings).await;
    running.pictures.send_replace(picture(&["ledger"]));
    let header_arrives = async |expected: &str| {
        eventually("the header arrives", DEADLINE, async || {
            let heard = receiver.heard.lock().unwrap();
            let found = heard.headers.iter().any(|headers| headers["authorization"] == expected);
            if found { Ok(()) } else { Err(heard.headers.clone()) }
        })
        .await;
    };
    header_arrives("Basic bmxiOnMzY3JldA==").await;
    header_arrives("Bearer t0ken").await;
    std::fs::write(&token, "rotated").unwrap();
    header_arrives("Bearer rotated").await;
}

#[tokio::test]
async fn what_cannot_be_set_up_is_said_at_the_start() {
    let tls = eks_nlb_exporter::config::alerting::TlsConfig { ca_file: Some("/nowhere/ca.pem".into()), ..Default::default() };
    let entry = Alertmanager { url: Some("https://am:9093".to_owned()), tls_config: tls, ..Alertmanager::default() };
    let observer: Arc<dyn NotificationObserver> = OwnMetrics::new();
    let error = Notifier::new(&settings(vec![entry]), observer).await.unwrap_err().to_string();
    assert!(error.starts_with("alerting.alertmanagers: tls_config.ca_file /nowhere/ca.pem cannot be used: "), "{error}");
}

#[tokio::test]
async fn a_receiver_that_refuses_for_ever_is_told_once() {
    let receiver = Receiver::start(&[Answer::Status(StatusCode::UNAUTHORIZED); 1_000]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    let text = format!(
        "alerting:\n  external_labels: {{cluster: demo}}\n  resend_delay_seconds: 1\n  alertmanagers:\n  - url: http://{}\n  \
         thresholds:\n    NLBTargetsFailing: {{warning: {{for: 1s}}}}\n",
        receiver.address
    );
    std::fs::write(&path, text).unwrap();
    let daemon = Daemon::start(["demo", "--config.file", &path.display().to_string()]).await;
    eventually("it is refused again and again", DEADLINE * 2, async || {
        let left = receiver.heard.lock().unwrap().answers.len();
        if left <= 996 { Ok(()) } else { Err(left) }
    })
    .await;
    let log = daemon.program.output();
    let said = |words: &str| log.matches(words).count();
    assert_eq!((said("some alerts were refused"), said("alerts were not delivered")), (1, 0), "{log}");
}
