//! HTTP clients: what all of them have in common, and what their failures mean.

use std::error::Error;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Proxy, Response, StatusCode};
use url::Url;

use crate::server_url::ServerIdentity;

/// Timeouts of a client, for each attempt.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For an answer.
    pub answer: AnswerTimeout,
}

/// Timeout for an answer.
#[derive(Debug, Clone, Copy)]
pub enum AnswerTimeout {
    /// From the beginning of the request to the last byte of the answer.
    Whole(Duration),
    /// For each further piece of an answer, which may be of any size.
    Piece(Duration),
}

impl Timeouts {
    /// Returns why there was no answer. URLs are left out, because a query may hold secrets.
    pub fn reason(&self, error: reqwest::Error) -> String {
        if !error.is_timeout() {
            return innermost(&error.without_url());
        }
        let (AnswerTimeout::Whole(answer) | AnswerTimeout::Piece(answer)) = self.answer;
        let (what, limit) = if error.is_connect() { ("connection", self.connect) } else { ("answer", answer) };
        format!("no {what} within {} seconds", limit.as_secs())
    }
}

/// Whether an answer says that the same request may succeed later.
pub(crate) fn is_transient(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
}

/// Reads `Retry-After`, in seconds. The other form, a date, is not worth trusting two clocks for.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// Returns the innermost cause of a client's error. The others only say that the request failed.
pub(crate) fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Reasons why the body of an answer is not used.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The connection failed.
    #[error(transparent)]
    Client(#[from] reqwest::Error),
    /// The body is larger than its limit, in bytes.
    #[error("its answer has more than {0} bytes")]
    TooLarge(usize),
    /// The body is not UTF-8.
    #[error("its answer is no text")]
    NoText,
}

/// Returns the body of an answer, which may have at most `limit` bytes.
///
/// # Errors
/// When the connection fails, or the body is larger.
pub async fn read_bytes(mut response: Response, limit: usize) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() + chunk.len() > limit {
            return Err(ReadError::TooLarge(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Returns the body of an answer, which may have at most `limit` bytes and must be UTF-8.
///
/// # Errors
/// When the connection fails, or the body is larger or not UTF-8.
pub async fn read_text(response: Response, limit: usize) -> Result<String, ReadError> {
    String::from_utf8(read_bytes(response, limit).await?).map_err(|_| ReadError::NoText)
}

/// Begins a client. Its requests go through the proxies of the environment, except to servers on this machine: a login
/// that is sent in clear to one of them would be read by the proxy, which would also look for the server on its own
/// machine.
#[expect(clippy::disallowed_methods, reason = "all others begin here")]
pub fn client_builder(timeouts: &Timeouts, redirects: Policy) -> ClientBuilder {
    let proxies = Matcher::from_system();
    let proxy = Proxy::custom(move |url| proxy_for(&proxies, url));
    let builder = Client::builder()
        .user_agent(concat!("apt-ci/", env!("CARGO_PKG_VERSION")))
        .proxy(proxy)
        .connect_timeout(timeouts.connect)
        .redirect(redirects);
    match timeouts.answer {
        AnswerTimeout::Whole(limit) => builder.timeout(limit),
        AnswerTimeout::Piece(limit) => builder.read_timeout(limit),
    }
}

/// Returns the proxy for requests to a server, with its login.
fn proxy_for(proxies: &Matcher, server: &Url) -> Option<Url> {
    if ServerIdentity::of(server).is_loopback() {
        return None;
    }
    let found = proxies.intercept(&server.as_str().parse().ok()?)?;
    let mut proxy: Url = found.uri().to_string().parse().ok()?;
    let login = found.raw_auth().map(|(user, password)| (user.to_owned(), password.to_owned()));
    if let Some((user, password)) = login.or_else(|| basic_login(found.basic_auth()?)) {
        proxy.set_username(&user).ok()?;
        proxy.set_password(Some(&password)).ok()?;
    }
    Some(proxy)
}

fn basic_login(header: &HeaderValue) -> Option<(String, String)> {
    let text = BASE64_STANDARD.decode(header.to_str().ok()?.strip_prefix("Basic ")?).ok()?;
    let text = String::from_utf8(text).ok()?;
    text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        let answer = |bytes: &'static [u8]| Response::from(hyper::Response::new(bytes));
        assert_eq!(read_bytes(answer(b"four"), 4).await.unwrap(), b"four");
        assert!(matches!(read_bytes(answer(b"five!"), 4).await, Err(ReadError::TooLarge(4))));
        assert_eq!(read_text(answer(b"four"), 4).await.unwrap(), "four");
        assert!(matches!(read_text(answer(b"\xff"), 4).await, Err(ReadError::NoText)));
    }

    #[test]
    fn a_server_on_this_machine_is_asked_without_a_proxy() {
        let proxies = Matcher::builder().all("http://me:p%40ss@proxy.example:3128").no("direct.example").build();
        let proxy = |server: &str| proxy_for(&proxies, &server.parse().unwrap()).map(String::from);
        for server in [
            "http://127.0.0.1:8080/v3",
            "http://127.9.9.9",
            "http://[::1]:5000",
            "http://localhost",
            "https://LOCALHOST",
        ] {
            assert_eq!(proxy(server), None, "{server}");
        }
        assert_eq!(proxy("http://direct.example"), None);
        for server in ["http://swift.example:8080", "https://127.0.0.1.example", "http://localhost.example"] {
            assert_eq!(proxy(server).as_deref(), Some("http://me:p%40ss@proxy.example:3128/"), "{server}");
        }
        let socks = Matcher::builder().all("socks5h://me:pass@proxy.example:1080").build();
        let proxy = proxy_for(&socks, &"https://swift.example".parse().unwrap()).unwrap();
        assert_eq!((proxy.scheme(), proxy.username(), proxy.password()), ("socks5h", "me", Some("pass")));
        assert_eq!(proxy_for(&Matcher::builder().build(), &"https://swift.example".parse().unwrap()), None);
    }
}
