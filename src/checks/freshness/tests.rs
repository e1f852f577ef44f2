use std::collections::BTreeMap;

use super::*;
use crate::checks::fixtures::{NOW, World, at};
use crate::inventory::part::Failure;

fn status(last_success: Option<i64>) -> SourceStatus {
    SourceStatus {
        interval_seconds: 60,
        last_attempt: Some(at(NOW - 5)),
        last_success: last_success.map(at),
        ..SourceStatus::default()
    }
}

fn failed(category: FailureCategory, last_success: Option<i64>) -> SourceStatus {
    let failure = Failure { category, operation: "ec2:DescribeSubnets".into(), message: "no".into() };
    SourceStatus { failure: Some(Arc::new(failure)), ..status(last_success) }
}

fn judge(status: SourceStatus) -> crate::checks::fixtures::Verdict {
    let mut world = World::healthy();
    world.parts.sources = Arc::new(BTreeMap::from([("aws_subnets".into(), status)]));
    world.judge(&CHECK)
}

#[test]
fn a_good_source_is_up_and_silent() {
    let verdict = judge(status(Some(NOW - 5)));
    for (family, value) in [
        ("source_up", 1.0),
        ("source_last_success_timestamp_seconds", (NOW - 5) as f64),
        ("source_last_attempt_timestamp_seconds", (NOW - 5) as f64),
        ("source_refresh_interval_seconds", 60.0),
        ("source_missing_resources", 0.0),
    ] {
        assert_eq!(verdict.value(family, &["aws_subnets"]), Some(value), "{family}");
    }
    assert!(verdict.codes().is_empty());
}

#[test]
fn a_source_that_was_never_tried_shows_only_its_interval() {
    let verdict = judge(SourceStatus { interval_seconds: 60, missing: 7, ..SourceStatus::default() });
    assert_eq!(verdict.value("source_refresh_interval_seconds", &["aws_subnets"]), Some(60.0));
    for family in CHECK.families.iter().map(|family| family.name).filter(|name| !name.contains("interval")) {
        assert!(verdict.series(family).is_empty(), "{family}");
    }
    assert!(verdict.codes().is_empty());
}

#[test]
fn a_kind_that_is_not_served_is_neither_up_nor_down() {
    let verdict = judge(SourceStatus { absent: true, ..failed(FailureCategory::NotFound, None) });
    assert!(verdict.series("source_up").is_empty() && verdict.series("source_missing_resources").is_empty());
    assert!(verdict.codes().is_empty());
}

#[test]
fn one_failure_shows_at_once_and_is_a_finding_after_two_intervals() {
    let verdict = judge(failed(FailureCategory::Throttled, Some(NOW - 120)));
    assert_eq!(verdict.value("source_up", &["aws_subnets"]), Some(0.0));
    assert!(verdict.codes().is_empty());
    let verdict = judge(failed(FailureCategory::Throttled, Some(NOW - 121)));
    assert_eq!(verdict.message("NLB901"), "ec2:DescribeSubnets: throttled (no); last succeeded 121 s ago.");
    let never = judge(failed(FailureCategory::Expired, None));
    assert_eq!(never.message("NLB901"), "ec2:DescribeSubnets: expired (no); never succeeded.");
}

#[test]
fn a_slow_source_that_fails_is_not_given_hours() {
    let hourly = |age: i64| SourceStatus { interval_seconds: 3600, ..failed(FailureCategory::Server, Some(NOW - age)) };
    assert!(judge(hourly(300)).codes().is_empty());
    assert_eq!(judge(hourly(301)).codes(), ["NLB901"]);
}

#[test]
fn a_missing_permission_is_named_at_once_and_only_so() {
    let verdict = judge(failed(FailureCategory::Denied, None));
    assert_eq!(verdict.codes(), ["NLB902"]);
    assert_eq!(verdict.message("NLB902"), "ec2:DescribeSubnets: denied (no); never succeeded.");
}

#[test]
fn a_source_is_stale_after_three_intervals() {
    assert!(judge(status(Some(NOW - 180))).codes().is_empty());
    let verdict = judge(status(Some(NOW - 181)));
    assert_eq!(verdict.message("NLB903"), "The source last succeeded 181 s ago and means to refresh every 60 s.");
}

#[test]
fn a_watch_has_no_interval_and_is_stale_after_ten_minutes() {
    let watch = |age: i64| SourceStatus { interval_seconds: 0, ..status(Some(NOW - age)) };
    let verdict = judge(watch(600));
    assert!(verdict.series("source_refresh_interval_seconds").is_empty());
    assert!(verdict.codes().is_empty());
    assert_eq!(judge(watch(601)).codes(), ["NLB903"]);
    let down = |age: i64| SourceStatus { interval_seconds: 0, ..failed(FailureCategory::Unreachable, Some(NOW - age)) };
    assert!(judge(down(120)).codes().is_empty());
    assert_eq!(judge(down(121)).codes(), ["NLB901"]);
}

#[test]
fn missing_resources_are_told_once_a_round_is_over() {
    let missing = |status: SourceStatus| judge(SourceStatus { missing: 2, ..status });
    assert_eq!(missing(status(Some(NOW))).message("NLB904"), "Resources that could not be read: 2.");
    assert!(missing(status(None)).codes().is_empty(), "the first round is under way");
    assert_eq!(missing(status(None)).value("source_missing_resources", &["aws_subnets"]), Some(2.0));
}

#[test]
fn a_clock_that_went_back_and_an_endless_interval_do_no_harm() {
    assert!(judge(status(Some(NOW + 1000))).codes().is_empty());
    assert!(judge(SourceStatus { interval_seconds: u64::MAX, ..status(Some(0)) }).codes() == ["NLB903"]);
}
