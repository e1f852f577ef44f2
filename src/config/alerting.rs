//! Where does the daemon send alerts by itself? The `alerting` section; without receivers it sends none.

use std::collections::BTreeMap;
use std::path::PathBuf;

use http::Uri;
use serde::{Deserialize, Serialize};

use super::check_url;
use crate::rules::Links;
use crate::rules::thresholds::Overrides;

/// Seconds that one request to an Alertmanager may take unless configured.
pub const TIMEOUT_SECONDS: u64 = 10;

/// The `alerting` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alerting {
    /// Every Alertmanager that is to hear of the alerts: each instance of a cluster, never a load balancer before them.
    pub alertmanagers: Vec<Alertmanager>,
    /// Labels put on every alert, as Prometheus' `external_labels`: with the same ones both say the same alert.
    pub external_labels: BTreeMap<String, String>,
    /// Where a person reaches this daemon's page: the link in each alert. Else its host name and port.
    pub external_url: Option<String>,
    /// The page of runbooks that alerts link to; else the project's.
    pub runbook_url: Option<String>,
    /// Where Grafana is: what stands before `/d/UID` in an alert's link to its dashboard. Else that link is relative.
    pub dashboard_url: Option<String>,
    /// Thresholds of the rules other than their defaults: by alert, severity and name.
    pub thresholds: Overrides,
    /// Seconds between two messages about an alert that goes on firing.
    pub resend_delay_seconds: u64,
}

impl Default for Alerting {
    fn default() -> Self {
        Self {
            alertmanagers: Vec::new(),
            external_labels: BTreeMap::new(),
            external_url: None,
            runbook_url: None,
            dashboard_url: None,
            thresholds: Overrides::new(),
            resend_delay_seconds: 60,
        }
    }
}

/// One Alertmanager, or all that a DNS name stands for. Exactly one of `url` and `dns` is given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alertmanager {
    /// Its URL, with a path prefix where it has one.
    pub url: Option<String>,
    /// A name that resolves to the addresses of all instances (a headless Service).
    pub dns: Option<Dns>,
    /// User name and password.
    pub basic_auth: Option<BasicAuth>,
    /// A token.
    pub authorization: Option<Authorization>,
    /// How to trust it, and how to be trusted.
    pub tls_config: TlsConfig,
    /// Seconds that one request may take.
    pub timeout_seconds: Option<u64>,
}

/// Instances behind one DNS name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dns {
    /// The name.
    pub name: String,
    /// Their port.
    #[serde(default = "alertmanager_port")]
    pub port: u16,
    /// `http` or `https`.
    #[serde(default = "http")]
    pub scheme: String,
    /// What comes before `/api/v2/alerts`.
    #[serde(default)]
    pub path_prefix: String,
}

impl Dns {
    /// All instances behind a name, reached in the usual way.
    pub(super) fn of(name: String) -> Self {
        Self { name, port: alertmanager_port(), scheme: http(), path_prefix: String::new() }
    }
}

fn alertmanager_port() -> u16 {
    9093
}

fn http() -> String {
    "http".to_owned()
}

/// HTTP basic authentication.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasicAuth {
    /// The user.
    pub username: String,
    /// A file that holds the password; read again for each request, so that it can be rotated.
    pub password_file: PathBuf,
}

/// The `Authorization` header.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authorization {
    /// Its scheme.
    #[serde(default = "bearer", rename = "type")]
    pub scheme: String,
    /// A file that holds the credentials; read again for each request, so that they can be rotated.
    pub credentials_file: PathBuf,
}

impl Authorization {
    /// A bearer token in a file.
    pub(super) fn of(credentials_file: PathBuf) -> Self {
        Self { scheme: bearer(), credentials_file }
    }
}

fn bearer() -> String {
    "Bearer".to_owned()
}

/// TLS of the connection.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// Certificates to trust (PEM); else those of the system.
    pub ca_file: Option<PathBuf>,
    /// Our certificate (PEM).
    pub cert_file: Option<PathBuf>,
    /// Its key (PEM).
    pub key_file: Option<PathBuf>,
    /// The name that the server's certificate must have; else the URL's host, or the DNS name.
    pub server_name: Option<String>,
}

