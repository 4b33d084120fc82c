//! Statistics of many runs: a release's days, and flaky tests.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::Serialize;

use super::StoredRun;
use crate::release::Architecture;
use crate::result::{Outcome, RunId};

/// The runs on an architecture that ended on a day.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Day {
    /// The day, `2026-11-23`, in UTC.
    pub day: String,
    /// The architecture.
    pub architecture: Architecture,
    /// Number of runs.
    pub runs: usize,
    /// Number of runs for each outcome.
    pub outcomes: BTreeMap<Outcome, usize>,
    /// Median duration, in seconds.
    pub median: u64,
    /// 90th percentile of the durations, in seconds.
    pub percentile90: u64,
    /// Longest duration, in seconds.
    pub longest: u64,
}

impl Day {
    /// Returns the number of runs with this outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.outcomes.get(&outcome).copied().unwrap_or_default()
    }

    /// Returns the share of runs whose testbed failed.
    pub fn tmpfail_rate(&self) -> f64 {
        self.count(Outcome::Tmpfail) as f64 / self.runs.max(1) as f64
    }
}

/// A day, `20261123`, and the index of an architecture.
type OfDay = ([u8; 8], usize);
/// Outcome and duration of each run.
type Ends = Vec<(Outcome, u64)>;

/// Collects the statistics of days.
#[derive(Default)]
pub struct Days {
    architectures: Vec<Architecture>,
    days: HashMap<OfDay, Ends>,
}

impl Days {
    /// Returns the index of an architecture for [`Days::add`].
    pub(crate) fn architecture(&mut self, architecture: &str) -> Option<usize> {
        if let Some(place) = self.architectures.iter().position(|known| known.as_str() == architecture) {
            return Some(place);
        }
        self.architectures.push(architecture.parse().ok()?);
        Some(self.architectures.len() - 1)
    }

    /// Adds a run.
    pub(crate) fn add(&mut self, architecture: usize, id: &str, outcome: Outcome, duration: u64) {
        if let Some(day) = id.as_bytes().first_chunk::<8>() {
            self.days.entry((*day, architecture)).or_default().push((outcome, duration));
        }
    }

    /// Returns the days of these runs.
    pub fn of(runs: &[StoredRun]) -> Vec<Day> {
        let mut days = Self::default();
        for run in runs {
            if let Some(architecture) = days.architecture(run.path.architecture.as_str()) {
                days.add(architecture, run.id.as_str(), run.outcome(), run.summary.duration);
            }
        }
        days.finish()
    }

    /// Returns the days, oldest first.
    pub(crate) fn finish(self) -> Vec<Day> {
        let Self { architectures, days } = self;
        let day = |((day, architecture), mut runs): (OfDay, Ends)| {
            let day = std::str::from_utf8(&day).ok()?.to_owned();
            let part = |range| day.get(range).unwrap_or_default();
            runs.sort_unstable_by_key(|(_, duration)| *duration);
            let mut outcomes = BTreeMap::new();
            for (outcome, _) in &runs {
                *outcomes.entry(*outcome).or_default() += 1;
            }
            let duration = |share: usize| {
                // Nearest rank: this share of the runs took no longer.
                let rank = (runs.len() * share).div_ceil(100).max(1);
                runs.get(rank - 1).map_or(0, |(_, duration)| *duration)
            };
            Some(Day {
                day: format!("{}-{}-{}", part(0..4), part(4..6), part(6..8)),
                architecture: architectures.get(architecture)?.clone(),
                runs: runs.len(),
                outcomes,
                median: duration(50),
                percentile90: duration(90),
                longest: duration(100),
            })
        };
        let mut days: Vec<Day> = days.into_iter().filter_map(day).collect();
        days.sort_by(|a, b| (&a.day, &a.architecture).cmp(&(&b.day, &b.architecture)));
        days
    }
}

