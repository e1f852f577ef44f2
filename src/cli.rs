//! What can be said on the command line? Flags are spelled as exporter users know them.

mod once;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::permissions::Feature;
use crate::telemetry::{LogFormat, LogLevel};
use once::{CHECK_HELP, COMPLETIONS_HELP, PLAN_HELP, SNAPSHOT_HELP};
pub use once::{
    CheckArgs, CompletionsArgs, FailOn, MemoryArgs, PassArgs, PlanArgs, PlanFormat, ReportFormat, ScreenArgs, SnapshotArgs,
    VerdictArgs,
};

/// Prometheus exporter and alerting daemon for the Network Load Balancers of an Amazon EKS cluster.
#[derive(Debug, Parser)]
#[command(
    name = "eks-nlb-exporter",
    version = crate::version::LONG,
    args_conflicts_with_subcommands = true,
    max_term_width = 110,
    after_help = HELP
)]
pub struct Cli {
    /// What to do; without a command the daemon runs.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Flags of `serve`.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon (the default).
    Serve(Box<ServeArgs>),
    /// Run the daemon against a simulated AWS and Kubernetes in the same process; no credentials needed.
    #[cfg(feature = "simulator")]
    Demo(Box<DemoArgs>),
    /// Ask AWS and Kubernetes once and print what is wrong; the exit code says whether anything is.
    #[command(after_help = CHECK_HELP)]
    Check(Box<CheckArgs>),
    /// Say what would come of Service manifests: whether their load balancers would be made, where, at what cost.
    #[command(after_help = PLAN_HELP)]
    Plan(Box<PlanArgs>),
    /// Ask AWS and Kubernetes once and write the picture to a file, which check and serve read back.
    #[command(after_help = SNAPSHOT_HELP)]
    Snapshot(Box<SnapshotArgs>),
    /// Run only the simulated AWS and Kubernetes endpoints, on loopback.
    #[cfg(feature = "simulator")]
    Simulate(Box<SimulateArgs>),
    /// Print every metric family this program can expose.
    Metrics(MetricsArgs),
    /// Print every finding this program can make: severity, meaning, what to do.
    Findings(FindingsArgs),
    /// Print a configuration file that sets nothing: every key with what it does and its default, commented out.
    Config(ConfigArgs),
    /// Print the alert and recording rules, with the configured thresholds.
    Rules(RulesArgs),
    /// Print the IAM policy that the daemon needs.
    IamPolicy(IamPolicyArgs),
    /// Print the Kubernetes permissions that the daemon needs.
    Rbac,
    /// Print what makes a shell complete this program's commands and flags.
    #[command(after_help = COMPLETIONS_HELP)]
    Completions(CompletionsArgs),
}

const HELP: &str = "\
Examples:
  eks-nlb-exporter --cluster-name prod --aws.region eu-west-1   Run the daemon.
  eks-nlb-exporter demo                                         Try it without an account or a cluster.
  eks-nlb-exporter check --cluster-name prod                    What is wrong at this moment?
  eks-nlb-exporter snapshot --redact --output prod.json.gz      A picture to send to somebody.";

/// Flags of the daemon.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Address to listen on, HOST:PORT or :PORT; may be given several times.
    #[arg(
        long = "web.listen-address",
        value_name = "ADDRESS",
        default_value = ":10669",
        env = "EKS_NLB_WEB_LISTEN_ADDRESS",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub listen_addresses: Vec<String>,
    /// File (YAML) that turns on TLS, client certificates, basic authentication, headers and a rate limit, in the format that
    /// Prometheus' exporters share. It is read again when it or a file it names changes.
    #[arg(long = "web.config.file", value_name = "FILE", env = "EKS_NLB_WEB_CONFIG_FILE", hide_env_values = true)]
    pub web_config_file: Option<PathBuf>,
    /// Connections held at the same time; more are closed at once. Also limited by the process's open files, of which some are kept
    /// for AWS and Kubernetes.
    #[arg(long = "web.max-connections", value_name = "N", default_value_t = 2048)]
    pub max_connections: usize,
    /// Path under which to expose metrics.
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics")]
    pub telemetry_path: String,
    /// Scrapes answered at the same time; more are answered with 503.
    #[arg(long = "web.max-requests", value_name = "N", default_value_t = 40)]
    pub max_requests: usize,
    /// Leave out metrics about the exporter itself.
    #[arg(long = "web.disable-exporter-metrics")]
    pub disable_exporter_metrics: bool,

    /// Read the configuration, say whether it is good, and exit.
    #[arg(long = "config.check")]
    pub config_check: bool,

    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,

    /// Show the picture in this file, as `snapshot` writes it, and ask neither AWS nor Kubernetes; nobody is alerted.
    #[arg(long, value_name = "FILE")]
    pub snapshot: Option<PathBuf>,

    /// ConfigMap in the exporter's own namespace in which it keeps what it remembers of annotations, to notice edits over
    /// restarts; inside a cluster eks-nlb-exporter-state unless told, elsewhere none unless told; an empty name means none.
    /// Its Role needs get and update on this name, and create on configmaps.
    #[arg(long = "state.configmap", value_name = "NAME", env = "EKS_NLB_STATE_CONFIGMAP", hide_env_values = true)]
    pub state_config_map: Option<String>,
    /// File to keep it in instead.
    #[arg(long = "state.path", value_name = "FILE", env = "EKS_NLB_STATE_PATH", hide_env_values = true)]
    pub state_path: Option<PathBuf>,

    /// The log.
    #[command(flatten)]
    pub log: LogArgs<TALKATIVE>,
}

