//! What does the daemon remember? Read once by who only looks; nothing is written.

use tokio::time::timeout;

use super::{FormatError, Place, StateError, StateSettings, format};
use crate::inventory::history::History;
use crate::sources::kube::KubeSettings;

/// Why what is remembered is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecallError {
    /// It cannot be read.
    #[error("{0} cannot be read: {1}")]
    Unreadable(String, #[source] StateError),
    /// There is none.
    #[error("{0} does not exist, or nothing is remembered in it yet")]
    Nothing(String),
    /// It is damaged, or of a newer version.
    #[error("{0} is of no use: {1}")]
    Useless(String, String),
}

impl RecallError {
    /// The closed category.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Unreadable(..) => "unreadable",
            Self::Nothing(_) => "nothing",
            Self::Useless(..) => "useless",
        }
    }
}

/// Reads it.
pub async fn recall(settings: &StateSettings, kube: &KubeSettings) -> Result<History, RecallError> {
    let mut place = Place::of(settings, kube);
    let described = place.describe();
    let allowed = settings.answer_timeout;
    let read = timeout(allowed, place.read()).await.unwrap_or(Err(StateError::Timeout(allowed)));
    match read {
        Err(error) => Err(RecallError::Unreadable(described, error)),
        Ok(None) => Err(RecallError::Nothing(described)),
        Ok(Some(bytes)) => {
            format::decode(&bytes).map_err(|error: FormatError| RecallError::Useless(described, error.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn of_file(bytes: Option<&[u8]>) -> Result<History, RecallError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        if let Some(bytes) = bytes {
            std::fs::write(&path, bytes).unwrap();
        }
        let settings = StateSettings { path: Some(path), ..StateSettings::default() };
        let recalled = recall(&settings, &KubeSettings::default()).await;
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), usize::from(bytes.is_some()), "nothing is written");
        recalled
    }

    #[tokio::test]
    async fn what_was_kept_is_read_and_what_cannot_be_is_said() {
        let kept = History::anew(jiff::Timestamp::UNIX_EPOCH, "a test");
        assert_eq!(of_file(Some(&format::encode(&kept))).await.unwrap().lost, kept.lost);
        assert_eq!(of_file(None).await.unwrap_err().category(), "nothing");
        let damaged = of_file(Some(b"no gzip")).await.unwrap_err();
        assert_eq!((damaged.category(), damaged.to_string().contains("corrupt")), ("useless", true));
    }
}
