//! Is every claim of SECURITY.md true? Each bears a number and the names of tests; here they are looked up, and here are the tests
//! of what no other part of the program is about.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use eks_nlb_exporter::permissions::KUBE_ACCESS;
use eks_nlb_exporter::simulator::kube_api::SERVICES;
use eks_nlb_exporter::simulator::{self, Simulator, SimulatorSettings};
use http_body_util::BodyExt;
use serde_json::json;

use crate::chart::root;
use crate::named_tests::Proofs;
use crate::support::{Daemon, eventually, exporter, get};

/// The claims: number, text, tests.
fn claims() -> Vec<(String, String, Vec<String>)> {
    let text = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let (_, section) = text.split_once("\n## What we claim\n").expect("SECURITY.md has its section of claims");
    let section = section.split("\n## ").next().unwrap();
    let mut claims = Vec::new();
    for item in section.split("\n- ").skip(1) {
        let item = item.split_whitespace().collect::<Vec<_>>().join(" ");
        let (number, rest) = item.strip_prefix("**").and_then(|item| item.split_once("**")).unwrap_or_default();
        let (claim, tests) = rest.split_once("Tested by ").unwrap_or((rest, ""));
        let tests = tests.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        claims.push((number.to_owned(), claim.trim().to_owned(), tests));
    }
    claims
}

#[test]
fn every_claim_of_the_security_policy_has_tests_that_exist() {
    let (proofs, mut seen, mut problems) = (Proofs::read(), BTreeSet::new(), Vec::new());
    for (number, claim, tests) in claims() {
        let is_number = number.strip_prefix("SEC-").is_some_and(|digits| digits.len() == 2 && digits.parse::<u8>().is_ok());
        if !is_number || !seen.insert(number.clone()) {
            problems.push(format!("{number:?} is no number of its own: {claim}"));
        }
        if tests.is_empty() {
            problems.push(format!("{number} names no test"));
        }
        problems
            .extend(tests.iter().filter(|name| !proofs.has_test(name)).map(|name| format!("{number}: there is no test {name}")));
    }
    assert!(seen.len() > 15, "{seen:?}");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn what_is_said_of_upgrades_has_tests_that_exist() {
    let text = fs::read_to_string(root().join("docs/upgrading.md")).unwrap();
    let proofs = Proofs::read();
    let rows = text.split("| claim | tested by |").nth(1).unwrap().split("\n\n").next().unwrap();
    let names: Vec<&str> = rows
        .lines()
        .skip(2)
        .filter_map(|row| row.split('|').nth(2))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    assert!(names.len() > 6, "{names:?}");
    let missing: Vec<_> = names.iter().filter(|name| !proofs.has_test(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// All Rust files of a folder.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let (mut folders, mut found) = (vec![root().join(folder)], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    found
}

/// The files that are compiled into the image, without their tests.
fn shipped() -> impl Iterator<Item = (PathBuf, String)> {
    let is_test = |path: &Path| {
        path.starts_with("src/simulator")
            || path == Path::new("src/mutation.rs")
            || path.components().any(|part| part.as_os_str() == "tests")
            || path.file_name().is_some_and(|name| {
                ["tests.rs", "fake.rs", "untrusted.rs", "fixtures.rs", "testing.rs", "truth_table.rs", "differential.rs"]
                    .iter()
                    .any(|test| name == *test)
            })
    };
    let sources = sources("src").into_iter().filter(move |(path, _)| !is_test(path));
    sources.map(|(path, text)| (path, text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned()))
}

#[test]
fn no_test_is_left_out_of_the_run() {
    let main = fs::read_to_string(root().join("tests/it/main.rs")).unwrap();
    for entry in fs::read_dir(root().join("tests/it")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(module) = name.strip_suffix(".rs").filter(|module| *module != "main") {
            assert!(main.contains(&format!("mod {module};")), "tests/it/{name} is not run");
        }
    }
    for (path, text) in sources("src").into_iter().chain(sources("tests/it")) {
        let ignores = text.lines().any(|line| line.trim_start().starts_with(concat!("#[", "ignore")));
        assert!(!ignores, "{} leaves a test out", path.display());
    }
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let recipe = makefile.split("\ntest:").nth(1).unwrap().split("\n\n").next().unwrap();
    assert!(recipe.contains("--lib --test it") && !recipe.contains("--skip"), "{recipe}");
}

#[test]
fn there_is_no_unsafe_code_and_no_other_program_is_started() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.lines().any(|line| line == "unsafe_code = \"forbid\""));
    for (path, text) in shipped() {
        for word in ["allow(unsafe_code", "unsafe {", "process::Command", "Command::new("] {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
    }
}

#[test]
fn nothing_of_the_cluster_but_what_is_named_can_be_read_and_no_secret() {
    for access in KUBE_ACCESS {
        let whole = format!("{}/{}", access.group, access.resource);
        assert!(!access.verbs.contains(&"*") && !whole.contains('*'), "{whole}");
        for forbidden in ["secrets", "pods/exec", "pods/log", "serviceaccounts/token", "nodes/proxy"] {
            assert_ne!(access.resource, forbidden);
        }
        assert!(
            access.resource != "configmaps" || access.verbs == ["create"] || access.name.is_some(),
            "any ConfigMap can be read"
        );
    }
}

#[test]
fn there_is_no_address_in_the_program_that_it_could_call_home() {
    // Text for people, identifiers of formats, and the endpoints' own names.
    let known = [
        "https://github.com/eks-nlb-exporter/",
        "https://docs.aws.amazon.com/",
        "https://json.schemastore.org/",
        "https://raw.githubusercontent.com/oasis-tcs/",
        "https://HOST",
        // The agent of EKS Pod Identity, on the node itself.
        "http://169.254.170.23/",
        // What an alert links to where nobody set it: the exporter's own Service.
        "http://eks-nlb-exporter:PORT/",
        "http://HOST",
        "https://grafana",
        "http://www.w3.org/",
        "http://{",
        "https://{",
        "https://spec.openapis.org/",
        "https://json-schema.org/",
    ];
    for (path, text) in shipped() {
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for start in ["http://", "https://"] {
                for (at, _) in line.match_indices(start) {
                    let rest = &line[at..];
                    let names_a_host = rest[start.len()..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '{');
                    assert!(!names_a_host || known.iter().any(|known| rest.starts_with(known)), "{}: {rest}", path.display());
                }
            }
        }
    }
}

/// Secrets that can be told from everything else.
const SECRETS: [&str; 5] = [
    "AKIANOBODYKNOWSTHIS1",
    "secretAccessKey+Nobody/Knows/This0000000",
    "sessionTokenNobodyKnowsThis==",
    "bearerTokenNobodyKnowsThis",
    "alertmanagerPasswordNobodyKnows",
];

/// A secret as it is, and as others would write it.
fn spellings() -> Vec<String> {
    let base64 = base64::engine::general_purpose::STANDARD;
    let plain = SECRETS.map(str::to_owned);
    let percent = SECRETS.map(|secret| secret.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D"));
    let encoded = SECRETS.map(|secret| base64.encode(secret).trim_end_matches('=').to_owned());
    plain.into_iter().chain(percent).chain(encoded).collect()
}

/// An Alertmanager that takes everything, and keeps the headers.
async fn alertmanager() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&heard);
    let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
        let log = Arc::clone(&log);
        async move {
            let authorization = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
            let body = request.into_body().collect().await.unwrap().to_bytes();
            log.lock().unwrap().push(format!("{authorization:?} {}", String::from_utf8_lossy(&body)));
        }
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, heard)
}

