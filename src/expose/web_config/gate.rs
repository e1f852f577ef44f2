//! What happens to a request before its page is looked for, and to each answer?

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::header::{CONNECTION, RETRY_AFTER, TRANSFER_ENCODING, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use tower_http::limit::RequestBodyLimitLayer;

use super::auth::Verdict;
use super::live::LiveWebConfig;
use crate::expose::own::{OwnMetrics, Refusal};

/// No page takes a body; what a client sends along with POST may be as large as this.
const BODY_LIMIT: usize = 16 << 10;

#[derive(Debug, Clone)]
struct Gate {
    config: Option<Arc<LiveWebConfig>>,
    own: Arc<OwnMetrics>,
}

/// The pages behind the rules that hold for all of them.
pub(crate) fn guard(pages: Router, config: Option<Arc<LiveWebConfig>>, own: Arc<OwnMetrics>) -> Router {
    pages.layer(RequestBodyLimitLayer::new(BODY_LIMIT)).layer(from_fn_with_state(Gate { config, own }, pass))
}

async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let Some(config) = &gate.config else {
        return match badly_framed(&request) {
            Some(answer) => answer,
            None => next.run(request).await,
        };
    };
    let rules = config.rules();
    let mut answer = if !rules.may_ask_now() {
        gate.own.refused(Refusal::RateLimit);
        refusal(StatusCode::TOO_MANY_REQUESTS, "Too many requests: the rate_limit of the web configuration is reached.\n")
    } else if let Some(answer) = badly_framed(&request) {
        answer
    } else {
        match rules.authenticator.check(request.headers()).await {
            Verdict::Welcome => next.run(request).await,
            Verdict::Unknown => {
                gate.own.refused(Refusal::Credentials);
                let mut answer = refusal(StatusCode::UNAUTHORIZED, "A name and a password are needed.\n");
                let challenge = HeaderValue::from_static(r#"Basic realm="eks-nlb-exporter", charset="UTF-8""#);
                answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
                answer
            }
            Verdict::Busy => {
                gate.own.refused(Refusal::Busy);
                let mut answer = refusal(StatusCode::SERVICE_UNAVAILABLE, "Too many passwords are being compared; try again.\n");
                answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
                answer
            }
        }
    };
    for (name, value) in &rules.headers {
        answer.headers_mut().insert(name, value.clone());
    }
    answer
}

/// No page takes a body of unknown length; together with a Content-Length it is how requests are smuggled past proxies.
fn badly_framed(request: &Request) -> Option<Response> {
    request.headers().contains_key(TRANSFER_ENCODING).then(|| {
        let mut answer = refusal(StatusCode::BAD_REQUEST, "A request with Transfer-Encoding is not taken here.\n");
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        answer
    })
}

fn refusal(status: StatusCode, sentence: &'static str) -> Response {
    let nosniff = (http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    (status, [nosniff], sentence).into_response()
}
