//! What does a check say? Samples of described families, and findings. Plain data; `expose` and `report` turn it into bytes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::inventory::ids::{
    Arn, InstanceId, LoadBalancerId, NodeName, ObjectName, PrefixListId, SecurityGroupId, SubnetId, TargetGroupId, VpcId,
    ZoneName,
};

/// Put before every family's name.
pub const PREFIX: &str = "eks_nlb_";

/// What kind of family this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FamilyKind {
    /// A state that goes up and down.
    Gauge,
    /// Facts that do not change over the object's life, value 1; the name ends in `_info`.
    Info,
    /// One series a state, 1 for the true one; exposed as a gauge.
    StateSet,
}

/// A metric family as data: everything `docs/metrics.md` says of it.
#[derive(Debug)]
pub struct FamilyDescription {
    /// The name without `PREFIX`, with its unit (`_timestamp_seconds`) or `_info`.
    pub name: &'static str,
    /// One sentence naming the AWS or Kubernetes field it comes from; ends in a full stop.
    pub help: &'static str,
    /// The kind.
    pub kind: FamilyKind,
    /// Label names, in the order of every sample's values.
    pub labels: &'static [&'static str],
}

/// A label's value: shared where it can be, since world L has a quarter of a million of them.
#[derive(Clone)]
pub enum Label {
    /// Text of the program.
    Static(&'static str),
    /// Text of the inventory.
    Shared(Arc<str>),
    /// Text made for this sample.
    Owned(Box<str>),
}

impl Label {
    /// The text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Static(text) => text,
            Self::Shared(text) => text,
            Self::Owned(text) => text,
        }
    }
}

impl Label {
    /// The text, to be kept.
    pub fn shared(&self) -> Arc<str> {
        match self {
            Self::Shared(text) => Arc::clone(text),
            Self::Static(text) => Arc::from(*text),
            Self::Owned(text) => Arc::from(&**text),
        }
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl PartialEq for Label {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Label {}

impl PartialOrd for Label {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Label {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        match (self, other) {
            // The samples of one object share its name: most of what is sorted need not be read.
            (Self::Shared(one), Self::Shared(same)) if Arc::ptr_eq(one, same) => std::cmp::Ordering::Equal,
            _ => self.as_str().cmp(other.as_str()),
        }
    }
}

impl From<&'static str> for Label {
    fn from(text: &'static str) -> Self {
        Self::Static(text)
    }
}

impl From<String> for Label {
    fn from(text: String) -> Self {
        Self::Owned(text.into())
    }
}

impl From<Arc<str>> for Label {
    fn from(text: Arc<str>) -> Self {
        Self::Shared(text)
    }
}

impl From<&Arc<str>> for Label {
    fn from(text: &Arc<str>) -> Self {
        Self::Shared(Arc::clone(text))
    }
}

/// A missing optional label is the empty string: a label set that changes shape is a different series.
impl<T: Into<Label>> From<Option<T>> for Label {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Static(""), Into::into)
    }
}

macro_rules! shared_label {
    ($($name:ty),+ $(,)?) => {
        $(impl From<&$name> for Label {
            fn from(id: &$name) -> Self {
                Self::Shared(id.shared())
            }
        })+
    };
}
shared_label!(Arn, InstanceId, LoadBalancerId, NodeName, PrefixListId, SecurityGroupId, SubnetId, TargetGroupId, VpcId, ZoneName);

/// One series: label values in the description's order, and the value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Label values.
    pub labels: Box<[Label]>,
    /// The value; always finite.
    pub value: f64,
}

/// A family with its samples, sorted by labels.
#[derive(Debug, Clone)]
pub struct Family {
    /// What it is.
    pub description: &'static FamilyDescription,
    /// Label names that the policy adds after the description's; empty for nearly every family.
    pub added_labels: Arc<[Arc<str>]>,
    /// Its samples.
    pub samples: Vec<Sample>,
}

impl Family {
    /// A family whose labels are its description's.
    pub fn new(description: &'static FamilyDescription, samples: Vec<Sample>) -> Self {
        Self { description, added_labels: Arc::default(), samples }
    }

    /// Label names, in the order of every sample's values.
    pub fn label_names(&self) -> impl Iterator<Item = &str> {
        self.description.labels.iter().copied().chain(self.added_labels.iter().map(|name| &**name))
    }
}

/// How bad a finding is. The order is that of urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Act this week.
    Warning,
    /// Act now.
    Critical,
}

