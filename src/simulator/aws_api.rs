//! What does AWS answer? One endpoint for all services: who is meant follows from the path (EKS speaks REST), the signature's
//! scope, else from the request.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::time::Instant;

use super::{
    buckets::Buckets,
    counters::Counters,
    ec2, eks, elb,
    faults::{FaultKind, Faults},
    operations::{Api, Operation},
    query::Parameters,
    service_quotas, sts,
    world::World,
    xml::Xml,
};

/// Everything the endpoint needs.
#[derive(Debug, Clone)]
pub(crate) struct AwsEndpoint {
    pub(crate) world: Arc<Mutex<World>>,
    pub(crate) counters: Counters,
    pub(crate) faults: Arc<Faults>,
    pub(crate) buckets: Arc<Buckets>,
}

/// An error as AWS tells it.
#[derive(Debug)]
pub(crate) struct AwsError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl AwsError {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).expect("a literal status");
        Self { status, code, message: message.into() }
    }

    /// The caller's mistake, 400.
    pub(crate) fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }
}

/// The endpoint: `POST /` and EKS's `GET /clusters/NAME` for AWS, `/__simulator/…` for whoever runs it.
pub(crate) fn router(endpoint: AwsEndpoint) -> Router {
    Router::new()
        .route("/", post(answer))
        .route("/clusters/{name}", get(cluster))
        .route("/__simulator/calls", get(calls))
        .route("/__simulator/reset", post(reset))
        .with_state(endpoint)
}

async fn calls(State(endpoint): State<AwsEndpoint>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], endpoint.counters.json().to_string()).into_response()
}

async fn reset(State(endpoint): State<AwsEndpoint>) -> Response {
    endpoint.counters.reset();
    StatusCode::NO_CONTENT.into_response()
}

async fn answer(State(endpoint): State<AwsEndpoint>, headers: HeaderMap, body: Bytes) -> Response {
    let body = String::from_utf8_lossy(&body);
    let (api, name, request) = match Request::read(&headers, &body) {
        Ok(read) => read,
        Err((api, error)) => return error_response(api, &error),
    };
    let Some(operation) = Operation::parse(api, &name) else {
        let error = match api {
            Api::ServiceQuotas => AwsError::bad("UnknownOperationException", ""),
            Api::Ec2 => AwsError::bad("InvalidAction", format!("The action {name} is not valid for this web service.")),
            Api::Elb | Api::Sts | Api::Eks => {
                AwsError::bad("InvalidAction", format!("Could not find operation {name} for version {}", api.version()))
            }
        };
        return error_response(api, &error);
    };
    carry_out(&endpoint, operation, |world| request.carry_out(operation, world)).await
}

async fn cluster(State(endpoint): State<AwsEndpoint>, Path(name): Path<String>) -> Response {
    carry_out(&endpoint, Operation::DescribeCluster, |world| eks::cluster(world, &name)).await
}

