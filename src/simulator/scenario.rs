//! What happens in the demonstration? A round of incidents, each of which begins, is noticed and ends; then again.
//!
//! Within two minutes something moves for each collector. A round leaves the world as healthy as it found it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{
    WorldHandle,
    world::{EditError, Health, Target, World, annotation},
};
use crate::inventory::{
    ids::{ObjectName, SecurityGroupId, SubnetId, TargetGroupId, ZoneName},
    kube::ServiceType,
};

/// How long a round is at time scale 1.
const ROUND: Duration = Duration::from_secs(480);

/// What the rules that come and go are marked with.
const LEFT_OVER: &str = "left over from a migration";

type Happening = Box<dyn Fn(&mut World, Timestamp) -> Result<(), EditError> + Send>;

/// One thing that happens.
struct Step {
    /// When, in seconds after the start of the round.
    at: u64,
    happen: Happening,
    /// What happened, for a person.
    sentence: String,
}

/// Somebody asked days ago for more of the quota that runs low in every round, and AWS has not decided; neither has it of an
/// older request, of which it made a support case.
pub(super) fn ask_for_more(world: &mut World, now: Timestamp) {
    let hours_ago = |hours| now - SignedDuration::from_hours(hours);
    world.request_quota("simulated-rules", RULES_QUOTA, 120.0, "PENDING", hours_ago(50));
    let load_balancers = ("elasticloadbalancing", "L-69A177A2");
    let most = world.quotas.get(&load_balancers).map_or(50.0, |quota| quota.value());
    world.request_quota("simulated-load-balancers", load_balancers, 2.0 * most, "CASE_OPENED", hours_ago(200));
}

/// The quota on rules of a security group.
const RULES_QUOTA: (&str, &str) = ("vpc", "L-0EA8095F");

/// Lets rounds happen for ever.
pub(super) async fn play(world: WorldHandle, time_scale: f64, say: impl Fn(&str) + Send) {
    loop {
        let start = Instant::now();
        let steps = world.edit(|world| {
            world.expire_events(crate::clock::now() - SignedDuration::from_hours(1));
            round(world)
        });
        for step in steps {
            tokio::time::sleep_until(start + Duration::from_secs(step.at).div_f64(time_scale)).await;
            match world.edit(|world| (step.happen)(world, crate::clock::now())) {
                Ok(()) => say(&step.sentence),
                // Somebody else took it away, which is their right.
                Err(error) => say(&format!("skipped, {error}: {}", step.sentence)),
            }
        }
        tokio::time::sleep_until(start + ROUND.div_f64(time_scale)).await;
    }
}

/// The steps of a round in this world, in order. What a small world lacks is left out.
fn round(world: &World) -> Vec<Step> {
    let mut steps = Steps::default();
    let mut taken = BTreeSet::new();
    if let Some(service) = pick(world, &mut taken, |world, name| pods(world, name) >= 2) {
        failing_pods(world, &service, &mut steps);
    }
    if let Some((service, zone)) = dark_zone_candidate(world, &mut taken) {
        dark_zone(world, &service, &zone, &mut steps);
    }
    let path = annotation("healthcheck-path");
    if let Some(service) = pick(world, &mut taken, |world, name| world.services[name].annotations.contains_key(&*path)) {
        unapplied_edit(world, &service, &path, &mut steps);
    }
    let interval = annotation("healthcheck-interval");
    if let Some(service) = pick(world, &mut taken, |world, name| !world.services[name].annotations.contains_key(&*interval)) {
        changed_behind_the_back(world, &service, &mut steps);
    }
    if let Some(service) = pick(world, &mut taken, |_, _| true) {
        blocked(world, &service, &mut steps);
    }
    subnet_runs_out(world, &mut steps);
    rules_climb(world, &mut steps);
    let mut steps = steps.0;
    steps.sort_by_key(|step| step.at);
    steps
}

#[derive(Default)]
struct Steps(Vec<Step>);

