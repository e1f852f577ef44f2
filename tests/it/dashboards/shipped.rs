//! Do the files that bring the dashboards into Grafana carry what stands in `dashboards/`?

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::{dashboards, list, root, text};

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(root().join(path)).unwrap()).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Above it `kubectl apply` cannot keep what it applied last in an annotation.
const APPLICABLE: usize = 262_144;

#[test]
fn the_config_maps_carry_each_dashboard_unchanged_and_the_label_that_the_side_car_looks_for() {
    let all = fs::read_to_string(root().join("dashboards/configmap.yaml")).unwrap();
    let mut carried = BTreeMap::new();
    for document in all.split("\n---\n") {
        let map: Value = serde_saphyr::from_str(document).unwrap();
        assert_eq!((text(&map, "apiVersion"), text(&map, "kind")), ("v1", "ConfigMap"));
        assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
        assert!(map.to_string().len() < APPLICABLE, "{} is too large", map["metadata"]["name"]);
        for (file, text) in map["data"].as_object().unwrap() {
            assert!(carried.insert(file.clone(), text.as_str().unwrap().to_owned()).is_none(), "{file} comes twice");
        }
    }
    let files: BTreeMap<String, String> = dashboards()
        .into_iter()
        .map(|it| (format!("eks-nlb-{}", it.path.file_name().unwrap().to_str().unwrap()), it.text))
        .collect();
    assert!(carried == files, "the ConfigMaps differ from the files: run `make docs`");
}

#[test]
fn grafanas_provisioning_takes_the_folder_and_prometheus() {
    let providers = yaml("dashboards/provisioning/dashboards.yaml");
    let provider = &providers["providers"][0];
    assert_eq!((&providers["apiVersion"], text(provider, "type")), (&1.into(), "file"));
    assert_eq!(provider["options"]["path"], "/var/lib/grafana/dashboards/eks-nlb-exporter");
    let sources = yaml("dashboards/provisioning/datasources.yaml");
    let source = &sources["datasources"][0];
    assert_eq!((&sources["apiVersion"], text(source, "type"), &source["isDefault"]), (&1.into(), "prometheus", &true.into()));
    assert!(text(source, "url").starts_with("http"));
}

#[test]
fn the_documentation_counts_the_panels_and_queries_of_each_dashboard() {
    let page = fs::read_to_string(root().join("docs/grafana.md")).unwrap();
    for dashboard in dashboards() {
        let name = text(&dashboard.json, "title").trim_start_matches("EKS NLB / ").to_lowercase();
        let panels = dashboard.panels();
        let targets: Vec<_> = panels.iter().flat_map(|panel| list(panel, "targets")).collect();
        let over_time = targets.iter().filter(|target| target["range"] == true).count();
        let row = format!("| {name} | {} | {}, {over_time} |", panels.len(), targets.len());
        assert!(page.contains(&row), "docs/grafana.md lacks {row}");
        assert!(page.contains(&format!("(`{}`)", dashboard.uid())), "docs/grafana.md does not name {}", dashboard.uid());
    }
}
