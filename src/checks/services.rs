//! What is there, and whose is it? The info families of load balancers, target groups, Services and the controller, and the
//! findings about who owns what.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::catalogue::{IN_TREE_OWNED, LOAD_BALANCER_NOT_ACTIVE, NO_CONTROLLER, OLD_CONTROLLER, OWNED_BY_NOBODY};
use super::model::{FamilyDescription, FamilyKind, Label, Report, Subject};
use super::{Check, Context};
use crate::controller::ownership::{Ownership, owner_in};
use crate::inventory::aws::LoadBalancerState;
use crate::inventory::kube::{PortReference, Service, ServiceType, Version};
use crate::inventory::parts::{Parts, source};
use crate::inventory::snapshot::{Controller, Owner, Snapshot};

static LOAD_BALANCER_INFO: FamilyDescription = FamilyDescription {
    name: "load_balancer_info",
    help: "Facts about a load balancer of this cluster (DescribeLoadBalancers) and, by its tags, who made it for what.",
    kind: FamilyKind::Info,
    labels: &[
        "load_balancer",
        "arn",
        "dns_name",
        "scheme",
        "vpc_id",
        "controller",
        "owner_kind",
        "owner_name",
        "namespace",
        "service",
    ],
};
static LOAD_BALANCER_STATE: FamilyDescription = FamilyDescription {
    name: "load_balancer_state",
    help: "Whether the load balancer is in this state (State.Code of DescribeLoadBalancers); other stands for a code this program does not know and has a series only then.",
    kind: FamilyKind::StateSet,
    labels: &["load_balancer", "state"],
};
static LOAD_BALANCER_CREATED: FamilyDescription = FamilyDescription {
    name: "load_balancer_created_timestamp_seconds",
    help: "When the load balancer was created (CreatedTime of DescribeLoadBalancers).",
    kind: FamilyKind::Gauge,
    labels: &["load_balancer"],
};
static TARGET_GROUP_INFO: FamilyDescription = FamilyDescription {
    name: "target_group_info",
    help: "Facts about a target group of this cluster (DescribeTargetGroups) and the Service whose pods it holds.",
    kind: FamilyKind::Info,
    labels: &["target_group", "load_balancer", "arn", "namespace", "service", "service_port", "target_type", "protocol"],
};
static TARGET_GROUP_WEIGHT: FamilyDescription = FamilyDescription {
    name: "target_group_weight",
    help: "Weight with which a listener forwards to the target group (DefaultActions of DescribeListeners); absent for the only group of a listener, unless its weight is 0.",
    kind: FamilyKind::Gauge,
    labels: &["load_balancer", "listener_port", "target_group"],
};
static SERVICE_INFO: FamilyDescription = FamilyDescription {
    name: "service_info",
    help: "A Service that asks for a load balancer, which controller owns it, and its spec.loadBalancerClass.",
    kind: FamilyKind::Info,
    labels: &["namespace", "service", "controller", "load_balancer_class"],
};
static SERVICE_CREATED: FamilyDescription = FamilyDescription {
    name: "service_created_timestamp_seconds",
    help: "When the Service was created (metadata.creationTimestamp).",
    kind: FamilyKind::Gauge,
    labels: &["namespace", "service"],
};
static SERVICE_PROVISIONED: FamilyDescription = FamilyDescription {
    name: "service_provisioned",
    help: "Whether the Service's status.loadBalancer has a host name; for types without that status, whether a load balancer exists.",
    kind: FamilyKind::Gauge,
    labels: &["namespace", "service"],
};
static SERVICE_LOAD_BALANCERS: FamilyDescription = FamilyDescription {
    name: "service_load_balancers",
    help: "Network Load Balancers that carry the Service's tags; more than one is a replacement or a leak.",
    kind: FamilyKind::Gauge,
    labels: &["namespace", "service"],
};
static CONTROLLER_INFO: FamilyDescription = FamilyDescription {
    name: "controller_info",
    help: "The AWS Load Balancer Controller and its version, from its Deployment's image or labels.",
    kind: FamilyKind::Info,
    labels: &["controller", "version"],
};
static CONTROLLER_LEADER_SINCE: FamilyDescription = FamilyDescription {
    name: "controller_leader_since_timestamp_seconds",
    help: "Since when the controller's leader leads (spec.acquireTime of its Lease): it restarted or moved then.",
    kind: FamilyKind::Gauge,
    labels: &["controller"],
};
static EXPORTER_SCOPE_INFO: FamilyDescription = FamilyDescription {
    name: "exporter_scope_info",
    help: "What this exporter looks at: account, Region, cluster and VPC; empty where not known yet.",
    kind: FamilyKind::Info,
    labels: &["account_id", "aws_region", "cluster_name", "vpc_id"],
};

