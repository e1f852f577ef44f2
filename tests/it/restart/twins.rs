//! What if somebody runs two? Twice the calls to AWS, and each alert once all the same.

use std::time::Duration;

use eks_nlb_exporter::simulator::{self, Operation, SimulatorSettings};
use serde_json::json;

use crate::paging::both_paths::{EXPECTED, break_it, config, notifications};
use crate::paging::peers::{Alertmanager, Prometheus, Receiver};
use crate::paging::stage::Stage;
use crate::support::{Daemon, eventually, exporter, free_port};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn two_of_them_scraped_by_one_prometheus_page_once() {
    let stage = Stage::new().await;
    let receiver = Receiver::start().await;
    let by_rules = Alertmanager::start(&config(&receiver, "rules"));
    let by_daemons = Alertmanager::start(&config(&receiver, "daemons"));
    let alerting = json!({
        "alertmanagers": [{"url": by_daemons.url()}],
        "external_url": "http://exporter.example/",
        "resend_delay_seconds": 3,
    });
    let second = format!("127.0.0.1:{}", free_port());
    let one = stage.daemon(alerting.clone()).await;
    let mut other = stage.daemon_at(&second, alerting).await;
    let targets = [format!("127.0.0.1:{}", by_rules.port)];
    let mut scraping = stage.prometheus_config(&json!({}), &targets);
    scraping["scrape_configs"][0]["static_configs"][0]["targets"] = json!([stage.address(), second]);
    let prometheus = Prometheus::start(scraping, Some(&stage.rules())).await;
    eventually("both are scraped", PATIENCE, async || {
        let both = prometheus.query("count(eks_nlb_exporter_build_info)", None).await?;
        if both.first().is_some_and(|(_, count)| *count == 2.0) { Ok(()) } else { Err(format!("{both:?}")) }
    })
    .await;
    let _broken = break_it(&stage);
    for path in ["rules", "daemons"] {
        let told = eventually("everything is told", PATIENCE, async || {
            let told = notifications(&receiver, path);
            let is_told = |(name, severity): &&(&str, &str)| {
                told.keys().any(|alert| alert["alertname"] == *name && alert["severity"] == *severity)
            };
            let missing: Vec<_> = EXPECTED.iter().filter(|alert| !is_told(alert)).collect();
            if missing.is_empty() { Ok(told) } else { Err(format!("{path}: {missing:?}")) }
        })
        .await;
        for (alert, count) in told {
            assert_eq!(count, (1, 0), "{path}: {alert:#?}");
            assert!(
                !alert.contains_key("instance") && !alert.contains_key("pod"),
                "which of them saw it is nobody's: {alert:#?}"
            );
        }
    }
    // One of them goes: the other one sees the same, and nothing ends.
    let before = ["rules", "daemons"].map(|path| notifications(&receiver, path));
    other.program.kill();
    eventually("the other is alone", PATIENCE, async || {
        let alone = prometheus.query("sum(up) == 1 and max_over_time(sum(up)[6s:1s]) == 1", None).await?;
        if alone.is_empty() { Err("not yet".to_owned()) } else { Ok(()) }
    })
    .await;
    let firing = one.scrape().await.value("alerts{state=\"firing\"}");
    assert!(firing.is_some_and(|count| count >= 14.0), "{firing:?}");
    for (path, before) in ["rules", "daemons"].iter().zip(before) {
        let now = notifications(&receiver, path);
        for (alert, count) in before {
            assert_eq!(now.get(&alert), Some(&count), "{path}: {alert:#?}");
        }
    }
}

#[tokio::test]
async fn the_second_one_asks_aws_for_everything_again() {
    let simulator = simulator::start(SimulatorSettings::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, simulator.kubeconfig()).unwrap();
    let start = async || {
        let mut command = exporter();
        command
            .args(["--aws.endpoint-url", &simulator.aws_url, "--aws.region", "us-east-1"])
            .args(["--web.listen-address", "127.0.0.1:0", "--log.format", "json"])
            .env("KUBECONFIG", &kubeconfig)
            .env("AWS_ACCESS_KEY_ID", "simulated")
            .env("AWS_SECRET_ACCESS_KEY", "simulated");
        Daemon::start_command(&mut command).await
    };
    // What is asked once and then not again for half an hour.
    const ONCE: [Operation; 4] = [
        Operation::DescribeListeners,
        Operation::DescribeLoadBalancerAttributes,
        Operation::DescribeTargetGroupAttributes,
        Operation::DescribeCluster,
    ];
    let (lbs, groups) = simulator.world.read(|world| (world.load_balancers.len() as u64, world.target_groups.len() as u64));
    let asked = async |times: u64| {
        let wanted = [lbs, lbs, groups, 1].map(|count| count * times);
        eventually("everything was asked", Duration::from_secs(60), async || {
            let calls = ONCE.map(|operation| simulator.counters.calls(operation));
            if calls == wanted { Ok(()) } else { Err(format!("{calls:?}, not {wanted:?}")) }
        })
        .await;
    };
    let _one = start().await;
    asked(1).await;
    let alone = simulator.counters.total();
    let _other = start().await;
    asked(2).await;
    let both = simulator.counters.total();
    println!("calls of the first pass: {alone} of one, {both} of two");
    assert!(both as f64 >= 1.8 * alone as f64, "{alone} and {both}");
}
