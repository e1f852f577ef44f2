//! Is the Amazon VPC CNI there? Its DaemonSet `kube-system/aws-node`.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::DaemonSet;

use super::batch::Batch;
use super::report::Change;
use super::watch::{Subject, Undecodable};
use crate::inventory::parts::Parts;

/// The DaemonSet's name.
pub(super) const NAME: &str = "aws-node";

/// Its namespace.
pub(super) const NAMESPACE: &str = "kube-system";

pub(super) struct VpcCni;

impl Subject for VpcCni {
    type Object = DaemonSet;
    type Value = ();

    fn read(&self, _: DaemonSet) -> Result<Option<()>, Undecodable> {
        Ok(Some(()))
    }

    fn commit(&mut self, known: &Parts, batch: Batch<()>, _: Timestamp) -> Option<Change> {
        // One that cannot be read exists.
        let listed = batch.list.map(|list| !list.is_empty() || !batch.unreadable.is_empty());
        let changed = batch.changes.into_values().next_back().map(|object| object.is_some());
        let exists = changed.or(listed)?;
        if known.vpc_cni.get() == Some(&exists) {
            return None;
        }
        Some(Box::new(move |parts| parts.vpc_cni.value = Some(Arc::new(exists))))
    }
}
