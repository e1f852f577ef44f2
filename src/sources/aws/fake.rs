//! What would AWS answer? Canned answers over loopback, for the tests of this folder: through the real clients, so that
//! signing, parsing, paging and time-outs take part.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::client::{Clients, configure};
use super::settings::{AwsSettings, BudgetSettings, Budgets, FixedCredentials, Intervals};
use crate::inventory::part::FailureCategory;
use crate::inventory::parts::Parts;
use crate::sources::CallObserver;
use crate::sources::store::Store;

/// A request as AWS would read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    /// `DescribeTags`.
    pub(super) action: String,
    /// Form parameters; of a JSON request the body as `body`, of a REST request the path as `path`.
    pub(super) parameters: BTreeMap<String, String>,
}

impl Call {
    /// A parameter; empty when it was not sent.
    pub(super) fn get(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    /// Values of `Name.member.1` and so on.
    pub(super) fn members(&self, name: &str) -> Vec<&str> {
        let prefix = format!("{name}.member.");
        self.parameters.iter().filter(|(key, _)| key.starts_with(&prefix)).map(|(_, value)| value.as_str()).collect()
    }
}

/// An answer: status and body; `None` hangs for ever.
pub(super) type Answer = Option<(u16, String)>;

/// The server.
#[derive(Debug)]
pub(super) struct Fake {
    url: String,
    calls: Arc<Mutex<Vec<Call>>>,
    pub(super) observer: Arc<Counts>,
}

impl Fake {
    /// Starts a server that answers like this.
    pub(super) async fn start(answer: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
        let (log, answer) = (Arc::clone(&calls), Arc::new(answer));
        let app = axum::Router::new().fallback(move |uri: axum::http::Uri, headers: HeaderMap, body: Bytes| {
            let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
            let call = read(uri.path(), target, &body);
            log.lock().unwrap().push(call.clone());
            let answer = answer(&call);
            async move { respond(answer).await }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, calls, observer: Arc::default() }
    }

    /// Settings that lead here, with budgets that are no hindrance and every wait a hundredth.
    pub(super) fn settings(&self) -> AwsSettings {
        let budget = BudgetSettings { rate: 10_000.0, burst: 10_000.0, concurrency: 8 };
        let hundredth = |intervals: Intervals| Intervals {
            load_balancers: intervals.load_balancers / 100,
            tags: intervals.tags / 100,
            listeners: intervals.listeners / 100,
            attributes: intervals.attributes / 100,
            subnets: intervals.subnets / 100,
            network_interfaces: intervals.network_interfaces / 100,
            quotas: intervals.quotas / 100,
            unsteady_health: intervals.unsteady_health / 100,
            steady_health: intervals.steady_health / 100,
            settle: intervals.settle / 100,
            retry: intervals.retry / 100,
            retry_refused: intervals.retry_refused / 100,
            debounce: intervals.debounce / 100,
            after_node_change: intervals.after_node_change / 100,
            after_service_change: intervals.after_service_change.map(|after| after / 100),
            after_hold_down: intervals.after_hold_down / 100,
        };
        let mut settings = AwsSettings {
            region: Some("us-east-1".into()),
            endpoint_url: Some(self.url.clone()),
            credentials: Some(FixedCredentials { access_key_id: "a".into(), secret_access_key: "b".into() }),
            budgets: Budgets { elasticloadbalancing: budget, ec2: budget, servicequotas: budget, sts: budget, eks: budget },
            intervals: hundredth(Intervals::default()),
            ..AwsSettings::default()
        };
        settings.timeouts.attempt = Duration::from_secs(10);
        settings
    }

    /// Clients that ask here.
    pub(super) async fn clients(&self, settings: &AwsSettings) -> Clients {
        let config = configure(settings).await.unwrap();
        let observer: Arc<dyn CallObserver> = Arc::<Counts>::clone(&self.observer);
        let (clients, drivers) = Clients::new(&config, settings, &observer);
        tokio::spawn(drivers);
        clients
    }

    /// What was asked so far.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// How often an action was asked for.
    pub(super) fn count(&self, action: &str) -> usize {
        self.calls.lock().unwrap().iter().filter(|call| call.action == action).count()
    }
}

/// An HTTP client that answers like this without a network: time can stand still while it is used.
pub(super) fn in_process(answer: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> SharedHttpClient {
    struct Connector(Box<dyn Fn(&Call) -> Answer + Send + Sync>);

    impl fmt::Debug for Connector {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Connector")
        }
    }

    impl HttpConnector for Connector {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let path = request.uri().parse::<axum::http::Uri>().map(|uri| uri.path().to_owned()).unwrap_or_default();
            let call = read(&path, request.headers().get("x-amz-target"), request.body().bytes().unwrap_or_default());
            let (status, body) = (self.0)(&call).expect("nothing hangs in the process");
            let response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
            HttpConnectorFuture::ready(Ok(response))
        }
    }

