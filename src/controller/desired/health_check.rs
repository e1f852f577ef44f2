//! What would the controller make of a target group's health check? All of it is enforced, annotated or not.

use crate::controller::annotations::{AnnotationError, Annotations, name, parse_integer};
use crate::controller::settings::{HEALTH_CHECK_ADVANCED_CONFIG, Settings};
use crate::inventory::aws::TargetType;
use crate::inventory::kube::{PortReference, Service, ServiceType, TrafficPolicy, Version};

use super::{Desired, Wanted};

/// The health checks of one Service, for one target type.
#[derive(Debug, Clone, Copy)]
pub struct HealthChecks<'a> {
    service: &'a Service,
    settings: Settings<'a>,
    target_type: TargetType,
}

impl<'a> HealthChecks<'a> {
    /// Those of a Service whose target groups have this type.
    pub fn of(service: &'a Service, settings: Settings<'a>, target_type: TargetType) -> Self {
        Self { service, settings, target_type }
    }

    fn annotations(self) -> Annotations<'a> {
        Annotations(&self.service.annotations)
    }

    /// Policy Local with instance targets asks kube-proxy which nodes have a pod, by other defaults.
    fn local(self) -> bool {
        self.target_type == TargetType::Instance
            && self.service.external_traffic_policy == TrafficPolicy::Local
            && self.service.service_type == ServiceType::LoadBalancer
    }

    /// What success codes and time-outs are, given the gate on them.
    fn advanced<T>(self, value: T) -> Wanted<T> {
        match self.settings.gate(&HEALTH_CHECK_ADVANCED_CONFIG) {
            Some(true) => Wanted::Value(value),
            Some(false) => Wanted::Free,
            None => Wanted::Likely(value, "the controller's gates are not known"),
        }
    }

    /// `HealthCheckProtocol`, upper case.
    pub fn protocol(self) -> Result<&'static str, AnnotationError> {
        let Some(raw) = self.annotations().text(name::HEALTH_CHECK_PROTOCOL) else {
            return Ok(if self.local() { "HTTP" } else { "TCP" });
        };
        ["TCP", "HTTP", "HTTPS"]
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(raw))
            .ok_or_else(|| AnnotationError::value(name::HEALTH_CHECK_PROTOCOL, raw, "tcp, http or https"))
    }

    /// `HealthCheckPort`: `traffic-port` or digits (T19).
    pub fn port(self) -> Desired<String> {
        const KEY: &str = name::HEALTH_CHECK_PORT;
        let Some(raw) = self.annotations().text(KEY) else {
            if !self.local() {
                return Ok(Wanted::Value("traffic-port".to_owned()));
            }
            return Ok(match self.service.health_check_node_port {
                Some(port) => Wanted::Value(port.to_string()),
                None => Wanted::Unknown("spec.healthCheckNodePort is not set"),
            });
        };
        if raw == "traffic-port" {
            return Ok(Wanted::Value(raw.to_owned()));
        }
        if let Some(number) = parse_integer(raw) {
            return Ok(Wanted::Value(number.to_string()));
        }
        if !self.settings.at_least(Version::new(2, 6, 2)) {
            return Err(AnnotationError::value(KEY, raw, "traffic-port or a number"));
        }
        let port = self.service.ports.iter().find(|port| !raw.is_empty() && &*port.name == raw);
        let port = port.ok_or_else(|| AnnotationError::unresolved(KEY, raw, "a port of the Service"))?;
        match (self.target_type, &port.target_port) {
            (TargetType::Instance, _) => Ok(match port.node_port {
                Some(port) => Wanted::Value(port.to_string()),
                None => Wanted::Unknown("the port has no node port"),
            }),
            (_, PortReference::Number(port)) => Ok(Wanted::Value(port.to_string())),
            (_, PortReference::Name(_)) => {
                Err(AnnotationError::value(KEY, raw, "a port whose targetPort is a number, with ip targets"))
            }
        }
    }

    /// `HealthCheckPath`; free with TCP.
    pub fn path(self) -> Desired<String> {
        if self.protocol()? == "TCP" {
            return Ok(Wanted::Free);
        }
        let default = if self.local() { "/healthz" } else { "/" };
        Ok(Wanted::Value(self.annotations().text(name::HEALTH_CHECK_PATH).unwrap_or(default).to_owned()))
    }

    /// `Matcher.HttpCode`; free with TCP and without the gate.
    pub fn success_codes(self) -> Desired<String> {
        if self.protocol()? == "TCP" {
            return Ok(Wanted::Free);
        }
        Ok(self.advanced(self.annotations().text(name::SUCCESS_CODES).unwrap_or("200-399").to_owned()))
    }

    /// `HealthCheckIntervalSeconds`.
    pub fn interval(self) -> Result<i32, AnnotationError> {
        Ok(self.annotations().integer(name::HEALTH_CHECK_INTERVAL)?.unwrap_or(10))
    }

    /// `HealthCheckTimeoutSeconds`; free without the gate.
    pub fn timeout(self) -> Desired<i32> {
        if self.advanced(()) == Wanted::Free {
            return Ok(Wanted::Free);
        }
        let default = if self.local() { 6 } else { 10 };
        Ok(self.advanced(self.annotations().integer(name::HEALTH_CHECK_TIMEOUT)?.unwrap_or(default)))
    }

    /// `HealthyThresholdCount`.
    pub fn healthy_threshold(self) -> Result<i32, AnnotationError> {
        Ok(self.annotations().integer(name::HEALTHY_THRESHOLD)?.unwrap_or(self.threshold()))
    }

    /// `UnhealthyThresholdCount`.
    pub fn unhealthy_threshold(self) -> Result<i32, AnnotationError> {
        Ok(self.annotations().integer(name::UNHEALTHY_THRESHOLD)?.unwrap_or(self.threshold()))
    }

    fn threshold(self) -> i32 {
        if self.local() { 2 } else { 3 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{ServiceBuilder, controller, service};

    fn check<T>(builder: ServiceBuilder, version: &str, target: TargetType, ask: impl Fn(HealthChecks<'_>) -> T) -> T {
        let (service, controller) = (builder.build(), controller(version).build());
        ask(HealthChecks::of(&service, Settings::of(Some(&controller)), target))
    }

    fn local() -> ServiceBuilder {
        service("ops/in").external("instance").local(31503)
    }

    #[test]
    fn defaults_without_annotations_1_7_t5() {
        let plain = || service("ops/in").external("ip");
        let ip = TargetType::Ip;
        assert_eq!(check(plain(), "2.8.2", ip, |c| c.protocol()), Ok("TCP"));
        assert_eq!(check(plain(), "2.8.2", ip, |c| c.port()), Ok(Wanted::Value("traffic-port".into())));
        assert_eq!(check(plain(), "2.8.2", ip, |c| c.path()), Ok(Wanted::Free));
        assert_eq!(check(plain(), "2.8.2", ip, |c| c.success_codes()), Ok(Wanted::Free));
        assert_eq!(check(plain(), "2.8.2", ip, |c| c.interval()), Ok(10));
        assert_eq!(check(plain(), "2.8.2", ip, |c| c.timeout()), Ok(Wanted::Value(10)));
        assert_eq!(check(plain(), "2.8.2", ip, |c| (c.healthy_threshold(), c.unhealthy_threshold())), (Ok(3), Ok(3)));
    }

    #[test]
    fn defaults_with_policy_local_and_instance_targets_1_7() {
        let instance = TargetType::Instance;
        assert_eq!(check(local(), "2.8.2", instance, |c| c.protocol()), Ok("HTTP"));
        assert_eq!(check(local(), "2.8.2", instance, |c| c.port()), Ok(Wanted::Value("31503".into())));
        assert_eq!(check(local(), "2.8.2", instance, |c| c.path()), Ok(Wanted::Value("/healthz".into())));
        assert_eq!(check(local(), "2.8.2", instance, |c| c.success_codes()), Ok(Wanted::Value("200-399".into())));
        assert_eq!(check(local(), "2.8.2", instance, |c| c.timeout()), Ok(Wanted::Value(6)));
        assert_eq!(check(local(), "2.8.2", instance, |c| (c.healthy_threshold(), c.unhealthy_threshold())), (Ok(2), Ok(2)));
        assert_eq!(
            check(local(), "2.8.2", TargetType::Ip, |c| c.protocol()),
            Ok("TCP"),
            "policy Local means nothing for ip targets"
        );
    }

    #[test]
    fn a_port_name_is_the_node_port_or_the_target_port_1_7() {
        let named = || service("ops/in").port("http", 80, 8080, 30080).annotate(name::HEALTH_CHECK_PORT, "http");
        assert_eq!(check(named(), "2.6.2", TargetType::Instance, |c| c.port()), Ok(Wanted::Value("30080".into())));
        assert_eq!(check(named(), "2.6.2", TargetType::Ip, |c| c.port()), Ok(Wanted::Value("8080".into())));
        assert!(check(named(), "2.6.1", TargetType::Ip, |c| c.port()).is_err(), "names are of 2.6.2");
        let number = service("ops/in").annotate(name::HEALTH_CHECK_PORT, "+9000");
        assert_eq!(check(number, "2.6.2", TargetType::Ip, |c| c.port()), Ok(Wanted::Value("9000".into())));
        for bad in ["", "metrics", "Traffic-Port"] {
            let service = service("ops/in").port("http", 80, 8080, 30080).annotate(name::HEALTH_CHECK_PORT, bad);
            assert!(check(service, "2.6.2", TargetType::Ip, |c| c.port()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_protocol_has_no_case_1_7() {
        let with = |text: &str| service("ops/in").annotate(name::HEALTH_CHECK_PROTOCOL, text);
        assert_eq!(check(with("http"), "2.8.2", TargetType::Ip, |c| c.protocol()), Ok("HTTP"));
        assert_eq!(check(with("Https"), "2.8.2", TargetType::Ip, |c| c.protocol()), Ok("HTTPS"));
        assert!(check(with("udp"), "2.8.2", TargetType::Ip, |c| c.protocol()).is_err());
        assert_eq!(check(with("http"), "2.8.2", TargetType::Ip, |c| c.path()), Ok(Wanted::Value("/".into())));
    }

    #[test]
    fn codes_and_timeout_need_the_gate_of_2_4_6_1_7() {
        let service =
            || service("ops/in").annotate(name::HEALTH_CHECK_PROTOCOL, "http").annotate(name::HEALTH_CHECK_TIMEOUT, "7");
        assert_eq!(check(service(), "2.4.5", TargetType::Ip, |c| c.timeout()), Ok(Wanted::Free));
        assert_eq!(check(service(), "2.4.5", TargetType::Ip, |c| c.success_codes()), Ok(Wanted::Free));
        assert_eq!(check(service(), "2.4.6", TargetType::Ip, |c| c.timeout()), Ok(Wanted::Value(7)));
        let built = service().build();
        let unknown = HealthChecks::of(&built, Settings::of(None), TargetType::Ip);
        assert!(matches!(unknown.timeout(), Ok(Wanted::Likely(7, _))));
    }

    #[test]
    fn numbers_that_are_none_are_refused_1_2() {
        let bad = service("ops/in").annotate(name::HEALTH_CHECK_INTERVAL, "10s");
        assert_eq!(check(bad, "2.8.2", TargetType::Ip, |c| c.interval()).unwrap_err().key(), name::HEALTH_CHECK_INTERVAL);
    }
}
