//! What does EKS know of the cluster? Asked when its name becomes known, then once an hour.
//!
//! Nothing else waits for it: without the permission, or where nobody knows the cluster, only this source fails.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_eks::Client;
use aws_sdk_eks::types as sdk;

use super::client::Service;
use super::intern::intern;
use super::ledger;
use super::scope::no_cluster_name;
use super::settings::Intervals;
use crate::clock;
use crate::inventory::aws::EksCluster;
use crate::inventory::ids::{SecurityGroupId, SubnetId, VpcId};
use crate::inventory::part::{Failure, FailureCategory};
use crate::inventory::parts::source;
use crate::sources::schedule::{Urgency, jittered, random, retry_after};
use crate::sources::store::Store;

const OPERATION: &str = "DescribeCluster";

/// Asks for ever.
pub(crate) async fn keep(eks: Service<Client>, store: Store, intervals: Intervals) {
    let interval = ledger::interval(source::EKS_CLUSTER, &intervals);
    loop {
        let name = known_name(&store, &intervals, interval).await;
        let renamed = other_name(&store, &name);
        tokio::select! {
            () = keep_one(&eks, &store, &intervals, &name, interval) => {}
            () = renamed => forget(&store),
        }
    }
}

/// Waits for the cluster's name, and says after a while that it is wanting.
async fn known_name(store: &Store, intervals: &Intervals, interval: Duration) -> Arc<str> {
    let mut parts = store.subscribe();
    let known = |known: &crate::inventory::parts::Parts| known.scope.cluster_name.is_some();
    // The controller's Deployment needs a moment to be found.
    if tokio::time::timeout(intervals.retry, parts.wait_for(known)).await.is_err() {
        let failure = Arc::new(no_cluster_name());
        store.update(|parts| {
            ledger::note(parts, source::EKS_CLUSTER, |status| {
                ledger::tried(status, interval, Some(failure), 1, clock::now());
            });
        });
    }
    let parts = parts.wait_for(known).await.expect("the store holds its own sender");
    parts.scope.cluster_name.as_ref().map(Arc::clone).expect("waited for")
}

async fn other_name(store: &Store, name: &str) {
    let mut parts = store.subscribe();
    let other = parts.wait_for(|parts| parts.scope.cluster_name.as_deref() != Some(name)).await;
    drop(other);
}

/// What is known is of another cluster.
fn forget(store: &Store) {
    store.update(|parts| parts.eks_cluster = crate::inventory::part::Part::default());
}

async fn keep_one(eks: &Service<Client>, store: &Store, intervals: &Intervals, name: &str, interval: Duration) {
    let mut failures = 0;
    loop {
        let answer = cluster(eks, name).await;
        let failure = answer.as_ref().err().cloned().map(Arc::new);
        let refused = failure.as_ref().is_some_and(|failure| failure.category == FailureCategory::Denied);
        failures = if failure.is_some() { failures + 1 } else { 0 };
        let now = clock::now();
        store.update(|parts| {
            match answer {
                Ok(cluster) => parts.eks_cluster.succeed(cluster, now),
                Err(failure) => parts.eks_cluster.fail(failure, now),
            }
            let missing = u64::from(failure.is_some());
            ledger::note(parts, source::EKS_CLUSTER, |status| ledger::tried(status, interval, failure, missing, now));
        });
        let first = if refused { intervals.retry_refused } else { intervals.retry };
        let wait = if failures > 0 { retry_after(first, failures, interval) } else { interval };
        tokio::time::sleep(jittered(wait, random())).await;
    }
}

/// The cluster.
async fn cluster(eks: &Service<Client>, name: &str) -> Result<EksCluster, Failure> {
    let answer = eks.call(OPERATION, Urgency::List, || eks.client.describe_cluster().name(name).send()).await?;
    answer.cluster().and_then(convert).ok_or_else(|| Failure {
        category: FailureCategory::Malformed,
        operation: eks.action(OPERATION),
        message: "the answer holds no cluster".to_owned(),
    })
}

