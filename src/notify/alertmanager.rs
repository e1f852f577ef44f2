//! How do alerts reach every Alertmanager? Each instance has a queue and a task of its own: a slow one delays no other.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};

use super::NotificationObserver;
use super::connection::{Connection, SetupError};
use super::lifecycle::Notice;
use super::queue::Queue;
use super::wire;
use crate::config::alerting::{Alertmanager, Dns};

/// Alerts of one request, as Prometheus does it.
const BATCH: usize = 256;
/// Alerts that wait for one instance at most.
const LIMIT: usize = 10_000;
/// How often a DNS name is looked up.
const LOOKUP: Duration = Duration::from_secs(30);
/// How long the daemon's start, or a reload, waits for a name. A resolver that is out of reach takes a minute to say so.
const FIRST_LOOKUP: Duration = Duration::from_secs(3);
/// The first wait after a failure; it doubles.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// All instances.
pub(super) struct Receivers {
    instances: Arc<Mutex<BTreeMap<Key, Instance>>>,
    observer: Arc<dyn NotificationObserver>,
    // Ends with this.
    _lookups: JoinSet<()>,
}

impl fmt::Debug for Receivers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receivers").finish_non_exhaustive()
    }
}

/// Which entry of the configuration, and which address of its name.
type Key = (usize, Option<IpAddr>);

struct Instance {
    receiver: Arc<str>,
    connection: Connection,
    queue: Arc<Queue>,
    origin: Origin,
    task: AbortHandle,
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What all instances of one entry have in common.
#[derive(Clone)]
struct Origin {
    generator_url: Arc<str>,
    observer: Arc<dyn NotificationObserver>,
}

impl Receivers {
    /// Sets up every receiver. Nothing is sent yet; names are looked up before this returns, unless that takes long.
    pub(super) async fn start(
        settings: &[Alertmanager],
        generator_url: &Arc<str>,
        observer: &Arc<dyn NotificationObserver>,
    ) -> Result<Self, SetupError> {
        let instances = Arc::new(Mutex::new(BTreeMap::new()));
        let mut lookups = JoinSet::new();
        let origin = Origin { generator_url: Arc::clone(generator_url), observer: Arc::clone(observer) };
        for (index, one) in settings.iter().enumerate() {
            let receiver: Arc<str> = one.to_string().into();
            observer.known(&receiver);
            if let Some(url) = &one.url {
                let connection = Connection::new(one, url, None)?;
                lock(&instances).insert((index, None), Instance::start(&receiver, connection, &origin));
            } else if let Some(dns) = &one.dns {
                // What is wrong with files and names is told now, not at the first address.
                Connection::new(one, &base(dns, IpAddr::from([127, 0, 0, 1])), Some(&dns.name))?;
                let mut lookup = Lookup {
                    index,
                    settings: one.clone(),
                    dns: dns.clone(),
                    receiver,
                    origin: origin.clone(),
                    instances: Arc::clone(&instances),
                    failed: false,
                };
                let is_done = is_done_soon(lookup.once()).await;
                if !is_done {
                    tracing::warn!(receiver = %lookup.receiver, "looking up the name takes long; nobody waits for it");
                }
                lookups.spawn(lookup.run(is_done));
            }
        }
        Ok(Self { instances, observer: Arc::clone(observer), _lookups: lookups })
    }

    /// Hands notices to every instance. It never waits.
    pub(super) fn send(&self, notices: Vec<Notice>) {
        let notices: Vec<_> = notices.into_iter().map(Arc::new).collect();
        if notices.is_empty() {
            return;
        }
        for instance in lock(&self.instances).values_mut() {
            instance.revive();
            self.observer.dropped(&instance.receiver, instance.queue.push(&notices));
        }
    }

