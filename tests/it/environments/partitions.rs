//! Is a Region outside of the commercial partition read as well? ARNs, host names and names of Regions are others there.

use eks_nlb_exporter::inventory::aws::TargetType;
use eks_nlb_exporter::simulator::world::Partition;
use eks_nlb_exporter::simulator::{self, SimulatorSettings, WorldKind};

use crate::gather::{gather_simulated, judge, told};
use crate::support::exporter;

#[tokio::test]
async fn a_healthy_cluster_is_left_alone_in_every_partition() {
    for partition in Partition::ALL {
        let settings = SimulatorSettings { partition, ..SimulatorSettings::default() };
        let simulator = simulator::start(settings).await.unwrap();
        let parts = gather_simulated(&simulator).await;
        let name = partition.name();
        assert_eq!(parts.scope.partition.as_deref(), Some(name));
        assert_eq!(parts.scope.region.as_deref(), Some(partition.region()));
        let arns = parts.load_balancers.get().unwrap().values().map(|lb| lb.arn.clone());
        let arns: Vec<_> = arns.chain(parts.target_groups.get().unwrap().values().map(|group| group.arn.clone())).collect();
        assert!(arns.iter().all(|arn| arn.as_str().starts_with(&format!("arn:{name}:elasticloadbalancing:"))), "{arns:?}");
        let (snapshot, outcome) = judge(parts);
        assert!(told(&outcome).is_empty(), "{name}: {:#?}", told(&outcome));
        // Everything is joined as in the first partition, or silence would prove nothing.
        assert_eq!(snapshot.load_balancers.len(), 12, "{name}");
        assert!(snapshot.target_groups.values().all(|group| group.binding.is_some() && group.load_balancer.is_some()), "{name}");
        assert!(snapshot.target_groups.values().any(|group| group.target_group.target_type == TargetType::Instance));
        let names: Vec<_> =
            snapshot.load_balancers.values().map(|found| std::sync::Arc::clone(&found.load_balancer.dns_name)).collect();
        assert!(names.iter().all(|name| name.ends_with(partition.dns_suffix())), "{names:?}");
    }
}

#[tokio::test]
async fn gateways_and_auto_mode_are_joined_in_china_and_govcloud() {
    for (partition, world) in [
        (Partition::AwsCn, WorldKind::GatewayApi),
        (Partition::AwsUsGov, WorldKind::AutoMode),
        (Partition::AwsCn, WorldKind::SharedVpc),
        (Partition::AwsUsGov, WorldKind::DualStack),
    ] {
        let simulator = simulator::start(SimulatorSettings { partition, world, ..SimulatorSettings::default() }).await.unwrap();
        let (snapshot, outcome) = judge(gather_simulated(&simulator).await);
        assert!(!snapshot.load_balancers.is_empty());
        let noise: Vec<_> = outcome.findings.iter().map(|finding| finding.kind.code).filter(|code| *code != "NLB405").collect();
        assert!(noise.is_empty(), "{partition:?} {world:?}: {:#?}", told(&outcome));
    }
}

#[test]
fn the_policy_names_the_partition_in_every_arn() {
    for partition in Partition::ALL {
        for format in ["json", "terraform"] {
            let output = exporter()
                .args(["iam-policy", "--aws.partition", partition.name(), "--aws.region", partition.region()])
                .args(["--format", format])
                .output()
                .unwrap();
            assert!(output.status.success());
            let text = String::from_utf8(output.stdout).unwrap();
            let arns: Vec<&str> = text.split('"').filter(|word| word.starts_with("arn:")).collect();
            let wanted = format!("arn:{}:eks:{}:*:cluster/*", partition.name(), partition.region());
            assert_eq!(arns, [wanted.as_str()], "{text}");
        }
    }
}
