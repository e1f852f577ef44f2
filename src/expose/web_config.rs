//! How is the web side protected? The file of `--web.config.file`: TLS, client certificates, passwords, headers, a rate limit.
//!
//! The format is the one that Prometheus' own exporters share. What this program cannot do is refused by name; nothing is ignored.

mod auth;
mod document;
mod gate;
mod headers;
mod live;
mod parse;
mod rate;
mod tls;

use std::path::{Path, PathBuf};

use http::{HeaderName, HeaderValue};

use auth::Users;
pub(crate) use gate::guard;
pub use live::LiveWebConfig;
use rate::RateLimit;
use tls::TlsSettings;

/// What the file says, checked; the certificates it names are not read yet.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WebConfig {
    tls: Option<TlsSettings>,
    headers: Vec<(HeaderName, HeaderValue)>,
    users: Users,
    rate_limit: Option<RateLimit>,
    warnings: Vec<&'static str>,
}

/// Why a web configuration cannot be used. Each message names the place; none repeats a value that could be a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebConfigError {
    /// The file cannot be read.
    #[error("web configuration file {} cannot be read", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not YAML.
    #[error("web configuration file {}: {message}", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// What and where.
        message: String,
    },
    /// A key or a value is not understood, or makes no sense.
    #[error("web configuration file {}, line {line}: {message}", path.display())]
    Value {
        /// Which file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The key, with dots, and what is wrong.
        message: String,
    },
    /// A certificate, key or list of authorities is of no use.
    #[error("web configuration file {}: tls_server_config.{key}: {message}", path.display())]
    Material {
        /// Which file.
        path: PathBuf,
        /// The key that names or holds it.
        key: &'static str,
        /// What is wrong.
        message: String,
    },
    /// TLS was switched on or off while running.
    #[error("web configuration file {}: TLS is switched on or off by a restart only; it stays {}", path.display(), if *enabled { "on" } else { "off" })]
    Switched {
        /// Which file.
        path: PathBuf,
        /// Whether TLS is on, and stays so.
        enabled: bool,
    },
}

impl WebConfigError {
    /// The closed category.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Read { .. } => "read",
            Self::Syntax { .. } => "syntax",
            Self::Value { .. } => "value",
            Self::Material { .. } => "material",
            Self::Switched { .. } => "switched",
        }
    }
}

impl WebConfig {
    /// Reads a file and checks all of it, the certificates and keys that it names included.
    pub fn check(path: &Path) -> Result<(), WebConfigError> {
        LiveWebConfig::load(path).map(drop)
    }

    /// Validates a file's text. Relative paths in it are relative to the folder of `path`.
    pub fn parse(text: &str, path: &Path) -> Result<Self, WebConfigError> {
        parse::parse(text, path)
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod untrusted;
