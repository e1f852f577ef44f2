//! How are target groups, their health checks and their bindings compared: 1.7 and the end of 1.8?

use std::fmt::Display;

use crate::controller::annotations::{AnnotationError, Annotations, name};
use crate::controller::desired::health_check::HealthChecks;
use crate::controller::desired::target_group as desired;
use crate::controller::desired::{Desired, Wanted, read_map};
use crate::inventory::aws::{HealthCheck, TargetType};
use crate::inventory::kube::{StringMap, TargetGroupBinding, TrafficPolicy};

use crate::checks::drift::case::{Case, Group};
use crate::checks::drift::comparison::{Comparison, GROUPS_MISSING, Listed};

/// 1.7: target groups of another type are replaced.
pub(super) fn target_type(case: &Case<'_>) -> Result<Comparison, AnnotationError> {
    let mut comparison = groups_known(case);
    for Group { group, .. } in case.groups.iter().chain(&case.replaced) {
        let wanted = desired::target_type(case.service, case.settings);
        comparison.field(format_args!("TargetType of {}", group.value.id), wanted, &group.value.target_type, group.at);
    }
    Ok(comparison)
}

fn groups_known(case: &Case<'_>) -> Comparison {
    let unknown = case.groups_missing.then_some(GROUPS_MISSING);
    Comparison { differences: Vec::new(), unknown }
}

/// The groups of other Services' pods (weighted actions). They are built from this Service's annotations (1.6); what depends
/// on the policy or the ports of the Service whose pods they hold is not written anywhere, and they are left out then.
fn weighted<'a, 'c>(case: &'c Case<'a>, comparison: &mut Comparison, sure: impl Fn(&Group<'a>) -> bool) -> &'c [Group<'a>] {
    if case.weighted.iter().all(sure) {
        return &case.weighted;
    }
    comparison.leave_out("what is expected of a weighted action's target group is not known for sure");
    &[]
}

fn health_is_sure(case: &Case<'_>, group: &Group<'_>) -> bool {
    let port = Annotations(&case.service.annotations).text(name::HEALTH_CHECK_PORT).unwrap_or("traffic-port");
    group.group.value.target_type == TargetType::Ip
        && desired::target_type(case.service, case.settings) == Wanted::Value(TargetType::Ip)
        && case.service.external_traffic_policy == TrafficPolicy::Cluster
        && (port == "traffic-port" || port.parse::<u16>().is_ok())
}

fn attributes_are_sure(case: &Case<'_>) -> bool {
    let annotations = Annotations(&case.service.annotations);
    annotations.text(name::PROXY_PROTOCOL_PER_GROUP).is_none() && !annotations.any_with_suffix(name::TARGET_GROUP_ATTRIBUTES)
}

/// 1.7, T4, T5, T7.
pub(super) fn attributes(case: &Case<'_>, annotation: &str) -> Result<Comparison, AnnotationError> {
    let mut comparison = groups_known(case);
    let weighted = weighted(case, &mut comparison, |_| attributes_are_sure(case));
    for group in case.groups.iter().chain(weighted) {
        let wanted = desired::attributes(case.service, case.settings, group.port)?;
        comparison.attributes(&wanted, annotation, group.attributes, &group.group.value.id);
        // What sets proxy protocol may be in the part that could not be read.
        comparison.unknown = comparison.unknown.or(wanted.unknown);
    }
    Ok(comparison)
}

/// 1.7, T5: every field is enforced.
pub(super) fn health<T: PartialEq + Display>(
    case: &Case<'_>,
    field: &str,
    wanted: impl Fn(HealthChecks<'_>) -> Desired<T>,
    actual: impl Fn(&HealthCheck) -> T,
) -> Result<Comparison, AnnotationError> {
    let mut comparison = groups_known(case);
    let weighted = weighted(case, &mut comparison, |group| health_is_sure(case, group));
    for Group { group, .. } in case.groups.iter().chain(weighted) {
        let wanted = wanted(HealthChecks::of(case.service, case.settings, group.value.target_type))?;
        comparison.field(format_args!("{field} of {}", group.value.id), wanted, &actual(&group.value.health_check), group.at);
    }
    Ok(comparison)
}

/// Fields that only HTTP and HTTPS have. Where AWS has another protocol, that is the difference, and the rest follows.
pub(super) fn http_health(
    case: &Case<'_>,
    field: &str,
    wanted: impl Fn(HealthChecks<'_>) -> Desired<String>,
    actual: impl Fn(&HealthCheck) -> String,
) -> Result<Comparison, AnnotationError> {
    let mut comparison = groups_known(case);
    let weighted = weighted(case, &mut comparison, |group| health_is_sure(case, group));
    for Group { group, .. } in case.groups.iter().chain(weighted) {
        let wanted = wanted(HealthChecks::of(case.service, case.settings, group.value.target_type))?;
        if &*group.value.health_check.protocol != "TCP" {
            comparison.field(format_args!("{field} of {}", group.value.id), wanted, &actual(&group.value.health_check), group.at);
        }
    }
    Ok(comparison)
}

/// 1.8: which nodes the binding registers. Nothing is expected without the annotation, nor with ip targets.
pub(super) fn node_labels(case: &Case<'_>) -> Result<Comparison, AnnotationError> {
    let wanted = match read_map(Annotations(&case.service.annotations), name::TARGET_NODE_LABELS, case.settings)? {
        Wanted::Value(wanted) => wanted,
        Wanted::Free => return Ok(Comparison::default()),
        Wanted::Likely(_, why) | Wanted::Unknown(why) => return Ok(Comparison::unknown(why)),
    };
    let wanted = Labels(wanted.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect());
    compare_bindings(
        case,
        |group| group.group.value.target_type == TargetType::Instance,
        |comparison, binding| {
            let labels = binding.node_selector.as_ref().map(|selector| selector.match_labels.clone());
            let actual = Labels(labels.unwrap_or_default());
            let place = format_args!("nodeSelector of TargetGroupBinding {}", binding.name);
            comparison.field(place, Wanted::Value(wanted.clone()), &actual, case.bindings_at());
        },
    )
}

/// 1.8: nothing is expected without the annotation.
pub(super) fn multi_cluster(case: &Case<'_>) -> Result<Comparison, AnnotationError> {
    let Some(wanted) = Annotations(&case.service.annotations).boolean(name::MULTI_CLUSTER)? else {
        return Ok(Comparison::default());
    };
    compare_bindings(
        case,
        |_| true,
        |comparison, binding| {
            let place = format_args!("multiClusterTargetGroup of TargetGroupBinding {}", binding.name);
            comparison.field(place, Wanted::Value(wanted), &binding.multi_cluster, case.bindings_at());
        },
    )
}

fn compare_bindings(
    case: &Case<'_>,
    concerns: impl Fn(&Group<'_>) -> bool,
    mut compare: impl FnMut(&mut Comparison, &TargetGroupBinding),
) -> Result<Comparison, AnnotationError> {
    let mut comparison = groups_known(case);
    for group in case.groups.iter().filter(|group| concerns(group)) {
        match group.binding {
            Some(binding) => compare(&mut comparison, binding),
            None => comparison.leave_out("the target group's TargetGroupBinding is not known"),
        }
    }
    Ok(comparison)
}

/// Labels, for a message.
#[derive(Clone, PartialEq)]
struct Labels(StringMap);

impl Display for Labels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Listed(self.0.iter().map(|(key, value)| format!("{key}={value}")).collect()).fmt(f)
    }
}
