//! What is the same on every page? Landmarks, navigation, tables and the words for times and unknown values.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::query::{Asked, Segment, Window};
use crate::inventory::ids::ObjectName;
use crate::version;

/// What all pages of one answer share.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// How many folders deep the page is: links are relative, so that the pages work behind any path.
    pub(crate) depth: usize,
    /// The cluster, where it is known, and its Region.
    pub(crate) place: Option<String>,
    /// Where the metrics are.
    pub(crate) telemetry_path: String,
    /// When the picture was judged; `None` while there is none.
    pub(crate) judged_at: Option<Timestamp>,
    /// When the page was asked for.
    pub(crate) now: Timestamp,
    /// What the URL asks for.
    pub(crate) asked: Asked,
    /// Services that have a page.
    pub(crate) services: BTreeSet<ObjectName>,
}

/// Where in the navigation a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is the overview.
    Overview,
    /// It is a list, or belongs to one.
    In(List),
    /// Nowhere.
    Nowhere,
}

/// A list that has a page of its own, in the order of the overview.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum List {
    Findings,
    Services,
    Subnets,
    SecurityGroups,
    Quotas,
    Drift,
    Orphans,
    Muted,
    Sources,
}

impl List {
    /// All of them.
    pub(crate) const ALL: [Self; 9] = [
        Self::Findings,
        Self::Services,
        Self::Subnets,
        Self::SecurityGroups,
        Self::Quotas,
        Self::Drift,
        Self::Orphans,
        Self::Muted,
        Self::Sources,
    ];

    /// Where its page is, from the root without the slash.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Findings => "findings",
            Self::Services => "services",
            Self::Subnets => "subnets",
            Self::SecurityGroups => "security-groups",
            Self::Quotas => "quotas",
            Self::Drift => "drift",
            Self::Orphans => "orphans",
            Self::Muted => "muted",
            Self::Sources => "sources",
        }
    }

    /// Whether what it lists is in namespaces.
    pub(crate) fn is_namespaced(self) -> bool {
        match self {
            Self::Findings | Self::Services | Self::Drift | Self::Orphans | Self::Muted => true,
            Self::Subnets | Self::SecurityGroups | Self::Quotas | Self::Sources => false,
        }
    }

    /// Its name for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Findings => "Findings",
            Self::Services => "Services",
            Self::Subnets => "Subnets",
            Self::SecurityGroups => "Security groups",
            Self::Quotas => "Quotas",
            Self::Drift => "Drift",
            Self::Orphans => "Orphans",
            Self::Muted => "Muted",
            Self::Sources => "Sources",
        }
    }
}

impl Frame {
    /// A link to a path of this server, written from its root without the slash.
    pub(crate) fn link(&self, path: impl std::fmt::Display) -> String {
        match self.depth {
            0 => format!("./{path}"),
            depth => format!("{}{path}", "../".repeat(depth)),
        }
    }

    /// The same with what is left out here: who goes from one list to another keeps the filters.
    pub(crate) fn kept(&self, path: &str) -> String {
        format!("{}{}", self.link(path), self.asked.link(1))
    }

    /// A Service by its name, linked where it has a page: tags name Services that have gone, too.
    pub(crate) fn service(&self, namespace: &str, name: &str) -> Markup {
        let said = html! { (namespace) "/" wbr; (name) };
        if !self.services.contains(&ObjectName::new(namespace, name)) {
            return said;
        }
        let page = self.link(format_args!("services/{}/{}", Segment(namespace), Segment(name)));
        html! { a href=(page) { (said) } }
    }

    /// A moment as its age, with the time itself beside it.
    pub(crate) fn moment(&self, at: Timestamp) -> Markup {
        html! { time datetime=(seconds(at)) { (age(self.now, at)) " " small class="quiet nowrap" { (clock(at, self.now)) } } }
    }

