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
    /// `type: external` with a controller before 2.2.0, which takes `nlb-ip` only.
    TooOld,
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
            Self::TooOld => "the annotation aws-load-balancer-type is external, and controllers before v2.2.0 take nlb-ip only",
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
        Claim::No => unclaimed(service, settings),
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

/// Whether every running controller names its resources after the cluster this program looks at. One with another
/// `--cluster-name` tags nothing that could be found here, and what is tagged here is perhaps not this cluster's.
pub fn serves_this_cluster(parts: &Parts) -> bool {
    let controllers = parts.controllers.get().into_iter().flat_map(|list| list.values());
    let mut names = controllers.filter_map(|controller| controller.flag("cluster-name"));
    names.all(|name| parts.scope.cluster_name.as_deref() == Some(name))
}

/// Since when the controller takes Services of type `external`.
const EXTERNAL: Version = Version::new(2, 2, 0);

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
        (Some("nlb-ip"), _) => Claim::Yes,
        (Some("external"), Some("ip" | "instance")) if settings.at_least(EXTERNAL) => Claim::Yes,
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

fn unclaimed(service: &Service, settings: Settings<'_>) -> Ownership {
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
        Some("external") if !settings.at_least(EXTERNAL) => Ownership::Nobody(Unowned::TooOld),
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

    /// A row of the truth table: the paragraph, the Service, the controller (version and flags), the owner.
    type Row = (&'static str, Service, (&'static str, &'static [(&'static str, &'static str)]), Ownership);

    fn of_type(service_type: ServiceType, builder: &crate::checks::testing::ServiceBuilder) -> Service {
        Service { service_type, ..builder.build() }
    }

    /// Every row of 2 (rules 1 to 4), 2.1, 2.2, 2.3 and T13, over versions, gates and flags.
    fn truth_table() -> Vec<Row> {
        use Ownership::{AutoMode, InTreeClassic, InTreeNetwork, LoadBalancerController as Lbc, Nobody, NotAsked, ThirdParty};
        const NEW: (&str, &[(&str, &str)]) = ("3.5.0", &[]);
        const ONLY: (&str, &[(&str, &str)]) = ("3.5.0", &[("feature-gates", "ServiceTypeLoadBalancerOnly=true")]);
        let web = || service("shop/web");
        let typed = |value: &str| web().annotate(name::TYPE, value);
        let dying = |mut service: Service| {
            service.deleted_at = Some(service.created_at);
            service
        };
        let with_finalizer = |mut service: Service, finalizer: &str| {
            service.finalizers.push(finalizer.into());
            service
        };
        const IN_TREE_FINALIZER: &str = "service.kubernetes.io/load-balancer-cleanup";
        const FINALIZER: &str = "service.k8s.aws/resources";
        vec![
            ("2 rule 1", dying(web().external("ip").build()), NEW, Lbc),
            ("2 rule 1", dying(typed("nlb").build()), NEW, InTreeNetwork),
            ("2 rule 2", of_type(ServiceType::NodePort, &web().external("instance")), NEW, Lbc),
            ("2 rule 2", of_type(ServiceType::NodePort, &typed("nlb-ip")), NEW, Lbc),
            ("2 rule 2", of_type(ServiceType::ClusterIp, &web().external("ip")), NEW, Lbc),
            ("2 rule 2", of_type(ServiceType::NodePort, &web().external("instance")), ONLY, NotAsked),
            ("2 rule 2", of_type(ServiceType::ClusterIp, &web().external("ip")), ONLY, NotAsked),
            ("2 rule 2", web().external("ip").build(), ONLY, Lbc),
            ("2 rule 2", of_type(ServiceType::ClusterIp, &web()), NEW, NotAsked),
            ("2 rule 2", of_type(ServiceType::NodePort, &typed("nlb")), NEW, NotAsked),
            ("2 rule 2", of_type(ServiceType::NodePort, &typed("external")), NEW, NotAsked),
            ("1.10", of_type(ServiceType::NodePort, &web().external("ip")), ("2.3.1", ONLY.1), Lbc),
            ("2 rule 3", web().class(CONTROLLER_CLASS).build(), NEW, Lbc),
            ("2 rule 3", web().class(CONTROLLER_CLASS).build(), ("2.4.0", &[]), Lbc),
            ("2 rule 3", web().class("example.com/lb").external("ip").build(), NEW, ThirdParty),
            ("2 rule 3", web().class("example.com/lb").annotate(name::TYPE, "nlb-ip").build(), NEW, ThirdParty),
            ("2 rule 3", web().class("mine").build(), ("3.5.0", &[("load-balancer-class", "mine")]), Lbc),
            ("2 rule 3, before 2.4.0", web().class("mine").external("ip").build(), ("2.3.1", &[]), Lbc),
            ("T13", web().class(CONTROLLER_CLASS).build(), ("3.5.0", &[("load-balancer-class", "mine")]), ThirdParty),
            ("T13", with_finalizer(web().external("ip").build(), IN_TREE_FINALIZER), NEW, Lbc),
            ("T13", with_finalizer(typed("nlb").build(), FINALIZER), NEW, InTreeNetwork),
            ("2 rule 4", typed("nlb-ip").build(), NEW, Lbc),
            ("2 rule 4", typed("nlb-ip").build(), ("2.0.0", &[]), Lbc),
            ("2 rule 4", web().external("ip").build(), NEW, Lbc),
            ("2 rule 4", web().external("ip").build(), ("2.2.0", &[]), Lbc),
            ("2 rule 4", web().external("ip").build(), ("2.1.3", &[]), Nobody(Unowned::TooOld)),
            ("2 rule 4", web().external("instance").build(), NEW, Lbc),
            ("2 rule 4", typed("external").build(), NEW, Nobody(Unowned::NoTargetType)),
            ("2 rule 4", web().annotate(name::TARGET_TYPE, "ip").build(), NEW, InTreeClassic),
            ("T38", web().external("IP").build(), NEW, Nobody(Unowned::OddTargetType)),
            ("T38", web().external("Instance").build(), NEW, Nobody(Unowned::OddTargetType)),
            ("T38", web().class(CONTROLLER_CLASS).annotate(name::TARGET_TYPE, "IP").build(), NEW, Lbc),
            ("2.1", typed("nlb").class(CONTROLLER_CLASS).build(), NEW, Lbc),
            ("2.1", typed("clb").class(CONTROLLER_CLASS).build(), NEW, Lbc),
            ("2.2", web().class("example.com/lb").annotate(name::TYPE, "nlb").build(), NEW, ThirdParty),
            ("2.2", typed("nlb").build(), NEW, InTreeNetwork),
            ("2.2", web().build(), NEW, InTreeClassic),
            ("2.2", typed("NLB").build(), NEW, InTreeClassic),
            ("2.2", typed("").build(), NEW, InTreeClassic),
            ("2.3", web().class(AUTO_MODE_CLASS).build(), NEW, AutoMode),
            ("2.3", web().class(AUTO_MODE_CLASS).external("ip").build(), NEW, AutoMode),
            (
                "2",
                web().external("ip").build(),
                ("3.5.0", &[("feature-gates", "EnableServiceController=false")]),
                Nobody(Unowned::ServiceControllerOff),
            ),
            ("1.10", web().external("ip").build(), ("2.4.2", &[("feature-gates", "EnableServiceController=false")]), Lbc),
            ("2", web().external("ip").build(), ("3.5.0", &[("watch-namespace", "ops")]), Nobody(Unowned::NamespaceNotWatched)),
            ("2", web().external("ip").build(), ("3.5.0", &[("watch-namespace", "shop")]), Lbc),
            ("2", typed("nlb").build(), ("3.5.0", &[("watch-namespace", "ops")]), InTreeNetwork),
        ]
    }

    #[test]
    fn ownership_is_as_the_truth_table_says() {
        for (paragraph, service, (version, flags), expected) in truth_table() {
            let deployment = flags.iter().fold(controller(version), |it, (key, value)| it.flag(key, value)).build();
            let shown = (paragraph, version, flags, service.service_type, &service.load_balancer_class, &service.annotations);
            assert_eq!(owner(&service, Some(&deployment)), expected, "{shown:?}");
            let built = service.deleted_at.is_none() && expected == Ownership::LoadBalancerController;
            assert_eq!(reconciled(&service, Some(&deployment)), built, "{shown:?}");
        }
    }

    #[test]
    fn a_controller_under_another_name_serves_another_cluster() {
        let serves = |name: Option<&str>, flags: &[&str]| {
            let mut parts = Parts::default();
            parts.scope.cluster_name = name.map(Into::into);
            let all = flags.iter().enumerate().map(|(n, flag)| {
                let mut one = controller("3.5.0").flag("cluster-name", flag).build();
                one.name = crate::inventory::ids::ObjectName::new("kube-system", format!("c{n}"));
                (one.name.clone(), one)
            });
            parts.controllers = crate::checks::testing::fetched(all);
            serves_this_cluster(&parts)
        };
        assert!(serves(Some("demo"), &["demo"]) && serves(Some("demo"), &[]));
        assert!(!serves(Some("demo"), &["other"]) && !serves(Some("demo"), &["demo", "other"]) && !serves(None, &["demo"]));
    }
}
