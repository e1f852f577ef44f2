//! Does a picture say the same when it is read back from its file?

use std::fs;
use std::io::{Read, Write};

use crate::check::{Simulation, err, out};
use crate::support::{Daemon, exporter, get};

/// The findings of `check --snapshot`, with every kind's number.
fn judged(path: &str) -> serde_json::Value {
    let output = exporter().args(["check", "--output", "json", "--snapshot", path]).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", err(&output)))
}

fn codes(report: &serde_json::Value) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let all = report["findings"].as_array().unwrap().iter();
    let mut codes: Vec<_> = all.map(|finding| (text(&finding["code"]), text(&finding["subject"]["kind"]))).collect();
    codes.sort();
    codes
}

fn observed(metrics: &str) -> String {
    // What is about this process and not about the picture is another's business.
    let own = [
        "exporter_",
        "check_duration",
        "aws_api_",
        "kube_api_",
        "config_",
        "http_",
        "notifications_",
        "series_",
        "process_",
        "render_",
        "pictures_",
        "unknown_values_",
    ];
    let is_own = |line: &str| {
        let name = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE ")).unwrap_or(line);
        let name = name.strip_prefix("eks_nlb_").unwrap_or(name);
        own.iter().any(|own| name.starts_with(own))
    };
    metrics.lines().filter(|line| !is_own(line)).collect::<Vec<_>>().join("\n")
}

async fn served(path: &str) -> String {
    let daemon = Daemon::start(["serve", "--snapshot", path]).await;
    daemon.ready(std::time::Duration::from_secs(30)).await;
    let (status, ready) = get(&daemon.url("/-/ready")).await.unwrap();
    assert_eq!(status, 200, "{ready}");
    get(&daemon.url("/metrics")).await.unwrap().1
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_judged_and_served_as_the_live_cluster_was() {
    let simulation = Simulation::start(&[]).await;
    let path = simulation.folder().join("picture.json.gz").display().to_string();
    let output = simulation.run(&["snapshot", "--output", &path]).await;
    assert_eq!(output.status.code(), Some(0), "{}{}", out(&output), err(&output));
    let live = simulation.run(&["check", "--output", "json"]).await;
    let live: serde_json::Value = serde_json::from_slice(&live.stdout).unwrap();
    let read = judged(&path);
    assert_eq!(codes(&read), codes(&live));
    assert_eq!(read["scope"], live["scope"]);

    let first = served(&path).await;
    assert!(first.contains("eks_nlb_target_group_targets{"), "{first}");
    let (first_observed, second) = (observed(&first), observed(&served(&path).await));
    let differing: Vec<_> = first_observed.lines().zip(second.lines()).filter(|(one, other)| one != other).take(5).collect();
    assert!(first_observed == second, "the same file, the same bytes: {differing:?}");
    let findings: f64 = first
        .lines()
        .filter(|line| line.starts_with("eks_nlb_findings{"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum();
    assert_eq!(findings as usize, read["findings"].as_array().unwrap().len());

    // Without the account and the addresses it says the same.
    let redacted = simulation.folder().join("redacted.json.gz").display().to_string();
    let output = simulation.run(&["snapshot", "--redact", "--output", &redacted]).await;
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(codes(&judged(&redacted)), codes(&live));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*fs::read(&redacted).unwrap()).read_to_string(&mut text).unwrap();
    let account = live["scope"]["account_id"].as_str().unwrap();
    assert!(!text.contains(account), "the account stands in {text:.200}");

    // What a manifest names has another name in there, and by that it would not exist.
    let manifest = simulation.folder().join("new.yaml");
    let subnet = |id: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: new\n  annotations:\n    service.beta.kubernetes.io/aws-load-balancer-subnets: {id}\nspec:\n  type: LoadBalancer\n  loadBalancerClass: service.k8s.aws/nlb\n  ports: [{{port: 80}}]\n"
        )
    };
    for (id, code) in [("subnet-0123456789abcdef0", 2), ("nowhere", 1)] {
        fs::write(&manifest, subnet(id)).unwrap();
        let output = exporter().args(["plan", "--snapshot", &redacted, "-f"]).arg(&manifest).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{id}: {}{}", out(&output), err(&output));
        assert_eq!(err(&output).contains("taken with --redact"), code == 2, "{}", err(&output));
    }

    // A pipe is written to and not replaced; a link is replaced and not followed.
    let pipe = simulation.folder().join("pipe").display().to_string();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (link, target) = (simulation.folder().join("link.json.gz"), simulation.folder().join("target.json.gz"));
    std::os::unix::fs::symlink(&target, &link).unwrap();
    fs::write(&target, "old").unwrap();
    let reader = {
        let pipe = pipe.clone();
        tokio::task::spawn_blocking(move || fs::read(pipe).unwrap())
    };
    let output = simulation.run(&["snapshot", "--output", &pipe]).await;
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(reader.await.unwrap().starts_with(&[0x1f, 0x8b]));
    assert!(!fs::symlink_metadata(&pipe).unwrap().is_file());
    let output = simulation.run(&["snapshot", "--output", link.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(fs::symlink_metadata(&link).unwrap().is_file() && fs::read(&link).unwrap().starts_with(&[0x1f, 0x8b]));
    assert_eq!(fs::read_to_string(&target).unwrap(), "old");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&link).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "only its owner can read it");
}

#[test]
fn a_file_that_is_of_no_use_is_one_clear_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let packed = |json: &str| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(json.as_bytes()).unwrap();
        packer.finish().unwrap()
    };
    let newer = packed(r#"{"header":{"program":"eks-nlb-exporter","schema":99,"version":"9.0.0"},"parts":{}}"#);
    for (bytes, named) in [
        (b"no gzip".to_vec(), "damaged"),
        (newer.clone(), "schema 99"),
        (newer[..20].to_vec(), "damaged"),
        (packed("{}"), "no picture"),
    ] {
        let path = folder.path().join("picture");
        fs::write(&path, &bytes).unwrap();
        for command in ["check", "serve"] {
            let output = exporter().args([command, "--snapshot", path.to_str().unwrap()]).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{named}: {}", err(&output));
            assert!(err(&output).contains(named) && err(&output).trim_end().lines().count() == 1, "{named}: {}", err(&output));
        }
    }
}
