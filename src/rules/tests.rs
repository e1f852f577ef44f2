use std::collections::{BTreeMap, BTreeSet};

use super::render::{RuleFormat, duration, render};
use super::thresholds::{Overrides, duration as parsed};
use super::*;

fn default() -> Rules {
    Rules::new(&Overrides::new(), &Links::default()).unwrap()
}

fn set(yaml: &str) -> Result<Rules, String> {
    let overrides: Overrides = serde_saphyr::from_str(yaml).unwrap();
    Rules::new(&overrides, &Links::default()).map_err(|error| error.to_string())
}

fn found<'a>(rules: &'a Rules, name: &str, severity: Severity) -> &'a Rule {
    rules.alerts().find(|rule| rule.name == name && rule.severity == severity).unwrap()
}

#[test]
fn a_name_and_a_severity_are_one_alert_and_every_text_is_whole() {
    let rules = default();
    let mut seen = BTreeSet::new();
    for rule in rules.alerts() {
        assert!(seen.insert((rule.name, rule.severity.as_str())), "{} twice", rule.name);
        assert!(rule.name.starts_with("NLB") && rule.name.chars().all(char::is_alphanumeric), "{}", rule.name);
        let (summary, description) = (&rule.annotations["summary"], &rule.annotations["description"]);
        assert!(summary.ends_with('.') && !summary.contains("{{") && summary.starts_with(char::is_uppercase), "{summary}");
        assert!(
            description.ends_with('.') && (description.contains("$value") || description.contains("$labels")),
            "{description}"
        );
        for text in rule.annotations.values().chain([&rule.expr]) {
            assert!(!text.contains("[["), "{}: {text}", rule.name);
        }
    }
    assert!(rules.records().all(|(name, expr)| name.matches(':').count() == 2 && !expr.contains("[[")));
}

#[test]
fn blindness_is_told_at_half_of_the_time_after_which_values_vanish_unless_something_is_set() {
    let age = |overrides: &Overrides, seconds| {
        let set = super::thresholds::blind_at_half(overrides.clone(), seconds);
        found(&Rules::new(&set, &Links::default()).unwrap(), "NLBMonitoringBlind", Severity::Critical).expr.clone()
    };
    assert_eq!(age(&Overrides::new(), 1800), found(&default(), "NLBMonitoringBlind", Severity::Critical).expr);
    assert!(age(&Overrides::new(), 7200).contains("> 3600") && !age(&Overrides::new(), 7200).contains("900"));
    let set: Overrides = serde_saphyr::from_str("NLBMonitoringBlind: {critical: {age: 600}}").unwrap();
    assert!(age(&set, 7200).contains("> 600"));
}

#[test]
fn descriptions_name_only_labels_that_the_alert_has() {
    for rule in default().alerts() {
        for text in rule.annotations.values() {
            for (at, _) in text.match_indices("$labels.") {
                let label: String = text[at + 8..].chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect();
                assert!(rule.identity.contains(&label.as_str()), "{}: {label}", rule.name);
            }
        }
    }
}

#[test]
fn no_alert_is_told_apart_by_the_exporters_pod() {
    for rule in default().alerts() {
        assert!(!rule.identity.iter().any(|label| ["instance", "pod", "job"].contains(label)), "{}", rule.name);
        let level = format!("by ({})", rule.identity.join(", "));
        let own = rule.expr.contains(&level) || rule.identity.contains(&"account_id") || rule.expr.contains("on (cluster)");
        assert!(own, "{} is not aggregated {level}", rule.name);
    }
}

#[test]
fn what_must_never_page_is_in_no_critical_rule() {
    for rule in default().alerts().filter(|rule| rule.severity == Severity::Critical) {
        for never in ["outbound", "elastic_ips", "listeners_per", "frontend", "NLB303", "NLB404"] {
            assert!(!rule.expr.contains(never), "{} looks at {never}", rule.name);
        }
    }
}

#[test]
fn history_is_needed_by_predictions_rates_and_what_is_absent() {
    let names: BTreeSet<_> = default().alerts().filter(|rule| rule.needs_history).map(|rule| rule.name).collect();
    let expected =
        ["NLBExporterAbsent", "NLBExporterThrottled", "NLBQuotaPredictedToRunOut", "NLBSecurityGroupRulesPredictedToRunOut"];
    assert_eq!(names, BTreeSet::from(expected));
}

#[test]
fn thresholds_change_conditions_waits_and_words() {
    let rules = set("NLBQuotaRunningOut: {warning: {for: 1h30m, ratio: 0.2, load_balancers: 5}, critical: {for: 60}}").unwrap();
    let warning = found(&rules, "NLBQuotaRunningOut", Severity::Warning);
    assert_eq!(warning.hold.as_secs(), 5400);
    assert!(
        warning.expr.contains("<= [ratio]".replace("[ratio]", "0.2").as_str()) && warning.expr.contains("<= 5 *"),
        "{}",
        warning.expr
    );
    assert!(warning.annotations["description"].contains("not more than 5 load balancers"));
    assert_eq!(found(&rules, "NLBQuotaRunningOut", Severity::Critical).hold.as_secs(), 60);
    let rules = set("NLBServiceBlocked: {warning: {keep_firing_for: 30}}").unwrap();
    assert_eq!(found(&rules, "NLBServiceBlocked", Severity::Warning).keep_firing.as_secs(), 30);
    assert_eq!(found(&rules, "NLBQuotaRefused", Severity::Critical).keep_firing.as_secs(), KEEP_FIRING_SECONDS);
    let rules = set("NLBServiceWithoutHealthyTarget: {critical: {for: 10m}}").unwrap();
    let critical = found(&rules, "NLBServiceWithoutHealthyTarget", Severity::Critical);
    assert!(critical.expr.contains("eks_nlb_target_group_changed_timestamp_seconds >= 600"), "a sample has to span the wait");
}

