//! What is broken now, since when, and what is to be done about it?

use maud::{Markup, html};

use super::layout::{Frame, count, none};
use super::query::Segment;
use crate::checks::model::Severity;
use crate::expose::view::findings::{FindingView, SubjectView};

/// A list of findings, the worst first. What is found of several target groups of one Service is told once, and the others below.
pub(crate) fn list(frame: &Frame, findings: &[FindingView], nothing: &str) -> Markup {
    if findings.is_empty() {
        return none(nothing);
    }
    html! {
        ol class="findings card" {
            @for (first, others) in together(findings) { (entry(frame, first, &others)) }
        }
    }
}

/// Findings of one code about one Service, in the order of the first ones.
fn together(findings: &[FindingView]) -> Vec<(&FindingView, Vec<&FindingView>)> {
    let mut all: Vec<(&FindingView, Vec<&FindingView>)> = Vec::new();
    for finding in findings {
        let same = |(first, _): &&mut (&FindingView, Vec<&FindingView>)| {
            let of_one = first.service.is_some() && first.service == finding.service && first.namespace == finding.namespace;
            of_one && first.code == finding.code
        };
        match all.iter_mut().find(same) {
            Some((_, others)) => others.push(finding),
            None => all.push((finding, Vec::new())),
        }
    }
    all
}

fn entry(frame: &Frame, finding: &FindingView, others: &[&FindingView]) -> Markup {
    html! {
        li class=(finding.severity.as_str()) {
            div class="code" {
                (tag(finding.severity))
                a href=(frame.link(format_args!("findings?code={}", finding.code))) { code { (finding.code) } }
            }
            div {
                h3 { (finding.title) }
                p { (told(frame, finding)) }
                @if !others.is_empty() {
                    details {
                        summary { "The same of " (count(others.len(), "more thing", "more things")) " of this Service" }
                        @for other in others { p { (told(frame, other)) } }
                    }
                }
                p class="do" { strong { "What to do: " } (finding.action) }
            }
            div class="since" {
                (frame.since(finding.since, finding.seen_since))
            }
        }
    }
}

/// What it is about, and the sentence. One that begins with the thing's name is linked there.
fn told(frame: &Frame, finding: &FindingView) -> Markup {
    let name = finding.subject.name.as_deref();
    let rest = name.and_then(|name| finding.message.strip_prefix(name)).filter(|rest| rest.starts_with(' '));
    html! {
        strong { (subject(frame, finding)) }
        @match rest { Some(rest) => (rest), None => { ": " (finding.message) } }
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
            @if !matches!(*kind, "service") { " (" (words(kind)) @if let Some(name) = name { " " code { (short(kind, name)) } } ")" }
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
            (None, Some(name)) => code { (short(kind, name)) },
            (_, None) => "",
        }
    }
}

/// The name in the identity of a load balancer or target group: between `net/` or `targetgroup/` and what AWS made up.
fn short<'a>(kind: &str, name: &'a str) -> &'a str {
    match kind {
        "load_balancer" | "target_group" => name.split('/').nth(1).unwrap_or(name),
        _ => name,
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
