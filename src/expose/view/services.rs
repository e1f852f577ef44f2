//! Which Services have load balancers, do these serve, and is AWS as the Services say?

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::drift::drifted;
use crate::checks::model::Severity;
use crate::checks::{Judged, lint};
use crate::expose::view::findings::{ByOwner, FindingCounts, FindingView};
use crate::expose::view::load_balancers::{LoadBalancerRow, LoadBalancerView};
use crate::expose::view::query::Query;
use crate::expose::view::target_groups::{StateCount, Sums, TargetGroupView, Undecided, ZoneTargets};
use crate::expose::view::{Families, Text, is_complete, label, text};
use crate::inventory::history::When;
use crate::inventory::ids::{LoadBalancerId, ObjectName, TargetGroupId};
use crate::inventory::kube::Service;
use crate::inventory::snapshot::{Owner, Snapshot};

/// Services that ask for a load balancer or have one, and what has none of them.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ServicesView {
    /// When the picture was judged.
    pub evaluated_at: Timestamp,
    /// Whether everything needed was seen. Where not, what the lists lack may exist.
    pub complete: bool,
    /// Services that fit what was asked for, on this page or not.
    pub total: u64,
    /// The Services of this page, by namespace and name.
    pub services: Vec<ServiceRow>,
    /// Load balancers of the cluster that belong to none of its Services: those of Gateways and Ingresses, and of nobody. Only
    /// where neither a namespace nor findings were asked for.
    pub other_load_balancers: Vec<LoadBalancerView>,
    /// Target groups that hold no Service's pods and are on no Service's load balancer; as `other_load_balancers`.
    pub other_target_groups: Vec<TargetGroupView>,
}

/// A Service in the list.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ServiceRow {
    /// Its namespace.
    pub namespace: Text,
    /// Its name.
    pub name: Text,
    /// Who makes its load balancer: `aws-load-balancer-controller`, `eks-auto-mode`, `in-tree`, `third-party` or `none`.
    pub controller: Option<Text>,
    /// `spec.loadBalancerClass`.
    pub load_balancer_class: Option<Text>,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// Since when it is being deleted.
    pub deleting_since: Option<Timestamp>,
    /// Whether it has its load balancer, by its status.
    pub provisioned: Option<bool>,
    /// Whether AWS has no load balancer of a name that its status has.
    pub load_balancer_missing: Option<bool>,
    /// How many load balancers carry its tags; more than one is a replacement or a leak.
    pub load_balancer_count: Option<u64>,
    /// Those that are known.
    pub load_balancers: Vec<LoadBalancerRow>,
    /// Targets of all its target groups by state; `null` while those of one are not known.
    pub targets: Option<Vec<StateCount>>,
    /// The same by zone.
    pub zones: Option<Vec<ZoneTargets>>,
    /// Whether targets of all zones serve each zone; `null` where its groups differ, and where that is not known.
    pub cross_zone: Option<bool>,
    /// Expected targets that are not registered, of all its groups.
    pub missing: Option<u64>,
    /// Registered targets with nothing behind them, of all its groups.
    pub unexpected: Option<u64>,
    /// Annotations from which AWS differs; `null` where not all could be compared.
    pub drifted_annotations: Option<u64>,
    /// Annotations edited since the load balancer was made; `null` where that is not known.
    pub edited_annotations: Option<u64>,
    /// Problems in its annotations and its spec; `null` where they were not judged.
    pub lint_problems: Option<u64>,
    /// Why the controller cannot go on, by the cause of its newest event.
    pub blocked: Vec<Text>,
    /// Findings about it, its load balancers, target groups and bindings.
    pub findings: FindingCounts,
    /// The worst of them.
    pub worst: Option<Severity>,
}

/// Everything of one Service.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ServiceView {
    /// When the picture was judged.
    pub evaluated_at: Timestamp,
    /// What the list says of it.
    pub service: ServiceRow,
    /// Its load balancers.
    pub load_balancers: Vec<LoadBalancerView>,
    /// Target groups that hold its pods or are on its load balancers.
    pub target_groups: Vec<TargetGroupView>,
    /// Where AWS differs from its annotations.
    pub drift: Vec<DriftView>,
    /// Annotations edited since the load balancer was made.
    pub edited: Vec<EditedView>,
    /// Problems in its annotations and its spec.
    pub lint: Vec<LintView>,
    /// Its TargetGroupBindings whose controller cannot go on.
    pub blocked_bindings: Vec<BlockedBindingView>,
    /// Codes of findings that its annotation mutes; `all` stands for every one.
    pub muted_codes: Vec<Text>,
    /// Pods behind it, where at least one is on a Windows node: a Service supports 1,024 of them.
    pub windows_backends: Option<u64>,
    /// Findings about it, its load balancers, target groups and bindings, the worst first.
    pub findings: Vec<FindingView>,
    /// Those of them that are muted.
    pub muted: Vec<FindingView>,
}

