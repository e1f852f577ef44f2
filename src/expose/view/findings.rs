//! What is wrong, whom does it concern, and what is to be done?

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::Judged;
use crate::checks::model::{Finding, Severity, Subject};
use crate::checks::mute::service_of;
use crate::expose::view::Text;
use crate::expose::view::query::Query;
use crate::expose::view::verdict::VerdictView;
use crate::inventory::ids::ObjectName;
use crate::inventory::snapshot::{Owner, Snapshot};

/// What is wrong in the latest picture.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FindingsView {
    /// When the picture was judged.
    pub evaluated_at: Timestamp,
    /// The sum of it, of all findings whatever was asked for.
    pub verdict: VerdictView,
    /// Findings that fit what was asked for, on this page or not.
    pub total: u64,
    /// The findings of this page, the worst first.
    pub findings: Vec<FindingView>,
    /// Findings that fit and are muted by an annotation of their Service; they are in no count and make no alert.
    pub muted: Vec<FindingView>,
}

/// One finding.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FindingView {
    /// The stable code, `NLB101`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong in general, one sentence.
    pub title: &'static str,
    /// What it is about.
    pub subject: SubjectView,
    /// The namespace of the Service, Gateway or TargetGroupBinding that it concerns.
    pub namespace: Option<Text>,
    /// The Service that it concerns, by its name in that namespace.
    pub service: Option<Text>,
    /// What is wrong here, with the numbers. May hold text that strangers wrote.
    pub message: String,
    /// What to do.
    pub action: &'static str,
    /// Where the documentation says more of it, from the root of the repository.
    pub page: String,
    /// When it began; `null` where that is not known, as of what is older than this process.
    pub since: Option<Timestamp>,
    /// Since when this process finds it without a break: it is at least so old. `null` in a recorded picture.
    pub seen_since: Option<Timestamp>,
}

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SubjectView {
    /// The kind of thing: `service`, `gateway`, `load_balancer`, `target_group`, `target_group_binding`, `subnet`,
    /// `security_group`, `scheme`, `quota`, `source` or `cluster`.
    pub kind: &'static str,
    /// Which one; `null` for the cluster as a whole.
    pub name: Option<String>,
}

/// Findings counted by how bad they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FindingCounts {
    /// Act now.
    pub critical: u64,
    /// Act this week.
    pub warning: u64,
    /// Good to know.
    pub info: u64,
}

impl FindingsView {
    /// Those of a picture.
    pub fn of(judged: &Judged, verdict: VerdictView, query: &Query) -> Self {
        let wanted = |all: &[Finding]| -> Vec<FindingView> {
            all.iter().map(|finding| FindingView::of(finding, &judged.snapshot)).filter(|view| query.wants(view)).collect()
        };
        let (findings, total) = query.page(wanted(&judged.outcome.findings));
        let muted = wanted(&judged.outcome.muted);
        Self { evaluated_at: judged.outcome.evaluated_at, verdict, total, findings, muted }
    }
}

impl FindingView {
    /// That of a finding.
    pub fn of(finding: &Finding, snapshot: &Snapshot) -> Self {
        let Finding { kind, subject, since, seen_since, .. } = finding;
        let service = service_of(subject, snapshot);
        let namespace = match subject {
            Subject::Gateway(name) | Subject::TargetGroupBinding(name) => Some(&name.namespace),
            _ => service.map(|service| &service.namespace).or_else(|| gateway_of(subject, snapshot).map(|name| &name.namespace)),
        };
        Self {
            code: kind.code,
            severity: kind.severity,
            title: kind.title,
            subject: SubjectView::of(subject),
            namespace: namespace.map(Text::clone),
            service: service.map(|service| Text::clone(&service.name)),
            message: public_message(finding, snapshot),
            action: kind.action,
            page: kind.page(),
            since: *since,
            seen_since: *seen_since,
        }
    }
}

/// The Gateway whose load balancer it is, or whose load balancer a target group is on.
fn gateway_of<'a>(subject: &'a Subject, snapshot: &'a Snapshot) -> Option<&'a ObjectName> {
    let id = match subject {
        Subject::LoadBalancer(id) => id,
        Subject::TargetGroup(id) => snapshot.target_groups.get(id)?.load_balancer.as_ref()?,
        _ => return None,
    };
    match &snapshot.load_balancers.get(id)?.owner {
        Owner::Gateway(name) => Some(name),
        _ => None,
    }
}

/// The message without what only the operator may read: whoever reaches the port reads this, and the other side's words name the
/// credentials' role.
fn public_message(finding: &Finding, snapshot: &Snapshot) -> String {
    let mut message = finding.message.clone();
    if let Subject::Source(name) = &finding.subject
        && let Some(failure) = snapshot.parts.sources.get(name).and_then(|status| status.failure.as_deref())
    {
        message = message.replacen(&failure.to_string(), &format!("{}: {}", failure.operation, failure.category), 1);
    }
    without_principals(&message)
}

