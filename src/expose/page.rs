//! What does a person see? The status page: an overview, a page for each list, and one for each Service, subnet and security group.
//!
//! Rendered whole by the server for each request, from the views of the latest picture: no script, nothing from elsewhere, and no
//! call to AWS or Kubernetes. All text of strangers is escaped by maud; links are made of escaped segments only.

mod bars;
mod drift;
mod facts;
mod findings;
mod headline;
mod layout;
mod network;
mod numbers;
mod orphans;
mod query;
mod quotas;
mod sections;
mod security_groups;
mod service;
mod services;
mod sources;
mod subnets;
mod verdict;

use std::collections::BTreeSet;

use jiff::Timestamp;
use maud::{Markup, html};

use crate::checks::Judged;
use crate::checks::model::Severity;
use crate::expose::readiness::State;
use crate::expose::view::Families;
use crate::expose::view::findings::FindingsView;
use crate::expose::view::headroom::HeadroomView;
use crate::expose::view::query::Query;
use crate::expose::view::scope::ScopeView;
use crate::expose::view::security_groups::SecurityGroupView;
use crate::expose::view::services::ServiceView;
use crate::expose::view::sources::SourcesView;
use crate::expose::view::subnets::SubnetView;
use crate::expose::view::verdict::VerdictView;
use crate::inventory::ids::ObjectName;
use facts::Facts;
pub(crate) use layout::List;
use layout::{Frame, Place};
pub(crate) use query::{Asked, NoSuchPage};
use sections::{Extent, Material};

/// Nothing but this server's own style sheet and icon: findings hold text that strangers may have written.
pub(crate) const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The style sheet.
pub(crate) const STYLE: &str = include_str!("page/style.css");

/// The icon.
pub(crate) const ICON: &str = include_str!("page/icon.svg");

/// What a page is made from.
#[derive(Debug)]
pub(crate) struct Request {
    /// The latest picture; `None` before the first one.
    pub(crate) judged: Option<Judged>,
    /// How the daemon stands.
    pub(crate) state: State,
    /// How the sources are doing.
    pub(crate) sources: SourcesView,
    /// Where the metrics are.
    pub(crate) telemetry_path: String,
    /// When the page was asked for.
    pub(crate) now: Timestamp,
    /// What the URL asks for.
    pub(crate) asked: Asked,
}

/// How many namespaces the filter offers as a list; with more they are typed.
const MOST_NAMESPACES: usize = 50;

impl Request {
    fn frame(&self, depth: usize) -> Frame {
        let scope = self.judged.as_ref().map(ScopeView::of);
        let place = scope.and_then(|scope| {
            let parts: Vec<_> = [scope.cluster_name, scope.region, scope.account_id].into_iter().flatten().collect();
            (!parts.is_empty()).then(|| parts.join(" · "))
        });
        Frame {
            depth,
            place,
            telemetry_path: self.telemetry_path.clone(),
            judged_at: self.judged.as_ref().map(|judged| judged.outcome.evaluated_at),
            now: self.now,
            asked: self.asked.clone(),
            services: self.judged.as_ref().map(having_a_page).unwrap_or_default(),
        }
    }

    /// Findings that fit what was asked for.
    fn findings(&self, judged: &Judged) -> FindingsView {
        FindingsView::of(judged, VerdictView::of(judged, &self.state), &self.asked.filter)
    }

    /// `/`
    pub(crate) fn overview(&self) -> String {
        let frame = self.frame(0);
        let Some(judged) = &self.judged else { return self.nothing_yet(0) };
        let found = self.findings(judged);
        let all = self.asked.filters().then(|| FindingsView::of(judged, found.verdict.clone(), &Query::default()));
        let all = all.as_ref().unwrap_or(&found);
        let families = Families::of(&judged.outcome);
        let headroom = HeadroomView::of(judged);
        let facts = Facts::of(judged, all, &self.sources.sources, &headroom, self.now);
        let material = Material { judged, findings: &found, sources: &self.sources };
        let section = |list| sections::make(&frame, list, &material, Extent::Short).expect("the first rows are always there");
        let main = html! {
            (verdict::verdict(&frame, &facts))
            (filter(&frame, &families))
            (sections::filter_note(&frame, &all.findings, &found))
            @for list in List::ALL { (section(list)) }
        };
        frame.page("Overview", Place::Overview, main)
    }

    /// A page of a list, such as `/services?page=2`.
    pub(crate) fn list(&self, list: List) -> Result<String, NoSuchPage> {
        let frame = self.frame(0);
        let extent = Extent::Page(self.asked.page.unwrap_or(1));
        let Some(judged) = &self.judged else {
            return match list {
                List::Sources => {
                    Ok(frame.page(list.name(), Place::In(list), titled(list, sections::sources(&frame, &self.sources, extent)?)))
                }
                _ => Ok(self.nothing_yet(0)),
            };
        };
        let found = self.findings(judged);
        let material = Material { judged, findings: &found, sources: &self.sources };
        let content = sections::make(&frame, list, &material, extent)?;
        let families = Families::of(&judged.outcome);
        let main = html! {
            (titled(list, html! {
                (filter(&frame, &families))
                @if let Some(said) = frame.asked.said() {
                    p class="note" {
                        "Only " strong { (said) } ". "
                        @if self.asked.filter.namespace.is_some() && !list.is_namespaced() { "What is listed here belongs to no namespace. " }
                        a href="?" { "Show everything" }
                    }
                }
                @if list == List::Findings && let Some(code) = self.asked.filter.code { (about(code)) }
                (content)
            }))
        };
        Ok(frame.page(list.name(), Place::In(list), main))
    }

