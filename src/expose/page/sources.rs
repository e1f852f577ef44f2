//! Can the picture be trusted: how old is each part, what failed, and what did asking cost?

use maud::{Markup, html};

use super::layout::{Frame, none, table};
use super::numbers::said;
use super::query::Window;
use crate::expose::view::sources::{ApiServiceView, SourceState, SourceView};

/// The sources, those that fail first.
pub(crate) fn order(sources: &mut [SourceView]) {
    let rank = |source: &SourceView| match source.state {
        SourceState::Down => 0,
        SourceState::Pending => 1,
        SourceState::Up if source.missing > 0 => 2,
        SourceState::Up => 3,
        SourceState::Absent => 4,
    };
    sources.sort_by(|a, b| (rank(a), &a.name).cmp(&(rank(b), &b.name)));
}

/// How each source is doing.
pub(crate) fn list(frame: &Frame, sources: &[SourceView], window: &Window) -> Markup {
    let rows = window.of(sources);
    if rows.is_empty() {
        return none("No source has been asked yet.");
    }
    table(
        "sources",
        "Where the picture comes from, what fails first. A watch has no interval: it is told of changes.",
        &["Source", "State", "Last success", "#Refreshed every", "#Missing", "Last failure"],
        html! { @for source in rows { (row(frame, source)) } },
    )
}

fn row(frame: &Frame, source: &SourceView) -> Markup {
    let tone = match source.state {
        SourceState::Up => "good",
        SourceState::Down => "critical",
        SourceState::Pending => "warning",
        SourceState::Absent => "",
    };
    html! {
        tr {
            th scope="row" { span class="mono" { (source.name) } }
            td { span class={ "tag " (tone) } { (source.state.as_str()) } }
            td class="nowrap" {
                @match source.last_success {
                    Some(at) => (frame.moment(at)),
                    None if source.state == SourceState::Absent => span class="quiet" { "nothing to watch" },
                    None => "never",
                }
            }
            td class="number" { @if source.interval_seconds > 0 { (source.interval_seconds) " s" } @else { span class="quiet" { "watch" } } }
            td class="number" { (source.missing) }
            td {
                @match &source.failure {
                    Some(failure) => { (failure.operation) ": " strong { (failure.reason) } },
                    None => span class="quiet" { "none" },
                }
            }
        }
    }
}

/// What was asked of AWS, and what may be.
pub(crate) fn calls(services: &[ApiServiceView]) -> Markup {
    if services.is_empty() {
        return html! {};
    }
    table(
        "calls",
        "Calls to AWS since this process began, and the budget it allows itself so that the controllers are never starved.",
        &["API", "#Calls", "Failed", "#Allowed a second", "#Waited for the budget"],
        html! {
            @for service in services {
                tr {
                    th scope="row" { (service.name) }
                    td class="number" { (said(service.calls as f64)) }
                    td {
                        @if service.failures.is_empty() { span class="quiet" { "none" } }
                        ul { @for failure in &service.failures { li { (said(failure.count as f64)) " " (failure.reason) } } }
                    }
                    td class="number" { @match service.allowed_per_second { Some(rate) => (said(rate.0)), None => span class="quiet" { "not asked yet" } } }
                    td class="number" { (said(service.waited_seconds.0.round())) " s" }
                }
            }
        },
    )
}
