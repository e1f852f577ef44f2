//! Where does it all play? A simulated AWS and cluster whose world the test moves, and the daemon beside it, with every wait
//! scaled down by configuration.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use eks_nlb_exporter::inventory::ids::{ObjectName, TargetGroupId};
use eks_nlb_exporter::rules::thresholds::Overrides;
use eks_nlb_exporter::rules::{Links, Rules};
use eks_nlb_exporter::simulator::world::{self, Health, World};
use eks_nlb_exporter::simulator::{self, Simulator, SimulatorSettings};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::peers::succeeds;
use crate::support::{Daemon, exporter, free_port};

/// The rules' marks for quota of rules in a security group.
pub(crate) const RULES_QUOTA: (&str, &str) = ("vpc", "L-0EA8095F");

/// What the test adds to a security group.
const BY_HAND: &str = "by hand";

/// Every alert waits this many seconds instead of minutes and hours.
const HOLD_SECONDS: u64 = 2;

/// And goes on this long after its end: longer than a restart of the daemon takes.
const KEEP_FIRING_SECONDS: u64 = 16;

/// The simulated world and where the daemon finds it.
pub(crate) struct Stage {
    pub(crate) simulator: Simulator,
    port: u16,
    folder: TempDir,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let simulator = simulator::start(SimulatorSettings::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("kubeconfig"), simulator.kubeconfig()).unwrap();
        Self { simulator, port: free_port(), folder }
    }

    /// Where the daemon listens, before and after its restart.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A file of the test's own.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The configuration of the daemon with this `alerting` section, the thresholds added.
    fn config(&self, mut alerting: Value) -> PathBuf {
        alerting["thresholds"] = thresholds();
        let rates =
            ["elasticloadbalancing", "ec2", "servicequotas", "sts", "eks"].map(|service| (service.to_owned(), json!(500)));
        let config = json!({
            "aws": {
                "requests_per_second": rates.into_iter().collect::<serde_json::Map<_, _>>(),
                "refresh_seconds": {
                    "load_balancers": 2, "tags": 5, "attributes": 5, "subnets": 2, "network_interfaces": 5, "quotas": 2,
                    "unsteady_health": 1, "steady_health": 2,
                },
            },
            "policy": {"drift_hold_down_seconds": 1, "target_hold_down_seconds": 1},
            "alerting": alerting,
        });
        self.file("config.yml", &config.to_string())
    }

    /// Starts the daemon with this `alerting` section.
    pub(crate) async fn daemon(&self, alerting: Value) -> Daemon {
        self.daemon_at(&self.address(), alerting).await
    }

    /// The same where another one may be listening already.
    pub(crate) async fn daemon_at(&self, address: &str, alerting: Value) -> Daemon {
        let config = self.config(alerting);
        let mut command = exporter();
        command
            .args(["--aws.endpoint-url", &self.simulator.aws_url, "--aws.region", world::REGION])
            .args(["--web.listen-address", address, "--log.format", "json"])
            .arg("--config.file")
            .arg(config);
        self.reach(&mut command);
        let daemon = Daemon::start_command(&mut command).await;
        daemon.ready(Duration::from_secs(40)).await;
        daemon
    }

    fn reach(&self, command: &mut Command) {
        command
            .env("KUBECONFIG", self.folder.path().join("kubeconfig"))
            .env("AWS_ACCESS_KEY_ID", "simulated")
            .env("AWS_SECRET_ACCESS_KEY", "simulated");
    }

    /// The shipped rules with the same thresholds.
    pub(crate) fn rules(&self) -> String {
        let thresholds = self.file("thresholds.yaml", &thresholds().to_string());
        succeeds(exporter().args(["rules", "--dashboard-url", "https://grafana.example", "--thresholds"]).arg(thresholds))
    }

    /// A Prometheus that scrapes the daemon and tells these.
    pub(crate) fn prometheus_config(&self, external_labels: &Value, alertmanagers: &[String]) -> Value {
        json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s", "external_labels": external_labels},
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": alertmanagers}]}]},
            "scrape_configs": [{"job_name": "eks-nlb-exporter", "static_configs": [{"targets": [self.address()]}]}],
        })
    }

    /// Fills the nodes' security group with inbound rules until only `left` fit in.
    pub(crate) fn fill_rules(&self, left: usize) {
        self.simulator.world.edit(|world| {
            let group = world.scope.node_group.clone();
            let limit = world.quotas[&RULES_QUOTA].value();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a quota is a small whole number")]
            let room = limit as usize - world.security_groups[&group].inbound.len();
            world.add_rules(&group, room - left, BY_HAND).unwrap();
        });
    }

    pub(crate) fn remove_rules(&self) {
        self.simulator.world.edit(|world| {
            let group = world.scope.node_group.clone();
            world.remove_rules(&group, BY_HAND).unwrap();
        });
    }
}

/// The target groups of a Service.
pub(crate) fn groups(world: &World, service: &ObjectName) -> Vec<TargetGroupId> {
    world.target_groups_of(service).into_values().collect()
}

/// Sets the health of a Service's targets that are chosen.
pub(crate) fn set_health(world: &mut World, service: &ObjectName, health: &Health, choose: impl Fn(&world::Target) -> bool) {
    for group in groups(world, service) {
        world.set_health_where(&group, health, &choose).unwrap();
    }
}

/// Every alert with short waits.
fn thresholds() -> Value {
    let mut all = json!({});
    for rule in Rules::new(&Overrides::new(), &Links::default()).unwrap().alerts() {
        all[rule.name][rule.severity.as_str()] = json!({"for": HOLD_SECONDS, "keep_firing_for": KEEP_FIRING_SECONDS});
    }
    // A source of a real cluster that was silent for a few seconds is not absent.
    all["NLBExporterAbsent"]["critical"]["for"] = json!(60);
    all["NLBExporterNotReady"]["critical"]["for"] = json!(60);
    all["NLBExporterThrottled"]["warning"]["for"] = json!(3600);
    // It counts only what was heard of the controller within its wait, and the controller is heard of every ten seconds.
    all["NLBControllerDown"]["critical"]["for"] = json!(15);
    all["NLBServicePending"]["warning"]["age"] = json!(1);
    all
}
