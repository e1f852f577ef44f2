//! How much of each quota is used, and which one stands in the way of the next load balancer?

pub mod cost;
pub mod more;
pub(super) mod usage;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::catalogue::{QUOTA_ASSUMED, QUOTA_BEYOND_LIMIT, QUOTA_EXHAUSTED, QUOTA_NEARLY_EXHAUSTED, VPC_OF_ANOTHER_ACCOUNT};
use super::model::{FamilyDescription, FamilyKind, FindingKind, Report, Subject};
use super::{Check, Context};
use crate::controller::security_groups::Roles;
use crate::inventory::aws::QuotaOrigin;
use crate::inventory::ids::{LoadBalancerId, TargetGroupId};
use crate::inventory::parts::source;
use crate::inventory::quota::{QUOTAS, quota};
use cost::OneMore;
use usage::{OF_THE_VPC, Usage, load_balancer_usage, shared_usage, target_group_usage, vpc_owner};

static LIMIT: FamilyDescription = FamilyDescription {
    name: "quota_limit",
    help: "The limit of a quota: the configuration's override, else the applied value of Service Quotas or DescribeAccountLimits, \
           else AWS's default.",
    kind: FamilyKind::Gauge,
    labels: &["quota"],
};
static ASSUMED: FamilyDescription = FamilyDescription {
    name: "quota_limit_assumed",
    help: "1 where the lookup of a quota's limit was denied or failed and AWS's default is assumed: nothing may page on it. Else 0.",
    kind: FamilyKind::Gauge,
    labels: &["quota"],
};
static REQUESTED: FamilyDescription = FamilyDescription {
    name: "quota_requested",
    help: "The value that a request asks for which AWS has not decided yet (ListRequestedServiceQuotaChangeHistory), of several \
           the largest; only while there is one for more than the limit.",
    kind: FamilyKind::Gauge,
    labels: &["quota"],
};
static USAGE: FamilyDescription = FamilyDescription {
    name: "quota_usage",
    help: "Used of a quota that holds for the Region or the VPC, or the use of the fullest zone, route table or network interface \
           where it holds for each of these. Absent while the list it is counted from is incomplete.",
    kind: FamilyKind::Gauge,
    labels: &["quota"],
};
static LOAD_BALANCER_USAGE: FamilyDescription = FamilyDescription {
    name: "load_balancer_quota_usage",
    help: "Used of a quota that holds for each load balancer (DescribeListeners, DescribeTargetHealth, DescribeListenerCertificates). \
           A target in several target groups counts several times; with cross-zone load balancing it counts in every zone.",
    kind: FamilyKind::Gauge,
    labels: &["load_balancer", "quota"],
};
static TARGET_GROUP_USAGE: FamilyDescription = FamilyDescription {
    name: "target_group_quota_usage",
    help: "Used of a quota that holds for each target group (DescribeTargetHealth); draining targets are no longer registered.",
    kind: FamilyKind::Gauge,
    labels: &["target_group", "quota"],
};
static ELASTIC_IPS: FamilyDescription = FamilyDescription {
    name: "elastic_ips",
    help: "Elastic IPs of the Region (DescribeAddresses), those managed by an AWS service apart: quota_usage counts the account's own.",
    kind: FamilyKind::Gauge,
    labels: &["managed_by", "associated"],
};

/// The check.
pub static CHECK: Check = Check {
    name: "quotas",
    families: &[&LIMIT, &ASSUMED, &REQUESTED, &USAGE, &LOAD_BALANCER_USAGE, &TARGET_GROUP_USAGE, &ELASTIC_IPS],
    findings: &[&QUOTA_EXHAUSTED, &QUOTA_NEARLY_EXHAUSTED, &QUOTA_ASSUMED, &QUOTA_BEYOND_LIMIT, &VPC_OF_ANOTHER_ACCOUNT],
    sources: &[
        source::LOAD_BALANCERS,
        source::TARGET_GROUPS,
        source::NETWORK_INTERFACES,
        source::SECURITY_GROUPS,
        source::ACCOUNT_LIMITS,
        source::SERVICE_QUOTAS,
    ],
    run,
};

