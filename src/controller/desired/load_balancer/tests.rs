use super::*;
use crate::checks::testing::{ServiceBuilder, controller, service, subnet};

fn settings_of<T>(version: Option<&str>, flags: &[(&str, &str)], ask: impl FnOnce(Settings<'_>) -> T) -> T {
    let built =
        version.map(|version| flags.iter().fold(controller(version), |builder, (key, value)| builder.flag(key, value)).build());
    ask(Settings::of(built.as_ref()))
}

#[test]
fn the_scheme_is_exact_1_4() {
    let with = |key: &str, value: &str| service("a/b").annotate(key, value).build();
    let unknown = Settings::of(None);
    assert_eq!(
        annotated_scheme(&with(name::SCHEME, "internet-facing"), unknown),
        Ok(Some((Scheme::InternetFacing, name::SCHEME)))
    );
    for bad in ["Internal", "public", "", "internet-facing\n"] {
        assert!(annotated_scheme(&with(name::SCHEME, bad), unknown).is_err(), "{bad:?}");
    }
    assert_eq!(annotated_scheme(&with(name::INTERNAL, "true"), unknown), Ok(Some((Scheme::Internal, name::INTERNAL))));
    assert_eq!(annotated_scheme(&with(name::INTERNAL, "0"), unknown), Ok(Some((Scheme::InternetFacing, name::INTERNAL))));
    assert!(annotated_scheme(&with(name::INTERNAL, "0.0.0.0/0"), unknown).is_err(), "the in-tree spelling, 1.9");
    let both = service("a/b").annotate(name::SCHEME, "internal").annotate(name::INTERNAL, "garbage").build();
    assert_eq!(annotated_scheme(&both, unknown), Ok(Some((Scheme::Internal, name::SCHEME))), "only if scheme is absent");
    assert_eq!(annotated_scheme(&service("a/b").build(), unknown), Ok(None));
}

#[test]
fn the_default_scheme_is_the_existing_ones_then_the_flags_1_4() {
    let bare = service("a/b").build();
    let ask = |existing, version, flags: &[(&str, &str)]| settings_of(version, flags, |s| scheme(&bare, existing, s).unwrap());
    let flag: &[(&str, &str)] = &[("default-load-balancer-scheme", "internet-facing")];
    assert_eq!(ask(Some(Scheme::InternetFacing), Some("2.11.0"), &[]), Wanted::Value(Scheme::InternetFacing));
    assert_eq!(ask(None, Some("2.11.0"), flag), Wanted::Value(Scheme::InternetFacing));
    assert_eq!(ask(None, Some("2.11.0"), &[]), Wanted::Value(Scheme::Internal));
    assert_eq!(ask(None, Some("2.10.0"), flag), Wanted::Value(Scheme::Internal), "the flag is of 2.11.0");
    assert_eq!(ask(None, Some("2.1.3"), &[]), Wanted::Value(Scheme::InternetFacing), "2, up to 2.1.x");
    assert!(matches!(ask(None, None, &[]), Wanted::Likely(Scheme::Internal, _)));
}

#[test]
fn ipv4_is_enforced_when_nothing_is_said_1_4_t5() {
    let with = |value: &str| service("a/b").annotate(name::IP_ADDRESS_TYPE, value).build();
    assert_eq!(ip_address_type(&service("a/b").build()), Ok(IpAddressType::Ipv4));
    assert_eq!(ip_address_type(&with("dualstack")), Ok(IpAddressType::Dualstack));
    assert!(ip_address_type(&with("DualStack")).is_err());
}

fn resolve(value: Option<&str>, version: Option<&str>) -> Desired<BTreeSet<SubnetId>> {
    let all = [subnet("subnet-1", "a"), subnet("subnet-2", "b"), subnet("subnet-3", "twin"), subnet("subnet-4", "twin")]
        .into_iter()
        .map(|subnet| (subnet.id.clone(), Arc::new(subnet)))
        .collect();
    let mut builder = service("a/b");
    if let Some(value) = value {
        builder = builder.annotate(name::SUBNETS, value);
    }
    settings_of(version, &[], |settings| subnets(&builder.build(), settings, &all))
}

fn ids(ids: &[&str]) -> Desired<BTreeSet<SubnetId>> {
    Ok(Wanted::Value(ids.iter().map(|id| SubnetId::from(*id)).collect()))
}

#[test]
fn subnets_are_ids_or_names_and_a_set_1_4_t9_t10() {
    assert_eq!(resolve(None, None), Ok(Wanted::Free), "T3");
    assert_eq!(resolve(Some("subnet-2, subnet-1,subnet-2"), None), ids(&["subnet-1", "subnet-2"]));
    assert_eq!(resolve(Some("b,subnet-1"), None), ids(&["subnet-1", "subnet-2"]));
    assert_eq!(resolve(Some(""), None).unwrap_err().category(), "value");
    assert_eq!(resolve(Some("nowhere"), None).unwrap_err().category(), "unresolved");
    assert!(matches!(resolve(Some("tw*"), None), Ok(Wanted::Unknown(_))));
}

#[test]
fn a_name_of_several_subnets_is_version_dependent_1_4() {
    assert_eq!(resolve(Some("twin"), Some("3.2.0")), ids(&["subnet-3"]));
    assert_eq!(resolve(Some("twin,twin"), Some("3.2.0")), ids(&["subnet-3", "subnet-4"]));
    assert!(resolve(Some("twin,twin,twin"), Some("3.2.0")).is_err());
    assert!(matches!(resolve(Some("twin"), Some("2.8.2")), Ok(Wanted::Unknown(_))));
    assert!(matches!(resolve(Some("twin"), None), Ok(Wanted::Unknown(_))));
}

fn wanted(builder: ServiceBuilder) -> Vec<(String, String, &'static str)> {
    let wanted = settings_of(Some("2.8.2"), &[], |settings| attributes(&builder.build(), settings)).unwrap();
    wanted.keys.into_iter().map(|(key, wanted)| (key, wanted.value, wanted.annotation)).collect()
}

#[test]
fn deprecated_annotations_win_over_attributes_1_4() {
    let both = service("a/b")
        .annotate(name::ATTRIBUTES, "load_balancing.cross_zone.enabled=true,deletion_protection.enabled=true")
        .annotate(name::CROSS_ZONE, "false");
    assert_eq!(
        wanted(both),
        [
            ("deletion_protection.enabled".into(), "true".into(), name::ATTRIBUTES),
            ("load_balancing.cross_zone.enabled".into(), "false".into(), name::CROSS_ZONE),
        ]
    );
}

#[test]
fn access_logs_off_says_nothing_t6() {
    let logs =
        |enabled: &str| service("a/b").annotate(name::ACCESS_LOG_ENABLED, enabled).annotate(name::ACCESS_LOG_BUCKET, "logs");
    assert_eq!(wanted(logs("false")), []);
    assert_eq!(
        wanted(logs("true")),
        [
            ("access_logs.s3.bucket".into(), "logs".into(), name::ACCESS_LOG_BUCKET),
            ("access_logs.s3.enabled".into(), "true".into(), name::ACCESS_LOG_ENABLED),
        ]
    );
    assert_eq!(wanted(service("a/b").annotate(name::ACCESS_LOG_BUCKET, "logs")), []);
}

#[test]
fn refused_values_of_attributes_1_4() {
    let bad = [
        (name::ATTRIBUTES, "dns_record.client_routing_policy=nearest"),
        (name::ATTRIBUTES, "x"),
        (name::ACCESS_LOG_ENABLED, "yes"),
        (name::CROSS_ZONE, ""),
    ];
    for (annotation, value) in bad {
        let service = service("a/b").annotate(annotation, value).build();
        let error = settings_of(Some("2.8.2"), &[], |settings| attributes(&service, settings)).unwrap_err();
        assert_eq!(error.key(), annotation, "{value}");
    }
    assert_eq!(wanted(service("a/b").annotate(name::ATTRIBUTES, "")), []);
}

fn tags(value: &str, version: Option<&str>, flags: &[(&str, &str)]) -> Desired<BTreeMap<String, WantedTag>> {
    let service = service("a/b").annotate(name::ADDITIONAL_TAGS, value).build();
    settings_of(version, flags, |settings| additional_tags(&service, settings))
}

fn pairs(pairs: &[(&str, WantedTag)]) -> Desired<BTreeMap<String, WantedTag>> {
    Ok(Wanted::Value(pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()))
}

#[test]
fn default_tags_win_unless_the_gate_says_otherwise_1_8() {
    let value = |text: &str| WantedTag::Value(text.to_owned());
    assert_eq!(tags("a=1,b=2", Some("2.8.2"), &[]), pairs(&[("a", value("1")), ("b", value("2"))]));
    let defaults = ("default-tags", "a=0");
    assert_eq!(tags("a=1,b=2", Some("2.8.2"), &[defaults]), pairs(&[("b", value("2"))]));
    let gate = ("feature-gates", "EnableDefaultTagsLowPriority=true");
    assert_eq!(tags("a=1", Some("2.14.1"), &[defaults, gate]), pairs(&[("a", value("1"))]));
    assert_eq!(tags("a=1", Some("2.14.0"), &[defaults, gate]), pairs(&[]), "the gate is of 2.14.1");
    assert_eq!(tags("a=1", None, &[]), pairs(&[("a", WantedTag::Any)]), "default tags are not known");
}

#[test]
fn tracking_tags_win_and_external_ones_are_refused_1_8() {
    assert_eq!(tags("service.k8s.aws/stack=x", Some("2.8.2"), &[]), pairs(&[]));
    let error = tags("a=1", Some("2.8.2"), &[("external-managed-tags", "a,b")]).unwrap_err();
    assert_eq!((error.key(), error.category()), (name::ADDITIONAL_TAGS, "value"));
}

#[test]
fn a_minimum_capacity_is_one_number_and_needs_its_gate_1_4() {
    let ask = |value: Option<&str>, gates: &str| {
        let mut builder = service("a/b");
        if let Some(value) = value {
            builder = builder.annotate(name::MINIMUM_CAPACITY, value);
        }
        settings_of(Some("3.5.0"), &[("feature-gates", gates)], |settings| minimum_capacity(&builder.build(), settings))
    };
    assert_eq!(ask(None, ""), Ok(Wanted::Free));
    assert_eq!(ask(Some("CapacityUnits=3000"), ""), Ok(Wanted::Value(3000)));
    assert_eq!(ask(Some("CapacityUnits=3000"), "LBCapacityReservation=false"), Ok(Wanted::Free));
    for bad in ["CapacityUnits=many", "Units=1", "CapacityUnits=1,Other=2", "3000"] {
        assert_eq!(ask(Some(bad), "").unwrap_err().key(), name::MINIMUM_CAPACITY, "{bad}");
    }
}

#[test]
fn rules_for_private_link_are_on_or_off_1_4() {
    let ask = |value: &str| {
        let service = service("a/b").annotate(name::PRIVATE_LINK_RULES, value).build();
        private_link_rules(&service).map(|wanted| wanted.map(str::to_owned))
    };
    assert_eq!(ask("on"), Ok(Wanted::Value("on".into())));
    assert!(ask("true").is_err());
}
