//! What does the load balancer of one manifest take, as its controller's version would make it?
//!
//! Of a Service that has a load balancer only what comes on top of that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::controller::annotations::{AnnotationError, Annotations, name, parse_list};
use crate::controller::desired::addresses::{eip_allocations, private_ipv4_addresses};
use crate::controller::desired::listener::actions::{Destination, forwards};
use crate::controller::desired::listener::{certificates, listeners};
use crate::controller::desired::load_balancer::{attributes, ip_address_type, without_security_groups};
use crate::controller::desired::managed_group::{RuleKey, inbound};
use crate::controller::desired::security_groups::{KnownGroups, NLB_SECURITY_GROUP, named_groups, names_its_own};
use crate::controller::desired::{Desired, Wanted};
use crate::controller::security_groups::cost::Mode;
use crate::controller::security_groups::planned::{Surroundings, mode, rules};
use crate::controller::settings::Settings;
use crate::inventory::aws::{IpAddressType, LoadBalancer, Rule, Scheme, Subnet};
use crate::inventory::ids::{AllocationId, SecurityGroupId, SubnetId};
use crate::inventory::kube::Service;
use crate::inventory::parts::Parts;
use crate::inventory::snapshot::ClusterLoadBalancer;

/// How many there would be of something that is counted for each load balancer, and how many of these are new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) all: u64,
    pub(super) new: u64,
}

impl Count {
    fn of(all: usize, before: usize) -> Self {
        Self { all: all as u64, new: all.saturating_sub(before) as u64 }
    }
}

/// What a load balancer takes.
#[derive(Debug, Clone, Default)]
pub(super) struct Bill {
    pub(super) load_balancers: u64,
    pub(super) target_groups: u64,
    pub(super) listeners: Count,
    pub(super) certificates: Count,
    /// Security groups that the controller makes.
    pub(super) security_groups: u64,
    /// One of them is the cluster's shared one: the next load balancer finds it.
    pub(super) makes_backend: bool,
    pub(super) groups_on_interface: Count,
    /// Subnets that it is new in.
    pub(super) subnets: BTreeSet<SubnetId>,
    /// Addresses that it keeps of each.
    pub(super) addresses_per_subnet: u64,
    /// AWS chooses the addresses, and demands room for that.
    pub(super) needs_free_addresses: bool,
    /// It is made anew in the subnets that the one before it had, too.
    pub(super) anew: bool,
    /// Elastic IPs that it is given.
    pub(super) elastic_ips: BTreeSet<AllocationId>,
    /// Rules of the group that the controller makes for it, and those that this group has already.
    pub(super) own_rules: Option<(BTreeSet<RuleKey<'static>>, Vec<Rule>)>,
    /// Rules that groups on its targets need.
    pub(super) endpoint_rules: BTreeSet<RuleKey<'static>>,
    /// What could not be told, and on what it depends.
    pub(super) unknown: Vec<String>,
}

/// What a bill depends on beside the manifest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) parts: &'a Parts,
    pub(super) settings: Settings<'a>,
    pub(super) scheme: Scheme,
    /// The subnets that it gets.
    pub(super) chosen: &'a [SubnetId],
    /// All subnets of the VPC.
    pub(super) subnets: &'a BTreeMap<SubnetId, Arc<Subnet>>,
    /// The load balancer that it has.
    pub(super) existing: Option<&'a ClusterLoadBalancer>,
    /// That one is deleted first, and this one begins anew.
    pub(super) replaced: bool,
    /// A load balancer before it in the plan makes the cluster's shared group.
    pub(super) backend_made: bool,
    /// Which of the Services of the plan it is.
    pub(super) nth: u16,
}

