//! The table of the configuration's keys, in the order of the page.

use super::Key;

const SECONDS: &str = "whole number of seconds";
const RATE: &str = "number of calls a second";
const A_RATE: &str = "more than 0, at most 1000";
const AN_INTERVAL: &str = "1 to 604800 (a week)";
const A_FILE: &str = "path of a file";
const A_URL: &str = "`http://HOST:PORT` or `https://HOST`, with a path where there is one";

/// A key that only a restart takes up.
const RESTART: Key =
    Key { path: "", kind: "text", allowed: "", otherwise: "", flag: "", is_reloaded: false, help: "", changes: "" };

/// A key that a reload takes up.
const RELOAD: Key = Key { is_reloaded: true, ..RESTART };

/// A service's budget.
const BUDGET: Key = Key {
    kind: RATE,
    allowed: A_RATE,
    changes: "`eks_nlb_aws_api_requests_total`, `eks_nlb_aws_api_budget_wait_seconds_total`; the age of what the calls bring",
    ..RESTART
};

/// How often a part of AWS is looked at.
const INTERVAL: Key = Key {
    kind: SECONDS,
    allowed: AN_INTERVAL,
    changes: "`eks_nlb_source_refresh_interval_seconds` and the age of what is shown; finding NLB903 is judged against it",
    ..RESTART
};

/// What one more load balancer is taken to need.
const COST: Key = Key {
    kind: "whole number",
    allowed: "0 or more",
    otherwise: "as with the median load balancer of the cluster",
    changes: "`eks_nlb_headroom_load_balancers`, `eks_nlb_quota_needed_per_load_balancer`, findings NLB401 and NLB402",
    ..RELOAD
};

