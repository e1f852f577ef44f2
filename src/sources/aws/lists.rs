//! Which lists are fetched again and again? One task each: fetch, put in, wait.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::client::Clients;
use super::fetch::Fetched;
use super::ledger::{self, SelectList};
use super::scope::no_vpc;
use super::settings::Intervals;
use super::{ec2, elb};
use crate::clock;
use crate::inventory::ids::VpcId;
use crate::inventory::part::{Failure, FailureCategory};
use crate::inventory::parts::source;
use crate::sources::CallObserver;
use crate::sources::schedule::{jittered, random, retry_after};
use crate::sources::store::Store;

/// What a list has to do with the cluster's VPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// The whole Region.
    Region,
    /// The whole Region, in detail for the VPC: fetched again when that becomes known.
    RegionInDetailForVpc,
    /// The VPC: cannot be fetched before it is known.
    Vpc,
}

/// What every list task needs.
#[derive(Debug, Clone)]
struct Common {
    store: Store,
    intervals: Intervals,
    vpc: watch::Receiver<Option<VpcId>>,
    observer: Arc<dyn CallObserver>,
}

/// One list.
struct ListSource<K, V> {
    source: &'static str,
    /// The IAM name of its call.
    action: String,
    reach: Reach,
    select: SelectList<K, V>,
}

/// Starts the tasks. Per minute they cost one call per 400 load balancers of any type, 400 target groups, 1,000 subnets
/// and 200 security groups; per five minutes one per 1,000 interfaces and 100 route tables and one for the addresses; per
/// hour three more.
pub(crate) fn start(
    tasks: &mut JoinSet<()>,
    clients: &Clients,
    store: &Store,
    intervals: &Intervals,
    vpc: &watch::Receiver<Option<VpcId>>,
    observer: &Arc<dyn CallObserver>,
) {
    let common = Common { store: store.clone(), intervals: intervals.clone(), vpc: vpc.clone(), observer: Arc::clone(observer) };
    macro_rules! list {
        ($source:ident, $service:ident, $operation:literal, $reach:ident, $field:ident, $fetch:expr) => {{
            let list = ListSource {
                source: source::$source,
                action: clients.$service.action($operation),
                reach: Reach::$reach,
                select: |parts| &mut parts.$field,
            };
            let service = clients.$service.clone();
            tasks.spawn(keep(common.clone(), list, move |vpc: Option<VpcId>| {
                let service = service.clone();
                async move { $fetch(&service, vpc.as_ref()).await }
            }));
        }};
    }
    // Lists within the VPC are only asked for once it is known.
    const KNOWN: &str = "`keep` waits for the VPC";
    list!(LOAD_BALANCERS, elb, "DescribeLoadBalancers", Region, load_balancers, async |elb, _| elb::load_balancers(elb).await);
    list!(TARGET_GROUPS, elb, "DescribeTargetGroups", Region, target_groups, async |elb, _| elb::target_groups(elb).await);
    list!(SUBNETS, ec2, "DescribeSubnets", Vpc, subnets, async |ec2, vpc: Option<&VpcId>| {
        ec2::subnets(ec2, vpc.expect(KNOWN)).await
    });
    list!(ROUTE_TABLES, ec2, "DescribeRouteTables", Vpc, route_tables, async |ec2, vpc: Option<&VpcId>| {
        ec2::route_tables(ec2, vpc.expect(KNOWN)).await
    });
    list!(VPCS, ec2, "DescribeVpcs", Vpc, vpcs, async |ec2, vpc: Option<&VpcId>| ec2::vpcs(ec2, vpc.expect(KNOWN)).await);
    list!(SECURITY_GROUPS, ec2, "DescribeSecurityGroups", RegionInDetailForVpc, security_groups, ec2::security_groups);
    list!(
        NETWORK_INTERFACES,
        ec2,
        "DescribeNetworkInterfaces",
        RegionInDetailForVpc,
        network_interfaces,
        ec2::network_interfaces
    );
    list!(PREFIX_LISTS, ec2, "DescribeManagedPrefixLists", Region, prefix_lists, async |ec2, _| ec2::prefix_lists(ec2).await);
    list!(ADDRESSES, ec2, "DescribeAddresses", Region, addresses, async |ec2, _| ec2::addresses(ec2).await);
    tasks.spawn(keep_zones(common, clients.ec2.clone()));
}

