//! Taking over what workers announce.

use serde::Deserialize;

use super::{Index, IndexError};
use crate::result::layout::{RESULT, parse_object};
use crate::store::Store;

/// What is read of a message of `testcomplete.fanout`.
#[derive(Deserialize)]
struct Completed {
    container: String,
    #[serde(default)]
    swift_dir: String,
}

impl Index {
    /// Takes over the run that a message of `testcomplete.fanout` tells of. False when the store does not show its result yet. A message that
    /// tells of none that belongs into the index, such as one of a private run or of a container that was never listed, is done with.
    ///
    /// # Errors
    /// When the store or the file fails.
    pub async fn take_over_completed(&self, store: &Store, message: &[u8]) -> Result<bool, IndexError> {
        let Ok(Completed { container, swift_dir }) = serde_json::from_slice(message) else { return Ok(true) };
        match parse_object(&format!("{}/{RESULT}", swift_dir.trim_end_matches('/'))) {
            Some((path, id, _)) => self.add(store, &container, &path, &id).await,
            None => Ok(true),
        }
    }

    /// Notes that public containers have been followed without a gap since the index was last known to tell all of them.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn followed(&self, containers: &[String], now: jiff::Timestamp) -> Result<(), IndexError> {
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
