//! How is this daemon set up? One YAML file, strict: an unknown key is an error. Flags win over it.

pub mod alerting;
pub mod policy;
pub mod reference;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::excerpt::excerpt;
use crate::inventory::quota::quota;
use crate::rules::thresholds::{Overrides, blind_at_half};
use crate::rules::{Links, Rules};
use crate::sources::aws::{Budgets, Intervals};
use alerting::Alerting;
use policy::{Policy, label_name};

/// The file's content.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Name of the EKS cluster; else the controller's own `--cluster-name`.
    pub cluster_name: Option<String>,
    /// How to reach AWS, and how often.
    pub aws: Aws,
    /// How to reach Kubernetes.
    pub kubernetes: Kubernetes,
    /// By what measure to judge.
    pub policy: Policy,
    /// Whom to tell of alerts unasked.
    pub alerting: Alerting,
}

/// The `aws` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Aws {
    /// The Region; else the SDK's chain.
    pub region: Option<String>,
    /// Endpoint for all AWS services.
    pub endpoint_url: Option<String>,
    /// VPC of the cluster.
    pub vpc_id: Option<String>,
    /// Calls a second, by service (`elasticloadbalancing`, `ec2`, `servicequotas`, `sts`, `eks`). The account's buckets are
    /// shared with the controllers that run the cluster: divide by the exporters per account and Region.
    pub requests_per_second: BTreeMap<String, f64>,
    /// Seconds between two looks at `load_balancers` (target groups, too), `tags`, `listeners`, `attributes`, `subnets` (security
    /// groups, too), `network_interfaces`, `quotas`, `unsteady_health` and `steady_health`; the calls a second limit them.
    pub refresh_seconds: BTreeMap<String, u64>,
    /// Whether EKS is asked about the cluster (`eks:DescribeCluster`): its subnets, its security group, and whether EKS Auto
    /// Mode makes load balancers. Switch it off without that permission, or for a cluster that is not an EKS one.
    pub describe_cluster: bool,
}

impl Default for Aws {
    fn default() -> Self {
        Self {
            region: None,
            endpoint_url: None,
            vpc_id: None,
            requests_per_second: BTreeMap::new(),
            refresh_seconds: BTreeMap::new(),
            describe_cluster: true,
        }
    }
}

/// The `kubernetes` section.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kubernetes {
    /// Context of the kubeconfig.
    pub context: Option<String>,
}

/// Why a configuration cannot be used. Each message names the place and the value.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration file {} cannot be read: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not YAML, or has a key or value that is not known.
    #[error("configuration file {}: {message}", path.display())]
    Parse {
        /// Which file.
        path: PathBuf,
        /// What and where.
        message: String,
    },
    /// A value makes no sense.
    #[error("configuration file {}: {key} is {value}, but {expected}", path.display())]
    Value {
        /// Which file.
        path: PathBuf,
        /// The key, with dots.
        key: String,
        /// The value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}

impl ConfigError {
    /// The closed category.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Read { .. } => "read",
            Self::Parse { .. } => "parse",
            Self::Value { .. } => "value",
        }
    }
}

/// Values vanish after this time at the earliest, else they would come and go with every pause of a source.
const LEAST_STALENESS: u64 = 300;

/// A week. Longer times mean nothing, and the longest would not fit into a clock.
const MOST_SECONDS: u64 = 7 * 24 * 3600;

/// Whether something can be reached under a URL; else what one looks like.
pub fn check_url(text: &str) -> Result<(), &'static str> {
    const EXPECTED: &str = "a URL is of the form http://HOST:PORT or https://HOST";
    let url: http::Uri = text.parse().map_err(|_| EXPECTED)?;
    let known = matches!(url.scheme_str(), Some("http" | "https"));
    if known && url.host().is_some_and(|host| !host.is_empty()) { Ok(()) } else { Err(EXPECTED) }
}

