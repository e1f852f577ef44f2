//! Do the shipped rules and the daemon's own alerting tell the same alerts? One moving world, seen by both, at real Alertmanagers.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use eks_nlb_exporter::clock;
use eks_nlb_exporter::inventory::ids::{ObjectName, SubnetId, TargetGroupId, ZoneName};
use eks_nlb_exporter::simulator::world::{Health, Target, World, annotation};
use serde_json::{Value, json};

use super::peers::{Alertmanager, Labels, Prometheus, Receiver, labels, succeeds};
use super::stage::{Stage, groups, set_health};
use crate::support::{Daemon, eventually, free_port};

const PATIENCE: Duration = Duration::from_secs(50);

/// `s3cret` as bcrypt writes it.
const PASSWORD: (&str, &str) = ("s3cret", "$2b$04$abcdefghijklmnopqrstuuLZYjhNQAOdpbzt4WxWlUHjv1wsyH5DG");

/// Every alert a notification of its own, to this path of the receiver.
pub(crate) fn config(receiver: &Receiver, path: &str) -> String {
    json!({
        "route": {"receiver": "all", "group_by": ["..."], "group_wait": "1s", "group_interval": "2s", "repeat_interval": "1h"},
        "receivers": [{"name": "all", "webhook_configs": [{
            "url": format!("http://{}/{path}", receiver.address), "send_resolved": true,
        }]}],
    })
    .to_string()
}

/// How often an alert was notified as firing and as resolved.
pub(crate) fn notifications(receiver: &Receiver, path: &str) -> BTreeMap<Labels, (usize, usize)> {
    let mut counted: BTreeMap<Labels, (usize, usize)> = BTreeMap::new();
    for message in receiver.heard(path) {
        for alert in message["alerts"].as_array().unwrap() {
            let count = counted.entry(labels(&alert["labels"])).or_default();
            if alert["status"] == "firing" {
                count.0 += 1;
            } else {
                count.1 += 1;
            }
        }
    }
    counted
}

/// The alerts that the daemon leaves to Prometheus, as it says at its start.
pub(crate) fn left_to_prometheus(daemon: &Daemon) -> BTreeSet<String> {
    let log = daemon.program.output();
    let line = log.lines().find(|line| line.contains("alerts are sent to Alertmanager")).expect("it says so");
    let line: Value = serde_json::from_str(line).unwrap();
    line["left"].as_str().unwrap().split(',').map(str::to_owned).collect()
}

/// What the test broke, to put it right again.
pub(crate) struct Broken {
    missing: (TargetGroupId, Vec<Target>),
    free: BTreeMap<SubnetId, i64>,
    blocked: ObjectName,
    refused: ObjectName,
}

/// Services whose pods are targets themselves, the ones without cross-zone load balancing first.
pub(crate) fn services(world: &World) -> Vec<ObjectName> {
    let crosses = |name: &ObjectName| {
        let attributes = &world.load_balancers[world.load_balancer_of(name).unwrap()].attributes;
        attributes.get("load_balancing.cross_zone.enabled").is_some_and(|value| **value == *"true")
    };
    let addressed = |name: &ObjectName| groups(world, name).iter().all(|group| world.target_groups[group].target_type == "ip");
    let mut names: Vec<ObjectName> = world.load_balanced().map(|(name, _)| name.clone()).filter(addressed).collect();
    names.sort_by_key(|name| crosses(name));
    names
}

fn zones(world: &World, service: &ObjectName) -> BTreeSet<ZoneName> {
    world.services[service].endpoints.iter().map(|endpoint| endpoint.zone.clone()).collect()
}

