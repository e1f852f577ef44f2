//! How do the rules look as a file of Prometheus, or as a PrometheusRule of its operator?

use std::fmt::Write as _;
use std::time::Duration;

use super::{Rule, RuleGroup, Rules};

/// What reads the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleFormat {
    /// A file named in `rule_files` of Prometheus.
    Prometheus,
    /// A custom resource of the Prometheus operator.
    PrometheusRule,
}

/// The order in which people read annotations.
const ANNOTATIONS: [&str; 4] = ["summary", "description", "runbook_url", "dashboard_url"];

const HEAD: &str = "# Written by `eks-nlb-exporter rules`: change the thresholds there, not here.\n";

const RESOURCE: &str = "apiVersion: monitoring.coreos.com/v1\n\
                        kind: PrometheusRule\n\
                        metadata:\n  \
                          name: eks-nlb-exporter\n  \
                          labels:\n    \
                            app.kubernetes.io/name: eks-nlb-exporter\n\
                        spec:\n";

/// The rules as YAML.
pub fn render(rules: &Rules, format: RuleFormat) -> String {
    let mut groups = String::from("groups:\n");
    for group in &rules.groups {
        write_group(&mut groups, group).expect("writing to a String cannot fail");
    }
    match format {
        RuleFormat::Prometheus => format!("{HEAD}{groups}"),
        RuleFormat::PrometheusRule => {
            let indented: String =
                groups.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") }).collect();
            format!("{HEAD}{RESOURCE}{indented}")
        }
    }
}

fn write_group(out: &mut String, group: &RuleGroup) -> std::fmt::Result {
    writeln!(out, "  - name: {}\n    rules:", group.name)?;
    for (name, expr) in &group.records {
        writeln!(out, "      - record: {name}")?;
        write_expr(out, expr)?;
    }
    for rule in &group.alerts {
        write_alert(out, rule)?;
    }
    Ok(())
}

fn write_alert(out: &mut String, rule: &Rule) -> std::fmt::Result {
    writeln!(out, "      - alert: {}", rule.name)?;
    write_expr(out, &rule.expr)?;
    if !rule.hold.is_zero() {
        writeln!(out, "        for: {}", duration(rule.hold))?;
    }
    writeln!(out, "        keep_firing_for: {}", duration(rule.keep_firing))?;
    writeln!(out, "        labels:\n          severity: {}\n        annotations:", rule.severity.as_str())?;
    for name in ANNOTATIONS {
        writeln!(out, "          {name}: {}", quoted(&rule.annotations[name]))?;
    }
    Ok(())
}

fn write_expr(out: &mut String, expr: &str) -> std::fmt::Result {
    writeln!(out, "        expr: |-")?;
    expr.lines().try_for_each(|line| writeln!(out, "          {line}"))
}

/// A text in single quotes, in which YAML knows no escapes but the quote itself.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A duration as Prometheus writes it, in the largest units.
pub(super) fn duration(length: Duration) -> String {
    let mut rest = length.as_secs();
    let mut text = String::new();
    for (unit, size) in [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)] {
        if rest >= size {
            write!(text, "{}{unit}", rest / size).expect("writing to a String cannot fail");
            rest %= size;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}
