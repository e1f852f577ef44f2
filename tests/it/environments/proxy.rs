//! Which hosts are called, and through whom? A proxy on loopback that writes down what it is asked for and refuses all of it, so that
//! nothing leaves this machine.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use eks_nlb_exporter::simulator::{self, SimulatorSettings};
use futures::StreamExt;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::support::{Daemon, Program, eventually, exporter, free_port};

const PATIENCE: Duration = Duration::from_secs(60);

/// An API server that no name server knows.
const API_SERVER: &str = "api.cluster.example";

/// A proxy that refuses.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    heard: Arc<Mutex<BTreeSet<String>>>,
    _task: JoinSet<()>,
}

impl Proxy {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::<Mutex<BTreeSet<String>>>::default();
        let mut task = JoinSet::new();
        let into = Arc::clone(&heard);
        task.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(refuse(stream, Arc::clone(&into)));
            }
        });
        Self { address, heard, _task: task }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked for: `HOST:PORT` of tunnels, and the URL's host of what came without one.
    pub(super) fn heard(&self) -> BTreeSet<String> {
        self.heard.lock().unwrap().clone()
    }
}

async fn refuse(mut stream: TcpStream, heard: Arc<Mutex<BTreeSet<String>>>) {
    let (mut head, mut buffer) = (Vec::new(), [0; 2048]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(count) if count > 0 => head.extend_from_slice(&buffer[..count]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.split(' ').nth(1).unwrap_or_default();
    let host = target.strip_prefix("http://").map_or(target, |rest| rest.split('/').next().unwrap_or_default());
    heard.lock().unwrap().insert(host.to_owned());
    let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
}

/// The daemon with nothing of the caller's environment that could lead it anywhere, and these variables.
pub(super) fn command(variables: &[(&str, &str)]) -> Command {
    let mut command = exporter();
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy().to_uppercase();
        if ["AWS_", "EKS_NLB_", "KUBE"].iter().any(|prefix| text.starts_with(prefix)) || text.ends_with("_PROXY") {
            command.env_remove(name);
        }
    }
    command
        .args(["--cluster-name", "prod", "--web.listen-address", "127.0.0.1:0", "--log.format", "json"])
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(variables.iter().copied());
    command
}

const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")];

/// A kubeconfig for an API server that has to be looked for by name.
fn kubeconfig(folder: &tempfile::TempDir, more: &str) -> String {
    let path = folder.path().join("kubeconfig");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters:\n- name: a\n  cluster: {{server: 'https://{API_SERVER}'{more}}}\n\
         contexts:\n- name: a\n  context: {{cluster: a, user: a}}\nusers:\n- name: a\n  user: {{}}\n"
    );
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// The hosts of AWS by which a configuration is known: Region, variables, and a host each of ELBv2, EC2, Service Quotas, STS, EKS.
type Place = (&'static str, &'static [(&'static str, &'static str)], [&'static str; 5]);

const FIPS: (&str, &str) = ("AWS_USE_FIPS_ENDPOINT", "true");
const DUAL_STACK: (&str, &str) = ("AWS_USE_DUALSTACK_ENDPOINT", "true");

const PLACES: &[Place] = &[
    (
        "eu-west-1",
        &[],
        [
            "elasticloadbalancing.eu-west-1.amazonaws.com",
            "ec2.eu-west-1.amazonaws.com",
            "servicequotas.eu-west-1.amazonaws.com",
            "sts.eu-west-1.amazonaws.com",
            "eks.eu-west-1.amazonaws.com",
        ],
    ),
    // Also where STS once was global: each Region's own endpoint, which a private cluster has.
    (
        "us-east-1",
        &[],
        [
            "elasticloadbalancing.us-east-1.amazonaws.com",
            "ec2.us-east-1.amazonaws.com",
            "servicequotas.us-east-1.amazonaws.com",
            "sts.us-east-1.amazonaws.com",
            "eks.us-east-1.amazonaws.com",
        ],
    ),
    (
        "us-east-1",
        &[("AWS_STS_REGIONAL_ENDPOINTS", "legacy")],
        [
            "elasticloadbalancing.us-east-1.amazonaws.com",
            "ec2.us-east-1.amazonaws.com",
            "servicequotas.us-east-1.amazonaws.com",
            "sts.us-east-1.amazonaws.com",
            "eks.us-east-1.amazonaws.com",
        ],
    ),
    (
        "us-east-1",
        &[FIPS],
        [
            "elasticloadbalancing-fips.us-east-1.amazonaws.com",
            "ec2-fips.us-east-1.amazonaws.com",
            "servicequotas-fips.us-east-1.amazonaws.com",
            "sts-fips.us-east-1.amazonaws.com",
            "fips.eks.us-east-1.amazonaws.com",
        ],
    ),
    (
        "eu-west-1",
        &[DUAL_STACK],
        [
            "elasticloadbalancing.eu-west-1.api.aws",
            "ec2.eu-west-1.api.aws",
            "servicequotas.eu-west-1.api.aws",
            "sts.eu-west-1.api.aws",
            "eks.eu-west-1.api.aws",
        ],
    ),
    (
        "us-gov-west-1",
        &[],
        [
            "elasticloadbalancing.us-gov-west-1.amazonaws.com",
            "ec2.us-gov-west-1.amazonaws.com",
            "servicequotas.us-gov-west-1.amazonaws.com",
            "sts.us-gov-west-1.amazonaws.com",
            "eks.us-gov-west-1.amazonaws.com",
        ],
    ),
    (
        "us-gov-west-1",
        &[FIPS],
        [
            "elasticloadbalancing.us-gov-west-1.amazonaws.com",
            "ec2.us-gov-west-1.amazonaws.com",
            "servicequotas.us-gov-west-1.amazonaws.com",
            "sts.us-gov-west-1.amazonaws.com",
            "eks.us-gov-west-1.amazonaws.com",
        ],
    ),
    (
        "cn-north-1",
        &[],
        [
            "elasticloadbalancing.cn-north-1.amazonaws.com.cn",
            "ec2.cn-north-1.amazonaws.com.cn",
            "servicequotas.cn-north-1.amazonaws.com.cn",
            "sts.cn-north-1.amazonaws.com.cn",
            "eks.cn-north-1.amazonaws.com.cn",
        ],
    ),
    (
        "us-iso-east-1",
        &[],
        [
            "elasticloadbalancing.us-iso-east-1.c2s.ic.gov",
            "ec2.us-iso-east-1.c2s.ic.gov",
            "servicequotas.us-iso-east-1.c2s.ic.gov",
            "sts.us-iso-east-1.c2s.ic.gov",
            "eks.us-iso-east-1.c2s.ic.gov",
        ],
    ),
    (
        "eusc-de-east-1",
        &[],
        [
            "elasticloadbalancing.eusc-de-east-1.amazonaws.eu",
            "ec2.eusc-de-east-1.amazonaws.eu",
            "servicequotas.eusc-de-east-1.amazonaws.eu",
            "sts.eusc-de-east-1.amazonaws.eu",
            "eks.eusc-de-east-1.amazonaws.eu",
        ],
    ),
];

#[tokio::test]
async fn every_service_is_called_at_its_own_host_and_through_the_proxy() {
    let wrong = Mutex::new(Vec::new());
    futures::stream::iter(PLACES)
        .for_each_concurrent(3, async |(region, variables, hosts)| {
            let proxy = Proxy::start().await;
            let url = proxy.url();
            let folder = tempfile::tempdir().unwrap();
            let kubeconfig = kubeconfig(&folder, "");
            // The proxy is among what NO_PROXY names, as one's own domain often is.
            let mut all = vec![("HTTPS_PROXY", &*url), ("NO_PROXY", "127.0.0.1,.svc"), ("AWS_REGION", region)];
            all.extend(KEYS.iter().chain(*variables));
            all.push(("KUBECONFIG", &kubeconfig));
            let daemon = Daemon::start_command(&mut command(&all)).await;
            let mut wanted: BTreeSet<String> = hosts.iter().map(|host| format!("{host}:443")).collect();
            wanted.insert(format!("{API_SERVER}:443"));
            eventually("as many hosts are called as there are services", PATIENCE, async || {
                let heard = proxy.heard();
                if heard.len() >= wanted.len() { Ok(()) } else { Err(heard) }
            })
            .await;
            let heard = proxy.heard();
            if heard != wanted {
                let differing: Vec<_> = heard.symmetric_difference(&wanted).cloned().collect();
                wrong.lock().unwrap().push(format!("{region} {variables:?}: {differing:?}"));
            }
            drop(daemon);
        })
        .await;
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn what_no_proxy_names_is_called_directly() {
    let proxy = Proxy::start().await;
    let (url, folder) = (proxy.url(), tempfile::tempdir().unwrap());
    let kubeconfig = kubeconfig(&folder, "");
    let no_proxy = format!("ec2.eu-west-1.amazonaws.com, .cluster.example,{}", "10.0.0.0/8");
    let mut all =
        vec![("https_proxy", &*url), ("no_proxy", &*no_proxy), ("AWS_REGION", "eu-west-1"), ("KUBECONFIG", &*kubeconfig)];
    all.extend(KEYS);
    let daemon = Daemon::start_command(&mut command(&all)).await;
    eventually("all were tried", PATIENCE, async || {
        let scrape = daemon.scrape().await;
        let failed = scrape.family("aws_api_request_failures_total");
        let tried = |service: &str| failed.iter().any(|(labels, count)| labels["api_service"] == service && *count > 0.0);
        let down = scrape.value("source_up{source=\"kube_services\"}") == Some(0.0);
        let services = ["ec2", "elasticloadbalancing", "servicequotas", "sts", "eks"];
        if down && services.iter().all(|service| tried(service)) { Ok(()) } else { Err(format!("{down} {failed:?}")) }
    })
    .await;
    let wanted: BTreeSet<String> =
        ["elasticloadbalancing", "servicequotas", "sts", "eks"].map(|it| format!("{it}.eu-west-1.amazonaws.com:443")).into();
    assert_eq!(proxy.heard(), wanted);
}

#[tokio::test]
async fn a_kubeconfigs_own_proxy_comes_before_the_environment() {
    let (own, other) = (Proxy::start().await, Proxy::start().await);
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = kubeconfig(&folder, &format!(", proxy-url: '{}'", own.url()));
    let url = other.url();
    let mut all = vec![("HTTPS_PROXY", &*url), ("AWS_REGION", "eu-west-1"), ("KUBECONFIG", &*kubeconfig)];
    all.extend(KEYS);
    let _daemon = Daemon::start_command(&mut command(&all)).await;
    let wanted = BTreeSet::from([format!("{API_SERVER}:443")]);
    eventually("the API server is asked for at its own proxy, AWS at the other", PATIENCE, async || {
        if own.heard() == wanted && other.heard().len() >= 5 { Ok(()) } else { Err((own.heard(), other.heard())) }
    })
    .await;
    assert!(!other.heard().contains(&format!("{API_SERVER}:443")));
}

#[tokio::test]
async fn every_service_can_have_an_endpoint_of_its_own() {
    let simulator = simulator::start(SimulatorSettings::default()).await.unwrap();
    let proxy = Proxy::start().await;
    let (url, folder) = (proxy.url(), tempfile::tempdir().unwrap());
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, simulator.kubeconfig()).unwrap();
    let kubeconfig = kubeconfig.display().to_string();
    let endpoint = simulator.aws_url.as_str();
    let mut all = vec![
        ("AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", endpoint),
        ("AWS_ENDPOINT_URL_EC2", endpoint),
        ("AWS_ENDPOINT_URL_SERVICE_QUOTAS", endpoint),
        ("AWS_ENDPOINT_URL_STS", endpoint),
        ("HTTPS_PROXY", &*url),
        ("AWS_REGION", "us-east-1"),
        ("KUBECONFIG", &*kubeconfig),
        // The simulated cluster's own name.
        ("EKS_NLB_CLUSTER_NAME", "demo"),
    ];
    all.extend(KEYS);
    let mut command = exporter();
    command.args(["--web.listen-address", "127.0.0.1:0", "--log.format", "json"]);
    command.env("AWS_EC2_METADATA_DISABLED", "true").env_remove("AWS_ENDPOINT_URL").envs(all);
    let daemon = Daemon::start_command(&mut command).await;
    daemon.ready(PATIENCE).await;
    // The one that has none is called where it always is.
    eventually("EKS is asked at AWS's own endpoint", PATIENCE, async || {
        let heard = proxy.heard();
        if heard == BTreeSet::from(["eks.us-east-1.amazonaws.com:443".to_owned()]) { Ok(()) } else { Err(heard) }
    })
    .await;
    let scrape = daemon.scrape().await;
    for source in ["aws_load_balancers", "aws_subnets", "aws_service_quotas"] {
        assert_eq!(scrape.value(&format!("source_up{{source=\"{source}\"}}")), Some(1.0), "{source}");
    }
    assert_eq!(scrape.value("source_up{source=\"aws_eks_cluster\"}"), Some(0.0));
}

#[tokio::test]
async fn alertmanagers_are_told_directly_whatever_the_environment_says() {
    let heard = Arc::<Mutex<usize>>::default();
    let accept = async |State(heard): State<Arc<Mutex<usize>>>| {
        *heard.lock().unwrap() += 1;
        "[]"
    };
    let route = axum::routing::get(async || "[]").post(accept);
    let app = Router::new().route("/api/v2/alerts", route).with_state(Arc::clone(&heard));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let alertmanager = format!("http://{}", listener.local_addr().unwrap());
    let mut task = JoinSet::new();
    task.spawn(async move { axum::serve(listener, app).await.unwrap() });

    let simulator = simulator::start(SimulatorSettings::default()).await.unwrap();
    simulator.world.edit(|world| {
        let name = world.load_balanced().next().unwrap().0.clone();
        let lb = world.load_balancer_of(&name).unwrap().clone();
        world.load_balancers.get_mut(&lb).unwrap().state = "failed".into();
    });
    let proxy = Proxy::start().await;
    let (url, folder) = (proxy.url(), tempfile::tempdir().unwrap());
    let (kubeconfig, config) = (folder.path().join("kubeconfig"), folder.path().join("config.yaml"));
    std::fs::write(&kubeconfig, simulator.kubeconfig()).unwrap();
    let text = json!({"alerting": {
        "alertmanagers": [{"url": alertmanager}],
        "thresholds": {"NLBLoadBalancerNotActive": {"critical": {"for": 1}}},
    }});
    std::fs::write(&config, text.to_string()).unwrap();
    let (kubeconfig, config) = (kubeconfig.display().to_string(), config.display().to_string());
    // What is plain HTTP here has the proxy for HTTPS only: AWS and the API server are on loopback.
    let all = [
        ("HTTPS_PROXY", &*url),
        ("HTTP_PROXY", &*url),
        ("NO_PROXY", simulator.aws_url.trim_start_matches("http://").split(':').next().unwrap()),
        ("AWS_ENDPOINT_URL", &*simulator.aws_url),
        ("AWS_REGION", "us-east-1"),
        ("KUBECONFIG", &*kubeconfig),
        ("EKS_NLB_CONFIG_FILE", &*config),
    ];
    let mut command = exporter();
    command.args(["--web.listen-address", "127.0.0.1:0", "--log.format", "json"]).envs(all).envs(KEYS);
    let _daemon = Daemon::start_command(&mut command).await;
    eventually("the alert arrives", PATIENCE, async || {
        let heard = *heard.lock().unwrap();
        if heard > 0 { Ok(()) } else { Err(heard) }
    })
    .await;
    assert_eq!(proxy.heard(), BTreeSet::new());
}

#[tokio::test]
async fn a_proxy_for_plain_http_takes_what_no_proxy_leaves_out() {
    let simulator = simulator::start(SimulatorSettings::default()).await.unwrap();
    let proxy = Proxy::start().await;
    let (url, folder) = (proxy.url(), tempfile::tempdir().unwrap());
    let kubeconfig = kubeconfig(&folder, "");
    let mut all = vec![("HTTP_PROXY", &*url), ("AWS_REGION", "us-east-1"), ("KUBECONFIG", &*kubeconfig)];
    all.extend(KEYS);
    let mut command = command(&all);
    let _daemon = Daemon::start_command(command.args(["--aws.endpoint-url", &simulator.aws_url])).await;
    let endpoint = simulator.aws_url.trim_start_matches("http://").to_owned();
    eventually("loopback is asked for at the proxy", PATIENCE, async || {
        let heard = proxy.heard();
        if heard == BTreeSet::from([endpoint.clone()]) { Ok(()) } else { Err(heard) }
    })
    .await;
    assert_eq!(simulator.counters.total(), 0);
}

/// A server whose certificate nobody knows, as a proxy that opens TLS shows one. It takes what is posted to it, and never answers.
fn stranger(folder: &tempfile::TempDir) -> (Program, String, String) {
    let (certificate, key) = (folder.path().join("server.pem"), folder.path().join("server.key"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=proxy", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let address = format!("127.0.0.1:{}", free_port());
    let mut server = Command::new("openssl");
    server.args(["s_server", "-quiet", "-www", "-accept", &address]).arg("-cert").arg(&certificate).arg("-key").arg(&key);
    (Program::start(&mut server), format!("https://{address}"), certificate.display().to_string())
}

#[tokio::test]
async fn a_certificate_of_ones_own_is_trusted_where_ssl_cert_file_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, url, certificate) = stranger(&folder);
    let kubeconfig = kubeconfig(&folder, "");
    let reasons = async |trusted: &[(&str, &str)]| {
        let mut all = vec![("AWS_ENDPOINT_URL", &*url), ("AWS_REGION", "eu-west-1"), ("KUBECONFIG", &*kubeconfig)];
        all.extend(KEYS.iter().chain(trusted));
        let daemon = Daemon::start_command(&mut command(&all)).await;
        eventually("a call has failed", PATIENCE, async || {
            let failed = daemon.scrape().await.family("aws_api_request_failures_total");
            let of_lists =
                failed.into_iter().filter(|(labels, count)| labels["operation"] == "DescribeLoadBalancers" && *count > 0.0);
            let reasons: BTreeSet<String> = of_lists.map(|(labels, _)| labels["reason"].clone()).collect();
            if reasons.is_empty() { Err(daemon.program.output()) } else { Ok(reasons) }
        })
        .await
    };
    assert_eq!(reasons(&[]).await, BTreeSet::from(["unreachable".to_owned()]));
    // Who is trusted is talked to, and this one is silent.
    assert_eq!(reasons(&[("SSL_CERT_FILE", &certificate)]).await, BTreeSet::from(["timeout".to_owned()]));
}
