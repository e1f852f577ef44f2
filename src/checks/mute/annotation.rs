//! What does a mute annotation say? Codes, an end and a reason; or why it cannot be followed.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use crate::checks::catalogue;
use crate::checks::model::FindingKind;

/// The annotation. Each line of its value is a mute: `CODES until DATE: reason`, e.g.
/// `NLB102,NLB501 until 2026-12-31: migration of the web tier, ticket 4711` or `all until 2026-12-31T18:00:00Z: load test`.
///
/// Codes are separated by commas. A date means the end of that day in UTC; a time is RFC 3339.
pub const MUTE: &str = "eks-nlb-exporter.io/mute";

/// A mute may end at most so far in the future: it is for a known while, and whoever still needs it renews it.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 90);

/// What of a value is repeated to a person at most.
const SHOWN: usize = 60;

/// An end is shorter than this, however it is written. What is longer is not even looked at: a value may have a hundred thousand
/// colons, and every one of them might divide an end from its reason.
const LONGEST_END: usize = 64;

/// How many lines that cannot be followed are spelt out, and how many unknown codes of a line.
const SPELT_OUT: usize = 5;

/// What a mute silences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Muted {
    /// Every finding.
    All,
    /// Findings of these codes.
    Codes(BTreeSet<&'static str>),
}

impl Muted {
    /// Whether it silences findings of a kind.
    pub(super) fn covers(&self, kind: &FindingKind) -> bool {
        match self {
            Self::All => true,
            Self::Codes(codes) => codes.contains(kind.code),
        }
    }

    /// As the `code` label says it.
    pub(super) fn labels(&self) -> Vec<&'static str> {
        match self {
            Self::All => vec!["all"],
            Self::Codes(codes) => codes.iter().copied().collect(),
        }
    }
}

/// An annotation, read at some moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Mutes {
    /// Those in force.
    pub(super) in_force: Vec<Muted>,
    /// Why others are not, one part of a sentence each.
    pub(super) problems: Vec<String>,
    /// When the one that ran out last did so.
    pub(super) expired_at: Option<Timestamp>,
}

/// Reads the annotation's value as of `now`.
pub(super) fn read(value: &str, now: Timestamp) -> Mutes {
    let mut mutes = Mutes::default();
    let lines: Vec<&str> = value.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() {
        mutes.problems.push("it is empty".to_owned());
    }
    for line in lines {
        mutes.add(line, now);
    }
    cut_short(&mut mutes.problems);
    mutes
}

impl Mutes {
    fn add(&mut self, line: &str, now: Timestamp) {
        let mut refuse = |why: String| self.problems.push(format!("{:?} {why}", shortened(line)));
        let Some((codes, rest)) = split_at_until(line) else {
            return refuse("has no end: it is written CODES until DATE: reason".to_owned());
        };
        let (end, reason) = match end_and_reason(rest) {
            Ok(found) => found,
            Err(why) => return refuse(why),
        };
        if reason.is_empty() {
            return refuse("has no reason: it is written CODES until DATE: reason".to_owned());
        }
        let (muted, unknown) = codes_of(codes);
        if !unknown.is_empty() {
            refuse(format!("names {}, which is no code of a finding", unknown.join(", ")));
        }
        let Some(muted) = muted else { return };
        if end <= now {
            refuse(format!("ran out at {end}"));
            self.expired_at = self.expired_at.max(Some(end));
        } else if now.duration_until(end) > LONGEST {
            refuse(format!(
                "ends more than {} days from now, and a mute of that length is not followed",
                LONGEST.as_hours() / 24
            ));
        } else {
            self.in_force.push(muted);
        }
    }
}

/// The codes before the word `until`, and what comes after it.
fn split_at_until(line: &str) -> Option<(&str, &str)> {
    let mut from = 0;
    while let Some(at) = line[from..].find("until").map(|at| from + at) {
        let (before, after) = (&line[..at], &line[at + "until".len()..]);
        if before.ends_with(char::is_whitespace) && after.starts_with(char::is_whitespace) {
            return Some((before.trim(), after.trim()));
        }
        from = at + 1;
    }
    None
}

