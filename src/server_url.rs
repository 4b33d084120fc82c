//! Addresses of servers, and the identity that secrets are bound to.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

/// Hint for a password that would be sent without TLS.
pub(crate) const PLAIN_TEXT_HINT: &str = "use TLS (amqps:// or https://); in a network that you trust, set plain-text-passwords = \"allow\" in the site, \
     or APT_CI_PLAIN_TEXT_PASSWORDS=allow";

/// The address of a server, optionally with a path: `https://HOST[:PORT][/PATH]`, or `http://` for servers in one's own
/// network. Has no slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl(Url);

/// Reason why an address cannot be used. Its text is left out, because it may have a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the address of a server: {0}")]
pub struct InvalidServerUrl(&'static str);

impl ServerUrl {
    /// Returns whether nobody on the way can read what is sent there: because of TLS, or because it is on this machine.
    pub fn is_private(&self) -> bool {
        self.server().is_private()
    }

    /// Returns the server.
    pub fn server(&self) -> ServerIdentity {
        ServerIdentity::of(&self.0)
    }

    /// Returns the address of a path below this one. Each segment is escaped as needed.
    pub(crate) fn below(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

/// A server that a secret is bound to: scheme, host and port, without path, user and password. Its text is
/// `https://HOST`, with the port unless it is the scheme's default.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServerIdentity {
    scheme: String,
    host: String,
    port: u16,
}

impl ServerIdentity {
    /// Returns the server of a URL with a host and the scheme `https`, `http`, `amqps` or `amqp`.
    pub(crate) fn of(url: &Url) -> Self {
        let scheme = url.scheme().to_owned();
        // The parser does not change the case of the host for schemes that it does not know.
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        let port = url.port().unwrap_or_else(|| default_port(&scheme));
        Self { scheme, host, port }
    }

    /// Returns whether it is a broker, not an HTTP server.
    pub fn is_broker(&self) -> bool {
        matches!(self.scheme.as_str(), "amqps" | "amqp")
    }

    /// Returns whether nobody on the way can read what is sent there: because of TLS, or because it is on this machine.
    pub fn is_private(&self) -> bool {
        matches!(self.scheme.as_str(), "https" | "amqps") || self.is_loopback()
    }

    /// Returns whether it is on this machine. No proxy is used for it.
    pub(crate) fn is_loopback(&self) -> bool {
        let address = self.host.trim_matches(['[', ']']).parse::<IpAddr>();
        address.map_or(self.host == "localhost", |address| address.is_loopback())
    }
}

fn default_port(scheme: &str) -> u16 {
    match scheme {
        "https" => 443,
        "http" => 80,
        "amqps" => 5671,
        "amqp" => 5672,
        _ => 0,
    }
}

impl FromStr for ServerIdentity {
    type Err = InvalidServerUrl;

    fn from_str(text: &str) -> Result<Self, InvalidServerUrl> {
        let url = Url::parse(text).map_err(|_| InvalidServerUrl("it is not a URL"))?;
        if !matches!(url.scheme(), "https" | "http" | "amqps" | "amqp") {
            return Err(InvalidServerUrl("it must begin with https://, http://, amqps:// or amqp://"));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(InvalidServerUrl("it names no host"));
        }
        if url.password().is_some() {
            return Err(InvalidServerUrl("it must not contain a password"));
        }
        Ok(Self::of(&url))
    }
}

impl TryFrom<String> for ServerIdentity {
    type Error = InvalidServerUrl;

    fn try_from(text: String) -> Result<Self, InvalidServerUrl> {
        text.parse()
    }
}

impl From<ServerIdentity> for String {
    fn from(server: ServerIdentity) -> Self {
        server.to_string()
    }
}

impl fmt::Display for ServerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port } = self;
        if *port == default_port(scheme) {
            f.pad(&format!("{scheme}://{host}"))
        } else {
            f.pad(&format!("{scheme}://{host}:{port}"))
        }
    }
}

impl FromStr for ServerUrl {
    type Err = InvalidServerUrl;

    fn from_str(text: &str) -> Result<Self, InvalidServerUrl> {
        let url = Url::parse(text).map_err(|_| InvalidServerUrl("it is not a URL"))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(InvalidServerUrl("it must begin with https:// or http://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidServerUrl("it must not contain a user or password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidServerUrl("it must not contain a query or fragment"));
        }
        let mut url = url;
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_a_slash_at_its_end() {
        let shown = |text: &str| text.parse::<ServerUrl>().unwrap().to_string();
        assert_eq!(shown("https://api.launchpad.net/devel/"), "https://api.launchpad.net/devel");
        assert_eq!(shown("http://127.0.0.1:8080"), "http://127.0.0.1:8080");
        assert_eq!(shown("http://[::1]:8080//"), "http://[::1]:8080");
    }

    #[test]
    fn who_is_on_the_way_reads_only_what_goes_elsewhere_without_tls() {
        let is_private = |text: &str| text.parse::<ServerUrl>().unwrap().is_private();
        assert!(is_private("https://h") && is_private("http://127.0.0.1:80") && is_private("http://[::1]/x"));
        assert!(!is_private("http://h") && !is_private("http://127.0.0.1.example"));
    }

    #[test]
    fn a_server_is_its_scheme_host_and_port() {
        let server = |text: &str| text.parse::<ServerIdentity>().unwrap();
        assert_eq!(server("https://MQ.example:443/a/path?x"), server("https://mq.example"));
        assert_eq!(server("amqps://me@mq.example/ci"), server("amqps://mq.example:5671"));
        for other in ["http://mq.example", "https://mq.example:444", "https://mq.example.org", "amqps://mq.example"] {
            assert_ne!(server(other), server("https://mq.example"));
        }
        for text in ["https://mq.example", "amqp://[::1]:5673", "amqps://mq.example"] {
            assert_eq!(server(text).to_string(), text);
        }
        assert!(server("amqp://127.0.0.1/").is_private() && server("amqp://[::1]").is_private());
        assert!(server("amqps://mq.example").is_private() && server("amqp://localhost:1").is_private());
        assert!(!server("amqp://mq.example").is_private() && !server("amqp://127.0.0.1.example").is_private());
        for bad in ["mq.example", "ftp://h", "amqp:///x", "https://me:hunter2@h"] {
            let error = bad.parse::<ServerIdentity>().unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn what_is_below_is_escaped() {
        let below = |text: &str, segments: &[&str]| text.parse::<ServerUrl>().unwrap().below(segments).to_string();
        assert_eq!(below("http://h", &["~me", "+archive"]), "http://h/~me/+archive");
        assert_eq!(below("http://h/devel/", &["~a/../b?c", "x"]), "http://h/devel/~a%2F..%2Fb%3Fc/x");
    }

    #[test]
    fn only_http_without_secrets_is_taken() {
        let reason = |text: &str| text.parse::<ServerUrl>().unwrap_err().0;
        assert_eq!(reason("launchpad"), "it is not a URL");
        assert_eq!(reason("file:///etc"), "it must begin with https:// or http://");
        assert_eq!(reason("ftp://h"), "it must begin with https:// or http://");
        assert_eq!(reason("https://me:hunter2@h"), "it must not contain a user or password");
        assert_eq!(reason("https://h/?x=1"), "it must not contain a query or fragment");
        assert_eq!(reason("https://"), "it is not a URL");
    }
}
