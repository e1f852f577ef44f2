//! Services as people write them, with what the controller makes of them in AWS: drift, lint and edits say nothing that their
//! owner would call noise, also when a piece of the picture is missing.

use super::pairs::{
    both_protocols, bound, by_udp, capacity, dualstack, from, http, internet_facing, labelled, listener_attribute, private, tls,
    weighted,
};
use super::*;
use crate::checks::testing::{VPC, insert, rule, security_group};
use crate::checks::{edited, lint};
use crate::inventory::history::History;
use crate::inventory::kube::{Protocol, ServiceType, TrafficPolicy};
use crate::inventory::parts::Parts;

/// An old version of which it is not known when exactly ALPN began to be set: the one world that is not compared in full.
const NOT_IN_FULL: &str = "ALPN before TCP targets, when that was not set yet";

/// What it is, the controller's version, the world, and the codes its owner agrees with.
type Everyday = (&'static str, &'static str, fn() -> World, &'static [&'static str]);

const NEW: &str = "3.5.0";
const TLS_PORTS: &[(&str, u16, u16)] = &[("http", 80, 8080), ("https", 443, 8443)];

fn ports(builder: ServiceBuilder, ports: &[(&str, u16, u16)]) -> ServiceBuilder {
    let with = |builder: ServiceBuilder, (name, port, target): &(&str, u16, u16)| {
        builder.port(name, *port, *target, 30_000 + *port % 2_000)
    };
    ports.iter().fold(builder, with)
}

fn says(builder: ServiceBuilder, pairs: &[(&str, &str)]) -> ServiceBuilder {
    pairs.iter().fold(builder, |builder, (key, value)| {
        let full = if key.contains('/') || key.starts_with("load-") || key.starts_with("actions") {
            (*key).to_owned()
        } else {
            format!("aws-load-balancer-{key}")
        };
        builder.annotate(&full, value)
    })
}

fn ip(pairs: &[(&str, &str)]) -> World {
    World::of(&says(web(), pairs))
}

fn class(pairs: &[(&str, &str)]) -> World {
    World::of(&says(service("shop/web").class("service.k8s.aws/nlb"), pairs))
        .target_groups(|group| group.target_type = TargetType::Instance)
}

fn legacy(pairs: &[(&str, &str)]) -> World {
    World::of(&says(service("shop/web"), pairs))
}

fn instances(world: World) -> World {
    world.target_groups(|group| group.target_type = TargetType::Instance).group_attribute("preserve_client_ip.enabled", "true")
}

fn local(world: World) -> World {
    instances(http(world, "/healthz", "200-399")).target_groups(|group| {
        let check = &mut group.health_check;
        check.port = "31503".into();
        (check.timeout_seconds, check.healthy_threshold, check.unhealthy_threshold) = (6, 2, 2);
    })
}

fn public(world: World) -> World {
    world.load_balancer(|lb| lb.scheme = Scheme::InternetFacing)
}

fn groups(world: World, groups: &[&str]) -> World {
    let groups = groups.iter().map(|id| (*id).into()).collect();
    world.load_balancer(|lb| lb.security_groups = groups)
}

fn flag(world: World, key: &'static str, value: &'static str) -> World {
    world.with(|world| world.controllers(&[controller("2.8.2").flag(key, value)]))
}

fn check(world: World, change: fn(&mut crate::inventory::aws::HealthCheck)) -> World {
    world.target_groups(move |group| change(&mut group.health_check))
}

fn only_port(world: World, port: u16, change: fn(&mut crate::inventory::aws::Listener)) -> World {
    world.listeners(move |listener| {
        if listener.port == port {
            change(listener);
        }
    })
}

fn udp_port(port: u16) -> impl Fn(&mut crate::inventory::aws::TargetGroup) {
    move |group| {
        if *group.name == *format!("p{port}") {
            group.protocol = "UDP".into();
        }
    }
}

