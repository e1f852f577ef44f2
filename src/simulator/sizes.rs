//! How big is the simulated world? Numbers only; `World::build` makes a consistent cluster of them.

use clap::Args;

/// Sizes of the simulated Region and cluster.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "World")]
pub struct Sizes {
    /// Network Load Balancers of the Region. With fewer Services the rest belongs to a neighbouring cluster.
    #[arg(long, value_name = "N", default_value_t = 12)]
    pub load_balancers: usize,
    /// Target groups, spread evenly over the load balancers: one a Service port.
    #[arg(long, value_name = "N", default_value_t = 18)]
    pub target_groups: usize,
    /// Registered targets of all target groups together, as nearly as ports that share pods allow.
    #[arg(long, value_name = "N", default_value_t = 84)]
    pub targets: usize,
    /// Services of the cluster. The first ones own the load balancers, those beyond are of type ClusterIP.
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub services: usize,
    /// Endpoints of all Services together; 0 means as many as the targets need.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub endpoints: usize,
    /// Subnets of the cluster's VPC, public and private in turn, spread over the zones: at least two a zone.
    #[arg(long, value_name = "N", default_value_t = 6)]
    pub subnets: usize,
    /// Availability Zones, 1 to 6.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub zones: usize,
    /// Security groups of the Region; 0 means as many as the load balancers and nodes need.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub security_groups: usize,
    /// Rules, both directions together, of each load balancer's and each further security group; 0 means one source a port.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub rules_per_group: usize,
    /// Nodes: at least one a zone.
    #[arg(long, value_name = "N", default_value_t = 6)]
    pub nodes: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            load_balancers: 12,
            target_groups: 18,
            targets: 84,
            services: 16,
            endpoints: 0,
            subnets: 6,
            zones: 3,
            security_groups: 0,
            rules_per_group: 0,
            nodes: 6,
        }
    }
}

impl Sizes {
    /// World L, the size the measures of success are stated for.
    pub fn large() -> Self {
        Self {
            load_balancers: 1_000,
            target_groups: 3_000,
            targets: 30_000,
            services: 1_000,
            endpoints: 30_000,
            subnets: 60,
            zones: 3,
            security_groups: 1_100,
            rules_per_group: 40,
            nodes: 120,
        }
    }

    /// One sentence saying why no world can be made of these sizes.
    pub(crate) fn problem(&self) -> Option<String> {
        let frontends = self.load_balancers;
        let problem = |text: String| Some(text);
        if !(1..=6).contains(&self.zones) {
            problem(format!("--zones must be between 1 and 6, not {}", self.zones))
        } else if self.subnets < 2 * self.zones || self.subnets > 180 {
            problem(format!("--subnets must be between {} (two a zone) and 180, not {}", 2 * self.zones, self.subnets))
        } else if self.nodes < self.zones || self.nodes > 1_500 {
            problem(format!("--nodes must be between {} (one a zone) and 1500, not {}", self.zones, self.nodes))
        } else if self.load_balancers == 0 {
            problem("--load-balancers must be at least 1".to_owned())
        } else if self.target_groups < self.load_balancers || self.target_groups > 50 * self.load_balancers {
            problem(format!(
                "--target-groups must be between {} (one a load balancer) and {} (50 listeners each), not {}",
                self.load_balancers,
                50 * self.load_balancers,
                self.target_groups
            ))
        } else if self.targets < self.target_groups {
            problem(format!("--targets must be at least {} (one a target group), not {}", self.target_groups, self.targets))
        } else if self.security_groups != 0 && self.security_groups < frontends + FIXED_GROUPS {
            problem(format!(
                "--security-groups must be 0 or at least {} (one a load balancer and {FIXED_GROUPS} of the cluster), not {}",
                frontends + FIXED_GROUPS,
                self.security_groups
            ))
        } else if self.rules_per_group > 60 {
            problem(format!("--rules-per-group must be at most 60, the default quota, not {}", self.rules_per_group))
        } else if self.targets > 200_000 || self.endpoints > 200_000 || self.services > 20_000 {
            problem("a world of more than 200000 targets or endpoints or 20000 Services cannot be built".to_owned())
        } else {
            None
        }
    }
}

/// Security groups every world has: the default ones of both VPCs, the nodes', the cluster's and the shared backend group.
pub(crate) const FIXED_GROUPS: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_sizes_and_world_l_can_be_built() {
        assert_eq!(Sizes::default().problem(), None);
        assert_eq!(Sizes::large().problem(), None);
    }

    #[test]
    fn impossible_sizes_are_named_by_their_flag() {
        for (sizes, flag) in [
            (Sizes { zones: 7, ..Sizes::default() }, "--zones"),
            (Sizes { subnets: 5, ..Sizes::default() }, "--subnets"),
            (Sizes { nodes: 2, ..Sizes::default() }, "--nodes"),
            (Sizes { load_balancers: 0, ..Sizes::default() }, "--load-balancers"),
            (Sizes { target_groups: 11, ..Sizes::default() }, "--target-groups"),
            (Sizes { targets: 1, ..Sizes::default() }, "--targets"),
            (Sizes { security_groups: 3, ..Sizes::default() }, "--security-groups"),
            (Sizes { rules_per_group: 61, ..Sizes::default() }, "--rules-per-group"),
        ] {
            let problem = sizes.problem().unwrap();
            assert!(problem.contains(flag), "{problem}");
        }
    }
}
