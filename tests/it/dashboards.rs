//! Are the dashboards right? Their form, their types, what they name, and that every query of theirs has an answer.

mod form;
mod names;
mod queries;
mod shipped;
mod types;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A dashboard's file.
struct Dashboard {
    path: PathBuf,
    text: String,
    json: Value,
}

/// A query, and where it stands.
#[derive(Clone, Copy)]
struct Query<'a> {
    dashboard: &'a str,
    panel: &'a str,
    kind: &'a str,
    /// Which of its panel, from 0.
    index: usize,
    expr: &'a str,
}

fn dashboards() -> Vec<Dashboard> {
    let mut found: Vec<_> = fs::read_dir(root().join("dashboards"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "json"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            Dashboard { path, text, json }
        })
        .collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.len() >= 4, "the dashboards are missing");
    found
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

impl Dashboard {
    fn uid(&self) -> &str {
        text(&self.json, "uid")
    }

    /// Its panels, those of rows too, without the rows themselves.
    fn panels(&self) -> Vec<&Value> {
        let all = list(&self.json, "panels").iter();
        all.flat_map(|panel| std::iter::once(panel).chain(list(panel, "panels"))).filter(|it| text(it, "type") != "row").collect()
    }

    /// Its variables that are asked of Prometheus.
    fn variables(&self) -> Vec<&Value> {
        list(&self.json["templating"], "list").iter().filter(|it| text(it, "type") == "query").collect()
    }

    fn queries(&self) -> Vec<Query<'_>> {
        let of = |panel| {
            let (title, kind) = (text(panel, "title"), text(panel, "type"));
            let targets = list(panel, "targets").iter().enumerate();
            targets.map(move |(index, target)| Query {
                dashboard: self.uid(),
                panel: title,
                kind,
                index,
                expr: text(target, "expr"),
            })
        };
        self.panels().into_iter().flat_map(of).collect()
    }

    /// An expression with every variable filled in: those that are named so, the others with all.
    fn expand(&self, expr: &str, chosen: &BTreeMap<&str, &str>) -> String {
        let mut expr = expr.replace("$__rate_interval", "30s");
        let mut variables = self.variables();
        // A name may begin with another one.
        variables.sort_by_key(|it| std::cmp::Reverse(text(it, "name").len()));
        for variable in variables {
            let value = chosen.get(text(variable, "name")).copied().unwrap_or_else(|| text(variable, "allValue"));
            expr = expr.replace(&format!("${}", text(variable, "name")), value);
        }
        assert!(!expr.contains('$'), "{} has no such variable: {expr}", self.uid());
        expr
    }
}

/// The metrics of an expression, each with what stands between its braces.
fn selectors(expr: &str) -> Vec<(&str, &str)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let mut found = Vec::new();
    let mut rest = expr;
    let mut quoted = false;
    while let Some(c) = rest.chars().next() {
        if c == '"' {
            quoted = !quoted;
        }
        let length = if quoted { 0 } else { rest.find(|c| !is_name(c)).unwrap_or(rest.len()) };
        let name = &rest[..length];
        rest = &rest[length.max(c.len_utf8())..];
        if ["eks_nlb_", "process_", "ALERTS"].iter().any(|prefix| name.starts_with(prefix)) || name.contains(':') {
            found.push((name, rest.strip_prefix('{').map_or("", |after| after.split('}').next().unwrap())));
        }
    }
    found
}

#[test]
fn metrics_of_an_expression_are_found_and_what_is_quoted_is_none() {
    let expr = r#"sum by (job) (rate(eks_nlb_a_total{x="eks_nlb_b",y=~"$y"}[5m])) / on () process_c or ALERTS{z!=""}"#;
    assert_eq!(selectors(expr), [("eks_nlb_a_total", r#"x="eks_nlb_b",y=~"$y""#), ("process_c", ""), ("ALERTS", r#"z!="""#)]);
}
