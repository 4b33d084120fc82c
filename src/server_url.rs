//! The address of a server that is asked over HTTP.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// The address of a server, perhaps with a path: `https://HOST[:PORT][/PATH]`, or `http://` for servers of one's own. It has
/// no slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl(Url);

/// An address that cannot be used, and why. Its text is left out: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the address of a server: {0}")]
pub struct InvalidServerUrl(&'static str);

impl ServerUrl {
    /// Whether nobody on the way can read what is sent there: by TLS, or because there is no way.
    pub fn is_private(&self) -> bool {
        let is_loopback = match self.0.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        };
        self.0.scheme() == "https" || is_loopback
    }

    /// The address of something below this one. Each segment is escaped as needed.
    pub(crate) fn below(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

impl FromStr for ServerUrl {
    type Err = InvalidServerUrl;

    fn from_str(text: &str) -> Result<Self, InvalidServerUrl> {
        let url = Url::parse(text).map_err(|_| InvalidServerUrl("it is no URL"))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(InvalidServerUrl("it begins with https:// or http://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidServerUrl("a user or password does not belong into it"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidServerUrl("nothing may stand after its path"));
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
    fn what_is_below_is_escaped() {
        let below = |text: &str, segments: &[&str]| text.parse::<ServerUrl>().unwrap().below(segments).to_string();
        assert_eq!(below("http://h", &["~me", "+archive"]), "http://h/~me/+archive");
        assert_eq!(below("http://h/devel/", &["~a/../b?c", "x"]), "http://h/devel/~a%2F..%2Fb%3Fc/x");
    }

    #[test]
    fn only_http_without_secrets_is_taken() {
        let reason = |text: &str| text.parse::<ServerUrl>().unwrap_err().0;
        assert_eq!(reason("launchpad"), "it is no URL");
        assert_eq!(reason("file:///etc"), "it begins with https:// or http://");
        assert_eq!(reason("ftp://h"), "it begins with https:// or http://");
        assert_eq!(reason("https://me:hunter2@h"), "a user or password does not belong into it");
        assert_eq!(reason("https://h/?x=1"), "nothing may stand after its path");
        assert_eq!(reason("https://"), "it is no URL");
    }
}
