//! What does one more load balancer cost on an endpoint group, in each mode and shape?

use std::sync::Arc;

use super::*;

/// Two ports, two client ranges, three subnets, two blocks of the VPC: then P, C, S and V are 2, 2, 3, 2.
///
/// `shape` is one word for each port, `PROTOCOL/TARGETTYPE`, then `ranges` (two client ranges), `everywhere` (one of them
/// is), `internal` (the default is the VPC's blocks), `local` (one health port for the Service), `ipv6`.
struct Row {
    source: &'static str,
    mode: Mode,
    shape: &'static str,
    cost: (u64, u64),
    reserve: (u64, u64),
}

const fn row(source: &'static str, mode: Mode, shape: &'static str, cost: (u64, u64), reserve: (u64, u64)) -> Row {
    Row { source, mode, shape, cost, reserve }
}

const TCP: &str = "TCP/instance TCP/instance";

#[rustfmt::skip]
const TABLE: &[Row] = &[
    row("6.3 A, D", Mode::SharedGroup, TCP, (0, 0), (1, 1)),
    row("6.3 A, D with datagrams", Mode::SharedGroup, "UDP/ip TCP/ip", (0, 0), (1, 1)),
    row("6.3 B one protocol", Mode::OwnGroup, TCP, (1, 1), (1, 1)),
    row("6.3 B two protocols", Mode::OwnGroup, "UDP/instance TCP/instance", (2, 2), (2, 2)),
    row("6.3 B TCP_UDP", Mode::OwnGroup, "TCP_UDP/ip", (2, 2), (2, 2)),
    row("6.3 C", Mode::Manual, "TCP/instance UDP/instance ranges", (0, 0), (0, 0)),
    row("6.3 E instance: P", Mode::Ranges, TCP, (2, 0), (2, 0)),
    row("6.3 E instance, TLS: P", Mode::Ranges, "TLS/instance TCP/instance", (2, 0), (2, 0)),
    row("6.3 E instance, Local: P + S", Mode::Ranges, "TCP/instance TCP/instance local", (5, 0), (5, 0)),
    row("6.3 E instance, ranges: P x (C + S)", Mode::Ranges, "TCP/instance TCP/instance ranges", (10, 0), (10, 0)),
    row("6.3 E instance, ranges, Local: P x C + S", Mode::Ranges, "TCP/instance TCP/instance ranges local", (7, 0), (7, 0)),
    row("6.3 E instance, a range is everywhere: P x C", Mode::Ranges, "TCP/instance TCP/instance everywhere", (4, 0), (4, 0)),
    row("6.3 E instance, internal: P x V", Mode::Ranges, "TCP/instance TCP/instance internal", (4, 0), (4, 0)),
    row("6.3 E instance, internal, Local: P x V + S", Mode::Ranges, "TCP/instance TCP/instance internal local", (7, 0), (7, 0)),
    row("6.3 E ip: P x S", Mode::Ranges, "TCP/ip TCP/ip", (6, 0), (6, 0)),
    row("6.3 E ip, ranges: P x S", Mode::Ranges, "TCP/ip TCP/ip ranges", (6, 0), (6, 0)),
    row("6.3 E UDP: P x (C + S), C = 1", Mode::Ranges, "UDP/ip UDP/ip", (8, 0), (8, 0)),
    row("6.3 E UDP, internal: P x (V + S)", Mode::Ranges, "UDP/ip UDP/ip internal", (10, 0), (10, 0)),
    row("6.3 E UDP, ranges: P x (C + S)", Mode::Ranges, "UDP/instance UDP/instance ranges", (10, 0), (10, 0)),
    row("6.3 E TCP_UDP: P x 2C, C = 1", Mode::Ranges, "TCP_UDP/instance TCP_UDP/instance", (4, 0), (4, 0)),
    row("6.3 E TCP_UDP, ranges: P x 2C + P x S", Mode::Ranges, "TCP_UDP/instance TCP_UDP/instance ranges", (14, 0), (14, 0)),
    row("6.3 E IPv6 targets", Mode::Ranges, "TCP/ip TCP/ip ipv6", (0, 6), (0, 6)),
    row("6.3 E nothing known", Mode::Ranges, "", (0, 0), (1, 0)),
    row("6.3 CCM: P x C, health omitted", Mode::InTree, TCP, (2, 0), (2, 0)),
    row("6.3 CCM, ranges: P x (C + S)", Mode::InTree, "TCP/instance TCP/instance ranges", (10, 0), (10, 0)),
    row("6.3 CCM, UDP: P x (C + S)", Mode::InTree, "UDP/instance UDP/instance", (8, 0), (8, 0)),
    row("6.2 CCM, one UDP port makes all clients UDP", Mode::InTree, "UDP/instance TCP/instance", (8, 0), (8, 0)),
    row("6.2 CCM, Local: P x C + S", Mode::InTree, "TCP/instance TCP/instance local", (5, 0), (5, 0)),
];

fn read(text: &str) -> Shape {
    let words: Vec<_> = text.split_whitespace().collect();
    let has = |word: &str| words.contains(&word);
    let family = if has("ipv6") { IpFamily::Ipv6 } else { IpFamily::Ipv4 };
    let ports = words.iter().filter_map(|word| word.split_once('/'));
    let groups = ports.map(|(protocol, target_type)| GroupShape {
        protocol: protocol.into(),
        family,
        preserves_client_ip: target_type == "instance",
        health_port: has("local").then(|| Arc::from("32001")),
    });
    let ranges: &[&str] = match (has("ranges"), has("everywhere")) {
        (true, _) => &["10.0.0.0/8", "192.168.0.0/16"],
        (_, true) => &["10.0.0.0/8", "0.0.0.0/0"],
        _ => &[],
    };
    Shape {
        subnets: 3,
        ranges: ranges.iter().map(|range| range.parse().unwrap()).collect(),
        default_ipv4: if has("internal") { 2 } else { 1 },
        default_ipv6: 1,
        groups: groups.collect(),
    }
}

#[test]
fn one_more_load_balancer_costs_what_its_mode_and_shape_say() {
    for row in TABLE {
        let cost = cost_of(row.mode, &read(row.shape));
        assert_eq!((cost.ipv4, cost.ipv6), row.cost, "{}", row.source);
        assert_eq!((cost.reserve(IpFamily::Ipv4), cost.reserve(IpFamily::Ipv6)), row.reserve, "{}", row.source);
    }
}

#[test]
fn a_configured_number_holds_in_the_families_that_rules_go_into() {
    for row in TABLE {
        let cost = cost_of(row.mode, &read(row.shape)).with_rules(9);
        let expected = |reserve| if reserve > 0 { 9 } else { 0 };
        let reserves = (cost.reserve(IpFamily::Ipv4), cost.reserve(IpFamily::Ipv6));
        assert_eq!(reserves, (expected(row.reserve.0), expected(row.reserve.1)), "{}", row.source);
    }
}
