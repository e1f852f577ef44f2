//! What is asked first after a start, where there is much to ask? Every call in its order, as the simulated AWS received it.

use std::process::Command;
use std::time::Duration;

use eks_nlb_exporter::inventory::ids::TargetGroupId;
use eks_nlb_exporter::simulator::world::{Health, World};
use eks_nlb_exporter::simulator::{self, Operation, Simulator, SimulatorSettings, Sizes};
use serde_json::json;

use crate::support::{Daemon, eventually, exporter};

/// Calls that tell how something is set up, and not whether it serves.
const SETTINGS: [Operation; 3] =
    [Operation::DescribeListeners, Operation::DescribeLoadBalancerAttributes, Operation::DescribeTargetGroupAttributes];

fn sizes() -> Sizes {
    Sizes { load_balancers: 100, target_groups: 300, targets: 1_500, services: 100, nodes: 12, ..Sizes::default() }
}

/// A larger cluster, and the daemon at the budget that it would have beside a real one times twenty.
async fn start(change: impl FnOnce(&mut World)) -> (Simulator, Daemon, tempfile::TempDir) {
    let simulator = simulator::start(SimulatorSettings { sizes: sizes(), ..SimulatorSettings::default() }).await.unwrap();
    simulator.world.edit(change);
    let folder = tempfile::tempdir().unwrap();
    let daemon = daemon(&simulator, &folder).await;
    (simulator, daemon, folder)
}

async fn daemon(simulator: &Simulator, folder: &tempfile::TempDir) -> Daemon {
    let (kubeconfig, config) = (folder.path().join("kubeconfig"), folder.path().join("config.yaml"));
    std::fs::write(&kubeconfig, simulator.kubeconfig()).unwrap();
    let rates = json!({"aws": {"requests_per_second": {"elasticloadbalancing": 100}}});
    std::fs::write(&config, rates.to_string()).unwrap();
    let mut command = exporter();
    command
        .args(["--aws.endpoint-url", &simulator.aws_url, "--aws.region", "us-east-1"])
        .args(["--web.listen-address", "127.0.0.1:0", "--log.format", "json"])
        .arg("--config.file")
        .arg(&config)
        .arg("--state.path")
        .arg(folder.path().join("state"))
        .env("KUBECONFIG", &kubeconfig)
        .env("AWS_ACCESS_KEY_ID", "simulated")
        .env("AWS_SECRET_ACCESS_KEY", "simulated");
    Daemon::start_command(&mut command).await
}

/// All calls until each setting was asked for once.
async fn calls(simulator: &Simulator) -> Vec<Operation> {
    eventually("everything was asked once", Duration::from_secs(120), async || {
        let order = simulator.counters.order();
        let count = |operation| order.iter().filter(|one| **one == operation).count();
        let counts = [100, 100, 300].into_iter().zip(SETTINGS.map(count));
        if counts.clone().all(|(wanted, count)| count >= wanted) { Ok(order) } else { Err(format!("{counts:?}")) }
    })
    .await
}

#[tokio::test]
async fn every_groups_health_is_asked_before_any_attribute() {
    let (simulator, daemon, _folder) = start(|_| ()).await;
    let order = calls(&simulator).await;
    let first = order.iter().position(|operation| SETTINGS.contains(operation)).unwrap();
    let health = order[..first].iter().filter(|operation| **operation == Operation::DescribeTargetHealth).count();
    assert!(health >= 300, "an attribute was asked for after {health} of 300 groups");
    // Which groups are whose is told by tags: nothing else comes before health but lists and those.
    let before: std::collections::BTreeSet<_> = order[..first].iter().map(|operation| operation.to_string()).collect();
    assert!(before.contains("elasticloadbalancing:DescribeTags"), "{before:?}");
    daemon.ready(Duration::from_secs(30)).await;
}

/// No target is healthy behind the load balancer of this group.
fn fail(world: &mut World, group: &TargetGroupId) {
    let lb = world.target_groups[group].load_balancers.iter().next().expect("it is in use").clone();
    let of_it = |group: &&TargetGroupId| world.target_groups[*group].load_balancers.contains(&lb);
    let groups: Vec<_> = world.target_groups.keys().filter(of_it).cloned().collect();
    for group in groups {
        world.set_health_where(&group, &Health::FAILED, |_| true).unwrap();
    }
}

/// Groups are asked by their names, and this one comes first.
fn fail_first(world: &mut World) {
    let group = world.target_groups.keys().next().unwrap().clone();
    fail(world, &group);
}

/// This one would come last.
fn fail_last(world: &mut World) {
    let group = world.target_groups.keys().next_back().unwrap().clone();
    fail(world, &group);
}

#[tokio::test]
async fn how_a_group_that_does_not_serve_is_used_is_asked_at_once() {
    let (simulator, daemon, _folder) = start(fail_first).await;
    let order = calls(&simulator).await;
    let first = |operation| order.iter().position(|one| *one == operation).unwrap();
    let before = |at: usize, operation| order[..at].iter().filter(|one| **one == operation).count();
    let attributes = first(Operation::DescribeTargetGroupAttributes).min(first(Operation::DescribeLoadBalancerAttributes));
    let listeners = first(Operation::DescribeListeners);
    let health = before(listeners, Operation::DescribeTargetHealth);
    assert!(health < 150, "its listeners were asked for after {health} of 300 groups");
    // Of no others, and nothing else: they wait for the health of everybody.
    let health = before(attributes, Operation::DescribeTargetHealth);
    assert!(health >= 300, "attributes were asked for after {health} of 300 groups");
    let all = order.iter().enumerate().filter(|(_, one)| **one == Operation::DescribeTargetHealth).nth(290).unwrap().0;
    // Each of its three groups may ask, as long as no answer is there.
    let early = before(all, Operation::DescribeListeners);
    assert!((1..=3).contains(&early), "{early} calls about listeners");
    daemon.ready(Duration::from_secs(30)).await;
}

#[tokio::test]
async fn what_was_unwell_before_the_restart_is_asked_first() {
    let (simulator, mut before, folder) = start(fail_last).await;
    before.ready(Duration::from_secs(60)).await;
    assert!(Command::new("kill").args(["-s", "TERM", &before.program.id().to_string()]).status().unwrap().success());
    assert_eq!(before.program.wait(Duration::from_secs(20)).await, 0);
    simulator.counters.reset();
    let _daemon = daemon(&simulator, &folder).await;
    let order = calls(&simulator).await;
    let listeners = order.iter().position(|operation| *operation == Operation::DescribeListeners).unwrap();
    let attributes = order.iter().position(|operation| *operation == Operation::DescribeTargetGroupAttributes).unwrap();
    let health = |before: usize| order[..before].iter().filter(|one| **one == Operation::DescribeTargetHealth).count();
    // Its listeners and attributes come with the first of 300 groups, and so does its health.
    assert!(health(listeners) < 100 && health(attributes) < 100, "after {} and {} groups", health(listeners), health(attributes));
}
