//! How is the state kept in a ConfigMap? Read, created or replaced under its version: who was overtaken reads again first.
//!
//! Needs `get` and `update` on this one name (`resourceNames`), and `create` on ConfigMaps of the namespace, which
//! Kubernetes cannot restrict to a name; with a ConfigMap that exists already `create` can be left out.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::PostParams;

use super::StateError;
use crate::sources::kube::{KubeSettings, client};

/// The key of its binary data.
const KEY: &str = "history.json.gz";

/// A ConfigMap in the namespace of the client: that of the pod's service account, else the kubeconfig's; written
/// `NAMESPACE/NAME` in that one.
#[derive(Debug)]
pub(super) struct ConfigMapPlace {
    namespace: Option<String>,
    name: String,
    kube: KubeSettings,
    api: Option<Api<ConfigMap>>,
    /// What was last read or written, without the state; `None` when there is no such ConfigMap.
    known: Option<Box<ConfigMap>>,
}

impl ConfigMapPlace {
    pub(super) fn new(name: String, kube: KubeSettings) -> Self {
        let (namespace, name) = match name.split_once('/') {
            Some((namespace, name)) => (Some(namespace.to_owned()), name.to_owned()),
            None => (None, name),
        };
        Self { namespace, name, kube, api: None, known: None }
    }

    /// As it was named.
    pub(super) fn name(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}/{}", self.name),
            None => self.name.clone(),
        }
    }

    async fn api(&mut self) -> Result<Api<ConfigMap>, StateError> {
        if self.api.is_none() {
            let client = client(&self.kube).await?;
            self.api = Some(match &self.namespace {
                Some(namespace) => Api::namespaced(client, namespace),
                None => Api::default_namespaced(client),
            });
        }
        Ok(self.api.clone().expect("it was made above"))
    }

    /// Reads it; `None` when there is none, or none with a state in it.
    pub(super) async fn read(&mut self) -> Result<Option<Vec<u8>>, StateError> {
        let api = self.api().await?;
        let found = api.get_opt(&self.name).await.map_err(|source| failed("get", source))?;
        let bytes = found.as_ref().and_then(|found| found.binary_data.as_ref()?.get(KEY)).map(|bytes| bytes.0.clone());
        self.know(found);
        Ok(bytes)
    }

    /// Writes it, if it still is as it was read.
    pub(super) async fn write(&mut self, bytes: Vec<u8>) -> Result<(), StateError> {
        let api = self.api().await?;
        let mut object = self.known.as_deref().cloned().unwrap_or_default();
        object.binary_data.get_or_insert_default().insert(KEY.to_owned(), ByteString(bytes));
        let parameters = PostParams::default();
        let written = if object.metadata.resource_version.is_some() {
            api.replace(&self.name, &parameters, &object).await.map_err(|source| failed("update", source))
        } else {
            object.metadata.name = Some(self.name.clone());
            let label = ("app.kubernetes.io/name".to_owned(), "eks-nlb-exporter".to_owned());
            object.metadata.labels = Some(BTreeMap::from([label]));
            api.create(&parameters, &object).await.map_err(|source| failed("create", source))
        };
        match written {
            Ok(written) => {
                self.know(Some(written));
                Ok(())
            }
            Err(StateError::Api { operation: "update configmaps", source: kube::Error::Api(status) }) if status.code == 404 => {
                self.known = None;
                Err(StateError::Conflict)
            }
            Err(error) => Err(error),
        }
    }

    fn know(&mut self, found: Option<ConfigMap>) {
        self.known = found.map(|mut found| {
            found.metadata.managed_fields = None;
            if let Some(data) = &mut found.binary_data {
                data.remove(KEY);
            }
            Box::new(found)
        });
    }
}

fn failed(verb: &str, source: kube::Error) -> StateError {
    match source {
        kube::Error::Api(status) if status.code == 409 => StateError::Conflict,
        source => StateError::Api {
            operation: match verb {
                "get" => "get configmaps",
                "create" => "create configmaps",
                _ => "update configmaps",
            },
            source,
        },
    }
}
