//! How does an answer of EC2 become ours? Pure; every `Option` of the SDK is resolved here.

use std::net::IpAddr;
use std::sync::Arc;

use aws_sdk_ec2::types as sdk;
use ipnet::IpNet;

use crate::inventory::aws::{
    Address, Attachment, IpFamily, Locale, NetworkInterface, Peer, PrefixList, RouteTable, Rule, SecurityGroup, Subnet, Tags, Vpc,
};
use crate::inventory::ids::{
    AllocationId, InstanceId, NetworkInterfaceId, PrefixListId, SecurityGroupId, SubnetId, VpcId, ZoneName,
};
use crate::sources::aws::fetch::Oddities;
use crate::sources::aws::intern::intern;

fn tags(from: &[sdk::Tag]) -> Tags {
    from.iter().filter_map(|tag| Some((intern(tag.key()?), intern(tag.value().unwrap_or_default())))).collect()
}

fn vpc_id(from: Option<&str>) -> VpcId {
    VpcId::new(intern(from.unwrap_or_default()))
}

/// A subnet. One without an IPv4 block has no count of free addresses: AWS answers 0 for it, which means nothing.
pub(crate) fn subnet(from: &sdk::Subnet, oddities: &mut Oddities) -> Option<Subnet> {
    let cidr: Option<IpNet> = match from.ipv6_native() {
        Some(true) => None,
        _ => oddities.parsed(from.cidr_block().filter(|block| !block.is_empty())),
    };
    let associated = |block: &&sdk::SubnetIpv6CidrBlockAssociation| {
        block.ipv6_cidr_block_state().and_then(|state| state.state()).is_none_or(|state| state.as_str() == "associated")
    };
    Some(Subnet {
        id: SubnetId::new(intern(oddities.object(from.subnet_id())?)),
        vpc_id: vpc_id(from.vpc_id()),
        zone: ZoneName::new(intern(from.availability_zone().unwrap_or_default())),
        zone_id: intern(from.availability_zone_id().unwrap_or_default()),
        cidr,
        ipv6_cidrs: (from.ipv6_cidr_block_association_set().iter())
            .filter(associated)
            .filter_map(|block| oddities.parsed(block.ipv6_cidr_block()))
            .collect(),
        available_ip_addresses: cidr.and_then(|_| oddities.fitting(from.available_ip_address_count())),
        on_outpost: from.outpost_arn().is_some_and(|arn| !arn.is_empty()),
        owner_id: intern(from.owner_id().unwrap_or_default()),
        tags: tags(from.tags()),
    })
}

/// A route table.
pub(crate) fn route_table(from: &sdk::RouteTable, oddities: &mut Oddities) -> Option<RouteTable> {
    // An association that is being taken away does not count any more; one that is being made does already.
    let current = |association: &&sdk::RouteTableAssociation| {
        let state = association.association_state().and_then(|state| state.state()).map(|state| state.as_str());
        !matches!(state, Some("disassociating" | "disassociated" | "failed"))
    };
    Some(RouteTable {
        id: intern(oddities.object(from.route_table_id())?),
        main: from.associations().iter().filter(current).any(|association| association.main() == Some(true)),
        subnets: (from.associations().iter())
            .filter(current)
            .filter_map(|association| association.subnet_id())
            .map(|id| SubnetId::new(intern(id)))
            .collect(),
        internet_gateway: from.routes().iter().any(|route| route.gateway_id().is_some_and(|id| id.starts_with("igw"))),
        firewall_endpoint: from.routes().iter().any(|route| {
            route.destination_cidr_block() == Some("0.0.0.0/0") && route.gateway_id().is_some_and(|id| id.starts_with("vpce"))
        }),
        routes: u32::try_from(from.routes().len()).unwrap_or(u32::MAX),
    })
}

/// A VPC, its primary block first.
pub(crate) fn vpc(from: &sdk::Vpc, oddities: &mut Oddities) -> Option<Vpc> {
    let associated = |state: Option<&sdk::VpcCidrBlockState>| {
        state.and_then(|state| state.state()).is_none_or(|state| state.as_str() == "associated")
    };
    let mut cidrs: Vec<IpNet> = oddities.parsed(from.cidr_block()).into_iter().collect();
    for block in from.cidr_block_association_set().iter().filter(|block| associated(block.cidr_block_state())) {
        match oddities.parsed(block.cidr_block()) {
            Some(block) if !cidrs.contains(&block) => cidrs.push(block),
            _ => {}
        }
    }
    let ipv6_cidrs = (from.ipv6_cidr_block_association_set().iter())
        .filter(|block| associated(block.ipv6_cidr_block_state()))
        .filter_map(|block| oddities.parsed(block.ipv6_cidr_block()))
        .collect();
    Some(Vpc { id: VpcId::new(intern(oddities.object(from.vpc_id())?)), cidrs, ipv6_cidrs })
}

