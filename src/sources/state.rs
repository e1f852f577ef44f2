//! Where is what the exporter remembers kept over a restart, and when is it read and written? A ConfigMap, a file, or nowhere.
//!
//! It is read before the first comparison, so that what happened in between is noticed. What cannot be read for now is asked
//! for again and again while edits are remembered in memory, and put together with it later; what is corrupt is begun anew; and
//! what a newer version of this program wrote is left alone.

mod config_map;
pub(crate) mod file;
mod format;
mod recall;

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use self::config_map::ConfigMapPlace;
use self::format::FormatError;
pub use self::recall::{RecallError, recall};
use super::intern::Interner;
use super::kube::{KubeError, KubeSettings, failure};
use super::store::Store;
use crate::clock::now;
use crate::inventory::history::History;
use crate::inventory::part::{Failure, FailureCategory, Part};
use crate::inventory::parts::source;

/// The ConfigMap's name inside a cluster, unless told.
pub const CONFIG_MAP: &str = "eks-nlb-exporter-state";

/// Where to keep it, and how often to write.
#[derive(Debug, Clone)]
pub struct StateSettings {
    /// `--state.configmap`; empty for none.
    pub config_map: Option<String>,
    /// `--state.path`; it wins over a ConfigMap.
    pub path: Option<PathBuf>,
    /// How long changes gather before they are looked at.
    pub coalesce: Duration,
    /// At most one write in this time.
    pub least_pause: Duration,
    /// It is written this often even when nothing was edited, so that the time of an edit made while the exporter is down is
    /// known within these bounds.
    pub heartbeat: Duration,
    /// The first wait after a failure; it doubles.
    pub shortest_wait: Duration,
    /// The longest.
    pub longest_wait: Duration,
    /// How long reading or writing may take.
    pub answer_timeout: Duration,
    /// After so long without an answer, whatever the reason, edits are noticed in memory until there is one.
    pub patience: Duration,
}

impl Default for StateSettings {
    fn default() -> Self {
        Self {
            config_map: None,
            path: None,
            coalesce: Duration::from_secs(2),
            least_pause: Duration::from_secs(30),
            heartbeat: Duration::from_secs(3600),
            shortest_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(300),
            answer_timeout: Duration::from_secs(10),
            patience: Duration::from_secs(30),
        }
    }
}

/// Why the state cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// There is no way to the API server.
    #[error(transparent)]
    Client(#[from] KubeError),
    /// The API server refuses or fails.
    #[error("{}", failure::message(.source))]
    Api {
        /// What was asked, e.g. `get configmaps`.
        operation: &'static str,
        /// What it answered.
        #[source]
        source: kube::Error,
    },
    /// Somebody else wrote it meanwhile.
    #[error("somebody else wrote it at the same time")]
    Conflict,
    /// No answer in time.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// The file cannot be read or written.
    #[error("{source}")]
    File {
        /// `read` or `write`.
        operation: &'static str,
        /// Why.
        source: std::io::Error,
    },
}

impl StateError {
    /// The closed category.
    pub fn category(&self) -> FailureCategory {
        match self {
            Self::Client(error) => error.category(),
            Self::Api { source, .. } => failure::category(source),
            Self::Timeout(_) => FailureCategory::Timeout,
            Self::File { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => FailureCategory::Denied,
            Self::Conflict | Self::File { .. } => FailureCategory::Server,
        }
    }

    fn operation(&self) -> &'static str {
        match self {
            Self::Client(_) => "kubernetes client",
            Self::Api { operation, .. } => operation,
            Self::Conflict => "update configmaps",
            Self::Timeout(_) => "state",
            Self::File { operation, .. } => operation,
        }
    }
}

/// Where it is kept.
#[derive(Debug)]
enum Place {
    /// In the cluster.
    ConfigMap(Box<ConfigMapPlace>),
    /// On this machine.
    File(PathBuf),
    /// Nowhere.
    Memory,
}

