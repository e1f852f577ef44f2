//! What did a Service's annotations say when its load balancer was made, and what was edited since?
//!
//! The controller's annotations of each Service are kept as they were when its newest load balancer was made, with what
//! differs now. An edit is a change after that moment; before it a Service may be edited freely. A new load balancer (its
//! `CreatedTime` is newer) starts the record over. An annotation that is put back to what it was is not edited any more, and
//! its edits stay in the bounded log. A Service that is gone is forgotten, and one of the same name with another UID is new.
//!
//! A Service that had its load balancer before the first look is *adopted*: what it said when the load balancer was made is
//! not known, and the first look stands in for it.

mod unwell;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ids::{ObjectName, TargetGroupId};
use super::kube::{Service, ServiceType};
use super::membership::provenance;
use super::part::Part;
use super::parts::Parts;
use super::snapshot::Owner;
pub use value::Value;

/// The prefix of the annotations that the controllers read on Services.
const PREFIX: &str = "service.beta.kubernetes.io/";

/// Edits of one Service that are kept in the log, the newest.
const LOGGED: usize = 16;

/// Annotations of one Service that are kept: Kubernetes allows 256 KiB of them, and the controller knows 48 names.
const ANNOTATIONS: usize = 128;

/// What is remembered of all Services.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// When the first look was; `None` before it.
    pub began_at: Option<Timestamp>,
    /// When the Services were last compared with what is remembered.
    pub observed_at: Option<Timestamp>,
    /// When and why what was remembered before was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<Loss>,
    /// What is remembered of each Service.
    pub services: BTreeMap<ObjectName, Arc<Record>>,
    /// Target groups that did not serve as they should when this was written.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub unwell: BTreeSet<TargetGroupId>,
    /// It comes from a store and was not compared since: what differs happened while nobody looked.
    #[serde(skip)]
    resumed: bool,
    /// The time in which nobody looked, between what was stored and the first look after it.
    #[serde(skip)]
    gap: Option<(Timestamp, Timestamp)>,
}

/// Why a history started anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// When that came to light.
    pub at: Timestamp,
    /// A part of a sentence for a person.
    pub why: Arc<str>,
}

/// Annotations of a Service by their full names.
pub type Annotations = BTreeMap<Arc<str>, Value>;

/// What is remembered of one Service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The first half of `metadata.uid`: enough to tell a Service from another one that had its name.
    pub uid: Arc<str>,
    /// When it was first looked at.
    pub first_seen_at: Timestamp,
    /// When its newest load balancer was made (`CreatedTime`); `None` while it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer_created_at: Option<Timestamp>,
    /// The load balancer was made while nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<Adoption>,
    /// The annotations as they were when the load balancer was made, or at the first look; without one, as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub baseline: Annotations,
    /// What differs from that now, by the annotation's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub edited: BTreeMap<Arc<str>, Edited>,
    /// Every change seen, the oldest first; at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<Edit>,
}

/// How a Service that is older than the first look was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adoption {
    /// The first look at its annotations after the load balancer was made.
    pub at: Timestamp,
    /// When `managedFields` said that annotations had last been written. Its entries' times are those of the last write to any
    /// field: evidence, not proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations_written_at: Option<Timestamp>,
}

/// An annotation that differs from the baseline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edited {
    /// What it says now; `None` when it was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Value>,
    /// When it was last edited; `None` where two records of the same Service were put together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<When>,
}

/// A change of one annotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// The annotation's full name.
    pub annotation: Arc<str>,
    /// What it said before; `None` when it was added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// What it said then; `None` when it was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
    /// When.
    pub at: When,
}

/// When something happened, as exactly as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// This program saw it happen.
    At(Timestamp),
    /// `managedFields` names this time, and it fits what this program saw.
    Written(Timestamp),
    /// Between two looks.
    Between(Timestamp, Timestamp),
}

impl When {
    /// The time at which it had happened for certain.
    pub fn latest(self) -> Timestamp {
        match self {
            Self::At(at) | Self::Written(at) | Self::Between(_, at) => at,
        }
    }

