mod existing;

use std::fmt::Write;

use super::changes::Effect;
use super::*;
use crate::checks::security_groups::fixtures::{BACK, FRONT, NODE, World, cidr, edit, group, now, rule, rules};
use crate::inventory::aws::{Address, EksCluster, QuotaOrigin};
use crate::inventory::part::Part;

const RULES: &str = "rules_per_security_group";

/// A manifest of `shop/NAME`, whose spec gets further lines.
fn manifest(name: &str, annotations: &[(&str, &str)], spec: &str) -> String {
    let mut text =
        format!("---\napiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\n  namespace: shop\n  annotations:\n    a: b\n");
    for (key, value) in annotations {
        let _ = writeln!(text, "    service.beta.kubernetes.io/aws-load-balancer-{key}: {value:?}");
    }
    let _ = write!(text, "spec:\n  type: LoadBalancer\n{spec}");
    text
}

const CLASS: &str = "  loadBalancerClass: service.k8s.aws/nlb\n";
const PORT: &str = "  ports: [{port: 80, targetPort: 8080}]\n";

fn one(annotations: &[(&str, &str)]) -> String {
    manifest("new", annotations, &format!("{CLASS}{PORT}"))
}

fn planned(world: &World, text: &str) -> Vec<Planned> {
    let manifests = manifests::read("x.yaml", text, "default", now()).unwrap();
    let input = Input { manifests, parts: world.parts.clone(), offline: false, policy: &world.policy, now: now() };
    plan(input).services
}

fn only(world: &World, text: &str) -> Planned {
    let mut all = planned(world, text);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// What is taken and left of a quota, in all.
fn cost<'a>(planned: &'a Planned, quota: &str) -> Vec<(Option<&'a str>, u64, Option<i64>)> {
    let of = planned.costs.iter().filter(|cost| cost.quota == quota);
    of.map(|cost| (cost.of.as_deref(), cost.takes, cost.left)).collect()
}

fn codes(planned: &Planned) -> Vec<&'static str> {
    planned.problems.iter().map(|problem| problem.kind.code).collect()
}

#[test]
fn a_new_one_costs_what_its_manifest_says_and_not_what_others_cost() {
    let ports = "  ports: [{name: a, port: 80}, {name: b, port: 443}, {name: c, port: 8443}]\n  loadBalancerSourceRanges: [10.0.0.0/8, 192.168.0.0/16]\n";
    let it = only(&World::healthy(), &manifest("new", &[("nlb-target-type", "ip")], &format!("{CLASS}{ports}")));
    assert_eq!((it.fate, codes(&it)), (Fate::Made, vec![]), "{it:#?}");
    assert_eq!(cost(&it, "network_load_balancers"), [(None, 1, Some(48))]);
    assert_eq!(cost(&it, "target_groups"), [(None, 3, Some(2996))], "one a port, whatever the others have");
    assert_eq!(cost(&it, "network_load_balancer_enis_per_vpc"), [(None, 3, Some(1194))]);
    assert_eq!(cost(&it, "listeners_per_network_load_balancer"), [(None, 3, Some(47))]);
    assert_eq!(cost(&it, "security_groups"), [(None, 1, Some(2495))]);
    assert_eq!(cost(&it, "security_groups_per_network_interface"), [(None, 2, Some(3))], "its own and the shared one");
    assert_eq!(cost(&it, "elastic_ips"), [], "AWS brings the addresses along");
    assert_eq!(cost(&it, RULES), [(Some("its own security group"), 6, Some(54))], "the shared group is let in already");
    let subnets: Vec<_> = it.subnets.iter().map(|subnet| (subnet.subnet_id.as_str(), subnet.takes_addresses)).collect();
    assert_eq!(subnets, [("s-private-a", 1), ("s-private-b", 1), ("s-private-c", 1)]);
    let wall = it.first_wall.unwrap();
    assert_eq!((wall.constraint, wall.load_balancers), ("network_load_balancers", 48));
}

#[test]
fn the_first_of_a_protocol_needs_a_rule_on_the_groups_of_the_targets() {
    let udp = manifest("new", &[], &format!("{CLASS}  ports: [{{port: 53, protocol: UDP}}]\n"));
    let it = only(&World::healthy(), &udp);
    let node = Some("sg-node (sg-node-name)");
    assert_eq!(cost(&it, RULES).last(), Some(&(node, 1, Some(58))));
    let mut full = World::healthy();
    full.edit_group(NODE, |it| it.inbound.extend(rules(59, 0)));
    assert_eq!(cost(&only(&full, &one(&[])), RULES).len(), 1, "TCP is let in: only its own group's rules");
    let it = only(&full, &udp);
    assert_eq!((it.fate, codes(&it)), (Fate::NotMade, vec!["PLN001"]));
    assert!(it.because.unwrap().contains("1 of quota rules_per_security_group of sg-node (sg-node-name)"));
}

