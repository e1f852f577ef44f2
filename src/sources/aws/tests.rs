//! Does bad input from AWS stay what it is: a failure with a name, and never a wrong zero? And does the whole source bring
//! a recorded world into the store?

mod pace;
mod wanted;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::bounded::LARGEST;
use super::client::Clients;
use super::fake::{Answer, Call, Fake, ec2_error, error, result, until};
use super::settings::AwsSettings;
use super::{ec2, elb};
use crate::clock;
use crate::inventory::aws::{QuotaOrigin, Tags, Target, TargetState};
use crate::inventory::ids::{Arn, ObjectName, TargetGroupId};
use crate::inventory::kube::{BindingGroup, ControllerDeployment, EndpointSlice, PortReference, TargetGroupBinding};
use crate::inventory::part::{Failure, FailureCategory, Part};
use crate::inventory::parts::{Parts, SourceStatus, source};
use crate::sources::CallObserver;
use crate::sources::schedule::{Lane, Urgency};
use crate::sources::store::Store;

const HEALTH: &str = "<TargetHealthDescriptions>\
    <member><Target><Id>10.0.0.1</Id><Port>8443</Port><AvailabilityZone>us-east-1a</AvailabilityZone></Target>\
    <TargetHealth><State>healthy</State></TargetHealth></member>\
    <member><Target><Id>10.0.0.2</Id><Port>8443</Port></Target>\
    <TargetHealth><State>unhealthy</State><Reason>Target.FailedHealthChecks</Reason></TargetHealth></member>\
    </TargetHealthDescriptions>";

fn tg(name: &str) -> Arn {
    Arn::new(format!("arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/{name}/1"))
}

async fn health(clients: &Clients) -> Result<Vec<Target>, Failure> {
    let permit = clients.elb.dispatcher().permit(Lane::Health, Urgency::Routine).await;
    elb::target_health(&clients.elb, permit, &tg("a"), Urgency::Routine).await.map(|(targets, _)| targets)
}

async fn tags(clients: &Clients, arns: Vec<Arn>) -> BTreeMap<Arn, Result<Tags, Failure>> {
    let permit = clients.elb.dispatcher().permit(Lane::Other, Urgency::Routine).await;
    elb::tags(&clients.elb, permit, arns, Urgency::Routine).await
}

#[tokio::test]
async fn an_answer_that_is_cut_off_anywhere_is_malformed_and_never_a_shorter_list() {
    let Some((_, whole)) = result("DescribeTargetHealth", HEALTH) else { unreachable!() };
    let cut = Arc::new(AtomicUsize::new(whole.len()));
    let (length, body) = (Arc::clone(&cut), whole.clone());
    let fake = Fake::start(move |_| Some((200, body[..length.load(Ordering::Relaxed)].to_owned()))).await;
    let clients = fake.clients(&fake.settings()).await;
    assert_eq!(health(&clients).await.unwrap().len(), 2);
    for end in (0..whole.len()).step_by(7) {
        cut.store(end, Ordering::Relaxed);
        let failure = health(&clients).await.expect_err(&whole[..end]);
        assert_eq!(failure.category, FailureCategory::Malformed, "{failure} of {}", &whole[..end]);
    }
}

#[tokio::test]
async fn an_answer_that_does_not_end_is_malformed_before_it_fills_the_memory() {
    let padding = Arc::new(AtomicUsize::new(1 << 20));
    let more = Arc::clone(&padding);
    let fake = Fake::start(move |call| {
        let padding = " ".repeat(more.load(Ordering::Relaxed));
        if call.action == "DescribeTargetHealth" {
            result("DescribeTargetHealth", &format!("{HEALTH}{padding}"))
        } else {
            Some((200, format!("{{\"cluster\": {{\"name\": \"demo\"}}{padding}}}")))
        }
    })
    .await;
    let clients = fake.clients(&fake.settings()).await;
    let cluster =
        || clients.eks.call("DescribeCluster", Urgency::Routine, || clients.eks.client.describe_cluster().name("demo").send());
    assert_eq!(health(&clients).await.unwrap().len(), 2);
    assert!(cluster().await.is_ok());
    // More than is read of any; it would be whole otherwise.
    padding.store(LARGEST, Ordering::Relaxed);
    for failure in [health(&clients).await.unwrap_err(), cluster().await.unwrap_err()] {
        assert_eq!(failure.category, FailureCategory::Malformed, "{failure}");
    }
}

