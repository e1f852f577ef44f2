//! Does every number of the API equal /metrics of the same picture, and does the API show every series?

use std::collections::{BTreeMap, BTreeSet};

use eks_nlb_exporter::checks;
use serde_json::Value;

use super::audit::Audit;
use super::stage::{Served, pictures};

/// Looks at one answer.
type Look = fn(&mut Audit<'_>, &Value);

/// Families that no view shows, and why.
const NOT_SHOWN: &[(&str, &str)] = &[
    ("gateway_info", "a Gateway's load balancer tells its owner"),
    ("service_labels", "for joins in alert rules"),
    ("target_health_series_dropped", "of the metrics' own limit"),
    ("findings", "its zeros; the others are counted in the verdict"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_number_is_that_of_the_metrics_and_no_series_is_missing() {
    let served = Served::start().await;
    let mut wrong = Vec::new();
    let mut told_families = BTreeSet::new();
    for (what, picture) in pictures().await {
        served.show(picture).await;
        let scrape = served.scrape().await;
        let mut audit = Audit::of(&scrape);
        let lists: Vec<(&str, Value, Look)> = vec![
            ("status", served.get("/api/v1/status").await, |audit, view| audit.status(view)),
            ("findings", served.get("/api/v1/findings").await, |audit, view| audit.findings(view)),
            ("services", served.get("/api/v1/services").await, |audit, view| audit.services(view)),
            ("subnets", served.get("/api/v1/subnets").await, |audit, view| audit.subnets(view)),
            ("security-groups", served.get("/api/v1/security-groups").await, |audit, view| audit.security_groups(view)),
            ("quotas", served.get("/api/v1/quotas").await, |audit, view| audit.quotas(view)),
            ("headroom", served.get("/api/v1/headroom").await, |audit, view| audit.headroom(view)),
            ("orphans", served.get("/api/v1/orphans").await, |audit, view| audit.orphans(view)),
            ("sources", served.get("/api/v1/sources").await, |audit, view| audit.sources(view)),
        ];
        let mut single = Vec::new();
        for (path, real) in served.details().await {
            single.push((path, served.get(&real).await));
        }
        for (path, view, look) in &lists {
            look(&mut audit, view);
            audit.nothing_is_left(path, view);
        }
        let rows = lists[2].1["services"].as_array().unwrap();
        let mut rows = rows.iter();
        for (path, view) in &single {
            match *path {
                "/api/v1/subnets/{id}" => audit.subnet(view),
                "/api/v1/security-groups/{id}" => audit.security_group(view),
                _ => audit.service(view, rows.next().unwrap()),
            }
            audit.nothing_is_left(path, view);
        }
        wrong.extend(audit.wrong.iter().map(|problem| format!("{what}: {problem}")));
        for family in checks::families() {
            if NOT_SHOWN.iter().any(|(name, _)| *name == family.name) {
                continue;
            }
            for (labels, value) in scrape.family(family.name) {
                let spelt: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
                let series = if spelt.is_empty() { String::new() } else { format!("{{{}}}", spelt.join(",")) };
                // Of a set of states the one that is true is told.
                let told = audit.told.contains(&format!("eks_nlb_{}{series}", family.name));
                if told {
                    told_families.insert(family.name);
                } else if family.name != "load_balancer_state" || value > 0.0 {
                    wrong.push(format!("{what}: {}{series} {value} is in no answer", family.name));
                }
            }
        }
    }
    let kinds: BTreeMap<&str, &String> =
        wrong.iter().map(|one| (one.split(['{', ':']).nth(1).unwrap_or_default(), one)).collect();
    assert!(wrong.is_empty(), "{} wrong, one of each kind: {:#?}", wrong.len(), kinds.values());
    let expected: BTreeSet<&str> =
        checks::families().map(|family| family.name).filter(|name| NOT_SHOWN.iter().all(|(it, _)| it != name)).collect();
    let never: Vec<_> = expected.difference(&told_families).collect();
    assert!(never.is_empty(), "no picture here has {never:?}: nothing was proven of them");
}
