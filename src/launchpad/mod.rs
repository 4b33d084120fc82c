//! Launchpad: the personal package archives (PPAs) that tests take packages from, and their signing keys.
//!
//! Keys are public, even those of private archives: everyone who knows the fingerprint can fetch the key from the key
//! server. Only the check whether a private archive has packages for a release uses the request's token.

mod armor;
mod error;
mod fetch;
mod key;
mod publications;
mod settings;

use reqwest::{Client, StatusCode};
use serde::Deserialize;
use tracing::warn;
use url::Url;

pub use self::error::{LaunchpadError, MalformedKey};
use self::fetch::FetchError;
pub use self::key::SigningKey;
pub use self::publications::Publication;
pub use self::settings::LaunchpadSettings;
use crate::release::Release;
use crate::request::{Fingerprint, Ppa};
use crate::server_url::ServerUrl;

/// A client of Launchpad.
#[derive(Debug, Clone)]
pub struct Launchpad {
    settings: LaunchpadSettings,
    client: Client,
}

/// The needed part of the API's information about an archive.
#[derive(Deserialize)]
struct Archive {
    signing_key_fingerprint: Option<String>,
}

/// One query, with the context for its errors.
struct ApiQuery<'a> {
    client: &'a Client,
    ppa: String,
    address: &'a ServerUrl,
}

impl Launchpad {
    /// Creates a client of these servers. Connects on first use.
    ///
    /// # Errors
    /// [`LaunchpadError::Client`] when this machine's certificates or proxy settings cannot be used.
    pub fn new(settings: LaunchpadSettings) -> Result<Self, LaunchpadError> {
        let client = fetch::client().map_err(|error| LaunchpadError::Client(error.without_url().to_string()))?;
        Ok(Self { settings, client })
    }

    /// Returns the address of an archive for apt's `sources.list`, without credentials.
    pub fn archive_url(&self, owner: &str, name: &str, private: bool) -> String {
        let server = if private { &self.settings.private_archive } else { &self.settings.archive };
        server.below(&[owner, name, "ubuntu"]).to_string()
    }

    /// Checks that the archive has packages for the release, and accepts the request's token.
    ///
    /// # Errors
    /// [`LaunchpadError::is_transient`] distinguishes a server's failure from a request that cannot be met.
    /// [`LaunchpadError::PlainText`] when the token would be sent over plain HTTP to another machine.
    pub async fn must_have(&self, ppa: &Ppa, release: &Release) -> Result<(), LaunchpadError> {
        let login = ppa.login();
        let address = if login.is_some() { &self.settings.private_archive } else { &self.settings.archive };
        let question = ApiQuery { client: &self.client, ppa: ppa.to_string(), address };
        if login.is_some() && !address.is_private() && !self.settings.allows_plain_text {
            return Err(LaunchpadError::PlainText { ppa: question.ppa, address: address.to_string() });
        }
        // The same files in the same order as apt.
        for file in ["InRelease", "Release"] {
            let url = address.below(&[ppa.owner(), ppa.name(), "ubuntu", "dists", release.as_str(), file]);
            match fetch::look(&self.client, &url, login).await {
                Ok(()) => return Ok(()),
                Err(FetchError::Answer(StatusCode::NOT_FOUND | StatusCode::GONE)) => {}
                Err(FetchError::Answer(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)) => {
                    let (ppa, address) = (question.ppa, address.to_string());
                    return Err(LaunchpadError::NoAccess { ppa, address, with_token: login.is_some() });
                }
                Err(fault) => return Err(question.error(fault)),
            }
        }
        Err(LaunchpadError::NothingForRelease { ppa: question.ppa, release: release.clone() })
    }

    /// Returns the signing key of the archive.
    ///
    /// With an expected fingerprint, only that decides: the key must have it, and Launchpad must not name another one.
    /// Without one, Launchpad's answer is trusted, which it gives for public archives only.
    ///
    /// # Errors
    /// [`LaunchpadError::is_transient`] distinguishes a server's failure from a request that cannot be met.
    pub async fn signing_key(
        &self,
        owner: &str,
        name: &str,
        expected: Option<&Fingerprint>,
    ) -> Result<SigningKey, LaunchpadError> {
        let ppa = format!("{owner}/{name}");
        let api = ApiQuery { client: &self.client, ppa: ppa.clone(), address: &self.settings.api };
        let keyserver = ApiQuery { client: &self.client, ppa, address: &self.settings.keyserver };
        let archive = self.settings.api.below(&[&format!("~{owner}"), "+archive", "ubuntu", name]);
        let told = match (api.fingerprint(&archive).await, expected) {
            (Ok(told), _) => told,
            // Launchpad hides private archives. With the fingerprint, its answer is not necessary.
            (Err(LaunchpadError::NoSuchPpa { .. }), Some(expected)) => return keyserver.key_by(expected).await,
            (Err(error), Some(expected)) if error.is_transient() => {
                warn!(%error, "the fingerprint that was asked for decides alone");
                return keyserver.key_by(expected).await;
            }
            (Err(error), _) => return Err(error),
        };
        if let Some(expected) = expected {
            api.must_be(expected, &told)?;
        }
        match api.key_of(&archive).await {
            Ok(key) => {
                api.must_be(&told, key.fingerprint())?;
                Ok(key)
            }
            // API versions before `devel` do not have that operation; the key server has the same key.
            Err(LaunchpadError::Refused { .. } | LaunchpadError::NoSuchPpa { .. }) => keyserver.key_by(&told).await,
            Err(error) => Err(error),
        }
    }
}

