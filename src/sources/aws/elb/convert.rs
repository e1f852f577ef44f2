//! How does an answer of Elastic Load Balancing become ours? Pure; every `Option` of the SDK is resolved here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_sdk_elasticloadbalancingv2::types as sdk;
use jiff::Timestamp;

use crate::inventory::aws::{
    Attributes, CapacityReservation, Forward, HealthCheck, IpAddressType, IpFamily, Listener, LoadBalancer, LoadBalancerAddress,
    LoadBalancerState, LoadBalancerZone, Scheme, Tags, Target, TargetGroup, TargetHealth, TargetReason, TargetState, TargetType,
};
use crate::inventory::ids::{AllocationId, Arn, SecurityGroupId, SubnetId, VpcId, ZoneName};
use crate::sources::aws::fetch::Oddities;
use crate::sources::aws::intern::intern;

/// Whether it is a Network Load Balancer. An answer without a type is judged by its ARN.
pub(crate) fn is_network(load_balancer: &sdk::LoadBalancer) -> bool {
    match load_balancer.r#type() {
        Some(kind) => kind.as_str() == "network",
        None => load_balancer.load_balancer_arn().is_some_and(|arn| arn.contains(":loadbalancer/net/")),
    }
}

/// A load balancer; `None` without an ARN or with a scheme nobody knows.
pub(crate) fn load_balancer(from: &sdk::LoadBalancer, oddities: &mut Oddities) -> Option<LoadBalancer> {
    let arn = oddities.object(from.load_balancer_arn().map(Arn::from))?;
    let id = oddities.object(arn.load_balancer())?;
    let scheme = oddities.object(from.scheme().and_then(|scheme| Scheme::parse(scheme.as_str())))?;
    let state = from.state();
    Some(LoadBalancer {
        id,
        arn,
        name: from.load_balancer_name().unwrap_or_default().into(),
        dns_name: from.dns_name().unwrap_or_default().into(),
        scheme,
        vpc_id: VpcId::new(intern(from.vpc_id().unwrap_or_default())),
        state: oddities.known(
            state.and_then(|state| state.code()).map(|code| code.as_str()),
            LoadBalancerState::parse,
            LoadBalancerState::Other,
        ),
        state_reason: state.and_then(|state| state.reason()).map(intern),
        created_at: from.created_time().and_then(|at| Timestamp::new(at.secs(), i32::try_from(at.subsec_nanos()).ok()?).ok()),
        ip_address_type: oddities.known(
            from.ip_address_type().map(|kind| kind.as_str()),
            IpAddressType::parse,
            IpAddressType::Other,
        ),
        zones: from.availability_zones().iter().filter_map(|zone| load_balancer_zone(zone, oddities)).collect(),
        security_groups: from.security_groups().iter().map(|id| SecurityGroupId::new(intern(id))).collect(),
        enforce_inbound_rules_on_private_link: from
            .enforce_security_group_inbound_rules_on_private_link_traffic()
            .filter(|value| !value.is_empty())
            .map(intern),
        enable_prefix_for_ipv6_source_nat: from.enable_prefix_for_ipv6_source_nat().map(|value| intern(value.as_str())),
    })
}

fn load_balancer_zone(from: &sdk::AvailabilityZone, oddities: &mut Oddities) -> Option<LoadBalancerZone> {
    Some(LoadBalancerZone {
        zone: ZoneName::new(intern(oddities.object(from.zone_name())?)),
        subnet_id: SubnetId::new(intern(oddities.object(from.subnet_id())?)),
        // AWS lists an empty address where it chose one and does not tell it.
        addresses: (from.load_balancer_addresses().iter())
            .map(|address| LoadBalancerAddress {
                allocation_id: address.allocation_id().map(AllocationId::from),
                private_ipv4: oddities.parsed(address.private_ipv4_address()),
                ipv6: oddities.parsed(address.ipv6_address()),
            })
            .filter(|address| *address != LoadBalancerAddress::default())
            .collect(),
        source_nat_ipv6_prefixes: from.source_nat_ipv6_prefixes().iter().map(|prefix| prefix.as_str().into()).collect(),
    })
}

