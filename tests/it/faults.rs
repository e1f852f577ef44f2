//! What happens when AWS misbehaves? Only what needs the failing call suffers; it is named and counted, and nothing reads as zero.

use std::time::Duration;

use eks_nlb_exporter::permissions::{AWS_ACTIONS, AwsAction};
use eks_nlb_exporter::simulator::kube_api::DEPLOYMENTS;
use eks_nlb_exporter::simulator::world::annotation;
use eks_nlb_exporter::simulator::{self, Simulator, SimulatorSettings};
use futures::StreamExt;

use crate::support::{Daemon, Scrape, eventually, exporter, get};

/// A healthy small world and the daemon in front of it, with these faults from the beginning.
pub(crate) struct Setting {
    pub(crate) simulator: Simulator,
    pub(crate) daemon: Daemon,
    _folder: tempfile::TempDir,
}

impl Setting {
    async fn start(faults: &[&str]) -> Self {
        Self::start_in(faults, |_| ()).await
    }

    /// The same in a world that is changed before the daemon looks.
    pub(crate) async fn start_in(faults: &[&str], change: impl FnOnce(&Simulator)) -> Self {
        let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
        Self::start_world(SimulatorSettings { faults, ..SimulatorSettings::default() }, change).await
    }

    /// The same with a world of the caller's.
    pub(crate) async fn start_world(settings: SimulatorSettings, change: impl FnOnce(&Simulator)) -> Self {
        let simulator = simulator::start(settings).await.unwrap();
        change(&simulator);
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, simulator.kubeconfig()).unwrap();
        let mut command = exporter();
        command
            .args(["--aws.endpoint-url", &simulator.aws_url, "--aws.region", "us-east-1"])
            .args(["--web.listen-address", "127.0.0.1:0", "--log.format", "json"])
            .args(["--state.configmap", "eks-nlb-exporter-state"])
            .env("KUBECONFIG", &kubeconfig)
            .env("AWS_ACCESS_KEY_ID", "simulated")
            .env("AWS_SECRET_ACCESS_KEY", "simulated");
        Self { daemon: Daemon::start_command(&mut command).await, simulator, _folder: folder }
    }

    /// How many targets the world has.
    fn targets(&self) -> usize {
        self.simulator.world.read(|world| world.target_groups.values().map(|group| group.targets.len()).sum())
    }

    /// The scrape in which a condition holds.
    pub(crate) async fn when(&self, what: &str, condition: impl Fn(&Scrape) -> bool) -> Scrape {
        eventually(what, Duration::from_secs(60), async || {
            let scrape = self.daemon.scrape().await;
            if condition(&scrape) { Ok(scrape) } else { Err(format!("{:?}", scrape.family("source_up"))) }
        })
        .await
    }

    pub(crate) fn up(scrape: &Scrape, source: &str) -> Option<f64> {
        scrape.value(&format!("source_up{{source=\"{source}\"}}"))
    }
}

/// Families that must be absent without an action.
const FAMILIES: &[(&str, &str)] = &[
    ("elasticloadbalancing:DescribeLoadBalancers", "load_balancer_info"),
    ("elasticloadbalancing:DescribeTargetGroups", "target_group_info"),
    ("elasticloadbalancing:DescribeTargetHealth", "target_group_targets"),
    ("elasticloadbalancing:DescribeTargetGroupAttributes", "target_group_cross_zone_enabled"),
    ("ec2:DescribeSubnets", "subnet_available_ip_addresses"),
    ("ec2:DescribeRouteTables", "subnet_route"),
    ("ec2:DescribeSecurityGroups", "security_group_rules"),
    ("ec2:DescribeAddresses", "elastic_ips"),
];

/// Without these lists there is no picture at all, and the daemon is right not to be ready.
const INDISPENSABLE: &[&str] = &["elasticloadbalancing:DescribeLoadBalancers", "elasticloadbalancing:DescribeTargetGroups"];

/// Somebody's Services speak of everything that is only asked for then.
pub(crate) fn annotate(simulator: &Simulator) {
    simulator.world.edit(|world| {
        let now = eks_nlb_exporter::clock::now();
        let names: Vec<_> = world.load_balanced().map(|(name, _)| name.clone()).collect();
        for name in names {
            for (short, value) in [
                ("listener-attributes.TCP-80", "tcp.idle_timeout.seconds=350"),
                ("minimum-load-balancer-capacity", "CapacityUnits=0"),
            ] {
                world.annotate(&name, annotation(short), Some(value), now).unwrap();
            }
        }
    });
}

#[tokio::test]
async fn a_denied_action_is_named_and_the_rest_lives() {
    // A few at a time: each has a daemon of its own.
    futures::stream::iter(AWS_ACTIONS).for_each_concurrent(4, deny).await;
}

