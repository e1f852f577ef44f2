//! What do promtool, amtool and the program's own `rules` say of the shipped files?

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use eks_nlb_exporter::rules::thresholds::Overrides;
use eks_nlb_exporter::rules::{Links, Rules};

use crate::support::exporter;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn run(command: &mut Command) -> Output {
    let name = command.get_program().to_string_lossy().into_owned();
    command.output().unwrap_or_else(|error| panic!("{name} does not start: {error}; `make peers` installs it"))
}

fn succeeds(command: &mut Command) -> String {
    let output = run(command);
    let words = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {words}");
    words
}

fn promtool_tests() -> Vec<PathBuf> {
    let folder = root().join("tests/promtool");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn the_shipped_files_are_what_the_program_prints() {
    for (format, file) in [("prometheus", "alerts/rules.yaml"), ("prometheusrule", "alerts/prometheusrule.yaml")] {
        let printed = succeeds(exporter().args(["rules", "--format", format]));
        let shipped = fs::read_to_string(root().join(file)).unwrap();
        assert!(printed == shipped, "{file} is not what `rules --format {format}` prints: run make docs");
    }
}

#[test]
fn promtool_finds_nothing_wrong_with_the_rules() {
    let words = succeeds(
        Command::new("promtool").args(["check", "rules", "--lint=all", "--lint-fatal"]).arg(root().join("alerts/rules.yaml")),
    );
    assert!(words.contains("SUCCESS"), "{words}");
}

#[test]
fn the_rules_pass_their_tests() {
    succeeds(Command::new("promtool").args(["test", "rules"]).args(promtool_tests()));
}

#[test]
fn every_alert_is_tested_from_both_sides() {
    let (mut fires, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for file in promtool_tests() {
        let text = fs::read_to_string(&file).unwrap();
        let tests: serde_json::Value =
            serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for test in tests["tests"].as_array().unwrap() {
            let checks = test["alert_rule_test"].as_array().unwrap();
            // Which severity a case is about stands in what it expects; it has to be silent before that and afterwards.
            for check in checks {
                for alert in check["exp_alerts"].as_array().unwrap() {
                    let key = (
                        check["alertname"].as_str().unwrap().to_owned(),
                        alert["exp_labels"]["severity"].as_str().unwrap().to_owned(),
                    );
                    let of_alert = checks.iter().filter(|other| other["alertname"] == check["alertname"]);
                    if of_alert.filter(|other| other["exp_alerts"].as_array().unwrap().is_empty()).count() >= 2 {
                        silent.insert(key.clone());
                    }
                    fires.insert(key);
                }
            }
        }
    }
    let rules = Rules::new(&Overrides::new(), &Links::default()).unwrap();
    for rule in rules.alerts() {
        let key = (rule.name.to_owned(), rule.severity.as_str().to_owned());
        assert!(fires.contains(&key), "no test sees {key:?} fire");
        assert!(silent.contains(&key), "no test sees {key:?} silent before and after");
    }
}

#[test]
fn a_changed_threshold_reaches_prometheus_whole() {
    let folder = tempfile::tempdir().unwrap();
    let thresholds = folder.path().join("thresholds.yaml");
    fs::write(&thresholds, "NLBQuotaRunningOut: {warning: {for: 1h, ratio: 0.25}}\n").unwrap();
    let config = folder.path().join("config.yaml");
    fs::write(&config, "cluster_name: demo\nalerting: {thresholds: {NLBQuotaRunningOut: {warning: {for: 1h, ratio: 0.25}}}}\n")
        .unwrap();
    let from = |flag: &str, file: &Path| succeeds(exporter().args(["rules", flag]).arg(file));
    let text = from("--thresholds", &thresholds);
    assert_eq!(text, from("--config.file", &config));
    assert!(text.contains("<= 0.25 * account_region:eks_nlb_quota_limit:min") && text.contains("for: 1h\n"));
    let file = folder.path().join("rules.yaml");
    fs::write(&file, text).unwrap();
    succeeds(Command::new("promtool").args(["check", "rules"]).arg(file));
}

#[test]
fn bad_thresholds_are_named_in_one_sentence_and_end_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("thresholds.yaml");
    for (text, named) in [
        ("NLBNoSuch: {critical: {for: 1m}}\n", "NLBNoSuch"),
        ("NLBZoneDark: {critical: {for: -5}}\n", "NLBZoneDark.critical.for is -5"),
        ("NLBSubnetRunningOut: {warning: {addresses: 99}}\n", "beyond NLBSubnetRunningOut.warning.addresses"),
        ("NLBZoneDark: [critical]\n", "thresholds.yaml"),
        ("NLBZoneDark: {\n", "thresholds.yaml"),
    ] {
        fs::write(&file, text).unwrap();
        let output = run(exporter().args(["rules", "--thresholds"]).arg(&file));
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}: {words}");
        assert!(words.contains(named) && words.trim_end().lines().count() == 1, "{text:?}: {words}");
        assert!(output.stdout.is_empty());
    }
    let output = run(exporter().args(["rules", "--thresholds", "/does/not/exist.yaml"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("/does/not/exist.yaml"));
}

#[test]
fn amtool_accepts_the_example_and_routes_by_severity() {
    let config = root().join("alerts/alertmanager-example.yaml");
    succeeds(Command::new("amtool").arg("check-config").arg(&config));
    for (labels, receivers) in [
        (["alertname=NLBServiceWithoutHealthyTarget", "severity=critical"], "webhook,pagerduty"),
        (["alertname=NLBServiceBlocked", "severity=warning"], "webhook,slack"),
        (["alertname=NLBInTreeProviderInUse", "severity=info"], "webhook"),
        (["alertname=KubePodCrashLooping", "severity=critical"], "nobody"),
    ] {
        let verify = format!("--verify.receivers={receivers}");
        let file = format!("--config.file={}", config.display());
        succeeds(Command::new("amtool").args(["config", "routes", "test", &file, &verify]).args(labels));
    }
}

#[test]
fn the_example_holds_the_inhibition_pack() {
    let pack = fs::read_to_string(root().join("alerts/alertmanager-inhibit.yaml")).unwrap();
    let example = fs::read_to_string(root().join("alerts/alertmanager-example.yaml")).unwrap();
    let rules = &pack[pack.find("inhibit_rules:").unwrap()..];
    assert!(example.ends_with(rules), "alertmanager-example.yaml has other inhibit_rules");
    let names: BTreeSet<_> = Rules::new(&Overrides::new(), &Links::default()).unwrap().alerts().map(|rule| rule.name).collect();
    for word in rules
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.len() > 3 && word.starts_with("NLB") && *word != "NLBExporter")
    {
        assert!(names.contains(word), "{word} is no alert");
    }
}
