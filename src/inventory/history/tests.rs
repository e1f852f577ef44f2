//! What counts as an edit, and what does not.

use super::*;
use crate::checks::testing::{BORN, FETCHED, World, at, service};
use crate::controller::annotations::name::{ATTRIBUTES, EIP_ALLOCATIONS, NAME, SCHEME};
use crate::inventory::ids::LoadBalancerId;

/// A Service that is seen from its beginning: first without, then with its load balancer, which was made at `BORN + 20`.
fn watched_from_the_beginning() -> (World, History) {
    let world = World::of(&service("shop/web").external("ip").annotate(SCHEME, "internal"));
    let mut history = History::default();
    let mut without = world.parts.clone();
    without.load_balancers.succeed(BTreeMap::new(), at(BORN));
    assert!(history.observe(&without, at(BORN + 1)));
    assert!(history.observe(&world.parts, at(BORN + 60)));
    assert!(!history.observe(&world.parts, at(BORN + 61)), "nothing is new");
    (world, history)
}

fn annotate(world: World, key: &str, value: &str) -> World {
    world.change_service(|service| _ = service.annotations.insert(format!("{PREFIX}{key}").into(), value.into()))
}

fn record(history: &History) -> &Record {
    &history.services[&ObjectName::new("shop", "web")]
}

/// `name: from → to when` of what differs.
fn edited(history: &History) -> Vec<String> {
    let record = record(history);
    let told = |value: Option<&Value>| value.map_or_else(|| "none".to_owned(), Value::to_string);
    let line = |(key, edited): (&Arc<str>, &Edited)| {
        let key = key.strip_prefix("service.beta.kubernetes.io/aws-load-balancer-").unwrap();
        let when = match edited.at.unwrap() {
            When::At(at) => format!("at {}", at.as_second() - BORN),
            When::Written(at) => format!("written {}", at.as_second() - BORN),
            When::Between(a, b) => format!("between {} and {}", a.as_second() - BORN, b.as_second() - BORN),
        };
        let from = record.baseline.iter().find(|(name, _)| name.ends_with(key)).map(|(_, value)| value);
        format!("{key}: {} → {} {when}", told(from), told(edited.now.as_ref()))
    };
    record.edited.iter().map(line).collect()
}

fn stored(history: &History) -> History {
    serde_json::from_str::<History>(&serde_json::to_string(history).unwrap()).unwrap().resume()
}

fn replace_load_balancer(world: World, second: i64) -> World {
    world.load_balancer(|lb| lb.created_at = Some(at(second)))
}

#[test]
fn a_service_that_nobody_edits_is_not_edited() {
    let (world, mut history) = watched_from_the_beginning();
    assert!(!history.observe(&world.parts, at(BORN + 100_000)));
    assert_eq!((record(&history).adopted.as_ref(), edited(&history)), (None, vec![]));
}

#[test]
fn an_edit_after_the_creation_is_known_with_both_values_and_its_time() {
    let (world, mut history) = watched_from_the_beginning();
    let world = annotate(annotate(world, SCHEME, "internet-facing"), ATTRIBUTES, "a=b");
    assert!(history.observe(&world.parts, at(BORN + 500)));
    assert_eq!(edited(&history), ["attributes: none → \"a=b\" at 500", "scheme: \"internal\" → \"internet-facing\" at 500"]);
    let world = world.change_service(|service| service.annotations.retain(|key, _| !key.ends_with("scheme")));
    assert!(history.observe(&world.parts, at(BORN + 600)));
    assert_eq!(edited(&history), ["attributes: none → \"a=b\" at 500", "scheme: \"internal\" → none at 600"]);
}

#[test]
fn putting_it_back_clears_it_and_stays_in_the_log() {
    let (world, mut history) = watched_from_the_beginning();
    let world = annotate(world, SCHEME, "internet-facing");
    history.observe(&world.parts, at(BORN + 500));
    let world = annotate(world, SCHEME, "internal");
    assert!(history.observe(&world.parts, at(BORN + 600)));
    assert!(edited(&history).is_empty());
    assert_eq!(record(&history).edits.len(), 2);
}

#[test]
fn before_there_is_a_load_balancer_edits_are_free() {
    let world = World::of(&service("shop/web").external("ip").annotate(NAME, "one"));
    let mut history = History::default();
    let mut without = world.parts.clone();
    without.load_balancers.succeed(BTreeMap::new(), at(BORN));
    history.observe(&without, at(BORN + 1));
    let world = annotate(world, NAME, "two");
    let mut without = world.parts.clone();
    without.load_balancers.succeed(BTreeMap::new(), at(BORN));
    assert!(history.observe(&without, at(BORN + 10)));
    assert!(history.observe(&world.parts, at(BORN + 60)));
    assert!(edited(&history).is_empty() && record(&history).adopted.is_none());
}

