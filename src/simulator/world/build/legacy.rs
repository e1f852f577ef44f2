//! Which rules does the controller put on the nodes' group for load balancers that have no security groups?
//!
//! By network, a rule a port, never merged; equal ones are shared (`lbc.md` 6.2, mode E).

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::{Builder, cluster::SHARED_RULE, network};
use crate::{
    inventory::{aws::Peer, ids::TargetGroupId},
    simulator::world::{LoadBalancer, TargetGroup},
};

impl Builder {
    /// The rules of all bindings, and in each binding the networks that it lets in.
    pub(super) fn rules_by_network(&mut self) {
        let mut rules = BTreeSet::<(&str, u16, IpNet)>::new();
        let mut sources = BTreeMap::<TargetGroupId, Vec<IpNet>>::new();
        for (id, group) in &self.world.target_groups {
            let Some(lb) = group.load_balancers.iter().find_map(|lb| self.world.load_balancers.get(lb)) else { continue };
            let of_group = self.rules_of(group, lb);
            let networks: BTreeSet<IpNet> = of_group.iter().map(|(_, _, network)| *network).collect();
            sources.insert(id.clone(), networks.into_iter().collect());
            rules.extend(of_group);
        }
        for binding in self.world.bindings.values_mut() {
            binding.sources = sources.remove(&binding.target_group).unwrap_or_default();
        }
        // Nothing carries the shared group, so the controller has never made it.
        self.world.security_groups.remove(&self.world.scope.backend_group);
        let nodes = self.world.security_groups.get_mut(&self.world.scope.node_group).expect("every world has it");
        for (protocol, port, source) in rules {
            let ports = Some((i32::from(port), i32::from(port)));
            nodes.inbound.push(network::rule(protocol, ports, Peer::Cidr(source), Some(SHARED_RULE)));
        }
    }

    fn rules_of(&self, group: &TargetGroup, lb: &LoadBalancer) -> Vec<(&'static str, u16, IpNet)> {
        let world = &self.world;
        let udp = group.protocol == "UDP";
        let protocol = if udp { "udp" } else { "tcp" };
        let subnets = || {
            let of_lb = lb.zones.iter().map(|(_, subnet, _)| world.subnets[subnet].cidr.expect("an IPv4 subnet"));
            of_lb.map(IpNet::V4)
        };
        // No Service of this world names its clients' networks.
        let clients: Vec<IpNet> = if lb.scheme == "internal" {
            world.vpcs[&lb.vpc_id].cidrs.iter().map(|cidr| IpNet::V4(*cidr)).collect()
        } else {
            vec!["0.0.0.0/0".parse().expect("a network")]
        };
        let attributes = world.target_group_attributes(group);
        let preserved = udp || attributes.get("preserve_client_ip.enabled").is_some_and(|value| **value == *"true");
        let mut rules: Vec<_> = if preserved {
            clients.into_iter().map(|source| (protocol, group.port, source)).collect()
        } else {
            subnets().map(|source| (protocol, group.port, source)).collect()
        };
        let health: u16 = group.health_check.port.parse().unwrap_or(group.port);
        if udp || health != group.port {
            rules.extend(subnets().map(|source| ("tcp", health, source)));
        }
        rules
    }
}