impl Alerting {
    /// Where the links in alerts lead.
    pub fn links(&self) -> Links {
        let default = Links::default();
        Links {
            runbook: self.runbook_url.clone().unwrap_or(default.runbook),
            dashboard: self.dashboard_url.clone().unwrap_or(default.dashboard),
        }
    }
}

/// What is wrong with the section: the key after `alerting.`, the value, and what it should be.
pub(super) type Refusal = (String, String, &'static str);

impl Alerting {
    /// Looks for values that make no sense.
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        for (index, one) in self.alertmanagers.iter().enumerate() {
            one.validate().map_err(|(key, value, expected)| (format!("alertmanagers[{index}]{key}"), value, expected))?;
        }
        for (name, value) in &self.external_labels {
            let is_name = name
                .bytes()
                .enumerate()
                .all(|(at, byte)| byte == b'_' || byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit()));
            if name.is_empty() || !is_name || name.starts_with("__") || name == "alertname" {
                let expected = "a label's name has letters, digits and _, begins with no digit and is not alertname";
                return Err((format!("external_labels.{name}"), value.clone(), expected));
            }
        }
        let urls =
            [("external_url", &self.external_url), ("runbook_url", &self.runbook_url), ("dashboard_url", &self.dashboard_url)];
        for (key, url) in urls {
            if let Some(url) = url {
                check_url(url).map_err(|expected| (key.to_owned(), url.clone(), expected))?;
            }
        }
        if !(1..=3600).contains(&self.resend_delay_seconds) {
            let expected = "alerts are repeated after 1 to 3600 seconds";
            return Err(("resend_delay_seconds".to_owned(), self.resend_delay_seconds.to_string(), expected));
        }
        Ok(())
    }
}

impl Alertmanager {
    fn validate(&self) -> Result<(), Refusal> {
        match (&self.url, &self.dns) {
            (Some(url), None) => {
                let refuse = |expected| (".url".to_owned(), without_credentials(url), expected);
                check_url(url).map_err(refuse)?;
                if url.parse::<Uri>().is_ok_and(|url| url.authority().is_some_and(|authority| authority.as_str().contains('@'))) {
                    // They would be sent to nobody, and the alerts be refused.
                    return Err(refuse("a name and a password stand in basic_auth, with a password_file, and not in the URL"));
                }
            }
            (None, Some(dns)) => dns.validate()?,
            _ => return Err((String::new(), self.to_string(), "an Alertmanager has either a url or a dns section")),
        }
        if self.basic_auth.is_some() && self.authorization.is_some() {
            return Err((String::new(), self.to_string(), "there is either basic_auth or authorization"));
        }
        if let Some(seconds) = self.timeout_seconds.filter(|seconds| !(1..=300).contains(seconds)) {
            return Err((".timeout_seconds".to_owned(), seconds.to_string(), "a request may take 1 to 300 seconds"));
        }
        let tls = &self.tls_config;
        let files = [("ca_file", &tls.ca_file), ("cert_file", &tls.cert_file), ("key_file", &tls.key_file)];
        for (key, file) in files {
            // Complaints name the file, and this would be the key itself.
            if file.as_ref().is_some_and(|file| file.to_string_lossy().contains("-----")) {
                let expected = "the certificates and the key stand in files that are named here";
                return Err((format!(".tls_config.{key}"), "no name of a file".to_owned(), expected));
            }
        }
        if tls.cert_file.is_some() != tls.key_file.is_some() {
            let expected = "cert_file and key_file belong together";
            return Err((".tls_config".to_owned(), format!("{:?} and {:?}", tls.cert_file, tls.key_file), expected));
        }
        Ok(())
    }
}

/// How it is called in the log and in the label `receiver`: without credentials, which a URL could hold.
impl std::fmt::Display for Alertmanager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.url, &self.dns) {
            (Some(url), _) => f.write_str(&without_credentials(url)),
            (None, Some(dns)) => write!(f, "{}:{}", dns.name, dns.port),
            (None, None) => f.write_str("neither url nor dns"),
        }
    }
}

