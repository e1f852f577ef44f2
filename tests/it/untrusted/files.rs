//! What do files say that somebody wrote by hand, by mistake or on purpose? Each is read whole, or refused in one sentence that names
//! the place.

use std::io::Write;
use std::path::Path;

use eks_nlb_exporter::config::Config;
use eks_nlb_exporter::report::plan::manifests;
use eks_nlb_exporter::report::snapshot::{SnapshotError, pack, unpack};
use eks_nlb_exporter::report::{ignore, redact};
use eks_nlb_exporter::rules::thresholds::Overrides;
use eks_nlb_exporter::rules::{Links, Rules};
use eks_nlb_exporter::sources::kube::{KubeSettings, client};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::mutation::{damage, damaged, damaged_text, edited, edits, in_time, odd_text, one_in};
use super::pictures::recorded_parts;

/// One sentence of readable length.
fn is_a_sentence(words: &str) {
    assert!(words.trim_end().lines().count() == 1 && words.chars().count() < 3_000, "{} bytes: {words:.2000}", words.len());
    assert!(!words.contains('\u{1b}'), "it steers the terminal: {words:?}");
}

const CONFIG: &str = "cluster_name: prod # the one\naws:\n  region: eu-west-1\n  endpoint_url: http://127.0.0.1:1\n  vpc_id: vpc-1\n\
    \x20 requests_per_second: {ec2: 2.5, elasticloadbalancing: 4}\n  refresh_seconds: {quotas: 3600}\n  describe_cluster: false\n\
    kubernetes:\n  context: prod\npolicy:\n  target_series: all\n  max_staleness_seconds: 1800\n  quota_warning_ratio: 0.8\n\
    \x20 quota_overrides: {rules_per_security_group: 120}\n  service_labels: [team, app.kubernetes.io/name]\n\
    \x20 load_balancer_cost: {zones: 3}\nalerting:\n  alertmanagers:\n  - url: http://am:9093\n  external_labels: {cluster: prod}\n";

fn config(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("c.yml")).map_err(|error| error.to_string())
}

/// What was taken can be written down and taken again.
fn config_lives(text: &str) {
    match config(text) {
        Ok(read) => assert_eq!(config(&serde_saphyr::to_string(&read).unwrap()).as_ref(), Ok(&read)),
        Err(words) => {
            is_a_sentence(&words);
            assert!(words.contains("c.yml"), "{words}");
        }
    }
}

#[test]
fn the_untrusted_configuration_is_good_before_it_is_damaged() {
    config(CONFIG).unwrap();
}

const MANIFESTS: &str = "# two\napiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  namespace: shop\n  annotations:\n\
    \x20   service.beta.kubernetes.io/aws-load-balancer-type: external\n\
    \x20   \"service.beta.kubernetes.io/aws-load-balancer-attributes\": 'a=b,c=d'\n\
    spec:\n  type: LoadBalancer\n  loadBalancerClass: service.k8s.aws/nlb\n  ports: [{port: 80, targetPort: http}]\n---\n\
    kind: List\napiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {name: &x a, labels: {app: *x}}\n\
    \x20 spec:\n    ports:\n    - port: 443\n      protocol: TCP\n- {kind: ConfigMap, apiVersion: v1, metadata: {name: c}}\n";

fn manifests_live(text: &str) {
    match manifests::read("x.yaml", text, "default", Timestamp::UNIX_EPOCH) {
        Ok(found) => {
            let lines = text.lines().count().max(1);
            for manifest in found {
                assert!((1..=lines).contains(&manifest.line), "line {} of {lines}", manifest.line);
                assert!(!manifest.service.ports.iter().any(|port| port.port == 0));
            }
        }
        Err(error) => {
            is_a_sentence(&error.to_string());
            let line: usize = error.to_string().split(':').nth(1).unwrap().parse().unwrap();
            assert!((1..=text.lines().count()).contains(&line), "{error}");
        }
    }
}

const IGNORES: &str =
    "- code: NLB601\n  subject: shop/web\n  reason: the old name stays\n  until: 2026-12-31\n- {code: nlb101, reason: x}\n";

