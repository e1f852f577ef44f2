//! Clients of a running simulator, as the exporter makes them: no retries, so that what a call gets is what it was told.

use aws_credential_types::Credentials;
use aws_sdk_ec2::config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};

use crate::simulator::{Simulator, SimulatorSettings, Sizes, start, world::REGION};

pub(super) async fn simulator(sizes: Sizes) -> Simulator {
    start(SimulatorSettings { sizes, ..SimulatorSettings::default() }).await.unwrap()
}

macro_rules! client {
    ($name:ident, $sdk:ident) => {
        pub(super) fn $name(simulator: &Simulator) -> $sdk::Client {
            let config = $sdk::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .credentials_provider(Credentials::new("AKIDSIMULATED", "secret", None, None, "test"))
                .region(Region::new(REGION))
                .endpoint_url(&simulator.aws_url)
                .retry_config(RetryConfig::disabled())
                .timeout_config(TimeoutConfig::builder().operation_timeout(std::time::Duration::from_secs(20)).build());
            $sdk::Client::from_conf(config.build())
        }
    };
}
client!(elb, aws_sdk_elasticloadbalancingv2);
client!(ec2, aws_sdk_ec2);
client!(quotas, aws_sdk_servicequotas);
client!(sts, aws_sdk_sts);
client!(eks, aws_sdk_eks);

/// An answer to a request of no SDK: its status and body.
pub(super) async fn raw(url: &str, method: http::Method, headers: &[(&str, &str)], body: &'static str) -> (u16, String) {
    use http_body_util::{BodyExt, Full};
    use hyper_util::{client::legacy::Client, rt::TokioExecutor};
    let client = Client::builder(TokioExecutor::new()).build_http();
    let mut request = http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = client.request(request.body(Full::new(bytes::Bytes::from(body))).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}
