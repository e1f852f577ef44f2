//! Does any alert end or begin because the daemon restarted? Watched at Prometheus and at two Alertmanagers all the while.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eks_nlb_exporter::inventory::ids::ObjectName;
use eks_nlb_exporter::simulator::world::{Change, Health};
use serde_json::json;
use tokio::time::Instant;

use crate::paging::both_paths::{EXPECTED, break_it, config, notifications, services};
use crate::paging::peers::{Alertmanager, Labels, Prometheus, Receiver};
use crate::paging::stage::{Stage, groups, set_health};
use crate::support::{Daemon, Program, eventually, get};

const PATIENCE: Duration = Duration::from_secs(60);

/// So long nothing may change before it is believed that nothing will: every wait of the stage but those for its own absence.
const SETTLED: Duration = Duration::from_secs(20);

/// How the daemon ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// A node that is lost, memory that runs out.
    Kill,
    /// A rollout, a drained node.
    Terminate,
}

async fn end(program: &mut Program, how: End) {
    match how {
        End::Kill => program.kill(),
        End::Terminate => {
            assert!(Command::new("kill").args(["-s", "TERM", &program.id().to_string()]).status().unwrap().success());
            assert_eq!(program.wait(Duration::from_secs(20)).await, 0);
        }
    }
}

/// What looks like trouble and is none: a Service that is scaled to zero, and one whose listener sends it nothing while it fails.
fn confuse(stage: &Stage) -> [ObjectName; 2] {
    stage.simulator.world.edit(|world| {
        let all = services(world);
        let [.., idle, unweighted] = &all[..] else { panic!("only {all:?}") };
        world.services.get_mut(idle).unwrap().endpoints.clear();
        world.touch(Change::Endpoints(idle.clone()));
        for group in groups(world, idle) {
            world.target_groups.get_mut(&group).unwrap().targets.clear();
        }
        set_health(world, unweighted, &Health::FAILED, |_| true);
        let lb = world.load_balancer_of(unweighted).unwrap().clone();
        let listeners = &mut world.load_balancers.get_mut(&lb).unwrap().listeners;
        listeners.iter_mut().flat_map(|listener| &mut listener.forwards).for_each(|forward| forward.weight = 0);
        [idle.clone(), unweighted.clone()]
    })
}

/// Every set of firing alerts that Prometheus has had, and when.
type Seen = Arc<Mutex<Vec<(Instant, BTreeSet<Labels>)>>>;

/// Looks at the alerts several times a second until it is dropped.
fn watch(prometheus: Arc<Prometheus>) -> (Seen, tokio::task::JoinSet<()>) {
    let seen = Seen::default();
    let mut task = tokio::task::JoinSet::new();
    let into = Arc::clone(&seen);
    task.spawn(async move {
        loop {
            if let Ok((firing, _)) = prometheus.firing().await {
                into.lock().unwrap().push((Instant::now(), firing));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    (seen, task)
}

fn names(alerts: &BTreeSet<Labels>) -> BTreeMap<(String, String), usize> {
    let mut names = BTreeMap::new();
    for alert in alerts {
        *names.entry((alert["alertname"].clone(), alert["severity"].clone())).or_default() += 1;
    }
    names
}

async fn is_down(prometheus: &Prometheus) -> Result<(), String> {
    // Nothing but failed scrapes for some seconds: its series are stale, and every rule was judged without them.
    let up = prometheus.query("max_over_time(up[4s]) == 0", None).await?;
    if up.is_empty() { Err("it was up a moment ago".to_owned()) } else { Ok(()) }
}

#[tokio::test]
async fn no_alert_ends_or_begins_over_a_kill_and_a_rollout() {
    let stage = Stage::new().await;
    let receiver = Receiver::start().await;
    let by_rules = Alertmanager::start(&config(&receiver, "rules"));
    let by_daemon = Alertmanager::start(&config(&receiver, "daemon"));
    let alerting = json!({
        "alertmanagers": [{"url": by_daemon.url()}],
        "external_url": "http://exporter.example/",
        "resend_delay_seconds": 3,
    });
    let calm = confuse(&stage);
    let _broken = break_it(&stage);
    let mut daemon = stage.daemon(alerting.clone()).await;
    let targets = [format!("127.0.0.1:{}", by_rules.port)];
    let prometheus = Prometheus::start(stage.prometheus_config(&json!({}), &targets), Some(&stage.rules())).await;
    let prometheus = Arc::new(prometheus);

    let mut last = (Instant::now(), BTreeSet::new());
    let fired = eventually("everything that is broken fires, and nothing changes any more", 2 * PATIENCE, async || {
        let (firing, kept) = prometheus.firing().await?;
        if firing != last.1 || kept {
            last = (Instant::now(), firing);
            return Err(format!("still moving: {:?}", names(&last.1)));
        }
        let missing: Vec<_> = EXPECTED
            .iter()
            .filter(|(name, severity)| !names(&firing).contains_key(&((*name).to_owned(), (*severity).to_owned())))
            .collect();
        if missing.is_empty() && last.0.elapsed() > SETTLED { Ok(firing) } else { Err(format!("missing: {missing:?}")) }
    })
    .await;
    for service in &calm {
        let about = |alert: &&Labels| {
            let label = |name: &str| alert.get(name).map(String::as_str);
            (label("namespace"), label("service")) == (Some(&*service.namespace), Some(&*service.name))
        };
        let false_ones: Vec<_> = fired.iter().filter(about).collect();
        assert!(false_ones.is_empty(), "{service} is as it should be: {false_ones:#?}");
    }
    let heard = ["rules", "daemon"].map(|path| notifications(&receiver, path));

    let (seen, watching) = watch(Arc::clone(&prometheus));
    for how in [End::Kill, End::Terminate] {
        end(&mut daemon.program, how).await;
        eventually("Prometheus finds nobody", PATIENCE, async || is_down(&prometheus).await).await;
        drop(daemon);
        let began = Instant::now();
        daemon = restart(&stage, &alerting).await;
        println!("{how:?}: ready again after {:.1} s", began.elapsed().as_secs_f64());
        eventually("every alert fires for what is known now, and none for what was", PATIENCE, async || {
            let (firing, kept) = prometheus.firing().await?;
            let told = daemon.scrape().await.value("alerts{state=\"firing\"}");
            if firing == fired && !kept && told.is_some_and(|count| count >= 14.0) {
                Ok(())
            } else {
                Err(format!("{told:?} {firing:#?}"))
            }
        })
        .await;
    }
    // What was announced to end would have ended by now.
    let from = Instant::now();
    eventually("some time has passed", PATIENCE, async || if from.elapsed() > SETTLED { Ok(()) } else { Err("") }).await;
    drop(watching);

    let seen = std::mem::take(&mut *seen.lock().unwrap());
    assert!(seen.len() > 100, "only {} looks", seen.len());
    for (at, firing) in &seen {
        let lost: Vec<_> = fired.difference(firing).collect();
        let gained: Vec<_> = firing.difference(&fired).collect();
        let after = at.duration_since(seen[0].0);
        assert!(lost.is_empty() && gained.is_empty(), "after {after:?}: lost {lost:#?}, gained {gained:#?}");
    }
    for (path, before) in ["rules", "daemon"].iter().zip(heard) {
        assert_eq!(notifications(&receiver, path), before, "{path}: somebody was told of an end or of a second start");
    }
}

async fn restart(stage: &Stage, alerting: &serde_json::Value) -> Daemon {
    let daemon = stage.daemon(alerting.clone()).await;
    let (status, _) = get(&daemon.url("/-/healthy")).await.unwrap();
    assert_eq!(status, 200);
    daemon
}
