//! Failures of single attempts, and the rule for which of them are retried.

use std::io;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LOCATION};

use super::TIMEOUTS;
use crate::http::{self, ReadError, retry_after};
use crate::store::StoreError;

/// Failure of an attempt. Unlike [`StoreError`], it can be cloned for everyone who waited for the same attempt.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// Another attempt may succeed.
    Transient {
        address: String,
        reason: String,
        /// Whether there was no connection, or no answer on it.
        connecting: bool,
        /// Delay that the store asks for.
        after: Option<Duration>,
    },
    Refused {
        address: String,
        action: String,
        reason: String,
    },
    NotFound(String),
    Misconfigured(String),
    Io {
        action: String,
        kind: io::ErrorKind,
        reason: String,
    },
}

impl Failure {
    /// Returns the failure of an attempt that was interrupted.
    pub(super) fn broken(address: &str, reason: impl Into<String>) -> Self {
        Self::Transient { address: address.to_owned(), reason: reason.into(), connecting: false, after: None }
    }

    /// Converts an error of the HTTP client. The URL is left out: the address names the store, and a query may be
    /// private.
    pub(super) fn of_client(address: &str, error: reqwest::Error) -> Self {
        let connecting = error.is_connect();
        Self::Transient { address: address.to_owned(), reason: TIMEOUTS.reason(error), connecting, after: None }
    }

    /// Converts a failure to read the body of an answer. An answer that is too large will be so again.
    pub(super) fn of_body(address: &str, action: &str, error: ReadError) -> Self {
        match error {
            ReadError::Client(error) => Self::of_client(address, error),
            error => {
                Self::Refused { address: address.to_owned(), action: action.to_owned(), reason: error.to_string() }
            }
        }
    }

    /// Returns the failure for an answer that is not a success.
    pub(super) fn of_answer(
        address: &str,
        action: &str,
        subject: &str,
        hint: &str,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Self {
        let refused = |reason: String| Self::Refused { address: address.to_owned(), action: action.to_owned(), reason };
        match status {
            StatusCode::NOT_FOUND => Self::NotFound(subject.to_owned()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => refused(format!("it answered {status}; {hint}")),
            StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED => {
                refused(format!("it answered {status}"))
            }
            _ if status.is_redirection() => {
                let to = headers.get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("another place");
                refused(format!("it answered {status} and points to {to}; if that is right, name that URL"))
            }
            _ if is_transient(status) => Self::Transient {
                address: address.to_owned(),
                reason: format!("it answered {status}"),
                connecting: false,
                after: retry_after(headers),
            },
            _ => refused(format!("it answered {status}")),
        }
    }

    /// Returns the failure for a local file that cannot be read.
    pub(super) fn of_file(action: String, error: &io::Error) -> Self {
        Self::Io { action, kind: error.kind(), reason: error.to_string() }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Transient { address, reason, .. } => Self::Unreachable { address, reason },
            Failure::Refused { address, action, reason } => Self::Refused { address, action, reason },
            Failure::NotFound(subject) => Self::NotFound(subject),
            Failure::Misconfigured(text) => Self::Misconfigured(text),
            Failure::Io { action, kind, reason } => Self::Io { action, source: io::Error::new(kind, reason) },
        }
    }
}

/// Returns whether a status is transient. Swift adds 422 for bytes that arrived damaged, and 498 for a rate limit.
fn is_transient(status: StatusCode) -> bool {
    http::is_transient(status) || matches!(status.as_u16(), 422 | 498)
}

#[cfg(test)]
mod tests {
    use reqwest::header::RETRY_AFTER;

    use super::*;

    fn answer(status: u16, headers: &[(reqwest::header::HeaderName, &str)]) -> Failure {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        Failure::of_answer("http://s", "store c/o", "c/o", "log in", StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn what_may_pass_is_tried_again_when_the_store_says() {
        for status in [408, 422, 429, 498, 500, 502, 503, 504, 507] {
            let Failure::Transient { after, .. } = answer(status, &[(RETRY_AFTER, "7")]) else {
                panic!("{status} is not final");
            };
            assert_eq!(after, Some(Duration::from_secs(7)));
        }
        let dated = answer(503, &[(RETRY_AFTER, "Fri, 31 Dec 1999 23:59:59 GMT")]);
        assert!(matches!(dated, Failure::Transient { after: None, .. }));
    }

    #[test]
    fn what_is_refused_stays_refused_and_says_why() {
        for status in [400, 401, 403, 409, 411, 412, 413, 501] {
            let error = StoreError::from(answer(status, &[]));
            assert!(!error.is_transient(), "{status}");
            assert!(error.to_string().contains("refused to store c/o: it answered"), "{error}");
        }
        assert!(StoreError::from(answer(403, &[])).to_string().contains("log in"));
        let moved = StoreError::from(answer(301, &[(LOCATION, "https://s/")])).to_string();
        assert!(moved.contains("points to https://s/"), "{moved}");
        assert!(matches!(answer(404, &[]), Failure::NotFound(name) if name == "c/o"));
    }
}