/// A field of AWS that is not as an annotation says.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DriftView {
    /// The annotation without its prefix, or `spec.ports`.
    pub annotation: &'static str,
    /// Who repairs it: `automatic` (the controller, when it next reconciles) or `never`.
    pub repair: &'static str,
    /// The field of AWS, and of what.
    pub place: String,
    /// What it should be.
    pub expected: String,
    /// What it is.
    pub actual: String,
}

/// An annotation that was edited since the load balancer was made.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct EditedView {
    /// The annotation's full name.
    pub annotation: Text,
    /// What it said when the load balancer was made, quoted and cut where it is long; `null` where it was not there.
    pub before: Option<String>,
    /// What it says now; `null` where it was removed.
    pub now: Option<String>,
    /// When it had been edited for certain.
    pub edited_at: Option<Timestamp>,
}

/// A problem in a Service as it is written.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct LintView {
    /// The code of its finding.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Where it stands: `metadata.annotations[…]` or a path in the spec.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

/// A TargetGroupBinding whose controller cannot go on.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct BlockedBindingView {
    /// Its name, in the Service's namespace.
    pub name: Text,
    /// The cause, by the controller's newest event.
    pub reason: Text,
}

/// What belongs to which Service.
struct Belongings<'a> {
    judged: &'a Judged,
    families: Families<'a>,
    groups: BTreeMap<&'a ObjectName, BTreeSet<&'a TargetGroupId>>,
    undecided: Undecided,
}

impl<'a> Belongings<'a> {
    fn of(judged: &'a Judged) -> Self {
        let mut groups: BTreeMap<&ObjectName, BTreeSet<&TargetGroupId>> = BTreeMap::new();
        let snapshot = &*judged.snapshot;
        for (id, group) in &snapshot.target_groups {
            let backend = group.backend.as_ref().map(|(name, _)| name);
            let on = group.load_balancer.as_ref().and_then(|id| owner(snapshot, id));
            for service in [backend, group.stack.as_ref(), on].into_iter().flatten() {
                groups.entry(service).or_default().insert(id);
            }
        }
        Self { judged, families: Families::of(&judged.outcome), groups, undecided: Undecided::of(snapshot) }
    }

    /// Services that ask for a load balancer, those that are being deleted, and those that have one all the same.
    fn services(&self) -> BTreeSet<ObjectName> {
        let of_family = |family| self.families.samples(family, &[]).iter().map(|it| ObjectName::new(label(it, 0), label(it, 1)));
        let snapshot = &self.judged.snapshot;
        let exists = |name: &&ObjectName| snapshot.parts.services.get().is_some_and(|all| all.contains_key(*name));
        let asking = of_family("service_info").chain(of_family("service_deletion_timestamp_seconds"));
        let having = snapshot.service_load_balancers.keys().filter(exists).cloned();
        // Until it is known what belongs to the cluster, the checks that say so do not run.
        let judged = self.judged.outcome.runs.iter().any(|run| run.check == "services");
        asking.chain(having.filter(|_| judged)).collect()
    }

