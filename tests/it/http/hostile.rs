//! What becomes of requests that no friend sends? Each gets its status, or is hung up on, and the next client is served.

use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};

use super::{DEADLINE, Served, in_time};

/// Sends these bytes and reads until the server hangs up.
async fn answers_to(served: &Served, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    // The server may hang up while it is sent.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = in_time(stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn statuses(answers: &str) -> Vec<&str> {
    answers
        .lines()
        .filter_map(|line| line.strip_prefix("HTTP/1.1 ").or(line.strip_prefix("HTTP/1.0 ")))
        .map(|rest| &rest[..3])
        .collect()
}

const CLOSE: &str = "host: exporter\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn strange_paths_are_not_found_and_strange_queries_are_not_looked_at() {
    let served = Served::start().await;
    for path in [
        "/../etc/passwd",
        "/metrics/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/%252e%252e/etc/passwd",
        "/.%00./etc/passwd",
        "//etc/passwd",
        "/metrics%00",
        "/style.css/../../Cargo.toml",
        "/api/v1/../../etc/passwd",
        "/%ff%fe",
    ] {
        let answer = answers_to(&served, format!("GET {path} HTTP/1.1\r\n{CLOSE}").as_bytes()).await;
        assert_eq!(statuses(&answer), ["404"], "{path}: {answer}");
        assert!(!answer.contains("root:"), "{path}");
    }
    for query in ["?", "?a=b&a=c&&&=", "?%", "?%zz=%00", "?match[]={__name__=~'.+'}", &format!("?{}", "x=y&".repeat(2000))] {
        let answer = answers_to(&served, format!("GET /-/healthy{query} HTTP/1.1\r\n{CLOSE}").as_bytes()).await;
        assert_eq!(statuses(&answer), ["200"], "{query}: {answer}");
    }
    for query in ["?\"", "?<script>", "?\u{1}", "? HTTP/1.1 x"] {
        let answer = answers_to(&served, format!("GET /-/healthy{query} HTTP/1.1\r\n{CLOSE}").as_bytes()).await;
        assert_eq!(statuses(&answer), ["400"], "{query}: {answer}");
    }
    served.end().await;
}

#[tokio::test]
async fn wrong_methods_are_told_the_right_ones() {
    let served = Served::start().await;
    for (method, path, allowed) in [
        ("POST", "/metrics", "GET,HEAD"),
        ("DELETE", "/", "GET,HEAD"),
        ("TRACE", "/-/healthy", "GET,HEAD"),
        ("PATCH", "/api/v1/findings", "GET,HEAD"),
        ("BREW", "/metrics", "GET,HEAD"),
        ("GET", "/-/reload", "POST"),
        ("PUT", "/-/reload", "POST"),
    ] {
        let answer = answers_to(&served, format!("{method} {path} HTTP/1.1\r\n{CLOSE}").as_bytes()).await;
        assert_eq!(statuses(&answer), ["405"], "{method} {path}: {answer}");
        assert!(answer.contains(&format!("allow: {allowed}\r\n")), "{method} {path}: {answer}");
    }
    let connect = answers_to(&served, format!("CONNECT example.com:443 HTTP/1.1\r\n{CLOSE}").as_bytes()).await;
    assert!(["404", "405"].contains(&statuses(&connect)[0]), "{connect}");
    served.end().await;
}

#[tokio::test]
async fn old_clients_and_impatient_ones_are_served() {
    let served = Served::start().await;
    let old = answers_to(&served, b"GET /-/healthy HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 200") && old.ends_with("Healthy.\n"), "{old}");
    let head = answers_to(&served, format!("HEAD /-/healthy HTTP/1.1\r\n{CLOSE}").as_bytes()).await;
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    let one = "GET /-/healthy HTTP/1.1\r\nhost: exporter\r\n\r\n";
    let pipelined = answers_to(&served, format!("{one}{one}GET /nothing HTTP/1.1\r\n{CLOSE}").as_bytes()).await;
    assert_eq!(statuses(&pipelined), ["200", "200", "404"], "{pipelined}");
    served.end().await;
}

