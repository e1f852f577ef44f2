use super::*;
use crate::checks::testing::{ServiceBuilder, controller, service};

fn web() -> ServiceBuilder {
    service("shop/web").external("ip")
}

fn difference(annotation: &'static str, repaired: bool) -> Difference {
    Difference { annotation, repaired }
}

fn all(version: &str, before: &Service, after: &Service, differences: &[Difference]) -> Vec<Change> {
    let controller = controller(version).build();
    let settings = Settings::of(Some(&controller));
    changes(Edit { before, after, differences, settings, has_groups: true })
}

fn effects(version: &str, before: &Service, after: &Service, differences: &[Difference]) -> Vec<(String, Effect)> {
    all(version, before, after, differences).into_iter().map(|change| (change.field, change.effect)).collect()
}

/// What stays set between two Services with these annotations.
fn staying(before: &[(&str, &str)], after: &[(&str, &str)]) -> Vec<String> {
    let built = |says: &[(&str, &str)]| says.iter().fold(web(), |builder, (key, value)| builder.annotate(key, value)).build();
    let found = all("3.5.0", &built(before), &built(after), &[]);
    found.into_iter().filter(|change| change.effect == Effect::Stays).map(|change| change.message).collect()
}

#[test]
fn each_difference_has_the_effect_of_its_class() {
    let before = web().annotate(name::SCHEME, "internal").build();
    let after = web().annotate(name::SCHEME, "internet-facing").build();
    let mut found =
        vec![difference(name::NAME, false), difference(name::TARGET_TYPE, true), difference(name::HEALTH_CHECK_PATH, true)];
    let expected = [
        (name::NAME.to_owned(), Effect::Ignored),
        (name::TARGET_TYPE.to_owned(), Effect::TargetGroupsReplaced),
        (name::HEALTH_CHECK_PATH.to_owned(), Effect::InPlace),
    ];
    assert_eq!(effects("3.5.0", &before, &after, &found), expected);
    found.push(difference(name::SCHEME, true));
    let told = all("3.5.0", &before, &after, &found);
    assert_eq!(told[0].effect, Effect::Replaced);
    assert!(
        told[0].message.contains("\"internal\" in the cluster and \"internet-facing\" in the manifest"),
        "{}",
        told[0].message
    );
    assert!(told.iter().all(|change| change.effect != Effect::Ignored), "a new one gets its name");
}

#[test]
fn health_checks_replaced_target_groups_before_2_4_6() {
    let found = [difference(name::HEALTH_CHECK_INTERVAL, true), difference(name::HEALTHY_THRESHOLD, true)];
    let of = |version: &str| {
        effects(version, &web().build(), &web().build(), &found).into_iter().map(|(_, effect)| effect).collect::<Vec<_>>()
    };
    assert_eq!(of("2.4.5"), [Effect::TargetGroupsReplaced, Effect::InPlace], "1.7");
    assert_eq!(of("2.4.6"), [Effect::InPlace, Effect::InPlace]);
}

#[test]
fn what_is_named_no_more_stays_and_is_said_t4() {
    let told = staying(&[(name::ATTRIBUTES, "a=1,b=2"), (name::CROSS_ZONE, "true")], &[(name::ATTRIBUTES, "a=3")]);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("names b no more") && told[1].contains("load_balancing.cross_zone.enabled no more"), "{told:?}");
    for (annotation, value) in [
        (name::TARGET_GROUP_ATTRIBUTES, "deregistration_delay.timeout_seconds=5"),
        ("aws-load-balancer-target-group-attributes.80", "deregistration_delay.timeout_seconds=5"),
        ("aws-load-balancer-listener-attributes.TCP-80", "tcp.idle_timeout.seconds=60"),
        (name::MINIMUM_CAPACITY, "CapacityUnits=500"),
        (name::SUBNETS, "subnet-a,subnet-b"),
        (name::NAME, "mine"),
        (name::SCHEME, "internet-facing"),
        (name::INTERNAL, "false"),
    ] {
        let told = staying(&[(annotation, value)], &[]);
        assert_eq!(told.len(), 1, "{annotation}: {told:?}");
        assert_eq!(staying(&[(annotation, value)], &[(annotation, value)]), [""; 0], "{annotation}");
    }
}

#[test]
fn what_is_only_written_elsewhere_or_is_enforced_without_being_written_does_not_stay() {
    for (what, before, after) in [
        (
            "from the deprecated form to its successor",
            &[(name::CROSS_ZONE, "true")][..],
            &[(name::ATTRIBUTES, "load_balancing.cross_zone.enabled=true")][..],
        ),
        (
            "logs, too",
            &[(name::ACCESS_LOG_ENABLED, "true"), (name::ACCESS_LOG_BUCKET, "b")],
            &[(name::ATTRIBUTES, "access_logs.s3.enabled=true,access_logs.s3.bucket=b")],
        ),
        ("T6: it said nothing", &[(name::ACCESS_LOG_ENABLED, "false")], &[]),
        ("T5: off is enforced", &[(name::TARGET_GROUP_ATTRIBUTES, "proxy_protocol_v2.enabled=true")], &[]),
        (
            "into the port's variant",
            &[(name::TARGET_GROUP_ATTRIBUTES, "stickiness.enabled=true")],
            &[("aws-load-balancer-target-group-attributes.80", "stickiness.enabled=true")],
        ),
        ("1.4: internal is the default", &[(name::SCHEME, "internal")], &[]),
        ("the older spelling", &[(name::INTERNAL, "false")], &[(name::SCHEME, "internet-facing")]),
        ("it was empty", &[(name::NAME, ""), (name::SUBNETS, "")], &[]),
        ("without TLS it is not read", &[(name::ALPN_POLICY, "HTTP2Only")], &[]),
    ] {
        assert_eq!(staying(before, after), [""; 0], "{what}");
    }
}

