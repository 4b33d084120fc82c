//! (types first)

use std::fmt;
use std::path::{Path, PathBuf};

use super::TestbedError;
use super::conf::WorkerConf;
use crate::release::QueueName;
use crate::request::Request;

/// The autopkgtest program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Autopkgtest {
    program: PathBuf,
}

/// A command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// The program's path.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
}

impl fmt::Display for CommandLine {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        unimplemented!()
    }
}

#[allow(unused_variables, missing_docs, clippy::missing_errors_doc)]
impl Autopkgtest {
    /// `path_variable`: the text of `PATH`.
    pub fn find(conf: &WorkerConf, path_variable: Option<&str>) -> Result<Self, TestbedError> {
        unimplemented!()
    }

    /// Asks the program once (`--help`) which options it knows. Without it, those of 5.28 are used.
    pub async fn probe(self) -> Result<Self, TestbedError> {
        unimplemented!()
    }
}

/// The command line of a request's test.
#[allow(unused_variables)]
pub fn command_line(
    conf: &WorkerConf,
    autopkgtest: &Autopkgtest,
    request: &Request,
    queue: &QueueName,
    output: &Path,
) -> CommandLine {
    unimplemented!()
}
