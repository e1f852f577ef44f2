//! What becomes of connections that are slow, stuck, silent, many, or there at the end?

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use eks_nlb_exporter::checks::model::Outcome;
use http::{Method, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::{Client, DEADLINE, Served, in_time, picture};

/// A client with a small window that asks for the metrics, takes the first bytes of the answer and then nothing more.
async fn stuck_reader(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: exporter\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    in_time(stream.read_exact(&mut first)).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    stream
}

/// More than the kernel takes into its buffers for a reader that does not read.
pub(super) fn large_picture() -> Arc<Outcome> {
    picture(1, 400, 60_000)
}

#[tokio::test]
async fn scrapes_beyond_the_limit_are_refused_until_a_reader_is_gone() {
    let served = Served::with(|settings, _| settings.max_requests = 1).await;
    served.publish(large_picture()).await;
    let stuck = stuck_reader(served.address).await;
    let refused = served.get("/metrics", &[]).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.text().contains('1'), "{}", refused.text());
    assert_eq!(served.get("/-/healthy", &[]).await.status, StatusCode::OK, "probes are not scrapes");
    drop(stuck);
    in_time(async {
        while served.get("/metrics", &[("accept-encoding", "gzip")]).await.status != StatusCode::OK {
            tokio::task::yield_now().await;
        }
    })
    .await;
    served.end().await;
}

#[tokio::test]
async fn large_answers_without_compression_leave_room_for_the_others() {
    let served = Served::with(|settings, _| settings.max_requests = 40).await;
    served.publish(large_picture()).await;
    // 24 MB each; 64 MiB may be on their way.
    let stuck = [stuck_reader(served.address).await, stuck_reader(served.address).await];
    let refused = served.get("/metrics", &[]).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.text().contains("ask for gzip"), "{}", refused.text());
    assert_eq!(served.get("/metrics", &[("accept-encoding", "gzip")]).await.status, StatusCode::OK);
    drop(stuck);
    in_time(async {
        while served.get("/metrics", &[]).await.status != StatusCode::OK {
            tokio::task::yield_now().await;
        }
    })
    .await;
    served.end().await;
}

#[tokio::test]
async fn a_reader_that_stands_still_loses_its_place() {
    let served = Served::with(|settings, _| {
        settings.max_requests = 1;
        settings.send_timeout = Duration::from_millis(100);
    })
    .await;
    served.publish(large_picture()).await;
    let stuck = stuck_reader(served.address).await;
    in_time(async {
        while served.get("/metrics", &[("accept-encoding", "gzip")]).await.status != StatusCode::OK {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(stuck);
    served.end().await;
}

#[tokio::test]
async fn a_stuck_reader_does_not_hold_up_the_end() {
    let served = Served::with(|settings, _| settings.shutdown_grace = Duration::from_millis(100)).await;
    served.publish(large_picture()).await;
    let stuck = stuck_reader(served.address).await;
    served.end().await;
    drop(stuck);
}

#[tokio::test]
async fn an_answer_in_flight_is_finished_at_the_end_and_new_clients_are_refused() {
    let served = Served::with(|settings, _| settings.shutdown_grace = DEADLINE).await;
    served.publish(large_picture()).await;
    let mut reader = stuck_reader(served.address).await;
    let Served { address, state, stop, done, .. } = served;
    stop.send(()).unwrap();
    in_time(state.readiness.settled()).await;
    in_time(async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut rest = Vec::new();
    in_time(reader.read_to_end(&mut rest)).await.unwrap();
    let head_end = rest.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&rest[..head_end]).into_owned();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert_eq!(length.parse::<usize>().unwrap(), rest.len() - head_end - 4);
    in_time(done).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_the_end() {
    let served = Served::start().await;
    let mut client = Client::connect(served.address).await;
    client.ask(Method::GET, "/-/healthy", &[]).await;
    served.end().await;
}

#[tokio::test]
async fn a_half_sent_header_is_not_waited_for() {
    let served = Served::with(|settings, _| {
        settings.header_timeout = Duration::from_millis(100);
        settings.keep_alive_timeout = Duration::from_millis(100);
    })
    .await;
    for sent in ["", "GET /metrics HTTP/1.1\r\nhost: exp"] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        assert_eq!(in_time(stream.read(&mut [0; 100])).await.unwrap_or(0), 0, "{sent:?}");
    }
    // The header of a later request on a connection that is kept.
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(b"GET /-/healthy HTTP/1.1\r\nhost: exporter\r\n\r\nGET /-/hea").await.unwrap();
    let mut all = Vec::new();
    let _ = in_time(stream.read_to_end(&mut all)).await;
    assert!(all.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&all));
    assert_eq!(String::from_utf8_lossy(&all).matches("HTTP/1.1").count(), 1);
    served.end().await;
}

#[tokio::test]
async fn a_connection_is_kept_between_scrapes() {
    let served = Served::start().await;
    let mut client = Client::connect(served.address).await;
    for _ in 0..3 {
        assert_eq!(client.ask(Method::GET, "/metrics", &[("accept-encoding", "gzip")]).await.status, StatusCode::OK);
    }
    served.end().await;
}

#[tokio::test]
async fn what_is_not_http_is_answered_with_an_error_or_hung_up_on() {
    let served = Served::start().await;
    for junk in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET\r\n\r\n",
        &[b'a'; 100_000],
    ] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        let _ = stream.write_all(junk).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = in_time(stream.read_to_end(&mut answer)).await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4") || answer.starts_with(b"HTTP/1.1 5"), "{answer:?}");
    }
    assert_eq!(served.get("/-/healthy", &[]).await.status, StatusCode::OK);
    served.end().await;
}
