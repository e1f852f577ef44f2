//! What can be said to the commands that ask once: check, plan, snapshot, completions?

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ClusterArgs, LogArgs, QUIET};

pub(super) const CHECK_HELP: &str = "\
Exit code: 0 nothing found, 1 something found, 2 wrong usage, 3 not everything could be known (which is said).

Examples:
  eks-nlb-exporter check --cluster-name prod --aws.region eu-west-1
  eks-nlb-exporter check --fail-on critical --output json
  eks-nlb-exporter check --ignore NLB203 --ignore NLB601:shop/web
  eks-nlb-exporter check --snapshot prod.json.gz

A file for --ignore-file is a list; an entry whose date has passed hides nothing any more, which is said:
  - code: NLB601
    subject: shop/web
    reason: the old name stays until the migration
    until: 2026-12-31";

pub(super) const PLAN_HELP: &str = "\
Exit code: 0 nothing found, 1 something found, 2 wrong usage, 3 not everything could be known (which is said).

Examples:
  eks-nlb-exporter plan -f service.yaml --cluster-name prod --aws.region eu-west-1
  helm template chart | eks-nlb-exporter plan -f - --offline --namespace shop
  eks-nlb-exporter plan -f manifests/ --offline --output sarif > plan.sarif
  kubectl get services -A -o yaml | eks-nlb-exporter plan -f - --controller-version 3.5.0";

pub(super) const SNAPSHOT_HELP: &str = "\
Exit code: 0 written, 1 not written, 2 wrong usage, 3 written, and not everything could be known (which is said).

Examples:
  eks-nlb-exporter snapshot --cluster-name prod --output prod.json.gz
  eks-nlb-exporter snapshot --redact --output for-support.json.gz
  eks-nlb-exporter serve --snapshot prod.json.gz";

pub(super) const COMPLETIONS_HELP: &str = "\
Examples:
  eks-nlb-exporter completions bash > /etc/bash_completion.d/eks-nlb-exporter
  eks-nlb-exporter completions zsh > \"${fpath[1]}/_eks-nlb-exporter\"
  eks-nlb-exporter completions fish > ~/.config/fish/completions/eks-nlb-exporter.fish";

/// How much of a pass is told, and how long it may take.
#[derive(Debug, Clone, Args)]
pub struct PassArgs {
    /// Give up on what has not answered after this many seconds. A large cluster needs minutes: calls are few a second, so
    /// that the AWS Load Balancer Controller is never starved.
    #[arg(long, value_name = "SECONDS", default_value_t = 1800, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,
    /// The log.
    #[command(flatten)]
    pub log: LogArgs<QUIET>,
}

/// What the surroundings say of the screen. Variables that every program reads, no flags of this one.
#[derive(Debug, Clone, Default, Args)]
pub struct ScreenArgs {
    /// How wide it is.
    #[arg(long = "screen.columns", env = "COLUMNS", hide = true)]
    pub columns: Option<String>,
    /// Not empty: no colours.
    #[arg(long = "screen.no-color", env = "NO_COLOR", hide = true)]
    pub no_color: Option<String>,
    /// Which terminal it is.
    #[arg(long = "screen.term", env = "TERM", hide = true)]
    pub term: Option<String>,
}

/// Flags of `check`.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// How to print the findings.
    #[arg(long, short, default_value = "table", value_name = "FORMAT")]
    pub output: ReportFormat,
    /// What is ignored, and what ends with 1.
    #[command(flatten)]
    pub verdict: VerdictArgs,
    /// Judge the picture in this file, as `snapshot` writes it, at the moment at which it was taken.
    #[arg(long, value_name = "FILE")]
    pub snapshot: Option<PathBuf>,
    /// What the daemon remembers.
    #[command(flatten)]
    pub memory: MemoryArgs,
    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// The pass.
    #[command(flatten)]
    pub pass: PassArgs,
    /// The screen.
    #[command(flatten)]
    pub screen: ScreenArgs,
}

