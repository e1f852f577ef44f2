//! What does an annotation say of one alert? The small part of Prometheus' templates that the shipped rules use.
//!
//! `{{ $labels.NAME }}`, `{{ $value }}` and `{{ $value | FUNCTION }}` with `humanize`, `humanizeDuration`,
//! `humanizePercentage`, `humanizeTimestamp` and `printf "%.Nf"`, and `{{ if $labels.NAME }}…{{ else }}…{{ end }}` without another
//! `if` inside; anything else is an error when the rules are loaded.

use std::sync::Arc;

use jiff::Timestamp;

use super::lifecycle::Labels;

/// A text with places to fill in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Label(Box<str>),
    Value(Format),
    /// The first where the label is there and not empty, else the second.
    Either(Box<str>, Template, Template),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Plain,
    Humanize,
    Duration,
    Percentage,
    Timestamp,
    Decimals(usize),
}

/// A template holds something that is not known here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{{{{{0}}}}} is not known")]
pub(crate) struct TemplateError(String);

impl Template {
    /// Reads a template.
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, inner, behind)) = next_place(rest)? {
            if !before.is_empty() {
                pieces.push(Piece::Text(before.into()));
            }
            if let Some(condition) = inner.strip_prefix("if ") {
                let label = label(condition.trim()).ok_or_else(|| TemplateError(inner.to_owned()))?;
                let (then, behind) = until(behind, "{{ else }}")?;
                let (otherwise, behind) = until(behind, "{{ end }}")?;
                pieces.push(Piece::Either(label, Self::parse(then)?, Self::parse(otherwise)?));
                rest = behind;
            } else {
                pieces.push(piece(inner).ok_or_else(|| TemplateError(inner.to_owned()))?);
                rest = behind;
            }
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.into()));
        }
        Ok(Self(pieces))
    }

    /// Fills it in.
    pub(crate) fn fill(&self, labels: &Labels, value: f64) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(literal) => text.push_str(literal),
                Piece::Label(name) => text.push_str(labels.get(&**name).map_or("", |value: &Arc<str>| value)),
                Piece::Value(format) => text.push_str(&format.say(value)),
                Piece::Either(name, then, otherwise) => {
                    let there = labels.get(&**name).is_some_and(|value| !value.is_empty());
                    text.push_str(&if there { then } else { otherwise }.fill(labels, value));
                }
            }
        }
        text
    }
}

/// The text before the next place, what stands in it, and the rest.
fn next_place(text: &str) -> Result<Option<(&str, &str, &str)>, TemplateError> {
    let Some((before, after)) = text.split_once("{{") else { return Ok(None) };
    let (inner, behind) = after.split_once("}}").ok_or_else(|| TemplateError(after.to_owned()))?;
    Ok(Some((before, inner.trim(), behind)))
}

/// The text up to a mark, and what stands behind that.
fn until<'a>(text: &'a str, mark: &str) -> Result<(&'a str, &'a str), TemplateError> {
    text.split_once(mark).ok_or_else(|| TemplateError(format!(" if without {mark} ")))
}

fn label(text: &str) -> Option<Box<str>> {
    let name = text.strip_prefix("$labels.")?;
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_').then(|| name.into())
}

fn piece(inner: &str) -> Option<Piece> {
    if inner.starts_with("$labels.") {
        return label(inner).map(Piece::Label);
    }
    let format = match inner.strip_prefix("$value") {
        Some("") => Format::Plain,
        Some(pipe) => match pipe.trim_start().strip_prefix('|')?.trim() {
            "humanize" => Format::Humanize,
            "humanizeDuration" => Format::Duration,
            "humanizePercentage" => Format::Percentage,
            "humanizeTimestamp" => Format::Timestamp,
            printf => decimals(printf)?,
        },
        None => decimals(inner.strip_suffix("$value")?.trim())?,
    };
    Some(Piece::Value(format))
}

fn decimals(printf: &str) -> Option<Format> {
    let count = printf.strip_prefix("printf")?.trim().strip_prefix("\"%.")?.strip_suffix("f\"")?;
    count.parse().ok().filter(|count| *count <= 9).map(Format::Decimals)
}

impl Format {
    fn say(self, value: f64) -> String {
        match self {
            Self::Plain => plain(value),
            Self::Humanize => humanize(value),
            Self::Duration => duration(value),
            Self::Percentage => format!("{}%", significant(value * 100.0)),
            Self::Timestamp => timestamp(value),
            Self::Decimals(count) => format!("{value:.count$}"),
        }
    }
}

/// As Go prints a float64: the shortest text that reads back the same.
fn plain(value: f64) -> String {
    if value.is_infinite() { (if value > 0.0 { "+Inf" } else { "-Inf" }).to_owned() } else { format!("{value}") }
}

