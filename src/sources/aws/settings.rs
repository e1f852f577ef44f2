//! What can be set about talking to AWS? Every default is here.

use std::fmt;
use std::time::Duration;

/// How to talk to AWS.
#[derive(Debug, Clone)]
pub struct AwsSettings {
    /// The Region; `None`: `AWS_REGION`, the profile's, the instance's.
    pub region: Option<String>,
    /// One endpoint for all services; `None`: AWS's own, or what `AWS_ENDPOINT_URL` says.
    pub endpoint_url: Option<String>,
    /// The cluster's name; `None`: the controller's own `--cluster-name`.
    pub cluster_name: Option<String>,
    /// The cluster's VPC; `None`: the controller's `--aws-vpc-id`, else that of the cluster's load balancers, else of its nodes.
    pub vpc_id: Option<String>,
    /// Whether EKS is asked about the cluster.
    pub describe_cluster: bool,
    /// Fixed credentials, for a simulated AWS that accepts any; `None`: the credential chain.
    pub credentials: Option<FixedCredentials>,
    /// Calls a second per service.
    pub budgets: Budgets,
    /// How long an answer may take.
    pub timeouts: Timeouts,
    /// How often what is asked.
    pub intervals: Intervals,
}

impl Default for AwsSettings {
    fn default() -> Self {
        Self {
            region: None,
            endpoint_url: None,
            cluster_name: None,
            vpc_id: None,
            describe_cluster: true,
            credentials: None,
            budgets: Budgets::default(),
            timeouts: Timeouts::default(),
            intervals: Intervals::default(),
        }
    }
}

/// An access key that is written down, as simulated endpoints want it. The secret is never shown.
#[derive(Clone)]
pub struct FixedCredentials {
    /// The access key's id.
    pub access_key_id: String,
    /// The secret.
    pub secret_access_key: String,
}

impl fmt::Debug for FixedCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FixedCredentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// The budget of each service. AWS counts per account and Region, and the controller shares it: with several exporters in
/// one account and Region divide these among them.
#[derive(Debug, Clone)]
pub struct Budgets {
    /// Elastic Load Balancing.
    pub elasticloadbalancing: BudgetSettings,
    /// EC2.
    pub ec2: BudgetSettings,
    /// Service Quotas.
    pub servicequotas: BudgetSettings,
    /// STS.
    pub sts: BudgetSettings,
    /// EKS.
    pub eks: BudgetSettings,
}

impl Default for Budgets {
    fn default() -> Self {
        let budget = |rate, burst, concurrency| BudgetSettings { rate, burst, concurrency };
        Self {
            elasticloadbalancing: budget(5.0, 10.0, 8),
            ec2: budget(5.0, 10.0, 4),
            servicequotas: budget(2.0, 4.0, 2),
            sts: budget(1.0, 2.0, 1),
            eks: budget(1.0, 2.0, 1),
        }
    }
}

impl Budgets {
    /// The services that a configuration can give a rate, by IAM prefix.
    pub const SERVICES: [&str; 5] = ["elasticloadbalancing", "ec2", "servicequotas", "sts", "eks"];

    /// Sets a service's calls a second, by its IAM prefix; a name that is none of the five changes nothing. The burst grows
    /// with the rate where it would be less than a second of it.
    pub fn set_rate(&mut self, service: &str, rate: f64) {
        let Some(budget) = self.of_service(service) else { return };
        budget.rate = rate;
        budget.burst = budget.burst.max(rate);
    }

    /// The calls a second of one of [`Self::SERVICES`].
    pub fn rate(mut self, service: &str) -> Option<f64> {
        self.of_service(service).map(|budget| budget.rate)
    }

    fn of_service(&mut self, service: &str) -> Option<&mut BudgetSettings> {
        match service {
            "elasticloadbalancing" => Some(&mut self.elasticloadbalancing),
            "ec2" => Some(&mut self.ec2),
            "servicequotas" => Some(&mut self.servicequotas),
            "sts" => Some(&mut self.sts),
            "eks" => Some(&mut self.eks),
            _ => None,
        }
    }
}

/// One service's budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BudgetSettings {
    /// Attempts a second; halved when AWS throttles, then recovered slowly.
    pub rate: f64,
    /// Attempts that may be made at once after a quiet time.
    pub burst: f64,
    /// Attempts under way at the same time.
    pub concurrency: usize,
}

