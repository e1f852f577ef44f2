//! Would a tag become a release? The workflows are of the form that their host reads, what they call exists, no job may do more than it
//! needs; and the check before the tag sees what differs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::chart::root;

fn workflows() -> Vec<(PathBuf, Value)> {
    let files = fs::read_dir(root().join(".github/workflows")).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| {
        let tree = serde_saphyr::from_str(&fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, tree)
    };
    let mut all: Vec<_> = files.map(read).collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(all.len(), 2);
    all
}

fn jobs(workflow: &Value) -> impl Iterator<Item = (&String, &Value)> {
    workflow["jobs"].as_object().unwrap().iter()
}

fn steps(job: &Value) -> impl Iterator<Item = &Value> {
    job["steps"].as_array().unwrap().iter()
}

fn good(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; `make peers` installs it"));
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_workflows_are_of_the_form_that_their_host_reads() {
    const RULES: &str = "{extends: default, rules: {line-length: {max: 150}, document-start: disable, truthy: {check-keys: false}, \
        comments: {min-spaces-from-content: 1}}}";
    for (path, _) in workflows() {
        good(Command::new("check-jsonschema").args(["--builtin-schema", "vendor.github-workflows"]).arg(&path));
        good(Command::new("yamllint").args(["-s", "-d", RULES]).arg(&path));
    }
}

#[test]
fn every_target_and_file_that_a_workflow_names_exists() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let dockerfile = fs::read_to_string(root().join("Dockerfile")).unwrap();
    let mut targets = BTreeSet::new();
    for (path, workflow) in workflows() {
        for script in jobs(&workflow).flat_map(|(_, job)| steps(job)).filter_map(|step| step["run"].as_str()) {
            let words: Vec<&str> = script.split_whitespace().collect();
            for pair in words.windows(2) {
                match *pair {
                    ["make", target] => {
                        assert!(makefile.contains(&format!("\n{target}:")), "{}: make {target}", path.display());
                        targets.insert(target.to_owned());
                    }
                    ["--target", stage] => assert!(dockerfile.contains(&format!(" AS {stage}\n")), "{stage}"),
                    [_, file] if file.starts_with("deploy/") => assert!(root().join(file).exists(), "{}: {file}", path.display()),
                    _ => {}
                }
            }
            good(Command::new("bash").args(["-n", "-c", &script.replace("${{", "$((").replace("}}", "))")]));
        }
    }
    // `.ci/run` is what a person runs; a workflow runs no less.
    let by_hand = fs::read_to_string(root().join(".ci/run")).unwrap();
    for target in by_hand.lines().filter_map(|line| line.strip_prefix("make ")) {
        assert!(targets.contains(target), "no workflow runs make {target}");
    }
}