impl ApiQuery<'_> {
    /// Returns Launchpad's fingerprint for an archive.
    async fn fingerprint(&self, archive: &Url) -> Result<Fingerprint, LaunchpadError> {
        let text = self.get(archive, "application/json").await?;
        let told: Archive = serde_json::from_str(&text).map_err(|_| self.refused("its answer describes no archive"))?;
        let digits = told.signing_key_fingerprint.filter(|digits| !digits.is_empty());
        let digits = digits.ok_or_else(|| LaunchpadError::NoKey { ppa: self.ppa.clone() })?;
        digits.parse().map_err(|_| self.refused("the fingerprint in its answer is none"))
    }

    /// Returns Launchpad's key for an archive.
    async fn key_of(&self, archive: &Url) -> Result<SigningKey, LaunchpadError> {
        let mut url = archive.clone();
        url.query_pairs_mut().append_pair("ws.op", "getSigningKeyData");
        let text = self.get(&url, "application/json").await?;
        let armored: Option<String> = serde_json::from_str(&text)
            .map_err(|_| self.malformed(MalformedKey("its answer is not a text in JSON")))?;
        let armored = armored.ok_or_else(|| LaunchpadError::NoKey { ppa: self.ppa.clone() })?;
        SigningKey::from_armored(&armored).map_err(|fault| self.malformed(fault))
    }

    /// Returns the key server's key with this fingerprint.
    async fn key_by(&self, fingerprint: &Fingerprint) -> Result<SigningKey, LaunchpadError> {
        let mut url = self.address.below(&["pks", "lookup"]);
        url.query_pairs_mut()
            .append_pair("op", "get")
            .append_pair("options", "mr")
            .append_pair("search", &format!("0x{fingerprint}"));
        let text = self.get(&url, "*/*").await.map_err(|error| match error {
            LaunchpadError::NoSuchPpa { ppa, address } => {
                LaunchpadError::NoSuchKey { ppa, address, fingerprint: fingerprint.clone() }
            }
            other => other,
        })?;
        let key = SigningKey::from_armored(&text).map_err(|fault| self.malformed(fault))?;
        self.must_be(fingerprint, key.fingerprint())?;
        Ok(key)
    }

    async fn get(&self, url: &Url, accept: &'static str) -> Result<String, LaunchpadError> {
        fetch::get(self.client, url, accept).await.map_err(|fault| match fault {
            FetchError::Answer(
                StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN,
            ) => LaunchpadError::NoSuchPpa { ppa: self.ppa.clone(), address: self.address.to_string() },
            other => self.error(other),
        })
    }

    fn error(&self, fault: FetchError) -> LaunchpadError {
        match fault {
            FetchError::Transient { reason, .. } => {
                LaunchpadError::Unreachable { ppa: self.ppa.clone(), address: self.address.to_string(), reason }
            }
            FetchError::Answer(status) => self.refused(&format!("it answered {status}")),
            FetchError::Unusable(reason) => self.refused(&reason),
        }
    }

    fn must_be(&self, expected: &Fingerprint, found: &Fingerprint) -> Result<(), LaunchpadError> {
        if expected == found {
            return Ok(());
        }
        Err(LaunchpadError::WrongFingerprint {
            ppa: self.ppa.clone(),
            address: self.address.to_string(),
            expected: expected.clone(),
            found: found.clone(),
        })
    }

    fn malformed(&self, source: MalformedKey) -> LaunchpadError {
        LaunchpadError::MalformedKey { ppa: self.ppa.clone(), address: self.address.to_string(), source }
    }

    fn refused(&self, reason: &str) -> LaunchpadError {
        let reason = reason.to_owned();
        LaunchpadError::Refused { ppa: self.ppa.clone(), address: self.address.to_string(), reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_at_launchpad_unless_the_site_says_otherwise() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let launchpad = Launchpad::new(LaunchpadSettings::default()).unwrap();
        let url = |private| launchpad.archive_url("owner", "name", private);
        assert_eq!(url(false), "https://ppa.launchpadcontent.net/owner/name/ubuntu");
        assert_eq!(url(true), "https://private-ppa.launchpadcontent.net/owner/name/ubuntu");
        let archive = "http://127.0.0.1:8000/x/".parse().unwrap();
        let local = Launchpad::new(LaunchpadSettings { archive, ..LaunchpadSettings::default() }).unwrap();
        assert_eq!(local.archive_url("owner", "name", false), "http://127.0.0.1:8000/x/owner/name/ubuntu");
    }
}
