//! Is this exposition text well formed? What Prometheus drops silently and promtool does not notice.

use std::collections::{BTreeMap, BTreeSet};

/// Series that occur more than once, each named once.
pub(crate) fn duplicate_series(text: &str) -> Vec<String> {
    let mut seen = BTreeMap::<String, usize>::new();
    for (series, _) in samples(text) {
        *seen.entry(series).or_default() += 1;
    }
    seen.into_iter().filter(|(_, count)| *count > 1).map(|(series, _)| series).collect()
}

/// Every series in one spelling: labels sorted, and bounds of buckets as numbers, which the two formats write differently.
pub(crate) fn series(text: &str) -> BTreeSet<String> {
    samples(text).into_iter().map(|(series, _)| series).collect()
}

/// The value of the series with this name and labels, labels in any order.
pub(crate) fn value(text: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let wanted = spell(name, labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect());
    samples(text).into_iter().find(|(series, _)| *series == wanted).map(|(_, value)| value.parse().expect("a number"))
}

/// Everything that is wrong with the form of a text: families in two pieces, samples without a family, stray lines.
pub(crate) fn problems(text: &str, open_metrics: bool) -> Vec<String> {
    let mut problems: Vec<_> = duplicate_series(text).into_iter().map(|series| format!("twice: {series}")).collect();
    let mut families = BTreeSet::new();
    let mut current: Option<(String, String)> = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, ""));
            if !families.insert(name.to_owned()) {
                problems.push(format!("in two pieces: {name}"));
            }
            current = Some((name.to_owned(), kind.to_owned()));
        } else if line.starts_with('#') || line.is_empty() {
            let known = ["# HELP ", "# UNIT "].iter().any(|start| line.starts_with(start)) || line == "# EOF";
            if !known {
                problems.push(format!("stray line: {line:?}"));
            }
        } else {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            let belongs = current.as_ref().is_some_and(|(family, kind)| {
                let suffixes: &[&str] = match (kind.as_str(), open_metrics) {
                    ("counter", true) => &["_total"],
                    ("info", true) => &["_info"],
                    ("histogram", _) => &["_bucket", "_sum", "_count"],
                    _ => &[""],
                };
                name.strip_prefix(family.as_str()).is_some_and(|rest| suffixes.contains(&rest))
            });
            if !belongs {
                problems.push(format!("not of the family before it: {line}"));
            }
        }
    }
    if text.contains('\r') || !text.ends_with('\n') {
        problems.push("lines end in a line feed, all of them".to_owned());
    }
    if text.matches("# EOF").count() != usize::from(open_metrics) || (open_metrics && !text.ends_with("\n# EOF\n")) {
        problems.push("the end mark is OpenMetrics' last line and nothing else's".to_owned());
    }
    problems
}

/// Series and value of every sample.
fn samples(text: &str) -> Vec<(String, String)> {
    text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(sample).collect()
}

fn sample(line: &str) -> (String, String) {
    let name_end = line.find(['{', ' ']).unwrap_or(line.len());
    let (name, rest) = line.split_at(name_end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest, line),
        None => (Vec::new(), rest),
    };
    (spell(name, labels), rest.trim().to_owned())
}

/// Labels up to the closing bracket, and what stands after it. Values keep their escapes.
fn labels<'a>(mut rest: &'a str, line: &str) -> (Vec<(String, String)>, &'a str) {
    let mut labels = Vec::new();
    while !rest.starts_with('}') {
        let (key, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("no label in {line:?}"));
        let mut escaped = false;
        let end = after.find(|c| {
            let end = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            end
        });
        let end = end.unwrap_or_else(|| panic!("a label without an end in {line:?}"));
        labels.push((key.trim_start_matches(',').to_owned(), after[..end].to_owned()));
        rest = &after[end + 1..];
    }
    (labels, &rest[1..])
}

fn spell(name: &str, mut labels: Vec<(String, String)>) -> String {
    for (key, value) in &mut labels {
        if let (true, Ok(bound)) = (key == "le", value.parse::<f64>()) {
            *value = bound.to_string();
        }
    }
    labels.sort();
    let labels: Vec<_> = labels.into_iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
    format!("{name}{{{}}}", labels.join(","))
}

#[test]
fn a_series_written_twice_is_found_whatever_the_order_of_its_labels() {
    let text = "a{x=\"1\",y=\"a}, b=\\\"\"} 1\na{y=\"a}, b=\\\"\",x=\"1\"} 2\na{x=\"2\"} 1\nb 1\n";
    assert_eq!(duplicate_series(text), ["a{x=\"1\",y=\"a}, b=\\\"\"}"]);
    assert_eq!(duplicate_series("a{x=\"1\"} 1\na{x=\"2\"} 1\na 1\n"), Vec::<String>::new());
    assert_eq!(series("a_bucket{le=\"1\"} 1\n"), series("a_bucket{le=\"1.0\"} 2\n"));
    assert_eq!(value(text, "a", &[("x", "2")]), Some(1.0));
}

#[test]
fn what_promtool_overlooks_is_a_problem() {
    let good = "# HELP a A.\n# TYPE a gauge\na 1\n";
    assert_eq!(problems(good, false), Vec::<String>::new());
    for bad in [
        "# TYPE a gauge\na 1\na 2\n",
        "# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\n# TYPE a gauge\na{x=\"1\"} 1\n",
        "a 1\n",
        "# TYPE a gauge\na 1",
    ] {
        assert!(!problems(bad, false).is_empty(), "{bad:?}");
    }
    assert!(!problems(good, true).is_empty());
    assert_eq!(problems("# TYPE a counter\na_total 1\n# EOF\n", true), Vec::<String>::new());
}
