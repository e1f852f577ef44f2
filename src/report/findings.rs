//! How are findings printed: as a table for a person, as JSON for programs, as Markdown for a pull request?

use std::fmt::Write;

use jiff::Timestamp;
use serde::Serialize;

use super::text::{markdown, plain, table};
use super::verdict::{Gap, Verdict};
use crate::checks::model::{Finding, Severity};
use crate::expose::view::findings::SubjectView;
use crate::inventory::parts::Scope;

/// What the screen can show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Screen {
    /// Its width in columns; `None` where the output goes elsewhere.
    pub width: Option<u16>,
    /// Whether it shows colours.
    pub colour: bool,
}

/// As a table. Each finding is a row, its remedy a row below.
pub fn as_table(verdict: &Verdict, scope: &Scope, screen: Screen) -> String {
    let mut text = String::new();
    if !verdict.findings.is_empty() {
        let mut table = table(screen.width);
        table.set_header(["SEVERITY", "CODE", "SUBJECT", "WHAT"]);
        for Finding { kind, subject, message, since, .. } in &verdict.findings {
            let since = since.map(|since| format!(" (since {since:.0})")).unwrap_or_default();
            let what = format!("{}{since}", plain(message));
            table.add_row([kind.severity.as_str(), kind.code, &plain(&subject.to_string()), &what]);
            if screen.width.is_some() {
                table.add_row(["", "", "", &format!("→ {}", kind.action)]);
            }
        }
        for line in table.to_string().lines() {
            let _ = writeln!(text, "{}", coloured(line.trim_end(), screen.colour));
        }
        text.push('\n');
    }
    let _ = writeln!(text, "{}", plain(&summary(verdict, scope)));
    text
}

/// A line with its severity, the first word, in colour. After the layout, which counts letters.
fn coloured(line: &str, colour: bool) -> String {
    let severity = [(Severity::Critical, "\u{1b}[1;31m"), (Severity::Warning, "\u{1b}[33m"), (Severity::Info, "\u{1b}[36m")];
    let trimmed = line.trim_start();
    let found = severity.iter().find(|(severity, _)| trimmed.split(' ').next() == Some(severity.as_str()));
    match found.filter(|_| colour && line.len() - trimmed.len() <= 1) {
        Some((severity, code)) => line.replacen(severity.as_str(), &format!("{code}{}\u{1b}[0m", severity.as_str()), 1),
        None => line.to_owned(),
    }
}

/// One sentence: of which cluster, when, and how many of what.
fn summary(verdict: &Verdict, scope: &Scope) -> String {
    let cluster = scope.cluster_name.as_deref().unwrap_or("(unknown)");
    let count = |severity| verdict.findings.iter().filter(|finding| finding.kind.severity == severity).count();
    let counts = [Severity::Critical, Severity::Warning, Severity::Info].map(|severity| (count(severity), severity));
    let mut found: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, severity)| format!("{count} {}", severity.as_str())).collect();
    if found.is_empty() {
        found.push("nothing found".to_owned());
    }
    if verdict.ignored_findings() > 0 {
        found.push(format!("{} ignored", verdict.ignored_findings()));
    }
    if !verdict.gaps.is_empty() {
        found.push(format!("{} things could not be known", verdict.gaps.len()));
    }
    format!("Cluster {cluster} at {:.0}: {}.", verdict.at, found.join(", "))
}

/// As Markdown.
pub fn as_markdown(verdict: &Verdict, scope: &Scope) -> String {
    let mut text = format!("**{}**\n", markdown(&summary(verdict, scope)));
    if !verdict.findings.is_empty() {
        text.push_str("\n| severity | code | subject | what | what to do |\n|---|---|---|---|---|\n");
        for Finding { kind, subject, message, .. } in &verdict.findings {
            let subject = markdown(&subject.to_string());
            let _ = writeln!(
                text,
                "| {} | {} | {subject} | {} | {} |",
                kind.severity.as_str(),
                kind.code,
                markdown(message),
                markdown(kind.action)
            );
        }
    }
    let notes = verdict.notes();
    if !notes.is_empty() {
        text.push('\n');
        notes.iter().for_each(|note| _ = writeln!(text, "- {}", markdown(note)));
    }
    text
}

/// A report as JSON. Fields are only ever added.
#[derive(Debug, Serialize)]
struct View<'a> {
    evaluated_at: Timestamp,
    scope: &'a Scope,
    exit_code: u8,
    findings: Vec<Entry<'a>>,
    ignored: Vec<Ignored<'a>>,
    expired: &'a [super::ignore::Ignore],
    unknown: &'a [Gap],
    edits_judged: bool,
}

