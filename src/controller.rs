//! What would the AWS Load Balancer Controller do with this Service? A model of it, pure.
//!
//! Driven by what is known of the running controller (`settings`): version, flags, gates. Where it is not known, the newest
//! documented defaults hold, and what depends on the unknown is `Unknown`, never a guess.

pub mod annotations;
pub mod desired;
pub mod ownership;
pub mod security_groups;
pub mod settings;
pub mod subnets;
