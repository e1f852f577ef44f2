//! How does an `Outcome` become exposition text? The one adapter from `checks::model` to the prometheus-client encoders.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabel, EncodeLabelSet, LabelSetEncoder, MetricEncoder, prometheus_text, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use crate::checks::model::{Family, FamilyDescription, FamilyKind, Label, Outcome, PREFIX, Sample};
use crate::expose::negotiate::Format;

static PICTURE_TIMESTAMP: FamilyDescription = FamilyDescription {
    name: "picture_timestamp_seconds",
    help: "When the picture that is served was judged; its age is time() minus this.",
    kind: FamilyKind::Gauge,
    labels: &[],
};

static CHECK_SUCCESS: FamilyDescription = FamilyDescription {
    name: "check_success",
    help: "Whether a check came to its end when the picture that is served was judged.",
    kind: FamilyKind::Gauge,
    labels: &["check"],
};

static CHECK_DURATION: FamilyDescription = FamilyDescription {
    name: "check_duration_seconds",
    help: "How long a check took when the picture that is served was judged.",
    kind: FamilyKind::Gauge,
    labels: &["check"],
};

/// What is said about the picture itself, before what is in it.
pub static ABOUT_THE_PICTURE: &[&FamilyDescription] = &[&PICTURE_TIMESTAMP, &CHECK_SUCCESS, &CHECK_DURATION];

/// The families of an outcome alone, without times and durations: the same outcome gives the same text, as goldens need.
pub fn observed_text(format: Format, outcome: &Arc<Outcome>) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Observed(Arc::clone(outcome))));
    let mut text = String::new();
    encode(format, &registry, &mut text)?;
    Ok(text)
}

/// Writes the whole picture: what is said about it, then its families. No end mark: a tail follows.
pub(crate) fn write_picture(format: Format, outcome: &Arc<Outcome>, sink: &mut impl fmt::Write) -> fmt::Result {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(AboutThePicture(Arc::clone(outcome))));
    registry.register_collector(Box::new(Observed(Arc::clone(outcome))));
    encode(format, &registry, sink)
}

/// Writes a registry in a format, without OpenMetrics' end mark.
pub(crate) fn encode(format: Format, registry: &Registry, sink: &mut impl fmt::Write) -> fmt::Result {
    match format {
        Format::Text => prometheus_text::encode(sink, registry),
        Format::OpenMetrics => text::encode_registry(sink, registry),
    }
}

/// Writes the end mark of a format, if it has one.
pub(crate) fn encode_end(format: Format, sink: &mut impl fmt::Write) -> fmt::Result {
    match format {
        Format::Text => Ok(()),
        Format::OpenMetrics => text::encode_eof(sink),
    }
}

/// Opens a family by the name under which the classic text format shows it.
///
/// The encoders put suffixes and units after a name by themselves, so what they will add is taken off first.
pub(crate) fn describe<'e>(
    encoder: &'e mut DescriptorEncoder<'_>,
    name: &'e str,
    help: &str,
    kind: MetricType,
) -> Result<MetricEncoder<'e>, fmt::Error> {
    static UNITS: [(&str, Unit); 2] = [("_seconds", Unit::Seconds), ("_bytes", Unit::Bytes)];
    let stem = match kind {
        MetricType::Counter => name.strip_suffix("_total").unwrap_or(name),
        MetricType::Info => name.strip_suffix("_info").unwrap_or(name),
        MetricType::Gauge | MetricType::Histogram | MetricType::Unknown => name,
    };
    let unit = UNITS.iter().find_map(|(suffix, unit)| Some((stem.strip_suffix(suffix)?, unit)));
    match unit {
        Some((stem, unit)) => encoder.encode_descriptor(stem, help, Some(unit), kind),
        None => encoder.encode_descriptor(stem, help, None, kind),
    }
}

#[derive(Debug)]
struct Observed(Arc<Outcome>);

impl Collector for Observed {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.families.iter().try_for_each(|family| write_family(&mut encoder, family))
    }
}

#[derive(Debug)]
struct AboutThePicture(Arc<Outcome>);