#[tokio::test]
async fn other_broken_answers_are_malformed_too() {
    let body = Arc::new(Mutex::new(String::new()));
    let answer = Arc::clone(&body);
    let fake = Fake::start(move |_| Some((200, answer.lock().unwrap().clone()))).await;
    let clients = fake.clients(&fake.settings()).await;
    let overflow = "<DescribeSubnetsResponse xmlns=\"u\"><subnetSet><item><subnetId>subnet-1</subnetId>\
        <availableIpAddressCount>99999999999</availableIpAddressCount></item></subnetSet></DescribeSubnetsResponse>";
    for broken in ["", "<html><body>A proxy's greeting</body></html>", "{}", overflow] {
        *body.lock().unwrap() = broken.to_owned();
        let fetched = ec2::subnets(&clients.ec2, &"vpc-1".into()).await;
        assert!(fetched.items.is_empty());
        let failure = fetched.failure.expect(broken);
        assert_eq!(failure.category, FailureCategory::Malformed, "{failure} of {broken:?}");
    }
}

#[tokio::test]
async fn a_throttled_call_is_tried_twice_and_slows_the_service_down() {
    let fake = Fake::start(|_| error(400, "Throttling")).await;
    let clients = fake.clients(&fake.settings()).await;
    let before = clients.elb.dispatcher().rate();
    let failure = health(&clients).await.unwrap_err();
    assert_eq!(failure.category, FailureCategory::Throttled);
    assert_eq!(fake.count("DescribeTargetHealth"), 2);
    assert_eq!(fake.observer.attempts("DescribeTargetHealth", Some(FailureCategory::Throttled)), 2);
    assert!(clients.elb.dispatcher().rate() < before * 0.6);
    assert!(clients.ec2.dispatcher().rate() > before * 0.9, "each service has its own budget");
}

#[tokio::test]
async fn a_second_attempt_that_succeeds_is_a_success() {
    let failed = AtomicBool::new(false);
    let fake = Fake::start(move |_| {
        if failed.swap(true, Ordering::Relaxed) {
            result("DescribeTargetHealth", HEALTH)
        } else {
            error(500, "HealthUnavailable")
        }
    })
    .await;
    let clients = fake.clients(&fake.settings()).await;
    assert_eq!(health(&clients).await.unwrap().len(), 2);
    assert_eq!(fake.observer.attempts("DescribeTargetHealth", Some(FailureCategory::Server)), 1);
    assert_eq!(fake.observer.attempts("DescribeTargetHealth", None), 1);
}

#[tokio::test]
async fn a_denied_action_is_named_and_not_tried_again() {
    let fake = Fake::start(|call| match call.action.as_str() {
        "DescribeSubnets" => ec2_error(403, "UnauthorizedOperation"),
        _ => error(403, "AccessDenied"),
    })
    .await;
    let clients = fake.clients(&fake.settings()).await;
    let failure = health(&clients).await.unwrap_err();
    let said = (failure.category, failure.operation.as_str());
    assert_eq!(said, (FailureCategory::Denied, "elasticloadbalancing:DescribeTargetHealth"));
    assert_eq!(fake.count("DescribeTargetHealth"), 1);
    let failure = ec2::subnets(&clients.ec2, &"vpc-1".into()).await.failure.unwrap();
    assert_eq!((failure.category, failure.operation.as_str()), (FailureCategory::Denied, "ec2:DescribeSubnets"));
}

