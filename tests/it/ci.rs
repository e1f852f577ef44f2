//! Do the jobs of `docs/ci.md` do what they say? Each command of theirs is run, on a good manifest and on a wrong one.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::check::{Simulation, err, out};

/// The fenced blocks of a language.
fn blocks(language: &str) -> Vec<String> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ci.md")).unwrap();
    let fence = format!("```{language}\n");
    page.split(&fence).skip(1).map(|rest| rest.split_once("```").unwrap().0.to_owned()).collect()
}

/// YAML as strictly as the program reads it: no key twice.
fn parsed(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}:\n{text}"))
}

/// The commands of a GitHub workflow, with the shape that GitHub wants.
fn github(workflow: &Value) -> Vec<String> {
    let mut commands = Vec::new();
    assert!(workflow["on"].is_object(), "{workflow:#}");
    for (name, job) in workflow["jobs"].as_object().unwrap() {
        assert!(job["runs-on"].is_string(), "{name}");
        for step in job["steps"].as_array().unwrap() {
            assert!(step["uses"].is_string() != step["run"].is_string(), "a step either uses or runs: {step:#}");
            commands.extend(step["run"].as_str().map(str::to_owned));
        }
    }
    commands
}

/// The commands of a GitLab pipeline.
fn gitlab(pipeline: &Value) -> Vec<String> {
    let jobs = pipeline.as_object().unwrap().iter().filter(|(name, _)| !["variables", "default"].contains(&name.as_str()));
    jobs.flat_map(|(_, job)| job["script"].as_array().unwrap()).map(|line| line.as_str().unwrap().to_owned()).collect()
}

/// Every command of the page that is this program's.
fn commands() -> Vec<String> {
    let yaml = blocks("yaml");
    let [workflow, pipeline] = &yaml[..] else { panic!("{} blocks of YAML", yaml.len()) };
    let mut all = github(&parsed(workflow));
    all.extend(gitlab(&parsed(pipeline)));
    all.extend(blocks("sh").concat().lines().map(str::to_owned));
    all.retain(|command| command.contains("eks-nlb-exporter"));
    all
}

/// Runs a line as runners do, in a folder.
fn shell(line: &str, folder: &Path, surroundings: &[(&str, &str)]) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_eks-nlb-exporter")).parent().unwrap().to_path_buf();
    let path = format!("{}:/usr/bin:/bin", program.display());
    let mut command = Command::new("bash");
    command.args(["-e", "-o", "pipefail", "-c", line]).current_dir(folder).env_clear().env("PATH", path).env("HOME", folder);
    command.env("GITHUB_STEP_SUMMARY", folder.join("summary.md")).env("CLUSTER", "demo");
    command.envs(surroundings.iter().copied()).output().unwrap()
}

fn manifest(scheme: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  annotations:\n    \
         service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip\n    \
         service.beta.kubernetes.io/aws-load-balancer-scheme: {scheme}\n\
         spec:\n  type: LoadBalancer\n  loadBalancerClass: service.k8s.aws/nlb\n  ports:\n  - port: 80\n"
    )
}

#[test]
fn each_plan_passes_a_good_manifest_and_stops_a_wrong_one() {
    let plans: Vec<_> = commands().into_iter().filter(|command| command.contains(" plan ")).collect();
    assert_eq!(plans.len(), 3, "{plans:?}");
    for command in plans {
        for (scheme, code) in [("internal", 0), ("intern", 1)] {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("manifests")).unwrap();
            fs::write(folder.path().join("manifests/web.yaml"), manifest(scheme)).unwrap();
            let output = shell(&command, folder.path(), &[]);
            assert_eq!(output.status.code(), Some(code), "{command}: {}{}", out(&output), err(&output));
            let sarif = folder.path().join("plan.sarif");
            if command.contains("sarif") {
                let report: Value = serde_json::from_str(&fs::read_to_string(sarif).unwrap()).unwrap();
                assert_eq!(report["runs"][0]["results"].as_array().unwrap().len(), code as usize);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_check_passes_a_healthy_cluster() {
    let simulation = Simulation::start(&[]).await;
    let checks: Vec<_> = commands().into_iter().filter(|command| command.contains(" check ")).collect();
    assert_eq!(checks.len(), 3, "{checks:?}");
    for command in checks {
        let (folder, surroundings) = (simulation.folder().to_path_buf(), simulation.surroundings());
        let line = command.clone();
        let output = tokio::task::spawn_blocking(move || {
            let surroundings: Vec<_> = surroundings.iter().map(|(key, value)| (*key, value.as_str())).collect();
            shell(&line, &folder, &surroundings)
        });
        let output = output.await.unwrap();
        assert_eq!(output.status.code(), Some(0), "{command}: {}{}", out(&output), err(&output));
    }
    let summary = fs::read_to_string(simulation.folder().join("summary.md")).unwrap();
    assert!(summary.contains("Cluster demo"), "{summary}");
}
