//! Do scrapers, probes and browsers get what they expect? Over real TCP on loopback.

mod connections;
mod crowd;
mod hostile;
mod tls;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use eks_nlb_exporter::checks::Judged;
use eks_nlb_exporter::checks::model::{CheckRun, FamilyDescription, FamilyKind, Outcome, Report};
use eks_nlb_exporter::checks::{catalogue, model};
use eks_nlb_exporter::expose::exposition::{Exposition, ExpositionSettings};
use eks_nlb_exporter::expose::own::OwnMetrics;
use eks_nlb_exporter::expose::readiness::Readiness;
use eks_nlb_exporter::expose::server::{Reload, Sources, WebError, WebSettings, WebState, bind};
use eks_nlb_exporter::inventory::part::FailureCategory;
use eks_nlb_exporter::inventory::parts::{Parts, SourceStatus};
use eks_nlb_exporter::inventory::snapshot::{Expiry, Snapshot};
use eks_nlb_exporter::sources::CallObserver as _;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::exposition_text::{duplicate_series, problems, series, value};

/// No step of a test takes this long unless it is stuck.
const DEADLINE: Duration = Duration::from_secs(30);

const PROMETHEUS_3: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
    application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
    text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
const PROMETHEUS_CLASSIC: &str = "text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";
const TEXT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

static NUMBER: FamilyDescription =
    FamilyDescription { name: "number", help: "The picture's number.", kind: FamilyKind::Gauge, labels: &["place"] };
static THING: FamilyDescription =
    FamilyDescription { name: "thing_info", help: "What a thing is.", kind: FamilyKind::Info, labels: &["thing", "padding"] };

/// A picture all of whose series hold its number; `padding` bytes make it as large as wanted.
fn picture(number: u32, places: usize, padding: usize) -> Arc<Outcome> {
    let mut report = Report::default();
    let padding: Arc<str> = "\"padding\" ".chars().cycle().take(padding).collect::<String>().into();
    for place in 0..places {
        report.family(&NUMBER).sample([format!("{place:05}").into()], f64::from(number));
        report.family(&THING).sample([format!("{place:05}").into(), (&padding).into()], 1.0);
    }
    report.find(&catalogue::DRIFT, model::Subject::Cluster, None, "<b>scheme</b> is internal");
    let (families, findings) = report.into_parts();
    Arc::new(Outcome {
        evaluated_at: Timestamp::from_second(1_764_000_000).unwrap(),
        families,
        findings,
        muted: Vec::new(),
        runs: vec![CheckRun { check: "zones", success: true, blind: false, duration: Duration::from_millis(5) }],
    })
}

/// A server on a free port of loopback, ended by `end`.
struct Served {
    address: SocketAddr,
    state: WebState,
    own: Arc<OwnMetrics>,
    stop: oneshot::Sender<()>,
    done: JoinHandle<Result<(), WebError>>,
}

impl Served {
    async fn start() -> Self {
        Self::with(|_, _| {}).await
    }

    async fn with(change: impl FnOnce(&mut WebSettings, &mut WebState)) -> Self {
        let own = OwnMetrics::new();
        let exposition = Exposition::new(Arc::clone(&own), ExpositionSettings::default());
        let sources = Arc::new(BTreeMap::from([(Arc::from("aws_tags"), SourceStatus::default())]));
        let mut state = WebState {
            exposition,
            readiness: Arc::new(Readiness::pending(["tags", "services"])),
            sources: Sources::new(move || Arc::clone(&sources)),
            reload: None,
        };
        let mut settings = WebSettings { listen_addresses: vec!["127.0.0.1:0".to_owned()], ..WebSettings::default() };
        change(&mut settings, &mut state);
        let bound = bind(&settings).await.unwrap();
        let address = bound.local_addrs()[0];
        let (stop, stopped) = oneshot::channel();
        let serve = bound.serve(state.clone(), async move {
            let _ = stopped.await;
        });
        Self { address, state, own, stop, done: tokio::spawn(serve) }
    }

    async fn publish(&self, outcome: Arc<Outcome>) {
        let parts = Parts { sources: self.state.sources.read(), ..Parts::default() };
        let nothing = Snapshot::join(parts, outcome.evaluated_at, Expiry { max_staleness: Duration::ZERO });
        self.state.exposition.publish(Judged { snapshot: Arc::new(nothing), outcome, policy: Arc::default() }).await.unwrap();
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask(Method::GET, path, headers).await
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        Client::connect(self.address).await.ask(method, path, headers).await
    }

