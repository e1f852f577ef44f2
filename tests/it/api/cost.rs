//! Does one answer of a large picture stay an answer, and not a load?

use eks_nlb_exporter::clock;
use eks_nlb_exporter::simulator::{self, SimulatorSettings, Sizes};

use super::stage::{Served, judged};
use crate::gather::gather_simulated;

/// A tenth of the largest world: there a page is as large as here, and a whole list ten times.
#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_large_picture_are_small() {
    let sizes = Sizes {
        load_balancers: 100,
        target_groups: 300,
        targets: 3_000,
        services: 100,
        endpoints: 3_000,
        security_groups: 110,
        ..Sizes::large()
    };
    let services = sizes.services as u64;
    let simulator = simulator::start(SimulatorSettings { sizes, ..SimulatorSettings::default() }).await.unwrap();
    let parts = gather_simulated(&simulator).await;
    let served = Served::start().await;
    served.show(&judged(parts, clock::now())).await;
    let details = served.details().await;
    let of = |path: &str| details.iter().find(|(described, _)| described.contains(path)).unwrap().1.clone();
    let pages = ["/api/v1/services?limit=50".to_owned(), of("services/"), of("subnets/"), of("security-groups/")];
    let page = served.ask("GET", &pages[0]).await;
    let whole = served.get("/api/v1/services").await;
    assert_eq!(whole["total"].as_u64(), Some(services));
    assert_eq!(page.json()["services"].as_array().unwrap().len(), 50);
    assert!(page.body.len() < 100_000, "{} bytes for 50 Services", page.body.len());
    for path in &pages[1..] {
        assert!(served.ask("GET", path).await.body.len() < 200_000, "{path}");
    }
}
