//! What is kept of a TargetGroupBinding, the AWS Load Balancer Controller's or EKS Auto Mode's?

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector as ApiSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::Resource;
use kube::core::NamespaceResourceScope;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::batch::{Batch, Patch};
use super::fields::{created_at, non_empty, object_name, port_reference};
use super::reconciles;
use super::report::Change;
use super::watch::{Subject, Undecodable};
use crate::inventory::aws::TargetType;
use crate::inventory::ids::{Arn, ObjectName, VpcId};
use crate::inventory::kube::{
    BindingGroup, EventObject, LabelExpression, LabelOperator, LabelSelector, StringMap, TargetGroupBinding,
};
use crate::inventory::parts::Parts;
use crate::sources::intern::Interner;

/// A binding as it comes: the fields that are read.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Binding {
    metadata: ObjectMeta,
    spec: Spec,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(rename = "targetGroupARN", default)]
    target_group_arn: Option<String>,
    #[serde(default)]
    target_type: Option<String>,
    service_ref: ServiceRef,
    #[serde(default)]
    networking: Option<IgnoredAny>,
    #[serde(default)]
    node_selector: Option<ApiSelector>,
    #[serde(default)]
    multi_cluster_target_group: bool,
    #[serde(default)]
    iam_role_arn_to_assume: Option<String>,
    #[serde(rename = "vpcID", default)]
    vpc_id: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct ServiceRef {
    name: String,
    port: IntOrString,
}

impl Resource for Binding {
    type DynamicType = BindingGroup;
    type Scope = NamespaceResourceScope;

    fn kind(_: &BindingGroup) -> Cow<'_, str> {
        "TargetGroupBinding".into()
    }

    fn group(group: &BindingGroup) -> Cow<'_, str> {
        group.as_str().into()
    }

    fn version(group: &BindingGroup) -> Cow<'_, str> {
        match group {
            BindingGroup::LoadBalancerController => "v1beta1".into(),
            BindingGroup::AutoMode => "v1".into(),
        }
    }

    fn plural(_: &BindingGroup) -> Cow<'_, str> {
        "targetgroupbindings".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

pub(super) struct Bindings {
    pub(super) group: BindingGroup,
    pub(super) interner: Arc<Interner>,
}

impl Subject for Bindings {
    type Object = Binding;
    type Value = TargetGroupBinding;

    fn read(&self, object: Binding) -> Result<Option<TargetGroupBinding>, Undecodable> {
        binding(&object, self.group, &self.interner).map(Some)
    }

    fn knows_any(&self, known: &Parts) -> bool {
        known.target_group_bindings.get().is_some_and(|map| map.values().any(|binding| binding.group == self.group))
    }

    fn commit(&mut self, known: &Parts, batch: Batch<TargetGroupBinding>, now: Timestamp) -> Option<Change> {
        let listed = batch.list.is_some();
        let mine = |_: &ObjectName, binding: &TargetGroupBinding| binding.group == self.group;
        let patch = Patch::new(batch, known.target_group_bindings.get(), ObjectName::clone, mine, |_, _| {});
        if patch.is_empty() && !listed {
            return None;
        }
        Some(Box::new(move |parts| {
            let touched: Vec<_> = patch.entries().map(|(name, binding)| (name.clone(), binding.map(|b| b.created_at))).collect();
            patch.apply(&mut parts.target_group_bindings);
            reconciles::settle(parts, EventObject::TargetGroupBinding, &touched, listed, now);
        }))
    }
}

