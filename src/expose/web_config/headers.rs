//! Which headers may be added to every answer? A closed list, the same for all programs that share this format.

use http::{HeaderName, HeaderValue};

use super::document::{Complaint, Node, Section, Value};

/// The name as it has to be written, and the values it may have; none listed: any.
const ALLOWED: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
];

pub(super) fn read(section: Section) -> Result<Vec<(HeaderName, HeaderValue)>, Complaint> {
    let names = || ALLOWED.map(|(name, _)| name).join(", ");
    let mut headers = Vec::new();
    for (key, Node { line, value }) in section.rest() {
        let refuse = |what: String| Complaint::new(line, format!("http_server_config.headers.{key} {what}"));
        let Some((name, values)) = ALLOWED.iter().find(|(name, _)| *name == key) else {
            return Err(refuse(format!("cannot be set; the headers are {}", names())));
        };
        let text = match value {
            Value::Nothing => continue,
            Value::Text(text) if text.is_empty() => continue,
            Value::Text(text) => text,
            // X-XSS-Protection: 0
            Value::Whole(number) => number.to_string(),
            _ => return Err(refuse("has to be a text".to_owned())),
        };
        if !values.is_empty() && !values.contains(&text.as_str()) {
            return Err(refuse(format!("is {text:?}, but it may be {}", values.join(" or "))));
        }
        let name = HeaderName::from_bytes(name.as_bytes()).expect("the list holds names of headers");
        let value = HeaderValue::from_str(&text).map_err(|_| refuse("has a character that no header may have".to_owned()))?;
        headers.push((name, value));
    }
    Ok(headers)
}
