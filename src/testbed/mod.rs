//! One test on a host.
//!
//! The worker's configuration ([`settings`]: worker.conf and the override files) leads to a plan with autopkgtest's
//! command line ([`plan`]). The preparations follow ([`apt`], [`ppa`], [`checkout`]), then autopkgtest's process
//! ([`process`]) with its growing log ([`log`]). The testbed's report ([`evidence`]) proves what was tested
//! ([`prove`]).

pub mod apt;
pub mod autopkgtest;
pub mod cause;
pub mod checkout;
mod command_line;
pub mod conf;
pub mod decision;
pub mod evidence;
pub mod images;
mod ini;
pub mod limits;
pub mod log;
pub mod overrides;
pub mod plan;
pub mod ppa;
pub mod process;
pub mod prove;
mod reproduce;
pub mod settings;
mod template;
pub mod variables;

use std::path::PathBuf;

pub use self::autopkgtest::Autopkgtest;
pub use self::checkout::{AllowedHost, Border, Checkout, CheckoutLimits};
pub use self::command_line::CommandLine;
pub use self::conf::{ConfError, WorkerConf};
pub use self::decision::{Decision, DecisionSource, Refusal};
pub use self::limits::Limits;
pub use self::log::{LiveLog, LogBound};
pub use self::plan::{Plan, Run};
pub use self::ppa::PpaAccess;
pub use self::process::{Exit, Process, SETPRIV};
pub use self::reproduce::{default_testbed, reproduce};
pub use self::settings::{Configuration, Settings};
pub use self::template::quote;
pub use self::variables::{Definition, Definitions};

/// Reason for which a test cannot be started or followed. Never the package's fault.
#[derive(Debug, thiserror::Error)]
pub enum TestbedError {
    /// autopkgtest is not installed.
    #[error("autopkgtest is not installed: {looked}")]
    NotInstalled {
        /// Places that were searched.
        looked: String,
        /// Advice for fixing it.
        hint: String,
    },
    /// There is no such virt server. autopkgtest would end with the same code as for a test that cannot be run.
    #[error("there is no virt server {server}: {looked}")]
    NoVirtServer {
        /// Server, as worker.conf names it.
        server: String,
        /// Places that were searched.
        looked: String,
        /// Advice for fixing it.
        hint: String,
        /// Line that names the server.
        origin: DecisionSource,
    },
    /// autopkgtest does not answer as expected.
    #[error("{} --help: {reason}", program.display())]
    Probe {
        /// Program.
        program: PathBuf,
        /// Cause.
        reason: String,
    },
    /// A PPA cannot be given to a testbed.
    #[error("the PPA {ppa} cannot be used: {reason}")]
    Ppa {
        /// `OWNER/NAME`.
        ppa: String,
        /// Cause.
        reason: String,
    },
    /// A branch cannot be fetched now; a retry may succeed.
    #[error("{address} cannot be fetched: {reason}")]
    Checkout {
        /// Address of the branch.
        address: String,
        /// Cause, in the last words of the program that fetched.
        reason: String,
    },
    /// A branch must not be fetched from this host: the request's fault, now and later.
    #[error("{address} must not be fetched: {reason}")]
    Forbidden {
        /// Address of the branch.
        address: String,
        /// Cause.
        reason: String,
    },
    /// A branch contains something that must not be tested on this host: the request's fault, now and later.
    #[error("{address} cannot be tested: {reason}")]
    Unfit {
        /// Address of the branch.
        address: String,
        /// Cause.
        reason: String,
    },
    /// The process cannot be started or followed.
    #[error("{action}: {source}")]
    Io {
        /// Action that failed.
        action: String,
        /// Cause.
        source: std::io::Error,
    },
}

impl TestbedError {
    /// Whether a branch does not exist, or can never be fetched or tested: only another request can help.
    pub fn is_requests_fault(&self) -> bool {
        match self {
            Self::Checkout { reason, .. } => reason.starts_with(checkout::TOO_LARGE) || cause::is_gone(reason),
            Self::Forbidden { .. } | Self::Unfit { .. } => true,
            _ => false,
        }
    }

    /// Whether the system refuses to start a program because its arguments are too long.
    pub fn is_too_long(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == std::io::ErrorKind::ArgumentListTooLong)
    }
}