impl Place {
    fn of(settings: &StateSettings, kube: &KubeSettings) -> Self {
        if let Some(path) = settings.path.as_ref().filter(|path| !path.as_os_str().is_empty()) {
            return Self::File(path.clone());
        }
        let in_cluster =
            || kube.url.is_none() && kube.kubeconfig.is_none() && kube.context.is_none() && kube::Config::incluster().is_ok();
        let name = match &settings.config_map {
            Some(name) => Some(name.clone()).filter(|name| !name.is_empty()),
            None => in_cluster().then(|| CONFIG_MAP.to_owned()),
        };
        name.map_or(Self::Memory, |name| Self::ConfigMap(Box::new(ConfigMapPlace::new(name, kube.clone()))))
    }

    fn describe(&self) -> String {
        match self {
            Self::ConfigMap(place) => format!("ConfigMap {}", place.name()),
            Self::File(path) => format!("file {}", path.display()),
            Self::Memory => "memory".to_owned(),
        }
    }

    async fn read(&mut self) -> Result<Option<Vec<u8>>, StateError> {
        match self {
            Self::ConfigMap(place) => place.read().await,
            Self::File(path) => {
                let path = path.clone();
                on_disk("read", move || file::read(&path)).await
            }
            Self::Memory => Ok(None),
        }
    }

    async fn write(&mut self, bytes: Vec<u8>) -> Result<(), StateError> {
        match self {
            Self::ConfigMap(place) => place.write(bytes).await,
            Self::File(path) => {
                let path = path.clone();
                on_disk("write", move || file::write(&path, &bytes)).await
            }
            Self::Memory => Ok(()),
        }
    }

    /// Keeps a copy of what cannot be read, where there is room for one.
    async fn put_aside(&self) -> String {
        let Self::File(path) = self else { return String::new() };
        let path = path.clone();
        match on_disk("write", move || file::put_aside(&path)).await {
            Ok(aside) => format!("; it is kept as {}", aside.display()),
            Err(error) => format!("; it could not be put aside ({error})"),
        }
    }
}

async fn on_disk<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, StateError> {
    let done = tokio::task::spawn_blocking(work).await.unwrap_or_else(|ended| Err(std::io::Error::other(ended)));
    done.map_err(|source| StateError::File { operation, source })
}

/// How far the reading has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing is compared before it is read.
    Reading,
    /// It is not read yet, and edits are noticed in memory.
    Waiting,
    /// It is read, and written from now on.
    Kept,
    /// It is left alone.
    Apart,
}

/// Notices edits for ever and keeps them, until `end` says to write once more and stop.
pub async fn run(settings: StateSettings, kube: KubeSettings, store: Store, mut end: oneshot::Receiver<()>) {
    let place = Place::of(&settings, &kube);
    let mut keeper = Keeper::new(place, settings, store);
    keeper.announce();
    let mut changes = keeper.store.subscribe();
    loop {
        changes.mark_unchanged();
        keeper.work(false).await;
        let wake = keeper.next();
        tokio::select! {
            // A sender that is gone means the same.
            _ = &mut end => break,
            Ok(()) = changes.changed() => tokio::select! {
                _ = &mut end => break,
                () = sleep(keeper.settings.coalesce) => {}
            },
            () = sleep_until(wake) => {}
        }
    }
    keeper.work(true).await;
}

struct Keeper {
    place: Place,
    settings: StateSettings,
    store: Store,
    history: History,
    phase: Phase,
    started: Instant,
    /// Something is not written yet.
    unsaved: bool,
    saved: Option<Instant>,
    /// Not before this time, after a failure.
    retry: Option<Instant>,
    wait: Duration,
    /// The trouble that was last told in the log.
    said: String,
}

impl Keeper {
    fn new(place: Place, settings: StateSettings, store: Store) -> Self {
        let phase = if matches!(place, Place::Memory) { Phase::Apart } else { Phase::Reading };
        Self {
            place,
            wait: settings.shortest_wait,
            settings,
            store,
            history: History::default(),
            phase,
            started: Instant::now(),
            unsaved: false,
            saved: None,
            retry: None,
            said: String::new(),
        }
    }

