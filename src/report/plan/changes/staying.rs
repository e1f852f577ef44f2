//! What stays as it is although the manifest names it no more, and what goes?
//!
//! Of attributes only the keys that are named are enforced, and what is read at creation only is never looked at again: neither is
//! set back. Tags and what bindings say are.

use std::collections::{BTreeMap, BTreeSet};

use super::{Change, Edit, Effect, differing, listed};
use crate::controller::annotations::{Annotations, name, parse_bool, parse_list};
use crate::controller::desired::listener::{self, WantedListener, listeners};
use crate::controller::desired::load_balancer::{additional_tags, annotated_scheme, attributes, scheme};
use crate::controller::desired::target_group;
use crate::controller::desired::{Desired, Wanted, WantedAttributes};
use crate::inventory::kube::{Service, Version};

/// What has one value and is left alone without the annotation.
const LEFT_ALONE: &[&str] = &[name::MINIMUM_CAPACITY, name::PRIVATE_LINK_RULES];

/// What is read when the load balancer is made.
const AT_CREATION: &[&str] =
    &[name::NAME, name::SUBNETS, name::EIP_ALLOCATIONS, name::PRIVATE_IPV4_ADDRESSES, name::IPV6_ADDRESSES];

/// What a binding says.
const OF_BINDINGS: &[&str] = &[name::TARGET_NODE_LABELS, name::MULTI_CLUSTER];

/// Target groups that are made anew begin with AWS's defaults.
pub(super) fn staying(edit: Edit<'_>, new_groups: bool) -> Vec<Change> {
    let Edit { before, after, settings, .. } = edit;
    let mut gone: BTreeMap<&'static str, BTreeSet<String>> = BTreeMap::new();
    let mut compare = |had: &WantedAttributes, wanted: &WantedAttributes| {
        // An empty value is not sent.
        let sent = |all: &WantedAttributes, key: &str| all.keys.get(key).is_some_and(|it| !it.value.is_empty());
        let lost = had.keys.iter().filter(|(key, _)| wanted.unknown.is_none() && sent(had, key) && !sent(wanted, key));
        for (key, attribute) in lost {
            gone.entry(attribute.annotation).or_default().insert(key.clone());
        }
    };
    if let (Ok(had), Ok(wanted)) = (attributes(before, settings), attributes(after, settings)) {
        compare(&had, &wanted);
    }
    let (listeners_before, listeners_after) = (listeners(before, settings), listeners(after, settings));
    for port in after.ports.iter().filter(|_| !new_groups).filter(|port| before.ports.iter().any(|it| it.port == port.port)) {
        let of = |service| target_group::attributes(service, settings, port.port);
        if let (Ok(had), Ok(wanted)) = (of(before), of(after)) {
            compare(&had, &wanted);
        }
    }
    for (had, wanted) in listeners_after.iter().flatten().filter_map(|wanted| {
        let same = |had: &&WantedListener<'_>| (had.port.port, had.protocol) == (wanted.port.port, wanted.protocol);
        Some((listeners_before.as_ref().ok()?.iter().find(same)?, wanted))
    }) {
        let keys = |service, listener| match listener::attributes(service, settings, listener) {
            Ok(Wanted::Value(pairs)) => Some(pairs),
            Ok(Wanted::Free) => Some(BTreeMap::new()),
            _ => None,
        };
        if let (Some(had), Some(wanted)) = (keys(before, had), keys(after, wanted)) {
            let lost = had.into_keys().filter(|key| !wanted.contains_key(key));
            gone.entry(name::LISTENER_ATTRIBUTES).or_default().extend(lost);
        }
    }
    let mut changes = Vec::new();
    for (field, keys) in gone {
        if let Some(keys) = listed(keys.iter()) {
            let what = format!(
                "{field} names {keys} no more, and nothing sets it back: AWS keeps the last value; write the value that you want."
            );
            changes.push(stays(field, what));
        }
    }
    let tls = listeners_after.iter().flatten().any(WantedListener::tls);
    let alpn = Some(name::ALPN_POLICY).filter(|_| tls && text(before, name::ALPN_POLICY) != Some("None"));
    for field in LEFT_ALONE.iter().copied().chain(alpn).filter(|field| removed(edit, field)) {
        let what =
            format!("{field} is removed, and nothing sets it back: AWS keeps the last value; write the value that you want.");
        changes.push(stays(field, what));
    }
    for field in AT_CREATION.iter().filter(|field| removed(edit, field) && is_kept(edit, field)) {
        changes.push(stays(field, format!("{field} is removed, and the load balancer stays as it was made with it.")));
    }
    if removed(edit, name::DISABLE_NLB_SG)
        && text(before, name::DISABLE_NLB_SG).and_then(parse_bool) == Some(true)
        && !edit.has_groups
    {
        let field = name::DISABLE_NLB_SG;
        changes.push(stays(
            field,
            format!("{field} is removed, and the load balancer stays without security groups: AWS cannot add them later."),
        ));
    }
    changes.extend(scheme_stays(edit));
    changes.extend(goes(edit));
    changes
}