/// The end and the reason after it. A time has colons itself, so the last colon with an end before it divides them.
fn end_and_reason(rest: &str) -> Result<(Timestamp, &str), String> {
    let divided = rest.rmatch_indices(':').find_map(|(at, _)| Some((end_of(rest[..at].trim())?, rest[at + 1..].trim())));
    match (divided, end_of(rest.trim())) {
        // A time at the very end of the line without a reason after it.
        (_, Some(end)) => Ok((end, "")),
        (Some(found), None) => Ok(found),
        (None, None) => Err("has an end that is neither a date (2026-12-31) nor a time (2026-12-31T18:00:00Z)".to_owned()),
    }
}

fn end_of(text: &str) -> Option<Timestamp> {
    if text.len() > LONGEST_END {
        return None;
    }
    // Both parsers take more than is promised, and half a time must not pass for a whole one.
    if text.len() == "2026-12-31".len() {
        let day: Date = text.parse().ok()?;
        return Offset::UTC.to_timestamp(day.tomorrow().ok()?.at(0, 0, 0, 0)).ok();
    }
    let (_, time) = text.split_once(['T', 't', ' '])?;
    let whole =
        time.ends_with(['Z', 'z']) || time.rsplit_once(['+', '-']).is_some_and(|(_, offset)| offset.len() == "01:00".len());
    if whole && time.matches(':').count() >= 2 { text.parse().ok() } else { None }
}

/// What is muted, and the words that are no code; nothing is muted when all of them are unknown.
fn codes_of(text: &str) -> (Option<Muted>, Vec<String>) {
    let mut codes = BTreeSet::new();
    let mut unknown = Vec::new();
    for word in text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty()) {
        if word.eq_ignore_ascii_case("all") {
            return (Some(Muted::All), unknown);
        }
        match catalogue::ALL.iter().find(|kind| kind.code.eq_ignore_ascii_case(word)) {
            Some(kind) => _ = codes.insert(kind.code),
            None => unknown.push(format!("{:?}", shortened(word))),
        }
    }
    if codes.is_empty() && unknown.is_empty() {
        unknown.push("nothing".to_owned());
    }
    cut_short(&mut unknown);
    ((!codes.is_empty()).then_some(Muted::Codes(codes)), unknown)
}

