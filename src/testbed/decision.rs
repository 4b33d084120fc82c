//! Decisions about a test, and their origins.

use std::fmt;
use std::path::PathBuf;

/// Origin of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecisionSource {
    /// Built-in default.
    Default,
    /// Line of worker.conf or of an override file.
    File {
        /// File.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
    },
    /// Parameter of the request, by its name in a queue.
    Request(&'static str),
    /// Release and architecture in the queue's name.
    Queue,
    /// Abilities of the installed autopkgtest.
    Autopkgtest,
}

impl fmt::Display for DecisionSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.pad("default"),
            Self::File { path, line } => f.pad(&format!("{}:{line}", path.display())),
            Self::Request(parameter) => f.pad(&format!("request: {parameter}")),
            Self::Queue => f.pad("queue"),
            Self::Autopkgtest => f.pad("autopkgtest --help"),
        }
    }
}

/// Decision about a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Subject of the decision.
    pub what: String,
    /// Value that was decided.
    pub value: String,
    /// Origins; often one, such as a line that sets a time limit, sometimes another one that changes it.
    pub origins: Vec<DecisionSource>,
}

impl Decision {
    pub(super) fn new(what: impl Into<String>, value: impl Into<String>, origin: DecisionSource) -> Self {
        Self { what: what.into(), value: value.into(), origins: vec![origin] }
    }
}

/// Reason for which a request is not run here at all. Its result has exit code 20, and this as its log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub(super) String);