    /// Whether it happened after `moment` for certain.
    fn is_after(self, moment: Timestamp) -> bool {
        match self {
            Self::At(at) | Self::Written(at) | Self::Between(at, _) => at > moment,
        }
    }
}

impl History {
    /// A history that was stored and is taken up again.
    pub fn resume(mut self) -> Self {
        self.resumed = self.observed_at.is_some();
        self
    }

    /// A history that starts anew because the one before was lost.
    pub fn anew(at: Timestamp, why: &str) -> Self {
        Self { lost: Some(Loss { at: whole(at), why: why.into() }), ..Self::default() }
    }

    /// Compares what is known now with what is remembered, and remembers it; whether anything is new but the time.
    ///
    /// Without a complete list of Services nothing happens: who cannot see forgets nothing. Load balancers that are not known
    /// yet are taken up when they are.
    pub fn observe(&mut self, parts: &Parts, now: Timestamp) -> bool {
        let Some(services) = parts.services.complete() else { return false };
        let now = whole(now);
        let created = load_balancers(parts);
        let mut changed = self.began_at.is_none();
        self.began_at.get_or_insert(now);
        let before = self.observed_at.unwrap_or(now);
        let resumed = std::mem::take(&mut self.resumed);
        if resumed {
            self.gap = Some((before, now));
        }
        let look = Look { now, before, resumed, gap: self.gap };
        let known = self.services.len();
        self.services.retain(|name, record| services.get(name).is_some_and(|service| record.is_of(service)));
        changed |= self.services.len() != known;
        for (name, service) in services {
            let created_at = created.get(name).copied();
            match self.services.get_mut(name) {
                // Compared before it is copied: usually nothing is new.
                Some(record) if record.differs(service, created_at) => {
                    Arc::make_mut(record).observe(service, created_at, look);
                    changed = true;
                }
                None if is_of_interest(service, created_at) => {
                    self.services.insert(name.clone(), Arc::new(Record::new(service, created_at, now)));
                    changed = true;
                }
                _ => {}
            }
        }
        self.observed_at = Some(now);
        changed
    }

    /// Takes in what another history of the same cluster knows: what was stored before this one began, or by another replica.
    /// Of each Service the record that reaches farther back counts, with what the later look saw.
    pub fn absorb(&mut self, other: &Self) {
        let other_is_later = other.observed_at > self.observed_at;
        for (name, theirs) in &other.services {
            match self.services.get_mut(name) {
                None => _ = self.services.insert(name.clone(), Arc::clone(theirs)),
                Some(ours) if ours.uid == theirs.uid => {
                    if ours != theirs {
                        *ours = Arc::new(Record::merge(ours, theirs, other_is_later));
                    }
                }
                Some(ours) => {
                    if other_is_later {
                        *ours = Arc::clone(theirs);
                    }
                }
            }
        }
        self.unwell.extend(other.unwell.iter().cloned());
        self.began_at = [self.began_at, other.began_at].into_iter().flatten().min();
        self.observed_at = self.observed_at.max(other.observed_at);
        self.lost = self.lost.take().or_else(|| other.lost.clone());
    }

    /// Replaces its texts by shared ones, e.g. after reading it.
    pub fn share(&mut self, share: impl Fn(&str) -> Arc<str>) {
        for record in self.services.values_mut() {
            let record = Arc::make_mut(record);
            let baseline = std::mem::take(&mut record.baseline);
            record.baseline = baseline.into_iter().map(|(key, value)| (share(&key), value.shared(&share))).collect();
        }
    }
}

