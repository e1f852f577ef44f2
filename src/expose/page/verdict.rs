//! Is it serving, what is worst, and can that be trusted? One sentence each, for somebody who was just woken.

use maud::{Markup, html};

use super::facts::{Facts, least};
use super::headline::{Headline, PAST, concerned, concerns, headline, some, unsure, walls, whole};
use super::layout::{Frame, age, count, lasted, length};
use super::numbers::{measured, summed};
use crate::checks::catalogue::QUOTA_NAMED_BY_EVENT;
use crate::checks::model::Severity;
use crate::expose::view::headroom::WallView;
use crate::expose::view::sources::{SourceState, SourceView};
use crate::expose::view::verdict::VerdictView;

/// A source that was last heard of before so many of its intervals is stale, as NLB903 has it.
const LATE: i64 = 3;
/// A watch that was last heard of before so many seconds is, too.
const WATCH_LATE: f64 = 600.0;

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
                    (concerns(facts, worst)) ": " (worst.message)
                    @if let Some(lasted) = lasted(frame.now, worst.since, worst.seen_since) { " (" (lasted) ")" }
                }
            }
            (left_out(frame, facts))
            p { strong { "The next load balancer: " } (next(frame, facts)) }
            p { strong { "Trust: " } (trust(frame, facts)) }
        }
        (numbers(facts))
    }
}

/// What the headline does not speak for.
fn left_out(frame: &Frame, facts: &Facts<'_>) -> Markup {
    let unseen = &facts.unseen;
    let without = (!unseen.without.is_empty()).then(|| {
        let have = if unseen.without.len() == 1 { "has" } else { "have" };
        let services = count(unseen.without.len(), "Service", "Services");
        format!("{services} {have} no load balancer yet ({}). ", some(&unseen.without))
    });
    let unwatched = (unseen.unwatched > 0).then(|| {
        let services = count(whole(unseen.unwatched), "Service has a load balancer", "Services have load balancers");
        format!("{services} of a kind that is not looked at here. ")
    });
    let not_found = (!unseen.not_found.is_empty()).then(|| {
        let services = count(unseen.not_found.len(), "Service", "Services");
        format!("{services} whose load balancers are not seen: is it the cluster's account? ")
    });
    let groups = (unseen.groups > 0).then(|| {
        let groups = count(whole(unseen.groups), "target group", "target groups");
        format!("Of {groups} the health is not known. ")
    });
    html! {
        @if !unseen.is_nothing() || !facts.muted.is_empty() {
            p {
                strong { "Left out: " }
                @for said in [without, unwatched, not_found, groups].iter().flatten() { (said) }
                @if !facts.muted.is_empty() { a href=(frame.link("muted")) { (count(facts.muted.len(), "muted finding", "muted findings")) } "." }
            }
        }
    }
}

/// Whether one more load balancer would be made.
fn next(frame: &Frame, facts: &Facts<'_>) -> Markup {
    let (walls, refused) = (walls(facts), concerned(facts, &[&QUOTA_NAMED_BY_EVENT]));
    html! {
        @if !refused.is_empty() { "AWS refused the controller because of a quota (" (some(&refused)) "); " }
        @if !walls.is_empty() {
            "there is no room for it: " (some(&walls)) "."
        } @else {
            @match least(facts.headroom) {
                Some((scheme, wall)) => (room(frame, facts, scheme, wall)),
                None => "whether there is room for it is unknown.",
            }
        }
    }
}

/// How many fit under the wall that stands first. A zone that fell out stops nobody: what is made lacks it.
fn room(frame: &Frame, facts: &Facts<'_>, scheme: &str, wall: &WallView) -> Markup {
    let lacks_a_zone = wall.load_balancers == 0 && super::quotas::is_of_zones(wall);
    html! {
        @if lacks_a_zone { "it would lack a zone that others are in (" (scheme) "), since no address is left there for it; see " a href=(frame.link("subnets")) { "the subnets" } "." }
        @else {
            @if !facts.headroom.complete { "at most " }
            (wall.load_balancers) " more fit (" (scheme) "); first wall: "
            a href=(frame.link("quotas")) { (super::quotas::constraint(&wall.constraint)) }
            @if facts.wall_assumed { ", by AWS's default, since the limit could not be read" }
            "."
        }
    }
}

/// Sources that failed, and those that were not heard of for long.
fn doubtful(sources: &[SourceView]) -> (Vec<&SourceView>, Vec<&SourceView>) {
    let down = sources.iter().filter(|source| source.state == SourceState::Down).collect();
    let late = |source: &&SourceView| {
        let limit = i64::try_from(source.interval_seconds).unwrap_or(i64::MAX).saturating_mul(LATE) as f64;
        let limit = if limit > 0.0 { limit } else { WATCH_LATE };
        source.state == SourceState::Up && source.age_seconds.is_some_and(|age| age.0 > limit)
    };
    (down, sources.iter().filter(late).collect())
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
    let old = frame.now.duration_since(*evaluated_at);
    let missing: u64 = facts.sources.iter().map(|source| source.missing).sum();
    let seen = blind.is_empty() && failed.is_empty() && *state == "ready" && missing == 0;
    let sure = seen && down.is_empty() && late.is_empty() && old <= PAST;
    html! {
        @if sure {
            "every source answers, and the picture was judged " (judged) "."
        } @else {
            "not all of it. "
            @if old > PAST { "The picture is " (length(old)) " old, and nothing newer was judged. " }
            @if *state == "pending" { "The first full picture still waits for " (waiting_for.join(", ")) ". " }
            @if *state == "shutting_down" { "The exporter is shutting down. " }
            @if !down.is_empty() { "Failing: " a href=(frame.link("sources")) { (names(&down)) } "; what they feed is old or missing. " }
            @if !late.is_empty() { "Overdue: " a href=(frame.link("sources")) { (names(&late)) } ". " }
            @if missing > 0 { "Missing: " (count(whole(missing), "thing that a source", "things that sources")) " could not read; see " a href=(frame.link("sources")) { "Sources" } ". " }
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
                        Some((all, healthy)) => { @if facts.unseen.groups > 0 { small { "at least " } } (summed(healthy, "target_group_targets", &[("state", "healthy")])) small { " of " (summed(all, "target_group_targets", &[])) } }
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
                            small { " " (scheme) @if super::quotas::is_of_zones(wall) { ", in every zone" } }
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