/// A quota's limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// The value.
    pub value: f64,
    /// It is a guess: nothing may page on it.
    pub assumed: bool,
}

impl Limit {
    /// The limit of a quota by name; `None` while nobody has asked for it yet.
    pub fn of(context: &Context<'_>, name: &str) -> Option<Self> {
        if let Some(value) = context.policy.quota_overrides.get(name) {
            return Some(Self { value: *value, assumed: false });
        }
        let part = &context.snapshot.parts.quotas;
        if let Some(known) = part.get().and_then(|quotas| quotas.get(name)) {
            return Some(Self { value: known.value, assumed: known.origin == QuotaOrigin::Assumed });
        }
        part.attempted_at?;
        quota(name).map(|quota| Self { value: quota.default, assumed: true })
    }
}

/// Samples older than this do not page: lists are refreshed every minute, interfaces every five, and the health of steady
/// targets within a sweep.
const FRESH: SignedDuration = SignedDuration::from_mins(15);

/// The oldest moment at which a sample is still fresh.
pub(crate) fn fresh_since(now: Timestamp) -> Timestamp {
    now.checked_sub(FRESH).unwrap_or(Timestamp::MIN)
}

fn run(context: &Context<'_>, report: &mut Report) {
    write_limits(context, report);
    tell_of_a_shared_vpc(context, report);
    let one_more = OneMore::of(context, &Roles::of_load_balancers(context.snapshot));
    for usage in shared_usage(context) {
        report.family(&USAGE).sample([usage.quota.into()], usage.used);
        judge(context, [&usage], &one_more, || Subject::Quota(usage.quota), report);
    }
    for (id, load_balancer) in &context.snapshot.load_balancers {
        let usages = load_balancer_usage(context, load_balancer);
        for usage in &usages {
            report.family(&LOAD_BALANCER_USAGE).sample([id.into(), usage.quota.into()], usage.used);
        }
        let subject = || Subject::LoadBalancer(LoadBalancerId::clone(id));
        judge(context, &usages, &one_more, subject, report);
    }
    for id in context.snapshot.target_groups.keys() {
        let Some(usage) = target_group_usage(context, id) else { continue };
        report.family(&TARGET_GROUP_USAGE).sample([id.into(), usage.quota.into()], usage.used);
        judge(context, [&usage], &one_more, || Subject::TargetGroup(TargetGroupId::clone(id)), report);
    }
    write_elastic_ips(context, report);
}

fn write_limits(context: &Context<'_>, report: &mut Report) {
    for quota in QUOTAS {
        let Some(limit) = Limit::of(context, quota.name) else { continue };
        report.family(&LIMIT).sample([quota.name.into()], limit.value);
        report.family(&ASSUMED).sample([quota.name.into()], f64::from(u8::from(limit.assumed)));
        if let Some(request) = more::pending(context, quota.name) {
            report.family(&REQUESTED).sample([quota.name.into()], request.desired_value);
        }
        if limit.assumed {
            let message = format!("the limit of {} could not be read and is assumed to be {}", quota.name, limit.value);
            report.find(&QUOTA_ASSUMED, Subject::Quota(quota.name), None, message);
        }
    }
}

/// Where others use the same VPC unseen, its quotas are not told, and what is counted in it is at least so much.
fn tell_of_a_shared_vpc(context: &Context<'_>, report: &mut Report) {
    let parts = &context.snapshot.parts;
    let (Some(vpc), Some(account), Some(owner)) = (&parts.scope.vpc_id, &parts.scope.account_id, vpc_owner(parts)) else {
        return;
    };
    if *owner != **account {
        let message = format!(
            "{vpc} belongs to account {owner}: interfaces, security groups and tags of others in it cannot be seen, so usage of {} \
             is not known, and what is counted of this account's own is a lower bound of what the VPC holds",
            OF_THE_VPC.join(", "),
        );
        report.find(&VPC_OF_ANOTHER_ACCOUNT, Subject::Cluster, None, message);
    }
}

