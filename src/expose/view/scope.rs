//! At what does this exporter look, and who makes the load balancers there?

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::Judged;
use crate::expose::view::{Families, Text, label, text};

/// What this exporter looks at. A field is `null` until it is known.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ScopeView {
    /// The AWS account.
    pub account_id: Option<Text>,
    /// The Region.
    pub region: Option<Text>,
    /// The cluster's name, as the controller knows it.
    pub cluster_name: Option<Text>,
    /// The cluster's VPC.
    pub vpc_id: Option<Text>,
    /// The AWS Load Balancer Controller: none where it is not installed or not known yet, several where that is a mistake.
    pub controllers: Vec<ControllerView>,
}

/// A controller.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ControllerView {
    /// Its name, `aws-load-balancer-controller`.
    pub name: Text,
    /// Its version, from its Deployment's image or labels.
    pub version: Option<Text>,
    /// Replicas that its Deployments ask for.
    pub replicas: Option<u64>,
    /// Of these, available ones.
    pub available_replicas: Option<u64>,
    /// Since when its leader leads: it restarted or moved then.
    pub leader_since: Option<Timestamp>,
}

impl ScopeView {
    /// That of a picture.
    pub fn of(judged: &Judged) -> Self {
        let families = Families::of(&judged.outcome);
        let scope = families.samples("exporter_scope_info", &[]).first();
        let of = |at: usize| scope.and_then(|sample| text(&sample.labels[at]));
        let controllers = families.samples("controller_info", &[]).iter().map(|sample| {
            let name = label(sample, 0);
            ControllerView {
                version: text(&sample.labels[1]),
                replicas: families.count("controller_replicas", &[&name]),
                available_replicas: families.count("controller_available_replicas", &[&name]),
                leader_since: families.moment("controller_leader_since_timestamp_seconds", &[&name]),
                name,
            }
        });
        Self { account_id: of(0), region: of(1), cluster_name: of(2), vpc_id: of(3), controllers: controllers.collect() }
    }
}
