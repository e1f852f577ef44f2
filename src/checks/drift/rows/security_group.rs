//! How are the load balancer's security groups and the rules of the managed one compared: 1.5?

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::controller::annotations::{AnnotationError, Annotations, name};
use crate::controller::desired::load_balancer::{private_link_rules, without_security_groups};
use crate::controller::desired::managed_group::{RuleKey, inbound};
use crate::controller::desired::security_groups::{
    MANAGED_GROUP_MISSING, NLB_SECURITY_GROUP, named_groups, names_its_own, security_groups,
};
use crate::controller::desired::{Desired, Wanted};
use crate::inventory::ids::SecurityGroupId;

use crate::checks::drift::case::{Case, RuleDifferences};
use crate::checks::drift::comparison::{Comparison, Listed, NOT_FETCHED};

const GROUPS_UNKNOWN: &str = "the VPC's security groups are not known";

/// 1.5: a load balancer without security groups stays so for ever and is passed over.
pub(super) fn groups(case: &Case<'_>) -> Result<Comparison, AnnotationError> {
    let lb = &case.load_balancer.value.load_balancer;
    let (wanted, at) = match wanted_groups(case)? {
        Ok(known) => known,
        Err(comparison) => return Ok(comparison),
    };
    let mut comparison = Comparison::default();
    if joining_backend(case, &wanted)?.is_none() {
        let place = format_args!("security groups of {}", lb.id);
        comparison.field(place, wanted.map(Listed), &Listed(lb.security_groups.clone()), at);
    }
    Ok(comparison)
}

/// 1.5: the shared group beside groups of the user's own, where that is all that differs.
pub(super) fn backend(case: &Case<'_>) -> Result<Comparison, AnnotationError> {
    if !names_its_own(case.service) {
        return Ok(Comparison::default());
    }
    let lb = &case.load_balancer.value.load_balancer;
    let (wanted, at) = match wanted_groups(case)? {
        Ok(known) => known,
        Err(comparison) => return Ok(comparison),
    };
    let mut comparison = Comparison::default();
    if let Some(backend) = joining_backend(case, &wanted)? {
        let told = |groups: &BTreeSet<SecurityGroupId>| if groups.contains(&backend) { "attached" } else { "not attached" };
        let place = format_args!("shared security group {backend} of {}", lb.id);
        comparison.field(place, wanted.map(|wanted| told(&wanted)), &told(&lb.security_groups), at);
    }
    Ok(comparison)
}

type WantedGroups = (Wanted<BTreeSet<SecurityGroupId>>, Option<Timestamp>);

/// The groups there should be and how old AWS's side is, or what there is to say without them.
fn wanted_groups(case: &Case<'_>) -> Result<Result<WantedGroups, Comparison>, AnnotationError> {
    let lb = &case.load_balancer.value.load_balancer;
    if lb.security_groups.is_empty() {
        return Ok(Err(Comparison::default()));
    }
    let Some(known) = case.security_groups else { return Ok(Err(Comparison::unknown(GROUPS_UNKNOWN))) };
    let wanted = security_groups(case.service, case.settings, known.value, &lb.vpc_id)?;
    Ok(Ok((wanted, case.load_balancer.at.min(known.at))))
}

/// The shared group, where it may join groups of the user's own, is not one of them, and is all that differs.
fn joining_backend(
    case: &Case<'_>,
    wanted: &Wanted<BTreeSet<SecurityGroupId>>,
) -> Result<Option<SecurityGroupId>, AnnotationError> {
    let (Some(known), true) = (case.security_groups, names_its_own(case.service)) else { return Ok(None) };
    let (Wanted::Value(wanted) | Wanted::Likely(wanted, _)) = wanted else { return Ok(None) };
    let lb = &case.load_balancer.value.load_balancer;
    let mut differ = wanted.symmetric_difference(&lb.security_groups);
    let (Some(only), None) = (differ.next(), differ.next()) else { return Ok(None) };
    let (Wanted::Value(backend) | Wanted::Likely(backend, _)) = known.value.backend(case.settings, &lb.vpc_id) else {
        return Ok(None);
    };
    Ok(match named_groups(case.service, known.value, &lb.vpc_id)? {
        Wanted::Value(named) if backend == *only && !named.contains(&backend) => Some(backend),
        _ => None,
    })
}

