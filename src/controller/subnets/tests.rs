use super::*;
use crate::inventory::ids::{ObjectName, VpcId};
use crate::inventory::kube::StringMap;
use crate::inventory::part::{Failure, FailureCategory, Part};
use jiff::Timestamp;

const ELB: &str = "kubernetes.io/role/elb";
const INTERNAL: &str = "kubernetes.io/role/internal-elb";
const OURS: &str = "kubernetes.io/cluster/demo";

pub(super) fn subnet(id: &str, zone: &str, free: u64, tags: &[(&str, &str)]) -> Subnet {
    Subnet {
        id: SubnetId::from(id),
        vpc_id: VpcId::from("vpc-1"),
        zone: ZoneName::from(zone),
        zone_id: "use1-az1".into(),
        cidr: Some("10.0.0.0/24".parse().unwrap()),
        ipv6_cidrs: Vec::new(),
        available_ip_addresses: Some(free),
        on_outpost: false,
        owner_id: "1".into(),
        tags: tags.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
    }
}

pub(super) fn table(id: &str, main: bool, public: bool, subnets: &[&str]) -> RouteTable {
    let subnets = subnets.iter().map(|id| SubnetId::from(*id)).collect();
    RouteTable { id: id.into(), main, subnets, internet_gateway: public, firewall_endpoint: false, routes: 2 }
}

pub(super) fn tables(tables: Vec<RouteTable>) -> List<Arc<str>, RouteTable> {
    Part::fetched(tables.into_iter().map(|table| (Arc::clone(&table.id), Arc::new(table))).collect(), Timestamp::UNIX_EPOCH)
}

struct World {
    subnets: BTreeMap<SubnetId, Arc<Subnet>>,
    routes: Routes,
    locales: Option<BTreeMap<ZoneName, Locale>>,
}

impl World {
    fn new(subnets: Vec<Subnet>) -> Self {
        let locales = ["a", "b", "c"].map(|zone| (ZoneName::from(zone), Locale::AvailabilityZone)).into();
        let subnets = subnets.into_iter().map(|subnet| (subnet.id.clone(), Arc::new(subnet))).collect();
        Self { subnets, routes: Routes::default(), locales: Some(locales) }
    }

    fn public(mut self, public: &[&str]) -> Self {
        self.routes = Routes::of(&tables(vec![table("main", true, false, &[]), table("public", false, true, public)]));
        self
    }

    fn zone(mut self, zone: &str, locale: Locale) -> Self {
        self.locales.as_mut().unwrap().insert(ZoneName::from(zone), locale);
        self
    }

    fn discover(&self, rules: Rules, scheme: Scheme, dualstack: bool) -> Discovery {
        let network =
            Network { cluster_name: "demo", subnets: &self.subnets, routes: &self.routes, locales: self.locales.as_ref() };
        discover(&network, rules, scheme, dualstack)
    }

    fn public_choice(&self) -> Discovery {
        self.discover(Rules::NEWEST, Scheme::InternetFacing, false)
    }
}

fn chosen(discovery: &Discovery) -> Vec<&str> {
    match &discovery.choice {
        Choice::Subnets(subnets) => subnets.iter().map(SubnetId::as_str).collect(),
        _ => Vec::new(),
    }
}

fn verdict(discovery: &Discovery, id: &str) -> Option<Verdict> {
    discovery.verdicts.get(&SubnetId::from(id)).copied()
}

#[test]
fn step_1_the_role_tag_of_the_scheme_makes_candidates_when_its_value_is_empty_or_1() {
    let world = World::new(vec![
        subnet("s-1", "a", 100, &[(ELB, "1")]),
        subnet("s-2", "b", 100, &[(ELB, "")]),
        subnet("s-3", "c", 100, &[(ELB, "true")]),
        subnet("s-4", "c", 100, &[(INTERNAL, "1")]),
    ]);
    let found = world.public_choice();
    assert_eq!(chosen(&found), ["s-1", "s-2"]);
    assert_eq!(verdict(&found, "s-3"), Some(Verdict::OddRoleTagValue));
    assert_eq!(verdict(&found, "s-4"), Some(Verdict::NoRoleTag));
    assert_eq!(chosen(&world.discover(Rules::NEWEST, Scheme::Internal, false)), ["s-4"]);
    for odd in ["true", "yes", "0", "2", " 1"] {
        assert_eq!(role(&subnet("s", "a", 9, &[(ELB, odd)]), Scheme::InternetFacing), Some(false), "{odd:?}");
    }
}

