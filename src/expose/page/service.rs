//! Everything of one Service: its load balancers, target groups, targets, differences and problems.

use maud::{Markup, html};

use super::layout::{Frame, none, section, table, unknown};
use super::numbers::measured;
use super::query::Segment;
use super::{drift, findings, services};
use crate::expose::view::load_balancers::LoadBalancerView;
use crate::expose::view::services::{EditedView, LintView, ServiceView};
use crate::expose::view::target_groups::{TargetGroupView, TargetView};

/// The page's content.
pub(crate) fn page(frame: &Frame, view: &ServiceView) -> Markup {
    let row = &view.service;
    let (namespace, name) = (&*row.namespace, &*row.name);
    let of = [("namespace", namespace), ("service", name)];
    html! {
        p class="crumbs" { a href=(frame.link("services")) { "Services" } " / " a href=(frame.link(format_args!("services?namespace={}", Segment(namespace)))) { (namespace) } }
        section class={ "verdict " (row.worst.map_or("good", |worst| worst.as_str())) } aria-labelledby="verdict" {
            p class="word" { "Service" @if row.deleting_since.is_some() { ", being deleted" } }
            h1 id="verdict" { (namespace) "/" wbr; (name) }
            p {
                @match view.findings.first() {
                    Some(worst) => { strong { "Worst: " } (worst.code) ", " (worst.message) },
                    None => "Nothing was found about it.",
                }
            }
        }
        dl class="facts wide" {
            (fact("Owner", services::owner(row)))
            (fact("Targets", services::targets(row.targets.as_deref(), row.zones.as_deref(), &of)))
            (fact("Healthy in its zones", services::zones(row.zones.as_deref(), row.cross_zone, &of)))
            (fact("Annotations that drift", number(row.drifted_annotations, "service_drifted_annotations", &of)))
            (fact("Edited since it was made", number(row.edited_annotations, "service_edited_annotations", &of)))
            (fact("Problems as written", number(row.lint_problems, "service_lint_problems", &of)))
        }
        (section("findings", "What is wrong with it", html! {}, findings::list(frame, &view.findings, "Nothing was found.")))
        @for load_balancer in &view.load_balancers { (self::load_balancer(frame, load_balancer)) }
        @if view.load_balancers.is_empty() {
            (section("load-balancer", "Load balancer", html! {}, none("It has no load balancer that is known.")))
        }
        (section("target-groups", "Target groups", html! {}, target_groups(&view.target_groups)))
        @let targets: Vec<(&TargetGroupView, &TargetView)> =
            view.target_groups.iter().flat_map(|group| group.shown_targets.iter().map(move |target| (group, target))).collect();
        @if !targets.is_empty() { (section("targets", "Targets", html! {}, self::targets(&targets))) }
        (section("drift", "Drift", html! {}, drift::of_service(&view.drift, namespace, name)))
        @if !view.edited.is_empty() { (section("edited", "Annotations edited since the load balancer was made", html! {}, edited(frame, &view.edited))) }
        @if !view.lint.is_empty() { (section("lint", "Problems in the Service as it is written", html! {}, lint(frame, &view.lint))) }
        @if !view.blocked_bindings.is_empty() {
            (section("bindings", "TargetGroupBindings that the controller cannot go on with", html! {}, table(
                "bindings", "By the controller's newest event.", &["TargetGroupBinding", "Reason"],
                html! { @for one in &view.blocked_bindings { tr { th scope="row" { (one.name) } td { (one.reason) } } } },
            )))
        }
        @if !view.muted.is_empty() { (section("muted", "Muted", html! {}, findings::list(frame, &view.muted, ""))) }
    }
}

/// A fact of the strip below the headline, with lists instead of numbers.
fn fact(term: &str, value: Markup) -> Markup {
    html! { div { dt { (term) } dd { (value) } } }
}

fn number(value: Option<u64>, family: &str, labels: &[(&str, &str)]) -> Markup {
    match value {
        Some(value) => html! { span class="big" { (measured(value as f64, family, labels)) } },
        None => unknown(),
    }
}

