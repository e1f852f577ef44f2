//! Does the daemon understand its rules as Prometheus does? Every expression that the daemon judges by itself, on the same
//! samples at the same moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use eks_nlb_exporter::checks::model::Outcome;
use eks_nlb_exporter::expose::negotiate::Format;
use eks_nlb_exporter::expose::render::observed_text;
use eks_nlb_exporter::inventory::aws::{LoadBalancerState, QuotaOrigin, TargetState};
use eks_nlb_exporter::inventory::kube::EventObject;
use eks_nlb_exporter::notify::{Evaluated, evaluate_rules};
use eks_nlb_exporter::rules::thresholds::Overrides;
use eks_nlb_exporter::rules::{Links, Rule, Rules};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::peers::{Labels, Prometheus};
use crate::situations::{Situation, edit, name, set, unhealthy};
use crate::support::eventually;

/// Between two situations, in seconds: longer than Prometheus looks back in this test.
const APART: i64 = 20;

/// What is scraped: every situation with its own time.
type Page = Arc<Mutex<String>>;

async fn serve(page: Page) -> String {
    let answer = async |State(page): State<Page>| ([(CONTENT_TYPE, "text/plain; version=0.0.4")], page.lock().unwrap().clone());
    let app = Router::new().route("/metrics", get(answer)).with_state(page);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// The picture as it is exposed, each sample with the moment it was judged at.
fn exposition(outcome: &Arc<Outcome>) -> String {
    let at = outcome.evaluated_at;
    let mut text = observed_text(Format::Text, outcome).unwrap();
    text.push_str(&format!("eks_nlb_picture_timestamp_seconds {}\n", at.as_duration().as_secs_f64()));
    for run in &outcome.runs {
        text.push_str(&format!("eks_nlb_check_success{{check=\"{}\"}} {}\n", run.check, u8::from(run.success)));
    }
    let samples = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    samples.map(|line| format!("{line} {}\n", at.as_millisecond())).collect()
}

/// The healthy world, and what can be wrong with it; and how long after it was read it is judged.
async fn situations() -> Vec<(&'static str, SignedDuration, Situation)> {
    let healthy = Situation::healthy().await;
    let with = |change: &dyn Fn(&mut Situation)| {
        let mut changed = healthy.clone();
        change(&mut changed);
        changed
    };
    let now = [
        ("healthy", healthy.clone()),
        (
            "targets fail",
            with(&|it| {
                it.targets("shop/web", unhealthy);
                let group = it.groups("pay/ledger").remove(0);
                it.health(&group, |targets| drop(targets.pop()));
                let zone = it.endpoints("pay/ledger")[0].zone.clone();
                it.targets("pay/ledger", |target| {
                    if target.zone == zone {
                        unhealthy(target)
                    }
                });
            }),
        ),
        ("targets start", with(&|it| it.targets("shop/web", |target| set(target, TargetState::Initial)))),
        (
            "rules and quotas are used up",
            with(&|it| {
                it.node_rules(60);
                let lbs = u32::try_from(it.parts.load_balancers.get().unwrap().len()).unwrap();
                it.limit("network_load_balancers", f64::from(lbs) + 1.0, Some(QuotaOrigin::Applied));
                it.limit("targets_per_target_group", 2.0, Some(QuotaOrigin::Applied));
                it.limit("targets_per_network_load_balancer", 3.0, Some(QuotaOrigin::Applied));
                it.subnets(|subnet| subnet.available_ip_addresses = Some(5));
            }),
        ),
        ("subnets run low", with(&|it| it.subnets(|subnet| subnet.available_ip_addresses = Some(12)))),
        (
            "blocked and drifting",
            with(&|it| {
                it.event(
                    EventObject::Service,
                    &name("shop/web"),
                    "FailedBuildModel",
                    "Failed build model due to unknown scheme: x",
                );
                it.event(
                    EventObject::Service,
                    &name("pay/ledger"),
                    "FailedDeployModel",
                    "TooManyLoadBalancers: quota of load balancers",
                );
                for group in it.groups("pay/ledger") {
                    edit(&mut it.parts.target_groups, &group, |group| group.health_check.interval_seconds = 25);
                }
                let lb = it.lb("shop/web");
                edit(&mut it.parts.load_balancers, &lb, |lb| lb.state = LoadBalancerState::ActiveImpaired);
            }),
        ),
    ];
    let later = [("everything was heard of long ago", SignedDuration::from_mins(25), healthy.clone())];
    now.into_iter().map(|(what, situation)| (what, SignedDuration::ZERO, situation)).chain(later).collect()
}

/// The expression with its recording rules written out, since Prometheus would record them at other moments.
fn written_out(rule: &Rule, rules: &Rules) -> String {
    // A record may name an earlier one.
    let records: Vec<_> = rules.records().collect();
    records.into_iter().rev().fold(rule.expr.clone(), |expr, (record, of)| expr.replace(record, &format!("({of})")))
}

/// Elements without the metric's name and what the scrape added, in an order of their own.
fn comparable(vector: impl IntoIterator<Item = (Labels, f64)>) -> BTreeMap<Labels, f64> {
    vector
        .into_iter()
        .map(|(mut labels, value)| {
            labels.retain(|name, value| !value.is_empty() && !["__name__", "job", "instance"].contains(&name.as_str()));
            (labels, value)
        })
        .collect()
}

fn same(ours: &BTreeMap<Labels, f64>, theirs: &BTreeMap<Labels, f64>) -> bool {
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-6 * a.abs().max(b.abs());
    ours.keys().eq(theirs.keys()) && std::iter::zip(ours.values(), theirs.values()).all(near)
}

#[tokio::test]
async fn every_pushed_expression_gives_the_same_vector_as_prometheus() {
    let rules = Rules::new(&Overrides::new(), &Links::default()).unwrap();
    let began = eks_nlb_exporter::clock::now().as_second();
    let mut pictures = Vec::new();
    let page = Page::default();
    for (number, (what, late, mut situation)) in situations().await.into_iter().enumerate() {
        let at = Timestamp::from_second(began + APART * i64::try_from(number).unwrap()).unwrap();
        situation.now = at + late;
        let mut outcome = situation.judge();
        // Prometheus takes no samples from far ahead: what happens later is moved back as a whole.
        outcome.evaluated_at = at;
        for family in outcome.families.iter_mut().filter(|family| family.description.name.ends_with("_timestamp_seconds")) {
            family.samples.iter_mut().for_each(|sample| sample.value -= late.as_secs_f64());
        }
        let outcome = Arc::new(outcome);
        page.lock().unwrap().push_str(&exposition(&outcome));
        pictures.push((what, outcome));
    }
    let target = serve(Arc::clone(&page)).await;
    let config = json!({
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "eks-nlb-exporter", "static_configs": [{"targets": [target]}]}],
    });
    let prometheus = Prometheus::start(config, None).await;
    let last = pictures.last().unwrap().1.evaluated_at.as_second() as f64;
    eventually("everything was scraped", Duration::from_secs(30), async || {
        let up = prometheus.query("up == 1", None).await?;
        let seen = prometheus.query("eks_nlb_picture_timestamp_seconds", Some(last)).await?;
        if seen.is_empty() || up.is_empty() { Err(format!("{up:?} {seen:?}")) } else { Ok(()) }
    })
    .await;

    let (mut wrong, mut compared, mut spoke) = (String::new(), 0, BTreeSet::new());
    for (what, outcome) in &pictures {
        let at = outcome.evaluated_at.as_duration().as_secs_f64();
        for Evaluated { name, severity, vector } in evaluate_rules(&rules, outcome).unwrap() {
            let rule = rules.alerts().find(|rule| rule.name == name && rule.severity.as_str() == severity).unwrap();
            let theirs = comparable(prometheus.query(&written_out(rule, &rules), Some(at)).await.unwrap());
            let ours = vector.unwrap_or_else(|| panic!("{what}: {name} cannot be judged"));
            let text = |(labels, value): (eks_nlb_exporter::notify::lifecycle::Labels, f64)| {
                (labels.into_iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(), value)
            };
            let ours = comparable(ours.into_iter().map(text));
            if !same(&ours, &theirs) {
                wrong.push_str(&format!("{what}, {name} {severity}:\n  here {ours:?}\n  Prometheus {theirs:?}\n"));
            }
            compared += 1;
            if !ours.is_empty() {
                spoke.insert((name, severity));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(compared >= 150, "only {compared} vectors were compared");
    assert!(spoke.len() >= 14, "too few rules said anything: {spoke:?}");
}
