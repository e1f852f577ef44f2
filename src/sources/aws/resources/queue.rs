//! Whose turn is it? The most urgent of all kinds, and the call that is made for it.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Resources;
use super::wanted::is_listener;
use crate::inventory::aws::{Attributes, CapacityReservation, Listener, Tags, Target};
use crate::inventory::ids::{Arn, LoadBalancerId, TargetGroupId};
use crate::inventory::part::Failure;
use crate::inventory::parts::source;
use crate::sources::aws::dispatcher::Permit;
use crate::sources::aws::elb::{self, Elb};
use crate::sources::aws::fetch::Oddities;
use crate::sources::schedule::{Lane, Urgency};

/// So long settings wait for the first round of health even where AWS throttles: a small cluster is through by then.
const MOST_PATIENCE: Duration = Duration::from_secs(120);

/// A call under way.
#[derive(Debug)]
pub(super) enum Job {
    Tags(Vec<Arn>),
    Listeners(LoadBalancerId, Arn),
    LoadBalancerAttributes(LoadBalancerId, Arn),
    TargetGroupAttributes(TargetGroupId, Arn),
    Certificates(Arn, Arn),
    ListenerAttributes(Arn, Arn),
    Capacity(LoadBalancerId, Arn),
    Health(TargetGroupId, Arn),
}

/// A call that ended.
#[derive(Debug)]
pub(super) enum Done {
    Tags(BTreeMap<Arn, Result<Tags, Failure>>),
    Listeners(LoadBalancerId, Result<Vec<Listener>, Failure>),
    LoadBalancerAttributes(LoadBalancerId, Result<Attributes, Failure>),
    TargetGroupAttributes(TargetGroupId, Result<Attributes, Failure>),
    Certificates(Arn, Result<BTreeSet<Arc<str>>, Failure>),
    ListenerAttributes(Arn, Result<Attributes, Failure>),
    Capacity(LoadBalancerId, Result<CapacityReservation, Failure>),
    Health(TargetGroupId, Result<Vec<Target>, Failure>),
}

/// The kinds that share the lane beside health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Turn {
    Tags,
    Listeners,
    LoadBalancerAttributes,
    TargetGroupAttributes,
    Certificates,
    ListenerAttributes,
    Capacity,
}

/// A place in the dispatcher's queue, kept as long as the urgency stays.
#[derive(Default)]
pub(super) struct Place(Option<(Urgency, PendingPermit)>);

type PendingPermit = Pin<Box<dyn Future<Output = Permit> + Send>>;

impl Place {
    /// Stands in the queue with this urgency; leaves it for `None`.
    pub(super) fn stand(&mut self, elb: &Elb, lane: Lane, urgency: Option<Urgency>) {
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
    pub(super) async fn permit(&mut self) -> (Permit, Urgency) {
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
    /// Settings wait until it is known which groups there are and the first round of their health is over: what serves comes
    /// before how it is set up. Only those wait for nothing by which a group that does not serve is judged. Where AWS
    /// throttles, that round may go at a sixteenth of its pace: after a while health has its half then, and not all.
    fn held_back(&self) -> bool {
        let groups_known = self.seen.target_groups.attempted_at.is_some() && self.tags.plan.first_round_over();
        let drawn_out = self.started.elapsed() > MOST_PATIENCE && self.elb.dispatcher().is_slowed();
        !groups_known || (!self.health.plan.first_round_over() && !drawn_out)
    }

    /// The most urgent of everything but health: how urgent, since when, and which kind.
    pub(super) fn most_urgent_other(&self, now: Instant) -> Option<(Urgency, Instant, Turn)> {
        let held_back = self.held_back();
        let settings = [
            (Turn::Listeners, self.listeners.plan.most_urgent(now)),
            (Turn::LoadBalancerAttributes, self.load_balancer_attributes.plan.most_urgent(now)),
            (Turn::TargetGroupAttributes, self.target_group_attributes.plan.most_urgent(now)),
            (Turn::Certificates, self.certificates.plan.most_urgent(now)),
            (Turn::ListenerAttributes, self.listener_attributes.plan.most_urgent(now)),
            (Turn::Capacity, self.capacities.plan.most_urgent(now)),
        ];
        let may_go = |due: &(Turn, Option<(Urgency, Instant)>)| {
            !held_back || due.1.is_some_and(|(urgency, _)| urgency == Urgency::Changed)
        };
        let kinds = settings.into_iter().filter(may_go).chain([(Turn::Tags, self.tags.plan.most_urgent(now))]);
        kinds.filter_map(|(turn, due)| due.map(|(urgency, since)| (urgency, since, turn))).min()
    }

    pub(super) fn take_other(&mut self, now: Instant) -> Option<Job> {
        let (_, _, turn) = self.most_urgent_other(now)?;
        macro_rules! one {
            ($kind:ident, $job:ident) => {{
                let key = self.$kind.plan.take(now)?;
                let arn = self.$kind.arn(&key)?.clone();
                Some(Job::$job(key, arn))
            }};
        }
        match turn {
            Turn::Tags => {
                // One ARN that an endpoint does not take fails its whole call: what is known of load balancers and target
                // groups must not hang upon listeners.
                let alike = |one: &Arn, other: &Arn| is_listener(one) == is_listener(other);
                let arns = self.tags.plan.take_batch(now, elb::TAGS_A_CALL, self.tags.interval() / 4, alike);
                (!arns.is_empty()).then_some(Job::Tags(arns))
            }
            Turn::Listeners => one!(listeners, Listeners),
            Turn::LoadBalancerAttributes => one!(load_balancer_attributes, LoadBalancerAttributes),
            Turn::TargetGroupAttributes => one!(target_group_attributes, TargetGroupAttributes),
            Turn::Certificates => one!(certificates, Certificates),
            Turn::ListenerAttributes => one!(listener_attributes, ListenerAttributes),
            Turn::Capacity => one!(capacities, Capacity),
        }
    }

    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        [
            self.tags.plan.next_due(now),
            self.listeners.plan.next_due(now),
            self.load_balancer_attributes.plan.next_due(now),
            self.target_group_attributes.plan.next_due(now),
            self.certificates.plan.next_due(now),
            self.listener_attributes.plan.next_due(now),
            self.capacities.plan.next_due(now),
            self.health.plan.next_due(now),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    pub(super) fn start(&self, calls: &mut JoinSet<Done>, job: Option<Job>, permit: Permit, urgency: Urgency) {
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
                Job::Certificates(listener, arn) => {
                    let answer = elb::listener_certificates(&elb, permit, &arn, urgency).await;
                    let answer = answer.map(|(certificates, oddities)| {
                        odd(source::LISTENER_CERTIFICATES, oddities);
                        certificates
                    });
                    Done::Certificates(listener, answer)
                }
                Job::ListenerAttributes(listener, arn) => {
                    Done::ListenerAttributes(listener, elb::listener_attributes(&elb, permit, &arn, urgency).await)
                }
                Job::Capacity(id, arn) => Done::Capacity(id, elb::capacity_reservation(&elb, permit, &arn, urgency).await),
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
}
