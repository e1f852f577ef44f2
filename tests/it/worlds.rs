//! Is a healthy cluster of each kind left alone, and does it speak when something breaks there? The simulator's worlds, read
//! through the real clients.

use std::collections::BTreeSet;
use std::sync::Arc;

use eks_nlb_exporter::checks::model::{Outcome, Severity};
use eks_nlb_exporter::expose::negotiate::Format;
use eks_nlb_exporter::expose::render::observed_text;
use eks_nlb_exporter::inventory::aws::{IpAddressType, IpFamily, Scheme, TargetType};
use eks_nlb_exporter::inventory::kube::BindingGroup;
use eks_nlb_exporter::inventory::snapshot::{Controller, Owner};
use eks_nlb_exporter::simulator::WorldKind;

use crate::exposition_text;
use crate::gather::{series, told};
use crate::prometheus::check_metrics;
use crate::situations::{Situation, edit, unhealthy};

/// What is said of a kind of world.
struct Expectation {
    kind: WorldKind,
    /// Codes of severity info that its owner wants to read.
    info: &'static [&'static str],
    /// What it is that makes this kind what it is, in what was read.
    shape: fn(&Situation),
    /// Something that breaks, and the codes by which that must be told.
    fault: (&'static str, &'static [&'static str], fn(&mut Situation)),
}

const EXPECTATIONS: [Expectation; 11] = [
    Expectation {
        kind: WorldKind::Mixed,
        info: &[],
        shape: |it| assert_eq!(it.snapshot().load_balancers.len(), 12),
        fault: ("no pod passes its health check", &["NLB101"], |it| it.targets("shop/web", unhealthy)),
    },
    Expectation {
        kind: WorldKind::Newest,
        info: &[],
        shape: |it| {
            let snapshot = it.snapshot();
            let controllers = snapshot.parts.controllers.get().unwrap();
            assert_eq!(controllers.values().next().unwrap().version.unwrap().to_string(), "v3.5.0");
            assert!(snapshot.target_groups.values().all(|group| group.target_group.target_type == TargetType::Ip));
        },
        fault: ("a health check changed in the console", &["NLB501"], |it| {
            for group in it.groups("shop/web") {
                edit(&mut it.parts.target_groups, &group, |group| group.health_check.interval_seconds = 30);
            }
        }),
    },
    Expectation {
        kind: WorldKind::InstanceLocal,
        info: &[],
        shape: |it| {
            let snapshot = it.snapshot();
            assert!(snapshot.target_groups.values().all(|group| group.target_group.target_type == TargetType::Instance));
        },
        fault: ("a node that hosts a pod was deregistered", &["NLB104"], |it| {
            let host = it.endpoints("shop/web")[0].node.clone().unwrap();
            let instance = it.parts.nodes.get().unwrap()[&host].instance_id.clone().unwrap();
            for group in it.groups("shop/web") {
                it.health(&group, |targets| targets.retain(|target| *target.id != *instance.as_str()));
            }
        }),
    },
    Expectation {
        kind: WorldKind::Legacy,
        info: &[],
        shape: |it| {
            let snapshot = it.snapshot();
            assert!(snapshot.load_balancers.values().all(|found| found.load_balancer.security_groups.is_empty()));
        },
        fault: ("the rules by network fill the nodes' group", &["NLB301"], |it| it.node_rules(60)),
    },
    Expectation {
        kind: WorldKind::InTree,
        info: &["NLB702"],
        shape: |it| {
            let snapshot = it.snapshot();
            assert!(!snapshot.load_balancers.is_empty());
            assert!(snapshot.load_balancers.values().all(|found| found.controller == Controller::InTree));
            assert!(snapshot.target_groups.values().all(|group| group.binding.is_none() && group.backend.is_some()));
        },
        fault: ("no target is healthy", &["NLB101"], |it| it.targets("shop/web", unhealthy)),
    },
    Expectation {
        kind: WorldKind::AutoMode,
        info: &[],
        shape: |it| {
            let snapshot = it.snapshot();
            assert!(!snapshot.load_balancers.is_empty());
            assert!(snapshot.load_balancers.values().all(|found| found.controller == Controller::AutoMode));
            let bindings = snapshot.parts.target_group_bindings.get().unwrap();
            assert!(bindings.values().all(|binding| binding.group == BindingGroup::AutoMode && binding.stack.is_some()));
        },
        fault: ("targets deregistered by hand", &["NLB104"], |it| {
            for group in it.groups("shop/web") {
                it.health(&group, |targets| drop(targets.pop()));
            }
        }),
    },
    Expectation {
        kind: WorldKind::GatewayApi,
        info: &[],
        shape: |it| {
            let snapshot = it.snapshot();
            let gateways = snapshot.load_balancers.values().filter(|found| matches!(found.owner, Owner::Gateway(_)));
            assert_eq!((gateways.count(), snapshot.load_balancers.len()), (6, 12));
        },
        fault: ("no pod behind a Gateway passes its health check", &["NLB101"], |it| it.targets("shop/web", unhealthy)),
    },
    Expectation {
        kind: WorldKind::DualStack,
        info: &[],
        shape: |it| {
            let snapshot = it.snapshot();
            let dual = |it: &IpAddressType| *it == IpAddressType::Dualstack;
            assert!(snapshot.load_balancers.values().all(|found| dual(&found.load_balancer.ip_address_type)));
            assert!(snapshot.target_groups.values().all(|it| it.target_group.ip_family == IpFamily::Ipv6));
            assert!(it.endpoints("shop/web").iter().all(|endpoint| endpoint.address.is_ipv6()));
        },
        fault: ("a load balancer was put back to ipv4", &["NLB501"], |it| {
            let lb = it.lb("shop/web");
            edit(&mut it.parts.load_balancers, &lb, |lb| lb.ip_address_type = IpAddressType::Ipv4);
        }),
    },
    Expectation {
        kind: WorldKind::PrivateOnly,
        info: &[],
        shape: |it| {
            let snapshot = it.snapshot();
            assert!(snapshot.load_balancers.values().all(|found| found.load_balancer.scheme == Scheme::Internal));
            assert!(it.subnets_for(Scheme::InternetFacing).is_empty());
        },
        fault: ("the private subnets are full", &["NLB201", "NLB202"], |it| {
            it.subnets(|subnet| subnet.available_ip_addresses = Some(3));
        }),
    },
    Expectation {
        kind: WorldKind::SharedVpc,
        info: &["NLB405"],
        shape: |it| {
            let snapshot = it.snapshot();
            let account = snapshot.parts.scope.account_id.as_deref().unwrap();
            let vpc = snapshot.parts.scope.vpc_id.as_ref().unwrap();
            let mut subnets = snapshot.parts.subnets.get().unwrap().values().filter(|subnet| subnet.vpc_id == *vpc);
            assert!(subnets.all(|subnet| subnet.tags.is_empty() && &*subnet.owner_id != account));
        },
        fault: ("a load balancer lost a zone that its annotation names", &["NLB501"], |it| {
            let lb = it.lb("shop/web");
            edit(&mut it.parts.load_balancers, &lb, |lb| drop(lb.zones.pop()));
        }),
    },
    Expectation {
        kind: WorldKind::TwoClusters,
        info: &[],
        shape: |it| {
            let snapshot = it.snapshot();
            let region = snapshot.parts.load_balancers.get().unwrap().len();
            assert_eq!((snapshot.load_balancers.len(), region), (12, 16));
        },
        fault: ("the tags of this cluster's subnets were taken away", &["NLB202"], |it| {
            it.subnets(|subnet| {
                if let Some(value) = subnet.tags.remove("kubernetes.io/cluster/demo") {
                    subnet.tags.insert("kubernetes.io/cluster/neighbour".into(), value);
                }
            });
        }),
    },
];

/// What neither the text's own rules nor `promtool` accepts.
fn exposition_problems(outcome: Outcome) -> Vec<String> {
    let text = observed_text(Format::Text, &Arc::new(outcome)).unwrap();
    let mut problems = exposition_text::problems(&text, false);
    problems.extend(check_metrics(text.as_bytes()).err());
    problems
}

#[test]
fn every_kind_of_world_is_expected_once() {
    let expected: Vec<WorldKind> = EXPECTATIONS.iter().map(|one| one.kind).collect();
    assert_eq!(expected, WorldKind::ALL);
}

#[tokio::test]
async fn each_healthy_world_is_left_alone_and_speaks_when_it_breaks() {
    let mut wrong = String::new();
    for Expectation { kind, info, shape, fault: (what, codes, change) } in EXPECTATIONS {
        let healthy = Situation::of(kind).await;
        shape(&healthy);
        let outcome = healthy.judge();
        series(&outcome);
        let noise: Vec<_> = outcome
            .findings
            .iter()
            .filter(|finding| finding.kind.severity > Severity::Info || !info.contains(&finding.kind.code))
            .map(|finding| finding.kind.code)
            .collect();
        if !noise.is_empty() {
            wrong.push_str(&format!("{kind:?} is healthy: {noise:?}\n{:#?}\n", told(&outcome)));
        }
        let problems = exposition_problems(outcome);
        if !problems.is_empty() {
            wrong.push_str(&format!("{kind:?}, exposition: {problems:?}\n"));
        }
        let mut broken = healthy.clone();
        change(&mut broken);
        let outcome = broken.judge();
        let told_codes: BTreeSet<&str> = outcome.findings.iter().map(|finding| finding.kind.code).collect();
        if !codes.iter().all(|code| told_codes.contains(code)) {
            wrong.push_str(&format!("{kind:?}, {what}: expected {codes:?}\n{:#?}\n", told(&outcome)));
        }
        let problems = exposition_problems(outcome);
        if !problems.is_empty() {
            wrong.push_str(&format!("{kind:?}, {what}, exposition: {problems:?}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
