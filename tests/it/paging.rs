//! Does what breaks in AWS reach a person, once, and is its end told? With the real Prometheus, Alertmanager, amtool and openssl.

mod both_paths;
mod broken;
mod expressions;
mod page;
mod peers;
mod stage;
