//! What is answered under which path? Here: metrics, health, reload, and how all of it is put together.

mod api;
mod pages;
mod views;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::State as FromState;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, ORIGIN, VARY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper::body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::expose::exposition::{Exposed, Exposition};
use crate::expose::negotiate::{Encoding, negotiate};
use crate::expose::readiness::{Readiness, State};
use crate::expose::server::{WebError, WebSettings};
use crate::inventory::parts::SourceStatus;
pub use api::operations;
use views::Views;

/// How the sources are doing, asked for anew by every page.
#[derive(Clone)]
pub struct Sources(Arc<dyn Fn() -> Arc<BTreeMap<Arc<str>, SourceStatus>> + Send + Sync>);

impl Sources {
    /// Asks `read` each time.
    pub fn new(read: impl Fn() -> Arc<BTreeMap<Arc<str>, SourceStatus>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// How they are doing now.
    pub fn read(&self) -> Arc<BTreeMap<Arc<str>, SourceStatus>> {
        (self.0)()
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sources").field(&self.read()).finish()
    }
}

/// Loads the configuration again, or says in one sentence why not.
#[derive(Clone)]
pub struct Reload(Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>);

impl Reload {
    /// Calls `reload` for each request.
    pub fn new<F>(reload: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(reload())))
    }

    /// Loads it again.
    pub(crate) fn run(&self) -> BoxFuture<'static, Result<(), String>> {
        (self.0)()
    }
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reload")
    }
}

/// What the answers are made from.
#[derive(Debug, Clone)]
pub struct WebState {
    /// The metrics and the latest picture.
    pub exposition: Arc<Exposition>,
    /// What the start waits for.
    pub readiness: Arc<Readiness>,
    /// How the sources are doing.
    pub sources: Sources,
    /// What `POST /-/reload` does; nothing where there is no configuration to load again.
    pub reload: Option<Reload>,
}

#[derive(Debug)]
struct Shared {
    web: WebState,
    telemetry_path: String,
    max_requests: usize,
    scrapes: Arc<Semaphore>,
    /// KiB of answers to scrapes without compression that may be on their way.
    plain: Arc<Semaphore>,
    views: Views,
}

type App = FromState<Arc<Shared>>;

/// Paths that are taken; `/` too, but who asks for the metrics there does without the status page.
const TAKEN: [&str; 8] = ["/-/healthy", "/-/ready", "/-/reload", "/livez", "/readyz", "/healthz", "/style.css", "/icon.svg"];
/// Under these everything is.
const TAKEN_FOLDERS: [&str; 10] =
    ["/api", "/findings", "/services", "/subnets", "/security-groups", "/quotas", "/drift", "/orphans", "/muted", "/sources"];

/// KiB of answers to scrapes without compression. Of a thousand load balancers' metrics one has 13 MB, and a reader that takes its
/// time keeps that of its picture while newer ones come: forty such readers would take half a gigabyte. Compressed it is a twentieth.
const PLAIN: usize = 64 << 10;

/// Refuses a path that the router could not serve, or would serve as a pattern.
pub(crate) fn check_telemetry_path(path: &str) -> Result<(), WebError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
    let reason = if !path.starts_with('/') {
        "does not begin with /"
    } else if !path.chars().all(allowed) {
        "may hold only letters, digits and / - . _ ~"
    } else if TAKEN.contains(&path) || TAKEN_FOLDERS.iter().any(|folder| is_within(path, folder)) {
        "is already taken by another page"
    } else {
        return Ok(());
    };
    Err(WebError::TelemetryPath { path: path.to_owned(), reason })
}

