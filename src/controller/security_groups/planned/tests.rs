use std::sync::Arc;

use super::*;
use crate::checks::testing::{ServiceBuilder, controller, security_group, service, subnet};
use crate::inventory::aws::Rule;
use crate::inventory::kube::Protocol;

/// Three subnets, two blocks of the VPC.
fn subnets() -> Vec<Subnet> {
    let one = |n: u8| Subnet {
        cidr: Some(format!("10.0.{n}.0/24").parse().unwrap()),
        ipv6_cidrs: vec![format!("2001:db8:0:{n}::/64").parse().unwrap()],
        ..subnet(&format!("subnet-{n}"), "x")
    };
    vec![one(1), one(2), one(3)]
}

fn vpc() -> Vpc {
    let parse = |text: &str| text.parse().unwrap();
    Vpc { id: "vpc-1".into(), cidrs: vec![parse("10.0.0.0/16"), parse("10.1.0.0/16")], ipv6_cidrs: vec![parse("2001:db8::/56")] }
}

/// `words` as in the truth table of `cost`: one `PROTOCOL/TARGETTYPE` a port, then `ranges`, `everywhere`, `internal`, `local`, `ipv6`.
fn described(words: &str) -> (Service, Scheme) {
    let words: Vec<&str> = words.split_whitespace().collect();
    let has = |word: &str| words.contains(&word);
    let ports: Vec<_> = words.iter().filter_map(|word| word.split_once('/')).collect();
    let mut builder = service("shop/web").external(ports[0].1);
    for (number, (protocol, _)) in (0_u16..).zip(&ports) {
        builder = builder.port(&format!("p{number}"), 80 + number, 8080 + number, 30080 + number);
        if *protocol == "TLS" {
            builder =
                builder.annotate(name::SSL_CERT, "arn:x").annotate(name::SSL_PORTS, "80").annotate(name::BACKEND_PROTOCOL, "ssl");
        }
    }
    if has("local") {
        builder = builder.local(32001);
    }
    let mut service = builder.build();
    let mut more = Vec::new();
    for (port, (protocol, _)) in service.ports.iter_mut().zip(&ports) {
        if matches!(*protocol, "UDP" | "TCP_UDP") {
            port.protocol = Protocol::Udp;
        }
        if *protocol == "TCP_UDP" {
            more.push(crate::inventory::kube::ServicePort {
                protocol: Protocol::Tcp,
                name: format!("{}t", port.name).into(),
                ..port.clone()
            });
        }
    }
    if !more.is_empty() {
        service.ports.extend(more);
        let key = format!("{}{}", crate::controller::annotations::PREFIX, name::ENABLE_TCP_UDP_LISTENER);
        service.annotations.insert(key.into(), "true".into());
    }
    if has("ranges") {
        service.source_ranges = vec!["10.0.0.0/8".into(), "192.168.0.0/16".into()];
    } else if has("everywhere") {
        service.source_ranges = vec!["10.0.0.0/8".into(), "0.0.0.0/0".into()];
    }
    service.ipv6 = has("ipv6");
    (service, if has("internal") { Scheme::Internal } else { Scheme::InternetFacing })
}

fn count(mode: Mode, words: &str) -> (usize, usize) {
    let controller = controller("3.5.0").build();
    let (service, scheme) = described(words);
    let (subnets, vpc) = (subnets(), vpc());
    let subnets: Vec<&Subnet> = subnets.iter().collect();
    let around = Surroundings { scheme, subnets: &subnets, vpc: Some(&vpc), backend: None, own: None, nth: 0 };
    let rules = match rules(&service, Settings::of(Some(&controller)), mode, around).unwrap() {
        Wanted::Value(rules) => rules,
        other => panic!("{words}: {other:?}"),
    };
    let of = |v4: bool| {
        let counts = |rule: &&RuleKey<'_>| match &rule.peer {
            Peer::Cidr(cidr) => cidr.addr().is_ipv4() == v4,
            _ => true,
        };
        rules.iter().filter(counts).count()
    };
    (of(true), of(false))
}

#[test]
fn a_described_load_balancer_needs_what_the_table_of_6_3_says() {
    let rows = [
        (Mode::OwnGroup, "TCP/instance TCP/instance", (1, 1)),
        (Mode::OwnGroup, "UDP/instance TCP/instance", (2, 2)),
        (Mode::SharedGroup, "TCP/ip", (1, 1)),
        (Mode::Manual, "TCP/instance UDP/instance ranges", (0, 0)),
        (Mode::Ranges, "TCP/instance TCP/instance", (2, 0)),
        (Mode::Ranges, "TLS/instance TCP/instance", (2, 0)),
        (Mode::Ranges, "TCP/instance TCP/instance local", (5, 0)),
        (Mode::Ranges, "TCP/instance TCP/instance ranges", (10, 0)),
        (Mode::Ranges, "TCP/instance TCP/instance ranges local", (7, 0)),
        (Mode::Ranges, "TCP/instance TCP/instance everywhere", (4, 0)),
        (Mode::Ranges, "TCP/instance TCP/instance internal", (4, 0)),
        (Mode::Ranges, "TCP/instance TCP/instance internal local", (7, 0)),
        (Mode::Ranges, "TCP/ip TCP/ip", (6, 0)),
        (Mode::Ranges, "TCP/ip TCP/ip ranges", (6, 0)),
        (Mode::Ranges, "UDP/ip UDP/ip", (8, 0)),
        (Mode::Ranges, "UDP/ip UDP/ip internal", (10, 0)),
        (Mode::Ranges, "UDP/instance UDP/instance ranges", (10, 0)),
        (Mode::Ranges, "TCP_UDP/instance TCP_UDP/instance", (4, 0)),
        (Mode::Ranges, "TCP_UDP/instance TCP_UDP/instance ranges", (14, 0)),
        (Mode::Ranges, "TCP/ip TCP/ip ipv6", (0, 6)),
    ];
    for (mode, words, expected) in rows {
        assert_eq!(count(mode, words), expected, "{mode:?} {words}");
    }
}

