//! What would a healthy cluster of these sizes look like, as the AWS Load Balancer Controller leaves it?
//!
//! Every load balancer has its managed and the shared backend security group, so the nodes' group has one rule a protocol.

mod cluster;
mod gateways;
mod in_tree;
mod legacy;
mod maker;
mod neighbour;
mod network;
mod shared_vpc;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::{Ipv4Net, Ipv6Net};
use jiff::{SignedDuration, Timestamp};

use super::{Partition, QuotaEntry, World, WorldKind, WorldScope, plan::Plan};
use crate::{
    inventory::{
        ids::{NodeName, SecurityGroupId, SubnetId, ZoneName},
        quota::{QUOTAS, QuotaScope},
    },
    simulator::sizes::Sizes,
};

/// The simulated account.
pub const ACCOUNT_ID: &str = "123456789012";
/// The simulated Region, unless in another partition.
pub const REGION: &str = "us-east-1";
/// The simulated cluster's name.
pub const CLUSTER_NAME: &str = "demo";
/// The version of the simulated controller.
pub const CONTROLLER_VERSION: &str = "v2.13.4";

/// The full key of one of the controller's Service annotations: `service.beta.kubernetes.io/aws-load-balancer-…`.
pub fn annotation(short: &str) -> String {
    format!("service.beta.kubernetes.io/aws-load-balancer-{short}")
}

/// Nodes with more pods than this get prefixes instead of single addresses, as one configures the VPC CNI for density.
const PODS_FOR_PREFIXES: usize = 30;

/// What is only needed while building.
struct Builder {
    world: World,
    kind: WorldKind,
    plan: Plan,
    sizes: Sizes,
    /// Free addresses of each subnet of the cluster's VPC.
    pools: BTreeMap<SubnetId, Pool>,
    /// The subnets the controller chooses, by scheme, one a zone and sorted as it sorts them.
    public: Vec<(ZoneName, SubnetId)>,
    private: Vec<(ZoneName, SubnetId)>,
    /// The private subnets of the neighbouring cluster, where they are not the same.
    neighbours: Vec<(ZoneName, SubnetId)>,
    /// Nodes by zone, and whose turn it is there.
    turns: Vec<(Vec<NodeName>, usize)>,
    /// Where a node's pods get their addresses: its subnet, its interface, what is left of its last prefix.
    places: BTreeMap<NodeName, Place>,
    next_node_port: u16,
    next_public_ip: u32,
    prefixes: bool,
}

/// The addresses of a subnet: single ones from below, prefixes of 16 from above.
struct Pool {
    net: Ipv4Net,
    below: u32,
    above: u32,
    used: i64,
}

struct Place {
    zone: ZoneName,
    subnet: SubnetId,
    interface: crate::inventory::ids::NetworkInterfaceId,
    prefix: Option<(Ipv4Net, u32)>,
    /// The delegated prefix of an IPv6 cluster's node, and how many addresses of it are given.
    ipv6: Option<(Ipv6Net, u16)>,
}

impl Pool {
    fn new(net: Ipv4Net) -> Self {
        let size = 1u32 << (32 - net.prefix_len());
        // AWS keeps the first four addresses and the last; a prefix with the last one in it cannot be had either.
        Self { net, below: 4, above: size - 16, used: 0 }
    }

    fn address(&mut self) -> Ipv4Addr {
        assert!(self.below < self.above, "the subnets are sized for twice the need");
        let address = Ipv4Addr::from(u32::from(self.net.network()) + self.below);
        self.below += 1;
        self.used += 1;
        address
    }

    fn prefix(&mut self) -> Ipv4Net {
        assert!(self.below + 16 <= self.above, "the subnets are sized for twice the need");
        self.above -= 16;
        self.used += 16;
        Ipv4Net::new_assert(Ipv4Addr::from(u32::from(self.net.network()) + self.above), 28)
    }

    fn free(&self) -> i64 {
        (1i64 << (32 - self.net.prefix_len())) - 5 - self.used
    }
}

