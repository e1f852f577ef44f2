//! How does the cluster of the simulated world look to a Kubernetes client? Changed objects as JSON, into the API server's store.

mod gateway_api;

use std::collections::{BTreeMap, btree_map::Entry};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    kube_api::{
        AUTO_MODE_TARGET_GROUP_BINDINGS, DAEMON_SETS, DEPLOYMENTS, ENDPOINT_SLICES, EVENTS, GATEWAY_CLASSES, GATEWAYS, KubeStore,
        LEASES, NODES, SERVICES, TARGET_GROUP_BINDINGS,
    },
    world::{Binding, Change, Controller, Endpoint, Event, Node, Service, World},
};
use crate::inventory::{
    ids::{NodeName, ObjectName},
    kube::{BindingGroup, ServiceType},
};

/// How many endpoints the endpoint slice controller puts in a slice.
const SLICE: usize = 100;

/// The controller's namespace.
const SYSTEM: &str = "kube-system";

/// Puts what changed into the store.
#[derive(Debug)]
pub(crate) struct Publisher {
    store: KubeStore,
    /// How many slices of each Service are in the store.
    slices: BTreeMap<ObjectName, usize>,
}

impl Publisher {
    pub(crate) fn new(store: KubeStore) -> Self {
        Self { store, slices: BTreeMap::new() }
    }

    /// Publishes what changed since the last time; what is no more is deleted.
    pub(crate) fn publish(&mut self, world: &mut World, now: Timestamp) {
        for change in std::mem::take(&mut world.changes) {
            match change {
                Change::Service(name) => match world.services.get(&name) {
                    Some(found) => self.store.upsert(SERVICES, service(&name, found)),
                    None => self.delete(SERVICES, &name),
                },
                Change::Endpoints(name) => self.endpoints(world, name),
                Change::Node(name) => match world.nodes.get(&name) {
                    Some(found) => self.store.upsert(NODES, node(&name, found, world)),
                    None => {
                        self.store.delete(NODES, "", name.as_str());
                    }
                },
                Change::Binding(name) => match world.bindings.get(&name) {
                    Some(found) if found.group == BindingGroup::AutoMode => {
                        self.store.upsert(AUTO_MODE_TARGET_GROUP_BINDINGS, binding(&name, found, world));
                    }
                    Some(found) => self.store.upsert(TARGET_GROUP_BINDINGS, binding(&name, found, world)),
                    None => {
                        self.delete(TARGET_GROUP_BINDINGS, &name);
                        self.delete(AUTO_MODE_TARGET_GROUP_BINDINGS, &name);
                    }
                },
                Change::GatewayClass(name) => match world.gateway_classes.get(&name) {
                    Some(found) => self.store.upsert(GATEWAY_CLASSES, gateway_api::class(found, world.created_at)),
                    None => {
                        self.store.delete(GATEWAY_CLASSES, "", &name);
                    }
                },
                Change::Gateway(name) => match world.gateways.get(&name) {
                    Some(found) => self.store.upsert(GATEWAYS, gateway_api::gateway(found)),
                    None => self.delete(GATEWAYS, &name),
                },
                Change::Route(key) => match world.routes.get(&key) {
                    Some(found) => self.store.upsert(gateway_api::resource(key.kind), gateway_api::route(found)),
                    None => self.delete(gateway_api::resource(key.kind), &key.name),
                },
                Change::Event(name) => match world.events.get(&name) {
                    Some(found) => self.store.upsert(EVENTS, event(&name, found)),
                    None => self.delete(EVENTS, &name),
                },
                Change::Controller => match &world.controller {
                    Some(found) => {
                        self.store.upsert(DEPLOYMENTS, deployment(found, world));
                        self.store.upsert(LEASES, lease(found, now));
                    }
                    None => {
                        self.store.delete(DEPLOYMENTS, SYSTEM, "aws-load-balancer-controller");
                        self.store.delete(LEASES, SYSTEM, "aws-load-balancer-controller-leader");
                    }
                },
                Change::VpcCni if world.vpc_cni => self.store.upsert(DAEMON_SETS, vpc_cni(world)),
                Change::VpcCni => {
                    self.store.delete(DAEMON_SETS, SYSTEM, "aws-node");
                }
            }
        }
    }

