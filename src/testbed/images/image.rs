//! One image and what is known about it.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::archive::has_own_i386;
use crate::release::{Architecture, QueueName, Release};

/// Architecture on which tests of a foreign one run.
const AMD64: &str = "amd64";

/// Release and architecture of an image. Displayed as `RELEASE ARCH`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageName {
    /// Release.
    pub release: Release,
    /// Architecture.
    pub architecture: Architecture,
}

impl ImageName {
    /// Returns the name of the image in which the tests of a queue run.
    ///
    /// Tests of an architecture that a release only has as a foreign one run on amd64.
    pub fn for_tests(queue: &QueueName) -> Self {
        let architecture = if has_own_i386(&queue.release, &queue.architecture) {
            queue.architecture.clone()
        } else {
            AMD64.parse().unwrap_or_else(|_| queue.architecture.clone())
        };
        Self { release: queue.release.clone(), architecture }
    }

    /// Returns the name of its folder.
    pub(super) fn folder(&self) -> String {
        format!("{}-{}", self.release, self.architecture)
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} {}", self.release, self.architecture))
    }
}

/// Description of an image: the content of its `image.json`. Unknown keys are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// Release.
    pub release: String,
    /// Architecture.
    pub architecture: String,
    /// Address of the archive that its packages come from.
    pub mirror: String,
    /// Its apt sources, as lines of sources.list.
    pub sources: Vec<String>,
    /// When it was complete.
    pub built: Timestamp,
    /// Size of the tarball, in bytes.
    pub bytes: u64,
}

/// An image that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Release and architecture.
    pub name: ImageName,
    /// Description.
    pub record: ImageRecord,
    /// Tarball of the root file system.
    pub tarball: PathBuf,
}

/// A hold on an image: its files stay until this is dropped.
#[derive(Debug)]
pub struct ImageHold {
    tarball: File,
}

impl Drop for ImageHold {
    fn drop(&mut self) {
        // Closing alone would not end the lock as long as a forked child has the file open, too.
        let _ = self.tarball.unlock();
    }
}

impl Image {
    /// Keeps the image's files as long as the hold lives. `None` when the image is being removed, or is gone.
    ///
    /// # Errors
    /// Fails when the tarball cannot be opened.
    pub fn hold(&self) -> io::Result<Option<ImageHold>> {
        let tarball = match File::open(&self.tarball) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        match tarball.try_lock_shared() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) => {}
        }
        // It may have been removed between the two calls.
        Ok((tarball.metadata()?.nlink() > 0).then_some(ImageHold { tarball }))
    }
}
