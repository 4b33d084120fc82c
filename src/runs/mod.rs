//! The runs in a store, read from its listings. Only results without listing metadata are fetched.

mod artifacts;
mod details;
mod filter;
mod find;
mod latest;
mod listed_result;
mod log;
mod members;
mod other_ppa;
mod recorded_request;
mod statistics;

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::release::{Architecture, Release};
use crate::request::{Request, RequestId};
use crate::result::RunId;
use crate::result::layout::{PackagePath, RESULT, ResultLocation, container, parse_object};
use crate::result::listing::RunSummary;
use crate::result::outcome::Outcome;
use crate::result::{ProofVerdict, RequestRecord};
use crate::store::{Entry, Query, Store, StoreError};

pub use self::artifacts::{ArtifactsError, Member};
pub use self::details::{Details, TestResult};
pub use self::filter::{PackageSource, RunFilter, TriggerPattern};
pub(crate) use self::find::RunRef;
pub use self::find::find;
pub(crate) use self::listed_result::{ListedResult, read};
pub use self::other_ppa::holds_other_ppa;
pub use self::recorded_request::{RecordedRequest, RecordedRequestError};
pub(crate) use self::statistics::SameVersions;
pub use self::statistics::{Day, Days, FlakyTest, FlakyTests};

/// Usual maximum delay between storing a result and its appearance in the listing.
const LISTING_DELAY: Duration = Duration::from_millis(100);

/// Number of results that are fetched concurrently.
const FETCH_CONCURRENCY: usize = 8;

/// A run whose result is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRun {
    /// The container of the result.
    pub container: String,
    /// The package's path in the container.
    pub path: PackagePath,
    /// The run's id.
    pub id: RunId,
    /// The summary of the run.
    pub summary: RunSummary,
    /// Whether its result.tar cannot be read completely, or lacks a part that proposed-migration needs. The summary
    /// then has the readable parts, and exit code 20 and version `unknown` for others.
    pub damaged: bool,
}

impl StoredRun {
    /// Returns the name of one of its objects in the container.
    pub fn object(&self, file: &str) -> String {
        self.path.object(&self.id, file)
    }

    /// Returns whether the run says anything about its package. Verdicts, baselines and statistics ignore other runs:
    /// damaged ones, and those whose testbed lacked something that was requested. A run without a record of that
    /// counts.
    pub fn is_evidence(&self) -> bool {
        !self.damaged && self.summary.proof != ProofVerdict::Refuted
    }

    /// Returns its outcome: an error when its result is damaged, whatever its exit code is.
    pub fn outcome(&self) -> Outcome {
        if self.damaged { Outcome::Error } else { self.summary.outcome() }
    }

    /// Returns its outcome if it decides whether the package is good: pass, neutral or fail. `None` for every other
    /// run, and for one that is not evidence.
    pub fn decision(&self) -> Option<Outcome> {
        let outcome = self.outcome();
        let is_decided = match outcome {
            // The only requested test was skipped, or does not exist: the others may fail.
            Outcome::Neutral => self.only_test().is_none(),
            outcome => matches!(outcome, Outcome::Pass | Outcome::Fail),
        };
        (is_decided && self.is_evidence()).then_some(outcome)
    }

    /// Returns whether it tested a branch instead of the archive's package. `false` if unknown.
    pub fn is_branch(&self) -> bool {
        self.summary.options.as_ref().is_some_and(|options| options.branch)
    }

    /// Returns the name of the only requested test.
    pub fn only_test(&self) -> Option<&str> {
        self.summary.options.as_ref()?.testname.as_deref()
    }

    /// Returns the PPA, `OWNER/NAME`, that names its container; `None` without one, or when its result does not record
    /// it.
    pub fn ppa(&self) -> Option<&str> {
        self.summary.options.as_ref()?.ppas.last().map(String::as_str)
    }

    /// Returns container and path: the location of the run in its store.
    pub fn location(&self) -> String {
        format!("{}/{}", self.container, self.path.folder(&self.id))
    }
}

/// Serializes the run as one flat object, for programs.
impl Serialize for StoredRun {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Flat<'a> {
            release: &'a Release,
            architecture: &'a Architecture,
            package: &'a str,
            run: &'a str,
            container: &'a str,
            /// The folder of its files in the container.
            path: String,
            outcome: Outcome,
            damaged: bool,
            #[serde(flatten)]
            summary: &'a RunSummary,
        }
        Flat {
            release: &self.path.release,
            architecture: &self.path.architecture,
            package: self.path.package.as_str(),
            run: self.id.as_str(),
            container: &self.container,
            path: self.path.folder(&self.id),
            outcome: self.outcome(),
            damaged: self.damaged,
            summary: &self.summary,
        }
        .serialize(serializer)
    }
}

