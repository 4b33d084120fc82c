//! Border of the operator's network: the servers from which a branch may be fetched when its address came over the web.
//!
//! Such a request can come from strangers, so its address must not lead to servers that only this host can reach. The
//! name is resolved once, all of its addresses must be public, and git is restricted to these addresses: it neither
//! resolves the name again nor follows a redirect. Hosts that the site lists are exempt. Where a proxy is set,
//! everything goes through it, and the proxy is the border.

use std::fmt;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use url::{Host, Url};

use super::address::is_public;
use crate::environment::Environment;
use crate::request::GitSource;

/// Timeout for resolving a name.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum number of addresses that are passed to git.
const MAX_ADDRESSES: usize = 16;

/// Resolves a host name. Blocks.
pub type Resolver = dyn Fn(&str, u16) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Servers that may be reached for requests that came over the web.
#[derive(Clone)]
pub struct Border {
    allowed: Arc<[AllowedHost]>,
    resolver: Arc<Resolver>,
}

impl fmt::Debug for Border {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Border").field("allowed", &self.allowed).finish_non_exhaustive()
    }
}

/// Host that is exempt: `HOST`, or `HOST:PORT` for this port alone. An IPv6 address has brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHost {
    /// Host in the form that URLs have: in lower case, and addresses in their canonical form.
    host: String,
    port: Option<u16>,
}

impl std::str::FromStr for AllowedHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no HOST or HOST:PORT");
        let after_host = text.rsplit_once(']').map_or(text, |(_, after)| after);
        let (host, port) = match after_host.rsplit_once(':') {
            Some((_, port)) => (&text[..text.len() - port.len() - 1], Some(port.parse().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let url = Url::parse(&format!("http://{host}/")).map_err(|_| wrong())?;
        let is_plain = url.path() == "/" && url.username().is_empty() && url.password().is_none();
        let is_plain = is_plain && url.port().is_none() && url.query().is_none() && url.fragment().is_none();
        match url.host_str() {
            Some(host) if is_plain => Ok(Self { host: plain(host).to_owned(), port }),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        self.port.iter().try_for_each(|port| write!(f, ":{port}"))
    }
}

/// Reason for which a branch cannot be fetched from its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BorderError {
    /// The branch must not be fetched, now or later.
    Forbidden(String),
    /// The name cannot be resolved now.
    Unresolved(String),
}

/// Way in which git reaches a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    /// Address to fetch, as it was checked.
    pub(super) url: String,
    /// `HOST:PORT:ADDRESS[,ADDRESS]`, to which git is restricted. `None` where there is no name to resolve.
    pub(super) held_to: Option<String>,
}

impl Border {
    /// Creates a border with these exemptions, which resolves names as the system does.
    pub fn new(allowed: impl IntoIterator<Item = AllowedHost>) -> Self {
        let system = |host: &str, port| Ok((host, port).to_socket_addrs()?.map(|address| address.ip()).collect());
        Self::with_resolver(allowed, Arc::new(system))
    }

    /// Creates a border with another resolver.
    pub fn with_resolver(allowed: impl IntoIterator<Item = AllowedHost>, resolver: Arc<Resolver>) -> Self {
        Self { allowed: allowed.into_iter().collect(), resolver }
    }

    /// Checks an address without resolving its name.
    ///
    /// # Errors
    /// Fails when no request over the web may name this address; the error describes why.
    pub fn check(&self, source: &GitSource) -> Result<(), String> {
        self.target(source).map(drop)
    }

