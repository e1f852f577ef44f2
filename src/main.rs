//! eks-nlb-exporter.

use std::process::ExitCode;

use clap::Parser;
use eks_nlb_exporter::cli::Cli;

fn main() -> ExitCode {
    // First thing, so that every TLS client and listener agrees. Failing means that it is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    eks_nlb_exporter::app::run(Cli::parse())
}