#[derive(Debug, Serialize)]
struct Entry<'a> {
    code: &'static str,
    severity: Severity,
    title: &'static str,
    subject: SubjectView,
    message: &'a str,
    action: &'static str,
    since: Option<Timestamp>,
    documentation: String,
}

impl<'a> Entry<'a> {
    /// With all words: who runs a command reads what his own credentials were told.
    fn of(Finding { kind, subject, message, since, .. }: &'a Finding) -> Self {
        Self {
            code: kind.code,
            severity: kind.severity,
            title: kind.title,
            subject: SubjectView::of(subject),
            message,
            action: kind.action,
            since: *since,
            documentation: kind.page(),
        }
    }
}

#[derive(Debug, Serialize)]
struct Ignored<'a> {
    #[serde(flatten)]
    ignore: &'a super::ignore::Ignore,
    findings: usize,
}

/// As JSON.
pub fn as_json(verdict: &Verdict, scope: &Scope, fail_on: Severity) -> String {
    let view = View {
        evaluated_at: verdict.at,
        scope,
        exit_code: verdict.exit_code(fail_on),
        findings: verdict.findings.iter().map(Entry::of).collect(),
        ignored: verdict.ignored.iter().map(|(ignore, findings)| Ignored { ignore, findings: *findings }).collect(),
        expired: &verdict.expired,
        unknown: &verdict.gaps,
        edits_judged: verdict.edits_judged,
    };
    let mut text = serde_json::to_string_pretty(&view).expect("a tree of texts and numbers is JSON");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::catalogue::{DARK_ZONE, LINT_STYLE};
    use crate::checks::model::{Outcome, Subject};
    use crate::inventory::ids::ObjectName;
    use crate::inventory::parts::Parts;
    use crate::inventory::readiness::Pending;

    fn verdict() -> Verdict {
        let finding = |kind, message: &str| Finding {
            kind,
            subject: Subject::Service(ObjectName::new("shop", "web")),
            message: message.to_owned(),
            since: None,
            seen_since: None,
        };
        let findings = vec![finding(&DARK_ZONE, "Zone a|b is dark.\u{1b}[2J"), finding(&LINT_STYLE, "It says \"TRUE\".")];
        let outcome =
            Outcome { evaluated_at: Timestamp::UNIX_EPOCH, families: Vec::new(), findings, muted: Vec::new(), runs: Vec::new() };
        Verdict::of(&outcome, &Parts::default(), &Pending::default(), Vec::new(), Timestamp::UNIX_EPOCH)
    }

    fn scope() -> Scope {
        Scope { cluster_name: Some("prod".into()), ..Scope::default() }
    }

    #[test]
    fn a_table_that_nobody_looks_at_has_one_line_a_finding_and_no_colour() {
        let text = as_table(&verdict(), &scope(), Screen::default());
        assert_eq!(text.lines().filter(|line| line.contains("NLB")).count(), 2);
        assert!(
            text.lines().any(|line| line.contains("critical") && line.contains("NLB103") && line.contains("Service shop/web")),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'), "{text:?}");
        assert!(text.ends_with("Cluster prod at 1970-01-01T00:00:00Z: 1 critical, 1 info.\n"), "{text}");
    }

    #[test]
    fn a_screen_gets_colour_its_width_and_what_to_do() {
        let text = as_table(&verdict(), &scope(), Screen { width: Some(80), colour: true });
        assert!(text.contains("\u{1b}[1;31mcritical\u{1b}[0m") && text.contains("→"), "{text}");
        assert_eq!(text.matches('\u{1b}').count(), 4, "only our own: {text:?}");
        let plain = text.replace("\u{1b}[1;31m", "").replace("\u{1b}[36m", "").replace("\u{1b}[0m", "");
        assert!(plain.lines().all(|line| line.chars().count() <= 80), "{plain}");
    }

    #[test]
    fn markdown_and_json_say_the_same() {
        let text = as_markdown(&verdict(), &scope());
        assert!(text.contains("| critical | NLB103 | Service shop/web | Zone a\\|b is dark."), "{text}");
        let json: serde_json::Value = serde_json::from_str(&as_json(&verdict(), &scope(), Severity::Warning)).unwrap();
        assert_eq!(json["exit_code"], 1);
        assert_eq!(json["findings"][0]["code"], "NLB103");
        assert_eq!(json["findings"][0]["subject"]["name"], "shop/web");
        assert_eq!(json["findings"][0]["documentation"], "docs/findings.md#nlb103");
        assert_eq!(json["findings"][1]["message"], "It says \"TRUE\".");
    }

    #[test]
    fn nothing_found_is_said() {
        let mut clean = verdict();
        clean.findings.clear();
        assert_eq!(as_table(&clean, &scope(), Screen::default()), "Cluster prod at 1970-01-01T00:00:00Z: nothing found.\n");
    }
}
