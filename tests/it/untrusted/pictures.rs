//! Can a picture that somebody sent be judged, whatever is in it? Recorded pictures with values of other kinds and sizes in them: each
//! is refused when it is read, or judged by every check without a fall, and told in text that is what it says it is.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use eks_nlb_exporter::checks::lint::known::Known;
use eks_nlb_exporter::checks::lint::lint;
use eks_nlb_exporter::checks::run_all;
use eks_nlb_exporter::config::policy::Policy;
use eks_nlb_exporter::controller::annotations::{PREFIX, name};
use eks_nlb_exporter::controller::settings::Settings;
use eks_nlb_exporter::expose::negotiate::Format;
use eks_nlb_exporter::expose::render::observed_text;
use eks_nlb_exporter::inventory::parts::Parts;
use eks_nlb_exporter::inventory::snapshot::{Expiry, Snapshot};
use eks_nlb_exporter::report::findings::{Screen, as_json, as_markdown, as_table};
use eks_nlb_exporter::report::verdict::Verdict;
use eks_nlb_exporter::sources::kube::manifest;
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::mutation::{edited, edits, in_time, odd_text, one_in};
use crate::exposition_text::problems;

/// The pictures of the scenarios, with the moment of their judgement.
pub(super) fn recorded_parts() -> &'static [(Timestamp, Parts)] {
    static ALL: LazyLock<Vec<(Timestamp, Parts)>> = LazyLock::new(|| {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
        let mut paths: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path().join("parts.yaml")).collect();
        paths.sort();
        let read = |path: &std::path::PathBuf| {
            let tree: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
            (tree["now"].as_str().unwrap().parse().unwrap(), serde_json::from_value(tree["parts"].clone()).unwrap())
        };
        paths.iter().filter(|path| path.exists()).map(read).collect()
    });
    &ALL
}

static TREES: LazyLock<Vec<Value>> =
    LazyLock::new(|| recorded_parts().iter().map(|(_, parts)| serde_json::to_value(parts).unwrap()).collect());

/// Judges it and says it in every form.
fn judge_and_tell(parts: Parts, now: Timestamp) {
    let policy = Policy::default();
    let snapshot = Snapshot::join(parts, now, Expiry { max_staleness: policy.max_staleness() });
    let outcome = Arc::new(run_all(&snapshot, &policy, now, || Duration::ZERO));
    let fallen: Vec<_> = outcome.runs.iter().filter(|run| !run.success).map(|run| run.check).collect();
    assert!(fallen.is_empty(), "{fallen:?} fell");
    let problems = problems(&observed_text(Format::Text, &outcome).unwrap(), false);
    assert!(problems.is_empty(), "{problems:?}");
    for finding in &outcome.findings {
        assert!(finding.message.len() < 20_000, "{} has {} bytes", finding.kind.code, finding.message.len());
    }
    let verdict = Verdict::of(&outcome, &snapshot.parts, &Default::default(), Vec::new(), now);
    let scope = &snapshot.parts.scope;
    let table = as_table(&verdict, scope, Screen::default());
    assert!(table.chars().all(|letter| letter == '\n' || !letter.is_control()), "a control character in {table:?}");
    as_markdown(&verdict, scope);
    serde_json::from_str::<Value>(&as_json(&verdict, scope, eks_nlb_exporter::checks::model::Severity::Info)).unwrap();
}

#[test]
fn the_untrusted_pictures_are_good_before_they_are_edited() {
    assert!(recorded_parts().len() > 20);
    for (now, parts) in recorded_parts() {
        judge_and_tell(parts.clone(), *now);
    }
}

fn controllers() -> Vec<Parts> {
    ["2.4.0", "2.14.0", "3.5.0"]
        .map(|version| {
            let deployment = json!({"name": "kube-system/c", "image": "x", "flags": {}, "replicas": 1, "available_replicas": 1,
                "version": version});
            serde_json::from_value(json!({"controllers": {"value": {"kube-system/c": deployment},
                "fetched_at": "2026-11-24T12:00:00Z"}}))
            .unwrap()
        })
        .into()
}

fn service(annotations: &serde_json::Map<String, Value>) -> eks_nlb_exporter::inventory::kube::Service {
    let object = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop", "annotations": annotations},
        "spec": {"type": "LoadBalancer", "loadBalancerClass": "service.k8s.aws/nlb",
            "ports": [{"name": "http", "port": 80, "targetPort": "http"}, {"name": "dns", "port": 53, "protocol": "UDP"}]},
    });
    manifest(object, "default", Timestamp::UNIX_EPOCH).unwrap()
}

/// Problems as every version of the controller sees them.
fn lint_as_all(annotations: &serde_json::Map<String, Value>) {
    let service = service(annotations);
    for parts in controllers() {
        let settings = Settings::in_cluster(&parts);
        for problem in lint(&service, settings, &Known::default()) {
            assert!(problem.message.len() < 5_000, "{} bytes: {:.300}", problem.message.len(), problem.message);
            assert!(!problem.message.contains(['\n', '\u{1b}']), "{:?}", problem.message);
        }
    }
}

proptest! {
    #![proptest_config(one_in(2))]

    #[test]
    fn an_untrusted_picture_is_refused_or_judged_without_a_fall(which: Index, edits in edits()) {
        let tree = which.get(&TREES);
        let now = recorded_parts()[which.index(TREES.len())].0;
        if let Ok(parts) = serde_json::from_value::<Parts>(edited(tree, &edits)) {
            judge_and_tell(parts, now);
        }
    }

    #[test]
    fn untrusted_annotations_are_linted_in_short_sentences(
        annotations in proptest::collection::vec((0..name::ALL.len(), "(\\.[A-Z0-9-]{0,8})?", odd_text(), odd_text()), 0..8),
    ) {
        let annotations = annotations.into_iter().map(|(at, suffix, one, other)| {
            (format!("{PREFIX}{}{suffix}", name::ALL[at]), Value::from(format!("{one}{other}")))
        });
        lint_as_all(&annotations.collect());
    }
}

#[test]
fn an_untrusted_annotation_of_the_longest_size_is_linted_and_judged_in_time() {
    for piece in [",", "a=b,", "=", "\\", "10.0.0.0/8,", "a,", " ", "80:x,", "\u{e4}", "{", "subnet-1,", "0.0.0.0/0,x,"] {
        in_time("an annotation of 60 kB", move || {
            for short in name::ALL {
                let value = piece.repeat(60_000 / piece.len());
                lint_as_all(&[(format!("{PREFIX}{short}"), Value::from(value))].into_iter().collect());
            }
        });
    }
    let many: serde_json::Map<String, Value> =
        (0..4_000).map(|n| (format!("{PREFIX}aws-load-balancer-schem{n}"), Value::from("x"))).collect();
    in_time("a Service with 4,000 annotations", move || lint_as_all(&many));
}
