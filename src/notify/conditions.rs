//! Which conditions hold in a picture? The rules' own expressions, judged by it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;

use super::Evaluated;
use super::lifecycle::{Instance, Judgement, Labels, Waits};
use super::promql::{Element, Expression, ParseError, Selector, Series, evaluate, parse};
use super::template::Template;
use crate::checks::model::{Outcome, PREFIX, Sample};
use crate::checks::{CHECKS, freshness};
use crate::rules::{Rule, Rules, exporter};

/// Why a rule is not judged here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// It looks at a range of time: Prometheus' business.
    NeedsHistory,
    /// It looks at a metric that no picture has.
    NeedsMetric(Arc<str>),
}

/// The shipped rules are wrong: a defect of this program.
#[derive(Debug, thiserror::Error)]
#[error("the rule {rule} cannot be judged: {why}")]
pub struct RuleError {
    rule: &'static str,
    why: String,
}

#[derive(Debug)]
struct Condition {
    /// Name and severity: a warning and a critical alert may share the name.
    id: String,
    name: &'static str,
    severity: &'static str,
    waits: Waits,
    expression: Expression,
    labels: Labels,
    annotations: Vec<(&'static str, Template)>,
    /// Names of the checks that write what it looks at.
    checks: BTreeSet<&'static str>,
    /// It was said that it cannot be judged.
    complained: AtomicBool,
}

/// The rules that one picture can decide.
#[derive(Debug)]
pub(super) struct Conditions {
    recordings: Vec<(Arc<str>, Expression)>,
    conditions: Vec<Condition>,
    external: BTreeMap<String, String>,
    pub(super) left: Vec<(&'static str, Left)>,
}

/// Families that are written with each picture by no check.
const OF_THE_PICTURE: &[&str] = &["picture_timestamp_seconds", "check_success"];

impl Conditions {
    /// Takes up the rules. External labels are put on every alert, where it has none of that name.
    pub(super) fn new(rules: &Rules, external: &BTreeMap<String, String>) -> Result<Self, RuleError> {
        let mut this = Self { recordings: Vec::new(), conditions: Vec::new(), external: external.clone(), left: Vec::new() };
        let mut recorded: BTreeMap<Arc<str>, Usable> = BTreeMap::new();
        for (name, text) in rules.records() {
            let usable = usable(name, text, &recorded)?;
            if let Ok((expression, _)) = &usable {
                this.recordings.push(((*name).into(), expression.clone()));
            }
            recorded.insert((*name).into(), usable);
        }
        for group in &rules.groups {
            for rule in &group.alerts {
                match usable(rule.name, &rule.expr, &recorded)? {
                    Ok((expression, mut checks)) => {
                        if group.name == exporter::GROUP.name {
                            // That nothing is seen is what these tell: they need no more than how the sources are doing.
                            checks.retain(|check| *check == freshness::CHECK.name);
                        }
                        this.conditions.push(Condition::new(rule, expression, checks, external)?);
                    }
                    Err(left) => this.left.push((rule.name, left)),
                }
            }
        }
        Ok(this)
    }

    /// The rule that fires alerts with these labels, if it is judged here and they are this daemon's: those of another cluster
    /// that share an Alertmanager have other external labels, and must not be ended from here.
    pub(super) fn rule_of(&self, labels: &Labels) -> Option<&str> {
        let is_said = |(name, value): (&String, &String)| {
            // A label of the series wins over an external one.
            labels.get(&**name).map_or("", |it| &**it) == value
                || crate::checks::families().any(|it| it.labels.contains(&&**name))
        };
        if !self.external.iter().all(is_said) {
            return None;
        }
        let id = id(labels);
        self.conditions.iter().map(|condition| &*condition.id).find(|known| **known == *id)
    }

    /// Judges every rule; each by its identity. Ages are those at `now`: a picture that no newer one follows grows old.
    pub(super) fn judge(&self, outcome: &Outcome, now: Timestamp) -> Vec<(&str, Waits, Judgement)> {
        let picture = self.picture(outcome, now);
        self.conditions.iter().map(|condition| (&*condition.id, condition.waits, condition.judge(&picture))).collect()
    }

