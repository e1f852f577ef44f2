//! What is known of one load balancer?

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::expose::view::{Families, Number, Text, label, text, whole};
use crate::inventory::ids::LoadBalancerId;
use crate::inventory::snapshot::Snapshot;

/// A load balancer in a list.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct LoadBalancerRow {
    /// `net/NAME/ID`, the `load_balancer` label.
    pub id: Text,
    /// Its name in AWS.
    pub name: Option<Text>,
    /// Its DNS name.
    pub dns_name: Text,
    /// `internal` or `internet-facing`.
    pub scheme: Text,
    /// `active`, `provisioning`, `active_impaired`, `failed`; `other` for what this version does not know.
    pub state: Option<Text>,
    /// When it was created.
    pub created_at: Option<Timestamp>,
}

/// Everything of a load balancer.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct LoadBalancerView {
    /// `net/NAME/ID`, the `load_balancer` label.
    pub id: Text,
    /// Its name in AWS.
    pub name: Option<Text>,
    /// Its DNS name.
    pub dns_name: Text,
    /// `internal` or `internet-facing`.
    pub scheme: Text,
    /// `active`, `provisioning`, `active_impaired`, `failed`; `other` for what this version does not know.
    pub state: Option<Text>,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// Its VPC.
    pub vpc_id: Text,
    /// Who made it, by its tags: `aws-load-balancer-controller`, `in-tree`, `eks-auto-mode` or `none`.
    pub controller: Text,
    /// For what it was made, by its tags: `Service`, `Gateway`, `Ingress` or `none`.
    pub owner_kind: Text,
    /// The namespace of that.
    pub owner_namespace: Option<Text>,
    /// The name of that.
    pub owner_name: Option<Text>,
    /// `ipv4` or `dualstack`.
    pub ip_address_type: Option<&'static str>,
    /// The zones in which it is enabled.
    pub zones: Vec<LoadBalancerZoneView>,
    /// Its security groups; none for one that was made without.
    pub security_groups: Vec<Text>,
    /// Its target groups, the `target_group` label.
    pub target_groups: Vec<Text>,
    /// What it uses of quotas that hold for each load balancer; those that are not known are left out.
    pub quotas: Vec<QuotaUseView>,
}

/// A zone in which a load balancer is enabled.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct LoadBalancerZoneView {
    /// The zone.
    pub zone: Text,
    /// Its subnet there.
    pub subnet_id: Text,
}

/// What something uses of a quota.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct QuotaUseView {
    /// The quota, the `quota` label.
    pub quota: Text,
    /// So much of it is used.
    pub used: Number,
    /// So much is allowed; `null` until it was asked for.
    pub limit: Option<Number>,
}

impl LoadBalancerRow {
    /// That of a load balancer of the picture.
    pub(super) fn of(id: &LoadBalancerId, snapshot: &Snapshot, families: &Families<'_>) -> Option<Self> {
        let info = families.samples("load_balancer_info", &[id.as_str()]).first()?;
        Some(Self {
            id: id.shared(),
            name: snapshot.load_balancers.get(id).map(|found| Text::clone(&found.load_balancer.name)),
            dns_name: label(info, 2),
            scheme: label(info, 3),
            state: state(id, families),
            created_at: families.moment("load_balancer_created_timestamp_seconds", &[id.as_str()]),
        })
    }
}

impl LoadBalancerView {
    /// That of a load balancer of the picture.
    pub(super) fn of(id: &LoadBalancerId, snapshot: &Snapshot, families: &Families<'_>) -> Option<Self> {
        let info = families.samples("load_balancer_info", &[id.as_str()]).first()?;
        let LoadBalancerRow { id: shared, name, dns_name, scheme, state, created_at } =
            LoadBalancerRow::of(id, snapshot, families)?;
        let found = snapshot.load_balancers.get(id);
        let zones = found.into_iter().flat_map(|found| &found.load_balancer.zones);
        let groups = found.into_iter().flat_map(|found| &found.load_balancer.security_groups);
        Some(Self {
            id: shared,
            name,
            dns_name,
            scheme,
            state,
            created_at,
            vpc_id: label(info, 4),
            controller: label(info, 5),
            owner_kind: label(info, 6),
            owner_name: text(&info.labels[7]),
            owner_namespace: text(&info.labels[8]),
            ip_address_type: found.map(|found| found.load_balancer.ip_address_type.as_str()),
            zones: zones
                .map(|zone| LoadBalancerZoneView { zone: zone.zone.shared(), subnet_id: zone.subnet_id.shared() })
                .collect(),
            security_groups: groups.map(|group| group.shared()).collect(),
            target_groups: found.into_iter().flat_map(|found| &found.target_groups).map(|group| group.shared()).collect(),
            quotas: quota_uses("load_balancer_quota_usage", id.as_str(), families),
        })
    }
}

fn state(id: &LoadBalancerId, families: &Families<'_>) -> Option<Text> {
    let states = families.samples("load_balancer_state", &[id.as_str()]);
    states.iter().find(|sample| sample.value > 0.0).map(|sample| label(sample, 1))
}

/// What one thing uses of the quotas that hold for each of its kind.
pub(super) fn quota_uses(family: &str, of: &str, families: &Families<'_>) -> Vec<QuotaUseView> {
    let samples = families.samples(family, &[of]).iter();
    samples
        .map(|sample| {
            let quota = label(sample, 1);
            let limit = families.value("quota_limit", &[&quota]).map(Number);
            QuotaUseView { used: Number(sample.value), limit, quota }
        })
        .collect()
}

/// Several load balancers carry the tags of one Service: a replacement or a leak.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DuplicateView {
    /// The Service's namespace.
    pub namespace: Text,
    /// The Service's name.
    pub service: Text,
    /// How many there are.
    pub count: u64,
    /// Which.
    pub load_balancers: Vec<LoadBalancerRow>,
}

impl DuplicateView {
    /// Those of a picture.
    pub(super) fn all(snapshot: &Snapshot, families: &Families<'_>) -> Vec<Self> {
        let several = families.samples("service_load_balancers", &[]).iter().filter(|sample| sample.value > 1.0);
        several
            .map(|sample| {
                let (namespace, service) = (label(sample, 0), label(sample, 1));
                let name = crate::inventory::ids::ObjectName::new(Text::clone(&namespace), Text::clone(&service));
                let ids = snapshot.service_load_balancers.get(&name).into_iter().flatten();
                let load_balancers = ids.filter_map(|id| LoadBalancerRow::of(id, snapshot, families)).collect();
                Self { namespace, service, count: whole(sample.value), load_balancers }
            })
            .collect()
    }
}
