//! What would the controller make of a Service in AWS? Field by field, as far as its annotations and flags decide it.

pub mod addresses;
pub mod health_check;
pub mod listener;
pub mod load_balancer;
pub mod managed_group;
pub mod security_groups;
pub mod target_group;

use std::collections::BTreeMap;

use super::annotations::{AnnotationError, Annotations, MapGrammar, Pairs};
use super::settings::Settings;

/// What one field of AWS should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted<T> {
    /// Exactly this.
    Value(T),
    /// The controller does not care.
    Free,
    /// This if the controller runs with its defaults, which is not known: being so is well, being otherwise says nothing.
    Likely(T, &'static str),
    /// It depends on what is not known here; the text says on what.
    Unknown(&'static str),
}

impl<T> Wanted<T> {
    /// The value, with another in its place.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Wanted<U> {
        match self {
            Self::Value(value) => Wanted::Value(f(value)),
            Self::Free => Wanted::Free,
            Self::Likely(value, why) => Wanted::Likely(f(value), why),
            Self::Unknown(why) => Wanted::Unknown(why),
        }
    }

    /// The same value, of which is only known that it is likely.
    pub fn doubtful(self, doubt: Option<&'static str>) -> Self {
        match (self, doubt) {
            (Self::Value(value), Some(why)) => Self::Likely(value, why),
            (wanted, _) => wanted,
        }
    }
}

/// What one field should be, or why the controller builds nothing for the Service.
pub type Desired<T> = Result<Wanted<T>, AnnotationError>;

/// Attributes the controller enforces by key, each with the annotation that decides it. Keys that are not in it have no
/// expected value: removing one leaves the last value in AWS (T4).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WantedAttributes {
    /// Key to value.
    pub keys: BTreeMap<String, WantedAttribute>,
    /// The map annotation could not be read for sure: it may set more keys.
    pub unknown: Option<&'static str>,
}

/// One enforced attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedAttribute {
    /// The value, raw.
    pub value: String,
    /// The annotation that decides it, also when it does so by its absence.
    pub annotation: &'static str,
}

impl WantedAttributes {
    fn set(&mut self, key: &str, value: impl Into<String>, annotation: &'static str) {
        self.keys.insert(key.to_owned(), WantedAttribute { value: value.into(), annotation });
    }

    /// The keys that one annotation decides.
    pub fn of(&self, annotation: &str) -> impl Iterator<Item = (&str, &str)> {
        let chosen = self.keys.iter().filter(move |(_, wanted)| wanted.annotation == annotation);
        chosen.map(|(key, wanted)| (key.as_str(), wanted.value.as_str()))
    }
}

/// Why a map whose meaning changed with the version is not read.
pub const GRAMMAR_UNKNOWN: &str = "the controller's version, which decides how the value is split, is not known";

/// Reads a map annotation as the running controller does. Where its version is not known, only what both grammars agree on
/// counts.
pub fn read_map(annotations: Annotations<'_>, name: &str, settings: Settings<'_>) -> Desired<Pairs> {
    let read = |grammar| annotations.map(name, grammar);
    let result = match MapGrammar::of(settings) {
        Some(grammar) => read(grammar),
        None => match (read(MapGrammar::Plain), read(MapGrammar::Escaped)) {
            (plain, escaped) if plain == escaped => plain,
            _ => return Ok(Wanted::Unknown(GRAMMAR_UNKNOWN)),
        },
    };
    Ok(result?.map_or(Wanted::Free, Wanted::Value))
}

/// Whether an attribute of AWS is as wanted. AWS spells booleans in lower case whatever was sent, so `True` is no
/// difference (T7); everything else is compared byte by byte, as the controller does.
pub fn same_attribute(wanted: &str, actual: &str) -> bool {
    wanted == actual || (matches!(actual, "true" | "false") && wanted.eq_ignore_ascii_case(actual))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{controller, service};
    use crate::controller::annotations::name;

    #[test]
    fn booleans_of_aws_have_no_case_t7() {
        assert!(same_attribute("True", "true"));
        assert!(same_attribute("30", "30"));
        assert!(!same_attribute("false", "true"));
        assert!(!same_attribute("My-Bucket", "my-bucket"));
    }

    #[test]
    fn an_unknown_version_reads_only_maps_that_mean_the_same_in_both_grammars_t8() {
        let read = |raw: &str, version: Option<&str>| {
            let service = service("shop/web").annotate(name::ADDITIONAL_TAGS, raw).build();
            let controller = version.map(|version| controller(version).build());
            read_map(Annotations(&service.annotations), name::ADDITIONAL_TAGS, Settings::of(controller.as_ref()))
        };
        let value = |text: &str| Ok(Wanted::Value(Pairs::from([("a".to_owned(), text.to_owned())])));
        assert_eq!(read("a=1", None), value("1"));
        assert_eq!(read("a=1,", None), Ok(Wanted::Unknown(GRAMMAR_UNKNOWN)));
        assert_eq!(read("a=1,", Some("2.14.0")), value("1"));
        assert_eq!(read("a=1,", Some("2.14.1")), value("1,"));
        assert!(read("a", None).is_err(), "both refuse it");
    }
}
