//! Every rule: a Service that breaks it and one that does not, by the paragraph the rule comes from.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::checks::lint::known::{Backends, Names};
use crate::checks::lint::problem::Field;
use crate::checks::testing::{ControllerBuilder, ServiceBuilder, World, controller, fetched, insert, map, service, subnet};
use crate::controller::annotations::{PREFIX, name};
use crate::controller::subnets::{Network, Routes, Rules};
use crate::inventory::aws::{Attributes, IpFamily, LoadBalancer, LoadBalancerAddress, Locale, Scheme, Subnet};
use crate::inventory::ids::{ObjectName, SubnetId, ZoneName};
use crate::inventory::kube::{ConditionStatus, Endpoint, EndpointSlice, Node, PortReference, Protocol, ServicePort};

/// A Service and all that is known beside it.
struct Given {
    service: Service,
    controller: Option<ControllerBuilder>,
    assume_defaults: bool,
    load_balancer: Option<LoadBalancer>,
    attributes: Option<Attributes>,
    subnets: Option<BTreeMap<SubnetId, Arc<Subnet>>>,
    backends: Option<Backends>,
    vpc_cni: Option<bool>,
    names: Names,
}

fn given(builder: ServiceBuilder) -> Given {
    Given {
        service: builder.build(),
        controller: Some(controller("3.5.0")),
        assume_defaults: false,
        load_balancer: None,
        attributes: None,
        subnets: None,
        backends: None,
        vpc_cni: None,
        names: Names::default(),
    }
}

fn annotated(builder: ServiceBuilder, pairs: &[(&str, &str)]) -> Given {
    given(pairs.iter().fold(builder, |builder, (key, value)| builder.annotate(&format!("aws-load-balancer-{key}"), value)))
}

/// Ip targets, one port 80/TCP.
fn ip(pairs: &[(&str, &str)]) -> Given {
    annotated(service("shop/web").external("ip"), pairs)
}

fn instance(pairs: &[(&str, &str)]) -> Given {
    annotated(service("shop/web").external("instance"), pairs)
}

/// No class and no `type` but that of the pairs.
fn plain(pairs: &[(&str, &str)]) -> Given {
    annotated(service("shop/web"), pairs)
}

fn class(pairs: &[(&str, &str)]) -> Given {
    annotated(service("shop/web").class("service.k8s.aws/nlb"), pairs)
}

fn auto(pairs: &[(&str, &str)]) -> Given {
    annotated(service("shop/web").class("eks.amazonaws.com/nlb"), pairs)
}

impl Given {
    fn version(mut self, version: &str) -> Self {
        self.controller = Some(controller(version));
        self
    }

    fn flag(mut self, key: &str, value: &str) -> Self {
        self.controller = self.controller.map(|builder| builder.flag(key, value));
        self
    }

    /// Nothing of the controller is known, and its defaults are taken for granted or not.
    fn no_controller(mut self, assume_defaults: bool) -> Self {
        (self.controller, self.assume_defaults) = (None, assume_defaults);
        self
    }

    /// Any annotation, by its full key.
    fn key(mut self, key: &str, value: &str) -> Self {
        self.service.annotations.insert(key.into(), value.into());
        self
    }

    fn change(mut self, change: impl FnOnce(&mut Service)) -> Self {
        change(&mut self.service);
        self
    }

    fn ports(self, ports: &[(&str, Protocol, u16)]) -> Self {
        let ports = ports.iter().map(|(name, protocol, port)| ServicePort {
            name: (*name).into(),
            protocol: *protocol,
            port: *port,
            target_port: PortReference::Number(*port),
            node_port: None,
        });
        let ports = ports.collect();
        self.change(|service| service.ports = ports)
    }

    /// An internal load balancer with security groups in three subnets exists.
    fn exists(mut self, change: impl FnOnce(&mut LoadBalancer)) -> Self {
        let world = World::of(&service("shop/web"));
        let mut found = (**world.parts.load_balancers.get().unwrap().values().next().unwrap()).clone();
        change(&mut found);
        self.load_balancer = Some(found);
        self
    }

    fn attribute(mut self, key: &str, value: &str) -> Self {
        self.attributes = Some(map(&[(key, value)]));
        self
    }

    /// Two private subnets with the role tag, in two zones.
    fn two_subnets(mut self) -> Self {
        let made = [("subnet-a", "us-east-1a", "10.0.1.0/24"), ("subnet-b", "us-east-1b", "10.0.2.0/24")];
        let made = made.map(|(id, zone, cidr)| {
            let mut subnet = subnet(id, id);
            (subnet.zone, subnet.cidr) = (zone.into(), Some(cidr.parse().unwrap()));
            subnet.tags.insert("kubernetes.io/role/internal-elb".into(), "1".into());
            (subnet.id.clone(), Arc::new(subnet))
        });
        self.subnets = Some(made.into());
        self
    }

    fn backends(mut self, pods: usize, fargate: usize, windows: usize, in_vpc: usize) -> Self {
        self.backends = Some(Backends { pods, fargate, windows, in_vpc });
        self
    }

    fn cni(mut self, is_vpc_cni: bool) -> Self {
        self.vpc_cni = Some(is_vpc_cni);
        self
    }

    /// Another Service gives its load balancer this name.
    fn beside(mut self, other: &str, name: &str) -> Self {
        let other = service(other).annotate(name::NAME, name).build();
        self.names = Names::of([&self.service, &other]);
        self
    }

    fn lint(&self) -> Vec<Problem> {
        let controller = self.controller.as_ref().map(ControllerBuilder::build);
        let routes = Routes::default();
        let locales = ["us-east-1a", "us-east-1b"].map(|zone| (ZoneName::from(zone), Locale::AvailabilityZone)).into();
        let network = self
            .subnets
            .as_ref()
            .map(|subnets| (Network { cluster_name: "demo", subnets, routes: &routes, locales: Some(&locales) }, Rules::NEWEST));
        let known = Known {
            assume_defaults: self.assume_defaults,
            network,
            load_balancer: self.load_balancer.as_ref(),
            attributes: self.attributes.as_ref(),
            backends: self.backends,
            vpc_cni: self.vpc_cni,
            names: Some(&self.names),
        };
        lint(&self.service, Settings::of(controller.as_ref()), &known)
    }
}

/// Paragraph of the fact sheet, rule, a piece of the sentence, a Service that breaks the rule and one that does not.
type Row = (&'static str, Rule, &'static str, Given, Given);

