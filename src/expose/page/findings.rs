//! What is broken now, since when, and what is to be done about it?

use maud::{Markup, html};

use super::layout::{Frame, none};
use super::query::Segment;
use crate::checks::model::Severity;
use crate::expose::view::findings::{FindingView, SubjectView};

/// A list of findings, the worst first.
pub(crate) fn list(frame: &Frame, findings: &[FindingView], nothing: &str) -> Markup {
    if findings.is_empty() {
        return none(nothing);
    }
    html! {
        ol class="findings card" {
            @for finding in findings { (entry(frame, finding)) }
        }
    }
}

fn entry(frame: &Frame, finding: &FindingView) -> Markup {
    html! {
        li class=(finding.severity.as_str()) {
            div class="code" {
                (tag(finding.severity))
                a href=(frame.link(format_args!("findings?code={}", finding.code))) { code { (finding.code) } }
            }
            div {
                h3 { (finding.title) }
                p { strong { (subject(frame, finding)) } ": " (finding.message) }
                p class="do" { "What to do: " (finding.action) }
            }
            div class="since" {
                @match finding.since {
                    Some(since) => { "since " (frame.moment(since)) }
                    None => "since when is unknown",
                }
            }
        }
    }
}

/// The severity in a word; its colour is an addition.
pub(crate) fn tag(severity: Severity) -> Markup {
    html! { span class={ "tag " (severity.as_str()) } { (severity.as_str()) } }
}

/// What a finding is about, linked to its page, and the Service that it concerns.
fn subject(frame: &Frame, finding: &FindingView) -> Markup {
    let SubjectView { kind, name } = &finding.subject;
    let service = finding.service.as_deref().zip(finding.namespace.as_deref());
    html! {
        @if let Some((service, namespace)) = service {
            (frame.service(namespace, service))
            @if !matches!(*kind, "service") { " (" (words(kind)) @if let Some(name) = name { " " code { (name) } } ")" }
        } @else {
            (thing(frame, kind, name.as_deref()))
        }
    }
}

/// A thing with its kind, linked where it has a page.
fn thing(frame: &Frame, kind: &str, name: Option<&str>) -> Markup {
    let page = name.and_then(|name| match kind {
        "subnet" => Some(format!("subnets/{}", Segment(name))),
        "security_group" => Some(format!("security-groups/{}", Segment(name))),
        "quota" => Some("quotas".to_owned()),
        "source" => Some("sources".to_owned()),
        "scheme" => Some("subnets".to_owned()),
        _ => None,
    });
    html! {
        (words(kind)) " "
        @match (page, name) {
            (Some(page), Some(name)) => a href=(frame.link(page)) { (name) },
            (None, Some(name)) => code { (name) },
            (_, None) => "",
        }
    }
}

/// A kind of thing as people call it.
fn words(kind: &str) -> String {
    match kind {
        "service" => "Service".to_owned(),
        "gateway" => "Gateway".to_owned(),
        "target_group_binding" => "TargetGroupBinding".to_owned(),
        "cluster" => "the cluster".to_owned(),
        other => other.replace('_', " "),
    }
}
