//! The configured storage URL, and whether a token may be sent to it.

use url::Url;

use super::failure::Failure;
use super::url::shown;
use crate::server_url::ServerIdentity;

/// A configured storage URL.
#[derive(Debug)]
pub(super) struct Storage {
    pub(super) url: Url,
    /// Whether the owner of the secret names this server as well. Otherwise someone else does, such as the site, and
    /// the token is sent there only if the login returns the same server.
    pub(super) is_of_source: bool,
}

impl Storage {
    /// Returns the storage URL to use after a login that returned these.
    pub(super) fn chosen<'a>(&'a self, answered: impl IntoIterator<Item = &'a Url>) -> Result<&'a Url, Failure> {
        let server = ServerIdentity::of(&self.url);
        let mut answered = answered.into_iter().peekable();
        let example = answered.peek().map(|url| shown(url)).unwrap_or_default();
        if self.is_of_source || answered.any(|url| ServerIdentity::of(url) == server) {
            return Ok(&self.url);
        }
        Err(Failure::Misconfigured(format!(
            "refusing to send the token to {}: the login's own storage is {example}; write `swift:` alone as the store, or name \
             it where the site's commits do not reach: in OS_STORAGE_URL, or in a clouds.yaml of your own",
            shown(&self.url)
        )))
    }
}
