//! Services that have a load balancer: what a manifest costs it.

use super::*;
use crate::checks::drift::FINALIZER;
use crate::checks::testing::{self, FETCHED, NOW, at, service};
use crate::inventory::aws::{LoadBalancerState, Locale, Scheme};
use crate::inventory::kube::{EventObject, ServiceType};
use crate::inventory::parts::EventKey;

const PORTS: &str = "  ports: [{name: http, port: 80, targetPort: 8080, nodePort: 30080}]\n";
const OWNED: [(&str, &str); 2] = [("type", "external"), ("nlb-target-type", "ip")];

/// A cluster whose Service `shop/web` has a load balancer, as its annotations say.
fn world(annotations: &[(&str, &str)]) -> testing::World {
    let built = annotations
        .iter()
        .fold(service("shop/web").external("ip"), |it, (key, value)| it.annotate(&format!("aws-load-balancer-{key}"), value));
    let mut world = testing::World::of(&built).change_service(|it| it.finalizers.push(FINALIZER.into()));
    world.controllers(&[testing::controller("3.5.0")]);
    edit(&mut world.parts.subnets, |all| {
        for subnet in all.values_mut().map(Arc::make_mut) {
            subnet.zone = subnet.id.as_str().replace("subnet-", "us-east-1").as_str().into();
            subnet.tags.insert("kubernetes.io/role/internal-elb".into(), "1".into());
        }
    });
    let zones = ["a", "b", "c"].map(|zone| (format!("us-east-1{zone}").as_str().into(), Locale::AvailabilityZone));
    world.parts.availability_zones = Part::fetched(zones.into(), at(FETCHED));
    world
}

fn in_world(world: &testing::World, text: &str) -> Plan {
    let manifests = manifests::read("x.yaml", text, "default", at(NOW)).unwrap();
    plan(Input { manifests, parts: world.parts.clone(), offline: false, policy: &world.policy, now: at(NOW) })
}

fn only_in(world: &testing::World, text: &str) -> Planned {
    let mut services = in_world(world, text).services;
    assert_eq!(services.len(), 1);
    services.remove(0)
}

fn owned(more: &[(&str, &str)]) -> String {
    manifest("web", &[&OWNED, more].concat(), PORTS)
}

#[test]
fn a_manifest_that_changes_nothing_changes_nothing() {
    let it = only_in(&world(&[]), &owned(&[]));
    assert_eq!((it.fate, codes(&it), it.changes, it.notes, it.blind), (Fate::Kept, vec![], vec![], Vec::<String>::new(), None));
}

#[test]
fn a_service_that_is_let_go_loses_its_load_balancer() {
    let plain = |spec: &str| {
        format!("---\napiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  namespace: shop\nspec:\n{spec}{PORTS}")
    };
    for (what, text, why) in [
        ("another type", plain("  type: ClusterIP\n"), "asks for no load balancer any more"),
        ("no annotation", plain("  type: LoadBalancer\n"), "another controller's"),
        ("no target type", manifest("web", &[("type", "external")], PORTS), "nobody owns"),
        ("in-tree", manifest("web", &[("type", "nlb")], PORTS), "another controller's"),
    ] {
        let it = only_in(&world(&[]), &text);
        assert_eq!(it.fate, Fate::Deleted, "{what}: {it:#?}");
        let told = it.problems.iter().find(|problem| problem.kind.code == "PLN002").unwrap_or_else(|| panic!("{what}: {it:#?}"));
        assert!(told.message.contains("one.elb.amazonaws.com") && told.message.contains(why), "{}", told.message);
    }
    let text = plain("  type: ClusterIP\n");
    let unmarked = world(&[]).change_service(|it| it.finalizers.clear());
    assert_eq!(only_in(&unmarked, &text).fate, Fate::NotAsked, "without its finalizer the controller does not clean up");
    let gone_before = world(&[]).change_service(|it| {
        it.service_type = ServiceType::ClusterIp;
        it.annotations.clear();
    });
    assert_eq!(only_in(&gone_before, &text).fate, Fate::NotAsked, "what was so before is no doing of the manifest");
    let protected = manifest("web", &[("attributes", "deletion_protection.enabled=true")], PORTS);
    let it = only_in(&world(&[]), &protected);
    assert_eq!(it.fate, Fate::Kept, "the controller goes by what the manifest says: {it:#?}");
    assert!(it.problems.iter().any(|problem| problem.message.contains("deletion_protection")), "{it:#?}");
    let mut blind_elsewhere = world(&[]);
    blind_elsewhere.controllers(&[testing::controller("3.5.0").flag("watch-namespace", "ops")]);
    assert_eq!(only_in(&blind_elsewhere, &owned(&[])).fate, Fate::Nobody, "nobody works on the namespace, to delete it either");
}

