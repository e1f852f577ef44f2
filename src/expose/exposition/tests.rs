use std::io::Read as _;

use jiff::Timestamp;

use super::*;
use crate::checks::model::{FamilyDescription, FamilyKind, Report};
use crate::inventory::parts::Parts;
use crate::inventory::snapshot::{Expiry, Snapshot};
use crate::sources::CallObserver as _;

static NUMBER: FamilyDescription =
    FamilyDescription { name: "number", help: "A number.", kind: FamilyKind::Gauge, labels: &["place"] };

const TEXT: Form = Form { format: Format::Text, encoding: Encoding::Identity };

fn outcome(number: u32) -> Judged {
    let mut report = Report::default();
    for place in 0..200 {
        report.family(&NUMBER).sample([format!("{place:03}").into()], f64::from(number));
    }
    let outcome = Outcome {
        evaluated_at: Timestamp::UNIX_EPOCH,
        families: report.into_parts().0,
        findings: Vec::new(),
        muted: Vec::new(),
        runs: Vec::new(),
    };
    let snapshot = Snapshot::join(Parts::default(), Timestamp::UNIX_EPOCH, Expiry { max_staleness: Duration::ZERO });
    Judged { snapshot: Arc::new(snapshot), outcome: Arc::new(outcome), policy: Arc::default() }
}

fn exposition() -> Arc<Exposition> {
    Exposition::new(OwnMetrics::new(), ExpositionSettings::default())
}

/// The whole text of an answer.
fn text(exposed: &Exposed) -> String {
    let whole = [&exposed.observed[..], &exposed.fresh[..]].concat();
    match exposed.form.encoding {
        Encoding::Identity => String::from_utf8(whole).unwrap(),
        Encoding::Gzip => {
            let mut text = String::new();
            let mut decoder = flate2::bufread::GzDecoder::new(&whole[..]);
            decoder.read_to_string(&mut text).unwrap();
            assert!(decoder.into_inner().is_empty(), "bytes after the member");
            text
        }
    }
}

fn rendered(exposition: &Exposition) -> [bool; 4] {
    Form::ALL.map(|form| exposition.picture().forms[form.index()].initialized())
}

#[tokio::test]
async fn before_the_first_picture_every_form_shows_own_metrics_alone() {
    let exposition = exposition();
    for form in Form::ALL {
        let text = text(&exposition.body(form).await.unwrap());
        assert!(text.starts_with("# HELP eks_nlb_exporter_build"), "{text}");
        assert!(text.contains("process_cpu_seconds_total ") || !cfg!(target_os = "linux"), "{text}");
        assert!(!text.contains("eks_nlb_number") && !text.contains("eks_nlb_check_success"), "{text}");
        assert_eq!(text.ends_with("# EOF\n"), form.format == Format::OpenMetrics);
        assert_eq!(text.matches("# EOF").count(), usize::from(form.format == Format::OpenMetrics));
    }
    assert!(exposition.latest().is_none());
}

#[tokio::test]
async fn own_work_is_left_out_on_request_and_the_build_stays() {
    let settings = ExpositionSettings { exporter_metrics: false, ..ExpositionSettings::default() };
    let exposition = Exposition::new(OwnMetrics::new(), settings);
    exposition.publish(outcome(1)).await.unwrap();
    let text = text(&exposition.body(TEXT).await.unwrap());
    assert!(text.contains("eks_nlb_exporter_build_info{") && text.contains("eks_nlb_number{"), "{text}");
    assert!(!text.contains("process_") && !text.contains("eks_nlb_pictures_total"), "{text}");
}

