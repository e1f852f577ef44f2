//! What becomes of a load balancer that is there: kept, changed, replaced, deleted?

use std::sync::Arc;

use super::super::bill::refused_quic;
use super::super::changes::{Edit, Effect, changes, replaced};
use super::super::manifests::Manifest;
use super::super::{Fate, NO_EFFECT, PlanProblem, Planned, REFUSED, REPLACED};
use super::{Planner, refuse};
use crate::checks::drift::FINALIZER;
use crate::checks::drift::applied::{GROUPS_MISSING, Incomparable};
use crate::checks::lint::problem::{Field, Rule};
use crate::controller::annotations::{name, parse_bool};
use crate::controller::desired::Wanted;
use crate::controller::desired::listener::listeners;
use crate::controller::desired::load_balancer::{attributes, ip_address_type, scheme};
use crate::controller::desired::security_groups::{MANAGED_GROUP_MISSING, names_its_own};
use crate::controller::ownership::{Ownership, Unowned, owner_in};
use crate::inventory::aws::IpAddressType;
use crate::inventory::kube::{Service, ServiceType};
use crate::inventory::snapshot::{ClusterLoadBalancer, Controller};

/// A manifest says nothing of what the API server and the controllers wrote.
pub(super) fn adopt(service: &mut Service, existing: &Service) {
    service.uid = Arc::clone(&existing.uid);
    service.created_at = existing.created_at;
    service.finalizers.clone_from(&existing.finalizers);
    service.hostnames.clone_from(&existing.hostnames);
    service.annotations_written_at = existing.annotations_written_at;
    // What the controller's webhook set stays set by whoever applies a manifest without it.
    if existing.service_type == service.service_type && service.load_balancer_class.is_none() {
        service.load_balancer_class.clone_from(&existing.load_balancer_class);
    }
    // Families that are left out stay as they are.
    service.ipv6 |= existing.ipv6;
    service.health_check_node_port = service.health_check_node_port.or(existing.health_check_node_port);
    for port in &mut service.ports {
        let same = existing.ports.iter().find(|other| (other.port, other.protocol) == (port.port, port.protocol));
        port.node_port = port.node_port.or(same.and_then(|same| same.node_port));
    }
}