/// Returns the runs of a release in a container that match a filter, and perhaps others; at least the newest `limit`
/// and one more, if there are that many. A container that does not exist is empty.
///
/// # Errors
/// When the store cannot be read.
pub async fn in_container(
    store: &Store,
    container: &str,
    release: &Release,
    question: &RunFilter,
    limit: usize,
) -> Result<Vec<StoredRun>, StoreError> {
    let architecture = question.architecture.as_ref();
    let Some(package) = &question.package else {
        let prefix = architecture.map_or(format!("{release}/"), |architecture| format!("{release}/{architecture}/"));
        let listed = results(store, container, prefix).await?;
        return read_meant(store, question, listed, limit).await;
    };
    let architectures = match architecture {
        Some(one) => vec![one.clone()],
        None => architectures(store, container, release).await?,
    };
    let mut listed = Vec::new();
    for architecture in architectures {
        let path = PackagePath { release: release.clone(), architecture, package: package.clone() };
        listed.extend(results(store, container, path.prefix()).await?);
    }
    read_meant(store, question, listed, limit).await
}

/// Reads the results in a listing that may match a filter.
async fn read_meant(
    store: &Store,
    question: &RunFilter,
    listed: Vec<ListedResult>,
    limit: usize,
) -> Result<Vec<StoredRun>, StoreError> {
    let listed = question.preselect(listed, limit);
    if question.latest && question.trigger.is_none() && question.requester.is_none() {
        // The filter's outcomes apply to the latest runs; they do not decide which run is the latest.
        let limit = if question.outcomes.is_empty() { limit } else { usize::MAX };
        return latest::read(store, listed, limit, |run| question.can_be_latest(run)).await;
    }
    read_all(store, listed).await
}

/// Returns the architectures of a release's runs in a container.
///
/// # Errors
/// When the store cannot be read.
pub async fn architectures(store: &Store, container: &str, release: &Release) -> Result<Vec<Architecture>, StoreError> {
    let prefix = format!("{release}/");
    let query = Query { prefix: prefix.clone(), delimiter: Some('/'), ..Query::default() };
    let folds = list(store, container, &query).await?;
    let name = |entry: &Entry| entry.name().strip_prefix(&prefix)?.trim_end_matches('/').parse().ok();
    Ok(folds.iter().filter_map(name).collect())
}

/// Returns a package's runs on a release and architecture, oldest first, without those in PPAs' and private containers.
/// A container that does not exist is empty.
///
/// # Errors
/// When the store cannot be read.
pub async fn of_package(store: &Store, path: &PackagePath) -> Result<Vec<StoredRun>, StoreError> {
    let results = results(store, &container(&path.release), path.prefix()).await?;
    read_all(store, results).await
}

/// Returns a release's public runs, on one architecture or on all, oldest first, without those of PPAs. A container
/// that does not exist is empty.
///
/// # Errors
/// When the store cannot be read.
pub async fn of_release(
    store: &Store,
    release: &Release,
    architecture: Option<&Architecture>,
) -> Result<Vec<StoredRun>, StoreError> {
    let prefix = match architecture {
        Some(architecture) => format!("{release}/{architecture}/"),
        None => format!("{release}/"),
    };
    let results = results(store, &container(release), prefix).await?;
    let mut runs = read_all(store, results).await?;
    runs.sort_by(|a, b| (&a.id, &a.path).cmp(&(&b.id, &b.path)));
    Ok(runs)
}

/// Returns the package's newest run with a later id that is complete in the store, if there is one. Runs that are still
/// being published do not count: their publishers check for ours. Earlier runs are not listed.
///
/// # Errors
/// When the store cannot be read.
pub async fn published_after(store: &Store, place: &ResultLocation, id: &RunId) -> Result<Option<RunId>, StoreError> {
    // `0` sorts directly after the `/` that follows a run's id.
    let marker = format!("{}0", place.path.folder(id));
    let query = Query { prefix: place.path.prefix(), delimiter: None, marker };
    let run = |entry: Entry| {
        let Entry::Object(object) = entry else { return None };
        let (_, id, file) = parse_object(&object.name)?;
        (file == RESULT).then_some(id)
    };
    Ok(list(store, &place.container, &query).await?.into_iter().filter_map(run).max())
}

/// Returns the package's complete runs from this id on, in the order of their ids, as far as the listing has them.
///
/// # Errors
/// When the store cannot be read.
pub async fn published_from(store: &Store, place: &ResultLocation, id: &RunId) -> Result<Vec<RunId>, StoreError> {
    Ok(listed_from(store, place, id).await?.into_iter().map(|run| run.id).collect())
}

/// Returns whether a complete run with a later id was stored before this one, or so soon after it that a reader may
/// have passed this one.
///
/// # Errors
/// When the store cannot be read.
pub async fn is_overtaken(store: &Store, place: &ResultLocation, id: &RunId) -> Result<bool, StoreError> {
    let listed = listed_from(store, place, id).await?;
    let Some(stored) = listed.iter().find(|run| run.id == *id).map(|run| run.object.modified) else { return Ok(false) };
    Ok(listed.iter().any(|run| run.id > *id && run.object.modified < stored + LISTING_DELAY))
}

