//! Searching the logs in excuses.

use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use regex::bytes::Regex;

use super::{ExcusesError, ExcusesLocation};

/// Maximum length of a line, in bytes. The rest is matched as another line.
const MAX_LINE_BYTES: u64 = 1 << 20;
/// Maximum length of an unpacked log, in bytes. A small file can expand to any length.
const MAX_LOG_BYTES: u64 = 2 << 30;
/// First bytes of gzip's files. Some servers unpack them, others do not.
const GZIP: &[u8] = b"\x1f\x8b";
/// Timeout for reading a log.
const LOG_TIMEOUT: Duration = Duration::from_secs(300);

/// Returns whether a line of the log at this address matches. The log is read while it arrives, up to the first match.
///
/// # Errors
/// When it cannot be read.
pub async fn log_matches(address: &str, pattern: &Regex) -> Result<bool, ExcusesError> {
    let place: ExcusesLocation = address.parse().map_err(|error| ExcusesError::Unopened(format!("{error}")))?;
    let (log, pattern) = (place.open().await?, pattern.clone());
    let search = tokio::task::spawn_blocking(move || search(log, &pattern));
    match tokio::time::timeout(LOG_TIMEOUT, search).await {
        Ok(Ok(found)) => found.map_err(|error| ExcusesError::Unopened(error.to_string())),
        Ok(Err(error)) => Err(ExcusesError::Unopened(error.to_string())),
        Err(_) => Err(ExcusesError::Unopened(format!("not complete after {} seconds", LOG_TIMEOUT.as_secs()))),
    }
}

fn search(log: impl Read, pattern: &Regex) -> std::io::Result<bool> {
    let mut log = BufReader::new(log);
    let is_packed = log.fill_buf()?.starts_with(GZIP);
    if is_packed { in_lines(BufReader::new(MultiGzDecoder::new(log)), pattern) } else { in_lines(log, pattern) }
}

fn in_lines(log: impl BufRead, pattern: &Regex) -> std::io::Result<bool> {
    let mut log = log.take(MAX_LOG_BYTES);
    let mut line = Vec::new();
    while log.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line)? > 0 {
        if pattern.is_match(line.trim_ascii_end()) {
            return Ok(true);
        }
        line.clear();
    }
    if log.limit() == 0 {
        return Err(std::io::Error::other(format!("it is longer than {} GiB", MAX_LOG_BYTES >> 30)));
    }
    Ok(false)
}
