//! The network under a simulated cluster: VPCs, subnets, routes, prefix lists, nodes and the security groups they share.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{Builder, Place, Pool, group_id, hex, neighbour::NEIGHBOUR};
use crate::{
    inventory::{
        aws::{Peer, Rule, Tags},
        ids::{InstanceId, NetworkInterfaceId, NodeName, PrefixListId, SecurityGroupId, SubnetId, VpcId, ZoneName},
    },
    simulator::world::{Address, NetworkInterface, Node, PrefixList, RouteTable, SecurityGroup, Subnet, Vpc, WorldKind, Zone},
};

impl Builder {
    /// VPCs, zones, subnets, route tables, prefix lists, NAT gateways' addresses and the shared security groups.
    pub(super) fn network(&mut self) {
        let region = Arc::clone(&self.world.scope.region);
        let cluster = Arc::clone(&self.world.scope.cluster_name);
        let vpc_id = self.world.scope.vpc_id.clone();
        for (index, letter) in ('a'..='f').enumerate().take(self.sizes.zones) {
            let name = ZoneName::new(format!("{region}{letter}"));
            // Zone ids are shuffled against names in every account.
            let id = format!("{}-az{}", region_code(&region), (index * 5 + 3) % 6 + 1);
            self.world.zones.push(Zone { name, id: id.into(), kind: "availability-zone" });
        }

        let length = self.subnet_length();
        let per_block = 1usize << (length - 16);
        // The neighbour of a shared VPC has private subnets of its own.
        let foreign = if self.kind == WorldKind::TwoClusters { self.sizes.zones } else { 0 };
        let blocks = (self.sizes.subnets + foreign).div_ceil(per_block);
        let dual_stack = self.kind == WorldKind::DualStack;
        let block = |index: usize| Ipv4Net::new_assert(Ipv4Addr::new(10, u8::try_from(index).expect("few blocks"), 0, 0), 16);
        self.world.vpcs.insert(
            vpc_id.clone(),
            Vpc {
                cidrs: (0..blocks).map(block).collect(),
                ipv6_cidrs: if dual_stack { vec![ipv6_block(0, 56).to_string().into()] } else { Vec::new() },
                default: false,
            },
        );

        let gateway = format!("igw-{}", hex("igw", 0, 17));
        let local = |net: Ipv4Net| (net.to_string().into(), "local".into());
        let mut public_subnets = BTreeSet::new();
        for index in 0..self.sizes.subnets + foreign {
            let zone = &self.world.zones[index % self.sizes.zones];
            let neighbours = index >= self.sizes.subnets;
            let public = !neighbours && self.kind != WorldKind::PrivateOnly && (index / self.sizes.zones).is_multiple_of(2);
            let id = SubnetId::new(format!("subnet-{}", hex("subnet", index, 17)));
            let first = u32::from(block(index / per_block).network());
            let offset = u32::try_from((index % per_block) << (32 - length)).expect("within the block");
            let cidr = Ipv4Net::new_assert(Ipv4Addr::from(first + offset), length);
            let (role, side) =
                if public { ("kubernetes.io/role/elb", "public") } else { ("kubernetes.io/role/internal-elb", "private") };
            let user = if neighbours { NEIGHBOUR } else { &*cluster };
            let mut tags = Tags::from([
                (role.into(), "1".into()),
                (format!("kubernetes.io/cluster/{user}").into(), "shared".into()),
                ("Name".into(), format!("{user}-{side}-{}-{:02}", zone.name, index / self.sizes.zones / 2).into()),
            ]);
            if foreign > 0 && public {
                tags.insert(format!("kubernetes.io/cluster/{NEIGHBOUR}").into(), "shared".into());
            }
            let ipv6_cidrs = if dual_stack { vec![ipv6_block(index, 64).to_string().into()] } else { Vec::new() };
            self.pools.insert(id.clone(), Pool::new(cidr));
            self.world.subnets.insert(
                id.clone(),
                Subnet {
                    vpc_id: vpc_id.clone(),
                    zone: zone.name.clone(),
                    cidr: Some(cidr),
                    free_addresses: 0,
                    ipv6_cidrs,
                    outpost_arn: None,
                    shared_by: None,
                    tags,
                },
            );
            if neighbours {
                self.neighbours.push((zone.name.clone(), id));
            } else if public {
                public_subnets.insert(id);
            }
        }

        // The controller takes the lexically smallest id of a zone and sorts the winners by id.
        for zone in &self.world.zones {
            let usable = format!("kubernetes.io/cluster/{cluster}");
            let here = |subnet: &Subnet| subnet.zone == zone.name && subnet.tags.contains_key(&*usable);
            let mut of_zone = self.world.subnets.iter().filter(|(_, subnet)| here(subnet)).map(|(id, _)| id);
            // A cluster without public subnets has none here.
            let public = of_zone.clone().find(|id| public_subnets.contains(*id));
            let private = of_zone.find(|id| !public_subnets.contains(*id)).expect("two subnets a zone");
            self.public.extend(public.map(|id| (zone.name.clone(), id.clone())));
            self.private.push((zone.name.clone(), private.clone()));
        }
        self.public.sort_by(|one, other| one.1.cmp(&other.1));
        self.private.sort_by(|one, other| one.1.cmp(&other.1));

        let mut routes: Vec<_> = (0..blocks).map(block).map(local).collect();
        let mut main = routes.clone();
        let closed = self.kind == WorldKind::PrivateOnly;
        if !closed {
            main.push(("0.0.0.0/0".into(), format!("nat-{}", hex("nat", 0, 17)).into()));
        }
        routes.push(("0.0.0.0/0".into(), gateway.clone().into()));
        if dual_stack {
            routes.push(("::/0".into(), gateway.into()));
        }
        let tables = &mut self.world.route_tables;
        let mut table = |kind, table| tables.insert(Arc::from(format!("rtb-{}", hex(kind, 0, 17))), table);
        table("rtb-main", RouteTable { vpc_id: vpc_id.clone(), main: true, subnets: BTreeSet::new(), routes: main });
        if !closed {
            table("rtb-public", RouteTable { vpc_id, main: false, subnets: public_subnets, routes });
        }
        self.default_vpc();
        self.prefix_lists();
        self.shared_groups();
        for _ in 0..if closed { 0 } else { self.sizes.zones } {
            self.elastic_ip(None);
        }
    }

