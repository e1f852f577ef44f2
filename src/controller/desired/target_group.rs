//! What would the controller make of a target group: its target type and its attributes?

use crate::controller::annotations::{AnnotationError, Annotations, name, parse_list};
use crate::controller::settings::Settings;
use crate::inventory::aws::TargetType;
use crate::inventory::kube::{Service, Version};

use super::load_balancer::must_be_bool;
use super::{Wanted, WantedAttributes, read_map};

const PROXY_PROTOCOL_KEY: &str = "proxy_protocol_v2.enabled";
const PRESERVE_CLIENT_IP_KEY: &str = "preserve_client_ip.enabled";

/// Instance or ip targets, for a Service that the controller owns.
pub fn target_type(service: &Service, settings: Settings<'_>) -> Wanted<TargetType> {
    let annotations = Annotations(&service.annotations);
    if annotations.text(name::TYPE) == Some("nlb-ip") {
        return Wanted::Value(TargetType::Ip);
    }
    let text = match annotations.text(name::TARGET_TYPE) {
        Some(text) => Some(text),
        None if !settings.at_least(Version::new(2, 5, 0)) => Some("instance"),
        None => settings.flag("default-target-type", "instance"),
    };
    match text {
        None => Wanted::Likely(TargetType::Instance, "the controller's --default-target-type is not known"),
        Some("ip") => Wanted::Value(TargetType::Ip),
        // Any other text, `IP` included (T38).
        Some(_) => Wanted::Value(TargetType::Instance),
    }
}