/// Everything that can break in one cluster, at once.
pub(crate) fn break_it(stage: &Stage) -> Broken {
    stage.fill_rules(0);
    stage.simulator.world.edit(|world| {
        let now = clock::now();
        let all = services(world);
        let [dark, failing, drifting, blocked, losing, ..] = &all[..] else { panic!("only {all:?}") };
        let zone = zones(world, dark).into_iter().nth(1).expect("it has two zones");
        set_health(world, dark, &Health::FAILED, |target| target.zone.as_ref() == Some(&zone));
        set_health(world, failing, &Health::FAILED, |_| true);
        world.annotate(drifting, annotation("healthcheck-interval"), Some("25"), now).unwrap();
        world.warn_about_service(blocked, "FailedBuildModel", "Failed build model due to unknown scheme: inernal", now);
        let binding = world.bindings.iter().find(|(_, binding)| binding.service == losing.name).unwrap().0.clone();
        let quota =
            "api error RulesPerSecurityGroupLimitExceeded: The maximum number of rules per security group has been reached.";
        world.warn_about_binding(&binding, "FailedNetworkReconcile", quota, now);
        let group = groups(world, losing).remove(0);
        let targets = &mut world.target_groups.get_mut(&group).unwrap().targets;
        let missing = (group, targets.clone());
        targets.pop();
        let lb = world.load_balancer_of(losing).unwrap().clone();
        world.load_balancers.get_mut(&lb).unwrap().state = "active_impaired".into();
        let free = world.subnets.iter().map(|(id, subnet)| (id.clone(), subnet.free_addresses)).collect();
        for subnet in world.subnets.values_mut() {
            subnet.free_addresses = 3;
        }
        let count = world.load_balancers.values().filter(|lb| lb.kind == "network").count();
        let quota = world.quotas.values_mut().find(|quota| quota.name == "Network Load Balancers per Region").unwrap();
        quota.applied = Some(f64::from(u32::try_from(count).unwrap()));
        Broken { missing, free, blocked: blocked.clone(), refused: binding }
    })
}

fn heal(stage: &Stage, broken: Broken) {
    stage.remove_rules();
    stage.simulator.world.edit(|world| {
        let now = clock::now();
        let Broken { missing: (group, targets), free, blocked, refused } = broken;
        world.target_groups.get_mut(&group).unwrap().targets = targets;
        for service in services(world) {
            set_health(world, &service, &Health::HEALTHY, |_| true);
            if world.services[&service].annotations.get(&*annotation("healthcheck-interval")).is_some_and(|it| **it == *"25") {
                world.annotate(&service, annotation("healthcheck-interval"), None, now).unwrap();
            }
        }
        world.reconciled_service(&blocked, now);
        world.reconciled_binding(&refused, now);
        for (id, free) in free {
            world.set_free_addresses(&id, free).unwrap();
        }
        for lb in world.load_balancers.values_mut() {
            lb.state = "active".into();
        }
        world.quotas.values_mut().find(|quota| quota.name == "Network Load Balancers per Region").unwrap().applied = Some(500.0);
    });
}

/// What must be among the alerts; the rest only has to be the same.
pub(crate) const EXPECTED: [(&str, &str); 14] = [
    ("NLBServiceWithoutHealthyTarget", "critical"),
    ("NLBZoneDark", "critical"),
    ("NLBTargetsFailing", "warning"),
    ("NLBTargetsMissing", "warning"),
    ("NLBLoadBalancerNotActive", "critical"),
    ("NLBServiceBlocked", "warning"),
    ("NLBQuotaRefused", "critical"),
    ("NLBAnnotationDrift", "warning"),
    ("NLBSecurityGroupRulesRunningOut", "critical"),
    ("NLBSecurityGroupRulesRunningOut", "warning"),
    ("NLBQuotaRunningOut", "critical"),
    ("NLBQuotaRunningOut", "warning"),
    ("NLBSubnetRunningOut", "warning"),
    ("NLBNoUsableZone", "critical"),
];

/// An Alertmanager that speaks TLS and wants a password, and the daemon's entry for it.
pub(super) fn guarded(stage: &Stage, receiver: &Receiver) -> (Alertmanager, Value) {
    let (certificate, key) = (stage.file("server.pem", ""), stage.file("server.key", ""));
    succeeds(
        Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
            .args([
                "-subj",
                "/CN=alertmanager",
                "-addext",
                "subjectAltName=IP:127.0.0.1",
                "-addext",
                "basicConstraints=critical,CA:FALSE",
            ])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate),
    );
    let web = json!({
        "tls_server_config": {"cert_file": certificate, "key_file": key},
        "basic_auth_users": {"nlb": PASSWORD.1},
    });
    let web = stage.file("web.yml", &web.to_string());
    let alertmanager = Alertmanager::start_at(free_port(), &config(receiver, "guarded"), Some(&web));
    let entry = json!({
        "url": format!("https://127.0.0.1:{}", alertmanager.port),
        "tls_config": {"ca_file": certificate},
        "basic_auth": {"username": "nlb", "password_file": stage.file("password", &format!("{}\n", PASSWORD.0))},
    });
    (alertmanager, entry)
}