/// Every key.
pub const KEYS: &[Key] = &[
    Key {
        path: "cluster_name",
        otherwise: "the AWS Load Balancer Controller's own `--cluster-name`",
        flag: "--cluster-name",
        help: "Name of the EKS cluster. By it the cluster's own load balancers are told from others.",
        changes: "`eks_nlb_exporter_scope_info`, and with it everything",
        ..RESTART
    },
    Key {
        path: "aws.region",
        otherwise: "`AWS_REGION`, the profile's Region, or the instance's where its metadata may be asked",
        flag: "--aws.region",
        help: "The AWS Region.",
        changes: "`eks_nlb_exporter_scope_info`, and with it everything",
        ..RESTART
    },
    Key {
        path: "aws.endpoint_url",
        allowed: A_URL,
        otherwise: "AWS's own endpoints, or what `AWS_ENDPOINT_URL` says",
        flag: "--aws.endpoint-url",
        help: "One endpoint for all AWS services, e.g. of an emulator.",
        ..RESTART
    },
    Key {
        path: "aws.vpc_id",
        otherwise: "the controller's `--aws-vpc-id`, else the VPC of the cluster's load balancers, else of its nodes",
        flag: "--aws.vpc-id",
        help: "VPC of the cluster.",
        changes: "`eks_nlb_exporter_scope_info`, subnets, security groups and the quotas of the VPC",
        ..RESTART
    },
    Key {
        path: "aws.describe_cluster",
        kind: "boolean",
        allowed: "`true`, `false`",
        help: "Whether EKS is asked about the cluster (`eks:DescribeCluster`): its subnets, its security group, and whether EKS \
               Auto Mode makes load balancers. Switch it off without that permission, or for a cluster that is not an EKS one.",
        changes: "the source `aws_eks_cluster`",
        ..RESTART
    },
    Key {
        path: "aws.requests_per_second.elasticloadbalancing",
        help: "Calls to Elastic Load Balancing. Target health has at least half of it. The account's buckets are shared with the \
               controllers that run the cluster: divide by the exporters per account and Region. Halved when AWS throttles, then \
               slowly recovered.",
        ..BUDGET
    },
    Key { path: "aws.requests_per_second.ec2", help: "Calls to EC2.", ..BUDGET },
    Key { path: "aws.requests_per_second.servicequotas", help: "Calls to Service Quotas.", ..BUDGET },
    Key { path: "aws.requests_per_second.sts", help: "Calls to STS.", ..BUDGET },
    Key { path: "aws.requests_per_second.eks", help: "Calls to EKS.", ..BUDGET },
    Key {
        path: "aws.refresh_seconds.load_balancers",
        help: "Between two looks at the lists of load balancers and target groups. As all of these, longer where the calls a \
               second do not allow it.",
        ..INTERVAL
    },
    Key {
        path: "aws.refresh_seconds.tags",
        help: "Between two looks at the tags of everything in those lists; of what is new they are read at once.",
        ..INTERVAL
    },
    Key {
        path: "aws.refresh_seconds.listeners",
        help: "Between two looks at the listeners of the cluster's load balancers; of what is new or changed at once.",
        ..INTERVAL
    },
    Key {
        path: "aws.refresh_seconds.attributes",
        help: "Between two looks at attributes of load balancers, target groups and listeners; of what is new or changed at once. \
               Drift made in the console is seen after this time.",
        ..INTERVAL
    },
    Key { path: "aws.refresh_seconds.subnets", help: "Between two looks at subnets and security groups.", ..INTERVAL },
    Key {
        path: "aws.refresh_seconds.network_interfaces",
        help: "Between two looks at network interfaces, Elastic IPs and route tables.",
        ..INTERVAL
    },
    Key {
        path: "aws.refresh_seconds.quotas",
        help: "Between two looks at quotas, zones, VPCs, prefix lists, and the cluster as EKS knows it.",
        ..INTERVAL
    },
    Key {
        path: "aws.refresh_seconds.unsteady_health",
        help: "Between two looks at the health of a target group that changed lately or is not healthy.",
        ..INTERVAL
    },
    Key {
        path: "aws.refresh_seconds.steady_health",
        help: "Between two looks at the health of a target group in which nothing moves.",
        ..INTERVAL
    },
    Key {
        path: "kubernetes.context",
        otherwise: "inside a cluster the service account, elsewhere the kubeconfig's current context",
        flag: "--kube.context",
        help: "Context of the kubeconfig.",
        ..RESTART
    },
    Key {
        path: "policy.target_series",
        kind: "one of three words",
        allowed: "`off`, `not_healthy`, `all`",
        help: "Which targets get a series of their own.",
        changes: "`eks_nlb_target_health`",
        ..RELOAD
    },
    Key {
        path: "policy.target_series_limit",
        kind: "whole number",
        allowed: "0 or more",
        help: "How many of those series at most; unhealthy targets come first, and the rest is counted.",
        changes: "`eks_nlb_target_health`, `eks_nlb_target_health_series_dropped`",
        ..RELOAD
    },
    Key {
        path: "policy.security_groups",
        kind: "one of two words",
        allowed: "`with_role`, `vpc`",
        help: "Which security groups are counted: those with a role for this cluster's load balancers, or all of the VPC.",
        changes: "`eks_nlb_security_group_rules`, `eks_nlb_security_group_info`, findings NLB302 and NLB303",
        ..RELOAD
    },
    Key {
        path: "policy.max_staleness_seconds",
        kind: SECONDS,
        allowed: "300 to 604800 (a week)",
        help: "After how long values that cannot be refreshed vanish; at least three refresh intervals of their source.",
        changes: "every series of a source that fails; how long alerts that cannot be judged go on; the alert \
                  NLBMonitoringBlind has a threshold of its own, `age`, half of this unless configured",
        ..RELOAD
    },
    Key {
        path: "policy.drift_hold_down_seconds",
        kind: SECONDS,
        allowed: "0 to 604800 (a week)",
        help: "For how long a Service's own change may take to reach AWS before a difference is drift. AWS is looked at once more \
               when it ends; that moment moves at a restart only.",
        changes: "`eks_nlb_service_annotation_drift`, findings NLB501 and NLB502",
        ..RELOAD
    },
    Key {
        path: "policy.target_hold_down_seconds",
        kind: SECONDS,
        allowed: "0 to 604800 (a week)",
        help: "For how long a change of endpoints or nodes may take to reach the target group before a target is missing.",
        changes: "`eks_nlb_target_group_missing_targets`, `eks_nlb_target_group_unexpected_targets`, findings NLB104 and NLB105",
        ..RELOAD
    },
    Key {
        path: "policy.quota_overrides",
        kind: "numbers by name of a quota (the label `quota` of `eks_nlb_quota_limit`)",
        allowed: "0 or more each",
        otherwise: "what Service Quotas and DescribeAccountLimits say",
        help: "Limits that hold in place of what AWS says.",
        changes: "`eks_nlb_quota_limit`, `eks_nlb_quota_limit_assumed`, `eks_nlb_headroom_load_balancers`, findings NLB401 to NLB404",
        ..RELOAD
    },
    Key {
        path: "policy.quota_warning_ratio",
        kind: "number",
        allowed: "more than 0, at most 1",
        help: "Share of a limit from which on a quota is nearly used up.",
        changes: "findings NLB302 and NLB402; the alerts have a threshold of their own",
        ..RELOAD
    },
    Key {
        path: "policy.service_labels",
        kind: "list of keys of Services' labels",
        allowed: "no two that are exposed as the same label",
        otherwise: "no label is carried",
        help: "Labels of Services that one info family carries, for joins that route alerts; e.g. `team`.",
        changes: "`eks_nlb_service_labels`",
        ..RELOAD
    },
    Key {
        path: "policy.load_balancer_cost.zones",
        allowed: "1 or more",
        help: "Zones of one more load balancer, and with them network interfaces.",
        ..COST
    },
    Key {
        path: "policy.load_balancer_cost.target_groups",
        allowed: "1 or more",
        help: "Target groups of one more load balancer.",
        ..COST
    },
    Key {
        path: "policy.load_balancer_cost.addresses_per_zone",
        allowed: "1 or more",
        help: "Free IPv4 addresses that one more load balancer keeps in each of its subnets.",
        changes: "`eks_nlb_headroom_load_balancers`",
        ..COST
    },
    Key {
        path: "policy.load_balancer_cost.elastic_ips",
        help: "Elastic IPs of the account's own that one more internet-facing load balancer takes.",
        ..COST
    },
    Key {
        path: "policy.load_balancer_cost.security_group_rules",
        help: "Inbound rules that one more load balancer takes on each endpoint security group, in the modes where the controller \
               adds rules.",
        changes: "`eks_nlb_security_group_rules_needed_per_load_balancer`, `eks_nlb_headroom_load_balancers`, finding NLB301",
        ..COST
    },
    Key {
        path: "alerting.external_labels",
        kind: "texts by name of a label",
        allowed: "names of letters, digits and `_`; not `alertname`",
        otherwise: "no label is added",
        help: "Labels put on every alert that has none of that name, as Prometheus' `external_labels`: with the same ones both say \
               the same alert.",
        changes: "the alerts this daemon sends",
        ..RELOAD
    },
    Key {
        path: "alerting.external_url",
        allowed: A_URL,
        otherwise: "`http://eks-nlb-exporter:PORT/`",
        help: "Where a person reaches this daemon's page: the link in each alert. By it and the external labels the daemon knows \
               its own alerts after a restart.",
        changes: "the alerts this daemon sends",
        ..RELOAD
    },
    Key {
        path: "alerting.runbook_url",
        allowed: A_URL,
        otherwise: "the project's page",
        help: "The page of runbooks that alerts link to.",
        changes: "the alerts this daemon sends, and `rules --config.file`",
        ..RELOAD
    },
    Key {
        path: "alerting.dashboard_url",
        allowed: A_URL,
        otherwise: "a relative link",
        help: "Where Grafana is: what stands before `/d/UID` in an alert's link to its dashboard.",
        changes: "the alerts this daemon sends, and `rules --config.file`",
        ..RELOAD
    },
    Key {
        path: "alerting.thresholds",
        kind: "numbers by alert, severity and name; times also like `10m`",
        allowed: "the names in the table at the end of this page; the milder alert may not be the stricter one",
        otherwise: "the thresholds of the shipped rules",
        help: "Thresholds of the alerts other than their defaults.",
        changes: "the alerts this daemon sends, and `rules --config.file`; rules in a Prometheus change when they are printed and \
                  loaded anew",
        ..RELOAD
    },
    Key {
        path: "alerting.resend_delay_seconds",
        kind: SECONDS,
        allowed: "1 to 3600",
        help: "Between two messages about an alert that goes on firing.",
        changes: "`eks_nlb_notifications_sent_total`",
        ..RELOAD
    },
    Key {
        path: "alerting.alertmanagers[].url",
        allowed: A_URL,
        otherwise: "`dns` is given",
        help: "URL of one Alertmanager, with a path prefix where it has one. Name every instance of a cluster, never a load balancer \
               before them. Without an entry in this list the daemon sends no alerts.",
        changes: "`eks_nlb_notifications_sent_total`, `eks_nlb_alerts`",
        ..RELOAD
    },
    Key {
        path: "alerting.alertmanagers[].dns.name",
        kind: "DNS name, without scheme, port or path",
        otherwise: "`url` is given; required in a `dns` section",
        help: "A name that resolves to the addresses of all instances (a headless Service); looked up every 30 s.",
        ..RELOAD
    },
    Key { path: "alerting.alertmanagers[].dns.port", kind: "whole number", allowed: "0 to 65535", help: "Their port.", ..RELOAD },
    Key {
        path: "alerting.alertmanagers[].dns.scheme",
        kind: "one of two words",
        allowed: "`http`, `https`",
        help: "How they are spoken to.",
        ..RELOAD
    },
    Key {
        path: "alerting.alertmanagers[].dns.path_prefix",
        kind: "path",
        allowed: "begins with a slash",
        otherwise: "no prefix",
        help: "What comes before `/api/v2/alerts`.",
        ..RELOAD
    },
    Key {
        path: "alerting.alertmanagers[].basic_auth.username",
        otherwise: "no basic authentication; required in a `basic_auth` section",
        help: "The user. Either this section or `authorization`.",
        ..RELOAD
    },
    Key {
        path: "alerting.alertmanagers[].basic_auth.password_file",
        kind: A_FILE,
        otherwise: "no basic authentication; required in a `basic_auth` section",
        help: "A file that holds the password; read again for each request, so that it can be rotated.",
        ..RELOAD
    },
    Key { path: "alerting.alertmanagers[].authorization.type", help: "Scheme of the `Authorization` header.", ..RELOAD },
    Key {
        path: "alerting.alertmanagers[].authorization.credentials_file",
        kind: A_FILE,
        otherwise: "no such header; required in an `authorization` section",
        help: "A file that holds the credentials; read again for each request, so that they can be rotated.",
        ..RELOAD
    },
    Key {
        path: "alerting.alertmanagers[].tls_config.ca_file",
        kind: A_FILE,
        otherwise: "the system's certificates",
        help: "Certificates to trust (PEM); read at the start and at each reload, as the other two.",
        ..RELOAD
    },
    Key {
        path: "alerting.alertmanagers[].tls_config.cert_file",
        kind: A_FILE,
        otherwise: "no certificate is shown",
        help: "Our certificate (PEM); together with its key.",
        ..RELOAD
    },
    Key {
        path: "alerting.alertmanagers[].tls_config.key_file",
        kind: A_FILE,
        otherwise: "no certificate is shown",
        help: "Its key (PEM).",
        ..RELOAD
    },
    Key {
        path: "alerting.alertmanagers[].tls_config.server_name",
        kind: "DNS name",
        otherwise: "the URL's host, or the DNS name",
        help: "The name that the server's certificate must have.",
        ..RELOAD
    },
    Key {
        path: "alerting.alertmanagers[].timeout_seconds",
        kind: SECONDS,
        allowed: "1 to 300",
        help: "What one request may take.",
        changes: "`eks_nlb_notifications_failed_total`",
        ..RELOAD
    },
];
