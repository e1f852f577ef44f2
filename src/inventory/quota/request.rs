//! Was more of a quota asked for already, and if not, how is it asked for?

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Quota, quota};

/// AWS allows no more rules on one network interface than this: the product of the two quotas, not of what is used.
/// Source: "Amazon VPC quotas".
const RULES_PER_INTERFACE: f64 = 1000.0;

/// AWS allows no more security groups on an interface than this.
const MOST_GROUPS_PER_INTERFACE: f64 = 16.0;

/// Where a request stands that was not decided yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestStatus {
    /// `PENDING`: AWS looks at it.
    Pending,
    /// `CASE_OPENED`: AWS made a support case of it.
    CaseOpened,
}

impl RequestStatus {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::CaseOpened => "a support case",
        }
    }
}

/// A request for more of a quota that AWS has not decided yet. Decided ones are not kept: what came of them is the limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuotaRequest {
    /// Service Quotas' id of the request.
    pub id: Arc<str>,
    /// Where it stands.
    pub status: RequestStatus,
    /// The value asked for.
    pub desired_value: f64,
    /// Since when; `None` where AWS does not say.
    pub requested_at: Option<Timestamp>,
}

/// The command that asks AWS for `desired` of a quota. The Region is left out while it is not known: the command line has a default.
pub fn increase_command(quota: &Quota, desired: f64, region: Option<&str>) -> String {
    let Quota { service_code, quota_code, .. } = quota;
    let mut command = format!(
        "aws service-quotas request-service-quota-increase --service-code {service_code} --quota-code {quota_code} --desired-value {desired}"
    );
    // A recorded picture can hold any text, and somebody will paste this into a shell.
    let is_plain = |region: &&str| {
        !region.is_empty() && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    if let Some(region) = region.filter(is_plain) {
        command.push_str(" --region ");
        command.push_str(region);
    }
    command
}

/// The value that is worth asking for; `None` where AWS would refuse any larger one. `limit_of` gives the limits in force.
///
/// Twice what is allowed now: half of it is free again then, far from where a warning begins, and one request lasts for long.
/// The quotas of rules and of groups per interface bound each other: their product may not exceed 1,000.
pub fn next_value(of: &Quota, limit_of: impl Fn(&str) -> Option<f64>) -> Option<f64> {
    const RULES: &str = "rules_per_security_group";
    const GROUPS: &str = "security_groups_per_network_interface";
    if !of.adjustable {
        return None;
    }
    let limit = limit_of(of.name)?;
    let other = |name: &str| limit_of(name).or_else(|| quota(name).map(|quota| quota.default)).unwrap_or(1.0).max(1.0);
    let most = match of.name {
        RULES => (RULES_PER_INTERFACE / other(GROUPS)).floor(),
        GROUPS => (RULES_PER_INTERFACE / other(RULES)).floor().min(MOST_GROUPS_PER_INTERFACE),
        _ => f64::INFINITY,
    };
    let next = (2.0 * limit).max(limit + 1.0).ceil().min(most);
    (next > limit).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(pairs: &'static [(&'static str, f64)]) -> impl Fn(&str) -> Option<f64> {
        move |name| pairs.iter().find(|(known, _)| *known == name).map(|(_, limit)| *limit)
    }

    #[test]
    fn the_command_names_the_codes_the_value_and_the_region() {
        let rules = quota("rules_per_security_group").unwrap();
        let command =
            "aws service-quotas request-service-quota-increase --service-code vpc --quota-code L-0EA8095F --desired-value 120";
        assert_eq!(increase_command(rules, 120.0, Some("eu-west-1")), format!("{command} --region eu-west-1"));
        assert_eq!(increase_command(rules, 120.0, None), command);
        assert_eq!(increase_command(rules, 120.0, Some("x; rm -rf ~")), command, "it will be pasted into a shell");
    }

    #[test]
    fn twice_as_much_is_asked_for_where_nothing_bounds_it() {
        let balancers = quota("network_load_balancers").unwrap();
        assert_eq!(next_value(balancers, limits(&[("network_load_balancers", 50.0)])), Some(100.0));
        assert_eq!(next_value(balancers, limits(&[("network_load_balancers", 0.0)])), Some(1.0));
        assert_eq!(next_value(balancers, limits(&[])), None, "of what is not known nothing is asked");
        let listeners = quota("listeners_per_network_load_balancer").unwrap();
        assert_eq!(next_value(listeners, limits(&[("listeners_per_network_load_balancer", 50.0)])), None, "AWS never raises it");
    }

    #[test]
    fn rules_times_groups_of_an_interface_stay_within_a_thousand() {
        let rules = quota("rules_per_security_group").unwrap();
        let both = |pairs| next_value(rules, limits(pairs));
        assert_eq!(both(&[("rules_per_security_group", 60.0), ("security_groups_per_network_interface", 5.0)]), Some(120.0));
        assert_eq!(both(&[("rules_per_security_group", 120.0), ("security_groups_per_network_interface", 5.0)]), Some(200.0));
        assert_eq!(both(&[("rules_per_security_group", 200.0), ("security_groups_per_network_interface", 5.0)]), None);
        assert_eq!(both(&[("rules_per_security_group", 60.0), ("security_groups_per_network_interface", 16.0)]), Some(62.0));
        assert_eq!(both(&[("rules_per_security_group", 120.0)]), Some(200.0), "by AWS's default of 5 groups");
        let groups = quota("security_groups_per_network_interface").unwrap();
        let both = |pairs| next_value(groups, limits(pairs));
        assert_eq!(both(&[("security_groups_per_network_interface", 5.0), ("rules_per_security_group", 60.0)]), Some(10.0));
        assert_eq!(both(&[("security_groups_per_network_interface", 10.0), ("rules_per_security_group", 60.0)]), Some(16.0));
        assert_eq!(both(&[("security_groups_per_network_interface", 5.0), ("rules_per_security_group", 200.0)]), None);
    }
}
