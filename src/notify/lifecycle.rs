//! Which alerts are pending, firing and resolved, and what of that is to be said now? Pure: time is an argument.
//!
//! The same stages as Prometheus' own: a condition that holds is pending, fires once it has held for the rule's `for`, goes on
//! firing for its `keep_firing_for`, and is then resolved. What fires is said again and again, with an end that lies a few
//! rounds ahead, so that a lost message does not resolve it and a dead daemon does (EC-9.4). What was resolved is said for a
//! while too (EC-9.5).
//!
//! Where Prometheus tells the same alerts by the same rules, the two never end one in the same second, and whoever went on for a
//! moment would call it back to life: a second page. So the end is announced: while an alert only goes on for its
//! `keep_firing_for`, what is said of it ends when that does, is not said again, and Alertmanager ends the alert by itself. That
//! it is resolved is said a few rounds later, when the other side is through, too.
//!
//! Where a condition cannot be judged, what fired is repeated until it lapses, and what waited waits anew (EC-9.8).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Labels by name; empty values are left out, as Prometheus does. Two alerts with the same labels are one.
pub type Labels = BTreeMap<Arc<str>, Arc<str>>;

/// How an alert waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// How long a condition must hold before it fires.
    pub hold: Duration,
    /// How long it goes on firing after the condition has ended.
    pub keep_firing: Duration,
}

/// How often things are said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The least time between two messages about the same alert.
    pub resend: Duration,
    /// How often conditions are judged, at least.
    pub interval: Duration,
    /// How long a resolved alert is repeated.
    pub repeat_resolved: Duration,
    /// How long an alert that cannot be judged any more is repeated.
    pub blind_limit: Duration,
}

impl Pace {
    /// When an alert ends by itself if nothing more is heard of it: four rounds, so that two lost messages do no harm.
    fn lapses(&self, now: Timestamp) -> Timestamp {
        later(now, self.few_rounds())
    }

    fn few_rounds(&self) -> Duration {
        self.resend.max(self.interval).saturating_mul(4)
    }
}

/// A condition that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its labels, `alertname` and `severity` among them.
    pub labels: Labels,
    /// What is told of it; it may change while it fires.
    pub annotations: BTreeMap<&'static str, String>,
}

/// What a rule says of a picture.
#[derive(Debug)]
pub enum Judgement {
    /// All instances for which the condition holds.
    Holds(Vec<Instance>),
    /// Something of what it looks at is missing or too old. These hold all the same; of others nothing is known.
    Partly(Vec<Instance>),
    /// It cannot be judged: what it looks at is missing or too old.
    Unknown,
}

/// A message about one alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The alert.
    pub labels: Labels,
    /// What is told of it.
    pub annotations: BTreeMap<Arc<str>, Arc<str>>,
    /// Since when it fires; the same for as long as it does.
    pub starts_at: Timestamp,
    /// Until when it fires: ahead of now while it does, the moment of its end once it is resolved.
    pub ends_at: Timestamp,
}

#[derive(Debug, Clone)]
struct Alert {
    rule: Arc<str>,
    annotations: BTreeMap<Arc<str>, Arc<str>>,
    /// Since when the condition holds.
    active_at: Timestamp,
    /// Its rule's last judgement was that it holds.
    holds: bool,
    /// When it last held.
    held_at: Timestamp,
    /// Since when it fires; `None` while pending.
    fired_at: Option<Timestamp>,
    resolved_at: Option<Timestamp>,
    /// When it ends unless its condition comes back; `None` while that holds or cannot be judged.
    expected_end: Option<Timestamp>,
    /// When it was last said.
    said_at: Option<Timestamp>,
    /// The end that was said then.
    said_end: Option<Timestamp>,
    /// What was said before it was resolved ends with it: nobody has to be told in a hurry.
    is_announced: bool,
    /// When its rule could last be judged.
    judged_at: Timestamp,
}

/// All alerts of this process.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle {
    alerts: BTreeMap<Labels, Alert>,
}

/// How many alerts there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Conditions that hold and wait.
    pub pending: usize,
    /// Alerts that fire.
    pub firing: usize,
}

impl Lifecycle {
    /// Takes up an alert that an earlier process of this daemon fired, as Alertmanager still has it. Until its rule is judged it
    /// goes on firing; then it fires on without a new start, or ends (EC-9.7) after its `keep_firing_for`: the first pictures
    /// after a start know less than those before it.
    pub fn restore(&mut self, rule: &str, notice: Notice, now: Timestamp) {
        self.alerts.entry(notice.labels).or_insert_with(|| Alert {
            annotations: notice.annotations,
            active_at: notice.starts_at,
            fired_at: Some(notice.starts_at),
            ..Alert::new(rule, now)
        });
    }