/// The check.
pub static CHECK: Check = Check {
    name: "services",
    families: &[
        &LOAD_BALANCER_INFO,
        &LOAD_BALANCER_STATE,
        &LOAD_BALANCER_CREATED,
        &TARGET_GROUP_INFO,
        &TARGET_GROUP_WEIGHT,
        &SERVICE_INFO,
        &SERVICE_CREATED,
        &SERVICE_PROVISIONED,
        &SERVICE_LOAD_BALANCERS,
        &CONTROLLER_INFO,
        &CONTROLLER_LEADER_SINCE,
        &EXPORTER_SCOPE_INFO,
    ],
    findings: &[&LOAD_BALANCER_NOT_ACTIVE, &OWNED_BY_NOBODY, &IN_TREE_OWNED, &NO_CONTROLLER, &OLD_CONTROLLER],
    sources: &[source::LOAD_BALANCERS, source::TARGET_GROUPS, source::TAGS, source::SERVICES, source::CONTROLLER],
    run,
};

/// The version that EKS recommends at least.
const RECOMMENDED: Version = Version::new(2, 7, 2);

/// The oldest version whose rules are modelled as a whole. Of older ones only the choice of subnets is.
const MODELLED: Version = Version::new(2, 4, 0);

/// How long after its last renewal a Lease still shows a living controller. Leaders renew every few seconds.
const LEASE_ALIVE: SignedDuration = SignedDuration::from_mins(5);

fn run(context: &Context<'_>, report: &mut Report) {
    load_balancers(context.snapshot, report);
    target_groups(context.snapshot, report);
    services(context.snapshot, report);
    controller(context, report);
    scope(&context.snapshot.parts, report);
}

fn load_balancers(snapshot: &Snapshot, report: &mut Report) {
    for (id, found) in &snapshot.load_balancers {
        let lb = &found.load_balancer;
        let (kind, owner, namespace, service) = owner_labels(&found.owner);
        report.family(&LOAD_BALANCER_INFO).sample(
            [
                id.into(),
                (&lb.arn).into(),
                (&lb.dns_name).into(),
                lb.scheme.as_str().into(),
                (&lb.vpc_id).into(),
                found.controller.as_str().into(),
                kind.into(),
                owner,
                namespace,
                service,
            ],
            1.0,
        );
        let mut states = report.family(&LOAD_BALANCER_STATE);
        // What is none of AWS's states has a series only where it is the one.
        let shown = |state: &&LoadBalancerState| **state != LoadBalancerState::Other || **state == lb.state;
        for state in LoadBalancerState::ALL.iter().filter(shown) {
            states.sample([id.into(), state.as_str().into()], f64::from(u8::from(*state == lb.state)));
        }
        if let Some(created_at) = lb.created_at {
            report.family(&LOAD_BALANCER_CREATED).sample([id.into()], seconds(created_at));
        }
        if matches!(lb.state, LoadBalancerState::Failed | LoadBalancerState::ActiveImpaired) {
            let reason = lb.state_reason.as_deref().filter(|reason| !reason.is_empty()).unwrap_or("AWS gives no reason");
            let message = format!("Its state is {}: {reason}.", lb.state);
            report.find(&LOAD_BALANCER_NOT_ACTIVE, Subject::LoadBalancer(id.clone()), None, message);
        }
    }
}

