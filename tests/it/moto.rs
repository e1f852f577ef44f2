//! Do we read AWS right? A world is built in moto through the AWS SDK, and every value the daemon shows is compared with what
//! was built or with what the emulator itself says.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use aws_sdk_ec2::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_ec2::types as ec2;
use aws_sdk_elasticloadbalancingv2::types as elb;
use serde_json::json;

use crate::cluster::Cluster;
use crate::support::{Daemon, Program, Scrape, eventually, free_port, get};

/// moto, on a port of its own.
struct Moto {
    _program: Program,
    url: String,
}

impl Moto {
    async fn start() -> Self {
        Self::start_at(free_port()).await
    }

    async fn start_at(port: u16) -> Self {
        let program = Program::start(Command::new("moto_server").args(["-H", "127.0.0.1", "-p", &port.to_string()]));
        let url = format!("http://127.0.0.1:{port}");
        eventually("moto answers", Duration::from_secs(60), async || get(&format!("{url}/moto-api/data.json")).await).await;
        Self { _program: program, url }
    }

    fn ec2(&self) -> aws_sdk_ec2::Client {
        let config = aws_sdk_ec2::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .endpoint_url(&self.url)
            .credentials_provider(Credentials::new("test", "test", None, None, "test"));
        aws_sdk_ec2::Client::from_conf(config.build())
    }

    fn elb(&self) -> aws_sdk_elasticloadbalancingv2::Client {
        let config = aws_sdk_elasticloadbalancingv2::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .endpoint_url(&self.url)
            .credentials_provider(Credentials::new("test", "test", None, None, "test"));
        aws_sdk_elasticloadbalancingv2::Client::from_conf(config.build())
    }
}

impl Moto {
    fn eks(&self) -> aws_sdk_eks::Client {
        let config = aws_sdk_eks::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .endpoint_url(&self.url)
            .credentials_provider(Credentials::new("test", "test", None, None, "test"));
        aws_sdk_eks::Client::from_conf(config.build())
    }
}

/// What was built, by the names the tests use.
struct Built {
    vpc: String,
    subnets: BTreeMap<&'static str, String>,
    node_group: String,
    load_balancer: String,
    target_groups: BTreeMap<&'static str, String>,
    instances: Vec<String>,
}

const CLUSTER_TAG: &str = "kubernetes.io/cluster/demo";

fn name_tags(kind: ec2::ResourceType, tags: &[(&str, &str)]) -> ec2::TagSpecification {
    let tags = tags.iter().map(|(key, value)| ec2::Tag::builder().key(*key).value(*value).build()).collect();
    ec2::TagSpecification::builder().resource_type(kind).set_tags(Some(tags)).build()
}

fn elb_tags(pairs: &[(&str, &str)]) -> Option<Vec<elb::Tag>> {
    Some(pairs.iter().map(|(key, value)| elb::Tag::builder().key(*key).value(*value).build()).collect())
}

async fn build_network(moto: &Moto) -> (String, BTreeMap<&'static str, String>) {
    let client = moto.ec2();
    let vpc = client.create_vpc().cidr_block("10.0.0.0/16").send().await.unwrap().vpc.unwrap().vpc_id.unwrap();
    let mut subnets = BTreeMap::new();
    let table = [
        ("public-a", "10.0.0.0/24", "us-east-1a", Some(("kubernetes.io/role/elb", "1"))),
        ("public-b", "10.0.1.0/24", "us-east-1b", Some(("kubernetes.io/role/elb", ""))),
        ("public-c", "10.0.2.0/28", "us-east-1c", Some(("kubernetes.io/role/elb", "1"))),
        ("odd", "10.0.3.0/24", "us-east-1d", Some(("kubernetes.io/role/elb", "true"))),
        ("private-a", "10.0.4.0/24", "us-east-1a", Some(("kubernetes.io/role/internal-elb", "1"))),
        ("plain", "10.0.5.0/24", "us-east-1b", None),
    ];
    for (name, cidr, zone, role) in table {
        let mut tags = vec![("Name", name)];
        tags.extend(role);
        let request = client.create_subnet().vpc_id(&vpc).cidr_block(cidr).availability_zone(zone);
        let request = request.tag_specifications(name_tags(ec2::ResourceType::Subnet, &tags));
        subnets.insert(name, request.send().await.unwrap().subnet.unwrap().subnet_id.unwrap());
    }
    let gateway = client.create_internet_gateway().send().await.unwrap().internet_gateway.unwrap().internet_gateway_id.unwrap();
    client.attach_internet_gateway().internet_gateway_id(&gateway).vpc_id(&vpc).send().await.unwrap();
    let table = client.create_route_table().vpc_id(&vpc).send().await.unwrap().route_table.unwrap().route_table_id.unwrap();
    client.create_route().route_table_id(&table).destination_cidr_block("0.0.0.0/0").gateway_id(&gateway).send().await.unwrap();
    for name in ["public-a", "public-b", "public-c", "odd"] {
        client.associate_route_table().route_table_id(&table).subnet_id(&subnets[name]).send().await.unwrap();
    }
    (vpc, subnets)
}

