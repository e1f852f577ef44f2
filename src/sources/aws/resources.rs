//! Which of this cluster's load balancers and target groups is asked about next? The tags of everything in the lists,
//! listeners, attributes and target health of what belongs to the cluster, and what only few Services speak of (`wanted`).
//!
//! One task decides and writes; calls run beside it. It waits for a permit of the dispatcher for each lane and chooses what
//! to ask when it has one, so that what changed a moment ago goes first. Cost of one pass: a call per 20 ARNs for tags, per
//! load balancer one for listeners and one for attributes, per target group one for attributes and one for health; only
//! where a Service's annotations speak of it one per listener for certificates, one for attributes, a twentieth for tags,
//! and one per load balancer for its reserved capacity.

mod again;
mod cadence;
mod look;
mod queue;
mod wanted;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::queue::{Done, Job, Place};
use self::wanted::{Wanted, is_listener};
use super::changes::Picture;
use super::elb::{self, Elb};
use super::kind::Kind;
use super::settings::Intervals;
use super::steadiness::Steadiness;
use crate::clock;
use crate::inventory::aws::{Attributes, CapacityReservation, Listener, Tags, Target, TargetHealth, TargetState};
use crate::inventory::ids::{Arn, LoadBalancerId, TargetGroupId};
use crate::inventory::membership::Membership;
use crate::inventory::part::{Failure, FailureCategory};
use crate::inventory::parts::{Parts, source};
use crate::sources::schedule::{Cadence, Lane, Urgency, jittered, random};
use crate::sources::store::Store;

/// The task's state.
#[derive(Debug)]
pub(crate) struct Resources {
    elb: Elb,
    store: Store,
    intervals: Intervals,
    started: Instant,
    tags: Kind<Arn, Tags>,
    listeners: Kind<LoadBalancerId, Vec<Listener>>,
    load_balancer_attributes: Kind<LoadBalancerId, Attributes>,
    target_group_attributes: Kind<TargetGroupId, Attributes>,
    certificates: Kind<Arn, BTreeSet<Arc<str>>>,
    listener_attributes: Kind<Arn, Attributes>,
    capacities: Kind<LoadBalancerId, CapacityReservation>,
    health: Kind<TargetGroupId, TargetHealth>,
    steadiness: Steadiness,
    cadence: Cadence,
    picture: Picture,
    membership: Membership,
    /// What is asked only where a Service speaks of it.
    wanted: Wanted,
    /// The listeners whose tags are asked for.
    tagged: BTreeSet<Arn>,
    /// The parts as they were at the last look.
    seen: Parts,
    /// Groups of instances are already to be asked again because of a node.
    nodes_until: Option<Instant>,
    /// Since when the controller leads, as last seen.
    leading_since: Option<Timestamp>,
    /// Groups that were unwell before this start and have not been asked about; `None` until that is remembered.
    unwell: Option<BTreeSet<TargetGroupId>>,
    /// Load balancers whose hold-down has been thought of.
    held: BTreeSet<LoadBalancerId>,
}

impl Resources {
    pub(crate) fn new(elb: Elb, store: Store, intervals: Intervals) -> Self {
        let cadence = Cadence { unsteady: intervals.unsteady_health, steady: intervals.steady_health };
        Self {
            tags: Kind::new(source::TAGS, intervals.tags, |parts| &mut parts.tags).leading().with_secondary(is_listener),
            listeners: Kind::new(source::LISTENERS, intervals.listeners, |parts| &mut parts.listeners),
            load_balancer_attributes: Kind::new(source::LOAD_BALANCER_ATTRIBUTES, intervals.attributes, |parts| {
                &mut parts.load_balancer_attributes
            }),
            target_group_attributes: Kind::new(source::TARGET_GROUP_ATTRIBUTES, intervals.attributes, |parts| {
                &mut parts.target_group_attributes
            }),
            certificates: Kind::new(source::LISTENER_CERTIFICATES, intervals.listeners, |parts| &mut parts.listener_certificates),
            listener_attributes: Kind::new(source::LISTENER_ATTRIBUTES, intervals.attributes, |parts| {
                &mut parts.listener_attributes
            }),
            capacities: Kind::new(source::CAPACITY_RESERVATIONS, intervals.attributes, |parts| &mut parts.capacity_reservations),
            health: Kind::new(source::TARGET_HEALTH, intervals.steady_health, |parts| &mut parts.target_health),
            steadiness: Steadiness::new(intervals.settle),
            cadence,
            picture: Picture::default(),
            membership: Membership::default(),
            wanted: Wanted::default(),
            tagged: BTreeSet::new(),
            seen: Parts::default(),
            nodes_until: None,
            leading_since: None,
            unwell: None,
            held: BTreeSet::new(),
            started: Instant::now(),
            elb,
            store,
            intervals,
        }
    }