impl Config {
    /// Reads and validates a file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// Validates a file's text. An empty file is the default configuration.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let config: Self = if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            Self::default()
        } else {
            serde_saphyr::from_str(text)
                .map_err(|error| ConfigError::Parse { path: path.to_owned(), message: one_line(&error, text) })?
        };
        config.validate(path)?;
        Ok(config)
    }

    /// The thresholds of the rules: what is set, and what follows from other keys.
    pub fn thresholds(&self) -> Overrides {
        blind_at_half(self.alerting.thresholds.clone(), self.policy.max_staleness_seconds)
    }

    fn validate(&self, path: &Path) -> Result<(), ConfigError> {
        let refuse = |key: String, value: &dyn ToString, expected| {
            Err(ConfigError::Value { path: path.to_owned(), key: excerpt(&key), value: excerpt(&value.to_string()), expected })
        };
        for (service, rate) in &self.aws.requests_per_second {
            let key = format!("aws.requests_per_second.{service}");
            if !Budgets::SERVICES.contains(&service.as_str()) {
                return refuse(key, rate, "the services are elasticloadbalancing, ec2, servicequotas, sts and eks");
            }
            if !(*rate > 0.0 && *rate <= 1000.0) {
                return refuse(key, rate, "a rate is more than 0 and at most 1000 calls a second");
            }
        }
        for (name, seconds) in &self.aws.refresh_seconds {
            let key = format!("aws.refresh_seconds.{name}");
            if !Intervals::NAMES.contains(&name.as_str()) {
                return refuse(
                    key,
                    seconds,
                    "no part of AWS has this name; they are load_balancers, tags, listeners, attributes, subnets, network_interfaces, quotas, unsteady_health and steady_health",
                );
            }
            if !(1..=MOST_SECONDS).contains(seconds) {
                return refuse(key, seconds, "a part is looked at after 1 second to a week");
            }
        }
        for (name, limit) in &self.policy.quota_overrides {
            let key = format!("policy.quota_overrides.{name}");
            if quota(name).is_none() {
                return refuse(key, limit, "no quota has this name; see the quota label of eks_nlb_quota_limit");
            }
            if !(*limit >= 0.0 && limit.is_finite()) {
                return refuse(key, limit, "a limit is a number and at least 0");
            }
        }
        if let Err((key, value, expected)) = self.alerting.validate() {
            return refuse(format!("alerting.{key}"), &value, expected);
        }
        if let Err(error) = Rules::new(&self.alerting.thresholds, &Links::default()) {
            return Err(ConfigError::Parse { path: path.to_owned(), message: format!("alerting.thresholds.{error}") });
        }
        if let Some(url) = self.aws.endpoint_url.as_ref().filter(|url| !url.is_empty())
            && let Err(expected) = check_url(url)
        {
            return refuse("aws.endpoint_url".into(), url, expected);
        }
        let staleness = self.policy.max_staleness_seconds;
        if !(LEAST_STALENESS..=MOST_SECONDS).contains(&staleness) {
            let expected = "values are kept for at least 300 seconds (a watch without news proves itself about once a minute) \
                            and at most a week";
            return refuse("policy.max_staleness_seconds".into(), &staleness, expected);
        }
        let hold_downs = [
            ("policy.drift_hold_down_seconds", self.policy.drift_hold_down_seconds),
            ("policy.target_hold_down_seconds", self.policy.target_hold_down_seconds),
        ];
        for (key, seconds) in hold_downs {
            if seconds > MOST_SECONDS {
                return refuse(key.into(), &seconds, "a hold-down is at most a week of seconds");
            }
        }
        let ratio = self.policy.quota_warning_ratio;
        if !(ratio > 0.0 && ratio <= 1.0) {
            return refuse("policy.quota_warning_ratio".into(), &ratio, "a ratio is more than 0 and at most 1");
        }
        let labels = &self.policy.service_labels;
        for (at, key) in labels.iter().enumerate() {
            // Kubernetes' own limits: a prefix of at most 253 characters, a slash and 63 more.
            let is_key = key.starts_with(|c: char| c.is_ascii_alphanumeric())
                && key.len() <= 317
                && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
            if !is_key {
                return refuse("policy.service_labels".into(), &format!("{key:?}"), "it is a list of keys of labels");
            }
            if let Some(same) = labels[..at].iter().find(|other| label_name(other) == label_name(key)) {
                let both = format!("[{same}, {key}]");
                return refuse("policy.service_labels".into(), &both, "no two of its names may be exposed as the same label");
            }
        }
        let cost = &self.policy.load_balancer_cost;
        let at_least_one = [
            ("policy.load_balancer_cost.zones", cost.zones),
            ("policy.load_balancer_cost.target_groups", cost.target_groups),
            ("policy.load_balancer_cost.addresses_per_zone", cost.addresses_per_zone),
        ];
        for (key, number) in at_least_one {
            if number == Some(0) {
                return refuse(key.into(), &0, "a load balancer has at least one");
            }
        }
        Ok(())
    }
}

