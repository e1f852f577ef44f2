//! What if the receivers or the thresholds are broken? It is counted and said, and everything else goes on.

use std::process::Command;
use std::time::Duration;

use axum::http::StatusCode;
use eks_nlb_exporter::rules::thresholds::Overrides;
use serde_json::{Value, json};

use super::both_paths::{config, guarded};
use super::peers::{Alertmanager, Receiver, run};
use super::stage::Stage;
use crate::support::{eventually, exporter, free_port};

const PATIENCE: Duration = Duration::from_secs(40);

#[tokio::test]
async fn receivers_that_fail_are_counted_and_nothing_waits_for_them() {
    let stage = Stage::new().await;
    stage.fill_rules(0);
    let receiver = Receiver::start().await;
    let failing = Receiver::answering(StatusCode::INTERNAL_SERVER_ERROR).await;
    let (guarded, mut entry) = guarded(&stage, &receiver);
    entry["basic_auth"]["password_file"] = json!(stage.file("wrong-password", "guess"));
    let late = free_port();
    let receivers = [
        format!("http://127.0.0.1:{late}"),
        format!("http://{}", failing.address),
        format!("https://127.0.0.1:{}", guarded.port),
    ];
    let daemon = stage
        .daemon(json!({
            "alertmanagers": [{"url": receivers[0]}, {"url": receivers[1], "timeout_seconds": 2}, entry],
            "resend_delay_seconds": 2,
        }))
        .await;
    let count = async |what: &str, receiver: &str| {
        daemon.scrape().await.value(&format!("notifications_{what}_total{{receiver=\"{receiver}\"}}"))
    };
    for receiver in &receivers {
        eventually("the failure is counted", PATIENCE, async || match count("failed", receiver).await {
            Some(failed) if failed > 0.0 => Ok(()),
            other => Err(format!("{receiver}: {other:?}")),
        })
        .await;
        assert_eq!(count("sent", receiver).await, Some(0.0), "{receiver}");
    }
    let log = daemon.program.output();
    for said in ["Connection refused", "500 Internal Server Error", "401 Unauthorized"] {
        assert!(log.contains(said), "{said} is not in the log:\n{log}");
    }
    assert!(!log.contains("guess"), "a password is in the log:\n{log}");

    // The one that was down at the start comes up, and hears everything that still fires; the others are as before.
    let came = Alertmanager::start_at(late, &config(&receiver, "late"), None);
    eventually("it hears of the alert", PATIENCE, async || {
        let alerts = came.alerts().await?;
        if alerts.iter().any(|alert| alert["alertname"] == "NLBSecurityGroupRulesRunningOut") {
            Ok(())
        } else {
            Err(format!("{alerts:?}"))
        }
    })
    .await;
    assert_eq!(count("sent", &receivers[1]).await, Some(0.0));
    let before = daemon.scrape().await.value("picture_timestamp_seconds").unwrap();
    eventually("pictures go on", PATIENCE, async || {
        let now = daemon.scrape().await.value("picture_timestamp_seconds").unwrap();
        if now > before { Ok(()) } else { Err(now) }
    })
    .await;
}

#[test]
fn thresholds_that_make_no_sense_end_every_command_with_one_sentence_and_2() {
    let folder = tempfile::tempdir().unwrap();
    let (thresholds, configuration) = (folder.path().join("thresholds.yaml"), folder.path().join("config.yaml"));
    for (text, named) in [
        ("{NLBNoSuchAlert: {critical: {for: 60}}}", "NLBNoSuchAlert is not known"),
        ("{NLBZoneDark: {critical: {for: -60}}}", "NLBZoneDark.critical.for is -60"),
        ("{NLBZoneDark: {critical: {keep_firing_for: soon}}}", "NLBZoneDark.critical.keep_firing_for is soon"),
        ("{NLBQuotaRunningOut: {warning: {load_balancers: -1}}}", "NLBQuotaRunningOut.warning.load_balancers is -1"),
        ("{NLBQuotaRunningOut: {critical: {load_balancers: 5}}}", "which is beyond NLBQuotaRunningOut.critical.load_balancers"),
    ] {
        assert!(serde_saphyr::from_str::<Overrides>(text).is_ok(), "{text} has the right form");
        std::fs::write(&thresholds, text).unwrap();
        std::fs::write(&configuration, format!("alerting: {{thresholds: {text}}}\n")).unwrap();
        let commands: [Command; 4] = [
            ("--thresholds", &thresholds, &["rules"][..]),
            ("--config.file", &configuration, &["rules"]),
            ("--config.file", &configuration, &["serve"]),
            ("--config.file", &configuration, &["serve", "--config.check"]),
        ]
        .map(|(flag, file, arguments)| {
            let mut command = exporter();
            command.args(arguments).arg(flag).arg(file);
            command
        });
        for mut command in commands {
            let output = run(&mut command);
            let words = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{command:?}: {words}");
            assert!(words.contains(named) && words.trim_end().lines().count() == 1, "{command:?}: {words}");
            assert_eq!(output.stdout, b"", "{command:?}");
        }
    }
}

#[test]
fn receivers_that_make_no_sense_end_the_daemon_with_one_sentence_and_2() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    for (entry, named) in [
        (json!({"url": "alertmanager:9093"}), "alerting.alertmanagers[0].url is alertmanager:9093"),
        (json!({}), "alerting.alertmanagers[0]"),
        (json!({"url": "http://am:9093", "password": "x"}), "password"),
    ] {
        let config: Value = json!({"alerting": {"alertmanagers": [entry]}});
        std::fs::write(&file, config.to_string()).unwrap();
        let output = run(exporter().arg("--config.file").arg(&file));
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(words.contains(named) && words.trim_end().lines().count() == 1, "{words}");
    }
}
