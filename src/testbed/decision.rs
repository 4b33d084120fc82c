//! What was decided about a test, and what decided it.

use std::fmt;
use std::path::PathBuf;

/// What decided something about a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// A line of worker.conf or of an override file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A parameter of the request, by its name in a queue.
    Request(&'static str),
    /// The release and architecture, which the queue's name says.
    Queue,
    /// What the installed autopkgtest can do.
    Autopkgtest,
}

impl fmt::Display for Origin {
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

/// One thing that was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What it is about.
    pub what: String,
    /// What was decided.
    pub value: String,
    /// What decided it; often one, such as a line that sets a time limit, sometimes another that changes it.
    pub origins: Vec<Origin>,
}

impl Decision {
    pub(super) fn new(what: impl Into<String>, value: impl Into<String>, origin: Origin) -> Self {
        Self { what: what.into(), value: value.into(), origins: vec![origin] }
    }
}

/// Why a request is not run here at all: its result has exit code 20, and this as its log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub(super) String);