#[tokio::test]
async fn every_form_shows_the_same_series_of_the_same_picture() {
    let exposition = exposition();
    exposition.publish(outcome(7)).await.unwrap();
    for form in Form::ALL {
        let text = text(&exposition.body(form).await.unwrap());
        assert_eq!(text.matches("eks_nlb_number{place=\"").count(), 200, "{form:?}");
        assert!(text.contains("eks_nlb_number{place=\"007\"} 7\n"), "{form:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_forms_asked_for_recently_are_rendered_ahead() {
    let exposition = exposition();
    exposition.publish(outcome(1)).await.unwrap();
    assert_eq!(rendered(&exposition), [false; 4], "nobody asked yet");
    exposition.body(Form::ALL[1]).await.unwrap();
    assert_eq!(rendered(&exposition), [false, true, false, false], "on demand, once");
    exposition.publish(outcome(2)).await.unwrap();
    assert_eq!(rendered(&exposition), [false, true, false, false], "ahead");
    tokio::time::advance(Duration::from_secs(200)).await;
    exposition.body(Form::ALL[2]).await.unwrap();
    tokio::time::advance(Duration::from_secs(200)).await;
    exposition.publish(outcome(3)).await.unwrap();
    assert_eq!(rendered(&exposition), [false, false, true, false], "the packed text was forgotten");
}

#[tokio::test]
async fn a_scrape_copies_nothing_of_the_observed_part() {
    let exposition = exposition();
    exposition.publish(outcome(1)).await.unwrap();
    for form in Form::ALL {
        let (first, second) = (exposition.body(form).await.unwrap(), exposition.body(form).await.unwrap());
        assert_eq!(first.observed.as_ptr(), second.observed.as_ptr());
    }
}

#[tokio::test]
async fn the_observed_part_of_the_same_picture_is_the_same_to_the_byte() {
    let exposition = exposition();
    let mut seen: [Option<Bytes>; 4] = Default::default();
    for _ in 0..3 {
        exposition.publish(outcome(5)).await.unwrap();
        for form in Form::ALL {
            let observed = exposition.body(form).await.unwrap().observed;
            assert_eq!(seen[form.index()].get_or_insert(observed.clone()), &observed, "{form:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn own_numbers_are_those_of_the_moment_in_every_form() {
    let own = OwnMetrics::new();
    let exposition = Exposition::new(Arc::clone(&own), ExpositionSettings::default());
    for count in 1..5 {
        own.attempted("ec2", "DescribeVpcs", Ok(()), Duration::ZERO);
        for form in Form::ALL {
            let text = text(&exposition.body(form).await.unwrap());
            let line = format!("eks_nlb_aws_api_requests_total{{api_service=\"ec2\",operation=\"DescribeVpcs\"}} {count}\n");
            assert!(text.contains(&line), "{form:?}: {text}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_tail_is_written_again_after_a_change_or_a_second() {
    let own = OwnMetrics::new();
    let exposition = Exposition::new(Arc::clone(&own), ExpositionSettings::default());
    let tail = |exposed: Exposed| exposed.fresh.as_ptr();
    let first = exposition.body(TEXT).await.unwrap();
    let address = first.fresh.as_ptr();
    assert_eq!(tail(exposition.body(TEXT).await.unwrap()), address, "nothing has changed");
    tokio::time::advance(PROCESS_AGE).await;
    let second = exposition.body(TEXT).await.unwrap();
    assert_ne!(second.fresh.as_ptr(), address, "the process has gone on");
    own.unknown_value("aws_tags");
    assert_ne!(tail(exposition.body(TEXT).await.unwrap()), second.fresh.as_ptr(), "something was counted");
}

#[tokio::test]
async fn pictures_published_at_once_are_coalesced_and_the_newest_wins() {
    let own = OwnMetrics::new();
    let exposition = Exposition::new(Arc::clone(&own), ExpositionSettings::default());
    let turn = Arc::clone(&exposition.turn).lock_owned().await;
    let published: Vec<_> = (0..20)
        .map(|number| {
            let exposition = Arc::clone(&exposition);
            tokio::spawn(async move { exposition.publish(outcome(number)).await })
        })
        .collect();
    // All of them stand in the queue: this runs on one thread and in order.
    tokio::task::yield_now().await;
    drop(turn);
    for published in published {
        published.await.unwrap().unwrap();
    }
    let text = text(&exposition.body(TEXT).await.unwrap());
    assert!(text.contains("eks_nlb_number{place=\"000\"} 19\n"), "{text}");
    assert!(text.contains("\neks_nlb_pictures_total 1\n"), "{text}");
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_stop_a_rendering() {
    let exposition = exposition();
    exposition.publish(outcome(1)).await.unwrap();
    let mut gone = Box::pin(exposition.body(TEXT));
    assert!(futures::poll!(&mut gone).is_pending());
    drop(gone);
    while !rendered(&exposition)[0] {
        tokio::task::yield_now().await;
    }
}
