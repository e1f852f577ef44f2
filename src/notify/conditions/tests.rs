use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::checks::model::{CheckRun, Family, Label, Severity};
use crate::rules::thresholds::Overrides;
use crate::rules::{Links, RuleGroup};

fn rule(name: &'static str, expression: &str) -> Rule {
    Rule {
        name,
        severity: Severity::Warning,
        expr: expression.to_owned(),
        hold: Duration::from_secs(60),
        keep_firing: Duration::ZERO,
        identity: &["namespace", "service"],
        annotations: BTreeMap::from([("description", "{{ $labels.service }} has {{ $value }}.".to_owned())]),
        code: None,
        needs_history: false,
    }
}

fn rules(records: &[(&'static str, &str)], alerts: Vec<Rule>) -> Rules {
    let records = records.iter().map(|(name, expression)| (*name, (*expression).to_owned())).collect();
    Rules { groups: vec![RuleGroup { name: "test", records, alerts }] }
}

fn family(name: &str, samples: &[(&[&str], f64)]) -> Family {
    let description = crate::checks::families().find(|family| family.name == name).unwrap();
    let sample = |(labels, value): &(&[&str], f64)| Sample {
        labels: labels.iter().map(|label| Label::from((*label).to_owned())).collect(),
        value: *value,
    };
    Family::new(description, samples.iter().map(sample).collect())
}

fn outcome(families: Vec<Family>, blind: bool) -> Outcome {
    let runs = CHECKS.iter().map(|check| CheckRun { check: check.name, success: true, duration: Duration::ZERO, blind });
    Outcome { evaluated_at: NOW, families, findings: Vec::new(), muted: Vec::new(), runs: runs.collect() }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value))).collect()
}

const NOW: Timestamp = Timestamp::constant(1000, 0);

const DRIFTED: &str = "eks_nlb_service_drifted_annotations > 0";

#[test]
fn an_alert_has_the_labels_prometheus_would_give_it() {
    let external = [("cluster".to_owned(), "prod".to_owned()), ("service".to_owned(), "x".to_owned())].into_iter().collect();
    let conditions = Conditions::new(&rules(&[], vec![rule("NLBDrift", DRIFTED)]), &external).unwrap();
    let drifted = family("service_drifted_annotations", &[(&["pay", "ledger"], 2.0), (&["pay", "quiet"], 0.0)]);
    let judged = conditions.judge(&outcome(vec![drifted], false), NOW);
    let [("NLBDrift warning", _, Judgement::Holds(instances))] = judged.as_slice() else { panic!("{judged:?}") };
    let expected = labels(&[
        ("alertname", "NLBDrift"),
        ("severity", "warning"),
        ("cluster", "prod"),
        ("namespace", "pay"),
        ("service", "ledger"),
    ]);
    assert_eq!(instances.len(), 1);
    assert_eq!(instances[0].labels, expected);
    assert_eq!(instances[0].annotations["description"], "ledger has 2.");
}

#[test]
fn nothing_to_see_is_not_the_same_as_seeing_nothing() {
    let conditions = Conditions::new(&rules(&[], vec![rule("NLBDrift", DRIFTED)]), &BTreeMap::new()).unwrap();
    let judge = |outcome: Outcome| matches!(conditions.judge(&outcome, NOW)[0].2, Judgement::Holds(ref all) if all.is_empty());
    assert!(judge(outcome(Vec::new(), false)));
    assert!(!judge(outcome(Vec::new(), true)), "a check that lost its sources");
    assert!(!judge(Outcome { runs: Vec::new(), ..outcome(Vec::new(), false) }), "a check that did not run yet");
    let drifted = || family("service_drifted_annotations", &[(&["pay", "ledger"], 2.0)]);
    let partly = conditions.judge(&outcome(vec![drifted()], true), NOW).remove(0).2;
    assert!(matches!(partly, Judgement::Partly(all) if all.len() == 1), "what is seen is told though not all is seen");
}

#[test]
fn what_needs_history_or_other_metrics_is_left_to_prometheus() {
    let recordings =
        [("a:drift:sum", "sum(eks_nlb_service_drifted_annotations)"), ("a:drift:rate", "rate(eks_nlb_pictures_total[5m])")];
    let alerts = vec![
        rule("Kept", "a:drift:sum > 1"),
        rule("OfPicture", "time() - eks_nlb_picture_timestamp_seconds > 60 or eks_nlb_check_success{check=\"drift\"} == 0"),
        rule("Past", "a:drift:rate > 1"),
        rule("Absent", "absent(up{job=\"x\"})"),
    ];
    let conditions = Conditions::new(&rules(&recordings, alerts), &BTreeMap::new()).unwrap();
    let of = |name: &str| labels(&[("alertname", name), ("severity", "warning"), ("service", "a")]);
    assert!(conditions.rule_of(&of("Kept")).is_some() && conditions.rule_of(&of("OfPicture")).is_some());
    assert!(conditions.rule_of(&of("Past")).is_none());
    assert_eq!(conditions.left, [("Past", Left::NeedsHistory), ("Absent", Left::NeedsMetric("up".into()))]);
    let drifted = family("service_drifted_annotations", &[(&["pay", "ledger"], 2.0)]);
    let judged = conditions.judge(&outcome(vec![drifted], false), NOW);
    let counts: Vec<_> =
        judged.iter().map(|(name, _, judgement)| (*name, matches!(judgement, Judgement::Holds(all) if all.len() == 1))).collect();
    assert_eq!(counts, [("Kept warning", true), ("OfPicture warning", false)]);
}

