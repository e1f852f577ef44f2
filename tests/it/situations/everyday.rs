//! What happens in clusters every day?

use super::*;

/// What happens every day and must not be told.
pub(super) const EVERYDAY: &[Case] = &[
    ("a rollout: a new pod is not ready and its target initial, an old one terminates and drains", |it| {
        let now = it.now;
        let mut new = it.endpoints("shop/web")[0].clone();
        new.address = IpAddr::from([10, 0, 255, 1]);
        new.ready = false;
        it.slices("shop/web", |slice| {
            (slice.endpoints[0].ready, slice.endpoints[0].terminating) = (false, true);
            slice.endpoints.push(new.clone());
            slice.changed_at = Some(now);
        });
        let old = it.endpoints("shop/web")[0].address.to_string();
        for group in it.groups("shop/web") {
            it.health(&group, |targets| {
                let mut fresh = targets[0].clone();
                targets.iter_mut().filter(|target| *target.id == *old).for_each(|target| set(target, TargetState::Draining));
                fresh.id = "10.0.255.1".into();
                set(&mut fresh, TargetState::Initial);
                targets.push(fresh);
            });
        }
    }),
    ("a rollout with readiness gates that takes an hour: pods wait for their targets", |it| {
        let then = it.ago(3600);
        it.slices("shop/web", |slice| {
            slice.endpoints[0].ready = false;
            slice.changed_at = Some(then);
        });
        let waiting = it.endpoints("shop/web")[0].address.to_string();
        it.targets("shop/web", |target| {
            if *target.id == *waiting {
                set(target, TargetState::Initial);
            }
        });
    }),
    ("pods that became ready after the sample", |it| {
        let (now, then) = (it.now, it.ago(10));
        let mut new = it.endpoints("shop/web")[0].clone();
        new.address = IpAddr::from([10, 0, 255, 1]);
        it.slices("shop/web", |slice| {
            slice.endpoints.push(new.clone());
            slice.changed_at = Some(now);
        });
        it.sampled("shop/web", then);
    }),
    ("a node that the autoscaler takes away: tainted, its targets drain", |it| {
        let node = it.nodes()[0].clone();
        let now = it.now;
        it.node(&node, |node| {
            node.taints.insert("ToBeDeletedByClusterAutoscaler".into());
            node.changed_at = Some(now);
        });
        it.leave(&node, TargetState::Draining, true);
    }),
    ("a spot interruption: tainted, its targets not yet deregistered and failing", |it| {
        let node = it.nodes()[0].clone();
        let now = it.now;
        it.node(&node, |node| {
            node.taints.insert("karpenter.sh/disrupted".into());
            node.changed_at = Some(now);
        });
        it.leave(&node, TargetState::Unhealthy, true);
    }),
    ("a node that went: its instances drain in AWS", |it| {
        let node = it.nodes()[0].clone();
        it.leave(&node, TargetState::Draining, true);
        all(&mut it.parts.nodes).remove(&node);
        for slice in all(&mut it.parts.endpoint_slices).values_mut() {
            Arc::make_mut(slice).endpoints.retain(|endpoint| endpoint.node.as_ref() != Some(&node));
        }
    }),
    ("a node that went a moment ago: its instance is still registered, and terminated", |it| {
        let node = it.nodes()[0].clone();
        it.leave(&node, TargetState::Draining, true);
        let instance = it.parts.nodes.get().unwrap()[&node].instance_id.clone().unwrap();
        for service in ["ops/ingress", "shop/cart"] {
            it.targets(service, |target| {
                if *target.id == *instance.as_str() {
                    target.state = TargetState::Unused;
                    target.reason = Some(TargetReason::InvalidState);
                }
            });
        }
        all(&mut it.parts.nodes).remove(&node);
        for slice in all(&mut it.parts.endpoint_slices).values_mut() {
            Arc::make_mut(slice).endpoints.retain(|endpoint| endpoint.node.as_ref() != Some(&node));
        }
    }),
    ("a new node that is ready and not yet registered", |it| {
        let now = it.now;
        let mut node = (*it.parts.nodes.get().unwrap()[&it.nodes()[0]]).clone();
        node.name = "ip-10-0-255-9.ec2.internal".into();
        node.instance_id = Some("i-00000000000000009".into());
        (node.changed_at, node.ready_changed_at) = (Some(now), Some(now));
        all(&mut it.parts.nodes).insert(node.name.clone(), Arc::new(node));
    }),
    ("scaled to zero, the last targets draining", |it| {
        it.slices("shop/web", |slice| slice.endpoints.clear());
        it.targets("shop/web", |target| set(target, TargetState::Draining));
    }),
    ("scaled to zero since yesterday", |it| {
        it.slices("shop/web", |slice| slice.endpoints.clear());
        for group in it.groups("shop/web") {
            it.health(&group, Vec::clear);
        }
        it.slices("shop/cart", |slice| slice.endpoints.clear());
        it.targets("shop/cart", unhealthy);
    }),
    ("policy Local: a pod moved to another node just now", |it| {
        let now = it.now;
        let hosts: BTreeSet<_> = it.endpoints("ops/ingress").into_iter().filter_map(|endpoint| endpoint.node).collect();
        let other = it.nodes().into_iter().find(|node| !hosts.contains(node)).unwrap();
        it.slices("ops/ingress", |slice| {
            slice.endpoints[0].node = Some(other.clone());
            slice.changed_at = Some(now);
        });
    }),
    ("weight 0: the blue half is switched off and failing", |it| {
        let lb = it.lb("shop/web");
        let part = Arc::make_mut(&mut it.parts.listeners).get_mut(&lb).unwrap();
        let listeners = Arc::make_mut(part.value.as_mut().unwrap());
        listeners.iter_mut().flat_map(|listener| &mut listener.forwards).for_each(|to| to.weight = 0);
        it.targets("shop/web", unhealthy);
    }),
    ("a zone shifted away on purpose", |it| {
        it.targets("shop/web", |target| {
            if target.zone == Some(ZoneName::from("us-east-1a")) {
                unhealthy(target);
                target.zonal_shift = true;
            }
        });
    }),
    ("no pod in one zone", |it| {
        it.slices("shop/web", |slice| slice.endpoints.retain(|endpoint| endpoint.zone != Some("us-east-1a".into())));
        for group in it.groups("shop/web") {
            it.health(&group, |targets| targets.retain(|target| target.zone != Some("us-east-1a".into())));
        }
    }),
    ("the controller restarted: rules pile up below the limit", |it| {
        let then = it.ago(600);
        let lease = Arc::make_mut(it.parts.leader_lease.value.as_mut().unwrap());
        lease.as_mut().unwrap().acquired_at = Some(then);
        it.node_rules(58);
    }),
    ("frontend groups and outbound rules at the limit", |it| {
        let rules = |port: i32, count: u8| {
            (0..count).map(move |number| Rule {
                protocol: "tcp".into(),
                ports: Some((port, port)),
                peer: Peer::Cidr(format!("198.51.{number}.0/24").parse().unwrap()),
                description: None,
            })
        };
        // Two ports, and as many networks of clients as the group has room for.
        let frontend = it.frontend_group("shop/web");
        it.service("shop/web", |service| {
            service.source_ranges = (0..30).map(|number| format!("198.51.{number}.0/24").into()).collect();
        });
        edit(&mut it.parts.security_groups, &frontend, |group: &mut SecurityGroup| {
            group.inbound = rules(80, 30).chain(rules(443, 30)).collect();
        });
        for group in all(&mut it.parts.security_groups).values_mut() {
            Arc::make_mut(group).outbound = rules(443, 60).collect();
        }
    }),
    ("every Elastic IP in use", |it| {
        let own = it.parts.addresses.get().unwrap().values().filter(|address| !address.service_managed).count();
        it.limit("elastic_ips", own as f64, None);
    }),
    ("subnets of a /28 for the control plane", |it| {
        let template = (**it.parts.subnets.get().unwrap().values().next().unwrap()).clone();
        for (number, zone) in ["us-east-1a", "us-east-1b"].into_iter().enumerate() {
            let mut subnet = template.clone();
            subnet.id = format!("subnet-0000000000000000{number}").as_str().into();
            subnet.zone = zone.into();
            subnet.cidr = Some(format!("10.0.250.{}/28", 16 * number).parse().unwrap());
            subnet.available_ip_addresses = Some(3);
            subnet.tags.retain(|key, _| !key.starts_with("kubernetes.io/role"));
            all(&mut it.parts.subnets).insert(subnet.id.clone(), Arc::new(subnet));
        }
    }),
    ("an IPv6-only subnet", |it| {
        let mut subnet = (**it.parts.subnets.get().unwrap().values().next().unwrap()).clone();
        subnet.id = "subnet-00000000000000006".into();
        (subnet.cidr, subnet.available_ip_addresses) = (None, None);
        subnet.ipv6_cidrs = vec!["2001:db8::/64".parse().unwrap()];
        subnet.tags.retain(|key, _| !key.starts_with("kubernetes.io/role"));
        all(&mut it.parts.subnets).insert(subnet.id.clone(), Arc::new(subnet));
    }),
    ("subnets behind a firewall's endpoints, tagged for public load balancers", |it| {
        for table in all(&mut it.parts.route_tables).values_mut() {
            let table = Arc::make_mut(table);
            if table.internet_gateway {
                (table.internet_gateway, table.firewall_endpoint) = (false, true);
            }
        }
    }),
    ("tags of a new load balancer and its groups are not known yet", |it| {
        let lb = it.lb("shop/web");
        let mut arns = vec![it.parts.load_balancers.get().unwrap()[&lb].arn.clone()];
        arns.extend(it.groups("shop/web").iter().map(|id| it.parts.target_groups.get().unwrap()[id].arn.clone()));
        arns.iter().for_each(|arn| drop(Arc::make_mut(&mut it.parts.tags).remove(arn)));
    }),
    ("a Service that was just made has no load balancer yet", |it| {
        let mut service = (*it.parts.services.get().unwrap()[&name("shop/web")]).clone();
        service.name = name("shop/new");
        (service.created_at, service.changed_at) = (it.now, Some(it.now));
        service.hostnames.clear();
        all(&mut it.parts.services).insert(service.name.clone(), Arc::new(service));
    }),
    ("a load balancer that is being made: its targets are initial", |it| {
        let lb = it.lb("shop/web");
        let then = it.ago(60);
        edit(&mut it.parts.load_balancers, &lb, |lb| {
            lb.state = LoadBalancerState::Provisioning;
            lb.created_at = Some(then);
        });
        it.service("shop/web", |service| (service.created_at, service.changed_at) = (then, Some(then)));
        it.targets("shop/web", |target| set(target, TargetState::Initial));
    }),
    ("a Service that is being deleted: its targets drain and fail", |it| {
        let now = it.now;
        it.service("shop/web", |service| service.deleted_at = Some(now));
        it.targets("shop/web", unhealthy);
    }),
    ("a load balancer born without security groups", |it| {
        let lb = it.lb("shop/web");
        edit(&mut it.parts.load_balancers, &lb, |lb| lb.security_groups.clear());
    }),
    ("a dual-stack Service with IPv6 targets", |it| {
        let lb = it.lb("shop/web");
        edit(&mut it.parts.load_balancers, &lb, |lb| lb.ip_address_type = IpAddressType::Dualstack);
        it.annotate("shop/web", "ip-address-type", "dualstack");
        it.service("shop/web", |service| service.ipv6 = true);
        it.subnets(|subnet| subnet.ipv6_cidrs = vec!["2001:db8::/56".parse().unwrap()]);
        let frontend = it.frontend_group("shop/web");
        edit(&mut it.parts.security_groups, &frontend, |group: &mut SecurityGroup| {
            let mut ipv6 = group.inbound.clone();
            ipv6.iter_mut().for_each(|rule| rule.peer = Peer::Cidr("::/0".parse().unwrap()));
            group.inbound.extend(ipv6);
        });
        let v6 = |address: &str| format!("2001:db8::{}", address.replace('.', ":"));
        let mut slice = {
            let slices = &it.snapshot().endpoint_slices[&name("shop/web")];
            (*slices[0]).clone()
        };
        slice.name = name("shop/web-v6");
        slice.endpoints = it.endpoints("shop/web");
        for endpoint in &mut slice.endpoints {
            endpoint.address = v6(&endpoint.address.to_string()).parse().unwrap();
        }
        all(&mut it.parts.endpoint_slices).insert(slice.name.clone(), Arc::new(slice));
        for group in it.groups("shop/web") {
            edit(&mut it.parts.target_groups, &group, |group| group.ip_family = IpFamily::Ipv6);
            it.health(&group, |targets| targets.iter_mut().for_each(|target| target.id = v6(&target.id).into()));
        }
    }),
    ("an annotation written a minute ago", |it| {
        let then = it.ago(60);
        it.annotate("shop/web", "attributes", "deletion_protection.enabled=true");
        it.service("shop/web", |service| (service.changed_at, service.annotations_written_at) = (Some(then), Some(then)));
    }),
    ("one call in many was throttled", |it| {
        let failure = failure(FailureCategory::Throttled);
        it.source(source::TARGET_HEALTH, |status| status.failure = Some(failure));
    }),
    ("a warning that a later success cleared", |it| {
        it.event(EventObject::Service, &name("shop/web"), "FailedDeployModel", "Throttling: Rate exceeded");
        let now = it.now;
        let states = Arc::make_mut(it.parts.reconciles.value.as_mut().unwrap());
        states.get_mut(&EventKey { kind: EventObject::Service, name: name("shop/web") }).unwrap().record_success(now);
    }),
    ("health that was never asked for", |it| it.parts.target_health = Arc::default()),
    ("nodes that are not known", |it| it.parts.nodes = Part::default()),
    ("Services and endpoints that are not known", |it| {
        it.parts.services = Part::default();
        it.parts.endpoint_slices = Part::default();
    }),
    ("a controller that is not known", |it| {
        it.parts.controllers = Part::default();
        it.parts.leader_lease = Part::default();
    }),
    ("a load balancer that is being replaced: the old one drains", |it| {
        let old = it.lb("shop/web");
        let mut new = (*it.parts.load_balancers.get().unwrap()[&old]).clone();
        new.arn = new.arn.as_str().replace("k8s-shop-web", "k8s-shop-web2").as_str().into();
        new.id = new.arn.load_balancer().unwrap();
        (new.state, new.scheme) = (LoadBalancerState::Provisioning, Scheme::Internal);
        new.created_at = Some(it.ago(60));
        let tags = it.parts.tags[&it.parts.load_balancers.get().unwrap()[&old].arn].clone();
        Arc::make_mut(&mut it.parts.tags).insert(new.arn.clone(), tags);
        all(&mut it.parts.load_balancers).insert(new.id.clone(), Arc::new(new));
    }),
    ("pods on Fargate", |it| {
        let mut node = (*it.parts.nodes.get().unwrap()[&it.nodes()[0]]).clone();
        node.name = "fargate-ip-10-0-255-9.ec2.internal".into();
        node.instance_id = None;
        node.labels.insert("eks.amazonaws.com/compute-type".into(), "fargate".into());
        let name = node.name.clone();
        all(&mut it.parts.nodes).insert(name.clone(), Arc::new(node));
        it.slices("shop/web", |slice| slice.endpoints[0].node = Some(name.clone()));
    }),
    ("health checks switched off", |it| {
        it.targets("shop/web", |target| {
            (target.state, target.reason) = (TargetState::Unavailable, Some(TargetReason::HealthCheckDisabled));
        });
    }),
    ("a state that AWS invented yesterday", |it| it.targets("shop/web", |target| set(target, TargetState::Other))),
    ("a node lost a minute ago: its pods are not ready, its targets fail", |it| {
        let node = it.nodes()[0].clone();
        let then = it.ago(60);
        it.node(&node, |node| {
            (node.ready, node.ready_changed_at, node.changed_at) = (ConditionStatus::Unknown, Some(then), Some(then));
        });
        it.leave(&node, TargetState::Unhealthy, false);
        for slice in all(&mut it.parts.endpoint_slices).values_mut() {
            let slice = Arc::make_mut(slice);
            slice.changed_at = Some(then);
            slice.endpoints.iter_mut().filter(|it| it.node.as_ref() == Some(&node)).for_each(|it| it.ready = false);
        }
    }),
    ("half of the nodes replaced: the new ones are initial", |it| {
        let now = it.now;
        for node in it.nodes().into_iter().take(3) {
            it.node(&node, |node| (node.changed_at, node.ready_changed_at) = (Some(now), Some(now)));
            it.leave(&node, TargetState::Initial, false);
        }
    }),
    ("a cluster for internal load balancers only, without an internet gateway", |it| {
        for service in ["shop/web", "ops/ingress", "media/stream", "web/edge"] {
            all(&mut it.parts.services).remove(&name(service));
            let (lb, frontend) = (it.lb(service), it.frontend_group(service));
            all(&mut it.parts.load_balancers).remove(&lb);
            all(&mut it.parts.security_groups).remove(&frontend);
            for group in it.groups(service) {
                all(&mut it.parts.target_groups).remove(&group);
            }
            all(&mut it.parts.target_group_bindings).retain(|_, binding| binding.service != name(service));
        }
        it.subnets(|subnet| drop(subnet.tags.remove("kubernetes.io/role/elb")));
        all(&mut it.parts.route_tables).values_mut().for_each(|table| Arc::make_mut(table).internet_gateway = false);
    }),
    ("a controller that registers at most two targets a group", |it| {
        for controller in all(&mut it.parts.controllers).values_mut() {
            Arc::make_mut(controller).flags.insert("max-targets-per-target-group".into(), "2".into());
        }
        for group in it.groups("shop/web") {
            it.health(&group, |targets| targets.truncate(2));
        }
    }),
    ("a target group shared with another cluster", |it| {
        for binding in all(&mut it.parts.target_group_bindings).values_mut() {
            if binding.service == name("shop/web") {
                Arc::make_mut(binding).multi_cluster = true;
            }
        }
        for group in it.groups("shop/web") {
            it.health(&group, |targets| {
                let mut foreign = targets[0].clone();
                foreign.id = "10.9.9.9".into();
                unhealthy(&mut foreign);
                targets.push(foreign);
            });
        }
    }),
    ("a third party's load balancer", |it| {
        let mut service = (*it.parts.services.get().unwrap()[&name("shop/web")]).clone();
        service.name = name("shop/other");
        service.load_balancer_class = Some("example.com/lb".into());
        service.hostnames.clear();
        all(&mut it.parts.services).insert(service.name.clone(), Arc::new(service));
    }),
    ("the in-tree provider's finalizer and start of work on the controller's Service", |it| {
        it.service("shop/web", |service| service.finalizers.push("service.kubernetes.io/load-balancer-cleanup".into()));
        it.event(EventObject::Service, &name("shop/web"), "SyncLoadBalancerFailed", "no");
    }),
    ("tags of a migration and of cost allocation", |it| {
        let lb = it.lb("shop/web");
        let arn = it.parts.load_balancers.get().unwrap()[&lb].arn.clone();
        let part = Arc::make_mut(&mut it.parts.tags).get_mut(&arn).unwrap();
        let tags = Arc::make_mut(part.value.as_mut().unwrap());
        tags.insert("kubernetes.io/service-name".into(), "shop/web".into());
        tags.insert("kubernetes.io/cluster/demo".into(), "owned".into());
        tags.insert("cost-center".into(), "42".into());
    }),
    ("a key that AWS has and nobody asked for", |it| {
        let lb = it.lb("shop/web");
        let part = Arc::make_mut(&mut it.parts.load_balancer_attributes).get_mut(&lb).unwrap();
        Arc::make_mut(part.value.as_mut().unwrap()).insert("deletion_protection.enabled".into(), "true".into());
    }),
    ("the load balancer's cross-zone is on and a zone has no healthy target left while it is drained", |it| {
        let node_zone = ZoneName::from("us-east-1a");
        let now = it.now;
        it.slices("shop/api", |slice| {
            slice.changed_at = Some(now);
            for endpoint in slice.endpoints.iter_mut().filter(|endpoint| endpoint.zone == Some(node_zone.clone())) {
                (endpoint.ready, endpoint.terminating) = (false, true);
            }
        });
        it.targets("shop/api", |target| {
            if target.zone == Some("us-east-1a".into()) {
                set(target, TargetState::Draining);
            }
        });
    }),
    ("a load balancer of EKS Auto Mode beside the controller's", |it| {
        let lb = it.lb("shop/web");
        let mut arns = vec![it.parts.load_balancers.get().unwrap()[&lb].arn.clone()];
        arns.extend(it.groups("shop/web").iter().map(|id| it.parts.target_groups.get().unwrap()[id].arn.clone()));
        for arn in arns {
            let part = Arc::make_mut(&mut it.parts.tags).get_mut(&arn).unwrap();
            let tags = Arc::make_mut(part.value.as_mut().unwrap());
            *tags = [
                ("eks:eks-cluster-name".into(), "demo".into()),
                ("service.eks.amazonaws.com/stack".into(), "shop/web".into()),
                ("service.eks.amazonaws.com/resource".into(), Arc::clone(&tags["service.k8s.aws/resource"])),
            ]
            .into();
        }
        it.service("shop/web", |service| service.load_balancer_class = Some("eks.amazonaws.com/nlb".into()));
        for binding in all(&mut it.parts.target_group_bindings).values_mut() {
            if binding.service == name("shop/web") {
                Arc::make_mut(binding).group = eks_nlb_exporter::inventory::kube::BindingGroup::AutoMode;
            }
        }
    }),
    ("the front of an ALB", |it| {
        let lb = it.lb("shop/web");
        let mut arns = vec![it.parts.load_balancers.get().unwrap()[&lb].arn.clone()];
        let groups = it.groups("shop/web");
        arns.extend(groups.iter().map(|id| it.parts.target_groups.get().unwrap()[id].arn.clone()));
        for arn in arns {
            let part = Arc::make_mut(&mut it.parts.tags).get_mut(&arn).unwrap();
            *Arc::make_mut(part.value.as_mut().unwrap()) = [
                ("elbv2.k8s.aws/cluster".into(), "demo".into()),
                ("ingress.k8s.aws/stack".into(), "shop/web".into()),
                ("ingress.k8s.aws/resource".into(), "FrontendNlb".into()),
            ]
            .into();
        }
        for group in &groups {
            edit(&mut it.parts.target_groups, group, |group| {
                group.target_type = eks_nlb_exporter::inventory::aws::TargetType::Alb;
            });
            it.health(group, |targets| {
                targets.truncate(1);
                targets[0].id = "arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/app/x/1".into();
                targets[0].zone = None;
            });
        }
        all(&mut it.parts.services).remove(&name("shop/web"));
        all(&mut it.parts.target_group_bindings).retain(|_, binding| binding.service != name("shop/web"));
    }),
    ("a Service deleted minutes ago: its load balancer is gone and the finalizer is still there", |it| {
        let (then, lb) = (it.ago(300), it.lb("shop/web"));
        let groups = it.groups("shop/web");
        it.service("shop/web", |service| (service.deleted_at, service.changed_at) = (Some(then), Some(then)));
        all(&mut it.parts.load_balancers).remove(&lb);
        for group in groups {
            edit(&mut it.parts.target_groups, &group, |group| group.load_balancers.clear());
            it.health(&group, |targets| targets.iter_mut().for_each(|target| set(target, TargetState::Unused)));
        }
    }),
    ("a load balancer made seconds ago for a Service that was not seen yet", |it| {
        let (then, lb) = (it.ago(20), it.lb("shop/web"));
        edit(&mut it.parts.load_balancers, &lb, |lb| (lb.state, lb.created_at) = (LoadBalancerState::Provisioning, Some(then)));
        all(&mut it.parts.services).remove(&name("shop/web"));
        all(&mut it.parts.endpoint_slices).retain(|_, slice| slice.service != name("shop/web"));
        all(&mut it.parts.target_group_bindings).retain(|_, binding| binding.service != name("shop/web"));
    }),
    ("another cluster of the VPC lost its Services", |it| {
        // Whatever became of them is that cluster's business.
        let lb = it.lb("shop/web");
        let mut theirs = (*it.parts.load_balancers.get().unwrap()[&lb]).clone();
        theirs.arn = theirs.arn.as_str().replace("k8s-shop-web", "k8s-shop-gone").as_str().into();
        theirs.id = theirs.arn.load_balancer().unwrap();
        theirs.state = LoadBalancerState::Failed;
        let tags = [("elbv2.k8s.aws/cluster", "other"), ("service.k8s.aws/stack", "shop/gone")];
        let tags = tags.map(|(key, value)| (key.into(), value.into()));
        Arc::make_mut(&mut it.parts.tags).insert(theirs.arn.clone(), Part::fetched(tags.into(), it.now));
        all(&mut it.parts.load_balancers).insert(theirs.id.clone(), Arc::new(theirs));
    }),
    ("a chart for every cloud, which leaves empty what it has no value for", |it| {
        it.service("shop/web", |service| {
            for (key, value) in [
                ("oci-load-balancer-internal", "true"),
                ("oci-load-balancer-ssl-ports", "443"),
                ("azure-load-balancer-internal", "true"),
                ("do-loadbalancer-name", "web"),
                ("load-balancer-source-ranges", ""),
            ] {
                service.annotations.insert(format!("service.beta.kubernetes.io/{key}").into(), value.into());
            }
        });
        for key in ["name", "attributes", "target-node-labels", "alpn-policy", "ssl-cert", "ssl-ports", "security-groups"] {
            it.annotate("shop/web", key, "");
        }
        for key in ["additional-resource-tags", "target-group-attributes", "security-group-prefix-lists"] {
            it.annotate("shop/web", key, "");
        }
    }),
    ("ip targets with policy Local", |it| {
        it.service("shop/web", |service| service.external_traffic_policy = TrafficPolicy::Local);
    }),
    ("a controller by its digest, without a label: its version is not known", |it| {
        for controller in all(&mut it.parts.controllers).values_mut() {
            let controller = Arc::make_mut(controller);
            (controller.version, controller.image) = (None, "controller@sha256:0123".into());
        }
    }),
    ("a CNI of another maker that gives pods addresses of the VPC, and a Service scaled to zero", |it| {
        it.parts.vpc_cni = Part::fetched(false, it.now);
        it.slices("shop/web", |slice| slice.endpoints.clear());
        it.targets("shop/web", |target| set(target, TargetState::Draining));
    }),
    ("a name that the load balancer has", |it| {
        let lb = it.lb("shop/web");
        let given = Arc::clone(&it.parts.load_balancers.get().unwrap()[&lb].name);
        it.annotate("shop/web", "name", &given);
    }),
    ("access logs in the attributes, and every attribute as AWS spells it", |it| {
        let lb = it.lb("shop/web");
        it.annotate("shop/web", "attributes", "access_logs.s3.enabled=true,access_logs.s3.bucket=logs,access_logs.s3.prefix=");
        let part = Arc::make_mut(&mut it.parts.load_balancer_attributes).get_mut(&lb).unwrap();
        let attributes = Arc::make_mut(part.value.as_mut().unwrap());
        attributes.insert("access_logs.s3.enabled".into(), "true".into());
        attributes.insert("access_logs.s3.bucket".into(), "logs".into());
        attributes.insert("access_logs.s3.prefix".into(), "".into());
    }),
    ("security groups of the owner's own, by Name, one of which lies in another VPC", |it| {
        let lb = it.lb("shop/web");
        let frontend = it.frontend_group("shop/web");
        let template = (*it.parts.security_groups.get().unwrap()[&frontend]).clone();
        for (id, vpc) in [("sg-0000000000000000a", template.vpc_id.clone()), ("sg-0000000000000000b", "vpc-2".into())] {
            let mut group = template.clone();
            (group.id, group.vpc_id, group.name) = (id.into(), vpc, "web".into());
            group.tags = [("Name".into(), "edge".into())].into();
            all(&mut it.parts.security_groups).insert(group.id.clone(), Arc::new(group));
        }
        all(&mut it.parts.security_groups).remove(&frontend);
        it.annotate("shop/web", "security-groups", "edge");
        edit(&mut it.parts.load_balancers, &lb, |lb| lb.security_groups = ["sg-0000000000000000a".into()].into());
    }),
    ("AWS's lists are incomplete", |it| {
        it.parts.load_balancers.fetched_at = None;
        it.parts.target_groups.fetched_at = None;
        it.parts.subnets.fetched_at = None;
        it.parts.security_groups.fetched_at = None;
        it.parts.network_interfaces.fetched_at = None;
    }),
];