/// A target group; `None` without an ARN.
pub(crate) fn target_group(from: &sdk::TargetGroup, oddities: &mut Oddities) -> Option<TargetGroup> {
    let arn = oddities.object(from.target_group_arn().map(Arn::from))?;
    let id = oddities.object(arn.target_group())?;
    let target_type = from.target_type().map_or("instance", |kind| kind.as_str());
    Some(TargetGroup {
        id,
        arn,
        name: from.target_group_name().unwrap_or_default().into(),
        protocol: intern(from.protocol().map_or("", |protocol| protocol.as_str())),
        // `lambda` is nothing new: an ALB's, kept because it counts against the same quota.
        target_type: match target_type {
            "lambda" => TargetType::Other,
            other => oddities.known(Some(other), TargetType::parse, TargetType::Other),
        },
        vpc_id: from.vpc_id().filter(|id| !id.is_empty()).map(|id| VpcId::new(intern(id))),
        load_balancers: from.load_balancer_arns().iter().filter_map(|arn| Arn::from(arn.as_str()).load_balancer()).collect(),
        ip_family: match from.ip_address_type() {
            Some(family) => oddities.known(Some(family.as_str()), IpFamily::parse, IpFamily::Ipv4),
            None => IpFamily::Ipv4,
        },
        health_check: HealthCheck {
            enabled: from.health_check_enabled().unwrap_or(true),
            protocol: intern(from.health_check_protocol().map_or("", |protocol| protocol.as_str())),
            port: intern(from.health_check_port().unwrap_or("traffic-port")),
            path: from.health_check_path().filter(|path| !path.is_empty()).map(intern),
            success_codes: from.matcher().and_then(|matcher| matcher.http_code()).filter(|codes| !codes.is_empty()).map(intern),
            interval_seconds: from.health_check_interval_seconds().unwrap_or_default(),
            timeout_seconds: from.health_check_timeout_seconds().unwrap_or_default(),
            healthy_threshold: from.healthy_threshold_count().unwrap_or_default(),
            unhealthy_threshold: from.unhealthy_threshold_count().unwrap_or_default(),
        },
    })
}

/// Tags by the ARN they were asked for with.
pub(crate) fn tags(from: &[sdk::TagDescription]) -> BTreeMap<Arn, Tags> {
    (from.iter())
        .filter_map(|description| {
            let tags = (description.tags().iter())
                .filter_map(|tag| Some((intern(tag.key()?), intern(tag.value().unwrap_or_default()))))
                .collect();
            Some((Arn::from(description.resource_arn()?), tags))
        })
        .collect()
}

/// Attributes; one without a value is empty text, as AWS writes them.
pub(crate) fn attributes<'a>(from: impl Iterator<Item = (Option<&'a str>, Option<&'a str>)>) -> Attributes {
    from.filter_map(|(key, value)| Some((intern(key?), intern(value.unwrap_or_default())))).collect()
}

/// The certificates of a listener that are not its default one. One that is the default and a further one as well is told
/// twice, with either mark.
pub(crate) fn further_certificates(from: &[sdk::Certificate], oddities: &mut Oddities) -> BTreeSet<Arc<str>> {
    let further = from.iter().filter(|certificate| certificate.is_default() != Some(true));
    further.filter_map(|certificate| oddities.object(certificate.certificate_arn()).map(intern)).collect()
}

/// What is reserved; nothing where the answer says nothing of it.
pub(crate) fn capacity(from: Option<&sdk::MinimumLoadBalancerCapacity>) -> CapacityReservation {
    CapacityReservation { capacity_units: from.and_then(|minimum| minimum.capacity_units()).unwrap_or(0) }
}

/// A listener; `None` without an ARN or port. A Network Load Balancer's has both.
pub(crate) fn listener(from: &sdk::Listener, oddities: &mut Oddities) -> Option<Listener> {
    let arn = oddities.object(from.listener_arn())?;
    let port = oddities.object(from.port().and_then(|port| u16::try_from(port).ok()))?;
    let protocol = from.protocol().map_or("", |protocol| protocol.as_str());
    // Emulators show a policy for plain TCP as well.
    let tls = protocol == "TLS";
    Some(Listener {
        arn: Arn::from(arn),
        port,
        protocol: intern(protocol),
        forwards: from.default_actions().iter().flat_map(|action| forwards(action, oddities)).collect(),
        ssl_policy: from.ssl_policy().filter(|policy| tls && !policy.is_empty()).map(intern),
        certificate_arn: from.certificates().first().and_then(|one| one.certificate_arn()).filter(|_| tls).map(Into::into),
        alpn_policy: from.alpn_policy().first().filter(|policy| tls && !policy.is_empty()).map(|policy| intern(policy)),
    })
}

