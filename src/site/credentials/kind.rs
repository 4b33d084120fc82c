//! Kinds of credentials.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The kind of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Password of a user of the queue.
    Queue,
    /// Password of a user of Swift.
    Swift,
    /// Token for Launchpad.
    Launchpad,
    /// Secret with which GitHub signs the deliveries of a project's hook.
    GithubHook,
    /// `USER:TOKEN` for setting a project's statuses at GitHub.
    GithubStatus,
    /// Secret that GitLab sends with the deliveries of a project's hook.
    GitlabHook,
    /// Token for setting a project's statuses at GitLab.
    GitlabStatus,
    /// Key of a user of the web service.
    ApiKey,
}

impl Kind {
    /// All kinds.
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

    /// Kinds that can be stored. Tokens for Launchpad are left over from older versions: a request carries its own.
    pub const STORABLE: [Self; 7] = [
        Self::Queue,
        Self::Swift,
        Self::GithubHook,
        Self::GithubStatus,
        Self::GitlabHook,
        Self::GitlabStatus,
        Self::ApiKey,
    ];

    /// Returns the names of the kinds that can be stored, as in `queue, swift or api-key`.
    pub fn choices() -> String {
        let (last, others) = Self::STORABLE.split_last().expect("there are kinds");
        let others: Vec<&str> = others.iter().map(|kind| kind.as_str()).collect();
        format!("{} or {last}", others.join(", "))
    }

    /// Whether the secret is sent to a server, and so bound to it. Keys of users are only compared.
    pub fn is_sent(self) -> bool {
        self != Self::ApiKey
    }

    /// Whether the forge sends the secret itself to the web service, so that it is bound to that service as well.
    /// GitHub only signs with it.
    pub fn is_delivered(self) -> bool {
        self == Self::GitlabHook
    }

    /// Returns the name of the kind.
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

/// An error for an invalid kind or name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidEntry(pub(super) String);

impl FromStr for Kind {
    type Err = InvalidEntry;

    fn from_str(text: &str) -> Result<Self, InvalidEntry> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| InvalidEntry(format!("must be {}", Self::choices())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_for_a_wrong_kind_has_those_that_can_be_stored() {
        let error = "password".parse::<Kind>().unwrap_err().to_string();
        let kinds = "queue, swift, github-hook, github-status, gitlab-hook, gitlab-status or api-key";
        assert_eq!(error, format!("must be {kinds}"));
        let left_over = Kind::ALL.into_iter().filter(|kind| !Kind::STORABLE.contains(kind)).collect::<Vec<_>>();
        assert_eq!(left_over, [Kind::Launchpad]);
        assert_eq!("launchpad".parse(), Ok(Kind::Launchpad), "one that is left over can be removed");
    }
}
