//! Which keys does the file have, and in which line? A tree that knows its lines, and sections that are used up key by key.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use crate::excerpt::cut;

/// Characters of a complaint: what is known may be listed, and a key or a value in it may be of any length.
const LONGEST: usize = 500;

/// A third of a bcrypt hash.
const LEAST_OF_A_SECRET: usize = 16;

/// A value with the line it stands in.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) line: u64,
    pub(super) value: Value,
}

/// A value. Numbers that are whole stay whole.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Nothing,
    Bool(bool),
    Whole(i64),
    /// A number with a fraction, or out of range: no key takes one.
    Number,
    Text(String),
    List(Vec<Node>),
    /// Key, its line, its value; in the order of the file, no key twice.
    Map(Vec<(String, Node)>),
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Bool(_) => "true or false",
            Self::Whole(_) | Self::Number => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a section",
        }
    }
}

/// What is wrong, and in which line.
#[derive(Debug, PartialEq)]
pub(super) struct Complaint {
    pub(super) line: u64,
    pub(super) message: String,
}

/// What may be told of a text of the file: not what looks like a hash or a key, wherever it was put, and no more than a few lines
/// of it.
pub(super) fn told(text: &str) -> String {
    let is_inside = |letter: char| letter.is_ascii_alphanumeric() || "./+$=".contains(letter);
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|letter| !is_inside(letter)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        shown.push_str(if looks_secret(run) { "(hidden)" } else { run });
        let mut others = after.chars();
        shown.extend(others.next());
        rest = others.as_str();
    }
    cut(&shown, LONGEST)
}

/// Words, keys, names of hosts and paths do not mix capitals, small letters and digits over such a length; hashes, keys in PEM and
/// their tails do.
fn looks_secret(run: &str) -> bool {
    run.len() >= LEAST_OF_A_SECRET
        && run.contains(|letter: char| letter.is_ascii_uppercase())
        && run.contains(|letter: char| letter.is_ascii_lowercase())
        && run.contains(|letter: char| letter.is_ascii_digit() || letter == '$')
}

impl Complaint {
    pub(super) fn new(line: u64, message: impl Into<String>) -> Self {
        Self { line, message: told(&message.into()) }
    }
}

/// A section whose keys are taken out one by one; what is left over at the end is refused.
#[derive(Debug)]
pub(super) struct Section {
    name: String,
    pub(super) line: u64,
    entries: Vec<(String, Node)>,
}

impl Section {
    /// The section under `name`; nothing at all is an empty one.
    pub(super) fn new(name: &str, node: Option<Node>) -> Result<Self, Complaint> {
        let (line, entries) = match node {
            None => (1, Vec::new()),
            Some(Node { line, value: Value::Nothing }) => (line, Vec::new()),
            Some(Node { line, value: Value::Map(entries) }) => (line, entries),
            Some(Node { line, value }) => {
                let what = if name.is_empty() { "the file" } else { name };
                return Err(Complaint::new(line, format!("{what} is {}, but it is made of keys and values", value.kind())));
            }
        };
        let section = Self { name: name.to_owned(), line, entries };
        let mut seen = HashSet::new();
        match section.entries.iter().find(|(key, _)| !seen.insert(key.as_str())) {
            Some((key, node)) => Err(Complaint::new(node.line, format!("{} is there twice", section.path(key)))),
            None => Ok(section),
        }
    }

    /// A key's name with its section's.
    pub(super) fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    pub(super) fn take(&mut self, key: &str) -> Option<Node> {
        let at = self.entries.iter().position(|(name, _)| name == key)?;
        Some(self.entries.remove(at).1)
    }

    /// A complaint about one of the keys.
    pub(super) fn complain(&self, line: u64, key: &str, what: impl fmt::Display) -> Complaint {
        Complaint::new(line, format!("{} {what}", self.path(key)))
    }

    fn not(&self, key: &str, node: &Node, expected: &str) -> Complaint {
        self.complain(node.line, key, format_args!("is {}, but it has to be {expected}", node.value.kind()))
    }

    /// A text with its line. An empty one counts as left out, as in the programs that share this format.
    pub(super) fn text(&mut self, key: &str) -> Result<Option<(u64, String)>, Complaint> {
        match self.take(key) {
            None | Some(Node { value: Value::Nothing, .. }) => Ok(None),
            Some(Node { value: Value::Text(text), .. }) if text.is_empty() => Ok(None),
            Some(Node { line, value: Value::Text(text) }) => Ok(Some((line, text))),
            Some(node) => Err(self.not(key, &node, "a text")),
        }
    }

    /// A text with its line, or a whole number as it is written.
    pub(super) fn written(&mut self, key: &str) -> Result<Option<(u64, String)>, Complaint> {
        match self.entries.iter().find(|(name, _)| name == key) {
            Some((_, Node { value: Value::Whole(_), .. })) => {
                let Some((line, number)) = self.whole(key)? else { return Ok(None) };
                Ok(Some((line, number.to_string())))
            }
            _ => self.text(key),
        }
    }

    pub(super) fn bool(&mut self, key: &str) -> Result<Option<bool>, Complaint> {
        match self.take(key) {
            None | Some(Node { value: Value::Nothing, .. }) => Ok(None),
            Some(Node { value: Value::Bool(value), .. }) => Ok(Some(value)),
            Some(node) => Err(self.not(key, &node, "true or false")),
        }
    }

    pub(super) fn whole(&mut self, key: &str) -> Result<Option<(u64, i64)>, Complaint> {
        match self.take(key) {
            None | Some(Node { value: Value::Nothing, .. }) => Ok(None),
            Some(Node { line, value: Value::Whole(value) }) => Ok(Some((line, value))),
            Some(node) => Err(self.not(key, &node, "a whole number")),
        }
    }

    /// A list of texts, each with its line.
    pub(super) fn texts(&mut self, key: &str) -> Result<Option<Vec<(u64, String)>>, Complaint> {
        let list = match self.take(key) {
            None | Some(Node { value: Value::Nothing, .. }) => return Ok(None),
            Some(Node { value: Value::List(list), .. }) => list,
            Some(node) => return Err(self.not(key, &node, "a list of texts")),
        };
        let texts = list.into_iter().map(|node| match node {
            Node { line, value: Value::Text(text) } => Ok((line, text)),
            node => Err(self.not(key, &node, "a list of texts")),
        });
        texts.collect::<Result<_, _>>().map(Some)
    }

    /// Everything that is left, for sections whose keys are names of the user's.
    pub(super) fn rest(self) -> Vec<(String, Node)> {
        self.entries
    }

    /// Refuses what nobody has taken.
    pub(super) fn finish(self, known: &[&str]) -> Result<(), Complaint> {
        let Some((key, node)) = self.entries.first() else { return Ok(()) };
        let of = if self.name.is_empty() { "of the file".to_owned() } else { format!("of {}", self.name) };
        Err(Complaint::new(node.line, format!("{} is not known; the keys {of} are {}", self.path(key), known.join(", "))))
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { line: spanned.referenced.line(), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Whole(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Number, Value::Whole))
    }

    fn visit_i128<E>(self, _: i128) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = access.next_element()? {
            list.push(node);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = access.next_key::<Spanned<String>>()? {
            // The key's line: a value may begin in the next one.
            let value = access.next_value::<Value>()?;
            entries.push((key.value, Node { line: key.referenced.line(), value }));
        }
        Ok(Value::Map(entries))
    }
}
