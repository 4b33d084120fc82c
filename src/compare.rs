//! Differences between two runs.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use debversion::Version;
use serde::Serialize;

use crate::runs::{Details, StoredRun};
use crate::store::{Store, StoreError};

/// A package of the testbed that differs between both runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackageChange {
    /// Its name.
    pub package: String,
    /// Its version in the first run; `None` if it was not there.
    pub before: Option<String>,
    /// Its version in the second run; `None` if it was not there.
    pub after: Option<String>,
    /// Whether the version rose or fell, or the package was added or removed.
    pub change: Change,
}

/// Kind of a package's change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Has a higher version in the second run.
    Upgraded,
    /// Has a lower version in the second run.
    Downgraded,
    /// Is only in the second run.
    Added,
    /// Is only in the first run.
    Removed,
}

/// A test whose result differs between both runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TestChange {
    /// The test.
    pub test: String,
    /// Its result in the first run; `None` if it was not there.
    pub before: Option<String>,
    /// Its result in the second run, with autopkgtest's details; `None` if it was not there.
    pub after: Option<String>,
}

/// Differences between two runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Triggers of the first run that the second one does not have.
    pub triggers_before: Vec<String>,
    /// Triggers that only the second run has.
    pub triggers_after: Vec<String>,
    /// Packages of the testbed.
    pub packages: Vec<PackageChange>,
    /// Tests with another result.
    pub tests: Vec<TestChange>,
}

impl Comparison {
    /// Compares two runs by their results.
    pub fn of(before: (&StoredRun, &Details), after: (&StoredRun, &Details)) -> Self {
        let triggers = |run: &StoredRun| run.summary.triggers.clone().unwrap_or_default();
        let without = |some: Vec<String>, others: &[String]| {
            some.into_iter().filter(|trigger| !others.contains(trigger)).collect()
        };
        let (first, second) = (triggers(before.0), triggers(after.0));
        Self {
            triggers_before: without(first.clone(), &second),
            triggers_after: without(second, &first),
            packages: packages(&before.1.packages, &after.1.packages),
            tests: tests(before.1, after.1),
        }
    }
}

fn packages(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<PackageChange> {
    let change = |package: &String| {
        let (before, after) = (before.get(package), after.get(package));
        let change = match (before, after) {
            (Some(before), Some(after)) if before == after => return None,
            (Some(before), Some(after)) => match compare_versions(before, after) {
                Ordering::Greater => Change::Downgraded,
                _ => Change::Upgraded,
            },
            (None, _) => Change::Added,
            (_, None) => Change::Removed,
        };
        Some(PackageChange { package: package.clone(), before: before.cloned(), after: after.cloned(), change })
    };
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    names.into_iter().filter_map(change).collect()
}

fn tests(before: &Details, after: &Details) -> Vec<TestChange> {
    let of = |details: &Details, name: &str| details.tests.iter().find(|test| test.name == name).cloned();
    let mut names: Vec<&str> = before.tests.iter().chain(&after.tests).map(|test| test.name.as_str()).collect();
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(*name));
    let change = |name: &str| {
        let (first, second) = (of(before, name), of(after, name));
        let is_same = first.as_ref().map(|test| &test.state) == second.as_ref().map(|test| &test.state);
        let text = |test: crate::runs::TestResult| format!("{} {}", test.state, test.details).trim_end().to_owned();
        (!is_same).then(|| TestChange { test: name.to_owned(), before: first.map(text), after: second.map(text) })
    };
    names.into_iter().filter_map(change).collect()
}

/// Compares two versions as dpkg does. Invalid versions are ordered as text.
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    match (a.parse::<Version>(), b.parse::<Version>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        _ => a.cmp(b),
    }
}

/// The point where a package began to fail: the last run that passed, and the first one that failed without a pass
/// since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// The newest run passed.
    Passes(StoredRun),
    /// No known run passed; the first one that failed.
    NeverPassed(StoredRun),
    /// The runs began to fail.
    Turned {
        /// The last good run.
        good: Box<StoredRun>,
        /// The first bad run.
        bad: Box<StoredRun>,
        /// Number of runs that have failed since.
        failures: usize,
    },
}