#[test]
fn another_class_is_refused_whoever_would_own_it() {
    let mut classy = world(&[]);
    classy = classy.change_service(|it| it.load_balancer_class = Some("service.k8s.aws/nlb".into()));
    for class in ["example.com/lb", "eks.amazonaws.com/nlb"] {
        let it = only_in(&classy, &manifest("web", &[], &format!("  loadBalancerClass: {class}\n{PORTS}")));
        assert_eq!((it.fate, it.changes.len()), (Fate::Kept, 1), "{class}: {it:#?}");
        assert!(codes(&it).contains(&"PLN004"), "{class}: {it:#?}");
    }
}

#[test]
fn neither_a_failure_that_stands_nor_a_state_hides_that_it_is_replaced() {
    let public = owned(&[("scheme", "internet-facing")]);
    let blocked = world(&[]).event(EventObject::Service, "shop/web", ("FailedBuildModel", "x", FETCHED - 60), None);
    assert!(
        blocked
            .parts
            .reconciles
            .get()
            .unwrap()
            .contains_key(&EventKey { kind: EventObject::Service, name: ObjectName::new("shop", "web") })
    );
    let provisioning = world(&[]).load_balancer(|it| it.state = LoadBalancerState::Provisioning);
    for world in [world(&[]), blocked.with(|_| {}), provisioning] {
        // There are no public subnets: the controller's model fails then, and nothing is deleted.
        let world = world.with(|it| {
            edit(&mut it.parts.subnets, |all| {
                all.values_mut().for_each(|it| {
                    Arc::make_mut(it).tags.insert("kubernetes.io/role/elb".into(), "1".into());
                });
            });
        });
        let it = only_in(&world, &public);
        assert_eq!((it.fate, it.scheme), (Fate::Replaced, Some(Scheme::InternetFacing)), "{it:#?}");
        assert_eq!(codes(&it).iter().filter(|code| **code == "PLN002").count(), 1, "{it:#?}");
    }
    let cured = world(&[("healthcheck-interval", "x")]).event(
        EventObject::Service,
        "shop/web",
        ("FailedBuildModel", "x", FETCHED - 60),
        None,
    );
    let it = only_in(&cured, &owned(&[("healthcheck-interval", "20")]));
    let told: Vec<_> = it.changes.iter().map(|change| (change.field.as_str(), change.effect)).collect();
    assert_eq!(told, [("aws-load-balancer-healthcheck-interval", Effect::InPlace)]);
}

#[test]
fn what_cannot_be_compared_is_told_and_ends_as_not_known() {
    let provisioning = world(&[]).load_balancer(|it| it.state = LoadBalancerState::Provisioning);
    let plan = in_world(&provisioning, &owned(&[]));
    assert_eq!(plan.services[0].fate, Fate::Kept);
    let unknown: Vec<_> = plan.unknown().map(|(service, _)| service.to_string()).collect();
    assert_eq!(unknown, ["shop/web"]);
    let known = in_world(&world(&[]), &owned(&[]));
    assert_eq!(known.unknown().count(), 0);
    let unread = world(&[]).with(|it| it.parts.load_balancer_attributes = Arc::default());
    let it = only_in(&unread, &owned(&[("attributes", "load_balancing.cross_zone.enabled=true")]));
    assert!(it.notes.iter().any(|note| note.contains("AWS's side is not known yet")), "{it:#?}");
    // A new port has no target group yet, which is no gap of knowledge.
    let more =
        manifest("web", &OWNED, "  ports: [{name: http, port: 80, targetPort: 8080}, {name: b, port: 443, targetPort: 8443}]\n");
    let it = only_in(&world(&[]), &more);
    assert_eq!((it.notes.len(), it.changes.len()), (0, 2), "{it:#?}");
}

