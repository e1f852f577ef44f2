//! Does what breaks in AWS reach a person, once, and is its end told? With the real Prometheus, Alertmanager, amtool and openssl.

pub(crate) mod both_paths;
mod broken;
mod expressions;
mod page;
pub(crate) mod peers;
pub(crate) mod stage;