/// Where an action forwards to. AWS repeats the target of a plain forward in the forward configuration.
fn forwards(action: &sdk::Action, oddities: &mut Oddities) -> Vec<Forward> {
    let weighted = action.forward_config().map(|config| config.target_groups()).unwrap_or_default();
    if weighted.is_empty() {
        let plain = action.target_group_arn().and_then(|arn| Arn::from(arn).target_group());
        return plain.map(|target_group| Forward { target_group, weight: 1 }).into_iter().collect();
    }
    (weighted.iter())
        .filter_map(|tuple| {
            let target_group = oddities.object(tuple.target_group_arn().and_then(|arn| Arn::from(arn).target_group()))?;
            let weight = tuple.weight().map_or(Some(1), |weight| oddities.fitting(Some(weight)));
            Some(Forward { target_group, weight: weight.unwrap_or(1) })
        })
        .collect()
}

/// The targets, in the order of their identity.
pub(crate) fn targets(from: &[sdk::TargetHealthDescription], oddities: &mut Oddities) -> Vec<Target> {
    let mut targets: Vec<Target> = from.iter().filter_map(|description| target(description, oddities)).collect();
    targets.sort();
    targets
}

fn target(from: &sdk::TargetHealthDescription, oddities: &mut Oddities) -> Option<Target> {
    let target = from.target();
    let id = oddities.object(target.and_then(|target| target.id()))?;
    let health = from.target_health();
    let shift = from.administrative_override().and_then(|shift| shift.state()).map(|state| state.as_str());
    Some(Target {
        id: id.into(),
        port: oddities.fitting(target.and_then(|target| target.port())),
        zone: target
            .and_then(|target| target.availability_zone())
            .filter(|zone| !zone.is_empty())
            .map(|zone| ZoneName::new(intern(zone))),
        state: oddities.known(
            health.and_then(|health| health.state()).map(|state| state.as_str()),
            TargetState::parse,
            TargetState::Other,
        ),
        reason: (health.and_then(|health| health.reason()))
            .map(|reason| oddities.known(Some(reason.as_str()), TargetReason::parse, TargetReason::Other)),
        zonal_shift: matches!(shift, Some("zonal_shift_active" | "zonal_shift_delegated_to_dns")),
    })
}

/// The sample with the time since when it is as it is: the time before, if neither the set of targets nor a state differs.
pub(crate) fn sample(targets: Vec<Target>, before: Option<&TargetHealth>, now: Timestamp) -> TargetHealth {
    // Both are in the order of their identity, see `targets`.
    let same =
        |old: &Target, new: &Target| (&old.id, old.port, &old.zone, old.state) == (&new.id, new.port, &new.zone, new.state);
    let unchanged = before.filter(|before| {
        before.targets.len() == targets.len() && before.targets.iter().zip(&targets).all(|(old, new)| same(old, new))
    });
    TargetHealth { changed_at: unchanged.map_or(now, |before| before.changed_at), targets }
}

#[cfg(test)]
mod tests {
    use aws_sdk_elasticloadbalancingv2::primitives::DateTime;

    use super::*;
    use crate::inventory::ids::{LoadBalancerId, TargetGroupId};

    const LB: &str = "arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/net/k8s-a/01";
    const TG: &str = "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/k8s-a/02";

    fn network() -> sdk::builders::LoadBalancerBuilder {
        sdk::LoadBalancer::builder()
            .load_balancer_arn(LB)
            .r#type("network".into())
            .scheme("internal".into())
            .state(sdk::LoadBalancerState::builder().code("active".into()).build())
            .ip_address_type("ipv4".into())
    }

