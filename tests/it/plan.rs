//! What does `plan` say of manifests: alone, against a cluster, and of Services that it has already?

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::check::{Simulation, err, out};
use crate::support::exporter;

const PREFIX: &str = "service.beta.kubernetes.io/aws-load-balancer";

/// A Service of the controller with further annotations.
fn manifest(name: &str, annotations: &[(&str, &str)]) -> String {
    let mut text = format!("apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\n  namespace: shop\n  annotations:\n");
    text.push_str(&format!("    {PREFIX}-nlb-target-type: ip\n"));
    for (key, value) in annotations {
        text.push_str(&format!("    {PREFIX}-{key}: {value:?}\n"));
    }
    text.push_str("spec:\n  type: LoadBalancer\n  loadBalancerClass: service.k8s.aws/nlb\n  ports:\n  - port: 80\n");
    text
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn run(arguments: &[&str]) -> Output {
    exporter().arg("plan").args(arguments).output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", out(output), err(output)))
}

fn problems(service: &Value) -> Vec<(String, u64)> {
    let all = service["problems"].as_array().unwrap().iter();
    all.map(|problem| (problem["code"].as_str().unwrap().to_owned(), problem["line"].as_u64().unwrap())).collect()
}

#[test]
fn offline_a_wrong_annotation_is_shown_at_its_line_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let text =
        format!("# a comment\n---\n{}---\nkind: Deployment\napiVersion: apps/v1\n", manifest("web", &[("schema", "internal")]));
    let path = write(folder.path(), "web.yaml", &text);
    let output = run(&["-f", &path, "--offline", "--output", "json"]);
    assert_eq!(output.status.code(), Some(1), "{}{}", out(&output), err(&output));
    let report = json(&output);
    let services = report["services"].as_array().unwrap();
    assert_eq!((services.len(), &services[0]["owner"]), (1, &Value::from("aws-load-balancer-controller")));
    assert_eq!(problems(&services[0]), [("NLB601".to_owned(), 10)]);

    let output = run(&["-f", &path, "--offline"]);
    assert!(out(&output).contains("NLB601 line 10:") && !out(&output).contains('\u{1b}'), "{}", out(&output));
    let output = run(&["-f", &path, "--offline", "--output", "markdown"]);
    assert!(out(&output).contains("| warning | NLB601 |") && out(&output).contains("web.yaml:10"), "{}", out(&output));
    let output = run(&["-f", &path, "--offline", "--output", "sarif"]);
    let sarif = json(&output);
    assert_is_sarif(&sarif);
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!((&sarif["version"], &result["ruleId"], &result["level"]), (&"2.1.0".into(), &"NLB601".into(), &"warning".into()));
    assert_eq!(result["locations"][0]["physicalLocation"]["region"]["startLine"], 10);

    assert_eq!(run(&["-f", &path, "--offline", "--ignore", "NLB601:shop/web"]).status.code(), Some(0));
    assert_eq!(run(&["-f", &path, "--offline", "--fail-on", "critical"]).status.code(), Some(0));
}

