//! Which Deployment is the AWS Load Balancer Controller, in which version and with which flags?
//!
//! Found by its label `app.kubernetes.io/name`, which chart and manifest set. The chart's `nameOverride` changes that
//! label; then the image tells. A Deployment of another label can only be found by looking at all: that second watch
//! runs only while the first finds none, and only over Deployments that a Helm chart made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1 as api;
use k8s_openapi::api::core::v1::Container;
use tokio::sync::watch;

use super::batch::{Batch, Patch};
use super::fields::object_name;
use super::report::Change;
use super::watch::{Subject, Undecodable};
use crate::inventory::ids::ObjectName;
use crate::inventory::kube::{ControllerDeployment, StringMap, Version};
use crate::inventory::parts::Parts;
use crate::sources::intern::Interner;

/// The name of chart, image and container.
const NAME: &str = "aws-load-balancer-controller";

/// The Deployments that say they are it.
pub(super) const LABELLED: &str = "app.kubernetes.io/name=aws-load-balancer-controller";

/// Deployments of Helm charts that do not.
pub(super) const OTHERS: &str = "helm.sh/chart,app.kubernetes.io/name!=aws-load-balancer-controller";

pub(super) struct Controllers {
    /// Whether the label already says so; else the image has to.
    pub(super) labelled: bool,
    pub(super) interner: Arc<Interner>,
    /// What this watch found: the other watch, and that of the Lease, go by it. `None` until it is complete.
    pub(super) found: watch::Sender<Option<BTreeSet<ObjectName>>>,
}

impl Controllers {
    /// Forgets what this watch found.
    pub(super) fn clear(&mut self, known: &Parts, now: Timestamp) -> Option<Change> {
        let change = self.commit(known, Batch { list: Some(BTreeMap::new()), ..Batch::default() }, now);
        self.found.send_replace(None);
        change
    }
}

impl Subject for Controllers {
    type Object = api::Deployment;
    type Value = ControllerDeployment;

    fn read(&self, object: api::Deployment) -> Result<Option<ControllerDeployment>, Undecodable> {
        deployment(&object, self.labelled, &self.interner)
    }

    fn commit(&mut self, known: &Parts, batch: Batch<ControllerDeployment>, _: Timestamp) -> Option<Change> {
        let listed = batch.list.is_some();
        let owned = self.found.borrow().clone();
        let mine = |name: &ObjectName, _: &ControllerDeployment| owned.as_ref().is_some_and(|owned| owned.contains(name));
        let patch = Patch::new(batch, known.controllers.get(), ObjectName::clone, mine, |_, _| {});
        let mut now_found = owned.clone().unwrap_or_default();
        for (name, value) in patch.entries() {
            match value {
                Some(_) => now_found.insert(name.clone()),
                None => now_found.remove(name),
            };
        }
        let is_news = owned.as_ref() != Some(&now_found);
        if (listed || owned.is_some()) && is_news {
            self.found.send_replace(Some(now_found));
        }
        if patch.is_empty() {
            return None;
        }
        Some(Box::new(move |parts| patch.apply(&mut parts.controllers)))
    }
}

fn deployment(
    object: &api::Deployment,
    labelled: bool,
    interner: &Interner,
) -> Result<Option<ControllerDeployment>, Undecodable> {
    let spec = &object.spec;
    let containers = spec.template.spec.as_ref().map(|pod| pod.containers.as_slice()).unwrap_or_default();
    let Some(container) = controller_container(containers, labelled) else { return Ok(None) };
    let image = container.image.as_deref().unwrap_or_default();
    let label = object.metadata.labels.as_ref().and_then(|labels| labels.get("app.kubernetes.io/version"));
    let status = object.status.as_ref();
    let count = |number: i32| u32::try_from(number).unwrap_or_default();
    Ok(Some(ControllerDeployment {
        name: object_name(&object.metadata, interner)?,
        version: image_tag(image).and_then(Version::parse).or_else(|| label.and_then(|label| Version::parse(label))),
        image: image.into(),
        flags: flags(container),
        replicas: spec.replicas.map_or(1, count),
        // A 0 is left out of the status: once the status was written at all, a missing number is a 0.
        available_replicas: status.and_then(|status| {
            let written = status.observed_generation.is_some();
            status.available_replicas.map(count).or(written.then_some(0))
        }),
    }))
}

