//! Prometheus exporter and alerting daemon for the Network Load Balancers of an Amazon EKS cluster.
//!
//! The stages are folders: `sources → inventory → checks → expose`. See ARCHITECTURE.md.

pub mod app;
pub mod checks;
pub mod cli;
pub mod clock;
pub mod config;
pub mod controller;
mod excerpt;
pub mod expose;
pub mod inventory;
#[cfg(test)]
#[allow(dead_code, reason = "shared with the integration tests, and each side uses its part")]
mod mutation;
pub mod notify;
pub mod permissions;
pub mod report;
pub mod rules;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod sources;
pub mod telemetry;
pub mod version;
