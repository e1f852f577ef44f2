//! STS: who is calling?

use super::{world::World, xml::Xml};

pub(crate) fn answer(world: &World, xml: &mut Xml) {
    let account = &world.scope.account_id;
    xml.leaf("UserId", "AROASIMULATED:exporter");
    xml.leaf("Account", account);
    let partition = world.scope.partition.name();
    xml.leaf("Arn", format_args!("arn:{partition}:sts::{account}:assumed-role/exporter/simulated"));
}
