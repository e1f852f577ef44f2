//! By what measure do the checks judge? Every threshold, with its default; the `policy` section of the configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Which targets get a series of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetSeries {
    /// None.
    Off,
    /// Those that are not healthy.
    NotHealthy,
    /// All of them.
    All,
}

/// Which security groups are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecurityGroupScope {
    /// Those with a role for this cluster's load balancers.
    WithRole,
    /// All of the cluster's VPC.
    Vpc,
}

/// What one more load balancer is taken to use up, where a number is given; where none is, the median load balancer of the
/// cluster tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoadBalancerCost {
    /// Zones, and with them network interfaces.
    pub zones: Option<u64>,
    /// Target groups.
    pub target_groups: Option<u64>,
    /// Free IPv4 addresses that it keeps in each of its subnets.
    pub addresses_per_zone: Option<u64>,
    /// Elastic IPs of the account's own, for an internet-facing one.
    pub elastic_ips: Option<u64>,
    /// Inbound rules on each endpoint security group, in the modes where the controller adds rules.
    pub security_group_rules: Option<u64>,
}

/// The thresholds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Which targets get a series of their own.
    pub target_series: TargetSeries,
    /// How many of those at most; the rest is counted.
    pub target_series_limit: usize,
    /// Which security groups are counted.
    pub security_groups: SecurityGroupScope,
    /// Seconds after which values that cannot be refreshed vanish (at least three refresh intervals of the part).
    pub max_staleness_seconds: u64,
    /// Seconds for which a Service's own change may take to reach AWS before a difference is drift.
    pub drift_hold_down_seconds: u64,
    /// Seconds for which a change of endpoints or nodes may take to reach the target group before a target is missing.
    pub target_hold_down_seconds: u64,
    /// Limits that override what AWS says, by quota name.
    pub quota_overrides: BTreeMap<String, f64>,
    /// Share of a limit from which on a quota is nearly used up.
    pub quota_warning_ratio: f64,
    /// Labels of Services that `service_labels` carries, for joins that route alerts; e.g. `team`.
    pub service_labels: Vec<String>,
    /// What one more load balancer is taken to use up.
    pub load_balancer_cost: LoadBalancerCost,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            target_series: TargetSeries::NotHealthy,
            target_series_limit: 1000,
            security_groups: SecurityGroupScope::WithRole,
            max_staleness_seconds: 1800,
            drift_hold_down_seconds: 300,
            target_hold_down_seconds: 180,
            quota_overrides: BTreeMap::new(),
            quota_warning_ratio: 0.9,
            service_labels: Vec::new(),
            load_balancer_cost: LoadBalancerCost::default(),
        }
    }
}

impl Policy {
    /// See `max_staleness_seconds`.
    pub fn max_staleness(&self) -> Duration {
        Duration::from_secs(self.max_staleness_seconds)
    }
}

/// The name under which a label of Kubernetes is exposed, as kube-state-metrics spells it: `label_`, what is no letter, digit
/// or underscore becomes one, and `partOf` becomes `part_of`.
pub fn label_name(key: &str) -> String {
    let mut name = "label_".to_owned();
    let mut after_small = false;
    for character in key.chars() {
        if after_small && character.is_ascii_uppercase() {
            name.push('_');
        }
        let kept = character.is_ascii_alphanumeric();
        name.push(if kept { character.to_ascii_lowercase() } else { '_' });
        after_small = character.is_ascii_lowercase() || character.is_ascii_digit();
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_named_as_kube_state_metrics_names_it() {
        for (key, name) in [
            ("team", "label_team"),
            ("app.kubernetes.io/part-of", "label_app_kubernetes_io_part_of"),
            ("costCenter", "label_cost_center"),
            ("HTTPServer2Go", "label_httpserver2_go"),
            ("a_b", "label_a_b"),
        ] {
            assert_eq!(label_name(key), name);
        }
    }
}