#[test]
fn an_edit_between_the_creation_and_its_discovery_is_one() {
    let world = World::of(&service("shop/web").external("ip").annotate(NAME, "one"));
    let mut history = History::default();
    let without = |world: &World| {
        let mut parts = world.parts.clone();
        parts.load_balancers.succeed(BTreeMap::new(), at(BORN));
        parts
    };
    history.observe(&without(&world), at(BORN + 1));
    let world = annotate(world, NAME, "two");
    history.observe(&without(&world), at(BORN + 10));
    let world = annotate(world, NAME, "three");
    history.observe(&without(&world), at(BORN + 30));
    history.observe(&world.parts, at(BORN + 60));
    assert_eq!(edited(&history), ["name: \"two\" → \"three\" at 30"], "it was created at 20");
}

#[test]
fn annotations_of_others_are_of_no_interest() {
    let (world, mut history) = watched_from_the_beginning();
    let world = world.change_service(|service| _ = service.annotations.insert("external-dns.alpha/hostname".into(), "x".into()));
    assert!(!history.observe(&world.parts, at(BORN + 500)));
}

#[test]
fn who_is_older_than_the_first_look_is_adopted_and_not_edited() {
    let world = World::of(&service("shop/web").external("ip"));
    let world = world.change_service(|service| service.annotations_written_at = Some(at(BORN + 900)));
    let mut history = History::default();
    history.observe(&world.parts, at(BORN + 1_000));
    let adopted = Adoption { at: at(BORN + 1_000), annotations_written_at: Some(at(BORN + 900)) };
    assert_eq!((record(&history).adopted.as_ref(), edited(&history)), (Some(&adopted), vec![]));
    let world = annotate(world, SCHEME, "internal");
    history.observe(&world.parts, at(BORN + 2_000));
    assert_eq!(edited(&history), ["scheme: none → \"internal\" at 2000"]);
}

/// A restart right after the first look, before the load balancers were known, and an edit while nobody looked.
#[test]
fn an_edit_before_the_load_balancers_are_known_is_told_from_the_first_look_on() {
    let world = World::of(&service("shop/web").external("ip").annotate(SCHEME, "internal"));
    let mut without = world.parts.clone();
    without.load_balancers.succeed(BTreeMap::new(), at(BORN));
    let mut history = History::default();
    history.observe(&without, at(BORN + 1_000));
    let mut history = stored(&history);
    let world = annotate(world, SCHEME, "internet-facing")
        .change_service(|service| service.annotations_written_at = Some(at(BORN + 1_020)));
    history.observe(&world.parts, at(BORN + 1_030));
    // What was written later is the edit itself, and no evidence of an earlier one.
    assert_eq!(record(&history).adopted, Some(Adoption { at: at(BORN + 1_000), annotations_written_at: None }));
    assert_eq!(edited(&history), ["scheme: \"internal\" → \"internet-facing\" written 1020"]);
}

#[test]
fn services_that_are_known_before_their_load_balancers_are_adopted_too() {
    let world = World::of(&service("shop/web").external("ip"));
    let mut history = History::default();
    let mut without = world.parts.clone();
    without.load_balancers = Part::default();
    history.observe(&without, at(BORN + 1_000));
    history.observe(&world.parts, at(BORN + 1_002));
    assert!(record(&history).adopted.is_some());
}

#[test]
fn an_edit_made_while_nobody_looked_is_found_at_the_next_start() {
    let (world, history) = watched_from_the_beginning();
    let world = annotate(world, SCHEME, "internet-facing");
    let mut next = stored(&history);
    assert!(next.observe(&world.parts, at(BORN + 5_000)));
    assert_eq!(edited(&next), ["scheme: \"internal\" → \"internet-facing\" between 61 and 5000"]);
    let mut told = stored(&history);
    let world = world.change_service(|service| service.annotations_written_at = Some(at(BORN + 3_000)));
    told.observe(&world.parts, at(BORN + 5_000));
    assert_eq!(edited(&told), ["scheme: \"internal\" → \"internet-facing\" written 3000"]);
    let mut older = stored(&history);
    let world = world.change_service(|service| service.annotations_written_at = Some(at(BORN + 30)));
    older.observe(&world.parts, at(BORN + 5_000));
    assert_eq!(edited(&older), ["scheme: \"internal\" → \"internet-facing\" between 61 and 5000"], "no evidence");
}

#[test]
fn a_load_balancer_made_while_nobody_looked_has_an_unknown_beginning() {
    let world = World::of(&service("shop/web").external("ip").annotate(NAME, "one"));
    let mut history = History::default();
    let mut without = world.parts.clone();
    without.load_balancers.succeed(BTreeMap::new(), at(BORN));
    history.observe(&without, at(BORN + 1));
    let mut next = stored(&history);
    let world = annotate(world, NAME, "two").change_service(|service| service.annotations_written_at = Some(at(BORN + 100)));
    // The Services come first, the load balancers later.
    let mut without = world.parts.clone();
    without.load_balancers = Part::default();
    next.observe(&without, at(BORN + 5_000));
    let world = annotate(world, NAME, "three");
    next.observe(&world.parts, at(BORN + 5_002));
    assert!(record(&next).adopted.is_some());
    assert_eq!(edited(&next), ["name: \"two\" → \"three\" at 5002"], "only what was seen since");
}

