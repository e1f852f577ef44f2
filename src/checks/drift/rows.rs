//! How is each annotation compared with AWS? One row an annotation; a new one is a row and a function.

use std::collections::BTreeSet;
use std::fmt::Display;

use jiff::Timestamp;

use crate::controller::annotations::{AnnotationError, Annotations, name};
use crate::controller::desired::health_check::HealthChecks;
use crate::controller::desired::load_balancer::{WantedTag, additional_tags, annotated_scheme, ip_address_type, subnets};
use crate::controller::desired::security_groups::security_groups;
use crate::controller::desired::target_group::target_type;
use crate::controller::desired::{Desired, Wanted, WantedAttributes, load_balancer, same_attribute, target_group};
use crate::inventory::aws::{Attributes, HealthCheck, IpAddressType, Scheme, Tags};
use crate::inventory::kube::Version;

use super::case::{Case, Group, Seen};

/// Who repairs a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repair {
    /// The controller, at its next reconcile.
    Automatic,
    /// Nobody: the field is written at creation only (T2).
    Never,
}

impl Repair {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::Never => "never",
        }
    }
}

/// One annotation.
#[derive(Debug)]
pub(super) struct Row {
    /// Its name without prefix and port: the label.
    pub(super) annotation: &'static str,
    /// The first version that reads it.
    pub(super) since: Version,
    /// Who repairs a difference.
    pub(super) repair: Repair,
    /// The comparison; an error means that the controller refuses the Service as it is.
    pub(super) compare: fn(&Case<'_>) -> Result<Comparison, AnnotationError>,
}

/// What comparing one annotation gave.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// Where AWS differs.
    pub(super) differences: Vec<Difference>,
    /// Something of it could not be compared, and why.
    pub(super) unknown: Option<&'static str>,
}

/// One field that is not as it should be.
#[derive(Debug)]
pub(super) struct Difference {
    /// The field, and of what.
    pub(super) place: String,
    /// What it should be.
    pub(super) wanted: String,
    /// What it is.
    pub(super) actual: String,
    /// How old this knowledge is.
    pub(super) seen_at: Option<Timestamp>,
}

