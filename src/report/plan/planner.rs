//! What becomes of one Service after another?

use std::collections::BTreeSet;
use std::sync::Arc;

use super::changes::{Drifted, Effect, changes, drifted};
use super::manifests::Manifest;
use super::room::{Cost, Room};
use super::{Fate, Input, NO_EFFECT, NO_ROOM, Plan, Planned, PlannedSubnet, REFUSED, REPLACED};
use crate::checks::Context;
use crate::checks::catalogue::{IN_TREE_OWNED, NO_USABLE_ZONE};
use crate::checks::lint::known::{Facts, Known};
use crate::checks::lint::lint;
use crate::checks::lint::problem::{Field, Rule};
use crate::checks::quotas::Limit;
use crate::controller::annotations::{Annotations, name};
use crate::controller::desired::Wanted;
use crate::controller::desired::listener::listeners;
use crate::controller::desired::load_balancer::{ip_address_type, scheme, subnets};
use crate::controller::ownership::{Ownership, owner_in};
use crate::controller::settings::Settings;
use crate::controller::subnets::placement::{Request, place};
use crate::controller::subnets::{Choice, Network, Routes, Rules};
use crate::inventory::aws::IpAddressType;
use crate::inventory::kube::Service;
use crate::inventory::snapshot::{Controller, Expiry, Snapshot};

/// Plans them.
pub fn plan(input: Input<'_>) -> Plan {
    let Input { mut manifests, parts, offline, policy, now } = input;
    let expiry = Expiry { max_staleness: policy.max_staleness() };
    for manifest in &mut manifests {
        if let Some(existing) = parts.services.get().and_then(|all| all.get(&manifest.service.name)) {
            adopt(&mut manifest.service, existing);
        }
    }
    // The picture as it would be: with it drift says what the controller would change.
    let mut applied = parts.clone();
    if let Some(list) = applied.services.value.as_mut() {
        let list = Arc::make_mut(list);
        list.extend(manifests.iter().map(|it| (it.service.name.clone(), Arc::new(it.service.clone()))));
    }
    let before = Snapshot::join(parts, now, expiry);
    let after = Snapshot::join(applied, now, expiry);
    let settings = Settings::in_cluster(&before.parts);
    let context = Context { snapshot: &before, policy, now };
    let mut planner = Planner {
        facts: Facts::of(&before, manifests.iter().map(|it| &it.service)),
        routes: Routes::of(&before.parts.route_tables),
        drifted: if offline { BTreeSet::new() } else { drifted(&after, policy, now) },
        room: Room::of(&context),
        context,
        settings,
        offline,
    };
    let services = manifests.iter().map(|manifest| planner.plan(manifest)).collect();
    Plan { services, ignored: 0, controller_version: settings.version().map(|version| version.to_string()), offline }
}

/// A manifest says nothing of what the API server and the controllers wrote.
fn adopt(service: &mut Service, existing: &Service) {
    service.uid = Arc::clone(&existing.uid);
    service.created_at = existing.created_at;
    service.finalizers.clone_from(&existing.finalizers);
    service.hostnames.clone_from(&existing.hostnames);
    service.annotations_written_at = existing.annotations_written_at;
    // What the controller's webhook set stays set by whoever applies a manifest without it.
    if existing.service_type == service.service_type && service.load_balancer_class.is_none() {
        service.load_balancer_class.clone_from(&existing.load_balancer_class);
    }
    service.health_check_node_port = service.health_check_node_port.or(existing.health_check_node_port);
    for port in &mut service.ports {
        let same = existing.ports.iter().find(|other| (other.port, other.protocol) == (port.port, port.protocol));
        port.node_port = port.node_port.or(same.and_then(|same| same.node_port));
    }
}

struct Planner<'a> {
    facts: Facts<'a>,
    routes: Routes,
    drifted: BTreeSet<Drifted>,
    room: Room,
    context: Context<'a>,
    settings: Settings<'a>,
    offline: bool,
}