    fn announce(&self) {
        match &self.place {
            Place::Memory => tracing::warn!(
                "edits of annotations are remembered in memory only, and forgotten at a restart; --state.path or \
                 --state.configmap keeps them"
            ),
            place => tracing::info!(place = place.describe(), "edits of annotations are remembered over restarts"),
        }
    }

    /// Reads, compares and writes, each if it is time for it.
    async fn work(&mut self, ending: bool) {
        let may_try = ending || self.retry.is_none_or(|at| Instant::now() >= at);
        if matches!(self.phase, Phase::Reading | Phase::Waiting) && may_try && !ending {
            self.read().await;
        }
        if self.phase == Phase::Reading && self.started.elapsed() >= self.settings.patience {
            self.phase = Phase::Waiting;
        }
        if self.phase != Phase::Reading {
            self.observe();
        }
        let due = self.saved.is_none_or(|at| {
            let pause = if self.unsaved { self.settings.least_pause } else { self.settings.heartbeat };
            at.elapsed() >= pause
        });
        // Before the Services are known there is nothing worth keeping.
        if self.phase == Phase::Kept && self.history.observed_at.is_some() && may_try && (ending || due) {
            self.write().await;
        }
    }

    /// When there is something to do without any news.
    fn next(&self) -> Instant {
        let now = Instant::now();
        let heartbeat = now + self.settings.heartbeat;
        match self.phase {
            Phase::Apart => heartbeat,
            Phase::Reading | Phase::Waiting => {
                let patience = self.started + self.settings.patience;
                let retry = self.retry.unwrap_or(heartbeat);
                if self.phase == Phase::Reading && patience > now { retry.min(patience) } else { retry }
            }
            Phase::Kept => {
                let pause = if self.unsaved { self.settings.least_pause } else { self.settings.heartbeat };
                let due = match self.saved {
                    Some(at) => at + pause,
                    None if self.history.observed_at.is_some() => now,
                    None => heartbeat,
                };
                self.retry.map_or(due, |retry| retry.max(due))
            }
        }
    }

    fn observe(&mut self) {
        let parts = self.store.read();
        let at = now();
        if self.history.observe(&parts, at) {
            drop(parts);
            self.unsaved = true;
            let history = self.history.clone();
            self.store.update(|parts| parts.history = Part::fetched(history, at));
        }
    }

    async fn read(&mut self) {
        let allowed = self.settings.answer_timeout;
        let read = timeout(allowed, self.place.read()).await.unwrap_or(Err(StateError::Timeout(allowed)));
        match read {
            Ok(bytes) => {
                self.succeeded();
                self.take_up(bytes.as_deref()).await;
            }
            Err(error) => {
                if error.category() == FailureCategory::Denied && self.phase == Phase::Reading {
                    self.phase = Phase::Waiting;
                }
                self.failed(&error);
            }
        }
    }

    /// Goes on with what was kept.
    async fn take_up(&mut self, bytes: Option<&[u8]>) {
        let place = self.place.describe();
        let kept = match bytes.map(format::decode) {
            None => {
                tracing::info!(place, "nothing is remembered yet; every Service that has a load balancer is adopted as it is");
                None
            }
            Some(Ok(mut kept)) => {
                let interner = Interner::default();
                kept.share(|text| interner.get(text));
                tracing::info!(place, services = kept.services.len(), "what was remembered is taken up again");
                Some(kept.resume())
            }
            Some(Err(error)) => {
                let newer = matches!(error, FormatError::Newer(_));
                let aside = if newer {
                    "; it is left alone, and edits are remembered in memory".to_owned()
                } else {
                    self.place.put_aside().await
                };
                let why = format!("The state in the {place} cannot be used, so the history begins anew: {error}{aside}");
                tracing::error!("{why}");
                let lost = History::anew(now(), &why);
                if newer {
                    self.phase = Phase::Apart;
                    self.begin(Some(lost));
                    return;
                }
                Some(lost)
            }
        };
        self.phase = Phase::Kept;
        self.begin(kept);
    }

