//! Which objects of the Gateway API stand for a load balancer that the controller made for a Gateway?

use std::sync::Arc;

use super::{Builder, cluster::Making, uuid};
use crate::{
    inventory::{
        ids::ObjectName,
        kube::{ConditionStatus, Gateway, GatewayClass, GatewayListener, Protocol, Route, RouteKind},
        parts::RouteKey,
    },
    simulator::world::ServicePort,
};

/// The class whose Gateways the controller makes NLBs for.
const CLASS: &str = "aws-nlb";

/// The Gateway in front of a Service.
pub(super) fn gateway_of(service: &ObjectName) -> ObjectName {
    ObjectName::new(Arc::clone(&service.namespace), format!("{}-gateway", service.name))
}

impl Builder {
    /// The class, a Gateway with a listener a port, and the routes of its listeners to the Service.
    pub(super) fn gateway(&mut self, number: usize, making: &Making<'_>, ports: &[ServicePort], dns_name: &Arc<str>) {
        let created_at = self.world.created_at;
        self.world
            .gateway_classes
            .entry(CLASS.into())
            .or_insert_with(|| GatewayClass { name: CLASS.into(), controller: "gateway.k8s.aws/nlb".into() });
        let listeners = ports.iter().map(|port| GatewayListener {
            name: Arc::clone(&port.name),
            port: port.port,
            protocol: port.protocol.as_str().into(),
        });
        let gateway = Gateway {
            name: making.stack.clone(),
            uid: uuid("gateway", number),
            created_at,
            deleted_at: None,
            finalizers: vec!["gateway.k8s.aws/nlb".into()],
            class: CLASS.into(),
            listeners: listeners.collect(),
            addresses: vec![Arc::clone(dns_name)],
            programmed: ConditionStatus::True,
        };
        self.world.gateways.insert(making.stack.clone(), gateway);
        for port in ports {
            let kind = if port.protocol == Protocol::Udp { RouteKind::Udp } else { RouteKind::Tcp };
            let name = ObjectName::new(Arc::clone(&making.service.namespace), format!("{}-{}", making.service.name, port.name));
            let route = Route {
                kind,
                name: name.clone(),
                created_at,
                gateways: vec![making.stack.clone()],
                backends: vec![(making.service.clone(), port.port)],
            };
            self.world.routes.insert(RouteKey { kind, name }, route);
        }
    }
}
