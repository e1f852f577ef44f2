//! What becomes of one Service after another?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::bill::{Around, Bill, unfit_addresses};
use super::changes::{Drifted, Effect, changes, drifted};
use super::manifests::Manifest;
use super::room::{Cost, Room, first_wall};
use super::{Fate, Input, NO_EFFECT, NO_ROOM, Plan, PlanProblem, Planned, REFUSED, REPLACED};
use crate::checks::Context;
use crate::checks::catalogue::{IN_TREE_OWNED, NO_USABLE_ZONE};
use crate::checks::lint::known::{Facts, Known};
use crate::checks::lint::lint;
use crate::checks::lint::problem::{Field, Rule};
use crate::controller::annotations::{AnnotationError, Annotations, name};
use crate::controller::desired::Wanted;
use crate::controller::desired::load_balancer::{annotated_scheme, ip_address_type, scheme, subnets};
use crate::controller::ownership::{AUTO_MODE_CLASS, Ownership, owner_in};
use crate::controller::settings::Settings;
use crate::controller::subnets::placement::{Request, place};
use crate::controller::subnets::{Choice, NEEDED_ADDRESSES, Network, Routes, Rules};
use crate::inventory::aws::{IpAddressType, LoadBalancer, Scheme};
use crate::inventory::ids::SubnetId;
use crate::inventory::kube::{Service, ServiceType, Version};
use crate::inventory::parts::Parts;
use crate::inventory::snapshot::{ClusterLoadBalancer, Controller, Expiry, Snapshot};

