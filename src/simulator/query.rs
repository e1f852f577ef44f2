//! What does a query request ask for? Form parameters, the two ways AWS numbers lists, filters and paging.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::aws_api::AwsError;
use crate::inventory::aws::Tags;

/// The parameters of a query request.
#[derive(Debug, Default)]
pub(crate) struct Parameters {
    values: BTreeMap<String, String>,
}

impl Parameters {
    /// Reads an `application/x-www-form-urlencoded` body.
    pub(crate) fn parse(body: &str) -> Self {
        let pairs = body.split('&').filter(|pair| !pair.is_empty());
        let values = pairs.map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        });
        Self { values: values.collect() }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// A list numbered from 1 under `prefix`: EC2 says `SubnetId.1`, ELBv2 `ResourceArns.member.1` (prefix `ResourceArns.member`).
    pub(crate) fn list(&self, prefix: &str) -> Vec<&str> {
        (1..).map_while(|number| self.get(&format!("{prefix}.{number}"))).collect()
    }

    /// A whole number within bounds, in ELBv2's words when it is not.
    pub(crate) fn page_size(&self, name: &str, most: usize) -> Result<usize, AwsError> {
        let Some(text) = self.get(name) else { return Ok(most) };
        match text.parse::<usize>() {
            Ok(size) if (1..=most).contains(&size) => Ok(size),
            _ => Err(AwsError::bad(
                "ValidationError",
                format!(
                    "1 validation error detected: Value '{text}' at 'pageSize' failed to satisfy constraint: Member must be between 1 and {most}"
                ),
            )),
        }
    }

    /// EC2's `MaxResults` within bounds.
    pub(crate) fn max_results(&self, least: usize, most: usize) -> Result<usize, AwsError> {
        let Some(text) = self.get("MaxResults") else { return Ok(most) };
        match text.parse::<usize>() {
            Ok(size) if (least..=most).contains(&size) => Ok(size),
            _ => Err(AwsError::bad(
                "InvalidParameterValue",
                format!("Value ( {text} ) for parameter maxResults is invalid. Expecting a value between {least} and {most}."),
            )),
        }
    }

    /// EC2's filters.
    pub(crate) fn filters(&self) -> Filters<'_> {
        let names = (1..).map_while(|number| Some((number, self.get(&format!("Filter.{number}.Name"))?)));
        Filters { filters: names.map(|(number, name)| (name, self.list(&format!("Filter.{number}.Value")))).collect() }
    }
}

/// The filters of an EC2 request: all must hold, each for one of its values.
#[derive(Debug)]
pub(crate) struct Filters<'a> {
    filters: Vec<(&'a str, Vec<&'a str>)>,
}

impl Filters<'_> {
    /// Whether something with these tags passes. `field` gives the values of a filter's name, and `None` for a name that this
    /// call does not know.
    pub(crate) fn pass<'b>(
        &self,
        tags: Option<&Tags>,
        field: impl Fn(&str) -> Option<Vec<Cow<'b, str>>>,
    ) -> Result<bool, AwsError> {
        for (name, wanted) in &self.filters {
            let matches = |value: &str| wanted.iter().any(|pattern| glob(pattern, value));
            let held = match (name.strip_prefix("tag:"), tags) {
                (Some(key), Some(tags)) => tags.get(key).is_some_and(|value| matches(value)),
                _ if *name == "tag-key" && tags.is_some() => tags.is_some_and(|tags| tags.keys().any(|key| matches(key))),
                _ => match field(name) {
                    Some(values) => values.iter().any(|value| matches(value)),
                    None => {
                        return Err(AwsError::bad("InvalidParameterValue", format!("The filter '{name}' is invalid")));
                    }
                },
            };
            if !held {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// `*` stands for any text, as in EC2's filters.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => {
            let Some(rest) = text.strip_prefix(head) else { return false };
            (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| glob(tail, &rest[at..]))
        }
    }
}

/// One page of things in the order of their keys, and the token for the next one.
///
/// The token holds the last key, not a position: nothing is skipped or told twice when the world changes between pages.
pub(crate) fn page<T>(
    items: impl Iterator<Item = (String, T)>,
    token: Option<&str>,
    size: usize,
    invalid: &'static str,
) -> Result<(Vec<T>, Option<String>), AwsError> {
    let after = match token {
        Some(token) => Some(key_of(token).ok_or_else(|| AwsError::bad(invalid, format!("The token '{token}' is invalid")))?),
        None => None,
    };
    let mut found = Vec::new();
    let mut last = None;
    for (key, item) in items {
        if after.as_ref().is_some_and(|after| key <= *after) {
            continue;
        }
        if found.len() == size {
            return Ok((found, last.as_deref().map(token_of)));
        }
        found.push(item);
        last = Some(key);
    }
    Ok((found, None))
}

fn token_of(key: &str) -> String {
    key.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn key_of(token: &str) -> Option<String> {
    if !token.len().is_multiple_of(2) || !token.is_ascii() {
        return None;
    }
    let bytes = (0..token.len()).step_by(2).map(|at| u8::from_str_radix(&token[at..at + 2], 16).ok());
    String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()
}

/// Decodes `%XX` and `+`; what is no valid escape stays as it is.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (bytes[at], escape) {
            (_, Some(byte)) => {
                decoded.push(byte);
                at += 3;
            }
            (b'+', _) => {
                decoded.push(b' ');
                at += 1;
            }
            (byte, _) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_lists_are_read() {
        let parameters =
            Parameters::parse("Action=X&SubnetId.1=a&SubnetId.2=b%2Fc&ResourceArns.member.1=arn%3Aaws&Note=a+b&Bad=%zz");
        assert_eq!(parameters.list("SubnetId"), ["a", "b/c"]);
        assert_eq!(parameters.list("ResourceArns.member"), ["arn:aws"]);
        assert_eq!((parameters.get("Note"), parameters.get("Bad")), (Some("a b"), Some("%zz")));
    }

    #[test]
    fn filters_hold_all_at_once_and_know_stars() {
        let parameters = Parameters::parse(
            "Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-1&Filter.1.Value.2=vpc-2&Filter.2.Name=tag-key&Filter.2.Value.1=kubernetes.io%2F*",
        );
        let filters = parameters.filters();
        let pass = |vpc: &'static str, key: &str| {
            let tags = Tags::from([(key.into(), "1".into())]);
            filters.pass(Some(&tags), |name| (name == "vpc-id").then(|| vec![vpc.into()])).unwrap()
        };
        assert!(pass("vpc-2", "kubernetes.io/role/elb"));
        assert!(!pass("vpc-3", "kubernetes.io/role/elb"));
        assert!(!pass("vpc-1", "Name"));
        assert!(filters.pass(None, |_| None).is_err(), "an unknown filter is refused");
    }

    #[test]
    fn pages_go_on_after_the_last_key_whatever_happened_since() {
        let items = |names: &[&'static str]| names.iter().map(|name| ((*name).to_owned(), *name)).collect::<Vec<_>>().into_iter();
        let (first, token) = page(items(&["a", "b", "c", "d"]), None, 2, "X").unwrap();
        assert_eq!(first, ["a", "b"]);
        let (second, token) = page(items(&["a", "c", "d"]), token.as_deref(), 2, "X").unwrap();
        assert_eq!((second, token), (vec!["c", "d"], None));
        assert!(page(items(&["a"]), Some("no token"), 2, "X").is_err());
    }
}
