//! Which Services are served, by which load balancer, with targets in which state and zone?

use maud::{Markup, html};

use super::findings::tag;
use super::layout::{Frame, none, table, unknown};
use super::numbers::{said, summed};
use super::query::Window;
use crate::expose::view::load_balancers::LoadBalancerRow;
use crate::expose::view::services::{ServiceRow, ServicesView};
use crate::expose::view::target_groups::{StateCount, ZoneTargets};

/// The Services, those in trouble first.
pub(crate) fn order(services: &mut [ServiceRow]) {
    services.sort_by(|a, b| (b.worst, &a.namespace, &a.name).cmp(&(a.worst, &b.namespace, &b.name)));
}

/// The table.
pub(crate) fn list(frame: &Frame, view: &ServicesView, window: &Window) -> Markup {
    let rows = window.of(&view.services);
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
            td { (zones(service.zones.as_deref(), &[("namespace", &service.namespace), ("service", &service.name)])) }
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
    let fails = zones.is_none_or(|zones| zones.iter().any(|zone| zone.failing > 0));
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

fn tone_of(state: &str, fails: bool) -> &'static str {
    match state {
        "healthy" => "good",
        "unhealthy" | "unhealthy.draining" | "unavailable" if fails => "critical",
        "unhealthy" | "unhealthy.draining" | "unavailable" => "",
        _ => "warning",
    }
}

/// Healthy targets of all, by zone, of what `of` names.
pub(crate) fn zones(zones: Option<&[ZoneTargets]>, of: &[(&str, &str)]) -> Markup {
    let Some(zones) = zones else { return unknown() };
    html! {
        ul class="zones" {
            @for zone in zones {
                @let all = zone.healthy + zone.other;
                @let labels = |state| [of, &[("availability_zone", &*zone.zone), ("state", state)]].concat();
                li class={ "tag " (zone_tone(zone)) } {
                    (zone.zone) " "
                    (summed(zone.healthy, "zone_targets", &labels("healthy"))) "/" span title={ (said(zone.other as f64)) " not healthy" } { (all) }
                    @if zone_tone(zone) == "critical" { " dark" }
                }
            }
        }
    }
}

fn zone_tone(zone: &ZoneTargets) -> &'static str {
    match (zone.healthy, zone.failing) {
        (0, 0) => "",
        (_, 0) => "good",
        (0, _) => "critical",
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
                            td { (zones(one.zones.as_deref(), &of)) }
                        }
                    }
                },
            ))
        }
    }
}
