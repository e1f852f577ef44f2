//! A small AWS and a small Kubernetes on loopback: for `demo` and `simulate`, the tests and the benches.
//!
//! One world model in memory feeds both; clients come in through the same wire protocols as to the real ones.

mod aws_api;
mod buckets;
mod counters;
mod ec2;
mod eks;
mod elb;
mod faults;
pub mod kube_api;
mod kubernetes;
mod operations;
mod query;
mod scenario;
mod service_quotas;
mod sizes;
mod sts;
pub mod world;
mod xml;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::{Router, serve::ListenerExt};
use clap::Args;
use thiserror::Error;
use tokio::{net::TcpListener, task::JoinHandle};

pub use buckets::Throttling;
pub use counters::Counters;
pub use faults::{Fault, FaultError, FaultKind, FaultScope, Faults};
pub use operations::{Api, Operation};
pub use sizes::Sizes;
pub use world::{Partition, WorldKind};

use aws_api::AwsEndpoint;
use kube_api::KubeStore;
use kubernetes::Publisher;
use world::{Change, World};

/// How often the simulated controller renews its leader Lease; a real one does so every two seconds.
const LEASE_RENEWAL: Duration = Duration::from_secs(10);

/// What to simulate, and where.
#[derive(Debug, Clone, Args)]
pub struct SimulatorSettings {
    /// Sizes of the world.
    #[command(flatten)]
    pub sizes: Sizes,
    /// What kind of cluster.
    #[arg(long, value_enum, value_name = "NAME", default_value_t)]
    pub world: WorldKind,
    /// In which of AWS's partitions; each has one Region here.
    #[arg(long, value_enum, value_name = "NAME", default_value_t)]
    pub partition: Partition,
    /// Where the simulated AWS listens; loopback only, port 0 for any free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    pub aws_listen: SocketAddr,
    /// Where the simulated Kubernetes API server listens; loopback only, port 0 for any free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    pub kube_listen: SocketAddr,
    /// Something that goes wrong with AWS, e.g. DescribeTags=throttle:0.5, ec2:*=deny, *=error:0.01, DescribeSubnets=truncate,
    /// DescribeTargetHealth=hang, *=latency:200ms. May be given several times.
    #[arg(long = "fault", value_name = "OPERATION=KIND[:VALUE]")]
    pub faults: Vec<Fault>,
    /// How much longer every AWS call takes, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub latency_ms: u64,
    /// Which of AWS's token buckets hold.
    #[arg(long, value_enum, default_value_t)]
    pub throttling: Throttling,
    /// Let the demonstration's incidents happen, over and over.
    #[arg(long)]
    pub scenario: bool,
    /// How many times as fast they happen.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    pub time_scale: f64,
}

impl Default for SimulatorSettings {
    fn default() -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            sizes: Sizes::default(),
            world: WorldKind::default(),
            partition: Partition::default(),
            aws_listen: loopback,
            kube_listen: loopback,
            faults: Vec::new(),
            latency_ms: 0,
            throttling: Throttling::Off,
            scenario: false,
            time_scale: 1.0,
        }
    }
}

/// Why a simulator cannot start.
#[derive(Debug, Error)]
pub enum SimulatorError {
    /// The sizes make no world.
    #[error("{0}")]
    Sizes(String),
    /// A time scale that is no positive number.
    #[error("--time-scale must be a number above 0 and at most 1000, not {0}")]
    TimeScale(f64),
    /// Nobody but this machine may talk to a simulator.
    #[error("the simulator listens on loopback addresses only, and {0} is none")]
    NotLoopback(SocketAddr),
    /// The address cannot be had.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which one.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl SimulatorError {
    /// The closed category.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Sizes(_) | Self::TimeScale(_) | Self::NotLoopback(_) => "settings",
            Self::Listen { .. } => "listen",
        }
    }
}

/// A running simulator; it stops when dropped.
#[derive(Debug)]
pub struct Simulator {
    /// `http://127.0.0.1:PORT` of the simulated AWS, for `--aws.endpoint-url`.
    pub aws_url: String,
    /// `http://127.0.0.1:PORT` of the simulated Kubernetes API server.
    pub kube_url: String,
    /// The world, to look at and to change.
    pub world: WorldHandle,
    /// AWS calls so far.
    pub counters: Counters,
    /// What goes wrong with AWS.
    pub faults: Arc<Faults>,
    /// The API server's objects; its kinds can be forbidden or taken away here.
    pub kube: KubeStore,
    time_scale: f64,
    tasks: Vec<Task>,
}

