//! Secrets of hooks and tokens for statuses, from a cache: a file is decrypted again only when it has changed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tracing::warn;

use crate::forge::hook::Hook;
use crate::forge::signature::{Secrets, is_same};
use crate::forge::{Forge, Project};
use crate::request::SourcePackage;
use crate::server_url::ServerUrl;
use crate::site::credentials::{Credentials, CredentialsError, Kind, Name, OpenedCredential, Stamp};

/// The credentials of a site that the web service and its commands use.
pub struct Keyring {
    credentials: Credentials,
    opened: Mutex<HashMap<(Kind, String), CachedCredential>>,
}

/// An opened credential, and the state of its file.
type CachedCredential = (Option<Stamp>, Option<OpenedCredential>);

impl Keyring {
    /// Creates a keyring of a site's credentials.
    pub fn new(credentials: Credentials) -> Self {
        Self { credentials, opened: Mutex::default() }
    }

    /// Returns the site's credentials.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Returns the secrets of a hook, under the name of its project, or else of its package, as in
    /// `github-secrets.json`.
    ///
    /// # Errors
    /// When a secret cannot be opened.
    pub fn secrets(&self, hook: &Hook) -> Result<Secrets, CredentialsError> {
        let (kind, server) = (hook_kind(hook.forge), hook.api.server());
        let get = |name: &str| self.get(kind, name)?.map(|opened| opened.for_server(&server).cloned()).transpose();
        let current = match get(hook.project.as_str())? {
            Some(secret) => Some(secret),
            None => get(hook.package.as_str())?,
        };
        Ok(Secrets { current, next: get(&next_name(&hook.project))? })
    }

    /// Returns the token for setting statuses at this server. For its name, see [`Keyring::secrets`].
    ///
    /// # Errors
    /// When the token cannot be opened, or is for another server.
    pub fn token(
        &self,
        forge: Forge,
        api: &ServerUrl,
        project: &Project,
        package: &SourcePackage,
    ) -> Result<Option<SecretString>, CredentialsError> {
        let kind = status_kind(forge);
        let found = match self.get(kind, project.as_str())? {
            Some(opened) => Some(opened),
            None => self.get(kind, package.as_str())?,
        };
        found.map(|opened| Ok(token_of(forge, opened.for_server(&api.server())?))).transpose()
    }

    /// Returns stamps of all tokens, which differ when a token has changed.
    pub fn tokens(&self) -> [Vec<Stamp>; 2] {
        [Forge::GitHub, Forge::GitLab].map(|forge| self.credentials.stamps(status_kind(forge)))
    }

    /// Returns the user who has this key.
    ///
    /// # Errors
    /// When the credentials cannot be read.
    pub fn user_of_key(&self, key: &str) -> Result<Option<Name>, CredentialsError> {
        let digest = key_digest(key);
        let mut found = None;
        for entry in self.credentials.of_kind(Kind::ApiKey)? {
            // A key that cannot be opened belongs to no user.
            let opened = entry.and_then(|entry| {
                let opened = self.get(Kind::ApiKey, entry.name.as_str())?;
                Ok((opened.map(|opened| opened.for_comparison().cloned()).transpose()?, entry.name))
            });
            let (stored, name) = match opened {
                Ok(opened) => opened,
                Err(failure) => {
                    warn!("skipped the key of a user: {failure}");
                    continue;
                }
            };
            // All keys are compared, so that the time does not depend on the user.
            if stored.is_some_and(|stored| is_same(stored.expose_secret(), &digest)) {
                found = Some(name);
            }
        }
        Ok(found)
    }

    fn get(&self, kind: Kind, name: &str) -> Result<Option<OpenedCredential>, CredentialsError> {
        let Ok(name) = name.parse::<Name>() else { return Ok(None) };
        let stamp = self.credentials.stamp(kind, &name);
        let key = (kind, name.as_str().to_owned());
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, found)) = opened.get(&key)
            && *known == stamp
        {
            return Ok(found.clone());
        }
        let found = self.credentials.get(kind, &name)?;
        opened.insert(key, (stamp, found.clone()));
        Ok(found)
    }
}

/// Returns the kind of a hook's secret.
pub fn hook_kind(forge: Forge) -> Kind {
    match forge {
        Forge::GitHub => Kind::GithubHook,
        Forge::GitLab => Kind::GitlabHook,
    }
}

/// Returns the kind of a token for statuses.
pub fn status_kind(forge: Forge) -> Kind {
    match forge {
        Forge::GitHub => Kind::GithubStatus,
        Forge::GitLab => Kind::GitlabStatus,
    }
}

/// Returns the name of the secret that will replace the one of a project. No project's name contains `+`.
pub fn next_name(project: &Project) -> String {
    format!("{project}+next")
}

/// Returns the token in a credential. GitHub's is `USER:TOKEN`, as in `github-status-credentials.txt`.
pub fn token_of(forge: Forge, secret: &SecretString) -> SecretString {
    let text = secret.expose_secret();
    match (forge, text.split_once(':')) {
        (Forge::GitHub, Some((_, token))) => token.to_owned().into(),
        _ => secret.clone(),
    }
}

/// Returns what is stored of a user's key: a digest, which cannot be used as a key. Keys are long and random, so that a
/// digest without salt cannot be reversed by guessing.
pub fn key_digest(key: &str) -> String {
    let digest: String = Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digest}")
}