/// What the schema of SARIF 2.1.0 requires of the objects that are used, and what a code host needs to show a result.
fn assert_is_sarif(report: &Value) {
    let is_text = |value: &Value| value["text"].as_str().is_some_and(|text| !text.is_empty());
    assert_eq!((&report["version"], report["$schema"].as_str().unwrap().contains("sarif-2.1.0")), (&"2.1.0".into(), true));
    let known = ["$schema", "version", "runs"];
    assert!(report.as_object().unwrap().keys().all(|key| known.contains(&key.as_str())), "{report:#}");
    for run in report["runs"].as_array().unwrap() {
        let driver = &run["tool"]["driver"];
        assert!(driver["name"].as_str().is_some_and(|name| !name.is_empty()), "{driver:#}");
        let rules = driver["rules"].as_array().unwrap();
        let ids: std::collections::BTreeSet<_> = rules.iter().map(|rule| rule["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), rules.len(), "a rule is there once");
        assert!(rules.iter().all(|rule| is_text(&rule["shortDescription"]) && is_text(&rule["help"])), "{rules:#?}");
        for result in run["results"].as_array().unwrap() {
            assert!(is_text(&result["message"]), "{result:#}");
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(rules[index]["id"], result["ruleId"]);
            assert!(["none", "note", "warning", "error"].contains(&result["level"].as_str().unwrap()));
            let places = result["locations"].as_array().unwrap();
            assert_eq!(places.len(), 1);
            let place = &places[0]["physicalLocation"];
            let uri = place["artifactLocation"]["uri"].as_str().unwrap();
            assert!(!uri.is_empty() && !uri.contains([' ', '\\']), "{uri}");
            assert!(place["region"]["startLine"].as_u64().unwrap() >= 1);
        }
    }
}

#[test]
fn without_a_service_one_sentence_says_so_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in
        [("empty.yaml", ""), ("others.yaml", "kind: Deployment\napiVersion: apps/v1\nmetadata: {name: x}\n---\n# none\n")]
    {
        let path = write(folder.path(), name, text);
        for format in ["table", "markdown", "json", "sarif"] {
            let output = run(&["-f", &path, "--offline", "--output", format]);
            assert_eq!((output.status.code(), err(&output)), (Some(0), String::new()), "{name} {format}");
            match format {
                "json" => assert_eq!(json(&output)["services"], serde_json::json!([])),
                "sarif" => {
                    assert_is_sarif(&json(&output));
                    assert_eq!(json(&output)["runs"][0]["results"], serde_json::json!([]));
                }
                _ => assert!(out(&output).contains("No Service stands in what was read"), "{}", out(&output)),
            }
        }
    }
}

#[test]
fn a_folder_and_standard_input_are_read_and_what_is_no_yaml_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("more")).unwrap();
    write(folder.path(), "a.yml", &manifest("a", &[]));
    write(folder.path(), "more/b.yaml", &manifest("b", &[]));
    write(folder.path(), "notes.txt", "a: [");
    let output = run(&["-f", folder.path().to_str().unwrap(), "--offline", "--output", "json"]);
    assert_eq!((output.status.code(), json(&output)["services"].as_array().unwrap().len()), (Some(0), 2));

    let mut command = exporter();
    command.args(["plan", "-f", "-", "--offline", "--output", "json"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(manifest("web", &[]).as_bytes()).unwrap();
    assert_eq!(json(&child.wait_with_output().unwrap())["services"][0]["name"], "web");

    // Links lead to the same again, or in a circle.
    std::os::unix::fs::symlink(folder.path().join("a.yml"), folder.path().join("again.yml")).unwrap();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("more/circle")).unwrap();
    let output = run(&["-f", folder.path().to_str().unwrap(), "--offline", "--output", "json"]);
    assert_eq!((output.status.code(), json(&output)["services"].as_array().unwrap().len()), (Some(0), 2), "{}", err(&output));

    let bad = write(folder.path(), "bad.yaml", "a: 1\n---\nb: [\n");
    for (arguments, named) in [
        (vec!["-f", &bad, "--offline"], "bad.yaml:2"),
        (vec!["-f", "/does/not/exist", "--offline"], "/does/not/exist"),
        (vec!["-f", &bad, "--controller-version", "new"], "new"),
    ] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(2), "{}", err(&output));
        assert!(err(&output).contains(named), "{}", err(&output));
    }
}

#[test]
fn what_cannot_be_written_down_is_no_success_and_a_reader_that_leaves_is_none_either() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "web.yaml", &manifest("web", &[]));
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = exporter().args(["plan", "--offline", "-f", &path]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", err(&output));
    assert!(err(&output).contains("cannot write to standard output"), "{}", err(&output));
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = exporter().arg("findings").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));

    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = exporter().args(["plan", "--offline", "-f", &path]).stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), err(&output)), (Some(0), String::new()));
}