    /// Finds the way to a server.
    pub(super) async fn route(&self, source: &GitSource, environment: &Environment) -> Result<Route, BorderError> {
        let Target { url, name } = self.target(source).map_err(BorderError::Forbidden)?;
        let Some((host, port)) = name.filter(|_| proxy(&url, environment).is_none()) else {
            return Ok(Route { url: url.into(), held_to: None });
        };
        let (resolver, asked) = (Arc::clone(&self.resolver), host.clone());
        let resolving = tokio::task::spawn_blocking(move || resolver(&asked, port));
        let unresolved =
            |reason: &dyn fmt::Display| BorderError::Unresolved(format!("cannot resolve {host}: {reason}"));
        let mut addresses = match tokio::time::timeout(RESOLVE_TIMEOUT, resolving).await {
            Ok(Ok(Ok(addresses))) => addresses,
            Ok(Ok(Err(error))) => return Err(unresolved(&error)),
            Ok(Err(error)) => return Err(unresolved(&error)),
            Err(_) => return Err(unresolved(&"no answer")),
        };
        addresses.dedup();
        if addresses.is_empty() {
            return Err(unresolved(&"it has no address"));
        }
        // One address that is not public is enough: git may use any of them.
        if !addresses.iter().all(|address| is_public(*address)) {
            return Err(BorderError::Forbidden(not_public(&format!("the name {host} leads to"))));
        }
        let addresses = addresses.iter().take(MAX_ADDRESSES).map(|address| match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        });
        let held_to = format!("{host}:{port}:{}", addresses.collect::<Vec<_>>().join(","));
        Ok(Route { url: url.into(), held_to: Some(held_to) })
    }

    fn target(&self, source: &GitSource) -> Result<Target, String> {
        let mut url = Url::parse(source.url()).map_err(|error| format!("it is no address: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("requests over the web are fetched by http or https, not by {}", url.scheme()));
        }
        let port = url.port_or_known_default().unwrap_or_default();
        let host = plain(url.host_str().unwrap_or_default()).to_owned();
        let is_allowed =
            self.allowed.iter().any(|one| one.host == host && one.port.is_none_or(|allowed| allowed == port));
        let name = match url.host() {
            _ if is_allowed => None,
            Some(Host::Ipv4(address)) if is_public(address.into()) => None,
            Some(Host::Ipv6(address)) if is_public(address.into()) => None,
            Some(Host::Domain(_)) if host != "localhost" && !host.ends_with(".localhost") && !host.is_empty() => {
                Some((host.clone(), port))
            }
            _ => return Err(not_public(&format!("{host} is"))),
        };
        // git is restricted to the name without a final dot.
        if matches!(url.host(), Some(Host::Domain(_))) {
            url.set_host(Some(&host)).map_err(|error| format!("it is no address: {error}"))?;
        }
        Ok(Target { url, name })
    }
}

/// A checked address, with the name in it that must be resolved.
struct Target {
    url: Url,
    name: Option<(String, u16)>,
}

fn not_public(subject: &str) -> String {
    format!(
        "{subject} no address of the public network, and requests over the web must not reach others; \
         `allowed-git-hosts` in the section [web] of apt-ci.toml lists the hosts that are exempt"
    )
}

