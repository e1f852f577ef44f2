use std::sync::Arc;

use super::cost::{Mode, RuleCost};
use super::*;
use crate::checks::security_groups::fixtures::{
    BACK, FRONT, NODE, World, cidr, edit, group, incomplete, interface, rule, service, target,
};
use crate::inventory::aws::{Attachment, Peer, Rule, SecurityGroup};
use crate::inventory::ids::VpcId;

fn roles(world: &World) -> Vec<(String, &'static str, String)> {
    let text = |service: Option<&ObjectName>| service.map(ToString::to_string).unwrap_or_default();
    Roles::of(&world.snapshot()).iter().map(|(id, role, service)| (id.to_string(), role.as_str(), text(service))).collect()
}

fn endpoints(world: &World) -> Vec<String> {
    roles(world).into_iter().filter(|(_, role, _)| *role == "endpoint").map(|(id, ..)| id).collect()
}

fn mode(world: &World) -> Option<Mode> {
    let snapshot = world.snapshot();
    RuleCost::of_one_more(&snapshot, &Roles::of(&snapshot)).map(|cost| cost.mode)
}

fn described(mut rule: Rule, description: &str) -> Rule {
    rule.description = Some(description.into());
    rule
}

#[test]
fn the_groups_of_a_cluster_have_their_roles_and_others_have_none() {
    let mut world = World::healthy();
    let eks = [("aws:eks:cluster-name", "demo")];
    world.add_group(SecurityGroup { name: "eks-cluster-sg-demo-1".into(), ..group("sg-eks", &eks, Vec::new()) });
    world.add_group(SecurityGroup { name: "nodes".into(), ..group("sg-other-eks", &eks, Vec::new()) });
    let expected =
        [(BACK, "backend", ""), ("sg-eks", "cluster", ""), (FRONT, "frontend_managed", "shop/web"), (NODE, "endpoint", "")];
    assert_eq!(roles(&world), expected.map(|(id, role, service)| (id.to_owned(), role, service.to_owned())));
}

#[test]
fn a_group_of_another_cluster_or_vpc_has_no_role() {
    let mut world = World::healthy();
    let foreign =
        [("elbv2.k8s.aws/cluster", "other"), ("service.k8s.aws/resource", MANAGED), ("elbv2.k8s.aws/resource", "backend-sg")];
    world.add_group(group("sg-foreign", &foreign, Vec::new()));
    let twin = [("elbv2.k8s.aws/cluster", "demo"), ("service.k8s.aws/resource", MANAGED), ("service.k8s.aws/stack", "shop/web")];
    world.add_group(SecurityGroup { vpc_id: VpcId::from("vpc-2"), ..group("sg-twin", &twin, Vec::new()) });
    let found = roles(&world);
    assert!(found.iter().all(|(id, ..)| id != "sg-foreign" && id != "sg-twin"), "{found:?}");
}

#[test]
fn a_group_on_a_load_balancer_that_is_neither_managed_nor_backend_is_custom_for_each_of_its_services() {
    let mut world = World::healthy();
    world.add_load_balancer("api", &[]);
    world.add_group(group("sg-mine", &[], Vec::new()));
    for name in ["web", "api"] {
        world.edit_load_balancer(name, |it| {
            it.security_groups = ["sg-mine", BACK, "sg-unlisted"].map(SecurityGroupId::from).into()
        });
    }
    let custom: Vec<_> = roles(&world).into_iter().filter(|(_, role, _)| *role == "frontend_custom").collect();
    let of = |service: &str| ("sg-mine".to_owned(), "frontend_custom", service.to_owned());
    assert_eq!(custom, [of("shop/api"), of("shop/web")], "what a group without known tags is cannot be told");
}

#[test]
fn the_group_that_auto_mode_shares_among_its_load_balancers_is_no_users() {
    let mut world = World::healthy();
    world.add_load_balancer("api", &[]);
    world.add_group(group("sg-auto", &[("eks:eks-cluster-name", "demo")], Vec::new()));
    world.add_group(group("sg-theirs", &[("eks:eks-cluster-name", "other")], Vec::new()));
    for name in ["web", "api"] {
        world.edit_load_balancer(name, |it| it.security_groups = ["sg-auto", "sg-theirs"].map(SecurityGroupId::from).into());
    }
    let of = |id: &str| roles(&world).into_iter().filter(|it| it.0 == id).map(|(_, role, _)| role).collect::<Vec<_>>();
    assert_eq!(of("sg-auto"), ["backend"]);
    assert_eq!(of("sg-theirs"), ["frontend_custom", "frontend_custom"]);
}

