//! What does the cluster say? Watches of Services, slices, nodes, bindings, Gateways, events and the controller, for ever.
//!
//! Each watch is on its own: one that is forbidden, absent or broken backs off and holds up none of the others. Objects
//! become slim types as they arrive; nothing else is stored.

mod backoff;
mod batch;
mod bindings;
mod bounded;
mod client;
mod controllers;
mod endpoint_slices;
mod events;
pub(super) mod failure;
mod fields;
mod gateway_api;
mod leader;
mod nodes;
mod pulse;
mod reconciles;
mod report;
mod services;
#[cfg(test)]
mod untrusted;
mod vpc_cni;
mod watch;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kube::runtime::watcher;
use kube::{Api, Client};
use tokio::sync::watch::Receiver;
use tokio::task::JoinSet;

use self::bindings::Bindings;
use self::controllers::Controllers;
use self::endpoint_slices::EndpointSlices;
use self::events::Events;
use self::gateway_api::{Classes, Gateways, Routes};
use self::leader::Leader;
use self::nodes::Nodes;
use self::report::{Report, Source};
use self::services::Services;
use self::vpc_cni::VpcCni;
use self::watch::{Context, Scope, Subject, watch};
use crate::clock::now;
use crate::inventory::ids::ObjectName;
use crate::inventory::kube::{BindingGroup, EventObject, RouteKind};
use crate::inventory::part::Failure;
use crate::inventory::parts::source;
use crate::sources::CallObserver;
use crate::sources::intern::Interner;
use crate::sources::store::Store;

pub use self::client::{KubeError, client};
pub use self::services::manifest;

/// How the cluster is reached and watched.
#[derive(Debug, Clone)]
pub struct KubeSettings {
    /// `--kube.context`: a context of the kubeconfig; `None` for its current one.
    pub context: Option<String>,
    /// A kubeconfig; `None` for `$KUBECONFIG`, `~/.kube/config`, else the pod's service account.
    pub kubeconfig: Option<PathBuf>,
    /// A plain API server without credentials instead of all that: the simulator's.
    pub url: Option<http::Uri>,
    /// How long a watch stays open (whole seconds, at most 290). A quiet kind is proven fresh this often.
    pub watch_timeout: Duration,
    /// How long the API server may take to begin an answer.
    pub answer_timeout: Duration,
    /// Objects a page of a list.
    pub page_size: u32,
    /// How long changes gather before they are handed over together.
    pub coalesce: Duration,
    /// The first wait after a failure; it doubles.
    pub shortest_wait: Duration,
    /// The longest wait.
    pub longest_wait: Duration,
    /// How long a custom kind of which objects are known has to be gone before that is believed.
    pub absent_after: Duration,
}

impl Default for KubeSettings {
    fn default() -> Self {
        Self {
            context: None,
            kubeconfig: None,
            url: None,
            watch_timeout: Duration::from_secs(60),
            answer_timeout: Duration::from_secs(30),
            page_size: 500,
            coalesce: Duration::from_millis(100),
            shortest_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(30),
            absent_after: Duration::from_secs(60),
        }
    }
}

/// Says on every source of this stage that there is no way to the API server.
pub fn unreachable(store: &Store, error: &KubeError) {
    let failure =
        Arc::new(Failure { category: error.category(), operation: "kubernetes client".to_owned(), message: error.to_string() });
    let now = crate::clock::now();
    store.update(|parts| {
        let sources = Arc::make_mut(&mut parts.sources);
        for name in source::ALL.iter().filter(|name| name.starts_with("kube_")) {
            let status = sources.entry(Arc::from(*name)).or_default();
            status.last_attempt = Some(now);
            status.failure = Some(Arc::clone(&failure));
        }
    });
}

