//! Adding announced results.

use serde::Deserialize;

use super::{Index, IndexError};
use crate::result::layout::{RESULT, parse_object};
use crate::store::Store;

/// The used fields of a message of `testcomplete.fanout`.
#[derive(Deserialize)]
struct CompletionMessage {
    container: String,
    #[serde(default)]
    swift_dir: String,
}

impl Index {
    /// Adds the run in a message of `testcomplete.fanout`. Returns `false` when its result is not in the store yet, and
    /// `true` for a message without a run that belongs in the index, such as a private one, or one in a container that
    /// was never listed.
    ///
    /// # Errors
    /// When the store or the file fails.
    pub async fn add_completed(&self, store: &Store, message: &[u8]) -> Result<bool, IndexError> {
        let Ok(CompletionMessage { container, swift_dir }) = serde_json::from_slice(message) else { return Ok(true) };
        match parse_object(&format!("{}/{RESULT}", swift_dir.trim_end_matches('/'))) {
            Some((path, id, _)) => self.add(store, &container, &path, &id).await,
            None => Ok(true),
        }
    }

    /// Records that public containers were followed without a gap since the index was last complete for them.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn mark_followed(&self, containers: &[String], now: jiff::Timestamp) -> Result<(), IndexError> {
        self.with(|connection| {
            let transaction = connection.transaction()?;
            for name in containers {
                transaction.execute(
                    "UPDATE container SET checked = ? WHERE name = ? AND access <> 'private' AND checked > 0 AND marker IS NULL",
                    rusqlite::params![now.as_second(), name],
                )?;
            }
            transaction.commit()
        })
    }
}