const TCP_AND_UDP: &[(&str, Protocol, u16)] = &[("dns", Protocol::Tcp, 53), ("dns-udp", Protocol::Udp, 53)];
const WEB: &[(&str, Protocol, u16)] = &[("http", Protocol::Tcp, 80), ("https", Protocol::Tcp, 443)];
const CERT: (&str, &str) = ("ssl-cert", "arn:aws:acm:us-east-1:1:certificate/a");
const PUBLIC: (&str, &str) = ("scheme", "internet-facing");
const INTERNAL: (&str, &str) = ("scheme", "internal");

fn names_and_values() -> Vec<Row> {
    let key = |key: &str| ip(&[]).key(key, "x");
    vec![
        ("1.1", Rule::Misspelt, "aws-load-balancer-scheme is probably", ip(&[("sheme", "internal")]), ip(&[INTERNAL])),
        ("1.1", Rule::Misspelt, "-scheme is", key("service.beta.kubernetes.io/aws-loadbalancer-scheme"), ip(&[])),
        ("1.1", Rule::Misspelt, "-subnets is", key("service.beta.kubernetes.io/subnets"), ip(&[("subnets", "a")])),
        ("1.1", Rule::Misspelt, "-scheme is", key("service.kubernetes.io/aws-load-balancer-scheme"), key("example.com/scheme")),
        ("1.1", Rule::Misspelt, "nlb-target-type is", ip(&[("target-type", "ip")]), ip(&[("policy", "a")])),
        ("1.1", Rule::Misspelt, "-name is", key("aws-load-balancer-name"), key("external-dns.alpha.kubernetes.io/hostname")),
        ("1.1", Rule::Misspelt, "-scheme is", key("service.beta.kubernetes.io/AWS-Load-Balancer-Scheme"), ip(&[])),
        ("1.6", Rule::Misspelt, "TCP-80", ip(&[("listener-attributes", "a=b")]), ip(&[("listener-attributes.TCP-80", "a=b")])),
        (
            "1.1",
            Rule::Unknown,
            "as far as is known",
            ip(&[("quantum-entanglement", "on")]),
            key("service.beta.kubernetes.io/azure-load-balancer-internal"),
        ),
        (
            "1.4",
            Rule::NotReadYet,
            "since v2.14.0, and the controller runs v2.8.2",
            ip(&[("disable-nlb-sg", "true")]).version("2.8.2"),
            ip(&[("disable-nlb-sg", "true")]).version("2.14.0"),
        ),
        (
            "1.6",
            Rule::NotReadYet,
            "since v2.9.0",
            ip(&[("listener-attributes.TCP-80", "a=b")]).version("2.8.2"),
            ip(&[("listener-attributes.TCP-80", "a=b")]).no_controller(false),
        ),
        ("1.4", Rule::Refused, "internal or internet-facing", ip(&[("scheme", "public")]), ip(&[PUBLIC])),
        ("1.2", Rule::Refused, "line break at its end", ip(&[("scheme", "internet-facing\n")]), ip(&[PUBLIC])),
        ("1.4", Rule::Refused, "internet-facing is probably", ip(&[("scheme", "internetfacing")]), ip(&[PUBLIC])),
        ("1.2", Rule::Refused, "true or false", ip(&[("internal", "yes")]), ip(&[("internal", "T")])),
        ("1.2", Rule::Refused, "a whole number", ip(&[("healthcheck-interval", "10s")]), ip(&[("healthcheck-interval", "10")])),
        ("1.7", Rule::Refused, "5 to 300", ip(&[("healthcheck-interval", "1")]), ip(&[("healthcheck-interval", "5")])),
        ("1.2", Rule::Refused, "key=value", ip(&[("attributes", "a")]), ip(&[("attributes", "a=b")])),
        (
            "1.2",
            Rule::Refused,
            "key=value",
            ip(&[("attributes", "a=1,,b=2")]),
            ip(&[("attributes", "a=1,,b=2")]).version("2.14.0"),
        ),
        ("1.2", Rule::Refused, "at least one subnet", ip(&[("subnets", "")]), ip(&[("subnets", "private")])),
        ("1.2", Rule::Refused, "traffic-port", ip(&[("healthcheck-port", "")]), ip(&[("healthcheck-port", "traffic-port")])),
        ("1.7", Rule::Refused, "traffic-port", ip(&[("healthcheck-port", "metrics")]), ip(&[("healthcheck-port", "http")])),
        (
            "1.7",
            Rule::Refused,
            "tcp, http or https",
            ip(&[("healthcheck-protocol", "udp")]),
            ip(&[("healthcheck-protocol", "Http")]),
        ),
        ("1.7", Rule::Refused, "it takes *", ip(&[("proxy-protocol", "true")]), ip(&[("proxy-protocol", "*")])),
        (
            "1.7",
            Rule::Refused,
            "port numbers",
            ip(&[("proxy-protocol-per-target-group", "http")]),
            ip(&[("proxy-protocol-per-target-group", "80")]),
        ),
        (
            "1.7",
            Rule::Refused,
            "preserve_client_ip",
            ip(&[("target-group-attributes", "preserve_client_ip.enabled=yes")]),
            ip(&[("target-group-attributes", "preserve_client_ip.enabled=1")]),
        ),
        (
            "1.4",
            Rule::Refused,
            "client_routing_policy",
            ip(&[("attributes", "dns_record.client_routing_policy=zone")]),
            ip(&[("attributes", "dns_record.client_routing_policy=any_availability_zone")]),
        ),
        (
            "1.4",
            Rule::Refused,
            "CapacityUnits",
            ip(&[("minimum-load-balancer-capacity", "Units=3000")]),
            ip(&[("minimum-load-balancer-capacity", "CapacityUnits=3000")]),
        ),
        (
            "1.4",
            Rule::Refused,
            "33 characters",
            ip(&[("name", "abcdefghijklmnopqrstuvwxyz-012345")]),
            ip(&[("name", "abcdefghijklmnopqrstuvwxyz-01234")]),
        ),
        ("1.4", Rule::Refused, "hyphens", ip(&[("name", "shop_web")]), ip(&[("name", "shop-web")])),
        (
            "1.4",
            Rule::Refused,
            "eipalloc-",
            ip(&[PUBLIC, ("eip-allocations", "1.2.3.4")]),
            ip(&[PUBLIC, ("eip-allocations", "eipalloc-1")]),
        ),
        ("1.4", Rule::Refused, "IPv4", ip(&[("private-ipv4-addresses", "::1")]), ip(&[("private-ipv4-addresses", "10.0.1.7")])),
        (
            "1.8",
            Rule::Refused,
            "--external-managed-tags",
            ip(&[("additional-resource-tags", "cost=1")]).flag("external-managed-tags", "cost,team"),
            ip(&[("additional-resource-tags", "env=1")]).flag("external-managed-tags", "cost,team"),
        ),
        (
            "1.5",
            Rule::Refused,
            "IPv6 range",
            ip(&[]).change(|it| it.source_ranges = vec!["2001:db8::/32".into()]),
            ip(&[("ip-address-type", "dualstack")]).change(|it| it.source_ranges = vec!["2001:db8::/32".into()]),
        ),
        (
            "1.5",
            Rule::Refused,
            "no address range",
            ip(&[]).key("service.beta.kubernetes.io/load-balancer-source-ranges", "10.0.0.0/8,office"),
            ip(&[]).key("service.beta.kubernetes.io/load-balancer-source-ranges", "10.0.0.0/8, 192.0.2.0/24,"),
        ),
        ("T12", Rule::Refused, "* means all ports", ip(&[CERT, ("ssl-ports", "*")]), ip(&[CERT, ("ssl-ports", "http")])),
        (
            "1.6",
            Rule::Refused,
            "neither the number",
            ip(&[CERT, ("ssl-ports", "443")]),
            ip(&[CERT, ("ssl-ports", "443")]).version("2.4.7"),
        ),
        ("T13", Rule::Misspelt, "aws-load-balancer-type is probably", plain(&[("typ", "external")]), plain(&[("type", "clb")])),
        ("1.6", Rule::Refused, "QUIC needs UDP", ip(&[("quic-enabled-ports", "80")]), ip(&[]).ports(TCP_AND_UDP)),
        (
            "1.5",
            Rule::Refused,
            "created with security groups",
            ip(&[("disable-nlb-sg", "true")]).exists(|_| {}),
            ip(&[("disable-nlb-sg", "true")]).exists(|lb| lb.security_groups.clear()),
        ),
        (
            "1.5",
            Rule::Refused,
            "--enable-backend-security-group=false",
            ip(&[("security-groups", "sg-1"), ("manage-backend-security-group-rules", "true")])
                .flag("enable-backend-security-group", "false"),
            ip(&[("security-groups", "sg-1"), ("manage-backend-security-group-rules", "true")]),
        ),
        ("T38", Rule::Misread, "means instance", class(&[("nlb-target-type", "IP")]), class(&[("nlb-target-type", "ip")])),
        (
            "T8",
            Rule::Misread,
            "part of the last value",
            ip(&[("additional-resource-tags", "team=a,")]).version("2.14.1"),
            ip(&[("additional-resource-tags", "team=a,")]).version("2.14.0"),
        ),
        ("1.6", Rule::Misread, "means TCP", ip(&[CERT, ("backend-protocol", "SSL")]), ip(&[CERT, ("backend-protocol", "ssl")])),
        ("1.6", Rule::Misread, "means TCP", ip(&[CERT, ("backend-protocol", "https")]), ip(&[("backend-protocol", "https")])),
        (
            "1.5",
            Rule::Misread,
            "means off",
            ip(&[("enable-icmp-for-path-mtu-discovery", "true")]),
            ip(&[("enable-icmp-for-path-mtu-discovery", "on")]),
        ),
        (
            "1.2",
            Rule::Misread,
            "is ignored",
            ip(&[("enable-tcp-udp-listener", "yes")]),
            ip(&[("enable-tcp-udp-listener", "true")]),
        ),
        (
            "1.2",
            Rule::Misread,
            "not cut off",
            ip(&[CERT, ("ssl-negotiation-policy", "ELBSecurityPolicy-2016-08\n")]),
            ip(&[CERT, ("ssl-negotiation-policy", "ELBSecurityPolicy-2016-08")]),
        ),
        (
            "1.4",
            Rule::Misread,
            "neither on nor off",
            ip(&[("enable-prefix-for-ipv6-source-nat", "true")]),
            ip(&[("enable-prefix-for-ipv6-source-nat", "off")]),
        ),
        (
            "1.9",
            Rule::Misread,
            "means internal",
            plain(&[("type", "nlb"), ("internal", "False")]),
            plain(&[("internal", "false")]),
        ),
        (
            "1.9",
            Rule::Misread,
            "second equals sign",
            plain(&[("type", "nlb"), ("additional-resource-tags", "a=b=c")]),
            plain(&[("type", "nlb"), ("additional-resource-tags", "a=b,Key")]),
        ),
        (
            "1.9",
            Rule::Misread,
            "blanks",
            plain(&[("type", "nlb"), ("eip-allocations", "eipalloc-1, eipalloc-2")]),
            plain(&[("type", "nlb"), ("eip-allocations", "eipalloc-1,eipalloc-2")]),
        ),
        ("2.2", Rule::Misread, "external is probably", plain(&[("type", "external\n")]), plain(&[("type", "clb")])),
        ("1.9", Rule::Deprecated, "-scheme took its place", ip(&[("internal", "true")]), ip(&[INTERNAL])),
        (
            "1.9",
            Rule::Deprecated,
            "attributes",
            ip(&[("cross-zone-load-balancing-enabled", "true")]),
            ip(&[("attributes", "a=b")]),
        ),
        ("1.9", Rule::Deprecated, "old form", plain(&[("type", "nlb-ip")]), ip(&[])),
        ("1.1", Rule::Deprecated, "-scheme", ip(&[("internal", "true")]), ip(&[("internal", "true")]).version("2.1.3")),
        (
            "1.9",
            Rule::Misplaced,
            "Classic",
            ip(&[("connection-idle-timeout", "60")]),
            plain(&[("connection-idle-timeout", "60")]),
        ),
        (
            "1.9",
            Rule::Misplaced,
            "Classic",
            plain(&[("type", "nlb"), ("extra-security-groups", "sg-1")]),
            plain(&[("type", "nlb")]),
        ),
        (
            "1.1",
            Rule::Misplaced,
            "for an Ingress",
            key("alb.ingress.kubernetes.io/scheme"),
            key("alb.ingress.kubernetes.io/healthcheck-path"),
        ),
        ("1.1", Rule::Misplaced, "for Pods", ip(&[("quic-enabled-containers", "web")]), ip(&[])),
        (
            "2.2",
            Rule::Misplaced,
            "in-tree provider owns",
            plain(&[("type", "nlb"), ("nlb-target-type", "ip")]),
            plain(&[("type", "nlb"), ("nlb-target-type", "instance"), PUBLIC]),
        ),
        ("2.2", Rule::Misplaced, "in-tree provider owns", plain(&[("type", "nlb"), INTERNAL]), ip(&[INTERNAL])),
        (
            "T7",
            Rule::Style,
            "may send it again",
            ip(&[("attributes", "deletion_protection.enabled=True")]),
            ip(&[("attributes", "deletion_protection.enabled=true")]),
        ),
        (
            "T8",
            Rule::Style,
            "becomes part",
            ip(&[("additional-resource-tags", "team=a,")]).version("2.14.0"),
            ip(&[("additional-resource-tags", "team=a")]).version("2.14.0"),
        ),
        (
            "1.5",
            Rule::Style,
            "first address",
            ip(&[]).change(|it| it.source_ranges = vec!["10.1.2.3/8".into()]),
            ip(&[]).change(|it| it.source_ranges = vec!["10.0.0.0/8".into()]),
        ),
        (
            "T39",
            Rule::Style,
            "to the same",
            ip(&[]).key("service.beta.kubernetes.io/load-balancer-source-ranges", "10.0.0.0/8").change(ten),
            ip(&[]).change(ten),
        ),
        ("2.3", Rule::AutoMode, "does not support", auto(&[("proxy-protocol", "*")]), auto(&[("type", "external"), INTERNAL])),
        ("2.3", Rule::AutoMode, "does not support", auto(&[("type", "clb")]), auto(&[("type", "nlb")])),
    ]
}

