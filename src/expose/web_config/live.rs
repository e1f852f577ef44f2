//! What holds now? The file as it was last read well, and read again when it or a file it names has changed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::digest;
use axum_server::tls_rustls::RustlsConfig;
use http::{HeaderName, HeaderValue};
use rustls::ServerConfig;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::auth::Authenticator;
use super::rate::{Bucket, RateLimit};
use super::tls::Unusable;
use super::{WebConfig, WebConfigError};
use crate::clock;
use crate::expose::own::OwnMetrics;

/// How often to look whether a file has changed. A few small reads.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The web configuration in force.
#[derive(Debug)]
pub struct LiveWebConfig {
    path: PathBuf,
    /// What handshakes take; none where plain HTTP is served.
    tls: Option<RustlsConfig>,
    rules: RwLock<Arc<Rules>>,
    /// What was last read, good or bad. Held while reading, so that two readings do not overtake each other.
    read: Mutex<Read>,
}

/// What was read: the files, and what they looked like.
#[derive(Debug)]
struct Read {
    files: Vec<PathBuf>,
    looks: Option<Look>,
    /// What they were seen to look like since, once.
    changed: Option<Look>,
}

/// The files' contents, as a digest: keys are not kept.
type Look = [u8; 32];

/// What holds for each request.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) authenticator: Arc<Authenticator>,
    rate: Option<Arc<Rate>>,
}

/// A rate limit at work.
#[derive(Debug)]
struct Rate {
    limit: RateLimit,
    start: Instant,
    bucket: Mutex<Bucket>,
}

/// What came of reading everything.
type Loaded = Result<(WebConfig, Option<ServerConfig>), WebConfigError>;

impl Rules {
    /// What did not change goes on: passwords that were found right, and a bucket that is empty.
    fn new(config: WebConfig, before: Option<&Self>) -> Self {
        let WebConfig { headers, users, rate_limit, .. } = config;
        let authenticator = match before {
            Some(before) if *before.authenticator.users() == users => Arc::clone(&before.authenticator),
            _ => Arc::new(Authenticator::new(users)),
        };
        let rate = rate_limit.map(|limit| match before.and_then(|before| before.rate.as_ref()) {
            Some(same) if same.limit == limit => Arc::clone(same),
            _ => Arc::new(Rate { limit, start: Instant::now(), bucket: Mutex::new(limit.bucket()) }),
        });
        Self { headers, authenticator, rate }
    }

    /// Whether the rate limit has something left; takes it.
    pub(super) fn may_ask_now(&self) -> bool {
        self.rate.as_ref().is_none_or(|rate| {
            let mut bucket = rate.bucket.lock().unwrap_or_else(PoisonError::into_inner);
            bucket.take(rate.start.elapsed())
        })
    }
}

/// Reads everything. The first value names the files, as far as they are known.
fn load(path: &Path) -> (Vec<PathBuf>, Loaded) {
    let mut files = vec![path.to_owned()];
    let config = std::fs::read_to_string(path)
        .map_err(|source| WebConfigError::Read { path: path.to_owned(), source })
        .and_then(|text| WebConfig::parse(&text, path));
    let loaded = config.and_then(|config| {
        let Some(settings) = &config.tls else { return Ok((config, None)) };
        files.extend(settings.files());
        match settings.server_config() {
            Ok(server) => Ok((config, Some(server))),
            Err(Unusable { key, message }) => Err(WebConfigError::Material { path: path.to_owned(), key, message }),
        }
    });
    (files, loaded)
}

/// Reads everything, and notes what the files looked like before: a change in between is seen at the next look, not lost.
fn load_noting(path: &Path, read: &mut Read) -> Loaded {
    let mut looks = look(&read.files);
    let (mut files, mut loaded) = load(path);
    if files != read.files {
        // Only now are the files known.
        looks = look(&files);
        let before = files;
        (files, loaded) = load(path);
        read.looks = (files == before).then_some(looks);
    } else {
        read.looks = Some(looks);
    }
    read.files = files;
    loaded
}

fn look(files: &[PathBuf]) -> Look {
    let mut context = digest::Context::new(&digest::SHA256);
    for file in files {
        match std::fs::read(file) {
            Ok(bytes) => {
                context.update(&(bytes.len() as u64).to_be_bytes());
                context.update(&bytes);
            }
            Err(error) => context.update(error.kind().to_string().as_bytes()),
        }
    }
    context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
}