/// Kind, name, namespace and, for Services, the Service.
fn owner_labels(owner: &Owner) -> (&'static str, Label, Label, Label) {
    match owner {
        Owner::Service(name) => ("Service", (&name.name).into(), (&name.namespace).into(), (&name.name).into()),
        Owner::Gateway(name) => ("Gateway", (&name.name).into(), (&name.namespace).into(), "".into()),
        // The stack of a single Ingress is namespace/name, that of a group is the group's bare name.
        Owner::Ingress(stack) => match stack.split_once('/') {
            Some((namespace, name)) => ("Ingress", name.to_owned().into(), namespace.to_owned().into(), "".into()),
            None => ("Ingress", stack.into(), "".into(), "".into()),
        },
        Owner::None => ("none", "".into(), "".into(), "".into()),
    }
}

fn target_groups(snapshot: &Snapshot, report: &mut Report) {
    for (id, found) in &snapshot.target_groups {
        let group = &found.target_group;
        let (namespace, service, port): (Label, Label, Label) = match &found.backend {
            Some((name, port)) => ((&name.namespace).into(), (&name.name).into(), port_label(port)),
            None => ("".into(), "".into(), "".into()),
        };
        report.family(&TARGET_GROUP_INFO).sample(
            [
                id.into(),
                found.load_balancer.as_ref().into(),
                (&group.arn).into(),
                namespace,
                service,
                port,
                group.target_type.as_str().into(),
                (&group.protocol).into(),
            ],
            1.0,
        );
    }
    for id in snapshot.load_balancers.keys() {
        let Some(listeners) = snapshot.parts.listeners.get(id).and_then(|part| part.complete()) else { continue };
        // A port has one listener; should AWS ever answer two, a series must not come twice.
        let forwards: BTreeMap<_, _> = listeners
            .iter()
            .filter(|listener| listener.forwards.len() > 1 || listener.forwards.iter().any(|only| only.weight == 0))
            .flat_map(|listener| listener.forwards.iter().map(|to| ((listener.port, &to.target_group), to.weight)))
            .collect();
        for ((port, target_group), weight) in forwards {
            let labels = [id.into(), port.to_string().into(), target_group.into()];
            report.family(&TARGET_GROUP_WEIGHT).sample(labels, weight.into());
        }
    }
}

fn port_label(port: &PortReference) -> Label {
    match port {
        PortReference::Number(number) => number.to_string().into(),
        PortReference::Name(name) => name.into(),
    }
}

fn services(snapshot: &Snapshot, report: &mut Report) {
    let parts = &snapshot.parts;
    let counted = CountedLoadBalancers::of(snapshot);
    for (name, service) in parts.services.get().into_iter().flatten() {
        let owner = owner_in(service, parts);
        if service.service_type != ServiceType::LoadBalancer && owner != Ownership::LoadBalancerController {
            continue;
        }
        let labels = || -> [Label; 2] { [(&name.namespace).into(), (&name.name).into()] };
        let [namespace, service_name] = labels();
        let class = service.load_balancer_class.as_ref().into();
        report.family(&SERVICE_INFO).sample([namespace, service_name, owner.as_str().into(), class], 1.0);
        report.family(&SERVICE_CREATED).sample(labels(), seconds(service.created_at));
        let load_balancers = counted.of_service(service, owner);
        let provisioned = match service.service_type {
            ServiceType::LoadBalancer => Some(!service.hostnames.is_empty()),
            _ => load_balancers.map(|count| count > 0),
        };
        if let Some(provisioned) = provisioned {
            report.family(&SERVICE_PROVISIONED).sample(labels(), f64::from(u8::from(provisioned)));
        }
        if let Some(count) = load_balancers {
            report.family(&SERVICE_LOAD_BALANCERS).sample(labels(), f64::from(count));
        }
        if service.deleted_at.is_none() {
            find_owner(service, owner, report);
        }
    }
}

/// How many load balancers a Service has, where that is known.
struct CountedLoadBalancers<'a> {
    snapshot: &'a Snapshot,
    /// Every load balancer that could be this cluster's has known tags: what was not found does not exist.
    complete: bool,
}

