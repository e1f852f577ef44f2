//! Stage 4, tell unasked: the alerts of the shipped rules, pushed to Alertmanager for people without Prometheus' rules.
//!
//! Off unless the configuration names receivers. Same names, labels, thresholds and waits as the rules for every alert that
//! needs no history; a condition is judged with each picture.

pub mod lifecycle;

mod alertmanager;
mod connection;
mod promql;
mod queue;
mod template;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::checks::model::Outcome;
use crate::clock;
use crate::config::alerting::Alerting;
use alertmanager::Receivers;
pub use connection::SetupError;
use lifecycle::{Count, Lifecycle, Pace};

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
