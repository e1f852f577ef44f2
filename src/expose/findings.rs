//! Which findings are there? The catalogue as a page for people and as data for programs, from the entries that checks use.

use std::fmt::Write as _;

use super::table::TableFormat;
use crate::checks::catalogue;
use crate::checks::model::{FindingKind, Severity};
use crate::checks::{CHECKS, Check};

/// One entry.
#[derive(Debug, serde::Serialize)]
struct Row {
    code: &'static str,
    severity: Severity,
    title: &'static str,
    action: &'static str,
    check: Option<&'static str>,
    sources: &'static [&'static str],
    page: String,
}

/// Every finding by its code.
pub fn findings_page(format: TableFormat) -> String {
    let rows = catalogue::ALL.iter().map(|kind| row(kind));
    match format {
        TableFormat::Json => serde_json::to_string_pretty(&rows.collect::<Vec<_>>()).expect("rows of text are JSON") + "\n",
        TableFormat::Markdown => {
            let sections: Vec<String> = rows.map(|row| section(&row)).collect();
            sections.join("\n")
        }
    }
}

fn row(kind: &'static FindingKind) -> Row {
    let check: Option<&&Check> = CHECKS.iter().find(|check| check.findings.iter().any(|made| std::ptr::eq(*made, kind)));
    Row {
        code: kind.code,
        severity: kind.severity,
        title: kind.title,
        action: kind.action,
        check: check.map(|check| check.name),
        sources: check.map_or(&[], |check| check.sources),
        page: kind.page(),
    }
}

/// A heading that is only the code, so that a link to it outlives every change of wording.
fn section(row: &Row) -> String {
    let Row { code, severity, title, action, check, sources, .. } = row;
    let mut text = format!("## {code}\n\n**{title}** Severity: {}.\n\n{action}\n", severity.as_str());
    if let Some(check) = check {
        write!(text, "\nMade by the check `{check}`").expect("writing to a String cannot fail");
        if !sources.is_empty() {
            let named: Vec<_> = sources.iter().map(|source| format!("`{source}`")).collect();
            write!(text, "; without the sources {} it is unknown, not absent", named.join(", "))
                .expect("writing to a String cannot fail");
        }
        text.push_str(".\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_a_heading_for_each_code_in_order() {
        let page = findings_page(TableFormat::Markdown);
        let headings: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        let codes: Vec<&str> = catalogue::ALL.iter().map(|kind| kind.code).collect();
        assert_eq!(headings, codes);
        for kind in catalogue::ALL {
            assert!(page.contains(kind.title) && page.contains(kind.action), "{}", kind.code);
        }
    }

    #[test]
    fn every_finding_names_its_check_and_its_page() {
        let rows: serde_json::Value = serde_json::from_str(&findings_page(TableFormat::Json)).unwrap();
        for row in rows.as_array().unwrap() {
            assert!(row["check"].is_string(), "{row}");
            let anchor = row["code"].as_str().unwrap().to_lowercase();
            assert_eq!(row["page"], format!("docs/findings.md#{anchor}"));
        }
    }
}
