//! How full are the security groups that the load balancers depend on?

use maud::{Markup, html};

use super::bars::{self, Tone};
use super::layout::{Frame, none, table, unknown};
use super::numbers::measured;
use super::query::{Segment, Window};
use crate::expose::view::Number;
use crate::expose::view::security_groups::{RoleView, RulesView, SecurityGroupRow, SecurityGroupsView};

/// From this share of the quota on a group is close to it.
const CLOSE: f64 = 0.8;

/// Directions and address families, each of which has a quota of its own.
const COUNTED: [(&str, &str, &str); 4] = [
    ("inbound", "ipv4", "Inbound IPv4"),
    ("inbound", "ipv6", "Inbound IPv6"),
    ("outbound", "ipv4", "Outbound IPv4"),
    ("outbound", "ipv6", "Outbound IPv6"),
];

/// The groups, those in trouble first and then the fullest: a frontend group may stand at its limit for ever, and must not hide
/// the endpoint group that stops the next load balancer.
pub(crate) fn order(groups: &mut [SecurityGroupRow]) {
    let rank = |group: &SecurityGroupRow| {
        let worst = group.findings.iter().map(|finding| finding.severity).max();
        (worst, group.rules.iter().map(|rules| rules.used).max())
    };
    groups.sort_by(|a, b| rank(b).cmp(&rank(a)).then_with(|| a.id.cmp(&b.id)));
}

/// The table.
pub(crate) fn list(frame: &Frame, view: &SecurityGroupsView, window: &Window) -> Markup {
    let rows = window.of(&view.security_groups);
    if rows.is_empty() {
        return none(if view.complete {
            "No security group plays a part here."
        } else {
            "No security group is known here; what was not seen may exist."
        });
    }
    let [a, b, c, d] = COUNTED.map(|(_, _, name)| name);
    table(
        "security-groups",
        "Rules used of the quota, which holds for each direction and address family apart. Those in trouble come first, then the fullest.",
        &["Security group", "Part it plays", a, b, c, d],
        html! {
            @for group in rows {
                tr {
                    th scope="row" {
                        a class="mono" href=(frame.link(format_args!("security-groups/{}", Segment(&group.id)))) { (group.id) }
                        @if let Some(name) = &group.name { small { (name) } }
                    }
                    td { (roles(frame, &group.roles)) }
                    @for (direction, family, _) in COUNTED {
                        td { (used(group, direction, family, view.limit, view.limit_assumed)) }
                    }
                }
            }
        },
    )
}

/// The limit in words.
pub(crate) fn limit(limit: Option<Number>, assumed: Option<bool>) -> Markup {
    html! {
        @match limit {
            Some(limit) => {
                "The quota is " strong { (measured(limit.0, "quota_limit", &[("quota", "rules_per_security_group")])) } " rules"
                @if assumed == Some(true) { ", assumed: it could not be read" } "."
            }
            None => "The quota is not known yet.",
        }
    }
}

/// The parts that it plays.
pub(crate) fn roles(frame: &Frame, roles: &[RoleView]) -> Markup {
    const MOST: usize = 3;
    html! {
        @if roles.is_empty() { span class="quiet" { "none" } }
        ul {
            @for RoleView { role, namespace, service } in roles.iter().take(MOST) {
                li {
                    (role.replace('_', " "))
                    @if let (Some(namespace), Some(service)) = (namespace, service) {
                        " of " (frame.service(namespace, service))
                    }
                }
            }
            @if roles.len() > MOST { li class="quiet" { "and " (roles.len() - MOST) " more" } }
        }
    }
}

/// Rules used of one direction and family, as numbers and as a bar.
pub(crate) fn used(
    group: &SecurityGroupRow,
    direction: &str,
    family: &str,
    limit: Option<Number>,
    assumed: Option<bool>,
) -> Markup {
    let found = group.rules.iter().find(|rules| &*rules.direction == direction && &*rules.ip_family == family);
    let Some(rules) = found else { return unknown() };
    let labels = [("security_group_id", &*group.id), ("direction", direction), ("ip_family", family)];
    let number = measured(rules.used as f64, "security_group_rules", &labels);
    let Some(Number(limit)) = limit else { return html! { (number) " of " (unknown()) } };
    let tone = tone(rules, limit, assumed);
    html! {
        div class="meter" {
            span class="said" {
                strong { (number) } " of " (limit)
                @if tone == Tone::Critical { " " span class="tag critical" { @if rules.used as f64 >= limit { "full" } @else { "no room" } } }
                @if tone == Tone::Warning { " " span class="tag warning" { "close" } }
            }
            (bars::used(rules.used as f64, limit, tone))
        }
    }
}

/// No room for one more load balancer is critical only where one would add rules here; a frontend group may stand at its limit.
fn tone(rules: &RulesView, limit: f64, assumed: Option<bool>) -> Tone {
    let left = limit - rules.used as f64;
    if rules.needed.is_some_and(|needed| left < needed as f64) && assumed != Some(true) {
        Tone::Critical
    } else if rules.used as f64 >= limit * CLOSE {
        Tone::Warning
    } else {
        Tone::Good
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::catalogue::RULES_EXHAUSTED;
    use crate::checks::model::{Finding, Subject};
    use crate::expose::view::findings::FindingView;
    use crate::inventory::parts::Parts;
    use crate::inventory::snapshot::{Expiry, Snapshot};

    fn group(id: &str, used: u64, in_trouble: bool) -> SecurityGroupRow {
        let expiry = Expiry { max_staleness: std::time::Duration::from_secs(1800) };
        let nothing = Snapshot::join(Parts::default(), jiff::Timestamp::UNIX_EPOCH, expiry);
        let finding = || Finding {
            kind: &RULES_EXHAUSTED,
            subject: Subject::SecurityGroup(id.into()),
            message: String::new(),
            since: None,
            seen_since: None,
        };
        SecurityGroupRow {
            id: id.into(),
            name: None,
            vpc_id: None,
            roles: Vec::new(),
            rules: vec![RulesView { direction: "inbound".into(), ip_family: "ipv4".into(), used, left: None, needed: None }],
            findings: in_trouble.then(|| FindingView::of(&finding(), &nothing)).into_iter().collect(),
        }
    }

    #[test]
    fn a_full_frontend_group_does_not_hide_the_endpoint_group_that_stops_the_next_load_balancer() {
        let mut all = [group("sg-front", 60, false), group("sg-small", 3, false), group("sg-nodes", 59, true)];
        order(&mut all);
        assert_eq!(all.map(|group| group.id.to_string()), ["sg-nodes", "sg-front", "sg-small"]);
    }
}
