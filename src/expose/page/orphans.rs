//! What stands in AWS under this cluster's name and belongs to nobody, and what is muted?

use maud::{Markup, html};

use super::findings;
use super::layout::{Frame, none, table};
use super::numbers::measured;
use super::query::Window;
use crate::expose::view::findings::FindingView;
use crate::expose::view::orphans::OrphansView;

/// How many there are of each kind.
pub(crate) fn counts(view: &OrphansView) -> Markup {
    html! {
        p {
            @if view.counts.is_empty() { "How many there are is not known." }
            @for (at, kind) in view.counts.iter().enumerate() {
                @if at > 0 { ", " }
                (kind.kind.replace('_', " ")) "s: " (measured(kind.count as f64, "orphaned_resources", &[("kind", &*kind.kind)]))
            }
            @if !view.complete { " Not everything was seen: there may be more." }
        }
    }
}

/// Which.
pub(crate) fn list(frame: &Frame, view: &OrphansView, window: &Window) -> Markup {
    html! {
        (findings::list(frame, window.of(&view.findings), if view.complete { "Nothing belongs to nobody." } else { "None is known; what was not seen may exist." }))
        @if !view.duplicates.is_empty() && window.page == 1 {
            (table(
                "duplicates",
                "Services with several load balancers: a replacement under way, or a leak.",
                &["Service", "How many", "Load balancers"],
                html! {
                    @for one in &view.duplicates {
                        tr {
                            th scope="row" { (frame.service(&one.namespace, &one.service)) }
                            td { (measured(one.count as f64, "service_load_balancers", &[("namespace", &*one.namespace), ("service", &*one.service)])) }
                            td { ul { @for load_balancer in &one.load_balancers { li class="mono" { (load_balancer.id) } } } }
                        }
                    }
                },
            ))
        }
    }
}

/// Findings that Services mute by an annotation of theirs.
pub(crate) fn muted(frame: &Frame, muted: &[FindingView]) -> Markup {
    if muted.is_empty() { none("Nothing is muted.") } else { findings::list(frame, muted, "") }
}
