//! What would the AWS Load Balancer Controller do with this Service? A model of it, pure.