#[test]
fn without_groups_every_port_and_range_is_a_rule_and_equal_rules_are_one() {
    let mut world = World::healthy();
    world.set_controller("v2.5.4", &[]);
    for (n, zone) in ["a", "b", "c"].iter().enumerate() {
        world.edit_subnet(&format!("s-private-{zone}"), |it| it.cidr = Some(format!("10.0.{n}.0/24").parse().unwrap()));
    }
    let node = Some("sg-node (sg-node-name)");
    let instance = only(&world, &one(&[]));
    assert_eq!(cost(&instance, RULES), [(node, 1, Some(58))], "one block of the VPC");
    let ranged = manifest("new", &[], &format!("{CLASS}{PORT}  loadBalancerSourceRanges: [10.0.0.0/8, 192.168.0.0/16]\n"));
    assert_eq!(cost(&only(&world, &ranged), RULES), [(node, 5, Some(54))], "C + S");
    assert_eq!((cost(&instance, "security_groups"), cost(&instance, "security_groups_per_network_interface")), (vec![], vec![]));
    // Pods of one port behind load balancers in the same subnets share their rules.
    let ip = |name: &str| manifest(name, &[("nlb-target-type", "ip")], &format!("{CLASS}{PORT}"));
    let both = planned(&world, &(ip("a") + &ip("b")));
    assert_eq!((cost(&both[0], RULES), cost(&both[1], RULES)), (vec![(node, 3, Some(56))], vec![]));
    world.edit_group(NODE, |it| it.inbound.push(rule(8080, cidr("10.0.1.0/24"))));
    assert_eq!(cost(&only(&world, &ip("a")), RULES), [(node, 2, Some(56))], "what is there costs nothing");
}

#[test]
fn with_groups_of_their_own_each_needs_a_rule_and_one_that_has_it_none() {
    let mut world = World::healthy();
    world.set_controller("v3.5.0", &[("enable-backend-security-group", "false")]);
    let node = Some("sg-node (sg-node-name)");
    let of_node = |planned: &Planned| -> Vec<(u64, Option<i64>)> {
        let of = cost(planned, RULES).into_iter().filter(|(of, ..)| *of == node);
        of.map(|(_, takes, left)| (takes, left)).collect()
    };
    let both = planned(&world, &["a", "b"].map(|name| manifest(name, &[], &format!("{CLASS}{PORT}"))).concat());
    assert_eq!((of_node(&both[0]), of_node(&both[1])), (vec![(1, Some(58))], vec![(1, Some(57))]), "6.3, mode B");
    let own =
        world.parts.load_balancers.get().unwrap().values().next().unwrap().security_groups.iter().find(|id| id.as_str() == FRONT);
    let mut rule = rule(30080, cidr("10.0.0.0/8"));
    rule.peer = crate::inventory::aws::Peer::SecurityGroup(own.unwrap().clone());
    world.edit_group(NODE, |it| it.inbound.push(rule));
    let same = only(&world, &manifest("web", &[], &format!("{CLASS}  ports: [{{port: 80, nodePort: 30080}}]\n")));
    assert_eq!(of_node(&same), [], "{same:#?}");
}

#[test]
fn the_shared_group_is_made_once() {
    let mut world = World::healthy();
    edit(&mut world.parts.security_groups, |all| all.retain(|id, _| id.as_str() != BACK));
    let both = planned(&world, &["a", "b"].map(|name| manifest(name, &[], &format!("{CLASS}{PORT}"))).concat());
    let made: Vec<_> = both.iter().map(|it| cost(it, "security_groups")[0].1).collect();
    assert_eq!(made, [2, 1]);
}

