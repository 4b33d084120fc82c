//! The runs that a store holds, read from its listings; only results without listing metadata are fetched themselves.

mod artifacts;
mod details;
mod figures;
mod find;
mod latest;
mod listed;
mod log;
mod members;
mod other_ppa;
mod question;
mod request;

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::release::{Architecture, Release};
use crate::request::{Request, RequestId};
use crate::result::layout::{PackagePath, Place, RESULT, RunId, container, parse_object};
use crate::result::listing::RunSummary;
use crate::result::outcome::Outcome;
use crate::result::{ProofVerdict, RequestRecord};
use crate::store::{Entry, Query, Store, StoreError};

pub use self::artifacts::{ArtifactsError, Member};
pub use self::details::{Details, TestResult};
pub(crate) use self::figures::SameVersions;
pub use self::figures::{Day, Days, Flaky, FlakyTests};
pub(crate) use self::find::Meaning;
pub use self::find::find;
pub(crate) use self::listed::{Listed, read};
pub use self::other_ppa::holds_other_ppa;
pub use self::question::{Origin, Question, TriggerPattern};
pub use self::request::{Recorded, RecordedError};

/// How soon after it was stored a result is listed, usually.
const VISIBLE_WITHIN: Duration = Duration::from_millis(100);

/// How many results are fetched at the same time.
const FETCHES: usize = 8;

/// A run whose result is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRun {
    /// The container that holds it.
    pub container: String,
    /// The package's place.
    pub path: PackagePath,
    /// The run.
    pub id: RunId,
    /// What is known about it.
    pub summary: RunSummary,
    /// Whether its result.tar cannot be read whole, or lacks what proposed-migration needs: then the summary holds what was left of
    /// it, with the exit code 20 and the version `unknown` for what was not.
    pub damaged: bool,
}

impl StoredRun {
    /// The name of one of its objects in the container.
    pub fn object(&self, file: &str) -> String {
        self.path.object(&self.id, file)
    }

    /// Whether the run says anything about its package. Verdicts, baselines and statistics count no other runs: not damaged ones, nor
    /// those whose testbed lacked what was asked for. One without a record of that counts.
    pub fn is_evidence(&self) -> bool {
        !self.damaged && self.summary.proof != ProofVerdict::Refuted
    }

    /// How it ended: an error when its result is damaged, whatever exit code is left of it.
    pub fn outcome(&self) -> Outcome {
        if self.damaged { Outcome::Error } else { self.summary.outcome() }
    }

    /// Its outcome if it tells whether the package is good: pass, neutral or fail. `None` for every other run, and for one that is no evidence.
    pub fn decision(&self) -> Option<Outcome> {
        let outcome = self.outcome();
        let is_decided = match outcome {
            // The only test that was asked for was skipped, or does not exist: the others may fail.
            Outcome::Neutral => self.only_test().is_none(),
            outcome => matches!(outcome, Outcome::Pass | Outcome::Fail),
        };
        (is_decided && self.is_evidence()).then_some(outcome)
    }

    /// Whether it tested a branch, and not what the archive has. Unknown counts as no.
    pub fn is_branch(&self) -> bool {
        self.summary.options.as_ref().is_some_and(|options| options.branch)
    }

    /// The name of the only test that was asked for.
    pub fn only_test(&self) -> Option<&str> {
        self.summary.options.as_ref()?.testname.as_deref()
    }

    /// The PPA, `OWNER/NAME`, that names its container; `None` without one, and when its result does not tell.
    pub fn ppa(&self) -> Option<&str> {
        self.summary.options.as_ref()?.ppas.last().map(String::as_str)
    }

    /// Container and path: where the run is found in its store.
    pub fn location(&self) -> String {
        format!("{}/{}", self.container, self.path.folder(&self.id))
    }
}

/// One flat object, for programs.
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

