mod everyday;
mod pairs;

use std::sync::Arc;

use super::*;
use crate::checks::testing::{BORN, FETCHED, NOW, Said, ServiceBuilder, World, at, controller, service};
use crate::controller::annotations::{PREFIX, name};
use crate::inventory::aws::{IpAddressType, Scheme, TargetType};
use crate::inventory::kube::LeaderLease;
use crate::inventory::part::Part;

fn web() -> ServiceBuilder {
    service("shop/web").external("ip")
}

fn drifted(world: &World) -> Vec<String> {
    let said = world.judge(&CHECK);
    let families = said.family("service_annotation_drift");
    families.into_iter().map(|line| line.strip_prefix("shop,web,").unwrap().strip_suffix(" 1").unwrap().to_owned()).collect()
}

fn count(world: &World) -> Option<String> {
    let mut lines = world.judge(&CHECK).family("service_drifted_annotations");
    assert!(lines.len() < 2);
    lines.pop()
}

/// Silent, with a count that says so.
fn assert_silent(world: &World, why: &str) {
    assert_eq!(drifted(world), [""; 0], "{why}");
    assert_eq!(count(world).as_deref(), Some("shop,web 0"), "{why}");
}

/// Nothing said, because nothing is known.
fn assert_unknown(world: &World, why: &str) {
    assert_eq!(drifted(world), [""; 0], "{why}");
    assert_eq!(count(world), None, "{why}");
}

fn assert_drift(world: &World, annotation: &str) {
    let repair = ROWS.iter().find(|row| row.annotation == annotation).map(|row| row.repair);
    let (label, code) = if repair == Some(Repair::Never) { ("never", "NLB502") } else { ("automatic", "NLB501") };
    assert_eq!(drifted(world), [format!("{annotation},{label}")], "{annotation}");
    assert_eq!(count(world).as_deref(), Some("shop,web 1"), "{annotation}");
    let said = world.judge(&CHECK);
    assert_eq!(said.codes(), [code], "{annotation}");
    let kind = if repair == Some(Repair::Never) { &DRIFT_NEVER_REPAIRED } else { &DRIFT };
    assert!(said.findings(kind)[0].contains(annotation), "{annotation}");
}

#[test]
fn a_healthy_service_has_no_drift() {
    assert_silent(&World::of(&web()), "ip targets");
    assert_eq!(World::of(&web()).judge(&CHECK).codes(), [""; 0]);
    let local = World::of(&service("shop/web").external("instance").local(31503))
        .target_groups(|group| {
            group.target_type = TargetType::Instance;
            let check = &mut group.health_check;
            check.protocol = "HTTP".into();
            check.port = "31503".into();
            check.path = Some("/healthz".into());
            check.success_codes = Some("200-399".into());
            (check.timeout_seconds, check.healthy_threshold, check.unhealthy_threshold) = (6, 2, 2);
        })
        .group_attribute("preserve_client_ip.enabled", "true");
    assert_silent(&local, "policy Local, 1.7");
    let legacy = World::of(&service("shop/web").annotate(name::TYPE, "nlb-ip")).load_balancer(|lb| lb.security_groups.clear());
    assert_silent(&legacy, "nlb-ip without security groups");
}

#[test]
fn a_name_that_differs_is_never_repaired_t2() {
    let named = |value: &str| World::of(&web().annotate(name::NAME, value));
    assert_silent(&named("one"), "as it says");
    let other = named("two");
    assert_eq!(drifted(&other), ["aws-load-balancer-name,never"]);
    assert_eq!(other.judge(&CHECK).codes(), ["NLB502"]);
}

