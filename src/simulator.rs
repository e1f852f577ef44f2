//! A small AWS and Kubernetes on loopback.

pub mod kube_api;

/// Settings.
#[derive(Debug, Clone, clap::Args)]
pub struct SimulatorSettings {}
