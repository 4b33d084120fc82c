//! The requests to a forge's API, the same for every forge.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::error::ForgeError;
use super::github::GitHub;
use super::gitlab::GitLab;
use super::remote::{RemoteDelivery, RemoteHook, RemoteStatus, TokenFacts};
use super::status::Status;
use super::{Commit, Forge, Project, PullRequest};
use crate::server_url::ServerUrl;

/// A client of a forge's API, with or without a token.
pub enum Client {
    /// A client of GitHub.
    GitHub(GitHub),
    /// A client of GitLab.
    GitLab(GitLab),
}

macro_rules! each {
    ($self:ident, $client:ident => $call:expr) => {
        match $self {
            Self::GitHub($client) => $call,
            Self::GitLab($client) => $call,
        }
    };
}

impl Client {
    /// Creates a client. Must be called within the runtime.
    ///
    /// # Errors
    /// [`ForgeError::Insecure`], [`ForgeError::MalformedToken`], or when the TLS library cannot be used.
    pub fn new(forge: Forge, api: &ServerUrl, token: Option<SecretString>) -> Result<Self, ForgeError> {
        if token.is_some() && !api.is_private() {
            return Err(ForgeError::Insecure(api.to_string()));
        }
        // The token becomes part of a header.
        if token.as_ref().is_some_and(|token| !token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(ForgeError::MalformedToken);
        }
        match forge {
            Forge::GitHub => GitHub::new(api, token).map(Self::GitHub),
            Forge::GitLab => GitLab::new(api, token).map(Self::GitLab),
        }
    }

    /// Returns the project's hooks.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn hooks(&self, project: &Project) -> Result<Vec<RemoteHook>, ForgeError> {
        each!(self, client => client.hooks(project).await)
    }

    /// Creates a hook that sends pushes and changes of pull requests.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn create_hook(
        &self,
        project: &Project,
        url: &str,
        secret: &SecretString,
    ) -> Result<RemoteHook, ForgeError> {
        each!(self, client => client.create_hook(project, url, secret).await)
    }

    /// Gives a hook the settings of [`Client::create_hook`], with another secret.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn change_hook(
        &self,
        project: &Project,
        id: u64,
        url: &str,
        secret: &SecretString,
    ) -> Result<(), ForgeError> {
        each!(self, client => client.change_hook(project, id, url, secret).await)
    }

    /// Removes a hook.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn remove_hook(&self, project: &Project, id: u64) -> Result<(), ForgeError> {
        each!(self, client => client.remove_hook(project, id).await)
    }

    /// Makes the forge send a harmless event to a hook's address.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn ping(&self, project: &Project, id: u64) -> Result<(), ForgeError> {
        each!(self, client => client.ping(project, id).await)
    }

    /// Returns the last delivery of a hook, with its answer. None before the first one, and when the forge keeps none.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn last_delivery(&self, project: &Project, id: u64) -> Result<Option<RemoteDelivery>, ForgeError> {
        each!(self, client => client.last_delivery(project, id).await)
    }

    /// Returns a pull request.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn pull(&self, project: &Project, number: u64) -> Result<PullRequest, ForgeError> {
        each!(self, client => client.pull(project, number).await)
    }

    /// Returns the pull requests, open or not, that have changed since a time; the last changed first.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn pulls_since(&self, project: &Project, since: Timestamp) -> Result<Vec<PullRequest>, ForgeError> {
        each!(self, client => client.pulls_since(project, since).await)
    }

    /// Returns the newest status of each context of a commit.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn statuses(&self, project: &Project, commit: &Commit) -> Result<Vec<RemoteStatus>, ForgeError> {
        each!(self, client => client.statuses(project, commit).await)
    }

    /// Sets a status of a pull request's commit.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn set_status(
        &self,
        project: &Project,
        number: u64,
        commit: &Commit,
        status: &Status,
    ) -> Result<(), ForgeError> {
        match self {
            Self::GitHub(client) => client.set_status(project, commit, status).await,
            Self::GitLab(client) => client.set_status(project, number, commit, status).await,
        }
    }

    /// Returns the owner and the scopes of the token.
    ///
    /// # Errors
    /// [`ForgeError::NotAllowed`] when the forge does not know the token.
    pub async fn token(&self) -> Result<TokenFacts, ForgeError> {
        each!(self, client => client.token().await)
    }
}
