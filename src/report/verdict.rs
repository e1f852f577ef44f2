//! What comes of a picture that was judged once: what counts, what is left out, what could not be known, and the exit code.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use super::ignore::Ignore;
use crate::checks::catalogue::{RESOURCES_MISSING, SOURCE_DENIED, SOURCE_DOWN, SOURCE_STALE};
use crate::checks::model::{Finding, FindingKind, Outcome, Severity, Subject};
use crate::inventory::parts::Parts;
use crate::inventory::readiness::Pending;

/// Findings about a source itself. Who ignores one of them for a source accepts that it is not seen.
static BLINDNESS: [&FindingKind; 4] = [&SOURCE_DOWN, &SOURCE_DENIED, &SOURCE_STALE, &RESOURCES_MISSING];

/// Nothing found.
pub const CLEAN: u8 = 0;
/// Something found.
pub const FOUND: u8 = 1;
/// Not everything could be known.
pub const BLIND: u8 = 3;

/// Something that could not be known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The source, the check, or what is still waited for.
    pub what: String,
    /// Why.
    pub why: String,
}

/// What comes of it.
#[derive(Debug)]
pub struct Verdict {
    /// The moment of judgement.
    pub at: Timestamp,
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
    /// How many findings were left out, with whose word.
    pub ignored: Vec<(Ignore, usize)>,
    /// What could not be known.
    pub gaps: Vec<Gap>,
    /// Entries that hold no more.
    pub expired: Vec<Ignore>,
    /// Somebody remembers how annotations were: edits of them were judged too.
    pub edits_judged: bool,
}

impl Verdict {
    /// Puts it together. `today` is the moment that expiry dates are compared with, which for a recorded picture is another one
    /// than that of the judgement.
    pub fn of(outcome: &Outcome, parts: &Parts, pending: &Pending, ignores: Vec<Ignore>, today: Timestamp) -> Self {
        let (expired, in_force): (Vec<_>, Vec<_>) = ignores.into_iter().partition(|ignore| ignore.has_expired(today));
        let gaps = gaps(outcome, parts, pending, &in_force);
        let mut ignored: Vec<(Ignore, usize)> = in_force.into_iter().map(|ignore| (ignore, 0)).collect();
        let mut findings = outcome.findings.clone();
        findings.retain(|finding| {
            let by = ignored.iter_mut().find(|(ignore, _)| ignore.covers(finding.kind, &finding.subject));
            by.map(|(_, count)| *count += 1).is_none()
        });
        let edits_judged = parts.history.get().is_some();
        Self { at: outcome.evaluated_at, findings, ignored, gaps, expired, edits_judged }
    }

    /// The exit code. What could not be known weighs more than what was found: a list that is not whole must not pass for one.
    pub fn exit_code(&self, fail_on: Severity) -> u8 {
        if !self.gaps.is_empty() {
            BLIND
        } else if self.findings.iter().any(|finding| finding.kind.severity >= fail_on) {
            FOUND
        } else {
            CLEAN
        }
    }

    /// What a person should hear beside the findings.
    pub fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.gaps.iter().map(|gap| format!("could not know: {}: {}", gap.what, gap.why)).collect();
        notes.extend(self.expired.iter().map(|ignore| {
            let until = ignore.until.map(|until| until.to_string()).unwrap_or_default();
            format!("the ignored {ignore} ({}) ran out on {until} and hides nothing any more", ignore.reason)
        }));
        let idle = self.ignored.iter().filter(|(_, count)| *count == 0);
        notes.extend(idle.map(|(ignore, _)| format!("the ignored {ignore} ({}) hides nothing at the moment", ignore.reason)));
        if !self.edits_judged {
            let note = "edits of annotations (NLB503 to NLB505) were not judged: one pass knows nothing of before; --state.configmap or --state.path reads what the daemon remembers";
            notes.push(note.to_owned());
        }
        notes.into_iter().map(|note| super::text::plain(&note)).collect()
    }

    /// How many findings were left out.
    pub fn ignored_findings(&self) -> usize {
        self.ignored.iter().map(|(_, count)| count).sum()
    }
}

