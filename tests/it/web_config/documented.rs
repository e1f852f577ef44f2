//! Do the examples of docs/web-config.md work?

use std::fs;
use std::path::Path;
use std::process::Command;

use eks_nlb_exporter::expose::web_config::WebConfig;

/// The blocks of YAML whose first line starts with one of these keys.
fn examples(keys: &[&str]) -> Vec<String> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/web-config.md")).unwrap();
    let blocks = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    blocks.filter(|block| keys.iter().any(|key| block.starts_with(key))).collect()
}

#[test]
fn the_examples_of_the_page_are_read() {
    let found = examples(&["tls_server_config"]);
    assert_eq!(found.len(), 2);
    for example in found {
        WebConfig::parse(&example, Path::new("web.yml")).unwrap_or_else(|error| panic!("{error}\n{example}"));
    }
}

#[test]
fn the_scrape_configuration_of_the_page_is_one() {
    let found = examples(&["scrape_configs"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prometheus.yml");
    fs::write(&file, &found[0]).unwrap();
    let output = Command::new("promtool").args(["check", "config", "--syntax-only"]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_values_of_the_page_are_the_charts() {
    let found = examples(&["web:"]);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = "import sys, yaml, helm_python\n\
                  values = yaml.safe_load(sys.argv[2])\n\
                  with helm_python.Chart.load(sys.argv[1]) as chart:\n    \
                  chart.validate_schema(values)\n    \
                  print(chart.render(values, name='x', namespace='monitoring'))";
    let chart = root.join("deploy/helm/eks-nlb-exporter");
    let output = Command::new("python").args(["-c", script]).arg(chart).arg(&found[0]).output().unwrap();
    let words = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && words.contains("/etc/eks-nlb-exporter-tls/tls.crt"), "{words}");
}
