//! What a forge is asked, whichever it is.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::error::ForgeError;
use super::github::GitHub;
use super::gitlab::GitLab;
use super::remote::{Delivered, PresentHook, ShownStatus, TokenFacts};
use super::status::Status;
use super::{Commit, Forge, Project, PullRequest};
use crate::server_url::ServerUrl;

/// A way to a forge's API, perhaps with a token.
pub enum Client {
    /// GitHub's.
    GitHub(GitHub),
    /// GitLab's.
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
    /// A way to an API. To be called within the runtime.
    ///
    /// # Errors
    /// [`ForgeError::Insecure`], [`ForgeError::NoToken`], or when the TLS library cannot be used.
    pub fn new(forge: Forge, api: &ServerUrl, token: Option<SecretString>) -> Result<Self, ForgeError> {
        if token.is_some() && !api.is_private() {
            return Err(ForgeError::Insecure(api.to_string()));
        }
        // It becomes part of a header.
        if token.as_ref().is_some_and(|token| !token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(ForgeError::NoToken);
        }
        match forge {
            Forge::GitHub => GitHub::new(api, token).map(Self::GitHub),
            Forge::GitLab => GitLab::new(api, token).map(Self::GitLab),
        }
    }

    /// The project's hooks.
    ///
    /// # Errors
    /// When the forge does not tell.
    pub async fn hooks(&self, project: &Project) -> Result<Vec<PresentHook>, ForgeError> {
        each!(self, client => client.hooks(project).await)
    }

    /// Makes a hook that tells of pushes and of what is proposed.
    ///
    /// # Errors
    /// When the forge does not make it.
    pub async fn create_hook(
        &self,
        project: &Project,
        url: &str,
        secret: &SecretString,
    ) -> Result<PresentHook, ForgeError> {
        each!(self, client => client.create_hook(project, url, secret).await)
    }

    /// Makes a hook what [`Client::create_hook`] would have made, with another secret.
    ///
    /// # Errors
    /// When the forge does not change it.
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
    /// When the forge does not remove it.
    pub async fn remove_hook(&self, project: &Project, id: u64) -> Result<(), ForgeError> {
        each!(self, client => client.remove_hook(project, id).await)
    }

    /// Has a hook send something harmless.
    ///
    /// # Errors
    /// When the forge does not send it.
    pub async fn ping(&self, project: &Project, id: u64) -> Result<(), ForgeError> {
        each!(self, client => client.ping(project, id).await)
    }

    /// A hook's last delivery, with its answer. None yet, or the forge keeps none.
    ///
    /// # Errors
    /// When the forge does not tell.
    pub async fn last_delivery(&self, project: &Project, id: u64) -> Result<Option<Delivered>, ForgeError> {
        each!(self, client => client.last_delivery(project, id).await)
    }

    /// A pull request.
    ///
    /// # Errors
    /// When the forge does not tell.
    pub async fn pull(&self, project: &Project, number: u64) -> Result<PullRequest, ForgeError> {
        each!(self, client => client.pull(project, number).await)
    }

    /// The pull requests that changed since then, whatever their state, last changed first.
    ///
    /// # Errors
    /// When the forge does not tell.
    pub async fn pulls_since(&self, project: &Project, since: Timestamp) -> Result<Vec<PullRequest>, ForgeError> {
        each!(self, client => client.pulls_since(project, since).await)
    }

    /// The statuses of a commit: of each context the newest.
    ///
    /// # Errors
    /// When the forge does not tell.
    pub async fn statuses(&self, project: &Project, commit: &Commit) -> Result<Vec<ShownStatus>, ForgeError> {
        each!(self, client => client.statuses(project, commit).await)
    }

    /// Shows a status beside a commit of a pull request.
    ///
    /// # Errors
    /// When the forge does not take it.
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

    /// Whose the token is, and what it may do.
    ///
    /// # Errors
    /// [`ForgeError::NotAllowed`] when it is no token of this forge.
    pub async fn token(&self) -> Result<TokenFacts, ForgeError> {
        each!(self, client => client.token().await)
    }
}
