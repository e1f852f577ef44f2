//! How is one Alertmanager reached? TLS, credentials from files, a time limit, and what an answer means.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{ConfigBuilderExt, FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use crate::config::alerting::{Alertmanager, TIMEOUT_SECONDS, TlsConfig};

/// How long a request may take unless configured.
const TIMEOUT: Duration = Duration::from_secs(TIMEOUT_SECONDS);

/// An answer longer than this is no list of alerts.
const LONGEST_ANSWER: usize = 16 << 20;

/// Why a receiver cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A certificate or key cannot be used.
    #[error("{key} {} cannot be used: {why}", path.display())]
    File {
        /// The key of the configuration.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The name to check is none.
    #[error("tls_config.server_name {0:?} is not a host name")]
    ServerName(String),
    /// The system's certificates cannot be read.
    #[error("the system's certificates cannot be read")]
    SystemRoots(#[source] io::Error),
    /// The files do not fit together.
    #[error("the TLS configuration cannot be used")]
    Tls(#[from] rustls::Error),
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    /// Credentials cannot be read or used.
    #[error("the credentials in {} cannot be used: {why}", path.display())]
    Credentials {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// No connection, or it broke.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// It took too long.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// It refused.
    #[error("it answered {0}: {1:?}")]
    Refused(StatusCode, String),
}

impl SendError {
    /// Whether the same request can do better later. An Alertmanager that finds some alerts invalid has kept the others
    /// and would find the same again (EC-9.2).
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Refused(status, _) => !status.is_client_error() || *status == StatusCode::TOO_MANY_REQUESTS,
            _ => true,
        }
    }
}

#[derive(Debug, Clone)]
enum Credentials {
    None,
    Basic { username: String, password_file: PathBuf },
    Scheme { scheme: String, file: PathBuf },
}

/// The way to one Alertmanager instance.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    alerts: Uri,
    credentials: Credentials,
    timeout: Duration,
}

impl Connection {
    /// A connection to the instance under `base`; `name` is what its certificate must be for, where that is not its host.
    pub(super) fn new(settings: &Alertmanager, base: &str, name: Option<&str>) -> Result<Self, SetupError> {
        let tls = client_config(&settings.tls_config)?;
        let mut builder = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        if let Some(name) = settings.tls_config.server_name.as_deref().or(name) {
            let name = ServerName::try_from(name.to_owned()).map_err(|_| SetupError::ServerName(name.to_owned()))?;
            builder = builder.with_server_name_resolver(FixedServerNameResolver::new(name));
        }
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(builder.enable_http1().wrap_connector(http));
        let credentials = match (&settings.basic_auth, &settings.authorization) {
            (Some(basic), _) => {
                Credentials::Basic { username: basic.username.clone(), password_file: basic.password_file.clone() }
            }
            (None, Some(given)) => Credentials::Scheme { scheme: given.scheme.clone(), file: given.credentials_file.clone() },
            (None, None) => Credentials::None,
        };
        let alerts = format!("{}/api/v2/alerts", base.trim_end_matches('/'));
        Ok(Self {
            client,
            alerts: alerts.parse().expect("a validated URL with a path after it is a URL"),
            credentials,
            timeout: settings.timeout_seconds.map_or(TIMEOUT, Duration::from_secs),
        })
    }

    /// Delivers alerts.
    pub(super) async fn post(&self, body: Vec<u8>) -> Result<(), SendError> {
        self.request(Method::POST, "", body).await.map(drop)
    }

    /// The alerts that it holds, silenced and inhibited ones among them.
    pub(super) async fn get(&self) -> Result<Bytes, SendError> {
        self.request(Method::GET, "?active=true&silenced=true&inhibited=true&unprocessed=true", Vec::new()).await
    }

    async fn request(&self, method: Method, query: &str, body: Vec<u8>) -> Result<Bytes, SendError> {
        let work = async {
            let mut request = Request::builder()
                .method(method)
                .uri(format!("{}{query}", self.alerts))
                .header(CONTENT_TYPE, "application/json")
                .body(Full::new(Bytes::from(body)))
                .map_err(|error| SendError::Unreachable(error.to_string()))?;
            if let Some(value) = self.credentials.header().await? {
                request.headers_mut().insert(AUTHORIZATION, value);
            }
            let answer = self.client.request(request).await.map_err(|error| SendError::Unreachable(chain(&error)))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), LONGEST_ANSWER).collect().await;
            let body = body.map_err(|error| SendError::Unreachable(error.to_string()))?.to_bytes();
            if status.is_success() {
                return Ok(body);
            }
            Err(SendError::Refused(status, String::from_utf8_lossy(&body).chars().take(200).collect()))
        };
        tokio::time::timeout(self.timeout, work).await.unwrap_or(Err(SendError::Timeout(self.timeout)))
    }
}

