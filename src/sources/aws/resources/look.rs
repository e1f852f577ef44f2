//! What has changed since the last look, and what is asked because of it?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::time::Instant;

use super::Resources;
use super::wanted::{Wanted, changed_listeners, is_listener};
use crate::clock;
use crate::inventory::ids::Arn;
use crate::inventory::membership::Membership;
use crate::inventory::parts::Parts;
use crate::sources::aws::changes::Changes;
use crate::sources::aws::scope::no_cluster_name;
use crate::sources::schedule::Urgency;

impl Resources {
    /// Looks at everything again if anything it cares about is another one than before.
    pub(super) fn look(&mut self, now: Instant) {
        let parts = self.store.read();
        self.report_cluster_name(parts.scope.cluster_name.is_some(), now);
        let membership_differs = !self.seen_same_members(&parts);
        let kubernetes_differs = !(same(&self.seen.endpoint_slices.value, &parts.endpoint_slices.value)
            && same(&self.seen.nodes.value, &parts.nodes.value)
            && Arc::ptr_eq(&self.seen.listeners, &parts.listeners));
        if membership_differs {
            self.membership = Membership::of(&parts);
            self.look_at_members(now);
        }
        let controllers_differ = !same(&self.seen.controllers.value, &parts.controllers.value);
        if membership_differs || kubernetes_differs || controllers_differ {
            self.look_at_wanted(&parts, now);
            self.look_at_tagged(&parts, now);
        }
        self.read_after_hold_downs(&parts, now);
        self.look_at_the_unwell(&parts, now);
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
            controllers: parts.controllers,
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

    /// The tags of everything in the lists, and of the listeners of which they are wanted. Those wait until the listeners of
    /// all load balancers are known: asked for one by one they would fill no call.
    fn look_at_tagged(&mut self, parts: &Parts, now: Instant) {
        let wanted = &self.wanted.tags;
        let tagged = if self.listeners.plan.first_round_over() { wanted.clone() } else { wanted & &self.tagged };
        if tagged == self.tagged
            && same(&self.seen.load_balancers.value, &parts.load_balancers.value)
            && same(&self.seen.target_groups.value, &parts.target_groups.value)
        {
            return;
        }
        self.tagged = tagged;
        let load_balancers = parts.load_balancers.get().into_iter().flatten().map(|(_, one)| &one.arn);
        let target_groups = parts.target_groups.get().into_iter().flatten().map(|(_, one)| &one.arn);
        let all = load_balancers.chain(target_groups).chain(&self.tagged);
        let arns = all.map(|arn| (arn.clone(), arn.clone())).collect();
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

    /// What was unwell before a restart is asked first, with everything by which it is judged: its alerts must not end while the others
    /// have their turn.
    fn look_at_the_unwell(&mut self, parts: &Parts, now: Instant) {
        if self.unwell.is_none() {
            self.unwell = parts.history.get().map(|history| history.unwell.clone());
        }
        let Some(unwell) = &mut self.unwell else { return };
        let known: Vec<_> = unwell.iter().filter(|id| self.health.plan.contains(id)).cloned().collect();
        for id in known {
            unwell.remove(&id);
            // Its first turn came before what is remembered was read.
            if parts.target_health.get(&id).is_some_and(|part| part.attempted_at.is_some()) {
                continue;
            }
            self.health.plan.request(&id, now, Urgency::Changed);
            self.target_group_attributes.plan.request(&id, now, Urgency::Changed);
            if let Some(load_balancer) = self.membership.target_groups.get(&id).and_then(|member| member.load_balancer.as_ref()) {
                self.listeners.plan.request(load_balancer, now, Urgency::Changed);
                self.load_balancer_attributes.plan.request(load_balancer, now, Urgency::Changed);
            }
        }
    }

    /// What is wanted of listeners and load balancers, and what of that changed: it is asked about again.
    fn look_at_wanted(&mut self, parts: &Parts, now: Instant) {
        let changed = changed_listeners(&self.seen.listeners, &parts.listeners);
        let wanted = Wanted::of(parts, &self.membership);
        if wanted != self.wanted {
            let before = std::mem::replace(&mut self.wanted, wanted);
            let arns = |wanted: &BTreeSet<Arn>| wanted.iter().map(|arn| (arn.clone(), arn.clone())).collect();
            let store = &self.store;
            self.certificates.set_resources(arns(&self.wanted.certificates), Urgency::First, store, now);
            self.listener_attributes.set_resources(arns(&self.wanted.attributes), Urgency::First, store, now);
            self.capacities.set_resources(self.wanted.capacities.clone(), Urgency::First, store, now);
            self.read_new_after_hold_downs(&before, now);
            self.fit_cadence();
        }
        // A listener that came to a known load balancer, or was changed: by the controller, which goes on, or by somebody.
        for arn in &changed {
            self.ask_about_listener(arn, now, Urgency::First);
            self.ask_about_listener(arn, now + self.intervals.after_hold_down, Urgency::Routine);
        }
    }

    fn act_on(&mut self, changes: &Changes, parts: &Parts, now: Instant) {
        // Until all tags are known nobody can say that nothing is ours.
        let untagged = self.tags.missing_of(|arn| !is_listener(arn));
        if parts.scope.cluster_name.is_some() && parts.target_groups.complete().is_some() && untagged == 0 {
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
            if parts.load_balancers.complete().is_some() && parts.services.complete().is_some() {
                self.nothing_wanted();
            }
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
            // What is reserved is only applied once the load balancer is provisioned.
            self.capacities.plan.request(id, now, Urgency::First);
        }
        for id in &changes.target_groups {
            self.target_group_attributes.plan.request(id, now, Urgency::First);
        }
        if !changes.services.is_empty() {
            self.ask_about_services(&changes.services, now);
        }
    }

    /// Where no Service speaks of it, nothing is to be asked: that is known once all Services and listeners are.
    fn nothing_wanted(&mut self) {
        let (at, store) = (clock::now(), &self.store);
        self.capacities.nothing_to_ask(at);
        self.capacities.publish_to(store);
        if self.listeners.missing() == 0 {
            self.certificates.nothing_to_ask(at);
            self.listener_attributes.nothing_to_ask(at);
            self.certificates.publish_to(store);
            self.listener_attributes.publish_to(store);
        }
    }

    fn report_cluster_name(&mut self, is_known: bool, now: Instant) {
        // The controller's Deployment needs a moment to be found.
        if !is_known && now < self.started + self.intervals.retry {
            return;
        }
        let why = (!is_known).then(|| Arc::new(no_cluster_name()));
        let (why, store) = (why.as_ref(), &self.store);
        self.listeners.cannot_ask(why, store);
        self.load_balancer_attributes.cannot_ask(why, store);
        self.target_group_attributes.cannot_ask(why, store);
        self.certificates.cannot_ask(why, store);
        self.listener_attributes.cannot_ask(why, store);
        self.capacities.cannot_ask(why, store);
        self.health.cannot_ask(why, store);
    }
}

fn same<T>(old: &Option<Arc<T>>, new: &Option<Arc<T>>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => Arc::ptr_eq(old, new),
        (None, None) => true,
        _ => false,
    }
}
