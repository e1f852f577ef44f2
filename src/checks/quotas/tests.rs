use super::super::security_groups::fixtures::{World, edit, failure, incomplete, listener, load_balancer_id, now, target};
use super::CHECK;
use crate::inventory::aws::{Address, QuotaOrigin, Target, TargetState, TargetType};
use crate::inventory::ids::{NetworkInterfaceId, VpcId};
use crate::inventory::part::Part;
use crate::inventory::parts::source;
use crate::inventory::quota::{QUOTAS, QuotaRequest, RequestStatus};
use jiff::ToSpan;
use std::sync::Arc;

const TARGETS: &str = "targets_per_network_load_balancer";
const TARGETS_ZONE: &str = "targets_per_availability_zone_per_network_load_balancer";
const TARGETS_GROUP: &str = "targets_per_target_group";
const LISTENERS: &str = "listeners_per_network_load_balancer";

/// Targets with addresses outside every subnet, in a zone by their own word.
fn targets(zone: &str, count: u32) -> Vec<Target> {
    let one = |n| Target { zone: Some(zone.into()), ..target(&format!("192.168.{}.{}", n / 250, n % 250)) };
    (0..count).map(one).collect()
}

fn usage(world: &World, quota: &str) -> Option<f64> {
    world.run(&CHECK).value("quota_usage", &[quota])
}

fn lb_usage(world: &World, quota: &str) -> Option<f64> {
    world.run(&CHECK).value("load_balancer_quota_usage", &["net/web/1", quota])
}

fn group_type(world: &mut World, target_type: TargetType) {
    edit(&mut world.parts.target_groups, |all| all.values_mut().for_each(|it| Arc::make_mut(it).target_type = target_type));
}

#[test]
fn a_healthy_cluster_has_limits_usage_and_no_findings() {
    let world = World::healthy();
    let said = world.run(&CHECK);
    assert_eq!(said.codes(), [""; 0]);
    for quota in QUOTAS {
        assert_eq!(said.value("quota_limit", &[quota.name]), Some(quota.default), "{}", quota.name);
        assert_eq!(said.value("quota_limit_assumed", &[quota.name]), Some(0.0));
    }
    for (quota, used) in [
        ("network_load_balancers", 1.0),
        ("target_groups", 1.0),
        ("network_load_balancer_enis_per_vpc", 3.0),
        ("security_groups", 4.0),
        ("network_interfaces_per_availability_zone", 2.0),
        ("subnets_per_vpc", 6.0),
        ("route_tables_per_vpc", 2.0),
        ("routes_per_route_table", 3.0),
        ("security_groups_per_network_interface", 2.0),
        ("elastic_ips", 2.0),
    ] {
        assert_eq!(said.value("quota_usage", &[quota]), Some(used), "{quota}");
    }
    assert_eq!(said.series("quota_usage").len(), 10, "per-object quotas have families of their own");
    assert_eq!(lb_usage(&world, LISTENERS), Some(1.0));
    assert_eq!(lb_usage(&world, TARGETS), Some(3.0));
    assert_eq!(lb_usage(&world, TARGETS_ZONE), Some(1.0), "one node a zone");
    assert_eq!(said.value("target_group_quota_usage", &["targetgroup/web/1", TARGETS_GROUP]), Some(3.0));
}

#[test]
fn every_usage_is_absent_while_its_list_is_incomplete() {
    let mut world = World::healthy();
    incomplete(&mut world.parts.load_balancers);
    incomplete(&mut world.parts.target_groups);
    incomplete(&mut world.parts.network_interfaces);
    incomplete(&mut world.parts.security_groups);
    incomplete(&mut world.parts.subnets);
    incomplete(&mut world.parts.route_tables);
    incomplete(&mut world.parts.addresses);
    let said = world.run(&CHECK);
    assert_eq!(said.series("quota_usage"), [[""; 0]; 0]);
    assert_eq!(said.series("elastic_ips"), [[""; 0]; 0]);
    assert_eq!(lb_usage(&world, TARGETS), None);
    assert_eq!(lb_usage(&world, LISTENERS), Some(1.0));
    assert_eq!(said.codes(), [""; 0]);
}

