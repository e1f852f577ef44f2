use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::super::security_groups::fixtures::*;
use super::super::{quotas, run as run_checks, security_groups};
use super::{CHECK, CONSTRAINTS, Wall, first_walls};
use crate::config::policy::LoadBalancerCost;
use crate::controller::subnets::placement::{Request, place};
use crate::controller::subnets::{Choice, Network, Routes, Rules};
use crate::inventory::aws::*;
use crate::inventory::ids::*;
use crate::inventory::part::Part;

const PAGING: [&str; 3] = ["network_load_balancers", "target_groups", "network_load_balancer_enis_per_vpc"];
const RULES: &str = "rules_per_security_group";
const CURRENT: &str = "subnets_current_zones";
const ANY: &str = "subnets_any_zone";

fn left(world: &World, scheme: &str, constraint: &str) -> Option<f64> {
    world.run(&CHECK).value("headroom_load_balancers", &[scheme, constraint])
}

fn internal(world: &World, constraint: &str) -> Option<f64> {
    left(world, "internal", constraint)
}

fn free(world: &mut World, subnet: &str, addresses: u64) {
    world.edit_subnet(subnet, |it| it.available_ip_addresses = Some(addresses));
}

/// An internet-facing load balancer with an Elastic IP in each of its three zones.
fn with_elastic_ips() -> World {
    let mut world = World::healthy();
    world.edit_load_balancer("web", |it| {
        it.scheme = Scheme::InternetFacing;
        for (n, zone) in it.zones.iter_mut().enumerate() {
            zone.subnet_id = SubnetId::new(format!("s-public-{}", ZONES[n]));
            zone.addresses = vec![LoadBalancerAddress {
                allocation_id: Some(AllocationId::new(format!("eipalloc-{n}"))),
                ..LoadBalancerAddress::default()
            }];
        }
    });
    world
}

#[test]
fn a_healthy_cluster_has_a_number_for_each_constraint_of_the_scheme_in_use() {
    let said = World::healthy().run(&CHECK);
    assert_eq!(said.codes(), [""; 0]);
    for (constraint, expected) in [
        ("network_load_balancers", 49.0),
        ("target_groups", 2999.0),
        ("network_load_balancer_enis_per_vpc", 399.0),
        (RULES, 59.0),
        (ANY, 193.0),
        (CURRENT, 193.0),
        ("security_groups", 2496.0),
        ("network_interfaces_per_availability_zone", 4998.0),
    ] {
        assert_eq!(said.value("headroom_load_balancers", &["internal", constraint]), Some(expected), "{constraint}");
    }
    assert_eq!(said.series("headroom_load_balancers").len(), 8, "internal ones take no Elastic IPs: {said:?}");
    for (quota, need) in [
        ("network_load_balancers", Some(1.0)),
        ("target_groups", Some(1.0)),
        ("network_load_balancer_enis_per_vpc", Some(3.0)),
        ("security_groups", Some(1.0)),
        ("elastic_ips", None),
        ("subnets_per_vpc", None),
        ("security_groups_per_network_interface", None),
    ] {
        assert_eq!(said.value("quota_needed_per_load_balancer", &[quota]), need, "{quota}");
    }
    let needed = "security_group_rules_needed_per_load_balancer";
    assert_eq!(said.series(needed), [[NODE, "inbound", "ipv4"], [NODE, "inbound", "ipv6"]]);
    assert_eq!(said.value(needed, &[NODE, "inbound", "ipv4"]), Some(1.0), "a changed range is granted first");
}

#[test]
fn a_service_that_waits_for_its_first_load_balancer_brings_its_scheme_into_use() {
    let mut world = World::healthy();
    world.add_service(service("new", &[("scheme", "internet-facing")]));
    assert_eq!(left(&world, "internet-facing", ANY), Some(193.0));
    assert_eq!(left(&world, "internet-facing", CURRENT), None, "there is no zone in use yet");
    assert_eq!(left(&world, "internet-facing", "network_load_balancers"), Some(49.0));
}

#[test]
fn without_a_load_balancer_or_a_service_no_scheme_is_in_use() {
    let mut world = World::healthy();
    edit(&mut world.parts.load_balancers, |all| all.clear());
    edit(&mut world.parts.services, |all| all.clear());
    assert_eq!(world.run(&CHECK).series("headroom_load_balancers"), [[""; 0]; 0]);
}

