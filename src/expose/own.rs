//! What does the exporter say of its own work? Counters of its calls, its configuration, its build.
//!
//! Held in ordered maps and written by collectors: `prometheus-client`'s own families come out in random order.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::histogram::Histogram;

use crate::checks::model::PREFIX;
use crate::expose::render::{describe, encode_gauge};
use crate::inventory::part::FailureCategory;
use crate::inventory::parts::source;
use crate::notify::NotificationObserver;
use crate::notify::lifecycle::Count;
use crate::sources::CallObserver;
use crate::version;

/// What kind of family this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnKind {
    /// Grows while the process lives; the name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Facts, value 1; the name ends in `_info`.
    Info,
    /// Counts by upper bound.
    Histogram,
}

impl OwnKind {
    fn metric_type(self) -> MetricType {
        match self {
            Self::Counter => MetricType::Counter,
            Self::Gauge => MetricType::Gauge,
            Self::Info => MetricType::Info,
            Self::Histogram => MetricType::Histogram,
        }
    }
}

/// A family about the exporter as data.
#[derive(Debug)]
pub struct OwnFamily {
    /// The name as the classic text format shows it, with `_total` and unit; without `PREFIX`.
    pub name: &'static str,
    /// The kind.
    pub kind: OwnKind,
    /// Label names.
    pub labels: &'static [&'static str],
    /// One sentence.
    pub help: &'static str,
}

macro_rules! families {
    ($table:ident: $doc:literal; $($family:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal),+ $(,)?) => {
        $(static $family: OwnFamily = OwnFamily { name: $name, kind: OwnKind::$kind, labels: &[$($label),*], help: $help };)+
        #[doc = $doc]
        pub static $table: &[&OwnFamily] = &[$(&$family),+];
    };
}

families! {
    ALWAYS: "Shown whatever `--web.disable-exporter-metrics` says: without them nobody can tell what runs and how it is set up.";
    BUILD_INFO = Info "exporter_build_info" ["version", "revision", "rustc"]
        "What is running: the exporter's version, its commit and the compiler that built it.",
    RELOAD_SUCCESSFUL = Gauge "config_last_reload_successful" []
        "Whether the last load of the configuration succeeded.",
    RELOAD_TIMESTAMP = Gauge "config_last_reload_success_timestamp_seconds" []
        "When the configuration was last loaded successfully.",
    WEB_RELOAD_SUCCESSFUL = Gauge "web_config_last_reload_successful" []
        "Whether the last load of the web configuration, its certificates included, succeeded; absent without one.",
    WEB_RELOAD_TIMESTAMP = Gauge "web_config_last_reload_success_timestamp_seconds" []
        "When the web configuration, its certificates included, was last loaded successfully; absent without one.",
}

families! {
    WORK: "The exporter's own work, in the order of exposition.";
    REQUESTS = Counter "aws_api_requests_total" ["api_service", "operation"]
        "Attempts of AWS API calls, failed ones and those that AWS asked to repeat included.",
    FAILURES = Counter "aws_api_request_failures_total" ["api_service", "operation", "reason"]
        "Attempts of AWS API calls that failed, by reason.",
    DURATION = Histogram "aws_api_request_duration_seconds" ["api_service", "operation"]
        "Duration of single attempts of AWS API calls, without the wait for the exporter's own budget.",
    BUDGET_WAIT = Counter "aws_api_budget_wait_seconds_total" ["api_service", "operation"]
        "Time that AWS API calls waited for the exporter's own budget.",
    UNKNOWN_VALUES = Counter "unknown_values_total" ["source"]
        "Values in answers that this version does not know, and objects that could not be decoded.",
    NOTIFICATIONS_SENT = Counter "notifications_sent_total" ["receiver"]
        "Alerts that an Alertmanager accepted, repetitions included; absent where none is configured.",
    NOTIFICATIONS_FAILED = Counter "notifications_failed_total" ["receiver"]
        "Alerts in requests that an Alertmanager did not accept, further tries included; absent where none is configured.",
    NOTIFICATIONS_DROPPED = Counter "notifications_dropped_total" ["receiver"]
        "Alerts thrown away because too many waited for an Alertmanager; absent where none is configured.",
    ALERTS = Gauge "alerts" ["state"]
        "Alerts of this daemon's own that are pending or firing; absent where no Alertmanager is configured.",
    REFUSALS = Counter "web_refusals_total" ["reason"]
        "Connections and requests that were turned away, by reason; busy: too many passwords were being compared.",
    PICTURES = Counter "pictures_total" []
        "Pictures that were rendered and served since the start.",
    RENDER_DURATION = Gauge "render_duration_seconds" []
        "How long it took to render and pack the picture that is served, in the forms asked for recently.",
}

