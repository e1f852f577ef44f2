//! In which of AWS's partitions is the simulated Region? Names of Regions, ARNs and host names differ, and nothing else.

use clap::ValueEnum;

/// A partition. Source of Regions and DNS suffixes: the table of partitions that the AWS SDKs carry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, ValueEnum)]
pub enum Partition {
    /// Commercial Regions.
    #[default]
    Aws,
    /// China.
    AwsCn,
    /// GovCloud (US).
    AwsUsGov,
    /// ISO (US).
    AwsIso,
    /// ISOB (US).
    AwsIsoB,
    /// ISOE (Europe).
    AwsIsoE,
    /// ISOF.
    AwsIsoF,
    /// The European Sovereign Cloud.
    AwsEusc,
}

impl Partition {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Aws, Self::AwsCn, Self::AwsUsGov, Self::AwsIso, Self::AwsIsoB, Self::AwsIsoE, Self::AwsIsoF, Self::AwsEusc];

    /// Its name, as ARNs carry it.
    pub fn name(self) -> &'static str {
        self.facts().0
    }

    /// The simulated Region in it.
    pub fn region(self) -> &'static str {
        self.facts().1
    }

    /// What its host names end in.
    pub fn dns_suffix(self) -> &'static str {
        self.facts().2
    }

    fn facts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Aws => ("aws", super::REGION, "amazonaws.com"),
            Self::AwsCn => ("aws-cn", "cn-north-1", "amazonaws.com.cn"),
            Self::AwsUsGov => ("aws-us-gov", "us-gov-west-1", "amazonaws.com"),
            Self::AwsIso => ("aws-iso", "us-iso-east-1", "c2s.ic.gov"),
            Self::AwsIsoB => ("aws-iso-b", "us-isob-east-1", "sc2s.sgov.gov"),
            Self::AwsIsoE => ("aws-iso-e", "eu-isoe-west-1", "cloud.adc-e.uk"),
            Self::AwsIsoF => ("aws-iso-f", "us-isof-south-1", "csp.hci.ic.gov"),
            Self::AwsEusc => ("aws-eusc", "eusc-de-east-1", "amazonaws.eu"),
        }
    }
}
