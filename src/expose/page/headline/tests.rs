use jiff::Timestamp;

use super::*;
use crate::expose::view::findings::{FindingCounts, FindingView, SubjectView};
use crate::expose::view::headroom::HeadroomView;
use crate::expose::view::sources::{SourceState, SourceView};
use crate::expose::view::{Number, Text};

/// When the page is asked for; pictures are of the same moment.
const NOW: i64 = 1_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn about(kind: &'static FindingKind, subject: &'static str, name: &str, service: &str) -> FindingView {
    FindingView {
        code: kind.code,
        severity: kind.severity,
        title: kind.title,
        subject: SubjectView { kind: subject, name: Some(name.to_owned()) },
        namespace: (!service.is_empty()).then(|| "shop".into()),
        service: (!service.is_empty()).then(|| service.into()),
        message: "Something.".to_owned(),
        action: kind.action,
        page: kind.page(),
        since: None,
        seen_since: None,
    }
}

fn finding(kind: &'static FindingKind, service: &str) -> FindingView {
    about(kind, "security_group", "sg-1", service)
}

/// A world of twelve Services, and what is changed of it.
#[derive(Default)]
struct World {
    findings: Vec<FindingView>,
    muted: Vec<FindingView>,
    blind: Vec<&'static str>,
    failed_checks: Vec<&'static str>,
    pending: bool,
    unseen: super::super::facts::Unseen,
    failed: Vec<&'static str>,
    owners: Vec<(&'static str, &'static str)>,
    picture_age: i64,
    /// Age of the target health, in seconds.
    health_age: i64,
}

impl World {
    fn with(findings: &[FindingView]) -> Self {
        Self { findings: findings.to_vec(), ..Self::default() }
    }

    fn headline(self) -> Headline {
        let verdict = VerdictView {
            evaluated_at: at(NOW - self.picture_age),
            worst: None,
            findings: FindingCounts::of(&self.findings),
            muted: self.muted.len() as u64,
            blind: self.blind,
            failed: self.failed_checks,
            state: if self.pending { "pending" } else { "ready" },
            waiting_for: Vec::new(),
        };
        let headroom = HeadroomView { evaluated_at: at(NOW), complete: true, schemes: Vec::new() };
        let health = SourceView {
            name: source::TARGET_HEALTH.into(),
            state: SourceState::Up,
            interval_seconds: 120,
            last_attempt: Some(at(NOW)),
            last_success: Some(at(NOW - self.health_age)),
            age_seconds: Some(Number(self.health_age as f64)),
            failure: None,
            missing: 0,
        };
        headline(&Facts {
            now: at(NOW),
            verdict: &verdict,
            findings: &self.findings,
            muted: &self.muted,
            sources: &[health],
            headroom: &headroom,
            wall_assumed: false,
            services: Some(12),
            asking: ["web", "api", "cart", "a", "b", "c", "d", "e"].map(|name| format!("shop/{name}")).into(),
            targets: None,
            unseen: self.unseen,
            failed: self.failed.into_iter().map(Text::from).collect(),
            owners: self.owners.into_iter().map(|(id, owner)| (id.to_owned(), owner.to_owned())).collect(),
        })
    }
}

fn said(findings: &[&FindingView]) -> String {
    World::with(&findings.iter().map(|one| (*one).clone()).collect::<Vec<_>>()).headline().sentence
}

#[test]
fn the_worst_is_said_first() {
    let down = finding(&NO_HEALTHY_TARGET, "web");
    let dark = finding(&DARK_ZONE, "api");
    let full = finding(&RULES_EXHAUSTED, "");
    let blocked = finding(&SERVICE_BLOCKED, "cart");
    assert_eq!(said(&[&full, &dark, &down]), "1 of 12 Services does not serve: shop/web.");
    let gone = finding(&LOAD_BALANCER_GONE, "web");
    assert_eq!(said(&[&full, &dark, &gone]), "1 of 12 Services does not serve: shop/web.");
    assert_eq!(said(&[&full, &dark]), "1 of 12 Services has lost a zone: shop/api. The others are served.");
    assert_eq!(
        said(&[&full, &blocked]),
        "Everything is served, and there is no room for the next load balancer: security group sg-1."
    );
    assert_eq!(said(&[&blocked]), "Everything is served; the controller cannot go on with shop/cart.");
    assert_eq!(said(&[]), "Everything is served, and nothing is wrong.");
}

#[test]
fn several_target_groups_of_a_service_are_one_service_and_long_lists_are_cut() {
    let many: Vec<_> = ["a", "a", "b", "c", "d", "e"].map(|name| finding(&NO_HEALTHY_TARGET, name)).into();
    assert_eq!(World::with(&many).headline().sentence, "5 of 12 Services do not serve: shop/a, shop/b, shop/c and 2 more.");
}

#[test]
fn who_is_blind_never_says_that_all_is_served() {
    let blind = World { blind: vec!["target_health"], ..World::default() }.headline();
    assert_eq!((blind.mood, blind.word), (Mood::Unknown, "Blind"));
    let failed = World { failed_checks: vec!["zones"], ..World::default() }.headline();
    assert_eq!(failed.mood, Mood::Unknown);
    let pending = World { pending: true, ..World::default() }.headline();
    assert_eq!((pending.mood, pending.word), (Mood::Unknown, "Not known yet"));
    for kind in [&NO_HEALTHY_TARGET, &DARK_ZONE] {
        let of = World { blind: vec!["services"], ..World::with(&[finding(kind, "api")]) }.headline();
        assert!(of.sentence.ends_with("Of the others not everything is known."), "{of:?}");
    }
    let elsewhere = World { blind: vec!["drift"], ..World::default() }.headline();
    assert_eq!(elsewhere.sentence, "Everything is served, and of the rest not everything is known.");
}

