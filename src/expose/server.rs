//! How do clients get in? Listening, time-outs, and the end.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum_server::accept::Accept;
use axum_server::service::SendService;
use axum_server::tls_rustls::RustlsAcceptor;
use axum_server::{Control, Handle, Server};
use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};
use hyper::body::Incoming;
use hyper_util::rt::TokioTimer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use crate::expose::connection::{Acceptor, Places};
use crate::expose::exposition::ExpositionSettings;
use crate::expose::own::OwnMetrics;
pub use crate::expose::routes::{Reload, Sources, WebState};
use crate::expose::web_config::{LiveWebConfig, WebConfigError, guard};

/// How the web side is set up: the `--web.*` flags.
#[derive(Debug, Clone)]
pub struct WebSettings {
    /// Where to listen: `:10669` (every address), `0.0.0.0:10669`, `[::1]:10669`, `localhost:10669`.
    pub listen_addresses: Vec<String>,
    /// TLS, passwords, headers; plain HTTP for everybody without it.
    pub config_file: Option<PathBuf>,
    /// How many connections are held at the same time; the process's open files may allow fewer.
    pub max_connections: usize,
    /// The path of the metrics.
    pub telemetry_path: String,
    /// How many scrapes are answered at the same time; one is over when its last bytes went to the connection. 0 means any number.
    pub max_requests: usize,
    /// Leaves out the exporter's own work and `process_*`.
    pub disable_exporter_metrics: bool,
    /// How long a new connection may take for its TLS handshake, and then for its first request's header.
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
            config_file: None,
            max_connections: 2048,
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
    /// The web configuration is of no use.
    #[error(transparent)]
    Config(#[from] WebConfigError),
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
            Self::Config(_) | Self::NoAddress | Self::Address { .. } | Self::TelemetryPath { .. } => "setting",
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
    config: Option<Arc<LiveWebConfig>>,
    listeners: Vec<(TcpListener, SocketAddr)>,
}

/// Checks the settings and listens on every address, so that a mistake ends the start and not a scrape.
pub async fn bind(settings: &WebSettings) -> Result<Bound, WebError> {
    crate::expose::routes::check_telemetry_path(&settings.telemetry_path)?;
    if settings.listen_addresses.is_empty() {
        return Err(WebError::NoAddress);
    }
    let config = settings.config_file.as_deref().map(LiveWebConfig::load).transpose()?.map(Arc::new);
    let mut listeners = Vec::new();
    for address in &settings.listen_addresses {
        let bound = |source| WebError::Bind { address: address.clone(), source };
        let listener = listen(address).await?;
        let local = listener.local_addr().map_err(bound)?;
        listeners.push((listener, local));
    }
    Ok(Bound { settings: settings.clone(), config, listeners })
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

    /// Whether clients have to speak TLS.
    pub fn is_tls(&self) -> bool {
        self.config.as_ref().is_some_and(|config| config.tls().is_some())
    }

    /// The web configuration, to have it read again.
    pub fn web_config(&self) -> Option<Arc<LiveWebConfig>> {
        self.config.clone()
    }

    /// Answers until `shutdown` resolves; then not ready, nothing new accepted, answers in flight finished within the grace period.
    pub async fn serve(self, state: WebState, shutdown: impl Future<Output = ()>) -> Result<(), WebError> {
        let Self { settings, config, listeners } = self;
        let readiness = Arc::clone(&state.readiness);
        let own = Arc::clone(state.exposition.own());
        let router = guard(crate::expose::routes::router(state, &settings), config.clone(), Arc::clone(&own));
        let control = Control::new();
        let tls = config.as_ref().and_then(|config| config.tls());
        let acceptor = Acceptor {
            send_timeout: settings.send_timeout,
            first_byte_timeout: tls.is_some().then_some(settings.header_timeout),
            places: Places::new(settings.max_connections, Arc::clone(&own)),
        };
        let servers = try_join_all(listeners.into_iter().map(|(listener, address)| {
            let server = Server::from_listener(listener).handle(Handle::<SocketAddr>::with_control(control.clone()));
            let served = match &tls {
                Some(tls) => {
                    let handshakes = RustlsAcceptor::new(tls.clone()).handshake_timeout(settings.header_timeout);
                    serve_on(
                        server.acceptor(handshakes.acceptor(acceptor.clone())),
                        &settings,
                        router.clone(),
                        Some(Arc::clone(&own)),
                    )
                }
                None => serve_on(server.acceptor(acceptor.clone()), &settings, router.clone(), None),
            };
            async move { served.await.map_err(|source| WebError::Serve { address, source }) }
        }));
        let watch = config.map_or_else(|| std::future::pending().boxed(), |config| config.watch(own).boxed());
        tokio::pin!(servers, shutdown);
        tokio::select! {
            result = &mut servers => return result.map(drop),
            () = watch => unreachable!("looking for changes has no end"),
            () = &mut shutdown => {}
        }
        readiness.shutting_down();
        control.graceful_shutdown(Some(settings.shutdown_grace));
        servers.await.map(drop)
    }
}

/// The largest head of a request, and the size of a read: small, since each connection that drips may fill it.
const HEAD_LIMIT: usize = 16 << 10;

/// Answers on one address. `handshakes`: where those that come to nothing are counted.
fn serve_on<A>(
    server: Server<SocketAddr, A>,
    settings: &WebSettings,
    router: Router,
    handshakes: Option<Arc<OwnMetrics>>,
) -> BoxFuture<'static, io::Result<()>>
where
    A: Accept<TcpStream, Router> + Clone + Send + Sync + 'static,
    A::Stream: AsyncRead + AsyncWrite + Unpin + Send,
    A::Service: SendService<Request<Incoming>> + Send,
    A::Future: Send,
{
    let complaints = Complaints::default();
    let mut server =
        server.http1_only().first_request_timeout(settings.header_timeout).accept_error_handler(move |peer, error| match peer {
            // The listener itself, for want of open files most likely. It goes on by itself after a pause.
            None => complaints.tell(error),
            Some(peer) if crate::expose::connection::is_refusal(error) => {
                tracing::debug!(%peer, %error, "a connection was closed")
            }
            Some(peer) => {
                if let Some(own) = &handshakes {
                    own.refused(crate::expose::own::Refusal::Handshake);
                }
                tracing::debug!(%peer, %error, "a connection could not be accepted");
            }
        });
    server
        .http_builder()
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.keep_alive_timeout)
        .max_buf_size(HEAD_LIMIT);
    server.serve(router.into_make_service()).boxed()
}

/// Says once a minute what happens twenty times a second.
#[derive(Debug, Default)]
struct Complaints(std::sync::Mutex<Option<Instant>>);

impl Complaints {
    fn tell(&self, error: &io::Error) {
        let mut last = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= Duration::from_secs(60)) {
            *last = Some(Instant::now());
            tracing::warn!(%error, "no connection can be accepted; trying again and again");
        }
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
