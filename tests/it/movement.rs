//! Does what happens in AWS and in the cluster reach `/metrics`, and go away again? Each collector, through the real clients.

use std::time::Duration;

use eks_nlb_exporter::inventory::ids::ObjectName;
use eks_nlb_exporter::simulator::{self, SimulatorSettings, world};

use crate::support::{Daemon, Scrape, eventually, exporter};

async fn when(daemon: &Daemon, what: &str, condition: impl Fn(&Scrape) -> bool) {
    eventually(what, Duration::from_secs(120), async || if condition(&daemon.scrape().await) { Ok(()) } else { Err("not yet") })
        .await;
}

#[tokio::test]
async fn all_four_collectors_follow_the_world_and_back() {
    let simulator = simulator::start(SimulatorSettings::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (kubeconfig, config) = (folder.path().join("kubeconfig"), folder.path().join("config.yml"));
    std::fs::write(&kubeconfig, simulator.kubeconfig()).unwrap();
    std::fs::write(&config, "policy: {drift_hold_down_seconds: 3, target_hold_down_seconds: 3}\n").unwrap();
    let mut command = exporter();
    command
        .args(["--aws.endpoint-url", &simulator.aws_url, "--aws.region", world::REGION])
        .args(["--config.file", &config.display().to_string(), "--web.listen-address", "127.0.0.1:0", "--log.format", "json"])
        .env("KUBECONFIG", &kubeconfig)
        .env("AWS_ACCESS_KEY_ID", "simulated")
        .env("AWS_SECRET_ACCESS_KEY", "simulated");
    let daemon = Daemon::start_command(&mut command).await;
    daemon.ready(Duration::from_secs(60)).await;

    let service = ObjectName::new("shop", "web");
    let (group, subnet, nodes) = simulator.world.read(|world| {
        let group = world.target_groups_of(&service).into_values().next().unwrap();
        let mut subnets = world.subnets.iter().filter(|(_, subnet)| subnet.vpc_id == world.scope.vpc_id);
        (group, subnets.next().unwrap().0.clone(), world.scope.node_group.clone())
    });
    let unhealthy = format!("target_group_targets{{target_group=\"{group}\",state=\"unhealthy\"}}");
    let free = format!("subnet_available_ip_addresses{{subnet_id=\"{subnet}\"}}");
    let rules = format!("security_group_rules{{security_group_id=\"{nodes}\",direction=\"inbound\",ip_family=\"ipv4\"}}");
    let drifted = "service_drifted_annotations{namespace=\"shop\",service=\"web\"}";
    when(&daemon, "the healthy world is known whole", |scrape| {
        let known = [&unhealthy, &free, &rules].iter().all(|name| scrape.value(name).is_some());
        known && scrape.value(&unhealthy) == Some(0.0) && scrape.value(drifted) == Some(0.0)
    })
    .await;
    let before = daemon.scrape().await;
    let found: Vec<_> = before.family("findings").into_iter().filter(|(_, count)| *count > 0.0).collect();
    assert!(found.is_empty(), "a healthy world has no finding: {found:?}");

    simulator.world.edit(|world| {
        world.set_health_where(&group, &world::Health::FAILED, |_| true).unwrap();
        world.set_free_addresses(&subnet, 5).unwrap();
        world.add_rules(&nodes, 3, "by hand").unwrap();
        world.annotate(&service, world::annotation("healthcheck-interval"), Some("30"), eks_nlb_exporter::clock::now()).unwrap();
    });
    when(&daemon, "the targets fail", |scrape| scrape.value(&unhealthy).is_some_and(|count| count > 0.0)).await;
    when(&daemon, "the subnet runs out", |scrape| scrape.value(&free) == Some(5.0)).await;
    let grown = before.value(&rules).map(|count| count + 3.0);
    when(&daemon, "the rules grow", |scrape| scrape.value(&rules) == grown).await;
    when(&daemon, "the annotation drifts", |scrape| scrape.value(drifted) == Some(1.0)).await;

    simulator.world.edit(|world| {
        world.set_health_where(&group, &world::Health::HEALTHY, |_| true).unwrap();
        world.remove_rules(&nodes, "by hand").unwrap();
        world.annotate(&service, world::annotation("healthcheck-interval"), None, eks_nlb_exporter::clock::now()).unwrap();
    });
    when(&daemon, "the targets heal", |scrape| scrape.value(&unhealthy) == Some(0.0)).await;
    when(&daemon, "the rules are back", |scrape| scrape.value(&rules) == before.value(&rules)).await;
    when(&daemon, "nothing drifts", |scrape| scrape.value(drifted) == Some(0.0)).await;
}
