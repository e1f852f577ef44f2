//! A healthy world has nothing that a check could find.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::{
    inventory::{aws::Peer, ids::ObjectName, kube::Protocol},
    simulator::{
        Sizes,
        world::{Health, World},
    },
};

fn build(sizes: &Sizes) -> World {
    World::build(sizes, Timestamp::from_second(1_790_000_000).unwrap())
}

/// Compares each thing with what the controller would make of it, by other ways than the builder's.
fn assert_consistent(world: &World) {
    let mut in_use = BTreeSet::new();
    let mut used = BTreeMap::<_, i64>::new();
    for eni in world.network_interfaces.values() {
        let subnet = &world.subnets[&eni.subnet_id];
        assert_eq!(subnet.zone, eni.zone);
        for address in std::iter::once(&eni.address).chain(&eni.secondary) {
            assert!(in_use.insert(*address), "{address} is given twice");
            assert!(subnet.cidr.unwrap().contains(address));
        }
        let prefixes = 16 * i64::try_from(eni.prefixes.len()).unwrap();
        *used.entry(&eni.subnet_id).or_default() += 1 + i64::try_from(eni.secondary.len()).unwrap() + prefixes;
    }
    for (id, subnet) in world.subnets.iter().filter(|(_, subnet)| subnet.vpc_id == world.scope.vpc_id) {
        let all = (1i64 << (32 - subnet.cidr.unwrap().prefix_len())) - 5;
        // Addresses of a neighbour's pods are on interfaces of its own that are not simulated.
        assert!(subnet.free_addresses <= all - used.get(id).copied().unwrap_or(0), "{id}");
        assert!(subnet.free_addresses >= 64, "{id} has only {} free addresses", subnet.free_addresses);
    }

    for (name, service) in world.load_balanced() {
        assert_service(world, name, service);
    }
    for (name, binding) in &world.bindings {
        let service = ObjectName::new(&*name.namespace, &*binding.service);
        assert!(world.services[&service].ports.iter().any(|port| port.port == binding.service_port));
        assert_open(world, &binding.ingress);
    }
    for (key, quota) in &world.quotas {
        assert!(quota.value() >= quota.default, "{key:?}");
    }
    for group in world.security_groups.values() {
        assert!(group.inbound.len() < 54, "{} has {} rules", group.name, group.inbound.len());
    }
    let services = world.load_balancers.values().filter(|lb| *lb.tags["elbv2.k8s.aws/cluster"] == *world.scope.cluster_name);
    assert_eq!(services.count(), world.load_balanced().count());
}

fn assert_service(world: &World, name: &ObjectName, service: &crate::simulator::world::Service) {
    let id = world.load_balancer_of(name).unwrap_or_else(|| panic!("{name} has no load balancer"));
    let lb = &world.load_balancers[id];
    assert_eq!(service.hostname.as_ref(), Some(&lb.dns_name));
    let ports: BTreeSet<u16> = service.ports.iter().map(|port| port.port).collect();
    assert_eq!(lb.listeners.iter().map(|listener| listener.port).collect::<BTreeSet<_>>(), ports);
    assert_eq!(lb.listeners.len(), ports.len());
    let groups = world.target_groups_of(name);
    assert_eq!(groups.keys().copied().collect::<BTreeSet<_>>(), ports);
    assert!(lb.security_groups.contains(&world.scope.backend_group) && lb.security_groups.len() == 2);
    let enis = world.network_interfaces.values().filter(|eni| *eni.description == *format!("ELB {id}"));
    assert_eq!(enis.count(), lb.zones.len());
    for (zone, subnet, _) in &lb.zones {
        let role = format!("kubernetes.io/role/{}elb", if lb.scheme == "internal" { "internal-" } else { "" });
        let candidates = world.subnets.iter().filter(|(_, s)| s.zone == *zone && s.tags.contains_key(&*role));
        assert_eq!(candidates.map(|(id, _)| id).min(), Some(subnet), "the controller takes the smallest id of {zone}");
    }

    let ready: BTreeSet<String> = service.endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect();
    let hosts: BTreeSet<_> = service.endpoints.iter().map(|endpoint| endpoint.node.clone()).collect();
    for port in &service.ports {
        let id = &groups[&port.port];
        let group = &world.target_groups[id];
        assert_eq!(group.load_balancers.iter().map(|lb| lb.as_str()).collect::<Vec<_>>(), [lb_id(world, name)]);
        assert_eq!(&*group.tags["service.k8s.aws/resource"], format!("{name}:{}", port.port));
        let listener = lb.listeners.iter().find(|listener| listener.port == port.port).unwrap();
        assert_eq!(listener.forwards[0].target_group, *id);
        let targets: BTreeSet<String> = group.targets.iter().map(|target| target.id.to_string()).collect();
        assert_eq!(targets.len(), group.targets.len());
        if group.target_type == "ip" {
            assert_eq!(targets, ready, "{name}:{}", port.port);
            assert!(group.targets.iter().all(|target| target.health == Health::HEALTHY && target.port == port.target_port));
        } else {
            let nodes: BTreeSet<String> = world.nodes.values().map(|node| node.instance.to_string()).collect();
            assert_eq!(targets, nodes);
            for (node_name, node) in &world.nodes {
                let target = group.targets.iter().find(|target| *target.id == *node.instance.as_str()).unwrap();
                let expected = service.local_health_port.is_none() || hosts.contains(node_name);
                assert_eq!(target.health == Health::HEALTHY, expected, "{name} on {node_name}");
            }
        }
        // With cross-zone off, a zone with targets and no healthy one is dark.
        for zone in &world.zones {
            let here = |target: &&crate::simulator::world::Target| match &target.zone {
                Some(of) => *of == zone.name,
                None => world.nodes.values().any(|node| *node.instance.as_str() == *target.id && node.zone == zone.name),
            };
            let of_zone: Vec<_> = group.targets.iter().filter(here).collect();
            assert!(
                of_zone.is_empty() || of_zone.iter().any(|target| target.health == Health::HEALTHY),
                "{name} in {}",
                zone.name
            );
        }
    }
}

