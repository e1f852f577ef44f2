//! In which form is the history kept? JSON with a version, packed with gzip.
//!
//! A field that is added later has a default, so that an older text stays readable; a change that an older program would
//! misread raises the version.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use crate::excerpt::excerpt;
use crate::inventory::history::History;

/// The version that is written, and the newest that can be read.
const VERSION: u32 = 1;

/// What a text may unpack to at most. At 3,000 Services it is about 5 MB.
const LONGEST: u64 = 64 * 1024 * 1024;

/// Why a text cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FormatError {
    /// It is damaged.
    #[error("it is corrupt: {0}")]
    Corrupt(String),
    /// A newer program wrote it.
    #[error("a newer version of this program wrote it (schema {0}, this one knows {VERSION})")]
    Newer(u32),
}

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    #[serde(flatten)]
    history: &'a History,
}

#[derive(Deserialize)]
struct Header {
    version: u32,
}

/// The bytes to keep.
pub(super) fn encode(history: &History) -> Vec<u8> {
    // It is written at most twice a minute and kept in the cluster's own database: bytes count for more than time.
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    let text = serde_json::to_vec(&Written { version: VERSION, history }).expect("maps with keys of text are JSON");
    packed.write_all(&text).and_then(|()| packed.finish()).expect("writing to a Vec cannot fail")
}

