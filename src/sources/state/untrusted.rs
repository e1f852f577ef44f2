//! What do damaged and forged texts do to the history? Whoever may write the ConfigMap or the file may write anything.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::format::{FormatError, decode, encode};
use crate::inventory::history::History;
use crate::mutation::{damage, damaged, edited, edits, in_time};

fn packed(text: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text).and_then(|()| packed.finish()).unwrap()
}

/// A history with everything in it that one may have.
fn whole() -> Value {
    let key = |name: &str| format!("service.beta.kubernetes.io/aws-load-balancer-{name}");
    json!({
        "version": 1, "began_at": "2026-01-01T00:00:00Z", "observed_at": "2026-02-01T00:00:00Z",
        "services": {"shop/web": {
            "uid": "u", "first_seen_at": "2026-01-01T00:00:00Z", "load_balancer_created_at": "2025-12-01T00:00:00Z",
            "adopted": {"at": "2026-01-01T00:00:00Z"},
            "baseline": {key("name"): "one", key("attributes"): {"ends": "a…b", "length": 90, "digest": "0000000000ff"}},
            "edited": {key("name"): {"now": "two", "at": {"at": "2026-01-02T00:00:00Z"}}},
            "edits": [{"annotation": key("name"), "from": "one", "to": "two",
                "at": {"between": ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]}}],
        }},
    })
}

/// What goes on with a history must neither fall nor change what it says when it is kept again.
fn lives(history: &History) {
    assert_eq!(decode(&encode(history)).as_ref(), Ok(history));
    let mut resumed = history.clone().resume();
    resumed.absorb(history);
    for record in history.services.values() {
        for annotation in record.baseline.keys() {
            record.current(annotation).map(ToString::to_string);
        }
    }
    assert!(decode(&encode(&resumed)).is_ok());
    let later = Timestamp::from_second(1_800_000_000).unwrap();
    resumed.observe(&crate::inventory::parts::Parts::default(), later);
}

fn told(error: &FormatError) {
    let words = error.to_string();
    assert!(words.lines().count() == 1 && words.chars().count() < 500, "{words}");
}

proptest! {
    #[test]
    fn a_damaged_untrusted_state_is_corrupt_and_never_another_history(damage in damage()) {
        let good = packed(whole().to_string().as_bytes());
        let bad = damaged(&good, &damage);
        match decode(&bad) {
            // A flag or the time in gzip's header, or what follows its end, may be anything.
            Ok(history) => prop_assert_eq!(Ok(history), decode(&good)),
            Err(error) => told(&error),
        }
    }

    #[test]
    fn an_edited_untrusted_state_is_refused_or_whole(edits in edits()) {
        match decode(&packed(edited(&whole(), &edits).to_string().as_bytes())) {
            Ok(history) => lives(&history),
            Err(error) => told(&error),
        }
    }

    #[test]
    fn untrusted_bytes_are_no_history(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(decode(&bytes).is_err() && decode(&packed(&bytes)).is_err());
    }
}

#[test]
fn an_untrusted_state_that_unpacks_to_much_costs_no_memory() {
    // 65 MiB of blanks are 64 kB.
    let bomb = packed(&vec![b' '; 65 << 20]);
    let error = in_time("unpacking", move || decode(&bomb)).unwrap_err();
    assert_eq!(error, FormatError::Corrupt("it unpacks to more than 64 MiB, which no history does".to_owned()));
}

#[test]
fn an_untrusted_state_that_is_deeply_nested_is_corrupt() {
    let deep = format!("{{\"version\":1,\"services\":{}", "[".repeat(100_000));
    assert!(matches!(decode(&packed(deep.as_bytes())), Err(FormatError::Corrupt(_))));
}
