//! What will come of these manifests: who makes the load balancers, would they be made, where, at what cost, and what changes?
//!
//! Everything is asked of the same model as the daemon's: lint, ownership, subnets, drift, headroom. Several Services are planned
//! in their order: each finds what the ones before it left.

mod bill;
pub mod changes;
pub mod manifests;
mod planner;
pub mod print;
mod room;

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use self::changes::Change;
use self::manifests::Manifest;
pub use self::planner::plan;
use self::room::Cost;
use super::ignore::Ignore;
use crate::checks::model::{FindingKind, Severity, Subject};
use crate::config::policy::Policy;
use crate::inventory::aws::Scheme;
use crate::inventory::ids::{AllocationId, ObjectName, SubnetId};
use crate::inventory::parts::Parts;

/// The load balancer would not be made for lack of room.
pub static NO_ROOM: FindingKind = FindingKind {
    code: "PLN001",
    severity: Severity::Critical,
    title: "A quota leaves no room for the Service's load balancer.",
    action: "Have the quota raised, or remove what is not needed, before this is applied.",
};
/// Applying replaces the load balancer.
pub static REPLACED: FindingKind = FindingKind {
    code: "PLN002",
    severity: Severity::Critical,
    title: "Applying this costs the Service its load balancer and its DNS name.",
    action: "Make a second Service, move the clients to it, and delete the first one.",
};
/// Part of it would never take effect.
pub static NO_EFFECT: FindingKind = FindingKind {
    code: "PLN003",
    severity: Severity::Warning,
    title: "Applying this changes an annotation that has no effect on the load balancer that exists.",
    action: "Leave it as it is, or make a new Service.",
};
/// The API server refuses it.
pub static REFUSED: FindingKind = FindingKind {
    code: "PLN004",
    severity: Severity::Critical,
    title: "The API server refuses this manifest.",
    action: "Correct the field; one that cannot be changed stays as it is, or the Service is deleted and made anew.",
};

/// What only a plan can find.
pub static KINDS: [&FindingKind; 4] = [&NO_ROOM, &REPLACED, &NO_EFFECT, &REFUSED];

/// What a plan is made of.
#[derive(Debug)]
pub struct Input<'a> {
    /// The manifests, in their order.
    pub manifests: Vec<Manifest>,
    /// What is known of the cluster and of AWS; nothing where it is planned without.
    pub parts: Parts,
    /// Planned without asking anybody.
    pub offline: bool,
    /// The thresholds.
    pub policy: &'a Policy,
    /// The moment.
    pub now: Timestamp,
}

/// What becomes of one Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It asks for no load balancer.
    NotAsked,
    /// Nobody makes it.
    Nobody,
    /// Another controller makes it, of which this program has no model.
    Elsewhere,
    /// It would be made.
    Made,
    /// It would not.
    NotMade,
    /// It has one, and keeps it.
    Kept,
    /// It has one, and gets another one.
    Replaced,
    /// It has one, which is deleted.
    Deleted,
    /// That cannot be known.
    Unknown,
}

impl Fate {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::NotAsked => "asks for no load balancer",
            Self::Nobody => "no controller makes its load balancer",
            Self::Elsewhere => "left to its own controller",
            Self::Made => "a load balancer would be made",
            Self::NotMade => "no load balancer would be made",
            Self::Kept => "keeps its load balancer",
            Self::Replaced => "its load balancer would be replaced",
            Self::Deleted => "its load balancer would be deleted",
            Self::Unknown => "not known",
        }
    }
}

/// A subnet that the load balancer gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedSubnet {
    /// The subnet.
    pub subnet_id: SubnetId,
    /// Its zone.
    pub availability_zone: Arc<str>,
    /// Free IPv4 addresses before; `None` for an IPv6-only one.
    pub free_addresses: Option<u64>,
    /// How many of them the load balancer keeps; 0 where it is already.
    pub takes_addresses: u64,
    /// AWS refuses a load balancer here for lack of addresses.
    #[serde(skip)]
    pub too_few: bool,
}

/// Where load balancers like this one first stop fitting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FirstWall {
    /// A quota by its name, or `subnets_current_zones`.
    pub constraint: &'static str,
    /// The security group or the subnet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// How many more like this one fit after it.
    pub load_balancers: u64,
}

/// Something wrong, where it stands.
#[derive(Debug, Clone)]
pub struct PlanProblem {
    /// The kind.
    pub kind: &'static FindingKind,
    /// The line of the manifest.
    pub line: usize,
    /// The field; empty for the Service as a whole.
    pub field: String,
    /// One sentence.
    pub message: String,
}

/// What comes of one Service.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The file.
    pub file: String,
    /// The line that names it.
    pub line: usize,
    /// Its name.
    pub service: ObjectName,
    /// Who makes its load balancer.
    pub owner: &'static str,
    /// What becomes of it.
    pub fate: Fate,
    /// Why, where there is more to say.
    pub because: Option<String>,
    /// The scheme it gets.
    pub scheme: Option<Scheme>,
    /// The subnets it gets.
    pub subnets: Vec<PlannedSubnet>,
    /// Elastic IPs that it is given.
    pub elastic_ips: Vec<AllocationId>,
    /// What it takes, and what is left; of one that exists what it takes in addition.
    pub costs: Vec<Cost>,
    /// Where more like it would first stop fitting; only of one that would be made.
    pub first_wall: Option<FirstWall>,
    /// What should be known and is not, and why.
    pub blind: Option<String>,
    /// What is not judged, and why.
    pub notes: Vec<String>,
    /// What changes about the one that it has.
    pub changes: Vec<Change>,
    /// What is wrong with it.
    pub problems: Vec<PlanProblem>,
}

impl Planned {
    fn find(&mut self, kind: &'static FindingKind, line: usize, field: impl Into<String>, message: impl Into<String>) {
        self.problems.push(PlanProblem { kind, line, field: field.into(), message: message.into() });
    }
}

/// Everything that is planned.
#[derive(Debug)]
pub struct Plan {
    /// By Service, in their order.
    pub services: Vec<Planned>,
    /// Problems that were left out.
    pub ignored: usize,
    /// The version of the controller that is planned for; `None` where none is known.
    pub controller_version: Option<String>,
    /// Planned without asking anybody.
    pub offline: bool,
}

impl Plan {
    /// Leaves out what is ignored.
    pub fn leave_out(&mut self, ignores: &[Ignore]) {
        for planned in &mut self.services {
            let subject = Subject::Service(planned.service.clone());
            let before = planned.problems.len();
            planned.problems.retain(|problem| !ignores.iter().any(|ignore| ignore.covers(problem.kind, &subject)));
            self.ignored += before - planned.problems.len();
        }
    }

    /// Whether anything this bad was found.
    pub fn has(&self, severity: Severity) -> bool {
        self.services.iter().flat_map(|planned| &planned.problems).any(|problem| problem.kind.severity >= severity)
    }

    /// What could not be known of a Service, and of which.
    pub fn unknown(&self) -> impl Iterator<Item = (&ObjectName, &str)> {
        self.services.iter().filter(|_| !self.offline).filter_map(|planned| {
            let unknown = (planned.fate == Fate::Unknown).then(|| planned.because.as_deref().unwrap_or("what becomes of it"));
            Some((&planned.service, unknown.or(planned.blind.as_deref())?))
        })
    }
}

#[cfg(test)]
mod tests;
