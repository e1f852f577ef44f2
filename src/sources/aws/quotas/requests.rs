//! What was asked for and is not decided yet? One call per service whose quotas are watched (a page per 100 requests of the last
//! months), a source of its own: who may not see it still sees the limits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_sdk_servicequotas::types::{RequestStatus as Status, RequestedServiceQuotaChange};
use jiff::Timestamp;

use super::ServiceQuotas;
use crate::clock;
use crate::inventory::part::Failure;
use crate::inventory::parts::source;
use crate::inventory::quota::{QUOTAS, QuotaRequest, RequestStatus};
use crate::sources::aws::fetch::{Oddities, pages};
use crate::sources::aws::settings::Intervals;
use crate::sources::aws::{ledger, lists};
use crate::sources::schedule::Urgency;
use crate::sources::store::Store;

/// Requests by our quota names.
type Requests = BTreeMap<Arc<str>, Vec<QuotaRequest>>;

/// Keeps the requests up to date.
pub(crate) async fn keep(quotas: ServiceQuotas, store: Store, intervals: Intervals) {
    let interval = ledger::interval(source::QUOTA_REQUESTS, &intervals);
    let mut failures = 0;
    loop {
        let (requests, failure, oddities) = ask(&quotas).await;
        quotas.unknown_values(source::QUOTA_REQUESTS, oddities.values + oddities.objects);
        let wait = lists::wait(&intervals, interval, &mut failures, failure.as_ref());
        let now = clock::now();
        store.update(|parts| {
            let part = &mut parts.quota_requests;
            match &failure {
                None => part.succeed(requests, now),
                // What is pending of some services says nothing of the others.
                Some(failure) => part.incomplete(requests, failure.clone(), now),
            }
            ledger::note(parts, source::QUOTA_REQUESTS, |status| {
                ledger::tried(status, interval, failure.map(Arc::new), oddities.objects, now);
            });
        });
        tokio::time::sleep(wait).await;
    }
}

/// Service codes of the watched quotas, each once.
fn services() -> impl Iterator<Item = &'static str> {
    let first = |index: usize| !QUOTAS[..index].iter().any(|quota| quota.service_code == QUOTAS[index].service_code);
    QUOTAS.iter().enumerate().filter(move |(index, _)| first(*index)).map(|(_, quota)| quota.service_code)
}

/// Asks for every service. After a refusal the next service would hear the same.
async fn ask(quotas: &ServiceQuotas) -> (Requests, Option<Failure>, Oddities) {
    const OPERATION: &str = "ListRequestedServiceQuotaChangeHistory";
    let mut requests = Requests::new();
    let mut all = Oddities::default();
    for service in services() {
        let oddities = Mutex::new(Oddities::default());
        let page = async |token: Option<String>| {
            let attempt = || {
                let call = quotas.client.list_requested_service_quota_change_history().service_code(service).max_results(100);
                call.set_next_token(token.clone()).send()
            };
            // Nothing is judged by it: it comes after everything that is.
            let answer = quotas.call(OPERATION, Urgency::Routine, attempt).await?;
            let oddities = &mut *oddities.lock().expect("nothing panics while it holds this lock");
            let pending = answer.requested_quotas().iter().filter_map(|change| pending(service, change, oddities));
            let by_id = pending.map(|(name, request)| ((name, Arc::clone(&request.id)), request));
            Ok((by_id.collect(), answer.next_token().map(str::to_owned)))
        };
        let fetched = pages::<(&'static str, Arc<str>), QuotaRequest, _>(&quotas.action(OPERATION), &oddities, page).await;
        all.values += fetched.oddities.values;
        all.objects += fetched.oddities.objects;
        for ((name, _), request) in fetched.items {
            requests.entry(name.into()).or_default().push(Arc::unwrap_or_clone(request));
        }
        if fetched.failure.is_some() {
            return (sorted(requests), fetched.failure, all);
        }
    }
    (sorted(requests), None, all)
}

fn sorted(mut requests: Requests) -> Requests {
    requests.values_mut().for_each(|of_one| of_one.sort_by(|a, b| (a.requested_at, &a.id).cmp(&(b.requested_at, &b.id))));
    requests
}

/// The request with its quota's name, if it is of a watched quota and not decided yet.
fn pending(service: &str, change: &RequestedServiceQuotaChange, oddities: &mut Oddities) -> Option<(&'static str, QuotaRequest)> {
    let quota = QUOTAS.iter().find(|quota| quota.service_code == service && Some(quota.quota_code) == change.quota_code())?;
    let status = match change.status() {
        Some(Status::Pending) => RequestStatus::Pending,
        Some(Status::CaseOpened) => RequestStatus::CaseOpened,
        Some(Status::Approved | Status::CaseClosed | Status::Denied | Status::InvalidRequest | Status::NotApproved) => {
            return None;
        }
        // A state that AWS invented since: nobody knows whether it is still open.
        _ => {
            oddities.values += 1;
            return None;
        }
    };
    let desired_value = oddities.object(change.desired_value().filter(|value| value.is_finite()))?;
    let requested_at = change.created().and_then(|at| Timestamp::from_second(at.secs()).ok());
    let id = change.id().unwrap_or_default().into();
    Some((quota.name, QuotaRequest { id, status, desired_value, requested_at }))
}

#[cfg(test)]
mod tests {
    use aws_sdk_servicequotas::primitives::DateTime;

    use super::*;

    fn change(code: &str, status: &str) -> RequestedServiceQuotaChange {
        let change = RequestedServiceQuotaChange::builder().id("r1").service_code("vpc").quota_code(code).desired_value(120.0);
        change.status(Status::from(status)).created(DateTime::from_secs_f64(1_790_000_000.75)).build()
    }

    #[test]
    fn what_is_not_decided_is_pending_and_nothing_else() {
        let mut oddities = Oddities::default();
        let mut of =
            |status: &str| pending("vpc", &change("L-0EA8095F", status), &mut oddities).map(|(_, request)| request.status);
        assert_eq!(of("PENDING"), Some(RequestStatus::Pending));
        assert_eq!(of("CASE_OPENED"), Some(RequestStatus::CaseOpened));
        for decided in ["APPROVED", "DENIED", "NOT_APPROVED", "CASE_CLOSED", "INVALID_REQUEST"] {
            assert_eq!(of(decided), None, "{decided}");
        }
        assert_eq!(of("SOMETHING_NEW"), None);
        assert_eq!((oddities.values, oddities.objects), (1, 0), "what nobody knows is told");
    }

    #[test]
    fn it_is_known_by_our_name_with_its_value_and_since_when() {
        let mut oddities = Oddities::default();
        let (name, request) = pending("vpc", &change("L-0EA8095F", "PENDING"), &mut oddities).unwrap();
        assert_eq!(name, "rules_per_security_group");
        let at = Timestamp::from_second(1_790_000_000).unwrap();
        assert_eq!((request.desired_value, request.requested_at), (120.0, Some(at)));
        assert!(pending("vpc", &change("L-00000000", "PENDING"), &mut oddities).is_none(), "a quota that is not watched");
        assert!(pending("ec2", &change("L-0EA8095F", "PENDING"), &mut oddities).is_none(), "a code of another service");
        let without = RequestedServiceQuotaChange::builder().quota_code("L-0EA8095F").status(Status::Pending).build();
        assert!(pending("vpc", &without, &mut oddities).is_none());
        assert_eq!(oddities.objects, 1, "one without a value is missing, not zero");
    }

    #[test]
    fn each_service_is_asked_once() {
        assert_eq!(services().collect::<Vec<_>>(), ["elasticloadbalancing", "vpc", "ec2"]);
    }
}
