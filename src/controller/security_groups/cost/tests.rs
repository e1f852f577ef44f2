use super::*;

fn group(protocol: &str, target_type: TargetType) -> GroupShape {
    let preserves_client_ip = target_type == TargetType::Instance;
    GroupShape { protocol: protocol.into(), family: IpFamily::Ipv4, preserves_client_ip, health_port: None }
}

/// Two ports in three zones, open to all.
fn shape(protocol: &str, target_type: TargetType) -> Shape {
    let groups = vec![group(protocol, target_type), group(protocol, target_type)];
    Shape { subnets: 3, ranges: Vec::new(), default_ipv4: 1, default_ipv6: 1, groups }
}

fn ranged(mut shape: Shape, ranges: &[&str]) -> Shape {
    shape.ranges = ranges.iter().map(|range| range.parse().unwrap()).collect();
    shape
}

fn local(mut shape: Shape) -> Shape {
    shape.groups.iter_mut().for_each(|group| group.health_port = Some("32001".into()));
    shape
}

fn ipv4(mode: Mode, shape: &Shape) -> u64 {
    cost_of(mode, shape).ipv4
}

const TWO: &[&str] = &["10.0.0.0/8", "192.168.0.0/16"];

#[test]
fn without_groups_the_costs_are_those_of_the_controllers_rules() {
    let instance = || shape("TCP", TargetType::Instance);
    assert_eq!(ipv4(Mode::Ranges, &instance()), 2, "P");
    assert_eq!(ipv4(Mode::Ranges, &local(instance())), 2 + 3, "P + S: one health port for the Service");
    assert_eq!(ipv4(Mode::Ranges, &ranged(instance(), TWO)), 2 * (2 + 3), "P x (C + S)");
    assert_eq!(ipv4(Mode::Ranges, &ranged(instance(), &["10.0.0.0/8", "0.0.0.0/0"])), 2 * 2, "everywhere includes the subnets");
    let internal = Shape { default_ipv4: 2, ..instance() };
    assert_eq!(ipv4(Mode::Ranges, &internal), 2 * 2, "P x blocks of the VPC");
    assert_eq!(ipv4(Mode::Ranges, &local(internal)), 2 * 2 + 3);
    let ip = shape("TCP", TargetType::Ip);
    assert_eq!(ipv4(Mode::Ranges, &ip), 2 * 3, "P x S");
    assert_eq!(ipv4(Mode::Ranges, &ranged(ip, TWO)), 2 * 3, "clients do not reach the pods themselves");
    assert_eq!(ipv4(Mode::Ranges, &shape("UDP", TargetType::Ip)), 2 * (1 + 3), "P x (C + S)");
    let both = shape("TCP_UDP", TargetType::Instance);
    assert_eq!(ipv4(Mode::Ranges, &both), 2 * 2, "P x 2C");
    assert_eq!(ipv4(Mode::Ranges, &ranged(both, TWO)), 2 * 2 * 2 + 2 * 3, "P x 2C + P x S");
}

#[test]
fn families_are_counted_apart() {
    let mut six = shape("TCP", TargetType::Instance);
    six.groups.iter_mut().for_each(|group| group.family = IpFamily::Ipv6);
    let cost = cost_of(Mode::Ranges, &six);
    assert_eq!((cost.ipv4, cost.ipv6), (0, 2));
    assert_eq!((cost.reserve(IpFamily::Ipv4), cost.reserve(IpFamily::Ipv6)), (0, 2));
    let cost = cost_of(Mode::Ranges, &ranged(shape("TCP", TargetType::Instance), &["10.0.0.0/8", "2001:db8::/32"]));
    assert_eq!((cost.ipv4, cost.ipv6), (2 * (1 + 3), 2));
}

#[test]
fn the_in_tree_provider_adds_clients_and_subnets_for_each_port() {
    let tcp = || shape("TCP", TargetType::Instance);
    assert_eq!(ipv4(Mode::InTree, &tcp()), 2, "P x C while health checks are let in with the clients");
    assert_eq!(ipv4(Mode::InTree, &ranged(tcp(), TWO)), 2 * (2 + 3));
    assert_eq!(ipv4(Mode::InTree, &local(tcp())), 2 + 3, "one health port for the Service: identical rules are one");
    assert_eq!(ipv4(Mode::InTree, &shape("UDP", TargetType::Instance)), 2 * (1 + 3));
}

#[test]
fn groups_cost_one_rule_a_protocol_or_nothing_and_one_is_reserved_where_the_controller_writes() {
    let tcp = shape("TCP", TargetType::Ip);
    let udp = shape("UDP", TargetType::Ip);
    assert_eq!((ipv4(Mode::SharedGroup, &tcp), ipv4(Mode::Manual, &tcp)), (0, 0));
    assert_eq!((ipv4(Mode::OwnGroup, &tcp), ipv4(Mode::OwnGroup, &udp)), (1, 2));
    for family in [IpFamily::Ipv4, IpFamily::Ipv6] {
        assert_eq!(cost_of(Mode::SharedGroup, &tcp).reserve(family), 1);
        assert_eq!(cost_of(Mode::OwnGroup, &udp).reserve(family), 2);
        assert_eq!(cost_of(Mode::Manual, &tcp).reserve(family), 0);
    }
    let nothing = RuleCost { mode: Mode::Ranges, ipv4: 0, ipv6: 0 };
    assert_eq!((nothing.reserve(IpFamily::Ipv4), nothing.reserve(IpFamily::Ipv6)), (1, 0));
}

#[test]
fn the_median_is_the_larger_of_two_in_the_middle() {
    let of = |values: &[u64]| median(values.iter().copied());
    assert_eq!((of(&[]), of(&[5]), of(&[3, 1]), of(&[9, 1, 2])), (None, Some(5), Some(3), Some(2)));
}