    /// What the instances still hold of this daemon's alerts. An instance that does not answer is passed over.
    pub(super) async fn still_firing(&self, generator_url: &str) -> Vec<Notice> {
        let known: Vec<_> =
            lock(&self.instances).values().map(|one| (Arc::clone(&one.receiver), one.connection.clone())).collect();
        let asked = known.iter().map(|(receiver, connection)| async move {
            let answer = connection.get().await.map_err(|error| error.to_string());
            let read = answer.and_then(|body| wire::fired_by_us(&body, generator_url).map_err(|error| error.to_string()));
            read.unwrap_or_else(|error| {
                tracing::warn!(%receiver, error, "the alerts of an earlier run could not be read; what still holds fires anew");
                Vec::new()
            })
        });
        futures::future::join_all(asked).await.into_iter().flatten().collect()
    }
}

fn lock(instances: &Mutex<BTreeMap<Key, Instance>>) -> std::sync::MutexGuard<'_, BTreeMap<Key, Instance>> {
    // What a panicking holder left is still a list of instances.
    instances.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Instance {
    fn start(receiver: &Arc<str>, connection: Connection, origin: &Origin) -> Self {
        let queue = Arc::new(Queue::new(LIMIT));
        let task = Self::deliver(receiver, &connection, &queue, origin);
        Self { receiver: Arc::clone(receiver), connection, queue, origin: origin.clone(), task }
    }

    fn deliver(receiver: &Arc<str>, connection: &Connection, queue: &Arc<Queue>, origin: &Origin) -> AbortHandle {
        tokio::spawn(deliver(Arc::clone(receiver), connection.clone(), Arc::clone(queue), origin.clone())).abort_handle()
    }

    /// Delivering never ends by itself: where it has, it panicked, and an instance must not fall silent for that.
    fn revive(&mut self) {
        if self.task.is_finished() {
            tracing::error!(receiver = %self.receiver, "delivering alerts ended by a defect and is begun anew");
            self.task = Self::deliver(&self.receiver, &self.connection, &self.queue, &self.origin);
        }
    }
}

/// Says what waits, for ever. What fails for a moment is tried again, with anything newer in its place.
async fn deliver(receiver: Arc<str>, connection: Connection, queue: Arc<Queue>, origin: Origin) {
    let mut wait = SHORTEST_WAIT;
    // Each is told once in a series of failures.
    let (mut told_failing, mut told_refused) = (false, false);
    loop {
        let notices = queue.next(BATCH).await;
        let count = notices.len();
        match connection.post(wire::body(&notices, &origin.generator_url)).await {
            Ok(()) => {
                origin.observer.sent(&receiver, count);
                if told_failing || told_refused {
                    tracing::info!(%receiver, "alerts are delivered again");
                }
                (told_failing, told_refused) = (false, false);
                wait = SHORTEST_WAIT;
            }
            Err(error) => {
                origin.observer.failed(&receiver, count);
                if error.is_passing() {
                    if !std::mem::replace(&mut told_failing, true) {
                        tracing::warn!(%receiver, %error, alerts = count, "alerts were not delivered");
                    }
                    origin.observer.dropped(&receiver, queue.put_back(notices));
                } else if !std::mem::replace(&mut told_refused, true) {
                    tracing::warn!(%receiver, %error, alerts = count, "some alerts were refused and are not sent again as they are");
                }
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }
}

/// Keeps the instances behind a DNS name.
struct Lookup {
    index: usize,
    settings: Alertmanager,
    dns: Dns,
    receiver: Arc<str>,
    origin: Origin,
    instances: Arc<Mutex<BTreeMap<Key, Instance>>>,
    failed: bool,
}

impl Lookup {
    async fn run(mut self, is_done: bool) {
        if !is_done {
            self.once().await;
        }
        loop {
            tokio::time::sleep(LOOKUP).await;
            self.once().await;
        }
    }

    /// Looks the name up. Where that fails, the instances known before stay.
    async fn once(&mut self) {
        let Dns { name, port, .. } = &self.dns;
        let found: Vec<IpAddr> = match tokio::net::lookup_host((name.as_str(), *port)).await {
            Ok(found) => found.map(|address| address.ip()).collect(),
            Err(error) => {
                if !std::mem::replace(&mut self.failed, true) {
                    tracing::warn!(receiver = %self.receiver, %error, "the name could not be looked up; the addresses known before stay");
                }
                return;
            }
        };
        self.failed = false;
        let mut instances = lock(&self.instances);
        instances.retain(|(index, address), _| *index != self.index || address.is_some_and(|it| found.contains(&it)));
        for address in found {
            if instances.contains_key(&(self.index, Some(address))) {
                continue;
            }
            match Connection::new(&self.settings, &base(&self.dns, address), Some(name)) {
                Ok(connection) => {
                    let instance = Instance::start(&self.receiver, connection, &self.origin);
                    instances.insert((self.index, Some(address)), instance);
                }
                // The files were good at the start; they are being rotated, or were taken away.
                Err(error) => tracing::warn!(receiver = %self.receiver, %address, %error, "no way to a new instance"),
            }
        }
    }
}

/// Waits for the first lookup of a name, but not for long.
async fn is_done_soon(lookup: impl Future<Output = ()>) -> bool {
    tokio::time::timeout(FIRST_LOOKUP, lookup).await.is_ok()
}

fn base(dns: &Dns, address: IpAddr) -> String {
    let host = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
    format!("{}://{host}:{}{}", dns.scheme, dns.port, dns.path_prefix)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use jiff::Timestamp;

    use super::super::lifecycle::Count;
    use super::*;

    /// Panics when it first hears of a failure.
    #[derive(Debug, Default)]
    struct Fragile(AtomicUsize);

    impl NotificationObserver for Fragile {
        fn known(&self, _: &str) {}
        fn sent(&self, _: &str, _: usize) {}
        fn failed(&self, _: &str, _: usize) {
            assert!(self.0.fetch_add(1, Ordering::SeqCst) > 0, "a defect");
        }
        fn dropped(&self, _: &str, _: usize) {}
        fn alerts(&self, _: Count) {}
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_takes_long_holds_nothing_up() {
        let start = tokio::time::Instant::now();
        assert!(is_done_soon(async {}).await);
        assert!(!is_done_soon(std::future::pending()).await);
        assert_eq!(start.elapsed(), FIRST_LOOKUP);
    }

    #[tokio::test]
    async fn an_instance_whose_task_panicked_is_served_again() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let fragile = Arc::new(Fragile::default());
        let observer: Arc<dyn NotificationObserver> = Arc::<Fragile>::clone(&fragile);
        let settings = Alertmanager { url: Some(format!("http://{closed}")), ..Alertmanager::default() };
        let receivers = Receivers::start(&[settings], &"http://page/".into(), &observer).await.unwrap();
        let notice = Notice {
            labels: [("alertname".into(), "NLBZoneDark".into())].into_iter().collect(),
            annotations: BTreeMap::new(),
            starts_at: Timestamp::UNIX_EPOCH,
            ends_at: Timestamp::UNIX_EPOCH,
        };
        let failures = async || {
            while fragile.0.load(Ordering::SeqCst) < 2 {
                receivers.send(vec![notice.clone()]);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), failures()).await.expect("it is tried again");
    }
}