#[test]
fn a_finding_tells_expected_and_actual_value_and_why() {
    let world = World::of(&web().annotate(name::SCHEME, "internal")).load_balancer(|lb| lb.scheme = Scheme::InternetFacing);
    assert_eq!(
        world.judge(&CHECK).findings(&DRIFT),
        ["Service shop/web: The annotation aws-load-balancer-scheme says \"internal\", and in AWS Scheme of net/one/1 is \
          internet-facing, not internal; the controller changes it back when it next reconciles the Service."]
    );
    let default = World::of(&web()).load_balancer(|lb| lb.ip_address_type = IpAddressType::Dualstack);
    assert_eq!(
        default.judge(&CHECK).findings(&DRIFT),
        ["Service shop/web: Without the annotation aws-load-balancer-ip-address-type the controller enforces its default, and \
          in AWS IpAddressType of net/one/1 is dualstack, not ipv4; the controller changes it back when it next reconciles the \
          Service."]
    );
}

#[test]
fn no_annotation_no_expectation_t3_t4() {
    let world = World::of(&web())
        .attribute("load_balancing.cross_zone.enabled", "true")
        .group_attribute("deregistration_delay.timeout_seconds", "5")
        .tag("cost", "foreign")
        .load_balancer(|lb| {
            lb.scheme = Scheme::InternetFacing;
            lb.zones.truncate(1);
        });
    assert_silent(&world, "scheme, subnets, attributes and tags are free");
}

#[test]
fn a_foreign_security_group_is_drift_without_an_annotation_too_1_5_t5() {
    let world = World::of(&web()).load_balancer(|lb| {
        lb.security_groups.insert("sg-x".into());
    });
    assert_drift(&world, name::SECURITY_GROUPS);
    let annotated = World::of(&web().annotate(name::SECURITY_GROUPS, "sg-a")).load_balancer(|lb| lb.security_groups.clear());
    assert_silent(&annotated, "born without groups: the annotation is ignored, 1.5");
}

#[test]
fn services_of_others_and_dying_ones_are_not_judged_1_11() {
    let wrong = |builder: &ServiceBuilder| World::of(builder).load_balancer(|lb| lb.ip_address_type = IpAddressType::Dualstack);
    assert_drift(&wrong(&web()), name::IP_ADDRESS_TYPE);
    for builder in [
        service("shop/web").annotate(name::TYPE, "nlb"),
        service("shop/web").class("eks.amazonaws.com/nlb"),
        service("shop/web").class("example.com/lb"),
        service("shop/web").annotate(name::TYPE, "external"),
    ] {
        assert_unknown(&wrong(&builder), "another owner");
    }
    assert_unknown(&wrong(&web()).change_service(|service| service.deleted_at = Some(at(NOW))), "T33");
}

#[test]
fn two_load_balancers_or_a_provisioning_one_are_not_judged_1_11_t23() {
    let wrong = || World::of(&web()).load_balancer(|lb| lb.ip_address_type = IpAddressType::Dualstack);
    assert_unknown(&wrong().with(|world| world.add_load_balancer("two")), "a replacement or a leak");
    for state in [LoadBalancerState::Provisioning, LoadBalancerState::Failed, LoadBalancerState::Other] {
        assert_unknown(&wrong().load_balancer(|lb| lb.state = state), "not up");
    }
    assert_unknown(&wrong().with(|world| world.parts.load_balancers = Part::default()), "nothing known");
}

#[test]
fn a_change_holds_differences_down_until_aws_was_looked_at_after_it_1_11() {
    let wrong = || World::of(&web()).load_balancer(|lb| lb.ip_address_type = IpAddressType::Dualstack);
    let (early, late) = (FETCHED - 301, FETCHED - 299);
    type Change = fn(World, i64) -> World;
    let changes: [Change; 5] = [
        |world, second| world.change_service(|service| service.changed_at = Some(at(second))),
        |world, second| world.change_service(|service| service.annotations_written_at = Some(at(second))),
        |world, second| world.change_service(|service| service.created_at = at(second)),
        |world, second| world.load_balancer(|lb| lb.created_at = Some(at(second))),
        |world, second| {
            let lease = LeaderLease { holder: None, acquired_at: Some(at(second)), renewed_at: None, transitions: 1 };
            world.with(|world| world.parts.leader_lease = Part::fetched(Some(lease), at(NOW)))
        },
    ];
    for change in changes {
        assert_unknown(&change(wrong(), late), "within the hold-down");
        assert_silent(&change(World::of(&web()), late), "what is as it should be is so at any time");
        assert_drift(&change(wrong(), early), name::IP_ADDRESS_TYPE);
    }
}

