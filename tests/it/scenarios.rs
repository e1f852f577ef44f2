//! Does the whole judgement of a situation read right? Plain files: a world in, an exposition and findings out.
//!
//! `tests/scenarios/CASE/parts.yaml` is what the sources know, and the moment of judgement; `expected.prom` is what `/metrics` shows of it,
//! `expected.txt` are the findings. `UPDATE_GOLDEN=1` writes the latter two; a person reads the difference.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use eks_nlb_exporter::checks::model::Outcome;
use eks_nlb_exporter::checks::{CHECKS, run_all};
use eks_nlb_exporter::config::policy::Policy;
use eks_nlb_exporter::expose::negotiate::Format;
use eks_nlb_exporter::expose::render::observed_text;
use eks_nlb_exporter::inventory::parts::Parts;
use eks_nlb_exporter::inventory::snapshot::{Expiry, Snapshot};
use jiff::Timestamp;
use serde::Deserialize;

use crate::named_tests::{Proof, Proofs};

/// The contents of a `parts.yaml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct World {
    /// The moment of judgement.
    now: Timestamp,
    /// Thresholds that differ from the defaults.
    #[serde(default)]
    policy: Policy,
    /// What the sources know.
    parts: Parts,
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut cases: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    cases.sort();
    cases
}

fn judge(case: &Path) -> Outcome {
    let text = fs::read_to_string(case.join("parts.yaml")).unwrap();
    let World { now, policy, parts } =
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", case.display()));
    let snapshot = Snapshot::join(parts, now, Expiry { max_staleness: policy.max_staleness() });
    run_all(&snapshot, &policy, now, || Duration::ZERO)
}

/// One finding a line: code, severity, subject, message, and since when.
fn findings(outcome: &Outcome) -> String {
    outcome
        .findings
        .iter()
        .map(|finding| {
            let since = finding.since.map_or(String::new(), |since| format!(" (since {since})"));
            let (kind, subject, message) = (finding.kind, &finding.subject, &finding.message);
            format!("{} {} {subject}: {message}{since}\n", kind.code, kind.severity.as_str())
        })
        .collect()
}

