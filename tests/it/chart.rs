//! Is the chart right? Rendered by the real engine for many values, valid in Kubernetes, understood by the program, and its roles
//! allow what the program asks for and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use eks_nlb_exporter::config::Config;
use eks_nlb_exporter::permissions::{KUBE_ACCESS, Place};
use serde_json::Value;

use crate::support::exporter;
use crate::web_config::authority::Authority;

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The namespaces of the rendered cases.
const NAMESPACE: &str = "monitoring";

/// The objects of each case of the matrix, checked by Helm's engine and against the Kubernetes schemas.
static CASES: LazyLock<BTreeMap<String, Vec<Value>>> = LazyLock::new(|| {
    let mut checker = Command::new("python");
    let checker = checker.arg(root().join("tests/chart/check.py"));
    let mut checker = checker.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let configuration = serde_json::to_vec(&Config::default()).unwrap();
    checker.stdin.take().unwrap().write_all(&configuration).unwrap();
    let output = checker.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}\n(`make peers` installs helm-python-sdk, kubernetes-validate and yamllint)");
    serde_json::from_slice(&output.stdout).unwrap()
});

fn of_kind<'a>(case: &'a str, kind: &'a str) -> impl Iterator<Item = &'static Value> {
    CASES[case].iter().filter(move |object| object["kind"] == kind)
}

fn only(case: &str, kind: &str) -> &'static Value {
    let mut found = of_kind(case, kind);
    let first = found.next().unwrap_or_else(|| panic!("{case} has no {kind}"));
    assert!(found.next().is_none(), "{case} has more than one {kind}");
    first
}

fn texts(value: &Value) -> BTreeSet<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

pub(crate) fn deployment() -> &'static Value {
    only("default", "Deployment")
}

#[test]
fn annotations_that_the_chart_would_write_too_come_once_and_as_the_values_say() {
    let case = "annotations that the chart would write";
    let account = only(case, "ServiceAccount");
    assert_eq!(account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"], "arn:aws:iam::123456789012:role/other");
    let annotations = &only(case, "Deployment")["spec"]["template"]["metadata"]["annotations"];
    assert_eq!((&annotations["prometheus.io/path"], &annotations["prometheus.io/port"]), (&"/federate".into(), &"10669".into()));
    // It starts a new pod when the configuration changes.
    assert_ne!(annotations["checksum/config"], "mine");
}

#[test]
fn every_case_renders_and_is_valid_and_what_is_off_is_not_there() {
    let kinds = |case: &str| -> BTreeSet<&str> { CASES[case].iter().filter_map(|object| object["kind"].as_str()).collect() };
    assert_eq!(kinds("nothing"), BTreeSet::from(["ConfigMap", "Deployment"]));
    let all = [
        "ClusterRole",
        "ClusterRoleBinding",
        "ConfigMap",
        "Deployment",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "PrometheusRule",
        "Role",
        "RoleBinding",
        "Service",
        "ServiceAccount",
        "ServiceMonitor",
    ];
    assert_eq!(kinds("everything"), BTreeSet::from(all));
    // Nothing of the default needs a CRD.
    assert!(CASES["default"].iter().all(|object| !object["apiVersion"].as_str().unwrap().contains("monitoring.coreos.com")));
    assert!(kinds("pod monitor").contains("PodMonitor"));
}

/// Verb, group, resource, name.
type Right = (String, String, String, Option<String>);

fn rights(role: &Value) -> BTreeSet<Right> {
    let mut found = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        let names = texts(&rule["resourceNames"]);
        let names: Vec<_> = if names.is_empty() { vec![None] } else { names.into_iter().map(Some).collect() };
        for verb in texts(&rule["verbs"]) {
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    for name in &names {
                        found.insert((verb.into(), group.into(), resource.into(), name.map(str::to_owned)));
                    }
                }
            }
        }
    }
    found
}

/// What the table of permissions says of a place.
fn wanted(places: &[Place]) -> BTreeSet<Right> {
    let of = KUBE_ACCESS.iter().filter(|access| places.contains(&access.place));
    of.flat_map(|access| {
        let name = access.name.map(str::to_owned);
        access.verbs.iter().map(move |verb| ((*verb).into(), access.group.into(), access.resource.into(), name.clone()))
    })
    .collect()
}

