//! Can everybody read and use it? The daemon on a simulated cluster where everything is broken, looked at with Chromium: in light and
//! dark, on a desk and on a phone, with the keyboard and by the accessibility rules.

use std::time::Duration;

use eks_nlb_exporter::simulator::{self, Simulator, SimulatorSettings, world};

use super::browser::{Look, Saw, look};
use super::stage::{Broken, HOSTILE, break_it, orphan};
use crate::support::{Daemon, eventually, exporter};

/// The daemon in front of the broken world; what belongs to it lives as long.
struct Stage {
    daemon: Daemon,
    broken: Broken,
    _simulator: Simulator,
    _folder: tempfile::TempDir,
}

impl Stage {
    /// Lets the daemon see the healthy world first, since only what changes then is seen to change.
    async fn set() -> Self {
        let faults = vec!["DescribeAddresses=deny".parse().unwrap()];
        let simulator = simulator::start(SimulatorSettings { faults, ..SimulatorSettings::default() }).await.unwrap();
        simulator.world.edit(orphan);
        let folder = tempfile::tempdir().unwrap();
        let (kubeconfig, config) = (folder.path().join("kubeconfig"), folder.path().join("config.yml"));
        std::fs::write(&kubeconfig, simulator.kubeconfig()).unwrap();
        std::fs::write(
            &config,
            "policy: {drift_hold_down_seconds: 2, target_hold_down_seconds: 2}\n\
             aws:\n  requests_per_second: {elasticloadbalancing: 100, ec2: 50, servicequotas: 50}\n  \
             refresh_seconds: {load_balancers: 5, subnets: 5, steady_health: 5, attributes: 60}\n",
        )
        .unwrap();
        let mut command = exporter();
        command
            .args(["--aws.endpoint-url", &simulator.aws_url, "--aws.region", world::REGION])
            .args(["--config.file", &config.display().to_string(), "--web.listen-address", "127.0.0.1:0", "--log.format", "json"])
            .env("KUBECONFIG", &kubeconfig)
            .env("AWS_ACCESS_KEY_ID", "simulated")
            .env("AWS_SECRET_ACCESS_KEY", "simulated");
        let daemon = Daemon::start_command(&mut command).await;
        daemon.ready(Duration::from_secs(60)).await;
        let broken = simulator.world.edit(break_it);
        let stage = Self { daemon, broken, _simulator: simulator, _folder: folder };
        eventually("everything that is broken is found", Duration::from_secs(180), async || {
            let scrape = stage.daemon.scrape().await;
            let found = |(code, severity): &&(&str, &str)| {
                scrape.value(&format!("findings{{code=\"{code}\",severity=\"{severity}\"}}")).is_some_and(|count| count > 0.0)
            };
            let missing: Vec<_> = STATES.iter().filter(|state| !found(state)).collect();
            if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?}")) }
        })
        .await;
        stage
    }

    async fn look(&self, looks: impl IntoIterator<Item = Look>) -> Vec<Saw> {
        look(&self.daemon.url(""), looks).await
    }
}

