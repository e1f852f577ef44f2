//! Is what the checks say of a healthy world what the world is? Compared number by number with the simulator's own state.

use std::collections::{BTreeMap, BTreeSet};

use eks_nlb_exporter::checks::model::Outcome;
use eks_nlb_exporter::inventory::aws::{Peer, Rule};
use eks_nlb_exporter::simulator::world::World;

/// What differs, a sentence each.
pub(crate) fn wrong_values(outcome: &Outcome, world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut compare = |what: &str, said: BTreeMap<String, f64>, true_values: BTreeMap<String, f64>| {
        for key in said.keys().chain(true_values.keys()).collect::<BTreeSet<_>>() {
            if said.get(key) != true_values.get(key) {
                wrong.push(format!("{what} of {key} is {:?}, not {:?}", said.get(key), true_values.get(key)));
            }
        }
    };

    let groups = world.target_groups.iter();
    compare(
        "target_group_targets",
        sums(outcome, "target_group_targets", &["target_group"], |_| true),
        groups.clone().map(|(id, group)| (id.to_string(), group.targets.len() as f64)).collect(),
    );
    compare(
        "healthy target_group_targets",
        sums(outcome, "target_group_targets", &["target_group"], |labels| labels.get("state") == Some(&"healthy")),
        groups
            .map(|(id, group)| {
                (id.to_string(), group.targets.iter().filter(|target| target.health.state == "healthy").count() as f64)
            })
            .collect(),
    );
    compare(
        "subnet_available_ip_addresses",
        sums(outcome, "subnet_available_ip_addresses", &["subnet_id"], |_| true),
        (world.subnets.iter())
            .filter(|(_, subnet)| subnet.vpc_id == world.scope.vpc_id && subnet.cidr.is_some())
            .map(|(id, subnet)| (id.to_string(), subnet.free_addresses as f64))
            .collect(),
    );

    let said = sums(outcome, "security_group_rules", &["security_group_id", "direction", "ip_family"], |_| true);
    let with_role: BTreeSet<_> = said.keys().filter_map(|key| key.split(' ').next()).collect();
    let mut rules = BTreeMap::new();
    for (id, group) in world.security_groups.iter().filter(|(id, _)| with_role.contains(id.as_str())) {
        for (direction, list) in [("inbound", &group.inbound), ("outbound", &group.outbound)] {
            for family in ["ipv4", "ipv6"] {
                let count: usize = list.iter().map(|rule| cost(rule, family, world)).sum();
                rules.insert(format!("{id} {direction} {family}"), count as f64);
            }
        }
    }
    compare("security_group_rules", said, rules);

    compare(
        "quota_usage",
        sums(outcome, "quota_usage", &["quota"], |labels| {
            matches!(labels.get("quota"), Some(&"network_load_balancers" | &"target_groups" | &"security_groups"))
        }),
        [
            ("network_load_balancers", world.load_balancers.len()),
            ("target_groups", world.target_groups.len()),
            ("security_groups", world.security_groups.len()),
        ]
        .map(|(quota, count)| (quota.to_owned(), count as f64))
        .into(),
    );
    let nothing = || BTreeMap::new();
    let nonzero = |family: &str, labels: &[&str]| {
        let mut sums = sums(outcome, family, labels, |_| true);
        sums.retain(|_, value| *value != 0.0);
        sums
    };
    compare("service_drifted_annotations", nonzero("service_drifted_annotations", &["namespace", "service"]), nothing());
    compare("target_group_missing_targets", nonzero("target_group_missing_targets", &["target_group"]), nothing());
    compare("target_group_unexpected_targets", nonzero("target_group_unexpected_targets", &["target_group"]), nothing());
    wrong
}

/// How much of the rules quota a rule takes in a family.
fn cost(rule: &Rule, family: &str, world: &World) -> usize {
    match &rule.peer {
        Peer::Cidr(cidr) => usize::from(cidr.addr().is_ipv4() == (family == "ipv4")),
        Peer::SecurityGroup(_) => 1,
        Peer::PrefixList(id) => {
            let list = &world.prefix_lists[id];
            if list.family.eq_ignore_ascii_case(family) { list.max_entries.map_or(0, |most| most as usize) } else { 0 }
        }
    }
}

/// The sums of a family's samples that `choose` says yes to, by these labels.
fn sums(outcome: &Outcome, family: &str, by: &[&str], choose: impl Fn(&BTreeMap<&str, &str>) -> bool) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for family in outcome.families.iter().filter(|found| found.description.name == family) {
        for sample in &family.samples {
            let values = sample.labels.iter().map(|label| label.as_str());
            let labels: BTreeMap<_, _> = family.description.labels.iter().copied().zip(values).collect();
            if choose(&labels) {
                let key: Vec<&str> = by.iter().map(|name| labels[name]).collect();
                *sums.entry(key.join(" ")).or_default() += sample.value;
            }
        }
    }
    sums
}
