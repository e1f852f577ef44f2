//! What a real controller's cluster becomes, object by object.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::world::{World, quick};
use crate::inventory::parts::{Parts, source};
use crate::simulator::kube_api::{
    DEPLOYMENTS, ENDPOINT_SLICES, EVENTS, KubeStore, NODES, Resource, SERVICES, TARGET_GROUP_BINDINGS,
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The recorded lists, as they came.
fn recorded() -> KubeStore {
    let store = KubeStore::new();
    let lists: [(Resource, &str); 6] = [
        (SERVICES, "services"),
        (NODES, "nodes"),
        (ENDPOINT_SLICES, "endpointslices"),
        (EVENTS, "events"),
        (DEPLOYMENTS, "deployments"),
        (TARGET_GROUP_BINDINGS, "targetgroupbindings"),
    ];
    for (resource, name) in lists {
        let text = std::fs::read(fixtures().join(format!("worlds/lbc-2.8.2/kube/{name}.json"))).unwrap();
        let list: Value = serde_json::from_slice(&text).unwrap();
        for item in list["items"].as_array().unwrap() {
            store.upsert(resource, item.clone());
        }
    }
    store
}

/// Everything of the cluster, without the ages.
fn picture(parts: &Parts) -> Value {
    json!({
        "services": parts.services.complete(),
        "endpoint_slices": parts.endpoint_slices.complete(),
        "nodes": parts.nodes.complete(),
        "target_group_bindings": parts.target_group_bindings.complete(),
        "reconciles": parts.reconciles.complete(),
        "controllers": parts.controllers.complete(),
        "leader_lease": parts.leader_lease.complete(),
        "vpc_cni": parts.vpc_cni.complete(),
    })
}

#[tokio::test]
async fn the_recorded_world_is_read_exactly() {
    let world = World::start(recorded(), quick()).await;
    let parts = world.until("all is there", super::all_complete).await;
    for name in source::ALL.iter().filter(|name| name.starts_with("kube_")) {
        assert_eq!((parts.sources[*name].missing, world.unknown_values(name)), (0, 0), "{name}");
    }
    let got = serde_json::to_string_pretty(&picture(&parts)).unwrap() + "\n";
    let path = fixtures().join("worlds/lbc-2.8.2/kube.expected.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &got).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert!(got == expected, "differs from {}: run with UPDATE_GOLDEN=1 and read the difference", path.display());
}
