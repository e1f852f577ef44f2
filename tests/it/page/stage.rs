//! What is looked at: the simulated cluster with everything broken at once, as a picture in this process or behind the daemon.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use eks_nlb_exporter::checks::{self, CHECKS, Check, Judged};
use eks_nlb_exporter::clock;
use eks_nlb_exporter::config::policy::Policy;
use eks_nlb_exporter::expose::exposition::{Exposition, ExpositionSettings};
use eks_nlb_exporter::expose::own::OwnMetrics;
use eks_nlb_exporter::expose::readiness::Readiness;
use eks_nlb_exporter::expose::server::{Sources, WebSettings, WebState, bind};
use eks_nlb_exporter::inventory::ids::{ObjectName, SecurityGroupId, SubnetId};
use eks_nlb_exporter::inventory::parts::Parts;
use eks_nlb_exporter::inventory::snapshot::{Expiry, Snapshot};
use eks_nlb_exporter::simulator::world::{Health, World, annotation};
use eks_nlb_exporter::simulator::{self, SimulatorSettings};
use tokio::task::JoinHandle;

use crate::gather::gather_simulated;
use crate::support::get;

/// What a stranger may write into an event, an annotation or a tag.
pub(super) const HOSTILE: &str = r#"<script>alert('x')</script>"><img src=x onerror=alert(1)> javascript:alert(2)"#;

/// What of the world is broken.
#[derive(Debug, Clone)]
pub(super) struct Broken {
    /// Some of its targets fail.
    pub(super) failing: ObjectName,
    /// A zone of it is dark.
    pub(super) dark: ObjectName,
    /// AWS is not as it says.
    pub(super) drifting: ObjectName,
    /// The controller cannot go on with it.
    pub(super) blocked: ObjectName,
    /// It is muted.
    pub(super) muted: ObjectName,
    /// It has too few addresses.
    pub(super) subnet: SubnetId,
    /// It is full.
    pub(super) group: SecurityGroupId,
}

/// Breaks it: the states of the demonstration, all at once, and a mute.
pub(super) fn break_it(world: &mut World) -> Broken {
    let now = clock::now();
    let broken = Broken {
        failing: ObjectName::new("shop", "web"),
        dark: ObjectName::new("pay", "checkout"),
        drifting: ObjectName::new("pay", "ledger"),
        blocked: ObjectName::new("data", "ingest"),
        muted: ObjectName::new("shop", "cart"),
        subnet: {
            let load_balancer = world.load_balancer_of(&ObjectName::new("data", "ingest")).unwrap();
            world.load_balancers[load_balancer].zones.iter().max().unwrap().1.clone()
        },
        group: world.scope.node_group.clone(),
    };
    let groups = |world: &World, name: &ObjectName| world.target_groups_of(name).into_values().collect::<Vec<_>>();
    for group in groups(world, &broken.failing) {
        let first = std::sync::Arc::clone(&world.target_groups[&group].targets[0].id);
        world.set_health_where(&group, &Health::FAILED, |target| target.id == first).unwrap();
    }
    let zone = world.services[&broken.dark].endpoints.iter().map(|it| it.zone.clone()).max().unwrap();
    for group in groups(world, &broken.dark) {
        world.set_health_where(&group, &Health::FAILED, |target| target.zone.as_ref() == Some(&zone)).unwrap();
    }
    for name in [&broken.drifting, &broken.muted] {
        for group in groups(world, name) {
            world.target_groups.get_mut(&group).unwrap().health_check.interval_seconds += 20;
        }
    }
    world
        .annotate(&broken.muted, "eks-nlb-exporter.io/mute", Some(&format!("NLB501 until {}: known", in_a_week(now))), now)
        .unwrap();
    world.annotate(&broken.blocked, annotation("scheme"), Some(HOSTILE), now).unwrap();
    world.warn_about_service(
        &broken.blocked,
        "FailedBuildModel",
        &format!("Failed build model due to unknown scheme: {HOSTILE}"),
        now,
    );
    world.set_free_addresses(&broken.subnet, 5).unwrap();
    let room = 60 - world.security_groups[&broken.group].inbound.len();
    world.add_rules(&broken.group, room, "left over").unwrap();
    broken
}