#[test]
fn a_subnet_takes_load_balancers_down_to_eight_free_addresses() {
    for (addresses, expected) in [(0, 0.0), (7, 0.0), (8, 1.0), (9, 2.0), (200, 193.0)] {
        let mut world = World::healthy();
        free(&mut world, "s-private-b", addresses);
        assert_eq!(internal(&world, CURRENT), Some(expected), "{addresses}");
        assert_eq!(internal(&world, ANY), Some(193.0), "{addresses}: other zones have room");
    }
}

#[test]
fn load_balancers_that_keep_more_addresses_are_fewer() {
    let mut world = World::healthy();
    let attributes = tags(&[("secondary_ips.auto_assigned.per_subnet", "3")]);
    Arc::make_mut(&mut world.parts.load_balancer_attributes).insert(load_balancer_id("web"), Part::fetched(attributes, now()));
    free(&mut world, "s-private-b", 16);
    assert_eq!(internal(&world, CURRENT), Some(3.0), "at 16, 12 and 8 free addresses");
    world.policy.load_balancer_cost.addresses_per_zone = Some(8);
    assert_eq!(internal(&world, CURRENT), Some(2.0));
}

#[test]
fn the_next_subnet_of_a_zone_takes_over_where_one_is_full() {
    let mut world = World::healthy();
    for zone in ZONES {
        free(&mut world, &format!("s-private-{zone}"), 10);
    }
    assert_eq!(internal(&world, CURRENT), Some(3.0));
    let relief = subnet("s-relief-b", "b", 12, &[("kubernetes.io/role/internal-elb", "1")]);
    edit(&mut world.parts.subnets, |all| drop(all.insert(relief.id.clone(), Arc::new(relief))));
    assert_eq!((internal(&world, CURRENT), internal(&world, ANY)), (Some(3.0), Some(8.0)));
    // Before 2.3.0 the controller asks for the same subnet again, full or not.
    world.set_controller("v2.2.4", &[]);
    world.edit_service("web", |it| {
        it.load_balancer_class = None;
        it.annotations = service("x", &[("type", "external"), ("nlb-target-type", "ip")]).annotations;
    });
    free(&mut world, "s-private-b", 7);
    assert_eq!((internal(&world, CURRENT), internal(&world, ANY)), (Some(0.0), Some(0.0)));
}

#[test]
fn a_zone_that_falls_out_is_a_zone_without_room() {
    let mut world = World::healthy();
    free(&mut world, "s-private-a", 20);
    edit(&mut world.parts.subnets, |all| drop(all.remove(&SubnetId::from("s-private-a"))));
    assert_eq!((internal(&world, CURRENT), internal(&world, ANY)), (Some(0.0), Some(193.0)));
    for zone in ["b", "c"] {
        free(&mut world, &format!("s-private-{zone}"), 3);
    }
    assert_eq!((internal(&world, CURRENT), internal(&world, ANY)), (Some(0.0), Some(0.0)));
}

#[test]
fn addresses_are_unknown_while_subnets_routes_or_kinds_of_zones_are() {
    let mut world = World::healthy();
    incomplete(&mut world.parts.subnets);
    assert_eq!((internal(&world, CURRENT), internal(&world, ANY)), (None, None));
    assert_eq!(internal(&world, "network_load_balancers"), Some(49.0));
    let mut world = World::healthy();
    world.parts.availability_zones = Part::default();
    assert_eq!((internal(&world, CURRENT), internal(&world, ANY)), (None, None));
}

#[test]
fn services_that_name_their_subnets_have_the_room_of_those() {
    let mut world = World::healthy();
    world.edit_service("web", |it| it.annotations = service("x", &[("subnets", "s-private-a,s-private-b")]).annotations);
    free(&mut world, "s-private-a", 9);
    free(&mut world, "s-private-c", 0);
    assert_eq!((internal(&world, CURRENT), internal(&world, ANY)), (Some(0.0), Some(193.0)));
    world.edit_load_balancer("web", |it| drop(it.zones.pop()));
    assert_eq!((internal(&world, CURRENT), internal(&world, ANY)), (Some(2.0), Some(193.0)));
}

