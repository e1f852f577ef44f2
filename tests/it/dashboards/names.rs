//! Do the dashboards name only what the program has, and is everything that it has shown somewhere?

use std::collections::{BTreeMap, BTreeSet};

use eks_nlb_exporter::expose::table::{TableFormat, metrics_table};
use eks_nlb_exporter::rules::{GROUPS, Links, Rules, thresholds::Overrides};

use super::{Dashboard, dashboards, selectors, text};

/// Families on no dashboard and in no rule, and why.
const ELSEWHERE: &[(&str, &str)] = &[
    ("eks_nlb_service_labels", "for routing alerts by labels that users choose; which these are no dashboard can know"),
    (
        "eks_nlb_web_config_last_reload_success_timestamp_seconds",
        "moves with each renewed certificate; an alert says when one fails",
    ),
    ("process_virtual_memory_bytes", "says nothing about a program with memory maps; resident memory is shown"),
];

/// Every family with its labels.
fn families() -> BTreeMap<String, BTreeSet<String>> {
    let table: serde_json::Value = serde_json::from_str(&metrics_table(TableFormat::Json)).unwrap();
    let row = |row: &serde_json::Value| {
        let labels = row["labels"].as_array().unwrap().iter().map(|label| label.as_str().unwrap().to_owned());
        (row["name"].as_str().unwrap().to_owned(), labels.collect())
    };
    table.as_array().unwrap().iter().map(row).collect()
}

/// Every expression of a dashboard: its panels' and its variables'.
fn expressions(dashboard: &Dashboard) -> Vec<&str> {
    let queries = dashboard.queries().into_iter().map(|query| query.expr);
    queries.chain(dashboard.variables().into_iter().map(|it| text(&it["query"], "query"))).collect()
}

fn is_of(metric: &str, family: &str) -> bool {
    metric.strip_prefix(family).is_some_and(|suffix| ["", "_bucket", "_sum", "_count"].contains(&suffix))
}

#[test]
fn every_metric_and_label_on_a_dashboard_exists() {
    let families = families();
    let any: BTreeSet<&str> =
        families.values().flatten().map(String::as_str).chain(["cluster", "job", "instance", "le"]).collect();
    let mut wrong = BTreeSet::new();
    for dashboard in dashboards() {
        for expr in expressions(&dashboard) {
            for (metric, matchers) in selectors(expr).into_iter().filter(|(metric, _)| !metric.starts_with("ALERTS")) {
                let Some((_, labels)) = families.iter().find(|(family, _)| is_of(metric, family)) else {
                    wrong.insert(format!("{}: there is no {metric}", dashboard.uid()));
                    continue;
                };
                for part in matchers.split("\",").filter(|part| !part.is_empty()) {
                    let label = part.split(['=', '!']).next().unwrap();
                    if !labels.contains(label) && !["cluster", "job", "instance"].contains(&label) {
                        wrong.insert(format!("{}: {metric} has no label {label}", dashboard.uid()));
                    }
                }
            }
            for keyword in [" by (", " on (", "group_left (", "group_right ("] {
                for (at, _) in expr.match_indices(keyword) {
                    let labels = expr[at + keyword.len()..].split(')').next().unwrap().split(',').map(str::trim);
                    for label in labels.filter(|label| !label.is_empty() && !any.contains(label)) {
                        wrong.insert(format!("{}: no family has a label {label}", dashboard.uid()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_family_is_on_a_dashboard_or_in_a_rule_or_elsewhere_for_a_reason() {
    let all = dashboards();
    let rules = Rules::new(&Overrides::new(), &Links::default()).unwrap();
    let exprs = rules.records().map(|(_, expr)| expr.as_str()).chain(rules.alerts().map(|rule| rule.expr.as_str()));
    let used: BTreeSet<_> = all.iter().flat_map(expressions).chain(exprs).flat_map(selectors).map(|(metric, _)| metric).collect();
    let families = families();
    let unused = |family: &str| !used.iter().any(|metric| is_of(metric, family));
    let elsewhere = |family: &str| ELSEWHERE.iter().any(|(name, reason)| *name == family && !reason.is_empty());
    let orphans: Vec<_> = families.keys().filter(|family| unused(family) && !elsewhere(family)).collect();
    assert!(orphans.is_empty(), "nobody looks at {orphans:?}");
    for (name, _) in ELSEWHERE {
        assert!(families.contains_key(*name) && unused(name), "{name} needs no reason");
    }
}

#[test]
fn alerts_lead_to_dashboards_with_the_variables_that_they_set() {
    let all = dashboards();
    let uids: BTreeSet<_> = all.iter().map(Dashboard::uid).collect();
    assert_eq!(uids.len(), all.len(), "an identifier comes twice");
    let mut led = BTreeSet::new();
    for alert in GROUPS.iter().flat_map(|group| group.alerts) {
        let dashboard = all.iter().find(|it| it.uid() == alert.dashboard.uid);
        let dashboard =
            dashboard.unwrap_or_else(|| panic!("{} leads to {}, which is not there", alert.name, alert.dashboard.uid));
        led.insert(dashboard.uid());
        let variables: BTreeSet<_> = dashboard.variables().into_iter().map(|it| text(it, "name")).collect();
        for variable in alert.dashboard.variables {
            assert!(variables.contains(variable), "{} has no variable {variable}", dashboard.uid());
        }
    }
    assert_eq!(led, uids, "alerts lead to some of the dashboards only");
}