fn text<'a>(service: &'a Service, field: &str) -> Option<&'a str> {
    Annotations(&service.annotations).text(field)
}

/// It was there with a value, is there no more, and the comparison with AWS does not tell it.
fn removed(edit: Edit<'_>, field: &str) -> bool {
    let had = text(edit.before, field).is_some_and(|text| !parse_list(text).is_empty());
    had && text(edit.after, field).is_none() && !edit.differences.iter().any(|difference| difference.annotation == field)
}

/// Before 2.3.0 the subnets of a load balancer were looked for at every reconcile.
fn is_kept(edit: Edit<'_>, field: &str) -> bool {
    field != name::SUBNETS || edit.settings.at_least(Version::new(2, 3, 0))
}

fn stays(field: &str, message: String) -> Change {
    Change { field: field.to_owned(), effect: Effect::Stays, message }
}

/// Without the annotation a load balancer keeps its scheme, which may be another one than a new one gets.
fn scheme_stays(edit: Edit<'_>) -> Option<Change> {
    let Edit { before, after, settings, .. } = edit;
    let (had, field) = annotated_scheme(before, settings).ok()??;
    if annotated_scheme(after, settings).ok()?.is_some() {
        return None;
    }
    let (Wanted::Value(new) | Wanted::Likely(new, _)) = scheme(after, None, settings).ok()? else { return None };
    let what = format!("{field} is removed, and the load balancer stays {had}: only one that is made anew would be {new}.");
    (new != had).then(|| stays(field, what))
}

/// What the controller takes away when nothing names it any more.
fn goes(edit: Edit<'_>) -> Vec<Change> {
    let Edit { before, after, settings, .. } = edit;
    let in_place = |field: &str, message: String| Change { field: field.to_owned(), effect: Effect::InPlace, message };
    let is_told = |field: &str| edit.differences.iter().any(|difference| difference.annotation == field);
    let mut changes = Vec::new();
    let keys = |desired: Desired<BTreeMap<String, _>>| match desired {
        Ok(Wanted::Value(tags)) => Some(tags.into_keys().collect::<BTreeSet<_>>()),
        Ok(Wanted::Free) => Some(BTreeSet::new()),
        _ => None,
    };
    if let (Some(had), Some(wanted)) = (keys(additional_tags(before, settings)), keys(additional_tags(after, settings)))
        && let Some(tags) = listed(had.difference(&wanted))
    {
        let field = name::ADDITIONAL_TAGS;
        changes.push(in_place(
            field,
            format!("{field} names {tags} no more: the controller takes the tag off everything that it made."),
        ));
    }
    for field in OF_BINDINGS.iter().filter(|field| !is_told(field) && text(after, field).is_none()) {
        if !differing(before, after, field).is_empty() {
            changes.push(in_place(field, format!("{field} is removed, and the TargetGroupBindings are changed in place.")));
        }
    }
    changes
}
