//! Does any of the known traps of the controller and of AWS catch us? T1–T41 of the reference on the controller, section 9: each
//! is a test, or says where else it is covered or why it is not.

use std::collections::BTreeSet;
use std::sync::Arc;

use eks_nlb_exporter::inventory::aws::{LoadBalancer, TargetReason, TargetState};
use eks_nlb_exporter::inventory::ids::Arn;
use eks_nlb_exporter::inventory::kube::{EventObject, PortReference};
use eks_nlb_exporter::inventory::part::Part;
use eks_nlb_exporter::inventory::snapshot::{Controller, Owner};
use eks_nlb_exporter::simulator::WorldKind;

use crate::gather::{series, told};
use crate::named_tests::Proof::{self, NotATest, Situation as Case, Test};
use crate::named_tests::Proofs;
use crate::situations::{Situation, all, edit, name, set, unhealthy};

/// Each trap and what covers it.
const TRAPS: [(u8, &[Proof]); 41] = [
    (1, &[Test("t1_drift_is_told_however_long_ago_the_service_was_written")]),
    (2, &[Test("a_name_that_differs_is_never_repaired_t2"), Case("a name that comes too late")]),
    (3, &[Test("t3_subnets_that_discovery_would_choose_today_are_no_drift"), Test("no_annotation_no_expectation_t3_t4")]),
    (4, &[Test("no_annotation_no_expectation_t3_t4")]),
    (5, &[Test("defaults_without_annotations_1_7_t5"), Test("ipv4_is_enforced_when_nothing_is_said_1_4_t5")]),
    (6, &[Test("access_logs_off_says_nothing_t6"), Case("access logs said to be off while they are on")]),
    (7, &[Test("booleans_of_aws_have_no_case_t7")]),
    (8, &[Test("maps_are_read_as_the_version_reads_them_1_2_t8")]),
    (
        9,
        &[
            Test("a_name_is_the_tag_name_and_means_all_groups_that_bear_it_t9"),
            Test("subnets_are_ids_or_names_and_a_set_1_4_t9_t10"),
        ],
    ),
    (10, &[Test("set_comparisons_have_no_order_and_no_duplicates_t10")]),
    (11, &[Test("t11_the_default_certificate_may_be_among_the_others_or_not")]),
    (12, &[Test("t12_a_star_in_ssl_ports_is_no_drift")]),
    (
        13,
        &[
            Test("rule_3_the_class_decides_before_any_annotation"),
            Test("rule_2_other_types_are_owned_unless_the_gate_says_otherwise"),
            Test("a_service_of_another_type_can_own_a_load_balancer"),
        ],
    ),
    (
        14,
        &[
            Test("t14_with_weighted_backends_stack_and_backend_are_two_services"),
            Test("a_users_binding_has_no_stack_and_may_not_be_filled_in_yet"),
        ],
    ),
    (15, &[Test("t15_names_like_the_controllers_make_nothing_the_controllers")]),
    (16, &[NotATest("TargetGroup of the inventory does not keep the port of DescribeTargetGroups, so nothing can judge by it")]),
    (
        17,
        &[
            Test("t17_nodes_without_a_pod_fail_by_design_with_policy_local"),
            Case("policy Local: a pod moved to another node just now"),
        ],
    ),
    (18, &[Test("t18_unused_unavailable_and_leaving_targets_are_not_taken_for_failing_ones")]),
    (19, &[Test("a_port_name_is_the_node_port_or_the_target_port_1_7")]),
    (
        20,
        &[
            Test("t20_a_shared_group_holds_other_clusters_targets"),
            Test("another_clusters_targets_in_a_shared_group_are_its_own_affair"),
        ],
    ),
    (21, &[Test("t21_a_binding_of_another_accounts_group_is_not_missed")]),
    (22, &[Case("TCP and UDP on one port: one listener, one group")]),
    (
        23,
        &[
            Test("target_groups_in_replacement_or_of_removed_ports_are_not_judged_t23"),
            Case("a load balancer that is being replaced: the old one drains"),
        ],
    ),
    (
        24,
        &[NotATest("no check asks whether one port is open on the nodes' group, so a wide range is never taken for a wrong one")],
    ),
    (
        25,
        &[
            Test("sixty_ranges_under_one_permission_are_sixty_rules"),
            Test("families_are_counted_apart"),
            Test("prefix_lists_count_with_their_size_and_unknown_ones_are_named"),
        ],
    ),
    (
        26,
        &[Case("the cluster's tag on subnets is another's"), Test("step_3a_a_subnet_tagged_for_other_clusters_only_is_refused")],
    ),
    (
        27,
        &[
            Test("step_1_the_role_tag_of_the_scheme_makes_candidates_when_its_value_is_empty_or_1"),
            Test("an_odd_role_tag_value_is_found"),
        ],
    ),
    (28, &[Test("step_2_one_tagged_subnet_disables_the_fallback_even_if_it_is_filtered_out_later")]),
    (29, &[Case("a zone's subnets are full")]),
    (
        30,
        &[
            Test("t30_an_ipv6_group_is_told_by_the_service_and_not_by_the_load_balancer"),
            Case("a dual-stack Service with IPv6 targets"),
        ],
    ),
    (31, &[Test("t31_a_host_name_in_capitals_is_the_same")]),
    (32, &[Test("t32_a_shared_host_name_makes_no_load_balancer_ones_own")]),
    (
        33,
        &[
            Test("services_of_others_and_dying_ones_are_not_judged_1_11"),
            Case("a Service that is being deleted: its targets drain and fail"),
        ],
    ),
    (34, &[Test("t34_what_another_clusters_tags_name_is_never_accused"), Test("each_tag_family_names_its_owner")]),
    (
        35,
        &[
            Test("a_blocked_service_is_known_beyond_its_event_and_cleared_by_a_success"),
            Test("t35_a_failure_without_its_event_is_still_told"),
        ],
    ),
    (36, &[Test("codes_and_timeout_need_the_gate_of_2_4_6_1_7"), Test("rules_follow_version_and_gates")]),
    (37, &[Test("each_healthy_world_is_left_alone_and_speaks_when_it_breaks")]),
    (38, &[Test("rule_4_the_target_type_must_be_exact_t38")]),
    (39, &[Test("t39_source_ranges_of_the_spec_come_before_the_annotations")]),
    (40, &[Case("the front of an ALB")]),
    (
        41,
        &[
            Case("the controller restarted: rules pile up below the limit"),
            Case("the nodes' group is full just after the controller restarted"),
        ],
    ),
];

