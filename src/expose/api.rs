//! What do programs read? Views of the picture as JSON, versioned apart from the types inside.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::checks::model::{Finding, Outcome, Severity, Subject};
use crate::inventory::parts::SourceStatus;

/// Why there is no answer.
#[derive(Debug, Serialize)]
pub struct Problem {
    /// One sentence.
    pub error: &'static str,
}

/// `/api/v1/findings`.
#[derive(Debug, Serialize)]
pub struct FindingsView<'a> {
    /// When they were found.
    pub evaluated_at: Timestamp,
    /// The worst first.
    pub findings: Vec<FindingView<'a>>,
}

/// One finding.
#[derive(Debug, Serialize)]
pub struct FindingView<'a> {
    /// The stable code.
    pub code: &'static str,
    /// How bad.
    pub severity: Severity,
    /// What is wrong in general.
    pub title: &'static str,
    /// What it is about.
    pub subject: SubjectView,
    /// What is wrong here, with the numbers.
    pub message: &'a str,
    /// What to do.
    pub action: &'static str,
    /// Since when, where that is known.
    pub since: Option<Timestamp>,
}

/// What a finding is about.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct SubjectView {
    /// The kind of thing.
    pub kind: &'static str,
    /// Which one; `null` for the cluster as a whole.
    pub name: Option<String>,
}

impl<'a> FindingsView<'a> {
    /// Those of an outcome.
    pub fn of(outcome: &'a Outcome) -> Self {
        Self { evaluated_at: outcome.evaluated_at, findings: outcome.findings.iter().map(FindingView::of).collect() }
    }
}

impl<'a> FindingView<'a> {
    /// That of a finding.
    pub fn of(finding: &'a Finding) -> Self {
        let Finding { kind, subject, message, since } = finding;
        Self {
            code: kind.code,
            severity: kind.severity,
            title: kind.title,
            subject: SubjectView::of(subject),
            message,
            action: kind.action,
            since: *since,
        }
    }
}

impl SubjectView {
    /// That of a subject.
    pub fn of(subject: &Subject) -> Self {
        let (kind, name) = match subject {
            Subject::Service(name) => ("service", name.to_string()),
            Subject::Gateway(name) => ("gateway", name.to_string()),
            Subject::LoadBalancer(id) => ("load_balancer", id.to_string()),
            Subject::TargetGroup(id) => ("target_group", id.to_string()),
            Subject::TargetGroupBinding(name) => ("target_group_binding", name.to_string()),
            Subject::Subnet(id) => ("subnet", id.to_string()),
            Subject::SecurityGroup(id) => ("security_group", id.to_string()),
            Subject::Scheme(scheme) => ("scheme", scheme.to_string()),
            Subject::Quota(name) => ("quota", (*name).to_owned()),
            Subject::Source(name) => ("source", name.to_string()),
            Subject::Cluster => return Self { kind: "cluster", name: None },
        };
        Self { kind, name: Some(name) }
    }
}

/// `/api/v1/sources`.
#[derive(Debug, Serialize)]
pub struct SourcesView<'a> {
    /// By name.
    pub sources: Vec<SourceView<'a>>,
}

/// How one source is doing.
#[derive(Debug, Serialize)]
pub struct SourceView<'a> {
    /// The `source` label.
    pub name: &'a str,
    /// In one word.
    pub state: SourceState,
    /// How often it means to refresh; 0 for a watch.
    pub interval_seconds: u64,
    /// When it last tried.
    pub last_attempt: Option<Timestamp>,
    /// When it last succeeded.
    pub last_success: Option<Timestamp>,
    /// Why the last try failed. Without the other side's words: they name the credentials' role, and this page is open to
    /// whoever reaches the port.
    pub failure: Option<FailureView<'a>>,
    /// Resources it should know and does not.
    pub missing: u64,
}

/// A source in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    /// Not tried yet.
    Pending,
    /// The last try succeeded.
    Up,
    /// The last try failed.
    Down,
    /// There is nothing to watch.
    Absent,
}

/// Why a try failed.
#[derive(Debug, Serialize)]
pub struct FailureView<'a> {
    /// What was asked.
    pub operation: &'a str,
    /// The closed category.
    pub reason: &'static str,
}

impl<'a> SourcesView<'a> {
    /// All of them.
    pub fn of(sources: &'a BTreeMap<Arc<str>, SourceStatus>) -> Self {
        Self { sources: sources.iter().map(|(name, status)| SourceView::of(name, status)).collect() }
    }
}

impl<'a> SourceView<'a> {
    pub(crate) fn of(name: &'a str, status: &'a SourceStatus) -> Self {
        let state = match status {
            SourceStatus { absent: true, .. } => SourceState::Absent,
            SourceStatus { failure: Some(_), .. } => SourceState::Down,
            SourceStatus { last_attempt: None, .. } => SourceState::Pending,
            _ => SourceState::Up,
        };
        let failure = status.failure.as_deref();
        Self {
            name,
            state,
            interval_seconds: status.interval_seconds,
            last_attempt: status.last_attempt,
            last_success: status.last_success,
            failure: failure.map(|failure| FailureView { operation: &failure.operation, reason: failure.category.as_str() }),
            missing: status.missing,
        }
    }
}

impl SourceState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Up => "up",
            Self::Down => "down",
            Self::Absent => "absent",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::catalogue;
    use crate::inventory::ids::ObjectName;
    use crate::inventory::part::{Failure, FailureCategory};

    #[test]
    fn a_finding_is_told_with_its_subject_and_what_to_do() {
        let outcome = Outcome {
            evaluated_at: Timestamp::UNIX_EPOCH,
            families: Vec::new(),
            findings: vec![Finding {
                kind: &catalogue::DRIFT,
                subject: Subject::Service(ObjectName::new("shop", "web")),
                message: "scheme is internal".to_owned(),
                since: None,
            }],
            muted: Vec::new(),
            runs: Vec::new(),
        };
        let json = serde_json::to_value(FindingsView::of(&outcome)).unwrap();
        assert_eq!(json["evaluated_at"], "1970-01-01T00:00:00Z");
        let finding = &json["findings"][0];
        assert_eq!((&finding["code"], &finding["severity"]), (&"NLB501".into(), &"warning".into()));
        assert_eq!(finding["subject"], serde_json::json!({"kind": "service", "name": "shop/web"}));
        assert_eq!(finding["since"], serde_json::Value::Null);
    }

    #[test]
    fn a_failure_is_told_without_the_other_sides_words() {
        let failure = Failure {
            category: FailureCategory::Denied,
            operation: "ec2:DescribeSubnets".to_owned(),
            message: "User: arn:aws:sts::1:assumed-role/secret is not authorized".to_owned(),
        };
        let status = SourceStatus {
            failure: Some(Arc::new(failure)),
            last_attempt: Some(Timestamp::UNIX_EPOCH),
            ..SourceStatus::default()
        };
        let sources = BTreeMap::from([(Arc::from("aws_subnets"), status), (Arc::from("aws_vpcs"), SourceStatus::default())]);
        let json = serde_json::to_string(&SourcesView::of(&sources)).unwrap();
        assert!(json.contains("\"state\":\"down\"") && json.contains("ec2:DescribeSubnets") && json.contains("denied"), "{json}");
        assert!(json.contains("\"state\":\"pending\"") && !json.contains("secret"), "{json}");
    }
}
