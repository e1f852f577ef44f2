//! Where would a listener send to? The Service's own target group, or what a weighted action says.

use std::sync::Arc;

use serde::Deserialize;

use crate::controller::annotations::{AnnotationError, Annotations, name};
use crate::controller::desired::{Desired, Wanted};
use crate::controller::settings::{Gate, Settings};
use crate::inventory::ids::{Arn, ObjectName, TargetGroupId};
use crate::inventory::kube::{PortReference, Service, Version};

use super::WantedListener;

/// Actions with weights are understood.
static WEIGHTED_TARGET_GROUPS: Gate =
    Gate { name: "WeightedTargetGroups", since: Version::new(2, 3, 1), default: true, before: false };

/// One target group that a listener should send to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedForward {
    /// Which group.
    pub to: Destination,
    /// Its weight; `None` where it plays no role or is not written.
    pub weight: Option<u32>,
}

/// Which target group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// The Service's own, of this port.
    Own,
    /// The one that holds another Service's pods for this load balancer.
    Backend(ObjectName, PortReference),
    /// One that the controller did not make.
    Group(TargetGroupId),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Action {
    #[serde(rename = "type")]
    kind: String,
    forward_config: Option<ForwardConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ForwardConfig {
    base_service_weight: Option<u32>,
    #[serde(default)]
    target_groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    service_name: Option<String>,
    service_port: Option<PortReference>,
    weight: Option<u32>,
    #[serde(rename = "targetGroupARN")]
    arn: Option<String>,
}

/// The target groups of a listener's default action, in no order.
pub fn forwards(service: &Service, settings: Settings<'_>, listener: &WantedListener<'_>) -> Desired<Vec<WantedForward>> {
    let annotations = Annotations(&service.annotations);
    let own = |weight| WantedForward { to: Destination::Own, weight };
    if !settings.at_least(Version::new(2, 16, 0)) || !annotations.any_with_suffix(name::ACTIONS) {
        return Ok(Wanted::Value(vec![own(None)]));
    }
    if let Some(why) = listener.doubt {
        return Ok(Wanted::Unknown(why));
    }
    let key = format!("{}.{}-{}", name::ACTIONS, listener.protocol, listener.port.port);
    let Some(raw) = annotations.text(&key) else { return Ok(Wanted::Value(vec![own(None)])) };
    let action: Action = serde_json::from_str(raw).map_err(|_| AnnotationError::value(&key, raw, "a forward action in JSON"))?;
    let (true, Some(config)) = (action.kind == "forward", action.forward_config) else {
        return Ok(Wanted::Unknown("the action is not a forward with a forwardConfig"));
    };
    if settings.gate(&WEIGHTED_TARGET_GROUPS) != Some(true) {
        return Ok(Wanted::Unknown("whether the controller's gate WeightedTargetGroups is on is not known, or it is off"));
    }
    let Some(base) = config.base_service_weight else {
        return Ok(Wanted::Unknown("the action does not say which weight the Service's own target group has"));
    };
    let mut wanted = vec![own(Some(base))];
    for group in config.target_groups {
        let to = match (group.arn, group.service_name, group.service_port) {
            (Some(arn), None, _) => Arn::new(arn).target_group().map(Destination::Group),
            (None, Some(backend), Some(port)) => {
                Some(Destination::Backend(ObjectName::new(Arc::clone(&service.name.namespace), backend), port))
            }
            _ => None,
        };
        let Some(to) = to else {
            return Ok(Wanted::Unknown("a target group of the action is named in a way that is not known here"));
        };
        wanted.push(WantedForward { to, weight: group.weight });
    }
    Ok(Wanted::Value(wanted))
}
