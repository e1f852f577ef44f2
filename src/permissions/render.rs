//! How are the permissions written down? An IAM policy as JSON or Terraform, and tables for people.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use super::{AWS_ACTIONS, AwsAction, KUBE_ACCESS, KubeAccess, Place};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Policy {
    version: &'static str,
    statement: Vec<Statement>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    sid: &'static str,
    effect: &'static str,
    action: Vec<&'static str>,
    resource: String,
}

/// One statement a service. Only `eks:DescribeCluster` knows a narrower resource than `*`.
fn statements(actions: &[&AwsAction], cluster_arn: &str) -> Vec<Statement> {
    let mut found: Vec<Statement> = Vec::new();
    for action in actions {
        let sid = match action.action.split(':').next() {
            Some("elasticloadbalancing") => "LoadBalancers",
            Some("ec2") => "Network",
            Some("servicequotas") => "Quotas",
            _ => "Cluster",
        };
        let resource = if sid == "Cluster" { cluster_arn } else { "*" };
        match found.iter_mut().find(|statement| statement.sid == sid) {
            Some(statement) => statement.action.push(action.action),
            None => {
                found.push(Statement { sid, effect: "Allow", action: vec![action.action], resource: resource.to_owned() });
            }
        }
    }
    found
}

/// An IAM policy document.
pub fn policy_json(actions: &[&AwsAction], cluster_arn: &str) -> String {
    let policy = Policy { version: "2012-10-17", statement: statements(actions, cluster_arn) };
    let mut text = serde_json::to_string_pretty(&policy).expect("texts and lists of texts are JSON");
    text.push('\n');
    text
}

/// The same as a Terraform data source.
pub fn policy_terraform(actions: &[&AwsAction], cluster_arn: &str) -> String {
    let mut text = String::from("data \"aws_iam_policy_document\" \"eks_nlb_exporter\" {\n");
    for (at, statement) in statements(actions, cluster_arn).iter().enumerate() {
        let gap = if at > 0 { "\n" } else { "" };
        let _ = write!(text, "{gap}  statement {{\n    sid       = \"{}\"\n    actions = [\n", statement.sid);
        for action in &statement.action {
            let _ = writeln!(text, "      \"{action}\",");
        }
        let _ = write!(text, "    ]\n    resources = [\"{}\"]\n  }}\n", statement.resource);
    }
    text + "}\n"
}

/// The AWS actions as a Markdown table.
pub fn aws_table() -> String {
    let mut text = String::from("| action | for | source that fails without it | called |\n|---|---|---|---|\n");
    for action in AWS_ACTIONS {
        let features: Vec<String> = action.features.iter().map(|feature| format!("`{}`", feature.name())).collect();
        let when = if action.only_when.is_empty() { "always".to_owned() } else { format!("where {}", action.only_when) };
        let _ = writeln!(text, "| `{}` | {} | `{}` | {when} |", action.action, features.join(", "), action.source);
    }
    text
}

/// The Kubernetes requests as a Markdown table.
pub fn kubernetes_table() -> String {
    let mut text = String::from("| group | resources | verbs | where | for |\n|---|---|---|---|---|\n");
    // What stands for the same in one group is one row.
    let mut rows: BTreeMap<usize, (&KubeAccess, Vec<String>)> = BTreeMap::new();
    for (at, access) in KUBE_ACCESS.iter().enumerate() {
        let resource = format!("`{}`{}", access.resource, access.name.map(|name| format!(" (`{name}`)")).unwrap_or_default());
        let same = |other: &&KubeAccess| {
            (other.group, other.place, other.purpose) == (access.group, access.place, access.purpose)
                && other.verbs == access.verbs
        };
        match rows.values_mut().find(|(other, _)| same(other)) {
            Some((_, resources)) => resources.push(resource),
            None => {
                rows.insert(at, (access, vec![resource]));
            }
        }
    }
    for (access, resources) in rows.values() {
        let group = if access.group.is_empty() { "core".to_owned() } else { format!("`{}`", access.group) };
        let verbs: Vec<String> = access.verbs.iter().map(|verb| format!("`{verb}`")).collect();
        let place = match access.place {
            Place::Cluster => "cluster",
            Place::ControllerNamespace => "the controller's namespace",
            Place::KubeSystem => "`kube-system`",
            Place::OwnNamespace => "the exporter's namespace",
        };
        let _ = writeln!(text, "| {group} | {} | {} | {place} | {} |", resources.join(", "), verbs.join(", "), access.purpose);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::permissions::{Feature, actions_for};

    fn all() -> Vec<&'static AwsAction> {
        actions_for(&BTreeSet::from(Feature::ALL)).collect()
    }

    #[test]
    fn the_policy_grants_each_action_once_and_the_cluster_by_its_arn() {
        let arn = "arn:aws:eks:eu-west-1:123456789012:cluster/prod";
        let policy: serde_json::Value = serde_json::from_str(&policy_json(&all(), arn)).unwrap();
        assert_eq!(policy["Version"], "2012-10-17");
        let statements = policy["Statement"].as_array().unwrap();
        let granted: usize = statements.iter().map(|statement| statement["Action"].as_array().unwrap().len()).sum();
        assert_eq!((statements.len(), granted), (4, AWS_ACTIONS.len()));
        let sids: Vec<_> = statements.iter().map(|statement| (&statement["Sid"], &statement["Resource"])).collect();
        assert_eq!(sids.iter().filter(|(_, resource)| *resource == arn).count(), 1);
        assert!(sids.iter().all(|(sid, resource)| *resource == "*" || *sid == "Cluster"));
    }

    #[test]
    fn terraform_says_the_same() {
        let text = policy_terraform(&all(), "arn:aws-cn:eks:*:*:cluster/*");
        assert!(AWS_ACTIONS.iter().all(|action| text.matches(&format!("\"{}\"", action.action)).count() == 1));
        assert_eq!(text.matches('{').count(), text.matches('}').count());
        assert!(text.contains("[\"arn:aws-cn:eks:*:*:cluster/*\"]"));
    }

    #[test]
    fn the_tables_name_everything() {
        let (aws, kubernetes) = (aws_table(), kubernetes_table());
        assert!(AWS_ACTIONS.iter().all(|action| aws.contains(action.action)));
        assert!(KUBE_ACCESS.iter().all(|access| kubernetes.contains(&format!("`{}`", access.resource))));
        assert!(kubernetes.contains("`tcproutes`, `tlsroutes`, `udproutes`"), "{kubernetes}");
    }
}
