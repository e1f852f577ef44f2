//! How old is a piece of the picture, and what went wrong with it last?
//!
//! A failed fetch is data: it leaves the value alone and is kept beside it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Why a fetch failed. The closed set behind every `reason` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureCategory {
    /// AWS or the API server asked us to slow down.
    Throttled,
    /// The credentials lack a permission.
    Denied,
    /// Credentials are missing, invalid or expired.
    Expired,
    /// No answer within the time allowed.
    Timeout,
    /// No connection: name resolution, refused, TLS.
    Unreachable,
    /// The other side failed (5xx) or refused the request for a reason of its own.
    Server,
    /// An answer that does not parse, or that ends early.
    Malformed,
    /// The object asked about does not exist (any more).
    NotFound,
}

impl FailureCategory {
    /// All of them, in the order they are exposed.
    pub const ALL: [Self; 8] = [
        Self::Throttled,
        Self::Denied,
        Self::Expired,
        Self::Timeout,
        Self::Unreachable,
        Self::Server,
        Self::Malformed,
        Self::NotFound,
    ];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Server => "server",
            Self::Malformed => "malformed",
            Self::NotFound => "not_found",
        }
    }
}

impl fmt::Display for FailureCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A fetch that failed: what was asked, why it failed, and the other side's words for a person (never for a label).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The closed category.
    pub category: FailureCategory,
    /// What was asked, e.g. `elasticloadbalancing:DescribeTags` or `watch services`; a denied action by its IAM name.
    pub operation: String,
    /// The other side's message.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, self.category)?;
        if self.message.is_empty() { Ok(()) } else { write!(f, " ({})", self.message) }
    }
}

/// One piece of the picture with its age and the failure of the last try.
///
/// `value` is the last thing known. `fetched_at` is when that was last *complete*; a list of which only some pages ever
/// arrived has a value and no `fetched_at`: what is in it exists, what is not in it is unknown.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
pub struct Part<T> {
    /// What was last known.
    #[serde(default = "none", deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub value: Option<Arc<T>>,
    /// When `value` was last complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetched_at: Option<Timestamp>,
    /// When pages of a list that never was complete last arrived; `None` once it was complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrived_at: Option<Timestamp>,
    /// When it was last tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempted_at: Option<Timestamp>,
    /// Why the last try failed; `None` after a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Arc<Failure>>,
}

fn none<T>() -> Option<Arc<T>> {
    None
}

/// A value that is written is known, also where it says that there is none: `null` is a value of `Part<Option<…>>`.
fn present<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Arc<T>>, D::Error> {
    T::deserialize(deserializer).map(|value| Some(Arc::new(value)))
}

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self { value: None, fetched_at: None, arrived_at: None, attempted_at: None, failure: None }
    }
}

impl<T> Clone for Part<T> {
    fn clone(&self) -> Self {
        Self {
            value: self.value.as_ref().map(Arc::clone),
            fetched_at: self.fetched_at,
            arrived_at: self.arrived_at,
            attempted_at: self.attempted_at,
            failure: self.failure.as_ref().map(Arc::clone),
        }
    }
}

impl<T> Part<T> {
    /// A part fetched completely at `now`.
    pub fn fetched(value: T, now: Timestamp) -> Self {
        Self { value: Some(Arc::new(value)), fetched_at: Some(now), arrived_at: None, attempted_at: Some(now), failure: None }
    }

    /// Takes a complete new value.
    pub fn succeed(&mut self, value: T, now: Timestamp) {
        *self = Self::fetched(value, now);
    }

    /// Keeps the value and its age, and records why the try failed.
    pub fn fail(&mut self, failure: Failure, now: Timestamp) {
        self.attempted_at = Some(now);
        self.failure = Some(Arc::new(failure));
    }

    /// The value, complete or not.
    pub fn get(&self) -> Option<&T> {
        self.value.as_deref()
    }

    /// The value, only if it was complete at least once: then what is not in it did not exist.
    pub fn complete(&self) -> Option<&T> {
        self.fetched_at.and(self.value.as_deref())
    }

    /// The value, only if it was complete at `oldest` or later.
    pub fn fresh_since(&self, oldest: Timestamp) -> Option<&T> {
        self.fetched_at.filter(|at| *at >= oldest).and(self.value.as_deref())
    }

    /// Whether there is a value, and even the newest of it is older than `oldest`.
    pub(super) fn is_stale(&self, oldest: Timestamp) -> bool {
        self.value.is_some() && self.fetched_at.or(self.arrived_at).is_some_and(|at| at < oldest)
    }

    /// Whether the last try succeeded; `None` before the first try.
    pub fn up(&self) -> Option<bool> {
        self.attempted_at.map(|_| self.failure.is_none())
    }
}

impl<K: Ord + Clone, V: Clone> Part<BTreeMap<K, V>> {
    /// Takes the pages that did arrive of a list of which one page failed: they add and replace, and nothing is removed.
    pub fn incomplete(&mut self, arrived: BTreeMap<K, V>, failure: Failure, now: Timestamp) {
        let value = self.value.get_or_insert_with(Arc::default);
        if !arrived.is_empty() {
            Arc::make_mut(value).extend(arrived);
            self.arrived_at = self.fetched_at.is_none().then_some(now);
        }
        self.fail(failure, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn denied() -> Failure {
        Failure { category: FailureCategory::Denied, operation: "ec2:DescribeSubnets".into(), message: "no".into() }
    }

    #[test]
    fn a_failure_keeps_the_value_and_its_age() {
        let mut part = Part::fetched(7, at(10));
        part.fail(denied(), at(20));
        assert_eq!(part.complete(), Some(&7));
        assert_eq!((part.fetched_at, part.attempted_at, part.up()), (Some(at(10)), Some(at(20)), Some(false)));
        part.succeed(8, at(30));
        assert_eq!((part.complete(), part.up()), (Some(&8), Some(true)));
    }

    #[test]
    fn a_list_with_a_failed_page_is_never_shorter() {
        let mut part = Part::fetched(BTreeMap::from([(1, 'a'), (2, 'b')]), at(10));
        part.incomplete(BTreeMap::from([(2, 'c'), (3, 'd')]), denied(), at(20));
        assert_eq!(part.complete(), Some(&BTreeMap::from([(1, 'a'), (2, 'c'), (3, 'd')])));
        assert_eq!(part.fetched_at, Some(at(10)));
    }

    #[test]
    fn a_first_list_with_a_failed_page_is_known_but_not_complete() {
        let mut part = Part::default();
        part.incomplete(BTreeMap::from([(1, 'a')]), denied(), at(20));
        assert_eq!(part.get(), Some(&BTreeMap::from([(1, 'a')])));
        assert_eq!(part.complete(), None);
    }

    #[test]
    fn what_is_known_to_be_none_is_read_back_as_known() {
        let part = Part::fetched(None::<u8>, at(10));
        let read: Part<Option<u8>> = serde_json::from_str(&serde_json::to_string(&part).unwrap()).unwrap();
        assert_eq!((read.complete(), read.up()), (Some(&None), Some(true)));
        let read: Part<Option<u8>> = serde_json::from_str("{}").unwrap();
        assert_eq!((read.get(), read.up()), (None, None));
    }

    #[test]
    fn an_untried_part_is_neither_up_nor_down() {
        assert_eq!(Part::<u8>::default().up(), None);
    }
}
