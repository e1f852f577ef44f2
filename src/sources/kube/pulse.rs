//! When did the API server last say yes? A layer on the client that sees a watch being opened.
//!
//! On a quiet cluster a watch yields nothing for hours (bookmarks do not reach its reader), so the only sign of life is
//! the 2xx with which the server opens it, again and again as each one times out.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use jiff::Timestamp;
use kube::Client;
use kube::client::Body;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tower::BoxError;

/// A watch is not opened more often than this: the reader of a watch that a broken proxy ends at once asks again
/// without a pause.
const PACE: Duration = Duration::from_millis(500);

/// A client of the same connections that tells of each opened watch, and gives up on an answer that does not begin
/// within `patience`. The receiver holds when a watch was last opened.
pub(super) fn observed(client: &Client, patience: Duration) -> (Client, watch::Receiver<Option<Timestamp>>) {
    let (opened, receiver) = watch::channel(None);
    let (inner, namespace) = (client.clone(), client.default_namespace().to_owned());
    let pace = Arc::new(tokio::sync::Mutex::new(None::<Instant>));
    let service = tower::service_fn(move |request: Request<Body>| {
        let (inner, opened, pace) = (inner.clone(), opened.clone(), Arc::clone(&pace));
        async move {
            let is_watch = request.uri().query().is_some_and(|query| query.split('&').any(|term| term == "watch=true"));
            if is_watch {
                let mut last = pace.lock().await;
                if let Some(last) = *last {
                    sleep_until(last + PACE).await;
                }
                *last = Some(Instant::now());
            }
            let response: Response<Body> = match timeout(patience, inner.send(request)).await {
                Ok(answer) => answer.map_err(BoxError::from)?,
                Err(_) => {
                    let message = format!("no answer within {patience:?}");
                    return Err(BoxError::from(io::Error::new(io::ErrorKind::TimedOut, message)));
                }
            };
            // A proxy's own page may come with a 200.
            let content = response.headers().get(http::header::CONTENT_TYPE).map(|content| content.as_bytes());
            let is_page = content.is_some_and(|content| content.starts_with(b"text/"));
            if is_watch && response.status().is_success() && !is_page {
                opened.send_replace(Some(crate::clock::now()));
            }
            Ok(response)
        }
    });
    (Client::new(service, namespace), receiver)
}
