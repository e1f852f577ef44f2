//! How many rules of its quota does a security group use? Exactly as AWS counts them.
//!
//! The quota holds four times over: inbound and outbound, IPv4 and IPv6. One rule is a protocol, a port range and one
//! source or destination. A CIDR counts in its own family, another security group in both, a prefix list in its own
//! family with its whole size: `MaxEntries` of a customer's list, a published weight of one of AWS's.

use std::collections::BTreeSet;

use ipnet::IpNet;

use crate::inventory::aws::{IpFamily, Peer, PrefixList, Rule};
use crate::inventory::ids::PrefixListId;
use crate::inventory::quota::prefix_list_weight;

/// The rules of one direction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleCount {
    /// Used of the quota in IPv4.
    pub ipv4: u64,
    /// Used of the quota in IPv6.
    pub ipv6: u64,
    /// Prefix lists whose size is not known. With any, the counts are lower bounds: such a list counts as 1 in its
    /// family, and not at all while its family is unknown too.
    pub unknown: BTreeSet<PrefixListId>,
}

impl RuleCount {
    /// Counts rules. Equal rules are one, whatever their description; order does not matter.
    pub fn of<'a>(rules: &'a [Rule], list: impl Fn(&PrefixListId) -> Option<&'a PrefixList>) -> Self {
        let mut distinct: Vec<_> = rules.iter().map(|rule| (&rule.protocol, rule.ports, &rule.peer)).collect();
        distinct.sort_unstable();
        distinct.dedup();
        let mut count = Self::default();
        for (_, _, peer) in distinct {
            match peer {
                Peer::Cidr(IpNet::V4(_)) => count.ipv4 += 1,
                Peer::Cidr(IpNet::V6(_)) => count.ipv6 += 1,
                Peer::SecurityGroup(_) => {
                    count.ipv4 += 1;
                    count.ipv6 += 1;
                }
                Peer::PrefixList(id) => count.add_list(id, list(id)),
            }
        }
        count
    }

    fn add_list(&mut self, id: &PrefixListId, list: Option<&PrefixList>) {
        let Some(list) = list else {
            self.unknown.insert(id.clone());
            return;
        };
        let size = size(list).unwrap_or_else(|| {
            self.unknown.insert(id.clone());
            1
        });
        *self.family_mut(list.ip_family) += u64::from(size);
    }

    fn family_mut(&mut self, family: IpFamily) -> &mut u64 {
        match family {
            IpFamily::Ipv4 => &mut self.ipv4,
            IpFamily::Ipv6 => &mut self.ipv6,
        }
    }

    /// Used of the quota in a family.
    pub fn family(&self, family: IpFamily) -> u64 {
        match family {
            IpFamily::Ipv4 => self.ipv4,
            IpFamily::Ipv6 => self.ipv6,
        }
    }

    /// Used of the quota: the fuller family.
    pub fn used(&self) -> u64 {
        self.ipv4.max(self.ipv6)
    }
}

/// As how many rules a reference to a list counts. What an AWS-managed list may show as `MaxEntries` is not its weight.
fn size(list: &PrefixList) -> Option<u32> {
    if list.aws_managed { prefix_list_weight(&list.name) } else { list.max_entries }
}

