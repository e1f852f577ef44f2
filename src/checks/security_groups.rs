//! How full are the security groups that this cluster's load balancers depend on, and is there room for the next one?

pub mod counting;
#[cfg(test)]
pub(crate) mod fixtures;

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::catalogue::{RULES_BEYOND_LIMIT, RULES_EXHAUSTED, RULES_NEARLY_EXHAUSTED, UNKNOWN_PREFIX_LIST_WEIGHT};
use super::model::{FamilyDescription, FamilyKind, Label, Report, Subject};
use super::quotas::cost::OneMore;
use super::quotas::{Limit, fresh_since, more};
use super::{Check, Context};
use crate::config::policy::SecurityGroupScope;
use crate::controller::security_groups::{Role, Roles};
use crate::inventory::aws::{IpFamily, SecurityGroup};
use crate::inventory::ids::{PrefixListId, SecurityGroupId};
use crate::inventory::parts::source;
use counting::RuleCount;

static INFO: FamilyDescription = FamilyDescription {
    name: "security_group_info",
    help: "A security group of the cluster's VPC that plays a part for its load balancers (DescribeSecurityGroups).",
    kind: FamilyKind::Info,
    labels: &["security_group_id", "group_name", "vpc_id"],
};
static ROLE: FamilyDescription = FamilyDescription {
    name: "security_group_role",
    help: "The part a security group plays for this cluster's load balancers; namespace and service are those of a frontend group.",
    kind: FamilyKind::Gauge,
    labels: &["security_group_id", "role", "namespace", "service"],
};
static RULES: FamilyDescription = FamilyDescription {
    name: "security_group_rules",
    help: "Rules used of the quota rules_per_security_group, which holds for each direction and address family apart: a group as \
           source counts in both families, a prefix list as its MaxEntries or published weight; a lower bound where NLB304 is found.",
    kind: FamilyKind::Gauge,
    labels: &["security_group_id", "direction", "ip_family"],
};

/// The check.
pub static CHECK: Check = Check {
    name: "security_groups",
    families: &[&INFO, &ROLE, &RULES],
    findings: &[&RULES_EXHAUSTED, &RULES_NEARLY_EXHAUSTED, &RULES_BEYOND_LIMIT, &UNKNOWN_PREFIX_LIST_WEIGHT],
    sources: &[source::SECURITY_GROUPS, source::NETWORK_INTERFACES, source::PREFIX_LISTS, source::SERVICE_QUOTAS],
    run,
};

/// The quota's name.
pub const QUOTA: &str = "rules_per_security_group";

fn run(context: &Context<'_>, report: &mut Report) {
    let roles = Roles::of(context.snapshot);
    write_roles(&roles, report);
    let Some(groups) = context.snapshot.parts.security_groups.get() else { return };
    let judge = Judge {
        limit: Limit::of(context, QUOTA),
        one_more: OneMore::of(context, &roles),
        restarted: has_restarted(context),
        fresh: context.snapshot.parts.security_groups.fresh_since(fresh_since(context.now)).is_some(),
        warning_ratio: context.policy.quota_warning_ratio,
        way_out: more::way_out(context, QUOTA),
    };
    let lists_to_come = lists_to_come(context);
    for group in groups.values().filter(|group| is_counted(context, &roles, group)) {
        let inbound = count(context, &group.inbound);
        let outbound = count(context, &group.outbound);
        if lists_to_come && !(inbound.unknown.is_empty() && outbound.unknown.is_empty()) {
            continue;
        }
        write_counts(group, &inbound, &outbound, report);
        judge.own_model(group, &[("inbound", &inbound), ("outbound", &outbound)], report);
        if roles.has(&group.id, Role::Endpoint) {
            judge.room(group, &inbound, report);
        }
    }
}

/// Rules are known for groups of the cluster's VPC only.
pub(super) fn is_counted(context: &Context<'_>, roles: &Roles, group: &SecurityGroup) -> bool {
    let in_vpc = context.snapshot.parts.scope.vpc_id.as_ref().is_some_and(|vpc| *vpc == group.vpc_id);
    in_vpc && (roles.any(&group.id) || context.policy.security_groups == SecurityGroupScope::Vpc)
}

fn count<'a>(context: &Context<'a>, rules: &'a [crate::inventory::aws::Rule]) -> RuleCount {
    let lists = context.snapshot.parts.prefix_lists.get();
    RuleCount::of(rules, |id: &PrefixListId| lists.and_then(|lists| lists.get(id)).map(|list| &**list))
}

/// A list that could not be had leaves a lower bound; one that was not asked for yet leaves nothing known.
fn lists_to_come(context: &Context<'_>) -> bool {
    let lists = &context.snapshot.parts.prefix_lists;
    lists.complete().is_none() && lists.failure.is_none()
}

/// The inbound rules of a group; `None` while the size of a prefix list is still being asked for.
pub(super) fn count_inbound(context: &Context<'_>, group: &SecurityGroup) -> Option<RuleCount> {
    let inbound = count(context, &group.inbound);
    (inbound.unknown.is_empty() || !lists_to_come(context)).then_some(inbound)
}

fn write_roles(roles: &Roles, report: &mut Report) {
    let mut writer = report.family(&ROLE);
    for (id, role, service) in roles.iter() {
        let namespace = Label::from(service.map(|service| &service.namespace));
        writer.sample([id.into(), role.as_str().into(), namespace, Label::from(service.map(|service| &service.name))], 1.0);
    }
}

