//! EKS: what does it know of the cluster? REST with JSON bodies.

use serde_json::json;

use super::{aws_api::AwsError, world::World};

/// The version of Kubernetes that the simulated API server says it is.
const VERSION: &str = "1.33";

/// `GET /clusters/NAME`.
pub(crate) fn cluster(world: &World, name: &str) -> Result<String, AwsError> {
    let scope = &world.scope;
    if *scope.cluster_name != *name {
        return Err(AwsError::new(404, "ResourceNotFoundException", format!("No cluster found for name: {name}.")));
    }
    let subnets = world.subnets.iter().filter(|(_, subnet)| subnet.vpc_id == scope.vpc_id && subnet.cidr.is_some());
    let automatic = world.auto_mode;
    let partition = scope.partition.name();
    let cluster = json!({
        "name": name,
        "arn": format!("arn:{partition}:eks:{}:{}:cluster/{name}", scope.region, scope.account_id),
        "createdAt": world.created_at.as_second(),
        "version": VERSION,
        "endpoint": format!("https://0123456789ABCDEF0123456789ABCDEF.gr7.{}.eks.{}", scope.region, scope.partition.dns_suffix()),
        "roleArn": format!("arn:{partition}:iam::{}:role/cluster", scope.account_id),
        "resourcesVpcConfig": {
            "subnetIds": subnets.map(|(id, _)| id.as_str()).collect::<Vec<_>>(),
            "securityGroupIds": [],
            "clusterSecurityGroupId": scope.node_group.as_str(),
            "vpcId": scope.vpc_id.as_str(),
            "endpointPublicAccess": true,
            "endpointPrivateAccess": true,
            "publicAccessCidrs": ["0.0.0.0/0"],
        },
        "kubernetesNetworkConfig": {
            "serviceIpv4Cidr": "172.20.0.0/16",
            "ipFamily": "ipv4",
            "elasticLoadBalancing": { "enabled": automatic },
        },
        "computeConfig": { "enabled": automatic },
        "status": "ACTIVE",
        "platformVersion": "eks.1",
        "tags": {},
    });
    Ok(json!({ "cluster": cluster }).to_string())
}
