//! Will the next load balancer find room, and until when?
//!
//! What holds for the account and Region is grouped by these, so that fifty clusters page once. Left below 0 is a mistake of
//! counting, and no reason to call anybody; neither is a limit that is only assumed.

use super::{Alert, CAPACITY, Group, Record, Threshold, Unit, Worse};
use crate::checks::model::Severity::{Critical, Info, Warning};

const ONE: Threshold = Threshold { name: "load_balancers", default: 1.0, unit: Unit::Count, worse: Worse::Lower };
const TWO: Threshold = Threshold { default: 2.0, ..ONE };
const TENTH: Threshold = Threshold { name: "ratio", default: 0.1, unit: Unit::Ratio, worse: Worse::Lower };
const FRESH: Threshold = Threshold { name: "fresh", default: 900.0, unit: Unit::Seconds, worse: Worse::Higher };
const USED: Threshold = Threshold { name: "used_ratio", default: 0.6, unit: Unit::Ratio, worse: Worse::Higher };
const AHEAD: Threshold = Threshold { name: "ahead", default: 259_200.0, unit: Unit::Seconds, worse: Worse::Higher };

const QUOTA: &[&str] = &["account_id", "aws_region", "vpc_id", "quota"];
const SECURITY_GROUP: &[&str] = &["cluster", "security_group_id"];