#[test]
fn what_the_controller_takes_away_is_told() {
    let of = |annotation: &str, value: &str| effects("3.5.0", &web().annotate(annotation, value).build(), &web().build(), &[]);
    for (annotation, value) in [
        (name::ADDITIONAL_TAGS, "team=a"),
        (name::TARGET_NODE_LABELS, "pool=edge"),
        (name::MULTI_CLUSTER, "true"),
        (name::SECURITY_GROUPS, "sg-1"),
    ] {
        assert_eq!(of(annotation, value), [(annotation.to_owned(), Effect::InPlace)]);
    }
}

#[test]
fn ports_come_go_and_change_their_protocol() {
    let mut dns = web().port("dns", 53, 53, 30053).build();
    let web = web().port("http", 80, 8080, 30080).build();
    assert_eq!(
        effects("3.5.0", &dns, &web, &[difference(PORTS, true)]),
        [(PORTS.to_owned(), Effect::InPlace), (PORTS.to_owned(), Effect::InPlace)]
    );
    let before = dns.clone();
    dns.ports[0].protocol = Protocol::Udp;
    let told = all("3.5.0", &before, &dns, &[difference(PORTS, true)]);
    assert_eq!(told.iter().map(|change| change.effect).collect::<Vec<_>>(), [Effect::TargetGroupsReplaced]);
    assert!(told[0].message.contains("53 with TCP in the cluster and with UDP in the manifest"), "{}", told[0].message);
    // Somebody made a listener by hand.
    assert_eq!(effects("3.5.0", &web, &web, &[difference(PORTS, true)]), [(PORTS.to_owned(), Effect::InPlace)]);
}

#[test]
fn a_change_is_told_by_what_was_written() {
    let mut local = web().local(30123).build();
    let told = all("3.5.0", &web().build(), &local, &[difference(name::HEALTH_CHECK_PORT, true)]);
    assert!(told[0].message.contains("follows spec.externalTrafficPolicy"), "{}", told[0].message);
    local.source_ranges.push("10.0.0.0/8".into());
    let told = all("3.5.0", &web().build(), &local, &[difference(name::SOURCE_RANGES, true)]);
    assert!(
        told[0]
            .message
            .starts_with("spec.loadBalancerSourceRanges, none in the cluster and 10.0.0.0/8 in the manifest, is changed"),
        "{}",
        told[0].message
    );
    let certified = web().annotate(name::SSL_CERT, "arn:x").build();
    let told = all("3.5.0", &web().build(), &certified, &[difference(name::SSL_PORTS, true)]);
    assert!(told[0].message.starts_with("aws-load-balancer-ssl-cert, new with"), "{}", told[0].message);
    let dual = web().annotate(name::IP_ADDRESS_TYPE, "dualstack").build();
    let told = all("3.5.0", &web().build(), &dual, &[difference(name::SOURCE_RANGES, true)]);
    assert!(told[0].message.contains("follows aws-load-balancer-ip-address-type"), "{}", told[0].message);
    let port = web().annotate("aws-load-balancer-target-group-attributes.80", "a=1").build();
    let told = all("3.5.0", &web().build(), &port, &[difference(name::TARGET_GROUP_ATTRIBUTES, true)]);
    assert!(told[0].message.starts_with("aws-load-balancer-target-group-attributes.80, new with"), "{}", told[0].message);
}

#[test]
fn what_the_api_server_refuses_is_refused() {
    let class = "service.k8s.aws/nlb";
    let of_type =
        |service_type, class: Option<&str>| Service { service_type, load_balancer_class: class.map(Into::into), ..web().build() };
    let balancer = |class| of_type(ServiceType::LoadBalancer, class);
    let cluster_ip = |class| of_type(ServiceType::ClusterIp, class);
    for (what, before, after, refused_) in [
        ("another", Some(balancer(Some("x"))), balancer(Some(class)), true),
        ("one where none was", Some(balancer(None)), balancer(Some(class)), true),
        ("the same", Some(balancer(Some(class))), balancer(Some(class)), false),
        ("a new one", None, balancer(Some(class)), false),
        ("of another type", None, cluster_ip(Some(class)), true),
        ("that it had while it was of that type", Some(balancer(Some(class))), cluster_ip(Some(class)), false),
        ("none", Some(balancer(Some(class))), cluster_ip(None), false),
        ("when it becomes one", Some(cluster_ip(None)), balancer(Some(class)), false),
    ] {
        assert_eq!(refused(before.as_ref(), &after).is_some(), refused_, "{what}");
    }
    let ports = |change: &dyn Fn(&mut Service)| {
        let mut service = web().port("a", 80, 80, 30080).port("b", 443, 443, 30443).build();
        change(&mut service);
        refused(None, &service).map(|refused| refused.message)
    };
    assert_eq!(ports(&|_| {}), None);
    assert!(ports(&|it| it.ports.clear()).unwrap().contains("spec.ports is empty"));
    assert!(ports(&|it| it.ports[1].name = "".into()).unwrap().contains("443 has no name"));
    assert!(ports(&|it| it.ports[1].name = "a".into()).unwrap().contains("two ports of the name \"a\""));
    assert!(ports(&|it| it.ports[1].port = 80).unwrap().contains("TCP 80 twice"));
}
