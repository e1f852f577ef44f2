//! Does the headline say what is so, in every kind of cluster and with every fault: never that all is well where it is not or
//! nobody knows, and never that something is down where nothing is?

use std::sync::Arc;

use eks_nlb_exporter::checks::Judged;
use eks_nlb_exporter::expose::readiness::Readiness;
use eks_nlb_exporter::inventory::aws::LoadBalancerState;
use eks_nlb_exporter::inventory::ids::LoadBalancerId;
use eks_nlb_exporter::inventory::kube::Service;
use eks_nlb_exporter::inventory::part::FailureCategory;
use eks_nlb_exporter::inventory::parts::source;
use eks_nlb_exporter::inventory::snapshot::{ClusterLoadBalancer, Owner};
use eks_nlb_exporter::simulator::WorldKind;
use jiff::SignedDuration;

use super::stage::{Served, judged_at};
use crate::situations::{self, Situation, all, edit, name};

/// The first words of the page, and its whole band.
async fn band(judged: Judged) -> (String, String) {
    let served = Served::start(Some(judged), Readiness::pending(Vec::<String>::new())).await;
    let page = served.page("/").await;
    let band = page.split("<section class=\"verdict").nth(1).unwrap().split("</section>").next().unwrap().to_owned();
    let headline = band.split("<h1 id=\"verdict\">").nth(1).unwrap().split("</h1>").next().unwrap().to_owned();
    (headline, band)
}

