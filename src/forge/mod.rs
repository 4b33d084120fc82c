//! Forges, where projects keep their code and discuss changes: GitHub and GitLab.
//!
//! A project's hook sends a delivery ([`delivery`]), which is signed ([`signature`]) and reports an [`event`]. The
//! [`hook`] that the site declares says which tests the event requests. [`client`] sends requests to the forge's API:
//! about hooks, pull requests and the [`status`] of commits. [`remote`] has the types that it returns.

mod api;
pub mod client;
pub mod delivery;
pub mod error;
pub mod event;
mod github;
mod gitlab;
pub mod hook;
pub mod query;
pub mod remote;
pub mod signature;
pub mod status;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::server_url::ServerUrl;

/// A kind of forge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Forge {
    /// github.com or GitHub Enterprise.
    GitHub,
    /// gitlab.com or another GitLab server.
    GitLab,
}

impl Forge {
    /// Returns the forge's name in configuration files and commands.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
        }
    }

    /// Returns the forge's name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::GitHub => "GitHub",
            Self::GitLab => "GitLab",
        }
    }

    /// Returns the forge's term for a proposed change.
    pub fn change(self) -> &'static str {
        match self {
            Self::GitHub => "pull request",
            Self::GitLab => "merge request",
        }
    }

    /// Returns the API of the forge's public server.
    pub fn api(self) -> ServerUrl {
        let url = match self {
            Self::GitHub => "https://api.github.com",
            Self::GitLab => "https://gitlab.com/api/v4",
        };
        url.parse().expect("a URL that is built in")
    }

    /// Returns the host of an API's projects, for browsers and git, and the port if the API names one.
    pub(crate) fn host(self, api: &ServerUrl) -> String {
        let Ok(url) = Url::parse(&api.to_string()) else { return String::new() };
        let host = hook::host(&url);
        match self {
            Self::GitHub => host.strip_prefix("api.").unwrap_or(&host).to_owned(),
            Self::GitLab => host,
        }
    }

    /// Returns the reference of a pull request's newest commit in the target project.
    pub(crate) fn reference(self, number: u64) -> String {
        match self {
            Self::GitHub => format!("refs/pull/{number}/head"),
            Self::GitLab => format!("refs/merge-requests/{number}/head"),
        }
    }

    /// Returns the environment variable with the address of the commit's statuses.
    pub(crate) fn statuses_variable(self) -> &'static str {
        match self {
            Self::GitHub => "GITHUB_STATUSES_URL",
            Self::GitLab => "GITLAB_STATUSES_URL",
        }
    }
}

impl fmt::Display for Forge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Forge {
    type Err = InvalidForgeName;

    fn from_str(text: &str) -> Result<Self, InvalidForgeName> {
        match text {
            "github" => Ok(Self::GitHub),
            "gitlab" => Ok(Self::GitLab),
            _ => Err(InvalidForgeName("forge", "the forges are github and gitlab")),
        }
    }
}

/// An error for an invalid name: what it should be, and its rule. It does not contain the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a {0}: {1}")]
pub struct InvalidForgeName(&'static str, &'static str);

/// A project: `OWNER/REPO` at GitHub, `GROUP/PROJECT` or `GROUP/SUBGROUP/PROJECT` at GitLab.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Project(String);

impl Project {
    /// Returns the project's name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a text names the same project. Forges ignore case.
    pub fn is(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }

    /// Returns the project's name without its owner.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for Project {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Project {
    type Err = InvalidForgeName;

    fn from_str(text: &str) -> Result<Self, InvalidForgeName> {
        let is_part = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.')
                && part != "."
                && part != ".."
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        };
        let parts = text.split('/').count();
        if text.len() <= 100 && (2..=20).contains(&parts) && text.split('/').all(is_part) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidForgeName("project", "it must be OWNER/REPO, of letters, digits and the characters . _ -"))
        }
    }
}

impl TryFrom<String> for Project {
    type Error = InvalidForgeName;

    fn try_from(text: String) -> Result<Self, InvalidForgeName> {
        text.parse()
    }
}

impl From<Project> for String {
    fn from(project: Project) -> Self {
        project.0
    }
}

/// The id of a git commit: 40 or 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Commit(String);

impl Commit {
    /// Returns the id as text, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the first ten digits, as people write it.
    pub fn short(&self) -> &str {
        self.0.get(..10).unwrap_or(&self.0)
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Commit {
    type Err = InvalidForgeName;

    fn from_str(text: &str) -> Result<Self, InvalidForgeName> {
        if matches!(text.len(), 40 | 64) && text.chars().all(|c| c.is_ascii_hexdigit()) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(InvalidForgeName("commit", "it must have 40 or 64 hexadecimal digits"))
        }
    }
}

impl TryFrom<String> for Commit {
    type Error = InvalidForgeName;