fn lb_id<'a>(world: &'a World, name: &ObjectName) -> &'a str {
    world.load_balancer_of(name).unwrap().as_str()
}

/// The nodes' group lets the backend group in on these ports.
fn assert_open(world: &World, ingress: &[(Protocol, u16)]) {
    let rules = &world.security_groups[&world.scope.node_group].inbound;
    for (protocol, port) in ingress {
        let open = rules.iter().any(|rule| {
            rule.peer == Peer::SecurityGroup(world.scope.backend_group.clone())
                && rule.protocol.eq_ignore_ascii_case(protocol.as_str())
                && rule.ports.is_some_and(|(from, to)| (from..=to).contains(&i32::from(*port)))
        });
        assert!(open, "{protocol} {port} is closed");
    }
}

#[test]
fn the_default_world_is_consistent_and_has_every_kind_of_target() {
    let world = build(&Sizes::default());
    assert_consistent(&world);
    let types: BTreeSet<_> =
        world.target_groups.values().map(|group| (group.target_type.clone(), group.protocol.clone())).collect();
    assert_eq!(types.len(), 3, "{types:?}");
    assert!(world.services.values().any(|service| service.local_health_port.is_some()));
    assert_eq!(world.load_balancers.len(), 12);
    assert_eq!(world.target_groups.values().map(|group| group.targets.len()).sum::<usize>(), 84);
}

#[test]
fn worlds_of_odd_sizes_are_consistent() {
    for sizes in [
        Sizes {
            load_balancers: 1,
            target_groups: 1,
            targets: 1,
            services: 1,
            nodes: 1,
            zones: 1,
            subnets: 2,
            ..Sizes::default()
        },
        Sizes {
            load_balancers: 40,
            target_groups: 133,
            targets: 700,
            services: 25,
            nodes: 11,
            zones: 4,
            subnets: 11,
            ..Sizes::default()
        },
        Sizes { rules_per_group: 40, security_groups: 30, endpoints: 500, ..Sizes::default() },
        Sizes { load_balancers: 2, target_groups: 100, targets: 100, services: 2, ..Sizes::default() },
    ] {
        let world = build(&sizes);
        assert_consistent(&world);
        assert_eq!(world.load_balancers.len(), sizes.load_balancers);
        assert_eq!(world.target_groups.len(), sizes.target_groups);
        assert_eq!(world.services.len(), sizes.services);
        assert_eq!(world.nodes.len(), sizes.nodes);
    }
}

#[test]
fn world_l_is_as_large_as_it_says_and_consistent() {
    let world = build(&Sizes::large());
    assert_eq!(world.load_balancers.len(), 1_000);
    assert_eq!(world.target_groups.len(), 3_000);
    assert_eq!(world.target_groups.values().map(|group| group.targets.len()).sum::<usize>(), 30_000);
    assert_eq!(world.services.len(), 1_000);
    assert_eq!(world.services.values().map(|service| service.endpoints.len()).sum::<usize>(), 30_000);
    assert_eq!(world.security_groups.len(), 1_100);
    let forty = world.security_groups.values().filter(|group| group.inbound.len() + group.outbound.len() == 40);
    assert_eq!(forty.count(), 1_095, "all but the shared ones");
    assert_eq!(world.subnets.values().filter(|subnet| subnet.vpc_id == world.scope.vpc_id).count(), 60);
    assert_consistent(&world);
}

#[test]
fn the_same_sizes_give_the_same_world() {
    let [one, other] = [build(&Sizes::default()), build(&Sizes::default())];
    assert_eq!(format!("{one:?}"), format!("{other:?}"));
}