/// Of a URL with a name and a password in it, what comes after them.
fn without_credentials(url: &str) -> String {
    url.rsplit_once('@').map_or(url, |(_, host)| host).to_owned()
}

impl Dns {
    fn validate(&self) -> Result<(), Refusal> {
        if self.name.is_empty() || self.name.contains(['/', ':', ' ']) {
            return Err((".dns.name".to_owned(), self.name.clone(), "a DNS name has no scheme, port or path"));
        }
        if !matches!(self.scheme.as_str(), "http" | "https") {
            return Err((".dns.scheme".to_owned(), self.scheme.clone(), "the scheme is http or https"));
        }
        if !(self.path_prefix.is_empty() || self.path_prefix.starts_with('/')) {
            return Err((".dns.path_prefix".to_owned(), self.path_prefix.clone(), "a path begins with a slash"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(yaml: &str) -> String {
        let alerting: Alerting = serde_saphyr::from_str(yaml).unwrap();
        let (key, value, expected) = alerting.validate().unwrap_err();
        format!("{key} is {value}, but {expected}")
    }

    #[test]
    fn a_full_section_is_read() {
        let alerting: Alerting = serde_saphyr::from_str(
            "alertmanagers:\n\
             - url: https://am-0:9093/prefix\n\
             \x20 basic_auth: {username: nlb, password_file: /secrets/password}\n\
             \x20 tls_config: {ca_file: /ca.pem}\n\
             - dns: {name: alertmanager-operated.monitoring.svc}\n\
             \x20 authorization: {credentials_file: /secrets/token}\n\
             external_labels: {cluster: prod}\n",
        )
        .unwrap();
        assert_eq!(alerting.validate(), Ok(()));
        assert_eq!(alerting.alertmanagers[1].dns.as_ref().unwrap().port, 9093);
        assert_eq!(alerting.alertmanagers[1].authorization.as_ref().unwrap().scheme, "Bearer");
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        assert_eq!(
            refused("alertmanagers: [{url: 'am:9093'}]"),
            "alertmanagers[0].url is am:9093, but a URL is of the form http://HOST:PORT or https://HOST"
        );
        let told = refused("alertmanagers: [{url: 'http://nlb:hunter2@am:9093'}]");
        assert!(told.starts_with("alertmanagers[0].url is am:9093, but a name and a password stand in basic_auth"), "{told}");
        assert!(!refused("alertmanagers: [{url: 'ftp://nlb:hunter2@am'}]").contains("hunter2"));
        let told = refused(
            "alertmanagers: [{url: 'http://a', tls_config: {cert_file: /c, key_file: '-----BEGIN PRIVATE KEY-----MIIE'}}]",
        );
        assert!(
            told.starts_with("alertmanagers[0].tls_config.key_file is no name of a file") && !told.contains("MIIE"),
            "{told}"
        );
        assert!(refused("alertmanagers: [{}]").starts_with("alertmanagers[0] is neither url nor dns"));
        assert!(refused("alertmanagers: [{dns: {name: 'http://x'}}]").contains(".dns.name is http://x"));
        assert!(refused("alertmanagers: [{dns: {name: x, scheme: ftp}}]").contains(".dns.scheme is ftp"));
        assert!(refused("alertmanagers: [{url: 'http://a', timeout_seconds: 0}]").contains("timeout_seconds is 0"));
        assert!(refused("alertmanagers: [{url: 'http://a', tls_config: {cert_file: /c}}]").contains("belong together"));
        assert!(refused("external_labels: {a-b: c}").contains("external_labels.a-b is c"));
        for key in ["external_url", "runbook_url", "dashboard_url"] {
            assert!(refused(&format!("{key}: prod")).contains(&format!("{key} is prod")));
        }
        assert!(refused("resend_delay_seconds: 0").contains("resend_delay_seconds is 0"));
        let both = "alertmanagers: [{url: 'http://a', basic_auth: {username: a, password_file: /b}, authorization: {credentials_file: /c}}]";
        assert!(refused(both).contains("either basic_auth or authorization"));
    }
}
