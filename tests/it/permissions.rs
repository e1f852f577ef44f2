//! Is what is granted what is used? The daemon runs with everything it can look at, and each call it makes is compared with the table
//! that the policy, the roles and the documentation are made from.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use eks_nlb_exporter::inventory::ids::ObjectName;
use eks_nlb_exporter::inventory::parts::source;
use eks_nlb_exporter::permissions::{AWS_ACTIONS, KUBE_ACCESS, KubeAccess, Place, UNGRANTED};
use eks_nlb_exporter::simulator::kube_api::{ALL, AUTO_MODE_TARGET_GROUP_BINDINGS, Resource};
use eks_nlb_exporter::simulator::{Operation, SimulatorSettings, WorldKind, world};
use futures::StreamExt;

use crate::faults::{Setting, annotate};
use crate::support::{eventually, exporter, get};

/// Verb, group, resource, namespace, name.
type Request = (String, String, String, Option<String>, Option<String>);

/// What the table allows, where the exporter lives in `default` and the controller in `kube-system`.
fn allowed() -> BTreeSet<Request> {
    let namespace = |place| match place {
        Place::Cluster => None,
        Place::ControllerNamespace | Place::KubeSystem => Some("kube-system".to_owned()),
        Place::OwnNamespace => Some("default".to_owned()),
    };
    let requests = |access: &'static KubeAccess| {
        access.verbs.iter().map(move |verb| {
            let name = access.name.map(str::to_owned);
            ((*verb).to_owned(), access.group.to_owned(), access.resource.to_owned(), namespace(access.place), name)
        })
    };
    KUBE_ACCESS.iter().flat_map(requests).collect()
}

fn requested(setting: &Setting) -> BTreeSet<Request> {
    let accesses = setting.simulator.kube.accesses().into_iter();
    accesses.map(|a| (a.verb.name().to_owned(), a.group.to_owned(), a.resource.to_owned(), a.namespace, a.name)).collect()
}

fn granted() -> BTreeSet<String> {
    AWS_ACTIONS.iter().map(|action| action.action).chain(UNGRANTED.iter().copied()).map(str::to_owned).collect()
}

fn called(setting: &Setting) -> BTreeSet<String> {
    let counters = &setting.simulator.counters;
    Operation::ALL.iter().filter(|operation| counters.calls(**operation) > 0).map(Operation::to_string).collect()
}

#[tokio::test]
async fn what_is_called_is_what_is_granted() {
    let mut setting = Setting::start_in(&[], |simulator| {
        annotate(simulator);
        simulator.kube.set_served(AUTO_MODE_TARGET_GROUP_BINDINGS, true);
    })
    .await;
    eventually("every action that is granted is called", Duration::from_secs(120), async || {
        let (called, granted) = (called(&setting), granted());
        if called == granted { Ok(()) } else { Err(format!("{:?}", called.symmetric_difference(&granted).collect::<Vec<_>>())) }
    })
    .await;
    // Its ConfigMap is created with the first write and updated with the last, if something was edited in between.
    eventually("the state is written", Duration::from_secs(60), async || {
        if requested(&setting).iter().any(|request| request.0 == "create") { Ok(()) } else { Err("not yet") }
    })
    .await;
    setting.simulator.world.edit(|world| {
        let web = ObjectName::new("shop", "web");
        world.annotate(&web, world::annotation("healthcheck-interval"), Some("30"), eks_nlb_exporter::clock::now()).unwrap();
    });
    setting
        .when("the edit is noticed", |scrape| scrape.family("service_edited_annotations").values().any(|count| *count > 0.0))
        .await;
    let terminate = Command::new("kill").args(["-s", "TERM", &setting.daemon.program.id().to_string()]).status();
    assert!(terminate.unwrap().success());
    assert_eq!(setting.daemon.program.wait(Duration::from_secs(20)).await, 0);
    let (requested, allowed) = (requested(&setting), allowed());
    let differing: Vec<_> = requested.symmetric_difference(&allowed).collect();
    assert!(differing.is_empty(), "requested and not allowed, or allowed and not requested: {differing:#?}");
    assert_eq!(called(&setting), granted());
}

#[tokio::test]
async fn other_clusters_need_nothing_more() {
    let kinds = [WorldKind::AutoMode, WorldKind::GatewayApi, WorldKind::DualStack, WorldKind::InTree];
    futures::stream::iter(kinds)
        .for_each_concurrent(2, async |kind| {
            let settings = SimulatorSettings { world: kind, ..SimulatorSettings::default() };
            let setting = Setting::start_world(settings, annotate).await;
            setting
                .when("it knows what there is", |scrape| {
                    scrape.family("source_up").values().filter(|up| **up == 1.0).count() > 15
                })
                .await;
            assert!(called(&setting).is_subset(&granted()), "{kind:?}: {:?}", called(&setting));
            assert!(requested(&setting).is_subset(&allowed()), "{kind:?}: {:#?}", requested(&setting));
        })
        .await;
}

#[tokio::test]
async fn a_forbidden_kind_is_named_and_the_rest_lives() {
    // Several rights may be of one kind.
    let mut kinds: Vec<&KubeAccess> = Vec::new();
    for access in KUBE_ACCESS {
        if !kinds.iter().any(|known| (known.group, known.resource) == (access.group, access.resource)) {
            kinds.push(access);
        }
    }
    assert!(kinds.iter().any(|access| access.source == source::STATE), "without its ConfigMap, too");
    futures::stream::iter(kinds).for_each_concurrent(4, forbid).await;
}

/// Requests for one kind are forbidden from the beginning.
async fn forbid(access: &'static KubeAccess) {
    let of_kind = |resource: &&Resource| resource.group == access.group && resource.plural == access.resource;
    let setting = Setting::start_in(&[], |simulator| {
        for resource in ALL.iter().filter(of_kind) {
            simulator.kube.set_forbidden(*resource, true);
        }
    })
    .await;
    let what = format!("that {} of {:?} are forbidden is reported and the others are not down", access.resource, access.group);
    setting
        .when(&what, |scrape| {
            let up = scrape.family("source_up");
            let others =
                up.iter().filter(|(labels, _)| labels["source"] != access.source && labels["source"].starts_with("kube_"));
            Setting::up(scrape, access.source) == Some(0.0)
                && others.clone().count() > 6
                && others.clone().all(|(_, up)| *up == 1.0)
        })
        .await;
    let log = setting.daemon.program.output();
    assert!(log.contains("forbidden") && log.contains(access.resource), "{}:\n{log}", access.resource);
    let findings = eventually("a finding tells it", Duration::from_secs(60), async || {
        let (_, findings) = get(&setting.daemon.url("/api/v1/findings")).await?;
        if findings.contains("NLB902") { Ok(findings) } else { Err(findings) }
    })
    .await;
    assert!(findings.contains(access.source), "{}: {findings}", access.resource);
}

#[test]
fn the_shipped_policy_is_what_the_program_prints() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (format, file) in [("json", "deploy/iam/policy.json"), ("terraform", "deploy/iam/policy.tf")] {
        let output = exporter().args(["iam-policy", "--format", format]).output().unwrap();
        assert!(output.status.success());
        let shipped = fs::read_to_string(root.join(file)).unwrap();
        assert!(String::from_utf8(output.stdout).unwrap() == shipped, "{file} is not what the program prints: run make docs");
    }
}
