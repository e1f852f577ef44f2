//! Which security groups would the controller put on the load balancer?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::controller::annotations::{AnnotationError, Annotations, name};
use crate::controller::settings::{Gate, Settings};
use crate::inventory::aws::{SecurityGroup, Tags};
use crate::inventory::ids::{ObjectName, SecurityGroupId, VpcId};
use crate::inventory::kube::{Service, Version};

use super::load_balancer::without_security_groups;
use super::{Desired, Wanted};

/// New load balancers get security groups.
pub static NLB_SECURITY_GROUP: Gate =
    Gate { name: "NLBSecurityGroup", since: Version::new(2, 6, 0), default: true, before: false };

/// The group that the controller makes for the load balancer is yet to be made, or is not known.
pub const MANAGED_GROUP_MISSING: &str = "the load balancer's managed security group was not found";

const FLAGS_UNKNOWN: &str = "the controller's flags on security groups are not known";

/// The Region's security groups, sorted once by what the controller looks for.
#[derive(Debug, Clone)]
pub struct KnownGroups<'a> {
    all: &'a BTreeMap<SecurityGroupId, Arc<SecurityGroup>>,
    /// Those the controller made for a Service's load balancer, by the stack tag.
    managed: BTreeMap<&'a str, Vec<&'a SecurityGroup>>,
    /// The cluster's shared one; one is normal.
    backend: Vec<&'a SecurityGroup>,
    /// By the tag `Name`. The group's own name plays no role.
    named: BTreeMap<&'a str, Vec<&'a SecurityGroup>>,
}

impl<'a> KnownGroups<'a> {
    /// Sorts them; `cluster` is the cluster's name in tags.
    pub fn of(all: &'a BTreeMap<SecurityGroupId, Arc<SecurityGroup>>, cluster: &str) -> Self {
        let mut known = Self { all, managed: BTreeMap::new(), backend: Vec::new(), named: BTreeMap::new() };
        for group in all.values() {
            let tag = |key: &str| group.tags.get(key).map(|value| &**value);
            if let Some(name) = tag("Name") {
                known.named.entry(name).or_default().push(group);
            }
            if tag("elbv2.k8s.aws/cluster") != Some(cluster) {
                continue;
            }
            if tag("elbv2.k8s.aws/resource") == Some("backend-sg") {
                known.backend.push(group);
            }
            if let (Some(stack), Some("ManagedLBSecurityGroup")) = (tag("service.k8s.aws/stack"), tag("service.k8s.aws/resource"))
            {
                known.managed.entry(stack).or_default().push(group);
            }
        }
        known
    }

    /// A group's tags.
    pub fn tags(&self, id: &SecurityGroupId) -> Option<&'a Tags> {
        self.all.get(id).map(|group| &group.tags)
    }

    /// The groups the controller made for a Service's load balancer in a VPC: one is normal.
    pub fn managed(&self, service: &ObjectName, vpc: &VpcId) -> Vec<SecurityGroupId> {
        here(self.managed.get(service.to_string().as_str()), vpc)
    }

    fn named(&self, text: &str, vpc: &VpcId) -> Vec<SecurityGroupId> {
        here(self.named.get(text), vpc)
    }

    /// One group, where it is known.
    pub fn get(&self, id: &SecurityGroupId) -> Option<&'a SecurityGroup> {
        self.all.get(id).map(|group| &**group)
    }

    /// The cluster's shared group.
    pub fn backend(&self, settings: Settings<'_>, vpc: &VpcId) -> Wanted<SecurityGroupId> {
        if let Some(id) = settings.flag("backend-security-group", "").filter(|id| !id.is_empty()) {
            return Wanted::Value(SecurityGroupId::from(id));
        }
        only(here(Some(&self.backend), vpc), "the cluster's shared backend security group was not found")
            .doubtful(doubt(settings))
    }
}

fn here(groups: Option<&Vec<&SecurityGroup>>, vpc: &VpcId) -> Vec<SecurityGroupId> {
    groups.into_iter().flatten().filter(|group| group.vpc_id == *vpc).map(|group| group.id.clone()).collect()
}