const EVERYDAY: &[Everyday] = &[
    (
        "ingress-nginx, ip, public",
        NEW,
        || {
            let pairs = [("scheme", "internet-facing"), ("attributes", "load_balancing.cross_zone.enabled=true")];
            public(World::of(&ports(says(web(), &pairs), TLS_PORTS))).attribute("load_balancing.cross_zone.enabled", "true")
        },
        &[],
    ),
    (
        "ingress-nginx, instance, policy Local",
        NEW,
        || local(World::of(&ports(service("shop/web").external("instance").local(31503), TLS_PORTS))),
        &[],
    ),
    (
        "ingress-nginx, proxy protocol",
        NEW,
        || ip(&[("proxy-protocol", "*")]).group_attribute("proxy_protocol_v2.enabled", "true"),
        &[],
    ),
    (
        "ingress-nginx, TLS ends at the load balancer",
        NEW,
        || {
            let pairs = [("ssl-cert", "arn:aws:acm:a:1:certificate/a"), ("ssl-ports", "https"), ("backend-protocol", "tcp")];
            let world = tls(World::of(&ports(says(web(), &pairs), TLS_PORTS)), "arn:aws:acm:a:1:certificate/a", &[]);
            only_port(world, 80, |listener| {
                listener.protocol = "TCP".into();
                (listener.certificate_arn, listener.ssl_policy) = (None, None);
            })
        },
        &[],
    ),
    (
        "a chart for the in-tree provider, taken by the webhook",
        NEW,
        || {
            class(&[("type", "nlb"), ("cross-zone-load-balancing-enabled", "true"), ("backend-protocol", "tcp")])
                .attribute("load_balancing.cross_zone.enabled", "true")
        },
        &["NLB606"],
    ),
    (
        "istio gateway",
        NEW,
        || {
            let pairs = [("healthcheck-protocol", "http"), ("healthcheck-port", "15021"), ("healthcheck-path", "/healthz/ready")];
            let world = World::of(&ports(
                says(web(), &pairs),
                &[("status-port", 15021, 15021), ("http2", 80, 8080), ("https", 443, 8443)],
            ));
            check(http(world, "/healthz/ready", "200-399"), |check| check.port = "15021".into())
        },
        &[],
    ),
    (
        "istio gateway, health by the name of a port",
        NEW,
        || {
            let pairs =
                [("healthcheck-protocol", "HTTP"), ("healthcheck-port", "status-port"), ("healthcheck-path", "/healthz/ready")];
            let world = World::of(&ports(
                says(service("shop/web").external("instance"), &pairs),
                &[("status-port", 15021, 15021), ("http2", 80, 8080)],
            ));
            instances(check(http(world, "/healthz/ready", "200-399"), |check| check.port = "31021".into()))
        },
        &[],
    ),
    (
        "traefik with HTTP/3, merged",
        NEW,
        || {
            both_protocols(ip(&[("enable-tcp-udp-listener", "true")]))
                .listeners(|listener| listener.protocol = "TCP_UDP".into())
                .target_groups(|group| group.protocol = "TCP_UDP".into())
        },
        &[],
    ),
    ("traefik with HTTP/3, not merged", NEW, || both_protocols(ip(&[])), &["NLB614"]),
    (
        "kong behind proxy protocol",
        NEW,
        || {
            let world = ip(&[
                ("proxy-protocol", "*"),
                ("healthcheck-protocol", "http"),
                ("healthcheck-path", "/status"),
                ("healthcheck-port", "8100"),
            ]);
            check(http(world, "/status", "200-399"), |check| check.port = "8100".into())
                .group_attribute("proxy_protocol_v2.enabled", "true")
        },
        &[],
    ),
    (
        "MQTT that idles",
        NEW,
        || {
            let world = ip(&[
                ("listener-attributes.TCP-80", "tcp.idle_timeout.seconds=3600"),
                ("target-group-attributes", "stickiness.enabled=true,stickiness.type=source_ip,preserve_client_ip.enabled=true"),
            ]);
            listener_attribute(world, "tcp.idle_timeout.seconds", "3600")
                .group_attribute("stickiness.enabled", "true")
                .group_attribute("stickiness.type", "source_ip")
                .group_attribute("preserve_client_ip.enabled", "true")
        },
        &[],
    ),
    (
        "MQTT that ends TLS twice",
        NEW,
        || {
            tls(ip(&[("ssl-cert", "arn:a"), ("backend-protocol", "ssl"), ("alpn-policy", "HTTP2Preferred")]), "arn:a", &[])
                .listeners(|listener| listener.alpn_policy = Some("HTTP2Preferred".into()))
                .target_groups(|group| group.protocol = "TLS".into())
        },
        &[],
    ),
    (
        NOT_IN_FULL,
        "2.4.0",
        || groups(check(tls(ip(&[("ssl-cert", "arn:a"), ("alpn-policy", "HTTP2Preferred")]), "arn:a", &[]), |_| {}), &[]),
        &[],
    ),
    ("an empty ALPN policy of a chart without TLS", NEW, || ip(&[("alpn-policy", "")]), &[]),
    (
        "DNS by UDP",
        NEW,
        || {
            let pairs = [("healthcheck-protocol", "http"), ("healthcheck-port", "8181"), ("healthcheck-path", "/ready")];
            check(http(by_udp(ip(&pairs), "UDP"), "/ready", "200-399"), |check| check.port = "8181".into())
        },
        &[],
    ),
    (
        "syslog by TCP and UDP on two ports",
        NEW,
        || {
            let world = World::of(&ports(web(), &[("tcp", 601, 601), ("udp", 514, 514)]))
                .change_service(|service| service.ports[1].protocol = Protocol::Udp);
            only_port(world, 514, |listener| listener.protocol = "UDP".into())
                .target_groups(udp_port(514))
                .rules(|rules| *rules = vec![rule(Protocol::Tcp, 601, "0.0.0.0/0"), rule(Protocol::Udp, 514, "0.0.0.0/0")])
        },
        &[],
    ),
    ("QUIC", NEW, || by_udp(ip(&[("quic-enabled-ports", "80")]), "QUIC"), &[]),
    (
        "own private addresses",
        NEW,
        || private(ip(&[("private-ipv4-addresses", "10.0.0.9, 10.0.1.9, 10.0.2.9")]), &["10.0.0.9", "10.0.1.9", "10.0.2.9"]),
        &[],
    ),
    (
        "Elastic IPs",
        NEW,
        || {
            internet_facing(
                ip(&[("scheme", "internet-facing"), ("eip-allocations", "eipalloc-c,eipalloc-a,eipalloc-b")]),
                &["eipalloc-a", "eipalloc-b", "eipalloc-c"],
            )
        },
        &[],
    ),
    (
        "dualstack with IPv6 targets",
        NEW,
        || {
            dualstack(ip(&[("ip-address-type", "dualstack")]))
                .change_service(|service| service.ipv6 = true)
                .target_groups(|group| group.ip_family = crate::inventory::aws::IpFamily::Ipv6)
        },
        &[],
    ),
    (
        "dualstack with instance targets",
        NEW,
        || instances(dualstack(World::of(&says(service("shop/web").external("instance"), &[("ip-address-type", "dualstack")])))),
        &[],
    ),
    ("2.4.7: no security groups", "2.4.7", || groups(ip(&[("load-balancer-source-ranges", "10.0.0.0/8")]), &[]), &[]),
    (
        "2.4.2: time-outs are AWS's own",
        "2.4.2",
        || groups(check(http(ip(&[("healthcheck-protocol", "http")]), "/", "200-399"), |check| check.timeout_seconds = 6), &[]),
        &[],
    ),
    ("2.5.4", "2.5.4", || groups(instances(World::of(&service("shop/web").external("instance"))), &[]), &[]),
    ("2.6.1, a load balancer born before", "2.6.1", || groups(ip(&[]), &[]), &[]),
    (
        "2.8.2 with source ranges of the spec",
        "2.8.2",
        || {
            ip(&[])
                .change_service(|service| service.source_ranges = vec!["10.0.0.0/8".into(), "192.0.2.1/32".into()])
                .rules(|rules| *rules = vec![from("192.0.2.1/32"), from("10.0.0.0/8")])
        },
        &[],
    ),
    (
        "default tags beside the annotation's",
        "2.8.2",
        || {
            flag(ip(&[("additional-resource-tags", "team=shop,env=prod")]), "default-tags", "env=live,owner=it")
                .tag("team", "shop")
                .tag("env", "live")
                .tag("owner", "it")
        },
        &[],
    ),
    (
        "custom groups by ID and by Name, with rules managed",
        NEW,
        || {
            let world = ip(&[("security-groups", "sg-x, edge"), ("manage-backend-security-group-rules", "true")]).with(|world| {
                insert(&mut world.parts.security_groups, "sg-y".into(), security_group("sg-y", VPC, &[("Name", "edge")]));
                insert(&mut world.parts.security_groups, "sg-z".into(), security_group("sg-z", VPC, &[("Name", "edge")]));
                insert(&mut world.parts.security_groups, "sg-w".into(), security_group("sg-w", "vpc-2", &[("Name", "edge")]));
            });
            groups(world, &["sg-x", "sg-y", "sg-z", "sg-backend"])
        },
        &[],
    ),
    ("custom groups without rules", NEW, || groups(ip(&[("security-groups", "sg-x")]), &["sg-x"]), &[]),
    (
        "a cluster without the shared group",
        "2.8.2",
        || groups(flag(ip(&[]), "enable-backend-security-group", "false"), &["sg-managed"]),
        &[],
    ),
    (
        "a shared group of the owner's",
        "2.8.2",
        || groups(flag(ip(&[]), "backend-security-group", "sg-own"), &["sg-managed", "sg-own"]),
        &[],
    ),
    (
        "blue and green by weight",
        NEW,
        || {
            let action = r#"{"type":"forward","forwardConfig":{"baseServiceWeight":0,"targetGroups":[{"serviceName":"canary","servicePort":80,"weight":100}]}}"#;
            weighted(ip(&[("actions.TCP-80", action)]), [0, 100])
        },
        &[],
    ),
    (
        "ip targets with policy Local",
        NEW,
        || ip(&[]).change_service(|service| service.external_traffic_policy = TrafficPolicy::Local),
        &[],
    ),
    (
        "nlb-ip of a ClusterIP Service",
        NEW,
        || legacy(&[("type", "nlb-ip")]).change_service(|service| service.service_type = ServiceType::ClusterIp),
        &["NLB606"],
    ),
    (
        "a headless Service",
        NEW,
        || {
            ip(&[]).change_service(|service| {
                service.service_type = ServiceType::ClusterIp;
                service.ports[0].node_port = None;
            })
        },
        &[],
    ),
    (
        "a NodePort Service with policy Local",
        NEW,
        || {
            instances(World::of(&service("shop/web").external("instance"))).change_service(|service| {
                service.service_type = ServiceType::NodePort;
                service.external_traffic_policy = TrafficPolicy::Local;
            })
        },
        &[],
    ),
    (
        "prefix lists only",
        NEW,
        || {
            ip(&[("security-group-prefix-lists", "pl-a")])
                .rules(|rules| rules[0].peer = crate::inventory::aws::Peer::PrefixList("pl-a".into()))
        },
        &[],
    ),
    (
        "ICMP for the path's MTU",
        NEW,
        || {
            ip(&[("enable-icmp-for-path-mtu-discovery", "on")]).rules(|rules| {
                let mut icmp = rules[0].clone();
                (icmp.protocol, icmp.ports) = ("icmp".into(), Some((3, 4)));
                rules.push(icmp);
            })
        },
        &[],
    ),
    ("born without groups on purpose", NEW, || groups(ip(&[("disable-nlb-sg", "true")]), &[]), &[]),
    ("access logs off, as a chart writes it", NEW, || ip(&[("access-log-enabled", "false")]), &["NLB606"]),
    (
        "access logs in attributes",
        NEW,
        || {
            ip(&[("attributes", "access_logs.s3.enabled=true,access_logs.s3.bucket=logs,access_logs.s3.prefix=")])
                .attribute("access_logs.s3.enabled", "true")
                .attribute("access_logs.s3.bucket", "logs")
        },
        &[],
    ),
    ("subnets by Name", NEW, || ip(&[("subnets", "private-b, private-a, subnet-c")]), &[]),
    (
        "target-node-labels",
        NEW,
        || {
            labelled(
                World::of(&says(service("shop/web").external("instance"), &[("target-node-labels", "pool=edge")])),
                &[("pool", "edge")],
            )
        },
        &[],
    ),
    ("shared with another cluster", NEW, || bound(ip(&[("multi-cluster-target-group", "true")]), None, true), &[]),
    (
        "public by the controller's flag",
        "2.8.2",
        || public(flag(ip(&[]), "default-load-balancer-scheme", "internet-facing")),
        &[],
    ),
    (
        "ip targets by the controller's flag",
        "2.8.2",
        || flag(World::of(&service("shop/web").class("service.k8s.aws/nlb")), "default-target-type", "ip"),
        &[],
    ),
    (
        "a TLS policy by the controller's flag",
        "2.8.2",
        || {
            let world = flag(ip(&[("ssl-cert", "arn:a")]), "default-ssl-policy", "ELBSecurityPolicy-TLS13-1-2-2021-06");
            tls(world, "arn:a", &[])
                .listeners(|listener| listener.ssl_policy = Some("ELBSecurityPolicy-TLS13-1-2-2021-06".into()))
        },
        &[],
    ),
    (
        "several certificates, the default one among them",
        NEW,
        || tls(ip(&[("ssl-cert", "arn:a, arn:b")]), "arn:a", &["arn:a", "arn:b"]),
        &[],
    ),
    ("several certificates before 3.4.1", "2.8.2", || tls(ip(&[("ssl-cert", "arn:a, arn:b")]), "arn:a", &["arn:b"]), &[]),
    (
        "a chart that leaves values empty",
        NEW,
        || {
            ip(&[
                ("name", ""),
                ("additional-resource-tags", ""),
                ("attributes", ""),
                ("target-group-attributes", ""),
                ("ssl-cert", ""),
                ("ssl-ports", ""),
                ("security-groups", ""),
                ("load-balancer-source-ranges", ""),
                ("security-group-prefix-lists", ""),
                ("target-node-labels", ""),
            ])
        },
        &[],
    ),
    ("internal for both controllers", NEW, || ip(&[("scheme", "internal"), ("internal", "0.0.0.0/0")]), &["NLB606"]),
    (
        "cross-zone off",
        NEW,
        || ip(&[("attributes", "load_balancing.cross_zone.enabled=false,deletion_protection.enabled=false")]),
        &[],
    ),
    (
        "attributes of one port",
        NEW,
        || {
            ip(&[
                ("target-group-attributes", "deregistration_delay.timeout_seconds=300"),
                ("target-group-attributes.80", "deregistration_delay.timeout_seconds=30"),
            ])
            .group_attribute("deregistration_delay.timeout_seconds", "30")
        },
        &[],
    ),
    ("capacity", NEW, || capacity(ip(&[("minimum-load-balancer-capacity", "CapacityUnits=0")]), 0), &[]),
    (
        "a multi-cloud chart",
        NEW,
        || {
            World::of(
                &web()
                    .annotate("oci-load-balancer-internal", "true")
                    .annotate("oci-load-balancer-ssl-ports", "443")
                    .annotate("azure-load-balancer-internal", "true")
                    .annotate("do-loadbalancer-name", "x"),
            )
        },
        &[],
    ),
    (
        "ip targets behind a named target port",
        NEW,
        || {
            ip(&[]).change_service(|service| {
                service.ports[0].target_port = crate::inventory::kube::PortReference::Name("http".into())
            })
        },
        &[],
    ),
    ("a name", NEW, || ip(&[("name", "one")]), &[]),
    (
        "source ranges by annotation, not by the first address",
        NEW,
        || {
            ip(&[("load-balancer-source-ranges", "10.0.0.0/8,192.168.0.0/16")])
                .rules(|rules| *rules = vec![from("10.0.0.0/8"), from("192.168.0.0/16")])
        },
        &[],
    ),
    (
        "private link without rules",
        NEW,
        || {
            ip(&[("inbound-sg-rules-on-private-link-traffic", "off")])
                .load_balancer(|lb| lb.enforce_inbound_rules_on_private_link = Some("off".into()))
        },
        &[],
    ),
    (
        "the in-tree provider's, internal",
        NEW,
        || {
            legacy(&[
                ("type", "nlb"),
                ("internal", "0.0.0.0/0"),
                ("cross-zone-load-balancing-enabled", "true"),
                ("connection-idle-timeout", "60"),
            ])
        },
        &["NLB608"],
    ),
];