#[tokio::test]
async fn rules_and_daemon_tell_the_same_alerts_once_each() {
    let stage = Stage::new().await;
    let receiver = Receiver::start().await;
    let by_rules = Alertmanager::start(&config(&receiver, "rules"));
    let by_daemon = Alertmanager::start(&config(&receiver, "daemon"));
    let by_both = Alertmanager::start(&config(&receiver, "both"));
    let (_guarded, entry) = guarded(&stage, &receiver);
    let external_labels = json!({"cluster": "prod", "team": "network", "severity": "unused"});
    let alerting = json!({
        "alertmanagers": [{"url": by_daemon.url()}, {"url": by_both.url()}, entry],
        "external_labels": external_labels,
        "external_url": "http://exporter.example/",
        "resend_delay_seconds": 3,
    });
    let daemon = stage.daemon(alerting.clone()).await;
    let left = left_to_prometheus(&daemon);
    let targets = [&by_rules, &by_both].map(|one| format!("127.0.0.1:{}", one.port));
    let _prometheus = Prometheus::start(stage.prometheus_config(&external_labels, &targets), Some(&stage.rules())).await;
    let pushed = |alerts: Vec<Labels>| -> BTreeSet<Labels> {
        alerts.into_iter().filter(|alert| !left.contains(&alert["alertname"])).collect()
    };

    let broken = break_it(&stage);
    let same = async || {
        let (rules, daemon) = (pushed(by_rules.alerts().await?), pushed(by_daemon.alerts().await?));
        if rules != daemon {
            let (only_rules, only_daemon): (Vec<_>, Vec<_>) =
                (rules.difference(&daemon).collect(), daemon.difference(&rules).collect());
            return Err(format!("by the rules only: {only_rules:#?}; by the daemon only: {only_daemon:#?}"));
        }
        Ok(rules)
    };
    let fired = eventually("both tell the same alerts", PATIENCE, async || {
        let fired = same().await?;
        let missing: Vec<_> = EXPECTED
            .iter()
            .filter(|(name, severity)| !fired.iter().any(|alert| alert["alertname"] == *name && alert["severity"] == *severity))
            .collect();
        if missing.is_empty() { Ok(fired) } else { Err(format!("missing: {missing:?}")) }
    })
    .await;
    assert!(fired.iter().all(|alert| alert["cluster"] == "prod" && alert["team"] == "network"), "{fired:#?}");
    let once = |path: &str, firing: usize, resolved: usize| {
        let counted = notifications(&receiver, path);
        let count = |alert: &Labels| counted.get(alert).copied().unwrap_or_default();
        let wrong: Vec<_> = fired.iter().filter(|alert| count(alert) != (firing, resolved)).map(|it| (count(it), it)).collect();
        if wrong.is_empty() { Ok(()) } else { Err(format!("{path}: {wrong:#?}")) }
    };
    for path in ["rules", "daemon", "both", "guarded"] {
        eventually("each alert is notified once", PATIENCE, async || once(path, 1, 0)).await;
    }

    drop(daemon);
    let daemon = stage.daemon(alerting).await;
    eventually("the alerts go on after a restart", PATIENCE, async || {
        let firing = daemon.scrape().await.value("alerts{state=\"firing\"}");
        if firing.is_some_and(|count| count >= 14.0) && same().await? == fired { Ok(()) } else { Err(format!("{firing:?}")) }
    })
    .await;

    heal(&stage, broken);
    eventually("nothing fires any more", PATIENCE, async || {
        let still = same().await?;
        if still.is_empty() { Ok(()) } else { Err(format!("{still:#?}")) }
    })
    .await;
    for path in ["rules", "daemon", "both", "guarded"] {
        eventually("each end is notified once, and no start twice", Duration::from_secs(20), async || once(path, 1, 1)).await;
    }
    // What came and went on the way has come and gone for both.
    let told = |path: &str| pushed(notifications(&receiver, path).into_keys().collect());
    assert_eq!(told("daemon"), told("rules"));
    assert_eq!(told("daemon"), told("guarded"));
}