#[test]
fn what_could_not_be_read_takes_its_place_or_leaves_the_usage_unknown() {
    let mut world = World::healthy();
    let before = usage(&world, "network_load_balancers").unwrap();
    let sources = Arc::make_mut(&mut world.parts.sources);
    for name in [source::LOAD_BALANCERS, source::SECURITY_GROUPS] {
        sources.entry(name.into()).or_default().missing = 1;
    }
    assert_eq!(usage(&world, "network_load_balancers"), Some(before + 1.0));
    assert_eq!(usage(&world, "security_groups"), None);
    assert!(usage(&world, "subnets_per_vpc").is_some());
}

#[test]
fn limits_are_overridden_applied_default_or_assumed() {
    let mut world = World::healthy();
    world.set_quota("target_groups", 5000.0, QuotaOrigin::AwsDefault);
    world.set_quota("elastic_ips", 5.0, QuotaOrigin::Assumed);
    world.set_quota("network_load_balancers", 50.0, QuotaOrigin::Assumed);
    world.policy.quota_overrides.insert("network_load_balancers".into(), 70.0);
    let said = world.run(&CHECK);
    let limit = |quota: &str| (said.value("quota_limit", &[quota]), said.value("quota_limit_assumed", &[quota]));
    assert_eq!(limit("target_groups"), (Some(5000.0), Some(0.0)));
    assert_eq!(limit("elastic_ips"), (Some(5.0), Some(1.0)));
    assert_eq!(limit("network_load_balancers"), (Some(70.0), Some(0.0)));
    assert_eq!(said.findings(), [("NLB403", "quota elastic_ips".to_owned())]);
}

#[test]
fn before_the_first_lookup_there_is_no_limit_and_after_a_failed_one_it_is_assumed() {
    let mut world = World::healthy();
    world.parts.quotas = Part::default();
    let said = world.run(&CHECK);
    assert_eq!((said.series("quota_limit").len(), said.codes()), (0, vec![]));
    world.parts.quotas.fail(failure(), now());
    let said = world.run(&CHECK);
    assert_eq!(said.value("quota_limit", &["network_load_balancers"]), Some(50.0));
    assert_eq!(said.value("quota_limit_assumed", &["network_load_balancers"]), Some(1.0));
    assert_eq!(said.codes(), vec!["NLB403"; QUOTAS.len()]);
}

#[test]
fn load_balancers_of_the_region_warn_at_ninety_percent_and_page_at_the_limit() {
    let with = |limit| {
        let mut world = World::healthy();
        for n in 1..10 {
            world.add_load_balancer(&format!("lb-{n}"), &[]);
        }
        world.set_quota("network_load_balancers", limit, QuotaOrigin::Applied);
        world
    };
    for (limit, codes) in
        [(13.0, vec![]), (12.0, vec!["NLB402"]), (11.0, vec!["NLB402"]), (10.0, vec!["NLB401"]), (9.0, vec!["NLB404"])]
    {
        assert_eq!(with(limit).run(&CHECK).codes(), codes, "10 of {limit}");
    }
    let said = with(10.0).run(&CHECK);
    assert_eq!(said.findings(), [("NLB401", "quota network_load_balancers".to_owned())]);
    assert_eq!(
        said.messages(),
        ["10 of 10 network_load_balancers are used, and one more load balancer needs 1; to ask for 20: aws service-quotas \
          request-service-quota-increase --service-code elasticloadbalancing --quota-code L-69A177A2 --desired-value 20"]
    );
}

#[test]
fn target_groups_and_interfaces_page_when_less_is_left_than_the_median_load_balancer_has() {
    let with = |quota: &'static str, left: f64| {
        let mut world = World::healthy();
        world.add_target_group("web", "web-2", &[]);
        let used = if quota == "target_groups" { 2.0 } else { 3.0 };
        world.set_quota(quota, used + left, QuotaOrigin::Applied);
        world.run(&CHECK).codes()
    };
    // Two groups and three zones.
    assert_eq!(with("target_groups", 1.0), ["NLB401"]);
    assert_eq!(with("target_groups", 2.0), ["NLB402"]);
    assert_eq!(with("target_groups", 4.0), ["NLB402"], "two more load balancers");
    assert_eq!(with("target_groups", 5.0), [""; 0]);
    assert_eq!(with("network_load_balancer_enis_per_vpc", 2.0), ["NLB401"]);
    assert_eq!(with("network_load_balancer_enis_per_vpc", 3.0), ["NLB402"]);
    assert_eq!(with("network_load_balancer_enis_per_vpc", 7.0), [""; 0]);
}

