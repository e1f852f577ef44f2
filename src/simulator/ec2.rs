//! EC2: subnets, routes, zones, VPCs, security groups, interfaces, prefix lists, addresses.

use std::borrow::Cow;
use std::fmt::Display;

use super::{
    aws_api::AwsError,
    operations::Operation,
    query::{Parameters, page},
    world::{Text, World},
    xml::Xml,
};
use crate::inventory::aws::{Peer, Rule, Tags};

pub(crate) fn answer(operation: Operation, world: &World, request: &Parameters, xml: &mut Xml) -> Result<(), AwsError> {
    match operation {
        Operation::DescribeSubnets => subnets(world, request, xml),
        Operation::DescribeRouteTables => route_tables(world, request, xml),
        Operation::DescribeAvailabilityZones => zones(world, request, xml),
        Operation::DescribeVpcs => vpcs(world, request, xml),
        Operation::DescribeSecurityGroups => security_groups(world, request, xml),
        Operation::DescribeNetworkInterfaces => network_interfaces(world, request, xml),
        Operation::DescribeManagedPrefixLists => prefix_lists(world, request, xml),
        _ => addresses(world, request, xml),
    }
}

/// What one Describe call of EC2 has in common with the others.
struct Listing<'a> {
    request: &'a Parameters,
    /// Ids asked for; each must exist.
    ids: Vec<&'a str>,
    size: usize,
}

impl<'a> Listing<'a> {
    /// `exclusive`: this call refuses ids and `MaxResults` at once.
    fn new(request: &'a Parameters, id: &str, least: usize, most: usize, exclusive: bool) -> Result<Self, AwsError> {
        let ids = request.list(id);
        if exclusive && !ids.is_empty() && request.get("MaxResults").is_some() {
            return Err(AwsError::bad(
                "InvalidParameterCombination",
                format!("The parameter {id} cannot be used with the parameter maxResults"),
            ));
        }
        Ok(Self { request, ids, size: request.max_results(least, most)? })
    }

    /// The page of those of `all` that were asked for and pass the filters.
    fn select<'w, T>(
        &self,
        all: impl Iterator<Item = (Cow<'w, str>, T)> + Clone,
        not_found: &'static str,
        tags: impl Fn(&T) -> Option<&'w Tags>,
        field: impl Fn(&str, &T, &str) -> Option<Vec<Cow<'w, str>>>,
    ) -> Result<(Vec<T>, Option<String>), AwsError> {
        for id in &self.ids {
            if !all.clone().any(|(key, _)| key == *id) {
                return Err(AwsError::bad(not_found, format!("The ID '{id}' does not exist")));
            }
        }
        let filters = self.request.filters();
        let mut chosen = Vec::new();
        for (key, item) in all.filter(|(key, _)| self.ids.is_empty() || self.ids.contains(&&**key)) {
            if filters.pass(tags(&item), |name| field(&key, &item, name))? {
                chosen.push((key.into_owned(), item));
            }
        }
        page(chosen.into_iter(), self.request.get("NextToken"), self.size, "InvalidNextToken")
    }
}

fn one(value: impl Into<Text>) -> Option<Vec<Text>> {
    Some(vec![value.into()])
}

fn words(value: impl Display) -> Option<Vec<Text>> {
    one(value.to_string())
}

fn tag_set(tags: &Tags, xml: &mut Xml) {
    xml.list("tagSet", "item", tags, |xml, (key, value)| {
        xml.leaf("key", key);
        xml.leaf("value", value);
    });
}