#[test]
fn data_older_than_the_controllers_last_success_says_nothing() {
    let wrong = |success| {
        let world = World::of(&web()).load_balancer(|lb| lb.ip_address_type = IpAddressType::Dualstack);
        world.event(EventObject::Service, "shop/web", ("FailedBuildModel", "x", BORN + 1), Some(success))
    };
    assert_unknown(&wrong(FETCHED + 1), "the controller has repaired it since");
    assert_drift(&wrong(FETCHED - 1), name::IP_ADDRESS_TYPE);
}

#[test]
fn each_missing_part_silences_its_rows_and_the_count() {
    let builder = || {
        web()
            .annotate(name::ATTRIBUTES, "deletion_protection.enabled=false")
            .annotate(name::ADDITIONAL_TAGS, "team=shop")
            .annotate(name::SUBNETS, "subnet-a,subnet-b,subnet-c")
    };
    let healthy = || World::of(&builder()).tag("team", "shop");
    assert_silent(&healthy(), "all known");
    assert_unknown(&healthy().with(|w| w.parts.load_balancer_attributes = Arc::default()), "attributes");
    assert_unknown(&healthy().with(|w| w.parts.target_group_attributes = Arc::default()), "group attributes");
    assert_unknown(&healthy().with(|w| w.parts.target_groups = Part::default()), "groups");
    assert_unknown(&healthy().with(|w| w.parts.subnets = Part::default()), "subnets");
    assert_unknown(&healthy().with(|w| w.parts.security_groups = Part::default()), "security groups");
    let untagged = healthy().with(|w| {
        let tags = Arc::make_mut(&mut w.parts.tags);
        tags.retain(|arn, _| arn.load_balancer().is_some());
    });
    assert_unknown(&untagged, "tags of groups");
    let never_complete = World::of(&web())
        .load_balancer(|lb| lb.ip_address_type = IpAddressType::Dualstack)
        .with(|w| w.parts.load_balancers.fetched_at = None);
    assert_unknown(&never_complete, "a list whose age is unknown");
}

#[test]
fn a_known_difference_is_told_beside_unknown_rows() {
    let world = World::of(&web())
        .load_balancer(|lb| lb.ip_address_type = IpAddressType::Dualstack)
        .with(|w| w.parts.target_group_attributes = Arc::default());
    assert_eq!(drifted(&world), ["aws-load-balancer-ip-address-type,automatic"]);
    assert_eq!(count(&world), None);
}

#[test]
fn an_attribute_that_aws_does_not_answer_is_unknown() {
    let with = |value: &str| World::of(&web().annotate(name::ATTRIBUTES, value));
    assert_unknown(&with("zonal_shift.config.enabled=true"), "a key that is not there");
    assert_silent(&with("zonal_shift.config.enabled=false"), "not there is not on");
}

#[test]
fn an_unknown_controller_judges_what_depends_on_no_flag_1_10() {
    let unknown = |builder: &ServiceBuilder| World::of(builder).with(|world| world.parts.controllers = Part::default());
    assert_silent(&unknown(&web()), "all as by the defaults");
    assert_drift(&unknown(&web()).load_balancer(|lb| lb.ip_address_type = IpAddressType::Dualstack), name::IP_ADDRESS_TYPE);
    assert_unknown(&unknown(&web()).target_groups(|group| group.health_check.timeout_seconds = 6), "a gate decides");
    assert_unknown(
        &unknown(&web()).load_balancer(|lb| {
            lb.security_groups.remove("sg-backend");
        }),
        "a flag decides",
    );
    let classy = service("shop/web").class("service.k8s.aws/nlb");
    assert_unknown(&unknown(&classy), "--default-target-type decides whether ip is right");
    let tagged = || unknown(&web().annotate(name::ADDITIONAL_TAGS, "team=shop"));
    assert_silent(&tagged().tag("team", "other"), "--default-tags may say so");
    assert_drift(&tagged(), name::ADDITIONAL_TAGS);
}