impl Turn {
    /// Finds the turn in a package's runs on a release and architecture, in any order. Runs that decide nothing are
    /// ignored. `None` when there are no others.
    pub fn find(runs: &[StoredRun]) -> Option<Self> {
        use crate::result::Outcome;
        let mut decided: Vec<&StoredRun> = runs.iter().filter(|run| run.decision().is_some()).collect();
        decided.sort_by(|a, b| a.id.cmp(&b.id));
        let newest = decided.last()?;
        let failed = |run: &&StoredRun| run.outcome() == Outcome::Fail;
        if !failed(newest) {
            return Some(Self::Passes((*newest).clone()));
        }
        let failures = decided.iter().rev().take_while(|run| failed(run)).count();
        let bad = decided.get(decided.len() - failures)?;
        let good = decided.len().checked_sub(failures + 1).and_then(|place| decided.get(place));
        Some(match good {
            Some(good) => Self::Turned { good: Box::new((*good).clone()), bad: Box::new((*bad).clone()), failures },
            None => Self::NeverPassed((*bad).clone()),
        })
    }

    /// Finds the turn, and reads the results of the runs in it. A damaged one is marked and ignored.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn find_read(runs: &mut [StoredRun], store: &Store) -> Result<Option<Self>, StoreError> {
        loop {
            let found = Self::find(runs);
            let named: Vec<String> = found.iter().flat_map(Self::runs).map(StoredRun::location).collect();
            let mut are_sound = true;
            for run in runs.iter_mut().filter(|run| named.contains(&run.location())) {
                are_sound &= run.check(store).await?;
            }
            if are_sound {
                return Ok(found);
            }
        }
    }

    fn runs(&self) -> Vec<&StoredRun> {
        match self {
            Self::Passes(run) | Self::NeverPassed(run) => vec![run],
            Self::Turned { good, bad, .. } => vec![good, bad],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_dpkg_does() {
        for (lower, higher) in [("1.2~rc1-1", "1.2-1"), ("9", "10"), ("2.0", "1:0.1"), ("1.0-1", "1.0-1ubuntu1")] {
            assert_eq!(compare_versions(lower, higher), Ordering::Less, "{lower} {higher}");
            assert_eq!(compare_versions(higher, lower), Ordering::Greater, "{lower} {higher}");
        }
    }

    #[test]
    fn a_damaged_result_is_no_turn() {
        let run = |day: u8, exitcode, damaged| StoredRun {
            container: "autopkgtest-noble".to_owned(),
            path: crate::result::PackagePath {
                release: "noble".parse().unwrap(),
                architecture: "amd64".parse().unwrap(),
                package: "gzip".parse().unwrap(),
            },
            id: format!("202601{day:02}_120000@").parse().unwrap(),
            summary: crate::result::RunSummary {
                exitcode,
                version: "1-1".to_owned(),
                duration: 1,
                triggers: None,
                requester: None,
                uuid: None,
                proof: crate::result::ProofVerdict::None,
                fallback: false,
                options: None,
            },
            damaged,
        };
        let (good, bad) = (run(1, 0, false), run(3, 4, false));
        let turned = Turn::Turned { good: Box::new(good.clone()), bad: Box::new(bad.clone()), failures: 1 };
        let damaged = [good, run(2, 0, true), bad.clone(), run(4, 0, true)];
        assert_eq!(Turn::find(&damaged), Some(turned));
        assert_eq!(Turn::find(&damaged[1..]), Some(Turn::NeverPassed(bad)));
        assert_eq!(Turn::find(&damaged[1..2]), None);
    }

    #[test]
    fn packages_of_testbeds_are_compared() {
        let of = |list: &[(&str, &str)]| list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let before = of(&[("same", "1"), ("up", "1.9"), ("down", "2"), ("gone", "1")]);
        let after = of(&[("same", "1"), ("up", "1.10"), ("down", "1"), ("new", "3")]);
        let changes: Vec<(String, Change)> =
            packages(&before, &after).into_iter().map(|change| (change.package, change.change)).collect();
        let expected =
            [("down", Change::Downgraded), ("gone", Change::Removed), ("new", Change::Added), ("up", Change::Upgraded)];
        assert_eq!(changes, expected.map(|(name, change)| (name.to_owned(), change)));
    }
}