#[test]
fn several_are_planned_one_after_the_other_and_the_wall_is_named() {
    let mut world = World::healthy();
    world.set_controller("v2.5.4", &[]);
    world.edit_group(NODE, |it| it.inbound.extend(rules(57, 0)));
    let all: String = ["a", "b", "c"].map(|name| manifest(name, &[], &format!("{CLASS}{PORT}"))).concat();
    let found = planned(&world, &all);
    let told: Vec<_> = found.iter().map(|it| (it.fate, cost(it, RULES)[0].2)).collect();
    assert_eq!(told, [(Fate::Made, Some(1)), (Fate::Made, Some(0)), (Fate::NotMade, Some(-1))]);
    let wall = found[0].first_wall.clone().unwrap();
    assert_eq!((wall.constraint, wall.of.as_deref(), wall.load_balancers), (RULES, Some("sg-node (sg-node-name)"), 1));
    assert!(found[2].first_wall.is_none());
    assert_eq!(found[2].costs[0].left, Some(46), "what is not made takes nothing");
}

#[test]
fn its_own_group_can_be_too_small_for_it() {
    let mut ports = String::from("  loadBalancerSourceRanges: [10.0.0.0/8, 11.0.0.0/8, 12.0.0.0/8, 13.0.0.0/8]\n  ports:\n");
    (0..20).for_each(|n| ports.push_str(&format!("  - {{name: p{n}, port: {}}}\n", 8000 + n)));
    let it = only(&World::healthy(), &manifest("new", &[], &format!("{CLASS}{ports}")));
    assert_eq!((it.fate, cost(&it, RULES)), (Fate::NotMade, vec![(Some("its own security group"), 80, Some(-20))]));
    let given = only(&World::healthy(), &manifest("new", &[("security-groups", "sg-unrelated")], &format!("{CLASS}{ports}")));
    assert_eq!((given.fate, cost(&given, RULES)), (Fate::Made, vec![]), "the rules of a group that is given are the user's");
}

#[test]
fn groups_that_are_given_must_exist_and_be_few_enough() {
    let mut world = World::healthy();
    let it = only(&world, &one(&[("security-groups", "sg-unrelated")]));
    assert_eq!(
        (cost(&it, "security_groups"), cost(&it, "security_groups_per_network_interface")),
        (vec![], vec![(None, 1, Some(4))])
    );
    let managed = only(&world, &one(&[("security-groups", "sg-unrelated"), ("manage-backend-security-group-rules", "true")]));
    assert_eq!(cost(&managed, "security_groups_per_network_interface"), [(None, 2, Some(3))]);
    let missing = only(&world, &one(&[("security-groups", "sg-nowhere")]));
    assert_eq!((missing.fate, codes(&missing)), (Fate::NotMade, vec!["NLB604"]), "{missing:#?}");
    let names: Vec<String> = (0..6).map(|n| format!("sg-{n}")).collect();
    names.iter().for_each(|id| world.add_group(group(id, &[], Vec::new())));
    let many = only(&world, &one(&[("security-groups", &names.join(","))]));
    assert_eq!((many.fate, codes(&many)), (Fate::NotMade, vec!["PLN001"]), "{many:#?}");
}

#[test]
fn a_named_subnet_without_eight_addresses_is_refused_by_aws() {
    let mut world = World::healthy();
    world.edit_subnet("s-private-a", |it| {
        it.id = "subnet-a".into();
        it.available_ip_addresses = Some(7);
    });
    edit(&mut world.parts.subnets, |all| {
        let moved = all.remove(&SubnetId::from("s-private-a")).unwrap();
        all.insert(moved.id.clone(), moved);
    });
    let named = only(&world, &one(&[("subnets", "subnet-a")]));
    assert_eq!((named.fate, codes(&named)), (Fate::NotMade, vec!["PLN001"]));
    assert!(named.because.unwrap().contains("subnet-a has 7 free addresses and AWS demands 8"));
    let fixed = only(&world, &one(&[("subnets", "subnet-a"), ("private-ipv4-addresses", "10.0.0.9"), ("scheme", "internal")]));
    assert_eq!(fixed.fate, Fate::Made, "{fixed:#?}");
    let elsewhere =
        only(&world, &one(&[("subnets", "subnet-a"), ("private-ipv4-addresses", "10.9.0.9"), ("scheme", "internal")]));
    assert_eq!(elsewhere.fate, Fate::NotMade);
    let discovered = only(&world, &one(&[]));
    assert_eq!((discovered.fate, discovered.subnets.len()), (Fate::Made, 2), "discovery passes over it");
}

#[test]
fn secondary_addresses_are_kept_of_every_subnet() {
    let world = World::healthy();
    let text = one(&[("attributes", "secondary_ips.auto_assigned.per_subnet=3")]);
    let both = planned(&world, &(text.clone() + &text.replace("name: new", "name: newer")));
    assert!(both[0].subnets.iter().all(|subnet| subnet.takes_addresses == 4 && subnet.free_addresses == Some(200)));
    assert!(both[1].subnets.iter().all(|subnet| subnet.free_addresses == Some(196)));
}