    /// The shortest of a few usual lengths at which no subnet is more than half full.
    fn subnet_length(&self) -> u8 {
        let nodes_per_zone = self.sizes.nodes.div_ceil(self.sizes.zones);
        let private_per_zone = (self.sizes.subnets / self.sizes.zones / 2).max(1);
        let homes = nodes_per_zone.min(private_per_zone);
        let pods = self.plan.endpoints().div_ceil(self.sizes.zones * homes);
        let need = pods + 16 * nodes_per_zone.div_ceil(homes) + self.sizes.load_balancers + 64;
        *[24u8, 22, 20, 18, 17].iter().find(|length| 1usize << (32 - **length) >= 2 * need).unwrap_or(&16)
    }

    /// What every account has: a default VPC with a default security group, which have nothing to do with the cluster.
    fn default_vpc(&mut self) {
        let id = VpcId::new(format!("vpc-{}", hex("vpc", 0, 17)));
        let net = Ipv4Net::new_assert(Ipv4Addr::new(172, 31, 0, 0), 16);
        self.world.vpcs.insert(id.clone(), Vpc { cidrs: vec![net], ipv6_cidrs: Vec::new(), default: true });
        for (index, zone) in self.world.zones.iter().enumerate() {
            let third = u8::try_from(16 * index).expect("at most six zones");
            self.world.subnets.insert(
                format!("subnet-{}", hex("default-subnet", index, 17)).into(),
                Subnet {
                    vpc_id: id.clone(),
                    zone: zone.name.clone(),
                    cidr: Some(Ipv4Net::new_assert(Ipv4Addr::new(172, 31, third, 0), 20)),
                    free_addresses: 4091,
                    ipv6_cidrs: Vec::new(),
                    outpost_arn: None,
                    shared_by: None,
                    tags: Tags::new(),
                },
            );
        }
        let routes =
            vec![(net.to_string().into(), "local".into()), ("0.0.0.0/0".into(), format!("igw-{}", hex("igw", 1, 17)).into())];
        let table = RouteTable { vpc_id: id.clone(), main: true, subnets: BTreeSet::new(), routes };
        self.world.route_tables.insert(format!("rtb-{}", hex("rtb-default", 0, 17)).into(), table);
        for (number, vpc) in [id, self.world.scope.vpc_id.clone()].into_iter().enumerate() {
            let group = group_id("group-default", number);
            let itself = rule("-1", None, Peer::SecurityGroup(group.clone()), None);
            self.group(group, "default", "default VPC security group", &vpc, Tags::new(), vec![itself]);
        }
    }

