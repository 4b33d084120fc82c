//! The runs that a store holds, read from its listings; only results without listing metadata are fetched themselves.

mod log;
mod request;

use std::io::Read;

use futures_util::{StreamExt, TryStreamExt, stream};
use percent_encoding::percent_decode_str;
use serde::{Serialize, Serializer};
use serde_json::Value;
use tokio::io::AsyncReadExt;

use crate::release::{Architecture, Release};
use crate::request::RequestId;
use crate::result::layout::{PackagePath, Place, RESULT, RunId, container, parse_object};
use crate::result::listing::RunSummary;
use crate::result::outcome::Outcome;
use crate::store::{Entry, ObjectInfo, Query, Store, StoreError};

pub use self::request::{Recorded, RecordedError};

/// Results are a few kilobytes; more of one than this is not read.
const RESULT_LIMIT: u64 = 16 << 20;
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
    /// Whether its result.tar cannot be read whole, or lacks the exit code or version: then the summary holds what was left of
    /// it, with the exit code 20 and the version `unknown` for what was not.
    pub damaged: bool,
}

impl StoredRun {
    /// The name of one of its objects in the container.
    pub fn object(&self, file: &str) -> String {
        self.path.object(&self.id, file)
    }

    /// How it ended.
    pub fn outcome(&self) -> Outcome {
        self.summary.outcome()
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

/// Finds the run that a text means: its path (`bookworm/amd64/g/gzip/2026…@`, also with the container or a URL before it and a
/// file after it), or its id alone, which is looked for in all of these releases. `None` when there is no such run, or the
/// text means none.
///
/// # Errors
/// When the store cannot be read.
pub async fn find(store: &Store, releases: &[Release], text: &str) -> Result<Option<StoredRun>, StoreError> {
    let found = match Meaning::parse(text) {
        None => None,
        Some(Meaning::Path { container, path, id }) => {
            results(store, &container, path.object(&id, RESULT)).await?.into_iter().next()
        }
        Some(Meaning::Id(id)) => {
            let mut found = None;
            for release in releases {
                let results = results(store, &container(release), format!("{release}/")).await?;
                found = results.into_iter().find(|result| result.id == id);
                if found.is_some() {
                    break;
                }
            }
            found
        }
    };
    match found {
        None => Ok(None),
        Some(result) => read(store, result).await,
    }
}

/// Where a text says that a run is.
#[derive(Debug, PartialEq)]
enum Meaning {
    Path { container: String, path: PackagePath, id: RunId },
    Id(RunId),
}

impl Meaning {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.split(['?', '#']).next().unwrap_or_default();
        let text = percent_decode_str(text).decode_utf8().ok()?;
        let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
        let at = parts.iter().position(|part| read_id(part).is_some())?;
        let id = read_id(parts.get(at)?)?;
        let Some(folders) = parts.get(at.checked_sub(4).unwrap_or(parts.len())..at) else {
            return (at == 0).then_some(Self::Id(id));
        };
        let name = format!("{}/{id}/{RESULT}", folders.join("/"));
        let (path, id, _) = parse_object(&name)?;
        let before = at.checked_sub(5).and_then(|before| parts.get(before));
        let container = before
            .filter(|name| Place::is_container(name))
            .map_or_else(|| container(&path.release), |name| (*name).to_owned());
        Some(Self::Path { container, path, id })
    }
}

/// A run id, which people may write without its `@`.
fn read_id(text: &str) -> Option<RunId> {
    text.parse().or_else(|_| format!("{text}@").parse()).ok()
}

/// A result.tar in a listing.
struct Listed {
    container: String,
    path: PackagePath,
    id: RunId,
    object: ObjectInfo,
}

impl Listed {
    fn into_run(self, summary: RunSummary, damaged: bool) -> StoredRun {
        let Self { container, path, id, object: _ } = self;
        StoredRun { container, path, id, summary, damaged }
    }
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
    let result = |entry| {
        let Entry::Object(object) = entry else { return None };
        let (path, id, file) = parse_object(&object.name)?;
        (file == RESULT).then(|| Listed { container: container.to_owned(), path, id, object })
    };
    Ok(entries.into_iter().filter_map(result).collect())
}

async fn read_all(store: &Store, results: Vec<Listed>) -> Result<Vec<StoredRun>, StoreError> {
    let runs = stream::iter(results).map(|result| read(store, result)).buffered(FETCHES);
    runs.try_filter_map(|run| async { Ok(run) }).try_collect().await
}

/// Reads a run from its line in the listing, or from its result.tar for what that line does not tell. `None` when it has
/// been removed since it was listed.
async fn read(store: &Store, result: Listed) -> Result<Option<StoredRun>, StoreError> {
    let listed = RunSummary::parse(&result.object.content_type);
    if let Some(summary) = listed.as_ref().filter(|summary| summary.triggers.is_some()) {
        return Ok(Some(result.into_run(summary.clone(), false)));
    }
    let reader = match store.get(&result.container, &result.object.name).await {
        Ok(reader) => reader,
        Err(StoreError::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    let reading = reader.take(RESULT_LIMIT).read_to_end(&mut bytes).await;
    reading.map_err(|source| StoreError::Io {
        action: format!("reading {}/{}", result.container, result.object.name),
        source,
    })?;
    let (fetched, damaged) = read_result(&bytes);
    let summary = match listed {
        Some(summary) => RunSummary { triggers: fetched.triggers, ..summary },
        None => fetched,
    };
    Ok(Some(result.into_run(summary, damaged)))
}

/// Reads a result.tar as far as it can be read, and tells whether something that must be there is missing.
fn read_result(bytes: &[u8]) -> (RunSummary, bool) {
    let (mut exitcode, mut version, mut duration) = (None, None, 0);
    let (mut triggers, mut requester, mut uuid) = (Vec::new(), None, None);
    let mut whole = true;
    let mut archive = tar::Archive::new(bytes);
    for entry in archive.entries().into_iter().flatten() {
        let Ok(mut entry) = entry else {
            whole = false;
            break;
        };
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut text = Vec::new();
        // A member may claim to be far larger than the archive.
        whole &= (&mut entry).take(RESULT_LIMIT).read_to_end(&mut text).is_ok();
        let text = String::from_utf8_lossy(&text);
        match name.trim_start_matches("./") {
            "exitcode" => exitcode = text.trim().parse().ok(),
            "testpkg-version" => version = text.split_whitespace().nth(1).map(str::to_owned),
            "duration" => duration = text.trim().parse().unwrap_or_default(),
            "requester" => requester = Some(text.trim().to_owned()).filter(|requester| !requester.is_empty()),
            "uuid" => uuid = Some(text.trim().to_owned()),
            "testinfo.json" => {
                let testinfo: Value = serde_json::from_str(&text).unwrap_or_default();
                triggers = triggers_in(&testinfo);
                let own = testinfo.get("apt-ci").and_then(|own| own.get("uuid")).and_then(Value::as_str);
                uuid = uuid.or_else(|| own.map(str::to_owned));
            }
            _ => {}
        }
    }
    let damaged = !whole || exitcode.is_none() || version.is_none();
    let summary = RunSummary {
        exitcode: exitcode.unwrap_or(20),
        version: version.unwrap_or_else(|| "unknown".to_owned()),
        duration,
        triggers: Some(triggers),
        requester,
        uuid,
    };
    (summary, damaged)
}

/// The triggers in the environment that testinfo.json tells of.
fn triggers_in(testinfo: &Value) -> Vec<String> {
    let environment = testinfo.get("custom_environment").and_then(Value::as_array);
    let variables = environment.into_iter().flatten().filter_map(Value::as_str);
    let mut values = variables.filter_map(|variable| variable.strip_prefix("ADT_TEST_TRIGGERS="));
    values.next().unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
