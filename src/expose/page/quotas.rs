//! How much of each quota is left, and which wall stands first before the next load balancers?

use maud::{Markup, html};

use super::bars::{self, Tone};
use super::layout::{Frame, none, table, unknown};
use super::numbers::{measured, said};
use super::query::{Segment, Window};
use crate::expose::view::Number;
use crate::expose::view::headroom::{HeadroomView, SchemeHeadroomView, WallView};
use crate::expose::view::quotas::{FullestView, QuotaView};

/// From this share of a quota on it is close.
const CLOSE: f64 = 0.8;
/// Walls named for a scheme, the nearest first.
const WALLS: usize = 4;

/// The share that is used; of a quota of each object, by the fullest.
fn share(quota: &QuotaView) -> Option<f64> {
    let used = quota.used.or_else(|| quota.fullest.first().map(|fullest| fullest.used))?;
    Some(used.0 / quota.limit?.0)
}

/// The quotas, the fullest first and those that are not known last.
pub(crate) fn order(quotas: &mut [QuotaView]) {
    quotas.sort_by(|a, b| {
        let key = |quota| share(quota).unwrap_or(-1.0);
        key(b).total_cmp(&key(a)).then_with(|| a.name.cmp(b.name))
    });
}

/// How many load balancers still fit, by scheme.
pub(crate) fn headroom(view: &HeadroomView) -> Markup {
    if view.schemes.is_empty() {
        return none("How many load balancers still fit is not known, or none is in use.");
    }
    html! {
        div class="card walls" {
            @for scheme in &view.schemes { (walls(scheme)) }
        }
        @if !view.complete { p class="note" { "Not everything that limits them was seen: a wall may be missing here." } }
    }
}

fn walls(scheme: &SchemeHeadroomView) -> Markup {
    let number = |wall: &WallView| {
        let labels = [("scheme", &*scheme.scheme), ("constraint", &*wall.constraint)];
        measured(wall.load_balancers as f64, "headroom_load_balancers", &labels)
    };
    html! {
        div {
            h3 { (scheme.scheme) }
            @match &scheme.first_wall {
                Some(wall) => {
                    p { span class="big" { (number(wall)) } " more load balancers fit" @if is_of_zones(wall) { " in every zone in use" } }
                    p { "First wall: " strong { (constraint(&wall.constraint)) } }
                    @if is_of_zones(wall) && let Some(beyond) = scheme.walls.iter().find(|other| !is_of_zones(other)) {
                        p { "Without a zone that has no address left for them " strong { (number(beyond)) } " fit." }
                    }
                }
                None => p { (unknown()) },
            }
            @if scheme.walls.len() > 1 {
                p class="quiet" {
                    "Then "
                    @for (at, wall) in scheme.walls.iter().skip(1).take(WALLS).enumerate() {
                        @if at > 0 { ", " }
                        (constraint(&wall.constraint)) " (" (number(wall)) ")"
                    }
                    "."
                }
            }
        }
    }
}

/// Whether a wall only keeps load balancers out of a zone: the controller leaves that zone out and makes them all the same.
pub(super) fn is_of_zones(wall: &WallView) -> bool {
    &*wall.constraint == "subnets_current_zones"
}

/// A wall as people call it.
pub(crate) fn constraint(name: &str) -> String {
    match name {
        "subnets_current_zones" => "free addresses in every zone in use".to_owned(),
        "subnets_any_zone" => "free addresses in any zone".to_owned(),
        quota => words(quota),
    }
}

/// A quota as people call it.
fn words(quota: &str) -> String {
    quota.replace('_', " ").replace("enis", "ENIs").replace("elastic ips", "Elastic IPs").replace("vpc", "VPC")
}

/// The table.
pub(crate) fn list(frame: &Frame, quotas: &[QuotaView], window: &Window) -> Markup {
    let rows = window.of(quotas);
    if rows.is_empty() {
        return none("No quota fits what was asked for.");
    }
    table(
        "quotas",
        "Quotas that load balancers use up, the fullest first. Of a quota that each object has for itself, the fullest object is told.",
        &["Quota", "Used", "#One more takes", "How to get more"],
        html! {
            @for quota in rows {
                tr {
                    th scope="row" { (words(quota.name)) small { "each " (per(quota.scope)) } }
                    td { (used(frame, quota)) }
                    td class="number" {
                        @match quota.needed {
                            Some(needed) => (measured(needed.0, "quota_needed_per_load_balancer", &[("quota", quota.name)])),
                            None => span class="quiet" { "–" },
                        }
                    }
                    td { (more(frame, quota)) }
                }
            }
        },
    )
}