    async fn end(self) {
        self.stop.send(()).unwrap();
        in_time(self.done).await.unwrap().unwrap();
    }
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, work).await.expect("stuck")
}

/// One connection, kept.
struct Client(hyper::client::conn::http1::SendRequest<Empty<Bytes>>);

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let (sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    async fn ask(&mut self, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", "exporter");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        in_time(async {
            self.0.ready().await.unwrap();
            let response = self.0.send_request(request.body(Empty::new()).unwrap()).await.unwrap();
            let (parts, body) = response.into_parts();
            Answer { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
        })
        .await
    }
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The text, unpacked where it is packed: one member and nothing after it.
    fn text(&self) -> String {
        if self.header("content-encoding") != "gzip" {
            return String::from_utf8(self.body.to_vec()).unwrap();
        }
        let mut text = String::new();
        let mut decoder = flate2::bufread::GzDecoder::new(&self.body[..]);
        decoder.read_to_string(&mut text).unwrap();
        assert!(decoder.into_inner().is_empty(), "bytes after the member");
        text
    }
}

#[tokio::test]
async fn each_client_gets_the_format_it_asks_for_labelled_truly() {
    let served = Served::start().await;
    served.publish(picture(1, 3, 10)).await;
    let cases = [
        (PROMETHEUS_3, OPEN_METRICS_TYPE),
        (PROMETHEUS_CLASSIC, TEXT_TYPE),
        (BROWSER, TEXT_TYPE),
        ("*/*", TEXT_TYPE),
        ("", TEXT_TYPE),
        ("application/openmetrics-text;version=2.0.0", TEXT_TYPE),
    ];
    for (accept, content_type) in cases {
        for encoding in ["", "gzip", "identity", "gzip;q=0", "gzip, deflate, br, zstd"] {
            let answer = served.get("/metrics", &[("accept", accept), ("accept-encoding", encoding)]).await;
            assert_eq!(answer.status, StatusCode::OK);
            assert_eq!(answer.header("content-type"), content_type, "{accept}");
            let packed = encoding.starts_with("gzip") && !encoding.ends_with("q=0");
            assert_eq!(answer.header("content-encoding"), if packed { "gzip" } else { "" }, "{encoding}");
            assert_eq!(answer.header("vary"), "Accept, Accept-Encoding");
            assert_eq!(answer.header("content-length"), answer.body.len().to_string());
            assert_eq!(problems(&answer.text(), content_type == OPEN_METRICS_TYPE), Vec::<String>::new());
        }
    }
    assert_eq!(served.get("/metrics", &[]).await.header("content-type"), TEXT_TYPE, "no header at all");
    served.end().await;
}

#[tokio::test]
async fn both_formats_hold_the_same_series() {
    let served = Served::start().await;
    served.own.attempted("ec2", "DescribeSubnets", Err(FailureCategory::Denied), Duration::from_millis(20));
    served.own.waited("ec2", "DescribeSubnets", Duration::from_secs(1));
    served.own.config_loaded(true, Timestamp::UNIX_EPOCH);
    served.publish(picture(1, 3, 10)).await;
    let text = served.get("/metrics", &[("accept", PROMETHEUS_CLASSIC)]).await.text();
    let open_metrics = served.get("/metrics", &[("accept", PROMETHEUS_3)]).await.text();
    assert_eq!(series(&text), series(&open_metrics));
    assert_eq!(duplicate_series(&text), Vec::<String>::new());
    assert_eq!(value(&text, "eks_nlb_number", &[("place", "00002")]), Some(1.0));
    assert_eq!(value(&open_metrics, "eks_nlb_check_success", &[("check", "zones")]), Some(1.0));
    served.end().await;
}

#[tokio::test]
async fn families_and_series_keep_their_order_from_scrape_to_scrape() {
    let served = Served::start().await;
    for operation in ["DescribeVpcs", "DescribeAddresses", "DescribeSubnets"] {
        served.own.attempted("ec2", operation, Ok(()), Duration::ZERO);
    }
    let order = |answer: &Answer| -> Vec<String> {
        answer.text().lines().map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
    };
    for accept in [PROMETHEUS_3, PROMETHEUS_CLASSIC] {
        let mut first = None;
        for _ in 0..5 {
            served.publish(picture(1, 50, 10)).await;
            let answer = served.get("/metrics", &[("accept", accept)]).await;
            let order = order(&answer);
            assert_eq!(first.get_or_insert_with(|| order.clone()), &order);
        }
    }
    served.end().await;
}

