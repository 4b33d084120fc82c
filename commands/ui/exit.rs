//! The exit codes, which are part of the interface.

use std::process::ExitCode;

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// It did what was asked.
    Success,
    /// It could not.
    Failure,
    /// The input breaks a rule; nothing was changed. clap uses the same code.
    BadInput,
    /// A test that was waited for has failed.
    TestFailed,
    /// A test that was waited for came to no verdict: an infrastructure failure, or its request was cancelled or removed.
    NoVerdict,
    /// Ctrl-C ended the waiting, as a shell counts signals.
    Interrupted,
    /// A worker was told to restart (SIGHUP): its unit starts it again.
    Restart,
}

/// The codes, as `--help` shows them, after what a first reader wants to know.
pub const HELP: &str = "\
Queue and results live in the user's data folder, or where the site says that `apt-ci init` makes.
Examples:
  apt-ci run -s bookworm --trigger gzip/1.12-1 gzip   request a test
  apt-ci worker --drain                               run the tests that wait
  apt-ci log gzip                                     read what the last one said

Exit codes:
  0   done; 10: a worker ended after SIGHUP and wants to be started again
  1   failed: a server was away, something was not found, a worker took itself out of service
  2   the input breaks a rule; nothing was changed
  3   a test that was waited for has failed; 4: it came to no verdict, or was cancelled";

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(match status {
            ExitStatus::Success => 0,
            ExitStatus::Failure => 1,
            ExitStatus::BadInput => 2,
            ExitStatus::TestFailed => 3,
            ExitStatus::NoVerdict => 4,
            ExitStatus::Interrupted => 130,
            ExitStatus::Restart => 10,
        })
    }
}