impl Severity {
    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// A kind of finding: an entry of the catalogue.
#[derive(Debug, PartialEq, Eq)]
pub struct FindingKind {
    /// Stable code, `NLB101`.
    pub code: &'static str,
    /// How bad.
    pub severity: Severity,
    /// What is wrong, one static sentence.
    pub title: &'static str,
    /// What to do, one static sentence.
    pub action: &'static str,
}

impl FindingKind {
    /// Where the documentation says more of it, from the root of the repository.
    pub fn page(&self) -> String {
        format!("docs/findings.md#{}", self.code.to_lowercase())
    }
}

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A Service.
    Service(ObjectName),
    /// A Gateway.
    Gateway(ObjectName),
    /// A load balancer.
    LoadBalancer(LoadBalancerId),
    /// A target group.
    TargetGroup(TargetGroupId),
    /// A TargetGroupBinding.
    TargetGroupBinding(ObjectName),
    /// A subnet.
    Subnet(SubnetId),
    /// A security group.
    SecurityGroup(SecurityGroupId),
    /// A scheme (`internal`, `internet-facing`).
    Scheme(crate::inventory::aws::Scheme),
    /// A quota by its name.
    Quota(&'static str),
    /// A source by its name.
    Source(Arc<str>),
    /// The controller, or the cluster as a whole.
    Cluster,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(name) => write!(f, "Service {name}"),
            Self::Gateway(name) => write!(f, "Gateway {name}"),
            Self::LoadBalancer(id) => write!(f, "load balancer {id}"),
            Self::TargetGroup(id) => write!(f, "target group {id}"),
            Self::TargetGroupBinding(name) => write!(f, "TargetGroupBinding {name}"),
            Self::Subnet(id) => write!(f, "subnet {id}"),
            Self::SecurityGroup(id) => write!(f, "security group {id}"),
            Self::Scheme(scheme) => write!(f, "scheme {scheme}"),
            Self::Quota(name) => write!(f, "quota {name}"),
            Self::Source(name) => write!(f, "source {name}"),
            Self::Cluster => f.write_str("cluster"),
        }
    }
}

/// Something a person should know.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The catalogue's entry.
    pub kind: &'static FindingKind,
    /// What it is about.
    pub subject: Subject,
    /// One sentence with the numbers. May hold untrusted text (event messages, annotation values).
    pub message: String,
    /// When it began, where that is known.
    pub since: Option<Timestamp>,
    /// Since when it was found in every picture that could show it; `None` where only one picture was looked at.
    pub seen_since: Option<Timestamp>,
}

/// What one check says.
#[derive(Debug, Default)]
pub struct Report {
    families: Vec<Family>,
    findings: Vec<Finding>,
}

impl Report {
    /// Opens a family to write samples into; opening it again goes on where it was left.
    ///
    /// # Panics
    /// In debug builds, when a sample has another number of labels than the description.
    pub fn family(&mut self, description: &'static FamilyDescription) -> FamilyWriter<'_> {
        let at = match self.families.iter().position(|family| std::ptr::eq(family.description, description)) {
            Some(at) => at,
            None => {
                self.families.push(Family::new(description, Vec::new()));
                self.families.len() - 1
            }
        };
        FamilyWriter { family: &mut self.families[at] }
    }

    /// Opens a family that has labels beyond its description's; the same ones at each opening.
    pub fn family_with(&mut self, description: &'static FamilyDescription, added_labels: &Arc<[Arc<str>]>) -> FamilyWriter<'_> {
        let writer = self.family(description);
        debug_assert!(writer.family.samples.is_empty() || writer.family.added_labels == *added_labels, "{}", description.name);
        writer.family.added_labels = Arc::clone(added_labels);
        writer
    }

    /// Adds a finding.
    pub fn find(&mut self, kind: &'static FindingKind, subject: Subject, since: Option<Timestamp>, message: impl Into<String>) {
        self.findings.push(Finding { kind, subject, message: message.into(), since, seen_since: None });
    }

    /// The families written so far.
    pub fn families(&self) -> &[Family] {
        &self.families
    }

    /// The findings made so far.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Takes it apart.
    pub fn into_parts(self) -> (Vec<Family>, Vec<Finding>) {
        (self.families, self.findings)
    }
}

/// Writes samples of one family.
#[derive(Debug)]
pub struct FamilyWriter<'a> {
    family: &'a mut Family,
}

impl FamilyWriter<'_> {
    /// Adds a series. Label values stand in the description's order; a value that is not finite is unknown and left out.
    pub fn sample<const N: usize>(&mut self, labels: [Label; N], value: f64) -> &mut Self {
        self.row(Box::new(labels), value)
    }

    /// Adds a series of a family whose number of labels only the policy knows.
    pub fn row(&mut self, labels: Box<[Label]>, value: f64) -> &mut Self {
        let Family { description, added_labels, samples } = &mut *self.family;
        debug_assert_eq!(labels.len(), description.labels.len() + added_labels.len(), "{}", description.name);
        if value.is_finite() {
            samples.push(Sample { labels, value });
        }
        self
    }
}

/// How one check's run went; stamped by the runner, not by the check.
#[derive(Debug, Clone)]
pub struct CheckRun {
    /// The check.
    pub check: &'static str,
    /// Whether it came to its end.
    pub success: bool,
    /// How long it took.
    pub duration: Duration,
    /// A source that it cannot judge without is lost: what it does not say is not good news.
    pub blind: bool,
}

/// One picture, judged.
#[derive(Debug)]
pub struct Outcome {
    /// When it was judged.
    pub evaluated_at: Timestamp,
    /// Families in the order of the checks' tables, samples sorted.
    pub families: Vec<Family>,
    /// Findings, the worst first.
    pub findings: Vec<Finding>,
    /// Findings that an annotation of their Service mutes, in the same order; not among `findings`.
    pub muted: Vec<Finding>,
    /// How each check's run went.
    pub runs: Vec<CheckRun>,
}
