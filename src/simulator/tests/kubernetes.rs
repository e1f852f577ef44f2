//! The cluster as a Kubernetes client sees it.

use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment},
    coordination::v1::Lease,
    core::v1::{Event, Node, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Client, Config,
    api::{DynamicObject, ListParams},
    core::{ApiResource, GroupVersionKind},
};

use super::clients::simulator;
use crate::{
    inventory::ids::ObjectName,
    simulator::{Simulator, Sizes, world::annotation},
};

fn client(simulator: &Simulator) -> Client {
    let config = Config::new(simulator.kube_url.parse().unwrap());
    Client::try_from(config).unwrap()
}

fn count(slice: &EndpointSlice) -> usize {
    slice.endpoints.as_ref().map_or(0, Vec::len)
}

fn bindings(client: &Client) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("elbv2.k8s.aws", "v1beta1", "TargetGroupBinding");
    Api::all_with(client.clone(), &ApiResource::from_gvk_with_plural(&kind, "targetgroupbindings"))
}

#[tokio::test]
async fn the_cluster_is_there_as_typed_objects() {
    let simulator = simulator(Sizes { endpoints: 400, ..Sizes::default() }).await;
    let client = client(&simulator);
    let all = ListParams::default();
    let services = Api::<Service>::all(client.clone()).list(&all).await.unwrap().items;
    assert_eq!(services.len(), 16);
    for service in &services {
        let name = ObjectName::new(service.metadata.namespace.as_deref().unwrap(), service.metadata.name.as_deref().unwrap());
        let spec = service.spec.as_ref().unwrap();
        simulator.world.read(|world| {
            let ours = &world.services[&name];
            assert_eq!(spec.type_.as_deref(), Some(ours.service_type.as_str()));
            assert_eq!(spec.ports.as_ref().unwrap().len(), ours.ports.len());
            assert_eq!(service.metadata.annotations.as_ref().map_or(0, |all| all.len()), ours.annotations.len());
            let status = service.status.as_ref().unwrap().load_balancer.as_ref().unwrap();
            let hostname = status.ingress.as_ref().and_then(|ingress| ingress[0].hostname.clone());
            assert_eq!(hostname.as_deref(), ours.hostname.as_deref());
            assert_eq!(spec.external_traffic_policy.as_deref() == Some("Local"), ours.local_health_port.is_some());
        });
    }
    let slices = Api::<EndpointSlice>::all(client.clone()).list(&all).await.unwrap().items;
    let endpoints: usize = slices.iter().map(count).sum();
    assert_eq!(endpoints, 400);
    assert!(slices.iter().all(|slice| count(slice) <= 100) && slices.len() > 16);
    assert_eq!(Api::<Node>::all(client.clone()).list(&all).await.unwrap().items.len(), 6);
    let found = bindings(&client).list(&all).await.unwrap().items;
    assert_eq!(found.len(), 18);
    assert!(found.iter().all(|one| one.data["spec"]["targetGroupARN"].as_str().unwrap().contains(":targetgroup/k8s-")));
    let events = Api::<Event>::all(client.clone()).list(&all).await.unwrap().items;
    assert!(events.iter().all(|event| event.reason.as_deref() == Some("SuccessfullyReconciled")) && !events.is_empty());
    let by_label = ListParams::default().labels("app.kubernetes.io/name=aws-load-balancer-controller");
    let deployments = Api::<Deployment>::all(client.clone()).list(&by_label).await.unwrap().items;
    let container = &deployments[0].spec.template.spec.as_ref().unwrap().containers[0];
    assert!(container.args.as_ref().unwrap().contains(&"--cluster-name=demo".to_owned()));
    assert_eq!(deployments[0].status.as_ref().unwrap().available_replicas, Some(2));
    let lease = Api::<Lease>::namespaced(client.clone(), "kube-system").get("aws-load-balancer-controller-leader").await.unwrap();
    assert!(lease.spec.unwrap().acquire_time.is_some());
    Api::<DaemonSet>::namespaced(client, "kube-system").get("aws-node").await.unwrap();
}

#[tokio::test]
async fn edits_reach_the_api_server_and_deletions_too() {
    let simulator = simulator(Sizes { endpoints: 400, ..Sizes::default() }).await;
    let client = client(&simulator);
    let name = ObjectName::new("shop", "web");
    let services = Api::<Service>::namespaced(client.clone(), "shop");
    let before = services.get("web").await.unwrap();
    simulator.world.edit(|world| {
        world.annotate(&name, annotation("scheme"), Some("internal"), crate::clock::now()).unwrap();
        world.set_endpoints_ready(&name, false, |_| true).unwrap();
        world.warn_about_service(&name, "FailedBuildModel", "no", crate::clock::now());
        world.warn_about_service(&name, "FailedBuildModel", "no", crate::clock::now());
    });
    let after = services.get("web").await.unwrap();
    assert_ne!(before.metadata.resource_version, after.metadata.resource_version);
    assert_eq!(after.metadata.annotations.as_ref().unwrap()[&annotation("scheme")], "internal");
    let written = |service: &Service| service.metadata.managed_fields.as_ref().unwrap()[0].time.clone();
    assert_ne!(written(&before), written(&after), "managedFields tells when");
    let slices = Api::<EndpointSlice>::namespaced(client.clone(), "shop");
    let of_web = ListParams::default().labels("kubernetes.io/service-name=web");
    let found = slices.list(&of_web).await.unwrap().items;
    assert!(
        found
            .iter()
            .flat_map(|slice| slice.endpoints.as_ref().unwrap())
            .all(|one| one.conditions.as_ref().unwrap().ready == Some(false))
    );
    let events = Api::<Event>::namespaced(client.clone(), "shop").list(&ListParams::default()).await.unwrap().items;
    let failed: Vec<_> = events.iter().filter(|event| event.reason.as_deref() == Some("FailedBuildModel")).collect();
    assert_eq!((failed.len(), failed[0].count), (1, Some(2)), "the same event again counts up");

    simulator.world.edit(|world| world.delete_service(&name)).unwrap();
    assert!(services.get_opt("web").await.unwrap().is_none());
    assert!(slices.list(&of_web).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn a_shrinking_service_gives_up_its_spare_slices() {
    let simulator = simulator(Sizes { endpoints: 800, ..Sizes::default() }).await;
    let slices = Api::<EndpointSlice>::namespaced(client(&simulator), "ops");
    let of_ingress = ListParams::default().labels("kubernetes.io/service-name=ingress");
    assert!(slices.list(&of_ingress).await.unwrap().items.len() > 1);
    simulator.world.edit(|world| {
        let name = ObjectName::new("ops", "ingress");
        world.services.get_mut(&name).unwrap().endpoints.truncate(0);
        world.touch(crate::simulator::world::Change::Endpoints(name));
    });
    let left = slices.list(&of_ingress).await.unwrap().items;
    assert_eq!((left.len(), count(&left[0])), (1, 0), "one empty slice stays");
}

#[tokio::test]
async fn the_kubeconfig_leads_to_the_cluster() {
    let simulator = simulator(Sizes::default()).await;
    let config = kube::config::Kubeconfig::from_yaml(&simulator.kubeconfig()).unwrap();
    let options = kube::config::KubeConfigOptions { context: Some("simulated".into()), ..Default::default() };
    let config = Config::from_custom_kubeconfig(config, &options).await.unwrap();
    let nodes = Api::<Node>::all(Client::try_from(config).unwrap()).list(&ListParams::default()).await.unwrap();
    assert_eq!(nodes.items.len(), 6);
}
