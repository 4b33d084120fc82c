//! OpenStack Swift.

use std::path::{Path, PathBuf};

use url::Url;

use super::{Access, Entry, ObjectHeaders, ObjectReader, Query, StoreError};
use crate::environment::Environment;

/// What a site says about its Swift, beside the environment's variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SwiftSettings {
    /// The cloud of clouds.yaml to use, unless the environment says otherwise.
    pub cloud: Option<String>,
    /// Where clouds.yaml is, if not at one of the usual places.
    pub clouds_file: Option<PathBuf>,
    /// The region whose endpoint to take from the catalog.
    pub region: Option<String>,
    /// The interface to take from the catalog: `public` (the default), `internal` or `admin`.
    pub interface: Option<String>,
}

/// A Swift account.
pub struct SwiftStore {}

#[allow(unused_variables, missing_docs)]
impl SwiftStore {
    pub fn new(url: Option<&Url>, settings: &SwiftSettings, environment: &Environment) -> Result<Self, StoreError> {
        unimplemented!()
    }

    pub fn address(&self) -> String {
        unimplemented!()
    }

    pub async fn containers(&self) -> Result<Vec<String>, StoreError> {
        unimplemented!()
    }

    pub async fn ensure_container(&self, container: &str, access: &Access) -> Result<(), StoreError> {
        unimplemented!()
    }

    pub async fn list(&self, container: &str, query: &Query) -> Result<Vec<Entry>, StoreError> {
        unimplemented!()
    }

    pub async fn get(&self, container: &str, object: &str) -> Result<ObjectReader, StoreError> {
        unimplemented!()
    }

    pub async fn put(
        &self,
        container: &str,
        object: &str,
        file: &Path,
        headers: &ObjectHeaders,
    ) -> Result<(), StoreError> {
        unimplemented!()
    }

    pub async fn delete(&self, container: &str, object: &str) -> Result<(), StoreError> {
        unimplemented!()
    }
}