fn per(scope: &str) -> &str {
    match scope {
        "region" => "account and Region",
        "vpc" => "VPC",
        "load_balancer" => "load balancer",
        "target_group" => "target group",
        "security_group" => "security group, direction and family",
        "network_interface" => "network interface",
        "route_table" => "route table",
        other => other,
    }
}

/// What is used of what is allowed.
fn used(frame: &Frame, quota: &QuotaView) -> Markup {
    let limit = |limit: Number| measured(limit.0, "quota_limit", &[("quota", quota.name)]);
    let (number, whose) = match (quota.used, quota.fullest.first()) {
        (Some(used), _) => (Some((used.0, measured(used.0, "quota_usage", &[("quota", quota.name)]))), None),
        (None, Some(fullest)) => (Some((fullest.used.0, of_fullest(quota, fullest))), Some(fullest)),
        (None, None) => (None, None),
    };
    html! {
        div class="meter" {
            span class="said" {
                @match (&number, quota.limit) {
                    (Some((_, used)), Some(all)) => { strong { (used) } " of " (limit(all)) }
                    (Some((_, used)), None) => { strong { (used) } " of " (unknown()) }
                    (None, Some(all)) => { (unknown()) " of " (limit(all)) }
                    (None, None) => (unknown()),
                }
                @if quota.limit_assumed == Some(true) { " " span class="tag" { "limit assumed" } }
                @if let Some(finding) = quota.findings.first() { " " (super::findings::tag(finding.severity)) }
            }
            @if let (Some((used, _)), Some(Number(limit))) = (number, quota.limit) { (bars::used(used, limit, tone(used, limit, quota))) }
            @if let Some(fullest) = whose { small class="quiet" { (fullest_of(frame, fullest)) } }
        }
    }
}

fn tone(used: f64, limit: f64, quota: &QuotaView) -> Tone {
    if quota.needed.is_some_and(|needed| limit - used < needed.0) && quota.limit_assumed != Some(true) {
        Tone::Critical
    } else if used >= limit * CLOSE {
        Tone::Warning
    } else {
        Tone::Good
    }
}

fn of_fullest(quota: &QuotaView, fullest: &FullestView) -> Markup {
    let (family, label) = match fullest.kind {
        "load_balancer" => ("load_balancer_quota_usage", "load_balancer"),
        "target_group" => ("target_group_quota_usage", "target_group"),
        _ => ("security_group_rules", "security_group_id"),
    };
    let mut labels = vec![(label, &*fullest.id)];
    match (fullest.direction.as_deref(), fullest.ip_family.as_deref()) {
        (Some(direction), Some(ip_family)) => labels.extend([("direction", direction), ("ip_family", ip_family)]),
        _ => labels.push(("quota", quota.name)),
    }
    measured(fullest.used.0, family, &labels)
}

fn fullest_of(frame: &Frame, fullest: &FullestView) -> Markup {
    html! {
        @if fullest.kind == "security_group" {
            a class="mono" href=(frame.link(format_args!("security-groups/{}", Segment(&fullest.id)))) { (fullest.id) }
        } @else { span class="mono" { (fullest.id) } }
        @if let (Some(direction), Some(ip_family)) = (&fullest.direction, &fullest.ip_family) { " " (direction) " " (ip_family) }
    }
}

/// Whether more was asked for already, and the command that asks.
fn more(frame: &Frame, quota: &QuotaView) -> Markup {
    html! {
        @for request in quota.requests.iter().flatten() {
            p class="request" {
                span class="tag info" { "requested" } " "
                @match quota.requested {
                    // The one that /metrics tells.
                    Some(told) if told == request.desired => (measured(told.0, "quota_requested", &[("quota", quota.name)])),
                    _ => (said(request.desired.0)),
                }
                @if request.status == "case_opened" { ", a support case" } @else { ", " (request.status) }
                @if let Some(at) = request.requested_at { ", since " (frame.moment(at)) }
            }
        }
        @if quota.requests.is_none() && quota.adjustable { p class="request quiet" { "Whether more was asked for is unknown." } }
        @match &quota.increase {
            // AWS refuses a second request for a quota while one is open.
            Some(_) if quota.requests.iter().flatten().next().is_some() => span class="quiet" { "AWS takes one request at a time" },
            Some(increase) => details {
                summary { "Ask for " (said(increase.desired.0)) }
                code class="command" { (increase.command) }
            },
            None if !quota.adjustable => span class="quiet" { "AWS does not raise it" },
            None if quota.limit.is_none() => span class="quiet" { "the limit is not known" },
            None => span class="quiet" { "AWS gives no more" },
        }
    }
}
