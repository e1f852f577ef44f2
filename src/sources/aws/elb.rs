//! What does Elastic Load Balancing answer? One function per call; paged by hand, every page paid for.
//!
//! Costs: lists one call per 400 objects, tags one per 20 ARNs, everything else one per resource (certificates of a listener
//! one per 400).

pub(crate) mod convert;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use aws_sdk_elasticloadbalancingv2::Client;

use super::client::Service;
use super::dispatcher::Permit;
use super::fetch::{Fetched, Oddities, Tokens, pages};
use crate::inventory::aws::{Attributes, CapacityReservation, Listener, LoadBalancer, Tags, Target, TargetGroup};
use crate::inventory::ids::{Arn, LoadBalancerId, TargetGroupId};
use crate::inventory::part::{Failure, FailureCategory};
use crate::sources::schedule::{Lane, Urgency};

/// The most `PageSize` allows.
const PAGE: i32 = 400;

/// The most ARNs `DescribeTags` takes.
pub(crate) const TAGS_A_CALL: usize = 20;

/// Elastic Load Balancing.
pub(crate) type Elb = Service<Client>;

/// All NLBs of the Region.
pub(crate) async fn load_balancers(elb: &Elb) -> Fetched<LoadBalancerId, LoadBalancer> {
    const OPERATION: &str = "DescribeLoadBalancers";
    let oddities = Mutex::new(Oddities::default());
    let page = async |marker: Option<String>| {
        let answer = elb
            .call(OPERATION, Urgency::List, || {
                elb.client.describe_load_balancers().page_size(PAGE).set_marker(marker.clone()).send()
            })
            .await?;
        let mut oddities = oddities.lock().expect("nothing panics while it holds this lock");
        let objects = answer.load_balancers().iter().filter(|lb| convert::is_network(lb));
        let objects = objects.filter_map(|lb| convert::load_balancer(lb, &mut oddities)).map(|lb| (lb.id.clone(), lb));
        Ok((objects.collect(), answer.next_marker().map(str::to_owned)))
    };
    pages(&elb.action(OPERATION), &oddities, page).await
}

/// All target groups of the Region.
pub(crate) async fn target_groups(elb: &Elb) -> Fetched<TargetGroupId, TargetGroup> {
    const OPERATION: &str = "DescribeTargetGroups";
    let oddities = Mutex::new(Oddities::default());
    let page = async |marker: Option<String>| {
        let answer = elb
            .call(OPERATION, Urgency::List, || {
                elb.client.describe_target_groups().page_size(PAGE).set_marker(marker.clone()).send()
            })
            .await?;
        let mut oddities = oddities.lock().expect("nothing panics while it holds this lock");
        let objects = answer.target_groups().iter().filter_map(|group| convert::target_group(group, &mut oddities));
        Ok((objects.map(|group| (group.id.clone(), group)).collect(), answer.next_marker().map(str::to_owned)))
    };
    pages(&elb.action(OPERATION), &oddities, page).await
}

/// Applied limits by AWS's names.
pub(crate) async fn account_limits(elb: &Elb) -> Fetched<Arc<str>, f64> {
    const OPERATION: &str = "DescribeAccountLimits";
    let oddities = Mutex::new(Oddities::default());
    let page = async |marker: Option<String>| {
        let answer = elb
            .call(OPERATION, Urgency::List, || {
                elb.client.describe_account_limits().page_size(PAGE).set_marker(marker.clone()).send()
            })
            .await?;
        let mut oddities = oddities.lock().expect("nothing panics while it holds this lock");
        let limits = answer.limits().iter().filter_map(|limit| {
            let name = oddities.object(limit.name())?;
            Some((Arc::from(name), oddities.parsed(limit.max())?))
        });
        Ok((limits.collect(), answer.next_marker().map(str::to_owned)))
    };
    pages(&elb.action(OPERATION), &oddities, page).await
}

/// Tags of up to 20 resources, each with an answer of its own.
///
/// One ARN that is gone fails the whole call: then the halves are asked apart, until it stands alone. So one gone among
/// twenty costs up to ten calls, once.
pub(crate) async fn tags(elb: &Elb, permit: Permit, arns: Vec<Arn>, urgency: Urgency) -> BTreeMap<Arn, Result<Tags, Failure>> {
    const OPERATION: &str = "DescribeTags";
    let mut permit = Some(permit);
    let mut known = BTreeMap::new();
    let mut asking = vec![arns];
    while let Some(mut arns) = asking.pop() {
        let names: Vec<String> = arns.iter().map(Arn::to_string).collect();
        let attempt = || elb.client.describe_tags().set_resource_arns(Some(names.clone())).send();
        let permit = match permit.take() {
            Some(permit) => permit,
            None => elb.dispatcher().permit(Lane::Other, urgency).await,
        };
        match elb.call_with(permit, OPERATION, Lane::Other, urgency, attempt).await {
            Ok(answer) => {
                let mut described = convert::tags(answer.tag_descriptions());
                known.extend(arns.into_iter().map(|arn| {
                    let tags = described.remove(&arn).ok_or_else(|| unanswered(elb.action(OPERATION), &arn));
                    (arn, tags)
                }));
            }
            Err(failure) if failure.category == FailureCategory::NotFound && arns.len() > 1 => {
                let half = arns.split_off(arns.len() / 2);
                asking.extend([half, arns]);
            }
            Err(failure) => known.extend(arns.into_iter().map(|arn| (arn, Err(failure.clone())))),
        }
    }
    known
}

