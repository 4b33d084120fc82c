//! Outcomes, and the only table that maps exit codes to them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::exit_code::autopkgtest;

/// How a run ended.
///
/// | outcome | exit codes | proposed-migration | a pull request's status |
/// | --- | --- | --- | --- |
/// | pass | 0, 2 | pass | success |
/// | neutral | 8 | neutral | success |
/// | fail | 4, 6, 12, 14 | fail | failure |
/// | tmpfail | 16 | fail | error |
/// | denylisted | 99 | fail | error |
/// | error | all others | fail | error |
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Every test passed; some may have been skipped.
    Pass,
    /// The tests say nothing about the package: there are none, or all were skipped, superficial or flaky.
    Neutral,
    /// A test failed, or the package is broken.
    Fail,
    /// The testbed failed. This says nothing about the package, and another attempt may succeed.
    Tmpfail,
    /// An unexpected end that is not known to be the package's fault.
    Error,
    /// The package is on the operators' denylist and was not run.
    Denylisted,
}

impl Outcome {
    /// All outcomes, best first.
    pub const ALL: [Self; 6] = [Self::Pass, Self::Neutral, Self::Fail, Self::Tmpfail, Self::Error, Self::Denylisted];

    /// The exit codes that mean something else than an error.
    pub(crate) const CODES: [i32; 9] = [
        autopkgtest::PASSED,
        autopkgtest::PASSED_SOME_SKIPPED,
        autopkgtest::NO_TESTS,
        autopkgtest::FAILED,
        autopkgtest::FAILED_SOME_SKIPPED,
        autopkgtest::BAD_PACKAGE,
        autopkgtest::BAD_PACKAGE_SOME_SKIPPED,
        autopkgtest::TESTBED_FAILED,
        autopkgtest::DENYLISTED,
    ];

    /// The outcome of an exit code of autopkgtest. Nothing else decides this.
    pub fn from_exit_code(exit_code: i32) -> Self {
        match exit_code {
            autopkgtest::PASSED | autopkgtest::PASSED_SOME_SKIPPED => Self::Pass,
            autopkgtest::NO_TESTS => Self::Neutral,
            autopkgtest::FAILED
            | autopkgtest::FAILED_SOME_SKIPPED
            | autopkgtest::BAD_PACKAGE
            | autopkgtest::BAD_PACKAGE_SOME_SKIPPED => Self::Fail,
            autopkgtest::TESTBED_FAILED => Self::Tmpfail,
            autopkgtest::DENYLISTED => Self::Denylisted,
            _ => Self::Error,
        }
    }

    /// Returns the outcome as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Neutral => "neutral",
            Self::Fail => "fail",
            Self::Tmpfail => "tmpfail",
            Self::Error => "error",
            Self::Denylisted => "denylisted",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Returns whether an exit code is certainly not the package's fault: 16, a failed testbed, and 1, a crash of
/// autopkgtest itself. Such a run is repeated a limited number of times before its result counts.
pub fn is_infrastructure(exit_code: i32) -> bool {
    matches!(exit_code, autopkgtest::CRASHED | autopkgtest::TESTBED_FAILED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_exit_code_has_its_outcome() {
        let table = [
            (0, Outcome::Pass),
            (1, Outcome::Error),
            (2, Outcome::Pass),
            (4, Outcome::Fail),
            (6, Outcome::Fail),
            (8, Outcome::Neutral),
            (12, Outcome::Fail),
            (14, Outcome::Fail),
            (16, Outcome::Tmpfail),
            (20, Outcome::Error),
            (99, Outcome::Denylisted),
            (-1, Outcome::Error),
            (255, Outcome::Error),
        ];
        for (code, outcome) in table {
            assert_eq!(Outcome::from_exit_code(code), outcome, "exit code {code}");
        }
    }

    #[test]
    fn what_blames_infrastructure_never_blames_the_package() {
        for code in (-300..300).filter(|code| is_infrastructure(*code)) {
            assert!(matches!(Outcome::from_exit_code(code), Outcome::Tmpfail | Outcome::Error), "exit code {code}");
        }
    }

    #[test]
    fn the_word_is_the_same_for_people_and_programs() {
        for outcome in Outcome::ALL {
            assert_eq!(serde_json::to_string(&outcome).unwrap(), format!("\"{outcome}\""));
        }
    }
}