fn binding(object: &Binding, group: BindingGroup, interner: &Interner) -> Result<TargetGroupBinding, Undecodable> {
    let (metadata, spec) = (&object.metadata, &object.spec);
    let name = object_name(metadata, interner)?;
    let target_type = spec.target_type.as_deref().filter(|text| !text.is_empty());
    Ok(TargetGroupBinding {
        group,
        created_at: created_at(metadata)?,
        deleted_at: metadata.deletion_timestamp.as_ref().map(|time| time.0),
        target_group_arn: spec.target_group_arn.as_deref().filter(|arn| !arn.is_empty()).map(Arn::from),
        target_type: target_type.map(|text| TargetType::parse(text).unwrap_or(TargetType::Other)),
        service: interner.name(&name.namespace, &spec.service_ref.name),
        service_port: port_reference(&spec.service_ref.port, interner)?,
        networking: spec.networking.is_some(),
        node_selector: spec.node_selector.as_ref().map(|selector| label_selector(selector, interner)).transpose()?,
        multi_cluster: spec.multi_cluster_target_group,
        other_account: spec.iam_role_arn_to_assume.as_deref().is_some_and(|arn| !arn.is_empty()),
        vpc_id: non_empty(spec.vpc_id.as_deref(), interner).map(VpcId::new),
        stack: metadata.labels.as_ref().and_then(|labels| stack(labels, group, interner)),
        name,
    })
}

/// The labels with which a controller marks the bindings it made for a Service.
fn stack(labels: &BTreeMap<String, String>, group: BindingGroup, interner: &Interner) -> Option<ObjectName> {
    let (namespace, name) = match group {
        BindingGroup::LoadBalancerController => ("service.k8s.aws/stack-namespace", "service.k8s.aws/stack-name"),
        BindingGroup::AutoMode => ("service.eks.amazonaws.com/stack-namespace", "service.eks.amazonaws.com/stack-name"),
    };
    Some(interner.name(labels.get(namespace)?, labels.get(name)?))
}

fn label_selector(selector: &ApiSelector, interner: &Interner) -> Result<LabelSelector, Undecodable> {
    let expressions = selector.match_expressions.iter().flatten().map(|expression| {
        let operator = LabelOperator::parse(&expression.operator)
            .ok_or_else(|| Undecodable(format!("the operator {:?} of its nodeSelector is unknown", expression.operator)))?;
        Ok(LabelExpression {
            key: interner.get(&expression.key),
            operator,
            values: expression.values.iter().flatten().map(|value| interner.get(value)).collect(),
        })
    });
    Ok(LabelSelector {
        match_labels: selector.match_labels.as_ref().map_or_else(StringMap::new, |labels| interner.map(labels)),
        match_expressions: expressions.collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::inventory::kube::PortReference;

    fn read(spec: Value) -> Result<TargetGroupBinding, Undecodable> {
        let metadata = json!({"namespace": "a", "name": "b", "creationTimestamp": "2026-01-01T00:00:00Z"});
        let object = serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap();
        binding(&object, BindingGroup::LoadBalancerController, &Interner::default())
    }

    #[test]
    fn a_users_binding_has_no_stack_and_may_not_be_filled_in_yet() {
        let binding = read(json!({"targetGroupName": "mine", "serviceRef": {"name": "web", "port": "http"}})).unwrap();
        assert_eq!((binding.target_group_arn, binding.target_type, binding.stack), (None, None, None));
        assert_eq!(binding.service_port, PortReference::Name("http".into()));
        assert!(!binding.networking && !binding.multi_cluster && !binding.other_account);
    }

    #[test]
    fn everything_that_matters_is_read() {
        let spec = json!({
            "targetGroupARN": "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/x/1", "targetType": "instance",
            "serviceRef": {"name": "web", "port": 80}, "networking": {"ingress": []}, "multiClusterTargetGroup": true,
            "iamRoleArnToAssume": "arn:aws:iam::2:role/x", "vpcID": "vpc-1",
            "nodeSelector": {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "Exists"}]},
        });
        let binding = read(spec).unwrap();
        assert_eq!(binding.target_type, Some(TargetType::Instance));
        assert!(binding.networking && binding.multi_cluster && binding.other_account);
        assert_eq!(binding.vpc_id, Some(VpcId::from("vpc-1")));
        let labels = |text: &str| StringMap::from([("a".into(), "b".into()), (text.into(), "".into())]);
        let selector = binding.node_selector.unwrap();
        assert!(selector.matches(&labels("c")) && !selector.matches(&labels("d")));
    }

    #[test]
    fn an_unknown_target_type_is_neither_of_the_known() {
        let binding = read(json!({"targetType": "pod", "serviceRef": {"name": "web", "port": 80}})).unwrap();
        assert_eq!(binding.target_type, Some(TargetType::Other));
    }
}
