//! How does the daemon run, from its first log line to its last?

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::evaluator::{self, Moment};
use super::reload::Configuration;
use crate::cli::{ClusterArgs, ServeArgs};
use crate::config::Config;
use crate::expose::exposition::{Exposition, ExpositionSettings};
use crate::expose::own::OwnMetrics;
use crate::expose::readiness::Readiness;
use crate::expose::routes::{Reload, Sources, WebState};
use crate::expose::server::{WebSettings, bind};
use crate::expose::web_config::LiveWebConfig;
use crate::inventory::parts::Parts;
use crate::notify;
use crate::report::snapshot::Recorded;
use crate::sources::CallObserver;
use crate::sources::aws::{self, AwsSettings};
use crate::sources::kube::{self, KubeSettings};
use crate::sources::state::{self, StateSettings};
use crate::sources::store::Store;
use crate::version;

/// How long to wait before looking again for a way to the API server.
const NO_CLIENT_PAUSE: Duration = Duration::from_secs(10);

/// How long the last write of what is remembered may take.
const LAST_WRITE: Duration = Duration::from_secs(5);

/// Everything the daemon was told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How to reach AWS, and how often.
    pub aws: AwsSettings,
    /// How to reach Kubernetes.
    pub kube: KubeSettings,
    /// Where to keep what is remembered over a restart.
    pub state: StateSettings,
    /// The configuration as it was read: the policy, and what a reload is compared with.
    pub config: Config,
    /// Where that came from; `None` without a file.
    pub config_file: Option<PathBuf>,
    /// Where and how to answer.
    pub web: WebSettings,
    /// A picture to show instead of asking anybody.
    pub recorded: Option<Arc<Recorded>>,
}

/// How the cluster is reached: the flags over the configuration file.
pub(super) fn reach(args: &ClusterArgs, config: &Config) -> (AwsSettings, KubeSettings) {
    let mut aws = AwsSettings {
        region: first_given(&args.aws_region, &config.aws.region),
        endpoint_url: first_given(&args.aws_endpoint_url, &config.aws.endpoint_url),
        cluster_name: first_given(&args.cluster_name, &config.cluster_name),
        vpc_id: first_given(&args.aws_vpc_id, &config.aws.vpc_id),
        describe_cluster: config.aws.describe_cluster,
        ..AwsSettings::default()
    };
    // A margin for the way of the answer: what is read in the same second as the hold-down ends does not count yet.
    aws.intervals.after_hold_down = Duration::from_secs(config.policy.drift_hold_down_seconds.saturating_add(10));
    for (service, rate) in &config.aws.requests_per_second {
        aws.budgets.set_rate(service, *rate);
    }
    for (name, seconds) in &config.aws.refresh_seconds {
        aws.intervals.set(name, Duration::from_secs(*seconds));
    }
    let kube = KubeSettings { context: first_given(&args.kube_context, &config.kubernetes.context), ..KubeSettings::default() };
    (aws, kube)
}

impl Settings {
    /// The flags over the configuration file.
    pub fn new(args: &ServeArgs, config: Config) -> Self {
        let (aws, kube) = reach(&args.cluster, &config);
        Self {
            aws,
            kube,
            state: StateSettings {
                config_map: args.state_config_map.clone(),
                path: args.state_path.clone(),
                ..StateSettings::default()
            },
            config,
            config_file: args.cluster.config_file.clone(),
            recorded: None,
            web: WebSettings {
                listen_addresses: args.listen_addresses.clone(),
                config_file: args.web_config_file.clone().filter(|path| !path.as_os_str().is_empty()),
                max_connections: args.max_connections,
                telemetry_path: args.telemetry_path.clone(),
                max_requests: args.max_requests,
                disable_exporter_metrics: args.disable_exporter_metrics,
                ..WebSettings::default()
            },
        }
    }
}

/// The flag, else the file's value. An empty text is none: a template that leaves a variable empty means to leave it out.
fn first_given(flag: &Option<String>, file: &Option<String>) -> Option<String> {
    [flag, file].into_iter().flatten().find(|text| !text.is_empty()).cloned()
}