    fn prefix_lists(&mut self) {
        let of_region = |service: &str| format!("com.amazonaws.{}.{service}", self.world.scope.region);
        let lists = [
            (of_region("s3"), "IPv4", None),
            (of_region("dynamodb"), "IPv4", None),
            ("com.amazonaws.global.cloudfront.origin-facing".to_owned(), "IPv4", None),
            (of_region("ipv6.vpc-lattice"), "IPv6", None),
            ("offices".to_owned(), "IPv4", Some(10)),
        ];
        for (index, (name, family, max_entries)) in lists.into_iter().enumerate() {
            let id = PrefixListId::new(format!("pl-{}", hex("prefix-list", index, 17)));
            self.world.prefix_lists.insert(id, PrefixList { name: name.into(), family, max_entries });
        }
    }

    /// The groups of the nodes and of the control plane, and the controller's backend group.
    fn shared_groups(&mut self) {
        let cluster = Arc::clone(&self.world.scope.cluster_name);
        let (vpc, nodes, backend) =
            (self.world.scope.vpc_id.clone(), self.world.scope.node_group.clone(), self.world.scope.backend_group.clone());
        let control_plane = group_id("group-cluster", 0);
        let owned = (Arc::from(format!("kubernetes.io/cluster/{cluster}")), Arc::from("owned"));

        let name = format!("eks-cluster-sg-{cluster}-{}", hex("eks", 0, 9));
        let tags = Tags::from([
            owned.clone(),
            ("aws:eks:cluster-name".into(), Arc::clone(&cluster)),
            ("Name".into(), name.as_str().into()),
        ]);
        let inbound = vec![
            rule("-1", None, Peer::SecurityGroup(control_plane.clone()), None),
            rule("tcp", Some((443, 443)), Peer::SecurityGroup(nodes.clone()), Some("Nodes to the API server")),
        ];
        let description = "EKS created security group applied to ENI that is attached to EKS Control Plane master nodes, as well as any managed workloads.";
        self.group(control_plane.clone(), &name, description, &vpc, tags, inbound);

        let tags = Tags::from([owned, ("Name".into(), format!("{cluster}-node").into())]);
        let inbound = vec![
            rule("-1", None, Peer::SecurityGroup(nodes.clone()), Some("Node to node")),
            rule("tcp", Some((443, 443)), Peer::SecurityGroup(control_plane.clone()), Some("API server to webhooks")),
            rule(
                "tcp",
                Some((9443, 9443)),
                Peer::SecurityGroup(control_plane.clone()),
                Some("API server to the controller's webhook"),
            ),
            rule("tcp", Some((10250, 10250)), Peer::SecurityGroup(control_plane.clone()), Some("API server to kubelets")),
        ];
        self.group(nodes, &format!("{cluster}-node"), "Nodes of the cluster", &vpc, tags, inbound);

        let tags = if self.kind == WorldKind::AutoMode {
            Tags::from([("eks:eks-cluster-name".into(), Arc::clone(&cluster))])
        } else {
            Tags::from([
                ("elbv2.k8s.aws/cluster".into(), Arc::clone(&cluster)),
                ("elbv2.k8s.aws/resource".into(), "backend-sg".into()),
            ])
        };
        let name = format!("k8s-traffic-{cluster}-{}", hex("backend", 0, 10));
        self.group(backend, &name, "[k8s] Shared Backend SecurityGroup for LoadBalancer", &vpc, tags, Vec::new());

        for (zone, subnet) in self.private.clone().into_iter().take(2) {
            let address = self.address_in(&subnet);
            self.interface(
                "interface",
                &format!("Amazon EKS {cluster}"),
                subnet,
                zone,
                vec![control_plane.clone()],
                None,
                address,
            );
        }
    }

