//! Which Services does a world of these sizes have, and how are its target groups and targets shared out among them?

use super::WorldKind;
use crate::simulator::sizes::Sizes;

/// What is particular about a Service and its load balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flavour {
    /// Address targets, internet-facing.
    Public,
    /// Address targets, internal by default, an HTTP health check, cross-zone on, tags of its own.
    Checked,
    /// Address targets, internal by annotation.
    Internal,
    /// Instance targets with policy Local, internet-facing.
    Local,
    /// Address targets, UDP.
    Udp,
    /// Address targets, TLS on the port named `https`, internet-facing.
    Tls,
    /// Instance targets with policy Cluster.
    Instance,
    /// Address targets with target group attributes.
    Attributes,
    /// Address targets with the PROXY protocol.
    Proxy,
    /// Owned by `spec.loadBalancerClass`, sources from a prefix list.
    Class,
    /// Address targets, explicit subnets with Elastic IPs.
    Explicit,
    /// Address targets, health check settings of its own.
    Interval,
}

const FLAVOURS: [Flavour; 12] = [
    Flavour::Public,
    Flavour::Checked,
    Flavour::Internal,
    Flavour::Local,
    Flavour::Udp,
    Flavour::Tls,
    Flavour::Instance,
    Flavour::Attributes,
    Flavour::Proxy,
    Flavour::Class,
    Flavour::Explicit,
    Flavour::Interval,
];

/// The flavours of a kind of world, in turn.
fn flavours(kind: WorldKind) -> &'static [Flavour] {
    use Flavour::{Attributes, Checked, Class, Explicit, Instance, Internal, Interval, Local, Proxy, Public, Tls, Udp};
    match kind {
        WorldKind::Mixed | WorldKind::TwoClusters => &FLAVOURS,
        WorldKind::Newest => &[Public, Checked, Internal, Udp, Tls, Attributes, Proxy, Class, Explicit, Interval],
        WorldKind::InstanceLocal => &[Local],
        WorldKind::Legacy => &[Public, Checked, Internal, Local, Udp, Tls, Instance, Attributes, Explicit, Interval],
        WorldKind::InTree => &[Local, Instance],
        WorldKind::AutoMode => &[Public, Checked, Internal, Udp, Attributes, Interval],
        WorldKind::GatewayApi => &[Public, Public, Checked, Internal, Udp, Udp, Tls, Internal],
        WorldKind::DualStack => &[Public, Checked, Internal, Tls, Attributes, Proxy, Explicit, Interval],
        WorldKind::PrivateOnly => &[Checked, Internal, Instance, Udp, Attributes, Proxy, Class, Interval],
        WorldKind::SharedVpc => &[Public, Checked, Internal, Local, Udp, Tls, Instance, Class],
    }
}

/// Names of the first Services, so that a demonstration reads like a shop's cluster; the order is that of `FLAVOURS`.
const NAMES: [(&str, &str); 16] = [
    ("shop", "web"),
    ("shop", "api"),
    ("pay", "checkout"),
    ("ops", "ingress"),
    ("ops", "dns"),
    ("media", "stream"),
    ("shop", "cart"),
    ("pay", "ledger"),
    ("data", "ingest"),
    ("data", "queue"),
    ("web", "edge"),
    ("ops", "metrics"),
    ("shop", "search"),
    ("pay", "fraud"),
    ("data", "cache"),
    ("media", "thumbs"),
];

/// A Service with a load balancer.
#[derive(Debug, Clone)]
pub(super) struct ServicePlan {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) flavour: Flavour,
    pub(super) ports: usize,
    pub(super) endpoints: usize,
}

/// A Service without one, or a load balancer of the neighbouring cluster.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Services with a load balancer.
    pub(super) owned: Vec<ServicePlan>,
    /// Services without one: namespace, name and number of endpoints.
    pub(super) plain: Vec<(String, String, usize)>,
    /// Load balancers of the neighbouring cluster: number of ports and of targets a port.
    pub(super) foreign: Vec<(usize, usize)>,
}

