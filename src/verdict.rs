//! Classification of runs, the same for all views.

use std::fmt;

use serde::Serialize;

use crate::request::Trigger;
use crate::result::Outcome;
use crate::runs::StoredRun;
use crate::store::{Store, StoreError};

/// Class of a run: whether its package is good, and whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Classification {
    /// Passed, or no test counts.
    Pass,
    /// Fails, and did not before, or does not without its triggers.
    Regression,
    /// Fails, also without its triggers.
    AlwaysFailed,
    /// Fails, and passed with the very same versions.
    Flaky,
    /// The testbed or autopkgtest itself failed, which says nothing about the package.
    Infrastructure,
    /// Was not run, because the operators excluded it, or because the package has no such test.
    NotRun,
}

impl Classification {
    /// Returns the class in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Regression => "regression",
            Self::AlwaysFailed => "always failed",
            Self::Flaky => "flaky",
            Self::Infrastructure => "infrastructure",
            Self::NotRun => "not run",
        }
    }
}

impl fmt::Display for Classification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Reason for exit code 8. autopkgtest ends with it also when tests ran, but only superficial ones passed, or flaky
/// ones failed.
const NO_TEST_COUNTS: &str = "no test counts: there are none, or all were skipped, superficial or flaky";

/// Classification of a run, with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The class.
    pub meaning: Classification,
    /// The reason, in a sentence.
    pub reason: String,
    /// Location of the other run in the reason.
    #[serde(skip)]
    cited: Option<String>,
}

impl Verdict {
    /// Classifies a run by its exit code, the baseline, and the package's other runs on its release and architecture,
    /// in any order. Only failures need these. Runs from branches say nothing about a run of the archive's package.
    pub fn of(run: &StoredRun, others: &[StoredRun]) -> Self {
        let verdict = |meaning, reason: String| Self { meaning, reason, cited: None };
        let citing =
            |other: &StoredRun, meaning, reason: String| Self { meaning, reason, cited: Some(other.location()) };
        if run.damaged {
            return verdict(Classification::Infrastructure, "its result is damaged".to_owned());
        }
        if !run.is_evidence() {
            return verdict(Classification::Infrastructure, "the testbed lacked requested packages".to_owned());
        }
        match run.outcome() {
            Outcome::Pass => return verdict(Classification::Pass, "it passed".to_owned()),
            Outcome::Neutral => return verdict(Classification::Pass, NO_TEST_COUNTS.to_owned()),
            Outcome::Tmpfail => return verdict(Classification::Infrastructure, "the testbed failed".to_owned()),
            Outcome::Error => {
                let reason = format!("autopkgtest ended with {}", run.summary.exitcode);
                return verdict(Classification::Infrastructure, reason);
            }
            Outcome::Denylisted => {
                return verdict(Classification::NotRun, "the worker's never_run list excludes it".to_owned());
            }
            Outcome::Fail => {}
        }
        let mut others: Vec<&StoredRun> =
            others.iter().filter(|other| other.id != run.id && (run.is_branch() || !other.is_branch())).collect();
        others.sort_by(|a, b| b.id.cmp(&a.id));
        let passed = |other: &&&StoredRun| matches!(other.decision(), Some(Outcome::Pass | Outcome::Neutral));
        let is_same = |other: &&&StoredRun| {
            // Between two baselines, the rest of the release may have changed.
            !is_baseline(run)
                && other.summary.version == run.summary.version
                && same_triggers(other, run)
                && !triggers(run).is_empty()
        };
        if let Some(other) = others.iter().filter(is_same).find(passed) {
            let reason = format!("with the same version and triggers it passed in {}", other.id);
            return citing(other, Classification::Flaky, reason);
        }
        let decided = |other: &&&StoredRun| other.decision().is_some();
        if !is_baseline(run)
            && let Some(baseline) = others.iter().filter(|other| is_baseline(other)).find(decided)
        {
            return match baseline.outcome() {
                Outcome::Fail => citing(
                    baseline,
                    Classification::AlwaysFailed,
                    format!("the baseline, {}, failed as well", baseline.id),
                ),
                _ => citing(baseline, Classification::Regression, format!("the baseline, {}, passed", baseline.id)),
            };
        }
        match others.iter().filter(|other| other.id < run.id).find(passed) {
            Some(before) => {
                let version = &before.summary.version;
                citing(before, Classification::Regression, format!("version {version} passed in {}", before.id))
            }
            None => verdict(Classification::AlwaysFailed, "it has not passed before".to_owned()),
        }
    }

    /// Returns the verdict for a package that does not have the only requested test.
    pub fn without_test(name: &str) -> Self {
        Self { meaning: Classification::NotRun, reason: format!("the package has no test {name}"), cited: None }
    }

    /// Classifies a run, and reads the result of the other run in the reason. If that is damaged, it is marked and
    /// ignored, whatever its listing says.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn of_read(run: &StoredRun, others: &mut [StoredRun], store: &Store) -> Result<Self, StoreError> {
        loop {
            let verdict = Self::of(run, others);
            let is_cited = |other: &&mut StoredRun| Some(other.location()) == verdict.cited;
            let Some(cited) = others.iter_mut().find(is_cited) else { return Ok(verdict) };
            // A damaged run is not cited again.
            if cited.check(store).await? {
                return Ok(verdict);
            }
        }
    }
}