#[test]
fn step_2_routes_decide_where_no_subnet_has_the_role_tag() {
    let world =
        World::new(vec![subnet("s-1", "a", 100, &[]), subnet("s-2", "a", 100, &[(ELB, "no")]), subnet("s-3", "b", 100, &[])])
            .public(&["s-1"]);
    let found = world.public_choice();
    assert_eq!(chosen(&found), ["s-1"]);
    assert_eq!(verdict(&found, "s-2"), Some(Verdict::NotPublic));
    let internal = world.discover(Rules::NEWEST, Scheme::Internal, false);
    assert_eq!(chosen(&internal), ["s-2", "s-3"], "the main table has no internet gateway");
    assert_eq!(verdict(&internal, "s-1"), Some(Verdict::NotPrivate));
}

#[test]
fn step_2_one_tagged_subnet_disables_the_fallback_even_if_it_is_filtered_out_later() {
    let world = World::new(vec![subnet("s-1", "a", 3, &[(ELB, "1")]), subnet("s-2", "b", 100, &[])]).public(&["s-1", "s-2"]);
    let found = world.public_choice();
    assert_eq!(verdict(&found, "s-1"), Some(Verdict::FewAddresses));
    assert_eq!(verdict(&found, "s-2"), Some(Verdict::NoRoleTag));
    let refusal = Refusal::NoneLeft { evaluated: 1, other_clusters: 0, few_addresses: 1, no_ipv6_cidr: 0 };
    assert_eq!(found.choice, Choice::Refused(refusal));
}

#[test]
fn step_2_the_fallback_needs_its_gate() {
    let world = World::new(vec![subnet("s-1", "a", 100, &[])]).public(&["s-1"]);
    let found = world.discover(Rules { reachability: false, ..Rules::NEWEST }, Scheme::InternetFacing, false);
    assert_eq!(verdict(&found, "s-1"), Some(Verdict::NoRoleTag));
    assert_eq!(found.usable_zones(), Some(0));
}

#[test]
fn step_2_an_unknown_route_leaves_the_fallback_unknown_but_not_the_tagged_case() {
    let world = World::new(vec![subnet("s-1", "a", 100, &[])]);
    let found = world.public_choice();
    assert_eq!((found.choice.clone(), found.verdicts.len(), found.usable_zones()), (Choice::Unknown, 0, None));
    let world = World::new(vec![subnet("s-1", "a", 100, &[(ELB, "1")])]);
    assert_eq!(chosen(&world.public_choice()), ["s-1"]);
}

#[test]
fn step_2_an_explicit_association_beats_the_main_table_and_an_incomplete_list_has_no_main() {
    let all = vec![table("main", true, true, &[]), table("t", false, false, &["s-1"])];
    let routes = Routes::of(&tables(all.clone()));
    assert_eq!(routes.route(&SubnetId::from("s-1")), Some(Route::Private));
    assert_eq!(routes.route(&SubnetId::from("s-2")), Some(Route::Public));
    let mut incomplete = List::default();
    let failure = Failure { category: FailureCategory::Timeout, operation: String::new(), message: String::new() };
    let arrived = all.into_iter().map(|table| (Arc::clone(&table.id), Arc::new(table))).collect();
    incomplete.incomplete(arrived, failure, Timestamp::UNIX_EPOCH);
    let routes = Routes::of(&incomplete);
    assert_eq!(routes.route(&SubnetId::from("s-1")), Some(Route::Private));
    assert_eq!(routes.route(&SubnetId::from("s-2")), None);
}

