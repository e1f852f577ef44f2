//! How much is allowed? Applied values first, else AWS's defaults, else the built-in table, and which of them it was.
//!
//! A pass costs one call for the account limits, a page per 100 quotas of VPC and of Elastic Load Balancing, one for the
//! Elastic IPs, and one for each watched quota that nobody ever raised. What was asked for and is not decided yet is `requests`' business.

pub(crate) mod requests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_sdk_servicequotas::Client;
use jiff::{SignedDuration, Timestamp};

use super::client::{Clients, Service};
use super::fetch::{Fetched, Oddities, pages};
use super::settings::Intervals;
use super::{elb, ledger, lists};
use crate::clock;
use crate::inventory::aws::{QuotaOrigin, QuotaValue};
use crate::inventory::part::{Failure, FailureCategory};
use crate::inventory::parts::{Parts, source};
use crate::inventory::quota::{QUOTAS, Quota};
use crate::sources::schedule::Urgency;
use crate::sources::store::Store;

/// Services whose quotas are listed; the others have hundreds, of which one is asked for by its code.
const LISTED: &[&str] = &["vpc", "elasticloadbalancing"];

/// How long a value that was once known is still better than the built-in table when it cannot be read any more.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(24);

/// What is known of one quota's applied value.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Applied {
    /// It was applied.
    Value(f64),
    /// Service Quotas has none: nobody ever raised it.
    Absent,
    /// Asking failed, or Service Quotas could not find out.
    Unknown,
}

/// What the calls of a pass brought.
#[derive(Debug, Default)]
struct Answers {
    /// Limits by `DescribeAccountLimits`' names.
    limits: BTreeMap<Arc<str>, Arc<f64>>,
    /// By quota code; a code that is not in it is unknown.
    applied: BTreeMap<&'static str, Applied>,
    /// AWS's defaults by quota code.
    defaults: BTreeMap<&'static str, f64>,
}

/// Values that were known, with when.
type Known = BTreeMap<Arc<str>, (QuotaValue, Timestamp)>;

/// One value per quota of the table.
///
/// What an earlier pass found is kept for a day when this one could not ask: a limit does not change because a call failed.
fn resolve(answers: &Answers, known: &mut Known, now: Timestamp) -> BTreeMap<Arc<str>, QuotaValue> {
    let found = |quota: &Quota| {
        let limit = quota.account_limit.and_then(|name| answers.limits.get(name)).map(|limit| **limit);
        if let Some(value) = limit {
            return Some(QuotaValue { value, origin: QuotaOrigin::Applied });
        }
        match answers.applied.get(quota.quota_code)? {
            Applied::Value(value) => Some(QuotaValue { value: *value, origin: QuotaOrigin::Applied }),
            Applied::Absent => {
                let value = *answers.defaults.get(quota.quota_code)?;
                Some(QuotaValue { value, origin: QuotaOrigin::AwsDefault })
            }
            Applied::Unknown => None,
        }
    };
    let mut values = BTreeMap::new();
    for quota in QUOTAS {
        let name: Arc<str> = quota.name.into();
        if let Some(value) = found(quota) {
            known.insert(Arc::clone(&name), (value, now));
        }
        let kept = known.get(&name).filter(|(_, at)| now.duration_since(*at) <= KEPT_FOR).map(|(value, _)| *value);
        let assumed = QuotaValue { value: quota.default, origin: QuotaOrigin::Assumed };
        values.insert(name, kept.unwrap_or(assumed));
    }
    values
}

/// Keeps the quotas up to date.
pub(crate) async fn keep(clients: Clients, store: Store, intervals: Intervals) {
    let interval = ledger::interval(source::SERVICE_QUOTAS, &intervals);
    let (mut known, mut failures) = (Known::new(), 0);
    loop {
        let (answers, limits_failure, quotas_failure) = ask(&clients).await;
        let now = clock::now();
        let values = resolve(&answers, &mut known, now);
        let failure = quotas_failure.as_ref().or(limits_failure.as_ref()).cloned();
        let wait = lists::wait(&intervals, interval, &mut failures, failure.as_ref());
        let missing = values.values().filter(|value| value.origin == QuotaOrigin::Assumed).count() as u64;
        // Answered at all, or refused for good: then this is what can be known, and its age is now.
        let heard = limits_failure.as_ref().is_none_or(is_refusal) || quotas_failure.as_ref().is_none_or(is_refusal);
        store.update(|parts| {
            put(parts, values, heard, failure, now);
            ledger::note(parts, source::ACCOUNT_LIMITS, |status| {
                ledger::tried(status, interval, limits_failure.map(Arc::new), 0, now);
            });
            ledger::note(parts, source::SERVICE_QUOTAS, |status| {
                ledger::tried(status, interval, quotas_failure.map(Arc::new), missing, now);
            });
        });
        tokio::time::sleep(wait).await;
    }
}

