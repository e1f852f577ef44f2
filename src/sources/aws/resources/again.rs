//! When are settings read once more, out of their turn? After an edit, and when a difference begins to count as drift.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::Resources;
use super::wanted::Wanted;
use crate::clock;
use crate::inventory::ids::{Arn, LoadBalancerId, ObjectName};
use crate::inventory::parts::Parts;
use crate::inventory::snapshot::Owner;
use crate::sources::schedule::Urgency;

impl Resources {
    /// Their settings are read again when the controller will have acted, else an edit would read as drift until the next
    /// round; and once more when what then differs counts as drift.
    pub(super) fn ask_about_services(&mut self, services: &BTreeSet<ObjectName>, now: Instant) {
        let concerned = |name: Option<&ObjectName>| name.is_some_and(|name| services.contains(name));
        for after in self.intervals.after_service_change {
            self.read_again(concerned, now + after, Urgency::Unsteady);
        }
        self.read_again(concerned, now + self.intervals.after_hold_down, Urgency::Routine);
    }

    /// What was read within the hold-down of a new load balancer, or of a controller that has just started, can only
    /// confirm: it is read again when the hold-down has ended, and not a whole round later.
    pub(super) fn read_after_hold_downs(&mut self, parts: &Parts, now: Instant) {
        let leading_since = parts.leader_lease.get().and_then(|lease| lease.as_ref()?.acquired_at);
        if leading_since != self.leading_since {
            self.leading_since = leading_since;
            if let Some(at) = leading_since.and_then(|since| self.end_of_hold_down(since, now)) {
                self.read_again(|_| true, at, Urgency::Routine);
            }
        }
        let members = self.membership.load_balancers.iter();
        let new: Vec<_> = members.filter(|(id, _)| !self.held.contains(*id)).map(|(id, one)| (id.clone(), one.clone())).collect();
        for (id, member) in new {
            self.held.insert(id);
            if let Some(at) = member.load_balancer.created_at.and_then(|created| self.end_of_hold_down(created, now)) {
                let Owner::Service(service) = &member.owner else { continue };
                self.read_again(|name| name == Some(service), at, Urgency::Routine);
            }
        }
        let known = &self.membership.load_balancers;
        self.held.retain(|id| known.contains_key(id));
    }

    /// The same for what began to be wanted: its first answer may come within the hold-down.
    pub(super) fn read_new_after_hold_downs(&mut self, before: &Wanted, now: Instant) {
        let mut wishes = Vec::new();
        for (arn, id) in self.wanted.listeners.iter().filter(|(arn, _)| !before.listeners.contains_key(*arn)) {
            wishes.extend(self.hold_down_of(id, now).map(|at| (arn.clone(), at)));
        }
        for (arn, at) in wishes {
            self.ask_about_listener(&arn, at, Urgency::Routine);
        }
        for id in self.wanted.capacities.keys().filter(|id| !before.capacities.contains_key(*id)) {
            if let Some(at) = self.hold_down_of(id, now) {
                self.capacities.plan.request(id, at, Urgency::Routine);
            }
        }
    }

    fn hold_down_of(&self, id: &LoadBalancerId, now: Instant) -> Option<Instant> {
        let created = self.membership.load_balancers.get(id)?.load_balancer.created_at?;
        self.end_of_hold_down(created, now)
    }

    /// Asks for all that is wanted of a listener.
    pub(super) fn ask_about_listener(&mut self, arn: &Arn, at: Instant, urgency: Urgency) {
        self.certificates.plan.request(arn, at, urgency);
        self.listener_attributes.plan.request(arn, at, urgency);
        self.tags.plan.request(arn, at, urgency);
    }

    /// When a hold-down that began then ends; `None` if it has.
    fn end_of_hold_down(&self, since: Timestamp, now: Instant) -> Option<Instant> {
        let passed = Duration::try_from(clock::now().duration_since(since)).unwrap_or_default();
        let left = self.intervals.after_hold_down.checked_sub(passed)?;
        Some(now + left)
    }

    /// Asks for listeners, attributes, tags and what else is wanted of the load balancers of these Services.
    fn read_again(&mut self, concerned: impl Fn(Option<&ObjectName>) -> bool, at: Instant, urgency: Urgency) {
        for (id, member) in &self.membership.load_balancers {
            let owner = if let Owner::Service(name) = &member.owner { Some(name) } else { None };
            if concerned(owner) {
                self.listeners.plan.request(id, at, urgency);
                self.load_balancer_attributes.plan.request(id, at, urgency);
                self.tags.plan.request(&member.load_balancer.arn, at, urgency);
                self.capacities.plan.request(id, at, urgency);
                for (arn, _) in self.wanted.listeners.iter().filter(|(_, of)| *of == id) {
                    self.certificates.plan.request(arn, at, urgency);
                    self.listener_attributes.plan.request(arn, at, urgency);
                    self.tags.plan.request(arn, at, urgency);
                }
            }
        }
        for (id, member) in &self.membership.target_groups {
            if concerned(member.stack.as_ref()) {
                self.target_group_attributes.plan.request(id, at, urgency);
                self.tags.plan.request(&member.target_group.arn, at, urgency);
            }
        }
    }
}