fn unanswered(action: String, arn: &Arn) -> Failure {
    let message = format!("the answer leaves {arn} out");
    Failure { category: FailureCategory::Malformed, operation: action, message }
}

/// Listeners of a load balancer.
pub(crate) async fn listeners(
    elb: &Elb,
    permit: Permit,
    load_balancer: &Arn,
    urgency: Urgency,
) -> Result<(Vec<Listener>, Oddities), Failure> {
    const OPERATION: &str = "DescribeListeners";
    let mut oddities = Oddities::default();
    let mut listeners = Vec::new();
    let (mut permit, mut marker, mut tokens) = (permit, None::<String>, Tokens::default());
    loop {
        let attempt = || {
            let call = elb.client.describe_listeners().load_balancer_arn(load_balancer.as_str());
            call.page_size(PAGE).set_marker(marker.clone()).send()
        };
        let answer = elb.call_with(permit, OPERATION, Lane::Other, urgency, attempt).await?;
        listeners.extend(answer.listeners().iter().filter_map(|listener| convert::listener(listener, &mut oddities)));
        marker = tokens.after(&elb.action(OPERATION), answer.next_marker())?;
        if marker.is_none() {
            break;
        }
        permit = elb.dispatcher().permit(Lane::Other, urgency).await;
    }
    listeners.sort_by_key(|listener| listener.port);
    Ok((listeners, oddities))
}

/// Certificates of a listener beside its default one.
pub(crate) async fn listener_certificates(
    elb: &Elb,
    permit: Permit,
    listener: &Arn,
    urgency: Urgency,
) -> Result<(BTreeSet<Arc<str>>, Oddities), Failure> {
    const OPERATION: &str = "DescribeListenerCertificates";
    let mut oddities = Oddities::default();
    let mut certificates = BTreeSet::new();
    let (mut permit, mut marker, mut tokens) = (permit, None::<String>, Tokens::default());
    loop {
        let attempt = || {
            let call = elb.client.describe_listener_certificates().listener_arn(listener.as_str());
            call.page_size(PAGE).set_marker(marker.clone()).send()
        };
        let answer = elb.call_with(permit, OPERATION, Lane::Other, urgency, attempt).await?;
        certificates.extend(convert::further_certificates(answer.certificates(), &mut oddities));
        marker = tokens.after(&elb.action(OPERATION), answer.next_marker())?;
        if marker.is_none() {
            return Ok((certificates, oddities));
        }
        permit = elb.dispatcher().permit(Lane::Other, urgency).await;
    }
}

/// Attributes of a listener.
pub(crate) async fn listener_attributes(
    elb: &Elb,
    permit: Permit,
    listener: &Arn,
    urgency: Urgency,
) -> Result<Attributes, Failure> {
    let attempt = || elb.client.describe_listener_attributes().listener_arn(listener.as_str()).send();
    let answer = elb.call_with(permit, "DescribeListenerAttributes", Lane::Other, urgency, attempt).await?;
    Ok(convert::attributes(answer.attributes().iter().map(|attribute| (attribute.key(), attribute.value()))))
}

/// What is reserved for a load balancer.
pub(crate) async fn capacity_reservation(
    elb: &Elb,
    permit: Permit,
    load_balancer: &Arn,
    urgency: Urgency,
) -> Result<CapacityReservation, Failure> {
    let attempt = || elb.client.describe_capacity_reservation().load_balancer_arn(load_balancer.as_str()).send();
    let answer = elb.call_with(permit, "DescribeCapacityReservation", Lane::Other, urgency, attempt).await?;
    Ok(convert::capacity(answer.minimum_load_balancer_capacity()))
}

/// Attributes of a load balancer.
pub(crate) async fn load_balancer_attributes(
    elb: &Elb,
    permit: Permit,
    load_balancer: &Arn,
    urgency: Urgency,
) -> Result<Attributes, Failure> {
    let attempt = || elb.client.describe_load_balancer_attributes().load_balancer_arn(load_balancer.as_str()).send();
    let answer = elb.call_with(permit, "DescribeLoadBalancerAttributes", Lane::Other, urgency, attempt).await?;
    Ok(convert::attributes(answer.attributes().iter().map(|attribute| (attribute.key(), attribute.value()))))
}

/// Attributes of a target group.
pub(crate) async fn target_group_attributes(
    elb: &Elb,
    permit: Permit,
    target_group: &Arn,
    urgency: Urgency,
) -> Result<Attributes, Failure> {
    let attempt = || elb.client.describe_target_group_attributes().target_group_arn(target_group.as_str()).send();
    let answer = elb.call_with(permit, "DescribeTargetGroupAttributes", Lane::Other, urgency, attempt).await?;
    Ok(convert::attributes(answer.attributes().iter().map(|attribute| (attribute.key(), attribute.value()))))
}

/// Targets of a target group with their health.
pub(crate) async fn target_health(
    elb: &Elb,
    permit: Permit,
    target_group: &Arn,
    urgency: Urgency,
) -> Result<(Vec<Target>, Oddities), Failure> {
    let attempt = || elb.client.describe_target_health().target_group_arn(target_group.as_str()).send();
    let answer = elb.call_with(permit, "DescribeTargetHealth", Lane::Health, urgency, attempt).await?;
    let mut oddities = Oddities::default();
    let targets = convert::targets(answer.target_health_descriptions(), &mut oddities);
    Ok((targets, oddities))
}