/// Three IPv4 ranges, two IPv6 ranges, one group and a prefix list of 20 entries: 24 rules of IPv4 and 3 of IPv6.
async fn build_node_group(moto: &Moto, vpc: &str) -> String {
    let client = moto.ec2();
    let request = client.create_security_group().group_name("nodes").description("nodes").vpc_id(vpc);
    let request = request.tag_specifications(name_tags(ec2::ResourceType::SecurityGroup, &[(CLUSTER_TAG, "owned")]));
    let group = request.send().await.unwrap().group_id.unwrap();
    let list = client.create_managed_prefix_list().prefix_list_name("offices").address_family("IPv4").max_entries(20);
    let list = list.send().await.unwrap().prefix_list.unwrap().prefix_list_id.unwrap();
    let range = |cidr: &str| ec2::IpRange::builder().cidr_ip(cidr).build();
    let range6 = |cidr: &str| ec2::Ipv6Range::builder().cidr_ipv6(cidr).build();
    let https = ec2::IpPermission::builder().ip_protocol("tcp").from_port(443).to_port(443);
    let https = https.ip_ranges(range("10.1.0.0/16")).ip_ranges(range("10.2.0.0/16"));
    let https = https.ipv6_ranges(range6("2001:db8:1::/48")).ipv6_ranges(range6("2001:db8:2::/48"));
    let ssh = ec2::IpPermission::builder().ip_protocol("tcp").from_port(22).to_port(22).ip_ranges(range("10.1.0.0/16"));
    let ssh = ssh.prefix_list_ids(ec2::PrefixListId::builder().prefix_list_id(&list).build());
    let own = ec2::IpPermission::builder().ip_protocol("tcp").from_port(1).to_port(65535);
    let own = own.user_id_group_pairs(ec2::UserIdGroupPair::builder().group_id(&group).build());
    let request = client.authorize_security_group_ingress().group_id(&group);
    let request = request.ip_permissions(https.build()).ip_permissions(ssh.build()).ip_permissions(own.build());
    request.send().await.unwrap();
    group
}

async fn build_target_group(moto: &Moto, vpc: &str, service: &str, name: &str, kind: elb::TargetTypeEnum, port: i32) -> String {
    let client = moto.elb();
    let resource = format!("{service}:{port}");
    let tags = [
        ("elbv2.k8s.aws/cluster", "demo"),
        ("service.k8s.aws/stack", service),
        ("service.k8s.aws/resource", &resource),
        ("team", "shop"),
    ];
    let request = client.create_target_group().name(name).vpc_id(vpc).protocol(elb::ProtocolEnum::Tcp).port(port);
    let request = request.target_type(kind).health_check_protocol(elb::ProtocolEnum::Tcp).health_check_port("traffic-port");
    let request = request.health_check_interval_seconds(10).health_check_timeout_seconds(10);
    let request = request.healthy_threshold_count(3).unhealthy_threshold_count(3).set_tags(elb_tags(&tags));
    let groups = request.send().await.unwrap().target_groups.unwrap();
    let arn = groups[0].target_group_arn.clone().unwrap();
    let off = elb::TargetGroupAttribute::builder().key("proxy_protocol_v2.enabled").value("false").build();
    client.modify_target_group_attributes().target_group_arn(&arn).attributes(off).send().await.unwrap();
    arn
}