fn is_refusal(failure: &Failure) -> bool {
    failure.category == FailureCategory::Denied
}

fn put(parts: &mut Parts, values: BTreeMap<Arc<str>, QuotaValue>, heard: bool, failure: Option<Failure>, now: Timestamp) {
    match failure {
        None => parts.quotas.succeed(values, now),
        Some(failure) if heard => {
            parts.quotas.succeed(values, now);
            parts.quotas.failure = Some(Arc::new(failure));
        }
        Some(failure) if parts.quotas.value.is_none() => parts.quotas.incomplete(values, failure, now),
        Some(failure) => parts.quotas.fail(failure, now),
    }
}

/// Makes the calls of one pass. The failures are those of the account limits and of Service Quotas.
async fn ask(clients: &Clients) -> (Answers, Option<Failure>, Option<Failure>) {
    let mut answers = Answers::default();
    let limits = elb::account_limits(&clients.elb).await;
    clients.elb.unknown_values(source::ACCOUNT_LIMITS, limits.oddities.values + limits.oddities.objects);
    answers.limits = limits.items;

    let mut failure = None;
    for service in LISTED {
        let fetched = list(&clients.quotas, service).await;
        let whole = fetched.failure.is_none();
        failure = failure.or(fetched.failure);
        for quota in QUOTAS.iter().filter(|quota| quota.service_code == *service) {
            let applied = match fetched.items.get(quota.quota_code) {
                Some(applied) => **applied,
                None if whole => Applied::Absent,
                None => Applied::Unknown,
            };
            answers.applied.insert(quota.quota_code, applied);
        }
    }
    for quota in QUOTAS.iter().filter(|quota| !LISTED.contains(&quota.service_code)) {
        let applied = match get(&clients.quotas, quota).await {
            Ok(applied) => applied,
            Err(error) => {
                failure = failure.or(Some(error));
                Applied::Unknown
            }
        };
        answers.applied.insert(quota.quota_code, applied);
    }
    for quota in QUOTAS {
        let limited = quota.account_limit.is_some_and(|name| answers.limits.contains_key(name));
        if limited || answers.applied.get(quota.quota_code) != Some(&Applied::Absent) {
            continue;
        }
        match default(&clients.quotas, quota).await {
            Ok(Some(value)) => {
                answers.defaults.insert(quota.quota_code, value);
            }
            Ok(None) => {}
            // The code is not known here: an emulator, or a Region without the service.
            Err(error) if error.category == FailureCategory::NotFound => {
                tracing::debug!(quota = quota.name, code = quota.quota_code, "AWS knows no default");
            }
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    (answers, limits.failure, failure)
}

/// Service Quotas.
type ServiceQuotas = Service<Client>;

/// A value that is missing for a reason is unknown, not absent and not 0.
fn applied(quota: &aws_sdk_servicequotas::types::ServiceQuota) -> Applied {
    quota.value().filter(is_limit).map_or(Applied::Unknown, Applied::Value)
}

/// Whether a number can be a limit: the protocol has words for infinity and for what is no number, too.
pub(crate) fn is_limit(value: &f64) -> bool {
    value.is_finite() && *value >= 0.0
}

/// Applied values of a service by quota code. A page may be short while there are more.
async fn list(quotas: &ServiceQuotas, service: &str) -> Fetched<Arc<str>, Applied> {
    const OPERATION: &str = "ListServiceQuotas";
    let oddities = Mutex::new(Oddities::default());
    let page = async |token: Option<String>| {
        let attempt = || {
            let call = quotas.client.list_service_quotas().service_code(service).max_results(100);
            call.set_next_token(token.clone()).send()
        };
        let answer = quotas.call(OPERATION, Urgency::List, attempt).await?;
        let values = answer.quotas().iter().filter_map(|quota| Some((Arc::from(quota.quota_code()?), applied(quota))));
        Ok((values.collect(), answer.next_token().map(str::to_owned)))
    };
    pages(&quotas.action(OPERATION), &oddities, page).await
}

/// One applied value. Without one the answer is `NoSuchResourceException`.
async fn get(quotas: &ServiceQuotas, quota: &Quota) -> Result<Applied, Failure> {
    let attempt = || quotas.client.get_service_quota().service_code(quota.service_code).quota_code(quota.quota_code).send();
    match quotas.call("GetServiceQuota", Urgency::List, attempt).await {
        Ok(answer) => Ok(answer.quota().map_or(Applied::Unknown, applied)),
        Err(failure) if failure.category == FailureCategory::NotFound => Ok(Applied::Absent),
        Err(failure) => Err(failure),
    }
}

/// AWS's default. It never shows raises.
async fn default(quotas: &ServiceQuotas, quota: &Quota) -> Result<Option<f64>, Failure> {
    let attempt =
        || quotas.client.get_aws_default_service_quota().service_code(quota.service_code).quota_code(quota.quota_code).send();
    let answer = quotas.call("GetAWSDefaultServiceQuota", Urgency::List, attempt).await?;
    Ok(answer.quota().and_then(|quota| quota.value()).filter(is_limit))
}

#[cfg(test)]
mod tests {
    use aws_sdk_servicequotas::types::{ErrorReason, ServiceQuota};

    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(hours * 3_600).unwrap()
    }

    #[test]
    fn what_is_no_number_of_things_is_no_limit() {
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
            assert_eq!(applied(&ServiceQuota::builder().value(odd).build()), Applied::Unknown, "{odd}");
        }
        assert_eq!(applied(&ServiceQuota::builder().value(0.0).build()), Applied::Value(0.0));
    }

    #[test]
    fn every_quota_has_a_value_and_says_where_it_is_from() {
        let answers = Answers {
            limits: BTreeMap::from([("network-load-balancers".into(), Arc::new(70.0))]),
            applied: BTreeMap::from([
                ("L-0EA8095F", Applied::Value(120.0)),
                ("L-2AFB9258", Applied::Absent),
                ("L-E79EC296", Applied::Absent),
                ("L-407747CB", Applied::Unknown),
            ]),
            defaults: BTreeMap::from([("L-2AFB9258", 5.0)]),
        };
        let values = resolve(&answers, &mut Known::new(), at(0));
        assert_eq!(values.len(), QUOTAS.len());
        let of = |name: &str| (values[name].value, values[name].origin);
        assert_eq!(of("network_load_balancers"), (70.0, QuotaOrigin::Applied));
        assert_eq!(of("rules_per_security_group"), (120.0, QuotaOrigin::Applied));
        assert_eq!(of("security_groups_per_network_interface"), (5.0, QuotaOrigin::AwsDefault));
        assert_eq!(of("security_groups"), (2500.0, QuotaOrigin::Assumed), "no default was told");
        assert_eq!(of("subnets_per_vpc"), (200.0, QuotaOrigin::Assumed));
        assert_eq!(of("elastic_ips"), (5.0, QuotaOrigin::Assumed));
    }

    #[test]
    fn a_known_limit_outlives_a_failed_pass_but_not_for_ever() {
        let mut known = Known::new();
        let answers = Answers { applied: BTreeMap::from([("L-0EA8095F", Applied::Value(120.0))]), ..Answers::default() };
        resolve(&answers, &mut known, at(0));
        let later = |hours, known: &mut Known| resolve(&Answers::default(), known, at(hours))["rules_per_security_group"];
        assert_eq!(later(5, &mut known).value, 120.0);
        assert_eq!(later(25, &mut known).origin, QuotaOrigin::Assumed);
    }

    #[test]
    fn a_quota_with_an_error_reason_and_no_value_is_unknown_and_not_zero() {
        let failed = ServiceQuota::builder().error_reason(ErrorReason::builder().build()).build();
        assert_eq!(applied(&failed), Applied::Unknown);
        assert_eq!(applied(&ServiceQuota::builder().value(0.0).build()), Applied::Value(0.0));
    }

    #[test]
    fn refused_quotas_are_assumed_and_said_to_be() {
        let mut parts = Parts::default();
        let values = || resolve(&Answers::default(), &mut Known::new(), at(1));
        let failure = |category| Failure { category, operation: "servicequotas:X".into(), message: String::new() };
        put(&mut parts, values(), false, Some(failure(FailureCategory::Unreachable)), at(1));
        assert!(parts.quotas.get().is_some() && parts.quotas.complete().is_none(), "nobody was heard yet");
        put(&mut parts, values(), true, Some(failure(FailureCategory::Denied)), at(2));
        assert!(parts.quotas.complete().is_some());
        assert_eq!(parts.quotas.failure.as_ref().unwrap().category, FailureCategory::Denied);
        put(&mut parts, values(), false, Some(failure(FailureCategory::Unreachable)), at(3));
        assert_eq!(parts.quotas.fetched_at, Some(at(2)), "silence makes nothing younger");
    }
}