fn is_within(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// All the paths.
pub(crate) fn router(web: WebState, settings: &WebSettings) -> Router {
    let permits = if settings.max_requests == 0 { Semaphore::MAX_PERMITS } else { settings.max_requests };
    let shared = Arc::new(Shared {
        web,
        telemetry_path: settings.telemetry_path.clone(),
        max_requests: settings.max_requests,
        scrapes: Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS))),
        plain: Arc::new(Semaphore::new(PLAIN)),
        views: Views::new(),
    });
    let mut router = Router::new().route(&settings.telemetry_path, get(metrics));
    router = router.merge(api::routes()).merge(pages::routes(&settings.telemetry_path));
    for path in ["/-/healthy", "/livez", "/healthz"] {
        router = router.route(path, get(healthy));
    }
    for path in ["/-/ready", "/readyz"] {
        router = router.route(path, get(ready));
    }
    router
        .route("/-/reload", post(reload))
        .fallback(async || sentence(StatusCode::NOT_FOUND, "There is nothing under this path."))
        .layer(SetResponseHeaderLayer::if_not_present(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
        .with_state(shared)
}

fn sentence(status: StatusCode, text: impl fmt::Display) -> Response {
    (status, format!("{text}\n")).into_response()
}

async fn metrics(FromState(app): App, headers: HeaderMap) -> Response {
    let Ok(permit) = Arc::clone(&app.scrapes).try_acquire_owned() else {
        let limit = app.max_requests;
        return sentence(
            StatusCode::SERVICE_UNAVAILABLE,
            format_args!("{limit} scrapes are being answered already, as many as allowed."),
        );
    };
    match app.web.exposition.body(negotiate(&headers)).await {
        Ok(exposed) => match app.room_for(&exposed) {
            Ok(room) => answer(exposed, (permit, room)),
            Err(_) => {
                let words = "Too many answers without compression are on their way; ask for gzip.";
                sentence(StatusCode::SERVICE_UNAVAILABLE, words)
            }
        },
        Err(error) => {
            tracing::error!(category = error.category(), error = %error, "no exposition");
            sentence(StatusCode::INTERNAL_SERVER_ERROR, error)
        }
    }
}

impl Shared {
    /// What an answer takes up of the room for those without compression.
    fn room_for(&self, exposed: &Exposed) -> Result<Option<OwnedSemaphorePermit>, TryAcquireError> {
        if exposed.form.encoding == Encoding::Gzip {
            return Ok(None);
        }
        let size = exposed.observed.len().div_ceil(1 << 10).min(PLAIN);
        Arc::clone(&self.plain).try_acquire_many_owned(u32::try_from(size).unwrap_or(u32::MAX)).map(Some)
    }
}

fn answer(exposed: Exposed, permits: Permits) -> Response {
    let Exposed { form, observed, fresh } = exposed;
    let mut response = Response::new(Body::new(Chunks { chunks: [fresh, observed], _permits: permits }));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(form.format.content_type()));
    headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    if form.encoding == Encoding::Gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// A body of known length that takes up its places until it was sent, or its reader is gone.
#[derive(Debug)]
struct Chunks {
    /// The last one first; sent ones are empty.
    chunks: [Bytes; 2],
    _permits: Permits,
}

/// The places that an answer takes up.
type Permits = (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>);

impl HttpBody for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.chunks.iter_mut().rev().find(|chunk| !chunk.is_empty());
        Poll::Ready(next.map(|chunk| Ok(Frame::data(std::mem::take(chunk)))))
    }

    fn is_end_stream(&self) -> bool {
        self.chunks.iter().all(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.chunks.iter().map(|chunk| chunk.len() as u64).sum())
    }
}

async fn healthy() -> Response {
    sentence(StatusCode::OK, "Healthy.")
}

async fn ready(FromState(app): App) -> Response {
    match app.web.readiness.state() {
        State::Ready => sentence(StatusCode::OK, "Ready."),
        State::ShuttingDown => sentence(StatusCode::SERVICE_UNAVAILABLE, "Not ready: shutting down."),
        State::Pending(names) => {
            let names: Vec<_> = names.into_iter().collect();
            sentence(StatusCode::SERVICE_UNAVAILABLE, format_args!("Not ready, waiting for: {}", names.join(", ")))
        }
    }
}

async fn reload(FromState(app): App, headers: HeaderMap) -> Response {
    // What a page asks of another server bears its origin, and a browser adds the password that its user has typed here once.
    if headers.contains_key(ORIGIN) {
        return sentence(StatusCode::FORBIDDEN, "This is not for pages in a browser; send it by a program, as curl does.");
    }
    let Some(Reload(reload)) = &app.web.reload else {
        return sentence(StatusCode::NOT_FOUND, "There is no configuration file to load again.");
    };
    match reload().await {
        Ok(()) => sentence(StatusCode::OK, "The configuration was loaded again."),
        Err(reason) => sentence(StatusCode::INTERNAL_SERVER_ERROR, format_args!("The configuration was not loaded: {reason}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_every_list_is_taken() {
        for list in crate::expose::page::List::ALL {
            assert!(check_telemetry_path(&format!("/{}", list.path())).is_err(), "{list:?}");
        }
    }

    #[test]
    fn a_telemetry_path_that_cannot_be_served_is_refused() {
        for path in ["/metrics", "/", "/a/b-c", "/probe.d/x_y~", "/apis", "/services-metrics"] {
            check_telemetry_path(path).unwrap();
        }
        for path in [
            "",
            "metrics",
            "/-/ready",
            "/{x}",
            "/*rest",
            "/a b",
            "/a?b",
            "/ä",
            "/api/v2",
            "/services/a/b",
            "/icon.svg",
            "/sources",
        ] {
            let error = check_telemetry_path(path).unwrap_err();
            assert!(error.to_string().starts_with(&format!("--web.telemetry-path {path:?} ")), "{error}");
        }
    }
}
