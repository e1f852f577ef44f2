//! What does a person or a program see of a judged picture? Plain structs, one module a subject, for the API and the status page.
//!
//! Every number comes out of the samples that /metrics renders; names and relations come out of the picture. What is not
//! known is `None`, never 0.

pub mod findings;
pub mod headroom;
pub mod load_balancers;
pub mod orphans;
pub mod query;
pub mod quotas;
pub mod scope;
pub mod security_groups;
pub mod services;
pub mod sources;
pub mod status;
pub mod subnets;
pub mod target_groups;
pub mod verdict;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use crate::checks;
use crate::checks::Judged;
use crate::checks::model::{Family, Label, Outcome, Sample, Severity};

/// Text shared with the picture.
pub type Text = Arc<str>;

/// The families of a picture by name. Samples are sorted by their labels, so that one of a hundred thousand is found at once.
#[derive(Debug)]
pub struct Families<'a>(BTreeMap<&'static str, &'a Family>);

impl<'a> Families<'a> {
    /// Those of a picture.
    pub fn of(outcome: &'a Outcome) -> Self {
        Self(outcome.families.iter().map(|family| (family.description.name, family)).collect())
    }

    /// The samples of a family whose first labels are these.
    ///
    /// # Panics
    /// In debug builds, when no check has such a family.
    pub fn samples(&self, family: &str, first: &[&str]) -> &'a [Sample] {
        let Some(found) = self.0.get(family) else {
            debug_assert!(checks::families().any(|known| known.name == family), "there is no family {family}");
            return &[];
        };
        let all = &found.samples[..];
        let key = |sample: &Sample| sample.labels.iter().map(Label::as_str).take(first.len()).cmp(first.iter().copied());
        let start = all.partition_point(|sample| key(sample).is_lt());
        let end = start + all[start..].partition_point(|sample| key(sample).is_eq());
        &all[start..end]
    }

    /// The value of one series, by all of its labels.
    pub fn value(&self, family: &str, labels: &[&str]) -> Option<f64> {
        self.samples(family, labels).first().map(|sample| sample.value)
    }

    /// The same as a count.
    pub fn count(&self, family: &str, labels: &[&str]) -> Option<u64> {
        self.value(family, labels).map(whole)
    }

    /// The same as a moment.
    pub fn moment(&self, family: &str, labels: &[&str]) -> Option<Timestamp> {
        self.value(family, labels).and_then(moment)
    }

    /// The same as yes or no.
    pub fn truth(&self, family: &str, labels: &[&str]) -> Option<bool> {
        self.value(family, labels).map(|value| value > 0.0)
    }
}

/// A number that may have a fraction; written without one where it has none.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Number(pub f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// Up to here every whole number has a `f64` of its own.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if self.0.fract() == 0.0 && self.0.abs() <= EXACT {
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

impl JsonSchema for Number {
    fn schema_name() -> Cow<'static, str> {
        "Number".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "number"})
    }
}

impl JsonSchema for Severity {
    fn schema_name() -> Cow<'static, str> {
        "Severity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "How bad something is: act now, act this week, good to know.",
            "enum": [Self::Critical.as_str(), Self::Warning.as_str(), Self::Info.as_str()],
        })
    }
}

/// Counts are whole and far below 2^53.
fn whole(value: f64) -> u64 {
    value as u64
}

/// The moment behind a `_timestamp_seconds`, to the millisecond.
fn moment(seconds: f64) -> Option<Timestamp> {
    Timestamp::from_millisecond((seconds * 1e3).round() as i64).ok()
}

/// A label's text; the empty one stands for none.
fn text(label: &Label) -> Option<Text> {
    (!label.as_str().is_empty()).then(|| label.shared())
}

/// A series' label by its place.
fn label(sample: &Sample, at: usize) -> Text {
    sample.labels.get(at).map_or_else(Text::default, Label::shared)
}

/// Whether these checks came to their end and saw everything that they judge by. Where not, what a list lacks may exist.
fn is_complete(judged: &Judged, checks: &[&str]) -> bool {
    let runs = &judged.outcome.runs;
    checks.iter().all(|name| runs.iter().any(|run| run.check == *name && run.success && !run.blind))
}

#[cfg(test)]
mod tests;
