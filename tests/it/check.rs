//! What does `check` say at the end of one pass, of a good cluster, a bad one, and one that cannot be seen?

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::support::{Program, eventually, exporter};

/// A simulated cluster and AWS in a process of their own, with a kubeconfig.
pub(crate) struct Simulation {
    folder: tempfile::TempDir,
    aws: String,
    _program: Program,
}

impl Simulation {
    pub(crate) async fn start(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        let mut command = exporter();
        command.args(["simulate", "--kubeconfig"]).arg(&kubeconfig).args(flags);
        let program = Program::start(&mut command);
        let aws = eventually("the simulation tells its address", Duration::from_secs(30), async || {
            let output = program.output();
            let line = output.lines().find_map(|line| line.strip_prefix("aws ").map(str::to_owned));
            line.ok_or(output)
        })
        .await;
        Self { folder, aws, _program: program }
    }

    /// Where this cluster and its AWS are, as environment.
    pub(crate) fn surroundings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("KUBECONFIG", self.folder.path().join("kubeconfig").display().to_string()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "simulated".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "simulated".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("AWS_ENDPOINT_URL", self.aws.clone()),
        ]
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The program with this cluster's surroundings and no others.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = exporter();
        command
            .env_clear()
            .env("HOME", self.folder.path())
            .env("KUBECONFIG", self.folder.path().join("kubeconfig"))
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "simulated")
            .env("AWS_SECRET_ACCESS_KEY", "simulated")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .args(arguments)
            .args(["--aws.endpoint-url", &self.aws]);
        command
    }

    /// Runs it to its end; other tasks go on meanwhile.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null());
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn findings(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {} {}", out(output), err(output)))
}

fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn one_pass_ends_with_the_findings_and_an_exit_code_that_says_so() {
    let simulation = Simulation::start(&[]).await;
    let output = simulation.run(&["check", "--output", "json", "--fail-on", "info"]).await;
    let report = findings(&output);
    assert_eq!(report["unknown"], serde_json::json!([]), "{}", err(&output));
    let found = report["findings"].as_array().unwrap();
    let expected = i32::from(!found.is_empty());
    assert_eq!((output.status.code(), &report["exit_code"]), (Some(expected), &serde_json::json!(expected)));
    assert!(report["scope"]["cluster_name"].is_string() && report["scope"]["account_id"].is_string());

    // Everything that was found, left out: one by the flag, the others by a file with reasons, one of which has run out.
    let mut codes: Vec<&str> = found.iter().map(|finding| finding["code"].as_str().unwrap()).collect();
    codes.dedup();
    let mut entries = "- {code: NLB999, reason: x}\n".to_owned();
    let bad = file(simulation.folder(), "bad.yaml", &entries);
    entries.clear();
    codes.iter().for_each(|code| entries.push_str(&format!("- {{code: {code}, reason: known}}\n")));
    entries.push_str("- {code: NLB101, reason: moving, until: 2020-01-01}\n");
    let good = file(simulation.folder(), "good.yaml", &entries);
    let output = simulation.run(&["check", "--ignore-file", bad.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("NLB999") && err(&output).contains("bad.yaml"), "{}", err(&output));
    let output = simulation.run(&["check", "--fail-on", "info", "--ignore-file", good.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(0), "{}{}", out(&output), err(&output));
    assert!(err(&output).contains("NLB101 (moving) ran out on 2020-01-01"), "{}", err(&output));
    assert!(out(&output).contains("nothing found"), "{}", out(&output));
}

/// Everything that a state says, changed.
fn edit_state(path: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let mut text = String::new();
    flate2::read::GzDecoder::new(fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let mut state = serde_json::from_str(&text).unwrap();
    change(&mut state);
    let mut packer = flate2::write::GzEncoder::new(fs::File::create(path).unwrap(), flate2::Compression::fast());
    packer.write_all(state.to_string().as_bytes()).unwrap();
    packer.finish().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_are_judged_by_what_the_daemon_kept_and_else_it_is_said_that_they_are_not() {
    let simulation = Simulation::start(&[]).await;
    let state = simulation.folder().join("state.gz");
    let path = state.to_str().unwrap();
    // The daemon adopts the cluster as it is, and ends.
    let mut daemon =
        Program::start(&mut simulation.command(&["serve", "--web.listen-address", "127.0.0.1:0", "--state.path", path]));
    eventually("the daemon keeps its state", Duration::from_secs(60), async || {
        let known = fs::metadata(&state).map_err(|error| error.to_string())?;
        if known.len() > 0 { Ok(()) } else { Err("empty".to_owned()) }
    })
    .await;
    assert!(Command::new("kill").args(["-s", "TERM", &daemon.id().to_string()]).status().unwrap().success());
    assert_eq!(daemon.wait(Duration::from_secs(20)).await, 0);

    let run = async |more: &[&str]| {
        let output = simulation.run(&[&["check", "--output", "json", "--fail-on", "info"], more].concat()).await;
        (findings(&output), output.status.code(), err(&output))
    };
    let edits = |report: &serde_json::Value| {
        let all = report["findings"].as_array().unwrap().iter();
        all.filter(|it| ["NLB503", "NLB504"].contains(&it["code"].as_str().unwrap()))
            .map(|it| it["message"].to_string())
            .collect::<Vec<_>>()
    };
    let (report, _, words) = run(&[]).await;
    assert_eq!((&report["edits_judged"], edits(&report)), (&serde_json::json!(false), vec![]));
    assert!(words.contains("NLB503 to NLB505") && words.contains("--state.path"), "{words}");

    let before = fs::read(&state).unwrap();
    let (report, _, words) = run(&["--state.path", path]).await;
    assert_eq!((&report["edits_judged"], edits(&report)), (&serde_json::json!(true), vec![]), "{words}");
    assert!(!words.contains("NLB503 to NLB505"), "{words}");
    assert!(fs::read(&state).unwrap() == before, "it is only read");

    // Somebody edited it since.
    edit_state(&state, |state| {
        let services = state["services"].as_object_mut().unwrap().values_mut();
        let mut served = services.filter(|record| record["load_balancer_created_at"].is_string());
        let is_plain = |key: &str| key.contains("healthcheck") || key.contains("target-group-attributes");
        let edited = served.find_map(|record| {
            let baseline = record["baseline"].as_object_mut()?;
            baseline.iter_mut().find(|(key, value)| is_plain(key) && value.is_string()).map(|(_, value)| value)
        });
        *edited.unwrap_or_else(|| panic!("nothing that could be edited")) = "/was-another".into();
    });
    let (report, code, _) = run(&["--state.path", path]).await;
    let told = edits(&report);
    assert_eq!((told.len(), code), (1, Some(1)), "{report:#}");
    assert!(told[0].contains("was-another"), "{told:?}");

    let (report, code, _) = run(&["--state.path", "/does/not/exist"]).await;
    assert_eq!((code, &report["unknown"][0]["what"]), (Some(3), &serde_json::json!("exporter_state")), "{report:#}");
    let (report, code, _) = run(&["--state.configmap", "monitoring/nothing"]).await;
    assert_eq!(code, Some(3), "{report:#}");
    assert!(report["unknown"][0]["why"].as_str().unwrap().contains("monitoring/nothing"), "{report:#}");
    let picture = simulation.folder().join("picture.json.gz");
    let output = simulation.run(&["snapshot", "--output", picture.to_str().unwrap(), "--state.path", path]).await;
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let output = exporter().args(["check", "--output", "json", "--snapshot"]).arg(&picture).output().unwrap();
    assert_eq!(edits(&findings(&output)).len(), 1, "the picture holds the memory");
    let output = exporter().args(["check", "--state.path", path, "--snapshot"]).arg(&picture).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", err(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_refused_is_named_and_the_end_is_3() {
    let simulation = Simulation::start(&["--fault", "DescribeTargetHealth=deny"]).await;
    let output = simulation.run(&["check", "--fail-on", "critical"]).await;
    assert_eq!(output.status.code(), Some(3), "{}{}", out(&output), err(&output));
    assert!(err(&output).contains("aws_target_health"), "{}", err(&output));
    let output =
        simulation.run(&["check", "--fail-on", "critical", "--ignore", "NLB902:aws_target_health", "--output", "markdown"]).await;
    assert_ne!(output.status.code(), Some(3), "accepted: {}{}", out(&output), err(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_anything_it_says_what_it_looks_for_and_ends_with_3() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = exporter();
    command.env_clear().env("HOME", folder.path()).env("AWS_EC2_METADATA_DISABLED", "true").args(["check", "--timeout", "3"]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert_eq!(output.status.code(), Some(3));
    let words = err(&output);
    assert!(words.contains("AWS_REGION") && words.contains("kubeconfig"), "{words}");
}

#[test]
fn a_wrong_flag_ends_with_2_and_is_named() {
    for (arguments, named) in [
        (vec!["check", "--ignore", "NLB7"], "NLB7"),
        (vec!["check", "--ignore", "NLB701:"], "NLB701:"),
        (vec!["check", "--ignore-file", "/does/not/exist"], "/does/not/exist"),
        (vec!["check", "--fail-on", "error"], "error"),
        (vec!["check", "--snapshot", "/does/not/exist"], "/does/not/exist"),
        (vec!["check", "--timeout", "0"], "0"),
        (vec!["completions", "cmd"], "cmd"),
    ] {
        let output = exporter().args(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", err(&output));
        assert!(err(&output).contains(named), "{arguments:?}: {}", err(&output));
    }
}

#[test]
fn completions_know_the_commands_and_their_flags() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = exporter().args(["completions", shell]).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        for word in ["snapshot", "fail-on", "web.listen-address"] {
            assert!(out(&output).contains(word), "{shell}: {word}");
        }
    }
}

/// The shell's own way: it asks the function for the words that may come next.
#[test]
fn bash_completes_commands_their_flags_and_the_flags_values() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("completions.bash");
    fs::write(&script, exporter().args(["completions", "bash"]).output().unwrap().stdout).unwrap();
    for (line, offered, not) in [
        ("eks-nlb-exporter pl", "plan", "serve"),
        ("eks-nlb-exporter plan --out", "--output", "--offline"),
        ("eks-nlb-exporter plan --output ", "sarif", "--output"),
        ("eks-nlb-exporter check --fail-on c", "critical", "info"),
        ("eks-nlb-exporter snapshot --", "--redact", "--screen.columns"),
        ("eks-nlb-exporter iam-policy --format ", "terraform", "yaml"),
    ] {
        let ask = r#"source "$1"; read -ra COMP_WORDS <<< "$2"; [[ $2 == *" " ]] && COMP_WORDS+=("")
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            declare -F _eks__nlb__exporter > /dev/null && complete -p eks-nlb-exporter > /dev/null || exit 9
            _eks__nlb__exporter eks-nlb-exporter "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
            printf '%s\n' "${COMPREPLY[@]}""#;
        let output = Command::new("bash").args(["-c", ask, "bash"]).arg(&script).arg(line).output().unwrap();
        let words: Vec<String> = out(&output).lines().map(str::to_owned).collect();
        assert!(output.status.success() && err(&output).is_empty(), "{line}: {output:?}");
        assert!(words.iter().any(|word| word == offered) && !words.iter().any(|word| word == not), "{line:?}: {words:?}");
    }
}
