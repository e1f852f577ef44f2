//! How does a test get a picture of a whole world? Through the real clients, from any AWS and any API server on loopback, until
//! everything was read once; then it is judged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use eks_nlb_exporter::checks;
use eks_nlb_exporter::checks::model::Outcome;
use eks_nlb_exporter::config::policy::Policy;
use eks_nlb_exporter::expose::own::OwnMetrics;
use eks_nlb_exporter::inventory::parts::{Parts, source};
use eks_nlb_exporter::inventory::snapshot::{Expiry, Snapshot};
use eks_nlb_exporter::simulator::Simulator;
use eks_nlb_exporter::sources::aws::{self, AwsSettings, BudgetSettings, Budgets, FixedCredentials};
use eks_nlb_exporter::sources::kube::{self, KubeSettings};
use eks_nlb_exporter::sources::store::Store;
use jiff::Timestamp;

use crate::support::eventually;

/// What is asked only where a Service speaks of it, and was never recorded.
const SPOKEN_OF: &[&str] = &[source::LISTENER_CERTIFICATES, source::LISTENER_ATTRIBUTES, source::CAPACITY_RESERVATIONS];

/// Reads everything once. `unheard_of` are sources that this world cannot answer: one that has such is a recorded one, which
/// knows nothing of EKS, of the tags of listeners and of what only some Services speak of either.
pub(crate) async fn gather(aws_url: String, kube_settings: KubeSettings, unheard_of: &[&str]) -> Parts {
    gather_named(aws_url, kube_settings, unheard_of, None, "us-east-1").await
}

/// Reads everything once of a cluster whose name nothing in it tells.
async fn gather_named(
    aws_url: String,
    kube_settings: KubeSettings,
    unheard_of: &[&str],
    cluster_name: Option<&str>,
    region: &str,
) -> Parts {
    let store = Store::new(Parts::default());
    let observer = OwnMetrics::new();
    let mut aws_settings = AwsSettings {
        region: Some(region.into()),
        cluster_name: cluster_name.map(Into::into),
        endpoint_url: Some(aws_url),
        describe_cluster: unheard_of.is_empty(),
        credentials: Some(FixedCredentials { access_key_id: "test".into(), secret_access_key: "test".into() }),
        ..AwsSettings::default()
    };
    // The pace is another test's business.
    let unhurried = BudgetSettings { rate: 2_000.0, burst: 2_000.0, concurrency: 8 };
    let Budgets { elasticloadbalancing, ec2, servicequotas, sts, eks } = &mut aws_settings.budgets;
    for budget in [elasticloadbalancing, ec2, servicequotas, sts, eks] {
        *budget = unhurried;
    }
    let client = kube::client(&kube_settings).await.unwrap();
    let watching = tokio::spawn(kube::run(client, kube_settings, store.clone(), Arc::<OwnMetrics>::clone(&observer)));
    let asking = tokio::spawn(aws::run(aws_settings, store.clone(), observer));
    let parts = eventually("everything was read once", Duration::from_secs(120), async || {
        let parts = store.read();
        let recorded = !unheard_of.is_empty();
        let heard = |name: &str| {
            let status = parts.sources.get(name);
            let spared = recorded && (name == source::TAGS || SPOKEN_OF.contains(&name));
            let whole = |missing| missing == 0 || spared;
            let spoken_of = recorded && SPOKEN_OF.contains(&name);
            status.is_some_and(|status| status.absent || ((status.last_success.is_some() || spoken_of) && whole(status.missing)))
        };
        let waiting: Vec<&str> = source::ALL.iter().filter(|name| !unheard_of.contains(*name) && !heard(name)).copied().collect();
        if waiting.is_empty() { Ok(parts) } else { Err(format!("{waiting:?} {:?}", parts.sources)) }
    })
    .await;
    for task in [watching, asking] {
        task.abort();
    }
    parts
}

/// Reads a simulated world once.
pub(crate) async fn gather_simulated(simulator: &Simulator) -> Parts {
    let kube_settings = KubeSettings { url: Some(simulator.kube_url.parse().unwrap()), ..KubeSettings::default() };
    // Without a controller, whose arguments name the cluster, it has to be told.
    let cluster_name = simulator.world.read(|world| world.controller.is_none().then(|| world.scope.cluster_name.to_string()));
    let region = simulator.world.read(|world| Arc::clone(&world.scope.region));
    gather_named(simulator.aws_url.clone(), kube_settings, &[], cluster_name.as_deref(), &region).await
}

/// Judges what is known at a moment, by the default thresholds.
pub(crate) fn judge_at(parts: Parts, now: Timestamp) -> (Snapshot, Outcome) {
    let policy = Policy::default();
    let snapshot = Snapshot::join(parts, now, Expiry { max_staleness: policy.max_staleness() });
    let outcome = checks::run_all(&snapshot, &policy, now, || Duration::ZERO);
    assert!(outcome.runs.iter().all(|run| run.success), "{:?}", outcome.runs);
    (snapshot, outcome)
}

/// Judges what is known now.
pub(crate) fn judge(parts: Parts) -> (Snapshot, Outcome) {
    judge_at(parts, eks_nlb_exporter::clock::now())
}

/// All findings as `CODE subject: message`.
pub(crate) fn told(outcome: &Outcome) -> Vec<String> {
    let finding = outcome.findings.iter();
    finding.map(|finding| format!("{} {}: {}", finding.kind.code, finding.subject, finding.message)).collect()
}

/// Every series as `family{label="value",…}`, labels in the order of the description.
pub(crate) fn series(outcome: &Outcome) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    for family in &outcome.families {
        for sample in &family.samples {
            let labels: Vec<_> = std::iter::zip(family.description.labels, &sample.labels)
                .map(|(name, value)| format!("{name}={:?}", value.as_str()))
                .collect();
            let name = format!("{}{{{}}}", family.description.name, labels.join(","));
            assert_eq!(all.insert(name.clone(), sample.value), None, "{name} comes twice");
        }
    }
    all
}
