//! What does the in-tree provider make of a Service that asks for an NLB: its annotations, names, health checks and rules?

use std::collections::BTreeSet;
use std::sync::Arc;

use ipnet::IpNet;

use super::{Builder, annotation, network};
use crate::{
    inventory::{
        aws::{HealthCheck, Peer},
        kube::StringMap,
    },
    simulator::world::build::cluster::lower,
};

/// What a user writes.
pub(super) fn annotations(scheme: &str) -> StringMap {
    let mut annotations = StringMap::from([(annotation("type").into(), "nlb".into())]);
    if scheme == "internal" {
        annotations.insert(annotation("internal").into(), "true".into());
    }
    annotations
}

/// Its defaults where they are not the AWS Load Balancer Controller's.
pub(super) fn health_check(check: &mut HealthCheck) {
    if &*check.protocol == "TCP" {
        check.interval_seconds = 30;
    }
    check.timeout_seconds = 10;
}

/// `a` and the Service's UID, cut to 32 characters.
pub(super) fn load_balancer_name(uid: &str) -> String {
    let digits: String = uid.chars().filter(|character| *character != '-').collect();
    format!("a{digits}").chars().take(32).collect()
}

impl Builder {
    /// A rule for the clients of each port, one a subnet for a health check on another port, and one for path MTU discovery.
    pub(super) fn in_tree_rules(&mut self) {
        let world = &self.world;
        let anywhere: IpNet = "0.0.0.0/0".parse().expect("a network");
        let mut rules = BTreeSet::<(&str, (i32, i32), IpNet, String)>::new();
        for (name, service) in world.load_balanced() {
            let Some(lb) = world.load_balancer_of(name).map(|id| &world.load_balancers[id]) else { continue };
            for port in &service.ports {
                let node_port = i32::from(port.node_port);
                let clients = format!("kubernetes.io/rule/nlb/client={}", lb.name);
                rules.insert((lower(port.protocol), (node_port, node_port), anywhere, clients));
            }
            if let Some(port) = service.local_health_port {
                for (_, subnet, _) in &lb.zones {
                    let cidr = world.subnets[subnet].cidr.expect("an IPv4 subnet");
                    let health = format!("kubernetes.io/rule/nlb/health={}", lb.name);
                    rules.insert(("tcp", (port.into(), port.into()), IpNet::V4(cidr), health));
                }
            }
            rules.insert(("icmp", (3, 4), anywhere, "kubernetes.io/rule/nlb/mtu".to_owned()));
        }
        // It gives its load balancers no groups, so there is no shared one either.
        self.world.security_groups.remove(&self.world.scope.backend_group);
        let nodes = self.world.security_groups.get_mut(&self.world.scope.node_group).expect("every world has it");
        for (protocol, ports, source, description) in rules {
            let description: Arc<str> = description.into();
            nodes.inbound.push(network::rule(protocol, Some(ports), Peer::Cidr(source), Some(&description)));
        }
    }
}
