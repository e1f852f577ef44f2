//! What does somebody want to see of it? The parameters of an address, read the same way for the API and the status page.

use serde_json::{Value, json};

use crate::checks::catalogue;
use crate::checks::model::Severity;
use crate::expose::view::findings::FindingView;

/// What was asked for. Without parameters everything is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Only what concerns this namespace.
    pub namespace: Option<String>,
    /// Only findings of this severity, and what has one.
    pub severity: Option<Severity>,
    /// Only findings of this code, and what has one.
    pub code: Option<&'static str>,
    /// So many at most.
    pub limit: Option<usize>,
    /// After so many.
    pub offset: usize,
}

/// A parameter that is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// There is none of this name here.
    #[error("there is no parameter {name:?} here: there are {known}")]
    Unknown {
        /// As it came, cut.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// It came more than once.
    #[error("the parameter {name} is given twice")]
    Twice {
        /// Its name.
        name: &'static str,
    },
    /// Its value means nothing.
    #[error("the parameter {name} is {value:?}: {rule}")]
    Value {
        /// Its name.
        name: &'static str,
        /// As it came, cut.
        value: String,
        /// What it could be.
        rule: &'static str,
    },
}

impl QueryError {
    /// The closed category.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "unknown",
            Self::Twice { .. } => "twice",
            Self::Value { .. } => "value",
        }
    }
}

/// A parameter, in the order in which they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parameter {
    /// `namespace`
    Namespace,
    /// `severity`
    Severity,
    /// `code`
    Code,
    /// `limit`
    Limit,
    /// `offset`
    Offset,
}

impl Parameter {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::Severity => "severity",
            Self::Code => "code",
            Self::Limit => "limit",
            Self::Offset => "offset",
        }
    }

    /// What it asks for, one sentence.
    pub fn description(self) -> &'static str {
        match self {
            Self::Namespace => "Only what concerns this namespace.",
            Self::Severity => "Only findings of this severity; of other lists, what has one.",
            Self::Code => "Only findings of this code; of other lists, what has one.",
            Self::Limit => "So many at most; all of them without.",
            Self::Offset => "Leaves out so many at the beginning.",
        }
    }

    /// What its values look like, as JSON Schema.
    pub fn schema(self) -> Value {
        match self {
            Self::Namespace => json!({"type": "string", "pattern": "^[a-z0-9-]{1,63}$"}),
            Self::Severity => json!({"type": "string", "enum": ["critical", "warning", "info"]}),
            Self::Code => json!({"type": "string", "pattern": "^[Nn][Ll][Bb][0-9]{3}$"}),
            Self::Limit => json!({"type": "integer", "minimum": 1, "maximum": MOST}),
            Self::Offset => json!({"type": "integer", "minimum": 0}),
        }
    }
}

/// The parameters of lists of things in namespaces.
pub const NAMESPACED: &[Parameter] =
    &[Parameter::Namespace, Parameter::Severity, Parameter::Code, Parameter::Limit, Parameter::Offset];
/// The parameters of other lists.
pub const LISTED: &[Parameter] = &[Parameter::Severity, Parameter::Code, Parameter::Limit, Parameter::Offset];

/// The most that `limit` may be.
pub const MOST: usize = 100_000;