impl Planner<'_> {
    fn plan(&mut self, manifest: &Manifest) -> Planned {
        let service = &manifest.service;
        let snapshot = self.context.snapshot;
        let owner = owner_in(service, &snapshot.parts);
        let mut planned = Planned {
            file: manifest.file.clone(),
            line: manifest.line,
            service: service.name.clone(),
            owner: owner.as_str(),
            fate: Fate::Unknown,
            because: None,
            scheme: None,
            subnets: Vec::new(),
            costs: Vec::new(),
            changes: Vec::new(),
            problems: Vec::new(),
        };
        let known = Known { assume_defaults: !self.settings.known(), ..self.facts.known(&service.name) };
        for problem in lint(service, self.settings, &known) {
            let line = manifest.line_of(&problem.field);
            planned.find(problem.rule.kind(), line, problem.field.to_string(), problem.message);
        }
        match owner {
            Ownership::NotAsked => planned.fate = Fate::NotAsked,
            Ownership::Nobody(why) => {
                planned.fate = Fate::Nobody;
                planned.because = Some(why.because().to_owned());
            }
            Ownership::AutoMode | Ownership::ThirdParty => planned.fate = Fate::Elsewhere,
            Ownership::InTreeNetwork | Ownership::InTreeClassic => {
                planned.fate = Fate::Elsewhere;
                let line = manifest.line_of(&Field::annotation(name::TYPE));
                let what =
                    if owner == Ownership::InTreeNetwork { "an NLB with instance targets" } else { "a Classic Load Balancer" };
                planned.find(
                    &IN_TREE_OWNED,
                    line,
                    Field::annotation(name::TYPE).to_string(),
                    format!("The in-tree provider would make {what}; the AWS Load Balancer Controller takes Services with spec.loadBalancerClass service.k8s.aws/nlb."),
                );
            }
            Ownership::LoadBalancerController => self.plan_owned(manifest, &mut planned),
        }
        planned
    }

    fn plan_owned(&mut self, manifest: &Manifest, planned: &mut Planned) {
        let service = &manifest.service;
        let snapshot = self.context.snapshot;
        let owned = snapshot.service_load_balancers.get(&service.name).into_iter().flatten();
        let owned = owned.filter_map(|id| snapshot.load_balancers.get(id));
        let (ours, others): (Vec<_>, Vec<_>) = owned.partition(|it| it.controller == Controller::LoadBalancerController);
        // A value that is refused is refused as a whole; what exists stays as it is.
        let refused = planned.problems.iter().find(|problem| std::ptr::eq(problem.kind, Rule::Refused.kind()));
        let refused = refused.map(|problem| problem.message.clone());
        if let Some(message) = &refused {
            planned.fate = if ours.is_empty() { Fate::NotMade } else { Fate::Kept };
            planned.because = Some(message.clone());
        }
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
        if refused.is_some() || self.offline {
            return;
        }
        match existing {
            Some(existing) => {
                let cluster = snapshot.parts.services.get().and_then(|all| all.get(&service.name));
                planned.changes = cluster.map(|before| changes(before, service, &self.drifted)).unwrap_or_default();
                planned.fate = Fate::Kept;
                planned.because = Some(format!("{}, {}", existing.id, existing.dns_name));
                let is_refused = planned.changes.iter().any(|change| change.effect == Effect::Blocked);
                if !is_refused && planned.scheme.is_some_and(|scheme| scheme != existing.scheme) {
                    planned.fate = Fate::Replaced;
                }
                self.tell_changes(manifest, planned);
            }
            None => self.plan_new(manifest, planned),
        }
    }

    fn tell_changes(&self, manifest: &Manifest, planned: &mut Planned) {
        for change in planned.changes.clone() {
            let kind = match change.effect {
                Effect::Replaced => &REPLACED,
                Effect::Blocked => &REFUSED,
                Effect::Ignored | Effect::Stays => &NO_EFFECT,
                Effect::InPlace | Effect::TargetGroupsReplaced => continue,
            };
            let field = match change.field.as_str() {
                "spec.loadBalancerClass" => Field::Spec("spec.loadBalancerClass"),
                annotation => Field::annotation(annotation),
            };
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

    fn plan_new(&mut self, manifest: &Manifest, planned: &mut Planned) {
        let service = &manifest.service;
        let parts = &self.context.snapshot.parts;
        let unknown = |planned: &mut Planned, why: &str| planned.because = Some(why.to_owned());
        let Some(scheme) = planned.scheme else { return unknown(planned, "its scheme depends on what is not known") };
        let Some(cluster_name) = parts.scope.cluster_name.as_deref() else {
            return unknown(planned, "the cluster's name is not known");
        };
        if parts.subnets.complete().is_none() {
            return unknown(planned, "the VPC's subnets are not known");
        }
        let network =
            Network { cluster_name, subnets: &self.room.subnets, routes: &self.routes, locales: parts.availability_zones.get() };
        let named = match subnets(service, self.settings, &self.room.subnets) {
            Ok(Wanted::Value(named)) => Some(named),
            Ok(Wanted::Free) => None,
            Ok(Wanted::Likely(_, why) | Wanted::Unknown(why)) => return unknown(planned, why),
            Err(error) => {
                planned.fate = Fate::NotMade;
                planned.because = Some(error.to_string());
                let field = Field::annotation(name::SUBNETS);
                return planned.find(Rule::Refused.kind(), manifest.line_of(&field), field.to_string(), format!("{error}."));
            }
        };
        let request = Request {
            scheme,
            dualstack: ip_address_type(service) == Ok(IpAddressType::Dualstack),
            named: named.as_ref(),
            existing: None,
            private_addresses: Annotations(&service.annotations).text(name::PRIVATE_IPV4_ADDRESSES).is_some(),
        };
        let rules = self.settings.deployment().map_or(Rules::NEWEST, Rules::of);
        let chosen = match place(&network, rules, &request).choice {
            Choice::Unknown => return unknown(planned, "which subnets it would get depends on what is not known"),
            Choice::Refused(refusal) => {
                planned.fate = Fate::NotMade;
                planned.because = Some(refusal.to_string());
                let field = Field::annotation(if named.is_some() { name::SUBNETS } else { name::SCHEME });
                let message = format!("A load balancer of scheme {scheme} finds no subnets: {refusal}.");
                return planned.find(&NO_USABLE_ZONE, manifest.line_of(&field), field.to_string(), message);
            }
            Choice::Subnets(chosen) => chosen,
        };
        planned.subnets = chosen
            .iter()
            .filter_map(|id| {
                let subnet = self.room.subnets.get(id)?;
                Some(PlannedSubnet {
                    subnet_id: id.clone(),
                    availability_zone: subnet.zone.shared(),
                    free_addresses: subnet.available_ip_addresses,
                })
            })
            .collect();
        // Values that are refused were told by lint.
        let listeners = listeners(service, self.settings).map_or(service.ports.len(), |listeners| listeners.len());
        let limit = Limit::of(&self.context, "listeners_per_network_load_balancer").map(|limit| limit.value);
        planned.costs = self.room.costs(chosen.len(), listeners, scheme, limit);
        let short: Vec<&Cost> = planned.costs.iter().filter(|cost| cost.left.is_some_and(|left| left < 0)).collect();
        if short.is_empty() {
            planned.fate = Fate::Made;
            let costs = planned.costs.clone();
            return self.room.take(&costs, &chosen);
        }
        planned.fate = Fate::NotMade;
        let told: Vec<String> = short
            .iter()
            .map(|cost| {
                let assumed = if cost.assumed { ", by AWS's default, since the limit could not be read" } else { "" };
                format!("it takes {} of quota {} and that is more than is left{assumed}", cost.takes, cost.quota)
            })
            .collect();
        let because = told.join("; ");
        planned.find(&NO_ROOM, manifest.line, "", format!("Its load balancer would not be made: {because}."));
        planned.because = Some(because);
    }
}
