//! What does a restart of the daemon cost, and what do two of them? Real processes, a real Prometheus, real Alertmanagers.

mod alerts;
mod order;
mod remembered;
mod twins;
