//! Can the pods be reached as targets? Target type, IPv6, Fargate, the CNI, Windows, and who shares a name.

use super::case::Case;
use super::problem::{Rule, quoted};
use crate::controller::annotations::name;
use crate::controller::ownership::{Ownership, Unowned};
use crate::inventory::aws::{Scheme, TargetType};
use crate::inventory::kube::ServiceType;

/// Back ends of one Service that Kubernetes on Windows supports (EKS user guide).
pub(super) const WINDOWS_BACKENDS: usize = 1024;

pub(super) fn check(case: &mut Case<'_>) {
    owner(case);
    ipv6(case);
    backends(case);
    names(case);
}

fn owner(case: &mut Case<'_>) {
    let text = case.annotations.text(name::TARGET_TYPE);
    match case.owner {
        Ownership::Nobody(Unowned::NoTargetType) => {
            let message =
                format!("{} is external and {} is missing: nobody makes the load balancer.", name::TYPE, name::TARGET_TYPE);
            case.tell(Rule::NoOwner, name::TARGET_TYPE, message);
        }
        Ownership::Nobody(Unowned::OddTargetType) => {
            // T38.
            let text = text.unwrap_or_default();
            let message = format!(
                "{} is {}, which is neither ip nor instance, in small letters: nobody makes the load balancer.",
                name::TARGET_TYPE,
                quoted(text)
            );
            case.tell(Rule::NoOwner, name::TARGET_TYPE, message);
        }
        Ownership::Nobody(why) => {
            case.tell(Rule::NoOwner, name::TYPE, format!("Nobody makes the load balancer: {}.", why.because()));
        }
        _ => {}
    }
    if case.service.service_type == ServiceType::ClusterIp && case.target_type() == Some(TargetType::Instance) {
        let message = "The Service is of type ClusterIP and its targets are instances, which need a node port: the controller refuses it; use ip targets.";
        case.tell_spec(Rule::ClusterIp, "spec.type", message);
    }
}

fn ipv6(case: &mut Case<'_>) {
    if !case.service.ipv6 {
        return;
    }
    if case.dualstack() == Some(false) {
        let message = format!(
            "The Service has IPv6 in spec.ipFamilies, and the controller refuses it without {} dualstack.",
            name::IP_ADDRESS_TYPE
        );
        case.tell(Rule::Ipv6, name::IP_ADDRESS_TYPE, message);
    }
    if case.target_type() == Some(TargetType::Instance) {
        let message = "The Service has IPv6 in spec.ipFamilies and instance targets: IPv6 is balanced to ip targets only.";
        case.tell_spec(Rule::Ipv6, "spec.ipFamilies", message);
    }
}

fn backends(case: &mut Case<'_>) {
    let target_type = case.target_type();
    let backends = case.known.backends.unwrap_or_default();
    if backends.fargate > 0 && target_type == Some(TargetType::Instance) {
        let message = format!(
            "Of its {} pods {} run on Fargate, and its targets are instances: pods on Fargate are reached by ip targets only.",
            backends.pods, backends.fargate
        );
        case.tell(Rule::FargateInstance, name::TARGET_TYPE, message);
    }
    // A load balancer that exists has found its subnets.
    if backends.fargate > 0 && case.known.load_balancer.is_none() && case.scheme() == Some(Scheme::InternetFacing) {
        let message = format!(
            "Of its {} pods {} run on Fargate, which is in private subnets only, and its load balancer is internet-facing: it needs \
             public subnets of its own.",
            backends.pods, backends.fargate
        );
        case.tell(Rule::FargatePublic, name::SCHEME, message);
    }
    // Pods whose addresses are of the VPC's subnets are reached, whatever gave them out. Without any pod that is not known;
    // whoever asks about a manifest is told what is usual.
    let outside = match backends.pods {
        0 => case.known.assume_defaults,
        _ => backends.in_vpc == 0,
    };
    if case.known.vpc_cni == Some(false) && target_type == Some(TargetType::Ip) && outside {
        let message = "Its targets are pods (ip), and the cluster does not run the VPC CNI: other CNIs are balanced to by instance targets only.";
        case.tell(Rule::OtherCni, name::TARGET_TYPE, message);
    }
    if backends.windows > 0 && backends.pods > WINDOWS_BACKENDS {
        let message = format!(
            "{} pods stand behind it, {} of them on Windows nodes, where a Service supports {WINDOWS_BACKENDS}.",
            backends.pods, backends.windows
        );
        case.tell_spec(Rule::Windows, "spec.selector", message);
    }
}

/// T32.
fn names(case: &mut Case<'_>) {
    let (Some(text), Some(names)) = (case.read(name::NAME), case.known.names) else { return };
    let others: Vec<String> = names.others(text, &case.service.name).take(3).map(ToString::to_string).collect();
    if !others.is_empty() {
        let message = format!(
            "{} is {}, as for {}: they overwrite each other's load balancer.",
            name::NAME,
            quoted(text),
            others.join(", ")
        );
        case.tell(Rule::NameTaken, name::NAME, message);
    }
}
