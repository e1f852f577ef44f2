//! For which schemes does this cluster rely on subnet discovery?

use std::collections::BTreeSet;

use crate::controller::annotations::{Annotations, name};
use crate::controller::desired::Wanted;
use crate::controller::desired::load_balancer::{ip_address_type, scheme};
use crate::controller::ownership::{Ownership, owner_in};
use crate::controller::settings::Settings;
use crate::inventory::aws::{IpAddressType, Scheme};
use crate::inventory::kube::Service;
use crate::inventory::snapshot::{Controller, Snapshot};

/// Schemes in use, each with whether dual-stack load balancers of it are: those of Services that the controller owns and
/// that do not name their subnets. Gateways and Ingresses can name theirs where this program does not look, so they prove
/// nothing; the in-tree provider and Auto Mode discover by rules of their own.
pub(crate) fn demand(snapshot: &Snapshot) -> BTreeSet<(Scheme, bool)> {
    let parts = &snapshot.parts;
    // One that runs where it is not recognised shows by what it made.
    let none_installed = parts.controllers.complete().is_some_and(|controllers| controllers.is_empty())
        && !snapshot.load_balancers.values().any(|it| it.controller == Controller::LoadBalancerController);
    if none_installed {
        return BTreeSet::new();
    }
    let settings = Settings::in_cluster(parts);
    let services = parts.services.get().into_iter().flatten().map(|(_, service)| &**service);
    services
        .filter(|service| service.deleted_at.is_none() && Annotations(&service.annotations).text(name::SUBNETS).is_none())
        .filter_map(|service| {
            let existing = existing_scheme(snapshot, service);
            // Which class an unknown controller answers to shows by what it made.
            let owned = owner_in(service, parts) == Ownership::LoadBalancerController || !settings.known() && existing.is_some();
            // A value that the controller refuses leads to no load balancer at all.
            let (Wanted::Value(scheme) | Wanted::Likely(scheme, _)) = scheme(service, existing, settings).ok()? else {
                return None;
            };
            let dualstack = ip_address_type(service).ok()? == IpAddressType::Dualstack;
            owned.then_some((scheme, dualstack))
        })
        .collect()
}

fn existing_scheme(snapshot: &Snapshot, service: &Service) -> Option<Scheme> {
    let ids = snapshot.service_load_balancers.get(&service.name).into_iter().flatten();
    let existing = ids.filter_map(|id| snapshot.load_balancers.get(id));
    existing.filter(|it| it.controller == Controller::LoadBalancerController).map(|it| it.load_balancer.scheme).min()
}
