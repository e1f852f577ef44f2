//! What breaks, and by which codes is it told?

use eks_nlb_exporter::inventory::history::History;
use eks_nlb_exporter::inventory::kube::StringMap;

use super::*;

/// A Service as shop/web is, made just now and without a load balancer yet, with these annotations of the controller.
fn newcomer<'a>(it: &mut Situation, service: &'a str, pairs: &[(&str, &str)], change: impl FnOnce(&mut Service)) -> &'a str {
    let mut new = (*it.parts.services.get().unwrap()[&name("shop/web")]).clone();
    new.name = name(service);
    new.uid = format!("uid-of-{service}").into();
    (new.created_at, new.changed_at) = (it.now, Some(it.now));
    new.hostnames.clear();
    new.annotations = StringMap::new();
    for (key, value) in [("type", "external"), ("nlb-target-type", "ip")].iter().chain(pairs) {
        new.annotations.insert(format!("{ANNOTATION}{key}").into(), (*value).into());
    }
    change(&mut new);
    all(&mut it.parts.services).insert(new.name.clone(), Arc::new(new));
    service
}

/// A node of Fargate.
fn fargate(it: &mut Situation) -> NodeName {
    let mut node = (*it.parts.nodes.get().unwrap()[&it.nodes()[0]]).clone();
    node.name = "fargate-ip-10-0-255-9.ec2.internal".into();
    node.instance_id = None;
    node.labels.insert("eks.amazonaws.com/compute-type".into(), "fargate".into());
    all(&mut it.parts.nodes).insert(node.name.clone(), Arc::new(node.clone()));
    node.name
}

/// The load balancer of shop/web once more, under another name and with these tags (or its own).
fn second_load_balancer(it: &mut Situation, tags: Option<&[(&str, &str)]>) {
    let known = &it.parts.load_balancers.get().unwrap()[&it.lb("shop/web")];
    let mut new = (**known).clone();
    let own = it.parts.tags[&new.arn].clone();
    new.arn = new.arn.as_str().replace("k8s-shop-web", "k8s-shop-web2").as_str().into();
    new.id = new.arn.load_balancer().unwrap();
    new.dns_name = "k8s-shop-web2.elb.us-east-1.amazonaws.com".into();
    let tags = tags.map_or(own, |pairs| {
        let tags = pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        Part::fetched(tags, it.now)
    });
    Arc::make_mut(&mut it.parts.tags).insert(new.arn.clone(), tags);
    all(&mut it.parts.load_balancers).insert(new.id.clone(), Arc::new(new));
}

/// The Service's own group once more, and no load balancer forwards to it.
fn unused_group(it: &mut Situation, service: &str) {
    let id = it.groups(service)[0].clone();
    let mut old = (*it.parts.target_groups.get().unwrap()[&id]).clone();
    let tags = it.parts.tags[&old.arn].clone();
    old.arn = old.arn.as_str().replace("targetgroup/k8s-", "targetgroup/old-").as_str().into();
    old.id = old.arn.target_group().unwrap();
    old.load_balancers.clear();
    Arc::make_mut(&mut it.parts.tags).insert(old.arn.clone(), tags);
    all(&mut it.parts.target_groups).insert(old.id.clone(), Arc::new(old));
}

/// What is remembered: the annotations as they were before the change, and what became of them.
fn edited(it: &mut Situation, change: impl FnOnce(&mut Situation)) {
    let mut history = History::default();
    let before = it.ago(3600);
    assert!(history.observe(&it.parts, before));
    change(it);
    let then = it.ago(1800);
    assert!(history.observe(&it.parts, then));
    it.parts.history = Part::fetched(history, it.now);
}

