//! Service Quotas: what are the limits? JSON 1.1; a quota nobody raised may have no applied value.

use serde_json::{Value, json};

use super::{
    aws_api::AwsError,
    operations::Operation,
    query::page,
    world::{QuotaChange, QuotaEntry, World},
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
        Operation::ListRequestedServiceQuotaChangeHistory => {
            let of_service = world.quota_requests.iter().filter(|(_, change)| change.quota.0 == service);
            let wanted = text("Status");
            let of_status = of_service.filter(|(_, change)| wanted.is_none_or(|status| status == change.status));
            let all = of_status.map(|(id, change)| (id.to_string(), tell_change(world, id, change)));
            listed("RequestedQuotas", all, request)
        }
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
            let all = known
                .filter(|(_, quota)| !applied || quota.applied.is_some())
                .map(|((service, code), quota)| ((*code).to_owned(), tell(world, service, code, quota, applied)));
            listed("Quotas", all, request)
        }
    }
}

/// A page of a list, under its name.
fn listed(name: &str, all: impl Iterator<Item = (String, Value)>, request: &Value) -> Result<String, AwsError> {
    let size = match request.get("MaxResults") {
        None => PAGE,
        Some(size) => size
            .as_u64()
            .and_then(|size| usize::try_from(size).ok())
            .filter(|size| (1..=PAGE).contains(size))
            .ok_or_else(|| AwsError::bad("IllegalArgumentException", "MaxResults must be between 1 and 100"))?,
    };
    let token = request.get("NextToken").and_then(Value::as_str);
    let (items, next) = page(all, token, size, "InvalidPaginationTokenException")?;
    let mut answer = json!({ name: items });
    if let Some(next) = next {
        answer["NextToken"] = next.into();
    }
    Ok(answer.to_string())
}

fn no_such(message: String) -> AwsError {
    AwsError::bad("NoSuchResourceException", message)
}

fn tell_change(world: &World, id: &str, change: &QuotaChange) -> Value {
    let (service, code) = change.quota;
    let name = world.quotas.get(&change.quota).map_or(code, |quota| quota.name);
    json!({
        "Id": id,
        "ServiceCode": service,
        "ServiceName": service_name(service),
        "QuotaCode": code,
        "QuotaName": name,
        "DesiredValue": change.desired,
        "Status": change.status,
        "Created": change.created.as_second(),
        "LastUpdated": change.created.as_second(),
        "Requester": format!("{{\"accountId\":\"{}\"}}", world.scope.account_id),
        "QuotaArn": format!("arn:aws:servicequotas:{}:{}:{service}/{code}", world.scope.region, world.scope.account_id),
        "GlobalQuota": false,
        "Unit": "None",
        "QuotaRequestedAtLevel": "ACCOUNT",
    })
}

fn service_name(service: &str) -> &'static str {
    match service {
        "vpc" => "Amazon Virtual Private Cloud (Amazon VPC)",
        "ec2" => "Amazon Elastic Compute Cloud (Amazon EC2)",
        _ => "Elastic Load Balancing (ELB)",
    }
}

fn tell(world: &World, service: &str, code: &str, quota: &QuotaEntry, applied: bool) -> Value {
    // A default belongs to no account.
    let account = if applied { &*world.scope.account_id } else { "" };
    json!({
        "ServiceCode": service,
        "ServiceName": service_name(service),
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
