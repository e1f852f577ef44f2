//! Who leads among the controller's replicas, and since when? Its Lease.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1 as api;

use super::batch::Batch;
use super::report::Change;
use super::watch::{Subject, Undecodable};
use crate::inventory::kube::LeaderLease;
use crate::inventory::parts::Parts;
use crate::sources::intern::Interner;

/// The Lease's name.
pub(super) const NAME: &str = "aws-load-balancer-controller-leader";

/// The namespace where no controller is known.
pub(super) const NAMESPACE: &str = "kube-system";

/// The leader renews every two seconds. Each renewal would make a new picture; one in so many seconds tells as much.
const RENEWED: Duration = Duration::from_secs(30);

pub(super) struct Leader {
    pub(super) interner: Arc<Interner>,
}

impl Subject for Leader {
    type Object = api::Lease;
    type Value = LeaderLease;

    fn read(&self, object: api::Lease) -> Result<Option<LeaderLease>, Undecodable> {
        let spec = object.spec.unwrap_or_default();
        Ok(Some(LeaderLease {
            holder: super::fields::non_empty(spec.holder_identity.as_deref(), &self.interner),
            acquired_at: spec.acquire_time.map(|time| time.0),
            renewed_at: spec.renew_time.map(|time| time.0),
            transitions: spec.lease_transitions.and_then(|number| u32::try_from(number).ok()).unwrap_or_default(),
        }))
    }

    fn commit(&mut self, known: &Parts, batch: Batch<LeaderLease>, _: Timestamp) -> Option<Change> {
        // One that cannot be read leaves what is known of it.
        let listed = batch.list.filter(|_| batch.unreadable.is_empty()).map(|list| list.into_values().next());
        let changed = batch.changes.into_values().next_back();
        let lease = changed.or(listed)?;
        let before = known.leader_lease.get().cloned().flatten();
        if !is_news(before.as_ref(), lease.as_ref()) {
            return None;
        }
        Some(Box::new(move |parts| parts.leader_lease.value = Some(Arc::new(lease))))
    }
}

fn is_news(before: Option<&LeaderLease>, now: Option<&LeaderLease>) -> bool {
    match (before, now) {
        (None, None) => false,
        (Some(before), Some(now)) => {
            (&before.holder, before.acquired_at, before.transitions) != (&now.holder, now.acquired_at, now.transitions)
                || match (before.renewed_at, now.renewed_at) {
                    (Some(before), Some(now)) => now.duration_since(before).unsigned_abs() >= RENEWED,
                    (before, now) => before != now,
                }
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewal_is_news_now_and_then_and_a_new_leader_at_once() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let lease = LeaderLease { holder: Some("a".into()), acquired_at: Some(at(0)), renewed_at: Some(at(100)), transitions: 1 };
        let renewed = |second| LeaderLease { renewed_at: Some(at(second)), ..lease.clone() };
        assert!(!is_news(Some(&lease), Some(&renewed(102))));
        assert!(is_news(Some(&lease), Some(&renewed(130))));
        let next = LeaderLease { holder: Some("b".into()), transitions: 2, ..renewed(102) };
        assert!(is_news(Some(&lease), Some(&next)));
        assert!(is_news(Some(&lease), None) && is_news(None, Some(&lease)) && !is_news(None, None));
    }
}