/// Where the daemon keeps what it remembers of annotations. It is only read.
#[derive(Debug, Clone, Default, Args)]
pub struct MemoryArgs {
    /// ConfigMap in which the daemon keeps what it remembers of annotations, to judge edits by (NLB503 to NLB505): NAME in the
    /// kubeconfig's namespace, or NAMESPACE/NAME. It is only read.
    #[arg(long = "state.configmap", value_name = "[NAMESPACE/]NAME", conflicts_with = "state_path")]
    pub state_config_map: Option<String>,
    /// File in which it does.
    #[arg(long = "state.path", value_name = "FILE")]
    pub state_path: Option<PathBuf>,
}

impl MemoryArgs {
    /// Whether any place is named.
    pub fn is_named(&self) -> bool {
        self.state_config_map.is_some() || self.state_path.is_some()
    }
}

/// What is ignored, and what ends with exit code 1.
#[derive(Debug, Clone, Args)]
pub struct VerdictArgs {
    /// End with 1 from this severity on.
    #[arg(long = "fail-on", value_name = "SEVERITY", default_value = "warning")]
    pub fail_on: FailOn,
    /// Leave out findings with this code, or only those about one subject; may be given several times.
    #[arg(long, value_name = "CODE[:SUBJECT]")]
    pub ignore: Vec<String>,
    /// File (YAML) of what to leave out: code, subject, reason, until.
    #[arg(long = "ignore-file", value_name = "FILE")]
    pub ignore_file: Option<PathBuf>,
}

/// From which severity on findings end with exit code 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Any finding.
    Info,
    /// A warning or worse.
    Warning,
    /// Only a critical one.
    Critical,
}

/// Formats of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For a person at a terminal.
    Table,
    /// For programs.
    Json,
    /// For a comment on a pull request.
    Markdown,
}

/// Flags of `plan`.
#[derive(Debug, Clone, Args)]
pub struct PlanArgs {
    /// A file of manifests (YAML or JSON), a folder of such files, or - for standard input; may be given several times. What is
    /// no Service is passed over.
    #[arg(short = 'f', long = "filename", value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Namespace of Services that name none.
    #[arg(long, short, value_name = "NAMESPACE", default_value = "default")]
    pub namespace: String,
    /// Ask neither AWS nor Kubernetes: only what the manifests themselves show.
    #[arg(long, conflicts_with = "snapshot")]
    pub offline: bool,
    /// Plan as this version of the AWS Load Balancer Controller would do it, instead of the one that runs.
    #[arg(long = "controller-version", value_name = "VERSION")]
    pub controller_version: Option<String>,
    /// How to print the plan.
    #[arg(long, short, default_value = "table", value_name = "FORMAT")]
    pub output: PlanFormat,
    /// What is ignored, and what ends with 1.
    #[command(flatten)]
    pub verdict: VerdictArgs,
    /// Plan upon the picture in this file, as `snapshot` writes it.
    #[arg(long, value_name = "FILE")]
    pub snapshot: Option<PathBuf>,
    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// The pass.
    #[command(flatten)]
    pub pass: PassArgs,
    /// The screen.
    #[command(flatten)]
    pub screen: ScreenArgs,
}

/// Formats of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// For a person at a terminal.
    Table,
    /// For programs.
    Json,
    /// For a comment on a pull request.
    Markdown,
    /// For a code host: SARIF 2.1.0.
    Sarif,
}

/// Flags of `snapshot`.
#[derive(Debug, Clone, Args)]
pub struct SnapshotArgs {
    /// The file to write (gzip); - is standard output.
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// Replace account ids, IP addresses and the ids of AWS resources by others, the same by the same. Names stay.
    #[arg(long)]
    pub redact: bool,
    /// What the daemon remembers, to have it in the picture.
    #[command(flatten)]
    pub memory: MemoryArgs,
    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// The pass.
    #[command(flatten)]
    pub pass: PassArgs,
}

/// Flags of `completions`.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// The shell.
    pub shell: clap_complete::Shell,
}
