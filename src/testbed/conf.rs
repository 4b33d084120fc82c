//! (types first)

use std::path::{Path, PathBuf};

use crate::release::{Architecture, Release};

/// What is wrong with a worker.conf, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {message}", file.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct ConfError {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; none when the whole file is meant.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What may help.
    pub hint: Option<String>,
}

/// A worker's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerConf {}

#[allow(unused_variables, missing_docs, clippy::missing_errors_doc)]
impl WorkerConf {
    pub fn load(file: &Path) -> Result<Self, ConfError> {
        unimplemented!()
    }

    /// Tests run on this machine itself (`-- null`).
    pub fn null() -> Self {
        unimplemented!()
    }

    /// Empty: not restricted by the file.
    pub fn releases(&self) -> &[Release] {
        unimplemented!()
    }

    /// Empty: not restricted by the file.
    pub fn architectures(&self) -> &[Architecture] {
        unimplemented!()
    }
}
