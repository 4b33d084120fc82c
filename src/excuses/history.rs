//! Earlier results of a test that is to be run again.

use std::collections::BTreeMap;

use super::Retry;
use crate::result::Outcome;
use crate::runs::StoredRun;

/// Number of newest results of a test that decide whether it is flaky.
pub const MAX_HISTORY: usize = 20;

/// Returns whether the newest result of the test with one of its triggers is a failure of the testbed, which includes a
/// testbed that lacked something that was requested. Damaged results are ignored. `runs` are the package's on the
/// architecture, oldest first.
pub fn is_infrastructure(retry: &Retry, runs: &[StoredRun]) -> bool {
    let triggers: Vec<String> = retry.triggers.iter().map(ToString::to_string).collect();
    let with_one = |run: &&StoredRun| {
        !run.damaged
            && !run.is_branch()
            && run.summary.triggers.iter().flatten().any(|trigger| triggers.contains(trigger))
    };
    let newest = runs.iter().rev().find(with_one);
    newest.is_some_and(|run| run.outcome() == Outcome::Tmpfail || !run.is_evidence())
}

/// Returns whether the test both passed and failed with the very same triggers, among the newest [`MAX_HISTORY`]
/// results of the tested version: that of the excuses, or else of the newest result. Results with different triggers
/// are not compared: one of them may be a true regression.
pub fn is_flaky(retry: &Retry, runs: &[StoredRun]) -> bool {
    let decided = |run: &&StoredRun| run.decision().is_some() && !run.is_branch();
    let known = retry.version.as_deref().filter(|version| *version != super::retry::UNKNOWN);
    let newest = || runs.iter().rev().find(decided).map(|run| run.summary.version.as_str());
    let Some(version) = known.or_else(newest) else { return false };
    let mut seen: BTreeMap<Vec<&str>, (bool, bool)> = BTreeMap::new();
    let of_version = runs.iter().rev().filter(decided).filter(|run| run.summary.version == version);
    for run in of_version.take(MAX_HISTORY) {
        let mut triggers: Vec<&str> = run.summary.triggers.iter().flatten().map(String::as_str).collect();
        triggers.sort_unstable();
        let (passed, failed) = seen.entry(triggers).or_default();
        match run.outcome() {
            Outcome::Fail => *failed = true,
            _ => *passed = true,
        }
    }
    seen.values().any(|(passed, failed)| *passed && *failed)
}
