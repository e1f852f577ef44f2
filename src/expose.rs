//! Stage 4, tell on request: /metrics, the status page, the API. Borrows the latest picture and asks nobody anything.

mod connection;
pub mod exposition;
pub mod findings;
mod gzip;
pub mod negotiate;
pub mod openapi;
pub mod own;
mod page;
pub mod process;
pub mod readiness;
pub mod render;
pub mod routes;
pub mod server;
pub mod table;
pub mod view;
pub mod web_config;