/// The parser's message in one line, with the line of the file it is about in place of the excerpt.
fn one_line(error: &serde_saphyr::Error, text: &str) -> String {
    let message = error.to_string();
    let first = message.lines().next().unwrap_or_default().trim_start_matches("error: ").trim_end_matches(':');
    let line = error.location().and_then(|location| text.lines().nth(usize::try_from(location.line()).ok()?.checked_sub(1)?));
    line.map_or_else(|| excerpt(first), |line| format!("{} in {:?}", excerpt(first), excerpt(line.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("c.yml")).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_file_is_the_default() {
        for text in ["", "\n", "# nothing yet\n"] {
            assert_eq!(parse(text), Ok(Config::default()), "{text:?}");
        }
    }

    #[test]
    fn a_mistake_in_an_endless_line_is_told_in_a_short_sentence() {
        for text in ["[".repeat(100_000), format!("policy: {{target_series: {}}}", "x".repeat(100_000))] {
            let message = parse(&text).unwrap_err();
            assert!(message.len() < 1_000 && message.lines().count() == 1, "{} bytes", message.len());
        }
    }

    #[test]
    fn every_key_can_be_said() {
        let text = serde_saphyr::to_string(&Config::default()).unwrap();
        assert_eq!(parse(&text), Ok(Config::default()), "{text}");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_with_the_reason() {
        let error = Config::load(Path::new("/nowhere/c.yml")).unwrap_err().to_string();
        assert!(error.contains("/nowhere/c.yml") && error.contains("No such file"), "{error}");
    }

    #[test]
    fn eks_is_asked_unless_the_file_says_no() {
        assert!(Config::default().aws.describe_cluster);
        assert!(parse("aws:\n  region: eu-west-1\n").unwrap().aws.describe_cluster);
        assert!(!parse("aws:\n  describe_cluster: false\n").unwrap().aws.describe_cluster);
    }

    #[test]
    fn an_endpoint_is_a_whole_url() {
        for good in ["http://127.0.0.1:4566", "https://vpce-1.ec2.us-east-1.vpce.amazonaws.com", "http://[::1]:80/"] {
            assert_eq!(check_url(good), Ok(()), "{good}");
        }
        for bad in ["localhost", "127.0.0.1:4566", "ftp://host", "http://", "a b"] {
            assert!(check_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_mistake_is_named_with_its_place_and_value() {
        for (text, named) in [
            ("polcy: {}\n", vec!["polcy"]),
            ("policy:\n  target_series: some\n", vec!["some"]),
            ("policy:\n  max_staleness_seconds: soon\n", vec!["soon", "line 2"]),
            ("aws:\n  requests_per_second: {ec2: 0}\n", vec!["aws.requests_per_second.ec2", "is 0"]),
            ("aws:\n  requests_per_second: {s3: 1}\n", vec!["aws.requests_per_second.s3"]),
            ("aws:\n  refresh_seconds: {quotas: 0}\n", vec!["aws.refresh_seconds.quotas", "is 0"]),
            ("aws:\n  refresh_seconds: {buckets: 9}\n", vec!["aws.refresh_seconds.buckets", "network_interfaces"]),
            ("policy:\n  quota_overrides: {nlbs: 5}\n", vec!["policy.quota_overrides.nlbs"]),
            ("policy:\n  quota_warning_ratio: 90\n", vec!["policy.quota_warning_ratio", "90"]),
            ("policy:\n  load_balancer_cost: {zones: 0}\n", vec!["policy.load_balancer_cost.zones", "is 0"]),
            ("policy:\n  load_balancer_cost: {enis: 3}\n", vec!["enis"]),
            ("policy:\n  max_staleness_seconds: 0\n", vec!["policy.max_staleness_seconds", "is 0"]),
            ("policy:\n  drift_hold_down_seconds: 18446744073709551615\n", vec!["policy.drift_hold_down_seconds", "a week"]),
            ("policy:\n  target_hold_down_seconds: 604801\n", vec!["policy.target_hold_down_seconds", "604801"]),
            ("aws:\n  endpoint_url: localhost\n", vec!["aws.endpoint_url", "is localhost", "http://HOST:PORT"]),
            ("policy:\n  service_labels: [team, '']\n", vec!["policy.service_labels", "\"\""]),
            ("policy:\n  service_labels: [team, 'two words']\n", vec!["policy.service_labels", "two words"]),
            ("policy:\n  service_labels: [part-of, x, part_of]\n", vec!["policy.service_labels", "[part-of, part_of]"]),
            ("policy: [\n", vec!["c.yml"]),
            ("policy:\n\t- x\n", vec!["c.yml"]),
        ] {
            let message = parse(text).expect_err(text);
            for word in named {
                assert!(message.contains(word), "{message:?} does not name {word:?}");
            }
            assert_eq!(message.lines().count(), 1, "{message}");
        }
    }
}
