//! Why did a call fail? The SDK's errors sorted into the closed categories.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::inventory::part::{Failure, FailureCategory};

/// What was looked for when there are no usable credentials.
pub(crate) const CREDENTIALS_LOOKED_FOR: &str = "looked for AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the profile in \
    AWS_PROFILE, a web identity token (IRSA), EKS Pod Identity and the instance's role";

/// Longer messages are cut: EC2 appends an encoded explanation of a kilobyte to a denial.
const LONGEST_MESSAGE: usize = 400;

/// Codes by which AWS asks to slow down, as the SDK's own retry classifier knows them, and EC2's.
const THROTTLED: &[&str] = &[
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "SlowDown",
    "PriorRequestNotComplete",
    "EC2ThrottledException",
    "ProvisionedThroughputExceededException",
    "TransactionInProgressException",
];

/// Codes by which AWS says that the caller lacks a permission. The status differs by service, so it says nothing.
const DENIED: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "Client.UnauthorizedOperation",
    "UnauthorizedAccess",
    "NotAuthorized",
    "AuthorizationError",
    "OptInRequired",
    "SubscriptionRequiredException",
];

/// Codes by which AWS says that the credentials themselves are no good.
const EXPIRED: &[&str] = &[
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "TokenRefreshRequired",
    "InvalidToken",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "UnrecognizedClientException",
    "AuthFailure",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "RequestTimeTooSkewed",
];

/// Sorts an SDK error. `action` is the IAM name of what was asked.
pub(crate) fn failure<E>(action: String, error: &SdkError<E, HttpResponse>) -> Failure
where
    E: Error + ProvideErrorMetadata + 'static,
{
    // A credential chain that came back empty-handed arrives as a request that could not be sent.
    if sources(error).any(|source| source.is::<CredentialsError>()) {
        let message = format!("{}; {CREDENTIALS_LOOKED_FOR}", explain(error));
        return Failure { category: FailureCategory::Expired, operation: action, message: cut(message) };
    }
    let (category, message) = match error {
        SdkError::TimeoutError(_) => (FailureCategory::Timeout, explain(error)),
        SdkError::DispatchFailure(dispatch) if dispatch.is_timeout() => (FailureCategory::Timeout, explain(error)),
        SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) => (FailureCategory::Unreachable, explain(error)),
        SdkError::ResponseError(answer) => (broken(answer.raw().status().as_u16()), explain(error)),
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            let metadata = answer.err().meta();
            let message = match (metadata.code(), metadata.message()) {
                (Some(code), Some(message)) => format!("{code}: {message}"),
                (Some(code), None) => code.to_owned(),
                (None, _) => format!("status {status}: {}", explain(error)),
            };
            (refused(metadata.code(), status), message)
        }
        // The SDK may add variants.
        _ => (FailureCategory::Server, explain(error)),
    };
    Failure { category, operation: action, message: cut(message) }
}

/// An answer that could not be read: the server's fault when it says so itself, else malformed.
fn broken(status: u16) -> FailureCategory {
    if status >= 500 { FailureCategory::Server } else { FailureCategory::Malformed }
}

/// An error answer, by its code first; a 2xx that ended here did not parse.
fn refused(code: Option<&str>, status: u16) -> FailureCategory {
    match code {
        Some(code) if THROTTLED.contains(&code) => FailureCategory::Throttled,
        Some(code) if DENIED.contains(&code) => FailureCategory::Denied,
        Some(code) if EXPIRED.contains(&code) => FailureCategory::Expired,
        Some("RequestTimeout" | "RequestTimeoutException") => FailureCategory::Timeout,
        Some(code) if is_not_found(code) => FailureCategory::NotFound,
        _ if status == 429 => FailureCategory::Throttled,
        _ if (200..300).contains(&status) => FailureCategory::Malformed,
        _ => FailureCategory::Server,
    }
}

/// `TargetGroupNotFound` (ELBv2, on the wire without `Exception`), `InvalidSubnetID.NotFound` (EC2),
/// `NoSuchResourceException` (Service Quotas).
fn is_not_found(code: &str) -> bool {
    code.ends_with("NotFound") || code.ends_with("NotFoundException") || code == "NoSuchResourceException"
}

/// The error's own words and those of its causes.
pub(crate) fn explain(error: &(dyn Error + 'static)) -> String {
    let mut words: Vec<String> = Vec::new();
    for source in sources(error) {
        let text = source.to_string();
        if words.last().is_none_or(|last| !last.contains(&text)) {
            words.push(text);
        }
    }
    words.join(": ")
}

fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| <dyn Error>::source(*error))
}

