use std::time::Duration;

use super::*;
use crate::checks::CHECKS;
use crate::checks::fixtures::{World, endpoint, target};
use crate::checks::model::FamilyDescription;
use crate::config::policy::Policy;
use crate::inventory::aws::TargetState;
use crate::inventory::kube::TrafficPolicy;
use crate::inventory::parts::Parts;
use crate::inventory::snapshot::{Expiry, Snapshot};

fn outcome(description: &'static FamilyDescription, samples: &[(&[&str], f64)]) -> Outcome {
    let sample = |(labels, value): &(&[&str], f64)| Sample {
        labels: labels.iter().map(|label| Label::from((*label).to_owned())).collect(),
        value: *value,
    };
    Outcome {
        evaluated_at: Timestamp::UNIX_EPOCH,
        families: vec![Family::new(description, samples.iter().map(sample).collect())],
        findings: Vec::new(),
        muted: Vec::new(),
        runs: Vec::new(),
    }
}

fn family(name: &str) -> &'static FamilyDescription {
    checks::families().find(|family| family.name == name).unwrap()
}

#[test]
fn a_series_is_found_among_those_that_begin_alike() {
    let samples: &[(&[&str], f64)] =
        &[(&["a", "x"], 1.0), (&["a", "y"], 2.0), (&["a-b", "x"], 3.0), (&["ab", "x"], 4.0), (&["b", "x"], 5.0)];
    let outcome = outcome(family("load_balancer_state"), samples);
    let families = Families::of(&outcome);
    let values = |first: &[&str]| -> Vec<f64> {
        families.samples("load_balancer_state", first).iter().map(|sample| sample.value).collect()
    };
    assert_eq!(values(&[]), [1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(values(&["a"]), [1.0, 2.0]);
    assert_eq!(values(&["a-b"]), [3.0]);
    assert_eq!(values(&["c"]), [] as [f64; 0]);
    assert_eq!(families.value("load_balancer_state", &["a", "y"]), Some(2.0));
    assert_eq!(families.value("load_balancer_state", &["a", "z"]), None);
    assert_eq!(families.value("quota_limit", &["x"]), None, "a family that was not written is unknown");
}

#[test]
#[should_panic(expected = "there is no family quota_limits")]
fn a_family_that_no_check_writes_is_a_defect() {
    let outcome = outcome(family("quota_limit"), &[]);
    Families::of(&outcome).value("quota_limits", &["x"]);
}

#[test]
fn a_number_has_a_fraction_only_where_it_has_one() {
    let written = |number| serde_json::to_string(&Number(number)).unwrap();
    assert_eq!([60.0, 2.5, -3.0, 0.0, 1e300].map(written), ["60", "2.5", "-3", "0", "1e+300"]);
}

#[test]
fn of_an_empty_picture_every_view_can_be_made_and_knows_nothing() {
    let snapshot = Snapshot::join(Parts::default(), Timestamp::UNIX_EPOCH, Expiry { max_staleness: Duration::from_secs(1800) });
    let outcome = checks::run(CHECKS, &snapshot, &Policy::default(), Timestamp::UNIX_EPOCH, || Duration::ZERO);
    let judged = Judged { snapshot: snapshot.into(), outcome: outcome.into(), policy: Arc::default() };
    let query = query::Query::default();
    let services = services::ServicesView::of(&judged, &query);
    assert_eq!((services.total, services.other_load_balancers.len()), (0, 0));
    assert_eq!(subnets::SubnetsView::of(&judged, &query).total, 0);
    assert_eq!(security_groups::SecurityGroupsView::of(&judged, &query).limit, None);
    assert!(headroom::HeadroomView::of(&judged).schemes.is_empty());
    assert!(orphans::OrphansView::of(&judged).counts.is_empty());
    let quotas = quotas::QuotasView::of(&judged, &query).quotas;
    assert!(quotas.iter().all(|quota| quota.limit.is_none() && quota.used.is_none() && quota.fullest.is_empty()));
}

/// What the list says of the zones of the fixtures' one Service.
fn failing(world: &World) -> Vec<Option<u64>> {
    let snapshot = world.snapshot();
    let outcome = checks::run(CHECKS, &snapshot, &world.policy, world.now, || Duration::ZERO);
    let judged = Judged { snapshot: snapshot.into(), outcome: outcome.into(), policy: Arc::default() };
    let view = services::ServicesView::of(&judged, &query::Query::default());
    let [web] = &view.services[..] else { panic!("{view:?}") };
    web.zones.as_ref().unwrap().iter().map(|zone| zone.failing).collect()
}

#[test]
fn how_many_targets_fail_is_a_number_only_where_it_can_be_told() {
    assert_eq!(failing(&World::healthy()), [Some(0); 3]);
    let mut world = World::healthy();
    world.state("10.0.1.10", TargetState::Unhealthy);
    assert_eq!(failing(&world), [Some(0), Some(1), Some(0)]);

    // A node without a ready pod fails by design under policy Local; where the pods are is not known.
    let mut world = World::instances();
    world.service(|service| service.external_traffic_policy = TrafficPolicy::Local);
    world.all_states(TargetState::Unhealthy);
    assert_eq!(failing(&world), [Some(1); 3]);
    world.parts.endpoint_slices = Default::default();
    assert_eq!(failing(&world), [None; 3], "it is not 0");
    world.all_states(TargetState::Healthy);
    assert_eq!(failing(&world), [Some(0); 3], "none is unhealthy, so none fails");

    // Targets outside the VPC serve every zone, and fail in every one.
    let mut world = World::healthy();
    world.health(|health| {
        let mut outside = target("192.168.0.1", Some(8080));
        outside.zone = Some("all".into());
        health.targets.push(outside);
    });
    world.slice(|slice| slice.endpoints.push(endpoint("192.168.0.1", "node-a")));
    world.state("192.168.0.1", TargetState::Unhealthy);
    assert_eq!(failing(&world), [Some(1); 3]);
}
