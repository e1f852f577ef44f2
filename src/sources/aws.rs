//! What does AWS have? Asks at a pace of its own, within a budget per service, and puts what it hears into
//! the store.
//!
//! Parts: `settings` say how; `client` makes one attempt; `dispatcher` says whose turn it is, `budget` when; `elb`, `ec2`, `eks`
//! and `quotas` are the calls; `lists` and `resources` decide what is asked; `ledger` and `kind` write it down; `scope` finds out
//! whom we are looking at.
//!
//! What an hour costs, for N load balancers and G target groups of the cluster in a Region with that many: 60 list rounds of
//! ⌈N/400⌉ + ⌈G/400⌉ calls, 4 × ⌈(N+G)/20⌉ for tags, 2 N for listeners, N + G for attributes and 30 G for health while all
//! is steady: 35 calls per target group and hour, more for those that are not, never more than the budget. Where Services speak
//! of them, on top: 2 for a listener's further certificates, 1 for its attributes, 4 × ⌈L/20⌉ for the tags of L listeners, and
//! 1 for a load balancer's reserved capacity.

mod bounded;
mod budget;
mod changes;
mod client;
mod dispatcher;
mod ec2;
mod eks;
mod elb;
mod failure;
#[cfg(test)]
mod fake;
mod fetch;
mod intern;
mod kind;
mod ledger;
mod lists;
mod quotas;
mod resources;
mod scope;
pub mod settings;
mod steadiness;
#[cfg(test)]
mod tests;
mod whole;

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::client::Clients;
use self::resources::Resources;
pub use self::settings::{AwsSettings, BudgetSettings, Budgets, FixedCredentials, Intervals, Timeouts};
use super::CallObserver;
use super::schedule::{jittered, random};
use super::store::Store;
use crate::clock;
use crate::inventory::parts::source;

/// Asks AWS and fills the store until it is dropped. Without a Region or credentials it says so on every source and tries
/// again and again.
pub async fn run(settings: AwsSettings, store: Store, observer: Arc<dyn CallObserver>) {
    ledger::introduce(&store, &settings.intervals);
    if !settings.describe_cluster {
        ledger::absent(&store, source::EKS_CLUSTER);
    }
    let config = connect(&settings, &store).await;
    ask(config, settings, store, observer).await;
}

/// Asks for ever.
async fn ask(config: SdkConfig, settings: AwsSettings, store: Store, observer: Arc<dyn CallObserver>) {
    let settings = Arc::new(settings);
    if let Some(region) = config.region() {
        store.update(|parts| parts.scope.region = Some(region.as_ref().into()));
    }

    let (clients, drivers) = Clients::new(&config, &settings, &observer);
    let intervals = &settings.intervals;
    let (vpc_sender, vpc) = watch::channel(None);
    let mut tasks = JoinSet::new();
    tasks.spawn(drivers);
    tasks.spawn(scope::keep(Arc::clone(&settings), store.clone(), vpc_sender));
    tasks.spawn(scope::identify(clients.sts.clone(), store.clone(), intervals.clone()));
    tasks.spawn(Resources::new(clients.elb.clone(), store.clone(), intervals.clone()).run());
    if settings.describe_cluster {
        tasks.spawn(eks::keep(clients.eks.clone(), store.clone(), intervals.clone()));
    }
    lists::start(&mut tasks, &clients, &store, intervals, &vpc, &observer);
    tasks.spawn(quotas::requests::keep(clients.quotas.clone(), store.clone(), intervals.clone()));
    tasks.spawn(quotas::keep(clients, store, intervals.clone()));
    // They run for ever: one that ended took its part of the picture with it, and silence would read as health.
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}

/// Finds Region and credentials, however long it takes.
async fn connect(settings: &AwsSettings, store: &Store) -> SdkConfig {
    let intervals = &settings.intervals;
    let mut said: Option<String> = None;
    let mut wait = intervals.retry;
    loop {
        match client::configure(settings).await {
            Ok(config) => return config,
            Err(failure) => {
                if said.as_ref() != Some(&failure.message) {
                    tracing::error!(message = failure.message, "AWS cannot be asked; trying again and again");
                    said = Some(failure.message.clone());
                }
                ledger::nothing_works(store, intervals, &failure, clock::now());
            }
        }
        tokio::time::sleep(jittered(wait, random())).await;
        wait = (wait * 2).min(Duration::max(intervals.retry_refused, intervals.retry));
    }
}
