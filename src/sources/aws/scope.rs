//! Which cluster, which VPC, which account? Settings first, else what the cluster and AWS say.
//!
//! The cluster's name: the setting, else the `--cluster-name` of the AWS Load Balancer Controller, which is what it tags
//! resources with.
//!
//! The VPC, first found: the setting; the controller's `--aws-vpc-id`; the VPC of most load balancers that carry this
//! cluster's tags; the VPC of most interfaces attached to instances that are nodes of this cluster. The last needs no load
//! balancer, so that a new cluster knows its VPC. Once known it is kept until something else is found.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::client::Service;
use super::ledger;
use super::settings::{AwsSettings, Intervals};
use crate::clock;
use crate::inventory::ids::VpcId;
use crate::inventory::membership::provenance;
use crate::inventory::part::{Failure, FailureCategory, Part};
use crate::inventory::parts::{Parts, source};
use crate::sources::schedule::{Urgency, jittered, random, retry_after};
use crate::sources::store::Store;

/// The cluster's name, as far as it is known.
fn cluster_name(settings: &AwsSettings, parts: &Parts) -> Option<Arc<str>> {
    if let Some(name) = &settings.cluster_name {
        return Some(name.as_str().into());
    }
    flag(parts, "cluster-name")
}

/// A flag of the controllers, if those that have it agree.
fn flag(parts: &Parts, name: &str) -> Option<Arc<str>> {
    let mut values =
        parts.controllers.get()?.values().filter_map(|controller| controller.flag(name)).filter(|value| !value.is_empty());
    let first = values.next()?;
    values.all(|other| other == first).then(|| first.into())
}

/// The cluster's VPC, as far as it is known.
fn vpc_id(settings: &AwsSettings, parts: &Parts) -> Option<VpcId> {
    if let Some(id) = &settings.vpc_id {
        return Some(VpcId::from(id.as_str()));
    }
    flag(parts, "aws-vpc-id").map(VpcId::new).or_else(|| vpc_of_load_balancers(parts)).or_else(|| vpc_of_nodes(parts))
}

fn vpc_of_load_balancers(parts: &Parts) -> Option<VpcId> {
    let cluster = parts.scope.cluster_name.as_deref()?;
    let load_balancers = parts.load_balancers.get()?.values();
    most_common(load_balancers.filter_map(|load_balancer| {
        let tags = parts.tags.get(&load_balancer.arn)?.get()?;
        provenance(tags, cluster).map(|_| &load_balancer.vpc_id)
    }))
}

fn vpc_of_nodes(parts: &Parts) -> Option<VpcId> {
    let nodes: std::collections::BTreeSet<_> = parts.nodes.get()?.values().filter_map(|node| node.instance_id.as_ref()).collect();
    let interfaces = parts.network_interfaces.get()?.values();
    most_common(interfaces.filter_map(|interface| {
        let attachment = interface.attachment.as_ref()?;
        nodes.contains(&attachment.instance_id).then_some(&interface.vpc_id)
    }))
}

fn most_common<'a>(ids: impl Iterator<Item = &'a VpcId>) -> Option<VpcId> {
    let mut counts: BTreeMap<&VpcId, u32> = BTreeMap::new();
    for id in ids.filter(|id| !id.as_str().is_empty()) {
        *counts.entry(id).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(id, _)| id.clone())
}

