//! The lists of a picture, each as a section: short on the overview, in pages on a page of its own.

use maud::{Markup, html};

use super::layout::{Frame, List, count, section};
use super::query::{NoSuchPage, ROWS_PER_PAGE, Window};
use super::verdict::nothing_found;
use super::{drift, findings, orphans, quotas, security_groups, services, sources, subnets};
use crate::checks::Judged;
use crate::expose::view::findings::{FindingView, FindingsView};
use crate::expose::view::headroom::HeadroomView;
use crate::expose::view::orphans::OrphansView;
use crate::expose::view::query::Query;
use crate::expose::view::quotas::QuotasView;
use crate::expose::view::security_groups::SecurityGroupsView;
use crate::expose::view::services::{ServiceView, ServicesView};
use crate::expose::view::sources::SourcesView;
use crate::expose::view::subnets::SubnetsView;
use crate::inventory::ids::ObjectName;

/// What the sections are made from.
#[derive(Debug)]
pub(crate) struct Material<'a> {
    /// The picture.
    pub(crate) judged: &'a Judged,
    /// Findings that fit what was asked for.
    pub(crate) findings: &'a FindingsView,
    /// How the sources are doing.
    pub(crate) sources: &'a SourcesView,
}

/// How much of a list is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Its first rows, with a link to all.
    Short,
    /// A page of it.
    Page(usize),
}

impl Extent {
    /// The same as a question to a view.
    fn part(self, short: usize, filter: &Query) -> Query {
        let (limit, offset) = match self {
            Self::Short => (short, 0),
            Self::Page(page) => (ROWS_PER_PAGE, page.saturating_sub(1).saturating_mul(ROWS_PER_PAGE)),
        };
        Query { limit: Some(limit), offset, ..filter.clone() }
    }

    /// What that is of a list, `short` rows of which are on the overview.
    fn window(self, short: usize, total: usize) -> Result<Window, NoSuchPage> {
        match self {
            Self::Short => Ok(Window::first(short, total)),
            Self::Page(page) => Window::page(page, total),
        }
    }
}

/// A section and its list.
pub(crate) fn make(frame: &Frame, list: List, material: &Material<'_>, extent: Extent) -> Result<Markup, NoSuchPage> {
    let Material { judged, findings: found, sources } = material;
    let filter = &frame.asked.filter;
    let (window, heading, said, content) = match list {
        List::Findings => {
            let window = extent.window(10, found.findings.len())?;
            let nothing = if frame.asked.filters() { "Nothing of that was found." } else { nothing_found(&found.verdict) };
            (window, "What is broken now", html! {}, findings::list(frame, window.of(&found.findings), nothing))
        }
        List::Services => {
            // A thousand Services are too many to look at each of them for a page of fifty.
            let view = ServicesView::worst_first(judged, &extent.part(15, filter));
            let window = extent.window(15, usize::try_from(view.total).unwrap_or(usize::MAX))?;
            let others = html! {
                @if extent != Extent::Short && window.page == 1 { (services::others(&view)) }
            };
            (window, "Services", html! {}, html! { (services::list(frame, &view)) (others) })
        }
        List::Subnets => {
            let mut view = SubnetsView::of(judged, filter);
            subnets::order(&mut view.subnets);
            let window = extent.window(9, view.subnets.len())?;
            (window, "Subnets", subnets::schemes(&view), subnets::list(frame, &view, &window))
        }
        List::SecurityGroups => {
            let mut view = SecurityGroupsView::of(judged, filter);
            security_groups::order(&mut view.security_groups);
            let window = extent.window(6, view.security_groups.len())?;
            let said = html! { p { (security_groups::limit(view.limit, view.limit_assumed)) } };
            (window, "Security groups", said, security_groups::list(frame, &view, &window))
        }
        List::Quotas => {
            let mut view = QuotasView::of(judged, filter);
            quotas::order(&mut view.quotas);
            let window = extent.window(6, view.quotas.len())?;
            let table = quotas::list(frame, &view.quotas, &window);
            let headroom = quotas::headroom(&HeadroomView::of(judged));
            (window, "Quotas and headroom", html! {}, html! { (headroom) div class="gap" {} (table) })
        }
        List::Drift => {
            let names = drift::services(found.findings.iter());
            let window = extent.window(8, names.len())?;
            let of = |name: &drift::Name| {
                let view = ServiceView::of(judged, &ObjectName::new(&*name.0, &*name.1));
                (name.clone(), view.map(|view| view.drift).unwrap_or_default())
            };
            let shown: Vec<_> = window.of(&names).iter().map(of).collect();
            let nothing = "No difference is known between the Services and AWS.";
            (window, "Drift", html! {}, drift::list(frame, &shown, nothing))
        }
        List::Orphans => {
            let mut view = OrphansView::of(judged);
            view.findings.retain(|finding| filter.wants(finding));
            let window = extent.window(8, view.findings.len())?;
            (window, "Orphans", orphans::counts(&view), orphans::list(frame, &view, &window))
        }
        List::Muted => {
            let window = extent.window(5, found.muted.len())?;
            (window, "Muted", html! {}, orphans::muted(frame, window.of(&found.muted)))
        }
        List::Sources => return self::sources(frame, sources, extent),
    };
    Ok(put(frame, list, heading, &window, extent, said, content))
}

/// The only section that there is without a picture.
pub(crate) fn sources(frame: &Frame, view: &SourcesView, extent: Extent) -> Result<Markup, NoSuchPage> {
    let mut all = view.sources.clone();
    sources::order(&mut all);
    let window = extent.window(8, all.len())?;
    let content = html! {
        (sources::list(frame, &all, &window))
        @if window.page == 1 { div class="gap" {} (sources::calls(&view.api_services)) }
    };
    Ok(put(frame, List::Sources, "Sources", &window, extent, html! {}, content))
}

fn put(frame: &Frame, list: List, heading: &str, window: &Window, extent: Extent, said: Markup, content: Markup) -> Markup {
    let all = frame.kept(list.path());
    let beside = html! {
        @if extent == Extent::Short && window.left_out() > 0 {
            a class="more" href=(all) { "All " (window.total) span class="sr" { " of " (list.name()) } }
        }
        (said)
    };
    let content = html! {
        (content)
        @if extent != Extent::Short { (frame.paging(list.path(), window)) }
    };
    section(list.path(), heading, beside, content)
}

/// What a filter leaves out, in a sentence, with the way back.
pub(crate) fn filter_note(frame: &Frame, all: &[FindingView], shown: &FindingsView) -> Markup {
    html! {
        @if let Some(said) = frame.asked.said() {
            p class="note" {
                "Only " strong { (said) } ": " (shown.findings.len()) " of " (count(all.len(), "finding", "findings")) ". "
                "Subnets, security groups, quotas and sources belong to no namespace. "
                a href="?" { "Show everything" }
            }
        }
    }
}
