//! Statuses of commits, which a forge shows at pull requests.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::release::QueueName;
use crate::request::{Request, SourcePackage, TestName};
use crate::result::Outcome;

/// Maximum length of a description at GitHub, in characters.
const MAX_DESCRIPTION_LENGTH: usize = 140;

/// A state, by GitHub's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The test is queued or runs.
    Pending,
    /// The commit has passed.
    Success,
    /// The commit has failed.
    Failure,
    /// The test is inconclusive.
    Error,
}

impl State {
    /// Returns GitHub's name of the state.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
        }
    }

    /// Returns GitLab's name of the state.
    pub(super) fn gitlab(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Failure => "failed",
            Self::Error => "canceled",
        }
    }

    /// Parses GitHub's or GitLab's name of a state.
    pub fn read(text: &str) -> Option<Self> {
        match text {
            "pending" | "running" | "created" => Some(Self::Pending),
            "success" => Some(Self::Success),
            "failure" | "failed" => Some(Self::Failure),
            "error" | "canceled" | "skipped" => Some(Self::Error),
            _ => None,
        }
    }

    /// Whether the state is the last one of a test.
    pub fn is_final(self) -> bool {
        self != Self::Pending
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A status of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The name of what was checked: see [`context`].
    pub context: String,
    /// The state.
    pub state: State,
    /// The description for people, at most 140 characters.
    pub description: String,
    /// The address of further details.
    pub link: Option<String>,
}

impl Status {
    /// Creates a status. A longer description is truncated.
    pub fn new(context: String, state: State, description: &str, link: Option<String>) -> Self {
        let plain = description.replace(char::is_control, " ");
        let description = if plain.chars().count() > MAX_DESCRIPTION_LENGTH {
            plain.chars().take(MAX_DESCRIPTION_LENGTH - 1).chain(['…']).collect()
        } else {
            plain
        };
        Self { context, state, description, link }
    }
}

/// Prefix of the contexts of package tests.
pub const CONTEXT_PREFIX: &str = "autopkgtest/";

/// Returns the context of a request's status: `autopkgtest/PACKAGE/RELEASE/ARCH`, and `/TEST` when only one test of the
/// package is run.
pub fn context(request: &Request, queue: &QueueName) -> String {
    context_of(request.package(), request.parameters().testname.as_ref(), queue)
}

/// Returns the context of a test's status: see [`context`].
pub(super) fn context_of(package: &SourcePackage, testname: Option<&TestName>, queue: &QueueName) -> String {
    let QueueName { release, architecture, .. } = queue;
    let test = testname.map(|name| format!("/{name}")).unwrap_or_default();
    format!("{CONTEXT_PREFIX}{package}/{release}/{architecture}{test}")
}

/// Returns the state of a commit for an outcome, and its description. Faults of the infrastructure are not the
/// commit's.
pub fn of_outcome(outcome: Outcome) -> (State, &'static str) {
    match outcome {
        Outcome::Pass => (State::Success, "tests passed"),
        Outcome::Neutral => (State::Success, "no tests were run"),
        Outcome::Fail => (State::Failure, "tests failed"),
        Outcome::Tmpfail => (State::Error, "the testbed failed; the tests said nothing"),
        Outcome::Error => (State::Error, "autopkgtest failed; the tests said nothing"),
        Outcome::Denylisted => (State::Error, "this package is not tested here"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_names_package_release_architecture_and_test() {
        let queue = "debci-upstream-xenial-amd64".parse().unwrap();
        let context = |text: &str| context(&Request::parse(text.as_bytes()).unwrap(), &queue);
        assert_eq!(context("systemd-upstream"), "autopkgtest/systemd-upstream/xenial/amd64");
        assert_eq!(context(r#"x {"testname": "boot"}"#), "autopkgtest/x/xenial/amd64/boot");
    }

    #[test]
    fn a_long_description_is_cut() {
        let status = Status::new("c".to_owned(), State::Pending, &"é".repeat(200), None);
        assert_eq!(status.description.chars().count(), 140);
    }

    #[test]
    fn no_tests_are_no_failure() {
        assert_eq!(of_outcome(Outcome::Neutral).0, State::Success);
        assert_eq!(of_outcome(Outcome::Tmpfail).0, State::Error);
    }
}