#[test]
fn the_in_tree_provider_finds_the_same_subnets_again_and_auto_mode_what_nobody_knows() {
    let mut world = World::healthy();
    let arn = world.parts.load_balancers.get().unwrap().values().next().unwrap().arn.clone();
    edit(&mut world.parts.controllers, |all| all.clear());
    let in_tree = [("kubernetes.io/service-name", "shop/web"), ("kubernetes.io/cluster/demo", "owned")];
    world.tag(arn.clone(), &in_tree);
    free(&mut world, "s-private-a", 9);
    assert_eq!((internal(&world, CURRENT), internal(&world, ANY)), (Some(2.0), Some(2.0)), "it needs all of them");
    let auto = [("eks:eks-cluster-name", "demo"), ("service.eks.amazonaws.com/stack", "shop/web")];
    world.tag(arn, &auto);
    assert_eq!((internal(&world, CURRENT), internal(&world, ANY)), (None, None));
    assert_eq!(internal(&world, "network_load_balancers"), Some(49.0));
}

#[test]
fn elastic_ips_are_a_constraint_where_internet_facing_load_balancers_use_them() {
    let mut world = with_elastic_ips();
    world.set_quota("elastic_ips", 8.0, QuotaOrigin::Applied);
    // Two of eight are used, and the median takes three.
    assert_eq!(left(&world, "internet-facing", "elastic_ips"), Some(2.0));
    assert_eq!(world.run(&CHECK).value("quota_needed_per_load_balancer", &["elastic_ips"]), Some(3.0));
    let spare = Address { id: "eipalloc-9".into(), associated: false, service_managed: false };
    edit(&mut world.parts.addresses, |all| drop(all.insert(spare.id.clone(), Arc::new(spare))));
    assert_eq!(left(&world, "internet-facing", "elastic_ips"), Some(2.0), "one that nobody uses is as good as a new one");
    world.add_load_balancer("api", &[]);
    assert_eq!(left(&world, "internal", "elastic_ips"), None);
    world.policy.load_balancer_cost.elastic_ips = Some(0);
    assert_eq!(left(&world, "internet-facing", "elastic_ips"), None);
}

#[test]
fn what_is_not_known_is_absent_and_what_is_assumed_is_shown() {
    let mut world = World::healthy();
    world.set_quota("network_load_balancers", 50.0, QuotaOrigin::Assumed);
    assert_eq!(internal(&world, "network_load_balancers"), Some(49.0));
    world.set_quota("network_load_balancers", 0.0, QuotaOrigin::Applied);
    assert_eq!(internal(&world, "network_load_balancers"), None, "the limit or the count is wrong");
    world.parts.quotas = Part::default();
    let said = world.run(&CHECK);
    assert_eq!(said.series("headroom_load_balancers"), [["internal", ANY], ["internal", CURRENT]], "addresses have no quota");
    let mut world = World::healthy();
    incomplete(&mut world.parts.target_groups);
    incomplete(&mut world.parts.security_groups);
    assert_eq!((internal(&world, "target_groups"), internal(&world, RULES)), (None, None));
}

#[test]
fn a_median_of_some_load_balancers_is_not_that_of_all() {
    let mut world = World::healthy();
    world.add_load_balancer("api", &[]);
    let untagged = world.parts.load_balancers.get().unwrap()[&load_balancer_id("api")].arn.clone();
    Arc::make_mut(&mut world.parts.tags).remove(&untagged);
    world.edit_load_balancer("api", |it| it.created_at = Some(jiff::Timestamp::UNIX_EPOCH));
    for constraint in ["target_groups", "network_load_balancer_enis_per_vpc", RULES, ANY, CURRENT] {
        assert_eq!(internal(&world, constraint), None, "{constraint}");
    }
    assert_eq!(internal(&world, "network_load_balancers"), Some(48.0));
    world.edit_load_balancer("api", |it| it.created_at = Some(now()));
    assert_eq!(internal(&world, "target_groups"), Some(2998.0), "a new one's tags are on their way");
}

#[test]
fn a_rule_count_that_is_a_lower_bound_proves_only_that_a_group_is_full() {
    let mut world = World::healthy();
    let unknown = rule(1, Peer::PrefixList(PrefixListId::from("pl-1")));
    world.parts.prefix_lists.fail(failure(), now());
    world.edit_group(NODE, |it| it.inbound.push(unknown.clone()));
    assert_eq!(internal(&world, RULES), None);
    world.edit_group(NODE, |it| it.inbound = [rules(60, 0), vec![unknown]].concat());
    assert_eq!(internal(&world, RULES), Some(0.0));
}

