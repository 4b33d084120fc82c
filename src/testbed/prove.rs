//! Comparison of a testbed's packages with those that its request asked for.

use std::cmp::Ordering;

use debversion::Version;

use super::apt::{AptSetup, PocketSelection};
use super::evidence::{AvailableVersion, Binary, Evidence};
use super::ppa::{self, PpaAccess};
use crate::request::{Request, TestSource, Trigger};
use crate::result::{Proof, ProofItem, ProofKind, ProofVerdict};

/// Facts about a run that has ended.
#[derive(Debug, Clone, Copy)]
pub struct RunFacts<'a> {
    /// Request that was tested.
    pub request: &'a Request,
    /// Setup of apt for it.
    pub setup: &'a AptSetup,
    /// PPAs of the request.
    pub ppas: &'a [PpaAccess],
    /// Reports of the testbed.
    pub reports: &'a [Evidence],
    /// Binary packages that were installed when tests ran, with their versions.
    pub packages: &'a [(String, String)],
    /// Whether these are all of them.
    pub has_all_packages: bool,
    /// Source that was unpacked, as `SRC VERSION`.
    pub source: Option<&'a str>,
    /// Whether this is the second run, with every package of the pocket.
    pub is_fallback: bool,
}

/// Judgement of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Record for the result.
    pub proof: Proof,
    /// Whether the testbed had a newer version than requested, so that a retry is pointless.
    pub is_superseded: bool,
    /// Whether the triggers were available and other versions were installed: their dependencies cannot be met from the
    /// release.
    pub is_held_back: bool,
    /// Reason for which apt could not be set up.
    pub setup_error: Option<String>,
}

/// One item, with the reason for which it is not met.
struct JudgedItem {
    item: ProofItem,
    is_superseded: bool,
    is_held_back: bool,
}

impl JudgedItem {
    fn met(item: ProofItem) -> Self {
        Self { item, is_superseded: false, is_held_back: false }
    }

    fn not_met(item: ProofItem, reason: impl Into<String>) -> Self {
        Self::met(ProofItem { reason: Some(reason.into()), ..item })
    }

    fn superseded(item: ProofItem, by: &str, reason: &str) -> Self {
        let item = ProofItem { found: Some(by.to_owned()), ..item };
        Self { is_superseded: true, ..Self::not_met(item, format!("superseded: {reason}")) }
    }
}