/// A daemon's log is read after the fact.
pub const TALKATIVE: bool = true;
/// What runs once says what is wrong on its own, and logs only what it could not go on with.
pub const QUIET: bool = false;

/// How much is logged, and in which form.
#[derive(Debug, Clone, Args)]
pub struct LogArgs<const TELLS: bool> {
    /// How much to log.
    #[arg(
        long = "log.level",
        value_name = "LEVEL",
        default_value = if TELLS { "info" } else { "error" },
        env = "EKS_NLB_LOG_LEVEL",
        hide_env_values = true
    )]
    pub level: LogLevel,
    /// How to write the log; it goes to standard error.
    #[arg(
        long = "log.format",
        value_name = "FORMAT",
        default_value = "logfmt",
        env = "EKS_NLB_LOG_FORMAT",
        hide_env_values = true
    )]
    pub format: LogFormat,
}

/// Which cluster, and how it is reached.
#[derive(Debug, Clone, Args)]
pub struct ClusterArgs {
    /// Configuration file (YAML).
    #[arg(long = "config.file", value_name = "FILE", env = "EKS_NLB_CONFIG_FILE", hide_env_values = true)]
    pub config_file: Option<PathBuf>,
    /// Name of the EKS cluster; else the AWS Load Balancer Controller's own --cluster-name.
    #[arg(long = "cluster-name", value_name = "NAME", env = "EKS_NLB_CLUSTER_NAME", hide_env_values = true)]
    pub cluster_name: Option<String>,
    /// AWS Region; else AWS_REGION, the profile, or instance metadata.
    #[arg(long = "aws.region", value_name = "REGION", env = "EKS_NLB_AWS_REGION", hide_env_values = true)]
    pub aws_region: Option<String>,
    /// Endpoint for all AWS services, e.g. of an emulator or a VPC endpoint.
    #[arg(long = "aws.endpoint-url", value_name = "URL", env = "EKS_NLB_AWS_ENDPOINT_URL", hide_env_values = true, value_parser = url)]
    pub aws_endpoint_url: Option<String>,
    /// VPC of the cluster; else the controller's --aws-vpc-id, else the VPC of the cluster's load balancers.
    #[arg(long = "aws.vpc-id", value_name = "VPC", env = "EKS_NLB_AWS_VPC_ID", hide_env_values = true)]
    pub aws_vpc_id: Option<String>,
    /// Context of the kubeconfig; inside a cluster the service account is used.
    #[arg(long = "kube.context", value_name = "CONTEXT", env = "EKS_NLB_KUBE_CONTEXT", hide_env_values = true)]
    pub kube_context: Option<String>,
}

/// A URL as it came, or nothing: an empty variable means that none is set.
fn url(text: &str) -> Result<String, &'static str> {
    if !text.is_empty() {
        crate::config::check_url(text)?;
    }
    Ok(text.to_owned())
}

/// Flags of `metrics`.
#[derive(Debug, Args)]
pub struct MetricsArgs {
    /// How to print them.
    #[arg(long, default_value = "markdown")]
    pub format: MetricsFormat,
}

/// Flags of `config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// How to print it.
    #[arg(long, default_value = "yaml")]
    pub format: ConfigFormat,
}

/// Formats of the configuration's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ConfigFormat {
    /// A file to begin with.
    Yaml,
    /// A page with every key.
    Markdown,
}

/// Flags of `findings`.
#[derive(Debug, Args)]
pub struct FindingsArgs {
    /// How to print them.
    #[arg(long, default_value = "markdown")]
    pub format: MetricsFormat,
}

/// Formats of the tables of metrics and findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MetricsFormat {
    /// Markdown.
    Markdown,
    /// A JSON array.
    Json,
}