#[test]
fn the_fullest_endpoint_group_is_the_wall_and_the_mode_says_how_near() {
    let mut world = World::healthy();
    world.edit_group(NODE, |it| it.inbound = rules(40, 10));
    assert_eq!(internal(&world, RULES), Some(20.0));
    world.edit_group(NODE, |it| it.inbound = rules(10, 55));
    assert_eq!(internal(&world, RULES), Some(5.0), "a rule that names a group needs room in IPv6 too");
    // Without groups: one range of clients and three zones are four rules, in IPv4.
    world.set_controller("v2.5.4", &[]);
    world.edit_load_balancer("web", |it| it.security_groups.clear());
    world.edit_service("web", |it| it.source_ranges = vec!["10.0.0.0/8".into()]);
    assert_eq!(internal(&world, RULES), Some(12.0));
    assert_eq!(internal(&world, "security_groups"), None, "it would bring no group of its own");
    let needed = "security_group_rules_needed_per_load_balancer";
    assert_eq!(world.run(&CHECK).series(needed), [[NODE, "inbound", "ipv4"]]);
    assert_eq!(world.run(&CHECK).value(needed, &[NODE, "inbound", "ipv4"]), Some(4.0));
    world.policy.load_balancer_cost.security_group_rules = Some(25);
    assert_eq!(internal(&world, RULES), Some(2.0));
    // Custom groups: the rules are the user's.
    let mut world = World::healthy();
    world.add_group(group("sg-mine", &[], Vec::new()));
    world.edit_load_balancer("web", |it| it.security_groups = [SecurityGroupId::from("sg-mine")].into());
    assert_eq!(internal(&world, RULES), None);
    assert_eq!(world.run(&CHECK).series(needed), [[""; 0]; 0]);
}

#[test]
fn a_configured_cost_takes_the_place_of_the_median() {
    let mut world = World::healthy();
    world.policy.load_balancer_cost = LoadBalancerCost { zones: Some(2), target_groups: Some(5), ..LoadBalancerCost::default() };
    assert_eq!(internal(&world, "target_groups"), Some(599.0));
    assert_eq!(internal(&world, "network_load_balancer_enis_per_vpc"), Some(598.0));
    world.set_quota("target_groups", 5.0, QuotaOrigin::Applied);
    assert_eq!(internal(&world, "target_groups"), Some(0.0));
    let said = world.run(&quotas::CHECK);
    assert_eq!(said.findings(), [("NLB401", "quota target_groups".to_owned())]);
    assert!(said.messages()[0].contains("needs 5 (as policy.load_balancer_cost says); to ask for "), "{said:?}");
}

#[test]
fn nothing_is_left_exactly_where_a_quota_pages() {
    for used in [1.0, 2.0, 3.0, 5.0, 7.0] {
        for need in [1, 2, 3] {
            for quota in PAGING {
                let mut world = World::healthy();
                world.policy.load_balancer_cost.zones = Some(need);
                world.policy.load_balancer_cost.target_groups = Some(need);
                let limit = if quota == PAGING[2] { used + 2.0 } else { used };
                world.set_quota(quota, limit, QuotaOrigin::Applied);
                let subject = ("NLB401", format!("quota {quota}"));
                let pages = world.run(&quotas::CHECK).findings().contains(&subject);
                assert_eq!(internal(&world, quota) == Some(0.0), pages, "{quota} {used} {need}");
            }
        }
    }
}

#[test]
fn nothing_is_left_exactly_where_an_endpoint_group_pages() {
    for old in [false, true] {
        for (ipv4, ipv6) in [(0, 0), (59, 0), (60, 0), (61, 0), (0, 59), (0, 60), (60, 60), (61, 60), (57, 3), (56, 0)] {
            let mut world = World::healthy();
            if old {
                world.set_controller("v2.5.4", &[]);
                world.edit_load_balancer("web", |it| it.security_groups.clear());
                world.edit_service("web", |it| it.source_ranges = vec!["10.0.0.0/8".into()]);
            }
            world.edit_group(NODE, |it| it.inbound = rules(ipv4, ipv6));
            let pages = world.run(&security_groups::CHECK).codes().contains(&"NLB301");
            assert_eq!(internal(&world, RULES) == Some(0.0), pages, "{ipv4} {ipv6} {old}");
        }
    }
}

