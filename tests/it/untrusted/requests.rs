//! What do requests do that no client of good will sends? Each is answered with a status that fits or hung up on, nothing that was sent
//! comes back as markup, and the next client is served.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use eks_nlb_exporter::expose::negotiate::negotiate;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::mutation::{Damage, damage, damaged, odd_text};
use crate::support::Daemon;

/// What must never come back as it was sent.
const MARKUP: &str = "<script>x</script>";

const PATHS: &[&str] = &[
    "/",
    "/metrics",
    "/-/healthy",
    "/-/ready",
    "/-/reload",
    "/style.css",
    "/api/v1/findings",
    "/api/v1/sources",
    "/api/v1/services",
    "/api/v1/services/shop/web",
    "/api/v1/openapi.json",
    "/services/shop/web",
    "/subnets/subnet-1",
    "/nowhere",
    "*",
    "http://other/metrics",
];

/// A request that may be one, and what happens to its bytes.
fn request() -> impl Strategy<Value = (String, Vec<Damage>)> {
    let method =
        select(vec!["GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "TRACE", "get", "G\u{e4}T", ""]);
    let tail = prop_oneof![
        Just(String::new()),
        Just("/../../../etc/passwd".to_owned()),
        Just("/%2e%2e/%2e%2e/etc/passwd".to_owned()),
        Just("/%00%ff".to_owned()),
        Just(format!("/{MARKUP}")),
        Just(format!("?namespace={MARKUP}&severity=%3Cscript%3Ex%3C/script%3E")),
        odd_text().prop_map(|text| format!("?namespace={text}&page={text}&limit={text}")),
        odd_text(),
    ];
    let header = (
        select(vec![
            "accept",
            "accept-encoding",
            "host",
            "content-length",
            "transfer-encoding",
            "authorization",
            "range",
            "expect",
            "x",
            "connection",
        ]),
        prop_oneof![
            odd_text(),
            select(vec![
                "chunked",
                "gzip;q=0",
                "-1",
                "99999999999999999999",
                "100-continue",
                "bytes=0-,1-",
                "Basic Og==",
                "upgrade"
            ])
            .prop_map(str::to_owned)
        ],
    );
    let headers = proptest::collection::vec(header, 0..5);
    let whole = (method, select(PATHS), tail, headers, odd_text()).prop_map(|(method, path, tail, headers, body)| {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("{method} {path}{tail} HTTP/1.1\r\nhost: exporter\r\n{headers}connection: close\r\n\r\n{body}")
    });
    (whole, prop_oneof![2 => Just(Vec::new()), 1 => damage()])
}

/// Everything that comes back until the end. Who sends half of a request gives up after a moment.
fn send(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    // It may hang up before it has read everything.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    for patience in [Duration::from_millis(500), Duration::from_secs(60)] {
        stream.set_read_timeout(Some(patience)).unwrap();
        match stream.read_to_end(&mut answer) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                _ = stream.shutdown(Shutdown::Write)
            }
            _ => return answer,
        }
    }
    panic!("no end to the answer of {:?}", String::from_utf8_lossy(bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_untrusted_request_gets_a_status_that_fits_and_the_next_client_is_served() {
    let daemon = Daemon::start(["demo"]).await;
    daemon.ready(Duration::from_secs(60)).await;
    let address = daemon.address;
    tokio::task::spawn_blocking(move || {
        // The same requests with every run: the server is the same for all of them, so a failure is told by its request.
        let mut runner = TestRunner::new_with_rng(
            Config { failure_persistence: None, ..Config::default() },
            TestRng::deterministic_rng(RngAlgorithm::ChaCha),
        );
        let result = runner.run(&request(), |(whole, damage)| {
            let answer = send(address, &damaged(whole.as_bytes(), &damage));
            let text = String::from_utf8_lossy(&answer);
            if !answer.is_empty() {
                let status: u16 = text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or_default();
                prop_assert!(
                    text.starts_with("HTTP/1.") && matches!(status, 100 | 200 | 303 | 304 | 308 | 400..=499 | 503),
                    "{text:.200}"
                );
                prop_assert!(!text.contains(MARKUP), "{text:.2000}");
                prop_assert!(!text.contains("root:"), "{text:.200}");
            }
            let healthy = send(address, b"GET /-/healthy HTTP/1.1\r\nhost: exporter\r\nconnection: close\r\n\r\n");
            prop_assert!(healthy.starts_with(b"HTTP/1.1 200"));
            Ok(())
        });
        result.unwrap();
    })
    .await
    .unwrap();
    assert!(!daemon.program.output().contains("panicked"), "{}", daemon.program.output());
}

proptest! {
    #[test]
    fn untrusted_accept_headers_get_a_form_and_gzip_only_where_it_is_asked_for(
        accept in "(application/openmetrics-text|text/plain|\\*/\\*|;|,|q=|version=|1\\.0\\.0|0\\.0\\.4|0|1|NaN|\"|[ -~]){0,30}",
        encoding in "(gzip|x-gzip|identity|\\*|;|,|q=|0|1|-1|\"|[ -~]){0,20}",
    ) {
        let mut headers = http::HeaderMap::new();
        for (name, value) in [("accept", accept), ("accept-encoding", encoding.clone())] {
            if let Ok(value) = value.parse() {
                headers.insert(name, value);
            }
        }
        let form = negotiate(&headers);
        if form.encoding == eks_nlb_exporter::expose::negotiate::Encoding::Gzip {
            let encoding = encoding.to_ascii_lowercase();
            prop_assert!(encoding.contains("gzip") || encoding.contains('*'));
        }
    }
}
