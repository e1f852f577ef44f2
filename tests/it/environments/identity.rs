//! Are the identities of EKS used, renewed, and their failures named? A small STS and a small agent of EKS Pod Identity on loopback.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use eks_nlb_exporter::clock;
use eks_nlb_exporter::simulator::{self, Simulator, SimulatorSettings};
use jiff::SignedDuration;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::proxy::{Proxy, command};
use crate::support::{Daemon, eventually};

const PATIENCE: Duration = Duration::from_secs(90);

/// Shorter than the SDK likes: it renews what runs out within ten seconds.
const LIFETIME: SignedDuration = SignedDuration::from_secs(14);

/// Who gives credentials, and what it heard.
#[derive(Clone, Default)]
struct Giver {
    /// Tokens that it was shown.
    tokens: Arc<Mutex<Vec<String>>>,
    /// What it says instead of giving any: status and code.
    refusal: Arc<Mutex<Option<(StatusCode, &'static str)>>>,
}

impl Giver {
    fn refuse(&self, refusal: Option<(StatusCode, &'static str)>) {
        *self.refusal.lock().unwrap() = refusal;
    }

    fn shown(&self, token: &str) -> usize {
        self.tokens.lock().unwrap().iter().filter(|shown| *shown == token).count()
    }
}

/// `AssumeRoleWithWebIdentity`.
async fn sts(State(giver): State<Giver>, body: String) -> Response {
    let value = |name: &str| {
        let pair = body.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        pair.unwrap_or_default().to_owned()
    };
    assert_eq!(value("Action"), "AssumeRoleWithWebIdentity");
    assert_eq!(value("RoleArn"), "arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fexporter");
    giver.tokens.lock().unwrap().push(value("WebIdentityToken"));
    if let Some((status, code)) = *giver.refusal.lock().unwrap() {
        let text = format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>{code}</Code>\
             <Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message></Error><RequestId>1</RequestId></ErrorResponse>"
        );
        return (status, text).into_response();
    }
    let expiration = clock::now() + LIFETIME;
    format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleWithWebIdentityResult>\
         <Credentials><AccessKeyId>ASIASIMULATED</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken>\
         <Expiration>{expiration:.0}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
         <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleWithWebIdentityResponse>"
    )
    .into_response()
}

/// The agent on the node.
async fn agent(State(giver): State<Giver>, headers: HeaderMap) -> Response {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    giver.tokens.lock().unwrap().push(token.to_owned());
    if let Some((status, code)) = *giver.refusal.lock().unwrap() {
        return (status, code).into_response();
    }
    let expiration = format!("{:.0}", clock::now() + LIFETIME);
    let credentials = json!({
        "AccessKeyId": "ASIASIMULATED", "SecretAccessKey": "secret", "Token": "session", "AccountId": "123456789012",
        "Expiration": expiration,
    });
    ([("content-type", "application/json")], credentials.to_string()).into_response()
}

/// Everything on loopback: the giver, the simulated AWS and cluster, the file with the pod's token.
struct Pod {
    giver: Giver,
    giver_url: String,
    simulator: Simulator,
    token: PathBuf,
    folder: tempfile::TempDir,
    _task: JoinSet<()>,
}

impl Pod {
    async fn new() -> Self {
        let giver = Giver::default();
        let routes = Router::new().route("/", post(sts)).route("/v1/credentials", get(agent)).with_state(giver.clone());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let giver_url = format!("http://{}", listener.local_addr().unwrap());
        let mut task = JoinSet::new();
        task.spawn(async move { axum::serve(listener, routes).await.unwrap() });
        let simulator = simulator::start(SimulatorSettings::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("kubeconfig"), simulator.kubeconfig()).unwrap();
        let token = folder.path().join("token");
        std::fs::write(&token, "first").unwrap();
        Self { giver, giver_url, simulator, token, folder, _task: task }
    }

    /// The daemon with this identity; lists are read every two seconds, so that credentials are needed all the time.
    async fn daemon(&self, identity: &[(&str, &str)]) -> Daemon {
        let config = self.folder.path().join("config.yaml");
        let often = json!({"aws": {
            "refresh_seconds": {"load_balancers": 2, "subnets": 2},
            "requests_per_second": {"elasticloadbalancing": 50, "ec2": 50},
        }});
        std::fs::write(&config, often.to_string()).unwrap();
        let mut command = command(identity);
        command
            .env("AWS_REGION", "us-east-1")
            .env("KUBECONFIG", self.folder.path().join("kubeconfig"))
            // Of two the last one holds: the simulated cluster's own name.
            .env("EKS_NLB_CONFIG_FILE", config)
            .args(["--aws.endpoint-url", &self.simulator.aws_url]);
        Daemon::start_command(&mut command).await
    }

    fn irsa(&self) -> [(&'static str, String); 3] {
        [
            ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/exporter".to_owned()),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", self.token.display().to_string()),
            ("AWS_ENDPOINT_URL_STS", self.giver_url.clone()),
        ]
    }

    fn pod_identity(&self) -> [(&'static str, String); 2] {
        [
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/v1/credentials", self.giver_url)),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", self.token.display().to_string()),
        ]
    }
}

fn borrowed<'a>(variables: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    variables.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// Whether lists are up, and why not.
async fn lists_are(daemon: &Daemon, up: f64) -> Result<(), String> {
    let scrape = daemon.scrape().await;
    let found = scrape.value("source_up{source=\"aws_load_balancers\"}");
    if found == Some(up) { Ok(()) } else { Err(format!("{found:?}")) }
}

