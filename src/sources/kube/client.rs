//! How is the API server reached? The pod's service account or a kubeconfig, and what was looked for when there is neither.

use std::path::PathBuf;

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

use super::KubeSettings;
use super::failure;
use crate::inventory::part::FailureCategory;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum KubeError {
    /// The kubeconfig that was named, or the context in it, cannot be used.
    #[error("cannot use the kubeconfig{}{}: {}", named_file(.path), named_context(.context), first_line(.source))]
    Kubeconfig {
        /// The file; `None` for `$KUBECONFIG` or `~/.kube/config`.
        path: Option<PathBuf>,
        /// The context; `None` for the current one.
        context: Option<String>,
        /// What is wrong with it.
        #[source]
        source: Box<KubeconfigError>,
    },
    /// Nothing says where the cluster is.
    #[error(
        "no Kubernetes cluster to watch: looked for a kubeconfig in $KUBECONFIG and ~/.kube/config ({}) and for a \
         pod's service account ({in_cluster})", first_line(.kubeconfig)
    )]
    NoCluster {
        /// Why there is no kubeconfig.
        kubeconfig: Box<KubeconfigError>,
        /// Why there is no service account.
        in_cluster: Box<kube::config::InClusterError>,
    },
    /// What it says cannot be made a client: certificates, a credential plugin.
    #[error("cannot make a Kubernetes client: {}", failure::message(.source))]
    Client {
        /// What is wrong.
        #[source]
        source: Box<kube::Error>,
    },
}

fn named_file(path: &Option<PathBuf>) -> String {
    path.as_ref().map(|path| format!(" {}", path.display())).unwrap_or_default()
}

fn named_context(name: &Option<String>) -> String {
    name.as_ref().map(|name| format!(", context {name:?}")).unwrap_or_default()
}

/// What follows the first line of a parser's message is an excerpt of the file, which holds credentials.
fn first_line(error: &KubeconfigError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

impl KubeError {
    /// The closed category.
    pub fn category(&self) -> FailureCategory {
        match self {
            Self::Kubeconfig { .. } | Self::NoCluster { .. } => FailureCategory::Expired,
            Self::Client { source } => failure::category(source),
        }
    }
}

/// Makes a client. Without a kubeconfig or context named, a kubeconfig is taken where there is one, else the pod's
/// service account. It does not call the API server.
pub async fn client(settings: &KubeSettings) -> Result<Client, KubeError> {
    let mut config = match &settings.url {
        Some(url) => Config::new(url.clone()),
        None => found(settings).await?,
    };
    // Its retries go on for minutes without telling anybody; a watch here has a back-off of its own.
    config.default_retry = false;
    Client::try_from(config).map_err(|source| KubeError::Client { source: Box::new(source) })
}

async fn found(settings: &KubeSettings) -> Result<Config, KubeError> {
    let options = KubeConfigOptions { context: settings.context.clone(), ..KubeConfigOptions::default() };
    let loaded = match &settings.kubeconfig {
        Some(path) => match Kubeconfig::read_from(path) {
            Ok(kubeconfig) => Config::from_custom_kubeconfig(kubeconfig, &options).await,
            Err(error) => Err(error),
        },
        None => Config::from_kubeconfig(&options).await,
    };
    match loaded {
        Ok(config) => Ok(config),
        Err(source) if settings.kubeconfig.is_some() || settings.context.is_some() => Err(KubeError::Kubeconfig {
            path: settings.kubeconfig.clone(),
            context: settings.context.clone(),
            source: Box::new(source),
        }),
        Err(kubeconfig) => Config::incluster()
            .map_err(|in_cluster| KubeError::NoCluster { kubeconfig: Box::new(kubeconfig), in_cluster: Box::new(in_cluster) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_looked_for_is_named() {
        let settings = KubeSettings { kubeconfig: Some("/nonexistent/config".into()), ..KubeSettings::default() };
        let error = client(&settings).await.err().unwrap();
        assert_eq!(error.category(), FailureCategory::Expired);
        assert!(error.to_string().starts_with("cannot use the kubeconfig /nonexistent/config: "), "{error}");
    }

    #[tokio::test]
    async fn a_kubeconfig_that_cannot_be_read_gives_no_credentials_away() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "apiVersion: v1\nkind: Config\nusers:\n- name: a\n  user: {token: c2VjcmV0 user: }\n")
            .unwrap();
        let settings = KubeSettings { kubeconfig: Some(file.path().to_owned()), ..KubeSettings::default() };
        let error = client(&settings).await.err().unwrap();
        let told = error.to_string();
        assert!(told.contains("line 5") && !told.contains("c2VjcmV0"), "{told}");
    }

    #[tokio::test]
    async fn an_unknown_context_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "apiVersion: v1\nkind: Config\nclusters: []\ncontexts: []\nusers: []\n").unwrap();
        let settings =
            KubeSettings { kubeconfig: Some(file.path().to_owned()), context: Some("prod".into()), ..KubeSettings::default() };
        let error = client(&settings).await.err().unwrap();
        assert!(error.to_string().contains("context \"prod\""), "{error}");
    }

    #[tokio::test]
    async fn a_kubeconfig_of_a_plain_server_is_enough() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters:\n- name: a\n  cluster: {server: 'http://127.0.0.1:1'}\n\
                    contexts:\n- name: a\n  context: {cluster: a, user: a}\nusers:\n- name: a\n  user: {}\n";
        std::fs::write(file.path(), text).unwrap();
        let settings = KubeSettings { kubeconfig: Some(file.path().to_owned()), ..KubeSettings::default() };
        assert!(client(&settings).await.is_ok());
    }
}
