//! Does the page stay small where the cluster is large? What it costs with a thousand load balancers is measured by `make bench`.

use eks_nlb_exporter::simulator::{SimulatorSettings, Sizes};

use super::browser::{Look, look};
use super::html::summed;
use super::stage::{Served, parts};

/// Elements of the overview, whatever the size of the cluster.
const MOST_NODES: usize = 4_000;
/// Its bytes.
const MOST_BYTES: u64 = 300_000;
/// Rows of a list on its own page.
const ROWS: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn a_large_cluster_is_shown_in_pages_of_bounded_size() {
    // Large enough for every list to be cut; reading a thousand load balancers takes a debug build minutes.
    let sizes = Sizes {
        load_balancers: 120,
        target_groups: 240,
        targets: 2_400,
        services: 120,
        security_groups: 130,
        subnets: 60,
        ..Sizes::default()
    };
    let (parts, ()) = parts(SimulatorSettings { sizes, ..SimulatorSettings::default() }, |_| ()).await;
    let served = Served::ready(parts).await;
    // The first answer also pays for what the process does once.
    served.page("/").await;
    let saw = look(
        &served.base(),
        [
            Look::at("/"),
            Look::at("/services"),
            Look::at("/services?page=2"),
            Look::at("/services?page=3"),
            Look::at("/security-groups"),
        ],
    )
    .await;
    for one in &saw {
        let load = one.load.unwrap();
        eprintln!(
            "{}: loaded in {:.0} ms, answered in {:.0} ms, {} bytes, {} elements",
            one.path, load.milliseconds, load.answered, load.bytes, one.nodes
        );
        assert_eq!(one.status, 200, "{}", one.path);
        assert!(
            one.nodes <= MOST_NODES && load.bytes <= MOST_BYTES,
            "{}: {} elements, {} bytes",
            one.path,
            one.nodes,
            load.bytes
        );
        assert!(one.console.is_empty(), "{:?}", one.console);
        let longest = one.tables.iter().map(|table| table.rows).max();
        assert!(longest.is_some_and(|rows| rows <= ROWS), "{}: {longest:?} rows", one.path);
    }
    assert!(saw[1].text.contains("1–50 of 120") && saw[1].text.contains("Next page"), "{}", saw[1].text);
    assert!(saw[3].text.contains("101–120 of 120") && !saw[3].text.contains("Next page"), "{}", saw[3].text);
    let all = summed(&served.page("/").await).into_iter().find(|number| number.of == "target_group_targets").unwrap();
    assert!(all.value >= 2_300.0, "{all:?}");
}
