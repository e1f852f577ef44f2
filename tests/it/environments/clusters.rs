//! Are clusters that are not like the others judged by what can be known of them, and by nothing else?

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use eks_nlb_exporter::inventory::aws::{TargetReason, TargetState};
use eks_nlb_exporter::inventory::ids::{InstanceId, NodeName};
use eks_nlb_exporter::inventory::readiness::pending;
use eks_nlb_exporter::permissions::{KUBE_ACCESS, Place};
use eks_nlb_exporter::simulator::kube_api::{ALL, Resource};
use eks_nlb_exporter::simulator::{SimulatorSettings, WorldKind};

use crate::faults::Setting;
use crate::gather::told;
use crate::situations::{Situation, all, name, set, unhealthy};
use crate::support::{eventually, get};

/// Quotas that hold for everybody in a VPC together.
const OF_THE_VPC: [&str; 3] = ["network_load_balancer_enis_per_vpc", "subnets_per_vpc", "route_tables_per_vpc"];

#[tokio::test]
async fn in_a_shared_vpc_its_quotas_are_unknown_and_that_is_said() {
    let shared = Situation::of(WorldKind::SharedVpc).await;
    let outcome = shared.judge();
    let told = told(&outcome);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].starts_with("NLB405") && told[0].contains("lower bound"), "{told:#?}");
    assert!(OF_THE_VPC.iter().all(|quota| told[0].contains(quota)), "{told:#?}");
    let of = |outcome: &eks_nlb_exporter::checks::model::Outcome| -> BTreeSet<String> {
        let usage = outcome.families.iter().find(|family| family.description.name == "quota_usage").unwrap();
        usage.samples.iter().map(|sample| sample.labels[0].as_str().to_owned()).collect()
    };
    let own = Situation::healthy().await.judge();
    for quota in OF_THE_VPC {
        assert!(of(&own).contains(quota), "{quota} is told where it can be");
        assert!(!of(&outcome).contains(quota), "{quota} is no number of one tenant");
    }
    assert!(of(&outcome).contains("security_groups"), "what holds for the account is told");

    // Whatever little of it is seen: no limit that could be the owner's own pages.
    let mut tight = shared.clone();
    for quota in OF_THE_VPC {
        tight.limit(quota, 1.0, None);
    }
    let codes: Vec<_> = tight.judge().findings.iter().map(|finding| finding.kind.code).collect();
    assert_eq!(codes, ["NLB405"]);
}

#[tokio::test]
async fn a_subnet_that_others_fill_too_is_judged_by_what_aws_counts() {
    let mut shared = Situation::of(WorldKind::SharedVpc).await;
    // AWS counts everybody's addresses, so this is true whoever uses them.
    shared.subnets(|subnet| subnet.available_ip_addresses = Some(3));
    let codes: BTreeSet<_> = shared.judge().findings.iter().map(|finding| finding.kind.code).collect();
    assert!(codes.contains("NLB201"), "{codes:?}");
}

