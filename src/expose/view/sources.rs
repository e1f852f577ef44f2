//! Can the picture be trusted: how old is each part, what failed, and what did asking cost?

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::expose::own::CallsOf;
use crate::expose::view::Number;
use crate::inventory::parts::SourceStatus;

/// Where the picture comes from.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SourcesView {
    /// When the picture was judged whose sources these are; `null` before the first one.
    pub evaluated_at: Option<Timestamp>,
    /// The sources by name.
    pub sources: Vec<SourceView>,
    /// What was asked of AWS since this process began, by service.
    pub api_services: Vec<ApiServiceView>,
}

/// How one source is doing.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SourceView {
    /// The `source` label.
    pub name: Arc<str>,
    /// In one word.
    pub state: SourceState,
    /// How often it means to refresh; 0 for a watch.
    pub interval_seconds: u64,
    /// When it last tried.
    pub last_attempt: Option<Timestamp>,
    /// When it last succeeded.
    pub last_success: Option<Timestamp>,
    /// How long ago that was when this was written; `null` where it never did.
    pub age_seconds: Option<Number>,
    /// Why the last try failed. Without the other side's words: they name the credentials' role, and this page is open to
    /// whoever reaches the port.
    pub failure: Option<FailureView>,
    /// Resources that it should know and does not.
    pub missing: u64,
}

/// A source in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
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
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FailureView {
    /// What was asked.
    pub operation: String,
    /// Why it failed: `throttled`, `denied`, `expired`, `timeout`, `unreachable`, `server`, `malformed` or `not_found`.
    pub reason: &'static str,
}

/// What was asked of one service of AWS.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ApiServiceView {
    /// Its IAM prefix: `elasticloadbalancing`, `ec2`, `servicequotas`, `sts` or `eks`.
    pub name: &'static str,
    /// Attempts of calls, failed ones included.
    pub calls: u64,
    /// How many failed, by reason; reasons without one are left out.
    pub failures: Vec<FailureCountView>,
    /// How long calls waited for the budget, in seconds.
    pub waited_seconds: Number,
    /// Calls a second that the exporter allows itself now: what is configured, less while AWS throttles; `null` before the
    /// first call.
    pub allowed_per_second: Option<Number>,
    /// The same by operation.
    pub operations: Vec<OperationView>,
}

/// Failures for one reason.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FailureCountView {
    /// Why they failed.
    pub reason: &'static str,
    /// How many.
    pub count: u64,
}

/// What was asked by one operation.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct OperationView {
    /// Its name, `DescribeTargetHealth`.
    pub name: &'static str,
    /// Attempts, failed ones included.
    pub calls: u64,
    /// Of these, failed ones.
    pub failed: u64,
    /// How long they waited for the budget, in seconds.
    pub waited_seconds: Number,
}

impl SourcesView {
    /// All of them, as they stood in the picture of `evaluated_at`, with ages at `now`.
    pub fn of(
        sources: &BTreeMap<Arc<str>, SourceStatus>,
        evaluated_at: Option<Timestamp>,
        calls: &[CallsOf],
        now: Timestamp,
    ) -> Self {
        let mut services: BTreeMap<&'static str, Vec<&CallsOf>> = BTreeMap::new();
        for of in calls {
            services.entry(of.api_service).or_default().push(of);
        }
        Self {
            evaluated_at,
            sources: sources.iter().map(|(name, status)| SourceView::of(name, status, now)).collect(),
            api_services: services.into_iter().map(|(name, calls)| ApiServiceView::of(name, &calls)).collect(),
        }
    }
}

impl SourceView {
    /// That of one source.
    pub fn of(name: &Arc<str>, status: &SourceStatus, now: Timestamp) -> Self {
        let state = match status {
            SourceStatus { absent: true, .. } => SourceState::Absent,
            SourceStatus { failure: Some(_), .. } => SourceState::Down,
            SourceStatus { last_attempt: None, .. } => SourceState::Pending,
            _ => SourceState::Up,
        };
        let failure = status.failure.as_deref();
        Self {
            name: Arc::clone(name),
            state,
            interval_seconds: status.interval_seconds,
            last_attempt: status.last_attempt,
            last_success: status.last_success,
            age_seconds: status.last_success.map(|at| {
                // Whole milliseconds: finer is noise. Clocks that were set back make nothing young.
                Number(now.duration_since(at).as_millis().max(0) as f64 / 1e3)
            }),
            failure: failure
                .map(|failure| FailureView { operation: failure.operation.clone(), reason: failure.category.as_str() }),
            missing: status.missing,
        }
    }
}

impl ApiServiceView {
    fn of(name: &'static str, calls: &[&CallsOf]) -> Self {
        let mut failures: BTreeMap<_, u64> = BTreeMap::new();
        for (category, count) in calls.iter().flat_map(|of| &of.failures) {
            *failures.entry(*category).or_default() += count;
        }
        let failures = failures.into_iter().filter(|(_, count)| *count > 0);
        Self {
            name,
            calls: calls.iter().map(|of| of.attempts).sum(),
            failures: failures.map(|(category, count)| FailureCountView { reason: category.as_str(), count }).collect(),
            waited_seconds: Number(calls.iter().map(|of| of.waited.as_secs_f64()).sum()),
            allowed_per_second: calls.iter().find_map(|of| of.allowed_per_second).map(Number),
            operations: calls
                .iter()
                .map(|of| OperationView {
                    name: of.operation,
                    calls: of.attempts,
                    failed: of.failures.values().sum(),
                    waited_seconds: Number(of.waited.as_secs_f64()),
                })
                .collect(),
        }
    }
}

impl SourceState {
    /// The word.
    pub fn as_str(self) -> &'static str {
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
    use crate::inventory::part::{Failure, FailureCategory};

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
        let view = SourcesView::of(&sources, None, &[], Timestamp::UNIX_EPOCH);
        let json = serde_json::to_string(&view).unwrap();
        assert!(json.contains("\"state\":\"down\"") && json.contains("ec2:DescribeSubnets") && json.contains("denied"), "{json}");
        assert!(json.contains("\"state\":\"pending\"") && !json.contains("secret"), "{json}");
    }

    #[test]
    fn calls_are_summed_by_service() {
        let of = |operation, failures: &[(FailureCategory, u64)], millis| CallsOf {
            api_service: "ec2",
            operation,
            attempts: 3,
            failures: failures.iter().copied().collect(),
            waited: std::time::Duration::from_millis(millis),
            allowed_per_second: Some(2.5),
        };
        let calls = [
            of("DescribeSubnets", &[(FailureCategory::Throttled, 1), (FailureCategory::Denied, 0)], 500),
            of("DescribeVpcs", &[(FailureCategory::Throttled, 2)], 250),
        ];
        let view = SourcesView::of(&BTreeMap::new(), None, &calls, Timestamp::UNIX_EPOCH);
        let [ec2] = &view.api_services[..] else { panic!("{view:?}") };
        assert_eq!((ec2.calls, ec2.waited_seconds, ec2.allowed_per_second), (6, Number(0.75), Some(Number(2.5))));
        assert_eq!(ec2.failures.iter().map(|it| (it.reason, it.count)).collect::<Vec<_>>(), [("throttled", 3)]);
        assert_eq!(
            ec2.operations.iter().map(|it| (it.name, it.failed)).collect::<Vec<_>>(),
            [("DescribeSubnets", 1), ("DescribeVpcs", 2)]
        );
    }
}
