//! Which objects does a request want? Field and label selectors, and what a watch with them sees of a change.

use std::collections::HashMap;
use std::sync::Arc;

use super::store::{Change, Stored};

/// Which objects a request wants.
pub(super) struct Selector {
    namespace: Option<String>,
    fields: Vec<(String, bool, String)>,
    labels: Vec<Requirement>,
}

enum Requirement {
    Exists(String),
    Absent(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

impl Selector {
    pub(super) fn parse(namespace: Option<String>, parameters: &HashMap<String, String>) -> Result<Self, String> {
        let mut fields = Vec::new();
        for term in terms(parameters.get("fieldSelector")) {
            let (field, equal, value) = if let Some((field, value)) = term.split_once("!=") {
                (field, false, value)
            } else if let Some((field, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
                (field, true, value)
            } else {
                return Err(format!("invalid selector: {term:?}"));
            };
            fields.push((field.to_owned(), equal, value.to_owned()));
        }
        let labels = terms(parameters.get("labelSelector")).iter().map(|term| requirement(term)).collect::<Result<_, _>>()?;
        Ok(Self { namespace, fields, labels })
    }

    pub(super) fn matches(&self, stored: &Stored) -> bool {
        let field = |name: &str| stored.fields.get(name).map(String::as_str).unwrap_or_default();
        self.namespace.as_deref().is_none_or(|namespace| field("metadata.namespace") == namespace)
            && self.fields.iter().all(|(name, equal, value)| (field(name) == value) == *equal)
            && self.labels.iter().all(|requirement| match requirement {
                Requirement::Exists(key) => stored.labels.contains_key(key),
                Requirement::Absent(key) => !stored.labels.contains_key(key),
                Requirement::In(key, values) => stored.labels.get(key).is_some_and(|value| values.contains(value)),
                Requirement::NotIn(key, values) => !stored.labels.get(key).is_some_and(|value| values.contains(value)),
            })
    }

    /// What a watch with this selector sees of a change: an object that stops matching is deleted for it.
    pub(super) fn event<'a>(&self, change: &'a Change) -> Option<(&'static str, &'a [u8])> {
        let seen = |stored: &'a Option<Arc<Stored>>| stored.as_ref().filter(|stored| self.matches(stored));
        match (seen(&change.before), seen(&change.after)) {
            (None, None) => None,
            (None, Some(after)) => Some(("ADDED", &after.body)),
            (Some(_), Some(after)) => Some(("MODIFIED", &after.body)),
            (Some(before), None) => Some(("DELETED", &change.after.as_ref().unwrap_or(before).body)),
        }
    }
}

/// Splits at commas outside of parentheses.
fn terms(selector: Option<&String>) -> Vec<String> {
    let mut terms = vec![String::new()];
    let mut depth = 0_u32;
    for character in selector.map(String::as_str).unwrap_or_default().chars() {
        match character {
            ',' if depth == 0 => terms.push(String::new()),
            _ => {
                match character {
                    '(' => depth += 1,
                    ')' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                terms.last_mut().expect("starts with one term").push(character);
            }
        }
    }
    terms.into_iter().map(|term| term.trim().to_owned()).filter(|term| !term.is_empty()).collect()
}

fn requirement(term: &str) -> Result<Requirement, String> {
    let set = |values: &str| -> Result<Vec<String>, String> {
        let inner = values.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
        let inner = inner.ok_or_else(|| format!("unable to parse requirement: {term:?}"))?;
        Ok(inner.split(',').map(|value| value.trim().to_owned()).collect())
    };
    let one = |value: &str| vec![value.trim().to_owned()];
    if let Some((key, values)) = term.split_once(" notin ") {
        return Ok(Requirement::NotIn(key.trim().to_owned(), set(values)?));
    }
    if let Some((key, values)) = term.split_once(" in ") {
        return Ok(Requirement::In(key.trim().to_owned(), set(values)?));
    }
    if let Some((key, value)) = term.split_once("!=") {
        return Ok(Requirement::NotIn(key.trim().to_owned(), one(value)));
    }
    if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        return Ok(Requirement::In(key.trim().to_owned(), one(value)));
    }
    Ok(match term.strip_prefix('!') {
        Some(key) => Requirement::Absent(key.trim().to_owned()),
        None => Requirement::Exists(term.to_owned()),
    })
}