impl World {
    /// A healthy world with a Service of every flavour: [`WorldKind::Mixed`].
    ///
    /// # Panics
    /// When no world can be made of the sizes; `SimulatorSettings` are checked before.
    pub fn build(sizes: &Sizes, now: Timestamp) -> Self {
        Self::build_kind(WorldKind::Mixed, sizes, now)
    }

    /// A healthy world of this kind and these sizes that is a month old at `now`. The same kind and sizes give the same names
    /// and addresses.
    ///
    /// # Panics
    /// When no world can be made of the sizes; `SimulatorSettings` are checked before.
    pub fn build_kind(kind: WorldKind, sizes: &Sizes, now: Timestamp) -> Self {
        Self::build_in(Partition::Aws, kind, sizes, now)
    }

    /// The same in a partition of AWS.
    ///
    /// # Panics
    /// When no world can be made of the sizes.
    pub fn build_in(partition: Partition, kind: WorldKind, sizes: &Sizes, now: Timestamp) -> Self {
        if let Some(problem) = sizes.problem() {
            panic!("{problem}");
        }
        let created_at = Timestamp::from_second(now.as_second() - SignedDuration::from_hours(24 * 30).as_secs())
            .expect("a month ago is a time");
        let plan = Plan::of(kind, sizes);
        let prefixes = plan.endpoints() > PODS_FOR_PREFIXES * sizes.nodes;
        let world = World {
            scope: WorldScope {
                account_id: ACCOUNT_ID.into(),
                partition,
                region: partition.region().into(),
                cluster_name: CLUSTER_NAME.into(),
                vpc_id: format!("vpc-{}", hex("vpc", 1, 17)).into(),
                node_group: format!("sg-{}", hex("group-nodes", 0, 17)).into(),
                backend_group: format!("sg-{}", hex("group-backend", 0, 17)).into(),
            },
            created_at,
            zones: Vec::new(),
            vpcs: BTreeMap::new(),
            subnets: BTreeMap::new(),
            route_tables: BTreeMap::new(),
            security_groups: BTreeMap::new(),
            prefix_lists: BTreeMap::new(),
            network_interfaces: BTreeMap::new(),
            addresses: BTreeMap::new(),
            load_balancers: BTreeMap::new(),
            target_groups: BTreeMap::new(),
            quotas: BTreeMap::new(),
            quota_requests: BTreeMap::new(),
            nodes: BTreeMap::new(),
            services: BTreeMap::new(),
            bindings: BTreeMap::new(),
            gateway_classes: BTreeMap::new(),
            gateways: BTreeMap::new(),
            routes: BTreeMap::new(),
            events: BTreeMap::new(),
            controller: None,
            // EKS Auto Mode gives pods their addresses without that DaemonSet.
            vpc_cni: kind != WorldKind::AutoMode,
            auto_mode: kind == WorldKind::AutoMode,
            changes: BTreeSet::new(),
            sequence: 0,
        };
        let mut builder = Builder {
            world,
            kind,
            plan,
            sizes: sizes.clone(),
            pools: BTreeMap::new(),
            public: Vec::new(),
            private: Vec::new(),
            neighbours: Vec::new(),
            turns: Vec::new(),
            places: BTreeMap::new(),
            next_node_port: 30_000,
            next_public_ip: 0,
            prefixes,
        };
        builder.network();
        builder.nodes();
        builder.cluster();
        builder.fill_security_groups();
        builder.settle_addresses();
        if kind == WorldKind::SharedVpc {
            builder.share_vpc();
        }
        builder.quotas();
        builder.note_everything(now);
        builder.world
    }
}

impl Builder {
    /// An AWS identifier: the same for the same kind and number.
    fn address_in(&mut self, subnet: &SubnetId) -> Ipv4Addr {
        self.pools.get_mut(subnet).expect("every subnet of the VPC has a pool").address()
    }

    fn settle_addresses(&mut self) {
        for (id, pool) in &self.pools {
            self.world.subnets.get_mut(id).expect("pools are of subnets").free_addresses = pool.free();
        }
    }