fn write_elastic_ips(context: &Context<'_>, report: &mut Report) {
    let Some(addresses) = context.snapshot.parts.addresses.complete() else { return };
    let mut writer = report.family(&ELASTIC_IPS);
    for (managed_by, service_managed) in [("account", false), ("service", true)] {
        for (text, associated) in [("false", false), ("true", true)] {
            let wanted = |address: &&Arc<crate::inventory::aws::Address>| {
                address.service_managed == service_managed && address.associated == associated
            };
            writer.sample([managed_by.into(), text.into()], addresses.values().filter(wanted).count() as f64);
        }
    }
}

/// How a quota is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Exhausted is critical.
    Pages,
    /// Exhausted is a warning.
    Warns,
    /// Full is a steady state, or no load balancer uses it up.
    Silent,
}

fn manner(quota: &str) -> Manner {
    match quota {
        "network_load_balancers"
        | "target_groups"
        | "network_load_balancer_enis_per_vpc"
        | "targets_per_network_load_balancer"
        | "targets_per_availability_zone_per_network_load_balancer"
        | "targets_per_target_group" => Manner::Pages,
        "listeners_per_network_load_balancer"
        | "certificates_per_network_load_balancer"
        | "security_groups"
        | "network_interfaces_per_availability_zone" => Manner::Warns,
        // Elastic IPs: most accounts have as many as they may have, all in use. Security groups of an interface: one
        // more load balancer brings its own. Subnets, route tables, routes: no load balancer adds one.
        _ => Manner::Silent,
    }
}

/// Says at most one thing about a subject: what is worst among its quotas.
fn judge<'a>(
    context: &Context<'_>,
    usages: impl IntoIterator<Item = &'a Usage>,
    one_more: &OneMore,
    subject: impl Fn() -> Subject,
    report: &mut Report,
) {
    let mut worst: Option<(&'static FindingKind, f64, f64, &Usage)> = None;
    for usage in usages {
        let Some(limit) = Limit::of(context, usage.quota).filter(|limit| !limit.assumed) else { continue };
        let need = one_more.need(usage.quota);
        let Some(kind) = verdict(usage, limit.value, need, context.policy.quota_warning_ratio) else { continue };
        let left = limit.value - usage.used;
        if worst.as_ref().is_none_or(|(known, least, ..)| (kind.severity, -left) > (known.severity, -least)) {
            worst = Some((kind, left, limit.value, usage));
        }
    }
    if let Some((kind, _, limit, usage)) = worst {
        let mut message = sentence(&subject(), usage, limit, one_more);
        if !std::ptr::eq(kind, &QUOTA_BEYOND_LIMIT) {
            message.push_str(&more::way_out(context, usage.quota));
        }
        report.find(kind, subject(), None, message);
    }
}

fn verdict(usage: &Usage, limit: f64, need: u64, warning_ratio: f64) -> Option<&'static FindingKind> {
    let manner = manner(usage.quota);
    if manner == Manner::Silent || need == 0 {
        return None;
    }
    let left = limit - usage.used;
    let need = need as f64;
    if left < 0.0 {
        Some(&QUOTA_BEYOND_LIMIT)
    } else if manner == Manner::Pages && usage.fresh && left < need {
        Some(&QUOTA_EXHAUSTED)
    } else if left <= 2.0 * need || usage.used >= limit * warning_ratio {
        Some(&QUOTA_NEARLY_EXHAUSTED)
    } else {
        None
    }
}

fn sentence(subject: &Subject, usage: &Usage, limit: f64, one_more: &OneMore) -> String {
    let Usage { quota, used, .. } = usage;
    match subject {
        Subject::Quota(_) => {
            let need = one_more.need(quota);
            let basis = one_more.basis(quota).map(|basis| format!(" ({basis})")).unwrap_or_default();
            format!("{used} of {limit} {quota} are used, and one more load balancer needs {need}{basis}")
        }
        _ => format!("{subject} uses {used} of {limit} {quota}"),
    }
}

#[cfg(test)]
mod tests;