    #[test]
    fn a_load_balancer_keeps_what_aws_says() {
        let mut oddities = Oddities::default();
        let from = network()
            .created_time(DateTime::from_secs_f64(1_700_000_000.25))
            .availability_zones(
                sdk::AvailabilityZone::builder()
                    .zone_name("us-east-1a")
                    .subnet_id("subnet-1")
                    .load_balancer_addresses(sdk::LoadBalancerAddress::builder().build())
                    .load_balancer_addresses(sdk::LoadBalancerAddress::builder().private_ipv4_address("10.0.0.9").build())
                    .build(),
            )
            .build();
        let lb = load_balancer(&from, &mut oddities).unwrap();
        assert_eq!(lb.id, LoadBalancerId::from("net/k8s-a/01"));
        assert_eq!(lb.created_at.unwrap().as_millisecond(), 1_700_000_000_250);
        assert_eq!(lb.zones[0].addresses.len(), 1, "an empty address is none");
        assert_eq!(oddities, Oddities::default());
    }

    #[test]
    fn an_emulators_app_arn_of_a_network_load_balancer_is_taken() {
        let from = network().load_balancer_arn("arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/app/k8s-a/01").build();
        assert!(is_network(&from));
        let lb = load_balancer(&from, &mut Oddities::default()).unwrap();
        assert_eq!(lb.id, LoadBalancerId::from("app/k8s-a/01"));
    }

