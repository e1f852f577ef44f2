//! Which of this cluster's load balancers and target groups is asked about next? The tags of everything in the lists, and
//! listeners, attributes and target health of what belongs to the cluster.
//!
//! One task decides and writes; calls run beside it. It waits for a permit of the dispatcher for each lane and chooses what
//! to ask when it has one, so that what changed a moment ago goes first. Cost of one pass: a call per 20 ARNs for tags, per
//! load balancer one for listeners and one for attributes, per target group one for attributes and one for health.

mod again;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::changes::{Changes, Picture};
use super::dispatcher::Permit;
use super::elb::{self, Elb};
use super::fetch::Oddities;
use super::kind::Kind;
use super::scope::no_cluster_name;
use super::settings::Intervals;
use super::steadiness::Steadiness;
use crate::clock;
use crate::inventory::aws::{Attributes, Listener, Tags, Target, TargetHealth};
use crate::inventory::ids::{Arn, LoadBalancerId, TargetGroupId};
use crate::inventory::membership::Membership;
use crate::inventory::part::Failure;
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
    health: Kind<TargetGroupId, TargetHealth>,
    steadiness: Steadiness,
    cadence: Cadence,
    picture: Picture,
    membership: Membership,
    /// The parts as they were at the last look.
    seen: Parts,
    /// Groups of instances are already to be asked again because of a node.
    nodes_until: Option<Instant>,
    /// Since when the controller leads, as last seen.
    leading_since: Option<Timestamp>,
    /// Load balancers whose hold-down has been thought of.
    held: BTreeSet<LoadBalancerId>,
}

/// A call under way.
#[derive(Debug)]
enum Job {
    Tags(Vec<Arn>),
    Listeners(LoadBalancerId, Arn),
    LoadBalancerAttributes(LoadBalancerId, Arn),
    TargetGroupAttributes(TargetGroupId, Arn),
    Health(TargetGroupId, Arn),
}

/// A call that ended.
#[derive(Debug)]
enum Done {
    Tags(BTreeMap<Arn, Result<Tags, Failure>>),
    Listeners(LoadBalancerId, Result<Vec<Listener>, Failure>),
    LoadBalancerAttributes(LoadBalancerId, Result<Attributes, Failure>),
    TargetGroupAttributes(TargetGroupId, Result<Attributes, Failure>),
    Health(TargetGroupId, Result<Vec<Target>, Failure>),
}

/// A place in the dispatcher's queue, kept as long as the urgency stays.
#[derive(Default)]
struct Place(Option<(Urgency, PendingPermit)>);

type PendingPermit = Pin<Box<dyn Future<Output = Permit> + Send>>;

impl Place {
    /// Stands in the queue with this urgency; leaves it for `None`.
    fn stand(&mut self, elb: &Elb, lane: Lane, urgency: Option<Urgency>) {
        let standing = self.0.as_ref().map(|(urgency, _)| *urgency);
        if standing != urgency {
            self.0 = urgency.map(|urgency| {
                let dispatcher = elb.dispatcher().clone();
                let permit: PendingPermit = Box::pin(async move { dispatcher.permit(lane, urgency).await });
                (urgency, permit)
            });
        }
    }

    /// Waits for the permit; for ever when it does not stand in the queue.
    async fn permit(&mut self) -> (Permit, Urgency) {
        match &mut self.0 {
            Some((urgency, permit)) => {
                let permitted = (permit.await, *urgency);
                self.0 = None;
                permitted
            }
            None => std::future::pending().await,
        }
    }
}

