use super::actions::{Destination, WantedForward, forwards};
use super::*;
use crate::checks::testing::{ServiceBuilder, controller, service};
use crate::inventory::ids::ObjectName;
use crate::inventory::kube::PortReference;

/// `port/protocol` of the ports, annotations, version and flags, and what comes of it: `listener/group` a port, `?` in doubt.
struct Row {
    what: &'static str,
    ports: &'static [(&'static str, u16, Protocol)],
    says: &'static [(&'static str, &'static str)],
    version: Option<&'static str>,
    gates: &'static str,
    expected: Result<&'static [&'static str], &'static str>,
}

const WEB: &[(&str, u16, Protocol)] = &[("http", 80, Protocol::Tcp), ("https", 443, Protocol::Tcp)];
const DNS: &[(&str, u16, Protocol)] = &[("dns", 53, Protocol::Udp), ("dns-tcp", 53, Protocol::Tcp)];
const CERT: (&str, &str) = (name::SSL_CERT, "arn:aws:acm:us-east-1:1:certificate/a");
const MERGE: (&str, &str) = (name::ENABLE_TCP_UDP_LISTENER, "true");
const NONE: &[(&str, &str)] = &[];

const fn row(
    what: &'static str,
    ports: &'static [(&'static str, u16, Protocol)],
    says: &'static [(&'static str, &'static str)],
    expected: Result<&'static [&'static str], &'static str>,
) -> Row {
    Row { what, ports, says, version: Some("3.5.0"), gates: "", expected }
}

const ROWS: &[Row] = &[
    row("plain ports keep their protocol", WEB, NONE, Ok(&["TCP/TCP", "TCP/TCP"])),
    row("a certificate without ports: every TCP port", WEB, &[CERT], Ok(&["TLS/TCP", "TLS/TCP"])),
    row("by name", WEB, &[CERT, (name::SSL_PORTS, "https")], Ok(&["TCP/TCP", "TLS/TCP"])),
    row("by number", WEB, &[CERT, (name::SSL_PORTS, " 443,")], Ok(&["TCP/TCP", "TLS/TCP"])),
    row("ports without a certificate mean nothing", WEB, &[(name::SSL_PORTS, "443")], Ok(&["TCP/TCP", "TCP/TCP"])),
    row("an empty list of certificates is none", WEB, &[(name::SSL_CERT, " , ")], Ok(&["TCP/TCP", "TCP/TCP"])),
    row("the back end speaks TLS too", WEB, &[CERT, (name::BACKEND_PROTOCOL, "ssl")], Ok(&["TLS/TLS", "TLS/TLS"])),
    row("SSL is not ssl", WEB, &[CERT, (name::BACKEND_PROTOCOL, "SSL")], Ok(&["TLS/TCP", "TLS/TCP"])),
    row(
        "without TLS the back end's protocol means nothing",
        WEB,
        &[(name::BACKEND_PROTOCOL, "ssl")],
        Ok(&["TCP/TCP", "TCP/TCP"]),
    ),
    row("a port that is none", WEB, &[CERT, (name::SSL_PORTS, "*")], Err(name::SSL_PORTS)),
    Row {
        version: Some("2.4.7"),
        ..row("2.4 passes it over", WEB, &[CERT, (name::SSL_PORTS, "*")], Ok(&["TCP/TCP", "TCP/TCP"]))
    },
    row("of two protocols the first stays (T22)", DNS, NONE, Ok(&["UDP/UDP"])),
    row("merged by annotation", DNS, &[MERGE], Ok(&["TCP_UDP/TCP_UDP"])),
    Row { gates: "EnableTCPUDPListener=true", ..row("merged by gate", DNS, NONE, Ok(&["TCP_UDP/TCP_UDP"])) },
    Row {
        gates: "EnableTCPUDPListener=true",
        ..row("the annotation wins", DNS, &[(name::ENABLE_TCP_UDP_LISTENER, "0")], Ok(&["UDP/UDP"]))
    },
    Row {
        gates: "EnableTCPUDPListener=true",
        ..row("no boolean is passed over", DNS, &[(name::ENABLE_TCP_UDP_LISTENER, "yes")], Ok(&["TCP_UDP/TCP_UDP"]))
    },
    Row { version: Some("2.12.0"), ..row("of 2.13.0", DNS, &[MERGE], Ok(&["UDP/UDP"])) },
    Row { version: None, ..row("an unknown gate", DNS, NONE, Ok(&["UDP/UDP?"])) },
    Row { version: None, ..row("one protocol needs no gate", WEB, NONE, Ok(&["TCP/TCP", "TCP/TCP"])) },
    row("merged ports end no TLS", DNS, &[MERGE, CERT], Ok(&["TCP_UDP/TCP_UDP"])),
    row(
        "three of one number",
        &[("a", 53, Protocol::Udp), ("b", 53, Protocol::Tcp), ("c", 53, Protocol::Sctp)],
        &[MERGE],
        Err(name::ENABLE_TCP_UDP_LISTENER),
    ),
    row("QUIC by number", &[("q", 443, Protocol::Udp)], &[(name::QUIC_PORTS, "443")], Ok(&["QUIC/QUIC"])),
    row("QUIC by name", &[("q", 443, Protocol::Udp)], &[(name::QUIC_PORTS, "q")], Ok(&["QUIC/QUIC"])),
    row("merged QUIC", DNS, &[MERGE, (name::QUIC_PORTS, "53")], Ok(&["TCP_QUIC/TCP_QUIC"])),
    row("QUIC over TCP", WEB, &[(name::QUIC_PORTS, "443")], Err(name::QUIC_PORTS)),
    row("QUIC over TLS", WEB, &[CERT, (name::QUIC_PORTS, "443")], Err(name::QUIC_PORTS)),
    row("a QUIC port that is none", WEB, &[(name::QUIC_PORTS, "9")], Ok(&["TCP/TCP", "TCP/TCP"])),
    row("QUIC on a dropped port", DNS, &[(name::QUIC_PORTS, "53")], Ok(&["QUIC/QUIC?"])),
    Row {
        version: Some("2.14.1"),
        ..row("of 2.15.0", &[("q", 443, Protocol::Udp)], &[(name::QUIC_PORTS, "443")], Ok(&["UDP/UDP"]))
    },
    row("SCTP", &[("s", 9, Protocol::Sctp)], NONE, Ok(&["SCTP/SCTP?"])),
];

