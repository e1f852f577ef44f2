//! Is only that asked which some Service speaks of, is it forgotten when none does any more, and does its failure stay its
//! own? In paused time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::fake::{Answer, Call, error, result, until};
use super::pace::{Log, count, healthy, lb, run};
use super::{store, succeeded};
use crate::clock;
use crate::inventory::aws::CapacityReservation;
use crate::inventory::ids::{Arn, LoadBalancerId, ObjectName};
use crate::inventory::kube::Service;
use crate::inventory::part::{FailureCategory, Part};
use crate::inventory::parts::{Parts, source};
use crate::sources::store::Store;

/// Load balancers of the world of these tests; each has a TLS listener on 443 and a TCP listener on 80.
const SIZE: usize = 12;

fn listener(n: usize, port: u16) -> Arn {
    Arn::new(format!("arn:aws:elasticloadbalancing:us-east-1:1:listener/net/lb{n}/1/{port}"))
}

fn id(n: usize) -> LoadBalancerId {
    LoadBalancerId::new(format!("net/lb{n}/1"))
}

/// Such a world as AWS tells it.
fn listening(call: &Call) -> Answer {
    let member = |content: &str| format!("<member>{content}</member>");
    match call.action.as_str() {
        "DescribeListeners" => {
            let n: usize = (0..SIZE).find(|n| lb(*n) == call.get("LoadBalancerArn")).expect("one of ours");
            let one = |port, protocol| {
                let arn = listener(n, port);
                member(&format!("<ListenerArn>{arn}</ListenerArn><Port>{port}</Port><Protocol>{protocol}</Protocol>"))
            };
            result("DescribeListeners", &format!("<Listeners>{}{}</Listeners>", one(443, "TLS"), one(80, "TCP")))
        }
        "DescribeTags" if call.members("ResourceArns").iter().any(|arn| arn.contains(":listener/")) => {
            let one = |arn: &&str| {
                let tag = member("<Key>team</Key><Value>edge</Value>");
                member(&format!("<ResourceArn>{arn}</ResourceArn><Tags>{tag}</Tags>"))
            };
            let all: String = call.members("ResourceArns").iter().map(one).collect();
            result("DescribeTags", &format!("<TagDescriptions>{all}</TagDescriptions>"))
        }
        "DescribeListenerCertificates" => {
            let one =
                |arn, default: bool| member(&format!("<CertificateArn>{arn}</CertificateArn><IsDefault>{default}</IsDefault>"));
            // In two pages.
            let (page, marker) = match call.get("Marker") {
                "" => (one("default", true) + &one("a", false), "<NextMarker>more</NextMarker>"),
                _ => (one("b", false), ""),
            };
            result(&call.action, &format!("<Certificates>{page}</Certificates>{marker}"))
        }
        "DescribeListenerAttributes" => {
            let one = member("<Key>tcp.idle_timeout.seconds</Key><Value>400</Value>");
            result(&call.action, &format!("<Attributes>{one}</Attributes>"))
        }
        "DescribeCapacityReservation" => {
            let units = "<CapacityUnits>2750</CapacityUnits>";
            result(&call.action, &format!("<MinimumLoadBalancerCapacity>{units}</MinimumLoadBalancerCapacity>"))
        }
        _ => healthy(SIZE)(call),
    }
}