/// The group.
pub const GROUP: Group = Group {
    name: "eks-nlb-capacity",
    records: &[
        Record {
            name: "account_region:eks_nlb_quota_usage:max",
            expr: r#"max by (account_id, aws_region, quota) (
  eks_nlb_quota_usage{quota=~"network_load_balancers|target_groups|security_groups|network_interfaces_per_availability_zone"}
  * on ([[exporter]]) group_left (account_id, aws_region) eks_nlb_exporter_scope_info
)
or max by (account_id, aws_region, vpc_id, quota) (
  eks_nlb_quota_usage{quota="network_load_balancer_enis_per_vpc"}
  * on ([[exporter]]) group_left (account_id, aws_region, vpc_id) eks_nlb_exporter_scope_info
)"#,
        },
        Record {
            name: "account_region:eks_nlb_quota_limit:min",
            expr: r#"min by (account_id, aws_region, quota) (
  (eks_nlb_quota_limit{quota=~"network_load_balancers|target_groups|security_groups|network_interfaces_per_availability_zone"} and eks_nlb_quota_limit_assumed == 0)
  * on ([[exporter]]) group_left (account_id, aws_region) eks_nlb_exporter_scope_info
)
or min by (account_id, aws_region, vpc_id, quota) (
  (eks_nlb_quota_limit{quota="network_load_balancer_enis_per_vpc"} and eks_nlb_quota_limit_assumed == 0)
  * on ([[exporter]]) group_left (account_id, aws_region, vpc_id) eks_nlb_exporter_scope_info
)"#,
        },
        Record {
            name: "account_region:eks_nlb_quota_needed_per_load_balancer:max",
            expr: r#"max by (account_id, aws_region, quota) (
  eks_nlb_quota_needed_per_load_balancer{quota=~"network_load_balancers|target_groups|security_groups|network_interfaces_per_availability_zone"}
  * on ([[exporter]]) group_left (account_id, aws_region) eks_nlb_exporter_scope_info
)
or max by (account_id, aws_region, vpc_id, quota) (
  eks_nlb_quota_needed_per_load_balancer{quota="network_load_balancer_enis_per_vpc"}
  * on ([[exporter]]) group_left (account_id, aws_region, vpc_id) eks_nlb_exporter_scope_info
)"#,
        },
        // Inbound rules of the endpoint groups that one more load balancer adds rules to.
        Record {
            name: "security_group:eks_nlb_security_group_rules:max",
            expr: r#"max by (cluster, security_group_id, ip_family) (
  eks_nlb_security_group_rules{direction="inbound"} and eks_nlb_security_group_rules_needed_per_load_balancer > 0
)"#,
        },
        Record {
            name: "security_group:eks_nlb_security_group_rules_left:min",
            expr: r#"min by (cluster, security_group_id, ip_family) (
  (eks_nlb_quota_limit{quota="rules_per_security_group"} and eks_nlb_quota_limit_assumed == 0)
  - on ([[exporter]]) group_right ()
    (eks_nlb_security_group_rules{direction="inbound"} and eks_nlb_security_group_rules_needed_per_load_balancer > 0)
)"#,
        },
    ],
    alerts: &[
        Alert {
            name: "NLBQuotaRefused",
            severity: Critical,
            hold_seconds: 120,
            thresholds: &[],
            expr: r#"max by (cluster, namespace, service, target_group_binding) (
  (
    eks_nlb_service_blocked{reason="quota"} == 1
    [[unless_muted]]
  )
  or eks_nlb_target_group_binding_blocked{reason="quota"} == 1
)"#,
            identity: &["cluster", "namespace", "service", "target_group_binding"],
            summary: "AWS refused the controller because of a quota.",
            description: "The newest event about {{ $labels.namespace }}/{{ $labels.service }}{{ $labels.target_group_binding }} names a quota or a limit of rules that is reached: the controller cannot go on.",
            dashboard: CAPACITY,
            code: Some("NLB512"),
        },
        Alert {
            name: "NLBQuotaRunningOut",
            severity: Critical,
            hold_seconds: 600,
            thresholds: &[ONE, FRESH],
            expr: r#"(
  account_region:eks_nlb_quota_limit:min
  - (
    max by (account_id, aws_region, quota) (
      (
        eks_nlb_quota_usage{quota="network_load_balancers"}
          and on ([[exporter]]) time() - eks_nlb_source_last_success_timestamp_seconds{source="aws_load_balancers"} < [[fresh]]
        or eks_nlb_quota_usage{quota="target_groups"}
          and on ([[exporter]]) time() - eks_nlb_source_last_success_timestamp_seconds{source="aws_target_groups"} < [[fresh]]
      )
      * on ([[exporter]]) group_left (account_id, aws_region) eks_nlb_exporter_scope_info
    )
    or max by (account_id, aws_region, vpc_id, quota) (
      (
        eks_nlb_quota_usage{quota="network_load_balancer_enis_per_vpc"}
          and on ([[exporter]]) time() - eks_nlb_source_last_success_timestamp_seconds{source="aws_network_interfaces"} < [[fresh]]
      )
      * on ([[exporter]]) group_left (account_id, aws_region, vpc_id) eks_nlb_exporter_scope_info
    )
  ) >= 0
) < [[load_balancers]] * (
  clamp_min(account_region:eks_nlb_quota_needed_per_load_balancer:max, 1)
  or account_region:eks_nlb_quota_limit:min * 0 + 1
)"#,
            identity: QUOTA,
            summary: "A quota leaves no room for one more load balancer.",
            description: "In account {{ $labels.account_id }}, Region {{ $labels.aws_region }}, {{ $value | humanize }} of [[quota]] is left, and one more load balancer needs more. Whether more was asked for already: eks_nlb_quota_requested; the command that asks: finding NLB401.",
            dashboard: CAPACITY,
            code: Some("NLB401"),
        },
        Alert {
            name: "NLBQuotaRunningOut",
            severity: Warning,
            hold_seconds: 1800,
            thresholds: &[TWO, TENTH],
            expr: r#"(
  (
    account_region:eks_nlb_quota_limit:min - account_region:eks_nlb_quota_usage:max >= 0
    unless account_region:eks_nlb_quota_needed_per_load_balancer:max == 0
  ) <= [[load_balancers]] * (
    clamp_min(account_region:eks_nlb_quota_needed_per_load_balancer:max, 1)
    or account_region:eks_nlb_quota_limit:min * 0 + 1
  )
)
or (
  account_region:eks_nlb_quota_limit:min - account_region:eks_nlb_quota_usage:max >= 0
  unless account_region:eks_nlb_quota_needed_per_load_balancer:max == 0
) <= [[ratio]] * account_region:eks_nlb_quota_limit:min"#,
            identity: QUOTA,
            summary: "A quota is nearly used up.",
            description: "In account {{ $labels.account_id }}, Region {{ $labels.aws_region }}, {{ $value | humanize }} of [[quota]] is left, not more than [[load_balancers]] load balancers take, or than [[ratio]] of the limit. Whether more was asked for already: eks_nlb_quota_requested; the command that asks: finding NLB402.",
            dashboard: CAPACITY,
            code: Some("NLB402"),
        },
        Alert {
            name: "NLBQuotaPredictedToRunOut",
            severity: Warning,
            hold_seconds: 7200,
            thresholds: &[USED, AHEAD],
            expr: r#"(
  predict_linear(account_region:eks_nlb_quota_usage:max[6h], [[ahead]]) > account_region:eks_nlb_quota_limit:min
  and account_region:eks_nlb_quota_usage:max >= [[used_ratio]] * account_region:eks_nlb_quota_limit:min
  and account_region:eks_nlb_quota_usage:max offset 6h
  unless account_region:eks_nlb_quota_needed_per_load_balancer:max == 0
)"#,
            identity: QUOTA,
            summary: "A quota will be used up within days at the present growth.",
            description: "In account {{ $labels.account_id }}, Region {{ $labels.aws_region }}, [[quota]] would reach {{ $value | humanize }}, beyond its limit, within [[ahead]] if it grows as in the last six hours.",
            dashboard: CAPACITY,
            code: None,
        },
        Alert {
            name: "NLBSecurityGroupRulesRunningOut",
            severity: Critical,
            hold_seconds: 600,
            thresholds: &[ONE, FRESH],
            expr: r#"min by (cluster, security_group_id) (
  (
    security_group:eks_nlb_security_group_rules_left:min >= 0
    and on (cluster) time() - max by (cluster) (eks_nlb_source_last_success_timestamp_seconds{source="aws_security_groups"}) < [[fresh]]
  ) < [[load_balancers]] * max by (cluster, security_group_id, ip_family) (eks_nlb_security_group_rules_needed_per_load_balancer{direction="inbound"})
)"#,
            identity: SECURITY_GROUP,
            summary: "A security group has no room for the rules of one more load balancer.",
            description: "Security group {{ $labels.security_group_id }} has room for {{ $value | humanize }} more inbound rules, and one more load balancer needs more: the next one, or the next restart of the controller, fails. Whether more was asked for already: eks_nlb_quota_requested; the command that asks: finding NLB301.",
            dashboard: CAPACITY,
            code: Some("NLB301"),
        },
        Alert {
            name: "NLBSecurityGroupRulesRunningOut",
            severity: Warning,
            // The controller grants rules without revoking any for up to three quarters of an hour after its start.
            hold_seconds: 3600,
            thresholds: &[TWO, TENTH],
            expr: r#"min by (cluster, security_group_id) (
  (
    (security_group:eks_nlb_security_group_rules_left:min >= 0)
    <= [[load_balancers]] * max by (cluster, security_group_id, ip_family) (eks_nlb_security_group_rules_needed_per_load_balancer{direction="inbound"})
  )
  or (security_group:eks_nlb_security_group_rules_left:min >= 0)
    <= [[ratio]] * (security_group:eks_nlb_security_group_rules_left:min + security_group:eks_nlb_security_group_rules:max)
)"#,
            identity: SECURITY_GROUP,
            summary: "A security group is close to its quota of rules.",
            description: "Security group {{ $labels.security_group_id }} has room for {{ $value | humanize }} more inbound rules, not more than [[load_balancers]] load balancers take, or than [[ratio]] of the limit. Whether more was asked for already: eks_nlb_quota_requested; the command that asks: finding NLB302.",
            dashboard: CAPACITY,
            code: Some("NLB302"),
        },
        Alert {
            name: "NLBSecurityGroupRulesPredictedToRunOut",
            severity: Warning,
            hold_seconds: 7200,
            thresholds: &[USED, AHEAD],
            expr: r#"max by (cluster, security_group_id) (
  predict_linear(security_group:eks_nlb_security_group_rules:max[6h], [[ahead]])
    > security_group:eks_nlb_security_group_rules:max + security_group:eks_nlb_security_group_rules_left:min
  and security_group:eks_nlb_security_group_rules:max
    >= [[used_ratio]] * (security_group:eks_nlb_security_group_rules:max + security_group:eks_nlb_security_group_rules_left:min)
  and security_group:eks_nlb_security_group_rules:max offset 6h
)"#,
            identity: SECURITY_GROUP,
            summary: "A security group will reach its quota of rules within days at the present growth.",
            description: "Security group {{ $labels.security_group_id }} would have {{ $value | humanize }} inbound rules, beyond its quota, within [[ahead]] if they grow as in the last six hours.",
            dashboard: CAPACITY,
            code: None,
        },
        Alert {
            name: "NLBTargetQuotaRunningOut",
            severity: Critical,
            hold_seconds: 600,
            thresholds: &[
                Threshold { name: "targets", default: 1.0, unit: Unit::Count, worse: Worse::Lower },
                Threshold { default: 1800.0, ..FRESH },
            ],
            // `of` keeps two load balancers of one Service apart until they are one alert: two series with the same labels are an
            // error, and no alert of the rule would fire.
            expr: r#"min by (cluster, namespace, service, load_balancer, quota) (label_replace(label_replace(
  ((
    (
      (eks_nlb_quota_limit{quota=~"targets_per_network_load_balancer|targets_per_availability_zone_per_network_load_balancer"} and eks_nlb_quota_limit_assumed == 0)
      - on ([[exporter]], quota) group_right ()
        (eks_nlb_load_balancer_quota_usage and on ([[exporter]], load_balancer) (
          eks_nlb_target_group_info and on ([[exporter]], target_group) time() - eks_nlb_target_group_sampled_timestamp_seconds < [[fresh]]
        ))
    ) >= 0 < [[targets]]
  ) * on ([[exporter]], load_balancer) group_left (namespace, service) eks_nlb_load_balancer_info
  or (
    (
      (eks_nlb_quota_limit{quota="targets_per_target_group"} and eks_nlb_quota_limit_assumed == 0)
      - on ([[exporter]], quota) group_right ()
        (eks_nlb_target_group_quota_usage and on ([[exporter]], target_group) time() - eks_nlb_target_group_sampled_timestamp_seconds < [[fresh]])
    ) >= 0 < [[targets]]
  ) * on ([[exporter]], target_group) group_left (namespace, service, load_balancer) eks_nlb_target_group_info)
  [[unless_muted]],
  "of", "$1", "load_balancer", "(.*)"), "load_balancer", "", "service", ".+"
))"#,
            identity: &["cluster", "namespace", "service", "load_balancer", "quota"],
            summary: "A load balancer has as many targets as it may have.",
            description: "[[whose]] has room for {{ $value | humanize }} more targets of quota {{ $labels.quota }}: new pods or Nodes are not registered. Whether more was asked for already: eks_nlb_quota_requested; the command that asks: finding NLB401.",
            dashboard: CAPACITY,
            code: Some("NLB401"),
        },
        Alert {
            name: "NLBTargetQuotaRunningOut",
            severity: Warning,
            hold_seconds: 1800,
            thresholds: &[TENTH],
            expr: r#"min by (cluster, namespace, service, load_balancer, quota) (label_replace(label_replace(
  ((
    (
      (eks_nlb_quota_limit{quota=~"targets_per_network_load_balancer|targets_per_availability_zone_per_network_load_balancer|listeners_per_network_load_balancer|certificates_per_network_load_balancer"} and eks_nlb_quota_limit_assumed == 0)
      - on ([[exporter]], quota) group_right () eks_nlb_load_balancer_quota_usage
    ) >= 0 <= on ([[exporter]], quota) group_left () [[ratio]] * eks_nlb_quota_limit
  ) * on ([[exporter]], load_balancer) group_left (namespace, service) eks_nlb_load_balancer_info
  or (
    (
      (eks_nlb_quota_limit{quota="targets_per_target_group"} and eks_nlb_quota_limit_assumed == 0)
      - on ([[exporter]], quota) group_right () eks_nlb_target_group_quota_usage
    ) >= 0 <= on ([[exporter]], quota) group_left () [[ratio]] * eks_nlb_quota_limit
  ) * on ([[exporter]], target_group) group_left (namespace, service, load_balancer) eks_nlb_target_group_info)
  [[unless_muted]],
  "of", "$1", "load_balancer", "(.*)"), "load_balancer", "", "service", ".+"
))"#,
            identity: &["cluster", "namespace", "service", "load_balancer", "quota"],
            summary: "A load balancer has nearly as many targets, listeners or certificates as it may have.",
            description: "[[whose]] has {{ $value | humanize }} of quota {{ $labels.quota }} left, [[ratio]] of the limit or less. Whether more was asked for already: eks_nlb_quota_requested; the command that asks: finding NLB402.",
            dashboard: CAPACITY,
            code: Some("NLB402"),
        },
        Alert {
            name: "NLBSubnetRunningOut",
            severity: Warning,
            hold_seconds: 1800,
            thresholds: &[Threshold { name: "addresses", default: 8.0, unit: Unit::Count, worse: Worse::Lower }],
            // The finding knows which small subnets were never meant for load balancers, and which have a stand-in.
            expr: r#"min by (cluster, subnet_id, availability_zone) (
  (
    eks_nlb_subnet_available_ip_addresses < [[addresses]]
    and on ([[exporter]], subnet_id) eks_nlb_subnet_discovery{verdict=~"chosen|outranked|few_addresses"} == 1
    and on ([[exporter]]) eks_nlb_findings{code="NLB201"} > 0
  ) * on ([[exporter]], subnet_id) group_left (availability_zone) eks_nlb_subnet_info
)"#,
            identity: &["cluster", "subnet_id", "availability_zone"],
            summary: "A subnet for load balancers has too few free addresses for one more.",
            description: "Subnet {{ $labels.subnet_id }} in zone {{ $labels.availability_zone }} has {{ $value | humanize }} free addresses; a new load balancer needs 8 and leaves this zone out until then.",
            dashboard: CAPACITY,
            code: None,
        },
        Alert {
            name: "NLBSubnetRunningOut",
            severity: Info,
            hold_seconds: 3600,
            thresholds: &[Threshold { name: "addresses", default: 16.0, unit: Unit::Count, worse: Worse::Lower }],
            // 27 usable addresses are a subnet of 32: smaller ones never have many free.
            expr: r#"min by (cluster, subnet_id, availability_zone) (
  (
    eks_nlb_subnet_available_ip_addresses < [[addresses]]
    and on ([[exporter]], subnet_id) eks_nlb_subnet_ip_addresses >= 27
    and on ([[exporter]], subnet_id) eks_nlb_subnet_discovery{verdict=~"chosen|outranked|few_addresses"} == 1
    and on ([[exporter]]) eks_nlb_findings{code=~"NLB201|NLB206"} > 0
  ) * on ([[exporter]], subnet_id) group_left (availability_zone) eks_nlb_subnet_info
)"#,
            identity: &["cluster", "subnet_id", "availability_zone"],
            summary: "A subnet for load balancers is running low on free addresses.",
            description: "Subnet {{ $labels.subnet_id }} in zone {{ $labels.availability_zone }} has {{ $value | humanize }} free addresses, fewer than [[addresses]]; a new load balancer needs 8.",
            dashboard: CAPACITY,
            code: None,
        },
        Alert {
            name: "NLBNoUsableZone",
            severity: Critical,
            hold_seconds: 600,
            thresholds: &[FRESH],
            expr: r#"max by (cluster, scheme) (
  eks_nlb_scheme_usable_zones == 0
  and on ([[exporter]], scheme) eks_nlb_load_balancer_info
  and on ([[exporter]]) time() - eks_nlb_source_last_success_timestamp_seconds{source="aws_subnets"} < [[fresh]]
)"#,
            identity: &["cluster", "scheme"],
            summary: "No zone has a subnet for one more load balancer of a scheme in use.",
            description: "A new {{ $labels.scheme }} load balancer would get a subnet in {{ $value | humanize }} zones: the next one fails.",
            dashboard: CAPACITY,
            code: None,
        },
    ],
};