#[test]
fn a_new_load_balancer_starts_over() {
    let (world, mut history) = watched_from_the_beginning();
    let world = annotate(world, EIP_ALLOCATIONS, "eipalloc-1");
    history.observe(&world.parts, at(BORN + 500));
    assert_eq!(edited(&history).len(), 1);
    let world = replace_load_balancer(world, BORN + 600);
    history.observe(&world.parts, at(BORN + 660));
    assert_eq!((record(&history).adopted.as_ref(), edited(&history)), (None, vec![]));
    let world = annotate(world, EIP_ALLOCATIONS, "eipalloc-2");
    history.observe(&world.parts, at(BORN + 700));
    assert_eq!(edited(&history), ["eip-allocations: \"eipalloc-1\" → \"eipalloc-2\" at 700"]);
}

#[test]
fn an_old_load_balancer_that_goes_or_stays_changes_nothing() {
    let (mut world, mut history) = watched_from_the_beginning();
    world.add_load_balancer("old");
    let old = LoadBalancerId::new("net/old/1");
    Arc::make_mut(Arc::make_mut(world.parts.load_balancers.value.as_mut().unwrap()).get_mut(&old).unwrap()).created_at =
        Some(at(BORN - 1_000));
    assert!(!history.observe(&world.parts, at(BORN + 500)));
    let mut none = world.parts.clone();
    none.load_balancers = Part::default();
    assert!(!history.observe(&none, at(BORN + 600)), "who cannot see forgets nothing");
}

#[test]
fn a_service_that_is_gone_is_forgotten_and_another_of_its_name_is_new() {
    let (world, mut history) = watched_from_the_beginning();
    let world = annotate(world, SCHEME, "internet-facing");
    history.observe(&world.parts, at(BORN + 500));
    let again = world.change_service(|service| service.uid = "another".into());
    let again = replace_load_balancer(again, BORN + 700);
    for mut history in [history.clone(), stored(&history)] {
        assert!(history.observe(&again.parts, at(BORN + 800)));
        assert!(edited(&history).is_empty());
    }
    let mut gone = again.parts.clone();
    gone.services.succeed(BTreeMap::new(), at(BORN + 900));
    assert!(history.observe(&gone, at(BORN + 900)));
    assert!(history.services.is_empty());
    gone.services = Part::default();
    assert!(!history.observe(&gone, at(BORN + 901)));
}

#[test]
fn a_long_value_is_compared_as_a_whole() {
    let value = |middle: char| format!("{}{middle}{}", "a".repeat(100), "b".repeat(100));
    let (world, mut history) = watched_from_the_beginning();
    let world = annotate(world, ATTRIBUTES, &value('x'));
    history.observe(&world.parts, at(BORN + 290));
    let world = replace_load_balancer(world, BORN + 300);
    history.observe(&world.parts, at(BORN + 310));
    assert!(edited(&history).is_empty());
    let world = annotate(world, ATTRIBUTES, &value('y'));
    assert!(history.observe(&world.parts, at(BORN + 400)));
    assert_eq!(edited(&history).len(), 1);
    let mut next = stored(&history);
    let world = annotate(world, ATTRIBUTES, &value('x'));
    next.observe(&world.parts, at(BORN + 500));
    assert!(edited(&next).is_empty());
}

#[test]
fn the_log_of_a_service_is_bounded() {
    let (mut world, mut history) = watched_from_the_beginning();
    for number in 0..40 {
        world = annotate(world, NAME, &format!("n{number}"));
        history.observe(&world.parts, at(BORN + 100 + number));
    }
    assert_eq!(edited(&history), ["name: none → \"n39\" at 139"]);
    assert_eq!(record(&history).edits.len(), LOGGED);
}

#[test]
fn two_histories_of_one_cluster_add_up_to_the_one_that_reaches_farther_back() {
    let (world, old) = watched_from_the_beginning();
    let world = annotate(world, SCHEME, "internet-facing");
    let mut young = History::default();
    young.observe(&world.parts, at(BORN + 1_000));
    let world = annotate(world, NAME, "mine");
    young.observe(&world.parts, at(BORN + 2_000));
    let both = [(stored(&old), &young), (young.clone(), &old)].map(|(mut base, other)| {
        base.absorb(other);
        assert!(!base.observe(&world.parts, at(BORN + 3_000)), "nothing is left to be found");
        base
    });
    for history in both {
        assert!(record(&history).adopted.is_none());
        let differs: Vec<_> = record(&history).edited.values().map(|edited| edited.at).collect();
        assert_eq!(differs, [Some(When::At(at(BORN + 2_000))), None], "the time of one of the two is not known");
        assert_eq!(history.began_at, old.began_at);
    }
}

#[test]
fn it_travels_in_the_parts() {
    let (world, history) = watched_from_the_beginning();
    let parts = Parts { history: Part::fetched(history.clone(), at(FETCHED)), ..world.parts };
    let back: Parts = serde_json::from_str(&serde_json::to_string(&parts).unwrap()).unwrap();
    assert_eq!(back.history.get().unwrap().services, history.services);
}
