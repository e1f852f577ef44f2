//! Every call, parsed by the real SDK and compared with the world.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::Filter;
use aws_sdk_elasticloadbalancingv2::error::ProvideErrorMetadata;

use super::clients::{ec2, eks, elb, quotas, raw, simulator, sts};
use crate::simulator::{Operation, Sizes, world::ACCOUNT_ID};

#[tokio::test]
async fn load_balancers_come_in_pages_and_as_they_are() {
    let sizes = Sizes { load_balancers: 25, target_groups: 40, targets: 120, services: 20, ..Sizes::default() };
    let simulator = simulator(sizes).await;
    let client = elb(&simulator);
    let mut found = Vec::new();
    let mut marker = None;
    loop {
        let page = client.describe_load_balancers().page_size(10).set_marker(marker.take()).send().await.unwrap();
        found.extend(page.load_balancers().to_vec());
        marker = page.next_marker().map(str::to_owned);
        if marker.is_none() {
            break;
        }
    }
    assert_eq!(simulator.counters.calls(Operation::DescribeLoadBalancers), 3);
    let arns: BTreeSet<_> = found.iter().map(|lb| lb.load_balancer_arn().unwrap().to_owned()).collect();
    assert_eq!(arns.len(), 25);
    assert!(arns.iter().all(|arn| arn.contains(":loadbalancer/net/")));
    simulator.world.read(|world| {
        for lb in &found {
            let ours = world.load_balancers.values().find(|ours| *ours.name == *lb.load_balancer_name().unwrap()).unwrap();
            assert_eq!(lb.dns_name(), Some(&*ours.dns_name));
            assert_eq!(lb.scheme().unwrap().as_str(), &*ours.scheme);
            assert_eq!(lb.state().unwrap().code().unwrap().as_str(), "active");
            assert_eq!(lb.r#type().unwrap().as_str(), "network");
            assert_eq!(lb.created_time().unwrap().secs(), ours.created_at.as_second());
            let zones: Vec<_> = lb.availability_zones().iter().map(|zone| zone.subnet_id().unwrap().to_owned()).collect();
            assert_eq!(zones, ours.zones.iter().map(|(_, subnet, _)| subnet.to_string()).collect::<Vec<_>>());
            let groups: BTreeSet<_> = lb.security_groups().iter().map(String::as_str).collect();
            assert_eq!(groups, ours.security_groups.iter().map(|id| id.as_str()).collect());
        }
        let with_address = found.iter().flat_map(|lb| lb.availability_zones()).flat_map(|zone| zone.load_balancer_addresses());
        assert!(with_address.into_iter().all(|address| address.allocation_id().is_some() && address.ip_address().is_some()));
    });

    let one = found[3].load_balancer_arn().unwrap();
    let by_arn = client.describe_load_balancers().load_balancer_arns(one).send().await.unwrap();
    assert_eq!(by_arn.load_balancers().len(), 1);
    let by_name = client.describe_load_balancers().names(found[4].load_balancer_name().unwrap()).send().await.unwrap();
    assert_eq!(by_name.load_balancers()[0].load_balancer_arn(), found[4].load_balancer_arn());
}

#[tokio::test]
async fn what_hangs_on_a_load_balancer_is_told_as_it_is() {
    let simulator = simulator(Sizes::default()).await;
    let client = elb(&simulator);
    let groups = client.describe_target_groups().send().await.unwrap();
    assert_eq!(groups.target_groups().len(), 18);
    for group in groups.target_groups() {
        let arn = group.target_group_arn().unwrap();
        let health = client.describe_target_health().target_group_arn(arn).send().await.unwrap();
        let attributes = client.describe_target_group_attributes().target_group_arn(arn).send().await.unwrap();
        let attributes: BTreeMap<_, _> =
            attributes.attributes().iter().map(|one| (one.key().unwrap(), one.value().unwrap())).collect();
        simulator.world.read(|world| {
            let (id, ours) = world.target_groups.iter().find(|(id, _)| arn.ends_with(id.as_str())).unwrap();
            assert_eq!(arn, world.target_group_arn(id).as_str());
            let check = &ours.health_check;
            assert_eq!(group.health_check_interval_seconds(), Some(check.interval_seconds));
            assert_eq!(group.health_check_timeout_seconds(), Some(check.timeout_seconds));
            assert_eq!(group.health_check_port(), Some(&*check.port));
            assert_eq!(group.health_check_path(), check.path.as_deref());
            assert_eq!(group.matcher().and_then(|matcher| matcher.http_code()), check.success_codes.as_deref());
            assert_eq!(group.target_type().unwrap().as_str(), &*ours.target_type);
            assert_eq!(group.load_balancer_arns().len(), 1);
            let told: Vec<_> = health
                .target_health_descriptions()
                .iter()
                .map(|one| {
                    let target = one.target().unwrap();
                    let health = one.target_health().unwrap();
                    let reason = health.reason().map(|reason| reason.as_str().to_owned());
                    assert!(one.health_check_port().unwrap().parse::<u16>().is_ok(), "the port that is probed is a number");
                    (
                        target.id().unwrap().to_owned(),
                        target.port().unwrap(),
                        target.availability_zone().map(str::to_owned),
                        health.state().unwrap().as_str().to_owned(),
                        reason,
                    )
                })
                .collect();
            let expected: Vec<_> = ours
                .targets
                .iter()
                .map(|target| {
                    (
                        target.id.to_string(),
                        i32::from(target.port),
                        target.zone.as_ref().map(ToString::to_string),
                        target.health.state.to_string(),
                        target.health.reason.as_ref().map(ToString::to_string),
                    )
                })
                .collect();
            assert_eq!(told, expected);
            for (key, value) in &ours.attributes {
                assert_eq!(attributes[&**key], &**value);
            }
            let proxied = ours.attributes.get("proxy_protocol_v2.enabled").map_or("false", |value| value);
            assert_eq!(attributes["proxy_protocol_v2.enabled"], proxied);
        });
    }

    let lbs = client.describe_load_balancers().send().await.unwrap();
    let mut listeners = 0;
    let mut tls = 0;
    for lb in lbs.load_balancers() {
        let arn = lb.load_balancer_arn().unwrap();
        let found = client.describe_listeners().load_balancer_arn(arn).send().await.unwrap();
        for listener in found.listeners() {
            listeners += 1;
            let action = &listener.default_actions()[0];
            let forward = &action.forward_config().unwrap().target_groups()[0];
            assert_eq!(action.target_group_arn(), forward.target_group_arn());
            assert_eq!(forward.weight(), Some(1));
            assert!(listener.listener_arn().unwrap().contains(":listener/net/"));
            if listener.protocol().unwrap().as_str() == "TLS" {
                tls += 1;
                assert!(listener.ssl_policy().is_some() && listener.certificates()[0].certificate_arn().is_some());
            }
        }
        let one = found.listeners()[0].listener_arn().unwrap();
        let again = client.describe_listeners().listener_arns(one).send().await.unwrap();
        assert_eq!(again.listeners()[0].load_balancer_arn(), Some(arn));
        let attributes = client.describe_load_balancer_attributes().load_balancer_arn(arn).send().await.unwrap();
        assert!(attributes.attributes().iter().any(|one| one.key() == Some("load_balancing.cross_zone.enabled")));
        let of = client.describe_target_groups().load_balancer_arn(arn).send().await.unwrap();
        assert_eq!(of.target_groups().len(), found.listeners().len());
    }
    assert_eq!((listeners, tls), (18, 1));

    let mut asked = client.describe_tags();
    for lb in lbs.load_balancers() {
        asked = asked.resource_arns(lb.load_balancer_arn().unwrap());
    }
    let tags = asked.resource_arns(groups.target_groups()[0].target_group_arn().unwrap()).send().await.unwrap();
    assert_eq!(tags.tag_descriptions().len(), 13);
    for description in tags.tag_descriptions() {
        let tag = |key| description.tags().iter().find(|tag| tag.key() == Some(key)).and_then(|tag| tag.value());
        assert_eq!(tag("elbv2.k8s.aws/cluster"), Some("demo"));
        assert!(tag("service.k8s.aws/stack").is_some_and(|stack| stack.contains('/')));
    }

    let limits = client.describe_account_limits().send().await.unwrap();
    let limit = |name| limits.limits().iter().find(|limit| limit.name() == Some(name)).and_then(|limit| limit.max());
    assert_eq!(limit("network-load-balancers"), Some("50"));
    assert_eq!(limit("targets-per-availability-zone-per-network-load-balancer"), Some("500"));
}

#[tokio::test]
async fn errors_of_elastic_load_balancing_are_typed_for_the_sdk() {
    let simulator = simulator(Sizes::default()).await;
    let client = elb(&simulator);
    let (lb, group) = simulator.world.read(|world| {
        let lb = world.load_balancer_arn(world.load_balancers.keys().next().unwrap());
        (lb.to_string(), world.target_groups.keys().next().unwrap().clone())
    });
    let group_arn = simulator.world.read(|world| world.target_group_arn(&group).to_string());
    simulator.world.edit(|world| world.delete_target_group(&group)).unwrap();

    let error = client.describe_target_health().target_group_arn(&group_arn).send().await.unwrap_err();
    assert!(error.as_service_error().unwrap().is_target_group_not_found_exception());
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 400);
    let error = client.describe_tags().resource_arns(&lb).resource_arns(&group_arn).send().await.unwrap_err();
    assert!(error.as_service_error().unwrap().is_target_group_not_found_exception(), "one that is gone fails the whole call");
    let error = client.describe_listeners().load_balancer_arn(format!("{lb}0")).send().await.unwrap_err();
    assert!(error.as_service_error().unwrap().is_load_balancer_not_found_exception());
    let error = client.describe_tags().set_resource_arns(Some(vec![lb.clone(); 21])).send().await.unwrap_err();
    assert_eq!(error.code(), Some("ValidationError"));
    for error in [
        client.describe_listeners().send().await.unwrap_err().code().map(str::to_owned),
        client.describe_load_balancers().page_size(401).send().await.unwrap_err().code().map(str::to_owned),
        client.describe_load_balancers().marker("none").send().await.unwrap_err().code().map(str::to_owned),
        client.describe_target_groups().load_balancer_arn("arn:of:nothing").send().await.unwrap_err().code().map(str::to_owned),
    ] {
        assert_eq!(error.as_deref(), Some("ValidationError"));
    }
    let error = client.describe_ssl_policies().send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidAction"), "a call the simulator does not know is refused as AWS refuses it");
}

