//! A folder that holds containers as folders and objects as files.

use std::path::Path;

use super::{Access, Entry, ObjectHeaders, ObjectReader, Query, StoreError};

/// A folder with results.
pub struct FolderStore {}

#[allow(unused_variables, missing_docs)]
impl FolderStore {
    pub fn new(path: &Path) -> Self {
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
