//! What does a Service's annotation say? Names, and the value grammar of the controller by version.

use std::collections::BTreeMap;

use crate::inventory::kube::{StringMap, Version};

use super::settings::Settings;

/// The only prefix the controller reads on Services.
pub const PREFIX: &str = "service.beta.kubernetes.io/";

/// An annotation's name without [`PREFIX`], which is also what a label or a finding calls it.
pub mod name {
    macro_rules! names {
        ($($name:ident = $text:literal),+ $(,)?) => {
            $(#[doc = concat!("`", $text, "`")] pub const $name: &str = $text;)+
            /// Every name the controller reads on Services, as of 3.5.0; those that take a port are prefixes.
            pub const ALL: &[&str] = &[$($name),+];
        };
    }
    names! {
        SOURCE_RANGES = "load-balancer-source-ranges",
        ACTIONS = "actions",
        ACCESS_LOG_ENABLED = "aws-load-balancer-access-log-enabled",
        ACCESS_LOG_BUCKET = "aws-load-balancer-access-log-s3-bucket-name",
        ACCESS_LOG_PREFIX = "aws-load-balancer-access-log-s3-bucket-prefix",
        ADDITIONAL_TAGS = "aws-load-balancer-additional-resource-tags",
        ALPN_POLICY = "aws-load-balancer-alpn-policy",
        ATTRIBUTES = "aws-load-balancer-attributes",
        BACKEND_PROTOCOL = "aws-load-balancer-backend-protocol",
        CROSS_ZONE = "aws-load-balancer-cross-zone-load-balancing-enabled",
        DISABLE_NLB_SG = "aws-load-balancer-disable-nlb-sg",
        EIP_ALLOCATIONS = "aws-load-balancer-eip-allocations",
        ENABLE_ICMP = "aws-load-balancer-enable-icmp-for-path-mtu-discovery",
        ENABLE_IPV6_SOURCE_NAT = "aws-load-balancer-enable-prefix-for-ipv6-source-nat",
        ENABLE_TCP_UDP_LISTENER = "aws-load-balancer-enable-tcp-udp-listener",
        HEALTHY_THRESHOLD = "aws-load-balancer-healthcheck-healthy-threshold",
        HEALTH_CHECK_INTERVAL = "aws-load-balancer-healthcheck-interval",
        HEALTH_CHECK_PATH = "aws-load-balancer-healthcheck-path",
        HEALTH_CHECK_PORT = "aws-load-balancer-healthcheck-port",
        HEALTH_CHECK_PROTOCOL = "aws-load-balancer-healthcheck-protocol",
        SUCCESS_CODES = "aws-load-balancer-healthcheck-success-codes",
        HEALTH_CHECK_TIMEOUT = "aws-load-balancer-healthcheck-timeout",
        UNHEALTHY_THRESHOLD = "aws-load-balancer-healthcheck-unhealthy-threshold",
        PRIVATE_LINK_RULES = "aws-load-balancer-inbound-sg-rules-on-private-link-traffic",
        INTERNAL = "aws-load-balancer-internal",
        IP_ADDRESS_TYPE = "aws-load-balancer-ip-address-type",
        IPV6_ADDRESSES = "aws-load-balancer-ipv6-addresses",
        LISTENER_ATTRIBUTES = "aws-load-balancer-listener-attributes",
        MANAGE_BACKEND_RULES = "aws-load-balancer-manage-backend-security-group-rules",
        MINIMUM_CAPACITY = "aws-load-balancer-minimum-load-balancer-capacity",
        MULTI_CLUSTER = "aws-load-balancer-multi-cluster-target-group",
        NAME = "aws-load-balancer-name",
        TARGET_TYPE = "aws-load-balancer-nlb-target-type",
        PRIVATE_IPV4_ADDRESSES = "aws-load-balancer-private-ipv4-addresses",
        PROXY_PROTOCOL = "aws-load-balancer-proxy-protocol",
        PROXY_PROTOCOL_PER_GROUP = "aws-load-balancer-proxy-protocol-per-target-group",
        QUIC_PORTS = "aws-load-balancer-quic-enabled-ports",
        SCHEME = "aws-load-balancer-scheme",
        PREFIX_LISTS = "aws-load-balancer-security-group-prefix-lists",
        SECURITY_GROUPS = "aws-load-balancer-security-groups",
        SOURCE_NAT_PREFIXES = "aws-load-balancer-source-nat-ipv6-prefixes",
        SSL_CERT = "aws-load-balancer-ssl-cert",
        SSL_POLICY = "aws-load-balancer-ssl-negotiation-policy",
        SSL_PORTS = "aws-load-balancer-ssl-ports",
        SUBNETS = "aws-load-balancer-subnets",
        TARGET_GROUP_ATTRIBUTES = "aws-load-balancer-target-group-attributes",
        TARGET_NODE_LABELS = "aws-load-balancer-target-node-labels",
        TYPE = "aws-load-balancer-type",
    }
}

/// A value the controller refuses: it then builds nothing at all for the Service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnnotationError {
    /// Not one of Go's spellings of a boolean.
    #[error("annotation {key} is not a boolean: {raw:?}")]
    Bool {
        /// The name without prefix.
        key: String,
        /// The value as written.
        raw: String,
    },
    /// Not an integer.
    #[error("annotation {key} is not an integer: {raw:?}")]
    Integer {
        /// The name without prefix.
        key: String,
        /// The value as written.
        raw: String,
    },
    /// Not a list of `key=value` pairs.
    #[error("annotation {key} is not a list of key=value pairs: {raw:?}")]
    Map {
        /// The name without prefix.
        key: String,
        /// The value as written.
        raw: String,
    },
    /// Well formed, and none of the values that are allowed.
    #[error("annotation {key} has a value that the controller refuses ({expected}): {raw:?}")]
    Value {
        /// The name without prefix.
        key: String,
        /// The value as written.
        raw: String,
        /// What would be accepted, or why it is not.
        expected: &'static str,
    },
    /// It names something in AWS or in the Service that does not exist.
    #[error("annotation {key} names {what} that does not exist: {raw:?}")]
    Unresolved {
        /// The name without prefix.
        key: String,
        /// The name that was not found.
        raw: String,
        /// What it should be.
        what: &'static str,
    },
}