/// A denial names whom it was denied to, down to the session, and EC2 adds an encoded explanation. Messages reach the log and
/// pages that anybody may read who reaches the port: neither is for them, and which action is wanting is said without.
fn without_caller(message: &str) -> String {
    let message = message.split("Encoded authorization failure message").next().unwrap_or_default().trim_end();
    let is_caller = |word: &str| word.starts_with("arn:") && word.split(':').nth(2).is_some_and(|of| of == "sts" || of == "iam");
    let words = message.split(' ').map(|word| if is_caller(word) { "(the exporter's role)" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

fn cut(message: String) -> String {
    let mut message = without_caller(&message);
    if message.len() > LONGEST_MESSAGE {
        let end = (0..=LONGEST_MESSAGE).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
        message.truncate(end);
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::client::result::ConnectorError;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("unhandled")]
    struct Answer(ErrorMetadata);

    impl ProvideErrorMetadata for Answer {
        fn meta(&self) -> &ErrorMetadata {
            &self.0
        }
    }

    fn response(status: u16) -> HttpResponse {
        HttpResponse::new(status.try_into().unwrap(), SdkBody::empty())
    }

    fn service_error(code: Option<&str>, status: u16) -> Failure {
        let mut metadata = ErrorMetadata::builder().message("words");
        if let Some(code) = code {
            metadata = metadata.code(code);
        }
        failure("ec2:X".into(), &SdkError::service_error(Answer(metadata.build()), response(status)))
    }

    #[test]
    fn an_error_answer_is_sorted_by_its_code_and_not_by_its_status() {
        use FailureCategory::{Denied, Expired, Malformed, NotFound, Server, Throttled};
        for (code, status, category) in [
            (Some("UnauthorizedOperation"), 403, Denied),
            (Some("AccessDenied"), 403, Denied),
            (Some("AccessDeniedException"), 400, Denied),
            (Some("Throttling"), 400, Throttled),
            (Some("RequestLimitExceeded"), 503, Throttled),
            (Some("TooManyRequestsException"), 400, Throttled),
            (None, 429, Throttled),
            (Some("ExpiredToken"), 403, Expired),
            (Some("AuthFailure"), 401, Expired),
            (Some("TargetGroupNotFound"), 400, NotFound),
            (Some("InvalidSubnetID.NotFound"), 400, NotFound),
            (Some("NoSuchResourceException"), 400, NotFound),
            (Some("HealthUnavailable"), 500, Server),
            (None, 500, Server),
            (None, 403, Server),
            (Some("ValidationError"), 400, Server),
            (None, 200, Malformed),
        ] {
            assert_eq!(service_error(code, status).category, category, "{code:?} {status}");
        }
    }

    #[test]
    fn a_denial_names_the_action_and_keeps_aws_words() {
        assert_eq!(service_error(Some("AccessDenied"), 403).to_string(), "ec2:X: denied (AccessDenied: words)",);
    }

    #[test]
    fn a_denial_does_not_name_the_caller() {
        let message = "User: arn:aws:sts::111122223333:assumed-role/exporter/i-1 is not authorized to perform: \
                       elasticloadbalancing:DescribeTags because no identity-based policy allows it";
        assert_eq!(
            cut(message.to_owned()),
            "User: (the exporter's role) is not authorized to perform: elasticloadbalancing:DescribeTags because no \
             identity-based policy allows it"
        );
        let message = "You are not authorized to perform this operation. Encoded authorization failure message: aGVsbG8";
        assert_eq!(cut(message.to_owned()), "You are not authorized to perform this operation.");
        let resource = "Target groups 'arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/web/1' not found";
        assert_eq!(cut(resource.to_owned()), resource);
    }

    #[test]
    fn missing_credentials_are_found_at_the_end_of_the_chain() {
        let error = ConnectorError::other(CredentialsError::not_loaded("no providers in chain").into(), None);
        let failure = failure::<Answer>("sts:X".into(), &SdkError::dispatch_failure(error));
        assert_eq!(failure.category, FailureCategory::Expired);
        assert!(failure.message.contains("IRSA"), "{failure}");
    }

    #[test]
    fn what_never_arrived_is_unreachable_and_what_took_too_long_a_timeout() {
        let of = |error: &SdkError<Answer, HttpResponse>| failure("ec2:X".into(), error).category;
        assert_eq!(of(&SdkError::dispatch_failure(ConnectorError::io("refused".into()))), FailureCategory::Unreachable);
        assert_eq!(of(&SdkError::dispatch_failure(ConnectorError::timeout("slow".into()))), FailureCategory::Timeout);
        assert_eq!(of(&SdkError::timeout_error("slow")), FailureCategory::Timeout);
        assert_eq!(of(&SdkError::response_error("cut", response(200))), FailureCategory::Malformed);
        assert_eq!(of(&SdkError::response_error("cut", response(502))), FailureCategory::Server);
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let long = cut("é".repeat(1_000));
        assert!(long.len() < LONGEST_MESSAGE + 4 && long.ends_with("é…"));
    }
}
