//! Which calls would AWS itself refuse for being too many? Its published token buckets, per service or per action.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use clap::ValueEnum;
use tokio::time::Instant;

use super::operations::{Api, Operation};

/// Which of AWS's buckets the simulator enforces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Throttling {
    /// None.
    #[default]
    Off,
    /// All, with ELBv2's older table: 40 calls, 10 more a second, for all Describe actions together.
    Narrow,
    /// All, with ELBv2's newer table: 200 calls, 50 more a second.
    Wide,
}

/// The buckets of one account and Region.
#[derive(Debug)]
pub(crate) struct Buckets {
    throttling: Throttling,
    levels: Mutex<BTreeMap<Operation, Level>>,
}

#[derive(Debug)]
struct Level {
    tokens: f64,
    at: Instant,
}

impl Buckets {
    pub(crate) fn new(throttling: Throttling) -> Self {
        Self { throttling, levels: Mutex::default() }
    }

    /// Takes a token for a call at `now`; `false` when there is none.
    pub(crate) fn take(&self, operation: Operation, now: Instant) -> bool {
        let Some((bucket, capacity, refill)) = self.bucket(operation) else { return true };
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        let level = levels.entry(bucket).or_insert(Level { tokens: capacity, at: now });
        let passed = now.saturating_duration_since(level.at).as_secs_f64();
        level.tokens = (level.tokens + passed * refill).min(capacity);
        level.at = now;
        let allowed = level.tokens >= 1.0;
        if allowed {
            level.tokens -= 1.0;
        }
        allowed
    }

    /// The operation that stands for the bucket, its capacity and its refill a second.
    fn bucket(&self, operation: Operation) -> Option<(Operation, f64, f64)> {
        let elb = match self.throttling {
            Throttling::Off => return None,
            Throttling::Narrow => (40.0, 10.0),
            Throttling::Wide => (200.0, 50.0),
        };
        match (operation.api(), operation) {
            // All Describe actions share one bucket.
            (Api::Elb, _) => Some((Operation::DescribeLoadBalancers, elb.0, elb.1)),
            // Each action has its own.
            (Api::Ec2, _) => Some((operation, 100.0, 20.0)),
            (Api::ServiceQuotas, Operation::GetServiceQuota | Operation::GetAWSDefaultServiceQuota) => {
                Some((operation, 5.0, 5.0))
            }
            (Api::ServiceQuotas, _) => Some((operation, 10.0, 10.0)),
            (Api::Sts | Api::Eks, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn describe_actions_of_elastic_load_balancing_share_forty_calls_and_ten_more_a_second() {
        let buckets = Buckets::new(Throttling::Narrow);
        let taken = |operation, now, tries: usize| (0..tries).filter(|_| buckets.take(operation, now)).count();
        let start = Instant::now();
        assert_eq!(taken(Operation::DescribeTags, start, 30), 30);
        assert_eq!(taken(Operation::DescribeTargetHealth, start, 30), 10);
        assert_eq!(taken(Operation::DescribeTags, start + Duration::from_secs(2), 30), 20);
        assert_eq!(taken(Operation::DescribeTags, start + Duration::from_secs(60), 60), 40, "it never holds more than it can");
    }

    #[tokio::test(start_paused = true)]
    async fn actions_of_ec2_have_a_bucket_each() {
        let buckets = Buckets::new(Throttling::Wide);
        let now = Instant::now();
        let taken = |operation| (0..150).filter(|_| buckets.take(operation, now)).count();
        assert_eq!(taken(Operation::DescribeSubnets), 100);
        assert_eq!(taken(Operation::DescribeVpcs), 100);
        assert_eq!(taken(Operation::GetServiceQuota), 5);
        assert_eq!(taken(Operation::GetCallerIdentity), 150);
    }
}
