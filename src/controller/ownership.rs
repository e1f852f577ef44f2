//! Which controller owns a Service? The controller's own rule, and the in-tree provider's.

use crate::inventory::kube::{ControllerDeployment, Service, ServiceType, Version};
use crate::inventory::parts::Parts;

use super::annotations::{Annotations, name};
use super::settings::{ENABLE_SERVICE_CONTROLLER, SERVICE_TYPE_LOAD_BALANCER_ONLY, Settings};

/// The controller's default `--load-balancer-class`.
pub const CONTROLLER_CLASS: &str = "service.k8s.aws/nlb";
/// The class of EKS Auto Mode.
pub const AUTO_MODE_CLASS: &str = "eks.amazonaws.com/nlb";

/// Who makes a load balancer for a Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// The AWS Load Balancer Controller: an NLB.
    LoadBalancerController,
    /// EKS Auto Mode: an NLB.
    AutoMode,
    /// The in-tree provider: an NLB with instance targets.
    InTreeNetwork,
    /// The in-tree provider: a Classic Load Balancer.
    InTreeClassic,
    /// A controller that is none of these, by `spec.loadBalancerClass`.
    ThirdParty,
    /// It asks for a load balancer and nobody makes it.
    Nobody(Unowned),
    /// It asks for none.
    NotAsked,
}

/// Why nobody owns a Service that asks for a load balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unowned {
    /// `type: external` without `nlb-target-type`.
    NoTargetType,
    /// `type: external` with a target type other than exactly `ip` or `instance`.
    OddTargetType,
    /// The controller runs with `EnableServiceController=false`.
    ServiceControllerOff,
    /// The controller runs with `--watch-namespace` of another namespace.
    NamespaceNotWatched,
}

impl Unowned {
    /// The reason as the end of a sentence.
    pub fn because(self) -> &'static str {
        match self {
            Self::NoTargetType => {
                "the annotation aws-load-balancer-type is external and aws-load-balancer-nlb-target-type is missing"
            }
            Self::OddTargetType => {
                "the annotation aws-load-balancer-type is external and aws-load-balancer-nlb-target-type is neither ip nor instance"
            }
            Self::ServiceControllerOff => "the controller runs with EnableServiceController=false",
            Self::NamespaceNotWatched => "the controller runs with --watch-namespace of another namespace",
        }
    }
}

impl Ownership {
    /// The `controller` label; the same words as for load balancers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LoadBalancerController => "aws-load-balancer-controller",
            Self::AutoMode => "eks-auto-mode",
            Self::InTreeNetwork | Self::InTreeClassic => "in-tree",
            Self::ThirdParty => "third-party",
            Self::Nobody(_) | Self::NotAsked => "none",
        }
    }
}

/// Who owns a Service. `controller` is the running controller's Deployment, if it is known; its defaults hold otherwise.
///
/// A Service that is being deleted keeps its owner, who cleans up; see [`reconciled`] for whether he still builds.
pub fn owner(service: &Service, controller: Option<&ControllerDeployment>) -> Ownership {
    let settings = Settings::of(controller);
    match claim(service, settings) {
        Claim::Yes => match unwilling(service, settings) {
            None => Ownership::LoadBalancerController,
            Some(why) => Ownership::Nobody(why),
        },
        Claim::No => unclaimed(service),
    }
}

/// Who owns a Service of this cluster: with several controllers the first that claims it.
pub fn owner_in(service: &Service, parts: &Parts) -> Ownership {
    let controllers = parts.controllers.complete().into_iter().flat_map(|list| list.values());
    let mut answers = controllers.map(|controller| owner(service, Some(controller)));
    let Some(first) = answers.next() else { return owner(service, None) };
    std::iter::once(first).chain(answers).find(|answer| *answer == Ownership::LoadBalancerController).unwrap_or(first)
}

/// Whether the AWS Load Balancer Controller builds for this Service now: it owns it and the Service is not being deleted.
pub fn reconciled(service: &Service, controller: Option<&ControllerDeployment>) -> bool {
    service.deleted_at.is_none() && owner(service, controller) == Ownership::LoadBalancerController
}

enum Claim {
    Yes,
    No,
}

fn claim(service: &Service, settings: Settings<'_>) -> Claim {
    let annotations = Annotations(&service.annotations);
    let only_load_balancers = settings.gate(&SERVICE_TYPE_LOAD_BALANCER_ONLY).unwrap_or(false);
    if only_load_balancers && service.service_type != ServiceType::LoadBalancer {
        return Claim::No;
    }
    if let Some(class) = service.load_balancer_class.as_deref().filter(|_| settings.at_least(Version::new(2, 4, 0))) {
        let ours = settings.flag("load-balancer-class", CONTROLLER_CLASS).unwrap_or(CONTROLLER_CLASS);
        return if class == ours { Claim::Yes } else { Claim::No };
    }
    match (annotations.text(name::TYPE), annotations.text(name::TARGET_TYPE)) {
        (Some("nlb-ip"), _) | (Some("external"), Some("ip" | "instance")) => Claim::Yes,
        _ => Claim::No,
    }
}

fn unwilling(service: &Service, settings: Settings<'_>) -> Option<Unowned> {
    if settings.gate(&ENABLE_SERVICE_CONTROLLER) == Some(false) {
        return Some(Unowned::ServiceControllerOff);
    }
    let watched = settings.flag("watch-namespace", "").unwrap_or("");
    (!watched.is_empty() && watched != &*service.name.namespace).then_some(Unowned::NamespaceNotWatched)
}