impl Credentials {
    /// Read for each request, so that a rotated secret is used at once.
    async fn header(&self) -> Result<Option<HeaderValue>, SendError> {
        let (text, path) = match self {
            Self::None => return Ok(None),
            Self::Basic { username, password_file } => {
                let password = secret(password_file).await?;
                (format!("Basic {}", BASE64.encode(format!("{username}:{password}"))), password_file)
            }
            Self::Scheme { scheme, file } => (format!("{scheme} {}", secret(file).await?), file),
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| SendError::Credentials {
            path: path.clone(),
            why: "it has characters that a header cannot carry".to_owned(),
        })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

async fn secret(path: &Path) -> Result<String, SendError> {
    let text = tokio::fs::read_to_string(path).await;
    let text = text.map_err(|error| SendError::Credentials { path: path.to_owned(), why: error.to_string() })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// An error and its causes in one line: the outermost of a connection says only that there is none.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

fn client_config(settings: &TlsConfig) -> Result<ClientConfig, SetupError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = match &settings.ca_file {
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("tls_config.ca_file", path)? {
                roots.add(certificate)?;
            }
            builder.with_root_certificates(roots)
        }
        None => builder.with_native_roots().map_err(SetupError::SystemRoots)?,
    };
    let (Some(certificate), Some(key)) = (&settings.cert_file, &settings.key_file) else {
        return Ok(builder.with_no_client_auth());
    };
    let own = certificates("tls_config.cert_file", certificate)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| no_pem("tls_config.key_file", key, &error))?;
    Ok(builder.with_client_auth_cert(own, key)?)
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let all = all.map_err(|error| no_pem(key, path, &error))?;
    if all.is_empty() {
        return Err(unusable(key, path, &"it holds no certificate"));
    }
    Ok(all)
}

/// Not the parser's own words: they may hold a line of the file, which may be all of a key.
fn no_pem(key: &'static str, path: &Path, error: &pem::Error) -> SetupError {
    match error {
        pem::Error::Io(error) => unusable(key, path, error),
        pem::Error::NoItemsFound if key.ends_with("key_file") => unusable(key, path, &"it holds no private key in PEM form"),
        _ => unusable(key, path, &"it is not in PEM form, or damaged"),
    }
}

fn unusable(key: &'static str, path: &Path, why: &dyn ToString) -> SetupError {
    SetupError::File { key, path: path.to_owned(), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_certificate_is_named() {
        let tls = TlsConfig { ca_file: Some("/dev/null".into()), ..TlsConfig::default() };
        assert_eq!(
            client_config(&tls).unwrap_err().to_string(),
            "tls_config.ca_file /dev/null cannot be used: it holds no certificate"
        );
        let tls = TlsConfig { ca_file: Some("/nowhere".into()), ..TlsConfig::default() };
        assert!(client_config(&tls).unwrap_err().to_string().starts_with("tls_config.ca_file /nowhere cannot be used: "));
    }

    #[test]
    fn nothing_of_a_damaged_key_is_told() {
        const SECRET: &str = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC";
        let folder = tempfile::tempdir().unwrap();
        let [cert, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
        std::fs::write(&cert, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        // As the parser itself would spell bytes.
        let bytes = format!("{:?}", SECRET.as_bytes());
        let bytes = bytes.trim_matches(['[', ']']);
        for text in [
            // Its line breaks were lost on the way.
            format!("-----BEGIN PRIVATE KEY-----{SECRET}-----END PRIVATE KEY-----\n"),
            format!("-----BEGIN PRIVATE KEY-----{SECRET}\n"),
            format!("-----BEGIN PRIVATE KEY-----\n{SECRET}\n"),
            format!("-----BEGIN PRIVATE KEY-----\n{SECRET}!\n-----END PRIVATE KEY-----\n"),
            SECRET.to_owned(),
            String::new(),
        ] {
            std::fs::write(&key, &text).unwrap();
            let tls = TlsConfig { cert_file: Some(cert.clone()), key_file: Some(key.clone()), ..TlsConfig::default() };
            let told = client_config(&tls).unwrap_err().to_string();
            assert!(told.starts_with(&format!("tls_config.key_file {} cannot be used: ", key.display())), "{told}");
            assert!(!told.contains(SECRET) && !told.contains(bytes) && told.len() < 200, "{told}");
            let tls = TlsConfig { ca_file: Some(key.clone()), ..TlsConfig::default() };
            let told = client_config(&tls).unwrap_err().to_string();
            assert!(!told.contains(SECRET) && !told.contains(bytes) && told.len() < 200, "{told}");
        }
    }

    #[test]
    fn only_what_can_pass_is_tried_again() {
        let refused = |status| SendError::Refused(status, String::new()).is_passing();
        assert!(!refused(StatusCode::BAD_REQUEST), "it kept the valid ones and will refuse the others again");
        assert!(!refused(StatusCode::UNAUTHORIZED) && refused(StatusCode::TOO_MANY_REQUESTS));
        assert!(refused(StatusCode::INTERNAL_SERVER_ERROR) && SendError::Timeout(TIMEOUT).is_passing());
    }
}
