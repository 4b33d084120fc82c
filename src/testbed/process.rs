//! (types first)

use std::path::Path;
use std::time::Duration;

use super::TestbedError;
use super::command::CommandLine;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// A running test. Dropping it kills it with its whole process group.
pub struct Process {}

#[allow(unused_variables, missing_docs, clippy::missing_errors_doc)]
impl Process {
    /// Call on a thread that lives as long as the program (a task of the runtime, not `spawn_blocking`): the child is ended
    /// when the thread that started it ends.
    pub fn start(command: &CommandLine, work_dir: &Path) -> Result<Self, TestbedError> {
        unimplemented!()
    }

    /// Cancel-safe.
    pub async fn wait(&mut self) -> Result<Exit, TestbedError> {
        unimplemented!()
    }

    pub async fn terminate(&mut self, grace: Duration) -> Result<Exit, TestbedError> {
        unimplemented!()
    }
}