/// Compares with a file, or writes it. Returns what differs.
fn compare(path: &Path, actual: &str) -> Option<String> {
    #[allow(clippy::disallowed_methods, reason = "the switch of the goldens is an environment variable by custom")]
    let update = std::env::var("UPDATE_GOLDEN").is_ok_and(|value| value == "1");
    if update {
        fs::write(path, actual).unwrap();
        return None;
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    if expected == actual {
        return None;
    }
    let missing = expected.lines().filter(|line| !actual.lines().any(|other| other == *line)).map(|line| format!("- {line}"));
    let added = actual.lines().filter(|line| !expected.lines().any(|other| other == *line)).map(|line| format!("+ {line}"));
    let changed: Vec<_> = missing.chain(added).collect();
    let changed = if changed.is_empty() { "the order of lines".to_owned() } else { changed.join("\n") };
    Some(format!("{} differs (UPDATE_GOLDEN=1 rewrites it):\n{changed}\n", path.display()))
}

#[test]
fn every_scenario_is_judged_as_its_files_say() {
    let cases = cases();
    assert!(cases.len() >= 28, "scenarios are missing: {cases:?}");
    let mut differences = String::new();
    for case in cases {
        let outcome = judge(&case);
        for run in &outcome.runs {
            assert!(run.success, "{}: the check {} panicked", case.display(), run.check);
        }
        let findings = findings(&outcome);
        let text = observed_text(Format::Text, &Arc::new(outcome)).unwrap();
        differences.extend(compare(&case.join("expected.prom"), &text));
        differences.extend(compare(&case.join("expected.txt"), &findings));
    }
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn a_healthy_cluster_has_no_finding() {
    for case in cases().iter().filter(|case| case.file_name().unwrap().to_string_lossy().starts_with("healthy")) {
        assert_eq!(findings(&judge(case)), "", "{}", case.display());
    }
}

#[test]
fn no_check_writes_a_series_twice() {
    for case in cases() {
        for family in judge(&case).families {
            let mut labels: Vec<_> = family.samples.iter().map(|sample| &sample.labels).collect();
            let all = labels.len();
            labels.sort();
            labels.dedup();
            assert_eq!(labels.len(), all, "{}: {}", case.display(), family.description.name);
        }
    }
}

#[test]
fn every_family_of_target_health_zones_and_freshness_is_in_some_scenario() {
    let outcomes: Vec<_> = cases().iter().map(|case| judge(case)).collect();
    for check in CHECKS.iter().filter(|check| ["target_health", "zones", "freshness"].contains(&check.name)) {
        for description in check.families {
            let mut families = outcomes.iter().flat_map(|outcome| &outcome.families);
            assert!(
                families.any(|family| std::ptr::eq(family.description, *description) && !family.samples.is_empty()),
                "{} is in no scenario",
                description.name
            );
        }
    }
}

/// A key that the types do not know would be passed over in silence, and the scenario would show another world than it says.
#[test]
fn the_worlds_hold_no_unknown_key() {
    for case in cases() {
        let text = fs::read_to_string(case.join("parts.yaml")).unwrap();
        let written: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        let World { parts, .. } = serde_saphyr::from_str(&text).unwrap();
        let mut unknown = Vec::new();
        unknown_keys(&written["parts"], &serde_json::to_value(&parts).unwrap(), "parts", &mut unknown);
        assert!(unknown.is_empty(), "{}: {unknown:?}", case.display());
    }
}

/// Keys with a value that did not survive being read.
fn unknown_keys(written: &serde_json::Value, read: &serde_json::Value, path: &str, unknown: &mut Vec<String>) {
    use serde_json::Value::{Array, Object};
    match (written, read) {
        (Object(written), Object(read)) => {
            for (key, value) in written {
                match read.get(key) {
                    Some(read) => unknown_keys(value, read, &format!("{path}.{key}"), unknown),
                    None => unknown.push(format!("{path}.{key}")),
                }
            }
        }
        (Array(written), Array(read)) => {
            for (number, (written, read)) in written.iter().zip(read).enumerate() {
                unknown_keys(written, read, &format!("{path}[{number}]"), unknown);
            }
        }
        _ => {}
    }
}

/// What the EKS user guide's page demands, row by row (S1 to S18), and where it is shown.
const SEEDS: [(u8, &str, &[Proof]); 18] = [
    (
        1,
        "a controller of 2.7.2 or newer instead of the in-tree provider",
        &[
            Proof::Scenario("s01-controller-too-old-and-an-in-tree-service"),
            Proof::Situation("an old controller"),
            Proof::Situation("no controller"),
            Proof::Situation("an in-tree Service"),
        ],
    ),
    (
        2,
        "up to 2.1.1 subnets need the cluster tag",
        &[Proof::Scenario("s02-cluster-tag-required-up-to-2-1-1"), Proof::Test("rules_follow_version_and_gates")],
    ),
    (
        3,
        "one subnet a zone, eight free addresses",
        &[
            Proof::Scenario("s03-subnets-of-a-zone-and-eight-addresses"),
            Proof::Test("step_4_a_zone_takes_the_clusters_own_subnet_first_and_then_the_smallest_id"),
            Proof::Situation("a zone's subnets are full"),
            Proof::Situation("all public subnets are full"),
        ],
    ),
    (
        4,
        "role tags and cluster tags of subnets",
        &[
            Proof::Scenario("s04-role-and-cluster-tags"),
            Proof::Situation("the role tags of one scheme are gone in a zone for a wrong value"),
            Proof::Situation("a private subnet tagged for public load balancers"),
            Proof::Situation("the cluster's tag on subnets is another's"),
        ],
    ),
    (
        5,
        "the annotations of the controller and of the in-tree provider differ",
        &[
            Proof::Scenario("s05-annotations-of-another-controller-and-wrong-ones"),
            Proof::Test("an_annotation_younger_than_the_controller_is_not_read"),
            Proof::Situation("a Service that nobody owns"),
        ],
    ),
    (
        6,
        "another CNI has instance targets only",
        &[
            Proof::Scenario("s06-another-cni-with-ip-targets"),
            Proof::Test("each_rule_speaks_where_it_is_broken_and_is_silent_where_it_is_not"),
            Proof::Test("auto_mode_nodes_have_the_vpc_cni_built_in_s6"),
        ],
    ),
    (7, "additional tags", &[Proof::Scenario("s07-additional-tags"), Proof::Situation("a tag was taken away")]),
    (
        8,
        "as many Elastic IPs as subnets",
        &[
            Proof::Scenario("s08-as-many-elastic-ips-as-subnets"),
            Proof::Situation("every Elastic IP in use"),
            Proof::Test("each_rule_speaks_where_it_is_broken_and_is_silent_where_it_is_not"),
        ],
    ),
    (
        9,
        "rules of the nodes' security group",
        &[
            Proof::Scenario("s09-no-room-for-the-rules-of-one-more"),
            Proof::Situation("the nodes' group is full"),
            Proof::Situation("the nodes' group is nearly full"),
            Proof::Situation("IPv6 rules fill the nodes' group"),
        ],
    ),
    (
        10,
        "ways out of the rule quota, with this cluster's numbers",
        &[
            Proof::Scenario("s10-rules-run-low-and-what-one-more-costs"),
            Proof::Test("an_endpoint_group_warns_at_ninety_percent_and_pages_when_nothing_is_left"),
        ],
    ),
    (
        11,
        "at most 1,024 back ends with Windows",
        &[
            Proof::Scenario("s11-more-than-1024-back-ends-with-windows"),
            Proof::Test("windows_back_ends_are_counted_once_though_they_have_two_addresses_s11"),
        ],
    ),
    (
        12,
        "several load balancers of one Service",
        &[
            Proof::Scenario("s12-two-load-balancers-after-a-migration"),
            Proof::Situation("a load balancer that is being replaced: the old one drains"),
            Proof::Test("an_in_tree_load_balancer_beside_the_controllers_is_a_duplicate_s12"),
        ],
    ),
    (
        13,
        "type external with a target type, the legacy nlb-ip",
        &[
            Proof::Scenario("s13-the-legacy-type-and-a-missing-target-type"),
            Proof::Test("every_row_of_2_2"),
            Proof::Test("a_service_that_nobody_owns_is_found_2_2_s13"),
        ],
    ),
    (
        14,
        "IPv6 needs address targets and dualstack",
        &[
            Proof::Scenario("s14-ipv6-without-dualstack-and-ip-targets"),
            Proof::Situation("a dual-stack Service with IPv6 targets"),
            Proof::Test("t30_an_ipv6_group_is_told_by_the_service_and_not_by_the_load_balancer"),
        ],
    ),
    (
        15,
        "never edit annotations after creation",
        &[
            Proof::Scenario("s15-annotations-edited-after-creation"),
            Proof::Test("what_is_read_at_creation_only_is_edited_in_vain_1_4_t2"),
            Proof::Test("a_plain_edit_is_information_with_what_and_when"),
        ],
    ),
    (
        16,
        "Fargate: address targets in private subnets only",
        &[
            Proof::Scenario("s16-pods-on-fargate"),
            Proof::Situation("pods on Fargate"),
            Proof::Test("each_rule_speaks_where_it_is_broken_and_is_silent_where_it_is_not"),
        ],
    ),
    (
        17,
        "all targets healthy and registered",
        &[
            Proof::Scenario("s17-a-failing-and-a-missing-target"),
            Proof::Scenario("missing-target"),
            Proof::Scenario("crashing-service"),
            Proof::Scenario("healthy-policy-local"),
        ],
    ),
    (
        18,
        "Service, load balancer, listener and target group are joined by tags",
        &[
            Proof::Scenario("s18-joined-by-tags-and-not-by-name"),
            Proof::Test("each_tag_family_names_its_owner"),
            Proof::Test("t32_a_shared_host_name_makes_no_load_balancer_ones_own"),
        ],
    ),
];

#[test]
fn every_row_of_the_user_guide_is_shown_somewhere() {
    let numbers: Vec<u8> = SEEDS.iter().map(|(number, _, _)| *number).collect();
    assert_eq!(numbers, (1..=18).collect::<Vec<u8>>());
    let proofs = Proofs::read();
    let cases: Vec<String> = cases().iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    let mut problems = Vec::new();
    for (number, what, covers) in SEEDS {
        // Each row has a folder of its own, which is called after it.
        let prefix = format!("s{number:02}-");
        let folders = cases.iter().filter(|name| name.starts_with(&prefix));
        let named = |folder: &String| covers.iter().any(|it| matches!(it, Proof::Scenario(name) if name == folder));
        let (named, others): (Vec<_>, Vec<_>) = folders.partition(|folder| named(folder));
        if named.len() != 1 || !others.is_empty() {
            problems.push(format!("S{number}, {what}: named folders {named:?}, others {others:?}"));
        }
        problems.extend(covers.iter().filter_map(|it| proofs.problem(*it)).map(|it| format!("S{number}, {what}: {it}")));
    }
    assert!(problems.is_empty(), "{problems:#?}");
}
