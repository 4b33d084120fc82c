//! Members of a result.tar. Anyone who can publish decides what is in it, so that reading is limited by its stored
//! size.

use std::io::{self, Read as _};

use tar::EntryType;
use tokio::io::AsyncReadExt;

use crate::store::{Store, StoreError};

/// Maximum size of a result.tar that is read, in bytes. Results are a few kilobytes.
const MAX_RESULT_BYTES: u64 = 16 << 20;
/// Maximum size of a member, in bytes. Larger ones are skipped: workers write none that are needed here.
const MAX_MEMBER_BYTES: u64 = 4 << 20;

/// Fetches a result.tar and reads it in another thread, so that nothing else waits for a large one.
pub(super) async fn fetched<T: Send + 'static>(
    store: &Store,
    container: &str,
    object: &str,
    read: impl FnOnce(&[u8]) -> T + Send + 'static,
) -> Result<T, StoreError> {
    let failed = |source| StoreError::Io { action: format!("reading {container}/{object}"), source };
    let mut bytes = Vec::new();
    store.get(container, object).await?.take(MAX_RESULT_BYTES).read_to_end(&mut bytes).await.map_err(failed)?;
    let reading = tokio::task::spawn_blocking(move || read(&bytes)).await;
    reading.map_err(|panic| failed(io::Error::other(panic)))
}

/// Calls `take` with the name and the text of each file in an archive, in their order. Returns whether the archive is
/// complete.
pub(super) fn each(bytes: &[u8], mut take: impl FnMut(&str, &str)) -> bool {
    // An archive ends with a block of zeros. Nothing else shows that it was truncated between two members.
    let mut is_whole = bytes.last_chunk::<512>().is_some_and(|block| block.iter().all(|byte| *byte == 0));
    let mut archive = tar::Archive::new(bytes);
    let Ok(entries) = archive.entries() else { return false };
    // Raw, so that no member is longer than its stored bytes. A sparse file of one block could expand endlessly.
    for entry in entries.raw(true) {
        let Ok(mut entry) = entry else { return false };
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous if entry.size() <= MAX_MEMBER_BYTES => {}
            EntryType::GNUSparse => {
                is_whole = false;
                continue;
            }
            _ => continue,
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut text = Vec::new();
        is_whole &= entry.read_to_end(&mut text).is_ok();
        take(name.trim_start_matches("./"), &String::from_utf8_lossy(&text));
    }
    is_whole
}