#[tokio::test]
async fn what_is_set_on_a_listener_and_reserved_is_told_as_it_is() {
    let simulator = simulator(Sizes::default()).await;
    let client = elb(&simulator);
    let (lb, tls, tcp) = simulator.world.edit(|world| {
        let id = world.load_balancers.keys().next().unwrap().clone();
        let lb = world.load_balancers.get_mut(&id).unwrap();
        lb.capacity_units = Some(2750);
        let mut other = lb.listeners[0].clone();
        (other.id, other.port, other.protocol) = ("00000000000000aa".into(), 8443, "TLS".into());
        other.tls = Some(("ELBSecurityPolicy-2016-08".into(), "arn:aws:acm:us-east-1:1:certificate/0".into()));
        other.certificates = (0..3).map(|n| format!("arn:aws:acm:us-east-1:1:certificate/{n}").into()).collect();
        other.tags.insert("team".into(), "edge".into());
        lb.listeners.push(other);
        let arns: Vec<String> =
            world.load_balancers[&id].listeners.iter().map(|listener| world.listener_arn(&id, listener).to_string()).collect();
        (world.load_balancer_arn(&id).to_string(), arns.last().unwrap().clone(), arns[0].clone())
    });
    let mut certificates = Vec::new();
    let mut marker = None;
    loop {
        let call = client.describe_listener_certificates().listener_arn(&tls).page_size(3);
        let page = call.set_marker(marker.take()).send().await.unwrap();
        certificates.extend(page.certificates().iter().map(|one| (one.certificate_arn().unwrap().to_owned(), one.is_default())));
        marker = page.next_marker().map(str::to_owned);
        if marker.is_none() {
            break;
        }
    }
    let default = "arn:aws:acm:us-east-1:1:certificate/0".to_owned();
    assert_eq!(certificates.len(), 4);
    assert_eq!(&certificates[..2], [(default.clone(), Some(true)), (default, Some(false))]);
    assert_eq!(simulator.counters.calls(Operation::DescribeListenerCertificates), 2);
    assert!(client.describe_listener_certificates().listener_arn(&tcp).send().await.unwrap().certificates().is_empty());

    let attributes = client.describe_listener_attributes().listener_arn(&tcp).send().await.unwrap();
    let attributes: Vec<_> = attributes.attributes().iter().map(|one| (one.key().unwrap(), one.value().unwrap())).collect();
    assert_eq!(attributes, [("tcp.idle_timeout.seconds", "350")]);
    let tags = client.describe_tags().resource_arns(&tls).resource_arns(&lb).send().await.unwrap();
    let has_team =
        |n: usize| tags.tag_descriptions()[n].tags().iter().any(|tag| tag.key() == Some("team") && tag.value() == Some("edge"));
    assert!(has_team(0) && !has_team(1));
    let reserved = client.describe_capacity_reservation().load_balancer_arn(&lb).send().await.unwrap();
    assert_eq!(reserved.minimum_load_balancer_capacity().and_then(|minimum| minimum.capacity_units()), Some(2750));
    simulator.world.edit(|world| world.load_balancers.values_mut().for_each(|lb| lb.capacity_units = None));
    let reserved = client.describe_capacity_reservation().load_balancer_arn(&lb).send().await.unwrap();
    assert!(reserved.minimum_load_balancer_capacity().is_none());
    let error = client.describe_listener_attributes().listener_arn(format!("{tls}0")).send().await.unwrap_err();
    assert!(error.as_service_error().unwrap().is_listener_not_found_exception());
}

