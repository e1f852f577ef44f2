//! What of a VPC does an account see with which another account shares it?

use super::{Builder, group_id};
use crate::inventory::aws::Tags;

/// The account that owns the VPC.
const OWNER: &str = "210987654321";

impl Builder {
    /// Subnets are the owner's: their tags are invisible, others use their addresses too, and others' interfaces, groups and
    /// Elastic IPs cannot be seen.
    pub(super) fn share_vpc(&mut self) {
        let scope = self.world.scope.clone();
        for subnet in self.world.subnets.values_mut().filter(|subnet| subnet.vpc_id == scope.vpc_id) {
            subnet.tags = Tags::new();
            subnet.shared_by = Some(OWNER.into());
            subnet.free_addresses -= subnet.free_addresses / 3;
        }
        let default = group_id("group-default", 1);
        self.world.security_groups.remove(&default);
        // The addresses of the NAT gateways.
        let services: Vec<_> =
            self.world.load_balancers.values().flat_map(|lb| &lb.zones).filter_map(|zone| zone.2.clone()).collect();
        self.world.addresses.retain(|id, address| address.service_managed.is_some() || services.contains(id));
    }
}