/// When Services' newest load balancers were made, of those of which that and the tags are known.
fn load_balancers(parts: &Parts) -> BTreeMap<ObjectName, Timestamp> {
    let mut created = BTreeMap::new();
    let Some(cluster) = parts.scope.cluster_name.as_deref() else { return created };
    for load_balancer in parts.load_balancers.get().into_iter().flat_map(BTreeMap::values) {
        let Some(at) = load_balancer.created_at.map(whole) else { continue };
        let provenance = parts.tags.get(&load_balancer.arn).and_then(Part::get).and_then(|tags| provenance(tags, cluster));
        if let Some(Owner::Service(name)) = provenance.map(|provenance| provenance.owner) {
            created.entry(name).and_modify(|known: &mut Timestamp| *known = at.max(*known)).or_insert(at);
        }
    }
    created
}

fn is_of_interest(service: &Service, created_at: Option<Timestamp>) -> bool {
    created_at.is_some() || service.service_type == ServiceType::LoadBalancer || watched(service).next().is_some()
}

fn watched(service: &Service) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
    service.annotations.iter().filter(|(key, _)| key.starts_with(PREFIX)).take(ANNOTATIONS)
}

fn annotations(service: &Service) -> Annotations {
    watched(service).map(|(key, value)| (Arc::clone(key), Value::of(value))).collect()
}

/// Random digits are what no compressor makes smaller; the first half of a UUID has 60 bits of them.
fn half(uid: &str) -> &str {
    uid.get(..18).unwrap_or(uid)
}

/// Stored times have whole seconds, as Kubernetes' own.
fn whole(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).expect("a time without its fraction is one still")
}

/// The moment of a comparison.
#[derive(Debug, Clone, Copy)]
struct Look {
    now: Timestamp,
    /// The look before.
    before: Timestamp,
    /// Nobody looked in between.
    resumed: bool,
    /// See [`History::gap`].
    gap: Option<(Timestamp, Timestamp)>,
}

impl Look {
    /// When a change that is seen now happened.
    fn when(self, service: &Service) -> When {
        let written = service.annotations_written_at.filter(|at| (self.before..=self.now).contains(at));
        match (written, self.resumed) {
            (Some(at), _) => When::Written(at),
            (None, true) => When::Between(self.before, self.now),
            (None, false) => When::At(self.now),
        }
    }
}

impl Record {
    fn new(service: &Service, created_at: Option<Timestamp>, now: Timestamp) -> Self {
        let adopted = created_at.map(|_| Adoption { at: now, annotations_written_at: service.annotations_written_at });
        Self {
            uid: half(&service.uid).into(),
            first_seen_at: now,
            load_balancer_created_at: created_at,
            adopted,
            baseline: annotations(service),
            edited: BTreeMap::new(),
            edits: Vec::new(),
        }
    }

    /// Whether it is about this very Service, and not another one that had its name.
    pub fn is_of(&self, service: &Service) -> bool {
        *self.uid == *half(&service.uid)
    }

    /// What the annotation said at the last look.
    pub fn current(&self, annotation: &str) -> Option<&Value> {
        match self.edited.get(annotation) {
            Some(edited) => edited.now.as_ref(),
            None => self.baseline.get(annotation),
        }
    }

    fn differs(&self, service: &Service, created_at: Option<Timestamp>) -> bool {
        let mut count = 0;
        let same = watched(service).all(|(key, value)| {
            count += 1;
            self.current(key).is_some_and(|known| known.is(value))
        });
        let added = self.edited.iter().filter(|(key, edited)| edited.now.is_some() && !self.baseline.contains_key(*key)).count();
        let removed = self.edited.values().filter(|edited| edited.now.is_none()).count();
        !same || count + removed != self.baseline.len() + added || created_at > self.load_balancer_created_at
    }

    fn observe(&mut self, service: &Service, created_at: Option<Timestamp>, look: Look) {
        let now = annotations(service);
        let made = created_at.filter(|at| Some(*at) > self.load_balancer_created_at);
        let keys: BTreeSet<Arc<str>> = self.baseline.keys().chain(self.edited.keys()).chain(now.keys()).map(Arc::clone).collect();
        let when = look.when(service);
        for key in keys {
            let to = now.get(&key);
            if self.current(&key) != to {
                let from = self.current(&key).cloned();
                self.log(Edit { annotation: Arc::clone(&key), from, to: to.cloned(), at: when });
                self.set(key, to.cloned(), Some(when));
            }
        }
        match made {
            Some(made) => self.start_over(made, service, look),
            // Free until there is a load balancer; the log keeps what may turn out to have come after it.
            None if self.load_balancer_created_at.is_none() => self.settle(now),
            None => {}
        }
    }

