//! It speaks of what was edited after the creation, and says of which of it that it is in vain.

use super::*;
use crate::checks::testing::{BORN, FETCHED, Said, World, at, service};
use crate::controller::annotations::name::{ATTRIBUTES, TARGET_TYPE};
use crate::inventory::aws::{LoadBalancerAddress, Tags};
use crate::inventory::history::Adoption;
use crate::inventory::part::Part;
use crate::inventory::parts::Parts;

/// A Service whose annotations were `before` when its load balancer was made, and are `after` since `BORN + 500`.
fn world(before: &[(&str, &str)], after: &[(&str, &str)]) -> World {
    let of = |pairs: &[(&str, &str)]| {
        let builder = service("shop/web").external("ip");
        World::of(&pairs.iter().fold(builder, |builder, (key, value)| builder.annotate(key, value)))
    };
    let (then, mut now) = (of(before), of(after));
    let mut history = History::default();
    let mut without: Parts = then.parts.clone();
    without.load_balancers.succeed(Default::default(), at(BORN));
    history.observe(&without, at(BORN + 1));
    history.observe(&then.parts, at(BORN + 60));
    history.observe(&now.parts, at(BORN + 500));
    now.parts.history = Part::fetched(history, at(FETCHED));
    now
}

fn observed_again(world: World) -> World {
    world.with(|world| {
        let mut history = world.parts.history.get().unwrap().clone();
        history.observe(&world.parts, at(BORN + 600));
        world.parts.history = Part::fetched(history, at(FETCHED));
    })
}

fn judge(world: &World) -> Said {
    world.judge(&CHECK)
}

#[test]
fn a_service_that_is_as_it_was_is_zero_and_silent() {
    let said = judge(&world(&[(name::SCHEME, "internal")], &[(name::SCHEME, "internal")]));
    assert_eq!(said.family("service_edited_annotations"), ["shop,web 0"]);
    assert!(said.codes().is_empty());
}

#[test]
fn a_plain_edit_is_information_with_what_and_when() {
    let said = judge(&world(&[(TARGET_TYPE, "instance"), (ATTRIBUTES, "a=b")], &[(TARGET_TYPE, "ip")]));
    assert_eq!(said.family("service_edited_annotations"), ["shop,web 2"]);
    assert_eq!(
        said.findings(&EDITED),
        ["Service shop/web: Since its load balancer was created at 1970-01-12T13:47:00Z these annotations of the Service were \
          edited: aws-load-balancer-attributes was removed, it was \"a=b\" at 1970-01-12T13:55:00Z; \
          aws-load-balancer-nlb-target-type from \"instance\" to \"ip\" at 1970-01-12T13:55:00Z."]
    );
    assert_eq!(said.codes(), ["NLB503"]);
}

#[test]
fn many_edits_are_one_finding_that_stays_readable() {
    let keys = [name::HEALTH_CHECK_INTERVAL, name::HEALTH_CHECK_PATH, name::HEALTH_CHECK_PORT, name::SUCCESS_CODES];
    let more = [name::HEALTHY_THRESHOLD, name::UNHEALTHY_THRESHOLD, name::HEALTH_CHECK_TIMEOUT];
    let after: Vec<_> = keys.iter().chain(&more).map(|key| (*key, "1")).collect();
    let said = judge(&world(&[], &after));
    let [finding] = &said.findings(&EDITED)[..] else { panic!("one finding") };
    assert!(finding.ends_with("; 2 more."), "{finding}");
}

/// The comparison with AWS tells it.
const BY_DRIFT: [&str; 2] = ["NLB503", "NLB502"];
const IN_VAIN: [&str; 1] = ["NLB504"];
const PLAIN: [&str; 1] = ["NLB503"];