/// Watches the cluster for ever and writes what it finds into the store. Trouble with the API server never ends it.
pub async fn run(client: Client, settings: KubeSettings, store: Store, observer: Arc<dyn CallObserver>) {
    let interner = Arc::new(Interner::default());
    let context = Context { settings, observer };
    let mut watches = Watches { client, context, store, tasks: JoinSet::new() };

    let services = Services { interner: Arc::clone(&interner) };
    let [report] = Source::watched_by(source::SERVICES, &watches.store, |parts| &mut parts.services, [false]);
    watches.start(services, Scope::all("services", Api::all), report);

    let slices = EndpointSlices { interner: Arc::clone(&interner) };
    let [report] = Source::watched_by(source::ENDPOINT_SLICES, &watches.store, |parts| &mut parts.endpoint_slices, [false]);
    watches.start(slices, Scope::all("endpointslices.discovery.k8s.io", Api::all), report);

    let nodes = Nodes { interner: Arc::clone(&interner) };
    let [report] = Source::watched_by(source::NODES, &watches.store, |parts| &mut parts.nodes, [false]);
    watches.start(nodes, Scope::all("nodes", Api::all), report);

    watches.bindings(&interner);
    watches.gateways(&interner);
    watches.events(&interner);
    watches.controllers(&interner);

    let [report] = Source::watched_by(source::VPC_CNI, &watches.store, |parts| &mut parts.vpc_cni, [false]);
    let mut scope = Scope::all("daemonsets.apps", |client| Api::namespaced(client, vpc_cni::NAMESPACE));
    scope.config = watcher::Config::default().fields(&format!("metadata.name={}", vpc_cni::NAME));
    watches.start(VpcCni, scope, report);

    while let Some(ended) = watches.tasks.join_next().await {
        if let Err(error) = ended
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}

/// What the watches are started with.
struct Watches {
    client: Client,
    context: Context,
    store: Store,
    tasks: JoinSet<()>,
}

impl Watches {
    fn start<S: Subject + 'static>(&mut self, mut subject: S, scope: Scope<S::Object>, report: Report) {
        let (client, context) = (self.client.clone(), self.context.clone());
        self.tasks.spawn(async move { watch(&mut subject, &client, &scope, &report, &context).await });
    }

    /// The bindings of both groups make one part. Few clusters have EKS Auto Mode, and who may not ask for its kind
    /// still knows the controller's.
    fn bindings(&mut self, interner: &Arc<Interner>) {
        let reports = Source::watched_by(
            source::TARGET_GROUP_BINDINGS,
            &self.store,
            |parts| &mut parts.target_group_bindings,
            [false, true],
        );
        let groups = [
            (BindingGroup::LoadBalancerController, "targetgroupbindings.elbv2.k8s.aws"),
            (BindingGroup::AutoMode, "targetgroupbindings.eks.amazonaws.com"),
        ];
        for ((group, label), report) in groups.into_iter().zip(reports) {
            let mut scope = Scope::all(label, move |client| Api::all_with(client, &group));
            scope.may_be_absent = true;
            self.start(Bindings { group, interner: Arc::clone(interner) }, scope, report);
        }
    }

    /// Three kinds of routes make one part.
    fn gateways(&mut self, interner: &Arc<Interner>) {
        let [report] = Source::watched_by(source::GATEWAY_CLASSES, &self.store, |parts| &mut parts.gateway_classes, [false]);
        let versions = gateway_api::GATEWAY_VERSIONS;
        let scope = Scope::served_as("gatewayclasses.gateway.networking.k8s.io", versions, |client, version| {
            Api::all_with(client, &version)
        });
        self.start(Classes { interner: Arc::clone(interner) }, scope, report);

        let [report] = Source::watched_by(source::GATEWAYS, &self.store, |parts| &mut parts.gateways, [false]);
        let scope =
            Scope::served_as("gateways.gateway.networking.k8s.io", versions, |client, version| Api::all_with(client, &version));
        self.start(Gateways { interner: Arc::clone(interner) }, scope, report);

        let reports = Source::watched_by(source::ROUTES, &self.store, |parts| &mut parts.routes, [false; 3]);
        for (kind, report) in RouteKind::ALL.iter().copied().zip(reports) {
            let versions = gateway_api::versions(kind);
            let scope = Scope::served_as(gateway_api::label(kind), versions, move |client, version| {
                Api::all_with(client, &(kind, version))
            });
            self.start(Routes { kind, interner: Arc::clone(interner) }, scope, report);
        }
    }

    /// Field selectors know no "or": one watch a kind of object. All other events of the cluster stay where they are.
    fn events(&mut self, interner: &Arc<Interner>) {
        let reports = Source::watched_by(source::EVENTS, &self.store, |parts| &mut parts.reconciles, [false, false]);
        for (about, report) in EventObject::ALL.iter().copied().zip(reports) {
            let mut scope = Scope::all("events", Api::all);
            scope.config = watcher::Config::default().fields(&format!("involvedObject.kind={about}"));
            self.start(Events { about, interner: Arc::clone(interner) }, scope, report);
        }
    }

    fn controllers(&mut self, interner: &Arc<Interner>) {
        let [labelled, others] =
            Source::watched_by(source::CONTROLLER, &self.store, |parts| &mut parts.controllers, [false, false]);
        let scope = |selector: &str| {
            let mut scope = Scope::all("deployments.apps", Api::all);
            scope.config = watcher::Config::default().labels(selector);
            scope
        };
        let (found, found_labelled) = tokio::sync::watch::channel(None);
        let subject = Controllers { labelled: true, interner: Arc::clone(interner), found };
        self.start(subject, scope(controllers::LABELLED), labelled);

        let (found, found_others) = tokio::sync::watch::channel(None);
        let subject = Controllers { labelled: false, interner: Arc::clone(interner), found };
        let (client, context) = (self.client.clone(), self.context.clone());
        let is_found = found_labelled.clone();
        self.tasks.spawn(watch_others(subject, client, scope(controllers::OTHERS), others, context, is_found));

        let [report] = Source::watched_by(source::LEADER_LEASE, &self.store, |parts| &mut parts.leader_lease, [false]);
        let subject = Leader { interner: Arc::clone(interner) };
        let (client, context) = (self.client.clone(), self.context.clone());
        self.tasks.spawn(watch_lease(subject, client, report, context, [found_labelled, found_others]));
    }
}