    /// Puts together what was kept and what was noticed meanwhile.
    fn begin(&mut self, kept: Option<History>) {
        let Some(mut kept) = kept else { return };
        if self.history.observed_at.is_some() {
            kept.absorb(&self.history);
        }
        self.history = kept;
        self.unsaved = true;
        let history = self.history.clone();
        self.store.update(|parts| parts.history = Part::fetched(history, now()));
    }

    async fn write(&mut self) {
        // Overtaken once is usual with two replicas; more than twice in a row waits for the next turn.
        for _ in 0..3 {
            self.history.note_unwell(&self.store.read());
            let history = self.history.clone();
            // Packing three thousand Services takes a few hundredths of a second.
            let Ok(bytes) = tokio::task::spawn_blocking(move || format::encode(&history)).await else { return };
            let allowed = self.settings.answer_timeout;
            let written = timeout(allowed, self.place.write(bytes)).await.unwrap_or(Err(StateError::Timeout(allowed)));
            match written {
                Ok(()) => {
                    (self.unsaved, self.saved) = (false, Some(Instant::now()));
                    return self.succeeded();
                }
                Err(StateError::Conflict) => {
                    if !self.read_again().await {
                        return;
                    }
                }
                Err(error) => return self.failed(&error),
            }
        }
        self.failed(&StateError::Conflict);
    }

    /// Takes in what somebody else wrote; whether to write again.
    async fn read_again(&mut self) -> bool {
        let allowed = self.settings.answer_timeout;
        let read = timeout(allowed, self.place.read()).await.unwrap_or(Err(StateError::Timeout(allowed)));
        match read.map(|bytes| bytes.as_deref().map(format::decode)) {
            Ok(Some(Ok(theirs))) => {
                self.history.absorb(&theirs);
                let history = self.history.clone();
                self.store.update(|parts| parts.history = Part::fetched(history, now()));
                true
            }
            Ok(Some(Err(FormatError::Newer(version)))) => {
                tracing::error!(
                    place = self.place.describe(),
                    version,
                    "a newer version of this program writes the state; it is left alone"
                );
                self.phase = Phase::Apart;
                false
            }
            // What is damaged or gone is replaced by what is known here.
            Ok(_) => true,
            Err(error) => {
                self.failed(&error);
                false
            }
        }
    }

    fn succeeded(&mut self) {
        if !std::mem::take(&mut self.said).is_empty() {
            tracing::info!(place = self.place.describe(), "the state can be kept again");
        }
        (self.retry, self.wait) = (None, self.settings.shortest_wait);
        self.report(None);
    }

    fn failed(&mut self, error: &StateError) {
        let why = error.to_string();
        // Once a reason, not with every try.
        if why != self.said {
            tracing::warn!(
                place = self.place.describe(),
                operation = error.operation(),
                category = %error.category(),
                error = why,
                "the state cannot be kept; edits are remembered in memory, and it is tried again and again"
            );
            self.said = why;
        }
        self.retry = Some(Instant::now() + self.wait);
        self.wait = (self.wait * 2).min(self.settings.longest_wait);
        self.report(Some(error));
    }

    fn report(&self, error: Option<&StateError>) {
        let failure = error.map(|error| {
            let message = format!("{}: {error}", self.place.describe());
            Failure { category: error.category(), operation: error.operation().to_owned(), message }.into()
        });
        let (at, interval_seconds) = (now(), self.settings.heartbeat.as_secs());
        self.store.update(|parts| {
            let sources = std::sync::Arc::make_mut(&mut parts.sources);
            let status = sources.entry(source::STATE.into()).or_default();
            status.interval_seconds = interval_seconds;
            status.last_attempt = Some(at);
            if failure.is_none() {
                status.last_success = Some(at);
            }
            status.failure = failure;
        });
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod untrusted;