fn triggers(run: &StoredRun) -> Vec<&str> {
    let mut triggers: Vec<&str> = run.summary.triggers.iter().flatten().map(String::as_str).collect();
    triggers.sort_unstable();
    triggers
}

fn same_triggers(a: &StoredRun, b: &StoredRun) -> bool {
    triggers(a) == triggers(b)
}

fn is_baseline(run: &StoredRun) -> bool {
    run.summary
        .triggers
        .iter()
        .flatten()
        .any(|trigger| trigger.parse().is_ok_and(|trigger: Trigger| trigger.is_baseline()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::{PackagePath, RunSummary};

    fn run(day: u8, exitcode: i32, version: &str, trigger: &str) -> StoredRun {
        StoredRun {
            container: "autopkgtest-noble".to_owned(),
            path: PackagePath {
                release: "noble".parse().unwrap(),
                architecture: "amd64".parse().unwrap(),
                package: "gzip".parse().unwrap(),
            },
            id: format!("202601{day:02}_120000_abcde@").parse().unwrap(),
            summary: RunSummary {
                exitcode,
                version: version.to_owned(),
                duration: 1,
                triggers: Some(vec![trigger.to_owned()]),
                requester: None,
                uuid: None,
                proof: crate::result::ProofVerdict::None,
                fallback: false,
                options: None,
            },
            damaged: false,
        }
    }

    #[test]
    fn a_run_is_judged_by_its_exit_code_the_baseline_and_the_history() {
        let fails = || run(9, 4, "1-1", "glibc/2");
        let passes_before = run(1, 0, "1-1", "glibc/1");
        let baseline = |exit_code| run(5, exit_code, "1-1", "migration-reference/0");
        let cases: &[(StoredRun, &[StoredRun], Classification, &str)] = &[
            (run(9, 0, "1-1", "glibc/2"), &[], Classification::Pass, "passed"),
            (run(9, 8, "1-1", "glibc/2"), &[], Classification::Pass, "all were skipped, superficial or flaky"),
            (run(9, 16, "1-1", "glibc/2"), &[], Classification::Infrastructure, "testbed"),
            (run(9, 1, "1-1", "glibc/2"), &[], Classification::Infrastructure, "ended with 1"),
            (run(9, 99, "1-1", "glibc/2"), &[], Classification::NotRun, "never"),
            (fails(), &[], Classification::AlwaysFailed, "not passed before"),
            (
                fails(),
                std::slice::from_ref(&passes_before),
                Classification::Regression,
                "version 1-1 passed in 20260101",
            ),
            (fails(), &[passes_before.clone(), baseline(4)], Classification::AlwaysFailed, "the baseline, 20260105"),
            (fails(), &[baseline(0)], Classification::Regression, "the baseline, 20260105"),
            // A baseline without a result says nothing.
            (fails(), &[passes_before.clone(), baseline(16)], Classification::Regression, "version 1-1"),
            // The very same versions passed, even if only later.
            (fails(), &[baseline(4), run(10, 0, "1-1", "glibc/2")], Classification::Flaky, "20260110"),
            // Another version of the package that passed later says nothing about this one.
            (fails(), &[run(10, 0, "1-2", "glibc/2")], Classification::AlwaysFailed, "not passed before"),
            (
                baseline(4),
                &[run(1, 0, "1-1", "migration-reference/0")],
                Classification::Regression,
                "version 1-1 passed",
            ),
        ];
        let damaged = |run: StoredRun| StoredRun { damaged: true, ..run };
        let refuted = |mut run: StoredRun| {
            run.summary.proof = crate::result::ProofVerdict::Refuted;
            run
        };
        let (cut_pass, cut_baseline) = ([damaged(passes_before.clone())], [damaged(baseline(0))]);
        let cases =
            cases.iter().map(|(run, others, meaning, reason)| (run.clone(), *others, *meaning, *reason)).chain([
                // A damaged result is ignored, whatever its exit code is.
                (fails(), cut_pass.as_slice(), Classification::AlwaysFailed, "not passed before"),
                (fails(), cut_baseline.as_slice(), Classification::AlwaysFailed, "not passed before"),
                (damaged(run(9, 0, "1-1", "glibc/2")), &[], Classification::Infrastructure, "damaged"),
                // So is one whose testbed lacked something that was requested.
                (
                    refuted(run(9, 16, "1-1", "glibc/2")),
                    &[],
                    Classification::Infrastructure,
                    "lacked requested packages",
                ),
                (
                    refuted(run(9, 0, "1-1", "glibc/2")),
                    &[],
                    Classification::Infrastructure,
                    "lacked requested packages",
                ),
            ]);
        for (run, others, meaning, reason) in cases {
            let verdict = Verdict::of(&run, others);
            assert_eq!(verdict.meaning, meaning, "{verdict:?}");
            assert!(verdict.reason.contains(reason), "{verdict:?}");
        }
    }
}