#[test]
fn elastic_ips_are_the_ones_that_are_named_and_each_can_be_used_once() {
    let mut world = World::healthy();
    edit(&mut world.parts.addresses, |all| {
        for n in 1..=4 {
            let address = Address { id: format!("eipalloc-{n}").as_str().into(), associated: n == 4, service_managed: false };
            all.insert(address.id.clone(), Arc::new(address));
        }
    });
    let with = |name: &str, list: &str| {
        manifest(name, &[("scheme", "internet-facing"), ("eip-allocations", list)], &format!("{CLASS}{PORT}"))
    };
    let made = planned(&world, &(with("a", "eipalloc-1,eipalloc-2,eipalloc-3") + &with("b", "eipalloc-3,eipalloc-2,eipalloc-1")));
    assert_eq!((made[0].fate, made[0].elastic_ips.len(), cost(&made[0], "elastic_ips")), (Fate::Made, 3, vec![]));
    assert_eq!(made[1].fate, Fate::NotMade);
    assert!(made[1].because.as_ref().unwrap().contains("given to another Service of this plan"), "{:?}", made[1].because);
    for (list, why) in [
        ("eipalloc-1", "has 1 entries and discovery finds 3 subnets"),
        ("eipalloc-1,eipalloc-2,eipalloc-4", "is in use already"),
        ("eipalloc-1,eipalloc-2,eipalloc-9", "does not exist"),
    ] {
        let it = only(&world, &with("a", list));
        assert_eq!((it.fate, codes(&it)), (Fate::NotMade, vec!["NLB609"]), "{list}");
        assert!(it.because.as_ref().unwrap().contains(why), "{:?}", it.because);
    }
}

#[test]
fn of_one_that_exists_only_the_difference_counts() {
    let world = World::healthy();
    let same = only(&world, &manifest("web", &[], &format!("{CLASS}  ports: [{{port: 80, nodePort: 30080}}]\n")));
    assert_eq!((same.fate, same.costs.len()), (Fate::Kept, 0), "{same:#?}");
    assert!(same.subnets.iter().all(|subnet| subnet.takes_addresses == 0) && same.first_wall.is_none());
    let more = only(&world, &manifest("web", &[], &format!("{CLASS}  ports: [{{name: a, port: 80}}, {{name: b, port: 443}}]\n")));
    assert_eq!(cost(&more, "network_load_balancers"), []);
    assert_eq!(cost(&more, "target_groups"), [(None, 1, Some(2998))]);
    assert_eq!(cost(&more, "listeners_per_network_load_balancer"), [(None, 1, Some(48))]);
    assert_eq!(cost(&more, RULES), [(Some("its own security group"), 1, Some(58))]);
    assert_eq!((cost(&more, "security_groups"), cost(&more, "network_load_balancer_enis_per_vpc")), (vec![], vec![]));
    let public = only(&world, &manifest("web", &[("scheme", "internet-facing")], &format!("{CLASS}{PORT}")));
    assert_eq!((public.fate, cost(&public, "network_load_balancers")), (Fate::Replaced, vec![]));
    assert_eq!(cost(&public, "network_load_balancer_enis_per_vpc"), [(None, 3, Some(1194))], "in other subnets");
    let mut closed = World::healthy();
    ["a", "b", "c"]
        .iter()
        .for_each(|zone| closed.edit_subnet(&format!("s-public-{zone}"), |it| it.available_ip_addresses = Some(3)));
    let stuck = only(&closed, &manifest("web", &[("scheme", "internet-facing")], &format!("{CLASS}{PORT}")));
    assert_eq!(stuck.fate, Fate::Kept, "no subnets, no model: nothing is deleted");
    assert!(codes(&stuck).contains(&"NLB202"));
    assert!(!codes(&stuck).contains(&"PLN002") && stuck.changes.is_empty(), "{stuck:#?}");
    // In the same subnets, which the annotation names: AWS needs its eight addresses again.
    let mut narrow = World::healthy();
    ["a", "b", "c"].iter().for_each(|zone| {
        narrow.edit_subnet(&format!("s-private-{zone}"), |it| {
            it.tags.insert("kubernetes.io/role/elb".into(), "1".into());
            it.available_ip_addresses = Some(6);
        });
        narrow.edit_subnet(&format!("s-public-{zone}"), |it| it.tags.clear());
    });
    let names = ["a", "b", "c"].map(|zone| format!("s-private-{zone}"));
    for zone in ["a", "b", "c"] {
        narrow.edit_subnet(&format!("s-private-{zone}"), |it| {
            it.tags.insert("Name".into(), format!("s-private-{zone}").as_str().into());
        });
    }
    let text = manifest("web", &[("scheme", "internet-facing"), ("subnets", &names.join(","))], &format!("{CLASS}{PORT}"));
    let outage = only(&narrow, &text);
    assert_eq!(outage.fate, Fate::Replaced, "{outage:#?}");
    assert!(codes(&outage).contains(&"PLN001") && codes(&outage).contains(&"PLN002"), "{outage:#?}");
    assert!(outage.problems.iter().any(|it| it.message.contains("would be deleted, and AWS would refuse the new one")));
    let eip = manifest("web", &[("scheme", "internet-facing"), ("eip-allocations", "eipalloc-9")], &format!("{CLASS}{PORT}"));
    let uncounted = only(&world, &eip);
    assert_eq!(
        (uncounted.fate, codes(&uncounted)),
        (Fate::Kept, vec!["NLB609"]),
        "the count is the controller's to see: {uncounted:#?}"
    );
}

