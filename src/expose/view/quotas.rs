//! How much of each quota is used, and by what?

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::Judged;
use crate::checks::model::Sample;
use crate::checks::quotas::more::command;
use crate::expose::view::findings::{ByOwner, FindingView};
use crate::expose::view::query::Query;
use crate::expose::view::{Families, Number, Text, is_complete, label, whole};
use crate::inventory::quota::{QUOTAS, Quota, QuotaRequest, QuotaScope, RequestStatus};

/// The quotas that load balancers use up.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct QuotasView {
    /// When the picture was judged.
    pub evaluated_at: Timestamp,
    /// Whether everything needed was seen.
    pub complete: bool,
    /// Quotas that fit what was asked for, on this page or not.
    pub total: u64,
    /// The quotas of this page.
    pub quotas: Vec<QuotaView>,
    /// Elastic IPs of the Region.
    pub elastic_ips: Vec<ElasticIpsView>,
}

/// A quota.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct QuotaView {
    /// The `quota` label.
    pub name: &'static str,
    /// The service of Service Quotas that has it.
    pub service_code: &'static str,
    /// Its code there.
    pub quota_code: &'static str,
    /// Whether AWS raises it on request.
    pub adjustable: bool,
    /// What it is counted over: `region`, `vpc`, `load_balancer`, `target_group`, `security_group`, `network_interface` or
    /// `route_table`.
    pub scope: &'static str,
    /// The limit; `null` until it was asked for.
    pub limit: Option<Number>,
    /// The limit could not be read and is AWS's default: nothing follows from it.
    pub limit_assumed: Option<bool>,
    /// So much is used of a quota of the Region or the VPC, or by the fullest zone, route table or network interface; `null`
    /// where that is not known, and for quotas that hold for each load balancer, target group or security group.
    pub used: Option<Number>,
    /// So much of a quota of the Region or the VPC one more load balancer takes; `null` where it takes none, or where that is
    /// not known.
    pub needed: Option<Number>,
    /// The value that a request asks for which AWS has not decided yet, of several the largest; `null` where there is none for
    /// more than the limit, or where that is not known.
    pub requested: Option<Number>,
    /// All requests that AWS has not decided yet; `null` while they are not known.
    pub requests: Option<Vec<QuotaRequestView>>,
    /// How more is asked for; `null` where AWS gives no more, and while the limit is not known.
    pub increase: Option<IncreaseView>,
    /// The objects that use most of a quota that holds for each load balancer, target group or security group: at most five.
    pub fullest: Vec<FullestView>,
    /// Findings about the quota itself, the worst first.
    pub findings: Vec<FindingView>,
}

/// A request for more of a quota that AWS has not decided yet.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct QuotaRequestView {
    /// The value asked for.
    pub desired: Number,
    /// `pending`, or `case_opened` where AWS made a support case of it.
    pub status: &'static str,
    /// Since when; `null` where AWS does not say.
    pub requested_at: Option<Timestamp>,
}

/// How more of a quota is asked for.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct IncreaseView {
    /// A value worth asking for: mostly twice the limit.
    pub desired: Number,
    /// The command that asks for it.
    pub command: String,
}

/// An object that uses much of a quota that holds for each of its kind.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FullestView {
    /// `load_balancer`, `target_group` or `security_group`.
    pub kind: &'static str,
    /// Which.
    pub id: Text,
    /// `inbound` or `outbound`, of security groups.
    pub direction: Option<Text>,
    /// `ipv4` or `ipv6`, of security groups.
    pub ip_family: Option<Text>,
    /// So much it uses.
    pub used: Number,
}

/// Elastic IPs of one kind.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ElasticIpsView {
    /// `account`, or `service` for those that an AWS service manages and that no quota counts.
    pub managed_by: Text,
    /// Whether they are associated with something.
    pub associated: bool,
    /// How many there are.
    pub count: u64,
}

/// How many of the fullest objects are named.
const FULLEST: usize = 5;

