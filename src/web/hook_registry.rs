//! The declared hooks, read again when their file has changed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tracing::{error, info};

use crate::forge::hook::Hook;
use crate::site::Site;

/// The hooks of a site.
pub(super) struct HookRegistry {
    site: Site,
    read: Mutex<HookSnapshot>,
}

struct HookSnapshot {
    stamp: Option<(SystemTime, u64)>,
    hooks: Arc<Vec<Hook>>,
}

impl HookRegistry {
    /// Starts with the hooks that were read last.
    pub(super) fn new(site: Site, hooks: Vec<Hook>) -> Self {
        // No stamp: the first call of `hooks` reads the file.
        let read = HookSnapshot { stamp: None, hooks: Arc::new(hooks) };
        Self { site, read: Mutex::new(read) }
    }

    /// Returns the hooks. While the file is invalid, they stay as they were.
    pub(super) fn hooks(&self) -> Arc<Vec<Hook>> {
        let file = self.site.hooks_file();
        let metadata = file.and_then(|file| std::fs::metadata(file).ok());
        let stamp = metadata.and_then(|metadata| Some((metadata.modified().ok()?, metadata.len())));
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.stamp != stamp {
            match self.site.hooks() {
                Ok(hooks) => {
                    info!("{} hooks are declared", hooks.len());
                    read.hooks = Arc::new(hooks);
                }
                Err(failure) => error!("the hooks stay as they were: {failure}"),
            }
            read.stamp = stamp;
        }
        Arc::clone(&read.hooks)
    }
}
