//! Which numbers may a user set, and do they make sense together?

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Alert, Group, HOLD, KEEP_FIRING, KEEP_FIRING_SECONDS, Threshold, Unit, Worse};

/// What a user sets: alert, severity, threshold, value.
pub type Overrides = BTreeMap<String, BTreeMap<String, BTreeMap<String, Setting>>>;

/// A value as it is written: a number, or a duration such as `10m`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Setting {
    /// A number.
    Number(f64),
    /// A duration.
    Text(String),
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// What is set, and beside it that NLBMonitoringBlind speaks at half of the time after which what is known vanishes: with a fixed
/// time it would come after alerts that ended for want of a view, or long after it could.
pub fn blind_at_half(mut set: Overrides, max_staleness_seconds: u64) -> Overrides {
    let of_alert = set.entry("NLBMonitoringBlind".to_owned()).or_default();
    let of_severity = of_alert.entry("critical".to_owned()).or_default();
    of_severity.entry("age".to_owned()).or_insert(Setting::Number(max_staleness_seconds as f64 / 2.0));
    set
}

/// Why thresholds cannot be used: the place, the value, and what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdError {
    /// No such alert, severity or threshold.
    #[error("{place} is not known; there are {known}")]
    Unknown {
        /// Where, with dots.
        place: String,
        /// What there is.
        known: String,
    },
    /// A value that makes no sense.
    #[error("{place} is {value}, but {expected}")]
    Value {
        /// Where, with dots.
        place: String,
        /// What stands there.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The milder alert would be the stricter one.
    #[error("{mild} is {mild_value}, which is beyond {severe}, which is {severe_value}: the milder alert has to come first")]
    Inverted {
        /// The milder alert's place.
        mild: String,
        /// Its value.
        mild_value: String,
        /// The severer alert's place.
        severe: String,
        /// Its value.
        severe_value: String,
    },
}

impl ThresholdError {
    /// The closed category.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "unknown",
            Self::Value { .. } => "value",
            Self::Inverted { .. } => "inverted",
        }
    }
}

/// A week; a rule that waits longer is a mistake of units.
const MOST_SECONDS: f64 = 7.0 * 86_400.0;

/// The thresholds of all alerts, by alert, severity and name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Values(BTreeMap<(&'static str, &'static str, &'static str), f64>);

impl Values {
    /// The defaults under what is set.
    pub(super) fn new(groups: &[Group], overrides: &Overrides) -> Result<Self, ThresholdError> {
        let alerts: Vec<&Alert> = groups.iter().flat_map(|group| group.alerts).collect();
        let mut values = BTreeMap::new();
        for alert in &alerts {
            values.insert((alert.name, alert.severity.as_str(), HOLD), alert.hold_seconds as f64);
            values.insert((alert.name, alert.severity.as_str(), KEEP_FIRING), KEEP_FIRING_SECONDS as f64);
            for threshold in alert.thresholds {
                values.insert((alert.name, alert.severity.as_str(), threshold.name), threshold.default);
            }
        }
        for (name, severities) in overrides {
            let named: Vec<_> = alerts.iter().filter(|alert| alert.name == name).copied().collect();
            if named.is_empty() {
                return Err(unknown(name.clone(), alerts.iter().map(|alert| alert.name)));
            }
            for (severity, settings) in severities {
                let Some(alert) = named.iter().find(|alert| alert.severity.as_str() == severity) else {
                    return Err(unknown(format!("{name}.{severity}"), named.iter().map(|alert| alert.severity.as_str())));
                };
                for (threshold, setting) in settings {
                    let place = format!("{name}.{severity}.{threshold}");
                    let (key, unit) = if threshold == HOLD {
                        (HOLD, Unit::Seconds)
                    } else if threshold == KEEP_FIRING {
                        (KEEP_FIRING, Unit::Seconds)
                    } else if let Some(known) = alert.thresholds.iter().find(|it| it.name == threshold) {
                        (known.name, known.unit)
                    } else {
                        return Err(unknown(place, alert.thresholds.iter().map(|it| it.name).chain([HOLD, KEEP_FIRING])));
                    };
                    values.insert((alert.name, alert.severity.as_str(), key), number(place, setting, unit)?);
                }
            }
        }
        let values = Self(values);
        for pair in pairs(&alerts) {
            values.ordered(pair)?;
        }
        Ok(values)
    }