impl Collector for AboutThePicture {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut open = |description: &'static FamilyDescription, samples: Vec<(Option<&'static str>, f64)>| {
            let samples = samples
                .into_iter()
                .map(|(check, value)| Sample { labels: check.map(Label::Static).into_iter().collect(), value });
            write_family(&mut encoder, &Family::new(description, samples.collect()))
        };
        let Outcome { evaluated_at, runs, .. } = &*self.0;
        open(&PICTURE_TIMESTAMP, vec![(None, evaluated_at.as_duration().as_secs_f64())])?;
        open(&CHECK_SUCCESS, runs.iter().map(|run| (Some(run.check), f64::from(u8::from(run.success)))).collect())?;
        open(&CHECK_DURATION, runs.iter().map(|run| (Some(run.check), run.duration.as_secs_f64())).collect())
    }
}

fn write_family(encoder: &mut DescriptorEncoder<'_>, family: &Family) -> fmt::Result {
    // A descriptor without samples says nothing to a reader and costs a line.
    if family.samples.is_empty() {
        return Ok(());
    }
    let FamilyDescription { name, help, kind, .. } = family.description;
    let name = format!("{PREFIX}{name}");
    let kind = match kind {
        FamilyKind::Info => MetricType::Info,
        // The client has no state sets; a state set without its type is a gauge.
        FamilyKind::Gauge | FamilyKind::StateSet => MetricType::Gauge,
    };
    let mut metric = describe(encoder, &name, help, kind)?;
    for sample in &family.samples {
        let pairs = Pairs { family, values: &sample.labels };
        if kind == MetricType::Info {
            metric.encode_info(&pairs)?;
        } else {
            let mut series = metric.encode_family(&pairs)?;
            encode_gauge(&mut series, sample.value)?;
        }
    }
    Ok(())
}

/// Writes a gauge's value, as an integer where nothing is lost: `3` is shorter than `3.0` and reads as what it is.
pub(crate) fn encode_gauge(series: &mut MetricEncoder<'_>, value: f64) -> fmt::Result {
    match whole(value) {
        Some(value) => series.encode_gauge(&value),
        None => series.encode_gauge(&value),
    }
}

fn whole(value: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53
    (value.fract() == 0.0 && value.abs() <= EXACT).then_some(value as i64)
}

#[derive(Debug)]
struct Pairs<'a> {
    family: &'a Family,
    values: &'a [Label],
}

impl EncodeLabelSet for Pairs<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        for (name, value) in self.family.label_names().zip(self.values) {
            (name, value.as_str()).encode(encoder.encode_label())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::checks::model::{CheckRun, Report};

    static GAUGE: FamilyDescription =
        FamilyDescription { name: "widgets", help: "Widgets by state.", kind: FamilyKind::Gauge, labels: &["state"] };
    static MOMENT: FamilyDescription = FamilyDescription {
        name: "widget_created_timestamp_seconds",
        help: "When a widget was made.",
        kind: FamilyKind::Gauge,
        labels: &[],
    };
    static INFO: FamilyDescription =
        FamilyDescription { name: "widget_info", help: "What a widget is.", kind: FamilyKind::Info, labels: &["widget", "arn"] };
    static STATE: FamilyDescription =
        FamilyDescription { name: "widget_state", help: "State of a widget.", kind: FamilyKind::StateSet, labels: &["state"] };
    static EMPTY: FamilyDescription =
        FamilyDescription { name: "nothing", help: "Never seen.", kind: FamilyKind::Gauge, labels: &[] };

    fn outcome() -> Arc<Outcome> {
        let mut report = Report::default();
        report.family(&INFO).sample(["a".into(), "say \"hi\"\\\n".to_owned().into()], 1.0);
        report.family(&EMPTY);
        report.family(&GAUGE).sample(["on".into()], 3.0).sample(["off".into()], 0.25);
        report.family(&MOMENT).sample([], 1_764_000_000.0);
        report.family(&STATE).sample(["active".into()], 1.0).sample(["failed".into()], 0.0);
        Arc::new(Outcome {
            evaluated_at: Timestamp::from_millisecond(1_764_000_000_500).unwrap(),
            families: report.into_parts().0,
            findings: Vec::new(),
            muted: Vec::new(),
            runs: vec![CheckRun { check: "zones", success: true, blind: false, duration: Duration::from_millis(250) }],
        })
    }

