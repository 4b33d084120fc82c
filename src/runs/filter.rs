//! Filter for runs. An index and a store return the same runs for it.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use super::{ListedResult, StoredRun};
use crate::release::{Architecture, Release};
use crate::request::{InvalidRequest, SourcePackage};
use crate::result::Outcome;
use crate::result::layout::{PackagePath, ResultLocation, container};

/// `SRC`, any version of it, or `SRC/VERSION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggerPattern(String);

impl FromStr for TriggerPattern {
    type Err = InvalidRequest;

    fn from_str(text: &str) -> Result<Self, InvalidRequest> {
        match text.split_once('/') {
            None => {
                text.parse::<SourcePackage>()?;
                Ok(Self(format!("{text}/")))
            }
            Some(_) => Ok(Self(text.parse::<crate::request::Trigger>()?.to_string())),
        }
    }
}

impl TriggerPattern {
    /// Returns the prefix of matching triggers, and whether it is the whole trigger.
    pub(crate) fn beginning(&self) -> (&str, bool) {
        (&self.0, !self.0.ends_with('/'))
    }

    /// Returns whether a trigger matches.
    pub fn matches(&self, trigger: &str) -> bool {
        let (beginning, is_whole) = self.beginning();
        if is_whole { trigger == beginning } else { trigger.starts_with(beginning) }
    }
}

impl fmt::Display for TriggerPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.trim_end_matches('/'))
    }
}

/// Source of the tested packages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PackageSource {
    /// The release itself.
    #[default]
    Release,
    /// A PPA, in its public and private containers.
    Ppa {
        /// The part of the containers' names: `OWNER-NAME`. Several PPAs may share it.
        container: String,
        /// `OWNER/NAME`, if known. Runs that are known to be of another PPA do not match.
        name: Option<String>,
    },
}

impl PackageSource {
    /// Returns the PPA with this owner and name.
    pub fn ppa(owner: &str, name: &str) -> Self {
        Self::Ppa { container: format!("{owner}-{name}"), name: Some(format!("{owner}/{name}")) }
    }

    /// Returns the source of a run's packages.
    pub fn of(run: &StoredRun) -> Self {
        match ResultLocation::of_container(&run.container) {
            Some((_, Some(container))) => {
                Self::Ppa { container: container.to_owned(), name: run.ppa().map(str::to_owned) }
            }
            _ => Self::Release,
        }
    }

    /// Returns whether a run in one of these containers matches.
    fn matches(&self, run: &StoredRun) -> bool {
        match self {
            Self::Ppa { name: Some(name), .. } => run.ppa().is_none_or(|ppa| ppa == name),
            _ => true,
        }
    }

    /// Returns the containers with such runs of a release, the public one first.
    pub fn containers(&self, release: &Release) -> Vec<String> {
        match self {
            Self::Release => vec![container(release)],
            Self::Ppa { container: name, .. } => {
                let public = format!("{}-{name}", container(release));
                let private = format!("{}-{name}", ResultLocation::anonymous_container(release));
                vec![public, private]
            }
        }
    }
}

/// Filter for runs: all conditions have to be met.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunFilter {
    /// The source of the packages.
    pub origin: PackageSource,
    /// The package.
    pub package: Option<SourcePackage>,
    /// Any of these releases.
    pub releases: Vec<Release>,
    /// The architecture.
    pub architecture: Option<Architecture>,
    /// One of the triggers.
    pub trigger: Option<TriggerPattern>,
    /// The requester.
    pub requester: Option<String>,
    /// Any of these; all if empty.
    pub outcomes: Vec<Outcome>,
    /// Published at this time or later.
    pub since: Option<Timestamp>,
    /// Published before this time.
    pub until: Option<Timestamp>,
    /// Only the newest run of each package, release and architecture that meets all conditions except the outcome. Runs
    /// from branches and runs that are not evidence are ignored.
    pub latest: bool,
}

impl RunFilter {
    /// Returns whether a run meets all conditions except releases, package, containers and outcome.
    fn matches(&self, run: &StoredRun) -> bool {
        let triggers = || run.summary.triggers.iter().flatten();
        self.origin.matches(run)
            && self.architecture.as_ref().is_none_or(|architecture| *architecture == run.path.architecture)
            && self.trigger.as_ref().is_none_or(|pattern| triggers().any(|trigger| pattern.matches(trigger)))
            && self.requester.as_ref().is_none_or(|name| run.summary.requester.as_ref() == Some(name))
            && self.since.is_none_or(|since| run.id.published() >= since)
            && self.until.is_none_or(|until| run.id.published() < until)
    }

    /// Returns whether a run can be its package's latest.
    pub(super) fn can_be_latest(&self, run: &StoredRun) -> bool {
        self.matches(run) && run.is_evidence() && !run.is_branch()
    }

    /// Removes results from a listing that need not be read: those that are too old or too new and, if only the time
    /// counts, those that are older than `limit` others.
    pub(crate) fn preselect(&self, mut listed: Vec<ListedResult>, limit: usize) -> Vec<ListedResult> {
        listed.retain(|result| {
            let published = result.id.published();
            self.since.is_none_or(|since| published >= since)
                && self.until.is_none_or(|until| published < until)
                && self.architecture.as_ref().is_none_or(|architecture| *architecture == result.path.architecture)
        });
        let is_known = matches!(self.origin, PackageSource::Release | PackageSource::Ppa { name: None, .. });
        let by_time = self.outcomes.is_empty() && self.trigger.is_none() && self.requester.is_none() && !self.latest;
        if is_known && by_time {
            listed.sort_by(|a, b| (&b.id, &b.path).cmp(&(&a.id, &a.path)));
            listed.truncate(limit.saturating_add(1));
        }
        listed
    }

    /// Applies the filter to runs, and sorts them newest first.
    pub fn apply(&self, mut runs: Vec<StoredRun>) -> Vec<StoredRun> {
        runs.retain(|run| self.matches(run));
        runs.sort_by(|a, b| (&b.id, &b.path).cmp(&(&a.id, &a.path)));
        if self.latest {
            let mut seen: HashSet<PackagePath> = HashSet::new();
            runs.retain(|run| self.can_be_latest(run) && seen.insert(run.path.clone()));
        }
        runs.retain(|run| self.outcomes.is_empty() || self.outcomes.contains(&run.outcome()));
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_means_every_version_of_it_as_a_trigger() {
        let any: TriggerPattern = "glibc".parse().unwrap();
        assert!(any.matches("glibc/2.39-1") && !any.matches("glibc-doc/2.39-1") && !any.matches("x/glibc"));
        let one: TriggerPattern = "glibc/2.39-1".parse().unwrap();
        assert!(one.matches("glibc/2.39-1") && !one.matches("glibc/2.39-10"));
        assert_eq!((any.to_string(), one.to_string()), ("glibc".to_owned(), "glibc/2.39-1".to_owned()));
        for text in ["", "/1", "a b", "glibc/"] {
            text.parse::<TriggerPattern>().unwrap_err();
        }
    }
}
