//! Is what others have built upon still there? Names in dashboards, rules, manifests and scripts of theirs, kept in `tests/stable/`.
//! Adding is free; what is removed or changed has to stand in the changelog as a CHANGE, by its name. `UPDATE_GOLDEN=1` writes the
//! lists, and refuses to forget what nobody announced.

use std::collections::BTreeSet;
use std::fs;

use clap::CommandFactory;
use eks_nlb_exporter::cli::Cli;
use eks_nlb_exporter::config::Config;
use serde_json::Value;

use crate::chart::root;
use crate::support::exporter;

fn printed(arguments: &[&str]) -> Value {
    serde_json::from_slice(&exporter().args(arguments).output().unwrap().stdout).unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}

/// `name type label label`.
fn metrics() -> BTreeSet<String> {
    let families = printed(&["metrics", "--format", "json"]);
    let line = |family: &Value| {
        let labels: Vec<&str> = family["labels"].as_array().unwrap().iter().map(|label| label.as_str().unwrap()).collect();
        format!("{} {} {}", text(family, "name"), text(family, "kind"), labels.join(" ")).trim_end().to_owned()
    };
    families.as_array().unwrap().iter().map(line).collect()
}

/// `CODE severity`.
fn findings() -> BTreeSet<String> {
    let findings = printed(&["findings", "--format", "json"]);
    findings
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| format!("{} {}", text(finding, "code"), text(finding, "severity")))
        .collect()
}

/// `Alert severity`, and the names of recorded series.
fn alerts() -> BTreeSet<String> {
    let rules: Value = serde_saphyr::from_str(&fs::read_to_string(root().join("alerts/rules.yaml")).unwrap()).unwrap();
    let groups = rules["groups"].as_array().unwrap().iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().unwrap());
    let line = |rule: &Value| match rule["alert"].as_str() {
        Some(name) => format!("{name} {}", text(&rule["labels"], "severity")),
        None => text(rule, "record").to_owned(),
    };
    rules.map(line).collect()
}

/// `command --flag VARIABLE`, of the commands that the image has.
fn flags() -> BTreeSet<String> {
    let whole = Cli::command();
    let simulated = ["demo", "simulate"];
    let commands = whole.get_subcommands().filter(|command| !simulated.contains(&command.get_name())).chain([&whole]);
    let mut lines = BTreeSet::new();
    for command in commands {
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            let Some(long) = argument.get_long() else { continue };
            let short = argument.get_short().map(|short| format!(" -{short}")).unwrap_or_default();
            let variable = argument.get_env().map(|name| format!(" {}", name.to_string_lossy())).unwrap_or_default();
            lines.insert(format!("{} --{long}{short}{variable}", command.get_name()));
        }
    }
    lines
}

/// The paths of a tree's keys, those with names of the user's own left out.
fn paths(tree: &Value, path: &str, into: &mut BTreeSet<String>) {
    for (key, value) in tree.as_object().into_iter().flatten() {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        paths(value, &path, into);
        into.insert(path);
    }
}

fn configuration() -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    paths(&serde_json::to_value(Config::default()).unwrap(), "", &mut keys);
    keys
}

fn chart() -> BTreeSet<String> {
    let values = fs::read_to_string(root().join("deploy/helm/eks-nlb-exporter/values.yaml")).unwrap();
    let mut keys = BTreeSet::new();
    paths(&serde_saphyr::from_str(&values).unwrap(), "", &mut keys);
    keys
}

/// What may be announced: the entries marked CHANGE of the newest section of the changelog.
fn announced() -> String {
    let text = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let newest = text.split("\n## ").nth(1).unwrap();
    newest.split("\n* ").filter(|entry| entry.starts_with("[CHANGE]")).collect::<Vec<_>>().join("\n")
}

/// What of the list is gone and not announced by the first word that tells it from others, in backticks.
fn missing<'a>(kept: &'a str, now: &BTreeSet<String>, announced: &str) -> Vec<&'a str> {
    let gone = kept.lines().filter(|line| !line.is_empty() && !line.starts_with('#') && !now.contains(*line));
    let name = |line: &str| line.split(' ').find(|word| word.starts_with("--")).or(line.split(' ').next()).unwrap().to_owned();
    gone.filter(|line| !announced.contains(&format!("`{}`", name(line)))).collect()
}

type List = fn() -> BTreeSet<String>;

const LISTS: &[(&str, List)] = &[
    ("metrics", metrics),
    ("findings", findings),
    ("alerts", alerts),
    ("flags", flags),
    ("configuration", configuration),
    ("chart", chart),
];

#[test]
fn what_others_have_built_upon_is_there_or_its_end_is_announced() {
    #[allow(clippy::disallowed_methods, reason = "the switch of the goldens is an environment variable by custom")]
    let update = std::env::var("UPDATE_GOLDEN").is_ok_and(|value| value == "1");
    let mut problems = Vec::new();
    for (name, list) in LISTS {
        let path = root().join(format!("tests/stable/{name}.txt"));
        let (kept, now) = (fs::read_to_string(&path).unwrap_or_default(), list());
        assert!(now.len() > 10, "{name}: {now:?}");
        let missing = missing(&kept, &now, &announced());
        if missing.is_empty() && update {
            fs::write(&path, now.into_iter().map(|line| line + "\n").collect::<String>()).unwrap();
        } else {
            assert!(!kept.is_empty(), "{} is not there", path.display());
        }
        problems.extend(missing.into_iter().map(|line| format!("{name}: {line}")));
    }
    assert!(problems.is_empty(), "gone, and no CHANGE of the changelog names it in backticks:\n{}", problems.join("\n"));
}

#[test]
fn a_release_knows_all_that_it_promises() {
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    if changelog.contains("\n## Unreleased\n") {
        // Between releases the lists need not be complete; but they are lists of something.
        assert!(LISTS.iter().all(|(name, _)| root().join(format!("tests/stable/{name}.txt")).exists()));
        return;
    }
    for (name, list) in LISTS {
        let kept = fs::read_to_string(root().join(format!("tests/stable/{name}.txt"))).unwrap();
        let kept: BTreeSet<String> = kept.lines().map(str::to_owned).collect();
        assert_eq!(kept, list(), "{name}: UPDATE_GOLDEN=1 completes it");
    }
}

#[test]
fn what_is_removed_or_changed_has_to_be_announced_by_its_name() {
    let kept = "eks_nlb_a gauge x\neks_nlb_b gauge\nserve --web.x EKS_NLB_X\n";
    let now = BTreeSet::from(["eks_nlb_a gauge x y".to_owned(), "eks_nlb_b gauge".to_owned(), "eks_nlb_new gauge".to_owned()]);
    assert_eq!(missing(kept, &now, ""), ["eks_nlb_a gauge x", "serve --web.x EKS_NLB_X"], "adding is free");
    assert_eq!(
        missing(kept, &now, "[CHANGE] metrics: `eks_nlb_a` says y, too.\n[CHANGE] flags: `--web.x` is gone"),
        Vec::<&str>::new()
    );
    assert_eq!(missing(kept, &now, "[CHANGE] metrics: `eks_nlb_aa` is gone").len(), 2, "by its whole name");
}