impl Bill {
    /// That of one manifest.
    pub(super) fn of(service: &Service, around: Around<'_>) -> Result<Self, AnnotationError> {
        let Around { parts, settings, scheme, chosen, existing, .. } = around;
        let before: Option<&LoadBalancer> = existing.map(|it| &*it.load_balancer);
        let had: BTreeSet<&SubnetId> = before.iter().flat_map(|it| &it.zones).map(|zone| &zone.subnet_id).collect();
        let wanted = listeners(service, settings)?;
        let listeners_before = before.and_then(|it| parts.listeners.get(&it.id)?.complete()).map_or(0, Vec::len);
        let is_tls = wanted.iter().any(|listener| listener.tls());
        let certificates = if is_tls { certificates(service).into_iter().collect::<BTreeSet<_>>().len() } else { 0 };
        let secondary =
            attributes(service, settings)?.keys.get("secondary_ips.auto_assigned.per_subnet").map(|it| it.value.clone());
        let mut bill = Self {
            load_balancers: u64::from(before.is_none()),
            listeners: Count::of(wanted.len(), listeners_before),
            // Which certificates the listeners that exist have is compared by the drift check.
            certificates: Count::of(certificates, if before.is_some() { certificates } else { 0 }),
            subnets: chosen.iter().filter(|id| !had.contains(id)).cloned().collect(),
            addresses_per_subnet: 1 + secondary.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0),
            needs_free_addresses: !fixes_addresses(service, scheme),
            anew: around.replaced,
            ..Self::default()
        };
        let groups = bill.target_groups(service, settings)?;
        bill.target_groups = groups.saturating_sub(existing.map_or(0, |it| it.target_groups.len() as u64));
        if (before.is_none() || around.replaced)
            && let Wanted::Value(allocations) = eip_allocations(service, scheme)?
        {
            bill.elastic_ips = allocations;
        }
        bill.add_groups(service, around)?;
        Ok(bill)
    }

    /// The least that any NLB with this many ports takes, whoever makes it.
    pub(super) fn of_ports(ports: usize) -> Self {
        let listeners = Count::of(ports, 0);
        Self { load_balancers: 1, target_groups: listeners.all, listeners, ..Self::default() }
    }

    fn doubt(&mut self, what: &str, why: &str) {
        self.unknown.push(format!("{what} cannot be told: {why}"));
    }

    /// One a listener, and one for each other Service that a weighted action sends to.
    fn target_groups(&mut self, service: &Service, settings: Settings<'_>) -> Result<u64, AnnotationError> {
        let mut count = 0;
        let mut others = BTreeSet::new();
        for listener in &listeners(service, settings)? {
            count += 1;
            match forwards(service, settings, listener)? {
                Wanted::Value(forwards) | Wanted::Likely(forwards, _) => {
                    others.extend(forwards.into_iter().filter_map(|forward| match forward.to {
                        Destination::Backend(service, port) => Some((service, port)),
                        Destination::Own | Destination::Group(_) => None,
                    }));
                }
                Wanted::Unknown(why) => self.doubt("How many target groups its actions need", why),
                Wanted::Free => {}
            }
        }
        Ok(count + others.len() as u64)
    }

    /// The security groups it has, those that are made for it, and the rules of both sides.
    fn add_groups(&mut self, service: &Service, around: Around<'_>) -> Result<(), AnnotationError> {
        let Around { parts, settings, scheme, chosen, existing, replaced, .. } = around;
        let before = existing.filter(|_| !replaced).map(|it| &it.load_balancer);
        if before.is_some_and(|it| !it.security_groups.is_empty()) && without_security_groups(service, settings)? {
            let raw = Annotations(&service.annotations).text(name::DISABLE_NLB_SG).unwrap_or_default();
            return Err(AnnotationError::value(name::DISABLE_NLB_SG, raw, "false, since the load balancer has security groups"));
        }
        let mode = match mode(service, settings, before.map(|it| it.security_groups.is_empty()))? {
            Wanted::Value(mode) | Wanted::Likely(mode, _) => mode,
            Wanted::Unknown(why) => {
                self.doubt("What it needs of security groups", why);
                return Ok(());
            }
            Wanted::Free => return Ok(()),
        };
        let groups = parts.security_groups.complete();
        let nothing = BTreeMap::new();
        let known = KnownGroups::of(groups.unwrap_or(&nothing), parts.scope.cluster_name.as_deref().unwrap_or_default());
        let Some(vpc) = parts.scope.vpc_id.as_ref() else {
            self.doubt("What it needs of security groups", "the cluster's VPC is not known");
            return Ok(());
        };
        let backend = match known.backend(settings, vpc) {
            Wanted::Value(id) | Wanted::Likely(id, _) => Some(id),
            Wanted::Free | Wanted::Unknown(_) => None,
        };
        let own = known.managed(&service.name, vpc).into_iter().next();
        let has_groups = !before.map_or(mode == Mode::Ranges, |it| it.security_groups.is_empty());
        let shared = u64::from(mode == Mode::SharedGroup);
        // A bare load balancer can be without rules, too.
        let is_bare = !has_groups || (mode == Mode::Manual && !names_its_own(service));
        if !is_bare {
            let own = if names_its_own(service) {
                self.named(service, &known, groups.is_some(), vpc)?.unwrap_or_default()
            } else {
                self.add_own(service, around, &known)?;
                1
            };
            let all = usize::try_from(own + shared).unwrap_or(usize::MAX);
            self.groups_on_interface = Count::of(all, before.map_or(0, |it| it.security_groups.len()));
        }
        if shared > 0 && backend.is_none() && groups.is_some() && !around.backend_made {
            self.security_groups += 1;
            self.makes_backend = true;
        }
        let subnets: Vec<&Subnet> = chosen.iter().filter_map(|id| around.subnets.get(id)).map(|subnet| &**subnet).collect();
        let vpc = parts.vpcs.get().and_then(|all| all.get(vpc)).map(|vpc| &**vpc);
        let (backend, own) = (backend.as_ref(), own.as_ref());
        let surroundings = Surroundings { scheme, subnets: &subnets, vpc, backend, own, nth: around.nth };
        match rules(service, settings, mode, surroundings)? {
            Wanted::Value(rules) | Wanted::Likely(rules, _) => self.endpoint_rules = rules,
            Wanted::Unknown(why) => self.doubt("How many rules it puts on the groups of its targets", why),
            Wanted::Free => {}
        }
        Ok(())
    }

    /// How many groups the Service names; refused where one of them does not exist.
    fn named(
        &mut self,
        service: &Service,
        known: &KnownGroups<'_>,
        all_known: bool,
        vpc: &crate::inventory::ids::VpcId,
    ) -> Result<Option<u64>, AnnotationError> {
        if !all_known {
            self.doubt("Its security groups", "the list of groups is not known");
            return Ok(None);
        }
        match named_groups(service, known, vpc)? {
            Wanted::Value(ids) | Wanted::Likely(ids, _) => {
                let missing: Option<&SecurityGroupId> = ids.iter().find(|id| known.get(id).is_none());
                match missing {
                    Some(id) => Err(AnnotationError::unresolved(name::SECURITY_GROUPS, id.as_str(), "a security group")),
                    None => Ok(Some(ids.len() as u64)),
                }
            }
            Wanted::Unknown(why) => {
                self.doubt("Its security groups", why);
                Ok(None)
            }
            Wanted::Free => Ok(None),
        }
    }

    /// The group that the controller makes for it, with its rules.
    fn add_own(&mut self, service: &Service, around: Around<'_>, known: &KnownGroups<'_>) -> Result<(), AnnotationError> {
        let vpc = around.parts.scope.vpc_id.as_ref();
        let own = vpc.and_then(|vpc| known.managed(&service.name, vpc).into_iter().next());
        let inbound_before = own.as_ref().and_then(|id| known.get(id)).map(|group| group.inbound.clone());
        self.security_groups += u64::from(own.is_none());
        match inbound(service, around.settings)? {
            Wanted::Value(rules) | Wanted::Likely(rules, _) => self.own_rules = Some((rules, inbound_before.unwrap_or_default())),
            Wanted::Unknown(why) => self.doubt("How many rules its own security group gets", why),
            Wanted::Free => {}
        }
        Ok(())
    }
}

