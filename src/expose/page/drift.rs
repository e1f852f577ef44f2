//! Where is AWS not as the Services say, and what stands on both sides?

use maud::{Markup, html};

use super::layout::{Frame, none, table};
use crate::checks::catalogue::{DRIFT, DRIFT_NEVER_REPAIRED};
use crate::expose::view::findings::FindingView;
use crate::expose::view::services::DriftView;

/// A Service's name, with its namespace first.
pub(crate) type Name = (String, String);

/// The Services that drift, by the findings that say so, each once.
pub(crate) fn services<'a>(findings: impl Iterator<Item = &'a FindingView>) -> Vec<Name> {
    let of_drift = |finding: &&FindingView| [DRIFT.code, DRIFT_NEVER_REPAIRED.code].contains(&finding.code);
    let mut names: Vec<Name> = findings
        .filter(of_drift)
        .filter_map(|finding| Some((finding.namespace.as_ref()?.to_string(), finding.service.as_ref()?.to_string())))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// The table, of the Services that are shown.
pub(crate) fn list(frame: &Frame, services: &[(Name, Vec<DriftView>)], nothing: &str) -> Markup {
    if services.iter().all(|(_, drift)| drift.is_empty()) {
        return none(nothing);
    }
    table(
        "drift",
        "What a Service says against what AWS has. The controller repairs some of it when it next reconciles, and the rest never.",
        &["Service", "Annotation", "Where", "Expected", "In AWS", "Repaired"],
        html! {
            @for ((namespace, name), drift) in services {
                @for one in drift {
                    tr {
                        th scope="row" { (frame.service(namespace, name)) }
                        (cells(one, namespace, name))
                    }
                }
            }
        },
    )
}

fn cells(one: &DriftView, namespace: &str, service: &str) -> Markup {
    let DriftView { annotation, repair, place, expected, actual } = one;
    let series = format!(
        "service_annotation_drift{{namespace=\"{namespace}\",service=\"{service}\",annotation=\"{annotation}\",repair=\"{repair}\"}}"
    );
    html! {
        td { span class="mono" data-holds=(series) { (annotation) } }
        td class="any" { (place) }
        td class="any" { code { (expected) } }
        td class="any" { code { (actual) } }
        td {
            @match *repair {
                "automatic" => span class="tag info" { "by the controller" },
                _ => span class="tag warning" { (repair) },
            }
        }
    }
}

/// The same of one Service, on its own page.
pub(crate) fn of_service(drift: &[DriftView], namespace: &str, service: &str) -> Markup {
    if drift.is_empty() {
        return none("AWS is as far as known as this Service says.");
    }
    table(
        "drift",
        "What the Service says against what AWS has.",
        &["Place in AWS", "Annotation", "Expected", "In AWS", "Repaired"],
        html! {
            @for one in drift {
                tr {
                    th scope="row" class="any" { (one.place) }
                    td { span class="mono" data-holds={ "service_annotation_drift{namespace=\"" (namespace) "\",service=\"" (service) "\",annotation=\"" (one.annotation) "\",repair=\"" (one.repair) "\"}" } { (one.annotation) } }
                    td class="any" { code { (one.expected) } }
                    td class="any" { code { (one.actual) } }
                    td { (one.repair) }
                }
            }
        },
    )
}
