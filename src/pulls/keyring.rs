//! The secrets of hooks and the tokens for statuses, as they are now: a file that changes is opened again, one that does not is not.

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
use crate::site::credentials::{Credentials, CredentialsError, Kind, Name, Opened, Stamp};

/// The credentials of a site that the web service and its commands use.
pub struct Keyring {
    credentials: Credentials,
    opened: Mutex<HashMap<(Kind, String), Found>>,
}

/// What was found, and in which state of its file.
type Found = (Option<Stamp>, Option<Opened>);

impl Keyring {
    /// The credentials of a site.
    pub fn new(credentials: Credentials) -> Self {
        Self { credentials, opened: Mutex::default() }
    }

    /// The site's credentials.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The secrets of a hook: those of its project, or else those under its package's name, as they came from `github-secrets.json`.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub fn secrets(&self, hook: &Hook) -> Result<Secrets, CredentialsError> {
        let (kind, server) = (hook_kind(hook.forge), hook.api.server());
        let get = |name: &str| self.get(kind, name)?.map(|opened| opened.for_server(&server).cloned()).transpose();
        let current = match get(hook.project.as_str())? {
            Some(secret) => Some(secret),
            None => get(hook.package.as_str())?,
        };
        Ok(Secrets { current, next: get(&next_name(&hook.project))? })
    }

    /// The token that statuses are set with at this server; see [`Keyring::secrets`] for its name.
    ///
    /// # Errors
    /// When it cannot be opened, or is for another server.
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

    /// The state of all tokens: another one when one of them has changed.
    pub fn tokens(&self) -> [Vec<Stamp>; 2] {
        [Forge::GitHub, Forge::GitLab].map(|forge| self.credentials.stamps(status_kind(forge)))
    }

    /// The user whose key this is.
    ///
    /// # Errors
    /// When the credentials cannot be read.
    pub fn user_of_key(&self, key: &str) -> Result<Option<Name>, CredentialsError> {
        let digest = key_digest(key);
        let mut found = None;
        for entry in self.credentials.of_kind(Kind::ApiKey)? {
            // One that cannot be opened is nobody's.
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
            // All are compared, whichever it is.
            if stored.is_some_and(|stored| is_same(stored.expose_secret(), &digest)) {
                found = Some(name);
            }
        }
        Ok(found)
    }

    fn get(&self, kind: Kind, name: &str) -> Result<Option<Opened>, CredentialsError> {
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

/// The kind of a hook's secret.
pub fn hook_kind(forge: Forge) -> Kind {
    match forge {
        Forge::GitHub => Kind::GithubHook,
        Forge::GitLab => Kind::GitlabHook,
    }
}

/// The kind of a token for statuses.
pub fn status_kind(forge: Forge) -> Kind {
    match forge {
        Forge::GitHub => Kind::GithubStatus,
        Forge::GitLab => Kind::GitlabStatus,
    }
}

/// The name of the secret that takes the place of a project's; no project's name has a `+`.
pub fn next_name(project: &Project) -> String {
    format!("{project}+next")
}

/// The token in a credential: GitHub's is `USER:TOKEN`, as in `github-status-credentials.txt`.
pub fn token_of(forge: Forge, secret: &SecretString) -> SecretString {
    let text = secret.expose_secret();
    match (forge, text.split_once(':')) {
        (Forge::GitHub, Some((_, token))) => token.to_owned().into(),
        _ => secret.clone(),
    }
}

/// What is stored of a key of the web service: nobody can use it who reads it. Keys are random and long, so that a plain digest cannot be
/// guessed backwards.
pub fn key_digest(key: &str) -> String {
    let digest: String = Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digest}")
}
