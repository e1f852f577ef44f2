//! For which schemes does this cluster rely on subnet discovery?

use std::collections::BTreeSet;

use crate::controller::security_groups::only_controller;
use crate::inventory::aws::Scheme;
use crate::inventory::kube::{ControllerDeployment, Service, ServiceType};
use crate::inventory::snapshot::{Controller, Snapshot};

const ANNOTATION: &str = "service.beta.kubernetes.io/aws-load-balancer-";

/// Schemes in use, each with whether dual-stack load balancers of it are: those of Services that the controller owns and
/// that do not name their subnets. Gateways and Ingresses can name theirs where this program does not look, so they prove
/// nothing; the in-tree provider and Auto Mode discover by rules of their own.
pub(super) fn demand(snapshot: &Snapshot) -> BTreeSet<(Scheme, bool)> {
    let parts = &snapshot.parts;
    let controller = only_controller(parts);
    // One that runs where it is not recognised shows by what it made.
    let none_installed = parts.controllers.complete().is_some_and(|controllers| controllers.is_empty())
        && !snapshot.load_balancers.values().any(|it| it.controller == Controller::LoadBalancerController);
    if none_installed || controller.is_some_and(|it| !it.gate("EnableServiceController", true)) {
        return BTreeSet::new();
    }
    let services = parts.services.get().into_iter().flatten().map(|(_, service)| &**service);
    services
        .filter(|service| service.deleted_at.is_none() && annotation(service, "subnets").is_none_or(str::is_empty))
        .filter_map(|service| {
            let schemes = existing_schemes(snapshot, service);
            if schemes.is_empty() && !is_owned(service, controller) {
                return None;
            }
            let scheme = wanted_scheme(service, controller, schemes.first().copied())?;
            Some((scheme, annotation(service, "ip-address-type") == Some("dualstack")))
        })
        .collect()
}

fn existing_schemes(snapshot: &Snapshot, service: &Service) -> BTreeSet<Scheme> {
    let ids = snapshot.service_load_balancers.get(&service.name).into_iter().flatten();
    let existing = ids.filter_map(|id| snapshot.load_balancers.get(id));
    existing.filter(|it| it.controller == Controller::LoadBalancerController).map(|it| it.load_balancer.scheme).collect()
}

/// Whether the controller owns a Service: by its class; without one, by the annotations `type` and `nlb-target-type`.
fn is_owned(service: &Service, controller: Option<&ControllerDeployment>) -> bool {
    let only_load_balancers = controller.is_some_and(|it| it.gate("ServiceTypeLoadBalancerOnly", false));
    if only_load_balancers && service.service_type != ServiceType::LoadBalancer {
        return false;
    }
    if let Some(class) = service.load_balancer_class.as_deref() {
        return class == controller.and_then(|it| it.flag("load-balancer-class")).unwrap_or("service.k8s.aws/nlb");
    }
    match annotation(service, "type") {
        Some("nlb-ip") => true,
        Some("external") => matches!(annotation(service, "nlb-target-type"), Some("ip" | "instance")),
        _ => false,
    }
}

/// `None` for a value the controller refuses.
fn wanted_scheme(service: &Service, controller: Option<&ControllerDeployment>, existing: Option<Scheme>) -> Option<Scheme> {
    if let Some(text) = annotation(service, "scheme") {
        return Scheme::parse(text);
    }
    if let Some(text) = annotation(service, "internal") {
        return match text {
            "true" => Some(Scheme::Internal),
            "false" => Some(Scheme::InternetFacing),
            _ => None,
        };
    }
    let by_flag = || controller.and_then(|it| it.flag("default-load-balancer-scheme")).and_then(Scheme::parse);
    existing.or_else(by_flag).or(Some(Scheme::Internal))
}

fn annotation<'a>(service: &'a Service, name: &str) -> Option<&'a str> {
    service.annotations.get(format!("{ANNOTATION}{name}").as_str()).map(|value| &**value)
}
