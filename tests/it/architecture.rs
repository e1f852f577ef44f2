//! Does the pure core stay pure? An allow-list of what its files may name.

use std::fs;
use std::path::{Path, PathBuf};

/// The pure core: no async, no SDK, no HTTP, no clock, no environment, no files.
const CORE: &[&str] =
    &["src/inventory", "src/controller", "src/checks", "src/config/policy", "src/notify/lifecycle", "src/rules"];

/// First segments of paths that the core may use.
const ALLOWED: &[&str] = &["std", "core", "crate", "super", "self", "serde", "serde_json", "jiff", "ipnet", "thiserror"];

/// Modules of this crate that the core may use.
const ALLOWED_MODULES: &[&str] = &["inventory", "controller", "checks", "config::policy", "notify::lifecycle", "rules"];

/// Crates of the outer stages.
const OUTER: &[&str] = &["tokio", "aws_", "kube", "k8s_openapi", "axum", "hyper", "http", "prometheus_client", "tracing", "clap"];

/// Parts of std that reach outside, and words that have no place in synchronous code without side effects.
const REFUSED: &[&str] = &[
    "std::env",
    "std::fs",
    "std::io",
    "std::net::Tcp",
    "std::net::Udp",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "Instant::now",
    "SystemTime",
    "Timestamp::now",
    "Zoned::now",
    "async ",
    ".await",
    "println!",
    "eprintln!",
];

fn rust_files(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            rust_files(&entry.unwrap().path(), found);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        found.push(path.to_owned());
    }
}

fn core_files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for module in CORE {
        rust_files(&root.join(module), &mut found);
        let file = root.join(format!("{module}.rs"));
        if file.exists() {
            found.push(file);
        }
    }
    found.sort();
    found
}

/// The code of a file: no comments, and no unit tests, which may use proptest and files of their own.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .map(|(number, line)| (number + 1, line.split("//").next().unwrap_or_default()))
}

fn violations(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in code(text) {
        if let Some(refused) = REFUSED.iter().find(|word| line.contains(**word)) {
            found.push((number, format!("`{}` reaches outside the core", refused.trim())));
        }
        for (at, _) in line.match_indices("::") {
            let start = line[..at].rfind(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').map_or(0, |i| i + 1);
            let path = line[start..].trim_start_matches(':');
            let first = path.split("::").next().unwrap_or_default();
            // Types and variants start with a capital; only modules and crates are of interest, at the head of a path.
            if line[start..at].contains("::") || !first.starts_with(|c: char| c.is_ascii_lowercase()) {
                continue;
            }
            if first == "crate" {
                let rest = path.trim_start_matches("crate::");
                let group = rest.trim_start_matches('{');
                if !ALLOWED_MODULES.iter().any(|module| group.starts_with(module)) {
                    found.push((number, format!("`crate::{rest}` is not of the core")));
                }
            } else if is_refused(line, first) && !is_local(text, first) {
                found.push((number, format!("`{first}` is not on the allow-list")));
            }
        }
    }
    found
}

/// In a `use` whatever is not allowed; elsewhere, where a path may start with a local module, the crates of the outer stages.
fn is_refused(line: &str, first: &str) -> bool {
    if line.trim_start().trim_start_matches("pub ").starts_with("use ") {
        return !ALLOWED.contains(&first);
    }
    OUTER.iter().any(|name| first == *name || (name.ends_with('_') && first.starts_with(name)))
}

/// A module declared in this file, or imported from the core under that name.
fn is_local(text: &str, name: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim();
        line.strip_suffix(';').is_some_and(|line| line.ends_with(&format!("mod {name}")))
            || (line.starts_with("use ") && !line.starts_with(&format!("use {name}::")) && line.contains(name))
    })
}

#[test]
fn the_core_names_only_what_the_allow_list_has() {
    let files = core_files();
    assert!(files.len() > 15, "the core moved: {files:?}");
    let mut found = Vec::new();
    for file in files {
        // A `tests.rs` beside a module is that module's unit tests.
        if file.file_name().is_some_and(|name| name == "tests.rs" || name == "fixtures.rs" || name == "testing.rs") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        found.extend(violations(&text).into_iter().map(|(line, what)| format!("{}:{line}: {what}", file.display())));
    }
    assert!(found.is_empty(), "the pure core reaches outside:\n{}", found.join("\n"));
}

#[test]
fn every_kind_of_violation_is_seen() {
    for bad in [
        "use tokio::sync::watch;",
        "use aws_sdk_ec2::types::Subnet;",
        "use crate::sources::store::Store;",
        "use crate::{sources, expose};",
        "    let now = Timestamp::now();",
        "    let path = std::env::var(\"HOME\");",
        "pub async fn run() {}",
        "    tracing::info!(\"x\");",
        "    kube::Client::try_default()",
        "use rand::Rng;",
    ] {
        assert_eq!(violations(bad).len(), 1, "{bad}");
    }
    for good in
        ["use std::collections::BTreeMap;", "use crate::inventory::aws::Scheme;", "use super::kube::Node;", "// tokio::spawn"]
    {
        assert!(violations(good).is_empty(), "{good}");
    }
}

#[test]
fn nothing_but_main_depends_on_the_composition() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    rust_files(&root.join("src"), &mut files);
    for file in files.iter().filter(|file| !file.ends_with("src/main.rs") && !file.to_string_lossy().contains("src/app")) {
        let text = fs::read_to_string(file).unwrap();
        assert!(!text.contains("crate::app"), "{} depends on the composition", file.display());
    }
}
