//! Does every Service get what it asked for, from the controller that should give it, and does nobody else keep anything?

use super::{Alert, Group, LOAD_BALANCER, OVERVIEW, Threshold, Unit, Worse};
use crate::checks::model::Severity::{Critical, Info, Warning};

const SERVICE: &[&str] = &["cluster", "namespace", "service"];

/// The group.
pub const GROUP: Group = Group {
    name: "eks-nlb-ownership",
    records: &[],
    alerts: &[
        Alert {
            name: "NLBServiceBlocked",
            severity: Warning,
            hold_seconds: 600,
            thresholds: &[],
            expr: r#"max by (cluster, namespace, service, reason) (
  eks_nlb_service_blocked{reason!="quota"} == 1
  [[unless_muted]]
)"#,
            identity: &["cluster", "namespace", "service", "reason"],
            summary: "The controller cannot reconcile a Service.",
            description: "The newest event of the controller about Service {{ $labels.namespace }}/{{ $labels.service }} is a failure ({{ $labels.reason }}): until it is gone no change of the Service takes effect.",
            dashboard: LOAD_BALANCER,
            code: Some("NLB510"),
        },
        Alert {
            name: "NLBTargetGroupBindingBlocked",
            severity: Warning,
            hold_seconds: 600,
            thresholds: &[],
            expr: r#"max by (cluster, namespace, target_group_binding, reason) (
  eks_nlb_target_group_binding_blocked{reason!="quota"} == 1
)"#,
            identity: &["cluster", "namespace", "target_group_binding", "reason"],
            summary: "The controller cannot reconcile a TargetGroupBinding.",
            description: "The newest event of the controller about TargetGroupBinding {{ $labels.namespace }}/{{ $labels.target_group_binding }} is a failure ({{ $labels.reason }}): until it is gone no target is registered or deregistered.",
            dashboard: OVERVIEW,
            code: None,
        },
        Alert {
            name: "NLBServicePending",
            severity: Warning,
            hold_seconds: 300,
            thresholds: &[Threshold { name: "age", default: 900.0, unit: Unit::Seconds, worse: Worse::Higher }],
            expr: r#"max by (cluster, namespace, service) (
  time() - eks_nlb_service_created_timestamp_seconds > [[age]]
  and on ([[exporter]], namespace, service) eks_nlb_service_provisioned == 0
  and on ([[exporter]], namespace, service) eks_nlb_service_info{controller!="third-party"}
  unless on ([[exporter]], namespace, service) eks_nlb_service_deletion_timestamp_seconds
  unless on ([[exporter]], namespace, service) eks_nlb_service_blocked == 1
  [[unless_muted]]
)"#,
            identity: SERVICE,
            summary: "A Service has no load balancer long after it was created.",
            description: "Service {{ $labels.namespace }}/{{ $labels.service }} was created {{ $value | humanizeDuration }} ago, has no load balancer, and no event says why.",
            dashboard: LOAD_BALANCER,
            code: Some("NLB714"),
        },
        Alert {
            name: "NLBServiceLoadBalancerGone",
            severity: Critical,
            hold_seconds: 300,
            thresholds: &[Threshold { name: "view", default: 180.0, unit: Unit::Seconds, worse: Worse::Higher }],
            // What an API server that is out of reach said last is no proof: the Service may have another by now. How fresh does
            // not follow the wait: a watch gives a sign of life once a minute.
            expr: r#"max by (cluster, namespace, service) (
  eks_nlb_service_load_balancer_missing == 1
  and on ([[exporter]]) time() - eks_nlb_source_last_success_timestamp_seconds{source="kube_services"} < [[view]]
  [[unless_muted]]
)"#,
            identity: SERVICE,
            summary: "The load balancer of a Service does not exist any more.",
            description: "The status of Service {{ $labels.namespace }}/{{ $labels.service }} names a load balancer that AWS does not have (missing is {{ $value | humanize }}): its clients are not served, and nothing else about it can be told.",
            dashboard: LOAD_BALANCER,
            code: Some("NLB715"),
        },
        Alert {
            name: "NLBServiceDeletionStuck",
            severity: Warning,
            hold_seconds: 300,
            thresholds: &[Threshold { name: "age", default: 1800.0, unit: Unit::Seconds, worse: Worse::Higher }],
            expr: r#"max by (cluster, namespace, service) (
  time() - eks_nlb_service_deletion_timestamp_seconds > [[age]]
  [[unless_muted]]
)"#,
            identity: SERVICE,
            summary: "A Service is being deleted and does not go.",
            description: "Service {{ $labels.namespace }}/{{ $labels.service }} was deleted {{ $value | humanizeDuration }} ago and is still there: its finalizer waits for AWS.",
            dashboard: LOAD_BALANCER,
            code: Some("NLB709"),
        },
        Alert {
            name: "NLBControllerDown",
            severity: Critical,
            hold_seconds: 300,
            thresholds: &[],
            // What an API server that is out of reach said last is no proof.
            expr: r#"max by (cluster, controller) (eks_nlb_controller_available_replicas
  and on ([[exporter]]) time() - eks_nlb_source_last_success_timestamp_seconds{source="kube_controller"} < [[for]]
) == 0"#,
            identity: &["cluster", "controller"],
            summary: "The AWS Load Balancer Controller has no available replica.",
            description: "{{ $labels.controller }} has {{ $value | humanize }} available replicas: no target is registered or deregistered, and its webhook refuses new Services.",
            dashboard: OVERVIEW,
            code: None,
        },
        Alert {
            name: "NLBControllerMissing",
            severity: Warning,
            hold_seconds: 1800,
            thresholds: &[],
            expr: r#"max by (cluster) (eks_nlb_findings{code="NLB710"}) > 0"#,
            identity: &["cluster"],
            summary: "Services need the AWS Load Balancer Controller and none was found.",
            description: "No AWS Load Balancer Controller was found in the cluster ({{ $value | humanize }} finding NLB710), and Services wait for it.",
            dashboard: OVERVIEW,
            code: None,
        },
        Alert {
            name: "NLBControllerOld",
            severity: Warning,
            hold_seconds: 3600,
            thresholds: &[],
            expr: r#"max by (cluster, controller, version) (
  eks_nlb_controller_info and on ([[exporter]]) eks_nlb_findings{code="NLB711"} > 0
)"#,
            identity: &["cluster", "controller", "version"],
            summary: "The AWS Load Balancer Controller is older than 2.7.2.",
            description: "{{ $labels.controller }} runs version {{ $labels.version }}; EKS asks for 2.7.2 or newer.",
            dashboard: OVERVIEW,
            code: None,
        },
        Alert {
            name: "NLBTwoControllers",
            severity: Warning,
            hold_seconds: 1800,
            thresholds: &[],
            expr: r#"max by (cluster) (eks_nlb_findings{code="NLB712"}) > 0"#,
            identity: &["cluster"],
            summary: "Two AWS Load Balancer Controllers run in one cluster.",
            description: "More than one AWS Load Balancer Controller was found ({{ $value | humanize }} finding NLB712): they revoke each other's security group rules.",
            dashboard: OVERVIEW,
            code: None,
        },
        Alert {
            name: "NLBAnnotationDrift",
            severity: Warning,
            hold_seconds: 1800,
            thresholds: &[],
            expr: r#"max by (cluster, namespace, service) (sum by ([[exporter]], namespace, service) (
  eks_nlb_service_annotation_drift{repair="automatic"}
  [[unless_muted]]
)) > 0"#,
            identity: SERVICE,
            summary: "AWS is not as the annotations of a Service say.",
            description: "AWS differs from {{ $value | humanize }} annotations of Service {{ $labels.namespace }}/{{ $labels.service }}; the controller repairs that at its next reconcile, which can be hours away.",
            dashboard: LOAD_BALANCER,
            code: Some("NLB501"),
        },
        Alert {
            name: "NLBAnnotationNeverApplied",
            severity: Warning,
            hold_seconds: 1800,
            thresholds: &[],
            expr: r#"max by (cluster, namespace, service) (sum by ([[exporter]], namespace, service) (
  eks_nlb_service_annotation_drift{repair="never"}
  [[unless_muted]]
)) > 0"#,
            identity: SERVICE,
            summary: "Annotations that are read at creation only differ from AWS and are never applied.",
            description: "AWS differs from {{ $value | humanize }} annotations of Service {{ $labels.namespace }}/{{ $labels.service }} that the controller reads at creation only: this never repairs itself.",
            dashboard: LOAD_BALANCER,
            code: Some("NLB502"),
        },
        Alert {
            name: "NLBDuplicateLoadBalancers",
            severity: Warning,
            hold_seconds: 1800,
            thresholds: &[],
            expr: r#"max by (cluster, namespace, service) (
  eks_nlb_service_load_balancers
  [[unless_muted]]
) > 1"#,
            identity: SERVICE,
            summary: "Several load balancers carry the tags of one Service.",
            description: "{{ $value | humanize }} Network Load Balancers carry the tags of Service {{ $labels.namespace }}/{{ $labels.service }}: a replacement that did not end, or a leak that is paid for.",
            dashboard: LOAD_BALANCER,
            code: Some("NLB703"),
        },
        Alert {
            name: "NLBOrphanedResources",
            severity: Warning,
            hold_seconds: 3600,
            thresholds: &[],
            expr: r#"max by (cluster, kind) (eks_nlb_orphaned_resources{kind=~"load_balancer|target_group|security_group_rule"}) > 0"#,
            identity: &["cluster", "kind"],
            summary: "Resources of this cluster belong to nobody any more.",
            description: "{{ $value | humanize }} resources of kind {{ $labels.kind }} carry this cluster's marks and have no owner: they use up quota and are paid for.",
            dashboard: OVERVIEW,
            code: None,
        },
        Alert {
            name: "NLBInTreeProviderInUse",
            severity: Info,
            hold_seconds: 3600,
            thresholds: &[],
            expr: r#"max by (cluster) (count by ([[exporter]]) (eks_nlb_service_info{controller="in-tree"})) > 0"#,
            identity: &["cluster"],
            summary: "Services are owned by the in-tree provider instead of the AWS Load Balancer Controller.",
            description: "{{ $value | humanize }} Services are owned by the in-tree provider, which is no longer developed.",
            dashboard: OVERVIEW,
            code: None,
        },
        Alert {
            name: "NLBWindowsBackendsExceeded",
            severity: Warning,
            hold_seconds: 900,
            thresholds: &[Threshold { name: "backends", default: 1024.0, unit: Unit::Count, worse: Worse::Higher }],
            expr: r#"max by (cluster, namespace, service) (
  eks_nlb_service_windows_backends
  [[unless_muted]]
) > [[backends]]"#,
            identity: SERVICE,
            summary: "A Service on Windows nodes has more back ends than are supported.",
            description: "Service {{ $labels.namespace }}/{{ $labels.service }} has {{ $value | humanize }} back ends on Windows nodes; [[backends]] are supported.",
            dashboard: LOAD_BALANCER,
            code: Some("NLB616"),
        },
    ],
};
