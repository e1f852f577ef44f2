//! Is it serving? One sentence, for somebody who was just woken. It never says more than was seen.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::facts::Facts;
use super::layout::{count, length};
use crate::checks::catalogue::{
    BINDING_BLOCKED, DARK_ZONE, LOAD_BALANCER_GONE, LOAD_BALANCER_NOT_ACTIVE, NO_HEALTHY_TARGET, NO_USABLE_ZONE, QUOTA_EXHAUSTED,
    RULES_EXHAUSTED, SERVICE_BLOCKED, SOURCE_DENIED, SOURCE_DOWN, SOURCE_STALE,
};
use crate::checks::model::FindingKind;
use crate::expose::view::findings::FindingView;
use crate::expose::view::verdict::VerdictView;
use crate::inventory::parts::source;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Good,
    Warning,
    Critical,
    Unknown,
}

impl Mood {
    pub(super) fn class(self) -> &'static str {
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
pub(super) struct Headline {
    pub(super) mood: Mood,
    pub(super) word: &'static str,
    pub(super) sentence: String,
}

/// Checks without which nobody can say whether traffic is served.
const OF_SERVING: &[&str] = &["services", "target_health", "zones"];
/// Sources that change with the moment: where one of them is old, so is what is said of serving.
const OF_THE_MOMENT: &[&str] =
    &[source::LOAD_BALANCERS, source::TARGET_GROUPS, source::TARGET_HEALTH, source::SERVICES, source::ENDPOINT_SLICES];
/// A picture is judged every quarter of a minute; one that is older than this is of the past, as a recorded one is.
pub(super) const PAST: SignedDuration = SignedDuration::from_mins(1);
/// What keeps the next load balancer from being made.
const WALLS: &[&FindingKind] = &[&NO_USABLE_ZONE, &RULES_EXHAUSTED, &QUOTA_EXHAUSTED];

pub(super) fn headline(facts: &Facts<'_>) -> Headline {
    let VerdictView { blind, failed, state, .. } = facts.verdict;
    let say = |mood, word, sentence| Headline { mood, word, sentence };
    let unseen = *state == "pending" || OF_SERVING.iter().any(|check| blind.contains(check) || failed.contains(check));
    let seen = seen_ago(facts);
    let then = seen.map(|ago| format!(" That is how it was {} ago.", length(ago))).unwrap_or_default();

    let down = Concerned::of(facts, facts.findings, is_down);
    if !down.is_empty() {
        let told = down.told(facts, "does not serve", "do not serve");
        let others = if unseen { " Of the others not everything is known." } else { "" };
        return say(Mood::Critical, "Not serving", format!("{told}{others}{then}"));
    }
    let dark = Concerned::of(facts, facts.findings, is_dark);
    if !dark.is_empty() {
        let told = dark.told(facts, "has lost a zone", "have lost a zone");
        let others = match () {
            () if unseen => "Of the others not everything is known.",
            () if facts.unseen.is_nothing() && muted_down(facts).is_empty() => "The others are served.",
            () => "The others that are seen are served.",
        };
        return say(Mood::Critical, "Serving, not everywhere", format!("{told} {others}{then}"));
    }
    if *state == "pending" {
        return say(Mood::Unknown, "Not known yet", "It is not known yet whether everything is served.".to_owned());
    }
    if unseen {
        return say(Mood::Unknown, "Blind", "Nobody can say from here whether everything is served.".to_owned());
    }
    if let Some(ago) = seen {
        let sentence = format!("{} {} ago; how it stands now is not known.", served(facts, "was served"), length(ago));
        return say(Mood::Unknown, "Not known now", sentence);
    }
    while_serving(facts, &served(facts, "is served"))
}

/// What else there is to say while nothing is known to be without service.
fn while_serving(facts: &Facts<'_>, served: &str) -> Headline {
    let say = |mood, word, sentence| Headline { mood, word, sentence };
    let walls = concerned(facts, WALLS);
    if !walls.is_empty() {
        let sentence = format!("{served}, and there is no room for the next load balancer: {}.", some(&walls));
        return say(Mood::Critical, "Serving, at the limit", sentence);
    }
    let findings = facts.verdict.findings;
    if findings.critical > 0 {
        let critical = count(whole(findings.critical), "finding is", "findings are");
        return say(Mood::Critical, "Serving, in danger", format!("{served}, and {critical} critical."));
    }
    if !facts.unseen.not_found.is_empty() {
        let names = some(&facts.unseen.not_found);
        let sentence = format!("{served}; the load balancers that these Services name are not seen: {names}.");
        return say(Mood::Unknown, "Serving, as far as known", sentence);
    }
    if facts.unseen.groups > 0 {
        let groups = count(whole(facts.unseen.groups), "target group", "target groups");
        return say(Mood::Unknown, "Serving, as far as known", format!("{served}; how {groups} fare is not known."));
    }
    let blocked = concerned(facts, &[&SERVICE_BLOCKED, &BINDING_BLOCKED]);
    if !blocked.is_empty() {
        return say(Mood::Warning, "Serving", format!("{served}; the controller cannot go on with {}.", some(&blocked)));
    }
    if findings.warning > 0 {
        let warnings = count(whole(findings.warning), "warning", "warnings");
        let there_are = if findings.warning == 1 { "is" } else { "are" };
        return say(Mood::Warning, "Serving", format!("{served}; there {there_are} {warnings}."));
    }
    if unsure(facts.verdict) {
        return say(Mood::Warning, "Serving", format!("{served}, and of the rest not everything is known."));
    }
    let mood = if muted_down(facts).is_empty() { Mood::Good } else { Mood::Warning };
    let nothing = if facts.muted.is_empty() { "nothing is wrong" } else { "nothing is wrong that is not muted" };
    say(mood, "Serving", format!("{served}, and {nothing}."))
}

/// Who is served, in a part of a sentence. What is not looked at is not claimed, and a muted failure is still one.
fn served(facts: &Facts<'_>, is_served: &str) -> String {
    let everything = if facts.unseen.is_nothing() { "Everything" } else { "Everything that is seen" };
    let muted = muted_down(facts);
    if muted.is_empty() {
        return format!("{everything} {is_served}");
    }
    let are = if muted.len() == 1 { "is" } else { "are" };
    format!("{everything} but {}, which {are} muted, {is_served}", some(&muted))
}

/// Who is without service, or a zone of it, and muted.
fn muted_down(facts: &Facts<'_>) -> BTreeSet<String> {
    let Concerned { services, others } = Concerned::of(facts, facts.muted, |facts, it| is_down(facts, it) || is_dark(facts, it));
    services.into_iter().chain(others).collect()
}

fn is_down(facts: &Facts<'_>, finding: &FindingView) -> bool {
    let failed = || finding.subject.name.as_deref().is_some_and(|name| facts.failed.contains(name));
    [NO_HEALTHY_TARGET.code, LOAD_BALANCER_GONE.code].contains(&finding.code)
        || finding.code == LOAD_BALANCER_NOT_ACTIVE.code && failed()
}

fn is_dark(_: &Facts<'_>, finding: &FindingView) -> bool {
    finding.code == DARK_ZONE.code
}

/// How long ago that was seen by which serving is judged; `None` where that is of now.
fn seen_ago(facts: &Facts<'_>) -> Option<SignedDuration> {
    let doubted = |name: &str| {
        facts.findings.iter().any(|finding| {
            let kinds = [SOURCE_DOWN.code, SOURCE_DENIED.code, SOURCE_STALE.code];
            kinds.contains(&finding.code) && finding.subject.name.as_deref() == Some(name)
        })
    };
    let old = facts.sources.iter().filter(|source| OF_THE_MOMENT.contains(&&*source.name) && doubted(&source.name));
    let ages = old.filter_map(|source| source.last_success).map(|at| facts.now.duration_since(at));
    let picture = facts.now.duration_since(facts.verdict.evaluated_at);
    ages.chain([picture]).max().filter(|ago| *ago > PAST)
}

/// Whom findings concern: Services, and what belongs to none.
#[derive(Debug, Default)]
struct Concerned {
    services: BTreeSet<String>,
    others: BTreeSet<String>,
}

impl Concerned {
    fn of(facts: &Facts<'_>, findings: &[FindingView], wanted: impl Fn(&Facts<'_>, &FindingView) -> bool) -> Self {
        let mut all = Self::default();
        for finding in findings.iter().filter(|finding| wanted(facts, finding)) {
            let names = if finding.service.is_some() { &mut all.services } else { &mut all.others };
            names.insert(concerns(facts, finding));
        }
        all
    }