impl Resources {
    pub(crate) fn new(elb: Elb, store: Store, intervals: Intervals) -> Self {
        let cadence = Cadence { unsteady: intervals.unsteady_health, steady: intervals.steady_health };
        Self {
            tags: Kind::new(source::TAGS, intervals.tags, |parts| &mut parts.tags).leading(),
            listeners: Kind::new(source::LISTENERS, intervals.listeners, |parts| &mut parts.listeners),
            load_balancer_attributes: Kind::new(source::LOAD_BALANCER_ATTRIBUTES, intervals.attributes, |parts| {
                &mut parts.load_balancer_attributes
            }),
            target_group_attributes: Kind::new(source::TARGET_GROUP_ATTRIBUTES, intervals.attributes, |parts| {
                &mut parts.target_group_attributes
            }),
            health: Kind::new(source::TARGET_HEALTH, intervals.steady_health, |parts| &mut parts.target_health),
            steadiness: Steadiness::new(intervals.settle),
            cadence,
            picture: Picture::default(),
            membership: Membership::default(),
            seen: Parts::default(),
            nodes_until: None,
            leading_since: None,
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

    /// Settings wait until it is known which groups there are and the first round of their health is over: what serves comes
    /// before how it is set up.
    fn held_back(&self) -> bool {
        let groups_known = self.seen.target_groups.attempted_at.is_some() && self.tags.plan.first_round_over();
        !groups_known || !self.health.plan.first_round_over()
    }

    /// The most urgent of everything but health: how urgent, since when, and which kind.
    fn most_urgent_other(&self, now: Instant) -> Option<(Urgency, Instant, usize)> {
        let mut kinds = vec![self.tags.plan.most_urgent(now)];
        if !self.held_back() {
            kinds.extend([
                self.listeners.plan.most_urgent(now),
                self.load_balancer_attributes.plan.most_urgent(now),
                self.target_group_attributes.plan.most_urgent(now),
            ]);
        }
        let due = kinds.into_iter().enumerate();
        due.filter_map(|(kind, due)| due.map(|(urgency, since)| (urgency, since, kind))).min()
    }

    fn take_other(&mut self, now: Instant) -> Option<Job> {
        let (_, _, kind) = self.most_urgent_other(now)?;
        match kind {
            0 => {
                let arns = self.tags.plan.take_batch(now, elb::TAGS_A_CALL, self.tags.interval() / 4);
                (!arns.is_empty()).then_some(Job::Tags(arns))
            }
            1 => {
                let key = self.listeners.plan.take(now)?;
                Some(Job::Listeners(key.clone(), self.listeners.arn(&key)?.clone()))
            }
            2 => {
                let key = self.load_balancer_attributes.plan.take(now)?;
                Some(Job::LoadBalancerAttributes(key.clone(), self.load_balancer_attributes.arn(&key)?.clone()))
            }
            _ => {
                let key = self.target_group_attributes.plan.take(now)?;
                Some(Job::TargetGroupAttributes(key.clone(), self.target_group_attributes.arn(&key)?.clone()))
            }
        }
    }

    fn next_due(&self, now: Instant) -> Option<Instant> {
        [
            self.tags.plan.next_due(now),
            self.listeners.plan.next_due(now),
            self.load_balancer_attributes.plan.next_due(now),
            self.target_group_attributes.plan.next_due(now),
            self.health.plan.next_due(now),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn start(&self, calls: &mut JoinSet<Done>, job: Option<Job>, permit: Permit, urgency: Urgency) {
        let Some(job) = job else { return };
        let elb = self.elb.clone();
        calls.spawn(async move {
            let odd = |source, oddities: Oddities| elb.unknown_values(source, oddities.values + oddities.objects);
            match job {
                Job::Tags(arns) => Done::Tags(elb::tags(&elb, permit, arns, urgency).await),
                Job::Listeners(id, arn) => {
                    let answer = elb::listeners(&elb, permit, &arn, urgency).await;
                    let answer = answer.map(|(listeners, oddities)| {
                        odd(source::LISTENERS, oddities);
                        listeners
                    });
                    Done::Listeners(id, answer)
                }
                Job::LoadBalancerAttributes(id, arn) => {
                    Done::LoadBalancerAttributes(id, elb::load_balancer_attributes(&elb, permit, &arn, urgency).await)
                }
                Job::TargetGroupAttributes(id, arn) => {
                    Done::TargetGroupAttributes(id, elb::target_group_attributes(&elb, permit, &arn, urgency).await)
                }
                Job::Health(id, arn) => {
                    let answer = elb::target_health(&elb, permit, &arn, urgency).await;
                    let answer = answer.map(|(targets, oddities)| {
                        odd(source::TARGET_HEALTH, oddities);
                        targets
                    });
                    Done::Health(id, answer)
                }
            }
        });
    }

    fn record(&mut self, done: Done) {
        let (now, instant) = (clock::now(), Instant::now());
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
            Done::Health(id, answer) => self.record_health(&id, answer),
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
        drop(parts);
        let turn = self.steadiness.sampled(id, &sample, moved, self.cadence, (now, instant));
        self.fit_cadence();
        self.health.succeeded(id, sample, instant + jittered(turn, random()), &self.store, now);
    }

    /// Stretches all rounds to what the budget allows: settings get what half of it leaves beside the lists, health the
    /// rest. A round that means to take longer says so, and what is known lives as much longer.
    fn fit_cadence(&mut self) {
        let now = Instant::now();
        let (rate, intervals) = (self.elb.dispatcher().rate(), &self.intervals);
        let per_second = |calls: usize, interval: Duration| calls as f64 / interval.as_secs_f64().max(0.001);
        let lists = per_second(self.tags.plan.len() / 400 + 2, intervals.load_balancers);
        let settings = per_second(self.tags.plan.len().div_ceil(elb::TAGS_A_CALL), intervals.tags)
            + per_second(self.listeners.plan.len(), intervals.listeners)
            + per_second(self.load_balancer_attributes.plan.len(), intervals.attributes)
            + per_second(self.target_group_attributes.plan.len(), intervals.attributes);
        let stretch = (settings / (rate / 2.0 - lists).max(rate / 8.0)).max(1.0);
        self.tags.set_interval(intervals.tags.mul_f64(stretch), now);
        self.listeners.set_interval(intervals.listeners.mul_f64(stretch), now);
        self.load_balancer_attributes.set_interval(intervals.attributes.mul_f64(stretch), now);
        self.target_group_attributes.set_interval(intervals.attributes.mul_f64(stretch), now);
        let wish = Cadence { unsteady: intervals.unsteady_health, steady: intervals.steady_health };
        let unsteady = self.steadiness.short_turns();
        let steady = self.health.plan.len().saturating_sub(unsteady);
        let others = lists + settings / stretch;
        self.cadence = Cadence::fit(wish, (rate - others).max(rate / 2.0), unsteady, steady);
        self.health.set_interval(self.cadence.steady, now);
    }

    /// Looks at everything again if anything it cares about is another one than before.
    fn look(&mut self, now: Instant) {
        let parts = self.store.read();
        if parts.scope.cluster_name.is_none() {
            self.report_no_cluster_name(now);
        }
        let membership_differs = !self.seen_same_members(&parts);
        let kubernetes_differs = !(same(&self.seen.endpoint_slices.value, &parts.endpoint_slices.value)
            && same(&self.seen.nodes.value, &parts.nodes.value)
            && Arc::ptr_eq(&self.seen.listeners, &parts.listeners));
        if membership_differs {
            self.look_at_lists(&parts, now);
            self.membership = Membership::of(&parts);
            self.look_at_members(now);
        }
        self.read_after_hold_downs(&parts, now);
        if membership_differs || kubernetes_differs {
            let changes = self.picture.look(&parts, &self.membership);
            self.act_on(&changes, &parts, now);
        }
        self.seen = Parts {
            scope: parts.scope,
            load_balancers: parts.load_balancers,
            target_groups: parts.target_groups,
            tags: parts.tags,
            listeners: parts.listeners,
            services: parts.services,
            endpoint_slices: parts.endpoint_slices,
            nodes: parts.nodes,
            target_group_bindings: parts.target_group_bindings,
            ..Parts::default()
        };
    }

    fn seen_same_members(&self, parts: &Parts) -> bool {
        self.seen.scope.cluster_name == parts.scope.cluster_name
            && same(&self.seen.load_balancers.value, &parts.load_balancers.value)
            && same(&self.seen.target_groups.value, &parts.target_groups.value)
            && same(&self.seen.target_group_bindings.value, &parts.target_group_bindings.value)
            && same(&self.seen.services.value, &parts.services.value)
            && Arc::ptr_eq(&self.seen.tags, &parts.tags)
    }

    fn look_at_lists(&mut self, parts: &Parts, now: Instant) {
        if same(&self.seen.load_balancers.value, &parts.load_balancers.value)
            && same(&self.seen.target_groups.value, &parts.target_groups.value)
        {
            return;
        }
        let load_balancers = parts.load_balancers.get().into_iter().flatten().map(|(_, one)| &one.arn);
        let target_groups = parts.target_groups.get().into_iter().flatten().map(|(_, one)| &one.arn);
        let arns = load_balancers.chain(target_groups).map(|arn| (arn.clone(), arn.clone())).collect();
        self.tags.set_resources(arns, Urgency::List, &self.store, now);
        if parts.load_balancers.complete().is_some() && parts.target_groups.complete().is_some() {
            self.tags.nothing_to_ask(clock::now());
            self.tags.publish_to(&self.store);
        }
    }

    fn look_at_members(&mut self, now: Instant) {
        let load_balancers: BTreeMap<_, _> =
            (self.membership.load_balancers.iter()).map(|(id, member)| (id.clone(), member.load_balancer.arn.clone())).collect();
        let target_groups: BTreeMap<_, _> =
            (self.membership.target_groups.iter()).map(|(id, member)| (id.clone(), member.target_group.arn.clone())).collect();
        // A group that no load balancer forwards to is not checked: all its targets are `unused`.
        let mut checked = target_groups.clone();
        checked.retain(|id, _| self.membership.target_groups[id].load_balancer.is_some());
        self.steadiness.retain(|id| checked.contains_key(id));
        let store = &self.store;
        self.health.set_resources(checked, Urgency::First, store, now);
        self.listeners.set_resources(load_balancers.clone(), Urgency::First, store, now);
        self.load_balancer_attributes.set_resources(load_balancers, Urgency::First, store, now);
        self.target_group_attributes.set_resources(target_groups, Urgency::First, store, now);
        self.fit_cadence();
    }

    fn act_on(&mut self, changes: &Changes, parts: &Parts, now: Instant) {
        // Until all tags are known nobody can say that nothing is ours.
        if parts.scope.cluster_name.is_some() && parts.target_groups.complete().is_some() && self.tags.missing() == 0 {
            let at = clock::now();
            self.health.nothing_to_ask(at);
            self.listeners.nothing_to_ask(at);
            self.load_balancer_attributes.nothing_to_ask(at);
            self.target_group_attributes.nothing_to_ask(at);
            let store = &self.store;
            self.health.publish_to(store);
            self.listeners.publish_to(store);
            self.load_balancer_attributes.publish_to(store);
            self.target_group_attributes.publish_to(store);
        }
        for id in &changes.groups {
            self.health.plan.request(id, now, Urgency::Changed);
            self.steadiness.touched(id, now);
        }
        // The controller needs a moment to register a node or take it away; until then one more change adds nothing.
        if !changes.instance_groups.is_empty() && self.nodes_until.is_none_or(|until| until <= now) {
            let until = now + self.intervals.after_node_change;
            self.nodes_until = Some(until);
            for id in &changes.instance_groups {
                self.health.plan.request(id, until, Urgency::Unsteady);
            }
        }
        for id in &changes.load_balancers {
            self.listeners.plan.request(id, now, Urgency::List);
            self.load_balancer_attributes.plan.request(id, now, Urgency::First);
        }
        for id in &changes.target_groups {
            self.target_group_attributes.plan.request(id, now, Urgency::First);
        }
        if !changes.services.is_empty() {
            self.ask_about_services(&changes.services, now);
        }
    }

    fn report_no_cluster_name(&mut self, now: Instant) {
        // The controller's Deployment needs a moment to be found.
        if now < self.started + self.intervals.retry {
            return;
        }
        let failure = Arc::new(no_cluster_name());
        self.listeners.cannot_ask(&failure, &self.store);
        self.load_balancer_attributes.cannot_ask(&failure, &self.store);
        self.target_group_attributes.cannot_ask(&failure, &self.store);
        self.health.cannot_ask(&failure, &self.store);
    }
}

fn same<T>(old: &Option<Arc<T>>, new: &Option<Arc<T>>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => Arc::ptr_eq(old, new),
        (None, None) => true,
        _ => false,
    }
}
