//! How is one kind watched for ever? Lists, changes, failures and signs of life of one watch become news of its source.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use kube::api::ObjectMeta;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, sleep, sleep_until};

use super::KubeSettings;
use super::backoff::Backoff;
use super::batch::Batch;
use super::failure::{Trouble, trouble};
use super::pulse::observed;
use super::report::{Change, Report};
use crate::clock::now;
use crate::inventory::ids::ObjectName;
use crate::inventory::part::{Failure, FailureCategory};
use crate::inventory::parts::Parts;
use crate::sources::CallObserver;

/// Beyond the time-outs of a watch and of an answer: without a sign of life for this long all is begun anew.
const PATIENCE: Duration = Duration::from_secs(15);

/// What the log repeats of why an object cannot be read.
const LONGEST_COMPLAINT: usize = 300;

/// Why an object is of no use.
#[derive(Debug)]
pub(super) struct Undecodable(pub(super) String);

/// What is made of the objects of a watch.
pub(super) trait Subject: Send {
    /// The object as it comes.
    type Object: Resource + DeserializeOwned + Clone + fmt::Debug + Send + 'static;
    /// What is kept of it.
    type Value: Send;

    /// Reads an object; `None` for one that is none of ours.
    fn read(&self, object: Self::Object) -> Result<Option<Self::Value>, Undecodable>;

    /// Whether objects of this watch are known; for kinds that may be absent.
    fn knows_any(&self, _known: &Parts) -> bool {
        false
    }

    /// What a batch changes in what is known; `None` where it is no news.
    fn commit(&mut self, known: &Parts, batch: Batch<Self::Value>, now: Timestamp) -> Option<Change>;
}

/// Makes the API of a kind from a client: of all namespaces or of one; of that of its versions.
pub(super) type MakeApi<K> = Box<dyn Fn(Client, usize) -> Api<DeserializeGuard<K>> + Send + Sync>;

/// What is watched.
pub(super) struct Scope<K> {
    /// The kind and its namespace.
    pub(super) api: MakeApi<K>,
    /// What a person calls it, e.g. `services`, `targetgroupbindings.elbv2.k8s.aws`.
    pub(super) label: &'static str,
    /// Selectors.
    pub(super) config: watcher::Config,
    /// The kind may not exist in a healthy cluster.
    pub(super) may_be_absent: bool,
    /// In how many versions it may be served.
    pub(super) versions: usize,
}

impl<K> Scope<K> {
    /// All objects of a kind that every cluster has.
    pub(super) fn all(label: &'static str, api: impl Fn(Client) -> Api<DeserializeGuard<K>> + Send + Sync + 'static) -> Self {
        let api = move |client, _| api(client);
        Self { api: Box::new(api), label, config: watcher::Config::default(), may_be_absent: false, versions: 1 }
    }

    /// All objects of a kind that a cluster may not have, or have in one of these versions only; the first is tried first.
    pub(super) fn served_as<V: Copy + Send + Sync + 'static>(
        label: &'static str,
        versions: &'static [V],
        api: impl Fn(Client, V) -> Api<DeserializeGuard<K>> + Send + Sync + 'static,
    ) -> Self {
        let api = move |client, version: usize| api(client, versions[version % versions.len()]);
        Self { api: Box::new(api), label, config: watcher::Config::default(), may_be_absent: true, versions: versions.len() }
    }
}

/// What every watch of this program shares.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub(super) settings: KubeSettings,
    pub(super) observer: Arc<dyn CallObserver>,
}

/// Watches for ever.
pub(super) async fn watch<S: Subject>(
    subject: &mut S,
    client: &Client,
    scope: &Scope<S::Object>,
    report: &Report,
    context: &Context,
) {
    let (client, opened) = observed(client, context.settings.answer_timeout);
    let mut watching = Watching {
        operation: format!("watch {}", scope.label),
        subject,
        report,
        context,
        may_be_absent: scope.may_be_absent,
        versions: scope.versions,
        version: 0,
        not_served: 0,
        backoff: Backoff::new(context.settings.shortest_wait, context.settings.longest_wait),
        batch: Batch::default(),
        listing: None,
        unreadable: BTreeSet::new(),
        complete: false,
        absent_since: None,
        flush_at: None,
    };
    let seconds = u32::try_from(context.settings.watch_timeout.as_secs()).unwrap_or(u32::MAX).clamp(1, 290);
    let config = scope.config.clone().timeout(seconds).page_size(context.settings.page_size);
    loop {
        let api = (scope.api)(client.clone(), watching.version);
        watching.one_stream(api, config.clone(), opened.clone()).await;
    }
}

