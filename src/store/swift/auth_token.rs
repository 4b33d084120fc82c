//! A token, and the account that it is for.

use std::time::{Duration, Instant};

use reqwest::header::HeaderValue;
use url::Url;

use super::url::shown;

/// Maximum time before a token's expiry when it is renewed.
const RENEWAL_MARGIN: Duration = Duration::from_secs(60);

/// Access to an account. The token is marked as sensitive, so that nothing prints it.
#[derive(Debug)]
pub(super) struct AuthToken {
    /// The storage URL, without a slash at the end.
    pub(super) storage: String,
    /// `None` without a login.
    pub(super) token: Option<HeaderValue>,
    renew_at: Option<Instant>,
}

impl AuthToken {
    /// Returns `None` when the token cannot be the value of a header.
    pub(super) fn new(storage: &Url, token: Option<&str>, lifetime: Option<Duration>) -> Option<Self> {
        let token = match token.map(HeaderValue::from_str) {
            Some(Ok(mut token)) => {
                token.set_sensitive(true);
                Some(token)
            }
            Some(Err(_)) => return None,
            None => None,
        };
        // A tenth of a short lifetime, so that a test server's token of a few seconds is not renewed at every request.
        let renew_at = lifetime.and_then(|life| Instant::now().checked_add(life - RENEWAL_MARGIN.min(life / 10)));
        Some(Self { storage: shown(storage), token, renew_at })
    }

    /// Returns whether the token is still valid, as far as its lifetime is known.
    pub(super) fn is_fresh(&self) -> bool {
        self.renew_at.is_none_or(|at| Instant::now() < at)
    }
}