fn subnets(world: &World, request: &Parameters, xml: &mut Xml) -> Result<(), AwsError> {
    let listing = Listing::new(request, "SubnetId", 5, 1000, false)?;
    let all = world.subnets.iter().map(|(id, subnet)| (Cow::Borrowed(id.as_str()), (id, subnet)));
    let (found, next) = listing.select(
        all,
        "InvalidSubnetID.NotFound",
        |(_, subnet)| Some(&subnet.tags),
        |id, (_, subnet), name| match name {
            "vpc-id" => words(&subnet.vpc_id),
            "subnet-id" => words(id),
            "availability-zone" | "availabilityZone" => words(&subnet.zone),
            "state" => one("available"),
            _ => None,
        },
    )?;
    let owner = &world.scope.account_id;
    xml.list("subnetSet", "item", found, |xml, (id, subnet)| {
        let owner = subnet.shared_by.as_ref().unwrap_or(owner);
        let zone_id = world.zones.iter().find(|zone| zone.name == subnet.zone).map(|zone| &zone.id);
        xml.leaf("subnetId", id);
        xml.leaf(
            "subnetArn",
            format_args!("arn:{}:ec2:{}:{owner}:subnet/{id}", world.scope.partition.name(), world.scope.region),
        );
        xml.leaf("state", "available");
        xml.leaf("ownerId", owner);
        xml.leaf("vpcId", &subnet.vpc_id);
        xml.leaf_if("cidrBlock", subnet.cidr);
        xml.list("ipv6CidrBlockAssociationSet", "item", &subnet.ipv6_cidrs, |xml, cidr| {
            xml.leaf("ipv6CidrBlock", cidr);
            xml.leaf("associationId", "subnet-cidr-assoc-00000000000000000");
            xml.within("ipv6CidrBlockState", |xml| xml.leaf("state", "associated"));
        });
        xml.leaf("ipv6Native", subnet.cidr.is_none());
        xml.leaf("availableIpAddressCount", subnet.free_addresses);
        xml.leaf("availabilityZone", &subnet.zone);
        xml.leaf_if("availabilityZoneId", zone_id);
        xml.leaf_if("outpostArn", subnet.outpost_arn.as_ref());
        xml.leaf("defaultForAz", world.vpcs.get(&subnet.vpc_id).is_some_and(|vpc| vpc.default));
        xml.leaf("mapPublicIpOnLaunch", false);
        xml.leaf("assignIpv6AddressOnCreation", false);
        tag_set(&subnet.tags, xml);
    });
    xml.leaf_if("nextToken", next);
    Ok(())
}

fn route_tables(world: &World, request: &Parameters, xml: &mut Xml) -> Result<(), AwsError> {
    let listing = Listing::new(request, "RouteTableId", 5, 100, false)?;
    let all = world.route_tables.iter().map(|(id, table)| (Cow::Borrowed(&**id), (id, table)));
    let (found, next) = listing.select(
        all,
        "InvalidRouteTableID.NotFound",
        |_| None,
        |id, (_, table), name| match name {
            "vpc-id" => words(&table.vpc_id),
            "route-table-id" => words(id),
            "association.main" => words(table.main),
            "association.subnet-id" => Some(table.subnets.iter().map(|id| Cow::Owned(id.to_string())).collect()),
            _ => None,
        },
    )?;
    xml.list("routeTableSet", "item", found, |xml, (id, table)| {
        xml.leaf("routeTableId", id);
        xml.leaf("vpcId", &table.vpc_id);
        xml.leaf("ownerId", &world.scope.account_id);
        xml.list("routeSet", "item", &table.routes, |xml, (destination, gateway)| {
            xml.leaf(if destination.contains(':') { "destinationIpv6CidrBlock" } else { "destinationCidrBlock" }, destination);
            xml.leaf(if gateway.starts_with("nat-") { "natGatewayId" } else { "gatewayId" }, gateway);
            xml.leaf("state", "active");
            xml.leaf("origin", if gateway == "local" { "CreateRouteTable" } else { "CreateRoute" });
        });
        let associations = table.main.then_some(None).into_iter().chain(table.subnets.iter().map(Some));
        xml.list("associationSet", "item", associations, |xml, subnet| {
            xml.leaf("routeTableAssociationId", format_args!("rtbassoc-{}", &id[4..]));
            xml.leaf("routeTableId", id);
            xml.leaf_if("subnetId", subnet);
            xml.leaf("main", subnet.is_none());
            xml.within("associationState", |xml| xml.leaf("state", "associated"));
        });
        xml.raw("<tagSet/>");
    });
    xml.leaf_if("nextToken", next);
    Ok(())
}