async fn build_load_balancer(moto: &Moto, subnets: &BTreeMap<&'static str, String>, name: &str, service: &str) -> String {
    let client = moto.elb();
    let tags = [
        ("elbv2.k8s.aws/cluster", "demo"),
        ("service.k8s.aws/stack", service),
        ("service.k8s.aws/resource", "LoadBalancer"),
        ("team", "shop"),
    ];
    let request = client.create_load_balancer().name(name).r#type(elb::LoadBalancerTypeEnum::Network);
    let request = request.scheme(elb::LoadBalancerSchemeEnum::InternetFacing);
    let request = request.subnets(&subnets["public-a"]).subnets(&subnets["public-b"]).set_tags(elb_tags(&tags));
    let arn = request.send().await.unwrap().load_balancers.unwrap()[0].load_balancer_arn.clone().unwrap();
    let cross_zone = elb::LoadBalancerAttribute::builder().key("load_balancing.cross_zone.enabled").value("true").build();
    client.modify_load_balancer_attributes().load_balancer_arn(&arn).attributes(cross_zone).send().await.unwrap();
    arn
}

async fn build(moto: &Moto) -> Built {
    let (vpc, subnets) = build_network(moto).await;
    let node_group = build_node_group(moto, &vpc).await;
    let ec2_client = moto.ec2();
    let mut instances = Vec::new();
    for name in ["public-a", "public-b"] {
        let request = ec2_client.run_instances().image_id("ami-12c6146b").min_count(1).max_count(1);
        let request = request.subnet_id(&subnets[name]).security_group_ids(&node_group);
        instances.push(request.send().await.unwrap().instances.unwrap()[0].instance_id.clone().unwrap());
    }
    for _ in 0..2 {
        ec2_client.allocate_address().domain(ec2::DomainType::Vpc).send().await.unwrap();
    }

    let network = aws_sdk_eks::types::VpcConfigRequest::builder();
    let network = network.subnet_ids(&subnets["public-a"]).subnet_ids(&subnets["public-b"]).build();
    let cluster = moto.eks().create_cluster().name("demo").role_arn("arn:aws:iam::123456789012:role/cluster");
    cluster.resources_vpc_config(network).send().await.unwrap();

    let client = moto.elb();
    let load_balancer = build_load_balancer(moto, &subnets, "k8s-shop-web", "shop/web").await;
    let of_nodes = build_load_balancer(moto, &subnets, "k8s-ops-nodes", "ops/nodes").await;
    // Somebody else's: it counts for the quota, and for nothing else.
    let other = client.create_load_balancer().name("other").r#type(elb::LoadBalancerTypeEnum::Network);
    let other = other.scheme(elb::LoadBalancerSchemeEnum::Internal);
    other.subnets(&subnets["private-a"]).send().await.unwrap();

    let pods = build_target_group(moto, &vpc, "shop/web", "pods", elb::TargetTypeEnum::Ip, 80).await;
    let nodes = build_target_group(moto, &vpc, "ops/nodes", "nodes", elb::TargetTypeEnum::Instance, 443).await;
    for (load_balancer, service, arn, port) in [(&load_balancer, "shop/web", &pods, 80), (&of_nodes, "ops/nodes", &nodes, 443)] {
        let resource = port.to_string();
        let tags = [
            ("elbv2.k8s.aws/cluster", "demo"),
            ("service.k8s.aws/stack", service),
            ("service.k8s.aws/resource", &resource),
            ("team", "shop"),
        ];
        let forward = elb::Action::builder().r#type(elb::ActionTypeEnum::Forward).target_group_arn(arn).build();
        let request = client.create_listener().load_balancer_arn(load_balancer).protocol(elb::ProtocolEnum::Tcp).port(port);
        request.default_actions(forward).set_tags(elb_tags(&tags)).send().await.unwrap();
    }
    let target = |id: &str, port| elb::TargetDescription::builder().id(id).port(port).build();
    let request = client.register_targets().target_group_arn(&pods);
    let request =
        request.targets(target("10.0.0.10", 8080)).targets(target("10.0.1.10", 8080)).targets(target("10.0.1.11", 8080));
    request.send().await.unwrap();
    let request = client.register_targets().target_group_arn(&nodes);
    request.targets(target(&instances[0], 30443)).targets(target(&instances[1], 30443)).send().await.unwrap();
    let target_groups = BTreeMap::from([("pods", pods), ("nodes", nodes)]);
    Built { vpc, subnets, node_group, load_balancer, target_groups, instances }
}