    #[test]
    fn an_application_load_balancer_is_not_ours() {
        assert!(!is_network(&network().r#type("application".into()).build()));
        assert!(!is_network(&sdk::LoadBalancer::builder().load_balancer_arn("arn:aws:x:1:loadbalancer/app/a/1").build()));
    }

    #[test]
    fn values_nobody_knows_are_other_and_counted() {
        let mut oddities = Oddities::default();
        let from = network()
            .state(sdk::LoadBalancerState::builder().code("meditating".into()).build())
            .ip_address_type("ipv8".into())
            .build();
        let lb = load_balancer(&from, &mut oddities).unwrap();
        assert_eq!((lb.state, lb.ip_address_type), (LoadBalancerState::Other, IpAddressType::Other));
        assert_eq!(oddities, Oddities { values: 2, objects: 0 });
    }

    #[test]
    fn an_object_without_an_identity_is_counted_and_left_out() {
        let mut oddities = Oddities::default();
        assert!(load_balancer(&sdk::LoadBalancer::builder().build(), &mut oddities).is_none());
        assert!(target_group(&sdk::TargetGroup::builder().build(), &mut oddities).is_none());
        assert_eq!(oddities.objects, 2);
    }

    #[test]
    fn a_target_group_without_options_has_what_aws_means_by_that() {
        let mut oddities = Oddities::default();
        let group = target_group(&sdk::TargetGroup::builder().target_group_arn(TG).build(), &mut oddities).unwrap();
        assert_eq!((group.target_type, group.ip_family), (TargetType::Instance, IpFamily::Ipv4));
        assert!(group.load_balancers.is_empty() && group.vpc_id.is_none());
        assert_eq!(oddities, Oddities::default());
        let lambda = sdk::TargetGroup::builder().target_group_arn(TG).target_type("lambda".into()).build();
        assert_eq!(target_group(&lambda, &mut oddities).unwrap().target_type, TargetType::Other);
        assert_eq!(oddities, Oddities::default(), "lambda is known, and not for us");
    }

    fn forward(builder: sdk::builders::ActionBuilder) -> sdk::Listener {
        let action = builder.r#type("forward".into()).build();
        sdk::Listener::builder().listener_arn("arn:l").port(443).protocol("TCP".into()).default_actions(action).build()
    }

    #[test]
    fn a_plain_forward_weighs_one_and_a_weighted_one_what_it_says() {
        let mut oddities = Oddities::default();
        let group = TargetGroupId::from("targetgroup/k8s-a/02");
        let plain = listener(&forward(sdk::Action::builder().target_group_arn(TG)), &mut oddities).unwrap();
        assert_eq!(plain.forwards, [Forward { target_group: group.clone(), weight: 1 }]);
        let tuple = |weight| sdk::TargetGroupTuple::builder().target_group_arn(TG).set_weight(weight).build();
        let config = sdk::ForwardActionConfig::builder().target_groups(tuple(Some(0))).target_groups(tuple(None)).build();
        let weighted = forward(sdk::Action::builder().target_group_arn(TG).forward_config(config));
        let weights: Vec<_> = listener(&weighted, &mut oddities).unwrap().forwards.iter().map(|to| to.weight).collect();
        assert_eq!(weights, [0, 1]);
    }

    #[test]
    fn the_default_certificate_is_a_further_one_only_where_it_is_told_as_such() {
        let certificate = |arn: &str, default| sdk::Certificate::builder().certificate_arn(arn).set_is_default(default).build();
        let mut oddities = Oddities::default();
        let of = |certificates: &[sdk::Certificate], oddities: &mut Oddities| {
            further_certificates(certificates, oddities).iter().map(|arn| arn.to_string()).collect::<Vec<_>>()
        };
        assert!(of(&[certificate("a", Some(true))], &mut oddities).is_empty());
        let controller_341 = [certificate("a", Some(true)), certificate("a", Some(false)), certificate("b", Some(false))];
        assert_eq!(of(&controller_341, &mut oddities), ["a", "b"]);
        assert_eq!(oddities, Oddities::default());
        assert!(of(&[sdk::Certificate::builder().is_default(false).build()], &mut oddities).is_empty());
        assert_eq!(oddities.objects, 1, "one without an ARN is counted");
    }

    #[test]
    fn nothing_reserved_is_zero_units() {
        let of = |units| capacity(Some(&sdk::MinimumLoadBalancerCapacity::builder().set_capacity_units(units).build()));
        assert_eq!((of(Some(2750)).capacity_units, of(None).capacity_units, capacity(None).capacity_units), (2750, 0, 0));
    }

    #[test]
    fn only_a_tls_listener_has_a_policy() {
        let tcp = sdk::Listener::builder().listener_arn("l").port(1).protocol("TCP".into()).ssl_policy("P").build();
        assert_eq!(listener(&tcp, &mut Oddities::default()).unwrap().ssl_policy, None);
        let tls = sdk::Listener::builder().listener_arn("l").port(1).protocol("TLS".into()).ssl_policy("P").build();
        assert_eq!(listener(&tls, &mut Oddities::default()).unwrap().ssl_policy.as_deref(), Some("P"));
    }

    fn description(id: &str, state: &str, reason: Option<&str>) -> sdk::TargetHealthDescription {
        sdk::TargetHealthDescription::builder()
            .target(sdk::TargetDescription::builder().id(id).port(8080).build())
            .target_health(
                sdk::TargetHealth::builder()
                    .state(state.into())
                    .set_reason(reason.map(sdk::TargetHealthReasonEnum::from))
                    .build(),
            )
            .build()
    }

    #[test]
    fn unknown_states_and_reasons_are_other_and_counted() {
        let mut oddities = Oddities::default();
        let all = targets(
            &[description("b", "sleeping", Some("Target.Tired")), description("a", "unhealthy.draining", None)],
            &mut oddities,
        );
        assert_eq!(all[0].state, TargetState::UnhealthyDraining);
        assert_eq!((all[1].state, all[1].reason), (TargetState::Other, Some(TargetReason::Other)));
        assert_eq!(oddities, Oddities { values: 2, objects: 0 });
    }

    #[test]
    fn a_zonal_shift_is_seen() {
        let from = sdk::TargetHealthDescription::builder()
            .target(sdk::TargetDescription::builder().id("a").build())
            .administrative_override(sdk::AdministrativeOverride::builder().state("zonal_shift_active".into()).build())
            .build();
        assert!(targets(&[from], &mut Oddities::default())[0].zonal_shift);
    }

    #[test]
    fn a_sample_is_unchanged_while_targets_and_states_are() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let of = |descriptions: &[sdk::TargetHealthDescription]| targets(descriptions, &mut Oddities::default());
        let first = sample(of(&[description("a", "healthy", None), description("b", "initial", None)]), None, at(1));
        assert_eq!(first.changed_at, at(1));
        let other_order =
            of(&[description("b", "initial", Some("Elb.InitialHealthChecking")), description("a", "healthy", None)]);
        let second = sample(other_order, Some(&first), at(2));
        assert_eq!(second.changed_at, at(1), "neither order nor reason is a change");
        let third = sample(of(&[description("a", "healthy", None), description("b", "healthy", None)]), Some(&second), at(3));
        assert_eq!(third.changed_at, at(3));
        let fourth = sample(of(&[description("a", "healthy", None)]), Some(&third), at(4));
        assert_eq!(fourth.changed_at, at(4));
    }
}
