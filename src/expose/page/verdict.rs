//! Is it serving, what is worst, and can that be trusted? One sentence each, for somebody who was just woken.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::layout::{Frame, age, count};
use super::numbers::{measured, summed};
use crate::checks::catalogue::{
    BINDING_BLOCKED, DARK_ZONE, LOAD_BALANCER_NOT_ACTIVE, NO_HEALTHY_TARGET, NO_USABLE_ZONE, QUOTA_EXHAUSTED,
    QUOTA_NAMED_BY_EVENT, RULES_EXHAUSTED, SERVICE_BLOCKED,
};
use crate::checks::model::{FindingKind, Severity};
use crate::expose::view::findings::FindingView;
use crate::expose::view::headroom::HeadroomView;
use crate::expose::view::sources::{SourceState, SourceView};
use crate::expose::view::verdict::VerdictView;

/// What the headline is made from: everything, whatever is filtered below it.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    /// The picture's own sum.
    pub(crate) verdict: &'a VerdictView,
    /// All findings, the worst first.
    pub(crate) findings: &'a [FindingView],
    /// All sources.
    pub(crate) sources: &'a [SourceView],
    /// Room for more load balancers.
    pub(crate) headroom: &'a HeadroomView,
    /// Services with a load balancer or in want of one; `None` where that is not known.
    pub(crate) services: Option<u64>,
    /// Registered targets, and of these healthy ones; `None` where none are known.
    pub(crate) targets: Option<(u64, u64)>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Good,
    Warning,
    Critical,
    Unknown,
}

impl Mood {
    fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        }
    }
}

/// What is said first.
#[derive(Debug, PartialEq, Eq)]
struct Headline {
    mood: Mood,
    word: &'static str,
    sentence: String,
}

/// Checks without which nobody can say whether traffic is served.
const OF_SERVING: &[&str] = &["services", "target_health", "zones"];
/// A source that was last heard of before so many of its intervals is stale, as NLB903 has it.
const LATE: i64 = 3;

/// The whole band: the headline, what is worst, whether it can be trusted, and the numbers that say how big this is.
pub(crate) fn verdict(frame: &Frame, facts: &Facts<'_>) -> Markup {
    let Headline { mood, word, sentence } = headline(facts);
    let worst = facts.findings.iter().find(|finding| finding.severity > Severity::Info);
    html! {
        section class={ "verdict " (mood.class()) } aria-labelledby="verdict" {
            p class="word" { (word) }
            h1 id="verdict" { (sentence) }
            @if let Some(worst) = worst {
                p {
                    strong { "Worst: " } a href=(frame.link(format_args!("findings?code={}", worst.code))) { (worst.code) } ", "
                    (concerns(worst)) ": " (worst.message)
                    @if let Some(since) = worst.since { " (" (age(frame.now, since)) ")" }
                }
            }
            p { strong { "Trust: " } (trust(frame, facts)) }
        }
        (numbers(facts))
    }
}

