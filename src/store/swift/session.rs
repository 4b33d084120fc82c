//! A client of one account: it logs in when necessary, once for all concurrent requests, and sends requests.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use reqwest::header::{CONTENT_LENGTH, ETAG, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response, StatusCode};
use secrecy::ExposeSecret;
use tokio::sync::Mutex;
use tracing::debug;
use url::Url;

use super::account::{Account, Login};
use super::auth_token::AuthToken;
use super::failure::Failure;
use super::retry::first_answer;
use super::upload::Upload;
use super::url::shown;
use super::{MAX_IDLE_CONNECTIONS, TIMEOUTS};
use crate::http::client_builder;
use crate::server_url::{PLAIN_TEXT_HINT, ServerIdentity};
use crate::store::StoreError;

/// One request, for all its attempts.
pub(super) struct SwiftRequest<'a> {
    pub(super) method: Method,
    /// Path after the storage URL, escaped.
    pub(super) path: String,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) upload: Option<&'a Upload>,
    /// Text to send.
    pub(super) text: Option<&'a str>,
    /// The operation, for messages: `list autopkgtest-bookworm`.
    pub(super) action: String,
    /// The object or container that does not exist when the answer is 404.
    pub(super) subject: String,
}

/// A client and its login.
pub(super) struct Session {
    client: Client,
    account: Account,
    state: Mutex<LoginState>,
    /// Number of finished logins. Read before waiting for `state`: a higher number afterwards means that another task
    /// logged in.
    logins: AtomicU64,
    /// Whether the storage has ever answered. If it has, it exists, and may be slow.
    answered: AtomicBool,
}

#[derive(Default)]
struct LoginState {
    auth: Option<Arc<AuthToken>>,
    /// Failure of the last login.
    failure: Option<Failure>,
}