/// A security group, with rules if it is of `vpc` (or no VPC is known).
pub(crate) fn security_group(from: &sdk::SecurityGroup, vpc: Option<&VpcId>, oddities: &mut Oddities) -> Option<SecurityGroup> {
    let id = SecurityGroupId::new(intern(oddities.object(from.group_id())?));
    let vpc_id = vpc_id(from.vpc_id());
    let ours = vpc.is_none_or(|vpc| *vpc == vpc_id);
    let mut rules_of = |permissions: &[sdk::IpPermission]| {
        if ours { permissions.iter().flat_map(|permission| rules(permission, oddities)).collect() } else { Vec::new() }
    };
    Some(SecurityGroup {
        id,
        name: from.group_name().unwrap_or_default().into(),
        inbound: rules_of(from.ip_permissions()),
        outbound: rules_of(from.ip_permissions_egress()),
        vpc_id,
        owner_id: intern(from.owner_id().unwrap_or_default()),
        tags: tags(from.tags()),
    })
}

/// A permission is one protocol and port range with many sources; AWS counts each source as a rule.
fn rules(from: &sdk::IpPermission, oddities: &mut Oddities) -> Vec<Rule> {
    let protocol = intern(from.ip_protocol().unwrap_or("-1"));
    let ports = match (from.from_port(), from.to_port()) {
        (Some(first), Some(last)) => Some((first, last)),
        (Some(only), None) | (None, Some(only)) => Some((only, only)),
        (None, None) => None,
    };
    let rule = |peer: Peer, description: Option<&str>| Rule {
        protocol: Arc::clone(&protocol),
        ports,
        peer,
        description: description.filter(|text| !text.is_empty()).map(intern),
    };
    let mut rules = Vec::new();
    for range in from.ip_ranges() {
        let cidr = oddities.parsed(range.cidr_ip());
        rules.extend(cidr.map(|cidr| rule(Peer::Cidr(cidr), range.description())));
    }
    for range in from.ipv6_ranges() {
        let cidr = oddities.parsed(range.cidr_ipv6());
        rules.extend(cidr.map(|cidr| rule(Peer::Cidr(cidr), range.description())));
    }
    for pair in from.user_id_group_pairs() {
        // A group of a peered VPC that is gone may be left with its name only; it counts all the same.
        let id = oddities.object(pair.group_id().or(pair.group_name()));
        rules.extend(id.map(|id| rule(Peer::SecurityGroup(SecurityGroupId::new(intern(id))), pair.description())));
    }
    for list in from.prefix_list_ids() {
        let id = oddities.object(list.prefix_list_id());
        rules.extend(id.map(|id| rule(Peer::PrefixList(PrefixListId::new(intern(id))), list.description())));
    }
    rules
}

/// A prefix list.
pub(crate) fn prefix_list(from: &sdk::ManagedPrefixList, oddities: &mut Oddities) -> Option<PrefixList> {
    Some(PrefixList {
        id: PrefixListId::new(intern(oddities.object(from.prefix_list_id())?)),
        name: from.prefix_list_name().unwrap_or_default().into(),
        ip_family: oddities.known(from.address_family().map(str::to_ascii_lowercase).as_deref(), IpFamily::parse, IpFamily::Ipv4),
        max_entries: oddities.fitting(from.max_entries()),
        aws_managed: from.owner_id() == Some("AWS"),
    })
}

/// A network interface, with addresses if it is of `vpc` (or no VPC is known).
pub(crate) fn network_interface(
    from: &sdk::NetworkInterface,
    vpc: Option<&VpcId>,
    oddities: &mut Oddities,
) -> Option<NetworkInterface> {
    let vpc_id = vpc_id(from.vpc_id());
    let mut addresses: Vec<IpAddr> = Vec::new();
    let mut prefixes: Vec<IpNet> = Vec::new();
    if vpc.is_none_or(|vpc| *vpc == vpc_id) {
        let ipv4 = from.private_ip_addresses().iter().map(|address| address.private_ip_address());
        let ipv6 = from.ipv6_addresses().iter().map(|address| address.ipv6_address());
        addresses.extend(ipv4.chain(ipv6).filter_map(|address| oddities.parsed::<IpAddr>(address)));
        let ipv4 = from.ipv4_prefixes().iter().map(|prefix| prefix.ipv4_prefix());
        let ipv6 = from.ipv6_prefixes().iter().map(|prefix| prefix.ipv6_prefix());
        prefixes.extend(ipv4.chain(ipv6).filter_map(|prefix| oddities.parsed::<IpNet>(prefix)));
    }
    Some(NetworkInterface {
        id: NetworkInterfaceId::from(oddities.object(from.network_interface_id())?),
        of_network_load_balancer: from.interface_type().is_some_and(|kind| kind.as_str() == "network_load_balancer"),
        vpc_id,
        subnet_id: SubnetId::new(intern(from.subnet_id().unwrap_or_default())),
        zone: ZoneName::new(intern(from.availability_zone().unwrap_or_default())),
        security_groups: (from.groups().iter())
            .filter_map(|group| Some(SecurityGroupId::new(intern(group.group_id()?))))
            .collect(),
        attachment: from.attachment().and_then(|attachment| {
            let instance_id = InstanceId::from(attachment.instance_id().filter(|id| !id.is_empty())?);
            Some(Attachment { instance_id, device_index: attachment.device_index().unwrap_or_default() })
        }),
        addresses,
        prefixes,
    })
}