fn write_counts(group: &SecurityGroup, inbound: &RuleCount, outbound: &RuleCount, report: &mut Report) {
    report.family(&INFO).sample([(&group.id).into(), (&group.name).into(), (&group.vpc_id).into()], 1.0);
    let mut writer = report.family(&RULES);
    for (direction, count) in [("inbound", inbound), ("outbound", outbound)] {
        for family in IpFamily::ALL {
            writer.sample([(&group.id).into(), direction.into(), family.as_str().into()], count.family(*family) as f64);
        }
    }
}

struct Judge {
    limit: Option<Limit>,
    one_more: OneMore,
    fresh: bool,
    /// The controller started lately: its rules pile up until it has seen every binding, and then become fewer again.
    restarted: bool,
    warning_ratio: f64,
    /// How one gets more of the quota.
    way_out: String,
}

/// For how long after its start the controller grants rules without revoking any: it looks at bindings that did not change
/// after half an hour to three quarters.
const RESTART_SPIKE: SignedDuration = SignedDuration::from_hours(1);

fn has_restarted(context: &Context<'_>) -> bool {
    let lease = context.snapshot.parts.leader_lease.get().and_then(Option::as_ref);
    lease.and_then(|lease| lease.acquired_at).is_some_and(|at| context.now.duration_since(at) < RESTART_SPIKE)
}

impl Judge {
    /// A limit to judge by: an assumed one proves nothing in either direction.
    fn known_limit(&self) -> Option<f64> {
        self.limit.filter(|limit| !limit.assumed).map(|limit| limit.value)
    }

    /// Where the exporter's own counting shows its bounds.
    fn own_model(&self, group: &SecurityGroup, directions: &[(&str, &RuleCount)], report: &mut Report) {
        let subject = || Subject::SecurityGroup(group.id.clone());
        for (direction, count) in directions {
            if let Some(limit) = self.known_limit().filter(|limit| count.used() as f64 > *limit) {
                let message = format!("{} counts {} {direction} rules where {limit} are allowed", named(group), count.used());
                report.find(&RULES_BEYOND_LIMIT, subject(), None, message);
            }
        }
        let unknown: BTreeSet<_> = directions.iter().flat_map(|(_, count)| &count.unknown).map(PrefixListId::as_str).collect();
        if !unknown.is_empty() {
            let lists = unknown.into_iter().collect::<Vec<_>>().join(", ");
            let message =
                format!("{} refers to prefix lists of unknown size ({lists}): its rule counts are lower bounds", named(group));
            report.find(&UNKNOWN_PREFIX_LIST_WEIGHT, subject(), None, message);
        }
    }

    /// Whether the inbound rules of one more load balancer fit, in each family it needs. The fuller family speaks.
    fn room(&self, group: &SecurityGroup, inbound: &RuleCount, report: &mut Report) {
        let Some(limit) = self.known_limit() else { return };
        // Beyond the limit the count or the limit is wrong, and nothing follows from it.
        let families = IpFamily::ALL.iter().filter(|family| inbound.family(**family) as f64 <= limit);
        let room: BTreeMap<_, _> = families.map(|family| (*family, limit - inbound.family(*family) as f64)).collect();
        let needs = |family: &IpFamily| self.one_more.rules.map_or(0, |cost| cost.reserve(*family)) as f64;
        let tightest = |filter: &dyn Fn(&IpFamily, f64) -> bool| {
            room.iter()
                .filter(|(family, left)| filter(family, **left))
                .min_by(|a, b| a.1.total_cmp(b.1))
                .map(|(family, _)| *family)
        };
        let sentence = |family: IpFamily| {
            let used = inbound.family(family);
            let need = needs(&family);
            let basis = self.one_more.basis(QUOTA).map(|basis| format!(" ({basis})")).unwrap_or_default();
            let more = if need > 0.0 { format!(", and one more load balancer needs {need} free{basis}") } else { String::new() };
            format!("{} uses {used} of {limit} inbound rules in {family}{more}{}", named(group), self.way_out)
        };
        let subject = Subject::SecurityGroup(group.id.clone());
        let is_full = |family: &IpFamily, left: f64| needs(family) > 0.0 && left < needs(family);
        if let Some(family) = tightest(&is_full).filter(|_| self.fresh) {
            report.find(&RULES_EXHAUSTED, subject, None, sentence(family));
            return;
        }
        // A family that load balancers do not write into may be full for ever; where they write into none, both count.
        let writes = IpFamily::ALL.iter().any(|family| needs(family) > 0.0);
        let is_nearly_full = |family: &IpFamily, left: f64| {
            let counts = !writes || needs(family) > 0.0;
            counts && (left <= 2.0 * needs(family) && needs(family) > 0.0 || limit - left >= limit * self.warning_ratio)
        };
        if let Some(family) = tightest(&is_nearly_full).filter(|_| !self.restarted) {
            report.find(&RULES_NEARLY_EXHAUSTED, subject, None, sentence(family));
        }
    }
}

fn named(group: &SecurityGroup) -> String {
    let id: &SecurityGroupId = &group.id;
    if group.name.is_empty() { id.to_string() } else { format!("{id} ({})", group.name) }
}

#[cfg(test)]
mod tests;
