//! Elastic Load Balancing: load balancers, target groups, listeners, tags, attributes, health, limits.

use std::collections::BTreeSet;

use super::{
    aws_api::AwsError,
    operations::Operation,
    query::{Parameters, page},
    world::{Listener, LoadBalancer, Target, TargetGroup, World},
    xml::Xml,
};
use crate::inventory::{
    aws::{Attributes, Tags},
    ids::{Arn, LoadBalancerId, TargetGroupId},
};

/// The largest `PageSize`.
const PAGE: usize = 400;

/// How many ARNs DescribeTags and DescribeLoadBalancers take.
const ARNS: usize = 20;

pub(crate) fn answer(operation: Operation, world: &World, request: &Parameters, xml: &mut Xml) -> Result<(), AwsError> {
    match operation {
        Operation::DescribeLoadBalancers => load_balancers(world, request, xml),
        Operation::DescribeTargetGroups => target_groups(world, request, xml),
        Operation::DescribeListeners => listeners(world, request, xml),
        Operation::DescribeTags => tags(world, request, xml),
        Operation::DescribeLoadBalancerAttributes => {
            let (_, lb) = load_balancer(world, required(request, "LoadBalancerArn")?)?;
            attributes(&world.load_balancer_attributes(lb), xml);
            Ok(())
        }
        Operation::DescribeTargetGroupAttributes => {
            let (_, group) = target_group(world, required(request, "TargetGroupArn")?)?;
            attributes(&world.target_group_attributes(group), xml);
            Ok(())
        }
        Operation::DescribeTargetHealth => target_health(world, request, xml),
        Operation::DescribeListenerCertificates => listener_certificates(world, request, xml),
        Operation::DescribeListenerAttributes => {
            let (_, listener) = listener(world, required(request, "ListenerArn")?)?;
            attributes(&world.listener_attributes(listener), xml);
            Ok(())
        }
        Operation::DescribeCapacityReservation => {
            let (_, lb) = load_balancer(world, required(request, "LoadBalancerArn")?)?;
            if let Some(units) = lb.capacity_units {
                xml.within("MinimumLoadBalancerCapacity", |xml| xml.leaf("CapacityUnits", units));
            }
            xml.leaf("DecreaseRequestsRemaining", 2);
            Ok(())
        }
        _ => account_limits(world, request, xml),
    }
}

fn validation(message: impl Into<String>) -> AwsError {
    AwsError::bad("ValidationError", message)
}

fn required<'a>(request: &'a Parameters, name: &str) -> Result<&'a str, AwsError> {
    request.get(name).ok_or_else(|| {
        validation(format!(
            "1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null"
        ))
    })
}

fn load_balancer<'a>(world: &'a World, arn: &str) -> Result<(LoadBalancerId, &'a LoadBalancer), AwsError> {
    let id = Arn::from(arn).load_balancer().ok_or_else(|| validation(format!("'{arn}' is not a valid load balancer ARN")))?;
    let lb = world.load_balancers.get(&id).filter(|_| world.load_balancer_arn(&id).as_str() == arn);
    Ok((id, lb.ok_or_else(load_balancer_not_found)?))
}

fn load_balancer_not_found() -> AwsError {
    AwsError::bad("LoadBalancerNotFound", "One or more load balancers not found")
}

fn target_group<'a>(world: &'a World, arn: &str) -> Result<(TargetGroupId, &'a TargetGroup), AwsError> {
    let id = Arn::from(arn).target_group().ok_or_else(|| validation(format!("'{arn}' is not a valid target group ARN")))?;
    let group = world.target_groups.get(&id).filter(|_| world.target_group_arn(&id).as_str() == arn);
    Ok((id, group.ok_or_else(target_group_not_found)?))
}

fn target_group_not_found() -> AwsError {
    AwsError::bad("TargetGroupNotFound", "One or more target groups not found")
}

