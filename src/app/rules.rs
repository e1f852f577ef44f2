//! What does `rules` print? The rules with the thresholds of a file.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::cli::{RulesArgs, RulesFormat};
use crate::config;
use crate::rules::render::{RuleFormat, render};
use crate::rules::thresholds::{Overrides, ThresholdError, blind_at_half};
use crate::rules::{Links, Rules};

/// Why no rules can be printed. Each message names the file, the place and the value.
#[derive(Debug, thiserror::Error)]
pub(super) enum RulesError {
    /// The file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// It is not YAML, or not of the form alert, severity, threshold, value.
    #[error("{}: {message}", path.display())]
    Parse { path: PathBuf, message: String },
    /// A threshold makes no sense.
    #[error("{}: {source}", path.display())]
    Threshold { path: PathBuf, source: ThresholdError },
}

/// A configuration of which only that is read by which the rules judge.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Configuration {
    policy: Policy,
    alerting: Alerting,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct Policy {
    max_staleness_seconds: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self { max_staleness_seconds: config::policy::Policy::default().max_staleness_seconds }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Alerting {
    thresholds: Overrides,
}

/// The rules as text.
pub(super) fn text(args: &RulesArgs) -> Result<String, RulesError> {
    let (overrides, path) = match (&args.thresholds, &args.config_file) {
        (Some(path), _) => (read::<Overrides>(path)?, path.as_path()),
        (None, Some(path)) => {
            let Configuration { policy, alerting } = read(path)?;
            (blind_at_half(alerting.thresholds, policy.max_staleness_seconds), path.as_path())
        }
        (None, None) => (Overrides::new(), Path::new("")),
    };
    let default = Links::default();
    let links = Links {
        runbook: args.runbook_url.clone().unwrap_or(default.runbook),
        dashboard: args.dashboard_url.clone().unwrap_or(default.dashboard),
    };
    let rules = Rules::new(&overrides, &links).map_err(|source| RulesError::Threshold { path: path.to_owned(), source })?;
    let format = match args.format {
        RulesFormat::Prometheus => RuleFormat::Prometheus,
        RulesFormat::Prometheusrule => RuleFormat::PrometheusRule,
    };
    Ok(render(&rules, format))
}

/// A file's content; nothing for one that is empty or only comments.
fn read<T: Default + serde::de::DeserializeOwned>(path: &Path) -> Result<T, RulesError> {
    let text = std::fs::read_to_string(path).map_err(|source| RulesError::Read { path: path.to_owned(), source })?;
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(T::default());
    }
    serde_saphyr::from_str(&text).map_err(|error| {
        let message = error.to_string();
        let message = message.lines().next().unwrap_or_default().trim_start_matches("error: ").trim_end_matches(':');
        RulesError::Parse { path: path.to_owned(), message: message.to_owned() }
    })
}