#[test]
fn the_backend_group_can_be_named_by_a_flag() {
    let mut world = World::healthy();
    world.add_group(group("sg-named", &[], Vec::new()));
    world.set_controller("v3.5.0", &[("backend-security-group", "sg-named")]);
    assert!(Roles::of(&world.snapshot()).has(&SecurityGroupId::from("sg-named"), Role::Backend));
}

#[test]
fn without_the_clusters_name_there_are_no_roles() {
    let mut world = World::healthy();
    world.parts.scope.cluster_name = None;
    assert_eq!(roles(&world), []);
}

#[test]
fn an_instance_target_is_reached_through_its_nodes_primary_interface() {
    let mut world = World::healthy();
    let mut second = interface("eni-second", &["sg-unrelated"]);
    second.attachment = Some(Attachment { instance_id: "i-0".into(), device_index: 1 });
    edit(&mut world.parts.network_interfaces, |all| drop(all.insert(second.id.clone(), Arc::new(second))));
    assert_eq!(endpoints(&world), [NODE]);
}

#[test]
fn an_ip_target_is_reached_through_the_interface_that_holds_its_address_or_prefix() {
    let mut world = World::healthy();
    for id in ["sg-pod", "sg-prefix", "sg-six", "sg-wide", "sg-lb"] {
        world.add_group(group(id, &[], Vec::new()));
    }
    let mut pod = interface("eni-pod", &["sg-pod"]);
    pod.addresses = vec!["10.0.0.9".parse().unwrap(), "2001:db8::9".parse().unwrap()];
    let mut prefix = interface("eni-prefix", &["sg-prefix"]);
    prefix.prefixes = vec!["10.0.1.16/28".parse().unwrap()];
    let mut six = interface("eni-six", &["sg-six"]);
    six.prefixes = vec!["2001:db8:1::/80".parse().unwrap()];
    let mut lb = interface("eni-lb", &["sg-lb"]);
    lb.of_network_load_balancer = true;
    lb.addresses = vec!["10.0.0.77".parse().unwrap()];
    edit(&mut world.parts.network_interfaces, |all| all.extend([pod, prefix, six, lb].map(|it| (it.id.clone(), Arc::new(it)))));
    edit(&mut world.parts.target_groups, |all| {
        Arc::make_mut(all.values_mut().next().unwrap()).target_type = crate::inventory::aws::TargetType::Ip;
    });
    for (address, expected) in [
        ("10.0.0.9", vec!["sg-pod"]),
        ("2001:db8::9", vec!["sg-pod"]),
        ("10.0.1.31", vec!["sg-prefix"]),
        ("2001:db8:1::77", vec!["sg-six"]),
        // Nothing holds these: before there are targets, the nodes' groups are those that the next ones will need.
        ("10.0.1.32", vec![NODE]),
        ("10.0.0.77", vec![NODE]),
        ("192.168.0.1", vec![NODE]),
    ] {
        world.set_targets("web", vec![target(address)]);
        assert_eq!(endpoints(&world), expected, "{address}");
    }
}

#[test]
fn targets_of_a_group_shared_with_other_clusters_do_not_make_endpoint_groups() {
    use crate::inventory::kube::{BindingGroup, PortReference, TargetGroupBinding};
    let mut world = World::healthy();
    let mut foreign = interface("eni-foreign", &["sg-unrelated"]);
    foreign.attachment = Some(Attachment { instance_id: "i-foreign".into(), device_index: 0 });
    edit(&mut world.parts.network_interfaces, |all| drop(all.insert(foreign.id.clone(), Arc::new(foreign))));
    world.set_targets("web", vec![target("i-0"), target("i-foreign")]);
    assert_eq!(endpoints(&world), [NODE, "sg-unrelated"]);
    let binding = TargetGroupBinding {
        name: ObjectName::new("shop", "web"),
        group: BindingGroup::LoadBalancerController,
        created_at: jiff::Timestamp::UNIX_EPOCH,
        deleted_at: None,
        target_group_arn: Some(world.parts.target_groups.get().unwrap().values().next().unwrap().arn.clone()),
        target_type: None,
        service: ObjectName::new("shop", "web"),
        service_port: PortReference::Number(80),
        networking: true,
        node_selector: None,
        multi_cluster: true,
        other_account: false,
        vpc_id: None,
        stack: None,
    };
    edit(&mut world.parts.target_group_bindings, |all| drop(all.insert(binding.name.clone(), Arc::new(binding))));
    assert_eq!(endpoints(&world), [NODE], "the nodes' group");
}