#[test]
fn the_roles_are_the_table_of_permissions() {
    assert_eq!(rights(only("default", "ClusterRole")), wanted(&[Place::Cluster]));
    let in_namespace = |case: &str, namespace: &str| -> BTreeSet<Right> {
        of_kind(case, "Role").filter(|role| role["metadata"]["namespace"] == namespace).flat_map(rights).collect()
    };
    assert_eq!(in_namespace("default", "kube-system"), wanted(&[Place::ControllerNamespace, Place::KubeSystem]));
    assert_eq!(in_namespace("default", NAMESPACE), wanted(&[Place::OwnNamespace]));
    assert_eq!(in_namespace("roles only", "aws"), wanted(&[Place::ControllerNamespace]));
    let without_create: BTreeSet<_> = wanted(&[Place::OwnNamespace]).into_iter().filter(|(verb, ..)| verb != "create").collect();
    assert_eq!(in_namespace("roles only", NAMESPACE), without_create);
    assert!(of_kind("roles only", "ClusterRole").next().is_none());
}

#[test]
fn each_role_is_bound_to_the_pods_account() {
    for (case, objects) in &*CASES {
        let Some(account) = objects.iter().find(|object| object["kind"] == "ServiceAccount") else { continue };
        let pod = &only(case, "Deployment")["spec"]["template"]["spec"];
        assert_eq!(pod["serviceAccountName"], account["metadata"]["name"]);
        for binding in objects.iter().filter(|object| object["kind"].as_str().unwrap().ends_with("Binding")) {
            let subject = &binding["subjects"][0];
            assert_eq!((&subject["name"], &subject["namespace"]), (&account["metadata"]["name"], &NAMESPACE.into()), "{case}");
            let bound = objects.iter().any(|role| {
                role["kind"] == binding["roleRef"]["kind"]
                    && role["metadata"]["name"] == binding["roleRef"]["name"]
                    && role["metadata"]["namespace"] == binding["metadata"]["namespace"]
            });
            assert!(bound, "{case}: {} binds nothing", binding["metadata"]["name"]);
        }
    }
}

#[test]
fn the_pod_has_no_rights_it_does_not_need() {
    for case in CASES.keys() {
        let pod = &only(case, "Deployment")["spec"]["template"]["spec"];
        assert_eq!(
            (&pod["securityContext"]["runAsNonRoot"], &pod["securityContext"]["runAsUser"]),
            (&true.into(), &65532.into())
        );
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        let container = &pod["containers"][0];
        let security = &container["securityContext"];
        assert_eq!(security["allowPrivilegeEscalation"], false);
        assert_eq!(security["readOnlyRootFilesystem"], true);
        assert_eq!(texts(&security["capabilities"]["drop"]), BTreeSet::from(["ALL"]));
        assert!(container["resources"]["limits"]["memory"].is_string() && container["resources"]["requests"]["cpu"].is_string());
        for key in ["hostNetwork", "hostPID", "hostIPC"] {
            assert!(pod[key].is_null(), "{case}: {key}");
        }
        // Where the kubelet cannot show who it is, the port alone is probed.
        let by_port = ["TLS, certificates and passwords", "passwords without TLS", "a given web configuration"];
        for (probe, path) in [("livenessProbe", "/-/healthy"), ("readinessProbe", "/-/ready")] {
            let probe = &container[probe];
            if by_port.contains(&case.as_str()) {
                assert_eq!((&probe["tcpSocket"]["port"], &probe["httpGet"]), (&"http-metrics".into(), &Value::Null), "{case}");
            } else {
                assert_eq!(probe["httpGet"]["path"], path, "{case}: restarts must not depend on AWS");
            }
        }
        assert_eq!(only(case, "Deployment")["spec"]["strategy"]["type"], "Recreate");
    }
}

