//! Swift's first kind of login (v1, tempauth, swauth): a user and a key in headers yield a token and a storage URL.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::auth_token::AuthToken;
use super::failure::Failure;
use super::retry::first_answer;
use super::storage::Storage;
use super::url::shown;
use crate::server_url::ServerIdentity;

/// A user of such a server.
#[derive(Debug)]
pub(super) struct TempAuth {
    url: Url,
    user: String,
    key: SecretString,
}

const HINT: &str = "check ST_USER (as in ACCOUNT:USER) and ST_KEY";

impl TempAuth {
    pub(super) fn new(url: Url, user: String, key: SecretString) -> Self {
        Self { url, user, key }
    }

    /// Returns the address of the login, for people.
    pub(super) fn address(&self) -> String {
        shown(&self.url)
    }

    /// Returns the server that gets the password.
    pub(super) fn server(&self) -> ServerIdentity {
        ServerIdentity::of(&self.url)
    }

    pub(super) async fn log_in(
        &self,
        client: &reqwest::Client,
        storage: Option<&Storage>,
    ) -> Result<AuthToken, Failure> {
        let address = self.address();
        let unusable =
            |what: &str| Failure::Misconfigured(format!("{what} has characters that no HTTP header can hold"));
        let mut headers = HeaderMap::new();
        let user = HeaderValue::from_bytes(self.user.as_bytes()).map_err(|_| unusable("the store's user"))?;
        let mut key = HeaderValue::from_bytes(self.key.expose_secret().as_bytes())
            .map_err(|_| unusable("the key of the store's user"))?;
        key.set_sensitive(true);
        headers.insert("x-auth-user", user);
        headers.insert("x-auth-key", key);
        let response = first_answer(&address, client.get(self.url.clone()).headers(headers).send()).await?;
        let action = format!("log {} in", self.user);
        let refused = |reason: &str| Failure::Refused {
            address: address.clone(),
            action: action.clone(),
            reason: reason.to_owned(),
        };
        if !response.status().is_success() {
            let failure = Failure::of_answer(&address, &action, "", HINT, response.status(), response.headers());
            // A wrong address, not a missing object.
            return Err(match failure {
                Failure::NotFound(_) => refused("it answered 404 Not Found; check the URL to log in at (ST_AUTH)"),
                failure => failure,
            });
        }
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let token = header("x-storage-token").or_else(|| header("x-auth-token"));
        let token = token.ok_or_else(|| refused("its answer has no token: is this the URL to log in at?"))?;
        let answered = header("x-storage-url").map(Url::parse).transpose();
        let answered = answered.map_err(|_| refused("its answer has a damaged X-Storage-Url"))?;
        let storage = match (storage, answered) {
            (Some(storage), answered) => storage.chosen(&answered)?.clone(),
            (None, Some(url)) => url,
            (None, None) => return Err(refused("its answer has no X-Storage-Url: is this the URL to log in at?")),
        };
        let lifetime = header("x-auth-token-expires").and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        AuthToken::new(&storage, Some(token), lifetime).ok_or_else(|| refused("its answer has a damaged token"))
    }
}
