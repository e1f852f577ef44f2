//! Which findings are there? The catalogue: one entry a code, in one place.

use super::model::{FindingKind, Severity};
use Severity::{Critical, Info, Warning};

macro_rules! catalogue {
    ($($name:ident = $code:literal $severity:ident $title:literal $action:literal),+ $(,)?) => {
        $(
            #[doc = concat!($code, ": ", $title)]
            pub static $name: FindingKind = FindingKind { code: $code, severity: $severity, title: $title, action: $action };
        )+
        /// All of them, by code.
        pub static ALL: &[&FindingKind] = &[$(&$name),+];
    };
}

catalogue! {
    NO_HEALTHY_TARGET = "NLB101" Critical "A target group has endpoints and no healthy target."
        "Look at the reason of each target: failed health checks point to the pods or their security group, registration to the controller.",
    UNHEALTHY_TARGETS = "NLB102" Warning "Some targets of a target group are not healthy."
        "Look at the pods or nodes named by the per-target series and at the health check's port and path.",
    DARK_ZONE = "NLB103" Critical "A zone of a load balancer has targets and none of them is healthy, and cross-zone is off."
        "Clients that resolve this zone's address are sent elsewhere or fail: bring a healthy target back in that zone or switch cross-zone on.",
    MISSING_TARGETS = "NLB104" Warning "Ready endpoints or eligible nodes are not registered in the target group."
        "Look at the events of the TargetGroupBinding and at the controller's log.",
    UNEXPECTED_TARGETS = "NLB105" Info "Targets are registered that no endpoint or node of the cluster stands behind."
        "Deregister them, or find out who registers them.",
    LOAD_BALANCER_NOT_ACTIVE = "NLB107" Critical "AWS reports a load balancer as failed or impaired."
        "Read the state's reason; a failed load balancer has to be created again.",
    SUBNET_NEARLY_FULL = "NLB201" Warning "A subnet has fewer than the 8 free addresses that a load balancer needs."
        "Free addresses in the subnet or tag another subnet of the zone.",
    NO_USABLE_ZONE = "NLB202" Critical "No zone has a subnet that a new load balancer of a scheme in use could be put in."
        "See the verdict of each subnet: tags, free addresses, cluster.",
    ODD_ROLE_TAG_VALUE = "NLB203" Warning "A subnet's role tag has a value that the controller does not accept."
        "Set the tag's value to 1 or to the empty string.",
    SHARED_UNTAGGED_SUBNETS = "NLB204" Warning "Several clusters share a VPC and the subnets that load balancers are put in carry no cluster tag."
        "Tag each subnet with kubernetes.io/cluster/NAME for every cluster that may use it; a subnet tagged for others only is left alone.",
    ROLE_CONTRADICTS_ROUTE = "NLB205" Warning "A subnet's role tag contradicts its route table."
        "Give the subnet's route table an internet gateway route, or move the tag to a subnet that has one.",
    SUBNET_LOW = "NLB206" Info "A subnet has fewer than 16 free addresses."
        "Plan for more address space before the next load balancers.",
    NO_PRIVATE_SUBNET = "NLB207" Warning "Internal load balancers are wanted and every subnet they can be put in is public."
        "Tag private subnets with kubernetes.io/role/internal-elb, or add some to the VPC.",
    RULES_EXHAUSTED = "NLB301" Critical "A security group of the load balancers' endpoints has no room for the rules of one more load balancer."
        "Raise the quota on rules per security group; other ways out are ip targets, one Ingress in place of several Services, or another account.",
    RULES_NEARLY_EXHAUSTED = "NLB302" Warning "A security group is close to its quota of rules."
        "Raise the quota on rules per security group before it is reached.",
    RULES_BEYOND_LIMIT = "NLB303" Info "More rules are counted than the quota allows, which AWS does not permit: the count or the limit is wrong."
        "Compare with the console and report it; a quota that was lowered later is the only other cause.",
    UNKNOWN_PREFIX_LIST_WEIGHT = "NLB304" Info "A security group refers to a prefix list of unknown size, so its rules are counted as at least so many."
        "Allow ec2:DescribeManagedPrefixLists, or report the list's name.",
    QUOTA_EXHAUSTED = "NLB401" Critical "A quota leaves no room for one more load balancer."
        "Ask for a quota increase or delete what is not used.",
    QUOTA_NEARLY_EXHAUSTED = "NLB402" Warning "A quota is nearly used up."
        "Ask for a quota increase in time.",
    QUOTA_ASSUMED = "NLB403" Info "A quota's limit could not be read, so AWS's default is assumed and nothing pages on it."
        "Allow servicequotas:GetServiceQuota, servicequotas:ListServiceQuotas and elasticloadbalancing:DescribeAccountLimits.",
    QUOTA_BEYOND_LIMIT = "NLB404" Info "More is counted than a quota allows, which AWS does not permit: the count or the limit is wrong."
        "Compare with the console and report it; a limit that was changed within the last hour explains it too.",
    VPC_OF_ANOTHER_ACCOUNT = "NLB405" Info "The VPC is shared by another account, and what others use of it cannot be seen."
        "Watch the VPC's quotas from the account that owns it; for them nothing is said here.",
    DRIFT = "NLB501" Warning "AWS is not as an annotation of the Service says."
        "The controller repairs this at its next reconcile: restart it or touch the Service, and find out who changed AWS.",
    DRIFT_NEVER_REPAIRED = "NLB502" Warning "An annotation that is read at creation only differs from AWS, and the controller never repairs that."
        "Put the annotation back, or replace the load balancer in a planned window.",
    EDITED = "NLB503" Info "Annotations of a Service were edited after its load balancer was created."
        "EKS advises against it: check that each of them took effect, or create the Service again in a planned window.",
    EDITED_IN_VAIN = "NLB504" Warning "An annotation that is read only when the load balancer is created was edited afterwards, and never takes effect."
        "Put the annotation back, or replace the load balancer in a planned window.",
    HISTORY_LOST = "NLB505" Info "What was remembered of the Services' annotations was lost, so edits made before now are not known."
        "Look at the log for the reason; of each Service that exists only what is edited from now on is noticed.",
    SERVICE_BLOCKED = "NLB510" Warning "The controller cannot reconcile a Service."
        "The event's message names the cause; until it is gone no annotation of the Service takes effect.",
    BINDING_BLOCKED = "NLB511" Warning "The controller cannot reconcile a TargetGroupBinding."
        "The event's message names the cause; until it is gone no target is registered or deregistered.",
    QUOTA_NAMED_BY_EVENT = "NLB512" Critical "The controller was refused by AWS because of a quota."
        "The event's message names the quota; raise it or free room.",
    LINT_MISSPELT = "NLB601" Warning "A Service has an annotation that no controller reads and whose name is nearly one that it reads."
        "Rename it as the message says.",
    LINT_UNKNOWN = "NLB602" Info "A Service has an annotation that is named as the controller's are, and none of that name is known."
        "Look for the name in the controller's documentation; without a meaning, remove it.",
    LINT_NOT_READ_YET = "NLB603" Warning "A Service has an annotation that the running version of the controller does not read yet."
        "Upgrade the controller, or remove the annotation.",
    LINT_REFUSED = "NLB604" Warning "A Service has a value for which it is refused as a whole."
        "Correct the value: until then nothing of the Service is reconciled.",
    LINT_MISREAD = "NLB605" Warning "A Service has a value that is accepted and means something else than it seems to."
        "Write the value as the message says.",
    LINT_DEPRECATED = "NLB606" Info "A Service uses a deprecated annotation, which still works."
        "Use its successor for new Services.",
    LINT_IN_VAIN = "NLB607" Warning "A Service has an annotation or field that has no effect beside what else is set."
        "Remove it, or change what the message names, so that the Service does what it says.",
    LINT_MISPLACED = "NLB608" Warning "A Service has an annotation of another controller or of another kind of object."
        "Remove it, or use the annotation that this Service's controller reads.",
    LINT_ADDRESSES = "NLB609" Warning "A Service's static addresses do not fit its subnets, scheme or address type."
        "Give one address for each subnet, of the kind that the scheme takes.",
    LINT_IPV6 = "NLB610" Warning "An IPv6 Service lacks what IPv6 needs: a dual-stack load balancer and ip targets."
        "Set aws-load-balancer-ip-address-type to dualstack and use ip targets.",
    LINT_FARGATE_INSTANCE = "NLB611" Warning "Pods on Fargate stand behind instance targets, which never reach them."
        "Use ip targets.",
    LINT_FARGATE_PUBLIC = "NLB612" Info "Pods on Fargate, which are in private subnets, stand behind an internet-facing load balancer."
        "Make sure that public subnets exist for the load balancer.",
    LINT_OTHER_CNI = "NLB613" Warning "A Service has ip targets, and the cluster does not run the VPC CNI."
        "Use instance targets.",
    LINT_SHARED_PORT = "NLB614" Warning "A Service has one port number with two protocols, and only one of them gets a listener."
        "Enable TCP_UDP listeners, or give each protocol a port number of its own.",
    LINT_NAME_TAKEN = "NLB615" Warning "Two Services give their load balancer the same name."
        "Give each load balancer a name of its own; they overwrite each other until then.",
    LINT_WINDOWS = "NLB616" Warning "More than 1,024 pods stand behind a Service with pods on Windows nodes."
        "Split the Service.",
    LINT_STYLE = "NLB617" Info "A Service's annotation works and could be written more clearly."
        "Write it as the message says when the Service is edited anyway.",
    LINT_AUTO_MODE = "NLB618" Warning "A Service of EKS Auto Mode has an annotation that Auto Mode does not support."
        "Remove it, and use the setting that Auto Mode has for it.",
    LINT_CLUSTER_IP = "NLB619" Warning "A Service of type ClusterIP has instance targets, which need a node port."
        "Use ip targets, or the type LoadBalancer.",
    OWNED_BY_NOBODY = "NLB701" Warning "A Service asks for a load balancer and no controller owns it."
        "Add the annotation aws-load-balancer-nlb-target-type, or set spec.loadBalancerClass on a new Service.",
    IN_TREE_OWNED = "NLB702" Info "A Service is owned by the in-tree provider instead of the AWS Load Balancer Controller."
        "Plan a migration: a new Service with the controller's annotations, then move traffic.",
    DUPLICATE_LOAD_BALANCERS = "NLB703" Warning "Several load balancers carry the tags of one Service."
        "See which of them the Service's status names and where clients go, then delete the others with their target groups.",
    ORPHANED_LOAD_BALANCER = "NLB704" Warning "A load balancer of this cluster belongs to an object that does not exist."
        "Make sure that no other cluster of the same name uses it, then delete it with its target groups and security group.",
    ORPHANED_TARGET_GROUP = "NLB705" Warning "A target group of this cluster belongs to an object that does not exist."
        "Make sure that no other cluster of the same name uses it, then delete it.",
    ORPHANED_SECURITY_GROUP = "NLB706" Info "A managed security group of this cluster belongs to an object that does not exist."
        "Make sure that no other cluster of the same name uses it, then delete the rules that refer to it and the group.",
    ORPHANED_RULES = "NLB707" Warning "A security group has rules of load balancers that do not exist, and they use up its quota."
        "Delete the rules named by their description.",
    UNUSED_TARGET_GROUP = "NLB708" Info "A target group of a Service is used by no load balancer."
        "Delete it if the Service's load balancer works without it, as a replaced one would be.",
    STUCK_DELETION = "NLB709" Warning "A Service has been in deletion for long, and a controller's finalizer holds it."
        "Read the controller's events and log: deletion protection, a missing permission, or no controller that cleans up.",
    NO_CONTROLLER = "NLB710" Warning "No AWS Load Balancer Controller was found in the cluster, and Services need it."
        "Install the controller, 2.7.2 or newer.",
    OLD_CONTROLLER = "NLB711" Warning "The AWS Load Balancer Controller is older than 2.7.2."
        "Upgrade the controller.",
    TWO_CONTROLLERS = "NLB712" Warning "More than one AWS Load Balancer Controller runs in the cluster."
        "Keep one: two revoke each other's security group rules and fight for the same load balancers.",
    CONTROLLER_UNAVAILABLE = "NLB713" Critical "The AWS Load Balancer Controller has no available replica, and Services need it."
        "Look at its pods: until one is ready nothing is reconciled, and its webhooks refuse new Services.",
    SERVICE_PENDING = "NLB714" Warning "A Service has waited long for its load balancer, and nothing tells why."
        "Look at the controller's log for this Service, and whether it runs with the expected cluster name and Region.",
    LOAD_BALANCER_GONE = "NLB715" Critical "The load balancer that a Service's status names does not exist."
        "Have the controller make it again, by a restart of it or a change of the Service, and see who uses the old DNS name: the new one differs.",
    SOURCE_DOWN = "NLB901" Warning "A source fails."
        "The failure names the call and the reason; the values it feeds grow old and then vanish.",
    SOURCE_DENIED = "NLB902" Warning "A permission is missing."
        "Grant the named action; only what needs it is missing until then.",
    SOURCE_STALE = "NLB903" Warning "A source has not been refreshed for several of its intervals."
        "Look at its failures, at throttling and at the exporter's own budget.",
    RESOURCES_MISSING = "NLB904" Info "Some resources of a source could not be read."
        "Look at the log for the resources' names.",
    MUTE_NOT_FOLLOWED = "NLB906" Info "A mute annotation of a Service has run out or cannot be read."
        "Write it as CODES until DATE: reason, at most 90 days ahead, or remove it.",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_sorted_and_texts_are_sentences() {
        assert!(ALL.windows(2).all(|pair| pair[0].code < pair[1].code));
        for kind in ALL {
            assert!(kind.title.ends_with('.') && kind.action.ends_with('.'), "{}", kind.code);
        }
    }
}
