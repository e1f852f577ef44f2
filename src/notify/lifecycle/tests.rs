use super::*;

const RULE: &str = "NLBServiceBlocked";
const WAITS: Waits = Waits { hold: Duration::from_secs(600), keep_firing: Duration::ZERO };
const PACE: Pace = Pace {
    resend: Duration::from_secs(60),
    interval: Duration::from_secs(15),
    repeat_resolved: Duration::from_secs(900),
    blind_limit: Duration::from_secs(1800),
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn instance(service: &str) -> Instance {
    let labels = [("alertname", RULE), ("service", service), ("namespace", "")];
    Instance {
        labels: labels.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
        annotations: BTreeMap::from([("summary", format!("{service} is blocked."))]),
    }
}

fn holds(services: &[&str]) -> Judgement {
    Judgement::Holds(services.iter().map(|service| instance(service)).collect())
}

/// Judges every 15 seconds from `from` until before `until`, and collects what is said.
fn run(alerts: &mut Lifecycle, waits: Waits, span: (i64, i64), judgement: impl Fn() -> Judgement) -> Vec<(i64, Notice)> {
    let mut said = Vec::new();
    for second in (span.0..span.1).step_by(15) {
        alerts.judge(RULE, waits, judgement(), at(second));
        said.extend(alerts.due(PACE, at(second)).into_iter().map(|notice| (second, notice)));
    }
    said
}

#[test]
fn a_condition_fires_when_it_has_held_long_enough_and_not_one_step_before() {
    let mut alerts = Lifecycle::default();
    assert_eq!(run(&mut alerts, WAITS, (0, 600), || holds(&["a"])), []);
    assert_eq!(alerts.count(), Count { pending: 1, firing: 0 });
    let said = run(&mut alerts, WAITS, (600, 700), || holds(&["a"]));
    assert_eq!(said.iter().map(|(second, _)| *second).collect::<Vec<_>>(), [600, 660], "once a minute");
    assert!(said.iter().all(|(second, notice)| notice.starts_at == at(600) && notice.ends_at == at(second + 240)));
    assert!(!said[0].1.labels.contains_key("namespace"), "an empty label is none");
    assert_eq!(alerts.count(), Count { pending: 0, firing: 1 });
}

#[test]
fn a_condition_that_pauses_while_pending_starts_anew() {
    let mut alerts = Lifecycle::default();
    run(&mut alerts, WAITS, (0, 300), || holds(&["a"]));
    run(&mut alerts, WAITS, (300, 315), || holds(&[]));
    assert_eq!(alerts.count(), Count::default());
    assert_eq!(run(&mut alerts, WAITS, (315, 900), || holds(&["a"])), []);
    assert_eq!(run(&mut alerts, WAITS, (915, 930), || holds(&["a"])).len(), 1);
}

#[test]
fn what_ended_is_said_at_once_and_repeated_with_the_moment_of_its_end() {
    let mut alerts = Lifecycle::default();
    run(&mut alerts, WAITS, (0, 645), || holds(&["a"]));
    let said = run(&mut alerts, WAITS, (645, 2400), || holds(&[]));
    assert!(said.iter().all(|(_, notice)| notice.ends_at == at(645) && notice.starts_at == at(600)));
    assert_eq!(said.first().unwrap().0, 645);
    assert_eq!(said.last().unwrap().0, 1545, "for a quarter of an hour");
    assert_eq!(alerts.count(), Count::default());
    assert!(alerts.alerts.is_empty());
}

#[test]
fn what_comes_back_is_a_new_alert() {
    let mut alerts = Lifecycle::default();
    run(&mut alerts, WAITS, (0, 645), || holds(&["a"]));
    run(&mut alerts, WAITS, (645, 705), || holds(&[]));
    let said = run(&mut alerts, WAITS, (705, 1320), || holds(&["a"]));
    assert_eq!(said.len(), 1);
    assert_eq!((said[0].0, said[0].1.starts_at), (1305, at(1305)));
}

#[test]
fn a_rule_may_ask_to_keep_firing() {
    let waits = Waits { keep_firing: Duration::from_secs(300), ..WAITS };
    let mut alerts = Lifecycle::default();
    run(&mut alerts, waits, (0, 645), || holds(&["a"]));
    run(&mut alerts, waits, (645, 930), || holds(&[]));
    assert_eq!(alerts.count().firing, 1, "a pause shorter than that is none");
    run(&mut alerts, waits, (930, 945), || holds(&[]));
    assert_eq!(alerts.count().firing, 0);
}

#[test]
fn an_end_is_announced_so_that_whoever_tells_the_same_alert_is_not_contradicted() {
    let waits = Waits { keep_firing: Duration::from_secs(300), ..WAITS };
    let mut alerts = Lifecycle::default();
    run(&mut alerts, waits, (0, 690), || holds(&["a"]));
    let said = run(&mut alerts, waits, (690, 2400), || holds(&[]));
    let end = 675 + 300;
    let ends: Vec<_> = said.iter().map(|(second, notice)| (*second, notice.ends_at)).take(3).collect();
    // At 720 four rounds end before the alert does, at 780 they would not; then it is quiet until the others are through.
    assert_eq!(ends, [(720, at(720 + 240)), (780, at(end)), (end + 240, at(end))]);
    assert!(said[2..].iter().all(|(_, notice)| notice.ends_at == at(end)) && said.last().unwrap().0 >= end + 840);
    assert_eq!(alerts.count(), Count::default());
}

#[test]
fn what_comes_back_or_cannot_be_judged_any_more_before_its_announced_end_goes_on() {
    let waits = Waits { keep_firing: Duration::from_secs(300), ..WAITS };
    for again in [|| holds(&["a"]), || Judgement::Unknown] {
        let mut alerts = Lifecycle::default();
        run(&mut alerts, waits, (0, 690), || holds(&["a"]));
        run(&mut alerts, waits, (690, 900), || holds(&[]));
        let said = run(&mut alerts, waits, (900, 1200), again);
        assert_eq!(said[0].0, 900, "before it ends at 975");
        assert!(said.iter().all(|(second, notice)| notice.starts_at == at(600) && notice.ends_at == at(second + 240)));
    }
}

#[test]
fn blindness_neither_fires_nor_resolves_and_lapses_in_the_end() {
    let mut alerts = Lifecycle::default();
    run(&mut alerts, WAITS, (0, 300), || holds(&["fires"]));
    run(&mut alerts, WAITS, (300, 615), || holds(&["fires", "waits"]));
    assert_eq!(alerts.count(), Count { pending: 1, firing: 1 });
    let blind = run(&mut alerts, WAITS, (615, 2400), || Judgement::Unknown);
    assert!(
        blind.iter().all(|(second, notice)| notice.labels["service"].as_ref() == "fires" && notice.ends_at == at(second + 240))
    );
    assert_eq!(blind.first().unwrap().0, 660);
    assert_eq!(alerts.count(), Count { pending: 0, firing: 1 });
    assert_eq!(run(&mut alerts, WAITS, (2415, 2600), || Judgement::Unknown), [], "beyond the limit nobody knows");
    assert_eq!(alerts.count(), Count::default());
}

#[test]
fn a_restarted_daemon_goes_on_where_the_one_before_ended() {
    let mut before = Lifecycle::default();
    let said = run(&mut before, WAITS, (0, 645), || holds(&["goes on", "ended meanwhile"]));
    let mut after = Lifecycle::default();
    for (_, notice) in said {
        after.restore(RULE, notice, at(700));
    }
    let blind = run(&mut after, WAITS, (700, 715), || Judgement::Unknown);
    assert_eq!(blind.len(), 2, "until it can judge it says what the one before said");
    let said = run(&mut after, WAITS, (715, 790), || holds(&["goes on"]));
    let of = |service: &str| said.iter().filter(|(_, notice)| &*notice.labels["service"] == service).collect::<Vec<_>>();
    assert!(of("goes on").iter().all(|(_, notice)| notice.starts_at == at(600)), "no second start, no waiting");
    assert!(of("ended meanwhile").iter().all(|(_, notice)| notice.ends_at == at(715)));
    assert!(!of("goes on").is_empty() && !of("ended meanwhile").is_empty());
}

#[test]
fn what_the_first_pictures_of_a_restarted_daemon_do_not_show_yet_has_not_ended() {
    let waits = Waits { keep_firing: Duration::from_secs(300), ..WAITS };
    let mut before = Lifecycle::default();
    let said = run(&mut before, waits, (0, 645), || holds(&["a"]));
    let mut after = Lifecycle::default();
    after.restore(RULE, said.last().unwrap().1.clone(), at(3600));
    let unseen = run(&mut after, waits, (3600, 3660), || holds(&[]));
    let seen = run(&mut after, waits, (3660, 3900), || holds(&["a"]));
    assert!(unseen.iter().chain(&seen).all(|(second, notice)| notice.starts_at == at(600) && notice.ends_at > at(*second)));
}

#[test]
fn a_clock_that_is_set_back_neither_delays_nor_silences() {
    let mut alerts = Lifecycle::default();
    run(&mut alerts, WAITS, (7200, 7815), || holds(&["fires"]));
    run(&mut alerts, WAITS, (7815, 7830), || holds(&["fires", "waits"]));
    // An hour back.
    let said = run(&mut alerts, WAITS, (4230, 4830), || holds(&["fires", "waits"]));
    assert_eq!(said.iter().map(|(second, _)| *second).take(3).collect::<Vec<_>>(), [4230, 4290, 4350]);
    assert!(said.iter().all(|(_, notice)| notice.starts_at < notice.ends_at && &*notice.labels["service"] == "fires"));
    let said = run(&mut alerts, WAITS, (4830, 4845), || holds(&["fires", "waits"]));
    assert!(said.iter().any(|(_, notice)| &*notice.labels["service"] == "waits"), "it waits no longer than it should");
    let ended = run(&mut alerts, WAITS, (3000, 3100), || holds(&[]));
    assert_eq!(ended.len(), 4, "both end, and are repeated: {ended:?}");
    assert!(ended.iter().all(|(_, notice)| notice.ends_at == at(3000) && notice.starts_at <= notice.ends_at));
}

#[test]
fn what_holds_fires_though_not_everything_is_seen_and_nothing_ends_by_it() {
    let partly = |services: &[&str]| match holds(services) {
        Judgement::Holds(instances) => Judgement::Partly(instances),
        other => other,
    };
    let mut alerts = Lifecycle::default();
    let said = run(&mut alerts, WAITS, (0, 645), || partly(&["a"]));
    assert_eq!(said.first().map(|(second, _)| *second), Some(600));
    run(&mut alerts, WAITS, (645, 660), || partly(&["b"]));
    run(&mut alerts, WAITS, (660, 2400), || partly(&[]));
    assert_eq!(alerts.count(), Count { pending: 0, firing: 1 }, "what waits begins anew, what fires goes on");
    run(&mut alerts, WAITS, (2400, 2415), || holds(&[]));
    assert_eq!(alerts.count().firing, 0);
}