#[tokio::test]
async fn before_the_first_picture_own_metrics_are_served_and_nothing_else() {
    let served = Served::start().await;
    let text = served.get("/metrics", &[]).await.text();
    assert!(text.contains("eks_nlb_exporter_build_info{") && !text.contains("eks_nlb_number"), "{text}");
    assert_eq!(served.get("/api/v1/findings", &[]).await.status, StatusCode::SERVICE_UNAVAILABLE);
    served.end().await;
}

#[tokio::test]
async fn readiness_names_what_is_pending_and_health_never_depends_on_it() {
    let served = Served::start().await;
    for path in ["/-/ready", "/readyz"] {
        let answer = served.get(path, &[]).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(answer.text(), "Not ready, waiting for: services, tags\n");
    }
    for path in ["/-/healthy", "/livez", "/healthz"] {
        assert_eq!(served.get(path, &[]).await.status, StatusCode::OK, "{path}");
    }
    served.state.readiness.waits_for::<String>([]);
    assert_eq!(served.get("/-/ready", &[]).await.status, StatusCode::OK);
    served.state.readiness.shutting_down();
    assert_eq!(served.get("/readyz", &[]).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(served.get("/-/healthy", &[]).await.status, StatusCode::OK);
    served.end().await;
}

#[tokio::test]
async fn only_reading_methods_are_allowed_and_other_paths_are_not_found() {
    let served = Served::start().await;
    for path in ["/metrics", "/", "/-/healthy", "/-/ready", "/api/v1/findings", "/api/v1/sources"] {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            assert_eq!(served.ask(method.clone(), path, &[]).await.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        }
    }
    for path in ["/metric", "/metrics/", "/-/quit", "/api/v1/", "/index.html", "/%2e%2e/"] {
        assert_eq!(served.get(path, &[]).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    served.end().await;
}

#[tokio::test]
async fn head_tells_the_headers_of_get_without_a_body() {
    let served = Served::start().await;
    served.publish(picture(1, 10, 10)).await;
    let mut client = Client::connect(served.address).await;
    let head = client.ask(Method::HEAD, "/metrics", &[("accept-encoding", "gzip")]).await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    assert_eq!((head.header("content-type"), head.header("content-encoding")), (TEXT_TYPE, "gzip"));
    assert!(head.header("content-length").parse::<usize>().unwrap() > 100);
    assert_eq!(client.ask(Method::GET, "/metrics", &[]).await.status, StatusCode::OK, "the connection goes on");
    served.end().await;
}

#[tokio::test]
async fn a_page_in_a_browser_reloads_nothing() {
    let loaded = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&loaded);
    let served = Served::with(move |_, state| {
        state.reload = Some(Reload::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
            async { Ok(()) }
        }));
    })
    .await;
    let own = format!("http://{}", served.address);
    // Of another server, of a file or a sandbox, and of this one under whatever name.
    for origin in ["https://evil.example", "null", &own, "http://rebound.example:10669"] {
        let answer = served.ask(Method::POST, "/-/reload", &[("origin", origin)]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{origin}: {}", answer.text());
    }
    assert_eq!(loaded.load(Ordering::Relaxed), 0);
    assert_eq!(served.ask(Method::POST, "/-/reload", &[]).await.status, StatusCode::OK);
    assert_eq!(loaded.load(Ordering::Relaxed), 1);
    served.end().await;
}

#[tokio::test]
async fn reload_is_posted_and_tells_how_it_went() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let served = Served::with(move |_, state| {
        state.reload = Some(Reload::new(move || {
            let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
            async move { if first { Ok(()) } else { Err("unknown key \"polcy\"".to_owned()) } }
        }));
    })
    .await;
    assert_eq!(served.get("/-/reload", &[]).await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    assert_eq!(served.ask(Method::POST, "/-/reload", &[]).await.status, StatusCode::OK);
    let answer = served.ask(Method::POST, "/-/reload", &[]).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.text().contains("unknown key \"polcy\""), "{}", answer.text());
    served.end().await;

    let served = Served::start().await;
    assert_eq!(served.get("/-/reload", &[]).await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(served.ask(Method::POST, "/-/reload", &[]).await.status, StatusCode::NOT_FOUND);
    served.end().await;
}

#[tokio::test]
async fn the_status_page_is_small_strict_and_shows_the_findings() {
    let served = Served::with(|settings, _| settings.telemetry_path = "/probe/me".to_owned()).await;
    served.publish(picture(1, 1, 1)).await;
    let page = served.get("/", &[("accept", BROWSER)]).await;
    assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    let html = page.text();
    for part in [
        "href=\"./probe/me\"",
        env!("CARGO_PKG_VERSION"),
        "waits for services, tags",
        "aws_tags",
        "NLB501",
        "href=\"./style.css\"",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    let style = served.get("/style.css", &[]).await;
    assert_eq!((style.status, style.header("content-type")), (StatusCode::OK, "text/css; charset=utf-8"));
    assert_eq!(served.get("/probe/me", &[]).await.status, StatusCode::OK);
    assert_eq!(served.get("/metrics", &[]).await.status, StatusCode::NOT_FOUND);
    let findings: serde_json::Value = serde_json::from_str(&served.get("/api/v1/findings", &[]).await.text()).unwrap();
    assert_eq!(findings["findings"][0]["code"], "NLB501");
    let sources = served.get("/api/v1/sources", &[]).await;
    assert_eq!(sources.header("content-type"), "application/json");
    assert!(sources.text().contains("\"aws_tags\""));
    served.end().await;
}

#[tokio::test]
async fn metrics_may_be_served_under_the_root() {
    let served = Served::with(|settings, _| settings.telemetry_path = "/".to_owned()).await;
    assert_eq!(served.get("/", &[]).await.header("content-type"), TEXT_TYPE);
    served.end().await;
}

#[tokio::test]
async fn every_address_is_answered() {
    let settings =
        WebSettings { listen_addresses: vec!["127.0.0.1:0".to_owned(), "localhost:0".to_owned()], ..WebSettings::default() };
    let other = Served::start().await;
    let bound = bind(&settings).await.unwrap();
    let addresses = bound.local_addrs();
    let (stop, stopped) = oneshot::channel::<()>();
    let serve = tokio::spawn(bound.serve(other.state.clone(), async move {
        let _ = stopped.await;
    }));
    assert_eq!(addresses.len(), 2);
    for address in addresses {
        assert_eq!(Client::connect(address).await.ask(Method::GET, "/-/healthy", &[]).await.status, StatusCode::OK);
    }
    stop.send(()).unwrap();
    in_time(serve).await.unwrap().unwrap();
    other.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_scrapes_see_whole_pictures_while_new_ones_are_published() {
    const SCRAPERS: usize = 8;
    let served = Served::start().await;
    served.publish(picture(0, 300, 20)).await;
    let address = served.address;
    let scrapers: Vec<_> = (0..SCRAPERS)
        .map(|scraper| {
            tokio::spawn(async move {
                let mut client = Client::connect(address).await;
                let accept = if scraper % 2 == 0 { PROMETHEUS_3 } else { PROMETHEUS_CLASSIC };
                let encoding = if scraper % 4 < 2 { "gzip" } else { "identity" };
                let mut newest = -1.0;
                for _ in 0..25 {
                    let answer = client.ask(Method::GET, "/metrics", &[("accept", accept), ("accept-encoding", encoding)]).await;
                    assert_eq!(answer.status, StatusCode::OK);
                    let text = answer.text();
                    let numbers: Vec<f64> = text
                        .lines()
                        .filter(|line| line.starts_with("eks_nlb_number{"))
                        .map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
                        .collect();
                    assert_eq!(numbers.len(), 300);
                    assert!(numbers.iter().all(|number| *number == numbers[0]), "a mixture of pictures");
                    assert!(numbers[0] >= newest, "an older picture after a newer one");
                    newest = numbers[0];
                }
            })
        })
        .collect();
    for number in 1..60 {
        served.publish(picture(number, 300, 20)).await;
    }
    for scraper in scrapers {
        in_time(scraper).await.unwrap();
    }
    served.end().await;
}