impl Steps {
    fn add(
        &mut self,
        at: u64,
        sentence: impl Into<String>,
        happen: impl Fn(&mut World, Timestamp) -> Result<(), EditError> + Send + 'static,
    ) {
        self.0.push(Step { at, happen: Box::new(happen), sentence: sentence.into() });
    }
}

/// The first Service with address targets that no other incident has and that `fits`.
fn pick(world: &World, taken: &mut BTreeSet<ObjectName>, fits: impl Fn(&World, &ObjectName) -> bool) -> Option<ObjectName> {
    let addressed = |name: &ObjectName| {
        let mut groups = world.target_groups_of(name).into_values();
        groups.any(|group| world.target_groups.get(&group).is_some_and(|group| group.target_type == "ip"))
    };
    // The shop's front door makes the best story.
    let mut names: Vec<&ObjectName> = world.load_balanced().map(|(name, _)| name).collect();
    names.sort_by_key(|name| (&*name.namespace != "shop" || &*name.name != "web", &*name.namespace != "pay"));
    let found = names.into_iter().find(|name| !taken.contains(*name) && addressed(name) && fits(world, name))?.clone();
    taken.insert(found.clone());
    Some(found)
}

fn pods(world: &World, name: &ObjectName) -> usize {
    world.services[name].endpoints.len()
}

/// Pods fail their readiness probe, are deregistered, come back and are registered again.
fn failing_pods(world: &World, name: &ObjectName, steps: &mut Steps) {
    let endpoints = &world.services[name].endpoints;
    let failing: Vec<Arc<str>> =
        endpoints.iter().take(endpoints.len().div_ceil(3)).map(|e| e.address.to_string().into()).collect();
    let groups: Vec<TargetGroupId> = world.target_groups_of(name).into_values().collect();
    let removed: Vec<(TargetGroupId, Vec<Target>)> = groups
        .iter()
        .map(|id| {
            let targets = world.target_groups[id].targets.iter().filter(|target| failing.contains(&target.id));
            (id.clone(), targets.cloned().collect())
        })
        .collect();

    let set = |health: Health| {
        let (groups, failing) = (groups.clone(), failing.clone());
        move |world: &mut World| {
            groups
                .iter()
                .try_for_each(|group| world.set_health_where(group, &health, |target| failing.contains(&target.id)).map(|_| ()))
        }
    };
    let ready = |ready: bool| {
        let (name, failing) = (name.clone(), failing.clone());
        move |world: &mut World| {
            let chosen = |endpoint: &super::world::Endpoint| failing.iter().any(|id| **id == *endpoint.address.to_string());
            world.set_endpoints_ready(&name, ready, chosen).map(|_| ())
        }
    };
    let (count, all) = (failing.len(), endpoints.len());
    let (fail, unready) = (set(Health::FAILED), ready(false));
    steps.add(3, format!("{count} of {all} pods of {name} fail their readiness probe and the health checks"), move |world, _| {
        unready(world)?;
        fail(world)
    });
    let drain = set(Health::DRAINING);
    steps.add(15, format!("the controller deregisters the failing pods of {name}"), move |world, _| drain(world));
    let (gone, leaving) = (failing.clone(), groups.clone());
    steps.add(25, format!("the failing pods of {name} are out of the target group"), move |world, _| {
        for id in &leaving {
            if let Some(group) = world.target_groups.get_mut(id) {
                group.targets.retain(|target| !gone.contains(&target.id));
            }
        }
        Ok(())
    });
    let back = ready(true);
    steps.add(40, format!("the pods of {name} are ready again and are being registered"), move |world, _| {
        for (id, targets) in &removed {
            if let Some(group) = world.target_groups.get_mut(id) {
                let again = targets.iter().map(|target| Target { health: Health::REGISTERING, ..target.clone() });
                group.targets.splice(0..0, again);
            }
        }
        back(world)
    });
    let heal = set(Health::HEALTHY);
    steps.add(52, format!("all targets of {name} are healthy"), move |world, _| heal(world));
}

