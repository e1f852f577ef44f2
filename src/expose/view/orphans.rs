//! What stands in AWS under this cluster's name and belongs to nobody, and what is there twice?

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::{Judged, orphans};
use crate::expose::view::findings::FindingView;
use crate::expose::view::load_balancers::DuplicateView;
use crate::expose::view::{Families, Text, is_complete, label, whole};

/// What belongs to nobody, and what is there twice.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct OrphansView {
    /// When the picture was judged.
    pub evaluated_at: Timestamp,
    /// Whether everything needed was seen. Where not, what the lists lack may exist.
    pub complete: bool,
    /// How many there are of each kind; a kind is missing where that is not known.
    pub counts: Vec<OrphanCountView>,
    /// Which: one finding a resource, or one a security group for the rules in it.
    pub findings: Vec<FindingView>,
    /// Services with several load balancers.
    pub duplicates: Vec<DuplicateView>,
}

/// Orphans of one kind.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct OrphanCountView {
    /// `load_balancer`, `target_group`, `security_group` or `security_group_rule`.
    pub kind: Text,
    /// How many.
    pub count: u64,
}

impl OrphansView {
    /// Those of a picture.
    pub fn of(judged: &Judged) -> Self {
        let families = Families::of(&judged.outcome);
        let counts = families.samples("orphaned_resources", &[]).iter();
        let findings = judged.outcome.findings.iter();
        let is_orphan = |kind| orphans::CHECK.findings.iter().any(|known| std::ptr::eq(*known, kind));
        Self {
            evaluated_at: judged.outcome.evaluated_at,
            complete: is_complete(judged, &["orphans", "services"]),
            counts: counts.map(|it| OrphanCountView { kind: label(it, 0), count: whole(it.value) }).collect(),
            findings: findings
                .filter(|finding| is_orphan(finding.kind))
                .map(|finding| FindingView::of(finding, &judged.snapshot))
                .collect(),
            duplicates: DuplicateView::all(&judged.snapshot, &families),
        }
    }
}
