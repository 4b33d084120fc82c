//! Addresses of Launchpad's servers.

use crate::server_url::ServerUrl;

/// The servers of Launchpad.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchpadSettings {
    /// The API, with the version.
    pub api: ServerUrl,
    /// The key server with the keys of private archives.
    pub keyserver: ServerUrl,
    /// Server of public archives.
    pub archive: ServerUrl,
    /// Server of private archives.
    pub private_archive: ServerUrl,
    /// Whether tokens of private archives may be sent without TLS to another machine.
    pub allows_plain_text: bool,
}

impl Default for LaunchpadSettings {
    fn default() -> Self {
        let known = |url: &str| url.parse().expect("a URL that is built in");
        Self {
            api: known("https://api.launchpad.net/devel"),
            keyserver: known("https://keyserver.ubuntu.com"),
            archive: known("https://ppa.launchpadcontent.net"),
            private_archive: known("https://private-ppa.launchpadcontent.net"),
            allows_plain_text: false,
        }
    }
}