/// Flags of `iam-policy`.
#[derive(Debug, Args)]
pub struct IamPolicyArgs {
    /// Only what this needs; may be given several times. All of it unless told. What is left out is reported as denied.
    #[arg(long = "for", value_name = "FEATURE", value_delimiter = ',')]
    pub features: Vec<Feature>,
    /// How to print it.
    #[arg(long, default_value = "json")]
    pub format: PolicyFormat,
    /// The daemon's configuration file: with aws.describe_cluster: false EKS is left out.
    #[arg(long = "config.file", value_name = "FILE", env = "EKS_NLB_CONFIG_FILE", hide_env_values = true)]
    pub config_file: Option<PathBuf>,
    /// Partition of the cluster's ARN: aws, aws-cn, aws-us-gov, …
    #[arg(long = "aws.partition", value_name = "PARTITION", default_value = "aws", value_parser = segment)]
    pub partition: String,
    /// Region of the cluster's ARN; any unless told.
    #[arg(long = "aws.region", value_name = "REGION", value_parser = segment)]
    pub region: Option<String>,
    /// Account of the cluster's ARN; any unless told.
    #[arg(long = "aws.account-id", value_name = "ACCOUNT", value_parser = segment)]
    pub account_id: Option<String>,
    /// Name of the cluster; any unless told.
    #[arg(long = "cluster-name", value_name = "NAME", value_parser = segment)]
    pub cluster_name: Option<String>,
}

/// Formats of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PolicyFormat {
    /// A policy document for IAM.
    Json,
    /// A Terraform data source.
    Terraform,
    /// A Markdown table of every action, with what fails without it.
    Markdown,
}

/// A part of an ARN: it is put into a policy, where a quote, a colon or a slash would say something else.
fn segment(text: &str) -> Result<String, &'static str> {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_*?".contains(c);
    let is_segment = !text.is_empty() && text.chars().all(good);
    if is_segment { Ok(text.to_owned()) } else { Err("it consists of letters, digits, - and _") }
}

/// Flags of `rules`.
#[derive(Debug, Args)]
pub struct RulesArgs {
    /// For whom to print them.
    #[arg(long, default_value = "prometheus")]
    pub format: RulesFormat,
    /// Thresholds (YAML): alert, severity, threshold, value.
    #[arg(long, value_name = "FILE", conflicts_with = "config_file")]
    pub thresholds: Option<PathBuf>,
    /// Configuration file whose section alerting.thresholds to use.
    #[arg(long = "config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// Page of the runbooks, which each alert links to.
    #[arg(long = "runbook-url", value_name = "URL", value_parser = url)]
    pub runbook_url: Option<String>,
    /// Where Grafana is: what stands before /d/ in links to dashboards.
    #[arg(long = "dashboard-url", value_name = "URL", value_parser = url)]
    pub dashboard_url: Option<String>,
}

/// Formats of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RulesFormat {
    /// A rule file of Prometheus.
    Prometheus,
    /// A PrometheusRule of the Prometheus operator.
    Prometheusrule,
}

/// Flags of `demo`.
#[cfg(feature = "simulator")]
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Flags of the daemon.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Flags of the simulation.
    #[command(flatten)]
    pub simulator: crate::simulator::SimulatorSettings,
}

/// Flags of `simulate`.
#[cfg(feature = "simulator")]
#[derive(Debug, Clone, Args)]
pub struct SimulateArgs {
    /// Flags of the simulation.
    #[command(flatten)]
    pub simulator: crate::simulator::SimulatorSettings,
    /// Write a kubeconfig for the simulated API server to this file (context `simulated`).
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The log.
    #[command(flatten)]
    pub log: LogArgs<TALKATIVE>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_go_with_or_without_the_command() {
        let bare =
            Cli::try_parse_from(["x", "--cluster-name", "demo", "--web.listen-address=:1", "--web.listen-address=:2"]).unwrap();
        assert!(bare.command.is_none());
        assert_eq!(bare.serve.listen_addresses, [":1", ":2"]);
        let named = Cli::try_parse_from(["x", "serve", "--cluster-name", "demo"]).unwrap();
        assert!(matches!(named.command, Some(Command::Serve(args)) if args.cluster.cluster_name.as_deref() == Some("demo")));
    }

    #[test]
    fn an_unknown_flag_or_value_is_named() {
        for (arguments, named) in [
            (vec!["x", "--web.listen-adress", ":1"], "--web.listen-adress"),
            (vec!["x", "--log.level", "loud"], "loud"),
            (vec!["x", "--web.max-requests", "many"], "many"),
            (vec!["x", "serf"], "serf"),
            (vec!["x", "--aws.endpoint-url", "localhost:4566"], "localhost:4566"),
            (vec!["x", "iam-policy", "--for", "subnet"], "subnet"),
            (vec!["x", "iam-policy", "--cluster-name", "a/*\", \"b"], "--cluster-name"),
        ] {
            let error = Cli::try_parse_from(&arguments).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