/// (annotation, before, after, what this check and the comparison with AWS say never takes effect on the load balancer of the
/// fixtures, which has security groups and no addresses)
type Edit = (&'static str, Option<&'static str>, Option<&'static str>, &'static [&'static str]);

const CLASS_C: &[Edit] = &[
    (name::NAME, Some("one"), Some("two"), &BY_DRIFT),
    (name::NAME, Some("one"), None, &IN_VAIN),
    (name::NAME, Some("two"), Some("one"), &PLAIN),
    (name::EIP_ALLOCATIONS, None, Some("eipalloc-1,eipalloc-2"), &IN_VAIN),
    (name::EIP_ALLOCATIONS, Some("eipalloc-1"), None, &PLAIN),
    (name::PRIVATE_IPV4_ADDRESSES, None, Some("10.0.0.1"), &BY_DRIFT),
    (name::PRIVATE_IPV4_ADDRESSES, Some("10.0.0.1"), None, &PLAIN),
    (name::IPV6_ADDRESSES, None, Some("2001:db8::1"), &PLAIN),
    (name::DISABLE_NLB_SG, None, Some("true"), &IN_VAIN),
    (name::DISABLE_NLB_SG, None, Some("false"), &PLAIN),
    // The groups are others than the annotation says, and the controller brings that in order.
    (name::SECURITY_GROUPS, None, Some("sg-1"), &["NLB503", "NLB501"]),
    (name::SUBNETS, Some("subnet-a"), Some("subnet-a,subnet-b"), &["NLB503", "NLB501"]),
];

#[test]
fn what_is_read_at_creation_only_is_edited_in_vain_1_4_t2() {
    for (key, before, after, expected) in CLASS_C {
        let pair = |value: &Option<&'static str>| value.map(|value| (*key, value)).into_iter().collect::<Vec<_>>();
        let world = world(&pair(before), &pair(after));
        let codes = [judge(&world).codes(), world.judge(&crate::checks::drift::CHECK).codes()].concat();
        assert_eq!(codes, *expected, "{key} {before:?} {after:?}");
    }
}

#[test]
fn security_groups_cannot_be_given_to_a_load_balancer_that_has_none_1_5_t2() {
    let without = |world: World| judge(&world.load_balancer(|lb| lb.security_groups.clear())).codes();
    assert_eq!(without(world(&[], &[(name::SECURITY_GROUPS, "sg-1")])), ["NLB504"]);
    assert_eq!(without(world(&[(name::SECURITY_GROUPS, "sg-1")], &[])), ["NLB503"]);
    assert_eq!(without(world(&[(name::DISABLE_NLB_SG, "true")], &[])), ["NLB504"]);
}

#[test]
fn an_edit_that_aws_follows_all_the_same_is_a_plain_one() {
    let world = world(&[], &[(name::PRIVATE_IPV4_ADDRESSES, "10.0.0.2, 10.0.0.1"), (name::EIP_ALLOCATIONS, "eipalloc-1")]);
    let world = world.load_balancer(|lb| {
        let address = |ip: &str| LoadBalancerAddress { private_ipv4: ip.parse().ok(), ..LoadBalancerAddress::default() };
        lb.zones[0].addresses = vec![address("10.0.0.1")];
        lb.zones[1].addresses = vec![LoadBalancerAddress { allocation_id: Some("eipalloc-1".into()), ..address("10.0.0.2") }];
    });
    assert_eq!(judge(&world).codes(), ["NLB503"]);
}

#[test]
fn a_replacement_that_is_coming_follows_every_edit() {
    let said = judge(&world(&[], &[(name::SCHEME, "internet-facing"), (name::EIP_ALLOCATIONS, "eipalloc-1")]));
    assert_eq!(said.codes(), ["NLB503"]);
}

#[test]
fn of_the_in_tree_provider_nobody_claims_to_know_what_it_ignores() {
    let world = world(&[], &[(name::NAME, "two")]);
    let tags: Tags = [("kubernetes.io/cluster/demo", "owned"), ("kubernetes.io/service-name", "shop/web")]
        .map(|(key, value)| (Arc::from(key), Arc::from(value)))
        .into();
    let world = world.with(|world| {
        Arc::make_mut(&mut world.parts.tags).values_mut().for_each(|part| *part = Part::fetched(tags.clone(), at(FETCHED)));
    });
    assert_eq!(judge(&world).codes(), ["NLB503"]);
}

#[test]
fn an_edit_that_is_put_back_is_silent_again() {
    let world = world(&[(name::NAME, "one")], &[(name::NAME, "two")]);
    assert_eq!(judge(&world).codes(), ["NLB503"]);
    let key: Arc<str> = format!("{PREFIX}{}", name::NAME).into();
    let back = observed_again(world.change_service(|service| _ = service.annotations.insert(key, "one".into())));
    assert_eq!(
        (judge(&back).codes(), judge(&back).family("service_edited_annotations")),
        (vec![], vec!["shop,web 0".to_owned()])
    );
}

#[test]
fn an_adopted_service_is_silent_and_its_edits_tell_what_they_are_compared_with() {
    let adopt = |world: World, written: Option<i64>| {
        world.with(|world| {
            let mut history = world.parts.history.get().unwrap().clone();
            let record = Arc::make_mut(history.services.values_mut().next().unwrap());
            record.adopted = Some(Adoption { at: at(BORN + 60), annotations_written_at: written.map(at) });
            world.parts.history = Part::fetched(history, at(FETCHED));
        })
    };
    assert!(judge(&adopt(world(&[], &[]), Some(BORN + 50))).codes().is_empty());
    for (written, evidence) in [
        (Some(BORN + 50), "managedFields tells of a write at 1970-01-12T13:47:30Z, which may have been an earlier edit"),
        (Some(BORN), "managedFields tells of no write in between"),
        (None, "managedFields tells nothing of the time in between"),
    ] {
        let said = judge(&adopt(world(&[], &[(ATTRIBUTES, "a=b")]), written));
        let finding = &said.findings(&EDITED)[0];
        assert!(
            finding.contains("Since this exporter first saw it at 1970-01-12T13:47:40Z") && finding.contains(evidence),
            "{finding}"
        );
    }
}

#[test]
fn without_a_history_or_a_load_balancer_nothing_is_said() {
    let world = world(&[], &[(name::NAME, "two")]);
    let unknown = world.with(|world| world.parts.history = Part::default());
    assert!(judge(&unknown).report.families().is_empty() && judge(&unknown).codes().is_empty());
    let mut pending = self::world(&[], &[]);
    pending.parts.load_balancers.succeed(Default::default(), at(FETCHED));
    assert!(judge(&pending).family("service_edited_annotations").is_empty());
}

#[test]
fn another_service_of_the_same_name_is_not_judged_by_the_old_ones_record() {
    let world = world(&[], &[(name::NAME, "two")]).change_service(|service| service.uid = "another".into());
    assert!(judge(&world).report.families().is_empty() && judge(&world).codes().is_empty());
}

#[test]
fn a_loss_is_told_for_a_day() {
    let lost = |second: i64| {
        let mut world = world(&[], &[]);
        let mut history = world.parts.history.get().unwrap().clone();
        history.lost = History::anew(at(second), "the state file /state is corrupt").lost;
        world.parts.history = Part::fetched(history, at(FETCHED));
        judge(&world).findings(&HISTORY_LOST)
    };
    assert_eq!(lost(FETCHED), ["cluster: the state file /state is corrupt."]);
    assert!(lost(FETCHED - 86_400).is_empty());
}
