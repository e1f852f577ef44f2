//! How are alerts said to an Alertmanager, and read back from it? Its API v2.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::lifecycle::{Labels, Notice};

/// One element of `POST /api/v2/alerts`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PostableAlert<'a> {
    labels: &'a Labels,
    annotations: &'a BTreeMap<Arc<str>, Arc<str>>,
    starts_at: Timestamp,
    ends_at: Timestamp,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
}

/// The body of a request.
pub(super) fn body(notices: &[Arc<Notice>], generator_url: &str) -> Vec<u8> {
    let alerts: Vec<_> = notices
        .iter()
        .map(|notice| PostableAlert {
            labels: &notice.labels,
            annotations: &notice.annotations,
            starts_at: notice.starts_at,
            ends_at: notice.ends_at,
            generator_url,
        })
        .collect();
    serde_json::to_vec(&alerts).expect("maps of text to text and times are always JSON")
}

/// One element of `GET /api/v2/alerts`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GettableAlert {
    labels: Labels,
    #[serde(default)]
    annotations: BTreeMap<Arc<str>, Arc<str>>,
    starts_at: Timestamp,
    ends_at: Timestamp,
    #[serde(rename = "generatorURL", default)]
    generator_url: String,
}

/// The alerts of an answer that this daemon fired: those that name its page as their origin.
pub(super) fn fired_by_us(body: &[u8], generator_url: &str) -> Result<Vec<Notice>, serde_json::Error> {
    let alerts: Vec<GettableAlert> = serde_json::from_slice(body)?;
    let ours = alerts.into_iter().filter(|alert| alert.generator_url == generator_url);
    Ok(ours
        .map(|GettableAlert { labels, annotations, starts_at, ends_at, .. }| Notice { labels, annotations, starts_at, ends_at })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice() -> Notice {
        let text = |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value))).collect();
        Notice {
            labels: text(&[("alertname", "NLBServiceBlocked"), ("service", "a")]),
            annotations: text(&[("summary", "A Service is blocked.")]),
            starts_at: Timestamp::UNIX_EPOCH,
            ends_at: Timestamp::from_second(240).unwrap(),
        }
    }

    #[test]
    fn an_alert_is_written_as_the_api_asks() {
        let said = String::from_utf8(body(&[Arc::new(notice())], "http://exporter:10669")).unwrap();
        assert_eq!(
            said,
            r#"[{"labels":{"alertname":"NLBServiceBlocked","service":"a"},"annotations":{"summary":"A Service is blocked."},"startsAt":"1970-01-01T00:00:00Z","endsAt":"1970-01-01T00:04:00Z","generatorURL":"http://exporter:10669"}]"#
        );
    }

    #[test]
    fn only_our_own_alerts_are_read_back() {
        let answer = br#"[
            {"labels":{"alertname":"NLBServiceBlocked","service":"a"},"annotations":{"summary":"A Service is blocked."},
             "startsAt":"1970-01-01T00:00:00.000Z","endsAt":"1970-01-01T00:04:00.000Z","updatedAt":"1970-01-01T00:00:00.000Z",
             "generatorURL":"http://exporter:10669","fingerprint":"x","receivers":[],"status":{"state":"active"}},
            {"labels":{"alertname":"Watchdog"},"annotations":{},"startsAt":"1970-01-01T00:00:00Z","endsAt":"1970-01-01T00:04:00Z",
             "generatorURL":"http://prometheus/graph"}]"#;
        assert_eq!(fired_by_us(answer, "http://exporter:10669").unwrap(), [notice()]);
        assert!(fired_by_us(b"<html>", "http://exporter:10669").is_err());
    }
}
