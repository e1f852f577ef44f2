//! What does `iam-policy` print? The permissions of what is enabled, with the cluster's ARN as far as it was told.

use std::collections::BTreeSet;

use crate::cli::{IamPolicyArgs, PolicyFormat};
use crate::config::{Config, ConfigError};
use crate::permissions::{AwsAction, Feature, actions_for, aws_table, policy_json, policy_terraform};

/// The policy as text.
pub(super) fn text(args: &IamPolicyArgs) -> Result<String, ConfigError> {
    let path = args.config_file.as_deref().filter(|path| !path.as_os_str().is_empty());
    let config = path.map(Config::load).transpose()?.unwrap_or_default();
    let mut features: BTreeSet<Feature> =
        if args.features.is_empty() { Feature::ALL.into() } else { args.features.iter().copied().collect() };
    if !config.aws.describe_cluster {
        features.remove(&Feature::Cluster);
    }
    let actions: Vec<&AwsAction> = actions_for(&features).collect();
    let any = |flag: &Option<String>, configured: &Option<String>| {
        [flag, configured].into_iter().flatten().find(|text| !text.is_empty()).map_or("*", String::as_str).to_owned()
    };
    let cluster_arn = format!(
        "arn:{}:eks:{}:{}:cluster/{}",
        args.partition,
        any(&args.region, &config.aws.region),
        any(&args.account_id, &None),
        any(&args.cluster_name, &config.cluster_name),
    );
    Ok(match args.format {
        PolicyFormat::Json => policy_json(&actions, &cluster_arn),
        PolicyFormat::Terraform => policy_terraform(&actions, &cluster_arn),
        PolicyFormat::Markdown => aws_table(),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn printed(arguments: &[&str]) -> String {
        match Cli::try_parse_from([&["x", "iam-policy"], arguments].concat()).unwrap().command {
            Some(Command::IamPolicy(args)) => text(&args).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn everything_is_granted_unless_told() {
        let text = printed(&[]);
        assert!(text.contains("ec2:DescribeAddresses") && text.contains("arn:aws:eks:*:*:cluster/*"), "{text}");
    }

    #[test]
    fn a_configuration_that_does_not_ask_eks_needs_no_permission_for_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "cluster_name: prod\naws: {region: eu-west-1, describe_cluster: false}\n").unwrap();
        let path = file.path().display().to_string();
        assert!(!printed(&["--config.file", &path]).contains("eks:"));
        std::fs::write(file.path(), "cluster_name: prod\naws: {region: eu-west-1}\n").unwrap();
        assert!(printed(&["--config.file", &path]).contains("arn:aws:eks:eu-west-1:*:cluster/prod"));
    }

    #[test]
    fn other_partitions_have_other_arns() {
        let text = printed(&["--for=cluster", "--aws.partition=aws-us-gov", "--aws.account-id=123456789012"]);
        assert!(text.contains("arn:aws-us-gov:eks:*:123456789012:cluster/*") && !text.contains("ec2:"), "{text}");
    }
}
