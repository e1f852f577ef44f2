//! Are edits of annotations noticed that were made while no daemon ran, whatever ended the one before? Real processes, both places.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use eks_nlb_exporter::clock;
use eks_nlb_exporter::inventory::ids::ObjectName;
use eks_nlb_exporter::simulator::kube_api::{CONFIG_MAPS, Verb};
use eks_nlb_exporter::simulator::world::annotation;
use eks_nlb_exporter::simulator::{self, Simulator, SimulatorSettings};

use crate::support::{Daemon, eventually, exporter};

const PATIENCE: Duration = Duration::from_secs(60);

async fn start(simulator: &Simulator, folder: &Path, place: [&str; 2]) -> Daemon {
    let kubeconfig = folder.join("kubeconfig");
    std::fs::write(&kubeconfig, simulator.kubeconfig()).unwrap();
    let mut command = exporter();
    command
        .args(["--aws.endpoint-url", &simulator.aws_url, "--aws.region", "us-east-1"])
        .args(["--web.listen-address", "127.0.0.1:0", "--log.format", "json"])
        .args(place)
        .env("KUBECONFIG", kubeconfig)
        .env("AWS_ACCESS_KEY_ID", "simulated")
        .env("AWS_SECRET_ACCESS_KEY", "simulated");
    let daemon = Daemon::start_command(&mut command).await;
    daemon.ready(PATIENCE).await;
    daemon
}

/// Which Services have edited annotations, and how many, once the daemon knows at all.
async fn edited(daemon: &Daemon, wanted: &[(&ObjectName, f64)]) {
    eventually("the edits are known", PATIENCE, async || {
        let scrape = daemon.scrape().await;
        let all = scrape.family("service_edited_annotations");
        let found: Vec<_> = all.iter().filter(|(_, count)| **count > 0.0).collect();
        let is = |(name, count): &(&ObjectName, f64)| {
            found.iter().any(|(of, found)| of["namespace"] == *name.namespace && of["service"] == *name.name && *found == count)
        };
        let right = !all.is_empty() && found.len() == wanted.len() && wanted.iter().all(is);
        if right { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
}

fn edit(simulator: &Simulator, service: &ObjectName) {
    simulator.world.edit(|world| world.annotate(service, annotation("healthcheck-interval"), Some("25"), clock::now())).unwrap();
}

async fn survives(place: [&str; 2], folder: &Path, written: impl Fn(&Simulator) -> bool) {
    let simulator = simulator::start(SimulatorSettings::default()).await.unwrap();
    let (first, second) = (ObjectName::new("shop", "web"), ObjectName::new("shop", "api"));
    let mut daemon = start(&simulator, folder, place).await;
    eventually("the state is written", PATIENCE, async || if written(&simulator) { Ok(()) } else { Err("not yet") }).await;
    daemon.program.kill();
    edit(&simulator, &first);
    let mut daemon = start(&simulator, folder, place).await;
    edited(&daemon, &[(&first, 1.0)]).await;
    // What it noticed seconds ago is not written yet; asked to end, it writes.
    assert!(Command::new("kill").args(["-s", "TERM", &daemon.program.id().to_string()]).status().unwrap().success());
    assert_eq!(daemon.program.wait(Duration::from_secs(20)).await, 0);
    edit(&simulator, &second);
    let daemon = start(&simulator, folder, place).await;
    edited(&daemon, &[(&first, 1.0), (&second, 1.0)]).await;
}

#[tokio::test]
async fn in_a_file_edits_survive_a_kill_and_a_rollout() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    survives(["--state.path", path.to_str().unwrap()], folder.path(), |_| path.exists()).await;
}

#[tokio::test]
async fn in_a_config_map_edits_survive_a_kill_and_a_rollout() {
    let folder = tempfile::tempdir().unwrap();
    let written = |simulator: &Simulator| simulator.kube.requests(Verb::Create, CONFIG_MAPS) > 0;
    survives(["--state.configmap", "eks-nlb-exporter-state"], folder.path(), written).await;
}
