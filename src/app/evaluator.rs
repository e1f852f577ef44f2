//! When is a new picture made, judged and shown? When something changed, and once a tick so that ages move.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::checks::model::Outcome;
use crate::checks::{self, CHECKS, Check};
use crate::clock;
use crate::config::policy::Policy;
use crate::expose::exposition::Exposition;
use crate::expose::readiness::Readiness;
use crate::inventory::parts::Parts;
use crate::inventory::readiness::{Pending, pending};
use crate::inventory::snapshot::{Expiry, Snapshot};
use crate::sources::store::Store;

/// At most one picture in this time: five samples a second must not mean five renderings.
const LEAST_PAUSE: Duration = Duration::from_secs(2);
/// Until the first full picture people wait for it.
const LEAST_PAUSE_BEFORE_READY: Duration = Duration::from_millis(100);
/// A picture is made this often even when nothing changed: hold-downs end and values grow too old.
const TICK: Duration = Duration::from_secs(15);

/// Before it is known what belongs to the cluster, only how the sources are doing can be told without guessing.
static BEFORE_IDENTITY: &[&Check] = &[&checks::freshness::CHECK];

/// Makes pictures for ever.
pub(super) async fn run(
    store: Store,
    mut policies: watch::Receiver<Arc<Policy>>,
    exposition: Arc<Exposition>,
    readiness: Arc<Readiness>,
) {
    let mut changes = store.subscribe();
    let mut ready = false;
    loop {
        let began = tokio::time::Instant::now();
        let parts = changes.borrow_and_update().clone();
        let policy = Arc::clone(&policies.borrow_and_update());
        let Ok((outcome, pending)) = tokio::task::spawn_blocking(move || judge(parts, &policy)).await else {
            // `judge` catches what a check does; the join has no way to fail but a defect, which the panic's own message names.
            tracing::error!("the picture could not be made; the one before stays");
            tokio::time::sleep(LEAST_PAUSE).await;
            continue;
        };
        for run in outcome.runs.iter().filter(|run| !run.success) {
            tracing::error!(check = run.check, "a check failed; its families are missing from this picture");
        }
        if let Err(error) = exposition.publish(Arc::new(outcome)).await {
            tracing::error!(%error, "the picture could not be rendered; the one before stays");
        }
        readiness.waits_for(pending.names());
        if pending.is_empty() && !ready {
            ready = true;
            tracing::info!("the first full picture is shown");
        }
        let least = if ready { LEAST_PAUSE } else { LEAST_PAUSE_BEFORE_READY };
        // Never more than a fifth of one core, however large the cluster.
        tokio::time::sleep_until(began + least.max(began.elapsed() * 4)).await;
        let tick = tokio::time::sleep_until(began + TICK);
        tokio::select! {
            // A sender that has gone means that the daemon ends.
            Ok(()) = changes.changed() => {}
            Ok(()) = policies.changed() => {}
            () = tick => {}
        }
    }
}

fn judge(parts: Parts, policy: &Policy) -> (Outcome, Pending) {
    let now = clock::now();
    let snapshot = Snapshot::join(parts, now, Expiry { max_staleness: policy.max_staleness() });
    let pending = pending(&snapshot);
    let table = if pending.identity.is_empty() { CHECKS } else { BEFORE_IDENTITY };
    let started = Instant::now();
    let outcome = checks::run(table, &snapshot, policy, now, || started.elapsed());
    (outcome, pending)
}
