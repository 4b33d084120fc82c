//! The exit codes, which are part of the interface.

use std::process::ExitCode;

use apt_ci::exit_code::command;

/// Exit status of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// The command did what was asked.
    Success,
    /// The command failed.
    Failure,
    /// Invalid input; nothing was changed. clap uses the same code.
    BadInput,
    /// A test that was waited for failed.
    TestFailed,
    /// A test that was waited for was inconclusive: an infrastructure failure, or its request was cancelled or removed.
    NoVerdict,
    /// Ctrl-C ended the command. The code is 128 plus the signal's number, as in shells.
    Interrupted,
    /// A worker was told to restart (SIGHUP): its unit starts it again.
    Restart,
}

/// End of `apt-ci --help`: first steps, and the exit codes.
pub const HELP: &str = "\
By default, queue and results are in your data directory; a site (`apt-ci init`) can change that.

Examples:
  apt-ci run -s bookworm --trigger gzip/1.12-1 gzip   request a test
  apt-ci worker --drain                               run the queued tests
  apt-ci log gzip                                     read the log of the latest run

Exit codes:
  0  success                             4    test inconclusive or cancelled
  1  failed, e.g. server unreachable     10   worker should be restarted (SIGHUP)
  2  invalid input; nothing was changed  130  interrupted (Ctrl-C)
  3  test failed (--wait, --watch)";

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(match status {
            ExitStatus::Success => command::SUCCESS,
            ExitStatus::Failure => command::FAILURE,
            ExitStatus::BadInput => command::BAD_INPUT,
            ExitStatus::TestFailed => command::TEST_FAILED,
            ExitStatus::NoVerdict => command::INCONCLUSIVE,
            ExitStatus::Interrupted => command::INTERRUPTED,
            ExitStatus::Restart => command::RESTART,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_lists_the_codes() {
        let codes = HELP.split_once("Exit codes:\n").unwrap().1;
        let numbers: Vec<u8> = codes.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        for (code, meaning) in command::ALL {
            assert!(numbers.contains(&code), "{code}: {meaning}");
        }
    }
}
