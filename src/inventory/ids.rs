//! What names things here? Newtypes for identifiers that could be swapped by mistake; cloning one is a counter increment.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            #[doc = concat!("Wraps the text of a `", stringify!($name), "` as it came.")]
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The shared text, for a label without a copy.
            pub fn shared(&self) -> Arc<str> {
                Arc::clone(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::new(text)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

identifier!(
    /// A full ARN, `arn:aws:elasticloadbalancing:…`.
    Arn
);
identifier!(
    /// `net/NAME/ID`: the part of a load balancer's ARN after `loadbalancer/`, as CloudWatch spells its dimension.
    LoadBalancerId
);
identifier!(
    /// `targetgroup/NAME/ID`: the last part of a target group's ARN, as CloudWatch and the controller spell it.
    TargetGroupId
);
identifier!(
    /// `subnet-…`
    SubnetId
);
identifier!(
    /// `vpc-…`
    VpcId
);
identifier!(
    /// `sg-…`
    SecurityGroupId
);
identifier!(
    /// `pl-…`
    PrefixListId
);
identifier!(
    /// `i-…`
    InstanceId
);
identifier!(
    /// `eni-…`
    NetworkInterfaceId
);
identifier!(
    /// `eipalloc-…`
    AllocationId
);
identifier!(
    /// The name of a Kubernetes Node.
    NodeName
);
identifier!(
    /// An Availability Zone by *name* (`us-east-1a`), which differs from account to account.
    ZoneName
);

impl Arn {
    /// What stands after the first `marker` in the ARN, e.g. `loadbalancer/`.
    fn after(&self, marker: &str) -> Option<&str> {
        let at = self.as_str().find(marker)?;
        Some(&self.as_str()[at + marker.len()..])
    }

    /// The account that it belongs to; `None` where this is no ARN.
    pub fn account_id(&self) -> Option<&str> {
        self.as_str().strip_prefix("arn:")?.split(':').nth(3)
    }

    /// The load balancer's identity, `net/NAME/ID`; `None` where this is not a load balancer's ARN.
    pub fn load_balancer(&self) -> Option<LoadBalancerId> {
        self.after(":loadbalancer/").map(LoadBalancerId::from)
    }

    /// The target group's identity, `targetgroup/NAME/ID`; `None` where this is not a target group's ARN.
    pub fn target_group(&self) -> Option<TargetGroupId> {
        let rest = self.after(":targetgroup/")?;
        Some(TargetGroupId::new(format!("targetgroup/{rest}")))
    }
}

/// `namespace/name` of a Kubernetes object.
///
/// Written as that one string wherever it is a map's key, since JSON knows no other keys.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// The namespace.
    pub namespace: Arc<str>,
    /// The name within the namespace.
    pub name: Arc<str>,
}

impl ObjectName {
    /// The name of an object in a namespace.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// Reads `namespace/name`, split at the first `/`; `None` when a side is empty or the slash is missing.
    pub fn parse(text: &str) -> Option<Self> {
        let (namespace, name) = text.split_once('/')?;
        (!namespace.is_empty() && !name.is_empty()).then(|| Self::new(namespace, name))
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl fmt::Debug for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

impl Serialize for ObjectName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ObjectName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // A binding may name a Service by an empty text. Whatever was written down has to be readable again.
        let sides = text.split_once('/').map(|(namespace, name)| Self::new(namespace, name));
        sides.ok_or_else(|| serde::de::Error::custom("it is not of the form namespace/name"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_gives_the_identity_cloudwatch_uses() {
        let lb = Arn::from("arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/net/k8s-a/0123");
        assert_eq!(lb.load_balancer(), Some(LoadBalancerId::from("net/k8s-a/0123")));
        assert_eq!(lb.target_group(), None);
        let tg = Arn::from("arn:aws-cn:elasticloadbalancing:cn-north-1:1:targetgroup/k8s-a/0123");
        assert_eq!(tg.target_group(), Some(TargetGroupId::from("targetgroup/k8s-a/0123")));
        assert_eq!(tg.load_balancer(), None);
    }

    #[test]
    fn an_emulators_app_arn_is_taken_as_it_is() {
        let arn = Arn::from("arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/app/k8s-a/0123");
        assert_eq!(arn.load_balancer(), Some(LoadBalancerId::from("app/k8s-a/0123")));
    }

    #[test]
    fn an_object_name_is_read_as_it_was_written() {
        for name in [ObjectName::new("a", "b"), ObjectName::new("a", ""), ObjectName::new("", "b")] {
            let text = serde_json::to_string(&name).unwrap();
            assert_eq!(serde_json::from_str::<ObjectName>(&text).unwrap(), name);
        }
        assert!(serde_json::from_str::<ObjectName>("\"a\"").is_err());
    }

    #[test]
    fn an_object_name_needs_both_sides() {
        assert_eq!(ObjectName::parse("a/b/c"), Some(ObjectName::new("a", "b/c")));
        for bad in ["", "a", "/a", "a/"] {
            assert_eq!(ObjectName::parse(bad), None, "{bad:?}");
        }
    }
}