    fn groups_of(&self, name: &ObjectName) -> impl Iterator<Item = &'a TargetGroupId> + Clone + use<'a, '_> {
        self.groups.get(name).into_iter().flatten().copied()
    }

    fn load_balancers_of(&self, name: &ObjectName) -> impl Iterator<Item = &'a LoadBalancerId> + use<'a> {
        self.judged.snapshot.service_load_balancers.get(name).into_iter().flatten()
    }

    fn row(&self, name: &ObjectName, findings: FindingCounts) -> ServiceRow {
        let Self { judged, families, .. } = self;
        let key = [&*name.namespace, &*name.name];
        let info = families.samples("service_info", &key).first();
        let Sums { targets, zones, missing, unexpected, cross_zone } = Sums::of(self.groups_of(name), families, &self.undecided);
        let blocked = families.samples("service_blocked", &key).iter();
        let load_balancers = self.load_balancers_of(name);
        ServiceRow {
            namespace: Text::clone(&name.namespace),
            name: Text::clone(&name.name),
            controller: info.map(|info| label(info, 2)),
            load_balancer_class: info.and_then(|info| text(&info.labels[3])),
            created_at: families.moment("service_created_timestamp_seconds", &key),
            deleting_since: families.moment("service_deletion_timestamp_seconds", &key),
            provisioned: families.truth("service_provisioned", &key),
            load_balancer_missing: families.truth("service_load_balancer_missing", &key),
            load_balancer_count: families.count("service_load_balancers", &key),
            load_balancers: load_balancers.filter_map(|id| LoadBalancerRow::of(id, &judged.snapshot, families)).collect(),
            targets,
            zones,
            cross_zone,
            missing,
            unexpected,
            drifted_annotations: families.count("service_drifted_annotations", &key),
            edited_annotations: families.count("service_edited_annotations", &key),
            lint_problems: families.count("service_lint_problems", &key),
            blocked: blocked.map(|sample| label(sample, 2)).collect(),
            findings,
            worst: findings.worst(),
        }
    }
}

/// The Service of the cluster that a load balancer was made for.
fn owner<'a>(snapshot: &'a Snapshot, id: &LoadBalancerId) -> Option<&'a ObjectName> {
    match &snapshot.load_balancers.get(id)?.owner {
        Owner::Service(name) => Some(name),
        _ => None,
    }
}

impl ServicesView {
    /// Those of a picture, by namespace and name.
    pub fn of(judged: &Judged, query: &Query) -> Self {
        Self::sorted(judged, query, |_, names| names)
    }

    /// Those of a picture, the ones with the worst findings first. Only what is on the page asked for is looked at closely.
    pub fn worst_first(judged: &Judged, query: &Query) -> Self {
        Self::sorted(judged, query, |findings, mut names| {
            // Stable: of equally bad ones the first by name.
            names.sort_by_key(|name| Reverse(findings.service(name).iter().map(|finding| finding.severity).max()));
            names
        })
    }

    fn sorted(
        judged: &Judged,
        query: &Query,
        sort: impl for<'a> FnOnce(&ByOwner, Vec<&'a ObjectName>) -> Vec<&'a ObjectName>,
    ) -> Self {
        let belongings = Belongings::of(judged);
        let findings = ByOwner::of(judged);
        let all = belongings.services();
        let wanted = |name: &&ObjectName| {
            let here = query.namespace.as_ref().is_none_or(|namespace| **namespace == *name.namespace);
            here && (!query.by_finding() || findings.service(name).iter().any(|finding| query.wants_kind(finding)))
        };
        let (page, total) = query.page(sort(&findings, all.iter().filter(wanted).collect()));
        let row = |name: &ObjectName| belongings.row(name, FindingCounts::of(findings.service(name)));
        let services = page.into_iter().map(row).collect();
        let everything = query.namespace.is_none() && !query.by_finding();
        let (other_load_balancers, other_target_groups) = match everything {
            true => others(&belongings, &all),
            false => (Vec::new(), Vec::new()),
        };
        Self {
            evaluated_at: judged.outcome.evaluated_at,
            complete: is_complete(judged, &["services"]),
            total,
            services,
            other_load_balancers,
            other_target_groups,
        }
    }
}

/// What belongs to none of these Services.
fn others(belongings: &Belongings<'_>, services: &BTreeSet<ObjectName>) -> (Vec<LoadBalancerView>, Vec<TargetGroupView>) {
    let Belongings { judged, families, groups, undecided } = belongings;
    let snapshot = &*judged.snapshot;
    let is_other = |id: &&LoadBalancerId| owner(snapshot, id).is_none_or(|name| !services.contains(name));
    let load_balancers = snapshot.load_balancers.keys().filter(is_other);
    let taken: BTreeSet<_> = groups.iter().filter(|(name, _)| services.contains(**name)).flat_map(|(_, ids)| ids).collect();
    let target_groups = snapshot.target_groups.keys().filter(|id| !taken.contains(id));
    (
        load_balancers.filter_map(|id| LoadBalancerView::of(id, snapshot, families)).collect(),
        target_groups.filter_map(|id| TargetGroupView::of(id, snapshot, families, undecided)).collect(),
    )
}

