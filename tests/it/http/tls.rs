//! Do the time-outs and limits of connections hold under TLS, too?

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Served, in_time};
use crate::web_config::{Stage, TLS};

pub(super) type Stream = StreamOwned<ClientConnection, std::net::TcpStream>;

pub(super) fn client(stage: &Stage) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(stage.authority.certificate()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

pub(super) fn connect(config: &Arc<ClientConfig>, address: SocketAddr) -> Stream {
    let connection = ClientConnection::new(Arc::clone(config), "localhost".try_into().unwrap()).unwrap();
    StreamOwned::new(connection, std::net::TcpStream::connect(address).unwrap())
}

/// Asks, and reads until the head of the answer is complete.
pub(super) fn ask(stream: &mut Stream, path: &str) -> String {
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

async fn served(stage: &Stage, timeout: Duration, max_requests: usize) -> Served {
    stage.write("web.yml", TLS);
    Served::with(|settings, _| {
        settings.config_file = Some(stage.path("web.yml"));
        settings.header_timeout = timeout;
        settings.send_timeout = timeout;
        settings.max_requests = max_requests;
    })
    .await
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_not_waited_for() {
    let stage = Stage::new();
    let served = served(&stage, Duration::from_millis(100), 1).await;
    // Nothing; a record's head without its body; a handshake that was begun.
    for sent in [&b""[..], b"\x16\x03\x01\x02\x00", b"\x16\x03\x01\x00\x05\x01\x00\x00\xf0\x03"] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(sent).await.unwrap();
        let mut rest = Vec::new();
        let _ = in_time(stream.read_to_end(&mut rest)).await;
        assert!(rest.len() < 100, "{sent:?}: {rest:?}");
    }
    // A handshake, and then no request.
    let (config, address) = (client(&stage), served.address);
    let idle = tokio::task::spawn_blocking(move || {
        let mut stream = connect(&config, address);
        stream.conn.complete_io(&mut stream.sock).unwrap();
        stream.read(&mut [0; 10]).unwrap_or(0)
    });
    assert_eq!(in_time(idle).await.unwrap(), 0);
    served.end().await;
}

#[tokio::test]
async fn a_reader_that_stands_still_loses_its_place_under_tls() {
    let stage = Stage::new();
    let served = served(&stage, Duration::from_secs(1), 1).await;
    served.publish(super::connections::large_picture()).await;
    let (config, address) = (client(&stage), served.address);
    let statuses = tokio::task::spawn_blocking(move || {
        let mut stuck = connect(&config, address);
        assert!(ask(&mut stuck, "/metrics").starts_with("HTTP/1.1 200"));
        let mut statuses = Vec::new();
        while statuses.last().is_none_or(|status: &String| !status.starts_with("HTTP/1.1 200")) {
            let mut other = connect(&config, address);
            let head = ask(&mut other, "/metrics");
            statuses.push(head.lines().next().unwrap().to_owned());
        }
        drop(stuck);
        statuses
    });
    let statuses = in_time(statuses).await.unwrap();
    assert!(statuses[0].contains(StatusCode::SERVICE_UNAVAILABLE.as_str()), "{:?}", statuses[0]);
    served.end().await;
}

#[tokio::test]
async fn an_answer_is_sent_at_once_under_tls() {
    let stage = Stage::new();
    let served = served(&stage, Duration::from_secs(30), 40).await;
    served.publish(super::picture(1, 10, 10)).await;
    let (config, address) = (client(&stage), served.address);
    let head = tokio::task::spawn_blocking(move || ask(&mut connect(&config, address), "/metrics"));
    assert!(in_time(head).await.unwrap().starts_with("HTTP/1.1 200"));
    served.end().await;
}