fn built(ports: &[(&str, u16, Protocol)], says: &[(&str, &str)]) -> Service {
    let builder = says.iter().fold(service("shop/web"), |builder, (key, value)| builder.annotate(key, value));
    let mut service = ports.iter().fold(builder, |builder, (name, port, _)| builder.port(name, *port, 8080, 30080)).build();
    for (port, (_, _, protocol)) in service.ports.iter_mut().zip(ports) {
        port.protocol = *protocol;
    }
    service
}

#[test]
fn the_protocol_of_each_port_1_6() {
    for row in ROWS {
        let service = built(row.ports, row.says);
        let controller = row.version.map(|version| controller(version).flag("feature-gates", row.gates).build());
        let said = listeners(&service, Settings::of(controller.as_ref()));
        let said: Result<Vec<String>, String> = said
            .map(|all| {
                let doubt = |listener: &WantedListener<'_>| if listener.doubt.is_some() { "?" } else { "" };
                all.iter().map(|one| format!("{}/{}{}", one.protocol, one.group_protocol, doubt(one))).collect()
            })
            .map_err(|error| error.key().to_owned());
        let expected = row.expected.map(|all| all.iter().map(|one| (*one).to_owned()).collect()).map_err(str::to_owned);
        assert_eq!(said, expected, "{}", row.what);
    }
}