    /// For how long something is so. What is older than the first look is so for at least as long as it was looked at.
    pub(crate) fn since(&self, since: Option<Timestamp>, seen_since: Option<Timestamp>) -> Markup {
        let Some((at, lasted)) = since.or(seen_since).zip(lasted(self.now, since, seen_since)) else {
            return html! { "since: unknown" };
        };
        let when = if since.is_some() { "since" } else { "seen since" };
        html! { time datetime=(seconds(at)) { (lasted) " " small class="quiet" { (when) " " (clock(at, self.now)) } } }
    }

    /// The whole page.
    pub(crate) fn page(&self, title: &str, here: Place, main: Markup) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (title) " · eks-nlb-exporter" }
                    link rel="icon" href=(self.link("icon.svg")) type="image/svg+xml";
                    link rel="stylesheet" href=(self.link("style.css"));
                }
                body {
                    a class="skip" href="#main" { "Skip to the content" }
                    header class="top" {
                        a class="brand" href=(self.link("")) { "eks-nlb-exporter" }
                        span class="where" { @if let Some(place) = &self.place { (place) } @else { "the cluster is not known yet" } }
                        nav class="sections" aria-label="Pages" {
                            ul {
                                li { a href=(self.kept("")) aria-current=[(here == Place::Overview).then_some("page")] { "Overview" } }
                                @for list in List::ALL {
                                    li { a href=(self.kept(list.path())) aria-current=[(here == Place::In(list)).then_some("page")] { (list.name()) } }
                                }
                            }
                        }
                    }
                    main id="main" tabindex="-1" { (main) }
                    footer class="foot" {
                        @if let Some(at) = self.judged_at {
                            p { "The picture of " time datetime=(seconds(at)) { (seconds(at)) } ". Looking at this page asks neither AWS nor Kubernetes anything." }
                        }
                        p {
                            a href=(self.link(self.telemetry_path.trim_start_matches('/'))) { "Metrics" } " · "
                            a href=(self.link("api/v1/findings")) { "Findings as JSON" } " · "
                            a href=(self.link("-/ready")) { "Readiness" } " · "
                            "version " (version::VERSION) ", revision " (version::REVISION)
                        }
                    }
                }
            }
        };
        page.into_string()
    }

    /// The links from page to page of a list.
    pub(crate) fn paging(&self, path: &str, window: &Window) -> Markup {
        let to = |page: usize| format!("{}{}", self.link(path), self.asked.link(page));
        let (first, last) = window.span();
        html! {
            @if window.pages > 1 {
                nav class="pages" aria-label="Pages of this list" {
                    span { (first) "–" (last) " of " (window.total) }
                    @if window.page > 1 { a rel="prev" href=(to(window.page - 1)) { "Previous page" } }
                    span { "Page " (window.page) " of " (window.pages) }
                    @if window.page < window.pages { a rel="next" href=(to(window.page + 1)) { "Next page" } }
                }
            }
        }
    }
}

/// A section with its heading, an id to link to, and what stands beside the heading.
pub(crate) fn section(id: &str, heading: &str, more: Markup, content: Markup) -> Markup {
    let label = format!("{id}-heading");
    html! {
        section id=(id) aria-labelledby=(label) {
            div class="head" { h2 id=(label) { (heading) } (more) }
            (content)
        }
    }
}

/// A table that scrolls by itself where it is too wide, and can be reached with the keyboard for that. A column whose name begins
/// with `#` is one of numbers.
pub(crate) fn table(id: &str, caption: &str, columns: &[&str], rows: Markup) -> Markup {
    let label = format!("{id}-caption");
    html! {
        div class="card scroll" role="region" aria-labelledby=(label) tabindex="0" {
            table {
                caption id=(label) { (caption) }
                thead {
                    tr {
                        @for column in columns {
                            @match column.strip_prefix('#') {
                                Some(column) => th scope="col" class="number" { (column) },
                                None => th scope="col" { (column) },
                            }
                        }
                    }
                }
                tbody { (rows) }
            }
        }
    }
}