    /// Folds in what one rule says.
    pub fn judge(&mut self, rule: &str, waits: Waits, judgement: Judgement, now: Timestamp) {
        self.alerts.values_mut().for_each(|alert| alert.not_after(now));
        let (instances, is_whole) = match judgement {
            Judgement::Holds(instances) => (instances, true),
            Judgement::Partly(instances) => (instances, false),
            Judgement::Unknown => (Vec::new(), false),
        };
        for alert in self.alerts.values_mut().filter(|alert| *alert.rule == *rule) {
            alert.holds = false;
            if is_whole {
                alert.judged_at = now;
            } else {
                alert.expected_end = None;
            }
        }
        for Instance { mut labels, annotations } in instances {
            labels.retain(|_, value| !value.is_empty());
            let alert = self.alerts.entry(labels).or_insert_with(|| Alert::new(rule, now));
            alert.holds(annotations, now);
        }
        self.alerts.retain(|_, alert| {
            let is_judged = is_whole || alert.holds;
            *alert.rule != *rule || if is_judged { alert.advance(waits, now) } else { alert.fired_at.is_some() }
        });
    }

    /// What is to be said now. Whoever asks promises to say it.
    pub fn due(&mut self, pace: Pace, now: Timestamp) -> Vec<Notice> {
        self.alerts.retain(|_, alert| !alert.is_over(pace, now));
        let due = self.alerts.iter_mut().filter_map(|(labels, alert)| alert.notice(labels, pace, now));
        due.collect()
    }

    /// How many there are.
    pub fn count(&self) -> Count {
        let alive = || self.alerts.values().filter(|alert| alert.resolved_at.is_none());
        let firing = alive().filter(|alert| alert.fired_at.is_some()).count();
        Count { pending: alive().count() - firing, firing }
    }
}

impl Alert {
    fn new(rule: &str, now: Timestamp) -> Self {
        Self {
            rule: rule.into(),
            annotations: BTreeMap::new(),
            active_at: now,
            holds: false,
            held_at: now,
            fired_at: None,
            resolved_at: None,
            expected_end: None,
            said_at: None,
            said_end: None,
            is_announced: false,
            judged_at: now,
        }
    }

    /// A clock that was set back must not make anything wait for a moment that it has left.
    fn not_after(&mut self, now: Timestamp) {
        for at in [&mut self.active_at, &mut self.held_at, &mut self.judged_at] {
            *at = (*at).min(now);
        }
        for at in [&mut self.fired_at, &mut self.resolved_at].into_iter().flatten() {
            *at = (*at).min(now);
        }
        // Said in a time that is still to come: it has to be said again with times that are true.
        self.said_at = self.said_at.filter(|at| *at <= now);
    }

    fn holds(&mut self, annotations: BTreeMap<&'static str, String>, now: Timestamp) {
        if self.resolved_at.is_some() {
            // It ended and is back: a new alert with the same name.
            let rule = Arc::clone(&self.rule);
            *self = Self::new(&rule, now);
        }
        self.annotations = annotations.into_iter().map(|(name, text)| (Arc::from(name), Arc::from(text))).collect();
        (self.holds, self.held_at, self.judged_at) = (true, now, now);
    }

    /// Moves it on after its rule was judged; false when nothing is left of it.
    fn advance(&mut self, waits: Waits, now: Timestamp) -> bool {
        if self.resolved_at.is_some() {
            return true;
        }
        if self.holds {
            self.expected_end = None;
            if self.fired_at.is_none() && later(self.active_at, waits.hold) <= now {
                self.fired_at = Some(now);
            }
            return true;
        }
        if self.fired_at.is_none() {
            return false;
        }
        let end = later(self.held_at, waits.keep_firing);
        if waits.keep_firing.is_zero() || end <= now {
            self.resolve(now);
        } else {
            self.expected_end = Some(end);
        }
        true
    }

    fn resolve(&mut self, now: Timestamp) {
        if self.fired_at.is_some() && self.resolved_at.is_none() {
            let announced = self.expected_end.filter(|end| *end <= now && self.said_end == Some(*end));
            self.is_announced = announced.is_some();
            self.resolved_at = Some(announced.unwrap_or(now));
        }
    }

    fn is_over(&self, pace: Pace, now: Timestamp) -> bool {
        let told_long_enough = self.resolved_at.is_some_and(|at| later(at, pace.repeat_resolved) < now);
        // It could not be judged for so long that nobody knows any more: it lapses at the receiver by itself.
        told_long_enough || later(self.judged_at, pace.blind_limit) < now
    }

    fn notice(&mut self, labels: &Labels, pace: Pace, now: Timestamp) -> Option<Notice> {
        let starts_at = self.fired_at?;
        let ends_at = match (self.resolved_at, self.expected_end) {
            (Some(resolved), _) => resolved,
            (None, Some(expected)) => pace.lapses(now).min(expected),
            (None, None) => pace.lapses(now),
        };
        let is_turn = self.said_at.is_none_or(|said| later(said, pace.resend) <= now);
        let is_due = match self.resolved_at {
            Some(resolved) if self.is_announced => is_turn && later(resolved, pace.few_rounds()) <= now,
            Some(resolved) => is_turn || self.said_at.is_some_and(|said| said < resolved),
            // Its end is known to the receiver.
            None => is_turn && (self.expected_end.is_none() || self.said_end != self.expected_end),
        };
        if !is_due {
            return None;
        }
        (self.said_at, self.said_end) = (Some(now), Some(ends_at));
        Some(Notice { labels: labels.clone(), annotations: self.annotations.clone(), starts_at, ends_at })
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
