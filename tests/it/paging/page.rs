//! Does somebody's phone ring when a security group is full, and does it stop when there is room again? The shipped example
//! configuration of Alertmanager; only URLs, files of secrets and the waits of its routes are the test's.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::peers::{Alertmanager, Prometheus, Receiver, succeeds};
use super::stage::{RULES_QUOTA, Stage};
use crate::support::eventually;

const PATIENCE: Duration = Duration::from_secs(40);

fn example() -> (PathBuf, String) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("alerts/alertmanager-example.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    (path, text)
}

/// The example, with every URL led to the test's receiver and every wait for further alerts shortened.
fn example_for(stage: &Stage, receiver: &Receiver) -> String {
    let here = format!("http://{}", receiver.address);
    let mut text = example().1;
    for (shipped, replaced) in [
        ("global:\n", format!("global:\n  pagerduty_url: {here}/v2/enqueue\n")),
        ("/etc/alertmanager/secrets/pagerduty-routing-key", stage.file("routing-key", "R0UT1NGKEY").display().to_string()),
        ("/etc/alertmanager/secrets/slack-webhook-url", stage.file("slack", &format!("{here}/slack")).display().to_string()),
        ("/etc/alertmanager/secrets/webhook-token", stage.file("token", "t0ken").display().to_string()),
        ("http://alert-receiver.monitoring.svc:8080/alerts", format!("{here}/alerts")),
        ("group_wait: 15s", "group_wait: 1s".to_owned()),
        ("group_wait: 1m", "group_wait: 1s".to_owned()),
        ("group_interval: 1m", "group_interval: 2s".to_owned()),
        ("group_interval: 10m", "group_interval: 2s".to_owned()),
    ] {
        assert!(text.contains(shipped), "the example does not hold {shipped:?}");
        text = text.replace(shipped, &replaced);
    }
    text
}

/// The messages to PagerDuty about one alert.
fn pages(receiver: &Receiver, action: &str) -> Vec<Value> {
    receiver.heard("v2/enqueue").into_iter().filter(|event| event["event_action"] == action).collect()
}

#[tokio::test]
async fn a_full_security_group_pages_and_the_raised_quota_ends_it() {
    let stage = Stage::new().await;
    let receiver = Receiver::start().await;
    let alertmanager = Alertmanager::start(&example_for(&stage, &receiver));
    let daemon = stage.daemon(json!({})).await;
    let targets = [format!("127.0.0.1:{}", alertmanager.port)];
    let _prometheus =
        Prometheus::start(stage.prometheus_config(&json!({"cluster": "prod"}), &targets), Some(&stage.rules())).await;

    let group = stage.simulator.world.read(|world| world.scope.node_group.to_string());
    stage.fill_rules(4);
    eventually("a warning goes to Slack first", PATIENCE, async || {
        let heard = receiver.heard("slack");
        if heard.iter().any(|message| message.to_string().contains(&group)) { Ok(()) } else { Err(heard) }
    })
    .await;
    assert_eq!(pages(&receiver, "trigger"), Vec::<Value>::new(), "a warning is no page");

    stage.fill_rules(0);
    let page = eventually("the page arrives", PATIENCE, async || {
        pages(&receiver, "trigger").pop().ok_or_else(|| receiver.heard("v2/enqueue"))
    })
    .await;
    assert_eq!(page["routing_key"], "R0UT1NGKEY");
    let payload = &page["payload"];
    assert_eq!(payload["severity"], "critical");
    let summary = payload["summary"].as_str().unwrap();
    assert!(summary.starts_with("A security group has no room for the rules of one more load balancer."), "{summary}");
    assert!(summary.contains("prod") && summary.contains(&group), "who is woken up has to know where: {summary}");
    let details = payload["custom_details"]["description"].as_str().unwrap();
    assert!(details.starts_with(&format!("Security group {group} has room for 0 more inbound rules")), "{details}");
    let link = page["links"][0]["href"].as_str().unwrap();
    assert!(link.ends_with("docs/runbooks.md#nlbsecuritygrouprulesrunningout"), "{link}");
    let key = page["dedup_key"].as_str().unwrap();
    assert!(!key.is_empty());
    assert_eq!(pages(&receiver, "resolve"), Vec::<Value>::new());

    stage.simulator.world.edit(|world| world.quotas.get_mut(&RULES_QUOTA).unwrap().applied = Some(200.0));
    eventually("the daemon sees the raised quota", PATIENCE, async || {
        let limit = daemon.scrape().await.value("quota_limit{quota=\"rules_per_security_group\"}");
        if limit == Some(200.0) { Ok(()) } else { Err(limit) }
    })
    .await;
    let end = eventually("the page is resolved", PATIENCE, async || {
        pages(&receiver, "resolve").pop().ok_or_else(|| receiver.heard("v2/enqueue"))
    })
    .await;
    assert_eq!((&end["dedup_key"], &end["routing_key"]), (&page["dedup_key"], &page["routing_key"]));
    let triggers = pages(&receiver, "trigger");
    assert!(triggers.iter().all(|trigger| trigger["dedup_key"] == key), "it was one incident: {triggers:#?}");
    eventually("the webhook hears all of it", PATIENCE, async || {
        let heard = receiver.heard("alerts");
        if heard.iter().any(|message| message["status"] == "resolved") { Ok(()) } else { Err(heard) }
    })
    .await;
}

#[test]
fn amtool_finds_the_example_good_and_routes_each_alert_to_who_should_hear_it() {
    let (path, _) = example();
    let words = succeeds(Command::new("amtool").arg("check-config").arg(&path));
    assert!(words.contains("SUCCESS"), "{words}");
    for (labels, receivers) in [
        (&["alertname=NLBSecurityGroupRulesRunningOut", "severity=critical", "cluster=prod"][..], "webhook,pagerduty"),
        (&["alertname=NLBSecurityGroupRulesRunningOut", "severity=warning", "cluster=prod"], "webhook,slack"),
        (&["alertname=NLBSubnetRunningOut", "severity=info", "cluster=prod"], "webhook"),
        (&["alertname=NLBMonitoringBlind", "severity=critical"], "webhook,pagerduty"),
        (&["alertname=NLBQuotaRunningOut", "severity=critical", "account_id=1", "aws_region=eu-west-1"], "webhook,pagerduty"),
        (&["alertname=Watchdog", "severity=none"], "nobody"),
        (&["severity=critical"], "nobody"),
    ] {
        let file = format!("--config.file={}", path.display());
        let verify = format!("--verify.receivers={receivers}");
        succeeds(Command::new("amtool").args(["config", "routes", "test", &file, &verify]).args(labels));
    }
}
