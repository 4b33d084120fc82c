//! What a login gives: a token, and the account it is for.

use std::time::{Duration, Instant};

use reqwest::header::HeaderValue;
use url::Url;

use super::url::shown;

/// How long before its end a token is renewed, at most.
const MARGIN: Duration = Duration::from_secs(60);

/// Leave to use an account. Its token is marked sensitive, so that nothing prints it.
#[derive(Debug)]
pub(super) struct Grant {
    /// The storage URL, without a slash at the end.
    pub(super) storage: String,
    /// `None` when nobody logged in.
    pub(super) token: Option<HeaderValue>,
    renew_at: Option<Instant>,
}

impl Grant {
    /// `None` when the token can be no header's value.
    pub(super) fn new(storage: &Url, token: Option<&str>, lifetime: Option<Duration>) -> Option<Self> {
        let token = match token.map(HeaderValue::from_str) {
            Some(Ok(mut token)) => {
                token.set_sensitive(true);
                Some(token)
            }
            Some(Err(_)) => return None,
            None => None,
        };
        // A tenth of a short life, so that a test server with a life of seconds is not asked at every request.
        let renew_at = lifetime.and_then(|life| Instant::now().checked_add(life - MARGIN.min(life / 10)));
        Some(Self { storage: shown(storage), token, renew_at })
    }

    /// Whether the token is still good for a request, as far as its life is known.
    pub(super) fn is_fresh(&self) -> bool {
        self.renew_at.is_none_or(|at| Instant::now() < at)
    }
}