/// Keeps the cluster's name and VPC up to date in the store, and tells those who wait for the VPC.
pub(crate) async fn keep(settings: Arc<AwsSettings>, store: Store, vpc: watch::Sender<Option<VpcId>>) {
    let mut changes = store.subscribe();
    loop {
        let parts = store.read();
        let name = cluster_name(&settings, &parts).or_else(|| parts.scope.cluster_name.clone());
        let id = vpc_id(&settings, &parts).or_else(|| parts.scope.vpc_id.clone());
        if (&name, &id) != (&parts.scope.cluster_name, &parts.scope.vpc_id) {
            tracing::info!(cluster_name = name.as_deref(), vpc_id = id.as_ref().map(VpcId::as_str), "the scope");
            store.update(|parts| {
                if parts.scope.vpc_id.is_some() && parts.scope.vpc_id != id {
                    forget_vpc(parts);
                }
                (parts.scope.cluster_name, parts.scope.vpc_id) = (name, id.clone());
            });
        }
        vpc.send_if_modified(|known| {
            let differs = *known != id;
            known.clone_from(&id);
            differs
        });
        drop(parts);
        // Every change of anything ends up here: a look now and then is enough.
        tokio::time::sleep(settings.intervals.debounce).await;
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Forgets what was read of another VPC: its subnets are not this one's, and this one's security groups came without their
/// rules, which must not read as having none.
fn forget_vpc(parts: &mut Parts) {
    parts.subnets = Part::default();
    parts.route_tables = Part::default();
    parts.vpcs = Part::default();
    parts.security_groups = Part::default();
    parts.network_interfaces = Part::default();
}

/// What was looked for when there is no VPC.
pub(crate) fn no_vpc(action: String, parts: &Parts) -> Failure {
    let cluster = parts.scope.cluster_name.as_deref().unwrap_or("(unknown)");
    Failure {
        category: FailureCategory::NotFound,
        operation: action,
        message: format!(
            "the cluster's VPC is not known; looked for the flag --aws.vpc-id, the controller's flag --aws-vpc-id, load \
             balancers tagged as those of cluster {cluster}, and network interfaces of its nodes"
        ),
    }
}

/// What was looked for when there is no cluster name.
pub(crate) fn no_cluster_name() -> Failure {
    Failure {
        category: FailureCategory::NotFound,
        operation: "find the cluster's name".to_owned(),
        message: "no cluster name; looked for the flag --cluster-name and for the --cluster-name of the AWS Load Balancer \
                  Controller's Deployment"
            .to_owned(),
    }
}

/// Asks who we are, and again every hour: it costs nothing, needs no permission and shows whether the credentials still do.
pub(crate) async fn identify(sts: Service<aws_sdk_sts::Client>, store: Store, intervals: Intervals) {
    let interval = ledger::interval(source::CALLER_IDENTITY, &intervals);
    let mut failures = 0;
    loop {
        let answer =
            sts.call("GetCallerIdentity", Urgency::List, || sts.client.get_caller_identity().send()).await.and_then(|answer| {
                let account: Option<Arc<str>> = answer.account().map(Arc::from);
                let partition = answer.arn().and_then(|arn| arn.split(':').nth(1)).map(Arc::from);
                if account.is_some() { Ok((account, partition)) } else { Err(nobody(sts.action("GetCallerIdentity"))) }
            });
        let (identity, failure) = match answer {
            Ok(identity) => (Some(identity), None),
            Err(failure) => (None, Some(Arc::new(failure))),
        };
        failures = if failure.is_some() { failures + 1 } else { 0 };
        let missing = u64::from(failure.is_some());
        store.update(|parts| {
            if let Some((account, partition)) = identity {
                (parts.scope.account_id, parts.scope.partition) = (account, partition);
            }
            ledger::note(parts, source::CALLER_IDENTITY, |status| {
                ledger::tried(status, interval, failure, missing, clock::now());
            });
        });
        let wait = if failures > 0 { retry_after(intervals.retry, failures, interval) } else { interval };
        tokio::time::sleep(jittered(wait, random())).await;
    }
}

fn nobody(action: String) -> Failure {
    Failure { category: FailureCategory::Malformed, operation: action, message: "the answer names no account".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::aws::{Attachment, IpAddressType, LoadBalancer, LoadBalancerState, NetworkInterface, Scheme};
    use crate::inventory::kube::{ConditionStatus, ControllerDeployment, Node};
    use jiff::Timestamp;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn controller(name: &str, flags: &[(&str, &str)]) -> (crate::inventory::ids::ObjectName, Arc<ControllerDeployment>) {
        let name = crate::inventory::ids::ObjectName::new("kube-system", name);
        let deployment = ControllerDeployment {
            name: name.clone(),
            version: None,
            image: "x".into(),
            flags: flags.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
            replicas: 1,
            available_replicas: None,
        };
        (name, Arc::new(deployment))
    }

    fn load_balancer(arn: &str, vpc: &str) -> Arc<LoadBalancer> {
        let arn = crate::inventory::ids::Arn::from(arn);
        Arc::new(LoadBalancer {
            id: arn.load_balancer().unwrap(),
            arn,
            name: "x".into(),
            dns_name: "x".into(),
            scheme: Scheme::Internal,
            vpc_id: vpc.into(),
            state: LoadBalancerState::Active,
            state_reason: None,
            created_at: None,
            ip_address_type: IpAddressType::Ipv4,
            zones: Vec::new(),
            security_groups: Default::default(),
            enforce_inbound_rules_on_private_link: None,
            enable_prefix_for_ipv6_source_nat: None,
        })
    }

    fn parts() -> Parts {
        let mut parts = Parts::default();
        parts.scope.cluster_name = Some("demo".into());
        let mut tags = BTreeMap::new();
        let mut load_balancers = BTreeMap::new();
        for (name, vpc, cluster) in [("a", "vpc-1", "demo"), ("b", "vpc-2", "other"), ("c", "vpc-2", "other")] {
            let one = load_balancer(&format!("arn:aws:elasticloadbalancing:r:1:loadbalancer/net/{name}/1"), vpc);
            let tag = ("elbv2.k8s.aws/cluster".into(), cluster.into());
            tags.insert(one.arn.clone(), Part::fetched(BTreeMap::from([tag]), NOW));
            load_balancers.insert(one.id.clone(), one);
        }
        parts.tags = Arc::new(tags);
        parts.load_balancers = Part::fetched(load_balancers, NOW);
        parts
    }

    #[test]
    fn a_setting_wins_over_the_flag_and_the_flag_over_the_tags() {
        let mut parts = parts();
        let mut settings = AwsSettings::default();
        assert_eq!(vpc_id(&settings, &parts), Some("vpc-1".into()), "the VPC of the load balancers with our tag");
        assert_eq!(cluster_name(&settings, &parts), None);
        let flags = [("cluster-name", "flagged"), ("aws-vpc-id", "vpc-flag")];
        parts.controllers = Part::fetched(BTreeMap::from([controller("a", &flags)]), NOW);
        assert_eq!(vpc_id(&settings, &parts), Some("vpc-flag".into()));
        assert_eq!(cluster_name(&settings, &parts).as_deref(), Some("flagged"));
        settings.vpc_id = Some("vpc-set".into());
        settings.cluster_name = Some("set".into());
        assert_eq!(vpc_id(&settings, &parts), Some("vpc-set".into()));
        assert_eq!(cluster_name(&settings, &parts).as_deref(), Some("set"));
    }

    #[tokio::test(start_paused = true)]
    async fn another_vpc_takes_what_was_read_of_the_one_before_with_it() {
        let mut parts = parts();
        parts.scope.vpc_id = Some("vpc-1".into());
        parts.security_groups = Part::fetched(BTreeMap::new(), NOW);
        parts.subnets = Part::fetched(BTreeMap::new(), NOW);
        parts.addresses = Part::fetched(BTreeMap::new(), NOW);
        let store = Store::new(parts);
        let (sender, mut vpc) = watch::channel(Some(VpcId::from("vpc-1")));
        let keeping = tokio::spawn(keep(Arc::new(AwsSettings::default()), store.clone(), sender));
        tokio::time::sleep(Intervals::default().debounce).await;
        assert!(store.read().security_groups.complete().is_some(), "nothing has changed");
        let flagged = BTreeMap::from([controller("a", &[("aws-vpc-id", "vpc-2")])]);
        store.update(|parts| parts.controllers = Part::fetched(flagged, NOW));
        vpc.wait_for(|vpc| *vpc == Some("vpc-2".into())).await.unwrap();
        let parts = store.read();
        assert_eq!(parts.scope.vpc_id, Some("vpc-2".into()));
        assert!(parts.security_groups.get().is_none(), "its groups came without their rules");
        assert!(parts.subnets.get().is_none());
        assert!(parts.addresses.complete().is_some(), "the Region's stay");
        keeping.abort();
    }

    #[test]
    fn controllers_that_disagree_say_nothing() {
        let mut parts = Parts::default();
        let two = [controller("a", &[("cluster-name", "x")]), controller("b", &[("cluster-name", "y")])];
        parts.controllers = Part::fetched(BTreeMap::from(two), NOW);
        assert_eq!(cluster_name(&AwsSettings::default(), &parts), None);
    }

    #[test]
    fn without_load_balancers_the_nodes_interfaces_tell_the_vpc() {
        let mut parts = Parts::default();
        let node = Node {
            name: "n".into(),
            instance_id: Some("i-1".into()),
            zone: None,
            internal_ips: Vec::new(),
            ready: ConditionStatus::True,
            ready_changed_at: None,
            changed_at: None,
            labels: BTreeMap::new(),
            taints: Default::default(),
        };
        parts.nodes = Part::fetched(BTreeMap::from([(node.name.clone(), Arc::new(node))]), NOW);
        let interface = |id: &str, vpc: &str, instance: &str| {
            let interface = NetworkInterface {
                id: id.into(),
                of_network_load_balancer: false,
                vpc_id: vpc.into(),
                subnet_id: "s".into(),
                zone: "z".into(),
                security_groups: Default::default(),
                attachment: Some(Attachment { instance_id: instance.into(), device_index: 0 }),
                addresses: Vec::new(),
                prefixes: Vec::new(),
            };
            (interface.id.clone(), Arc::new(interface))
        };
        let interfaces = [interface("e1", "vpc-9", "i-9"), interface("e2", "vpc-9", "i-8"), interface("e3", "vpc-1", "i-1")];
        parts.network_interfaces = Part::fetched(BTreeMap::from(interfaces), NOW);
        assert_eq!(vpc_id(&AwsSettings::default(), &parts), Some("vpc-1".into()));
    }
}