    /// What every condition says of a picture when it was made, before it is an alert.
    pub(super) fn evaluate(&self, outcome: &Outcome) -> Vec<Evaluated> {
        let picture = self.picture(outcome, outcome.evaluated_at);
        let evaluated = |condition: &Condition| Evaluated {
            name: condition.name,
            severity: condition.severity,
            vector: condition
                .elements(&picture)
                .filter(|_| condition.sees_all(&picture))
                .map(|all| all.into_iter().map(|it| (it.labels, it.value)).collect()),
        };
        self.conditions.iter().map(evaluated).collect()
    }

    /// The picture with what the recording rules make of it.
    fn picture<'a>(&self, outcome: &'a Outcome, now: Timestamp) -> Picture<'a> {
        let mut picture = Picture { outcome, now, recorded: BTreeMap::new() };
        for (name, expression) in &self.recordings {
            // One that fails leaves its users without a metric, which they report.
            if let Ok(elements) = evaluate(expression, &picture) {
                picture.recorded.insert(Arc::clone(name), elements);
            }
        }
        picture
    }
}

fn id(labels: &Labels) -> String {
    let of = |name: &str| labels.get(name).map_or("", |value| &**value);
    format!("{} {}", of("alertname"), of("severity"))
}

/// The expression and the checks it depends on, or why it has to be left to Prometheus.
type Usable = Result<(Expression, BTreeSet<&'static str>), Left>;

fn usable(rule: &'static str, text: &str, recorded: &BTreeMap<Arc<str>, Usable>) -> Result<Usable, RuleError> {
    let expression = match parse(text) {
        Ok(expression) => expression,
        Err(ParseError::NeedsHistory(_)) => return Ok(Err(Left::NeedsHistory)),
        Err(error) => return Err(RuleError { rule, why: error.to_string() }),
    };
    let mut checks = BTreeSet::new();
    for metric in expression.metrics() {
        match (recorded.get(metric), writers(metric)) {
            (Some(Ok((_, of_recording))), _) => checks.extend(of_recording),
            (Some(Err(left)), _) => return Ok(Err(left.clone())),
            (None, Some(writers)) => checks.extend(writers),
            (None, None) => return Ok(Err(Left::NeedsMetric(Arc::clone(metric)))),
        }
    }
    Ok(Ok((expression, checks)))
}

/// The checks that write a metric: one, or all for the counts of findings; `None` for what no picture has.
fn writers(metric: &str) -> Option<Vec<&'static str>> {
    let family = metric.strip_prefix(PREFIX)?;
    if OF_THE_PICTURE.contains(&family) {
        return Some(Vec::new());
    }
    if let Some(check) = CHECKS.iter().find(|check| check.families.iter().any(|known| known.name == family)) {
        return Some(vec![check.name]);
    }
    // Counts of a check that cannot see are left out by themselves, code by code.
    crate::checks::families().any(|known| known.name == family).then(Vec::new)
}

impl Condition {
    fn new(
        rule: &Rule,
        expression: Expression,
        checks: BTreeSet<&'static str>,
        external: &BTreeMap<String, String>,
    ) -> Result<Self, RuleError> {
        let mut labels: Labels = external.iter().map(|(name, value)| (Arc::from(&**name), Arc::from(&**value))).collect();
        labels.insert("alertname".into(), rule.name.into());
        labels.insert("severity".into(), rule.severity.as_str().into());
        let annotations = rule.annotations.iter().map(|(name, text)| Template::parse(text).map(|template| (*name, template)));
        Ok(Self {
            id: id(&labels),
            name: rule.name,
            severity: rule.severity.as_str(),
            waits: Waits { hold: rule.hold, keep_firing: rule.keep_firing },
            expression,
            labels,
            annotations: annotations
                .collect::<Result<_, _>>()
                .map_err(|error| RuleError { rule: rule.name, why: error.to_string() })?,
            checks,
            complained: AtomicBool::new(false),
        })
    }

