//! Who is to hear of a Service? The labels that the policy names, on one family for joins in alert rules.

use std::sync::Arc;

use super::model::{FamilyDescription, FamilyKind, Label, Report};
use super::{Check, Context};
use crate::config::policy::label_name;
use crate::controller::ownership::{Ownership, owner_in};
use crate::inventory::kube::ServiceType;
use crate::inventory::parts::source;

static SERVICE_LABELS: FamilyDescription = FamilyDescription {
    name: "service_labels",
    help: "1 for each Service that asks for a load balancer, with one more label label_NAME for each name in policy.service_labels (characters other than letters and digits become _), empty where the Service has no such label; absent when none is configured.",
    kind: FamilyKind::Gauge,
    labels: &["namespace", "service"],
};

/// The check.
pub static CHECK: Check =
    Check { name: "labels", families: &[&SERVICE_LABELS], findings: &[], sources: &[source::SERVICES], run };

fn run(context: &Context<'_>, report: &mut Report) {
    let wanted = &context.policy.service_labels;
    if wanted.is_empty() {
        return;
    }
    let parts = &context.snapshot.parts;
    let names: Arc<[Arc<str>]> = wanted.iter().map(|key| label_name(key).into()).collect();
    let mut family = report.family_with(&SERVICE_LABELS, &names);
    for (name, service) in parts.services.get().into_iter().flatten() {
        let asks =
            service.service_type == ServiceType::LoadBalancer || owner_in(service, parts) == Ownership::LoadBalancerController;
        if asks {
            let own: [Label; 2] = [(&name.namespace).into(), (&name.name).into()];
            let values = wanted.iter().map(|key| service.labels.get(&**key).into());
            family.row(own.into_iter().chain(values).collect(), 1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::{World, service};

    fn world(wanted: &[&str]) -> World {
        let mut world = World::of(&service("shop/web").external("ip"));
        world.policy.service_labels = wanted.iter().map(|key| (*key).to_owned()).collect();
        world.change_service(|service| {
            service.labels.insert("team".into(), "blue".into());
            service.labels.insert("secret".into(), "x".into());
        })
    }

    #[test]
    fn the_labels_that_are_asked_for_are_carried_and_no_others() {
        let said = world(&["team", "app.kubernetes.io/part-of"]).judge(&CHECK);
        assert_eq!(said.family("service_labels"), ["shop,web,blue, 1"]);
        let family = &said.report.families()[0];
        let names: Vec<_> = family.label_names().collect();
        assert_eq!(names, ["namespace", "service", "label_team", "label_app_kubernetes_io_part_of"]);
    }

    #[test]
    fn nothing_is_carried_unless_asked_for() {
        assert!(world(&[]).judge(&CHECK).report.families().is_empty());
    }

    #[test]
    fn a_service_that_asks_for_no_load_balancer_has_none() {
        let world = world(&["team"]).change_service(|service| {
            service.service_type = ServiceType::ClusterIp;
            service.annotations.clear();
        });
        assert!(world.judge(&CHECK).family("service_labels").is_empty());
    }
}
