//! How soon is a change in the cluster seen in AWS? Pods fail, two target groups' worth a second, and it is timed until the
//! failure is in the store: on real time, within the default budget of five calls a second.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use eks_nlb_exporter::inventory::aws::TargetState;
use eks_nlb_exporter::inventory::ids::{ObjectName, TargetGroupId};
use eks_nlb_exporter::simulator::world::{Health, World};
use tokio::time::{Instant, interval, sleep_until, timeout};

use crate::gather::Gathered;

/// Changed target groups a second.
const CHANGES_A_SECOND: f64 = 2.0;

/// Breaks pods of so many target groups, and returns how long it took to see each.
pub(crate) async fn reactions(gathered: &Gathered, groups: usize) -> anyhow::Result<Vec<Duration>> {
    let plan = gathered.simulator.world.read(|world| plan(world, groups));
    ensure!(plan.values().map(BTreeMap::len).sum::<usize>() >= groups, "the world has too few Services");
    let mut waiting: BTreeMap<TargetGroupId, (Box<str>, Instant)> = BTreeMap::new();
    let mut took = Vec::new();
    let mut changes = gathered.store.subscribe();
    let mut looks = interval(Duration::from_millis(5));
    let mut due = Instant::now();
    for (service, targets) in plan {
        while due > Instant::now() {
            tokio::select! {
                () = sleep_until(due) => {}
                _ = looks.tick() => collect(&mut changes, &mut waiting, &mut took),
            }
        }
        due = Instant::now() + Duration::from_secs_f64(targets.len() as f64 / CHANGES_A_SECOND);
        let now = Instant::now();
        gathered.simulator.world.edit(|world| -> anyhow::Result<()> {
            let pod = world.services[&service].endpoints.first().context("a Service without pods")?.address;
            world.set_endpoints_ready(&service, false, |endpoint| endpoint.address == pod)?;
            for (group, target) in &targets {
                world.set_target_health(group, target, &Health::FAILED)?;
            }
            Ok(())
        })?;
        waiting.extend(targets.into_iter().map(|(group, target)| (group, (target, now))));
    }
    let rest = async {
        while !waiting.is_empty() {
            looks.tick().await;
            collect(&mut changes, &mut waiting, &mut took);
        }
    };
    timeout(Duration::from_secs(60), rest).await.context("some changes were not seen within a minute")?;
    Ok(took)
}

type Changes = tokio::sync::watch::Receiver<eks_nlb_exporter::inventory::parts::Parts>;

/// Takes note of those that the store knows by now.
fn collect(changes: &mut Changes, waiting: &mut BTreeMap<TargetGroupId, (Box<str>, Instant)>, took: &mut Vec<Duration>) {
    if !changes.has_changed().unwrap_or(false) {
        return;
    }
    let health = Arc::clone(&changes.borrow_and_update().target_health);
    waiting.retain(|group, (target, since)| {
        let sample = health.get(group).and_then(|part| part.get());
        let seen = sample
            .is_some_and(|sample| sample.targets.iter().any(|one| *one.id == **target && one.state == TargetState::Unhealthy));
        if seen {
            took.push(since.elapsed());
        }
        !seen
    });
}

/// Services with a target of each of their groups, until there are enough groups.
fn plan(world: &World, groups: usize) -> BTreeMap<ObjectName, BTreeMap<TargetGroupId, Box<str>>> {
    let mut plan: BTreeMap<ObjectName, BTreeMap<TargetGroupId, Box<str>>> = BTreeMap::new();
    let mut planned = BTreeSet::new();
    for (name, binding) in &world.bindings {
        let service = ObjectName::new(Arc::clone(&name.namespace), Arc::clone(&binding.service));
        let Some(target) = world.target_groups[&binding.target_group].targets.first() else { continue };
        if planned.len() >= groups && !plan.contains_key(&service) {
            continue;
        }
        planned.insert(binding.target_group.clone());
        plan.entry(service).or_default().insert(binding.target_group.clone(), (&*target.id).into());
    }
    plan
}
