//! A result in a listing.

use serde_json::Value;

use super::{StoredRun, members};
use crate::exit_code::autopkgtest;
use crate::request::SourcePackage;
use crate::result::RunId;
use crate::result::layout::{PackagePath, RESULT, ResultLocation, parse_object};
use crate::result::listing::{RunSummary, is_changed};
use crate::result::{Proof, RunOptions};
use crate::store::{Entry, ObjectInfo, Store, StoreError};

/// Version of a result that does not record it.
const UNKNOWN_VERSION: &str = "unknown";
/// Maximum number of attempts to fetch a result when the transfer is interrupted.
const MAX_ATTEMPTS: u32 = 3;

/// A result.tar in a listing.
pub(crate) struct ListedResult {
    pub(crate) container: String,
    pub(crate) path: PackagePath,
    pub(crate) id: RunId,
    pub(crate) object: ObjectInfo,
}

impl ListedResult {
    /// Returns the result in a row of a container's listing; `None` for other rows.
    pub(crate) fn of(container: &str, entry: Entry) -> Option<Self> {
        let Entry::Object(object) = entry else { return None };
        let (path, id, file) = parse_object(&object.name)?;
        (file == RESULT).then(|| Self { container: container.to_owned(), path, id, object })
    }

    /// Returns whether the listing has all information, so that the result need not be fetched.
    pub(crate) fn is_complete(&self) -> bool {
        self.has_other_size()
            || RunSummary::parse(&self.object.content_type).is_some_and(|summary| self.is_complete_with(&summary))
    }

    /// Returns whether a summary is complete. Older listings do not say where the tested packages came from; for a run
    /// with triggers in a release's own container, that is known.
    fn is_complete_with(&self, summary: &RunSummary) -> bool {
        let is_from_ppa = || ResultLocation::of_container(&self.container).is_some_and(|(_, ppa)| ppa.is_some());
        match &summary.triggers {
            None => false,
            Some(triggers) => summary.options.is_some() || !triggers.is_empty() && !is_from_ppa(),
        }
    }

    /// Returns whether its result.tar has another size than when it was stored. It is damaged then, whatever its
    /// metadata says.
    pub(crate) fn has_other_size(&self) -> bool {
        is_changed(&self.object.content_type, self.object.bytes)
    }

    pub(super) fn into_run(self, summary: RunSummary, damaged: bool) -> StoredRun {
        let damaged = damaged || self.has_other_size();
        let Self { container, path, id, object: _ } = self;
        StoredRun { container, path, id, summary, damaged }
    }
}

/// Reads a run from its row in the listing, or from its result.tar if that row lacks information. Returns `None` when
/// it was removed after it was listed.
pub(crate) async fn read(store: &Store, result: ListedResult) -> Result<Option<StoredRun>, StoreError> {
    let listed = RunSummary::parse(&result.object.content_type);
    if let Some(summary) = listed.as_ref().filter(|summary| result.has_other_size() || result.is_complete_with(summary))
    {
        return Ok(Some(result.into_run(summary.clone(), false)));
    }
    let mut tries = 1;
    let (fetched, damaged) = loop {
        let package = result.path.package.clone();
        let read = move |bytes: &[u8]| read_result(bytes, &package);
        match members::fetched(store, &result.container, &result.object.name, read).await {
            // One interrupted transfer must not fail thousands of others.
            Err(StoreError::Io { .. }) if tries < MAX_ATTEMPTS => tries += 1,
            Err(StoreError::NotFound(_)) => return Ok(None),
            other => break other?,
        }
    };
    let summary = match listed {
        Some(summary) => RunSummary {
            triggers: summary.triggers.or(fetched.triggers),
            options: summary.options.or(fetched.options),
            ..summary
        },
        None => fetched,
    };
    Ok(Some(result.into_run(summary, damaged)))
}

/// Exit codes of runs that may end before autopkgtest knows the version under test. proposed-migration takes these
/// results without one, and waits for them.
const WITHOUT_VERSION: [i32; 3] = [autopkgtest::FAILED, autopkgtest::BAD_PACKAGE, autopkgtest::UNEXPECTED];

/// Reads as much of a package's result.tar as possible. Also returns whether it is damaged: truncated, or without a
/// part that proposed-migration needs.
pub(super) fn read_result(bytes: &[u8], package: &SourcePackage) -> (RunSummary, bool) {
    let (mut exitcode, mut version, mut duration) = (None, None, 0);
    let (mut triggers, mut requester, mut uuid) = (Vec::new(), None, None);
    let (mut has_testinfo, mut proof, mut options) = (false, Proof::default(), None);
    let is_whole = members::each(bytes, |name, text| match name {
        "exitcode" => exitcode = text.trim().parse().ok(),
        "testpkg-version" => version = Some(tested_version(text, package).unwrap_or(UNKNOWN_VERSION).to_owned()),
        "duration" => duration = text.trim().parse().unwrap_or_default(),
        "requester" => requester = Some(text.trim().to_owned()).filter(|requester| !requester.is_empty()),
        "uuid" => uuid = Some(text.trim().to_owned()),
        "testinfo.json" => {
            let testinfo: Value = serde_json::from_str(text).unwrap_or_default();
            has_testinfo = testinfo.is_object();
            triggers = triggers_in(&testinfo);
            proof = Proof::from_testinfo(&testinfo);
            options = RunOptions::in_testinfo(&testinfo);
            let own = testinfo.get("apt-ci").and_then(|own| own.get("uuid")).and_then(Value::as_str);
            uuid = uuid.take().or_else(|| own.map(str::to_owned));
        }
        _ => {}
    });
    let needs_version = exitcode.is_none_or(|code| !WITHOUT_VERSION.contains(&code));
    let damaged = !is_whole || exitcode.is_none() || !has_testinfo || version.is_none() && needs_version;
    let summary = RunSummary {
        exitcode: exitcode.unwrap_or(autopkgtest::UNEXPECTED),
        version: version.unwrap_or_else(|| UNKNOWN_VERSION.to_owned()),
        duration,
        triggers: Some(triggers),
        requester,
        uuid,
        proof: proof.verdict,
        fallback: proof.fallback,
        options,
    };
    (summary, damaged)
}

/// Returns the version in a line `SRC VERSION` of the tested package. autopkgtest also writes sentences there, such as
/// "Only running …".
fn tested_version<'t>(text: &'t str, package: &SourcePackage) -> Option<&'t str> {
    let mut words = text.split_whitespace();
    let (source, version) = (words.next()?, words.next()?);
    (source == package.as_str() && words.next().is_none()).then_some(version)
}

/// Returns the triggers in testinfo.json's environment.
fn triggers_in(testinfo: &Value) -> Vec<String> {
    let environment = testinfo.get("custom_environment").and_then(Value::as_array);
    let variables = environment.into_iter().flatten().filter_map(Value::as_str);
    let mut values = variables.filter_map(|variable| variable.strip_prefix("ADT_TEST_TRIGGERS="));
    values.next().unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}