/// The cluster that goes with it. The annotation asks for a tag `env` that AWS does not have: one drift.
fn cluster(built: &Built) -> Cluster {
    let cluster = Cluster::start();
    cluster.controller("demo", &built.vpc, "v2.8.2");
    for (index, instance) in built.instances.iter().enumerate() {
        cluster.node(&format!("node-{index}"), ["us-east-1a", "us-east-1b"][index], instance);
    }
    let annotations = |target_type: &str, tags: &str| {
        json!({
            "service.beta.kubernetes.io/aws-load-balancer-type": "external",
            "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type": target_type,
            "service.beta.kubernetes.io/aws-load-balancer-scheme": "internet-facing",
            "service.beta.kubernetes.io/aws-load-balancer-attributes": "load_balancing.cross_zone.enabled=true",
            "service.beta.kubernetes.io/aws-load-balancer-additional-resource-tags": tags,
        })
    };
    let http = json!([{"name": "http", "port": 80, "targetPort": 8080, "nodePort": 30080, "protocol": "TCP"}]);
    cluster.service("shop", "web", annotations("ip", "team=shop,env=prod"), http);
    let https = json!([{"name": "https", "port": 443, "targetPort": 8443, "nodePort": 30443, "protocol": "TCP"}]);
    cluster.service("ops", "nodes", annotations("instance", "team=shop"), https);
    let pods = [("10.0.0.10", "web-0", "node-0"), ("10.0.1.10", "web-1", "node-1"), ("10.0.1.12", "web-2", "node-1")];
    cluster.endpoints("shop", "web", "http", 8080, &pods);
    cluster.endpoints("ops", "nodes", "https", 8443, &[("10.0.0.20", "nodes-0", "node-0"), ("10.0.1.20", "nodes-1", "node-1")]);
    cluster.binding("shop", "pods", &built.target_groups["pods"], "ip", "web", 80);
    cluster.binding("ops", "nodes", &built.target_groups["nodes"], "instance", "nodes", 443);
    cluster
}

fn target_group_label(arn: &str) -> &str {
    arn.rsplit_once(':').unwrap().1
}

async fn start_daemon(moto: &Moto, cluster: &Cluster) -> Daemon {
    let kubeconfig = cluster.kubeconfig();
    // What was built a moment ago is judged at once.
    let config = kubeconfig.with_file_name("config.yml");
    std::fs::write(&config, "policy: {drift_hold_down_seconds: 0, target_hold_down_seconds: 0}\n").unwrap();
    let mut command = crate::support::exporter();
    command
        .args(["--config.file", &config.display().to_string()])
        .args(["--aws.endpoint-url", &moto.url, "--aws.region", "us-east-1", "--kube.context", "simulated"])
        .args(["--cluster-name", "demo", "--web.listen-address", "127.0.0.1:0", "--log.format", "json"])
        .env("KUBECONFIG", kubeconfig)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test");
    Daemon::start_command(&mut command).await
}

#[tokio::test]
async fn what_was_built_in_moto_is_what_is_shown() {
    let moto = Moto::start().await;
    let built = build(&moto).await;
    let cluster = cluster(&built);
    let daemon = start_daemon(&moto, &cluster).await;
    daemon.ready(Duration::from_secs(120)).await;
    // Ready is about lists and health; attributes, quotas and the rest follow.
    let scrape = eventually("everything was asked once", Duration::from_secs(120), async || {
        let scrape = daemon.scrape().await;
        let up = scrape.family("source_up");
        let drifted = scrape.family("service_drifted_annotations");
        // moto answers for these services' quotas, and for requests for more of them, with an error page.
        let is_of_quotas = |source: &str| ["aws_service_quotas", "aws_quota_requests"].contains(&source);
        let others = up.iter().filter(|(labels, _)| !is_of_quotas(&labels["source"])).all(|(_, up)| *up == 1.0);
        let limits = scrape.family("quota_limit");
        if others && drifted.len() == 2 && !limits.is_empty() { Ok(scrape) } else { Err(format!("{up:?} {drifted:?}")) }
    })
    .await;

    compare_load_balancing(&scrape, &built);
    compare_subnets(&scrape, &moto, &built).await;
    compare_groups_and_quotas(&scrape, &moto, &built).await;
    let drift = "service_annotation_drift{namespace=\"shop\",service=\"web\",\
                 annotation=\"aws-load-balancer-additional-resource-tags\",repair=\"automatic\"}";
    assert_eq!(
        scrape.value("service_drifted_annotations{namespace=\"shop\",service=\"web\"}"),
        Some(1.0),
        "{:?}",
        scrape.family("service_annotation_drift")
    );
    assert_eq!(scrape.value(drift), Some(1.0));
    let shown = scrape.value("service_drifted_annotations{namespace=\"ops\",service=\"nodes\"}");
    assert_eq!(shown, Some(0.0), "{:?}", scrape.family("service_annotation_drift"));
}