#[test]
fn of_several_groups_the_one_tagged_for_the_cluster_gets_the_rules() {
    let world = |groups: &[(&str, &[(&str, &str)])]| {
        let mut world = World::healthy();
        for (id, tags) in groups {
            world.add_group(group(id, tags, Vec::new()));
        }
        edit(&mut world.parts.network_interfaces, |all| {
            let eni = Arc::make_mut(all.get_mut("eni-0").unwrap());
            eni.security_groups = groups.iter().map(|(id, _)| SecurityGroupId::from(*id)).collect();
            all.retain(|id, _| id.as_str() == "eni-0");
        });
        world
    };
    const OURS: (&str, &str) = ("kubernetes.io/cluster/demo", "anything");
    assert_eq!(endpoints(&world(&[("sg-1", &[])])), ["sg-1"], "the only one needs no tag");
    assert_eq!(endpoints(&world(&[("sg-1", &[OURS]), ("sg-2", &[])])), ["sg-1"]);
    assert_eq!(endpoints(&world(&[("sg-1", &[OURS]), ("sg-2", &[OURS])])), [""; 0], "the controller fails on two");
    assert_eq!(endpoints(&world(&[("sg-1", &[]), ("sg-2", &[])])), [""; 0], "and on none");
    let mut further = world(&[("sg-1", &[OURS, ("role", "nodes")]), ("sg-2", &[OURS])]);
    further.set_controller("v3.5.0", &[("service-target-eni-security-group-tags", "role=nodes")]);
    assert_eq!(endpoints(&further), ["sg-1"]);
}

#[test]
fn while_interfaces_are_unknown_marks_on_the_groups_tell() {
    let mut world = World::healthy();
    incomplete(&mut world.parts.network_interfaces);
    assert_eq!(endpoints(&world), [NODE], "tagged as owned");
    let owned = [("kubernetes.io/cluster/demo", "owned")];
    world.add_group(SecurityGroup { name: "k8s-elb-a0123".into(), ..group("sg-classic", &owned, Vec::new()) });
    world.edit_group(FRONT, |it| drop(it.tags.insert(owned[0].0.into(), owned[0].1.into())));
    assert_eq!(endpoints(&world), [NODE], "groups on load balancers are no endpoint groups");
    world.edit_group(NODE, |it| it.tags.clear());
    assert_eq!(endpoints(&world), [NODE], "a labelled rule lets this cluster's group in");
    let shared = "elbv2.k8s.aws/targetGroupBinding=shared";
    world.edit_group(NODE, |it| it.inbound = vec![described(rule(1, cidr("10.0.0.0/8")), shared)]);
    assert_eq!(endpoints(&world), [""; 0], "the label alone may be another cluster's");
    world.edit_group(NODE, |it| drop(it.tags.insert("kubernetes.io/cluster/demo".into(), "shared".into())));
    assert_eq!(endpoints(&world), [NODE]);
    let described_further = format!("for=us,{shared}");
    world.edit_group(NODE, |it| it.inbound = vec![described(rule(1, cidr("10.0.0.0/8")), &described_further)]);
    assert_eq!(endpoints(&world), [NODE], "other text beside the label does not matter");
    world.edit_group(NODE, |it| it.inbound = vec![rule(1, Peer::SecurityGroup(BACK.into()))]);
    assert_eq!(endpoints(&world), [""; 0]);
}

/// `web` as the in-tree provider's.
fn in_tree(world: &mut World) {
    let arn = world.parts.load_balancers.get().unwrap().values().next().unwrap().arn.clone();
    world.tag(arn, &[("kubernetes.io/service-name", "shop/web"), ("kubernetes.io/cluster/demo", "owned")]);
    world.edit_load_balancer("web", |it| it.security_groups.clear());
}

