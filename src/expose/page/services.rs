//! Which Services are served, by which load balancer, with targets in which state and zone?

use maud::{Markup, html};

use super::findings::tag;
use super::layout::{Frame, none, table, unknown};
use super::numbers::{said, summed};
use crate::expose::view::load_balancers::LoadBalancerRow;
use crate::expose::view::services::{ServiceRow, ServicesView};
use crate::expose::view::target_groups::{StateCount, ZoneTargets};

/// The table of those that the view has.
pub(crate) fn list(frame: &Frame, view: &ServicesView) -> Markup {
    let rows = &view.services;
    if rows.is_empty() {
        return none(if view.complete {
            "No Service here asks for a load balancer."
        } else {
            "No Service is known here; what was not seen may exist."
        });
    }
    table(
        "services",
        "Services with their load balancers, those in trouble first. A zone is told with its healthy targets and all of them.",
        &["Service", "Owner", "Load balancer", "Scheme", "Targets", "Zones", "Findings"],
        html! { @for service in rows { (row(frame, service)) } },
    )
}

fn row(frame: &Frame, service: &ServiceRow) -> Markup {
    html! {
        tr {
            th scope="row" { (frame.service(&service.namespace, &service.name)) }
            td class="nowrap" { (owner(service)) }
            td { (load_balancers(service)) }
            td { (schemes(&service.load_balancers)) }
            td { (targets(service.targets.as_deref(), service.zones.as_deref(), &[("namespace", &service.namespace), ("service", &service.name)])) }
            td { (zones(service.zones.as_deref(), service.cross_zone, &[("namespace", &service.namespace), ("service", &service.name)])) }
            td {
                @if let Some(worst) = service.worst { (tag(worst)) }
                @else { span class="quiet" { "none" } }
                @for reason in &service.blocked { " " span class="tag warning" { "blocked: " (reason) } }
            }
        }
    }
}

/// Who makes its load balancer.
pub(crate) fn owner(service: &ServiceRow) -> Markup {
    html! {
        @match service.controller.as_deref() {
            Some("aws-load-balancer-controller") => "LB controller",
            Some("eks-auto-mode") => "EKS Auto Mode",
            Some("in-tree") => "in-tree provider",
            Some("third-party") => "another controller",
            Some("none") => "nobody",
            Some(other) => (other),
            None => (unknown()),
        }
        @if service.deleting_since.is_some() { " " span class="tag" { "being deleted" } }
    }
}

fn load_balancers(service: &ServiceRow) -> Markup {
    html! {
        @if service.load_balancers.is_empty() {
            @match service.provisioned {
                Some(false) => span class="tag warning" { "none yet" },
                _ => (unknown()),
            }
        } @else {
            ul {
                @for one in &service.load_balancers {
                    li {
                        span class="mono id" { (one.name.as_ref().unwrap_or(&one.id)) }
                        @match one.state.as_deref() {
                            Some("active") => "",
                            Some(state) => { " " span class="tag critical" { (state.replace('_', " ")) } }
                            None => { " " (unknown()) }
                        }
                    }
                }
            }
        }
    }
}

fn schemes(load_balancers: &[LoadBalancerRow]) -> Markup {
    let mut schemes: Vec<&str> = load_balancers.iter().map(|one| &*one.scheme).collect();
    schemes.sort_unstable();
    schemes.dedup();
    html! { @if schemes.is_empty() { (unknown()) } @else { span class="nowrap" { (schemes.join(", ")) } } }
}

/// Targets by state, of what `of` names. Targets that cannot be healthy (a node without a pod under policy Local) are no alarm:
/// `zones` tell which ones fail.
pub(crate) fn targets(states: Option<&[StateCount]>, zones: Option<&[ZoneTargets]>, of: &[(&str, &str)]) -> Markup {
    let Some(states) = states else { return unknown() };
    let all: u64 = states.iter().map(|state| state.count).sum();
    let fails = fails(zones);
    html! {
        @if all == 0 { span class="quiet" { "none registered" } }
        @else {
            ul {
                @for StateCount { state, count } in states.iter().filter(|state| state.count > 0) {
                    li class="nowrap" {
                        span class={ "tag " (tone_of(state, fails)) } {
                            (summed(*count, "targets", &[of, &[("state", &**state)]].concat())) " " (state)
                        }
                    }
                }
            }
        }
    }
}

/// Whether a target is known to fail; `None` where nobody can say.
fn fails(zones: Option<&[ZoneTargets]>) -> Option<bool> {
    let known: Vec<_> = zones?.iter().map(|zone| zone.failing).collect();
    if known.iter().flatten().any(|failing| *failing > 0) {
        return Some(true);
    }
    known.iter().all(Option::is_some).then_some(false)
}

fn tone_of(state: &str, fails: Option<bool>) -> &'static str {
    match (state, fails) {
        ("healthy", _) => "good",
        ("unhealthy" | "unhealthy.draining" | "unavailable", Some(true)) => "critical",
        ("unhealthy" | "unhealthy.draining" | "unavailable", Some(false)) => "",
        _ => "warning",
    }
}

