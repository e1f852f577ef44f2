//! Does a Service come to its one load balancer, and go away again?

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::checks::Context;
use crate::checks::catalogue::{DUPLICATE_LOAD_BALANCERS, LOAD_BALANCER_GONE, SERVICE_PENDING, STUCK_DELETION};
use crate::checks::model::{Report, Subject};
use crate::controller::ownership::{Ownership, serves_this_cluster};
use crate::inventory::ids::{Arn, ObjectName};
use crate::inventory::kube::{EventObject, ReconcileFailure, Service, ServiceType};
use crate::inventory::parts::{EventKey, Parts};
use crate::inventory::snapshot::{ClusterLoadBalancer, Snapshot};

/// Finalizers that a controller removes when it has cleaned up.
const FINALIZERS: [&str; 3] =
    ["service.k8s.aws/resources", "service.kubernetes.io/load-balancer-cleanup", "service.eks.amazonaws.com/resources"];

/// A deletion takes minutes at most, retries included.
const DELETION: SignedDuration = SignedDuration::from_mins(10);
/// So does a creation.
const CREATION: SignedDuration = SignedDuration::from_mins(10);
/// A replacement has both load balancers for a while, and AWS's lists are older than the cluster's.
const REPLACEMENT: SignedDuration = SignedDuration::from_mins(15);

fn finalizer(service: &Service) -> Option<&str> {
    service.finalizers.iter().map(|finalizer| &**finalizer).find(|finalizer| FINALIZERS.contains(finalizer))
}

/// Whether a Service has, or had, a load balancer.
pub(super) fn concerns(service: &Service, owner: Ownership) -> bool {
    service.service_type == ServiceType::LoadBalancer
        || owner == Ownership::LoadBalancerController
        || finalizer(service).is_some()
}

fn failure<'a>(snapshot: &'a Snapshot, service: &Service) -> Option<&'a ReconcileFailure> {
    let key = EventKey { kind: EventObject::Service, name: service.name.clone() };
    snapshot.parts.reconciles.get()?.get(&key)?.blocked()
}

pub(super) fn find_stuck(context: &Context<'_>, service: &Service, deleted_at: Timestamp, report: &mut Report) {
    let age = context.now.duration_since(deleted_at);
    let Some(finalizer) = finalizer(service).filter(|_| age > DELETION) else { return };
    let minutes = age.as_mins();
    let why = failure(context.snapshot, service).map_or_else(String::new, |failure| {
        let text: String = failure.message.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect();
        format!("; the last event {} says: {}", failure.reason, text.trim_end_matches('.'))
    });
    let message = format!("It has been in deletion for {minutes} minutes, held by the finalizer {finalizer}{why}.");
    report.find(&STUCK_DELETION, Subject::Service(service.name.clone()), Some(deleted_at), message);
}

/// More than one load balancer with the tags of a Service, none of them new. A migration from the in-tree provider leaves
/// its load balancer behind, for instance.
pub(super) fn find_duplicates(context: &Context<'_>, service: &Service, report: &mut Report) {
    let snapshot = context.snapshot;
    let ids = snapshot.service_load_balancers.get(&service.name).filter(|ids| ids.len() > 1);
    let (Some(ids), Some(listed_at)) = (ids, snapshot.parts.load_balancers.fetched_at) else { return };
    let settled = |at: Timestamp| listed_at.duration_since(at) >= REPLACEMENT;
    let found: Vec<(Timestamp, &ClusterLoadBalancer)> = ids
        .iter()
        .filter_map(|id| snapshot.load_balancers.get(id))
        .filter(|it| snapshot.parts.scope.vpc_id.as_ref() == Some(&it.load_balancer.vpc_id))
        .filter_map(|it| Some((it.load_balancer.created_at?, it)))
        .collect();
    let Some(newest) = found.iter().map(|(created, _)| *created).max().filter(|_| found.len() > 1) else { return };
    if !settled(newest) || !service.changed_at.is_none_or(settled) {
        return;
    }
    let served =
        |it: &ClusterLoadBalancer| service.hostnames.iter().any(|name| name.eq_ignore_ascii_case(&it.load_balancer.dns_name));
    let listed: Vec<_> = found
        .iter()
        .map(|(_, it)| {
            let named = if served(it) { ", named by its status" } else { "" };
            format!("{} (made by {}{named})", it.load_balancer.id, it.controller.as_str())
        })
        .collect();
    let message = format!("{} load balancers carry its tags: {}.", found.len(), listed.join(", "));
    report.find(&DUPLICATE_LOAD_BALANCERS, Subject::Service(service.name.clone()), Some(newest), message);
}

