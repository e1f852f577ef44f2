//! What is served on /metrics? The observed part, rendered once a picture and only borrowed by scrapes, and a tail that is
//! written again whenever something in it has changed.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use prometheus_client::registry::Registry;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::checks::Judged;
use crate::checks::model::Outcome;
use crate::expose::gzip::{Head, Packer, Tail};
use crate::expose::negotiate::{Encoding, Form, Format};
use crate::expose::own::{AlwaysCollector, OwnMetrics, WorkCollector};
use crate::expose::process::ProcessCollector;
use crate::expose::render;

/// How old `process_*` may be. The rest of the tail is never older than its last change.
const PROCESS_AGE: Duration = Duration::from_secs(1);

/// How the exposition is made.
#[derive(Debug, Clone)]
pub struct ExpositionSettings {
    /// Whether the exporter's own work and `process_*` are shown.
    pub exporter_metrics: bool,
    /// Forms asked for within this time are rendered before a picture is shown, others when somebody asks.
    pub recently: Duration,
}

impl Default for ExpositionSettings {
    fn default() -> Self {
        Self { exporter_metrics: true, recently: Duration::from_secs(300) }
    }
}

/// Why there is no exposition.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExpositionError {
    /// The encoder refused a value.
    #[error("the metrics could not be encoded")]
    Encode(#[source] fmt::Error),
    /// The task that renders died.
    #[error("rendering the metrics did not come to its end")]
    Render(#[source] tokio::task::JoinError),
}

impl ExpositionError {
    /// The closed category.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Encode(_) => "encode",
            Self::Render(_) => "render",
        }
    }
}

/// One answer in two chunks.
#[derive(Debug)]
pub struct Exposed {
    /// The form.
    pub form: Form,
    /// The observed part, shared with every other answer from the same picture.
    pub observed: Bytes,
    /// The part about the exporter itself.
    pub fresh: Bytes,
}

/// The exposition.
pub struct Exposition {
    settings: ExpositionSettings,
    own: Arc<OwnMetrics>,
    about_us: Registry,
    tails: [Mutex<Option<Arc<Fresh>>>; Form::ALL.len()],
    shown: RwLock<Arc<Picture>>,
    /// Milliseconds after `started` at which each form was last asked for, plus one; 0 is never.
    asked: [AtomicU64; Form::ALL.len()],
    /// How large each form came out last, which the next one will nearly be.
    sizes: [AtomicUsize; Form::ALL.len()],
    started: Instant,
    next: Mutex<Option<Judged>>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl fmt::Debug for Exposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exposition").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The tail in one form, and until when it is true.
struct Fresh {
    changes: u64,
    written: Instant,
    tail: Packed,
}

enum Packed {
    Plain(Bytes),
    Gzip(Tail),
}

/// A picture and the forms that it has been rendered in.
struct Picture {
    judged: Option<Judged>,
    forms: [OnceCell<Head>; Form::ALL.len()],
}

impl Exposition {
    /// The exporter's own metrics, for whoever has something to count.
    pub fn own(&self) -> &Arc<OwnMetrics> {
        &self.own
    }

    /// An exposition with no picture yet: it shows the exporter's own metrics alone.
    pub fn new(own: Arc<OwnMetrics>, settings: ExpositionSettings) -> Arc<Self> {
        let mut about_us = Registry::default();
        about_us.register_collector(Box::new(AlwaysCollector(Arc::clone(&own))));
        if settings.exporter_metrics {
            about_us.register_collector(Box::new(WorkCollector(Arc::clone(&own))));
            about_us.register_collector(Box::new(ProcessCollector::new()));
        }
        let empty = Form::ALL.map(|form| OnceCell::new_with(Some(Head::empty(form.encoding))));
        Arc::new(Self {
            settings,
            own,
            about_us,
            tails: Default::default(),
            shown: RwLock::new(Arc::new(Picture { judged: None, forms: empty })),
            asked: Default::default(),
            sizes: Default::default(),
            started: Instant::now(),
            next: Mutex::default(),
            turn: Arc::default(),
        })
    }

    /// Renders a picture in the forms asked for recently, off the async threads, and then shows it.
    ///
    /// Scrapes see the one before until this one is whole. Of pictures published while one is being rendered only the newest is;
    /// each call returns when its picture or a newer one is shown.
    pub async fn publish(self: &Arc<Self>, judged: Judged) -> Result<(), ExpositionError> {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(judged);
        // The turn goes with the work, so that a caller who gives up cannot let an older picture overtake a newer one.
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let Some(judged) = self.next.lock().unwrap_or_else(PoisonError::into_inner).take() else { return Ok(()) };
        let this = Arc::clone(self);
        let work = spawn_blocking(move || {
            let result = this.show(judged);
            drop(turn);
            result
        });
        work.await.map_err(ExpositionError::Render)?.map_err(ExpositionError::Encode)
    }

    /// The picture that is shown, once there is one.
    pub fn latest(&self) -> Option<Judged> {
        self.picture().judged.clone()
    }

    /// An answer in this form. Copies nothing of the observed part, and waits only where its form was not asked for recently.
    pub async fn body(self: &Arc<Self>, form: Form) -> Result<Exposed, ExpositionError> {
        self.asked[form.index()].store(self.milliseconds() + 1, Ordering::Relaxed);
        let picture = self.picture();
        let head = match picture.forms[form.index()].get() {
            Some(head) => head.clone(),
            None => self.render_on_demand(picture, form).await?,
        };
        let fresh = self.fresh(form, &head).map_err(ExpositionError::Encode)?;
        Ok(Exposed { form, observed: head.bytes, fresh })
    }