impl Plan {
    pub(super) fn of(kind: WorldKind, sizes: &Sizes) -> Self {
        let flavours = flavours(kind);
        let instances = |flavour| matches!(flavour, Flavour::Local | Flavour::Instance);
        let only_instances = flavours.iter().copied().all(instances);
        let ports =
            |lb: usize| sizes.target_groups / sizes.load_balancers + usize::from(lb < sizes.target_groups % sizes.load_balancers);
        let owned_count = sizes.services.min(sizes.load_balancers);
        let mut owned: Vec<ServicePlan> = (0..owned_count)
            .map(|index| {
                let (namespace, name) = name_of(index);
                let flavour = flavours[index % flavours.len()];
                ServicePlan { namespace, name, flavour, ports: ports(index), endpoints: 0 }
            })
            .collect();

        // Instance targets are dear (every node on every port): they get at most a third, and never what others need.
        let mut address_ports = sizes.target_groups;
        let mut spent = 0;
        for plan in &mut owned {
            if instances(plan.flavour) {
                let cost = plan.ports * sizes.nodes;
                if only_instances
                    || spent + cost <= sizes.targets * 3 / 10 && spent + cost + address_ports - plan.ports <= sizes.targets
                {
                    spent += cost;
                    address_ports -= plan.ports;
                    plan.endpoints = sizes.zones;
                } else {
                    plan.flavour = Flavour::Internal;
                }
            }
        }

        let mut left = sizes.targets.saturating_sub(spent);
        let mut share = |ports: usize| {
            let each = ((2 * left + address_ports) / (2 * address_ports).max(1)).clamp(1, (left / ports).max(1));
            left = left.saturating_sub(each * ports);
            address_ports = address_ports.saturating_sub(ports);
            each
        };
        for plan in owned.iter_mut().filter(|plan| plan.endpoints == 0) {
            plan.endpoints = share(plan.ports);
        }
        let mut foreign: Vec<_> = (owned_count..sizes.load_balancers).map(|lb| (ports(lb), share(ports(lb)))).collect();
        if kind == WorldKind::TwoClusters {
            foreign.extend([(1, 3), (2, 3), (1, 2), (1, 3)]);
        }
        let mut plain: Vec<(String, String, usize)> = (owned_count..sizes.services)
            .map(|index| {
                let (namespace, name) = name_of(index);
                (namespace, name, 2)
            })
            .collect();

        // Endpoints beyond what the targets need stand behind Services where they cost no target.
        let have = owned.iter().map(|plan| plan.endpoints).sum::<usize>() + 2 * plain.len();
        let mut spare: Vec<&mut usize> = owned
            .iter_mut()
            .filter(|plan| matches!(plan.flavour, Flavour::Local | Flavour::Instance))
            .map(|plan| &mut plan.endpoints)
            .collect();
        if spare.is_empty() {
            spare = plain.iter_mut().map(|(_, _, endpoints)| endpoints).collect();
        }
        let extra = sizes.endpoints.saturating_sub(have);
        let count = spare.len();
        for (index, endpoints) in spare.into_iter().enumerate() {
            *endpoints += extra / count + usize::from(index < extra % count);
        }
        Self { owned, plain, foreign }
    }

    /// All endpoints, for the size of the subnets.
    pub(super) fn endpoints(&self) -> usize {
        self.owned.iter().map(|plan| plan.endpoints).sum::<usize>()
            + self.plain.iter().map(|(_, _, endpoints)| endpoints).sum::<usize>()
            + self.foreign.iter().map(|(_, targets)| targets).sum::<usize>()
    }
}

fn name_of(index: usize) -> (String, String) {
    match NAMES.get(index) {
        Some((namespace, name)) => ((*namespace).to_owned(), (*name).to_owned()),
        None => (format!("team-{:02}", index % 40), format!("svc-{index:05}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(plan: &Plan, nodes: usize) -> usize {
        let owned = plan
            .owned
            .iter()
            .map(|one| one.ports * if matches!(one.flavour, Flavour::Local | Flavour::Instance) { nodes } else { one.endpoints });
        owned.sum::<usize>() + plan.foreign.iter().map(|(ports, each)| ports * each).sum::<usize>()
    }

    #[test]
    fn world_l_has_exactly_what_it_says() {
        let sizes = Sizes::large();
        let plan = Plan::of(WorldKind::Mixed, &sizes);
        assert_eq!(targets(&plan, sizes.nodes), 30_000);
        assert_eq!(plan.endpoints(), 30_000);
        assert_eq!(plan.owned.len(), 1_000);
        assert_eq!(plan.owned.iter().map(|one| one.ports).sum::<usize>(), 3_000);
    }

    #[test]
    fn a_target_group_never_goes_without_a_target() {
        let sizes = Sizes { targets: 18, ..Sizes::default() };
        let plan = Plan::of(WorldKind::Mixed, &sizes);
        assert!(plan.owned.iter().all(|one| one.endpoints >= 1));
        assert_eq!(targets(&plan, sizes.nodes), 18);
    }

    #[test]
    fn load_balancers_without_a_service_are_the_neighbours() {
        let plan = Plan::of(WorldKind::Mixed, &Sizes { services: 2, ..Sizes::default() });
        assert_eq!((plan.owned.len(), plan.foreign.len(), plan.plain.len()), (2, 10, 0));
    }
}
