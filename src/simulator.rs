//! (being written)

/// Settings.
#[derive(Debug, Clone, clap::Args)]
pub struct SimulatorSettings {}
