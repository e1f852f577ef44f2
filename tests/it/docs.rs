//! Is the documentation true? Links and anchors, names of metrics, findings, alerts, flags and keys, log texts, and commands.

pub(crate) mod commands;
mod links;
pub(crate) mod pages;
mod quotes;
mod systemd;
