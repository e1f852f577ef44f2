//! How full are the security groups that the load balancers depend on?

use std::collections::BTreeSet;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::Judged;
use crate::checks::security_groups::QUOTA;
use crate::expose::view::findings::{ByOwner, FindingView};
use crate::expose::view::query::Query;
use crate::expose::view::{Families, Number, Text, is_complete, label, text, whole};
use crate::inventory::ids::SecurityGroupId;
use crate::inventory::snapshot::Snapshot;

/// The security groups that play a part for this cluster's load balancers.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SecurityGroupsView {
    /// When the picture was judged.
    pub evaluated_at: Timestamp,
    /// Whether everything needed was seen. Where not, what the list lacks may exist.
    pub complete: bool,
    /// Rules that a group may have in each direction and address family; `null` until it was asked for.
    pub limit: Option<Number>,
    /// The limit could not be read and is AWS's default: nothing follows from it.
    pub limit_assumed: Option<bool>,
    /// Groups that fit what was asked for, on this page or not.
    pub total: u64,
    /// The groups of this page, by their id.
    pub security_groups: Vec<SecurityGroupRow>,
}

/// A security group.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SecurityGroupRow {
    /// `sg-…`
    pub id: Text,
    /// Its name.
    pub name: Option<Text>,
    /// Its VPC.
    pub vpc_id: Option<Text>,
    /// The parts that it plays.
    pub roles: Vec<RoleView>,
    /// Its rules by direction and address family; none while they are not known.
    pub rules: Vec<RulesView>,
    /// Findings about it, the worst first.
    pub findings: Vec<FindingView>,
}

/// A part that a security group plays.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RoleView {
    /// `frontend_managed`, `frontend_custom`, `backend`, `endpoint` or `cluster`.
    pub role: Text,
    /// The namespace of the Service whose frontend group it is.
    pub namespace: Option<Text>,
    /// The Service whose frontend group it is.
    pub service: Option<Text>,
}

/// Rules of one direction and address family.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RulesView {
    /// `inbound` or `outbound`.
    pub direction: Text,
    /// `ipv4` or `ipv6`.
    pub ip_family: Text,
    /// Rules used, as AWS counts them for the quota; a lower bound where NLB304 is found.
    pub used: u64,
    /// The limit less what is used; `null` where the limit is not known, below 0 where one of the two is wrong.
    pub left: Option<Number>,
    /// Rules that must be free for one more load balancer; `null` where it adds none here, or where that is not known.
    pub needed: Option<u64>,
}

/// One security group with its load balancers.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SecurityGroupView {
    /// When the picture was judged.
    pub evaluated_at: Timestamp,
    /// Rules that a group may have in each direction and address family; `null` until it was asked for.
    pub limit: Option<Number>,
    /// The limit could not be read and is AWS's default: nothing follows from it.
    pub limit_assumed: Option<bool>,
    /// What the list says of it.
    pub security_group: SecurityGroupRow,
    /// The cluster's load balancers that have it, the `load_balancer` label.
    pub load_balancers: Vec<Text>,
}

impl SecurityGroupsView {
    /// Those of a picture.
    pub fn of(judged: &Judged, query: &Query) -> Self {
        let families = Families::of(&judged.outcome);
        let findings = ByOwner::of(judged);
        let ids = ids(&families);
        let rows = ids.iter().map(|id| row(id, &families, &findings, &judged.snapshot));
        let wanted = |row: &SecurityGroupRow| !query.by_finding() || row.findings.iter().any(|finding| query.wants_kind(finding));
        let (security_groups, total) = query.page(rows.filter(wanted).collect());
        Self {
            evaluated_at: judged.outcome.evaluated_at,
            complete: is_complete(judged, &["security_groups"]),
            limit: limit(&families),
            limit_assumed: families.truth("quota_limit_assumed", &[QUOTA]),
            total,
            security_groups,
        }
    }
}

impl SecurityGroupView {
    /// That of one group; `None` where the list has none of this id.
    pub fn of(judged: &Judged, id: &str) -> Option<Self> {
        let families = Families::of(&judged.outcome);
        let is_known = !families.samples("security_group_info", &[id]).is_empty()
            || !families.samples("security_group_role", &[id]).is_empty();
        let load_balancers = judged.snapshot.load_balancers.iter();
        let has = |found: &crate::inventory::snapshot::ClusterLoadBalancer| {
            found.load_balancer.security_groups.iter().any(|group| group.as_str() == id)
        };
        is_known.then(|| Self {
            evaluated_at: judged.outcome.evaluated_at,
            limit: limit(&families),
            limit_assumed: families.truth("quota_limit_assumed", &[QUOTA]),
            security_group: row(id, &families, &ByOwner::of(judged), &judged.snapshot),
            load_balancers: load_balancers.filter(|(_, found)| has(found)).map(|(id, _)| id.shared()).collect(),
        })
    }
}

fn limit(families: &Families<'_>) -> Option<Number> {
    families.value("quota_limit", &[QUOTA]).map(Number)
}

/// Groups that are counted, and those that have a role and are not known yet.
fn ids(families: &Families<'_>) -> BTreeSet<Text> {
    let all = ["security_group_info", "security_group_role"];
    all.into_iter().flat_map(|family| families.samples(family, &[])).map(|sample| label(sample, 0)).collect()
}

fn row(id: &str, families: &Families<'_>, findings: &ByOwner, snapshot: &Snapshot) -> SecurityGroupRow {
    let info = families.samples("security_group_info", &[id]).first();
    let known = snapshot.parts.security_groups.get().and_then(|all| all.get(&SecurityGroupId::from(id)));
    let limit = limit(families);
    let roles = families.samples("security_group_role", &[id]).iter();
    let rules = families.samples("security_group_rules", &[id]).iter();
    SecurityGroupRow {
        id: id.into(),
        name: info.map(|info| label(info, 1)).or_else(|| known.map(|group| Text::clone(&group.name))).filter(|it| !it.is_empty()),
        vpc_id: info.map(|info| label(info, 2)).or_else(|| known.map(|group| group.vpc_id.shared())),
        roles: roles
            .map(|it| RoleView { role: label(it, 1), namespace: text(&it.labels[2]), service: text(&it.labels[3]) })
            .collect(),
        rules: rules
            .map(|it| {
                let (direction, ip_family) = (label(it, 1), label(it, 2));
                let needed = "security_group_rules_needed_per_load_balancer";
                RulesView {
                    used: whole(it.value),
                    left: limit.map(|Number(limit)| Number(limit - it.value)),
                    needed: families.count(needed, &[id, &direction, &ip_family]),
                    direction,
                    ip_family,
                }
            })
            .collect(),
        findings: findings.subject("security_group", id).to_vec(),
    }
}