#[test]
fn the_first_wall_is_the_nearest_and_has_a_name() {
    let judged = |world: &World| {
        let outcome = run_checks(&[&CHECK], &world.snapshot(), &world.policy, now(), || Duration::ZERO);
        first_walls(&outcome)
    };
    let mut world = World::healthy();
    let wall = |constraint, load_balancers| Wall { constraint, load_balancers };
    assert_eq!(judged(&world)[&Scheme::Internal], wall("network_load_balancers", 49));
    free(&mut world, "s-private-b", 12);
    assert_eq!(judged(&world)[&Scheme::Internal], wall(CURRENT, 5));
    world.set_quota("network_load_balancers", 6.0, QuotaOrigin::Applied);
    assert_eq!(judged(&world)[&Scheme::Internal], wall("network_load_balancers", 5), "of two, the harder one");
    assert_eq!(judged(&world).len(), 1);
    edit(&mut world.parts.load_balancers, |all| all.clear());
    edit(&mut world.parts.services, |all| all.clear());
    assert!(judged(&world).is_empty());
}

#[test]
fn every_constraint_that_is_a_quota_is_one_by_name() {
    for constraint in CONSTRAINTS {
        let is_quota = crate::inventory::quota::quota(constraint).is_some();
        assert_eq!(is_quota, !constraint.starts_with("subnets_"), "{constraint}");
    }
    assert!(CHECK.findings.is_empty(), "every wall that matters has a finding of its own, of another check");
}

/// A healthy cluster with other numbers: more load balancers, target groups, rules, fewer addresses, smaller limits.
fn numbers() -> impl Strategy<Value = (u32, u32, u32, [u64; 3], u32)> {
    (0u32..4, 0u32..4, 0u32..58, prop::array::uniform3(0u64..40), 10u32..60)
}

fn world_of((load_balancers, target_groups, inbound, addresses, limit): (u32, u32, u32, [u64; 3], u32)) -> World {
    let mut world = World::healthy();
    // The cost is fixed: what one more takes follows the median, and a smaller median makes room.
    world.policy.load_balancer_cost = LoadBalancerCost {
        zones: Some(3),
        target_groups: Some(2),
        addresses_per_zone: Some(1),
        elastic_ips: None,
        security_group_rules: Some(2),
    };
    for n in 0..load_balancers {
        world.add_load_balancer(&format!("more-{n}"), &[]);
    }
    for n in 0..target_groups {
        world.add_target_group("web", &format!("more-web-{n}"), &[]);
    }
    world.edit_group(NODE, |it| it.inbound = rules(inbound, 0));
    for (zone, free) in ZONES.iter().zip(addresses) {
        world.edit_subnet(&format!("s-private-{zone}"), |it| it.available_ip_addresses = Some(free));
    }
    for quota in PAGING {
        world.set_quota(quota, f64::from(limit), QuotaOrigin::Applied);
    }
    world
}

/// Puts load balancers into the subnets as the controller would, one after the other: how many get every zone of `current`,
/// and how many get any.
fn simulated(world: &World, rules: Rules, current: &[&str]) -> (f64, f64) {
    let mut subnets = world.parts.subnets.get().unwrap().clone();
    let mut in_all = None;
    for placed in 0.. {
        let routes = Routes::of(&world.parts.route_tables);
        let locales = world.parts.availability_zones.get();
        let network = Network { cluster_name: "demo", subnets: &subnets, routes: &routes, locales };
        let request =
            Request { scheme: Scheme::Internal, dualstack: false, named: None, existing: None, private_addresses: false };
        let got = match place(&network, rules, &request).choice {
            Choice::Subnets(got) => got,
            Choice::Refused(_) => Vec::new(),
            Choice::Unknown => panic!("all is known"),
        };
        // Whatever the controller thinks, AWS refuses all of it where one subnet has too few.
        let refused = got.iter().any(|id| subnets[id].available_ip_addresses.unwrap() < 8);
        let got = if refused { Vec::new() } else { got };
        let has = |zone: &&str| got.iter().any(|id| subnets[id].zone.as_str().ends_with(*zone));
        if !current.iter().all(has) {
            in_all.get_or_insert(f64::from(placed));
        }
        if got.is_empty() {
            return (in_all.unwrap(), f64::from(placed));
        }
        for id in got {
            let subnet = Arc::make_mut(subnets.get_mut(&id).unwrap());
            subnet.available_ip_addresses = subnet.available_ip_addresses.map(|left| left - 1);
        }
    }
    unreachable!("addresses are finite")
}

