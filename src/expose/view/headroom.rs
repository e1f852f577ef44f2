//! How many more load balancers fit, and which wall stands first?

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::Judged;
use crate::checks::headroom::{CONSTRAINTS, first_walls};
use crate::expose::view::{Families, Text, is_complete, label, whole};
use crate::inventory::aws::Scheme;

/// How many more load balancers fit.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct HeadroomView {
    /// When the picture was judged.
    pub evaluated_at: Timestamp,
    /// Whether everything needed was seen. Where not, a wall may be missing.
    pub complete: bool,
    /// Each scheme in use.
    pub schemes: Vec<SchemeHeadroomView>,
}

/// The room that is left for load balancers of a scheme.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SchemeHeadroomView {
    /// `internal` or `internet-facing`.
    pub scheme: Text,
    /// The wall that stands first.
    pub first_wall: Option<WallView>,
    /// All walls, the nearest first. One that is missing is not known, or none.
    pub walls: Vec<WallView>,
}

/// A wall: something that runs out.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct WallView {
    /// The `constraint` label: a quota by its name, `subnets_current_zones` or `subnets_any_zone`.
    pub constraint: Text,
    /// Load balancers like the median one of the cluster that still fit.
    pub load_balancers: u64,
}

impl HeadroomView {
    /// That of a picture.
    pub fn of(judged: &Judged) -> Self {
        let families = Families::of(&judged.outcome);
        let first = first_walls(&judged.outcome);
        let mut by_scheme: BTreeMap<Text, Vec<WallView>> = BTreeMap::new();
        for sample in families.samples("headroom_load_balancers", &[]) {
            let wall = WallView { constraint: label(sample, 1), load_balancers: whole(sample.value) };
            by_scheme.entry(label(sample, 0)).or_default().push(wall);
        }
        let place = |wall: &WallView| CONSTRAINTS.iter().position(|known| **known == *wall.constraint);
        let schemes = by_scheme.into_iter().map(|(scheme, mut walls)| {
            walls.sort_by_key(|wall| (wall.load_balancers, place(wall)));
            let first_wall = Scheme::parse(&scheme).and_then(|scheme| first.get(&scheme));
            let first_wall =
                first_wall.map(|wall| WallView { constraint: wall.constraint.into(), load_balancers: wall.load_balancers });
            SchemeHeadroomView { scheme, first_wall, walls }
        });
        Self {
            evaluated_at: judged.outcome.evaluated_at,
            complete: is_complete(judged, &["headroom", "quotas", "subnets", "security_groups"]),
            schemes: schemes.collect(),
        }
    }
}
