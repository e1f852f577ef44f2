//! Is every load balancer serving, in every zone?

use super::{Alert, Group, LOAD_BALANCER, OVERVIEW, Record, Threshold, Unit, Worse};
use crate::checks::model::Severity::{Critical, Warning};

/// The labels of what belongs to a Service, whichever load balancer it has at the moment; `load_balancer` only where there is no
/// Service.
const BY_SERVICE: &[&str] = &["cluster", "namespace", "service", "load_balancer"];

/// The group.
pub const GROUP: Group = Group {
    name: "eks-nlb-health",
    records: &[
        // What clients can reach: a listener forwards there with a weight, and the load balancer is up and not brand-new.
        Record {
            name: "target_group:eks_nlb_target_group_info:in_use",
            expr: r#"label_replace(
  eks_nlb_target_group_info{load_balancer!=""}
    unless on ([[exporter]], target_group) sum by ([[exporter]], target_group) (eks_nlb_target_group_weight) == 0
    unless on ([[exporter]], load_balancer) eks_nlb_load_balancer_state{state=~"provisioning|failed"} == 1
    unless on ([[exporter]], load_balancer) time() - eks_nlb_load_balancer_created_timestamp_seconds < 600
    unless on ([[exporter]], namespace, service) eks_nlb_service_deletion_timestamp_seconds,
  "load_balancer", "", "service", ".+"
)"#,
        },
        // Failing targets of zones in which no target is healthy, while others are, and cross-zone is off.
        Record {
            name: "target_group_zone:eks_nlb_target_group_failing_targets:dark",
            expr: r#"(
  eks_nlb_target_group_failing_targets > 0
    and on ([[exporter]], target_group, availability_zone) eks_nlb_target_group_zone_targets{state="healthy"} == 0
    and on ([[exporter]], target_group) eks_nlb_target_group_cross_zone_enabled == 0
    and on ([[exporter]], target_group) eks_nlb_target_group_targets{state="healthy"} > 0
)
* on ([[exporter]], target_group) group_left (namespace, service, load_balancer)
  target_group:eks_nlb_target_group_info:in_use"#,
        },
    ],
    alerts: &[
        Alert {
            name: "NLBServiceWithoutHealthyTarget",
            severity: Critical,
            hold_seconds: 180,
            thresholds: &[
                Threshold { name: "first_checks", default: 300.0, unit: Unit::Seconds, worse: Worse::Higher },
                Threshold { name: "view", default: 180.0, unit: Unit::Seconds, worse: Worse::Higher },
            ],
            // Excused is a group whose new pods are all ready and wait for their first health checks: a rollout. It is none once a
            // target with a ready pod has failed its checks, however often others are registered anew. The cluster's view
            // must be fresh, else what it calls ready may be scaled to zero; a target that fails needs no view. How fresh does not
            // follow the wait: a watch gives a sign of life once a minute, and a shorter wait would never be over.
            expr: r#"count by (cluster, namespace, service, load_balancer) (max by (cluster, namespace, service, load_balancer, target_group) (
  target_group:eks_nlb_target_group_info:in_use
  and on ([[exporter]], target_group)
    sum by ([[exporter]], target_group) (eks_nlb_target_group_targets{state=~"healthy|unavailable|other"}) == 0
  and on ([[exporter]], target_group) (
    sum by ([[exporter]], target_group) (eks_nlb_target_group_endpoints{condition=~"ready|not_ready"}) > 0
    or on ([[exporter]], target_group) eks_nlb_target_group_info{target_type="alb"}
  )
  and on ([[exporter]], target_group) (
    eks_nlb_target_group_targets{state="unhealthy"} > 0
    or on ([[exporter]], target_group) (
      eks_nlb_target_group_endpoints{condition="ready"}
      and on ([[exporter]]) time() - eks_nlb_source_last_success_timestamp_seconds{source="kube_endpoint_slices"} < [[view]]
    )
  )
  unless on ([[exporter]], target_group) (
    eks_nlb_target_group_targets{state="initial"} > 0
    and on ([[exporter]], target_group) eks_nlb_target_group_endpoints{condition="not_ready"} == 0
    and on ([[exporter]], target_group) time() - eks_nlb_target_group_changed_timestamp_seconds < [[first_checks]]
    unless on ([[exporter]], target_group) eks_nlb_target_group_failing_targets > 0
  )
  [[judged]]
  [[unless_muted]]
))"#,
            identity: BY_SERVICE,
            summary: "A Service has endpoints and none of its load balancer's targets is healthy.",
            description: "[[whose]] has {{ $value | humanize }} target groups in use without a healthy target, though pods are there: its clients are not served.",
            dashboard: LOAD_BALANCER,
            code: Some("NLB101"),
        },
        Alert {
            name: "NLBZoneDark",
            severity: Critical,
            hold_seconds: 180,
            thresholds: &[],
            expr: r#"sum by (cluster, namespace, service, load_balancer, availability_zone) (max by (cluster, namespace, service, load_balancer, target_group, availability_zone) (
  target_group_zone:eks_nlb_target_group_failing_targets:dark
  [[judged]]
  [[unless_muted]]
))"#,
            identity: &["cluster", "namespace", "service", "load_balancer", "availability_zone"],
            summary: "A zone of a load balancer has only failing targets, and cross-zone load balancing is off.",
            description: "[[whose]] has {{ $value | humanize }} failing targets and no healthy one in zone {{ $labels.availability_zone }}: this zone has left DNS, and clients bound to it are not served.",
            dashboard: LOAD_BALANCER,
            code: Some("NLB103"),
        },
        Alert {
            name: "NLBZoneLost",
            severity: Critical,
            hold_seconds: 120,
            thresholds: &[
                Threshold { name: "load_balancers", default: 3.0, unit: Unit::Count, worse: Worse::Higher },
                Threshold { name: "ratio", default: 0.5, unit: Unit::Ratio, worse: Worse::Higher },
            ],
            expr: r#"(
  count by (cluster, availability_zone) (max by (cluster, namespace, service, load_balancer, availability_zone) (
    target_group_zone:eks_nlb_target_group_failing_targets:dark
  [[judged]]
  )) >= [[load_balancers]]
) >= [[ratio]] * count by (cluster, availability_zone) (max by (cluster, namespace, service, load_balancer, availability_zone) (
  (
    sum by ([[exporter]], target_group, availability_zone) (eks_nlb_target_group_zone_targets) > 0
    and on ([[exporter]], target_group) eks_nlb_target_group_cross_zone_enabled == 0
  )
  * on ([[exporter]], target_group) group_left (namespace, service, load_balancer)
    target_group:eks_nlb_target_group_info:in_use
))"#,
            identity: &["cluster", "availability_zone"],
            summary: "A zone is lost for many load balancers at once.",
            description: "In zone {{ $labels.availability_zone }} {{ $value | humanize }} load balancers without cross-zone load balancing have only failing targets, [[ratio]] or more of those that have targets there: look at the zone, not at the Services.",
            dashboard: OVERVIEW,
            code: None,
        },
        Alert {
            name: "NLBTargetsFailing",
            severity: Warning,
            hold_seconds: 900,
            thresholds: &[],
            expr: r#"sum by (cluster, namespace, service, load_balancer) (max by (cluster, namespace, service, load_balancer, target_group, availability_zone) (
  (
    (eks_nlb_target_group_failing_targets > 0)
    * on ([[exporter]], target_group) group_left (namespace, service, load_balancer)
      target_group:eks_nlb_target_group_info:in_use
  )
  [[judged]]
  [[unless_muted]]
))"#,
            identity: BY_SERVICE,
            summary: "Targets fail their health checks though their pods are ready.",
            description: "[[whose]] has {{ $value | humanize }} targets that AWS calls unhealthy though a ready pod or a serving Node stands behind them.",
            dashboard: LOAD_BALANCER,
            code: Some("NLB102"),
        },
        Alert {
            name: "NLBTargetsMissing",
            severity: Warning,
            hold_seconds: 900,
            thresholds: &[],
            expr: r#"sum by (cluster, namespace, service, load_balancer) (max by (cluster, namespace, service, load_balancer, target_group) (
  (
    (eks_nlb_target_group_missing_targets > 0)
    * on ([[exporter]], target_group) group_left (namespace, service, load_balancer)
      target_group:eks_nlb_target_group_info:in_use
  )
  [[judged]]
  [[unless_muted]]
))"#,
            identity: BY_SERVICE,
            summary: "Ready pods or eligible Nodes are not registered as targets.",
            description: "[[whose]] has {{ $value | humanize }} ready pods or eligible Nodes that are not registered in its target groups.",
            dashboard: LOAD_BALANCER,
            code: Some("NLB104"),
        },
        Alert {
            name: "NLBLoadBalancerNotActive",
            severity: Critical,
            hold_seconds: 300,
            thresholds: &[],
            // `of` keeps two load balancers of one Service apart until they are one alert: two series with the same labels are an
            // error, and no alert of the rule would fire.
            expr: r#"max by (cluster, namespace, service, load_balancer, state) (label_replace(
  label_replace(
    (eks_nlb_load_balancer_state{state=~"failed|active_impaired"} == 1)
    * on ([[exporter]], load_balancer) group_left (namespace, service) eks_nlb_load_balancer_info
    [[unless_muted]],
    "of", "$1", "load_balancer", "(.*)"
  ),
  "load_balancer", "", "service", ".+"
))"#,
            identity: &["cluster", "namespace", "service", "load_balancer", "state"],
            summary: "AWS reports a load balancer as failed or impaired.",
            description: "AWS calls the load balancer {{ $labels.state }}: [[whose]].",
            dashboard: LOAD_BALANCER,
            code: Some("NLB107"),
        },
    ],
};
