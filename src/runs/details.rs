//! The contents of a run's result.tar.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::listed_result::read_result;
use super::{StoredRun, members};
use crate::result::layout::RESULT;
use crate::result::outcome::Outcome;
use crate::store::{Store, StoreError};

/// Result of one of a package's tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TestResult {
    /// Name of the test; `*` when the result is about all of them.
    pub name: String,
    /// autopkgtest's word: PASS, FAIL, SKIP or FLAKY.
    pub state: String,
    /// The rest of autopkgtest's line, such as `non-zero exit status 1`.
    pub details: String,
}

impl TestResult {
    /// Returns whether it failed in a way that counts.
    pub fn failed(&self) -> bool {
        self.state == "FAIL"
    }
}

/// The parts of a result that its listing does not have. Parts that cannot be read are empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Details {
    /// The tests, in their order.
    pub tests: Vec<TestResult>,
    /// Versions of the packages in the testbed.
    pub packages: BTreeMap<String, String>,
    /// testinfo.json; null if it cannot be read.
    pub testinfo: Value,
    /// Whether the result is damaged, see [`StoredRun::damaged`].
    pub damaged: bool,
}

impl Details {
    /// Returns a value that apt-ci has added to testinfo.json.
    pub fn own(&self, key: &str) -> Option<&Value> {
        self.testinfo.get("apt-ci")?.get(key)
    }

    /// Returns why earlier attempts had no result.
    pub fn failures(&self) -> Vec<&str> {
        let list = self.own("failures").and_then(Value::as_array);
        list.into_iter().flatten().filter_map(|failure| failure.get("reason").unwrap_or(failure).as_str()).collect()
    }

    fn read(bytes: &[u8]) -> Self {
        let mut details = Self::default();
        members::each(bytes, |name, text| match name {
            "summary" => details.tests = tests(text),
            "testbed-packages" => details.packages = packages(text),
            "testinfo.json" => details.testinfo = serde_json::from_str(text).unwrap_or_default(),
            _ => {}
        });
        details
    }
}

impl StoredRun {
    /// Fetches its result.tar.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn details(&self, store: &Store) -> Result<Details, StoreError> {
        let package = self.path.package.clone();
        let read = move |bytes: &[u8]| {
            let (_, damaged) = read_result(bytes, &package);
            Details { damaged, ..Details::read(bytes) }
        };
        members::fetched(store, &self.container, &self.object(RESULT), read).await
    }

    /// Returns the only requested test, if the package does not have it. autopkgtest's outcome is neutral then.
    pub fn test_missing_in(&self, details: &Details) -> Option<&str> {
        let name = self.only_test().filter(|_| self.outcome() == Outcome::Neutral)?;
        details.tests.iter().all(|test| test.name != name).then_some(name)
    }

    /// Returns the only requested test, if the package does not have it. Reads result.tar only if necessary.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn missing_test(&self, store: &Store) -> Result<Option<&str>, StoreError> {
        if self.test_missing_in(&Details::default()).is_none() {
            return Ok(None);
        }
        match self.details(store).await {
            Ok(details) => Ok(self.test_missing_in(&details)),
            // A result that was removed has no tests.
            Err(StoreError::NotFound(_)) => Ok(self.test_missing_in(&Details::default())),
            Err(error) => Err(error),
        }
    }

    /// Reads its result.tar, and marks the run as damaged if result.tar is damaged or was removed: the listing may be
    /// outdated. Returns whether the result is intact.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn check(&mut self, store: &Store) -> Result<bool, StoreError> {
        match self.details(store).await {
            Ok(details) => self.damaged |= details.damaged,
            Err(StoreError::NotFound(_)) => self.damaged = true,
            Err(error) => return Err(error),
        }
        Ok(!self.damaged)
    }
}

/// Parses autopkgtest's summary: a line for each test, with its name, a word, and optional details.
fn tests(summary: &str) -> Vec<TestResult> {
    let test = |line: &str| {
        let (name, rest) = line.trim_end().split_once(char::is_whitespace)?;
        let (state, details) = rest.trim_start().split_once(char::is_whitespace).unwrap_or((rest.trim_start(), ""));
        let is_word = !state.is_empty() && state.bytes().all(|byte| byte.is_ascii_uppercase());
        let (name, state, details) = (name.to_owned(), state.to_owned(), details.trim().to_owned());
        is_word.then_some(TestResult { name, state, details })
    };
    summary.lines().filter_map(test).collect()
}

/// Parses autopkgtest's testbed-packages: a package and its version in each line.
fn packages(text: &str) -> BTreeMap<String, String> {
    let line = |line: &str| {
        let (name, version) = line.trim().split_once(char::is_whitespace)?;
        Some((name.to_owned(), version.trim().to_owned()))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn autopkgtests_own_files_are_read() {
        let summary = "smoke                PASS\nupstream             FAIL non-zero exit status 1\n* SKIP no tests in this package\nflaky-one FLAKY stderr: x\n\nnoise\n";
        let read = tests(summary);
        let flat: Vec<(&str, &str, &str)> =
            read.iter().map(|test| (test.name.as_str(), test.state.as_str(), test.details.as_str())).collect();
        assert_eq!(
            flat,
            [
                ("smoke", "PASS", ""),
                ("upstream", "FAIL", "non-zero exit status 1"),
                ("*", "SKIP", "no tests in this package"),
                ("flaky-one", "FLAKY", "stderr: x"),
            ]
        );
        let read = packages("adduser\t3.134\nlibc6:amd64\t2.36-9\n\n");
        assert_eq!(read.get("libc6:amd64").map(String::as_str), Some("2.36-9"));
        assert_eq!(read.len(), 2);
    }

    #[test]
    fn what_is_damaged_is_empty() {
        assert_eq!(Details::read(b"no archive"), Details::default());
    }
}
