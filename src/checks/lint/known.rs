//! What is known of the cluster while a Service is linted? Every fact is optional; without any the Service is linted alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::controller::annotations::{Annotations, name};
use crate::controller::ownership::{Ownership, owner_in};
use crate::controller::settings::Settings;
use crate::controller::subnets::{Network, Routes, Rules};
use crate::inventory::aws::{Attributes, LoadBalancer};
use crate::inventory::ids::{LoadBalancerId, NodeName, ObjectName};
use crate::inventory::kube::{Node, Service};
use crate::inventory::snapshot::{Controller, Snapshot};

/// Facts about the cluster and about the Service's surroundings. The default knows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// Where the controller is not known, take its documented defaults for granted. Right for a manifest that somebody asks
    /// about; wrong for a running cluster, whose controller is set up in some way that is merely not known.
    pub assume_defaults: bool,
    /// The VPC's subnets, all of them, and by what rules they are discovered.
    pub network: Option<(Network<'a>, Rules)>,
    /// The Service's load balancer, where it has exactly one.
    pub load_balancer: Option<&'a LoadBalancer>,
    /// That load balancer's attributes.
    pub attributes: Option<&'a Attributes>,
    /// What stands behind the Service now.
    pub backends: Option<Backends>,
    /// Whether the cluster's pods have addresses by the VPC CNI.
    pub vpc_cni: Option<bool>,
    /// Who else names his load balancer how.
    pub names: Option<&'a Names>,
}

/// What stands behind a Service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backends {
    /// Pods, ready or not; those that terminate are left out.
    pub pods: usize,
    /// Of those, pods on Fargate.
    pub fargate: usize,
    /// Of those, pods on Windows nodes.
    pub windows: usize,
    /// Of those, pods whose address is of a subnet of the VPC.
    pub in_vpc: usize,
}

const WINDOWS_LABELS: [&str; 2] = ["kubernetes.io/os", "beta.kubernetes.io/os"];
const COMPUTE_TYPE: &str = "eks.amazonaws.com/compute-type";

/// Everything a picture of the cluster knows for linting, prepared once for all Services.
#[derive(Debug)]
pub struct Facts<'a> {
    snapshot: &'a Snapshot,
    routes: Routes,
    rules: Rules,
    names: Names,
    vpc_cni: Option<bool>,
    /// Nodes on which something is special, where all nodes are known.
    special: Option<SpecialNodes<'a>>,
}

#[derive(Debug, Default)]
struct SpecialNodes<'a> {
    fargate: BTreeSet<&'a NodeName>,
    windows: BTreeSet<&'a NodeName>,
}

impl<'a> Facts<'a> {
    /// Those of a picture. `manifests` are Services that are asked about and may not be in the cluster; one that is there
    /// under the same name is taken as the manifest has it.
    pub fn of<'s>(snapshot: &'a Snapshot, manifests: impl IntoIterator<Item = &'s Service>) -> Self
    where
        'a: 's,
    {
        let parts = &snapshot.parts;
        let settings = Settings::in_cluster(parts);
        let mut named: BTreeMap<&ObjectName, &Service> = BTreeMap::new();
        let cluster = parts.services.get().into_iter().flat_map(BTreeMap::values).map(|service| &**service);
        for service in cluster.chain(manifests) {
            let uses = Annotations(&service.annotations).text(name::NAME).is_some() && service.deleted_at.is_none();
            if uses && owner_in(service, parts) == Ownership::LoadBalancerController {
                named.insert(&service.name, service);
            } else {
                named.remove(&service.name);
            }
        }
        let special = parts.nodes.complete().map(|nodes| {
            let with = |keys: &[&str], value: &str| {
                let is = |node: &Node| keys.iter().any(|key| node.labels.get(*key).is_some_and(|label| &**label == value));
                nodes.iter().filter(|(_, node)| is(node)).map(|(name, _)| name).collect()
            };
            SpecialNodes { fargate: with(&[COMPUTE_TYPE], "fargate"), windows: with(&WINDOWS_LABELS, "windows") }
        });
        Self {
            snapshot,
            routes: Routes::of(&parts.route_tables),
            rules: settings.deployment().map_or(Rules::NEWEST, Rules::of),
            names: Names::of(named.into_values()),
            // Which pods have addresses of the VPC is known by its subnets.
            vpc_cni: vpc_cni(snapshot).filter(|runs| *runs || parts.subnets.complete().is_some()),
            special,
        }
    }