/// Leaves a load balancer behind that belongs to nobody. That of a Service that went away a moment ago would be still its own.
pub(super) fn orphan(world: &mut World) {
    world.delete_service(&ObjectName::new("ops", "metrics")).unwrap();
}

/// Both.
pub(super) fn break_everything(world: &mut World) -> Broken {
    orphan(world);
    break_it(world)
}

fn in_a_week(now: jiff::Timestamp) -> String {
    format!("{:.10}", (now + Duration::from_secs(7 * 86_400)).to_string())
}

/// By what measure the tests judge: what waits for minutes in a real cluster does not here.
pub(super) fn policy() -> Policy {
    Policy { drift_hold_down_seconds: 0, target_hold_down_seconds: 0, ..Policy::default() }
}

/// A picture of these parts.
pub(super) fn judged(parts: Parts) -> Judged {
    judged_by(CHECKS, parts)
}

/// The same by some of the checks.
pub(super) fn judged_by(checks: &[&'static Check], parts: Parts) -> Judged {
    judged_by_at(checks, parts, clock::now())
}

/// A picture of these parts as they stood at a moment.
pub(super) fn judged_at(parts: Parts, now: jiff::Timestamp) -> Judged {
    judged_by_at(CHECKS, parts, now)
}

fn judged_by_at(checks: &[&'static Check], parts: Parts, now: jiff::Timestamp) -> Judged {
    let policy = policy();
    let snapshot = Snapshot::join(parts, now, Expiry { max_staleness: policy.max_staleness() });
    let outcome = checks::run(checks, &snapshot, &policy, now, || Duration::ZERO);
    assert!(outcome.runs.iter().all(|run| run.success), "{:?}", outcome.runs);
    Judged { snapshot: Arc::new(snapshot), outcome: Arc::new(outcome), policy: Arc::new(policy) }
}

/// The parts of a simulated world, changed before it is read.
pub(super) async fn parts<T>(settings: SimulatorSettings, change: impl FnOnce(&mut World) -> T) -> (Parts, T) {
    let simulator = simulator::start(settings).await.unwrap();
    let changed = simulator.world.edit(change);
    (gather_simulated(&simulator).await, changed)
}

/// A server in this process that shows one picture, or none yet.
pub(super) struct Served {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Served {
    pub(super) async fn start(judged: Option<Judged>, readiness: Readiness) -> Self {
        let own = OwnMetrics::new();
        let exposition = Exposition::new(Arc::clone(&own), ExpositionSettings::default());
        let sources = Arc::new(judged.as_ref().map_or_else(Default::default, |it| (*it.snapshot.parts.sources).clone()));
        let state = WebState {
            exposition,
            readiness: Arc::new(readiness),
            sources: Sources::new(move || Arc::clone(&sources)),
            reload: None,
        };
        if let Some(judged) = judged {
            state.exposition.publish(judged).await.unwrap();
        }
        let settings = WebSettings { listen_addresses: vec!["127.0.0.1:0".to_owned()], ..WebSettings::default() };
        let bound = bind(&settings).await.unwrap();
        let address = bound.local_addrs()[0];
        let task = tokio::spawn(async move { bound.serve(state, std::future::pending()).await.unwrap() });
        Self { address, task }
    }

    /// That of a picture of these parts, ready.
    pub(super) async fn ready(parts: Parts) -> Self {
        Self::start(Some(judged(parts)), Readiness::pending(Vec::<String>::new())).await
    }

    /// Where it is.
    pub(super) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A page, whatever its status.
    pub(super) async fn get(&self, path: &str) -> (u16, String) {
        get(&format!("{}{path}", self.base())).await.unwrap()
    }

    /// A page that is there.
    pub(super) async fn page(&self, path: &str) -> String {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}
