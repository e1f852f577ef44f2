//! One annotation after the other: a world as it says, in which nothing may be said, and one that is otherwise.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::checks::testing::{FETCHED, insert, rule};
use crate::inventory::aws::{CapacityReservation, Forward, LoadBalancerAddress, Peer, Rule};
use crate::inventory::ids::{Arn, ObjectName};
use crate::inventory::kube::{BindingGroup, LabelSelector, PortReference, Protocol, StringMap, TargetGroupBinding};
use crate::inventory::part::Part as InventoryPart;

/// One annotation: what a Service says, and AWS as it says and not as it says.
struct Pair {
    annotation: &'static str,
    says: &'static [(&'static str, &'static str)],
    as_said: fn(World) -> World,
    otherwise: fn(World) -> World,
}

const CERTIFIED: (&str, &str) = (name::SSL_CERT, "cert-a");
const DUALSTACK: (&str, &str) = (name::IP_ADDRESS_TYPE, "dualstack");
const INTERNET_FACING: (&str, &str) = (name::SCHEME, "internet-facing");
const ACTION: &str = r#"{"type":"forward","forwardConfig":{"baseServiceWeight":90,
    "targetGroups":[{"serviceName":"canary","servicePort":80,"weight":10}]}}"#;

const PAIRS: &[Pair] = &[
    Pair {
        annotation: name::NAME,
        says: &[(name::NAME, "one")],
        as_said: |world| world,
        otherwise: |world| world.load_balancer(|lb| lb.name = "two".into()),
    },
    Pair {
        annotation: name::EIP_ALLOCATIONS,
        says: &[INTERNET_FACING, (name::EIP_ALLOCATIONS, "eipalloc-c,eipalloc-b, eipalloc-a")],
        as_said: |world| internet_facing(world, &["eipalloc-a", "eipalloc-b", "eipalloc-c"]),
        otherwise: |world| internet_facing(world, &["eipalloc-a", "eipalloc-b", "eipalloc-x"]),
    },
    Pair {
        annotation: name::PRIVATE_IPV4_ADDRESSES,
        says: &[(name::PRIVATE_IPV4_ADDRESSES, "10.0.2.9,10.0.0.9,10.0.1.9")],
        as_said: |world| private(world, &["10.0.0.9", "10.0.1.9", "10.0.2.9"]),
        otherwise: |world| private(world, &["10.0.0.9", "10.0.1.9", "10.0.2.8"]),
    },
    Pair {
        annotation: name::IPV6_ADDRESSES,
        says: &[DUALSTACK, (name::IPV6_ADDRESSES, "2001:DB8:0::9")],
        as_said: |world| ipv6(world, "2001:db8::9"),
        otherwise: |world| ipv6(world, "2001:db8::8"),
    },
    Pair {
        annotation: name::ENABLE_IPV6_SOURCE_NAT,
        says: &[DUALSTACK, (name::ENABLE_IPV6_SOURCE_NAT, "on")],
        as_said: |world| dualstack(world).load_balancer(|lb| lb.enable_prefix_for_ipv6_source_nat = Some("on".into())),
        otherwise: |world| dualstack(world).load_balancer(|lb| lb.enable_prefix_for_ipv6_source_nat = Some("".into())),
    },
    Pair {
        annotation: name::SOURCE_NAT_PREFIXES,
        says: &[
            DUALSTACK,
            (name::ENABLE_IPV6_SOURCE_NAT, "on"),
            (name::SOURCE_NAT_PREFIXES, "auto_assigned,2001:DB8:0:1::/80,auto_assigned"),
        ],
        as_said: |world| source_nat(world, ["2001:db8:0:1::/80", "2001:db8:0:7::/80", "2001:db8:0:8::/80"]),
        otherwise: |world| source_nat(world, ["2001:db8:0:2::/80", "2001:db8:0:7::/80", "2001:db8:0:8::/80"]),
    },
    Pair {
        annotation: name::MINIMUM_CAPACITY,
        says: &[(name::MINIMUM_CAPACITY, "CapacityUnits=3000")],
        as_said: |world| capacity(world, 3000),
        otherwise: |world| capacity(world, 0),
    },
    Pair {
        annotation: name::MANAGE_BACKEND_RULES,
        says: &[(name::SECURITY_GROUPS, "sg-x"), (name::MANAGE_BACKEND_RULES, "true")],
        as_said: |world| world.load_balancer(|lb| lb.security_groups = ["sg-x".into(), "sg-backend".into()].into()),
        otherwise: |world| world.load_balancer(|lb| lb.security_groups = ["sg-x".into()].into()),
    },
    Pair {
        annotation: name::DISABLE_NLB_SG,
        says: &[(name::DISABLE_NLB_SG, "false")],
        as_said: |world| world,
        otherwise: |world| world.load_balancer(|lb| lb.security_groups.clear()),
    },
    Pair {
        annotation: name::PRIVATE_LINK_RULES,
        says: &[(name::PRIVATE_LINK_RULES, "off")],
        as_said: |world| world.load_balancer(|lb| lb.enforce_inbound_rules_on_private_link = Some("off".into())),
        otherwise: |world| world.load_balancer(|lb| lb.enforce_inbound_rules_on_private_link = Some("on".into())),
    },
    Pair {
        annotation: name::SOURCE_RANGES,
        says: &[(name::SOURCE_RANGES, "192.168.0.0/16, 10.1.2.3/8,10.0.0.0/8")],
        as_said: |world| world.rules(|rules| *rules = vec![from("10.0.0.0/8"), from("192.168.0.0/16")]),
        otherwise: |world| world.rules(|rules| *rules = vec![from("10.0.0.0/8"), from("192.168.0.0/16"), from("0.0.0.0/0")]),
    },
    Pair {
        annotation: name::PREFIX_LISTS,
        says: &[(name::PREFIX_LISTS, "pl-b,pl-a"), (name::SOURCE_RANGES, "10.0.0.0/8")],
        as_said: |world| world.rules(|rules| *rules = vec![list("pl-a"), list("pl-b"), from("10.0.0.0/8")]),
        otherwise: |world| world.rules(|rules| *rules = vec![list("pl-a"), from("10.0.0.0/8")]),
    },
    Pair {
        annotation: name::ENABLE_ICMP,
        says: &[(name::ENABLE_ICMP, "on")],
        as_said: |world| {
            let icmp = Rule { protocol: "1".into(), ports: Some((3, 4)), ..from("0.0.0.0/0") };
            world.rules(|rules| rules.push(icmp))
        },
        otherwise: |world| world,
    },
    Pair {
        annotation: SPEC_PORTS,
        says: &[],
        as_said: |world| world,
        otherwise: |world| world.listeners(|listener| listener.protocol = "UDP".into()),
    },
    Pair {
        annotation: name::SSL_PORTS,
        says: &[CERTIFIED, (name::SSL_PORTS, "http")],
        as_said: |world| tls(world, "cert-a", &[]),
        otherwise: |world| world,
    },
    Pair {
        annotation: name::BACKEND_PROTOCOL,
        says: &[CERTIFIED, (name::BACKEND_PROTOCOL, "ssl")],
        as_said: |world| tls(world, "cert-a", &[]).target_groups(|group| group.protocol = "TLS".into()),
        otherwise: |world| tls(world, "cert-a", &[]),
    },
    Pair {
        annotation: name::ENABLE_TCP_UDP_LISTENER,
        says: &[(name::ENABLE_TCP_UDP_LISTENER, "true")],
        as_said: |world| {
            both_protocols(world)
                .listeners(|listener| listener.protocol = "TCP_UDP".into())
                .target_groups(|group| group.protocol = "TCP_UDP".into())
        },
        otherwise: both_protocols,
    },
    Pair {
        annotation: name::QUIC_PORTS,
        says: &[(name::QUIC_PORTS, "80")],
        as_said: |world| by_udp(world, "QUIC"),
        otherwise: |world| by_udp(world, "UDP"),
    },
    Pair {
        annotation: name::SSL_CERT,
        says: &[(name::SSL_CERT, "cert-a,cert-c, cert-b,cert-b")],
        as_said: |world| tls(world, "cert-a", &["cert-b", "cert-c"]),
        otherwise: |world| tls(world, "cert-b", &["cert-b", "cert-c"]),
    },
    Pair {
        annotation: name::SSL_POLICY,
        says: &[CERTIFIED],
        as_said: |world| tls(world, "cert-a", &[]),
        otherwise: |world| {
            tls(world, "cert-a", &[]).listeners(|listener| listener.ssl_policy = Some("ELBSecurityPolicy-TLS13".into()))
        },
    },
    Pair {
        annotation: name::ALPN_POLICY,
        says: &[CERTIFIED, (name::ALPN_POLICY, "None")],
        as_said: |world| tls(world, "cert-a", &[]),
        otherwise: |world| tls(world, "cert-a", &[]).listeners(|listener| listener.alpn_policy = Some("HTTP2Only".into())),
    },
    Pair {
        annotation: name::LISTENER_ATTRIBUTES,
        says: &[("aws-load-balancer-listener-attributes.TCP-80", "tcp.idle_timeout.seconds=60")],
        as_said: |world| listener_attribute(world, "tcp.idle_timeout.seconds", "60"),
        otherwise: |world| listener_attribute(world, "tcp.idle_timeout.seconds", "350"),
    },
    Pair {
        annotation: name::ACTIONS,
        says: &[("actions.TCP-80", ACTION)],
        as_said: |world| weighted(world, [90, 10]),
        otherwise: |world| weighted(world, [100, 0]),
    },
    Pair {
        annotation: name::TARGET_NODE_LABELS,
        says: &[(name::TARGET_TYPE, "instance"), (name::TARGET_NODE_LABELS, "pool=edge,zone=a")],
        as_said: |world| labelled(world, &[("pool", "edge"), ("zone", "a")]),
        otherwise: |world| labelled(world, &[("pool", "edge")]),
    },
    Pair {
        annotation: name::MULTI_CLUSTER,
        says: &[(name::MULTI_CLUSTER, "true")],
        as_said: |world| bound(world, None, true),
        otherwise: |world| bound(world, None, false),
    },
    Pair {
        annotation: name::SCHEME,
        says: &[(name::SCHEME, "internal")],
        as_said: |world| world,
        otherwise: |world| world.load_balancer(|lb| lb.scheme = Scheme::InternetFacing),
    },
    Pair {
        annotation: name::INTERNAL,
        says: &[(name::INTERNAL, "true")],
        as_said: |world| world,
        otherwise: |world| world.load_balancer(|lb| lb.scheme = Scheme::InternetFacing),
    },
    Pair {
        annotation: name::IP_ADDRESS_TYPE,
        says: &[(name::IP_ADDRESS_TYPE, "dualstack")],
        as_said: dualstack,
        otherwise: |world| world.rules(everybody_by_ipv6),
    },
    Pair {
        annotation: name::SUBNETS,
        says: &[(name::SUBNETS, "subnet-c, private-a,subnet-b")],
        as_said: |world| world,
        otherwise: |world| world.load_balancer(|lb| lb.zones.truncate(2)),
    },
    Pair {
        annotation: name::SECURITY_GROUPS,
        says: &[(name::SECURITY_GROUPS, "sg-b,sg-a")],
        as_said: |world| world.load_balancer(|lb| lb.security_groups = ["sg-a".into(), "sg-b".into()].into()),
        otherwise: |world| world,
    },
    Pair {
        annotation: name::ATTRIBUTES,
        says: &[(name::ATTRIBUTES, "deletion_protection.enabled=True")],
        as_said: |world| world.attribute("deletion_protection.enabled", "true"),
        otherwise: |world| world,
    },
    Pair {
        annotation: name::ACCESS_LOG_ENABLED,
        says: &[(name::ACCESS_LOG_ENABLED, "true")],
        as_said: |world| world.attribute("access_logs.s3.enabled", "true"),
        otherwise: |world| world,
    },
    Pair {
        annotation: name::ACCESS_LOG_BUCKET,
        says: &[(name::ACCESS_LOG_ENABLED, "true"), (name::ACCESS_LOG_BUCKET, "logs")],
        as_said: |world| world.attribute("access_logs.s3.enabled", "true").attribute("access_logs.s3.bucket", "logs"),
        otherwise: |world| world.attribute("access_logs.s3.enabled", "true").attribute("access_logs.s3.bucket", "Logs"),
    },
    Pair {
        annotation: name::ACCESS_LOG_PREFIX,
        says: &[(name::ACCESS_LOG_ENABLED, "true"), (name::ACCESS_LOG_PREFIX, "web")],
        as_said: |world| world.attribute("access_logs.s3.enabled", "true").attribute("access_logs.s3.prefix", "web"),
        otherwise: |world| world.attribute("access_logs.s3.enabled", "true"),
    },
    Pair {
        annotation: name::CROSS_ZONE,
        says: &[(name::CROSS_ZONE, "false")],
        as_said: |world| world,
        otherwise: |world| world.attribute("load_balancing.cross_zone.enabled", "true"),
    },
    Pair {
        annotation: name::ADDITIONAL_TAGS,
        says: &[(name::ADDITIONAL_TAGS, "team=shop,env=prod")],
        as_said: |world| world.tag("team", "shop").tag("env", "prod").tag("cost", "foreign"),
        otherwise: |world| world.tag("team", "shop").tag("env", "Prod"),
    },
    Pair {
        annotation: name::TARGET_TYPE,
        says: &[],
        as_said: |world| world,
        otherwise: |world| {
            world.target_groups(|group| {
                group.target_type = TargetType::Instance;
                group.health_check.interval_seconds = 30;
            })
        },
    },
    Pair {
        annotation: name::TARGET_GROUP_ATTRIBUTES,
        says: &[(name::TARGET_GROUP_ATTRIBUTES, "deregistration_delay.timeout_seconds=30")],
        as_said: |world| world.group_attribute("deregistration_delay.timeout_seconds", "30"),
        otherwise: |world| world,
    },
    Pair {
        annotation: name::PROXY_PROTOCOL,
        says: &[(name::PROXY_PROTOCOL, "*")],
        as_said: |world| world.group_attribute("proxy_protocol_v2.enabled", "true"),
        otherwise: |world| world,
    },
    Pair {
        annotation: name::PROXY_PROTOCOL_PER_GROUP,
        says: &[(name::PROXY_PROTOCOL_PER_GROUP, "80")],
        as_said: |world| world.group_attribute("proxy_protocol_v2.enabled", "true"),
        otherwise: |world| world,
    },
    Pair {
        annotation: name::HEALTH_CHECK_PROTOCOL,
        says: &[(name::HEALTH_CHECK_PROTOCOL, "http")],
        as_said: |world| {
            world.target_groups(|group| {
                group.health_check.protocol = "HTTP".into();
                group.health_check.path = Some("/".into());
                group.health_check.success_codes = Some("200-399".into());
            })
        },
        otherwise: |world| world,
    },
    Pair {
        annotation: name::HEALTH_CHECK_PORT,
        says: &[(name::HEALTH_CHECK_PORT, "http")],
        as_said: |world| world.target_groups(|group| group.health_check.port = "8080".into()),
        otherwise: |world| world,
    },
    Pair {
        annotation: name::HEALTH_CHECK_PATH,
        says: &[(name::HEALTH_CHECK_PROTOCOL, "http"), (name::HEALTH_CHECK_PATH, "/ready")],
        as_said: |world| http(world, "/ready", "200-399"),
        otherwise: |world| http(world, "/", "200-399"),
    },
    Pair {
        annotation: name::SUCCESS_CODES,
        says: &[(name::HEALTH_CHECK_PROTOCOL, "http"), (name::SUCCESS_CODES, "200")],
        as_said: |world| http(world, "/", "200"),
        otherwise: |world| http(world, "/", "200-399"),
    },
    Pair {
        annotation: name::HEALTH_CHECK_INTERVAL,
        says: &[(name::HEALTH_CHECK_INTERVAL, "30")],
        as_said: |world| world.target_groups(|group| group.health_check.interval_seconds = 30),
        otherwise: |world| world,
    },
    Pair {
        annotation: name::HEALTH_CHECK_TIMEOUT,
        says: &[(name::HEALTH_CHECK_TIMEOUT, "5")],
        as_said: |world| world.target_groups(|group| group.health_check.timeout_seconds = 5),
        otherwise: |world| world,
    },
    Pair {
        annotation: name::HEALTHY_THRESHOLD,
        says: &[(name::HEALTHY_THRESHOLD, "5")],
        as_said: |world| world.target_groups(|group| group.health_check.healthy_threshold = 5),
        otherwise: |world| world,
    },
    Pair {
        annotation: name::UNHEALTHY_THRESHOLD,
        says: &[],
        as_said: |world| world,
        otherwise: |world| world.target_groups(|group| group.health_check.unhealthy_threshold = 2),
    },
];