/// A Service whose load balancer answers for each zone alone, and a zone of several that it has targets in.
fn dark_zone_candidate(world: &World, taken: &mut BTreeSet<ObjectName>) -> Option<(ObjectName, ZoneName)> {
    let zones = |world: &World, name: &ObjectName| -> BTreeSet<ZoneName> {
        world.services[name].endpoints.iter().map(|endpoint| endpoint.zone.clone()).collect()
    };
    let service = pick(world, taken, |world, name| {
        let crosses = world.load_balancer_of(name).is_some_and(|id| {
            world.load_balancers[id].attributes.get("load_balancing.cross_zone.enabled").is_some_and(|value| **value == *"true")
        });
        !crosses && zones(world, name).len() >= 2
    })?;
    let zone = zones(world, &service).into_iter().nth(1)?;
    Some((service, zone))
}

/// A zone's pods restart, and afterwards the health checks in that zone go on failing although the pods are ready.
fn dark_zone(world: &World, name: &ObjectName, zone: &ZoneName, steps: &mut Steps) {
    let groups: Vec<TargetGroupId> = world.target_groups_of(name).into_values().collect();
    let ready = |ready: bool| {
        let (name, zone) = (name.clone(), zone.clone());
        move |world: &mut World| world.set_endpoints_ready(&name, ready, |endpoint| endpoint.zone == zone).map(|_| ())
    };
    let set = |health: Health| {
        let (groups, zone) = (groups.clone(), zone.clone());
        move |world: &mut World| {
            groups.iter().try_for_each(|group| {
                world.set_health_where(group, &health, |target| target.zone.as_ref() == Some(&zone)).map(|_| ())
            })
        }
    };
    let (restart, dark) = (ready(false), set(Health::FAILED));
    steps.add(12, format!("the pods of {name} in {zone} restart"), move |world, _| {
        restart(world)?;
        dark(world)
    });
    let restarted = ready(true);
    let sentence =
        format!("they are ready, but a network ACL keeps the health checks out of {zone}: the zone is dark for {name}");
    steps.add(22, sentence, move |world, _| restarted(world));
    let light = set(Health::HEALTHY);
    steps.add(100, format!("the network ACL is put right: {zone} serves {name} again"), move |world, _| light(world));
}

/// Somebody edits an annotation, and the controller takes a long time to take it up.
fn unapplied_edit(world: &World, name: &ObjectName, key: &str, steps: &mut Steps) {
    let Some(before) = world.services[name].annotations.get(key).map(ToString::to_string) else { return };
    let after = format!("{before}z");
    let groups: Vec<TargetGroupId> = world.target_groups_of(name).into_values().collect();
    let write = |value: &str| {
        let (name, key, value) = (name.clone(), key.to_owned(), value.to_owned());
        move |world: &mut World, now| world.annotate(&name, key.as_str(), Some(&value), now)
    };
    let apply = |value: &str| {
        let (name, value, groups) = (name.clone(), Arc::<str>::from(value), groups.clone());
        move |world: &mut World, now| {
            for id in &groups {
                if let Some(group) = world.target_groups.get_mut(id) {
                    group.health_check.path = Some(Arc::clone(&value));
                }
            }
            world.reconciled_service(&name, now);
        }
    };
    let edit = write(&after);
    let sentence =
        format!("somebody edits the annotation healthcheck-path of {name} to {after}; the controller does not take it up");
    steps.add(20, sentence, edit);
    let late = apply(&after);
    steps.add(400, format!("the controller takes up the health check path of {name}"), move |world, now| {
        late(world, now);
        Ok(())
    });
    let (back, applied) = (write(&before), apply(&before));
    steps.add(440, format!("healthcheck-path of {name} is put back, and the controller follows at once"), move |world, now| {
        back(world, now)?;
        applied(world, now);
        Ok(())
    });
}