/// Whether the Service says which addresses its load balancer gets.
fn fixes_addresses(service: &Service, scheme: Scheme) -> bool {
    scheme == Scheme::Internal && Annotations(&service.annotations).text(name::PRIVATE_IPV4_ADDRESSES).is_some()
}

/// What AWS refuses of a new load balancer with a QUIC listener: it has no security groups, one address family and no other
/// datagrams.
pub(super) fn refused_quic(service: &Service, settings: Settings<'_>) -> Option<String> {
    let listeners = listeners(service, settings).ok()?;
    let with = |protocols: [&str; 2]| listeners.iter().filter(|it| protocols.contains(&it.protocol)).count();
    let quic = with(["QUIC", "TCP_QUIC"]);
    let bare = without_security_groups(service, settings) == Ok(true) || settings.gate(&NLB_SECURITY_GROUP) == Some(false);
    let why = match quic {
        0 => return None,
        _ if !bare => format!("on a load balancer with security groups: {} \"true\" makes it without", name::DISABLE_NLB_SG),
        _ if ip_address_type(service) == Ok(IpAddressType::Dualstack) => "on a dualstack load balancer".to_owned(),
        2.. => "beside another one".to_owned(),
        _ if with(["UDP", "TCP_UDP"]) > 0 => "beside UDP listeners".to_owned(),
        _ => return None,
    };
    Some(format!("{} asks for a QUIC listener, which AWS refuses {why}.", name::QUIC_PORTS))
}