/// A cluster; `None` without a name.
fn convert(from: &sdk::Cluster) -> Option<EksCluster> {
    let vpc = from.resources_vpc_config();
    let balancing = from.kubernetes_network_config().and_then(|config| config.elastic_load_balancing());
    let given = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(intern);
    Some(EksCluster {
        name: intern(from.name()?),
        version: given(from.version()),
        vpc_id: given(vpc.and_then(|vpc| vpc.vpc_id())).map(VpcId::new),
        subnets: vpc.into_iter().flat_map(|vpc| vpc.subnet_ids()).map(|id| SubnetId::new(intern(id))).collect(),
        cluster_security_group: given(vpc.and_then(|vpc| vpc.cluster_security_group_id())).map(SecurityGroupId::new),
        auto_mode: balancing.and_then(|balancing| balancing.enabled()).unwrap_or(false),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::inventory::parts::Parts;
    use crate::sources::aws::fake::{Answer, Call, Fake, until};

    const CLUSTER: &str = r#"{"cluster":{"name":"demo","version":"1.35","resourcesVpcConfig":{"vpcId":"vpc-1",
        "subnetIds":["subnet-2","subnet-1"],"clusterSecurityGroupId":"sg-1"},
        "kubernetesNetworkConfig":{"elasticLoadBalancing":{"enabled":true}}}}"#;

    /// Keeps asking a fake that answers like this; the cluster is named at once.
    async fn asking(answer: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> (Fake, Store) {
        let fake = Fake::start(answer).await;
        let settings = fake.settings();
        let clients = fake.clients(&settings).await;
        let store = Store::new(Parts::default());
        store.update(|parts| parts.scope.cluster_name = Some("demo".into()));
        tokio::spawn(keep(clients.eks, store.clone(), settings.intervals));
        (fake, store)
    }

    fn failed(parts: &Parts, category: FailureCategory) -> bool {
        let status = parts.sources.get(source::EKS_CLUSTER);
        status.and_then(|status| status.failure.as_ref()).is_some_and(|failure| failure.category == category)
    }

    #[tokio::test]
    async fn a_cluster_is_read_with_its_network() {
        let (fake, store) = asking(|_| Some((200, CLUSTER.to_owned()))).await;
        let parts = until(&store, "the cluster", |parts| parts.eks_cluster.complete().is_some()).await;
        let cluster = parts.eks_cluster.get().unwrap();
        assert_eq!((&*cluster.name, cluster.version.as_deref(), cluster.auto_mode), ("demo", Some("1.35"), true));
        assert_eq!(cluster.vpc_id, Some("vpc-1".into()));
        assert_eq!(cluster.subnets, ["subnet-1".into(), "subnet-2".into()].into());
        assert_eq!(cluster.cluster_security_group, Some("sg-1".into()));
        assert_eq!(fake.calls()[0].get("path"), "/clusters/demo");
        assert!(parts.sources[source::EKS_CLUSTER].last_success.is_some());
    }

    #[test]
    fn what_is_left_out_is_none_and_not_empty() {
        let bare = convert(&sdk::Cluster::builder().name("demo").version("").build()).unwrap();
        assert_eq!((bare.version, bare.vpc_id, bare.cluster_security_group, bare.auto_mode), (None, None, None, false));
        assert_eq!(convert(&sdk::Cluster::builder().build()), None);
    }

    #[tokio::test]
    async fn bad_answers_are_failures_with_a_category() {
        for (status, body, category) in [
            (200, r#"{"cluster":{"name":"demo","ver"#, FailureCategory::Malformed),
            (200, "{}", FailureCategory::Malformed),
            (200, "<html>A proxy's greeting</html>", FailureCategory::Malformed),
            (403, r#"{"__type":"AccessDeniedException","message":"no"}"#, FailureCategory::Denied),
            (
                404,
                r#"{"__type":"ResourceNotFoundException","message":"No cluster found for name: demo."}"#,
                FailureCategory::NotFound,
            ),
            (429, r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#, FailureCategory::Throttled),
            (500, r#"{"__type":"ServerException","message":"x"}"#, FailureCategory::Server),
            (404, "no such page", FailureCategory::Server),
        ] {
            let (_fake, store) = asking(move |_| Some((status, body.to_owned()))).await;
            let parts = until(&store, body, |parts| failed(parts, category)).await;
            assert!(parts.eks_cluster.get().is_none() && parts.eks_cluster.failure.is_some(), "{body}");
            let failure = parts.sources[source::EKS_CLUSTER].failure.clone().unwrap();
            assert_eq!(failure.operation, "eks:DescribeCluster");
        }
    }

    #[tokio::test]
    async fn what_is_known_stays_when_it_fails_and_goes_when_the_cluster_is_another_one() {
        let body = Arc::new(Mutex::new(Some((200, CLUSTER.to_owned()))));
        let answer = Arc::clone(&body);
        let (_fake, store) = asking(move |_| answer.lock().unwrap().clone()).await;
        until(&store, "the cluster", |parts| parts.eks_cluster.complete().is_some()).await;
        let denied = r#"{"__type":"AccessDeniedException","message":"no"}"#;
        *body.lock().unwrap() = Some((403, denied.to_owned()));
        store.update(|parts| parts.scope.cluster_name = Some("other".into()));
        let parts = until(&store, "the other cluster is refused", |parts| failed(parts, FailureCategory::Denied)).await;
        assert!(parts.eks_cluster.get().is_none(), "the first cluster's answer says nothing of the other");
    }

    #[tokio::test]
    async fn without_a_name_it_says_what_is_wanting() {
        let fake = Fake::start(|_| Some((200, CLUSTER.to_owned()))).await;
        let settings = fake.settings();
        let clients = fake.clients(&settings).await;
        let store = Store::new(Parts::default());
        tokio::spawn(keep(clients.eks, store.clone(), settings.intervals));
        until(&store, "the name is missed", |parts| failed(parts, FailureCategory::NotFound)).await;
        assert!(fake.calls().is_empty(), "nobody is asked about nothing");
        store.update(|parts| parts.scope.cluster_name = Some("demo".into()));
        until(&store, "the cluster", |parts| parts.eks_cluster.complete().is_some()).await;
    }
}
