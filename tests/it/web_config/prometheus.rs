//! Does a real Prometheus scrape over TLS with its certificate and its password, and not without?

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use super::{SECRET, Stage, TLS, text};
use crate::prometheus::query;
use crate::support::{Program, eventually, free_port};

#[tokio::test]
async fn prometheus_is_let_in_with_certificate_and_password_and_not_without() {
    let stage = Stage::new();
    stage.authority.certify("scraper", "scraper", "DNS:prometheus.example");
    super::Authority::new(stage.path("").as_path(), "other").certify("forged", "scraper", "DNS:prometheus.example");
    let daemon = stage
        .daemon(&format!(
            "{TLS}  client_ca_file: ca.crt\n  client_auth_type: RequireAndVerifyClientCert\n  \
             client_allowed_sans: [prometheus.example]\nbasic_auth_users:\n  prometheus: {SECRET}\n"
        ))
        .await;
    let tls = |authority: &str, name: Option<&str>| {
        let mut config = json!({"ca_file": text(&stage.path(authority)), "server_name": "localhost"});
        if let Some(name) = name {
            config["cert_file"] = text(&stage.path(&format!("{name}.crt"))).into();
            config["key_file"] = text(&stage.path(&format!("{name}.key"))).into();
        }
        config
    };
    let job = |name: &str, password: &str, tls: serde_json::Value| {
        json!({
            "job_name": name, "scheme": "https", "tls_config": tls, "basic_auth": {"username": "prometheus", "password": password},
            "static_configs": [{"targets": [daemon.address.to_string()]}],
        })
    };
    let mut without_password = job("no password", "", tls("ca.crt", Some("scraper")));
    without_password.as_object_mut().unwrap().remove("basic_auth");
    let config = json!({
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [
            job("right", "s3cret", tls("ca.crt", Some("scraper"))),
            job("wrong password", "secret", tls("ca.crt", Some("scraper"))),
            without_password,
            job("no certificate", "s3cret", tls("ca.crt", None)),
            job("forged certificate", "s3cret", tls("ca.crt", Some("forged"))),
            job("other authority", "s3cret", tls("other.crt", Some("scraper"))),
        ],
    });
    stage.write("prometheus.yml", &config.to_string());
    let port = free_port();
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", text(&stage.path("prometheus.yml"))))
        .arg(format!("--storage.tsdb.path={}", text(&stage.path("data"))))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let _prometheus = Program::start(&mut command);
    let expected: BTreeMap<String, String> =
        ["right", "wrong password", "no password", "no certificate", "forged certificate", "other authority"]
            .map(|name| (name.to_owned(), if name == "right" { "1" } else { "0" }.to_owned()))
            .into();
    eventually("every job was tried", Duration::from_secs(60), async || {
        let up = query(port, "up").await?;
        let up: BTreeMap<String, String> = up
            .iter()
            .map(|sample| (sample["metric"]["job"].as_str().unwrap().to_owned(), sample["value"][1].as_str().unwrap().to_owned()))
            .collect();
        if up == expected { Ok(()) } else { Err(format!("{up:?}")) }
    })
    .await;
    let found = query(port, r#"eks_nlb_exporter_build_info{job="right"}"#).await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
}