/// A Karpenter node is consolidated: a new one comes, the old one is tainted, its pods move, it drains and goes. Each stage is
/// judged.
#[tokio::test]
async fn karpenter_replaces_a_node_and_nobody_is_told() {
    let mut it = Situation::healthy().await;
    let old = it.nodes()[0].clone();
    let (new, instance) = (NodeName::from("ip-10-0-200-1.ec2.internal"), InstanceId::from("i-0a1b2c3d4e5f60718"));
    let gone = it.parts.nodes.get().unwrap()[&old].instance_id.clone().unwrap();
    let silent = |stage: &str, it: &Situation| {
        let told = told(&it.judge());
        assert!(told.is_empty(), "{stage}: {told:#?}");
    };
    let services: Vec<_> = it.parts.services.get().unwrap().keys().map(ToString::to_string).collect();
    let sampled = it.now;
    services.iter().for_each(|service| it.sampled(service, sampled));
    silent("before", &it);

    // Each change is older than the samples, else nothing would be judged at all.
    let now = it.ago(20);
    let mut fresh = (*it.parts.nodes.get().unwrap()[&old]).clone();
    (fresh.name, fresh.instance_id) = (new.clone(), Some(instance.clone()));
    fresh.labels.insert("karpenter.sh/nodepool".into(), "default".into());
    fresh.labels.insert("karpenter.sh/capacity-type".into(), "spot".into());
    (fresh.changed_at, fresh.ready_changed_at) = (Some(now), Some(now));
    all(&mut it.parts.nodes).insert(new.clone(), Arc::new(fresh));
    silent("the new node is ready, and no target yet", &it);

    it.node(&old, |node| {
        node.taints.insert("karpenter.sh/disrupted".into());
        node.changed_at = Some(now);
    });
    silent("the old node is tainted", &it);

    // Its pods end there and start on the new node; address targets drain and begin, the instance drains.
    let mut moved = 0u8;
    for service in &services {
        let leaving: Vec<_> = it.endpoints(service).into_iter().filter(|endpoint| endpoint.node.as_ref() == Some(&old)).collect();
        let successors: Vec<_> = leaving
            .iter()
            .map(|endpoint| {
                let mut next = endpoint.clone();
                moved += 1;
                next.address = [10, 0, 254, moved].into();
                (next.node, next.ready) = (Some(new.clone()), false);
                next
            })
            .collect();
        let left: BTreeSet<String> = leaving.iter().map(|endpoint| endpoint.address.to_string()).collect();
        it.slices(service, |slice| {
            for endpoint in slice.endpoints.iter_mut().filter(|endpoint| endpoint.node.as_ref() == Some(&old)) {
                (endpoint.ready, endpoint.terminating) = (false, true);
            }
            slice.endpoints.extend(successors.iter().cloned());
            slice.changed_at = Some(now);
        });
        for group in it.groups(service) {
            it.health(&group, |targets| {
                let mut new_targets = Vec::new();
                for target in targets.iter_mut().filter(|target| left.contains(&*target.id) || *target.id == *gone.as_str()) {
                    let mut next = target.clone();
                    let at = leaving.iter().position(|endpoint| endpoint.address.to_string() == *target.id);
                    next.id = match at {
                        Some(at) => successors[at].address.to_string().into(),
                        None => instance.as_str().into(),
                    };
                    set(&mut next, TargetState::Initial);
                    new_targets.push(next);
                    set(target, TargetState::Draining);
                }
                targets.extend(new_targets);
            });
        }
    }
    assert!(moved > 0, "the node has no pods: nothing is shown");
    silent("the pods move", &it);

    all(&mut it.parts.nodes).remove(&old);
    for service in &services {
        it.slices(service, |slice| {
            slice.endpoints.retain(|endpoint| endpoint.node.as_ref() != Some(&old));
            slice.endpoints.iter_mut().for_each(|endpoint| endpoint.ready = true);
        });
        it.targets(service, |target| {
            if target.state == TargetState::Initial {
                set(target, TargetState::Healthy);
                target.reason = None;
            }
        });
    }
    silent("the node is gone, and its targets drain for minutes", &it);
    for service in &services {
        it.targets(service, |target| {
            if *target.id == *gone.as_str() {
                target.state = TargetState::Unused;
                target.reason = Some(TargetReason::InvalidState);
            }
        });
    }
    silent("its instance is terminated and still listed", &it);

    // And had a pod not come up on the new node, that would be told.
    it.targets("shop/web", unhealthy);
    assert!(told(&it.judge()).iter().any(|line| line.starts_with("NLB101")), "{:#?}", told(&it.judge()));
}

#[tokio::test]
async fn a_group_in_another_vpc_is_judged_by_its_health_and_misses_nobody() {
    let mut it = Situation::healthy().await;
    let group = it.groups("shop/web").remove(0);
    crate::situations::edit(&mut it.parts.target_groups, &group, |group| group.vpc_id = Some("vpc-0eeeeeeeeeeeeeeee".into()));
    for binding in all(&mut it.parts.target_group_bindings).values_mut().filter(|binding| binding.service == name("shop/web")) {
        Arc::make_mut(binding).vpc_id = Some("vpc-0eeeeeeeeeeeeeeee".into());
    }
    assert!(told(&it.judge()).is_empty(), "{:#?}", told(&it.judge()));
    it.targets("shop/web", unhealthy);
    assert!(told(&it.judge()).iter().any(|line| line.starts_with("NLB101")), "its health is known all the same");
}

/// A binding whose controller assumes a role of another account: the group is nobody's here, and nothing of it is guessed.
#[tokio::test]
async fn a_binding_into_another_account_is_neither_missed_nor_counted() {
    let mut it = Situation::healthy().await;
    let before = it.judge();
    let bindings = all(&mut it.parts.target_group_bindings);
    let mut binding = (**bindings.values().next().unwrap()).clone();
    binding.name = name("shop/elsewhere");
    binding.target_group_arn = Some("arn:aws:elasticloadbalancing:us-east-1:999999999999:targetgroup/theirs/1".into());
    (binding.other_account, binding.stack) = (true, None);
    bindings.insert(binding.name.clone(), Arc::new(binding));
    let after = it.judge();
    assert!(told(&after).is_empty(), "{:#?}", told(&after));
    let groups = |outcome: &eks_nlb_exporter::checks::model::Outcome| {
        let targets = outcome.families.iter().find(|family| family.description.name == "target_group_targets").unwrap();
        targets.samples.len()
    };
    assert_eq!(groups(&before), groups(&after), "no series is made for a group that cannot be asked about");
}