/// From a fast answer within a Region to the time-out of an operation.
const BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0];

/// The exporter's own metrics.
#[derive(Debug, Default)]
pub struct OwnMetrics {
    numbers: Mutex<Numbers>,
    changes: AtomicU64,
}

#[derive(Debug)]
struct Numbers {
    calls: BTreeMap<(&'static str, &'static str), Calls>,
    /// Calls a second by service.
    allowed: BTreeMap<&'static str, f64>,
    unknown_values: BTreeMap<&'static str, u64>,
    notifications: BTreeMap<Box<str>, Notifications>,
    alerts: Option<Count>,
    reload_successful: Option<bool>,
    reloaded_at: Option<Timestamp>,
    web_reload_successful: Option<bool>,
    web_reloaded_at: Option<Timestamp>,
    refusals: [u64; Refusal::ALL.len()],
    pictures: u64,
    render_duration: Option<Duration>,
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            calls: BTreeMap::new(),
            allowed: BTreeMap::new(),
            unknown_values: source::ALL.iter().map(|source| (*source, 0)).collect(),
            notifications: BTreeMap::new(),
            alerts: None,
            reload_successful: None,
            reloaded_at: None,
            web_reload_successful: None,
            web_reloaded_at: None,
            refusals: [0; Refusal::ALL.len()],
            pictures: 0,
            render_duration: None,
        }
    }
}

/// Why a connection or a request was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// As many connections as allowed are there already.
    ConnectionLimit,
    /// No TLS came about: another protocol, no common version, a certificate that is not let in, or silence.
    Handshake,
    /// No right name and password.
    Credentials,
    /// Too many wait for the comparison of their passwords.
    Busy,
    /// The rate limit is reached.
    RateLimit,
}

impl Refusal {
    const ALL: [(Self, &'static str); 5] = [
        (Self::ConnectionLimit, "connection_limit"),
        (Self::Handshake, "handshake"),
        (Self::Credentials, "credentials"),
        (Self::Busy, "busy"),
        (Self::RateLimit, "rate_limit"),
    ];
}

/// What became of the alerts for one receiver.
#[derive(Debug, Clone, Copy, Default)]
struct Notifications {
    sent: u64,
    failed: u64,
    dropped: u64,
}

/// What is known of one operation: every reason counts from 0 as soon as the operation was seen.
#[derive(Debug)]
struct Calls {
    attempts: u64,
    failures: BTreeMap<FailureCategory, u64>,
    durations: Histogram,
    waited: Duration,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            attempts: 0,
            failures: FailureCategory::ALL.into_iter().map(|category| (category, 0)).collect(),
            durations: Histogram::new(BUCKETS),
            waited: Duration::ZERO,
        }
    }
}

/// What was asked of AWS by one operation.
#[derive(Debug, Clone)]
pub struct CallsOf {
    /// The service's IAM prefix.
    pub api_service: &'static str,
    /// The operation.
    pub operation: &'static str,
    /// Attempts, failed ones included.
    pub attempts: u64,
    /// Failed ones by reason, zeros included.
    pub failures: BTreeMap<FailureCategory, u64>,
    /// How long they waited for the budget.
    pub waited: Duration,
    /// Calls a second that the service's budget allows now; `None` before the first.
    pub allowed_per_second: Option<f64>,
}