async fn keep<K, V, F>(mut common: Common, list: ListSource<K, V>, fetch: impl Fn(Option<VpcId>) -> F + Send)
where
    K: Ord + Clone,
    V: PartialEq,
    F: Future<Output = Fetched<K, V>> + Send,
{
    let interval = ledger::interval(list.source, &common.intervals);
    let mut failures = 0;
    if list.reach == Reach::RegionInDetailForVpc {
        // Mostly it is known in a moment, and then nothing has to be fetched twice.
        let known = common.vpc.wait_for(Option::is_some);
        drop(tokio::time::timeout(common.intervals.retry / 5, known).await);
    }
    loop {
        let vpc = match list.reach {
            Reach::Region => None,
            Reach::RegionInDetailForVpc => common.vpc.borrow_and_update().clone(),
            Reach::Vpc => Some(known_vpc(&mut common, list.source, &list.action).await),
        };
        let fetched = fetch(vpc).await;
        let oddities = fetched.oddities;
        for _ in 0..oddities.values + oddities.objects {
            common.observer.unknown_value(list.source);
        }
        let wait = wait(&common.intervals, interval, &mut failures, fetched.failure.as_ref());
        ledger::put_list(&common.store, list.select, list.source, interval, fetched, clock::now());
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            Ok(()) = common.vpc.changed(), if list.reach != Reach::Region => {}
        }
    }
}

/// How long until the next try. After a failure sooner, but a refusal does not pass by itself in seconds.
pub(crate) fn wait(intervals: &Intervals, interval: Duration, failures: &mut u32, failure: Option<&Failure>) -> Duration {
    *failures = if failure.is_some() { *failures + 1 } else { 0 };
    let wait = match failure.map(|failure| failure.category) {
        None => interval,
        Some(FailureCategory::Denied | FailureCategory::Expired) => intervals.retry_refused.min(interval),
        Some(_) => retry_after(intervals.retry, *failures, interval),
    };
    jittered(wait, random())
}

/// Waits until the VPC is known; says what it was looked for by when that takes longer than a moment.
async fn known_vpc(common: &mut Common, source: &'static str, action: &str) -> VpcId {
    loop {
        if let Some(vpc) = common.vpc.borrow_and_update().clone() {
            return vpc;
        }
        if tokio::time::timeout(common.intervals.retry, common.vpc.changed()).await.is_err() {
            let failure = Arc::new(no_vpc(action.to_owned(), &common.store.read()));
            common.store.update(|parts| ledger::note(parts, source, |status| status.failure = Some(failure)));
            // Said once; from here on only the VPC itself is news.
            if common.vpc.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

async fn keep_zones(common: Common, ec2: ec2::Ec2) {
    let interval = ledger::interval(source::AVAILABILITY_ZONES, &common.intervals);
    let mut failures = 0;
    loop {
        let fetched = ec2::availability_zones(&ec2).await;
        let (oddities, now) = (fetched.oddities, clock::now());
        ec2.unknown_values(source::AVAILABILITY_ZONES, oddities.values + oddities.objects);
        let wait = wait(&common.intervals, interval, &mut failures, fetched.failure.as_ref());
        let failure = fetched.failure.map(Arc::new);
        let zones = fetched.items.into_iter().map(|(zone, locale)| (zone, *locale)).collect();
        common.store.update(|parts| {
            match &failure {
                None => parts.availability_zones.succeed(zones, now),
                Some(failure) => parts.availability_zones.fail((**failure).clone(), now),
            }
            ledger::note(parts, source::AVAILABILITY_ZONES, |status| {
                ledger::tried(status, interval, failure, oddities.objects, now);
            });
        });
        tokio::time::sleep(wait).await;
    }
}