impl Session {
    pub(super) fn new(account: Account) -> Result<Self, StoreError> {
        // A token must not follow a redirect to another server.
        let mut builder = client_builder(&TIMEOUTS, reqwest::redirect::Policy::none())
            // A worker uploads a few results at a time; further connections need not stay open.
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS);
        if let Some(file) = &account.cacert {
            builder = builder.tls_certs_only(certificates(file)?);
        }
        let client = builder.build().map_err(|error| {
            StoreError::Misconfigured(format!("cannot create an HTTP client for the store: {}", error.without_url()))
        })?;
        Ok(Self {
            client,
            account,
            state: Mutex::default(),
            logins: AtomicU64::new(0),
            answered: AtomicBool::new(false),
        })
    }

    /// Returns the storage URL if it is configured, otherwise the address of the login.
    pub(super) fn address(&self) -> String {
        match (&self.account.storage, &self.account.login) {
            (Some(storage), _) => shown(&storage.url),
            (None, Login::TempAuth(server)) => server.address(),
            (None, Login::Keystone(server)) => server.address(),
            // These need a storage URL.
            (None, Login::Anonymous | Login::Token(_)) => "swift:".to_owned(),
        }
    }

    /// Returns the storage URL, logging in if necessary.
    pub(super) async fn storage(&self) -> Result<String, Failure> {
        Ok(self.auth_token(None).await?.storage.trim_end_matches('/').to_owned())
    }

    /// Returns a text that distinguishes this account from others, before and after a login. It has no secrets.
    pub(super) fn identity(&self) -> String {
        format!("{:?}", self.account)
    }

    /// Makes one attempt. A token that is no longer valid is renewed once.
    pub(super) async fn attempt(&self, ask: &SwiftRequest<'_>) -> Result<Response, Failure> {
        let auth = self.auth_token(None).await?;
        let mut response = self.send(&auth, ask).await?;
        if response.status() == StatusCode::UNAUTHORIZED && self.can_log_in() {
            debug!("the token is no longer good");
            let auth = self.auth_token(Some(&auth)).await?;
            response = self.send(&auth, ask).await?;
        }
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status(), response.headers());
        Err(Failure::of_answer(&auth.storage, &ask.action, &ask.subject, self.hint(), status, headers))
    }

    fn can_log_in(&self) -> bool {
        matches!(self.account.login, Login::TempAuth(_) | Login::Keystone(_))
    }

    fn hint(&self) -> &'static str {
        match self.account.login {
            Login::Anonymous => {
                "without credentials only public containers can be read: set OS_CLOUD, or the OS_ or ST_ variables"
            }
            Login::Token(_) => "the token in OS_AUTH_TOKEN does not permit this, or has expired",
            Login::TempAuth(_) | Login::Keystone(_) => "this user has no right to do that in this account",
        }
    }

    /// Returns access to the account; with `stale`, another one than that. Of many concurrent callers one logs in, and
    /// its success or failure counts for all.
    async fn auth_token(&self, stale: Option<&Arc<AuthToken>>) -> Result<Arc<AuthToken>, Failure> {
        let seen = self.logins.load(Ordering::Acquire);
        let mut state = self.state.lock().await;
        if let Some(auth) = &state.auth
            && auth.is_fresh()
            && stale.is_none_or(|stale| !Arc::ptr_eq(stale, auth))
        {
            return Ok(Arc::clone(auth));
        }
        if let Some(failure) = &state.failure
            && self.logins.load(Ordering::Acquire) > seen
        {
            return Err(failure.clone());
        }
        let result = self.log_in().await;
        self.logins.fetch_add(1, Ordering::Release);
        match result {
            Ok(auth) => {
                let auth = Arc::new(auth);
                *state = LoginState { auth: Some(Arc::clone(&auth)), failure: None };
                Ok(auth)
            }
            Err(failure) => {
                *state = LoginState { auth: None, failure: Some(failure.clone()) };
                Err(failure)
            }
        }
    }

    async fn log_in(&self) -> Result<AuthToken, Failure> {
        let storage = self.account.storage.as_ref();
        let without_login = |token: Option<&str>| {
            let storage = storage.ok_or_else(|| Failure::Misconfigured("the storage URL is not set".to_owned()))?;
            AuthToken::new(&storage.url, token, None)
                .ok_or_else(|| Failure::Misconfigured("OS_AUTH_TOKEN is not a token".to_owned()))
        };
        let auth = match &self.account.login {
            Login::Anonymous => without_login(None),
            Login::Token(token) => without_login(Some(token.expose_secret())),
            Login::TempAuth(server) => {
                debug!(address = server.address(), "logging in");
                server.log_in(&self.client, storage).await
            }
            Login::Keystone(server) => {
                debug!(address = server.address(), "logging in");
                server.log_in(&self.client, storage).await
            }
        }?;
        // During its lifetime, a token is worth as much as the password.
        let is_private = auth.storage.parse::<ServerIdentity>().is_ok_and(|server| server.is_private());
        if auth.token.is_some() && !is_private && !self.account.allows_plain_text {
            return Err(Failure::Misconfigured(format!(
                "refusing to send a token in plain text to {}; {PLAIN_TEXT_HINT}",
                auth.storage
            )));
        }
        Ok(auth)
    }

    async fn send(&self, auth: &AuthToken, ask: &SwiftRequest<'_>) -> Result<Response, Failure> {
        let url = format!("{}{}", auth.storage, ask.path);
        let url = Url::parse(&url).map_err(|error| Failure::Misconfigured(format!("{url} is not a URL: {error}")))?;
        let mut request = self.client.request(ask.method.clone(), url.clone());
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        if let Some(token) = &auth.token {
            request = request.header("x-auth-token", token);
        }
        if let Some(upload) = ask.upload {
            // With the checksum, Swift itself refuses damaged bytes, and no reader ever sees them.
            request =
                request.header(CONTENT_LENGTH, upload.length).header(ETAG, &upload.md5).body(upload.body().await?);
        }
        if let Some(text) = ask.text {
            request = request.body(text.to_owned());
        }
        let begin = Instant::now();
        // An upload may take long before it is answered; it is never the first request.
        let first = ask.upload.is_none() && !self.answered.load(Ordering::Relaxed);
        let result = if first {
            first_answer(&auth.storage, request.send()).await
        } else {
            request.send().await.map_err(|error| Failure::of_client(&auth.storage, error))
        };
        self.answered.fetch_or(result.is_ok(), Ordering::Relaxed);
        let took = begin.elapsed();
        match result {
            Ok(response) => {
                debug!(method = %ask.method, %url, status = response.status().as_u16(), ?took, "request");
                Ok(response)
            }
            Err(failure) => {
                debug!(method = %ask.method, %url, ?took, "request broke");
                if let Some(upload) = ask.upload
                    && let Some(fault) = upload.fault().await
                {
                    return Err(fault);
                }
                Err(failure)
            }
        }
    }
}

/// Reads the certificates that a setting names.
fn certificates(file: &Path) -> Result<Vec<reqwest::Certificate>, StoreError> {
    let text = std::fs::read(file)
        .map_err(|source| StoreError::Io { action: format!("cannot read {} (OS_CACERT)", file.display()), source })?;
    match reqwest::Certificate::from_pem_bundle(&text) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => {
            Err(StoreError::Misconfigured(format!("{} (OS_CACERT) holds no certificates in PEM form", file.display())))
        }
    }
}