/// A further subnet: its zone, its free addresses, whether it has the role tag, and its cluster tag.
fn further() -> impl Strategy<Value = Vec<(usize, u64, bool, Option<bool>)>> {
    prop::collection::vec((0usize..3, 0u64..30, prop::bool::weighted(0.8), prop::option::of(any::<bool>())), 0..5)
}

/// Whether nothing that is known before and after is more afterwards.
fn never_more(before: &World, after: &World) -> Result<(), TestCaseError> {
    for constraint in CONSTRAINTS {
        if let (Some(before), Some(after)) = (internal(before, constraint), internal(after, constraint)) {
            prop_assert!(after <= before, "{constraint}: {before} before, {after} after");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn more_usage_never_makes_more_room(numbers in numbers(), more in (0u32..3, 0u32..3, 0u32..3, prop::array::uniform3(0u64..9))) {
        let (load_balancers, target_groups, inbound, addresses, limit) = numbers;
        let fewer = [0, 1, 2].map(|n| addresses[n].saturating_sub(more.3[n]));
        let after = (load_balancers + more.0, target_groups + more.1, inbound + more.2, fewer, limit);
        never_more(&world_of(numbers), &world_of(after))?;
    }

    #[test]
    fn addresses_are_enough_for_as_many_as_can_be_placed_one_after_the_other(
        addresses in prop::array::uniform3(0u64..40),
        further in further(),
        version in prop::sample::select(vec!["v2.2.4", "v2.4.7", "v2.13.4", "v3.5.0"]),
        without_roles in prop::bool::weighted(0.2),
    ) {
        let mut world = World::healthy();
        world.set_controller(version, &[]);
        world.edit_service("web", |it| {
            // Before 2.4.0 a class made nobody its owner.
            it.load_balancer_class = None;
            it.annotations = service("web", &[("type", "external"), ("nlb-target-type", "ip")]).annotations;
        });
        for (zone, addresses) in ZONES.iter().zip(addresses) {
            free(&mut world, &format!("s-private-{zone}"), addresses);
        }
        for (n, (zone, addresses, has_role, cluster)) in further.into_iter().enumerate() {
            let mut pairs = Vec::new();
            pairs.extend(has_role.then_some(("kubernetes.io/role/internal-elb", "1")));
            pairs.extend(cluster.map(|ours| {
                (if ours { "kubernetes.io/cluster/demo" } else { "kubernetes.io/cluster/other" }, "shared")
            }));
            let more = subnet(&format!("s-more-{n}"), ZONES[zone], addresses, &pairs);
            edit(&mut world.parts.subnets, |all| drop(all.insert(more.id.clone(), Arc::new(more))));
        }
        if without_roles {
            edit(&mut world.parts.subnets, |all| {
                let plain = |it: &mut Arc<Subnet>| Arc::make_mut(it).tags.retain(|key, _| !key.starts_with("kubernetes.io/role/"));
                all.values_mut().for_each(plain);
            });
        }
        let controllers = world.parts.controllers.get().unwrap();
        let rules = Rules::of(controllers.values().next().unwrap());
        let (current, any) = simulated(&world, rules, &ZONES);
        prop_assert_eq!(internal(&world, CURRENT), Some(current), "{}", version);
        prop_assert_eq!(internal(&world, ANY), Some(any), "{}", version);
    }

    #[test]
    fn a_zone_that_falls_out_never_makes_more_room(numbers in numbers(), zone in 0usize..3, gone in any::<bool>()) {
        let before = world_of(numbers);
        let mut after = before.clone();
        let id = format!("s-private-{}", ZONES[zone]);
        if gone {
            edit(&mut after.parts.subnets, |all| drop(all.remove(id.as_str())));
        } else {
            free(&mut after, &id, 0);
        }
        never_more(&before, &after)?;
    }
}
