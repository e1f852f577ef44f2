//! What becomes of one Service after another?

mod existing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::existing::{adopt, field_of, in_words};
use super::bill::{Around, Bill, Unfit, unfit_addresses};
use super::changes::refused;
use super::manifests::Manifest;
use super::room::{Cost, Room, first_wall};
use super::{Fate, Input, NO_ROOM, Plan, PlanProblem, Planned, REFUSED};
use crate::checks::Context;
use crate::checks::catalogue::{IN_TREE_OWNED, NO_USABLE_ZONE};
use crate::checks::drift::applied::Applied;
use crate::checks::lint::known::{Facts, Known};
use crate::checks::lint::lint;
use crate::checks::lint::problem::{Field, Rule};
use crate::checks::model::FindingKind;
use crate::checks::services::controllers::idle;
use crate::controller::annotations::{AnnotationError, Annotations, name};
use crate::controller::desired::Wanted;
use crate::controller::desired::load_balancer::{annotated_scheme, ip_address_type, subnets};
use crate::controller::ownership::{AUTO_MODE_CLASS, Ownership, owner_in};
use crate::controller::settings::Settings;
use crate::controller::subnets::placement::{Request, place};
use crate::controller::subnets::{Choice, NEEDED_ADDRESSES, Network, Routes, Rules};
use crate::inventory::aws::{IpAddressType, LoadBalancer, Scheme};
use crate::inventory::ids::{ObjectName, SubnetId};
use crate::inventory::kube::{Service, ServiceType, Version};
use crate::inventory::parts::Parts;
use crate::inventory::snapshot::{ClusterLoadBalancer, Expiry, Snapshot};

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
    let impatient = Applied::policy(policy);
    let mut planner = Planner {
        facts: Facts::of(&before, manifests.iter().map(|it| &it.service)),
        routes: Routes::of(&before.parts.route_tables),
        applied: Applied::of(Context { snapshot: &after, policy: &impatient, now }),
        room: Room::of(&context),
        idle: if offline { None } else { idle(&context) },
        context,
        settings,
        offline,
        nth: 0,
    };
    let last: BTreeMap<_, usize> = manifests.iter().enumerate().map(|(n, it)| (&it.service.name, n)).collect();
    let plan_one = |(n, manifest): (usize, &Manifest)| match last.get(&manifest.service.name) {
        Some(last) if *last != n => planner.plan_superseded(manifest, &manifests[*last]),
        _ => planner.plan(manifest),
    };
    let services = manifests.iter().enumerate().map(plan_one).collect();
    Plan { services, ignored: 0, controller_version: settings.version().map(|version| version.to_string()), offline }
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
    /// Compares Services as they would be with AWS.
    applied: Applied<'a>,
    room: Room,
    /// Why nobody works on the controller's Services now.
    idle: Option<(&'static FindingKind, String)>,
    context: Context<'a>,
    settings: Settings<'a>,
    offline: bool,
    /// How many Services were planned before.
    nth: u16,
}

impl<'a> Planner<'a> {
    /// One that another manifest of the same name comes after: it takes nothing from anybody.
    fn plan_superseded(&mut self, manifest: &Manifest, by: &Manifest) -> Planned {
        let room = self.room.clone();
        let mut planned = self.plan(manifest);
        self.room = room;
        planned.notes.push(format!("The same Service stands again at {}:{}: what is applied last holds.", by.file, by.line));
        planned
    }

