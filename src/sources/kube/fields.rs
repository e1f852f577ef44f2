//! How are fields of the API that may be absent or odd resolved? Once, here, for all kinds.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::watch::Undecodable;
use crate::inventory::ids::ObjectName;
use crate::inventory::kube::{PortReference, Protocol};

use crate::sources::intern::Interner;

/// Namespace and name.
pub(super) fn object_name(metadata: &ObjectMeta, interner: &Interner) -> Result<ObjectName, Undecodable> {
    let name = metadata.name.as_deref().ok_or_else(|| Undecodable("it has no name".into()))?;
    Ok(interner.name(metadata.namespace.as_deref().unwrap_or_default(), name))
}

/// `metadata.creationTimestamp`, which the API server always sets.
pub(super) fn created_at(metadata: &ObjectMeta) -> Result<Timestamp, Undecodable> {
    let created = metadata.creation_timestamp.as_ref().ok_or_else(|| Undecodable("it has no creationTimestamp".into()))?;
    Ok(created.0)
}

/// A port's protocol; TCP where it is left out.
pub(super) fn protocol(text: Option<&str>) -> Result<Protocol, Undecodable> {
    let text = text.unwrap_or("TCP");
    Protocol::parse(text).ok_or_else(|| Undecodable(format!("the protocol {text:?} is unknown")))
}

/// A port number.
pub(super) fn port(number: i32) -> Result<u16, Undecodable> {
    u16::try_from(number).ok().filter(|port| *port > 0).ok_or_else(|| Undecodable(format!("{number} is no port")))
}

/// A port that is 0 or left out where there is none.
pub(super) fn optional_port(number: Option<i32>) -> Result<Option<u16>, Undecodable> {
    number.filter(|number| *number != 0).map(port).transpose()
}

/// A port by number or name.
pub(super) fn port_reference(reference: &IntOrString, interner: &Interner) -> Result<PortReference, Undecodable> {
    Ok(match reference {
        IntOrString::Int(number) => PortReference::Number(port(*number)?),
        IntOrString::String(name) => PortReference::Name(interner.get(name)),
    })
}

/// A text that is absent or empty.
pub(super) fn non_empty(text: Option<&str>, interner: &Interner) -> Option<Arc<str>> {
    text.filter(|text| !text.is_empty()).map(|text| interner.get(text))
}