/// Attributes of the target group of one Service port. `proxy-protocol` wins over `proxy-protocol-per-target-group`, that
/// over `target-group-attributes`, of which the port's variant wins where it has a value; proxy protocol is off without any.
pub fn attributes(service: &Service, settings: Settings<'_>, port: u16) -> Result<WantedAttributes, AnnotationError> {
    let annotations = Annotations(&service.annotations);
    let mut wanted = WantedAttributes::default();
    wanted.set(PROXY_PROTOCOL_KEY, "false", name::PROXY_PROTOCOL);

    let variant = format!("{}.{port}", name::TARGET_GROUP_ATTRIBUTES);
    for (annotation, is_variant) in [(name::TARGET_GROUP_ATTRIBUTES, false), (&*variant, true)] {
        match read_map(annotations, annotation, settings)? {
            Wanted::Free => {}
            Wanted::Likely(_, why) | Wanted::Unknown(why) => wanted.unknown = Some(why),
            Wanted::Value(_) if is_variant && !settings.at_least(Version::new(2, 13, 0)) => {
                wanted.unknown = Some("whether this version of the controller reads the port's variant is not known");
            }
            Wanted::Value(pairs) => {
                must_be_bool(annotation, PRESERVE_CLIENT_IP_KEY, &pairs)?;
                for (key, value) in pairs {
                    if !(is_variant && value.is_empty()) {
                        wanted.set(&key, value, name::TARGET_GROUP_ATTRIBUTES);
                    }
                }
            }
        }
    }
    if wanted.unknown.is_some() {
        wanted.keys.remove(PROXY_PROTOCOL_KEY);
    }
    // An empty value is not sent.
    if wanted.keys.get(PROXY_PROTOCOL_KEY).is_some_and(|proxy| proxy.value.is_empty()) {
        wanted.keys.remove(PROXY_PROTOCOL_KEY);
    }
    if let Some(raw) = annotations.text(name::PROXY_PROTOCOL_PER_GROUP).filter(|_| settings.at_least(Version::new(2, 13, 0))) {
        let ports = parse_list(raw);
        if let Some(bad) = ports.iter().find(|port| port.parse::<i64>().is_err()) {
            return Err(AnnotationError::value(name::PROXY_PROTOCOL_PER_GROUP, bad, "a list of port numbers"));
        }
        let on = ports.contains(&port.to_string().as_str());
        wanted.set(PROXY_PROTOCOL_KEY, on.to_string(), name::PROXY_PROTOCOL_PER_GROUP);
    }
    match annotations.text(name::PROXY_PROTOCOL) {
        None => {}
        Some("*") => wanted.set(PROXY_PROTOCOL_KEY, "true", name::PROXY_PROTOCOL),
        Some(raw) => return Err(AnnotationError::value(name::PROXY_PROTOCOL, raw, "*")),
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{ServiceBuilder, controller, service};

    fn with(service: ServiceBuilder, version: &str) -> Result<Vec<(String, String, &'static str)>, AnnotationError> {
        let controller = controller(version).build();
        let wanted = attributes(&service.build(), Settings::of(Some(&controller)), 80)?;
        Ok(wanted.keys.into_iter().map(|(key, wanted)| (key, wanted.value, wanted.annotation)).collect())
    }

    fn proxy(service: ServiceBuilder) -> Option<(String, &'static str)> {
        let all = with(service, "2.13.0").unwrap();
        all.into_iter().find(|(key, ..)| key == PROXY_PROTOCOL_KEY).map(|(_, value, annotation)| (value, annotation))
    }

    #[test]
    fn the_target_type_is_exact_with_a_class_1_7_t38() {
        let classy = |value: &str| service("a/b").class("service.k8s.aws/nlb").annotate(name::TARGET_TYPE, value).build();
        let unknown = Settings::of(None);
        assert_eq!(target_type(&classy("ip"), unknown), Wanted::Value(TargetType::Ip));
        assert_eq!(target_type(&classy("instance"), unknown), Wanted::Value(TargetType::Instance));
        assert_eq!(target_type(&classy("IP"), unknown), Wanted::Value(TargetType::Instance));
        assert_eq!(target_type(&service("a/b").annotate(name::TYPE, "nlb-ip").build(), unknown), Wanted::Value(TargetType::Ip));
    }

    #[test]
    fn the_target_type_without_annotation_is_the_flags_1_7() {
        let bare = service("a/b").class("service.k8s.aws/nlb").build();
        let ip = controller("2.8.2").flag("default-target-type", "ip").build();
        let plain = controller("2.8.2").build();
        assert_eq!(target_type(&bare, Settings::of(Some(&ip))), Wanted::Value(TargetType::Ip));
        assert_eq!(target_type(&bare, Settings::of(Some(&plain))), Wanted::Value(TargetType::Instance));
        assert!(matches!(target_type(&bare, Settings::of(None)), Wanted::Likely(TargetType::Instance, _)));
    }

    #[test]
    fn proxy_protocol_is_off_unless_somebody_says_otherwise_1_7_t5() {
        assert_eq!(proxy(service("a/b")), Some(("false".into(), name::PROXY_PROTOCOL)));
        let attributes = |value: &str| service("a/b").annotate(name::TARGET_GROUP_ATTRIBUTES, value);
        assert_eq!(proxy(attributes("proxy_protocol_v2.enabled=true")), Some(("true".into(), name::TARGET_GROUP_ATTRIBUTES)));
        assert_eq!(proxy(attributes("proxy_protocol_v2.enabled=")), None, "an empty value is not sent");
        let per_group =
            |value: &str| attributes("proxy_protocol_v2.enabled=true").annotate(name::PROXY_PROTOCOL_PER_GROUP, value);
        assert_eq!(proxy(per_group("443")), Some(("false".into(), name::PROXY_PROTOCOL_PER_GROUP)));
        assert_eq!(proxy(per_group("443, 80")), Some(("true".into(), name::PROXY_PROTOCOL_PER_GROUP)));
        assert_eq!(proxy(per_group("443").annotate(name::PROXY_PROTOCOL, "*")), Some(("true".into(), name::PROXY_PROTOCOL)));
    }

    #[test]
    fn proxy_protocol_per_group_is_of_2_13_0() {
        let service = service("a/b").annotate(name::PROXY_PROTOCOL_PER_GROUP, "80");
        let old = with(service, "2.12.0").unwrap();
        assert_eq!(old, [(PROXY_PROTOCOL_KEY.into(), "false".into(), name::PROXY_PROTOCOL)]);
    }

    #[test]
    fn refused_values_of_target_groups_1_7() {
        let bad = [
            (name::PROXY_PROTOCOL, "true"),
            (name::PROXY_PROTOCOL_PER_GROUP, "http"),
            (name::TARGET_GROUP_ATTRIBUTES, "preserve_client_ip.enabled=yes"),
            (name::TARGET_GROUP_ATTRIBUTES, "preserve_client_ip.enabled"),
        ];
        for (annotation, value) in bad {
            let error = with(service("a/b").annotate(annotation, value), "2.13.0").unwrap_err();
            assert_eq!(error.key(), annotation, "{value}");
        }
    }

    #[test]
    fn the_ports_variant_wins_where_it_has_a_value_1_7() {
        let service = || {
            service("a/b")
                .annotate(name::TARGET_GROUP_ATTRIBUTES, "deregistration_delay.timeout_seconds=30,stickiness.enabled=true")
                .annotate(
                    "aws-load-balancer-target-group-attributes.80",
                    "deregistration_delay.timeout_seconds=60,stickiness.enabled=",
                )
                .annotate("aws-load-balancer-target-group-attributes.443", "deregistration_delay.timeout_seconds=90")
        };
        let all = with(service(), "2.13.0").unwrap();
        let value = |key: &str| all.iter().find(|(found, ..)| found == key).map(|(_, value, _)| value.as_str());
        assert_eq!(value("deregistration_delay.timeout_seconds"), Some("60"));
        assert_eq!(value("stickiness.enabled"), Some("true"));
        let old = controller("2.8.2").build();
        let wanted = attributes(&service().build(), Settings::of(Some(&old)), 80).unwrap();
        assert!(wanted.unknown.is_some(), "an old controller may not know the variant");
    }
}