const fn row(
    annotation: &'static str,
    since: (u32, u32, u32),
    repair: Repair,
    compare: fn(&Case<'_>) -> Result<Comparison, AnnotationError>,
) -> Row {
    Row { annotation, since: Version::new(since.0, since.1, since.2), repair, compare }
}

/// All annotations that are compared, in the order of findings.
pub(super) static ROWS: &[Row] = &[
    row(name::NAME, (2, 2, 0), Repair::Never, compare_name),
    row(name::SCHEME, (2, 2, 0), Repair::Automatic, |case| compare_scheme(case, name::SCHEME)),
    row(name::INTERNAL, (2, 0, 0), Repair::Automatic, |case| compare_scheme(case, name::INTERNAL)),
    row(name::IP_ADDRESS_TYPE, (2, 1, 0), Repair::Automatic, compare_ip_address_type),
    row(name::SUBNETS, (2, 1, 0), Repair::Automatic, compare_subnets),
    row(name::SECURITY_GROUPS, (2, 6, 0), Repair::Automatic, compare_security_groups),
    row(name::ATTRIBUTES, (2, 3, 0), Repair::Automatic, |case| compare_attributes(case, name::ATTRIBUTES)),
    row(name::ACCESS_LOG_ENABLED, (2, 0, 0), Repair::Automatic, |case| compare_attributes(case, name::ACCESS_LOG_ENABLED)),
    row(name::ACCESS_LOG_BUCKET, (2, 0, 0), Repair::Automatic, |case| compare_attributes(case, name::ACCESS_LOG_BUCKET)),
    row(name::ACCESS_LOG_PREFIX, (2, 0, 0), Repair::Automatic, |case| compare_attributes(case, name::ACCESS_LOG_PREFIX)),
    row(name::CROSS_ZONE, (2, 0, 0), Repair::Automatic, |case| compare_attributes(case, name::CROSS_ZONE)),
    row(name::ADDITIONAL_TAGS, (2, 0, 0), Repair::Automatic, compare_tags),
    row(name::TARGET_TYPE, (2, 2, 0), Repair::Automatic, compare_target_type),
    row(name::TARGET_GROUP_ATTRIBUTES, (2, 1, 0), Repair::Automatic, |case| {
        compare_group_attributes(case, name::TARGET_GROUP_ATTRIBUTES)
    }),
    row(name::PROXY_PROTOCOL, (2, 0, 0), Repair::Automatic, |case| compare_group_attributes(case, name::PROXY_PROTOCOL)),
    row(name::PROXY_PROTOCOL_PER_GROUP, (2, 13, 0), Repair::Automatic, |case| {
        compare_group_attributes(case, name::PROXY_PROTOCOL_PER_GROUP)
    }),
    row(name::HEALTH_CHECK_PROTOCOL, (2, 0, 0), Repair::Automatic, |case| {
        compare_health(case, "HealthCheckProtocol", |c| Ok(Wanted::Value(c.protocol()?.to_owned())), |c| c.protocol.to_string())
    }),
    row(name::HEALTH_CHECK_PORT, (2, 0, 0), Repair::Automatic, |case| {
        compare_health(case, "HealthCheckPort", |c| c.port(), |c| c.port.to_string())
    }),
    row(name::HEALTH_CHECK_PATH, (2, 0, 0), Repair::Automatic, |case| {
        compare_http(case, "HealthCheckPath", |c| c.path(), |c| c.path.as_deref().unwrap_or_default().to_owned())
    }),
    row(name::SUCCESS_CODES, (2, 4, 6), Repair::Automatic, |case| {
        compare_http(
            case,
            "Matcher.HttpCode",
            |c| c.success_codes(),
            |c| c.success_codes.as_deref().unwrap_or_default().to_owned(),
        )
    }),
    row(name::HEALTH_CHECK_INTERVAL, (2, 0, 0), Repair::Automatic, |case| {
        compare_health(case, "HealthCheckIntervalSeconds", |c| c.interval().map(Wanted::Value), |c| c.interval_seconds)
    }),
    row(name::HEALTH_CHECK_TIMEOUT, (2, 4, 6), Repair::Automatic, |case| {
        compare_health(case, "HealthCheckTimeoutSeconds", |c| c.timeout(), |c| c.timeout_seconds)
    }),
    row(name::HEALTHY_THRESHOLD, (2, 0, 0), Repair::Automatic, |case| {
        compare_health(case, "HealthyThresholdCount", |c| c.healthy_threshold().map(Wanted::Value), |c| c.healthy_threshold)
    }),
    row(name::UNHEALTHY_THRESHOLD, (2, 0, 0), Repair::Automatic, |case| {
        compare_health(case, "UnhealthyThresholdCount", |c| c.unhealthy_threshold().map(Wanted::Value), |c| c.unhealthy_threshold)
    }),
];

const NOT_FETCHED: &str = "AWS's side is not known yet";

impl Comparison {
    fn unknown(why: &'static str) -> Self {
        Self { differences: Vec::new(), unknown: Some(why) }
    }

    /// Compares one field. What is only likely can be confirmed and not refuted.
    fn field<T: PartialEq + Display>(&mut self, place: impl Display, wanted: Wanted<T>, actual: &T, at: Option<Timestamp>) {
        match wanted {
            Wanted::Free => {}
            Wanted::Value(wanted) | Wanted::Likely(wanted, _) if wanted == *actual => {}
            Wanted::Value(wanted) => self.differs(place, wanted, actual, at),
            Wanted::Likely(_, why) | Wanted::Unknown(why) => self.unknown = Some(why),
        }
    }

    fn differs(&mut self, place: impl Display, wanted: impl Display, actual: impl Display, at: Option<Timestamp>) {
        let (place, wanted, actual) = (place.to_string(), wanted.to_string(), actual.to_string());
        self.differences.push(Difference { place, wanted, actual, seen_at: at });
    }

    /// Compares the keys that one annotation decides.
    fn attributes(&mut self, wanted: &WantedAttributes, annotation: &str, actual: Option<Seen<&Attributes>>, of: impl Display) {
        for (key, value) in wanted.of(annotation) {
            let Some(actual) = actual else {
                self.unknown = Some(NOT_FETCHED);
                return;
            };
            match actual.value.get(key) {
                Some(found) if same_attribute(value, found) => {}
                Some(found) => self.differs(format_args!("attribute {key} of {of}"), value, found, actual.at),
                // An attribute that is not there is neither set nor on.
                None if matches!(value, "" | "false") => {}
                // AWS answers every attribute it knows for the resource: one that is missing it would have refused to set,
                // which shows as a failed reconcile.
                None => self.unknown = Some("AWS's answer does not have the attribute"),
            }
        }
    }
}

/// A set in its order, for a message.
struct Listed<T>(BTreeSet<T>);

impl<T: PartialEq> PartialEq for Listed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T: Display> Display for Listed<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (index, item) in self.0.iter().enumerate() {
            write!(f, "{}{item}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// 1.4: never compared by the controller after creation.
fn compare_name(case: &Case<'_>) -> Result<Comparison, AnnotationError> {
    let mut comparison = Comparison::default();
    let Some(wanted) = Annotations(&case.service.annotations).text(name::NAME) else { return Ok(comparison) };
    if wanted.len() > 32 {
        return Err(AnnotationError::value(name::NAME, wanted, "at most 32 characters"));
    }
    let lb = &case.load_balancer.value.load_balancer;
    comparison.field(format_args!("LoadBalancerName of {}", lb.id), Wanted::Value(wanted), &&*lb.name, case.load_balancer.at);
    Ok(comparison)
}

/// 1.4: compared only where one of the two annotations is there; `scheme` first.
fn compare_scheme(case: &Case<'_>, annotation: &str) -> Result<Comparison, AnnotationError> {
    let mut comparison = Comparison::default();
    if let Some((wanted, by)) = annotated_scheme(case.service, case.settings)?
        && by == annotation
    {
        let lb = &case.load_balancer.value.load_balancer;
        comparison.field::<Scheme>(format_args!("Scheme of {}", lb.id), Wanted::Value(wanted), &lb.scheme, case.load_balancer.at);
    }
    Ok(comparison)
}

/// 1.4, T5: ipv4 is enforced without the annotation.
fn compare_ip_address_type(case: &Case<'_>) -> Result<Comparison, AnnotationError> {
    let wanted = ip_address_type(case.service)?;
    let lb = &case.load_balancer.value.load_balancer;
    if lb.ip_address_type == IpAddressType::Other {
        return Ok(Comparison::unknown("AWS answers an address type that is not known here"));
    }
    let mut comparison = Comparison::default();
    comparison.field(
        format_args!("IpAddressType of {}", lb.id),
        Wanted::Value(wanted),
        &lb.ip_address_type,
        case.load_balancer.at,
    );
    Ok(comparison)
}

/// 1.4, T3, T9, T10.
fn compare_subnets(case: &Case<'_>) -> Result<Comparison, AnnotationError> {
    let mut comparison = Comparison::default();
    if Annotations(&case.service.annotations).text(name::SUBNETS).is_none() {
        return Ok(comparison);
    }
    let Some(known) = case.subnets else { return Ok(Comparison::unknown("the VPC's subnets are not known")) };
    let wanted = subnets(case.service, case.settings, known.value)?.map(Listed);
    let lb = &case.load_balancer.value.load_balancer;
    let actual = Listed(lb.zones.iter().map(|zone| zone.subnet_id.clone()).collect());
    let at = case.load_balancer.at.min(known.at);
    comparison.field(format_args!("subnets of {}", lb.id), wanted, &actual, at);
    Ok(comparison)
}

/// 1.5: a load balancer without security groups stays so for ever and is passed over.
fn compare_security_groups(case: &Case<'_>) -> Result<Comparison, AnnotationError> {
    let mut comparison = Comparison::default();
    let lb = &case.load_balancer.value.load_balancer;
    if lb.security_groups.is_empty() {
        return Ok(comparison);
    }
    let Some(known) = case.security_groups else {
        return Ok(Comparison::unknown("the VPC's security groups are not known"));
    };
    let wanted = security_groups(case.service, case.settings, known.value, &lb.vpc_id)?.map(Listed);
    let actual = Listed(lb.security_groups.clone());
    comparison.field(format_args!("security groups of {}", lb.id), wanted, &actual, case.load_balancer.at.min(known.at));
    Ok(comparison)
}

/// 1.4, T4, T6, T7.
fn compare_attributes(case: &Case<'_>, annotation: &str) -> Result<Comparison, AnnotationError> {
    let wanted = load_balancer::attributes(case.service, case.settings)?;
    let mut comparison = Comparison::default();
    comparison.attributes(&wanted, annotation, case.attributes, &case.load_balancer.value.load_balancer.id);
    if annotation == name::ATTRIBUTES {
        comparison.unknown = comparison.unknown.or(wanted.unknown);
    }
    Ok(comparison)
}

/// 1.8: on the load balancer, its target groups and its managed security group.
fn compare_tags(case: &Case<'_>) -> Result<Comparison, AnnotationError> {
    let wanted = match additional_tags(case.service, case.settings)? {
        Wanted::Value(wanted) if !wanted.is_empty() => wanted,
        Wanted::Value(_) | Wanted::Free => return Ok(Comparison::default()),
        Wanted::Likely(_, why) | Wanted::Unknown(why) => return Ok(Comparison::unknown(why)),
    };
    let mut comparison = Comparison::default();
    let mut compare = |tags: Option<Seen<&Tags>>, of: &dyn Display| {
        let Some(tags) = tags else {
            comparison.unknown = Some(NOT_FETCHED);
            return;
        };
        for (key, value) in &wanted {
            let place = || format!("tag {key} of {of}");
            match (tags.value.get(key.as_str()), value) {
                (Some(found), WantedTag::Value(value)) if **found == **value => {}
                (Some(_), WantedTag::Any) => {}
                (Some(found), WantedTag::Value(value)) => comparison.differs(place(), value, found, tags.at),
                (None, WantedTag::Value(value)) => comparison.differs(place(), value, "missing", tags.at),
                (None, WantedTag::Any) => comparison.differs(place(), "some value", "missing", tags.at),
            }
        }
    };
    let lb = &case.load_balancer.value.load_balancer;
    compare(case.tags(&lb.arn), &lb.id);
    for group in case.groups.iter().chain(&case.replaced) {
        let group = group.group.value;
        compare(case.tags(&group.arn), &group.id);
    }
    if let Some(known) = case.security_groups {
        for id in known.value.managed(&case.service.name, &lb.vpc_id) {
            compare(known.value.tags(&id).map(|tags| Seen { value: tags, at: known.at }), &id);
        }
    }
    Ok(comparison)
}

/// 1.7: target groups of another type are replaced.
fn compare_target_type(case: &Case<'_>) -> Result<Comparison, AnnotationError> {
    let mut comparison = groups_known(case);
    for Group { group, .. } in case.groups.iter().chain(&case.replaced) {
        let wanted = target_type(case.service, case.settings);
        comparison.field(format_args!("TargetType of {}", group.value.id), wanted, &group.value.target_type, group.at);
    }
    Ok(comparison)
}

fn groups_known(case: &Case<'_>) -> Comparison {
    let unknown = case.groups_missing.then_some("not every port of the Service has one known target group in use");
    Comparison { differences: Vec::new(), unknown }
}

/// 1.7, T4, T5, T7.
fn compare_group_attributes(case: &Case<'_>, annotation: &str) -> Result<Comparison, AnnotationError> {
    let mut comparison = groups_known(case);
    for group in &case.groups {
        let wanted = target_group::attributes(case.service, case.settings, group.port)?;
        comparison.attributes(&wanted, annotation, group.attributes, &group.group.value.id);
        // What sets proxy protocol may be in the part that could not be read.
        comparison.unknown = comparison.unknown.or(wanted.unknown);
    }
    Ok(comparison)
}

/// 1.7, T5: every field is enforced.
fn compare_health<T: PartialEq + Display>(
    case: &Case<'_>,
    field: &str,
    wanted: impl Fn(HealthChecks<'_>) -> Desired<T>,
    actual: impl Fn(&HealthCheck) -> T,
) -> Result<Comparison, AnnotationError> {
    let mut comparison = groups_known(case);
    for Group { group, .. } in &case.groups {
        let wanted = wanted(HealthChecks::of(case.service, case.settings, group.value.target_type))?;
        comparison.field(format_args!("{field} of {}", group.value.id), wanted, &actual(&group.value.health_check), group.at);
    }
    Ok(comparison)
}

/// Fields that only HTTP and HTTPS have. Where AWS has another protocol, that is the difference, and the rest follows.
fn compare_http(
    case: &Case<'_>,
    field: &str,
    wanted: impl Fn(HealthChecks<'_>) -> Desired<String>,
    actual: impl Fn(&HealthCheck) -> String,
) -> Result<Comparison, AnnotationError> {
    let mut comparison = groups_known(case);
    for Group { group, .. } in &case.groups {
        let wanted = wanted(HealthChecks::of(case.service, case.settings, group.value.target_type))?;
        if &*group.value.health_check.protocol != "TCP" {
            comparison.field(format_args!("{field} of {}", group.value.id), wanted, &actual(&group.value.health_check), group.at);
        }
    }
    Ok(comparison)
}