pub(super) fn dualstack(world: World) -> World {
    world.load_balancer(|lb| lb.ip_address_type = IpAddressType::Dualstack).rules(everybody_by_ipv6)
}

fn everybody_by_ipv6(rules: &mut Vec<Rule>) {
    rules.push(from("::/0"));
}

pub(super) fn from(source: &str) -> Rule {
    rule(Protocol::Tcp, 80, source)
}

fn list(id: &str) -> Rule {
    Rule { peer: Peer::PrefixList(id.into()), ..from("0.0.0.0/0") }
}

fn addresses(world: World, all: Vec<LoadBalancerAddress>) -> World {
    world.load_balancer(|lb| {
        for (zone, address) in lb.zones.iter_mut().zip(all) {
            zone.addresses = vec![address];
        }
    })
}

pub(super) fn internet_facing(world: World, allocations: &[&str]) -> World {
    let address = |id: &&str| LoadBalancerAddress { allocation_id: Some((*id).into()), ..LoadBalancerAddress::default() };
    let world = world.load_balancer(|lb| lb.scheme = Scheme::InternetFacing);
    addresses(world, allocations.iter().map(address).collect())
}

pub(super) fn private(world: World, all: &[&str]) -> World {
    let address =
        |text: &&str| LoadBalancerAddress { private_ipv4: Some(text.parse().unwrap()), ..LoadBalancerAddress::default() };
    addresses(world, all.iter().map(address).collect())
}

