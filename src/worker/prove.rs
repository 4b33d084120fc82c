//! Proof of a run: the report of its testbed is read after autopkgtest has ended, and decides whether the run counts.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;

use crate::exit_code::autopkgtest;
use crate::request::Request;
use crate::result::{MAX_LOG_HEAD, Proof, ProofItem, ProofVerdict, Redactor};
use crate::testbed::apt::PocketSelection;
use crate::testbed::evidence::Evidence;
use crate::testbed::prove::{Judgement, RunFacts};
use crate::testbed::{Plan, PpaAccess};

/// Message of autopkgtest, in its summary and log, when it cannot install a test's dependencies.
const UNSATISFIABLE: &str = "Test dependencies are unsatisfiable";
/// Maximum size of autopkgtest's own files, in bytes. They are far smaller.
const MAX_FILE_BYTES: u64 = 4 << 20;
/// Maximum number of tests whose packages are read.
const MAX_TESTS: usize = 1000;

/// Meaning of autopkgtest's end.
pub(super) enum TestVerdict {
    /// The run has a result: an exit code, and a note for the log.
    Result(i32, Option<String>),
    /// The testbed failed.
    Failed(String),
    /// The testbed lacked what was requested.
    Unproven(String),
}

/// Outcome of a run, with the record of what was tested.
pub(super) struct JudgedRun {
    pub(super) verdict: TestVerdict,
    pub(super) proof: Option<Proof>,
    /// Whether the dependencies could not be met with the triggers alone, and may be met with the whole pocket.
    pub(super) needs_fallback: bool,
}

/// A run that ended before there was anything to prove.
impl From<TestVerdict> for JudgedRun {
    fn from(verdict: TestVerdict) -> Self {
        Self { verdict, proof: None, needs_fallback: false }
    }
}

/// Preparations of a run.
pub(super) struct Preparation {
    /// Word that marks the testbed's report.
    pub(super) nonce: String,
    /// Archives of the request's PPAs.
    pub(super) archives: Vec<PpaAccess>,
}

impl JudgedRun {
    /// Compares a run with the report of its testbed. A run that did not test what was requested is a failure of its
    /// testbed, whatever autopkgtest's end.
    pub(super) fn prove(
        verdict: TestVerdict,
        request: &Request,
        redactor: &Redactor,
        plan: &Plan,
        prepared: &Preparation,
        output: &Path,
        is_fallback: bool,
    ) -> JudgedRun {
        let reports = match reports(&output.join("log"), &prepared.nonce) {
            Ok(reports) => reports,
            Err(error) => {
                tracing::warn!("the log cannot be read for what the testbed had: {error}");
                Vec::new()
            }
        };
        let source = text(&output.join("testpkg-version"));
        let (packages, has_all_packages) = packages(output);
        let judgement = RunFacts {
            request,
            setup: &plan.apt,
            ppas: &prepared.archives,
            reports: &reports,
            packages: &packages,
            has_all_packages,
            source: source.as_deref().map(str::trim).filter(|source| !source.is_empty()),
            is_fallback,
        }
        .judge();
        let is_pinned = plan.apt.take == PocketSelection::Triggers && !plan.apt.is_read_only;
        let is_unsatisfiable = || text(&output.join("summary")).is_some_and(|said| said.contains(UNSATISFIABLE));
        let needs_fallback = is_pinned
            && plan.allows_fallback
            && (judgement.is_held_back || (is_result(&verdict) && is_unsatisfiable()));
        let verdict = verdict.decide(request, redactor, &judgement);
        // The user who repeats the test elsewhere may have another site, or none.
        let pocket = plan.apt.pocket.as_ref().map(ToString::to_string).unwrap_or_default();
        let proof = Proof { pocket: Some(pocket), ..judgement.proof };
        JudgedRun { verdict, proof: Some(proof), needs_fallback }
    }
}

impl TestVerdict {
    /// Returns the verdict in the light of the judgement.
    fn decide(self, request: &Request, redactor: &Redactor, judgement: &Judgement) -> Self {
        let package = request.package();
        let not_met: Vec<String> =
            judgement.proof.items.iter().filter(|item| item.reason.is_some()).map(reason).collect();
        if judgement.proof.verdict != ProofVerdict::Refuted {
            return match (&judgement.setup_error, self) {
                (Some(error), Self::Result(..)) => {
                    Self::Failed(redactor.text(&format!("the testbed of {package} failed: {error}")).into_owned())
                }
                (_, verdict) => verdict,
            };
        }
        let reason = not_met.join("; ");
        if judgement.is_superseded {
            let note = redactor.text(&format!("apt-ci: {package} was not tested as asked: {reason}")).into_owned();
            tracing::warn!("{note}");
            return Self::Result(autopkgtest::TESTBED_FAILED, Some(note));
        }
        Self::Unproven(redactor.text(&format!("{package} was not tested as asked: {reason}")).into_owned())
    }
}

fn is_result(verdict: &TestVerdict) -> bool {
    matches!(verdict, TestVerdict::Result(..))
}

fn reason(item: &ProofItem) -> String {
    item.to_string()
}

/// Opens one of autopkgtest's files. A test may have put a link or a pipe in its place.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a file")) }
}

/// Reads the testbed's reports. They are made before each test, so that the first is always in the part of the log that
/// is kept.
fn reports(log: &Path, nonce: &str) -> io::Result<Vec<Evidence>> {
    match open(log) {
        Ok(file) => Evidence::read(&mut BufReader::new(file.take(MAX_LOG_HEAD)), nonce),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Returns the text of a file, if it exists and all of it can be read.
fn text(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    open(path).ok()?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= MAX_FILE_BYTES).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// Returns the packages that were installed when tests ran, ordered: those of the testbed and those that each test
/// added; and whether the list is complete.
fn packages(output: &Path) -> (Vec<(String, String)>, bool) {
    let entries = fs::read_dir(output).into_iter().flatten().filter_map(Result::ok);
    let files = entries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().ends_with("-packages"));
    let mut packages = BTreeSet::new();
    let mut is_all = true;
    for (count, file) in files.enumerate() {
        let Some(text) = text(&file).filter(|_| count < MAX_TESTS) else {
            is_all = false;
            break;
        };
        let line = |line: &str| {
            let (name, version) = line.trim().split_once('\t')?;
            Some((name.to_owned(), version.trim().to_owned()))
        };
        packages.extend(text.lines().filter_map(line));
    }
    (packages.into_iter().collect(), is_all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_that_are_not_all_are_known_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("testbed-packages", "zlib1g\t1.3-1\n");
        write("smoke-packages", "minizip\t1:1.3-1\n");
        let (known, is_all) = packages(folder.path());
        let expected = [("minizip", "1:1.3-1"), ("zlib1g", "1.3-1")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!((known.as_slice(), is_all), (expected.as_slice(), true));
        write("large-packages", &"x\t1\n".repeat(usize::try_from(MAX_FILE_BYTES).unwrap() / 4 + 1));
        assert!(!packages(folder.path()).1, "a file that is too large");
        fs::remove_file(folder.path().join("large-packages")).unwrap();
        std::os::unix::fs::symlink("testbed-packages", folder.path().join("link-packages")).unwrap();
        assert!(!packages(folder.path()).1, "a link");
        fs::remove_file(folder.path().join("link-packages")).unwrap();
        (0..MAX_TESTS).for_each(|number| write(&format!("{number}-packages"), ""));
        assert!(!packages(folder.path()).1, "too many tests");
    }
}
