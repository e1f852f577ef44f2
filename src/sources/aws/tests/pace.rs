//! Does it keep its pace and its budget, and is what changed asked about in time? Whole hours, in paused time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::super::client::configure;
use super::super::fake::{Answer, Call, Counts, error, in_process, result, until, within};
use super::super::settings::{AwsSettings, Budgets, FixedCredentials};
use super::{put_slices, store, succeeded};
use crate::inventory::parts::source;
use crate::sources::CallObserver;
use crate::sources::store::Store;

pub(super) type Log = Arc<Mutex<Vec<(Instant, Call)>>>;

/// Load balancer and target group `n`.
pub(super) fn lb(n: usize) -> String {
    format!("arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/net/lb{n}/1")
}

fn tg(n: usize) -> String {
    format!("arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/tg{n}/1")
}

/// A cluster of `size` load balancers with one target group each, all healthy, of Services `shop/s0` and so on.
pub(super) fn healthy(size: usize) -> impl Fn(&Call) -> Answer + Send + Sync {
    move |call| {
        let action = call.action.as_str();
        let each = |of: &dyn Fn(usize) -> String| (0..size).map(|n| format!("<member>{}</member>", of(n))).collect::<String>();
        let content = match action {
            "DescribeLoadBalancers" => {
                let one = |n| {
                    format!(
                        "<LoadBalancerArn>{}</LoadBalancerArn><Type>network</Type><Scheme>internal</Scheme>\
                         <VpcId>vpc-1</VpcId><State><Code>active</Code></State><IpAddressType>ipv4</IpAddressType>",
                        lb(n)
                    )
                };
                format!("<LoadBalancers>{}</LoadBalancers>", each(&one))
            }
            "DescribeTargetGroups" => {
                let one = |n| {
                    let (tg, lb) = (tg(n), lb(n));
                    format!(
                        "<TargetGroupArn>{tg}</TargetGroupArn><TargetType>ip</TargetType>\
                         <LoadBalancerArns><member>{lb}</member></LoadBalancerArns>"
                    )
                };
                format!("<TargetGroups>{}</TargetGroups>", each(&one))
            }
            "DescribeTags" => {
                let one = |arn: &&str| {
                    let n: String = arn.chars().skip_while(|c| *c != '/').filter(char::is_ascii_digit).collect();
                    let n = &n[..n.len() - 1];
                    let tag = |key, value: &str| format!("<member><Key>{key}</Key><Value>{value}</Value></member>");
                    let tags = tag("elbv2.k8s.aws/cluster", "demo")
                        + &tag("service.k8s.aws/stack", &format!("shop/s{n}"))
                        + &tag("service.k8s.aws/resource", &format!("shop/s{n}:80"));
                    format!("<member><ResourceArn>{arn}</ResourceArn><Tags>{tags}</Tags></member>")
                };
                let all: String = call.members("ResourceArns").iter().map(one).collect();
                format!("<TagDescriptions>{all}</TagDescriptions>")
            }
            "DescribeTargetHealth" => "<TargetHealthDescriptions><member><Target><Id>10.0.0.1</Id></Target>\
                <TargetHealth><State>healthy</State></TargetHealth></member></TargetHealthDescriptions>"
                .to_owned(),
            "GetCallerIdentity" => "<Account>1</Account><Arn>arn:aws:sts::1:user/x</Arn>".to_owned(),
            "DescribeListeners" | "DescribeAccountLimits" => String::new(),
            "DescribeCluster" => return Some((200, r#"{"cluster":{"name":"demo"}}"#.to_owned())),
            "DescribeLoadBalancerAttributes" | "DescribeTargetGroupAttributes" => String::new(),
            "ListServiceQuotas" => return Some((200, r#"{"Quotas":[]}"#.to_owned())),
            "GetServiceQuota" | "GetAWSDefaultServiceQuota" => return Some((200, r#"{"Quota":{"Value":7.0}}"#.to_owned())),
            ec2 => return Some((200, format!("<{ec2}Response xmlns=\"u\"></{ec2}Response>"))),
        };
        result(action, &content)
    }
}

/// Runs against such a world; returns what was asked, and when.
pub(super) async fn run(answer: impl Fn(&Call) -> Answer + Send + Sync + 'static, store: &Store) -> Log {
    run_with(Budgets::default(), answer, store).await
}

async fn run_with(budgets: Budgets, answer: impl Fn(&Call) -> Answer + Send + Sync + 'static, store: &Store) -> Log {
    let log: Log = Arc::default();
    let calls = Arc::clone(&log);
    let client = in_process(move |call| {
        calls.lock().unwrap().push((Instant::now(), call.clone()));
        answer(call)
    });
    let settings = AwsSettings {
        region: Some("us-east-1".into()),
        credentials: Some(FixedCredentials { access_key_id: "a".into(), secret_access_key: "b".into() }),
        budgets,
        ..AwsSettings::default()
    };
    let config = configure(&settings).await.unwrap().into_builder().http_client(client).build();
    let observer: Arc<dyn CallObserver> = Arc::<Counts>::default();
    tokio::spawn(super::super::ask(config, settings, store.clone(), observer));
    log
}

pub(super) fn count(log: &Log, action: &str) -> usize {
    log.lock().unwrap().iter().filter(|(_, call)| call.action == action).count()
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_a_steady_cluster_costs_what_the_plan_says() {
    let store = store();
    let log = run(healthy(20), &store).await;
    until(&store, "the first round", |parts| succeeded(parts, source::TARGET_GROUP_ATTRIBUTES)).await;
    log.lock().unwrap().clear();
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    for (action, least, most) in [
        ("DescribeListenerCertificates", 0, 0),
        ("DescribeListenerAttributes", 0, 0),
        ("DescribeCapacityReservation", 0, 0),
        ("DescribeCluster", 0, 2),
        ("DescribeLoadBalancers", 57, 64),
        ("DescribeTargetGroups", 57, 64),
        ("DescribeTags", 6, 10),
        ("DescribeListeners", 20, 45),
        ("DescribeLoadBalancerAttributes", 1, 40),
        ("DescribeTargetGroupAttributes", 1, 40),
        ("DescribeTargetHealth", 560, 650),
        ("DescribeSubnets", 57, 64),
        ("DescribeSecurityGroups", 57, 64),
        ("DescribeNetworkInterfaces", 11, 13),
        ("DescribeRouteTables", 11, 13),
        ("DescribeAddresses", 11, 13),
        ("DescribeVpcs", 0, 2),
        ("DescribeManagedPrefixLists", 0, 2),
        ("DescribeAccountLimits", 0, 2),
    ] {
        let count = count(&log, action);
        assert!((least..=most).contains(&count), "{action}: {count} and not {least} to {most}");
    }
}

#[tokio::test(start_paused = true)]
async fn changed_endpoints_are_asked_about_within_seconds_while_the_budget_is_short() {
    let store = store();
    put_slices(&store, (0..400).map(|n| (format!("s{n}"), "10.0.0.1".to_owned())));
    let log = run(healthy(400), &store).await;
    // 400 calls at five a second, and the lists and tags before them.
    within(Duration::from_secs(150), &store, "the first round", |parts| succeeded(parts, source::TARGET_HEALTH)).await;
    // The attributes of 400 load balancers and their groups still wait for the same five calls a second.
    let mut waits = Vec::new();
    for round in 0..120 {
        let n = (round * 7) % 400;
        put_slices(&store, [(format!("s{n}"), format!("10.0.1.{round}"))]);
        let changed_at = Instant::now();
        tokio::time::sleep(Duration::from_millis(500)).await;
        waits.push((n, changed_at));
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    let log = log.lock().unwrap();
    let mut waits: Vec<Duration> = (waits.into_iter())
        .map(|(n, changed_at)| {
            let asked = |(at, call): &&(Instant, Call)| {
                *at >= changed_at && call.action == "DescribeTargetHealth" && call.get("TargetGroupArn") == tg(n)
            };
            log.iter().find(asked).unwrap().0 - changed_at
        })
        .collect();
    waits.sort();
    assert!(waits[waits.len() * 99 / 100] <= Duration::from_secs(5), "{waits:?}");
    assert!(waits[waits.len() / 2] <= Duration::from_secs(1), "{waits:?}");
    let elb: Vec<Instant> = (log.iter()).filter(|(_, call)| call.get("Version") == "2015-12-01").map(|(at, _)| *at).collect();
    for window in elb.windows(61) {
        assert!(window[60] - window[0] >= Duration::from_secs(10) - Duration::from_millis(10), "more than 10 + 5 a second");
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttled_account_is_given_room() {
    let store = store();
    let log = run(
        |call: &Call| match call.action.as_str() {
            "DescribeTargetHealth" => error(400, "Throttling"),
            _ => healthy(50)(call),
        },
        &store,
    )
    .await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    let start = log.lock().unwrap()[0].0;
    let late = |at: &Instant| *at - start > Duration::from_secs(300);
    let calls = log.lock().unwrap().iter().filter(|(at, call)| call.get("Version") == "2015-12-01" && late(at)).count();
    // Five a second would be 1,500. Two lists a minute and the rest of the budget throttled to its floor.
    assert!(calls < 600, "{calls} calls in five throttled minutes");
    assert!(count(&log, "DescribeLoadBalancers") >= 8, "the lists go on");
}

const SETTINGS: [&str; 3] = ["DescribeListeners", "DescribeLoadBalancerAttributes", "DescribeTargetGroupAttributes"];

/// When each call of these actions was made, counted from the first call of all.
fn times(log: &Log, actions: &[&str]) -> Vec<Duration> {
    let log = log.lock().unwrap();
    let start = log[0].0;
    log.iter().filter(|(_, call)| actions.contains(&call.action.as_str())).map(|(at, _)| *at - start).collect()
}

#[tokio::test(start_paused = true)]
async fn settings_wait_for_the_first_round_of_health_but_not_while_throttling_draws_it_out() {
    const GROUPS: usize = 100;
    for throttles in [false, true] {
        let store = store();
        let calls = AtomicUsize::new(0);
        let log = run(
            move |call: &Call| {
                // Three of ten.
                let is_unlucky = || calls.fetch_add(1, Ordering::Relaxed) * 3 % 10 < 3;
                let throttled = throttles && call.action == "DescribeTargetHealth" && is_unlucky();
                if throttled { error(400, "Throttling") } else { healthy(GROUPS)(call) }
            },
            &store,
        )
        .await;
        let asked = |parts: &crate::inventory::parts::Parts| {
            parts.target_health.values().filter(|part| part.attempted_at.is_some()).count() == GROUPS
        };
        within(Duration::from_secs(3_600), &store, "the first round", asked).await;
        let (health, settings) = (times(&log, &["DescribeTargetHealth"]), times(&log, &SETTINGS));
        if throttles {
            let longest = settings.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
            assert!(settings[0] < Duration::from_secs(150), "nobody asked for settings for {:?}", settings[0]);
            assert!(longest < Duration::from_secs(30), "nobody asked for settings for {longest:?}");
            // The others are lists, and what of settings was asked is no more than of health.
            assert!(settings.len() <= health.len(), "{} settings and {} health", settings.len(), health.len());
        } else {
            assert!(settings.is_empty(), "{} settings before all health was asked", settings.len());
        }
    }
}

/// The longest time in which one resource was not asked about, of those that `name` finds in a call of this action.
fn longest_gap(log: &Log, action: &str, name: impl Fn(&Call) -> Vec<String>, from: Instant, to: Instant) -> Duration {
    let mut times: BTreeMap<String, Vec<Instant>> = BTreeMap::new();
    for (at, call) in log.lock().unwrap().iter().filter(|(at, call)| call.action == action && *at >= from) {
        name(call).into_iter().for_each(|name| times.entry(name).or_insert_with(|| vec![from]).push(*at));
    }
    let gap = |times: &Vec<Instant>| times.windows(2).map(|pair| pair[1] - pair[0]).max().max(times.last().map(|at| to - *at));
    times.values().filter_map(gap).max().expect("something was asked")
}

#[tokio::test(start_paused = true)]
async fn what_was_put_off_while_aws_asked_for_room_is_asked_when_there_is_room_again() {
    let store = store();
    let throttling = Arc::new(AtomicBool::new(false));
    let (throttles, calls) = (Arc::clone(&throttling), AtomicUsize::new(0));
    let log = run(
        move |call: &Call| {
            let odd = calls.fetch_add(1, Ordering::Relaxed) % 2 == 1;
            if throttles.load(Ordering::Relaxed) && odd { error(400, "Throttling") } else { healthy(200)(call) }
        },
        &store,
    )
    .await;
    let most = Duration::from_secs(600);
    within(most, &store, "the first round", |parts| succeeded(parts, source::TARGET_GROUP_ATTRIBUTES)).await;
    throttling.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(600)).await;
    throttling.store(false, Ordering::Relaxed);
    // The rate needs five minutes to recover.
    tokio::time::sleep(Duration::from_secs(360)).await;
    let from = Instant::now();
    tokio::time::sleep(Duration::from_secs(1_200)).await;
    let asked = |call: &Call| vec![call.get("TargetGroupArn").to_owned()];
    let gap = longest_gap(&log, "DescribeTargetHealth", asked, from, Instant::now());
    let groups: std::collections::BTreeSet<String> = (log.lock().unwrap().iter())
        .filter(|(at, call)| *at >= from && call.action == "DescribeTargetHealth")
        .map(|(_, call)| call.get("TargetGroupArn").to_owned())
        .collect();
    assert_eq!(groups.len(), 200, "each was asked about");
    assert!(gap < Duration::from_secs(3 * 120), "{gap:?}");
}

#[tokio::test(start_paused = true)]
async fn a_small_budget_makes_every_round_longer_and_lets_nothing_be_forgotten() {
    let store = store();
    let mut budgets = Budgets::default();
    budgets.set_rate("elasticloadbalancing", 0.1);
    let log = run_with(budgets, healthy(60), &store).await;
    let start = Instant::now();
    tokio::time::sleep(Duration::from_secs(8 * 3_600)).await;
    let sources = Arc::clone(&store.read().sources);
    let interval = |source: &str| Duration::from_secs(sources[source].interval_seconds);
    let of = |parameter: &'static str| move |call: &Call| vec![call.get(parameter).to_owned()];
    let arns = |call: &Call| call.members("ResourceArns").iter().map(|arn| (*arn).to_owned()).collect();
    let now = Instant::now();
    for (source, gap) in [
        (source::TAGS, longest_gap(&log, "DescribeTags", arns, start, now)),
        (source::LISTENERS, longest_gap(&log, "DescribeListeners", of("LoadBalancerArn"), start, now)),
        (source::TARGET_GROUP_ATTRIBUTES, longest_gap(&log, "DescribeTargetGroupAttributes", of("TargetGroupArn"), start, now)),
        (source::TARGET_HEALTH, longest_gap(&log, "DescribeTargetHealth", of("TargetGroupArn"), start, now)),
    ] {
        let lives = Duration::max(3 * interval(source), Duration::from_secs(1_800));
        assert!(gap < lives, "{source}: not asked for {gap:?}, and what is known lives for {lives:?}");
    }
    assert!(interval(source::TAGS) > Duration::from_secs(900), "it says that its rounds are longer");
    assert!(count(&log, "DescribeLoadBalancers") > 7 * 60 - 30, "the lists go on");
}