#[test]
fn a_threshold_without_sense_is_named_with_its_place_and_value() {
    for (yaml, named) in [
        ("NLBQuotaExploded: {critical: {for: 1m}}", vec!["NLBQuotaExploded", "NLBQuotaRunningOut"]),
        ("NLBZoneDark: {warning: {for: 1m}}", vec!["NLBZoneDark.warning", "critical"]),
        ("NLBZoneDark: {critical: {wait: 1}}", vec!["NLBZoneDark.critical.wait", "for"]),
        ("NLBZoneDark: {critical: {for: -1}}", vec!["NLBZoneDark.critical.for is -1"]),
        ("NLBZoneDark: {critical: {for: 1.5}}", vec!["NLBZoneDark.critical.for is 1.5", "whole"]),
        ("NLBZoneDark: {critical: {for: soon}}", vec!["NLBZoneDark.critical.for is soon", "10m"]),
        ("NLBZoneDark: {critical: {for: 8d}}", vec!["is 8d"]),
        ("NLBSubnetRunningOut: {warning: {addresses: -8}}", vec!["NLBSubnetRunningOut.warning.addresses is -8"]),
        ("NLBSubnetRunningOut: {warning: {addresses: 8m}}", vec!["addresses is 8m"]),
        ("NLBZoneLost: {critical: {ratio: 50}}", vec!["NLBZoneLost.critical.ratio is 50", "between 0 and 1"]),
        (
            "NLBQuotaRunningOut: {warning: {load_balancers: 0.5}}",
            vec!["NLBQuotaRunningOut.warning.load_balancers is 0.5", "NLBQuotaRunningOut.critical.load_balancers, which is 1"],
        ),
        ("NLBSubnetRunningOut: {info: {addresses: 4}}", vec!["info.addresses is 4", "warning.addresses, which is 8"]),
    ] {
        let error = set(yaml).expect_err(yaml);
        for word in named {
            assert!(error.contains(word), "{error:?} does not name {word:?}");
        }
        assert_eq!(error.lines().count(), 1);
    }
    assert!(set("NLBSubnetRunningOut: {info: {addresses: 8}}").is_ok(), "the same is not beyond");
}

#[test]
fn durations_are_written_and_read_as_prometheus_does() {
    for (seconds, text) in [(0, "0s"), (60, "1m"), (90, "1m30s"), (7200, "2h"), (259_200, "3d")] {
        assert_eq!(duration(Duration::from_secs(seconds)), text);
        assert_eq!(parsed(text), Some(Duration::from_secs(seconds)));
    }
    for bad in ["", "m", "10", "10x", "1m1h", "1m1m", "-1m", "99999999999999999999s"] {
        assert_eq!(parsed(bad), None, "{bad}");
    }
}

#[test]
fn links_lead_to_the_alerts_runbook_and_to_a_dashboard_with_its_labels() {
    let links = Links { runbook: "https://wiki/nlb".into(), dashboard: "https://grafana/".into() };
    let rules = Rules::new(&Overrides::new(), &links).unwrap();
    let rule = found(&rules, "NLBZoneDark", Severity::Critical);
    assert_eq!(rule.annotations["runbook_url"], "https://wiki/nlb#nlbzonedark");
    assert_eq!(
        rule.annotations["dashboard_url"],
        "https://grafana/d/eks-nlb-load-balancer?var-cluster={{ $labels.cluster }}&var-namespace={{ $labels.namespace }}&var-service={{ $labels.service }}"
    );
    assert_eq!(
        found(&rules, "NLBQuotaRunningOut", Severity::Critical).annotations["dashboard_url"],
        "https://grafana/d/eks-nlb-capacity"
    );
}

#[test]
fn both_formats_hold_the_same_rules() {
    let rules = default();
    let plain: serde_json::Value = serde_saphyr::from_str(&render(&rules, RuleFormat::Prometheus)).unwrap();
    let resource: serde_json::Value = serde_saphyr::from_str(&render(&rules, RuleFormat::PrometheusRule)).unwrap();
    assert_eq!(plain["groups"], resource["spec"]["groups"]);
    assert_eq!(resource["kind"], "PrometheusRule");
    let written: BTreeMap<_, _> = plain["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap())
        .filter_map(|rule| Some(((rule["alert"].as_str()?, rule["labels"]["severity"].as_str()?), rule["expr"].as_str()?)))
        .collect();
    for rule in rules.alerts() {
        assert_eq!(written[&(rule.name, rule.severity.as_str())], rule.expr);
    }
    assert_eq!(written.len(), rules.alerts().count());
}