    fn picture(&self) -> Arc<Picture> {
        Arc::clone(&self.shown.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }

    fn was_asked_recently(&self, form: Form) -> bool {
        let asked = self.asked[form.index()].load(Ordering::Relaxed);
        let recently = u64::try_from(self.settings.recently.as_millis()).unwrap_or(u64::MAX);
        asked > 0 && self.milliseconds().saturating_sub(asked - 1) <= recently
    }

    fn show(&self, judged: Judged) -> fmt::Result {
        let outcome = &judged.outcome;
        let start = std::time::Instant::now();
        let forms: [OnceCell<Head>; Form::ALL.len()] = Default::default();
        for format in [Format::Text, Format::OpenMetrics] {
            let [plain, packed] = [Encoding::Identity, Encoding::Gzip].map(|encoding| Form { format, encoding });
            let mut text = None;
            if self.was_asked_recently(plain) {
                let head = self.render(plain, outcome)?;
                text = Some(head.bytes.clone());
                forms[plain.index()].set(head).expect("nobody else has this picture yet");
            }
            if self.was_asked_recently(packed) {
                let head = match text {
                    Some(text) => self.pack(packed, |packer| {
                        packer.write_bytes(&text);
                        Ok(())
                    })?,
                    None => self.render(packed, outcome)?,
                };
                forms[packed.index()].set(head).expect("nobody else has this picture yet");
            }
        }
        self.own.rendered(start.elapsed());
        let picture = Arc::new(Picture { judged: Some(judged), forms });
        // The old picture is dropped after the lock is free: it may be a hundred thousand samples.
        let old = std::mem::replace(&mut *self.shown.write().unwrap_or_else(PoisonError::into_inner), picture);
        drop(old);
        Ok(())
    }

    async fn render_on_demand(self: &Arc<Self>, picture: Arc<Picture>, form: Form) -> Result<Head, ExpositionError> {
        let this = Arc::clone(self);
        // A task of its own: a client that hangs up must not stop what others wait for.
        let work = tokio::spawn(async move {
            let cell = &picture.forms[form.index()];
            let judged = picture.judged.as_ref().expect("the picture before the first has every form");
            let rendered = cell.get_or_try_init(|| async {
                let outcome = Arc::clone(&judged.outcome);
                let work = spawn_blocking(move || this.render(form, &outcome));
                work.await.map_err(ExpositionError::Render)?.map_err(ExpositionError::Encode)
            });
            rendered.await.cloned()
        });
        work.await.map_err(ExpositionError::Render)?
    }

    fn render(&self, form: Form, outcome: &Arc<Outcome>) -> Result<Head, fmt::Error> {
        match form.encoding {
            Encoding::Gzip => self.pack(form, |packer| render::write_picture(form.format, outcome, packer)),
            Encoding::Identity => {
                let expected = self.sizes[form.index()].load(Ordering::Relaxed);
                let mut text = String::with_capacity(expected + expected / 64);
                render::write_picture(form.format, outcome, &mut text)?;
                text.shrink_to_fit();
                self.sizes[form.index()].store(text.len(), Ordering::Relaxed);
                Ok(Head::plain(text.into()))
            }
        }
    }

    fn pack(&self, form: Form, write: impl FnOnce(&mut Packer) -> fmt::Result) -> Result<Head, fmt::Error> {
        let mut packer = Packer::new(self.sizes[form.index()].load(Ordering::Relaxed));
        write(&mut packer)?;
        let head = packer.finish();
        self.sizes[form.index()].store(head.bytes.len(), Ordering::Relaxed);
        Ok(head)
    }

    fn fresh(&self, form: Form, head: &Head) -> Result<Bytes, fmt::Error> {
        let lock = || self.tails[form.index()].lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().as_ref().map(Arc::clone);
        let still_true = |fresh: &Fresh| fresh.changes == self.own.changes() && fresh.written.elapsed() < PROCESS_AGE;
        let fresh = match known {
            Some(fresh) if still_true(&fresh) => fresh,
            // Scrapes that come now write it too, instead of waiting for this one.
            _ => {
                let fresh = Arc::new(self.write_tail(form)?);
                *lock() = Some(Arc::clone(&fresh));
                fresh
            }
        };
        Ok(match &fresh.tail {
            Packed::Plain(text) => text.clone(),
            Packed::Gzip(tail) => head.close(tail),
        })
    }

    fn write_tail(&self, form: Form) -> Result<Fresh, fmt::Error> {
        // Before the numbers are read: a change in between must not be taken for known.
        let (changes, written) = (self.own.changes(), Instant::now());
        let mut text = String::with_capacity(64 * 1024);
        render::encode(form.format, &self.about_us, &mut text)?;
        render::encode_end(form.format, &mut text)?;
        let tail = match form.encoding {
            Encoding::Identity => Packed::Plain(text.into()),
            Encoding::Gzip => Packed::Gzip(Tail::pack(text.as_bytes())),
        };
        Ok(Fresh { changes, written, tail })
    }
}

#[cfg(test)]
mod tests;
