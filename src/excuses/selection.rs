//! Selection of tests in excuses.

use super::retry::UNKNOWN;
use super::{Excuse, Excuses, ExcusesError, LineError, Retry, RetryOptions, Test, TestState};
use crate::release::Architecture;
use crate::request::{Ppa, SourcePackage};
use std::io::BufRead;

/// Conditions for tests that are to be run again.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// The states of the tests.
    pub states: Vec<TestState>,
    /// Minimum number of days that the new version has been waiting. An unknown age meets the condition.
    pub min_age: Option<f64>,
    /// Maximum number of days that the new version has been waiting.
    pub max_age: Option<f64>,
    /// The package whose new version causes the tests.
    pub blocks: Option<SourcePackage>,
    /// A package that the new version waits for.
    pub blocked_by: Option<SourcePackage>,
    /// The tested packages; all if empty.
    pub packages: Vec<SourcePackage>,
    /// The architectures; all if empty.
    pub architectures: Vec<Architecture>,
    /// Only tests whose tested version was not known.
    pub only_unknown: bool,
}

/// Selected retries.
#[derive(Debug, Default)]
pub struct SelectedRetries {
    /// The retries in the order of the excuses, without duplicates.
    pub retries: Vec<Retry>,
    /// Number of tests that are left out because the excuses do not have the version that would be their trigger.
    pub without_trigger: usize,
    /// Other tests that are left out, because they cannot be parsed, or no server would accept them.
    pub odd: Vec<LineError>,
}

impl SelectedRetries {
    /// Gives tests without an address the PPAs of the others: proposed-migration runs all tests with the same ones. If
    /// addresses differ, such a test is left out, because without its PPAs it would be another test.
    fn complete_ppas(&mut self, known: &[Vec<String>]) {
        let [ppas] = known else {
            if !known.is_empty() {
                let (kept, unclear) =
                    std::mem::take(&mut self.retries).into_iter().partition(|retry| retry.has_address);
                self.retries = kept;
                self.odd.extend(unclear.into_iter().map(|retry: Retry| LineError {
                    line: retry.line,
                    message: format!(
                        "the test of {} has no address, and those of others differ in their PPAs",
                        retry.package
                    ),
                }));
            }
            return;
        };
        // An address with these PPAs was parsed, or is left out as odd itself.
        let Ok(ppas) = ppas.iter().map(|ppa| ppa.parse()).collect::<Result<Vec<Ppa>, _>>() else { return };
        for retry in self.retries.iter_mut().filter(|retry| !retry.has_address && !retry.is_baseline()) {
            retry.ppas.clone_from(&ppas);
        }
    }
}

impl Selection {
    /// Reads excuses to their end.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn read(&self, input: impl BufRead, manner: &RetryOptions) -> Result<SelectedRetries, ExcusesError> {
        let mut selected = SelectedRetries::default();
        let mut seen = std::collections::HashSet::new();
        let mut excuses = Excuses::new(input, &self.states);
        for excuse in excuses.by_ref() {
            let mut excuse = match excuse {
                Err(ExcusesError::OddItem(fault)) => {
                    selected.odd.push(fault);
                    continue;
                }
                other => other?,
            };
            if !self.takes(&excuse) {
                continue;
            }
            selected.odd.append(&mut excuse.odd);
            for test in excuse.tests.iter().filter(|test| self.takes_test(test)) {
                match manner.retry(&excuse, test) {
                    Err(fault) => selected.odd.push(fault),
                    Ok(None) => selected.without_trigger += 1,
                    Ok(Some(retry)) => selected.retries.push(retry),
                }
            }
        }
        selected.complete_ppas(excuses.ppas());
        selected.retries.retain(|retry| seen.insert(retry.key()));
        selected.odd.sort_by_key(|fault| fault.line);
        Ok(selected)
    }

    fn takes(&self, excuse: &Excuse) -> bool {
        let named = |package: &SourcePackage, name: &String| package.as_str() == name;
        let waits_for = |package: &SourcePackage| {
            // An entry may also have a version or an architecture.
            let name = |entry: &str| entry.split(['/', ' ']).next() == Some(package.as_str());
            excuse.blocked_by.iter().any(|entry| name(entry))
        };
        self.min_age.is_none_or(|least| excuse.age.is_none_or(|age| age >= least))
            && self.max_age.is_none_or(|most| excuse.age.is_none_or(|age| age <= most))
            && self.blocks.as_ref().is_none_or(|package| named(package, &excuse.source))
            && self.blocked_by.as_ref().is_none_or(waits_for)
    }

    fn takes_test(&self, test: &Test) -> bool {
        (self.packages.is_empty() || self.packages.iter().any(|package| package.as_str() == test.package))
            && (self.architectures.is_empty() || self.architectures.iter().any(|one| one.as_str() == test.architecture))
            && (!self.only_unknown || test.version.as_deref() == Some(UNKNOWN))
    }
}
