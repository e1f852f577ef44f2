//! Are the answers a real Prometheus' (promtool's)? The same expressions over the same series, by both.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use super::evaluate::Labels;
use super::{Element, Selector, Series, evaluate, parse};

const NOW: f64 = 1000.0;

/// Name, labels, value.
type Line = (&'static str, &'static [(&'static str, &'static str)], f64);

const WORLD: &[Line] = &[
    ("used", &[("quota", "a"), ("cluster", "x")], 8.0),
    ("used", &[("quota", "b"), ("cluster", "x")], 3.0),
    ("limit", &[("quota", "a")], 10.0),
    ("limit", &[("quota", "b")], 10.0),
    ("limit", &[("quota", "c")], 0.0),
    ("info", &[("cluster", "x"), ("region", "eu")], 1.0),
    ("seen", &[], 940.0),
    ("odd", &[("k", "a")], f64::NAN),
    ("odd", &[("k", "b")], 2.0),
    ("zero", &[("k", "a")], 0.0),
    ("zero", &[("k", "b")], 0.0),
    ("endless", &[("k", "a")], f64::INFINITY),
    ("negative", &[("k", "a")], -7.5),
    ("negative", &[("k", "b")], 2.5),
    ("twice", &[("k", "a"), ("m", "1")], 1.0),
    ("twice", &[("k", "a"), ("m", "2")], 2.0),
    ("twice", &[("k", "b"), ("m", "1")], 3.0),
    ("one", &[("k", "a"), ("of", "q")], 5.0),
    ("one", &[("k", "b")], 6.0),
    ("regex", &[("path", "net/a.b/1")], 1.0),
];

struct World;

impl Series for World {
    fn select(&self, selector: &Selector) -> Option<Vec<Element>> {
        let labels =
            |pairs: &[(&str, &str)]| -> Labels { pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect() };
        let of_name = WORLD.iter().filter(|(name, ..)| *name == &*selector.name);
        let all = of_name.map(|(_, pairs, value)| Element { labels: labels(pairs), value: *value });
        Some(all.filter(|it| selector.matches(|label| it.labels.get(label).map_or("", |value| &**value))).collect())
    }

    fn time(&self) -> f64 {
        NOW
    }
}

/// Expressions with a value, or none.
const WITH_A_VALUE: &[&str] = &[
    // Arithmetic, division by zero and what is no number.
    "1 + 2 * 3 - 4 / 8 % 3",
    "-2 * 3",
    "-used",
    "-used + 1",
    "- used * 2 > -10",
    "2 - -used",
    "-7.5 % 2",
    "negative % 2",
    "used / 0",
    "-used / 0",
    "count(zero / 0 == zero / 0)",
    "count(zero / 0 != zero / 0)",
    "(limit / limit) > bool 0.5",
    "used / on (quota) limit",
    "used / on (quota) group_left limit{quota=\"c\"}",
    "count(odd)",
    "sum(odd{k=\"b\"})",
    "odd > 1",
    "odd < 1",
    "odd != 2",
    "odd == bool 2",
    "odd != bool 2",
    "max(odd)",
    "min(odd)",
    "max by (k) (odd) > 0",
    "clamp_min(odd, 5) > 0",
    "clamp_max(odd, 1) > 0",
    "count(clamp_min(odd, 5) >= 5)",
    "count(clamp_max(odd, 1) <= 1)",
    "endless > 1",
    "endless * 0 > bool 0",
    "1e3 - .5",
    // Comparison chains.
    "used > 1 < 5",
    "limit - on (quota) used >= 0 < 5",
    "limit - on (quota) used >= 2 <= 2",
    "used > bool 5 == 1",
    "1 < bool 2",
    "10 < limit * 2",
    "10 == limit",
    "used < on (quota) limit",
    "limit > on (quota) group_right used",
    "used > on (quota) group_left limit",
    "used == bool on (quota) group_left limit",
    "0.1 * limit >= on (quota) used - 2",
    // Set operators, with and without labels to match on.
    "used and on (quota) limit{quota=\"b\"}",
    "used and on () seen",
    "used and on () absent(seen)",
    "used unless on () seen",
    "used unless on () missing",
    "used unless seen",
    "used and ignoring (quota, cluster) seen",
    "used unless on (quota) limit{quota=~\"b|c\"}",
    "twice and on (k) one",
    "twice unless on (k) one{k=\"a\"}",
    "used or limit",
    "limit or on (quota) used",
    "used or on () limit",
    "missing or on () limit",
    "one or on (k) twice",
    "twice{m=\"1\"} or on (k) twice",
    "used > 5 and limit or seen unless on () missing",
    "used unless missing and used",
    "used > 100 or limit > 5 and on (quota) used < 5",
    "max by (cluster) (used > 100) or max by (cluster) (used)",
    // Vector matching.
    "used * on (cluster) group_left (region) info",
    "used * on (cluster) group_left (region, missing) info",
    "one * on (k) group_right (of) twice",
    "twice * on (k) group_left (of) one",
    "twice{k=\"b\"} * on (k) group_left (m) one",
    "limit - on (quota) group_right () used",
    "used - ignoring (cluster) limit",
    "missing * on (k) twice",
    "twice{k=\"c\"} * on (k) twice",
    "one * on () missing",
    "one{of=\"\"}",
    "one{of!=\"\"}",
    "one{missing=\"\"}",
    // Aggregations.
    "sum(used)",
    "sum by (quota) (used)",
    "sum(used) by (cluster)",
    "sum without (quota) (used)",
    "avg(used)",
    "group(used)",
    "count by (of) (one)",
    "count by (missing) (twice)",
    "max without (m) (twice)",
    "min by (k, missing) (twice) + 1",
    "sum(missing)",
    "count(max by (k) (twice)) - 1",
    // Functions.
    "time() - seen > 30",
    "vector(2) + scalar(seen)",
    "scalar(sum(used)) * limit",
    "absent(missing)",
    "absent(missing{a=\"b\", c=~\"d\", e!=\"f\"})",
    "absent(used)",
    "absent(missing{quota=~\"a|b\"})",
    "absent(sum(missing))",
    "absent(sum(missing{a=\"b\"}))",
    "used or on () absent(used)",
    "round(negative)",
    "ceil(negative)",
    "floor(negative)",
    "abs(negative)",
    "clamp_max(clamp_min(used, 4), 7)",
    // Selectors and label_replace.
    "used{quota!~\"a.*\"}",
    "used{quota=~\"\"}",
    "used{missing!~\".+\"}",
    "regex{path=~\"net/a.b/.*\"}",
    "regex{path=~\"a.b\"}",
    "label_replace(regex, \"name\", \"$1-${2}x\", \"path\", \"net/([^/]+)/(.*)\")",
    "label_replace(regex, \"name\", \"$1x\", \"path\", \"net/([^/]+)/(.*)\")",
    "label_replace(regex, \"path\", \"\", \"path\", \".+\")",
    "label_replace(one, \"k\", \"\", \"of\", \".+\")",
    "label_replace(one, \"k\", \"z\", \"of\", \"\")",
    "label_replace(seen, \"source\", \"s\", \"\", \"\")",
    "max by (k) (label_replace(label_replace(twice, \"n\", \"$1\", \"m\", \"(.*)\"), \"m\", \"\", \"k\", \".+\"))",
];