/// An Elastic IP. One without an allocation is known by its address.
pub(crate) fn address(from: &sdk::Address, oddities: &mut Oddities) -> Option<Address> {
    Some(Address {
        id: AllocationId::from(oddities.object(from.allocation_id().or(from.public_ip()))?),
        associated: from.association_id().is_some_and(|id| !id.is_empty()) || from.instance_id().is_some_and(|id| !id.is_empty()),
        service_managed: from.service_managed().is_some(),
    })
}

/// A zone and what it is. An answer without a type means an ordinary one.
pub(crate) fn availability_zone(from: &sdk::AvailabilityZone, oddities: &mut Oddities) -> Option<(ZoneName, Locale)> {
    let name = oddities.object(from.zone_name())?;
    let locale = oddities.known(Some(from.zone_type().unwrap_or("availability-zone")), Locale::parse, Locale::Other);
    Some((ZoneName::new(intern(name)), locale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_only_subnet_has_no_count_and_not_a_count_of_zero() {
        let mut oddities = Oddities::default();
        let block = |text: &str, state: &str| {
            sdk::SubnetIpv6CidrBlockAssociation::builder()
                .ipv6_cidr_block(text)
                .ipv6_cidr_block_state(sdk::SubnetCidrBlockState::builder().state(state.into()).build())
                .build()
        };
        let native = sdk::Subnet::builder()
            .subnet_id("subnet-1")
            .ipv6_native(true)
            .available_ip_address_count(0)
            .ipv6_cidr_block_association_set(block("2600:1f14::/64", "associated"))
            .ipv6_cidr_block_association_set(block("2600:1f15::/64", "disassociated"))
            .build();
        let native = subnet(&native, &mut oddities).unwrap();
        assert_eq!((native.cidr, native.available_ip_addresses), (None, None));
        assert_eq!(native.ipv6_cidrs.len(), 1);
        let full = sdk::Subnet::builder().subnet_id("subnet-2").cidr_block("10.0.0.0/28").available_ip_address_count(0).build();
        assert_eq!(subnet(&full, &mut oddities).unwrap().available_ip_addresses, Some(0), "full is zero");
        assert_eq!(oddities, Oddities::default());
    }

    #[test]
    fn what_does_not_parse_is_unknown_and_counted() {
        let mut oddities = Oddities::default();
        let odd = sdk::Subnet::builder().subnet_id("s").cidr_block("10.0.0.0/99").available_ip_address_count(7).build();
        assert_eq!(subnet(&odd, &mut oddities).unwrap().available_ip_addresses, None);
        let negative = sdk::Subnet::builder().subnet_id("s").cidr_block("10.0.0.0/24").available_ip_address_count(-7).build();
        assert_eq!(subnet(&negative, &mut oddities).unwrap().available_ip_addresses, None);
        assert_eq!(oddities, Oddities { values: 2, objects: 0 });
        assert!(subnet(&sdk::Subnet::builder().build(), &mut oddities).is_none());
        assert_eq!(oddities.objects, 1);
    }

    #[test]
    fn only_an_internet_gateway_makes_a_table_public() {
        let table = |gateway: &str| {
            let route = sdk::Route::builder().gateway_id(gateway).destination_cidr_block("0.0.0.0/0").build();
            let main = sdk::RouteTableAssociation::builder().main(true).build();
            let own = sdk::RouteTableAssociation::builder().main(false).subnet_id("subnet-1").build();
            let from = sdk::RouteTable::builder().route_table_id("rtb-1").routes(route).associations(main).associations(own);
            route_table(&from.build(), &mut Oddities::default()).unwrap()
        };
        assert!(table("igw-1").internet_gateway);
        for other in ["local", "vgw-1", "eigw-1", "vpce-1"] {
            assert!(!table(other).internet_gateway, "{other}");
        }
        assert!(table("vpce-1").firewall_endpoint && !table("nat-1").firewall_endpoint);
        let table = table("igw-1");
        assert!(!table.firewall_endpoint);
        assert!(table.main && table.subnets.contains("subnet-1") && table.routes == 1);
    }

    #[test]
    fn a_permission_is_one_rule_a_source() {
        let mut oddities = Oddities::default();
        let range = |cidr: &str| sdk::IpRange::builder().cidr_ip(cidr).description("d").build();
        let permission = sdk::IpPermission::builder()
            .ip_protocol("tcp")
            .from_port(80)
            .to_port(90)
            .ip_ranges(range("10.0.0.0/8"))
            .ip_ranges(range("0.0.0.0/0"))
            .ipv6_ranges(sdk::Ipv6Range::builder().cidr_ipv6("::/0").build())
            .user_id_group_pairs(sdk::UserIdGroupPair::builder().group_id("sg-2").build())
            .prefix_list_ids(sdk::PrefixListId::builder().prefix_list_id("pl-1").build())
            .build();
        let everything = sdk::IpPermission::builder().ip_protocol("-1").ip_ranges(range("0.0.0.0/0")).build();
        let group = sdk::SecurityGroup::builder()
            .group_id("sg-1")
            .vpc_id("vpc-1")
            .ip_permissions(permission)
            .ip_permissions_egress(everything)
            .build();
        let ours = security_group(&group, Some(&VpcId::from("vpc-1")), &mut oddities).unwrap();
        assert_eq!(ours.inbound.len(), 5);
        assert!(ours.inbound.iter().all(|rule| rule.ports == Some((80, 90))));
        assert_eq!(ours.outbound[0].ports, None);
        let foreign = security_group(&group, Some(&VpcId::from("vpc-2")), &mut oddities).unwrap();
        assert!(foreign.inbound.is_empty() && foreign.outbound.is_empty());
        let unknown = security_group(&group, None, &mut oddities).unwrap();
        assert_eq!(unknown.inbound.len(), 5, "no rules would read as none");
    }

    #[test]
    fn an_interface_keeps_addresses_and_prefixes_of_our_vpc_only() {
        let address = sdk::NetworkInterfacePrivateIpAddress::builder().private_ip_address("10.0.0.4").build();
        let from = sdk::NetworkInterface::builder()
            .network_interface_id("eni-1")
            .vpc_id("vpc-1")
            .interface_type("network_load_balancer".into())
            .private_ip_addresses(address)
            .ipv4_prefixes(sdk::Ipv4PrefixSpecification::builder().ipv4_prefix("10.0.0.16/28").build())
            .attachment(sdk::NetworkInterfaceAttachment::builder().instance_id("i-1").device_index(0).build())
            .build();
        let ours = network_interface(&from, Some(&VpcId::from("vpc-1")), &mut Oddities::default()).unwrap();
        assert!(ours.of_network_load_balancer);
        assert_eq!((ours.addresses.len(), ours.prefixes.len()), (1, 1));
        assert_eq!(ours.attachment.unwrap().instance_id, InstanceId::from("i-1"));
        let foreign = network_interface(&from, Some(&VpcId::from("vpc-2")), &mut Oddities::default()).unwrap();
        assert!(foreign.addresses.is_empty() && foreign.prefixes.is_empty());
    }

    #[test]
    fn an_aws_managed_prefix_list_may_have_no_size() {
        let mut oddities = Oddities::default();
        let from = sdk::ManagedPrefixList::builder().prefix_list_id("pl-1").owner_id("AWS").address_family("IPv6").build();
        let list = prefix_list(&from, &mut oddities).unwrap();
        assert_eq!((list.ip_family, list.max_entries, list.aws_managed), (IpFamily::Ipv6, None, true));
        assert_eq!(oddities, Oddities::default());
    }

    #[test]
    fn zones_of_a_new_kind_are_other_and_counted() {
        let mut oddities = Oddities::default();
        let zone =
            |kind: Option<&str>| sdk::AvailabilityZone::builder().zone_name("z").set_zone_type(kind.map(str::to_owned)).build();
        assert_eq!(availability_zone(&zone(None), &mut oddities).unwrap().1, Locale::AvailabilityZone);
        assert_eq!(availability_zone(&zone(Some("local-zone")), &mut oddities).unwrap().1, Locale::LocalZone);
        assert_eq!(availability_zone(&zone(Some("moon-zone")), &mut oddities).unwrap().1, Locale::Other);
        assert_eq!(oddities.values, 1);
    }

    #[test]
    fn addresses_aws_manages_are_told_apart() {
        let from = sdk::Address::builder().allocation_id("eipalloc-1").service_managed("nlb".into()).association_id("a").build();
        let address = address(&from, &mut Oddities::default()).unwrap();
        assert!(address.service_managed && address.associated);
    }
}