    fn delete(&self, resource: super::kube_api::Resource, name: &ObjectName) {
        self.store.delete(resource, &name.namespace, &name.name);
    }

    fn endpoints(&mut self, world: &World, name: ObjectName) {
        let service = world.services.get(&name);
        let chunks: Vec<&[Endpoint]> = service.map(|service| service.endpoints.chunks(SLICE).collect()).unwrap_or_default();
        // The controller keeps one empty slice for a Service without endpoints.
        let chunks = if service.is_some() && chunks.is_empty() { vec![&[][..]] } else { chunks };
        let (count, store) = (chunks.len(), &self.store);
        for (index, (chunk, service)) in chunks.into_iter().zip(std::iter::repeat(service)).enumerate() {
            store.upsert(ENDPOINT_SLICES, slice(&name, index, service.expect("chunks are of a Service"), chunk));
        }
        let mut entry = self.slices.entry(name.clone());
        let before = match &mut entry {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(_) => 0,
        };
        for index in count..before {
            store.delete(ENDPOINT_SLICES, &name.namespace, &slice_name(&name, index));
        }
        *entry.or_default() = count;
    }
}

fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn strings<'a>(map: impl IntoIterator<Item = (&'a std::sync::Arc<str>, &'a std::sync::Arc<str>)>) -> Value {
    Value::Object(map.into_iter().map(|(key, value)| (key.to_string(), Value::from(&**value))).collect())
}

/// A `managedFields` entry.
fn managed(manager: &str, time: Timestamp, fields: &Value) -> Value {
    json!({
        "manager": manager,
        "operation": "Update",
        "apiVersion": "v1",
        "time": seconds(time),
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    })
}

fn service(name: &ObjectName, service: &Service) -> Value {
    let balanced = service.service_type == ServiceType::LoadBalancer;
    let keys: Map<String, Value> = std::iter::once((".".to_owned(), json!({})))
        .chain(service.annotations.keys().map(|key| (format!("f:{key}"), json!({}))))
        .collect();
    let mut fields = vec![managed(
        "kubectl-client-side-apply",
        service.annotations_written_at,
        &json!({ "f:metadata": { "f:annotations": keys } }),
    )];
    let mut metadata = json!({
        "name": &*name.name,
        "namespace": &*name.namespace,
        "uid": &*service.uid,
        "creationTimestamp": seconds(service.created_at),
        "annotations": strings(&service.annotations),
        "labels": { "app": &*name.name },
    });
    if !service.finalizers.is_empty() {
        metadata["finalizers"] = service.finalizers.iter().map(|name| &**name).collect();
        let names = service.finalizers.iter().map(|name| (format!("v:\"{name}\""), json!({})));
        let keys: Map<String, Value> = std::iter::once((".".to_owned(), json!({}))).chain(names).collect();
        fields.push(managed("controller", service.created_at, &json!({ "f:metadata": { "f:finalizers": keys } })));
    }
    metadata["managedFields"] = fields.into();
    if let Some(time) = service.deleted_at {
        metadata["deletionTimestamp"] = seconds(time).into();
        metadata["deletionGracePeriodSeconds"] = 0.into();
    }
    let ports = service.ports.iter().map(|port| {
        let mut json = json!({
            "name": &*port.name, "protocol": port.protocol.as_str(), "port": port.port, "targetPort": port.target_port,
        });
        if port.node_port != 0 {
            json["nodePort"] = port.node_port.into();
        }
        json
    });
    let mut spec = json!({
        "type": service.service_type.as_str(),
        "ports": ports.collect::<Vec<_>>(),
        "selector": { "app": &*name.name },
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
        "ipFamilies": [if service.ipv6 { "IPv6" } else { "IPv4" }],
        "ipFamilyPolicy": "SingleStack",
    });
    let mut status = json!({ "loadBalancer": {} });
    if balanced {
        spec["externalTrafficPolicy"] = if service.local_health_port.is_some() { "Local" } else { "Cluster" }.into();
        spec["allocateLoadBalancerNodePorts"] = service.ports.iter().any(|port| port.node_port != 0).into();
        if let Some(port) = service.local_health_port {
            spec["healthCheckNodePort"] = port.into();
        }
        if let Some(class) = &service.load_balancer_class {
            spec["loadBalancerClass"] = (&**class).into();
        }
        if !service.source_ranges.is_empty() {
            spec["loadBalancerSourceRanges"] = service.source_ranges.iter().map(|range| &**range).collect();
        }
        if let Some(hostname) = &service.hostname {
            status["loadBalancer"] = json!({ "ingress": [{ "hostname": &**hostname }] });
        }
    }
    json!({ "metadata": metadata, "spec": spec, "status": status })
}