fn ten(service: &mut Service) {
    service.source_ranges = vec!["10.0.0.0/8".into()];
}

fn combinations() -> Vec<Row> {
    let ranges = |given: Given| given.key("service.beta.kubernetes.io/load-balancer-source-ranges", "192.0.2.0/24");
    let with_address = |id: &str| {
        let address = LoadBalancerAddress { allocation_id: Some(id.into()), ..LoadBalancerAddress::default() };
        move |lb: &mut LoadBalancer| {
            lb.scheme = Scheme::InternetFacing;
            lb.zones.truncate(1);
            lb.zones[0].addresses = vec![address];
        }
    };
    vec![
        ("1.5", Rule::InVain, "restricts nothing", ip(&[("security-groups", "sg-1")]).change(ten), ip(&[]).change(ten)),
        (
            "1.5",
            Rule::InVain,
            "restricts nothing",
            ranges(ip(&[("security-groups", "sg-1")])),
            ranges(ip(&[("security-groups", "")])),
        ),
        (
            "1.5",
            Rule::InVain,
            "prefix-lists has no effect",
            ip(&[("security-groups", "sg-1"), ("security-group-prefix-lists", "pl-1")]),
            ip(&[("security-group-prefix-lists", "pl-1")]),
        ),
        (
            "1.5",
            Rule::InVain,
            "icmp-for-path-mtu-discovery has no effect",
            ip(&[("security-groups", "sg-1"), ("enable-icmp-for-path-mtu-discovery", "on")]),
            ip(&[("enable-icmp-for-path-mtu-discovery", "on")]),
        ),
        (
            "1.5",
            Rule::InVain,
            "created without security groups",
            ip(&[("security-groups", "sg-1")]).exists(|lb| lb.security_groups.clear()),
            ip(&[("security-groups", "sg-1")]).exists(|_| {}),
        ),
        (
            "1.5",
            Rule::InVain,
            "disable-nlb-sg is true",
            ip(&[("disable-nlb-sg", "true"), ("security-group-prefix-lists", "pl-1")]),
            ip(&[("disable-nlb-sg", "true")]).change(ten),
        ),
        (
            "1.5",
            Rule::InVain,
            "of its own security group",
            ip(&[("manage-backend-security-group-rules", "false")]).exists(|_| {}),
            ip(&[("manage-backend-security-group-rules", "false")]).exists(|lb| lb.security_groups.clear()),
        ),
        ("T39", Rule::InVain, "to other ranges", ranges(ip(&[])).change(ten), ranges(ip(&[]))),
        (
            "1.6",
            Rule::InVain,
            "listener of port 443 is TLS",
            ip(&[CERT, ("listener-attributes.TCP-443", "tcp.idle_timeout.seconds=60")]).ports(WEB),
            ip(&[CERT, ("ssl-ports", "443"), ("listener-attributes.TCP-80", "tcp.idle_timeout.seconds=60")]).ports(WEB),
        ),
        (
            "1.6",
            Rule::InVain,
            "no attributes of TLS",
            ip(&[CERT, ("listener-attributes.TLS-80", "tcp.idle_timeout.seconds=60")]),
            ip(&[("listener-attributes.TCP-80", "tcp.idle_timeout.seconds=60")]),
        ),
        (
            "1.6",
            Rule::InVain,
            "no port 81",
            ip(&[("listener-attributes.TCP-81", "a=b")]),
            ip(&[("listener-attributes.TCP-80", "a=b")]),
        ),
        (
            "1.6",
            Rule::InVain,
            "PROTOCOL-PORT",
            ip(&[("listener-attributes.80", "a=b")]),
            ip(&[("listener-attributes.TCP-80", "a=b")]),
        ),
        (
            "1.7",
            Rule::InVain,
            "no port \"81\"",
            ip(&[("target-group-attributes.81", "a=b")]),
            ip(&[("target-group-attributes.80", "a=b")]),
        ),
        (
            "1.7",
            Rule::InVain,
            "no such port",
            ip(&[("proxy-protocol-per-target-group", "80,81")]),
            ip(&[("proxy-protocol-per-target-group", "80")]),
        ),
        (
            "1.7",
            Rule::InVain,
            "wins",
            ip(&[("proxy-protocol-per-target-group", "80"), ("proxy-protocol", "*")]),
            ip(&[("proxy-protocol", "*")]),
        ),
        (
            "1.7",
            Rule::InVain,
            "health checks are TCP",
            ip(&[("healthcheck-path", "/ready")]),
            ip(&[("healthcheck-path", "/ready"), ("healthcheck-protocol", "HTTP")]),
        ),
        (
            "1.7",
            Rule::InVain,
            "health checks are TCP",
            instance(&[("healthcheck-path", "/ready")]),
            annotated(service("shop/web").external("instance").local(31_000), &[("healthcheck-path", "/ready")]),
        ),
        (
            "1.10",
            Rule::InVain,
            "NLBHealthCheckAdvancedConfig=false",
            ip(&[("healthcheck-timeout", "6")]).flag("feature-gates", "NLBHealthCheckAdvancedConfig=false"),
            ip(&[("healthcheck-timeout", "6")]),
        ),
        ("1.6", Rule::InVain, "no listener is TLS", ip(&[("ssl-ports", "80")]), ip(&[CERT, ("ssl-ports", "80")])),
        (
            "1.6",
            Rule::InVain,
            "no listener is TLS",
            ip(&[("alpn-policy", "HTTP2Only")]),
            ip(&[CERT, ("alpn-policy", "HTTP2Only")]),
        ),
        (
            "1.6",
            Rule::InVain,
            "all ports are UDP",
            ip(&[CERT]).ports(&[("dns", Protocol::Udp, 53)]),
            ip(&[CERT]).ports(TCP_AND_UDP),
        ),
        ("1.4", Rule::InVain, "is not read", ip(&[PUBLIC, ("internal", "true")]), ip(&[INTERNAL, ("internal", "true")])),
        (
            "1.4",
            Rule::InVain,
            "wins with",
            ip(&[("attributes", "load_balancing.cross_zone.enabled=false"), ("cross-zone-load-balancing-enabled", "true")]),
            ip(&[("attributes", "load_balancing.cross_zone.enabled=true"), ("cross-zone-load-balancing-enabled", "true")]),
        ),
        (
            "T6",
            Rule::InVain,
            "access logs are on",
            ip(&[("access-log-enabled", "false")]).attribute("access_logs.s3.enabled", "true"),
            ip(&[("access-log-enabled", "false")]),
        ),
        (
            "1.4",
            Rule::InVain,
            "is not there",
            ip(&[("access-log-s3-bucket-name", "logs")]),
            ip(&[("access-log-enabled", "true"), ("access-log-s3-bucket-name", "logs")]),
        ),
        ("1.8", Rule::InVain, "selects nodes", ip(&[("target-node-labels", "a=b")]), instance(&[("target-node-labels", "a=b")])),
        (
            "1.7",
            Rule::InVain,
            "means ip targets",
            plain(&[("type", "nlb-ip"), ("nlb-target-type", "instance")]),
            plain(&[("type", "nlb-ip"), ("nlb-target-type", "ip")]),
        ),
        (
            "1.4",
            Rule::Addresses,
            "for internet-facing",
            ip(&[INTERNAL, ("eip-allocations", "eipalloc-1")]),
            ip(&[PUBLIC, ("eip-allocations", "eipalloc-1")]),
        ),
        (
            "1.4",
            Rule::Addresses,
            "for internal",
            ip(&[PUBLIC, ("private-ipv4-addresses", "10.0.0.1")]),
            ip(&[INTERNAL, ("private-ipv4-addresses", "10.0.0.1")]),
        ),
        (
            "1.4",
            Rule::Addresses,
            "for internet-facing",
            ip(&[("eip-allocations", "eipalloc-1")]).no_controller(true),
            ip(&[("eip-allocations", "eipalloc-1")]).no_controller(false),
        ),
        (
            "S8",
            Rule::Addresses,
            "1 entries and the annotation aws-load-balancer-subnets names 2",
            ip(&[PUBLIC, ("subnets", "subnet-a,subnet-b"), ("eip-allocations", "eipalloc-1")]),
            ip(&[PUBLIC, ("subnets", "subnet-a,subnet-b"), ("eip-allocations", "eipalloc-1, eipalloc-2,")]),
        ),
        (
            "S8",
            Rule::Addresses,
            "its load balancer has 3",
            ip(&[("private-ipv4-addresses", "10.0.1.7")]).exists(|_| {}),
            ip(&[("private-ipv4-addresses", "10.0.1.7")]).exists(|lb| lb.zones.truncate(1)),
        ),
        (
            "S8",
            Rule::Addresses,
            "discovery finds 2",
            ip(&[INTERNAL, ("private-ipv4-addresses", "10.0.1.7")]).two_subnets(),
            ip(&[INTERNAL, ("private-ipv4-addresses", "10.0.1.7,10.0.2.7")]).two_subnets(),
        ),
        (
            "1.4",
            Rule::Addresses,
            "none of the subnets",
            ip(&[INTERNAL, ("subnets", "subnet-a"), ("private-ipv4-addresses", "10.0.2.7")]).two_subnets(),
            ip(&[INTERNAL, ("subnets", "subnet-a"), ("private-ipv4-addresses", "10.0.1.7")]).two_subnets(),
        ),
        ("1.2", Rule::Addresses, "there and empty", ip(&[PUBLIC, ("eip-allocations", "")]), ip(&[PUBLIC])),
        (
            "1.4",
            Rule::Addresses,
            "dualstack",
            ip(&[("ipv6-addresses", "2001:db8::1")]),
            ip(&[("ipv6-addresses", "2001:db8::1"), ("ip-address-type", "dualstack")]),
        ),
        (
            "1.4",
            Rule::Addresses,
            "source-nat on",
            ip(&[("source-nat-ipv6-prefixes", "auto_assigned"), ("ip-address-type", "dualstack")]),
            ip(&[
                ("source-nat-ipv6-prefixes", "auto_assigned"),
                ("ip-address-type", "dualstack"),
                ("enable-prefix-for-ipv6-source-nat", "on"),
            ]),
        ),
        (
            "S14",
            Rule::Ipv6,
            "without aws-load-balancer-ip-address-type dualstack",
            ip(&[]).change(|it| it.ipv6 = true),
            ip(&[("ip-address-type", "dualstack")]).change(|it| it.ipv6 = true),
        ),
        (
            "S14",
            Rule::Ipv6,
            "ip targets only",
            instance(&[("ip-address-type", "dualstack")]).change(|it| it.ipv6 = true),
            instance(&[("ip-address-type", "dualstack")]),
        ),
        ("S16", Rule::FargateInstance, "Of its 3 pods 2 run", instance(&[]).backends(3, 2, 0, 3), ip(&[]).backends(3, 2, 0, 3)),
        ("S16", Rule::FargatePublic, "private subnets", ip(&[PUBLIC]).backends(3, 2, 0, 3), ip(&[INTERNAL]).backends(3, 2, 0, 3)),
        (
            "S16",
            Rule::FargatePublic,
            "private subnets",
            ip(&[PUBLIC]).backends(1, 1, 0, 1),
            ip(&[PUBLIC]).backends(1, 1, 0, 1).exists(|lb| lb.scheme = Scheme::InternetFacing),
        ),
        (
            "S6",
            Rule::OtherCni,
            "does not run the VPC CNI",
            ip(&[]).cni(false).backends(3, 0, 0, 0),
            ip(&[]).cni(false).backends(3, 0, 0, 3),
        ),
        ("S6", Rule::OtherCni, "does not run the VPC CNI", ip(&[]).cni(false).no_controller(true), ip(&[]).cni(false)),
        (
            "S6",
            Rule::OtherCni,
            "does not run the VPC CNI",
            ip(&[]).cni(false).backends(1, 0, 0, 0),
            instance(&[]).cni(false).backends(1, 0, 0, 0),
        ),
        (
            "T22",
            Rule::SharedPort,
            "only TCP gets a listener",
            ip(&[]).ports(TCP_AND_UDP),
            ip(&[("enable-tcp-udp-listener", "true")]).ports(TCP_AND_UDP),
        ),
        (
            "T22",
            Rule::SharedPort,
            "only TCP gets",
            ip(&[]).ports(TCP_AND_UDP).no_controller(true),
            ip(&[]).ports(TCP_AND_UDP).flag("feature-gates", "EnableTCPUDPListener=true"),
        ),
        (
            "1.6",
            Rule::SharedPort,
            "refuses the Service",
            ip(&[("enable-tcp-udp-listener", "true")]).ports(&[("a", Protocol::Tcp, 53), ("b", Protocol::Tcp, 53)]),
            ip(&[]).ports(WEB),
        ),
        (
            "T32",
            Rule::NameTaken,
            "shop/other",
            ip(&[("name", "web")]).beside("shop/other", "web"),
            ip(&[("name", "web")]).beside("shop/other", "api"),
        ),
        ("S11", Rule::Windows, "1025 pods", ip(&[]).backends(1025, 0, 9, 1025), ip(&[]).backends(1024, 0, 1024, 1024)),
        ("S11", Rule::Windows, "1025 pods", ip(&[]).backends(1025, 0, 1, 1025), ip(&[]).backends(2000, 0, 0, 2000)),
        (
            "2",
            Rule::ClusterIp,
            "ClusterIP",
            instance(&[]).change(|it| it.service_type = ServiceType::ClusterIp),
            ip(&[]).change(|it| it.service_type = ServiceType::ClusterIp),
        ),
        ("T13", Rule::NoOwner, "is missing", plain(&[("type", "external")]), class(&[])),
        ("T38", Rule::NoOwner, "\"IP\"", plain(&[("type", "external"), ("nlb-target-type", "IP")]), ip(&[])),
        (
            "T2",
            Rule::CreationOnly,
            "read at creation only",
            ip(&[("name", "web")]).exists(|lb| lb.name = "k8s-web".into()),
            ip(&[("name", "web")]).exists(|lb| lb.name = "web".into()),
        ),
        (
            "T2",
            Rule::CreationOnly,
            "other addresses",
            ip(&[PUBLIC, ("eip-allocations", "eipalloc-1")]).exists(with_address("eipalloc-2")),
            ip(&[PUBLIC, ("eip-allocations", "eipalloc-1")]).exists(with_address("eipalloc-1")),
        ),
    ]
}