    fn judge(&self, picture: &Picture<'_>) -> Judgement {
        let Some(elements) = self.elements(picture) else { return Judgement::Unknown };
        let instances = elements.into_iter().map(|element| self.instance(element)).collect();
        // One source that was never allowed blinds its whole check; what holds by the others' must be told, as by Prometheus.
        if self.sees_all(picture) { Judgement::Holds(instances) } else { Judgement::Partly(instances) }
    }

    fn sees_all(&self, picture: &Picture<'_>) -> bool {
        let sees = |name: &str| picture.outcome.runs.iter().any(|run| run.check == name && run.success && !run.blind);
        self.checks.iter().all(|name| sees(name))
    }

    fn elements(&self, picture: &Picture<'_>) -> Option<Vec<Element>> {
        match evaluate(&self.expression, picture) {
            Ok(elements) => Some(elements),
            Err(error) => {
                // Once a rule, not with every picture.
                if !self.complained.swap(true, Ordering::Relaxed) {
                    tracing::error!(alert = self.name, %error, "a rule cannot be judged; its alerts stay as they are");
                }
                None
            }
        }
    }

    fn instance(&self, Element { labels: of_element, value }: Element) -> Instance {
        let mut labels = self.labels.clone();
        // A rule's own labels win over those of its series, which win over external ones.
        for (name, value) in of_element {
            if !self.is_of_rule(&name) {
                labels.insert(name, value);
            }
        }
        // The cluster is an external label here, and the links name it.
        let annotations = self.annotations.iter().map(|(name, template)| (*name, template.fill(&labels, value))).collect();
        Instance { labels, annotations }
    }

    fn is_of_rule(&self, label: &str) -> bool {
        matches!(label, "alertname" | "severity")
    }
}

/// A picture as series.
struct Picture<'a> {
    outcome: &'a Outcome,
    now: Timestamp,
    recorded: BTreeMap<Arc<str>, Vec<Element>>,
}

impl Series for Picture<'_> {
    fn select(&self, selector: &Selector) -> Option<Vec<Element>> {
        if let Some(elements) = self.recorded.get(&selector.name) {
            let matching = |element: &&Element| selector.matches(|name| element.labels.get(name).map_or("", |value| &**value));
            return Some(elements.iter().filter(matching).cloned().collect());
        }
        let name = selector.name.strip_prefix(PREFIX)?;
        if name == "picture_timestamp_seconds" {
            let value = self.outcome.evaluated_at.as_duration().as_secs_f64();
            return Some(vec![Element { labels: Labels::new(), value }]);
        }
        if name == "check_success" {
            let runs = self.outcome.runs.iter();
            let element = |label: &str, success| Element {
                labels: [("check".into(), label.into())].into_iter().collect(),
                value: f64::from(u8::from(success)),
            };
            let elements = runs.map(|run| element(run.check, run.success));
            let matching = |element: &Element| selector.matches(|name| element.labels.get(name).map_or("", |value| &**value));
            return Some(elements.filter(matching).collect());
        }
        let Some(family) = self.outcome.families.iter().find(|family| family.description.name == name) else {
            // No series of it, which is not the same as no such metric.
            return writers(&selector.name).map(|_| Vec::new());
        };
        let names: Vec<Arc<str>> = family.label_names().map(Arc::from).collect();
        let value_of = |sample: &'_ Sample, name: &str| -> Option<usize> {
            names.iter().position(|known| **known == *name).filter(|at| *at < sample.labels.len())
        };
        let matching =
            |sample: &&Sample| selector.matches(|name| value_of(sample, name).map_or("", |at| sample.labels[at].as_str()));
        let element = |sample: &Sample| Element {
            labels: names
                .iter()
                .zip(&sample.labels)
                .filter(|(_, value)| !value.as_str().is_empty())
                .map(|(name, value)| (Arc::clone(name), value.shared()))
                .collect(),
            value: sample.value,
        };
        Some(family.samples.iter().filter(matching).map(element).collect())
    }

    fn time(&self) -> f64 {
        self.now.as_duration().as_secs_f64()
    }
}

#[cfg(test)]
mod tests;