/// Reads what was kept.
pub(super) fn decode(bytes: &[u8]) -> Result<History, FormatError> {
    // What is found there may be repeated in it, at any length.
    let corrupt = |error: &dyn std::fmt::Display| FormatError::Corrupt(excerpt(&error.to_string()));
    // Measured first: a small text that unpacks to much costs time and no memory.
    let measured = std::io::copy(&mut GzDecoder::new(bytes).take(LONGEST + 1), &mut std::io::sink());
    if measured.map_err(|error| corrupt(&error))? > LONGEST {
        return Err(FormatError::Corrupt(format!("it unpacks to more than {} MiB, which no history does", LONGEST >> 20)));
    }
    let mut text = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut text).map_err(|error| corrupt(&error))?;
    let Header { version } = serde_json::from_slice(&text).map_err(|error| corrupt(&error))?;
    if version > VERSION {
        return Err(FormatError::Newer(version));
    }
    serde_json::from_slice(&text).map_err(|error| corrupt(&error))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::inventory::history::{Record, Value};
    use crate::inventory::ids::ObjectName;

    fn packed(text: &str) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(text.as_bytes()).and_then(|()| packed.finish()).unwrap()
    }

    /// Digits that no compressor finds a pattern in.
    fn digits(seed: &mut u64, count: usize) -> String {
        (0..count)
            .map(|_| {
                *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                char::from_digit(u32::try_from(*seed >> 60).unwrap(), 16).unwrap()
            })
            .collect()
    }

    /// Services as a large platform has them: own certificates, addresses, names and tags.
    fn large(count: usize) -> History {
        let mut seed = 1;
        let mut services = BTreeMap::new();
        for number in 0..count {
            let mut hex = |count| digits(&mut seed, count);
            let uuid =
                |hex: &mut dyn FnMut(usize) -> String| format!("{}-{}-4{}-a{}-{}", hex(8), hex(4), hex(3), hex(3), hex(12));
            let mut annotations = vec![
                ("aws-load-balancer-type", "external".to_owned()),
                ("aws-load-balancer-nlb-target-type", "ip".to_owned()),
                ("aws-load-balancer-scheme", "internet-facing".to_owned()),
                ("aws-load-balancer-name", format!("team-{}-web-{}", number % 40, hex(6))),
                (
                    "aws-load-balancer-attributes",
                    "load_balancing.cross_zone.enabled=true,deletion_protection.enabled=true".to_owned(),
                ),
                ("aws-load-balancer-ssl-cert", format!("arn:aws:acm:eu-west-1:123456789012:certificate/{}", uuid(&mut hex))),
                ("aws-load-balancer-ssl-ports", "443".to_owned()),
                ("aws-load-balancer-additional-resource-tags", format!("team=team-{},cost=cc-{}", number % 40, hex(4))),
                ("aws-load-balancer-healthcheck-path", "/healthz".to_owned()),
            ];
            // The default quota is 5 addresses a Region: few have their own.
            if number % 4 == 0 {
                let addresses = format!("eipalloc-0{},eipalloc-0{},eipalloc-0{}", hex(16), hex(16), hex(16));
                annotations.push(("aws-load-balancer-eip-allocations", addresses));
            }
            let baseline = annotations
                .into_iter()
                .map(|(key, value)| (format!("service.beta.kubernetes.io/{key}").into(), Value::of(&value.into())))
                .collect();
            let second = |offset| Timestamp::from_second(1_760_000_000 + offset).unwrap();
            let offset = i64::from_str_radix(&hex(6), 16).unwrap();
            let record = Record {
                uid: uuid(&mut hex)[..18].into(),
                first_seen_at: second(offset),
                load_balancer_created_at: Some(second(offset + 40)),
                adopted: None,
                baseline,
                edited: BTreeMap::new(),
                edits: Vec::new(),
            };
            services.insert(ObjectName::new(format!("team-{}", number % 40), format!("web-{}", hex(5))), Arc::new(record));
        }
        let mut history = History::default();
        history.services = services;
        history
    }

    #[test]
    fn it_comes_back_as_it_was() {
        let history = large(20);
        assert_eq!(decode(&encode(&history)), Ok(history));
    }

    #[test]
    fn three_thousand_services_are_far_below_what_a_config_map_holds() {
        let bytes = encode(&large(3_000)).len();
        assert!(bytes < 300 * 1024, "{bytes} bytes");
    }

    #[test]
    fn what_is_damaged_is_corrupt_and_what_is_newer_is_newer() {
        let good = encode(&large(5));
        for bad in [
            &b""[..],
            b"x",
            &good[..good.len() / 2],
            &good[..good.len() - 1],
            &packed("{}"),
            &packed("[]"),
            &packed("{\"version\":1,\"services\":[]}"),
        ] {
            assert!(matches!(decode(bad), Err(FormatError::Corrupt(_))), "{bad:?}");
        }
        let mut flipped = good.clone();
        flipped[good.len() / 2] ^= 0x10;
        assert!(matches!(decode(&flipped), Err(FormatError::Corrupt(_))));
        assert_eq!(decode(&packed("{\"version\":2,\"services\":\"of another form\"}")), Err(FormatError::Newer(2)));
    }

    /// What the first release writes, and a field that none has: every later version has to read it.
    #[test]
    fn what_version_1_wrote_stays_readable() {
        let text = r#"{"version":1,"began_at":"2026-01-01T00:00:00Z","observed_at":"2026-02-01T00:00:00Z","unheard_of":1,
            "services":{"shop/web":{"uid":"u","first_seen_at":"2026-01-01T00:00:00Z",
                "load_balancer_created_at":"2025-12-01T00:00:00Z",
                "adopted":{"at":"2026-01-01T00:00:00Z"},
                "baseline":{"service.beta.kubernetes.io/aws-load-balancer-name":"one",
                    "service.beta.kubernetes.io/aws-load-balancer-attributes":{"ends":"a…b","length":90,"digest":"0000000000ff"}},
                "edited":{"service.beta.kubernetes.io/aws-load-balancer-name":{"now":"two","at":{"at":"2026-01-02T00:00:00Z"}}},
                "edits":[{"annotation":"service.beta.kubernetes.io/aws-load-balancer-name","from":"one","to":"two",
                    "at":{"between":["2026-01-01T00:00:00Z","2026-01-02T00:00:00Z"]}}]}}}"#;
        let history = decode(&packed(text)).unwrap();
        let record = &history.services[&ObjectName::new("shop", "web")];
        let now = record.current("service.beta.kubernetes.io/aws-load-balancer-name").unwrap();
        assert!(now.is("two") && record.adopted.is_some() && record.edits.len() == 1 && record.baseline.len() == 2);
    }
}