/// Keeps the first of them, and says how many there are more.
fn cut_short(said: &mut Vec<String>) {
    if said.len() > SPELT_OUT {
        let more = said.len() - SPELT_OUT;
        said.truncate(SPELT_OUT);
        said.push(format!("{more} more"));
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-25T12:00:00Z".parse().unwrap()
    }

    fn codes(codes: &[&'static str]) -> Muted {
        Muted::Codes(codes.iter().copied().collect())
    }

    #[test]
    fn codes_an_end_and_a_reason_are_a_mute() {
        for (value, expected) in [
            ("NLB501,NLB102 until 2026-12-31: reason", codes(&["NLB102", "NLB501"])),
            ("all until 2026-12-31: moving to another VPC", Muted::All),
            ("ALL until 2026-12-31:short", Muted::All),
            ("nlb101 until 2026-11-25T12:00:01Z: load test: step 2", codes(&["NLB101"])),
            ("NLB101, NLB103 until 2026-11-25T18:00:00+02:00: until noon", codes(&["NLB101", "NLB103"])),
            ("NLB101 until 2026-11-25: today still counts", codes(&["NLB101"])),
            ("  NLB101   until   2026-12-01 :  blanks  \n", codes(&["NLB101"])),
            ("NLB101 until 2026-12-01: not later than 2026-12-31: said bob", codes(&["NLB101"])),
        ] {
            let read = read(value, now());
            assert_eq!((read.in_force.as_slice(), read.problems.as_slice()), (&[expected][..], &[][..]), "{value}");
        }
    }

    #[test]
    fn whatever_is_not_whole_mutes_nothing_and_says_why() {
        for (value, why) in [
            ("", "it is empty"),
            ("NLB501", "has no end"),
            ("NLB501: because", "has no end"),
            ("all until further notice: because", "has an end that is neither"),
            ("all until 2026-12-31", "has no reason"),
            ("all until 2026-12-31:", "has no reason"),
            ("all until 2026-12-31T18:00:00Z", "has no reason"),
            ("all until 2026-12-31T18: because", "has an end that is neither"),
            ("all until 2026-12-31T18:00:00: because", "has an end that is neither"),
            ("all until 2026-12-31T18:00:00+01: because", "has an end that is neither"),
            ("all until 2026-02-30: because", "has an end that is neither"),
            ("all until 2026-11-24: because", "ran out at 2026-11-25T00:00:00Z"),
            ("all until 2026-11-25T12:00:00Z: because", "ran out at 2026-11-25T12:00:00Z"),
            ("all until 2027-02-24: because", "ends more than 90 days from now"),
            ("NLB999 until 2026-12-31: because", "names \"NLB999\", which is no code"),
            (" until 2026-12-31: because", "has no end"),
            (", until 2026-12-31: because", "names nothing"),
        ] {
            let read = read(value, now());
            assert!(read.in_force.is_empty(), "{value}");
            assert!(read.problems.len() == 1 && read.problems[0].contains(why), "{value}: {:?}", read.problems);
        }
    }

    #[test]
    fn ninety_days_are_followed_to_the_end_of_the_last_day_but_one() {
        assert_eq!(read("all until 2027-02-22: because", now()).in_force, [Muted::All]);
        assert!(read("all until 2027-02-23: because", now()).in_force.is_empty());
    }

    #[test]
    fn an_unknown_code_does_not_take_the_known_ones_with_it() {
        let read = read("NLB501,NLB998 until 2026-12-31: because", now());
        assert_eq!(read.in_force, [codes(&["NLB501"])]);
        assert!(read.problems[0].contains("\"NLB998\""), "{:?}", read.problems);
    }

    #[test]
    fn each_line_is_a_mute_of_its_own() {
        let read = read("NLB501 until 2026-12-31: one\n\nNLB102 until 2026-10-31: two\nNLB101 until 2026-12-01: three", now());
        assert_eq!(read.in_force, [codes(&["NLB501"]), codes(&["NLB101"])]);
        assert_eq!(read.expired_at, Some("2026-11-01T00:00:00Z".parse().unwrap()));
        assert_eq!(read.problems.len(), 1);
    }

    proptest! {
        #[test]
        fn no_value_makes_it_panic_or_mutes_without_until(value in "\\PC{0,60}") {
            let read = read(&value, now());
            prop_assert!(read.in_force.is_empty() || value.contains("until"));
        }

        #[test]
        fn near_misses_make_nothing_panic(value in "(NLB101|all|,| |until|2026-12-31|T18:00:00|Z|:|\\+01|ä|\n){0,12}") {
            read(&value, now());
        }

        #[test]
        fn what_an_untrusted_mute_is_told_for_stays_short(
            lines in proptest::collection::vec("(NLB101|NLB9[0-9]{2}|all|,| |until|2026-12-31|T18:00:00|Z|:|ä|\\PC){0,40}", 0..40),
        ) {
            let read = read(&lines.join("\n"), now());
            prop_assert!(read.problems.len() <= SPELT_OUT + 1);
            prop_assert!(read.problems.iter().all(|problem| problem.len() < 2_000 && !problem.contains('\n')), "{:?}", read.problems);
        }
    }

    #[test]
    fn the_longest_untrusted_mute_is_read_in_time_and_told_in_a_few_words() {
        let values = [
            "all until ".to_owned() + &":".repeat(250_000),
            "all until ".to_owned() + &"2026-12-31T18:".repeat(17_000),
            "until".repeat(50_000),
            "x\n".repeat(125_000),
            "NLB999,".repeat(35_000) + " until 2026-12-31: because",
        ];
        for value in values {
            let read = crate::mutation::in_time("a mute of 250 kB", move || read(&value, now()));
            assert!(read.in_force.is_empty() && read.problems.join("; ").len() < 2_000, "{:?}", read.problems);
        }
    }

    #[test]
    fn of_many_lines_that_cannot_be_followed_a_few_are_spelt_out() {
        let read = read(&"x\n".repeat(8), now());
        assert_eq!((read.problems.len(), read.problems[SPELT_OUT].as_str()), (SPELT_OUT + 1, "3 more"));
    }
}
