//! Stage 4, tell unasked: the alerts of the shipped rules, pushed to Alertmanager for people without Prometheus' rules.
//!
//! Off unless the configuration names receivers. Same names, labels, thresholds and waits as the rules for every alert that
//! needs no history; a condition is judged with each picture.

pub mod lifecycle;

mod alertmanager;
mod conditions;
mod connection;
mod promql;
mod queue;
mod template;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::checks::model::Outcome;
use crate::clock;
use crate::config::alerting::Alerting;
use crate::rules::Rules;
use crate::rules::thresholds::ThresholdError;
use alertmanager::Receivers;
use conditions::Conditions;
pub use conditions::{Left, RuleError};
pub use connection::SetupError;
use lifecycle::{Count, Labels, Lifecycle, Pace};

/// Who wants to know what became of the notifications: the exporter's own metrics.
pub trait NotificationObserver: fmt::Debug + Send + Sync {
    /// There is such a receiver: its counters begin at 0.
    fn known(&self, receiver: &str);

    /// So many alerts were accepted.
    fn sent(&self, receiver: &str, alerts: usize);

    /// So many alerts were in a request that failed.
    fn failed(&self, receiver: &str, alerts: usize);

    /// So many alerts were thrown away unsent, since too many waited.
    fn dropped(&self, receiver: &str, alerts: usize);

    /// So many alerts are pending and firing.
    fn alerts(&self, count: Count);
}

/// What the daemon is to tell, and to whom.
#[derive(Debug, Clone)]
pub struct NotifySettings {
    /// The `alerting` section.
    pub alerting: Alerting,
    /// The rules, with the configured thresholds.
    pub rules: Rules,
    /// How long an alert that cannot be judged any more is repeated.
    pub blind_limit: Duration,
    /// Where a person looks it up: the link in each alert, by which this daemon knows its own alerts after a restart.
    pub generator_url: Arc<str>,
}

/// Why alerts cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// A receiver's settings.
    #[error("alerting.alertmanagers: {0}")]
    Setup(#[from] SetupError),
    /// A rule.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// A threshold.
    #[error("alerting.thresholds.{0}")]
    Threshold(#[from] ThresholdError),
}

impl NotifyError {
    /// The closed category.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Setup(_) => "setup",
            Self::Rule(_) => "rule",
            Self::Threshold(_) => "threshold",
        }
    }
}

/// What a rule's condition says of a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// The rule's name.
    pub name: &'static str,
    /// Its severity.
    pub severity: &'static str,
    /// Labels and value of each element; `None` where the picture cannot tell.
    pub vector: Option<Vec<(Labels, f64)>>,
}

/// Evaluates the condition of each rule that is judged here, as it is when alerts are sent.
pub fn evaluate_rules(rules: &Rules, outcome: &Outcome) -> Result<Vec<Evaluated>, RuleError> {
    Ok(Conditions::new(rules, &BTreeMap::new())?.evaluate(outcome))
}

/// Conditions are judged with each picture, and this often where no new one comes.
const INTERVAL: Duration = Duration::from_secs(15);
/// What was resolved is repeated as long as Prometheus does it.
const REPEAT_RESOLVED: Duration = Duration::from_secs(15 * 60);

/// Tells of every picture, for ever, as the configuration wants it: a notifier that comes by `successors` takes the place of the
/// one before; `None` means that nobody is told any more.
pub async fn run(
    first: Option<Notifier>,
    mut pictures: watch::Receiver<Option<Arc<Outcome>>>,
    mut successors: mpsc::UnboundedReceiver<Option<Notifier>>,
) {
    let mut current = first;
    if let Some(notifier) = &mut current {
        notifier.take_up().await;
    }
    loop {
        let next = match &mut current {
            Some(notifier) => tokio::select! {
                next = successors.recv() => next,
                () = notifier.tell(&mut pictures) => return,
            },
            None => successors.recv().await,
        };
        // The sender has gone: the daemon ends.
        let Some(mut next) = next else { return std::future::pending().await };
        match (&mut next, &mut current) {
            (Some(next), Some(before)) => next.succeed(before),
            (Some(next), None) => next.take_up().await,
            (None, Some(before)) => before.observer.alerts(Count::default()),
            (None, None) => {}
        }
        current = next;
    }
}

