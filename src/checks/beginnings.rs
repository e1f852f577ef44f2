//! Since when is something wrong? One picture cannot tell, and those before it can.
//!
//! What was not found a picture ago, by a check that could see then as it can now, began in between. What was there at the first
//! look is older than that, and nobody here saw how much: only what AWS or Kubernetes says of a time before counts for that
//! (`created_at`, the last success of a source). A source that never succeeded did not begin to fail when it was first tried. A check that goes blind forgets nothing: what it finds again has lasted.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::CHECKS;
use super::model::{Finding, Outcome, Subject};

/// What was found in the pictures so far, and since when.
#[derive(Debug)]
pub struct Beginnings {
    /// When the first picture was begun.
    started: Timestamp,
    /// What the picture before this one had, or could not look for.
    known: BTreeMap<Key, Vec<Known>>,
    /// Checks that saw everything they judge by in the picture before this one.
    saw: BTreeSet<&'static str>,
}

/// The code of a finding, and what it is about.
type Key = (&'static str, Subject);

/// One of the findings of one code about one thing.
#[derive(Debug)]
struct Known {
    message: String,
    beginning: Beginning,
}

#[derive(Debug, Clone, Copy)]
struct Beginning {
    since: Option<Timestamp>,
    seen_since: Timestamp,
}

impl Beginnings {
    /// Nothing was found before `started`.
    pub fn new(started: Timestamp) -> Self {
        Self { started, known: BTreeMap::new(), saw: BTreeSet::new() }
    }

    /// Says of each finding of the next picture since when it is so.
    pub fn note(&mut self, outcome: &mut Outcome) {
        let now = outcome.evaluated_at;
        let sees: BTreeSet<_> = outcome.runs.iter().filter(|run| run.success && !run.blind).map(|run| run.check).collect();
        let mut before = std::mem::take(&mut self.known);
        let mut findings: Vec<&mut Finding> = outcome.findings.iter_mut().chain(&mut outcome.muted).collect();
        // Several of one code may be about one thing, two annotations of a Service for example: the same words are the same one.
        let same: Vec<Option<Beginning>> = findings
            .iter()
            .map(|finding| {
                let all = before.get_mut(&key(finding))?;
                let at = all.iter().position(|known| known.message == finding.message)?;
                Some(all.remove(at).beginning)
            })
            .collect();
        for (finding, same) in findings.iter_mut().zip(same) {
            let key = key(finding);
            // Numbers in the words change while it lasts.
            let changed = || before.get_mut(&key).filter(|all| !all.is_empty()).map(|all| all.remove(0).beginning);
            let beginning = same.or_else(changed).unwrap_or_else(|| self.first_sight(finding, now));
            (finding.since, finding.seen_since) = (beginning.since, Some(beginning.seen_since));
            self.known.entry(key).or_default().push(Known { message: finding.message.clone(), beginning });
        }
        before.retain(|(code, _), all| !all.is_empty() && check_of(code).is_some_and(|check| !sees.contains(check)));
        for (key, unseen) in before {
            self.known.entry(key).or_default().extend(unseen);
        }
        self.saw = sees;
    }

    fn first_sight(&self, finding: &Finding, now: Timestamp) -> Beginning {
        let told = finding.since;
        let never_well = matches!(finding.subject, Subject::Source(_)) && told.is_none();
        let looked = !never_well && check_of(finding.kind.code).is_some_and(|check| self.saw.contains(check));
        let since = if looked { told.filter(|at| *at <= now).or(Some(now)) } else { told.filter(|at| *at < self.started) };
        Beginning { since, seen_since: now }
    }
}

fn key(finding: &Finding) -> Key {
    (finding.kind.code, finding.subject.clone())
}

/// The check that makes findings of this code.
fn check_of(code: &str) -> Option<&'static str> {
    CHECKS.iter().find(|check| check.findings.iter().any(|kind| kind.code == code)).map(|check| check.name)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::catalogue::{DRIFT, SOURCE_DOWN, SUBNET_NEARLY_FULL};
    use super::super::model::{CheckRun, FindingKind};
    use super::*;

    const START: i64 = 1_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn finding(kind: &'static FindingKind, message: &str, since: Option<i64>) -> Finding {
        Finding { kind, subject: Subject::Cluster, message: message.to_owned(), since: since.map(at), seen_since: None }
    }

    /// A picture of `second`. The checks see everything unless they are blind.
    fn picture(second: i64, blind: bool, findings: Vec<Finding>) -> Outcome {
        let run = |check| CheckRun { check, success: true, duration: Duration::ZERO, blind };
        Outcome {
            evaluated_at: at(second),
            families: Vec::new(),
            findings,
            muted: Vec::new(),
            runs: CHECKS.iter().map(|check| run(check.name)).collect(),
        }
    }

    /// Since when each finding is, and since when it is seen.
    fn noted(beginnings: &mut Beginnings, mut outcome: Outcome) -> Vec<(Option<i64>, Option<i64>)> {
        beginnings.note(&mut outcome);
        let second = |at: Option<Timestamp>| at.map(Timestamp::as_second);
        outcome.findings.iter().chain(&outcome.muted).map(|it| (second(it.since), second(it.seen_since))).collect()
    }

    fn full(message: &str) -> Vec<Finding> {
        vec![finding(&SUBNET_NEARLY_FULL, message, None)]
    }

    #[test]
    fn what_begins_while_somebody_looks_has_a_beginning_and_keeps_it() {
        let mut beginnings = Beginnings::new(at(START));
        assert_eq!(noted(&mut beginnings, picture(1_010, false, vec![])), []);
        assert_eq!(noted(&mut beginnings, picture(1_020, false, full("5 free"))), [(Some(1_020), Some(1_020))]);
        assert_eq!(noted(&mut beginnings, picture(1_030, false, full("4 free"))), [(Some(1_020), Some(1_020))]);
        assert_eq!(noted(&mut beginnings, picture(1_040, false, vec![])), []);
        assert_eq!(noted(&mut beginnings, picture(1_050, false, full("4 free"))), [(Some(1_050), Some(1_050))], "it was gone");
    }

    #[test]
    fn what_was_there_at_the_first_look_is_at_least_so_old() {
        let mut beginnings = Beginnings::new(at(START));
        assert_eq!(noted(&mut beginnings, picture(1_010, false, full("5 free"))), [(None, Some(1_010))]);
        assert_eq!(noted(&mut beginnings, picture(1_100, false, full("5 free"))), [(None, Some(1_010))]);
        // Blind checks look at nothing: the first look is the first one that sees.
        let mut beginnings = Beginnings::new(at(START));
        noted(&mut beginnings, picture(1_010, true, vec![]));
        assert_eq!(noted(&mut beginnings, picture(1_020, false, full("5 free"))), [(None, Some(1_020))]);
    }

    #[test]
    fn a_time_that_somebody_else_tells_counts_where_it_is_from_before_the_first_look() {
        let down = |since| vec![finding(&SOURCE_DOWN, "down", Some(since))];
        let first = |since| noted(&mut Beginnings::new(at(START)), picture(1_010, false, down(since)));
        assert_eq!(first(900), [(Some(900), Some(1_010))]);
        assert_eq!(first(1_005), [(None, Some(1_010))], "the first sample's own time says nothing");
        let mut beginnings = Beginnings::new(at(START));
        noted(&mut beginnings, picture(1_010, false, vec![]));
        assert_eq!(noted(&mut beginnings, picture(1_020, false, down(1_015))), [(Some(1_015), Some(1_020))]);
        assert_eq!(noted(&mut beginnings, picture(1_030, false, down(1_025))), [(Some(1_015), Some(1_020))], "it lasts");
    }

    #[test]
    fn a_source_that_never_succeeded_did_not_begin_to_fail_at_its_first_try() {
        let mut beginnings = Beginnings::new(at(START));
        noted(&mut beginnings, picture(1_010, false, vec![]));
        let mut denied = finding(&SOURCE_DOWN, "denied; never succeeded", None);
        denied.subject = Subject::Source("aws_subnets".into());
        assert_eq!(noted(&mut beginnings, picture(1_020, false, vec![denied])), [(None, Some(1_020))]);
    }

    #[test]
    fn blindness_ends_nothing() {
        let mut beginnings = Beginnings::new(at(START));
        noted(&mut beginnings, picture(1_010, false, vec![]));
        noted(&mut beginnings, picture(1_020, false, full("5 free")));
        assert_eq!(noted(&mut beginnings, picture(1_030, true, vec![])), []);
        assert_eq!(noted(&mut beginnings, picture(1_040, false, full("5 free"))), [(Some(1_020), Some(1_020))]);
    }

    #[test]
    fn two_of_one_code_about_one_thing_have_beginnings_of_their_own() {
        let drift = |messages: &[&str]| messages.iter().map(|message| finding(&DRIFT, message, None)).collect::<Vec<_>>();
        let mut beginnings = Beginnings::new(at(START));
        noted(&mut beginnings, picture(1_010, false, vec![]));
        noted(&mut beginnings, picture(1_020, false, drift(&["scheme"])));
        let both = [(Some(1_030), Some(1_030)), (Some(1_020), Some(1_020))];
        assert_eq!(noted(&mut beginnings, picture(1_030, false, drift(&["path", "scheme"]))), both);
        assert_eq!(noted(&mut beginnings, picture(1_040, false, drift(&["path"]))), both[..1]);
    }

    #[test]
    fn a_mute_neither_ends_nor_begins_anything() {
        let mut beginnings = Beginnings::new(at(START));
        noted(&mut beginnings, picture(1_010, false, vec![]));
        noted(&mut beginnings, picture(1_020, false, full("5 free")));
        let muted = Outcome { muted: full("5 free"), ..picture(1_030, false, vec![]) };
        assert_eq!(noted(&mut beginnings, muted), [(Some(1_020), Some(1_020))]);
    }
}