fn ipv6(world: World, text: &str) -> World {
    let address = LoadBalancerAddress { ipv6: Some(text.parse().unwrap()), ..LoadBalancerAddress::default() };
    addresses(dualstack(world), vec![address])
}

fn source_nat(world: World, prefixes: [&str; 3]) -> World {
    dualstack(world).load_balancer(|lb| {
        lb.enable_prefix_for_ipv6_source_nat = Some("on".into());
        for (zone, prefix) in lb.zones.iter_mut().zip(prefixes) {
            zone.source_nat_ipv6_prefixes = vec![prefix.into()];
        }
    })
}

pub(super) fn capacity(world: World, units: i32) -> World {
    world.with(|world| {
        let part = InventoryPart::fetched(CapacityReservation { capacity_units: units }, at(FETCHED));
        Arc::make_mut(&mut world.parts.capacity_reservations).insert("net/one/1".into(), part);
    })
}

/// The listeners end TLS.
pub(super) fn tls(world: World, default: &'static str, others: &[&str]) -> World {
    let others: BTreeSet<Arc<str>> = others.iter().map(|arn| (*arn).into()).collect();
    let world = world.listeners(|listener| {
        listener.protocol = "TLS".into();
        listener.certificate_arn = Some(default.into());
        listener.ssl_policy = Some("ELBSecurityPolicy-2016-08".into());
    });
    world.with(|world| {
        let arns: Vec<Arn> = listener_arns(world);
        let certificates = Arc::make_mut(&mut world.parts.listener_certificates);
        certificates.extend(arns.into_iter().map(|arn| (arn, InventoryPart::fetched(others.clone(), at(FETCHED)))));
    })
}