/// A task that ends with its owner.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The world behind both endpoints. Clones are the same world.
#[derive(Debug, Clone)]
pub struct WorldHandle {
    world: Arc<Mutex<World>>,
    publisher: Arc<Mutex<Publisher>>,
}

impl WorldHandle {
    /// Reads the world. Both endpoints wait meanwhile.
    pub fn read<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the world, and publishes to the API server what the cluster can see of it.
    pub fn edit<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.lock();
        let result = change(&mut world);
        let mut publisher = self.publisher.lock().unwrap_or_else(PoisonError::into_inner);
        publisher.publish(&mut world, crate::clock::now());
        result
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Builds the world and starts both endpoints.
pub async fn start(settings: SimulatorSettings) -> Result<Simulator, SimulatorError> {
    if let Some(problem) = settings.sizes.problem() {
        return Err(SimulatorError::Sizes(problem));
    }
    if !(settings.time_scale > 0.0 && settings.time_scale <= 1000.0) {
        return Err(SimulatorError::TimeScale(settings.time_scale));
    }
    let (aws_listener, aws_url) = listen(settings.aws_listen).await?;
    let (kube_listener, kube_url) = listen(settings.kube_listen).await?;

    let kube = KubeStore::new();
    for (resource, served) in settings.world.served() {
        kube.set_served(resource, served);
    }
    let world = Arc::new(Mutex::new(World::build_in(settings.partition, settings.world, &settings.sizes, crate::clock::now())));
    let publisher = Arc::new(Mutex::new(Publisher::new(kube.clone())));
    let handle = WorldHandle { world: Arc::clone(&world), publisher };
    handle.edit(|_| ());

    let mut faults = settings.faults;
    if settings.latency_ms > 0 {
        let kind = FaultKind::Latency(Duration::from_millis(settings.latency_ms));
        faults.push(Fault { scope: FaultScope::All, kind, ratio: 1.0 });
    }
    let faults = Arc::new(Faults::new(faults));
    let counters = Counters::default();
    let endpoint = AwsEndpoint {
        world,
        counters: counters.clone(),
        faults: Arc::clone(&faults),
        buckets: Arc::new(buckets::Buckets::new(settings.throttling)),
    };
    let renewing = handle.clone();
    let renewal = async move {
        loop {
            tokio::time::sleep(LEASE_RENEWAL).await;
            renewing.edit(|world| world.touch(Change::Controller));
        }
    };
    let tasks = vec![
        serve(aws_listener, aws_api::router(endpoint)),
        serve(kube_listener, kube_api::router(kube.clone())),
        Task(tokio::spawn(renewal)),
    ];
    let time_scale = settings.time_scale;
    let mut simulator = Simulator { aws_url, kube_url, world: handle, counters, faults, kube, time_scale, tasks };
    if settings.scenario {
        simulator.play(|sentence| tracing::info!("{sentence}"));
    }
    Ok(simulator)
}

impl Simulator {
    /// Lets the demonstration's incidents happen, over and over, at the settings' time scale, until the simulator is dropped.
    /// `say` gets a sentence for each.
    pub fn play(&mut self, say: impl Fn(&str) + Send + 'static) {
        self.set_scene();
        let scenario = scenario::play(self.world.clone(), self.time_scale, say);
        self.tasks.push(Task(tokio::spawn(scenario)));
    }

    /// Makes true what was so before the demonstration's first incident. `play` does it too; who starts a daemon in between
    /// wants it before.
    pub fn set_scene(&self) {
        self.world.edit(|world| scenario::ask_for_more(world, crate::clock::now()));
    }

    /// A kubeconfig whose only context, `simulated`, is this cluster.
    pub fn kubeconfig(&self) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: simulated\n\
             clusters:\n- name: simulated\n  cluster:\n    server: {}\n\
             users:\n- name: simulated\n  user: {{}}\n\
             contexts:\n- name: simulated\n  context:\n    cluster: simulated\n    user: simulated\n",
            self.kube_url
        )
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, String), SimulatorError> {
    if !address.ip().is_loopback() {
        return Err(SimulatorError::NotLoopback(address));
    }
    let failed = |source| SimulatorError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, format!("http://{bound}")))
}

fn serve(listener: TcpListener, router: Router) -> Task {
    // Without it an answer in two packets waits for the client's delayed acknowledgement.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    Task(tokio::spawn(async move {
        // It ends only when its task is aborted.
        let _ = axum::serve(listener, router).await;
    }))
}

/// Spreads a number over all 64 bits (the finalizer of SplitMix64), for ids and faults that look drawn by lot.
fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests;
