//! Does everything exist that the pages name: metrics, findings, alerts, flags, keys, variables, log texts, configurations?

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use clap::{CommandFactory, Parser};
use eks_nlb_exporter::checks::catalogue;
use eks_nlb_exporter::cli::Cli;
use eks_nlb_exporter::config::Config;
use eks_nlb_exporter::config::reference::KEYS;
use eks_nlb_exporter::expose::table::{TableFormat, metrics_table};
use eks_nlb_exporter::rules::GROUPS;
use serde_json::Value;

use super::commands::{programs, words};
use super::pages::{PAGES, Page, root};

/// Flags of other programs that pages name by themselves.
const FLAGS_OF_OTHERS: [(&str, &str); 6] = [
    ("--aws-vpc-id", "the controller"),
    ("--cluster-name", "the controller, too"),
    ("--ingress-class", "the controller"),
    ("--resource-identifier", "the AWS command line"),
    ("--insecure", "curl"),
    ("--feature-gates", "the controller"),
];

/// All of the program's source in one text, with strings that go over several lines as they are written out.
static SOURCE: LazyLock<String> = LazyLock::new(|| {
    let mut text = String::new();
    collect(&root().join("src"), &mut text);
    let mut joined = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("\\\n") {
        joined.push_str(before);
        rest = after.trim_start();
    }
    joined + rest
});

fn collect(path: &Path, text: &mut String) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), text);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        text.push_str(&fs::read_to_string(path).unwrap());
    }
}

/// Everything that is code on a page, with where it stands.
fn code() -> impl Iterator<Item = (&'static PathBuf, &'static str)> {
    PAGES.iter().flat_map(|(path, page)| {
        let blocks = page.blocks.iter().map(|(_, text)| text.as_str());
        page.spans.iter().map(String::as_str).chain(blocks).map(move |text| (path, text))
    })
}

/// Names in a text: letters, digits and underscores that begin so.
fn names<'a>(text: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    let starts = text.match_indices(prefix).map(|(at, _)| at);
    starts.filter_map(move |at| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if text[..at].ends_with(is_part) {
            return None;
        }
        let rest = &text[at..];
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        Some(&rest[..end])
    })
}

fn complain(wrong: &BTreeSet<String>) {
    assert!(wrong.is_empty(), "{}", wrong.iter().cloned().collect::<Vec<_>>().join("\n"));
}

#[test]
fn every_metric_on_a_page_is_one() {
    let table: Value = serde_json::from_str(&metrics_table(TableFormat::Json)).unwrap();
    let families: BTreeSet<&str> = table.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    let is_one = |name: &str| {
        let bare = ["_bucket", "_count", "_sum"].iter().find_map(|suffix| name.strip_suffix(suffix));
        let is_recorded = || GROUPS.iter().flat_map(|group| group.records).any(|record| record.name.contains(name));
        families.contains(name) || bare.is_some_and(|bare| families.contains(bare)) || is_recorded()
    };
    // Terraform's name of the policy document, and the beginning of every name.
    let wrong = code()
        .flat_map(|(path, text)| names(text, "eks_nlb_").map(move |name| (path, name)))
        .filter(|(_, name)| !["eks_nlb_", "eks_nlb_exporter"].contains(name) && !is_one(name))
        .map(|(path, name)| format!("{}: there is no metric {name}", path.display()))
        .collect();
    complain(&wrong);
}

#[test]
fn every_finding_and_alert_on_a_page_is_one() {
    let codes: BTreeSet<&str> = catalogue::ALL.iter().map(|kind| kind.code).collect();
    let alerts: BTreeSet<&str> = GROUPS.iter().flat_map(|group| group.alerts).map(|alert| alert.name).collect();
    let mut wrong = BTreeSet::new();
    for path in PAGES.keys().filter(|path| !path.ends_with("CHANGELOG.md")) {
        let text = fs::read_to_string(root().join(path)).unwrap();
        for name in names(&text, "NLB").chain(names(&text, "PLN")) {
            let rest = &name[3..];
            let is_code = rest.len() == 3 && rest.bytes().all(|byte| byte.is_ascii_digit());
            let is_alert = rest.len() > 3 && rest.starts_with(|c: char| c.is_ascii_uppercase());
            let exists = match name {
                // The alert with which a reader tries his routes.
                "NLBTry" => true,
                _ if is_code && name.starts_with("NLB") => codes.contains(name),
                // Findings of plans, and feature gates of the controller, are words of the program.
                _ if is_code || is_alert => alerts.contains(name) || SOURCE.contains(&format!("\"{name}\"")),
                _ => true,
            };
            if !exists {
                wrong.insert(format!("{}: there is no {name}", path.display()));
            }
        }
    }
    complain(&wrong);
}

/// Every flag of every command.
fn flags() -> BTreeSet<String> {
    fn of(command: &clap::Command, found: &mut BTreeSet<String>) {
        found.extend(command.get_arguments().filter_map(|flag| flag.get_long()).map(|name| format!("--{name}")));
        command.get_subcommands().for_each(|command| of(command, found));
    }
    let mut command = Cli::command();
    command.build();
    let mut found = BTreeSet::new();
    of(&command, &mut found);
    found
}

