//! Errors of a forge's API, and how its answers become errors.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::http;

/// Why a forge did not do what it was asked. No text holds a token.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// The forge is unreachable or does not answer.
    #[error("cannot reach {address}: {reason}")]
    Unreachable {
        /// Address of its API.
        address: String,
        /// Cause, as the network reports it.
        reason: String,
    },
    /// The forge has a fault, which a retry may outlast.
    #[error("{address} answered {status}: {message}")]
    ServerError {
        /// Address of its API.
        address: String,
        /// HTTP status.
        status: u16,
        /// Message of the forge.
        message: String,
        /// Time until the next attempt, if the forge names one.
        after: Option<Duration>,
    },
    /// Too many requests were sent.
    #[error("{address} accepts no more requests for {} seconds", after.as_secs())]
    RateLimited {
        /// Address of its API.
        address: String,
        /// Time until the next attempt.
        after: Duration,
    },
    /// The token is wrong, has expired, or lacks the right.
    #[error("{address} rejected the token for this operation ({status}): {message}")]
    NotAllowed {
        /// Address of its API.
        address: String,
        /// HTTP status.
        status: u16,
        /// Message of the forge.
        message: String,
    },
    /// The object does not exist, or the token may not see it.
    #[error("{address} has no {what}, or does not show it to this token")]
    NotFound {
        /// Address of its API.
        address: String,
        /// The object.
        what: String,
    },
    /// The project has been renamed.
    #[error("{address} has renamed {what}")]
    Moved {
        /// Address of its API.
        address: String,
        /// The object.
        what: String,
    },
    /// The token would be sent without TLS.
    #[error("refusing to send a token to {0} without TLS")]
    Insecure(String),
    /// The token contains characters that no token has.
    #[error("not a token: it contains characters that no token contains")]
    MalformedToken,
    /// The forge understood the request and refused it.
    #[error("{address} refused ({status}): {message}")]
    Refused {
        /// Address of its API.
        address: String,
        /// HTTP status.
        status: u16,
        /// Message of the forge.
        message: String,
    },
    /// The answer does not have the documented form.
    #[error("cannot read the answer of {address} to {what}: {reason}")]
    Unexpected {
        /// Address of its API.
        address: String,
        /// Path of the request.
        what: String,
        /// Error of the parser.
        reason: String,
    },
}

impl ForgeError {
    /// Whether a retry may succeed.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::ServerError { .. } | Self::RateLimited { .. })
    }

    /// Returns the time until the next attempt, if the forge names one.
    pub fn after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { after, .. } => Some(*after),
            Self::ServerError { after, .. } => *after,
            _ => None,
        }
    }
}

/// Status and rate limits of an answer.
#[derive(Debug, Default)]
pub(super) struct ResponseHead {
    pub(super) status: u16,
    pub(super) retry_after: Option<u64>,
    /// Remaining requests, and when the limit is reset, in seconds since 1970.
    pub(super) remaining: Option<u64>,
    pub(super) reset: Option<i64>,
}

/// Maximum pause that a forge can demand, in seconds: GitHub's limits are reset each hour.
const MAX_PAUSE: u64 = 3700;

/// Maximum length of a forge's message, in characters.
const MAX_MESSAGE_LENGTH: usize = 300;

impl ResponseHead {
    /// Reads status and headers. GitHub's headers about limits begin with `x-`, GitLab's do not.
    pub(super) fn read(status: StatusCode, headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
        let limit = |name: &str| text(&format!("x-ratelimit-{name}")).or_else(|| text(&format!("ratelimit-{name}")));
        Self {
            status: status.as_u16(),
            retry_after: http::retry_after(headers).map(|after| after.as_secs()),
            remaining: limit("remaining").and_then(|number| number.parse().ok()),
            reset: limit("reset").and_then(|second| second.parse().ok()),
        }
    }

    /// Returns the error that an answer with this body stands for.
    pub(super) fn error(&self, address: &str, what: &str, body: &str) -> ForgeError {
        let (address, status) = (address.to_owned(), self.status);
        let message = message(body);
        let after = self.retry_after.map(|seconds| Duration::from_secs(seconds.min(MAX_PAUSE)));
        let is_used_up = self.remaining == Some(0) && matches!(status, 403 | 429);
        let until_reset = || {
            let now = jiff::Timestamp::now().as_second();
            let seconds = self.reset.and_then(|reset| u64::try_from(reset - now).ok()).unwrap_or(60);
            Duration::from_secs(seconds.clamp(1, MAX_PAUSE))
        };
        match status {
            301 | 302 | 307 | 308 => ForgeError::Moved { address, what: what.to_owned() },
            403 | 429 if after.is_some() || is_used_up || status == 429 => {
                ForgeError::RateLimited { address, after: after.unwrap_or_else(until_reset) }
            }
            // GitHub's secondary limit: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
            403 if message.to_ascii_lowercase().contains("rate limit") => {
                ForgeError::RateLimited { address, after: Duration::from_secs(60) }
            }
            401 | 403 => ForgeError::NotAllowed { address, status, message },
            404 | 410 => ForgeError::NotFound { address, what: what.to_owned() },
            _ if StatusCode::from_u16(status).is_ok_and(http::is_transient) => {
                ForgeError::ServerError { address, status, message, after }
            }
            _ => ForgeError::Refused { address, status, message },
        }
    }
}

/// Returns the message in an answer's body, with the list of errors that GitHub adds.
fn message(body: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut parts: Vec<String> = ["message", "error"].iter().filter_map(|key| value.get(key)).map(text).collect();
    for error in value.get("errors").and_then(serde_json::Value::as_array).into_iter().flatten() {
        parts.push(error.get("message").map_or_else(|| text(error), text));
    }
    let whole = parts.join(": ").replace(char::is_control, " ");
    if whole.is_empty() { "no reason given".to_owned() } else { whole.chars().take(MAX_MESSAGE_LENGTH).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(answer: ResponseHead, body: &str) -> ForgeError {
        answer.error("https://api", "a hook", body)
    }

    #[test]
    fn limits_are_told_from_missing_rights() {
        let used_up = ResponseHead { status: 403, remaining: Some(0), reset: Some(0), ..ResponseHead::default() };
        assert!(matches!(error(used_up, "{}"), ForgeError::RateLimited { .. }));
        let secondary = ResponseHead { status: 403, retry_after: Some(7), ..ResponseHead::default() };
        assert_eq!(error(secondary, "{}").after(), Some(Duration::from_secs(7)));
        let plain = ResponseHead { status: 403, remaining: Some(5000), ..ResponseHead::default() };
        assert!(matches!(error(plain, "{}"), ForgeError::NotAllowed { .. }));
        let said = ResponseHead { status: 403, ..ResponseHead::default() };
        assert!(error(said, r#"{"message": "You have exceeded a secondary rate limit"}"#).is_transient());
    }

    #[test]
    fn the_reasons_are_passed_on() {
        let refused = ResponseHead { status: 422, ..ResponseHead::default() };
        let body = r#"{"message": "Validation Failed", "errors": [{"message": "Hook already exists"}, "x"]}"#;
        assert_eq!(
            error(refused, body).to_string(),
            "https://api refused (422): Validation Failed: Hook already exists: x"
        );
        let unwell = ResponseHead { status: 502, ..ResponseHead::default() };
        assert_eq!(error(unwell, "<html>").to_string(), "https://api answered 502: no reason given");
    }
}
