use super::super::security_groups::fixtures::{World, edit, group, incomplete, load_balancer_id, now, service, subnet, tags};
use super::CHECK;
use crate::inventory::aws::{EksCluster, Locale, Tags};
use crate::inventory::ids::{SubnetId, ZoneName};
use crate::inventory::part::Part;
use jiff::Timestamp;
use std::sync::Arc;

const ELB: &str = "kubernetes.io/role/elb";
const INTERNAL: &str = "kubernetes.io/role/internal-elb";

/// Only private subnets of zone `a` are left.
fn only_private_a(world: &mut World) {
    edit(&mut world.parts.subnets, |all| all.retain(|id, _| id.as_str() == "s-private-a"));
}

#[test]
fn a_healthy_cluster_has_series_and_no_findings() {
    let said = World::healthy().run(&CHECK);
    assert_eq!(said.codes(), [""; 0]);
    assert_eq!(said.value("subnet_info", &["s-public-a", "", "vpc-1", "a", "use1-a", "10.0.0.0/24"]), Some(1.0));
    assert_eq!(said.value("subnet_available_ip_addresses", &["s-public-a"]), Some(200.0));
    assert_eq!(said.value("subnet_ip_addresses", &["s-public-a"]), Some(251.0));
    assert_eq!(said.value("subnet_route", &["s-public-a", "public"]), Some(1.0));
    assert_eq!(said.value("subnet_route", &["s-private-a", "private"]), Some(1.0));
    assert_eq!(said.value("subnet_discovery", &["s-public-a", "internet-facing", "chosen"]), Some(1.0));
    assert_eq!(said.value("subnet_discovery", &["s-public-a", "internal", "no_role_tag"]), Some(1.0));
    assert_eq!(said.series("subnet_discovery").len(), 6 * 2, "every subnet and scheme, once");
    assert_eq!(said.value("scheme_usable_zones", &["internal"]), Some(3.0));
    assert_eq!(said.value("scheme_usable_zones", &["internet-facing"]), Some(3.0));
}

#[test]
fn an_ipv6_only_subnet_has_no_address_counts_and_no_finding() {
    let mut world = World::healthy();
    let mut six = subnet("s-six", "a", 0, &[(INTERNAL, "1"), ("Name", "six")]);
    (six.cidr, six.available_ip_addresses) = (None, None);
    six.ipv6_cidrs = vec!["2001:db8::/64".parse().unwrap()];
    edit(&mut world.parts.subnets, |all| drop(all.insert(six.id.clone(), Arc::new(six))));
    let said = world.run(&CHECK);
    assert_eq!(said.value("subnet_info", &["s-six", "six", "vpc-1", "a", "use1-a", "2001:db8::/64"]), Some(1.0));
    assert_eq!(said.value("subnet_available_ip_addresses", &["s-six"]), None);
    assert_eq!(said.value("subnet_ip_addresses", &["s-six"]), None);
    assert_eq!(said.value("subnet_discovery", &["s-six", "internal", "few_addresses"]), Some(1.0));
    assert_eq!(said.codes(), [""; 0]);
}

#[test]
fn a_slash_28_has_eleven_usable_addresses() {
    let mut world = World::healthy();
    world.edit_subnet("s-public-a", |it| it.cidr = Some("10.0.0.0/28".parse().unwrap()));
    assert_eq!(world.run(&CHECK).value("subnet_ip_addresses", &["s-public-a"]), Some(11.0));
}

#[test]
fn seven_free_addresses_are_a_warning_eight_are_low_and_sixteen_are_fine() {
    for (free, codes) in [(7, vec!["NLB201"]), (8, vec!["NLB206"]), (15, vec!["NLB206"]), (16, vec![]), (0, vec!["NLB201"])] {
        let mut world = World::healthy();
        world.edit_subnet("s-private-b", |it| it.available_ip_addresses = Some(free));
        let said = world.run(&CHECK);
        assert_eq!(said.codes(), codes, "{free}");
        assert_eq!(said.value("scheme_usable_zones", &["internal"]), Some(if free < 8 { 2.0 } else { 3.0 }));
    }
}