#[test]
fn an_annotation_younger_than_the_controller_is_not_read() {
    let world = |version: &str| {
        World::of(&web().annotate(name::PROXY_PROTOCOL_PER_GROUP, "80")).with(|world| world.controllers(&[controller(version)]))
    };
    assert_silent(&world("2.12.0"), "it is of 2.13.0");
    assert_drift(&world("2.13.0"), name::PROXY_PROTOCOL_PER_GROUP);
}

#[test]
fn a_value_that_the_controller_refuses_stops_the_judgement_1_2() {
    let world = World::of(&web().annotate(name::HEALTH_CHECK_INTERVAL, "soon"))
        .load_balancer(|lb| lb.ip_address_type = IpAddressType::Dualstack);
    assert_unknown(&world, "AWS lags behind every annotation");
    assert_eq!(world.judge(&CHECK).codes(), [""; 0]);
}

#[test]
fn target_groups_in_replacement_or_of_removed_ports_are_not_judged_t23() {
    let two_ports = || web().port("http", 80, 8080, 30080).port("https", 443, 8443, 30443);
    assert_silent(&World::of(&two_ports()), "both ports");
    let gone = World::of(&two_ports())
        .target_groups(|group| {
            if group.name.ends_with("443") {
                group.health_check.interval_seconds = 30;
            }
        })
        .change_service(|service| service.ports.truncate(1))
        .with(|world| {
            let part = Arc::make_mut(&mut world.parts.listeners).get_mut("net/one/1").unwrap();
            Arc::make_mut(part.value.as_mut().unwrap()).truncate(1);
        })
        .rules(|rules| rules.truncate(1));
    assert_silent(&gone, "a port that is no more");
    let unused = World::of(&web()).target_groups(|group| group.load_balancers.clear());
    assert_unknown(&unused, "no group in use for the port");
}

fn blocked(world: &World) -> (Vec<String>, Vec<&'static str>) {
    let said = world.judge(&CHECK);
    (said.family("service_blocked"), said.codes())
}

#[test]
fn a_blocked_service_is_told_once_and_not_compared_1_11() {
    let world = |reason: &str, message: &str, success| {
        World::of(&web()).load_balancer(|lb| lb.ip_address_type = IpAddressType::Dualstack).event(
            EventObject::Service,
            "shop/web",
            (reason, message, NOW - 60),
            success,
        )
    };
    let scheme = world("FailedBuildModel", "Failed build model due to unknown scheme: public", None);
    assert_eq!(blocked(&scheme), (vec!["shop,web,invalid_annotation 1".to_owned()], vec!["NLB510"]));
    assert_unknown(&scheme, "no drift beside it");
    assert_eq!(
        scheme.judge(&CHECK).findings(&SERVICE_BLOCKED),
        ["Service shop/web: The controller's last word on the Service is FailedBuildModel: Failed build model due to unknown \
          scheme: public."]
    );
    let quota = world("FailedDeployModel", "TooManyLoadBalancers: x", None);
    assert_eq!(blocked(&quota), (vec!["shop,web,quota 1".to_owned()], vec!["NLB512"]));
    let cleared = world("FailedDeployModel", "TooManyLoadBalancers: x", Some(NOW - 60));
    assert_eq!(blocked(&cleared).0, [""; 0], "a success in the same second clears it");
    let foreign = world("FailedToUpdateEndpointSlices", "x", None);
    assert_eq!(blocked(&foreign).0, [""; 0], "not the controller's event");
}

