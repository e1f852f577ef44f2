//! Stage 2, remember: what the sources found, as plain immutable data with ages and gaps, joined into one picture. Pure.

pub mod aws;
pub mod departures;
pub(crate) mod expiry;
pub mod history;
pub mod ids;
pub mod kube;
pub mod membership;
pub mod part;
pub mod parts;
pub mod quota;
pub mod readiness;
pub mod snapshot;