#[tokio::test]
async fn silence_is_a_timeout_and_a_closed_port_unreachable() {
    let fake = Fake::start(|_| None).await;
    let mut settings = fake.settings();
    settings.timeouts.attempt = Duration::from_millis(50);
    let clients = fake.clients(&settings).await;
    assert_eq!(health(&clients).await.unwrap_err().category, FailureCategory::Timeout);
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    settings.endpoint_url = Some(format!("http://{closed}"));
    let clients = fake.clients(&settings).await;
    assert_eq!(health(&clients).await.unwrap_err().category, FailureCategory::Unreachable);
}

#[tokio::test]
async fn a_page_that_fails_leaves_the_list_incomplete() {
    let page = |names: &[&str], marker: &str| {
        let groups: String =
            names.iter().map(|name| format!("<member><TargetGroupArn>{}</TargetGroupArn></member>", tg(name))).collect();
        result("DescribeTargetGroups", &format!("<TargetGroups>{groups}</TargetGroups><NextMarker>{marker}</NextMarker>"))
    };
    let fake = Fake::start(move |call| match call.get("Marker") {
        "" => page(&["a", "b"], "m"),
        _ => error(503, "ServiceUnavailable"),
    })
    .await;
    let clients = fake.clients(&fake.settings()).await;
    let fetched = elb::target_groups(&clients.elb).await;
    assert_eq!(fetched.items.len(), 2);
    assert_eq!(fetched.failure.unwrap().category, FailureCategory::Server);
    assert!(fake.calls().iter().all(|call| call.get("PageSize") == "400"));
}

#[tokio::test]
async fn one_gone_among_twenty_costs_a_few_calls_and_not_the_others_tags() {
    let fake = Fake::start(|call| {
        let arns = call.members("ResourceArns");
        if arns.iter().any(|arn| arn.contains("/gone/")) {
            return error(400, "TargetGroupNotFound");
        }
        let tag = "<Tags><member><Key>k</Key><Value>v</Value></member></Tags>";
        let all: String = arns.iter().map(|arn| format!("<member><ResourceArn>{arn}</ResourceArn>{tag}</member>")).collect();
        result("DescribeTags", &format!("<TagDescriptions>{all}</TagDescriptions>"))
    })
    .await;
    let clients = fake.clients(&fake.settings()).await;
    let mut arns: Vec<Arn> = (0..19).map(|n| tg(&format!("g{n}"))).collect();
    arns.insert(7, tg("gone"));
    let answers = tags(&clients, arns).await;
    assert_eq!(answers.len(), 20);
    assert_eq!(answers.values().filter(|answer| answer.is_ok()).count(), 19);
    assert_eq!(answers[&tg("gone")].as_ref().unwrap_err().category, FailureCategory::NotFound);
    assert!(fake.count("DescribeTags") <= 11, "{}", fake.count("DescribeTags"));
}

#[tokio::test]
async fn a_resource_the_answer_leaves_out_has_unknown_tags_and_not_none() {
    let fake = Fake::start(|_| result("DescribeTags", "<TagDescriptions></TagDescriptions>")).await;
    let clients = fake.clients(&fake.settings()).await;
    let answers = tags(&clients, vec![tg("a")]).await;
    assert_eq!(answers[&tg("a")].as_ref().unwrap_err().category, FailureCategory::Malformed);
}

