//! What would applying a Service change about its load balancer? The same rows as the check's, asked for one Service.
//!
//! Whoever applies it neither waits until a difference is old enough to be somebody's fault, nor is held up by the failure
//! that the Service has now and that this may be the cure of.

use std::collections::BTreeSet;

use super::case::{Case, World};
pub use super::comparison::GROUPS_MISSING;
use super::{Context, Repair, compare_all, only_load_balancer, settled_at};
use crate::config::policy::Policy;
use crate::controller::annotations::AnnotationError;
use crate::inventory::kube::Service;

/// A row that differs from AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The annotation without its prefix, or `spec.ports`.
    pub annotation: &'static str,
    /// The controller would change it; else nobody ever does.
    pub repaired: bool,
}

/// What differs, and what of it could not be compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    /// In the order of the rows.
    pub found: Vec<Difference>,
    /// Why something was not compared.
    pub unknown: BTreeSet<&'static str>,
}

/// Why nothing was compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incomparable {
    /// There is not one load balancer that is up.
    LoadBalancer,
    /// The controller refuses the Service.
    Refused(AnnotationError),
}

/// Compares Services with AWS. `snapshot` has them as they would be in the cluster.
#[derive(Debug)]
pub struct Applied<'a> {
    context: Context<'a>,
    world: World<'a>,
}

impl<'a> Applied<'a> {
    /// Prepares for all Services; the policy of `context` is one of [`Applied::policy`].
    pub fn of(context: Context<'a>) -> Self {
        Self { world: World::of(context.snapshot), context }
    }

    /// The policy by which nothing is too young to be told.
    pub fn policy(policy: &Policy) -> Policy {
        Policy { drift_hold_down_seconds: 0, ..policy.clone() }
    }

    /// One Service that the controller owns and that has a load balancer.
    pub fn compare(&self, service: &Service) -> Result<Differences, Incomparable> {
        let found = only_load_balancer(&self.context, service).ok_or(Incomparable::LoadBalancer)?;
        let case = Case::of(&self.world, service, found);
        let settled = settled_at(&self.context, service, found);
        let mut differences = Differences::default();
        for (row, comparison) in compare_all(&case).map_err(Incomparable::Refused)? {
            differences.unknown.extend(comparison.unknown);
            let (settled, early): (Vec<_>, Vec<_>) = comparison.differences.iter().partition(|it| it.is_after(settled));
            if !early.is_empty() {
                differences.unknown.insert("AWS was looked at before the controller last worked on the Service");
            }
            if !settled.is_empty() {
                let repaired = row.repair == Repair::Automatic;
                differences.found.push(Difference { annotation: row.annotation, repaired });
            }
        }
        Ok(differences)
    }
}