fn load_balancers(world: &World, request: &Parameters, xml: &mut Xml) -> Result<(), AwsError> {
    let arns = request.list("LoadBalancerArns.member");
    let names = request.list("Names.member");
    if arns.len() > ARNS || names.len() > ARNS {
        return Err(validation(format!("Up to {ARNS} load balancers can be described at a time")));
    }
    if !arns.is_empty() && !names.is_empty() {
        return Err(validation("Load balancer names and load balancer ARNs cannot be specified at the same time"));
    }
    let mut chosen = BTreeSet::new();
    for arn in &arns {
        chosen.insert(load_balancer(world, arn)?.0);
    }
    for name in &names {
        let found = world.load_balancers.iter().find(|(_, lb)| *lb.name == **name);
        chosen.insert(found.ok_or_else(load_balancer_not_found)?.0.clone());
    }
    let size = request.page_size("PageSize", PAGE)?;
    let all = world
        .load_balancers
        .iter()
        .filter(|(id, _)| chosen.is_empty() || chosen.contains(*id))
        .map(|(id, lb)| (id.to_string(), (id, lb)));
    let (found, next) = page(all, request.get("Marker"), size, "ValidationError")?;
    xml.list("LoadBalancers", "member", found, |xml, (id, lb)| {
        xml.leaf("LoadBalancerArn", world.load_balancer_arn(id));
        xml.leaf("DNSName", &lb.dns_name);
        xml.leaf("CanonicalHostedZoneId", "Z26RNL4JYFTOTI");
        xml.leaf("CreatedTime", lb.created_at);
        xml.leaf("LoadBalancerName", &lb.name);
        xml.leaf("Scheme", &lb.scheme);
        xml.leaf("VpcId", &lb.vpc_id);
        xml.within("State", |xml| {
            xml.leaf("Code", &lb.state);
            xml.leaf_if("Reason", lb.state_reason.as_ref());
        });
        xml.leaf("Type", &lb.kind);
        xml.list("AvailabilityZones", "member", &lb.zones, |xml, (zone, subnet, allocation)| {
            xml.leaf("ZoneName", zone);
            xml.leaf("SubnetId", subnet);
            let addresses = allocation.iter().filter_map(|id| Some((id, world.addresses.get(id)?)));
            xml.list("LoadBalancerAddresses", "member", addresses, |xml, (id, address)| {
                xml.leaf("IpAddress", address.public_ip);
                xml.leaf("AllocationId", id);
            });
        });
        if !lb.security_groups.is_empty() {
            members("SecurityGroups", &lb.security_groups, xml);
            xml.leaf("EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic", "on");
        }
        xml.leaf("IpAddressType", &lb.ip_address_type);
    });
    xml.leaf_if("NextMarker", next);
    Ok(())
}

fn members<T: std::fmt::Display>(tag: &str, items: impl IntoIterator<Item = T>, xml: &mut Xml) {
    xml.open(tag);
    for item in items {
        xml.leaf("member", item);
    }
    xml.close(tag);
}

fn target_groups(world: &World, request: &Parameters, xml: &mut Xml) -> Result<(), AwsError> {
    let arns = request.list("TargetGroupArns.member");
    let names = request.list("Names.member");
    let of = request.get("LoadBalancerArn").map(|arn| load_balancer(world, arn)).transpose()?.map(|(id, _)| id);
    if usize::from(!arns.is_empty()) + usize::from(!names.is_empty()) + usize::from(of.is_some()) > 1 {
        return Err(validation("Only one of target group ARNs, names and a load balancer ARN can be specified"));
    }
    let mut chosen = BTreeSet::new();
    for arn in &arns {
        chosen.insert(target_group(world, arn)?.0);
    }
    for name in &names {
        let found = world.target_groups.iter().find(|(_, group)| *group.name == **name);
        chosen.insert(found.ok_or_else(target_group_not_found)?.0.clone());
    }
    let size = request.page_size("PageSize", PAGE)?;
    let all = world
        .target_groups
        .iter()
        .filter(|(id, group)| {
            (chosen.is_empty() || chosen.contains(*id)) && of.as_ref().is_none_or(|lb| group.load_balancers.contains(lb))
        })
        .map(|(id, group)| (id.to_string(), (id, group)));
    let (found, next) = page(all, request.get("Marker"), size, "ValidationError")?;
    xml.list("TargetGroups", "member", found, |xml, (id, group)| {
        let check = &group.health_check;
        xml.leaf("TargetGroupArn", world.target_group_arn(id));
        xml.leaf("TargetGroupName", &group.name);
        xml.leaf("Protocol", &group.protocol);
        xml.leaf("Port", group.port);
        xml.leaf("VpcId", &group.vpc_id);
        xml.leaf("HealthCheckProtocol", &check.protocol);
        xml.leaf("HealthCheckPort", &check.port);
        xml.leaf("HealthCheckEnabled", check.enabled);
        xml.leaf("HealthCheckIntervalSeconds", check.interval_seconds);
        xml.leaf("HealthCheckTimeoutSeconds", check.timeout_seconds);
        xml.leaf("HealthyThresholdCount", check.healthy_threshold);
        xml.leaf("UnhealthyThresholdCount", check.unhealthy_threshold);
        xml.leaf_if("HealthCheckPath", check.path.as_ref());
        if let Some(codes) = &check.success_codes {
            xml.within("Matcher", |xml| xml.leaf("HttpCode", codes));
        }
        members("LoadBalancerArns", group.load_balancers.iter().map(|lb| world.load_balancer_arn(lb)), xml);
        xml.leaf("TargetType", &group.target_type);
        xml.leaf("IpAddressType", group.ip_address_type);
    });
    xml.leaf_if("NextMarker", next);
    Ok(())
}