fn plain(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

/// Returns the proxy that git uses for an address, according to the environment.
pub(super) fn proxy<'e>(url: &Url, environment: &'e Environment) -> Option<&'e str> {
    let names: &[&str] = match url.scheme() {
        "https" => &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
        _ => &["http_proxy", "all_proxy", "ALL_PROXY"],
    };
    names.iter().find_map(|name| environment.get(name))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn source(address: &str) -> GitSource {
        address.parse().unwrap()
    }

    fn border(allowed: &[&str], addresses: &'static [&'static str]) -> (Border, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        // Each query has an answer of its own, so that a second query would get another one.
        let resolver = move |_: &str, _: u16| {
            let turn = counted.fetch_add(1, Ordering::SeqCst);
            let answer = addresses.get(turn).ok_or_else(|| io::Error::other("asked too often"))?;
            Ok(answer.split(' ').map(|address| address.parse().unwrap()).collect())
        };
        let allowed: Vec<AllowedHost> = allowed.iter().map(|host| host.parse().unwrap()).collect();
        (Border::with_resolver(allowed, Arc::new(resolver)), asked)
    }

    #[test]
    fn addresses_inside_are_refused_in_every_form() {
        let (border, _) = border(&[], &[]);
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "017700000001",
            "0",
            "10.0.0.1:8080",
            "192.168.1.1",
            "172.16.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[fd00:ec2::254]",
            "[fe80::1]",
            "localhost",
            "LOCALHOST.",
            "x.localhost",
        ] {
            for scheme in ["http", "https"] {
                let Ok(source) = format!("{scheme}://{host}/x.git").parse::<GitSource>() else { continue };
                let error = border.check(&source).unwrap_err();
                assert!(error.contains("no address of the public network"), "{host}: {error}");
            }
        }
        assert!(border.check(&source("git://example.org/x.git")).unwrap_err().contains("http or https"));
        for address in ["https://github.com/x/y", "http://93.184.216.34:8080/x", "https://[2606:4700::1]/x"] {
            assert_eq!(border.check(&source(address)), Ok(()), "{address}");
        }
    }

    #[tokio::test]
    async fn a_name_is_resolved_once_and_git_is_held_to_that() {
        let environment = Environment::default();
        let (border, asked) = border(&[], &["93.184.216.34 2606:4700::1", "127.0.0.1"]);
        let source = source("https://Rebind.Example.:8443/x.git");
        let route = border.route(&source, &environment).await.unwrap();
        assert_eq!(route.url, "https://rebind.example:8443/x.git");
        assert_eq!(route.held_to.as_deref(), Some("rebind.example:8443:93.184.216.34,[2606:4700::1]"));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        // The second answer is another one, and refused.
        assert!(matches!(border.route(&source, &environment).await, Err(BorderError::Forbidden(_))));
        assert!(matches!(border.route(&source, &environment).await, Err(BorderError::Unresolved(_))));
    }

    #[tokio::test]
    async fn one_address_inside_is_enough_to_refuse_a_name() {
        for answer in ["93.184.216.34 10.0.0.1", "::1 93.184.216.34", "::ffff:10.0.0.1"] {
            let resolver = move |_: &str, _: u16| Ok(answer.split(' ').map(|one| one.parse().unwrap()).collect());
            let border = Border::with_resolver([], Arc::new(resolver));
            let route = border.route(&source("https://example.org/x"), &Environment::default()).await;
            assert!(matches!(route, Err(BorderError::Forbidden(_))), "{answer}: {route:?}");
        }
    }

    #[tokio::test]
    async fn listed_hosts_are_exempt_and_a_proxy_is_the_border() {
        let (border, asked) = border(&["git.internal", "10.0.0.5:8080", "[FD00::1]"], &[]);
        let environment = Environment::default();
        for address in
            ["https://git.internal/x", "http://Git.Internal:99/x", "http://10.0.0.5:8080/x", "http://[fd00::1]/x"]
        {
            assert_eq!(border.route(&source(address), &environment).await.unwrap().held_to, None, "{address}");
        }
        for address in ["http://10.0.0.5/x", "http://10.0.0.5:80/x", "http://evil.git.internal.localhost/x"] {
            assert!(border.check(&source(address)).is_err(), "{address}");
        }
        let proxied = [("https_proxy", "http://proxy:3128")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let proxied: Environment = proxied.into_iter().collect();
        let route = border.route(&source("https://example.org/x"), &proxied).await.unwrap();
        assert_eq!((route.held_to, asked.load(Ordering::SeqCst)), (None, 0), "the proxy resolves it");
        assert!(matches!(border.route(&source("https://127.0.0.1/x"), &proxied).await, Err(BorderError::Forbidden(_))));
        for wrong in ["", "a/b", "a b", "user@host", "host:port", "host:99999", "http://host", "[::1"] {
            assert!(wrong.parse::<AllowedHost>().is_err(), "{wrong:?}");
        }
    }
}