pub(super) fn listener_arns(world: &World) -> Vec<Arn> {
    let listeners = world.parts.listeners.get("net/one/1").unwrap().get().unwrap();
    listeners.iter().map(|listener| listener.arn.clone()).collect()
}

pub(super) fn listener_attribute(world: World, key: &str, value: &str) -> World {
    world.with(|world| {
        let arns = listener_arns(world);
        let part = || InventoryPart::fetched([(key.into(), value.into())].into(), at(FETCHED));
        Arc::make_mut(&mut world.parts.listener_attributes).extend(arns.into_iter().map(|arn| (arn, part())));
    })
}

/// Port 80 by TCP and UDP.
pub(super) fn both_protocols(world: World) -> World {
    world
        .change_service(|service| {
            let mut udp = service.ports[0].clone();
            (udp.name, udp.protocol) = ("udp".into(), Protocol::Udp);
            service.ports.push(udp);
        })
        .rules(|rules| rules.push(rule(Protocol::Udp, 80, "0.0.0.0/0")))
}

pub(super) fn by_udp(world: World, protocol: &'static str) -> World {
    world
        .change_service(|service| service.ports[0].protocol = Protocol::Udp)
        .rules(|rules| *rules = vec![rule(Protocol::Udp, 80, "0.0.0.0/0")])
        .listeners(|listener| listener.protocol = protocol.into())
        .target_groups(|group| group.protocol = protocol.into())
}