/// The container the controller runs in. An image of that name is proof; in a Deployment with the controller's label so
/// is its container's name (a mirror may call the image anything) or the one flag the controller cannot do without.
fn controller_container(containers: &[Container], labelled: bool) -> Option<&Container> {
    let by_image = |container: &&Container| image_name(container.image.as_deref().unwrap_or_default()) == NAME;
    let by_name = |container: &&Container| container.name == NAME || container.name == "controller";
    let by_flag = |container: &&Container| flags(container).contains_key("cluster-name");
    let found = containers.iter().find(by_image);
    if !labelled {
        return found;
    }
    found.or_else(|| containers.iter().find(by_name)).or_else(|| containers.iter().find(by_flag))
}

/// `registry:5000/path/NAME:tag@digest` → `NAME`.
fn image_name(image: &str) -> &str {
    let last = image.split('@').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    last.split(':').next().unwrap_or_default()
}

fn image_tag(image: &str) -> Option<&str> {
    let last = image.split('@').next()?.rsplit('/').next()?;
    last.split_once(':').map(|(_, tag)| tag)
}

/// `--key=value`, `--key value` and bare `--key`, from command and arguments; the last of a key counts, as for the
/// controller itself.
fn flags(container: &Container) -> StringMap {
    let words: Vec<Option<String>> =
        container.command.iter().flatten().chain(container.args.iter().flatten()).map(|word| expanded(word, container)).collect();
    let mut flags = StringMap::new();
    let mut rest = words.iter().peekable();
    while let Some(word) = rest.next() {
        let Some(flag) = word.as_deref().and_then(|word| word.strip_prefix("--")) else { continue };
        if let Some((key, value)) = flag.split_once('=') {
            flags.insert(key.into(), value.into());
            continue;
        }
        // Flags that are switches never take the next word for a value.
        let switch = ["enable-", "disable-", "tolerate-"].iter().any(|prefix| flag.starts_with(prefix));
        let takes_next = !switch && rest.peek().is_some_and(|next| next.as_deref().is_none_or(|next| !next.starts_with('-')));
        match (takes_next, takes_next.then(|| rest.next()).flatten()) {
            (true, Some(Some(value))) => flags.insert(flag.into(), value.as_str().into()),
            // Its value cannot be told from here.
            (true, _) => flags.remove(flag),
            (false, _) => flags.insert(flag.into(), "true".into()),
        };
    }
    flags
}

