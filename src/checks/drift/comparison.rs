//! How is one field compared, and what does a difference look like?

use std::collections::BTreeSet;
use std::fmt::Display;

use jiff::Timestamp;

use crate::controller::desired::{Wanted, WantedAttributes, same_attribute};
use crate::inventory::aws::Attributes;

use super::case::Seen;

/// What comparing one annotation gave.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// Where AWS differs.
    pub(super) differences: Vec<Difference>,
    /// Something of it could not be compared, and why.
    pub(super) unknown: Option<&'static str>,
}

/// One field that is not as it should be.
#[derive(Debug)]
pub(super) struct Difference {
    /// The field, and of what.
    pub(super) place: String,
    /// What it should be.
    pub(super) wanted: String,
    /// What it is.
    pub(super) actual: String,
    /// How old this knowledge is.
    pub(super) seen_at: Option<Timestamp>,
}

impl Difference {
    /// Whether AWS was looked at after this moment.
    pub(super) fn is_after(&self, moment: Timestamp) -> bool {
        self.seen_at.is_some_and(|at| at > moment)
    }
}

/// A target group is yet to be made, is not known, or has another one beside it.
pub const GROUPS_MISSING: &str = "not every port of the Service has one known target group in use";

pub(super) const NOT_FETCHED: &str = "AWS's side is not known yet";

impl Comparison {
    pub(super) fn unknown(why: &'static str) -> Self {
        Self { differences: Vec::new(), unknown: Some(why) }
    }

    /// Something could not be compared. The first reason stands.
    pub(super) fn leave_out(&mut self, why: &'static str) {
        self.unknown = self.unknown.or(Some(why));
    }

    /// Compares one field. What is only likely can be confirmed and not refuted.
    pub(super) fn field<T: PartialEq + Display>(
        &mut self,
        place: impl Display,
        wanted: Wanted<T>,
        actual: &T,
        at: Option<Timestamp>,
    ) {
        match wanted {
            Wanted::Free => {}
            Wanted::Value(wanted) | Wanted::Likely(wanted, _) if wanted == *actual => {}
            Wanted::Value(wanted) => self.differs(place, wanted, actual, at),
            Wanted::Likely(_, why) | Wanted::Unknown(why) => self.leave_out(why),
        }
    }

    pub(super) fn differs(&mut self, place: impl Display, wanted: impl Display, actual: impl Display, at: Option<Timestamp>) {
        let (place, wanted, actual) = (place.to_string(), wanted.to_string(), actual.to_string());
        self.differences.push(Difference { place, wanted, actual, seen_at: at });
    }

    /// Compares the keys that one annotation decides.
    pub(super) fn attributes(
        &mut self,
        wanted: &WantedAttributes,
        annotation: &str,
        actual: Option<Seen<&Attributes>>,
        of: impl Display,
    ) {
        for (key, value) in wanted.of(annotation) {
            let Some(actual) = actual else {
                self.leave_out(NOT_FETCHED);
                return;
            };
            match actual.value.get(key) {
                Some(found) if same_attribute(value, found) => {}
                Some(found) => self.differs(format_args!("attribute {key} of {of}"), value, found, actual.at),
                // An attribute that is not there is neither set nor on.
                None if matches!(value, "" | "false") => {}
                // AWS answers every attribute it knows for the resource: one that is missing it would have refused to set,
                // which shows as a failed reconcile.
                None => self.leave_out("AWS's answer does not have the attribute"),
            }
        }
    }
}

/// A set in its order, for a message.
pub(super) struct Listed<T>(pub(super) BTreeSet<T>);

impl<T: PartialEq> PartialEq for Listed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T: Display> Display for Listed<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (index, item) in self.0.iter().enumerate() {
            write!(f, "{}{item}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}
