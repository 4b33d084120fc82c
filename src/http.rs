//! What is the same about every HTTP server that we ask.

use std::error::Error;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// Whether this answer means "later".
pub(crate) fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
}

/// `Retry-After` in seconds. The other form, a date, is not worth trusting two clocks for.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// The innermost cause of a client's error: the others only say that asking failed.
pub(crate) fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// A client for large answers: it waits so long for a connection, and for each further piece of an answer.
pub(crate) fn patient_client(patience: Duration) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .user_agent(concat!("apt-ci/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(patience)
        .read_timeout(patience)
        .build()
}