/// Plans them.
pub fn plan(input: Input<'_>) -> Plan {
    let Input { mut manifests, parts, offline, policy, now } = input;
    let expiry = Expiry { max_staleness: policy.max_staleness() };
    for manifest in &mut manifests {
        if let Some(existing) = parts.services.get().and_then(|all| all.get(&manifest.service.name)) {
            adopt(&mut manifest.service, existing);
        } else {
            admit(&mut manifest.service, &parts);
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
        nth: 0,
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

/// EKS Auto Mode gives its class to Services without one. Where the AWS Load Balancer Controller runs beside it, whose webhook
/// does the same with another class, nobody knows who is first.
fn admit(service: &mut Service, parts: &Parts) {
    let auto_mode = parts.eks_cluster.get().is_some_and(|cluster| cluster.auto_mode);
    let alone = parts.controllers.complete().is_some_and(BTreeMap::is_empty);
    if auto_mode && alone && service.service_type == ServiceType::LoadBalancer && service.load_balancer_class.is_none() {
        service.load_balancer_class = Some(AUTO_MODE_CLASS.into());
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
    /// How many Services were planned before.
    nth: u16,
}

impl Planner<'_> {
    fn plan(&mut self, manifest: &Manifest) -> Planned {
        self.nth = self.nth.saturating_add(1);
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
            elastic_ips: Vec::new(),
            costs: Vec::new(),
            first_wall: None,
            notes: Vec::new(),
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
            Ownership::AutoMode => self.plan_auto_mode(manifest, &mut planned),
            Ownership::ThirdParty => planned.fate = Fate::Elsewhere,
            Ownership::InTreeNetwork | Ownership::InTreeClassic => self.plan_classless(manifest, owner, &mut planned),
            Ownership::LoadBalancerController => self.plan_owned(manifest, &mut planned),
        }
        planned
    }

    /// What Auto Mode makes of a Service is documented in part: the rest is not judged.
    fn plan_auto_mode(&mut self, manifest: &Manifest, planned: &mut Planned) {
        let service = &manifest.service;
        planned.fate = Fate::Elsewhere;
        planned.scheme = annotated_scheme(service, self.settings).ok().flatten().map(|(scheme, _)| scheme);
        planned.notes.push(
            "EKS Auto Mode makes its load balancer: which subnets that gets, what it does with security groups and what a change does to it are not judged."
                .to_owned(),
        );
        if self.offline || self.context.snapshot.service_load_balancers.contains_key(&service.name) {
            return;
        }
        let ports: BTreeSet<u16> = service.ports.iter().map(|port| port.port).collect();
        let bill = Bill::of_ports(ports.len());
        self.charge(manifest, planned, &[], &bill);
    }

    /// Without a class, and without the annotations by which the AWS Load Balancer Controller takes a Service.
    fn plan_classless(&self, manifest: &Manifest, owner: Ownership, planned: &mut Planned) {
        planned.fate = Fate::Elsewhere;
        let parts = &self.context.snapshot.parts;
        let field = Field::annotation(name::TYPE);
        let what = if owner == Ownership::InTreeNetwork { "an NLB with instance targets" } else { "a Classic Load Balancer" };
        let is_new = parts.services.get().is_none_or(|all| !all.contains_key(&manifest.service.name));
        if is_new && parts.eks_cluster.get().is_some_and(|cluster| cluster.auto_mode) {
            planned.owner = "unknown";
            planned.notes.push(
                "EKS Auto Mode or the webhook of the AWS Load Balancer Controller gives it a class, and which of them comes first is not known: write spec.loadBalancerClass."
                    .to_owned(),
            );
            return;
        }
        let unless = match is_new && self.settings.at_least(Version::new(2, 5, 0)) {
            true => {
                "Unless the controller's webhook gives it a class when it is created (Helm's chart installs that since 2.5.0), the"
            }
            false => "The",
        };
        planned.find(
            &IN_TREE_OWNED,
            manifest.line_of(&field),
            field.to_string(),
            format!("{unless} in-tree provider would make {what}; the AWS Load Balancer Controller takes Services with spec.loadBalancerClass service.k8s.aws/nlb."),
        );
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
        let Some(before) = ours.first() else { return self.plan_new(manifest, planned) };
        let existing = &before.load_balancer;
        let cluster = snapshot.parts.services.get().and_then(|all| all.get(&service.name));
        planned.changes = cluster.map(|before| changes(before, service, &self.drifted)).unwrap_or_default();
        planned.fate = Fate::Kept;
        planned.because = Some(format!("{}, {}", existing.id, existing.dns_name));
        let is_refused = planned.changes.iter().any(|change| change.effect == Effect::Blocked);
        let is_replaced = planned.scheme.is_some_and(|scheme| scheme != existing.scheme);
        if !is_refused {
            if is_replaced {
                planned.fate = Fate::Replaced;
            }
            self.plan_more(manifest, planned, before);
        }
        self.tell_changes(manifest, planned);
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

    /// Which subnets it gets; `None` where none are, or where that is not known: then the plan says so.
    fn place(&self, manifest: &Manifest, planned: &mut Planned, existing: Option<&LoadBalancer>) -> Option<Vec<SubnetId>> {
        let service = &manifest.service;
        let parts = &self.context.snapshot.parts;
        let unknown = |planned: &mut Planned, why: &str| match existing {
            Some(_) => planned.notes.push(format!("What it takes cannot be told: {why}.")),
            None => planned.because = Some(why.to_owned()),
        };
        let Some(scheme) = planned.scheme else {
            unknown(planned, "its scheme depends on what is not known");
            return None;
        };
        let Some(cluster_name) = parts.scope.cluster_name.as_deref() else {
            unknown(planned, "the cluster's name is not known");
            return None;
        };
        if parts.subnets.complete().is_none() {
            unknown(planned, "the VPC's subnets are not known");
            return None;
        }
        let network =
            Network { cluster_name, subnets: &self.room.subnets, routes: &self.routes, locales: parts.availability_zones.get() };
        let named = match subnets(service, self.settings, &self.room.subnets) {
            Ok(Wanted::Value(named)) => Some(named),
            Ok(Wanted::Free) => None,
            Ok(Wanted::Likely(_, why) | Wanted::Unknown(why)) => {
                unknown(planned, why);
                return None;
            }
            Err(error) => {
                refuse(manifest, planned, &error);
                return None;
            }
        };
        let had: BTreeSet<SubnetId> = existing.into_iter().flat_map(|it| &it.zones).map(|zone| zone.subnet_id.clone()).collect();
        let request = Request {
            scheme,
            dualstack: ip_address_type(service) == Ok(IpAddressType::Dualstack),
            named: named.as_ref(),
            existing: existing.map(|it| (it.scheme, &had)),
            private_addresses: Annotations(&service.annotations).text(name::PRIVATE_IPV4_ADDRESSES).is_some(),
        };
        let rules = self.settings.deployment().map_or(Rules::NEWEST, Rules::of);
        match place(&network, rules, &request).choice {
            Choice::Unknown => {
                unknown(planned, "which subnets it would get depends on what is not known");
                None
            }
            Choice::Refused(refusal) => {
                // The controller builds nothing then: what exists stays as it is.
                planned.fate = if existing.is_some() { Fate::Kept } else { Fate::NotMade };
                planned.because = Some(refusal.to_string());
                let field = Field::annotation(if named.is_some() { name::SUBNETS } else { name::SCHEME });
                let message = format!("A load balancer of scheme {scheme} finds no subnets: {refusal}.");
                planned.find(&NO_USABLE_ZONE, manifest.line_of(&field), field.to_string(), message);
                None
            }
            Choice::Subnets(chosen) => Some(chosen),
        }
    }

    fn plan_new(&mut self, manifest: &Manifest, planned: &mut Planned) {
        let service = &manifest.service;
        let Some((chosen, scheme)) = self.place(manifest, planned, None).zip(planned.scheme) else { return };
        let around = self.around(scheme, &chosen, None, false);
        if let Some((annotation, why)) = unfit_addresses(service, around, &self.room.allocated) {
            let field = Field::annotation(annotation);
            let is_told =
                |problem: &PlanProblem| std::ptr::eq(problem.kind, Rule::Addresses.kind()) && problem.field == field.to_string();
            if !planned.problems.iter().any(is_told) {
                planned.find(
                    Rule::Addresses.kind(),
                    manifest.line_of(&field),
                    field.to_string(),
                    format!("{why}: the load balancer is not made."),
                );
            }
            planned.fate = Fate::NotMade;
            return planned.because = Some(why);
        }
        let bill = match Bill::of(service, around) {
            Ok(bill) => bill,
            Err(error) => return refuse(manifest, planned, &error),
        };
        planned.fate = Fate::Made;
        self.charge(manifest, planned, &chosen, &bill);
        if planned.fate == Fate::Made {
            planned.first_wall = first_wall(&planned.costs, &planned.subnets);
            planned.elastic_ips = bill.elastic_ips.iter().cloned().collect();
        }
    }

    /// What a Service that has a load balancer takes in addition.
    fn plan_more(&mut self, manifest: &Manifest, planned: &mut Planned, before: &ClusterLoadBalancer) {
        let is_replaced = planned.fate == Fate::Replaced;
        let chosen = self.place(manifest, planned, Some(&before.load_balancer));
        let Some((chosen, scheme)) = chosen.zip(planned.scheme) else { return };
        let bill = match Bill::of(&manifest.service, self.around(scheme, &chosen, Some(before), is_replaced)) {
            Ok(bill) => bill,
            Err(error) => return refuse(manifest, planned, &error),
        };
        self.charge(manifest, planned, &chosen, &bill);
    }

    fn around<'a>(
        &'a self,
        scheme: Scheme,
        chosen: &'a [SubnetId],
        existing: Option<&'a ClusterLoadBalancer>,
        replaced: bool,
    ) -> Around<'a> {
        let parts = &self.context.snapshot.parts;
        Around { parts, settings: self.settings, scheme, chosen, subnets: &self.room.subnets, existing, replaced, nth: self.nth }
    }

    /// Whether there is room for what a bill says, and what is left then.
    fn charge(&mut self, manifest: &Manifest, planned: &mut Planned, chosen: &[SubnetId], bill: &Bill) {
        planned.subnets = self.room.planned_subnets(chosen, bill);
        planned.costs = self.room.costs(bill);
        planned.notes.extend(bill.unknown.iter().map(|why| format!("{why}.")));
        let mut short: Vec<String> = Vec::new();
        // Which group its targets are behind is not known of pods that do not exist: it is short where every group is.
        let of_targets = |cost: &&Cost| !cost.own && cost.of.is_some();
        let is_short_everywhere = planned.costs.iter().filter(of_targets).all(Cost::is_short);
        for cost in planned.costs.iter().filter(|cost| cost.is_short() && (!of_targets(cost) || is_short_everywhere)) {
            let assumed = if cost.assumed { ", by AWS's default, since the limit could not be read" } else { "" };
            let of = cost.of.as_deref().map(|of| format!(" of {of}")).unwrap_or_default();
            short.push(format!("it takes {} of quota {}{of} and that is more than is left{assumed}", cost.takes, cost.quota));
        }
        for subnet in planned.subnets.iter().filter(|subnet| subnet.too_few) {
            let free = subnet.free_addresses.unwrap_or_default();
            short.push(format!("{} has {free} free addresses and AWS demands {NEEDED_ADDRESSES}", subnet.subnet_id));
        }
        if short.is_empty() {
            let costs = planned.costs.clone();
            return self.room.take(&costs, bill);
        }
        let because = short.join("; ");
        let what = match planned.fate {
            Fate::Made | Fate::Elsewhere => "Its load balancer would not be made",
            _ => "AWS would refuse the change",
        };
        if matches!(planned.fate, Fate::Made | Fate::Elsewhere) {
            planned.fate = Fate::NotMade;
        }
        planned.find(&NO_ROOM, manifest.line, "", format!("{what}: {because}."));
        planned.because = Some(because);
    }
}

/// A value for which the controller builds nothing.
fn refuse(manifest: &Manifest, planned: &mut Planned, error: &AnnotationError) {
    planned.fate = if matches!(planned.fate, Fate::Kept | Fate::Replaced) { Fate::Kept } else { Fate::NotMade };
    planned.because = Some(error.to_string());
    let field = Field::annotation(error.key());
    planned.find(Rule::Refused.kind(), manifest.line_of(&field), field.to_string(), format!("{error}."));
}