async fn listed_from(store: &Store, place: &ResultLocation, id: &RunId) -> Result<Vec<ListedResult>, StoreError> {
    // The run's own files sort after the name of their folder.
    let query = Query { prefix: place.path.prefix(), delimiter: None, marker: place.path.folder(id) };
    let entries = list(store, &place.container, &query).await?;
    Ok(entries.into_iter().filter_map(|entry| ListedResult::of(&place.container, entry)).collect())
}

/// Returns whether a run is complete in the store. Checks the object itself, because a listing may lag behind.
///
/// # Errors
/// When the store cannot be read.
pub async fn is_complete(store: &Store, place: &ResultLocation, id: &RunId) -> Result<bool, StoreError> {
    match store.get(&place.container, &place.path.object(id, RESULT)).await {
        Ok(_) => Ok(true),
        Err(StoreError::NotFound(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns the complete run of a request, if there is one. Reads only the listing, which has apt-ci's ids.
///
/// # Errors
/// When the store cannot be read.
pub async fn with_uuid(
    store: &Store,
    place: &ResultLocation,
    uuid: &RequestId,
) -> Result<Option<StoredRun>, StoreError> {
    let results = results(store, &place.container, place.path.prefix()).await?;
    let mine = |result: ListedResult| {
        let summary = RunSummary::parse(&result.object.content_type)?;
        (summary.uuid.as_deref() == Some(uuid.as_str())).then(|| result.into_run(summary, false))
    };
    Ok(results.into_iter().rev().find_map(mine))
}

/// Returns the complete runs of this very request, newest first: their results record the same package, parameters, id
/// and time of submission. There is more than one only after an interrupted publication. A result that cannot be read,
/// or does not record its request, is not included.
///
/// # Errors
/// When the store cannot be read.
pub async fn of_request(
    store: &Store,
    place: &ResultLocation,
    request: &Request,
) -> Result<Vec<StoredRun>, StoreError> {
    let wanted = RequestRecord::of(request);
    let results = results(store, &place.container, place.path.prefix()).await?;
    let mut runs = Vec::new();
    for result in results.into_iter().rev() {
        let Some(summary) = RunSummary::parse(&result.object.content_type) else { continue };
        if summary.uuid.is_none() || summary.uuid != wanted.uuid {
            continue;
        }
        let run = result.into_run(summary, false);
        let testinfo =
            match members::fetched(store, &run.container, &run.object(RESULT), recorded_request::testinfo).await {
                Err(StoreError::NotFound(_)) => None,
                fetched => fetched?,
            };
        let record = testinfo.and_then(|testinfo| RequestRecord::in_testinfo(&wanted.package, &testinfo));
        if record.as_ref() == Some(&wanted) {
            runs.push(run);
            continue;
        }
        tracing::warn!("{} is the result of another request with the id of this one", run.path.folder(&run.id));
    }
    Ok(runs)
}

/// Returns the complete runs whose names begin with `prefix` and that were published since then, oldest first. Results
/// of programs that write no summary into the listing are left out.
///
/// # Errors
/// When the store cannot be read.
pub async fn since(
    store: &Store,
    container: &str,
    prefix: &str,
    since: Timestamp,
) -> Result<Vec<StoredRun>, StoreError> {
    // Ids begin with their time, so that everything after this marker was published after that time.
    let marker = format!("{prefix}{}", since.strftime("%Y%m%d_%H%M%S"));
    let query = Query { prefix: prefix.to_owned(), delimiter: None, marker };
    let known = |entry: Entry| {
        let result = ListedResult::of(container, entry)?;
        let summary = RunSummary::parse(&result.object.content_type)?;
        Some(result.into_run(summary, false))
    };
    Ok(list(store, container, &query).await?.into_iter().filter_map(known).collect())
}

/// Returns a listing; empty for a container that does not exist.
async fn list(store: &Store, container: &str, query: &Query) -> Result<Vec<Entry>, StoreError> {
    match store.list(container, query).await {
        Err(StoreError::NotFound(_)) => Ok(Vec::new()),
        other => other,
    }
}

/// Returns the complete results under a prefix, in the order of their names: those with a result.tar.
async fn results(store: &Store, container: &str, prefix: String) -> Result<Vec<ListedResult>, StoreError> {
    let entries = list(store, container, &Query { prefix, ..Query::default() }).await?;
    Ok(entries.into_iter().filter_map(|entry| ListedResult::of(container, entry)).collect())
}

async fn read_all(store: &Store, results: Vec<ListedResult>) -> Result<Vec<StoredRun>, StoreError> {
    let runs = stream::iter(results).map(|result| read(store, result)).buffered(FETCH_CONCURRENCY);
    runs.try_filter_map(|run| async { Ok(run) }).try_collect().await
}

#[cfg(test)]
mod tests;
