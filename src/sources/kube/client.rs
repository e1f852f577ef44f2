//! How is the API server reached? The pod's service account or a kubeconfig, and what was looked for when there is neither.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

use super::KubeSettings;
use super::bounded::BoundedAnswers;
use super::failure;
use crate::inventory::part::FailureCategory;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum KubeError {
    /// The kubeconfig that was named, or the context in it, cannot be used.
    #[error("cannot use the kubeconfig{}{}: {}", named_file(.path), named_context(.context), first_line(.why))]
    Kubeconfig {
        /// The file; `None` for `$KUBECONFIG` or `~/.kube/config`.
        path: Option<PathBuf>,
        /// The context; `None` for the current one.
        context: Option<String>,
        /// What is wrong with it. No source: whoever prints the chain of causes would print the excerpt.
        why: Box<KubeconfigError>,
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
    let builder = ClientBuilder::try_from(config).map_err(|source| KubeError::Client { source: Box::new(source) })?;
    Ok(builder.with_layer(&BoundedAnswers).build())
}

async fn found(settings: &KubeSettings) -> Result<Config, KubeError> {
    let options = KubeConfigOptions { context: settings.context.clone(), ..KubeConfigOptions::default() };
    let read = match &settings.kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let loaded = match read {
        Ok(kubeconfig) => load(kubeconfig, &options).await,
        Err(error) => Err(error),
    };
    match loaded {
        Ok(config) => Ok(config),
        Err(source) if settings.kubeconfig.is_some() || settings.context.is_some() => Err(KubeError::Kubeconfig {
            path: settings.kubeconfig.clone(),
            context: settings.context.clone(),
            why: Box::new(source),
        }),
        Err(kubeconfig) => Config::incluster()
            .map_err(|in_cluster| KubeError::NoCluster { kubeconfig: Box::new(kubeconfig), in_cluster: Box::new(in_cluster) }),
    }
}

/// What a kubeconfig says, with the proxy that is meant for its API server.
async fn load(kubeconfig: Kubeconfig, options: &KubeConfigOptions) -> Result<Config, KubeconfigError> {
    let names_a_proxy = names_a_proxy(&kubeconfig, options.context.as_deref());
    let mut config = Config::from_custom_kubeconfig(kubeconfig, options).await?;
    if !names_a_proxy {
        // kube compares NO_PROXY with the proxy's own address, not with the API server's.
        config.proxy_url = environments_proxy(&config.cluster_url);
    }
    Ok(config)
}

/// Whether the context's cluster has a `proxy-url`, which comes before the environment.
fn names_a_proxy(kubeconfig: &Kubeconfig, context: Option<&str>) -> bool {
    let context = context.or(kubeconfig.current_context.as_deref());
    let named = kubeconfig.contexts.iter().find(|named| Some(&*named.name) == context);
    let cluster = named.and_then(|named| named.context.as_ref()).map(|context| &*context.cluster);
    let named = kubeconfig.clusters.iter().find(|named| Some(&*named.name) == cluster);
    named.and_then(|named| named.cluster.as_ref()?.proxy_url.as_ref()).is_some_and(|url| !url.is_empty())
}

/// The proxy that `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` (or the same in small letters) mean for a server.
fn environments_proxy(server: &Uri) -> Option<Uri> {
    let intercept = Matcher::from_env().intercept(server)?;
    let proxy = intercept.uri();
    let credentials = intercept.basic_auth().and_then(|header| header.to_str().ok()?.strip_prefix("Basic "));
    let Some(credentials) = credentials.and_then(|encoded| BASE64.decode(encoded).ok()) else { return Some(proxy.clone()) };
    // Name and password as a URL can carry them; the colon between them stays.
    let escaped: String = credentials
        .iter()
        .map(|byte| if byte.is_ascii_alphanumeric() || *byte == b':' { char::from(*byte).into() } else { format!("%{byte:02X}") })
        .collect();
    let (scheme, authority) = (proxy.scheme_str().unwrap_or("http"), proxy.authority()?);
    format!("{scheme}://{escaped}@{authority}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubeconfigs_own_proxy_is_found_by_its_context() {
        let text = "apiVersion: v1\nkind: Config\ncurrent-context: plain\nclusters:\n- name: a\n  cluster: {server: 'https://a'}\n\
                    - name: b\n  cluster: {server: 'https://b', proxy-url: 'http://proxy:3128'}\ncontexts:\n\
                    - name: plain\n  context: {cluster: a, user: u}\n- name: proxied\n  context: {cluster: b, user: u}\n\
                    users:\n- name: u\n  user: {}\n";
        let kubeconfig = Kubeconfig::from_yaml(text).unwrap();
        assert!(!names_a_proxy(&kubeconfig, None));
        assert!(names_a_proxy(&kubeconfig, Some("proxied")) && !names_a_proxy(&kubeconfig, Some("nobody's")));
    }

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
        let chain = format!("{:#}", anyhow::Error::from(error));
        assert!(!chain.contains("c2VjcmV0"), "{chain}");
    }

    #[tokio::test]
    async fn a_client_that_cannot_be_made_gives_no_keys_and_no_passwords_away() {
        const SECRET: &str = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC";
        let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let user = |key: &str| {
            format!("client-certificate-data: {}, client-key-data: {}", BASE64.encode(certificate), BASE64.encode(key))
        };
        let mut all = vec![("".to_owned(), format!(", proxy-url: 'socks5://nlb:{SECRET}@proxy:1080'"))];
        for key in [
            // Its line breaks were lost on the way.
            format!("-----BEGIN PRIVATE KEY-----{SECRET}-----END PRIVATE KEY-----\n"),
            format!("-----BEGIN PRIVATE KEY-----{SECRET}\n"),
            format!("-----BEGIN PRIVATE KEY-----\n{SECRET}\n"),
        ] {
            let authority = format!(", certificate-authority-data: {}", BASE64.encode(&key));
            all.extend([(user(&key), String::new()), (String::new(), authority)]);
        }
        // As the parser itself would spell bytes.
        let bytes = format!("{:?}", SECRET.as_bytes());
        for (user, cluster) in all {
            let file = tempfile::NamedTempFile::new().unwrap();
            let text = format!(
                "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters:\n- name: a\n  cluster: {{server: 'https://127.0.0.1:1'{cluster}}}\n\
                 contexts:\n- name: a\n  context: {{cluster: a, user: a}}\nusers:\n- name: a\n  user: {{{user}}}\n"
            );
            std::fs::write(file.path(), text).unwrap();
            let settings = KubeSettings { kubeconfig: Some(file.path().to_owned()), ..KubeSettings::default() };
            let Err(error) = client(&settings).await else {
                assert!(user.is_empty() && cluster.contains("authority"), "{user}{cluster} is of no use");
                continue;
            };
            let told = error.to_string();
            assert!(!told.contains(SECRET) && !told.contains(bytes.trim_matches(['[', ']'])) && told.len() < 300, "{told}");
        }
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