fn unclaimed(service: &Service) -> Ownership {
    if service.service_type != ServiceType::LoadBalancer {
        return Ownership::NotAsked;
    }
    match service.load_balancer_class.as_deref() {
        Some(AUTO_MODE_CLASS) => return Ownership::AutoMode,
        Some(_) => return Ownership::ThirdParty,
        None => {}
    }
    let annotations = Annotations(&service.annotations);
    match annotations.text(name::TYPE) {
        Some("nlb") => Ownership::InTreeNetwork,
        Some("external") if annotations.text(name::TARGET_TYPE).is_none() => Ownership::Nobody(Unowned::NoTargetType),
        Some("external") => Ownership::Nobody(Unowned::OddTargetType),
        _ => Ownership::InTreeClassic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{controller, service};

    #[test]
    fn every_row_of_2_2() {
        let plain = || service("shop/web");
        let rows = [
            (plain().class(CONTROLLER_CLASS), Ownership::LoadBalancerController),
            (plain().class(AUTO_MODE_CLASS), Ownership::AutoMode),
            (plain().class("example.com/lb"), Ownership::ThirdParty),
            (plain().annotate(name::TYPE, "nlb-ip"), Ownership::LoadBalancerController),
            (plain().annotate(name::TYPE, "external"), Ownership::Nobody(Unowned::NoTargetType)),
            (plain().annotate(name::TYPE, "nlb"), Ownership::InTreeNetwork),
            (plain(), Ownership::InTreeClassic),
            (plain().annotate(name::TYPE, "clb"), Ownership::InTreeClassic),
        ];
        for (service, expected) in rows {
            assert_eq!(owner(&service.build(), None), expected, "{:?}", service.build().annotations);
            assert_eq!(owner(&service.build(), Some(&controller("2.8.2").build())), expected);
        }
    }

    #[test]
    fn rule_1_a_service_being_deleted_is_cleaned_up_and_not_built() {
        let living = service("shop/web").annotate(name::TYPE, "nlb-ip").build();
        assert!(reconciled(&living, None));
        let dying = Service { deleted_at: Some(living.created_at), ..living };
        assert!(!reconciled(&dying, None));
        assert_eq!(owner(&dying, None), Ownership::LoadBalancerController);
    }

    #[test]
    fn rule_2_other_types_are_owned_unless_the_gate_says_otherwise() {
        for service_type in [ServiceType::NodePort, ServiceType::ClusterIp] {
            let service = Service { service_type, ..service("shop/web").external("ip").build() };
            assert_eq!(owner(&service, None), Ownership::LoadBalancerController);
            let gated = controller("2.8.2").flag("feature-gates", "ServiceTypeLoadBalancerOnly=true").build();
            assert_eq!(owner(&service, Some(&gated)), Ownership::NotAsked);
            let older = controller("2.3.1").flag("feature-gates", "ServiceTypeLoadBalancerOnly=true").build();
            assert_eq!(owner(&service, Some(&older)), Ownership::LoadBalancerController, "the gate is of 2.4.0");
        }
        let bare = Service { service_type: ServiceType::ClusterIp, ..service("shop/web").build() };
        assert_eq!(owner(&bare, None), Ownership::NotAsked);
    }

    #[test]
    fn rule_3_the_class_decides_before_any_annotation() {
        let third = service("shop/web").external("ip").class("example.com/lb").build();
        assert_eq!(owner(&third, None), Ownership::ThirdParty);
        let webhook = service("shop/web").annotate(name::TYPE, "nlb").class(CONTROLLER_CLASS).build();
        assert_eq!(owner(&webhook, None), Ownership::LoadBalancerController, "2.1, T13");
        let renamed = controller("2.8.2").flag("load-balancer-class", "mine").build();
        assert_eq!(owner(&webhook, Some(&renamed)), Ownership::ThirdParty, "changing the flag orphans");
        let own = service("shop/web").class("mine").build();
        assert_eq!(owner(&own, Some(&renamed)), Ownership::LoadBalancerController);
        let auto = service("shop/web").external("ip").class(AUTO_MODE_CLASS).build();
        assert_eq!(owner(&auto, None), Ownership::AutoMode);
    }

    #[test]
    fn rule_4_the_target_type_must_be_exact_t38() {
        for (value, expected) in [
            ("ip", Ownership::LoadBalancerController),
            ("instance", Ownership::LoadBalancerController),
            ("IP", Ownership::Nobody(Unowned::OddTargetType)),
            ("ip ", Ownership::Nobody(Unowned::OddTargetType)),
            ("", Ownership::Nobody(Unowned::OddTargetType)),
        ] {
            assert_eq!(owner(&service("shop/web").external(value).build(), None), expected, "{value:?}");
        }
        let with_class = service("shop/web").annotate(name::TARGET_TYPE, "IP").class(CONTROLLER_CLASS).build();
        assert_eq!(owner(&with_class, None), Ownership::LoadBalancerController);
    }

    #[test]
    fn a_controller_that_ignores_services_or_the_namespace_owns_none_2() {
        let service = service("shop/web").external("ip").build();
        let off = controller("2.8.2").flag("feature-gates", "EnableServiceController=false").build();
        assert_eq!(owner(&service, Some(&off)), Ownership::Nobody(Unowned::ServiceControllerOff));
        let elsewhere = controller("2.8.2").flag("watch-namespace", "ops").build();
        assert_eq!(owner(&service, Some(&elsewhere)), Ownership::Nobody(Unowned::NamespaceNotWatched));
        let here = controller("2.8.2").flag("watch-namespace", "shop").build();
        assert_eq!(owner(&service, Some(&here)), Ownership::LoadBalancerController);
    }
}
