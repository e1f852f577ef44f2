//! A load balancer that was deleted behind its Service, and everything that only looks like it.

use super::*;
use crate::checks::catalogue::LOAD_BALANCER_GONE;
use crate::inventory::kube::{BindingGroup, PortReference, TargetGroupBinding};

/// A Service whose status names a load balancer of the Region.
fn named(host: &str) -> World {
    let world = World::of(&web()).with(|world| {
        world.parts.scope.region = Some("us-east-1".into());
        world.parts.scope.account_id = Some("1".into());
    });
    let world = world.change_service(|service| service.hostnames.push(host.into()));
    world.with(|world| bind(world, |_| ()))
}

/// The controller's binding of it stays when its load balancer goes.
fn bind(world: &mut World, change: impl FnOnce(&mut TargetGroupBinding)) {
    let mut binding = TargetGroupBinding {
        name: ObjectName::new("shop", "bound"),
        group: BindingGroup::LoadBalancerController,
        created_at: at(BORN),
        deleted_at: None,
        target_group_arn: Some("arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/k8s-shop-web/1".into()),
        target_type: None,
        service: ObjectName::new("shop", "web"),
        service_port: PortReference::Number(80),
        networking: true,
        node_selector: None,
        multi_cluster: false,
        other_account: false,
        vpc_id: None,
        stack: None,
    };
    change(&mut binding);
    insert(&mut world.parts.target_group_bindings, binding.name.clone(), binding);
}

/// Renames the only load balancer.
fn called(mut world: World, host: &str) -> World {
    let list = Arc::make_mut(world.parts.load_balancers.value.as_mut().unwrap());
    list.values_mut().for_each(|lb| Arc::make_mut(lb).dns_name = host.into());
    world
}

#[test]
fn a_load_balancer_that_a_status_names_and_aws_does_not_have_is_gone() {
    const HOST: &str = "k8s-shop-web-1.elb.us-east-1.amazonaws.com";
    let missing = |world: &World| judge(world).family("service_load_balancer_missing").join(";");
    // Deleted in the console; somebody else's is there, and its name does not help.
    let gone = called(named(HOST), "other.elb.us-east-1.amazonaws.com");
    assert_eq!(missing(&gone), "shop,web 1");
    assert_eq!(
        judge(&gone).findings(&LOAD_BALANCER_GONE),
        [
            "Service shop/web: Its status names k8s-shop-web-1.elb.us-east-1.amazonaws.com, and the account has no load balancer of \
          that name: its clients reach nothing."
        ]
    );
    for host in [HOST, "K8s-Shop-Web-1.elb.us-east-1.amazonaws.com", "dualstack.k8s-shop-web-1.elb.us-east-1.amazonaws.com"] {
        let world = called(named(host), HOST);
        assert_eq!((missing(&world), judge(&world).findings(&LOAD_BALANCER_GONE).len()), ("shop,web 0".to_owned(), 0), "{host}");
    }
    let renamed = |change: &dyn Fn(&mut World)| {
        let mut world = called(named(HOST), "other.elb.us-east-1.amazonaws.com");
        change(&mut world);
        world
    };
    let elsewhere = |world: &mut World| {
        bind(world, |it| {
            it.target_group_arn = Some("arn:aws:elasticloadbalancing:us-east-1:2:targetgroup/k8s-shop-web/1".into())
        });
    };
    let silent: [(&str, World); 12] = [
        ("the role is of another account", renamed(&elsewhere)),
        ("its target group is in another account", renamed(&|world| bind(world, |it| it.other_account = true))),
        ("the account is not known", renamed(&|world| world.parts.scope.account_id = None)),
        ("nothing shows whose account it is", renamed(&|world| world.parts.target_group_bindings = fetched([]))),
        ("no status yet", called(World::of(&web()), "other.elb.us-east-1.amazonaws.com")),
        ("a Classic one", called(named("a1b2-3.us-east-1.elb.amazonaws.com"), "x")),
        ("another Region's", called(named("k8s-1.elb.eu-west-1.amazonaws.com"), "x")),
        ("the Region is not known", renamed(&|world| world.parts.scope.region = None)),
        ("the list is not complete", renamed(&|world| world.parts.load_balancers.fetched_at = None)),
        ("it is new", gone_with(HOST, |service| service.created_at = at(FETCHED - 600))),
        ("it was edited just now", gone_with(HOST, |service| service.changed_at = Some(at(FETCHED - 60)))),
        ("it is deleted", gone_with(HOST, |service| service.deleted_at = Some(at(NOW)))),
    ];
    // Another Service's is there, which shows the account, too.
    let another = renamed(&|world| {
        elsewhere(world);
        let mut other = service("shop/api").external("ip").build();
        other.hostnames.push("other.elb.us-east-1.amazonaws.com".into());
        insert(&mut world.parts.services, other.name.clone(), other);
    });
    assert_eq!(missing(&another), "shop,api 0;shop,web 1");
    for (what, world) in silent {
        assert_eq!((missing(&world), judge(&world).findings(&LOAD_BALANCER_GONE).len()), (String::new(), 0), "{what}");
    }
}

fn gone_with(host: &str, change: impl FnOnce(&mut Service)) -> World {
    called(named(host), "other.elb.us-east-1.amazonaws.com").change_service(change)
}