/// The listener of port 80 sends to the Service and to another one's group too.
pub(super) fn weighted(world: World, weights: [u32; 2]) -> World {
    let world = world.with(|world| {
        let mut canary = crate::checks::testing::service("shop/canary").build();
        canary.name = ObjectName::new("shop", "canary");
        let service = canary.name.clone();
        insert(&mut world.parts.services, service, canary);
        world.add_group_of("canary", "shop/canary:80");
    });
    world.listeners(move |listener| {
        let groups = ["targetgroup/p80/1", "targetgroup/canary/1"];
        let forward = |(group, weight): (&str, u32)| Forward { target_group: group.into(), weight };
        listener.forwards = groups.into_iter().zip(weights).map(forward).collect();
    })
}

pub(super) fn labelled(world: World, labels: &[(&str, &str)]) -> World {
    let match_labels: StringMap = labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    let world = world.target_groups(|group| group.target_type = TargetType::Instance);
    bound(world, Some(LabelSelector { match_labels, match_expressions: vec![] }), false)
}

pub(super) fn bound(world: World, node_selector: Option<LabelSelector>, multi_cluster: bool) -> World {
    world.with(|world| {
        let groups = world.parts.target_groups.get().unwrap();
        let target_group_arn = groups.values().next().map(|group| group.arn.clone());
        let name = ObjectName::new("shop", "p80");
        let binding = TargetGroupBinding {
            name: name.clone(),
            group: BindingGroup::LoadBalancerController,
            created_at: at(BORN + 30),
            deleted_at: None,
            target_group_arn,
            target_type: None,
            service: ObjectName::new("shop", "web"),
            service_port: PortReference::Number(80),
            networking: true,
            node_selector,
            multi_cluster,
            other_account: false,
            vpc_id: None,
            stack: Some(ObjectName::new("shop", "web")),
        };
        insert(&mut world.parts.target_group_bindings, name, binding);
    })
}

pub(super) fn http(world: World, path: &'static str, codes: &'static str) -> World {
    world.target_groups(move |group| {
        group.health_check.protocol = "HTTP".into();
        group.health_check.path = Some(path.into());
        group.health_check.success_codes = Some(codes.into());
    })
}

fn world_of(pair: &Pair) -> World {
    let builder = pair.says.iter().fold(web(), |builder, (key, value)| builder.annotate(key, value));
    World::of(&builder).with(|world| world.controllers(&[controller("3.5.0")]))
}

#[test]
fn each_annotation_is_silent_where_aws_is_as_it_says_and_speaks_where_not_1_4_to_1_8() {
    for pair in PAIRS {
        assert_silent(&(pair.as_said)(world_of(pair)), pair.annotation);
        assert_drift(&(pair.otherwise)(world_of(pair)), pair.annotation);
    }
    for row in ROWS {
        assert!(PAIRS.iter().any(|pair| pair.annotation == row.annotation), "{} has no pair", row.annotation);
    }
}
