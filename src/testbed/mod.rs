//! One test: the worker's configuration ([`conf`]), autopkgtest's command line ([`command`]), its process ([`process`]), and
//! its log while it runs ([`log`]).

pub mod command;
pub mod conf;
mod ini;
pub mod log;
pub mod process;
mod template;

use std::path::PathBuf;

pub use self::command::{Autopkgtest, CommandLine, command_line};
pub use self::conf::{ConfError, WorkerConf};
pub use self::log::LiveLog;
pub use self::process::{Exit, Process};

/// Why a test cannot be started or followed. Never the package's fault.
#[derive(Debug, thiserror::Error)]
pub enum TestbedError {
    /// There is no autopkgtest.
    #[error("autopkgtest is not installed: {looked}")]
    NotInstalled {
        /// Where it was looked for.
        looked: String,
        /// How to mend it.
        hint: String,
    },
    /// There is no such virt server. autopkgtest would end with the same code as for a test that cannot be run.
    #[error("there is no virt server {server}: {looked}")]
    NoVirtServer {
        /// The server, as worker.conf names it.
        server: String,
        /// Where it was looked for.
        looked: String,
        /// How to mend it.
        hint: String,
    },
    /// autopkgtest does not answer as it should.
    #[error("{} --help: {reason}", program.display())]
    Probe {
        /// The program.
        program: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// The process cannot be started or followed.
    #[error("{action}: {source}")]
    Io {
        /// What was tried.
        action: String,
        /// Why it failed.
        source: std::io::Error,
    },
}
