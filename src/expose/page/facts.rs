//! What does the band on top have to know: the findings, and what they cannot say because nobody looks there?

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::checks::Judged;
use crate::expose::view::findings::{FindingView, FindingsView};
use crate::expose::view::headroom::{HeadroomView, WallView};
use crate::expose::view::sources::SourceView;
use crate::expose::view::verdict::VerdictView;
use crate::expose::view::{Families, Text};

/// What the headline is made from: everything, whatever is filtered below it.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    /// When the page was asked for.
    pub(super) now: Timestamp,
    /// The picture's own sum.
    pub(super) verdict: &'a VerdictView,
    /// All findings, the worst first.
    pub(super) findings: &'a [FindingView],
    /// Those that are muted.
    pub(super) muted: &'a [FindingView],
    /// All sources.
    pub(super) sources: &'a [SourceView],
    /// Room for more load balancers.
    pub(super) headroom: &'a HeadroomView,
    /// The limit behind the wall that stands first is a guess.
    pub(super) wall_assumed: bool,
    /// Services with a load balancer or in want of one; `None` where that is not known.
    pub(super) services: Option<u64>,
    /// Those Services by their names: others have load balancers through a Gateway.
    pub(super) asking: BTreeSet<String>,
    /// Registered targets, and of these healthy ones; `None` where none are known.
    pub(super) targets: Option<(u64, u64)>,
    /// What no finding can tell of.
    pub(super) unseen: Unseen,
    /// Load balancers that AWS calls failed. Impaired ones still serve.
    pub(super) failed: BTreeSet<Text>,
    /// Whose the load balancers and target groups are that belong to no Service, by their ids.
    pub(super) owners: BTreeMap<String, String>,
}

/// What is not looked at, so that its silence says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Unseen {
    /// Services that have no load balancer.
    pub(super) without: BTreeSet<String>,
    /// Services whose load balancers are of kinds that this program does not look at: Classic ones, and those of other controllers.
    pub(super) unwatched: u64,
    /// Services whose status names a load balancer that is not seen, and nobody can say that it is gone: with the role of
    /// another account it would be so of all of them.
    pub(super) not_found: BTreeSet<String>,
    /// Target groups of load balancers whose health is not known.
    pub(super) groups: u64,
}

impl<'a> Facts<'a> {
    /// Those of a picture, `found` being all of its findings.
    pub(super) fn of(
        judged: &Judged,
        found: &'a FindingsView,
        sources: &'a [SourceView],
        headroom: &'a HeadroomView,
        now: Timestamp,
    ) -> Self {
        let families = Families::of(&judged.outcome);
        let wall = least(headroom).map(|(_, wall)| &wall.constraint);
        let states = families.samples("load_balancer_state", &[]).iter();
        let failed = states.filter(|sample| sample.labels[1].as_str() == "failed" && sample.value > 0.0);
        Self {
            now,
            verdict: &found.verdict,
            findings: &found.findings,
            muted: &found.muted,
            sources,
            headroom,
            wall_assumed: wall.is_some_and(|quota| families.truth("quota_limit_assumed", &[quota]) == Some(true)),
            services: services(judged, &families),
            asking: families
                .samples("service_info", &[])
                .iter()
                .map(|it| [it.labels[0].as_str(), it.labels[1].as_str()].join("/"))
                .collect(),
            targets: targets(&families),
            unseen: Unseen::of(&families),
            failed: failed.map(|sample| sample.labels[0].shared()).collect(),
            owners: found.findings.iter().chain(&found.muted).filter_map(|finding| owner(finding, &families)).collect(),
        }
    }
}

impl Unseen {
    fn of(families: &Families<'_>) -> Self {
        let mut unseen = Self::default();
        for sample in families.samples("service_info", &[]) {
            let [namespace, service, controller, ..] = &*sample.labels else { continue };
            let key = [namespace.as_str(), service.as_str()];
            if families.count("service_load_balancers", &key).is_some_and(|count| count > 0)
                || families.value("service_deletion_timestamp_seconds", &key).is_some()
            {
                continue;
            }
            match families.truth("service_provisioned", &key) {
                Some(false) => _ = unseen.without.insert(key.join("/")),
                Some(true) if matches!(controller.as_str(), "in-tree" | "third-party") => unseen.unwatched += 1,
                Some(true)
                    if families.count("service_load_balancers", &key) == Some(0)
                        && families.truth("service_load_balancer_missing", &key) != Some(true) =>
                {
                    unseen.not_found.insert(key.join("/"));
                }
                _ => {}
            }
        }
        let forwarded = families.samples("target_group_info", &[]).iter().filter(|sample| !sample.labels[1].as_str().is_empty());
        let unknown =
            forwarded.filter(|sample| families.samples("target_group_targets", &[sample.labels[0].as_str()]).is_empty());
        unseen.groups = unknown.count() as u64;
        unseen
    }

    /// Whether everything is looked at.
    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// The wall that stands nearest, whatever the scheme.
pub(super) fn least(headroom: &HeadroomView) -> Option<(&str, &WallView)> {
    let walls = headroom.schemes.iter().filter_map(|scheme| Some((&*scheme.scheme, scheme.first_wall.as_ref()?)));
    walls.min_by_key(|(_, wall)| wall.load_balancers)
}

/// How many Services ask for a load balancer; `None` where none is seen and not all could be.
fn services(judged: &Judged, families: &Families<'_>) -> Option<u64> {
    let number = families.samples("service_info", &[]).len() as u64;
    let seen = judged.outcome.runs.iter().any(|run| run.check == "services" && run.success && !run.blind);
    (number > 0 || seen).then_some(number)
}

/// All registered targets, and of these the healthy ones.
fn targets(families: &Families<'_>) -> Option<(u64, u64)> {
    let samples = families.samples("target_group_targets", &[]);
    let sum = |healthy: bool| -> u64 {
        let wanted = samples.iter().filter(|sample| !healthy || sample.labels[1].as_str() == "healthy");
        wanted.map(|sample| sample.value as u64).sum()
    };
    (!samples.is_empty()).then(|| (sum(false), sum(true)))
}

/// For what the thing was made that a finding is about, where that is no Service.
fn owner(finding: &FindingView, families: &Families<'_>) -> Option<(String, String)> {
    let name = finding.subject.name.as_deref().filter(|_| finding.service.is_none())?;
    let load_balancer = match finding.subject.kind {
        "load_balancer" => Text::from(name),
        "target_group" => families.samples("target_group_info", &[name]).first()?.labels[1].shared(),
        _ => return None,
    };
    let info = families.samples("load_balancer_info", &[&load_balancer]).first()?;
    let [kind, owner, namespace] = [6, 7, 8].map(|at| info.labels[at].as_str());
    let said = match (kind, owner, namespace) {
        ("none", ..) | (_, "", _) => format!("load balancer {}", load_balancer.split('/').nth(1).unwrap_or(&load_balancer)),
        (kind, owner, "") => format!("{kind} {owner}"),
        (kind, owner, namespace) => format!("{kind} {namespace}/{owner}"),
    };
    Some((name.to_owned(), said))
}