#[test]
fn the_in_tree_providers_marks_name_the_load_balancer() {
    let mut world = World::healthy();
    in_tree(&mut world);
    incomplete(&mut world.parts.network_interfaces);
    world.edit_group(NODE, |it| {
        it.tags.clear();
        it.inbound = vec![described(rule(1, cidr("0.0.0.0/0")), "kubernetes.io/rule/nlb/client=web")];
    });
    assert_eq!(endpoints(&world), [NODE]);
    world.edit_group(NODE, |it| it.inbound = vec![described(rule(1, cidr("0.0.0.0/0")), "kubernetes.io/rule/nlb/client=other")]);
    assert_eq!(endpoints(&world), [""; 0]);
}

#[test]
fn the_next_load_balancers_mode_follows_the_controllers_settings() {
    let mut world = World::healthy();
    assert_eq!(mode(&world), Some(Mode::SharedGroup));
    world.set_controller("v2.5.4", &[]);
    assert_eq!(mode(&world), Some(Mode::Ranges), "before 2.6.0 load balancers had no groups");
    world.set_controller("v3.5.0", &[("feature-gates", "NLBSecurityGroup=false")]);
    assert_eq!(mode(&world), Some(Mode::Ranges));
    world.set_controller("v3.5.0", &[("enable-backend-security-group", "false")]);
    assert_eq!(mode(&world), Some(Mode::OwnGroup));
}

#[test]
fn old_load_balancers_without_groups_do_not_decide_the_next_one() {
    let mut world = World::healthy();
    world.edit_load_balancer("web", |it| it.security_groups.clear());
    assert_eq!(mode(&world), Some(Mode::SharedGroup));
    edit(&mut world.parts.services, |all| {
        let service = Arc::make_mut(all.values_mut().next().unwrap());
        service.annotations = crate::checks::security_groups::fixtures::service("x", &[("disable-nlb-sg", "true")]).annotations;
    });
    assert_eq!(mode(&world), Some(Mode::Ranges), "a Service asks for one without");
}

#[test]
fn a_cluster_of_custom_groups_adds_no_rules() {
    let mut world = World::healthy();
    world.add_group(group("sg-mine", &[], Vec::new()));
    world.edit_load_balancer("web", |it| it.security_groups = [SecurityGroupId::from("sg-mine")].into());
    assert_eq!(mode(&world), Some(Mode::Manual));
    world.add_load_balancer("api", &[]);
    assert_eq!(mode(&world), Some(Mode::SharedGroup), "not all of them are");
}

#[test]
fn with_unreadable_settings_the_newest_load_balancer_shows_the_mode() {
    let mut world = World::healthy();
    world.parts.controllers = Default::default();
    world.add_load_balancer("old", &[]);
    world.edit_load_balancer("old", |it| {
        it.security_groups.clear();
        it.created_at = Some(jiff::Timestamp::from_second(-5).unwrap());
    });
    assert_eq!(mode(&world), Some(Mode::SharedGroup));
    world.edit_load_balancer("old", |it| it.created_at = Some(jiff::Timestamp::from_second(5).unwrap()));
    assert_eq!(mode(&world), Some(Mode::Ranges));
}

#[test]
fn the_in_tree_mode_needs_the_in_tree_provider_and_no_controller() {
    let mut world = World::healthy();
    in_tree(&mut world);
    assert_eq!(mode(&world), Some(Mode::SharedGroup), "the controller that is installed makes the next one");
    edit(&mut world.parts.controllers, |all| all.clear());
    assert_eq!(mode(&world), Some(Mode::InTree));
    edit(&mut world.parts.load_balancers, |all| all.clear());
    assert_eq!(mode(&world), None, "nobody is there");
}

#[test]
fn the_cost_of_one_more_is_that_of_the_median() {
    let mut world = World::healthy();
    world.set_controller("v2.5.4", &[]);
    for (name, ranges) in [("one", vec!["10.0.0.0/8"]), ("two", vec!["10.0.0.0/8", "192.168.0.0/16"])] {
        world.add_load_balancer(name, &[]);
        let service =
            crate::inventory::kube::Service { source_ranges: ranges.into_iter().map(Into::into).collect(), ..service(name, &[]) };
        world.add_service(service);
    }
    for name in ["web", "one", "two"] {
        world.edit_load_balancer(name, |it| it.security_groups.clear());
    }
    let snapshot = world.snapshot();
    let cost = RuleCost::of_one_more(&snapshot, &Roles::of(&snapshot)).unwrap();
    // Internal, three zones: one VPC block; one range and three subnets; two ranges and three subnets.
    assert_eq!((cost.ipv4, cost.ipv6), (4, 0));
}