/// Expressions that are an error.
const AN_ERROR: &[&str] = &[
    "limit - on () used",
    "used - on (cluster) limit",
    "twice - on (k) one",
    "one - on (k) twice",
    "one - on (k) group_left () twice",
    "twice * on (k) group_left () twice",
    "twice * on (k) group_left (m) one",
    "label_replace(twice, \"m\", \"\", \"k\", \".+\")",
    "label_replace(used, \"quota\", \"z\", \"quota\", \".*\")",
    "1 > 2",
    "1 and 2",
    "used and 1",
    "max(1)",
    "absent(1)",
    "scalar(1)",
    "vector(used)",
    "clamp_min(used, used)",
];

fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        (if value > 0.0 { ".inf" } else { "-.inf" }).to_owned()
    } else {
        format!("{value:?}")
    }
}

fn series(name: &str, labels: &[(&str, &str)]) -> String {
    let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    format!("{name}{{{}}}", labels.join(","))
}

fn world() -> String {
    let mut text = "evaluation_interval: 10s\ntests:\n- interval: 10s\n  input_series:\n".to_owned();
    for (name, labels, value) in WORLD {
        let value = number(*value).replace(".inf", "Inf");
        let values = vec![value; 102].join(" ");
        writeln!(text, "  - {{series: '{}', values: '{values}'}}", series(name, labels)).unwrap();
    }
    text.push_str("  promql_expr_test:\n");
    text
}

/// What promtool complains of.
fn promtool(tests: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tests.yaml");
    fs::write(&file, tests).unwrap();
    let output = Command::new("promtool").args(["test", "rules"]).arg(&file).output();
    let output = output.unwrap_or_else(|error| panic!("promtool does not start: {error}; `make peers` installs it"));
    let words = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(words) }
}

#[test]
fn expressions_have_the_values_that_prometheus_gives_them() {
    assert!(WITH_A_VALUE.len() >= 100);
    let mut tests = world();
    for text in WITH_A_VALUE {
        let ours = evaluate(&parse(text).unwrap_or_else(|error| panic!("{text}: {error}")), &World);
        let ours = ours.unwrap_or_else(|error| panic!("{text}: {error}"));
        // A sum takes away a metric's name, which is never kept here.
        let numbers = format!("(({text}) + 0)");
        let not_numbers = format!("{numbers} != bool {numbers}");
        // promtool cannot compare what is no number: then it is only asked which ones are none.
        let has_none = ours.iter().any(|element| element.value.is_nan());
        let asked = if has_none { not_numbers } else { numbers };
        writeln!(tests, "  - expr: '{asked}'\n    eval_time: {NOW}s\n    exp_samples:").unwrap();
        for Element { labels, value } in ours {
            let value = if has_none { f64::from(u8::from(value.is_nan())) } else { value };
            let labels: Vec<_> = labels.iter().map(|(name, value)| (&**name, &**value)).collect();
            writeln!(tests, "    - {{labels: '{}', value: {}}}", series("", &labels), number(value)).unwrap();
        }
    }
    promtool(&tests).unwrap_or_else(|words| panic!("{words}"));
}

#[test]
fn what_prometheus_refuses_is_refused_here() {
    for text in AN_ERROR {
        assert!(parse(text).map_or(true, |expression| evaluate(&expression, &World).is_err()), "{text} has a value here");
        let tests = format!("{}  - expr: '{text}'\n    eval_time: {NOW}s\n    exp_samples: []\n", world());
        let words = promtool(&tests).expect_err(text);
        assert!(words.contains("err") && !words.contains("got:"), "{text}: {words}");
    }
}