#[test]
fn an_old_failure_of_another_life_or_owner_blocks_nothing() {
    let failed = |builder: &ServiceBuilder| {
        World::of(builder).event(EventObject::Service, "shop/web", ("FailedBuildModel", "x", NOW - 60), None)
    };
    assert_eq!(blocked(&failed(&web())).0, ["shop,web,other 1"]);
    let reborn = failed(&web()).change_service(|service| service.created_at = at(NOW - 59));
    assert_eq!(blocked(&reborn).0, [""; 0], "the event is about an earlier Service of the name");
    let left = service("shop/web").annotate(name::TYPE, "nlb");
    assert_eq!(blocked(&failed(&left)).0, [""; 0], "the controller works on it no more");
    let cleaning = failed(&left).change_service(|service| service.finalizers.push(FINALIZER.into()));
    assert_eq!(blocked(&cleaning).0, ["shop,web,other 1"], "it is still cleaning up");
    let in_tree = |builder: &ServiceBuilder| {
        let failure = ("SyncLoadBalancerFailed", "could not find any suitable subnets for creating the ELB", NOW - 60);
        World::of(builder).event(EventObject::Service, "shop/web", failure, None)
    };
    assert_eq!(blocked(&in_tree(&left)), (vec!["shop,web,subnets 1".to_owned()], vec!["NLB510"]), "the in-tree provider's own");
    assert_eq!(blocked(&in_tree(&web())).0, [""; 0], "the in-tree provider has no say about it");
}

#[test]
fn a_blocked_binding_is_told_6_5() {
    use crate::inventory::ids::{Arn, ObjectName};
    use crate::inventory::kube::{BindingGroup, PortReference, TargetGroupBinding};
    let world = |reason: &str, message: &str, success| {
        let name = ObjectName::new("shop", "p80");
        let binding = TargetGroupBinding {
            name: name.clone(),
            group: BindingGroup::LoadBalancerController,
            created_at: at(BORN + 30),
            deleted_at: None,
            target_group_arn: Some(Arn::from("arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/p80/1")),
            target_type: Some(TargetType::Ip),
            service: ObjectName::new("shop", "web"),
            service_port: PortReference::Number(80),
            networking: true,
            node_selector: None,
            multi_cluster: false,
            other_account: false,
            vpc_id: None,
            stack: Some(ObjectName::new("shop", "web")),
        };
        World::of(&web())
            .with(|world| crate::checks::testing::insert(&mut world.parts.target_group_bindings, name, binding))
            .event(EventObject::TargetGroupBinding, "shop/p80", (reason, message, NOW - 60), success)
    };
    let tell = |world: &World| -> (Vec<String>, Vec<&'static str>) {
        let said: Said = world.judge(&CHECK);
        (said.family("target_group_binding_blocked"), said.codes())
    };
    let full = world("FailedNetworkReconcile", "RulesPerSecurityGroupLimitExceeded: x", None);
    assert_eq!(tell(&full), (vec!["shop,p80,quota 1".to_owned()], vec!["NLB512"]));
    let lost = world("BackendNotFound", "no such thing", None);
    assert_eq!(tell(&lost), (vec!["shop,p80,backend_not_found 1".to_owned()], vec!["NLB511"]));
    assert_eq!(tell(&world("BackendNotFound", "x", Some(NOW - 60))).0, [""; 0], "recorded so by a healthy controller");
    assert_silent(&full, "the Service itself is compared");
}

#[test]
fn set_comparisons_have_no_order_and_no_duplicates_t10() {
    for text in ["subnet-a,subnet-b,subnet-c", "subnet-c,subnet-b,subnet-a,subnet-a", " subnet-b ,,subnet-a,private-c"] {
        assert_silent(&World::of(&web().annotate(name::SUBNETS, text)), text);
    }
}

