//! What do groups of known content count as: for AWS, and for three programs that count otherwise?

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::checks::security_groups::fixtures::{cidr, rule};
use crate::inventory::ids::SecurityGroupId;

/// What AWS counts inbound in IPv4 and in IPv6, whether it takes one more inbound range of either at a limit of 60, and the
/// inbound numbers of aws-quota-checker, of Thought Machine's exporter and of awslimitchecker.
struct Row {
    source: &'static str,
    inbound: &'static str,
    outbound: &'static str,
    ipv4: u64,
    ipv6: u64,
    takes_ipv4: bool,
    takes_ipv6: bool,
    quota_checker: u64,
    thought_machine: u64,
    limitchecker: u64,
}

type Numbers = (u64, u64, bool, bool, u64, u64, u64);

const fn row(source: &'static str, inbound: &'static str, outbound: &'static str, numbers: Numbers) -> Row {
    let (ipv4, ipv6, takes_ipv4, takes_ipv6, quota_checker, thought_machine, limitchecker) = numbers;
    Row { source, inbound, outbound, ipv4, ipv6, takes_ipv4, takes_ipv6, quota_checker, thought_machine, limitchecker }
}

const ALL: &str = "1*v4@-1";
const Y: bool = true;
const N: bool = false;

#[rustfmt::skip]
const TABLE: &[Row] = &[
    row("a vector 1", "30*v4 12*v6 4*sg mine4:20 mine6:10", ALL, (54, 26, Y, Y, 2, 34, 36)),
    row("a vector 2", "60*v4 60*v6", ALL, (60, 60, N, N, 2, 60, 60)),
    row("a vector 3", "57*v4 3*sg", ALL, (60, 3, N, Y, 2, 60, 60)),
    row("a vector 3, IPv6 filled", "57*v4 57*v6 3*sg", ALL, (60, 60, N, N, 2, 60, 60)),
    row("a vector 4", "aws:global.cloudfront.origin-facing", ALL, (55, 0, Y, Y, 2, 0, 1)),
    row("a vector 4, two ports", "aws:global.cloudfront.origin-facing aws:global.cloudfront.origin-facing@80", ALL, (110, 0, N, Y, 3, 0, 2)),
    row("a sixty ranges in one permission", "60*v4", ALL, (60, 0, N, Y, 2, 60, 60)),
    row("a fifty-nine ranges", "59*v4", ALL, (59, 0, Y, Y, 2, 59, 59)),
    row("a one range on two ports", "1*v4 1*v4@80", ALL, (2, 0, Y, Y, 3, 2, 2)),
    row("a all traffic of both families", "1*v4@-1 1*v6@-1", ALL, (1, 1, Y, Y, 2, 1, 1)),
    row("a a new group", "", ALL, (0, 0, Y, Y, 1, 0, 1)),
    row("a one group", "1*sg", ALL, (1, 1, Y, Y, 2, 1, 1)),
    row("a sixty groups", "60*sg", ALL, (60, 60, N, N, 2, 60, 60)),
    row("a outbound groups", "10*v4", "20*sg", (10, 0, Y, Y, 2, 30, 20)),
    row("a outbound is a limit of its own", "1*v4", "60*v4", (1, 0, Y, Y, 2, 1, 60)),
    row("a MaxEntries", "mine4:60", ALL, (60, 0, N, Y, 2, 0, 1)),
    row("a MaxEntries of IPv6", "1*v4 mine6:60", ALL, (1, 60, Y, N, 2, 1, 2)),
    row("a one list on two ports", "mine4:20 mine4:20@80 mine4:20@81", ALL, (60, 0, N, Y, 4, 0, 3)),
    row("a weight of IPv6", "aws:global.ipv6.cloudfront.origin-facing", ALL, (0, 55, Y, Y, 2, 0, 1)),
    row("a weight of S3", "59*v4 aws:us-east-1.s3", ALL, (60, 0, N, Y, 2, 59, 60)),
    row("a weight of S3 Express", "aws:us-east-1.s3express aws:us-east-1.dynamodb", ALL, (7, 0, Y, Y, 2, 0, 2)),
    row("a weights of both families", "aws:us-east-1.vpc-lattice aws:us-east-1.ipv6.vpc-lattice", ALL, (10, 10, Y, Y, 2, 0, 2)),
    row("a weights of health checks", "aws:eu-west-1.route53-healthchecks aws:eu-west-1.ec2-instance-connect aws:eu-west-1.ipv6.ec2-instance-connect", ALL, (27, 2, Y, Y, 2, 0, 3)),
    row("a weights of the rest", "aws:global.groundstation aws:us-east-1.secretsmanager-managed-external-secrets aws:us-east-1.ipv6.route53-healthchecks", ALL, (25, 25, Y, Y, 2, 0, 3)),
];