#[test]
fn an_upgrade_changes_what_a_new_one_costs() {
    let mut old = World::healthy();
    old.set_controller("v2.5.4", &[]);
    let mut new = World::healthy();
    new.set_controller("v3.5.0", &[]);
    let of = |world: &World| {
        let it = only(world, &one(&[]));
        (
            cost(&it, "security_groups").len(),
            cost(&it, RULES).iter().map(|(of, takes, _)| (of.map(str::to_owned), *takes)).collect::<Vec<_>>(),
        )
    };
    assert_eq!(of(&old), (0, vec![(Some("sg-node (sg-node-name)".into()), 1)]));
    assert_eq!(of(&new), (1, vec![(Some("its own security group".into()), 1)]));
}

#[test]
fn auto_mode_is_told_and_not_judged() {
    let world = World::healthy();
    let classy = manifest(
        "new",
        &[("cross-zone-load-balancing-enabled", "true")],
        &format!("  loadBalancerClass: eks.amazonaws.com/nlb\n{PORT}"),
    );
    let it = only(&world, &classy);
    assert_eq!((it.owner, it.fate, codes(&it)), ("eks-auto-mode", Fate::Elsewhere, vec!["NLB618"]), "{it:#?}");
    assert!(it.notes[0].contains("not judged") && it.subnets.is_empty() && cost(&it, RULES).is_empty());
    assert_eq!(cost(&it, "network_load_balancers"), [(None, 1, Some(48))], "that much is sure");
    let mut full = World::healthy();
    full.set_quota("network_load_balancers", 1.0, QuotaOrigin::Applied);
    assert_eq!(only(&full, &classy).fate, Fate::NotMade);

    // Without a class.
    let mut auto = World::healthy();
    let cluster = EksCluster {
        name: "demo".into(),
        version: None,
        vpc_id: None,
        subnets: [].into(),
        cluster_security_group: None,
        auto_mode: true,
    };
    auto.parts.eks_cluster = Part::fetched(cluster, now());
    let classless = manifest("new", &[], PORT);
    let both = only(&auto, &classless);
    assert_eq!(
        (both.owner, both.fate, codes(&both)),
        ("unknown", Fate::Elsewhere, vec![]),
        "two webhooks, and nobody knows who is first"
    );
    edit(&mut auto.parts.controllers, |all| all.clear());
    for text in [classless.clone(), manifest("new", &[("type", "external"), ("nlb-target-type", "ip")], PORT)] {
        let it = only(&auto, &text);
        assert_eq!((it.owner, it.fate, codes(&it)), ("eks-auto-mode", Fate::Elsewhere, vec![]), "{it:#?}");
    }
    let in_tree = only(&world, &classless);
    assert_eq!((in_tree.owner, codes(&in_tree)), ("in-tree", vec!["NLB702"]));
    assert!(in_tree.problems[0].message.starts_with("Unless the controller's webhook"), "{in_tree:#?}");
}

/// The plan of the Service that the cluster has, as a version of the controller would make it.
fn under(version: &str, annotations: &[(&str, &str)], prepare: impl Fn(&mut World)) -> Planned {
    let mut world = World::healthy();
    prepare(&mut world);
    world.set_controller(version, &[]);
    let text = manifest("web", annotations, &format!("{CLASS}  ports: [{{name: http, port: 80, nodePort: 30080}}]\n"));
    only(&world, &text)
}

