use super::fixtures::{BACK, FRONT, NODE, World, cidr, edit, failure, group, incomplete, now, rule, rules};
use super::{CHECK, QUOTA};
use crate::config::policy::SecurityGroupScope;
use crate::inventory::aws::{IpFamily, Peer, PrefixList, QuotaOrigin};
use crate::inventory::ids::{PrefixListId, SecurityGroupId};
use crate::inventory::part::Part;
use crate::inventory::quota::{QuotaRequest, RequestStatus};
use jiff::ToSpan;
use std::sync::Arc;

/// The healthy cluster with so many inbound rules on the nodes' group.
fn with_rules(ipv4: u32, ipv6: u32) -> World {
    let mut world = World::healthy();
    world.edit_group(NODE, |it| it.inbound = rules(ipv4, ipv6));
    world
}

/// The same, in a cluster whose load balancers have no groups: each costs one IPv4 rule.
fn with_ranges(ipv4: u32, ipv6: u32) -> World {
    let mut world = with_rules(ipv4, ipv6);
    world.set_controller("v2.5.4", &[]);
    world.edit_load_balancer("web", |it| it.security_groups.clear());
    world
}

#[test]
fn a_healthy_cluster_has_series_for_groups_with_a_role_and_no_findings() {
    let said = World::healthy().run(&CHECK);
    assert_eq!(said.codes(), [""; 0]);
    assert_eq!(said.value("security_group_info", &[NODE, "sg-node-name", "vpc-1"]), Some(1.0));
    assert_eq!(said.value("security_group_role", &[NODE, "endpoint", "", ""]), Some(1.0));
    assert_eq!(said.value("security_group_role", &[FRONT, "frontend_managed", "shop", "web"]), Some(1.0));
    assert_eq!(said.value("security_group_rules", &[NODE, "inbound", "ipv4"]), Some(1.0));
    assert_eq!(said.value("security_group_rules", &[NODE, "inbound", "ipv6"]), Some(1.0), "a group counts in both families");
    assert_eq!(said.value("security_group_rules", &[NODE, "outbound", "ipv4"]), Some(1.0));
    assert_eq!(said.value("security_group_rules", &[BACK, "inbound", "ipv6"]), Some(0.0));
    assert_eq!(said.value("security_group_rules", &["sg-unrelated", "inbound", "ipv4"]), None);
    assert_eq!(said.series("security_group_rules").len(), 3 * 4);
}

#[test]
fn all_groups_of_the_vpc_are_counted_when_asked_for() {
    let mut world = World::healthy();
    world.policy.security_groups = SecurityGroupScope::Vpc;
    world.add_group(crate::inventory::aws::SecurityGroup { vpc_id: "vpc-2".into(), ..group("sg-away", &[], rules(60, 0)) });
    let said = world.run(&CHECK);
    assert_eq!(said.value("security_group_rules", &["sg-unrelated", "inbound", "ipv4"]), Some(59.0));
    assert_eq!(said.value("security_group_rules", &["sg-away", "inbound", "ipv4"]), None, "rules elsewhere are not known");
    assert_eq!(said.codes(), [""; 0], "only endpoint groups are judged");
}

#[test]
fn an_endpoint_group_warns_at_ninety_percent_and_pages_when_nothing_is_left() {
    for (used, codes) in [(53, vec![]), (54, vec!["NLB302"]), (59, vec!["NLB302"]), (60, vec!["NLB301"])] {
        assert_eq!(with_rules(used, 0).run(&CHECK).codes(), codes, "{used}");
        assert_eq!(with_rules(0, used).run(&CHECK).codes(), codes, "{used}: a rule that names a group needs room in IPv6 too");
    }
    let said = with_rules(60, 0).run(&CHECK);
    assert_eq!(said.findings(), [("NLB301", "security group sg-node".to_owned())]);
    assert_eq!(
        said.messages(),
        [
            "sg-node (sg-node-name) uses 60 of 60 inbound rules in ipv4, and one more load balancer needs 1 free; to ask for 120: aws \
          service-quotas request-service-quota-increase --service-code vpc --quota-code L-0EA8095F --desired-value 120"
        ]
    );
}

#[test]
fn of_rules_no_more_is_asked_for_than_the_groups_of_an_interface_allow() {
    let end = |rules: f64, groups: f64| {
        let mut world = with_rules(rules as u32, 0);
        world.set_quota(QUOTA, rules, QuotaOrigin::Applied);
        world.set_quota("security_groups_per_network_interface", groups, QuotaOrigin::Applied);
        world.run(&CHECK).messages()[0].to_string()
    };
    assert!(end(120.0, 5.0).ends_with("--desired-value 200"), "200 rules x 5 groups = 1000");
    assert!(
        end(200.0, 5.0)
            .ends_with("; more than 200 cannot be had, since rules per group times groups per interface may not exceed 1000")
    );
    let mut world = with_rules(60, 0);
    let request = QuotaRequest { id: "r".into(), status: RequestStatus::Pending, desired_value: 90.0, requested_at: None };
    world.parts.quota_requests = Part::fetched([(QUOTA.into(), vec![request])].into(), now());
    assert!(world.run(&CHECK).messages()[0].ends_with("needs 1 free; a request for 90 is pending"));
}

#[test]
fn without_groups_only_the_family_of_the_targets_matters() {
    assert_eq!(with_ranges(60, 0).run(&CHECK).codes(), ["NLB301"]);
    assert_eq!(with_ranges(0, 60).run(&CHECK).codes(), [""; 0], "57 v4 and 3 groups: the next v6 rule is another matter");
}