#[test]
fn the_warning_names_subnet_zone_and_numbers() {
    let mut world = World::healthy();
    world.edit_subnet("s-private-b", |it| {
        it.available_ip_addresses = Some(5);
        it.tags.insert("Name".into(), "private b".into());
    });
    let said = world.run(&CHECK);
    assert_eq!(said.findings(), [("NLB201", "subnet s-private-b".to_owned())]);
    assert_eq!(
        said.messages(),
        [
            "s-private-b (private b) in zone b has 5 free addresses of 251, and a new load balancer needs 8; no other subnet of the \
          zone stands in for internal load balancers"
        ]
    );
}

#[test]
fn a_subnet_that_serves_both_schemes_is_found_once() {
    let mut world = World::healthy();
    world.edit_subnet("s-public-a", |it| {
        it.available_ip_addresses = Some(3);
        it.tags.insert(INTERNAL.into(), "1".into());
    });
    edit(&mut world.parts.subnets, |all| drop(all.remove(&SubnetId::from("s-private-a"))));
    assert_eq!(world.run(&CHECK).findings(), [("NLB201", "subnet s-public-a".to_owned())]);
}

#[test]
fn a_full_subnet_is_silent_where_another_serves_its_zone() {
    let mut world = World::healthy();
    world.edit_subnet("s-private-b", |it| it.available_ip_addresses = Some(0));
    let relief = subnet("s-relief-b", "b", 100, &[(INTERNAL, "1")]);
    edit(&mut world.parts.subnets, |all| drop(all.insert(relief.id.clone(), Arc::new(relief))));
    assert_eq!(world.run(&CHECK).codes(), [""; 0]);
    world.edit_subnet("s-relief-b", |it| it.available_ip_addresses = Some(8));
    assert_eq!(world.run(&CHECK).findings(), [("NLB206", "subnet s-relief-b".to_owned())], "the relief is running low itself");
    world.edit_subnet("s-relief-b", |it| it.available_ip_addresses = Some(7));
    assert_eq!(world.run(&CHECK).codes(), ["NLB201", "NLB201"]);
}

#[test]
fn unrelated_and_foreign_subnets_are_silent() {
    let mut world = World::healthy();
    let others = [
        subnet("s-pods", "a", 1, &[]),
        subnet("s-foreign", "a", 1, &[(INTERNAL, "1"), ("kubernetes.io/cluster/other", "owned")]),
        subnet("s-odd-foreign", "a", 1, &[(INTERNAL, "yes"), ("kubernetes.io/cluster/other", "owned")]),
    ];
    edit(&mut world.parts.subnets, |all| all.extend(others.map(|it| (it.id.clone(), Arc::new(it)))));
    let said = world.run(&CHECK);
    assert_eq!(said.codes(), [""; 0]);
    assert_eq!(said.value("subnet_discovery", &["s-foreign", "internal", "foreign_cluster"]), Some(1.0));
}

#[test]
fn a_small_subnet_is_a_matter_only_where_it_was_tagged_for_load_balancers() {
    let mut world = World::healthy();
    let mut small = subnet("s-private-b", "b", 7, &[(INTERNAL, "1")]);
    small.cidr = Some("10.0.0.0/28".parse().unwrap());
    edit(&mut world.parts.subnets, |all| drop(all.insert(small.id.clone(), Arc::new(small))));
    assert_eq!(world.run(&CHECK).codes(), ["NLB201"]);
    world.edit_subnet("s-private-b", |it| it.available_ip_addresses = Some(8));
    assert_eq!(world.run(&CHECK).codes(), [""; 0], "a /28 never has 16 free");

    // Untagged VPC: subnets of the control plane are candidates by their routes.
    let mut world = World::healthy();
    for id in ["a", "b", "c"].map(|zone| format!("s-private-{zone}")) {
        world.edit_subnet(&id, |it| it.tags = Tags::new());
    }
    let mut small = subnet("s-plane", "d", 7, &[]);
    small.cidr = Some("10.0.0.0/28".parse().unwrap());
    edit(&mut world.parts.subnets, |all| drop(all.insert(small.id.clone(), Arc::new(small))));
    assert_eq!(world.run(&CHECK).codes(), [""; 0]);
    world.edit_subnet("s-plane", |it| it.cidr = Some("10.0.0.0/27".parse().unwrap()));
    assert_eq!(world.run(&CHECK).codes(), ["NLB201"]);
}