#[test]
fn an_assumed_limit_or_an_old_sample_never_pages() {
    let mut world = World::healthy();
    world.set_quota("network_load_balancers", 1.0, QuotaOrigin::Assumed);
    assert_eq!(world.run(&CHECK).codes(), ["NLB403"]);
    world.set_quota("network_load_balancers", 1.0, QuotaOrigin::Applied);
    assert_eq!(world.run(&CHECK).codes(), ["NLB401"]);
    world.parts.load_balancers.fetched_at = Some(now() - 16.minutes());
    assert_eq!(world.run(&CHECK).codes(), ["NLB402"]);

    let mut world = World::healthy();
    world.set_quota(TARGETS_GROUP, 3.0, QuotaOrigin::Applied);
    assert_eq!(world.run(&CHECK).codes(), ["NLB401"]);
    for health in Arc::make_mut(&mut world.parts.target_health).values_mut() {
        health.fetched_at = Some(now() - 16.minutes());
    }
    assert_eq!(world.run(&CHECK).codes(), ["NLB402"]);
}

#[test]
fn without_a_known_load_balancer_of_the_cluster_its_groups_are_no_zero() {
    let mut world = World::healthy();
    Arc::make_mut(&mut world.parts.tags).clear();
    assert_eq!(usage(&world, "security_groups_per_network_interface"), None);
    assert_eq!(usage(&world, "network_load_balancers"), Some(1.0), "the Region's do not depend on tags");
}

#[test]
fn elastic_ips_and_the_rest_are_full_in_silence() {
    let mut world = World::healthy();
    for quota in [
        "elastic_ips",
        "security_groups_per_network_interface",
        "subnets_per_vpc",
        "route_tables_per_vpc",
        "routes_per_route_table",
    ] {
        let used = usage(&world, quota).unwrap();
        world.set_quota(quota, used, QuotaOrigin::Applied);
    }
    assert_eq!(world.run(&CHECK).codes(), [""; 0]);
    for quota in ["security_groups", "network_interfaces_per_availability_zone"] {
        let mut world = world.clone();
        world.set_quota(quota, usage(&world, quota).unwrap(), QuotaOrigin::Applied);
        assert_eq!(world.run(&CHECK).codes(), ["NLB402"], "{quota} warns and never pages");
    }
}

#[test]
fn security_groups_are_no_matter_where_load_balancers_have_none() {
    let mut world = World::healthy();
    world.set_controller("v2.5.4", &[]);
    world.set_quota("security_groups", 4.0, QuotaOrigin::Applied);
    assert_eq!(world.run(&CHECK).codes(), [""; 0]);
}

#[test]
fn service_managed_addresses_are_counted_apart() {
    let mut world = World::healthy();
    let managed = Address { id: "eipalloc-9".into(), associated: false, service_managed: true };
    edit(&mut world.parts.addresses, |all| drop(all.insert(managed.id.clone(), Arc::new(managed))));
    let said = world.run(&CHECK);
    assert_eq!(said.value("quota_usage", &["elastic_ips"]), Some(2.0));
    assert_eq!(said.value("elastic_ips", &["account", "true"]), Some(2.0));
    assert_eq!(said.value("elastic_ips", &["account", "false"]), Some(0.0));
    assert_eq!(said.value("elastic_ips", &["service", "false"]), Some(1.0));
}

#[test]
fn interfaces_count_in_their_vpc_and_in_the_fullest_zone() {
    let mut world = World::healthy();
    edit(&mut world.parts.network_interfaces, |all| {
        let eni = Arc::make_mut(all.get_mut("eni-lb-0").unwrap());
        eni.vpc_id = VpcId::from("vpc-2");
        eni.zone = "b".into();
        eni.id = NetworkInterfaceId::from("eni-lb-0");
    });
    assert_eq!(usage(&world, "network_load_balancer_enis_per_vpc"), Some(2.0));
    assert_eq!(usage(&world, "network_interfaces_per_availability_zone"), Some(3.0));
}

#[test]
fn in_another_accounts_vpc_its_quotas_cannot_be_seen() {
    let mut world = World::healthy();
    for id in ["a", "b", "c"]
        .map(|zone| format!("s-private-{zone}"))
        .iter()
        .chain(&["a", "b", "c"].map(|zone| format!("s-public-{zone}")))
    {
        world.edit_subnet(id, |it| it.owner_id = "2".into());
    }
    for quota in ["network_load_balancer_enis_per_vpc", "subnets_per_vpc", "route_tables_per_vpc"] {
        assert_eq!(usage(&world, quota), None, "{quota}");
    }
    assert_eq!(usage(&world, "network_load_balancers"), Some(1.0));
    world.edit_group("sg-unrelated", |it| it.owner_id = "2".into());
    assert_eq!(usage(&world, "security_groups"), Some(3.0));
}