/// Who somebody is: ARNs of IAM and of STS name account, role and session.
fn without_principals(text: &str) -> String {
    let mut left = text;
    let mut kept = String::with_capacity(text.len());
    while let Some(at) = left.find("arn:") {
        let (before, arn) = left.split_at(at);
        kept.push_str(before);
        let end = arn.find(|c: char| c.is_whitespace() || "\"'`,;()<>".contains(c)).unwrap_or(arn.len());
        let (arn, rest) = arn.split_at(end);
        let names_somebody = arn.split(':').nth(2).is_some_and(|service| matches!(service, "iam" | "sts"));
        kept.push_str(if names_somebody { "(an identity of IAM)" } else { arn });
        left = rest;
    }
    kept.push_str(left);
    kept
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

impl FindingCounts {
    /// Counts one more.
    pub fn add(&mut self, severity: Severity) {
        match severity {
            Severity::Critical => self.critical += 1,
            Severity::Warning => self.warning += 1,
            Severity::Info => self.info += 1,
        }
    }

    /// Those of a list.
    pub fn of(findings: &[FindingView]) -> Self {
        let mut counts = Self::default();
        findings.iter().for_each(|finding| counts.add(finding.severity));
        counts
    }

    /// The worst severity that occurs.
    pub fn worst(&self) -> Option<Severity> {
        let all = [(Severity::Critical, self.critical), (Severity::Warning, self.warning), (Severity::Info, self.info)];
        all.into_iter().find(|(_, count)| *count > 0).map(|(severity, _)| severity)
    }
}

/// Findings by what they are about, for lists of things.
#[derive(Debug, Default)]
pub(super) struct ByOwner {
    /// By the Service they concern.
    pub(super) services: BTreeMap<ObjectName, Vec<FindingView>>,
    /// The others, by kind and name of their subject.
    subjects: BTreeMap<(&'static str, String), Vec<FindingView>>,
}

impl ByOwner {
    /// Those of a picture that are not muted.
    pub(super) fn of(judged: &Judged) -> Self {
        let mut all = Self::default();
        for finding in &judged.outcome.findings {
            let view = FindingView::of(finding, &judged.snapshot);
            match service_of(&finding.subject, &judged.snapshot) {
                Some(service) => all.services.entry(service.clone()).or_default().push(view),
                None => {
                    let key = (view.subject.kind, view.subject.name.clone().unwrap_or_default());
                    all.subjects.entry(key).or_default().push(view);
                }
            }
        }
        all
    }

    /// Findings about a Service, its load balancers, target groups and bindings.
    pub(super) fn service(&self, name: &ObjectName) -> &[FindingView] {
        self.services.get(name).map_or(&[], Vec::as_slice)
    }

    /// Findings about something that is no Service's.
    pub(super) fn subject(&self, kind: &'static str, name: &str) -> &[FindingView] {
        self.subjects.get(&(kind, name.to_owned())).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::checks::catalogue;
    use crate::inventory::part::{Failure, FailureCategory};
    use crate::inventory::parts::{Parts, SourceStatus};
    use crate::inventory::snapshot::Expiry;

    fn snapshot(parts: Parts) -> Snapshot {
        Snapshot::join(parts, Timestamp::UNIX_EPOCH, Expiry { max_staleness: Duration::from_secs(1800) })
    }

    #[test]
    fn a_finding_is_told_with_its_subject_and_what_to_do() {
        let finding = Finding {
            kind: &catalogue::DRIFT,
            subject: Subject::Service(ObjectName::new("shop", "web")),
            message: "scheme is internal".to_owned(),
            since: None,
            seen_since: None,
        };
        let json = serde_json::to_value(FindingView::of(&finding, &snapshot(Parts::default()))).unwrap();
        assert_eq!((&json["code"], &json["severity"]), (&"NLB501".into(), &"warning".into()));
        assert_eq!(json["subject"], serde_json::json!({"kind": "service", "name": "shop/web"}));
        assert_eq!((&json["namespace"], &json["service"]), (&"shop".into(), &"web".into()));
        assert_eq!((&json["page"], &json["since"]), (&"docs/findings.md#nlb501".into(), &serde_json::Value::Null));
    }

    #[test]
    fn a_denied_source_is_told_without_the_other_sides_words() {
        let failure = Failure {
            category: FailureCategory::Denied,
            operation: "ec2:DescribeSubnets".to_owned(),
            message: "User: arn:aws:sts::1:assumed-role/secret is not authorized (x)".to_owned(),
        };
        let message = format!("{failure}; never succeeded.");
        let status = SourceStatus { failure: Some(Arc::new(failure)), ..SourceStatus::default() };
        let sources = Arc::new(BTreeMap::from([(Arc::from("aws_subnets"), status)]));
        let subject = Subject::Source("aws_subnets".into());
        let finding = Finding { kind: &catalogue::SOURCE_DENIED, subject, message, since: None, seen_since: None };
        let view = FindingView::of(&finding, &snapshot(Parts { sources, ..Parts::default() }));
        assert_eq!(view.message, "ec2:DescribeSubnets: denied; never succeeded.");
    }

    #[test]
    fn nobody_is_named_by_a_message_of_the_controller() {
        let text = "AccessDenied: User: arn:aws:sts::1:assumed-role/lbc/1 is not authorized on arn:aws:ec2:r:1:subnet/s-1, arn:";
        let told = without_principals(text);
        assert_eq!(told, "AccessDenied: User: (an identity of IAM) is not authorized on arn:aws:ec2:r:1:subnet/s-1, arn:");
        assert_eq!(without_principals("(arn:aws-cn:iam::1:role/x)"), "((an identity of IAM))");
    }
}
