//! Service Quotas: what are the limits? JSON 1.1; a quota nobody raised may have no applied value.

use serde_json::{Value, json};

use super::{
    aws_api::AwsError,
    operations::Operation,
    query::page,
    world::{QuotaEntry, World},
};

/// `MaxResults` of the lists.
const PAGE: usize = 100;

pub(crate) fn answer(operation: Operation, world: &World, request: &Value) -> Result<String, AwsError> {
    let text = |name: &str| request.get(name).and_then(Value::as_str);
    let service = text("ServiceCode").ok_or_else(|| AwsError::bad("IllegalArgumentException", "ServiceCode is missing"))?;
    let applied = matches!(operation, Operation::GetServiceQuota | Operation::ListServiceQuotas);
    let known = world.quotas.iter().filter(|((of, _), _)| *of == service);
    if known.clone().next().is_none() {
        return Err(no_such(format!("The request failed because the specified service does not exist: {service}")));
    }
    match operation {
        Operation::GetServiceQuota | Operation::GetAWSDefaultServiceQuota => {
            let code = text("QuotaCode").ok_or_else(|| AwsError::bad("IllegalArgumentException", "QuotaCode is missing"))?;
            let quota = known
                .filter(|(_, quota)| !applied || quota.applied.is_some())
                .find(|((_, of), _)| *of == code)
                .map(|((service, code), quota)| tell(world, service, code, quota, applied))
                .ok_or_else(|| {
                    no_such(format!("The request failed because the specified service quota does not exist: {code}"))
                })?;
            Ok(json!({ "Quota": quota }).to_string())
        }
        _ => {
            let size = match request.get("MaxResults") {
                None => PAGE,
                Some(size) => size
                    .as_u64()
                    .and_then(|size| usize::try_from(size).ok())
                    .filter(|size| (1..=PAGE).contains(size))
                    .ok_or_else(|| AwsError::bad("IllegalArgumentException", "MaxResults must be between 1 and 100"))?,
            };
            let all = known
                .filter(|(_, quota)| !applied || quota.applied.is_some())
                .map(|((service, code), quota)| ((*code).to_owned(), tell(world, service, code, quota, applied)));
            let (quotas, next) = page(all, text("NextToken"), size, "InvalidPaginationTokenException")?;
            let mut answer = json!({ "Quotas": quotas });
            if let Some(next) = next {
                answer["NextToken"] = next.into();
            }
            Ok(answer.to_string())
        }
    }
}

fn no_such(message: String) -> AwsError {
    AwsError::bad("NoSuchResourceException", message)
}

fn tell(world: &World, service: &str, code: &str, quota: &QuotaEntry, applied: bool) -> Value {
    // A default belongs to no account.
    let account = if applied { &*world.scope.account_id } else { "" };
    json!({
        "ServiceCode": service,
        "ServiceName": match service {
            "vpc" => "Amazon Virtual Private Cloud (Amazon VPC)",
            "ec2" => "Amazon Elastic Compute Cloud (Amazon EC2)",
            _ => "Elastic Load Balancing (ELB)",
        },
        "QuotaArn": format!(
            "arn:{}:servicequotas:{}:{account}:{service}/{code}",
            world.scope.partition.name(),
            world.scope.region
        ),
        "QuotaCode": code,
        "QuotaName": quota.name,
        "Value": if applied { quota.value() } else { quota.default },
        "Unit": "None",
        "Adjustable": quota.adjustable,
        "GlobalQuota": false,
        "QuotaAppliedAtLevel": "ACCOUNT",
    })
}