/// The alerts of this daemon and the way to those who hear of them.
#[derive(Debug)]
pub struct Notifier {
    conditions: Conditions,
    receivers: Receivers,
    lifecycle: Lifecycle,
    pace: Pace,
    generator_url: Arc<str>,
    /// Something in its alerts is its own.
    is_known_by_name: bool,
    observer: Arc<dyn NotificationObserver>,
}

impl Notifier {
    /// Sets everything up: what is wrong with rules, certificates and names is told now.
    pub async fn new(settings: &NotifySettings, observer: Arc<dyn NotificationObserver>) -> Result<Self, NotifyError> {
        let NotifySettings { alerting, rules, blind_limit, generator_url } = settings;
        let conditions = Conditions::new(rules, &alerting.external_labels)?;
        let receivers = Receivers::start(&alerting.alertmanagers, generator_url, &observer).await?;
        let resend = Duration::from_secs(alerting.resend_delay_seconds);
        let pace = Pace { resend, interval: INTERVAL.min(resend), repeat_resolved: REPEAT_RESOLVED, blind_limit: *blind_limit };
        let left: Vec<_> = conditions.left.iter().map(|(name, _)| *name).collect();
        tracing::info!(
            receivers = alerting.alertmanagers.len(),
            left = left.join(","),
            "alerts are sent to Alertmanager; those left need Prometheus"
        );
        Ok(Self {
            conditions,
            receivers,
            lifecycle: Lifecycle::default(),
            pace,
            generator_url: Arc::clone(generator_url),
            is_known_by_name: alerting.external_url.is_some() || !alerting.external_labels.is_empty(),
            observer,
        })
    }

    /// Tells of every picture, for ever.
    pub async fn run(mut self, mut pictures: watch::Receiver<Option<Arc<Outcome>>>) {
        self.take_up().await;
        self.tell(&mut pictures).await;
    }

    /// Goes on with what another one began: its alerts keep their start, and what only waits goes on waiting. What it did not
    /// get through to its receivers is said anew with its next turn.
    fn succeed(&mut self, other: &mut Self) {
        self.lifecycle = std::mem::take(&mut other.lifecycle);
    }

    async fn tell(&mut self, pictures: &mut watch::Receiver<Option<Arc<Outcome>>>) {
        loop {
            let now = clock::now();
            let picture = pictures.borrow_and_update().clone();
            if let Some(outcome) = picture {
                self.judge(&outcome, now);
            }
            self.receivers.send(self.lifecycle.due(self.pace, now));
            self.observer.alerts(self.lifecycle.count());
            let tick = tokio::time::sleep(self.pace.interval);
            tokio::select! {
                // A sender that has gone means that the daemon ends.
                Ok(()) = pictures.changed() => {}
                () = tick => {}
            }
        }
    }

    /// What an earlier run fired goes on firing, so that a restart makes no second page.
    async fn take_up(&mut self) {
        if !self.is_known_by_name {
            // What another cluster's daemon fires looks the same, and must not be ended from here.
            tracing::warn!(
                "neither alerting.external_url nor alerting.external_labels tells this daemon's alerts from another's: \
                 after a restart they start anew"
            );
            return;
        }
        let now = clock::now();
        for notice in self.receivers.still_firing(&self.generator_url).await {
            if let Some(rule) = self.conditions.rule_of(&notice.labels).filter(|_| notice.ends_at > now) {
                self.lifecycle.restore(rule, notice, now);
            }
        }
        let Count { firing, .. } = self.lifecycle.count();
        if firing > 0 {
            tracing::info!(firing, "alerts of an earlier run go on");
        }
    }

    fn judge(&mut self, outcome: &Outcome, now: jiff::Timestamp) {
        for (rule, waits, judgement) in self.conditions.judge(outcome, now) {
            self.lifecycle.judge(rule, waits, judgement, now);
        }
    }
}