#[tokio::test]
async fn what_is_too_large_is_refused_with_its_own_status() {
    let served = Served::start().await;
    let long = "x".repeat(100_000);
    let many: String = (0..200).map(|number| format!("x-{number}: y\r\n")).collect();
    for (request, expected) in [
        (format!("GET /{long} HTTP/1.1\r\n{CLOSE}"), &["414", "431"][..]),
        (format!("GET /metrics HTTP/1.1\r\nx-long: {long}\r\n{CLOSE}"), &["431"]),
        (format!("GET /metrics HTTP/1.1\r\n{many}{CLOSE}"), &["431"]),
        (format!("POST /-/reload HTTP/1.1\r\ncontent-length: 1000000000\r\n{CLOSE}"), &["413"]),
        (format!("GET /metrics HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n{CLOSE}"), &["400"]),
        (format!("GET /metrics HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n{CLOSE}hello"), &["400"]),
        (format!("GET /metrics HTTP/1.1\r\ncontent-length: -1\r\n{CLOSE}"), &["400"]),
    ] {
        let answer = answers_to(&served, request.as_bytes()).await;
        let status = statuses(&answer);
        assert!(status.len() == 1 && expected.contains(&status[0]), "{:?}…: {answer}", &request[..60]);
    }
    served.end().await;
}

#[tokio::test]
async fn a_body_in_chunks_is_refused_with_or_without_a_length() {
    let served = Served::start().await;
    for framing in [
        "transfer-encoding: chunked\r\ncontent-length: 5",
        "content-length: 5\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: chunked, identity",
        "Transfer-Encoding : chunked",
        "transfer-encoding: \tchunked",
        "transfer-encoding:\r\n chunked",
    ] {
        for body in ["0\r\n\r\n", "zz\r\nhello\r\n", "ffffffffffffffffff\r\n", "5\r\nhelloGET /-/healthy HTTP/1.1\r\n\r\n"] {
            let request = format!("POST /-/reload HTTP/1.1\r\nhost: exporter\r\n{framing}\r\n\r\n{body}");
            let answer = answers_to(&served, request.as_bytes()).await;
            assert_eq!(statuses(&answer), ["400"], "{framing:?} {body:?}: {answer}");
        }
    }
    served.end().await;
}

/// Sends a byte again and again; gives what was answered until the server hung up.
async fn drip(served: &Served, start: &[u8]) -> String {
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(start).await.unwrap();
    let mut ticks = interval(Duration::from_millis(10));
    let mut answer = Vec::new();
    timeout(DEADLINE, async {
        loop {
            tokio::select! {
                _ = ticks.tick() => if stream.write_all(b"x").await.is_err() { break },
                read = stream.read_buf(&mut answer) => if read.unwrap_or(0) == 0 { break },
            }
        }
    })
    .await
    .expect("the server waits for ever");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_client_that_drips_is_hung_up_on() {
    let served = Served::with(|settings, _| {
        settings.header_timeout = Duration::from_millis(200);
        settings.keep_alive_timeout = Duration::from_millis(200);
    })
    .await;
    let head = drip(&served, b"GET /metrics HTTP/1.1\r\nhost: ").await;
    assert!(head.is_empty() || statuses(&head) == ["408"], "{head}");
    let later = drip(&served, b"GET /-/healthy HTTP/1.1\r\nhost: exporter\r\n\r\nGET /-/hea").await;
    assert_eq!(statuses(&later), ["200"], "{later}");
    // No page waits for a body.
    let body = drip(&served, b"POST /-/reload HTTP/1.1\r\nhost: exporter\r\ncontent-length: 10000\r\n\r\n").await;
    assert_eq!(statuses(&body), ["404"], "{body}");
    let body = drip(&served, b"GET /-/healthy HTTP/1.1\r\nhost: exporter\r\ncontent-length: 10000\r\n\r\n").await;
    assert_eq!(statuses(&body), ["200"], "{body}");
    assert_eq!(served.get("/-/healthy", &[]).await.status, StatusCode::OK);
    served.end().await;
}