impl OwnMetrics {
    /// Everything at 0.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The configuration was loaded, at the start or again, or could not be.
    pub fn config_loaded(&self, success: bool, now: Timestamp) {
        self.change(|numbers| {
            numbers.reload_successful = Some(success);
            if success {
                numbers.reloaded_at = Some(now);
            }
        });
    }

    /// The web configuration was loaded, at the start or again, or could not be.
    pub(crate) fn web_config_loaded(&self, success: bool, now: Timestamp) {
        self.change(|numbers| {
            numbers.web_reload_successful = Some(success);
            if success {
                numbers.web_reloaded_at = Some(now);
            }
        });
    }

    /// A connection or a request was turned away.
    pub(crate) fn refused(&self, why: Refusal) {
        self.change(|numbers| numbers.refusals[why as usize] += 1);
    }

    /// A picture was rendered and is served from now on.
    pub(crate) fn rendered(&self, took: Duration) {
        self.change(|numbers| {
            numbers.pictures += 1;
            numbers.render_duration = Some(took);
        });
    }

    /// Attempts of an operation so far.
    pub fn attempts(&self, api_service: &'static str, operation: &'static str) -> u64 {
        self.lock().calls.get(&(api_service, operation)).map_or(0, |calls| calls.attempts)
    }

    /// What was asked of AWS so far, by service and operation.
    pub fn calls(&self) -> Vec<CallsOf> {
        let numbers = self.lock();
        let all = numbers.calls.iter();
        all.map(|((api_service, operation), calls)| CallsOf {
            api_service,
            operation,
            attempts: calls.attempts,
            failures: calls.failures.clone(),
            waited: calls.waited,
            allowed_per_second: numbers.allowed.get(api_service).copied(),
        })
        .collect()
    }

    /// How often something has changed: what was written at the same count is still true.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    fn change(&self, change: impl FnOnce(&mut Numbers)) {
        let mut numbers = self.lock();
        change(&mut numbers);
        // Under the lock: whoever reads this count finds the change when the lock is free.
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// No call leaves the numbers half written, so those of a thread that panicked are still good.
    fn lock(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CallObserver for OwnMetrics {
    fn attempted(
        &self,
        api_service: &'static str,
        operation: &'static str,
        outcome: Result<(), FailureCategory>,
        took: Duration,
    ) {
        self.change(|numbers| {
            let calls = numbers.calls.entry((api_service, operation)).or_default();
            calls.attempts += 1;
            calls.durations.observe(took.as_secs_f64());
            if let Err(category) = outcome {
                *calls.failures.entry(category).or_default() += 1;
            }
        });
    }

    fn waited(&self, api_service: &'static str, operation: &'static str, waited: Duration) {
        self.change(|numbers| numbers.calls.entry((api_service, operation)).or_default().waited += waited);
    }

    fn allowed(&self, api_service: &'static str, per_second: f64) {
        // Shown by no metric: nothing rendered becomes untrue.
        self.lock().allowed.insert(api_service, per_second);
    }

    fn unknown_value(&self, source: &'static str) {
        self.change(|numbers| *numbers.unknown_values.entry(source).or_default() += 1);
    }
}

impl OwnMetrics {
    fn notified(&self, receiver: &str, add: impl FnOnce(&mut Notifications)) {
        self.change(|numbers| add(numbers.notifications.entry(receiver.into()).or_default()));
    }
}

impl NotificationObserver for OwnMetrics {
    fn known(&self, receiver: &str) {
        self.notified(receiver, |_| ());
    }

    fn sent(&self, receiver: &str, alerts: usize) {
        self.notified(receiver, |it| it.sent += alerts as u64);
    }

    fn failed(&self, receiver: &str, alerts: usize) {
        self.notified(receiver, |it| it.failed += alerts as u64);
    }

    fn dropped(&self, receiver: &str, alerts: usize) {
        if alerts > 0 {
            self.notified(receiver, |it| it.dropped += alerts as u64);
        }
    }

    fn alerts(&self, count: Count) {
        self.change(|numbers| numbers.alerts = Some(count));
    }
}

/// Writes the families of `ALWAYS`.
#[derive(Debug)]
pub(crate) struct AlwaysCollector(pub(crate) Arc<OwnMetrics>);

impl Collector for AlwaysCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let loads = {
            let numbers = self.0.lock();
            [
                (&RELOAD_SUCCESSFUL, numbers.reload_successful, &RELOAD_TIMESTAMP, numbers.reloaded_at),
                (&WEB_RELOAD_SUCCESSFUL, numbers.web_reload_successful, &WEB_RELOAD_TIMESTAMP, numbers.web_reloaded_at),
            ]
        };
        write(&mut encoder, &BUILD_INFO, |metric| {
            metric.encode_info(&[("version", version::VERSION), ("revision", version::REVISION), ("rustc", version::RUSTC)])
        })?;
        for (family, successful, at_family, reloaded_at) in loads {
            if let Some(successful) = successful {
                write(&mut encoder, family, |metric| metric.encode_gauge(&u64::from(successful)))?;
            }
            if let Some(at) = reloaded_at {
                write(&mut encoder, at_family, |metric| encode_gauge(metric, at.as_duration().as_secs_f64()))?;
            }
        }
        Ok(())
    }
}