#[test]
fn a_target_in_several_groups_counts_several_times() {
    let mut world = World::healthy();
    world.add_target_group("web", "web-2", &["i-0", "i-1", "i-2"]);
    assert_eq!(lb_usage(&world, TARGETS), Some(6.0));
    assert_eq!(lb_usage(&world, TARGETS_ZONE), Some(2.0));
}

#[test]
fn a_draining_target_is_no_longer_registered() {
    let mut world = World::healthy();
    let draining = |state| Target { state, ..target("i-0") };
    world.set_targets("web", vec![draining(TargetState::Draining), draining(TargetState::UnhealthyDraining), target("i-1")]);
    assert_eq!(lb_usage(&world, TARGETS), Some(2.0));
    assert_eq!(world.run(&CHECK).value("target_group_quota_usage", &["targetgroup/web/1", TARGETS_GROUP]), Some(2.0));
}

#[test]
fn with_cross_zone_on_one_zones_quota_holds_for_the_whole_load_balancer() {
    let mut world = World::healthy();
    world.set_targets("web", ["a", "b", "c"].iter().flat_map(|zone| targets(zone, 200)).collect());
    group_type(&mut world, TargetType::Ip);
    assert_eq!((lb_usage(&world, TARGETS_ZONE), world.run(&CHECK).codes()), (Some(200.0), vec![]));
    world.cross_zone("web");
    world.set_targets("web", ["a", "b"].iter().flat_map(|zone| targets(zone, 250)).collect());
    let said = world.run(&CHECK);
    assert_eq!(lb_usage(&world, TARGETS_ZONE), Some(500.0));
    assert_eq!(said.findings(), [("NLB401", "load balancer net/web/1".to_owned())]);
    assert_eq!(
        said.messages(),
        [
            "load balancer net/web/1 uses 500 of 500 targets_per_availability_zone_per_network_load_balancer; to ask for 1000: aws \
          service-quotas request-service-quota-increase --service-code elasticloadbalancing --quota-code L-B211E961 --desired-value 1000"
        ]
    );
}

#[test]
fn a_group_that_crosses_zones_counts_in_every_zone_of_the_others() {
    let mut world = World::healthy();
    world.add_target_group("web", "web-2", &[]);
    group_type(&mut world, TargetType::Ip);
    world.set_targets("web", targets("a", 10));
    world.set_targets("web-2", [targets("a", 1), targets("b", 4)].concat());
    let on = super::super::security_groups::fixtures::tags(&[("load_balancing.cross_zone.enabled", "true")]);
    let id = super::super::security_groups::fixtures::target_group_id("web-2");
    Arc::make_mut(&mut world.parts.target_group_attributes).insert(id, Part::fetched(on, now()));
    assert_eq!(lb_usage(&world, TARGETS_ZONE), Some(10.0 + 5.0));
}

#[test]
fn a_target_of_unknown_zone_or_setting_leaves_the_zones_use_unknown() {
    let mut world = World::healthy();
    group_type(&mut world, TargetType::Ip);
    world.set_targets("web", vec![target("192.168.0.1")]);
    assert_eq!((lb_usage(&world, TARGETS_ZONE), lb_usage(&world, TARGETS)), (None, Some(1.0)));
    world.set_targets("web", [targets("all", 2), targets("b", 3)].concat());
    assert_eq!(lb_usage(&world, TARGETS_ZONE), Some(5.0), "an address outside the VPC is in every zone");
    Arc::make_mut(&mut world.parts.load_balancer_attributes).clear();
    assert_eq!(lb_usage(&world, TARGETS_ZONE), None);
    world.set_targets("web", Vec::new());
    assert_eq!(lb_usage(&world, TARGETS_ZONE), Some(0.0), "no targets, whatever the setting");
    Arc::make_mut(&mut world.parts.target_health).clear();
    assert_eq!((lb_usage(&world, TARGETS_ZONE), lb_usage(&world, TARGETS)), (None, None));
}

