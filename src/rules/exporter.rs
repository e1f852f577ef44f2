//! Can the other alerts be trusted?

use super::{Alert, EXPORTER, Group, OVERVIEW, Threshold, Unit, Worse};
use crate::checks::model::Severity::{Critical, Warning};

const SOURCE: &[&str] = &["cluster", "source"];
const CLUSTER: &[&str] = &["cluster"];

/// The group.
pub const GROUP: Group = Group {
    name: "eks-nlb-exporter",
    records: &[],
    alerts: &[
        Alert {
            name: "NLBMonitoringBlind",
            severity: Critical,
            hold_seconds: 60,
            // Half of max_staleness: after the other half what is known vanishes.
            thresholds: &[
                Threshold { name: "age", default: 900.0, unit: Unit::Seconds, worse: Worse::Higher },
                Threshold { name: "intervals", default: 2.0, unit: Unit::Count, worse: Worse::Higher },
            ],
            // Target health is one call a group: while any answers, those that cannot be read are another alert's matter. With
            // two replicas the one that sees counts.
            expr: r#"max by (cluster) (
  min by (cluster, source) (
    time() - eks_nlb_source_last_success_timestamp_seconds{source=~"aws_load_balancers|aws_target_groups|aws_target_health|kube_services|kube_endpoint_slices"}
  ) > [[age]]
  unless on (cluster, source)
    (min by (cluster, source) (time() - eks_nlb_source_last_success_timestamp_seconds) <= [[intervals]] * max by (cluster, source) (eks_nlb_source_refresh_interval_seconds))
  unless on (cluster, source)
    label_replace(time() - max by (cluster) (eks_nlb_target_group_sampled_timestamp_seconds) <= [[age]], "source", "aws_target_health", "", "")
)
or max by (cluster) (min by (cluster) (time() - eks_nlb_picture_timestamp_seconds) > [[age]])"#,
            identity: CLUSTER,
            summary: "What the load balancers' alerts are judged by is out of date.",
            description: "A source that every alert depends on has not been read for {{ $value | humanizeDuration }}: the other alerts of this cluster say nothing about now, and their silence is no good news.",
            dashboard: EXPORTER,
            code: None,
        },
        Alert {
            name: "NLBExporterNotReady",
            severity: Critical,
            hold_seconds: 900,
            thresholds: &[],
            // Until it is known what belongs to the cluster (its name, tags, bindings, nodes) only the sources are judged.
            expr: r#"count by (cluster) (
  (
    max by (cluster, source) (eks_nlb_source_last_attempt_timestamp_seconds{source=~"aws_load_balancers|aws_target_groups|aws_target_health|kube_services|kube_endpoint_slices"})
    unless on (cluster, source) max by (cluster, source) (eks_nlb_source_last_success_timestamp_seconds)
    unless on (cluster, source)
      label_replace(max by (cluster) (eks_nlb_target_group_sampled_timestamp_seconds), "source", "aws_target_health", "", "")
  )
  or (
    max by (cluster) (eks_nlb_check_success{check="freshness"})
    unless on (cluster) max by (cluster) (eks_nlb_check_success{check!="freshness"})
  )
)"#,
            identity: CLUSTER,
            summary: "The exporter has never seen what the load balancers' alerts are judged by.",
            description: "Of what every alert depends on {{ $value | humanize }} parts were never known since the exporter started, and /-/ready of the exporter names what is pending: no other alert of this cluster can fire.",
            dashboard: EXPORTER,
            code: None,
        },
        Alert {
            name: "NLBExporterAbsent",
            severity: Critical,
            hold_seconds: 900,
            thresholds: &[],
            // With a `cluster` label, each cluster that was seen within a day is missed by itself.
            expr: r#"(
  max by (cluster) (max_over_time(eks_nlb_exporter_build_info[1d]))
  unless on (cluster) max by (cluster) (eks_nlb_exporter_build_info)
)
or on () absent(eks_nlb_exporter_build_info)"#,
            identity: CLUSTER,
            summary: "No exporter of load balancer metrics is scraped.",
            description: "Prometheus has {{ $value | humanize }} exporter missing: it does not run, or is not scraped, and no other alert of this cluster can fire.",
            dashboard: EXPORTER,
            code: None,
        },
        Alert {
            name: "NLBExporterSourceDown",
            severity: Warning,
            hold_seconds: 900,
            thresholds: &[],
            expr: r#"max by (cluster, source) (eks_nlb_source_up) == 0"#,
            identity: SOURCE,
            summary: "A source of the exporter fails.",
            description: "Source {{ $labels.source }} fails (up is {{ $value | humanize }}): what it feeds grows old and then vanishes.",
            dashboard: EXPORTER,
            code: None,
        },
        Alert {
            name: "NLBExporterPictureStale",
            severity: Warning,
            hold_seconds: 600,
            thresholds: &[
                Threshold { name: "intervals", default: 3.0, unit: Unit::Count, worse: Worse::Higher },
                Threshold { name: "watch_age", default: 600.0, unit: Unit::Seconds, worse: Worse::Higher },
            ],
            expr: r#"min by (cluster, source) (time() - eks_nlb_source_last_success_timestamp_seconds)
  > [[intervals]] * max by (cluster, source) (eks_nlb_source_refresh_interval_seconds)
or (
  min by (cluster, source) (time() - eks_nlb_source_last_success_timestamp_seconds) > [[watch_age]]
  unless max by (cluster, source) (eks_nlb_source_refresh_interval_seconds)
)"#,
            identity: SOURCE,
            summary: "A part of the exporter's picture is out of date.",
            description: "Source {{ $labels.source }} last succeeded {{ $value | humanizeDuration }} ago: alerts that depend on it are judged on old data.",
            dashboard: EXPORTER,
            code: None,
        },
        Alert {
            name: "NLBExporterThrottled",
            severity: Warning,
            hold_seconds: 900,
            thresholds: &[Threshold { name: "ratio", default: 0.05, unit: Unit::Ratio, worse: Worse::Higher }],
            expr: r#"sum by (cluster, api_service) (rate(eks_nlb_aws_api_request_failures_total{reason="throttled"}[10m]))
/ sum by (cluster, api_service) (rate(eks_nlb_aws_api_requests_total[10m])) > [[ratio]]"#,
            identity: &["cluster", "api_service"],
            summary: "AWS throttles the exporter's calls.",
            description: "{{ $value | humanizePercentage }} of the calls to {{ $labels.api_service }} are throttled; the controllers that share the account's budget feel it, too.",
            dashboard: EXPORTER,
            code: None,
        },
        Alert {
            name: "NLBExporterCheckFailing",
            severity: Warning,
            hold_seconds: 600,
            thresholds: &[],
            expr: r#"max by (cluster, check) (eks_nlb_check_success) == 0"#,
            identity: &["cluster", "check"],
            summary: "A check of the exporter does not come to its end.",
            description: "Check {{ $labels.check }} fails (success is {{ $value | humanize }}): its metrics and alerts are missing.",
            dashboard: EXPORTER,
            code: None,
        },
        Alert {
            name: "NLBExporterConfigReloadFailed",
            severity: Warning,
            hold_seconds: 600,
            thresholds: &[],
            expr: r#"min by (cluster) (eks_nlb_config_last_reload_successful) == 0
or min by (cluster) (eks_nlb_web_config_last_reload_successful) == 0"#,
            identity: CLUSTER,
            summary: "The exporter could not load its configuration.",
            description: "The last load of the exporter's configuration failed (successful is {{ $value | humanize }}): it goes on with the one before.",
            dashboard: OVERVIEW,
            code: None,
        },
    ],
};
