//! What breaks, and by which codes is it told?

use super::*;

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
];