async fn headline(situation: &Situation) -> String {
    band(judged_at(situation.parts.clone(), situation.now)).await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_world_of_any_kind_is_called_well() {
    for kind in WorldKind::ALL {
        let said = headline(&Situation::of(kind).await).await;
        assert_eq!(said, "Everything is served, and nothing is wrong.", "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_is_called_all_well() {
    let healthy = Situation::healthy().await;
    let mut wrong = Vec::new();
    for (what, change) in situations::faults() {
        let mut broken = healthy.clone();
        change(&mut broken);
        let judged = judged_at(broken.parts.clone(), broken.now);
        let info_only = judged.outcome.findings.iter().all(|it| it.kind.severity.as_str() == "info");
        let quiet = judged.outcome.findings.iter().all(|it| !["NLB101", "NLB107", "NLB103", "NLB715"].contains(&it.kind.code));
        let said = band(judged).await.0;
        let well = said.ends_with("and nothing is wrong.");
        if well != info_only || quiet != (said.starts_with("Everything") || said.starts_with("Nobody")) {
            wrong.push(format!("{what}: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_muted_is_not_called_served() {
    let mut it = Situation::healthy().await;
    it.targets("shop/web", situations::unhealthy);
    let down = "1 of 12 Services does not serve: shop/web.";
    assert_eq!(headline(&it).await, down);
    let week = (it.now + SignedDuration::from_hours(7 * 24)).strftime("%Y-%m-%d").to_string();
    it.service("shop/web", |it| {
        drop(it.annotations.insert("eks-nlb-exporter.io/mute".into(), format!("NLB101 until {week}: known").as_str().into()));
    });
    let (said, band) = band(judged_at(it.parts.clone(), it.now)).await;
    assert!(said.starts_with("Everything but shop/web, which is muted, is served"), "{said}");
    assert!(band.contains("href=\"./muted\""), "{band}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_is_told_as_past() {
    let healthy = Situation::healthy().await;
    let mut it = healthy.clone();
    let old = it.ago(900);
    let mut sources = (*it.parts.sources).clone();
    let health = sources.get_mut(source::TARGET_HEALTH).unwrap();
    health.last_success = Some(old);
    health.failure = Some(situations::failure(FailureCategory::Throttled));
    it.parts.sources = Arc::new(sources);
    let said = headline(&it).await;
    assert!(said.starts_with("Everything was served 15 min ago"), "{said}");
    // One failed call of a source that was well a minute ago is what throttling looks like on a good day.
    let mut it = healthy.clone();
    let mut sources = (*it.parts.sources).clone();
    sources.get_mut(source::TARGET_HEALTH).unwrap().failure = Some(situations::failure(FailureCategory::Throttled));
    it.parts.sources = Arc::new(sources);
    assert!(headline(&it).await.starts_with("Everything is served"));
    // A recorded picture.
    let recorded = judged_at(healthy.parts.clone(), healthy.now);
    let mut outcome = eks_nlb_exporter::checks::run_all(
        &recorded.snapshot,
        &recorded.policy,
        healthy.now - SignedDuration::from_hours(72),
        || std::time::Duration::ZERO,
    );
    outcome.findings.clear();
    let (said, band) = band(Judged { outcome: Arc::new(outcome), ..recorded }).await;
    assert!(said.starts_with("Everything was served 3 days ago") && band.contains("The picture is 3 days old"), "{said}: {band}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateways_load_balancer_is_told_as_the_gateways() {
    let mut it = Situation::of(WorldKind::GatewayApi).await;
    let of_gateway = |(id, found): (&LoadBalancerId, &ClusterLoadBalancer)| match &found.owner {
        Owner::Gateway(gateway) => Some((id.clone(), gateway.clone())),
        _ => None,
    };
    let (lb, gateway) = it.snapshot().load_balancers.iter().find_map(of_gateway).expect("the world has Gateways");
    edit(&mut it.parts.load_balancers, &lb, |lb| lb.state = LoadBalancerState::Failed);
    let judged = judged_at(it.parts.clone(), it.now);
    let said = band(judged.clone()).await.0;
    assert_eq!(said, format!("1 load balancer of no Service does not serve: Gateway {gateway}."));
    // And it is found by the Gateway's namespace.
    let served = Served::start(Some(judged), Readiness::pending(Vec::<String>::new())).await;
    let found = served.page(&format!("/api/v1/findings?namespace={}", gateway.namespace)).await;
    assert!(found.contains("NLB107"), "{found}");
    let elsewhere = served.page("/api/v1/findings?namespace=elsewhere").await;
    assert!(!elsewhere.contains("NLB107"), "{elsewhere}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_whose_health_is_not_known_is_not_called_served() {
    let mut it = Situation::healthy().await;
    let group = it.groups("shop/web")[0].clone();
    Arc::make_mut(&mut it.parts.target_health).remove(&group);
    let said = headline(&it).await;
    assert!(said.starts_with("Everything that is seen is served; how 1 target group fare"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_impaired_load_balancer_serves_and_one_that_is_not_there_or_not_looked_at_is_not_claimed_to() {
    let healthy = Situation::healthy().await;
    let lb = healthy.lb("shop/web");
    for (state, words) in [
        (LoadBalancerState::ActiveImpaired, "Everything is served, and 1 finding is critical."),
        (LoadBalancerState::Failed, "1 of 12 Services does not serve: shop/web."),
    ] {
        let mut it = healthy.clone();
        edit(&mut it.parts.load_balancers, &lb, |lb| lb.state = state);
        assert_eq!(headline(&it).await, words);
    }
    let with = |service: &str, change: fn(&mut Service)| {
        let mut it = healthy.clone();
        let mut new = (*it.parts.services.get().unwrap()[&name("shop/web")]).clone();
        (new.name, new.uid, new.created_at) = (name(service), service.into(), it.now);
        change(&mut new);
        all(&mut it.parts.services).insert(new.name.clone(), Arc::new(new));
        judged_at(it.parts, it.now)
    };
    let (said, waits) = band(with("shop/new", |new| new.hostnames.clear())).await;
    assert!(said.starts_with("Everything that is seen is served"), "{said}");
    assert!(waits.contains("1 Service has no load balancer yet (shop/new)."), "{waits}");
    let (said, unwatched) = band(with("shop/other", |new| new.load_balancer_class = Some("example.com/other".into()))).await;
    assert!(said.starts_with("Everything that is seen is served"), "{said}");
    assert!(unwatched.contains("1 Service has a load balancer of a kind that is not looked at here."), "{unwatched}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_role_of_another_account_nothing_is_called_gone_and_nothing_well() {
    let mut it = Situation::healthy().await;
    all(&mut it.parts.load_balancers).clear();
    all(&mut it.parts.target_groups).clear();
    let (said, _) = band(judged_at(it.parts.clone(), it.now)).await;
    assert!(said.starts_with("12 of 12 Services do not serve"), "all were deleted: {said}");
    it.parts.scope.account_id = Some("999988887777".into());
    let (said, band) = band(judged_at(it.parts.clone(), it.now)).await;
    assert!(said.contains("; the load balancers that these Services name are not seen: "), "{said}");
    assert!(band.contains("12 Services whose load balancers are not seen: is it the cluster's account?"), "{band}");
}