/// Runs the daemon until `end`; then finishes the scrapes in flight. `listening` hears where it listens, once it does.
pub(super) async fn serve(
    settings: Settings,
    listening: impl FnOnce(&[SocketAddr]),
    end: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    // Heard from here on, before anything that may take a while: one that comes early must not end the process.
    let hangup = signal(SignalKind::hangup());
    tracing::info!(version = version::VERSION, revision = version::REVISION, rustc = version::RUSTC, "Starting eks-nlb-exporter");
    raise_open_files();
    let bound = bind(&settings.web).await?;
    listening(&bound.local_addrs());
    let own = OwnMetrics::new();
    let exposition = Exposition::new(Arc::clone(&own), ExpositionSettings::from(&settings.web));
    let readiness = Arc::new(Readiness::pending(["first picture"]));
    let (parts, moment) = match &settings.recorded {
        Some(recorded) => (recorded.parts.clone(), Moment::At(recorded.header.taken_at)),
        None => (Parts::default(), Moment::Now),
    };
    let store = Store::new(parts);
    let observer: Arc<dyn CallObserver> = Arc::<OwnMetrics>::clone(&own);
    let judged = watch::Sender::new(None);
    // What a recorded picture shows is past: nobody is to be paged for it.
    let page = match &settings.recorded {
        Some(_) => None,
        None => {
            let scheme = if bound.is_tls() { "https" } else { "http" };
            let port = bound.local_addrs().first().map_or(0, SocketAddr::port);
            // Not this pod's own name: after a restart it must be the same.
            Some(format!("{scheme}://eks-nlb-exporter:{port}/"))
        }
    };
    let web_config = bound.web_config();
    let configured = Configuration::new(settings.config, settings.config_file, page, Arc::clone(&own)).await?;
    let (configuration, first, successors) = configured;
    let reload = both(configuration.on_request(), web_config.clone(), Arc::clone(&own));

    // Dropped at the end of this function, and with it every task.
    let mut tasks = JoinSet::new();
    let (finish, finishing) = oneshot::channel();
    let mut keeper = if let Some(recorded) = &settings.recorded {
        tracing::info!(taken_at = %recorded.header.taken_at, "showing a recorded picture; neither AWS nor Kubernetes is asked");
        tokio::spawn(async { _ = finishing.await })
    } else {
        tasks.spawn(aws::run(settings.aws, store.clone(), Arc::clone(&observer)));
        tasks.spawn(watch_kubernetes(settings.kube.clone(), store.clone(), observer));
        tokio::spawn(state::run(settings.state, settings.kube, store.clone(), finishing))
    };
    tasks.spawn(notify::run(first, judged.subscribe(), successors));
    let (exposed, waiting) = (Arc::clone(&exposition), Arc::clone(&readiness));
    tasks.spawn(evaluator::run(store.clone(), moment, configuration.policies(), exposed, waiting, judged));
    tasks.spawn(Arc::clone(&configuration).reload_on_hangup(hangup));
    if let Some(web_config) = web_config {
        tasks.spawn(reload_web_config_on_hangup(web_config, own));
    }

    for address in bound.local_addrs() {
        tracing::info!(%address, tls = bound.is_tls(), "Listening on");
    }
    let sources = Sources::new(move || Arc::clone(&store.read().sources));
    let served = bound.serve(WebState { exposition, readiness, sources, reload }, end);
    tokio::select! {
        result = served => result?,
        // Each of them runs for ever; one that ends has panicked, and half a daemon would tell half the truth.
        Some(result) = tasks.join_next() => {
            result?;
            anyhow::bail!("a task of the daemon ended");
        }
        result = &mut keeper => {
            result?;
            anyhow::bail!("a task of the daemon ended");
        }
    }
    // It writes what it knows a last time; one that has gone has nothing to write.
    let _ = finish.send(());
    if tokio::time::timeout(LAST_WRITE, keeper).await.is_err() {
        tracing::warn!("what was remembered could not be written in time; the last edits may be forgotten");
    }
    tracing::info!("Stopped");
    Ok(())
}

/// Everything that `POST /-/reload` reads again.
fn both(configuration: Option<Reload>, web_config: Option<Arc<LiveWebConfig>>, own: Arc<OwnMetrics>) -> Option<Reload> {
    let Some(web_config) = web_config else { return configuration };
    Some(Reload::new(move || {
        let (configuration, web_config, own) = (configuration.clone(), Arc::clone(&web_config), Arc::clone(&own));
        async move {
            let web = web_config.reload_and_tell(&own);
            let main = match configuration {
                Some(configuration) => configuration.run().await,
                None => Ok(()),
            };
            match (main, web) {
                (Err(main), Err(web)) => Err(format!("{main}; {web}")),
                (main, web) => main.and(web),
            }
        }
    }))
}

/// Reads the web configuration again at each SIGHUP.
async fn reload_web_config_on_hangup(web_config: Arc<LiveWebConfig>, own: Arc<OwnMetrics>) {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return std::future::pending().await };
    while hangup.recv().await.is_some() {
        // Said in the log, and in a metric.
        let _ = web_config.reload_and_tell(&own);
    }
}

/// As many open files as the system allows: services are often started with 1,024 for the sake of programs that use select(2),
/// and each connection takes one.
fn raise_open_files() {
    let limits = getrlimit(Resource::Nofile);
    if limits.current != limits.maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, ..limits })
    {
        tracing::debug!(%error, "the limit of open files could not be raised");
    }
}

/// Watches the cluster, and looks for a way to it as long as there is none.
pub(super) async fn watch_kubernetes(settings: KubeSettings, store: Store, observer: Arc<dyn CallObserver>) {
    let mut said = String::new();
    loop {
        match kube::client(&settings).await {
            Ok(client) => kube::run(client, settings.clone(), store.clone(), Arc::clone(&observer)).await,
            Err(error) => {
                // Once a reason, not with every look.
                let why = error.to_string();
                if why != said {
                    tracing::warn!(error = why, category = %error.category(), "no way to the Kubernetes API server; looking again and again");
                    said = why;
                }
                kube::unreachable(&store, &error);
            }
        }
        tokio::time::sleep(NO_CLIENT_PAUSE).await;
    }
}

/// SIGTERM or SIGINT, heard from the call on and not only once it is waited for: a signal that comes right after the log says
/// that the daemon listens must not kill it. To be called within a runtime.
pub(super) fn end_requested() -> impl Future<Output = ()> {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async move {
        let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
            // Without handlers the signals end the process themselves.
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: finishing scrapes in flight"),
            _ = interrupt.recv() => tracing::info!("SIGINT: finishing scrapes in flight"),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn a_flag_wins_over_the_file_and_an_empty_one_does_not() {
        let mut config = Config { cluster_name: Some("file".to_owned()), ..Config::default() };
        config.aws.region = Some(String::new());
        let settings = |arguments: &[&str]| Settings::new(&Cli::try_parse_from(arguments).unwrap().serve, config.clone());
        assert_eq!(settings(&["x", "--cluster-name", "flag"]).aws.cluster_name.as_deref(), Some("flag"));
        assert_eq!(settings(&["x", "--cluster-name", ""]).aws.cluster_name.as_deref(), Some("file"));
        assert_eq!(settings(&["x"]).aws.region, None);
    }
}
