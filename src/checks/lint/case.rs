//! What do all rules look at? One Service, what it comes down to, and the problems found so far.

use std::collections::BTreeSet;

use super::known::Known;
use super::problem::{Field, Problem, Rule};
use crate::controller::annotations::{Annotations, name};
use crate::controller::desired::load_balancer::{ip_address_type, scheme};
use crate::controller::desired::target_group::target_type;
use crate::controller::desired::{Desired, Wanted};
use crate::controller::ownership::{Ownership, Unowned};
use crate::controller::settings::Settings;
use crate::controller::subnets::{Choice, discover};
use crate::inventory::aws::{IpAddressType, Scheme, TargetType};
use crate::inventory::kube::{Service, Version};

pub(super) struct Case<'a> {
    pub(super) service: &'a Service,
    pub(super) settings: Settings<'a>,
    pub(super) known: Known<'a>,
    pub(super) owner: Ownership,
    pub(super) annotations: Annotations<'a>,
    pub(super) problems: Vec<Problem>,
}

impl<'a> Case<'a> {
    pub(super) fn of(service: &'a Service, settings: Settings<'a>, known: Known<'a>, owner: Ownership) -> Self {
        Self { service, settings, known, owner, annotations: Annotations(&service.annotations), problems: Vec::new() }
    }

    /// A problem with the annotation of this name under the controller's prefix.
    pub(super) fn tell(&mut self, rule: Rule, name: &str, message: impl Into<String>) {
        self.problems.push(Problem { rule, field: Field::annotation(name), message: message.into() });
    }

    /// A problem with a field of the spec.
    pub(super) fn tell_spec(&mut self, rule: Rule, path: &'static str, message: impl Into<String>) {
        self.problems.push(Problem { rule, field: Field::Spec(path), message: message.into() });
    }

    /// Whether an annotation is there and the running version reads it.
    pub(super) fn read(&self, name: &str) -> Option<&'a str> {
        let since = super::grammar::find(name).map(|(annotation, _)| annotation.since);
        self.annotations.text(name).filter(|_| since.is_none_or(|since| self.settings.at_least(since)))
    }

    /// What is sure; with the documented defaults taken for granted also what is likely.
    pub(super) fn settled<T>(&self, wanted: Wanted<T>) -> Option<T> {
        match wanted {
            Wanted::Value(value) => Some(value),
            Wanted::Likely(value, _) => self.known.assume_defaults.then_some(value),
            Wanted::Free | Wanted::Unknown(_) => None,
        }
    }

    /// The same of a field that may be refused: what is refused is told by the rule on values.
    pub(super) fn sure<T>(&self, desired: Desired<T>) -> Option<T> {
        self.settled(desired.ok()?)
    }

    /// A gate or flag, and its documented default where that is taken for granted.
    pub(super) fn or_default(&self, state: Option<bool>, default: bool) -> Option<bool> {
        state.or(self.known.assume_defaults.then_some(default))
    }

    /// The scheme the load balancer has or will have.
    pub(super) fn scheme(&self) -> Option<Scheme> {
        self.sure(scheme(self.service, self.known.load_balancer.map(|lb| lb.scheme), self.settings))
    }

    /// Whether the load balancer will be dual-stack.
    pub(super) fn dualstack(&self) -> Option<bool> {
        ip_address_type(self.service).ok().map(|found| found == IpAddressType::Dualstack)
    }

    /// The type of the targets; `None` while nobody owns the Service, for it is not decided then.
    pub(super) fn target_type(&self) -> Option<TargetType> {
        if matches!(self.owner, Ownership::Nobody(Unowned::NoTargetType | Unowned::OddTargetType)) {
            return None;
        }
        self.settled(target_type(self.service, self.settings))
    }

    /// Security groups of the user's own choice.
    pub(super) fn has_custom_groups(&self) -> bool {
        self.settings.at_least(Version::new(2, 6, 0))
            && self.annotations.list(name::SECURITY_GROUPS).is_some_and(|list| !list.is_empty())
    }

    /// In how many subnets the load balancer is or will be, and how that is known.
    pub(super) fn subnets(&self) -> Option<(usize, &'static str)> {
        if let Some(list) = self.annotations.list(name::SUBNETS) {
            let distinct: BTreeSet<&str> = list.iter().copied().collect();
            let countable = distinct.len() == list.len() && !list.is_empty() && !list.iter().any(|it| it.contains(['*', '?']));
            return countable.then_some((list.len(), "the annotation aws-load-balancer-subnets names"));
        }
        let scheme = self.scheme()?;
        if let Some(load_balancer) = self.known.load_balancer {
            // Before 2.3.0 the subnets of a load balancer were discovered anew.
            let reused = load_balancer.scheme == scheme && self.settings.at_least(Version::new(2, 3, 0));
            return reused.then_some((load_balancer.zones.len(), "its load balancer has"));
        }
        let (network, rules) = self.known.network?;
        match discover(&network, rules, scheme, self.dualstack()?).choice {
            Choice::Subnets(chosen) => Some((chosen.len(), "discovery finds")),
            Choice::Refused(_) | Choice::Unknown => None,
        }
    }
}