/// Replaces `$(NAME)` by the container's own variables; `None` where one comes from elsewhere: a flag with an unknown
/// value is an unknown flag.
fn expanded(word: &str, container: &Container) -> Option<String> {
    let mut text = String::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once("$(") {
        let Some((name, behind)) = after.split_once(')') else { break };
        let variable = container.env.iter().flatten().find(|variable| variable.name == name)?;
        text.push_str(before);
        text.push_str(variable.value.as_deref()?);
        rest = behind;
    }
    text.push_str(rest);
    Some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(container: Value, labelled: bool) -> Option<ControllerDeployment> {
        let object = json!({
            "metadata": {"namespace": "kube-system", "name": "lbc", "labels": {"app.kubernetes.io/version": "v2.7.1"}},
            "spec": {"selector": {}, "template": {"spec": {"containers": [{"name": "proxy", "image": "envoy:v1.2.3"}, container]}}},
        });
        deployment(&serde_json::from_value(object).unwrap(), labelled, &Interner::default()).unwrap()
    }

    #[test]
    fn the_image_tells_the_version_and_the_label_where_it_cannot() {
        let version = |image: &str| read(json!({"name": "x", "image": image}), false).and_then(|found| found.version);
        assert_eq!(version("public.ecr.aws/eks/aws-load-balancer-controller:v2.8.2"), Some(Version::new(2, 8, 2)));
        assert_eq!(version("r:5000/a/aws-load-balancer-controller:2.13.0@sha256:00"), Some(Version::new(2, 13, 0)));
        assert_eq!(version("r:5000/a/aws-load-balancer-controller@sha256:00"), Some(Version::new(2, 7, 1)));
        assert_eq!(version("r:5000/a/aws-load-balancer-controller:stable"), Some(Version::new(2, 7, 1)));
    }

    #[test]
    fn another_deployment_is_not_taken_for_it() {
        for image in ["nginx:v2.8.2", "x/not-aws-load-balancer-controller:v1.0.0", "aws-load-balancer-controller/sidecar:v1.0.0"]
        {
            assert!(
                read(json!({"name": "controller", "image": image, "args": ["--cluster-name=a"]}), false).is_none(),
                "{image}"
            );
        }
        assert!(read(json!({"name": "x", "image": "nginx"}), true).is_none(), "the label alone proves little");
    }

    #[test]
    fn a_mirrored_image_of_another_name_is_found_by_the_label() {
        let by_name = read(json!({"name": "controller", "image": "mirror/lbc:v2.9.0"}), true).unwrap();
        assert_eq!((by_name.version, &*by_name.image), (Some(Version::new(2, 9, 0)), "mirror/lbc:v2.9.0"));
        assert!(read(json!({"name": "x", "image": "mirror/lbc", "args": ["--cluster-name", "a"]}), true).is_some());
    }

    #[test]
    fn flags_are_read_in_every_form() {
        let found = read(
            json!({
                "name": "controller", "image": "aws-load-balancer-controller:v2.8.2",
                "command": ["/controller", "--aws-region", "eu-west-1"],
                "args": ["--cluster-name=$(CLUSTER)", "--enable-shield", "false", "--aws-vpc-id=$(VPC)", "--ingress-class",
                         "--sync-period", "1h", "--feature-gates=A=true,B=false", "--sync-period=2h", "-v=2"],
                "env": [{"name": "CLUSTER", "value": "demo"}, {"name": "VPC", "valueFrom": {}}],
            }),
            false,
        )
        .unwrap();
        let flags: Vec<(&str, &str)> = found.flags.iter().map(|(key, value)| (&**key, &**value)).collect();
        let expected = [
            ("aws-region", "eu-west-1"),
            ("cluster-name", "demo"),
            ("enable-shield", "true"),
            ("feature-gates", "A=true,B=false"),
            ("ingress-class", "true"),
            ("sync-period", "2h"),
        ];
        assert_eq!(flags, expected);
        assert!(found.gate("A", false) && !found.gate("B", true));
    }

    #[test]
    fn a_status_without_the_number_means_none_available() {
        let available = |status: Value| {
            let container = json!({"name": "x", "image": "aws-load-balancer-controller:v2.8.2"});
            let object = json!({
                "metadata": {"namespace": "a", "name": "b"}, "status": status,
                "spec": {"selector": {}, "template": {"spec": {"containers": [container]}}},
            });
            let found = deployment(&serde_json::from_value(object).unwrap(), true, &Interner::default());
            let found = found.unwrap().unwrap();
            assert_eq!(found.replicas, 1, "the API's default");
            found.available_replicas
        };
        assert_eq!(available(json!({"observedGeneration": 3, "availableReplicas": 2})), Some(2));
        assert_eq!(available(json!({"observedGeneration": 3, "unavailableReplicas": 2})), Some(0));
        assert_eq!(available(json!({})), None, "nobody has written it yet");
    }
}
