//! A small Kubernetes cluster for the tests: the simulated API server, filled by hand.

use std::path::PathBuf;

use eks_nlb_exporter::simulator::kube_api::{
    DAEMON_SETS, DEPLOYMENTS, ENDPOINT_SLICES, KubeStore, LEASES, NODES, Resource, SERVICES, TARGET_GROUP_BINDINGS, router,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// The API server and its kubeconfig, both gone with the value.
pub(crate) struct Cluster {
    pub(crate) store: KubeStore,
    port: u16,
    /// A runtime of its own: ended, it takes the open connections with it, as a server's end does.
    server: Option<Runtime>,
    folder: TempDir,
}

impl Cluster {
    /// Starts an empty one on a free port.
    pub(crate) fn start() -> Self {
        let store = KubeStore::default();
        let (port, server) = serve(&store, 0);
        let folder = tempfile::tempdir().unwrap();
        let cluster = Self { store, port, server: Some(server), folder };
        std::fs::write(cluster.kubeconfig(), kubeconfig(port)).unwrap();
        cluster
    }

    /// A kubeconfig with the context `simulated`.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Takes the API server away: open watches break, new connections are refused.
    pub(crate) fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown_background();
        }
    }

    /// Brings it back where it was.
    pub(crate) fn restart(&mut self) {
        self.server = Some(serve(&self.store, self.port).1);
    }

    pub(crate) fn put(&self, resource: Resource, object: Value) {
        self.store.upsert(resource, object);
    }

    /// The AWS Load Balancer Controller's Deployment and Lease, and the VPC CNI.
    pub(crate) fn controller(&self, cluster_name: &str, vpc: &str, version: &str) {
        let name = "aws-load-balancer-controller";
        let container = json!({
            "name": name,
            "image": format!("public.ecr.aws/eks/{name}:{version}"),
            "args": [format!("--cluster-name={cluster_name}"), "--aws-region=us-east-1", format!("--aws-vpc-id={vpc}")],
        });
        let labels = json!({"app.kubernetes.io/name": name, "app.kubernetes.io/version": version});
        self.put(DEPLOYMENTS, json!({
            "metadata": {"name": name, "namespace": "kube-system", "labels": labels},
            "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}},
            "status": {"availableReplicas": 2},
        }));
        self.put(LEASES, json!({
            "metadata": {"name": "aws-load-balancer-controller-leader", "namespace": "kube-system"},
            "spec": {"holderIdentity": "one", "acquireTime": "2026-11-24T20:00:00.000000Z", "renewTime": "2026-11-24T20:00:00.000000Z", "leaseTransitions": 1},
        }));
        self.put(
            DAEMON_SETS,
            json!({
                "metadata": {"name": "aws-node", "namespace": "kube-system"},
                "spec": {"selector": {}, "template": {"spec": {"containers": []}}},
            }),
        );
    }

    pub(crate) fn node(&self, name: &str, zone: &str, instance: &str) {
        self.put(
            NODES,
            json!({
                "metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone, "kubernetes.io/os": "linux"}},
                "spec": {"providerID": format!("aws:///{zone}/{instance}")},
                "status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-24T20:00:00Z"}]},
            }),
        );
    }

    pub(crate) fn service(&self, namespace: &str, name: &str, annotations: Value, ports: Value) {
        self.put(SERVICES, json!({
            "metadata": {
                "name": name, "namespace": namespace, "annotations": annotations,
                "creationTimestamp": "2026-11-24T20:00:00Z", "finalizers": ["service.k8s.aws/resources"],
            },
            "spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Cluster", "ports": ports, "ipFamilies": ["IPv4"], "selector": {"app": name}},
            "status": {"loadBalancer": {"ingress": [{"hostname": format!("{name}.elb.amazonaws.com")}]}},
        }));
    }

    /// Ready endpoints: address, pod, node.
    pub(crate) fn endpoints(&self, namespace: &str, service: &str, port_name: &str, port: u16, pods: &[(&str, &str, &str)]) {
        let endpoints: Vec<Value> = pods
            .iter()
            .map(|(address, pod, node)| {
                json!({
                    "addresses": [address], "conditions": {"ready": true, "serving": true, "terminating": false}, "nodeName": node,
                    "targetRef": {"kind": "Pod", "name": pod, "namespace": namespace},
                })
            })
            .collect();
        self.put(ENDPOINT_SLICES, json!({
            "metadata": {"name": format!("{service}-1"), "namespace": namespace, "labels": {"kubernetes.io/service-name": service}},
            "addressType": "IPv4",
            "ports": [{"name": port_name, "port": port, "protocol": "TCP"}],
            "endpoints": endpoints,
        }));
    }

    pub(crate) fn binding(&self, namespace: &str, name: &str, arn: &str, target_type: &str, service: &str, port: u16) {
        self.put(TARGET_GROUP_BINDINGS, json!({
            "metadata": {
                "name": name, "namespace": namespace, "creationTimestamp": "2026-11-24T20:00:00Z",
                "labels": {"service.k8s.aws/stack-namespace": namespace, "service.k8s.aws/stack-name": service},
            },
            "spec": {"targetGroupARN": arn, "targetType": target_type, "serviceRef": {"name": service, "port": port}, "networking": {"ingress": []}},
        }));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}

fn serve(store: &KubeStore, port: u16) -> (u16, Runtime) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let app = router(store.clone());
    runtime.spawn(async move { axum::serve(TcpListener::from_std(listener).unwrap(), app).await.unwrap() });
    (port, runtime)
}

/// A kubeconfig for an API server on loopback without TLS.
pub(crate) fn kubeconfig(port: u16) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: simulated\n\
         clusters: [{{name: simulated, cluster: {{server: 'http://127.0.0.1:{port}'}}}}]\n\
         users: [{{name: simulated, user: {{}}}}]\n\
         contexts: [{{name: simulated, context: {{cluster: simulated, user: simulated}}}}]\n"
    )
}