fn zones(world: &World, request: &Parameters, xml: &mut Xml) -> Result<(), AwsError> {
    let listing = Listing { request, ids: request.list("ZoneName"), size: usize::MAX };
    let all = world.zones.iter().map(|zone| (Cow::Borrowed(zone.name.as_str()), zone));
    let (found, _) = listing.select(
        all,
        "InvalidParameterValue",
        |_| None,
        |name, zone, filter| match filter {
            "zone-name" => words(name),
            "zone-id" => words(&zone.id),
            "zone-type" => one(zone.kind),
            "region-name" => words(&world.scope.region),
            "state" => one("available"),
            _ => None,
        },
    )?;
    xml.list("availabilityZoneInfo", "item", found, |xml, zone| {
        xml.leaf("zoneName", &zone.name);
        xml.leaf("zoneState", "available");
        xml.leaf("regionName", &world.scope.region);
        xml.raw("<messageSet/>");
        xml.leaf("optInStatus", "opt-in-not-required");
        xml.leaf("zoneId", &zone.id);
        xml.leaf("groupName", format_args!("{}-zg-1", world.scope.region));
        xml.leaf("networkBorderGroup", &world.scope.region);
        xml.leaf("zoneType", zone.kind);
    });
    Ok(())
}

fn vpcs(world: &World, request: &Parameters, xml: &mut Xml) -> Result<(), AwsError> {
    let listing = Listing::new(request, "VpcId", 5, 1000, false)?;
    let all = world.vpcs.iter().map(|(id, vpc)| (Cow::Borrowed(id.as_str()), (id, vpc)));
    let (found, next) = listing.select(
        all,
        "InvalidVpcID.NotFound",
        |_| None,
        |id, (_, vpc), name| match name {
            "vpc-id" => words(id),
            "is-default" | "isDefault" => words(vpc.default),
            "state" => one("available"),
            _ => None,
        },
    )?;
    xml.list("vpcSet", "item", found, |xml, (id, vpc)| {
        xml.leaf("vpcId", id);
        xml.leaf("ownerId", &world.scope.account_id);
        xml.leaf("state", "available");
        xml.leaf_if("cidrBlock", vpc.cidrs.first());
        xml.list("cidrBlockAssociationSet", "item", &vpc.cidrs, |xml, cidr| {
            xml.leaf("cidrBlock", cidr);
            xml.leaf("associationId", format_args!("vpc-cidr-assoc-{}", &id.as_str()[4..]));
            xml.within("cidrBlockState", |xml| xml.leaf("state", "associated"));
        });
        xml.list("ipv6CidrBlockAssociationSet", "item", &vpc.ipv6_cidrs, |xml, cidr| {
            xml.leaf("ipv6CidrBlock", cidr);
            xml.leaf("associationId", format_args!("vpc-cidr-assoc-{}", &id.as_str()[4..]));
            xml.within("ipv6CidrBlockState", |xml| xml.leaf("state", "associated"));
        });
        xml.leaf("dhcpOptionsId", "default");
        xml.leaf("instanceTenancy", "default");
        xml.leaf("isDefault", vpc.default);
        xml.raw("<tagSet/>");
    });
    xml.leaf_if("nextToken", next);
    Ok(())
}

fn security_groups(world: &World, request: &Parameters, xml: &mut Xml) -> Result<(), AwsError> {
    let listing = Listing::new(request, "GroupId", 5, 1000, false)?;
    let all = world.security_groups.iter().map(|(id, group)| (Cow::Borrowed(id.as_str()), (id, group)));
    let (found, next) = listing.select(
        all,
        "InvalidGroup.NotFound",
        |(_, group)| Some(&group.tags),
        |id, (_, group), name| match name {
            "vpc-id" => words(&group.vpc_id),
            "group-id" => words(id),
            "group-name" => words(&group.name),
            "owner-id" => words(&world.scope.account_id),
            _ => None,
        },
    )?;
    let owner = &world.scope.account_id;
    xml.list("securityGroupInfo", "item", found, |xml, (id, group)| {
        xml.leaf("ownerId", owner);
        xml.leaf("groupId", id);
        xml.leaf("groupName", &group.name);
        xml.leaf("groupDescription", &group.description);
        xml.leaf("vpcId", &group.vpc_id);
        permissions("ipPermissions", &group.inbound, owner, xml);
        permissions("ipPermissionsEgress", &group.outbound, owner, xml);
        tag_set(&group.tags, xml);
    });
    xml.leaf_if("nextToken", next);
    Ok(())
}