impl RunFacts<'_> {
    /// Judges the run. Without a report there is no proof, and nothing is refuted.
    pub fn judge(&self) -> Judgement {
        let nothing = Judgement {
            proof: Proof { fallback: self.is_fallback, ..Proof::default() },
            is_superseded: false,
            is_held_back: false,
            setup_error: None,
        };
        // Every reset of the testbed makes a report; the first one that does not hold decides.
        let mut judged = self.reports.iter().filter(|report| report.is_complete && !report.is_absent).map(|report| {
            let items = self.items(report);
            let is_met = report.error.is_none() && items.iter().all(|judged| judged.item.reason.is_none());
            (report, items, is_met)
        });
        let Some(first) = judged.next() else { return nothing };
        let (report, items, _) = if first.2 { judged.find(|(_, _, is_met)| !is_met).unwrap_or(first) } else { first };
        let is_superseded = items.iter().any(|judged| judged.is_superseded);
        let is_held_back = items.iter().any(|judged| judged.is_held_back);
        let mut proof = Proof::of(items.into_iter().map(|judged| judged.item).collect(), self.is_fallback);
        let is_branch_missing = self.request.parameters().source.is_some() && self.source.is_none();
        // The package that stayed old may be one that is left out of the list.
        let is_cut = !self.has_all_packages || self.reports.iter().any(|report| report.is_cut);
        if proof.verdict == ProofVerdict::Proven && (report.error.is_some() || is_branch_missing || is_cut) {
            proof.verdict = ProofVerdict::None;
        }
        Judgement { proof, is_superseded, is_held_back, setup_error: report.error.clone() }
    }

    fn items(&self, report: &Evidence) -> Vec<JudgedItem> {
        let parameters = self.request.parameters();
        let mut items: Vec<JudgedItem> =
            self.setup.triggers().iter().map(|trigger| self.trigger(trigger, report)).collect();
        if parameters.all_proposed
            && let Some(pocket) = &self.setup.pocket
        {
            let item = ProofItem::new(ProofKind::Pocket, pocket.as_str());
            items.push(match report.indexes.iter().find(|index| index.suite == pocket.as_str()) {
                Some(index) => JudgedItem::met(ProofItem { from: Some(index.url.clone()), ..item }),
                None => JudgedItem::not_met(item, why(report, "its index was not read")),
            });
        }
        items.extend(self.ppas.iter().map(|access| self.ppa(access, report)));
        if let Some(source) = &parameters.source {
            let address = match source {
                TestSource::TestGit(git) | TestSource::BuildGit(git) => git.to_string(),
                TestSource::TestBzr(bzr) => bzr.to_string(),
            };
            let item = ProofItem::new(ProofKind::Branch, address);
            items.push(JudgedItem::met(ProofItem { found: self.source.map(str::to_owned), ..item }));
        }
        if self.request.is_baseline() {
            let found = match (&self.setup.take, &self.setup.pocket) {
                (PocketSelection::Nothing(_), Some(pocket)) => format!("nothing of {pocket}"),
                _ => "the release as it is".to_owned(),
            };
            let item = ProofItem::new(ProofKind::Baseline, "migration-reference/0");
            items.push(JudgedItem::met(ProofItem { found: Some(found), ..item }));
        }
        items
    }

    fn trigger(&self, trigger: &Trigger, report: &Evidence) -> JudgedItem {
        let (source, asked) = (trigger.package().as_str(), trigger.version());
        let versions: Vec<&AvailableVersion> = report.versions.iter().filter(|one| one.source == source).collect();
        let there: Vec<&AvailableVersion> = versions.iter().copied().filter(|one| one.version == asked).collect();
        let is_asked = |binary: &&Binary| binary.source == source && binary.source_version == asked;
        let shipped: Vec<&Binary> = report.ships.iter().filter(is_asked).collect();
        let mut suites: Vec<&str> = there.iter().map(|one| one.suite.as_str()).collect();
        suites.dedup();
        let item = ProofItem {
            found: (!there.is_empty()).then(|| asked.to_owned()),
            from: (!suites.is_empty()).then(|| suites.join(", ")),
            ..ProofItem::new(ProofKind::Trigger, trigger.to_string())
        };
        if !shipped.is_empty() {
            let mut candidates = report.candidates.iter().filter(|one| one.source == source).peekable();
            if candidates.peek().is_none() {
                return JudgedItem::not_met(item, why(report, "apt would install none of its binary packages"));
            }
            if let Some(other) = candidates.find(|one| one.version.as_deref() != Some(asked)) {
                let example = &other.example;
                return match &other.version {
                    Some(newer) if is_newer(newer, asked) => {
                        JudgedItem::superseded(item, newer, &format!("apt installs {example} there"))
                    }
                    _ => JudgedItem::not_met(item, why(report, &format!("apt would install {example} instead"))),
                };
            }
            return self.installed(item, &shipped, report);
        }
        if let Some(binary) = report.installed.iter().find(is_asked) {
            let installed = Some(format!("{} {}", binary.name, binary.version));
            return JudgedItem::met(ProofItem { found: Some(asked.to_owned()), installed, ..item });
        }
        if there.iter().any(|one| one.has_source) && versions.iter().all(|one| one.binaries == 0) {
            return JudgedItem::met(item);
        }
        let newest = versions.iter().copied().max_by(|a, b| compare(&a.version, &b.version));
        match newest {
            Some(newest) if is_newer(&newest.version, asked) => {
                let reason = format!("{} has {}", newest.suite, newest.version);
                JudgedItem::superseded(item, &newest.version, &reason)
            }
            _ if !there.is_empty() => {
                let reason = "it has no binary packages for this architecture yet";
                JudgedItem::not_met(item, why(report, reason))
            }
            Some(newest) => {
                let reason = format!("the newest version in the testbed is {} ({})", newest.version, newest.suite);
                JudgedItem::not_met(item, why(report, &reason))
            }
            None => JudgedItem::not_met(item, why(report, "the testbed's archives have no version of it")),
        }
    }

    /// Compares the packages that were installed when tests ran with those that apt promised.
    fn installed(&self, item: ProofItem, shipped: &[&Binary], report: &Evidence) -> JudgedItem {
        let mut shown = None;
        for binary in shipped {
            let is_it = |name: &str| name == binary.name;
            let mut versions: Vec<&str> =
                self.packages.iter().filter(|(name, _)| is_it(name)).map(|(_, version)| version.as_str()).collect();
            // The state before the upgrade says nothing about the test, unless there is no upgrade.
            if versions.is_empty() && self.setup.is_read_only {
                versions.extend(report.installed.iter().filter(|one| is_it(&one.name)).map(|one| one.version.as_str()));
            }
            for version in versions {
                if !shipped.iter().any(|one| is_it(&one.name) && one.version == version) {
                    let installed = Some(format!("{} {version}", binary.name));
                    let reason = format!("{} {version} stayed installed", binary.name);
                    let judged = JudgedItem::not_met(ProofItem { installed, ..item }, reason);
                    return JudgedItem { is_held_back: true, ..judged };
                }
                shown.get_or_insert_with(|| format!("{} {version}", binary.name));
            }
        }
        JudgedItem::met(ProofItem { installed: shown, ..item })
    }

    fn ppa(&self, access: &PpaAccess, report: &Evidence) -> JudgedItem {
        let url = address(access);
        let item = ProofItem {
            from: Some(url.clone()),
            ..ProofItem::new(ProofKind::Ppa, format!("{}/{}", access.ppa.owner(), access.ppa.name()))
        };
        let is_here = |other: &str| other.trim_end_matches('/') == url;
        if !report.indexes.iter().any(|index| is_here(&index.url)) {
            return JudgedItem::not_met(item, why(report, "its index was not read"));
        }
        let of_request: Vec<String> = self.ppas.iter().map(address).collect();
        let is_of_request =
            |one: &&AvailableVersion| of_request.iter().any(|other| other == one.url.trim_end_matches('/'));
        let mut found: Vec<String> = Vec::new();
        for available in report.versions.iter().filter(|one| is_here(&one.url) && one.binaries > 0) {
            let source = &available.source;
            let of_source = report.versions.iter().filter(|one| one.source == *source && one.binaries > 0);
            let newest = of_source.filter(is_of_request).max_by(|a, b| compare(&a.version, &b.version));
            let Some(newest) = newest else { continue };
            let candidates: Vec<&str> = report
                .candidates
                .iter()
                .filter(|one| one.source == *source)
                .filter_map(|one| one.version.as_deref())
                .collect();
            if !candidates.contains(&newest.version.as_str()) {
                let would = candidates.join(", ");
                let reason = format!("it has {source} {}, apt would install {would}", available.version);
                return match candidates.iter().find(|other| is_newer(other, &newest.version)) {
                    Some(newer) => JudgedItem::superseded(item, &format!("{source} {newer}"), &reason),
                    None => JudgedItem::not_met(item, reason),
                };
            }
            found.push(format!("{source} {}", available.version));
        }
        JudgedItem::met(ProofItem { found: (!found.is_empty()).then(|| found.join(", ")), ..item })
    }
}

/// Returns the address of a PPA's archive, in the form in which apt gets it.
fn address(access: &PpaAccess) -> String {
    ppa::archive_url(&access.archive_url).unwrap_or_else(|| access.archive_url.clone())
}

/// Returns the reason, or why apt could not be set up if that is known.
fn why(report: &Evidence, reason: &str) -> String {
    report.error.clone().unwrap_or_else(|| reason.to_owned())
}

fn is_newer(version: &str, than: &str) -> bool {
    compare(version, than) == Ordering::Greater
}

/// Compares by Debian's order of versions. Invalid versions are older than all others.
fn compare(a: &str, b: &str) -> Ordering {
    a.parse::<Version>().ok().cmp(&b.parse::<Version>().ok())
}

#[cfg(test)]
mod tests;
