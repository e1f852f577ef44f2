//! What would the AWS Load Balancer Controller do with this Service? A model of it, pure.

pub mod security_groups;
pub mod subnets;