/// The state of a watch across its reconnections.
struct Watching<'a, S: Subject> {
    operation: String,
    subject: &'a mut S,
    report: &'a Report,
    context: &'a Context,
    may_be_absent: bool,
    versions: usize,
    /// Which of the versions is watched.
    version: usize,
    /// How many of them were found not to be served, in a row.
    not_served: usize,
    backoff: Backoff,
    batch: Batch<S::Value>,
    /// A list that is arriving: nobody sees half of it.
    listing: Option<BTreeMap<ObjectName, S::Value>>,
    unreadable: BTreeSet<ObjectName>,
    /// At least one list was complete.
    complete: bool,
    absent_since: Option<Instant>,
    flush_at: Option<Instant>,
}

impl<S: Subject> Watching<'_, S> {
    /// Reads one stream until it has to be made anew.
    async fn one_stream(
        &mut self,
        api: Api<DeserializeGuard<S::Object>>,
        config: watcher::Config,
        mut opened: Receiver<Option<Timestamp>>,
    ) {
        let settings = &self.context.settings;
        let patience = settings.watch_timeout + settings.answer_timeout + PATIENCE;
        opened.mark_unchanged();
        let mut stream = pin!(watcher(api, config));
        let mut give_up_at = Instant::now() + patience;
        loop {
            if self.flush_at.is_some_and(|at| at <= Instant::now()) {
                self.flush(false);
            }
            let wake = self.flush_at.map_or(give_up_at, |at| at.min(give_up_at));
            tokio::select! {
                item = stream.next() => match item {
                    Some(Ok(event)) => {
                        self.take(event);
                        give_up_at = Instant::now() + patience;
                    }
                    Some(Err(error)) => {
                        self.flush(false);
                        if self.recover(&error).await {
                            return;
                        }
                        give_up_at = Instant::now() + patience;
                    }
                    None => return,
                },
                _ = opened.changed() => {
                    opened.mark_unchanged();
                    self.backoff.succeeded(Instant::now());
                    give_up_at = Instant::now() + patience;
                    // While a list is arriving, what is known is still the old one.
                    if self.complete && self.listing.is_none() {
                        self.flush(true);
                    }
                }
                () = sleep_until(wake) => {
                    if Instant::now() >= give_up_at {
                        let message = format!("no sign of life for {} s", patience.as_secs());
                        let category = FailureCategory::Timeout;
                        self.fail(Failure { category, operation: self.operation.clone(), message });
                        return;
                    }
                }
            }
        }
    }

    fn take(&mut self, event: Event<DeserializeGuard<S::Object>>) {
        match event {
            Event::Init => {
                self.flush(false);
                self.listing = Some(BTreeMap::new());
                self.batch.unreadable.clear();
            }
            Event::InitApply(object) => {
                let Some(name) = name_of(object.meta()) else { return };
                let listing = self.listing.get_or_insert_default();
                match read(self.subject, object) {
                    Ok(Some(value)) => {
                        listing.insert(name, value);
                    }
                    Ok(None) => {}
                    Err(error) => {
                        self.batch.unreadable.insert(name.clone());
                        self.complain(&name, &error);
                    }
                }
            }
            Event::InitDone => {
                self.unreadable = self.batch.unreadable.clone();
                self.batch.list = self.listing.take();
                self.batch.changes.clear();
                self.complete = true;
                self.absent_since = None;
                self.not_served = 0;
                self.flush(true);
            }
            Event::Apply(object) => {
                let Some(name) = name_of(object.meta()) else { return };
                match read(self.subject, object) {
                    Ok(value) => {
                        self.unreadable.remove(&name);
                        self.batch.changes.insert(name, value);
                    }
                    Err(error) => {
                        self.complain(&name, &error);
                        self.unreadable.insert(name);
                    }
                }
                self.flush_soon();
            }
            Event::Delete(object) => {
                let Some(name) = name_of(object.meta()) else { return };
                self.unreadable.remove(&name);
                self.batch.changes.insert(name, None);
                self.flush_soon();
            }
        }
    }

    fn complain(&self, name: &ObjectName, error: &Undecodable) {
        // It may repeat a value of any length.
        let error: String = error.0.chars().take(LONGEST_COMPLAINT).collect();
        self.context.observer.unknown_value(self.report.source());
        // Said once an object, and not with each heartbeat or list in which it is still the same.
        if self.unreadable.contains(name) {
            tracing::debug!(source = self.report.source(), object = %name, error, "still cannot read an object");
        } else {
            tracing::warn!(source = self.report.source(), object = %name, error, "cannot read an object, it is left out");
        }
    }

    fn flush_soon(&mut self) {
        self.flush_at.get_or_insert_with(|| Instant::now() + self.context.settings.coalesce);
    }

    /// Hands over what has gathered. `alive`: the server just said that this is the present.
    fn flush(&mut self, alive: bool) {
        self.flush_at = None;
        let now = now();
        let batch = std::mem::take(&mut self.batch);
        let (missing, brought) = (self.unreadable.len() as u64, batch.list.is_some() || !batch.changes.is_empty());
        let change = if brought { self.subject.commit(&self.report.known(), batch, now) } else { None };
        if change.is_some() || alive || (self.complete && self.report.is_behind(missing)) {
            if self.report.is_failing() && alive {
                tracing::info!(source = self.report.source(), "{} works again", self.operation);
            }
            self.report.succeeded(change, missing, now);
        }
    }

    /// Records what went wrong and waits. Whether the stream has to be made anew.
    async fn recover(&mut self, error: &watcher::Error) -> bool {
        let instant = Instant::now();
        let anew = match trouble(&self.operation, error) {
            // Only the stream itself knows to list again where the watch told it; where opening the watch failed it would
            // go on asking for the version that is forgotten.
            Trouble::Gone => {
                self.listing = None;
                sleep(self.backoff.forgotten(instant)).await;
                return true;
            }
            Trouble::Failed(failure) if failure.category == FailureCategory::NotFound && self.may_be_absent => {
                self.version = (self.version + 1) % self.versions;
                self.not_served += 1;
                if self.not_served < self.versions {
                    // Perhaps in another version: that is one question more, and no failure.
                    self.listing = None;
                    return true;
                }
                self.not_served = 0;
                self.kind_is_absent(instant, failure);
                self.complete = false;
                true
            }
            Trouble::Failed(failure) => {
                self.absent_since = None;
                self.fail(failure);
                false
            }
        };
        self.listing = None;
        sleep(self.backoff.failed(instant)).await;
        anew
    }

    /// The kind is not served. Where objects of it are known that is believed only after a while: an API server that is
    /// starting may not know its custom kinds yet, and forgetting every binding for a moment would be a false alarm.
    fn kind_is_absent(&mut self, instant: Instant, failure: Failure) {
        let since = *self.absent_since.get_or_insert(instant);
        let known = self.report.known();
        if self.subject.knows_any(&known) && instant.duration_since(since) < self.context.settings.absent_after {
            self.fail(failure);
            return;
        }
        let now = now();
        let nothing = Batch { list: Some(BTreeMap::new()), ..Batch::default() };
        let change = self.subject.commit(&known, nothing, now);
        self.unreadable.clear();
        self.report.absent(change, now);
    }

    fn fail(&self, failure: Failure) {
        let (category, text) = (failure.category, failure.to_string());
        if self.report.failed(failure, now()) {
            tracing::warn!(source = self.report.source(), reason = %category, "{text}");
        } else {
            tracing::debug!(source = self.report.source(), reason = %category, "{text}");
        }
    }
}

fn read<S: Subject>(subject: &S, object: DeserializeGuard<S::Object>) -> Result<Option<S::Value>, Undecodable> {
    match object.0 {
        Ok(object) => subject.read(object),
        Err(error) => Err(Undecodable(error.error)),
    }
}

fn name_of(metadata: &ObjectMeta) -> Option<ObjectName> {
    Some(ObjectName::new(metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref()?))
}
