//! What does a rule's expression say of one picture? The part of PromQL that looks at a single moment, so that one text serves
//! both Prometheus and this daemon.
//!
//! Selectors with matchers, arithmetic, comparisons, set operators, vector matching, aggregation and a few functions. What looks
//! at a range of time (`rate`, `predict_linear`, `offset`, …) is told apart as needing history; everything else that is not known
//! here is an error, never a guess. A test compares the answers with a real Prometheus'.

mod evaluate;
mod parse;

#[cfg(test)]
mod differential;

use std::sync::Arc;

pub(crate) use evaluate::{Element, Series, evaluate};
pub(crate) use parse::{ParseError, parse};

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expression {
    /// A number.
    Number(f64),
    /// A selector.
    Select(Selector),
    /// `-x`.
    Negate(Box<Self>),
    /// Two operands and an operator.
    Binary { operator: Operator, matching: Matching, left: Box<Self>, right: Box<Self> },
    /// An aggregation.
    Aggregate { aggregator: Aggregator, grouping: Grouping, of: Box<Self> },
    /// `label_replace`.
    Relabel(Box<Relabelling>),
    /// A function.
    Call { function: Function, arguments: Vec<Self> },
}

impl Expression {
    /// The metrics that it looks at.
    pub(crate) fn metrics(&self) -> Vec<&Arc<str>> {
        match self {
            Self::Number(_) => Vec::new(),
            Self::Select(selector) => vec![&selector.name],
            Self::Negate(of) | Self::Aggregate { of, .. } => of.metrics(),
            Self::Relabel(relabelling) => relabelling.of.metrics(),
            Self::Binary { left, right, .. } => [left.metrics(), right.metrics()].concat(),
            Self::Call { arguments, .. } => arguments.iter().flat_map(Self::metrics).collect(),
        }
    }
}

/// `label_replace(of, target, replacement, source, pattern)`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Relabelling {
    pub(crate) of: Expression,
    pub(crate) target: Arc<str>,
    pub(crate) replacement: Arc<str>,
    pub(crate) source: Arc<str>,
    pub(crate) pattern: Matcher,
}

/// A metric's name and what its labels must be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Selector {
    pub(crate) name: Arc<str>,
    pub(crate) matchers: Vec<Matcher>,
}

impl Selector {
    /// Whether labels satisfy all matchers; one that is missing is empty.
    pub(crate) fn matches<'a>(&self, label: impl Fn(&str) -> &'a str) -> bool {
        self.matchers.iter().all(|matcher| matcher.value.matches(label(&matcher.label)) == matcher.positive)
    }
}

/// What one label must be.
#[derive(Debug, Clone)]
pub(crate) struct Matcher {
    pub(crate) label: Arc<str>,
    /// Whether it must match, or must not.
    pub(crate) positive: bool,
    pub(crate) value: Pattern,
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.label, self.positive, self.value.text()) == (&other.label, other.positive, other.value.text())
    }
}

/// A text, or an anchored regular expression.
#[derive(Debug, Clone)]
pub(crate) enum Pattern {
    Text(Box<str>),
    Regex(Arc<regex_lite::Regex>),
}

impl Pattern {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Regex(regex) => regex.as_str(),
        }
    }

    fn matches(&self, value: &str) -> bool {
        match self {
            Self::Text(text) => **text == *value,
            Self::Regex(regex) => regex.is_match(value),
        }
    }
}

/// A binary operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    /// A comparison; with `bool` it answers 0 or 1 instead of leaving out.
    Compare(Comparison, bool),
    And,
    Or,
    Unless,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Which elements of two vectors belong together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Matching {
    pub(crate) labels: Grouping,
    /// One side may have many elements for one of the other, from which these labels are taken.
    pub(crate) many: Option<(Side, Vec<Arc<str>>)>,
}

/// A side of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// Labels that count, or that do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Grouping {
    /// `by` or `on`.
    By(Vec<Arc<str>>),
    /// `without` or `ignoring`.
    Without(Vec<Arc<str>>),
}

impl Default for Grouping {
    fn default() -> Self {
        Self::Without(Vec::new())
    }
}

/// An aggregation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregator {
    Sum,
    Min,
    Max,
    Count,
    Average,
    Group,
}

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Time,
    Vector,
    Scalar,
    Absent,
    Absolute,
    Ceil,
    Floor,
    Round,
    ClampMin,
    ClampMax,
}