/// What is broken, and the codes that tell it.
pub(super) const FAULTS: &[Fault] = &[
    ("no pod passes its health check", &["NLB101"], |it| it.targets("shop/web", unhealthy)),
    ("all pods crash and the group was emptied", &["NLB101"], |it| {
        let then = it.ago(600);
        it.slices("shop/web", |slice| {
            slice.endpoints.iter_mut().for_each(|endpoint| endpoint.ready = false);
            slice.changed_at = Some(then);
        });
        for group in it.groups("shop/web") {
            it.health(&group, Vec::clear);
        }
    }),
    ("one pod fails", &["NLB102"], |it| {
        let one = it.endpoints("shop/web")[0].address.to_string();
        it.targets("shop/web", |target| {
            if *target.id == *one {
                unhealthy(target);
            }
        });
    }),
    ("policy Local: a node with a pod fails", &["NLB102", "NLB103"], |it| {
        let host = it.endpoints("ops/ingress")[0].node.clone().unwrap();
        let instance = it.parts.nodes.get().unwrap()[&host].instance_id.clone().unwrap();
        it.targets("ops/ingress", |target| {
            if *target.id == *instance.as_str() {
                unhealthy(target);
            }
        });
    }),
    ("a zone goes dark", &["NLB102", "NLB103"], |it| {
        it.targets("shop/web", |target| {
            if target.zone == Some("us-east-1a".into()) {
                unhealthy(target);
            }
        });
    }),
    ("targets deregistered by hand", &["NLB104"], |it| {
        for group in it.groups("shop/web") {
            it.health(&group, |targets| drop(targets.pop()));
        }
    }),
    ("a target that is nobody's", &["NLB105"], |it| {
        for group in it.groups("shop/web") {
            it.health(&group, |targets| {
                let mut stray = targets[0].clone();
                stray.id = "10.0.254.254".into();
                targets.push(stray);
            });
        }
    }),
    ("an instance that is no node of the cluster", &["NLB105"], |it| {
        for group in it.groups("shop/cart") {
            it.health(&group, |targets| {
                let mut stray = targets[0].clone();
                stray.id = "i-0ffffffffffffffff".into();
                targets.push(stray);
            });
        }
    }),
    ("a load balancer deleted in the console", &["NLB715"], |it| {
        let lb = it.lb("shop/web");
        all(&mut it.parts.load_balancers).remove(&lb);
        for group in it.groups("shop/web") {
            edit(&mut it.parts.target_groups, &group, |group| group.load_balancers.clear());
            it.health(&group, |targets| targets.iter_mut().for_each(|target| target.state = TargetState::Unused));
        }
    }),
    ("a failed load balancer", &["NLB107"], |it| {
        let lb = it.lb("shop/web");
        edit(&mut it.parts.load_balancers, &lb, |lb| lb.state = LoadBalancerState::Failed);
    }),
    ("a zone's subnets are full", &["NLB201"], |it| {
        it.subnets(|subnet| {
            if subnet.zone.as_str() == "us-east-1a" && subnet.tags.contains_key("kubernetes.io/role/elb") {
                subnet.available_ip_addresses = Some(7);
            }
        });
    }),
    ("all public subnets are full", &["NLB201", "NLB202"], |it| {
        let public = it.subnets_for(Scheme::InternetFacing);
        it.subnets(|subnet| {
            if public.contains(&subnet.id) {
                subnet.available_ip_addresses = Some(7);
            }
        });
    }),
    ("the role tags of one scheme are gone in a zone for a wrong value", &["NLB203"], |it| {
        let one = it.subnets_for(Scheme::Internal)[0].clone();
        edit(&mut it.parts.subnets, &one, |subnet| {
            drop(subnet.tags.insert("kubernetes.io/role/internal-elb".into(), "true".into()));
        });
    }),
    ("a private subnet tagged for public load balancers", &["NLB205"], |it| {
        let one = it.subnets_for(Scheme::Internal)[0].clone();
        edit(&mut it.parts.subnets, &one, |subnet| drop(subnet.tags.insert("kubernetes.io/role/elb".into(), "1".into())));
    }),
    ("a subnet that runs low", &["NLB206"], |it| {
        let one = it.subnets_for(Scheme::Internal)[0].clone();
        edit(&mut it.parts.subnets, &one, |subnet| subnet.available_ip_addresses = Some(12));
    }),
    ("the nodes' group is full", &["NLB301"], |it| it.node_rules(60)),
    ("the nodes' group is full just after the controller restarted", &["NLB301"], |it| {
        let now = it.now;
        let lease = Arc::make_mut(it.parts.leader_lease.value.as_mut().unwrap());
        lease.as_mut().unwrap().acquired_at = Some(now);
        it.node_rules(60);
    }),
    ("the nodes' group is nearly full", &["NLB302"], |it| it.node_rules(55)),
    ("more rules than AWS permits", &["NLB303"], |it| it.node_rules(61)),
    ("a prefix list of unknown size", &["NLB304"], |it| {
        let id = it.node_group();
        edit(&mut it.parts.security_groups, &id, |group: &mut SecurityGroup| {
            let peer = Peer::PrefixList("pl-0".into());
            group.inbound.push(Rule { protocol: "tcp".into(), ports: Some((1, 1)), peer, description: None });
        });
    }),
    ("no load balancer left", &["NLB401"], |it| it.limit("network_load_balancers", 12.0, None)),
    ("two load balancers left", &["NLB402"], |it| it.limit("network_load_balancers", 14.0, None)),
    ("no target group left", &["NLB401"], |it| it.limit("target_groups", 18.0, None)),
    ("a guessed limit pages nobody", &["NLB403"], |it| it.limit("network_load_balancers", 12.0, Some(QuotaOrigin::Assumed))),
    ("more load balancers than AWS permits", &["NLB404"], |it| it.limit("network_load_balancers", 11.0, None)),
    ("a VPC that another account shares with this one", &["NLB405"], |it| {
        it.subnets(|subnet| subnet.owner_id = "210987654321".into());
    }),
    ("an attribute changed in the console", &["NLB501"], |it| {
        let lb = it.lb("shop/api");
        let part = Arc::make_mut(&mut it.parts.load_balancer_attributes).get_mut(&lb).unwrap();
        Arc::make_mut(part.value.as_mut().unwrap()).insert("load_balancing.cross_zone.enabled".into(), "false".into());
    }),
    ("a health check changed in the console", &["NLB501"], |it| {
        for group in it.groups("shop/web") {
            edit(&mut it.parts.target_groups, &group, |group| group.health_check.interval_seconds = 30);
        }
    }),
    ("a security group was added in the console", &["NLB501"], |it| {
        let (lb, node_group) = (it.lb("shop/web"), it.node_group());
        edit(&mut it.parts.load_balancers, &lb, |lb| {
            lb.security_groups.insert(node_group);
        });
    }),
    ("a tag was taken away", &["NLB501"], |it| {
        let lb = it.lb("shop/api");
        let arn = it.parts.load_balancers.get().unwrap()[&lb].arn.clone();
        let part = Arc::make_mut(&mut it.parts.tags).get_mut(&arn).unwrap();
        Arc::make_mut(part.value.as_mut().unwrap()).remove("team");
    }),
    ("a name that comes too late", &["NLB502"], |it| it.annotate("shop/web", "name", "web")),
    ("a Service that cannot be built", &["NLB510"], |it| {
        it.event(EventObject::Service, &name("shop/web"), "FailedBuildModel", "Failed build model due to unknown scheme: x");
    }),
    ("a Service that cannot be built, as its annotation lets expect: one trouble, told once", &["NLB510"], |it| {
        it.annotate("shop/web", "scheme", "internet-faceing");
        it.event(
            EventObject::Service,
            &name("shop/web"),
            "FailedBuildModel",
            "Failed build model due to unknown scheme: internet-faceing",
        );
    }),
    ("the same before the controller has said so", &["NLB604"], |it| it.annotate("shop/web", "scheme", "internet-faceing")),
    ("a binding that cannot be reconciled", &["NLB511"], |it| {
        let binding = it.parts.target_group_bindings.get().unwrap().keys().next().unwrap().clone();
        it.event(EventObject::TargetGroupBinding, &binding, "FailedReconcile", "AccessDenied: no");
    }),
    ("AWS refused for a quota", &["NLB512"], |it| {
        it.event(EventObject::Service, &name("shop/web"), "FailedDeployModel", "TooManyLoadBalancers: no more");
    }),
    ("a Service that nobody owns", &["NLB701"], |it| {
        let mut service = (*it.parts.services.get().unwrap()[&name("shop/web")]).clone();
        service.name = name("shop/orphan");
        service.annotations.remove(&*format!("{ANNOTATION}nlb-target-type"));
        service.hostnames.clear();
        all(&mut it.parts.services).insert(service.name.clone(), Arc::new(service));
    }),
    ("an in-tree Service", &["NLB702"], |it| {
        let mut service = (*it.parts.services.get().unwrap()[&name("shop/web")]).clone();
        service.name = name("shop/old");
        service.annotations = [(format!("{ANNOTATION}type").into(), "nlb".into())].into();
        all(&mut it.parts.services).insert(service.name.clone(), Arc::new(service));
    }),
    ("an in-tree Service that gets no load balancer", &["NLB510", "NLB702"], |it| {
        let mut service = (*it.parts.services.get().unwrap()[&name("shop/web")]).clone();
        service.name = name("shop/old");
        service.annotations = [(format!("{ANNOTATION}type").into(), "nlb".into())].into();
        service.hostnames.clear();
        all(&mut it.parts.services).insert(service.name.clone(), Arc::new(service));
        let text = "Error syncing load balancer: failed to ensure load balancer: could not find any suitable subnets for creating the ELB";
        it.event(EventObject::Service, &name("shop/old"), "SyncLoadBalancerFailed", text);
    }),
    ("no controller", &["NLB710"], |it| {
        all(&mut it.parts.controllers).clear();
        *Arc::make_mut(it.parts.leader_lease.value.as_mut().unwrap()) = None;
    }),
    ("an old controller", &["NLB501", "NLB603", "NLB711"], |it| {
        all(&mut it.parts.controllers).values_mut().for_each(|it| Arc::make_mut(it).version = Some(Version::new(2, 7, 1)));
    }),
    ("a source that fails", &["NLB901"], |it| {
        let then = it.ago(400);
        it.source(source::NETWORK_INTERFACES, |status| {
            (status.last_success, status.failure) = (Some(then), Some(failure(FailureCategory::Server)));
        });
    }),
    ("a permission that is missing", &["NLB902"], |it| {
        it.source(source::ADDRESSES, |status| status.failure = Some(failure(FailureCategory::Denied)));
    }),
    ("a source that falls silent", &["NLB903"], |it| {
        let then = it.ago(1000);
        it.source(source::SUBNETS, |status| status.last_success = Some(then));
    }),
    ("resources that could not be read", &["NLB904"], |it| it.source(source::TAGS, |status| status.missing = 1)),
    ("a Service that could not be read: what is its own is nobody's, and nobody is accused", &["NLB904"], |it| {
        all(&mut it.parts.services).remove(&name("shop/web"));
        it.source(source::SERVICES, |status| status.missing = 1);
    }),
    ("a failing zone behind cross-zone is no dark zone", &["NLB102"], |it| {
        it.targets("shop/api", |target| {
            if target.zone == Some("us-east-1a".into()) {
                unhealthy(target);
            }
        });
    }),
    ("every pod stands in a zone that the load balancer is not enabled in", &["NLB101"], |it| {
        it.targets("shop/web", |target| set(target, TargetState::Unused));
    }),
    ("some pods stand in a zone that the load balancer is not enabled in", &["NLB102"], |it| {
        let lb = it.lb("shop/web");
        edit(&mut it.parts.load_balancers, &lb, |lb| lb.zones.retain(|zone| zone.zone.as_str() != "us-east-1a"));
        it.targets("shop/web", |target| {
            if target.zone == Some("us-east-1a".into()) {
                set(target, TargetState::Unused);
            }
        });
    }),
    ("the cluster's tag on subnets is another's", &["NLB202"], |it| {
        it.subnets(|subnet| {
            subnet.tags.remove("kubernetes.io/cluster/demo");
            subnet.tags.insert("kubernetes.io/cluster-name".into(), "demo".into());
        });
    }),
    ("IPv6 rules fill the nodes' group", &["NLB301"], |it| {
        let id = it.node_group();
        edit(&mut it.parts.security_groups, &id, |group: &mut SecurityGroup| {
            let used = group.inbound.len();
            for number in 0..60 - used {
                let port = i32::try_from(number).unwrap();
                let peer = Peer::Cidr("2001:db8::/32".parse().unwrap());
                group.inbound.push(Rule { protocol: "tcp".into(), ports: Some((port, port)), peer, description: None });
            }
        });
    }),
    ("a binding deleted by hand and its targets failing", &["NLB102"], |it| {
        all(&mut it.parts.target_group_bindings).retain(|_, binding| binding.service != name("shop/web"));
        let one = it.endpoints("shop/web")[0].address.to_string();
        it.targets("shop/web", |target| {
            if *target.id == *one {
                unhealthy(target);
            }
        });
    }),
    ("a lost node: not ready for ten minutes, and nobody deregisters it", &["NLB105"], |it| {
        let node = it.nodes()[0].clone();
        let then = it.ago(600);
        it.node(&node, |node| (node.ready, node.ready_changed_at) = (ConditionStatus::Unknown, Some(then)));
    }),
    ("access logs said to be off while they are on", &["NLB606", "NLB607"], |it| {
        it.annotate("shop/web", "access-log-enabled", "false");
        let lb = it.lb("shop/web");
        let part = Arc::make_mut(&mut it.parts.load_balancer_attributes).get_mut(&lb).unwrap();
        Arc::make_mut(part.value.as_mut().unwrap()).insert("access_logs.s3.enabled".into(), "true".into());
    }),
    ("a boolean that is written with a capital works all the same", &["NLB617"], |it| {
        it.annotate("shop/api", "attributes", "load_balancing.cross_zone.enabled=True");
    }),
    ("a name that no controller reads", &["NLB601"], |it| it.annotate("shop/web", "shceme", "internal")),
    ("a Service that stays in deletion", &["NLB709"], |it| {
        let then = it.ago(1800);
        it.service("shop/web", |service| service.deleted_at = Some(then));
    }),
    ("TCP and UDP on one port: one listener, one group", &["NLB614"], |it| {
        it.service("shop/web", |service| {
            let mut second = service.ports[0].clone();
            second.protocol = eks_nlb_exporter::inventory::kube::Protocol::Udp;
            second.name = "udp".into();
            service.ports.push(second);
        });
        let frontend = it.frontend_group("shop/web");
        edit(&mut it.parts.security_groups, &frontend, |group: &mut SecurityGroup| {
            let mut second = group.inbound[0].clone();
            second.protocol = "udp".into();
            group.inbound.push(second);
        });
    }),
    ("a deleted Service whose load balancer is still there", &["NLB704"], |it| {
        all(&mut it.parts.services).remove(&name("shop/web"));
        all(&mut it.parts.endpoint_slices).retain(|_, slice| slice.service != name("shop/web"));
        all(&mut it.parts.target_group_bindings).retain(|_, binding| binding.service != name("shop/web"));
        for group in it.groups("shop/web") {
            it.health(&group, Vec::clear);
        }
    }),
    ("several clusters in the VPC, and no subnet carries a cluster tag", &["NLB204"], |it| {
        it.subnets(|subnet| subnet.tags.retain(|key, _| !key.starts_with("kubernetes.io/cluster/")));
        let theirs = [("elbv2.k8s.aws/cluster", "other"), ("service.k8s.aws/stack", "shop/web")];
        second_load_balancer(it, Some(&theirs));
    }),
    ("internal load balancers have public subnets only", &["NLB207"], |it| {
        let (public, private) = (it.subnets_for(Scheme::InternetFacing), it.subnets_for(Scheme::Internal));
        it.subnets(|subnet| {
            if private.contains(&subnet.id) {
                subnet.tags.remove("kubernetes.io/role/internal-elb");
            } else if public.contains(&subnet.id) {
                subnet.tags.insert("kubernetes.io/role/internal-elb".into(), "1".into());
            }
        });
    }),
    ("an annotation edited after creation, to what it was by default", &["NLB503"], |it| {
        edited(it, |it| it.annotate("shop/web", "healthcheck-interval", "10"));
    }),
    ("a name edited in vain: AWS differs, which says it all", &["NLB502", "NLB503"], |it| {
        edited(it, |it| it.annotate("shop/web", "name", "web"));
    }),
    ("security groups given to a load balancer that was born without", &["NLB504", "NLB607"], |it| {
        let lb = it.lb("shop/web");
        edit(&mut it.parts.load_balancers, &lb, |lb| lb.security_groups.clear());
        edited(it, |it| it.annotate("shop/web", "security-groups", "sg-0123"));
    }),
    ("the memory of annotations was lost", &["NLB505"], |it| {
        it.parts.history = Part::fetched(History::anew(it.now, "The file is damaged"), it.now);
    }),
    ("a name like the controller's that nobody knows", &["NLB602"], |it| it.annotate("shop/web", "quantum-entanglement", "on")),
    ("a value for which the Service is refused", &["NLB604"], |it| {
        newcomer(it, "shop/new", &[("scheme", "public")], |_| {});
    }),
    ("a value that means something else", &["NLB605"], |it| {
        it.annotate("shop/web", "enable-icmp-for-path-mtu-discovery", "true");
    }),
    ("an annotation for Classic Load Balancers", &["NLB608"], |it| it.annotate("shop/web", "connection-idle-timeout", "60")),
    ("Elastic IPs for an internal load balancer", &["NLB609"], |it| {
        newcomer(it, "shop/new", &[("scheme", "internal"), ("eip-allocations", "eipalloc-1")], |_| {});
    }),
    ("an IPv6 Service without dualstack", &["NLB610"], |it| {
        newcomer(it, "shop/new", &[], |service| service.ipv6 = true);
    }),
    ("a pod on Fargate behind instance targets", &["NLB611"], |it| {
        let node = fargate(it);
        it.slices("shop/cart", |slice| slice.endpoints[0].node = Some(node.clone()));
    }),
    ("pods on Fargate behind a public load balancer to be", &["NLB612"], |it| {
        let node = fargate(it);
        let service = newcomer(it, "shop/new", &[("scheme", "internet-facing")], |_| {});
        let mut slice = (*it.snapshot().endpoint_slices[&name("shop/web")][0]).clone();
        (slice.name, slice.service) = (name("shop/new-1"), name(service));
        slice.endpoints.truncate(1);
        slice.endpoints[0].node = Some(node);
        all(&mut it.parts.endpoint_slices).insert(slice.name.clone(), Arc::new(slice));
    }),
    ("ip targets without the VPC CNI", &["NLB613"], |it| {
        it.parts.vpc_cni = Part::fetched(false, it.now);
        let service = newcomer(it, "shop/new", &[], |_| {});
        let mut slice = (*it.snapshot().endpoint_slices[&name("shop/web")][0]).clone();
        (slice.name, slice.service) = (name("shop/new-x"), name(service));
        // Addresses of an overlay.
        slice.endpoints.iter_mut().zip(1..).for_each(|(endpoint, last)| endpoint.address = IpAddr::from([100, 64, 0, last]));
        all(&mut it.parts.endpoint_slices).insert(slice.name.clone(), Arc::new(slice));
    }),
    ("two Services of one name", &["NLB615"], |it| {
        newcomer(it, "shop/new", &[("name", "web")], |_| {});
        newcomer(it, "shop/newer", &[("name", "web")], |_| {});
    }),
    ("more back ends than Windows supports", &["NLB616"], |it| {
        let node = it.nodes()[0].clone();
        it.node(&node, |node| drop(node.labels.insert("kubernetes.io/os".into(), "windows".into())));
        let pod = it.endpoints("shop/cart")[0].clone();
        it.slices("shop/cart", |slice| {
            slice.endpoints.extend((0..1_025u16).map(|number| {
                let [high, low] = number.to_be_bytes();
                let address = IpAddr::from([10, 0, 200 + high, low]);
                Endpoint { address, node: Some(node.clone()), pod: Some(format!("cart-{number}").into()), ..pod.clone() }
            }));
        });
    }),
    ("an annotation that Auto Mode does not support", &["NLB618"], |it| {
        newcomer(it, "shop/new", &[("proxy-protocol", "*")], |service| {
            service.load_balancer_class = Some("eks.amazonaws.com/nlb".into());
        });
    }),
    ("a ClusterIP Service with instance targets", &["NLB619"], |it| {
        newcomer(it, "shop/new", &[("nlb-target-type", "instance")], |service| service.service_type = ServiceType::ClusterIp);
    }),
    ("two load balancers of one Service that stay", &["NLB703"], |it| second_load_balancer(it, None)),
    ("a deleted Service whose load balancer was deleted by hand", &["NLB705", "NLB706"], |it| {
        let (lb, groups) = (it.lb("shop/web"), it.groups("shop/web"));
        all(&mut it.parts.load_balancers).remove(&lb);
        all(&mut it.parts.services).remove(&name("shop/web"));
        all(&mut it.parts.endpoint_slices).retain(|_, slice| slice.service != name("shop/web"));
        all(&mut it.parts.target_group_bindings).retain(|_, binding| binding.service != name("shop/web"));
        for group in groups {
            edit(&mut it.parts.target_groups, &group, |group| group.load_balancers.clear());
            it.health(&group, Vec::clear);
        }
    }),
    ("rules of an in-tree load balancer that is gone", &["NLB707"], |it| {
        let id = it.node_group();
        edit(&mut it.parts.security_groups, &id, |group: &mut SecurityGroup| {
            for mark in ["client", "health"] {
                group.inbound.push(Rule {
                    protocol: "tcp".into(),
                    ports: Some((30_080, 30_080)),
                    peer: Peer::Cidr("198.51.100.0/24".parse().unwrap()),
                    description: Some(format!("kubernetes.io/rule/nlb/{mark}=a0123456789abcdef").into()),
                });
            }
        });
    }),
    ("a target group that a replacement left", &["NLB708"], |it| unused_group(it, "shop/web")),
    ("two controllers", &["NLB712"], |it| {
        let controllers = all(&mut it.parts.controllers);
        let mut second = (**controllers.values().next().unwrap()).clone();
        second.name = name("ops/aws-load-balancer-controller");
        controllers.insert(second.name.clone(), Arc::new(second));
    }),
    ("a controller that does not run", &["NLB713"], |it| {
        let then = it.ago(600);
        all(&mut it.parts.controllers).values_mut().for_each(|it| Arc::make_mut(it).available_replicas = Some(0));
        Arc::make_mut(it.parts.leader_lease.value.as_mut().unwrap()).as_mut().unwrap().renewed_at = Some(then);
    }),
    ("a Service that waits without a reason", &["NLB714"], |it| {
        let then = it.ago(3600);
        newcomer(it, "shop/new", &[], |service| (service.created_at, service.changed_at) = (then, Some(then)));
    }),
    ("a mute that has run out", &["NLB906"], |it| {
        it.service("shop/web", |service| {
            service.annotations.insert("eks-nlb-exporter.io/mute".into(), "all until 2020-01-01: a load test".into());
        });
    }),
];
