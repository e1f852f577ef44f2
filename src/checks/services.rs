//! What is there, and whose is it? The info families of load balancers, target groups, Services and the controller, and the
//! findings about who owns what.

pub mod controllers;
mod lifecycle;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::catalogue::{
    CONTROLLER_UNAVAILABLE, DUPLICATE_LOAD_BALANCERS, IN_TREE_OWNED, LOAD_BALANCER_GONE, LOAD_BALANCER_NOT_ACTIVE, NO_CONTROLLER,
    OLD_CONTROLLER, OWNED_BY_NOBODY, SERVICE_PENDING, STUCK_DELETION, TWO_CONTROLLERS,
};
use super::model::{FamilyDescription, FamilyKind, Label, Report, Subject};
use super::{Check, Context};
use crate::controller::ownership::{Ownership, owner_in};
use crate::inventory::aws::LoadBalancerState;
use crate::inventory::kube::{PortReference, Service, ServiceType};
use crate::inventory::parts::{Parts, source};
use crate::inventory::snapshot::{Owner, Snapshot};

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
static SERVICE_LOAD_BALANCER_MISSING: FamilyDescription = FamilyDescription {
    name: "service_load_balancer_missing",
    help: "1 if the Service's status names a Network Load Balancer of this Region and none of the account has that host name, 0 if one has; absent where that is not known, has just changed, or nothing shows that this is the cluster's account.",
    kind: FamilyKind::Gauge,
    labels: &["namespace", "service"],
};
static SERVICE_DELETION: FamilyDescription = FamilyDescription {
    name: "service_deletion_timestamp_seconds",
    help: "When the deletion of a Service began that still exists (metadata.deletionTimestamp): of Services that ask for a load balancer or have one to be cleaned up.",
    kind: FamilyKind::Gauge,
    labels: &["namespace", "service"],
};
static GATEWAY_INFO: FamilyDescription = FamilyDescription {
    name: "gateway_info",
    help: "A Gateway whose class asks the AWS Load Balancer Controller for a Network Load Balancer; controller is spec.controllerName of its GatewayClass.",
    kind: FamilyKind::Info,
    labels: &["namespace", "gateway", "class", "controller"],
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
        &SERVICE_LOAD_BALANCER_MISSING,
        &SERVICE_DELETION,
        &GATEWAY_INFO,
        &controllers::INFO,
        &controllers::LEADER_SINCE,
        &controllers::REPLICAS,
        &controllers::AVAILABLE_REPLICAS,
        &EXPORTER_SCOPE_INFO,
    ],
    findings: &[
        &LOAD_BALANCER_NOT_ACTIVE,
        &OWNED_BY_NOBODY,
        &IN_TREE_OWNED,
        &DUPLICATE_LOAD_BALANCERS,
        &STUCK_DELETION,
        &NO_CONTROLLER,
        &OLD_CONTROLLER,
        &TWO_CONTROLLERS,
        &CONTROLLER_UNAVAILABLE,
        &SERVICE_PENDING,
        &LOAD_BALANCER_GONE,
    ],
    sources: &[source::LOAD_BALANCERS, source::TARGET_GROUPS, source::TAGS, source::SERVICES, source::CONTROLLER],
    run,
};

fn run(context: &Context<'_>, report: &mut Report) {
    load_balancers(context.snapshot, report);
    target_groups(context.snapshot, report);
    services(context, report);
    gateways(&context.snapshot.parts, report);
    controllers::judge(context, report);
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

fn services(context: &Context<'_>, report: &mut Report) {
    let snapshot = context.snapshot;
    let parts = &snapshot.parts;
    let counted = CountedLoadBalancers::of(snapshot);
    let host_names = lifecycle::HostNames::of(parts);
    for (name, service) in parts.services.get().into_iter().flatten() {
        let owner = owner_in(service, parts);
        if let Some(deleted_at) = service.deleted_at.filter(|_| lifecycle::concerns(service, owner)) {
            report.family(&SERVICE_DELETION).sample([(&name.namespace).into(), (&name.name).into()], seconds(deleted_at));
            lifecycle::find_stuck(context, service, deleted_at, report);
        }
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
            lifecycle::find_duplicates(context, service, report);
            if owner == Ownership::LoadBalancerController && load_balancers == Some(0) {
                lifecycle::find_pending(context, service, report);
            }
            if let Some(missing) = host_names.as_ref().and_then(|names| names.missing(service)) {
                report.family(&SERVICE_LOAD_BALANCER_MISSING).sample(labels(), f64::from(u8::from(missing.is_some())));
                if let Some(name) = missing {
                    lifecycle::find_gone(service, name, report);
                }
            }
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

/// The `spec.controllerName` of classes whose Gateways get a Network Load Balancer.
const GATEWAY_CONTROLLER: &str = "gateway.k8s.aws/nlb";

fn gateways(parts: &Parts, report: &mut Report) {
    let classes = parts.gateway_classes.get();
    for (name, gateway) in parts.gateways.get().into_iter().flatten() {
        let class = classes.and_then(|classes| classes.get(&gateway.class));
        if let Some(class) = class.filter(|class| &*class.controller == GATEWAY_CONTROLLER) {
            let labels = [(&name.namespace).into(), (&name.name).into(), (&gateway.class).into(), (&class.controller).into()];
            report.family(&GATEWAY_INFO).sample(labels, 1.0);
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
