//! How does the world change? Every edit that the cluster can see is noted, so that it can be published.

use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};
use jiff::Timestamp;
use thiserror::Error;

use super::{Event, Health, QuotaChange, Text, World};
use crate::inventory::{
    aws::{Peer, Rule},
    ids::{LoadBalancerId, NodeName, ObjectName, SecurityGroupId, SubnetId, TargetGroupId},
    parts::RouteKey,
};

/// Something in the cluster that changed and has to be published anew, or taken away if it is no more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// A Service.
    Service(ObjectName),
    /// The EndpointSlices of a Service.
    Endpoints(ObjectName),
    /// A node.
    Node(NodeName),
    /// A TargetGroupBinding.
    Binding(ObjectName),
    /// A GatewayClass.
    GatewayClass(Arc<str>),
    /// A Gateway.
    Gateway(ObjectName),
    /// A route.
    Route(RouteKey),
    /// An event.
    Event(ObjectName),
    /// The controller's Deployment and Lease.
    Controller,
    /// The DaemonSet of the VPC CNI.
    VpcCni,
}

/// An edit of something that is not there.
#[derive(Debug, Error)]
#[error("the simulated world has no {kind} {name}")]
pub struct EditError {
    kind: &'static str,
    name: String,
}

fn missing(kind: &'static str, name: &impl ToString) -> EditError {
    EditError { kind, name: name.to_string() }
}

impl World {
    /// Somebody asks for more of a quota, by its service code and quota code.
    pub fn request_quota(
        &mut self,
        id: &str,
        quota: (&'static str, &'static str),
        desired: f64,
        status: &'static str,
        created: Timestamp,
    ) {
        self.quota_requests.insert(id.into(), QuotaChange { quota, desired, status, created });
    }

    /// Sets the health of one target (of all its ports in this group).
    pub fn set_target_health(&mut self, group: &TargetGroupId, target: &str, health: &Health) -> Result<(), EditError> {
        let targets = &mut self.target_groups.get_mut(group).ok_or_else(|| missing("target group", group))?.targets;
        let mut found = false;
        for one in targets.iter_mut().filter(|one| *one.id == *target) {
            one.health = health.clone();
            found = true;
        }
        found.then_some(()).ok_or_else(|| missing("target", &target))
    }

    /// Sets the health of the targets that `choose` says yes to; returns how many there were.
    pub fn set_health_where(
        &mut self,
        group: &TargetGroupId,
        health: &Health,
        choose: impl Fn(&super::Target) -> bool,
    ) -> Result<usize, EditError> {
        let targets = &mut self.target_groups.get_mut(group).ok_or_else(|| missing("target group", group))?.targets;
        let mut count = 0;
        for one in targets.iter_mut().filter(|one| choose(one)) {
            one.health = health.clone();
            count += 1;
        }
        Ok(count)
    }

    /// Deletes a target group in AWS only: listeners and bindings still name it.
    pub fn delete_target_group(&mut self, group: &TargetGroupId) -> Result<(), EditError> {
        self.target_groups.remove(group).map(|_| ()).ok_or_else(|| missing("target group", group))
    }

    /// Deletes a load balancer in AWS, as somebody in the console would; its target groups stay.
    pub fn delete_load_balancer(&mut self, id: &LoadBalancerId) -> Result<(), EditError> {
        let gone = self.load_balancers.remove(id).ok_or_else(|| missing("load balancer", id))?;
        for group in self.target_groups.values_mut() {
            group.load_balancers.remove(id);
        }
        let description = format!("ELB {id}");
        self.network_interfaces.retain(|_, eni| *eni.description != *description);
        for (_, subnet, _) in gone.zones {
            if let Some(subnet) = self.subnets.get_mut(&subnet) {
                subnet.free_addresses += 1;
            }
        }
        Ok(())
    }

    /// Sets a subnet's `AvailableIpAddressCount`.
    pub fn set_free_addresses(&mut self, subnet: &SubnetId, free: i64) -> Result<(), EditError> {
        self.subnets.get_mut(subnet).ok_or_else(|| missing("subnet", subnet))?.free_addresses = free;
        Ok(())
    }

    /// Adds `count` inbound rules (tcp, one port and one IPv4 source each) that no other rule equals.
    pub fn add_rules(&mut self, group: &SecurityGroupId, count: usize, description: &str) -> Result<(), EditError> {
        let sequence = &mut self.sequence;
        let rules = &mut self.security_groups.get_mut(group).ok_or_else(|| missing("security group", group))?.inbound;
        let (protocol, description): (Arc<str>, Arc<str>) = ("tcp".into(), description.into());
        for _ in 0..count {
            *sequence += 1;
            let number = u16::try_from(*sequence % 20_000).expect("below 20000");
            let port = 10_000 + i32::from(number);
            let source = Ipv4Net::new_assert([198, 18, number.to_be_bytes()[1], 0].into(), 24);
            rules.push(Rule {
                protocol: Arc::clone(&protocol),
                ports: Some((port, port)),
                peer: Peer::Cidr(IpNet::V4(source)),
                description: Some(Arc::clone(&description)),
            });
        }
        Ok(())
    }

    /// Takes away the inbound rules with this description; returns how many there were.
    pub fn remove_rules(&mut self, group: &SecurityGroupId, description: &str) -> Result<usize, EditError> {
        let rules = &mut self.security_groups.get_mut(group).ok_or_else(|| missing("security group", group))?.inbound;
        let before = rules.len();
        rules.retain(|rule| rule.description.as_deref() != Some(description));
        Ok(before - rules.len())
    }