#[test]
fn an_alert_of_another_cluster_is_not_taken_for_ours() {
    let external = [("cluster".to_owned(), "prod".to_owned())].into_iter().collect();
    let conditions = Conditions::new(&rules(&[], vec![rule("NLBDrift", DRIFTED)]), &external).unwrap();
    let of =
        |cluster: &str| labels(&[("alertname", "NLBDrift"), ("severity", "warning"), ("cluster", cluster), ("service", "a")]);
    assert!(conditions.rule_of(&of("prod")).is_some());
    assert!(conditions.rule_of(&of("test")).is_none());
}

#[test]
fn a_rule_that_cannot_be_read_is_named() {
    let error = Conditions::new(&rules(&[], vec![rule("Odd", "eks_nlb_findings ^ 2")]), &BTreeMap::new()).unwrap_err();
    assert!(error.to_string().starts_with("the rule Odd cannot be judged: "), "{error}");
}

#[test]
fn every_shipped_rule_is_judged_or_left_for_a_reason_that_is_known() {
    let rules = Rules::new(&Overrides::new(), &Links::default()).unwrap();
    let conditions = Conditions::new(&rules, &BTreeMap::new()).unwrap();
    let history: Vec<_> = rules.alerts().filter(|rule| rule.needs_history).map(|rule| rule.name).collect();
    let left = |reason: fn(&Left) -> bool| -> Vec<_> {
        conditions.left.iter().filter(|(_, left)| reason(left)).map(|(name, _)| *name).collect()
    };
    assert_eq!(left(|left| matches!(left, Left::NeedsHistory)), history);
    // What the exporter counts of itself is in no picture.
    assert_eq!(left(|left| matches!(left, Left::NeedsMetric(_))), ["NLBExporterConfigReloadFailed"]);
    let outcome = outcome(Vec::new(), false);
    let unknown: Vec<_> =
        conditions.judge(&outcome, NOW).into_iter().filter(|(_, _, it)| matches!(it, Judgement::Unknown)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// Which shipped rules hold in a picture at a moment.
fn holding(outcome: &Outcome, now: Timestamp) -> Vec<String> {
    let rules = Rules::new(&Overrides::new(), &Links::default()).unwrap();
    let conditions = Conditions::new(&rules, &BTreeMap::new()).unwrap();
    let judged = conditions.judge(outcome, now);
    let holds = judged.iter().filter(|(_, _, it)| matches!(it, Judgement::Holds(all) if !all.is_empty()));
    holds.map(|(name, ..)| (*name).to_owned()).collect()
}

#[test]
fn that_nothing_is_seen_is_told_though_nothing_is_seen() {
    let later = Timestamp::from_second(4000).unwrap();
    let source = |name: &str, at: f64| family(name, &[(&["aws_target_health"], at)]);
    // Lost for longer than what is known is kept: every check but that of the sources is blind.
    let lost = vec![source("source_last_success_timestamp_seconds", 1000.0), source("source_refresh_interval_seconds", 60.0)];
    let mut lost = outcome(lost, true);
    lost.evaluated_at = later;
    lost.runs.iter_mut().filter(|run| run.check == freshness::CHECK.name).for_each(|run| run.blind = false);
    assert_eq!(holding(&lost, later), ["NLBMonitoringBlind critical", "NLBExporterPictureStale warning"]);
    // Never seen: no other check has run yet.
    let mut never = outcome(vec![source("source_last_attempt_timestamp_seconds", 3990.0)], false);
    never.evaluated_at = later;
    never.runs.retain(|run| run.check == freshness::CHECK.name);
    assert_eq!(holding(&never, later), ["NLBExporterNotReady critical"]);
}

#[test]
fn a_picture_that_no_newer_one_follows_grows_old() {
    let last = outcome(Vec::new(), false);
    assert_eq!(holding(&last, Timestamp::from_second(1900).unwrap()), [""; 0]);
    assert_eq!(holding(&last, Timestamp::from_second(1901).unwrap()), ["NLBMonitoringBlind critical"]);
}

#[test]
fn alerts_of_another_cluster_are_not_taken_up() {
    let external: BTreeMap<_, _> = [("cluster".to_owned(), "a".to_owned()), ("service".to_owned(), "x".to_owned())].into();
    let conditions = Conditions::new(&rules(&[], vec![rule("NLBDrift", DRIFTED)]), &external).unwrap();
    let of = |pairs: &[(&str, &str)]| {
        let own = [("alertname", "NLBDrift"), ("severity", "warning"), ("service", "ledger")];
        conditions.rule_of(&labels(&[&own[..], pairs].concat()))
    };
    assert_eq!(of(&[("cluster", "a")]), Some("NLBDrift warning"));
    assert_eq!(of(&[("cluster", "b")]), None);
    assert_eq!(of(&[]), None);
}
