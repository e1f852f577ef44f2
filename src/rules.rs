//! Which alerts are there, on what condition, after how long, and for whom? One table, as data: the rule files, the runbooks'
//! links and the daemon's own alerting all come from it.
//!
//! A condition is judged for each exporter apart, in what one scrape of it says, and then aggregated to the labels a person needs:
//! two replicas or a new pod do not make another alert. `cluster` is kept where a label of that name exists.

pub mod capacity;
pub mod exporter;
pub mod health;
pub mod ownership;
pub mod render;
pub mod thresholds;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::checks::model::Severity;
use thresholds::{Overrides, ThresholdError, Values};

/// A named number of an alert that a user may change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// Its name in the configuration, and between double brackets in the alert's texts.
    pub name: &'static str,
    /// The value it has unless configured.
    pub default: f64,
    /// What it is a number of.
    pub unit: Unit,
    /// Which direction is worse, where an alert of the same name and another severity has the same threshold.
    pub worse: Worse,
}

/// What a threshold is a number of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds; a duration such as `10m` is understood, too.
    Seconds,
    /// Things.
    Count,
    /// A share between 0 and 1.
    Ratio,
}

/// Which direction is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worse {
    /// The lower the number, the worse what it stands for.
    Lower,
    /// The higher the number, the worse what it stands for.
    Higher,
}

/// One entry of the table of alerts. Texts may name thresholds as `[[name]]`.
#[derive(Debug, Clone, Copy)]
pub struct Alert {
    /// `alertname`; with the severity it is unique.
    pub name: &'static str,
    /// The `severity` label.
    pub severity: Severity,
    /// Seconds for which the condition has to hold (`for`), unless configured.
    pub hold_seconds: u64,
    /// Its other thresholds.
    pub thresholds: &'static [Threshold],
    /// The condition in PromQL; its value is what the description's `$value` means.
    pub expr: &'static str,
    /// The labels that tell its instances apart; all of them are Services', AWS's or Kubernetes' names, never a pod's.
    pub identity: &'static [&'static str],
    /// One static sentence.
    pub summary: &'static str,
    /// This instance, with its labels and numbers, as a template of Prometheus.
    pub description: &'static str,
    /// Where to look.
    pub dashboard: Dashboard,
    /// The code of the finding that judges the same; a Service that mutes it mutes the alert.
    pub code: Option<&'static str>,
}

/// A dashboard, and the labels of the alert that become its variables.
#[derive(Debug, Clone, Copy)]
pub struct Dashboard {
    /// Its stable identifier.
    pub uid: &'static str,
    /// Labels that are variables of the same name.
    pub variables: &'static [&'static str],
}

/// Is anything broken?
pub const OVERVIEW: Dashboard = Dashboard { uid: "eks-nlb-overview", variables: &["cluster", "namespace", "service"] };
/// One load balancer.
pub const LOAD_BALANCER: Dashboard = Dashboard { uid: "eks-nlb-load-balancer", variables: &["cluster", "namespace", "service"] };
/// Quotas, rules and addresses.
pub const CAPACITY: Dashboard = Dashboard { uid: "eks-nlb-capacity", variables: &["cluster"] };
/// The exporter itself.
pub const EXPORTER: Dashboard = Dashboard { uid: "eks-nlb-exporter", variables: &["cluster"] };

/// One recorded expression, named `level:metric:operation`.
#[derive(Debug, Clone, Copy)]
pub struct Record {
    /// Its name.
    pub name: &'static str,
    /// The expression.
    pub expr: &'static str,
}

/// Rules that are evaluated together, the records first.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// The group's name.
    pub name: &'static str,
    /// What several alerts, or alerts and dashboards, share.
    pub records: &'static [Record],
    /// Its alerts.
    pub alerts: &'static [Alert],
}

/// All rules.
pub const GROUPS: &[Group] = &[health::GROUP, ownership::GROUP, capacity::GROUP, exporter::GROUP];

/// Seconds for which an alert goes on firing when its condition is gone: a restart of the exporter or a scrape that failed must
/// neither resolve it nor page again. Unless configured.
pub const KEEP_FIRING_SECONDS: u64 = 300;

/// The name that stands for `hold_seconds` in the configuration and in texts.
pub const HOLD: &str = "for";

/// The name that stands for [`KEEP_FIRING_SECONDS`] in the configuration.
pub const KEEP_FIRING: &str = "keep_firing_for";

/// What the texts share, by name.
const FRAGMENTS: &[(&str, &str)] = &[
    ("exporter", "cluster, job, instance"),
    // Neither a sample that nothing has confirmed for the whole wait, nor one that is older than the wait.
    (
        "judged",
        "and on ([[exporter]], target_group) (\n    \
         time() - eks_nlb_target_group_sampled_timestamp_seconds < [[for]]\n    \
         or eks_nlb_target_group_sampled_timestamp_seconds - eks_nlb_target_group_changed_timestamp_seconds >= [[for]]\n  )",
    ),
    // An alert about a load balancer without a Service has the label `load_balancer` in place of the other two.
    (
        "whose",
        "{{ if $labels.service }}Service {{ $labels.namespace }}/{{ $labels.service }}{{ else }}Load balancer {{ $labels.load_balancer }}{{ end }}",
    ),
    ("quota", "quota {{ $labels.quota }}{{ if $labels.vpc_id }} of VPC {{ $labels.vpc_id }}{{ else }}{{ end }}"),
    ("unless_muted", "unless on ([[exporter]], namespace, service) eks_nlb_service_muted{code=~\"all|[[code]]\"}"),
];

