//! In which form does a client want the exposition? `Accept` gives the format, `Accept-Encoding` the encoding.

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderName};

/// A text format of Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The classic text format, version 0.0.4.
    Text,
    /// OpenMetrics text, version 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The `Content-Type` that is true of a body in this format.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// How the body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// One gzip member.
    Gzip,
}

/// A format in an encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// The format.
    pub format: Format,
    /// The encoding.
    pub encoding: Encoding,
}

impl Form {
    /// All of them; a form's place here is its `index`.
    pub const ALL: [Self; 4] = [
        Self { format: Format::Text, encoding: Encoding::Identity },
        Self { format: Format::Text, encoding: Encoding::Gzip },
        Self { format: Format::OpenMetrics, encoding: Encoding::Identity },
        Self { format: Format::OpenMetrics, encoding: Encoding::Gzip },
    ];

    /// The place in `ALL`.
    pub const fn index(self) -> usize {
        let format = match self.format {
            Format::Text => 0,
            Format::OpenMetrics => 2,
        };
        match self.encoding {
            Encoding::Identity => format,
            Encoding::Gzip => format + 1,
        }
    }
}

/// The form to answer in. There is always one: who accepts nothing we have gets text 0.0.4, unpacked.
pub fn negotiate(headers: &HeaderMap) -> Form {
    Form { format: format(&joined(headers, &ACCEPT)), encoding: encoding(&joined(headers, &ACCEPT_ENCODING)) }
}

/// A header given several times means the same as its values joined by commas. Bytes that are no text are no offer.
fn joined(headers: &HeaderMap, name: &HeaderName) -> String {
    let values: Vec<_> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    values.join(",")
}

/// What the client thinks of one of our formats, by the most specific range that covers it.
#[derive(Debug, Clone, Copy)]
struct Opinion {
    specificity: u8,
    quality: f32,
    position: usize,
}

fn format(accept: &str) -> Format {
    let (mut text, mut open_metrics) = (None, None);
    for (position, range) in split_unquoted(accept, ',').map(Element::parse).enumerate() {
        let version = range.parameter("version");
        let (opinion, specificity) = match (range.name.as_str(), version) {
            ("application/openmetrics-text", Some("1.0.0")) => (&mut open_metrics, 4),
            ("application/openmetrics-text", None) => (&mut open_metrics, 3),
            ("text/plain", Some("0.0.4")) => (&mut text, 4),
            ("text/plain", None) => (&mut text, 3),
            ("text/*", _) => (&mut text, 2),
            // Whoever takes anything gets what every reader understands.
            ("*/*", _) => (&mut text, 1),
            // Other versions (OpenMetrics 0.0.1 and 2.0.0, text 1.0.0) are formats that we do not speak.
            _ => continue,
        };
        if opinion.is_none_or(|known: Opinion| known.specificity < specificity) {
            *opinion = Some(Opinion { specificity, quality: range.quality, position });
        }
    }
    match (open_metrics.filter(|offer| offer.quality > 0.0), text) {
        (Some(open_metrics), Some(text)) => {
            let first = open_metrics.quality == text.quality && open_metrics.position < text.position;
            if first || open_metrics.quality > text.quality { Format::OpenMetrics } else { Format::Text }
        }
        (Some(_), None) => Format::OpenMetrics,
        (None, _) => Format::Text,
    }
}

fn encoding(accept: &str) -> Encoding {
    let (mut gzip, mut identity, mut any) = (None, None, None);
    for element in split_unquoted(accept, ',').map(Element::parse) {
        let known = match element.name.as_str() {
            "gzip" | "x-gzip" => &mut gzip,
            "identity" => &mut identity,
            "*" => &mut any,
            _ => continue,
        };
        known.get_or_insert(element.quality);
    }
    let unpacked_refused = identity.or(any) == Some(0.0);
    let packed = match gzip {
        Some(quality) => quality > 0.0 && quality >= identity.unwrap_or(0.0),
        // "Anything" does not ask for gzip, unless it is all that is left.
        None => unpacked_refused && any.is_some_and(|quality| quality > 0.0),
    };
    if packed { Encoding::Gzip } else { Encoding::Identity }
}

/// One element of a list header: `name;parameter=value;q=0.5`.
#[derive(Debug)]
struct Element<'a> {
    name: String,
    parameters: Vec<(String, &'a str)>,
    quality: f32,
}

impl<'a> Element<'a> {
    fn parse(text: &'a str) -> Self {
        let mut pieces = split_unquoted(text, ';');
        let name = pieces.next().unwrap_or_default().trim().to_ascii_lowercase();
        let parameters: Vec<_> = pieces
            .filter_map(|piece| piece.split_once('='))
            .map(|(key, value)| (key.trim().to_ascii_lowercase(), value.trim().trim_matches('"')))
            .collect();
        let mut element = Self { name, parameters, quality: 1.0 };
        // A quality that is no number is as good as none, as for the reference's own parser.
        if let Some(quality) = element.parameter("q").and_then(|text| text.parse::<f32>().ok()).filter(|q| q.is_finite()) {
            element.quality = quality.clamp(0.0, 1.0);
        }
        element
    }