    /// A threshold of the table.
    pub(super) fn get(&self, alert: &Alert, name: &str) -> f64 {
        let found = self
            .0
            .iter()
            .find(|((of, severity, known), _)| *of == alert.name && *severity == alert.severity.as_str() && *known == name);
        *found.expect("every threshold of the table has a value").1
    }

    fn ordered(&self, (mild, severe, threshold): (&Alert, &Alert, &Threshold)) -> Result<(), ThresholdError> {
        let (mild_value, severe_value) = (self.get(mild, threshold.name), self.get(severe, threshold.name));
        let inverted = match threshold.worse {
            Worse::Lower => mild_value < severe_value,
            Worse::Higher => mild_value > severe_value,
        };
        if !inverted {
            return Ok(());
        }
        let place = |alert: &Alert| format!("{}.{}.{}", alert.name, alert.severity.as_str(), threshold.name);
        Err(ThresholdError::Inverted {
            mild: place(mild),
            mild_value: mild_value.to_string(),
            severe: place(severe),
            severe_value: severe_value.to_string(),
        })
    }
}

/// Alerts of one name and two severities, with each threshold they share: the milder first.
fn pairs<'a>(alerts: &'a [&'a Alert]) -> impl Iterator<Item = (&'a Alert, &'a Alert, &'a Threshold)> {
    alerts.iter().flat_map(move |mild| {
        let severer = alerts.iter().filter(move |other| other.name == mild.name && other.severity > mild.severity);
        severer.flat_map(move |severe| {
            let shared = mild.thresholds.iter().filter(|it| severe.thresholds.iter().any(|other| other.name == it.name));
            shared.map(move |threshold| (*mild, *severe, threshold))
        })
    })
}

fn unknown(place: String, known: impl Iterator<Item = &'static str>) -> ThresholdError {
    let mut known: Vec<_> = known.collect();
    known.sort_unstable();
    known.dedup();
    ThresholdError::Unknown { place, known: known.join(", ") }
}

fn number(place: String, setting: &Setting, unit: Unit) -> Result<f64, ThresholdError> {
    let (value, expected) = match unit {
        Unit::Seconds => {
            let seconds = match setting {
                Setting::Number(number) => Some(*number),
                Setting::Text(text) => duration(text).map(|it| it.as_secs_f64()),
            };
            (
                seconds.filter(|it| (0.0..=MOST_SECONDS).contains(it) && it.fract() == 0.0),
                "a duration is a whole number of seconds or like 10m, and at most 7d",
            )
        }
        Unit::Count => (plain(setting).filter(|it| *it >= 0.0 && it.is_finite()), "a number is at least 0"),
        Unit::Ratio => (plain(setting).filter(|it| (0.0..=1.0).contains(it)), "a ratio is between 0 and 1"),
    };
    value.ok_or_else(|| ThresholdError::Value { place, value: setting.to_string(), expected })
}

fn plain(setting: &Setting) -> Option<f64> {
    match setting {
        Setting::Number(number) => Some(*number),
        Setting::Text(_) => None,
    }
}

/// A duration as Prometheus writes it: `1h30m`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
    let mut seconds: u64 = 0;
    let mut digits = String::new();
    let mut last = u64::MAX;
    for character in text.chars() {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        let (_, size) = UNITS.into_iter().find(|(unit, _)| *unit == character)?;
        if size >= last {
            return None;
        }
        last = size;
        seconds = seconds.checked_add(digits.parse::<u64>().ok()?.checked_mul(size)?)?;
        digits.clear();
    }
    (digits.is_empty() && last != u64::MAX).then(|| Duration::from_secs(seconds))
}