#[test]
fn what_an_upgrade_changes_for_a_service_that_exists_is_told() {
    let nothing = |_: &mut World| {};
    let refused = |version: &str, annotations: &[(&str, &str)]| codes(&under(version, annotations, nothing)).contains(&"NLB604");
    let wildcard: &[_] = &[("ssl-cert", "arn:aws:acm:us-east-1:1:certificate/x"), ("ssl-ports", "*")];
    assert_eq!(
        (refused("2.4.7", wildcard), refused("2.5.0", wildcard)),
        (false, true),
        "1.6: an unused port is an error since 2.5.0"
    );
    let bare: &[_] = &[("disable-nlb-sg", "true")];
    assert_eq!((refused("2.13.0", bare), refused("2.14.0", bare)), (false, true), "1.5: read since 2.14.0, and in conflict");

    // 3.1: a dual-stack load balancer needs IPv6 blocks in its subnets since 3.5.0.
    let stuck = |version: &str| codes(&under(version, &[("ip-address-type", "dualstack")], nothing)).contains(&"NLB202");
    assert_eq!((stuck("3.4.0"), stuck("3.5.0")), (false, true));
    // 2 rule 3: the class counts since 2.4.0.
    assert_eq!(
        (under("2.3.1", &[], nothing).owner, under("2.4.0", &[], nothing).owner),
        ("third-party", "aws-load-balancer-controller")
    );
}

#[test]
fn what_an_upgrade_changes_in_aws_is_told_at_once() {
    use crate::checks::testing::{self, FETCHED, at, service};
    let changed = |version: &str, key: &str, value: &str, settled: bool| {
        let built = service("shop/web").external("ip").annotate(&format!("aws-load-balancer-{key}"), value);
        let mut world = testing::World::of(&built).tag("team", "a");
        world.controllers(&[testing::controller(version)]);
        edit(&mut world.parts.subnets, |all| {
            all.values_mut()
                .for_each(|it| Arc::make_mut(it).zone = it.id.as_str().replace("subnet-", "us-east-1").as_str().into());
        });
        if !settled {
            world = world.change_service(|it| it.annotations_written_at = Some(at(FETCHED - 5)));
        }
        let text = manifest(
            "web",
            &[("type", "external"), ("nlb-target-type", "ip"), (key, value)],
            "  ports: [{name: http, port: 80, targetPort: 8080, nodePort: 30080}]\n",
        );
        let manifests = manifests::read("x.yaml", &text, "default", at(testing::NOW)).unwrap();
        let input = Input { manifests, parts: world.parts.clone(), offline: false, policy: &world.policy, now: at(testing::NOW) };
        let it = plan(input).services.remove(0);
        assert_eq!(it.fate, Fate::Kept, "{it:#?}");
        it.changes.iter().map(|change| (change.field.clone(), change.effect)).collect::<Vec<_>>()
    };
    for (key, value, before, since, effect, why) in [
        (
            "additional-resource-tags",
            "team=a,",
            "2.14.0",
            "2.14.1",
            Effect::InPlace,
            "T8: a comma at the end belongs to the value",
        ),
        ("proxy-protocol-per-target-group", "80", "2.12.0", "2.13.0", Effect::InPlace, "1.7: read since 2.13.0"),
        ("attributes", "load_balancing.cross_zone.enabled=true", "2.2.4", "2.3.0", Effect::InPlace, "1.4: read since 2.3.0"),
    ] {
        let of = |version: &str, settled| {
            changed(version, key, value, settled).into_iter().find(|(field, _)| field.contains(&key[..9]))
        };
        assert_eq!(of(before, true), None, "{why}");
        assert_eq!(of(since, true).map(|(_, effect)| effect), Some(effect), "{why}");
        assert_eq!(of(since, false).map(|(_, effect)| effect), Some(effect), "{why}: nobody waits for ten minutes");
    }
}

#[test]
fn no_service_is_said_in_one_sentence() {
    for text in ["", "kind: Deployment\napiVersion: apps/v1\nmetadata: {name: x}\n"] {
        let manifests = manifests::read("x.yaml", text, "default", now()).unwrap();
        let policy = Policy::default();
        let plan = plan(Input { manifests, parts: Parts::default(), offline: true, policy: &policy, now: now() });
        for printed in [print::as_text(&plan, false), print::as_markdown(&plan)] {
            assert!(printed.contains("No Service stands in what was read") && printed.trim().lines().count() == 1, "{printed}");
        }
    }
}
