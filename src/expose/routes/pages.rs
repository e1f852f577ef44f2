//! Which pages are there for people?

use std::sync::Arc;

use axum::Router;
use axum::extract::State as FromState;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::HeaderValue;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};

use super::{App, Shared};
use crate::expose::page;

/// The pages; `/` only where the metrics are not there.
pub(super) fn routes(telemetry_path: &str) -> Router<Arc<Shared>> {
    let mut router = Router::new();
    if telemetry_path != "/" {
        router = router.route("/", get(status_page));
    }
    router.route("/style.css", get(async || ([(CONTENT_TYPE, "text/css; charset=utf-8")], page::STYLE)))
}

async fn status_page(FromState(app): App) -> Response {
    let web = &app.web;
    let page = page::render(
        &app.telemetry_path,
        &web.readiness.state(),
        web.exposition.latest().as_ref().map(|judged| &*judged.outcome),
        &web.sources.read(),
    );
    let policy = HeaderValue::from_static(page::CONTENT_SECURITY_POLICY);
    ([(CONTENT_SECURITY_POLICY, policy)], axum::response::Html(page)).into_response()
}
