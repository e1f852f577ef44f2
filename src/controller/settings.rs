//! How is the running controller set up? Its version, flags and feature gates, each with what holds where it is silent.

use crate::inventory::kube::{ControllerDeployment, Version};
use crate::inventory::parts::Parts;

use super::annotations::parse_bool;

/// A feature gate of the controller that changes what it does with Services.
#[derive(Debug)]
pub struct Gate {
    /// Its name in `--feature-gates`.
    pub name: &'static str,
    /// The first version that knows it.
    pub since: Version,
    /// What it is when `--feature-gates` does not name it.
    pub default: bool,
    /// How versions before `since` behave.
    pub before: bool,
}

/// Only Services of type LoadBalancer are reconciled.
pub static SERVICE_TYPE_LOAD_BALANCER_ONLY: Gate =
    Gate { name: "ServiceTypeLoadBalancerOnly", since: Version::new(2, 4, 0), default: false, before: false };
/// Off: no Service is reconciled.
pub static ENABLE_SERVICE_CONTROLLER: Gate =
    Gate { name: "EnableServiceController", since: Version::new(2, 4, 3), default: true, before: true };
/// Success codes and the timeout of health checks are set.
pub static HEALTH_CHECK_ADVANCED_CONFIG: Gate =
    Gate { name: "NLBHealthCheckAdvancedConfig", since: Version::new(2, 4, 6), default: true, before: false };
/// The annotation's tags win over `--default-tags`.
pub static DEFAULT_TAGS_LOW_PRIORITY: Gate =
    Gate { name: "EnableDefaultTagsLowPriority", since: Version::new(2, 14, 1), default: false, before: false };

/// What is known of the running controller. `None` everywhere when its Deployment is not known.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    deployment: Option<&'a ControllerDeployment>,
}

impl<'a> Settings<'a> {
    /// Those of one Deployment.
    pub fn of(deployment: Option<&'a ControllerDeployment>) -> Self {
        Self { deployment }
    }

    /// Those of the cluster's controller. With two Deployments nobody knows which of them reconciles what, so nothing is
    /// known then.
    pub fn in_cluster(parts: &'a Parts) -> Self {
        let mut controllers = parts.controllers.complete().into_iter().flat_map(|list| list.values());
        match (controllers.next(), controllers.next()) {
            (Some(only), None) => Self::of(Some(only)),
            _ => Self::of(None),
        }
    }

    /// The Deployment, where it is known.
    pub fn deployment(self) -> Option<&'a ControllerDeployment> {
        self.deployment
    }

    /// Whether the Deployment, and with it flags and gates, is known.
    pub fn known(self) -> bool {
        self.deployment.is_some()
    }

    /// The version, where it is known.
    pub fn version(self) -> Option<Version> {
        self.deployment?.version
    }

    /// Whether the controller is this version or newer; an unknown version is taken for the newest.
    pub fn at_least(self, version: Version) -> bool {
        self.version().is_none_or(|running| running >= version)
    }

    /// A gate's state.
    pub fn gate(self, gate: &Gate) -> Option<bool> {
        let deployment = self.deployment?;
        Some(if self.at_least(gate.since) { deployment.gate(gate.name, gate.default) } else { gate.before })
    }

    /// A flag's text, `default` where it is not given; `None` when the flags are not known.
    pub fn flag(self, name: &str, default: &'static str) -> Option<&'a str> {
        Some(self.deployment?.flag(name).unwrap_or(default))
    }

    /// A boolean flag, as Go reads it.
    pub fn switch(self, name: &str, default: bool) -> Option<bool> {
        Some(self.deployment?.flag(name).and_then(parse_bool).unwrap_or(default))
    }

    /// A flag of the form `a,b`.
    pub fn list(self, name: &str) -> Option<Vec<&'a str>> {
        let text = self.flag(name, "")?;
        // Quoting is legal and never used; what is quoted is not known rather than wrong.
        (!text.contains('"')).then(|| text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect())
    }

    /// A flag of the form `a=1,b=2`.
    pub fn pairs(self, name: &str) -> Option<Vec<(&'a str, &'a str)>> {
        self.list(name)?.into_iter().map(|pair| pair.split_once('=')).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::ids::ObjectName;

    fn deployment(version: Option<Version>, flags: &[(&str, &str)]) -> ControllerDeployment {
        ControllerDeployment {
            name: ObjectName::new("kube-system", "aws-load-balancer-controller"),
            version,
            image: "controller".into(),
            flags: flags.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
            replicas: 2,
            available_replicas: Some(2),
        }
    }

    #[test]
    fn an_unknown_controller_knows_no_flag_and_is_the_newest_1_10() {
        let settings = Settings::of(None);
        assert!(settings.at_least(Version::new(99, 0, 0)));
        assert_eq!(settings.gate(&HEALTH_CHECK_ADVANCED_CONFIG), None);
        assert_eq!(settings.flag("default-target-type", "instance"), None);
        assert_eq!(settings.switch("enable-backend-security-group", true), None);
    }

    #[test]
    fn a_gate_younger_than_the_controller_behaves_as_before_it_1_10() {
        let old = deployment(Some(Version::new(2, 4, 5)), &[]);
        assert_eq!(Settings::of(Some(&old)).gate(&HEALTH_CHECK_ADVANCED_CONFIG), Some(false));
        let new = deployment(Some(Version::new(2, 4, 6)), &[]);
        assert_eq!(Settings::of(Some(&new)).gate(&HEALTH_CHECK_ADVANCED_CONFIG), Some(true));
        let off = deployment(Some(Version::new(3, 0, 0)), &[("feature-gates", "NLBHealthCheckAdvancedConfig=false")]);
        assert_eq!(Settings::of(Some(&off)).gate(&HEALTH_CHECK_ADVANCED_CONFIG), Some(false));
    }

    #[test]
    fn flags_have_the_documented_defaults_1_10() {
        let bare = deployment(None, &[("enable-backend-security-group", "false"), ("default-tags", "a=1,b=2=3")]);
        let settings = Settings::of(Some(&bare));
        assert_eq!(settings.flag("default-target-type", "instance"), Some("instance"));
        assert_eq!(settings.switch("enable-backend-security-group", true), Some(false));
        assert_eq!(settings.pairs("default-tags"), Some(vec![("a", "1"), ("b", "2=3")]));
        assert_eq!(settings.list("external-managed-tags"), Some(vec![]));
    }

    #[test]
    fn two_deployments_mean_that_nothing_is_known() {
        let one = deployment(Some(Version::new(2, 8, 2)), &[]);
        let mut two = one.clone();
        two.name = ObjectName::new("other", "controller");
        let now = jiff::Timestamp::from_second(1).unwrap();
        let list = |all: &[&ControllerDeployment]| {
            let map = all.iter().map(|d| (d.name.clone(), std::sync::Arc::new((*d).clone()))).collect();
            Parts { controllers: crate::inventory::part::Part::fetched(map, now), ..Parts::default() }
        };
        assert!(Settings::in_cluster(&list(&[&one])).known());
        assert!(!Settings::in_cluster(&list(&[&one, &two])).known());
        assert!(!Settings::in_cluster(&list(&[])).known());
        assert!(!Settings::in_cluster(&Parts::default()).known());
    }
}