    #[test]
    fn the_classic_text_is_as_readers_of_version_0_0_4_expect_it() {
        let text = observed_text(Format::Text, &outcome()).unwrap();
        assert_eq!(
            text,
            "# HELP eks_nlb_widget_info What a widget is.\n\
             # TYPE eks_nlb_widget_info gauge\n\
             eks_nlb_widget_info{widget=\"a\",arn=\"say \\\"hi\\\"\\\\\\n\"} 1\n\
             # HELP eks_nlb_widgets Widgets by state.\n\
             # TYPE eks_nlb_widgets gauge\n\
             eks_nlb_widgets{state=\"on\"} 3\n\
             eks_nlb_widgets{state=\"off\"} 0.25\n\
             # HELP eks_nlb_widget_created_timestamp_seconds When a widget was made.\n\
             # TYPE eks_nlb_widget_created_timestamp_seconds gauge\n\
             eks_nlb_widget_created_timestamp_seconds 1764000000\n\
             # HELP eks_nlb_widget_state State of a widget.\n\
             # TYPE eks_nlb_widget_state gauge\n\
             eks_nlb_widget_state{state=\"active\"} 1\n\
             eks_nlb_widget_state{state=\"failed\"} 0\n"
        );
    }

    #[test]
    fn open_metrics_names_the_info_family_without_its_suffix_and_the_unit_by_itself() {
        let text = observed_text(Format::OpenMetrics, &outcome()).unwrap();
        assert!(text.contains("# TYPE eks_nlb_widget info\neks_nlb_widget_info{widget=\"a\","), "{text}");
        assert!(
            text.contains(
                "# TYPE eks_nlb_widget_created_timestamp_seconds gauge\n\
                 # UNIT eks_nlb_widget_created_timestamp_seconds seconds\n\
                 eks_nlb_widget_created_timestamp_seconds 1764000000\n"
            ),
            "{text}"
        );
        assert!(!text.contains("EOF") && !text.contains("nothing"), "{text}");
    }

    #[test]
    fn the_picture_says_when_and_how_it_was_judged() {
        let mut text = String::new();
        write_picture(Format::Text, &outcome(), &mut text).unwrap();
        assert!(text.contains("\neks_nlb_picture_timestamp_seconds 1764000000.5\n"), "{text}");
        assert!(text.contains("\neks_nlb_check_success{check=\"zones\"} 1\n"), "{text}");
        assert!(text.contains("\neks_nlb_check_duration_seconds{check=\"zones\"} 0.25\n"), "{text}");
    }

    #[test]
    fn huge_and_fractional_values_stay_as_they_are() {
        assert_eq!((whole(0.0), whole(-2.0), whole(0.5), whole(1e300)), (Some(0), Some(-2), None, None));
    }

    /// One sample a family, through both encoders, so that a name that one of them would alter is found when it is added.
    #[test]
    fn every_family_is_named_alike_in_both_formats() {
        let descriptions: Vec<_> = crate::checks::families().chain(ABOUT_THE_PICTURE.iter().copied()).collect();
        let mut stems = BTreeSet::new();
        for description in &descriptions {
            let labels = description.labels.iter().map(|_| Label::Static("x")).collect();
            let family = Family::new(description, vec![Sample { labels, value: 1.0 }]);
            let outcome = Arc::new(Outcome {
                evaluated_at: Timestamp::UNIX_EPOCH,
                families: vec![family],
                findings: Vec::new(),
                muted: Vec::new(),
                runs: Vec::new(),
            });
            let name = format!("{PREFIX}{}", description.name);
            for format in [Format::Text, Format::OpenMetrics] {
                let text = observed_text(format, &outcome).unwrap();
                let sample = text.lines().last().unwrap();
                let found = sample.split(['{', ' ']).next().unwrap();
                assert_eq!(found, name, "{format:?}: {text}");
            }
            let info = description.name.ends_with("_info");
            assert_eq!(info, description.kind == FamilyKind::Info, "{name}: `_info` is for info families, all of them");
            for reserved in ["_total", "_count", "_sum", "_bucket", "_created", "_gcount", "_gsum"] {
                assert!(!name.ends_with(reserved), "{name}: no gauge ends in {reserved}");
            }
            assert!(
                !description.help.contains(['\\', '"', '\n']) && description.help.ends_with('.'),
                "{name}: {}",
                description.help
            );
            assert!(
                stems.insert(name.trim_end_matches("_info").to_owned()),
                "{name}: OpenMetrics has another family of this name"
            );
        }
    }
}
