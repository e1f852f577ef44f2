//! Which AWS calls does the simulator know, and of which service is each?

use std::fmt;

/// An AWS service with its signing name, which is the IAM prefix of its actions too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// Elastic Load Balancing, version 2015-12-01.
    Elb,
    /// EC2.
    Ec2,
    /// STS.
    Sts,
    /// Service Quotas.
    ServiceQuotas,
    /// EKS.
    Eks,
}

impl Api {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Elb, Self::Ec2, Self::Sts, Self::ServiceQuotas, Self::Eks];

    /// The signing name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Elb => "elasticloadbalancing",
            Self::Ec2 => "ec2",
            Self::Sts => "sts",
            Self::ServiceQuotas => "servicequotas",
            Self::Eks => "eks",
        }
    }

    /// The API version that query requests name; Service Quotas and EKS speak JSON and name none.
    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::Elb => "2015-12-01",
            Self::Ec2 => "2016-11-15",
            Self::Sts => "2011-06-15",
            Self::ServiceQuotas => "2019-06-24",
            Self::Eks => "2017-11-01",
        }
    }

    /// The service with this signing name.
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.name() == name)
    }

    /// The service whose query requests name this version.
    pub(crate) fn by_version(version: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.version() == version)
    }
}

macro_rules! operations {
    ($($name:ident: $api:ident),+ $(,)?) => {
        /// A call the simulator answers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "they are named as AWS names them")]
        pub enum Operation { $($name),+ }

        impl Operation {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The name on the wire.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),+ }
            }

            /// The service.
            pub fn api(self) -> Api {
                match self { $(Self::$name => Api::$api),+ }
            }
        }
    };
}

operations! {
    DescribeLoadBalancers: Elb,
    DescribeTargetGroups: Elb,
    DescribeTags: Elb,
    DescribeListeners: Elb,
    DescribeLoadBalancerAttributes: Elb,
    DescribeTargetGroupAttributes: Elb,
    DescribeTargetHealth: Elb,
    DescribeListenerCertificates: Elb,
    DescribeListenerAttributes: Elb,
    DescribeCapacityReservation: Elb,
    DescribeAccountLimits: Elb,
    DescribeSubnets: Ec2,
    DescribeRouteTables: Ec2,
    DescribeAvailabilityZones: Ec2,
    DescribeVpcs: Ec2,
    DescribeSecurityGroups: Ec2,
    DescribeNetworkInterfaces: Ec2,
    DescribeManagedPrefixLists: Ec2,
    DescribeAddresses: Ec2,
    GetServiceQuota: ServiceQuotas,
    GetAWSDefaultServiceQuota: ServiceQuotas,
    ListServiceQuotas: ServiceQuotas,
    ListAWSDefaultServiceQuotas: ServiceQuotas,
    ListRequestedServiceQuotaChangeHistory: ServiceQuotas,
    GetCallerIdentity: Sts,
    DescribeCluster: Eks,
}

impl Operation {
    /// The call of a service with this name.
    pub(crate) fn parse(api: Api, name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|operation| operation.api() == api && operation.name() == name)
    }
}

impl fmt::Display for Operation {
    /// As IAM names the action: `elasticloadbalancing:DescribeTags`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.api().name(), self.name())
    }
}