/// Where links lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Links {
    /// The page of runbooks; `#` and the alert's name in lower case are appended.
    pub runbook: String,
    /// What stands before `/d/UID` of a dashboard; empty for a link relative to Grafana.
    pub dashboard: String,
}

impl Default for Links {
    fn default() -> Self {
        Self {
            runbook: "https://github.com/eks-nlb-exporter/eks-nlb-exporter/blob/main/docs/runbooks.md".to_owned(),
            dashboard: String::new(),
        }
    }
}

/// The rules with every number and link filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// The groups, in order.
    pub groups: Vec<RuleGroup>,
}

/// See [`Group`].
#[derive(Debug, Clone, PartialEq)]
pub struct RuleGroup {
    /// The group's name.
    pub name: &'static str,
    /// Name and expression of what is recorded, in order.
    pub records: Vec<(&'static str, String)>,
    /// The alerts.
    pub alerts: Vec<Rule>,
}

/// See [`Alert`].
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// `alertname`.
    pub name: &'static str,
    /// The `severity` label.
    pub severity: Severity,
    /// The condition. It may name records of its group.
    pub expr: String,
    /// `for`.
    pub hold: Duration,
    /// `keep_firing_for`.
    pub keep_firing: Duration,
    /// The labels of its instances besides `alertname` and `severity`; those without a value are absent.
    pub identity: &'static [&'static str],
    /// Annotations, as templates of Prometheus.
    pub annotations: BTreeMap<&'static str, String>,
    /// See [`Alert::code`].
    pub code: Option<&'static str>,
    /// The condition looks at a range of time: one picture is not enough to judge it.
    pub needs_history: bool,
}

impl Rules {
    /// Fills in the numbers and links.
    pub fn new(overrides: &Overrides, links: &Links) -> Result<Self, ThresholdError> {
        let values = Values::new(GROUPS, overrides)?;
        let groups = GROUPS.iter().map(|group| RuleGroup {
            name: group.name,
            records: group.records.iter().map(|record| (record.name, fill(record.expr, &BTreeMap::new()))).collect(),
            alerts: group.alerts.iter().map(|alert| rule(alert, &values, links)).collect(),
        });
        Ok(Self { groups: groups.collect() })
    }

    /// All alerts, in order.
    pub fn alerts(&self) -> impl Iterator<Item = &Rule> {
        self.groups.iter().flat_map(|group| &group.alerts)
    }

    /// All records, in order.
    pub fn records(&self) -> impl Iterator<Item = &(&'static str, String)> {
        self.groups.iter().flat_map(|group| &group.records)
    }
}

/// The heading of an alert's runbook as a link names it.
pub fn anchor(name: &str) -> String {
    name.to_lowercase()
}

fn rule(alert: &Alert, values: &Values, links: &Links) -> Rule {
    let hold = values.get(alert, HOLD);
    let mut numbers: BTreeMap<&str, String> =
        alert.thresholds.iter().map(|it| (it.name, values.get(alert, it.name).to_string())).collect();
    numbers.insert(HOLD, hold.to_string());
    numbers.insert("code", alert.code.unwrap_or_default().to_owned());
    let expr = fill(alert.expr, &numbers);
    // People read durations.
    for threshold in alert.thresholds.iter().filter(|threshold| threshold.unit == Unit::Seconds) {
        numbers.insert(threshold.name, render::duration(Duration::from_secs_f64(values.get(alert, threshold.name))));
    }
    let annotations = BTreeMap::from([
        ("summary", alert.summary.to_owned()),
        ("description", fill(alert.description, &numbers)),
        ("runbook_url", format!("{}#{}", links.runbook, anchor(alert.name))),
        ("dashboard_url", dashboard_url(alert, &links.dashboard)),
    ]);
    Rule {
        name: alert.name,
        severity: alert.severity,
        hold: Duration::from_secs_f64(hold),
        keep_firing: Duration::from_secs_f64(values.get(alert, KEEP_FIRING)),
        identity: alert.identity,
        annotations,
        code: alert.code,
        needs_history: [" offset ", "m]", "h]", "d]", "s]"].iter().any(|sign| expr.contains(sign)),
        expr,
    }
}

fn dashboard_url(alert: &Alert, base: &str) -> String {
    let base = base.trim_end_matches('/');
    let known = alert.dashboard.variables.iter().filter(|variable| alert.identity.contains(variable));
    let variables: Vec<_> = known.map(|variable| format!("var-{variable}={{{{ $labels.{variable} }}}}")).collect();
    let question = if variables.is_empty() { "" } else { "?" };
    format!("{base}/d/{}{question}{}", alert.dashboard.uid, variables.join("&"))
}

/// Replaces every `[[name]]`.
fn fill(text: &str, numbers: &BTreeMap<&str, String>) -> String {
    let mut text = text.to_owned();
    // `exporter` stands inside the other fragments, so it comes after them.
    for (name, fragment) in FRAGMENTS.iter().rev() {
        text = text.replace(&format!("[[{name}]]"), fragment);
    }
    for (name, value) in numbers {
        text = text.replace(&format!("[[{name}]]"), value);
    }
    text
}

#[cfg(test)]
mod tests;