/// Everything that stands between this picture and the whole truth.
fn gaps(outcome: &Outcome, parts: &Parts, pending: &Pending, accepted: &[Ignore]) -> Vec<Gap> {
    let is_accepted = |name: &str| {
        let subject = Subject::Source(name.into());
        accepted.iter().any(|ignore| BLINDNESS.iter().any(|kind| ignore.covers(kind, &subject)))
    };
    let mut gaps = Vec::new();
    let mut told: BTreeSet<&str> = BTreeSet::new();
    let mut accepts_any = false;
    for (name, status) in parts.sources.iter().filter(|(_, status)| !status.absent) {
        let why = match (&status.failure, status.last_success, status.missing) {
            (Some(failure), ..) => failure.to_string(),
            (None, None, _) => "no whole answer in time".to_owned(),
            (None, Some(_), 0) => continue,
            (None, Some(_), missing) => format!("{missing} of its resources could not be read"),
        };
        if is_accepted(name) {
            accepts_any = true;
            continue;
        }
        told.insert(name);
        gaps.push(Gap { what: name.to_string(), why });
    }
    let source_of = |name: &str| name.split_once(' ').map_or(name, |(source, _)| source).to_owned();
    for name in pending.names() {
        let source = source_of(name);
        if !told.contains(&*source) && !is_accepted(&source) {
            gaps.push(Gap { what: source, why: format!("not known in time: {name}") });
        }
    }
    for run in &outcome.runs {
        if !run.success {
            gaps.push(Gap {
                what: format!("check {}", run.check),
                why: "it failed, which is a defect of this program".to_owned(),
            });
        } else if run.blind && gaps.is_empty() && !accepts_any {
            gaps.push(Gap { what: format!("check {}", run.check), why: "what it judges by is too old or missing".to_owned() });
        }
    }
    gaps
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::checks::catalogue::{DARK_ZONE, LINT_STYLE, SUBNET_LOW};
    use crate::inventory::ids::ObjectName;
    use crate::inventory::part::{Failure, FailureCategory};
    use crate::inventory::parts::{SourceStatus, source};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn outcome(kinds: &[&'static FindingKind]) -> Outcome {
        let subject = || Subject::Service(ObjectName::new("shop", "web"));
        let findings = kinds
            .iter()
            .map(|kind| Finding { kind, subject: subject(), message: String::new(), since: None, seen_since: None })
            .collect();
        Outcome { evaluated_at: NOW, families: Vec::new(), findings, muted: Vec::new(), runs: Vec::new() }
    }

    fn parts(failure: Option<FailureCategory>) -> Parts {
        let failure =
            failure.map(|category| Arc::new(Failure { category, operation: "ec2:DescribeSubnets".into(), message: "no".into() }));
        let status = SourceStatus { last_success: Some(NOW), last_attempt: Some(NOW), failure, ..SourceStatus::default() };
        Parts { sources: Arc::new(BTreeMap::from([(source::SUBNETS.into(), status)])), ..Parts::default() }
    }

    fn verdict(kinds: &[&'static FindingKind], parts: &Parts, ignores: &[&str]) -> Verdict {
        let ignores = ignores.iter().map(|text| text.parse().unwrap()).collect();
        Verdict::of(&outcome(kinds), parts, &Pending::default(), ignores, NOW)
    }

    #[test]
    fn the_exit_code_follows_the_worst_finding_that_counts() {
        for (kinds, fail_on, code) in [
            (&[][..], Severity::Info, CLEAN),
            (&[&LINT_STYLE], Severity::Info, FOUND),
            (&[&LINT_STYLE], Severity::Warning, CLEAN),
            (&[&DARK_ZONE, &LINT_STYLE], Severity::Critical, FOUND),
        ] {
            assert_eq!(verdict(kinds, &parts(None), &[]).exit_code(fail_on), code, "{kinds:?}");
        }
        let left_out = verdict(&[&DARK_ZONE, &SUBNET_LOW], &parts(None), &["NLB103:shop/web", "NLB206"]);
        assert_eq!((left_out.exit_code(Severity::Info), left_out.ignored_findings()), (CLEAN, 2));
    }

    #[test]
    fn it_is_never_clean_when_blind_unless_that_is_accepted() {
        let denied = parts(Some(FailureCategory::Denied));
        for kinds in [&[][..], &[&DARK_ZONE]] {
            let verdict = verdict(kinds, &denied, &[]);
            assert_eq!(verdict.exit_code(Severity::Critical), BLIND);
            assert!(verdict.notes()[0].contains("aws_subnets: ec2:DescribeSubnets: denied"), "{:?}", verdict.notes());
        }
        assert_eq!(verdict(&[], &denied, &["NLB902:aws_subnets"]).exit_code(Severity::Info), CLEAN);
        assert_eq!(verdict(&[], &denied, &["NLB902:aws_tags"]).exit_code(Severity::Info), BLIND, "that is another source");
        let never =
            Parts { sources: Arc::new(BTreeMap::from([(source::TAGS.into(), SourceStatus::default())])), ..Parts::default() };
        assert_eq!(verdict(&[], &never, &[]).exit_code(Severity::Info), BLIND);
        let pending = Pending { identity: vec!["cluster_name".into()], health: Vec::new() };
        let unnamed = Verdict::of(&outcome(&[]), &parts(None), &pending, Vec::new(), NOW);
        assert_eq!(unnamed.exit_code(Severity::Info), BLIND);
    }

    #[test]
    fn what_ran_out_is_said_and_hides_nothing() {
        let ignores =
            super::super::ignore::read("- {code: NLB103, reason: moving, until: 1969-12-31}\n- {code: NLB206, reason: small}")
                .unwrap();
        let verdict = Verdict::of(&outcome(&[&DARK_ZONE]), &parts(None), &Pending::default(), ignores, NOW);
        assert_eq!(verdict.exit_code(Severity::Warning), FOUND);
        let notes = verdict.notes();
        assert!(notes[0].contains("NLB103 (moving) ran out on 1969-12-31"), "{notes:?}");
        assert!(notes[1].contains("NLB206 (small) hides nothing at the moment"), "{notes:?}");
    }

    #[test]
    fn that_edits_were_not_judged_is_said_and_only_then() {
        let said = |parts: &Parts| {
            let verdict = Verdict::of(&outcome(&[]), parts, &Pending::default(), Vec::new(), NOW);
            verdict.notes().iter().any(|note| note.contains("NLB503 to NLB505"))
        };
        let mut known = parts(None);
        assert!(said(&known));
        known.history = crate::inventory::part::Part::fetched(crate::inventory::history::History::default(), NOW);
        assert!(!said(&known));
    }
}