    /// A security group with the egress rule every new group has.
    pub(super) fn group(
        &mut self,
        id: SecurityGroupId,
        name: &str,
        description: &'static str,
        vpc_id: &VpcId,
        tags: Tags,
        inbound: Vec<Rule>,
    ) {
        let anywhere = Peer::Cidr(IpNet::V4(Ipv4Net::default()));
        let group = SecurityGroup {
            name: name.into(),
            description: description.into(),
            vpc_id: vpc_id.clone(),
            tags,
            inbound,
            outbound: vec![rule("-1", None, anywhere, None)],
        };
        self.world.security_groups.insert(id, group);
    }

    /// The groups asked for beyond those the cluster needs: some workloads', with as many rules as asked for.
    pub(super) fn fill_security_groups(&mut self) {
        let vpc = self.world.scope.vpc_id.clone();
        let rules = self.sizes.rules_per_group.max(2) - 1;
        let inbound: Vec<_> = (0..rules).map(|index| rule("tcp", Some((443, 443)), Peer::Cidr(source(index)), None)).collect();
        for number in 0..self.sizes.security_groups.saturating_sub(self.world.security_groups.len()) {
            let tags = Tags::from([("Name".into(), format!("workload-{number:04}").into())]);
            self.group(
                group_id("group-workload", number),
                &format!("workload-{number:04}"),
                "A workload",
                &vpc,
                tags,
                inbound.clone(),
            );
        }
    }

    pub(super) fn elastic_ip(&mut self, service_managed: Option<&'static str>) -> crate::inventory::ids::AllocationId {
        let number = self.next_public_ip;
        self.next_public_ip += 1;
        let id = crate::inventory::ids::AllocationId::new(format!("eipalloc-{}", hex("eip", number as usize, 17)));
        let public_ip = Ipv4Addr::from(u32::from(Ipv4Addr::new(52, 0, 0, 10)) + number);
        self.world.addresses.insert(id.clone(), Address { public_ip, associated: true, service_managed });
        id
    }

    #[allow(clippy::too_many_arguments, reason = "an interface has that many fields, and all callers are here")]
    pub(super) fn interface(
        &mut self,
        kind: &'static str,
        description: &str,
        subnet_id: SubnetId,
        zone: ZoneName,
        groups: Vec<SecurityGroupId>,
        instance: Option<InstanceId>,
        address: Ipv4Addr,
    ) -> NetworkInterfaceId {
        let id = NetworkInterfaceId::new(format!("eni-{}", hex("eni", self.world.network_interfaces.len(), 17)));
        let interface = NetworkInterface {
            kind: kind.into(),
            description: description.into(),
            vpc_id: self.world.scope.vpc_id.clone(),
            subnet_id,
            zone,
            groups,
            instance,
            address,
            secondary: Vec::new(),
            prefixes: Vec::new(),
            ipv6_prefixes: Vec::new(),
        };
        self.world.network_interfaces.insert(id.clone(), interface);
        id
    }

    /// Nodes with their primary interfaces, in turn over the zones and over each zone's private subnets.
    pub(super) fn nodes(&mut self) {
        let private: Vec<Vec<SubnetId>> = self
            .world
            .zones
            .iter()
            .map(|zone| {
                let role = "kubernetes.io/role/internal-elb";
                let foreign = |id| self.neighbours.iter().any(|(_, neighbours)| neighbours == id);
                let here = |id, s: &Subnet| s.zone == zone.name && s.tags.contains_key(role) && !foreign(id);
                let of_zone = self.world.subnets.iter().filter(|(id, s)| here(*id, s));
                of_zone.map(|(id, _)| id.clone()).collect()
            })
            .collect();
        self.turns = vec![(Vec::new(), 0); self.sizes.zones];
        let cluster = Arc::clone(&self.world.scope.cluster_name);
        for index in 0..self.sizes.nodes {
            let at = index % self.sizes.zones;
            let zone = self.world.zones[at].name.clone();
            let homes = &private[at];
            let subnet = homes[(index / self.sizes.zones) % homes.len()].clone();
            let address = self.address_in(&subnet);
            let instance = InstanceId::new(format!("i-{}", hex("instance", index, 17)));
            let name = NodeName::new(format!("ip-{}.ec2.internal", address.to_string().replace('.', "-")));
            let description = format!("aws-K8S-{instance}-{cluster}");
            let groups = vec![self.world.scope.node_group.clone()];
            let interface =
                self.interface("interface", &description, subnet.clone(), zone.clone(), groups, Some(instance.clone()), address);
            self.turns[at].0.push(name.clone());
            let ipv6 = (self.kind == WorldKind::DualStack).then(|| self.delegate(&subnet, &interface, index));
            self.places.insert(name.clone(), Place { zone: zone.clone(), subnet, interface, prefix: None, ipv6 });
            let node = Node {
                instance,
                zone,
                address,
                ready: true,
                ready_changed_at: self.world.created_at,
                labels: Default::default(),
                taints: BTreeSet::new(),
            };
            self.world.nodes.insert(name, node);
        }
    }

