//! What can be wrong with a Service as it is written? The closed set of rules, and a problem of one.

use std::fmt;

use crate::checks::catalogue::{
    DRIFT_NEVER_REPAIRED, LINT_ADDRESSES, LINT_AUTO_MODE, LINT_CLUSTER_IP, LINT_DEPRECATED, LINT_FARGATE_INSTANCE,
    LINT_FARGATE_PUBLIC, LINT_IN_VAIN, LINT_IPV6, LINT_MISPLACED, LINT_MISREAD, LINT_MISSPELT, LINT_NAME_TAKEN,
    LINT_NOT_READ_YET, LINT_OTHER_CNI, LINT_REFUSED, LINT_SHARED_PORT, LINT_STYLE, LINT_UNKNOWN, LINT_WINDOWS, OWNED_BY_NOBODY,
};
use crate::checks::model::{FindingKind, Severity};
use crate::controller::annotations::{PREFIX, name};

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $kind:ident),+ $(,)?) => {
        /// A rule. Each has one entry of the catalogue, which gives its code and its severity.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $($(#[$doc])* $name),+
        }

        impl Rule {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The catalogue's entry.
            pub fn kind(self) -> &'static FindingKind {
                match self { $(Self::$name => &$kind),+ }
            }
        }
    };
}

rules! {
    /// An annotation that looks like one the controller reads and is none.
    Misspelt = LINT_MISSPELT,
    /// An annotation named as the controller's are, of which nothing is known.
    Unknown = LINT_UNKNOWN,
    /// An annotation that the running version does not read yet.
    NotReadYet = LINT_NOT_READ_YET,
    /// A value for which the controller, or AWS, refuses the Service as a whole.
    Refused = LINT_REFUSED,
    /// A value that is accepted and means something else than it seems to.
    Misread = LINT_MISREAD,
    /// A form that still works and has a successor.
    Deprecated = LINT_DEPRECATED,
    /// An annotation or field that has no effect beside what else is set.
    InVain = LINT_IN_VAIN,
    /// An annotation of another controller, or of another kind of object.
    Misplaced = LINT_MISPLACED,
    /// Static addresses that do not fit the subnets, the scheme or the address type.
    Addresses = LINT_ADDRESSES,
    /// IPv6 without what it needs.
    Ipv6 = LINT_IPV6,
    /// Pods on Fargate behind instance targets.
    FargateInstance = LINT_FARGATE_INSTANCE,
    /// Pods on Fargate behind an internet-facing load balancer.
    FargatePublic = LINT_FARGATE_PUBLIC,
    /// Ip targets with another CNI than the VPC CNI.
    OtherCni = LINT_OTHER_CNI,
    /// One port number with two protocols.
    SharedPort = LINT_SHARED_PORT,
    /// Two Services whose load balancer has one name.
    NameTaken = LINT_NAME_TAKEN,
    /// More back ends on Windows than a Service supports.
    Windows = LINT_WINDOWS,
    /// It works, and could be written more clearly.
    Style = LINT_STYLE,
    /// An annotation that EKS Auto Mode does not support.
    AutoMode = LINT_AUTO_MODE,
    /// A ClusterIP Service with instance targets.
    ClusterIp = LINT_CLUSTER_IP,
    /// No controller makes the load balancer; the check of Services tells it.
    NoOwner = OWNED_BY_NOBODY,
    /// An annotation that is read at creation only and differs from the load balancer that exists; the drift check tells it.
    CreationOnly = DRIFT_NEVER_REPAIRED,
}

impl Rule {
    /// How bad it is, by its kind.
    pub fn severity(self) -> Severity {
        self.kind().severity
    }

    /// Whether another check makes the finding, so that this one must not make it again.
    pub fn told_elsewhere(self) -> bool {
        matches!(self, Self::NoOwner | Self::CreationOnly)
    }
}

/// What of a Service a problem is about, so that a line of its manifest can be pointed at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// The annotation with this full key; it may be the one that is missing.
    Annotation(String),
    /// A field by its path, `spec.ports`.
    Spec(&'static str),
}

impl Field {
    /// The annotation with this name under the controller's prefix.
    pub fn annotation(name: &str) -> Self {
        Self::Annotation(format!("{PREFIX}{name}"))
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Annotation(key) => write!(f, "metadata.annotations[{key}]"),
            Self::Spec(path) => f.write_str(path),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The rule.
    pub rule: Rule,
    /// Where.
    pub field: Field,
    /// One sentence. May hold untrusted text (annotation values), quoted and cut.
    pub message: String,
}

impl Problem {
    /// Whether an event in which the controller refuses the Service is about this very problem. An event names one reason at a
    /// time: the others follow in their own events.
    pub(super) fn is_told_by(&self, cause: &str, message: &str) -> bool {
        let named = || matches!(&self.field, Field::Annotation(key) if message.contains(&**key));
        match self.rule {
            Rule::Refused | Rule::Addresses | Rule::Ipv6 => match cause {
                "invalid_annotation" => true,
                "security_groups" => self.is_about(&[name::DISABLE_NLB_SG, name::MANAGE_BACKEND_RULES]),
                "subnets" => self.is_about(&[name::SUBNETS]),
                _ => named(),
            },
            _ => false,
        }
    }

    fn is_about(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.field == Field::annotation(name))
    }
}

/// Text of a user in a sentence: quoted, escaped, and cut where it is long.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let cut: String = text.chars().take(LONGEST).collect();
    if cut.len() == text.len() { format!("{text:?}") } else { format!("{cut:?}…") }
}
