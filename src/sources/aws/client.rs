//! How is one attempt made? The SDK's clients, set up so that they neither retry nor page by themselves, and the way
//! every call takes through its service's dispatcher.

use std::error::Error;
use std::sync::Arc;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use tokio::time::Instant;

use super::bounded::BoundedAnswers;
use super::dispatcher::{Dispatcher, Permit};
use super::failure::{CREDENTIALS_LOOKED_FOR, explain, failure};
use super::settings::{AwsSettings, BudgetSettings};
use super::whole::WholeAnswers;
use crate::inventory::part::{Failure, FailureCategory};
use crate::sources::CallObserver;
use crate::sources::schedule::{Lane, Urgency};

/// What was looked for when there is no Region.
const REGION_LOOKED_FOR: &str =
    "looked for the flag --aws.region, AWS_REGION, AWS_DEFAULT_REGION, the profile's region and the instance's metadata";

/// Where a pod finds the agent of EKS Pod Identity. Source: "Understand how EKS Pod Identity works".
const POD_IDENTITY_AGENT: &str = "http://169.254.170.23/v1/credentials";

/// Attempts a call may cost.
const MOST_ATTEMPTS: u32 = 2;

/// One AWS service: its client, its IAM prefix, its dispatcher. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Service<C> {
    /// The SDK's client.
    pub(crate) client: C,
    prefix: &'static str,
    dispatcher: Dispatcher,
    observer: Arc<dyn CallObserver>,
}

impl<C> Service<C> {
    /// The service and the driver of its dispatcher.
    pub(crate) fn new(
        client: C,
        prefix: &'static str,
        budget: &BudgetSettings,
        observer: Arc<dyn CallObserver>,
    ) -> (Self, impl Future<Output = ()> + Send + use<C>) {
        let (dispatcher, driver) = Dispatcher::new(budget);
        (Self { client, prefix, dispatcher, observer }, driver)
    }

    /// The dispatcher, for callers that decide what to ask only once they have the permit.
    pub(crate) fn dispatcher(&self) -> &Dispatcher {
        &self.dispatcher
    }

    /// The IAM name of an operation.
    pub(crate) fn action(&self, operation: &str) -> String {
        format!("{}:{operation}", self.prefix)
    }

    /// Says that an answer of `source` held so many things this program does not know.
    pub(crate) fn unknown_values(&self, source: &'static str, count: u64) {
        for _ in 0..count {
            self.observer.unknown_value(source);
        }
    }

    /// Makes a call of the lane for everything but health.
    pub(crate) async fn call<T, E, F>(
        &self,
        operation: &'static str,
        urgency: Urgency,
        attempt: impl Fn() -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: Error + ProvideErrorMetadata + 'static,
    {
        let permit = self.dispatcher.permit(Lane::Other, urgency).await;
        self.call_with(permit, operation, Lane::Other, urgency, attempt).await
    }

    /// Makes a call whose first attempt is already paid for. A second one waits for a permit like everybody else.
    pub(crate) async fn call_with<T, E, F>(
        &self,
        permit: Permit,
        operation: &'static str,
        lane: Lane,
        urgency: Urgency,
        attempt: impl Fn() -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: Error + ProvideErrorMetadata + 'static,
    {
        let mut permit = permit;
        let mut attempts = 1;
        loop {
            match self.attempt(permit, operation, attempt()).await {
                Err(failure) if attempts < MOST_ATTEMPTS && may_pass(failure.category) => {}
                outcome => return outcome,
            }
            attempts += 1;
            permit = self.dispatcher.permit(lane, urgency).await;
        }
    }

    async fn attempt<T, E>(
        &self,
        permit: Permit,
        operation: &'static str,
        attempt: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, Failure>
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        self.observer.waited(self.prefix, operation, permit.waited);
        let start = Instant::now();
        let outcome = attempt.await.map_err(|error| failure(self.action(operation), &error));
        let category = outcome.as_ref().map(|_| ()).map_err(|failure| failure.category);
        self.observer.attempted(self.prefix, operation, category, start.elapsed());
        if category == Err(FailureCategory::Throttled) {
            self.dispatcher.throttled();
        }
        self.observer.allowed(self.prefix, self.dispatcher.rate());
        drop(permit);
        if let Err(failure) = &outcome {
            tracing::debug!(%failure, "a call failed");
        }
        outcome
    }
}

/// Whether the same question may well be answered when it is asked again at once.
fn may_pass(category: FailureCategory) -> bool {
    match category {
        FailureCategory::Throttled
        | FailureCategory::Timeout
        | FailureCategory::Unreachable
        | FailureCategory::Server
        | FailureCategory::Malformed => true,
        FailureCategory::Denied | FailureCategory::Expired | FailureCategory::NotFound => false,
    }
}

/// The clients of all services.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    pub(crate) elb: Service<aws_sdk_elasticloadbalancingv2::Client>,
    pub(crate) ec2: Service<aws_sdk_ec2::Client>,
    pub(crate) quotas: Service<aws_sdk_servicequotas::Client>,
    pub(crate) sts: Service<aws_sdk_sts::Client>,
    pub(crate) eks: Service<aws_sdk_eks::Client>,
}

impl Clients {
    /// The clients, and the drivers of their dispatchers.
    pub(crate) fn new(
        config: &SdkConfig,
        settings: &AwsSettings,
        observer: &Arc<dyn CallObserver>,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        /// The configuration of a service's client.
        macro_rules! of {
            ($service:ident $(, $interceptor:expr)*) => {
                $service::config::Builder::from(config).interceptor(BoundedAnswers)$(.interceptor($interceptor))*.build()
            };
        }
        let elb = of!(aws_sdk_elasticloadbalancingv2, WholeAnswers);
        let (ec2, sts) = (of!(aws_sdk_ec2, WholeAnswers), of!(aws_sdk_sts, WholeAnswers));
        // In JSON, which is whole or not JSON.
        let (quotas, eks) = (of!(aws_sdk_servicequotas), of!(aws_sdk_eks));
        let budgets = &settings.budgets;
        let (elb, drive_elb) = Service::new(
            aws_sdk_elasticloadbalancingv2::Client::from_conf(elb),
            "elasticloadbalancing",
            &budgets.elasticloadbalancing,
            Arc::clone(observer),
        );
        let (ec2, drive_ec2) = Service::new(aws_sdk_ec2::Client::from_conf(ec2), "ec2", &budgets.ec2, Arc::clone(observer));
        let (quotas, drive_quotas) = Service::new(
            aws_sdk_servicequotas::Client::from_conf(quotas),
            "servicequotas",
            &budgets.servicequotas,
            Arc::clone(observer),
        );
        let (sts, drive_sts) = Service::new(aws_sdk_sts::Client::from_conf(sts), "sts", &budgets.sts, Arc::clone(observer));
        let (eks, drive_eks) = Service::new(aws_sdk_eks::Client::from_conf(eks), "eks", &budgets.eks, Arc::clone(observer));
        let drivers = async move {
            tokio::join!(drive_elb, drive_ec2, drive_quotas, drive_sts, drive_eks);
        };
        (Self { elb, ec2, quotas, sts, eks }, drivers)
    }
}

/// Finds out Region and credentials, and says what was looked for when there are none.
pub(crate) async fn configure(settings: &AwsSettings) -> Result<SdkConfig, Failure> {
    let timeouts = &settings.timeouts;
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).retry_config(RetryConfig::disabled()).timeout_config(
        TimeoutConfig::builder()
            .connect_timeout(timeouts.connect)
            .operation_attempt_timeout(timeouts.attempt)
            .operation_timeout(timeouts.operation)
            .build(),
    );
    if let Some(region) = &settings.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(url) = &settings.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if let Some(fixed) = &settings.credentials {
        let (id, secret) = (fixed.access_key_id.clone(), fixed.secret_access_key.clone());
        loader = loader.credentials_provider(Credentials::new(id, secret, None, None, "settings"));
    }
    usable(loader.load().await).await
}