/// Addresses that a Service names and that do not do.
#[derive(Debug)]
pub(super) struct Unfit {
    pub(super) annotation: &'static str,
    /// One sentence, without its end.
    pub(super) why: String,
    /// The controller does not see it: AWS refuses the load balancer, and one that it was to replace is deleted by then.
    pub(super) by_aws: bool,
}

/// Why the addresses that a Service names do not do for the subnets that its new load balancer would get.
pub(super) fn unfit_addresses(service: &Service, around: Around<'_>, given_away: &BTreeSet<AllocationId>) -> Option<Unfit> {
    let Around { parts, scheme, chosen, subnets, .. } = around;
    let annotations = Annotations(&service.annotations);
    for annotation in [name::EIP_ALLOCATIONS, name::PRIVATE_IPV4_ADDRESSES, name::IPV6_ADDRESSES, name::SOURCE_NAT_PREFIXES] {
        let count = annotations.text(annotation).map(|text| parse_list(text).len());
        if let Some(count) = count.filter(|count| *count != chosen.len()) {
            let message = format!("{annotation} has {count} entries and the load balancer would get {} subnets", chosen.len());
            return Some(Unfit { annotation, why: message, by_aws: false });
        }
    }
    if let Ok(Wanted::Value(allocations)) = eip_allocations(service, scheme) {
        let known = parts.addresses.complete();
        for id in &allocations {
            let why = match known.and_then(|known| known.get(id)) {
                _ if given_away.contains(id) => "is given to another Service of this plan",
                Some(address) if address.associated => "is in use already",
                None if known.is_some() => "does not exist",
                _ => continue,
            };
            let annotation = name::EIP_ALLOCATIONS;
            return Some(Unfit { annotation, why: format!("{id} of {annotation} {why}"), by_aws: true });
        }
    }
    let addresses: Desired<BTreeSet<std::net::IpAddr>> = private_ipv4_addresses(service, scheme);
    if let Ok(Wanted::Value(addresses)) = addresses {
        for subnet in chosen.iter().filter_map(|id| subnets.get(id)) {
            let Some(cidr) = subnet.cidr else { continue };
            let count = addresses.iter().filter(|address| cidr.contains(*address)).count();
            if count != 1 {
                let annotation = name::PRIVATE_IPV4_ADDRESSES;
                let why = format!("{annotation} has {count} addresses of {} and needs one", subnet.id);
                return Some(Unfit { annotation, why, by_aws: false });
            }
        }
    }
    None
}