    /// Runs for ever.
    pub(crate) async fn run(mut self) {
        let mut changes = self.store.subscribe();
        let mut calls: JoinSet<Done> = JoinSet::new();
        let (mut health, mut other) = (Place::default(), Place::default());
        let mut look_at = Some(Instant::now());
        loop {
            let now = Instant::now();
            health.stand(&self.elb, Lane::Health, self.health.plan.most_urgent(now).map(|(urgency, _)| urgency));
            other.stand(&self.elb, Lane::Other, self.most_urgent_other(now).map(|(urgency, _, _)| urgency));
            let due = self.next_due(now).unwrap_or(now + Duration::from_secs(3_600));
            tokio::select! {
                (permit, urgency) = health.permit() => {
                    let now = Instant::now();
                    if let Some(key) = self.health.plan.take(now) {
                        let job = self.health.arn(&key).cloned().map(|arn| Job::Health(key, arn));
                        self.start(&mut calls, job, permit, urgency);
                    }
                }
                (permit, urgency) = other.permit() => {
                    let job = self.take_other(Instant::now());
                    self.start(&mut calls, job, permit, urgency);
                }
                Some(done) = calls.join_next() => match done {
                    Ok(done) => self.record(done),
                    Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    Err(_) => {}
                },
                changed = changes.changed(), if look_at.is_none() => {
                    if changed.is_err() {
                        return;
                    }
                    look_at = Some(Instant::now() + self.intervals.debounce);
                }
                () = tokio::time::sleep_until(look_at.unwrap_or(now)), if look_at.is_some() => {
                    look_at = None;
                    self.look(Instant::now());
                }
                () = tokio::time::sleep_until(due) => {}
            }
        }
    }

    fn record(&mut self, done: Done) {
        let (now, instant) = (clock::now(), Instant::now());
        self.doubt_listeners(&done, instant);
        let (intervals, store) = (&self.intervals, &self.store);
        macro_rules! put {
            ($kind:ident, $key:expr, $answer:expr) => {
                put!($kind, $key, $answer, jittered(self.$kind.interval(), random()))
            };
            ($kind:ident, $key:expr, $answer:expr, $interval:expr) => {
                match $answer {
                    Ok(value) => self.$kind.succeeded(&$key, value, instant + $interval, store, now),
                    Err(failure) => self.$kind.failed(&$key, &failure, intervals, store, (now, instant)),
                }
            };
        }
        match done {
            Done::Tags(answers) => {
                // All of a batch at the same time, so that the next batch is full again.
                let interval = jittered(self.tags.interval(), random());
                for (arn, answer) in answers {
                    put!(tags, arn, answer, interval);
                }
            }
            Done::Listeners(id, answer) => put!(listeners, id, answer),
            Done::LoadBalancerAttributes(id, answer) => {
                put!(load_balancer_attributes, id, answer);
            }
            Done::TargetGroupAttributes(id, answer) => {
                put!(target_group_attributes, id, answer);
            }
            Done::Certificates(listener, answer) => put!(certificates, listener, answer),
            Done::ListenerAttributes(listener, answer) => put!(listener_attributes, listener, answer),
            Done::Capacity(id, answer) => put!(capacities, id, answer),
            Done::Health(id, answer) => self.record_health(&id, answer),
        }
    }

    /// A listener that is gone will be missed in its load balancer's list.
    fn doubt_listeners(&mut self, done: &Done, now: Instant) {
        let gone = |failure: Option<&Failure>| failure.is_some_and(|failure| failure.category == FailureCategory::NotFound);
        let gone: Vec<&Arn> = match done {
            Done::Tags(answers) => answers.iter().filter(|(_, answer)| gone(answer.as_ref().err())).map(|(arn, _)| arn).collect(),
            Done::Certificates(arn, answer) if gone(answer.as_ref().err()) => vec![arn],
            Done::ListenerAttributes(arn, answer) if gone(answer.as_ref().err()) => vec![arn],
            _ => return,
        };
        for id in gone.into_iter().filter_map(|arn| self.wanted.listeners.get(arn)) {
            self.listeners.plan.request(id, now, Urgency::List);
        }
    }

    fn record_health(&mut self, id: &TargetGroupId, answer: Result<Vec<Target>, Failure>) {
        let (now, instant) = (clock::now(), Instant::now());
        let targets = match answer {
            Ok(targets) => targets,
            Err(failure) => {
                self.health.failed(id, &failure, &self.intervals, &self.store, (now, instant));
                return;
            }
        };
        let parts = self.store.read();
        let before = parts.target_health.get(id).and_then(|part| part.get());
        let sample = elb::convert::sample(targets, before, now);
        let moved = before.is_some_and(|before| before.changed_at != sample.changed_at);
        let is_first = before.is_none();
        drop(parts);
        if is_first && !sample.targets.iter().any(|target| target.state == TargetState::Healthy) {
            self.ask_how_it_is_used(id, instant);
        }
        let turn = self.steadiness.sampled(id, &sample, moved, self.cadence, (now, instant));
        self.fit_cadence();
        self.health.succeeded(id, sample, instant + jittered(turn, random()), &self.store, now);
    }

    /// A group that does not serve is nobody's loss where its listener gives it no weight, and in a large Region the listeners'
    /// own turn comes minutes later: somebody would be woken in between.
    fn ask_how_it_is_used(&mut self, id: &TargetGroupId, now: Instant) {
        let Some(member) = self.membership.target_groups.get(id) else { return };
        let Some(load_balancer) = &member.load_balancer else { return };
        // Another group of it may have asked already.
        if !self.store.read().listeners.contains_key(load_balancer) {
            self.listeners.plan.request(load_balancer, now, Urgency::Changed);
        }
    }
}
