//! How does a bench get real parts? From a simulator in this process, through the daemon's own sources.

use std::time::Duration;

use anyhow::{Context, ensure};
use eks_nlb_exporter::clock;
use eks_nlb_exporter::expose::own::OwnMetrics;
use eks_nlb_exporter::inventory::parts::Parts;
use eks_nlb_exporter::inventory::readiness::pending;
use eks_nlb_exporter::inventory::snapshot::{Expiry, Snapshot};
use eks_nlb_exporter::simulator::{self, Simulator, SimulatorSettings, Sizes, world};
use eks_nlb_exporter::sources::aws::{self, AwsSettings, Budgets, FixedCredentials};
use eks_nlb_exporter::sources::kube::{self, KubeSettings};
use eks_nlb_exporter::sources::store::Store;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// A gathered picture that goes on living: both sources still run.
pub(crate) struct Gathered {
    pub(crate) simulator: Simulator,
    pub(crate) store: Store,
    asking: Task,
    _watching: Task,
}

/// A task that ends with its owner.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How long values stay; longer than any bench.
pub(crate) const EXPIRY: Expiry = Expiry { max_staleness: Duration::from_secs(3_600) };

/// Starts a world of these sizes and gathers all of it, as fast as it goes.
pub(crate) async fn gather(sizes: Sizes) -> anyhow::Result<Gathered> {
    let simulator = simulator::start(SimulatorSettings { sizes, ..SimulatorSettings::default() }).await?;
    let mut budgets = Budgets::default();
    for service in ["elasticloadbalancing", "ec2", "servicequotas", "sts"] {
        budgets.set_rate(service, 5_000.0);
    }
    let store = Store::new(Parts::default());
    let settings = KubeSettings { url: Some(simulator.kube_url.parse()?), ..KubeSettings::default() };
    let client = kube::client(&settings).await?;
    let watching = Task(tokio::spawn(kube::run(client, settings, store.clone(), OwnMetrics::new())));
    let asking = ask(&simulator, &store, budgets);
    let gathered = Gathered { simulator, store, asking, _watching: watching };
    gathered.whole().await?;
    Ok(gathered)
}

fn ask(simulator: &Simulator, store: &Store, budgets: Budgets) -> Task {
    let settings = AwsSettings {
        region: Some(world::REGION.to_owned()),
        endpoint_url: Some(simulator.aws_url.clone()),
        credentials: Some(FixedCredentials { access_key_id: "simulated".to_owned(), secret_access_key: "simulated".to_owned() }),
        budgets,
        ..AwsSettings::default()
    };
    Task(tokio::spawn(aws::run(settings, store.clone(), OwnMetrics::new())))
}

impl Gathered {
    /// Lets new sources with the default budgets take over. They know nothing of the pace of those before and begin with a
    /// whole sweep, so what becomes urgent competes with a full queue.
    pub(crate) fn slow_down(&mut self) {
        self.asking = ask(&self.simulator, &self.store, Budgets::default());
    }

    async fn whole(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(180);
        loop {
            let parts = self.store.read();
            let wanting: Vec<String> = (parts.sources.iter())
                .filter(|(_, status)| status.last_success.is_none() || status.missing > 0)
                .map(|(name, status)| format!("{name} ({} missing, {:?})", status.missing, status.failure))
                .collect();
            if !parts.sources.is_empty() && wanting.is_empty() {
                let pending = pending(&Snapshot::join(parts, clock::now(), EXPIRY));
                if pending.is_empty() {
                    return Ok(());
                }
            }
            ensure!(Instant::now() < deadline, "not everything could be gathered: {wanting:?}");
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// The joined picture now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot::join(self.store.read(), clock::now(), EXPIRY)
    }
}

/// Nanoseconds of CPU that the threads of this process have used.
pub(crate) fn cpu_time() -> anyhow::Result<Duration> {
    // The scheduler counts a running thread's time at its ticks, and exactly whenever it goes to sleep.
    std::thread::sleep(Duration::from_micros(200));
    let mut nanoseconds = 0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        // A thread may have ended since.
        let Ok(line) = std::fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        nanoseconds += line.split(' ').next().context("an empty schedstat")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}