/// Healthy targets of all, by zone, of what `of` names. A zone without a healthy one is dark only where the targets of other
/// zones do not serve it.
pub(crate) fn zones(zones: Option<&[ZoneTargets]>, cross_zone: Option<bool>, of: &[(&str, &str)]) -> Markup {
    let Some(zones) = zones else { return unknown() };
    html! {
        ul class="zones" {
            @for zone in zones {
                @let all = zone.healthy + zone.other;
                @let labels = |state| [of, &[("availability_zone", &*zone.zone), ("state", state)]].concat();
                @let tone = zone_tone(zone, cross_zone);
                li class={ "tag " (tone) } {
                    (zone.zone) " "
                    (summed(zone.healthy, "zone_targets", &labels("healthy"))) "/" span title={ (said(zone.other as f64)) " not healthy" } { (all) }
                    @if zone.healthy == 0 && zone.failing.is_some_and(|failing| failing > 0) {
                        @if cross_zone == Some(false) { " dark" } @else { " none healthy" }
                    }
                }
            }
        }
    }
}

fn zone_tone(zone: &ZoneTargets, cross_zone: Option<bool>) -> &'static str {
    match (zone.healthy, zone.failing) {
        (_, None) | (0, Some(0)) => "",
        (_, Some(0)) => "good",
        (0, _) if cross_zone != Some(true) => "critical",
        _ => "warning",
    }
}

/// Load balancers and target groups of the cluster that belong to none of its Services.
pub(crate) fn others(view: &ServicesView) -> Markup {
    html! {
        @if !view.other_load_balancers.is_empty() {
            div class="gap" {}
            (table(
                "other-load-balancers",
                "Load balancers of the cluster that belong to no Service: those of Gateways and Ingresses, and of nobody.",
                &["Load balancer", "Made for", "Made by", "Scheme", "State"],
                html! {
                    @for one in &view.other_load_balancers {
                        tr {
                            th scope="row" { span class="mono" { (one.name.as_ref().unwrap_or(&one.id)) } }
                            td {
                                (one.owner_kind)
                                @if let Some(name) = &one.owner_name { " " @if let Some(namespace) = &one.owner_namespace { (namespace) "/" } (name) }
                            }
                            td { (one.controller) }
                            td { (one.scheme) }
                            td { @match &one.state { Some(state) => (state.replace('_', " ")), None => (unknown()) } }
                        }
                    }
                },
            ))
        }
        @if !view.other_target_groups.is_empty() {
            div class="gap" {}
            (table(
                "other-target-groups",
                "Target groups of the cluster that hold no Service's pods and are on no Service's load balancer.",
                &["Target group", "Type", "Targets", "Zones"],
                html! {
                    @for one in &view.other_target_groups {
                        @let of = [("target_group", &*one.id)];
                        tr {
                            th scope="row" { span class="mono" { (one.name.as_ref().unwrap_or(&one.id)) } }
                            td { (one.protocol) " to " (one.target_type) }
                            td { (targets(one.targets.as_deref(), one.zones.as_deref(), &of)) }
                            td { (zones(one.zones.as_deref(), one.cross_zone, &of)) }
                        }
                    }
                },
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(healthy: u64, failing: Option<u64>) -> [ZoneTargets; 1] {
        [ZoneTargets { zone: "us-east-1a".into(), healthy, other: 3, failing }]
    }

    fn said(zone: &[ZoneTargets], cross_zone: Option<bool>) -> (String, bool, bool) {
        let text = zones(Some(zone), cross_zone, &[]).into_string();
        let class = text.split("class=\"tag ").nth(1).unwrap().split('"').next().unwrap().to_owned();
        (class, text.contains(" dark"), text.contains(" none healthy"))
    }

    #[test]
    fn a_zone_is_dark_only_where_other_zones_do_not_serve_it() {
        let failing = zone(0, Some(3));
        assert_eq!(said(&failing, Some(false)), ("critical".to_owned(), true, false));
        assert_eq!(said(&failing, Some(true)), ("warning".to_owned(), false, true));
        assert_eq!(said(&failing, None), ("critical".to_owned(), false, true));
        assert_eq!(said(&zone(2, Some(1)), Some(false)), ("warning".to_owned(), false, false));
    }

    #[test]
    fn what_fails_by_design_or_unknown_is_no_alarm() {
        for failing in [Some(0), None] {
            assert_eq!(said(&zone(0, failing), Some(false)), (String::new(), false, false));
        }
        assert_eq!(said(&zone(2, Some(0)), Some(false)), ("good".to_owned(), false, false));
        let states = [StateCount { state: "unhealthy".into(), count: 3 }];
        for (failing, class) in [(Some(3), "critical"), (Some(0), ""), (None, "warning")] {
            let text = targets(Some(&states), Some(&zone(0, failing)), &[]).into_string();
            assert!(text.contains(&format!("class=\"tag {class}\"")), "{text}");
        }
    }
}
