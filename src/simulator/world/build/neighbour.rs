//! What does another cluster in the same VPC have there? It counts against quotas and is nobody's business otherwise.

use std::sync::Arc;

use super::{Builder, cluster::Making, group_id, hex, maker::Maker, network};
use crate::{
    inventory::{
        aws::{Attributes, HealthCheck, Peer, Tags},
        ids::{InstanceId, ObjectName},
    },
    simulator::world::{Health, Target, plan::Flavour},
};

/// The name of that cluster.
pub(super) const NEIGHBOUR: &str = "neighbour";

/// Its shared backend group.
const BACKEND: &str = "group-neighbour-backend";

impl Builder {
    /// A load balancer of another cluster in the same VPC: it counts against quotas and is nobody's business otherwise.
    pub(super) fn neighbour(&mut self, number: usize, ports: usize, targets: usize) {
        let stack = ObjectName::new(NEIGHBOUR, format!("svc-{number:05}"));
        let ports = self.ports(Flavour::Internal, ports, false);
        let tags = Tags::new();
        let group = self.group_of(Maker::Controller, NEIGHBOUR, number, &stack, &tags, &ports, &[], None);
        let homes = if self.neighbours.is_empty() { self.private.clone() } else { self.neighbours.clone() };
        let zones = homes.clone().into_iter().map(|(zone, subnet)| (zone, subnet, None)).collect();
        let backend = (!self.neighbours.is_empty()).then(|| group_id(BACKEND, 0));
        let groups = std::iter::once(group).chain(backend).collect();
        let making = Making {
            number,
            maker: Maker::Controller,
            cluster: NEIGHBOUR,
            service: stack.clone(),
            stack,
            scheme: "internal",
            tags,
            zones,
            groups,
            attributes: Attributes::new(),
        };
        let (id, _) = self.load_balancer(&making);
        let check = HealthCheck {
            enabled: true,
            protocol: "TCP".into(),
            port: "traffic-port".into(),
            path: None,
            success_codes: None,
            interval_seconds: 10,
            timeout_seconds: 10,
            healthy_threshold: 3,
            unhealthy_threshold: 3,
        };
        let addresses: Vec<_> = (0..targets)
            .map(|index| {
                let (zone, subnet) = homes[index % homes.len()].clone();
                (Arc::<str>::from(self.address_in(&subnet).to_string()), zone)
            })
            .collect();
        for port in &ports {
            let targets = addresses
                .iter()
                .map(|(id, zone)| Target {
                    id: Arc::clone(id),
                    port: port.target_port,
                    zone: Some(zone.clone()),
                    health: Health::HEALTHY,
                })
                .collect();
            self.target_group(&making, &id, port, false, false, &check, &Attributes::new(), targets);
        }
    }

    /// The groups and nodes of a neighbour that has subnets of its own.
    pub(super) fn neighbouring_cluster(&mut self) {
        if self.neighbours.is_empty() {
            return;
        }
        let vpc = self.world.scope.vpc_id.clone();
        let (nodes, backend) = (group_id("group-neighbour-nodes", 0), group_id(BACKEND, 0));
        let tags = Tags::from([
            ("elbv2.k8s.aws/cluster".into(), NEIGHBOUR.into()),
            ("elbv2.k8s.aws/resource".into(), "backend-sg".into()),
        ]);
        let name = format!("k8s-traffic-{NEIGHBOUR}-{}", hex("backend", 1, 10));
        self.group(backend.clone(), &name, "[k8s] Shared Backend SecurityGroup for LoadBalancer", &vpc, tags, Vec::new());
        let tags = Tags::from([(format!("kubernetes.io/cluster/{NEIGHBOUR}").into(), "owned".into())]);
        let inbound = vec![
            network::rule("-1", None, Peer::SecurityGroup(nodes.clone()), Some("Node to node")),
            network::rule("tcp", Some((8080, 8443)), Peer::SecurityGroup(backend), Some(super::cluster::SHARED_RULE)),
        ];
        self.group(nodes.clone(), "neighbour-node", "Nodes of the neighbouring cluster", &vpc, tags, inbound);
        for (number, (zone, subnet)) in self.neighbours.clone().into_iter().enumerate() {
            let instance = InstanceId::new(format!("i-{}", hex("neighbour-instance", number, 17)));
            let description = format!("aws-K8S-{instance}-{NEIGHBOUR}");
            let address = self.address_in(&subnet);
            self.interface("interface", &description, subnet, zone, vec![nodes.clone()], Some(instance), address);
        }
    }
}
