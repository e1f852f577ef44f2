//! How is this daemon set up?

pub mod policy;