    /// Gives a node's interface a prefix of its subnet's IPv6 block, as the VPC CNI does in an IPv6 cluster.
    fn delegate(&mut self, subnet: &SubnetId, interface: &NetworkInterfaceId, number: usize) -> (Ipv6Net, u16) {
        let block: Ipv6Net = self.world.subnets[subnet].ipv6_cidrs[0].parse().expect("written from a network");
        let mut segments = block.network().segments();
        segments[4] = u16::try_from(number + 1).expect("at most 1500 nodes");
        let prefix = Ipv6Net::new_assert(Ipv6Addr::from(segments), 80);
        let interface = self.world.network_interfaces.get_mut(interface).expect("just made");
        interface.ipv6_prefixes.push(prefix.to_string().into());
        (prefix, 0)
    }

    /// An address for a pod on this node, from its interface.
    pub(super) fn pod_address(&mut self, node: &NodeName) -> IpAddr {
        let place = self.places.get_mut(node).expect("every node has a place");
        if let Some((prefix, used)) = &mut place.ipv6 {
            *used += 1;
            let mut segments = prefix.network().segments();
            segments[7] = *used;
            return Ipv6Addr::from(segments).into();
        }
        let pool = self.pools.get_mut(&place.subnet).expect("nodes are in subnets with a pool");
        let interface = self.world.network_interfaces.get_mut(&place.interface).expect("made with the node");
        if !self.prefixes {
            let address = pool.address();
            interface.secondary.push(address);
            return address.into();
        }
        let (prefix, used) = match place.prefix {
            Some((prefix, used)) if used < 16 => (prefix, used),
            _ => {
                let prefix = pool.prefix();
                interface.prefixes.push(prefix);
                (prefix, 0)
            }
        };
        place.prefix = Some((prefix, used + 1));
        Ipv4Addr::from(u32::from(prefix.network()) + used).into()
    }

    /// The next node of a zone in turn.
    pub(super) fn next_node(&mut self, zone: usize) -> (NodeName, ZoneName) {
        let (names, turn) = &mut self.turns[zone % self.sizes.zones];
        let name = names[*turn % names.len()].clone();
        *turn += 1;
        let zone = self.places[&name].zone.clone();
        (name, zone)
    }
}

pub(super) fn rule(protocol: &str, ports: Option<(i32, i32)>, peer: Peer, description: Option<&str>) -> Rule {
    Rule { protocol: protocol.into(), ports, peer, description: description.map(Into::into) }
}

/// The `index`th of the client networks, an IPv4 /24.
pub(super) fn source(index: usize) -> IpNet {
    let index = u8::try_from(index).expect("at most 60 rules");
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(192, 168, index, 0), 24))
}

/// The VPC's IPv6 block, or the `index`th subnet's.
fn ipv6_block(index: usize, length: u8) -> Ipv6Net {
    let index = u16::try_from(index).expect("at most 180 subnets");
    Ipv6Net::new_assert(Ipv6Addr::new(0x2600, 0x1f18, 0x04a3, 0x6a00 + index, 0, 0, 0, 0), length)
}

/// `use1` for `us-east-1`.
fn region_code(region: &str) -> String {
    let mut parts = region.split('-');
    let area = parts.next().unwrap_or_default();
    let rest: String = parts
        .map(|part| match part {
            "northeast" => "ne".to_owned(),
            "southeast" => "se".to_owned(),
            "northwest" => "nw".to_owned(),
            "southwest" => "sw".to_owned(),
            other => other.chars().take(1).collect(),
        })
        .collect();
    format!("{area}{rest}")
}
