//! Which keys does the configuration have, and what does each of them do? One table: the page of the documentation and the file
//! that `config` prints come from it, and the defaults in it from the code that uses them.

mod keys;
mod page;

use serde_json::{Value, json};

use super::Config;
use super::alerting::{Alertmanager, Authorization, BasicAuth, Dns, TIMEOUT_SECONDS};
use crate::rules::{GROUPS, HOLD, KEEP_FIRING};
use crate::sources::aws::{Budgets, Intervals};
pub use keys::KEYS;
pub use page::{default_file, page};

/// One key of the file.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The key with its sections, joined by dots; `[]` stands for each entry of a list.
    pub path: &'static str,
    /// What kind of value it has, with its unit.
    pub kind: &'static str,
    /// The values that are allowed.
    pub allowed: &'static str,
    /// What holds where the key is not given and there is no default value; empty where there is one.
    pub otherwise: &'static str,
    /// The flag that says the same and wins; empty where there is none.
    pub flag: &'static str,
    /// Whether a reload takes a change, or a restart is needed.
    pub is_reloaded: bool,
    /// What it says.
    pub help: &'static str,
    /// The metrics, findings and alerts that it changes.
    pub changes: &'static str,
}

impl Key {
    /// The value that holds where the file does not say one; `None` where there is no such value, see [`Self::otherwise`].
    pub fn default(&self) -> Option<Value> {
        let is_empty = |value: &Value| match value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(entries) => entries.is_empty(),
            Value::Object(entries) => entries.is_empty(),
            Value::Bool(_) | Value::Number(_) => false,
        };
        self.unset().filter(|value| !is_empty(value))
    }

    /// The value of a configuration that does not say the key.
    fn unset(&self) -> Option<Value> {
        let pointer = format!("/{}", self.path.replace("[]", ".0").replace('.', "/"));
        defaults().pointer(&pointer).cloned()
    }
}

/// The keys in which two configurations differ, and that only a restart takes up.
pub fn needing_restart(one: &Config, other: &Config) -> Vec<&'static str> {
    let (one, other) = (json!(one), json!(other));
    let at = |config: &Value, path: &str| config.pointer(&format!("/{}", path.replace('.', "/"))).cloned();
    KEYS.iter().filter(|key| !key.is_reloaded && at(&one, key.path) != at(&other, key.path)).map(|key| key.path).collect()
}

/// The configuration with every default that is not in the file's own types, and one entry in every list.
fn defaults() -> Value {
    let mut config = Config::default();
    for name in Intervals::NAMES {
        let interval = Intervals::default().get(name).expect("every name has an interval");
        config.aws.refresh_seconds.insert(name.to_owned(), interval.as_secs());
    }
    for service in Budgets::SERVICES {
        let rate = Budgets::default().rate(service).expect("every service has a budget");
        config.aws.requests_per_second.insert(service.to_owned(), rate);
    }
    config.alerting.alertmanagers = vec![Alertmanager {
        dns: Some(Dns::of(String::new())),
        basic_auth: Some(BasicAuth::default()),
        authorization: Some(Authorization::of("".into())),
        timeout_seconds: Some(TIMEOUT_SECONDS),
        ..Alertmanager::default()
    }];
    json!(config)
}

/// Every threshold that `alerting.thresholds` can set: alert, severity, name, default.
fn thresholds() -> impl Iterator<Item = (&'static str, &'static str, &'static str, f64)> {
    GROUPS.iter().flat_map(|group| group.alerts).flat_map(|alert| {
        let of = move |name, default| (alert.name, alert.severity.as_str(), name, default);
        std::iter::once(of(HOLD, alert.hold_seconds as f64))
            .chain(alert.thresholds.iter().map(move |threshold| of(threshold.name, threshold.default)))
    })
}