fn compare_load_balancing(scrape: &Scrape, built: &Built) {
    let load_balancers = scrape.family("load_balancer_info");
    assert_eq!(load_balancers.len(), 2, "only the cluster's: {load_balancers:?}");
    let labels = load_balancers.keys().find(|labels| labels["arn"] == built.load_balancer).unwrap();
    let expected = [
        ("namespace", "shop"),
        ("service", "web"),
        ("scheme", "internet-facing"),
        ("controller", "aws-load-balancer-controller"),
        ("vpc_id", &built.vpc),
    ];
    for (label, value) in expected {
        assert_eq!(labels[label], value, "{label}");
    }
    let (pods, nodes) = (target_group_label(&built.target_groups["pods"]), target_group_label(&built.target_groups["nodes"]));
    for (group, count) in [(pods, 3.0), (nodes, 2.0)] {
        let states = scrape.family("target_group_targets").into_iter().filter(|(labels, _)| labels["target_group"] == group);
        assert_eq!(states.map(|(_, count)| count).sum::<f64>(), count, "{group}");
        assert_eq!(scrape.value(&format!("target_group_cross_zone_enabled{{target_group=\"{group}\"}}")), Some(1.0));
    }
    // 10.0.1.11 is registered and no pod; 10.0.1.12 is a ready pod and not registered.
    for (group, family, count) in [
        (pods, "expected_targets", 3.0),
        (pods, "missing_targets", 1.0),
        (pods, "unexpected_targets", 1.0),
        (nodes, "expected_targets", 2.0),
        (nodes, "missing_targets", 0.0),
        (nodes, "unexpected_targets", 0.0),
    ] {
        let name = format!("target_group_{family}{{target_group=\"{group}\"}}");
        assert_eq!(scrape.value(&name), Some(count), "{name}");
    }
    assert_eq!(scrape.value(&format!("target_group_endpoints{{target_group=\"{pods}\",condition=\"ready\"}}")), Some(3.0));
    let zone = |zone: &str| {
        ["healthy", "other"]
            .iter()
            .filter_map(|state| {
                scrape.value(&format!(
                    "target_group_zone_targets{{target_group=\"{pods}\",availability_zone=\"{zone}\",state=\"{state}\"}}"
                ))
            })
            .sum::<f64>()
    };
    assert_eq!((zone("us-east-1a"), zone("us-east-1b")), (1.0, 2.0));
}

async fn compare_subnets(scrape: &Scrape, moto: &Moto, built: &Built) {
    let answer = moto.ec2().describe_subnets().send().await.unwrap().subnets.unwrap();
    let of_vpc = answer.iter().filter(|subnet| subnet.vpc_id.as_deref() == Some(&*built.vpc));
    let mut compared = 0;
    for subnet in of_vpc {
        let id = subnet.subnet_id.as_deref().unwrap();
        let free = f64::from(subnet.available_ip_address_count.unwrap());
        assert_eq!(scrape.value(&format!("subnet_available_ip_addresses{{subnet_id=\"{id}\"}}")), Some(free), "{id}");
        let size = if id == built.subnets["public-c"] { 11.0 } else { 251.0 };
        assert_eq!(scrape.value(&format!("subnet_ip_addresses{{subnet_id=\"{id}\"}}")), Some(size), "{id}");
        compared += 1;
    }
    assert_eq!(compared, built.subnets.len());
    assert_eq!(scrape.family("subnet_info").len(), compared, "no other VPC's subnets");
    for (name, scheme, verdict) in [
        ("public-a", "internet-facing", "chosen"),
        ("public-b", "internet-facing", "chosen"),
        ("public-c", "internet-facing", "chosen"),
        ("odd", "internet-facing", "odd_role_tag_value"),
        ("plain", "internet-facing", "no_role_tag"),
        ("private-a", "internal", "chosen"),
        ("public-a", "internal", "no_role_tag"),
    ] {
        let name = format!("subnet_discovery{{subnet_id=\"{}\",scheme=\"{scheme}\",verdict=\"{verdict}\"}}", built.subnets[name]);
        assert_eq!(scrape.value(&name), Some(1.0), "{name}");
    }
    for (scheme, zones) in [("internet-facing", 3.0), ("internal", 1.0)] {
        assert_eq!(scrape.value(&format!("scheme_usable_zones{{scheme=\"{scheme}\"}}")), Some(zones), "{scheme}");
    }
    for (name, route) in [("public-a", "public"), ("private-a", "private"), ("plain", "private")] {
        let name = format!("subnet_route{{subnet_id=\"{}\",route=\"{route}\"}}", built.subnets[name]);
        assert_eq!(scrape.value(&name), Some(1.0), "{name}");
    }
}

