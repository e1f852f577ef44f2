//! What do the tests share? Programs that end with their test, HTTP requests, and conditions that are polled to a deadline.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::time::{Instant, sleep};

/// The binary under test.
pub(crate) fn exporter() -> Command {
    Command::new(env!("CARGO_BIN_EXE_eks-nlb-exporter"))
}

/// Polls a condition until it gives a value; fails with the last complaint at the deadline.
pub(crate) async fn eventually<T, E: Debug>(what: &str, within: Duration, mut condition: impl AsyncFnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + within;
    loop {
        match condition().await {
            Ok(value) => return value,
            Err(complaint) if Instant::now() > deadline => panic!("{what}: not within {within:?}: {complaint:?}"),
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

/// A port that was free a moment ago, for programs that cannot be told to choose one themselves.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A program that is ended when its test ends, with everything it wrote.
#[derive(Debug)]
pub(crate) struct Program {
    name: String,
    child: Child,
    output: Arc<Mutex<String>>,
}

impl Program {
    /// Starts it and collects what it writes.
    pub(crate) fn start(command: &mut Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}; `make peers` installs it"));
        let output = Arc::new(Mutex::new(String::new()));
        let streams: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let output = Arc::clone(&output);
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let mut output = output.lock().unwrap();
                    output.push_str(&line);
                    output.push('\n');
                }
            });
        }
        Self { name, child, output }
    }

    /// What it wrote so far, both streams.
    pub(crate) fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its exit code, once it has ended.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        self.child.try_wait().unwrap().and_then(|status| status.code())
    }

    /// Waits for the end and gives the exit code.
    pub(crate) async fn wait(&mut self, within: Duration) -> i32 {
        let deadline = Instant::now() + within;
        loop {
            if let Some(code) = self.exit_code() {
                return code;
            }
            assert!(Instant::now() < deadline, "{} did not end within {within:?}:\n{}", self.name, self.output());
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until it, and whoever writes to where it writes, has ended, or no longer.
    pub(crate) fn close(&mut self, within: Duration) {
        let deadline = std::time::Instant::now() + within;
        // Each reader of a stream holds it until the last writer is gone.
        while Arc::strong_count(&self.output) > 1 && std::time::Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        // Failing means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("---- {} wrote:\n{}", self.name, self.output());
        }
    }
}

/// The daemon under test, listening on a port of its own choice.
#[derive(Debug)]
pub(crate) struct Daemon {
    /// The process.
    pub(crate) program: Program,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Daemon {
    /// Starts the binary with these arguments on a free port of loopback.
    pub(crate) async fn start<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Self {
        let mut command = exporter();
        command.args(arguments).args(["--web.listen-address", "127.0.0.1:0", "--log.format", "json"]);
        // Of the caller's own set-up nothing may reach the daemon.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") || name.to_string_lossy().starts_with("EKS_NLB_") {
                command.env_remove(name);
            }
        }
        Self::start_command(&mut command).await
    }

    /// Starts a command that ends in the daemon's log.
    pub(crate) async fn start_command(command: &mut Command) -> Self {
        let mut program = Program::start(command);
        let address = eventually("the daemon listens", Duration::from_secs(20), async || {
            assert_eq!(program.exit_code(), None, "the daemon ended:\n{}", program.output());
            let output = program.output();
            let line = output.lines().find(|line| line.contains("Listening on")).ok_or("no such line")?;
            let line: serde_json::Value = serde_json::from_str(line).map_err(|_| "not JSON")?;
            line["address"].as_str().and_then(|address| address.parse().ok()).ok_or("no address")
        })
        .await;
        Self { program, address }
    }

    /// The URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Waits until `/-/ready` says so.
    pub(crate) async fn ready(&self, within: Duration) {
        eventually("the daemon is ready", within, async || {
            let (status, body) = get(&self.url("/-/ready")).await?;
            if status == 200 { Ok(()) } else { Err(format!("{status}: {body}")) }
        })
        .await;
    }

    /// Scrapes it in the classic text format.
    pub(crate) async fn scrape(&self) -> Scrape {
        let (status, body) = get(&self.url("/metrics")).await.unwrap();
        assert_eq!(status, 200, "{body}");
        Scrape::parse(&body)
    }
}

/// GETs a URL over plain HTTP.
pub(crate) async fn get(url: &str) -> Result<(u16, String), String> {
    let request = http::Request::get(url).body(Full::<Bytes>::default()).map_err(|error| error.to_string())?;
    request_text(request).await
}

/// POSTs to a URL over plain HTTP.
pub(crate) async fn post(url: &str, body: impl Into<Bytes>) -> Result<(u16, String), String> {
    let request = http::Request::post(url).body(Full::new(body.into())).map_err(|error| error.to_string())?;
    request_text(request).await
}

/// Sends a request and reads the answer as text.
pub(crate) async fn request_text(request: http::Request<Full<Bytes>>) -> Result<(u16, String), String> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let response = client.request(request).await.map_err(|error| error.to_string())?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
    Ok((status, String::from_utf8(body.to_vec()).map_err(|error| error.to_string())?))
}

/// A scraped exposition: every series, by its whole name with sorted labels.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scrape {
    series: BTreeMap<String, f64>,
}

impl Scrape {
    /// Reads text 0.0.4 or OpenMetrics; a series that comes twice fails the test.
    pub(crate) fn parse(text: &str) -> Self {
        let mut series = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?} is no sample"));
            let value = value.parse().unwrap_or_else(|_| panic!("{line:?} has no number"));
            assert_eq!(series.insert(sorted_labels(name), value), None, "the series {name} comes twice");
        }
        Self { series }
    }

    /// The value of `name{labels}`, labels in any order, without the prefix.
    pub(crate) fn value(&self, name: &str) -> Option<f64> {
        self.series.get(&sorted_labels(&format!("eks_nlb_{name}"))).copied()
    }

    /// Every series of a family (its name without the prefix) with its labels.
    pub(crate) fn family(&self, name: &str) -> BTreeMap<BTreeMap<String, String>, f64> {
        let name = format!("eks_nlb_{name}");
        let of = |series: &str| series.split('{').next() == Some(&name);
        self.series.iter().filter(|(series, _)| of(series)).map(|(series, value)| (labels(series), *value)).collect()
    }

    /// All series' names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.series.keys().map(String::as_str)
    }
}

/// The labels of `name{a="b"}`.
fn labels(series: &str) -> BTreeMap<String, String> {
    let Some((_, rest)) = series.split_once('{') else { return BTreeMap::new() };
    let mut found = BTreeMap::new();
    let mut rest = rest.trim_end_matches('}');
    while let Some((name, after)) = rest.split_once("=\"") {
        let mut end = 0;
        let bytes = after.as_bytes();
        while bytes[end] != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        found.insert(name.trim_start_matches(',').to_owned(), after[..end].to_owned());
        rest = &after[end + 1..];
    }
    found
}

fn sorted_labels(series: &str) -> String {
    let name = series.split('{').next().unwrap_or_default();
    let labels: Vec<String> = labels(series).into_iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    if labels.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", labels.join(",")) }
}