/// Rules of one protocol and port range are told together, as AWS does.
fn permissions(tag: &str, rules: &[Rule], owner: &str, xml: &mut Xml) {
    let mut kinds: Vec<(&str, Option<(i32, i32)>)> = Vec::new();
    for rule in rules {
        let kind = (&*rule.protocol, rule.ports);
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    xml.list(tag, "item", kinds, |xml, (protocol, ports)| {
        xml.leaf("ipProtocol", protocol);
        if let Some((from, to)) = ports {
            xml.leaf("fromPort", from);
            xml.leaf("toPort", to);
        }
        let of_kind = || rules.iter().filter(move |rule| &*rule.protocol == protocol && rule.ports == ports);
        let mut peers = |tag: &str, write: &dyn Fn(&mut Xml, &Peer) -> bool| {
            xml.open(tag);
            for rule in of_kind() {
                let mut item = Xml::default();
                if write(&mut item, &rule.peer) {
                    item.leaf_if("description", rule.description.as_ref());
                    xml.open("item");
                    xml.raw(&item.into_text());
                    xml.close("item");
                }
            }
            xml.close(tag);
        };
        peers("groups", &|item, peer| {
            let Peer::SecurityGroup(id) = peer else { return false };
            item.leaf("userId", owner);
            item.leaf("groupId", id);
            true
        });
        peers("ipRanges", &|item, peer| {
            let Peer::Cidr(ipnet::IpNet::V4(cidr)) = peer else { return false };
            item.leaf("cidrIp", cidr);
            true
        });
        peers("ipv6Ranges", &|item, peer| {
            let Peer::Cidr(ipnet::IpNet::V6(cidr)) = peer else { return false };
            item.leaf("cidrIpv6", cidr);
            true
        });
        peers("prefixListIds", &|item, peer| {
            let Peer::PrefixList(id) = peer else { return false };
            item.leaf("prefixListId", id);
            true
        });
    });
}

fn network_interfaces(world: &World, request: &Parameters, xml: &mut Xml) -> Result<(), AwsError> {
    let listing = Listing::new(request, "NetworkInterfaceId", 5, 1000, true)?;
    let all = world.network_interfaces.iter().map(|(id, eni)| (Cow::Borrowed(id.as_str()), (id, eni)));
    let (found, next) = listing.select(
        all,
        "InvalidNetworkInterfaceID.NotFound",
        |_| None,
        |id, (_, eni), name| match name {
            "vpc-id" => words(&eni.vpc_id),
            "subnet-id" => words(&eni.subnet_id),
            "network-interface-id" => words(id),
            "interface-type" => one(eni.kind.clone()),
            "availability-zone" => words(&eni.zone),
            "description" => words(&eni.description),
            "group-id" => Some(eni.groups.iter().map(|id| Cow::Owned(id.to_string())).collect()),
            "attachment.instance-id" => Some(eni.instance.iter().map(|id| Cow::Owned(id.to_string())).collect()),
            "status" => one("in-use"),
            _ => None,
        },
    )?;
    let owner = &world.scope.account_id;
    xml.list("networkInterfaceSet", "item", found, |xml, (id, eni)| {
        xml.leaf("networkInterfaceId", id);
        xml.leaf("subnetId", &eni.subnet_id);
        xml.leaf("vpcId", &eni.vpc_id);
        xml.leaf("availabilityZone", &eni.zone);
        xml.leaf("description", &eni.description);
        xml.leaf("ownerId", owner);
        xml.leaf("requesterManaged", eni.instance.is_none());
        xml.leaf("status", "in-use");
        xml.leaf("privateIpAddress", eni.address);
        xml.leaf("sourceDestCheck", eni.kind == "interface");
        xml.list("groupSet", "item", &eni.groups, |xml, group| {
            xml.leaf("groupId", group);
            xml.leaf_if("groupName", world.security_groups.get(group).map(|group| &group.name));
        });
        xml.within("attachment", |xml| {
            xml.leaf("attachmentId", format_args!("eni-attach-{}", &id.as_str()[4..]));
            if let Some(instance) = &eni.instance {
                xml.leaf("instanceId", instance);
                xml.leaf("instanceOwnerId", owner);
            } else {
                xml.leaf("instanceOwnerId", "amazon-aws");
            }
            xml.leaf("deviceIndex", if eni.instance.is_some() { 0 } else { 1 });
            xml.leaf("status", "attached");
            xml.leaf("deleteOnTermination", eni.instance.is_some());
        });
        xml.raw("<tagSet/>");
        xml.list(
            "privateIpAddressesSet",
            "item",
            std::iter::once(&eni.address).chain(&eni.secondary).enumerate(),
            |xml, (index, address)| {
                xml.leaf("privateIpAddress", address);
                xml.leaf("primary", index == 0);
            },
        );
        xml.raw("<ipv6AddressesSet/>");
        if !eni.prefixes.is_empty() {
            xml.list("ipv4PrefixSet", "item", &eni.prefixes, |xml, prefix| xml.leaf("ipv4Prefix", prefix));
        }
        if !eni.ipv6_prefixes.is_empty() {
            xml.list("ipv6PrefixSet", "item", &eni.ipv6_prefixes, |xml, prefix| xml.leaf("ipv6Prefix", prefix));
        }
        xml.leaf("interfaceType", &eni.kind);
    });
    xml.leaf_if("nextToken", next);
    Ok(())
}

fn prefix_lists(world: &World, request: &Parameters, xml: &mut Xml) -> Result<(), AwsError> {
    let listing = Listing::new(request, "PrefixListId", 1, 100, false)?;
    let all = world.prefix_lists.iter().map(|(id, list)| (Cow::Borrowed(id.as_str()), (id, list)));
    let owner = |own: bool| if own { &*world.scope.account_id } else { "AWS" };
    let (found, next) = listing.select(
        all,
        "InvalidPrefixListID.NotFound",
        |_| None,
        |id, (_, list), name| match name {
            "owner-id" => words(owner(list.max_entries.is_some())),
            "prefix-list-id" => words(id),
            "prefix-list-name" => words(&list.name),
            _ => None,
        },
    )?;
    xml.list("prefixListSet", "item", found, |xml, (id, list)| {
        let owner = owner(list.max_entries.is_some());
        xml.leaf("prefixListId", id);
        xml.leaf("addressFamily", list.family);
        xml.leaf("state", "create-complete");
        let (partition, region) = (world.scope.partition.name(), &world.scope.region);
        xml.leaf("prefixListArn", format_args!("arn:{partition}:ec2:{region}:{}:prefix-list/{id}", owner.to_lowercase()));
        xml.leaf("prefixListName", &list.name);
        xml.leaf_if("maxEntries", list.max_entries);
        xml.leaf("version", 1);
        xml.raw("<tagSet/>");
        xml.leaf("ownerId", owner);
    });
    xml.leaf_if("nextToken", next);
    Ok(())
}

fn addresses(world: &World, request: &Parameters, xml: &mut Xml) -> Result<(), AwsError> {
    let listing = Listing { request, ids: request.list("AllocationId"), size: usize::MAX };
    let all = world.addresses.iter().map(|(id, address)| (Cow::Borrowed(id.as_str()), (id, address)));
    let (found, _) = listing.select(
        all,
        "InvalidAllocationID.NotFound",
        |_| None,
        |id, (_, address), name| match name {
            "allocation-id" => words(id),
            "public-ip" => words(address.public_ip),
            "domain" => one("vpc"),
            _ => None,
        },
    )?;
    xml.list("addressesSet", "item", found, |xml, (id, address)| {
        xml.leaf("publicIp", address.public_ip);
        xml.leaf("allocationId", id);
        xml.leaf("domain", "vpc");
        if address.associated {
            xml.leaf("associationId", format_args!("eipassoc-{}", &id.as_str()[9..]));
        }
        xml.leaf("networkBorderGroup", &world.scope.region);
        xml.leaf("publicIpv4Pool", "amazon");
        xml.leaf_if("serviceManaged", address.service_managed);
    });
    Ok(())
}