/// The runs of a release in a container that a question means, and perhaps others; at least the newest `limit` and one more, if there
/// are so many. Without a container there are none.
///
/// # Errors
/// When the store cannot be read.
pub async fn in_container(
    store: &Store,
    container: &str,
    release: &Release,
    question: &Question,
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

/// Reads the results in a listing that a question may mean.
async fn read_meant(
    store: &Store,
    question: &Question,
    listed: Vec<Listed>,
    limit: usize,
) -> Result<Vec<StoredRun>, StoreError> {
    let listed = question.narrow(listed, limit);
    if question.latest && question.trigger.is_none() && question.requester.is_none() {
        // The outcome does not choose the latest; it chooses among them.
        let limit = if question.outcomes.is_empty() { limit } else { usize::MAX };
        return latest::read(store, listed, limit, |run| question.counts(run)).await;
    }
    read_all(store, listed).await
}

/// The architectures that a release has runs of in a container.
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

/// A package's runs on a release and architecture, oldest first, those in public containers of PPAs and private ones not
/// included. Without a container there are none.
///
/// # Errors
/// When the store cannot be read.
pub async fn of_package(store: &Store, path: &PackagePath) -> Result<Vec<StoredRun>, StoreError> {
    let results = results(store, &container(&path.release), path.prefix()).await?;
    read_all(store, results).await
}

/// A release's public runs, on one architecture or on all, oldest first; those of PPAs are not among them. Without a container there are none.
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

/// The newest run of the package with a later id that is complete in the store, if there is one. Runs that are still being published
/// do not count: who publishes them looks for ours. However many runs came before, nothing is listed of them.
///
/// # Errors
/// When the store cannot be read.
pub async fn published_after(store: &Store, place: &Place, id: &RunId) -> Result<Option<RunId>, StoreError> {
    // `0` comes right after the `/` that follows a run's id.
    let marker = format!("{}0", place.path.folder(id));
    let query = Query { prefix: place.path.prefix(), delimiter: None, marker };
    let run = |entry: Entry| {
        let Entry::Object(object) = entry else { return None };
        let (_, id, file) = parse_object(&object.name)?;
        (file == RESULT).then_some(id)
    };
    Ok(list(store, &place.container, &query).await?.into_iter().filter_map(run).max())
}

/// The package's complete runs from this id on, in the order of their ids, as far as the listing knows them.
///
/// # Errors
/// When the store cannot be read.
pub async fn published_from(store: &Store, place: &Place, id: &RunId) -> Result<Vec<RunId>, StoreError> {
    Ok(listed_from(store, place, id).await?.into_iter().map(|run| run.id).collect())
}

/// Whether a complete run with a later id was stored before this one, or so soon after it that a reader may have passed this one.
///
/// # Errors
/// When the store cannot be read.
pub async fn is_overtaken(store: &Store, place: &Place, id: &RunId) -> Result<bool, StoreError> {
    let listed = listed_from(store, place, id).await?;
    let Some(stored) = listed.iter().find(|run| run.id == *id).map(|run| run.object.modified) else { return Ok(false) };
    Ok(listed.iter().any(|run| run.id > *id && run.object.modified < stored + VISIBLE_WITHIN))
}

async fn listed_from(store: &Store, place: &Place, id: &RunId) -> Result<Vec<Listed>, StoreError> {
    // The run's own files come after the name of their folder.
    let query = Query { prefix: place.path.prefix(), delimiter: None, marker: place.path.folder(id) };
    let entries = list(store, &place.container, &query).await?;
    Ok(entries.into_iter().filter_map(|entry| Listed::of(&place.container, entry)).collect())
}

/// Whether a run is complete in the store. Asks for the object itself, because a listing may lag behind.
///
/// # Errors
/// When the store cannot be read.
pub async fn is_complete(store: &Store, place: &Place, id: &RunId) -> Result<bool, StoreError> {
    match store.get(&place.container, &place.path.object(id, RESULT)).await {
        Ok(_) => Ok(true),
        Err(StoreError::NotFound(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The complete run of a request, if it has one. Reads nothing but the listing: a result with an id of ours carries it there.
///
/// # Errors
/// When the store cannot be read.
pub async fn with_uuid(store: &Store, place: &Place, uuid: &RequestId) -> Result<Option<StoredRun>, StoreError> {
    let results = results(store, &place.container, place.path.prefix()).await?;
    let mine = |result: Listed| {
        let summary = RunSummary::parse(&result.object.content_type)?;
        (summary.uuid.as_deref() == Some(uuid.as_str())).then(|| result.into_run(summary, false))
    };
    Ok(results.into_iter().rev().find_map(mine))
}

/// The complete runs of this very request, newest first: their results record the same package, parameters, id and time of
/// submission. There is more than one only when a publication was cut short.
/// A result that cannot be read, or records no request, is none of them.
///
/// # Errors
/// When the store cannot be read.
pub async fn of_request(store: &Store, place: &Place, request: &Request) -> Result<Vec<StoredRun>, StoreError> {
    let wanted = RequestRecord::of(request);
    let results = results(store, &place.container, place.path.prefix()).await?;
    let mut runs = Vec::new();
    for result in results.into_iter().rev() {
        let Some(summary) = RunSummary::parse(&result.object.content_type) else { continue };
        if summary.uuid.is_none() || summary.uuid != wanted.uuid {
            continue;
        }
        let run = result.into_run(summary, false);
        let testinfo = match members::fetched(store, &run.container, &run.object(RESULT), request::testinfo).await {
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

/// The complete runs of a package, whose names begin with `prefix`, that were published since then, oldest first, as far as the listing tells
/// of them: those of programs whose listings tell nothing are left out.
///
/// # Errors
/// When the store cannot be read.
pub async fn since(
    store: &Store,
    container: &str,
    prefix: &str,
    since: Timestamp,
) -> Result<Vec<StoredRun>, StoreError> {
    // Ids begin with their time, so that what comes after this came after then.
    let marker = format!("{prefix}{}", since.strftime("%Y%m%d_%H%M%S"));
    let query = Query { prefix: prefix.to_owned(), delimiter: None, marker };
    let known = |entry: Entry| {
        let result = Listed::of(container, entry)?;
        let summary = RunSummary::parse(&result.object.content_type)?;
        Some(result.into_run(summary, false))
    };
    Ok(list(store, container, &query).await?.into_iter().filter_map(known).collect())
}

/// A listing; a container that does not exist is empty.
async fn list(store: &Store, container: &str, query: &Query) -> Result<Vec<Entry>, StoreError> {
    match store.list(container, query).await {
        Err(StoreError::NotFound(_)) => Ok(Vec::new()),
        other => other,
    }
}

/// The complete results under a prefix, in the order of their names: those whose result.tar is there.
async fn results(store: &Store, container: &str, prefix: String) -> Result<Vec<Listed>, StoreError> {
    let entries = list(store, container, &Query { prefix, ..Query::default() }).await?;
    Ok(entries.into_iter().filter_map(|entry| Listed::of(container, entry)).collect())
}

async fn read_all(store: &Store, results: Vec<Listed>) -> Result<Vec<StoredRun>, StoreError> {
    let runs = stream::iter(results).map(|result| read(store, result)).buffered(FETCHES);
    runs.try_filter_map(|run| async { Ok(run) }).try_collect().await
}

#[cfg(test)]
mod tests;
