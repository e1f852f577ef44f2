//! Stage 1, gather: the only place that knows the SDKs. Each source refreshes at its own pace and writes what it found,
//! or why it found nothing, into the store.

pub mod aws;
mod intern;
pub mod kube;
pub mod schedule;
pub mod state;
pub mod store;

use std::fmt;
use std::time::Duration;

use crate::inventory::part::FailureCategory;

/// Who wants to know about every call: the exporter's own metrics.
pub trait CallObserver: fmt::Debug + Send + Sync {
    /// One attempt of a call ended. `api_service` is the IAM prefix (`elasticloadbalancing`, `ec2`, `servicequotas`,
    /// `sts`, `eks`).
    fn attempted(&self, api_service: &'static str, operation: &'static str, outcome: Result<(), FailureCategory>, took: Duration);

    /// A call waited this long for the budget.
    fn waited(&self, api_service: &'static str, operation: &'static str, waited: Duration);

    /// So many calls a second a service's budget allows now.
    fn allowed(&self, _api_service: &'static str, _per_second: f64) {}

    /// An answer held a value this program does not know (a new state, a new reason), or an object could not be decoded.
    fn unknown_value(&self, source: &'static str);
}