impl AnnotationError {
    /// A refused value.
    pub fn value(key: &str, raw: &str, expected: &'static str) -> Self {
        Self::Value { key: key.to_owned(), raw: raw.to_owned(), expected }
    }

    /// A name without an object.
    pub fn unresolved(key: &str, raw: &str, what: &'static str) -> Self {
        Self::Unresolved { key: key.to_owned(), raw: raw.to_owned(), what }
    }

    /// The annotation's name without prefix.
    pub fn key(&self) -> &str {
        match self {
            Self::Bool { key, .. }
            | Self::Integer { key, .. }
            | Self::Map { key, .. }
            | Self::Value { key, .. }
            | Self::Unresolved { key, .. } => key,
        }
    }

    /// The closed category.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Bool { .. } => "bool",
            Self::Integer { .. } => "integer",
            Self::Map { .. } => "map",
            Self::Value { .. } => "value",
            Self::Unresolved { .. } => "unresolved",
        }
    }
}

/// A Service's annotations, read by their names without prefix.
#[derive(Debug, Clone, Copy)]
pub struct Annotations<'a>(pub &'a StringMap);

impl<'a> Annotations<'a> {
    /// The raw value: not trimmed, case-sensitive; present but empty is present.
    pub fn text(self, name: &str) -> Option<&'a str> {
        // Services have few annotations: looking at each costs less than making the full name.
        self.0.iter().find(|(key, _)| key.strip_prefix(PREFIX) == Some(name)).map(|(_, value)| &**value)
    }

    /// The annotations that are `name` with a port or a protocol and port after a dot, by their names without prefix.
    pub fn with_suffix(self, name: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter_map(move |(key, value)| {
            let short = key.strip_prefix(PREFIX)?;
            short.strip_prefix(name)?.starts_with('.').then_some((short, &**value))
        })
    }

    /// Whether there is one of these.
    pub fn any_with_suffix(self, name: &str) -> bool {
        self.with_suffix(name).next().is_some()
    }

    /// A boolean.
    pub fn boolean(self, name: &str) -> Result<Option<bool>, AnnotationError> {
        let Some(raw) = self.text(name) else { return Ok(None) };
        parse_bool(raw).map(Some).ok_or_else(|| AnnotationError::Bool { key: name.to_owned(), raw: raw.to_owned() })
    }

    /// An integer.
    pub fn integer(self, name: &str) -> Result<Option<i32>, AnnotationError> {
        let Some(raw) = self.text(name) else { return Ok(None) };
        parse_integer(raw).map(Some).ok_or_else(|| AnnotationError::Integer { key: name.to_owned(), raw: raw.to_owned() })
    }

    /// A list.
    pub fn list(self, name: &str) -> Option<Vec<&'a str>> {
        self.text(name).map(parse_list)
    }

    /// A map, in the grammar of one version.
    pub fn map(self, name: &str, grammar: MapGrammar) -> Result<Option<Pairs>, AnnotationError> {
        let Some(raw) = self.text(name) else { return Ok(None) };
        parse_map(raw, grammar).map(Some).ok_or_else(|| AnnotationError::Map { key: name.to_owned(), raw: raw.to_owned() })
    }
}