/// One action is denied from the beginning.
async fn deny(action: &AwsAction) {
    let (service, operation) = action.action.split_once(':').unwrap();
    let setting = Setting::start_in(&[&format!("{operation}=deny")], annotate).await;
    let scrape = setting
        .when(&format!("that {operation} is denied is reported and the others are not down"), |scrape| {
            let up = scrape.family("source_up");
            let others = up.iter().filter(|(labels, _)| labels["source"] != action.source);
            let working = others.clone().filter(|(_, up)| **up == 1.0).count();
            Setting::up(scrape, action.source) == Some(0.0) && working > 15 && others.clone().all(|(_, up)| *up == 1.0)
        })
        .await;
    for (_, family) in FAMILIES.iter().filter(|(of, _)| *of == action.action) {
        assert!(scrape.family(family).is_empty(), "{operation}: {family} is told without its call");
    }
    let denied =
        format!("aws_api_request_failures_total{{api_service=\"{service}\",operation=\"{operation}\",reason=\"denied\"}}");
    assert!(scrape.value(&denied).is_some_and(|count| count >= 1.0), "{operation}: {:?}", scrape.value(&denied));
    let (_, findings) = get(&setting.daemon.url("/api/v1/findings")).await.unwrap();
    assert!(findings.contains("NLB902") && findings.contains(action.action), "{operation}: {findings}");
    if !INDISPENSABLE.contains(&action.action) {
        setting.daemon.ready(Duration::from_secs(60)).await;
    }
}

#[tokio::test]
async fn truncated_answers_are_counted_as_malformed_and_never_as_short_lists() {
    let setting = Setting::start(&["DescribeSubnets=truncate", "DescribeTargetHealth=truncate:0.3"]).await;
    let reason = |operation: &str| {
        format!(
            "aws_api_request_failures_total{{api_service=\"{}\",operation=\"{operation}\",reason=\"malformed\"}}",
            if operation == "DescribeSubnets" { "ec2" } else { "elasticloadbalancing" }
        )
    };
    let scrape = setting
        .when("both are counted", |scrape| {
            ["DescribeSubnets", "DescribeTargetHealth"]
                .iter()
                .all(|operation| scrape.value(&reason(operation)).is_some_and(|count| count >= 1.0))
        })
        .await;
    assert!(scrape.family("subnet_info").is_empty() && scrape.family("scheme_usable_zones").is_empty());
    let targets = setting.targets();
    let scrape = setting
        .when("every group was sampled in spite of it", |scrape| {
            scrape.family("target_group_targets").values().sum::<f64>() == targets as f64
        })
        .await;
    assert_eq!(
        scrape.family("findings").iter().filter(|(labels, count)| labels["code"].starts_with("NLB1") && **count > 0.0).count(),
        0
    );
}

#[tokio::test]
async fn throttling_slows_down_and_heals() {
    let setting = Setting::start(&["*=throttle:0.3"]).await;
    setting.daemon.ready(Duration::from_secs(240)).await;
    let scrape = setting.daemon.scrape().await;
    let throttled: f64 = scrape
        .family("aws_api_request_failures_total")
        .iter()
        .filter(|(labels, _)| labels["reason"] == "throttled")
        .map(|(_, count)| count)
        .sum();
    assert!(throttled >= 1.0);
    setting.simulator.faults.set(Vec::new());
    let targets = setting.targets();
    setting
        .when("nothing is missing", |scrape| scrape.family("target_group_targets").values().sum::<f64>() == targets as f64)
        .await;
}

#[tokio::test]
async fn a_target_group_deleted_between_list_and_call_is_no_failure() {
    let setting = Setting::start(&[]).await;
    setting.daemon.ready(Duration::from_secs(60)).await;
    let before = setting.daemon.scrape().await.family("target_group_targets").len();
    setting.simulator.world.edit(|world| {
        let group = world.target_groups.keys().next().unwrap().clone();
        world.delete_target_group(&group).unwrap();
    });
    let scrape = setting.when("its series are gone", |scrape| scrape.family("target_group_targets").len() < before).await;
    assert_eq!(Setting::up(&scrape, "aws_target_health"), Some(1.0));
    assert_eq!(scrape.value("source_missing_resources{source=\"aws_target_health\"}"), Some(0.0));
}

#[tokio::test]
async fn without_a_cluster_name_it_says_where_it_looked_and_goes_on_once_there_is_one() {
    let setting = Setting::start_in(&[], |simulator| {
        simulator.kube.set_served(DEPLOYMENTS, false);
    })
    .await;
    eventually("it is said what is missing and where it was looked for", Duration::from_secs(60), async || {
        let (status, pending) = get(&setting.daemon.url("/-/ready")).await?;
        let log = setting.daemon.program.output();
        let said = status == 503 && pending.contains("cluster_name") && log.contains("looked for the flag --cluster-name");
        if said { Ok(()) } else { Err(format!("{status}: {pending}\n{log}")) }
    })
    .await;
    let scrape = setting.daemon.scrape().await;
    assert_eq!(Setting::up(&scrape, "aws_load_balancers"), Some(1.0), "what needs no name goes on");
    assert!(scrape.family("load_balancer_info").is_empty() && scrape.family("service_load_balancers").is_empty(), "no guesses");
    setting.simulator.kube.set_served(DEPLOYMENTS, true);
    setting.daemon.ready(Duration::from_secs(90)).await;
}
