//! How is a picture kept in a file? Gzipped JSON: a header that says what it is, and the parts as the sources left them.
//!
//! The schema's number goes up when an older program would misread what a newer one writes. Fields that are only added do not
//! change it: whoever does not know them passes over them.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::redact;
use crate::inventory::parts::{Parts, Scope};

/// The schema that this program writes, and the only one so far.
pub const SCHEMA: u32 = 1;

/// What tells a picture from other JSON.
const PROGRAM: &str = "eks-nlb-exporter";

/// What unpacks to more than this is no picture: that of a cluster with a thousand load balancers is 13 MB.
const LARGEST: u64 = 512 << 20;

/// What unpacks to more than this is no picture either if its file is small: the larger of so many bytes, and so many times the
/// file's size. Pictures are ten to twenty times their file's.
const UNSUSPICIOUS: u64 = 16 << 20;
const MOST_TIMES: u64 = 100;

/// What the file says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Always the program's name.
    pub program: String,
    /// See [`SCHEMA`].
    pub schema: u32,
    /// The program's version.
    pub version: String,
    /// The commit that it was built from.
    #[serde(default)]
    pub revision: String,
    /// The moment of the picture: it is judged as of then.
    pub taken_at: Timestamp,
    /// Account ids, addresses and ids were replaced.
    #[serde(default)]
    pub redacted: bool,
    /// Which cluster it is of.
    #[serde(default)]
    pub scope: Scope,
}

impl Header {
    /// That of a picture taken now by this program.
    pub fn new(parts: &Parts, taken_at: Timestamp) -> Self {
        Self {
            program: PROGRAM.to_owned(),
            schema: SCHEMA,
            version: crate::version::VERSION.to_owned(),
            revision: crate::version::REVISION.to_owned(),
            taken_at,
            redacted: false,
            scope: parts.scope.clone(),
        }
    }
}

/// A picture with its header.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// What it says of itself.
    pub header: Header,
    /// The parts.
    pub parts: Parts,
}

/// Why a file is of no use as a picture. Each says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// It cannot be unpacked.
    #[error("it is damaged or no gzip file ({0}); take a new one with `eks-nlb-exporter snapshot`")]
    Gzip(#[source] std::io::Error),
    /// It unpacks to too much.
    #[error("it unpacks to more than {} MiB, which no picture of its size does", .0 >> 20)]
    TooLarge(u64),
    /// It is not JSON, or its parts are not those of its schema.
    #[error("it is damaged ({}); take a new one with `eks-nlb-exporter snapshot`", short(.0))]
    Json(#[source] serde_json::Error),
    /// It is JSON of something else.
    #[error("it is no picture of eks-nlb-exporter: it does not begin with its header")]
    Foreign,
    /// It is of another schema.
    #[error("eks-nlb-exporter {version} wrote it in schema {found}, and this is {} which reads schema {SCHEMA}: {}", crate::version::VERSION, remedy(*.found))]
    Schema {
        /// The file's schema.
        found: u32,
        /// Who wrote it.
        version: String,
    },
    /// It cannot be written.
    #[error("it cannot be packed")]
    Pack(#[source] std::io::Error),
    /// A part cannot be written as JSON.
    #[error("the picture cannot be written as JSON")]
    Encode(#[source] serde_json::Error),
}

/// The parser's words, which may repeat a value of any length.
fn short(error: &serde_json::Error) -> String {
    super::text::plain(&error.to_string().chars().take(300).collect::<String>())
}

fn remedy(found: u32) -> &'static str {
    if found > SCHEMA { "read it with a newer version" } else { "take a new one with `eks-nlb-exporter snapshot`" }
}

impl SnapshotError {
    /// The closed category.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Gzip(_) | Self::Json(_) | Self::TooLarge(_) => "damaged",
            Self::Foreign => "foreign",
            Self::Schema { .. } => "schema",
            Self::Pack(_) | Self::Encode(_) => "write",
        }
    }
}

#[derive(Deserialize)]
struct Whole {
    header: Header,
    parts: Parts,
}

/// What has to be understood before the rest is read: what else the header of another schema holds is not known.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Glance {
    header: Option<GlanceHeader>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GlanceHeader {
    program: String,
    schema: u32,
    version: String,
}

/// Packs a picture; `redacted` with other account ids, addresses and ids in it.
pub fn pack(parts: &Parts, taken_at: Timestamp, redacted: bool) -> Result<Vec<u8>, SnapshotError> {
    let mut header = Header { redacted, ..Header::new(parts, taken_at) };
    let mut parts = serde_json::to_value(parts).map_err(SnapshotError::Encode)?;
    if redacted {
        redact::redact(&mut parts);
        // The one place outside the parts that names the account is a part of them.
        header.scope = serde_json::from_value(parts["scope"].clone()).map_err(SnapshotError::Encode)?;
    }
    let whole = serde_json::json!({ "header": header, "parts": parts });
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    serde_json::to_writer(&mut packer, &whole).map_err(SnapshotError::Encode)?;
    packer.flush().and_then(|()| packer.finish()).map_err(SnapshotError::Pack)
}

