//! GET requests with retries.

use std::time::Duration;

use reqwest::header::ACCEPT;
use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use secrecy::ExposeSecret;
use tracing::debug;
use url::Url;

use crate::http::{self, AnswerTimeout, ReadError, Timeouts, client_builder, innermost, is_transient, retry_after};
use crate::request::Login;
use crate::retry::{ClassifyFailure, RetryPolicy, Transient, retry};

/// Timeout for one attempt, from the connection to the last byte.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
const TIMEOUTS: Timeouts = Timeouts { connect: ATTEMPT_TIMEOUT, answer: AnswerTimeout::Whole(ATTEMPT_TIMEOUT) };
/// Limits of retries.
const RETRY_POLICY: RetryPolicy = RetryPolicy {
    first_delay: Duration::from_millis(300),
    max_delay: Duration::from_secs(15),
    max_retries: Some(3),
    connect_limit: None,
    total_limit: None,
    has_jitter: true,
};
/// Maximum size of an answer, in bytes. A key with a thousand signatures has less.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;
const MAX_REDIRECTS: usize = 4;

/// Reason why there is no usable answer.
#[derive(Debug)]
pub(super) enum FetchError {
    /// Another attempt may succeed.
    Transient { reason: String, after: Option<Duration> },
    /// The server answered with this status.
    Answer(StatusCode),
    /// The server's answer cannot be used.
    Unusable(String),
}

impl ClassifyFailure for FetchError {
    fn transient(&self) -> Option<Transient> {
        let Self::Transient { after, .. } = self else { return None };
        Some(Transient { is_connecting: false, after: *after })
    }
}

/// Returns a client without secrets of its own: a login is added to a single request.
pub(super) fn client() -> Result<Client, reqwest::Error> {
    client_builder(&TIMEOUTS, Policy::custom(redirect)).build()
}

fn redirect(attempt: Attempt<'_>) -> Action {
    match may_follow(attempt.previous(), attempt.url()) {
        Ok(()) => attempt.follow(),
        Err(reason) => attempt.error(reason),
    }
}

/// Returns whether a redirect may be followed. Launchpad has several host names. A redirect from https to http is
/// refused, because anyone on the way could insert another key.
fn may_follow(previous: &[Url], next: &Url) -> Result<(), &'static str> {
    if next.scheme() != "https" && previous.iter().any(|url| url.scheme() == "https") {
        return Err("it redirects from https to an unsafe address");
    }
    if previous.len() > MAX_REDIRECTS {
        return Err("it redirects too often");
    }
    Ok(())
}

/// Returns the text at an address, with retries.
pub(super) async fn get(client: &Client, url: &Url, accept: &'static str) -> Result<String, FetchError> {
    with_retries(url, || async { read(ask(client.get(url.clone()).header(ACCEPT, accept)).await?).await }).await
}

/// Checks whether something exists at an address, with a login if there is one. The body is not fetched.
pub(super) async fn look(client: &Client, url: &Url, login: Option<&Login>) -> Result<(), FetchError> {
    with_retries(url, || async {
        let request = client.get(url.clone());
        let request = match login {
            // The client marks the header as sensitive, and drops it when it is redirected to another server.
            Some(login) => request.basic_auth(&login.user, Some(login.token.expose_secret())),
            None => request,
        };
        ask(request).await.map(drop)
    })
    .await
}

async fn with_retries<T, F: Future<Output = Result<T, FetchError>>>(
    url: &Url,
    question: impl FnMut() -> F,
) -> Result<T, FetchError> {
    retry(&RETRY_POLICY, question, |fault, delay| debug!(%url, ?fault, ?delay, "asking again")).await
}

async fn ask(request: RequestBuilder) -> Result<Response, FetchError> {
    let response = request.send().await.map_err(of_client)?;
    let status = response.status();
    debug!(url = %response.url(), status = status.as_u16(), "asked");
    if status.is_success() {
        return Ok(response);
    }
    if is_transient(status) {
        let after = retry_after(response.headers());
        return Err(FetchError::Transient { reason: format!("it answered {status}"), after });
    }
    Err(FetchError::Answer(status))
}

/// Returns the whole body, up to the limit.
async fn read(response: Response) -> Result<String, FetchError> {
    http::read_text(response, MAX_ANSWER_BYTES).await.map_err(|error| match error {
        ReadError::Client(error) => of_client(error),
        error => FetchError::Unusable(error.to_string()),
    })
}

fn of_client(error: reqwest::Error) -> FetchError {
    if error.is_redirect() {
        return FetchError::Unusable(innermost(&error.without_url()));
    }
    FetchError::Transient { reason: TIMEOUTS.reason(error), after: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_safe_line_is_not_left() {
        let url = |text: &str| Url::parse(text).unwrap();
        let (safe, open) = (url("https://lp/devel"), url("http://127.0.0.1/devel"));
        assert_eq!(may_follow(std::slice::from_ref(&safe), &url("https://elsewhere/")), Ok(()));
        assert_eq!(may_follow(std::slice::from_ref(&open), &safe), Ok(()));
        assert_eq!(may_follow(std::slice::from_ref(&open), &open), Ok(()));
        let unsafe_again = Err("it redirects from https to an unsafe address");
        assert_eq!(may_follow(std::slice::from_ref(&safe), &open), unsafe_again);
        assert_eq!(may_follow(&[open.clone(), safe.clone()], &url("ftp://lp/")), unsafe_again);
        assert_eq!(may_follow(&[open.clone(), open.clone(), open.clone(), open.clone()], &open), Ok(()));
        assert!(may_follow(&vec![open.clone(); 5], &open).is_err());
    }
}