impl Planner<'_> {
    pub(super) fn plan_owned(&mut self, manifest: &Manifest, planned: &mut Planned) {
        let service = &manifest.service;
        let (ours, others): (Vec<_>, Vec<_>) =
            self.load_balancers(&service.name).into_iter().partition(|it| it.controller == Controller::LoadBalancerController);
        if let Some(other) = others.first().filter(|_| ours.is_empty()) {
            let line = manifest.line;
            planned.find(&REPLACED, line, "", format!(
                "Load balancer {} was made by {}, and the AWS Load Balancer Controller would make another one beside it, with another DNS name; the first stays until it is deleted.",
                other.load_balancer.id, other.controller.as_str()
            ));
        }
        let existing = ours.first().map(|it| &it.load_balancer);
        planned.scheme = match scheme(service, existing.map(|it| it.scheme), self.settings) {
            Ok(Wanted::Value(scheme) | Wanted::Likely(scheme, _)) => Some(scheme),
            _ => None,
        };
        if let Some(message) = refused_quic(service, self.settings).filter(|_| ours.is_empty()) {
            let field = Field::annotation(name::QUIC_PORTS);
            planned.find(Rule::Refused.kind(), manifest.line_of(&field), field.to_string(), message);
        }
        // A value that is refused is refused as a whole; what exists stays as it is.
        if let Some(problem) = planned.problems.iter().find(|problem| is_refusal(problem, service)) {
            planned.because = Some(problem.message.clone());
            planned.fate = if ours.is_empty() { Fate::NotMade } else { Fate::Kept };
            return;
        }
        if let Err(error) = listeners(service, self.settings) {
            planned.fate = if ours.is_empty() { Fate::NotMade } else { Fate::Kept };
            return refuse(manifest, planned, &error);
        }
        if self.offline {
            return;
        }
        let Some(before) = ours.first() else { return self.plan_new(manifest, planned) };
        let is_replaced = planned.scheme.is_some_and(|scheme| scheme != before.load_balancer.scheme);
        planned.fate = if is_replaced { Fate::Replaced } else { Fate::Kept };
        planned.because = Some(in_words(before));
        if self.compare(manifest, planned, before) && self.plan_more(manifest, planned, before) {
            self.tell_changes(manifest, planned);
        } else {
            // The controller goes on with nothing of it.
            planned.changes.clear();
        }
    }

    /// What a manifest changes about a load balancer; false where the controller refuses it.
    fn compare(&self, manifest: &Manifest, planned: &mut Planned, existing: &ClusterLoadBalancer) -> bool {
        let service = &manifest.service;
        if planned.fate == Fate::Replaced {
            // The new one is made as everything says; how the old one differs is nobody's business any more.
            let before = self.in_cluster(&service.name).unwrap_or(service);
            planned.changes = vec![replaced(before, service)];
            return true;
        }
        let mut differences = match self.applied.compare(service) {
            Ok(differences) => differences,
            Err(Incomparable::Refused(error)) => {
                refuse(manifest, planned, &error);
                return false;
            }
            Err(Incomparable::LoadBalancer) => {
                planned.blind = Some(
                    "what it changes cannot be told while the Service has several load balancers, or one that is not up"
                        .to_owned(),
                );
                Default::default()
            }
        };
        if let Some(before) = self.in_cluster(&service.name) {
            let has_groups = !existing.load_balancer.security_groups.is_empty();
            planned.changes =
                changes(Edit { before, after: service, differences: &differences.found, settings: self.settings, has_groups });
            let had = |port: u16| before.ports.iter().any(|it| it.port == port);
            if !service.ports.iter().all(|port| had(port.port)) {
                // It is about the ports that are new.
                differences.unknown.remove(GROUPS_MISSING);
            }
            if names_its_own(before) && !names_its_own(service) {
                differences.unknown.remove(MANAGED_GROUP_MISSING);
            }
        }
        if !differences.unknown.is_empty() {
            let why: Vec<&str> = differences.unknown.iter().copied().collect();
            planned.notes.push(format!("Whether it changes more cannot be told: {}.", why.join("; ")));
        }
        true
    }

    fn tell_changes(&self, manifest: &Manifest, planned: &mut Planned) {
        for change in planned.changes.clone() {
            let kind = match change.effect {
                Effect::Replaced => &REPLACED,
                Effect::Blocked => &REFUSED,
                Effect::Ignored | Effect::Stays => &NO_EFFECT,
                Effect::InPlace | Effect::TargetGroupsReplaced => continue,
            };
            let field = field_of(&change.field);
            // Lint has its own words for what is read at creation only.
            let told = planned
                .problems
                .iter()
                .any(|problem| std::ptr::eq(problem.kind, Rule::CreationOnly.kind()) && problem.field == field.to_string());
            if !told {
                planned.find(kind, manifest.line_of(&field), field.to_string(), change.message);
            }
        }
    }

    /// What becomes of load balancers whose controller does not own the Service any more.
    pub(super) fn let_go(&self, manifest: &Manifest, owner: Ownership, planned: &mut Planned) {
        let service = &manifest.service;
        let Some(before) = self.in_cluster(&service.name) else { return };
        // What was so before is no doing of the manifest.
        if owner_in(before, &self.context.snapshot.parts) == owner {
            return;
        }
        for found in self.load_balancers(&service.name) {
            let still_asks = service.service_type == ServiceType::LoadBalancer;
            // Whoever does not work on Services, or not on those of the namespace, does not clean up either.
            let idle = matches!(owner, Ownership::Nobody(Unowned::ServiceControllerOff | Unowned::NamespaceNotWatched));
            let marked = before.finalizers.iter().any(|finalizer| &**finalizer == FINALIZER);
            let leaves = found.controller == Controller::InTree && still_asks && owner != Ownership::InTreeNetwork;
            let deletes = match found.controller {
                Controller::LoadBalancerController => marked && !idle,
                Controller::InTree | Controller::AutoMode => !still_asks,
                Controller::None => false,
            };
            let field = if still_asks { Field::annotation(name::TYPE) } else { Field::Spec("spec.type") };
            let line = manifest.line_of(&field);
            let (lb, who) = (&found.load_balancer, found.controller.as_str());
            if deletes && found.controller == Controller::LoadBalancerController && self.is_protected(service) {
                let field = Field::annotation(name::ATTRIBUTES);
                let message = format!(
                    "Load balancer {} is not deleted although the Service is not its controller's any more: the controller refuses that while {} sets deletion_protection.enabled.",
                    lb.id,
                    name::ATTRIBUTES
                );
                (planned.fate, planned.because) = (Fate::Kept, Some(in_words(found)));
                planned.find(Rule::Refused.kind(), manifest.line_of(&field), field.to_string(), message);
            } else if deletes {
                let why = match owner {
                    Ownership::NotAsked => "the Service asks for no load balancer any more",
                    Ownership::Nobody(_) => "nobody owns the Service any more",
                    _ => "the Service is another controller's then",
                };
                let message =
                    format!("Load balancer {}, made by {who}, is deleted with its DNS name {}: {why}.", lb.id, lb.dns_name);
                (planned.fate, planned.because) = (Fate::Deleted, Some(in_words(found)));
                planned.find(&REPLACED, line, field.to_string(), message);
            } else if leaves {
                let message = format!(
                    "Load balancer {} was made by {who}, which leaves it alone from then on: it stays, and its targets with it, until it is deleted by hand.",
                    lb.id
                );
                planned.find(&REPLACED, line, field.to_string(), message);
            }
        }
    }

    /// The manifest protects the load balancer, by which the controller goes and not by what AWS says.
    fn is_protected(&self, service: &Service) -> bool {
        let attributes = attributes(service, self.settings).ok();
        let protection = attributes.and_then(|all| all.keys.get("deletion_protection.enabled").map(|it| it.value.clone()));
        protection.as_deref().and_then(parse_bool) == Some(true)
    }
}

/// The field that a change is about.
pub(super) fn field_of(text: &str) -> Field {
    match text {
        "spec.loadBalancerClass" => Field::Spec("spec.loadBalancerClass"),
        "spec.ports" => Field::Spec("spec.ports"),
        annotation => Field::annotation(annotation),
    }
}

/// Whether the controller builds nothing at all for that problem's sake.
fn is_refusal(problem: &PlanProblem, service: &Service) -> bool {
    let is = |rule: Rule| std::ptr::eq(problem.kind, rule.kind());
    let not_dualstack = || service.ipv6 && ip_address_type(service) != Ok(IpAddressType::Dualstack);
    is(Rule::Refused) || is(Rule::Addresses) || is(Rule::ClusterIp) || (is(Rule::Ipv6) && not_dualstack())
}

/// A load balancer by what identifies it and by what its clients know.
pub(super) fn in_words(found: &ClusterLoadBalancer) -> String {
    format!("{}, {}", found.load_balancer.id, found.load_balancer.dns_name)
}
