//! Is every annotation one that the controller reads? Misspelt, unknown, too new, misplaced and deprecated names.

use super::case::Case;
use super::grammar::{ANNOTATIONS, CLASSIC_ONLY, DEPRECATED, OF_PODS, Suffix, find};
use super::problem::{Field, Problem, Rule, quoted};
use super::spelling::{distance, nearest};
use crate::controller::annotations::{PREFIX, name};
use crate::inventory::kube::Version;

const MARK: &str = "aws-load-balancer-";
const INGRESS_PREFIX: &str = "alb.ingress.kubernetes.io/";

/// What an Ingress reads on the Services behind it: these have a meaning on a Service that has an NLB besides.
const OF_INGRESS_BACKENDS: &[&str] = &[
    "target-type",
    "backend-protocol",
    "backend-protocol-version",
    "target-group-attributes",
    "target-node-labels",
    "healthcheck-",
    "healthy-threshold-count",
    "unhealthy-threshold-count",
    "success-codes",
    "multi-cluster-target-group",
    "auth-",
    "tags",
];

pub(super) fn check(case: &mut Case<'_>) {
    let keys: Vec<&str> = case.service.annotations.keys().map(|key| &**key).collect();
    for key in keys {
        match key.strip_prefix(PREFIX) {
            Some(name) => under_prefix(case, name),
            None => under_another(case, key),
        }
    }
    for (deprecated, since, successor) in DEPRECATED {
        if case.read(deprecated).is_some() && case.settings.at_least(*since) {
            case.tell(Rule::Deprecated, deprecated, format!("{deprecated} is deprecated: {successor} took its place."));
        }
    }
    if case.annotations.text(name::TYPE) == Some("nlb-ip") && case.settings.at_least(Version::new(2, 2, 0)) {
        let message = "aws-load-balancer-type nlb-ip is the old form of external with aws-load-balancer-nlb-target-type ip.";
        case.tell(Rule::Deprecated, name::TYPE, message);
    }
}

/// Only what looks like an annotation and is none: what another controller reads is his to say.
pub(super) fn misspelt(case: &mut Case<'_>) {
    let keys: Vec<&str> = case.service.annotations.keys().filter_map(|key| key.strip_prefix(PREFIX)).collect();
    for text in keys {
        if find(text).is_none() && !CLASSIC_ONLY.contains(&text) && !OF_PODS.contains(&text) {
            unlisted(case, text);
        }
    }
    case.problems.retain(|problem| problem.rule != Rule::Unknown);
}

fn under_prefix(case: &mut Case<'_>, text: &str) {
    if let Some((annotation, suffix)) = find(text) {
        if annotation.suffix == Suffix::Listener && suffix.is_none_or(str::is_empty) {
            return unlisted(case, text);
        }
        if let Some(running) = case.settings.version().filter(|running| *running < annotation.since) {
            let message = format!("{text} is read since {}, and the controller runs {running}.", annotation.since);
            case.tell(Rule::NotReadYet, text, message);
        }
        return;
    }
    if CLASSIC_ONLY.contains(&text) {
        let message = format!("{text} is for Classic Load Balancers of the in-tree provider: it does nothing for an NLB.");
        return case.tell(Rule::Misplaced, text, message);
    }
    if OF_PODS.contains(&text) {
        return case.tell(Rule::Misplaced, text, format!("{text} is for Pods: nobody reads it on a Service."));
    }
    unlisted(case, text);
}

/// A name that nobody reads. Those of other clouds have the same prefix and are left alone.
fn unlisted(case: &mut Case<'_>, text: &str) {
    let base = text.split_once('.').map_or(text, |(base, _)| base);
    if ANNOTATIONS.iter().any(|known| known.name == base && known.suffix == Suffix::Listener) {
        let message = format!("{} is read only with a listener at its end, as in {base}.TCP-80.", quoted(text));
        return case.tell(Rule::Misspelt, text, message);
    }
    // Oracle's `oci-load-balancer-internal` is but three letters away.
    if base.split_once('-').is_some_and(|(cloud, rest)| rest.starts_with("load") && !is_aws(cloud)) {
        return;
    }
    let known = || ANNOTATIONS.iter().map(|annotation| annotation.name).chain(CLASSIC_ONLY.iter().copied());
    let short = known().find(|name| name.strip_prefix(MARK) == Some(base));
    match short.or_else(|| nearest(base, known())).or_else(|| only_ending(base)) {
        Some(meant) => {
            let message = format!("No controller reads {}; {PREFIX}{meant} is probably meant.", quoted(text));
            case.tell(Rule::Misspelt, text, message);
        }
        None if text.starts_with(MARK) => {
            let message = format!("The controller reads no annotation {} as far as is known (up to v3.5.0).", quoted(text));
            case.tell(Rule::Unknown, text, message);
        }
        None => {}
    }
}

/// Whether what stands before `-load-balancer` is `aws`, or that with one slip.
fn is_aws(cloud: &str) -> bool {
    distance(&cloud.to_lowercase(), "aws", 1).is_some()
}

/// The one known name that ends with all of this but the mark: `target-type` of `nlb-target-type`.
fn only_ending(base: &str) -> Option<&'static str> {
    let short = base.strip_prefix(MARK).filter(|short| short.contains('-'))?;
    let ending = |name: &str| name.strip_suffix(short).is_some_and(|rest| rest.starts_with(MARK) && rest.ends_with('-'));
    let mut found = ANNOTATIONS.iter().map(|annotation| annotation.name).filter(|name| ending(name));
    found.next().filter(|_| found.next().is_none())
}

fn under_another(case: &mut Case<'_>, key: &str) {
    let mut tell = |rule, message| case.problems.push(Problem { rule, field: Field::Annotation(key.to_owned()), message });
    if let Some(rest) = key.strip_prefix(INGRESS_PREFIX) {
        let of_backend = OF_INGRESS_BACKENDS.iter().any(|known| rest.starts_with(known));
        if !of_backend && !rest.starts_with("actions.") && !rest.starts_with("conditions.") {
            tell(Rule::Misplaced, format!("{} is for an Ingress: nobody reads it on a Service.", quoted(key)));
        }
        return;
    }
    let text = key.rsplit_once('/').map_or(key, |(_, text)| text);
    if !text.starts_with("aws-load") {
        return;
    }
    let known = || ANNOTATIONS.iter().map(|annotation| annotation.name);
    let base = text.split_once('.').map_or(text, |(base, _)| base);
    if let Some(meant) = find(text).map(|(annotation, _)| annotation.name).or_else(|| nearest(base, known())) {
        tell(Rule::Misspelt, format!("No controller reads {}; {PREFIX}{meant} is probably meant.", quoted(key)));
    }
}