fn slice_name(service: &ObjectName, index: usize) -> String {
    format!("{}-{index:03}", service.name)
}

fn slice(name: &ObjectName, index: usize, service: &Service, endpoints: &[Endpoint]) -> Value {
    let ports = service
        .ports
        .iter()
        .map(|port| json!({ "name": &*port.name, "protocol": port.protocol.as_str(), "port": port.target_port }));
    let endpoints = endpoints.iter().map(|endpoint| {
        json!({
            "addresses": [endpoint.address.to_string()],
            "conditions": { "ready": endpoint.ready, "serving": endpoint.ready, "terminating": endpoint.terminating },
            "targetRef": { "kind": "Pod", "namespace": &*name.namespace, "name": format!("{}-{}", name.name, endpoint.pod) },
            "nodeName": endpoint.node.as_str(),
            "zone": endpoint.zone.as_str(),
        })
    });
    json!({
        "metadata": {
            "name": slice_name(name, index),
            "namespace": &*name.namespace,
            "creationTimestamp": seconds(service.created_at),
            "labels": {
                "kubernetes.io/service-name": &*name.name,
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            },
        },
        "addressType": if service.ipv6 { "IPv6" } else { "IPv4" },
        "ports": ports.collect::<Vec<_>>(),
        "endpoints": endpoints.collect::<Vec<_>>(),
    })
}

fn node(name: &NodeName, node: &Node, world: &World) -> Value {
    let mut labels = json!({
        "kubernetes.io/hostname": name.as_str(),
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "topology.kubernetes.io/zone": node.zone.as_str(),
        "topology.kubernetes.io/region": &*world.scope.region,
        "node.kubernetes.io/instance-type": "m6i.2xlarge",
    });
    for (key, value) in &node.labels {
        labels[&**key] = (&**value).into();
    }
    let taints = node.taints.iter().map(|key| json!({ "key": &**key, "effect": "NoSchedule" }));
    json!({
        "metadata": { "name": name.as_str(), "creationTimestamp": seconds(world.created_at), "labels": labels },
        "spec": {
            "providerID": format!("aws:///{}/{}", node.zone, node.instance),
            "taints": taints.collect::<Vec<_>>(),
        },
        "status": {
            "addresses": [
                { "type": "InternalIP", "address": node.address.to_string() },
                { "type": "Hostname", "address": name.as_str() },
            ],
            "conditions": [{
                "type": "Ready",
                "status": if node.ready { "True" } else { "False" },
                "reason": if node.ready { "KubeletReady" } else { "KubeletNotReady" },
                "lastTransitionTime": seconds(node.ready_changed_at),
            }],
        },
    })
}

fn binding(name: &ObjectName, binding: &Binding, world: &World) -> Value {
    let from: Vec<Value> = match &*binding.sources {
        [] => vec![json!({ "securityGroup": { "groupID": world.scope.backend_group.as_str() } })],
        networks => networks.iter().map(|network| json!({ "ipBlock": { "cidr": network.to_string() } })).collect(),
    };
    let (label, stack) = &binding.stack;
    let ports = binding.ingress.iter().map(|(protocol, port)| json!({ "protocol": protocol.as_str(), "port": port }));
    json!({
        "metadata": {
            "name": &*name.name,
            "namespace": &*name.namespace,
            "uid": &*binding.uid,
            "generation": 1,
            "creationTimestamp": seconds(binding.created_at),
            "finalizers": ["elbv2.k8s.aws/resources"],
            "labels": {
                format!("{label}/stack-name"): &*stack.name,
                format!("{label}/stack-namespace"): &*stack.namespace,
            },
        },
        "spec": {
            "ipAddressType": if binding.ipv6 { "ipv6" } else { "ipv4" },
            "networking": {
                "ingress": [{
                    "from": from,
                    "ports": ports.collect::<Vec<_>>(),
                }],
            },
            "serviceRef": { "name": &*binding.service, "port": binding.service_port },
            "targetGroupARN": world.target_group_arn(&binding.target_group).as_str(),
            "targetType": &*binding.target_type,
            "vpcID": world.scope.vpc_id.as_str(),
        },
        "status": { "observedGeneration": 1 },
    })
}

