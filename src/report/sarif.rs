//! How is a plan written as SARIF 2.1.0, so that a code host shows each problem at its line?

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::plan::Plan;
use crate::checks::model::{FindingKind, Severity};

/// The plan as one run. Paths that are not absolute are relative to where the program was started.
pub fn as_sarif(plan: &Plan) -> String {
    let problems = || plan.services.iter().flat_map(|planned| planned.problems.iter().map(move |problem| (planned, problem)));
    let kinds: BTreeMap<&str, &FindingKind> = problems().map(|(_, problem)| (problem.kind.code, problem.kind)).collect();
    let places: BTreeMap<&str, usize> = kinds.keys().enumerate().map(|(place, code)| (*code, place)).collect();
    let rules: Vec<Value> = kinds.values().map(|kind| rule(kind)).collect();
    let results: Vec<Value> = problems()
        .map(|(planned, problem)| {
            json!({
                "ruleId": problem.kind.code,
                "ruleIndex": places[problem.kind.code],
                "level": level(problem.kind.severity),
                "message": {"text": format!("Service {}: {}", planned.service, problem.message)},
                "locations": [{"physicalLocation": {
                    "artifactLocation": {"uri": uri(&planned.file)},
                    "region": {"startLine": problem.line},
                }}],
            })
        })
        .collect();
    let report = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": env!("CARGO_PKG_NAME"),
                "version": crate::version::VERSION,
                "rules": rules,
            }},
            "results": results,
        }],
    });
    let mut text = serde_json::to_string_pretty(&report).expect("a tree of texts and numbers is JSON");
    text.push('\n');
    text
}

fn rule(kind: &FindingKind) -> Value {
    json!({
        "id": kind.code,
        "shortDescription": {"text": kind.title},
        "help": {"text": kind.action},
        "defaultConfiguration": {"level": level(kind.severity)},
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

/// A path as a URI reference: what is neither a letter, a digit nor one of `-._~/` is escaped.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.strip_prefix("./").unwrap_or(path).bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => uri.push(char::from(byte)),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_uri() {
        assert_eq!(uri("./my charts/web.yaml"), "my%20charts/web.yaml");
        assert_eq!(uri("-"), "-");
    }
}
