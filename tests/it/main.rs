//! All integration tests: one binary, since linking the SDK is what costs.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on says where; clippy's own exception covers only functions marked as tests"
)]

mod alerts;
mod architecture;
mod chart;
mod check;
mod ci;
mod cluster;
mod dashboards;
mod docs;
mod environments;
mod exposition_text;
mod faults;
mod gather;
mod ground_truth;
mod http;
mod image;
mod moto;
mod movement;
mod named_tests;
mod newcomer;
mod notify;
mod page;
mod paging;
mod permissions;
mod plan;
mod program;
mod prometheus;
mod recorded_world;
mod release;
mod reload;
mod restart;
mod scenarios;
mod security_claims;
mod situations;
mod snapshot;
mod stable;
mod support;
mod traps;
mod untrusted;
mod web_config;
mod worlds;