    fn try_from(text: String) -> Result<Self, InvalidForgeName> {
        text.parse()
    }
}

impl From<Commit> for String {
    fn from(commit: Commit) -> Self {
        commit.0
    }
}

/// The present state of a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PullRequest {
    /// Its number in the project.
    pub number: u64,
    /// Its newest commit.
    pub commit: Commit,
    /// Whether it is open.
    pub is_open: bool,
    /// Time of its last change, if the forge names it. Deliveries may arrive in another order than the changes.
    pub updated: Option<Timestamp>,
    /// The address from which git fetches the target project.
    #[serde(skip)]
    pub clone_url: String,
}

/// The name of a pull request: its web or API address, `OWNER/REPO#NUMBER` or `GROUP/PROJECT!NUMBER`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullName {
    /// The host in the address, and the port if it is named.
    pub server: Option<String>,
    /// The project.
    pub project: Project,
    /// The number.
    pub number: u64,
}

impl FromStr for PullName {
    type Err = InvalidForgeName;

    fn from_str(text: &str) -> Result<Self, InvalidForgeName> {
        const RULE: &str = "it must be https://HOST/OWNER/REPO/pull/NUMBER, \
                            https://HOST/GROUP/PROJECT/-/merge_requests/NUMBER, or OWNER/REPO#NUMBER";
        let wrong = || InvalidForgeName("pull request", RULE);
        let short = text.split_once(['#', '!']).filter(|_| !text.contains("://"));
        let (server, project, number) = match short {
            Some((project, number)) => (None, project.to_owned(), number.to_owned()),
            None => {
                let url = Url::parse(text).map_err(|_| wrong())?;
                let parts: Vec<&str> = url.path().trim_matches('/').split('/').collect();
                let parts = match parts.iter().position(|part| *part == "repos") {
                    Some(at) => parts.get(at + 1..).unwrap_or_default(),
                    None => parts.as_slice(),
                };
                let at = parts.iter().position(|part| matches!(*part, "pull" | "pulls" | "merge_requests"));
                let at = at.ok_or_else(wrong)?;
                let project: Vec<&str> = parts.iter().take(at).copied().filter(|part| *part != "-").collect();
                (Some(hook::host(&url)), project.join("/"), (*parts.get(at + 1).ok_or_else(wrong)?).to_owned())
            }
        };
        let number = number.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)?;
        Ok(Self { server, project: project.parse().map_err(|_| wrong())?, number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_project_is_refused() {
        for text in ["systemd/systemd", "a/b.c-d", "group/sub/project", "_x/.github"] {
            assert_eq!(text.parse::<Project>().unwrap().as_str(), text);
        }
        for text in ["", "x", "/x", "x/", "a//b", "../x", "a/..", "a/b?c", "a/b#1", "-a/b", "a/b c", "a/ü"] {
            assert!(text.parse::<Project>().is_err(), "{text}");
        }
        assert!("Me/Thing".parse::<Project>().unwrap().is("me/thing"));
    }

    #[test]
    fn pull_requests_have_several_names() {
        for text in [
            "https://github.com/systemd/systemd/pull/7",
            "https://api.github.com/repos/systemd/systemd/pulls/7",
            "https://ghe.example/api/v3/repos/systemd/systemd/pulls/7/",
            "https://github.com/systemd/systemd/pull/7/files",
            "systemd/systemd#7",
        ] {
            let name: PullName = text.parse().unwrap();
            assert_eq!((name.project.as_str(), name.number), ("systemd/systemd", 7), "{text}");
        }
        let name: PullName = "https://gitlab.com/a/b/c/-/merge_requests/12#note_1".parse().unwrap();
        assert_eq!((name.project.as_str(), name.number, name.server.as_deref()), ("a/b/c", 12, Some("gitlab.com")));
        assert_eq!("http://h:81/a/b/pull/1".parse::<PullName>().unwrap().server.as_deref(), Some("h:81"));
        assert_eq!("a/b!12".parse::<PullName>().unwrap().number, 12);
        for text in [
            "",
            "7",
            "systemd/systemd",
            "https://github.com/x/pull/7",
            "a/b#0",
            "a/b#x",
            "https://github.com/a/b/issues/7",
        ] {
            assert!(text.parse::<PullName>().is_err(), "{text}");
        }
    }

    #[test]
    fn projects_are_at_the_host_of_the_api() {
        let host = |forge: Forge, api: &str| forge.host(&api.parse().unwrap());
        assert_eq!(Forge::GitHub.host(&Forge::GitHub.api()), "github.com");
        assert_eq!(Forge::GitLab.host(&Forge::GitLab.api()), "gitlab.com");
        assert_eq!(host(Forge::GitHub, "https://ghe.example/api/v3"), "ghe.example");
        assert_eq!(host(Forge::GitHub, "http://127.0.0.1:81"), "127.0.0.1:81");
    }
}
