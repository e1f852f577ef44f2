//! What is wrong with a Service of the in-tree provider or of EKS Auto Mode? Only what they surely read otherwise.

use super::case::Case;
use super::grammar::CLASSIC_ONLY;
use super::names;
use super::problem::{Rule, quoted};
use super::spelling::nearest;
use crate::controller::annotations::name;
use crate::controller::ownership::Ownership;

/// What EKS Auto Mode does not support (2.3). `type` is left out: it asks for what is there.
const NOT_IN_AUTO_MODE: &[&str] = &[
    name::INTERNAL,
    name::PROXY_PROTOCOL,
    name::ACCESS_LOG_ENABLED,
    name::ACCESS_LOG_BUCKET,
    name::ACCESS_LOG_PREFIX,
    name::CROSS_ZONE,
    name::SOURCE_RANGES,
];

/// What only the AWS Load Balancer Controller reads and asks for something else than the in-tree provider makes.
fn asks_in_vain(case: &Case<'_>) -> Vec<&'static str> {
    // In-tree, any text but "false" means internal (1.9).
    let internal = case.annotations.text(name::INTERNAL).is_some_and(|text| !text.is_empty() && text != "false");
    let scheme = case.annotations.text(name::SCHEME).is_some_and(|scheme| (scheme == "internal") != internal);
    let as_made = if case.owner == Ownership::InTreeNetwork { "instance" } else { "" };
    let targets = case.annotations.text(name::TARGET_TYPE).is_some_and(|text| text != as_made);
    let private = case.annotations.text(name::PRIVATE_IPV4_ADDRESSES).is_some();
    let asked = [(targets, name::TARGET_TYPE), (scheme, name::SCHEME), (private, name::PRIVATE_IPV4_ADDRESSES)];
    asked.into_iter().filter(|(asks, _)| *asks).map(|(_, text)| text).collect()
}

pub(super) fn auto_mode(case: &mut Case<'_>) {
    for text in NOT_IN_AUTO_MODE {
        if case.annotations.text(text).is_some() {
            case.tell(Rule::AutoMode, text, format!("EKS Auto Mode does not support {text}."));
        }
    }
    if let Some(text) = case.annotations.text(name::TYPE).filter(|text| !matches!(*text, "external" | "nlb" | "nlb-ip")) {
        let message = format!("EKS Auto Mode does not support {}, which is {}.", name::TYPE, quoted(text));
        case.tell(Rule::AutoMode, name::TYPE, message);
    }
}

pub(super) fn in_tree(case: &mut Case<'_>) {
    // Whose `type` is misspelt has come here by that.
    names::misspelt(case);
    const TYPES: [&str; 3] = ["external", "nlb-ip", "nlb"];
    let written = case.annotations.text(name::TYPE);
    if case.owner == Ownership::InTreeClassic
        && let Some(text) = written
        && let Some(meant) = nearest(text.trim(), TYPES)
    {
        let message = format!(
            "{} is {}, which no controller knows, so the in-tree provider makes a Classic Load Balancer; {meant} is probably meant.",
            name::TYPE,
            quoted(text)
        );
        case.tell(Rule::Misread, name::TYPE, message);
    }
    for text in asks_in_vain(case) {
        let message = format!(
            "{text} is read by the AWS Load Balancer Controller only, and the in-tree provider owns the Service, which makes \
             something else of it."
        );
        case.tell(Rule::Misplaced, text, message);
    }
    if case.owner == Ownership::InTreeNetwork {
        for text in CLASSIC_ONLY.iter().filter(|text| case.annotations.text(text).is_some()).collect::<Vec<_>>() {
            let message = format!("{text} is for Classic Load Balancers: it does nothing for an NLB.");
            case.tell(Rule::Misplaced, text, message);
        }
    }
    // In-tree, any text but "false" means internal (1.9).
    if let Some(text) = case.annotations.text(name::INTERNAL).filter(|text| *text != "false")
        && text.trim().eq_ignore_ascii_case("false")
    {
        let message = format!(
            "{} is {}, which means internal to the in-tree provider: only false, in small letters, means public.",
            name::INTERNAL,
            quoted(text)
        );
        case.tell(Rule::Misread, name::INTERNAL, message);
    }
    if let Some(text) = case.annotations.text(name::ADDITIONAL_TAGS)
        && let Some(pair) = text.split(',').find(|pair| pair.matches('=').count() > 1)
    {
        let message = format!(
            "{} has {}, and the in-tree provider loses what stands after a second equals sign.",
            name::ADDITIONAL_TAGS,
            quoted(pair)
        );
        case.tell(Rule::Misread, name::ADDITIONAL_TAGS, message);
    }
    if let Some(text) = case.annotations.text(name::EIP_ALLOCATIONS)
        && text.split(',').any(|item| item.trim() != item)
    {
        let message =
            format!("{} has blanks beside its commas, which the in-tree provider does not cut off.", name::EIP_ALLOCATIONS);
        case.tell(Rule::Misread, name::EIP_ALLOCATIONS, message);
    }
}