/// A daemon with all kinds of credentials, at the most talkative, in front of a simulated world in which something is wrong.
struct Guarded {
    simulator: Simulator,
    folder: tempfile::TempDir,
    alertmanager: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Guarded {
    async fn new() -> Self {
        let faults = vec!["DescribeVpcs=deny".parse().unwrap(), "DescribeRouteTables=expire".parse().unwrap()];
        let simulator = simulator::start(SimulatorSettings { faults, ..SimulatorSettings::default() }).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (alertmanager, heard) = alertmanager().await;
        let kubeconfig = simulator.kubeconfig().replace("user: {}", &format!("user: {{token: {}}}", SECRETS[3]));
        fs::write(folder.path().join("kubeconfig"), kubeconfig).unwrap();
        fs::write(folder.path().join("password"), SECRETS[4]).unwrap();
        let config = json!({"alerting": {"thresholds": {"NLBExporterSourceDown": {"warning": {"for": "1s"}}}, "alertmanagers": [{"url": alertmanager,
            "basic_auth": {"username": "x", "password_file": folder.path().join("password")}}]}});
        fs::write(folder.path().join("config.yaml"), config.to_string()).unwrap();
        Self { simulator, folder, alertmanager, heard }
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = exporter();
        command
            .args(arguments)
            .args(["--aws.endpoint-url", &self.simulator.aws_url, "--aws.region", "us-east-1", "--log.level", "debug"])
            .arg("--config.file")
            .arg(self.folder.path().join("config.yaml"))
            .env_clear()
            .env("HOME", self.folder.path())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("KUBECONFIG", self.folder.path().join("kubeconfig"))
            .env("AWS_ACCESS_KEY_ID", SECRETS[0])
            .env("AWS_SECRET_ACCESS_KEY", SECRETS[1])
            .env("AWS_SESSION_TOKEN", SECRETS[2]);
        command
    }

    async fn daemon(&self) -> Daemon {
        let state = self.folder.path().join("state").display().to_string();
        let mut command =
            self.command(&["serve", "--web.listen-address", "127.0.0.1:0", "--log.format", "json", "--state.path", &state]);
        Daemon::start_command(&mut command).await
    }
}

/// What can be read of the daemon without knowing anything of its world.
const PAGES: &[&str] = &[
    "/",
    "/metrics",
    "/-/ready",
    "/-/healthy",
    "/style.css",
    "/api/v1/findings",
    "/api/v1/sources",
    "/api/v1/services",
    "/api/v1/subnets",
    "/api/v1/security-groups",
    "/api/v1/quotas",
    "/api/v1/headroom",
    "/api/v1/openapi.json",
    "/nowhere",
];

#[tokio::test(flavor = "multi_thread")]
async fn credentials_stand_in_nothing_that_is_said_served_or_kept() {
    let guarded = Guarded::new().await;
    let daemon = guarded.daemon().await;
    let mut all: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    eventually("it is heard by Alertmanager, with its password", Duration::from_secs(120), async || {
        let heard = guarded.heard.lock().unwrap().clone();
        if heard.iter().any(|alert| alert.starts_with("Some(\"Basic ")) { Ok(()) } else { Err(format!("{heard:?}")) }
    })
    .await;
    eventually("its state is kept", Duration::from_secs(60), async || {
        fs::metadata(guarded.folder.path().join("state")).map(drop)
    })
    .await;
    for page in PAGES {
        let (_, body) = get(&daemon.url(page)).await.unwrap();
        all.insert((*page).to_owned(), body.into_bytes());
    }
    let snapshot = guarded.folder.path().join("picture.json.gz").display().to_string();
    let mut command = guarded.command(&["snapshot", "--output", &snapshot]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    all.insert("what snapshot says".to_owned(), [output.stdout, output.stderr].concat());
    for file in ["state", "picture.json.gz"] {
        let mut text = Vec::new();
        let packed = fs::read(guarded.folder.path().join(file)).unwrap();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*packed), &mut text).unwrap();
        assert!(!text.is_empty());
        all.insert(file.to_owned(), text);
    }
    let log = daemon.program.output();
    assert!(log.contains("\"DEBUG\"") || log.contains("WARN"), "it is talkative: {log:.300}");
    all.insert("the log".to_owned(), log.into_bytes());
    all.insert(
        "alerts".to_owned(),
        guarded.heard.lock().unwrap().iter().flat_map(|alert| alert.split_once(' ').unwrap().1.bytes()).collect(),
    );
    for (place, text) in all {
        let text = String::from_utf8_lossy(&text);
        for secret in spellings() {
            assert!(!text.contains(&secret), "{secret} stands in {place}");
        }
    }
}