/// Somebody changes AWS behind the controller's back.
fn changed_behind_the_back(world: &World, name: &ObjectName, steps: &mut Steps) {
    let Some(group) = world.target_groups_of(name).into_values().next() else { return };
    let before = world.target_groups[&group].health_check.interval_seconds;
    let set = |seconds: i32| {
        let group = group.clone();
        move |world: &mut World| {
            if let Some(group) = world.target_groups.get_mut(&group) {
                group.health_check.interval_seconds = seconds;
            }
        }
    };
    let change = set(before + 20);
    let sentence = format!("somebody sets the health check interval of {name} to {} s in the console", before + 20);
    steps.add(18, sentence, move |world, _| {
        change(world);
        Ok(())
    });
    let (repair, name) = (set(before), name.clone());
    steps.add(200, format!("the controller restarts and repairs the health check interval of {name}"), move |world, now| {
        repair(world);
        world.reconciled_service(&name, now);
        Ok(())
    });
}

/// An annotation with a typo keeps the controller from reconciling a Service.
fn blocked(world: &World, name: &ObjectName, steps: &mut Steps) {
    let key = annotation("scheme");
    let before = world.services[name].annotations.get(&*key).map(ToString::to_string);
    let typo = "internet-faceing";
    let message = format!("Failed build model due to unknown scheme: {typo}");
    let warn = {
        let name = name.clone();
        move |world: &mut World, now| world.warn_about_service(&name, "FailedBuildModel", &message, now)
    };
    let (edited, edited_key, first) = (name.clone(), key.clone(), warn.clone());
    let sentence =
        format!("the scheme of {name} is edited to {typo:?}: the controller cannot build the model, the Service is blocked");
    steps.add(30, sentence, move |world, now| {
        world.annotate(&edited, edited_key.as_str(), Some(typo), now)?;
        first(world, now);
        Ok(())
    });
    for at in [45, 75] {
        let again = warn.clone();
        steps.add(at, format!("the controller tries {name} again and fails"), move |world, now| {
            again(world, now);
            Ok(())
        });
    }
    let edited = name.clone();
    steps.add(120, format!("the scheme of {name} is put right: reconciled"), move |world, now| {
        world.annotate(&edited, key.as_str(), before.as_deref(), now)?;
        world.reconciled_service(&edited, now);
        Ok(())
    });
}

/// The subnet that the controller would choose in the last zone runs out of addresses.
fn subnet_runs_out(world: &World, steps: &mut Steps) {
    let Some(id) = world
        .load_balanced()
        .filter_map(|(name, _)| world.load_balancer_of(name))
        .filter_map(|id| world.load_balancers[id].zones.iter().max())
        .map(|(_, subnet, _)| subnet.clone())
        .next()
    else {
        return;
    };
    let before = world.subnets[&id].free_addresses;
    let set = |free: i64| {
        let id: SubnetId = id.clone();
        move |world: &mut World, _: Timestamp| world.set_free_addresses(&id, free)
    };
    let zone = &world.subnets[&id].zone;
    for (at, free) in [(8, 60), (14, 21), (20, 12), (26, 5)] {
        let sentence = if free < 8 {
            format!("{id} in {zone} has {free} free addresses: too few for a load balancer, the next one goes without {zone}")
        } else {
            format!("{id} in {zone} has {free} free addresses left")
        };
        steps.add(at, sentence, set(free));
    }
    steps.add(130, format!("{id} in {zone} has 30 free addresses again"), set(30));
    steps.add(160, format!("{id} in {zone} has {before} free addresses as before"), set(before));
}