/// Credentials are given, run out, are given again for a token that was written anew, refused, and given again.
async fn lives_through(pod: &Pod, identity: &[(&'static str, String)], refusal: (StatusCode, &'static str)) {
    let daemon = pod.daemon(&borrowed(identity)).await;
    eventually("AWS is asked with what was given for the token", PATIENCE, async || lists_are(&daemon, 1.0).await).await;
    assert!(pod.giver.shown("first") > 0);

    std::fs::write(&pod.token, "second").unwrap();
    eventually("the rotated token is read", PATIENCE, async || {
        if pod.giver.shown("second") > 0 { Ok(()) } else { Err(pod.giver.tokens.lock().unwrap().len()) }
    })
    .await;
    lists_are(&daemon, 1.0).await.unwrap();

    pod.giver.refuse(Some(refusal));
    eventually("the lists fail once the credentials have run out", PATIENCE, async || lists_are(&daemon, 0.0).await).await;
    let expired = "aws_api_request_failures_total{api_service=\"elasticloadbalancing\",operation=\"DescribeLoadBalancers\",reason=\"expired\"}";
    eventually("the reason is counted", PATIENCE, async || {
        let scrape = daemon.scrape().await;
        if scrape.value(expired).is_some_and(|count| count > 0.0) {
            Ok(())
        } else {
            Err(scrape.family("aws_api_request_failures_total"))
        }
    })
    .await;
    // What was known stays, and is not taken for empty.
    assert!(!daemon.scrape().await.family("load_balancer_info").is_empty());
    pod.giver.refuse(None);
    eventually("it goes on by itself", PATIENCE, async || lists_are(&daemon, 1.0).await).await;
}

#[tokio::test]
async fn irsa_reads_a_rotated_token_and_survives_a_refusal() {
    let pod = Pod::new().await;
    lives_through(&pod, &pod.irsa(), (StatusCode::FORBIDDEN, "AccessDenied")).await;
}

#[tokio::test]
async fn pod_identity_reads_a_rotated_token_and_survives_a_refusal() {
    let pod = Pod::new().await;
    lives_through(&pod, &pod.pod_identity(), (StatusCode::FORBIDDEN, "AccessDeniedException")).await;
}

#[tokio::test]
async fn a_role_that_does_not_trust_the_pod_is_named_from_the_start() {
    let pod = Pod::new().await;
    pod.giver.refuse(Some((StatusCode::FORBIDDEN, "AccessDenied")));
    let daemon = pod.daemon(&borrowed(&pod.irsa())).await;
    eventually("every source of AWS is down, and the log says why", PATIENCE, async || {
        lists_are(&daemon, 0.0).await?;
        let log = daemon.program.output();
        let said = log.contains("sts:AssumeRoleWithWebIdentity") && log.contains("AccessDenied");
        if said { Ok(()) } else { Err(log) }
    })
    .await;
    let (status, body) = crate::support::get(&daemon.url("/-/ready")).await.unwrap();
    assert_eq!(status, 503, "{body}");
    let (status, _) = crate::support::get(&daemon.url("/-/healthy")).await.unwrap();
    assert_eq!(status, 200, "a restart would help nobody");
    pod.giver.refuse(None);
    eventually("it goes on by itself", PATIENCE, async || lists_are(&daemon, 1.0).await).await;
}

#[tokio::test]
async fn irsa_asks_sts_of_its_own_region() {
    let pod = Pod::new().await;
    let proxy = Proxy::start().await;
    for (region, host) in
        [("ap-southeast-2", "sts.ap-southeast-2.amazonaws.com:443"), ("cn-north-1", "sts.cn-north-1.amazonaws.com.cn:443")]
    {
        let (url, token) = (proxy.url(), pod.token.display().to_string());
        let identity = [
            ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/exporter"),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", &*token),
            ("AWS_REGION", region),
            ("HTTPS_PROXY", &*url),
        ];
        let _daemon = Daemon::start_command(command(&identity).env("KUBECONFIG", "/dev/null")).await;
        eventually("STS is asked", PATIENCE, async || {
            let heard = proxy.heard();
            if heard.contains(host) { Ok(()) } else { Err(heard) }
        })
        .await;
    }
    let others: Vec<_> = proxy.heard().into_iter().filter(|host| !host.starts_with("sts.")).collect();
    assert!(others.is_empty(), "nobody is asked without credentials: {others:?}");
}

#[tokio::test]
async fn an_agent_behind_a_proxy_is_told_as_such() {
    let pod = Pod::new().await;
    let proxy = Proxy::start().await;
    let url = proxy.url();
    let identity = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", pod.token.to_str().unwrap()),
        ("AWS_REGION", "eu-west-1"),
        ("HTTP_PROXY", &*url),
    ];
    let daemon = Daemon::start_command(command(&identity).env("KUBECONFIG", "/dev/null")).await;
    eventually("it is said that NO_PROXY lacks the agent", PATIENCE, async || {
        let log = daemon.program.output();
        if log.contains("NO_PROXY has to name it") { Ok(()) } else { Err(log) }
    })
    .await;
    assert_eq!(proxy.heard(), ["169.254.170.23".to_owned()].into());
}