#[test]
fn step_3a_a_subnet_tagged_for_other_clusters_only_is_refused() {
    let world = World::new(vec![
        subnet("s-1", "a", 100, &[(ELB, "1"), ("kubernetes.io/cluster/other", "shared")]),
        subnet("s-2", "b", 100, &[(ELB, "1"), ("kubernetes.io/cluster/other", "shared"), (OURS, "anything")]),
        subnet("s-3", "c", 100, &[(ELB, "1"), ("kubernetes.io/cluster-name", "demo")]),
    ]);
    let found = world.public_choice();
    assert_eq!(chosen(&found), ["s-2"]);
    assert_eq!(verdict(&found, "s-1"), Some(Verdict::ForeignCluster));
    assert_eq!(verdict(&found, "s-3"), Some(Verdict::ForeignCluster), "the prefix has no trailing slash");
    let unchecked = world.discover(Rules { cluster_tag: ClusterTag::Ignored, ..Rules::NEWEST }, Scheme::InternetFacing, false);
    assert_eq!(chosen(&unchecked), ["s-1", "s-2", "s-3"]);
}

#[test]
fn step_3b_eight_free_addresses_are_enough_and_seven_are_not() {
    let mut ipv6_only = subnet("s-3", "c", 0, &[(ELB, "1")]);
    (ipv6_only.cidr, ipv6_only.available_ip_addresses) = (None, None);
    let world = World::new(vec![subnet("s-1", "a", 8, &[(ELB, "1")]), subnet("s-2", "b", 7, &[(ELB, "1")]), ipv6_only]);
    let found = world.public_choice();
    assert_eq!(chosen(&found), ["s-1"], "a zone is lost in silence");
    assert_eq!(verdict(&found, "s-2"), Some(Verdict::FewAddresses));
    assert_eq!(verdict(&found, "s-3"), Some(Verdict::FewAddresses));
    assert_eq!(found.usable_zones(), Some(1));
}

#[test]
fn step_3c_a_dual_stack_load_balancer_needs_an_ipv6_block() {
    let mut both = subnet("s-1", "a", 100, &[(ELB, "1")]);
    both.ipv6_cidrs = vec!["2001:db8::/64".parse().unwrap()];
    let world = World::new(vec![both, subnet("s-2", "b", 100, &[(ELB, "1")])]);
    let found = world.discover(Rules::NEWEST, Scheme::InternetFacing, true);
    assert_eq!(chosen(&found), ["s-1"]);
    assert_eq!(verdict(&found, "s-2"), Some(Verdict::NoIpv6Cidr));
    assert_eq!(chosen(&world.public_choice()), ["s-1", "s-2"]);
    let older = world.discover(Rules { ipv6_cidr: false, ..Rules::NEWEST }, Scheme::InternetFacing, true);
    assert_eq!(chosen(&older), ["s-1", "s-2"]);
}

#[test]
fn step_3_the_first_failing_test_counts() {
    let world = World::new(vec![subnet("s-1", "a", 2, &[(ELB, "1"), ("kubernetes.io/cluster/other", "")])]);
    let found = world.discover(Rules::NEWEST, Scheme::InternetFacing, true);
    assert_eq!(verdict(&found, "s-1"), Some(Verdict::ForeignCluster));
}

#[test]
fn step_4_a_zone_takes_the_clusters_own_subnet_first_and_then_the_smallest_id() {
    let world = World::new(vec![
        subnet("s-1", "a", 1000, &[(ELB, "1")]),
        subnet("s-2", "a", 8, &[(ELB, "1"), (OURS, "owned")]),
        subnet("s-4", "b", 8, &[(ELB, "1")]),
        subnet("s-5", "b", 1000, &[(ELB, "1")]),
    ]);
    let found = world.public_choice();
    assert_eq!(chosen(&found), ["s-2", "s-4"], "free addresses do not rank");
    assert_eq!(verdict(&found, "s-1"), Some(Verdict::Outranked));
    assert_eq!(verdict(&found, "s-5"), Some(Verdict::Outranked));
}

