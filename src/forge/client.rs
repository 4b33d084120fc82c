//! What a forge is asked, whichever it is.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::error::ForgeError;
use super::github::GitHub;
use super::gitlab::GitLab;
use super::status::{State, Status};
use super::{Commit, Forge, Project, PullRequest};
use crate::server_url::ServerUrl;

/// A hook as the forge has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PresentHook {
    /// Its number.
    pub id: u64,
    /// Where it sends to.
    pub url: String,
    /// Whether it sends at all.
    pub active: bool,
    /// Whether it tells of what is proposed.
    pub tells_of_pulls: bool,
    /// Whether its receiver's certificate is checked.
    pub checks_certificate: bool,
}

/// How a hook's last delivery ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivered {
    /// Its number at the forge.
    pub id: u64,
    /// The event.
    pub event: String,
    /// When.
    pub at: Option<Timestamp>,
    /// The HTTP status of the answer; none when there was no answer.
    pub status: Option<u16>,
    /// The answer's body, as far as the forge has kept it.
    #[serde(skip)]
    pub answer: String,
}

impl Delivered {
    /// What the service says that is wrong, although it has taken it.
    pub fn trouble(&self) -> Option<String> {
        let answer: serde_json::Value = serde_json::from_str(&self.answer).ok()?;
        Some(answer.get("trouble")?.as_str()?.to_owned())
    }

    /// Whether it was taken.
    pub fn is_good(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// A status as the forge shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownStatus {
    /// Whose.
    pub context: String,
    /// The state.
    pub state: State,
    /// In words.
    pub description: String,
    /// Where to read more.
    pub link: Option<String>,
}

/// What a forge tells about a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFacts {
    /// Whose it is; none when the forge does not tell.
    pub login: Option<String>,
    /// What it may do; none for a token whose rights have no names.
    pub scopes: Option<Vec<String>>,
}

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

/// Of each context the newest; `all` has the newest first.
pub(super) fn newest(all: Vec<ShownStatus>) -> Vec<ShownStatus> {
    let mut newest: Vec<ShownStatus> = Vec::new();
    for status in all {
        if newest.iter().all(|known| known.context != status.context) {
            newest.push(status);
        }
    }
    newest
}