/// The configuration, if it has a Region and its credentials can be had.
async fn usable(config: SdkConfig) -> Result<SdkConfig, Failure> {
    let missing = |what: &str, message: String| Failure {
        category: FailureCategory::Expired,
        operation: format!("find the AWS {what}"),
        message,
    };
    if config.region().is_none() {
        return Err(missing("Region", format!("no Region; {REGION_LOOKED_FOR}")));
    }
    let provider = config
        .credentials_provider()
        .ok_or_else(|| missing("credentials", format!("no credentials; {CREDENTIALS_LOOKED_FOR}")))?;
    match provider.provide_credentials().await {
        Ok(_) => Ok(config),
        Err(error) => {
            let proxy = behind_a_proxy().map(|hint| format!("; {hint}")).unwrap_or_default();
            Err(missing("credentials", format!("{}; {CREDENTIALS_LOOKED_FOR}{proxy}", explain(&error))))
        }
    }
}

/// Says so where a proxy would be asked for what only this machine can answer.
fn behind_a_proxy() -> Option<String> {
    let agent = Uri::from_static(POD_IDENTITY_AGENT);
    Matcher::from_env().intercept(&agent)?;
    Some(format!("HTTP_PROXY holds for {} as well: NO_PROXY has to name it where EKS Pod Identity is used", agent.host()?))
}

#[cfg(test)]
mod tests {
    use aws_credential_types::provider::error::CredentialsError;
    use aws_credential_types::provider::{SharedCredentialsProvider, future};

    use super::*;

    #[derive(Debug)]
    struct Nobody;

    impl ProvideCredentials for Nobody {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("no providers in chain")))
        }
    }

    #[tokio::test]
    async fn without_a_region_or_credentials_it_says_what_was_looked_for() {
        let failure = usable(SdkConfig::builder().build()).await.unwrap_err();
        assert_eq!(failure.category, FailureCategory::Expired);
        assert!(failure.message.contains("--aws.region") && failure.message.contains("AWS_REGION"), "{failure}");
        let nobody = SdkConfig::builder().region(Region::new("r")).credentials_provider(SharedCredentialsProvider::new(Nobody));
        let failure = usable(nobody.build()).await.unwrap_err();
        assert_eq!(failure.category, FailureCategory::Expired);
        assert!(failure.message.contains("IRSA") && failure.message.contains("Pod Identity"), "{failure}");
    }

    #[tokio::test]
    async fn fixed_credentials_need_nothing_else_and_never_show_their_secret() {
        let fixed = super::super::settings::FixedCredentials { access_key_id: "id".into(), secret_access_key: "hidden".into() };
        let settings = AwsSettings { region: Some("r".into()), credentials: Some(fixed), ..AwsSettings::default() };
        assert!(!format!("{settings:?}").contains("hidden"));
        configure(&settings).await.unwrap();
    }
}