#[tokio::test]
async fn eks_knows_the_cluster_and_no_other() {
    let simulator = simulator(Sizes::default()).await;
    simulator.world.edit(|world| world.auto_mode = true);
    let client = eks(&simulator);
    let answer = client.describe_cluster().name("demo").send().await.unwrap();
    let cluster = answer.cluster().unwrap();
    assert_eq!((cluster.name(), cluster.status().map(|status| status.as_str())), (Some("demo"), Some("ACTIVE")));
    let network = cluster.resources_vpc_config().unwrap();
    let automatic = cluster.kubernetes_network_config().unwrap().elastic_load_balancing().unwrap().enabled();
    assert_eq!(automatic, Some(true));
    simulator.world.read(|world| {
        assert_eq!(network.vpc_id(), Some(world.scope.vpc_id.as_str()));
        assert_eq!(network.cluster_security_group_id(), Some(world.scope.node_group.as_str()));
        assert!(network.subnet_ids().iter().all(|id| world.subnets.contains_key(id.as_str())));
    });
    let error = client.describe_cluster().name("other").send().await.unwrap_err();
    assert!(error.as_service_error().unwrap().is_resource_not_found_exception());
    for (fault, code) in [
        ("DescribeCluster=deny", "AccessDeniedException"),
        ("eks:*=throttle", "ThrottlingException"),
        ("DescribeCluster=error", "ServerException"),
        ("DescribeCluster=expire", "ExpiredTokenException"),
    ] {
        simulator.faults.set(vec![fault.parse().unwrap()]);
        let error = client.describe_cluster().name("demo").send().await.unwrap_err();
        assert_eq!(error.code(), Some(code), "{fault}");
    }
    assert_eq!(simulator.counters.errors(Operation::DescribeCluster), 5);
}