#[test]
fn the_ports_variant_of_an_annotation_is_told_under_the_base_name() {
    let world =
        World::of(&web().annotate("aws-load-balancer-target-group-attributes.80", "deregistration_delay.timeout_seconds=60"))
            .with(|world| world.controllers(&[controller("2.14.0")]));
    assert_drift(&world, name::TARGET_GROUP_ATTRIBUTES);
}

#[test]
fn labels_have_no_prefix_and_rows_come_once() {
    let mut names: Vec<&str> = ROWS.iter().map(|row| row.annotation).collect();
    assert!(names.iter().all(|text| !text.starts_with(PREFIX) && (name::ALL.contains(text) || *text == SPEC_PORTS)));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ROWS.len());
    let without: Vec<&str> = name::ALL.iter().copied().filter(|known| !names.contains(known)).collect();
    assert_eq!(without, [name::TYPE], "1.4: it says who owns the Service and has no field");
}

#[test]
fn a_listener_that_is_missing_or_too_many_is_told_by_the_spec_1_6() {
    let two_ports = || web().port("http", 80, 8080, 30080).port("https", 443, 8443, 30443);
    let listeners = |change: fn(&mut Vec<crate::inventory::aws::Listener>)| {
        World::of(&two_ports()).with(|world| {
            let part = Arc::make_mut(&mut world.parts.listeners).get_mut("net/one/1").unwrap();
            change(Arc::make_mut(part.value.as_mut().unwrap()));
        })
    };
    let missing = listeners(|all| all.truncate(1));
    assert_eq!(drifted(&missing), ["spec.ports,automatic"]);
    assert_eq!(
        missing.judge(&CHECK).findings(&DRIFT),
        ["Service shop/web: The controller makes one listener for each port number of spec.ports, and in AWS the listener of \
          port 443 of net/one/1 is missing, not TCP; the controller changes it back when it next reconciles the Service."]
    );
    let foreign = listeners(|all| {
        let one = all[0].clone();
        all.push(crate::inventory::aws::Listener { port: 81, ..one });
    });
    assert_drift(&foreign, SPEC_PORTS);
}

#[test]
fn of_two_protocols_on_one_port_one_listener_is_enough_t22() {
    let mut builder = web().port("dns", 53, 53, 30053).port("dns-udp", 53, 53, 30054).build();
    builder.ports[1].protocol = crate::inventory::kube::Protocol::Udp;
    let world = World::of(&web().port("dns", 53, 53, 30053).port("dns-udp", 53, 53, 30054))
        .change_service(|service| service.ports.clone_from(&builder.ports))
        .rules(|rules| rules[1].protocol = "udp".into());
    assert_silent(&world, "the second protocol is dropped, and let in");
    assert_drift(&world.rules(|rules| rules.truncate(1)), name::SOURCE_RANGES);
}

#[test]
fn rules_of_a_managed_group_are_told_one_by_one_and_then_by_number_1_5() {
    use crate::checks::testing::rule;
    use crate::inventory::kube::Protocol;
    let world = World::of(&web()).rules(|rules| {
        rules.clear();
        rules.extend((1..8).map(|port| rule(Protocol::Tcp, port, "10.0.0.0/8")));
    });
    assert_eq!(
        world.judge(&CHECK).findings(&DRIFT),
        ["Service shop/web: Without the annotation load-balancer-source-ranges the controller enforces its default, and in AWS \
          inbound rule tcp 80 from 0.0.0.0/0 of sg-managed is missing, not present; inbound rule tcp 1 from 10.0.0.0/8 of \
          sg-managed is present, not absent; inbound rule tcp 2 from 10.0.0.0/8 of sg-managed is present, not absent; inbound \
          rule tcp 3 from 10.0.0.0/8 of sg-managed is present, not absent; inbound rule tcp 4 from 10.0.0.0/8 of sg-managed is \
          present, not absent; each of 3 more inbound rules of sg-managed is present, not absent; the controller changes it \
          back when it next reconciles the Service."]
    );
    let spec = World::of(&web()).change_service(|service| service.source_ranges = vec!["10.0.0.0/8".into()]);
    assert!(spec.judge(&CHECK).findings(&DRIFT)[0].contains("spec.loadBalancerSourceRanges says"), "T39");
}