    let connector = SharedHttpConnector::new(Connector(Box::new(answer)));
    http_client_fn(move |_, _| connector.clone())
}

fn read(path: &str, target: Option<&str>, body: &[u8]) -> Call {
    // EKS speaks REST, and only one call of it is made.
    if path.starts_with("/clusters/") {
        return Call { action: "DescribeCluster".to_owned(), parameters: BTreeMap::from([("path".to_owned(), path.to_owned())]) };
    }
    let body = String::from_utf8_lossy(body).into_owned();
    if let Some(target) = target {
        let action = target.rsplit('.').next().unwrap().to_owned();
        return Call { action, parameters: BTreeMap::from([("body".to_owned(), body)]) };
    }
    let parameters: BTreeMap<String, String> =
        body.split('&').filter_map(|pair| pair.split_once('=')).map(|(key, value)| (decode(key), decode(value))).collect();
    Call { action: parameters.get("Action").cloned().unwrap_or_default(), parameters }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).unwrap()
}

async fn respond(answer: Answer) -> Response {
    match answer {
        Some((status, body)) => (StatusCode::from_u16(status).unwrap(), body).into_response(),
        None => std::future::pending().await,
    }
}

/// An answer of Elastic Load Balancing or STS around the content of its result.
pub(super) fn result(action: &str, content: &str) -> Answer {
    let body = format!(
        "<{action}Response xmlns=\"u\"><{action}Result>{content}</{action}Result>\
         <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>"
    );
    Some((200, body))
}

/// An error as Elastic Load Balancing writes it.
pub(super) fn error(status: u16, code: &str) -> Answer {
    let body = format!(
        "<ErrorResponse xmlns=\"u\"><Error><Type>Sender</Type><Code>{code}</Code><Message>words</Message></Error>\
         <RequestId>r</RequestId></ErrorResponse>"
    );
    Some((status, body))
}

/// An error as EC2 writes it.
pub(super) fn ec2_error(status: u16, code: &str) -> Answer {
    let body = format!(
        "<Response><Errors><Error><Code>{code}</Code><Message>words</Message></Error></Errors><RequestID>r</RequestID></Response>"
    );
    Some((status, body))
}

/// Counts what happened, by operation.
#[derive(Debug, Default)]
pub(super) struct Counts {
    attempts: Mutex<BTreeMap<(&'static str, Option<FailureCategory>), u32>>,
    unknown: Mutex<BTreeMap<&'static str, u32>>,
}

impl Counts {
    /// Attempts of an operation that ended like this.
    pub(super) fn attempts(&self, operation: &'static str, failure: Option<FailureCategory>) -> u32 {
        self.attempts.lock().unwrap().get(&(operation, failure)).copied().unwrap_or_default()
    }

    /// Unknown values of a source.
    pub(super) fn unknown(&self, source: &'static str) -> u32 {
        self.unknown.lock().unwrap().get(source).copied().unwrap_or_default()
    }
}

impl CallObserver for Counts {
    fn attempted(
        &self,
        _api_service: &'static str,
        operation: &'static str,
        outcome: Result<(), FailureCategory>,
        _took: Duration,
    ) {
        *self.attempts.lock().unwrap().entry((operation, outcome.err())).or_default() += 1;
    }

    fn waited(&self, _api_service: &'static str, _operation: &'static str, _waited: Duration) {}

    fn unknown_value(&self, source: &'static str) {
        *self.unknown.lock().unwrap().entry(source).or_default() += 1;
    }
}

/// Waits until the parts are like this; a minute at most.
pub(super) async fn until(store: &Store, what: &str, condition: impl Fn(&Parts) -> bool) -> Parts {
    within(Duration::from_secs(60), store, what, condition).await
}

/// Waits until the parts are like this, so long at most.
pub(super) async fn within(most: Duration, store: &Store, what: &str, condition: impl Fn(&Parts) -> bool) -> Parts {
    let mut changes = store.subscribe();
    let waited = tokio::time::timeout(most, changes.wait_for(|parts| condition(parts))).await;
    match waited {
        Ok(parts) => parts.expect("the store lives").clone(),
        Err(_) => panic!("waited in vain for: {what}\n{:#?}", store.read().sources),
    }
}