/// Every text in a tree.
fn texts(tree: &Value) -> Vec<&str> {
    match tree {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// `upload-artifact` and `cache` end with "Relative pathing '.' and '..' is not allowed", wherever in a path it stands.
#[test]
fn no_path_that_an_action_is_given_leads_upwards() {
    for (path, workflow) in workflows() {
        let of_steps = jobs(&workflow).flat_map(|(_, job)| steps(job)).map(|step| &step["with"]);
        let of_jobs = jobs(&workflow).map(|(_, job)| &job["env"]);
        let given: Vec<&str> = std::iter::once(&workflow["env"]).chain(of_jobs).chain(of_steps).flat_map(texts).collect();
        assert!(given.iter().any(|text| text.contains("target")), "{}: {given:?}", path.display());
        for line in given.iter().flat_map(|text| text.lines()) {
            assert!(!line.split('/').any(|segment| segment == ".."), "{}: {line}", path.display());
        }
    }
}

#[test]
fn no_job_may_do_more_than_it_needs() {
    for (path, workflow) in workflows() {
        assert_eq!(workflow["permissions"], serde_json::json!({}), "{}: nothing unless a job asks for it", path.display());
        let is_release = path.ends_with("release.yaml");
        for (name, job) in jobs(&workflow) {
            let granted = job["permissions"].as_object().unwrap_or_else(|| panic!("{name} says what it needs"));
            let writes: BTreeSet<&str> =
                granted.iter().filter(|(_, level)| **level == "write").map(|(what, _)| what.as_str()).collect();
            let expected: &[&str] = match (is_release, name.as_str()) {
                (true, "image") => &["attestations", "id-token", "packages"],
                (true, "chart") => &["packages"],
                (true, "release") => &["attestations", "contents", "id-token"],
                _ => &[],
            };
            assert_eq!(writes, expected.iter().copied().collect(), "{}: {name}", path.display());
            assert!(job["timeout-minutes"].is_u64(), "{name} ends");
            for step in steps(job) {
                let Some(action) = step["uses"].as_str() else { continue };
                let (_, version) = action.split_once('@').unwrap();
                let major = version.strip_prefix('v').is_some_and(|version| version.bytes().all(|byte| byte.is_ascii_digit()));
                let commit = version.len() == 40 && version.bytes().all(|byte| byte.is_ascii_hexdigit());
                assert!(major || commit, "{action} is neither of a major version nor of a commit");
                if action.starts_with("actions/checkout@") {
                    assert_eq!(step["with"]["persist-credentials"], false, "{name}: the token stays out of the checkout");
                }
            }
            for script in steps(job).filter_map(|step| step["run"].as_str()) {
                assert!(!script.contains("${{"), "{name}: a script takes what others wrote from its environment only: {script}");
            }
        }
    }
}

#[test]
fn nothing_is_published_before_the_tests_have_passed() {
    let (_, release) = workflows().pop().unwrap();
    let needs = |name: &str| -> BTreeSet<String> {
        let needs = &release["jobs"][name]["needs"];
        let list = needs.as_array().cloned().unwrap_or_else(|| vec![needs.clone()]);
        list.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
    };
    let mut after_tests = BTreeSet::from(["test".to_owned()]);
    for _ in 0..5 {
        for (name, _) in jobs(&release) {
            if !needs(name).is_disjoint(&after_tests) {
                after_tests.insert(name.clone());
            }
        }
    }
    for (name, job) in jobs(&release) {
        let publishes = job["permissions"].as_object().unwrap().values().any(|level| level == "write");
        assert!(!publishes || after_tests.contains(name), "{name}");
    }
    let text = release.to_string();
    for needed in [
        "linux/amd64,linux/arm64",
        "cosign sign",
        "cosign attest",
        "attest-build-provenance",
        "helm push",
        "sha256sum",
        "gh release create",
    ] {
        assert!(text.contains(needed), "{needed}");
    }
}

/// A copy of what the check looks at, changed.
fn check(version: &str, change: impl Fn(&str, String) -> String) -> Output {
    let folder = tempfile::tempdir().unwrap();
    for file in ["Cargo.toml", "Cargo.lock", "Dockerfile", "CHANGELOG.md", "deploy/helm/eks-nlb-exporter/Chart.yaml"] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        let text = text.replace("\n## Unreleased\n", &format!("\n## {} / 2026-12-01\n", env!("CARGO_PKG_VERSION")));
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, change(file, text)).unwrap();
    }
    run(version, &[], folder.path())
}

fn run(version: &str, more: &[&str], folder: &Path) -> Output {
    Command::new(root().join("deploy/release-check.sh")).arg(version).args(more).env("RELEASE_ROOT", folder).output().unwrap()
}

#[test]
fn the_check_before_a_tag_names_everything_that_is_of_another_version() {
    let version = env!("CARGO_PKG_VERSION");
    let output = check(version, |_, text| text);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = check("9.9.9", |_, text| text);
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    for place in
        ["Cargo.toml", "Cargo.lock", "the chart's version", "the chart's appVersion", "Dockerfile", "## 9.9.9 / YYYY-MM-DD"]
    {
        assert!(words.contains(place), "{place}: {words}");
    }
    let output = check(version, |file, text| if file == "CHANGELOG.md" { text.replace(" / 2026-12-01", "") } else { text });
    assert_eq!(output.status.code(), Some(1), "a release has a date");
    for no_version in ["", "v1.0.0", "1.0", "1.0.0-rc1; rm"] {
        assert_eq!(run(no_version, &[], &root()).status.code(), Some(2), "{no_version:?}");
    }
}

#[test]
fn the_notes_of_a_release_are_its_section_of_the_changelog() {
    let folder = tempfile::tempdir().unwrap();
    let text = "# Changelog\n\n## 1.2.0 / 2026-12-01\n\n* [FEATURE] b\n\n## 1.1.0 / 2026-11-01\n\n* [BUGFIX] a\n";
    fs::write(folder.path().join("CHANGELOG.md"), text).unwrap();
    let output = run("1.2.0", &["--notes"], folder.path());
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "* [FEATURE] b");
}
