//! What is the same about every HTTP server that we ask.

use std::error::Error;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, Proxy, StatusCode};
use url::Url;

use crate::server_url::ServerIdentity;

/// Whether this answer means "later".
pub(crate) fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
}

/// `Retry-After` in seconds. The other form, a date, is not worth trusting two clocks for.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// The innermost cause of a client's error: the others only say that asking failed.
pub(crate) fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// What every client is built from. It asks through the proxies of the environment, except for servers on this machine: a login that
/// goes in clear to one of them would be read by the proxy, which would also look for the server on its own machine.
#[expect(clippy::disallowed_methods, reason = "all others begin here")]
pub fn client_builder() -> ClientBuilder {
    let proxies = Matcher::from_system();
    let proxy = Proxy::custom(move |url| proxy_for(&proxies, url));
    Client::builder().user_agent(concat!("apt-ci/", env!("CARGO_PKG_VERSION"))).proxy(proxy)
}

/// The proxy through which a server is asked, with its login.
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

/// A client for large answers: it waits so long for a connection, and for each further piece of an answer.
pub(crate) fn patient_client(patience: Duration) -> Result<Client, reqwest::Error> {
    client_builder().connect_timeout(patience).read_timeout(patience).build()
}

#[cfg(test)]
mod tests {
    use super::*;

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