    /// The Service as the cluster has it.
    fn in_cluster(&self, name: &ObjectName) -> Option<&'a Service> {
        self.context.snapshot.parts.services.get()?.get(name).map(|service| &**service)
    }

    /// What a Service has, whoever made it.
    fn load_balancers(&self, name: &ObjectName) -> Vec<&'a ClusterLoadBalancer> {
        let snapshot = self.context.snapshot;
        let ids = snapshot.service_load_balancers.get(name).into_iter().flatten();
        ids.filter_map(|id| snapshot.load_balancers.get(id)).collect()
    }

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
            blind: None,
            notes: Vec::new(),
            changes: Vec::new(),
            problems: Vec::new(),
        };
        let known = Known { assume_defaults: !self.settings.known(), ..self.facts.known(&service.name) };
        for problem in lint(service, self.settings, &known) {
            let line = manifest.line_of(&problem.field);
            planned.find(problem.rule.kind(), line, problem.field.to_string(), problem.message);
        }
        if let Some(refusal) = refused(self.in_cluster(&service.name), service) {
            let field = field_of(&refusal.field);
            planned.find(&REFUSED, manifest.line_of(&field), refusal.field.clone(), refusal.message.clone());
            (planned.fate, planned.because) = match self.load_balancers(&service.name).first() {
                Some(found) => (Fate::Kept, Some(in_words(found))),
                None => (Fate::NotMade, Some(refusal.message.clone())),
            };
            planned.changes = vec![refusal];
            return planned;
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
            Ownership::LoadBalancerController => {
                self.plan_owned(manifest, &mut planned);
                self.tell_idle(manifest, &mut planned);
            }
        }
        if owner != Ownership::LoadBalancerController {
            self.let_go(manifest, owner, &mut planned);
        }
        planned
    }

    /// Whatever it would make: without the controller nothing happens.
    fn tell_idle(&self, manifest: &Manifest, planned: &mut Planned) {
        let Some((kind, sentence)) = &self.idle else { return };
        planned.find(kind, manifest.line, "", format!("{sentence}: nothing of this happens until the controller runs."));
        if planned.fate == Fate::Made {
            planned.fate = Fate::NotMade;
            planned.because = Some(sentence.clone());
            planned.first_wall = None;
        }
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

    /// Which subnets it gets, or the plan says why not.
    fn place(
        &self,
        manifest: &Manifest,
        planned: &mut Planned,
        existing: Option<&LoadBalancer>,
    ) -> Result<Vec<SubnetId>, NotPlaced> {
        let service = &manifest.service;
        let parts = &self.context.snapshot.parts;
        let unknown = |planned: &mut Planned, why: &str| match existing {
            Some(_) => planned.blind = Some(format!("what it takes cannot be told: {why}")),
            None => planned.because = Some(why.to_owned()),
        };
        let Some(scheme) = planned.scheme else {
            unknown(planned, "its scheme depends on what is not known");
            return Err(NotPlaced::Unknown);
        };
        let Some(cluster_name) = parts.scope.cluster_name.as_deref() else {
            unknown(planned, "the cluster's name is not known");
            return Err(NotPlaced::Unknown);
        };
        if parts.subnets.complete().is_none() {
            unknown(planned, "the VPC's subnets are not known");
            return Err(NotPlaced::Unknown);
        }
        let network =
            Network { cluster_name, subnets: &self.room.subnets, routes: &self.routes, locales: parts.availability_zones.get() };
        let named = match subnets(service, self.settings, &self.room.subnets) {
            Ok(Wanted::Value(named)) => Some(named),
            Ok(Wanted::Free) => None,
            Ok(Wanted::Likely(_, why) | Wanted::Unknown(why)) => {
                unknown(planned, why);
                return Err(NotPlaced::Unknown);
            }
            Err(error) => {
                refuse(manifest, planned, &error);
                return Err(NotPlaced::Refused);
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
                Err(NotPlaced::Unknown)
            }
            Choice::Refused(refusal) => {
                // The controller builds nothing then: what exists stays as it is.
                planned.fate = if existing.is_some() { Fate::Kept } else { Fate::NotMade };
                planned.because = Some(refusal.to_string());
                let field = Field::annotation(if named.is_some() { name::SUBNETS } else { name::SCHEME });
                let message = format!("A load balancer of scheme {scheme} finds no subnets: {refusal}.");
                planned.find(&NO_USABLE_ZONE, manifest.line_of(&field), field.to_string(), message);
                Err(NotPlaced::Refused)
            }
            Choice::Subnets(chosen) => Ok(chosen),
        }
    }

    fn plan_new(&mut self, manifest: &Manifest, planned: &mut Planned) {
        let service = &manifest.service;
        let chosen = self.place(manifest, planned, None);
        let Some((chosen, scheme)) = chosen.ok().zip(planned.scheme) else { return };
        let around = self.around(scheme, &chosen, None, false);
        if let Some(unfit) = unfit_addresses(service, around, &self.room.allocated) {
            planned.fate = Fate::NotMade;
            return tell_unfit(manifest, planned, unfit, "the load balancer is not made");
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

    /// What a Service that has a load balancer takes in addition; false where the controller refuses it.
    fn plan_more(&mut self, manifest: &Manifest, planned: &mut Planned, before: &ClusterLoadBalancer) -> bool {
        let is_replaced = planned.fate == Fate::Replaced;
        let (chosen, scheme) = match (self.place(manifest, planned, Some(&before.load_balancer)), planned.scheme) {
            (Ok(chosen), Some(scheme)) => (chosen, scheme),
            (Err(NotPlaced::Refused), _) => return false,
            (Err(NotPlaced::Unknown), _) | (_, None) => return true,
        };
        let around = self.around(scheme, &chosen, Some(before), is_replaced);
        if let Some(unfit) = unfit_addresses(&manifest.service, around, &self.room.allocated).filter(|_| is_replaced) {
            if unfit.by_aws {
                tell_unfit(manifest, planned, unfit, "the load balancer is deleted, and AWS refuses the new one");
                return true;
            }
            planned.fate = Fate::Kept;
            tell_unfit(manifest, planned, unfit, "the controller refuses the Service");
            return false;
        }
        let bill = match Bill::of(&manifest.service, around) {
            Ok(bill) => bill,
            Err(error) => {
                refuse(manifest, planned, &error);
                return false;
            }
        };
        self.charge(manifest, planned, &chosen, &bill);
        if is_replaced {
            planned.elastic_ips = bill.elastic_ips.iter().cloned().collect();
        }
        true
    }

    fn around<'s>(
        &'s self,
        scheme: Scheme,
        chosen: &'s [SubnetId],
        existing: Option<&'s ClusterLoadBalancer>,
        replaced: bool,
    ) -> Around<'s> {
        let parts = &self.context.snapshot.parts;
        Around {
            parts,
            settings: self.settings,
            scheme,
            chosen,
            subnets: &self.room.subnets,
            existing,
            replaced,
            backend_made: self.room.backend_made,
            nth: self.nth,
        }
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
            Fate::Replaced => "The load balancer would be deleted, and AWS would refuse the new one",
            _ => "AWS would refuse the change",
        };
        if matches!(planned.fate, Fate::Made | Fate::Elsewhere) {
            planned.fate = Fate::NotMade;
        }
        planned.find(&NO_ROOM, manifest.line, "", format!("{what}: {because}."));
        planned.because = Some(because);
    }
}

/// Why it gets no subnets; what is said of it stands in the plan.
enum NotPlaced {
    Unknown,
    /// The controller refuses the Service.
    Refused,
}

/// Addresses that do not do; lint has its own words for what it sees.
fn tell_unfit(manifest: &Manifest, planned: &mut Planned, unfit: Unfit, then: &str) {
    let field = Field::annotation(unfit.annotation);
    let is_told =
        |problem: &PlanProblem| std::ptr::eq(problem.kind, Rule::Addresses.kind()) && problem.field == field.to_string();
    if !planned.problems.iter().any(is_told) {
        let message = format!("{}: {then}.", unfit.why);
        planned.find(Rule::Addresses.kind(), manifest.line_of(&field), field.to_string(), message);
    }
    planned.because = Some(unfit.why);
}

/// A value for which the controller builds nothing.
fn refuse(manifest: &Manifest, planned: &mut Planned, error: &AnnotationError) {
    planned.fate = if matches!(planned.fate, Fate::Kept | Fate::Replaced) { Fate::Kept } else { Fate::NotMade };
    planned.because = Some(error.to_string());
    let field = Field::annotation(error.key());
    planned.find(Rule::Refused.kind(), manifest.line_of(&field), field.to_string(), format!("{error}."));
}