/// As `%.4g`: four significant digits, no trailing zeros.
fn significant(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return plain(value);
    }
    let scientific = format!("{value:.3e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("the e format has an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent is an integer");
    let trim = |text: &str| {
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
    };
    if !(-4..4).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim(mantissa), exponent.abs());
    }
    let places = usize::try_from(3 - exponent).unwrap_or(0);
    trim(&format!("{value:.places$}"))
}

fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return significant(value);
    }
    let (prefixes, step) = if value.abs() >= 1.0 { ("kMGTPEZY", 1000.0) } else { ("munpfazy", 0.001) };
    let (mut value, mut prefix) = (value, None);
    for next in prefixes.chars() {
        let enough = if step > 1.0 { value.abs() < 1000.0 } else { value.abs() >= 1.0 };
        if enough {
            break;
        }
        value /= step;
        prefix = Some(next);
    }
    format!("{}{}", significant(value), prefix.map(String::from).unwrap_or_default())
}

fn duration(value: f64) -> String {
    if !value.is_finite() {
        return significant(value);
    }
    if value == 0.0 {
        return "0s".to_owned();
    }
    if value.abs() < 1.0 {
        return format!("{}s", humanize(value));
    }
    let sign = if value < 0.0 { "-" } else { "" };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and a float saturates")]
    let whole = value.abs() as u64;
    let (seconds, minutes, hours, days) = (whole % 60, whole / 60 % 60, whole / 3600 % 24, whole / 86_400);
    if days != 0 {
        format!("{sign}{days}d {hours}h {minutes}m {seconds}s")
    } else if hours != 0 {
        format!("{sign}{hours}h {minutes}m {seconds}s")
    } else if minutes != 0 {
        format!("{sign}{minutes}m {seconds}s")
    } else {
        format!("{}s", significant(value))
    }
}

fn timestamp(value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "a float saturates, and what no clock shows is printed as it is")]
    let at = Timestamp::from_second(value as i64);
    at.map_or_else(|_| plain(value), |at| at.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_in() {
        let labels: Labels = [("service".into(), "ledger".into()), ("empty".into(), "".into())].into_iter().collect();
        for (template, expected) in [
            ("Service {{ $labels.service }} has {{ $value }} left.", "Service ledger has 2 left."),
            ("{{$value | printf \"%.1f\"}} of {{ $labels.missing }}x", "2.0 of x"),
            ("{{ printf \"%.0f\" $value }}", "2"),
            ("{{ $value | humanizePercentage }}", "200%"),
            ("no place", "no place"),
            ("{{ if $labels.service }}Service {{ $labels.service }}{{ else }}nobody{{ end }}: {{ $value }}", "Service ledger: 2"),
            ("{{ if $labels.missing }}it{{ else }}no {{ $labels.service }}{{ end }}.", "no ledger."),
            ("{{ if $labels.empty }}it{{ else }}nothing{{ end }}", "nothing"),
        ] {
            assert_eq!(Template::parse(template).unwrap().fill(&labels, 2.0), expected);
        }
        for unknown in [
            "{{ if $value }}a{{ else }}b{{ end }}",
            "{{ if $labels.a }}b{{ end }}",
            "{{ if $labels.a }}b{{ else }}c",
            "{{ if $labels.a }}{{ if $labels.b }}c{{ else }}d{{ end }}{{ else }}e{{ end }}",
            "{{ else }}",
            "{{ end }}",
            "{{ $value | title }}",
            "{{ with query \"up\" }}",
            "{{ $labels.a.b }}",
            "{{ .Value }}",
            "{{ $value",
        ] {
            assert!(Template::parse(unknown).is_err(), "{unknown}");
        }
    }

    #[test]
    fn numbers_read_as_prometheus_writes_them() {
        for (format, value, expected) in [
            (Format::Plain, 0.5, "0.5"),
            (Format::Plain, 12.0, "12"),
            (Format::Humanize, 0.0, "0"),
            (Format::Humanize, 12.0, "12"),
            (Format::Humanize, 1234.0, "1.234k"),
            (Format::Humanize, 1_234_567.0, "1.235M"),
            (Format::Humanize, 0.012, "12m"),
            (Format::Duration, 0.0, "0s"),
            (Format::Duration, 59.5, "59.5s"),
            (Format::Duration, 3661.0, "1h 1m 1s"),
            (Format::Duration, 90_061.0, "1d 1h 1m 1s"),
            (Format::Duration, -61.0, "-1m 1s"),
            (Format::Duration, 0.25, "250ms"),
            (Format::Percentage, 0.9375, "93.75%"),
            (Format::Percentage, 0.0, "0%"),
            (Format::Timestamp, 0.0, "1970-01-01 00:00:00 +0000 UTC"),
            (Format::Decimals(2), 1.005, "1.00"),
            (Format::Humanize, f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(format.say(value), expected, "{format:?} of {value}");
        }
    }
}