#[test]
fn a_node_port_that_is_given_out_later_is_one_more_all_the_same() {
    let controller = controller("2.5.4").build();
    let mut service = service("shop/web").external("instance").build();
    service.ports[0].node_port = None;
    let (subnets, vpc) = (subnets(), vpc());
    let subnets: Vec<&Subnet> = subnets.iter().collect();
    let around =
        Surroundings { scheme: Scheme::InternetFacing, subnets: &subnets, vpc: Some(&vpc), backend: None, own: None, nth: 0 };
    let of = |nth| match rules(&service, Settings::of(Some(&controller)), Mode::Ranges, Surroundings { nth, ..around }) {
        Ok(Wanted::Value(rules)) => rules,
        other => panic!("{other:?}"),
    };
    assert_eq!((of(0).len(), of(0) == of(0), of(0) == of(1)), (1, true, false), "another Service gets another port");
    assert_eq!(of(u16::MAX).len(), 1);
}

#[test]
fn rules_that_are_there_cost_nothing() {
    let rule = |protocol: &str, ports, peer| Rule { protocol: Arc::from(protocol), ports, peer, description: None };
    let backend = SecurityGroupId::from("sg-backend");
    let wanted = BTreeSet::from([
        RuleKey { protocol: "tcp", ports: None, peer: Peer::SecurityGroup(backend.clone()) },
        RuleKey { protocol: "udp", ports: None, peer: Peer::SecurityGroup(backend.clone()) },
        RuleKey { protocol: "tcp", ports: Some((80, 80)), peer: Peer::Cidr("10.0.1.0/24".parse().unwrap()) },
        RuleKey { protocol: "tcp", ports: Some((81, 81)), peer: Peer::Cidr("10.0.1.0/24".parse().unwrap()) },
    ]);
    let mut group = security_group("sg-node", "vpc-1", &[]);
    assert_eq!(added(&wanted, &group).count(), 4);
    group.inbound.push(rule("tcp", Some((8080, 9090)), Peer::SecurityGroup(backend)));
    group.inbound.push(rule("6", Some((80, 80)), Peer::Cidr("10.0.1.0/24".parse().unwrap())));
    let left: Vec<String> = added(&wanted, &group).map(ToString::to_string).collect();
    assert_eq!(left, ["tcp 81 from 10.0.1.0/24", "udp from sg-backend"]);
}

#[test]
fn how_targets_are_reached_follows_from_annotations_version_and_flags_6_2() {
    let mode_of = |builder: ServiceBuilder, version: &str, flags: &[(&str, &str)]| {
        let deployment = flags.iter().fold(controller(version), |it, (key, value)| it.flag(key, value)).build();
        mode(&builder.build(), Settings::of(Some(&deployment)), None)
    };
    let plain = || service("shop/web").external("ip");
    let custom = || plain().annotate(name::SECURITY_GROUPS, "sg-1");
    let value = |mode| Ok(Wanted::Value(mode));
    assert_eq!(mode_of(plain(), "2.6.0", &[]), value(Mode::SharedGroup));
    assert_eq!(mode_of(plain(), "2.5.4", &[]), value(Mode::Ranges));
    assert_eq!(mode_of(plain(), "3.5.0", &[("feature-gates", "NLBSecurityGroup=false")]), value(Mode::Ranges));
    assert_eq!(mode_of(plain(), "3.5.0", &[("enable-backend-security-group", "false")]), value(Mode::OwnGroup));
    assert_eq!(mode_of(custom(), "3.5.0", &[]), value(Mode::Manual));
    assert_eq!(mode_of(custom().annotate(name::MANAGE_BACKEND_RULES, "true"), "3.5.0", &[]), value(Mode::SharedGroup));
    let managed: &[_] = &[("enable-manage-backend-security-group-rules", "true")];
    assert_eq!(mode_of(custom(), "3.5.0", managed), value(Mode::SharedGroup));
    assert_eq!(mode_of(custom(), "2.12.0", managed), value(Mode::Manual), "the flag is of 2.13.0");
    let bare = || plain().annotate(name::DISABLE_NLB_SG, "true");
    assert_eq!(mode_of(bare(), "2.14.0", &[]), value(Mode::Ranges));
    assert_eq!(mode_of(bare(), "2.13.0", &[]), value(Mode::SharedGroup), "the annotation is of 2.14.0");
    assert_eq!(mode_of(bare().annotate(name::MANAGE_BACKEND_RULES, "false"), "2.14.0", &[]), value(Mode::Manual));
    let settings = Settings::of(None);
    assert_eq!(mode(&plain().build(), settings, Some(true)), value(Mode::Ranges), "born without, it stays without");
    assert!(matches!(mode(&plain().build(), settings, None), Ok(Wanted::Likely(Mode::SharedGroup, _))));
}
