//! Exit codes of autopkgtest, which results carry, and of this program's commands, which are part of its interface.

/// Exit codes of autopkgtest, from its manual page `autopkgtest(1)`.
pub mod autopkgtest {
    /// All tests passed.
    pub const PASSED: i32 = 0;
    /// autopkgtest itself crashed: Python ends so after an exception.
    pub const CRASHED: i32 = 1;
    /// All tests passed, apart from some that were skipped or are flaky.
    pub const PASSED_SOME_SKIPPED: i32 = 2;
    /// At least one test failed.
    pub const FAILED: i32 = 4;
    /// At least one test failed, and at least one was skipped or is flaky.
    pub const FAILED_SOME_SKIPPED: i32 = 6;
    /// The package has no tests, or all were skipped.
    pub const NO_TESTS: i32 = 8;
    /// The package is broken.
    pub const BAD_PACKAGE: i32 = 12;
    /// The package is broken, and at least one test was skipped.
    pub const BAD_PACKAGE_SOME_SKIPPED: i32 = 14;
    /// The testbed failed.
    pub const TESTBED_FAILED: i32 = 16;
    /// An error that is neither the package's nor the testbed's. Requests that can never be run have this code, too.
    pub const UNEXPECTED: i32 = 20;
    /// The package is listed in `never_run`. autopkgtest itself does not have this code.
    pub const DENYLISTED: i32 = 99;

    /// Every code, with its meaning in a few words.
    pub const ALL: [(i32, &str); 11] = [
        (PASSED, "all tests passed"),
        (CRASHED, "autopkgtest crashed"),
        (PASSED_SOME_SKIPPED, "all tests passed, apart from some that were skipped or are flaky"),
        (FAILED, "at least one test failed"),
        (FAILED_SOME_SKIPPED, "at least one test failed, and at least one was skipped or is flaky"),
        (NO_TESTS, "the package has no tests, or all were skipped"),
        (BAD_PACKAGE, "the package is broken"),
        (BAD_PACKAGE_SOME_SKIPPED, "the package is broken, and at least one test was skipped"),
        (TESTBED_FAILED, "the testbed failed"),
        (UNEXPECTED, "another error, or a request that can never be run"),
        (DENYLISTED, "the package is listed in `never_run` and was not tested"),
    ];
}

/// Exit codes of this program's commands.
pub mod command {
    /// Success.
    pub const SUCCESS: u8 = 0;
    /// Failure, for example an unreachable server.
    pub const FAILURE: u8 = 1;
    /// Invalid input; nothing was changed. The parser of the command line uses the same code.
    pub const BAD_INPUT: u8 = 2;
    /// A test that was waited for failed.
    pub const TEST_FAILED: u8 = 3;
    /// A test that was waited for was inconclusive: an infrastructure failure, or its request was cancelled or removed.
    pub const INCONCLUSIVE: u8 = 4;
    /// A worker was told to restart (SIGHUP): its unit starts it again.
    pub const RESTART: u8 = 10;
    /// Ctrl-C ended the waiting. Shells count signals from 128.
    pub const INTERRUPTED: u8 = 130;

    /// Every code, with its meaning in a few words.
    pub const ALL: [(u8, &str); 7] = [
        (SUCCESS, "success"),
        (FAILURE, "failure, for example an unreachable server"),
        (BAD_INPUT, "invalid input; nothing was changed"),
        (TEST_FAILED, "a test failed (`--wait`, `--watch`)"),
        (
            INCONCLUSIVE,
            "a test was inconclusive: an infrastructure failure, or its request was cancelled or removed (`--wait`, `--watch`)",
        ),
        (RESTART, "the worker should be restarted"),
        (INTERRUPTED, "Ctrl-C stopped waiting"),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::Outcome;

    /// The rows of the first table below a heading, each with its first cells.
    fn table(document: &str, heading: &str) -> Vec<Vec<String>> {
        let below = document.split_once(&format!("\n## {heading}\n")).expect("the heading").1;
        let lines = below.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
        let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        // Without the head and the line below it.
        lines.skip(2).map(cells).collect()
    }

    #[test]
    fn the_reference_lists_every_exit_code() {
        let reference = include_str!("../docs/reference/exit-codes.md");
        let documented = |heading| {
            let rows = table(reference, heading).into_iter();
            rows.map(|row| <[String; 2]>::try_from(row).unwrap().into()).collect::<Vec<(String, String)>>()
        };
        let listed = |all: Vec<(i32, &str)>| {
            all.into_iter().map(|(code, meaning)| (code.to_string(), meaning.to_owned())).collect::<Vec<_>>()
        };
        let commands = command::ALL.map(|(code, meaning)| (i32::from(code), meaning)).to_vec();
        assert_eq!(documented("Commands"), listed(commands));
        assert_eq!(documented("autopkgtest"), listed(autopkgtest::ALL.to_vec()));
    }

    #[test]
    fn the_outcomes_of_exit_codes_are_as_documented() {
        let mut unlisted: Vec<i32> = autopkgtest::ALL.map(|(code, _)| code).to_vec();
        for row in table(include_str!("../docs/outcomes.md"), "Outcomes") {
            let outcome = row[0].trim_matches('`');
            if row[1] == "all others" {
                assert_eq!(outcome, Outcome::Error.as_str());
                continue;
            }
            for code in row[1].split(", ").map(|code| code.parse().unwrap()) {
                assert_eq!(Outcome::from_exit_code(code).as_str(), outcome, "exit code {code}");
                unlisted.retain(|other| *other != code);
            }
        }
        for code in unlisted {
            assert_eq!(Outcome::from_exit_code(code), Outcome::Error, "exit code {code}");
        }
    }
}
