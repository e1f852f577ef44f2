//! All integration tests: one binary, since linking the SDK is what costs.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on says where; clippy's own exception covers only functions marked as tests"
)]

mod alerts;
mod architecture;
mod chart;
mod check;
mod cluster;
mod dashboards;
mod exposition_text;
mod faults;
mod gather;
mod ground_truth;
mod http;
mod image;
mod moto;
mod movement;
mod named_tests;
mod notify;
mod paging;
mod permissions;
mod plan;
mod program;
mod prometheus;
mod recorded_world;
mod release;
mod scenarios;
mod security_claims;
mod situations;
mod snapshot;
mod stable;
mod support;
mod traps;
mod untrusted;
mod worlds;