fn listeners(world: &World, request: &Parameters, xml: &mut Xml) -> Result<(), AwsError> {
    let arns = request.list("ListenerArns.member");
    let found: Vec<(&LoadBalancerId, &Listener)> = match (request.get("LoadBalancerArn"), arns.is_empty()) {
        (Some(arn), true) => {
            let (id, lb) = load_balancer(world, arn)?;
            let (id, _) = world.load_balancers.get_key_value(&id).expect("just found");
            lb.listeners.iter().map(|listener| (id, listener)).collect()
        }
        (None, false) => arns.iter().map(|arn| listener(world, arn)).collect::<Result<_, _>>()?,
        _ => return Err(validation("You must specify either listener ARNs or a load balancer ARN")),
    };
    let size = request.page_size("PageSize", PAGE)?;
    let mut all: Vec<_> = found.into_iter().map(|(id, listener)| (listener.id.to_string(), (id, listener))).collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    let (found, next) = page(all.into_iter(), request.get("Marker"), size, "ValidationError")?;
    xml.list("Listeners", "member", found, |xml, (id, listener)| {
        xml.leaf("ListenerArn", world.listener_arn(id, listener));
        xml.leaf("LoadBalancerArn", world.load_balancer_arn(id));
        xml.leaf("Port", listener.port);
        xml.leaf("Protocol", &listener.protocol);
        if let Some((policy, certificate)) = &listener.tls {
            xml.leaf("SslPolicy", policy);
            xml.list("Certificates", "member", [certificate], |xml, arn| xml.leaf("CertificateArn", arn));
        }
        xml.list("DefaultActions", "member", [&listener.forwards], |xml, forwards| {
            xml.leaf("Type", "forward");
            if let [only] = forwards.as_slice() {
                xml.leaf("TargetGroupArn", world.target_group_arn(&only.target_group));
            }
            xml.leaf("Order", 1);
            xml.within("ForwardConfig", |xml| {
                xml.list("TargetGroups", "member", forwards, |xml, forward| {
                    xml.leaf("TargetGroupArn", world.target_group_arn(&forward.target_group));
                    xml.leaf("Weight", forward.weight);
                });
                xml.within("TargetGroupStickinessConfig", |xml| xml.leaf("Enabled", false));
            });
        });
    });
    xml.leaf_if("NextMarker", next);
    Ok(())
}

fn listener<'a>(world: &'a World, arn: &str) -> Result<(&'a LoadBalancerId, &'a Listener), AwsError> {
    let rest = arn
        .split_once(":listener/")
        .map(|(_, rest)| rest)
        .ok_or_else(|| validation(format!("'{arn}' is not a valid listener ARN")))?;
    rest.rsplit_once('/')
        .and_then(|(lb, id)| {
            let (lb_id, lb) = world.load_balancers.get_key_value(lb)?;
            Some((lb_id, lb.listeners.iter().find(|listener| *listener.id == *id)?))
        })
        .ok_or_else(|| AwsError::bad("ListenerNotFound", "One or more listeners not found"))
}

/// The default certificate first, marked as such; then the others, among which it can be once more.
fn listener_certificates(world: &World, request: &Parameters, xml: &mut Xml) -> Result<(), AwsError> {
    let (_, listener) = listener(world, required(request, "ListenerArn")?)?;
    let default = listener.tls.iter().map(|(_, certificate)| (format!("0/{certificate}"), (certificate, true)));
    let further = listener.certificates.iter().map(|certificate| (format!("1/{certificate}"), (certificate, false)));
    let size = request.page_size("PageSize", PAGE)?;
    let (found, next) = page(default.chain(further), request.get("Marker"), size, "ValidationError")?;
    xml.list("Certificates", "member", found, |xml, (certificate, is_default)| {
        xml.leaf("CertificateArn", certificate);
        xml.leaf("IsDefault", is_default);
    });
    xml.leaf_if("NextMarker", next);
    Ok(())
}

fn tags(world: &World, request: &Parameters, xml: &mut Xml) -> Result<(), AwsError> {
    let arns = request.list("ResourceArns.member");
    if arns.is_empty() || arns.len() > ARNS {
        return Err(validation(format!("Between 1 and {ARNS} resources can be described at a time, not {}", arns.len())));
    }
    // One that is gone fails the whole call.
    let mut found: Vec<(&str, &Tags)> = Vec::new();
    for arn in arns {
        let tags = if arn.contains(":targetgroup/") {
            &target_group(world, arn)?.1.tags
        } else if arn.contains(":listener/") {
            &listener(world, arn)?.1.tags
        } else {
            &load_balancer(world, arn)?.1.tags
        };
        found.push((arn, tags));
    }
    xml.list("TagDescriptions", "member", found, |xml, (arn, tags)| {
        xml.leaf("ResourceArn", arn);
        xml.list("Tags", "member", tags, |xml, (key, value)| {
            xml.leaf("Key", key);
            xml.leaf("Value", value);
        });
    });
    Ok(())
}