fn rows() -> Vec<Row> {
    names_and_values().into_iter().chain(combinations()).collect()
}

#[test]
fn each_rule_speaks_where_it_is_broken_and_is_silent_where_it_is_not() {
    let mut wrong = String::new();
    for (at, rule, says, fires, silent) in rows() {
        let said: Vec<_> = fires.lint().into_iter().filter(|problem| problem.rule == rule).collect();
        if !said.iter().any(|problem| problem.message.contains(says)) {
            wrong.push_str(&format!("{at} {rule:?} {says:?}: {:?} says {:?}\n", fires.service.annotations, fires.lint()));
        }
        let said: Vec<_> = silent.lint().into_iter().filter(|problem| problem.rule == rule).collect();
        if !said.is_empty() {
            wrong.push_str(&format!("{at} {rule:?} must be silent: {:?} says {said:?}\n", silent.service.annotations));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_rule_has_a_row() {
    let covered: BTreeSet<Rule> = rows().into_iter().map(|(_, rule, ..)| rule).collect();
    let missing: Vec<_> = Rule::ALL.iter().filter(|rule| !covered.contains(rule)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_rule_has_a_code_of_its_own_and_the_check_lists_it_or_another_tells_it() {
    let codes: BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.kind().code).collect();
    assert_eq!(codes.len(), Rule::ALL.len());
    for rule in Rule::ALL {
        let listed = CHECK.findings.iter().any(|kind| std::ptr::eq(*kind, rule.kind()));
        assert_eq!(listed, !rule.told_elsewhere(), "{rule:?}");
    }
}

#[test]
fn sentences_are_sentences_and_fields_name_what_is_there_or_missing() {
    for (_, _, _, fires, _) in rows() {
        for problem in fires.lint() {
            let message = &problem.message;
            assert!(message.ends_with('.') && !message.contains('\n') && !message.contains("  "), "{message}");
            match &problem.field {
                Field::Annotation(key) => {
                    let absent = matches!(problem.rule, Rule::NoOwner | Rule::Ipv6 | Rule::OtherCni);
                    assert!(absent || fires.service.annotations.contains_key(&**key), "{key} {message}");
                }
                Field::Spec(path) => assert!(path.starts_with("spec."), "{path}"),
            }
        }
    }
}

/// Services as their authors document them, for every kind of owner.
#[test]
fn usual_services_have_no_problem_whatever_is_known() {
    let usual = || {
        vec![
            plain(&[]),
            plain(&[("type", "nlb")]),
            plain(&[("type", "nlb"), ("internal", "true"), ("cross-zone-load-balancing-enabled", "true")]),
            plain(&[("connection-idle-timeout", "3600"), ("backend-protocol", "http"), ("ssl-ports", "*"), CERT]),
            class(&[]),
            auto(&[PUBLIC]),
            auto(&[("type", "external"), ("nlb-target-type", "ip")]),
            ip(&[]),
            ip(&[PUBLIC, ("attributes", "load_balancing.cross_zone.enabled=true,access_logs.s3.enabled=false")]),
            instance(&[]),
            annotated(service("shop/web").external("instance").local(31_000), &[PUBLIC]),
            ip(&[CERT, ("ssl-ports", "443"), ("ssl-negotiation-policy", "x"), ("backend-protocol", "tcp")]).ports(WEB),
            ip(&[("healthcheck-protocol", "http"), ("healthcheck-path", "/"), ("healthcheck-port", "8080")]),
            ip(&[("security-groups", "sg-1,web"), ("manage-backend-security-group-rules", "true")]),
            ip(&[("additional-resource-tags", r"a=b,note=x\,y")]),
            ip(&[]).key("prometheus.io/scrape", "true").key("service.kubernetes.io/topology-mode", "Auto"),
        ]
    };
    for (at, given) in usual().into_iter().enumerate() {
        assert_eq!(given.lint(), [], "{at}: {:?}", given.service.annotations);
    }
    for (at, given) in usual().into_iter().enumerate() {
        let given = given.no_controller(true).two_subnets().backends(3, 0, 1, 3).cni(true);
        assert_eq!(given.lint(), [], "{at}, nothing of the controller known: {:?}", given.service.annotations);
    }
}

#[test]
fn who_asks_for_no_load_balancer_or_is_anothers_is_not_linted_2_2() {
    let bad = &[("scheme", "public"), ("sheme", "x")];
    let internal = plain(bad).change(|it| it.service_type = ServiceType::ClusterIp);
    assert_eq!(internal.lint(), []);
    assert_eq!(annotated(service("shop/web").class("example.com/lb"), bad).lint(), []);
    let dying = ip(bad).change(|it| it.deleted_at = Some(it.created_at));
    assert_eq!(dying.lint(), []);
    assert!(!ip(bad).lint().is_empty());
}

#[test]
fn what_depends_on_an_unknown_controller_is_not_said() {
    for given in [
        ip(&[]).ports(TCP_AND_UDP),
        ip(&[("additional-resource-tags", "cost=1")]),
        class(&[("healthcheck-port", "metrics"), ("target-node-labels", "a=b")]).ports(&[("metrics", Protocol::Tcp, 80)]),
    ] {
        assert_eq!(given.no_controller(false).lint(), []);
    }
    // The trailing comma is one in both grammars and means something else in each.
    let comma = ip(&[("additional-resource-tags", "team=a,")]).no_controller(false).lint();
    assert_eq!(comma.iter().map(|problem| problem.rule).collect::<Vec<_>>(), [Rule::Style]);
}

proptest! {
    #[test]
    fn no_annotation_makes_it_panic(
        pairs in proptest::collection::vec((".{0,30}", ".{0,30}"), 0..6),
        known in proptest::collection::vec((0..name::ALL.len(), "(\\.[A-Z0-9-]{0,8})?", "[a-zA-Z0-9:=,.*/\\\\ \n-]{0,40}"), 0..8),
        defaults in any::<bool>(),
        owner in 0..4,
    ) {
        let mut given = match owner {
            0 => ip(&[]),
            1 => plain(&[("type", "nlb")]),
            2 => auto(&[]),
            _ => class(&[]),
        };
        for (key, value) in pairs {
            given = given.key(&key, &value).key(&format!("{PREFIX}{key}"), &value);
        }
        for (at, suffix, value) in known {
            given = given.key(&format!("{PREFIX}{}{suffix}", name::ALL[at]), &value);
        }
        given.exists(|_| {}).two_subnets().lint();
        let mut given = ip(&[]);
        given.assume_defaults = defaults;
        given.lint();
    }

    #[test]
    fn near_names_of_known_annotations_are_told(at in 0..name::ALL.len(), drop in 4_usize..12) {
        let text = name::ALL[at];
        let mut changed = text.to_owned();
        changed.remove(drop.min(text.len() - 1));
        prop_assume!(!name::ALL.contains(&&*changed) && text.len() > 10);
        let told = ip(&[]).key(&format!("{PREFIX}{changed}"), "x").lint();
        prop_assert!(told.iter().any(|problem| problem.rule == Rule::Misspelt), "{changed}: {told:?}");
    }
}

fn node(name: &str, labels: &[(&str, &str)]) -> Node {
    Node {
        name: name.into(),
        instance_id: None,
        zone: None,
        internal_ips: vec![],
        ready: ConditionStatus::True,
        ready_changed_at: None,
        labels: map(labels),
        taints: BTreeSet::new(),
        changed_at: None,
    }
}

fn endpoint(pod: usize, node: &str, address: &str) -> Endpoint {
    Endpoint {
        address: address.parse().unwrap(),
        ready: true,
        serving: true,
        terminating: false,
        node: Some(node.into()),
        zone: None,
        pod: Some(format!("web-{pod}").into()),
    }
}

/// The world of a Service with so many pods on Windows.
fn windows(pods: usize) -> World {
    let mut world = World::of(&service("shop/web").external("ip"));
    let nodes = [node("win", &[("kubernetes.io/os", "windows")]), node("linux", &[("kubernetes.io/os", "linux")])];
    world.parts.nodes = fetched(nodes.map(|node| (node.name.clone(), node)));
    let slice = |name: &str, family: IpFamily| EndpointSlice {
        name: ObjectName::new("shop", name),
        service: ObjectName::new("shop", "web"),
        ports: vec![],
        endpoints: (0..pods)
            .map(|pod| match family {
                IpFamily::Ipv4 => endpoint(pod, "win", &format!("10.0.{}.{}", pod / 250, pod % 250)),
                IpFamily::Ipv6 => endpoint(pod, "win", &format!("2001:db8::{pod:x}")),
            })
            .collect(),
        changed_at: None,
    };
    let slices = [slice("web-4", IpFamily::Ipv4), slice("web-6", IpFamily::Ipv6)];
    world.parts.endpoint_slices = fetched(slices.map(|slice| (slice.name.clone(), slice)));
    world
}

#[test]
fn windows_back_ends_are_counted_once_though_they_have_two_addresses_s11() {
    let said = windows(1025).judge(&CHECK);
    assert_eq!(said.family("service_windows_backends"), ["shop,web 1025"]);
    assert_eq!(said.codes(), ["NLB616"]);
    let said = windows(1024).judge(&CHECK);
    assert_eq!(said.family("service_windows_backends"), ["shop,web 1024"]);
    assert_eq!(said.codes(), [""; 0]);
    let said = windows(0).judge(&CHECK);
    assert_eq!(said.family("service_windows_backends"), [""; 0], "only where there are some");
}

#[test]
fn auto_mode_nodes_have_the_vpc_cni_built_in_s6() {
    let world = |label: &[(&str, &str)], daemon_set: bool| {
        let mut world = windows(1);
        world.parts.vpc_cni = crate::inventory::part::Part::fetched(daemon_set, crate::checks::testing::at(1));
        world.parts.nodes = fetched([("n".into(), node("n", label))]);
        world
    };
    // Without pods, or without what tells where they are, nobody knows: another CNI may well give them addresses of the VPC.
    let unknown: [fn(&mut World); 4] = [
        |world| world.parts.subnets = Default::default(),
        |world| world.parts.nodes = Default::default(),
        |world| world.parts.endpoint_slices = Default::default(),
        |world| world.parts.endpoint_slices = fetched([]),
    ];
    for change in unknown {
        assert_eq!(world(&[], false).with(change).judge(&CHECK).codes(), [""; 0]);
    }
    let world = |label: &[(&str, &str)], daemon_set: bool| world(label, daemon_set).judge(&CHECK).codes();
    assert_eq!(world(&[], false), ["NLB613"]);
    assert_eq!(world(&[], true), [""; 0]);
    assert_eq!(world(&[("eks.amazonaws.com/compute-type", "auto")], false), [""; 0]);
}

/// Other clouds' annotations have the same prefix, and Oracle's are three letters away.
#[test]
fn annotations_of_other_clouds_are_left_alone_1_1() {
    let others = [
        "oci-load-balancer-internal",
        "oci-load-balancer-ssl-ports",
        "oci-load-balancer-subnet1",
        "azure-load-balancer-internal",
        "do-loadbalancer-name",
        "brightbox-load-balancer-name",
    ];
    let given = others.into_iter().fold(ip(&[]), |given, other| given.key(&format!("{PREFIX}{other}"), "true"));
    assert_eq!(given.lint(), []);
    let slip = ip(&[]).key(&format!("{PREFIX}asw-load-balancer-scheme"), "internal").lint();
    assert_eq!(slip.iter().map(|problem| problem.rule).collect::<Vec<_>>(), [Rule::Misspelt]);
}

/// What the controller does not look at it does not refuse.
#[test]
fn a_value_that_is_not_read_is_not_refused_1_4_1_6() {
    let refused = |given: Given| given.lint().iter().any(|problem| problem.rule == Rule::Refused);
    for (given, expected) in [
        // Written for the in-tree provider, beside the scheme that wins.
        (ip(&[INTERNAL, ("internal", "0.0.0.0/0")]), false),
        (ip(&[("internal", "0.0.0.0/0")]), true),
        (ip(&[("alpn-policy", "")]), false),
        (ip(&[CERT, ("alpn-policy", "")]), true),
        (ip(&[("manage-backend-security-group-rules", "")]).exists(|_| {}), false),
        (ip(&[("manage-backend-security-group-rules", ""), ("security-groups", "sg-1")]), true),
        (ip(&[("manage-backend-security-group-rules", "")]).exists(|lb| lb.security_groups.clear()), true),
        (ip(&[("proxy-protocol", "*"), ("proxy-protocol-per-target-group", "http")]), false),
        (ip(&[("proxy-protocol-per-target-group", "http")]), true),
    ] {
        let shown = format!("{:?}", given.service.annotations);
        assert_eq!(refused(given), expected, "{shown}");
    }
}

/// A refusal is told once: by the event while that stands, else here; it is counted here in any case.
#[test]
fn what_the_controller_refuses_is_told_by_its_event_while_that_stands() {
    use crate::checks::drift;
    use crate::checks::testing::FETCHED;
    use crate::inventory::kube::EventObject;
    let world = |event: Option<(&str, Option<i64>)>| {
        let bad = service("shop/web").external("ip").annotate(name::CROSS_ZONE, "yes").annotate("aws-load-balancer-sheme", "x");
        let world = World::of(&bad);
        match event {
            Some((message, success)) => {
                world.event(EventObject::Service, "shop/web", ("FailedBuildModel", message, FETCHED - 60), success)
            }
            None => world,
        }
    };
    let told = |world: &World| {
        assert_eq!(world.judge(&CHECK).family("service_lint_problems"), ["shop,web 3"]);
        [world.judge(&CHECK).codes(), world.judge(&drift::CHECK).codes()].concat()
    };
    let parse = "Failed build model due to failed to parse bool annotation, \
                 service.beta.kubernetes.io/aws-load-balancer-cross-zone-load-balancing-enabled: yes";
    assert_eq!(told(&world(None)), ["NLB601", "NLB604", "NLB606"]);
    assert_eq!(told(&world(Some((parse, None)))), ["NLB601", "NLB606", "NLB510"]);
    assert_eq!(told(&world(Some((parse, Some(FETCHED - 30))))), ["NLB601", "NLB604", "NLB606"]);
    let full = "Failed deploy model due to TooManyTargetGroups";
    assert_eq!(told(&world(Some((full, None)))), ["NLB601", "NLB604", "NLB606", "NLB512"], "that is another trouble");
}

#[test]
fn one_finding_a_rule_and_one_count_a_service() {
    let bad = service("shop/web")
        .external("ip")
        .annotate(name::SCHEME, "public")
        .annotate(name::HEALTH_CHECK_INTERVAL, "10s")
        .annotate(name::INTERNAL, "true");
    let mut world = World::of(&bad);
    let inside = Service { service_type: ServiceType::ClusterIp, ..service("shop/db").build() };
    insert(&mut world.parts.services, inside.name.clone(), inside);
    let fine = service("shop/fine").external("ip").build();
    insert(&mut world.parts.services, fine.name.clone(), fine);
    let said = world.judge(&CHECK);
    assert_eq!(said.family("service_lint_problems"), ["shop,fine 0", "shop,web 3"]);
    assert_eq!(said.codes(), ["NLB604", "NLB606"]);
    let refused = said.findings(Rule::Refused.kind());
    assert!(refused[0].starts_with("Service shop/web: aws-load-balancer-healthcheck-interval is \"10s\", and"), "{refused:?}");
    assert!(refused[0].contains(". aws-load-balancer-scheme is \"public\", and"), "{refused:?}");
}

#[test]
fn what_another_check_tells_is_counted_and_not_told_twice() {
    let world = World::of(&service("shop/web").annotate(name::TYPE, "external"));
    let said = world.judge(&CHECK);
    assert_eq!(said.codes(), [""; 0]);
    assert_eq!(said.family("service_lint_problems"), ["shop,web 1"]);
}

#[test]
fn without_the_controllers_deployment_nothing_is_judged() {
    let mut world = World::of(&service("shop/web").external("ip").annotate(name::SCHEME, "public"));
    world.parts.controllers = crate::inventory::part::Part::default();
    let said = world.judge(&CHECK);
    assert_eq!((said.codes(), said.family("service_lint_problems")), (vec![], vec![]));
}

#[test]
fn two_services_with_one_name_are_both_told_and_a_third_party_is_not_heard_t32() {
    let named = |full: &str| service(full).external("ip").annotate(name::NAME, "web");
    let mut world = World::of(&named("shop/web")).load_balancer(|lb| lb.name = "web".into());
    let said = world.judge(&CHECK);
    assert_eq!(said.codes(), [""; 0]);
    let third = named("shop/third").class("example.com/lb").build();
    insert(&mut world.parts.services, third.name.clone(), third);
    assert_eq!(world.judge(&CHECK).codes(), [""; 0]);
    let other = named("ops/web").build();
    insert(&mut world.parts.services, other.name.clone(), other);
    assert_eq!(world.judge(&CHECK).codes(), ["NLB615", "NLB615"]);
}