#[test]
fn an_alb_weighs_fifty_targets_and_a_hundred_with_cross_zone() {
    let mut world = World::healthy();
    group_type(&mut world, TargetType::Alb);
    world.set_targets("web", vec![target("arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/app/x/1")]);
    assert_eq!(lb_usage(&world, TARGETS), Some(50.0));
    world.cross_zone("web");
    assert_eq!((lb_usage(&world, TARGETS), lb_usage(&world, TARGETS_ZONE)), (Some(100.0), Some(100.0)));
    assert_eq!(world.run(&CHECK).value("target_group_quota_usage", &["targetgroup/web/1", TARGETS_GROUP]), Some(1.0));
}

#[test]
fn targets_of_a_group_warn_at_ninety_percent_and_page_at_the_limit() {
    for (limit, codes) in
        [(13.0, vec![]), (12.0, vec!["NLB402"]), (11.0, vec!["NLB402"]), (10.0, vec!["NLB401"]), (9.0, vec!["NLB404"])]
    {
        let mut world = World::healthy();
        group_type(&mut world, TargetType::Ip);
        world.set_targets("web", targets("a", 10));
        world.set_quota(TARGETS_GROUP, limit, QuotaOrigin::Applied);
        let findings: Vec<_> = codes.iter().map(|code| (*code, "target group targetgroup/web/1".to_owned())).collect();
        assert_eq!(world.run(&CHECK).findings(), findings, "{limit}");
    }
}

#[test]
fn listeners_warn_and_never_page() {
    for (count, codes) in [(44, vec![]), (45, vec!["NLB402"]), (50, vec!["NLB402"])] {
        let mut world = World::healthy();
        let listeners = (1..=count).map(listener).collect();
        Arc::make_mut(&mut world.parts.listeners).insert(load_balancer_id("web"), Part::fetched(listeners, now()));
        assert_eq!(world.run(&CHECK).codes(), codes, "{count}");
    }
}

#[test]
fn a_load_balancer_is_found_once_for_what_is_worst() {
    let mut world = World::healthy();
    world.set_quota(TARGETS, 4.0, QuotaOrigin::Applied);
    world.set_quota(TARGETS_ZONE, 1.0, QuotaOrigin::Applied);
    world.set_quota(LISTENERS, 1.0, QuotaOrigin::Applied);
    let said = world.run(&CHECK);
    assert_eq!(said.findings(), [("NLB401", "load balancer net/web/1".to_owned())]);
    assert!(said.messages()[0].contains(TARGETS_ZONE), "{said:?}");
}

const CERTIFICATES: &str = "certificates_per_network_load_balancer";

/// `web` with two TLS listeners and a plain one; the certificates beside the default of each, where they are known.
fn with_certificates(known: [Option<&[&str]>; 2]) -> World {
    let mut world = World::healthy();
    let mut listeners = vec![listener(80)];
    for (n, (port, more)) in [443, 8443].into_iter().zip(known).enumerate() {
        let mut tls = listener(port);
        tls.protocol = "TLS".into();
        tls.certificate_arn = Some(format!("default-{n}").into());
        if let Some(more) = more {
            let set = more.iter().map(|it| Arc::from(*it)).collect();
            Arc::make_mut(&mut world.parts.listener_certificates).insert(tls.arn.clone(), Part::fetched(set, now()));
        }
        listeners.push(tls);
    }
    Arc::make_mut(&mut world.parts.listeners).insert(load_balancer_id("web"), Part::fetched(listeners, now()));
    world
}

#[test]
fn certificates_are_counted_once_each_where_those_of_all_tls_listeners_are_known() {
    let used = |known| lb_usage(&with_certificates(known), CERTIFICATES);
    assert_eq!(used([Some(&["a", "b"]), Some(&["b", "c"])]), Some(5.0), "a, b, c and two default ones");
    assert_eq!(used([Some(&[]), Some(&[])]), Some(2.0));
    // Since 3.4.1 the default certificate stands among the others too (T11).
    assert_eq!(used([Some(&["a", "default-0"]), Some(&["default-1"])]), Some(3.0));
    assert_eq!(used([Some(&["a", "b"]), None]), None);
    assert_eq!(lb_usage(&World::healthy(), CERTIFICATES), None, "no TLS listener");
}

#[test]
fn certificates_warn_and_never_page() {
    for (limit, codes) in
        [(6.0, vec![]), (5.0, vec!["NLB402"]), (4.0, vec!["NLB402"]), (3.0, vec!["NLB402"]), (2.0, vec!["NLB404"])]
    {
        let mut world = with_certificates([Some(&["a"]), Some(&[])]);
        world.set_quota(CERTIFICATES, limit, QuotaOrigin::Applied);
        assert_eq!(world.run(&CHECK).codes(), codes, "3 of {limit}");
    }
}

