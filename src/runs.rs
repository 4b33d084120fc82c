//! (types first)

use crate::release::{Architecture, Release};
use crate::request::RequestId;
use crate::result::layout::{PackagePath, RunId};
use crate::result::listing::RunSummary;
use crate::store::{Store, StoreError};

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
    /// Whether its result.tar could not be read whole: then the summary holds what was left of it.
    pub damaged: bool,
}

#[allow(unused_variables)]
impl StoredRun {
    /// The name of one of its objects in the container.
    pub fn object(&self, file: &str) -> String {
        self.path.object(&self.id, file)
    }
}

/// A package's runs, oldest first.
///
/// # Errors
/// When the store is away.
#[allow(unused_variables)]
pub async fn of_package(store: &Store, path: &PackagePath) -> Result<Vec<StoredRun>, StoreError> {
    unimplemented!()
}

/// A release's runs, oldest first.
///
/// # Errors
/// When the store is away.
#[allow(unused_variables)]
pub async fn of_release(
    store: &Store,
    release: &Release,
    architecture: Option<&Architecture>,
) -> Result<Vec<StoredRun>, StoreError> {
    unimplemented!()
}

/// A package's newest run id.
///
/// # Errors
/// When the store is away.
#[allow(unused_variables)]
pub async fn newest_id(store: &Store, path: &PackagePath) -> Result<Option<RunId>, StoreError> {
    unimplemented!()
}

/// The complete run of a request.
///
/// # Errors
/// When the store is away.
#[allow(unused_variables)]
pub async fn with_uuid(store: &Store, path: &PackagePath, uuid: &RequestId) -> Result<Option<StoredRun>, StoreError> {
    unimplemented!()
}

/// Finds a run by its path, URL or id.
///
/// # Errors
/// When the store is away.
#[allow(unused_variables)]
pub async fn find(store: &Store, releases: &[Release], text: &str) -> Result<Option<StoredRun>, StoreError> {
    unimplemented!()
}