/// Where a process has connections to, and on which ports it listens: what `/proc` says of the sockets that it holds.
fn peers(process: u32) -> (BTreeSet<String>, BTreeSet<String>) {
    let held: BTreeSet<String> = fs::read_dir(format!("/proc/{process}/fd"))
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            fs::read_link(entry.ok()?.path()).ok()?.to_str()?.strip_prefix("socket:[")?.strip_suffix(']').map(str::to_owned)
        })
        .collect();
    let (mut remote, mut local) = (BTreeSet::new(), BTreeSet::new());
    for table in ["tcp", "tcp6", "udp", "udp6"] {
        let text = fs::read_to_string(format!("/proc/{process}/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if !held.contains(fields[9]) {
                continue;
            }
            match fields[3] {
                // Listening.
                "0A" => local.insert(fields[1].to_owned()),
                _ => remote.insert(format!("{} {}", fields[1], fields[2])),
            };
        }
    }
    (remote, local)
}

/// `127.0.0.1:PORT` as `/proc` writes it on this machine.
fn written(url: &str) -> String {
    let port: u16 = url.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap();
    format!("0100007F:{port:04X}")
}

#[tokio::test(flavor = "multi_thread")]
async fn it_connects_to_nothing_but_the_endpoints_it_was_told() {
    let guarded = Guarded::new().await;
    let daemon = guarded.daemon().await;
    let known = [&guarded.simulator.aws_url, &guarded.simulator.kube_url, &guarded.alertmanager].map(|url| written(url));
    let own = written(&format!("http://{}", daemon.address));
    let process = daemon.program.id();
    let watching = tokio::task::spawn_blocking(move || {
        let (until, mut remote, mut local) = (Instant::now() + Duration::from_secs(15), BTreeSet::new(), BTreeSet::new());
        while Instant::now() < until {
            let (some, listening) = peers(process);
            remote.extend(some);
            local.extend(listening);
            std::thread::sleep(Duration::from_millis(2));
        }
        (remote, local)
    });
    eventually("an alert is sent meanwhile", Duration::from_secs(120), async || {
        if guarded.heard.lock().unwrap().is_empty() { Err("not yet") } else { Ok(()) }
    })
    .await;
    let (remote, local) = watching.await.unwrap();
    assert_eq!(local, BTreeSet::from([own.clone()]), "it listens where it was told to");
    let called = |pair: &str| {
        let (here, there) = pair.split_once(' ').unwrap();
        // Its own listener's connections are those of its clients.
        (here != own).then(|| there.to_owned())
    };
    let called: BTreeSet<String> = remote.iter().filter_map(|pair| called(pair)).collect();
    let unknown: Vec<_> = called.iter().filter(|there| !known.contains(there)).collect();
    assert!(unknown.is_empty(), "{unknown:?} are none of {known:?}");
    assert!(known[..2].iter().all(|there| called.contains(there)), "the watching sees something: {called:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_writes_is_for_its_own_eyes() {
    let guarded = Guarded::new().await;
    let daemon = guarded.daemon().await;
    let state = guarded.folder.path().join("state");
    eventually("its state is kept", Duration::from_secs(60), async || fs::metadata(&state).map(drop)).await;
    let snapshot = guarded.folder.path().join("picture");
    // What somebody has put there before: a file for everybody, and links where it is written and beside it.
    let other = guarded.folder.path().join("other");
    fs::write(&other, "kept").unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o644)).unwrap();
    for name in ["picture", "picture.partial", "picture.tmp"] {
        std::os::unix::fs::symlink(&other, guarded.folder.path().join(name)).unwrap();
    }
    let mut command = guarded.command(&["snapshot", "--output", snapshot.to_str().unwrap()]);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert_eq!(fs::read_to_string(&other).unwrap(), "kept", "no link is followed");
    for file in [state, snapshot] {
        assert!(!fs::symlink_metadata(&file).unwrap().is_symlink(), "{}", file.display());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn text_of_tenants_is_neither_markup_nor_a_line_of_the_log() {
    const FORGED: &str = "level=error msg=\"forged by a tenant\"";
    let guarded = Guarded::new().await;
    let annotation = "x\n<script>forged</script>\nall until never: <img src=x onerror=forged>";
    let service = |name: &str, kind: &str| {
        json!({
            "metadata": {"namespace": "shop", "name": name, "creationTimestamp": "2026-01-01T00:00:00Z", "uid": name,
                "annotations": {"eks-nlb-exporter.io/mute": annotation}},
            "spec": {"type": kind, "loadBalancerClass": "service.k8s.aws/nlb", "ports": [{"port": 80}]},
        })
    };
    guarded.simulator.kube.upsert(SERVICES, service("tenant", "LoadBalancer"));
    guarded.simulator.kube.upsert(SERVICES, service("odd", &format!("x\n{FORGED}\n\u{1b}[31m")));
    let state = guarded.folder.path().join("state").display().to_string();
    for format in ["json", "logfmt"] {
        let address =
            if format == "json" { "127.0.0.1:0".to_owned() } else { format!("127.0.0.1:{}", crate::support::free_port()) };
        let mut command =
            guarded.command(&["serve", "--web.listen-address", &address, "--log.format", format, "--state.path", &state]);
        let (program, url) = if format == "json" {
            let daemon = Daemon::start_command(&mut command).await;
            let url = daemon.url("");
            (daemon.program, url)
        } else {
            (crate::support::Program::start(&mut command), format!("http://{address}"))
        };
        let page = eventually("the finding is shown", Duration::from_secs(60), async || {
            let (_, api) = get(&format!("{url}/api/v1/findings")).await?;
            let page = get(&format!("{url}/")).await?.1;
            if api.contains("forged") && program.output().contains("forged by") { Ok(page) } else { Err(api) }
        })
        .await;
        assert!(!page.contains("<script>") && !page.contains("<img"), "{page}");
        for page in PAGES.iter().filter(|page| !page.starts_with("/api") && **page != "/metrics") {
            let (_, body) = get(&format!("{url}{page}")).await.unwrap();
            assert!(!body.contains("<script") && !body.contains("<img src=x"), "{page}: {body}");
        }
        let (_, metrics) = get(&format!("{url}/metrics")).await.unwrap();
        let problems = crate::exposition_text::problems(&metrics, false);
        assert!(problems.is_empty(), "{problems:?}");
        for line in program.output().lines() {
            assert!(!line.starts_with("level=error msg=\"forged") && !line.contains('\u{1b}'), "{line:?}");
            assert!(format != "json" || serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line:?}");
        }
    }
}