fn service(n: usize, annotations: &[(&str, &str)]) -> (ObjectName, Arc<Service>) {
    let name = ObjectName::new("shop", format!("s{n}"));
    let text = format!(r#"{{"name":"{name}","uid":"u","created_at":"2026-01-01T00:00:00Z","service_type":"LoadBalancer"}}"#);
    let mut service: Service = serde_json::from_str(&text).unwrap();
    let key = |short: &str| format!("service.beta.kubernetes.io/aws-load-balancer-{short}").into();
    service.annotations = annotations.iter().map(|(short, value)| (key(short), (*value).into())).collect();
    (name, Arc::new(service))
}

/// Of all Services four speak, each of another thing; a fifth says nothing at length.
fn services() -> BTreeMap<ObjectName, Arc<Service>> {
    let mut all: BTreeMap<_, _> = (0..SIZE).map(|n| service(n, &[("scheme", "internal")])).collect();
    all.extend([
        service(0, &[("ssl-cert", "arn:aws:acm:us-east-1:1:certificate/0")]),
        service(1, &[("listener-attributes.TCP-80", "tcp.idle_timeout.seconds=400")]),
        service(2, &[("minimum-load-balancer-capacity", "CapacityUnits=2750")]),
        service(3, &[("additional-resource-tags", "team=edge")]),
        service(4, &[("ssl-cert", " "), ("additional-resource-tags", ""), ("minimum-load-balancer-capacity", "")]),
    ]);
    all
}

fn put(store: &Store, services: BTreeMap<ObjectName, Arc<Service>>) {
    store.update(|parts| parts.services = Part::fetched(services, clock::now()));
}

fn annotated() -> Store {
    let store = store();
    put(&store, services());
    store
}

const OWN: [&str; 3] = [source::LISTENER_CERTIFICATES, source::LISTENER_ATTRIBUTES, source::CAPACITY_RESERVATIONS];

fn all_read(parts: &Parts) -> bool {
    OWN.iter().all(|name| succeeded(parts, name) && parts.sources[*name].missing == 0)
        && succeeded(parts, source::TAGS)
        && parts.sources[source::TAGS].missing == 0
        && succeeded(parts, source::TARGET_GROUP_ATTRIBUTES)
}

/// Which ARNs an action was asked about.
fn asked(log: &Log, action: &str, parameter: &str) -> Vec<String> {
    let log = log.lock().unwrap();
    log.iter().filter(|(_, call)| call.action == action).map(|(_, call)| call.get(parameter).to_owned()).collect()
}

/// The batches of tag calls that hold listeners.
fn listener_batches(log: &Log) -> Vec<BTreeSet<String>> {
    let log = log.lock().unwrap();
    let batches = log.iter().filter(|(_, call)| call.action == "DescribeTags");
    let batches = batches.map(|(_, call)| call.members("ResourceArns").iter().map(|arn| (*arn).to_owned()).collect());
    batches.filter(|batch: &BTreeSet<String>| batch.iter().any(|arn| arn.contains(":listener/"))).collect()
}

#[tokio::test(start_paused = true)]
async fn only_what_a_service_speaks_of_is_asked() {
    let store = annotated();
    let log = run(listening, &store).await;
    let parts = until(&store, "all is read", |parts| all_read(parts) && !parts.listener_certificates.is_empty()).await;
    assert_eq!(asked(&log, "DescribeListenerCertificates", "ListenerArn"), vec![listener(0, 443).to_string(); 2], "two pages");
    assert_eq!(asked(&log, "DescribeListenerAttributes", "ListenerArn"), [listener(1, 80).to_string()]);
    assert_eq!(asked(&log, "DescribeCapacityReservation", "LoadBalancerArn"), [lb(2)]);
    let batch: BTreeSet<String> = [80, 443].map(|port| listener(3, port).to_string()).into();
    assert_eq!(listener_batches(&log), [batch], "both listeners in one call, and nobody else in it");

    assert_eq!(parts.listener_certificates.keys().collect::<Vec<_>>(), [&listener(0, 443)]);
    assert_eq!(parts.listener_certificates[&listener(0, 443)].get(), Some(&["a".into(), "b".into()].into()));
    assert_eq!(parts.listener_attributes.keys().collect::<Vec<_>>(), [&listener(1, 80)]);
    assert_eq!(&*parts.listener_attributes[&listener(1, 80)].get().unwrap()["tcp.idle_timeout.seconds"], "400");
    assert_eq!(parts.capacity_reservations.keys().collect::<Vec<_>>(), [&id(2)]);
    assert_eq!(parts.capacity_reservations[&id(2)].get(), Some(&CapacityReservation { capacity_units: 2750 }));
    assert_eq!(parts.tags.len(), 2 * SIZE + 2);
    assert_eq!(&*parts.tags[&listener(3, 80)].get().unwrap()["team"], "edge");
}

#[tokio::test(start_paused = true)]
async fn where_nobody_speaks_nothing_is_asked_and_nothing_is_wanting() {
    let store = store();
    put(&store, (0..SIZE).map(|n| service(n, &[])).collect());
    let log = run(listening, &store).await;
    until(&store, "all is read", all_read).await;
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    for action in ["DescribeListenerCertificates", "DescribeListenerAttributes", "DescribeCapacityReservation"] {
        assert_eq!(count(&log, action), 0, "{action}");
    }
    assert!(listener_batches(&log).is_empty());
    let parts = store.read();
    for name in OWN {
        let age = clock::now().duration_since(parts.sources[name].last_success.unwrap());
        assert!(age.as_secs() < 3_600 && parts.sources[name].failure.is_none(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_what_is_spoken_of_costs_what_the_plan_says() {
    let store = annotated();
    let log = run(listening, &store).await;
    until(&store, "all is read", |parts| all_read(parts) && !parts.capacity_reservations.is_empty()).await;
    log.lock().unwrap().clear();
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    // Certificates every half hour in two pages, the others every hour, tags of listeners every quarter.
    let certificates = count(&log, "DescribeListenerCertificates");
    assert!((2..=6).contains(&certificates), "{certificates}");
    for action in ["DescribeListenerAttributes", "DescribeCapacityReservation"] {
        assert!((0..=2).contains(&count(&log, action)), "{action}: {}", count(&log, action));
    }
    let batches = listener_batches(&log).len();
    assert!((3..=5).contains(&batches), "{batches}");
}

#[tokio::test(start_paused = true)]
async fn what_no_service_speaks_of_any_more_is_forgotten() {
    let store = annotated();
    let log = run(listening, &store).await;
    until(&store, "all is read", |parts| all_read(parts) && !parts.capacity_reservations.is_empty()).await;
    put(&store, (0..SIZE).map(|n| service(n, &[])).collect());
    let parts = until(&store, "it is forgotten", |parts| {
        parts.listener_certificates.is_empty()
            && parts.listener_attributes.is_empty()
            && parts.capacity_reservations.is_empty()
            && parts.tags.len() == 2 * SIZE
    })
    .await;
    assert!(OWN.iter().all(|name| parts.sources[*name].failure.is_none() && parts.sources[*name].missing == 0));
    log.lock().unwrap().clear();
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(count(&log, "DescribeListenerCertificates") + listener_batches(&log).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_edit_is_read_at_once_and_again_when_the_controller_has_acted_and_when_it_counts() {
    let store = annotated();
    let log = run(listening, &store).await;
    until(&store, "all is read", |parts| all_read(parts) && !parts.capacity_reservations.is_empty()).await;
    tokio::time::sleep(Duration::from_secs(400)).await;
    log.lock().unwrap().clear();
    let mut edited = services();
    edited.extend([service(7, &[("listener-attributes.TCP-80", "tcp.idle_timeout.seconds=400")])]);
    put(&store, edited);
    let edit = Instant::now();
    tokio::time::sleep(Duration::from_secs(330)).await;
    let log = log.lock().unwrap();
    let of_seven = log.iter().filter(|(_, call)| call.get("ListenerArn") == listener(7, 80).as_str());
    let seconds: Vec<u64> = of_seven.map(|(at, _)| (*at - edit).as_secs()).collect();
    assert_eq!(seconds.len(), 4, "{seconds:?}");
    for (at, least) in seconds.iter().zip([0, 20, 200, 310]) {
        assert!((least..least + 5).contains(at), "{seconds:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_controllers_default_tags_are_wanted_on_every_listener() {
    let store = annotated();
    store.update(|parts| {
        let mut controllers = parts.controllers.get().unwrap().clone();
        for one in controllers.values_mut() {
            Arc::make_mut(one).flags.insert("default-tags".into(), "cost=platform".into());
        }
        parts.controllers = Part::fetched(controllers, clock::now());
    });
    let log = run(listening, &store).await;
    let parts = until(&store, "all is read", |parts| all_read(parts) && parts.tags.len() == 4 * SIZE).await;
    assert!(parts.tags.values().all(|tags| tags.get().is_some()));
    let batches = listener_batches(&log);
    assert!(batches.iter().all(|batch| batch.len() <= 20 && batch.iter().all(|arn| arn.contains(":listener/"))));
    assert!(batches.len() <= 2 + 2 * SIZE / 20, "{}", batches.len());
}

#[tokio::test(start_paused = true)]
async fn a_refused_action_fails_its_own_source_and_no_other() {
    for (action, source) in [
        ("DescribeListenerCertificates", source::LISTENER_CERTIFICATES),
        ("DescribeListenerAttributes", source::LISTENER_ATTRIBUTES),
        ("DescribeCapacityReservation", source::CAPACITY_RESERVATIONS),
    ] {
        for (code, category) in [("AccessDenied", FailureCategory::Denied), ("InvalidAction", FailureCategory::Server)] {
            let store = annotated();
            let answer = move |call: &Call| if call.action == action { error(400, code) } else { listening(call) };
            let _log = run(answer, &store).await;
            let others = |parts: &Parts| OWN.iter().filter(|name| **name != source).all(|name| succeeded(parts, name));
            let failed = |parts: &Parts| parts.sources.get(source)?.failure.as_ref().map(|failure| failure.category);
            let parts = until(&store, action, |parts| {
                failed(parts) == Some(category) && others(parts) && succeeded(parts, source::TARGET_GROUP_ATTRIBUTES)
            })
            .await;
            assert_eq!(parts.sources[source].missing, 1);
            assert!(succeeded(&parts, source::TAGS) && succeeded(&parts, source::LISTENERS), "{action} {code}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_does_not_take_listeners_leaves_the_other_tags_alone() {
    let store = annotated();
    let answer = |call: &Call| {
        let of_listeners =
            call.action == "DescribeTags" && call.members("ResourceArns").iter().any(|arn| arn.contains(":listener/"));
        if of_listeners { error(400, "ValidationError") } else { listening(call) }
    };
    let log = run(answer, &store).await;
    let unknown = |parts: &Parts| parts.tags.get(&listener(3, 80)).is_some_and(|tags| tags.failure.is_some());
    let parts = until(&store, "it was tried", |parts| unknown(parts) && succeeded(parts, source::TARGET_GROUP_ATTRIBUTES)).await;
    assert!(succeeded(&parts, source::TAGS), "what everything hangs upon is known");
    assert_eq!(parts.sources[source::TAGS].missing, 2, "and what is not is told");
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let parts = store.read();
    let age = clock::now().duration_since(parts.sources[source::TAGS].last_success.unwrap());
    assert!(age.as_secs() < 3_600 && parts.sources[source::TAGS].failure.is_none());
    assert!(listener_batches(&log).len() <= 50, "tried ever more seldom: {}", listener_batches(&log).len());
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_is_gone_is_looked_for_in_its_list_and_then_forgotten() {
    let store = annotated();
    let gone = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let flag = Arc::clone(&gone);
    let answer = move |call: &Call| {
        let is_gone = flag.load(std::sync::atomic::Ordering::Relaxed);
        match call.action.as_str() {
            "DescribeListenerAttributes" if is_gone => error(400, "ListenerNotFound"),
            "DescribeListeners" if is_gone && call.get("LoadBalancerArn") == lb(1) => {
                result("DescribeListeners", "<Listeners></Listeners>")
            }
            _ => listening(call),
        }
    };
    let log = run(answer, &store).await;
    until(&store, "all is read", |parts| all_read(parts) && !parts.listener_attributes.is_empty()).await;
    gone.store(true, std::sync::atomic::Ordering::Relaxed);
    let parts = super::super::fake::within(Duration::from_secs(4_000), &store, "it is forgotten", |parts| {
        parts.listener_attributes.is_empty() && parts.listeners[&id(1)].get().is_some_and(Vec::is_empty)
    })
    .await;
    assert!(parts.sources[source::LISTENER_ATTRIBUTES].failure.is_none());
    assert!(count(&log, "DescribeListenerAttributes") <= 4, "not over and over");
}
