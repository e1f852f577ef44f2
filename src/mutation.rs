//! How does text look that somebody made wrong, by accident or on purpose? Real inputs, damaged: for the tests of everything that
//! reads what others wrote.
//!
//! Of each property so many cases are tried as `PROPTEST_CASES` says, 256 unless told (`make fuzz` tries more). What failed once
//! is kept in `proptest-regressions/` beside the sources and tried first from then on.

use std::sync::mpsc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::Config;
use serde_json::Value;

/// No input of these tests takes a reader more than a moment. One that takes time with the square of its length takes hours.
const DEADLINE: Duration = Duration::from_secs(60);

/// A part of the usual number of cases, for what takes longer.
pub(crate) fn one_in(share: u32) -> Config {
    let usual = Config::default();
    Config { cases: (usual.cases / share).max(4), ..usual }
}

/// Runs it, and fails when it does not end.
pub(crate) fn in_time<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(DEADLINE).unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// One thing that happens to bytes.
#[derive(Debug, Clone)]
pub(crate) enum Damage {
    /// The end is missing.
    Cut(Index),
    /// Some bits are others.
    Flip(Index, u8),
    /// Something stands in between.
    Insert(Index, Vec<u8>),
    /// Something is missing in between.
    Remove(Index, usize),
    /// A piece stands there many times.
    Repeat(Index, usize, usize),
}

/// What happens to bytes: a few of these.
pub(crate) fn damage() -> impl Strategy<Value = Vec<Damage>> {
    let at = any::<Index>;
    let one = prop_oneof![
        2 => at().prop_map(Damage::Cut),
        3 => (at(), 1_u8..).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        3 => (at(), odd_text()).prop_map(|(at, text)| Damage::Insert(at, text.into_bytes())),
        1 => (at(), vec(any::<u8>(), 0..8)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        3 => (at(), 1_usize..40).prop_map(|(at, length)| Damage::Remove(at, length)),
        2 => (at(), 1_usize..60, 2_usize..200).prop_map(|(at, length, times)| Damage::Repeat(at, length, times)),
    ];
    vec(one, 1..4)
}

/// The bytes after that.
pub(crate) fn damaged(bytes: &[u8], damage: &[Damage]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for one in damage {
        let place = |at: &Index| at.index(bytes.len() + 1);
        match one {
            Damage::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
            Damage::Flip(at, bits) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] ^= bits;
            }
            Damage::Flip(..) => {}
            Damage::Insert(at, more) => {
                let at = place(at);
                bytes.splice(at..at, more.iter().copied());
            }
            Damage::Remove(at, length) => {
                let at = place(at);
                bytes.drain(at..(at + length).min(bytes.len()));
            }
            Damage::Repeat(at, length, times) => {
                let at = place(at);
                let piece = bytes[at..(at + length).min(bytes.len())].repeat(*times);
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

/// The text after that; what is no longer UTF-8 becomes the character for it.
pub(crate) fn damaged_text(text: &str, damage: &[Damage]) -> String {
    String::from_utf8_lossy(&damaged(text.as_bytes(), damage)).into_owned()
}

/// Text that has surprised readers before.
pub(crate) fn odd_text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => proptest::sample::select(vec![
            "", " ", "\n", "\r\n", "\t", "\u{0}", "\u{1b}[31m", "\u{feff}", "\u{202e}", "'", "\"", "\\", "<", "&", "]]>", "&#0;", "<!--", "{", "}", "[", "]", ":", ",",
            "=", "|", "*", "&a", "*a", "!!binary", "? ", "- ", "---\n", "null", "true", "NaN", "-1", "0", "4294967296",
            "9223372036854775807", "-9223372036854775808", "18446744073709551616", "1e400", "0x10", "1_000", "2026-02-30",
            "9999-12-30T22:00:00.999999999Z", "-009999-01-02T01:59:59Z", "0.0.0.0/0", "10.0.0.0/33", "::/0", "::ffff:1.2.3.4/129",
            "arn:aws:elasticloadbalancing:::", "../../etc/passwd", "%00", "%", "\u{e4}\u{308}\u{1f9d1}\u{200d}\u{1f680}",
        ]).prop_map(str::to_owned),
        2 => "\\PC{0,20}",
        1 => ".{0,20}",
        1 => (0_usize..3, 100_usize..5_000).prop_map(|(which, times)| ["a", ",", "\u{e4}"][which].repeat(times)),
    ]
}

/// One edit of a tree: the n-th of its values becomes another, or goes.
#[derive(Debug, Clone)]
pub(crate) struct Edit {
    at: Index,
    to: Option<Value>,
}

/// A few edits.
pub(crate) fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-3_i64..70_000).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        odd_text().prop_map(Value::from),
    ];
    let value = scalar.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((odd_text(), inner), 0..4).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    });
    vec((any::<Index>(), proptest::option::weighted(0.8, value)).prop_map(|(at, to)| Edit { at, to }), 1..5)
}

/// The tree after these edits.
pub(crate) fn edited(tree: &Value, edits: &[Edit]) -> Value {
    let mut tree = tree.clone();
    for Edit { at, to } in edits {
        let mut left = at.index(count(&tree).max(1));
        edit(&mut tree, &mut left, to.as_ref());
    }
    tree
}

/// How many values there are below this one.
fn count(tree: &Value) -> usize {
    match tree {
        Value::Array(items) => items.iter().map(|item| 1 + count(item)).sum(),
        Value::Object(fields) => fields.values().map(|item| 1 + count(item)).sum(),
        _ => 0,
    }
}

/// Edits the value that is `left` further on; whether it was found.
fn edit(tree: &mut Value, left: &mut usize, to: Option<&Value>) -> bool {
    match tree {
        Value::Array(items) => {
            for index in 0..items.len() {
                if *left == 0 {
                    match to {
                        Some(to) => items[index] = to.clone(),
                        None => drop(items.remove(index)),
                    }
                    return true;
                }
                *left -= 1;
                if edit(&mut items[index], left, to) {
                    return true;
                }
            }
        }
        Value::Object(fields) => {
            let keys: Vec<String> = fields.keys().cloned().collect();
            for key in keys {
                if *left == 0 {
                    match to {
                        Some(to) => fields[&key] = to.clone(),
                        None => drop(fields.remove(&key)),
                    }
                    return true;
                }
                *left -= 1;
                if fields.get_mut(&key).is_some_and(|value| edit(value, left, to)) {
                    return true;
                }
            }
        }
        _ => {}
    }
    false
}
