//! What does a person see under `/`? What runs, whether it can be trusted, what it found.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use maud::{DOCTYPE, html};

use crate::checks::model::{Finding, Outcome, Severity};
use crate::expose::readiness::State;
use crate::expose::view::sources::SourceView;
use crate::inventory::parts::SourceStatus;
use crate::version;

/// Nothing but this server's own style sheet: findings hold text that strangers may have written.
pub(crate) const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Findings listed on the page, the worst first.
const MOST_FINDINGS: usize = 100;

/// The style sheet.
pub(crate) const STYLE: &str = "\
:root { color-scheme: light dark; font-family: system-ui, sans-serif; line-height: 1.5 }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse }
th, td { text-align: left; vertical-align: top; padding: .15rem 1.5rem .15rem 0 }
td.number { text-align: right; font-variant-numeric: tabular-nums }
.down, .critical { color: light-dark(#b00020, #ff8a80) }
";

/// The page as it is now.
pub(crate) fn render(
    telemetry_path: &str,
    readiness: &State,
    outcome: Option<&Outcome>,
    sources: &BTreeMap<Arc<str>, SourceStatus>,
) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { "eks-nlb-exporter" }
                link rel="stylesheet" href="/style.css";
            }
            body {
                h1 { "eks-nlb-exporter" }
                p { "Version " (version::VERSION) ", revision " (version::REVISION) ". Metrics: " a href=(telemetry_path) { (telemetry_path) } "." }
                p { (readiness_sentence(readiness)) }
                h2 { "Findings" }
                @match outcome {
                    None => p { "There is no picture yet." },
                    Some(outcome) => {
                        p { "As of " (seconds(outcome.evaluated_at)) ". " a href="/api/v1/findings" { "All of them as JSON" } "." }
                        table {
                            @for severity in [Severity::Critical, Severity::Warning, Severity::Info] {
                                tr {
                                    th scope="row" class=(severity.as_str()) { (severity.as_str()) }
                                    td class="number" { (count(outcome, severity)) }
                                }
                            }
                        }
                        @if !outcome.findings.is_empty() { (findings(&outcome.findings)) }
                    }
                }
                h2 { "Sources" }
                table {
                    tr { th { "source" } th { "state" } th { "last success" } th { "missing" } th { "failure" } }
                    @for (name, status) in sources {
                        (source_row(&SourceView::of(name, status, crate::clock::now())))
                    }
                }
            }
        }
    };
    page.into_string()
}

/// The worst ones; the API has the rest.
fn findings(all: &[Finding]) -> maud::Markup {
    html! {
        table {
            tr { th { "code" } th { "severity" } th { "about" } th { "what is wrong, and what to do" } th { "since" } }
            @for finding in all.iter().take(MOST_FINDINGS) {
                tr {
                    th scope="row" { (finding.kind.code) }
                    td class=(finding.kind.severity.as_str()) { (finding.kind.severity.as_str()) }
                    td { (finding.subject) }
                    td { (finding.message) br; small { (finding.kind.action) } }
                    td { @if let Some(since) = finding.since { (seconds(since)) } }
                }
            }
        }
        @if all.len() > MOST_FINDINGS { p { (all.len() - MOST_FINDINGS) " more." } }
    }
}

fn source_row(source: &SourceView) -> maud::Markup {
    html! {
        tr {
            th scope="row" { (source.name) }
            td class=(source.state.as_str()) { (source.state.as_str()) }
            td { @if let Some(at) = source.last_success { (seconds(at)) } @else { "never" } }
            td class="number" { (source.missing) }
            td { @if let Some(failure) = &source.failure { (failure.operation) ": " (failure.reason) } }
        }
    }
}

fn readiness_sentence(state: &State) -> String {
    match state {
        State::Ready => "Ready.".to_owned(),
        State::ShuttingDown => "Shutting down.".to_owned(),
        State::Pending(names) => {
            format!("Not ready, waiting for: {}.", names.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
        }
    }
}

fn count(outcome: &Outcome, severity: Severity) -> usize {
    outcome.findings.iter().filter(|finding| finding.kind.severity == severity).count()
}

/// To the second: nobody reads nanoseconds.
fn seconds(at: Timestamp) -> String {
    format!("{at:.0}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::part::{Failure, FailureCategory};

    #[test]
    fn a_finding_is_told_with_what_to_do_and_its_text_is_text() {
        let finding = Finding {
            kind: &crate::checks::catalogue::SERVICE_BLOCKED,
            subject: crate::checks::model::Subject::Cluster,
            message: "<img src=x> failed".to_owned(),
            since: None,
        };
        let outcome = Outcome {
            evaluated_at: Timestamp::UNIX_EPOCH,
            families: Vec::new(),
            findings: vec![finding],
            muted: Vec::new(),
            runs: Vec::new(),
        };
        let page = render("/metrics", &State::Ready, Some(&outcome), &BTreeMap::new());
        assert!(page.contains("NLB510") && page.contains(crate::checks::catalogue::SERVICE_BLOCKED.action), "{page}");
        assert!(!page.contains("<img") && page.contains("&lt;img src=x&gt; failed"), "{page}");
    }

    #[test]
    fn text_of_strangers_is_text_on_the_page() {
        let failure =
            Failure { category: FailureCategory::Server, operation: "<script>alert(1)</script>".into(), message: String::new() };
        let status = SourceStatus { failure: Some(Arc::new(failure)), ..SourceStatus::default() };
        let page = render("/metrics", &State::Ready, None, &BTreeMap::from([(Arc::from("kube_<b>"), status)]));
        assert!(!page.contains("<script>") && page.contains("&lt;script&gt;") && page.contains("kube_&lt;b&gt;"), "{page}");
    }

    #[test]
    fn the_page_says_what_is_missing_and_when_it_was_judged() {
        let pending = State::Pending(["tags".to_owned(), "services".to_owned()].into());
        let page = render("/metrics", &pending, None, &BTreeMap::new());
        assert!(page.contains("waiting for: services, tags.") && page.contains("There is no picture yet."), "{page}");
        let outcome = Outcome {
            evaluated_at: Timestamp::from_millisecond(1_500).unwrap(),
            families: Vec::new(),
            findings: Vec::new(),
            muted: Vec::new(),
            runs: Vec::new(),
        };
        let page = render("/metrics", &State::Ready, Some(&outcome), &BTreeMap::new());
        assert!(page.contains("As of 1970-01-01T00:00:01Z."), "{page}");
    }
}