/// Writes the families of `WORK`.
#[derive(Debug)]
pub(crate) struct WorkCollector(pub(crate) Arc<OwnMetrics>);

impl Collector for WorkCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let numbers = self.0.lock();
        if !numbers.calls.is_empty() {
            write_calls(&mut encoder, &numbers.calls)?;
        }
        write(&mut encoder, &UNKNOWN_VALUES, |metric| {
            numbers
                .unknown_values
                .iter()
                .try_for_each(|(source, count)| ConstCounter::new(*count).encode(metric.encode_family(&[("source", *source)])?))
        })?;
        if !numbers.notifications.is_empty() {
            write_notifications(&mut encoder, &numbers.notifications)?;
        }
        if let Some(count) = numbers.alerts {
            write(&mut encoder, &ALERTS, |metric| {
                let states = [("pending", count.pending), ("firing", count.firing)];
                states
                    .iter()
                    .try_for_each(|(state, count)| encode_gauge(&mut metric.encode_family(&[("state", *state)])?, *count as f64))
            })?;
        }
        write(&mut encoder, &REFUSALS, |metric| {
            Refusal::ALL.iter().try_for_each(|(why, reason)| {
                let count = numbers.refusals[*why as usize];
                ConstCounter::new(count).encode(metric.encode_family(&[("reason", *reason)])?)
            })
        })?;
        write(&mut encoder, &PICTURES, |metric| counter(metric, numbers.pictures))?;
        match numbers.render_duration {
            Some(took) => write(&mut encoder, &RENDER_DURATION, |metric| encode_gauge(metric, took.as_secs_f64())),
            None => Ok(()),
        }
    }
}