/// Instead of a list that is empty.
pub(crate) fn none(sentence: &str) -> Markup {
    html! { div class="card" { p class="none" { (sentence) } } }
}

/// A value that is not known is said to be so: it is not zero.
pub(crate) fn unknown() -> Markup {
    PreEscaped("<span class=\"quiet\">unknown</span>".to_owned())
}

/// `n thing`, `n things`.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

/// To the second: nobody reads nanoseconds.
pub(crate) fn seconds(at: Timestamp) -> String {
    format!("{at:.0}")
}

/// The time of day, with the day where it is not today's.
fn clock(at: Timestamp, now: Timestamp) -> String {
    let text = seconds(at);
    let (day, rest) = text.split_once('T').unwrap_or(("", &text));
    let time = rest.trim_end_matches('Z');
    if seconds(now).starts_with(day) { format!("{time} UTC") } else { format!("{day} {time} UTC") }
}

/// How long ago, in the largest unit that says something.
pub(crate) fn age(now: Timestamp, at: Timestamp) -> String {
    let ago = now.duration_since(at);
    if ago < SignedDuration::ZERO {
        return format!("in {}", length(-ago));
    }
    if ago < SignedDuration::from_secs(1) { "just now".to_owned() } else { format!("{} ago", length(ago)) }
}

/// For how long something is so, in words; nothing where nobody knows.
pub(crate) fn lasted(now: Timestamp, since: Option<Timestamp>, seen_since: Option<Timestamp>) -> Option<String> {
    let ago = |at| length(now.duration_since(at).max(SignedDuration::ZERO));
    since.map(|at| format!("for {}", ago(at))).or_else(|| seen_since.map(|at| format!("for at least {}", ago(at))))
}

/// A length of time in one unit, or two where the first is small.
pub(crate) fn length(time: SignedDuration) -> String {
    let seconds = time.as_secs();
    match seconds {
        ..60 => format!("{seconds} s"),
        60..600 if seconds % 60 != 0 => format!("{} min {} s", seconds / 60, seconds % 60),
        60..3600 => format!("{} min", seconds / 60),
        3600..86400 if seconds % 3600 >= 60 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        3600..86400 => format!("{} h", seconds / 3600),
        _ => count(usize::try_from(seconds / 86400).unwrap_or(0), "day", "days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn ages_are_said_in_units_that_people_use() {
        for (seconds, said) in [
            (0, "just now"),
            (45, "45 s ago"),
            (60, "1 min ago"),
            (125, "2 min 5 s ago"),
            (900, "15 min ago"),
            (3600, "1 h ago"),
            (5400, "1 h 30 min ago"),
            (86_400, "1 day ago"),
            (400_000, "4 days ago"),
            (-30, "in 30 s"),
        ] {
            assert_eq!(age(at(1_000_000), at(1_000_000 - seconds)), said);
        }
    }

    #[test]
    fn the_day_is_said_where_it_is_another() {
        let noon = at(1_764_072_000);
        assert_eq!(clock(at(1_764_071_999), noon), "11:59:59 UTC");
        assert_eq!(clock(at(1_764_072_000 - 86_400), noon), "2025-11-24 12:00:00 UTC");
    }

    #[test]
    fn links_lead_to_the_root_from_any_depth() {
        let mut frame = Frame {
            depth: 0,
            place: None,
            telemetry_path: "/metrics".to_owned(),
            judged_at: None,
            now: at(0),
            asked: Asked::default(),
            services: BTreeSet::new(),
        };
        assert_eq!((frame.link(""), frame.link("services")), ("./".to_owned(), "./services".to_owned()));
        frame.depth = 2;
        assert_eq!((frame.link(""), frame.link("style.css")), ("../../".to_owned(), "../../style.css".to_owned()));
    }
}
