//! What the tests stand on: real services, started on demand and stopped with [`Services`].

use std::sync::OnceLock;

use tempfile::TempDir;

/// Every service that tests share. Each starts when a test first asks for it.
#[derive(Default)]
pub struct Services {
    folder: OnceLock<TempDir>,
}

impl Services {
    /// The folder of this test run. It goes away at the end.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.get_or_init(|| TempDir::new().expect("a temporary folder")).path()
    }
}