    /// Writes (or with `None` removes) a Service's annotation as a user would, at `now`.
    pub fn annotate(
        &mut self,
        service: &ObjectName,
        key: impl Into<Arc<str>>,
        value: Option<&str>,
        now: Timestamp,
    ) -> Result<(), EditError> {
        let found = self.services.get_mut(service).ok_or_else(|| missing("Service", service))?;
        match value {
            Some(value) => found.annotations.insert(key.into(), value.into()),
            None => found.annotations.remove(&key.into()),
        };
        found.annotations_written_at = now;
        self.changes.insert(Change::Service(service.clone()));
        Ok(())
    }

    /// Sets `conditions.ready` of the endpoints that `choose` says yes to; returns their addresses.
    pub fn set_endpoints_ready(
        &mut self,
        service: &ObjectName,
        ready: bool,
        choose: impl Fn(&super::Endpoint) -> bool,
    ) -> Result<Vec<std::net::IpAddr>, EditError> {
        let found = self.services.get_mut(service).ok_or_else(|| missing("Service", service))?;
        let mut addresses = Vec::new();
        for endpoint in found.endpoints.iter_mut().filter(|endpoint| choose(endpoint)) {
            endpoint.ready = ready;
            addresses.push(endpoint.address);
        }
        self.changes.insert(Change::Endpoints(service.clone()));
        Ok(addresses)
    }

    /// Sets a node's condition Ready.
    pub fn set_node_ready(&mut self, node: &NodeName, ready: bool, now: Timestamp) -> Result<(), EditError> {
        let found = self.nodes.get_mut(node).ok_or_else(|| missing("node", node))?;
        if found.ready != ready {
            found.ready = ready;
            found.ready_changed_at = now;
        }
        self.changes.insert(Change::Node(node.clone()));
        Ok(())
    }

    /// Deletes a Service from the cluster only: what AWS has for it stays behind.
    pub fn delete_service(&mut self, service: &ObjectName) -> Result<(), EditError> {
        self.services.remove(service).ok_or_else(|| missing("Service", service))?;
        self.changes.insert(Change::Service(service.clone()));
        self.changes.insert(Change::Endpoints(service.clone()));
        Ok(())
    }

    /// Deletes a TargetGroupBinding from the cluster only.
    pub fn delete_binding(&mut self, binding: &ObjectName) -> Result<(), EditError> {
        self.bindings.remove(binding).ok_or_else(|| missing("TargetGroupBinding", binding))?;
        self.changes.insert(Change::Binding(binding.clone()));
        Ok(())
    }

    /// Records a Warning event of the controller about a Service. The same event again counts up, as the recorder does.
    pub fn warn_about_service(&mut self, service: &ObjectName, reason: &'static str, message: &str, now: Timestamp) {
        self.event("Service", service, true, reason.into(), message, now);
    }

    /// Records a Warning event of the controller about a TargetGroupBinding.
    pub fn warn_about_binding(&mut self, binding: &ObjectName, reason: &'static str, message: &str, now: Timestamp) {
        self.event("TargetGroupBinding", binding, true, reason.into(), message, now);
    }

    /// Records `SuccessfullyReconciled` for a Service.
    pub fn reconciled_service(&mut self, service: &ObjectName, now: Timestamp) {
        self.event("Service", service, false, "SuccessfullyReconciled".into(), "Successfully reconciled", now);
    }

    /// Records `SuccessfullyReconciled` for a TargetGroupBinding.
    pub fn reconciled_binding(&mut self, binding: &ObjectName, now: Timestamp) {
        self.event("TargetGroupBinding", binding, false, "SuccessfullyReconciled".into(), "Successfully reconciled", now);
    }

    /// Lets events older than `oldest` expire, as an API server does after an hour.
    pub fn expire_events(&mut self, oldest: Timestamp) {
        let changes = &mut self.changes;
        self.events.retain(|name, event| {
            let keep = event.last_at >= oldest;
            if !keep {
                changes.insert(Change::Event(name.clone()));
            }
            keep
        });
    }

    /// Marks something as changed after its fields were edited directly.
    pub fn touch(&mut self, change: Change) {
        self.changes.insert(change);
    }

    fn event(&mut self, kind: &'static str, object: &ObjectName, warning: bool, reason: Text, message: &str, now: Timestamp) {
        let same = |event: &Event| {
            event.kind == kind && event.object == object.name && event.reason == reason && *event.message == *message
        };
        let known = self.events.iter_mut().find(|(name, event)| name.namespace == object.namespace && same(event));
        let name = if let Some((name, event)) = known {
            event.count += 1;
            event.last_at = now;
            name.clone()
        } else {
            self.sequence += 1;
            let name = ObjectName::new(
                Arc::clone(&object.namespace),
                format!("{}.{:016x}", object.name, 0x18eb_15a6_42b4_0000 + self.sequence),
            );
            let uid = match kind {
                "Service" => self.services.get(object).map(|service| Arc::clone(&service.uid)),
                _ => self.bindings.get(object).map(|binding| Arc::clone(&binding.uid)),
            };
            let event = Event {
                kind,
                object: Arc::clone(&object.name),
                uid: uid.unwrap_or_default(),
                warning,
                reason,
                message: message.into(),
                first_at: now,
                last_at: now,
                count: 1,
            };
            self.events.insert(name.clone(), event);
            name
        };
        self.changes.insert(Change::Event(name));
    }
}