fn write_calls(encoder: &mut DescriptorEncoder<'_>, all: &BTreeMap<(&'static str, &'static str), Calls>) -> fmt::Result {
    let labels =
        |(api_service, operation): &(&'static str, &'static str)| [("api_service", *api_service), ("operation", *operation)];
    write(encoder, &REQUESTS, |metric| {
        all.iter().try_for_each(|(key, calls)| ConstCounter::new(calls.attempts).encode(metric.encode_family(&labels(key))?))
    })?;
    write(encoder, &FAILURES, |metric| {
        for (key, calls) in all {
            for (category, count) in &calls.failures {
                let [service, operation] = labels(key);
                let labels = [service, operation, ("reason", category.as_str())];
                ConstCounter::new(*count).encode(metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    })?;
    write(encoder, &DURATION, |metric| {
        all.iter().try_for_each(|(key, calls)| calls.durations.encode(metric.encode_family(&labels(key))?))
    })?;
    write(encoder, &BUDGET_WAIT, |metric| {
        all.iter().try_for_each(|(key, calls)| {
            ConstCounter::new(calls.waited.as_secs_f64()).encode(metric.encode_family(&labels(key))?)
        })
    })
}

fn write_notifications(encoder: &mut DescriptorEncoder<'_>, all: &BTreeMap<Box<str>, Notifications>) -> fmt::Result {
    let mut of = |family: &OwnFamily, count: fn(&Notifications) -> u64| {
        write(encoder, family, |metric| {
            all.iter().try_for_each(|(receiver, it)| {
                ConstCounter::new(count(it)).encode(metric.encode_family(&[("receiver", &**receiver)])?)
            })
        })
    };
    of(&NOTIFICATIONS_SENT, |it| it.sent)?;
    of(&NOTIFICATIONS_FAILED, |it| it.failed)?;
    of(&NOTIFICATIONS_DROPPED, |it| it.dropped)
}

fn counter(metric: &mut MetricEncoder<'_>, value: u64) -> fmt::Result {
    ConstCounter::new(value).encode(metric.encode_family(&NO_LABELS)?)
}

const NO_LABELS: [(&str, &str); 0] = [];

fn write(
    encoder: &mut DescriptorEncoder<'_>,
    family: &OwnFamily,
    samples: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result {
    let name = format!("{PREFIX}{}", family.name);
    samples(&mut describe(encoder, &name, family.help, family.kind.metric_type())?)
}

/// Writes a family of a single series without labels under a name of its own.
pub(crate) fn write_single(encoder: &mut DescriptorEncoder<'_>, family: &OwnFamily, value: f64) -> fmt::Result {
    let mut metric = describe(encoder, family.name, family.help, family.kind.metric_type())?;
    match family.kind {
        OwnKind::Counter => ConstCounter::new(value).encode(metric.encode_family(&NO_LABELS)?),
        _ => encode_gauge(&mut metric, value),
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::expose::negotiate::Format;
    use crate::expose::render;

    fn text(format: Format, own: &Arc<OwnMetrics>) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(AlwaysCollector(Arc::clone(own))));
        registry.register_collector(Box::new(WorkCollector(Arc::clone(own))));
        let mut text = String::new();
        render::encode(format, &registry, &mut text).unwrap();
        text
    }

    fn busy() -> Arc<OwnMetrics> {
        let own = OwnMetrics::new();
        own.attempted("ec2", "DescribeSubnets", Ok(()), Duration::from_millis(30));
        own.attempted("ec2", "DescribeSubnets", Err(FailureCategory::Throttled), Duration::from_millis(40));
        own.waited("ec2", "DescribeVpcs", Duration::from_millis(1500));
        own.unknown_value(source::TARGET_HEALTH);
        own.known("am:9093");
        own.sent("am:9093", 3);
        own.dropped("am:9093", 0);
        own.alerts(Count { pending: 1, firing: 2 });
        own.config_loaded(true, Timestamp::from_second(100).unwrap());
        own.config_loaded(false, Timestamp::from_second(200).unwrap());
        own.web_config_loaded(true, Timestamp::from_second(300).unwrap());
        own.refused(Refusal::Credentials);
        own.rendered(Duration::from_millis(10));
        own
    }

    #[test]
    fn attempts_failures_and_waits_are_counted_by_operation() {
        let text = text(Format::Text, &busy());
        for line in [
            "eks_nlb_aws_api_requests_total{api_service=\"ec2\",operation=\"DescribeSubnets\"} 2",
            "eks_nlb_aws_api_requests_total{api_service=\"ec2\",operation=\"DescribeVpcs\"} 0",
            "eks_nlb_aws_api_request_failures_total{api_service=\"ec2\",operation=\"DescribeSubnets\",reason=\"throttled\"} 1",
            "eks_nlb_aws_api_request_failures_total{api_service=\"ec2\",operation=\"DescribeSubnets\",reason=\"denied\"} 0",
            "eks_nlb_aws_api_request_duration_seconds_bucket{le=\"0.025\",api_service=\"ec2\",operation=\"DescribeSubnets\"} 0",
            "eks_nlb_aws_api_request_duration_seconds_count{api_service=\"ec2\",operation=\"DescribeSubnets\"} 2",
            "eks_nlb_aws_api_budget_wait_seconds_total{api_service=\"ec2\",operation=\"DescribeVpcs\"} 1.5",
            "eks_nlb_unknown_values_total{source=\"aws_target_health\"} 1",
            "eks_nlb_unknown_values_total{source=\"kube_services\"} 0",
            "eks_nlb_config_last_reload_successful 0",
            "eks_nlb_config_last_reload_success_timestamp_seconds 100",
            "eks_nlb_web_config_last_reload_successful 1",
            "eks_nlb_web_config_last_reload_success_timestamp_seconds 300",
            "eks_nlb_web_refusals_total{reason=\"credentials\"} 1",
            "eks_nlb_web_refusals_total{reason=\"handshake\"} 0",
            "eks_nlb_notifications_sent_total{receiver=\"am:9093\"} 3",
            "eks_nlb_notifications_failed_total{receiver=\"am:9093\"} 0",
            "eks_nlb_notifications_dropped_total{receiver=\"am:9093\"} 0",
            "eks_nlb_alerts{state=\"firing\"} 2",
            "eks_nlb_pictures_total 1",
            "eks_nlb_render_duration_seconds 0.01",
        ] {
            let without_le_order = text.lines().any(|found| same_series(found, line));
            assert!(without_le_order, "{line}\n{text}");
        }
    }

    /// Where `le` stands among the labels is the encoder's affair.
    fn same_series(a: &str, b: &str) -> bool {
        let parts = |line: &str| {
            let mut parts: Vec<_> = line.split(['{', ',', '}']).map(str::to_owned).collect();
            parts.sort();
            parts
        };
        parts(a) == parts(b)
    }

    #[test]
    fn a_new_exporter_says_what_it_is_and_nothing_it_does_not_know() {
        let text = text(Format::Text, &OwnMetrics::new());
        assert!(text.contains(&format!("eks_nlb_exporter_build_info{{version=\"{}\",revision=\"", version::VERSION)), "{text}");
        assert!(
            !text.contains("aws_api")
                && !text.contains("notifications")
                && !text.contains("reload")
                && !text.contains("render_duration"),
            "{text}"
        );
    }

    #[test]
    fn the_tables_name_what_is_written_in_both_formats() {
        let own = busy();
        for format in [Format::Text, Format::OpenMetrics] {
            let text = text(format, &own);
            let written: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
            let described: Vec<_> = ALWAYS
                .iter()
                .chain(WORK)
                .map(|family| match (format, family.kind) {
                    (Format::Text, OwnKind::Counter) => format!("{PREFIX}{} counter", family.name),
                    (Format::Text, OwnKind::Info) => format!("{PREFIX}{} gauge", family.name),
                    (Format::OpenMetrics, OwnKind::Counter) => {
                        format!("{PREFIX}{} counter", family.name.strip_suffix("_total").unwrap())
                    }
                    (Format::OpenMetrics, OwnKind::Info) => {
                        format!("{PREFIX}{} info", family.name.strip_suffix("_info").unwrap())
                    }
                    (_, OwnKind::Gauge) => format!("{PREFIX}{} gauge", family.name),
                    (_, OwnKind::Histogram) => format!("{PREFIX}{} histogram", family.name),
                })
                .collect();
            assert_eq!(written, described);
        }
    }
}
