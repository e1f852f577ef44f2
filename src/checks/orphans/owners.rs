//! Does the object that a resource was made for exist?

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::GRACE;
use crate::controller::ownership::serves_this_cluster;
use crate::inventory::ids::{ObjectName, VpcId};
use crate::inventory::kube::{Gateway, Service};
use crate::inventory::parts::{Parts, source};
use crate::inventory::snapshot::{Owner, Snapshot};

/// What became of an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It exists, or it went away just now, or nobody can be accused: an Ingress, or no owner at all.
    Lives,
    /// It does not exist, and has not for long enough.
    Gone,
    /// Not known.
    Unknown,
}

/// How much older than a list of AWS the cluster may have been seen. A watch proves every minute that it is alive.
pub(super) const CLUSTER_LAG: SignedDuration = SignedDuration::from_secs(150);

/// The objects that can own something, where all of a kind are known.
pub(super) struct Owners<'a> {
    pub(super) cluster: &'a str,
    pub(super) vpc: &'a VpcId,
    parts: &'a Parts,
    services: Option<(&'a BTreeMap<ObjectName, Arc<Service>>, Timestamp)>,
    gateways: Option<(&'a BTreeMap<ObjectName, Arc<Gateway>>, Timestamp)>,
}

impl<'a> Owners<'a> {
    /// `None` where it is not known whose resources these are: without the cluster's name or VPC, while a controller runs
    /// under another name than the one looked for, or while a binding that is not known could stand behind any of them.
    pub(super) fn of(snapshot: &'a Snapshot) -> Option<Self> {
        let parts = &snapshot.parts;
        let all_readable = |name: &str| parts.sources.get(name).is_none_or(|status| status.missing == 0);
        let services = parts.services.complete().zip(parts.services.fetched_at).filter(|_| all_readable(source::SERVICES));
        // A kind that is not served has no objects; whether it is gone for good or being installed anew, nobody can tell.
        let gateways_served = !parts.sources.get(source::GATEWAYS).is_some_and(|status| status.absent);
        let gateways = parts
            .gateways
            .complete()
            .zip(parts.gateways.fetched_at)
            .filter(|_| gateways_served && all_readable(source::GATEWAYS));
        let bindings_known = parts.target_group_bindings.complete().is_some() && all_readable(source::TARGET_GROUP_BINDINGS);
        (serves_this_cluster(parts) && bindings_known).then_some(())?;
        let (cluster, vpc) = (parts.scope.cluster_name.as_deref()?, parts.scope.vpc_id.as_ref()?);
        Some(Self { cluster, vpc, parts, services, gateways })
    }

    /// Every Service is known.
    pub(super) fn services_known(&self) -> bool {
        self.services.is_some()
    }

    /// All Services, and when they were last seen.
    pub(super) fn services(&self) -> Option<(&'a BTreeMap<ObjectName, Arc<Service>>, Timestamp)> {
        self.services
    }

    /// What became of the owner of something that was created at `created_at` and stood in a list of `listed_at`.
    pub(super) fn fate(&self, owner: &Owner, listed_at: Option<Timestamp>, created_at: Option<Timestamp>) -> Fate {
        self.judge(owner, listed_at, |seen_at| created_at.is_some_and(|created| seen_at.duration_since(created) >= GRACE))
    }

    /// The same of something whose age AWS does not tell: the cluster has to have been seen about when AWS was.
    pub(super) fn fate_now(&self, owner: &Owner, listed_at: Option<Timestamp>) -> Fate {
        self.judge(owner, listed_at, |seen_at| listed_at.is_some_and(|listed| listed.duration_since(seen_at) <= CLUSTER_LAG))
    }

    fn judge(&self, owner: &Owner, listed_at: Option<Timestamp>, is_old: impl Fn(Timestamp) -> bool) -> Fate {
        let (exists, departed, seen_at) = match owner {
            Owner::Service(name) => {
                let Some((all, seen_at)) = self.services else { return Fate::Unknown };
                (all.contains_key(name), (&self.parts.departed_services, name), seen_at)
            }
            Owner::Gateway(name) => {
                let Some((all, seen_at)) = self.gateways else { return Fate::Unknown };
                (all.contains_key(name), (&self.parts.departed_gateways, name), seen_at)
            }
            Owner::Ingress(_) | Owner::None => return Fate::Lives,
        };
        let Some(listed_at) = listed_at.filter(|_| !exists) else {
            return if exists { Fate::Lives } else { Fate::Unknown };
        };
        // Its last list of AWS has to be later than the departure by the grace, too.
        let (departures, name) = departed;
        if departures.lately(name, listed_at, GRACE) || !is_old(seen_at) { Fate::Lives } else { Fate::Gone }
    }
}