fn event(name: &ObjectName, event: &Event) -> Value {
    let service = event.kind == "Service";
    let component = if service { "service" } else { "targetGroupBinding" };
    json!({
        "metadata": {
            "name": &*name.name,
            "namespace": &*name.namespace,
            "creationTimestamp": seconds(event.first_at),
        },
        "involvedObject": {
            "kind": event.kind,
            "namespace": &*name.namespace,
            "name": &*event.object,
            "uid": &*event.uid,
            "apiVersion": if service { "v1" } else { "elbv2.k8s.aws/v1beta1" },
        },
        "type": if event.warning { "Warning" } else { "Normal" },
        "reason": &*event.reason,
        "message": &*event.message,
        "source": { "component": component },
        "reportingComponent": component,
        "reportingInstance": "",
        "firstTimestamp": seconds(event.first_at),
        "lastTimestamp": seconds(event.last_at),
        "count": event.count,
        "eventTime": null,
    })
}

fn deployment(controller: &Controller, world: &World) -> Value {
    let own = [
        format!("--cluster-name={}", world.scope.cluster_name),
        format!("--aws-region={}", world.scope.region),
        format!("--aws-vpc-id={}", world.scope.vpc_id),
    ];
    let arguments: Vec<String> = own.into_iter().chain(controller.arguments.iter().map(ToString::to_string)).collect();
    let name = "aws-load-balancer-controller";
    let selector = json!({ "app.kubernetes.io/name": name, "app.kubernetes.io/instance": name });
    json!({
        "metadata": {
            "name": name,
            "namespace": SYSTEM,
            "generation": 1,
            "creationTimestamp": seconds(world.created_at),
            "labels": {
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/instance": name,
                "app.kubernetes.io/version": &*controller.version,
                "app.kubernetes.io/managed-by": "Helm",
            },
        },
        "spec": {
            "replicas": controller.replicas,
            "selector": { "matchLabels": selector },
            "template": {
                "metadata": { "labels": selector },
                "spec": {
                    "containers": [{
                        "name": name,
                        "image": format!("public.ecr.aws/eks/aws-load-balancer-controller:{}", controller.version),
                        "args": arguments,
                    }],
                },
            },
        },
        "status": {
            "observedGeneration": 1,
            "replicas": controller.replicas,
            "updatedReplicas": controller.replicas,
            "readyReplicas": controller.available,
            "availableReplicas": controller.available,
        },
    })
}

fn lease(controller: &Controller, now: Timestamp) -> Value {
    let micros = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
    json!({
        "metadata": {
            "name": "aws-load-balancer-controller-leader",
            "namespace": SYSTEM,
            "creationTimestamp": seconds(controller.leading_since),
        },
        "spec": {
            "holderIdentity": &*controller.leader,
            "leaseDurationSeconds": 15,
            "acquireTime": micros(controller.leading_since),
            "renewTime": micros(now),
            "leaseTransitions": controller.transitions,
        },
    })
}

fn vpc_cni(world: &World) -> Value {
    let count = world.nodes.len();
    let labels = json!({ "k8s-app": "aws-node", "app.kubernetes.io/name": "aws-node" });
    json!({
        "metadata": {
            "name": "aws-node",
            "namespace": SYSTEM,
            "creationTimestamp": seconds(world.created_at),
            "labels": labels,
        },
        "spec": {
            "selector": { "matchLabels": { "k8s-app": "aws-node" } },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [{ "name": "aws-node", "image": "public.ecr.aws/eks/amazon-k8s-cni:v1.20.4" }] },
            },
        },
        "status": {
            "currentNumberScheduled": count,
            "desiredNumberScheduled": count,
            "numberAvailable": count,
            "numberMisscheduled": 0,
            "numberReady": count,
            "updatedNumberScheduled": count,
        },
    })
}
