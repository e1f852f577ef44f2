//! Which findings are left out, by whose word and until when?

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::plan::KINDS;
use crate::checks::catalogue;
use crate::checks::model::{FindingKind, Subject};
use crate::excerpt::excerpt;

/// Something to be left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ignore {
    /// The finding's code.
    pub code: String,
    /// Only those about this: a name, `shop/web`, or the words of the table, `Service shop/web`; without it, about anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Why.
    pub reason: String,
    /// The last day (UTC) on which it holds; without it, for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
}

/// Why there is no such thing to leave out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IgnoreError {
    /// No such code.
    #[error("no finding has the code {0:?}; `eks-nlb-exporter findings` prints all of them")]
    Code(String),
    /// The subject is empty.
    #[error("{0:?} ends in a colon without a subject; leave the colon out, or write CODE:SUBJECT")]
    Subject(String),
    /// The file cannot be read as what it should be.
    #[error("{}", super::text::plain(.0))]
    File(String),
    /// An entry says no reason.
    #[error("the entry for {0} has no reason; say why it is ignored, for those who come after")]
    Reason(String),
}

impl IgnoreError {
    /// The closed category.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Code(_) => "code",
            Self::Subject(_) => "subject",
            Self::File(_) => "file",
            Self::Reason(_) => "reason",
        }
    }
}

impl FromStr for Ignore {
    type Err = IgnoreError;

    /// Reads `CODE[:SUBJECT]`.
    fn from_str(text: &str) -> Result<Self, IgnoreError> {
        let (code, subject) = match text.split_once(':') {
            Some((_, "")) => return Err(IgnoreError::Subject(excerpt(text))),
            Some((code, subject)) => (code, Some(subject.to_owned())),
            None => (text, None),
        };
        Ok(Self { code: known(code)?, subject, reason: "--ignore".to_owned(), until: None })
    }
}

/// Reads the text of an ignore file: a list of entries. An empty one has none.
pub fn read(text: &str) -> Result<Vec<Ignore>, IgnoreError> {
    let entries: Option<Vec<Ignore>> =
        serde_saphyr::from_str(text).map_err(|error| IgnoreError::File(first_line(&error.to_string())))?;
    let mut entries = entries.unwrap_or_default();
    for entry in &mut entries {
        entry.code = known(&entry.code)?;
        if entry.reason.trim().is_empty() {
            return Err(IgnoreError::Reason(entry.code.clone()));
        }
    }
    Ok(entries)
}

fn first_line(text: &str) -> String {
    excerpt(text.lines().next().unwrap_or_default())
}

fn known(code: &str) -> Result<String, IgnoreError> {
    let code = code.trim().to_ascii_uppercase();
    if catalogue::ALL.iter().chain(&KINDS).any(|kind| kind.code == code) {
        Ok(code)
    } else {
        Err(IgnoreError::Code(excerpt(&code)))
    }
}

impl Ignore {
    /// Whether its last day has passed.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| now.to_zoned(TimeZone::UTC).date() > until)
    }

    /// Whether it leaves this out, at any time.
    pub fn covers(&self, kind: &FindingKind, subject: &Subject) -> bool {
        let about = |wanted: &str| {
            let words = subject.to_string();
            wanted == words || words.strip_suffix(wanted).is_some_and(|before| before.ends_with(' '))
        };
        self.code == kind.code && self.subject.as_deref().is_none_or(about)
    }
}

impl std::fmt::Display for Ignore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.code)?;
        self.subject.as_ref().map_or(Ok(()), |subject| write!(f, ":{subject}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::catalogue::{DRIFT, LINT_STYLE};
    use crate::inventory::ids::ObjectName;

    fn service(name: &str) -> Subject {
        Subject::Service(ObjectName::parse(name).unwrap())
    }

    #[test]
    fn a_code_covers_all_of_it_and_a_subject_only_its_own() {
        let all: Ignore = "NLB501".parse().unwrap();
        assert!(all.covers(&DRIFT, &service("shop/web")) && !all.covers(&LINT_STYLE, &service("shop/web")));
        for text in ["nlb501:shop/web", "NLB501:Service shop/web"] {
            let one: Ignore = text.parse().unwrap();
            assert!(one.covers(&DRIFT, &service("shop/web")), "{text}");
            assert!(!one.covers(&DRIFT, &service("shop/web2")) && !one.covers(&DRIFT, &service("my-shop/web")), "{text}");
        }
        let cluster: Ignore = "NLB501:cluster".parse().unwrap();
        assert!(cluster.covers(&DRIFT, &Subject::Cluster));
    }

    #[test]
    fn an_entry_holds_through_its_last_day() {
        let entries =
            read("- {code: NLB501, subject: shop/web, reason: moving, until: 2026-11-25}\n- {code: nlb617, reason: taste}")
                .unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert!(!entries[0].has_expired(at("2026-11-25T23:59:59Z")) && entries[0].has_expired(at("2026-11-26T00:00:00Z")));
        assert!(!entries[1].has_expired(at("2999-01-01T00:00:00Z")));
        assert_eq!((entries[0].to_string(), &*entries[1].code), ("NLB501:shop/web".to_owned(), "NLB617"));
    }

    #[test]
    fn what_cannot_be_followed_is_named() {
        for (text, named) in [("NLB999", "NLB999"), ("", "\"\""), ("NLB501:", "colon")] {
            assert!(text.parse::<Ignore>().unwrap_err().to_string().contains(named), "{text}");
        }
        for (text, category) in [
            ("- {code: NLB501}", "file"),
            ("- {code: NLB501, reason: x, untill: 2026-01-01}", "file"),
            ("- {code: NLB501, reason: x, until: soon}", "file"),
            ("- {code: NLB501, reason: ' '}", "reason"),
            ("- {code: NLB000, reason: x}", "code"),
            ("code: NLB501", "file"),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error.category(), category, "{text}: {error}");
            assert_eq!(error.to_string().lines().count(), 1);
        }
        assert_eq!(read("").unwrap(), []);
        assert_eq!(read("# nothing yet\n").unwrap(), []);
    }
}