impl QuotasView {
    /// Those of a picture.
    pub fn of(judged: &Judged, query: &Query) -> Self {
        let families = Families::of(&judged.outcome);
        let findings = ByOwner::of(judged);
        let views = QUOTAS.iter().map(|quota| view(quota, judged, &families, &findings));
        let wanted = |view: &QuotaView| !query.by_finding() || view.findings.iter().any(|finding| query.wants_kind(finding));
        let (quotas, total) = query.page(views.filter(wanted).collect());
        let elastic_ips = families.samples("elastic_ips", &[]).iter();
        Self {
            evaluated_at: judged.outcome.evaluated_at,
            complete: is_complete(judged, &["quotas"]),
            total,
            quotas,
            elastic_ips: elastic_ips
                .map(|it| ElasticIpsView {
                    managed_by: label(it, 0),
                    associated: it.labels[1].as_str() == "true",
                    count: whole(it.value),
                })
                .collect(),
        }
    }
}

fn view(quota: &Quota, judged: &Judged, families: &Families<'_>, findings: &ByOwner) -> QuotaView {
    let name = quota.name;
    let increase = command(&judged.context(), name);
    let requests = judged.snapshot.parts.quota_requests.get();
    QuotaView {
        name,
        service_code: quota.service_code,
        quota_code: quota.quota_code,
        adjustable: quota.adjustable,
        scope: scope(quota.scope),
        limit: families.value("quota_limit", &[name]).map(Number),
        limit_assumed: families.truth("quota_limit_assumed", &[name]),
        used: families.value("quota_usage", &[name]).map(Number),
        needed: families.value("quota_needed_per_load_balancer", &[name]).map(Number),
        requested: families.value("quota_requested", &[name]).map(Number),
        requests: requests.map(|all| all.get(name).into_iter().flatten().map(request).collect()),
        increase: increase.map(|(desired, command)| IncreaseView { desired: Number(desired), command }),
        fullest: fullest(quota, families),
        findings: findings.subject("quota", name).to_vec(),
    }
}

fn request(request: &QuotaRequest) -> QuotaRequestView {
    QuotaRequestView {
        desired: Number(request.desired_value),
        status: match request.status {
            RequestStatus::Pending => "pending",
            RequestStatus::CaseOpened => "case_opened",
        },
        requested_at: request.requested_at,
    }
}

fn scope(scope: QuotaScope) -> &'static str {
    match scope {
        QuotaScope::Region => "region",
        QuotaScope::Vpc => "vpc",
        QuotaScope::LoadBalancer => "load_balancer",
        QuotaScope::TargetGroup => "target_group",
        QuotaScope::SecurityGroup => "security_group",
        QuotaScope::NetworkInterface => "network_interface",
        QuotaScope::RouteTable => "route_table",
    }
}

fn fullest(quota: &Quota, families: &Families<'_>) -> Vec<FullestView> {
    let (kind, family) = match quota.scope {
        QuotaScope::LoadBalancer => ("load_balancer", "load_balancer_quota_usage"),
        QuotaScope::TargetGroup => ("target_group", "target_group_quota_usage"),
        QuotaScope::SecurityGroup => ("security_group", "security_group_rules"),
        QuotaScope::Region | QuotaScope::Vpc | QuotaScope::NetworkInterface | QuotaScope::RouteTable => return Vec::new(),
    };
    let of_groups = quota.scope == QuotaScope::SecurityGroup;
    let is_of = |sample: &&Sample| of_groups || sample.labels[1].as_str() == quota.name;
    let mut all: Vec<&Sample> = families.samples(family, &[]).iter().filter(is_of).collect();
    // Stable: of equally full ones the first by name.
    all.sort_by(|a, b| b.value.total_cmp(&a.value));
    let detail = |sample: &Sample, at| of_groups.then(|| label(sample, at));
    all.into_iter()
        .take(FULLEST)
        .map(|sample| FullestView {
            kind,
            id: label(sample, 0),
            direction: detail(sample, 1),
            ip_family: detail(sample, 2),
            used: Number(sample.value),
        })
        .collect()
}
