//! How does the daemon log? One line an event, to standard error.

use std::io;

use clap::ValueEnum;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// How much to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Everything, the SDKs' own warnings included.
    Debug,
    /// What an operator wants to read after the fact.
    Info,
    /// What is wrong and goes on.
    Warn,
    /// What ends the program or a part of it.
    Error,
}

/// How to write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// `key=value`, Prometheus' own.
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// Starts logging. Does nothing when a subscriber is set already (tests).
pub fn init(level: LogLevel, format: LogFormat) {
    let level = match level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    let registry = tracing_subscriber::registry().with(filter(level));
    // Failing means that somebody else has set one up, and then that one is right.
    let _ = match format {
        LogFormat::Logfmt => registry
            .with(tracing_logfmt::builder().with_target(false).with_span_name(false).layer().with_writer(io::stderr))
            .try_init(),
        LogFormat::Json => registry
            .with(tracing_subscriber::fmt::layer().json().flatten_event(true).with_target(false).with_writer(io::stderr))
            .try_init(),
    };
}

/// The SDKs repeat at `info` and `debug` what the sources already say in one line, and at `warn` what they count. The client of
/// Kubernetes even logs each refused connection as an error: an API server that is away for an hour would be thousands of lines.
fn filter(level: LevelFilter) -> EnvFilter {
    let debugging = level >= LevelFilter::DEBUG;
    let (others, kubernetes) =
        if debugging { (LevelFilter::WARN, LevelFilter::ERROR) } else { (LevelFilter::ERROR, LevelFilter::OFF) };
    [format!("{others}"), format!("kube_client={kubernetes}"), format!("eks_nlb_exporter={level}")]
        .iter()
        .fold(EnvFilter::default(), |filter, directive| {
            filter.add_directive(directive.parse().expect("a crate name and a level are a directive"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubernetes_client_does_not_log_each_refused_connection() {
        let text = filter(LevelFilter::INFO).to_string();
        for directive in ["kube_client=off", "eks_nlb_exporter=info", "error"] {
            assert!(text.split(',').any(|found| found == directive), "{directive} is not in {text}");
        }
        let text = filter(LevelFilter::DEBUG).to_string();
        for directive in ["kube_client=error", "eks_nlb_exporter=debug", "warn"] {
            assert!(text.split(',').any(|found| found == directive), "{directive} is not in {text}");
        }
    }
}