/// The world as its controller's version has it, known since before anything was edited.
fn settled(version: &str, world: World) -> World {
    world.with(|world| {
        let list = Arc::make_mut(world.parts.controllers.value.as_mut().unwrap());
        list.values_mut().for_each(|one| Arc::make_mut(one).version = crate::inventory::kube::Version::parse(version));
        let mut history = History::default();
        history.observe(&world.parts, at(BORN + 60));
        world.parts.history = Part::fetched(history, at(FETCHED));
    })
}

fn told(world: &World) -> Vec<String> {
    let checks = [&CHECK, &lint::CHECK, &edited::CHECK];
    let said = checks.into_iter().flat_map(|check| world.judge(check).report.findings().to_vec());
    said.map(|finding| format!("{} {}", finding.kind.code, finding.message)).collect()
}

/// A piece of the picture, taken away.
type Take = (&'static str, fn(&mut Parts));

fn without() -> Vec<Take> {
    vec![
        ("controllers", |it| it.controllers = Part::default()),
        ("no controller", |it| it.controllers = Part::fetched(Default::default(), at(FETCHED))),
        ("load balancers", |it| it.load_balancers = Part::default()),
        ("their attributes", |it| it.load_balancer_attributes = Default::default()),
        ("target groups", |it| it.target_groups = Part::default()),
        ("their attributes", |it| it.target_group_attributes = Default::default()),
        ("listeners", |it| it.listeners = Default::default()),
        ("certificates", |it| it.listener_certificates = Default::default()),
        ("listener attributes", |it| it.listener_attributes = Default::default()),
        ("capacity", |it| it.capacity_reservations = Default::default()),
        ("subnets", |it| it.subnets = Part::default()),
        ("security groups", |it| it.security_groups = Part::default()),
        ("tags", |it| it.tags = Default::default()),
        ("bindings", |it| it.target_group_bindings = Part::default()),
        ("events", |it| it.reconciles = Part::default()),
        ("the lease", |it| it.leader_lease = Part::default()),
        ("history", |it| it.history = Part::default()),
        ("cluster and VPC", |it| it.scope = Default::default()),
    ]
}

#[test]
fn what_people_write_and_the_controller_made_is_not_told() {
    let mut wrong = String::new();
    for (what, version, world, expected) in EVERYDAY {
        let world = settled(version, world());
        let agreed = |finding: &String| expected.iter().any(|code| finding.starts_with(code));
        let said = told(&world);
        let silent: Vec<_> = expected.iter().filter(|code| !said.iter().any(|it| it.starts_with(**code))).collect();
        if !silent.is_empty() {
            wrong.push_str(&format!("{what}: {silent:?} is not told\n"));
        }
        let noise = said.iter().filter(|finding| !agreed(finding));
        wrong.extend(noise.map(|finding| format!("{what}: {finding}\n")));
        for (piece, take) in without() {
            let mut less = settled(version, world_of(&world));
            take(&mut less.parts);
            let noise: Vec<_> = told(&less).into_iter().filter(|finding| !agreed(finding)).collect();
            wrong.extend(noise.iter().map(|finding| format!("{what} without {piece}: {finding}\n")));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn world_of(world: &World) -> World {
    World { parts: world.parts.clone(), policy: world.policy.clone(), service: world.service.clone() }
}

#[test]
fn every_one_of_them_is_compared_in_full() {
    let mut wrong = String::new();
    for (what, version, world, _) in EVERYDAY {
        let world = settled(version, world());
        let owner = owner_in(world.parts.services.get().unwrap().values().next().unwrap(), &world.parts);
        let compared = owner == Ownership::LoadBalancerController && *what != NOT_IN_FULL;
        if compared && count(&world).as_deref() != Some("shop,web 0") {
            wrong.push_str(&format!("{what}: {:?}\n", count(&world)));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