#[test]
fn no_usable_zone_is_critical_for_a_scheme_in_use_only() {
    let mut world = World::healthy();
    for zone in ["a", "b", "c"] {
        world.edit_subnet(&format!("s-public-{zone}"), |it| it.tags.extend(tags(&[("kubernetes.io/cluster/other", "shared")])));
    }
    let said = world.run(&CHECK);
    assert_eq!(said.value("scheme_usable_zones", &["internet-facing"]), Some(0.0));
    assert_eq!(said.codes(), [""; 0], "nobody wants internet-facing ones");
    world.add_service(service("shop", &[("scheme", "internet-facing")]));
    let said = world.run(&CHECK);
    assert_eq!(said.findings(), [("NLB202", "scheme internet-facing".to_owned())]);
    assert_eq!(
        said.messages(),
        [
            "a new internet-facing load balancer would get no subnet: of 3 candidate subnets 3 are tagged for other clusters and 0 have \
          fewer than 8 free addresses"
        ]
    );
}

#[test]
fn a_scheme_is_in_use_by_services_that_the_controller_owns_and_that_rely_on_discovery() {
    let mut world = World::healthy();
    for zone in ["a", "b", "c"] {
        world.edit_subnet(&format!("s-public-{zone}"), |it| it.available_ip_addresses = Some(7));
    }
    let critical = |world: &World| world.run(&CHECK).codes().contains(&"NLB202");
    let with = |change: &dyn Fn(&mut crate::inventory::kube::Service)| {
        let mut world = world.clone();
        let mut service = service("new", &[("scheme", "internet-facing")]);
        change(&mut service);
        world.add_service(service);
        critical(&world)
    };
    let annotate = |it: &mut crate::inventory::kube::Service, pairs: &[(&str, &str)]| {
        it.annotations = service("x", pairs).annotations;
    };
    assert!(!critical(&world));
    assert!(with(&|_| {}));
    assert!(with(&|it| annotate(it, &[("internal", "false")])));
    assert!(!with(&|it| annotate(it, &[("internal", "true")])));
    assert!(!with(&|it| annotate(it, &[("scheme", "internet-facing"), ("subnets", "s-1")])), "it names its subnets");
    assert!(!with(&|it| annotate(it, &[("scheme", "internal,internet-facing")])), "the controller refuses it");
    assert!(!with(&|it| it.deleted_at = Some(Timestamp::UNIX_EPOCH)));
    assert!(!with(&|it| it.load_balancer_class = Some("eks.amazonaws.com/nlb".into())));
    assert!(!with(&|it| it.load_balancer_class = None));
    assert!(with(&|it| {
        it.load_balancer_class = None;
        annotate(it, &[("scheme", "internet-facing"), ("type", "external"), ("nlb-target-type", "ip")]);
    }));
    assert!(!with(&|it| {
        it.load_balancer_class = None;
        annotate(it, &[("scheme", "internet-facing"), ("type", "external")]);
    }));

    // An existing load balancer tells the scheme of a Service that does not.
    let mut existing = world.clone();
    existing.edit_load_balancer("web", |it| it.scheme = crate::inventory::aws::Scheme::InternetFacing);
    assert!(critical(&existing));
    existing.edit_service("web", |it| it.annotations = service("x", &[("subnets", "s-1")]).annotations);
    assert!(!critical(&existing));

    // By default new ones are internal, unless the controller is told otherwise.
    let mut flagged = world.clone();
    flagged.add_service(service("new", &[]));
    assert!(!critical(&flagged));
    flagged.set_controller("v3.5.0", &[("default-load-balancer-scheme", "internet-facing")]);
    assert!(critical(&flagged));
    flagged.add_service(service("another", &[("scheme", "internet-facing")]));
    edit(&mut flagged.parts.controllers, |all| all.clear());
    assert!(critical(&flagged), "somebody made the load balancer that is there");
    edit(&mut flagged.parts.load_balancers, |all| all.clear());
    assert!(!critical(&flagged), "nobody is there who would discover subnets");
}

#[test]
fn a_dual_stack_service_needs_ipv6_blocks_from_3_5_0_on() {
    let mut world = World::healthy();
    world.add_service(service("six", &[("scheme", "internet-facing"), ("ip-address-type", "dualstack")]));
    let said = world.run(&CHECK);
    assert_eq!(said.findings(), [("NLB202", "scheme internet-facing".to_owned())]);
    assert!(said.messages()[0].contains("dual-stack") && said.messages()[0].ends_with("3 have no IPv6 block"), "{said:?}");
    assert_eq!(said.value("scheme_usable_zones", &["internet-facing"]), Some(3.0), "IPv4 ones are fine");
    world.set_controller("v3.4.1", &[]);
    assert_eq!(world.run(&CHECK).codes(), [""; 0]);
    world.set_controller("v3.5.0", &[]);
    world.edit_subnet("s-public-a", |it| it.ipv6_cidrs = vec!["2001:db8::/64".parse().unwrap()]);
    assert_eq!(world.run(&CHECK).codes(), [""; 0], "one zone is enough");
}