    fn parameter(&self, key: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == key).map(|(_, value)| *value)
    }
}

/// Splits at `separator` where it does not stand between quotes.
fn split_unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use Format::{OpenMetrics, Text};

    #[test]
    fn the_most_wanted_format_that_we_speak_is_chosen() {
        let cases = [
            // Prometheus 3.
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,\
                 text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                OpenMetrics,
            ),
            // Prometheus 3 with native histograms: protobuf first, which we do not speak.
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
                 application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
                 text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                OpenMetrics,
            ),
            // Prometheus 3 with `scrape_protocols: [PrometheusText0.0.4]`.
            ("text/plain;version=0.0.4;q=0.2,*/*;q=0.1", Text),
            // Prometheus 3 with the texts before OpenMetrics.
            (
                "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.4,\
                 application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.3,*/*;q=0.2",
                Text,
            ),
            // Prometheus 2.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                OpenMetrics,
            ),
            // Its first OpenMetrics releases knew 0.0.1 only.
            ("application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", Text),
            // vmagent.
            ("text/plain;version=0.0.4;q=1,*/*;q=0.1", Text),
            // curl, nothing, browsers.
            ("*/*", Text),
            ("", Text),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8", Text),
            // OpenMetrics 2.0 is not 1.0.
            ("application/openmetrics-text;version=2.0.0", Text),
            ("application/openmetrics-text;version=2.0.0,application/openmetrics-text;version=1.0.0;q=0.5", OpenMetrics),
            // No version named: any will do.
            ("application/openmetrics-text", OpenMetrics),
            ("application/openmetrics-text;q=0.2,text/plain;q=0.3", Text),
            // Equally good: the first one named.
            ("text/plain,application/openmetrics-text", Text),
            ("application/openmetrics-text,text/plain", OpenMetrics),
            // Refused.
            ("application/openmetrics-text;version=1.0.0;q=0", Text),
            ("application/openmetrics-text;q=0,*/*", Text),
            ("text/plain;q=0,application/openmetrics-text;q=0.1", OpenMetrics),
            ("text/plain;q=0", Text),
            // Unknown parameters, capitals, spaces, quotes, a quality that is none.
            (
                "Application/OpenMetrics-Text ; Charset=utf-8 ; VERSION=\"1.0.0\" ; flavour=\"a,b;c\" ; Q=0.9 , text/plain;q=0.8",
                OpenMetrics,
            ),
            ("application/openmetrics-text;version=1.0.0;q=high,text/plain;q=0.5", OpenMetrics),
            ("application/openmetrics-text;version=1.0.0;q=NaN,text/plain;q=0.5", OpenMetrics),
            // A range that names more counts for more than one that only covers it.
            ("*/*;q=0.9,text/plain;version=0.0.4;q=0.1,application/openmetrics-text;version=1.0.0;q=0.5", OpenMetrics),
            ("application/openmetrics-text;version=1.0.0;q=0.1,application/openmetrics-text;q=0.9,text/plain;q=0.5", Text),
            // Nothing we have.
            ("application/json", Text),
            (",;=,;;q", Text),
        ];
        for (accept, wanted) in cases {
            assert_eq!(format(accept), wanted, "{accept}");
        }
    }

    #[test]
    fn gzip_is_used_when_asked_for_and_only_then() {
        use Encoding::{Gzip, Identity};
        let cases = [
            ("gzip", Gzip),
            ("GZIP;q=0.5, deflate", Gzip),
            ("gzip, deflate, br, zstd", Gzip),
            ("x-gzip", Gzip),
            ("gzip;q=1.0, identity; q=0.5, *;q=0", Gzip),
            ("identity", Identity),
            ("", Identity),
            ("gzip;q=0", Identity),
            ("gzip;q=0.0, *", Identity),
            ("identity, gzip;q=0.5", Identity),
            ("br, zstd", Identity),
            ("*", Identity),
            ("*;q=0", Identity),
            ("identity;q=0, *", Gzip),
        ];
        for (accept, wanted) in cases {
            assert_eq!(encoding(accept), wanted, "{accept}");
        }
    }

    #[test]
    fn a_header_given_twice_counts_as_one() {
        let mut headers = HeaderMap::new();
        headers.append(ACCEPT, "text/plain;q=0.5".parse().unwrap());
        headers.append(ACCEPT, "application/openmetrics-text".parse().unwrap());
        headers.append(ACCEPT, http::HeaderValue::from_bytes(b"\xff").unwrap());
        assert_eq!(negotiate(&headers), Form { format: OpenMetrics, encoding: Encoding::Identity });
    }

    #[test]
    fn every_form_has_its_own_place() {
        for (place, form) in Form::ALL.into_iter().enumerate() {
            assert_eq!(form.index(), place);
        }
    }
}
