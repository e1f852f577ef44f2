//! How are the keys of the configuration told to a person: as a page of the documentation, and as a file to begin with?

use std::fmt::Write as _;

use serde_json::Value;

use super::{KEEP, KEYS, Key, thresholds};

const UNWRITABLE: &str = "writing to a String cannot fail";

/// The sections, with what stands before their keys.
const SECTIONS: [(&str, &str); 5] = [
    ("", "Which cluster"),
    ("aws", "How AWS is reached, and how often"),
    ("kubernetes", "How Kubernetes is reached"),
    ("policy", "By what measure is judged"),
    ("alerting", "Whom the daemon tells of alerts by itself"),
];

fn section(key: &Key) -> &'static str {
    key.path.split_once('.').map_or("", |(first, _)| first.trim_end_matches("[]"))
}

fn of_section(name: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| section(key) == name)
}

fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        // A rate of 5.0 is said as 5.
        Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), |number| number.to_string()),
        other => other.to_string(),
    }
}

/// The page: each key, by section, and the thresholds of the alerts.
pub fn page() -> String {
    let mut page = String::new();
    for (name, title) in SECTIONS {
        let heading = if name.is_empty() { title.to_owned() } else { format!("{title}: `{name}`") };
        write!(page, "## {heading}\n\n").expect(UNWRITABLE);
        for key in of_section(name) {
            describe(&mut page, key);
        }
    }
    page.push_str(
        "## Thresholds of the alerts\n\n\
         What `alerting.thresholds` can set, with the defaults. Times are in seconds; in the file also like `10m`.\n",
    );
    write!(page, "Every alert knows `{KEEP}` besides.\n\n| alert | severity | name | default |\n|---|---|---|---|\n")
        .expect(UNWRITABLE);
    for (alert, severity, name, default) in thresholds() {
        writeln!(page, "| `{alert}` | `{severity}` | `{name}` | {default} |").expect(UNWRITABLE);
    }
    page
}

fn describe(page: &mut String, key: &Key) {
    write!(page, "### `{}`\n\n{}\n\n", key.path, key.help).expect(UNWRITABLE);
    let default = key.default().map_or_else(|| format!("none: {}", key.otherwise), |value| format!("`{}`", value_text(&value)));
    let allowed = if key.allowed.is_empty() { "any" } else { key.allowed };
    let reload = if key.is_reloaded { "by a reload" } else { "at a restart" };
    write!(page, "* Value: {}; allowed: {allowed}\n* Default: {default}\n* A change is taken up: {reload}\n", key.kind)
        .expect(UNWRITABLE);
    if !key.flag.is_empty() {
        writeln!(page, "* Flag, which wins: `{}`", key.flag).expect(UNWRITABLE);
    }
    if !key.changes.is_empty() {
        writeln!(page, "* Changes: {}", key.changes).expect(UNWRITABLE);
    }
    page.push('\n');
}

/// A file that sets nothing: each key with what it does and its default, commented out. `#:` begins a remark, `#` a key.
pub fn default_file() -> String {
    let mut file = "#: The configuration of eks-nlb-exporter. What is commented out is the default.\n".to_owned();
    let mut open: Vec<&str> = Vec::new();
    for (name, _) in SECTIONS {
        for key in of_section(name) {
            let parts: Vec<&str> = key.path.split('.').collect();
            let (last, sections) = parts.split_last().expect("a path has a part");
            let shared = open.iter().zip(sections).take_while(|(a, b)| a == b).count();
            for (depth, section) in sections.iter().enumerate().skip(shared) {
                let name = section.trim_end_matches("[]");
                // Each entry of a list is begun by the first key in it; a list is shown by one entry.
                writeln!(file, "\n# {}{name}:", indent(sections, depth)).expect(UNWRITABLE);
            }
            let is_first_of_list = shared < sections.len() && sections.last().is_some_and(|section| section.ends_with("[]"));
            open = sections.to_vec();
            let indent = indent(sections, sections.len());
            let value = key.unset().filter(|value| *value != Value::Null && *value != "");
            let value = value.map_or_else(String::new, |value| format!(" {}", value_text(&value)));
            let unset = if key.otherwise.is_empty() { String::new() } else { format!(" Else: {}.", key.otherwise) };
            writeln!(file, "#: {indent}{}{unset}", key.help).expect(UNWRITABLE);
            let dash = if is_first_of_list { "- " } else { "" };
            let indent = if is_first_of_list { &indent[..indent.len() - 2] } else { &indent };
            writeln!(file, "# {indent}{dash}{last}:{value}").expect(UNWRITABLE);
        }
    }
    file
}

/// Two spaces for each section, and two more for the dash of a list.
fn indent(sections: &[&str], depth: usize) -> String {
    let lists = sections[..depth].iter().filter(|section| section.ends_with("[]")).count();
    "  ".repeat(depth + lists)
}
