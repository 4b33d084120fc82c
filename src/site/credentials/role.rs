//! Roles: operators open all secrets; the web service and each worker host open those that they need.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::kind::Kind;

/// The role of a key's owner. Its text is `operator`, `web`, `worker` or `worker:HOST`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Role {
    /// Manages the secrets and opens all of them.
    Operator,
    /// Runs the web service.
    Web,
    /// Runs tests on every worker host, or only on this one. Such hosts run foreign code.
    Worker(Option<String>),
}

/// An error for an invalid role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a role must be operator, web, worker or worker:HOST")]
pub struct InvalidRole;

impl Role {
    /// Whether a key with this role opens a secret that these roles need.
    fn opens(&self, readers: &BTreeSet<Self>) -> bool {
        let is_any_worker = matches!(self, Self::Worker(Some(_))) && readers.contains(&Self::Worker(None));
        *self == Self::Operator || is_any_worker || readers.contains(self)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.pad("operator"),
            Self::Web => f.pad("web"),
            Self::Worker(None) => f.pad("worker"),
            Self::Worker(Some(host)) => f.pad(&format!("worker:{host}")),
        }
    }
}

impl FromStr for Role {
    type Err = InvalidRole;

    fn from_str(text: &str) -> Result<Self, InvalidRole> {
        let is_host = |host: &str| {
            !host.is_empty()
                && host.len() <= 100
                && host.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        };
        match (text, text.split_once(':')) {
            ("operator", _) => Ok(Self::Operator),
            ("web", _) => Ok(Self::Web),
            ("worker", _) => Ok(Self::Worker(None)),
            (_, Some(("worker", host))) if is_host(host) => Ok(Self::Worker(Some(host.to_owned()))),
            _ => Err(InvalidRole),
        }
    }
}

impl TryFrom<String> for Role {
    type Error = InvalidRole;

    fn try_from(text: String) -> Result<Self, InvalidRole> {
        text.parse()
    }
}

impl From<Role> for String {
    fn from(role: Role) -> Self {
        role.to_string()
    }
}

/// Whether a key with these roles opens a secret. Keys of older versions have no roles and open every secret.
pub(super) fn opens(roles: Option<&BTreeSet<Role>>, readers: &BTreeSet<Role>) -> bool {
    roles.is_none_or(|roles| roles.iter().any(|role| role.opens(readers)))
}

/// Whether a key with these roles opens every secret.
pub(super) fn opens_all(roles: Option<&BTreeSet<Role>>) -> bool {
    roles.is_none_or(|roles| roles.contains(&Role::Operator))
}

/// Returns the default roles for a kind. For logins these are unknown, so they are only for operators.
pub(super) fn of_kind(kind: Kind) -> BTreeSet<Role> {
    match kind {
        Kind::Queue | Kind::Swift | Kind::Launchpad => [Role::Operator].into(),
        Kind::GithubHook | Kind::GithubStatus | Kind::GitlabHook | Kind::GitlabStatus | Kind::ApiKey => {
            [Role::Web].into()
        }
    }
}

/// Returns roles in the form of a recipient's line: `web,worker:host1`.
pub(super) fn joined(roles: &BTreeSet<Role>) -> String {
    roles.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(text: &str) -> BTreeSet<Role> {
        text.split(',').map(|role| role.parse().unwrap()).collect()
    }

    #[test]
    fn a_role_opens_what_it_needs() {
        for (key, readers, is_open) in [
            ("operator", "web", true),
            ("web", "web", true),
            ("web", "worker:a", false),
            ("worker:a", "worker:a", true),
            ("worker:a", "worker:b", false),
            ("worker:a", "web,worker", true),
            ("worker", "worker:a", false),
            ("web,worker:a", "worker:a", true),
            ("worker:a", "operator", false),
        ] {
            assert_eq!(opens(Some(&roles(key)), &roles(readers)), is_open, "{key} opens what {readers} needs");
        }
        assert!(opens(None, &roles("operator")) && opens_all(None) && !opens_all(Some(&roles("web,worker"))));
    }

    #[test]
    fn a_role_is_written_as_it_is_read() {
        for text in ["operator", "web", "worker", "worker:host-1.example"] {
            assert_eq!(text.parse::<Role>().unwrap().to_string(), text);
        }
        for bad in ["", "admin", "worker:", "worker:a b", "worker:a,b", "Web"] {
            bad.parse::<Role>().unwrap_err();
        }
    }
}