impl LiveWebConfig {
    /// Reads the file for the first time.
    pub fn load(path: &Path) -> Result<Self, WebConfigError> {
        let mut read = Read { files: vec![path.to_owned()], looks: None, changed: None };
        let (config, server) = load_noting(path, &mut read)?;
        for warning in &config.warnings {
            tracing::warn!(file = %path.display(), "{warning}");
        }
        Ok(Self {
            path: path.to_owned(),
            tls: server.map(|server| RustlsConfig::from_config(Arc::new(server))),
            rules: RwLock::new(Arc::new(Rules::new(config, None))),
            read: Mutex::new(read),
        })
    }

    /// What handshakes take, always the newest; `None` where plain HTTP is served.
    pub(crate) fn tls(&self) -> Option<RustlsConfig> {
        self.tls.clone()
    }

    pub(super) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads everything again. A mistake changes nothing.
    pub fn reload(&self) -> Result<(), WebConfigError> {
        let mut read = self.lock();
        self.reload_locked(&mut read)
    }

    fn reload_locked(&self, read: &mut Read) -> Result<(), WebConfigError> {
        let (config, server) = load_noting(&self.path, read)?;
        match (&self.tls, server) {
            (Some(tls), Some(server)) => tls.reload_from_config(Arc::new(server)),
            (None, None) => {}
            (before, _) => return Err(WebConfigError::Switched { path: self.path.clone(), enabled: before.is_some() }),
        }
        let rules = Arc::new(Rules::new(config, Some(&self.rules())));
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Read> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads everything again if something has changed and then stood still from one look to the next: the beginning of a file that
    /// is being written may be a good one, without the passwords that come after it.
    fn reload_if_changed(&self) -> Option<Result<(), WebConfigError>> {
        let mut read = self.lock();
        let looks = look(&read.files);
        let has_changed = read.looks != Some(looks);
        let stands_still = read.changed == Some(looks);
        read.changed = has_changed.then_some(looks);
        (has_changed && stands_still).then(|| self.reload_locked(&mut read))
    }

    /// Reads it again when asked to, says how it went, and counts it.
    pub fn reload_and_tell(&self, own: &OwnMetrics) -> Result<(), String> {
        self.tell(self.reload(), own)
    }

    fn tell(&self, result: Result<(), WebConfigError>, own: &OwnMetrics) -> Result<(), String> {
        own.web_config_loaded(result.is_ok(), clock::now());
        let file = self.path.display();
        match result {
            Ok(()) => {
                tracing::info!(%file, "the web configuration was read again");
                Ok(())
            }
            Err(error) => {
                let sentence = sentence(&error);
                tracing::error!(
                    error = sentence,
                    category = error.category(),
                    "the web configuration was not read again; the one before stays in force"
                );
                Err(sentence)
            }
        }
    }

    /// Looks for changes, for ever.
    pub(crate) async fn watch(self: Arc<Self>, own: Arc<OwnMetrics>) {
        own.web_config_loaded(true, clock::now());
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let this = Arc::clone(&self);
            if let Ok(Some(result)) = tokio::task::spawn_blocking(move || this.reload_if_changed()).await {
                // Said in the log, and in a metric.
                let _ = self.tell(result, &own);
            }
        }
    }
}

/// The error and its causes.
fn sentence(error: &WebConfigError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_file_that_is_being_written_is_not_taken_for_all_of_it() {
        const HASH: &str = "$2y$04$DB0VvDIxX7s2rbyHGHdeM.TtJ.ZmfYyfGIbTxBD2LfZ9WnSvFZ8pC";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.yml");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        write(&format!("basic_auth_users:\n  alice: {HASH}\n"));
        let live = LiveWebConfig::load(&path).unwrap();
        let has_users = || !live.rules().authenticator.users().is_empty();
        assert!(live.reload_if_changed().is_none() && has_users());

        // Emptied, filled by and by, and whole.
        for beginning in ["", "# Who may scrape\n", "http_server_config: {headers: {X-Frame-Options: deny}}\n"] {
            write(beginning);
            assert!(live.reload_if_changed().is_none() && has_users(), "{beginning}");
        }
        write(&format!("http_server_config: {{headers: {{X-Frame-Options: deny}}}}\nbasic_auth_users:\n  bob: {HASH}\n"));
        assert!(live.reload_if_changed().is_none());
        assert!(live.reload_if_changed().unwrap().is_ok());
        assert_eq!((live.rules().headers.len(), has_users()), (1, true));
        assert!(live.reload_if_changed().is_none(), "once");

        // Who wants no passwords any more, and who asks for it.
        write("rate_limit: {interval: 1s, burst: 1}\n");
        assert!(live.reload_if_changed().is_none() && has_users());
        assert!(live.reload_if_changed().unwrap().is_ok() && !has_users());
        write("# nothing\n");
        live.reload().unwrap();
        assert!(live.rules().rate.is_none());
    }
}
