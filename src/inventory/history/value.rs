//! How is an annotation's value remembered? Whole when it is short; else its two ends, its length and a digest.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest value that is kept whole, in bytes.
const WHOLE: usize = 64;

/// How many characters of each end of a longer one are kept. Of an ARN or a list of them the end is what tells.
const END: usize = 12;

/// A value, compared as a whole whatever is kept of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// All of it.
    Whole(Arc<str>),
    /// A longer one.
    Long {
        /// Its beginning and its end, with an ellipsis between.
        ends: Arc<str>,
        /// Its length in bytes.
        length: usize,
        /// The lower 48 bits of FNV-1a of its bytes, in hexadecimal digits.
        digest: Arc<str>,
    },
}

impl Value {
    /// What is kept of a value.
    pub fn of(text: &Arc<str>) -> Self {
        if text.len() <= WHOLE {
            return Self::Whole(Arc::clone(text));
        }
        let begin = text.char_indices().nth(END).map_or(text.len(), |(at, _)| at);
        let end = text.char_indices().rev().nth(END - 1).map_or(0, |(at, _)| at);
        let ends = if begin < end { format!("{}…{}", &text[..begin], &text[end..]) } else { text.to_string() };
        Self::Long { ends: ends.into(), length: text.len(), digest: format!("{:012x}", digest(text)).into() }
    }

    /// Whether it is this text.
    pub fn is(&self, text: &str) -> bool {
        match self {
            Self::Whole(whole) => **whole == *text,
            Self::Long { length, digest: kept, .. } => {
                *length == text.len() && u64::from_str_radix(kept, 16).is_ok_and(|kept| kept == digest(text))
            }
        }
    }

    /// The text, where all of it is kept.
    pub fn whole(&self) -> Option<&str> {
        match self {
            Self::Whole(text) => Some(text),
            Self::Long { .. } => None,
        }
    }

    pub(super) fn shared(self, share: &impl Fn(&str) -> Arc<str>) -> Self {
        match self {
            Self::Whole(text) => Self::Whole(share(&text)),
            Self::Long { ends, length, digest } => Self::Long { ends: share(&ends), length, digest: share(&digest) },
        }
    }
}

fn digest(text: &str) -> u64 {
    fnv_1a(text) & 0xffff_ffff_ffff
}

/// FNV-1a. It has to give the same on every platform and in every version of this program, and nobody gains by a collision.
fn fnv_1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Quoted, as it is told to people.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(text) => write!(f, "{text:?}"),
            Self::Long { ends, length, .. } => write!(f, "{ends:?} ({length} bytes)"),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_digest_is_fnv_1a() {
        // The published test vectors of the 64-bit variant.
        for (text, expected) in [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)] {
            assert_eq!(fnv_1a(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_long_value_is_told_by_its_ends() {
        let arn = "arn:aws:acm:us-east-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef";
        assert_eq!(Value::of(&arn.into()).to_string(), "\"arn:aws:acm:…456789abcdef\" (83 bytes)");
        assert_eq!(Value::of(&"ip".into()).to_string(), "\"ip\"");
    }

    proptest! {
        #[test]
        fn a_value_is_itself_and_no_other(text in "\\PC{0,120}", other in "\\PC{0,120}") {
            let value = Value::of(&text.as_str().into());
            prop_assert!(value.is(&text));
            prop_assert_eq!(value.is(&other), text == other);
            let json = serde_json::to_string(&value).unwrap();
            prop_assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value);
        }
    }
}
