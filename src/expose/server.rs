//! How do clients get in? Listening, time-outs, and the end.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum_server::{Control, Handle, Server};
use futures::future::try_join_all;
use hyper_util::rt::TokioTimer;
use tokio::net::TcpListener;

use crate::expose::connection::Acceptor;
use crate::expose::exposition::ExpositionSettings;
pub use crate::expose::routes::{Reload, Sources, WebState};

/// How the web side is set up: the `--web.*` flags.
#[derive(Debug, Clone)]
pub struct WebSettings {
    /// Where to listen: `:10669` (every address), `0.0.0.0:10669`, `[::1]:10669`, `localhost:10669`.
    pub listen_addresses: Vec<String>,
    /// The path of the metrics.
    pub telemetry_path: String,
    /// How many scrapes are answered at the same time; one is over when its last bytes went to the connection. 0 means any number.
    pub max_requests: usize,
    /// Leaves out the exporter's own work and `process_*`.
    pub disable_exporter_metrics: bool,
    /// How long a new connection may take for its first request's header.
    pub header_timeout: Duration,
    /// How long a connection may stay idle between requests, a later header's reading included. Longer than a scrape interval, so that
    /// Prometheus keeps its connection.
    pub keep_alive_timeout: Duration,
    /// How long a reader may take nothing at all of an answer.
    pub send_timeout: Duration,
    /// How long answers in flight may take after the end has begun.
    pub shutdown_grace: Duration,
}

impl Default for WebSettings {
    fn default() -> Self {
        Self {
            listen_addresses: vec![":10669".to_owned()],
            telemetry_path: "/metrics".to_owned(),
            max_requests: 40,
            disable_exporter_metrics: false,
            header_timeout: Duration::from_secs(5),
            keep_alive_timeout: Duration::from_secs(90),
            send_timeout: Duration::from_secs(30),
            shutdown_grace: Duration::from_secs(3),
        }
    }
}

impl From<&WebSettings> for ExpositionSettings {
    fn from(settings: &WebSettings) -> Self {
        Self { exporter_metrics: !settings.disable_exporter_metrics, ..Self::default() }
    }
}

/// Why the web side cannot be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebError {
    /// Nowhere to listen.
    #[error("--web.listen-address names no address")]
    NoAddress,
    /// Not of the form that is understood.
    #[error("--web.listen-address {address:?} is not of the form HOST:PORT, [IPV6]:PORT or :PORT")]
    Address {
        /// As given.
        address: String,
    },
    /// The host has no address.
    #[error("cannot resolve --web.listen-address {address:?}")]
    Resolve {
        /// As given.
        address: String,
        /// The resolver's word.
        #[source]
        source: io::Error,
    },
    /// The address is taken, or not ours.
    #[error("cannot listen on --web.listen-address {address:?}")]
    Bind {
        /// As given.
        address: String,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// The path of the metrics is of no use.
    #[error("--web.telemetry-path {path:?} {reason}")]
    TelemetryPath {
        /// As given.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Serving ended by itself.
    #[error("serving on {address} failed")]
    Serve {
        /// Where.
        address: SocketAddr,
        /// The system's word.
        #[source]
        source: io::Error,
    },
}

impl WebError {
    /// The closed category.
    pub fn category(&self) -> &'static str {
        match self {
            Self::NoAddress | Self::Address { .. } | Self::TelemetryPath { .. } => "setting",
            Self::Resolve { .. } => "resolve",
            Self::Bind { .. } => "bind",
            Self::Serve { .. } => "serve",
        }
    }
}

/// Sockets that listen; nobody is answered yet.
#[derive(Debug)]
pub struct Bound {
    settings: WebSettings,
    listeners: Vec<(TcpListener, SocketAddr)>,
}

/// Checks the settings and listens on every address, so that a mistake ends the start and not a scrape.
pub async fn bind(settings: &WebSettings) -> Result<Bound, WebError> {
    crate::expose::routes::check_telemetry_path(&settings.telemetry_path)?;
    if settings.listen_addresses.is_empty() {
        return Err(WebError::NoAddress);
    }
    let mut listeners = Vec::new();
    for address in &settings.listen_addresses {
        let bound = |source| WebError::Bind { address: address.clone(), source };
        let listener = listen(address).await?;
        let local = listener.local_addr().map_err(bound)?;
        listeners.push((listener, local));
    }
    Ok(Bound { settings: settings.clone(), listeners })
}