/// Keys and values of a map annotation.
pub type Pairs = BTreeMap<String, String>;

/// Go's `strconv.ParseBool`.
pub fn parse_bool(raw: &str) -> Option<bool> {
    match raw {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// A base-10 integer with an optional sign.
///
/// The controller reads 64 bits and cuts off the upper half; no field of AWS takes such a number, so it is refused here.
pub fn parse_integer(raw: &str) -> Option<i32> {
    raw.parse().ok()
}

/// Split at commas, elements trimmed, empty ones dropped.
pub fn parse_list(raw: &str) -> Vec<&str> {
    raw.split(',').map(str::trim).filter(|element| !element.is_empty()).collect()
}

/// How map annotations are split; it changed once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapGrammar {
    /// Before 2.14.1: a plain list of pairs. Pairs are trimmed as a whole, so `a = b` has the key `a ` and the value ` b`.
    Plain,
    /// Since 2.14.1: with escapes, keys and values trimmed, and a trailing comma that belongs to the last value.
    Escaped,
}

impl MapGrammar {
    /// The grammar of a controller; `None` when its version is not known.
    pub fn of(settings: Settings<'_>) -> Option<Self> {
        settings.version().map(|version| if version >= Version::new(2, 14, 1) { Self::Escaped } else { Self::Plain })
    }
}

/// Reads a map; `None` when the controller refuses it.
pub fn parse_map(raw: &str, grammar: MapGrammar) -> Option<Pairs> {
    let mut map = Pairs::new();
    match grammar {
        MapGrammar::Plain => {
            for pair in parse_list(raw) {
                let (key, value) = pair.split_once('=').filter(|(key, _)| !key.is_empty())?;
                map.insert(key.to_owned(), value.to_owned());
            }
        }
        MapGrammar::Escaped => {
            for pair in split_pairs(raw)? {
                let (key, value) = pair.split_once('=').map(|(key, value)| (key.trim(), value.trim()))?;
                if key.is_empty() {
                    return None;
                }
                map.insert(key.to_owned(), value.to_owned());
            }
        }
    }
    Some(map)
}

/// A comma ends a pair only if an equals sign stands anywhere after it; with nothing but blanks after it, it belongs to the
/// value; with other text after it, the whole is refused.
fn split_pairs(raw: &str) -> Option<Vec<String>> {
    let mut pairs = Vec::new();
    let mut current = String::new();
    // Looked up once: whoever may write annotations may write a quarter of a megabyte of commas.
    let last_equals_sign = raw.rfind('=');
    let mut rest = raw.chars();
    while let Some(character) = rest.next() {
        let is_before_one = || last_equals_sign.is_some_and(|at| raw.len() - rest.as_str().len() <= at);
        match character {
            ',' if is_before_one() => pairs.push(std::mem::take(&mut current)),
            '\\' => current.push(rest.next().unwrap_or('\\')),
            ',' if rest.as_str().trim().is_empty() => current.push(','),
            ',' => return None,
            other => current.push(other),
        }
    }
    if !current.is_empty() {
        pairs.push(current);
    }
    Some(pairs)
}

#[cfg(test)]
mod tests;