impl ServiceView {
    /// That of one Service; `None` where the list has none of this name.
    pub fn of(judged: &Judged, name: &ObjectName) -> Option<Self> {
        let belongings = Belongings::of(judged);
        if !belongings.services().contains(name) {
            return None;
        }
        let Belongings { families, undecided, .. } = &belongings;
        let snapshot = &*judged.snapshot;
        let service = snapshot.parts.services.get().and_then(|all| all.get(name));
        let key = [&*name.namespace, &*name.name];
        let about = |findings: &[crate::checks::model::Finding]| -> Vec<FindingView> {
            let views = findings.iter().map(|finding| FindingView::of(finding, snapshot));
            let is_about = |view: &FindingView| {
                view.service.as_deref() == Some(&*name.name) && view.namespace.as_deref() == Some(&*name.namespace)
            };
            views.filter(is_about).collect()
        };
        let findings = about(&judged.outcome.findings);
        let load_balancers = belongings.load_balancers_of(name);
        Some(Self {
            evaluated_at: judged.outcome.evaluated_at,
            service: belongings.row(name, FindingCounts::of(&findings)),
            load_balancers: load_balancers.filter_map(|id| LoadBalancerView::of(id, snapshot, families)).collect(),
            target_groups: belongings
                .groups_of(name)
                .filter_map(|id| TargetGroupView::of(id, snapshot, families, undecided))
                .collect(),
            drift: service.map(|service| drift(judged, families, service)).unwrap_or_default(),
            edited: service.map(|service| edited(snapshot, families, service)).unwrap_or_default(),
            lint: service.map(|service| problems(snapshot, families, service)).unwrap_or_default(),
            blocked_bindings: blocked_bindings(snapshot, families, name),
            muted_codes: families.samples("service_muted", &key).iter().map(|sample| label(sample, 2)).collect(),
            windows_backends: families.count("service_windows_backends", &key),
            findings,
            muted: about(&judged.outcome.muted),
        })
    }
}

/// Both sides of what the picture's own series tell.
fn drift(judged: &Judged, families: &Families<'_>, service: &Service) -> Vec<DriftView> {
    let told = families.samples("service_annotation_drift", &[&*service.name.namespace, &*service.name.name]);
    if told.is_empty() {
        return Vec::new();
    }
    let all = drifted(&judged.context(), service).into_iter();
    let all = all.filter(|it| told.iter().any(|sample| sample.labels[2].as_str() == it.annotation));
    all.map(|it| DriftView {
        annotation: it.annotation,
        repair: it.repair,
        place: it.place,
        expected: it.expected,
        actual: it.actual,
    })
    .collect()
}

fn edited(snapshot: &Snapshot, families: &Families<'_>, service: &Service) -> Vec<EditedView> {
    let name = &service.name;
    let counted = families.count("service_edited_annotations", &[&*name.namespace, &*name.name]);
    let record = snapshot.parts.history.get().and_then(|history| history.services.get(name));
    let Some(record) = record.filter(|_| counted.is_some()) else { return Vec::new() };
    let view = |(annotation, edited): (&Text, &crate::inventory::history::Edited)| EditedView {
        annotation: Text::clone(annotation),
        before: record.baseline.get(annotation).map(ToString::to_string),
        now: edited.now.as_ref().map(ToString::to_string),
        edited_at: edited.at.map(When::latest),
    };
    record.edited.iter().map(view).collect()
}

fn problems(snapshot: &Snapshot, families: &Families<'_>, service: &Service) -> Vec<LintView> {
    let counted = families.count("service_lint_problems", &[&*service.name.namespace, &*service.name.name]);
    if counted.is_none_or(|count| count == 0) {
        return Vec::new();
    }
    let problems = lint::counted(snapshot, service).unwrap_or_default().into_iter();
    problems
        .map(|problem| LintView {
            code: problem.rule.kind().code,
            severity: problem.rule.severity(),
            field: problem.field.to_string(),
            message: problem.message,
        })
        .collect()
}

fn blocked_bindings(snapshot: &Snapshot, families: &Families<'_>, name: &ObjectName) -> Vec<BlockedBindingView> {
    let blocked = families.samples("target_group_binding_blocked", &[&*name.namespace]).iter();
    let bindings = snapshot.parts.target_group_bindings.get();
    let is_its = |binding: &str| {
        let binding = ObjectName::new(Text::clone(&name.namespace), binding);
        bindings.and_then(|all| all.get(&binding)).is_some_and(|found| found.service == *name)
    };
    blocked
        .filter(|sample| is_its(sample.labels[1].as_str()))
        .map(|sample| BlockedBindingView { name: label(sample, 1), reason: label(sample, 2) })
        .collect()
}
