//! Why did a call to the API server fail? Its errors, sorted into the closed categories.

use std::error::Error;
use std::io;

use kube::runtime::watcher;
use rustls::pki_types::pem;

use crate::inventory::part::{Failure, FailureCategory};

/// What a person gets to read at most: a proxy may answer with a whole page.
const LONGEST_MESSAGE: usize = 300;

/// What a failed try means for the watch.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The version asked for is forgotten: list again. Nothing is wrong.
    Gone,
    /// It failed.
    Failed(Failure),
}

/// Sorts the error of a watch. `operation` is what was being done, e.g. `watch services`.
pub(super) fn trouble(operation: &str, error: &watcher::Error) -> Trouble {
    let (category, message) = match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => match error {
            kube::Error::Api(status) if status.code == 410 => return Trouble::Gone,
            error => (category(error), message(error)),
        },
        watcher::Error::WatchError(status) if status.code == 410 => return Trouble::Gone,
        watcher::Error::WatchError(status) => (of_status(status.code), status.message.clone()),
        watcher::Error::NoResourceVersion => (FailureCategory::Malformed, error.to_string()),
    };
    Trouble::Failed(Failure { category, operation: operation.to_owned(), message: shortened(message) })
}

/// The category of a client's error.
pub(in crate::sources) fn category(error: &kube::Error) -> FailureCategory {
    match error {
        kube::Error::Api(status) => of_status(status.code),
        kube::Error::Auth(_) => FailureCategory::Expired,
        kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) | kube::Error::LinesCodecMaxLineLengthExceeded => {
            FailureCategory::Malformed
        }
        error if timed_out(error) => FailureCategory::Timeout,
        _ => FailureCategory::Unreachable,
    }
}

/// An error's own words, and those of its causes that say more; without what could be a secret.
pub(in crate::sources) fn message(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => return status.message.clone(),
        // Its words hold the URL, and that may hold a password.
        kube::Error::ProxyProtocolUnsupported { proxy_url } | kube::Error::ProxyProtocolDisabled { proxy_url, .. } => {
            let scheme = proxy_url.scheme_str().unwrap_or("none");
            return format!("the URL of the proxy begins with {scheme:?}, but only http is spoken with a proxy");
        }
        _ => {}
    }
    // The parser's words may hold a line of the text, which may be all of a key.
    if causes(error).any(|cause| cause.is::<pem::Error>()) {
        return "a certificate or key of the kubeconfig is not in PEM form, or damaged".to_owned();
    }
    let mut message = error.to_string();
    for cause in causes(error).skip(1) {
        let text = cause.to_string();
        if !message.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
    }
    message
}

/// An error and its causes.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| <dyn Error>::source(*error))
}

fn of_status(code: u16) -> FailureCategory {
    match code {
        401 => FailureCategory::Expired,
        403 => FailureCategory::Denied,
        404 => FailureCategory::NotFound,
        408 | 504 => FailureCategory::Timeout,
        429 => FailureCategory::Throttled,
        _ => FailureCategory::Server,
    }
}

fn timed_out(error: &kube::Error) -> bool {
    causes(error).any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut))
}

fn shortened(message: String) -> String {
    let message = message.trim();
    match message.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn sorted(code: u16) -> FailureCategory {
        let status = Status::failure("no", "Reason").with_code(code).boxed();
        match trouble("watch services", &watcher::Error::InitialListFailed(kube::Error::Api(status))) {
            Trouble::Failed(failure) => failure.category,
            Trouble::Gone => panic!("{code} is not gone"),
        }
    }

    #[test]
    fn an_api_servers_status_has_a_category() {
        assert_eq!(sorted(401), FailureCategory::Expired);
        assert_eq!(sorted(403), FailureCategory::Denied);
        assert_eq!(sorted(404), FailureCategory::NotFound);
        assert_eq!(sorted(429), FailureCategory::Throttled);
        assert_eq!(sorted(500), FailureCategory::Server);
        assert_eq!(sorted(503), FailureCategory::Server);
        assert_eq!(sorted(504), FailureCategory::Timeout);
    }

    #[test]
    fn an_old_version_is_no_failure() {
        let gone = || Status::failure("too old", "Expired").with_code(410).boxed();
        for error in [watcher::Error::WatchError(gone()), watcher::Error::WatchStartFailed(kube::Error::Api(gone()))] {
            assert!(matches!(trouble("watch services", &error), Trouble::Gone));
        }
    }

    #[test]
    fn a_refused_connection_is_told_from_a_slow_one() {
        let error = |kind| kube::Error::Service(Box::new(io::Error::from(kind)));
        assert_eq!(category(&error(io::ErrorKind::ConnectionRefused)), FailureCategory::Unreachable);
        assert_eq!(category(&error(io::ErrorKind::TimedOut)), FailureCategory::Timeout);
    }

    #[test]
    fn a_page_of_html_is_cut() {
        let text = shortened("ä".repeat(1000));
        assert_eq!(text.chars().count(), LONGEST_MESSAGE + 1);
    }
}