async fn compare_groups_and_quotas(scrape: &Scrape, moto: &Moto, built: &Built) {
    let group = &built.node_group;
    for (direction, family, rules) in [("inbound", "ipv4", 24.0), ("inbound", "ipv6", 3.0), ("outbound", "ipv4", 1.0)] {
        let name =
            format!("security_group_rules{{security_group_id=\"{group}\",direction=\"{direction}\",ip_family=\"{family}\"}}");
        assert_eq!(scrape.value(&name), Some(rules), "{name}");
    }
    let role = format!("security_group_role{{security_group_id=\"{group}\",role=\"endpoint\",namespace=\"\",service=\"\"}}");
    assert_eq!(scrape.value(&role), Some(1.0), "{:?}", scrape.family("security_group_role"));

    let limits = moto.elb().describe_account_limits().send().await.unwrap().limits.unwrap();
    let limit = |name: &str| {
        limits.iter().find(|limit| limit.name.as_deref() == Some(name)).unwrap().max.as_deref().unwrap().parse().unwrap()
    };
    for (quota, limit, usage) in
        [("network_load_balancers", limit("network-load-balancers"), 3.0), ("target_groups", limit("target-groups"), 2.0)]
    {
        assert_eq!(scrape.value(&format!("quota_limit{{quota=\"{quota}\"}}")), Some(limit), "{quota}");
        assert_eq!(scrape.value(&format!("quota_limit_assumed{{quota=\"{quota}\"}}")), Some(0.0), "{quota}");
        assert_eq!(scrape.value(&format!("quota_usage{{quota=\"{quota}\"}}")), Some(usage), "{quota}");
    }
    assert_eq!(scrape.value("quota_usage{quota=\"elastic_ips\"}"), Some(2.0));
    assert_eq!(scrape.value("quota_usage{quota=\"subnets_per_vpc\"}"), Some(6.0));
    let groups = moto.ec2().describe_security_groups().send().await.unwrap().security_groups.unwrap().len();
    assert_eq!(scrape.value("quota_usage{quota=\"security_groups\"}"), Some(groups as f64));
    let listeners =
        scrape.family("load_balancer_quota_usage").into_iter().find(|(labels, _)| labels["quota"].starts_with("listeners"));
    assert_eq!(listeners.map(|(_, count)| count), Some(1.0));
}

#[tokio::test]
async fn killing_and_restarting_either_side_heals() {
    let port = free_port();
    let moto = Moto::start_at(port).await;
    let built = build(&moto).await;
    let mut cluster = cluster(&built);
    let daemon = start_daemon(&moto, &cluster).await;
    daemon.ready(Duration::from_secs(120)).await;
    let before = daemon.scrape().await.family("target_group_targets");

    cluster.stop();
    eventually("the lost API server is reported", Duration::from_secs(90), async || {
        let scrape = daemon.scrape().await;
        let up = scrape.value("source_up{source=\"kube_services\"}");
        if up == Some(0.0) { Ok(()) } else { Err(format!("{up:?}")) }
    })
    .await;
    assert_eq!(daemon.scrape().await.family("target_group_targets"), before, "what is known stays");
    cluster.restart();
    eventually("the API server is back", Duration::from_secs(120), async || {
        let up = daemon.scrape().await.value("source_up{source=\"kube_services\"}");
        if up == Some(1.0) { Ok(()) } else { Err(format!("{up:?}")) }
    })
    .await;

    drop(moto);
    eventually("the lost AWS endpoint is reported", Duration::from_secs(120), async || {
        let up = daemon.scrape().await.value("source_up{source=\"aws_load_balancers\"}");
        if up == Some(0.0) { Ok(()) } else { Err(format!("{up:?}")) }
    })
    .await;
    assert_eq!(daemon.scrape().await.family("target_group_targets"), before, "what is known stays");
    // An emulator forgets: the new one is empty, and so must the picture be, once its lists are complete.
    let _moto = Moto::start_at(port).await;
    eventually("the new AWS is seen", Duration::from_secs(150), async || {
        let scrape = daemon.scrape().await;
        let (up, groups) = (scrape.value("source_up{source=\"aws_load_balancers\"}"), scrape.family("target_group_info").len());
        if (up, groups) == (Some(1.0), 0) { Ok(()) } else { Err(format!("{up:?}, {groups} groups")) }
    })
    .await;
}