/// Counts the call, lets happen to it what is to go wrong, and answers.
async fn carry_out(
    endpoint: &AwsEndpoint,
    operation: Operation,
    request: impl FnOnce(&World) -> Result<String, AwsError>,
) -> Response {
    let api = operation.api();
    endpoint.counters.count_call(operation);
    let verdict = endpoint.faults.judge(operation);
    if !verdict.latency.is_zero() {
        tokio::time::sleep(verdict.latency).await;
    }
    let refused = match verdict.fault {
        Some(FaultKind::Hang) => std::future::pending().await,
        Some(FaultKind::Throttle) => Some(throttled(api)),
        Some(FaultKind::Deny) => Some(denied(operation)),
        Some(FaultKind::Expire) => Some(expired(api)),
        Some(FaultKind::Error) => Some(failed(api)),
        Some(FaultKind::Truncate | FaultKind::Latency(_)) | None => {
            (!endpoint.buckets.take(operation, Instant::now())).then(|| throttled(api))
        }
    };
    let outcome = match refused {
        Some(error) => Err(error),
        None => {
            let world = endpoint.world.lock().unwrap_or_else(PoisonError::into_inner);
            request(&world)
        }
    };
    match outcome {
        Ok(mut text) => {
            if verdict.fault == Some(FaultKind::Truncate) {
                let middle = (text.len() / 2..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
                text.truncate(middle);
            }
            respond(StatusCode::OK, api, text)
        }
        Err(error) => {
            endpoint.counters.count_error(operation);
            error_response(api, &error)
        }
    }
}

/// A request, read as far as both protocols allow.
enum Request {
    Query(Parameters),
    Json(serde_json::Value),
}

impl Request {
    fn read(headers: &HeaderMap, body: &str) -> Result<(Api, String, Self), (Api, AwsError)> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(target) = text("x-amz-target") {
            let (prefix, name) = target.split_once('.').unwrap_or((target, ""));
            if prefix != "ServiceQuotasV20190624" {
                return Err((Api::ServiceQuotas, AwsError::bad("UnknownOperationException", "")));
            }
            let json = serde_json::from_str(if body.is_empty() { "{}" } else { body })
                .map_err(|_| (Api::ServiceQuotas, AwsError::bad("SerializationException", "")))?;
            return Ok((Api::ServiceQuotas, name.to_owned(), Self::Json(json)));
        }
        let parameters = Parameters::parse(body);
        let scope = text("authorization").and_then(signing_name).and_then(Api::by_name);
        let version = parameters.get("Version").and_then(Api::by_version);
        let Some(api) = scope.or(version) else {
            return Err((Api::Ec2, AwsError::new(403, "MissingAuthenticationToken", "Request is missing Authentication Token")));
        };
        let Some(action) = parameters.get("Action").map(str::to_owned) else {
            return Err((api, AwsError::bad("MissingAction", "The request must contain the parameter Action")));
        };
        Ok((api, action, Self::Query(parameters)))
    }

    fn carry_out(&self, operation: Operation, world: &World) -> Result<String, AwsError> {
        match self {
            Self::Json(json) => service_quotas::answer(operation, world, json),
            Self::Query(parameters) => {
                let mut xml = Xml::with_capacity(16 * 1024);
                let name = operation.name();
                match operation.api() {
                    Api::Elb => {
                        xml.raw(&format!("<{name}Response xmlns=\"{ELB_NAMESPACE}\"><{name}Result>"));
                        elb::answer(operation, world, parameters, &mut xml)?;
                        xml.raw(&format!(
                            "</{name}Result><ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata>"
                        ));
                    }
                    Api::Sts => {
                        xml.raw(&format!("<{name}Response xmlns=\"{STS_NAMESPACE}\"><{name}Result>"));
                        sts::answer(world, &mut xml);
                        xml.raw(&format!(
                            "</{name}Result><ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata>"
                        ));
                    }
                    Api::Ec2 | Api::ServiceQuotas | Api::Eks => {
                        xml.raw(&format!("<{name}Response xmlns=\"{EC2_NAMESPACE}\"><requestId>{REQUEST_ID}</requestId>"));
                        ec2::answer(operation, world, parameters, &mut xml)?;
                    }
                }
                xml.raw(&format!("</{name}Response>"));
                Ok(xml.into_text())
            }
        }
    }
}

const ELB_NAMESPACE: &str = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/";
const EC2_NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";
const STS_NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// Every answer's: nobody tells simulated requests apart.
const REQUEST_ID: &str = "5ac3a28b-1d0e-4c31-9f4e-000000000000";

/// The service in `Credential=KEY/DATE/REGION/SERVICE/aws4_request`.
fn signing_name(authorization: &str) -> Option<&str> {
    let (_, scope) = authorization.split_once("Credential=")?;
    scope.split([',', ' ']).next()?.split('/').nth(3)
}

fn throttled(api: Api) -> AwsError {
    match api {
        Api::Elb | Api::Sts => AwsError::bad("Throttling", "Rate exceeded"),
        Api::Ec2 => AwsError::new(503, "RequestLimitExceeded", "Request limit exceeded."),
        Api::ServiceQuotas => AwsError::bad("TooManyRequestsException", "Rate exceeded"),
        Api::Eks => AwsError::new(429, "ThrottlingException", "Rate exceeded"),
    }
}