fn doubt(settings: Settings<'_>) -> Option<&'static str> {
    (!settings.known()).then_some(FLAGS_UNKNOWN)
}

fn only(mut found: Vec<SecurityGroupId>, otherwise: &'static str) -> Wanted<SecurityGroupId> {
    match (found.pop(), found.is_empty()) {
        (Some(id), true) => Wanted::Value(id),
        _ => Wanted::Unknown(otherwise),
    }
}

/// The security groups of a load balancer that has some. One born without stays without for ever and is not asked about.
pub fn security_groups(
    service: &Service,
    settings: Settings<'_>,
    groups: &KnownGroups<'_>,
    vpc: &VpcId,
) -> Desired<BTreeSet<SecurityGroupId>> {
    if without_security_groups(service, settings)? {
        let raw = Annotations(&service.annotations).text(name::DISABLE_NLB_SG).unwrap_or_default();
        return Err(AnnotationError::value(name::DISABLE_NLB_SG, raw, "false, since the load balancer has security groups"));
    }
    if settings.gate(&NLB_SECURITY_GROUP) == Some(false) {
        return Ok(Wanted::Unknown("the controller runs with NLBSecurityGroup=false and the load balancer has security groups"));
    }
    if names_its_own(service) { custom(service, settings, groups, vpc) } else { Ok(managed(service, settings, groups, vpc)) }
}

/// Whether the Service names security groups of its own. What is said about sources has no effect then.
pub fn names_its_own(service: &Service) -> bool {
    Annotations(&service.annotations).list(name::SECURITY_GROUPS).is_some_and(|list| !list.is_empty())
}

fn managed(
    service: &Service,
    settings: Settings<'_>,
    groups: &KnownGroups<'_>,
    vpc: &VpcId,
) -> Wanted<BTreeSet<SecurityGroupId>> {
    let own = match only(groups.managed(&service.name, vpc), MANAGED_GROUP_MISSING) {
        Wanted::Value(own) => own,
        other => return other.map(|id| BTreeSet::from([id])),
    };
    match settings.switch("enable-backend-security-group", true) {
        Some(false) => Wanted::Value(BTreeSet::from([own])),
        Some(true) | None => groups.backend(settings, vpc).map(|backend| BTreeSet::from([own, backend])),
    }
}

/// The groups that the Service itself names, by ID or by the tag `Name` (T9).
pub fn named_groups(service: &Service, groups: &KnownGroups<'_>, vpc: &VpcId) -> Desired<BTreeSet<SecurityGroupId>> {
    let mut wanted = BTreeSet::new();
    for element in Annotations(&service.annotations).list(name::SECURITY_GROUPS).unwrap_or_default() {
        if element.starts_with("sg-") {
            wanted.insert(SecurityGroupId::from(element));
        } else if element.contains(['*', '?']) {
            // EC2 takes the name for a pattern then.
            return Ok(Wanted::Unknown("a security group's name in the annotation is a pattern"));
        } else {
            // One name may stand for several groups, and all of them are used.
            let found = groups.named(element, vpc);
            if found.is_empty() {
                return Err(AnnotationError::unresolved(name::SECURITY_GROUPS, element, "a security group's tag Name"));
            }
            wanted.extend(found);
        }
    }
    Ok(Wanted::Value(wanted))
}

fn custom(
    service: &Service,
    settings: Settings<'_>,
    groups: &KnownGroups<'_>,
    vpc: &VpcId,
) -> Desired<BTreeSet<SecurityGroupId>> {
    let annotations = Annotations(&service.annotations);
    let mut wanted = match named_groups(service, groups, vpc)? {
        Wanted::Value(wanted) => wanted,
        other => return Ok(other),
    };
    let annotated =
        if settings.at_least(Version::new(2, 4, 0)) { annotations.boolean(name::MANAGE_BACKEND_RULES)? } else { None };
    let manage = match annotated {
        Some(manage) => manage,
        None if !settings.at_least(Version::new(2, 13, 0)) => false,
        None => match settings.switch("enable-manage-backend-security-group-rules", false) {
            Some(manage) => manage,
            None => return Ok(Wanted::Likely(wanted, FLAGS_UNKNOWN)),
        },
    };
    if !manage {
        return Ok(Wanted::Value(wanted));
    }
    match settings.switch("enable-backend-security-group", true) {
        Some(false) => Err(AnnotationError::value(
            name::MANAGE_BACKEND_RULES,
            annotations.text(name::MANAGE_BACKEND_RULES).unwrap_or_default(),
            "false, since the controller runs without a backend security group",
        )),
        Some(true) | None => Ok(groups.backend(settings, vpc).map(|backend| {
            wanted.insert(backend);
            wanted
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{ServiceBuilder, controller, security_group, service};

    const VPC: &str = "vpc-1";

    fn world() -> BTreeMap<SecurityGroupId, Arc<SecurityGroup>> {
        let managed = [
            ("elbv2.k8s.aws/cluster", "demo"),
            ("service.k8s.aws/stack", "shop/web"),
            ("service.k8s.aws/resource", "ManagedLBSecurityGroup"),
        ];
        [
            security_group("sg-managed", VPC, &managed),
            security_group("sg-backend", VPC, &[("elbv2.k8s.aws/cluster", "demo"), ("elbv2.k8s.aws/resource", "backend-sg")]),
            security_group("sg-a", VPC, &[("Name", "edge")]),
            security_group("sg-b", VPC, &[("Name", "edge")]),
            security_group("sg-elsewhere", "vpc-2", &[("Name", "edge")]),
        ]
        .into_iter()
        .map(|group| (group.id.clone(), Arc::new(group)))
        .collect()
    }

    fn wanted(service: ServiceBuilder, flags: Option<&[(&str, &str)]>) -> Desired<BTreeSet<SecurityGroupId>> {
        let controller =
            flags.map(|flags| flags.iter().fold(controller("2.14.0"), |builder, (key, value)| builder.flag(key, value)).build());
        let (all, vpc) = (world(), VpcId::from(VPC));
        let groups = KnownGroups::of(&all, "demo");
        security_groups(&service.build(), Settings::of(controller.as_ref()), &groups, &vpc)
    }

    fn ids(ids: &[&str]) -> Desired<BTreeSet<SecurityGroupId>> {
        Ok(Wanted::Value(ids.iter().map(|id| SecurityGroupId::from(*id)).collect()))
    }

    fn likely(all: &[&str]) -> Desired<BTreeSet<SecurityGroupId>> {
        ids(all).map(|wanted| wanted.doubtful(Some(FLAGS_UNKNOWN)))
    }

    #[test]
    fn without_the_annotation_it_is_the_managed_group_and_the_backend_group_1_5() {
        let plain = || service("shop/web").external("ip");
        assert_eq!(wanted(plain(), Some(&[])), ids(&["sg-backend", "sg-managed"]));
        assert_eq!(wanted(plain(), Some(&[("enable-backend-security-group", "false")])), ids(&["sg-managed"]));
        assert_eq!(wanted(plain(), Some(&[("backend-security-group", "sg-x")])), ids(&["sg-managed", "sg-x"]));
        assert_eq!(wanted(plain().annotate(name::SECURITY_GROUPS, ""), Some(&[])), ids(&["sg-backend", "sg-managed"]));
        assert_eq!(wanted(plain(), None), likely(&["sg-backend", "sg-managed"]));
        assert!(matches!(wanted(service("shop/other").external("ip"), Some(&[])), Ok(Wanted::Unknown(_))));
    }

    #[test]
    fn a_name_is_the_tag_name_and_means_all_groups_that_bear_it_t9() {
        let named = |text: &str| service("shop/web").external("ip").annotate(name::SECURITY_GROUPS, text);
        assert_eq!(wanted(named("edge, sg-c"), Some(&[])), ids(&["sg-a", "sg-b", "sg-c"]));
        assert_eq!(wanted(named("nowhere"), Some(&[])).unwrap_err().category(), "unresolved");
        assert!(matches!(wanted(named("ed*"), Some(&[])), Ok(Wanted::Unknown(_))));
    }

    #[test]
    fn the_backend_group_joins_custom_ones_only_when_rules_are_managed_1_5() {
        let custom = || service("shop/web").external("ip").annotate(name::SECURITY_GROUPS, "sg-c");
        assert_eq!(wanted(custom(), Some(&[])), ids(&["sg-c"]));
        assert_eq!(wanted(custom().annotate(name::MANAGE_BACKEND_RULES, "true"), Some(&[])), ids(&["sg-backend", "sg-c"]));
        let flag: &[(&str, &str)] = &[("enable-manage-backend-security-group-rules", "true")];
        assert_eq!(wanted(custom(), Some(flag)), ids(&["sg-backend", "sg-c"]));
        assert_eq!(wanted(custom().annotate(name::MANAGE_BACKEND_RULES, "false"), Some(flag)), ids(&["sg-c"]));
        assert_eq!(wanted(custom(), None), likely(&["sg-c"]));
        let contradiction =
            wanted(custom().annotate(name::MANAGE_BACKEND_RULES, "true"), Some(&[("enable-backend-security-group", "false")]));
        assert_eq!(contradiction.unwrap_err().key(), name::MANAGE_BACKEND_RULES);
    }

    #[test]
    fn disabling_groups_on_a_load_balancer_that_has_some_is_refused_1_5() {
        let disabled = service("shop/web").external("ip").annotate(name::DISABLE_NLB_SG, "true");
        assert_eq!(wanted(disabled, Some(&[])).unwrap_err().key(), name::DISABLE_NLB_SG);
    }
}
