//! (types first)

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::listing::RunSummary;
use crate::request::Request;
use crate::store::ObjectHeaders;

/// What a bundle is made of.
#[derive(Debug, Clone, Copy)]
pub struct Material<'a> {
    /// autopkgtest's output folder; it may be empty or missing.
    pub output: &'a Path,
    /// autopkgtest's exit code.
    pub exit_code: i32,
    /// How long the run took.
    pub duration: Duration,
    /// What was asked for.
    pub request: &'a Request,
    /// Which attempt it was.
    pub attempt: u32,
    /// Why the test never started, or did not end by itself; it goes into the log.
    pub note: Option<&'a str>,
}

/// What can go wrong with a bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// There is no room for it.
    #[error("the disk is full: {} cannot be written", path.display())]
    DiskFull {
        /// The file that did not fit.
        path: PathBuf,
    },
    /// A file cannot be used.
    #[error("{action}: {source}")]
    Io {
        /// What was tried, with the path.
        action: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A bundle that is not what it was when it was written.
    #[error("the bundle {} is damaged: {reason}", dir.display())]
    Damaged {
        /// Its folder.
        dir: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// A complete result in a folder of this machine, ready to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The folder.
    pub dir: PathBuf,
    /// What the listing will tell.
    pub summary: RunSummary,
}

/// A file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleFile {
    /// Its name in the store.
    pub name: &'static str,
    /// Where it is.
    pub path: PathBuf,
    /// How it presents itself in the store.
    pub headers: ObjectHeaders,
}

/// Makes a bundle (blocking).
///
/// # Errors
/// [`BundleError`].
#[allow(unused_variables)]
pub fn pack(material: &Material<'_>, destination: &Path) -> Result<Bundle, BundleError> {
    unimplemented!()
}

#[allow(unused_variables)]
impl Bundle {
    /// Opens a complete bundle; `None` when there is none, or only a half-made one.
    ///
    /// # Errors
    /// When it is there and cannot be read, or is damaged.
    pub fn open(dir: &Path) -> Result<Option<Self>, BundleError> {
        unimplemented!()
    }

    /// The files in the order in which they are published: result.tar last.
    pub fn files(&self) -> [BundleFile; 3] {
        unimplemented!()
    }
}