impl Query {
    /// Reads decoded parameters.
    pub fn read<'a>(given: impl IntoIterator<Item = (&'a str, &'a str)>, allowed: &[Parameter]) -> Result<Self, QueryError> {
        let mut query = Self::default();
        let mut seen = Vec::new();
        for (name, value) in given {
            let Some(parameter) = allowed.iter().copied().find(|known| known.as_str() == name) else {
                let known: Vec<_> = allowed.iter().map(|known| known.as_str()).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(QueryError::Unknown { name: cut(name), known });
            };
            if seen.contains(&parameter) {
                return Err(QueryError::Twice { name: parameter.as_str() });
            }
            seen.push(parameter);
            // A form that is sent with nothing chosen.
            if value.is_empty() {
                continue;
            }
            query.set(parameter, value).map_err(|rule| QueryError::Value {
                name: parameter.as_str(),
                value: cut(value),
                rule,
            })?;
        }
        Ok(query)
    }

    fn set(&mut self, parameter: Parameter, value: &str) -> Result<(), &'static str> {
        match parameter {
            Parameter::Namespace => {
                let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                let is_name = value.len() <= 63 && value.chars().all(fits);
                self.namespace =
                    Some(is_name.then(|| value.to_owned()).ok_or("namespaces have lower-case letters, digits and -")?);
            }
            Parameter::Severity => {
                let all = [Severity::Critical, Severity::Warning, Severity::Info];
                let found = all.into_iter().find(|severity| severity.as_str() == value);
                self.severity = Some(found.ok_or("it is critical, warning or info")?);
            }
            Parameter::Code => {
                let found = catalogue::ALL.iter().find(|kind| kind.code.eq_ignore_ascii_case(value));
                self.code = Some(found.ok_or("there is no finding of this code")?.code);
            }
            Parameter::Limit => {
                let number = value.parse().ok().filter(|number| (1..=MOST).contains(number));
                self.limit = Some(number.ok_or("it is a whole number from 1 to 100000")?);
            }
            Parameter::Offset => self.offset = value.parse().map_err(|_| "it is a whole number from 0 on")?,
        }
        Ok(())
    }

    /// Whether a finding is asked for.
    pub fn wants(&self, finding: &FindingView) -> bool {
        self.namespace.as_ref().is_none_or(|wanted| finding.namespace.as_deref() == Some(wanted)) && self.wants_kind(finding)
    }

    /// Whether a finding is asked for, wherever it is.
    pub fn wants_kind(&self, finding: &FindingView) -> bool {
        self.severity.is_none_or(|wanted| finding.severity == wanted) && self.code.is_none_or(|wanted| finding.code == wanted)
    }

    /// Whether only what has certain findings is asked for.
    pub fn by_finding(&self) -> bool {
        self.severity.is_some() || self.code.is_some()
    }

    /// The part of a list that is asked for, and how many there are in all.
    pub fn page<T>(&self, all: Vec<T>) -> (Vec<T>, u64) {
        let total = all.len() as u64;
        (all.into_iter().skip(self.offset).take(self.limit.unwrap_or(usize::MAX)).collect(), total)
    }
}

/// A stranger's text in a sentence.
fn cut(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().count() <= LONGEST { text.to_owned() } else { text.chars().take(LONGEST).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_understood() {
        let given = [("namespace", "shop"), ("severity", "critical"), ("code", "nlb101"), ("limit", "10"), ("offset", "20")];
        let query = Query::read(given, NAMESPACED).unwrap();
        let Query { namespace, severity, code, limit, offset } = query;
        assert_eq!((namespace.as_deref(), severity, code), (Some("shop"), Some(Severity::Critical), Some("NLB101")));
        assert_eq!((limit, offset), (Some(10), 20));
        assert_eq!(Query::read([("namespace", ""), ("code", "")], NAMESPACED), Ok(Query::default()));
    }

    #[test]
    fn what_is_not_understood_is_named_with_its_value() {
        let told = |name: &str, value: &str| Query::read([(name, value)], LISTED).unwrap_err().to_string();
        assert_eq!(told("severity", "bad"), "the parameter severity is \"bad\": it is critical, warning or info");
        assert_eq!(told("code", "NLB000"), "the parameter code is \"NLB000\": there is no finding of this code");
        for value in ["0", "-1", "x", "100001", "99999999999999999999"] {
            assert_eq!(told("limit", value), format!("the parameter limit is {value:?}: it is a whole number from 1 to 100000"));
        }
        assert_eq!(
            told("namespace", "shop"),
            "there is no parameter \"namespace\" here: there are severity, code, limit, offset"
        );
        assert!(told("offset", &"9".repeat(5_000)).len() < 200);
        let twice = Query::read([("limit", "1"), ("limit", "2")], LISTED).unwrap_err();
        assert_eq!((twice.category(), twice.to_string().as_str()), ("twice", "the parameter limit is given twice"));
        for bad in ["Shop", "a b", "ä", "a/b", &"a".repeat(64)] {
            assert_eq!(Query::read([("namespace", bad)], NAMESPACED).unwrap_err().category(), "value", "{bad}");
        }
    }

    #[test]
    fn a_page_beyond_the_end_is_empty_and_knows_the_whole() {
        let page = |limit, offset| Query { limit, offset, ..Query::default() }.page(vec![1, 2, 3]);
        assert_eq!(page(None, 0), (vec![1, 2, 3], 3));
        assert_eq!(page(Some(2), 1), (vec![2, 3], 3));
        assert_eq!(page(Some(2), 3), (vec![], 3));
    }
}