/// A test that both passed and failed with the same versions of the package and its triggers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FlakyTest {
    /// The package.
    pub package: String,
    /// The architecture.
    pub architecture: Architecture,
    /// Number of runs that passed, among those with versions that both passed and failed.
    pub passed: usize,
    /// Number of these runs that failed.
    pub failed: usize,
    /// Number of runs with these versions whose testbed failed, which is not the test's fault.
    pub tmpfailed: usize,
    /// The newest tested version that both passed and failed.
    pub version: String,
    /// Time when the newest of these runs was published.
    pub last: Timestamp,
}

impl FlakyTest {
    /// Returns the share of failures.
    pub fn rate(&self) -> f64 {
        self.failed as f64 / (self.passed + self.failed).max(1) as f64
    }
}

fn is_baseline(triggers: &[&str]) -> bool {
    triggers.iter().any(|trigger| trigger.parse().is_ok_and(|trigger: crate::request::Trigger| trigger.is_baseline()))
}

/// Counts of a test's runs with the same versions.
#[derive(Debug, Clone, Default)]
pub(crate) struct SameVersions {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) tmpfailed: usize,
    pub(crate) newest: Option<RunId>,
}

/// Collects flaky tests.
#[derive(Default)]
pub struct FlakyTests(BTreeMap<(String, String), FlakyTest>);

impl FlakyTests {
    /// Adds a test's runs with the same versions.
    pub(crate) fn add(&mut self, package: &str, architecture: &str, version: &str, runs: &SameVersions) {
        let SameVersions { passed, failed, tmpfailed, newest: Some(newest) } = runs else { return };
        let Ok(name) = architecture.parse::<Architecture>() else { return };
        if *passed == 0 || *failed == 0 {
            return;
        }
        let last = newest.published();
        let flaky = self.0.entry((package.to_owned(), architecture.to_owned())).or_insert_with(|| FlakyTest {
            package: package.to_owned(),
            architecture: name,
            passed: 0,
            failed: 0,
            tmpfailed: 0,
            version: String::new(),
            last,
        });
        flaky.passed += passed;
        flaky.failed += failed;
        flaky.tmpfailed += tmpfailed;
        if last >= flaky.last {
            flaky.last = last;
            version.clone_into(&mut flaky.version);
        }
    }

    /// Returns the flaky tests among these runs.
    pub fn of(runs: &[StoredRun]) -> Vec<FlakyTest> {
        let mut alike: BTreeMap<(&str, &str, &str, Vec<&str>), SameVersions> = BTreeMap::new();
        for run in runs {
            let triggers: Vec<&str> = run.summary.triggers.iter().flatten().map(String::as_str).collect();
            // Without triggers, in branches, and between two baselines, other things may have changed.
            if !run.is_evidence() || run.is_branch() || triggers.is_empty() || is_baseline(&triggers) {
                continue;
            }
            let (package, architecture) = (run.path.package.as_str(), run.path.architecture.as_str());
            let same = alike.entry((package, architecture, run.summary.version.as_str(), triggers)).or_default();
            match run.outcome() {
                Outcome::Pass | Outcome::Neutral => same.passed += 1,
                Outcome::Fail => same.failed += 1,
                Outcome::Tmpfail => same.tmpfailed += 1,
                Outcome::Error | Outcome::Denylisted => {}
            }
            same.newest = same.newest.take().max(Some(run.id.clone()));
        }
        let mut found = Self::default();
        for ((package, architecture, version, _), same) in &alike {
            found.add(package, architecture, version, same);
        }
        found.finish()
    }

    /// Returns the tests, those that changed most often first.
    pub(crate) fn finish(self) -> Vec<FlakyTest> {
        let mut found: Vec<FlakyTest> = self.0.into_values().collect();
        let changes = |flaky: &FlakyTest| flaky.passed.min(flaky.failed);
        found.sort_by(|a, b| changes(b).cmp(&changes(a)).then_with(|| b.last.cmp(&a.last)));
        found
    }
}