#[test]
fn the_program_understands_the_arguments_and_the_configuration_of_every_case() {
    let folder = tempfile::tempdir().unwrap();
    // What the Secret of a certificate holds.
    Authority::new(folder.path(), "ca").certify("tls", "exporter", "DNS:eks-nlb-exporter.monitoring.svc");
    let web = folder.path().join("web.yml");
    // A Secret of somebody else's is not there to be read.
    for case in CASES.keys().filter(|case| *case != "a given web configuration") {
        let path = folder.path().join("config.yaml");
        if let Some(secret) = of_kind(case, "Secret").next() {
            let text = secret["stringData"]["web.yml"].as_str().unwrap();
            fs::write(&web, text.replace("/etc/eks-nlb-exporter-tls", &folder.path().display().to_string())).unwrap();
        }
        let configuration =
            of_kind(case, "ConfigMap").find_map(|object| object["data"]["config.yaml"].as_str()).expect("each case has one");
        fs::write(&path, configuration).unwrap();
        let container = &only(case, "Deployment")["spec"]["template"]["spec"]["containers"][0];
        let arguments = container["args"].as_array().unwrap().iter().map(|argument| {
            let argument = argument.as_str().unwrap();
            let argument = argument.replace("/etc/eks-nlb-exporter/config.yaml", &path.display().to_string());
            argument.replace("/etc/eks-nlb-exporter-web/web.yml", &web.display().to_string())
        });
        let output = exporter().args(arguments).arg("--config.check").output().unwrap();
        assert!(output.status.success(), "{case}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_changed_configuration_starts_a_new_pod() {
    let checksum =
        |case: &str| only(case, "Deployment")["spec"]["template"]["metadata"]["annotations"]["checksum/config"].to_string();
    assert_ne!(checksum("default"), checksum("everything"));
    assert_eq!(checksum("default"), checksum("two replicas"));
}

#[test]
fn with_tls_everybody_speaks_it_and_the_secrets_are_where_the_configuration_looks() {
    let pod = |case: &str| &only(case, "Deployment")["spec"]["template"];
    let web_config = |case: &str| -> Value {
        let text = only(case, "Secret")["stringData"]["web.yml"].as_str().unwrap();
        serde_saphyr::from_str(text).unwrap()
    };
    for case in CASES.keys() {
        let spec = &pod(case)["spec"];
        let arguments = texts(&spec["containers"][0]["args"]);
        let configured = arguments.contains("--web.config.file=/etc/eks-nlb-exporter-web/web.yml");
        let volume = |name: &str| spec["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == name);
        assert_eq!(volume("web").is_some(), configured, "{case}");
        for name in ["web", "tls"] {
            let mounts = spec["containers"][0]["volumeMounts"].as_array().unwrap();
            let mount = mounts.iter().find(|mount| mount["name"] == name);
            assert_eq!(mount.is_some(), volume(name).is_some(), "{case}");
            // A file mounted by itself (subPath) would never change.
            assert!(mount.is_none_or(|mount| mount["subPath"].is_null() && mount["readOnly"] == true), "{case}");
        }
        if let Some(secret) = of_kind(case, "Secret").next() {
            assert_eq!(volume("web").unwrap()["secret"]["secretName"], secret["metadata"]["name"], "{case}");
            assert!(pod(case)["metadata"]["annotations"]["checksum/web"].is_string(), "{case}");
        }
    }
    assert!(of_kind("default", "Secret").next().is_none());
    assert_eq!(web_config("TLS")["tls_server_config"]["cert_file"], "/etc/eks-nlb-exporter-tls/tls.crt");
    let both = web_config("TLS, certificates and passwords");
    assert_eq!(both["tls_server_config"]["key_file"], "/etc/eks-nlb-exporter-tls/tls.key");
    assert_eq!(both["tls_server_config"]["min_version"], "TLS13");

    let probe = |case: &str| &pod(case)["spec"]["containers"][0]["readinessProbe"]["httpGet"];
    assert_eq!((&probe("TLS")["scheme"], &probe("default")["scheme"]), (&"HTTPS".into(), &Value::Null));
    assert_eq!(probe("passwords, for probes too")["httpHeaders"][0]["name"], "Authorization");
    assert_eq!(pod("TLS")["metadata"]["annotations"]["prometheus.io/scheme"], "https");
    let endpoint = &only("TLS", "ServiceMonitor")["spec"]["endpoints"][0];
    assert_eq!((&endpoint["scheme"], &endpoint["tlsConfig"]["ca"]["secret"]["name"]), (&"https".into(), &"nlb-tls".into()));
    let endpoint = &only("TLS, certificates and passwords", "PodMonitor")["spec"]["podMetricsEndpoints"][0];
    assert_eq!(endpoint["scheme"], "https");
    assert_eq!(endpoint["tlsConfig"]["keySecret"]["name"], "prometheus-tls");
    assert_eq!(endpoint["basicAuth"]["password"]["key"], "password");
    assert_eq!(only("everything", "ServiceMonitor")["spec"]["endpoints"][0]["scheme"], Value::Null);
}

#[test]
fn prometheus_keeps_the_series_own_labels_and_finds_the_port_by_its_name() {
    for (case, kind, endpoints) in
        [("everything", "ServiceMonitor", "endpoints"), ("pod monitor", "PodMonitor", "podMetricsEndpoints")]
    {
        let spec = &only(case, kind)["spec"];
        assert_eq!(spec[endpoints][0]["honorLabels"], true);
        assert_eq!(spec[endpoints][0]["port"], "http-metrics");
        assert_eq!(spec["jobLabel"], "app.kubernetes.io/name");
        let pod = &only(case, "Deployment")["spec"]["template"];
        assert_eq!(pod["spec"]["containers"][0]["ports"][0]["name"], "http-metrics");
        for (label, value) in spec["selector"]["matchLabels"].as_object().unwrap() {
            assert_eq!(&pod["metadata"]["labels"][label], value);
        }
    }
    let service = only("everything", "Service");
    assert_eq!(service["spec"]["publishNotReadyAddresses"], true, "what is missing is told by the metrics");
}

#[test]
fn the_network_policy_lets_pod_identity_through() {
    let egress = only("open network policy", "NetworkPolicy")["spec"]["egress"].to_string();
    for needed in ["169.254.170.23/32", "fd00:ec2::23/128", "\"port\":53", "\"port\":443"] {
        assert!(egress.contains(needed), "{needed}");
    }
}

#[test]
fn the_chart_carries_the_rules_and_dashboards_of_this_repository() {
    let yaml = fs::read_to_string(root().join("alerts/rules.yaml")).unwrap();
    let rules: Value = serde_saphyr::from_str(&yaml).unwrap();
    assert_eq!(only("everything", "PrometheusRule")["spec"], rules);
    let names = |folder: PathBuf| -> BTreeSet<String> {
        let entries = fs::read_dir(folder).into_iter().flatten();
        let files = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        files.filter(|name| name.ends_with(".json")).collect()
    };
    let shipped = names(root().join("dashboards"));
    assert_eq!(names(root().join("deploy/helm/eks-nlb-exporter/files/dashboards")), shipped);
    let carried: Vec<_> = of_kind("everything", "ConfigMap").filter_map(|object| object["data"].as_object()).flatten().collect();
    for name in shipped {
        let dashboard: Value = serde_json::from_str(&fs::read_to_string(root().join("dashboards").join(&name)).unwrap()).unwrap();
        let copy = carried.iter().find(|(key, _)| **key == format!("eks-nlb-{name}")).unwrap().1;
        assert_eq!(serde_json::from_str::<Value>(copy.as_str().unwrap()).unwrap(), dashboard, "{name}");
    }
}

#[test]
fn what_is_generated_is_up_to_date() {
    let output = Command::new("python").arg(root().join("deploy/render.py")).arg("--check").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_chart_is_of_the_programs_version() {
    let chart: Value =
        serde_saphyr::from_str(&fs::read_to_string(root().join("deploy/helm/eks-nlb-exporter/Chart.yaml")).unwrap()).unwrap();
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_yaml_files_are_clean() {
    let lint = |file: &Path| {
        let rules = "{extends: default, rules: {line-length: disable, document-start: disable, indentation: {indent-sequences: whatever}, braces: disable, comments: {min-spaces-from-content: 1}, comments-indentation: disable}}";
        let output = Command::new("yamllint").args(["-s", "-d", rules]).arg(file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    };
    for file in [
        "deploy/helm/eks-nlb-exporter/values.yaml",
        "deploy/helm/eks-nlb-exporter/Chart.yaml",
        "deploy/manifests/eks-nlb-exporter.yaml",
        "deploy/manifests/prometheus-operator.yaml",
    ] {
        lint(&root().join(file));
    }
}