/// `N*v4`, `N*v6`, `N*sg`, `mine4:SIZE`, `mine6:SIZE`, `aws:NAME`, each with `@PORT` where it is not 443.
fn read(text: &str) -> (Vec<Rule>, Vec<PrefixList>) {
    let mut rules = Vec::new();
    let mut lists = Vec::new();
    for word in text.split_whitespace() {
        let (what, port) = word.split_once('@').unwrap_or((word, "443"));
        let port: i32 = port.parse().unwrap();
        if let Some((number, kind)) = what.split_once('*') {
            let peer = |n: u32| match kind {
                "v4" => cidr(&format!("10.{}.{}.0/24", n / 256, n % 256)),
                "v6" => cidr(&format!("2001:db8:{n:x}::/48")),
                _ => Peer::SecurityGroup(SecurityGroupId::new(format!("sg-{n}"))),
            };
            rules.extend((0..number.parse().unwrap()).map(|n| rule(port, peer(n))));
            continue;
        }
        let (kind, value) = what.split_once(':').unwrap();
        let id = PrefixListId::new(format!("pl-{what}"));
        let six = kind == "mine6" || value.contains("ipv6.");
        lists.push(PrefixList {
            id: id.clone(),
            name: if kind == "aws" { format!("com.amazonaws.{value}") } else { kind.to_owned() }.into(),
            ip_family: if six { IpFamily::Ipv6 } else { IpFamily::Ipv4 },
            // What DescribeManagedPrefixLists shows for AWS's own must not count.
            max_entries: if kind == "aws" { Some(999) } else { value.parse().ok() },
            aws_managed: kind == "aws",
        });
        rules.push(rule(port, Peer::PrefixList(id)));
    }
    (rules, lists)
}

/// Ranges of IPv4 and of IPv6, groups, and lists.
fn kinds(rules: &[Rule]) -> [u64; 4] {
    let mut kinds = [0; 4];
    for rule in rules {
        kinds[match &rule.peer {
            Peer::Cidr(IpNet::V4(_)) => 0,
            Peer::Cidr(IpNet::V6(_)) => 1,
            Peer::SecurityGroup(_) => 2,
            Peer::PrefixList(_) => 3,
        }] += 1;
    }
    kinds
}

fn permissions(rules: &[Rule]) -> u64 {
    rules.iter().map(|rule| (&rule.protocol, rule.ports)).collect::<BTreeSet<_>>().len() as u64
}

#[test]
fn groups_count_as_aws_counts_them_and_not_as_others_do() {
    for row in TABLE {
        let (inbound, lists) = read(row.inbound);
        let (outbound, _) = read(row.outbound);
        let lists: BTreeMap<_, _> = lists.into_iter().map(|list| (list.id.clone(), list)).collect();
        let count = RuleCount::of(&inbound, |id| lists.get(id));
        assert_eq!((count.ipv4, count.ipv6), (row.ipv4, row.ipv6), "{}", row.source);
        assert_eq!(count.used(), row.ipv4.max(row.ipv6), "{}", row.source);
        assert!(count.unknown.is_empty(), "{}", row.source);
        assert_eq!((count.ipv4 < 60, count.ipv6 < 60), (row.takes_ipv4, row.takes_ipv6), "{}", row.source);

        let (of_inbound, of_outbound) = (kinds(&inbound), kinds(&outbound));
        assert_eq!(permissions(&inbound) + permissions(&outbound), row.quota_checker, "{}", row.source);
        assert_eq!(of_inbound[0] + of_inbound[2] + of_outbound[2], row.thought_machine, "{}", row.source);
        let larger = [of_inbound, of_outbound].map(|[ipv4, ipv6, groups, lists]| lists + groups + ipv4.max(ipv6));
        assert_eq!(larger[0].max(larger[1]), row.limitchecker, "{}", row.source);
    }
    let wrong = |said: fn(&Row) -> u64| TABLE.iter().filter(|row| said(row) != row.ipv4.max(row.ipv6)).count();
    let wrongs = [wrong(|row| row.quota_checker), wrong(|row| row.thought_machine), wrong(|row| row.limitchecker)];
    assert!(wrongs.iter().all(|count| *count > 0), "{wrongs:?}");
}