#[test]
fn an_incomplete_or_empty_list_of_subnets_gives_facts_and_no_judgement() {
    let mut world = World::healthy();
    only_private_a(&mut world);
    world.edit_subnet("s-private-a", |it| it.available_ip_addresses = Some(3));
    assert_eq!(world.run(&CHECK).codes(), ["NLB201", "NLB202"]);
    incomplete(&mut world.parts.subnets);
    let said = world.run(&CHECK);
    assert_eq!(said.codes(), [""; 0]);
    assert_eq!(said.value("subnet_available_ip_addresses", &["s-private-a"]), Some(3.0));
    assert_eq!(said.value("scheme_usable_zones", &["internal"]), None);
    assert_eq!(said.series("subnet_discovery"), [[""; 0]; 0]);
    world.parts.subnets = Part::fetched([].into(), now());
    assert_eq!(world.run(&CHECK).codes(), [""; 0], "no cluster is without subnets");
}

#[test]
fn what_needs_route_tables_zones_or_the_clusters_name_is_absent_without_them() {
    let mut world = World::healthy();
    world.parts.route_tables = Part::default();
    let said = world.run(&CHECK);
    assert_eq!(said.series("subnet_route"), [[""; 0]; 0]);
    assert_eq!(said.value("scheme_usable_zones", &["internal"]), Some(3.0), "role tags decide");
    for zone in ["a", "b", "c"] {
        world.edit_subnet(&format!("s-private-{zone}"), |it| it.tags = Tags::new());
    }
    let said = world.run(&CHECK);
    assert_eq!(said.value("scheme_usable_zones", &["internal"]), None, "routes decide, and are unknown");
    assert_eq!(said.codes(), [""; 0]);

    let mut world = World::healthy();
    world.parts.availability_zones = Part::default();
    world.edit_subnet("s-private-a", |it| it.available_ip_addresses = Some(9));
    let said = world.run(&CHECK);
    assert_eq!(said.value("scheme_usable_zones", &["internal"]), None);
    assert_eq!(said.codes(), ["NLB206"], "addresses do not depend on kinds of zones");

    let mut world = World::healthy();
    world.parts.scope.cluster_name = None;
    let said = world.run(&CHECK);
    assert_eq!(said.series("subnet_discovery"), [[""; 0]; 0]);
    assert_eq!(said.series("subnet_info").len(), 6);
}

#[test]
fn an_odd_role_tag_value_is_found() {
    let mut world = World::healthy();
    world.edit_subnet("s-public-a", |it| drop(it.tags.insert(ELB.into(), "true".into())));
    let said = world.run(&CHECK);
    assert_eq!(said.findings(), [("NLB203", "subnet s-public-a".to_owned())]);
    assert_eq!(
        said.messages(),
        ["s-public-a carries kubernetes.io/role/elb=\"true\", and the controller accepts 1 or the empty string"]
    );
    world.edit_subnet("s-public-a", |it| drop(it.tags.insert(ELB.into(), "".into())));
    assert_eq!(world.run(&CHECK).codes(), [""; 0]);
}

#[test]
fn a_public_role_without_an_internet_gateway_is_found_and_a_private_role_with_one_is_not() {
    let mut world = World::healthy();
    world.edit_subnet("s-private-a", |it| drop(it.tags.insert(ELB.into(), "1".into())));
    assert_eq!(world.run(&CHECK).findings(), [("NLB205", "subnet s-private-a".to_owned())]);
    let mut unknown = world.clone();
    incomplete(&mut unknown.parts.route_tables);
    assert_eq!(unknown.run(&CHECK).codes(), [""; 0], "its table may be on the page that is missing");
    let mut wavelength = world.clone();
    let zones = wavelength.parts.availability_zones.get().unwrap().clone();
    let with = zones.into_keys().map(|zone| (zone, Locale::WavelengthZone)).collect();
    wavelength.parts.availability_zones = Part::fetched(with, now());
    assert_eq!(wavelength.run(&CHECK).codes(), [""; 0], "carrier gateways lead out of there");

    let mut world = World::healthy();
    world.edit_subnet("s-public-a", |it| drop(it.tags.insert(INTERNAL.into(), "1".into())));
    assert_eq!(world.run(&CHECK).codes(), [""; 0], "internal load balancers work in public subnets");
}