/// 1.5, T2: written at creation. Switching groups off on a load balancer that has some is refused; switching them on for one
/// born without never takes effect.
pub(super) fn disabled(case: &Case<'_>) -> Result<Comparison, AnnotationError> {
    let mut comparison = Comparison::default();
    let without = without_security_groups(case.service, case.settings)?;
    let lb = &case.load_balancer.value.load_balancer;
    let said = Annotations(&case.service.annotations).text(name::DISABLE_NLB_SG).is_some();
    if said && !without && lb.security_groups.is_empty() {
        match case.settings.gate(&NLB_SECURITY_GROUP) {
            Some(true) => {
                let place = format_args!("security groups of {}", lb.id);
                comparison.differs(place, "some", "none", case.load_balancer.at);
            }
            Some(false) => {}
            None => comparison.leave_out("the controller's gate NLBSecurityGroup is not known"),
        }
    }
    Ok(comparison)
}

/// 1.4: only where it is said, and where there are security groups.
pub(super) fn private_link(case: &Case<'_>) -> Result<Comparison, AnnotationError> {
    let mut comparison = Comparison::default();
    let wanted: Desired<&str> = private_link_rules(case.service);
    let wanted = wanted?;
    let lb = &case.load_balancer.value.load_balancer;
    if lb.security_groups.is_empty() || wanted == Wanted::Free {
        return Ok(comparison);
    }
    let Some(actual) = lb.enforce_inbound_rules_on_private_link.as_deref() else {
        return Ok(Comparison::unknown(NOT_FETCHED));
    };
    let place = format_args!("EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic of {}", lb.id);
    comparison.field(place, wanted, &actual, case.load_balancer.at);
    Ok(comparison)
}

/// 1.5, 6.1: the whole ingress of the managed group is enforced; each annotation answers for the rules of its kind.
pub(super) fn rules(case: &Case<'_>, annotation: &str) -> Result<Comparison, AnnotationError> {
    // A sentence has room for some of them.
    const TOLD: usize = 4;
    let differences = case.rules.get_or_init(|| rule_differences(case)).as_ref().map_err(Clone::clone)?;
    let mut comparison = Comparison { unknown: differences.unknown, ..Comparison::default() };
    let Some(group) = differences.group else { return Ok(comparison) };
    let at = case.security_groups.and_then(|known| known.at).min(case.load_balancer.at);
    for (rules, wanted, actual) in [(&differences.missing, "present", "missing"), (&differences.extra, "absent", "present")] {
        let theirs: Vec<&RuleKey<'_>> = rules.iter().filter(|rule| rule.annotation() == annotation).collect();
        for rule in theirs.iter().take(TOLD) {
            comparison.differs(format_args!("inbound rule {rule} of {}", group.id), wanted, actual, at);
        }
        if let Some(more @ 1..) = theirs.len().checked_sub(TOLD) {
            comparison.differs(format_args!("each of {more} more inbound rules of {}", group.id), wanted, actual, at);
        }
    }
    Ok(comparison)
}

fn rule_differences<'a>(case: &Case<'a>) -> Result<RuleDifferences<'a>, AnnotationError> {
    let unknown = |why| Ok(RuleDifferences { unknown: Some(why), ..RuleDifferences::default() });
    let lb = &case.load_balancer.value.load_balancer;
    // Groups of the user's own are the user's business, and without any there is no managed one.
    if lb.security_groups.is_empty() || names_its_own(case.service) {
        return Ok(RuleDifferences::default());
    }
    let wanted = match inbound(case.service, case.settings)? {
        Wanted::Value(wanted) => wanted,
        Wanted::Free => return Ok(RuleDifferences::default()),
        Wanted::Likely(_, why) | Wanted::Unknown(why) => return unknown(why),
    };
    let Some(known) = case.security_groups else { return unknown(GROUPS_UNKNOWN) };
    let managed = known.value.managed(&case.service.name, &lb.vpc_id);
    let [id] = &*managed else { return unknown(MANAGED_GROUP_MISSING) };
    let Some(group) = known.value.get(id).filter(|group| case.rules_are_kept(group)) else {
        return unknown("the rules of the managed security group are not known");
    };
    let actual: BTreeSet<RuleKey<'a>> = group.inbound.iter().map(RuleKey::of).collect();
    Ok(RuleDifferences {
        group: Some(group),
        missing: wanted.iter().filter(|rule| !actual.contains(*rule)).cloned().collect(),
        extra: actual.iter().filter(|rule| !wanted.contains(*rule)).cloned().collect(),
        unknown: None,
    })
}
