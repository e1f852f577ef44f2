//! Which pages are there for people?

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query as FromQuery, State as FromState};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER};
use http::{HeaderValue, StatusCode};

use super::views::{AGAIN, TOO_MUCH};
use super::{App, Shared, WebState};
use crate::clock;
use crate::expose::page::{self, Asked, List, Request};
use crate::expose::view::sources::SourcesView;

/// What came after the question mark, decoded.
type Given = Result<FromQuery<Vec<(String, String)>>, QueryRejection>;
/// What stands in the path's braces, decoded.
type Named<T> = Result<Path<T>, PathRejection>;

/// The pages; none where the metrics are under `/`.
pub(super) fn routes(telemetry_path: &str) -> Router<Arc<Shared>> {
    let mut router = Router::new()
        .route("/style.css", get(async || asset("text/css; charset=utf-8", page::STYLE)))
        .route("/icon.svg", get(async || asset("image/svg+xml", page::ICON)));
    if telemetry_path == "/" {
        return router;
    }
    for list in List::ALL {
        router = router
            .route(&format!("/{}", list.path()), get(async move |app: App, given: Given| self::list(app, list, given).await));
    }
    router
        .route("/", get(overview))
        .route("/services/{namespace}/{name}", get(service))
        .route("/subnets/{id}", get(subnet))
        .route("/security-groups/{id}", get(security_group))
}

/// For a minute: after an upgrade the old looks would not fit the new pages.
fn asset(content_type: &'static str, text: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, content_type), (CACHE_CONTROL, "max-age=60")], text)
}

/// A page that was made, and how the answer is called.
type Made = (StatusCode, String);

/// Makes a page of the latest picture: the one that is the latest once it is this page's turn. `depth` is how many folders deep
/// the page is.
async fn show<F>(app: &Shared, depth: usize, given: Given, make: F) -> Response
where
    F: FnOnce(&mut Request) -> Made + Send + 'static,
{
    let (web, telemetry_path) = (app.web.clone(), app.telemetry_path.clone());
    let made = app.views.make(move || {
        let mut request = request(&web, telemetry_path);
        let asked = match given {
            Ok(FromQuery(given)) => Asked::read(&given).map_err(|error| error.to_string()),
            Err(error) => Err(error.body_text()),
        };
        let (status, page) = match asked {
            Ok(asked) => {
                request.asked = asked;
                make(&mut request)
            }
            Err(why) => refused(&request, depth, &why),
        };
        // Without room to grow: it may wait for its reader.
        (status, page.into_boxed_str().into_boxed_bytes())
    });
    let headers = [
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(page::CONTENT_SECURITY_POLICY)),
        (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    let answer = match made.await {
        Ok((status, page)) => match app.views.send(page.into()) {
            Some(body) => (status, Html(body)).into_response(),
            None => {
                let sentence = super::sentence(StatusCode::SERVICE_UNAVAILABLE, sentence(TOO_MUCH));
                ([(RETRY_AFTER, AGAIN)], sentence).into_response()
            }
        },
        Err(error) => {
            tracing::error!(%error, "a page could not be made");
            super::sentence(StatusCode::INTERNAL_SERVER_ERROR, "The page could not be made: a defect of the exporter.")
        }
    };
    (headers, answer).into_response()
}

/// What a page is made from, now.
fn request(web: &WebState, telemetry_path: String) -> Request {
    let (judged, now, calls) = (web.exposition.latest(), clock::now(), web.exposition.own().calls());
    let sources = match &judged {
        Some(judged) => SourcesView::of(&judged.snapshot.parts.sources, Some(judged.outcome.evaluated_at), &calls, now),
        None => SourcesView::of(&web.sources.read(), None, &calls, now),
    };
    Request { judged, state: web.readiness.state(), sources, telemetry_path, now, asked: Asked::default() }
}

fn refused(request: &Request, depth: usize, why: &str) -> Made {
    (StatusCode::BAD_REQUEST, request.problem(depth, "This page cannot be filtered like that", &sentence(why)))
}

fn missing(request: &Request, depth: usize, why: &str) -> Made {
    (StatusCode::NOT_FOUND, request.problem(depth, "There is nothing here", &sentence(why)))
}

/// An error's text as a sentence of its own.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

/// Before the first picture nobody can say what there is; the overview and the sources tell why there is none.
fn status(request: &Request, without_picture: StatusCode) -> StatusCode {
    if request.judged.is_some() { StatusCode::OK } else { without_picture }
}

async fn overview(FromState(app): App, given: Given) -> Response {
    show(&app, 0, given, |request| match std::mem::take(&mut request.asked).whole() {
        Ok(asked) => {
            request.asked = asked;
            (StatusCode::OK, request.overview())
        }
        Err(error) => refused(request, 0, &error.to_string()),
    })
    .await
}

async fn list(FromState(app): App, list: List, given: Given) -> Response {
    show(&app, 0, given, move |request| match request.list(list) {
        Ok(page) if list == List::Sources => (StatusCode::OK, page),
        Ok(page) => (status(request, StatusCode::SERVICE_UNAVAILABLE), page),
        Err(error) => missing(request, 0, &error.to_string()),
    })
    .await
}

/// A page of one thing, or the sentence that there is none of that name.
fn one(request: &Request, depth: usize, page: Option<String>, what: &str) -> Made {
    match page {
        Some(page) => (status(request, StatusCode::SERVICE_UNAVAILABLE), page),
        None => missing(request, depth, what),
    }
}

async fn service(FromState(app): App, path: Named<(String, String)>, given: Given) -> Response {
    show(&app, 2, given, |request| match path {
        Ok(Path((namespace, name))) => {
            let what = format!("no Service {namespace}/{name} asks for a load balancer or has one");
            one(request, 2, request.service(&namespace, &name), &what)
        }
        Err(error) => refused(request, 2, &error.body_text()),
    })
    .await
}

async fn subnet(FromState(app): App, path: Named<String>, given: Given) -> Response {
    show(&app, 1, given, |request| match path {
        Ok(Path(id)) => one(request, 1, request.subnet(&id), &format!("the cluster's VPC has no subnet {id}")),
        Err(error) => refused(request, 1, &error.body_text()),
    })
    .await
}

async fn security_group(FromState(app): App, path: Named<String>, given: Given) -> Response {
    show(&app, 1, given, |request| match path {
        Ok(Path(id)) => {
            let what = format!("no security group {id} plays a part for the cluster's load balancers");
            one(request, 1, request.security_group(&id), &what)
        }
        Err(error) => refused(request, 1, &error.body_text()),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errors_text_becomes_a_sentence() {
        for (text, said) in [("there is none", "There is none."), ("Why?", "Why?"), ("", ".")] {
            assert_eq!(sentence(text), said);
        }
    }
}