    fn is_empty(&self) -> bool {
        self.services.is_empty() && self.others.is_empty()
    }

    /// One sentence of both.
    fn told(&self, facts: &Facts<'_>, one: &str, many: &str) -> String {
        let Self { services, others } = self;
        let of_services = match facts.services.filter(|_| services.is_subset(&facts.asking)) {
            Some(all) => format!("{} of {}", services.len(), count(whole(all), "Service", "Services")),
            None => count(services.len(), "Service", "Services"),
        };
        let of_others = count(others.len(), "load balancer of no Service", "load balancers of no Service");
        let told: Vec<String> = [(services, of_services), (others, of_others)]
            .into_iter()
            .filter(|(names, _)| !names.is_empty())
            .map(|(names, how_many)| format!("{how_many} {}: {}", if names.len() == 1 { one } else { many }, some(names)))
            .collect();
        format!("{}.", told.join("; "))
    }
}

/// What keeps the next load balancer from being made.
pub(super) fn walls(facts: &Facts<'_>) -> BTreeSet<String> {
    concerned(facts, WALLS)
}

/// Whom findings of these kinds concern.
pub(super) fn concerned(facts: &Facts<'_>, kinds: &[&FindingKind]) -> BTreeSet<String> {
    let of_kinds = facts.findings.iter().filter(|finding| kinds.iter().any(|kind| kind.code == finding.code));
    of_kinds.map(|finding| concerns(facts, finding)).collect()
}

/// The Service that a finding concerns, or else what it is about.
pub(super) fn concerns(facts: &Facts<'_>, finding: &FindingView) -> String {
    match (&finding.namespace, &finding.service) {
        (Some(namespace), Some(service)) => format!("{namespace}/{service}"),
        _ => match &finding.subject.name {
            Some(name) => match facts.owners.get(name) {
                Some(owner) => owner.clone(),
                None => format!("{} {name}", finding.subject.kind.replace('_', " ")),
            },
            None => "the cluster".to_owned(),
        },
    }
}

/// Three names, and how many there are beyond.
pub(super) fn some(names: &BTreeSet<String>) -> String {
    const MOST: usize = 3;
    let first: Vec<&str> = names.iter().map(String::as_str).take(MOST).collect();
    match names.len().saturating_sub(MOST) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// Whether there may be more than was found.
pub(super) fn unsure(verdict: &VerdictView) -> bool {
    verdict.state == "pending" || !verdict.blind.is_empty() || !verdict.failed.is_empty()
}

pub(super) fn whole(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
