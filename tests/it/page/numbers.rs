//! Is every number on the pages that of `/metrics` of the same picture?

use std::collections::{BTreeMap, BTreeSet};

use super::html::{Number, held, measured, summed};
use super::stage::{Served, break_everything, parts};
use crate::support::{Scrape, get};
use eks_nlb_exporter::simulator::SimulatorSettings;

type Labels = BTreeMap<String, String>;

/// The labels of `name{a="b"}`, by the scrape's own reader.
fn taken_apart(of: &str) -> (String, Labels) {
    let name = of.split('{').next().unwrap().to_owned();
    let scrape = Scrape::parse(&format!("eks_nlb_{of} 0\n"));
    let labels = scrape.family(&name).into_keys().next().unwrap();
    (name, labels)
}

/// What `/metrics` says of a sum, by joining the series anew.
fn sum(scrape: &Scrape, of: &str) -> f64 {
    let (name, labels) = taken_apart(of);
    // Labels of the sum that are not the series' own say whose target groups are meant.
    let family = match name.as_str() {
        "targets" => "target_group_targets",
        "zone_targets" => "target_group_zone_targets",
        other => other,
    };
    let groups = groups(scrape, &labels);
    let series = scrape.family(family);
    let fits = |found: &Labels| {
        let own = labels.iter().all(|(name, value)| found.get(name).is_none_or(|own| own == value));
        let grouped = groups.as_ref().is_none_or(|groups| groups.contains(&found["target_group"]));
        own && grouped
    };
    series.iter().filter(|(found, _)| fits(found)).map(|(_, value)| value).sum()
}

/// The target groups of the Service that a sum names: those with its pods, and those on its load balancers.
fn groups(scrape: &Scrape, labels: &Labels) -> Option<BTreeSet<String>> {
    let (namespace, service) = (labels.get("namespace")?, labels.get("service")?);
    let load_balancers: BTreeSet<String> = scrape
        .family("load_balancer_info")
        .into_keys()
        .filter(|it| it["namespace"] == *namespace && it["service"] == *service)
        .map(|it| it["load_balancer"].clone())
        .collect();
    let infos = scrape.family("target_group_info").into_keys();
    let its = infos.filter(|it| {
        (it["namespace"] == *namespace && it["service"] == *service) || load_balancers.contains(&it["load_balancer"])
    });
    Some(its.map(|it| it["target_group"].clone()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_number_on_the_pages_is_that_of_the_metrics() {
    let (parts, broken) = parts(SimulatorSettings::default(), break_everything).await;
    let served = Served::ready(parts).await;
    let (_, metrics) = get(&format!("{}/metrics", served.base())).await.unwrap();
    let scrape = Scrape::parse(&metrics);
    let mut paths: Vec<String> = ["/", "/findings", "/services", "/subnets", "/security-groups", "/quotas", "/drift", "/orphans"]
        .map(str::to_owned)
        .into();
    for service in [&broken.failing, &broken.dark, &broken.drifting, &broken.blocked] {
        paths.push(format!("/services/{}/{}", service.namespace, service.name));
    }
    paths.push(format!("/subnets/{}", broken.subnet));
    paths.push(format!("/security-groups/{}", broken.group));

    let mut families = BTreeSet::new();
    for path in &paths {
        let page = served.page(path).await;
        for Number { of, value, text } in measured(&page) {
            assert_eq!(scrape.value(&of), Some(value), "{path}: {of}");
            assert_eq!(text.replace('\u{202f}', "").parse::<f64>(), Ok(value), "{path}: {of} is said as {text:?}");
            families.insert(taken_apart(&of).0);
        }
        for Number { of, value, text } in summed(&page) {
            assert_eq!(sum(&scrape, &of), value, "{path}: {of}");
            assert_eq!(text.replace('\u{202f}', "").parse::<f64>(), Ok(value), "{path}: {of} is said as {text:?}");
            families.insert(taken_apart(&of).0);
        }
        for of in held(&page) {
            assert_eq!(scrape.value(&of), Some(1.0), "{path}: {of}");
            families.insert(taken_apart(&of).0);
        }
    }
    // What the pages must tell in numbers at all.
    for family in [
        "findings",
        "targets",
        "zone_targets",
        "target_group_targets",
        "subnet_available_ip_addresses",
        "subnet_ip_addresses",
        "subnet_discovery",
        "scheme_usable_zones",
        "security_group_rules",
        "quota_limit",
        "quota_usage",
        "quota_needed_per_load_balancer",
        "headroom_load_balancers",
        "service_annotation_drift",
        "orphaned_resources",
    ] {
        assert!(families.contains(family), "no number of {family} on any page: {families:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_object_of_the_metrics_is_on_the_pages_with_its_number() {
    let (parts, _) = parts(SimulatorSettings::default(), break_everything).await;
    let served = Served::ready(parts).await;
    let (_, metrics) = get(&format!("{}/metrics", served.base())).await.unwrap();
    let scrape = Scrape::parse(&metrics);
    let of = |numbers: &[Number], family: &str| -> BTreeSet<String> {
        let names = numbers.iter().map(|number| number.of.clone());
        names.filter(|name| name.starts_with(&format!("{family}{{"))).collect()
    };
    for (path, families) in [
        ("/subnets", &["subnet_available_ip_addresses", "subnet_ip_addresses"][..]),
        ("/security-groups", &["security_group_rules"]),
        ("/quotas", &["quota_limit", "quota_usage", "quota_needed_per_load_balancer"]),
        ("/orphans", &["orphaned_resources"]),
    ] {
        let shown = measured(&served.page(path).await);
        for family in families {
            assert_eq!(of(&shown, family).len(), scrape.family(family).len(), "{path}: {family}");
        }
    }
}