#[tokio::test]
async fn with_roles_of_namespaces_only_what_is_denied_is_named_and_nothing_false_is_told() {
    let clusterwide: Vec<Resource> = ALL
        .iter()
        .filter(|resource| {
            let of = |access: &&eks_nlb_exporter::permissions::KubeAccess| {
                access.place == Place::Cluster && access.group == resource.group && access.resource == resource.plural
            };
            KUBE_ACCESS.iter().any(|access| of(&access))
        })
        .copied()
        .collect();
    assert!(clusterwide.len() > 8, "{clusterwide:?}");
    let sources: BTreeSet<&str> =
        KUBE_ACCESS.iter().filter(|access| access.place == Place::Cluster).map(|access| access.source).collect();
    let setting = Setting::start_world(SimulatorSettings::default(), |simulator| {
        for resource in &clusterwide {
            simulator.kube.set_forbidden(*resource, true);
        }
    })
    .await;
    let scrape = setting
        .when("every kind that needs the ClusterRole is down, and what the Roles grant is up", |scrape| {
            let up = |source: &str| Setting::up(scrape, source);
            sources.iter().all(|source| up(source) == Some(0.0))
                && up("kube_leader_lease") == Some(1.0)
                && up("aws_load_balancers") == Some(1.0)
        })
        .await;
    let (status, pending) = get(&setting.daemon.url("/-/ready")).await.unwrap();
    assert_eq!(status, 503, "without the Deployment of the controller nobody tells the cluster's name: {pending}");
    assert!(pending.contains("cluster_name"), "{pending}");
    for family in
        ["service_info", "service_load_balancers", "load_balancer_info", "target_group_missing_targets", "orphaned_resources"]
    {
        assert!(scrape.family(family).is_empty(), "{family} is told of what cannot be seen");
    }
    let told = eventually("the denials are found", Duration::from_secs(60), async || {
        let (_, body) = get(&setting.daemon.url("/api/v1/findings")).await?;
        let told: BTreeSet<String> =
            body.split('"').filter(|word| word.starts_with("NLB") && word.len() == 6).map(str::to_owned).collect();
        if told.contains("NLB902") { Ok(told) } else { Err(body) }
    })
    .await;
    assert!(told.iter().all(|code| code.starts_with("NLB90")), "{told:?}");
}

#[tokio::test]
async fn with_a_name_and_no_cluster_role_it_is_ready_and_accuses_nobody() {
    let mut it = Situation::healthy().await;
    // As the daemon has it once every cluster-wide watch was refused: the cluster's name came by flag.
    let denied = |operation: &str| {
        Arc::new(eks_nlb_exporter::inventory::part::Failure {
            category: eks_nlb_exporter::inventory::part::FailureCategory::Denied,
            operation: operation.to_owned(),
            message: "forbidden".to_owned(),
        })
    };
    let sources: BTreeSet<&str> =
        KUBE_ACCESS.iter().filter(|access| access.place == Place::Cluster).map(|access| access.source).collect();
    let parts = &mut it.parts;
    let now = it.now;
    macro_rules! refuse {
        ($($part:ident),+) => {$(
            parts.$part = Default::default();
            parts.$part.fail((*denied(stringify!($part))).clone(), now);
        )+};
    }
    refuse!(services, endpoint_slices, nodes, target_group_bindings, controllers);
    for (source, status) in Arc::make_mut(&mut parts.sources) {
        if sources.contains(&**source) {
            status.failure = Some(denied(source));
            status.last_success = None;
        }
    }
    let outcome = it.judge();
    let codes: BTreeSet<_> = outcome.findings.iter().map(|finding| finding.kind.code).collect();
    assert_eq!(codes, BTreeSet::from(["NLB902"]), "{:#?}", told(&outcome));
    assert!(pending(&it.snapshot()).is_empty(), "it is ready: {:?}", pending(&it.snapshot()));
    let exposed =
        |name: &str| outcome.families.iter().any(|family| family.description.name == name && !family.samples.is_empty());
    for family in ["quota_usage", "subnet_available_ip_addresses", "security_group_rules", "target_group_targets"] {
        assert!(exposed(family), "{family} is AWS's own knowledge");
    }
    for family in ["service_load_balancers", "target_group_missing_targets", "target_group_failing_targets", "service_pending"] {
        assert!(!exposed(family), "{family} is told of what cannot be seen");
    }
}

#[tokio::test]
async fn without_service_quotas_only_limits_that_nobody_else_tells_are_assumed() {
    let setting = Setting::start_in(&["servicequotas:*=deny"], |_| ()).await;
    let scrape = setting
        .when("limits are known as far as they can be", |scrape| {
            Setting::up(scrape, "aws_service_quotas") == Some(0.0) && scrape.family("quota_limit_assumed").len() > 10
        })
        .await;
    let assumed = |quota: &str| scrape.value(&format!("quota_limit_assumed{{quota=\"{quota}\"}}"));
    for told_by_elb in ["network_load_balancers", "target_groups", "network_load_balancer_enis_per_vpc"] {
        assert_eq!(assumed(told_by_elb), Some(0.0), "{told_by_elb}");
    }
    for assumed_one in ["rules_per_security_group", "elastic_ips", "security_groups"] {
        assert_eq!(assumed(assumed_one), Some(1.0), "{assumed_one}");
    }
}