/// What every alert knows besides.
const KEEP: &str = KEEP_FIRING;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::config::alerting::{Alerting, TlsConfig};
    use crate::config::policy::{LoadBalancerCost, Policy};
    use crate::config::{Aws, Kubernetes};
    use crate::rules::thresholds::{Overrides, Setting};

    /// A configuration that says everything. Written out, so that a new key is an error here until it is added.
    fn full() -> Config {
        let text = |text: &str| Some(text.to_owned());
        let Value::Object(defaults) = defaults() else { panic!("a configuration is an object") };
        let aws: Aws = serde_json::from_value(defaults["aws"].clone()).unwrap();
        Config {
            cluster_name: text("prod"),
            aws: Aws {
                region: text("eu-west-1"),
                endpoint_url: text("https://aws.example"),
                vpc_id: text("vpc-1"),
                requests_per_second: aws.requests_per_second,
                refresh_seconds: aws.refresh_seconds,
                describe_cluster: true,
            },
            kubernetes: Kubernetes { context: text("prod") },
            policy: Policy {
                quota_overrides: [("network_load_balancers".to_owned(), 200.0)].into(),
                service_labels: vec!["team".to_owned()],
                load_balancer_cost: LoadBalancerCost {
                    zones: Some(3),
                    target_groups: Some(2),
                    addresses_per_zone: Some(8),
                    elastic_ips: Some(3),
                    security_group_rules: Some(2),
                },
                ..Policy::default()
            },
            alerting: Alerting {
                alertmanagers: vec![
                    Alertmanager {
                        url: text("https://am.example"),
                        dns: None,
                        basic_auth: Some(BasicAuth { username: "u".to_owned(), password_file: "/p".into() }),
                        authorization: None,
                        tls_config: TlsConfig {
                            ca_file: Some("/ca".into()),
                            cert_file: Some("/c".into()),
                            key_file: Some("/k".into()),
                            server_name: text("am"),
                        },
                        timeout_seconds: Some(10),
                    },
                    Alertmanager {
                        dns: Some(Dns { path_prefix: "/am".to_owned(), ..Dns::of("am".to_owned()) }),
                        authorization: Some(Authorization::of("/t".into())),
                        ..Alertmanager::default()
                    },
                ],
                external_labels: [("cluster".to_owned(), "prod".to_owned())].into(),
                external_url: text("https://nlb.example"),
                runbook_url: text("https://runbooks.example"),
                dashboard_url: text("https://grafana.example"),
                thresholds: thresholds_set(),
                resend_delay_seconds: 60,
            },
        }
    }

    fn thresholds_set() -> Overrides {
        let set = [("for".to_owned(), Setting::Text("5m".to_owned()))].into();
        [("NLBZoneDark".to_owned(), [("critical".to_owned(), set)].into())].into()
    }

    /// Keys whose entries have names of the user's choice.
    const FREE: [&str; 3] = ["policy.quota_overrides", "alerting.external_labels", "alerting.thresholds"];

    fn flatten(path: &str, value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(entries) if !FREE.contains(&path) => {
                for (name, value) in entries {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    flatten(&path, value, found);
                }
            }
            Value::Array(entries) if entries.iter().any(Value::is_object) => {
                for entry in entries {
                    flatten(&format!("{path}[]"), entry, found);
                }
            }
            // An entry of a list that leaves out what another has.
            Value::Null => {}
            _ => _ = found.insert(path.to_owned()),
        }
    }

    fn described() -> BTreeSet<String> {
        KEYS.iter().map(|key| key.path.to_owned()).collect()
    }

    #[test]
    fn every_key_of_the_file_is_described_and_every_described_key_is_one_of_the_file() {
        let mut keys = BTreeSet::new();
        flatten("", &json!(full()), &mut keys);
        assert_eq!(keys, described());
        assert_eq!(described().len(), KEYS.len(), "a key is described twice");
    }

    #[test]
    fn the_example_says_every_key_and_is_a_good_configuration() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration-example.yaml");
        Config::load(&path).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        let value: Value = serde_saphyr::from_str(&text).unwrap();
        let mut keys = BTreeSet::new();
        flatten("", &value, &mut keys);
        assert_eq!(keys, described());
        for key in KEYS {
            let name = key.path.rsplit('.').next().unwrap();
            assert!(text.contains(&format!("{name}:")), "{name}");
        }
    }

    #[test]
    fn every_key_has_a_default_or_says_what_holds_without_it() {
        for key in KEYS {
            assert_eq!(key.default().is_none(), !key.otherwise.is_empty(), "{}: {:?}", key.path, key.default());
            assert!(!key.help.is_empty() && key.help.ends_with('.') && !key.kind.is_empty(), "{}", key.path);
        }
        let default = |path: &str| KEYS.iter().find(|key| key.path == path).unwrap().default();
        assert_eq!(default("policy.max_staleness_seconds"), Some(1800.into()));
        assert_eq!(default("aws.refresh_seconds.tags"), Some(900.into()));
        assert_eq!(default("alerting.alertmanagers[].dns.port"), Some(9093.into()));
        assert_eq!(default("cluster_name"), None);
    }

    #[test]
    fn the_printed_file_is_the_default_configuration_and_names_every_key() {
        let file = default_file();
        assert_eq!(Config::parse(&file, Path::new("printed.yaml")).unwrap(), Config::default(), "{file}");
        for key in KEYS {
            let name = key.path.rsplit('.').next().unwrap();
            assert!(file.contains(&format!("{name}:")), "{}", key.path);
        }
        // With the comment signs before the keys taken away it is a configuration, but for the Alertmanagers: an entry cannot
        // have both ways to its instances.
        let (before, _) = file.split_once("#   alertmanagers:").unwrap();
        let keys = before.lines().filter(|line| !line.starts_with("#:"));
        let said: String = keys.map(|line| format!("{}\n", line.strip_prefix("# ").unwrap_or(line))).collect();
        Config::parse(&said, Path::new("said.yaml")).unwrap_or_else(|error| panic!("{error}\n{said}"));
    }

    #[test]
    fn the_page_tells_every_key_once() {
        let page = page();
        for key in KEYS {
            assert_eq!(page.matches(&format!("\n### `{}`\n", key.path)).count(), 1, "{}", key.path);
        }
        for (alert, severity, name, _) in thresholds() {
            assert!(page.contains(&format!("`{alert}` | `{severity}` | `{name}`")), "{alert} {severity} {name}");
        }
    }

    #[test]
    fn what_a_restart_is_needed_for_is_told_by_name() {
        let mut changed = full();
        assert!(needing_restart(&full(), &changed).is_empty());
        changed.policy.quota_warning_ratio = 0.5;
        changed.alerting.resend_delay_seconds = 30;
        assert!(needing_restart(&full(), &changed).is_empty());
        changed.aws.region = None;
        changed.aws.refresh_seconds.insert("tags".to_owned(), 60);
        changed.kubernetes.context = Some("other".to_owned());
        assert_eq!(needing_restart(&full(), &changed), ["aws.region", "aws.refresh_seconds.tags", "kubernetes.context"]);
    }
}