fn headline(facts: &Facts<'_>) -> Headline {
    let VerdictView { blind, failed, state, .. } = facts.verdict;
    let down = concerned(facts, &[&NO_HEALTHY_TARGET, &LOAD_BALANCER_NOT_ACTIVE]);
    let mut dark = concerned(facts, &[&DARK_ZONE]);
    dark.retain(|name| !down.contains(name));
    let say = |mood, word, sentence| Headline { mood, word, sentence };
    let of = |names: &BTreeSet<String>| match facts.services {
        Some(all) => format!("{} of {}", names.len(), count(whole(all), "Service", "Services")),
        None => count(names.len(), "Service", "Services"),
    };
    if !down.is_empty() {
        let verb = if down.len() == 1 { "does" } else { "do" };
        return say(Mood::Critical, "Not serving", format!("{} {verb} not serve: {}.", of(&down), some(&down)));
    }
    if !dark.is_empty() {
        let verb = if dark.len() == 1 { "has" } else { "have" };
        return say(
            Mood::Critical,
            "Serving, not everywhere",
            format!("{} {verb} lost a zone: {}. The others are served.", of(&dark), some(&dark)),
        );
    }
    if *state == "pending" {
        return say(Mood::Unknown, "Not known yet", "It is not known yet whether everything is served.".to_owned());
    }
    if OF_SERVING.iter().any(|check| blind.contains(check) || failed.contains(check)) {
        return say(Mood::Unknown, "Blind", "Nobody can say from here whether everything is served.".to_owned());
    }
    let walls = concerned(facts, &[&NO_USABLE_ZONE, &RULES_EXHAUSTED, &QUOTA_EXHAUSTED, &QUOTA_NAMED_BY_EVENT]);
    if !walls.is_empty() {
        return say(
            Mood::Critical,
            "Serving, at the limit",
            format!("Everything is served, and there is no room for the next load balancer: {}.", some(&walls)),
        );
    }
    let findings = facts.verdict.findings;
    if findings.critical > 0 {
        let critical = count(whole(findings.critical), "finding is", "findings are");
        return say(Mood::Critical, "Serving, in danger", format!("Everything is served, and {critical} critical."));
    }
    let blocked = concerned(facts, &[&SERVICE_BLOCKED, &BINDING_BLOCKED]);
    if !blocked.is_empty() {
        return say(
            Mood::Warning,
            "Serving",
            format!("Everything is served; the controller cannot go on with {}.", some(&blocked)),
        );
    }
    if findings.warning > 0 {
        let warnings = count(whole(findings.warning), "warning", "warnings");
        return say(Mood::Warning, "Serving", format!("Everything is served; there {} {warnings}.", is_or_are(findings.warning)));
    }
    say(Mood::Good, "Serving", "Everything is served, and nothing is wrong.".to_owned())
}

fn is_or_are(number: u64) -> &'static str {
    if number == 1 { "is" } else { "are" }
}

