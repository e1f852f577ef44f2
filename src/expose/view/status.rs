//! What does one look tell? The verdict and what it is about.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::Judged;
use crate::expose::readiness::State;
use crate::expose::view::scope::ScopeView;
use crate::expose::view::verdict::VerdictView;

/// The verdict and what it is about.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct StatusView {
    /// How it stands.
    pub verdict: VerdictView,
    /// What this exporter looks at.
    pub scope: ScopeView,
    /// The exporter's version.
    pub version: &'static str,
    /// The commit it was built from.
    pub revision: &'static str,
}

impl StatusView {
    /// That of a picture, and of the daemon that shows it.
    pub fn of(judged: &Judged, state: &State) -> Self {
        Self {
            verdict: VerdictView::of(judged, state),
            scope: ScopeView::of(judged),
            version: crate::version::VERSION,
            revision: crate::version::REVISION,
        }
    }
}