/// The demonstration's states, by the finding that tells each.
const STATES: &[(&str, &str)] = &[
    ("NLB102", "warning"),
    ("NLB103", "critical"),
    ("NLB201", "warning"),
    ("NLB301", "critical"),
    ("NLB501", "warning"),
    ("NLB510", "warning"),
    ("NLB704", "warning"),
    ("NLB902", "warning"),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_states_are_seen_by_everybody() {
    let stage = Stage::set().await;
    let Broken { failing, dark, drifting, blocked, subnet, group, .. } = &stage.broken;
    let service = |name: &eks_nlb_exporter::inventory::ids::ObjectName| format!("/services/{}/{}", name.namespace, name.name);
    let details =
        [service(dark), service(failing), service(drifting), format!("/subnets/{subnet}"), format!("/security-groups/{group}")];
    let lists = ["/findings", "/services", "/subnets", "/security-groups", "/quotas", "/drift", "/orphans", "/muted", "/sources"];
    let mut looks = vec![
        Look::at("/").by_the_rules().by_keyboard(),
        Look::at("/").in_the_dark().by_the_rules(),
        Look::at("/").on_a_phone().without_script(),
        Look::at("/").on_a_phone().in_the_dark().by_the_rules(),
        Look::at(&details[0]).by_the_rules().by_keyboard(),
        Look::at("/?namespace=pay&severity=critical").by_the_rules(),
    ];
    looks.extend(details.iter().map(Look::at).map(Look::by_the_rules));
    looks.extend(details.iter().map(Look::at).map(Look::on_a_phone));
    looks.extend(lists.map(|path| Look::at(path).by_the_rules()));
    looks.extend(lists.map(|path| Look::at(path).on_a_phone().in_the_dark().by_the_rules()));
    let saw = stage.look(looks).await;
    for one in &saw {
        is_good(one, &stage.daemon.url(""));
    }

    // What is seen on the first page.
    let (light, night, phone) = (&saw[0], &saw[1], &saw[2]);
    for text in [
        "lost a zone",
        "pay/checkout",
        "What is broken now",
        "fewer than 8",
        "60 of 60",
        "full",
        "aws_addresses",
        "ec2:DescribeAddresses",
        "denied",
        "dark",
        HOSTILE,
        "aws service-quotas",
        "Trust:",
    ] {
        // Details that are closed are on the page and not seen; the browser's text has what is seen.
        let seen = light.text.contains(text) || text == "aws service-quotas";
        assert!(seen, "the first page does not say {text:?}: {}", light.text);
    }
    for (code, severity) in STATES {
        assert!(light.text.contains(code) && light.text.contains(severity), "{code}");
    }
    for name in [failing, dark, drifting, blocked] {
        assert!(light.text.contains(&name.to_string()), "{name}");
    }
    assert_ne!(light.background, night.background, "light and dark look the same");
    assert_eq!(headings(light), headings(phone), "without script the page is another one");

    // What is seen on the pages of things.
    let page = |path: &str| saw.iter().find(|one| one.path == path).unwrap();
    assert!(page(&details[0]).text.contains("0/") && page(&details[0]).text.contains("dark"), "{}", page(&details[0]).text);
    assert!(page(&details[1]).text.contains("Target.FailedHealthChecks"), "{}", page(&details[1]).text);
    assert!(page(&details[2]).text.contains("healthcheck-interval"), "{}", page(&details[2]).text);
    assert!(page(&details[3]).text.contains("5 of 251"), "{}", page(&details[3]).text);
    assert!(page(&details[4]).text.contains("60 of 60"), "{}", page(&details[4]).text);
    assert!(page("/muted").text.contains("shop/cart"), "{}", page("/muted").text);
    assert!(page("/orphans").text.contains("NLB704"), "{}", page("/orphans").text);
}

fn headings(saw: &Saw) -> Vec<&str> {
    // The first one may differ: between two looks the picture goes on.
    saw.headings.iter().skip(1).filter(|(level, _)| *level == 2).map(|(_, text)| text.as_str()).collect()
}

/// What is to be good on every page.
fn is_good(saw: &Saw, base: &str) {
    let path = &saw.path;
    assert_eq!(saw.status, 200, "{path}");
    assert!(saw.console.is_empty() && saw.refused.is_empty(), "{path}: {:?} {:?}", saw.console, saw.refused);
    assert!(saw.violations.is_empty(), "{path}: {:?}", saw.violations);
    assert!(saw.policy.as_deref().is_some_and(|policy| policy.starts_with("default-src 'none'")), "{path}");
    assert!(saw.requests.iter().all(|url| url.starts_with(base)), "{path}: {:?}", saw.requests);
    assert_eq!((saw.scripts, saw.inline_styles, saw.inline_handlers), (0, 0, 0), "{path}");
    assert_eq!(saw.overflow, 0, "{path} scrolls sideways");
    assert_eq!(saw.landmarks, ["header", "nav", "main", "footer"], "{path}");
    assert!(saw.title.ends_with(" · eks-nlb-exporter"), "{path}: {}", saw.title);
    assert_eq!(saw.headings.first().map(|(level, _)| *level), Some(1), "{path}: {:?}", saw.headings);
    assert_eq!(saw.headings.iter().filter(|(level, _)| *level == 1).count(), 1, "{path}: {:?}", saw.headings);
    for pair in saw.headings.windows(2) {
        assert!(pair[1].0 <= pair[0].0 + 1, "{path}: a level is left out before {:?}", pair[1]);
    }
    for table in &saw.tables {
        assert!(!table.caption.is_empty() && !table.columns.is_empty() && table.rows > 0, "{path}: {table:?}");
        assert!(table.columns.iter().all(|column| !column.is_empty()), "{path}: {table:?}");
        assert_eq!((table.unheaded, table.odd), (0, 0), "{path}: {table:?}");
    }
    if let Some(axe) = &saw.axe {
        assert!(axe.violations.is_empty(), "{path}: {:#?}", axe.violations);
        assert!(axe.passes.iter().any(|rule| rule == "color-contrast"), "{path}: contrast was not looked at: {:?}", axe.passes);
        // What a program cannot decide is only what the scrolling of a table hides, or a number of one digit.
        let undecided = axe.incomplete.iter().filter(|told| {
            !["partially obscured", "partially overlaps", "too short to determine"].iter().any(|reason| told.contains(reason))
        });
        assert_eq!(undecided.count(), 0, "{path}: {:#?}", axe.incomplete);
    }
    if let Some(walk) = &saw.walk {
        assert_eq!(saw.skips_to.as_deref(), Some("main"), "{path}: the skip link does not skip");
        assert_eq!(walk.len(), saw.focusable, "{path}: the keyboard does not reach everything: {walk:?}");
        assert!(walk.first().is_some_and(|stop| stop.what.contains("Skip to the content")), "{path}: {walk:?}");
        let hidden: Vec<_> = walk.iter().filter(|stop| !stop.visible).collect();
        assert!(hidden.is_empty(), "{path}: the focus is not seen at {hidden:?}");
    }
}