#[test]
fn mixed_kinds_of_zones_are_critical_for_a_scheme_in_use() {
    let mut world = World::healthy();
    let mut zones = world.parts.availability_zones.get().unwrap().clone();
    zones.insert(ZoneName::from("c"), Locale::LocalZone);
    world.parts.availability_zones = Part::fetched(zones, now());
    let said = world.run(&CHECK);
    assert_eq!(said.findings(), [("NLB202", "scheme internal".to_owned())]);
    assert_eq!(said.value("scheme_usable_zones", &["internal"]), Some(0.0));
    assert_eq!(said.value("subnet_discovery", &["s-private-a", "internal", "mixed_locale"]), Some(1.0));
}

/// Role tags as in the healthy world, and no cluster tag; another cluster shows by what a test adds.
fn shared_vpc() -> World {
    let mut world = World::healthy();
    world.parts.scope.account_id = Some("1".into());
    world
}

#[test]
fn several_clusters_and_subnets_without_cluster_tags_are_found() {
    let foreign = |key: &str, value: &str| {
        let mut world = shared_vpc();
        world.add_load_balancer("theirs", &[]);
        edit(&mut world.parts.services, |all| drop(all.remove(&crate::inventory::ids::ObjectName::new("shop", "theirs"))));
        let arn = world.parts.load_balancers.get().unwrap()[&load_balancer_id("theirs")].arn.clone();
        world.tag(arn, &[(key, value), ("service.k8s.aws/stack", "shop/theirs")]);
        world
    };
    let said = foreign("elbv2.k8s.aws/cluster", "other").run(&CHECK);
    assert_eq!(said.findings(), [("NLB204", "cluster".to_owned())]);
    assert_eq!(
        said.messages(),
        [
            "the VPC also has cluster other (tags of a load balancer), and s-private-a, s-private-b, s-private-c carry no cluster tag: \
          load balancers of each cluster are put there"
        ]
    );
    assert_eq!(foreign("kubernetes.io/cluster/other", "owned").run(&CHECK).codes(), ["NLB204"]);
    assert_eq!(foreign("eks:eks-cluster-name", "other").run(&CHECK).codes(), ["NLB204"]);
    assert_eq!(foreign("elbv2.k8s.aws/cluster", "demo").run(&CHECK).codes(), [""; 0], "it is this cluster");

    let mut elsewhere = foreign("elbv2.k8s.aws/cluster", "other");
    elsewhere.edit_load_balancer("theirs", |lb| lb.vpc_id = "vpc-2".into());
    assert_eq!(elsewhere.run(&CHECK).codes(), [""; 0], "another VPC");

    let mut tagged = foreign("elbv2.k8s.aws/cluster", "other");
    for zone in ["a", "b", "c"] {
        tagged.edit_subnet(&format!("s-private-{zone}"), |it| it.tags.extend(tags(&[("kubernetes.io/cluster/demo", "shared")])));
    }
    assert_eq!(tagged.run(&CHECK).codes(), [""; 0], "the subnets of the scheme in use carry the tag");

    let mut ignored = foreign("elbv2.k8s.aws/cluster", "other");
    ignored.set_controller("v3.5.0", &[("feature-gates", "SubnetsClusterTagCheck=false")]);
    assert_eq!(ignored.run(&CHECK).codes(), [""; 0], "no tag would help");

    let mut explicit = foreign("elbv2.k8s.aws/cluster", "other");
    explicit.edit_service("web", |it| it.annotations = service("x", &[("subnets", "s-1")]).annotations);
    assert_eq!(explicit.run(&CHECK).codes(), [""; 0], "nobody relies on discovery");
}

