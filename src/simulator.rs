//! (being written)

pub mod kube_api;