#[test]
fn a_muted_failure_is_still_one() {
    let muted = |kind, service| World { muted: vec![finding(kind, service)], ..World::default() };
    let down = muted(&NO_HEALTHY_TARGET, "web").headline();
    assert_eq!(down.sentence, "Everything but shop/web, which is muted, is served, and nothing is wrong that is not muted.");
    assert_eq!(down.mood, Mood::Warning, "who muted it knows of it");
    assert!(muted(&DARK_ZONE, "web").headline().sentence.starts_with("Everything but shop/web, which is muted, is served"));
    let elsewhere = muted(&SERVICE_BLOCKED, "web").headline();
    assert_eq!(elsewhere.sentence, "Everything is served, and nothing is wrong that is not muted.");
    assert_eq!(elsewhere.mood, Mood::Good);
    let beside = World { findings: vec![finding(&DARK_ZONE, "api")], ..muted(&NO_HEALTHY_TARGET, "web") }.headline();
    assert!(beside.sentence.ends_with("The others that are seen are served."), "{beside:?}");
}

#[test]
fn what_was_seen_long_ago_is_told_as_past() {
    let stale = about(&SOURCE_STALE, "source", source::TARGET_HEALTH, "");
    let old = World { health_age: 900, ..World::with(std::slice::from_ref(&stale)) }.headline();
    assert_eq!((old.mood, old.word), (Mood::Unknown, "Not known now"));
    assert_eq!(old.sentence, "Everything was served 15 min ago; how it stands now is not known.");
    let down = World { health_age: 900, ..World::with(&[stale, finding(&NO_HEALTHY_TARGET, "web")]) }.headline();
    assert_eq!(down.sentence, "1 of 12 Services does not serve: shop/web. That is how it was 15 min ago.");
    // One throttled call is no finding, and what steady groups are asked every two minutes is as new as can be.
    assert_eq!(World { health_age: 110, ..World::default() }.headline().mood, Mood::Good);
    // A source that no moment depends on.
    let quotas = World { health_age: 900, ..World::with(&[about(&SOURCE_STALE, "source", source::SERVICE_QUOTAS, "")]) };
    assert_eq!(quotas.headline().sentence, "Everything is served; there is 1 warning.");
    // Recorded, or nobody judges any more.
    let recorded = World { picture_age: 3 * 86_400, ..World::default() }.headline();
    assert_eq!(recorded.sentence, "Everything was served 3 days ago; how it stands now is not known.");
    assert_eq!(World { picture_age: 20, ..World::default() }.headline().mood, Mood::Good);
}

#[test]
fn what_nobody_looks_at_is_not_claimed_to_serve() {
    let unseen = |change: fn(&mut super::super::facts::Unseen)| {
        let mut world = World::default();
        change(&mut world.unseen);
        world.headline()
    };
    let waiting = unseen(|it| _ = it.without.insert("shop/new".to_owned()));
    assert_eq!(waiting.sentence, "Everything that is seen is served, and nothing is wrong.");
    assert_eq!(waiting.mood, Mood::Good, "a Service that was just made is no alarm");
    assert_eq!(unseen(|it| it.unwatched = 2).sentence, "Everything that is seen is served, and nothing is wrong.");
    let lost = unseen(|it| it.not_found = ["shop/web".to_owned(), "shop/api".to_owned()].into());
    assert_eq!(
        lost.sentence,
        "Everything that is seen is served; the load balancers that these Services name are not seen: shop/api, shop/web."
    );
    assert_eq!(lost.mood, Mood::Unknown);
    let groups = unseen(|it| it.groups = 2);
    assert_eq!(groups.sentence, "Everything that is seen is served; how 2 target groups fare is not known.");
    assert_eq!(groups.mood, Mood::Unknown);
}

#[test]
fn load_balancers_of_gateways_are_no_services() {
    let group = about(&NO_HEALTHY_TARGET, "target_group", "targetgroup/k8s-x/1", "");
    let alone =
        World { owners: vec![("targetgroup/k8s-x/1", "Gateway edge/public")], ..World::with(std::slice::from_ref(&group)) };
    assert_eq!(alone.headline().sentence, "1 load balancer of no Service does not serve: Gateway edge/public.");
    // A Service behind a Gateway asks for no load balancer itself, and is none of the twelve.
    let behind = World::with(&[finding(&NO_HEALTHY_TARGET, "behind")]).headline();
    assert_eq!(behind.sentence, "1 Service does not serve: shop/behind.");
    let both = World {
        owners: vec![("targetgroup/k8s-x/1", "Gateway edge/public")],
        ..World::with(&[group, finding(&NO_HEALTHY_TARGET, "web")])
    };
    assert_eq!(
        both.headline().sentence,
        "1 of 12 Services does not serve: shop/web; 1 load balancer of no Service does not serve: Gateway edge/public."
    );
}

#[test]
fn an_impaired_load_balancer_serves_and_a_failed_one_does_not() {
    let not_active = about(&LOAD_BALANCER_NOT_ACTIVE, "load_balancer", "net/web/1", "web");
    let impaired = World::with(std::slice::from_ref(&not_active)).headline();
    assert_eq!(impaired.sentence, "Everything is served, and 1 finding is critical.");
    let failed = World { failed: vec!["net/web/1"], ..World::with(&[not_active]) }.headline();
    assert_eq!(failed.sentence, "1 of 12 Services does not serve: shop/web.");
}