fn attributes(attributes: &Attributes, xml: &mut Xml) {
    xml.list("Attributes", "member", attributes, |xml, (key, value)| {
        xml.leaf("Key", key);
        xml.leaf("Value", value);
    });
}

fn target_health(world: &World, request: &Parameters, xml: &mut Xml) -> Result<(), AwsError> {
    let (_, group) = target_group(world, required(request, "TargetGroupArn")?)?;
    let asked: Vec<(&str, Option<u16>)> = (1..)
        .map_while(|number| {
            let port = request.get(&format!("Targets.member.{number}.Port")).and_then(|port| port.parse().ok());
            Some((request.get(&format!("Targets.member.{number}.Id"))?, port))
        })
        .collect();
    let named = |target: &Target| {
        asked.is_empty() || asked.iter().any(|(id, port)| *id == &*target.id && port.is_none_or(|port| port == target.port))
    };
    let unknown = asked.iter().filter(|(id, _)| !group.targets.iter().any(|target| *target.id == **id));
    xml.open("TargetHealthDescriptions");
    for target in group.targets.iter().filter(|target| named(target)) {
        xml.within("member", |xml| {
            xml.within("Target", |xml| {
                xml.leaf("Id", &target.id);
                xml.leaf("Port", target.port);
                xml.leaf_if("AvailabilityZone", target.zone.as_ref());
            });
            match &*group.health_check.port {
                "traffic-port" => xml.leaf("HealthCheckPort", target.port),
                port => xml.leaf("HealthCheckPort", port),
            }
            xml.within("TargetHealth", |xml| {
                xml.leaf("State", &target.health.state);
                if let Some(reason) = &target.health.reason {
                    xml.leaf("Reason", reason);
                    xml.leaf("Description", describe(reason));
                }
            });
        });
    }
    for (id, port) in unknown {
        xml.within("member", |xml| {
            xml.within("Target", |xml| {
                xml.leaf("Id", id);
                xml.leaf("Port", port.unwrap_or(group.port));
            });
            xml.within("TargetHealth", |xml| {
                xml.leaf("State", "unused");
                xml.leaf("Reason", "Target.NotRegistered");
                xml.leaf("Description", describe("Target.NotRegistered"));
            });
        });
    }
    xml.close("TargetHealthDescriptions");
    Ok(())
}

fn describe(reason: &str) -> &'static str {
    match reason {
        "Target.FailedHealthChecks" => "Health checks failed",
        "Target.ResponseCodeMismatch" => "Health checks failed with these codes: [503]",
        "Target.Timeout" => "Request timed out",
        "Elb.RegistrationInProgress" => "Target registration is in progress",
        "Elb.InitialHealthChecking" => "Initial health checks in progress",
        "Target.DeregistrationInProgress" => "Target deregistration is in progress",
        "Target.NotRegistered" => "Target is not registered to the target group",
        "Target.NotInUse" => "Target group is not configured to receive traffic from the load balancer",
        _ => "",
    }
}

fn account_limits(world: &World, request: &Parameters, xml: &mut Xml) -> Result<(), AwsError> {
    let size = request.page_size("PageSize", PAGE)?;
    let ours = world.quotas.values().filter_map(|quota| Some((quota.account_limit?, quota.value())));
    let mut all: Vec<(String, (&str, f64))> =
        ours.chain(OTHER_LIMITS.iter().copied()).map(|(name, max)| (name.to_owned(), (name, max))).collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    let (found, next) = page(all.into_iter(), request.get("Marker"), size, "ValidationError")?;
    xml.list("Limits", "member", found, |xml, (name, max)| {
        xml.leaf("Name", name);
        xml.leaf("Max", max);
    });
    xml.leaf_if("NextMarker", next);
    Ok(())
}

/// Limits of other kinds of load balancers that AWS tells in the same answer.
const OTHER_LIMITS: &[(&str, f64)] = &[
    ("application-load-balancers", 50.0),
    ("certificates-per-application-load-balancer", 25.0),
    ("condition-values-per-alb-rule", 5.0),
    ("condition-wildcards-per-alb-rule", 6.0),
    ("gateway-load-balancers", 100.0),
    ("listeners-per-application-load-balancer", 50.0),
    ("rules-per-application-load-balancer", 100.0),
    ("target-groups-per-action-on-network-load-balancer", 5.0),
    ("target-groups-per-application-load-balancer", 100.0),
    ("target-id-registrations-per-application-load-balancer", 1000.0),
    ("targets-per-application-load-balancer", 1000.0),
];
