//! What happens when the configuration is to be read again? A good one is taken whole, a bad one changes nothing.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::clock;
use crate::config::Config;
use crate::config::policy::Policy;
use crate::expose::own::OwnMetrics;
use crate::expose::routes::Reload;

/// The configuration in force.
#[derive(Debug)]
pub(super) struct Configuration {
    started_with: Config,
    file: Option<PathBuf>,
    policy: watch::Sender<Arc<Policy>>,
    own: Arc<OwnMetrics>,
}

impl Configuration {
    /// What the daemon starts with.
    pub(super) fn new(config: Config, file: Option<PathBuf>, own: Arc<OwnMetrics>) -> Arc<Self> {
        own.config_loaded(true, clock::now());
        let policy = watch::Sender::new(Arc::new(config.policy.clone()));
        Arc::new(Self { started_with: config, file, policy, own })
    }

    /// The policy in force, and its successors.
    pub(super) fn policies(&self) -> watch::Receiver<Arc<Policy>> {
        self.policy.subscribe()
    }

    /// Reads the file again. The connections to AWS and Kubernetes stay as they are; a change of those needs a restart.
    fn reload(&self) -> Result<(), String> {
        let Some(file) = &self.file else { return Err("there is no --config.file to read again".to_owned()) };
        let loaded = Config::load(file);
        self.own.config_loaded(loaded.is_ok(), clock::now());
        match loaded {
            Ok(config) => {
                let comparable = Config { policy: self.started_with.policy.clone(), ..config.clone() };
                if comparable != self.started_with {
                    tracing::warn!("only the policy section takes effect by a reload; the rest needs a restart");
                }
                self.policy.send_replace(Arc::new(config.policy));
                tracing::info!(file = %file.display(), "the configuration was read again");
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "the configuration was not read again; the one before stays in force");
                Err(error.to_string())
            }
        }
    }

    /// What `POST /-/reload` does.
    pub(super) fn on_request(self: &Arc<Self>) -> Option<Reload> {
        self.file.as_ref()?;
        let this = Arc::clone(self);
        Some(Reload::new(move || std::future::ready(this.reload())))
    }

    /// Reads it again at each SIGHUP.
    pub(super) async fn reload_on_hangup(self: Arc<Self>) {
        let Ok(mut hangup) = signal(SignalKind::hangup()) else { return std::future::pending().await };
        while hangup.recv().await.is_some() {
            // Said in the log, and in a metric.
            let _ = self.reload();
        }
    }
}
