//! What do ten thousand connections cost, and what happens at the limit?

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use http::StatusCode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Served, in_time};
use crate::support::{Daemon, eventually, exporter, get};
use crate::web_config::{Stage, TLS};

const CROWD: usize = 10_000;

/// A connection on which a first request was answered, and that is kept.
async fn idle(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /-/healthy HTTP/1.1\r\nhost: exporter\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"Healthy.\n") {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "closed");
    }
    stream
}

fn resident_bytes(process: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<usize>().unwrap() * 1024
}

fn quiet(limit: Option<usize>, arguments: &[&str]) -> Command {
    let mut command = match limit {
        // As a service is started that was given few open files.
        Some(files) => {
            let mut command = Command::new("sh");
            command.args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_eks-nlb-exporter")]);
            command
        }
        None => exporter(),
    };
    command
        .args(["--web.listen-address", "127.0.0.1:0", "--log.format", "json"])
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", "/nonexistent")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

/// As many open files as this process may have: each connection of a crowd is one.
fn room_for_a_crowd() {
    let limits = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, ..limits }).unwrap();
    assert!(limits.maximum.is_none_or(|files| files > 11_000), "the test needs `ulimit -Hn` of more than 11000");
}

#[tokio::test]
async fn ten_thousand_connections_cost_no_more_than_the_limit_allows() {
    room_for_a_crowd();
    let daemon = Daemon::start_command(&mut quiet(None, &[])).await;
    drop(idle(daemon.address).await);
    let before = resident_bytes(daemon.program.id());
    let one = async |_| {
        let mut stream = TcpStream::connect(daemon.address).await.unwrap();
        let _ = stream.write_all(b"GET /-/healthy HTTP/1.1\r\nhost: exporter\r\n\r\n").await;
        let mut answer = Vec::new();
        while !answer.ends_with(b"Healthy.\n") {
            if stream.read_buf(&mut answer).await.unwrap_or(0) == 0 {
                return (stream, false);
            }
        }
        (stream, true)
    };
    let crowd: Vec<_> = stream::iter(0..CROWD).map(one).buffer_unordered(100).collect().await;
    let growth = resident_bytes(daemon.program.id()).saturating_sub(before);
    let held = crowd.iter().filter(|(_, answered)| *answered).count();
    println!("{held} of {CROWD} connections are held: {} KiB more, {} bytes each", growth / 1024, growth / held);
    // The first connection's place may come free a moment later.
    assert!((2047..=2048).contains(&held), "{held}, but the limit is 2048");
    assert!(growth < 64 << 20, "{} MiB", growth >> 20);
    drop(crowd);
    eventually("others are served again", Duration::from_secs(30), async || match get(&daemon.url("/metrics")).await {
        Ok((200, _)) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

#[tokio::test]
async fn ten_thousand_connections_that_are_allowed_are_all_served() {
    room_for_a_crowd();
    let daemon = Daemon::start_command(&mut quiet(None, &["--web.max-connections", "12000"])).await;
    drop(idle(daemon.address).await);
    let before = resident_bytes(daemon.program.id());
    let _crowd: Vec<TcpStream> = stream::iter(0..CROWD).map(|_| idle(daemon.address)).buffer_unordered(100).collect().await;
    let growth = resident_bytes(daemon.program.id()).saturating_sub(before);
    println!("{CROWD} idle connections: {} KiB more, {} bytes each", growth / 1024, growth / CROWD);
    assert!(growth < CROWD * (20 << 10), "{} MiB", growth >> 20);
    assert_eq!(get(&daemon.url("/metrics")).await.unwrap().0, 200);
}

#[tokio::test]
async fn connections_under_tls_cost_little_more() {
    const MANY: usize = 1000;
    let stage = Stage::new();
    stage.write("web.yml", TLS);
    let file = stage.path("web.yml").display().to_string();
    let daemon = Daemon::start_command(&mut quiet(None, &["--web.config.file", &file])).await;
    let (config, address, process) = (super::tls::client(&stage), daemon.address, daemon.program.id());
    let growth = tokio::task::spawn_blocking(move || {
        let idle = || {
            let mut stream = super::tls::connect(&config, address);
            assert!(super::tls::ask(&mut stream, "/-/healthy").starts_with("HTTP/1.1 200"));
            stream
        };
        drop(idle());
        let before = resident_bytes(process);
        let crowd: Vec<_> = (0..MANY).map(|_| idle()).collect();
        let growth = resident_bytes(process).saturating_sub(before);
        drop(crowd);
        growth
    });
    let growth = growth.await.unwrap();
    println!("{MANY} idle connections under TLS: {} KiB more, {} bytes each", growth / 1024, growth / MANY);
    // So that as many as the limit allows stay below 64 MiB.
    assert!(growth / MANY * 2048 < 64 << 20, "{} bytes each", growth / MANY);
}

#[tokio::test]
async fn beyond_the_limit_connections_are_closed_at_once_and_counted_and_places_come_free() {
    let served = Served::with(|settings, _| settings.max_connections = 3).await;
    let mut crowd = Vec::new();
    for _ in 0..3 {
        crowd.push(in_time(idle(served.address)).await);
    }
    for _ in 0..2 {
        let mut beyond = TcpStream::connect(served.address).await.unwrap();
        assert_eq!(in_time(beyond.read(&mut [0; 10])).await.unwrap_or(0), 0, "it is hung up on");
    }
    drop(crowd);
    let text = eventually("a place is free", Duration::from_secs(30), async || {
        let (status, text) = get(&format!("http://{}/metrics", served.address)).await?;
        if status == StatusCode::OK { Ok(text) } else { Err(text) }
    })
    .await;
    let refused = text.lines().find_map(|line| line.strip_prefix("eks_nlb_web_refusals_total{reason=\"connection_limit\"} "));
    assert!(refused.unwrap().parse::<u32>().unwrap() >= 2, "{text}");
    served.end().await;
}

#[tokio::test]
async fn few_open_files_are_kept_for_the_daemon_s_own_work() {
    // Hard and soft: it cannot be raised.
    let daemon = Daemon::start_command(&mut quiet(Some(200), &[])).await;
    assert!(
        daemon.program.output().contains("fewer connections than --web.max-connections are possible"),
        "{}",
        daemon.program.output()
    );
    let mut crowd: Vec<TcpStream> = Vec::new();
    for _ in 0..100 {
        crowd.push(in_time(idle(daemon.address)).await);
    }
    // Far beyond: every one of them is closed, none stays in the system's queue, and the daemon lives on.
    for _ in 0..200 {
        let mut beyond = TcpStream::connect(daemon.address).await.unwrap();
        assert_eq!(in_time(beyond.read(&mut [0; 10])).await.unwrap_or(0), 0);
    }
    assert!(!daemon.program.output().contains("no connection can be accepted"), "{}", daemon.program.output());
    drop(crowd);
    eventually("a place is free", Duration::from_secs(30), async || match get(&daemon.url("/-/healthy")).await {
        Ok((200, _)) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}
