//! Answers: an HTTP status and JSON.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// An answer.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Value,
}

impl Reply {
    pub(super) fn new(status: StatusCode, body: Value) -> Self {
        Self { status, headers: Vec::new(), body }
    }

    pub(super) fn error(status: StatusCode, message: impl Into<String>) -> Self {
        Self::new(status, json!({"error": message.into()}))
    }

    /// Nothing was done; a later attempt may succeed.
    pub(super) fn later(message: impl Into<String>) -> Self {
        let mut reply = Self::error(StatusCode::SERVICE_UNAVAILABLE, message);
        reply.headers.push((header::RETRY_AFTER, HeaderValue::from_static("30")));
        reply
    }

    /// Too many wrong keys; allowed again after this time.
    pub(super) fn too_many(wait: std::time::Duration) -> Self {
        let message = "too many wrong keys came from this address: try again later";
        let mut reply = Self::error(StatusCode::TOO_MANY_REQUESTS, message);
        reply.headers.push((header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1)));
        reply
    }

    /// The key is missing or unknown.
    pub(super) fn unknown_user() -> Self {
        let message =
            "missing or unknown API key: send `Authorization: Bearer KEY` with a key that the site has given you";
        let mut reply = Self::error(StatusCode::UNAUTHORIZED, message);
        reply.headers.push((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        reply
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut body = self.body.to_string();
        body.push('\n');
        let mut response = (self.status, body).into_response();
        response.headers_mut().extend(self.headers);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}
