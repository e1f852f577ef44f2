//! What do programs read? The views of the latest picture as JSON under `/api/v1`.

use std::borrow::Cow;
use std::fmt::Display;
use std::sync::{Arc, LazyLock};

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query as FromQuery, State as FromState};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get};
use axum::{Json, Router};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use tower_http::set_header::SetResponseHeaderLayer;

use super::views::{AGAIN, TOO_MUCH};
use super::{App, Shared};
use crate::checks::Judged;
use crate::clock;
use crate::expose::openapi::{self, Operation, Problem, schema_of};
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

/// What came after the question mark, decoded.
type Given = Result<FromQuery<Vec<(String, String)>>, QueryRejection>;
/// What stands in the path's braces, decoded.
type Named<T> = Result<Path<T>, PathRejection>;

/// One path: what it is, and who answers.
struct Route {
    operation: Operation,
    handler: fn() -> MethodRouter<Arc<Shared>>,
}

const SERVICE: &[(&str, &str)] =
    &[("namespace", "The Service\'s namespace."), ("name", "The Service\'s name in that namespace.")];

macro_rules! routes {
    ($($path:literal $handler:ident -> $view:ty, $needs_picture:expr, $names:expr, $query:expr, $summary:literal;)+) => {
        /// The JSON routes. The document that describes them is made from the same table.
        static ROUTES: &[Route] = &[$(Route {
            operation: Operation {
                path: $path,
                id: stringify!($handler),
                summary: $summary,
                names: $names,
                query: $query,
                needs_picture: $needs_picture,
                schema: schema_of::<$view>,
            },
            handler: || get($handler),
        }),+];
    };
}

routes! {
    "/api/v1/status" status -> StatusView, true, &[], &[], "The verdict, and at what the exporter looks.";
    "/api/v1/findings" findings -> FindingsView, true, &[], NAMESPACED, "What is wrong, the worst first, and what is muted.";
    "/api/v1/services" services -> ServicesView, true, &[], NAMESPACED, "Services that ask for a load balancer or have one.";
    "/api/v1/services/{namespace}/{name}" service -> ServiceView, true, SERVICE, &[], "Everything of one Service.";
    "/api/v1/subnets" subnets -> SubnetsView, true, &[], LISTED, "The subnets of the cluster\'s VPC.";
    "/api/v1/subnets/{id}" subnet -> SubnetView, true, &[("id", "The subnet\'s id.")], &[], "One subnet with its load balancers.";
    "/api/v1/security-groups" security_groups -> SecurityGroupsView, true, &[], LISTED,
        "The security groups that play a part for the cluster\'s load balancers.";
    "/api/v1/security-groups/{id}" security_group -> SecurityGroupView, true, &[("id", "The group\'s id.")], &[],
        "One security group with its load balancers.";
    "/api/v1/quotas" quotas -> QuotasView, true, &[], LISTED, "Quotas, what is used of them, and how more is asked for.";
    "/api/v1/headroom" headroom -> HeadroomView, true, &[], &[], "How many more load balancers fit, and under which constraint.";
    "/api/v1/orphans" orphans -> OrphansView, true, &[], &[], "What belongs to nobody, and what is there twice.";
    "/api/v1/sources" sources -> SourcesView, false, &[], &[], "How old the parts of the picture are, and what asking cost.";
    "/api/v1/openapi.json" openapi -> Described, false, &[], &[], "This document.";
}

/// Stands for the document, which has a schema of its own.
struct Described;

impl JsonSchema for Described {
    fn schema_name() -> Cow<'static, str> {
        "OpenApiDocument".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "description": "An OpenAPI 3.1 document."})
    }
}

/// Every path of the API.
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    ROUTES.iter().map(|route| &route.operation)
}

/// The JSON routes, and the answer to everything else under `/api`.
pub(super) fn routes() -> Router<Arc<Shared>> {
    let described = ROUTES.iter().fold(Router::new(), |router, route| router.route(route.operation.path, (route.handler)()));
    described
        .method_not_allowed_fallback(async || problem(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered here"))
        .route("/api", any(nothing))
        .route("/api/", any(nothing))
        .route("/api/{*rest}", any(nothing))
        .layer(SetResponseHeaderLayer::overriding(CACHE_CONTROL, HeaderValue::from_static("no-store")))
}

/// The document is the same as long as the program runs.
async fn openapi(given: Given) -> Response {
    static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| openapi::document(operations()).to_string().into());
    match read(given, &[]) {
        Ok(_) => ([(CONTENT_TYPE, "application/json")], DOCUMENT.clone()).into_response(),
        Err(refusal) => refusal.into_response(),
    }
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

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Question(why) => problem(StatusCode::BAD_REQUEST, why),
            Self::Missing(what) => problem(StatusCode::NOT_FOUND, what),
        }
    }
}

/// Makes a view of the latest picture: the one that is the latest once it is this view's turn.
async fn show<V, F>(app: &Shared, make: F) -> Response
where
    V: Serialize,
    F: FnOnce(&Judged) -> Result<V, Refusal> + Send + 'static,
{
    let exposition = Arc::clone(&app.web.exposition);
    let made = app.views.make(move || {
        let Some(judged) = exposition.latest() else { return Ok(None) };
        // Without room to grow: it may wait for its reader.
        make(&judged).map(|view| Some(serde_json::to_vec(&view).map(Vec::into_boxed_slice)))
    });
    let defect = |error: &dyn Display| {
        tracing::error!(%error, "a view could not be made");
        problem(StatusCode::INTERNAL_SERVER_ERROR, "the view could not be made: a defect of the exporter")
    };
    match made.await {
        Ok(Ok(Some(Ok(view)))) => match app.views.send(view.into()) {
            Some(body) => ([(CONTENT_TYPE, "application/json")], body).into_response(),
            None => ([(RETRY_AFTER, AGAIN)], problem(StatusCode::SERVICE_UNAVAILABLE, TOO_MUCH)).into_response(),
        },
        Ok(Ok(None)) => problem(StatusCode::SERVICE_UNAVAILABLE, "there is no picture yet: the first one is being made"),
        Ok(Err(refusal)) => refusal.into_response(),
        Ok(Ok(Some(Err(error)))) => defect(&error),
        Err(error) => defect(&error),
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
    if let Err(refusal) = read(given, &[]) {
        return refusal.into_response();
    }
    let web = &app.web;
    let calls = web.exposition.own().calls();
    Json(match web.exposition.latest() {
        Some(judged) => SourcesView::of(&judged.snapshot.parts.sources, Some(judged.outcome.evaluated_at), &calls, clock::now()),
        None => SourcesView::of(&web.sources.read(), None, &calls, clock::now()),
    })
    .into_response()
}