fn ignores_live(text: &str) {
    match ignore::read(text) {
        Ok(entries) => {
            assert!(entries.iter().all(|entry| entry.code.starts_with("NLB") || entry.code.starts_with("PLN")));
            assert!(entries.iter().all(|entry| !entry.reason.trim().is_empty()));
        }
        Err(error) => is_a_sentence(&error.to_string()),
    }
}

const THRESHOLDS: &str = "EksNlbTargetsMissing:\n  warning:\n    threshold: 3\n";

proptest! {
    #[test]
    fn an_untrusted_configuration_is_whole_or_refused_with_its_place(damage in damage()) {
        config_lives(&damaged_text(CONFIG, &damage));
    }

    #[test]
    fn an_untrusted_configuration_of_another_structure_is_whole_or_refused(edits in edits()) {
        let tree: Value = serde_saphyr::from_str(CONFIG).unwrap();
        config_lives(&serde_json::to_string(&edited(&tree, &edits)).unwrap());
    }

    #[test]
    fn untrusted_manifests_are_read_or_refused_with_their_line(damage in damage()) {
        manifests_live(&damaged_text(MANIFESTS, &damage));
    }

    #[test]
    fn untrusted_manifests_of_another_structure_are_read_or_refused(edits in edits()) {
        for document in MANIFESTS.split("---\n") {
            let tree: Value = serde_saphyr::from_str(document).unwrap();
            manifests_live(&serde_json::to_string_pretty(&edited(&tree, &edits)).unwrap());
        }
    }

    #[test]
    fn an_untrusted_ignore_file_hides_nothing_without_a_code_and_a_reason(damage in damage()) {
        ignores_live(&damaged_text(IGNORES, &damage));
    }

    #[test]
    fn an_untrusted_ignore_flag_is_a_known_code_or_refused(code in "(NLB101|nlb|PLN001|[A-Z0-9]{0,4})", subject in odd_text()) {
        if let Ok(ignore) = format!("{code}:{subject}").parse::<ignore::Ignore>() {
            prop_assert!(ignore.code == "NLB101" || ignore.code == "PLN001");
            prop_assert!(ignore.subject.is_some_and(|subject| !subject.is_empty()));
        }
    }

    #[test]
    fn untrusted_thresholds_make_rules_or_a_sentence(damage in damage()) {
        if let Ok(overrides) = serde_saphyr::from_str::<Overrides>(&damaged_text(THRESHOLDS, &damage))
            && let Err(error) = Rules::new(&overrides, &Links::default())
        {
            is_a_sentence(&error.to_string());
        }
    }

    #[test]
    fn an_untrusted_url_is_one_that_can_be_called(text in odd_text(), damage in damage()) {
        for text in [text, damaged_text("https://[::1]:9093/alertmanager", &damage)] {
            if eks_nlb_exporter::config::check_url(&text).is_ok() {
                let url: http::Uri = text.parse().unwrap();
                prop_assert!(matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some_and(|host| !host.is_empty()));
            }
        }
    }
}

proptest! {
    #![proptest_config(one_in(4))]

    #[test]
    fn a_damaged_untrusted_picture_is_refused_and_never_another_one(damage in damage()) {
        let good = pack(&recorded_parts()[0].1, Timestamp::UNIX_EPOCH, false).unwrap();
        match unpack(&damaged(&good, &damage)) {
            // A flag or the time in gzip's header may be anything, and so may what follows.
            Ok(read) => {
                let whole = unpack(&good).unwrap();
                prop_assert_eq!(serde_json::to_value(&read.parts).unwrap(), serde_json::to_value(&whole.parts).unwrap());
            }
            Err(error) => is_a_sentence(&error.to_string()),
        }
    }

    #[test]
    fn untrusted_pictures_are_redacted_whatever_is_in_them(edits in edits()) {
        let parts = serde_json::to_value(&recorded_parts()[0].1).unwrap();
        let mut tree = edited(&parts, &edits);
        redact::redact(&mut tree);
        if tree["scope"]["account_id"].is_string() && parts["scope"]["account_id"].is_string() {
            let account = parts["scope"]["account_id"].as_str().unwrap();
            prop_assert!(!tree.to_string().contains(&format!(":{account}:")), "an ARN names the account");
        }
    }

    #[test]
    fn an_untrusted_kubeconfig_is_a_client_or_a_named_error(damage in damage()) {
        let text = "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters:\n- name: a\n  cluster: {server: 'http://127.0.0.1:1'}\n\
            contexts:\n- name: a\n  context: {cluster: a, user: a}\nusers:\n- name: a\n  user: {token: c2VjcmV0}\n";
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), damaged(text.as_bytes(), &damage)).unwrap();
        let settings = KubeSettings { kubeconfig: Some(file.path().to_owned()), ..KubeSettings::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        if let Err(error) = runtime.block_on(client(&settings)) {
            prop_assert!(!error.to_string().contains("c2VjcmV0"), "{error}");
        }
    }
}