fn denied(operation: Operation) -> AwsError {
    let user = "arn:aws:sts::123456789012:assumed-role/exporter/simulated";
    let why = format!(
        "User: {user} is not authorized to perform: {operation} because no identity-based policy allows the {operation} action"
    );
    match operation.api() {
        Api::Elb | Api::Sts => AwsError::new(403, "AccessDenied", why),
        Api::Ec2 => {
            AwsError::new(403, "UnauthorizedOperation", format!("You are not authorized to perform this operation. {why}"))
        }
        Api::ServiceQuotas => AwsError::bad("AccessDeniedException", why),
        Api::Eks => AwsError::new(403, "AccessDeniedException", why),
    }
}

fn expired(api: Api) -> AwsError {
    let message = "The security token included in the request is expired";
    match api {
        Api::Elb | Api::Sts => AwsError::new(403, "ExpiredToken", message),
        Api::Ec2 => AwsError::bad("RequestExpired", "Request has expired."),
        Api::ServiceQuotas => AwsError::bad("ExpiredTokenException", message),
        Api::Eks => AwsError::new(403, "ExpiredTokenException", message),
    }
}

fn failed(api: Api) -> AwsError {
    match api {
        Api::Elb | Api::Sts => AwsError::new(500, "InternalFailure", "An internal error occurred"),
        Api::Ec2 => AwsError::new(500, "InternalError", "An internal error has occurred"),
        Api::ServiceQuotas => AwsError::new(500, "ServiceException", "Something went wrong"),
        Api::Eks => AwsError::new(500, "ServerException", "Something went wrong"),
    }
}

fn error_response(api: Api, error: &AwsError) -> Response {
    let (code, message) = (error.code, &error.message);
    let mut xml = Xml::default();
    match api {
        Api::ServiceQuotas => {
            let body = serde_json::json!({ "__type": code, "Message": message }).to_string();
            return respond(error.status, api, body);
        }
        Api::Eks => {
            let mut response = respond(error.status, api, serde_json::json!({ "message": message }).to_string());
            response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(code));
            return response;
        }
        Api::Ec2 => {
            xml.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
            xml.within("Response", |xml| {
                xml.within("Errors", |xml| {
                    xml.within("Error", |xml| {
                        xml.leaf("Code", code);
                        xml.leaf("Message", message);
                    });
                });
                xml.leaf("RequestID", REQUEST_ID);
            });
        }
        Api::Elb | Api::Sts => {
            let namespace = if api == Api::Elb { ELB_NAMESPACE } else { STS_NAMESPACE };
            xml.raw(&format!("<ErrorResponse xmlns=\"{namespace}\">"));
            xml.within("Error", |xml| {
                xml.leaf("Type", if error.status.is_server_error() { "Receiver" } else { "Sender" });
                xml.leaf("Code", code);
                xml.leaf("Message", message);
            });
            xml.leaf("RequestId", REQUEST_ID);
            xml.raw("</ErrorResponse>");
        }
    }
    respond(error.status, api, xml.into_text())
}

fn respond(status: StatusCode, api: Api, body: String) -> Response {
    let kind = match api {
        Api::ServiceQuotas => "application/x-amz-json-1.1",
        Api::Eks => "application/json",
        Api::Elb | Api::Ec2 | Api::Sts => "text/xml;charset=UTF-8",
    };
    let mut response = (status, body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert("x-amzn-requestid", HeaderValue::from_static(REQUEST_ID));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_read_from_the_signature() {
        let header = "AWS4-HMAC-SHA256 Credential=AKID/20261124/us-east-1/elasticloadbalancing/aws4_request, SignedHeaders=host, Signature=0";
        assert_eq!(signing_name(header), Some("elasticloadbalancing"));
        assert_eq!(signing_name("Bearer x"), None);
    }
}