    /// Takes the present annotations for the baseline.
    fn settle(&mut self, now: Annotations) {
        self.baseline = now;
        self.edited.clear();
    }

    /// A load balancer was made: what was changed after that is edited, and everything before it is not.
    fn start_over(&mut self, made: Timestamp, service: &Service, look: Look) {
        // Of the changes that nobody saw nobody knows which came before it.
        let gap = look.gap.filter(|(from, to)| (*from..=*to).contains(&made));
        let late = self.load_balancer_created_at.is_none() && made < self.first_seen_at;
        // From this look on everything is known, though the load balancer may have become known later.
        let seen_since = gap.map(|(_, to)| to).or(late.then_some(self.first_seen_at));
        let certain = gap.map_or(made, |(_, to)| to);
        let later: Vec<Edit> = self.edits.iter().filter(|edit| edit.at.is_after(certain)).cloned().collect();
        let mut then = annotations(service);
        self.settle(then.clone());
        for edit in later.iter().rev() {
            match &edit.from {
                Some(value) => _ = then.insert(Arc::clone(&edit.annotation), value.clone()),
                None => _ = then.remove(&edit.annotation),
            }
        }
        self.baseline = then;
        for edit in &later {
            self.set(Arc::clone(&edit.annotation), edit.to.clone(), Some(edit.at));
        }
        self.edits = later;
        self.load_balancer_created_at = Some(made);
        self.adopted = seen_since.map(|at| Adoption {
            at,
            // A later write is one of the edits that were seen.
            annotations_written_at: service.annotations_written_at.filter(|written| *written <= at),
        });
    }

    fn set(&mut self, key: Arc<str>, to: Option<Value>, at: Option<When>) {
        if self.baseline.get(&key) == to.as_ref() {
            self.edited.remove(&key);
        } else {
            self.edited.insert(key, Edited { now: to, at });
        }
    }

    fn log(&mut self, edit: Edit) {
        if self.edits.len() == LOGGED {
            self.edits.remove(0);
        }
        self.edits.push(edit);
    }

    /// How much a record says about the time of the load balancer's making: more is better.
    fn reach(&self) -> impl Ord {
        (self.load_balancer_created_at, self.adopted.is_none(), std::cmp::Reverse(self.first_seen_at))
    }

    fn merge(ours: &Self, theirs: &Self, theirs_is_later: bool) -> Self {
        let (mut merged, rest) = if theirs.reach() > ours.reach() { (theirs.clone(), ours) } else { (ours.clone(), theirs) };
        let later = if theirs_is_later { theirs } else { ours };
        let keys: BTreeSet<Arc<str>> =
            [&merged, later].into_iter().flat_map(|r| r.baseline.keys().chain(r.edited.keys())).map(Arc::clone).collect();
        for key in keys {
            let to = later.current(&key).cloned();
            if merged.current(&key) != to.as_ref() {
                let at = later.edited.get(&key).and_then(|edited| edited.at);
                merged.set(key, to, at);
            }
        }
        if rest.load_balancer_created_at == merged.load_balancer_created_at {
            let same = |a: &Edit, b: &Edit| (&a.annotation, &a.from, &a.to) == (&b.annotation, &b.from, &b.to);
            let new: Vec<Edit> =
                rest.edits.iter().filter(|edit| !merged.edits.iter().any(|known| same(known, edit))).cloned().collect();
            merged.edits.extend(new);
            merged.edits.sort_by_key(|edit| edit.at.latest());
            let excess = merged.edits.len().saturating_sub(LOGGED);
            merged.edits.drain(..excess);
        }
        merged
    }
}

#[cfg(test)]
mod tests;