/// A Service that the controller owns, that has none of its load balancers, and nothing tells why. Whether it has none has
/// to be known by the caller.
pub(super) fn find_pending(context: &Context<'_>, service: &Service, report: &mut Report) {
    let parts = &context.snapshot.parts;
    let Some(listed_at) = parts.load_balancers.fetched_at else { return };
    let waited = |at: Timestamp| listed_at.duration_since(at) > CREATION;
    let lease = parts.leader_lease.get().and_then(Option::as_ref).and_then(|lease| lease.acquired_at);
    // Without a controller that runs the cause has a finding of its own, and so has a refusal that its events tell.
    let running =
        parts.controllers.complete().is_some_and(|all| all.values().any(|it| it.available_replicas.is_some_and(|n| n > 0)));
    let unexplained = parts.reconciles.complete().is_some() && failure(context.snapshot, service).is_none();
    let patient = waited(service.created_at) && service.changed_at.is_none_or(waited) && lease.is_none_or(waited);
    if service.hostnames.is_empty() && running && unexplained && patient && serves_this_cluster(parts) {
        let minutes = context.now.duration_since(service.created_at).as_mins();
        let message = format!(
            "It was created {minutes} minutes ago, the AWS Load Balancer Controller owns it, and no load balancer carries its tags; no \
             event tells why."
        );
        report.find(&SERVICE_PENDING, Subject::Service(service.name.clone()), Some(service.created_at), message);
    }
}

/// Which load balancers there are, and whether that is the account in which this cluster's are.
#[derive(Debug)]
pub(super) struct HostNames<'a> {
    /// Those of all load balancers.
    known: BTreeSet<String>,
    listed_at: Timestamp,
    /// What stands in the names of this Region's Network Load Balancers, `NAME-ID.elb.REGION.…`: Classic ones have another form,
    /// and of another Region nothing is known.
    of_region: String,
    /// Some Service's load balancer was found, so it is the right account.
    any_is_known: bool,
    /// Services whose target groups are of this account.
    bound_here: BTreeSet<&'a ObjectName>,
}

impl<'a> HostNames<'a> {
    /// `None` where not all load balancers are known.
    pub(super) fn of(parts: &'a Parts) -> Option<Self> {
        let list = parts.load_balancers.complete()?;
        let account = parts.scope.account_id.as_deref();
        let bindings = parts.target_group_bindings.get().into_iter().flat_map(|bindings| bindings.values());
        let here = bindings.filter(|binding| {
            let of_group = binding.target_group_arn.as_ref().and_then(Arn::account_id);
            !binding.other_account && of_group.is_some() && of_group == account
        });
        let mut names = Self {
            known: list.values().map(|lb| lb.dns_name.to_ascii_lowercase()).collect(),
            listed_at: parts.load_balancers.fetched_at?,
            of_region: format!(".elb.{}.", parts.scope.region.as_deref()?),
            any_is_known: false,
            bound_here: here.map(|binding| &binding.service).collect(),
        };
        let services = parts.services.get().into_iter().flat_map(|services| services.values());
        names.any_is_known = services.flat_map(|service| &service.hostnames).any(|name| names.has(name));
        Some(names)
    }

    fn has(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        self.known.contains(name.strip_prefix("dualstack.").unwrap_or(&name))
    }

    /// The name of a load balancer that the Service's status still has and AWS has not, as after a deletion in the console: the
    /// controller does not notice before it next looks at the Service. `Some(None)`: there is one. `None`: nobody can say.
    ///
    /// By the name and not by tags, so that a wrong cluster name accuses nobody; and only where something shows that this is the
    /// cluster's account, since with another one's role all of them would seem to be gone.
    pub(super) fn missing<'s>(&self, service: &'s Service) -> Option<Option<&'s str>> {
        // The cluster tells of a new load balancer before the next list does.
        let settled = |at: Timestamp| self.listed_at.duration_since(at) > CREATION;
        if !settled(service.created_at) || !service.changed_at.is_none_or(settled) {
            return None;
        }
        let all = service.hostnames.iter().map(|name| &**name);
        let mut named = all.filter(|name| name.contains(&self.of_region)).peekable();
        named.peek()?;
        match named.find(|name| !self.has(name)) {
            Some(_) if !self.any_is_known && !self.bound_here.contains(&service.name) => None,
            found => Some(found),
        }
    }
}

pub(super) fn find_gone(service: &Service, name: &str, report: &mut Report) {
    let message =
        format!("Its status names {name}, and the account has no load balancer of that name: its clients reach nothing.");
    report.find(&LOAD_BALANCER_GONE, Subject::Service(service.name.clone()), None, message);
}
