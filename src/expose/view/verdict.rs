//! How does it stand as a whole, and can that be trusted?

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::Judged;
use crate::checks::model::{Sample, Severity};
use crate::expose::readiness::State;
use crate::expose::view::findings::FindingCounts;
use crate::expose::view::{Families, whole};

/// The sum of a picture.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct VerdictView {
    /// When the picture was judged.
    pub evaluated_at: Timestamp,
    /// The worst severity of a finding; `null` where nothing was found, which is good news only where `blind` and `failed` are
    /// empty and `state` is `ready`.
    pub worst: Option<Severity>,
    /// Findings by severity, muted ones left out.
    pub findings: FindingCounts,
    /// Findings that annotations of Services mute.
    pub muted: u64,
    /// Checks that lack a source they cannot judge without: what they do not find may be there all the same.
    pub blind: Vec<&'static str>,
    /// Checks that did not come to their end.
    pub failed: Vec<&'static str>,
    /// `pending` until the first full picture, then `ready`; `shutting_down` at the end.
    pub state: &'static str,
    /// What the first full picture still waits for.
    pub waiting_for: Vec<String>,
}

impl VerdictView {
    /// That of a picture, and of the daemon that shows it.
    pub fn of(judged: &Judged, state: &State) -> Self {
        let outcome = &judged.outcome;
        let families = Families::of(outcome);
        let sum = |samples: &[Sample], severity: Severity| -> u64 {
            let of_severity = samples.iter().filter(|sample| sample.labels[1].as_str() == severity.as_str());
            of_severity.map(|sample| whole(sample.value)).sum()
        };
        let counted = families.samples("findings", &[]);
        let findings = FindingCounts {
            critical: sum(counted, Severity::Critical),
            warning: sum(counted, Severity::Warning),
            info: sum(counted, Severity::Info),
        };
        let names = |wanted: fn(&crate::checks::model::CheckRun) -> bool| {
            outcome.runs.iter().filter(|run| wanted(run)).map(|run| run.check).collect()
        };
        let (state, waiting_for) = match state {
            State::Ready => ("ready", Vec::new()),
            State::Pending(names) => ("pending", names.iter().cloned().collect()),
            State::ShuttingDown => ("shutting_down", Vec::new()),
        };
        Self {
            evaluated_at: outcome.evaluated_at,
            worst: findings.worst(),
            findings,
            muted: families.samples("findings_muted", &[]).iter().map(|sample| whole(sample.value)).sum(),
            blind: names(|run| run.success && run.blind),
            failed: names(|run| !run.success),
            state,
            waiting_for,
        }
    }
}
