//! What goes wrong, as the SDK sees it.

use std::time::Duration;

use aws_sdk_ec2::config::timeout::TimeoutConfig;
use aws_sdk_elasticloadbalancingv2::error::{ProvideErrorMetadata, SdkError};

use super::clients::{ec2, elb, quotas, simulator};
use crate::simulator::{Fault, Operation, SimulatorError, SimulatorSettings, Sizes, Throttling, start};

fn faults(texts: &[&str]) -> Vec<Fault> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[tokio::test]
async fn each_service_refuses_in_its_own_words() {
    let simulator = simulator(Sizes::default()).await;
    for (kind, [elb_code, ec2_code, quotas_code], [elb_status, ec2_status, quotas_status]) in [
        ("throttle", ["Throttling", "RequestLimitExceeded", "TooManyRequestsException"], [400, 503, 400]),
        ("deny", ["AccessDenied", "UnauthorizedOperation", "AccessDeniedException"], [403, 403, 400]),
        ("error", ["InternalFailure", "InternalError", "ServiceException"], [500, 500, 500]),
        ("expire", ["ExpiredToken", "RequestExpired", "ExpiredTokenException"], [403, 400, 400]),
    ] {
        simulator.faults.set(faults(&[&format!("*={kind}")]));
        let error = elb(&simulator).describe_load_balancers().send().await.unwrap_err();
        assert_eq!((error.code(), error.raw_response().unwrap().status().as_u16()), (Some(elb_code), elb_status));
        let error = ec2(&simulator).describe_subnets().send().await.unwrap_err();
        assert_eq!((error.code(), error.raw_response().unwrap().status().as_u16()), (Some(ec2_code), ec2_status));
        let error = quotas(&simulator).list_service_quotas().service_code("vpc").send().await.unwrap_err();
        assert_eq!((error.code(), error.raw_response().unwrap().status().as_u16()), (Some(quotas_code), quotas_status));
        if kind == "deny" {
            let error = ec2(&simulator).describe_vpcs().send().await.unwrap_err();
            assert!(error.message().unwrap().contains("ec2:DescribeVpcs"), "the action is named");
        }
    }
    simulator.faults.set(Vec::new());
    elb(&simulator).describe_load_balancers().send().await.unwrap();
    assert_eq!(simulator.counters.errors(Operation::DescribeLoadBalancers), 4);
    assert_eq!(simulator.counters.calls(Operation::DescribeLoadBalancers), 5);
}

#[tokio::test]
async fn a_truncated_answer_is_a_200_without_its_end() {
    let simulator = simulator(Sizes::default()).await;
    simulator.faults.set(faults(&["DescribeTargetGroups=truncate"]));
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let (status, body) =
        super::clients::raw(&simulator.aws_url, http::Method::POST, &form, "Action=DescribeTargetGroups&Version=2015-12-01")
            .await;
    assert_eq!(status, 200);
    assert!(body.starts_with("<DescribeTargetGroupsResponse") && !body.contains("</DescribeTargetGroupsResponse>"));
}

#[tokio::test]
async fn a_call_that_hangs_ends_with_the_clients_patience() {
    let simulator = simulator(Sizes::default()).await;
    simulator.faults.set(faults(&["DescribeSubnets=hang"]));
    let client = ec2(&simulator);
    let impatient = TimeoutConfig::builder().operation_timeout(Duration::from_millis(50)).build();
    let call =
        client.describe_subnets().customize().config_override(aws_sdk_ec2::config::Builder::new().timeout_config(impatient));
    assert!(matches!(call.send().await.unwrap_err(), SdkError::TimeoutError(_)));
    client.describe_vpcs().send().await.unwrap();
}

#[tokio::test]
async fn buckets_refuse_what_goes_beyond_them() {
    let settings = SimulatorSettings { throttling: Throttling::Narrow, ..SimulatorSettings::default() };
    let simulator = start(settings).await.unwrap();
    let client = elb(&simulator);
    let calls = (0..80).map(|_| client.describe_account_limits().send());
    let answers = futures::future::join_all(calls).await;
    let refused = answers.iter().filter_map(|answer| answer.as_ref().err()).collect::<Vec<_>>();
    assert!(!refused.is_empty() && refused.len() <= 40, "{} of 80 refused", refused.len());
    assert!(refused.iter().all(|error| error.code() == Some("Throttling")));
}

#[tokio::test]
async fn a_simulator_starts_on_loopback_only_and_says_what_is_wrong() {
    let settings = SimulatorSettings { aws_listen: "0.0.0.0:0".parse().unwrap(), ..SimulatorSettings::default() };
    assert!(matches!(start(settings).await.unwrap_err(), SimulatorError::NotLoopback(_)));
    let settings = SimulatorSettings { sizes: Sizes { zones: 0, ..Sizes::default() }, ..SimulatorSettings::default() };
    assert!(start(settings).await.unwrap_err().to_string().starts_with("--zones"));
    let settings = SimulatorSettings { time_scale: f64::NAN, ..SimulatorSettings::default() };
    assert!(matches!(start(settings).await.unwrap_err(), SimulatorError::TimeScale(_)));
    let first = simulator(Sizes::default()).await;
    let taken = first.aws_url.strip_prefix("http://").unwrap().parse().unwrap();
    let settings = SimulatorSettings { aws_listen: taken, ..SimulatorSettings::default() };
    assert_eq!(start(settings).await.unwrap_err().category(), "listen");
}
