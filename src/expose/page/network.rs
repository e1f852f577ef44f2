//! Everything of one subnet, and of one security group.

use maud::{Markup, html};

use super::layout::{Frame, none, section, table};
use super::{findings, security_groups, subnets};
use crate::expose::view::Text;
use crate::expose::view::findings::FindingView;
use crate::expose::view::security_groups::SecurityGroupView;
use crate::expose::view::subnets::SubnetView;

/// The content of a subnet's page.
pub(crate) fn subnet(frame: &Frame, view: &SubnetView) -> Markup {
    let row = &view.subnet;
    let about = html! {
        dt { "Zone" } dd { (row.zone) " (" (row.zone_id) ")" }
        dt { "Addresses" } dd { @match &row.cidr { Some(cidr) => (cidr), None => "no block" } " in " (row.vpc_id) }
        dt { "Free" } dd { (subnets::free(row, view.needed_addresses)) }
        dt { "Route" } dd { (subnets::route(row)) }
        dt { "For an internal load balancer" } dd { (subnets::choice(&row.discovery, "internal", &row.id)) }
        dt { "For an internet-facing one" } dd { (subnets::choice(&row.discovery, "internet-facing", &row.id)) }
    };
    html! {
        (head(frame, ("subnets", "Subnets"), "Subnet", &row.id, row.name.as_deref(), &row.findings))
        div class="card" { dl class="about" { (about) } }
        (section("findings", "What is wrong with it", html! {}, findings::list(frame, &row.findings, "Nothing was found about it.")))
        (section("load-balancers", "Load balancers in it", html! {}, load_balancers(&view.load_balancers)))
    }
}

/// The content of a security group's page.
pub(crate) fn security_group(frame: &Frame, view: &SecurityGroupView) -> Markup {
    let row = &view.security_group;
    let used = |direction, family| security_groups::used(row, direction, family, view.limit, view.limit_assumed);
    let rules = html! {
        tr { th scope="row" { "Inbound" } td { (used("inbound", "ipv4")) } td { (used("inbound", "ipv6")) } }
        tr { th scope="row" { "Outbound" } td { (used("outbound", "ipv4")) } td { (used("outbound", "ipv6")) } }
    };
    html! {
        (head(frame, ("security-groups", "Security groups"), "Security group", &row.id, row.name.as_deref(), &row.findings))
        div class="card" {
            dl class="about" {
                dt { "VPC" } dd { @match &row.vpc_id { Some(vpc) => (vpc), None => (super::layout::unknown()) } }
                dt { "Part it plays" } dd { (security_groups::roles(frame, &row.roles)) }
                dt { "Quota" } dd { (security_groups::limit(view.limit, view.limit_assumed)) }
                @for rules in row.rules.iter().filter(|rules| rules.needed.is_some()) {
                    dt { "One more load balancer takes" }
                    dd {
                        @if let Some(needed) = rules.needed {
                            (super::numbers::measured(needed as f64, "security_group_rules_needed_per_load_balancer",
                                &[("security_group_id", &*row.id), ("direction", &*rules.direction), ("ip_family", &*rules.ip_family)]))
                            " " (rules.direction) " " (rules.ip_family)
                        }
                    }
                }
            }
        }
        (section("rules", "Rules", html! {}, table("rules", "Rules used, as AWS counts them for the quota.", &["Direction", "IPv4", "IPv6"], rules)))
        (section("findings", "What is wrong with it", html! {}, findings::list(frame, &row.findings, "Nothing was found about it.")))
        (section("load-balancers", "Load balancers that have it", html! {}, load_balancers(&view.load_balancers)))
    }
}

fn head(frame: &Frame, list: (&str, &str), kind: &str, id: &str, name: Option<&str>, found: &[FindingView]) -> Markup {
    html! {
        p class="crumbs" { a href=(frame.link(list.0)) { (list.1) } }
        section class={ "verdict " (found.first().map_or("good", |worst| worst.severity.as_str())) } aria-labelledby="verdict" {
            p class="word" { (kind) }
            h1 id="verdict" { span class="mono" { (id) } }
            @if let Some(name) = name { p { (name) } }
        }
        br;
    }
}

fn load_balancers(all: &[Text]) -> Markup {
    if all.is_empty() {
        return none("None of this cluster's that is known.");
    }
    html! { ul class="card names" { @for one in all { li class="mono" { (one) } } } }
}
