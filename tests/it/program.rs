//! How does the program behave as a process? Exit codes, one clear sentence for each mistake, signals, and a start without anything.

use std::fs;
use std::process::{Command, Output};
use std::time::Duration;

use crate::support::{Daemon, Program, eventually, exporter, get, post};

fn run(arguments: &[&str]) -> Output {
    exporter().args(arguments).output().unwrap()
}

fn complaint(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A configuration file with this text.
fn config(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yml");
    fs::write(&path, text).unwrap();
    (folder, path.display().to_string())
}

#[test]
fn a_wrong_flag_command_or_value_is_named_and_ends_with_2() {
    for (arguments, named) in [
        (vec!["--web.listen-adress=:1"], "--web.listen-adress"),
        (vec!["serve", "--log.level=loud"], "loud"),
        (vec!["--web.max-requests=-1"], "-1"),
        (vec!["serf"], "serf"),
        (vec!["simulate", "--fault=DescribeTags=sometimes"], "sometimes"),
    ] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(complaint(&output).contains(named), "{arguments:?}: {}", complaint(&output));
    }
}

#[test]
fn a_wrong_configuration_is_named_in_one_sentence_and_ends_with_2() {
    for (text, named) in [
        ("polcy: {}\n", "polcy"),
        ("policy: {target_series: some}\n", "some"),
        ("aws: {requests_per_second: {ec2: -1}}\n", "aws.requests_per_second.ec2"),
        ("policy: {", "config.yml"),
    ] {
        let (_folder, path) = config(text);
        for check in [&[][..], &["--config.check"]] {
            let output = run(&[&["--config.file", &path][..], check].concat());
            assert_eq!(output.status.code(), Some(2), "{text:?}");
            let words = complaint(&output);
            assert!(words.contains(named) && words.trim_end().lines().count() == 1, "{text:?}: {words}");
        }
    }
    let output = run(&["--config.file", "/does/not/exist.yml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(complaint(&output).contains("/does/not/exist.yml"));
}

#[test]
fn a_good_configuration_passes_its_check_and_starts_nothing() {
    let (_folder, path) = config("policy: {target_series: all}\n");
    let output = run(&["--config.file", &path, "--config.check"]);
    assert_eq!(output.status.code(), Some(0), "{}", complaint(&output));
    assert!(output.stderr.is_empty());
}

#[test]
fn an_address_that_is_taken_is_named_and_ends_with_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["--web.listen-address", &address]);
    assert_eq!(output.status.code(), Some(1));
    assert!(complaint(&output).contains(&address), "{}", complaint(&output));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let line = format!("{} metrics | head -n 1", env!("CARGO_BIN_EXE_eks-nlb-exporter"));
    let output = Command::new("sh").args(["-c", &line]).output().unwrap();
    assert!(complaint(&output).is_empty(), "{}", complaint(&output));
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 1);
}

#[test]
fn the_table_of_metrics_has_every_family_once_in_both_formats() {
    let markdown = String::from_utf8(run(&["metrics"]).stdout).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&run(&["metrics", "--format", "json"]).stdout).unwrap();
    let families = json.as_array().unwrap();
    assert!(families.len() > 60);
    for family in families {
        let name = family["name"].as_str().unwrap();
        assert_eq!(markdown.matches(&format!("`{name}`")).count(), 1, "{name}");
    }
}

/// Neither Region nor credentials nor a cluster.
async fn start_with_nothing() -> Daemon {
    let folder = tempfile::tempdir().unwrap();
    let mut command = exporter();
    command
        .args(["--web.listen-address", "127.0.0.1:0", "--log.format", "json"])
        .env_clear()
        .env("HOME", folder.path())
        .env("AWS_EC2_METADATA_DISABLED", "true");
    Daemon::start_command(&mut command).await
}

#[tokio::test]
async fn without_anything_it_serves_its_own_metrics_and_says_what_it_looks_for() {
    let daemon = start_with_nothing().await;
    let scrape = eventually("both sides are reported", Duration::from_secs(30), async || {
        let scrape = daemon.scrape().await;
        let up = |name: &str| scrape.value(&format!("source_up{{source=\"{name}\"}}"));
        let both = (up("aws_load_balancers"), up("kube_services"));
        if both == (Some(0.0), Some(0.0)) { Ok(scrape) } else { Err(format!("{both:?}")) }
    })
    .await;
    assert_eq!(scrape.family("exporter_build_info").len(), 1);
    assert!(scrape.names().any(|name| name.starts_with("process_resident_memory_bytes")));
    assert!(
        !scrape.names().any(|name| name.starts_with("eks_nlb_load_balancer") || name.starts_with("eks_nlb_quota")),
        "no zeros"
    );
    let (status, pending) = get(&daemon.url("/-/ready")).await.unwrap();
    assert_eq!(status, 503);
    assert!(pending.contains("cluster_name") && pending.contains("kube_services"), "{pending}");
    assert_eq!(get(&daemon.url("/-/healthy")).await.unwrap().0, 200);
    let log = daemon.program.output();
    for looked_for in ["--aws.region", "AWS_REGION", "kubeconfig"] {
        assert!(log.contains(looked_for), "{looked_for} is not named:\n{log}");
    }
}

fn signal(program: &Program, name: &str) {
    assert!(Command::new("kill").args(["-s", name, &program.id().to_string()]).status().unwrap().success());
}

#[tokio::test]
async fn sigterm_and_sigint_end_it_with_0() {
    for name in ["TERM", "INT"] {
        let mut daemon = Daemon::start(["demo"]).await;
        signal(&daemon.program, name);
        assert_eq!(daemon.program.wait(Duration::from_secs(10)).await, 0, "SIG{name}");
    }
}

#[tokio::test]
async fn a_bad_reload_keeps_the_running_configuration_and_is_told() {
    let (_folder, path) = config("policy: {target_series: not_healthy}\n");
    let daemon = Daemon::start(["demo", "--config.file", &path]).await;
    daemon.ready(Duration::from_secs(60)).await;
    let healthy = |scrape: &crate::support::Scrape| {
        scrape.family("target_health").keys().filter(|labels| labels["state"] == "healthy").count()
    };
    assert_eq!(healthy(&daemon.scrape().await), 0);

    fs::write(&path, "policy: {target_serie: all}\n").unwrap();
    let (status, words) = post(&daemon.url("/-/reload"), "").await.unwrap();
    assert!(status >= 500 && words.contains("target_serie"), "{status}: {words}");
    assert_eq!(daemon.scrape().await.value("config_last_reload_successful"), Some(0.0));

    fs::write(&path, "policy: {target_series: all}\n").unwrap();
    signal(&daemon.program, "HUP");
    eventually("the new policy holds", Duration::from_secs(20), async || {
        let scrape = daemon.scrape().await;
        if healthy(&scrape) > 0 && scrape.value("config_last_reload_successful") == Some(1.0) { Ok(()) } else { Err("not yet") }
    })
    .await;
}