/// Reads what [`pack`] wrote.
pub fn unpack(packed: &[u8]) -> Result<Recorded, SnapshotError> {
    measure(packed)?;
    let mut text = Vec::new();
    MultiGzDecoder::new(packed).read_to_end(&mut text).map_err(SnapshotError::Gzip)?;
    let glance: Glance = serde_json::from_slice(&text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => SnapshotError::Foreign,
        _ => SnapshotError::Json(error),
    })?;
    let header = glance.header.filter(|header| header.program == PROGRAM).ok_or(SnapshotError::Foreign)?;
    if header.schema != SCHEMA {
        let version = super::text::plain(&header.version.chars().take(40).collect::<String>());
        return Err(SnapshotError::Schema { found: header.schema, version });
    }
    let Whole { header, parts } = serde_json::from_slice(&text).map_err(SnapshotError::Json)?;
    Ok(Recorded { header, parts })
}

/// Unpacks it once into nothing, so that a small file that unpacks to gigabytes costs time and no memory.
fn measure(packed: &[u8]) -> Result<(), SnapshotError> {
    let most = (packed.len() as u64).saturating_mul(MOST_TIMES).clamp(UNSUSPICIOUS, LARGEST);
    let mut unpacker = MultiGzDecoder::new(packed).take(most + 1);
    let length = std::io::copy(&mut unpacker, &mut std::io::sink()).map_err(SnapshotError::Gzip)?;
    if length > most { Err(SnapshotError::TooLarge(most)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::inventory::part::{Failure, FailureCategory, Part};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn parts() -> Parts {
        let mut parts = Parts::default();
        parts.scope.cluster_name = Some("demo".into());
        parts.scope.account_id = Some("123456789012".into());
        parts.leader_lease = Part::fetched(None, at(5));
        parts.services = Part::fetched(BTreeMap::new(), at(6));
        let failure = Failure { category: FailureCategory::Denied, operation: "x".into(), message: "of 123456789012".into() };
        parts.nodes.fail(failure, at(7));
        parts
    }

    fn packed(json: &str) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(json.as_bytes()).unwrap();
        packer.finish().unwrap()
    }

    #[test]
    fn what_is_written_is_read_back_with_what_is_not_known() {
        let read = unpack(&pack(&parts(), at(9), false).unwrap()).unwrap();
        assert_eq!(serde_json::to_value(&read.parts).unwrap(), serde_json::to_value(parts()).unwrap());
        assert_eq!(read.header, Header::new(&parts(), at(9)));
        assert_eq!(read.parts.leader_lease.complete(), Some(&None));
        assert!(read.parts.target_groups.get().is_none());
    }

    #[test]
    fn a_redacted_one_says_so_and_names_the_account_nowhere() {
        let read = unpack(&pack(&parts(), at(9), true).unwrap()).unwrap();
        assert!(read.header.redacted);
        assert_eq!(read.header.scope, read.parts.scope);
        assert!(!serde_json::to_string(&read.parts).unwrap().contains("123456789012"));
        assert_eq!(read.parts.scope.cluster_name.as_deref(), Some("demo"));
    }

    #[test]
    fn a_picture_with_fields_of_a_later_version_is_read() {
        let mut whole = serde_json::json!({"header": Header::new(&parts(), at(9)), "parts": parts()});
        for place in ["/header", "/parts", "/parts/scope", "/parts/leader_lease"] {
            whole.pointer_mut(place).unwrap()["unheard_of"] = serde_json::json!({"a": [1]});
        }
        let read = unpack(&packed(&whole.to_string())).unwrap();
        assert_eq!(serde_json::to_value(&read.parts).unwrap(), serde_json::to_value(parts()).unwrap());
    }

    #[test]
    fn a_small_untrusted_file_that_unpacks_to_much_is_refused_before_it_is_kept() {
        // A picture but for its size.
        let whole = serde_json::json!({"header": Header::new(&parts(), at(9)), "parts": parts()}).to_string();
        let padded = |bytes: usize| packed(&format!("{}{}}}", &whole[..whole.len() - 1], " ".repeat(bytes)));
        assert!(unpack(&padded(15 << 20)).is_ok());
        let error = unpack(&padded(17 << 20)).unwrap_err();
        assert!(matches!(error, SnapshotError::TooLarge(_)) && error.to_string().contains("more than 16 MiB"), "{error}");
    }

    #[test]
    fn what_is_no_picture_or_of_another_schema_is_one_clear_sentence() {
        let good = pack(&parts(), at(9), false).unwrap();
        let header =
            |schema: u32| format!(r#"{{"header":{{"program":"eks-nlb-exporter","schema":{schema},"version":"9.1.0"}}}}"#);
        let cases = [
            (b"hello".to_vec(), "damaged", "no gzip file"),
            (Vec::new(), "damaged", "snapshot"),
            (good[..good.len() / 2].to_vec(), "damaged", "damaged"),
            (packed("{\"header\": "), "damaged", "damaged"),
            (packed("{}"), "foreign", "no picture"),
            (packed("[1]"), "foreign", "no picture"),
            (packed(r#"{"header":{"program":"other","schema":1}}"#), "foreign", "no picture"),
            (packed(&header(2)), "schema", "9.1.0 wrote it in schema 2"),
            (packed(&header(0)), "schema", "take a new one"),
            (packed(&header(1)), "damaged", "missing field"),
        ];
        for (bytes, category, words) in cases {
            let error = unpack(&bytes).unwrap_err();
            assert_eq!(error.category(), category, "{error}");
            assert!(error.to_string().contains(words), "{error}");
            assert_eq!(error.to_string().lines().count(), 1, "{error}");
        }
    }
}