#[test]
fn step_5_winners_of_different_locales_are_an_error_for_all_of_them() {
    let local = |zone: &str| World::new(vec![subnet("s-1", "a", 100, &[(ELB, "1")]), subnet("s-2", zone, 100, &[(ELB, "1")])]);
    let found = local("lax").zone("lax", Locale::LocalZone).public_choice();
    let locales = BTreeSet::from([Locale::AvailabilityZone, Locale::LocalZone]);
    assert_eq!(found.choice, Choice::Refused(Refusal::MixedLocales(locales)));
    assert_eq!(verdict(&found, "s-1"), Some(Verdict::MixedLocale));
    assert_eq!(found.usable_zones(), Some(0));

    let mut outpost = subnet("s-2", "b", 100, &[(ELB, "1")]);
    outpost.on_outpost = true;
    let found = World::new(vec![subnet("s-1", "a", 100, &[(ELB, "1")]), outpost]).public_choice();
    assert_eq!(verdict(&found, "s-2"), Some(Verdict::MixedLocale));

    let found = local("odd").zone("odd", Locale::Other).public_choice();
    assert_eq!(verdict(&found, "s-1"), Some(Verdict::UnknownLocale));
}

#[test]
fn step_5_unknown_zones_leave_several_winners_unknown_and_one_alone_settled() {
    let mut world = World::new(vec![
        subnet("s-1", "a", 100, &[(ELB, "1")]),
        subnet("s-2", "b", 100, &[(ELB, "1")]),
        subnet("s-3", "b", 1, &[(ELB, "1")]),
    ]);
    world.locales = None;
    let found = world.public_choice();
    assert_eq!((found.choice.clone(), found.usable_zones()), (Choice::Unknown, None));
    assert_eq!(verdict(&found, "s-1"), None);
    assert_eq!(verdict(&found, "s-3"), Some(Verdict::FewAddresses), "that does not depend on zones");
    world.subnets.remove(&SubnetId::from("s-2"));
    assert_eq!(chosen(&world.public_choice()), ["s-1"]);
}

#[test]
fn step_6_one_zone_is_enough_for_a_network_load_balancer() {
    let world = World::new(vec![subnet("s-1", "a", 8, &[(ELB, "1")])]);
    assert_eq!(world.public_choice().usable_zones(), Some(1));
}

#[test]
fn rules_follow_version_and_gates() {
    let controller = |version: Option<Version>, gates: &str| ControllerDeployment {
        name: ObjectName::new("kube-system", "c"),
        version,
        image: "x".into(),
        flags: StringMap::from([("feature-gates".into(), gates.into())]),
        replicas: 1,
        available_replicas: None,
    };
    assert_eq!(Rules::of(&controller(None, "")), Rules::NEWEST);
    assert_eq!(Rules::of(&controller(Some(Version::new(3, 5, 0)), "")), Rules::NEWEST);
    let rules = Rules::of(&controller(Some(Version::new(2, 8, 2)), ""));
    let expected =
        Rules { reachability: false, ipv6_cidr: false, fixed_addresses_exempt: true, reuse: Reuse::Always, ..Rules::NEWEST };
    assert_eq!(rules, expected);
    assert_eq!(Rules::of(&controller(Some(Version::new(2, 1, 1)), "")).cluster_tag, ClusterTag::Required);
    assert_eq!(Rules::of(&controller(Some(Version::new(2, 1, 2)), "")).cluster_tag, ClusterTag::ForeignRefused);
    let off = Rules::of(&controller(None, "SubnetsClusterTagCheck=false,SubnetDiscoveryByReachability=false"));
    assert_eq!((off.cluster_tag, off.reachability), (ClusterTag::Ignored, false));
}

#[test]
fn up_to_2_1_1_the_clusters_tag_is_required() {
    let world = World::new(vec![subnet("s-1", "a", 100, &[(ELB, "1")]), subnet("s-2", "b", 100, &[(ELB, "1"), (OURS, "owned")])]);
    let found = world.discover(Rules { cluster_tag: ClusterTag::Required, ..Rules::NEWEST }, Scheme::InternetFacing, false);
    assert_eq!(chosen(&found), ["s-2"]);
    assert_eq!(verdict(&found, "s-1"), Some(Verdict::NoClusterTag));
}

#[test]
fn a_refusal_says_how_many_failed_which_test() {
    let text = Refusal::NoneLeft { evaluated: 3, other_clusters: 1, few_addresses: 2, no_ipv6_cidr: 0 }.to_string();
    assert_eq!(text, "of 3 candidate subnets 1 are tagged for other clusters and 2 have fewer than 8 free addresses");
}
