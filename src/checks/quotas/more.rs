//! How does one get more of a quota: is a request on its way, or which command makes one?

use super::super::Context;
use super::Limit;
use crate::inventory::quota::{QuotaRequest, increase_command, next_value, quota};

/// The request that matters: the one for the most, if AWS has not decided it yet and it asks for more than is allowed now.
/// One for less is of an earlier time.
pub fn pending<'a>(context: &Context<'a>, name: &str) -> Option<&'a QuotaRequest> {
    let limit = Limit::of(context, name).map(|limit| limit.value);
    let requests = context.snapshot.parts.quota_requests.get()?.get(name)?;
    let wanted = requests.iter().filter(|request| limit.is_none_or(|limit| request.desired_value > limit));
    wanted.max_by(|a, b| a.desired_value.total_cmp(&b.desired_value))
}

/// The value worth asking for and the command that asks; `None` where the limit is not known and where AWS gives no more.
pub fn command(context: &Context<'_>, name: &str) -> Option<(f64, String)> {
    let quota = quota(name)?;
    let desired = next_value(quota, |name| Limit::of(context, name).map(|limit| limit.value))?;
    Some((desired, increase_command(quota, desired, context.snapshot.parts.scope.region.as_deref())))
}

/// What a finding about a quota that runs low says at its end.
pub(in crate::checks) fn way_out(context: &Context<'_>, name: &str) -> String {
    if let Some(request) = pending(context, name) {
        let since = request.requested_at.map(|at| format!(" since {}", at.strftime("%Y-%m-%d"))).unwrap_or_default();
        return format!("; a request for {} is {}{since}", request.desired_value, request.status.words());
    }
    if let Some((desired, command)) = command(context, name) {
        return format!("; to ask for {desired}: {command}");
    }
    let Some((quota, limit)) = quota(name).zip(Limit::of(context, name)) else { return String::new() };
    if quota.adjustable {
        // What is left is the product of rules and groups on an interface.
        format!("; more than {} cannot be had, since rules per group times groups per interface may not exceed 1000", limit.value)
    } else {
        "; AWS does not raise this quota".to_owned()
    }
}