fn load_balancer(frame: &Frame, one: &LoadBalancerView) -> Markup {
    let id = one.name.as_ref().unwrap_or(&one.id);
    let content = html! {
        div class="card" {
            dl class="about" {
                dt { "Name" } dd class="mono" { (one.id) }
                dt { "State" } dd {
                    @match one.state.as_deref() {
                        Some(state) => span class={ "tag " (if state == "active" { "good" } else { "critical" }) }
                            data-holds={ "load_balancer_state{load_balancer=\"" (one.id) "\",state=\"" (state) "\"}" } { (state.replace('_', " ")) },
                        None => (unknown()),
                    }
                }
                dt { "DNS name" } dd class="mono" { (one.dns_name) }
                dt { "Scheme" } dd { (one.scheme) @if let Some(kind) = one.ip_address_type { ", " (kind) } }
                dt { "Made by" } dd { (one.controller) }
                dt { "Created" } dd { @match one.created_at { Some(at) => (frame.moment(at)), None => (unknown()) } }
                dt { "Zones" } dd {
                    @for (at, zone) in one.zones.iter().enumerate() {
                        @if at > 0 { ", " }
                        (zone.zone) " in " a class="mono" href=(frame.link(format_args!("subnets/{}", Segment(&zone.subnet_id)))) { (zone.subnet_id) }
                    }
                    @if one.zones.is_empty() { (unknown()) }
                }
                dt { "Security groups" } dd {
                    @for (at, group) in one.security_groups.iter().enumerate() {
                        @if at > 0 { ", " }
                        a class="mono" href=(frame.link(format_args!("security-groups/{}", Segment(group)))) { (group) }
                    }
                    @if one.security_groups.is_empty() { "none" }
                }
                @for quota in &one.quotas {
                    dt { (quota.quota.replace('_', " ")) }
                    dd {
                        (measured(quota.used.0, "load_balancer_quota_usage", &[("load_balancer", &*one.id), ("quota", &*quota.quota)]))
                        @if let Some(limit) = quota.limit { " of " (measured(limit.0, "quota_limit", &[("quota", &*quota.quota)])) }
                    }
                }
            }
        }
    };
    section(&format!("load-balancer-{id}"), "Load balancer", html! {}, content)
}

fn target_groups(groups: &[TargetGroupView]) -> Markup {
    if groups.is_empty() {
        return none("It has no target group that is known.");
    }
    table(
        "target-groups",
        "One for each port. With cross-zone off a zone leaves DNS when one group has no healthy target there.",
        &["Target group", "Port", "Targets", "Zones", "Cross-zone", "#Expected", "#Missing", "#Unexpected"],
        html! {
            @for group in groups {
                @let of = [("target_group", &*group.id)];
                @let count = |value: Option<u64>, family| match value { Some(value) => measured(value as f64, family, &of), None => unknown() };
                tr {
                    th scope="row" { span class="mono" { (group.name.as_ref().unwrap_or(&group.id)) } }
                    td { @if let Some(port) = &group.service_port { (port) } small { (group.protocol) " to " (group.target_type) } }
                    td {
                        (services::targets(group.targets.as_deref(), group.zones.as_deref(), &of))
                        @for reason in &group.unhealthy_reasons { small { (reason.count) " " (reason.reason) } }
                    }
                    td { (services::zones(group.zones.as_deref(), group.cross_zone, &of)) }
                    td { @match group.cross_zone { Some(true) => "on", Some(false) => "off", None => (unknown()) } }
                    td class="number" { (count(group.expected, "target_group_expected_targets")) }
                    td class="number" { (count(group.missing, "target_group_missing_targets")) }
                    td class="number" { (count(group.unexpected, "target_group_unexpected_targets")) }
                }
            }
        },
    )
}

/// Targets with a series of their own, mostly those that do not serve.
fn targets(targets: &[(&TargetGroupView, &TargetView)]) -> Markup {
    table(
        "targets",
        "Targets that have a series of their own: unless configured otherwise, those that are not healthy.",
        &["Target", "State", "Reason", "Zone", "Pod", "Node", "Target group"],
        html! {
            @for (group, target) in targets {
                tr {
                    th scope="row" { span class="mono" { (target.target) @if let Some(port) = &target.port { ":" (port) } } }
                    td { span class={ "tag " (if &*target.state == "healthy" { "good" } else { "critical" }) } { (target.state) } }
                    td { @match &target.reason { Some(reason) => (reason), None => span class="quiet" { "none" } } }
                    td { @match &target.zone { Some(zone) => (zone), None => (unknown()) } }
                    td { @match &target.pod { Some(pod) => (pod), None => span class="quiet" { "none known" } } }
                    td { @match &target.node { Some(node) => (node), None => span class="quiet" { "none known" } } }
                    td { span class="mono" { (group.name.as_ref().unwrap_or(&group.id)) } }
                }
            }
        },
    )
}

fn edited(frame: &Frame, edited: &[EditedView]) -> Markup {
    table(
        "edited",
        "EKS advises against editing annotations after the load balancer was made: check that each of these took effect.",
        &["Annotation", "Before", "Now", "Edited"],
        html! {
            @for one in edited {
                tr {
                    th scope="row" { span class="mono" { (one.annotation) } }
                    td class="any" { @match &one.before { Some(before) => code { (before) }, None => span class="quiet" { "not there" } } }
                    td class="any" { @match &one.now { Some(now) => code { (now) }, None => span class="quiet" { "removed" } } }
                    td { @match one.edited_at { Some(at) => (frame.moment(at)), None => (unknown()) } }
                }
            }
        },
    )
}

fn lint(frame: &Frame, problems: &[LintView]) -> Markup {
    table(
        "lint",
        "What is written in the Service's annotations and spec and does not do what it says.",
        &["Field", "Severity", "Finding", "Problem"],
        html! {
            @for one in problems {
                tr {
                    th scope="row" class="any" { code { (one.field) } }
                    td { (findings::tag(one.severity)) }
                    td { a href=(frame.link(format_args!("findings?code={}", one.code))) { (one.code) } }
                    td class="any" { (one.message) }
                }
            }
        },
    )
}