#[test]
fn security_groups_tell_of_another_cluster_too_and_subnets_do_not() {
    let with_group = |pairs: &[(&str, &str)]| {
        let mut world = shared_vpc();
        world.add_group(group("sg-other", pairs, Vec::new()));
        world
    };
    assert_eq!(with_group(&[("aws:eks:cluster-name", "other")]).run(&CHECK).codes(), ["NLB204"]);
    assert_eq!(with_group(&[("kubernetes.io/cluster/demo", "owned")]).run(&CHECK).codes(), [""; 0]);

    // Tags of subnets outlive their clusters. Of a cluster that exists they tell what it prefers.
    let theirs =
        |zone: &str| subnet(&format!("s-their-{zone}"), zone, 100, &[(INTERNAL, "1"), ("kubernetes.io/cluster/other", "owned")]);
    let with_subnets = |mut world: World, zones: &[&str]| {
        for it in zones.iter().map(|zone| theirs(zone)) {
            edit(&mut world.parts.subnets, |all| drop(all.insert(it.id.clone(), Arc::new(it))));
        }
        world
    };
    assert_eq!(with_subnets(shared_vpc(), &["a"]).run(&CHECK).codes(), [""; 0]);
    let exists = || with_group(&[("aws:eks:cluster-name", "other")]);
    assert!(with_subnets(exists(), &["a", "b"]).run(&CHECK).messages()[0].contains("and s-private-c carry no cluster tag"));
    assert_eq!(with_subnets(exists(), &["a", "b", "c"]).run(&CHECK).codes(), [""; 0], "it has its own in every zone");

    // Another account's subnets show no tags at all.
    let mut hidden = with_group(&[("aws:eks:cluster-name", "other")]);
    for kind in ["public", "private"] {
        for zone in ["a", "b", "c"] {
            hidden.edit_subnet(&format!("s-{kind}-{zone}"), |it| (it.tags, it.owner_id) = (Tags::new(), "2".into()));
        }
    }
    assert_eq!(hidden.run(&CHECK).codes(), [""; 0]);
}

#[test]
fn internal_load_balancers_in_public_subnets_only_are_found() {
    let public_only = || {
        let mut world = World::healthy();
        edit(&mut world.parts.subnets, |all| all.retain(|id, _| id.as_str().starts_with("s-public")));
        for zone in ["a", "b", "c"] {
            world.edit_subnet(&format!("s-public-{zone}"), |it| it.tags.extend(tags(&[(INTERNAL, "1")])));
        }
        world
    };
    let said = public_only().run(&CHECK);
    assert_eq!(said.findings(), [("NLB207", "scheme internal".to_owned())]);
    assert_eq!(
        said.messages(),
        [
            "new internal load balancers would be put in public subnets only: s-public-a, s-public-b, s-public-c have a route to an \
          internet gateway"
        ]
    );
    let mut unwanted = public_only();
    unwanted.edit_service("web", |it| it.annotations = service("x", &[("scheme", "internet-facing")]).annotations);
    assert_eq!(unwanted.run(&CHECK).codes(), [""; 0], "nobody wants internal ones");
    let mut unknown = public_only();
    unknown.parts.route_tables = Part::default();
    assert_eq!(unknown.run(&CHECK).codes(), [""; 0]);
    let mut one = public_only();
    let private = subnet("s-private-a", "a", 100, &[(INTERNAL, "1")]);
    edit(&mut one.parts.subnets, |all| drop(all.insert(private.id.clone(), Arc::new(private))));
    assert_eq!(one.run(&CHECK).codes(), [""; 0], "there is one that could be chosen");

    // What EKS knows of the cluster says where private ones are.
    let cluster = |subnets: &[&str]| {
        Part::fetched(
            EksCluster {
                name: "demo".into(),
                version: None,
                vpc_id: Some("vpc-1".into()),
                subnets: subnets.iter().map(|id| SubnetId::from(*id)).collect(),
                cluster_security_group: None,
                auto_mode: false,
            },
            now(),
        )
    };
    let mut known = public_only();
    known.parts.eks_cluster = cluster(&["s-public-a", "s-public-b"]);
    assert!(known.run(&CHECK).messages()[0].ends_with("; the cluster itself was given no private subnet either"));
    let untagged = subnet("s-plain", "a", 100, &[]);
    edit(&mut known.parts.subnets, |all| drop(all.insert(untagged.id.clone(), Arc::new(untagged))));
    known.parts.eks_cluster = cluster(&["s-public-a", "s-plain"]);
    assert!(known.run(&CHECK).messages()[0].ends_with("; of the cluster's own subnets s-plain are private"));

    // No candidate at all has its own finding.
    let mut none = public_only();
    for zone in ["a", "b", "c"] {
        none.edit_subnet(&format!("s-public-{zone}"), |it| drop(it.tags.remove(INTERNAL)));
    }
    assert_eq!(none.run(&CHECK).codes(), ["NLB202"]);
}