#[test]
fn the_cost_of_one_more_load_balancer_decides_what_is_too_little() {
    let with = |used| {
        let mut world = with_ranges(used, 0);
        // Three zones and one range of clients: four rules.
        world.edit_service("web", |it| it.source_ranges = vec!["10.0.0.0/8".into()]);
        world.set_quota(QUOTA, 200.0, QuotaOrigin::Applied);
        world
    };
    for (used, codes) in
        [(179, vec![]), (180, vec!["NLB302"]), (196, vec!["NLB302"]), (197, vec!["NLB301"]), (200, vec!["NLB301"])]
    {
        assert_eq!(with(used).run(&CHECK).codes(), codes, "{used}");
    }
    let small = |used| {
        let mut world = with(used);
        world.set_quota(QUOTA, 60.0, QuotaOrigin::Applied);
        world.run(&CHECK).codes()
    };
    assert_eq!((small(51), small(52)), (vec![], vec!["NLB302"]), "two load balancers are more than a tenth");
}

#[test]
fn where_users_keep_the_rules_themselves_a_full_group_is_only_a_warning() {
    let mut world = with_rules(60, 0);
    world.add_group(group("sg-mine", &[], Vec::new()));
    world.edit_load_balancer("web", |it| it.security_groups = [SecurityGroupId::from("sg-mine")].into());
    assert_eq!(world.run(&CHECK).codes(), ["NLB302"]);
    world.edit_group(NODE, |it| it.inbound = rules(53, 0));
    assert_eq!(world.run(&CHECK).codes(), [""; 0]);
}

#[test]
fn frontend_groups_and_outbound_rules_are_full_in_silence() {
    let mut world = World::healthy();
    world.edit_group(FRONT, |it| it.inbound = rules(60, 60));
    world.edit_group(NODE, |it| it.outbound = rules(60, 60));
    let said = world.run(&CHECK);
    assert_eq!(said.codes(), [""; 0]);
    assert_eq!(said.value("security_group_rules", &[FRONT, "inbound", "ipv4"]), Some(60.0));
}

#[test]
fn an_assumed_or_unknown_limit_proves_nothing() {
    let mut world = with_rules(61, 0);
    world.set_quota(QUOTA, 60.0, QuotaOrigin::Assumed);
    assert_eq!(world.run(&CHECK).codes(), [""; 0]);
    world.parts.quotas = Part::default();
    assert_eq!(world.run(&CHECK).codes(), [""; 0]);
    world.policy.quota_overrides.insert(QUOTA.into(), 61.0);
    assert_eq!(world.run(&CHECK).codes(), ["NLB301"], "an override is as good as known");
}

#[test]
fn more_than_the_limit_is_a_finding_about_the_count_and_no_page() {
    let said = with_rules(61, 0).run(&CHECK);
    assert_eq!(said.findings(), [("NLB303", "security group sg-node".to_owned())]);
    let mut world = World::healthy();
    world.edit_group(FRONT, |it| it.outbound = rules(0, 70));
    let said = world.run(&CHECK);
    assert_eq!(said.findings(), [("NLB303", "security group sg-front".to_owned())]);
    assert_eq!(said.messages(), ["sg-front (sg-front-name) counts 70 outbound rules where 60 are allowed"]);
}

#[test]
fn an_old_sample_does_not_page() {
    let mut world = with_rules(60, 0);
    world.parts.security_groups.fetched_at = Some(now() - 16.minutes());
    world.parts.security_groups.fail(failure(), now());
    assert_eq!(world.run(&CHECK).codes(), ["NLB302"]);
    world.parts.security_groups.fetched_at = Some(now() - 15.minutes());
    assert_eq!(world.run(&CHECK).codes(), ["NLB301"]);
}

#[test]
fn prefix_lists_count_with_their_size_and_unknown_ones_are_named() {
    let mut world = World::healthy();
    let list = |id: &str| rule(443, Peer::PrefixList(PrefixListId::from(id)));
    world.edit_group(FRONT, |it| it.inbound = vec![list("pl-1"), rule(443, cidr("10.0.0.0/8"))]);
    let known = PrefixList {
        id: "pl-1".into(),
        name: "mine".into(),
        ip_family: IpFamily::Ipv4,
        max_entries: Some(20),
        aws_managed: false,
    };
    edit(&mut world.parts.prefix_lists, |all| drop(all.insert(known.id.clone(), Arc::new(known))));
    let said = world.run(&CHECK);
    assert_eq!((said.value("security_group_rules", &[FRONT, "inbound", "ipv4"]), said.codes()), (Some(21.0), vec![]));

    incomplete(&mut world.parts.prefix_lists);
    assert_eq!(world.run(&CHECK).codes(), [""; 0], "what did arrive of an incomplete list is known");
    edit(&mut world.parts.prefix_lists, |all| all.clear());
    let said = world.run(&CHECK);
    assert_eq!(said.value("security_group_rules", &[FRONT, "inbound", "ipv4"]), Some(1.0), "a lower bound");
    assert_eq!(said.findings(), [("NLB304", "security group sg-front".to_owned())]);
    assert_eq!(
        said.messages(),
        ["sg-front (sg-front-name) refers to prefix lists of unknown size (pl-1): its rule counts are lower bounds"]
    );
}

#[test]
fn without_the_list_of_groups_or_the_vpc_nothing_is_counted() {
    let mut world = with_rules(60, 0);
    world.parts.scope.vpc_id = None;
    assert_eq!(world.run(&CHECK).series("security_group_rules"), [[""; 0]; 0]);
    let mut world = World::healthy();
    world.parts.security_groups = Part::default();
    let said = world.run(&CHECK);
    assert_eq!((said.series("security_group_rules").len(), said.codes()), (0, vec![]));
}