#[test]
fn every_trap_is_covered_or_says_why_not() {
    let numbers: Vec<u8> = TRAPS.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=41).collect::<Vec<u8>>());
    let proofs = Proofs::read();
    let mut problems = Vec::new();
    for (number, covers) in TRAPS {
        assert!(!covers.is_empty(), "T{number}");
        problems.extend(covers.iter().filter_map(|cover| proofs.problem(*cover)).map(|problem| format!("T{number}: {problem}")));
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

/// Judges a change of the mixed world: what is told, as `CODE subject: message`.
async fn after(change: impl FnOnce(&mut Situation)) -> Vec<String> {
    let mut situation = Situation::healthy().await;
    change(&mut situation);
    let outcome = situation.judge();
    series(&outcome);
    told(&outcome)
}

fn codes(told: &[String]) -> BTreeSet<&str> {
    told.iter().filter_map(|line| line.split(' ').next()).collect()
}

#[tokio::test]
async fn t1_drift_is_told_however_long_ago_the_service_was_written() {
    let told = after(|it| {
        // Written a month ago, and no event since: nobody will repair it before the next resync.
        for group in it.groups("shop/web") {
            edit(&mut it.parts.target_groups, &group, |group| group.health_check.healthy_threshold = 5);
        }
        Arc::make_mut(it.parts.reconciles.value.as_mut().unwrap()).clear();
    })
    .await;
    assert_eq!(codes(&told), BTreeSet::from(["NLB501"]), "{told:#?}");
}

#[tokio::test]
async fn t3_subnets_that_discovery_would_choose_today_are_no_drift() {
    let told = after(|it| {
        let lb = it.lb("pay/checkout");
        let (zone, subnet) = {
            let zones = &it.parts.load_balancers.get().unwrap()[&lb].zones;
            (zones[0].zone.clone(), zones[0].subnet_id.clone())
        };
        // It was made before this zone had a subnet; its pods there are reached from the others.
        edit(&mut it.parts.load_balancers, &lb, |lb| lb.zones.retain(|enabled| enabled.subnet_id != subnet));
        for group in it.groups("pay/checkout") {
            it.health(&group, |targets| targets.retain(|target| target.zone.as_ref() != Some(&zone)));
        }
        it.slices("pay/checkout", |slice| slice.endpoints.retain(|endpoint| endpoint.zone.as_ref() != Some(&zone)));
    })
    .await;
    assert!(told.is_empty(), "{told:#?}");
}

#[tokio::test]
async fn t11_the_default_certificate_may_be_among_the_others_or_not() {
    for kind in [WorldKind::Mixed, WorldKind::Newest] {
        let mut situation = Situation::of(kind).await;
        assert!(situation.judge().findings.is_empty());
        let certificates: Vec<Arn> = situation.parts.listener_certificates.keys().cloned().collect();
        for listener in certificates {
            let others = Part::fetched(BTreeSet::new(), situation.now);
            Arc::make_mut(&mut situation.parts.listener_certificates).insert(listener, others);
        }
        let outcome = situation.judge();
        assert!(outcome.findings.is_empty(), "{kind:?}: {:#?}", told(&outcome));
    }
}

#[tokio::test]
async fn t12_a_star_in_ssl_ports_is_no_drift() {
    let told = after(|it| it.annotate("media/stream", "ssl-ports", "*")).await;
    assert!(!codes(&told).contains("NLB501"), "the controller refuses the Service, it does not differ: {told:#?}");
}

#[tokio::test]
async fn t14_with_weighted_backends_stack_and_backend_are_two_services() {
    let mut it = Situation::healthy().await;
    let group = it.groups("shop/web")[0].clone();
    let arn = it.parts.target_groups.get().unwrap()[&group].arn.clone();
    all(&mut it.parts.target_group_bindings).retain(|_, binding| binding.target_group_arn.as_ref() != Some(&arn));
    let tags = Arc::make_mut(&mut it.parts.tags).get_mut(&arn).unwrap();
    Arc::make_mut(tags.value.as_mut().unwrap()).insert("service.k8s.aws/resource".into(), "shop/api:80".into());
    let found = it.snapshot().target_groups[&group].clone();
    assert_eq!(found.stack, Some(name("shop/web")));
    assert_eq!(found.backend, Some((name("shop/api"), PortReference::Number(80))));
}

#[tokio::test]
async fn t15_names_like_the_controllers_make_nothing_the_controllers() {
    let it = Situation::of(WorldKind::InTree).await;
    let snapshot = it.snapshot();
    assert!(snapshot.target_groups.keys().all(|id| id.as_str().starts_with("targetgroup/k8s-")));
    assert!(snapshot.load_balancers.values().all(|found| found.controller == Controller::InTree));
}

#[tokio::test]
async fn t17_nodes_without_a_pod_fail_by_design_with_policy_local() {
    let it = Situation::of(WorldKind::InstanceLocal).await;
    let snapshot = it.snapshot();
    let health = snapshot.parts.target_health.values().filter_map(|part| part.get());
    let failing = health.flat_map(|health| &health.targets).filter(|target| target.state == TargetState::Unhealthy).count();
    assert!(failing > 10, "only {failing} nodes have no pod");
    let outcome = it.judge();
    assert!(outcome.findings.is_empty(), "{:#?}", told(&outcome));
}

#[tokio::test]
async fn t18_unused_unavailable_and_leaving_targets_are_not_taken_for_failing_ones() {
    for (state, expected) in [
        (TargetState::Unused, "NLB101"),
        (TargetState::Unavailable, ""),
        (TargetState::UnhealthyDraining, "NLB101"),
        (TargetState::Draining, "NLB101"),
    ] {
        let told = after(|it| {
            it.targets("shop/web", |target| {
                set(target, state);
                if state == TargetState::Unused {
                    target.reason = Some(TargetReason::NotInUse);
                }
            });
        })
        .await;
        let of_group = told.iter().filter(|line| line.starts_with("NLB10")).collect::<Vec<_>>();
        if expected.is_empty() {
            assert!(of_group.is_empty(), "{state:?}: {told:#?}");
            continue;
        }
        assert!(of_group.iter().any(|line| line.starts_with(expected)), "{state:?}: {told:#?}");
        assert!(of_group.iter().all(|line| !line.contains("fail open") && !line.contains("FailedHealthChecks")), "{told:#?}");
    }
}

#[tokio::test]
async fn all_unhealthy_is_said_to_fail_open() {
    let told = after(|it| it.targets("shop/web", unhealthy)).await;
    assert!(!told.is_empty() && told.iter().all(|line| line.contains("fail open")), "{told:#?}");
}

#[tokio::test]
async fn t20_a_shared_group_holds_other_clusters_targets() {
    let told = after(|it| {
        for binding in all(&mut it.parts.target_group_bindings).values_mut().filter(|it| it.service == name("shop/web")) {
            Arc::make_mut(binding).multi_cluster = true;
        }
        for group in it.groups("shop/web") {
            it.health(&group, |targets| {
                let mut foreign = targets[0].clone();
                foreign.id = "10.200.0.9".into();
                targets.push(foreign.clone());
                foreign.id = "10.200.0.10".into();
                unhealthy(&mut foreign);
                targets.push(foreign);
            });
        }
    })
    .await;
    assert!(told.is_empty(), "{told:#?}");
}

#[tokio::test]
async fn t21_a_binding_of_another_accounts_group_is_not_missed() {
    let told = after(|it| {
        let bindings = all(&mut it.parts.target_group_bindings);
        let mut binding = (**bindings.values().next().unwrap()).clone();
        binding.name = name("shop/elsewhere");
        binding.target_group_arn = Some("arn:aws:elasticloadbalancing:us-east-1:999999999999:targetgroup/theirs/1".into());
        (binding.other_account, binding.stack) = (true, None);
        bindings.insert(binding.name.clone(), Arc::new(binding));
    })
    .await;
    assert!(told.is_empty(), "{told:#?}");
}

#[tokio::test]
async fn t30_an_ipv6_group_is_told_by_the_service_and_not_by_the_load_balancer() {
    let it = Situation::of(WorldKind::DualStack).await;
    let outcome = it.judge();
    assert!(outcome.findings.is_empty(), "{:#?}", told(&outcome));
    assert!(it.parts.services.get().unwrap().values().all(|service| service.ipv6));
}

#[tokio::test]
async fn t31_a_host_name_in_capitals_is_the_same() {
    let told = after(|it| {
        it.service("shop/web", |service| {
            for host in &mut service.hostnames {
                *host = host.to_uppercase().into();
            }
        });
    })
    .await;
    assert!(told.is_empty(), "{told:#?}");
}

#[tokio::test]
async fn t32_a_shared_host_name_makes_no_load_balancer_ones_own() {
    let mut it = Situation::healthy().await;
    let (own, theirs) = (it.lb("shop/web"), it.lb("shop/api"));
    let host = it.parts.services.get().unwrap()[&name("shop/web")].hostnames.clone();
    it.service("shop/api", |service| service.hostnames = host);
    assert_eq!((it.lb("shop/web"), it.lb("shop/api")), (own, theirs));
}

#[tokio::test]
async fn t34_what_another_clusters_tags_name_is_never_accused() {
    let mut it = Situation::of(WorldKind::TwoClusters).await;
    let neighbours = |lb: &LoadBalancer, it: &Situation| {
        it.parts
            .tags
            .get(&lb.arn)
            .and_then(|tags| tags.get())
            .is_some_and(|tags| tags.get("elbv2.k8s.aws/cluster").is_some_and(|cluster| **cluster == *"neighbour"))
    };
    let all_of_region = it.parts.load_balancers.get().unwrap().clone();
    let theirs: Vec<_> = all_of_region.values().filter(|lb| neighbours(lb, &it)).map(|lb| lb.id.clone()).collect();
    assert_eq!(theirs.len(), 4);
    // Whatever state they are in, and though no Service here is called like theirs.
    for id in &theirs {
        edit(&mut it.parts.load_balancers, id, |lb| lb.state = eks_nlb_exporter::inventory::aws::LoadBalancerState::Failed);
    }
    let outcome = it.judge();
    assert!(outcome.findings.is_empty(), "{:#?}", told(&outcome));
    let snapshot = it.snapshot();
    assert!(snapshot.load_balancers.values().all(|found| matches!(found.owner, Owner::Service(_))));
    assert!(theirs.iter().all(|id| !snapshot.load_balancers.contains_key(id)));
}

#[tokio::test]
async fn t35_a_failure_without_its_event_is_still_told() {
    let told = after(|it| {
        // The event is two hours old and gone from the API server; no success came after it.
        it.event(EventObject::Service, &name("shop/web"), "FailedBuildModel", "Failed build model due to unknown scheme: x");
        let then = it.ago(7200);
        let states = Arc::make_mut(it.parts.reconciles.value.as_mut().unwrap());
        for state in states.values_mut() {
            if let Some(failure) = &mut state.failure {
                failure.at = then;
            }
        }
    })
    .await;
    assert_eq!(codes(&told), BTreeSet::from(["NLB510"]), "{told:#?}");
}

#[tokio::test]
async fn t39_source_ranges_of_the_spec_come_before_the_annotations() {
    let told = after(|it| {
        // The managed group lets everybody in, as the spec says; what the annotation says is not read.
        it.service("shop/web", |service| {
            service.source_ranges = vec!["0.0.0.0/0".into()];
            service.annotations.insert("service.beta.kubernetes.io/load-balancer-source-ranges".into(), "10.0.0.0/8".into());
        });
    })
    .await;
    assert!(told.iter().all(|line| !line.starts_with("NLB501")), "{told:#?}");
}