#[test]
fn without_any_load_balancer_the_least_is_assumed() {
    let mut world = World::healthy();
    world.set_controller("v2.5.4", &[]);
    edit(&mut world.parts.load_balancers, |all| all.clear());
    let snapshot = world.snapshot();
    assert_eq!(RuleCost::of_one_more(&snapshot, &Roles::of(&snapshot)), Some(RuleCost { mode: Mode::Ranges, ipv4: 1, ipv6: 0 }));
}

/// One change to the healthy world.
type Change = fn(&mut World);

fn version(version: &'static str) -> impl Fn(&mut World) {
    move |world| world.set_controller(version, &[])
}

fn groups(world: &mut World, ids: &[&str]) {
    for id in ids.iter().filter(|id| id.starts_with("sg-mine")) {
        world.add_group(group(id, &[], Vec::new()));
    }
    world.edit_load_balancer("web", |it| it.security_groups = ids.iter().map(|id| SecurityGroupId::from(*id)).collect());
}

fn annotate(world: &mut World, pairs: &[(&str, &str)]) {
    world.edit_service("web", |it| it.annotations = service("x", pairs).annotations);
}

#[test]
fn every_mode_is_told_by_settings_and_load_balancers() {
    let table: [(&str, Change, Option<Mode>, u64); 14] = [
        ("6.2 A: the default since 2.6.0", |world| version("v2.6.0")(world), Some(Mode::SharedGroup), 0),
        ("6.2 A: the newest", |world| version("v3.5.0")(world), Some(Mode::SharedGroup), 0),
        ("6.2 A: an unreadable version", |world| version("latest")(world), Some(Mode::SharedGroup), 0),
        (
            "6.2 B: no shared group",
            |world| world.set_controller("v3.5.0", &[("enable-backend-security-group", "false")]),
            Some(Mode::OwnGroup),
            1,
        ),
        ("6.2 C: custom groups", |world| groups(world, &["sg-mine-1", "sg-mine-2"]), Some(Mode::Manual), 0),
        ("6.2 D: custom groups beside the shared one", |world| groups(world, &["sg-mine-1", BACK]), Some(Mode::SharedGroup), 0),
        ("6.2 E: before 2.6.0", |world| version("v2.5.4")(world), Some(Mode::Ranges), 1),
        (
            "6.2 E: the gate",
            |world| world.set_controller("v3.5.0", &[("feature-gates", "NLBSecurityGroup=false")]),
            Some(Mode::Ranges),
            1,
        ),
        (
            "6.2 E: a Service asks for none",
            |world| {
                groups(world, &[]);
                annotate(world, &[("disable-nlb-sg", "true")]);
            },
            Some(Mode::Ranges),
            1,
        ),
        (
            "6.2 E: without groups, rules switched off",
            |world| {
                version("v2.5.4")(world);
                groups(world, &[]);
                annotate(world, &[("manage-backend-security-group-rules", "false")]);
            },
            Some(Mode::Manual),
            0,
        ),
        ("6.2 E: an old one does not decide the next", |world| groups(world, &[]), Some(Mode::SharedGroup), 0),
        (
            "6.2 in-tree: nobody else is there",
            |world| {
                in_tree(world);
                edit(&mut world.parts.controllers, |all| all.clear());
            },
            Some(Mode::InTree),
            1,
        ),
        ("6.2 in-tree: the controller makes the next one", in_tree, Some(Mode::SharedGroup), 0),
        (
            "6.2 nobody",
            |world| {
                edit(&mut world.parts.controllers, |all| all.clear());
                edit(&mut world.parts.load_balancers, |all| all.clear());
            },
            None,
            0,
        ),
    ];
    for (source, change, mode, ipv4) in table {
        let mut world = World::healthy();
        change(&mut world);
        let snapshot = world.snapshot();
        let cost = RuleCost::of_one_more(&snapshot, &Roles::of(&snapshot));
        assert_eq!(cost.map(|cost| cost.mode), mode, "{source}");
        assert_eq!(cost.map_or(0, |cost| cost.ipv4), ipv4, "{source}");
    }
}
