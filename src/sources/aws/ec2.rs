//! What does EC2 answer? One function per call; paged by hand, every page paid for.
//!
//! Costs: a call per 1,000 subnets, interfaces or VPCs, per 200 security groups (a page of them is large: 1,000 would raise
//! the peak memory of 40,000 rules by 28 MB), per 100 route tables or prefix lists; one for all addresses, one for all zones.
//! Paging is always asked for: EC2 halves the budget of calls that ask for neither pages nor a filter.

pub(crate) mod convert;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::Filter;

use super::client::Service;
use super::fetch::{Fetched, Oddities, pages};
use crate::inventory::aws::{Address, Locale, NetworkInterface, PrefixList, RouteTable, SecurityGroup, Subnet, Vpc};
use crate::inventory::ids::{AllocationId, NetworkInterfaceId, PrefixListId, SecurityGroupId, SubnetId, VpcId, ZoneName};
use crate::sources::schedule::Urgency;

/// EC2.
pub(crate) type Ec2 = Service<Client>;

fn of_vpc(vpc: &VpcId) -> Filter {
    Filter::builder().name("vpc-id").values(vpc.as_str()).build()
}

/// One paged list: the operation, its request, and how its objects are read.
macro_rules! list {
    ($ec2:ident, $operation:literal, $request:expr, $objects:ident, $convert:expr) => {{
        let oddities = Mutex::new(Oddities::default());
        let page = async |token: Option<String>| {
            let attempt = || $request.set_next_token(token.clone()).send();
            let answer = $ec2.call($operation, Urgency::List, attempt).await?;
            let mut oddities = oddities.lock().expect("nothing panics while it holds this lock");
            let objects = answer.$objects().iter().filter_map(|object| $convert(object, &mut oddities));
            let objects = objects.map(|object| (object.id.clone(), object)).collect();
            Ok((objects, answer.next_token().map(str::to_owned)))
        };
        pages(&$ec2.action($operation), &oddities, page).await
    }};
}

/// Subnets of a VPC.
pub(crate) async fn subnets(ec2: &Ec2, vpc: &VpcId) -> Fetched<SubnetId, Subnet> {
    list!(ec2, "DescribeSubnets", ec2.client.describe_subnets().filters(of_vpc(vpc)).max_results(1000), subnets, convert::subnet)
}

/// Route tables of a VPC.
pub(crate) async fn route_tables(ec2: &Ec2, vpc: &VpcId) -> Fetched<Arc<str>, RouteTable> {
    let request = || ec2.client.describe_route_tables().filters(of_vpc(vpc)).max_results(100);
    list!(ec2, "DescribeRouteTables", request(), route_tables, convert::route_table)
}

/// One VPC.
pub(crate) async fn vpcs(ec2: &Ec2, vpc: &VpcId) -> Fetched<VpcId, Vpc> {
    list!(ec2, "DescribeVpcs", ec2.client.describe_vpcs().filters(of_vpc(vpc)).max_results(1000), vpcs, convert::vpc)
}

/// All security groups of the Region, with rules for those of `vpc`; for all while it is not known which VPC is ours.
pub(crate) async fn security_groups(ec2: &Ec2, vpc: Option<&VpcId>) -> Fetched<SecurityGroupId, SecurityGroup> {
    let convert = |group: &_, oddities: &mut Oddities| convert::security_group(group, vpc, oddities);
    list!(ec2, "DescribeSecurityGroups", ec2.client.describe_security_groups().max_results(200), security_groups, convert)
}

/// All network interfaces of the Region, with addresses for those of `vpc`; for all while it is not known which is ours.
pub(crate) async fn network_interfaces(ec2: &Ec2, vpc: Option<&VpcId>) -> Fetched<NetworkInterfaceId, NetworkInterface> {
    let convert = |interface: &_, oddities: &mut Oddities| convert::network_interface(interface, vpc, oddities);
    let request = || ec2.client.describe_network_interfaces().max_results(1000);
    list!(ec2, "DescribeNetworkInterfaces", request(), network_interfaces, convert)
}

/// All prefix lists of the Region.
pub(crate) async fn prefix_lists(ec2: &Ec2) -> Fetched<PrefixListId, PrefixList> {
    let request = || ec2.client.describe_managed_prefix_lists().max_results(100);
    list!(ec2, "DescribeManagedPrefixLists", request(), prefix_lists, convert::prefix_list)
}

/// All Elastic IPs of the Region, in one answer.
pub(crate) async fn addresses(ec2: &Ec2) -> Fetched<AllocationId, Address> {
    let mut oddities = Oddities::default();
    let answer = ec2.call("DescribeAddresses", Urgency::List, || ec2.client.describe_addresses().send()).await;
    let mut items = BTreeMap::new();
    let failure = match answer {
        Ok(answer) => {
            let addresses = answer.addresses().iter().filter_map(|address| convert::address(address, &mut oddities));
            items.extend(addresses.map(|address| (address.id.clone(), Arc::new(address))));
            None
        }
        Err(failure) => Some(failure),
    };
    Fetched { items, failure, oddities }
}

/// All zones of the Region that are switched on, in one answer.
pub(crate) async fn availability_zones(ec2: &Ec2) -> Fetched<ZoneName, Locale> {
    let mut oddities = Oddities::default();
    let answer = ec2.call("DescribeAvailabilityZones", Urgency::List, || ec2.client.describe_availability_zones().send()).await;
    let mut items = BTreeMap::new();
    let failure = match answer {
        Ok(answer) => {
            let zones = answer.availability_zones().iter().filter_map(|zone| convert::availability_zone(zone, &mut oddities));
            items.extend(zones.map(|(zone, locale)| (zone, Arc::new(locale))));
            None
        }
        Err(failure) => Some(failure),
    };
    Fetched { items, failure, oddities }
}