/// How long an answer may take.
#[derive(Debug, Clone)]
pub struct Timeouts {
    /// The connection.
    pub connect: Duration,
    /// One attempt, credentials included.
    pub attempt: Duration,
    /// A call as the SDK sees it.
    pub operation: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(3), attempt: Duration::from_secs(5), operation: Duration::from_secs(15) }
    }
}

/// How often what is asked. Each round is up to a twentieth shorter or longer.
#[derive(Debug, Clone)]
pub struct Intervals {
    /// Lists of load balancers and target groups.
    pub load_balancers: Duration,
    /// Tags of everything in those lists; of new ones at once.
    pub tags: Duration,
    /// Listeners of this cluster's load balancers, and their further certificates; when new or changed at once.
    pub listeners: Duration,
    /// Attributes of this cluster's load balancers, target groups and listeners, and reserved capacity; when new or changed
    /// at once.
    pub attributes: Duration,
    /// Subnets and security groups.
    pub subnets: Duration,
    /// Network interfaces, Elastic IPs, route tables.
    pub network_interfaces: Duration,
    /// Zones, VPCs, quotas, prefix lists, and the cluster as EKS knows it.
    pub quotas: Duration,
    /// Health of groups that are not steady.
    pub unsteady_health: Duration,
    /// Health of steady groups: the length of a sweep, if the budget allows.
    pub steady_health: Duration,
    /// How long a group counts as not steady after a change.
    pub settle: Duration,
    /// The first wait after a failure; further ones double.
    pub retry: Duration,
    /// The wait after AWS refused an operation or credentials, for everything that needs it.
    pub retry_refused: Duration,
    /// How long changes are gathered before they are acted upon.
    pub debounce: Duration,
    /// When groups of instances are looked at after a node came, went or changed.
    pub after_node_change: Duration,
    /// When listeners, attributes and tags are looked at after their Service changed: the controller takes a while.
    pub after_service_change: [Duration; 2],
    /// When they are looked at once more: just after a difference begins to count as drift (`drift_hold_down_seconds` of
    /// the policy), counted from the change, the load balancer's creation or the controller's start.
    pub after_hold_down: Duration,
}

impl Intervals {
    /// The intervals that a configuration can set, by name.
    pub const NAMES: [&str; 9] = [
        "load_balancers",
        "tags",
        "listeners",
        "attributes",
        "subnets",
        "network_interfaces",
        "quotas",
        "unsteady_health",
        "steady_health",
    ];

    /// Sets one of [`Self::NAMES`]; another name changes nothing.
    pub fn set(&mut self, name: &str, interval: Duration) {
        if let Some(of_name) = self.of_name(name) {
            *of_name = interval;
        }
    }

    /// One of [`Self::NAMES`].
    pub fn get(mut self, name: &str) -> Option<Duration> {
        self.of_name(name).map(|interval| *interval)
    }

    fn of_name(&mut self, name: &str) -> Option<&mut Duration> {
        let of_name = match name {
            "load_balancers" => &mut self.load_balancers,
            "tags" => &mut self.tags,
            "listeners" => &mut self.listeners,
            "attributes" => &mut self.attributes,
            "subnets" => &mut self.subnets,
            "network_interfaces" => &mut self.network_interfaces,
            "quotas" => &mut self.quotas,
            "unsteady_health" => &mut self.unsteady_health,
            "steady_health" => &mut self.steady_health,
            _ => return None,
        };
        Some(of_name)
    }
}

impl Default for Intervals {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            load_balancers: seconds(60),
            tags: seconds(15 * 60),
            listeners: seconds(30 * 60),
            attributes: seconds(60 * 60),
            subnets: seconds(60),
            network_interfaces: seconds(5 * 60),
            quotas: seconds(60 * 60),
            unsteady_health: seconds(15),
            steady_health: seconds(120),
            settle: seconds(180),
            retry: seconds(15),
            retry_refused: seconds(60),
            debounce: Duration::from_millis(300),
            after_node_change: seconds(10),
            after_service_change: [seconds(20), seconds(200)],
            after_hold_down: seconds(310),
        }
    }
}
