//! All integration tests: one binary, since linking the SDK is what costs.
#![allow(clippy::unwrap_used, reason = "a test's way to fail; clippy's own exception covers only functions marked as tests")]

mod exposition_text;
mod http;