#[cfg(test)]
mod truth_table;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::ids::SecurityGroupId;
    use proptest::prelude::*;

    fn rule(port: i32, peer: Peer) -> Rule {
        Rule { protocol: "tcp".into(), ports: Some((port, port)), peer, description: None }
    }

    fn v4(n: u32) -> Peer {
        Peer::Cidr(IpNet::V4(format!("10.{}.{}.0/24", n / 256, n % 256).parse().unwrap()))
    }

    fn v6(n: u32) -> Peer {
        Peer::Cidr(IpNet::V6(format!("2001:db8:{n:x}::/48").parse().unwrap()))
    }

    fn group(n: u32) -> Peer {
        Peer::SecurityGroup(SecurityGroupId::new(format!("sg-{n}")))
    }

    fn list(id: &str, name: &str, ip_family: IpFamily, max_entries: Option<u32>, aws_managed: bool) -> PrefixList {
        PrefixList { id: id.into(), name: name.into(), ip_family, max_entries, aws_managed }
    }

    fn lists() -> Vec<PrefixList> {
        vec![
            list("pl-v4", "office", IpFamily::Ipv4, Some(20), false),
            list("pl-v6", "office6", IpFamily::Ipv6, Some(10), false),
            list("pl-cf", "com.amazonaws.global.cloudfront.origin-facing", IpFamily::Ipv4, None, true),
            list("pl-s3", "com.amazonaws.us-east-1.s3", IpFamily::Ipv4, Some(20), true),
            list("pl-new", "com.amazonaws.us-east-1.new-thing", IpFamily::Ipv6, Some(7), true),
            list("pl-blank", "blank", IpFamily::Ipv4, None, false),
        ]
    }

    fn count(rules: &[Rule]) -> RuleCount {
        let lists = lists();
        // The closure's lists must live as long as the rules; leaking a few in a test is the short way.
        let lists: &'static [PrefixList] = Vec::leak(lists);
        let rules: &'static [Rule] = Vec::leak(rules.to_vec());
        RuleCount::of(rules, |id| lists.iter().find(|list| list.id == *id))
    }

    fn pl(id: &str) -> Peer {
        Peer::PrefixList(PrefixListId::from(id))
    }

    fn numbers(count: &RuleCount) -> (u64, u64, u64) {
        (count.ipv4, count.ipv6, count.used())
    }

    #[test]
    fn a_mixed_group_counts_each_source_in_its_families() {
        let mut rules: Vec<_> = (0..30).map(|n| rule(443, v4(n))).collect();
        rules.extend((0..12).map(|n| rule(443, v6(n))));
        rules.extend((0..4).map(|n| rule(443, group(n))));
        rules.push(rule(443, pl("pl-v4")));
        rules.push(rule(443, pl("pl-v6")));
        let count = count(&rules);
        assert_eq!(numbers(&count), (54, 26, 54));
        assert!(count.unknown.is_empty());
    }

    #[test]
    fn sixty_of_each_family_are_sixty() {
        let mut rules: Vec<_> = (0..60).map(|n| rule(443, v4(n))).collect();
        rules.extend((0..60).map(|n| rule(443, v6(n))));
        assert_eq!(numbers(&count(&rules)), (60, 60, 60));
    }

    #[test]
    fn fifty_seven_ranges_and_three_groups_fill_ipv4_and_leave_ipv6() {
        let mut rules: Vec<_> = (0..57).map(|n| rule(443, v4(n))).collect();
        rules.extend((0..3).map(|n| rule(443, group(n))));
        assert_eq!(numbers(&count(&rules)), (60, 3, 60));
        rules.extend((0..57).map(|n| rule(443, v6(n))));
        assert_eq!(numbers(&count(&rules)), (60, 60, 60), "3 + n stays allowed up to 60");
    }

    #[test]
    fn an_aws_list_weighs_in_once_per_rule_that_names_it() {
        assert_eq!(numbers(&count(&[rule(443, pl("pl-cf"))])), (55, 0, 55));
        assert_eq!(numbers(&count(&[rule(443, pl("pl-cf")), rule(80, pl("pl-cf"))])), (110, 0, 110));
        assert_eq!(numbers(&count(&[rule(443, pl("pl-s3"))])), (1, 0, 1), "its MaxEntries is not its weight");
    }

    #[test]
    fn sixty_ranges_under_one_permission_are_sixty_rules() {
        let rules: Vec<_> = (0..61).map(|n| rule(443, v4(n))).collect();
        assert_eq!(count(&rules[..60]).used(), 60);
        assert_eq!(count(&rules).used(), 61);
    }

    #[test]
    fn the_same_range_on_two_ports_is_two_rules_and_all_traffic_counts_like_any_other() {
        assert_eq!(count(&[rule(80, v4(1)), rule(443, v4(1))]).ipv4, 2);
        let all = Rule { protocol: "-1".into(), ports: None, peer: v4(1), description: None };
        let all6 = Rule { peer: v6(1), ..all.clone() };
        assert_eq!(numbers(&count(&[all, all6])), (1, 1, 1));
    }

    #[test]
    fn an_unknown_list_leaves_a_lower_bound_and_says_so() {
        let found = count(&[rule(443, v4(1)), rule(443, pl("pl-nowhere")), rule(443, pl("pl-new")), rule(443, pl("pl-blank"))]);
        assert_eq!(numbers(&found), (2, 1, 2));
        assert_eq!(found.unknown, ["pl-blank", "pl-new", "pl-nowhere"].map(PrefixListId::from).into());
    }

    fn any_rule() -> impl Strategy<Value = Rule> {
        let peer = prop_oneof![
            (0u32..40).prop_map(v4),
            (0u32..40).prop_map(v6),
            (0u32..9).prop_map(group),
            prop::sample::select(vec!["pl-v4", "pl-v6", "pl-cf", "pl-new", "pl-nowhere"]).prop_map(pl),
        ];
        (peer, 0i32..3).prop_map(|(peer, port)| rule(port, peer))
    }

    proptest! {
        #[test]
        fn order_duplicates_and_descriptions_never_change_the_count(
            rules in prop::collection::vec(any_rule(), 0..50),
            seed in prop::collection::vec(any::<prop::sample::Index>(), 0..50),
        ) {
            let before = count(&rules);
            let mut other = rules.clone();
            for index in seed.iter().filter(|_| !rules.is_empty()) {
                let again = Rule { description: Some("again".into()), ..rules[index.index(rules.len())].clone() };
                other.insert(index.index(other.len() + 1), again);
            }
            other.reverse();
            prop_assert_eq!(count(&other), before);
        }

        #[test]
        fn a_group_counts_as_the_sum_of_what_its_distinct_rules_count(rules in prop::collection::btree_set(any_rule(), 0..50), at in 0usize..50) {
            // Splitting a permission in two leaves the same rules.
            let rules: Vec<_> = rules.into_iter().collect();
            let (left, right) = rules.split_at(at.min(rules.len()));
            let (whole, left, right) = (count(&rules), count(left), count(right));
            prop_assert_eq!(whole.ipv4, left.ipv4 + right.ipv4);
            prop_assert_eq!(whole.ipv6, left.ipv6 + right.ipv6);
            prop_assert!(whole.used() <= whole.ipv4 + whole.ipv6);
        }
    }
}