#[test]
fn rules_are_not_compared_with_groups_of_the_users_own_or_none_1_5_t39() {
    let own = World::of(&web().annotate(name::SECURITY_GROUPS, "sg-x").annotate(name::SOURCE_RANGES, "10.0.0.0/8"))
        .load_balancer(|lb| lb.security_groups = ["sg-x".into()].into());
    assert_silent(&own, "source ranges have no effect");
    let none = World::of(&web().annotate(name::SOURCE_RANGES, "10.0.0.0/8"))
        .load_balancer(|lb| lb.security_groups.clear())
        .rules(Vec::clear);
    assert_silent(&none, "born without groups");
    let elsewhere = World::of(&web()).with(|world| world.parts.scope.vpc_id = Some("vpc-2".into())).rules(Vec::clear);
    assert_unknown(&elsewhere, "rules of other VPCs are not kept");
}

#[test]
fn the_default_certificate_may_be_among_the_others_t11() {
    let others = |arns: &'static [&'static str]| {
        let builder = web().annotate(name::SSL_CERT, "cert-a,cert-b");
        pairs::tls(World::of(&builder), "cert-a", arns)
    };
    assert_silent(&others(&["cert-b"]), "before 3.4.1");
    assert_silent(&others(&["cert-b", "cert-a"]), "since 3.4.1");
    assert_drift(&others(&["cert-a"]), name::SSL_CERT);
    assert_drift(&others(&["cert-b", "cert-c"]), name::SSL_CERT);
    let unknown = others(&["cert-b"]).with(|world| world.parts.listener_certificates = Arc::default());
    assert_unknown(&unknown, "not asked yet");
}

#[test]
fn each_missing_part_of_listeners_and_capacity_is_unknown_1_6() {
    let capacity = World::of(&web().annotate(name::MINIMUM_CAPACITY, "CapacityUnits=3000"));
    assert_unknown(&capacity.with(|world| world.controllers(&[controller("3.5.0")])), "capacity");
    let attributes = World::of(&web().annotate("aws-load-balancer-listener-attributes.TCP-80", "tcp.idle_timeout.seconds=60"));
    assert_unknown(&attributes.with(|world| world.controllers(&[controller("3.5.0")])), "listener attributes");
    assert_unknown(&World::of(&web()).with(|world| world.parts.listeners = Arc::default()), "listeners");
    let node_labels = World::of(&service("shop/web").external("instance").annotate(name::TARGET_NODE_LABELS, "a=b"))
        .target_groups(|group| group.target_type = TargetType::Instance);
    assert_unknown(&node_labels, "no binding is known");
}

#[test]
fn listeners_are_tagged_unless_a_gate_says_otherwise_1_8() {
    let untagged = |gates: &str| {
        let gates = controller("3.5.0").flag("feature-gates", gates);
        let world = World::of(&web().annotate(name::ADDITIONAL_TAGS, "team=shop")).tag("team", "shop");
        world.with(|world| {
            world.controllers(&[gates]);
            Arc::make_mut(&mut world.parts.tags).iter_mut().filter(|(arn, _)| arn.as_str().contains(":listener/")).for_each(
                |(_, part)| {
                    Arc::make_mut(part.value.as_mut().unwrap()).remove("team");
                },
            );
        })
    };
    assert_drift(&untagged(""), name::ADDITIONAL_TAGS);
    assert_silent(&untagged("ListenerRulesTagging=false"), "the gate is off");
}