/// The rules of the nodes' security group climb to the quota, and the next binding is refused.
fn rules_climb(world: &World, steps: &mut Steps) {
    let group: SecurityGroupId = world.scope.node_group.clone();
    let Some(limit) = world.quotas.get(&RULES_QUOTA).map(|quota| quota.value()) else { return };
    // Every rule of this group counts once in IPv4: its sources are groups and IPv4 networks.
    let mut used = world.security_groups[&group].inbound.len();
    let room = (limit as usize).saturating_sub(used);
    for part in 1..=6 {
        let count = room * part / 6 - room * (part - 1) / 6;
        used += count;
        let into = group.clone();
        let sentence = format!("the nodes' security group {group} has {used} of {limit} inbound rules");
        steps.add(10 * part as u64, sentence, move |world, _| world.add_rules(&into, count, LEFT_OVER));
    }
    let binding = world.bindings.iter().find(|(name, binding)| {
        let service = ObjectName::new(Arc::clone(&name.namespace), Arc::clone(&binding.service));
        binding.target_type == "ip" && world.services.get(&service).is_some_and(|s| s.service_type == ServiceType::LoadBalancer)
    });
    let binding = binding.map(|(name, _)| name.clone());
    if let Some(name) = binding.clone() {
        let message =
            "api error RulesPerSecurityGroupLimitExceeded: The maximum number of rules per security group has been reached.";
        steps.add(
            65,
            format!("the controller cannot open ports for the TargetGroupBinding {name}: the quota is reached"),
            move |world, now| {
                world.warn_about_binding(&name, "FailedNetworkReconcile", message, now);
                Ok(())
            },
        );
    }
    let sentence = format!("the left-over rules of {group} are removed");
    steps.add(150, sentence, move |world, now| {
        world.remove_rules(&group, LEFT_OVER)?;
        if let Some(name) = &binding {
            world.reconciled_binding(name, now);
        }
        Ok(())
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::Sizes;

    fn now() -> Timestamp {
        Timestamp::from_second(1_790_000_000).unwrap()
    }

    fn aws(world: &World) -> String {
        format!("{:?}{:?}{:?}{:?}", world.subnets, world.security_groups, world.load_balancers, world.target_groups)
    }

    fn annotations(world: &World) -> Vec<String> {
        world.services.values().map(|service| format!("{:?}{:?}", service.annotations, service.endpoints)).collect()
    }

    #[test]
    fn a_round_leaves_the_world_as_it_was() {
        for sizes in
            [Sizes::default(), Sizes { load_balancers: 1, target_groups: 1, targets: 1, services: 1, ..Sizes::default() }]
        {
            let mut world = World::build(&sizes, now());
            let before = (aws(&world), annotations(&world));
            let steps = round(&world);
            assert!(steps.windows(2).all(|pair| pair[0].at <= pair[1].at));
            assert!(steps.iter().all(|step| step.at < ROUND.as_secs()));
            for step in &steps {
                (step.happen)(&mut world, now()).unwrap();
            }
            let after = (aws(&world), annotations(&world));
            assert!(before == after, "something is left over with {sizes:?}");
        }
    }

    #[test]
    fn every_collector_has_something_to_see_within_two_minutes() {
        let mut world = World::build(&Sizes::default(), now());
        let (mut unhealthy, mut dark, mut full, mut at_limit, mut drifted, mut blocked) =
            (false, false, false, false, false, false);
        let node_group = world.scope.node_group.clone();
        let intervals =
            |world: &World| -> Vec<i32> { world.target_groups.values().map(|g| g.health_check.interval_seconds).collect() };
        let before = intervals(&world);
        for step in round(&world).iter().filter(|step| step.at <= 70) {
            (step.happen)(&mut world, now()).unwrap();
            unhealthy |= world.target_groups.values().any(|g| g.targets.iter().any(|t| t.health == Health::DRAINING));
            dark |= world.target_groups.values().any(|group| {
                let zone = |zone: &ZoneName| {
                    let mut of_zone = group.targets.iter().filter(|t| t.zone.as_ref() == Some(zone)).peekable();
                    of_zone.peek().is_some() && of_zone.all(|t| t.health == Health::FAILED)
                };
                world.zones.iter().any(|one| zone(&one.name))
            });
            full |= world.subnets.values().any(|subnet| subnet.free_addresses < 8);
            at_limit |= world.security_groups[&node_group].inbound.len() == 60;
            drifted |= intervals(&world) != before;
            blocked |= world.events.values().any(|event| event.reason == "FailedBuildModel");
        }
        assert!(
            unhealthy && dark && full && at_limit && drifted && blocked,
            "{unhealthy} {dark} {full} {at_limit} {drifted} {blocked}"
        );
    }
}