/// Answers from the recorded world of a real controller.
fn recorded(call: &Call) -> Answer {
    let file = |name: &str| {
        let path = format!("{}/tests/fixtures/worlds/lbc-2.8.2/aws/{name}.xml", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let named = |arn: &str| format!("elbv2.{}.{}", call.action, arn.rsplit('/').nth(1).unwrap());
    let body = match call.action.as_str() {
        "DescribeTags" => {
            let (one, other) = (file("elbv2.DescribeTags.load-balancers"), file("elbv2.DescribeTags.target-groups"));
            let inner = |body: &str| {
                let body = body.split_once("<TagDescriptions>").unwrap().1;
                body.rsplit_once("</TagDescriptions>").unwrap().0.to_owned()
            };
            return result("DescribeTags", &format!("<TagDescriptions>{}{}</TagDescriptions>", inner(&one), inner(&other)));
        }
        "DescribeListeners" | "DescribeLoadBalancerAttributes" => file(&named(call.get("LoadBalancerArn"))),
        "DescribeTargetHealth" | "DescribeTargetGroupAttributes" => file(&named(call.get("TargetGroupArn"))),
        "DescribeLoadBalancers" | "DescribeTargetGroups" | "DescribeAccountLimits" => file(&format!("elbv2.{}", call.action)),
        "GetCallerIdentity" => file("sts.GetCallerIdentity"),
        "ListServiceQuotas" if call.get("body").contains("vpc") => {
            r#"{"Quotas":[{"QuotaCode":"L-0EA8095F","Value":120.0},{"QuotaCode":"L-2AFB9258","ErrorReason":{"ErrorCode":"DEPENDENCY_SERVICE_ERROR"}}]}"#.to_owned()
        }
        "ListServiceQuotas" => r#"{"Quotas":[]}"#.to_owned(),
        "ListRequestedServiceQuotaChangeHistory" if call.get("body").contains("vpc") => {
            r#"{"RequestedQuotas":[{"Id":"r1","ServiceCode":"vpc","QuotaCode":"L-0EA8095F","DesiredValue":200.0,"Status":"CASE_OPENED","Created":1790000000.5},{"Id":"r0","ServiceCode":"vpc","QuotaCode":"L-0EA8095F","DesiredValue":120.0,"Status":"APPROVED","Created":1780000000}]}"#.to_owned()
        }
        "ListRequestedServiceQuotaChangeHistory" => r#"{"RequestedQuotas":[]}"#.to_owned(),
        "DescribeCluster" => r#"{"cluster":{"name":"demo"}}"#.to_owned(),
        "GetServiceQuota" => return Some((400, r#"{"__type":"NoSuchResourceException","Message":"none"}"#.to_owned())),
        "GetAWSDefaultServiceQuota" => r#"{"Quota":{"Value":7.0}}"#.to_owned(),
        _ => file(&format!("ec2.{}", call.action)),
    };
    Some((200, body))
}

/// A store that knows of Kubernetes what the recorded world's sources would have put in.
fn store() -> Store {
    let mut parts = Parts::default();
    let name = ObjectName::new("kube-system", "aws-load-balancer-controller");
    let deployment = ControllerDeployment {
        name: name.clone(),
        version: None,
        image: "x".into(),
        flags: BTreeMap::from([("cluster-name".into(), "demo".into())]),
        replicas: 1,
        available_replicas: None,
    };
    parts.controllers = Part::fetched(BTreeMap::from([(name, Arc::new(deployment))]), clock::now());
    parts.target_group_bindings = Part::fetched(BTreeMap::new(), clock::now());
    parts.endpoint_slices = Part::fetched(BTreeMap::new(), clock::now());
    parts.services = Part::fetched(BTreeMap::new(), clock::now());
    Store::new(parts)
}

fn run(fake: &Fake, settings: AwsSettings, store: &Store) -> tokio::task::JoinHandle<()> {
    let observer: Arc<dyn CallObserver> = Arc::clone(&fake.observer) as Arc<dyn CallObserver>;
    tokio::spawn(super::run(settings, store.clone(), observer))
}

fn succeeded(parts: &Parts, source: &str) -> bool {
    parts.sources.get(source).is_some_and(|status: &SourceStatus| status.last_success.is_some() && status.failure.is_none())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_world_comes_in_whole() {
    let fake = Fake::start(recorded).await;
    let store = store();
    let running = run(&fake, fake.settings(), &store);
    let parts = until(&store, "every source", |parts| super::ledger::names().all(|name| succeeded(parts, name))).await;
    running.abort();
    let scope = &parts.scope;
    assert_eq!(scope.account_id.as_deref(), Some("123456789012"));
    assert_eq!((scope.partition.as_deref(), scope.region.as_deref()), (Some("aws"), Some("us-east-1")));
    assert_eq!(scope.cluster_name.as_deref(), Some("demo"));
    assert_eq!(scope.vpc_id, Some("vpc-1b55d2efb9872f70c".into()), "the VPC of the load balancers with our tags");
    let load_balancers = parts.load_balancers.complete().unwrap();
    let target_groups = parts.target_groups.complete().unwrap();
    assert!(load_balancers.len() >= 6 && target_groups.len() >= load_balancers.len());
    assert!(load_balancers.keys().all(|id| id.as_str().starts_with("app/")), "the emulator's spelling is taken as it is");
    assert_eq!(parts.tags.len(), load_balancers.len() + target_groups.len());
    assert_eq!(parts.target_health.len(), target_groups.len());
    assert_eq!(parts.target_group_attributes.len(), target_groups.len());
    assert_eq!((parts.listeners.len(), parts.load_balancer_attributes.len()), (load_balancers.len(), load_balancers.len()));
    let health = parts.target_health.values().flat_map(|part| &part.get().unwrap().targets);
    assert!(health.map(|target| target.state).any(|state| state == TargetState::Healthy));
    let groups = parts.security_groups.complete().unwrap();
    let ruled = |ours: bool| groups.values().filter(move |group| (group.vpc_id.as_str() == "vpc-1b55d2efb9872f70c") == ours);
    assert!(ruled(true).any(|group| !group.inbound.is_empty()));
    assert!(ruled(false).all(|group| group.inbound.is_empty() && group.outbound.is_empty()));
    let quotas = parts.quotas.complete().unwrap();
    assert_eq!(quotas["rules_per_security_group"].value, 120.0);
    assert_eq!(quotas["security_groups_per_network_interface"].origin, QuotaOrigin::Assumed, "an error reason is no value");
    assert_eq!((quotas["elastic_ips"].value, quotas["elastic_ips"].origin), (7.0, QuotaOrigin::AwsDefault));
    assert_eq!(quotas["target_groups"].origin, QuotaOrigin::Applied);
    let requests = parts.quota_requests.complete().unwrap();
    assert_eq!(requests.keys().map(|name| &**name).collect::<Vec<_>>(), ["rules_per_security_group"]);
    assert_eq!(requests["rules_per_security_group"].iter().map(|request| request.desired_value).collect::<Vec<_>>(), [200.0]);
    for name in super::ledger::names().filter(|name| *name != source::SERVICE_QUOTAS) {
        assert_eq!(fake.observer.unknown(name), 0, "{name}");
        assert_eq!(parts.sources[name].missing, 0, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_may_not_see_requests_still_sees_the_limits() {
    let fake = Fake::start(|call| match call.action.as_str() {
        "ListRequestedServiceQuotaChangeHistory" => {
            Some((400, r#"{"__type":"AccessDeniedException","Message":"not authorized"}"#.to_owned()))
        }
        _ => recorded(call),
    })
    .await;
    let store = store();
    let running = run(&fake, fake.settings(), &store);
    let parts = until(&store, "a refusal, and the limits", |parts| {
        parts.quota_requests.failure.is_some() && succeeded(parts, source::SERVICE_QUOTAS)
    })
    .await;
    running.abort();
    assert!(parts.quota_requests.get().is_none_or(|requests| requests.is_empty()) && parts.quota_requests.complete().is_none());
    let failure = parts.sources[source::QUOTA_REQUESTS].failure.as_ref().unwrap();
    assert_eq!(failure.category, FailureCategory::Denied);
    assert_eq!(parts.quotas.complete().unwrap()["rules_per_security_group"].value, 120.0);
    assert!(parts.quotas.failure.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_round_of_health_comes_before_settings_and_costs_the_least_possible() {
    let fake = Fake::start(recorded).await;
    let store = store();
    let mut settings = fake.settings();
    settings.intervals = super::Intervals { debounce: Duration::from_millis(3), ..super::Intervals::default() };
    let running = run(&fake, settings, &store);
    let parts = until(&store, "attributes", |parts| {
        let sources = [source::TARGET_GROUP_ATTRIBUTES, source::LISTENERS, source::SECURITY_GROUPS, source::NETWORK_INTERFACES];
        sources.iter().all(|name| succeeded(parts, name)) && succeeded(parts, source::SUBNETS)
    })
    .await;
    running.abort();
    let (balancers, groups) = (parts.load_balancers.get().unwrap().len(), parts.target_groups.get().unwrap().len());
    let calls = fake.calls();
    let first = |action: &str| calls.iter().position(|call| call.action == action).unwrap();
    let last = |action: &str| calls.iter().rposition(|call| call.action == action).unwrap();
    for settings in ["DescribeListeners", "DescribeTargetGroupAttributes", "DescribeLoadBalancerAttributes"] {
        assert!(last("DescribeTargetHealth") < first(settings), "{settings} before health");
    }
    assert_eq!(fake.count("DescribeTargetHealth"), groups);
    assert_eq!(fake.count("DescribeTargetGroupAttributes"), groups);
    assert_eq!(fake.count("DescribeListeners"), balancers);
    for once in ["DescribeSecurityGroups", "DescribeNetworkInterfaces", "DescribeSubnets", "DescribeLoadBalancers"] {
        assert_eq!(fake.count(once), 1, "{once}");
    }
    assert!(fake.count("DescribeTags") <= 2, "{balancers} and {groups} in batches of 20");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denied_tag_call_leaves_the_rest_alive() {
    let fake = Fake::start(|call| match call.action.as_str() {
        "DescribeTags" => error(403, "AccessDenied"),
        _ => recorded(call),
    })
    .await;
    let store = store();
    let running = run(&fake, fake.settings(), &store);
    let parts = until(&store, "a denial, and the rest", |parts| {
        let denied = parts.sources.get(source::TAGS).and_then(|status| status.failure.as_ref());
        denied.is_some_and(|failure| failure.category == FailureCategory::Denied)
            && succeeded(parts, source::SECURITY_GROUPS)
            && succeeded(parts, source::TARGET_GROUPS)
    })
    .await;
    running.abort();
    let failure = parts.sources[source::TAGS].failure.as_ref().unwrap();
    assert_eq!(failure.operation, "elasticloadbalancing:DescribeTags");
    assert!(parts.tags.values().all(|part| part.get().is_none() && part.failure.is_some()));
    assert_eq!(parts.sources[source::TAGS].missing as usize, parts.tags.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_group_deleted_between_list_and_call_is_no_failure() {
    let fake = Fake::start(|call| match call.action.as_str() {
        "DescribeTargetHealth" if call.get("TargetGroupArn").contains("k8s-ops-dns") => error(400, "TargetGroupNotFound"),
        _ => recorded(call),
    })
    .await;
    let store = store();
    let mut settings = fake.settings();
    settings.intervals.load_balancers = Duration::from_secs(600);
    let running = run(&fake, settings, &store);
    let parts = until(&store, "health", |parts| succeeded(parts, source::TARGET_HEALTH)).await;
    running.abort();
    let gone = |id: &TargetGroupId| id.as_str().contains("k8s-ops-dns");
    assert!(!parts.target_health.keys().any(gone));
    assert!(!parts.target_groups.get().unwrap().keys().any(gone));
    assert_eq!(parts.sources[source::TARGET_HEALTH].missing, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_asked_again_when_endpoints_change() {
    let fake = Fake::start(recorded).await;
    let store = store();
    let mut settings = fake.settings();
    // Nothing else may ask again meanwhile.
    settings.intervals = super::Intervals { debounce: Duration::from_millis(3), ..super::Intervals::default() };
    let running = run(&fake, settings, &store);
    let parts = until(&store, "the first round", |parts| succeeded(parts, source::TARGET_HEALTH)).await;
    let web = parts.target_groups.get().unwrap().values().find(|group| group.name.starts_with("k8s-shop-web-28")).unwrap();
    let before = parts.target_health[&web.id].fetched_at;
    bind(&store, &web.arn);
    put_slices(&store, [("web".to_owned(), "10.0.0.1".to_owned())]);
    // The binding itself is a change; the second change of endpoints has to be noticed after it.
    let parts = until(&store, "a sample after the binding", |parts| parts.target_health[&web.id].fetched_at > before).await;
    let before = parts.target_health[&web.id].fetched_at;
    put_slices(&store, [("web".to_owned(), "10.0.0.2".to_owned())]);
    let parts = until(&store, "a sample after the endpoints", |parts| parts.target_health[&web.id].fetched_at > before).await;
    running.abort();
    let asked: Vec<_> = fake.calls().into_iter().filter(|call| call.action == "DescribeTargetHealth").collect();
    // Both ports of the Service hold the same pods.
    let (of_web, of_others): (Vec<_>, Vec<_>) =
        asked.iter().partition(|call| call.get("TargetGroupArn").contains("/k8s-shop-web-"));
    // Once at first, for the binding and the first endpoints (together or apart), then for the second ones.
    assert!((4..=7).contains(&of_web.len()), "{of_web:#?}");
    assert_eq!(of_others.len(), parts.target_health.len() - 2, "nobody else was asked again: {asked:#?}");
}

fn bind(store: &Store, arn: &Arn) {
    let name = ObjectName::new("shop", "web");
    let binding = TargetGroupBinding {
        name: name.clone(),
        group: BindingGroup::LoadBalancerController,
        created_at: clock::now(),
        deleted_at: None,
        target_group_arn: Some(arn.clone()),
        target_type: None,
        service: name.clone(),
        service_port: PortReference::Number(80),
        networking: true,
        node_selector: None,
        multi_cluster: false,
        other_account: false,
        vpc_id: None,
        stack: None,
    };
    let bindings = BTreeMap::from([(name, Arc::new(binding))]);
    store.update(|parts| parts.target_group_bindings = Part::fetched(bindings, clock::now()));
}

/// Gives Services of the namespace `shop` one endpoint each.
fn put_slices(store: &Store, services: impl IntoIterator<Item = (String, String)>) {
    let mut slices = store.read().endpoint_slices.get().cloned().unwrap_or_default();
    for (service, address) in services {
        let name = ObjectName::new("shop", format!("{service}-1"));
        let text = format!(
            r#"{{"name":"{name}","service":"shop/{service}","endpoints":[{{"address":"{address}","ready":true,"serving":true}}]}}"#
        );
        slices.insert(name, Arc::new(serde_json::from_str::<EndpointSlice>(&text).unwrap()));
    }
    store.update(|parts| parts.endpoint_slices = Part::fetched(slices, clock::now()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vanished_endpoint_ages_the_picture_and_a_new_one_heals_it() {
    let down = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&down);
    let fake =
        Fake::start(move |call| if flag.load(Ordering::Relaxed) { error(500, "InternalFailure") } else { recorded(call) }).await;
    let store = store();
    let running = run(&fake, fake.settings(), &store);
    let healthy = until(&store, "the first round", |parts| succeeded(parts, source::TARGET_HEALTH)).await;
    down.store(true, Ordering::Relaxed);
    let failing = |parts: &Parts, name: &str| parts.sources[name].failure.is_some();
    let blind = until(&store, "failures", |parts| failing(parts, source::TARGET_HEALTH) && failing(parts, source::SUBNETS)).await;
    assert_eq!(blind.target_health.len(), healthy.target_health.len(), "what is known stays");
    assert!(blind.target_health.values().all(|part| part.get().is_some()));
    down.store(false, Ordering::Relaxed);
    until(&store, "health again", |parts| succeeded(parts, source::TARGET_HEALTH) && succeeded(parts, source::SUBNETS)).await;
    running.abort();
}