type Found = Option<BTreeSet<ObjectName>>;

/// Looks among the other charts' Deployments while none has the controller's label.
async fn watch_others(
    mut subject: Controllers,
    client: Client,
    scope: Scope<k8s_openapi::api::apps::v1::Deployment>,
    report: Report,
    context: Context,
    mut labelled: Receiver<Found>,
) {
    let is_found = |found: &Found| found.as_ref().is_some_and(|names| !names.is_empty());
    loop {
        let none = |found: &Found| found.as_ref().is_some_and(BTreeSet::is_empty);
        // The sender lives as long as its watch: for ever.
        if labelled.wait_for(|found| none(found) || is_found(found)).await.is_err() {
            return;
        }
        if is_found(&labelled.borrow()) {
            let change = subject.clear(&report.known(), now());
            report.set_dormant(true, change);
            if labelled.wait_for(|found| !is_found(found)).await.is_err() {
                return;
            }
            report.set_dormant(false, None);
            continue;
        }
        tokio::select! {
            () = watch(&mut subject, &client, &scope, &report, &context) => return,
            changed = labelled.wait_for(is_found) => if changed.is_err() { return },
        }
    }
}

/// Watches the Lease in the namespace of the controller that was found.
async fn watch_lease(mut subject: Leader, client: Client, report: Report, context: Context, mut found: [Receiver<Found>; 2]) {
    loop {
        let names = |found: &mut Receiver<Found>| found.borrow_and_update().iter().flatten().next().cloned();
        let controller = found.iter_mut().find_map(names);
        let namespace = controller.map_or_else(|| leader::NAMESPACE.to_owned(), |name| name.namespace.to_string());
        let in_namespace = namespace.clone();
        let mut scope = Scope::all("leases.coordination.k8s.io", move |client| Api::namespaced(client, &in_namespace));
        scope.config = watcher::Config::default().fields(&format!("metadata.name={}", leader::NAME));
        let watching = watch(&mut subject, &client, &scope, &report, &context);
        let moved = async {
            let [first, second] = &mut found;
            loop {
                let ended = tokio::select! {
                    changed = first.changed() => changed.is_err(),
                    changed = second.changed() => changed.is_err(),
                };
                let now = [&mut *first, &mut *second].into_iter().find_map(names);
                if ended || now.is_some_and(|name| *name.namespace != *namespace) {
                    return;
                }
            }
        };
        tokio::select! {
            () = watching => return,
            () = moved => {}
        }
    }
}

#[cfg(test)]
mod tests;