    /// `/services/{namespace}/{name}`; `None` where there is no such Service.
    pub(crate) fn service(&self, namespace: &str, name: &str) -> Option<String> {
        let frame = self.frame(2);
        let Some(judged) = &self.judged else { return Some(self.nothing_yet(2)) };
        let view = ServiceView::of(judged, &ObjectName::new(namespace, name))?;
        Some(frame.page(&format!("{namespace}/{name}"), Place::In(List::Services), service::page(&frame, &view)))
    }

    /// `/subnets/{id}`; `None` where there is no such subnet.
    pub(crate) fn subnet(&self, id: &str) -> Option<String> {
        let frame = self.frame(1);
        let Some(judged) = &self.judged else { return Some(self.nothing_yet(1)) };
        let view = SubnetView::of(judged, id)?;
        Some(frame.page(id, Place::In(List::Subnets), network::subnet(&frame, &view)))
    }

    /// `/security-groups/{id}`; `None` where there is no such group.
    pub(crate) fn security_group(&self, id: &str) -> Option<String> {
        let frame = self.frame(1);
        let Some(judged) = &self.judged else { return Some(self.nothing_yet(1)) };
        let view = SecurityGroupView::of(judged, id)?;
        Some(frame.page(id, Place::In(List::SecurityGroups), network::security_group(&frame, &view)))
    }

    /// A page with one sentence, `depth` folders deep.
    pub(crate) fn problem(&self, depth: usize, title: &str, sentence: &str) -> String {
        let frame = self.frame(depth);
        let main = html! {
            section class="verdict unknown" aria-labelledby="verdict" {
                h1 id="verdict" { (title) }
                p { (sentence) }
                p { a href=(frame.link("")) { "To the overview" } }
            }
        };
        frame.page(title, Place::Nowhere, main)
    }

    fn nothing_yet(&self, depth: usize) -> String {
        let frame = self.frame(depth);
        let waiting: Vec<String> = match &self.state {
            State::Pending(names) => names.iter().cloned().collect(),
            State::Ready | State::ShuttingDown => Vec::new(),
        };
        let sources = sections::sources(&frame, &self.sources, Extent::Short).expect("the first rows are always there");
        frame.page("Overview", Place::Overview, html! { (verdict::nothing_yet(&frame, &waiting)) (sources) })
    }
}

/// A page of a list has its name as its heading.
fn titled(list: List, content: Markup) -> Markup {
    html! { h1 { (list.name()) } (content) }
}

/// Services that a page tells of: those that ask for a load balancer, and those of the cluster that have one all the same.
fn having_a_page(judged: &Judged) -> BTreeSet<ObjectName> {
    let families = Families::of(&judged.outcome);
    let told =
        ["service_info", "service_deletion_timestamp_seconds"].into_iter().flat_map(|family| families.samples(family, &[]));
    let told = told.map(|sample| ObjectName::new(sample.labels[0].shared(), sample.labels[1].shared()));
    let services = judged.snapshot.parts.services.get();
    let exists = |name: &&ObjectName| services.is_some_and(|all| all.contains_key(*name));
    told.chain(judged.snapshot.service_load_balancers.keys().filter(exists).cloned()).collect()
}

/// The form that filters by namespace and severity; it works by URL alone.
fn filter(frame: &Frame, families: &Families<'_>) -> Markup {
    let namespaces: BTreeSet<&str> =
        families.samples("service_info", &[]).iter().map(|sample| sample.labels[0].as_str()).collect();
    let chosen = frame.asked.filter.namespace.as_deref();
    html! {
        form class="filter" method="get" role="search" aria-label="Filter" {
            div {
                label for="namespace" { "Namespace" }
                @if namespaces.len() <= MOST_NAMESPACES {
                    select id="namespace" name="namespace" {
                        option value="" { "all" }
                        @for namespace in &namespaces { option value=(namespace) selected[chosen == Some(*namespace)] { (namespace) } }
                        @if let Some(other) = chosen.filter(|chosen| !namespaces.contains(chosen)) { option value=(other) selected { (other) } }
                    }
                } @else { input id="namespace" name="namespace" value=[chosen] placeholder="all"; }
            }
            div {
                label for="severity" { "Severity" }
                select id="severity" name="severity" {
                    option value="" { "all" }
                    @for severity in [Severity::Critical, Severity::Warning, Severity::Info] {
                        option value=(severity.as_str()) selected[frame.asked.filter.severity == Some(severity)] { (severity.as_str()) }
                    }
                }
            }
            @if let Some(code) = frame.asked.filter.code { input type="hidden" name="code" value=(code); }
            button type="submit" { "Filter" }
        }
    }
}

/// What a code means, from the catalogue.
fn about(code: &str) -> Markup {
    let Some(kind) = crate::checks::catalogue::ALL.iter().find(|kind| kind.code == code) else { return html! {} };
    html! {
        section aria-labelledby="about" {
            div class="head" { h2 id="about" { (kind.code) } (findings::tag(kind.severity)) }
            div class="card" {
                dl class="about" {
                    dt { "What" } dd { (kind.title) }
                    dt { "What to do" } dd { (kind.action) }
                    dt { "Documentation" } dd { code { (kind.page()) } }
                }
            }
        }
    }
}
