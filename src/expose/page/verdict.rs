//! Is it serving, what is worst, and can that be trusted? One sentence each, for somebody who was just woken.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::layout::{Frame, age, count, lasted};
use super::numbers::{measured, summed};
use crate::checks::catalogue::{
    BINDING_BLOCKED, DARK_ZONE, LOAD_BALANCER_NOT_ACTIVE, NO_HEALTHY_TARGET, NO_USABLE_ZONE, QUOTA_EXHAUSTED, RULES_EXHAUSTED,
    SERVICE_BLOCKED,
};
use crate::checks::model::{FindingKind, Severity};
use crate::expose::view::findings::FindingView;
use crate::expose::view::headroom::{HeadroomView, WallView};
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
/// What keeps the next load balancer from being made.
const WALLS: &[&FindingKind] = &[&NO_USABLE_ZONE, &RULES_EXHAUSTED, &QUOTA_EXHAUSTED];
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
                    @if let Some(lasted) = lasted(frame.now, worst.since, worst.seen_since) { " (" (lasted) ")" }
                }
            }
            p { strong { "The next load balancer: " } (next(frame, facts)) }
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
    let unseen = *state == "pending" || OF_SERVING.iter().any(|check| blind.contains(check) || failed.contains(check));
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
            format!(
                "{} {verb} lost a zone: {}. {}",
                of(&dark),
                some(&dark),
                if unseen { "Of the others not everything is known." } else { "The others are served." }
            ),
        );
    }
    if *state == "pending" {
        return say(Mood::Unknown, "Not known yet", "It is not known yet whether everything is served.".to_owned());
    }
    if unseen {
        return say(Mood::Unknown, "Blind", "Nobody can say from here whether everything is served.".to_owned());
    }
    let walls = concerned(facts, WALLS);
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
    if unsure(facts.verdict) {
        return say(Mood::Warning, "Serving", "Everything is served, and of the rest not everything is known.".to_owned());
    }
    say(Mood::Good, "Serving", "Everything is served, and nothing is wrong.".to_owned())
}

/// Whether one more load balancer would be made.
fn next(frame: &Frame, facts: &Facts<'_>) -> Markup {
    let walls = concerned(facts, WALLS);
    html! {
        @if !walls.is_empty() {
            "there is no room for it: " (some(&walls)) "."
        } @else {
            @match least(facts.headroom) {
                Some((scheme, wall)) => {
                    (wall.load_balancers) " more fit (" (scheme) "); first wall: "
                    a href=(frame.link("quotas")) { (super::quotas::constraint(&wall.constraint)) } "."
                }
                None => "whether there is room for it is unknown.",
            }
        }
    }
}

/// The wall that stands nearest, whatever the scheme.
fn least(headroom: &HeadroomView) -> Option<(&str, &WallView)> {
    let walls = headroom.schemes.iter().filter_map(|scheme| Some((&*scheme.scheme, scheme.first_wall.as_ref()?)));
    walls.min_by_key(|(_, wall)| wall.load_balancers)
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
    let at_least = unsure(facts.verdict);
    let severity = |number: u64, severity: Severity| {
        let class = if number > 0 { severity.as_str() } else { "" };
        html! {
            dd class=(class) {
                @if at_least { small { "at least " } }
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
                    @match least(facts.headroom) {
                        Some((scheme, wall)) => {
                            (measured(wall.load_balancers as f64, "headroom_load_balancers", &[("scheme", scheme), ("constraint", &*wall.constraint)]))
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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::expose::view::findings::{FindingCounts, SubjectView};

    fn verdict(findings: &[FindingView]) -> VerdictView {
        VerdictView {
            evaluated_at: Timestamp::UNIX_EPOCH,
            worst: None,
            findings: FindingCounts::of(findings),
            muted: 0,
            blind: Vec::new(),
            failed: Vec::new(),
            state: "ready",
            waiting_for: Vec::new(),
        }
    }

    fn finding(kind: &'static FindingKind, service: &str) -> FindingView {
        FindingView {
            code: kind.code,
            severity: kind.severity,
            title: kind.title,
            subject: SubjectView { kind: "security_group", name: Some("sg-1".to_owned()) },
            namespace: (!service.is_empty()).then(|| "shop".into()),
            service: (!service.is_empty()).then(|| service.into()),
            message: "Something.".to_owned(),
            action: kind.action,
            page: kind.page(),
            since: None,
            seen_since: None,
        }
    }

    fn headline_of(findings: &[FindingView], change: impl FnOnce(&mut VerdictView)) -> Headline {
        let mut verdict = verdict(findings);
        change(&mut verdict);
        let headroom = HeadroomView { evaluated_at: Timestamp::UNIX_EPOCH, complete: true, schemes: Vec::new() };
        headline(&Facts { verdict: &verdict, findings, sources: &[], headroom: &headroom, services: Some(12), targets: None })
    }

    #[test]
    fn the_worst_is_said_first() {
        let down = finding(&NO_HEALTHY_TARGET, "web");
        let dark = finding(&DARK_ZONE, "api");
        let full = finding(&RULES_EXHAUSTED, "");
        let blocked = finding(&SERVICE_BLOCKED, "cart");
        let said = |findings: &[&FindingView]| {
            let findings: Vec<_> = findings.iter().map(|one| (*one).clone()).collect();
            headline_of(&findings, |_| ()).sentence
        };
        assert_eq!(said(&[&full, &dark, &down]), "1 of 12 Services does not serve: shop/web.");
        assert_eq!(said(&[&full, &dark]), "1 of 12 Services has lost a zone: shop/api. The others are served.");
        assert_eq!(
            said(&[&full, &blocked]),
            "Everything is served, and there is no room for the next load balancer: security group sg-1."
        );
        assert_eq!(said(&[&blocked]), "Everything is served; the controller cannot go on with shop/cart.");
        assert_eq!(said(&[]), "Everything is served, and nothing is wrong.");
    }

    #[test]
    fn several_target_groups_of_a_service_are_one_service_and_long_lists_are_cut() {
        let many: Vec<_> = ["a", "a", "b", "c", "d", "e"].map(|name| finding(&NO_HEALTHY_TARGET, name)).into();
        assert_eq!(headline_of(&many, |_| ()).sentence, "5 of 12 Services do not serve: shop/a, shop/b, shop/c and 2 more.");
    }

    #[test]
    fn who_is_blind_never_says_that_all_is_served() {
        let blind = headline_of(&[], |verdict| verdict.blind = vec!["target_health"]);
        assert_eq!((blind.mood, blind.word), (Mood::Unknown, "Blind"));
        let failed = headline_of(&[], |verdict| verdict.failed = vec!["zones"]);
        assert_eq!(failed.mood, Mood::Unknown);
        let pending = headline_of(&[], |verdict| verdict.state = "pending");
        assert_eq!((pending.mood, pending.word), (Mood::Unknown, "Not known yet"));
        let dark = headline_of(&[finding(&DARK_ZONE, "api")], |verdict| verdict.blind = vec!["services"]);
        assert!(dark.sentence.ends_with("Of the others not everything is known."), "{dark:?}");
        let elsewhere = headline_of(&[], |verdict| verdict.blind = vec!["drift"]);
        assert_eq!(elsewhere.sentence, "Everything is served, and of the rest not everything is known.");
    }
}
