//! Finding runs by a text.

use std::io::ErrorKind;

use percent_encoding::percent_decode_str;

use super::listed_result::ListedResult;
use super::{StoredRun, read_all, results};
use crate::release::Release;
use crate::result::RunId;
use crate::result::layout::{PackagePath, RESULT, ResultLocation, container, parse_object};
use crate::store::{Store, StoreError};

/// Finds the runs for a path (`bookworm/amd64/g/gzip/2026…@`, also with the container or a URL before it and a file
/// after it), or for an id alone, in all of these releases. Runs with packages from PPAs are searched if the releases'
/// own containers have none. Several runs may have the same id, above all an old one, which is only a time. Returns
/// none when there is no such run, or the text is neither a path nor an id.
///
/// # Errors
/// When the store cannot be read.
pub async fn find(store: &Store, releases: &[Release], text: &str) -> Result<Vec<StoredRun>, StoreError> {
    let found = match RunRef::parse(text) {
        None => Vec::new(),
        Some(RunRef::Path { container: named, path, id }) => {
            let object = path.object(&id, RESULT);
            let found = results(store, &named, object.clone()).await?;
            if found.is_empty() && named == container(&path.release) {
                in_others(store, std::slice::from_ref(&path.release), |_| object.clone(), &id).await?
            } else {
                found
            }
        }
        Some(RunRef::Id(id)) => {
            let of_release = |release: &Release| format!("{release}/");
            let mut found = Vec::new();
            for release in releases {
                let results = results(store, &container(release), of_release(release)).await?;
                found.extend(results.into_iter().filter(|result| result.id == id));
            }
            if found.is_empty() { in_others(store, releases, of_release, &id).await? } else { found }
        }
    };
    read_all(store, found).await
}

/// Finds results by id in the other containers of these releases: those of PPAs, and private ones.
async fn in_others(
    store: &Store,
    releases: &[Release],
    prefix: impl Fn(&Release) -> String,
    id: &RunId,
) -> Result<Vec<ListedResult>, StoreError> {
    let containers = match store.containers().await {
        // A user who may read results may not be allowed to list the account.
        Err(StoreError::Refused { .. } | StoreError::NotFound(_)) => Vec::new(),
        containers => containers?,
    };
    let mut found = Vec::new();
    for name in containers {
        let Some((release, _)) = ResultLocation::of_container(&name).filter(|(release, _)| releases.contains(release))
        else {
            continue;
        };
        if name == container(&release) {
            continue;
        }
        match results(store, &name, prefix(&release)).await {
            // A private container of another user.
            Err(StoreError::Refused { .. }) => {}
            Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::PermissionDenied => {}
            results => found.extend(results?.into_iter().filter(|result| result.id == *id)),
        }
    }
    Ok(found)
}

/// A reference to a run.
#[derive(Debug, PartialEq)]
pub(crate) enum RunRef {
    Path { container: String, path: PackagePath, id: RunId },
    Id(RunId),
}

impl RunRef {
    pub(crate) fn parse(text: &str) -> Option<Self> {
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
            .filter(|name| ResultLocation::is_container(name))
            .map_or_else(|| container(&path.release), |name| (*name).to_owned());
        Some(Self::Path { container, path, id })
    }
}

/// Parses a run id, also without its `@`.
fn read_id(text: &str) -> Option<RunId> {
    text.parse().or_else(|_| format!("{text}@").parse()).ok()
}