    /// Limits with room: AWS's default, or a raised value where the world is too big for the default.
    fn quotas(&mut self) {
        for quota in QUOTAS {
            let usage = self.usage(quota.name);
            let raised = (usage * 3 / 2 > quota.default as usize).then(|| (2 * usage).next_multiple_of(10) as f64);
            // Nobody ever asked for these, so Service Quotas has no applied value of them.
            let never_asked =
                matches!(quota.name, "routes_per_route_table" | "subnets_per_vpc" | "security_groups_per_network_interface");
            self.world.quotas.insert(
                (quota.service_code, quota.quota_code),
                QuotaEntry {
                    name: quota_name(quota.name),
                    default: quota.default,
                    applied: raised.or((!never_asked).then_some(quota.default)),
                    adjustable: quota.adjustable,
                    account_limit: quota.account_limit,
                },
            );
            debug_assert!(quota.scope != QuotaScope::SecurityGroup || raised.is_none());
        }
    }

    fn usage(&self, quota: &str) -> usize {
        let world = &self.world;
        let per_load_balancer = || {
            let mut most = BTreeMap::<_, usize>::new();
            for group in world.target_groups.values() {
                for lb in &group.load_balancers {
                    *most.entry(lb).or_default() += group.targets.len();
                }
            }
            most.into_values().max().unwrap_or(0)
        };
        match quota {
            "network_load_balancers" => world.load_balancers.len(),
            "target_groups" => world.target_groups.len(),
            "network_load_balancer_enis_per_vpc" => world.load_balancers.len() * world.zones.len(),
            "targets_per_network_load_balancer" | "targets_per_availability_zone_per_network_load_balancer" => {
                per_load_balancer()
            }
            "targets_per_target_group" => world.target_groups.values().map(|group| group.targets.len()).max().unwrap_or(0),
            "security_groups" => world.security_groups.len(),
            "network_interfaces_per_availability_zone" => world.network_interfaces.len() / world.zones.len(),
            "subnets_per_vpc" => self.sizes.subnets,
            "elastic_ips" => world.addresses.values().filter(|address| address.service_managed.is_none()).count(),
            _ => 0,
        }
    }
}

fn quota_name(name: &'static str) -> &'static str {
    match name {
        "network_load_balancers" => "Network Load Balancers per Region",
        "target_groups" => "Target Groups per Region",
        "network_load_balancer_enis_per_vpc" => "Network Load Balancer ENIs per VPC",
        "listeners_per_network_load_balancer" => "Listeners per Network Load Balancer",
        "targets_per_network_load_balancer" => "Targets per Network Load Balancer",
        "targets_per_availability_zone_per_network_load_balancer" => "Targets per Availability Zone per Network Load Balancer",
        "certificates_per_network_load_balancer" => "Certificates per Network Load Balancer",
        "targets_per_target_group" => "Targets per Target Group per Region",
        "rules_per_security_group" => "Inbound or outbound rules per security group",
        "security_groups_per_network_interface" => "Security groups per network interface",
        "security_groups" => "VPC security groups per Region",
        "network_interfaces_per_availability_zone" => "Network interfaces per Region",
        "subnets_per_vpc" => "Subnets per VPC",
        "route_tables_per_vpc" => "Route tables per VPC",
        "routes_per_route_table" => "Routes per route table",
        "elastic_ips" => "EC2-VPC Elastic IPs",
        other => other,
    }
}

/// `digits` hexadecimal digits that look drawn by lot and are the same for the same kind and number.
fn hex(kind: &str, number: usize, digits: usize) -> String {
    let mut state =
        kind.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    state ^= number as u64;
    let mut text = String::with_capacity(digits + 16);
    while text.len() < digits {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        text.push_str(&format!("{:016x}", crate::simulator::mix(state)));
    }
    text.truncate(digits);
    text
}

/// A UUID that is the same for the same kind and number.
fn uuid(kind: &str, number: usize) -> Arc<str> {
    let digits = hex(kind, number, 32);
    format!("{}-{}-4{}-a{}-{}", &digits[..8], &digits[8..12], &digits[13..16], &digits[17..20], &digits[20..]).into()
}

fn group_id(kind: &str, number: usize) -> SecurityGroupId {
    format!("sg-{}", hex(kind, number, 17)).into()
}