fn whole(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Whom findings of these kinds concern.
fn concerned(facts: &Facts<'_>, kinds: &[&FindingKind]) -> BTreeSet<String> {
    let of_kinds = facts.findings.iter().filter(|finding| kinds.iter().any(|kind| kind.code == finding.code));
    of_kinds.map(concerns).collect()
}

/// The Service that a finding concerns, or else what it is about.
fn concerns(finding: &FindingView) -> String {
    match (&finding.namespace, &finding.service) {
        (Some(namespace), Some(service)) => format!("{namespace}/{service}"),
        _ => match &finding.subject.name {
            Some(name) => format!("{} {name}", finding.subject.kind.replace('_', " ")),
            None => "the cluster".to_owned(),
        },
    }
}

/// Three names, and how many there are beyond.
fn some(names: &BTreeSet<String>) -> String {
    const MOST: usize = 3;
    let first: Vec<&str> = names.iter().map(String::as_str).take(MOST).collect();
    match names.len().saturating_sub(MOST) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// Sources that failed, and those that were not heard of for long.
fn doubtful(sources: &[SourceView]) -> (Vec<&SourceView>, Vec<&SourceView>) {
    let down = sources.iter().filter(|source| source.state == SourceState::Down).collect();
    let late = |source: &&SourceView| {
        let limit = i64::try_from(source.interval_seconds).unwrap_or(i64::MAX).saturating_mul(LATE) as f64;
        source.state == SourceState::Up && limit > 0.0 && source.age_seconds.is_some_and(|age| age.0 > limit)
    };
    (down, sources.iter().filter(late).collect())
}

/// Whether there may be more than was found.
fn unsure(verdict: &VerdictView) -> bool {
    verdict.state == "pending" || !verdict.blind.is_empty() || !verdict.failed.is_empty()
}

/// What an empty list of findings means.
pub(crate) fn nothing_found(verdict: &VerdictView) -> &'static str {
    if unsure(verdict) { "Nothing was found, and not everything was seen: there may be more." } else { "Nothing was found." }
}

/// Whether the picture can be believed, and what of it not.
fn trust(frame: &Frame, facts: &Facts<'_>) -> Markup {
    let VerdictView { blind, failed, state, waiting_for, evaluated_at, .. } = facts.verdict;
    let (down, late) = doubtful(facts.sources);
    let names = |sources: &[&SourceView]| {
        let told = |source: &&SourceView| {
            let why = source.failure.as_ref().map(|failure| format!(" ({})", failure.reason)).unwrap_or_default();
            format!("{}{why}", source.name)
        };
        some(&sources.iter().map(told).collect())
    };
    let judged = age(frame.now, *evaluated_at);
    let sure = blind.is_empty() && failed.is_empty() && *state == "ready" && down.is_empty() && late.is_empty();
    html! {
        @if sure {
            "every source answers, and the picture was judged " (judged) "."
        } @else {
            "not all of it. "
            @if *state == "pending" { "The first full picture still waits for " (waiting_for.join(", ")) ". " }
            @if *state == "shutting_down" { "The exporter is shutting down. " }
            @if !down.is_empty() { "Failing: " a href=(frame.link("sources")) { (names(&down)) } "; what they feed is old or missing. " }
            @if !late.is_empty() { "Overdue: " a href=(frame.link("sources")) { (names(&late)) } ". " }
            @if !blind.is_empty() { "Blind: the checks " (blind.join(", ")) " lack a source, and what they do not find may be there. " }
            @if !failed.is_empty() { "Failed: the checks " (failed.join(", ")) ". " }
            "Judged " (judged) "."
        }
    }
}

/// The numbers that say how big all this is.
fn numbers(facts: &Facts<'_>) -> Markup {
    let counts = facts.verdict.findings;
    let least = facts.headroom.schemes.iter().filter_map(|scheme| Some((&scheme.scheme, scheme.first_wall.as_ref()?)));
    let least = least.min_by_key(|(_, wall)| wall.load_balancers);
    let least_of_it = unsure(facts.verdict);
    let severity = |number: u64, severity: Severity| {
        let class = if number > 0 { severity.as_str() } else { "" };
        html! {
            dd class=(class) {
                @if least_of_it { small { "at least " } }
                (summed(number, "findings", &[("severity", severity.as_str())]))
            }
        }
    };
    html! {
        dl class="facts" {
            div { dt { "Critical" } (severity(counts.critical, Severity::Critical)) }
            div { dt { "Warnings" } (severity(counts.warning, Severity::Warning)) }
            div { dt { "For information" } (severity(counts.info, Severity::Info)) }
            div { dt { "Services" } dd { @match facts.services { Some(number) => (number), None => small { "unknown" } } } }
            div {
                dt { "Healthy targets" }
                dd {
                    @match facts.targets {
                        Some((all, healthy)) => { (summed(healthy, "target_group_targets", &[("state", "healthy")])) small { " of " (summed(all, "target_group_targets", &[])) } }
                        None => small { "unknown" },
                    }
                }
            }
            div {
                dt { "NLBs that still fit" }
                dd {
                    @match least {
                        Some((scheme, wall)) => {
                            (measured(wall.load_balancers as f64, "headroom_load_balancers", &[("scheme", &**scheme), ("constraint", &*wall.constraint)]))
                            small { " " (scheme) }
                        }
                        None => small { "unknown" },
                    }
                }
            }
        }
    }
}

/// What is said while there is no picture at all.
pub(crate) fn nothing_yet(frame: &Frame, waiting_for: &[String]) -> Markup {
    html! {
        section class="verdict unknown" aria-labelledby="verdict" {
            p class="word" { "Not known yet" }
            h1 id="verdict" { "There is no picture yet." }
            p {
                @if waiting_for.is_empty() { "The first one is being made." }
                @else { "It waits for " (waiting_for.join(", ")) "." }
            }
            p { "What fails meanwhile stands under " a href=(frame.link("sources")) { "Sources" } ", and a missing permission is named there." }
        }
    }
}
