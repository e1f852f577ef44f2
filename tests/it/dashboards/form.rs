//! Does every dashboard have the form that people and Grafana expect? The rules that the community's dashboard linter knows,
//! by its names and with exceptions where it looks for them (`dashboards/.lint`), and some of ours.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Dashboard, dashboards, list, root, selectors, text};

/// What is wrong, and where.
#[derive(Debug, PartialEq)]
struct Problem {
    rule: &'static str,
    dashboard: String,
    panel: String,
    index: usize,
    what: String,
}

/// `dashboards/.lint`.
#[derive(Deserialize)]
struct Exceptions {
    exclusions: BTreeMap<String, Exception>,
}

#[derive(Deserialize)]
struct Exception {
    reason: String,
    #[serde(default)]
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    reason: String,
    dashboard: String,
    #[serde(default)]
    panel: Option<String>,
}

const SOURCE: &str = "${datasource}";

/// Units in use; a new one is looked up in Grafana's list before it is added.
const UNITS: &[&str] = &["none", "s", "percentunit", "bytes", "reqps", "ops", "dateTimeFromNow"];

struct Form<'a> {
    dashboard: &'a Dashboard,
    found: Vec<Problem>,
}

impl Form<'_> {
    fn expect(&mut self, good: bool, rule: &'static str, (panel, index): (&str, usize), what: impl Into<String>) {
        if !good {
            let (dashboard, panel) = (self.dashboard.uid().to_owned(), panel.to_owned());
            self.found.push(Problem { rule, dashboard, panel, index, what: what.into() });
        }
    }

    fn whole(&mut self) {
        let (json, uid) = (&self.dashboard.json, self.dashboard.uid());
        let here = ("", 0);
        self.expect(json["editable"] == false, "uneditable-dashboard", here, "editable");
        self.expect(uid.starts_with("eks-nlb-") && uid.len() <= 40, "uid", here, uid);
        self.expect(json.get("id").is_none() && json.get("__inputs").is_none(), "uid", here, "left from an export");
        let file = self.dashboard.path.file_stem().unwrap().to_str().unwrap();
        self.expect(uid == format!("eks-nlb-{file}"), "uid", here, format!("the file is named {file}"));
        self.expect(
            !text(json, "title").is_empty() && !text(json, "description").is_empty(),
            "panel-title-description",
            here,
            "",
        );
        self.expect(["", "utc", "browser"].contains(&text(json, "timezone")), "timezone", here, text(json, "timezone"));
        let links = list(json, "links").iter().any(|link| {
            let same_tag = list(json, "tags").iter().any(|tag| list(link, "tags").contains(tag));
            link["type"] == "dashboards" && same_tag && link["keepTime"] == true && link["includeVars"] == true
        });
        self.expect(links, "links", here, "no links to its siblings that keep time and variables");
        self.expect(text(&list(json, "panels")[0], "type") == "row", "rows", here, "does not begin with a question");
        for row in list(json, "panels").iter().filter(|it| text(it, "type") == "row") {
            self.expect(!text(row, "title").is_empty(), "rows", here, "a row without a title");
        }
    }

    fn variables(&mut self) {
        let all = list(&self.dashboard.json["templating"], "list");
        let here = ("", 0);
        let sources: Vec<_> = all.iter().filter(|it| text(it, "type") == "datasource").collect();
        let only = sources.len() == 1
            && text(sources[0], "name") == "datasource"
            && text(sources[0], "query") == "prometheus"
            && text(sources[0], "label") == "Data source";
        self.expect(only, "template-datasource", here, "not exactly one variable named datasource");
        for (name, rule) in [("job", "template-job"), ("instance", "template-instance")] {
            let good = all.iter().any(|it| text(it, "name") == name && text(it, "allValue") == ".+");
            self.expect(good, rule, here, "no such variable with all = .+");
        }
        let mut before = BTreeSet::from(["datasource"]);
        for variable in self.dashboard.variables() {
            let name = text(variable, "name");
            let query = text(&variable["query"], "query");
            let inner =
                query.strip_prefix("label_values(").and_then(|it| it.strip_suffix(')')).and_then(|it| it.rsplit_once(", "));
            let good = inner.is_some_and(|(selector, label)| selectors(selector).len() == 1 && label == name);
            self.expect(good, "template-label-promql", here, query);
            self.expect(variable["refresh"] == 2, "template-on-time-change-reload", here, name);
            self.expect(variable["datasource"]["uid"] == SOURCE, "template-datasource", here, name);
            self.expect(variable["multi"] == true && variable["includeAll"] == true, "template-multi", here, name);
            self.expect([".+", ".*"].contains(&text(variable, "allValue")), "template-multi", here, name);
            self.expect(!text(variable, "label").is_empty(), "panel-title-description", here, name);
            for used in query.match_indices("=~\"$").map(|(at, sign)| query[at + sign.len()..].split('"').next().unwrap()) {
                self.expect(before.contains(used), "template-chain", here, format!("{name} before {used}"));
            }
            before.insert(name);
        }
    }

    fn panels(&mut self) {
        let mut titles = BTreeSet::new();
        for panel in self.dashboard.panels() {
            let title = text(panel, "title");
            let here = (title, 0);
            self.expect(panel["datasource"]["uid"] == SOURCE, "panel-datasource", here, "");
            let description = text(panel, "description");
            self.expect(!title.is_empty() && description.len() > 30, "panel-title-description", here, description);
            self.expect(titles.insert(title), "panel-title-description", here, "the title comes twice");
            self.expect(!list(panel, "targets").is_empty(), "panel-no-targets", here, "");
            let defaults = &panel["fieldConfig"]["defaults"];
            let named = list(&panel["fieldConfig"], "overrides").iter().flat_map(|it| list(it, "properties"));
            let units = named.filter(|it| it["id"] == "unit").map(|it| text(it, "value"));
            for unit in units.chain([text(defaults, "unit")]) {
                self.expect(UNITS.contains(&unit), "panel-units", here, unit);
            }
            self.expect(!text(defaults, "noValue").is_empty(), "no-value", here, "says nothing when it is empty");
            let judged = ["stat", "gauge", "bargauge", "state-timeline"].contains(&text(panel, "type"));
            self.expect(!judged || !list(&defaults["thresholds"], "steps").is_empty(), "thresholds", here, "");
            for (index, target) in list(panel, "targets").iter().enumerate() {
                self.expect(target["datasource"]["uid"] == SOURCE, "panel-datasource", (title, index), "");
                self.expect(!text(target, "legendFormat").is_empty(), "legend", (title, index), "");
                self.query(panel, (title, index), text(target, "expr"));
            }
        }
    }

    fn query(&mut self, panel: &Value, here: (&str, usize), expr: &str) {
        let found = selectors(expr);
        self.expect(!found.is_empty(), "target-promql", here, expr);
        self.expect(expr.matches('{').count() == found.iter().filter(|it| !it.1.is_empty()).count(), "target-promql", here, expr);
        for (metric, matchers) in found {
            self.expect(matchers.contains(r#"cluster=~"$cluster""#), "target-cluster", here, metric);
            self.expect(matchers.contains(r#"job=~"$job""#), "target-job", here, metric);
            self.expect(matchers.contains(r#"instance=~"$instance""#), "target-instance", here, metric);
            if metric.ends_with("_total") || metric.ends_with("_bucket") {
                let rated = [format!("rate({metric}{{"), format!("increase({metric}{{")].iter().any(|it| expr.contains(it));
                self.expect(rated, "target-counter-agg", here, metric);
            }
        }
        for function in ["rate(", "increase("] {
            for (at, _) in expr.match_indices(function) {
                let range = expr[at..].split('[').nth(1).and_then(|it| it.split(']').next());
                self.expect(range == Some("$__rate_interval"), "target-rate-interval", here, expr);
            }
        }
        let is_table = text(panel, "type") == "table";
        // Two replicas say the same thing twice, and dozens of clusters say it together.
        self.expect([" by (", "sum(", "max(", "min(", "ALERTS"].iter().any(|it| expr.contains(it)), "aggregated", here, expr);
        let target = &list(panel, "targets")[here.1];
        self.expect(!is_table || (target["format"] == "table" && target["instant"] == true), "table-format", here, "");
    }
}

fn problems(dashboard: &Dashboard) -> Vec<Problem> {
    let mut form = Form { dashboard, found: Vec::new() };
    form.whole();
    form.variables();
    form.panels();
    form.found
}

fn exceptions() -> Exceptions {
    serde_saphyr::from_str(&fs::read_to_string(root().join("dashboards/.lint")).unwrap()).unwrap()
}

#[test]
fn every_dashboard_has_the_form_but_for_the_exceptions_and_none_of_them_is_idle() {
    let found: Vec<_> = dashboards().iter().flat_map(problems).collect();
    let exceptions = exceptions();
    let covers = |rule: &str, entry: &Entry, problem: &Problem| {
        format!("{}-rule", problem.rule) == rule
            && entry.dashboard == problem.dashboard
            && entry.panel.as_ref().is_none_or(|panel| *panel == problem.panel)
    };
    for (rule, exception) in &exceptions.exclusions {
        assert!(exception.reason.len() > 20 && !exception.entries.is_empty(), "{rule} is excluded without a reason or a place");
        for entry in &exception.entries {
            assert!(entry.reason.len() > 20, "{rule} is excluded in {} without a reason", entry.dashboard);
            assert!(found.iter().any(|problem| covers(rule, entry, problem)), "{rule}: nothing to except in {}", entry.dashboard);
        }
    }
    let excepted = |problem: &&Problem| {
        exceptions.exclusions.iter().any(|(rule, exception)| exception.entries.iter().any(|entry| covers(rule, entry, problem)))
    };
    let left: Vec<_> = found.iter().filter(|problem| !excepted(problem)).collect();
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
fn panels_lie_side_by_side_and_have_numbers_of_their_own() {
    for dashboard in dashboards() {
        let mut taken = BTreeSet::new();
        let mut numbers = BTreeSet::new();
        for panel in list(&dashboard.json, "panels") {
            assert!(numbers.insert(panel["id"].as_u64().unwrap()), "{}: a number comes twice", dashboard.uid());
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{}: {} is off the page", dashboard.uid(), panel["title"]);
            for y in at("y")..at("y") + at("h") {
                for x in at("x")..at("x") + at("w") {
                    assert!(taken.insert((x, y)), "{}: {} lies on another panel", dashboard.uid(), panel["title"]);
                }
            }
        }
    }
}

#[test]
fn each_breach_of_the_form_is_seen() {
    type Breach = (&'static str, fn(&mut Value));
    let breaches: &[Breach] = &[
        ("uneditable-dashboard", |it| it["editable"] = json!(true)),
        ("uid", |it| it["uid"] = json!("another")),
        ("uid", |it| it["__inputs"] = json!([])),
        ("links", |it| it["links"][0]["keepTime"] = json!(false)),
        ("template-datasource", |it| it["templating"]["list"][0]["label"] = json!("Source")),
        ("template-job", |it| it["templating"]["list"][2]["name"] = json!("jobs")),
        ("template-label-promql", |it| it["templating"]["list"][2]["query"]["query"] = json!("jobs()")),
        ("template-on-time-change-reload", |it| it["templating"]["list"][2]["refresh"] = json!(1)),
        ("panel-datasource", |it| it["panels"][1]["datasource"]["uid"] = json!("abc")),
        ("panel-title-description", |it| it["panels"][1]["description"] = json!("")),
        ("panel-no-targets", |it| it["panels"][1]["targets"] = json!([])),
        ("panel-units", |it| it["panels"][1]["fieldConfig"]["defaults"]["unit"] = json!("")),
        ("no-value", |it| it["panels"][1]["fieldConfig"]["defaults"]["noValue"] = json!("")),
        ("target-job", |it| it["panels"][1]["targets"][0]["expr"] = json!("sum(eks_nlb_findings)")),
        ("target-promql", |it| it["panels"][1]["targets"][0]["expr"] = json!("sum(findings{x=\"\"})")),
        ("target-counter-agg", |it| it["panels"][1]["targets"][0]["expr"] = json!("sum(eks_nlb_pictures_total)")),
        ("target-rate-interval", |it| it["panels"][1]["targets"][0]["expr"] = json!("rate(eks_nlb_pictures_total{}[5m])")),
        ("aggregated", |it| it["panels"][1]["targets"][0]["expr"] = json!("eks_nlb_findings{}")),
    ];
    let mut all = dashboards();
    let good = all.iter_mut().find(|it| it.uid() == "eks-nlb-overview").unwrap();
    let before = problems(good);
    let json = good.json.clone();
    for (rule, breach) in breaches {
        good.json = json.clone();
        breach(&mut good.json);
        let seen = problems(good).into_iter().any(|problem| problem.rule == *rule && !before.contains(&problem));
        assert!(seen, "{rule} sees nothing");
    }
}