#[test]
fn every_flag_and_variable_on_a_page_is_one() {
    let flags = flags();
    assert!(flags.contains("--web.listen-address") && flags.contains("--help"));
    let mut wrong = BTreeSet::new();
    for (path, page) in PAGES.iter() {
        for span in page.spans.iter().filter(|span| span.starts_with("--")) {
            let end = span.find(|c: char| !(c.is_ascii_alphanumeric() || "-.".contains(c))).unwrap_or(span.len());
            let flag = &span[..end];
            if !flags.contains(flag) && !FLAGS_OF_OTHERS.iter().any(|(other, _)| *other == flag) {
                wrong.insert(format!("{}: there is no flag {flag}", path.display()));
            }
        }
    }
    for (path, text) in code() {
        for name in names(text, "EKS_NLB_").filter(|name| !SOURCE.contains(&format!("\"{name}\""))) {
            wrong.insert(format!("{}: there is no variable {name}", path.display()));
        }
    }
    complain(&wrong);
}

#[test]
fn every_command_line_of_the_program_on_a_page_is_understood() {
    let mut wrong = BTreeSet::new();
    let mut count = 0;
    for (path, page) in PAGES.iter() {
        for (_, block) in page.blocks.iter().filter(|(language, _)| ["sh", "bash", "yaml"].contains(&language.as_str())) {
            for program in programs(block) {
                count += 1;
                if let Err(error) = Cli::try_parse_from(&program)
                    && error.exit_code() != 0
                {
                    wrong.insert(format!("{}: {}: {error}", path.display(), program.join(" ")));
                }
            }
        }
        for span in page.spans.iter().filter(|span| span.starts_with("eks-nlb-exporter ")) {
            // What stands for something, and what is left out.
            let stands = |word: &String| word.contains('…') || word.chars().all(|c| c.is_ascii_uppercase());
            let program: Vec<String> = words(span).into_iter().filter(|word| !stands(word)).collect();
            let command = Cli::command();
            let is_command = |word: &str| command.get_subcommands().any(|it| it.get_name() == word);
            if program.get(1).is_some_and(|word| !word.starts_with('-') && !is_command(word)) {
                wrong.insert(format!("{}: {span}: no such command", path.display()));
            }
        }
    }
    complain(&wrong);
    assert!(count > 20, "only {count} lines were looked at");
}

/// Every path of the chart's values.
fn chart_values() -> BTreeSet<String> {
    fn walk(path: &str, value: &Value, found: &mut BTreeSet<String>) {
        found.insert(path.to_owned());
        if let Value::Object(entries) = value {
            for (name, value) in entries {
                walk(&if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, value, found);
            }
        }
    }
    let text = fs::read_to_string(root().join("deploy/helm/eks-nlb-exporter/values.yaml")).unwrap();
    let mut found = BTreeSet::new();
    walk("", &serde_saphyr::from_str(&text).unwrap(), &mut found);
    found
}

#[test]
fn every_key_of_the_configuration_on_a_page_is_one() {
    let values = chart_values();
    let sections = ["aws", "kubernetes", "policy", "alerting"];
    let mut wrong = BTreeSet::new();
    for (path, page) in PAGES.iter().filter(|(path, _)| !path.ends_with("CHANGELOG.md")) {
        for span in &page.spans {
            let key = span.strip_prefix("config.").unwrap_or(span).split([':', ' ', '=']).next().unwrap_or_default();
            let Some((first, _)) = key.split_once('.') else { continue };
            let is_key = sections.contains(&first) && key.chars().all(|c| c.is_ascii_alphanumeric() || "._[]".contains(c));
            let is_known =
                |known: &str| known == key || known.starts_with(&format!("{key}.")) || known.starts_with(&format!("{key}[]"));
            // Below a key whose entries have names of their own.
            let is_entry = |known: &str| key.starts_with(&format!("{known}."));
            if is_key && !values.contains(key) && !KEYS.iter().any(|it| is_known(it.path) || is_entry(it.path)) {
                wrong.insert(format!("{}: there is no key {key}", path.display()));
            }
        }
    }
    complain(&wrong);
}

#[test]
fn every_configuration_on_a_page_is_a_good_one() {
    let known = ["cluster_name", "aws", "kubernetes", "policy", "alerting"];
    let mut count = 0;
    for (path, page) in PAGES.iter() {
        for (_, block) in page.blocks.iter().filter(|(language, _)| language == "yaml") {
            let Ok(Value::Object(entries)) = serde_saphyr::from_str::<Value>(block) else { continue };
            if !entries.is_empty() && entries.keys().all(|key| known.contains(&key.as_str())) {
                count += 1;
                Config::parse(block, path).unwrap_or_else(|error| panic!("{error}\n{block}"));
            }
        }
    }
    assert!(count >= 3, "only {count} were looked at");
}

/// Blocks that are said to be `log` are quoted from it: each line, or each part of it between two `…`, is in the source.
#[test]
fn every_log_text_on_a_page_is_one() {
    let mut wrong = BTreeSet::new();
    let mut count = 0;
    for (path, page) in PAGES.iter() {
        for line in page.blocks.iter().filter(|(language, _)| language == "log").flat_map(|(_, block)| block.lines()) {
            for part in line.split('…').map(str::trim).filter(|part| !part.is_empty()) {
                count += 1;
                if !SOURCE.contains(part) {
                    wrong.insert(format!("{}: no log says {part:?}", path.display()));
                }
            }
        }
    }
    complain(&wrong);
    assert!(count > 10, "only {count} texts were looked at");
}

/// Shell, YAML and the like; a block without a name is shown without colours and read by no test.
#[test]
fn every_block_says_what_it_is() {
    for (path, page) in PAGES.iter() {
        for (language, block) in &page.blocks {
            let known = ["sh", "yaml", "json", "text", "console", "promql", "log", "ini", "hcl", "toml", "dockerfile"];
            assert!(known.contains(&language.as_str()), "{}: {language:?}: {block}", path.display());
        }
    }
    assert!(Page::read("    indented\n").blocks[0].0.is_empty());
}