#[test]
fn an_older_controller_reads_less() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "web.yaml", &manifest("web", &[("disable-nlb-sg", "true")]));
    let codes = |version: &str| {
        let output = run(&["-f", &path, "--offline", "--controller-version", version, "--output", "json"]);
        problems(&json(&output)["services"][0]).into_iter().map(|(code, _)| code).collect::<Vec<_>>()
    };
    assert!(codes("2.8.2").contains(&"NLB603".to_owned()), "{:?}", codes("2.8.2"));
    assert!(!codes("3.5.0").contains(&"NLB603".to_owned()), "{:?}", codes("3.5.0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn against_a_cluster_it_says_where_at_what_cost_and_what_changes() {
    let simulation = Simulation::start(&[]).await;
    let picture = simulation.folder().join("picture.json.gz").display().to_string();
    let output = simulation.run(&["snapshot", "--output", &picture]).await;
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let plan = |text: &str, more: &[&str]| {
        let path = write(simulation.folder(), "plan.yaml", text);
        let output = run(&[&["-f", &path, "--snapshot", &picture, "--output", "json"], more].concat());
        (json(&output), output.status.code())
    };

    // Two new ones: the second finds what the first left.
    let two = format!("{}---\n{}", manifest("new-a", &[("scheme", "internal")]), manifest("new-b", &[("scheme", "internal")]));
    let (report, code) = plan(&two, &[]);
    assert_eq!(code, Some(0), "{report:#}");
    let [first, second] = &report["services"].as_array().unwrap()[..] else { panic!("{report:#}") };
    assert_eq!((&first["fate"], &second["fate"]), (&"made".into(), &"made".into()), "{report:#}");
    let left = |service: &Value, quota: &str| {
        let costs = service["costs"].as_array().unwrap().iter();
        costs.clone().find(|cost| cost["quota"] == quota).and_then(|cost| cost["left"].as_i64())
    };
    let balancers = "network_load_balancers";
    assert_eq!(left(second, balancers).unwrap(), left(first, balancers).unwrap() - 1);
    assert!(first["first_wall"]["load_balancers"].is_u64() && first["notes"] == serde_json::json!([]), "{first:#}");
    let own_rules = first["costs"].as_array().unwrap().iter().find(|cost| cost["of"] == "its own security group");
    assert_eq!(own_rules.map(|cost| &cost["takes"]), Some(&1.into()), "one port, open to all: {first:#}");
    let subnets = |service: &Value| service["subnets"].as_array().unwrap().clone();
    assert!(!subnets(first).is_empty());
    assert_eq!(subnets(first)[0]["subnet_id"], subnets(second)[0]["subnet_id"]);
    assert!(subnets(second)[0]["free_addresses"].as_u64() < subnets(first)[0]["free_addresses"].as_u64(), "{report:#}");

    // What is not known is said on standard error, and whoever reads only the format for machines sees it by the exit code.
    let path = write(simulation.folder(), "pattern.yaml", &manifest("new", &[("subnets", "private-*")]));
    let output = run(&["-f", &path, "--snapshot", &picture, "--output", "sarif"]);
    assert_eq!(output.status.code(), Some(3), "{}", out(&output));
    assert!(
        err(&output).contains("could not know: Service shop/new: a subnet's name in the annotation is a pattern"),
        "{}",
        err(&output)
    );

    // One that the cluster has and that would ask for none any more.
    let let_go =
        "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {type: ClusterIP, ports: [{port: 80}]}\n";
    let (report, code) = plan(let_go, &[]);
    assert_eq!((code, &report["services"][0]["fate"]), (Some(1), &"deleted".into()), "{report:#}");
    assert!(problems(&report["services"][0]).iter().any(|(code, _)| code == "PLN002"), "{report:#}");

    // A subnet that does not exist.
    let (report, code) = plan(&manifest("new", &[("subnets", "subnet-0nowhere")]), &[]);
    assert_eq!((code, &report["services"][0]["fate"]), (Some(1), &"not_made".into()), "{report:#}");
    assert!(problems(&report["services"][0]).iter().any(|(code, line)| code == "NLB202" && *line == 8), "{report:#}");

    // One that the cluster has: another class is refused, and another scheme makes a new load balancer.
    let other_class = manifest("web", &[("scheme", "internal")]);
    let (report, code) = plan(&other_class, &[]);
    assert_eq!((code, &report["services"][0]["fate"]), (Some(1), &"kept".into()), "{report:#}");
    assert!(problems(&report["services"][0]).iter().any(|(code, _)| code == "PLN004"), "{report:#}");
    let same_class = other_class
        .replace("  loadBalancerClass: service.k8s.aws/nlb\n", "")
        .replace("  annotations:\n", &format!("  annotations:\n    {PREFIX}-type: external\n"));
    let (report, code) = plan(&same_class, &[]);
    let web = &report["services"][0];
    assert_eq!((code, &web["fate"]), (Some(1), &"replaced".into()), "{report:#}");
    assert!(problems(web).iter().any(|(code, line)| code == "PLN002" && *line == 9), "{report:#}");
}