async fn listen(address: &str) -> Result<TcpListener, WebError> {
    let malformed = || WebError::Address { address: address.to_owned() };
    let (host, port) = address.rsplit_once(':').ok_or_else(malformed)?;
    let port: u16 = port.parse().map_err(|_| malformed())?;
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if bracketed.is_none() && host.contains([':', '[', ']']) {
        return Err(malformed());
    }
    let host = bracketed.unwrap_or(host);
    let candidates: Vec<SocketAddr> = if host.is_empty() {
        // Every address of both families, or of IPv4 alone where there is no IPv6.
        vec![(Ipv6Addr::UNSPECIFIED, port).into(), (Ipv4Addr::UNSPECIFIED, port).into()]
    } else {
        let resolved = tokio::net::lookup_host((host, port)).await;
        resolved.map_err(|source| WebError::Resolve { address: address.to_owned(), source })?.collect()
    };
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for candidate in candidates {
        match TcpListener::bind(candidate).await {
            Ok(listener) => return Ok(listener),
            // A port that is taken is not to be had under another name for it.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                failure = error;
                break;
            }
            Err(error) => failure = error,
        }
    }
    Err(WebError::Bind { address: address.to_owned(), source: failure })
}

impl Bound {
    /// Where it listens, in the order of the settings.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(|(_, address)| *address).collect()
    }

    /// Answers until `shutdown` resolves; then not ready, nothing new accepted, answers in flight finished within the grace period.
    pub async fn serve(self, state: WebState, shutdown: impl Future<Output = ()>) -> Result<(), WebError> {
        let Self { settings, listeners } = self;
        let readiness = Arc::clone(&state.readiness);
        let router = crate::expose::routes::router(state, &settings);
        let control = Control::new();
        let servers = try_join_all(listeners.into_iter().map(|(listener, address)| {
            let mut server = Server::from_listener(listener)
                .acceptor(Acceptor { send_timeout: settings.send_timeout })
                .http1_only()
                .handle(Handle::<SocketAddr>::with_control(control.clone()))
                .first_request_timeout(settings.header_timeout)
                .accept_error_handler(|peer, error| tracing::debug!(?peer, %error, "a connection could not be accepted"));
            server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(settings.keep_alive_timeout);
            let served = server.serve(router.clone().into_make_service());
            async move { served.await.map_err(|source| WebError::Serve { address, source }) }
        }));
        tokio::pin!(servers, shutdown);
        tokio::select! {
            result = &mut servers => return result.map(drop),
            () = &mut shutdown => {}
        }
        readiness.shutting_down();
        control.graceful_shutdown(Some(settings.shutdown_grace));
        servers.await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn bind_one(address: &str) -> Result<Bound, WebError> {
        bind(&WebSettings { listen_addresses: vec![address.to_owned()], ..WebSettings::default() }).await
    }

    #[tokio::test]
    async fn the_forms_of_an_address_are_understood() {
        for address in ["127.0.0.1:0", "localhost:0", ":0", "0.0.0.0:0"] {
            let bound = bind_one(address).await.unwrap();
            assert_ne!(bound.local_addrs()[0].port(), 0, "{address}");
        }
        for address in ["", "9777", "localhost", "::1:9777", "[::1]", "[::1:9777", "localhost:http", ":99999", ":-1"] {
            let error = bind_one(address).await.unwrap_err();
            assert!(matches!(error, WebError::Address { .. }), "{address}: {error}");
            assert!(error.to_string().contains(&format!("{address:?}")), "{error}");
        }
    }

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let taken = bind_one("127.0.0.1:0").await.unwrap();
        let address = taken.local_addrs()[0].to_string();
        let error = bind_one(&address).await.unwrap_err();
        assert_eq!(error.category(), "bind");
        assert_eq!(error.to_string(), format!("cannot listen on --web.listen-address {address:?}"));
    }

    #[tokio::test]
    async fn several_addresses_are_listened_on_in_order_and_none_is_an_error() {
        let settings = WebSettings { listen_addresses: vec!["127.0.0.1:0".into(), ":0".into()], ..WebSettings::default() };
        let addresses = bind(&settings).await.unwrap().local_addrs();
        assert_eq!(addresses.len(), 2);
        assert!(addresses[0].ip().is_loopback() && addresses[1].ip().is_unspecified());
        let settings = WebSettings { listen_addresses: Vec::new(), ..WebSettings::default() };
        assert!(matches!(bind(&settings).await, Err(WebError::NoAddress)));
    }
}
