//! What do programs read? The views of the latest picture as JSON under `/api/v1`.

use std::fmt::Display;
use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query as FromQuery, State as FromState};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;
use tower_http::set_header::SetResponseHeaderLayer;

use super::{App, Shared};
use crate::checks::Judged;
use crate::clock;
use crate::expose::view::findings::FindingsView;
use crate::expose::view::headroom::HeadroomView;
use crate::expose::view::orphans::OrphansView;
use crate::expose::view::query::{LISTED, NAMESPACED, Parameter, Query};
use crate::expose::view::quotas::QuotasView;
use crate::expose::view::security_groups::{SecurityGroupView, SecurityGroupsView};
use crate::expose::view::services::{ServiceView, ServicesView};
use crate::expose::view::sources::SourcesView;
use crate::expose::view::status::StatusView;
use crate::expose::view::subnets::{SubnetView, SubnetsView};
use crate::expose::view::verdict::VerdictView;
use crate::inventory::ids::ObjectName;

/// Why there is no answer.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Problem {
    /// One sentence.
    pub(crate) error: String,
}

/// What came after the question mark, decoded.
type Given = Result<FromQuery<Vec<(String, String)>>, QueryRejection>;
/// What stands in the path's braces, decoded.
type Named<T> = Result<Path<T>, PathRejection>;

/// The JSON routes.
pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/v1/status", get(status))
        .route("/api/v1/findings", get(findings))
        .route("/api/v1/services", get(services))
        .route("/api/v1/services/{namespace}/{name}", get(service))
        .route("/api/v1/subnets", get(subnets))
        .route("/api/v1/subnets/{id}", get(subnet))
        .route("/api/v1/security-groups", get(security_groups))
        .route("/api/v1/security-groups/{id}", get(security_group))
        .route("/api/v1/quotas", get(quotas))
        .route("/api/v1/headroom", get(headroom))
        .route("/api/v1/orphans", get(orphans))
        .route("/api/v1/sources", get(sources))
        .method_not_allowed_fallback(async || problem(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered here"))
        .route("/api", any(nothing))
        .route("/api/", any(nothing))
        .route("/api/{*rest}", any(nothing))
        .layer(SetResponseHeaderLayer::overriding(CACHE_CONTROL, HeaderValue::from_static("no-store")))
}

fn problem(status: StatusCode, error: impl Display) -> Response {
    (status, Json(Problem { error: error.to_string() })).into_response()
}

async fn nothing() -> Response {
    problem(StatusCode::NOT_FOUND, "there is nothing under this path; /api/v1/openapi.json describes what there is")
}

/// Why a view is not made.
enum Refusal {
    /// The question is not understood.
    Question(String),
    /// There is no such thing.
    Missing(String),
}

/// Makes a view of the latest picture, off the async threads: of a large one that takes milliseconds.
async fn show<V, F>(app: &Shared, make: F) -> Response
where
    V: Serialize,
    F: FnOnce(&Judged) -> Result<V, Refusal> + Send + 'static,
{
    let Some(judged) = app.web.exposition.latest() else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "there is no picture yet: the first one is being made");
    };
    let _turn = app.views.acquire().await;
    let made = tokio::task::spawn_blocking(move || make(&judged).map(|view| Json(view).into_response()));
    match made.await {
        Ok(Ok(response)) => response,
        Ok(Err(Refusal::Question(why))) => problem(StatusCode::BAD_REQUEST, why),
        Ok(Err(Refusal::Missing(what))) => problem(StatusCode::NOT_FOUND, what),
        Err(error) => {
            tracing::error!(%error, "a view could not be made");
            problem(StatusCode::INTERNAL_SERVER_ERROR, "the view could not be made: a defect of the exporter")
        }
    }
}

fn read(given: Given, allowed: &[Parameter]) -> Result<Query, Refusal> {
    let FromQuery(given) = given.map_err(|error| Refusal::Question(error.body_text()))?;
    let given = given.iter().map(|(name, value)| (&**name, &**value));
    Query::read(given, allowed).map_err(|error| Refusal::Question(error.to_string()))
}

fn named<T>(path: Named<T>) -> Result<T, Refusal> {
    path.map(|Path(name)| name).map_err(|error| Refusal::Question(error.body_text()))
}

async fn status(FromState(app): App, given: Given) -> Response {
    let state = app.web.readiness.state();
    show(&app, move |judged| read(given, &[]).map(|_| StatusView::of(judged, &state))).await
}

async fn findings(FromState(app): App, given: Given) -> Response {
    let state = app.web.readiness.state();
    show(&app, move |judged| {
        let query = read(given, NAMESPACED)?;
        Ok(FindingsView::of(judged, VerdictView::of(judged, &state), &query))
    })
    .await
}

async fn services(FromState(app): App, given: Given) -> Response {
    show(&app, |judged| Ok(ServicesView::of(judged, &read(given, NAMESPACED)?))).await
}

async fn service(FromState(app): App, path: Named<(String, String)>, given: Given) -> Response {
    show(&app, |judged| {
        read(given, &[])?;
        let (namespace, name) = named(path)?;
        let missing = || Refusal::Missing(format!("no Service {namespace:?}/{name:?} asks for a load balancer or has one"));
        ServiceView::of(judged, &ObjectName::new(&*namespace, &*name)).ok_or_else(missing)
    })
    .await
}

async fn subnets(FromState(app): App, given: Given) -> Response {
    show(&app, |judged| Ok(SubnetsView::of(judged, &read(given, LISTED)?))).await
}

async fn subnet(FromState(app): App, path: Named<String>, given: Given) -> Response {
    show(&app, |judged| {
        read(given, &[])?;
        let id = named(path)?;
        SubnetView::of(judged, &id).ok_or_else(|| Refusal::Missing(format!("the cluster's VPC has no subnet {id:?}")))
    })
    .await
}

async fn security_groups(FromState(app): App, given: Given) -> Response {
    show(&app, |judged| Ok(SecurityGroupsView::of(judged, &read(given, LISTED)?))).await
}

async fn security_group(FromState(app): App, path: Named<String>, given: Given) -> Response {
    show(&app, |judged| {
        read(given, &[])?;
        let id = named(path)?;
        let missing = || Refusal::Missing(format!("no security group {id:?} plays a part for the cluster's load balancers"));
        SecurityGroupView::of(judged, &id).ok_or_else(missing)
    })
    .await
}

async fn quotas(FromState(app): App, given: Given) -> Response {
    show(&app, |judged| Ok(QuotasView::of(judged, &read(given, LISTED)?))).await
}

async fn headroom(FromState(app): App, given: Given) -> Response {
    show(&app, |judged| read(given, &[]).map(|_| HeadroomView::of(judged))).await
}

async fn orphans(FromState(app): App, given: Given) -> Response {
    show(&app, |judged| read(given, &[]).map(|_| OrphansView::of(judged))).await
}

/// Answered before the first picture, too: it tells why there is none.
async fn sources(FromState(app): App, given: Given) -> Response {
    if let Err(Refusal::Question(why) | Refusal::Missing(why)) = read(given, &[]) {
        return problem(StatusCode::BAD_REQUEST, why);
    }
    let web = &app.web;
    let calls = web.exposition.own().calls();
    Json(match web.exposition.latest() {
        Some(judged) => SourcesView::of(&judged.snapshot.parts.sources, Some(judged.outcome.evaluated_at), &calls, clock::now()),
        None => SourcesView::of(&web.sources.read(), None, &calls, clock::now()),
    })
    .into_response()
}