#[test]
fn the_protocol_of_a_port_is_its_target_groups() {
    let udp = manifest("web", &OWNED, "  ports: [{name: http, port: 80, protocol: UDP, targetPort: 8080}]\n");
    let it = only_in(&world(&[]), &udp);
    let told: Vec<_> = it.changes.iter().filter(|change| change.field == "spec.ports").map(|change| change.effect).collect();
    assert_eq!(told, [Effect::TargetGroupsReplaced], "{it:#?}");
}

#[test]
fn what_the_controller_refuses_is_not_made_and_changes_nothing() {
    let cluster_ip = "---\napiVersion: v1\nkind: Service\nmetadata:\n  name: new\n  namespace: shop\n  annotations:\n    service.beta.kubernetes.io/aws-load-balancer-type: external\n    service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: instance\nspec:\n  type: ClusterIP\n  ports: [{port: 80}]\n";
    let ipv6 = manifest("new", &OWNED, &format!("  ipFamilies: [IPv6]\n{PORTS}"));
    let eip = manifest(
        "new",
        &[OWNED[0], OWNED[1], ("scheme", "internal"), ("eip-allocations", "eipalloc-1,eipalloc-2,eipalloc-3")],
        PORTS,
    );
    for (what, text, code) in [("ClusterIP", cluster_ip, "NLB619"), ("IPv6", &ipv6, "NLB610"), ("addresses", &eip, "NLB609")] {
        let it = only_in(&world(&[]), text);
        assert_eq!((it.fate, codes(&it)), (Fate::NotMade, vec![code]), "{what}: {it:#?}");
        assert!(it.costs.is_empty() && it.subnets.is_empty());
    }
    // Families that are left out stay as they are: an IPv6 cluster's are not written in most manifests.
    let six = world(&[("ip-address-type", "dualstack")]).change_service(|it| it.ipv6 = true);
    assert!(codes(&only_in(&six, &owned(&[]))).contains(&"NLB610"), "it loses its dual stack");
}

#[test]
fn without_a_controller_that_runs_nothing_is_made_and_it_is_said() {
    let text = manifest("new", &OWNED, PORTS);
    let mut none = world(&[]);
    none.controllers(&[]);
    let mut down = world(&[]);
    edit(&mut down.parts.controllers, |all| all.values_mut().for_each(|it| Arc::make_mut(it).available_replicas = Some(0)));
    for (world, code) in [(none, "NLB710"), (down, "NLB713")] {
        let it = only_in(&world, &text);
        assert_eq!((it.fate, codes(&it)), (Fate::NotMade, vec![code]), "{it:#?}");
        assert!(!it.costs.is_empty(), "what it would take is told all the same");
    }
    assert_eq!(only_in(&world(&[]), &text).fate, Fate::Made);
}

#[test]
fn a_quic_listener_needs_a_load_balancer_without_groups_and_alone() {
    let of = |more: &[(&str, &str)], ports: &str| {
        let text =
            manifest("new", &[&OWNED, &[("quic-enabled-ports", "a")][..], more].concat(), &format!("  ports: [{ports}]\n"));
        let it = only_in(&world(&[]), &text);
        it.problems.iter().map(|problem| problem.message.clone()).collect::<String>()
    };
    let (quic, dns) = ("{name: a, port: 443, protocol: UDP}", "{name: b, port: 53, protocol: UDP}");
    let bare = ("disable-nlb-sg", "true");
    assert_eq!(of(&[bare], quic), "");
    assert!(of(&[], quic).contains("with security groups"));
    assert!(of(&[bare, ("ip-address-type", "dualstack")], quic).contains("on a dualstack"));
    assert!(of(&[bare], &format!("{quic}, {dns}")).contains("beside UDP"));
    assert_eq!(of(&[bare], &format!("{quic}, {}", dns.replace("UDP", "TCP"))), "");
}

#[test]
fn a_service_that_stands_twice_is_counted_once() {
    let new = |name: &str| manifest(name, &OWNED, PORTS);
    let found = in_world(&world(&[]), &(new("a") + &new("a") + &new("b"))).services;
    let left = |planned: &Planned| cost(planned, "target_groups").first().and_then(|(_, _, left)| *left);
    assert_eq!(left(&found[0]), left(&found[1]), "what is applied last takes it");
    assert!(found[0].notes[0].contains("stands again at x.yaml:"), "{:?}", found[0].notes);
    assert!(found[1].notes.is_empty() && left(&found[2]) <= left(&found[1]));
}