#[test]
fn the_warning_comes_at_two_load_balancers_or_a_tenth_whichever_is_more() {
    // Three interfaces each: six are two load balancers, and a tenth of the limit is more from 70 on.
    for (limit, used, warns) in [
        (40, 34, true),
        (40, 33, false),
        (70, 63, true),
        (70, 62, false),
        (60, 54, true),
        (60, 53, false),
        (100, 90, true),
        (100, 89, false),
    ] {
        let mut world = World::healthy();
        edit(&mut world.parts.network_interfaces, |all| {
            for n in 3..used {
                let mut eni = super::super::security_groups::fixtures::interface(&format!("eni-more-{n}"), &[]);
                (eni.of_network_load_balancer, eni.zone) = (true, format!("z{n}").as_str().into());
                all.insert(eni.id.clone(), Arc::new(eni));
            }
        });
        world.set_quota("network_load_balancer_enis_per_vpc", f64::from(limit), QuotaOrigin::Applied);
        let codes = if warns { vec!["NLB402"] } else { vec![] };
        assert_eq!(world.run(&CHECK).codes(), codes, "{used} of {limit}");
    }
}

fn request(desired_value: f64, status: RequestStatus) -> QuotaRequest {
    QuotaRequest { id: "r1".into(), status, desired_value, requested_at: Some(now()) }
}

/// As many load balancers as there may be.
fn full() -> World {
    let mut world = World::healthy();
    world.set_quota("network_load_balancers", 1.0, QuotaOrigin::Applied);
    world
}

fn requested(world: &mut World, requests: Vec<QuotaRequest>) {
    world.parts.quota_requests = Part::fetched([("network_load_balancers".into(), requests)].into(), now());
}

#[test]
fn a_request_on_its_way_is_told_with_its_value_and_since_when_in_place_of_the_command() {
    let mut world = full();
    let said = world.run(&CHECK);
    assert!(said.messages()[0].contains("--quota-code L-69A177A2 --desired-value 2"), "{said:?}");
    assert_eq!(said.value("quota_requested", &["network_load_balancers"]), None);

    requested(&mut world, vec![request(80.0, RequestStatus::Pending), request(60.0, RequestStatus::CaseOpened)]);
    let said = world.run(&CHECK);
    assert_eq!(said.codes(), ["NLB401"], "asking changes nothing about the limit");
    let since = now().strftime("%Y-%m-%d").to_string();
    assert!(said.messages()[0].ends_with(&format!("needs 1; a request for 80 is pending since {since}")), "{said:?}");
    assert_eq!(said.series("quota_requested"), [["network_load_balancers"]]);
    assert_eq!(said.value("quota_requested", &["network_load_balancers"]), Some(80.0), "the largest");

    requested(&mut world, vec![QuotaRequest { requested_at: None, ..request(60.0, RequestStatus::CaseOpened) }]);
    assert!(world.run(&CHECK).messages()[0].ends_with("; a request for 60 is a support case"));
}

#[test]
fn a_request_for_no_more_than_is_allowed_is_none_and_an_unknown_list_is_not_an_empty_one() {
    let mut world = full();
    requested(&mut world, vec![request(1.0, RequestStatus::Pending)]);
    let said = world.run(&CHECK);
    assert!(said.messages()[0].contains("--desired-value 2"), "{said:?}");
    assert_eq!(said.value("quota_requested", &["network_load_balancers"]), None);
    world.parts.quota_requests = Part::default();
    world.parts.quota_requests.fail(failure(), now());
    let said = world.run(&CHECK);
    assert_eq!((said.codes(), said.value("quota_requested", &["network_load_balancers"])), (vec!["NLB401"], None));
    assert_eq!(said.value("quota_limit", &["network_load_balancers"]), Some(1.0), "the limits do not depend on it");
}

#[test]
fn the_command_names_the_region_and_what_aws_never_raises_has_none() {
    let mut world = full();
    world.parts.scope.region = Some("eu-west-1".into());
    assert!(world.run(&CHECK).messages()[0].ends_with("--desired-value 2 --region eu-west-1"));
    let mut world = World::healthy();
    world.set_quota(LISTENERS, 1.0, QuotaOrigin::Applied);
    let said = world.run(&CHECK);
    assert_eq!(said.codes(), ["NLB402"]);
    assert!(said.messages()[0].ends_with("; AWS does not raise this quota"), "{said:?}");
}