fn with<T>(builder: ServiceBuilder, flags: &[(&str, &str)], ask: impl Fn(&Service, Settings<'_>) -> T) -> T {
    let controller = flags.iter().fold(controller("3.5.0"), |builder, (key, value)| builder.flag(key, value)).build();
    ask(&builder.build(), Settings::of(Some(&controller)))
}

fn owned(wanted: Wanted<&str>) -> Wanted<String> {
    wanted.map(str::to_owned)
}

#[test]
fn the_security_policy_is_the_annotations_else_the_flags_1_6_t5() {
    let policy = |builder, flags: &[(&str, &str)]| with(builder, flags, |service, settings| owned(ssl_policy(service, settings)));
    let value = |text: &str| Wanted::Value(text.to_owned());
    assert_eq!(policy(service("a/b"), &[]), value("ELBSecurityPolicy-2016-08"));
    assert_eq!(policy(service("a/b"), &[("default-ssl-policy", "New")]), value("New"));
    assert_eq!(policy(service("a/b").annotate(name::SSL_POLICY, "Mine"), &[("default-ssl-policy", "New")]), value("Mine"));
    assert!(matches!(ssl_policy(&service("a/b").build(), Settings::of(None)), Wanted::Likely(..)));
}

#[test]
fn alpn_is_left_alone_without_annotation_unless_a_gate_says_otherwise_1_6() {
    let policy =
        |builder, flags: &[(&str, &str)]| with(builder, flags, |service, settings| alpn_policy(service, settings).map(owned));
    assert_eq!(policy(service("a/b"), &[]), Ok(Wanted::Free));
    assert_eq!(policy(service("a/b"), &[("feature-gates", "EnhancedDefaultBehavior=true")]), Ok(Wanted::Value("None".into())));
    let annotated = |text: &str| service("a/b").annotate(name::ALPN_POLICY, text);
    assert_eq!(policy(annotated("HTTP2Preferred"), &[]), Ok(Wanted::Value("HTTP2Preferred".into())));
    assert_eq!(policy(annotated("http2"), &[]).unwrap_err().key(), name::ALPN_POLICY);
}

fn action(raw: Option<&str>, version: &str) -> Desired<Vec<WantedForward>> {
    let mut builder = service("shop/web").port("http", 80, 8080, 30080);
    if let Some(raw) = raw {
        builder = builder.annotate("actions.TCP-80", raw);
    }
    let (service, controller) = (builder.build(), controller(version).build());
    let settings = Settings::of(Some(&controller));
    let listeners = listeners(&service, settings).unwrap();
    forwards(&service, settings, &listeners[0])
}

#[test]
fn an_action_names_services_and_groups_with_weights_1_6() {
    let own = |weight| WantedForward { to: Destination::Own, weight };
    assert_eq!(action(None, "3.5.0"), Ok(Wanted::Value(vec![own(None)])));
    let weighted = r#"{"type":"forward","forwardConfig":{"baseServiceWeight":90,"targetGroups":[
        {"serviceName":"canary","servicePort":80,"weight":10},
        {"targetGroupARN":"arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/mine/7","weight":1}]}}"#;
    assert_eq!(
        action(Some(weighted), "2.16.0"),
        Ok(Wanted::Value(vec![
            own(Some(90)),
            WantedForward {
                to: Destination::Backend(ObjectName::new("shop", "canary"), PortReference::Number(80)),
                weight: Some(10)
            },
            WantedForward { to: Destination::Group("targetgroup/mine/7".into()), weight: Some(1) },
        ]))
    );
    assert_eq!(action(Some(weighted), "2.15.0"), Ok(Wanted::Value(vec![own(None)])), "it is of 2.16.0");
    assert_eq!(action(Some("{"), "3.5.0").unwrap_err().category(), "value");
    for unclear in [
        r#"{"type":"redirect"}"#,
        r#"{"type":"forward","forwardConfig":{"targetGroups":[{"serviceName":"canary","servicePort":80}]}}"#,
        r#"{"type":"forward","forwardConfig":{"baseServiceWeight":1,"targetGroups":[{"serviceName":"canary"}]}}"#,
    ] {
        assert!(matches!(action(Some(unclear), "3.5.0"), Ok(Wanted::Unknown(_))), "{unclear}");
    }
}

#[test]
fn attributes_are_read_by_the_final_protocol_and_never_for_tls_1_6() {
    let read = |says: &[(&str, &str)]| {
        let service = built(WEB, says);
        let controller = controller("3.5.0").build();
        let settings = Settings::of(Some(&controller));
        let all = listeners(&service, settings).unwrap();
        all.iter().map(|one| attributes(&service, settings, one)).collect::<Vec<_>>()
    };
    let idle = || Ok(Wanted::Value(Pairs::from([("tcp.idle_timeout.seconds".to_owned(), "60".to_owned())])));
    let tcp = ("aws-load-balancer-listener-attributes.TCP-80", "tcp.idle_timeout.seconds=60");
    assert_eq!(read(&[tcp]), [idle(), Ok(Wanted::Free)]);
    assert_eq!(read(&[("aws-load-balancer-listener-attributes.tcp-80", "a=1")]), [Ok(Wanted::Free), Ok(Wanted::Free)]);
    assert_eq!(read(&[tcp, CERT, (name::SSL_PORTS, "80")]), [Ok(Wanted::Free), Ok(Wanted::Free)]);
}
