//! Do the rules and the runbooks name only what the program has?

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use eks_nlb_exporter::checks::catalogue;
use eks_nlb_exporter::expose::table::{TableFormat, metrics_table};
use eks_nlb_exporter::inventory::parts::source;
use eks_nlb_exporter::inventory::quota::quota;
use eks_nlb_exporter::rules::thresholds::Overrides;
use eks_nlb_exporter::rules::{Links, Rules, anchor};

fn rules() -> Rules {
    Rules::new(&Overrides::new(), &Links::default()).unwrap()
}

/// Every family with its labels.
fn families() -> BTreeMap<String, BTreeSet<String>> {
    let table: serde_json::Value = serde_json::from_str(&metrics_table(TableFormat::Json)).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let rows = table.as_array().unwrap().iter();
    rows.map(|row| (text(&row["name"]), row["labels"].as_array().unwrap().iter().map(text).collect())).collect()
}

/// Whether a character is part of a metric's name.
fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | ':')
}

/// The metrics of an expression, each with its matchers.
fn selectors(expr: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = expr;
    while let Some(at) = rest.find("eks_nlb_") {
        let start = rest[..at].rfind(|c| !is_name(c)).map_or(0, |before| before + 1);
        let end = rest[at..].find(|c| !is_name(c)).map_or(rest.len(), |length| at + length);
        let matchers = rest[end..].strip_prefix('{').map_or("", |after| after.split('}').next().unwrap());
        found.push((&rest[start..end], matchers));
        rest = &rest[end..];
    }
    found
}

/// Label names and values of matchers; alternatives of a regular expression apart.
fn matchers(text: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    text.split("\",").filter(|part| !part.is_empty()).map(|part| {
        let (name, value) = part.split_once(['=', '!']).unwrap();
        (name.trim(), value.trim_start_matches(['=', '~', '"']).trim_end_matches('"').split('|').collect())
    })
}

fn check(place: &str, expr: &str, families: &BTreeMap<String, BTreeSet<String>>, records: &BTreeSet<&str>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (metric, selected) in selectors(expr) {
        if records.contains(metric) {
            continue;
        }
        let Some(labels) = families.get(metric) else {
            wrong.push(format!("{place}: there is no {metric}"));
            continue;
        };
        for (label, values) in matchers(selected) {
            if label == "cluster" {
                continue;
            }
            if !labels.contains(label) {
                wrong.push(format!("{place}: {metric} has no label {label}"));
            }
            for value in values {
                let known = match label {
                    "quota" => quota(value).is_some(),
                    "source" => source::ALL.contains(&value),
                    "code" => value == "all" || catalogue::ALL.iter().any(|kind| kind.code == value),
                    _ => true,
                };
                let is_example = value.chars().all(|c| c.is_ascii_uppercase() || c == '_');
                if !known && !is_example {
                    wrong.push(format!("{place}: {label} is never {value}"));
                }
            }
        }
    }
    wrong
}

#[test]
fn every_metric_label_source_quota_and_code_in_a_rule_exists() {
    let (rules, families) = (rules(), families());
    let records: BTreeSet<_> = rules.records().map(|(name, _)| *name).collect();
    let mut wrong: Vec<_> = rules.records().flat_map(|(name, expr)| check(name, expr, &families, &records)).collect();
    wrong.extend(rules.alerts().flat_map(|rule| check(rule.name, &rule.expr, &families, &records)));
    // What an expression groups and joins by: labels of any family it names, of the scrape, or of the whole cluster.
    let any: BTreeSet<&str> = families.values().flatten().map(String::as_str).chain(["cluster", "job", "instance"]).collect();
    for (place, expr) in
        rules.records().map(|(name, expr)| (*name, expr)).chain(rules.alerts().map(|rule| (rule.name, &rule.expr)))
    {
        for keyword in [" by (", " on (", "group_left (", "group_right ("] {
            for (at, _) in expr.match_indices(keyword) {
                let labels = expr[at + keyword.len()..].split(')').next().unwrap();
                for label in labels.split(',').map(str::trim).filter(|label| !label.is_empty()) {
                    if !any.contains(label) {
                        wrong.push(format!("{place}: no family has a label {label}"));
                    }
                }
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn runbooks() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbooks.md")).unwrap()
}

#[test]
fn every_alert_has_its_runbook_and_every_runbook_its_alert() {
    let (rules, page) = (rules(), runbooks());
    let names: BTreeSet<_> = rules.alerts().map(|rule| rule.name).collect();
    let headings: BTreeSet<_> =
        page.lines().filter_map(|line| line.strip_prefix("## NLB")).map(|rest| format!("NLB{rest}")).collect();
    assert_eq!(headings, names.iter().map(|name| (*name).to_owned()).collect(), "headings and alerts differ");
    for rule in rules.alerts() {
        assert!(rule.annotations["runbook_url"].ends_with(&format!("/docs/runbooks.md#{}", anchor(rule.name))));
        let text = page.split(&format!("## {}\n", rule.name)).nth(1).unwrap().split("\n## ").next().unwrap();
        for part in ["**Meaning.**", "**Impact.**", "**Diagnosis.**", "```promql\n", "**Mitigation.**"] {
            assert!(text.contains(part), "{} has no {part}", rule.name);
        }
    }
    for link in page.split("](#").skip(1).map(|rest| rest.split(')').next().unwrap()) {
        assert!(names.iter().any(|name| anchor(name) == link), "#{link} leads nowhere");
    }
}

#[test]
fn the_queries_of_the_runbooks_name_only_what_exists() {
    let (rules, families, page) = (rules(), families(), runbooks());
    let records: BTreeSet<_> = rules.records().map(|(name, _)| *name).collect();
    let queries = page.split("```promql\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let wrong: Vec<_> = queries.flat_map(|query| check("runbooks", query, &families, &records)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