impl<'a> CountedLoadBalancers<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        let parts = &snapshot.parts;
        let complete = parts.load_balancers.complete().is_some_and(|list| {
            list.values().all(|lb| {
                parts.scope.vpc_id.as_ref().is_some_and(|vpc| *vpc != lb.vpc_id)
                    || parts.tags.get(&lb.arn).is_some_and(|tags| tags.complete().is_some())
            }) && parts.scope.cluster_name.is_some()
        });
        Self { snapshot, complete }
    }

    /// `None` where the count could be wrong: none was found and not everything was looked at, or the owner makes load
    /// balancers that this program does not list.
    fn of_service(&self, service: &Service, owner: Ownership) -> Option<u32> {
        let found = self.snapshot.service_load_balancers.get(&service.name).map_or(0, BTreeSet::len);
        let invisible = matches!(owner, Ownership::InTreeClassic | Ownership::ThirdParty);
        if found == 0 && (invisible || !self.complete) {
            return None;
        }
        u32::try_from(found).ok()
    }
}

fn find_owner(service: &Service, owner: Ownership, report: &mut Report) {
    let subject = || Subject::Service(service.name.clone());
    match owner {
        Ownership::Nobody(why) => {
            let message = format!("Nobody makes its load balancer: {}.", why.because());
            report.find(&OWNED_BY_NOBODY, subject(), Some(service.created_at), message);
        }
        Ownership::InTreeNetwork | Ownership::InTreeClassic => {
            let kind = if owner == Ownership::InTreeNetwork { "Network" } else { "Classic" };
            let message = format!("The in-tree provider owns it: a {kind} Load Balancer, which gets critical fixes only.");
            report.find(&IN_TREE_OWNED, subject(), None, message);
        }
        _ => {}
    }
}

fn controller(context: &Context<'_>, report: &mut Report) {
    let name = Controller::LoadBalancerController.as_str();
    let parts = &context.snapshot.parts;
    let deployments = parts.controllers.get();
    let versions: BTreeSet<Option<Version>> = deployments.into_iter().flat_map(|list| list.values()).map(|d| d.version).collect();
    for version in versions {
        let label: Label = version.map(|version| version.to_string()).into();
        report.family(&CONTROLLER_INFO).sample([name.into(), label], 1.0);
    }
    for deployment in deployments.into_iter().flat_map(|list| list.values()) {
        if let Some(version) = deployment.version.filter(|version| *version < RECOMMENDED) {
            let modelled = if version < MODELLED { "; what it does differs from what this program judges by" } else { "" };
            let message =
                format!("Deployment {} runs {version}; {RECOMMENDED} or newer is recommended{modelled}.", deployment.name);
            report.find(&OLD_CONTROLLER, Subject::Cluster, None, message);
        }
    }
    let lease = parts.leader_lease.get().and_then(Option::as_ref);
    if let Some(acquired_at) = lease.filter(|lease| lease.holder.is_some()).and_then(|lease| lease.acquired_at) {
        report.family(&CONTROLLER_LEADER_SINCE).sample([name.into()], seconds(acquired_at));
    }
    let alive =
        lease.and_then(|lease| lease.renewed_at).is_some_and(|renewed_at| context.now.duration_since(renewed_at) < LEASE_ALIVE);
    if !alive && parts.controllers.complete().is_some_and(BTreeMap::is_empty) {
        let need = parts.services.get().into_iter().flat_map(|list| list.values());
        let need = need
            .filter(|service| service.deleted_at.is_none() && owner_in(service, parts) == Ownership::LoadBalancerController)
            .count();
        if need > 0 {
            let message =
                format!("No Deployment of the controller and no living leader Lease; {need} Services are its to serve.");
            report.find(&NO_CONTROLLER, Subject::Cluster, None, message);
        }
    }
}

fn scope(parts: &Parts, report: &mut Report) {
    let scope = &parts.scope;
    let labels: [Label; 4] = [
        scope.account_id.as_ref().into(),
        scope.region.as_ref().into(),
        scope.cluster_name.as_ref().into(),
        scope.vpc_id.as_ref().into(),
    ];
    if labels.iter().any(|label| !label.as_str().is_empty()) {
        report.family(&EXPORTER_SCOPE_INFO).sample(labels, 1.0);
    }
}

fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

#[cfg(test)]
mod tests;