#[test]
fn a_weighted_action_is_compared_without_order_1_6() {
    let builder = || {
        web().annotate(
            "actions.TCP-80",
            r#"{"type":"forward","forwardConfig":{"baseServiceWeight":90,
                "targetGroups":[{"serviceName":"canary","servicePort":80,"weight":10}]}}"#,
        )
    };
    let weighted = |weights: [u32; 2]| {
        pairs::weighted(World::of(&builder()), weights).with(|world| world.controllers(&[controller("3.5.0")]))
    };
    assert_silent(&weighted([90, 10]), "as it says");
    let turned = weighted([90, 10]).listeners(|listener| listener.forwards.reverse());
    assert_silent(&turned, "in another order");
    assert_drift(&weighted([50, 50]), name::ACTIONS);
    let foreign = World::of(&web()).listeners(|listener| listener.forwards[0].target_group = "targetgroup/foreign/1".into());
    assert_drift(&foreign, name::ACTIONS);
    let unhealthy = weighted([90, 10]).target_groups(|group| {
        if &*group.name == "canary" {
            group.health_check.interval_seconds = 30;
        }
    });
    assert_drift(&unhealthy, name::HEALTH_CHECK_INTERVAL);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]

    /// T10, 1.4: order, duplicates and blanks never are a difference, and a set that is another one always is.
    #[test]
    fn elastic_ips_are_a_set_1_4_t10(order in proptest::collection::vec(0_usize..3, 0..6), blank in " {0,2}") {
        let known = ["eipalloc-a", "eipalloc-b", "eipalloc-c"];
        let mut said: Vec<&str> = order.iter().map(|index| known[*index]).collect();
        let missing = known.iter().find(|id| !said.contains(id)).copied();
        said.extend(known);
        let world = |said: &[&str]| {
            let list = said.join(&format!("{blank},{blank}"));
            let service = web().annotate(name::SCHEME, "internet-facing").annotate(name::EIP_ALLOCATIONS, &list);
            pairs::internet_facing(World::of(&service), &known)
        };
        assert_silent(&world(&said), "the same set");
        if let Some(missing) = missing {
            said.retain(|id| *id != missing);
            assert_drift(&world(&said), name::EIP_ALLOCATIONS);
        }
    }

    /// T10, T11: certificates beside the default one are a set, with or without it.
    #[test]
    fn further_certificates_are_a_set_1_6_t11(order in proptest::collection::vec(0_usize..3, 0..6), with_default: bool) {
        let others = ["cert-b", "cert-c", "cert-d"];
        let mut said = vec!["cert-a"];
        said.extend(order.iter().map(|index| others[*index]));
        said.extend(others);
        let mut there = others.to_vec();
        there.extend(with_default.then_some("cert-a"));
        let world = pairs::tls(World::of(&web().annotate(name::SSL_CERT, &said.join(","))), "cert-a", &there);
        assert_silent(&world, "the same set");
    }

    /// 1.5, T10: rules of the managed group are a set, and descriptions do not count.
    #[test]
    fn rules_are_a_set_1_5_t10(turned in 0_usize..3, description in proptest::option::of("[a-z]{1,5}")) {
        let ranges = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];
        let world = World::of(&web().annotate(name::SOURCE_RANGES, &ranges.join(","))).rules(|rules| {
            *rules = ranges.map(|range| crate::checks::testing::rule(crate::inventory::kube::Protocol::Tcp, 80, range)).into();
            rules.rotate_left(turned);
            rules[0].description = description.as_deref().map(Into::into);
        });
        assert_silent(&world, "the same set");
    }

    /// T7: AWS's booleans have no case; T4: keys that are not named are free.
    #[test]
    fn booleans_have_no_case_and_other_keys_are_free_t4_t7(yes in "[tT][rR][uU][eE]", other in "[a-z]{3,8}", value in "[a-z]{0,4}") {
        let world = World::of(&web().annotate(name::ATTRIBUTES, &format!("deletion_protection.enabled={yes}")))
            .attribute("deletion_protection.enabled", "true")
            .attribute(&other, &value);
        assert_silent(&world, "as AWS spells it");
    }
}