#[tokio::test]
async fn the_network_is_told_as_it_is() {
    let simulator = simulator(Sizes { nodes: 9, ..Sizes::default() }).await;
    let client = ec2(&simulator);
    let (vpc, node_group) = simulator.world.read(|world| (world.scope.vpc_id.to_string(), world.scope.node_group.to_string()));
    let of_vpc = || Filter::builder().name("vpc-id").values(&vpc).build();

    let subnets = client.describe_subnets().filters(of_vpc()).max_results(5).send().await.unwrap();
    assert_eq!(subnets.subnets().len(), 5);
    let rest = client
        .describe_subnets()
        .filters(of_vpc())
        .max_results(5)
        .next_token(subnets.next_token().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!((rest.subnets().len(), rest.next_token()), (1, None));
    simulator.world.read(|world| {
        for subnet in subnets.subnets().iter().chain(rest.subnets()) {
            let ours = &world.subnets[subnet.subnet_id().unwrap()];
            assert_eq!(subnet.available_ip_address_count().map(i64::from), Some(ours.free_addresses));
            assert_eq!(subnet.cidr_block(), Some(&*ours.cidr.unwrap().to_string()));
            assert_eq!(subnet.tags().len(), ours.tags.len());
            assert_eq!(subnet.ipv6_native(), Some(false));
        }
    });
    let public = Filter::builder().name("tag:kubernetes.io/role/elb").values("1").values("").build();
    assert_eq!(client.describe_subnets().filters(public).send().await.unwrap().subnets().len(), 3);
    assert_eq!(client.describe_subnets().send().await.unwrap().subnets().len(), 9, "the default VPC has three");

    let tables = client.describe_route_tables().filters(of_vpc()).send().await.unwrap();
    assert_eq!(tables.route_tables().len(), 2);
    let public = tables.route_tables().iter().find(|table| table.associations().len() == 3).unwrap();
    assert!(public.routes().iter().any(|route| route.gateway_id().is_some_and(|id| id.starts_with("igw-"))));
    let main = tables.route_tables().iter().find(|table| table.associations()[0].main() == Some(true)).unwrap();
    assert!(!main.routes().iter().any(|route| route.gateway_id().is_some_and(|id| id.starts_with("igw-"))));

    let zones = client.describe_availability_zones().send().await.unwrap();
    assert_eq!(zones.availability_zones().len(), 3);
    assert!(zones.availability_zones().iter().all(|zone| zone.zone_type() == Some("availability-zone")));
    let vpcs = client.describe_vpcs().vpc_ids(&vpc).send().await.unwrap();
    assert_eq!(vpcs.vpcs()[0].cidr_block_association_set().len(), 1);

    let groups = client.describe_security_groups().max_results(1000).send().await.unwrap();
    simulator.world.read(|world| {
        assert_eq!(groups.security_groups().len(), world.security_groups.len());
        for group in groups.security_groups() {
            let ours = &world.security_groups[group.group_id().unwrap()];
            let count = |permissions: &[aws_sdk_ec2::types::IpPermission]| -> usize {
                permissions
                    .iter()
                    .map(|one| {
                        one.ip_ranges().len()
                            + one.ipv6_ranges().len()
                            + one.prefix_list_ids().len()
                            + one.user_id_group_pairs().len()
                    })
                    .sum()
            };
            assert_eq!(count(group.ip_permissions()), ours.inbound.len());
            assert_eq!(count(group.ip_permissions_egress()), ours.outbound.len());
            assert_eq!(group.description(), Some(&*ours.description));
        }
    });
    let nodes = client.describe_security_groups().group_ids(&node_group).send().await.unwrap();
    let shared = nodes.security_groups()[0].ip_permissions().iter().flat_map(|one| one.user_id_group_pairs());
    let shared = shared.filter(|pair| pair.description() == Some("elbv2.k8s.aws/targetGroupBinding=shared"));
    assert_eq!(shared.count(), 2, "one for TCP and one for UDP");

    let of_lb = Filter::builder().name("interface-type").values("network_load_balancer").build();
    let enis = client.describe_network_interfaces().filters(of_lb).max_results(1000).send().await.unwrap();
    assert_eq!(enis.network_interfaces().len(), 36);
    assert!(enis.network_interfaces().iter().all(|eni| eni.interface_type().unwrap().as_str() == "network_load_balancer"));
    let of_nodes = Filter::builder().name("group-id").values(&node_group).build();
    let enis = client.describe_network_interfaces().filters(of_nodes).send().await.unwrap();
    assert_eq!(enis.network_interfaces().len(), 9);
    let attachment = enis.network_interfaces()[0].attachment().unwrap();
    assert!(attachment.instance_id().is_some() && attachment.device_index() == Some(0));

    let lists = client.describe_managed_prefix_lists().max_results(100).send().await.unwrap();
    let own: Vec<_> = lists.prefix_lists().iter().filter(|list| list.owner_id() == Some(ACCOUNT_ID)).collect();
    assert_eq!((own.len(), own[0].max_entries()), (1, Some(10)));
    let addresses = client.describe_addresses().send().await.unwrap();
    let own = addresses.addresses().iter().filter(|address| address.service_managed().is_none());
    assert_eq!(own.count(), 6, "of three NAT gateways and of one load balancer with Elastic IPs");
}

#[tokio::test]
async fn errors_of_ec2_carry_their_codes() {
    let simulator = simulator(Sizes::default()).await;
    let client = ec2(&simulator);
    let error = client.describe_subnets().subnet_ids("subnet-0").send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidSubnetID.NotFound"));
    let error = client.describe_security_groups().max_results(4).send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidParameterValue"));
    let error =
        client.describe_subnets().filters(Filter::builder().name("nonsense").values("x").build()).send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidParameterValue"));
    let error = client.describe_network_interfaces().network_interface_ids("eni-0").max_results(10).send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidParameterCombination"));
    let error = client.describe_instances().send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidAction"));
}

#[tokio::test]
async fn an_ipv6_only_subnet_and_an_unknown_state_are_told_as_aws_would() {
    let simulator = simulator(Sizes::default()).await;
    let subnet = simulator.world.edit(|world| {
        let (id, subnet) = world.subnets.iter_mut().next().unwrap();
        (subnet.cidr, subnet.free_addresses) = (None, 0);
        subnet.ipv6_cidrs.push("2001:db8::/64".into());
        let lb = world.load_balancers.values_mut().next().unwrap();
        lb.state = "meditating".into();
        id.to_string()
    });
    let subnets = ec2(&simulator).describe_subnets().subnet_ids(&subnet).send().await.unwrap();
    let subnet = &subnets.subnets()[0];
    assert_eq!((subnet.ipv6_native(), subnet.cidr_block(), subnet.available_ip_address_count()), (Some(true), None, Some(0)));
    let association = &subnet.ipv6_cidr_block_association_set()[0];
    assert_eq!(association.ipv6_cidr_block_state().unwrap().state().unwrap().as_str(), "associated");
    let lbs = elb(&simulator).describe_load_balancers().send().await.unwrap();
    assert!(lbs.load_balancers().iter().any(|lb| lb.state().unwrap().code().unwrap().as_str() == "meditating"));
}

#[tokio::test]
async fn quotas_fall_back_as_they_do_at_aws() {
    let simulator =
        simulator(Sizes { load_balancers: 60, target_groups: 60, targets: 60, services: 60, ..Sizes::default() }).await;
    let client = quotas(&simulator);
    let raised = client.get_service_quota().service_code("elasticloadbalancing").quota_code("L-69A177A2").send().await.unwrap();
    assert_eq!(raised.quota().unwrap().value(), Some(120.0));
    let default = client
        .get_aws_default_service_quota()
        .service_code("elasticloadbalancing")
        .quota_code("L-69A177A2")
        .send()
        .await
        .unwrap();
    assert_eq!(default.quota().unwrap().value(), Some(50.0));
    let never = client.get_service_quota().service_code("vpc").quota_code("L-93826ACB").send().await.unwrap_err();
    assert!(never.as_service_error().unwrap().is_no_such_resource_exception());
    let default = client.get_aws_default_service_quota().service_code("vpc").quota_code("L-93826ACB").send().await.unwrap();
    assert_eq!(default.quota().unwrap().value(), Some(500.0));
    let wrong = client.get_service_quota().service_code("EC2").quota_code("L-0263D0A3").send().await.unwrap_err();
    assert!(wrong.as_service_error().unwrap().is_no_such_resource_exception(), "service codes are case-sensitive");

    let mut codes = BTreeSet::new();
    let mut token = None;
    loop {
        let page =
            client.list_service_quotas().service_code("vpc").max_results(2).set_next_token(token.take()).send().await.unwrap();
        codes.extend(page.quotas().iter().map(|quota| quota.quota_code().unwrap().to_owned()));
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    assert!(codes.contains("L-0EA8095F") && !codes.contains("L-93826ACB"), "a list leaves out what nobody raised: {codes:?}");
    assert!(simulator.counters.calls(Operation::ListServiceQuotas) >= 2);
}

#[tokio::test]
async fn requests_for_more_come_in_pages_and_by_status() {
    let simulator = simulator(Sizes::default()).await;
    simulator.world.edit(|world| {
        for (id, status) in [("r1", "PENDING"), ("r2", "APPROVED"), ("r3", "CASE_OPENED")] {
            world.request_quota(id, ("vpc", "L-0EA8095F"), 120.0, status, crate::clock::now());
        }
    });
    let client = quotas(&simulator);
    let list = || client.list_requested_service_quota_change_history().service_code("vpc");
    let first = list().max_results(2).send().await.unwrap();
    assert_eq!((first.requested_quotas().len(), first.next_token().is_some()), (2, true));
    let second = list().max_results(2).set_next_token(first.next_token().map(str::to_owned)).send().await.unwrap();
    let third = &second.requested_quotas()[0];
    assert_eq!((third.id(), third.desired_value(), third.quota_code()), (Some("r3"), Some(120.0), Some("L-0EA8095F")));
    assert!(third.created().is_some() && second.next_token().is_none());
    let pending = list().status(aws_sdk_servicequotas::types::RequestStatus::Pending).send().await.unwrap();
    assert_eq!(pending.requested_quotas().len(), 1);
    let others = client.list_requested_service_quota_change_history().service_code("ec2").send().await.unwrap();
    assert!(others.requested_quotas().is_empty());
}

#[tokio::test]
async fn the_caller_is_known_and_calls_are_counted() {
    let simulator = simulator(Sizes::default()).await;
    let who = sts(&simulator).get_caller_identity().send().await.unwrap();
    assert_eq!(who.account(), Some(ACCOUNT_ID));
    assert!(who.arn().unwrap().starts_with("arn:aws:sts::"));
    let _ = elb(&simulator).describe_tags().resource_arns("nonsense").send().await;

    let (status, body) = raw(&format!("{}/__simulator/calls", simulator.aws_url), http::Method::GET, &[], "").await;
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &json["total"], &json["calls"]["sts:GetCallerIdentity"]), (200, &2.into(), &1.into()));
    assert_eq!(json["errors"], serde_json::json!({ "elasticloadbalancing:DescribeTags": 1 }));
    let (status, _) = raw(&format!("{}/__simulator/reset", simulator.aws_url), http::Method::POST, &[], "").await;
    assert_eq!((status, simulator.counters.total()), (204, 0));
}

#[tokio::test]
async fn an_unsigned_request_is_told_apart_by_its_version() {
    let simulator = simulator(Sizes::default()).await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let post = |body| raw(&simulator.aws_url, http::Method::POST, &form, body);
    let (status, body) = post("Action=DescribeVpcs&Version=2016-11-15").await;
    assert_eq!((status, body.contains("<vpcSet>")), (200, true));
    let (status, body) = post("Action=DescribeNothing&Version=2015-12-01").await;
    assert_eq!((status, body.contains("<Code>InvalidAction</Code>")), (400, true));
    let (status, body) = post("nonsense").await;
    assert_eq!((status, body.contains("MissingAuthenticationToken")), (403, true));
    let target = [("x-amz-target", "ServiceQuotasV20190624.GetServiceQuota")];
    let (status, body) = raw(&simulator.aws_url, http::Method::POST, &target, "{").await;
    assert_eq!((status, body.contains("SerializationException")), (400, true));
}
