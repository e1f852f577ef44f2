//! Which metrics are there? The table of all families, from the descriptions that the exposition is made of.

use std::fmt::Write as _;

use crate::checks;
use crate::checks::model::{FamilyKind, PREFIX};
use crate::expose::own::{ALWAYS, OwnFamily, OwnKind, WORK};
use crate::expose::process;
use crate::expose::render::ABOUT_THE_PICTURE;

/// How the table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableFormat {
    /// For people and for the documentation.
    Markdown,
    /// For programs: an array of objects.
    Json,
}

/// One row.
#[derive(Debug, serde::Serialize)]
struct Row {
    name: String,
    kind: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
}

/// Every family in the order of exposition, under the name that queries use.
pub fn metrics_table(format: TableFormat) -> String {
    let rows = rows();
    match format {
        TableFormat::Json => serde_json::to_string_pretty(&rows).expect("rows of text are JSON") + "\n",
        TableFormat::Markdown => {
            let mut table = "| metric | kind | labels | what it says |\n|---|---|---|---|\n".to_owned();
            for Row { name, kind, labels, help } in rows {
                let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
                let (labels, help) = (labels.join(", "), help.replace('|', "\\|"));
                writeln!(table, "| `{name}` | {kind} | {labels} | {help} |").expect("writing to a String cannot fail");
            }
            table
        }
    }
}

fn rows() -> Vec<Row> {
    let observed = ABOUT_THE_PICTURE.iter().copied().chain(checks::families()).map(|family| Row {
        name: format!("{PREFIX}{}", family.name),
        kind: match family.kind {
            FamilyKind::Gauge => "gauge",
            FamilyKind::Info => "info",
            FamilyKind::StateSet => "state set",
        },
        labels: family.labels,
        help: family.help,
    });
    let own = ALWAYS.iter().chain(WORK).map(|family| own_row(family, PREFIX));
    let process = process::FAMILIES.iter().map(|family| own_row(family, ""));
    observed.chain(own).chain(process).collect()
}

fn own_row(family: &'static OwnFamily, prefix: &str) -> Row {
    let kind = match family.kind {
        OwnKind::Counter => "counter",
        OwnKind::Gauge => "gauge",
        OwnKind::Info => "info",
        OwnKind::Histogram => "histogram",
    };
    Row { name: format!("{prefix}{}", family.name), kind, labels: family.labels, help: family.help }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_say_their_kind() {
        let rows = rows();
        let names: BTreeSet<_> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names.len(), rows.len());
        for Row { name, kind, labels, help } in &rows {
            assert_eq!(name.ends_with("_total"), *kind == "counter", "{name}");
            assert_eq!(name.ends_with("_info"), *kind == "info", "{name}");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{name}");
            assert!(
                labels.iter().all(|label| *label != "le" && label.chars().all(|c| c.is_ascii_lowercase() || c == '_')),
                "{name}"
            );
            assert!(help.ends_with('.') && !help.contains(['\\', '"', '\n']), "{name}: {help}");
        }
    }

    #[test]
    fn the_table_is_written_for_people_and_for_programs() {
        let table = metrics_table(TableFormat::Markdown);
        assert!(
            table.contains("| `eks_nlb_aws_api_requests_total` | counter | `api_service`, `operation` | Attempts "),
            "{table}"
        );
        let json: serde_json::Value = serde_json::from_str(&metrics_table(TableFormat::Json)).unwrap();
        assert_eq!(json.as_array().unwrap().len(), table.lines().count() - 2);
        assert!(json.as_array().unwrap().iter().any(|row| row["name"] == "process_open_fds"));
    }
}
