//! Where would the next load balancer go, and how many addresses are left there?

use maud::{Markup, html};

use super::bars::{self, Tone};
use super::layout::{Frame, none, table, unknown};
use super::numbers::measured;
use super::query::{Segment, Window};
use crate::expose::view::subnets::{DiscoveryView, SubnetRow, SubnetsView};

/// The subnets, those with the fewest free addresses first. One without IPv4 addresses has none that could run out.
pub(crate) fn order(subnets: &mut [SubnetRow]) {
    let free = |subnet: &SubnetRow| subnet.available_addresses.unwrap_or(u64::MAX);
    subnets.sort_by(|a, b| (free(a), &a.zone, &a.id).cmp(&(free(b), &b.zone, &b.id)));
}

/// In how many zones the next load balancer would be.
pub(crate) fn schemes(view: &SubnetsView) -> Markup {
    html! {
        p {
            "Zones for a new load balancer: "
            @for (at, scheme) in view.schemes.iter().enumerate() {
                @if at > 0 { ", " }
                strong { (measured(scheme.usable_zones as f64, "scheme_usable_zones", &[("scheme", &*scheme.scheme)])) }
                " if it is " (scheme.scheme)
            }
            @if view.schemes.is_empty() { (unknown()) }
            "."
        }
    }
}

/// The table.
pub(crate) fn list(frame: &Frame, view: &SubnetsView, window: &Window) -> Markup {
    let rows = window.of(&view.subnets);
    if rows.is_empty() {
        return none(if view.complete { "There is no subnet here." } else { "No subnet is known; what was not seen may exist." });
    }
    table(
        "subnets",
        "Free addresses and what the controller would choose. Each step along a bar doubles the number; the line is at the 8 \
         free addresses that a new load balancer needs.",
        &["Subnet", "Zone", "Free addresses", "Route", "Internal", "Internet-facing"],
        html! {
            @for subnet in rows {
                tr {
                    th scope="row" {
                        a class="mono" href=(frame.link(format_args!("subnets/{}", Segment(&subnet.id)))) { (subnet.id) }
                        @if let Some(name) = &subnet.name { small { (name) } }
                    }
                    td { span class="nowrap" { (subnet.zone) } }
                    td { (free(subnet, view.needed_addresses)) }
                    td { (route(subnet)) }
                    td { (choice(&subnet.discovery, "internal", &subnet.id)) }
                    td { (choice(&subnet.discovery, "internet-facing", &subnet.id)) }
                }
            }
        },
    )
}

/// Free addresses as a number and as a bar.
pub(crate) fn free(subnet: &SubnetRow, needed: u64) -> Markup {
    let id = [("subnet_id", &*subnet.id)];
    html! {
        @match (subnet.available_addresses, subnet.addresses) {
            (Some(available), Some(all)) => div class="meter" {
                span class="said" {
                    strong { (measured(available as f64, "subnet_available_ip_addresses", &id)) }
                    " of " (measured(all as f64, "subnet_ip_addresses", &id))
                    @if available < needed { " " span class="tag critical" { "fewer than " (needed) } }
                    @else if available < 2 * needed { " " span class="tag warning" { "few" } }
                }
                (bars::free(available as f64, all as f64, needed as f64, tone(available, needed)))
            },
            (Some(available), None) => (measured(available as f64, "subnet_available_ip_addresses", &id)),
            (None, _) => span class="quiet" { "no IPv4 addresses" },
        }
    }
}

fn tone(available: u64, needed: u64) -> Tone {
    if available < needed {
        Tone::Critical
    } else if available < 2 * needed {
        Tone::Warning
    } else {
        Tone::Good
    }
}

/// Where its route table leads.
pub(crate) fn route(subnet: &SubnetRow) -> Markup {
    match &subnet.route {
        Some(route) => html! { (measured_word(route, &subnet.id)) },
        None => unknown(),
    }
}

fn measured_word(route: &str, id: &str) -> Markup {
    html! { span data-holds={ "subnet_route{subnet_id=\"" (id) "\",route=\"" (route) "\"}" } { (route) } }
}

/// What the controller's discovery makes of it for a scheme, and why.
pub(crate) fn choice(discovery: &[DiscoveryView], scheme: &str, id: &str) -> Markup {
    let Some(found) = discovery.iter().find(|one| &*one.scheme == scheme) else { return unknown() };
    let (tone, word) = match &*found.verdict {
        "chosen" => ("good", "chosen"),
        "outranked" => ("info", "outranked"),
        _ => ("", "refused"),
    };
    let series = format!("subnet_discovery{{subnet_id=\"{id}\",scheme=\"{scheme}\",verdict=\"{}\"}}", found.verdict);
    html! {
        span class={ "tag " (tone) } data-holds=(series) { (word) }
        @if word != "chosen" { small { (found.reason) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(id: &str, available: Option<u64>) -> SubnetRow {
        SubnetRow {
            id: id.into(),
            name: None,
            vpc_id: "vpc-1".into(),
            zone: "us-east-1a".into(),
            zone_id: "use1-az1".into(),
            cidr: None,
            available_addresses: available,
            addresses: available.map(|_| 251),
            route: None,
            discovery: Vec::new(),
            load_balancer_count: 0,
            findings: Vec::new(),
        }
    }

    #[test]
    fn the_fullest_come_first_and_those_without_addresses_last() {
        let mut all = [("six", None), ("roomy", Some(200)), ("full", Some(0))].map(|(id, available)| subnet(id, available));
        order(&mut all);
        assert_eq!(all.map(|subnet| subnet.id.to_string()), ["full", "roomy", "six"]);
    }
}
