//! Kinds of credentials.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a credential is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The password of a user of the queue.
    Queue,
    /// The password of a user of Swift.
    Swift,
    /// A token for Launchpad.
    Launchpad,
    /// The secret with which GitHub signs what a project's hook sends.
    GithubHook,
    /// `USER:TOKEN`, with which a project's statuses are set at GitHub.
    GithubStatus,
    /// The secret that GitLab sends with what a project's hook sends.
    GitlabHook,
    /// The token with which a project's statuses are set at GitLab.
    GitlabStatus,
    /// The key of a user of the web service.
    ApiKey,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Queue,
        Self::Swift,
        Self::Launchpad,
        Self::GithubHook,
        Self::GithubStatus,
        Self::GitlabHook,
        Self::GitlabStatus,
        Self::ApiKey,
    ];

    /// Whether it is sent to a server, and so bound to one. The key of a user of the web service is only compared.
    pub fn is_sent(self) -> bool {
        self != Self::ApiKey
    }

    /// Whether a forge sends the secret itself to the web service that a hook names, so that it is bound to that service as well.
    /// GitHub only signs with it.
    pub fn is_delivered(self) -> bool {
        self == Self::GitlabHook
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Swift => "swift",
            Self::Launchpad => "launchpad",
            Self::GithubHook => "github-hook",
            Self::GithubStatus => "github-status",
            Self::GitlabHook => "gitlab-hook",
            Self::GitlabStatus => "gitlab-status",
            Self::ApiKey => "api-key",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that is no kind or no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidEntry(pub(super) String);

impl FromStr for Kind {
    type Err = InvalidEntry;

    fn from_str(text: &str) -> Result<Self, InvalidEntry> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| InvalidEntry(format!("expected one of: {}", Self::ALL.map(Self::as_str).join(", "))))
    }
}
