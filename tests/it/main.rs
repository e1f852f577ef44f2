//! All integration tests: one binary, since linking the SDK is what costs.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on says where; clippy's own exception covers only functions marked as tests"
)]

mod architecture;
mod exposition_text;
mod http;
mod scenarios;