    /// What is known beside one Service, by its name; it need not exist in the cluster.
    pub fn known(&'a self, service: &ObjectName) -> Known<'a> {
        let parts = &self.snapshot.parts;
        let network = parts.scope.cluster_name.as_deref().zip(parts.subnets.complete()).map(|(cluster_name, subnets)| {
            let network = Network { cluster_name, subnets, routes: &self.routes, locales: parts.availability_zones.get() };
            (network, self.rules)
        });
        let id = self.only_load_balancer(service);
        Known {
            assume_defaults: false,
            network,
            load_balancer: id.and_then(|id| self.snapshot.load_balancers.get(id)).map(|found| &*found.load_balancer),
            attributes: id.and_then(|id| parts.load_balancer_attributes.get(id)?.get()),
            backends: self.backends(service),
            vpc_cni: self.vpc_cni,
            names: Some(&self.names),
        }
    }

    /// The Service's load balancer, where it has exactly one, and that is the controller's own: what the in-tree provider
    /// left behind says nothing about it.
    fn only_load_balancer(&self, service: &ObjectName) -> Option<&'a LoadBalancerId> {
        let mut ids = self.snapshot.service_load_balancers.get(service)?.iter();
        let (only, None) = (ids.next()?, ids.next()) else { return None };
        let found = self.snapshot.load_balancers.get(only)?;
        (found.controller == Controller::LoadBalancerController).then_some(only)
    }

    /// `None` where not all nodes and slices are known, and where no rule asks: no node is special and pods are of the VPC.
    fn backends(&self, service: &ObjectName) -> Option<Backends> {
        self.snapshot.parts.endpoint_slices.complete()?;
        let special = self.special.as_ref()?;
        if special.fargate.is_empty() && special.windows.is_empty() && self.vpc_cni != Some(false) {
            return None;
        }
        // Two families make two slices of the same pods.
        let mut seen: BTreeSet<(Option<&str>, Option<IpAddr>)> = BTreeSet::new();
        let mut backends = Backends::default();
        let slices = self.snapshot.endpoint_slices.get(service).into_iter().flatten();
        for endpoint in slices.flat_map(|slice| &slice.endpoints).filter(|endpoint| !endpoint.terminating) {
            let identity = match endpoint.pod.as_deref() {
                Some(pod) => (Some(pod), None),
                None => (None, Some(endpoint.address)),
            };
            if !seen.insert(identity) {
                continue;
            }
            let on = |nodes: &BTreeSet<&NodeName>| usize::from(endpoint.node.as_ref().is_some_and(|node| nodes.contains(node)));
            backends.pods += 1;
            backends.fargate += on(&special.fargate);
            backends.windows += on(&special.windows);
            backends.in_vpc += usize::from(self.snapshot.subnet_of(endpoint.address).is_some());
        }
        Some(backends)
    }
}

/// Whether pods get addresses of the VPC: the VPC CNI runs as a DaemonSet, and it is built into the nodes of EKS Auto Mode and
/// into Fargate, where no DaemonSet shows it.
fn vpc_cni(snapshot: &Snapshot) -> Option<bool> {
    if *snapshot.parts.vpc_cni.complete()? {
        return Some(true);
    }
    let nodes = snapshot.parts.nodes.complete()?;
    let built_in = nodes.values().any(|node| node.labels.contains_key(COMPUTE_TYPE));
    Some(built_in)
}

/// Which Services name their load balancer how (`aws-load-balancer-name`).
#[derive(Debug, Clone, Default)]
pub struct Names(BTreeMap<String, BTreeSet<ObjectName>>);

impl Names {
    /// Those of these Services; to be given only Services for which the controller makes a load balancer.
    pub fn of<'s>(services: impl IntoIterator<Item = &'s Service>) -> Self {
        let mut names = Self::default();
        for service in services {
            if let Some(text) = Annotations(&service.annotations).text(name::NAME).filter(|text| !text.is_empty()) {
                names.0.entry(text.to_owned()).or_default().insert(service.name.clone());
            }
        }
        names
    }

    /// The others that use this name.
    pub(super) fn others<'s>(&'s self, text: &str, than: &'s ObjectName) -> impl Iterator<Item = &'s ObjectName> {
        self.0.get(text).into_iter().flatten().filter(move |other| *other != than)
    }
}
