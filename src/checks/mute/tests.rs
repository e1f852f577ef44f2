//! A mute silences what its Service is the cause of, and nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::checks::catalogue::{DARK_ZONE, DRIFT, NO_HEALTHY_TARGET, SUBNET_LOW};
use crate::checks::model::{FindingKind, Outcome};
use crate::checks::testing::{NOW, World, at, fetched, service};
use crate::inventory::aws::TargetType;
use crate::inventory::kube::{BindingGroup, PortReference, TargetGroupBinding};
use crate::inventory::snapshot::Expiry;

/// Every kind of subject has a finding, whatever the picture.
static SPEAKS: Check = Check {
    name: "speaks",
    families: &[],
    findings: &[&NO_HEALTHY_TARGET, &DARK_ZONE, &DRIFT, &SUBNET_LOW],
    sources: &[],
    run: |_, report| {
        let mut find = |kind: &'static FindingKind, subject| report.find(kind, subject, None, "x");
        find(&NO_HEALTHY_TARGET, Subject::TargetGroup("targetgroup/p80/1".into()));
        find(&DARK_ZONE, Subject::LoadBalancer("net/one/1".into()));
        find(&DRIFT, Subject::Service(ObjectName::new("shop", "web")));
        find(&DRIFT, Subject::Service(ObjectName::new("shop", "other")));
        find(&DRIFT, Subject::TargetGroupBinding(ObjectName::new("shop", "bound")));
        find(&SUBNET_LOW, Subject::Subnet("subnet-a".into()));
    },
};

fn muted(value: &str) -> World {
    let mut world = World::of(&service("shop/web").external("ip"));
    world.parts.target_group_bindings = fetched([(
        ObjectName::new("shop", "bound"),
        TargetGroupBinding {
            name: ObjectName::new("shop", "bound"),
            group: BindingGroup::LoadBalancerController,
            created_at: at(0),
            deleted_at: None,
            target_group_arn: None,
            target_type: Some(TargetType::Ip),
            service: ObjectName::new("shop", "web"),
            service_port: PortReference::Number(80),
            networking: true,
            node_selector: None,
            multi_cluster: false,
            other_account: false,
            vpc_id: None,
            stack: None,
        },
    )]);
    if value.is_empty() { world } else { world.change_service(|s| _ = s.annotations.insert(MUTE.into(), value.into())) }
}

fn judge(world: &World) -> Outcome {
    let expiry = Expiry { max_staleness: Duration::from_secs(1_000_000_000) };
    let snapshot = Snapshot::join(world.parts.clone(), at(NOW), expiry);
    crate::checks::run(&[&SPEAKS, &CHECK], &snapshot, &world.policy, at(NOW), || Duration::ZERO)
}

fn family(outcome: &Outcome, name: &str) -> BTreeMap<String, f64> {
    let families = outcome.families.iter().filter(|family| family.description.name == name);
    let line = |sample: &Sample| {
        let labels: Vec<_> = sample.labels.iter().map(|label| label.as_str().to_owned()).collect();
        (labels.join(","), sample.value)
    };
    families.flat_map(|family| family.samples.iter().map(line)).collect()
}

fn heard(outcome: &Outcome) -> Vec<String> {
    outcome.findings.iter().map(|finding| format!("{} {}", finding.kind.code, finding.subject)).collect()
}

/// An end some days after [`NOW`], which is in January 1970.
const END: &str = "1970-02-01";

#[test]
fn without_an_annotation_everything_is_heard_and_nothing_counted_as_muted() {
    let outcome = judge(&muted(""));
    assert_eq!(outcome.findings.len(), 6);
    assert!(family(&outcome, "findings_muted").is_empty() && family(&outcome, "service_muted").is_empty());
    assert_eq!(family(&outcome, "findings")["NLB906,info"], 0.0);
}

#[test]
fn all_silences_the_service_its_load_balancer_its_group_and_its_binding() {
    let outcome = judge(&muted(&format!("all until {END}: moving")));
    assert_eq!(heard(&outcome), ["NLB501 Service shop/other", "NLB206 subnet subnet-a"]);
    let counted = family(&outcome, "findings");
    assert_eq!((counted["NLB101,critical"], counted["NLB103,critical"], counted["NLB501,warning"]), (0.0, 0.0, 1.0));
    let silenced = family(&outcome, "findings_muted");
    assert_eq!(
        silenced,
        BTreeMap::from([
            ("NLB101,critical".to_owned(), 1.0),
            ("NLB103,critical".to_owned(), 1.0),
            ("NLB501,warning".to_owned(), 2.0)
        ])
    );
    assert_eq!(family(&outcome, "service_muted"), BTreeMap::from([("shop,web,all".to_owned(), 1.0)]));
}

#[test]
fn a_code_silences_that_code_only() {
    let outcome = judge(&muted(&format!("NLB501 until {END}: known")));
    assert_eq!(
        heard(&outcome),
        [
            "NLB101 target group targetgroup/p80/1",
            "NLB103 load balancer net/one/1",
            "NLB501 Service shop/other",
            "NLB206 subnet subnet-a"
        ]
    );
    assert_eq!(family(&outcome, "service_muted"), BTreeMap::from([("shop,web,NLB501".to_owned(), 1.0)]));
}

#[test]
fn a_mute_that_cannot_be_followed_silences_nothing_and_is_told() {
    for value in
        ["all until 1970-01-02: over", "all until soon: x", "all", &format!("all until {END}"), "all until 1990-01-01: y"]
    {
        let outcome = judge(&muted(value));
        assert_eq!(outcome.findings.len(), 7, "{value}");
        let told = outcome.findings.iter().find(|finding| finding.kind.code == "NLB906").unwrap();
        assert!(told.message.starts_with("Its annotation eks-nlb-exporter.io/mute is not followed in full: \"all"), "{told:?}");
        assert!(family(&outcome, "service_muted").is_empty(), "{value}");
    }
}

#[test]
fn what_is_wrong_with_a_mute_cannot_be_muted() {
    let outcome = judge(&muted(&format!("all until {END}: moving\nNLB101 until 1970-01-02: over")));
    let message = "NLB906 Service shop/web";
    assert!(heard(&outcome).contains(&message.to_owned()), "{:?}", heard(&outcome));
}
