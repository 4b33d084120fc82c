//! The state of a commit, as a forge shows it beside a pull request.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::release::QueueName;
use crate::request::{Request, SourcePackage, TestName};
use crate::result::Outcome;

/// How long GitHub lets a description be, in characters.
const DESCRIPTION: usize = 140;

/// A state, in GitHub's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The test is queued or runs.
    Pending,
    /// The commit is good.
    Success,
    /// The commit is bad.
    Failure,
    /// The test says nothing about the commit.
    Error,
}

impl State {
    /// GitHub's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
        }
    }

    /// GitLab's word.
    pub(super) fn gitlab(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Failure => "failed",
            Self::Error => "canceled",
        }
    }

    /// Reads GitHub's or GitLab's word.
    pub fn read(text: &str) -> Option<Self> {
        match text {
            "pending" | "running" | "created" => Some(Self::Pending),
            "success" => Some(Self::Success),
            "failure" | "failed" => Some(Self::Failure),
            "error" | "canceled" | "skipped" => Some(Self::Error),
            _ => None,
        }
    }

    /// Whether nothing more is to be expected.
    pub fn is_final(self) -> bool {
        self != Self::Pending
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What is shown beside a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Whose state it is: see [`context`].
    pub context: String,
    /// The state.
    pub state: State,
    /// In words: at most 140 characters.
    pub description: String,
    /// Where to read more.
    pub link: Option<String>,
}

impl Status {
    /// A description that is too long is cut.
    pub fn new(context: String, state: State, description: &str, link: Option<String>) -> Self {
        let plain = description.replace(char::is_control, " ");
        let description = if plain.chars().count() > DESCRIPTION {
            plain.chars().take(DESCRIPTION - 1).chain(['…']).collect()
        } else {
            plain
        };
        Self { context, state, description, link }
    }
}

/// What the contexts of package tests begin with.
pub const CONTEXT: &str = "autopkgtest/";

/// The context of a request's status: `autopkgtest/PACKAGE/RELEASE/ARCH`, and `/TEST` when only one test of the package is run.
pub fn context(request: &Request, queue: &QueueName) -> String {
    context_of(request.package(), request.parameters().testname.as_ref(), queue)
}

/// The context of a test's status; see [`context`].
pub(super) fn context_of(package: &SourcePackage, testname: Option<&TestName>, queue: &QueueName) -> String {
    let QueueName { release, architecture, .. } = queue;
    let test = testname.map(|name| format!("/{name}")).unwrap_or_default();
    format!("{CONTEXT}{package}/{release}/{architecture}{test}")
}

/// The state that an outcome is for a commit, and in words. Infrastructure is not the commit's fault.
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