fn packed(write: impl FnOnce(&mut dyn Write)) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    write(&mut packer);
    packer.finish().unwrap()
}

#[test]
fn an_untrusted_picture_that_unpacks_to_gigabytes_is_refused_without_their_memory() {
    let block = vec![b' '; 1 << 20];
    let bomb = packed(|packer| (0..513).for_each(|_| packer.write_all(&block).unwrap()));
    assert!(bomb.len() < 16 << 20);
    let before = peak();
    let error = in_time("unpacking", move || unpack(&bomb)).unwrap_err();
    assert!(matches!(error, SnapshotError::TooLarge(_)), "{error}");
    is_a_sentence(&error.to_string());
    // Other tests of this process use some meanwhile.
    assert!(peak() < before + (300 << 20), "{} bytes more", peak() - before);
}

/// The most memory that this process had so far, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn untrusted_files_of_endless_depth_or_expansion_are_refused_in_time() {
    let mut laughs = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (one, next) in "abcdefghij".chars().zip("bcdefghijk".chars()) {
        laughs.push_str(&format!("{next}: &{next} [*{one},*{one},*{one},*{one},*{one},*{one},*{one},*{one},*{one}]\n"));
    }
    let bombs = [
        laughs,
        "a: &a\n  b: *a\n".to_owned(),
        "[".repeat(100_000),
        "{a: ".repeat(50_000),
        "- ".repeat(50_000),
        "a:\n ".to_owned() + &"? ".repeat(50_000),
        "&a ".repeat(100_000),
        "<<: ".repeat(10_000),
        format!("a: \"{}", "\\u0041".repeat(200_000)),
        "---\n".repeat(300_000),
    ];
    for bomb in bombs {
        in_time("a YAML bomb", move || {
            for read in [
                config(&bomb).err(),
                ignore::read(&bomb).err().map(|error| error.to_string()),
                manifests::read("x.yaml", &bomb, "default", Timestamp::UNIX_EPOCH).err().map(|error| error.to_string()),
            ]
            .into_iter()
            .flatten()
            {
                is_a_sentence(&read);
            }
        });
    }
    let deep = packed(|packer| packer.write_all(&[br#"{"header":"#, "[".repeat(200_000).as_bytes()].concat()).unwrap());
    assert!(["damaged", "foreign"].contains(&unpack(&deep).unwrap_err().category()));
}

#[test]
fn an_untrusted_manifest_with_a_whole_clusters_services_is_read_in_time() {
    let annotations =
        json!((0..20).map(|n| (format!("example.com/annotation-{n}"), json!("x"))).collect::<serde_json::Map<_, _>>());
    let service = |n: usize| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": format!("web-{n}"), "annotations": annotations},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}})
    };
    let list = json!({"kind": "List", "apiVersion": "v1", "items": (0..2_000).map(service).collect::<Vec<_>>()});
    let text = serde_json::to_string_pretty(&list).unwrap();
    let found = in_time("two thousand Services", move || manifests::read("x.yaml", &text, "default", Timestamp::UNIX_EPOCH));
    let found = found.unwrap();
    assert_eq!(found.len(), 2_000);
    assert!(found.windows(2).all(|pair| pair[0].line < pair[1].line), "each has its own line");
}
