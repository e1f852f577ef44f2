//! What happens when the configuration is to be read again? A good one is taken whole, a bad one changes nothing.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::Signal;
use tokio::sync::{Mutex, mpsc, watch};

use crate::clock;
use crate::config::Config;
use crate::config::policy::Policy;
use crate::config::reference::needing_restart;
use crate::expose::own::OwnMetrics;
use crate::expose::routes::Reload;
use crate::notify::{NotificationObserver, Notifier, NotifyError, NotifySettings};
use crate::rules::Rules;

/// The configuration in force.
#[derive(Debug)]
pub(super) struct Configuration {
    started_with: Config,
    file: Option<PathBuf>,
    policy: watch::Sender<Arc<Policy>>,
    notifiers: mpsc::UnboundedSender<Option<Notifier>>,
    /// Where alerts link to unless the file says it; `None` where nobody is to be alerted whatever the file says.
    page: Option<String>,
    own: Arc<OwnMetrics>,
    /// Two reloads at once could end with the older file.
    one_at_a_time: Mutex<()>,
}

impl Configuration {
    /// What the daemon starts with: the configuration, who tells Alertmanager, and who will tell it after reloads.
    pub(super) async fn new(
        config: Config,
        file: Option<PathBuf>,
        page: Option<String>,
        own: Arc<OwnMetrics>,
    ) -> Result<(Arc<Self>, Option<Notifier>, mpsc::UnboundedReceiver<Option<Notifier>>), NotifyError> {
        let first = notifier(&config, page.as_deref(), &own).await?;
        own.config_loaded(true, clock::now());
        let policy = watch::Sender::new(Arc::new(config.policy.clone()));
        let (notifiers, successors) = mpsc::unbounded_channel();
        let one_at_a_time = Mutex::default();
        Ok((Arc::new(Self { started_with: config, file, policy, notifiers, page, own, one_at_a_time }), first, successors))
    }

    /// The policy in force, and its successors.
    pub(super) fn policies(&self) -> watch::Receiver<Arc<Policy>> {
        self.policy.subscribe()
    }

    /// Reads the file again. The connections to AWS and Kubernetes stay as they are; a change of those needs a restart.
    async fn reload(&self) -> Result<(), String> {
        let _one = self.one_at_a_time.lock().await;
        let Some(file) = &self.file else {
            tracing::warn!("there is no --config.file to read again");
            return Err("there is no --config.file to read again".to_owned());
        };
        let loaded = self.load(file).await;
        self.own.config_loaded(loaded.is_ok(), clock::now());
        match loaded {
            Ok((config, notifier)) => {
                let keys = needing_restart(&self.started_with, &config);
                if !keys.is_empty() {
                    tracing::warn!(keys = keys.join(","), "these keys were changed, and a change of them needs a restart");
                }
                // Where nobody was alerted and nobody is to be, nothing changes.
                let _ = self.notifiers.send(notifier);
                self.policy.send_replace(Arc::new(config.policy));
                tracing::info!(file = %file.display(), "the configuration was read again");
                Ok(())
            }
            Err(error) => {
                tracing::error!(error, "the configuration was not read again; the one before stays in force");
                Err(error)
            }
        }
    }

    /// Everything that can fail, before anything is taken.
    async fn load(&self, file: &std::path::Path) -> Result<(Config, Option<Notifier>), String> {
        let config = Config::load(file).map_err(|error| error.to_string())?;
        // A file is empty when its writer has only begun. It would be a good one: of the defaults, with nobody to alert.
        if std::fs::metadata(file).is_ok_and(|it| it.len() == 0) {
            return Err(format!("configuration file {} is empty; a comment in it asks for the defaults", file.display()));
        }
        let notifier = notifier(&config, self.page.as_deref(), &self.own).await.map_err(|error| error.to_string())?;
        Ok((config, notifier))
    }

    /// What `POST /-/reload` does.
    pub(super) fn on_request(self: &Arc<Self>) -> Option<Reload> {
        self.file.as_ref()?;
        let this = Arc::clone(self);
        Some(Reload::new(move || {
            let this = Arc::clone(&this);
            async move { this.reload().await }
        }))
    }

    /// Reads it again at each SIGHUP.
    pub(super) async fn reload_on_hangup(self: Arc<Self>, hangup: std::io::Result<Signal>) {
        let Ok(mut hangup) = hangup else { return std::future::pending().await };
        while hangup.recv().await.is_some() {
            // Said in the log, and in a metric.
            let _ = self.reload().await;
        }
    }
}

/// Who tells Alertmanager; nobody where none is configured.
async fn notifier(config: &Config, page: Option<&str>, own: &Arc<OwnMetrics>) -> Result<Option<Notifier>, NotifyError> {
    let Some(page) = page.filter(|_| !config.alerting.alertmanagers.is_empty()) else { return Ok(None) };
    let page = config.alerting.external_url.clone().unwrap_or_else(|| page.to_owned());
    let settings = NotifySettings {
        alerting: config.alerting.clone(),
        rules: Rules::new(&config.thresholds(), &config.alerting.links())?,
        blind_limit: config.policy.max_staleness(),
        generator_url: page.into(),
    };
    let observer: Arc<dyn NotificationObserver> = Arc::<OwnMetrics>::clone(own);
    Notifier::new(&settings, observer).await.map(Some)
}
